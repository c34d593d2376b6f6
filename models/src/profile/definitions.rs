//! Features as data: what is computed about a person, from which source, and what it says in plain
//! words. One text serves the running server, training and the book.

use super::{
    Source,
    plan::{Plan, Track},
};
use crate::conversion;
use protocol::{digest::Digest, offer::Currency};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use thiserror::Error;

/// The longest window, and of how many days with facts a profile keeps each apart.
pub const KEPT_DAYS: u16 = 400;
/// Most features of one set of definitions.
pub const MOST_FEATURES: usize = 256;
/// Most pairs of source and names that features are told from.
pub const MOST_TRACKS: usize = 32;
/// Most names that one feature goes by.
const MOST_NAMES: usize = 32;
/// Longest name, bytes.
const LONGEST_NAME: usize = 64;
/// Half-lives, days: below, a fact is gone within its day; above, nothing decays in a window.
const HALF_LIVES_DAYS: std::ops::RangeInclusive<f64> = 0.5..=400.0;
/// What a phrase may hold; see [`conversion::Feature::phrase`].
const PLACEHOLDERS: [&str; 5] = ["n", "times", "days", "percent", "money"];
/// The text of [`Definitions::standard`].
const STANDARD: &str = include_str!("standard.toml");

/// What a feature is told about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// A person: all that was linked to one human.
    #[default]
    Person,
}

/// How facts become a number. Days are calendar days of the definitions' zone; a window of n days
/// is today and the n - 1 days before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// How many facts; 0 where there are none.
    Count,
    /// Their values together, minor units; 0 where there are none.
    Sum,
    /// Mean value of those that have one, minor units.
    Mean,
    /// Their numbers (quantities) together.
    Quantity,
    /// Days with at least one.
    Days,
    /// Days since the last one.
    DaysSinceLast,
    /// Days since the first one.
    DaysSinceFirst,
    /// Mean days between days with facts; missing before the second.
    GapMean,
    /// Standard deviation (n - 1) of the same; missing before the third.
    GapSd,
    /// Days since the last over the mean gap: 1 is due, 2 is overdue by as much again.
    DueRatio,
    /// Facts, each counted half after every `half_life_days`.
    Decayed,
    /// Of the days with facts, the share on the weekdays of the next `ahead_days` days.
    WeekdayShare,
    /// Different items.
    Items,
    /// Different categories.
    Categories,
    /// The newest number: a band, a measurement.
    Latest,
    /// A circumstance of the person's place, by its name.
    Surrounding,
    /// Weekday of the time itself: 0 Monday ... 6 Sunday.
    Weekday,
    /// Month of the time itself: 1 ... 12.
    Month,
    /// Day of the month of the time itself: 1 ... 31.
    DayOfMonth,
}

impl Aggregation {
    /// Whether it is told from the time alone.
    #[must_use]
    pub const fn is_of_the_clock(self) -> bool {
        matches!(self, Self::Weekday | Self::Month | Self::DayOfMonth)
    }
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its name: letters, digits and `_`, lower case.
    pub name: String,
    /// What it is about.
    #[serde(default)]
    pub entity: Entity,
    /// Which facts it is told from; none for the clock's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Which names of that source; all, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// How.
    pub aggregation: Aggregation,
    /// Over how many days, today included, at most [`KEPT_DAYS`]; all time if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_days: Option<u16>,
    /// For [`Aggregation::Decayed`]: days after which a fact counts half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life_days: Option<f64>,
    /// For [`Aggregation::WeekdayShare`]: how many days, tomorrow the first, 1 to 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead_days: Option<u8>,
    /// Freshness: the value is missing once the newest fact is older than this many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_days: Option<u16>,
    /// What it may be used for.
    pub purpose: String,
    /// What it says about a person; see [`conversion::Feature::phrase`] for the placeholders.
    pub says: String,
    /// What its absence says.
    #[serde(default = "unknown")]
    pub missing: String,
}

fn unknown() -> String {
    "not known".to_owned()
}

