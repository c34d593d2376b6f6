//! Times as people write them, to Unix milliseconds. A time without a zone is none: nobody can say
//! later when it was.

use super::Fault;
use jiff::{Timestamp, civil, tz::TimeZone};
use protocol::intake::Reason;

/// How far ahead of the server's clock a row may lie: what clocks go wrong by.
pub const AHEAD_MS: i64 = 5 * 60 * 1_000;
/// The oldest that is taken: nothing is kept for longer.
pub const OLDEST_MS: i64 = 10 * 366 * 24 * 60 * 60 * 1_000;

/// Reads RFC 3339.
///
/// # Errors
/// [`Fault`]: `missing_zone` or `bad_time`.
pub fn read(field: &'static str, text: &str) -> Result<i64, Fault> {
    if let Ok(at) = text.trim().parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    Err(fault(field, text))
}

/// Reads what spreadsheets write, beside RFC 3339: a local time in a zone that is given once for
/// all, `2026-11-20 17:04:05` or `11/20/2026 17:04:05` (month first), and `... Europe/Berlin`.
///
/// # Errors
/// [`Fault`]: `missing_zone`, `ambiguous_time` where the clocks were set back, or `bad_time`.
pub fn read_local(field: &'static str, text: &str, zone: Option<&TimeZone>) -> Result<i64, Fault> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    for format in OFFSET_FORMATS {
        if let Ok(at) = jiff::fmt::strtime::parse(format, text).and_then(|t| t.to_timestamp()) {
            return Ok(at.as_millisecond());
        }
    }
    let named = text.rsplit_once(' ').and_then(|(local, name)| {
        let name = name.trim();
        let named = name.contains('/') || name.eq_ignore_ascii_case("UTC");
        Some((local.trim(), TimeZone::get(name).ok().filter(|_| named)?))
    });
    let (local, zone) = match (&named, zone) {
        (Some((local, zone)), _) => (*local, zone),
        (None, Some(zone)) => (text, zone),
        (None, None) => return Err(fault(field, text)),
    };
    let Some(local) = civil_of(local) else { return Err(fault(field, text)) };
    let instant = zone.to_ambiguous_timestamp(local).unambiguous();
    instant.map(Timestamp::as_millisecond).map_err(|_| {
        let detail = format!(
            "{field}: its zone set the clocks just then, so that it came twice or not at all: \
             write it with its offset, like 2026-10-25T02:30:00+01:00"
        );
        Fault::new(Reason::AmbiguousTime, detail)
    })
}

/// With an offset that is not of RFC 3339.
const OFFSET_FORMATS: [&str; 4] =
    ["%Y-%m-%d %H:%M:%S %z", "%m/%d/%Y %H:%M:%S%z", "%m/%d/%Y %H:%M:%S %z", "%Y-%m-%d %H:%M:%S%z"];
const LOCAL_FORMATS: [&str; 6] = [
    "%Y-%m-%d %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%m/%d/%Y %H:%M",
    "%Y-%m-%d",
    "%m/%d/%Y",
];

fn civil_of(text: &str) -> Option<civil::DateTime> {
    text.parse::<civil::DateTime>().ok().or_else(|| {
        LOCAL_FORMATS.into_iter().find_map(|format| {
            let parsed = jiff::fmt::strtime::parse(format, text).ok()?;
            let date = || Some(parsed.to_date().ok()?.at(0, 0, 0, 0));
            parsed.to_datetime().ok().or_else(date)
        })
    })
}

/// Whether the time may be that of something that is known since `known_unix_ms`.
///
/// # Errors
/// [`Fault`]: `too_old` or `in_future`.
pub fn plausible(field: &'static str, at_unix_ms: i64, known_unix_ms: i64) -> Result<(), Fault> {
    if at_unix_ms > known_unix_ms.saturating_add(AHEAD_MS) {
        let detail =
            format!("{field} lies more than 5 minutes ahead of the server's clock: set the clocks");
        return Err(Fault::new(Reason::InFuture, detail));
    }
    if at_unix_ms < known_unix_ms.saturating_sub(OLDEST_MS) {
        let detail = format!("{field} lies more than 10 years back: nothing that old is kept");
        return Err(Fault::new(Reason::TooOld, detail));
    }
    Ok(())
}

