//! Draws a [`Board`] on a terminal.
//!
//! The body on the left, the shop on the right, and between them what the model makes of the one
//! for the other. Colours come from the terminal's own palette, backgrounds only under badges, so
//! that dark and light terminals both read well; without colour (`NO_COLOR`) nothing is lost.

mod banner;
mod mind;
mod offer;
mod signals;
mod text;

#[cfg(test)]
mod tests;

use super::Board;
use crossterm::style::Colored;
use protocol::consent::ConsentState;
use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Constraint, Layout, Margin, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Row, Table},
};
use sdk_core::runtime::LinkState;
use std::time::Instant;
use text::{BAD, BOLD, DIM, GOOD, NOTHING, WARN, clock, number, paragraph, shorten, spread};

/// The least size of the whole view; below it only the essentials are written.
const LEAST: (u16, u16) = (76, 20);
/// Rows from which parts are set apart by an empty row.
const AIRY: u16 = 34;
/// Columns from which the body's side is the wider one; below, the shop's words need the room.
const WIDE: u16 = 110;

/// Draws everything, at any size.
pub fn draw(frame: &mut Frame<'_>, board: &Board) {
    draw_at(frame, board, Instant::now(), !Colored::ansi_color_disabled_memoized());
}

fn draw_at(frame: &mut Frame<'_>, board: &Board, now: Instant, colours: bool) {
    let area = frame.area();
    if area.width >= LEAST.0 && area.height >= LEAST.1 {
        whole(frame, area.inner(Margin::new(1, 0)), board, now);
    } else {
        essentials(frame, area, board, now);
    }
    if !colours {
        without_colours(frame.buffer_mut());
    }
}

/// Colours go, badges stay. The terminal library leaves colours out by itself, but writes a full
/// reset in their place, which would take bold and reversed text along.
fn without_colours(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if cell.bg != Color::Reset {
            cell.modifier.insert(Modifier::REVERSED);
        }
        cell.fg = Color::Reset;
        cell.bg = Color::Reset;
    }
}

fn whole(frame: &mut Frame<'_>, area: Rect, board: &Board, now: Instant) {
    let air = u16::from(area.height >= AIRY);
    let footer = footer(board, area.width.into());
    let [head, devices, body, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(1 + board.devices.len() as u16),
        Constraint::Fill(1),
        Constraint::Length(footer.len() as u16),
    ])
    .spacing(air)
    .areas(area);
    frame.render_widget(Paragraph::new(header(board, head.width.into(), now)), head);
    table(frame, devices, board);
    frame.render_widget(Paragraph::new(footer), foot);

    let given = board.consent == ConsentState::Given;
    let left = match (given, area.width >= WIDE) {
        (_, true) => 6,
        (true, false) => 4,
        (false, false) => 5,
    };
    let sides = Layout::horizontal([Constraint::Fill(left), Constraint::Fill(5)]);
    let [left, right] = sides.spacing(2).areas(body);
    if given {
        signals::draw(frame, left, board);
        let parts = Layout::vertical([Constraint::Length(mind::ROWS), Constraint::Fill(1)]);
        let [above, below] = parts.spacing(air).areas(right);
        mind::draw(frame, above, board);
        offer::draw(frame, below, board);
    } else {
        banner::draw(frame, left, board);
        offer::draw(frame, right, board);
    }
}

fn badge(consent: ConsentState) -> Span<'static> {
    let (text, ink, paper) = match consent {
        ConsentState::Given => (" CONSENT GIVEN ", Color::Black, GOOD),
        ConsentState::Paused => (" CONSENT PAUSED ", Color::Black, WARN),
        ConsentState::Withdrawn => (" CONSENT WITHDRAWN ", Color::White, BAD),
    };
    Span::styled(text, BOLD.fg(ink).bg(paper))
}

fn time(board: &Board, now: Instant) -> String {
    let elapsed = clock(board.elapsed(now));
    match board.remaining(now) {
        Some(left) => format!("{elapsed}, {} left", clock(left)),
        None => elapsed,
    }
}

fn header(board: &Board, width: usize, now: Instant) -> Vec<Line<'static>> {
    let name = vec![Span::styled("Attune", BOLD), Span::raw(format!("   {}", time(board, now)))];
    let page = vec![Span::styled("live page ", DIM), Span::raw(board.server_url.clone())];
    vec![
        spread(Line::from(name), Line::from(badge(board.consent)), width),
        spread(Line::styled(board.source.clone(), DIM), Line::from(page), width),
    ]
}

