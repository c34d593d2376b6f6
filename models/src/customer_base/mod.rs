//! Models of a customer base: who still buys, and how often, told from how often and how recently
//! they did.
//!
//! | model | who leaves, when |
//! |---|---|
//! | BG/NBD | after a repeat purchase, with a personal chance |
//! | MBG/NBD | after any purchase, with a personal chance |
//! | Pareto/NBD | at a personal, unseen time |
//!
//! In BG/NBD who bought once is there for sure; in the others not.
//!
//! # Examples
//! ```
//! use models::customer_base::{CustomerBase, Kind, RepeatHistory};
//! let model = CustomerBase::new(Kind::BgNbd, [0.243, 4.414, 0.793, 2.426])?;
//! let history = RepeatHistory { repeats: 2, recency_weeks: 30.43, age_weeks: 38.86 };
//! assert!((model.expected_purchases(&history, 39.0) - 1.226).abs() < 1e-3);
//! # Ok::<(), models::customer_base::ParameterError>(())
//! ```

mod beta_geometric;
mod correction;
mod history;
mod pareto;
mod process;
mod special;
#[cfg(test)]
mod tests;

pub use correction::Correction;
pub use history::RepeatHistory;

use beta_geometric::BetaGeometric;
use pareto::Pareto;
use process::Process;
use serde::{Deserialize, Serialize};
use special::{ln_sum, logistic};
use std::collections::BTreeMap;
use thiserror::Error;

/// Which model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Beta-geometric / negative binomial (Fader, Hardie & Lee 2005).
    BgNbd,
    /// Its modification, where one may leave after the first purchase (Batislam et al. 2007).
    MbgNbd,
    /// Pareto / negative binomial (Schmittlein et al. 1987).
    ParetoNbd,
}

impl Kind {
    /// Every model.
    pub const ALL: [Self; 3] = [Self::BgNbd, Self::MbgNbd, Self::ParetoNbd];

    /// The name in reports and bundles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BgNbd => "bg_nbd",
            Self::MbgNbd => "mbg_nbd",
            Self::ParetoNbd => "pareto_nbd",
        }
    }

    /// Names of the parameters, in order. alpha and beta are in weeks, the others pure numbers.
    #[must_use]
    pub const fn parameter_names(self) -> [&'static str; 4] {
        match self {
            Self::BgNbd | Self::MbgNbd => ["r", "alpha", "a", "b"],
            Self::ParetoNbd => ["r", "alpha", "s", "beta"],
        }
    }
}

/// Why parameters are no model.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ParameterError {
    /// Out of range, or not a number.
    #[error("parameter {name} of {model} is {value}, must be 1e-6 to 1e6: fit the model again")]
    Range {
        /// Of which model.
        model: &'static str,
        /// Which parameter.
        name: &'static str,
        /// What it is.
        value: f64,
    },
    /// Absent, or more than the model has.
    #[error("{model} has the parameters {names:?}, found {found:?}: fit the model again")]
    Names {
        /// Of which model.
        model: &'static str,
        /// What it has.
        names: [&'static str; 4],
        /// What was given.
        found: Vec<String>,
    },
}

/// A fitted model of a customer base. Every answer is a number for any history and any time: times
/// are taken into 0 to 200 years.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Named", into = "Named")]
pub struct CustomerBase {
    kind: Kind,
    parameters: [f64; 4],
}

impl CustomerBase {
    /// Least and greatest parameter: far beyond what customers do, within what floats can.
    pub const PARAMETER_RANGE: (f64, f64) = (1e-6, 1e6);

    /// A model with its parameters in the order of [`Kind::parameter_names`].
    ///
    /// # Errors
    /// [`ParameterError::Range`].
    pub fn new(kind: Kind, parameters: [f64; 4]) -> Result<Self, ParameterError> {
        let (least, most) = Self::PARAMETER_RANGE;
        for (name, value) in kind.parameter_names().into_iter().zip(parameters) {
            if !(least..=most).contains(&value) {
                return Err(ParameterError::Range { model: kind.name(), name, value });
            }
        }
        Ok(Self { kind, parameters })
    }

    /// Which model.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The parameters, in the order of [`Kind::parameter_names`].
    #[must_use]
    pub const fn parameters(&self) -> [f64; 4] {
        self.parameters
    }

    /// ln of the density of this history among customers who are looked at for as long.
    #[must_use]
    pub fn log_likelihood(&self, history: &RepeatHistory) -> f64 {
        let (there, gone) = self.ln_parts(&history.plausible());
        ln_sum(there, gone)
    }

