use super::*;
use proptest::prelude::*;

/// A tree of given shape: each number picks the leaf that is split next, its feature and threshold.
fn grown(shape: &[(u16, u8, i8, bool, i16, u8)], features: usize) -> Tree {
    let mut splits: Vec<Split> = Vec::new();
    let mut leaves = vec![Leaf { value: 0.25, count: 7 }];
    for &(pick, feature, threshold, missing_left, value, count) in shape {
        let old = usize::from(pick) % leaves.len();
        let (old_side, new) = (-(old as i32) - 1, splits.len() as i32);
        for split in &mut splits {
            for side in [&mut split.left, &mut split.right] {
                if *side == old_side {
                    *side = new;
                }
            }
        }
        leaves.push(Leaf { value: f64::from(value) / 64.0, count: u64::from(count) + 1 });
        splits.push(Split {
            feature: u32::from(feature) % features as u32,
            threshold: f32::from(threshold),
            missing_left,
            left: old_side,
            right: -(leaves.len() as i32),
        });
    }
    Tree { splits, leaves }
}

fn trees(features: usize, most: usize) -> impl Strategy<Value = Vec<Tree>> {
    let shape = prop::collection::vec(any::<(u16, u8, i8, bool, i16, u8)>(), 0..24);
    prop::collection::vec(shape.prop_map(move |shape| grown(&shape, features)), 0..most)
}

fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => (-130i16..130).prop_map(f32::from),
        1 => Just(f32::NAN),
        1 => any::<f32>(),
    ]
}

/// The definition itself: walks the stored tree.
fn walked(tree: &Tree, row: &[f32]) -> f64 {
    let mut at = tree.root();
    loop {
        match at {
            tree::Next::Leaf(leaf) => return tree.leaves[leaf].value,
            tree::Next::Split(split) => {
                let split = tree.splits[split];
                let right = split.goes_right(row[split.feature as usize]);
                at = tree::Next::of(if right { split.right } else { split.left });
            }
        }
    }
}

/// Mean value of the tree where only some features are known: what the Shapley values stand on.
fn conditional(tree: &Tree, row: &[f32], known: u32, at: tree::Next) -> (f64, f64) {
    match at {
        tree::Next::Leaf(leaf) => (tree.leaves[leaf].value, tree.leaves[leaf].count as f64),
        tree::Next::Split(index) => {
            let split = tree.splits[index];
            let left = conditional(tree, row, known, tree::Next::of(split.left));
            let right = conditional(tree, row, known, tree::Next::of(split.right));
            let count = left.1 + right.1;
            if known >> split.feature & 1 == 1 {
                let right_taken = split.goes_right(row[split.feature as usize]);
                return (if right_taken { right.0 } else { left.0 }, count);
            }
            ((left.0 * left.1 + right.0 * right.1) / count, count)
        }
    }
}

