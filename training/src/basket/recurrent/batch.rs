//! People as tensors.

use super::{super::lessons::Lessons, network::Batch};
use candle_core::{Device, Result, Tensor};
use models::basket::{FEATURES, MOMENT, Quantiles, item_weight, steps};

/// Everybody's pairs, as the network reads them.
pub(super) struct Pupils<'a> {
    lessons: &'a Lessons,
    /// The features' places ([`Quantiles::place`]).
    rows: Vec<f32>,
}

impl<'a> Pupils<'a> {
    pub(super) fn new(lessons: &'a Lessons, quantiles: &Quantiles) -> Self {
        let mut rows = lessons.rows.values().to_vec();
        quantiles.place(&mut rows);
        Self { lessons, rows }
    }

    /// Indices of those who bought one of their candidates: the others teach nothing.
    pub(super) fn taught(&self) -> impl Iterator<Item = usize> {
        let bought = |pupil: &usize| {
            let pupil = &self.lessons.pupils[*pupil];
            self.lessons.labels[pupil.first..][..pupil.items.len()].contains(&1.0)
        };
        (0..self.lessons.pupils.len()).filter(bought)
    }

    pub(super) fn person(&self, pupil: usize) -> u32 {
        self.lessons.pupils[pupil].person
    }

    /// Some people, those with fewer baskets or candidates filled up.
    pub(super) fn batch(&self, people: &[usize]) -> Result<Batch> {
        let pupils = || people.iter().map(|pupil| &self.lessons.pupils[*pupil]);
        let length = pupils().map(|pupil| steps(&pupil.history).count()).max().unwrap_or(0);
        let width = pupils().map(|pupil| pupil.items.len()).max().unwrap_or(0);
        let (mut bought, mut bought_step, mut bought_weight) = (Vec::new(), Vec::new(), Vec::new());
        let mut moments = vec![0.0_f32; people.len() * length * MOMENT];
        let mut is_step = vec![0.0_f32; people.len() * length];
        let cells = people.len() * width;
        let (mut items, mut pairs) = (vec![0_u32; cells], vec![0.0_f32; cells * FEATURES.len()]);
        let (mut own, mut other) = (vec![0.0_f32; cells], vec![0.0_f32; cells]);
        let mut target = vec![0.0_f32; cells];
        for (place, pupil) in pupils().enumerate() {
            let skipped = length - steps(&pupil.history).count();
            for (step, (basket, moment)) in (place * length + skipped..).zip(steps(&pupil.history))
            {
                moments[step * MOMENT..][..MOMENT].copy_from_slice(&moment);
                is_step[step] = 1.0;
                let weight = item_weight(basket);
                bought.extend_from_slice(&basket.items);
                bought_step.extend(basket.items.iter().map(|_| step as u32));
                bought_weight.extend(basket.items.iter().map(|_| weight));
            }
            let (to, count) = (place * width, pupil.items.len());
            items[to..][..count].copy_from_slice(&pupil.items);
            let rows = &self.rows[pupil.first * FEATURES.len()..][..count * FEATURES.len()];
            pairs[to * FEATURES.len()..][..rows.len()].copy_from_slice(rows);
            let labels = &self.lessons.labels[pupil.first..][..count];
            let share = 1.0 / labels.iter().sum::<f32>().max(1.0);
            let counts = self.lessons.rows.values()[pupil.first * FEATURES.len()..].iter();
            for (at, (label, count)) in
                (to..).zip(labels.iter().zip(counts.step_by(FEATURES.len())))
            {
                target[at] = label * share;
                let is_own = *count > 0.0;
                *(if is_own { &mut own[at] } else { &mut other[at] }) = 1.0;
            }
        }
        let device = &Device::Cpu;
        let all = bought.len();
        let grid = |values: Vec<f32>| Tensor::from_vec(values, (people.len(), width), device);
        Ok(Batch {
            people: people.len(),
            steps: length,
            candidates: width,
            bought: Tensor::from_vec(bought, all, device)?,
            bought_step: Tensor::from_vec(bought_step, all, device)?,
            bought_weight: Tensor::from_vec(bought_weight, (all, 1), device)?,
            moments: Tensor::from_vec(moments, (people.len(), length, MOMENT), device)?,
            is_step: Tensor::from_vec(is_step, (people.len(), length), device)?,
            items: Tensor::from_vec(items, cells, device)?,
            pairs: Tensor::from_vec(pairs, (cells, FEATURES.len()), device)?,
            own: grid(own)?,
            other: grid(other)?,
            target: grid(target)?,
        })
    }
}
