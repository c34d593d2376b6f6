//! Statements over many rows at once, in the form that both databases read.

use std::fmt::Write;

/// Rows of one statement at most: a full one is prepared once and used again and again. More would
/// cost more than they save: SQLite looks the name of a place up by walking all of them, so a
/// statement's binding takes the square of its places (half of all CPU at 500 rows).
pub(super) const MOST_ROWS: usize = 100;

/// Places for `count` rows of `width` values: `($1,$2),($3,$4)`.
#[must_use]
pub(crate) fn rows(count: usize, width: usize) -> String {
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
pub(crate) fn list(first: usize, count: usize) -> String {
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
        assert_eq!(rows(2, 3), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(rows(1, 1), "($1)");
        assert_eq!(rows(0, 3), "");
        assert_eq!(list(2, 3), "($2,$3,$4)");
        assert_eq!(list(1, 0), "()");
    }
}
