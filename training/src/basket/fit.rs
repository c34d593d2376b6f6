//! Fitting the re-ranker.

use super::{BasketError, Cut, Data, lessons::Lessons};
use crate::boosting::{Settings, fit};
use models::{
    basket::{Method, Model, Population, Reranker},
    booster::Objective,
};

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
    reranker(&Lessons::new(data, back, progress)?)
}

pub(super) fn reranker(lessons: &Lessons) -> Result<Reranker, BasketError> {
    Ok(Reranker::new(fit(&lessons.rows, &lessons.labels, &settings())?)?)
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
