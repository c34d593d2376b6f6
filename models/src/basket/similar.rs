//! Which items the same people buy.
//!
//! The cosine of two items over the people who own them (Sarwar et al., "Item-based collaborative
//! filtering recommendation algorithms", WWW 2001, section 3.1.1), with each person counting less
//! the more they own: a whole shop says little of any two of its items (the "inverse user
//! frequency" of Breese, Heckerman and Kadie, UAI 1998, section 2.1.4).

use super::Sparse;
use std::cmp::Ordering;

/// Similar items that are kept of each.
const KEPT: usize = 60;
/// People with more items than this say nothing of likeness, and would take most of the time.
const MOST_OWNED: usize = 400;

/// By item: the most similar ones and how similar, the most similar first.
pub(super) fn similar(owned: &[Vec<u32>], items: usize) -> Vec<Sparse> {
    let weight = |own: &Vec<u32>| 1.0 / (1.0 + own.len() as f64).ln();
    let mut owners: Vec<Vec<u32>> = vec![Vec::new(); items];
    let mut lengths = vec![0.0; items];
    for (person, own) in owned.iter().enumerate() {
        for item in own.iter().filter(|_| own.len() <= MOST_OWNED) {
            owners[*item as usize].push(person as u32);
            lengths[*item as usize] += weight(own);
        }
    }
    let mut shared = vec![0.0; items];
    let mut touched: Vec<u32> = Vec::new();
    (0..items)
        .map(|item| {
            for person in &owners[item] {
                let own = &owned[*person as usize];
                for other in own.iter().filter(|other| **other as usize != item) {
                    if shared[*other as usize] == 0.0 {
                        touched.push(*other);
                    }
                    shared[*other as usize] += weight(own);
                }
            }
            let mut found: Sparse = touched
                .drain(..)
                .map(|other| {
                    let both = std::mem::take(&mut shared[other as usize]);
                    (other, (both / f64::sqrt(lengths[item] * lengths[other as usize])) as f32)
                })
                .collect();
            if found.len() > KEPT {
                found.select_nth_unstable_by(KEPT, falling);
                found.truncate(KEPT);
            }
            found.sort_unstable_by(falling);
            found
        })
        .collect()
}

/// The highest weight first, of equal ones the lowest item.
pub(super) fn falling(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_by_hand() {
        let found = similar(&[vec![0, 1], vec![0, 2], vec![0, 1]], 4);
        let cosine = |of: f32, among: f32| of / among.sqrt();
        assert_eq!(found[0].iter().map(|(item, _)| *item).collect::<Vec<_>>(), [1, 2]);
        assert!((found[0][0].1 - cosine(2.0, 6.0)).abs() < 1e-6);
        assert!((found[2][0].1 - cosine(1.0, 3.0)).abs() < 1e-6);
        assert_eq!(found[3], []);
    }
}
