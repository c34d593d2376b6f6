//! A cubic spline through a tachogram.

/// Least knots of a not-a-knot spline.
pub(super) const LEAST_KNOTS: usize = 4;

/// The not-a-knot cubic spline through `(x, y)`, sampled at `x[0]`, `x[0] + step`, ... before the
/// last knot.
///
/// `x` rises strictly and holds at least [`LEAST_KNOTS`]. Not-a-knot: the third derivative does
/// not jump at the second and the last but one knot (de Boor 1978, *A Practical Guide to Splines*,
/// chapter IV); what SciPy's `CubicSpline` does by default.
pub(super) fn sampled(x: &[f64], y: &[f64], step: f64) -> Vec<f64> {
    let curvature = curvatures(x, y);
    let span = x[x.len() - 1] - x[0];
    let count = (span / step).ceil() as usize;
    let mut samples = Vec::with_capacity(count);
    for i in 0..x.len() - 1 {
        let h = x[i + 1] - x[i];
        let (m, next_m) = (curvature[i], curvature[i + 1]);
        let slope = (y[i + 1] - y[i]) / h - h * (2.0 * m + next_m) / 6.0;
        let (square, cube) = (m / 2.0, (next_m - m) / (6.0 * h));
        let (from, to) = (x[i] - x[0], x[i + 1] - x[0]);
        while samples.len() < count && (samples.len() as f64) * step < to {
            let t = samples.len() as f64 * step - from;
            samples.push(y[i] + t * (slope + t * (square + t * cube)));
        }
    }
    samples
}

/// Second derivatives at the knots, from the tridiagonal system of continuous slopes. The outer
/// two are eliminated from it: the third derivatives of the first two pieces are equal, and so are
/// those of the last two.
fn curvatures(x: &[f64], y: &[f64]) -> Vec<f64> {
    let n = x.len();
    let width = |i: usize| x[i + 1] - x[i];
    let rise = |i: usize| (y[i + 1] - y[i]) / width(i);
    let (first, last) = (width(0) / width(1), width(n - 2) / width(n - 3));

    // Forward elimination: curvature[i] = constant[i] - upper[i] * curvature[i + 1].
    let (mut upper, mut curvature) = (vec![0.0; n], vec![0.0; n]);
    for i in 1..n - 1 {
        let (before, after) = (width(i - 1), width(i));
        let mut diagonal = 2.0 * (before + after);
        let (mut left, mut right) = (before, after);
        if i == 1 {
            diagonal += before * (1.0 + first);
            right -= before * first;
            left = 0.0;
        }
        if i == n - 2 {
            diagonal += after * (1.0 + last);
            left -= after * last;
            right = 0.0;
        }
        let pivot = 1.0 / (diagonal - left * upper[i - 1]);
        upper[i] = right * pivot;
        curvature[i] = (6.0 * (rise(i) - rise(i - 1)) - left * curvature[i - 1]) * pivot;
    }
    for i in (1..n - 2).rev() {
        curvature[i] -= upper[i] * curvature[i + 1];
    }
    curvature[0] = curvature[1] * (1.0 + first) - curvature[2] * first;
    curvature[n - 1] = curvature[n - 2] * (1.0 + last) - curvature[n - 3] * last;
    curvature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cubic_is_its_own_spline() {
        let cubic = |x: f64| 3.0 - 2.0 * x + 0.5 * x * x - 0.1 * x * x * x;
        for n in [4, 5, 9] {
            let x: Vec<f64> = (0..n).map(|i| 0.7 * f64::from(i) + 0.1 * f64::from(i % 3)).collect();
            let y: Vec<f64> = x.iter().map(|&x| cubic(x)).collect();
            let samples = sampled(&x, &y, 0.25);
            assert_eq!(samples.len(), (x[x.len() - 1] / 0.25).ceil() as usize);
            for (i, s) in samples.iter().enumerate() {
                assert!((s - cubic(0.25 * i as f64)).abs() < 1e-10, "{n} knots, sample {i}: {s}");
            }
        }
    }

    #[test]
    fn the_end_itself_is_not_sampled() {
        let x = [0.0, 0.5, 1.0, 1.5, 2.0];
        assert_eq!(sampled(&x, &x, 0.25).len(), 8);
    }
}
