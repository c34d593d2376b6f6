//! Order statistics of a centred window that rolls over a series.

/// `statistic` of the sorted values around each of `values`: of the `width` (odd) values centred
/// at it, fewer at both ends. The window is kept sorted from one value to the next, so that each
/// costs two binary searches and one short move. `values` must not hold NaN.
pub(super) fn centred(values: &[f64], width: usize, statistic: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let half = width / 2;
    let mut window = Vec::with_capacity(width + 1);
    for &value in values.iter().take(half) {
        insert(&mut window, value);
    }
    let step = |i: usize| {
        let entering = values.get(i + half);
        let leaving = i.checked_sub(half + 1).map(|k| values[k]);
        match (entering, leaving) {
            (Some(&entering), Some(leaving)) => replace(&mut window, leaving, entering),
            (Some(&entering), None) => insert(&mut window, entering),
            (None, Some(leaving)) => remove(&mut window, leaving),
            (None, None) => (),
        }
        statistic(&window)
    };
    (0..values.len()).map(step).collect()
}

/// Puts a value where it belongs in a sorted list.
pub(super) fn insert(sorted: &mut Vec<f64>, value: f64) {
    sorted.insert(place(sorted, value), value);
}

/// Takes a value out of a sorted list that holds it.
pub(super) fn remove(sorted: &mut Vec<f64>, value: f64) {
    let at = place(sorted, value);
    if at < sorted.len() {
        sorted.remove(at);
    }
}

/// Takes one value out and puts another in, moving only what lies between them.
fn replace(sorted: &mut [f64], old: f64, new: f64) {
    let from = place(sorted, old);
    let to = place(sorted, new);
    if from < to {
        sorted.copy_within(from + 1..to, from);
        sorted[to - 1] = new;
    } else if from < sorted.len() {
        sorted.copy_within(to..from, to + 1);
        sorted[to] = new;
    }
}

fn place(sorted: &[f64], value: f64) -> usize {
    sorted.partition_point(|&x| x < value)
}

/// The quantile `q` of sorted values by linear interpolation between the nearest two (type 7 of
/// Hyndman & Fan 1996, *Am Stat* 50:361); NaN of none.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = q * last as f64;
    let below = position as usize;
    let (low, high) = (sorted[below.min(last)], sorted[(below + 1).min(last)]);
    low + (position - below as f64) * (high - low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_rolling_window_is_the_sorted_slice(
            values in prop::collection::vec(prop_oneof![0.0..9.0, (0..5u8).prop_map(f64::from)], 0..200),
            half in 0..50usize,
        ) {
            let medians = centred(&values, 2 * half + 1, |w| quantile(w, 0.3));
            for (i, found) in medians.iter().enumerate() {
                let mut slice = values[i.saturating_sub(half)..(i + half + 1).min(values.len())].to_vec();
                slice.sort_by(f64::total_cmp);
                prop_assert_eq!(*found, quantile(&slice, 0.3));
            }
        }
    }
}
