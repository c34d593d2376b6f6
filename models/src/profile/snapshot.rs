//! People at past times and what they did next: what a model learns from.
//!
//! A person's facts are replayed in the order in which they became known; at each cut the features
//! are taken of what was known then. The label alone looks ahead: at what happened after the cut,
//! within the horizon, as it is known in the end.

use super::{Definitions, Fact, PART, Profile, Source, Surroundings, calendar::DAY_MS};
use crate::customer_base::RepeatHistory;
use protocol::offer::Currency;
use std::collections::BTreeMap;
use thiserror::Error;

/// Longest horizon, days.
const LONGEST_HORIZON_DAYS: u16 = 366;

/// Where to look, and how far ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cuts {
    at_unix_ms: Vec<i64>,
    horizon_ms: i64,
    known_by_unix_ms: i64,
    currency: Option<Currency>,
}

/// Why there is nothing to learn from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CutsError {
    /// Too short or too long.
    #[error("the horizon of {0} days is not 1 to {LONGEST_HORIZON_DAYS}")]
    Horizon(u16),
    /// The horizons of all of them reach beyond the end of what is known.
    #[error(
        "no cut lies {0} days or more before the end of the data: wait, or look less far ahead"
    )]
    Early(u16),
}

impl Cuts {
    /// Of the times given those whose horizon was over when the data ended, the earliest first.
    /// Values in other currencies than the one given are left out.
    ///
    /// # Errors
    /// [`CutsError`] when none is left, or the horizon is none.
    pub fn new(
        at_unix_ms: &[i64],
        horizon_days: u16,
        known_by_unix_ms: i64,
        currency: Option<Currency>,
    ) -> Result<Self, CutsError> {
        if !(1..=LONGEST_HORIZON_DAYS).contains(&horizon_days) {
            return Err(CutsError::Horizon(horizon_days));
        }
        let horizon_ms = i64::from(horizon_days) * DAY_MS;
        let over = |at: &&i64| at.saturating_add(horizon_ms) <= known_by_unix_ms;
        let mut at_unix_ms: Vec<i64> = at_unix_ms.iter().filter(over).copied().collect();
        at_unix_ms.sort_unstable();
        at_unix_ms.dedup();
        if at_unix_ms.is_empty() {
            return Err(CutsError::Early(horizon_days));
        }
        Ok(Self { at_unix_ms, horizon_ms, known_by_unix_ms, currency })
    }

    /// The times.
    #[must_use]
    pub fn at_unix_ms(&self) -> &[i64] {
        &self.at_unix_ms
    }
}

/// A person at a cut, and what came after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    /// Which person, in the order of [`Snapshots::add`]: rows of one person belong together.
    pub person: u32,
    /// Everything in the features was known by then. Unix milliseconds.
    pub cut_unix_ms: i64,
    /// Whether a conversion that holds came within the horizon.
    pub converted: bool,
    /// Name of the first one, as a position in [`Snapshots::kinds`].
    pub kind: Option<u16>,
    /// Value of all of them together, minor units; `None` where none has one.
    pub value_minor: Option<i64>,
    /// Purchases up to the cut; `None` before the first.
    pub history: Option<RepeatHistory>,
}

/// Snapshots of many people, features row-major.
#[derive(Debug, Clone, Default)]
pub struct Snapshots {
    kinds: Vec<String>,
    rows: Vec<Snapshot>,
    features: Vec<f32>,
    people: u32,
}

impl Snapshots {
    /// Adds a person at every cut at which something was known of them. Facts come in the order in
    /// which they became known; those known after the end of the data are not looked at.
    pub fn add(
        &mut self,
        definitions: &Definitions,
        cuts: &Cuts,
        surroundings: &Surroundings,
        facts: &[Fact],
    ) {
        let mut profile = Profile::new(definitions);
        let mut rest = facts;
        let mut row = Vec::with_capacity(definitions.features().len());
        for cut in &cuts.at_unix_ms {
            let known = rest.partition_point(|fact| fact.known_unix_ms <= *cut);
            let (now_known, later) = rest.split_at(known);
            rest = later;
            for fact in now_known {
                profile.apply(definitions, fact);
            }
            if rest.len() == facts.len() {
                continue;
            }
            profile.features(definitions, *cut, &mut row);
            surroundings.fill(definitions, &profile, *cut, &mut row);
            self.features.extend_from_slice(&row);
            let (kind, value_minor) = self.label(cuts, *cut, facts).unzip();
            self.rows.push(Snapshot {
                person: self.people,
                cut_unix_ms: *cut,
                converted: kind.is_some(),
                kind,
                value_minor: value_minor.flatten(),
                history: profile.history(definitions, *cut),
            });
        }
        self.people = self.people.saturating_add(1);
    }

