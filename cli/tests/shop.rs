//! A shop, replayed in short through the command itself: `serve`, which starts `train conversion`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::replay::{Plan, Planted, Report, baskets, replay, tafeng};

/// One in so many customers: a thousand of them.
const ONE_IN: u64 = 32;

fn attune() -> Vec<String> {
    vec![env!("CARGO_BIN_EXE_attune").to_owned()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_learns_week_by_week_and_knows_more_than_the_share_of_buyers() {
    let Some(archive) = tafeng() else { return };
    let plan = Plan {
        attune: attune(),
        first_week: 6,
        last_week: 9,
        feature_definitions: None,
        planted: Planted::Nothing,
    };
    let report = replay(&plan, &baskets(&archive, ONE_IN)).await;
    assert_eq!(report.weeks.len(), 4, "{report:?}");
    assert!(report.weeks.iter().all(|week| week.people > 400 && !week.model.is_empty()));
    // The shop all but stood still from 19 to 25 December, which nobody could know: what all weeks
    // have in common is who buys rather than who does not.
    for week in &report.weeks {
        assert!(week.served.auc > Some(0.6) && week.served.auc > week.naive.auc, "{week:?}");
    }
    assert!(report.all.log_loss < report.naive.log_loss, "{report:?}");
}

/// One feature would give the future away, were it told before its time.
const WISHES: &str = r#"
[[feature]]
name = "conversions_30d"
source = "conversion"
aggregation = "count"
window_days = 30
purpose = "conversion"
says = "bought {n} times in the last 30 days"

[[feature]]
name = "wishes_7d"
source = "behaviour"
names = ["wish"]
aggregation = "count"
window_days = 7
purpose = "conversion"
says = "wished {n} times in the last week"
"#;

async fn with_wishes(archive: &Path, definitions: PathBuf, planted: Planted) -> Report {
    let feature_definitions = Some(definitions);
    let plan = Plan { attune: attune(), first_week: 6, last_week: 7, feature_definitions, planted };
    replay(&plan, &baskets(archive, 2 * ONE_IN)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_only_later_is_not_used() {
    let Some(archive) = tafeng() else { return };
    let folder = tempfile::tempdir().unwrap();
    let definitions = folder.path().join("features.toml");
    fs::write(&definitions, WISHES).unwrap();
    let replayed = |planted| with_wishes(&archive, definitions.clone(), planted);
    let nothing = replayed(Planted::Nothing).await;
    let hidden = replayed(Planted::Hidden).await;
    let open = replayed(Planted::Open).await;
    // Whoever sees it cannot miss it,
    assert!(open.all.auc > Some(0.99), "{open:?}");
    // and it changes not a bit of what those say who do not.
    assert_eq!(nothing.weeks.len(), 2, "{nothing:?}");
    for (nothing, hidden) in nothing.weeks.iter().zip(&hidden.weeks) {
        assert_eq!(nothing.people, hidden.people);
        assert_eq!(nothing.served, hidden.served);
    }
}
