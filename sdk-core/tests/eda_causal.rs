//! The stream's features of skin conductance against the same definitions with hindsight, on
//! every wristband recording of `stress_predict`.
//!
//! With hindsight: the zero-phase phasic part and the responses of the whole recording, by
//! [`analyze`]. A causal feature at `t` is compared with the hindsight's at `t - delay`, the
//! delay stated in `protocol::feature::FEATURES`, at every vector whose windows were analysed
//! whole. The recordings lie in `$ATTUNE_DATA` or `../shared/data`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod eda_support;

use eda_support::{correlation, data};
use protocol::{
    consent::{Modality, Purpose},
    feature::{EDA_FEATURES, FEATURES},
};
use sdk_core::{
    consent::{Gate, Infer},
    sensor::recording::Recording,
    signal::{
        EdaFeatures,
        eda::{EdaAnalysis, Options, analyze},
    },
};
use std::fs;

const LEAST: f64 = 0.95;

/// The features at the time of sample `now`, with hindsight; none unless the last minute was
/// analysed whole.
fn hindsight(analysis: &EdaAnalysis, now: usize) -> Option<[f64; EDA_FEATURES]> {
    let series = &analysis.series;
    let hz = series.rate_hz;
    let last = |seconds: f64| (now + 1).checked_sub((seconds * hz) as usize).map(|i| i..=now);
    let minute = series.phasic_microsiemens.get(last(60.0)?)?;
    minute.iter().all(|p| p.is_finite()).then_some(())?;
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let level = &series.clean_microsiemens;
    let ten = &level[last(10.0)?];
    let (middle, middle_t) = (mean(ten), (ten.len() as f64 - 1.0) / 2.0);
    let t = |i: i32| f64::from(i) - middle_t;
    let slope = (0..).zip(ten).map(|(i, x)| t(i) * (x - middle)).sum::<f64>()
        / (0..ten.len() as i32).map(|i| t(i).powi(2)).sum::<f64>()
        * hz;
    let area = series.phasic_microsiemens[last(10.0)?].iter().map(|p| p.max(0.0)).sum::<f64>() / hz;
    let thirty = &series.phasic_microsiemens[last(30.0)?];
    let centre = mean(thirty);
    let squares: f64 = thirty.iter().map(|p| (p - centre).powi(2)).sum();
    let now_s = now as f64 / hz;
    let amplitudes = |window_s: f64| -> Vec<f64> {
        analysis
            .scrs
            .iter()
            .filter(|r| (0.0..window_s).contains(&(now_s - r.peak_s)))
            .filter_map(|r| r.amplitude_microsiemens)
            .collect()
    };
    let sixty = amplitudes(60.0);
    Some([
        mean(&level[last(5.0)?]),
        slope,
        area,
        (squares / (thirty.len() as f64 - 1.0)).sqrt(),
        amplitudes(10.0).iter().sum(),
        sixty.len() as f64,
        sixty.iter().sum::<f64>() / (sixty.len() as f64).max(1.0),
    ])
}

/// `(causal, hindsight)` of each feature over one recording, once a second; the hindsight
/// `shift_s` earlier than the stated delay.
fn pairs(recording: &Recording, shift_s: f64) -> Vec<Vec<(f64, f64)>> {
    let gate = Gate::agreed_elsewhere(&[(Modality::Eda, Purpose::Infer)]);
    let permit = gate.permit::<Infer>(Modality::Eda).unwrap();
    let analysis = analyze(&recording.eda_microsiemens, recording.eda_hz, &Options::default());
    let mut features = EdaFeatures::new();
    let mut pairs = vec![Vec::new(); EDA_FEATURES];
    for vector in recording.samples().iter().filter_map(|sample| features.push(sample)).step_by(4) {
        let at_s = vector.stream_at.as_secs_f64();
        let causal = vector.read(&permit).unwrap();
        for (i, spec) in FEATURES[..EDA_FEATURES].iter().enumerate() {
            let then = ((at_s - spec.delay_s - shift_s) * recording.eda_hz).round();
            if then >= 0.0
                && let Some(whole) = hindsight(&analysis, then as usize)
                && causal[i].is_finite()
            {
                pairs[i].push((causal[i], whole[i]));
            }
        }
    }
    pairs
}

#[test]
fn causal_features_are_what_hindsight_says() {
    let Ok(folders) = fs::read_dir(data().join("stress_predict/Raw_data")) else {
        println!("skipped: no data");
        return;
    };
    let mut pooled = vec![Vec::new(); EDA_FEATURES];
    let mut each = vec![Vec::new(); EDA_FEATURES];
    let mut later = vec![Vec::new(); EDA_FEATURES];
    let mut earlier = vec![Vec::new(); EDA_FEATURES];
    for folder in folders {
        let recording = Recording::open(&folder.unwrap().path()).unwrap();
        for (i, pairs) in pairs(&recording, 0.0).into_iter().enumerate() {
            if pairs.len() > 250 {
                each[i].push(correlation(&pairs));
            }
            pooled[i].extend(pairs);
        }
        for (shifted, shift_s) in [(&mut later, 1.0), (&mut earlier, -1.0)] {
            for (all, pairs) in shifted.iter_mut().zip(pairs(&recording, shift_s)) {
                all.extend(pairs);
            }
        }
    }
    let mut missed = Vec::new();
    for (i, spec) in FEATURES[..EDA_FEATURES].iter().enumerate() {
        let all = correlation(&pooled[i]);
        let mean = each[i].iter().sum::<f64>() / each[i].len() as f64;
        let least = each[i].iter().copied().fold(1.0, f64::min);
        println!(
            "{:24} delay {:.1} s: pooled {all:.4}, mean of {} recordings {mean:.4}, least {least:.4}",
            spec.name,
            spec.delay_s,
            each[i].len()
        );
        // The stated delay is the true one, to the second.
        let (before, after) = (correlation(&later[i]), correlation(&earlier[i]));
        println!("{:24} a second earlier {before:.4}, later {after:.4}", "");
        assert!(all >= before && all >= after, "{}: another delay agrees better", spec.name);
        if !(all >= LEAST && mean >= LEAST) {
            missed.push(spec.name);
        }
    }
    assert!(missed.is_empty(), "below {LEAST}: {missed:?}");
}
