//! Purchases of a customer base, as they came and as they were expected.

use super::{DrawResult, MAIN, SECOND, chart, legend, line, page, span};
use plotters::prelude::*;
use std::path::Path;

/// What is drawn.
pub struct RepeatPicture {
    /// What stands above.
    pub headline: String,
    /// Weeks since the forecast, and all purchases until then.
    pub actual: Vec<(f64, f64)>,
    /// The same, as expected.
    pub predicted: Vec<(f64, f64)>,
}

/// Draws the picture into a file.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, picture: &RepeatPicture) -> DrawResult {
    let area = page(path, &picture.headline)?;
    let both = || picture.actual.iter().chain(&picture.predicted);
    let (x, y) = (span(both().map(|p| p.0)), span(both().map(|p| p.1)));
    let axes = (("weeks since the forecast", x.clone()), ("purchases so far", y));
    let mut chart = chart(&area, "Cumulative purchases", axes.0, axes.1)?;
    for (points, name, colour) in
        [(&picture.actual, "as they came", MAIN), (&picture.predicted, "as expected", SECOND)]
    {
        line(&mut chart, points.iter().copied(), &x, colour.stroke_width(2))?;
        // The name's own series is empty: the line itself may be in parts.
        chart
            .draw_series(std::iter::once(PathElement::new(Vec::new(), colour)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    legend(&mut chart)
}
