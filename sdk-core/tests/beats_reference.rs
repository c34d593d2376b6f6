//! Beats against references: the E4's own, neurokit2's, cardiologists'. Each test prints its
//! figures; the bars are those of the project's acceptance list. Without the data they are skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use sdk_core::signal::{
    Beat,
    ecg::{self, EcgBeats},
    filter::{Band, Cascade},
    ppg::{self, PpgBeats},
};
use std::{env, fs, path::PathBuf, time::Instant};

/// Subjects of `stress_predict` whose BVP is there.
const SUBJECTS: [&str; 7] = ["S01", "S02", "S03", "S05", "S10", "S20", "S30"];
/// Matching of PPG beats, seconds.
const E4_TOLERANCE_S: f64 = 0.05;
const NEUROKIT_TOLERANCE_S: f64 = 0.1;
/// Matching of R peaks, seconds: ANSI/AAMI EC57.
const EC57_S: f64 = 0.15;

fn data(path: &str) -> PathBuf {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    env::var_os("ATTUNE_DATA").map_or(default, PathBuf::from).join(path)
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(data(path)).ok();
    if text.is_none() {
        eprintln!("skipped: no data ({path})");
    }
    text
}

fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Beats found one to one, in the order of time.
struct Match {
    hits: usize,
    found: usize,
    expected: usize,
    /// Found minus expected, seconds.
    median_error_s: f64,
}

impl Match {
    fn new(found: &[f64], expected: &[f64], tolerance_s: f64) -> Self {
        let (mut i, mut j, mut errors) = (0, 0, Vec::new());
        while i < found.len() && j < expected.len() {
            let error = found[i] - expected[j];
            if error.abs() <= tolerance_s {
                errors.push(error);
            }
            i += usize::from(error <= tolerance_s);
            j += usize::from(error >= -tolerance_s);
        }
        Self {
            hits: errors.len(),
            found: found.len(),
            expected: expected.len(),
            median_error_s: median(errors).unwrap_or(f64::NAN),
        }
    }

    fn f1(&self) -> f64 {
        2.0 * self.hits as f64 / (self.found + self.expected) as f64
    }

    fn show(&self, name: &str) -> f64 {
        eprintln!(
            "{name}: F1 {:.4}, {} of {} beats, {} false; median error {:+.1} ms",
            self.f1(),
            self.hits,
            self.expected,
            self.found - self.hits,
            1e3 * self.median_error_s,
        );
        self.f1()
    }
}

/// One subject's recording; times in seconds since the BVP began.
struct E4 {
    bvp: Vec<f64>,
    rate_hz: f64,
    /// Beats: `(time, interval before)`.
    ibi: Vec<(f64, f64)>,
    /// Once a second from `hr_from_s` on.
    hr_from_s: f64,
    hr: Vec<f64>,
    /// The phases at rest.
    rest: Vec<(f64, f64)>,
}

impl E4 {
    fn read(subject: &str) -> Option<Self> {
        let file = |name: &str| read(&format!("stress_predict/Raw_data/{subject}/{name}.csv"));
        let numbers = |text: String| -> Vec<f64> {
            text.split_whitespace().map(|word| word.parse().unwrap()).collect()
        };
        let (bvp, hr) = (numbers(file("BVP")?), numbers(file("HR")?));
        let began = bvp[0];
        let pair = |line: &str| -> Option<(f64, f64)> {
            let (a, b) = line.split_once(',')?;
            Some((a.trim().parse().ok()?, b.trim().parse().ok()?))
        };
        let rest = read("stress_predict/labels.csv")?
            .lines()
            .filter(|line| line.starts_with(subject) && line.split(',').nth(2) == Some("0"))
            .filter_map(|line| pair(line.splitn(4, ',').nth(3)?))
            .map(|(from, to)| (from - began, to - began))
            .collect();
        Some(Self {
            rate_hz: bvp[1],
            bvp: bvp[2..].to_vec(),
            ibi: file("IBI")?.lines().skip(1).filter_map(pair).collect(),
            hr_from_s: hr[0] - began,
            hr: hr[2..].to_vec(),
            rest,
        })
    }

