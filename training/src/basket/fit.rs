//! Fitting the re-ranker.

use super::{BasketError, Cut, Data};
use crate::boosting::{Matrix, Settings, fit};
use models::{
    basket::{FEATURES, Finder, Method, Model, Population, Reranker},
    booster::Objective,
};

/// Most people whose pairs are learned from in all: a hundred pairs each.
const MOST_PEOPLE: usize = 50_000;

/// How the re-ranker's forest is grown: large leaves and few features a split, because no two months
/// are alike. Chosen on Ta-Feng's cut before the one that is judged.
#[must_use]
pub fn settings() -> Settings {
    Settings {
        rounds: 150,
        leaves: 31,
        learning_rate: 0.06,
        least_rows: 200,
        row_share: 1.0,
        feature_share: 0.5,
        shrinkage: 10.0,
        ..Settings::new(Objective::Binary)
    }
}

/// Fits a re-ranker to what a cut may learn from ([`Data::lesson`]). `progress` hears of each person.
///
/// # Errors
/// [`BasketError`]: nobody to learn from, or the forest could not be fitted.
pub fn fit_reranker(
    data: &Data,
    back: u8,
    progress: &mut dyn FnMut(),
) -> Result<Reranker, BasketError> {
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for number in 0..data.lessons() {
        let cut = data.lesson(back, number);
        if cut.asked.is_empty() {
            continue;
        }
        let population = Population::new(cut.items, cut.least_baskets, cut.people.clone())?;
        let mut finder = Finder::new(&population);
        // Evenly over all people, the same ones each time.
        let most = MOST_PEOPLE / usize::from(data.lessons().max(1));
        let step = cut.asked.len().div_ceil(most).max(1);
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

/// A model to ship: it knows everybody's history as of the newest cut, and what earlier ones teach.
///
/// # Errors
/// As [`fit_reranker`].
pub fn fit_model(
    data: &Data,
    method: Method,
    progress: &mut dyn FnMut(),
) -> Result<Model, BasketError> {
    let trains = method == Method::Rerank;
    let reranker = trains.then(|| fit_reranker(data, 0, progress)).transpose()?;
    let Cut { items, least_baskets, people, .. } = data.cut(0);
    Ok(Model::new(method, Population::new(items, least_baskets, people)?, reranker)?)
}
