//! Pictures of an analysis, as SVG.

mod beats;
mod eda;
mod hrv;
mod reliability;
mod repeat;
mod series;

pub use beats::{BeatsPicture, draw as draw_beats};
pub use eda::{EdaPicture, Response, draw as draw_eda};
pub use hrv::{HrvPicture, draw as draw_hrv};
pub use reliability::{ReliabilityPicture, Share, draw as draw_reliability};
pub use repeat::{RepeatPicture, draw as draw_repeat};
pub use series::{Series, SeriesPicture, draw as draw_series};

use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};
use std::{ops::Range, path::Path};

/// A drawing that failed; the text says which.
type DrawResult = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Width and height of a picture, pixels.
const SIZE: (u32, u32) = (1_100, 720);
const INK: RGBColor = RGBColor(38, 50, 56);
const GRID: RGBColor = RGBColor(224, 228, 231);
const SIGNAL: RGBColor = RGBColor(120, 144, 156);
const MAIN: RGBColor = RGBColor(21, 101, 192);
const SECOND: RGBColor = RGBColor(0, 131, 110);
const MARK: RGBColor = RGBColor(198, 40, 40);

/// Opens a white page with a headline; gives the rest of it.
fn page<'a>(path: &'a Path, headline: &str) -> Result<Area<'a>, Box<dyn std::error::Error>> {
    let page = SVGBackend::new(path, SIZE).into_drawing_area();
    page.fill(&WHITE)?;
    let (title, rest) = page.split_vertically(36);
    title.draw_text(headline, &("sans-serif", 17).into_font().color(&INK), (16, 10))?;
    Ok(rest)
}

/// Axes with a title, and names with units.
fn chart<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    (x_name, x): (&str, Range<f64>),
    (y_name, y): (&str, Range<f64>),
) -> Result<Chart<'a, 'b>, Box<dyn std::error::Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 14).into_font().color(&INK))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(58)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK.mix(0.6))
        .label_style(("sans-serif", 12).into_font().color(&INK))
        .axis_desc_style(("sans-serif", 12).into_font().color(&INK))
        .x_desc(x_name)
        .y_desc(y_name)
        .x_label_formatter(&short)
        .y_label_formatter(&short)
        .draw()?;
    Ok(chart)
}

/// A number on an axis, without the noise of binary fractions.
fn short(value: &f64) -> String {
    // Adding zero takes the sign from a negative one.
    let rounded = (value * 1e3).round() / 1e3 + 0.0;
    rounded.to_string()
}

/// Least and greatest finite value with some air; never empty.
fn span(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let air = ((high - low) * 0.06).max(1e-6 * high.abs()).max(1e-9);
    low - air..high + air
}

/// A line that breaks where a value is missing. More points than two a pixel only make the file
/// large: each pixel keeps its least and greatest.
fn runs(points: impl Iterator<Item = (f64, f64)>, x: &Range<f64>) -> Vec<Vec<(f64, f64)>> {
    let pixel = (x.end - x.start) / f64::from(SIZE.0);
    let mut runs = vec![Vec::new()];
    let mut column: Option<(f64, [(f64, f64); 2])> = None;
    let flush = |column: &mut Option<(f64, [(f64, f64); 2])>, run: &mut Vec<(f64, f64)>| {
        if let Some((_, [low, high])) = column.take() {
            let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
            run.push(first);
            if first != second {
                run.push(second);
            }
        }
    };
    for (at, value) in points {
        let last = runs.len() - 1;
        if !value.is_finite() {
            flush(&mut column, &mut runs[last]);
            if !runs[last].is_empty() {
                runs.push(Vec::new());
            }
            continue;
        }
        match &mut column {
            Some((begin, [low, high])) if at - *begin < pixel => {
                if value < low.1 {
                    *low = (at, value);
                }
                if value > high.1 {
                    *high = (at, value);
                }
            }
            _ => {
                flush(&mut column, &mut runs[last]);
                column = Some((at, [(at, value); 2]));
            }
        }
    }
    let last = runs.len() - 1;
    flush(&mut column, &mut runs[last]);
    runs
}

/// Draws such a line.
fn line(
    chart: &mut Chart<'_, '_>,
    points: impl Iterator<Item = (f64, f64)>,
    x: &Range<f64>,
    style: ShapeStyle,
) -> DrawResult {
    for run in runs(points, x) {
        chart.draw_series(std::iter::once(PathElement::new(run, style)))?;
    }
    Ok(())
}

/// Names the labelled series in the upper right corner.
fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>) -> DrawResult {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 12).into_font().color(&INK))
        .draw()?;
    Ok(())
}

/// Shades stretches over the whole height.
fn shade(
    chart: &mut Chart<'_, '_>,
    stretches: &[Range<f64>],
    height: &Range<f64>,
    colour: RGBAColor,
) -> DrawResult {
    let boxes = stretches.iter().map(|stretch| {
        Rectangle::new([(stretch.start, height.start), (stretch.end, height.end)], colour.filled())
    });
    chart.draw_series(boxes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_missing_values_and_keep_their_extremes() {
        let points = (0..100_000).map(|i| {
            let value = match i {
                50_000 => f64::NAN,
                70_000 => 9.0,
                _ => 0.0,
            };
            (f64::from(i), value)
        });
        let runs = runs(points, &(0.0..100_000.0));
        assert_eq!(runs.len(), 2);
        let kept: usize = runs.iter().map(Vec::len).sum();
        assert!(kept < 2 * 1_200, "{kept}");
        assert!(runs[1].iter().any(|(at, value)| (*at, *value) == (70_000.0, 9.0)));
    }

    #[test]
    fn spans_are_never_empty() {
        for values in [&[][..], &[f64::NAN], &[3.0], &[0.0], &[-1.0, 2.0]] {
            let span = span(values.iter().copied());
            assert!(span.start < span.end, "{values:?}: {span:?}");
        }
    }
}
