//! `attune analyze`: a recorded signal, told in numbers and drawn.

use crate::{
    Failure, output,
    plot::{self, BeatsPicture, EdaPicture, HrvPicture, Response},
};
use clap::Subcommand;
use sdk_core::{
    sensor::column,
    signal::{
        BeatAnalysis, ecg,
        eda::{self, EdaAnalysis, Mark, Threshold},
        hrv::{self, Bands, BeatClass, HrvAnalysis},
        ppg,
    },
};
use serde_json::{Map, Value, json};
use std::{
    fmt::Display,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Analyse a recorded signal.
///
/// Nothing leaves this machine. Only analyse recordings of people who agreed to it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    signal: Signal,
}

#[derive(Debug, Subcommand)]
enum Signal {
    Hrv(Hrv),
    Eda(Eda),
    Ppg(Wave),
    Ecg(Wave),
}

/// Where the numbers are, and where a picture of them goes.
#[derive(Debug, clap::Args)]
struct Source {
    /// A text file with one number a line; titles and # comments are skipped.
    file: PathBuf,
    /// Which column of the file, from 1; commas, semicolons, tabs or blanks part them.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    column: u16,
    /// Draw a picture (SVG).
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// Heart-rate variability from RR intervals in ms, one a line.
///
/// Artefacts are corrected first (Lipponen & Tarvainen 2019). Where too little of the record is a
/// heart's own rhythm, the numbers are withheld and the reason is given.
#[derive(Debug, clap::Args)]
struct Hrv {
    #[command(flatten)]
    source: Source,
    /// Measure the intervals as they are, artefacts and all.
    #[arg(long)]
    no_correction: bool,
}

/// Skin conductance in microsiemens, one value a line.
#[derive(Debug, clap::Args)]
struct Eda {
    #[command(flatten)]
    source: Source,
    /// Samples a second, 4 to 1000.
    #[arg(long, value_name = "R")]
    rate_hz: f64,
    /// The causal form, as a device computes it live, instead of the one that looks ahead.
    #[arg(long, conflicts_with = "method")]
    online: bool,
    /// How tonic and phasic are taken apart.
    #[arg(long, value_enum, default_value_t = Method::Highpass)]
    method: Method,
    /// Least size of a listed response, microsiemens [default: a tenth of the largest]
    #[arg(long, value_name = "MICROSIEMENS")]
    threshold: Option<f64>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Method {
    /// Butterworth, order 2, 0.05 Hz, forward and backward.
    Highpass,
    /// Convex optimisation (Greco et al. 2016).
    Cvxeda,
}

/// Heartbeats in a sampled wave, one value a line; any unit will do.
#[derive(Debug, clap::Args)]
struct Wave {
    #[command(flatten)]
    source: Source,
    /// Samples a second: PPG 25 to 128, ECG 100 to 360.
    #[arg(long, value_name = "R")]
    rate_hz: f64,
}

/// Share of the largest response that lists one, as the field's tools do (Makowski et al. 2021).
const RELATIVE: f64 = 0.1;
/// What was found, in the order people read it.
type Report = Vec<(&'static str, Value)>;

/// Largest file that is read: a day at 1000 Hz.
const MAX_FILE_BYTES: u64 = 1 << 30;

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let (report, plot) = match &args.signal {
        Signal::Hrv(args) => (hrv(args)?, &args.source.plot),
        Signal::Eda(args) => (eda(args)?, &args.source.plot),
        Signal::Ppg(args) => {
            (wave(args, ppg::analyze(&args.values()?, args.rate_hz)?)?, &args.source.plot)
        }
        Signal::Ecg(args) => {
            (wave(args, ecg::analyze(&args.values()?, args.rate_hz)?)?, &args.source.plot)
        }
    };
    if json {
        let fields = report.into_iter().map(|(name, value)| (name.to_owned(), value));
        output::line(&fields.collect::<Map<_, _>>())?;
    } else {
        output::text(&table(&report))?;
    }
    if let Some(path) = plot {
        eprintln!("drawn: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

impl Source {
    fn values(&self) -> Result<Vec<f64>, Failure> {
        let path = self.file.display();
        let failed = |error: std::io::Error| format!("cannot read {path}: {error}");
        let bytes = fs::metadata(&self.file).map_err(failed)?.len();
        if bytes > MAX_FILE_BYTES {
            return Err(format!(
                "{path} has {bytes} bytes, more than is read at once ({MAX_FILE_BYTES}): cut it"
            )
            .into());
        }
        let text = fs::read(&self.file).map_err(failed)?;
        let text = String::from_utf8_lossy(&text);
        Ok(column::parse(&text, self.column.into()).map_err(|e| format!("{path}, {e}"))?)
    }

    fn name(&self) -> String {
        let name = self.file.file_name().unwrap_or(self.file.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Draws, where a picture was asked for.
    fn draw(
        &self,
        draw: impl FnOnce(&Path, String) -> Result<(), Box<dyn std::error::Error>>,
    ) -> Result<(), Failure> {
        let Some(path) = &self.plot else { return Ok(()) };
        draw(path, self.name()).map_err(|e| format!("cannot draw {}: {e}", path.display()).into())
    }
}

impl Wave {
    fn values(&self) -> Result<Vec<f64>, Failure> {
        self.source.values()
    }
}

fn hrv(args: &Hrv) -> Result<Report, Failure> {
    let rr_ms = args.source.values()?;
    let options = hrv::Options { correction: !args.no_correction };
    let found = hrv::analyze(&rr_ms, options);
    args.source.draw(|path, name| draw_hrv(path, &name, &found))?;
    Ok(hrv_report(&found, args.no_correction))
}

/// Numbers of a record that was refused are withheld, unless it was to be taken as it is.
fn hrv_report(found: &HrvAnalysis, as_it_is: bool) -> Report {
    let told = found.usability.usable || as_it_is;
    let number = |value: f64| if told { json!(value) } else { Value::Null };
    let time = &found.time;
    let artefacts = json!({
        "ectopic": found.artefacts.ectopic, "missed": found.artefacts.missed,
        "extra": found.artefacts.extra, "long": found.artefacts.long,
        "short": found.artefacts.short,
    });
    let bands = |bands: &Bands| {
        json!({
            "lf_ms2": number(bands.lf_ms2), "hf_ms2": number(bands.hf_ms2),
            "lf_hf": number(bands.lf_hf()),
        })
    };
    vec![
        ("beats", json!(found.beats)),
        ("corrected", json!(found.corrected)),
        ("artefacts", artefacts),
        ("usable", json!(found.usability.usable)),
        ("reason", json!(reason(found.usability.reason))),
        ("mean_nn_ms", number(time.mean_nn_ms)),
        ("heart_rate_bpm", number(time.heart_rate_bpm)),
        ("sdnn_ms", number(time.sdnn_ms)),
        ("rmssd_ms", number(time.rmssd_ms)),
        ("pnn50_percent", number(time.pnn50_percent)),
        ("sd1_ms", number(time.sd1_ms)),
        ("sd2_ms", number(time.sd2_ms)),
        ("baevsky_si", number(time.baevsky_si)),
        ("welch", bands(&found.welch_bands)),
        ("lomb", bands(&found.lomb_bands)),
        ("coherence_ratio", number(found.coherence_ratio)),
        (
            "breaths_per_minute",
            json!(found.respiration.filter(|_| told).map(|r| r.breaths_per_minute)),
        ),
    ]
}

fn draw_hrv(
    path: &Path,
    name: &str,
    found: &HrvAnalysis,
) -> Result<(), Box<dyn std::error::Error>> {
    let zip = |a: &[f64], b: &[f64]| -> Vec<(f64, f64)> {
        a.iter().copied().zip(b.iter().copied()).collect()
    };
    let series = &found.tachogram;
    let received = zip(&series.at_s, &series.rr_ms);
    let corrected = zip(&series.nn_at_s, &series.nn_ms);
    let marked = received.iter().zip(&series.classes).filter(|(_, c)| **c != BeatClass::Normal);
    let changed: Vec<(f64, f64)> = marked.map(|(point, _)| *point).collect();
    let welch = zip(&found.welch.hz, &found.welch.psd_ms2_per_hz);
    let time = &found.time;
    let verdict = found.usability.reason.map_or_else(String::new, |r| format!(" — refused: {r}"));
    let picture = HrvPicture {
        headline: format!(
            "{name}: {} beats, RMSSD {:.1} ms, SDNN {:.1} ms{verdict}",
            found.beats, time.rmssd_ms, time.sdnn_ms
        ),
        received: &received,
        corrected: &corrected,
        changed: &changed,
        welch: &welch,
        lomb: &in_bins_of(&zip(&found.lomb.hz, &found.lomb.psd_ms2_per_hz), &welch),
        sd: time.sd1_ms.is_finite().then_some((time.sd1_ms, time.sd2_ms)),
    };
    plot::draw_hrv(path, &picture)
}

/// A spectrum on a fine grid as means around the frequencies of a coarse one: two curves that are
/// to be compared must be as smooth as each other.
fn in_bins_of(fine: &[(f64, f64)], coarse: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let [first, second, ..] = coarse else { return fine.to_vec() };
    let half = (second.0 - first.0) / 2.0;
    let mean = |(hz, _): &(f64, f64)| {
        let near = fine.iter().filter(|(f, _)| (f - hz).abs() <= half).map(|(_, power)| power);
        let count = near.clone().count();
        (count > 0).then(|| (*hz, near.sum::<f64>() / count as f64))
    };
    coarse.iter().filter_map(mean).collect()
}

fn eda(args: &Eda) -> Result<Report, Failure> {
    let values = args.source.values()?;
    let method = match args.method {
        Method::Highpass => eda::Method::HighPass,
        Method::Cvxeda => eda::Method::CvxEda,
    };
    let threshold = args.threshold.map_or(Threshold::Relative(RELATIVE), Threshold::Absolute);
    let options = eda::Options { method, online: args.online, threshold, ..Default::default() };
    let (found, refused) = whatever_the_unit(&values, args.rate_hz, &options);
    args.source.draw(|path, name| draw_eda(path, &name, &found))?;
    let responses: Vec<Value> = found
        .scrs
        .iter()
        .map(|scr| {
            json!({
                "onset_s": scr.onset_s, "peak_s": scr.peak_s,
                "amplitude_microsiemens": scr.amplitude_microsiemens,
                "rise_time_s": scr.rise_time_s, "recovery_s": scr.recovery_s,
            })
        })
        .collect();
    let [at_001, at_005] = found.scr_counts;
    let number = |value: f64| if found.analysed_s > 0.0 { json!(value) } else { Value::Null };
    Ok(vec![
        ("usable", json!(refused.is_none())),
        ("reason", json!(reason(refused))),
        ("analysed_s", json!(found.analysed_s)),
        ("scl_mean_microsiemens", number(found.scl_mean_microsiemens)),
        ("phasic_sd_microsiemens", number(found.phasic_sd_microsiemens)),
        ("phasic_area_microsiemens_s", number(found.phasic_area_microsiemens_s)),
        ("scr_per_minute", number(found.scr_per_minute)),
        ("scr_above_0_01_microsiemens", json!(at_001)),
        ("scr_above_0_05_microsiemens", json!(at_005)),
        ("scr", json!(responses)),
    ])
}

/// Analyses; a record of which nothing passes for skin conductance, such as one in a converter's
/// counts, is analysed without regard to its unit, and refused all the same.
fn whatever_the_unit(
    values: &[f64],
    rate_hz: f64,
    options: &eda::Options<'_>,
) -> (EdaAnalysis, Option<eda::Unusable>) {
    let found = eda::analyze(values, rate_hz, options);
    let refused = found.unusable;
    if !matches!(refused, Some(eda::Unusable::Artefacts { analysed_s: 0.0, .. })) {
        return (found, refused);
    }
    let open = eda::Options {
        plausible_microsiemens: f64::NEG_INFINITY..=f64::INFINITY,
        steepest_microsiemens_per_s: f64::INFINITY,
        ..options.clone()
    };
    (eda::analyze(values, rate_hz, &open), refused)
}

fn draw_eda(
    path: &Path,
    name: &str,
    found: &EdaAnalysis,
) -> Result<(), Box<dyn std::error::Error>> {
    let series = &found.series;
    let at_s: Vec<f64> =
        (0..series.clean_microsiemens.len()).map(|k| k as f64 / series.rate_hz).collect();
    let phasic_at = |s: f64| {
        let index = (s * series.rate_hz).round().max(0.0) as usize;
        (s, series.phasic_microsiemens.get(index).copied().unwrap_or(f64::NAN))
    };
    let responses = found.scrs.iter().map(|scr| Response {
        onset: phasic_at(scr.onset_s.unwrap_or(scr.peak_s)),
        peak: phasic_at(scr.peak_s),
    });
    let picture = EdaPicture {
        headline: format!(
            "{name}: SCL {:.2} \u{b5}S, {:.1} SCRs a minute",
            found.scl_mean_microsiemens, found.scr_per_minute
        ),
        at_s: &at_s,
        level_us: &series.clean_microsiemens,
        tonic_us: &series.tonic_microsiemens,
        phasic_us: &series.phasic_microsiemens,
        responses: responses.collect(),
        artefacts: stretches(&series.marks, series.rate_hz),
    };
    plot::draw_eda(path, &picture)
}

/// Runs of samples that are not good, in seconds.
fn stretches(marks: &[Mark], rate_hz: f64) -> Vec<Range<f64>> {
    let mut stretches: Vec<Range<f64>> = Vec::new();
    for (k, _) in marks.iter().enumerate().filter(|(_, mark)| **mark != Mark::Good) {
        let (begin, end) = (k as f64 / rate_hz, (k + 1) as f64 / rate_hz);
        match stretches.last_mut() {
            Some(last) if begin - last.end < 0.5 / rate_hz => last.end = end,
            _ => stretches.push(begin..end),
        }
    }
    stretches
}

fn wave(args: &Wave, found: BeatAnalysis) -> Result<Report, Failure> {
    args.source.draw(|path, name| {
        let at_s: Vec<f64> = (0..found.filtered.len()).map(|k| k as f64 / args.rate_hz).collect();
        let beats: Vec<(f64, bool)> = found.beats.iter().map(|b| (b.at_s, b.good)).collect();
        let rr: Vec<(f64, f64, bool)> = found.rr.iter().map(|r| (r.at_s, r.ms, r.good)).collect();
        let picture = BeatsPicture {
            headline: format!(
                "{name}: {} beats, {:.1} a minute, {:.0} % trusted",
                found.beats.len(),
                found.heart_rate_bpm,
                100.0 * found.good_share
            ),
            at_s: &at_s,
            wave: &found.filtered,
            beats: &beats,
            intervals: &rr,
        };
        plot::draw_beats(path, &picture)
    })?;
    let rr: Vec<Value> =
        found.rr.iter().map(|r| json!({"at_s": r.at_s, "ms": r.ms, "good": r.good})).collect();
    let beats: Vec<f64> = found.beats.iter().map(|b| b.at_s).collect();
    Ok(vec![
        ("usable", json!(found.unusable.is_none())),
        ("reason", json!(reason(found.unusable.as_ref()))),
        ("duration_s", json!(found.duration_s)),
        ("beats", json!(found.beats.len())),
        ("heart_rate_bpm", json!(found.heart_rate_bpm)),
        ("good_share", json!(found.good_share)),
        ("beat_times_s", json!(beats)),
        ("rr", json!(rr)),
    ])
}

fn reason(reason: Option<impl Display>) -> Option<String> {
    reason.map(|reason| reason.to_string())
}

/// The report as people read it: a line a figure; of lists only their length.
fn table(report: &Report) -> String {
    let mut lines = Vec::new();
    for (name, value) in report {
        row(name, value, &mut lines);
    }
    lines.join("\n")
}

fn row(name: &str, value: &Value, lines: &mut Vec<String>) {
    let text = match value {
        Value::Object(fields) => {
            for (inner, value) in fields {
                row(&format!("{name}.{inner}"), value, lines);
            }
            return;
        }
        Value::Array(list) => format!("{} in all", list.len()),
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            format!("{:.3}", number.as_f64().unwrap_or(f64::NAN))
        }
        other => other.to_string(),
    };
    lines.push(format!("{name:<32} {text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'a>(report: &'a Report, name: &str) -> &'a Value {
        &report.iter().find(|(found, _)| *found == name).unwrap().1
    }

    #[test]
    fn a_refused_record_keeps_its_numbers_to_itself() {
        let alternating: Vec<f64> =
            (0..200).map(|k| if k % 2 == 0 { 500.0 } else { 1_100.0 }).collect();
        let found = hrv::analyze(&alternating, hrv::Options::default());
        let report = hrv_report(&found, false);
        assert_eq!(field(&report, "usable"), &json!(false));
        assert_eq!(field(&report, "rmssd_ms"), &Value::Null);
        assert!(field(&report, "reason").as_str().unwrap().contains("beats"), "{report:?}");
        assert!(field(&hrv_report(&found, true), "rmssd_ms").is_number());
    }

    #[test]
    fn a_record_in_counts_is_told_and_refused() {
        let counts: Vec<f64> =
            (0..600).map(|k| 2_400.0 + 30.0 * (f64::from(k) * 0.1).sin()).collect();
        let (found, refused) = whatever_the_unit(&counts, 4.0, &eda::Options::default());
        assert!(refused.is_some() && (found.scl_mean_microsiemens - 2_400.0).abs() < 20.0);
    }

    #[test]
    fn tables_have_a_line_a_figure() {
        let report = vec![
            ("b", json!(1.23456)),
            ("a", json!({"c": null})),
            ("d", json!([1, 2])),
            ("e", json!(true)),
        ];
        let table = table(&report);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].ends_with("1.235") && lines[1].starts_with("a.c"), "{table}");
        assert!(lines[2].ends_with("2 in all") && lines[3].ends_with("true"), "{table}");
    }

    #[test]
    fn artefacts_next_to_each_other_are_one_stretch() {
        let marks = [Mark::Good, Mark::Jump, Mark::Jump, Mark::Good, Mark::Jump];
        assert_eq!(stretches(&marks, 4.0), [0.25..0.75, 1.0..1.25]);
    }

    #[test]
    fn a_fine_spectrum_is_drawn_in_the_bins_of_a_coarse_one() {
        let fine = [(0.09, 1.0), (0.1, 4.0), (0.11, 1.0), (0.2, 7.0)];
        assert_eq!(in_bins_of(&fine, &[(0.1, 0.0), (0.2, 0.0)]), [(0.1, 2.0), (0.2, 7.0)]);
        assert_eq!(in_bins_of(&fine, &[]), fine);
    }
}
