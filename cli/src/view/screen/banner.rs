//! What stands in place of the signals while there is no consent to measure.

use super::text::{BAD, BOLD, WARN, number, paragraph, wrap};
use crate::view::Board;
use protocol::consent::ConsentState;
use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Style},
    text::Line,
    widgets::Paragraph,
};

/// Rows of a letter.
const ROWS: usize = 5;

/// Draws it; nothing while consent is given.
pub fn draw(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let (word, colour, text) = match board.consent {
        ConsentState::Given => return,
        ConsentState::Paused => (
            "PAUSED",
            WARN,
            "Sensors are closed and nothing is measured. Your consent is kept. Press p to go on.",
        ),
        ConsentState::Withdrawn => (
            "WITHDRAWN",
            BAD,
            "Sensors are closed and nothing is measured. What was learned is forgotten, what was \
             not yet sent is deleted, and the offer is as listed. Press w to give consent again.",
        ),
    };
    let width = usize::from(area.width);
    let mut lines = vec![Line::default()];
    lines.extend(letters(word, width, colour));
    lines.push(Line::default());
    lines.extend(paragraph(text, width, Style::new()));
    if let Some(ms) = board.closed_after_ms {
        let text = format!("The sensors were closed {} ms after the key.", number(ms));
        lines.push(Line::default());
        lines.extend(wrap(&text, width).into_iter().map(|line| Line::styled(line, BOLD)));
    }
    let above = area.height.saturating_sub(lines.len() as u16) / 3;
    let below = Rect { y: area.y + above, height: area.height - above, ..area };
    frame.render_widget(Paragraph::new(lines), below);
}

/// The word in large letters where they fit: a pixel is two columns by one row, or one column by
/// half a row.
fn letters(word: &str, width: usize, colour: Color) -> Vec<Line<'static>> {
    let rows: Vec<String> = (0..ROWS)
        .map(|row| {
            let parts: Vec<&str> = word.chars().map(|letter| pixels(letter)[row]).collect();
            parts.join(" ")
        })
        .collect();
    let across = rows[0].len();
    let style = BOLD.fg(colour);
    if across * 2 <= width {
        let wide = |row: &String| row.replace('#', "██").replace([' ', '.'], "  ");
        return rows.iter().map(|row| Line::styled(wide(row), style)).collect();
    }
    if across > width {
        return vec![Line::styled(word.to_owned(), style)];
    }
    let halves = |pair: &[String]| -> String {
        let upper = pair[0].bytes();
        let lower = pair.get(1).map_or_else(|| " ".repeat(across), Clone::clone);
        let half = |(up, low): (u8, u8)| match (up == b'#', low == b'#') {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        upper.zip(lower.bytes()).map(half).collect()
    };
    rows.chunks(2).map(|pair| Line::styled(halves(pair), style)).collect()
}

/// The letters of the two words.
const fn pixels(letter: char) -> [&'static str; ROWS] {
    match letter {
        'A' => [".#.", "#.#", "###", "#.#", "#.#"],
        'D' => ["##.", "#.#", "#.#", "#.#", "##."],
        'E' => ["###", "#..", "##.", "#..", "###"],
        'H' => ["#.#", "#.#", "###", "#.#", "#.#"],
        'I' => ["#", "#", "#", "#", "#"],
        'N' => ["#..#", "##.#", "#.##", "#..#", "#..#"],
        'P' => ["##.", "#.#", "##.", "#..", "#.."],
        'R' => ["##.", "#.#", "##.", "#.#", "#.#"],
        'S' => ["###", "#..", "###", "..#", "###"],
        'T' => ["###", ".#.", ".#.", ".#.", ".#."],
        'U' => ["#.#", "#.#", "#.#", "#.#", "###"],
        'W' => ["#...#", "#...#", "#.#.#", "##.##", "#...#"],
        _ => ["   "; ROWS],
    }
}