    /// Kind of the first conversion of a horizon, and the value of all; `None` if none holds.
    fn label(&mut self, cuts: &Cuts, cut: i64, facts: &[Fact]) -> Option<(u16, Option<i64>)> {
        let end = cut.saturating_add(cuts.horizon_ms);
        let mut held = BTreeMap::<(i64, &str), (i64, Option<i64>)>::new();
        for fact in facts {
            let (at, known) = (fact.at_unix_ms, fact.known_unix_ms);
            let ahead = at > cut && at <= end && known <= cuts.known_by_unix_ms;
            if fact.source != Source::Conversion || fact.name == PART || !ahead {
                continue;
            }
            let (count, value) = held.entry((at, &fact.name)).or_default();
            *count += i64::from(fact.count);
            let ours = |currency| cuts.currency.is_none_or(|ours| ours == currency);
            if let Some(more) = fact.value.filter(|value| ours(value.currency)) {
                *value = Some(value.unwrap_or(0).saturating_add(more.minor));
            }
        }
        held.retain(|_, (count, _)| *count > 0);
        let (_, name) = *held.first_key_value()?.0;
        let values = held.values().filter_map(|(_, value)| *value);
        let value = values.reduce(i64::saturating_add);
        Some((self.kind(name), value))
    }

    fn kind(&mut self, name: &str) -> u16 {
        let position = self.kinds.iter().position(|known| known == name).unwrap_or_else(|| {
            self.kinds.push(name.to_owned());
            self.kinds.len() - 1
        });
        u16::try_from(position).unwrap_or(u16::MAX)
    }

    /// Names of the conversions that came first within a horizon, in order of appearance.
    #[must_use]
    pub fn kinds(&self) -> &[String] {
        &self.kinds
    }

    /// The rows, person by person, the earliest cut first.
    #[must_use]
    pub fn rows(&self) -> &[Snapshot] {
        &self.rows
    }

    /// The features of a row, one a column of the definitions, NaN: missing; empty beyond the last.
    #[must_use]
    pub fn features(&self, row: usize) -> &[f32] {
        let width = self.features.len().checked_div(self.rows.len()).unwrap_or(0);
        self.features.get(row * width..(row + 1) * width).unwrap_or_default()
    }

