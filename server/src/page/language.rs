//! Which language a browser would like: Accept-Language (RFC 9110, 12.5.4).

use crate::orders::person::Language;
use axum::http::{HeaderMap, header};

/// Most entries that are looked at: browsers send a handful.
const MOST_ENTRIES: usize = 20;

/// The language that the browser likes best of those there are; English if it likes none.
pub(super) fn preferred(headers: &HeaderMap) -> Language {
    let line = headers.get(header::ACCEPT_LANGUAGE).and_then(|line| line.to_str().ok());
    let entries = line.unwrap_or_default().split(',').take(MOST_ENTRIES).filter_map(entry);
    let mut best = (Language::English, 0.0);
    for (language, weight) in entries {
        // Of two that are liked as much, the first.
        if weight > best.1 {
            best = (language, weight);
        }
    }
    best.0
}

fn entry(text: &str) -> Option<(Language, f64)> {
    let (range, rest) = text.split_once(';').unwrap_or((text, ""));
    let primary = range.trim().split('-').next()?.to_ascii_lowercase();
    let language = match primary.as_str() {
        "en" => Language::English,
        "de" => Language::German,
        _ => return None,
    };
    let weight = rest.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.parse().ok())?;
    Some((language, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_language_is_taken() {
        let check = |line: &str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, line.parse().unwrap());
            assert_eq!(preferred(&headers), expected, "{line}");
        };
        check("de-AT,de;q=0.9,en;q=0.8", Language::German);
        check("en-GB,en;q=0.9,de;q=0.8", Language::English);
        check("fr, de;q=0.5, en;q=0.4", Language::German);
        check("de;q=0, en;q=0.1", Language::English);
        for none in ["", "fr", "de;q=x", ";;,,", "de;q=NaN"] {
            check(none, Language::English);
        }
        assert_eq!(preferred(&HeaderMap::new()), Language::English);
    }
}
