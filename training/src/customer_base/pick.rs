//! Which model to believe, told from the past alone.
//!
//! The time before `end` is cut every 30 days. At each cut all models are fitted on what was known
//! then, and asked who buys within the next 30 days, which `end` already knows. A correction that
//! is judged at a cut has learned from earlier cuts only; so has everything else.

use super::{
    FitError, Outcome, Transactions,
    fit::{Fitted, fit},
    fit_correction,
};
use models::customer_base::{Correction, CustomerBase, Kind, RepeatHistory};
use serde::Serialize;

/// How far ahead a purchase is asked for, days.
pub(super) const HORIZON_DAYS: i32 = 30;
/// Cuts at most: older ones are another season.
const MOST_CUTS: i32 = 6;

/// Days in the models' unit.
pub(super) fn weeks(days: i32) -> f64 {
    f64::from(days) / 7.0
}

/// What is said of a count: the mean is right in total, the median is nearest on average.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Its expectation.
    Mean,
    /// The count with as much probability below as above.
    Median,
}

impl Point {
    /// Of a customer's purchases in the next days.
    #[must_use]
    pub fn of(self, model: &CustomerBase, history: &RepeatHistory, days: i32) -> f64 {
        match self {
            Self::Mean => model.expected_purchases(history, weeks(days)),
            Self::Median => f64::from(model.median_purchases(history, weeks(days))),
        }
    }
}

/// What was picked, and what it was picked from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pick {
    /// The model.
    pub kind: Kind,
    /// How its probabilities are put right; `None` where that did not help.
    pub correction: Option<Correction>,
    /// What is said of a count.
    pub point: Point,
    /// The candidates, by model, without and with a correction.
    pub candidates: Vec<Candidate>,
}

/// A candidate's scores at the newer half of the cuts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// The model.
    pub model: Kind,
    /// Whether its probabilities were put right.
    pub corrected: bool,
    /// Mean log-loss of a purchase within 30 days; the least wins.
    pub log_loss: f64,
}

/// A day on which the models were fitted, and what they then said of the 30 days after.
#[derive(Debug, Clone)]
pub struct InnerCut {
    day: i32,
    /// In the order of [`Kind::ALL`].
    models: [Fitted; Kind::ALL.len()],
    outcomes: [Vec<Outcome>; Kind::ALL.len()],
}

impl Pick {
    /// Picks on what was known at the end of the day `end`. Without two cuts that have something to
    /// fit, the likeliest model is taken as it is.
    ///
    /// # Errors
    /// [`FitError`]: too few repeats for any model.
    pub fn on(transactions: &Transactions, end: i32) -> Result<Self, FitError> {
        let cuts = inner_cuts(transactions, end)?;
        let judged = cuts.len() / 2..cuts.len();
        if judged.start == 0 {
            return Self::likeliest(transactions, end);
        }
        let mut candidates = Vec::new();
        for (index, model) in Kind::ALL.into_iter().enumerate() {
            for corrected in [false, true] {
                let log_loss = log_loss(&cuts, judged.clone(), index, corrected)?;
                candidates.push(Candidate { model, corrected, log_loss });
            }
        }
        let best = candidates.iter().min_by(|a, b| a.log_loss.total_cmp(&b.log_loss));
        let Some(Candidate { model: kind, corrected, .. }) = best.cloned() else {
            return Self::likeliest(transactions, end);
        };
        let index = kind as usize;
        let all: Vec<Outcome> = cuts.iter().flat_map(|c| c.outcomes[index].clone()).collect();
        let correction = if corrected { Some(fit_correction(&all)?) } else { None };
        let off = |point| -> f64 {
            let judged = &cuts[judged.clone()];
            judged.iter().map(|cut| absolute_error(transactions, cut, index, point, end)).sum()
        };
        let point = if off(Point::Mean) < off(Point::Median) { Point::Mean } else { Point::Median };
        Ok(Self { kind, correction, point, candidates })
    }

    fn likeliest(transactions: &Transactions, end: i32) -> Result<Self, FitError> {
        let best = super::fit_best(&histories(transactions, end))?;
        Ok(Self {
            kind: best.model.kind(),
            correction: None,
            point: Point::Median,
            candidates: Vec::new(),
        })
    }
}

/// What was known of everyone who had bought by the end of a day.
pub(super) fn histories(transactions: &Transactions, day: i32) -> Vec<RepeatHistory> {
    transactions.customers.iter().filter_map(|c| c.history(day)).collect()
}

/// What a model says at the end of a day of the 30 days after, and what they brought.
pub(super) fn outcomes(
    transactions: &Transactions,
    model: &CustomerBase,
    day: i32,
) -> Vec<Outcome> {
    let of = |customer: &super::Customer| {
        let history = customer.history(day)?;
        Some(Outcome {
            probability: model.probability_of_purchase(&history, weeks(HORIZON_DAYS)),
            history,
            spent: customer.spent(day),
            bought: customer.bought(day, day.saturating_add(HORIZON_DAYS)) > 0,
        })
    };
    transactions.customers.iter().filter_map(of).collect()
}

/// Cuts that leave at least half of the time before them, oldest first. Where there is too little
/// to fit a model, there is no cut.
fn inner_cuts(transactions: &Transactions, end: i32) -> Result<Vec<InnerCut>, FitError> {
    let Some(first) = transactions.first_day() else { return Ok(Vec::new()) };
    let mut cuts = Vec::new();
    for back in (1..=MOST_CUTS).rev() {
        let day = end.saturating_sub(back * HORIZON_DAYS);
        if day.saturating_sub(first) < end.saturating_sub(first) / 2 {
            continue;
        }
        let known = histories(transactions, day);
        let [bg, mbg, pareto] = Kind::ALL.map(|kind| fit(kind, &known));
        match (bg, mbg, pareto) {
            (Err(FitError::TooLittle { .. }), ..) => {}
            (bg, mbg, pareto) => {
                let models = [bg?, mbg?, pareto?];
                let outcomes = models.map(|fitted| outcomes(transactions, &fitted.model, day));
                cuts.push(InnerCut { day, models, outcomes });
            }
        }
    }
    Ok(cuts)
}

fn log_loss(
    cuts: &[InnerCut],
    judged: std::ops::Range<usize>,
    index: usize,
    corrected: bool,
) -> Result<f64, FitError> {
    let (mut sum, mut count) = (0.0, 0.0);
    for at in judged {
        let correction = if corrected {
            let earlier = cuts[..at].iter().flat_map(|c| c.outcomes[index].clone());
            fit_correction(&earlier.collect::<Vec<_>>())?
        } else {
            Correction::default()
        };
        for outcome in &cuts[at].outcomes[index] {
            sum -= outcome.log_score(&correction);
            count += 1.0;
        }
    }
    Ok(sum / f64::max(count, 1.0))
}

/// Mean absolute error of the counts from a cut to the end.
fn absolute_error(
    transactions: &Transactions,
    cut: &InnerCut,
    index: usize,
    point: Point,
    end: i32,
) -> f64 {
    let model = &cut.models[index].model;
    let errors = transactions.customers.iter().filter_map(|customer| {
        let said = point.of(model, &customer.history(cut.day)?, end - cut.day);
        Some((said - f64::from(customer.bought(cut.day, end))).abs())
    });
    let (sum, count) = errors.fold((0.0, 0.0), |(sum, count), e| (sum + e, count + 1.0));
    sum / f64::max(count, 1.0)
}
