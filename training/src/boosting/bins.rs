//! Rows with each value replaced by the number of a bin: what trees are grown on.

use super::Matrix;

/// Most bins of a column, the one of missing values not counted. More split no better (Ke et al.
/// 2017 use as many), and numbers of bins fit a byte.
const MOST: usize = 255;
/// Fewest rows of a bin: a border between two single rows is chance.
const LEAST_ROWS: usize = 3;

/// Which values of a column share a bin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// Bin `i` holds the values up to and including `borders[i]`, the last one all above.
    pub(super) borders: Vec<f32>,
    /// Whether values are missing: they have the bin after the last.
    pub(super) has_missing: bool,
    /// Where its bins begin among those of all columns.
    pub(super) first: usize,
}

impl Column {
    /// Borders half-way between values, so that bins hold about equally many rows. A value that
    /// fills a bin by itself gets it.
    fn new(values: impl Iterator<Item = f32>, first: usize) -> Self {
        let mut known: Vec<f32> = values.collect();
        let all = known.len();
        known.retain(|value| !value.is_nan());
        let has_missing = known.len() < all;
        known.sort_unstable_by(f32::total_cmp);
        let mut borders = Vec::new();
        let (mut in_bin, mut left) = (0, known.len());
        let mut runs = known.chunk_by(|a, b| a == b).peekable();
        while let (Some(run), Some(next)) = (runs.next(), runs.peek()) {
            in_bin += run.len();
            let bins_left = MOST - borders.len();
            let fair = left.div_ceil(bins_left).max(LEAST_ROWS);
            let enough = next.len() >= LEAST_ROWS || left - in_bin >= LEAST_ROWS;
            if bins_left > 1 && enough && (in_bin >= fair || next.len() >= fair) {
                borders.push(between(run[0], next[0]));
                left -= in_bin;
                in_bin = 0;
            }
        }
        Self { borders, has_missing, first }
    }

    /// Bins that hold known values.
    pub(super) fn known_bins(&self) -> usize {
        self.borders.len() + 1
    }

    /// Bins, that of missing values included.
    pub(super) fn bins(&self) -> usize {
        self.known_bins() + usize::from(self.has_missing)
    }

    fn bin(&self, value: f32) -> u8 {
        let bin = if value.is_nan() {
            self.known_bins()
        } else {
            self.borders.partition_point(|border| *border < value)
        };
        bin as u8
    }
}

/// A number from the lower value up to below the higher one.
fn between(low: f32, high: f32) -> f32 {
    let middle = (f64::from(low) / 2.0 + f64::from(high) / 2.0) as f32;
    if middle < high { middle.max(low) } else { low }
}

/// All rows, binned.
#[derive(Debug, Clone)]
pub(super) struct Bins {
    pub(super) columns: Vec<Column>,
    /// Bins of the first row, then of the next.
    numbers: Vec<u8>,
    /// Bins of all columns together.
    pub(super) total: usize,
}

impl Bins {
    pub(super) fn new(rows: &Matrix) -> Self {
        let mut total = 0;
        let columns: Vec<Column> = (0..rows.width())
            .map(|index| {
                let values = rows.values().iter().skip(index).step_by(rows.width()).copied();
                let column = Column::new(values, total);
                total += column.bins();
                column
            })
            .collect();
        let each = rows.values().chunks_exact(rows.width());
        let numbers = each
            .flat_map(|row| row.iter().zip(&columns).map(|(value, column)| column.bin(*value)))
            .collect();
        Self { columns, numbers, total }
    }

    /// The bins of one row.
    #[inline]
    pub(super) fn row(&self, index: u32) -> &[u8] {
        let width = self.columns.len();
        &self.numbers[index as usize * width..][..width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_values_have_a_bin_each() {
        let values = [0.0, 0.0, 0.0, -0.0, 1.0, 1.0, 1.0, f32::NAN, 5.0, 5.0, 5.0];
        let column = Column::new(values.into_iter(), 0);
        assert_eq!(column.borders, [0.5, 3.0]);
        assert_eq!(values.map(|v| column.bin(v)), [0, 0, 0, 0, 1, 1, 1, 3, 2, 2, 2]);
    }

    #[test]
    fn many_values_share_bins_about_equally() {
        let column = Column::new((0..10_000).map(|i| i as f32), 0);
        let mut counts = vec![0; column.bins()];
        (0..10_000).for_each(|i| counts[usize::from(column.bin(i as f32))] += 1);
        assert_eq!(counts.len(), MOST);
        assert!(counts.iter().all(|count| (39..=41).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn bins_keep_the_order_that_borders_tell(
            values in prop::collection::vec(prop_oneof![any::<f32>(), (-9i8..9).prop_map(f32::from)], 1..600),
        ) {
            let values: Vec<f32> = values.into_iter().filter(|v| !v.is_infinite()).collect();
            let column = Column::new(values.iter().copied(), 0);
            prop_assert!(column.known_bins() <= MOST);
            prop_assert!(column.borders.windows(2).all(|pair| pair[0] < pair[1]));
            for value in values.iter().filter(|v| !v.is_nan()) {
                for (bin, border) in column.borders.iter().enumerate() {
                    prop_assert_eq!(usize::from(column.bin(*value)) <= bin, value <= border);
                }
            }
        }
    }
}