    fn hr_between(&self, from_s: f64, to_s: f64) -> Option<f64> {
        let at = |i: usize| self.hr_from_s + i as f64;
        let inside = self.hr.iter().enumerate().filter(|(i, _)| (from_s..to_s).contains(&at(*i)));
        median(inside.map(|(_, hr)| *hr))
    }
}

/// How long before a beat's fiducial becomes known: median and 99th percentile, seconds.
fn delay_s(values: &[f64], rate_hz: f64, mut push: impl FnMut(f64) -> Vec<Beat>) -> (f64, f64) {
    let mut delays: Vec<f64> = values
        .iter()
        .enumerate()
        .flat_map(|(i, &x)| push(x).into_iter().map(move |b| i as f64 / rate_hz - b.at_s))
        .collect();
    delays.sort_by(f64::total_cmp);
    (delays[delays.len() / 2], delays[delays.len() * 99 / 100])
}

#[test]
fn the_e4s_own_beats_are_found_in_its_bvp() {
    let (mut hits, mut all) = (0, 0);
    for subject in SUBJECTS {
        let Some(e4) = E4::read(subject) else { return };
        let began = Instant::now();
        let beats = ppg::beats(&e4.bvp, e4.rate_hz).unwrap();
        let us = began.elapsed().as_secs_f64() * 1e6;
        let found: Vec<f64> = beats.iter().map(|b| b.at_s).collect();
        let expected: Vec<f64> = e4.ibi.iter().map(|ibi| ibi.0).collect();
        let matched = Match::new(&found, &expected, E4_TOLERANCE_S);
        let recall = matched.hits as f64 / matched.expected as f64;
        let good = beats.iter().filter(|b| b.good).count() as f64 / beats.len() as f64;
        eprintln!(
            "{subject}: {:.2} % of {} E4 beats, median error {:+.1} ms; {} beats in all, {:.0} % \
             good; {:.1} us a second of signal",
            100.0 * recall,
            matched.expected,
            1e3 * matched.median_error_s,
            beats.len(),
            100.0 * good,
            us * e4.rate_hz / e4.bvp.len() as f64,
        );
        assert!(recall >= 0.95, "{subject}");
        assert!(matched.median_error_s.abs() < 0.005, "the foot is the E4's fiducial");
        hits += matched.hits;
        all += matched.expected;
    }
    let recall = hits as f64 / all as f64;
    eprintln!("all: {:.2} % of {all} E4 beats within {E4_TOLERANCE_S} s", 100.0 * recall);
    assert!(recall >= 0.95);
}

/// Wearables that give a BVP at 25 to 128 Hz find the same beats.
#[test]
fn the_e4s_own_beats_are_found_at_other_rates() {
    for rate_hz in [25.0, 32.0, 100.0, 128.0] {
        let (mut hits, mut all) = (0, 0);
        for subject in SUBJECTS {
            let Some(e4) = E4::read(subject) else { return };
            let beats = ppg::beats(&resampled(&e4.bvp, e4.rate_hz, rate_hz), rate_hz).unwrap();
            let found: Vec<f64> = beats.iter().map(|b| b.at_s).collect();
            let expected: Vec<f64> = e4.ibi.iter().map(|ibi| ibi.0).collect();
            hits += Match::new(&found, &expected, E4_TOLERANCE_S).hits;
            all += expected.len();
        }
        let recall = hits as f64 / all as f64;
        eprintln!("at {rate_hz} Hz: {:.2} % of {all} E4 beats", 100.0 * recall);
        assert!(recall >= 0.95, "{rate_hz} Hz");
    }
}

/// Medians over windows of 60 s within the calm phases. A window counts where good intervals cover
/// half of it. The E4's HR.csv comes late: against the mean of its own IBIs over the last 10 s it
/// fits best when read about 30 s later (28 to 36 s on four subjects with enough IBIs), so it is
/// here. What it is worth is the figure beside: the E4's own IBIs against its own HR, the same way,
/// where a window has at least 15 of them. On S10 the two contradict each other by up to 70 bpm.
/// S01 has no labels. The figures without that delay are printed too.
#[test]
fn heart_rate_at_rest_is_the_e4s() {
    let Some((_, at_once)) = heart_rate_errors(0.0) else { return };
    let Some((errors, mae)) = heart_rate_errors(30.0) else { return };
    eprintln!("MAE {mae:.2} bpm with the E4's delay, {at_once:.2} without");
    assert!(errors >= 30 && mae <= 3.0);
}

