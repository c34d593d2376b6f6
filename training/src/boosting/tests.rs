use super::*;
use proptest::prelude::*;

fn quick(objective: Objective) -> Settings {
    Settings { rounds: 40, learning_rate: 0.2, least_rows: 5, ..Settings::new(objective) }
}

/// Rows on a grid of two columns; the third is noise, and every seventh value of it is missing.
fn grid(rows: usize) -> Matrix {
    let row = |i: usize| {
        let noise = if i.is_multiple_of(7) { f32::NAN } else { (i * 31 % 101) as f32 };
        [(i * 7 % 23) as f32, (i * 11 % 29) as f32, noise]
    };
    Matrix::new((0..rows).flat_map(row).collect(), 3).unwrap()
}

fn labels(rows: &Matrix, of: impl Fn(&[f32]) -> f32) -> Vec<f32> {
    (0..rows.rows()).map(|row| of(rows.row(row))).collect()
}

fn share_right(forest: &Forest, rows: &Matrix, labels: &[f32]) -> f64 {
    let mut out = Vec::new();
    let right = |row: &usize| {
        forest.predict(rows.row(*row), &mut out);
        let class = match forest.objective() {
            Objective::Binary => usize::from(out[0] > 0.5),
            _ => (0..out.len()).max_by(|a, b| out[*a].total_cmp(&out[*b])).unwrap(),
        };
        class as f32 == labels[*row]
    };
    (0..rows.rows()).filter(right).count() as f64 / rows.rows() as f64
}

#[test]
fn classes_are_told_apart_by_two_columns_together() {
    let rows = grid(2_000);
    let two = labels(&rows, |r| f32::from(u8::from((r[0] > 11.0) != (r[1] > 14.0))));
    let forest = fit(&rows, &two, &quick(Objective::Binary)).unwrap();
    assert!(share_right(&forest, &rows, &two) > 0.97);

    let three = labels(&rows, |r| if r[0] < 8.0 { 2.0 } else { f32::from(u8::from(r[1] > 14.0)) });
    let forest = fit(&rows, &three, &quick(Objective::MultiClass { classes: 4 })).unwrap();
    assert!(share_right(&forest, &rows, &three) > 0.97);
    let mut out = Vec::new();
    forest.predict(rows.row(0), &mut out);
    assert!(out[3] < 0.01, "a class without rows stays improbable: {out:?}");
}

#[test]
fn numbers_are_predicted_and_explained_by_their_column() {
    let rows = grid(2_000);
    let values = labels(&rows, |r| 3.0 * r[0] - 10.0);
    let forest = fit(&rows, &values, &quick(Objective::Regression)).unwrap();
    let mut reasons = Vec::new();
    for row in 0..50 {
        let row = rows.row(row);
        assert!((forest.score(row) - f64::from(3.0 * row[0] - 10.0)).abs() < 1.0);
        let usual = forest.contributions(row, 0, &mut reasons);
        assert!((usual + reasons.iter().sum::<f64>() - forest.score(row)).abs() < 1e-9);
        assert!(reasons[1].abs() + reasons[2].abs() < 1.0, "{reasons:?}");
    }
}

#[test]
fn missing_values_go_where_their_labels_are() {
    for missing in [0.0, 1.0] {
        let values = (0..600).map(|i| if i % 3 == 0 { f32::NAN } else { (i % 3) as f32 });
        let rows = Matrix::new(values.collect(), 1).unwrap();
        let of = |r: &[f32]| if r[0].is_nan() { missing } else { r[0] - 1.0 };
        let labels = labels(&rows, of);
        let forest = fit(&rows, &labels, &quick(Objective::Binary)).unwrap();
        assert_eq!(share_right(&forest, &rows, &labels), 1.0);
    }
}

/// A border falls between the values that rows have, whatever side the trees then choose.
#[test]
fn one_number_decides() {
    let rows = Matrix::new((0..400).map(|i| i as f32).collect(), 1).unwrap();
    let labels = labels(&rows, |r| f32::from(u8::from(r[0] >= 137.0)));
    let settings = Settings { row_share: 1.0, ..quick(Objective::Binary) };
    let forest = fit(&rows, &labels, &settings).unwrap();
    let first = forest.trees()[0].splits[0];
    assert!((135.0..138.0).contains(&first.threshold), "{first:?}");
}

#[test]
fn a_fit_repeats_to_the_bit_and_a_seed_changes_it() {
    let rows = grid(700);
    let labels = labels(&rows, |r| f32::from(u8::from(r[0] + r[1] > 25.0)));
    let settings = quick(Objective::Binary);
    let text = |settings| serde_json::to_string(&fit(&rows, &labels, settings).unwrap()).unwrap();
    assert_eq!(text(&settings), text(&settings));
    assert_ne!(text(&settings), text(&Settings { seed: 2, ..settings }));
}

