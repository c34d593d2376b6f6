//! One column of numbers out of a text: the plainest form a signal is kept in.

use thiserror::Error;

/// Why a text is not a column of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ColumnError {
    /// A line without a number where one should be.
    #[error("line {line}: expected a number in column {column}, found {found:?}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is there, cut short.
        found: String,
    },
    /// No number at all.
    #[error("no number in it: expected one a line")]
    Empty,
}

/// Longest piece of a bad line that is shown.
const SHOWN: usize = 40;

/// Reads `column` (from 1) of a text: one number a line, columns parted by comma, semicolon, tab
/// or blanks. Blank lines and those that begin with `#` are skipped, as is one line of titles at
/// the top. `nan` and an empty cell are missing values: NaN.
///
/// # Errors
/// [`ColumnError`] names the first line that is none of this.
///
/// # Examples
/// ```
/// use sdk_core::sensor::column;
/// assert_eq!(column::parse("812.5\n790\n", 1).unwrap(), [812.5, 790.0]);
/// assert_eq!(column::parse("t;rr\n0;812\n1;790", 2).unwrap(), [812.0, 790.0]);
/// ```
pub fn parse(text: &str, column: usize) -> Result<Vec<f64>, ColumnError> {
    let mut values = Vec::new();
    let mut titles_seen = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match cell(line, column).map(number) {
            Some(Some(value)) => values.push(value),
            _ if values.is_empty() && !std::mem::replace(&mut titles_seen, true) => {}
            _ => {
                let found = line.chars().take(SHOWN).collect();
                return Err(ColumnError::Line { line: index + 1, column, found });
            }
        }
    }
    if values.is_empty() { Err(ColumnError::Empty) } else { Ok(values) }
}

/// Where a line has a mark between columns, blanks are only blanks.
fn cell(line: &str, column: usize) -> Option<&str> {
    let index = column.checked_sub(1)?;
    match [',', ';', '\t'].into_iter().find(|mark| line.contains(*mark)) {
        Some(mark) => line.split(mark).nth(index),
        None => line.split_whitespace().nth(index),
    }
}

fn number(cell: &str) -> Option<f64> {
    let cell = cell.trim();
    if cell.is_empty() || cell.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    cell.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn titles_comments_and_blank_lines_are_skipped() {
        let text =
            "\u{feff}# from somewhere\nat_s, ecg_mv\n\n0.0, 1.5\r\n0.1,\n0.2,nan\n0.3, -2e-3\n";
        let values = parse(text, 2).unwrap();
        assert_eq!((values[0], values[3], values.len()), (1.5, -2e-3, 4));
        assert!(values[1].is_nan() && values[2].is_nan());
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = parse("1\n2\nabc\n", 1).unwrap_err();
        assert_eq!(error.to_string(), "line 3: expected a number in column 1, found \"abc\"");
        assert!(matches!(parse("1 2\n3\n", 2), Err(ColumnError::Line { line: 2, .. })));
        assert!(matches!(parse("a\nb\n", 1), Err(ColumnError::Line { line: 2, .. })));
        assert_eq!(parse("", 1), Err(ColumnError::Empty));
        assert_eq!(parse("title\n", 1), Err(ColumnError::Empty));
        assert!(parse("inf\n1\ninf\n", 1).is_err(), "infinity is not measured");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}", column in 0usize..4) {
            let _ = parse(&text, column);
        }

        #[test]
        fn what_was_written_is_read(values in prop::collection::vec(-1e9..1e9f64, 1..50)) {
            let text: String = values.iter().map(|v| format!("{v}\n")).collect();
            prop_assert_eq!(parse(&text, 1), Ok(values));
        }
    }
}
