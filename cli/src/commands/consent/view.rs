//! Consent, in words and tables for the person whose it is.

use crate::person::Person;
use jiff::{Timestamp, tz::TimeZone};
use protocol::consent::{
    ConsentRecord, ConsentState, Grant, Modality, Notice, Purpose, Receipt, export::Report,
};
use sdk_core::consent::{AdaptOffer, Collect, Gate, Infer, RaisePrice, Refused, Scope, Share};
use serde::Serialize;

/// What most terminals show, and eyes follow well.
const COLUMNS: usize = 88;

/// Where consent stands, for programs.
#[derive(Serialize)]
pub struct Status {
    #[serde(flatten)]
    record: ConsentRecord,
    /// Whether the notice in force was acknowledged.
    informed: bool,
    /// Each grant, and whether it can be used now.
    uses: Vec<UseNow>,
    /// Receipts in the ledger.
    receipts: usize,
    /// Of these, so many are countersigned by the server.
    countersigned: u64,
}

#[derive(Serialize)]
struct UseNow {
    modality: Modality,
    purpose: Purpose,
    now: &'static str,
}

impl Status {
    pub fn of(person: &Person) -> Self {
        let record = person.gate().record();
        let uses = record.grants.iter().map(|&Grant { modality, purpose, .. }| UseNow {
            modality,
            purpose,
            now: cell(person.gate(), &record, modality, purpose),
        });
        Self {
            informed: informed(person),
            uses: uses.collect(),
            receipts: person.ledger().receipts().len(),
            countersigned: person.ledger().head().map_or(0, |head| head.epoch),
            record,
        }
    }
}

/// Whether the person has acknowledged the notice in force.
pub fn informed(person: &Person) -> bool {
    let record = person.gate().record();
    let shown = person.notice.checked();
    record.acknowledged_unix_ms.is_some() && shown.is_ok_and(|shown| shown == record.notice)
}

pub fn status(person: &Person) -> String {
    let record = person.gate().record();
    if record.epoch == 0 {
        return "Nothing was ever granted: no sensor is opened.\n\
                Read `attune consent notice`; agree with `attune consent grant adapt`."
            .into();
    }
    let mut lines = vec![
        format!(
            "{} since {} (change {})",
            state_words(record.state),
            time(record.at_unix_ms),
            record.epoch
        ),
        notice_line(person, &record),
    ];
    if !record.grants.is_empty() {
        lines.push(table(person.gate(), &record));
        lines.push(ending(&record));
    }
    lines.join("\n")
}

const fn state_words(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Given => "You agreed, in force",
        ConsentState::Paused => "Paused: nothing is measured,",
        ConsentState::Withdrawn => "Nothing is granted: no sensor is opened,",
    }
}

fn notice_line(person: &Person, record: &ConsentRecord) -> String {
    let version = &person.notice.version;
    match record.acknowledged_unix_ms {
        Some(at) if informed(person) => format!("Notice {version}: read {}", time(at)),
        _ => format!(
            "Notice {version}: not acknowledged, so nothing is inferred (`attune consent \
             acknowledge`)"
        ),
    }
}

fn ending(record: &ConsentRecord) -> String {
    let ends: Option<Vec<i64>> = record.grants.iter().map(|grant| grant.expires_unix_ms).collect();
    match ends.and_then(|ends| ends.into_iter().max()) {
        Some(end) => format!("Ends by itself {}, or with `attune consent withdraw`.", time(end)),
        None => "Ends with `attune consent withdraw`.".into(),
    }
}

/// One row a modality, one column a purpose.
fn table(gate: &Gate, record: &ConsentRecord) -> String {
    let head = Purpose::ALL.map(|purpose| format!("{:<12}", purpose.name())).concat();
    let mut lines = vec![format!("  {:<11}{}", "", head.trim_end())];
    for modality in Modality::ALL {
        if record.grants.iter().all(|grant| grant.modality != modality) {
            continue;
        }
        let cells = Purpose::ALL.map(|p| format!("{:<12}", cell(gate, record, modality, p)));
        lines.push(format!("  {:<11}{}", modality.name(), cells.concat().trim_end()));
    }
    lines.join("\n")
}

