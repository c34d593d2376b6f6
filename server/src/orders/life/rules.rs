//! How long things take: an operator's choice, kept in each order for its whole life.

use serde::{Deserialize, Serialize};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The most reminders an operator may set.
pub const MAX_REMINDERS: usize = 5;
/// The most times the shop is asked again.
pub const MAX_RETRIES: usize = 10;
/// The most quotes an operator may allow an order.
const MAX_QUOTES: u8 = 50;
/// The shortest time that is one, and the longest.
const TIMES_MS: std::ops::RangeInclusive<i64> = 1_000..=366 * DAY_MS;

/// Times and caps, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// A quote waits this long for its answer, then the order expires.
    pub answer_ms: i64,
    /// Reminders, each this long after the newest quote was told; ascending. They are also the cap:
    /// over its whole life an order brings no more than these.
    pub reminders_ms: Vec<i64>,
    /// How long an approval can be taken back before the shop is asked.
    pub grace_ms: i64,
    /// How long after the grace period the shop may still be asked. What a long standstill held up
    /// is not bought out of the blue.
    pub hold_ms: i64,
    /// How long the shop may take to answer. After it nobody knows whether it took the order.
    pub attempt_ms: i64,
    /// Pauses before the shop is asked again; when they are used up the order has failed.
    pub retry_ms: Vec<i64>,
    /// How far an order can be put off.
    pub most_delay_ms: i64,
    /// How many quotes an order may have; each modification, dearer price and delay takes one.
    pub most_quotes: u8,
}

impl Default for Rules {
    /// Two days to answer with one reminder in between, half an hour to think better of it, five
    /// more attempts within fifteen hours.
    fn default() -> Self {
        Self {
            answer_ms: 2 * DAY_MS,
            reminders_ms: vec![DAY_MS],
            grace_ms: 30 * MINUTE_MS,
            hold_ms: DAY_MS,
            attempt_ms: 2 * MINUTE_MS,
            retry_ms: vec![MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 12 * HOUR_MS],
            most_delay_ms: 90 * DAY_MS,
            most_quotes: 20,
        }
    }
}

impl Rules {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// What to put right, naming the rule.
    pub fn validate(&self) -> Result<(), &'static str> {
        let ascending = self.reminders_ms.is_sorted_by(|one, next| one < next);
        let in_time = self.reminders_ms.iter().all(|after| (1..self.answer_ms).contains(after));
        if !TIMES_MS.contains(&self.answer_ms) {
            Err("answer_ms must be a second to 366 days")
        } else if self.reminders_ms.len() > MAX_REMINDERS || !ascending || !in_time {
            Err("reminders_ms must be at most five, ascending, each shorter than answer_ms")
        } else if !(0..=*TIMES_MS.end()).contains(&self.grace_ms) {
            Err("grace_ms must be at most 366 days")
        } else if !TIMES_MS.contains(&self.hold_ms) {
            Err("hold_ms must be a second to 366 days")
        } else if !TIMES_MS.contains(&self.attempt_ms) {
            Err("attempt_ms must be a second to 366 days")
        } else if self.retry_ms.len() > MAX_RETRIES
            || !self.retry_ms.iter().all(|pause| TIMES_MS.contains(pause))
        {
            Err("retry_ms must be at most ten, each a second to 366 days")
        } else if !TIMES_MS.contains(&self.most_delay_ms) {
            Err("most_delay_ms must be a second to 366 days")
        } else if !(1..=MAX_QUOTES).contains(&self.most_quotes) {
            Err("most_quotes must be 1 to 50")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_named() {
        assert_eq!(Rules::default().validate(), Ok(()));
        let check = |change: &dyn Fn(&mut Rules), named: &str| {
            let mut rules = Rules::default();
            change(&mut rules);
            assert!(rules.validate().unwrap_err().starts_with(named), "{named}");
        };
        check(&|rules| rules.answer_ms = 0, "answer_ms");
        check(&|rules| rules.reminders_ms = vec![2, 1], "reminders_ms");
        check(&|rules| rules.reminders_ms = vec![rules.answer_ms], "reminders_ms");
        check(&|rules| rules.reminders_ms = (1..=6).collect(), "reminders_ms");
        check(&|rules| rules.grace_ms = -1, "grace_ms");
        check(&|rules| rules.hold_ms = i64::MAX, "hold_ms");
        check(&|rules| rules.attempt_ms = i64::MIN, "attempt_ms");
        check(&|rules| rules.retry_ms = vec![0], "retry_ms");
        check(&|rules| rules.retry_ms = vec![1_000; 11], "retry_ms");
        check(&|rules| rules.most_delay_ms = 0, "most_delay_ms");
        check(&|rules| rules.most_quotes = 0, "most_quotes");
    }
}
