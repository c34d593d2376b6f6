//! Fitting [`LogLinear`]: penalised maximum likelihood by Newton's method.

use super::ReorderFitError;
use crate::boosting::Matrix;
use models::{
    booster::sigmoid,
    reorder::{LogLinear, Scale, feature_names, signed_log},
};

/// Features whose products count, too: how often and how regularly, for the pair, the person and
/// the category. Chosen on test days 92, 85 and 78 of Ta-Feng.
const CROSSED: [&str; 25] = [
    "purchases",
    "since",
    "gap_mean",
    "gap_sd",
    "since_by_gap_drawn",
    "count_30",
    "decayed_21",
    "decayed_60",
    "age",
    "share_of_visits",
    "share_since_first",
    "visits_since",
    "in_latest_visits",
    "quantity_mean",
    "visit_rate",
    "visit_since",
    "visit_gap_latest",
    "visits_30",
    "visit_decayed_21",
    "basket_mean",
    "person_repeat_share",
    "category_people",
    "category_frequency",
    "category_repeat_share",
    "category_recent_share",
];
/// Precision of the weights' normal prior around zero (ridge regression; Hoerl and Kennard 1970),
/// standard deviation 0.06. Chosen on the same days, from 30 to 1,000.
const RIDGE: f64 = 300.0;
/// Rows that the curvature is estimated from, evenly drawn; slopes are those of all rows
/// (sub-sampled Newton: Byrd, Chin, Neveitt and Nocedal, "On the use of stochastic Hessian
/// information in optimization methods for machine learning", 2011).
const CURVATURE_ROWS: usize = 20_000;
/// Most steps; it takes about ten.
const MOST_STEPS: usize = 30;
/// Half the step so often at most.
const MOST_HALVINGS: i32 = 20;
/// A loss a row that falls by less is at its least.
const FLAT: f64 = 1e-8;

/// Fits it to rows of features and their labels, 1 or 0.
pub(super) fn fit(rows: &Matrix, labels: &[f32]) -> Result<LogLinear, ReorderFitError> {
    let scale = scale(rows)?;
    let mut standard = Vec::with_capacity(rows.values().len());
    rows.values().chunks_exact(rows.width()).for_each(|row| scale.standard(row, &mut standard));
    let task = Task { scale: &scale, standard: &standard, labels };
    let weights = task.weights().into_iter().map(|weight| weight as f32).collect();
    Ok(LogLinear::new(scale, weights)?)
}

fn scale(rows: &Matrix) -> Result<Scale, ReorderFitError> {
    let width = rows.width();
    let (mut count, mut mean, mut squares) = (vec![0.0; width], vec![0.0; width], vec![0.0; width]);
    // Welford, "Note on a method for calculating corrected sums of squares and products", 1962.
    for row in rows.values().chunks_exact(width) {
        for (at, value) in row.iter().map(|value| signed_log(*value)).enumerate() {
            if value.is_finite() {
                count[at] += 1.0;
                let off = value - mean[at];
                mean[at] += off / count[at];
                squares[at] += off * (value - mean[at]);
            }
        }
    }
    // What never varies is always at its mean.
    let spread = squares.iter().zip(&count).map(|(squares, count): (&f64, &f64)| {
        let spread = (squares / count.max(1.0)).sqrt();
        if spread > 0.0 { spread } else { 1.0 }
    });
    let crossed = |(place, name): (usize, &str)| CROSSED.contains(&name).then_some(place);
    let crossed = feature_names().into_iter().enumerate().filter_map(crossed).collect();
    Ok(Scale::new(mean, spread.collect(), crossed)?)
}

struct Task<'a> {
    scale: &'a Scale,
    /// Rows as the regression sees them.
    standard: &'a [f32],
    labels: &'a [f32],
}

impl Task<'_> {
    fn weights(&self) -> Vec<f64> {
        let width = self.scale.width();
        let mut weights = vec![0.0; width];
        let yes = self.labels.iter().filter(|label| **label == 1.0).count() as f64;
        let no = self.labels.len() as f64 - yes;
        // As if one more row of each had been seen: no odds are infinite.
        weights[width - 1] = ((yes + 1.0) / (no + 1.0)).ln();
        let mut least = self.loss(&weights);
        for _ in 0..MOST_STEPS {
            let (slope, curvature) = self.slope_and_curvature(&weights);
            let Some(step) = solve(curvature, &slope) else { break };
            let shorter = (0..MOST_HALVINGS).map(|n| 0.5_f64.powi(n)).find_map(|share| {
                let to: Vec<f64> =
                    weights.iter().zip(&step).map(|(weight, step)| weight - share * step).collect();
                let loss = self.loss(&to);
                (loss < least).then_some((to, loss))
            });
            let Some((to, loss)) = shorter else { break };
            let fell = least - loss;
            (weights, least) = (to, loss);
            if fell < FLAT * self.labels.len() as f64 {
                break;
            }
        }
        weights
    }

    /// Shows each row's terms and label.
    fn each(&self, mut show: impl FnMut(usize, &[f32], f64)) {
        let mut terms = Vec::with_capacity(self.scale.width());
        let rows = self.standard.chunks_exact(self.scale.features()).zip(self.labels);
        for (index, (row, label)) in rows.enumerate() {
            terms.clear();
            self.scale.terms(row, &mut terms);
            show(index, &terms, f64::from(*label));
        }
    }

    /// Negative log-likelihood, and what the prior adds.
    fn loss(&self, weights: &[f64]) -> f64 {
        let mut loss = 0.0;
        self.each(|_, terms, label| {
            let z = dot(terms, weights);
            // ln(1 + e^z) - label * z, without overflow.
            loss += z.max(0.0) + (-z.abs()).exp().ln_1p() - label * z;
        });
        let (_, drawn) = weights.split_last().unwrap_or((&0.0, &[]));
        loss + RIDGE / 2.0 * drawn.iter().map(|weight| weight * weight).sum::<f64>()
    }

    /// Of the loss: its slope, and its second derivatives' lower triangle, row by row.
    fn slope_and_curvature(&self, weights: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let width = weights.len();
        let one_in = self.labels.len().div_ceil(CURVATURE_ROWS).max(1);
        let mut slope = vec![0.0; width];
        let mut curvature: Vec<Vec<f64>> = (1..=width).map(|length| vec![0.0; length]).collect();
        self.each(|index, terms, label| {
            let p = sigmoid(dot(terms, weights));
            let error = p - label;
            slope.iter_mut().zip(terms).for_each(|(sum, term)| *sum += error * f64::from(*term));
            if index.is_multiple_of(one_in) {
                let curve = p * (1.0 - p) * one_in as f64;
                for (row, term) in curvature.iter_mut().zip(terms) {
                    let by = curve * f64::from(*term);
                    row.iter_mut()
                        .zip(terms)
                        .for_each(|(sum, other)| *sum += by * f64::from(*other));
                }
            }
        });
        for (place, weight) in weights.iter().enumerate().take(width - 1) {
            slope[place] += RIDGE * weight;
            curvature[place][place] += RIDGE;
        }
        // The bias alone has no prior; what keeps the system solvable where all rows are sure.
        curvature[width - 1][width - 1] += f64::EPSILON * self.labels.len() as f64;
        (slope, curvature)
    }
}

