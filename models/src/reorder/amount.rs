//! How much: a Dirichlet posterior over 1, 2, ... 7 and "8 or more" units.

use super::Purchase;
use serde::{Deserialize, Serialize};

/// Units from which on all count alike.
pub const LARGEST: usize = 8;
/// How many purchases of the person's own the category's shares weigh as much as: found on Ta-Feng.
const STRENGTH: f64 = 3.0;

/// How often each number of units is bought: shares of 1, 2, ... [`LARGEST`] or more, which add up
/// to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; LARGEST]", into = "[f64; LARGEST]")]
pub struct Amounts([f64; LARGEST]);

impl Amounts {
    /// Shares of counted purchases, with one of each more, so that nothing is impossible.
    #[must_use]
    pub fn of_counts(counts: &[u64; LARGEST]) -> Self {
        let all: f64 = counts.iter().map(|count| *count as f64 + 1.0).sum();
        Self(counts.map(|count| (count as f64 + 1.0) / all))
    }

    /// Which share a purchase counts to.
    #[must_use]
    pub fn place(quantity: u32) -> usize {
        (quantity.max(1) as usize).min(LARGEST) - 1
    }

    /// The shares.
    #[must_use]
    pub fn shares(&self) -> [f64; LARGEST] {
        self.0
    }

    /// What is known of one person: their purchases added to these shares of everybody's, which
    /// weigh as much as three (the posterior mean of a Dirichlet-multinomial: Gelman et al.,
    /// "Bayesian Data Analysis", 3rd edition, section 3.4).
    #[must_use]
    pub fn updated(&self, bought: &[Purchase]) -> Self {
        let mut weights = self.0.map(|share| share * STRENGTH);
        for purchase in bought {
            weights[Self::place(purchase.quantity)] += 1.0;
        }
        let all: f64 = weights.iter().sum();
        Self(weights.map(|weight| weight / all))
    }

    /// The least number of units that at least half of the purchases do not exceed: what errs least
    /// on average. [`LARGEST`] stands for that or more.
    #[must_use]
    pub fn median(&self) -> u32 {
        /// Shares that add up to a half are a half, whatever rounding says.
        const ROUNDING: f64 = 1e-9;
        let mut below = 0.0;
        let reached = self.0.iter().position(|share| {
            below += share;
            below >= 0.5 - ROUNDING
        });
        reached.map_or(LARGEST, |place| place + 1) as u32
    }
}

impl TryFrom<[f64; LARGEST]> for Amounts {
    type Error = String;

    fn try_from(shares: [f64; LARGEST]) -> Result<Self, String> {
        /// Shares add up to 1 but for what rounding in a file may cost.
        const ROUNDING: f64 = 1e-6;
        let sum: f64 = shares.iter().sum();
        if shares.iter().all(|share| *share >= 0.0) && (sum - 1.0).abs() < ROUNDING {
            Ok(Self(shares))
        } else {
            Err(format!("shares of amounts must add up to 1, these to {sum}: train the model anew"))
        }
    }
}

impl From<Amounts> for [f64; LARGEST] {
    fn from(amounts: Amounts) -> Self {
        amounts.0
    }
}
