//! Definitions made ready to compute: which facts are kept how, and what each column reads of them.

use super::{
    Fact, Source,
    definitions::{Aggregation, Feature},
};

/// The facts of one source, or those of its names: what several features read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Track {
    source: Option<Source>,
    /// Sorted; all, if empty.
    names: Vec<String>,
    /// Sums by day are kept.
    pub(super) by_day: bool,
    /// For how many days items are kept; 0: not at all.
    pub(super) items_days: u16,
    /// The same for categories.
    pub(super) categories_days: u16,
    /// The newest numbers are kept.
    pub(super) latest: bool,
}

impl Track {
    pub(super) fn takes(&self, fact: &Fact) -> bool {
        self.source == Some(fact.source)
            && (self.names.is_empty() || self.names.binary_search(&fact.name).is_ok())
    }
}

/// What one column reads.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Position in [`Plan::tracks`]; of no meaning for the clock's.
    pub(super) track: usize,
    pub(super) aggregation: Aggregation,
    /// All time: [`i32::MAX`].
    pub(super) window_days: i32,
    pub(super) fresh_days: Option<i32>,
    /// What is left of a fact after a day.
    pub(super) left_a_day: f64,
    pub(super) ahead_days: u8,
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The first holds every conversion: customer-base models go by it.
    pub(super) tracks: Vec<Track>,
    pub(super) columns: Vec<Column>,
    pub(super) utc_offset_minutes: i16,
}

impl Plan {
    /// Of features that were checked.
    pub(super) fn of(features: &[Feature], utc_offset_minutes: i16) -> Self {
        let conversions =
            Track { source: Some(Source::Conversion), by_day: true, ..Track::default() };
        let mut plan = Self { tracks: vec![conversions], columns: vec![], utc_offset_minutes };
        for feature in features {
            let column = plan.column(feature);
            plan.columns.push(column);
        }
        plan
    }

    fn column(&mut self, feature: &Feature) -> Column {
        let of_facts = !feature.aggregation.is_of_the_clock()
            && feature.aggregation != Aggregation::Surrounding;
        let track = if of_facts { self.track(feature) } else { 0 };
        Column {
            track,
            aggregation: feature.aggregation,
            window_days: feature.window_days.map_or(i32::MAX, i32::from),
            fresh_days: feature.fresh_days.map(i32::from),
            left_a_day: feature.half_life_days.map_or(1.0, |days| (-1.0 / days).exp2()),
            ahead_days: feature.ahead_days.unwrap_or(0),
        }
    }

    /// The track of a feature, shared with others of the same source and names.
    fn track(&mut self, feature: &Feature) -> usize {
        let mut names = feature.names.clone();
        names.sort_unstable();
        names.dedup();
        let same = |track: &Track| track.source == feature.source && track.names == names;
        let position = self.tracks.iter().position(same).unwrap_or_else(|| {
            self.tracks.push(Track { source: feature.source, names, ..Track::default() });
            self.tracks.len() - 1
        });
        let track = &mut self.tracks[position];
        let window = feature.window_days.unwrap_or(0);
        match feature.aggregation {
            Aggregation::Items => track.items_days = track.items_days.max(window),
            Aggregation::Categories => track.categories_days = track.categories_days.max(window),
            _ => {}
        }
        match feature.aggregation {
            Aggregation::Latest => track.latest = true,
            _ => track.by_day = true,
        }
        position
    }
}
