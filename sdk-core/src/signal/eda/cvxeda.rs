//! cvxEDA: tonic and phasic as the most plausible pair, by convex optimisation.
//!
//! Greco, Valenza, Lanata, Scilingo & Citi 2016, "cvxEDA: A Convex Optimization Approach to
//! Electrodermal Activity Processing", IEEE TBME 63(4):797. Skin conductance `y` is taken for
//!
//! ```text
//! y = M q  (phasic)  +  B l + C d  (tonic)  +  noise
//! ```
//!
//! with `p = A q >= 0` the sparse activity of the sudomotor nerve, `A` and `M` the two halves of a
//! discretised Bateman response, `B` cubic splines with knots 10 s apart and `C` a
//! line. Asked for is the least
//!
//! ```text
//! 1/2 |M q + B l + C d - y|^2  +  alpha 1'A q  +  gamma/2 |l|^2    with  A q >= 0 .
//! ```
//!
//! It is solved by an interior-point method (Mehrotra 1992, *SIAM J. Optimization* 2:575; Nocedal
//! & Wright, *Numerical Optimization*, 2nd ed., section 16.6). A general sparse solver would not
//! know what this problem is like: `M` and `A` have three diagonals, so that the block of `q` in
//! each Newton step has five, whatever the weights; the few dozen columns of `B` and `C` stand at
//! its border and leave by a Schur complement. A step then costs `O(n k + n k^2)` small, regular
//! loops for `n` samples and `k` border columns, without a fill-in analysis.

use super::banded::{Lanes, Pentadiagonal, products, solve_dense};
use thiserror::Error;

/// Time constants of the Bateman response, seconds: slow and fast. This and the next three are the
/// defaults of Greco et al.'s own implementation, which neurokit2 keeps.
const SLOW_S: f64 = 2.0;
const FAST_S: f64 = 0.7;
/// Knots of the tonic spline are so far apart, seconds.
const KNOTS_S: f64 = 10.0;
/// Weight of the nerve's activity.
const ALPHA: f64 = 8e-4;
/// Weight of the spline's coefficients.
const GAMMA: f64 = 1e-2;
/// The duality gap, relative to the objective, at which the solution stands.
const GAP: f64 = 1e-9;
/// A gap of this share of `|y|^2` is rounding: a line leaves no objective to compare with.
const ROUNDING: f64 = 1e-14;
/// So many Newton steps are never needed: 10 to 25 are usual.
const MOST_STEPS: usize = 100;
/// A step keeps this share of the way to the boundary (Nocedal & Wright, section 16.6).
const SHARE_OF_WAY: f64 = 0.995;
/// Cells of the border, of which four copies of 8 bytes a cell are held: an hour at 4 Hz, 13
/// minutes at 100.
const MOST_CELLS: usize = 6_000_000;

/// The two parts of skin conductance.
#[derive(Debug, Clone, PartialEq)]
pub struct CvxEda {
    /// Spline and line; microsiemens.
    pub tonic_microsiemens: Vec<f64>,
    /// Responses; microsiemens, never far below 0.
    pub phasic_microsiemens: Vec<f64>,
    /// Newton steps taken.
    pub steps: usize,
}

/// Why there is no decomposition.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum CvxEdaError {
    /// Too many samples, too few, a rate that is none, or values that are not finite.
    #[error(
        "cvxEDA takes finite values at 1 to 1000 Hz, from 1 s to an hour at 4 Hz, less at more; \
         {samples} samples at {rate_hz} Hz are not that: cut or resample the recording"
    )]
    Input {
        /// Samples given.
        samples: usize,
        /// Their rate.
        rate_hz: f64,
    },
    /// The iteration came to no end.
    #[error("cvxEDA found no solution in {MOST_STEPS} steps: analyse with the high-pass method")]
    NoSolution,
}

