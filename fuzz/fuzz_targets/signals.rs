//! Any numbers as whole records: every analysis answers or refuses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_core::signal::{ecg, eda, hrv, ppg};

fuzz_target!(|input: (f64, Vec<f64>)| {
    let (rate_hz, values) = input;
    // Length alone is no finding; records are longer than what shows a fault.
    let values = &values[..values.len().min(2_000)];
    let _ = hrv::analyze(values, hrv::Options::default());
    for online in [false, true] {
        let _ = eda::analyze(values, rate_hz, &eda::Options { online, ..Default::default() });
    }
    let _ = ppg::analyze(values, rate_hz);
    let _ = ecg::analyze(values, rate_hz);
});
