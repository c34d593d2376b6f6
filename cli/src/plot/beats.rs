//! A pulse wave or an electrocardiogram with its beats, and the intervals between them.

use super::{DrawResult, MAIN, MARK, SECOND, SIGNAL, chart, line, page, span};
use plotters::prelude::*;
use std::path::Path;

/// What is drawn.
pub struct BeatsPicture<'a> {
    /// What stands above: the file and the main figures.
    pub headline: String,
    /// Seconds since the record began, of each sample of `wave`.
    pub at_s: &'a [f64],
    /// The filtered signal.
    pub wave: &'a [f64],
    /// Time of each beat in seconds, and whether it is trusted.
    pub beats: &'a [(f64, bool)],
    /// Intervals: time at the end in seconds, length in ms, and whether it is trusted.
    pub intervals: &'a [(f64, f64, bool)],
}

/// So much of the wave is shown: single beats must be seen.
const SHOWN_S: f64 = 20.0;

/// Draws the picture into a file.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, picture: &BeatsPicture<'_>) -> DrawResult {
    let rest = page(path, &picture.headline)?;
    let (top, bottom) = rest.split_vertically(340);
    let end_s = picture.at_s.last().copied().unwrap_or(1.0).max(1.0);

    // From the middle of the record: its beginning is where a sensor settles.
    let begin_s = ((end_s - SHOWN_S) / 2.0).max(0.0);
    let x = begin_s..(begin_s + SHOWN_S).min(end_s);
    let wave: Vec<(f64, f64)> = picture
        .at_s
        .iter()
        .copied()
        .zip(picture.wave.iter().copied())
        .filter(|(at, _)| x.contains(at))
        .collect();
    let y = span(wave.iter().map(|p| p.1));
    let title = format!("Filtered signal and beats, seconds {:.0} to {:.0}", x.start, x.end);
    let axes = (("time, s", x.clone()), ("signal", y.clone()));
    let mut upper = chart(&top, &title, axes.0, axes.1)?;
    let beats = picture.beats.iter().filter(|(at, _)| x.contains(at));
    upper.draw_series(beats.map(|(at, good)| {
        let colour = if *good { SECOND } else { MARK };
        PathElement::new([(*at, y.start), (*at, y.end)], colour.mix(0.7).stroke_width(1))
    }))?;
    line(&mut upper, wave.into_iter(), &x, MAIN.stroke_width(1))?;

    let x = 0.0..end_s;
    let y = span(picture.intervals.iter().filter(|i| i.2).map(|i| i.1));
    let axes = (("time, s", x.clone()), ("interval, ms", y.clone()));
    let mut lower = chart(&bottom, "Intervals (red: not trusted)", axes.0, axes.1)?;
    let trusted = picture.intervals.iter().map(|i| (i.0, if i.2 { i.1 } else { f64::NAN }));
    line(&mut lower, trusted, &x, SIGNAL.stroke_width(1))?;
    let shown = picture.intervals.iter().filter(|i| y.contains(&i.1));
    lower.draw_series(shown.map(|(at, ms, good)| {
        Circle::new((*at, *ms), 2, if *good { SECOND.filled() } else { MARK.filled() })
    }))?;
    rest.present()?;
    Ok(())
}
