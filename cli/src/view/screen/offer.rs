//! The shop's side: the offer as a card, why it is as it is, and how it came there.

use super::text::{BOLD, DIM, GOOD, WARN, clock, paragraph, rule, shorten, wrap};
use crate::view::Board;
use protocol::{
    consent::ConsentState,
    offer::{Money, Offer, OfferRevision, Rule},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Block, BorderType, Padding, Paragraph},
};
use sdk_core::offer::Hold;
use std::time::Duration;

/// Columns of the labels in the card.
const LABEL: usize = 11;
/// Rows of the card's frame.
const FRAME: usize = 2;
/// Columns of the card's frame and padding.
const SIDES: usize = 4;
/// Rows of the card below which the list of changes gives way.
const CARD: usize = 12;
/// Rows of the shortest history: air, a rule, a revision.
const HISTORY: u16 = 3;

/// Draws card, reasons and history. A small screen first drops the list of changes and the
/// history, then the end of the card; price, disclosure and reason stay.
pub fn draw(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let revision = current(board);
    let (must, more) = card(board, revision, width.saturating_sub(SIDES));
    let reasons = {
        let full = reasons(board, revision, width, true);
        let roomy = height >= full.len() + CARD.min(must.len() + more.len() + FRAME);
        if roomy { full } else { reasons(board, revision, width, false) }
    };
    let reasons_rows = reasons.len().min(height.saturating_sub(must.len() + FRAME));
    let room = height.saturating_sub(reasons_rows + FRAME);
    let mut lines = must;
    lines.extend(more);
    if lines.len() > room {
        lines.retain(|line| line.width() > 0);
        lines.truncate(room);
    }
    let card_rows = lines.len() + FRAME;
    let [card_area, reasons_area, history_area] = Layout::vertical([
        Constraint::Length(card_rows as u16),
        Constraint::Length(reasons_rows as u16),
        Constraint::Fill(1),
    ])
    .areas(area);
    let title = shorten(&board.offer.title, width.saturating_sub(SIDES + 2));
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(DIM)
        .padding(Padding::horizontal(1))
        .title(Line::styled(format!(" {title} "), BOLD.remove_modifier(Modifier::DIM)));
    frame.render_widget(Paragraph::new(lines).block(block), card_area);
    frame.render_widget(Paragraph::new(reasons), reasons_area);
    let history = history(board, width);
    if history.len() > 1 && history_area.height >= HISTORY {
        let lower = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]);
        let [_, below] = lower.areas(history_area);
        frame.render_widget(Paragraph::new(history), below);
    }
}

/// Why the offer stays, in plain words.
#[must_use]
pub const fn holds(hold: Hold) -> &'static str {
    match hold {
        Hold::Abstained(_) => "the model gives no estimate.",
        Hold::NotPermitted => "there is no consent to adapt it.",
        Hold::Unsure => "no state of mind is likely enough.",
        Hold::Dwelling => "a new state leads, but not long yet.",
        Hold::Settling => "the last change is too recent.",
        Hold::Fits => "it fits the state of mind.",
    }
}

/// The revision that explains the offer. Reasons speak of what was measured: without consent, only
/// the return to the list offer is told, which is past once consent is given again.
fn current(board: &Board) -> Option<&OfferRevision> {
    let newest = board.shown_revisions().next();
    newest.filter(|r| (board.consent == ConsentState::Given) != (r.rule == Rule::Restore))
}