fn table(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    const GAP: u16 = 2;
    let given = board.consent == ConsentState::Given;
    let count = |n: u64, colour: Color| {
        let style = if n == 0 { Style::new() } else { Style::new().fg(colour) };
        Line::styled(n.to_string(), style).right_aligned()
    };
    let fixed = [16, 7, 8, 8, 6, 8];
    let gaps = fixed.len() as u16 * GAP;
    let room = usize::from(area.width.saturating_sub(fixed.iter().sum::<u16>() + gaps));
    let rows = board.devices.iter().map(|device| {
        let (sign, colour, link) = match &device.link {
            LinkState::Closed => ("○", Color::Reset, "closed".to_owned()),
            LinkState::Searching => ("◌", WARN, "searching".to_owned()),
            LinkState::Connected => ("●", GOOD, "connected".to_owned()),
            LinkState::Waiting(why) => ("◌", BAD, format!("waiting: {why}")),
        };
        // What the device says is a measurement too.
        let status = if given { device.status } else { Default::default() };
        let battery = status.battery_percent.map_or(NOTHING.into(), |p| format!("{p} %"));
        let contact = match status.contact {
            None => Span::raw(NOTHING),
            Some(true) => Span::raw("on skin"),
            Some(false) => Span::styled("off skin", Style::new().fg(BAD)),
        };
        Row::new([
            Line::raw(device.profile.name()),
            Line::from(vec![
                Span::styled(format!("{sign} "), Style::new().fg(colour)),
                Span::raw(shorten(&link, room.saturating_sub(2))),
            ]),
            Line::raw(battery).right_aligned(),
            Line::from(contact),
            count(device.stats.accepted, Color::Reset),
            count(device.stats.lost, BAD),
            count(device.stats.rejected, BAD),
        ])
    });
    let title = |text: &'static str| Line::styled(text, DIM);
    let titles = Row::new([
        title("device"),
        title("link"),
        title("battery").right_aligned(),
        title("contact"),
        title("accepted").right_aligned(),
        title("lost").right_aligned(),
        title("rejected").right_aligned(),
    ]);
    let mut widths = fixed.map(Constraint::Length).to_vec();
    widths.insert(1, Constraint::Fill(1));
    frame.render_widget(Table::new(rows, widths).header(titles).column_spacing(GAP), area);
}

/// The accounts in as many lines as they take, then the keys.
fn footer(board: &Board, width: usize) -> Vec<Line<'static>> {
    const BETWEEN: &str = " · ";
    let mut lines: Vec<String> = Vec::new();
    for account in accounts(board) {
        match lines.last_mut() {
            Some(line) if text::columns(line) + 3 + text::columns(&account) <= width => {
                line.push_str(BETWEEN);
                line.push_str(&account);
            }
            _ => lines.push(account),
        }
    }
    let mut lines: Vec<_> = lines.into_iter().map(|line| Line::styled(line, DIM)).collect();
    lines.push(keys(board.consent));
    lines
}

fn accounts(board: &Board) -> Vec<String> {
    let latency = board.meter.percentiles();
    let mut accounts = Vec::new();
    if let Some(ms) = board.closed_after_ms {
        accounts.push(format!("sensors closed in {} ms", number(ms)));
    }
    if board.meter.count() > 0 {
        let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(number);
        accounts.push(format!("write to decision p50 {p50} p99 {p99} max {max} ms"));
    }
    accounts.push(format!("{} us a step", board.compute.as_micros()));
    accounts.push(format!("{} steps", board.steps));
    accounts.push(format!("{} lost", board.lost()));
    if let Some(sync) = &board.sync {
        let (synced, pending) = (sync.outbox.acknowledged, sync.outbox.pending);
        accounts.push(format!("{synced} events synced, {pending} pending"));
    }
    accounts
}

fn keys(consent: ConsentState) -> Line<'static> {
    let (pause, withdraw) = match consent {
        ConsentState::Given => (Some("pause"), "withdraw consent"),
        ConsentState::Paused => (Some("go on"), "withdraw consent"),
        ConsentState::Withdrawn => (None, "give consent again"),
    };
    let keys = pause.map(|does| ("p", does)).into_iter().chain([
        ("b", "buy"),
        ("w", withdraw),
        ("q", "quit"),
    ]);
    let spans =
        keys.flat_map(|(key, does)| [Span::styled(key, BOLD), Span::raw(format!(" {does}   "))]);
    Line::from(spans.collect::<Vec<_>>())
}

/// What must be known even on the smallest terminal.
fn essentials(frame: &mut Frame<'_>, area: Rect, board: &Board, now: Instant) {
    let width = usize::from(area.width);
    let mut lines = vec![
        Line::from(badge(board.consent)),
        Line::from(vec![Span::styled("Attune ", BOLD), Span::raw(time(board, now))]),
        Line::styled(shorten(&board.offer.title, width), Style::new()),
        Line::styled(board.offer.price.to_string(), BOLD),
    ];
    let disclosure = board.revisions.front().and_then(|r| r.disclosure.as_deref());
    lines.extend(paragraph(disclosure.unwrap_or_default(), width, DIM));
    if board.consent == ConsentState::Given {
        match board.estimate.as_ref().filter(|estimate| estimate.abstained.is_none()) {
            Some(estimate) => {
                let (class, p) = estimate.top();
                let style = Style::new().fg(mind::colour(class));
                lines.push(Line::styled(format!("{} {}", class.name(), text::percent(p)), style));
            }
            None => {
                let why = board.estimate.as_ref().and_then(|estimate| estimate.abstained);
                lines.extend(paragraph(mind::abstains(why), width, DIM));
            }
        }
    }
    lines.push(keys(board.consent));
    lines.push(Line::styled("A larger terminal shows more.", DIM));
    frame.render_widget(Paragraph::new(lines), area);
}
