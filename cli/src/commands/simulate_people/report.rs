//! What came of the year: figures as JSON and Markdown, and pictures.

use crate::{
    Failure,
    plot::{self, ReliabilityPicture, Series, SeriesPicture, Share},
};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

/// A day, and what became of the orders that were proposed on it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Day {
    /// From 0.
    pub day: u32,
    /// What people bought by themselves.
    pub bought: u64,
    /// Orders proposed.
    pub proposed: u64,
    /// Of these such as would not have been needed within the horizon.
    pub wrong: u64,
    pub fulfilled: u64,
    pub cancelled: u64,
    pub expired: u64,
    pub failed: u64,
    pub open: u64,
    /// Of these changed, put off, and answered too late or twice.
    pub modified: u64,
    pub delayed: u64,
    pub refused: u64,
    /// Needs that were only suggested.
    pub suggested: u64,
    /// How sure orders had to be, in the server's words.
    pub level: Option<String>,
    /// How long the look at everybody took, seconds.
    pub look_s: f64,
}

/// Mean thresholds by the manner of people.
#[derive(Debug, Clone, Serialize)]
pub struct Manners {
    pub day: u32,
    pub thresholds: BTreeMap<String, f64>,
}

/// What was proposed to people of one manner, and what of it was not needed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Count {
    pub proposed: u64,
    pub wrong: u64,
}

/// All of it.
#[derive(Debug, Serialize)]
pub struct Told {
    pub people: u32,
    pub agreed: usize,
    pub seed: u64,
    /// Since 1970-01-01.
    pub first_day: i32,
    pub horizon_days: u16,
    pub drift: String,
    pub drift_day: Option<u32>,
    pub days: Vec<Day>,
    pub manners: Vec<Manners>,
    /// By the manner of people.
    pub proposals: BTreeMap<String, Count>,
    /// What the server itself says of its proposals: `GET /v1/order-outcomes`.
    pub outcomes: Value,
    pub seconds: f64,
}

const WEEK: usize = 7;
const DAY_MS: i64 = 86_400_000;

/// What is counted of a day.
type Counted = fn(&Day) -> u64;

impl Told {
    fn sum(&self, of: impl Fn(&Day) -> u64) -> u64 {
        self.days.iter().map(of).sum()
    }

    fn wrong_share(&self) -> f64 {
        self.sum(|day| day.wrong) as f64 / self.sum(|day| day.proposed).max(1) as f64
    }

    /// The share that the server itself finds, by the lot, in each week of days that it knows.
    fn left_alone(&self) -> (Vec<(f64, f64)>, Option<f64>) {
        let mut weeks: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for day in self.outcomes["days"].as_array().into_iter().flatten() {
            let number = |name: &str| day["left_alone"][name].as_f64().unwrap_or_default();
            let on = day["made_unix_ms"].as_i64().unwrap_or_default() / DAY_MS;
            let since = usize::try_from(on - i64::from(self.first_day)).unwrap_or_default();
            let week = weeks.entry(since / WEEK).or_default();
            *week = (week.0 + number("wrong"), week.1 + number("proposals"));
        }
        let some = weeks.iter().filter(|(_, (_, proposals))| *proposals > 0.0);
        let points = some.map(|(week, (wrong, all))| (*week as f64 + 1.0, wrong / all)).collect();
        (points, self.outcomes["left_alone"]["wrong_share"].as_f64())
    }

    /// The year in a few lines.
    pub fn summary(&self) -> String {
        let proposed = self.sum(|day| day.proposed);
        let percent = |count: u64| 100.0 * count as f64 / proposed.max(1) as f64;
        let of = |name: &str, count: u64| format!("{name} {count} ({:.1} %)", percent(count));
        format!(
            "{} people, of whom {} agreed to be asked; {} days in {:.0} s\n\
             {proposed} orders proposed; not needed within {} days: {:.2} %{}\n\
             {}, {}, {}, {}, still open {}\n\
             changed before: {}, put off: {}, answers that came too late or twice: {}",
            self.people,
            self.agreed,
            self.days.len(),
            self.seconds,
            self.horizon_days,
            100.0 * self.wrong_share(),
            self.left_alone().1.map_or(String::new(), |share| format!(
                "; of those that the lot left out, as the server counts: {:.2} %",
                100.0 * share
            )),
            of("fulfilled", self.sum(|day| day.fulfilled)),
            of("cancelled", self.sum(|day| day.cancelled)),
            of("expired", self.sum(|day| day.expired)),
            of("failed", self.sum(|day| day.failed)),
            self.sum(|day| day.open),
            self.sum(|day| day.modified),
            self.sum(|day| day.delayed),
            self.sum(|day| day.refused),
        )
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "# A made-up year\n\n```text\n{}\n```\n\n![proposals](proposals.svg)\n\
             ![wrong proposals](wrong.svg)\n![thresholds](thresholds.svg)\n\
             ![calibration](calibration.svg)\n\n{}\n| week | proposed | not needed | fulfilled | \
             cancelled | expired | the level at its end |\n|---|---|---|---|---|---|---|\n",
            self.summary(),
            self.by_manner(),
        );
        for (number, week) in self.days.chunks(WEEK).enumerate() {
            let sum = |of: fn(&Day) -> u64| week.iter().map(of).sum::<u64>();
            let proposed = sum(|day| day.proposed);
            let wrong = match proposed {
                0 => "-".to_owned(),
                _ => format!("{:.1} %", 100.0 * sum(|day| day.wrong) as f64 / proposed as f64),
            };
            let level = week.last().and_then(|day| day.level.as_deref()).unwrap_or("no model yet");
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "| {} | {proposed} | {wrong} | {} | {} | {} | {level} |",
                number + 1,
                sum(|day| day.fulfilled),
                sum(|day| day.cancelled),
                sum(|day| day.expired),
            );
        }
        text
    }

    fn by_manner(&self) -> String {
        let mut text = "| people who are | proposed | not needed |\n|---|---|---|\n".to_owned();
        for (manner, Count { proposed, wrong }) in &self.proposals {
            let share = 100.0 * *wrong as f64 / (*proposed).max(1) as f64;
            let _ = writeln!(text, "| {manner} | {proposed} | {share:.1} % |");
        }
        text
    }

    fn weekly(&self, of: impl Fn(&[Day]) -> Option<f64>) -> Vec<(f64, f64)> {
        let weeks = self.days.chunks(WEEK).enumerate();
        weeks.filter_map(|(week, days)| Some((week as f64 + 1.0, of(days)?))).collect()
    }
}