/// Windows compared and their mean absolute error, beats a minute.
fn heart_rate_errors(late_s: f64) -> Option<(usize, f64)> {
    const WINDOW_S: f64 = 60.0;
    const LEAST_SHARE: f64 = 0.5;
    const LEAST_IBIS: usize = 15;
    let bpm = |interval_s: f64| 60.0 / interval_s;
    let (mut errors, mut own) = (Vec::new(), Vec::new());
    for subject in SUBJECTS.into_iter().filter(|s| *s != "S01") {
        let e4 = E4::read(subject)?;
        let rr = ppg::analyze(&e4.bvp, e4.rate_hz).unwrap().rr;
        let (mut subject_errors, mut subject_own, mut windows) = (Vec::new(), Vec::new(), 0);
        for &(from_s, to_s) in &e4.rest {
            for k in 0..((to_s - from_s) / WINDOW_S) as usize {
                windows += 1;
                let start_s = from_s + k as f64 * WINDOW_S;
                let window = start_s..start_s + WINDOW_S;
                let late = (window.start + late_s, window.end + late_s);
                let Some(reference) = e4.hr_between(late.0, late.1) else { continue };
                let good: Vec<f64> = rr
                    .iter()
                    .filter(|rr| rr.good && window.contains(&rr.at_s))
                    .map(|rr| rr.ms / 1e3)
                    .collect();
                if good.iter().sum::<f64>() >= LEAST_SHARE * WINDOW_S {
                    subject_errors.push((bpm(median(good).unwrap()) - reference).abs());
                }
                let ibi = e4.ibi.iter().filter(|ibi| window.contains(&ibi.0)).map(|ibi| ibi.1);
                let ibi: Vec<f64> = ibi.collect();
                if ibi.len() >= LEAST_IBIS {
                    subject_own.push((bpm(median(ibi).unwrap()) - reference).abs());
                }
            }
        }
        eprintln!(
            "{subject}, HR {late_s} s late: MAE {:.2} bpm over {} of {windows} windows; the E4's IBIs against its HR \
             {:.2} over {}",
            mean(&subject_errors),
            subject_errors.len(),
            mean(&subject_own),
            subject_own.len(),
        );
        errors.extend(subject_errors);
        own.extend(subject_own);
    }
    let mae = mean(&errors);
    eprintln!("all: MAE {mae:.2} bpm over {} windows; E4 {:.2}", errors.len(), mean(&own));
    Some((errors.len(), mae))
}

/// Peaks of the reference within its own steady runs: at least five intervals in a row that
/// differ by less than a fifth from one to the next. `None` for what lies between the runs.
fn steady_runs(peaks_s: &[f64]) -> Vec<(f64, f64)> {
    const LEAST: usize = 5;
    const CHANGE: f64 = 0.2;
    let intervals: Vec<f64> = peaks_s.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut runs = Vec::new();
    let mut first = 0;
    for i in 1..=intervals.len() {
        let steady = i < intervals.len()
            && (intervals[i] / intervals[i - 1]).ln().abs() < (1.0 + CHANGE).ln();
        if !steady {
            if i - first >= LEAST {
                runs.push((peaks_s[first], peaks_s[i]));
            }
            first = i;
        }
    }
    runs
}