/// Why definitions were not taken.
#[derive(Debug, Error)]
pub enum DefinitionsError {
    /// The text is not what it should be.
    #[error("the feature definitions cannot be read: {0}")]
    Text(Box<toml::de::Error>),
    /// One feature does not hold together.
    #[error("feature `{name}`: {what}")]
    Feature {
        /// Its name.
        name: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The set as a whole does not.
    #[error("the feature definitions {0}")]
    Set(String),
}

/// A set of features that holds together.
#[derive(Debug, Clone)]
pub struct Definitions {
    set: Set,
    plan: Plan,
    digest: Digest,
}

/// The text's own shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    /// The currency whose values count; values in others do not. Absent: any, at face value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<Currency>,
    /// Where days begin: minutes east of Greenwich.
    #[serde(default)]
    utc_offset_minutes: i16,
    #[serde(rename = "feature")]
    features: Vec<Feature>,
}

impl Definitions {
    /// Definitions from their TOML text.
    ///
    /// # Errors
    /// [`DefinitionsError`] says which feature is wrong, and how it would be right.
    ///
    /// # Examples
    /// ```
    /// use models::profile::Definitions;
    /// let text = r#"
    ///     [[feature]]
    ///     name = "visits_7d"
    ///     source = "behaviour"
    ///     names = ["page_view"]
    ///     aggregation = "count"
    ///     window_days = 7
    ///     purpose = "conversion"
    ///     says = "visited {times} in the last week"
    /// "#;
    /// assert_eq!(Definitions::parse(text).unwrap().features()[0].name, "visits_7d");
    /// let wrong = Definitions::parse(&text.replace("count", "decayed")).unwrap_err();
    /// assert!(wrong.to_string().contains("half_life_days"));
    /// ```
    pub fn parse(text: &str) -> Result<Self, DefinitionsError> {
        let set: Set = toml::from_str(text).map_err(|e| DefinitionsError::Text(Box::new(e)))?;
        check_set(&set)?;
        let plan = Plan::of(&set.features, set.utc_offset_minutes);
        if plan.tracks.len() > MOST_TRACKS {
            let count = plan.tracks.len();
            return Err(DefinitionsError::Set(format!(
                "go by {count} different pairs of source and names, at most {MOST_TRACKS} are \
                 kept: let features share theirs"
            )));
        }
        let json = serde_json::to_vec(&set).map_err(|e| DefinitionsError::Set(e.to_string()))?;
        Ok(Self { set, plan, digest: Digest::of(&json) })
    }

    /// The definitions that come with Attune.
    ///
    /// # Errors
    /// None: a test reads them.
    pub fn standard() -> Result<Self, DefinitionsError> {
        Self::parse(STANDARD)
    }

    /// The features, in the order of their columns.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.set.features
    }

    /// The zone that days are counted in, minutes east of Greenwich.
    #[must_use]
    pub fn utc_offset_minutes(&self) -> i16 {
        self.set.utc_offset_minutes
    }

    /// The column of a feature.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.set.features.iter().position(|feature| feature.name == name)
    }

    /// The same as a model's inputs.
    #[must_use]
    pub fn inputs(&self) -> Vec<conversion::Feature> {
        let input = |feature: &Feature| conversion::Feature {
            name: feature.name.clone(),
            phrase: feature.says.clone(),
            missing: feature.missing.clone(),
        };
        self.set.features.iter().map(input).collect()
    }

    /// Names this very set: profiles and models of another do not fit it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The currency whose values count; any, at face value, if `None`.
    #[must_use]
    pub const fn currency(&self) -> Option<Currency> {
        self.set.currency
    }

    /// The circumstances of places that features ask for: column and name.
    pub fn surroundings(&self) -> impl Iterator<Item = (usize, &str)> {
        let features = self.set.features.iter().enumerate();
        features
            .filter(|(_, feature)| feature.aggregation == Aggregation::Surrounding)
            .filter_map(|(column, feature)| Some((column, feature.names.first()?.as_str())))
    }

    pub(super) const fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn tracks(&self) -> &[Track] {
        &self.plan.tracks
    }
}

