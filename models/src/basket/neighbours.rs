//! The nearest people, exactly, through an inverted index.
//!
//! For a query q the squared Euclidean distance to p is |q|^2 - (2 q.p - |p|^2): the order of
//! people is the order of the bracket. q.p is found for all of them by walking, for each item of q,
//! the people who have it.

use super::Sparse;
use std::cmp::Ordering;

/// Vectors of people, and who has which item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Neighbours {
    vectors: Vec<Sparse>,
    /// Squared length of each vector; infinite for people who are nobody's neighbour.
    norms: Vec<f64>,
    /// By item: person and weight.
    owners: Vec<Vec<(u32, f32)>>,
}

/// A neighbour and how much they count.
pub(super) type Weighted = (u32, f64);

impl Neighbours {
    /// Of vectors with items below `items`; people with an empty one are nobody's neighbour.
    pub(super) fn new(vectors: Vec<Sparse>, items: usize) -> Self {
        let mut owners = vec![Vec::new(); items];
        let mut norms = Vec::with_capacity(vectors.len());
        for (person, vector) in vectors.iter().enumerate() {
            for (item, weight) in vector {
                owners[*item as usize].push((person as u32, *weight));
            }
            let norm = vector.iter().map(|(_, weight)| f64::from(*weight).powi(2)).sum();
            norms.push(if vector.is_empty() { f64::INFINITY } else { norm });
        }
        Self { vectors, norms, owners }
    }

    /// A person's vector.
    pub(super) fn vector(&self, person: u32) -> &[(u32, f32)] {
        &self.vectors[person as usize]
    }

    /// A person's length.
    pub(super) fn length(&self, person: u32) -> f64 {
        self.norms[person as usize].sqrt()
    }

    /// The inner product of a vector with everybody's.
    pub(super) fn products(&self, query: &[(u32, f32)], out: &mut Vec<f64>) {
        out.clear();
        out.resize(self.vectors.len(), 0.0);
        for (item, weight) in query {
            let weight = f64::from(*weight);
            for (person, other) in self.owners.get(*item as usize).into_iter().flatten() {
                out[*person as usize] += weight * f64::from(*other);
            }
        }
    }

    /// The nearest people by Euclidean distance, each with weight 1; of `products` with the query.
    pub(super) fn nearest(
        &self,
        products: &[f64],
        besides: Option<u32>,
        count: usize,
    ) -> Vec<Weighted> {
        let closeness = products.iter().zip(&self.norms).map(|(dot, norm)| 2.0 * dot - norm);
        let mut best = best(closeness.enumerate(), besides, count);
        best.iter_mut().for_each(|(_, weight)| *weight = 1.0);
        best
    }

    /// The people with the highest cosine above 0; of `products` with a query of some length.
    pub(super) fn alike(
        &self,
        products: &[f64],
        length: f64,
        besides: Option<u32>,
        count: usize,
    ) -> Vec<Weighted> {
        let cosines = products.iter().zip(&self.norms).enumerate();
        let positive = cosines.filter(|(_, (dot, _))| **dot > 0.0);
        best(positive.map(|(at, (dot, norm))| (at, dot / (norm.sqrt() * length))), besides, count)
    }
}

/// The highest finite values, in the order of their indices; of equal ones the first.
fn best(
    values: impl Iterator<Item = (usize, f64)>,
    besides: Option<u32>,
    count: usize,
) -> Vec<Weighted> {
    let others = values.map(|(at, value)| (at as u32, value));
    let mut all: Vec<Weighted> =
        others.filter(|(at, value)| value.is_finite() && Some(*at) != besides).collect();
    if count < all.len() {
        let falling =
            |a: &Weighted, b: &Weighted| -> Ordering { b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)) };
        all.select_nth_unstable_by(count, falling);
        all.truncate(count);
        all.sort_unstable_by_key(|(at, _)| *at);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nearest(people: &[Sparse], query: &Sparse, besides: Option<u32>, count: usize) -> Vec<u32> {
        let all = Neighbours::new(people.to_vec(), 8);
        let mut products = Vec::new();
        all.products(query, &mut products);
        all.nearest(&products, besides, count).iter().map(|(person, _)| *person).collect()
    }

    #[test]
    fn nearest_by_hand() {
        let people = [vec![(0, 1.0)], vec![(0, 3.0)], vec![], vec![(1, 1.0)], vec![(0, 1.5)]];
        assert_eq!(nearest(&people, &vec![(0, 2.0)], None, 3), [0, 1, 4]);
        assert_eq!(nearest(&people, &vec![(0, 2.0)], Some(4), 9), [0, 1, 3]);
        assert_eq!(nearest(&people, &vec![(0, 2.0)], None, 0), [] as [u32; 0]);
        // Without anything in common the shortest are nearest; of equal ones the first.
        assert_eq!(nearest(&people, &vec![(7, 1.0)], None, 1), [0]);
    }

    #[test]
    fn cosines_by_hand() {
        let people = vec![vec![(0, 3.0), (1, 4.0)], vec![(2, 1.0)], vec![(0, 9.0)]];
        let all = Neighbours::new(people, 3);
        let mut products = Vec::new();
        all.products(&[(0, 2.0)], &mut products);
        assert_eq!(all.alike(&products, 2.0, None, 9), [(0, 0.6), (2, 1.0)]);
    }

    proptest! {
        #[test]
        fn nobody_left_out_is_nearer(
            people in prop::collection::vec(prop::collection::vec(0_u8..4, 8), 1..20),
            query in prop::collection::vec(0_u8..4, 8), count in 1_usize..20,
        ) {
            let sparse = |weights: &Vec<u8>| -> Sparse {
                let all = (0..).zip(weights).filter(|(_, weight)| **weight > 0);
                all.map(|(item, weight)| (item, f32::from(*weight))).collect()
            };
            let distance = |person: usize| -> i32 {
                let each = people[person].iter().zip(&query);
                each.map(|(a, b)| (i32::from(*a) - i32::from(*b)).pow(2)).sum()
            };
            let vectors: Vec<Sparse> = people.iter().map(sparse).collect();
            let found = nearest(&vectors, &sparse(&query), None, count);
            let far = found.iter().map(|person| distance(*person as usize)).max().unwrap_or(-1);
            for person in (0..people.len()).filter(|p| !vectors[*p].is_empty()) {
                prop_assert!(found.contains(&(person as u32)) || distance(person) >= far);
            }
        }
    }
}
