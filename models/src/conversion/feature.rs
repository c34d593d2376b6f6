//! A model's inputs, and what they say in plain words.

use protocol::offer::{Currency, Money};
use serde::{Deserialize, Serialize};

/// One input of a [`Predictor`](crate::conversion::Predictor).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its name in the feature definitions.
    pub name: String,
    /// What it says about a person, with one placeholder at most: `{n}` the number itself,
    /// `{times}` ("once", "4 times"), `{days}` ("1 day", "12 days"), `{percent}` (of a share of 1),
    /// `{money}` (minor units of the model's currency). As in "bought {times} in the last 30 days".
    pub phrase: String,
    /// What its absence (NaN) says: "has not bought yet".
    pub missing: String,
}

/// Longest name, bytes.
const LONGEST_NAME: usize = 64;
/// Longest phrase, bytes.
const LONGEST_PHRASE: usize = 200;
/// What stands for the value.
const PLACEHOLDERS: [&str; 5] = ["n", "times", "days", "percent", "money"];

impl Feature {
    /// What a value of it says, such as "bought 4 times in the last 30 days".
    ///
    /// # Examples
    /// ```
    /// use models::conversion::Feature;
    /// use protocol::offer::Currency;
    /// let feature = Feature {
    ///     name: "buys_30d".into(),
    ///     phrase: "bought {times} in the last 30 days".into(),
    ///     missing: "has not bought yet".into(),
    /// };
    /// assert_eq!(feature.say(4.0, Currency::EUR), "bought 4 times in the last 30 days");
    /// assert_eq!(feature.say(f32::NAN, Currency::EUR), "has not bought yet");
    /// ```
    #[must_use]
    pub fn say(&self, value: f32, currency: Currency) -> String {
        if value.is_nan() {
            return self.missing.clone();
        }
        match self.parts() {
            Some((before, placeholder, after)) => {
                format!("{before}{}{after}", spelled(placeholder, f64::from(value), currency))
            }
            None => self.phrase.clone(),
        }
    }

    /// What is wrong with it.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let rest = match self.parts() {
            Some((before, _, after)) => format!("{before}{after}"),
            None => self.phrase.clone(),
        };
        let long = |text: &str| text.is_empty() || text.len() > LONGEST_PHRASE;
        if self.name.is_empty() || self.name.len() > LONGEST_NAME {
            Some("its name must have 1 to 64 bytes")
        } else if long(&self.phrase) || long(&self.missing) {
            Some("its phrases must have 1 to 200 bytes")
        } else if rest.contains(['{', '}']) {
            Some("its phrase takes one of {n}, {times}, {days}, {percent}, {money}")
        } else {
            None
        }
    }

    /// The phrase about its placeholder.
    fn parts(&self) -> Option<(&str, &str, &str)> {
        let (before, rest) = self.phrase.split_once('{')?;
        let (placeholder, after) = rest.split_once('}')?;
        PLACEHOLDERS.contains(&placeholder).then_some((before, placeholder, after))
    }
}

pub(super) fn spelled(placeholder: &str, value: f64, currency: Currency) -> String {
    let number = number(value);
    match (placeholder, number.as_str()) {
        ("times", "1") => "once".to_owned(),
        ("times", "2") => "twice".to_owned(),
        ("times", _) => format!("{number} times"),
        ("days", "1") => "1 day".to_owned(),
        ("days", _) => format!("{number} days"),
        ("percent", _) => format!("{:.0} %", value * 100.0),
        // Beyond 64 bits the cast saturates.
        ("money", _) => Money { minor: value.round() as i64, currency }.to_string(),
        _ => number,
    }
}

/// Whole, or with one decimal; without the sign of a negative zero.
fn number(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0 + 0.0;
    tenths.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(phrase: &str, value: f32, says: &str) {
        let missing = "unknown".to_owned();
        let feature = Feature { name: "f".to_owned(), phrase: phrase.to_owned(), missing };
        assert_eq!(feature.fault(), None);
        assert_eq!(feature.say(value, Currency::EUR), says);
    }

    #[test]
    fn values_are_spelled() {
        check("saw {n} pages", 2.25, "saw 2.3 pages");
        check("bought {times}", 0.0, "bought 0 times");
        check("bought {times}", 1.0, "bought once");
        check("last {days} ago", 1.0, "last 1 day ago");
        check("last {days} ago", 12.0, "last 12 days ago");
        check("{percent} on weekends", 0.4, "40 % on weekends");
        check("spent {money}", 1250.0, "spent 12.50 EUR");
        check("is a member", 1.0, "is a member");
        check("saw {n} pages", f32::NAN, "unknown");
        check("saw {n} pages", -0.01, "saw 0 pages");
    }

    #[test]
    fn other_placeholders_are_faults() {
        for phrase in ["{", "}", "{m}", "{n} of {n}", "{{n}}", ""] {
            let feature =
                Feature { name: "f".into(), phrase: phrase.into(), missing: "unknown".into() };
            assert!(feature.fault().is_some(), "{phrase}");
        }
    }
}