fn fault(field: &'static str, text: &str) -> Fault {
    if text.trim().is_empty() {
        return Fault::new(Reason::MissingField, format!("{field} is empty: send it"));
    }
    if civil_of(text.trim()).is_some() {
        let detail = format!("{field} has no zone: write it like 2026-11-20T17:04:05+01:00");
        return Fault::new(Reason::MissingZone, detail);
    }
    let detail = format!("{field} is no time: write it like 2026-11-20T17:04:05+01:00");
    Fault::new(Reason::BadTime, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT_MS: i64 = 1_795_190_645_000;

    fn check(text: &str, expected: Result<i64, Reason>) {
        assert_eq!(read("t", text).map_err(|fault| fault.reason), expected, "{text}");
    }

    fn check_local(text: &str, zone: Option<&str>, expected: Result<i64, Reason>) {
        let zone = zone.map(|name| TimeZone::get(name).unwrap());
        let read = read_local("t", text, zone.as_ref()).map_err(|fault| fault.reason);
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn a_time_needs_a_zone() {
        check("2026-11-20T16:04:05Z", Ok(AT_MS));
        check("2026-11-20T17:04:05+01:00", Ok(AT_MS));
        check("2026-11-20T17:04:05.250+01:00", Ok(AT_MS + 250));
        check("2026-11-20T17:04:05", Err(Reason::MissingZone));
        check("2026-11-20", Err(Reason::MissingZone));
        check("", Err(Reason::MissingField));
        check("yesterday", Err(Reason::BadTime));
        check("2026-02-30T00:00:00Z", Err(Reason::BadTime));
    }

    #[test]
    fn spreadsheets_have_their_own_ways() {
        let berlin = Some("Europe/Berlin");
        check_local("2026-11-20 17:04:05", berlin, Ok(AT_MS));
        check_local("11/20/2026 17:04:05", berlin, Ok(AT_MS));
        check_local("2026-11-20 17:04:05+01:00", None, Ok(AT_MS));
        check_local("2026-11-20 17:04:05 +0100", None, Ok(AT_MS));
        check_local("11/20/2026 17:04:05+0100", None, Ok(AT_MS));
        check_local("2026-11-20 17:04:05 Europe/Berlin", None, Ok(AT_MS));
        check_local("2026-11-20 17:04:05", None, Err(Reason::MissingZone));
        check_local("2026-10-25 02:30:00", berlin, Err(Reason::AmbiguousTime));
        check_local("2026-03-29 02:30:00", berlin, Err(Reason::AmbiguousTime));
        check_local("20.11.2026", berlin, Err(Reason::BadTime));
    }

    #[test]
    fn neither_from_the_future_nor_from_long_ago() {
        let check = |at: i64, expected: Result<(), Reason>| {
            assert_eq!(plausible("t", at, AT_MS).map_err(|fault| fault.reason), expected, "{at}");
        };
        check(AT_MS + AHEAD_MS, Ok(()));
        check(AT_MS + AHEAD_MS + 1, Err(Reason::InFuture));
        check(AT_MS - OLDEST_MS, Ok(()));
        check(AT_MS - OLDEST_MS - 1, Err(Reason::TooOld));
        check(i64::MIN, Err(Reason::TooOld));
        check(i64::MAX, Err(Reason::InFuture));
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_a_fault(text in any::<String>(), digits in "[0-9:T+/ .Z-]{0,32}") {
            for text in [text, digits] {
                let _ = (read("t", &text), read_local("t", &text, Some(&TimeZone::UTC)));
            }
        }

        #[test]
        fn every_instant_comes_back(at in -62_135_596_800_000i64..253_402_300_799_000) {
            let text = Timestamp::from_millisecond(at).unwrap().to_string();
            prop_assert_eq!(read("t", &text), Ok(at));
        }
    }
}
