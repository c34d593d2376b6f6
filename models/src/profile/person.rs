//! What is known about one person, and what follows from it at a time.

use super::{
    Definitions, Fact, PART, Source, aggregate, calendar, rows,
    track::{self, Change, State},
};
use crate::customer_base::RepeatHistory;
use serde::{Deserialize, Serialize};

/// The name of the fact, of [`Source::Demographics`], whose item is the code of the person's place.
pub const PLACE: &str = "place";
/// Most facts from the future that wait for their time.
const MOST_WAITING: usize = 64;
/// Most places that are kept.
const MOST_PLACES: usize = 8;
/// Longest code of a place, bytes.
const LONGEST_PLACE: usize = 64;

/// A person's state: what all features follow from, in a few numbers a day.
///
/// Apply facts in the order in which they became known; whatever order they happened in, and
/// whatever they take back, the state is the same as if it had been made of what holds in the end.
/// Of bounded size, whatever comes.
///
/// # Examples
/// ```
/// use models::profile::{Definitions, Fact, Profile, Source};
/// # fn main() -> Result<(), models::profile::DefinitionsError> {
/// const DAY: i64 = 86_400_000;
/// let definitions = Definitions::standard()?;
/// let mut profile = Profile::new(&definitions);
/// let bought = Fact {
///     source: Source::Conversion,
///     name: "store_purchase".into(),
///     at_unix_ms: 10 * DAY,
///     known_unix_ms: 12 * DAY,
///     count: 1,
///     value: None,
///     number: None,
///     item: None,
///     category: None,
/// };
/// profile.apply(&definitions, &bought);
/// let mut features = Vec::new();
/// profile.features(&definitions, 14 * DAY, &mut features);
/// let column = definitions.column("days_since_conversion").unwrap();
/// assert_eq!(features[column], 4.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The head of the definitions' digest.
    #[serde(rename = "f")]
    fits: u64,
    #[serde(rename = "t")]
    tracks: Vec<State>,
    #[serde(rename = "w", default, with = "rows", skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Change>,
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    places: Vec<Place>,
}

/// Where the person was said to be since a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place(i64, String, i64);

impl Profile {
    /// Of somebody of whom nothing is known.
    #[must_use]
    pub fn new(definitions: &Definitions) -> Self {
        let tracks = vec![State::default(); definitions.tracks().len()];
        Self { fits: head(definitions), tracks, waiting: vec![], places: vec![] }
    }

    /// Whether it was made by these definitions. If not, make it anew from the facts.
    #[must_use]
    pub fn fits(&self, definitions: &Definitions) -> bool {
        self.fits == head(definitions) && self.tracks.len() == definitions.tracks().len()
    }

    /// Takes a fact in. One that happens later than it is known counts once its time has come.
    ///
    /// A retraction has count -1 and the negative value and number of what it takes back, at the
    /// time of that.
    pub fn apply(&mut self, definitions: &Definitions, fact: &Fact) {
        if !self.fits(definitions) {
            *self = Self::new(definitions);
        }
        self.settle(definitions, fact.known_unix_ms);
        if fact.source == Source::Demographics && fact.name == PLACE {
            self.move_to(fact);
        }
        let mut change = Change {
            at_unix_ms: fact.at_unix_ms,
            tracks: 0,
            // The fact that it is a part of counts.
            count: if fact.name == PART { 0 } else { fact.count.into() },
            value_minor: 0,
            valued: 0,
            number_millionths: fact.number.map_or(0, track::millionths),
            numbered: fact.number.map_or(0, |_| fact.count.into()),
            parts: fact.count.into(),
            item: fact.item.as_deref().map_or(0, track::hash),
            category: fact.category.as_deref().map_or(0, track::hash),
        };
        let counts = |currency| definitions.currency().is_none_or(|ours| ours == currency);
        if let Some(value) = fact.value.filter(|value| counts(value.currency)) {
            change.value_minor = value.minor;
            change.valued = change.count;
        }
        for (position, track) in definitions.tracks().iter().enumerate() {
            if track.takes(fact) {
                change.tracks |= 1 << position;
                let known = &mut self.tracks[position].known_unix_ms;
                *known = (*known).max(fact.known_unix_ms);
            }
        }
        if change.tracks == 0 {
            return;
        }
        if change.at_unix_ms > fact.known_unix_ms {
            self.wait(change);
        } else {
            self.add(definitions, &change, fact.known_unix_ms);
        }
    }