/// The parts of the problem that stay the same from step to step.
struct Problem {
    y: Vec<f64>,
    /// Rows of `A` from the third sample on: weights of a sample, the one before, and the second
    /// before.
    ar: [f64; 3],
    /// `M'M`.
    phasic: Pentadiagonal,
    /// Columns of `B`, `C` one after the other: `n` values each.
    border: Vec<Vec<f64>>,
    /// `M' [B C]`.
    coupling: Vec<Vec<f64>>,
    /// The same four columns at a time, filled up with 0, each with the first row that is not.
    lanes: Vec<(usize, Vec<Lanes>)>,
    /// `[B C]'[B C]` and gamma, row by row.
    tonic: Vec<f64>,
}

/// `M` is a moving average: `y_i = q_i + 2 q_(i-1) + q_(i-2)`.
const MA: [f64; 3] = [1.0, 2.0, 1.0];

/// Rows `2..n` of a matrix with three diagonals, times `x`.
fn times(weights: [f64; 3], x: &[f64]) -> Vec<f64> {
    x.windows(3).map(|w| weights[0] * w[2] + weights[1] * w[1] + weights[2] * w[0]).collect()
}

/// Its transpose times `z`, which has two values less than the result.
fn transposed(weights: [f64; 3], z: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; z.len() + 2];
    for (i, &z) in z.iter().enumerate() {
        x[i + 2] += weights[0] * z;
        x[i + 1] += weights[1] * z;
        x[i] += weights[2] * z;
    }
    x
}

/// Eight sums side by side: one alone would wait for each of its additions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Takes skin conductance in microsiemens, `rate_hz` samples a second, apart.
///
/// # Errors
/// [`CvxEdaError`] when there is too little, too much, or nothing finite to take apart.
pub fn cvxeda(values_us: &[f64], rate_hz: f64) -> Result<CvxEda, CvxEdaError> {
    let samples = values_us.len();
    let refused = CvxEdaError::Input { samples, rate_hz };
    if !(1.0..=1000.0).contains(&rate_hz)
        || (samples as f64) < rate_hz.max(3.0)
        || values_us.iter().any(|v| !v.is_finite())
    {
        return Err(refused);
    }
    let knots = samples.div_ceil(knot_samples(rate_hz)) + 2;
    if samples.saturating_mul(knots) > MOST_CELLS {
        return Err(refused);
    }
    let problem = Problem::new(values_us, rate_hz);
    let (solution, steps) = problem.solve().ok_or(CvxEdaError::NoSolution)?;
    let mut phasic_microsiemens = vec![0.0; 2];
    phasic_microsiemens.extend(times(MA, &solution.q));
    Ok(CvxEda { tonic_microsiemens: problem.tonic(&solution.l), phasic_microsiemens, steps })
}

fn knot_samples(rate_hz: f64) -> usize {
    (KNOTS_S * rate_hz).round() as usize
}

/// A cubic spline: a triangle of half-width `half`, convolved with itself, its top at 1.
fn spline(half: usize) -> Vec<f64> {
    let triangle: Vec<f64> = (1..half).chain((1..=half).rev()).map(|v| v as f64).collect();
    let mut spline = vec![0.0; 2 * triangle.len() - 1];
    for (i, a) in triangle.iter().enumerate() {
        for (s, b) in spline[i..].iter_mut().zip(&triangle) {
            *s += a * b;
        }
    }
    let top = spline.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    spline.iter().map(|s| s / top).collect()
}

/// Unknowns: `q`, the coefficients of the border, slack `s = A q` and its multipliers `z`.
struct Point {
    q: Vec<f64>,
    l: Vec<f64>,
    s: Vec<f64>,
    z: Vec<f64>,
}

