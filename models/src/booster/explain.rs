//! Exact Shapley values of one tree.
//!
//! The game is the one of Lundberg, Erion and Lee, "Consistent individualized feature attribution
//! for tree ensembles", 2018 (arXiv:1802.03888): at a split on a feature that is not known, a row
//! goes both ways, in the shares of the fit's rows. A feature's Shapley value is an integral of the
//! game's multilinear extension (Owen, "Multilinear extensions of games", Management Science 18,
//! 1972): with every other feature known with probability `t`,
//! `phi_i = integral over t in 0..1 of value(i known) - value(i unknown)`.
//! A leaf is reached with probability `prod_j (known_j t + unknown_j (1 - t))` over the features on
//! its path, so the integrand is a polynomial of a degree below the tree's depth, and Gauss-Legendre
//! quadrature with half as many points is exact. Every term is positive: unlike the paper's own
//! algorithm, which takes sets apart by subtraction, this stays exact in deep trees.

use super::{
    MAX_DEPTH,
    tree::{Next, Tree},
};

/// Points that integrate a polynomial of degree `MAX_DEPTH - 1` exactly.
const MOST_POINTS: usize = MAX_DEPTH / 2;

/// A value at each point of the quadrature; those beyond its length stay zero.
type AtPoints = [f64; MOST_POINTS];

/// Where the integrands of a forest are evaluated, and with which weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quadrature {
    points: usize,
    at: AtPoints,
    weights: AtPoints,
}

impl Quadrature {
    /// For trees of at most such a depth.
    ///
    /// Roots of the Legendre polynomial by Newton's method from Chebyshev's guess, and their
    /// weights (Abramowitz and Stegun 25.4.29), moved from -1..1 to 0..1.
    pub(super) fn new(depth: usize) -> Self {
        /// Newton's method doubles the digits each time, from one that is right.
        const ROUNDS: usize = 8;
        let points = depth.div_ceil(2).clamp(1, MOST_POINTS);
        let n = points as f64;
        let (mut at, mut weights) = ([0.0; MOST_POINTS], [0.0; MOST_POINTS]);
        for index in 0..points {
            let mut x = (std::f64::consts::PI * (index as f64 + 0.75) / (n + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..ROUNDS {
                let (mut before, mut value) = (1.0, x);
                for k in 2..=points {
                    let k = k as f64;
                    (before, value) =
                        (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
                }
                slope = n * (x * value - before) / (x * x - 1.0);
                x -= value / slope;
            }
            at[index] = (1.0 - x) / 2.0;
            weights[index] = 1.0 / ((1.0 - x * x) * slope * slope);
        }
        Self { points, at, weights }
    }

    fn at(&self) -> &[f64] {
        &self.at[..self.points]
    }
}

/// How a row passes the splits on one feature so far.
#[derive(Clone, Copy)]
struct Passage {
    /// 1 where the row itself goes on, else 0.
    known: f64,
    /// Share of the fit's rows that go on.
    unknown: f64,
}

impl Passage {
    /// Before the first split on a feature.
    const FREE: Self = Self { known: 1.0, unknown: 1.0 };

    /// Probability to go on where the feature is known with probability `t`. Never zero: `t` lies
    /// strictly inside 0..1, and shares along a path multiply to at least one row of all.
    fn at(self, t: f64) -> f64 {
        self.known * t + self.unknown * (1.0 - t)
    }
}

/// Adds what each feature gives to the tree's value for the row. Values that the row lacks are
/// missing.
pub(super) fn add(tree: &Tree, quadrature: &Quadrature, row: &[f32], out: &mut [f64]) {
    let counts = tree.counts();
    let passages = vec![Passage::FREE; out.len()];
    let mut walk = Walk { tree, quadrature, row, counts: &counts, passages, out };
    walk.descend(tree.root(), quadrature.weights);
}

struct Walk<'a> {
    tree: &'a Tree,
    quadrature: &'a Quadrature,
    row: &'a [f32],
    counts: &'a [f64],
    /// Of each feature, on the way to where the walk is.
    passages: Vec<Passage>,
    out: &'a mut [f64],
}

impl Walk<'_> {
    /// Takes the weighted probability to get here and returns the weighted value of the leaves
    /// below. As deep as the tree, which is at most [`MAX_DEPTH`].
    fn descend(&mut self, at: Next, reach: AtPoints) -> AtPoints {
        let index = match at {
            Next::Leaf(leaf) => return reach.map(|r| r * self.tree.leaves[leaf].value),
            Next::Split(index) => index,
        };
        let split = self.tree.splits[index];
        let feature = split.feature as usize;
        let right = split.goes_right(self.row.get(feature).copied().unwrap_or(f32::NAN));
        let before = self.passages[feature];
        let mut total = [0.0; MOST_POINTS];
        for (side, taken) in [(split.left, !right), (split.right, right)] {
            let share = self.tree.count(side, self.counts) / self.counts[index];
            let known = if taken { before.known } else { 0.0 };
            let after = Passage { known, unknown: before.unknown * share };
            let mut onward = reach;
            for (onward, t) in onward.iter_mut().zip(self.quadrature.at()) {
                *onward *= after.at(*t) / before.at(*t);
            }
            self.passages[feature] = after;
            let below = self.descend(Next::of(side), onward);
            // What lies below counts for the feature as it is passed now, not as it was above.
            for ((below, total), t) in below.iter().zip(&mut total).zip(self.quadrature.at()) {
                let now = (after.known - after.unknown) / after.at(*t);
                let above = (before.known - before.unknown) / before.at(*t);
                self.out[feature] += below * (now - above);
                *total += below;
            }
        }
        self.passages[feature] = before;
        total
    }
}
