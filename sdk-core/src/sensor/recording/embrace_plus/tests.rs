use super::*;
use crate::sensor::sample::{Quality, Sample};
use apache_avro::Writer;
use proptest::prelude::*;

/// Written by fastavro, see embrace_plus.py beside it.
const FILE: &[u8] = include_bytes!("../../../../tests/reference/embrace_plus.avro");

fn import(file: &[u8]) -> Result<Opened, EmbracePlusError> {
    let mut import = Import::default();
    import.add(file)?;
    Ok(import.finish())
}

fn of(opened: &Opened, signal: Signal) -> Vec<Sample> {
    opened.samples().iter().filter(|s| s.signal == signal).copied().collect()
}

#[test]
fn a_file_of_the_schema_is_read() {
    let opened = import(FILE).unwrap();
    assert_eq!((opened.start_unix_s(), opened.rejected()), (1_700_000_000.0, 0));
    let eda = of(&opened, Signal::SkinConductance);
    assert_eq!(eda.len(), 40);
    for (k, sample) in (0u64..).zip(&eda) {
        assert!((sample.value - (1.0 + 0.01 * k as f64)).abs() < 1e-6);
        assert!(sample.at.0.abs_diff(250_000_000 * k) < 500, "microseconds of a double");
        assert_eq!((sample.quality, sample.contiguous), (Quality::Good, k > 0));
    }
    let bvp = of(&opened, Signal::Ppg);
    assert_eq!(bvp.len(), 640);
    assert!(bvp[0].at.0.abs_diff(250_000_000) < 500);
    assert!((bvp[100].value - 10.0f64.sin()).abs() < 1e-6);
    let acceleration = of(&opened, Signal::Acceleration);
    assert_eq!(acceleration.len(), 128);
    let (still, moved) = (acceleration[0].value, acceleration[1].value);
    assert!((still - 1.0).abs() < 1e-4 && (moved - 2f64.sqrt()).abs() < 1e-4, "{still} {moved}");
    // Peaks at .8, 1.6, .. 4.0, then 9.0 and 9.75 s: the pause between is an interval of 5 s.
    let rr = of(&opened, Signal::RrInterval);
    let ms: Vec<f64> = rr.iter().map(|s| (s.value / 10.0).round() * 10.0).collect();
    assert_eq!(ms, [800.0, 800.0, 800.0, 800.0, 5_000.0, 750.0]);
    assert_eq!(rr[4].quality, Quality::Artefact);
    let at_s: Vec<u64> = opened.markers().iter().map(|m| m.at.as_millis()).collect();
    assert_eq!(at_s, [3_000]);
}

#[test]
fn files_of_one_recording_are_put_together() {
    let mut both = Import::default();
    both.add(FILE).unwrap();
    both.add(FILE).unwrap();
    let opened = both.finish();
    assert_eq!(of(&opened, Signal::SkinConductance).len(), 80);
    assert_eq!(of(&opened, Signal::RrInterval).len(), 6, "a peak is one peak");
}

fn avro(schema: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let mut writer = Writer::new(&schema, Vec::new()).unwrap();
    writer.append_value(value).unwrap();
    writer.into_inner().unwrap()
}

const NULLS: &str = r#"{"type":"record","name":"S","fields":[{"name":"rawData","type":{"type":"array","items":"null"}}]}"#;
const NESTED: &str =
    r#"{"type":"record","name":"S","fields":[{"name":"rawData","type":["null","S"]}]}"#;
const OTHER: &str = r#"{"type":"record","name":"S","fields":[{"name":"x","type":"int"}]}"#;
const EDA: &str = r#"{"type":"record","name":"S","fields":[{"name":"rawData","type":{"type":"record",
    "name":"R","fields":[{"name":"eda","type":{"type":"record","name":"E","fields":[
    {"name":"timestampStart","type":"long"},{"name":"samplingFrequency","type":"float"},
    {"name":"values","type":{"type":"array","items":"float"}}]}}]}}]}"#;

fn eda(start: i64, rate: f32, values: &[f32]) -> Vec<u8> {
    let record = |name: &str, value| Value::Record(vec![(name.to_owned(), value)]);
    let values = Value::Array(values.iter().map(|v| Value::Float(*v)).collect());
    let eda = Value::Record(vec![
        ("timestampStart".into(), Value::Long(start)),
        ("samplingFrequency".into(), Value::Float(rate)),
        ("values".into(), values),
    ]);
    avro(EDA, record("rawData", record("eda", eda)))
}

#[test]
fn what_cannot_be_used_is_named() {
    let fails = |file: &[u8], with: &str| {
        let error = import(file).unwrap_err().to_string();
        assert!(error.contains(with), "{error}");
    };
    fails(b"", "record 0: ");
    fails(&FILE[..FILE.len() - 40], "record 0: ");
    let record = |name: &str, value| Value::Record(vec![(name.to_owned(), value)]);
    fails(&avro(NULLS, record("rawData", Value::Array(vec![]))), "recursive or repeats");
    let none = Value::Union(0, Box::new(Value::Null));
    fails(&avro(NESTED, record("rawData", none)), "recursive or repeats");
    fails(&avro(OTHER, record("x", Value::Int(1))), "has no field rawData");
    let opened = import(&eda(0, f32::NAN, &[1.0, 2.0])).unwrap();
    assert_eq!((opened.rejected(), opened.samples().len()), (2, 0));
    assert_eq!(opened.findings(), ["eda: 2 values have no time or rate"]);
}

proptest! {
    #[test]
    fn any_values_are_taken(
        start in any::<i64>(), rate in any::<f32>(),
        values in prop::collection::vec(any::<f32>(), 0..40),
    ) {
        let opened = import(&eda(start, rate, &values)).unwrap();
        prop_assert_eq!(opened.samples().len() as u64 + opened.rejected(), values.len() as u64);
    }

    #[test]
    fn any_damage_is_survived(
        hurt in prop::collection::vec((0usize..4_000, any::<u8>()), 0..4), cut in 0usize..5_000,
    ) {
        let mut bytes = FILE.to_vec();
        for (at, value) in hurt {
            bytes[at] = value;
        }
        bytes.truncate(cut);
        let _ = import(&bytes);
        let _ = import(&bytes[cut.min(bytes.len()) / 2..]);
    }
}
