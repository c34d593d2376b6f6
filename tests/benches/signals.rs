//! What the signal code costs, beside the libraries of the field, on the same records in one run:
//! `cargo xtask bench eda cvxeda hrv correction ppg streaming`.
//!
//! CPU time, one thread each, the best of several rounds in which ours and the peer's take turns:
//! what else the machine does then falls on both. The peers run in Python, in a virtual
//! environment that the first run installs (`benches/peers/requirements.txt`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement")]

#[path = "peers/environment.rs"]
mod environment;
#[path = "peers/peer.rs"]
mod peer;

use peer::Peer;
use protocol::consent::Modality;
use rustix::time::{ClockId, clock_gettime};
use sdk_core::{
    clock::Nanos,
    sensor::{Quality, Sample, Signal},
    signal::{EdaFeatures, HrvFeatures, eda, hrv, ppg},
};
use serde_json::{Value, json};
use std::{
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::ExitCode,
};

const ALL: [&str; 6] = ["eda", "cvxeda", "hrv", "correction", "ppg", "streaming"];

/// Length of every record.
const RECORD_S: f64 = 300.0;
/// Rounds of ours and the peer's.
const ROUNDS: usize = 15;
/// A measurement of ours lasts at least so long, or the clock's grain would show.
const LEAST_US: f64 = 3_000.0;

fn main() -> ExitCode {
    let asked: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let unknown: Vec<&String> = asked.iter().filter(|a| !ALL.contains(&a.as_str())).collect();
    if !unknown.is_empty() {
        eprintln!("no bench is called {unknown:?}; there are {ALL:?}");
        return ExitCode::FAILURE;
    }
    let data = data();
    if !data.is_dir() {
        println!("skipped: no data (no {}; set ATTUNE_DATA)", data.display());
        return ExitCode::SUCCESS;
    }
    let records = Records::read(&data);
    let mut peer = None;
    for name in ALL.into_iter().filter(|name| asked.is_empty() || asked.iter().any(|a| a == name)) {
        if name == "streaming" {
            println!("{}", streaming(&records));
            continue;
        }
        let peer = peer.get_or_insert_with(|| Peer::start("peers.py", &data));
        println!("{}", beside(name, &records, peer));
    }
    ExitCode::SUCCESS
}

/// The same five minutes that the peers read.
struct Records {
    eda_us: Vec<f64>,
    rr_ms: Vec<f64>,
    bvp: Vec<f64>,
}

impl Records {
    fn read(data: &Path) -> Self {
        let bvp = column(&data.join("stress_predict/Raw_data/S05/BVP.csv"), 2);
        Self {
            eda_us: column(&data.join("eda/S05_baseline_5min_4hz.txt"), 0),
            rr_ms: column(&data.join("rr/mitdb100_5min_all.txt"), 0),
            bvp: bvp[64 * 600..64 * 900].to_vec(),
        }
    }
}

fn beside(name: &str, records: &Records, peer: &mut Peer) -> Value {
    match name {
        "eda" => {
            let (ours, [theirs]) = compare(peer, ["eda"], || {
                black_box(eda::analyze(black_box(&records.eda_us), 4.0, &eda::Options::default()));
            });
            json!({
                "bench": name, "ours_us_per_s": ours / RECORD_S,
                "neurokit2_us_per_s": theirs / RECORD_S, "ratio": theirs / ours,
            })
        }
        "cvxeda" => {
            let options = eda::Options { method: eda::Method::CvxEda, ..eda::Options::default() };
            let (ours, [theirs]) = compare(peer, ["cvxeda"], || {
                black_box(eda::analyze(black_box(&records.eda_us), 4.0, &options));
            });
            json!({
                "bench": name, "ours_us_per_s": ours / RECORD_S,
                "neurokit2_us_per_s": theirs / RECORD_S, "ratio": theirs / ours,
            })
        }
        "hrv" => {
            let (ours, [neurokit2, hrvanalysis]) = compare(peer, ["hrv", "hrvanalysis"], || {
                black_box(hrv::TimeDomain::of(black_box(&records.rr_ms)));
                let _ = black_box(hrv::welch(black_box(&records.rr_ms)));
            });
            json!({
                "bench": name, "ours_us_per_s": ours / RECORD_S,
                "neurokit2_us_per_s": neurokit2 / RECORD_S,
                "hrvanalysis_us_per_s": hrvanalysis / RECORD_S,
                "ratio_neurokit2": neurokit2 / ours, "ratio_hrvanalysis": hrvanalysis / ours,
            })
        }
        "correction" => {
            let (ours, [theirs]) = compare(peer, ["correction"], || {
                let _ = black_box(hrv::correct(black_box(&records.rr_ms)));
            });
            json!({
                "bench": name, "ours_us_per_s": ours / RECORD_S,
                "neurokit2_us_per_s": theirs / RECORD_S, "ratio": theirs / ours,
            })
        }
        _ => {
            let (ours, [theirs]) = compare(peer, ["ppg"], || {
                let _ = black_box(ppg::analyze(black_box(&records.bvp), 64.0));
            });
            json!({
                "bench": name, "ours_us_per_s": ours / RECORD_S,
                "neurokit2_us_per_s": theirs / RECORD_S, "ratio": theirs / ours,
            })
        }
    }
}

