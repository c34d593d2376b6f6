//! `sweep`: everybody scored once, from 10 thousand people to a million.

use serde_json::{Value, json};

/// The last is the mission's bar: a minute for a million.
pub const PEOPLE: [u64; 3] = [10_000, 100_000, 1_000_000];

/// A fresh database of so many people; the second sweep counts, which replaces what is there.
pub async fn sweep(people: u64) -> Value {
    let folder = tempfile::tempdir().unwrap();
    server::rehearsal::add_people(folder.path(), people).await.unwrap();
    let model = server::rehearsal::model().unwrap();
    let (_, first_s) = server::rehearsal::sweep(folder.path(), &model).await.unwrap();
    let (predicted, seconds) = server::rehearsal::sweep(folder.path(), &model).await.unwrap();
    assert_eq!(predicted, people);
    json!({
        "bench": "sweep", "people": people, "seconds": seconds, "first_seconds": first_s,
        "us_per_person": seconds * 1e6 / people as f64,
    })
}
