//! Two small solvers for symmetric positive definite systems: five diagonals, and dense.

/// One row of four columns, which a processor works on at once.
pub(super) type Lanes = [f64; 4];

/// A symmetric matrix with five diagonals; after [`Pentadiagonal::factor`], its `L D L'`.
#[derive(Debug, Clone)]
pub(super) struct Pentadiagonal {
    /// Row by row: the diagonal, one left of it, two left of it.
    rows: Vec<[f64; 3]>,
}

impl Pentadiagonal {
    pub(super) fn zero(n: usize) -> Self {
        Self { rows: vec![[0.0; 3]; n] }
    }

    /// Adds `T' diag(weights) T`, where row `i` of `T` has `w[0]`, `w[1]`, `w[2]` at columns
    /// `i + 2`, `i + 1`, `i`.
    pub(super) fn add_gram(&mut self, w: [f64; 3], weights: impl IntoIterator<Item = f64>) {
        let weights = weights.into_iter().take(self.rows.len().saturating_sub(2));
        for (i, weight) in weights.enumerate() {
            let v = w.map(|w| weight * w);
            let [a, b, c] = &mut self.rows[i..i + 3] else { return };
            c[0] += v[0] * w[0];
            c[1] += v[0] * w[1];
            c[2] += v[0] * w[2];
            b[0] += v[1] * w[1];
            b[1] += v[1] * w[2];
            a[0] += v[2] * w[2];
        }
    }

    /// Replaces the matrix by its factors: `rows[i] = [d, l1, l2]`. `None` if it is not positive
    /// definite.
    pub(super) fn factor(&mut self) -> Option<()> {
        let (mut before, mut second) = ([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]);
        for row in &mut self.rows {
            let l2 = row[2] / second[0];
            let l1 = (row[1] - l2 * second[0] * before[1]) / before[0];
            let d = row[0] - l1 * l1 * before[0] - l2 * l2 * second[0];
            if !(d > 0.0 && d.is_finite()) {
                return None;
            }
            *row = [d, l1, l2];
            (second, before) = (before, *row);
        }
        Some(())
    }

    /// `D^-1/2 L^-1 x` for four columns side by side, which are 0 before `start`. The product of
    /// the result with itself is `x' (L D L')^-1 x`.
    pub(super) fn half_solve(&self, x: &mut [Lanes], start: usize) {
        let (mut before, mut second) = ([0.0; 4], [0.0; 4]);
        for (x, [d, l1, l2]) in x.iter_mut().zip(&self.rows).skip(start) {
            let mut solved = *x;
            for ((x, before), second) in solved.iter_mut().zip(before).zip(second) {
                *x -= l1 * before + l2 * second;
            }
            (second, before) = (before, solved);
            *x = solved.map(|x| x / d.sqrt());
        }
    }

    /// Solves for `x` in place.
    pub(super) fn solve(&self, x: &mut [f64]) {
        let (mut before, mut second) = (0.0, 0.0);
        for (x, [_, l1, l2]) in x.iter_mut().zip(&self.rows) {
            *x -= l1 * before + l2 * second;
            (second, before) = (before, *x);
        }
        let (mut after, mut second, mut l_after, mut l_second) = (0.0, 0.0, 0.0, 0.0);
        let mut l2_after = 0.0;
        for (x, [d, l1, l2]) in x.iter_mut().zip(&self.rows).rev() {
            *x = *x / d - l_after * after - l_second * second;
            (second, after) = (after, *x);
            (l_second, l2_after, l_after) = (l2_after, *l2, *l1);
        }
    }
}

/// The 16 products of two times four columns, from row `start` on.
pub(super) fn products(a: &[Lanes], b: &[Lanes], start: usize) -> [Lanes; 4] {
    let mut sums = [[0.0; 4]; 4];
    for (a, b) in a.iter().zip(b).skip(start) {
        for (sums, a) in sums.iter_mut().zip(a) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    sums
}

/// Solves a dense system, row by row, by Cholesky's method. `None` if it is not positive definite.
pub(super) fn solve_dense(mut a: Vec<f64>, mut x: Vec<f64>) -> Option<Vec<f64>> {
    let n = x.len();
    for j in 0..n {
        for i in j..n {
            let known: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            let rest = a[i * n + j] - known;
            if i == j && !(rest > 0.0 && rest.is_finite()) {
                return None;
            }
            a[i * n + j] = if i == j { rest.sqrt() } else { rest / a[j * n + j] };
        }
    }
    for i in 0..n {
        let known: f64 = (0..i).map(|k| a[i * n + k] * x[k]).sum();
        x[i] = (x[i] - known) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| a[k * n + i] * x[k]).sum();
        x[i] = (x[i] - known) / a[i * n + i];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_solve_the_same_system() {
        let n = 12;
        let mut banded = Pentadiagonal::zero(n);
        banded.add_gram([1.0, 2.0, 1.0], std::iter::repeat(1.0));
        banded.add_gram([3.0, -2.5, 0.4], (0..n).map(|i| 0.3 + i as f64));
        let mut dense = vec![0.0; n * n];
        for (i, row) in banded.rows.iter().enumerate() {
            for (back, v) in row.iter().enumerate().filter(|(back, _)| *back <= i) {
                dense[i * n + i - back] = *v;
                dense[(i - back) * n + i] = *v;
            }
        }
        let right: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
        let expected = solve_dense(dense.clone(), right.clone()).unwrap();
        let mut found = right.clone();
        banded.factor().unwrap();
        banded.solve(&mut found);
        for i in 0..n {
            assert!((found[i] - expected[i]).abs() < 1e-9, "{i}: {found:?} {expected:?}");
            let product: f64 = (0..n).map(|j| dense[i * n + j] * found[j]).sum();
            assert!((product - right[i]).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        assert_eq!(solve_dense(vec![1.0, 2.0, 2.0, 1.0], vec![1.0, 1.0]), None);
        assert_eq!(Pentadiagonal::zero(3).factor(), None);
    }
}
