use super::*;
use crate::sensor::sample::{Quality, Sample};
use proptest::prelude::*;
use serde_json::Value;

const LAB: &[u8] = include_bytes!("../../../../tests/reference/lab.xdf");
const REFERENCE: &str = include_str!("../../../../tests/reference/lab.json");

fn of(opened: &Opened, signal: Signal) -> Vec<Sample> {
    opened.samples().iter().filter(|s| s.signal == signal).copied().collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Times and values of one stream as pyxdf reads them, every `step`-th.
fn reference(name: &str) -> (Vec<f64>, Vec<f64>, usize, usize) {
    let all: Value = serde_json::from_str(REFERENCE).unwrap();
    let stream = &all["streams"][name];
    let integer = |key: &str| usize::try_from(stream[key].as_u64().unwrap()).unwrap();
    let (times, values) = (numbers(&stream["times_s"]), numbers(&stream["values"]));
    (times, values, integer("count"), integer("step"))
}

#[test]
fn lab_recorder_is_read_as_pyxdf_reads_it() {
    let opened = import(LAB).unwrap();
    let all: Value = serde_json::from_str(REFERENCE).unwrap();
    let start_s = ["Wrist", "Strap", "Chest", "Lab"]
        .map(|name| numbers(&all["streams"][name]["times_s"])[0])
        .into_iter()
        .fold(f64::INFINITY, f64::min);
    for (name, signal, factor) in [
        ("Wrist", Signal::SkinConductance, 1.0),
        ("Strap", Signal::RrInterval, 1e3),
        ("Chest", Signal::Ecg, 1.0),
    ] {
        let (times, values, count, step) = reference(name);
        let samples = of(&opened, signal);
        assert_eq!(samples.len(), count, "{name}");
        let mut worst_s = 0.0f64;
        for ((sample, time_s), value) in samples.iter().step_by(step).zip(times).zip(values) {
            worst_s = worst_s.max((sample.at.as_secs_f64() - (time_s - start_s)).abs());
            // RR intervals are put on the strap's grid of 1/1024 s.
            let grid = if signal == Signal::RrInterval { 0.5 * 1e3 / 1024.0 + 1e-4 } else { 1e-9 };
            assert!((sample.value - value * factor).abs() <= grid, "{name}: {sample:?}");
        }
        println!("{name}: times within {:.2e} s of pyxdf", worst_s);
        assert!(worst_s < 1e-6, "{name}: {worst_s} s");
    }
    let labels: Vec<&str> = opened.markers().iter().map(|m| m.label.as_str()).collect();
    assert_eq!(labels, ["offer shown", "Käufer geht"]);
    let (times, ..) = {
        let times = numbers(&all["streams"]["Lab"]["times_s"]);
        (times, ())
    };
    for (marker, time_s) in opened.markers().iter().zip(times) {
        assert!((marker.at.as_secs_f64() - (time_s - start_s)).abs() < 1e-6);
    }
    assert_eq!((opened.rejected(), opened.findings()), (0, &[][..]));
    let breaks = of(&opened, Signal::SkinConductance).iter().filter(|s| !s.contiguous).count();
    assert_eq!(breaks, 2, "the first sample and the pause");
}

#[test]
fn damage_is_left_out_and_counted() {
    // The chunk before the boundary loses its length: the file goes on after the boundary.
    let boundary: [u8; 4] = [0x43, 0xA5, 0x46, 0xDC];
    let at = LAB.windows(4).position(|w| w == boundary).unwrap();
    let first = LAB.windows(6).position(|w| w == [3, 0, 1, 0, 0, 0]).unwrap() - 5;
    let mut hurt = LAB.to_vec();
    hurt[first] = 3;
    let opened = import(&hurt).unwrap();
    assert!(first < at);
    assert_eq!(of(&opened, Signal::SkinConductance).len(), 140);
    assert_eq!(opened.rejected(), 1);
    let finding = format!("offset {first}: a damaged chunk; left out");
    assert_eq!(opened.findings(), [finding]);
    assert_eq!(opened.markers().len(), 2);
    // Cut in the middle of a chunk: what came before stands.
    let opened = import(&LAB[..at + 700]).unwrap();
    assert_eq!((of(&opened, Signal::SkinConductance).len(), opened.rejected()), (100, 1));
}

fn chunk(tag: u16, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32 + 2).to_le_bytes();
    [&[4][..], &length, &tag.to_le_bytes(), content].concat()
}

