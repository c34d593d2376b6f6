//! Whose forecasts are kept for the day they can be checked: a sample that is the same for every
//! model, so that models are compared on the same people.

use protocol::digest::Digest;
use uuid::Uuid;

/// Chooses people by a hash of the person and the time, about as many as asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    as_of_unix_ms: i64,
    /// A person whose hash is below it is in.
    below: u64,
}

impl Sample {
    /// About `wanted` of `people` at a time; all of them if there are no more.
    pub(crate) fn new(wanted: u64, people: u64, as_of_unix_ms: i64) -> Self {
        let scaled = u128::from(u64::MAX) * u128::from(wanted) / u128::from(people.max(1));
        Self { as_of_unix_ms, below: u64::try_from(scaled).unwrap_or(u64::MAX) }
    }

    /// Whether the person is in it.
    pub(crate) fn has(&self, person: Uuid) -> bool {
        let mut named = [0; 24];
        named[..16].copy_from_slice(person.as_bytes());
        named[16..].copy_from_slice(&self.as_of_unix_ms.to_le_bytes());
        let [a, b, c, d, e, f, g, h, ..] = Digest::of(&named).0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h]) <= self.below
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(sample: &Sample) -> Vec<u128> {
        (0..2_000).filter(|person| sample.has(Uuid::from_u128(*person))).collect()
    }

    #[test]
    fn as_many_as_asked_and_others_the_next_day() {
        let today = chosen(&Sample::new(500, 2_000, 1));
        assert!((400..=600).contains(&today.len()), "{}", today.len());
        assert_eq!(today, chosen(&Sample::new(500, 2_000, 1)));
        assert_ne!(today, chosen(&Sample::new(500, 2_000, 2)));
    }

    proptest! {
        #[test]
        fn all_of_few_and_never_a_panic(wanted: u64, people: u64, at: i64, person: u128) {
            let sample = Sample::new(wanted, people, at);
            let has = sample.has(Uuid::from_u128(person));
            prop_assert!(has || wanted < people);
        }
    }
}
