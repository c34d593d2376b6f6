//! Days, as features count them.

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 24 * 3_600_000;

/// Days are kept within 2,700 years of 1970, so that no difference of two overflows.
const FARTHEST_DAY: i64 = 1_000_000;

/// The day that a time is in, counted from 1970-01-01, `offset_minutes` east of Greenwich.
#[must_use]
pub fn day_of(unix_ms: i64, offset_minutes: i16) -> i32 {
    let local = unix_ms.saturating_add(i64::from(offset_minutes) * 60_000);
    clamp_day(local.div_euclid(DAY_MS))
}

/// The nearest day that is kept.
pub(crate) fn clamp_day(day: i64) -> i32 {
    // An i32 holds the bounds.
    day.clamp(-FARTHEST_DAY, FARTHEST_DAY) as i32
}

/// 0 = Monday ... 6 = Sunday.
pub(crate) fn weekday_of(day: i32) -> u8 {
    // 1970-01-01 was a Thursday.
    (day + 3).rem_euclid(7) as u8
}

/// Month (1-12) and day of the month (1-31), after Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms", `civil_from_days`: years that begin in March, in eras of 400.
pub(crate) fn month_and_day_of(day: i32) -> (u8, u8) {
    /// Days of 400 Gregorian years.
    const ERA_DAYS: i32 = 146_097;
    /// From 0000-03-01 to 1970-01-01.
    const SHIFT_DAYS: i32 = 719_468;
    let of_era = (day + SHIFT_DAYS).rem_euclid(ERA_DAYS);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (month as u8, of_month as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unix_ms: i64, offset_minutes: i16, expected: (i32, u8, (u8, u8))) {
        let day = day_of(unix_ms, offset_minutes);
        assert_eq!((day, weekday_of(day), month_and_day_of(day)), expected, "{unix_ms}");
    }

    #[test]
    fn days_have_the_weekday_and_date_of_the_calendar() {
        check(0, 0, (0, 3, (1, 1)));
        check(-1, 0, (-1, 2, (12, 31)));
        check(951_782_400_000, 0, (11_016, 1, (2, 29))); // Tuesday, 2000-02-29
        check(951_782_400_000 - 1, 0, (11_015, 0, (2, 28)));
        check(951_782_400_000 - 1, 480, (11_016, 1, (2, 29)));
        check(1_795_305_600_000, 0, (20_779, 6, (11, 22))); // Sunday, 2026-11-22
    }

    #[test]
    fn no_time_is_too_far() {
        for unix_ms in [i64::MIN, i64::MAX] {
            let day = day_of(unix_ms, i16::MAX);
            assert!(weekday_of(day) < 7 && month_and_day_of(day).0 <= 12);
        }
    }
}
