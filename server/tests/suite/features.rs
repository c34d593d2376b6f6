//! Features over a real socket: values follow what is taken in, and the past stays as it was.

use crate::support::{Running, check_problem, key};
use protocol::problem::ErrorCode;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use server::scope::Scope;
use tempfile::TempDir;
use uuid::Uuid;

struct Rig {
    server: Running,
    key: String,
}

impl Rig {
    async fn start(scopes: &[Scope]) -> Self {
        let folder = TempDir::new().unwrap();
        let key = key(folder.path(), scopes).await;
        Self { server: Running::start_in(folder).await, key }
    }

    async fn get(&self, path: &str) -> Response {
        self.server.get(path).bearer_auth(&self.key).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        let url = format!("{}{path}", self.server.url);
        self.server.client.post(url).bearer_auth(&self.key).json(body).send().await.unwrap()
    }

    async fn online(&self, person: Uuid, names: &[&str]) -> Value {
        let asked = json!({"people": [person], "features": names});
        let answer = self.post("/v1/features/online", &asked).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    /// The person behind the only conversions there are.
    async fn person(&self) -> Uuid {
        let mut database = self.server.database().await;
        let person: Vec<u8> = sqlx::query_scalar("SELECT person FROM profiles")
            .fetch_one(&mut database)
            .await
            .unwrap();
        Uuid::from_slice(&person).unwrap()
    }
}

fn purchase(number: u32, at: &str, consent: &str) -> Value {
    json!({
        "transaction_id": format!("T-{number}"), "event_timestamp": at,
        "event_name": "store_purchase", "conversion_value": 12.5, "currency": "EUR",
        "user_identifiers": [{"user_id": "C-17"}], "consent": {"conversion": consent},
    })
}

#[tokio::test]
async fn values_follow_what_is_taken_in_and_a_no() {
    let rig = Rig::start(&[Scope::Ingest, Scope::Features, Scope::Backfill]).await;
    let rows = [
        purchase(1, "2026-01-05T10:00:00Z", "granted"),
        purchase(2, "2026-01-12T10:00:00Z", "granted"),
    ];
    let taken = rig.post("/v1/conversions?known_at=event", &json!({"events": rows})).await;
    assert_eq!(taken.json::<Value>().await.unwrap()["stored"], 2);
    let person = rig.person().await;

    let now = rig.online(person, &["conversions_ever", "spent_7d", "age_band"]).await;
    assert_eq!(now["features"], json!(["conversions_ever", "spent_7d", "age_band"]));
    assert_eq!(now["people"][0]["values"], json!([2.0, 0.0, null]));
    assert_eq!(now["people"][0]["known"], true);
    assert!(now["people"][0]["age_ms"][0].as_i64().unwrap() > 0);
    assert_eq!(now["people"][0]["age_ms"][2], Value::Null);
    assert_eq!(rig.online(Uuid::nil(), &["month"]).await["people"][0]["known"], false);

    let then = format!("/v1/people/{person}/features?as_of=2026-01-13T00:00:00Z");
    let then: Value = rig.get(&then).await.json().await.unwrap();
    let value = |name: &str| then["features"][name]["value"].as_f64();
    assert_eq!((value("conversions_7d"), value("spent_30d")), (Some(1.0), Some(2_500.0)));
    assert_eq!((value("days_since_conversion"), value("weekday")), (Some(1.0), Some(1.0)));
    let before = format!("/v1/people/{person}/features?as_of=2026-01-01T00:00:00Z");
    check_problem(rig.get(&before).await, 404, ErrorCode::NotFound).await;

    let listed: Value = rig.get("/v1/features").await.json().await.unwrap();
    let seen = (&listed["people"], &listed["features"][0]["coverage"]);
    assert_eq!(seen, (&json!(1), &json!(1.0)), "{listed}");
    check_problem(rig.get("/v1/features/drift").await, 404, ErrorCode::NotFound).await;

    let no = json!({"events": [purchase(3, "2026-01-20T10:00:00Z", "denied")]});
    rig.post("/v1/conversions", &no).await;
    assert_eq!(rig.online(person, &["conversions_ever"]).await["people"][0]["known"], false);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_what_to_do() {
    let rig = Rig::start(&[Scope::Features]).await;
    let person = Uuid::from_u128(7);
    for query in ["features=nonsense", "as=1", "features=month&features=weekday"] {
        let path = format!("/v1/people/{person}/features?{query}");
        check_problem(rig.get(&path).await, 422, ErrorCode::Invalid).await;
    }
    let path = format!("/v1/people/{person}/features?as_of=2026-01-01T00:00:00Z");
    check_problem(rig.get(&path).await, 403, ErrorCode::Forbidden).await;
    check_problem(rig.get("/v1/people/x/features").await, 422, ErrorCode::Invalid).await;
    let online = async |body: Value| rig.post("/v1/features/online", &body).await;
    check_problem(online(json!({"people": []})).await, 422, ErrorCode::Invalid).await;
    let many = json!({"people": vec![person; 1_001]});
    check_problem(online(many).await, 422, ErrorCode::Invalid).await;
    let unknown = json!({"people": [person], "features": ["nonsense"]});
    check_problem(online(unknown).await, 422, ErrorCode::Invalid).await;
    check_problem(online(json!({"person": person})).await, 400, ErrorCode::Malformed).await;
}

#[tokio::test]
async fn activity_is_told_by_day_and_small_groups_are_withheld() {
    let rig = Rig::start(&[Scope::Ingest, Scope::Features, Scope::Backfill]).await;
    let named = |number: u32, name: &str, day: u32| {
        let mut row = purchase(number, &format!("2026-01-{day:02}T10:00:00Z"), "granted");
        row["event_name"] = json!(name);
        row
    };
    let mut rows: Vec<Value> = (1..=12).map(|n| named(n, "store_purchase", 5)).collect();
    rows.extend((13..=18).map(|n| named(n, "loan_application", 5)));
    rows.extend((19..=23).map(|n| named(n, "store_return", 5)));
    rows.push(named(24, "store_purchase", 6));
    let taken = rig.post("/v1/conversions?known_at=event", &json!({"events": rows})).await;
    assert_eq!(taken.json::<Value>().await.unwrap()["stored"], 24);

    let asked = "/v1/activity?from=2026-01-01&to=2026-01-31";
    let answer: Value = rig.get(asked).await.json().await.unwrap();
    let purchases = json!({
        "source": "conversion", "name": "store_purchase", "facts": 12,
        "values": [{"currency": "EUR", "minor": 15_000}],
    });
    let day = json!({"day": "2026-01-05", "groups": [purchases], "other": 11});
    assert_eq!(answer, json!({"days": [day]}), "the one purchase of the day after is not told");
    let none: Value = rig.get(&format!("{asked}&source=behaviour")).await.json().await.unwrap();
    assert_eq!(none, json!({"days": []}));
    for bad in ["from=2026-02-01&to=2026-01-01", "from=2024-01-01&to=2026-01-01", "days=3"] {
        let refused = rig.get(&format!("/v1/activity?{bad}")).await;
        check_problem(refused, 422, ErrorCode::Invalid).await;
    }
    assert_eq!(rig.get("/v1/activity").await.status(), StatusCode::OK);
}
