//! `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.

use std::time::{Duration, SystemTime};

/// The longest wait a server can ask for: a slip of its configuration, or a portal on the way,
/// must not silence a device for days.
pub(super) const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The wait that a server asks for. A date counts from the server's own `Date`, so that the
/// device's clock does not matter; without one from `wall`.
pub(super) fn wait(
    retry_after: Option<&str>,
    date: Option<&str>,
    wall: SystemTime,
) -> Option<Duration> {
    let text = retry_after?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number holds is longer than the longest.
        return Some(text.parse().map_or(LONGEST, Duration::from_secs).min(LONGEST));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let from = date.and_then(|d| httpdate::parse_http_date(d.trim()).ok()).unwrap_or(wall);
    Some(until.duration_since(from).unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn check(retry_after: &str, date: Option<&str>, seconds: Option<u64>) {
        let wait = wait(Some(retry_after), date, SystemTime::UNIX_EPOCH);
        assert_eq!(wait, seconds.map(Duration::from_secs), "{retry_after:?}");
    }

    #[test]
    fn s4_retry_after_comes_as_seconds_or_as_a_date_and_is_capped() {
        check("7", None, Some(7));
        check(" 0 ", None, Some(0));
        check("86400", None, Some(LONGEST.as_secs()));
        check("99999999999999999999999", None, Some(LONGEST.as_secs()));
        check("Sun, 06 Nov 1994 08:50:07 GMT", Some(DATE), Some(30));
        check("Sun, 06 Nov 1994 08:49:07 GMT", Some(DATE), Some(0));
        check(DATE, None, Some(LONGEST.as_secs()));
        for nonsense in ["", "-3", "1.5", "soon", "Sun, 99 Foo 1994 08:49:37 GMT"] {
            check(nonsense, Some(DATE), None);
        }
    }

    proptest! {
        #[test]
        fn s4_any_header_is_read(text in ".*", date in ".*") {
            let wait = wait(Some(&text), Some(&date), SystemTime::UNIX_EPOCH);
            prop_assert!(wait.is_none_or(|wait| wait <= LONGEST));
        }
    }
}
