//! Times and durations as people and other programs read them.

const MS_PER_SECOND: i64 = 1_000;
const MS_PER_DAY: i64 = 86_400_000;
/// 0000-01-01 and 9999-12-31 at their last millisecond: RFC 3339 has years of four digits.
const YEARS_MS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

/// A time by RFC 3339, in UTC, to the millisecond; the nearest one where the year has not four
/// digits.
pub(super) fn rfc3339(unix_ms: i64) -> String {
    let unix_ms = unix_ms.clamp(*YEARS_MS.start(), *YEARS_MS.end());
    let (year, month, day) = date(unix_ms.div_euclid(MS_PER_DAY));
    let of_day = unix_ms.rem_euclid(MS_PER_DAY);
    let (seconds, ms) = (of_day / MS_PER_SECOND, of_day % MS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// A duration by ISO 8601 in seconds; none is shorter than nothing.
pub(super) fn duration(ms: i64) -> String {
    format!("PT{}S", ms.max(0) / MS_PER_SECOND)
}

/// The proleptic Gregorian date of a day counted from 1970-01-01: eras of 400 years, years that
/// begin in March (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
fn date(day: i64) -> (i64, i64, i64) {
    let since_era_0 = day + 719_468;
    let (era, of_era) = (since_era_0.div_euclid(146_097), since_era_0.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (unix_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_336_245_678, "2026-11-22T08:30:45.678Z"),
            (i64::MIN, "0000-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(unix_ms), expected);
        }
        assert_eq!(duration(3_600_000), "PT3600S");
        assert_eq!(duration(i64::MIN), "PT0S");
    }

    proptest! {
        /// Texts of one length in the order of the times: no field overflows.
        #[test]
        fn later_times_read_as_later(a in any::<i64>(), b in any::<i64>()) {
            let (first, last) = (rfc3339(a.min(b)), rfc3339(a.max(b)));
            prop_assert!(first <= last && first.len() == 24 && last.len() == 24);
        }
    }
}
