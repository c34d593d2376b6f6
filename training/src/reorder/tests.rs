//! Ta-Feng, where this machine has it.

use super::*;
use crate::customer_base::day_number;
use models::confidence::Wanted;
use std::{env, fs::File, path::PathBuf};

/// The horizon of the rows, days.
const HORIZON_DAYS: i32 = 14;

fn folder() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = env::var_os("ATTUNE_DATA").map_or_else(beside, PathBuf::from).join("tafeng");
    if !folder.is_dir() {
        println!("skipped: no data (no {}; set ATTUNE_DATA)", folder.display());
        return None;
    }
    Some(folder)
}

fn ledger(folder: &std::path::Path) -> Ledger {
    Ledger::read(File::open(folder.join("ta_feng.csv.zip")).unwrap()).unwrap()
}

/// Day 0 of Ta-Feng.
fn first_day() -> i32 {
    day_number(jiff::civil::date(2000, 11, 1))
}

/// The recipe on the newest cut whose labels are complete before the test day: what may be looked
/// at while choosing.
#[test]
#[ignore = "minutes long: for choosing a recipe"]
fn chosen_on_earlier_cuts() {
    let Some(folder) = folder() else { return };
    let ledger = ledger(&folder);
    let mut recipe = Recipe::default();
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<f64>().unwrap());
    for (prefix, settings) in [("C_", &mut recipe.classifier), ("H_", &mut recipe.hazard)] {
        let own = |name: &str| number(&format!("{prefix}{name}"));
        own("ROUNDS").into_iter().for_each(|n| settings.rounds = n as usize);
        own("LEAVES").into_iter().for_each(|n| settings.leaves = n as usize);
        own("LEAST").into_iter().for_each(|n| settings.least_rows = n as usize);
        own("RATE").into_iter().for_each(|n| settings.learning_rate = n);
        own("ROWS").into_iter().for_each(|n| settings.row_share = n);
        own("FEATURES").into_iter().for_each(|n| settings.feature_share = n);
        own("SHRINK").into_iter().for_each(|n| settings.shrinkage = n);
    }
    number("CUTS").into_iter().for_each(|n| recipe.cuts = n as usize);
    for day in [92, 85] {
        let snapshot = Snapshot::at(&ledger, first_day() + day, 13);
        let pairs = snapshot.pairs(2);
        let begun = std::time::Instant::now();
        let report = evaluate(
            &ledger, Some(&pairs), first_day() + day, 13, &recipe, &Wanted::default(), || (),
        )
        .unwrap();
        println!("day {day} {:?} {report:#?}", begun.elapsed());
    }
}