/// The published formula, by hand: two rows either side, one split, no sampling.
#[test]
fn a_leaf_is_one_newton_step() {
    let rows = Matrix::new(vec![0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 1).unwrap();
    let settings = Settings {
        rounds: 1,
        leaves: 2,
        least_rows: 1,
        row_share: 1.0,
        feature_share: 1.0,
        shrinkage: 1.0,
        learning_rate: 0.5,
        ..Settings::new(Objective::Regression)
    };
    let forest = fit(&rows, &[0.0, 0.0, 3.0, 5.0, 4.0, 6.0], &settings).unwrap();
    // Mean 3; sums of distances -6 and +6 over 3 rows + 1: steps of -1.5 and 1.5, halved.
    assert_eq!((forest.score(&[0.0]), forest.score(&[1.0])), (2.25, 3.75));
}

#[test]
fn without_anything_to_learn_there_is_the_share() {
    let rows = Matrix::new(vec![1.0; 100], 1).unwrap();
    let mut labels = vec![0.0; 100];
    labels[..20].fill(1.0);
    let forest = fit(&rows, &labels, &quick(Objective::Binary)).unwrap();
    let mut out = Vec::new();
    forest.predict(&[1.0], &mut out);
    assert!((out[0] - 0.2).abs() < 0.02, "{out:?}");

    let same = fit(&rows, &[1.0; 100], &quick(Objective::Binary)).unwrap();
    same.predict(&[1.0], &mut out);
    assert!(same.trees().is_empty() && out[0] > 0.99 && out[0] < 1.0);
}

#[test]
fn refusals_say_what_is_wrong() {
    let rows = Matrix::new(vec![1.0, 2.0], 1).unwrap();
    let settings = quick(Objective::Binary);
    let check = |found: Result<Forest, FitError>, expected: &str| {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let with = |change: fn(&mut Settings)| {
        let mut settings = settings;
        change(&mut settings);
        fit(&rows, &[0.0, 1.0], &settings)
    };
    check(fit(&rows, &[0.0], &settings), "2 rows and 1 labels");
    check(fit(&rows, &[0.0, 0.5], &settings), "row 1 has the label 0.5");
    check(fit(&rows, &[0.0, f32::NAN], &settings), "row 1 has the label NaN");
    let infinite = Matrix::new(vec![1.0, f32::INFINITY], 1).unwrap();
    check(fit(&infinite, &[0.0, 1.0], &settings), "row 1, column 0 is infinite");
    check(fit(&Matrix::new(vec![], 1).unwrap(), &[], &settings), "no row");
    check(with(|s| s.rounds = 0), "rounds cannot be 0");
    check(with(|s| s.leaves = 1), "leaves cannot be 1");
    check(with(|s| s.learning_rate = f64::NAN), "learning_rate cannot be NaN");
    check(with(|s| s.row_share = 1.5), "row_share cannot be 1.5");
    check(with(|s| s.shrinkage = -1.0), "shrinkage cannot be -1");
    check(with(|s| s.objective = Objective::MultiClass { classes: 1 }), "classes");
    assert!(Matrix::new(vec![1.0; 3], 2).is_err());
    assert!(Matrix::new(vec![], 0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_rows_give_a_forest_or_a_reason(
        (width, values) in (1usize..4).prop_flat_map(|width| {
            let value = prop_oneof![(-3i8..3).prop_map(f32::from), Just(f32::NAN), any::<f32>()];
            (Just(width), prop::collection::vec(value, width..80))
        }),
        targets in prop::collection::vec(any::<f32>(), 80),
        classes in 1usize..4,
        least_rows in 1usize..4,
        seed in any::<u64>(),
    ) {
        let whole = values.len() / width * width;
        let rows = Matrix::new(values[..whole].to_vec(), width).unwrap();
        let targets = &targets[..rows.rows()];
        let (objective, labels): (_, Vec<f32>) = match classes {
            1 => (Objective::Regression, targets.to_vec()),
            2 => (Objective::Binary, targets.iter().map(|t| f32::from(u8::from(*t > 0.0))).collect()),
            _ => {
                let class = |t: &f32| (t.to_bits() % 3) as f32;
                (Objective::MultiClass { classes: 3 }, targets.iter().map(class).collect())
            }
        };
        let settings = Settings { rounds: 5, least_rows, seed, ..quick(objective) };
        if let Ok(forest) = fit(&rows, &labels, &settings) {
            let mut out = Vec::new();
            for row in 0..rows.rows() {
                forest.scores(rows.row(row), &mut out);
                prop_assert!(out.iter().all(|score| score.is_finite()));
            }
        }
    }
}