fn check_set(set: &Set) -> Result<(), DefinitionsError> {
    /// Time zones reach from -12 to +14 hours.
    const OFFSETS_MINUTES: std::ops::RangeInclusive<i16> = -720..=840;
    let wrong = |what: String| Err(DefinitionsError::Set(what));
    if !OFFSETS_MINUTES.contains(&set.utc_offset_minutes) {
        return wrong(format!(
            "have utc_offset_minutes = {}: zones lie between -720 and 840",
            set.utc_offset_minutes
        ));
    }
    if set.features.is_empty() || set.features.len() > MOST_FEATURES {
        let count = set.features.len();
        return wrong(format!("have {count} features: give 1 to {MOST_FEATURES} [[feature]]s"));
    }
    let mut names = HashSet::new();
    for feature in &set.features {
        let fault = if names.insert(&feature.name) {
            fault_of(feature)
        } else {
            Some("stands there twice: give every feature its own name".to_owned())
        };
        if let Some(what) = fault {
            return Err(DefinitionsError::Feature { name: feature.name.clone(), what });
        }
    }
    Ok(())
}

/// What is wrong with a feature, and what to do.
fn fault_of(feature: &Feature) -> Option<String> {
    let Feature { aggregation, window_days, half_life_days, ahead_days, .. } = feature;
    let fault = |what: &str| Some(what.to_owned());
    if !is_name(&feature.name) {
        return fault("a name is 1 to 64 of a-z, 0-9 and _, a letter first");
    }
    if feature.purpose.is_empty() || feature.says.is_empty() || feature.missing.is_empty() {
        return fault("`purpose`, `says` and `missing` must not be empty");
    }
    if let Some(what) = fault_of_phrase(&feature.says) {
        return Some(what);
    }
    if aggregation.is_of_the_clock() {
        let of_facts = feature.source.is_some() || window_days.is_some();
        return if of_facts || !feature.names.is_empty() {
            fault("is told from the time alone: leave out source, names and window_days")
        } else {
            None
        };
    }
    if feature.source.is_none() {
        let all = Source::ALL.map(Source::name).join(", ");
        return Some(format!("needs `source`, one of {all}"));
    }
    let too_long = feature.names.iter().any(|n| n.is_empty() || n.len() > LONGEST_NAME);
    if too_long || feature.names.len() > MOST_NAMES {
        return fault("`names` takes up to 32 names of 1 to 64 bytes");
    }
    if feature.fresh_days == Some(0) {
        return fault("`fresh_days` must be at least 1");
    }
    match (aggregation, window_days) {
        (_, Some(days)) if !(1..=KEPT_DAYS).contains(days) => {
            return Some(format!("`window_days` must be 1 to {KEPT_DAYS}, or absent: all time"));
        }
        (Aggregation::Items | Aggregation::Categories, None) => {
            return fault("needs `window_days`: items and categories are kept for a window only");
        }
        (Aggregation::Latest | Aggregation::Surrounding, Some(_)) => {
            return fault("takes no `window_days`: use `fresh_days`");
        }
        _ => {}
    }
    if *aggregation == Aggregation::Surrounding
        && (feature.source != Some(Source::Context) || feature.names.len() != 1)
    {
        return fault("needs `source = \"context\"` and one name in `names`");
    }
    match (aggregation, half_life_days) {
        (Aggregation::Decayed, Some(days)) if HALF_LIVES_DAYS.contains(days) => {}
        (Aggregation::Decayed, _) => return fault("needs `half_life_days`, 0.5 to 400"),
        (_, Some(_)) => return fault("`half_life_days` is for `decayed` only: leave it out"),
        _ => {}
    }
    match (aggregation, ahead_days) {
        (Aggregation::WeekdayShare, Some(1..=6)) => None,
        (Aggregation::WeekdayShare, _) => fault("needs `ahead_days`, 1 to 6"),
        (_, Some(_)) => fault("`ahead_days` is for `weekday_share` only: leave it out"),
        _ => None,
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// At most one placeholder, of those there are.
fn fault_of_phrase(says: &str) -> Option<String> {
    let rest = match says.split_once('{') {
        None => says,
        Some((before, after)) => match after.split_once('}') {
            Some((placeholder, rest)) if PLACEHOLDERS.contains(&placeholder) => {
                if before.contains('}') { before } else { rest }
            }
            _ => "{",
        },
    };
    let wrong = rest.contains(['{', '}']);
    wrong.then(|| {
        let all = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ");
        format!("`says` takes one placeholder at most, of {all}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A feature that is right but for what is appended or replaced.
    fn refused(change: impl Fn(&str) -> String) -> String {
        let text = "[[feature]]\nname = \"a\"\npurpose = \"conversion\"\nsays = \"{times}\"\n\
                    source = \"conversion\"\naggregation = \"count\"\nwindow_days = 7\n";
        Definitions::parse(text).unwrap();
        Definitions::parse(&change(text)).unwrap_err().to_string()
    }

    fn check(from: &str, to: &str, expected: &str) {
        let message = refused(|text| text.replace(from, to));
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        check("window_days = 7", "window_days = 401", "must be 1 to 400");
        check("window_days = 7", "window_day = 7", "unknown field `window_day`");
        check("window_days = 7", "half_life_days = 2", "for `decayed` only");
        check("window_days = 7", "ahead_days = 2", "for `weekday_share` only");
        check("window_days = 7", "fresh_days = 0", "at least 1");
        check("\"count\"", "\"counts\"", "unknown variant `counts`");
        check("\"count\"", "\"weekday\"", "leave out source");
        check("\"count\"", "\"weekday_share\"", "needs `ahead_days`");
        check("\"count\"", "\"latest\"", "use `fresh_days`");
        check("\"count\"\nwindow_days = 7", "\"items\"", "needs `window_days`");
        check("\"count\"\nwindow_days = 7", "\"surrounding\"", "needs `source = \"context\"`");
        check("source = \"conversion\"\n", "", "needs `source`, one of conversion, behaviour");
        check("\"a\"", "\"A\"", "a name is");
        check("{times}", "{time}", "one placeholder at most");
        check("{times}", "{times} {n}", "one placeholder at most");
        check("{times}", "} {times}", "one placeholder at most");
        check("{times}", "", "must not be empty");
        check("[[feature]]", "utc_offset_minutes = 900\n[[feature]]", "between -720 and 840");
        check("[[feature]]", "currency = \"eur\"\n[[feature]]", "eur");
        let twice = refused(|text| text.repeat(2));
        assert!(twice.contains("twice"), "{twice}");
        let many = refused(|text| {
            let renamed = |k: usize| {
                text.replace("\"a\"", &format!("\"a{k}\"")) + &format!("names = [\"n{k}\"]\n")
            };
            (0..=MOST_TRACKS).map(renamed).collect()
        });
        assert!(many.contains("at most 32"), "{many}");
    }

    #[test]
    fn the_standard_set_is_right_and_names_itself() {
        let standard = Definitions::standard().unwrap();
        assert!((35..=60).contains(&standard.features().len()));
        assert_eq!(standard.inputs().len(), standard.features().len());
        assert_eq!(standard.digest(), Definitions::standard().unwrap().digest());
        let other = STANDARD.replacen("window_days = 7", "window_days = 8", 1);
        assert_ne!(Definitions::parse(&other).unwrap().digest(), standard.digest());
        let commented = format!("# A comment changes nothing.\n{STANDARD}");
        assert_eq!(Definitions::parse(&commented).unwrap().digest(), standard.digest());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", cut in 0..STANDARD.len(), with in "[ -~]{0,8}") {
            let _ = Definitions::parse(&text);
            if STANDARD.is_char_boundary(cut) {
                let _ = Definitions::parse(&format!("{}{with}{}", &STANDARD[..cut], &STANDARD[cut..]));
            }
        }
    }
}
