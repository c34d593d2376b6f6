//! What people's histories have in common, in few numbers an item: a truncated singular value
//! decomposition of the people's vectors, by subspace iteration (Halko, Martinsson and Tropp,
//! "Finding structure with randomness", SIAM Review 53, 2011, algorithm 4.4).

use super::Sparse;

/// Numbers an item.
pub(super) const RANK: usize = 48;
/// Passes over all people. More change no score's order that matters.
const PASSES: usize = 6;

/// The right singular vectors: [`RANK`] numbers an item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Factors(Vec<f32>);

impl Factors {
    /// Of vectors with items below `items`.
    pub(super) fn new(people: &[Sparse], items: usize) -> Self {
        let mut basis = start(items);
        orthonormal(&mut basis, items);
        for _ in 0..PASSES {
            let mut next = vec![0.0_f32; items * RANK];
            for person in people {
                let inner = project(&basis, person);
                for (item, weight) in person {
                    let row = &mut next[*item as usize * RANK..][..RANK];
                    row.iter_mut().zip(&inner).for_each(|(sum, value)| *sum += weight * value);
                }
            }
            basis = next;
            orthonormal(&mut basis, items);
        }
        Self(basis)
    }

    /// Where a person stands.
    pub(super) fn place(&self, person: &[(u32, f32)]) -> [f32; RANK] {
        project(&self.0, person)
    }

    /// The item's weight in the vector of a person who stands there, as all people have it.
    pub(super) fn score(&self, place: &[f32; RANK], item: u32) -> f32 {
        let row = self.0.get(item as usize * RANK..).and_then(|rest| rest.get(..RANK));
        row.map_or(0.0, |row| row.iter().zip(place).map(|(a, b)| a * b).sum())
    }
}

fn project(basis: &[f32], person: &[(u32, f32)]) -> [f32; RANK] {
    let mut inner = [0.0; RANK];
    for (item, weight) in person {
        let Some(row) = basis.get(*item as usize * RANK..).and_then(|rest| rest.get(..RANK)) else {
            continue;
        };
        inner.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
    }
    inner
}

/// Numbers from -0.5 to 0.5 without pattern, the same everywhere (SplitMix64: Steele, Lea and
/// Flood, OOPSLA 2014).
fn start(items: usize) -> Vec<f32> {
    let mix = |index: u64| {
        let mut z = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 24) as f32 - 0.5
    };
    (0..(items * RANK) as u64).map(mix).collect()
}

/// Makes columns orthogonal and of length 1 (modified Gram-Schmidt, twice: once leaves rounding
/// behind); what is no direction of its own becomes zero.
fn orthonormal(basis: &mut [f32], items: usize) {
    /// Least share of its length that a column keeps, to be a direction of its own.
    const OWN: f64 = 1e-4;
    let mut columns: Vec<Vec<f64>> = (0..RANK)
        .map(|column| (0..items).map(|item| f64::from(basis[item * RANK + column])).collect())
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for at in 0..RANK {
        let (before, rest) = columns.split_at_mut(at);
        let column = &mut rest[0];
        let length = dot(column, column).sqrt();
        for _ in 0..2 {
            for other in before.iter() {
                let inner = dot(other, column);
                column.iter_mut().zip(other).for_each(|(value, other)| *value -= inner * other);
            }
        }
        let own = dot(column, column).sqrt();
        let scale = if own > OWN * length { 1.0 / own } else { 0.0 };
        column.iter_mut().for_each(|value| *value *= scale);
    }
    for (column, values) in columns.iter().enumerate() {
        for (item, value) in values.iter().enumerate() {
            basis[item * RANK + column] = *value as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_kinds_of_people_are_told_apart() {
        let people: Vec<Sparse> = (0..40)
            .map(|person| if person % 2 == 0 { vec![(0, 1.0), (1, 1.0)] } else { vec![(2, 1.0)] })
            .collect();
        let factors = Factors::new(&people, 4);
        let place = factors.place(&[(0, 1.0)]);
        // Half of the direction of items 0 and 1, nothing of item 2.
        for (item, expected) in [(0, 0.5), (1, 0.5), (2, 0.0), (3, 0.0), (99, 0.0)] {
            assert!((factors.score(&place, item) - expected).abs() < 1e-4, "item {item}");
        }
    }

    #[test]
    fn nobody_has_nothing_in_common() {
        let factors = Factors::new(&[], 3);
        assert_eq!(factors.score(&factors.place(&[(1, 1.0)]), 1), 0.0);
    }
}
