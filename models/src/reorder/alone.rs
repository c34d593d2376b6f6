//! Stretches in which somebody is not asked, so that it shows what they do by themselves.
//!
//! Who is asked and says yes would perhaps have bought it anyway, and perhaps not: nobody will know.
//! So by lot, in one of [`ONE_IN`] stretches from a purchase of a category to the next, the person is
//! left alone with it. What becomes of those is the only fair judge of what was foretold of people
//! who are asked (a hold-out group; Kohavi, Tang and Xu, "Trustworthy Online Controlled
//! Experiments", 2020, chapter 23).

use protocol::digest::Digest;

/// One stretch in so many is left alone.
pub const ONE_IN: u64 = 20;

/// Whether a person is left alone with a category from their purchase of `last_day` (days since
/// 1970-01-01) to the next: always the same answer to the same question, and no pattern among them.
#[must_use]
pub fn left_alone(person: &str, category: &str, last_day: i32) -> bool {
    let text = format!("{last_day}\n{person}\n{category}");
    let digits: String = Digest::of(text.as_bytes()).to_string().chars().take(16).collect();
    u64::from_str_radix(&digits, 16).is_ok_and(|number| number.is_multiple_of(ONE_IN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_twenty_is_left_alone_and_always_the_same() {
        let all: Vec<bool> =
            (0..20_000).map(|n| left_alone(&(n % 50).to_string(), "tea", n / 50)).collect();
        let share = all.iter().filter(|alone| **alone).count() as f64 / all.len() as f64;
        assert!((share * ONE_IN as f64 - 1.0).abs() < 0.1, "{share}");
        assert_eq!(left_alone("a", "tea", 3), left_alone("a", "tea", 3));
        let others =
            (0..200).filter(|day| left_alone("a", "tea", *day) != left_alone("a", "milk", *day));
        assert!(others.count() > 5, "categories are drawn apart");
    }
}
