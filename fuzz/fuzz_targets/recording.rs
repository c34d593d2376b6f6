//! Any texts as the files of a recording, and its samples through the features.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_core::{
    sensor::{Signal, recording::Recording},
    signal::{EdaFeatures, HrvFeatures},
};

fuzz_target!(|files: (&str, &str)| {
    let Ok(recording) = Recording::parse(Some(files.0), Some(files.1)) else { return };
    let (mut eda, mut hrv) = (EdaFeatures::new(), HrvFeatures::new());
    for sample in recording.samples() {
        match sample.signal {
            Signal::SkinConductance => drop(eda.push(&sample)),
            _ => drop(hrv.push(&sample)),
        }
    }
});
