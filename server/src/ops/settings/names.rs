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

const fn secret(name: &'static str, about: &'static str) -> Setting {
    Setting { name, about, secret: true, list: false }
}

/// Every setting, in the order in which it is shown: those of a table stand together.
pub const NAMES: &[Setting] = &[
    setting("listen", "Where to listen; port 0 takes any free one."),
    setting("data_dir", "The folder of the keys and of the embedded database; made if missing."),
    secret("database", "The main database, if it is PostgreSQL: postgres://user@host/name."),
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
    setting("orders.public_url", "Where people reach this server: messages have links to it."),
    setting("orders.wording_dir", "A folder of templates that replace those of Attune."),
    setting("orders.sweep_hours", "Hours between looks at everybody's needs; 0: only when asked."),
    setting("orders.wrong_percent", "At most so many of a hundred proposals shall be wrong."),
    setting("orders.cancel_cost_percent", "What a cancel costs beside an approval, percent."),
    setting("orders.floor_percent", "Nobody is asked where the model is less sure."),
    setting("orders.ceiling_percent", "Everybody who agreed is asked where it is this sure."),
    setting("orders.suggestion_percent", "What is less sure is not suggested either."),
    setting("orders.lead_days", "Ask when it is likelier than not needed within so many days."),
    setting("orders.rest_days", "Days that a category rests after a cancelled or expired order."),
    setting("orders.answer_hours", "Hours that a quote waits; then the order is cancelled."),
    list("orders.reminder_hours", "Hours after which the person is reminded, ascending."),
    setting("orders.grace_minutes", "Minutes in which an approval can be taken back."),
    setting("orders.delay_days", "Days that an order can be put off by."),
    setting("orders.page_days", "Days that the link to a person's page works for."),
    setting("orders.checked_people", "Of how many people a sweep keeps forecasts to check."),
    setting("orders.late_days", "Days that late purchases are waited for after the horizon."),
    setting("orders.training.every_days", "Days between trainings; 0: only when asked."),
    setting("orders.training.horizon_days", "How many days ahead needs are foretold."),
    list("orders.training.command", "The command that trains; empty: this program's own."),
    setting("orders.training.limit_minutes", "After how many minutes it is given up."),
    setting("orders.shop.url", "The shop's service; /quote and /orders are added."),
    secret("orders.shop.secret", "What signs requests to it: whsec_ and 24 bytes in base64."),
    secret("delivery.email.url", "The relay: smtps://user:password@host."),
    setting("delivery.email.from", "From whom e-mail comes: Name <name@example.com>."),
    setting("delivery.sms.url", "The provider of text messages, https."),
    secret("delivery.sms.authorization", "The header Authorization that it wants."),
    setting("delivery.sms.format", "How its fields are written: json or form."),
    list("delivery.sms.fields", "Its fields, name=value; {to}, {text} and {id} are filled in."),
    setting("delivery.sms.reference", "The field of its answer that names the message."),
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
    setting("retention.order_days", "Orders are kept for so long after their end."),
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
    let value = |name: &str| {
        let all = defaults.as_ref();
        all.and_then(|all| name.split('.').try_fold(all, |at, part| at.get(part)))
    };
    for Setting { name, about, .. } in NAMES {
        let (table, last) = name.rsplit_once('.').unwrap_or(("", name));
        // Writing to a String does not fail.
        if table != section {
            section = table;
            let _ = write!(text, "\n{}", header(table, value(table).is_some()));
        }
        let value = value(name);
        let _ = match value {
            Some(value) => write!(text, "\n# {about}\n{last} = {value}\n"),
            None => write!(text, "\n# {about}\n# {last} =\n"),
        };
    }
    text
}

/// The header of a table. One that nothing is set of is only a remark: it would be half a setting.
pub(super) fn header(table: &str, is_set: bool) -> String {
    if is_set { format!("[{table}]") } else { format!("# [{table}]") }
}
