//! Tachogram, spectrum and Poincare plot of a series of RR intervals.

use super::{
    DrawResult, GRID, INK, MAIN, MARK, SECOND, SIGNAL, chart, legend, line, page, shade, span,
};
use plotters::prelude::*;
use std::path::Path;

/// What is drawn.
pub struct HrvPicture<'a> {
    /// What stands above: the file and the main figures.
    pub headline: String,
    /// Each interval as received: time at its end in seconds, length in ms.
    pub received: &'a [(f64, f64)],
    /// Each interval after correction.
    pub corrected: &'a [(f64, f64)],
    /// Received intervals that were changed.
    pub changed: &'a [(f64, f64)],
    /// Power spectral density, Hz and ms^2/Hz: Welch.
    pub welch: &'a [(f64, f64)],
    /// The same by Lomb and Scargle.
    pub lomb: &'a [(f64, f64)],
    /// SD1 and SD2 in ms, where they are known.
    pub sd: Option<(f64, f64)>,
}

/// Low and high frequency, Hz (Task Force 1996).
const BANDS: [(&str, f64, f64, RGBColor); 2] =
    [("LF", 0.04, 0.15, RGBColor(255, 183, 77)), ("HF", 0.15, 0.40, RGBColor(129, 199, 132))];
const HIGHEST_HZ: f64 = 0.5;

/// Draws the picture into a file.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, picture: &HrvPicture<'_>) -> DrawResult {
    let rest = page(path, &picture.headline)?;
    let (top, bottom) = rest.split_vertically(320);
    let (left, right) = bottom.split_horizontally(660);
    tachogram(&top, picture)?;
    spectrum(&left, picture)?;
    poincare(&right, picture)?;
    rest.present()?;
    Ok(())
}

fn tachogram(area: &super::Area<'_>, picture: &HrvPicture<'_>) -> DrawResult {
    let all = || picture.received.iter().chain(picture.corrected);
    let x = 0.0..all().map(|p| p.0).fold(1.0, f64::max);
    let y = span(all().map(|p| p.1));
    let title = format!("Tachogram (red: {} corrected)", picture.changed.len());
    let mut chart = chart(area, &title, ("time, s", x.clone()), ("RR interval, ms", y))?;
    line(&mut chart, picture.received.iter().copied(), &x, SIGNAL.mix(0.6).stroke_width(1))?;
    line(&mut chart, picture.corrected.iter().copied(), &x, MAIN.stroke_width(1))?;
    chart.draw_series(picture.changed.iter().map(|p| Circle::new(*p, 4, MARK.stroke_width(2))))?;
    Ok(())
}

fn spectrum(area: &super::Area<'_>, picture: &HrvPicture<'_>) -> DrawResult {
    let shown = |psd: &[(f64, f64)]| -> Vec<(f64, f64)> {
        psd.iter().copied().filter(|(hz, _)| *hz <= HIGHEST_HZ).collect()
    };
    let (welch, lomb) = (shown(picture.welch), shown(picture.lomb));
    let highest = welch.iter().chain(&lomb).map(|p| p.1).filter(|v| v.is_finite());
    let y = 0.0..highest.fold(1e-9, f64::max) * 1.08;
    let x = 0.0..HIGHEST_HZ;
    let axes = (("frequency, Hz", x.clone()), ("power, ms\u{b2}/Hz", y.clone()));
    let mut chart = chart(area, "Power spectral density", axes.0, axes.1)?;
    for (name, low, high, colour) in BANDS {
        shade(&mut chart, &[low..high], &y, colour.mix(0.25))?;
        let style = ("sans-serif", 12).into_font().color(&INK);
        let text = Text::new(name, (low + 0.003, y.end * 0.96), style);
        chart.draw_series(std::iter::once(text))?;
    }
    for (psd, name, colour) in
        [(lomb, "Lomb-Scargle, in the same bins", SECOND), (welch, "Welch", MAIN)]
    {
        let path = PathElement::new(psd, colour.stroke_width(2));
        chart
            .draw_series(std::iter::once(path))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    legend(&mut chart)
}

fn poincare(area: &super::Area<'_>, picture: &HrvPicture<'_>) -> DrawResult {
    let points: Vec<(f64, f64)> =
        picture.corrected.windows(2).map(|pair| (pair[0].1, pair[1].1)).collect();
    let range = span(points.iter().flat_map(|p| [p.0, p.1]));
    let axes = (("RR(n), ms", range.clone()), ("RR(n+1), ms", range.clone()));
    let title = match picture.sd {
        Some((sd1, sd2)) => format!("Poincar\u{e9} plot, SD1 {sd1:.1} ms, SD2 {sd2:.1} ms"),
        None => "Poincar\u{e9} plot".to_owned(),
    };
    let mut chart = chart(area, &title, axes.0, axes.1)?;
    let identity = [(range.start, range.start), (range.end, range.end)];
    chart.draw_series(std::iter::once(PathElement::new(identity, GRID.stroke_width(2))))?;
    chart.draw_series(points.iter().map(|p| Circle::new(*p, 2, MAIN.mix(0.45).filled())))?;
    if let Some((sd1, sd2)) = picture.sd
        && !points.is_empty()
    {
        let centre = points.iter().map(|p| p.0).sum::<f64>() / points.len() as f64;
        let ellipse = (0..=120).map(|i| {
            let angle = f64::from(i) * std::f64::consts::TAU / 120.0;
            let (along, across) = (sd2 * angle.cos(), sd1 * angle.sin());
            let diagonal = std::f64::consts::FRAC_1_SQRT_2;
            (centre + (along - across) * diagonal, centre + (along + across) * diagonal)
        });
        chart.draw_series(LineSeries::new(ellipse, MARK.stroke_width(2)))?;
    }
    Ok(())
}
