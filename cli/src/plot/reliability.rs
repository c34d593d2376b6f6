//! What was predicted against what happened.

use super::{DrawResult, GRID, MAIN, MARK, SIGNAL, chart, legend, line, page};
use plotters::prelude::*;
use std::path::Path;

/// Rows that were given about the same probability.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of yes among them.
    pub observed: f64,
    /// How many rows.
    pub rows: usize,
}

/// What is drawn.
pub struct ReliabilityPicture<'a> {
    /// What stands above: the file and the main figures.
    pub headline: String,
    /// The model, and one to compare it with.
    pub series: &'a [(&'a str, Vec<Share>)],
}

/// 95 % of a normal distribution lie within so many standard deviations.
const NORMAL_95: f64 = 1.96;

/// Draws the picture into a file: above the shares with their 95 % intervals (Wilson 1927), below
/// how many rows each stands on.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, picture: &ReliabilityPicture<'_>) -> DrawResult {
    let rest = page(path, &picture.headline)?;
    let (top, bottom) = rest.split_vertically(460);
    let x = 0.0..1.0;
    let axes = (("predicted probability", x.clone()), ("share that converted", 0.0..1.0));
    let mut upper = chart(&top, "Reliability (the diagonal is exact)", axes.0, axes.1)?;
    line(&mut upper, [(0.0, 0.0), (1.0, 1.0)].into_iter(), &x, SIGNAL.stroke_width(1))?;
    for ((name, shares), colour) in picture.series.iter().zip([MAIN, MARK]) {
        let bars = shares.iter().map(|share| {
            let (low, high) = wilson(share);
            PathElement::new([(share.predicted, low), (share.predicted, high)], colour.mix(0.5))
        });
        upper.draw_series(bars)?;
        line(&mut upper, shares.iter().map(|s| (s.predicted, s.observed)), &x, colour.into())?;
        let dots =
            shares.iter().map(|s| Circle::new((s.predicted, s.observed), 4, colour.filled()));
        let swatch = move |(x, y)| Rectangle::new([(x, y - 4), (x + 14, y + 4)], colour.filled());
        upper.draw_series(dots)?.label(*name).legend(swatch);
    }
    legend(&mut upper)?;

    let most = picture.series.iter().flat_map(|(_, shares)| shares).map(|s| s.rows).max();
    let axes = (("predicted probability", x), ("rows", 0.0..most.unwrap_or(1) as f64 * 1.06));
    let mut lower = chart(&bottom, "Rows at each probability", axes.0, axes.1)?;
    for ((_, shares), colour) in picture.series.iter().zip([MAIN, MARK]) {
        let bars = shares.iter().map(|s| {
            let ends = [(s.predicted - 0.012, 0.0), (s.predicted + 0.012, s.rows as f64)];
            Rectangle::new(ends, colour.mix(0.6).filled())
        });
        lower.draw_series(bars)?;
    }
    lower.draw_series([PathElement::new([(0.0, 0.0), (1.0, 0.0)], GRID)])?;
    rest.present()?;
    Ok(())
}

/// Between which shares the truth lies with 95 %.
fn wilson(share: &Share) -> (f64, f64) {
    let (n, z2) = (share.rows.max(1) as f64, NORMAL_95 * NORMAL_95);
    let centre = (share.observed + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let spread = share.observed * (1.0 - share.observed) / n + z2 / (4.0 * n * n);
    let half = NORMAL_95 * spread.sqrt() / (1.0 + z2 / n);
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe 1998, table I: 15 of 148 give .0624 to .1605.
    #[test]
    fn intervals_are_wilsons() {
        let (low, high) = wilson(&Share { predicted: 0.0, observed: 15.0 / 148.0, rows: 148 });
        assert!((low - 0.0624).abs() < 1e-4 && (high - 0.1605).abs() < 1e-4, "{low} {high}");
    }
}