/// Systolic peaks against those of neurokit2 (`ppg_findpeaks`, method "elgendi"), without any
/// offset. `data2.csv` is noise and a lost sensor for most of its length, where neurokit2 marks
/// peaks all the same: it is judged, as said there, within neurokit2's own steady runs; the whole
/// of it is printed.
#[test]
fn peaks_agree_with_neurokit2() {
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("reference/beats_neurokit2.json")).unwrap();
    for (name, reference) in reference.as_object().unwrap() {
        let Some(text) = read(&format!("heartpy/{name}")) else { return };
        let values: Vec<f64> = text
            .lines()
            .filter_map(|line| line.split(',').next_back()?.trim().parse().ok())
            .collect();
        let rate_hz = reference["rate_hz"].as_f64().unwrap();
        let expected: Vec<f64> = reference["peaks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|peak| peak.as_f64().unwrap() / rate_hz)
            .collect();
        let beats = ppg::beats(&values, rate_hz).unwrap();
        let found: Vec<f64> = beats.iter().map(|b| b.peak_s).collect();
        let whole = Match::new(&found, &expected, NEUROKIT_TOLERANCE_S);
        let f1 = whole.show(&format!("{name}, whole"));
        Match::new(&found, &expected, 0.05).show(&format!("{name}, whole, within 50 ms"));
        let runs = steady_runs(&expected);
        let steady = |at: &&f64| {
            let edge = NEUROKIT_TOLERANCE_S;
            runs.iter().any(|run| **at >= run.0 - edge && **at <= run.1 + edge)
        };
        let within = |times: &[f64]| -> Vec<f64> { times.iter().filter(steady).copied().collect() };
        let steady_f1 = Match::new(&within(&found), &within(&expected), NEUROKIT_TOLERANCE_S)
            .show(&format!("{name}, steady runs"));
        assert!(steady_f1 >= 0.97, "{name}");
        assert!(name == "data2.csv" || f1 >= 0.97, "{name}");
    }
}

/// The first channel of a WFDB record in format 212: two samples of 12 bits in three bytes.
fn mitbih_100() -> Option<(Vec<f64>, Vec<f64>)> {
    const RATE_HZ: f64 = 360.0;
    /// Annotations of beats (others mark rhythm, noise).
    const BEATS: &str = "NLRBAaJSVrFejnE/fQ?";
    let annotations = read("mitbih/100_beats.csv")?;
    let beats = annotations.lines().skip(1).filter_map(|line| {
        let (sample, symbol) = line.split_once(',')?;
        BEATS.contains(symbol.trim()).then(|| sample.parse::<f64>().unwrap() / RATE_HZ)
    });
    let bytes = fs::read(data("mitbih/100.dat")).ok()?;
    let values = bytes.chunks_exact(3).map(|b| {
        let raw = i32::from(b[0]) | (i32::from(b[1] & 0x0F) << 8);
        f64::from(if raw > 2047 { raw - 4096 } else { raw })
    });
    Some((values.collect(), beats.collect()))
}

/// Another sampling rate: low-passed without phase, then interpolated.
fn resampled(values: &[f64], from_hz: f64, to_hz: f64) -> Vec<f64> {
    let below = Band::Low(0.4 * to_hz.min(from_hz));
    let smooth = Cascade::butterworth(4, below, from_hz).unwrap().zero_phase(values);
    (0..(values.len() as f64 / from_hz * to_hz) as usize)
        .map(|i| {
            let place = i as f64 * from_hz / to_hz;
            let (below, share) = (place as usize, place.fract());
            let next = smooth[(below + 1).min(smooth.len() - 1)];
            smooth[below] + share * (next - smooth[below])
        })
        .collect()
}

fn r_peaks(name: &str, values: &[f64], rate_hz: f64, expected: &[f64]) -> f64 {
    let began = Instant::now();
    let beats = ecg::beats(values, rate_hz).unwrap();
    let us = began.elapsed().as_secs_f64() * 1e6 * rate_hz / values.len() as f64;
    let found: Vec<f64> = beats.iter().map(|b| b.at_s).collect();
    let matched = Match::new(&found, expected, EC57_S);
    let good = beats.iter().filter(|b| b.good).count();
    eprintln!("{good} good; {us:.1} us a second of signal");
    matched.show(&format!("{name} at {rate_hz} Hz"))
}

#[test]
fn r_peaks_of_mitbih_100() {
    let Some((values, expected)) = mitbih_100() else { return };
    assert!(r_peaks("mitbih 100", &values, 360.0, &expected) >= 0.995);
    for rate_hz in [250.0, 130.0, 100.0] {
        let slower = resampled(&values, 360.0, rate_hz);
        assert!(r_peaks("mitbih 100", &slower, rate_hz, &expected) >= 0.995);
    }
}

