//! Every setting, described once: the book, `--print-config` and what is refused follow from here.

use crate::Config;
use std::fmt::Write as _;

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name, with dots between the tables.
    pub name: &'static str,
    /// What it is, in which unit.
    pub about: &'static str,
    /// Whether its value must not be shown.
    pub secret: bool,
    /// Whether it is a list: in the environment, with commas between.
    pub list: bool,
}

const fn setting(name: &'static str, about: &'static str) -> Setting {
    Setting { name, about, secret: false, list: false }
}

const fn list(name: &'static str, about: &'static str) -> Setting {
    Setting { name, about, secret: false, list: true }
}

/// Every setting, in the order in which it is shown: those of a table stand together.
pub const NAMES: &[Setting] = &[
    setting("listen", "Where to listen; port 0 takes any free one."),
    setting("data_dir", "The folder of the keys and of the embedded database; made if missing."),
    Setting {
        name: "database",
        about: "The main database, if it is PostgreSQL: postgres://user@host/name.",
        secret: true,
        list: false,
    },
    setting(
        "request_timeout_ms",
        "How long one request may take, milliseconds; streams are exempt.",
    ),
    list("authorities", "The names by which devices reach the server; empty: any."),
    setting("context_dir", "A folder of CSV files with circumstances of places."),
    setting("feature_definitions", "The feature definitions, TOML; those of Attune, if absent."),
    setting("conversion.score_changes", "Whether people are scored as soon as something is new."),
    setting("conversion.sweep_hours", "Hours between sweeps of everybody; 0: only when asked."),
    setting("conversion.crossing_percent", "From this probability on a person is a crossing."),
    setting("conversion.checked_people", "Of how many people a sweep keeps forecasts to check."),
    setting("conversion.late_days", "Days that late facts are waited for after the horizon."),
    setting("conversion.challengers", "Models that forecast beside the one that serves."),
    setting("conversion.contest", "How a person can have a human look at a prediction."),
    setting("conversion.training.every_days", "Days between trainings; 0: only when asked."),
    setting("conversion.training.drift_percent", "Train early at this stability index; 0: never."),
    setting("conversion.training.calibration_percent", "Train early at this error; 0: never."),
    setting("conversion.training.horizon_days", "How many days ahead models look."),
    setting("conversion.training.seed", "What makes a training repeatable."),
    list("conversion.training.command", "The command that trains; empty: this program's own."),
    setting("conversion.training.limit_minutes", "After how many minutes it is given up."),
    setting("limits.key.per_second", "Requests a second of one key; 0 turns the limit off."),
    setting("limits.key.burst", "Requests at once of one key."),
    setting(
        "limits.address.per_second",
        "Requests a second of one address without a key; 0: no limit.",
    ),
    setting("limits.address.burst", "Requests at once of one address without a key."),
    setting("limits.device.per_second", "Signed requests a second of one address; 0: no limit."),
    setting("limits.device.burst", "Signed requests at once of one address."),
    setting("shutdown.drain_ms", "How long it still answers while /readyz says 503, milliseconds."),
    setting(
        "shutdown.grace_ms",
        "How long requests, then background work, may take to end, milliseconds.",
    ),
    setting("log.format", "How log lines read: text or json."),
    setting("log.filter", "What is logged: a level, or target=level, with commas between."),
    setting("traces.endpoint", "An OpenTelemetry collector (OTLP over HTTP), http://host:4318."),
    setting("traces.sample_percent", "How many of a hundred requests are traced."),
    setting("retention.derived_days", "Features and intents are kept for so long."),
    setting("retention.behaviour_days", "Sessions, offers and outcomes are kept for so long."),
    setting("retention.proof_days", "Receipts are kept for so long after a withdrawal."),
    setting("retention.audit_days", "Lines of the audit log are kept for so long."),
    setting(
        "retention.intake_days",
        "Requests, and rows that were not taken, are kept for so long.",
    ),
    setting("retention.circumstance_days", "Circumstances of places are kept for so long."),
    setting("retention.forecast_days", "What models foretold is kept for so long."),
    setting("retention.job_days", "Work that was done is remembered for so long."),
    setting("retention.facts.conversion_days", "Conversions are kept for so long."),
    setting(
        "retention.facts.behaviour_days",
        "What people do in apps and on pages are kept for so long.",
    ),
    setting(
        "retention.facts.context_days",
        "Circumstances of people's places are kept for so long.",
    ),
    setting("retention.facts.demographics_days", "Banded attributes are kept for so long."),
    setting(
        "retention.facts.loyalty_days",
        "A loyalty programme's transactions are kept for so long.",
    ),
    setting("retention.facts.third_party_days", "What third parties report is kept for so long."),
];

/// A file with every setting at its default, and what it is.
#[must_use]
pub fn reference() -> String {
    let defaults = toml::Value::try_from(Config::default()).ok();
    let mut text = "# Every setting of attune serve, at its default.\n\
                    # The environment overrides it (ATTUNE_SERVER__LIMITS__KEY__BURST=50), and the\n\
                    # command line overrides both.\n"
        .to_owned();
    let mut section = "";
    for Setting { name, about, .. } in NAMES {
        let (table, last) = name.rsplit_once('.').unwrap_or(("", name));
        // Writing to a String does not fail.
        if table != section {
            section = table;
            let _ = write!(text, "\n[{table}]");
        }
        let value = defaults.as_ref();
        let value = value.and_then(|all| name.split('.').try_fold(all, |at, part| at.get(part)));
        let _ = match value {
            Some(value) => write!(text, "\n# {about}\n{last} = {value}\n"),
            None => write!(text, "\n# {about}\n# {last} =\n"),
        };
    }
    text
}