/// Writes all of it into a folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, told: &Told) -> Result<(), Failure> {
    let at = |name: &str| folder.join(name);
    let failed = |error: Box<dyn std::error::Error>| format!("a picture was not drawn: {error}");
    let draw = |name: &str, picture: SeriesPicture<'_>| {
        plot::draw_series(&at(name), &picture).map_err(failed)
    };
    fs::write(at("report.json"), serde_json::to_vec_pretty(told)?)?;
    fs::write(at("report.md"), told.markdown())?;
    let sum = |days: &[Day], of: fn(&Day) -> u64| days.iter().map(of).sum::<u64>() as f64;
    let counts: [(&str, Counted); 4] = [
        ("proposed", |day| day.proposed),
        ("fulfilled", |day| day.fulfilled),
        ("cancelled", |day| day.cancelled),
        ("expired", |day| day.expired),
    ];
    let drift = told.drift_day.map(|day| f64::from(day) / WEEK as f64 + 1.0);
    let series = counts.map(|(name, of)| Series {
        name: name.to_owned(),
        points: told.weekly(|days| Some(sum(days, of))),
    });
    draw(
        "proposals.svg",
        SeriesPicture {
            headline: "Orders, by the week they were proposed in".to_owned(),
            y_name: "orders",
            series: &series,
            level: None,
            mark: drift,
        },
    )?;
    let share = |days: &[Day]| {
        let proposed = sum(days, |day| day.proposed);
        (proposed > 0.0).then(|| sum(days, |day| day.wrong) / proposed)
    };
    let wanted = told.outcomes["wanted_wrong_share"].as_f64();
    let wrong = [
        Series { name: "not needed".to_owned(), points: told.weekly(share) },
        Series { name: "as the server finds by the lot".to_owned(), points: told.left_alone().0 },
    ];
    draw(
        "wrong.svg",
        SeriesPicture {
            headline: format!(
                "Share of the proposals that were not needed, by week; {:.1} % over all",
                100.0 * told.wrong_share()
            ),
            y_name: "share",
            series: &wrong,
            level: wanted,
            mark: drift,
        },
    )?;
    let names: Vec<&String> =
        told.manners.first().map(|first| first.thresholds.keys().collect()).unwrap_or_default();
    let thresholds: Vec<Series> = names
        .into_iter()
        .map(|name| Series {
            name: name.clone(),
            points: told
                .manners
                .iter()
                .filter_map(|at| {
                    let week = f64::from(at.day + 1) / WEEK as f64;
                    Some((week, *at.thresholds.get(name)?))
                })
                .collect(),
        })
        .collect();
    draw(
        "thresholds.svg",
        SeriesPicture {
            headline: "How sure proposals must be, by how people answer (means)".to_owned(),
            y_name: "probability",
            series: &thresholds,
            level: None,
            mark: drift,
        },
    )?;
    plot::draw_reliability(
        &at("calibration.svg"),
        &ReliabilityPicture {
            headline: "Needs foretold for the sample, and what came".to_owned(),
            series: &[("all year", calibration(&told.outcomes))],
        },
    )
    .map_err(failed)?;
    Ok(())
}

/// The bins of all days together.
fn calibration(outcomes: &Value) -> Vec<Share> {
    let mut bins = [(0.0, 0.0, 0.0); 10];
    for day in outcomes["days"].as_array().into_iter().flatten() {
        for (bin, one) in bins.iter_mut().zip(day["calibration"].as_array().into_iter().flatten()) {
            let number = |name: &str| one[name].as_f64().unwrap_or_default();
            bin.0 += number("count");
            bin.1 += number("probability");
            bin.2 += number("came");
        }
    }
    let some = bins.into_iter().filter(|(count, ..)| *count > 0.0);
    some.map(|(count, probability, came)| Share {
        predicted: probability / count,
        observed: came / count,
        rows: count as usize,
    })
    .collect()
}
