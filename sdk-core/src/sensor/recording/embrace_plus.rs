//! Empatica EmbracePlus: the Avro files of its cloud (`raw_data/v6`, one for about 30 minutes).
//!
//! Fields and units as the maker's manual and the schema in each file give them: `rawData.eda`,
//! `.bvp`, `.accelerometer` with `timestampStart` (Unix microseconds), `samplingFrequency` (Hz) and
//! values; `.systolicPeaks.peaksTimeNanos` and `.tags.tagsTimeMicros` (Unix).

use super::{Format, Marker, Opened, e4::TAG, series};
use crate::{clock::Nanos, sensor::sample::Signal};
use apache_avro::{Reader, Schema, types::Value, util::max_allocation_bytes};
use thiserror::Error;

/// Memory that one decoded array or block may take: 30 minutes at 208 Hz need 30 MB.
const MAX_ALLOCATION_BYTES: usize = 64 << 20;
/// Rates that are believed, Hz.
const RATES_HZ: std::ops::RangeInclusive<f64> = 0.1..=1000.0;
/// Longest pause between systolic peaks that is one interval, ms.
const LONGEST_INTERVAL_MS: f64 = 5_000.0;
const MICROS_PER_S: f64 = 1e6;
const NANOS_PER_S: f64 = 1e9;

/// Why a file is not one of an EmbracePlus.
#[derive(Debug, Error)]
pub enum EmbracePlusError {
    /// Not Avro, or damaged: the checksum or the layout does not hold.
    #[error("record {record}: {source}. Download the file again")]
    Avro {
        /// Number of the record, from 0.
        record: usize,
        /// What the decoder says.
        source: Box<apache_avro::Error>,
    },
    /// A schema that could take any amount of memory.
    #[error("its schema is recursive or repeats what has no bytes: no file of an EmbracePlus does")]
    Schema,
    /// Avro, but of something else.
    #[error("record {record} has no field rawData: is it a raw_data/v6 file of an EmbracePlus?")]
    NoRawData {
        /// Number of the record, from 0.
        record: usize,
    },
}

/// The files of one recording, put together.
#[derive(Debug, Default)]
pub struct Import {
    eda: Stream,
    bvp: Stream,
    acceleration: Stream,
    peaks_unix_ns: Vec<i64>,
    tags_unix_us: Vec<i64>,
    rejected: u64,
    findings: Vec<String>,
}

#[derive(Debug, Default)]
struct Stream {
    /// Unix seconds and value.
    values: Vec<(f64, f64)>,
    interval_s: f64,
}

impl Import {
    /// Adds one file. Total: any bytes are taken or refused.
    ///
    /// # Errors
    /// [`EmbracePlusError`]; what the file held before the damage is kept.
    pub fn add(&mut self, file: &[u8]) -> Result<(), EmbracePlusError> {
        // Set for the whole process, the first time only.
        max_allocation_bytes(MAX_ALLOCATION_BYTES);
        let failed = |record| {
            move |error: apache_avro::Error| EmbracePlusError::Avro {
                record,
                source: Box::new(error),
            }
        };
        let reader = Reader::new(file).map_err(failed(0))?;
        if !is_bounded(reader.writer_schema(), &mut Vec::new()) {
            return Err(EmbracePlusError::Schema);
        }
        for (record, value) in reader.enumerate() {
            let value = value.map_err(failed(record))?;
            let raw = field(&value, "rawData").ok_or(EmbracePlusError::NoRawData { record })?;
            self.take(raw);
        }
        Ok(())
    }