/// What all features cost while they stream, per second of signal: EDA at 4 and at 32 Hz, and one
/// heart.
fn streaming(records: &Records) -> Value {
    let conductance = |hz: u64| -> Vec<Sample> {
        let repeat = (hz / 4) as usize;
        let values = records.eda_us.iter().flat_map(|v| std::iter::repeat_n(*v, repeat));
        (0..)
            .zip(values)
            .map(|(k, v)| sample(Signal::SkinConductance, k as f64 / hz as f64, v))
            .collect()
    };
    let mut at_s = 0.0;
    let beats: Vec<Sample> = records
        .rr_ms
        .iter()
        .map(|rr| {
            at_s += rr / 1e3;
            sample(Signal::RrInterval, at_s, *rr)
        })
        .collect();
    let (slow, fast) = (conductance(4), conductance(32));
    let cost = |samples: &[Sample]| {
        best_of(|| {
            let mut features = EdaFeatures::new();
            for sample in samples {
                black_box(features.push(black_box(sample)));
            }
        }) / RECORD_S
    };
    let (eda_4hz, eda_32hz) = (cost(&slow), cost(&fast));
    let heart = best_of(|| {
        let mut features = HrvFeatures::new();
        for beat in &beats {
            black_box(features.push(black_box(beat)));
        }
    }) / RECORD_S;
    json!({
        "bench": "streaming", "eda_4hz_us_per_s": eda_4hz, "eda_32hz_us_per_s": eda_32hz,
        "hrv_us_per_s": heart, "all_us_per_s": eda_32hz + heart,
    })
}

fn sample(signal: Signal, at_s: f64, value: f64) -> Sample {
    let at = Nanos::from_secs_f64(at_s);
    let modality = match signal {
        Signal::SkinConductance => Modality::Eda,
        _ => Modality::Hrv,
    };
    Sample { modality, signal, stream_at: at, at, value, quality: Quality::Good, contiguous: true }
}

/// Least CPU microseconds of one call of ours, and of each of the peer's jobs, taking turns.
fn compare<const N: usize>(
    peer: &mut Peer,
    jobs: [&str; N],
    mut ours: impl FnMut(),
) -> (f64, [f64; N]) {
    let mut least = (f64::INFINITY, [f64::INFINITY; N]);
    for job in jobs {
        peer.cpu_us(job);
    }
    for _ in 0..ROUNDS {
        least.0 = least.0.min(once(&mut ours));
        for (job, least) in jobs.iter().zip(&mut least.1) {
            *least = least.min(peer.cpu_us(job));
        }
    }
    least
}

fn best_of(mut job: impl FnMut()) -> f64 {
    (0..ROUNDS).map(|_| once(&mut job)).fold(f64::INFINITY, f64::min)
}

/// CPU microseconds of one call, the mean over as many as make the clock's grain small.
fn once(job: &mut impl FnMut()) -> f64 {
    let begun = cpu_us();
    let mut calls = 0.0;
    loop {
        job();
        calls += 1.0;
        let took = cpu_us() - begun;
        if took >= LEAST_US {
            return took / calls;
        }
    }
}

fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn data() -> PathBuf {
    env::var_os("ATTUNE_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    )
}

fn column(path: &Path, skip: usize) -> Vec<f64> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().skip(skip).map(|line| line.trim().parse().unwrap()).collect()
}