impl Problem {
    fn new(y: &[f64], rate_hz: f64) -> Self {
        let n = y.len();
        let dt = 1.0 / rate_hz;
        // Bilinear transform of the Bateman response.
        let (fast, slow) = (1.0 / FAST_S, 1.0 / SLOW_S);
        let ar = [
            (fast * dt + 2.0) * (slow * dt + 2.0),
            2.0 * fast * slow * dt * dt - 8.0,
            (fast * dt - 2.0) * (slow * dt - 2.0),
        ]
        .map(|a| a / ((fast - slow) * dt * dt));
        let spacing = knot_samples(rate_hz);
        let spline = spline(spacing);
        let centre = spline.len() / 2;
        let mut border: Vec<Vec<f64>> = (0..n)
            .step_by(spacing)
            .map(|knot| {
                (0..n)
                    .map(|i| (i + centre).checked_sub(knot).and_then(|j| spline.get(j)))
                    .map(|s| s.copied().unwrap_or(0.0))
                    .collect()
            })
            .collect();
        let splines = border.len();
        border.push(vec![1.0; n]);
        border.push((1..=n).map(|i| i as f64 / n as f64).collect());
        let coupling: Vec<Vec<f64>> = border.iter().map(|b| transposed(MA, &b[2..])).collect();
        let lanes = coupling
            .chunks(4)
            .map(|columns| {
                let lane = |c: usize, i: usize| columns.get(c).map_or(0.0, |column| column[i]);
                let rows: Vec<Lanes> =
                    (0..n).map(|i| std::array::from_fn(|c| lane(c, i))).collect();
                (rows.iter().position(|row| *row != [0.0; 4]).unwrap_or(n), rows)
            })
            .collect();
        let k = border.len();
        let mut tonic = vec![0.0; k * k];
        for i in 0..k {
            for j in 0..k {
                tonic[i * k + j] = dot(&border[i], &border[j]);
            }
            if i < splines {
                tonic[i * k + i] += GAMMA;
            }
        }
        let mut phasic = Pentadiagonal::zero(n);
        phasic.add_gram(MA, std::iter::repeat(1.0));
        Self { y: y.to_vec(), ar, phasic, border, coupling, lanes, tonic }
    }

    /// `B l + C d`.
    fn tonic(&self, l: &[f64]) -> Vec<f64> {
        let mut tonic = vec![0.0; self.y.len()];
        for (column, l) in self.border.iter().zip(l) {
            for (t, b) in tonic.iter_mut().zip(column) {
                *t += b * l;
            }
        }
        tonic
    }