fn dot(terms: &[f32], weights: &[f64]) -> f64 {
    terms.iter().zip(weights).map(|(term, weight)| f64::from(*term) * weight).sum()
}

/// Solves `A x = b` for a symmetric positive definite `A`, given as the rows of its lower triangle,
/// by Cholesky's decomposition (Golub and Van Loan, "Matrix Computations", section 4.2). `None` if it is
/// not positive definite.
fn solve(mut a: Vec<Vec<f64>>, b: &[f64]) -> Option<Vec<f64>> {
    for row in 0..a.len() {
        let (before, rest) = a.split_at_mut(row);
        let own = rest.first_mut()?;
        for column in 0..row {
            let other = &before[column];
            let sum: f64 = (0..column).map(|k| own[k] * other[k]).sum();
            own[column] = (own[column] - sum) / other[column];
        }
        let square = own[row] - own[..row].iter().map(|value| value * value).sum::<f64>();
        if square.is_nan() || square <= 0.0 {
            return None;
        }
        own[row] = square.sqrt();
    }
    let mut x = b.to_vec();
    for row in 0..a.len() {
        let sum: f64 = (0..row).map(|k| a[row][k] * x[k]).sum();
        x[row] = (x[row] - sum) / a[row][row];
    }
    for row in (0..a.len()).rev() {
        let sum: f64 = (row + 1..a.len()).map(|k| a[k][row] * x[k]).sum();
        x[row] = (x[row] - sum) / a[row][row];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::reorder::FEATURES;
    use proptest::prelude::*;

    /// 4x + 2y = 2, 2x + 3y = 5: x = -1/2, y = 2.
    #[test]
    fn a_small_system_is_solved_as_by_hand() {
        let x = solve(vec![vec![4.0], vec![2.0, 3.0]], &[2.0, 5.0]).unwrap();
        assert!((x[0] + 0.5).abs() < 1e-12 && (x[1] - 2.0).abs() < 1e-12, "{x:?}");
        assert_eq!(solve(vec![vec![1.0], vec![2.0, 1.0]], &[1.0, 1.0]), None);
    }

    /// Labels by the product of two features alone: no single one tells anything.
    #[test]
    fn products_are_learned() {
        let (first, second) = (place("purchases"), place("since"));
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        for index in 0..8_000 {
            let sign = |bit: usize| if index >> bit & 1 == 1 { 1.0_f32 } else { -1.0 };
            let mut row = vec![f32::NAN; FEATURES];
            (row[first], row[second]) = (sign(0), sign(1));
            // Nine in ten where signs agree, one in ten where not.
            let often = (index / 4) % 10 != 0;
            values.extend(row);
            labels.push(f32::from(u8::from((sign(0) == sign(1)) == often)));
        }
        let fitted = fit(&Matrix::new(values.clone(), FEATURES).unwrap(), &labels).unwrap();
        let score = |index: usize| fitted.score(&values[index * FEATURES..][..FEATURES]);
        // ln 9 = 2.197, drawn towards zero by the prior.
        assert!((1.2..2.2).contains(&score(0)) && (1.2..2.2).contains(&score(3)), "{}", score(0));
        assert!((-2.2..-1.2).contains(&score(1)) && (-2.2..-1.2).contains(&score(2)));
    }

    fn place(name: &str) -> usize {
        feature_names().iter().position(|other| *other == name).unwrap()
    }

    #[test]
    fn all_that_is_crossed_is_a_feature() {
        assert!(CROSSED.iter().all(|name| feature_names().contains(name)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn any_rows_are_survived(
            rows in prop::collection::vec((prop::collection::vec(any::<f32>(), FEATURES), any::<bool>()), 1..12),
        ) {
            let values: Vec<f32> = rows.iter().flat_map(|(row, _)| row).copied().collect();
            let labels: Vec<f32> = rows.iter().map(|(_, label)| f32::from(u8::from(*label))).collect();
            let fitted = fit(&Matrix::new(values, FEATURES).unwrap(), &labels).unwrap();
            for (row, _) in &rows {
                prop_assert!(fitted.score(row).is_finite());
            }
        }
    }
}
