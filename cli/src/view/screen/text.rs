//! Words, numbers and lines that fit: what every part of the screen is written with.

use ratatui::{
    style::{Color, Modifier, Style},
    text::{Line, Span},
};
use std::time::Duration;

/// Recedes, on dark and on light terminals alike.
pub const DIM: Style = Style::new().add_modifier(Modifier::DIM);
/// Stands out.
pub const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
/// Skin conductance.
pub const EDA: Color = Color::Cyan;
/// The heart.
pub const HEART: Color = Color::Magenta;
/// As it should be.
pub const GOOD: Color = Color::Green;
/// Worth a look.
pub const WARN: Color = Color::Yellow;
/// Wrong.
pub const BAD: Color = Color::Red;

/// Stands where there is no value.
pub const NOTHING: &str = "–";

/// Columns of a text on the terminal.
#[must_use]
pub fn columns(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text, with an ellipsis where it is cut to `width` columns.
#[must_use]
pub fn shorten(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for letter in text.chars() {
        short.push(letter);
        if columns(&short) >= width {
            // The last letter gives its place, two columns of a wide one included.
            short.pop();
            break;
        }
    }
    if width > 0 {
        short.push('…');
    }
    short
}

/// The text in lines of at most `width` columns, broken between words.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let word = shorten(word, width);
        if !line.is_empty() && columns(&line) + 1 + columns(&word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Wrapped lines in one style.
pub fn paragraph(text: &str, width: usize, style: Style) -> impl Iterator<Item = Line<'static>> {
    wrap(text, width).into_iter().map(move |line| Line::styled(line, style))
}

/// A line with one end on each side. The right end stays whole, the left gives way.
#[must_use]
pub fn spread(left: Line<'static>, right: Line<'static>, width: usize) -> Line<'static> {
    let room = width.saturating_sub(right.width() + 1);
    let mut spans = Vec::new();
    let mut used = 0;
    for span in left.spans {
        let text = shorten(&span.content, room - used);
        used += columns(&text);
        spans.push(Span::styled(text, span.style));
    }
    spans.push(Span::raw(" ".repeat(width.saturating_sub(used + right.width()))));
    spans.extend(right.spans);
    Line::from(spans)
}

/// A section's first line: its name, a rule, and a value at the end.
#[must_use]
pub fn rule(name: &str, value: Line<'static>, width: usize) -> Line<'static> {
    // Around the name: three columns before, one after; one before the value.
    let gaps = 4 + usize::from(value.width() > 0);
    let name = shorten(name, width.saturating_sub(value.width() + gaps));
    let dashes = width.saturating_sub(columns(&name) + value.width() + gaps);
    let mut spans = vec![
        Span::styled("── ", DIM),
        Span::styled(name, BOLD),
        Span::styled(format!(" {}", "─".repeat(dashes)), DIM),
    ];
    if value.width() > 0 {
        spans.push(Span::raw(" "));
        spans.extend(value.spans);
    }
    Line::from(spans)
}

/// A horizontal gauge, half a column fine. `ratio` is 0..=1; NaN is empty.
#[must_use]
pub fn gauge(ratio: f64, width: usize, colour: Color) -> [Span<'static>; 2] {
    let ratio = if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1.0) };
    let halves = (ratio * 2.0 * width as f64).round() as usize;
    let half = halves % 2;
    let full = "━".repeat(halves / 2) + if half == 1 { "╸" } else { "" };
    let rest = "─".repeat(width.saturating_sub(halves / 2 + half));
    [Span::styled(full, Style::new().fg(colour)), Span::styled(rest, DIM)]
}

/// A share in whole percent, five columns wide.
#[must_use]
pub fn percent(ratio: f32) -> String {
    if ratio.is_nan() { format!("{NOTHING:>5}") } else { format!("{:>3.0} %", ratio * 100.0) }
}

/// A time as clocks show it: 0:07, 12:30, 1:02:03.
#[must_use]
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// A number with about three digits that say something; a dash for NaN.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => NOTHING.to_owned(),
        // No minus before a value that is shown as zero.
        _ if size < 0.000_5 => "0.000".to_owned(),
        _ if size < 1.0 => format!("{value:.3}"),
        _ if size < 10.0 => format!("{value:.2}"),
        _ if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_short_and_nan_is_a_dash() {
        for (value, shown) in [
            (f64::NAN, "–"),
            (-0.000_01, "0.000"),
            (-0.25, "-0.250"),
            (4.321, "4.32"),
            (71.26, "71.3"),
            (812.4, "812"),
        ] {
            assert_eq!(number(value), shown);
        }
    }

    #[test]
    fn times_read_like_clocks() {
        for (seconds, shown) in [(7, "0:07"), (750, "12:30"), (3723, "1:02:03")] {
            assert_eq!(clock(Duration::from_secs(seconds)), shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_place(text in ".{0,60}", width in 0usize..40) {
            prop_assert!(columns(&shorten(&text, width)) <= width);
            prop_assert!(wrap(&text, width).iter().all(|line| columns(line) <= width));
        }

        #[test]
        fn a_gauge_fills_its_width(ratio in any::<f64>(), width in 0usize..40) {
            let filled: usize = gauge(ratio, width, GOOD).iter().map(Span::width).sum();
            prop_assert_eq!(filled, width);
        }
    }
}