    /// The features at a time, one a column of the definitions; NaN: missing. `out` is overwritten.
    ///
    /// The time is not before the last fact became known: for a time in the past, apply the facts
    /// known up to then to a new profile. Columns of [`Definitions::surroundings`] are left
    /// missing: a profile knows its place, not the weather there.
    pub fn features(&self, definitions: &Definitions, at_unix_ms: i64, out: &mut Vec<f32>) {
        out.clear();
        if !self.fits(definitions) {
            let nobody = Self::new(definitions);
            return nobody.features(definitions, at_unix_ms, out);
        }
        if self.waiting.first().is_some_and(|first| first.at_unix_ms <= at_unix_ms) {
            let mut settled = self.clone();
            settled.settle(definitions, at_unix_ms);
            return settled.features(definitions, at_unix_ms, out);
        }
        let plan = definitions.plan();
        let today = calendar::day_of(at_unix_ms, plan.utc_offset_minutes);
        let values = plan.columns.iter().map(|column| {
            let (state, offset) = (&self.tracks[column.track], plan.utc_offset_minutes);
            let value = aggregate::value(column, state, today, offset) as f32;
            if value.is_finite() { value } else { f32::NAN }
        });
        out.extend(values);
    }

    /// The purchases that customer-base models go by: days with a conversion of any kind. `None`
    /// before the first. The time is as for [`features`](Self::features).
    #[must_use]
    pub fn history(&self, definitions: &Definitions, at_unix_ms: i64) -> Option<RepeatHistory> {
        let plan = definitions.plan();
        let today = calendar::day_of(at_unix_ms, plan.utc_offset_minutes);
        if self.waiting.first().is_some_and(|first| first.at_unix_ms <= at_unix_ms) {
            let mut settled = self.clone();
            settled.settle(definitions, at_unix_ms);
            return settled.history(definitions, at_unix_ms);
        }
        let conversions = self.tracks.first()?;
        let (days, before) = (&conversions.days, conversions.before());
        let (first, last) =
            (aggregate::first_day(days, before)?, aggregate::last_day(days, before)?);
        let kept = days.iter().filter(|day| day.count > 0).count() as i64;
        let bought_on = kept.saturating_add(before.map_or(0, |before| before.days));
        let weeks = |from: i32, to: i32| f64::from(to.saturating_sub(from)) / 7.0;
        let history = RepeatHistory {
            repeats: u32::try_from(bought_on - 1).unwrap_or(u32::MAX),
            recency_weeks: weeks(first, last),
            age_weeks: weeks(first, today),
        };
        Some(history.plausible())
    }

    /// When the newest fact behind a column became known, Unix milliseconds; `None` if there is
    /// none, or the column is told from the clock or the place.
    #[must_use]
    pub fn known_unix_ms(&self, definitions: &Definitions, column: usize) -> Option<i64> {
        let feature = definitions.features().get(column)?;
        let of_facts = !feature.aggregation.is_of_the_clock()
            && feature.aggregation != super::Aggregation::Surrounding;
        let state = self.tracks.get(definitions.plan().columns.get(column)?.track)?;
        Some(state.known_unix_ms).filter(|known| of_facts && *known != 0)
    }

    /// The code of the person's place at a time, if it is known.
    #[must_use]
    pub fn place(&self, at_unix_ms: i64) -> Option<&str> {
        let mut newest = self.places.iter().rev();
        let place = newest.find(|Place(since, _, count)| *since <= at_unix_ms && *count > 0)?;
        Some(&place.1)
    }

    /// Adds what waited for a time that has come.
    fn settle(&mut self, definitions: &Definitions, now_unix_ms: i64) {
        let come = self.waiting.partition_point(|change| change.at_unix_ms <= now_unix_ms);
        for change in self.waiting.drain(..come).collect::<Vec<_>>() {
            self.add(definitions, &change, now_unix_ms);
        }
    }

    fn wait(&mut self, change: Change) {
        let later = |waiting: &Change| waiting.at_unix_ms <= change.at_unix_ms;
        let position = self.waiting.partition_point(later);
        self.waiting.insert(position, change);
        self.waiting.truncate(MOST_WAITING);
    }

    fn add(&mut self, definitions: &Definitions, change: &Change, known_unix_ms: i64) {
        let plan = definitions.plan();
        let day = |unix_ms| calendar::day_of(unix_ms, plan.utc_offset_minutes);
        let (day, today) = (day(change.at_unix_ms), day(known_unix_ms));
        for (position, (track, state)) in plan.tracks.iter().zip(&mut self.tracks).enumerate() {
            if change.tracks & (1 << position) != 0 {
                state.add(track, change, day, today);
            }
        }
    }

    fn move_to(&mut self, fact: &Fact) {
        let code = fact.item.as_deref().or(fact.category.as_deref());
        let Some(code) = code.filter(|code| (1..=LONGEST_PLACE).contains(&code.len())) else {
            return;
        };
        let key = (fact.at_unix_ms, code);
        match self.places.binary_search_by(|Place(at, kept, _)| (*at, kept.as_str()).cmp(&key)) {
            Ok(position) => {
                let count = self.places[position].2.wrapping_add(fact.count.into());
                self.places[position].2 = count;
                if count == 0 {
                    self.places.remove(position);
                }
            }
            Err(position) => {
                let place = Place(fact.at_unix_ms, code.to_owned(), fact.count.into());
                self.places.insert(position, place);
            }
        }
        if self.places.len() > MOST_PLACES {
            self.places.remove(0);
        }
    }
}

/// The first eight bytes of the definitions' digest.
fn head(definitions: &Definitions) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = definitions.digest().0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
