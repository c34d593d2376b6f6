//! The body's side: two signals as curves, and the features that are read from them.

use super::text::{
    BAD, BOLD, DIM, EDA, GOOD, HEART, WARN, columns, gauge, number, percent, rule, shorten,
};
use crate::view::Board;
use protocol::{
    consent::Modality,
    feature::{FEATURES, FeatureSpec},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Color,
    symbols::Marker,
    text::{Line, Span},
    widgets::{
        Paragraph,
        canvas::{Canvas, Line as Stroke},
    },
};
use std::ops::RangeInclusive;

/// Rows of the features side by side: a rule, the coverage, the longer list.
const TABLE_ROWS: u16 = 9;
/// Columns the features need to stand side by side.
const TABLE_COLUMNS: u16 = 54;
/// Rows of the features one below the other.
const LIST_ROWS: u16 = 16;
/// Rows both curves need at least.
const CURVES_ROWS: u16 = 12;
/// Columns of the labels beside a curve.
const LABELS: u16 = 6;
/// How much of the skin conductance is drawn, points; about a minute.
const EDA_POINTS: usize = 480;
/// How much of the heart rate is drawn, seconds.
const HEART_S: f64 = 60.0;
/// The curves do not magnify changes smaller than this: microsiemens and 1/min.
const LEAST_SPAN: (f64, f64) = (0.2, 10.0);
/// What is drawn, in either unit: more than any body gives, and no odd value stretches the scale.
const DRAWN: RangeInclusive<f64> = 0.0..=1_000.0;
/// Coverage from which a signal is good, and from which it is usable.
const COVERAGE: (f32, f32) = (0.9, 0.5);

/// Draws curves and, where there is room, features.
pub fn draw(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let room = area.height.saturating_sub(CURVES_ROWS);
    let features = if area.width >= TABLE_COLUMNS && room >= TABLE_ROWS {
        TABLE_ROWS
    } else if room >= LIST_ROWS {
        LIST_ROWS
    } else {
        room.min(2)
    };
    let [eda, heart, below] =
        Layout::vertical([Constraint::Fill(1), Constraint::Fill(1), Constraint::Length(features)])
            .areas(area);
    let trace = board.eda_microsiemens.iter().rev().take(EDA_POINTS);
    let points = trace.enumerate().map(|(age, value)| (-(age as f64), *value));
    let curve = Curve {
        name: "Skin conductance",
        unit: "uS",
        colour: EDA,
        points: points.filter(|(_, value)| DRAWN.contains(value)).collect(),
        window: EDA_POINTS as f64,
        least_span: LEAST_SPAN.0,
    };
    curve.draw(frame, eda);
    let curve = Curve {
        name: "Heart rate",
        unit: "1/min",
        colour: HEART,
        points: beats(board),
        window: HEART_S,
        least_span: LEAST_SPAN.1,
    };
    curve.draw(frame, heart);
    match features {
        TABLE_ROWS => table(frame, below, board),
        LIST_ROWS => {
            let mut lines = vec![rule("Features", Line::default(), below.width.into())];
            lines.extend(Modality::ALL.iter().flat_map(|m| rows(*m, below.width, board)));
            frame.render_widget(Paragraph::new(lines), below);
        }
        _ => {
            let lines = [Modality::Eda, Modality::Hrv].map(|m| coverage(m, below.width, board));
            frame.render_widget(Paragraph::new(lines.to_vec()), below);
        }
    }
}

/// Beats on their own timeline: each lies one interval before the next.
fn beats(board: &Board) -> Vec<(f64, f64)> {
    let mut at_s = 0.0;
    let mut points = Vec::new();
    for rate in board.heart_rate_bpm.iter().rev().filter(|rate| DRAWN.contains(rate)) {
        if at_s <= -HEART_S {
            break;
        }
        points.push((at_s, *rate));
        at_s -= 60.0 / rate;
    }
    points
}

/// One signal over time, newest point first, at 0.
struct Curve {
    name: &'static str,
    unit: &'static str,
    colour: Color,
    points: Vec<(f64, f64)>,
    window: f64,
    least_span: f64,
}

