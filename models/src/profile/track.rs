//! What is kept of one track: sums by day, the newest days apart and the older ones together.
//!
//! **Invariant.** Facts only add: every number kept is a sum over facts, or the greatest or least
//! time among them. So they may come in any order, and one that takes another back undoes it.
//! (Exact up to the bounds: beyond [`KEPT_DAYS`] days with facts, the number of days and the gaps
//! between them are told from the newer days alone.)

use super::{
    calendar,
    definitions::KEPT_DAYS,
    plan,
    rows::{self, Row},
};
use serde::{Deserialize, Serialize};

/// Most pairs of day and item that are kept; the oldest go first.
const MOST_ITEMS: usize = 512;
/// Most newest numbers that are kept: as many may be taken back, but for one, and it is still
/// known what held before.
const MOST_NUMBERS: usize = 16;
/// Numbers are kept in millionths, so that their sums are exact in any order.
const MILLION: f64 = 1e6;

/// What a fact changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at_unix_ms: i64,
    /// Bits of the tracks that take it.
    pub(super) tracks: u32,
    pub(super) count: i64,
    pub(super) value_minor: i64,
    /// Facts with a value: `count`, or 0 without one.
    pub(super) valued: i64,
    pub(super) number_millionths: i64,
    /// Facts with a number: `parts`, or 0 without one.
    pub(super) numbered: i64,
    /// The same as `count`, parts of other facts included.
    pub(super) parts: i64,
    /// Hashes; 0: none.
    pub(super) item: u32,
    pub(super) category: u32,
}

impl Row<10> for Change {
    fn numbers(&self) -> [i64; 10] {
        [
            self.at_unix_ms,
            self.tracks.into(),
            self.count,
            self.value_minor,
            self.valued,
            self.number_millionths,
            self.numbered,
            self.parts,
            self.item.into(),
            self.category.into(),
        ]
    }

    fn of(numbers: [i64; 10]) -> Self {
        let [
            at_unix_ms,
            tracks,
            count,
            value_minor,
            valued,
            number,
            numbered,
            parts,
            item,
            category,
        ] = numbers;
        // They were written from as many bits.
        let bits = |number: i64| number as u32;
        Self {
            at_unix_ms,
            tracks: bits(tracks),
            count,
            value_minor,
            valued,
            number_millionths: number,
            numbered,
            parts,
            item: bits(item),
            category: bits(category),
        }
    }
}

/// A number in millionths; what none can be is 0.
pub(super) fn millionths(number: f64) -> i64 {
    // A cast saturates, and makes 0 of NaN.
    (number * MILLION).round() as i64
}

pub(super) fn from_millionths(number: i64) -> f64 {
    number as f64 / MILLION
}

/// Names an item in 32 bits: FNV-1a of 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv), folded.
/// Never 0.
pub(super) fn hash(text: &str) -> u32 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = text.bytes().fold(OFFSET, |hash, b| (hash ^ u64::from(b)).wrapping_mul(PRIME));
    ((hash >> 32) as u32 ^ hash as u32).max(1)
}

/// Sums over the facts of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) day: i32,
    pub(super) count: i64,
    pub(super) value_minor: i64,
    pub(super) valued: i64,
    pub(super) number_millionths: i64,
}

impl Day {
    /// Sums wrap around, so that whatever came can be taken back: intake refuses what is absurd.
    fn add(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        self.value_minor = self.value_minor.wrapping_add(other.value_minor);
        self.valued = self.valued.wrapping_add(other.valued);
        self.number_millionths = self.number_millionths.wrapping_add(other.number_millionths);
    }

    fn is_nothing(&self) -> bool {
        *self == Self { day: self.day, ..Self::default() }
    }
}

impl Row<5> for Day {
    fn numbers(&self) -> [i64; 5] {
        [self.day.into(), self.count, self.value_minor, self.valued, self.number_millionths]
    }

    fn of([day, count, value_minor, valued, number_millionths]: [i64; 5]) -> Self {
        let day = calendar::clamp_day(day);
        Self { day, count, value_minor, valued, number_millionths }
    }
}

/// Sums over all days up to [`last_day`](Self::last_day).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) sums: Day,
    /// Days with facts, of those that were kept apart once.
    pub(super) days: i64,
    pub(super) first_day: i32,
    pub(super) last_day: i32,
}

impl Row<7> for Before {
    fn numbers(&self) -> [i64; 7] {
        let Day { count, value_minor, valued, number_millionths, .. } = self.sums;
        let (first, last) = (self.first_day.into(), self.last_day.into());
        [last, first, self.days, count, value_minor, valued, number_millionths]
    }

    fn of([last, first, days, count, value_minor, valued, number_millionths]: [i64; 7]) -> Self {
        let sums = Day { day: 0, count, value_minor, valued, number_millionths };
        let (first_day, last_day) = (calendar::clamp_day(first), calendar::clamp_day(last));
        Self { sums, days, first_day, last_day }
    }
}

/// How often an item came on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) day: i32,
    pub(super) hash: u32,
    pub(super) count: i64,
}

impl Row<3> for Item {
    fn numbers(&self) -> [i64; 3] {
        [self.day.into(), self.hash.into(), self.count]
    }

