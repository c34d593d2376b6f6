//! `orders_sweep`: everybody buys something once more, and everybody's needs are looked at; from 10
//! thousand people to a million.

use super::sweep::PEOPLE;
use serde_json::{Value, json};

/// All sizes, one after the other.
pub async fn orders_sweep() -> Vec<Value> {
    let mut told = Vec::new();
    for people in PEOPLE {
        let folder = tempfile::tempdir().unwrap();
        server::rehearsal::add_shoppers(folder.path(), people).await.unwrap();
        let model = server::rehearsal::needs_model().unwrap();
        let (looked_at, update_s, look_s) =
            server::rehearsal::shop_and_look(folder.path(), &model).await.unwrap();
        assert_eq!(looked_at, people);
        let seconds = update_s + look_s;
        told.push(json!({
            "bench": "orders_sweep", "people": people, "seconds": seconds, "update_s": update_s,
            "look_s": look_s, "us_per_person": seconds * 1e6 / people as f64,
        }));
    }
    told
}
