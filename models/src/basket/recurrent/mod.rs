//! A recurrent model of consumption.
//!
//! A GRU reads a person's baskets in the order of time; what it remembers decides, through a gate,
//! how likely they buy again what they bought before, and what else they might take ([`gated`]).
//! Two small networks do it: one takes a step a basket, the other looks at a block of candidates. The
//! items' numbers stand beside them in a table.
//!
//! It runs on tract, so only with the cargo feature `intent`; without, a stored one can be read and
//! kept, but [`Recurrent::new`] says that it cannot be run.

mod inputs;
#[cfg_attr(not(feature = "intent"), path = "absent.rs")]
mod run;
mod stored;

#[cfg(test)]
mod tests;

pub use inputs::{
    EMBEDDING, HIDDEN, KNOTS, MOMENT, MOST_STEPS, Moment, Quantiles, STEP, gated, is_own,
    item_weight, steps,
};
pub use stored::{Networks, RecurrentError};

use super::{Candidates, FEATURES, History, Method, Scorer};
use run::Plans;

/// Candidates that are looked at in one run: most people have twice as many.
const BLOCK: usize = 64;

/// The model, ready to run.
#[derive(Clone)]
pub struct Recurrent {
    networks: Networks,
    plans: Plans,
}

impl Recurrent {
    /// Builds the networks and tries them once, on zeros.
    ///
    /// # Errors
    /// [`RecurrentError::Network`] where tract does not take them or they have other shapes,
    /// [`RecurrentError::Absent`] where this build has no tract.
    pub fn new(networks: Networks) -> Result<Self, RecurrentError> {
        let plans = Plans::new(&networks)?;
        Ok(Self { networks, plans })
    }

    /// What it is made of.
    #[must_use]
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// What the network remembers of a person.
    fn state(&self, history: &History) -> Result<Vec<f32>, RecurrentError> {
        let mut state = vec![0.0; HIDDEN];
        for (basket, moment) in steps(history) {
            let mut x = [0.0; STEP];
            let weight = item_weight(basket);
            for item in &basket.items {
                let row = self.networks.item(*item);
                x.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
            }
            x[EMBEDDING..].copy_from_slice(&moment);
            state = self.plans.advance(&x, &state)?;
        }
        Ok(state)
    }

    /// Log-probabilities of being the next purchase, in the candidates' order.
    ///
    /// # Errors
    /// [`RecurrentError::Network`] where a number is not finite.
    pub fn log_probabilities(
        &self,
        history: &History,
        candidates: &Candidates,
    ) -> Result<Vec<f64>, RecurrentError> {
        let state = self.state(history)?;
        let (mut repeat, mut explore, mut gate) = (Vec::new(), Vec::new(), 0.0);
        let all = candidates.items.chunks(BLOCK);
        for (items, features) in all.zip(candidates.features.chunks(BLOCK * FEATURES.len())) {
            let mut rows = features.to_vec();
            self.networks.quantiles().place(&mut rows);
            rows.resize(BLOCK * FEATURES.len(), 0.0);
            let mut table: Vec<f32> =
                items.iter().flat_map(|item| self.networks.item(*item)).copied().collect();
            table.resize(BLOCK * EMBEDDING, 0.0);
            let found = self.plans.look(&state, &rows, &table)?;
            repeat.extend_from_slice(&found.0[..items.len()]);
            explore.extend_from_slice(&found.1[..items.len()]);
            gate = found.2;
        }
        let own: Vec<bool> = (0..candidates.items.len()).map(|at| is_own(candidates, at)).collect();
        Ok(gated(&own, &repeat, &explore, gate))
    }
}

impl Scorer for Recurrent {
    fn name(&self) -> &str {
        Method::Recurrent.name()
    }

    /// Log-probabilities of being the next purchase; ENS where the network cannot be run.
    fn scores(&self, history: &History, candidates: &Candidates, out: &mut Vec<f64>) {
        let found = self.log_probabilities(history, candidates);
        *out = found.unwrap_or_else(|_| candidates.ens.clone());
    }
}

impl std::fmt::Debug for Recurrent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recurrent").field("networks", &self.networks).finish_non_exhaustive()
    }
}

impl PartialEq for Recurrent {
    fn eq(&self, other: &Self) -> bool {
        self.networks == other.networks
    }
}
