//! Least value of a smooth function of a few numbers, by Nelder and Mead's simplex.

use argmin::{
    core::{CostFunction, Error, Executor, State},
    solver::neldermead::NelderMead,
};

/// The simplex stops where its values differ by less than this.
const TOLERANCE: f64 = 1e-9;
/// Most steps of one descent.
const MOST_STEPS: u64 = 4_000;
/// Edge of the first simplex, and of those the search is taken up with again: a simplex that
/// collapsed too early gets out of it.
const EDGES: [f64; 4] = [0.5, 0.1, 0.02, 0.1];

struct Cost<F>(F);

impl<F: Fn(&[f64]) -> f64> CostFunction for Cost<F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Vec<f64>) -> Result<f64, Error> {
        let value = (self.0)(at);
        Ok(if value.is_nan() { f64::INFINITY } else { value })
    }
}

/// Where `cost` is least near `start`, and its value there. Deterministic.
///
/// # Errors
/// What the optimiser refuses: none for a cost that is finite at `start`.
pub(crate) fn minimise(
    start: &[f64],
    cost: impl Fn(&[f64]) -> f64,
) -> Result<(Vec<f64>, f64), Error> {
    let mut best = start.to_vec();
    let mut least = cost(start);
    for edge in EDGES {
        let corner = |i: usize| {
            let mut corner = best.clone();
            corner[i] += edge;
            corner
        };
        let simplex = std::iter::once(best.clone()).chain((0..best.len()).map(corner)).collect();
        let solver = NelderMead::new(simplex).with_sd_tolerance(TOLERANCE)?;
        let done = Executor::new(Cost(&cost), solver)
            .configure(|state| state.max_iters(MOST_STEPS))
            .timer(false)
            .run()?;
        if let Some(at) = done.state().get_best_param()
            && done.state().get_best_cost() < least
        {
            least = done.state().get_best_cost();
            best.clone_from(at);
        }
    }
    Ok((best, least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_bent_valley() {
        // Rosenbrock 1960.
        let valley = |p: &[f64]| (1.0 - p[0]).powi(2) + 100.0 * (p[1] - p[0] * p[0]).powi(2);
        let (at, least) = minimise(&[-1.2, 1.0], valley).unwrap();
        assert!(least < 1e-8 && (at[0] - 1.0).abs() < 1e-3, "{at:?}: {least}");
    }
}