    /// Factors the Newton matrix for weights `z / s` of the rows of `A`.
    fn factor(&self, weights: impl Iterator<Item = f64>) -> Option<Factor<'_>> {
        let mut phasic = self.phasic.clone();
        phasic.add_gram(self.ar, weights);
        phasic.factor()?;
        // With W = D^-1/2 L^-1 M'[B C], the Schur complement takes W'W from the border's block.
        let mut half = self.lanes.clone();
        for (start, rows) in &mut half {
            phasic.half_solve(rows, *start);
        }
        let k = self.border.len();
        let mut schur = self.tonic.clone();
        for (i, (start_i, a)) in half.iter().enumerate() {
            for (j, (start_j, b)) in half[..=i].iter().enumerate() {
                let block = products(a, b, *start_i.max(start_j));
                for (row, columns) in (4 * i..k).zip(block) {
                    for (column, product) in (4 * j..k).zip(columns) {
                        schur[row * k + column] -= product;
                    }
                }
            }
        }
        Some(Factor { problem: self, phasic, schur })
    }

    /// Gradient of the smooth part at `(q, l)`, without the nerve's weight.
    fn residual(&self, q: &[f64], l: &[f64]) -> Vec<f64> {
        let mut residual = self.tonic(l);
        for (r, y) in residual.iter_mut().zip(&self.y) {
            *r -= y;
        }
        for (r, phasic) in residual[2..].iter_mut().zip(times(MA, q)) {
            *r += phasic;
        }
        residual
    }

    fn gradient(&self, point: &Point) -> (Vec<f64>, Vec<f64>, f64) {
        let residual = self.residual(&point.q, &point.l);
        let mut by_q = transposed(MA, &residual[2..]);
        let pull: Vec<f64> = point.z.iter().map(|z| ALPHA - z).collect();
        for (g, a) in by_q.iter_mut().zip(transposed(self.ar, &pull)) {
            *g += a;
        }
        let splines = self.border.len() - 2;
        let by_l = self.border.iter().zip(&point.l).enumerate().map(|(i, (column, l))| {
            dot(column, &residual) + if i < splines { GAMMA * l } else { 0.0 }
        });
        let penalty: f64 = point.l[..splines].iter().map(|l| l * l).sum();
        let activity: f64 = times(self.ar, &point.q).iter().sum();
        let objective = 0.5 * dot(&residual, &residual) + ALPHA * activity + 0.5 * GAMMA * penalty;
        (by_q, by_l.collect(), objective)
    }

    /// The point where Mehrotra's method begins: the least squares with slack as it comes out,
    /// moved into the inside.
    fn start(&self) -> Option<Point> {
        let n = self.y.len();
        let minus_y: Vec<f64> = self.y.iter().map(|y| -y).collect();
        let mut by_q = transposed(MA, &minus_y[2..]);
        for (g, a) in by_q.iter_mut().zip(transposed(self.ar, &vec![ALPHA; n - 2])) {
            *g += a;
        }
        let by_l: Vec<f64> = self.border.iter().map(|column| dot(column, &minus_y)).collect();
        let factor = self.factor(std::iter::repeat_n(1.0, n - 2))?;
        let (q, l) = factor.solve(by_q, by_l)?;
        let slack = times(self.ar, &q);
        // With unit weights the multipliers are the negative slack.
        let inside = |values: Vec<f64>| {
            let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
            let size = (dot(&values, &values) / values.len() as f64).sqrt().max(f64::MIN_POSITIVE);
            let shift = if lowest < 1e-8 * size { size - lowest } else { 0.0 };
            values.into_iter().map(|v| v + shift).collect::<Vec<f64>>()
        };
        let z = inside(slack.iter().map(|s| -s).collect());
        Some(Point { q, l, s: inside(slack), z })
    }

    fn solve(&self) -> Option<(Point, usize)> {
        let mut point = self.start()?;
        let m = point.s.len() as f64;
        let rounding = ROUNDING * dot(&self.y, &self.y);
        for step in 0..MOST_STEPS {
            let (by_q, by_l, objective) = self.gradient(&point);
            let infeasible: Vec<f64> =
                times(self.ar, &point.q).iter().zip(&point.s).map(|(a, s)| a - s).collect();
            let gap = dot(&point.s, &point.z);
            let rest = largest(&by_q).max(largest(&by_l)) / (1.0 + largest(&self.y));
            let off = largest(&infeasible) / (1.0 + largest(&point.s));
            if !(gap.is_finite() && objective.is_finite()) {
                return None;
            }
            if gap <= (GAP * objective.abs()).max(rounding) && rest < 1e-7 && off < 1e-7 {
                return Some((point, step));
            }
            let factor = self.factor(point.z.iter().zip(&point.s).map(|(z, s)| z / s))?;
            let towards = |complement: &[f64]| {
                self.direction(&factor, &point, (&by_q, &by_l), &infeasible, complement)
            };
            let product: Vec<f64> = point.s.iter().zip(&point.z).map(|(s, z)| s * z).collect();
            let predictor = towards(&product)?;
            let share = reach(&point.s, &predictor.s).min(reach(&point.z, &predictor.z));
            let moved = |x: &[f64], d: &[f64]| -> Vec<f64> {
                x.iter().zip(d).map(|(x, d)| x + share * d).collect()
            };
            let left = dot(&moved(&point.s, &predictor.s), &moved(&point.z, &predictor.z));
            let centring = (left / gap).powi(3) * gap / m;
            let complement: Vec<f64> = product
                .iter()
                .zip(predictor.s.iter().zip(&predictor.z))
                .map(|(sz, (ds, dz))| sz + ds * dz - centring)
                .collect();
            let corrector = towards(&complement)?;
            let share =
                SHARE_OF_WAY * reach(&point.s, &corrector.s).min(reach(&point.z, &corrector.z));
            let share = share.min(1.0);
            let parts = [
                (&mut point.q, &corrector.q),
                (&mut point.l, &corrector.l),
                (&mut point.s, &corrector.s),
                (&mut point.z, &corrector.z),
            ];
            for (x, d) in parts {
                x.iter_mut().zip(d).for_each(|(x, d)| *x += share * d);
            }
        }
        None
    }

    /// The Newton step that takes the gradient, the infeasibility and the complement to 0.
    fn direction(
        &self,
        factor: &Factor,
        point: &Point,
        (by_q, by_l): (&[f64], &[f64]),
        infeasible: &[f64],
        complement: &[f64],
    ) -> Option<Point> {
        // Slack and multipliers eliminated: a pull on each row of A.
        let pull: Vec<f64> = (0..point.s.len())
            .map(|i| (complement[i] + point.z[i] * infeasible[i]) / point.s[i])
            .collect();
        let mut target = transposed(self.ar, &pull);
        for (t, g) in target.iter_mut().zip(by_q) {
            *t += g;
        }
        let (q, l) = factor.solve(target, by_l.to_vec())?;
        let s: Vec<f64> =
            times(self.ar, &q).iter().zip(infeasible).map(|(a, off)| a + off).collect();
        let z = (0..s.len()).map(|i| -(complement[i] + point.z[i] * s[i]) / point.s[i]).collect();
        Some(Point { q, l, s, z })
    }
}

