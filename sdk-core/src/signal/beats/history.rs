//! What a detector remembers: the newest samples by their number, and a running median.

/// A ring of the last samples, read by the number each had in the stream.
#[derive(Debug, Clone)]
pub(crate) struct History {
    ring: Vec<f64>,
    next: usize,
}

impl History {
    /// Room for at least `samples`.
    pub(crate) fn new(samples: usize) -> Self {
        Self { ring: vec![0.0; samples.next_power_of_two()], next: 0 }
    }

    pub(crate) fn push(&mut self, value: f64) {
        let slot = self.next & (self.ring.len() - 1);
        if let Some(place) = self.ring.get_mut(slot) {
            *place = value;
        }
        self.next += 1;
    }

    /// The number of the next sample.
    pub(crate) fn next(&self) -> usize {
        self.next
    }

    /// The oldest number still held.
    pub(crate) fn oldest(&self) -> usize {
        self.next.saturating_sub(self.ring.len())
    }

    /// The sample of a number; the nearest one held where that is gone or yet to come.
    pub(crate) fn at(&self, number: usize) -> f64 {
        let held = number.min(self.next.saturating_sub(1)).max(self.oldest());
        self.ring.get(held & (self.ring.len() - 1)).copied().unwrap_or_default()
    }

    /// Linear interpolation between samples.
    pub(crate) fn between(&self, number: f64) -> f64 {
        let below = number.max(0.0) as usize;
        let (left, right) = (self.at(below), self.at(below + 1));
        left + (number - below as f64) * (right - left)
    }

    /// Mean over `2 * half + 1` samples with triangular weights: smooth, without phase.
    pub(crate) fn smooth(&self, number: usize, half: usize) -> f64 {
        let weight = |k: usize| (half + 1 - k.abs_diff(half)) as f64;
        let sum: f64 =
            (0..=2 * half).map(|k| weight(k) * self.at((number + k).saturating_sub(half))).sum();
        sum / ((half + 1) * (half + 1)) as f64
    }
}

/// The extremum of the parabola through a sample and its neighbours, as a number with a fraction.
pub(crate) fn vertex(number: usize, value: impl Fn(usize) -> f64) -> f64 {
    let Some(before) = number.checked_sub(1) else {
        return number as f64;
    };
    let (left, middle, right) = (value(before), value(number), value(number + 1));
    let offset = 0.5 * (left - right) / (left - 2.0 * middle + right);
    // Beside the extremum (a plateau, an edge), the sample itself is the best there is.
    if offset.abs() <= 0.5 { number as f64 + offset } else { number as f64 }
}

/// How many values a [`Recent`] looks back.
const RECENT: usize = 5;

/// The median of the last few values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent {
    values: [f64; RECENT],
    pushed: usize,
}

impl Recent {
    pub(crate) fn push(&mut self, value: f64) {
        self.values[self.pushed % RECENT] = value;
        self.pushed += 1;
    }

    /// The upper median; `None` before the first value.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sorted = self.values;
        let sorted = &mut sorted[..self.pushed.min(RECENT)];
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }
}