impl Curve {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let [head, body] =
            Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
        let newest = self.points.first().map_or(f64::NAN, |point| point.1);
        let value = Line::from(vec![
            Span::styled(number(newest), BOLD.fg(self.colour)),
            Span::styled(format!(" {}", self.unit), DIM),
        ]);
        frame.render_widget(rule(self.name, value, area.width.into()), head);
        let Some((low, high)) = self.range() else {
            frame.render_widget(Line::styled("   nothing measured yet", DIM), body);
            return;
        };
        let [labels, plot] =
            Layout::horizontal([Constraint::Length(LABELS), Constraint::Fill(1)]).areas(body);
        let label = |value: f64| Line::styled(number(value), DIM).right_aligned();
        let [top, _, bottom] =
            Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)])
                .areas(Rect { width: labels.width.saturating_sub(1), ..labels });
        frame.render_widget(label(high), top);
        frame.render_widget(label(low), bottom);
        let middle = f64::midpoint(low, high);
        let span = (high - low).max(self.least_span);
        let canvas = Canvas::default()
            .marker(Marker::Braille)
            .x_bounds([-self.window, 0.0])
            .y_bounds([middle - span / 2.0, middle + span / 2.0])
            .paint(|context| {
                for pair in self.points.windows(2) {
                    let ((x1, y1), (x2, y2)) = (pair[0], pair[1]);
                    context.draw(&Stroke { x1, y1, x2, y2, color: self.colour });
                }
            });
        frame.render_widget(canvas, plot);
    }

    fn range(&self) -> Option<(f64, f64)> {
        let values = || self.points.iter().map(|point| point.1);
        Some((values().reduce(f64::min)?, values().reduce(f64::max)?))
    }
}

fn table(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    frame.render_widget(rule("Features", Line::default(), area.width.into()), head);
    // The longest name is one of HRV.
    let sides = Layout::horizontal([Constraint::Fill(15), Constraint::Fill(16)]).spacing(2);
    let [left, right] = sides.areas(body);
    frame.render_widget(Paragraph::new(rows(Modality::Eda, left.width, board)), left);
    frame.render_widget(Paragraph::new(rows(Modality::Hrv, right.width, board)), right);
}

/// The coverage of a modality, then its features.
fn rows(modality: Modality, width: u16, board: &Board) -> Vec<Line<'static>> {
    let of_modality = |(spec, _): &(&FeatureSpec, &f64)| spec.modality == modality;
    let features = FEATURES.iter().zip(&board.features).filter(of_modality);
    let mut lines: Vec<_> = features.map(|(spec, value)| row(spec, *value, width)).collect();
    if !lines.is_empty() {
        lines.insert(0, coverage(modality, width, board));
    }
    lines
}

fn row(spec: &FeatureSpec, value: f64, width: u16) -> Line<'static> {
    const VALUE: usize = 6;
    const UNIT: usize = 6;
    let room = usize::from(width).saturating_sub(VALUE + UNIT);
    let bare = spec.name.split_once('_').map_or(spec.name, |(_, name)| name);
    let name = shorten(bare, room);
    let value = number(value);
    let gap = " ".repeat((room + VALUE).saturating_sub(columns(&name) + columns(&value)));
    // A ratio has the unit one, which people leave out.
    let unit = if spec.unit == "1" { "" } else { spec.unit };
    Line::from(vec![
        Span::raw(name),
        Span::raw(gap),
        Span::raw(value),
        Span::styled(format!(" {unit}"), DIM),
    ])
}

fn coverage(modality: Modality, width: u16, board: &Board) -> Line<'static> {
    let (name, share) = match modality {
        Modality::Eda => ("EDA", board.coverage[0]),
        _ => ("HRV", board.coverage[1]),
    };
    let colour = match share {
        _ if share >= COVERAGE.0 => GOOD,
        _ if share >= COVERAGE.1 => WARN,
        _ => BAD,
    };
    let label = format!("{name} coverage ");
    let width = usize::from(width).saturating_sub(columns(&label) + 6);
    let mut spans = vec![Span::styled(label, DIM)];
    spans.extend(gauge(share.into(), width, colour));
    spans.push(Span::raw(format!(" {}", percent(share))));
    Line::from(spans)
}