/// The intervals, not only the beats: what HRV is computed from.
#[test]
fn rr_intervals_of_mitbih_100() {
    let Some((values, expected)) = mitbih_100() else { return };
    let rr = ecg::analyze(&resampled(&values, 360.0, 130.0), 130.0).unwrap().rr;
    let errors = rr.iter().filter(|rr| rr.good).filter_map(|rr| {
        let near = expected.partition_point(|t| *t < rr.at_s - EC57_S).max(1);
        let annotated = expected.get(near)? - expected[near - 1];
        Some((rr.ms / 1e3 - annotated).abs())
    });
    let mut errors: Vec<f64> = errors.collect();
    errors.sort_by(f64::total_cmp);
    let (middle, most) = (errors[errors.len() / 2], errors[errors.len() * 95 / 100]);
    eprintln!("RR at 130 Hz against annotations: median {middle:.4} s, 95 % within {most:.4} s");
    assert!(middle < 0.003 && most < 0.008);
}

/// The clip is two minutes of record 118e24 from this sample on: its beats fall on those annotated
/// there (correlation of intervals .9994), and nowhere else. The unit does not matter.
#[test]
fn r_peaks_under_noise_118e24() {
    const CLIP_FROM: f64 = 160_000.0;
    const RATE_HZ: f64 = 360.0;
    let (Some(values), Some(annotations)) =
        (read("heartpy/118e24.csv"), read("heartpy/118e24_annotations.csv"))
    else {
        return;
    };
    let values: Vec<f64> = values.lines().map(|line| line.parse().unwrap()).collect();
    let clip = CLIP_FROM..CLIP_FROM + values.len() as f64;
    let expected: Vec<f64> = annotations
        .lines()
        .map(|line| line.parse::<f64>().unwrap())
        .filter(|sample| clip.contains(sample))
        .map(|sample| (sample - CLIP_FROM) / RATE_HZ)
        .collect();
    assert!(r_peaks("118e24", &values, RATE_HZ, &expected) >= 0.98);
    let slower = resampled(&values, RATE_HZ, 130.0);
    assert!(r_peaks("118e24", &slower, 130.0, &expected) >= 0.98);
}

/// A heart with many ectopic beats; the strap lists 798 intervals over the same time.
#[test]
fn as_many_beats_as_the_polar_h10_says() {
    let (Some(ecg), Some(rr)) =
        (read("polar_h10_detectPVC/ecg_130hz.csv"), read("rr/polar_h10_pvc_10min.txt"))
    else {
        return;
    };
    let values: Vec<f64> =
        ecg.lines().skip(1).map(|line| line.split_once(',').unwrap().1.parse().unwrap()).collect();
    let analysis = ecg::analyze(&values, 130.0).unwrap();
    let strap = rr.lines().count();
    let good = analysis.rr.iter().filter(|rr| rr.good).count();
    eprintln!(
        "Polar H10: {} intervals of ours ({good} good), {strap} of its own",
        analysis.rr.len()
    );
    assert!(analysis.rr.len().abs_diff(strap) * 100 <= strap, "within one per cent");
}

#[test]
fn beats_are_known_soon() {
    if let Some(e4) = E4::read("S05") {
        let mut detector = PpgBeats::new(e4.rate_hz).unwrap();
        let (usual, late) = delay_s(&e4.bvp, e4.rate_hz, |x| detector.push(x));
        eprintln!("PPG, E4: known {usual:.3} s after the foot, 99 % within {late:.3} s");
        assert!(usual < 0.35);
    }
    if let Some((values, _)) = mitbih_100() {
        let slower = resampled(&values, 360.0, 130.0);
        for (rate_hz, values) in [(360.0, values), (130.0, slower)] {
            let mut detector = EcgBeats::new(rate_hz).unwrap();
            let (usual, late) = delay_s(&values, rate_hz, |x| detector.push(x));
            eprintln!("ECG, {rate_hz} Hz: known {usual:.3} s after R, 99 % within {late:.3} s");
            assert!(usual < 0.2);
        }
    }
}
