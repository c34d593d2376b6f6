//! `tafeng`: a dated replay of a shop through a running server, with a report and plots.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement")]

use plotters::prelude::*;
use serde_json::{Value, json};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};
use tests::replay::{self, Plan, Planted, Report};

/// Weeks of facts before the first prediction: fit, calibrate and judge take a week each, and the
/// labels of the last another.
const FIRST_WEEK: usize = 5;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    if let Some(line) = runtime.block_on(tafeng()) {
        println!("{line}");
    }
}

async fn tafeng() -> Option<Value> {
    let baskets = replay::baskets(&replay::tafeng()?, 1);
    let plan = Plan {
        attune: vec![attune().display().to_string()],
        first_week: FIRST_WEEK,
        last_week: usize::MAX,
        feature_definitions: None,
        planted: Planted::Nothing,
    };
    let report = replay::replay(&plan, &baskets).await;
    write(&report);
    let Report { weeks, all, naive, seconds, .. } = &report;
    Some(json!({
        "bench": "tafeng", "weeks": weeks.len(), "predictions": all.predictions, "auc": all.auc,
        "log_loss": all.log_loss, "ece10": all.ece10, "naive_auc": naive.auc,
        "naive_log_loss": naive.log_loss, "base_log_loss": all.base_log_loss, "seconds": seconds,
    }))
}

/// The command itself, built now: the server is a process of its own, as it is for an operator.
fn attune() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(&root).args(["build", "--release", "--package", "attune", "--quiet"]);
    assert!(build.status().unwrap().success(), "attune does not build");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("release/attune")
}

/// The report as JSON, its plots, and the page of the book.
fn write(report: &Report) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/replay");
    fs::create_dir_all(&folder).unwrap();
    let json = serde_json::to_string_pretty(report).unwrap();
    fs::write(folder.join("tafeng.json"), json + "\n").unwrap();
    for (name, title, of) in plots() {
        plot(report, &folder.join(format!("tafeng-{name}.svg")), title, of);
    }
    fs::write(folder.join("tafeng.md"), page(report)).unwrap();
}

type Of = fn(&server::Quality) -> f64;

fn plots() -> [(&'static str, &'static str, Of); 3] {
    [
        ("auc", "AUC, week by week", |quality| quality.auc.unwrap_or(0.5)),
        ("log-loss", "log-loss, nats", |quality| quality.log_loss),
        ("ece", "calibration error (ECE, 10 bins)", |quality| quality.ece10),
    ]
}

fn plot(report: &Report, path: &Path, title: &str, of: Of) {
    let points = |pick: fn(&replay::Week) -> &server::Quality| -> Vec<(f64, f64)> {
        let weeks = report.weeks.iter().enumerate();
        weeks.map(|(at, week)| (at as f64 + 1.0, of(pick(week)))).collect()
    };
    let (served, naive) = (points(|week| &week.served), points(|week| &week.naive));
    let values = || served.iter().chain(&naive).map(|(_, y)| *y);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let margin = (high - low).max(0.01) * 0.1;
    let area = SVGBackend::new(path, (720, 360)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d(0.5..served.len() as f64 + 0.5, low - margin..high + margin)
        .unwrap();
    chart.configure_mesh().x_desc("week predicted").light_line_style(WHITE).draw().unwrap();
    for (points, colour, name) in
        [(served, BLUE, "the server"), (naive, RED, "who bought last week buys again")]
    {
        let line = chart.draw_series(LineSeries::new(points, colour.stroke_width(2))).unwrap();
        line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).draw().unwrap();
    area.present().unwrap();
}

fn page(report: &Report) -> String {
    let Report { baskets, customers, weeks, all, naive, .. } = report;
    let auc = |quality: &server::Quality| quality.auc.unwrap_or(0.5);
    let rows: String = weeks
        .iter()
        .map(|week| {
            let (served, naive) = (&week.served, &week.naive);
            format!(
                "| {} | {} | {:.1} % | {:.3} | {:.3} | {:.4} | {:.4} | {:.4} | {} |\n",
                &week.as_of[..10],
                week.people,
                100.0 * served.rate,
                auc(served),
                auc(naive),
                served.log_loss,
                naive.log_loss,
                served.ece10,
                week.trained["state"].as_str().unwrap_or("none"),
            )
        })
        .collect();
    format!(
        "# A shop, replayed\n\n\
         `cargo xtask bench tafeng` tells a running server what happened in a grocery shop, week by \
         week, as if it were happening: {baskets} baskets of {customers} customers (Ta-Feng, \
         November 2000 to February 2001). At each week's end the server trains a model, sweeps, and \
         is asked whether each customer seen so far will buy within the next seven days. Nothing of \
         later weeks has been told to it by then. The rule of thumb beside it is \"who bought last \
         week buys again\", with shares known by then.\n\n\
         All weeks together: AUC {:.3} ({:.3} by the rule of thumb), log-loss {:.4} ({:.4}; {:.4} \
         for whoever always says the share), calibration error {:.4}. The data have nearly no \
         baskets from 19 to 25 December 2000: nobody could know that before, and the weeks after it \
         learn from it.\n\n\
         ![AUC week by week](tafeng-auc.svg)\n\n![Log-loss week by week](tafeng-log-loss.svg)\n\n\
         ![Calibration error week by week](tafeng-ece.svg)\n\n\
         | as of | people | bought | AUC | rule of thumb | log-loss | rule of thumb | ECE | that \
         week's model |\n\
         |---|---|---|---|---|---|---|---|---|\n{rows}\n\
         The figures of every week are in [tafeng.json](tafeng.json). This page is written by the \
         bench.\n",
        auc(all),
        auc(naive),
        all.log_loss,
        naive.log_loss,
        all.base_log_loss,
        all.ece10,
    )
}
