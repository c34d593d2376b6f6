//! Random choices that are the same on every machine and with every version of a library.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// ChaCha with 8 rounds, from a seed.
pub(super) struct Random(ChaCha8Rng);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `end`, which is at least 1 (Lemire 2019, without its rejection: the bias is
    /// below 1 in 2^32).
    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.0.next_u64()) * end as u128) >> 64) as usize
    }

    /// Keeps `wanted` of the items, each as likely as the others, in their order (Knuth, The Art of
    /// Computer Programming 2, algorithm 3.4.2S).
    pub(super) fn draw<T>(&mut self, items: &mut Vec<T>, wanted: usize) {
        if wanted >= items.len() {
            return;
        }
        let (mut wanted, mut left) = (wanted, items.len());
        items.retain(|_| {
            let kept = self.below(left) < wanted;
            left -= 1;
            wanted -= usize::from(kept);
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_as_likely_as_the_others() {
        let mut random = Random::new(7);
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            let mut items: Vec<usize> = (0..10).collect();
            random.draw(&mut items, 3);
            assert!(items.len() == 3 && items.is_sorted());
            items.into_iter().for_each(|item| counts[item] += 1);
        }
        // 3,000 each, standard deviation 46.
        assert!(counts.iter().all(|count| (2_800..3_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_seed_draws_the_same_each_time() {
        let draw = |seed| {
            let mut items: Vec<usize> = (0..100).collect();
            Random::new(seed).draw(&mut items, 10);
            items
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