/// What must stand on the card, and what may.
fn card(
    board: &Board,
    revision: Option<&OfferRevision>,
    width: usize,
) -> (Vec<Line<'static>>, Vec<Line<'static>>) {
    let offer = &board.offer;
    let list = board.revisions.front().map_or(offer.price, |r| r.reference_price);
    let mut price = vec![];
    if list == offer.price {
        price.push(Span::styled(offer.price.to_string(), BOLD));
        price.push(Span::styled("  list price", DIM));
    } else {
        let colour = if offer.price.minor < list.minor { GOOD } else { WARN };
        price.push(Span::styled(offer.price.to_string(), BOLD.fg(colour)));
        price.push(Span::styled("  list ", DIM));
        price.push(Span::styled(list.to_string(), DIM.add_modifier(Modifier::CROSSED_OUT)));
    }
    let mut must = vec![Line::from(price)];
    // The disclosure belongs to the price, whatever became of the consent since.
    let told = revision.or(board.revisions.front().map(AsRef::as_ref));
    if let Some(disclosure) = told.and_then(|r| r.disclosure.as_deref()) {
        must.extend(paragraph(disclosure, width, DIM.add_modifier(Modifier::ITALIC)));
    }
    let mut more = vec![Line::default()];
    let mut entry = |label: &'static str, items: &[String]| {
        let room = width.saturating_sub(LABEL);
        let lines = items.iter().flat_map(|item| wrap(item, room));
        more.extend(lines.enumerate().map(|(i, line)| {
            let label = if i == 0 { label } else { "" };
            Line::from(vec![Span::styled(format!("{label:<LABEL$}"), DIM), Span::raw(line)])
        }));
    };
    let joined = |items: &[String]| match items {
        [] => vec![],
        items => vec![items.join(" · ")],
    };
    entry("features", &joined(&offer.features));
    entry("add-on", &bundle(offer));
    entry("delivery", &delivery(offer));
    entry("guarantee", &joined(&offer.guarantees));
    entry("related", &joined(&offer.related));
    (must, more)
}

fn bundle(offer: &Offer) -> Vec<String> {
    let line = |title: &str, minor| format!("{title}, {}", extra(offer, minor, "included"));
    offer.bundle.iter().map(|item| line(&item.title, item.price_minor)).collect()
}

fn delivery(offer: &Offer) -> Vec<String> {
    let line = |option: &protocol::offer::DeliveryOption| {
        let days = if option.days == 1 { "day" } else { "days" };
        let price = extra(offer, option.price_minor, "free");
        format!("{}, {price}, {} {days}", option.title, option.days)
    };
    offer.delivery.iter().map(line).collect()
}

fn extra(offer: &Offer, minor: i64, nothing: &str) -> String {
    match minor {
        0 => nothing.to_owned(),
        _ => Money { minor, ..offer.price }.to_string(),
    }
}

fn reasons(
    board: &Board,
    revision: Option<&OfferRevision>,
    width: usize,
    with_changes: bool,
) -> Vec<Line<'static>> {
    let rule_and_time = revision.map_or_else(Line::default, |r| {
        Line::from(vec![
            Span::raw(r.rule.id()),
            Span::styled(format!(" at {}", clock(Duration::from_millis(r.at_ms))), DIM),
        ])
    });
    let mut lines = vec![rule("Why", rule_and_time, width)];
    let reason = match (revision, board.consent) {
        (Some(revision), _) => revision.reason.as_str(),
        (None, ConsentState::Paused) => "While you pause, the offer stays as it is.",
        (None, _) => "The offer is as listed.",
    };
    lines.extend(paragraph(reason, width, Style::new()));
    if let Some(revision) = revision.filter(|_| with_changes) {
        for change in &revision.changes {
            let change = shorten(change, width.saturating_sub(2));
            lines.push(Line::styled(format!("· {change}"), DIM));
        }
    }
    if board.consent == ConsentState::Given && board.estimate.is_some() {
        let now = match board.hold {
            Some(hold) => format!("Holds: {}", holds(hold)),
            None => "It has just changed.".to_owned(),
        };
        lines.extend(paragraph(&now, width, BOLD));
    }
    lines
}

fn history(board: &Board, width: usize) -> Vec<Line<'static>> {
    const TIME: usize = 7;
    const RULE: usize = 10;
    if board.consent != ConsentState::Given {
        return Vec::new();
    }
    let line = |r: &OfferRevision| {
        let at = clock(Duration::from_millis(r.at_ms));
        let what = shorten(&r.changes.join("; "), width.saturating_sub(TIME + RULE));
        Line::from(vec![
            Span::styled(format!("{at:<TIME$}"), DIM),
            Span::raw(format!("{:<RULE$}", r.rule.id())),
            Span::styled(what, DIM),
        ])
    };
    let mut lines = vec![rule("Before", Line::default(), width)];
    lines.extend(board.shown_revisions().skip(1).map(line));
    lines
}