    /// P(alive): that the customer still is one.
    #[must_use]
    pub fn probability_alive(&self, history: &RepeatHistory) -> f64 {
        let (there, gone) = self.ln_parts(&history.plausible());
        logistic(there - gone)
    }

    /// E(Y(t)): expected purchases in the next `weeks`. In closed form for Pareto/NBD, by quadrature
    /// for the others.
    #[must_use]
    pub fn expected_purchases(&self, history: &RepeatHistory, weeks: f64) -> f64 {
        let weeks = history::weeks(weeks);
        self.probability_alive(history) * self.with_process(history, |p| p.expected(weeks))
    }

    /// P(Y(t) > 0): of at least one purchase in the next `weeks`; in closed form.
    #[must_use]
    pub fn probability_of_purchase(&self, history: &RepeatHistory, weeks: f64) -> f64 {
        let weeks = history::weeks(weeks);
        let some = self.with_process(history, |p| 1.0 - p.none(weeks));
        (self.probability_alive(history) * some).clamp(0.0, 1.0)
    }

    /// P(Y(t) = k) for k = 0, 1, ..., `most`. In closed form for BG/NBD and MBG/NBD, by quadrature
    /// for Pareto/NBD.
    #[must_use]
    pub fn count_probabilities(&self, history: &RepeatHistory, weeks: f64, most: u16) -> Vec<f64> {
        let mut probabilities = Vec::new();
        self.counts(history, weeks, |p| {
            probabilities.push(p);
            probabilities.len() <= usize::from(most)
        });
        probabilities
    }

    /// The median of Y(t): the count with the least expected absolute error. [`MOST_COUNT`] where
    /// it is beyond.
    #[must_use]
    pub fn median_purchases(&self, history: &RepeatHistory, weeks: f64) -> u32 {
        let (mut below, mut count) = (0.0, 0);
        self.counts(history, weeks, |p| {
            below += p;
            let goes_on = below < 0.5 && count < MOST_COUNT;
            count += u32::from(goes_on);
            goes_on
        });
        count
    }

    fn counts(&self, history: &RepeatHistory, weeks: f64, mut each: impl FnMut(f64) -> bool) {
        let alive = self.probability_alive(history);
        let mut gone = 1.0 - alive;
        let weeks = history::weeks(weeks);
        self.with_process(history, |process| {
            process.counts(weeks, &mut |p| each(alive * p + std::mem::take(&mut gone)));
        });
    }

    fn ln_parts(&self, history: &RepeatHistory) -> (f64, f64) {
        match self.formulas() {
            Formulas::BetaGeometric(model) => model.ln_parts(history),
            Formulas::Pareto(model) => model.ln_parts(history),
        }
    }

    fn with_process<T>(&self, history: &RepeatHistory, ask: impl FnOnce(&dyn Process) -> T) -> T {
        let history = history.plausible();
        match self.formulas() {
            Formulas::BetaGeometric(model) => ask(&model.process(&history)),
            Formulas::Pareto(model) => ask(&model.process(&history)),
        }
    }

    fn formulas(&self) -> Formulas {
        let [r, alpha, third, fourth] = self.parameters;
        let beta_geometric = |leaves_at_once| {
            let (a, b) = (third, fourth);
            Formulas::BetaGeometric(BetaGeometric { r, alpha, a, b, leaves_at_once })
        };
        match self.kind {
            Kind::BgNbd => beta_geometric(false),
            Kind::MbgNbd => beta_geometric(true),
            Kind::ParetoNbd => Formulas::Pareto(Pareto { r, alpha, s: third, beta: fourth }),
        }
    }
}

/// Where the search for a median ends.
pub const MOST_COUNT: u32 = 2_000;

enum Formulas {
    BetaGeometric(BetaGeometric),
    Pareto(Pareto),
}

/// The JSON form: parameters by name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    model: Kind,
    parameters: BTreeMap<String, f64>,
}

impl From<CustomerBase> for Named {
    fn from(base: CustomerBase) -> Self {
        let names = base.kind.parameter_names().map(str::to_owned);
        Self { model: base.kind, parameters: names.into_iter().zip(base.parameters).collect() }
    }
}

impl TryFrom<Named> for CustomerBase {
    type Error = ParameterError;

    fn try_from(named: Named) -> Result<Self, ParameterError> {
        let (model, names) = (named.model, named.model.parameter_names());
        let given = names.map(|name| named.parameters.get(name).copied());
        match given {
            [Some(p), Some(q), Some(u), Some(v)] if named.parameters.len() == names.len() => {
                Self::new(model, [p, q, u, v])
            }
            _ => Err(ParameterError::Names {
                model: model.name(),
                names,
                found: named.parameters.into_keys().collect(),
            }),
        }
    }
}