/// A file of one stream with one channel.
fn one(kind: &str, unit: &str, rate: &str, samples: &[u8]) -> Vec<u8> {
    let xml = format!(
        "<info><name>n</name><type>{kind}</type><channel_count>1</channel_count>\
         <nominal_srate>{rate}</nominal_srate><channel_format>int8</channel_format><desc><channels>\
         <channel><unit>{unit}</unit></channel></channels></desc></info>"
    );
    let header = [&7u32.to_le_bytes()[..], xml.as_bytes()].concat();
    let samples = [&7u32.to_le_bytes()[..], samples].concat();
    [&b"XDF:"[..], &chunk(2, &header), &chunk(3, &samples)].concat()
}

fn stamped(value: u8) -> Vec<u8> {
    [&[1, 1, 8][..], &1.0f64.to_le_bytes(), &[value]].concat()
}

#[test]
fn units_are_converted_or_refused() {
    let value = |kind, unit| Ok(import(&one(kind, unit, "4", &stamped(4)))?.samples()[0].value);
    assert_eq!(value("GSR", "uS"), Ok(4.0));
    assert_eq!(value("EDA", "kOhm"), Ok(250.0));
    assert_eq!(value("eda", "nS"), Ok(0.004));
    assert_eq!(value("ECG", "mV"), Ok(4_000.0));
    assert_eq!(value("PPG", "anything"), Ok(4.0));
    let refused: Result<f64, XdfError> = value("EDA", "volts");
    assert!(refused.unwrap_err().to_string().contains("unit \"volts\" is not known"));
    let assumed = import(&one("EDA", "", "4", &stamped(4))).unwrap();
    assert_eq!(assumed.findings(), ["stream \"n\": no unit given, microsiemens assumed"]);
    assert_eq!(
        import(&one("EDA", "uS", "4", &stamped(0))).unwrap().samples()[0].quality,
        Quality::Artefact
    );
}

#[test]
fn what_cannot_be_used_is_named() {
    assert_eq!(import(b"EDA.csv").unwrap_err(), XdfError::NotXdf);
    let nothing = import(&one("EEG", "uV", "4", &stamped(4))).unwrap_err().to_string();
    assert!(nothing.starts_with("none of its 1 streams can be used"), "{nothing}");
    let error = import(&one("EDA", "uS", "fast", &stamped(4))).unwrap_err().to_string();
    assert!(error.contains("offset 4: a header without a nominal_srate"), "{error}");
    // A count far beyond the bytes there are takes no memory.
    let endless = [&[8][..], &u64::MAX.to_le_bytes(), &stamped(4)[2..]].concat();
    let opened = import(&one("EDA", "uS", "4", &endless)).unwrap();
    assert_eq!((opened.samples().len(), opened.rejected()), (1, 1));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = import(&bytes);
        let _ = import(&[b"XDF:", &bytes[..]].concat());
        let _ = import(&one("EDA", "uS", "4", &bytes));
        let _ = header::StreamHeader::parse(&bytes);
    }

    #[test]
    fn any_damage_is_survived(
        hurt in prop::collection::vec((0usize..14_000, any::<u8>()), 0..8), cut in 0usize..15_000,
    ) {
        let mut bytes = LAB.to_vec();
        for (at, value) in hurt {
            bytes[at] = value;
        }
        bytes.truncate(cut);
        if let Ok(opened) = import(&bytes) {
            prop_assert!(opened.samples().len() <= bytes.len());
        }
    }
}
