//! Statements over many rows at once.

use super::db::Dialect;
use std::fmt::Write;

/// Rows of one statement at most: a full one is prepared once and used again and again.
pub(super) const MOST_ROWS: usize = 250;

/// Places for `count` rows of `width` values, the only ones of their statement: `($1,$2),($3,$4)`.
///
/// SQLite's have no numbers: it finds the name of a place by walking all of them, so that binding
/// takes the square of their count (half of a busy server's CPU, at 500 rows).
#[must_use]
pub(super) fn rows(dialect: Dialect, count: usize, width: usize) -> String {
    if dialect == Dialect::Sqlite {
        let row = format!("({})", vec!["?"; width].join(","));
        return vec![row.as_str(); count].join(",");
    }
    let mut text = String::with_capacity(count * width * 6);
    for row in 0..count {
        text.push_str(if row == 0 { "(" } else { ",(" });
        places(&mut text, row * width + 1, width);
        text.push(')');
    }
    text
}

/// Places for a list that begins with number `first`: `($2,$3,$4)`.
#[must_use]
pub(super) fn list(first: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * 6 + 2);
    text.push('(');
    places(&mut text, first, count);
    text.push(')');
    text
}

fn places(text: &mut String, first: usize, count: usize) {
    for place in first..first + count {
        let comma = if place == first { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}${place}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_through() {
        assert_eq!(rows(Dialect::Postgres, 2, 3), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(rows(Dialect::Sqlite, 2, 3), "(?,?,?),(?,?,?)");
        assert_eq!(rows(Dialect::Postgres, 1, 1), "($1)");
        assert_eq!(rows(Dialect::Sqlite, 0, 3), "");
        assert_eq!(list(2, 3), "($2,$3,$4)");
        assert_eq!(list(1, 0), "()");
    }
}
