//! How good lists of next items are.
//!
//! Recall, NDCG and PHR (the share of people with a hit) of the first 10 and 20 items, as in Li et
//! al., "A Next Basket Recommendation Reality Check", TOIS 2023, section 4.3. As in the program of
//! that paper the ideal list of NDCG is the whole next basket, even where it has more items than
//! the list: that is what published figures are made with.

use super::{Cut, Data, fit::fit_methods, recurrent};
use crate::boosting::FitError;
use models::basket::{
    Finder, Method, ModelError, Population, PopulationError, RecurrentError, Scorer,
};
use serde::Serialize;
use thiserror::Error;

/// Why nothing was judged.
#[derive(Debug, Error)]
pub enum BasketError {
    /// Nobody has a next basket.
    #[error(
        "nobody can be asked what they buy next: whoever is needs a history before the cut and a \
         basket after it; choose another cut-off or horizon"
    )]
    Nobody,
    /// Nobody to learn from.
    #[error(
        "there is nothing to train a model on: it needs people with one more basket before the \
         one that is judged; choose --method ens"
    )]
    Untaught,
    /// Histories cannot be used.
    #[error(transparent)]
    Population(#[from] PopulationError),
    /// The forest was not fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The recurrent model cannot be used.
    #[error(transparent)]
    Recurrent(#[from] RecurrentError),
    /// The recurrent model was not fitted.
    #[error("fitting the recurrent model: {0}; choose --method rerank")]
    Network(#[from] candle_core::Error),
}

/// Which methods are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    One(Method),
    /// The one that is best one cut earlier in time.
    Auto(Field),
    /// All, and the pick of [`Choice::Auto`] first.
    All(Field),
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Field {
    /// What needs no training, and the re-ranker.
    #[default]
    Quick,
    /// The recurrent model too, alone and mixed with the re-ranker: takes minutes more.
    Recurrent,
}

impl Field {
    fn methods(self) -> &'static [Method] {
        match self {
            Self::Quick => &[Method::Tifu, Method::Recency, Method::Ens, Method::Rerank],
            Self::Recurrent => &Method::ALL,
        }
    }
}

/// What came of a method: means over people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// Its name.
    pub method: String,
    /// Share of the next basket that is among the first 10.
    #[serde(rename = "recall@10")]
    pub recall10: f64,
    /// Discounted gain of the first 10.
    #[serde(rename = "ndcg@10")]
    pub ndcg10: f64,
    /// Share of people with a hit among the first 10.
    #[serde(rename = "phr@10")]
    pub phr10: f64,
    /// As at 10.
    #[serde(rename = "recall@20")]
    pub recall20: f64,
    /// As at 10.
    #[serde(rename = "ndcg@20")]
    pub ndcg20: f64,
    /// As at 10.
    #[serde(rename = "phr@20")]
    pub phr20: f64,
    /// People judged by.
    pub users: usize,
}

/// What was judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The method asked for, or picked.
    #[serde(flatten)]
    pub shipped: Scores,
    /// All methods judged, where more than one was.
    #[serde(skip_serializing_if = "is_single")]
    pub methods: Vec<Scores>,
    /// What they came to one cut earlier, where one was picked by it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub validation: Vec<Scores>,
}

fn is_single(methods: &[Scores]) -> bool {
    methods.len() == 1
}

/// How often `progress` of [`evaluate`] is called, at most.
#[must_use]
pub fn steps(data: &Data, choice: Choice) -> u64 {
    let people = |back| data.cut(back).asked.len() as u64;
    let taught = |back| -> u64 {
        (0..data.lessons()).map(|number| data.lesson(back, number).asked.len() as u64).sum()
    };
    let visits = |methods: &[Method]| {
        let has_networks = methods.iter().any(|method| method.has_networks());
        let is_trained = has_networks || methods.iter().any(|method| method.has_forest());
        u64::from(is_trained) + if has_networks { recurrent::PASSES } else { 0 }
    };
    match choice {
        Choice::One(method) => match visits(&[method]) {
            0 => people(0),
            visits => people(0) + visits * taught(0),
        },
        Choice::Auto(field) | Choice::All(field) => {
            let visits = visits(field.methods());
            people(0) + visits * taught(0) + people(1) + visits * taught(1)
        }
    }
}

