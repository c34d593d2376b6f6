//! What the server measures of itself, for Prometheus.
//!
//! Labels are patterns of routes, methods, statuses and fixed words: their number is bounded, and
//! nothing in them is of a request.

use crate::{
    counters::{Counters, Refused},
    live::Live,
    store::Load,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};
use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

/// What `/metrics` answers with: OpenMetrics 1.0, which Prometheus has read since 2.5.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// From half a millisecond to sixteen seconds: the request timeout lies within.
const SECONDS_BUCKETS: (f64, f64, u16) = (0.000_5, 2.0, 16);
/// From a millisecond to two minutes: a full sweep has to end within one.
const SWEEP_BUCKETS: (f64, f64, u16) = (0.001, 2.0, 18);

/// Every measure. Clones are the same.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    rows: Family<Rows, Counter>,
    needs: Family<Told, Counter>,
    scoring: Scoring,
    tasks: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rows {
    source: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Told {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    why: &'static str,
}

/// Measures of scoring. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Scoring {
    people: Family<Why, Counter>,
    seconds: Family<Why, Histogram, fn() -> Histogram>,
}

impl Default for Scoring {
    fn default() -> Self {
        let seconds = Family::new_with_constructor(sweep_seconds as fn() -> Histogram);
        Self { people: Family::default(), seconds }
    }
}

impl Scoring {
    /// Counts a run: `why` is `due`, `sweep` or `needs`.
    pub(crate) fn ran(&self, why: &'static str, people: u64, took: Duration) {
        self.people.get_or_create(&Why { why }).inc_by(people);
        self.seconds.get_or_create(&Why { why }).observe(took.as_secs_f64());
    }
}

impl Metrics {
    /// Measures with the parts that are read when somebody asks.
    pub(crate) fn new(live: Arc<Live>, load: &Load, data_dir: PathBuf) -> Self {
        let mut registry = Registry::with_prefix("attune");
        let requests = Family::<Request, Counter>::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let seconds = Family::new_with_constructor(request_seconds as fn() -> Histogram);
        registry.register(
            "http_request_seconds",
            "From the request's head to the answer's",
            seconds.clone(),
        );
        let rows = Family::<Rows, Counter>::default();
        registry.register(
            "ingest_rows",
            "Rows of operators' sources, by what became of them",
            rows.clone(),
        );
        let needs = Family::<Told, Counter>::default();
        registry.register("needs", "Needs of people, by what became of them", needs.clone());
        let scoring = Scoring::default();
        registry.register("scored_people", "People scored, by why", scoring.people.clone());
        registry.register(
            "scoring_seconds",
            "How long a run of scoring took",
            scoring.seconds.clone(),
        );
        let tasks = Gauge::default();
        registry.register("background_tasks", "Background work under way", tasks.clone());
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs", version);
        load.register(&mut registry);
        registry.register_collector(Box::new(Reported(live)));
        registry.register_collector(Box::new(Folder(data_dir)));
        Self { registry, requests, seconds, rows, needs, scoring, tasks }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let status = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        let route = route.to_owned();
        let labels = Route { method, route: route.clone() };
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        self.requests.get_or_create(&Request { method, route, status }).inc();
    }

    /// Counts rows of an operator's source: `result` is `stored`, `duplicate` or `refused`.
    pub(crate) fn rows(&self, source: &'static str, result: &'static str, count: u64) {
        self.rows.get_or_create(&Rows { source, result }).inc_by(count);
    }

    /// Counts a look at everybody's needs.
    pub(crate) fn looked(&self, people: u64, proposed: u64, suggested: u64, took: Duration) {
        self.scoring.ran("needs", people, took);
        for (result, count) in [("proposed", proposed), ("suggested", suggested)] {
            self.needs.get_or_create(&Told { result }).inc_by(count);
        }
    }

    /// The part that scoring counts with.
    pub(crate) fn scoring(&self) -> Scoring {
        self.scoring.clone()
    }

    /// All of it as text.
    pub(crate) fn text(&self, tasks: usize) -> Result<String, fmt::Error> {
        self.tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn request_seconds() -> Histogram {
    let (start, factor, length) = SECONDS_BUCKETS;
    Histogram::new(exponential_buckets(start, factor, length))
}

fn sweep_seconds() -> Histogram {
    let (start, factor, length) = SWEEP_BUCKETS;
    Histogram::new(exponential_buckets(start, factor, length))
}

/// What devices report.
#[derive(Debug)]
struct Reported(Arc<Live>);

impl Collector for Reported {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Counters { consents, events, outcomes, events_taken, dropped, duplicates, refused } =
            self.0.counters();
        let Refused {
            unauthenticated,
            replayed,
            no_consent,
            erased,
            conflict,
            invalid,
            malformed,
            too_large,
            forbidden,
        } = refused;
        for (name, help, value) in [
            ("stored_consents", "Consent receipts in the database", consents),
            ("stored_events", "Events of devices in the database", events),
            ("stored_outcomes", "Outcomes in the database", outcomes),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let help = "Items of devices, by what became of them";
        let mut family = encoder.encode_descriptor("items", help, None, MetricType::Counter)?;
        for (result, value) in [
            ("stored", events_taken),
            ("duplicate", duplicates),
            ("dropped_by_device", dropped),
            ("unauthenticated", unauthenticated),
            ("replayed", replayed),
            ("no_consent", no_consent),
            ("erased", erased),
            ("conflict", conflict),
            ("invalid", invalid),
            ("malformed", malformed),
            ("too_large", too_large),
            ("forbidden", forbidden),
        ] {
            ConstCounter::new(value).encode(family.encode_family(&[("result", result)])?)?;
        }
        Ok(())
    }
}

/// The data folder.
#[derive(Debug)]
struct Folder(PathBuf);

impl Collector for Folder {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let files = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let lengths = files.filter_map(|file| file.metadata().ok()).filter(|data| data.is_file());
        let bytes: u64 = lengths.map(|data| data.len()).sum();
        let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
        let help = "Size of the files in the data folder";
        let unit = Unit::Bytes;
        gauge.encode(encoder.encode_descriptor(
            "data_folder",
            help,
            Some(&unit),
            MetricType::Gauge,
        )?)
    }
}
