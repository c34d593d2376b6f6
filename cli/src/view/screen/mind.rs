//! What the model makes of the signals: four probabilities and arousal, or why it says nothing.

use super::text::{BAD, BOLD, DIM, EDA, GOOD, WARN, gauge, paragraph, percent, rule};
use crate::view::Board;
use protocol::intent::{Abstention, IntentClass, IntentEstimate};
use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

/// A rule and one row a class.
pub const ROWS: u16 = 5;

/// Columns of the longest class name and a gap.
const NAME: usize = 12;
/// Columns of the arousal gauge.
const AROUSAL: usize = 8;

/// Draws the estimate.
pub fn draw(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let width = usize::from(area.width);
    let lines = match &board.estimate {
        Some(estimate) if estimate.abstained.is_none() => gauges(estimate, width),
        other => {
            let why = other.as_ref().and_then(|estimate| estimate.abstained);
            let mut lines = vec![rule("Intent", Line::styled("no estimate", DIM), width)];
            lines.extend(paragraph(abstains(why), width, DIM));
            lines
        }
    };
    frame.render_widget(Paragraph::new(lines), area);
}

/// Why there is no estimate, in plain words.
#[must_use]
pub const fn abstains(why: Option<Abstention>) -> &'static str {
    match why {
        None => "Waiting for the first step of the model.",
        Some(Abstention::NoData) => "The model abstains: nothing has been measured yet.",
        Some(Abstention::Calibrating) => {
            "The model abstains: it is still learning this person's resting level."
        }
        Some(Abstention::PoorQuality) => {
            "The model abstains: too little of the signal is good enough. Do the sensors sit well?"
        }
        Some(Abstention::Stale) => "The model abstains: the newest measurement is too old.",
    }
}

/// The colour of a class.
#[must_use]
pub const fn colour(class: IntentClass) -> Color {
    match class {
        IntentClass::Neutral => EDA,
        IntentClass::Interested => GOOD,
        IntentClass::Hesitant => WARN,
        IntentClass::Stressed => BAD,
    }
}

fn gauges(estimate: &IntentEstimate, width: usize) -> Vec<Line<'static>> {
    let mut arousal = vec![Span::styled("arousal ", DIM)];
    arousal.extend(gauge(estimate.arousal.into(), AROUSAL, Color::Reset));
    arousal.push(Span::raw(format!(" {}", percent(estimate.arousal))));
    let mut lines = vec![rule("Intent", Line::from(arousal), width)];
    let (top, _) = estimate.top();
    for (class, p) in IntentClass::ALL.into_iter().zip(estimate.probabilities) {
        let style = if class == top { BOLD } else { Style::new() };
        let mut spans = vec![Span::styled(format!("{:<NAME$}", class.name()), style)];
        spans.extend(gauge(p.into(), width.saturating_sub(NAME + 6), colour(class)));
        spans.push(Span::styled(format!(" {}", percent(p)), style));
        lines.push(Line::from(spans));
    }
    lines
}