    fn of([day, hash, count]: [i64; 3]) -> Self {
        Self { day: calendar::clamp_day(day), hash: hash as u32, count }
    }
}

/// A number as of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) at_unix_ms: i64,
    pub(super) count: i64,
    pub(super) number_millionths: i64,
}

impl Row<3> for Measured {
    fn numbers(&self) -> [i64; 3] {
        [self.at_unix_ms, self.count, self.number_millionths]
    }

    fn of([at_unix_ms, count, number_millionths]: [i64; 3]) -> Self {
        Self { at_unix_ms, count, number_millionths }
    }
}

/// Everything that is kept of a track. All lists are in order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(rename = "d", default, with = "rows", skip_serializing_if = "Vec::is_empty")]
    pub(super) days: Vec<Day>,
    /// One at most.
    #[serde(rename = "b", default, with = "rows", skip_serializing_if = "Vec::is_empty")]
    before: Vec<Before>,
    #[serde(rename = "i", default, with = "rows", skip_serializing_if = "Vec::is_empty")]
    pub(super) items: Vec<Item>,
    #[serde(rename = "c", default, with = "rows", skip_serializing_if = "Vec::is_empty")]
    pub(super) categories: Vec<Item>,
    #[serde(rename = "l", default, with = "rows", skip_serializing_if = "Vec::is_empty")]
    pub(super) numbers: Vec<Measured>,
    /// When the newest of what is kept became known; 0: nothing is.
    #[serde(rename = "k", default, skip_serializing_if = "is_zero")]
    pub(super) known_unix_ms: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl State {
    pub(super) fn before(&self) -> Option<&Before> {
        self.before.first()
    }

    /// Adds a fact. `today` is the day on which it became known: no window ends before.
    pub(super) fn add(&mut self, track: &plan::Track, change: &Change, day: i32, today: i32) {
        if track.by_day {
            self.add_to_day(Day {
                day,
                count: change.count,
                value_minor: change.value_minor,
                valued: change.valued,
                number_millionths: change.number_millionths,
            });
        }
        for (items, hash, window) in [
            (&mut self.items, change.item, track.items_days),
            (&mut self.categories, change.category, track.categories_days),
        ] {
            if window > 0 {
                add_item(items, Item { day, hash, count: change.parts }, today - i32::from(window));
            }
        }
        if track.latest {
            add_number(&mut self.numbers, change);
        }
    }

    fn add_to_day(&mut self, sums: Day) {
        let counted = sums.count > 0;
        let before = self.before.first_mut();
        if let Some(before) = before.filter(|before| sums.day <= before.last_day) {
            before.sums.add(&sums);
            if counted {
                before.first_day = before.first_day.min(sums.day);
            }
            return;
        }
        match self.days.binary_search_by_key(&sums.day, |kept| kept.day) {
            Ok(position) => {
                self.days[position].add(&sums);
                if self.days[position].is_nothing() {
                    self.days.remove(position);
                }
            }
            Err(_) if sums.is_nothing() => {}
            Err(position) => self.days.insert(position, sums),
        }
        if self.days.len() > usize::from(KEPT_DAYS) {
            let oldest = self.days.remove(0);
            let nothing = Before {
                sums: Day::default(),
                days: 0,
                first_day: oldest.day,
                last_day: oldest.day,
            };
            let mut before = self.before.pop().unwrap_or(nothing);
            before.sums.add(&oldest);
            before.days = before.days.saturating_add((oldest.count > 0).into());
            before.last_day = oldest.day;
            self.before = vec![before];
        }
    }
}

/// Adds an item of a day after `out_day`, and forgets what no window reaches any more.
fn add_item(items: &mut Vec<Item>, item: Item, out_day: i32) {
    let gone = items.partition_point(|kept| kept.day <= out_day);
    items.drain(..gone);
    if item.hash == 0 || item.count == 0 || item.day <= out_day {
        return;
    }
    match items.binary_search_by_key(&(item.day, item.hash), |kept| (kept.day, kept.hash)) {
        Ok(position) => {
            let count = items[position].count.wrapping_add(item.count);
            items[position].count = count;
            if count == 0 {
                items.remove(position);
            }
        }
        Err(position) => items.insert(position, item),
    }
    if items.len() > MOST_ITEMS {
        items.remove(0);
    }
}

fn add_number(numbers: &mut Vec<Measured>, change: &Change) {
    let Change { at_unix_ms, numbered: count, number_millionths, .. } = *change;
    match numbers.binary_search_by_key(&at_unix_ms, |kept| kept.at_unix_ms) {
        Ok(position) => {
            let kept = &mut numbers[position];
            kept.count = kept.count.wrapping_add(count);
            kept.number_millionths = kept.number_millionths.wrapping_add(number_millionths);
            if (kept.count, kept.number_millionths) == (0, 0) {
                numbers.remove(position);
            }
        }
        Err(_) if (count, number_millionths) == (0, 0) => {}
        Err(position) => {
            numbers.insert(position, Measured { at_unix_ms, count, number_millionths });
        }
    }
    if numbers.len() > MOST_NUMBERS {
        numbers.remove(0);
    }
}