/// Judges methods on the newest cut, trained and picked on earlier ones only.
///
/// # Errors
/// [`BasketError`]: nobody to judge by or to learn from.
pub fn evaluate(
    data: &Data,
    choice: Choice,
    progress: &mut dyn FnMut(),
) -> Result<Report, BasketError> {
    let field = match choice {
        Choice::One(method) => {
            let methods = judge(data, 0, &[method], progress)?;
            let shipped = methods[0].clone();
            return Ok(Report { shipped, methods, validation: Vec::new() });
        }
        Choice::Auto(field) | Choice::All(field) => field,
    };
    // Where people have too few baskets to hold one more back, what needs no training is taken.
    let judge_field = |back, methods: &[Method], progress: &mut dyn FnMut()| match judge(
        data, back, methods, progress,
    ) {
        Err(BasketError::Untaught) => judge(data, back, &UNTRAINED, progress),
        judged => judged,
    };
    let validation = match judge_field(1, field.methods(), progress) {
        Err(BasketError::Nobody) => Vec::new(),
        judged => judged?,
    };
    let best = best(&validation);
    let methods = match choice {
        Choice::All(field) => judge_field(0, field.methods(), progress)?,
        _ => judge(data, 0, &[best], progress)?,
    };
    let is_best = |scores: &&Scores| scores.method == best.name();
    let shipped = methods.iter().find(is_best).unwrap_or(&methods[0]).clone();
    Ok(Report { shipped, methods, validation })
}

/// What needs no training.
const UNTRAINED: [Method; 3] = [Method::Tifu, Method::Recency, Method::Ens];

/// The method with the highest recall and NDCG together; ENS where nothing was judged.
fn best(validation: &[Scores]) -> Method {
    let worth = |scores: &Scores| scores.recall10 + scores.ndcg10;
    let best = validation.iter().max_by(|a, b| worth(a).total_cmp(&worth(b)));
    best.and_then(|best| best.method.parse().ok()).unwrap_or(Method::Ens)
}

/// Judges methods on one cut, trained on the one before.
fn judge(
    data: &Data,
    back: u8,
    methods: &[Method],
    progress: &mut dyn FnMut(),
) -> Result<Vec<Scores>, BasketError> {
    let cut = data.cut(back);
    if cut.asked.is_empty() {
        return Err(BasketError::Nobody);
    }
    let fitted = fit_methods(data, back, methods, progress)?;
    let scorers: Vec<&dyn Scorer> = fitted.iter().map(|fitted| fitted as &dyn Scorer).collect();
    judge_cut(&cut, &scorers, progress)
}

/// Judges scorers on a cut.
///
/// # Errors
/// [`BasketError::Nobody`], [`BasketError::Population`].
pub fn judge_cut(
    cut: &Cut,
    scorers: &[&dyn Scorer],
    progress: &mut dyn FnMut(),
) -> Result<Vec<Scores>, BasketError> {
    let population = Population::new(cut.items, cut.least_baskets, cut.people.clone())?;
    let mut finder = Finder::new(&population);
    let mut sums = vec![[0.0; 6]; scorers.len()];
    let mut scores = Vec::new();
    let asked: Vec<_> = cut.asked.iter().filter(|asked| !asked.next.is_empty()).collect();
    for asked in &asked {
        let history = &cut.people[asked.person as usize];
        let found = finder.candidates(history, Some(asked.person));
        for (scorer, sums) in scorers.iter().zip(&mut sums) {
            scorer.scores(history, &found, &mut scores);
            let order = found.ranked(&scores).into_iter().take(20);
            let hits: Vec<bool> =
                order.map(|at| asked.next.binary_search(&found.items[at]).is_ok()).collect();
            let (at10, at20) = (at(10, &hits, asked.next.len()), at(20, &hits, asked.next.len()));
            sums.iter_mut().zip(at10.iter().chain(&at20)).for_each(|(sum, value)| *sum += value);
        }
        progress();
    }
    if asked.is_empty() {
        return Err(BasketError::Nobody);
    }
    let mean = |(scorer, sums): (&&dyn Scorer, [f64; 6])| {
        let [recall10, ndcg10, phr10, recall20, ndcg20, phr20] =
            sums.map(|sum| sum / asked.len() as f64);
        let (method, users) = (scorer.name().to_owned(), asked.len());
        Scores { method, recall10, ndcg10, phr10, recall20, ndcg20, phr20, users }
    };
    Ok(scorers.iter().zip(sums).map(mean).collect())
}

/// Recall, NDCG and hit of the first `count` items, for a next basket of some size.
fn at(count: usize, hits: &[bool], size: usize) -> [f64; 3] {
    let hits = &hits[..count.min(hits.len())];
    let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    let found = hits.iter().filter(|hit| **hit).count() as f64;
    let gained: f64 = hits.iter().enumerate().filter(|(_, hit)| **hit).map(|(i, _)| gain(i)).sum();
    let ideal: f64 = (0..size).map(gain).sum();
    [found / size as f64, gained / ideal, f64::from(u8::from(found > 0.0))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_by_hand() {
        let hits = [true, false, true];
        // Gains 1 and 1/2 of an ideal of 1 + 1/log2(3) + 1/2 + 1/log2(5).
        let ideal = 1.0 + 1.0 / 3_f64.log2() + 0.5 + 1.0 / 5_f64.log2();
        assert_eq!(at(10, &hits, 4), [0.5, 1.5 / ideal, 1.0]);
        assert_eq!(at(2, &hits, 4), [0.25, 1.0 / ideal, 1.0]);
        assert_eq!(at(10, &[], 4), [0.0, 0.0, 0.0]);
    }
}