/// Shapley values by their definition, over all sets of features.
fn shapley(tree: &Tree, row: &[f32], features: u32) -> Vec<f64> {
    let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
    let worth = |set: u32| conditional(tree, row, set, tree.root()).0;
    let of = |feature: u32| -> f64 {
        let others = (0..1 << features).filter(|set: &u32| set >> feature & 1 == 0);
        others
            .map(|set| {
                let size = set.count_ones();
                let weight = factorial(size) * factorial(features - size - 1) / factorial(features);
                weight * (worth(set | 1 << feature) - worth(set))
            })
            .sum()
    };
    (0..features).map(of).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    #[test]
    fn scores_are_the_sums_of_leaves_by_row_and_by_block(
        (classes, trees, rows) in (1usize..4).prop_flat_map(|classes| (
            Just(classes),
            trees(5, 12),
            prop::collection::vec(prop::array::uniform5(value()), 0..21),
        )),
    ) {
        let objective =
            if classes == 1 { Objective::Binary } else { Objective::MultiClass { classes } };
        let whole = trees.len() / classes * classes;
        let base: Vec<f64> = (0..classes).map(|c| c as f64 - 0.5).collect();
        let forest = Forest::new(objective, 5, base.clone(), trees[..whole].to_vec()).unwrap();
        let flat: Vec<f32> = rows.iter().flatten().copied().collect();
        let (mut all, mut one) = (Vec::new(), Vec::new());
        forest.score_rows(&flat, &mut all);
        prop_assert_eq!(all.len(), rows.len() * classes);
        for (row, scores) in rows.iter().zip(all.chunks(classes)) {
            let mut expected = base.clone();
            for (index, tree) in trees[..whole].iter().enumerate() {
                expected[index % classes] += walked(tree, row);
            }
            forest.scores(row, &mut one);
            prop_assert_eq!(&one, &expected);
            prop_assert_eq!(scores, &expected[..]);
            prop_assert!(close(forest.score(row), expected[0]));
            forest.predict(row, &mut one);
            prop_assert!(one.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }

    #[test]
    fn contributions_are_shapley_values(
        shape in prop::collection::vec(any::<(u16, u8, i8, bool, i16, u8)>(), 0..12),
        row in prop::array::uniform5(value()),
    ) {
        let tree = grown(&shape, 5);
        let expected = shapley(&tree, &row, 5);
        let forest = Forest::new(Objective::Regression, 5, vec![2.0], vec![tree]).unwrap();
        let mut out = Vec::new();
        forest.contributions(&row, 0, &mut out);
        for (got, expected) in out.iter().zip(&expected) {
            prop_assert!(close(*got, *expected), "{:?} {:?}", out, expected);
        }
    }

    #[test]
    fn contributions_add_up_to_the_raw_score(
        trees in trees(40, 8),
        row in prop::collection::vec(value(), 40),
    ) {
        let forest = Forest::new(Objective::Binary, 40, vec![-1.5], trees).unwrap();
        let mut out = Vec::new();
        let usual = forest.contributions(&row, 0, &mut out);
        prop_assert!(close(usual + out.iter().sum::<f64>(), forest.score(&row)));
    }

    #[test]
    fn forests_survive_json(trees in trees(3, 6)) {
        let forest = Forest::new(Objective::Binary, 3, vec![0.1], trees).unwrap();
        let text = serde_json::to_string(&forest).unwrap();
        prop_assert_eq!(serde_json::from_str::<Forest>(&text).unwrap(), forest);
    }

    /// Whatever a damaged file links to what: it is refused, or scored and explained.
    #[test]
    fn no_damage_gets_past_the_check(
        splits in prop::collection::vec((0u32..4, -2f32..2.0, any::<bool>(), -6i32..6, -6i32..6), 0..6),
        leaves in prop::collection::vec((-1f64..1.0, 0u64..3), 0..7),
        row in prop::collection::vec(value(), 0..5),
    ) {
        let text = serde_json::json!({
            "objective": "regression", "features": 3, "base": [0.0],
            "trees": [{ "splits": splits, "leaves": leaves }],
        })
        .to_string();
        if let Ok(forest) = serde_json::from_str::<Forest>(&text) {
            let mut out = Vec::new();
            let usual = forest.contributions(&row, 0, &mut out);
            prop_assert!(close(usual + out.iter().sum::<f64>(), forest.score(&row)));
        }
    }
}

/// A chain as deep as allowed, each split on a feature of its own: the longest paths there are.
#[test]
fn the_deepest_tree_is_explained_exactly() {
    let shape: Vec<_> = (0..MAX_DEPTH as u16)
        .map(|i| (i, i as u8, 0, false, 64 * (i as i16 % 5 - 2), 200 - 3 * i as u8))
        .collect();
    let forest =
        |shape: &[_]| Forest::new(Objective::Regression, 80, vec![0.0], vec![grown(shape, 80)]);
    let deepest = forest(&shape).unwrap();
    for known in [0, 13, MAX_DEPTH] {
        let row: Vec<f32> = (0..80).map(|i| if i < known { 1.0 } else { -1.0 }).collect();
        let mut out = Vec::new();
        let usual = deepest.contributions(&row, 0, &mut out);
        let sum = usual + out.iter().sum::<f64>();
        assert!((sum - deepest.score(&row)).abs() < 1e-9, "{sum} {}", deepest.score(&row));
    }
    let one_more: Vec<_> = shape.iter().copied().chain([(64, 70, 0, false, 0, 0)]).collect();
    assert!(forest(&one_more).unwrap_err().to_string().contains("deep"));
}

fn check(text: &str, expected: &str) {
    let error = serde_json::from_str::<Forest>(text).unwrap_err().to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn refusals_say_what_is_wrong() {
    let with = |tree: &str| {
        format!(r#"{{"objective":"binary","features":2,"base":[0],"trees":[{tree}]}}"#)
    };
    let two = r#""leaves":[[1.0,1],[1.0,1]]"#;
    check(&with(r#"{"splits":[],"leaves":[]}"#), "0 splits need 1 leaves, not 0");
    check(&with(r#"{"splits":[],"leaves":[[1.0,0]]}"#), "leaf 0 counts 0 rows");
    check(&with(r#"{"splits":[],"leaves":[[1e99,1]]}"#), "leaf 0 has the value");
    check(&with(&format!(r#"{{"splits":[[2,0.0,true,-1,-2]],{two}}}"#)), "asks for feature 2");
    check(&with(&format!(r#"{{"splits":[[1,0.0,true,0,-2]],{two}}}"#)), "cannot lead to 0");
    check(&with(&format!(r#"{{"splits":[[1,0.0,true,-1,-1]],{two}}}"#)), "cannot lead to -1");
    check(
        &with(&format!(r#"{{"splits":[[1,0.0,true,-1,-2147483648]],{two}}}"#)),
        "cannot lead to -2147483648",
    );
    check(r#"{"objective":"binary","features":0,"base":[0],"trees":[]}"#, "1 to 65536 features");
    check(r#"{"objective":"binary","features":1,"base":[],"trees":[]}"#, "1 to 1 base values");
    check(r#"{"objective":"binary","features":1,"base":[1e300],"trees":[]}"#, "base value");
    check(
        r#"{"objective":{"multi_class":{"classes":1}},"features":1,"base":[0],"trees":[]}"#,
        "2 to 1024 classes",
    );
    let two_classes = r#"{"objective":{"multi_class":{"classes":2}},"features":1,"base":[0,0],"#;
    check(
        &format!(r#"{two_classes}"trees":[{{"splits":[],"leaves":[[1.0,1]]}}]}}"#),
        "1 trees do not divide among 2 outputs",
    );
}
