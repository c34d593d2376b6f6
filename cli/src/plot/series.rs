//! Figures over weeks.

use super::{DrawResult, MAIN, MARK, SECOND, SIGNAL, chart, legend, line, page};
use plotters::prelude::*;
use std::path::Path;

/// One line.
#[derive(Debug, Clone)]
pub struct Series {
    /// What it shows.
    pub name: String,
    /// Weeks and values.
    pub points: Vec<(f64, f64)>,
}

/// What is drawn.
pub struct SeriesPicture<'a> {
    /// What stands above.
    pub headline: String,
    /// What is counted, with its unit.
    pub y_name: &'a str,
    /// At most six lines.
    pub series: &'a [Series],
    /// A value that is wanted.
    pub level: Option<f64>,
    /// A week in which something changed.
    pub mark: Option<f64>,
}

/// Room above the highest point.
const AIR: f64 = 1.15;
const COLOURS: [RGBColor; 6] =
    [MAIN, SECOND, MARK, SIGNAL, RGBColor(123, 31, 162), RGBColor(239, 108, 0)];

/// Draws the picture into a file.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, picture: &SeriesPicture<'_>) -> DrawResult {
    let rest = page(path, &picture.headline)?;
    let all = || picture.series.iter().flat_map(|series| &series.points);
    let last = all().map(|(week, _)| *week).fold(1.0, f64::max);
    let most = all().map(|(_, value)| *value).chain(picture.level).fold(0.0, f64::max);
    let most = if most > 0.0 { most * AIR } else { 1.0 };
    let x = 0.0..last + 1.0;
    let axes = (("week", x.clone()), (picture.y_name, 0.0..most));
    let mut area = chart(&rest, "", axes.0, axes.1)?;
    if let Some(level) = picture.level {
        let ends = [(x.start, level), (x.end, level)];
        line(&mut area, ends.into_iter(), &x, SIGNAL.stroke_width(2))?;
    }
    if let Some(week) = picture.mark {
        line(
            &mut area,
            [(week, 0.0), (week, most)].into_iter(),
            &x,
            MARK.mix(0.4).stroke_width(1),
        )?;
    }
    for (series, colour) in picture.series.iter().zip(COLOURS) {
        line(&mut area, series.points.iter().copied(), &x, colour.stroke_width(2))?;
        let dots = series.points.iter().map(|point| Circle::new(*point, 2, colour.filled()));
        let swatch = move |(x, y)| Rectangle::new([(x, y - 4), (x + 14, y + 4)], colour.filled());
        area.draw_series(dots)?.label(&series.name).legend(swatch);
    }
    legend(&mut area)?;
    rest.present()?;
    Ok(())
}
