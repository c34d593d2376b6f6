//! What trained models learn from: pairs of people and candidates, and which were bought.

use super::{BasketError, Data};
use crate::boosting::Matrix;
use models::basket::{FEATURES, Finder, History, Population};

/// Most people whose pairs are learned from in all: a hundred pairs each.
const MOST_PEOPLE: usize = 50_000;

/// A person whose next basket is learned from.
#[derive(Debug)]
pub(super) struct Pupil {
    /// Their place among the people: the same in all lessons.
    pub(super) person: u32,
    /// What was known of them.
    pub(super) history: History,
    /// Their candidates, in the order of their rows.
    pub(super) items: Vec<u32>,
    /// Their first row.
    pub(super) first: usize,
}

/// All pairs that a cut may learn from ([`Data::lesson`]).
#[derive(Debug)]
pub(super) struct Lessons {
    /// How many items there are.
    pub(super) items: usize,
    /// [`FEATURES`] of each pair.
    pub(super) rows: Matrix,
    /// Of each pair: 1 if it was bought, else 0.
    pub(super) labels: Vec<f32>,
    /// In the order of their rows.
    pub(super) pupils: Vec<Pupil>,
}

impl Lessons {
    /// Finds the pairs. `progress` hears of each person.
    pub(super) fn new(
        data: &Data,
        back: u8,
        progress: &mut dyn FnMut(),
    ) -> Result<Self, BasketError> {
        let (mut rows, mut labels, mut pupils) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = 0;
        for lesson in 0..data.lessons() {
            let cut = data.lesson(back, lesson);
            if cut.asked.is_empty() {
                continue;
            }
            count = cut.items;
            let population = Population::new(cut.items, cut.least_baskets, cut.people.clone())?;
            let mut finder = Finder::new(&population);
            // Evenly over all people, the same ones each time.
            let most = MOST_PEOPLE / usize::from(data.lessons().max(1));
            let step = cut.asked.len().div_ceil(most).max(1);
            for asked in cut.asked.iter().step_by(step) {
                let history = &cut.people[asked.person as usize];
                let found = finder.candidates(history, Some(asked.person));
                let first = labels.len();
                rows.extend_from_slice(&found.features);
                let is_next = |item: &u32| asked.next.binary_search(item).is_ok();
                labels.extend(found.items.iter().map(|item| f32::from(u8::from(is_next(item)))));
                let (person, history, items) = (asked.person, history.clone(), found.items);
                pupils.push(Pupil { person, history, items, first });
                progress();
            }
        }
        if labels.is_empty() {
            return Err(BasketError::Untaught);
        }
        Ok(Self { items: count, rows: Matrix::new(rows, FEATURES.len())?, labels, pupils })
    }
}
