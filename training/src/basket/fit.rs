//! Fitting what is trained.

use super::{BasketError, Cut, Data, lessons::Lessons, recurrent};
use crate::boosting::{Settings, fit};
use models::{
    basket::{Fitted, Method, Model, Population, Reranker},
    booster::Objective,
};

/// Of the networks' start: the same data give the same figures.
const SEED: u64 = 6;

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

fn reranker(lessons: &Lessons) -> Result<Reranker, BasketError> {
    Ok(Reranker::new(fit(&lessons.rows, &lessons.labels, &settings())?)?)
}

/// Fits methods to what a cut may learn from. What several of them need is fitted once.
pub(super) fn fit_methods(
    data: &Data,
    back: u8,
    methods: &[Method],
    progress: &mut dyn FnMut(),
) -> Result<Vec<Fitted>, BasketError> {
    let has_forest = methods.iter().any(|method| method.has_forest());
    let has_networks = methods.iter().any(|method| method.has_networks());
    let (mut forest, mut networks) = (None, None);
    if has_forest || has_networks {
        let lessons = Lessons::new(data, back, progress)?;
        forest = has_forest.then(|| reranker(&lessons)).transpose()?;
        networks = has_networks.then(|| recurrent::fit(&lessons, SEED, progress)).transpose()?;
    }
    let of = |method: &Method| Fitted::new(*method, forest.clone(), networks.clone());
    methods.iter().map(|method| of(method).ok_or(BasketError::Untaught)).collect()
}

/// A model to ship: it knows everybody's history as of the newest cut, and what earlier ones teach.
///
/// # Errors
/// As [`fit_reranker`], or the networks could not be fitted.
pub fn fit_model(
    data: &Data,
    method: Method,
    progress: &mut dyn FnMut(),
) -> Result<Model, BasketError> {
    let fitted = fit_methods(data, 0, &[method], progress)?.pop().ok_or(BasketError::Untaught)?;
    let Cut { items, least_baskets, people, .. } = data.cut(0);
    Ok(Model::of(fitted, Population::new(items, least_baskets, people)?))
}