/// What the gate says now.
fn cell(gate: &Gate, record: &ConsentRecord, modality: Modality, purpose: Purpose) -> &'static str {
    let granted = |grant: &Grant| (grant.modality, grant.purpose) == (modality, purpose);
    if !record.grants.iter().any(granted) {
        return "-";
    }
    let asked = match purpose {
        Purpose::Collect => ask::<Collect>(gate, modality),
        Purpose::Infer => ask::<Infer>(gate, modality),
        Purpose::AdaptOffer => ask::<AdaptOffer>(gate, modality),
        Purpose::RaisePrice => ask::<RaisePrice>(gate, modality),
        Purpose::Share => ask::<Share>(gate, modality),
    };
    match asked {
        Ok(()) => "yes",
        Err(Refused::Paused) => "paused",
        Err(Refused::Expired) => "ended",
        Err(Refused::NotAcknowledged) => "read notice",
        Err(Refused::NotGranted { .. } | Refused::Superseded) => "no",
    }
}

fn ask<S: Scope>(gate: &Gate, modality: Modality) -> Result<(), Refused> {
    gate.permit::<S>(modality).map(drop)
}

/// The notice, as it is to be read.
pub fn notice(notice: &Notice) -> String {
    let lines: Vec<String> = notice_lines(notice).iter().map(|line| wrap(line)).collect();
    lines.join("\n")
}

fn notice_lines(notice: &Notice) -> Vec<String> {
    let mut lines = vec![format!("NOTICE {} ({})", notice.version, notice.language), String::new()];
    lines.extend(notice.text.trim().lines().map(String::from));
    lines.push(String::new());
    for controller in &notice.controllers {
        lines.push(format!(
            "Who decides: {}; {}; {}",
            controller.name, controller.address, controller.contact
        ));
    }
    lines.push(format!("Who receives what you share: {}", notice.recipients.operator));
    let passed_on = match &notice.recipients.third_parties[..] {
        [] => "nobody".into(),
        others => others.join(", "),
    };
    lines.push(format!("Passed on to: {passed_on}"));
    lines.push(format!("Stored: {}", notice.storage_locations.join("; ")));
    let kept = notice.retention.iter().map(|kept| {
        let days = if kept.days == 0 { "not kept".into() } else { format!("{} days", kept.days) };
        format!("{}: {days}", kept.purpose.name())
    });
    lines.push(format!("For how long at most: {}", kept.collect::<Vec<_>>().join(", ")));
    lines.push(format!("To stop: {}", notice.withdrawal_method));
    lines.push("Your rights:".into());
    lines.extend(notice.privacy_rights.iter().map(|right| format!("  - {right}")));
    lines.push(format!("To complain: {} (law: {})", notice.authority, notice.jurisdiction));
    lines
}

/// Breaks a line between words; what follows the first line is set in.
fn wrap(line: &str) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    for word in line.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > COLUMNS {
            wrapped.push_str("\n    ");
            column = 4;
        } else if !wrapped.is_empty() {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

/// What a person is asked before a grant.
pub fn question<'a>(uses: impl Iterator<Item = &'a str>, hours: Option<u32>) -> String {
    let uses: Vec<&str> = uses.collect();
    let until = hours.map_or("until you withdraw".into(), |hours| format!("for {hours} hours"));
    format!("Have you read this, and do you agree, {until}, to: {}?", uses.join("; "))
}

pub fn report(report: &Report) -> String {
    let end = match &report.confirmed {
        Some(c) if c.to_the_end => {
            format!("A server ({}) confirmed all of them {}.", c.key, c.received)
        }
        Some(c) => format!(
            "A server ({}) confirmed the first {} of them {}; what came after was not confirmed yet.",
            c.key, c.receipts, c.received
        ),
        None => {
            "No server confirmed them: whether some are missing at the end cannot be told.".into()
        }
    };
    format!(
        "It holds: {} receipts, each signed by device {} and following the one before.\n\
         Key {}\nFirst {}, last {}; since then: {:?}.\n{end}",
        report.receipts, report.device, report.key, report.first, report.last, report.state
    )
}

/// One line of the history.
pub fn change(receipt: &Receipt) -> String {
    let record = &receipt.record;
    let uses: Vec<String> = Modality::ALL.into_iter().filter_map(|m| granted(record, m)).collect();
    let uses = if uses.is_empty() { "nothing granted".into() } else { uses.join("; ") };
    let read = if record.acknowledged_unix_ms.is_some() { "read" } else { "not read" };
    let state = format!("{:?}", record.state).to_lowercase();
    format!(
        "{:>4}  {}  {state:<9}  {uses}  (notice {} {read})",
        record.epoch,
        time(record.at_unix_ms),
        record.notice.version
    )
}

