//! Fitting the re-ranker.

use super::{BasketError, Cut};
use crate::boosting::{Matrix, Settings, fit};
use models::{
    basket::{FEATURES, Finder, Method, Model, Population, Reranker},
    booster::Objective,
};

/// Most people whose pairs are learned from in a cut: a hundred pairs each.
const MOST_PEOPLE: usize = 20_000;

/// How the re-ranker's forest is grown.
#[must_use]
pub fn settings() -> Settings {
    Settings {
        rounds: 150,
        leaves: 31,
        learning_rate: 0.06,
        least_rows: 20,
        row_share: 1.0,
        feature_share: 1.0,
        ..Settings::new(Objective::Binary)
    }
}

/// Fits a re-ranker to the next baskets of some cuts. `progress` hears of each person.
///
/// # Errors
/// [`BasketError`]: nobody to learn from, or the forest could not be fitted.
pub fn fit_reranker(cuts: &[Cut], progress: &mut dyn FnMut()) -> Result<Reranker, BasketError> {
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for cut in cuts {
        let population = Population::new(cut.items, cut.least_baskets, cut.people.clone())?;
        let mut finder = Finder::new(&population);
        // Evenly over all people, the same ones each time.
        let step = cut.asked.len().div_ceil(MOST_PEOPLE).max(1);
        for asked in cut.asked.iter().step_by(step) {
            let history = &cut.people[asked.person as usize];
            let found = finder.candidates(history, Some(asked.person));
            rows.extend_from_slice(&found.features);
            let is_next = |item: &u32| asked.next.binary_search(item).is_ok();
            labels.extend(found.items.iter().map(|item| f32::from(u8::from(is_next(item)))));
            progress();
        }
    }
    if labels.is_empty() {
        return Err(BasketError::Untaught);
    }
    Ok(Reranker::new(fit(&Matrix::new(rows, FEATURES.len())?, &labels, &settings())?)?)
}

/// A model to ship: it knows everybody's history as of the first cut, and what the later ones in the
/// list, which lie earlier in time, teach.
///
/// # Errors
/// As [`fit_reranker`].
pub fn fit_model(
    now: &Cut,
    before: &[Cut],
    method: Method,
    progress: &mut dyn FnMut(),
) -> Result<Model, BasketError> {
    let reranker =
        (method == Method::Rerank).then(|| fit_reranker(before, progress)).transpose()?;
    let population = Population::new(now.items, now.least_baskets, now.people.clone())?;
    Ok(Model::new(method, population, reranker)?)
}