    /// Everything as one recording, from the first moment of any stream.
    #[must_use]
    pub fn finish(mut self) -> Opened {
        self.peaks_unix_ns.sort_unstable();
        self.peaks_unix_ns.dedup();
        let streams = [&mut self.eda, &mut self.bvp, &mut self.acceleration];
        for stream in streams {
            stream.values.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let firsts = [&self.eda, &self.bvp, &self.acceleration]
            .map(|stream| stream.values.first().map(|first| first.0));
        let first_peak = self.peaks_unix_ns.first().map(|ns| *ns as f64 / NANOS_PER_S);
        let starts = firsts.into_iter().chain([first_peak]).flatten();
        let start_s = starts.fold(f64::INFINITY, f64::min);
        let start_s = if start_s.is_finite() { start_s } else { 0.0 };
        let since = |values: &[(f64, f64)]| -> Vec<(f64, f64)> {
            values.iter().map(|(at, value)| (at - start_s, *value)).collect()
        };
        let mut samples = Vec::new();
        for (signal, stream) in [
            (Signal::SkinConductance, &self.eda),
            (Signal::Ppg, &self.bvp),
            (Signal::Acceleration, &self.acceleration),
        ] {
            samples.extend(series::samples(signal, &since(&stream.values), stream.interval_s));
        }
        let intervals = intervals(&self.peaks_unix_ns);
        samples.extend(series::samples(Signal::RrInterval, &since(&intervals), 0.0));
        let marker = |us: &i64| {
            let at_s = *us as f64 / MICROS_PER_S - start_s;
            (at_s >= 0.0).then(|| Marker { label: TAG.to_owned(), at: Nanos::from_secs_f64(at_s) })
        };
        let markers = self.tags_unix_us.iter().filter_map(marker).collect();
        let Self { rejected, findings, .. } = self;
        Opened::new(Format::EmbracePlus, start_s, samples, markers, rejected, findings)
    }

    fn take(&mut self, raw: &Value) {
        if let Some(eda) = field(raw, "eda") {
            let values = numbers(field(eda, "values"));
            self.stream(eda, "eda", values, |import| &mut import.eda);
        }
        if let Some(bvp) = field(raw, "bvp") {
            let values = numbers(field(bvp, "values"));
            self.stream(bvp, "bvp", values, |import| &mut import.bvp);
        }
        if let Some(acceleration) = field(raw, "accelerometer") {
            let values = magnitudes_g(acceleration);
            self.stream(acceleration, "accelerometer", values, |import| &mut import.acceleration);
        }
        let integers = |parent, name| {
            let array = field(raw, parent).and_then(|value| field(value, name));
            items(array).iter().filter_map(integer).collect::<Vec<_>>()
        };
        self.peaks_unix_ns.extend(integers("systolicPeaks", "peaksTimeNanos"));
        self.tags_unix_us.extend(integers("tags", "tagsTimeMicros"));
    }

    fn stream(
        &mut self,
        source: &Value,
        name: &str,
        values: Vec<f64>,
        stream: impl Fn(&mut Self) -> &mut Stream,
    ) {
        if values.is_empty() {
            return;
        }
        let start = field(source, "timestampStart").and_then(integer);
        let rate_hz = field(source, "samplingFrequency").and_then(number);
        let rate_hz = rate_hz.filter(|rate| RATES_HZ.contains(rate));
        let (Some(start_us), Some(rate_hz)) = (start, rate_hz) else {
            self.rejected += values.len() as u64;
            self.findings.push(format!("{name}: {} values have no time or rate", values.len()));
            return;
        };
        let start_s = start_us as f64 / MICROS_PER_S;
        let stream = stream(self);
        stream.interval_s = 1.0 / rate_hz;
        let times = (0..values.len()).map(|k| start_s + k as f64 / rate_hz);
        stream.values.extend(times.zip(values));
    }
}

/// Time between peaks: when each interval ends, Unix seconds, and how long it was, ms.
fn intervals(peaks_unix_ns: &[i64]) -> Vec<(f64, f64)> {
    let interval = |pair: &[i64]| {
        let ms = (i128::from(pair[1]) - i128::from(pair[0])) as f64 / 1e6;
        (ms <= LONGEST_INTERVAL_MS).then_some((pair[1] as f64 / NANOS_PER_S, ms))
    };
    peaks_unix_ns.windows(2).filter_map(interval).collect()
}

/// Length of the acceleration vector, in g. Since schema 6.5 `imuParams.conversionFactor` is given;
/// before, the physical and digital ranges.
fn magnitudes_g(source: &Value) -> Vec<f64> {
    let params = field(source, "imuParams");
    let param = |name| params.and_then(|p| field(p, name)).and_then(number);
    let from_ranges = || {
        let physical = param("physicalMax")? - param("physicalMin")?;
        Some(physical / (param("digitalMax")? - param("digitalMin")?))
    };
    let factor = param("conversionFactor").filter(|f| *f != 0.0).or_else(from_ranges);
    let Some(factor) = factor.filter(|f| f.is_finite()) else { return Vec::new() };
    let axis = |name| numbers(field(source, name));
    let (x, y, z) = (axis("x"), axis("y"), axis("z"));
    x.iter().zip(y).zip(z).map(|((x, y), z)| factor * (x * x + y * y + z * z).sqrt()).collect()
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Record(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, v)| v),
        Value::Union(_, inner) => field(inner, name),
        _ => None,
    }
}

fn items(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(items)) => items,
        Some(Value::Union(_, inner)) => items(Some(inner)),
        _ => &[],
    }
}

fn numbers(value: Option<&Value>) -> Vec<f64> {
    items(value).iter().map(|value| number(value).unwrap_or(f64::NAN)).collect()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(v) => Some(f64::from(*v)),
        Value::Double(v) => Some(*v),
        Value::Union(_, inner) => number(inner),
        _ => integer(value).map(|v| v as f64),
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(v) => Some(i64::from(*v)),
        Value::Long(v) | Value::TimestampMicros(v) => Some(*v),
        Value::Union(_, inner) => integer(inner),
        _ => None,
    }
}

/// Whether decoding is bounded by the bytes there are: no type within itself, no array of what
/// takes no bytes.
fn is_bounded<'a>(schema: &'a Schema, within: &mut Vec<&'a str>) -> bool {
    match schema {
        Schema::Ref { name } => !within.contains(&name.name()),
        Schema::Array(array) => takes_bytes(&array.items) && is_bounded(&array.items, within),
        Schema::Map(map) => is_bounded(&map.types, within),
        Schema::Union(union) => union.variants().iter().all(|v| is_bounded(v, within)),
        Schema::Record(record) => {
            within.push(record.name.name());
            let bounded = record.fields.iter().all(|f| is_bounded(&f.schema, within));
            within.pop();
            bounded
        }
        _ => true,
    }
}

fn takes_bytes(schema: &Schema) -> bool {
    match schema {
        Schema::Null | Schema::Ref { .. } => false,
        Schema::Fixed(fixed) => fixed.size > 0,
        Schema::Record(record) => record.fields.iter().any(|f| takes_bytes(&f.schema)),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