    /// All features, row after row.
    #[must_use]
    pub fn matrix(&self) -> &[f32] {
        &self.features
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::offer::Money;

    fn fact(source: Source, name: &str, at_day: i64, known_day: i64) -> Fact {
        Fact {
            source,
            name: name.to_owned(),
            at_unix_ms: at_day * DAY_MS,
            known_unix_ms: known_day * DAY_MS,
            count: 1,
            value: Some(Money { minor: 500, currency: Currency::EUR }),
            number: None,
            item: None,
            category: None,
        }
    }

    fn bought(at_day: i64, known_day: i64) -> Fact {
        fact(Source::Conversion, "store_purchase", at_day, known_day)
    }

    fn snapshots(cut_days: &[i64], end_day: i64, facts: &[Fact]) -> Snapshots {
        let cuts: Vec<i64> = cut_days.iter().map(|day| day * DAY_MS).collect();
        let cuts = Cuts::new(&cuts, 7, end_day * DAY_MS, Some(Currency::EUR)).unwrap();
        let definitions = Definitions::standard().unwrap();
        let mut snapshots = Snapshots::default();
        snapshots.add(&definitions, &cuts, &Surroundings::default(), facts);
        snapshots
    }

    #[test]
    fn labels_look_ahead_of_the_cut_and_no_further_than_the_horizon() {
        let check = |facts: &[Fact], expected: &[(bool, Option<i64>)]| {
            let mut facts = facts.to_vec();
            facts.insert(0, bought(1, 1));
            facts.sort_by_key(|fact| fact.known_unix_ms);
            let found = snapshots(&[10, 20, 30], 30, &facts);
            let labels: Vec<_> =
                found.rows().iter().map(|row| (row.converted, row.value_minor)).collect();
            assert_eq!(labels, expected); // the horizon of day 30 is not over
        };
        check(&[], &[(false, None), (false, None)]);
        check(&[bought(10, 10)], &[(false, None), (false, None)]);
        check(&[bought(11, 29)], &[(true, Some(500)), (false, None)]);
        check(&[bought(17, 17), bought(17, 18)], &[(true, Some(1_000)), (false, None)]);
        check(&[bought(18, 18)], &[(false, None), (false, None)]);
        check(&[bought(21, 31)], &[(false, None), (false, None)]); // known after the end
        let euros = |minor| Some(Money { minor, currency: Currency::EUR });
        let back = Fact { count: -1, value: euros(-500), ..bought(21, 29) };
        check(&[bought(21, 21), back], &[(false, None), (false, None)]);
        let less = Fact { count: 0, value: euros(-200), ..bought(21, 29) };
        check(&[bought(21, 21), less], &[(false, None), (true, Some(300))]);
        let dollars = "USD".to_owned().try_into().ok();
        let value = dollars.map(|currency| Money { minor: 9, currency });
        check(&[Fact { value, ..bought(21, 21) }], &[(false, None), (true, None)]);
    }

    #[test]
    fn the_kind_is_that_of_the_first_conversion() {
        let loan = fact(Source::Conversion, "loan_application", 12, 13);
        let found = snapshots(&[10, 20], 30, &[bought(1, 1), loan, bought(14, 14), bought(25, 25)]);
        assert_eq!(found.kinds(), ["loan_application", "store_purchase"]);
        let kinds: Vec<_> = found.rows().iter().map(|row| row.kind).collect();
        assert_eq!(kinds, [Some(0), Some(1)]);
        assert_eq!(found.rows()[1].history.unwrap().repeats, 2);
        let part = fact(Source::Conversion, PART, 11, 11);
        assert!(!snapshots(&[10], 30, &[bought(1, 1), part]).rows()[0].converted);
        assert_eq!(found.features(0).len(), Definitions::standard().unwrap().features().len());
        assert!(found.features(2).is_empty());
    }

    /// Someone visits the page of complaints only after a purchase, and the visit is dated back
    /// before it. Whoever looked at event times alone would find a perfect sign of the future.
    #[test]
    fn a_sign_that_was_known_only_after_the_cut_is_never_seen() {
        let definitions = Definitions::parse(
            "[[feature]]\nname = \"sign\"\nsource = \"behaviour\"\naggregation = \"count\"\n\
             names = [\"planted\"]\npurpose = \"test\"\nsays = \"{n}\"\n",
        )
        .unwrap();
        let cuts = Cuts::new(&[10 * DAY_MS], 7, 30 * DAY_MS, None).unwrap();
        let mut found = Snapshots::default();
        let mut by_event_time = Vec::new();
        for person in 0..200 {
            let converts = person % 3 == 0;
            let mut facts = vec![fact(Source::Behaviour, "page_view", 5, 5)];
            if converts {
                facts.push(bought(12, 12));
                facts.push(fact(Source::Behaviour, "planted", 9, 13));
            }
            by_event_time
                .push(facts.iter().any(|f| f.name == "planted" && f.at_unix_ms < 10 * DAY_MS));
            found.add(&definitions, &cuts, &Surroundings::default(), &facts);
        }
        let labels: Vec<bool> = found.rows().iter().map(|row| row.converted).collect();
        assert_eq!(labels, by_event_time, "the planted sign tells the label, by event time");
        assert!(labels.contains(&true) && labels.contains(&false));
        assert!(found.matrix().iter().all(|value| *value == 0.0), "the column is constant");
    }

    #[test]
    fn cuts_without_a_whole_horizon_are_refused() {
        let cut = |horizon_days, end_day: i64| {
            Cuts::new(&[10 * DAY_MS], horizon_days, end_day * DAY_MS, None).map(|_| ())
        };
        assert_eq!(cut(7, 17), Ok(()));
        assert_eq!(cut(7, 16), Err(CutsError::Early(7)));
        assert_eq!(cut(0, 30), Err(CutsError::Horizon(0)));
    }
}
