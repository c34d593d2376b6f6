//! A profile in the person's own words.

use super::Profile;
use serde::{Deserialize, Serialize};

/// A language that people are spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// German, with "Sie".
    #[serde(rename = "de")]
    German,
}

impl Profile {
    /// Why the person might need it: how often, how much, how long ago. One line, no full stop.
    #[must_use]
    pub fn explain(&self, language: Language) -> String {
        match language {
            Language::English => self.english(),
            Language::German => self.german(),
        }
    }

    /// Whole days between purchases, at least 1.
    fn every(&self) -> Option<i64> {
        self.gap_mean_days.map(|days| (days.round() as i64).max(1))
    }

    fn english(&self) -> String {
        let ago = match self.since_days {
            ..=0 => "today".to_owned(),
            1 => "yesterday".to_owned(),
            days => format!("{days} days ago"),
        };
        let quantity = self.typical_quantity;
        match self.every() {
            Some(1) => format!("you buy this about every day, {quantity} at a time; last {ago}"),
            Some(days) => {
                format!("you buy this about every {days} days, {quantity} at a time; last {ago}")
            }
            None => format!("you bought {quantity} of this once, {ago}"),
        }
    }

    fn german(&self) -> String {
        let ago = match self.since_days {
            ..=0 => "heute".to_owned(),
            1 => "gestern".to_owned(),
            days => format!("vor {days} Tagen"),
        };
        let quantity = self.typical_quantity;
        match self.every() {
            Some(1) => {
                format!("Sie kaufen das etwa jeden Tag, jeweils {quantity}; zuletzt {ago}")
            }
            Some(days) => {
                format!("Sie kaufen das etwa alle {days} Tage, jeweils {quantity}; zuletzt {ago}")
            }
            None => format!("Sie haben davon einmal {quantity} gekauft, {ago}"),
        }
    }
}