fn granted(record: &ConsentRecord, modality: Modality) -> Option<String> {
    let grants = record.grants.iter().filter(|grant| grant.modality == modality);
    let purposes: Vec<&str> = grants.map(|grant| grant.purpose.name()).collect();
    (!purposes.is_empty()).then(|| format!("{}: {}", modality.name(), purposes.join(", ")))
}

/// A time on this machine's clock; the bare number where no calendar has it.
fn time(unix_ms: i64) -> String {
    match Timestamp::from_millisecond(unix_ms) {
        Ok(at) => at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => format!("{unix_ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::consent::NoticeRef;
    use uuid::Uuid;

    const SHOWN: &str = include_str!("../../../assets/notice-demo.toml");

    fn shown() -> Notice {
        toml::from_str(SHOWN).unwrap()
    }

    /// What the table says of one use of one modality.
    fn says(gate: &Gate, modality: Modality, purpose: Purpose) -> &'static str {
        cell(gate, &gate.record(), modality, purpose)
    }

    #[test]
    fn c1_c11_the_table_says_what_the_gate_says() {
        let notice: NoticeRef = shown().checked().unwrap();
        let gate = Gate::new(Uuid::from_u128(1), Uuid::from_u128(2), notice);
        let uses = [(Modality::Eda, Purpose::Collect), (Modality::Eda, Purpose::Infer)];
        gate.grant(&uses, Some(100), 1).unwrap();
        assert_eq!(says(&gate, Modality::Eda, Purpose::Collect), "yes");
        assert_eq!(says(&gate, Modality::Eda, Purpose::Infer), "read notice");
        assert_eq!(says(&gate, Modality::Eda, Purpose::Share), "-");
        assert_eq!(says(&gate, Modality::Hrv, Purpose::Collect), "-");
        gate.acknowledge(2).unwrap();
        assert_eq!(says(&gate, Modality::Eda, Purpose::Infer), "yes");
        let rows = table(&gate, &gate.record());
        assert_eq!(rows.lines().count(), 2);
        gate.pause(3).unwrap();
        assert_eq!(says(&gate, Modality::Eda, Purpose::Collect), "paused");
        gate.unpause(4).unwrap();
        gate.tick(100);
        assert_eq!(says(&gate, Modality::Eda, Purpose::Collect), "ended");
        gate.withdraw(5).unwrap();
        assert_eq!(says(&gate, Modality::Eda, Purpose::Collect), "-");
    }

    #[test]
    fn c11_a_notice_is_shown_whole() {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (notice, told) = (shown(), flat(&super::notice(&shown())));
        let controller = &notice.controllers[0];
        let texts = [
            &notice.text,
            &notice.version,
            &notice.authority,
            &notice.jurisdiction,
            &notice.withdrawal_method,
            &notice.recipients.operator,
            &controller.name,
            &controller.address,
            &controller.contact,
        ];
        for text in texts.into_iter().chain(&notice.privacy_rights).chain(&notice.storage_locations)
        {
            assert!(told.contains(&flat(text)), "{text}");
        }
        assert!(told.contains("share: 30 days"), "{told}");
    }

    #[test]
    fn times_beyond_the_calendar_are_numbers() {
        assert_eq!(time(i64::MAX), format!("{} ms", i64::MAX));
        assert_eq!(time(0).len(), "1970-01-01 00:00".len());
    }

    #[test]
    fn a_question_names_what_and_how_long() {
        let asked = question(["measure", "share"].into_iter(), Some(3));
        assert_eq!(asked, "Have you read this, and do you agree, for 3 hours, to: measure; share?");
        assert!(question([].into_iter(), None).contains("until you withdraw"));
    }

    proptest! {
        #[test]
        fn wrapping_loses_no_word_and_no_line_is_long(line in "[a-zé ]{0,300}") {
            let wrapped = wrap(&line);
            prop_assert!(wrapped.split_whitespace().eq(line.split_whitespace()));
            let long = wrapped.lines().find(|line| {
                line.chars().count() > COLUMNS && line.trim().contains(' ')
            });
            prop_assert_eq!(long, None);
        }
    }
}
