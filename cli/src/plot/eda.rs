//! Skin conductance with its tonic part, and the phasic part with its responses.

use super::{DrawResult, MAIN, MARK, SECOND, SIGNAL, chart, line, page, shade, span};
use plotters::prelude::*;
use std::{ops::Range, path::Path};

/// One skin conductance response, as a picture needs it.
pub struct Response {
    /// Where it begins and where it is highest: seconds and phasic microsiemens.
    pub onset: (f64, f64),
    /// The same of its peak.
    pub peak: (f64, f64),
}

/// What is drawn. Series run in step with `at_s`.
pub struct EdaPicture<'a> {
    /// What stands above: the file and the main figures.
    pub headline: String,
    /// Seconds since the record began.
    pub at_s: &'a [f64],
    /// Skin conductance, microsiemens; NaN where it is missing.
    pub level_us: &'a [f64],
    /// Its tonic part.
    pub tonic_us: &'a [f64],
    /// Its phasic part.
    pub phasic_us: &'a [f64],
    /// The responses.
    pub responses: Vec<Response>,
    /// Stretches that are no skin's, seconds.
    pub artefacts: Vec<Range<f64>>,
}

/// Draws the picture into a file.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, picture: &EdaPicture<'_>) -> DrawResult {
    let rest = page(path, &picture.headline)?;
    let (top, bottom) = rest.split_vertically(342);
    let x = 0.0..picture.at_s.last().copied().unwrap_or(1.0).max(1.0);
    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        picture.at_s.iter().copied().zip(values.iter().copied()).collect()
    };

    let y = span(picture.level_us.iter().chain(picture.tonic_us).copied());
    let axes = (("time, s", x.clone()), ("conductance, \u{b5}S", y.clone()));
    let mut level = chart(&top, "Skin conductance and its tonic part", axes.0, axes.1)?;
    shade(&mut level, &picture.artefacts, &y, MARK.mix(0.12))?;
    line(&mut level, points(picture.level_us).into_iter(), &x, SIGNAL.stroke_width(1))?;
    line(&mut level, points(picture.tonic_us).into_iter(), &x, SECOND.stroke_width(2))?;

    let y = span(picture.phasic_us.iter().copied());
    let axes = (("time, s", x.clone()), ("phasic, \u{b5}S", y.clone()));
    let title = format!("Phasic part and its {} responses", picture.responses.len());
    let mut phasic = chart(&bottom, &title, axes.0, axes.1)?;
    shade(&mut phasic, &picture.artefacts, &y, MARK.mix(0.12))?;
    line(&mut phasic, points(picture.phasic_us).into_iter(), &x, MAIN.stroke_width(1))?;
    phasic.draw_series(
        picture
            .responses
            .iter()
            .map(|r| PathElement::new([r.onset, r.peak], MARK.mix(0.7).stroke_width(1))),
    )?;
    phasic.draw_series(picture.responses.iter().map(|r| Circle::new(r.peak, 3, MARK.filled())))?;
    rest.present()?;
    Ok(())
}
