//! One tree, grown leaf by leaf where it gains most (Shi, "Best-first decision tree learning",
//! 2007; Ke et al., "LightGBM", NeurIPS 2017).

use super::{Settings, bins::Bins, random::Random};
use models::booster::{Leaf, MAX_DEPTH, Split, Tree};

/// Least sum of curvatures on either side of a split: below, a leaf's value is unbounded.
const LEAST_CURVATURE: f64 = 1e-3;
/// Splits that gain no more than this are rounding.
const LEAST_GAIN: f64 = 1e-10;

/// First and second derivative of the loss by the score of a row.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Slope {
    pub(super) gradient: f32,
    pub(super) curvature: f32,
}

/// Sums over rows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sums {
    gradient: f64,
    curvature: f64,
    rows: f64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.gradient += other.gradient;
        self.curvature += other.curvature;
        self.rows += other.rows;
    }

    fn without(&self, other: &Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            curvature: self.curvature - other.curvature,
            rows: self.rows - other.rows,
        }
    }

    /// How far the best constant lowers the loss, twice.
    fn gain(&self, shrinkage: f64) -> f64 {
        self.gradient * self.gradient / (self.curvature + shrinkage)
    }
}

/// A split that could be made.
#[derive(Debug, Clone, Copy)]
struct Cut {
    gain: f64,
    column: usize,
    /// The last bin that goes left.
    bin: u8,
    missing_left: bool,
}

/// A leaf while the tree grows.
struct Open {
    /// Its rows, as a part of the tree's.
    begin: usize,
    end: usize,
    sums: Sums,
    histogram: Vec<Sums>,
    depth: usize,
    best: Option<Cut>,
    /// The split above, and whether it lies on the right of it.
    above: Option<(usize, bool)>,
}

/// A tree, and where its splits lie in bins.
pub(super) struct Grown {
    pub(super) tree: Tree,
    cuts: Vec<Cut>,
}

impl Grown {
    /// What the tree adds to the score of a binned row.
    pub(super) fn value(&self, bins: &Bins, row: &[u8]) -> f64 {
        let mut at = 0_i32;
        if self.cuts.is_empty() {
            return self.tree.leaves[0].value;
        }
        while let Ok(index) = usize::try_from(at) {
            let (cut, split) = (&self.cuts[index], &self.tree.splits[index]);
            at = if goes_left(bins, cut, row) { split.left } else { split.right };
        }
        self.tree.leaves[!at as usize].value
    }
}

fn goes_left(bins: &Bins, cut: &Cut, row: &[u8]) -> bool {
    let bin = row[cut.column];
    if usize::from(bin) == bins.columns[cut.column].known_bins() {
        cut.missing_left
    } else {
        bin <= cut.bin
    }
}

/// Grows a tree on `rows`, which come back in another order.
pub(super) fn grow(
    bins: &Bins,
    slopes: &[Slope],
    rows: &mut [u32],
    settings: &Settings,
    random: &mut Random,
) -> Grown {
    Growing {
        bins,
        slopes,
        settings,
        random,
        spare: Vec::new(),
        splits: Vec::new(),
        cuts: Vec::new(),
    }
    .grow(rows)
}

struct Growing<'a> {
    bins: &'a Bins,
    slopes: &'a [Slope],
    settings: &'a Settings,
    random: &'a mut Random,
    /// Histograms that can be used again.
    spare: Vec<Vec<Sums>>,
    splits: Vec<Split>,
    cuts: Vec<Cut>,
}