/// A factored Newton matrix.
struct Factor<'a> {
    problem: &'a Problem,
    phasic: Pentadiagonal,
    schur: Vec<f64>,
}

impl Factor<'_> {
    /// Solves for the negative of a right-hand side.
    fn solve(&self, mut by_q: Vec<f64>, mut by_l: Vec<f64>) -> Option<(Vec<f64>, Vec<f64>)> {
        by_q.iter_mut().chain(&mut by_l).for_each(|v| *v = -*v);
        let mut q = by_q.clone();
        self.phasic.solve(&mut q);
        for (l, column) in by_l.iter_mut().zip(&self.problem.coupling) {
            *l -= dot(column, &q);
        }
        let l = solve_dense(self.schur.clone(), by_l)?;
        for (column, l) in self.problem.coupling.iter().zip(&l) {
            for (q, c) in by_q.iter_mut().zip(column) {
                *q -= c * l;
            }
        }
        self.phasic.solve(&mut by_q);
        Some((by_q, l))
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |a, v| a.max(v.abs()))
}

/// How far `x + share * d` stays positive, at most 1 / [`SHARE_OF_WAY`].
fn reach(x: &[f64], d: &[f64]) -> f64 {
    let limits = x.iter().zip(d).filter(|(_, d)| **d < 0.0).map(|(x, d)| -x / d);
    limits.fold(1.0 / SHARE_OF_WAY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_all_tonic() {
        let line: Vec<f64> = (0..400).map(|i| 2.0 + 0.001 * f64::from(i)).collect();
        let parts = cvxeda(&line, 4.0).unwrap();
        assert!(parts.phasic_microsiemens.iter().all(|p| p.abs() < 1e-3));
        for (tonic, y) in parts.tonic_microsiemens.iter().zip(&line) {
            assert!((tonic - y).abs() < 1e-3);
        }
    }

    #[test]
    fn what_cannot_be_taken_apart_is_refused() {
        for (values, rate_hz) in [
            (vec![], 4.0),
            (vec![1.0; 3], 4.0),
            (vec![f64::NAN; 100], 4.0),
            (vec![1.0; 100], 0.0),
            (vec![1.0; 100], f64::NAN),
            (vec![1.0; 100_000], 1.0),
        ] {
            assert!(matches!(cvxeda(&values, rate_hz), Err(CvxEdaError::Input { .. })));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_values_never_panic(
            values in prop::collection::vec(prop_oneof![any::<f64>(), 0.0..60.0], 0..200),
            finite in prop::collection::vec(prop_oneof![-1e12..1e12, 0.0..60.0], 4..200),
            rate_hz in prop_oneof![any::<f64>(), 1.0..40.0],
        ) {
            for values in [values, finite] {
                if let Ok(parts) = cvxeda(&values, rate_hz) {
                    prop_assert!(parts.tonic_microsiemens.iter().all(|v| v.is_finite()));
                }
            }
        }
    }
}