impl Growing<'_> {
    fn grow(mut self, rows: &mut [u32]) -> Grown {
        let histogram = self.histogram(rows);
        let first = &self.bins.columns[0];
        let mut sums = Sums::default();
        histogram[..first.bins()].iter().for_each(|bin| sums.add(bin));
        let mut root =
            Open { begin: 0, end: rows.len(), sums, histogram, depth: 0, best: None, above: None };
        root.best = self.best_cut(&root);
        let mut open = vec![root];
        let mut order = Vec::with_capacity(rows.len());
        while open.len() < self.settings.leaves {
            // The first of equals: the same tree each time.
            let gain = |leaf: &Open| leaf.best.map_or(0.0, |cut| cut.gain);
            let best = (1..open.len()).fold(0, |best, index| {
                if gain(&open[index]) > gain(&open[best]) { index } else { best }
            });
            let Some(cut) = open[best].best else { break };
            let (left, right) = self.split(&open[best], &cut, rows, &mut order, best, open.len());
            let done = std::mem::replace(&mut open[best], left);
            self.spare.push(done.histogram);
            open.push(right);
        }
        let leaves = open.iter().map(|leaf| Leaf {
            value: -self.settings.learning_rate * leaf.sums.gradient
                / (leaf.sums.curvature + self.settings.shrinkage),
            count: (leaf.end - leaf.begin).max(1) as u64,
        });
        Grown { tree: Tree { splits: self.splits, leaves: leaves.collect() }, cuts: self.cuts }
    }

    /// Divides a leaf: the left part keeps its number, the right one gets the next.
    fn split(
        &mut self,
        leaf: &Open,
        cut: &Cut,
        rows: &mut [u32],
        order: &mut Vec<u32>,
        left_number: usize,
        right_number: usize,
    ) -> (Open, Open) {
        let own = &mut rows[leaf.begin..leaf.end];
        let middle =
            leaf.begin + divide(own, order, |row| goes_left(self.bins, cut, self.bins.row(row)));
        let index = self.splits.len();
        if let Some((above, is_right)) = leaf.above {
            let side =
                if is_right { &mut self.splits[above].right } else { &mut self.splits[above].left };
            *side = index as i32;
        }
        self.splits.push(Split {
            feature: cut.column as u32,
            threshold: self.bins.columns[cut.column].borders[usize::from(cut.bin)],
            missing_left: cut.missing_left,
            left: !(left_number as i32),
            right: !(right_number as i32),
        });
        self.cuts.push(*cut);

        // Only the smaller part is summed; the other is what remains.
        let left_is_small = middle - leaf.begin <= leaf.end - middle;
        let small = if left_is_small { leaf.begin..middle } else { middle..leaf.end };
        let small = self.histogram(&rows[small]);
        let mut large = self.spare.pop().unwrap_or_default();
        large.clear();
        large.extend(leaf.histogram.iter().zip(&small).map(|(all, part)| all.without(part)));
        let (left, right) = if left_is_small { (small, large) } else { (large, small) };

        let mut part = |begin, end, histogram: Vec<Sums>, is_right| {
            let first = &self.bins.columns[cut.column];
            let mut sums = Sums::default();
            histogram[first.first..][..first.bins()].iter().for_each(|bin| sums.add(bin));
            let above = Some((index, is_right));
            let depth = leaf.depth + 1;
            let mut part = Open { begin, end, sums, histogram, depth, best: None, above };
            part.best = self.best_cut(&part);
            part
        };
        (part(leaf.begin, middle, left, false), part(middle, leaf.end, right, true))
    }

    fn histogram(&mut self, rows: &[u32]) -> Vec<Sums> {
        let mut histogram = self.spare.pop().unwrap_or_default();
        histogram.clear();
        histogram.resize(self.bins.total, Sums::default());
        for row in rows {
            let slope = self.slopes[*row as usize];
            let (gradient, curvature) = (f64::from(slope.gradient), f64::from(slope.curvature));
            for (bin, column) in self.bins.row(*row).iter().zip(&self.bins.columns) {
                let sums = &mut histogram[column.first + usize::from(*bin)];
                sums.gradient += gradient;
                sums.curvature += curvature;
                sums.rows += 1.0;
            }
        }
        histogram
    }

    /// The cut that gains most, of some columns drawn anew for each leaf.
    fn best_cut(&mut self, leaf: &Open) -> Option<Cut> {
        if leaf.depth >= MAX_DEPTH || leaf.sums.rows < 2.0 * self.settings.least_rows as f64 {
            return None;
        }
        let mut columns: Vec<usize> =
            (0..self.bins.columns.len()).filter(|c| self.bins.columns[*c].bins() > 1).collect();
        let wanted = (columns.len() as f64 * self.settings.feature_share).ceil() as usize;
        self.random.draw(&mut columns, wanted);
        let mut best: Option<Cut> = None;
        for column in columns {
            self.best_cut_of(leaf, column, &mut best);
        }
        best
    }

    fn best_cut_of(&self, leaf: &Open, column: usize, best: &mut Option<Cut>) {
        let shape = &self.bins.columns[column];
        let known = &leaf.histogram[shape.first..][..shape.known_bins()];
        let missing = if shape.has_missing {
            leaf.histogram[shape.first + shape.known_bins()]
        } else {
            Sums::default()
        };
        let (least_rows, shrinkage) = (self.settings.least_rows as f64, self.settings.shrinkage);
        let before = leaf.sums.gain(shrinkage);
        // Missing values are tried on both sides, where there are such.
        let sides: &[bool] = if missing.rows > 0.0 { &[false, true] } else { &[false] };
        for &missing_left in sides {
            let mut left = if missing_left { missing } else { Sums::default() };
            // All known values on one side and the missing on the other is a cut, too.
            let last = known.len() - usize::from(missing_left || missing.rows == 0.0);
            for (bin, sums) in known[..last.min(shape.borders.len())].iter().enumerate() {
                left.add(sums);
                if left.rows < least_rows || left.curvature < LEAST_CURVATURE {
                    continue;
                }
                let right = leaf.sums.without(&left);
                if right.rows < least_rows || right.curvature < LEAST_CURVATURE {
                    break;
                }
                let gain = left.gain(shrinkage) + right.gain(shrinkage) - before;
                if gain > best.map_or(LEAST_GAIN, |cut| cut.gain) {
                    // Where none is missing, one that is goes with the many.
                    let many_left = left.rows >= right.rows;
                    let missing_left = if missing.rows > 0.0 { missing_left } else { many_left };
                    *best = Some(Cut { gain, column, bin: bin as u8, missing_left });
                }
            }
        }
    }
}

/// Puts the rows that go left before the others, both in their order; gives how many these are.
fn divide(rows: &mut [u32], order: &mut Vec<u32>, goes_left: impl Fn(u32) -> bool) -> usize {
    order.clear();
    let mut left = 0;
    for index in 0..rows.len() {
        let row = rows[index];
        if goes_left(row) {
            rows[left] = row;
            left += 1;
        } else {
            order.push(row);
        }
    }
    rows[left..].copy_from_slice(order);
    left
}
