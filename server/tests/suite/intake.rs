//! Rows of operators' programs over a real socket: stored once, refused with reasons, changed and
//! taken back.

use crate::support::{
    Operator, ago, check_problem, counts, denied, email, granted, purchase, user,
};
use protocol::{
    intake::{CartItem, Reason, Reported, RequestState, Scope, UserIdentifier},
    problem::ErrorCode,
};
use reqwest::{StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use server::scope::Scope as KeyScope;
use std::collections::BTreeMap;
use uuid::Uuid;

fn no(reason: Reason) -> BTreeMap<Reason, u64> {
    BTreeMap::from([(reason, 1)])
}

#[tokio::test]
async fn a_row_is_stored_once_and_a_conflict_is_named() {
    let operator = Operator::start().await;
    let row = purchase("T-1", &[email("ada")]);
    let reply = operator.conversions(&[row.clone(), purchase("T-2", &[email("bob")])]).await;
    assert_eq!(counts(&reply), (2, 0, BTreeMap::new()));
    assert_eq!(reply.status.state, RequestState::Done);
    let other = Reported { conversion_value: Some(20.0), ..row.clone() };
    let reply = operator.conversions(&[row.clone(), other, row]).await;
    assert_eq!(counts(&reply), (0, 2, no(Reason::Conflict)));
    assert_eq!(reply.errors[0].row, 2);
    assert_eq!(operator.count("facts").await, 2);
    // Within one request, too; another data set has its own numbers.
    let twice = [purchase("T-3", &[email("ada")]), purchase("T-3", &[email("bob")])];
    assert_eq!(counts(&operator.conversions(&twice).await), (1, 0, no(Reason::Conflict)));
    let elsewhere =
        json!({"destination": {"reference": "b"}, "events": [purchase("T-1", &[email("ada")])]});
    let answer = operator.post("/v1/conversions").json(&elsewhere).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["stored"], 1);
}

#[tokio::test]
async fn good_rows_are_kept_and_bad_ones_stand_in_quarantine_without_their_content() {
    let operator = Operator::start().await;
    let mut rows: Vec<Value> = (0..250)
        .map(|n| {
            let mut row = serde_json::to_value(purchase(&format!("T-{n}"), &[user("u")])).unwrap();
            if n % 2 == 1 {
                row["currency"] = "canary".into();
            }
            row
        })
        .collect();
    rows[7] = json!({"canary": "canary"});
    rows[9] = json!("canary");
    let reply = operator.take("/v1/conversions", &rows).await;
    assert_eq!((reply.status.rows, reply.status.stored), (250, 125));
    let reasons = BTreeMap::from([
        (Reason::Malformed, 1),
        (Reason::UnknownField, 1),
        (Reason::UnknownCurrency, 123),
    ]);
    assert_eq!(reply.status.reasons, reasons);
    assert_eq!(reply.errors.len(), 100);

    let id = reply.request_id.unwrap();
    let mut page = operator.request(id, "?limit=50").await;
    assert_eq!(page.status, reply.status);
    let mut rows = Vec::new();
    loop {
        rows.extend(page.errors.iter().map(|error| error.row));
        let Some(after) = page.next_after else { break };
        page = operator.request(id, &format!("?limit=50&after={after}")).await;
    }
    let expected: Vec<u64> = (1..=125).map(|n| 2 * n).collect();
    assert_eq!(rows, expected);
    let mut database = operator.server.database().await;
    let detail: Vec<String> = sqlx::query_scalar("SELECT detail || reason FROM quarantine")
        .fetch_all(&mut database)
        .await
        .unwrap();
    assert!(detail.iter().all(|text| !text.contains("canary")));

    for (path, status, code) in [
        ("/v1/requests/x".to_owned(), 422, ErrorCode::Invalid),
        (format!("/v1/requests/{}", Uuid::now_v7()), 404, ErrorCode::NotFound),
        (format!("/v1/requests/{id}?limit=0"), 422, ErrorCode::Invalid),
        (format!("/v1/requests/{id}?x=0"), 422, ErrorCode::Invalid),
    ] {
        check_problem(operator.get(&path).send().await.unwrap(), status, code).await;
    }
}

#[tokio::test]
async fn bodies_that_are_none_are_problems() {
    let operator = Operator::start().await;
    let send = |path: &str, kind: &str, body: &str| {
        operator.post(path).header(CONTENT_TYPE, kind).body(body.to_owned()).send()
    };
    for (path, kind, body) in [
        ("/v1/conversions", "text/plain", "{}"),
        ("/v1/conversions", "application/json", "{"),
        ("/v1/conversions", "application/json", "{}"),
        ("/v1/conversions", "application/json", r#"{"events": [], "canary": 1}"#),
        ("/v1/behaviour", "application/json", "[]"),
        ("/v1/behaviour", "application/cloudevents-batch+json", "{}"),
    ] {
        let answer = send(path, kind, body).await.unwrap();
        let problem = check_problem(answer, 400, ErrorCode::Malformed).await;
        assert!(!problem.detail.contains("canary"));
    }
    let many = json!({"events": vec![0; 2_001]}).to_string();
    let answer = send("/v1/conversions", "application/json", &many).await.unwrap();
    check_problem(answer, 413, ErrorCode::TooLarge).await;
    let large = format!("{{\"events\": [\"{}\"]}}", "x".repeat(8 << 20));
    let answer = send("/v1/conversions", "application/json", &large).await.unwrap();
    check_problem(answer, 413, ErrorCode::TooLarge).await;
    let answer = send("/v1/conversions?known_at=soon", "application/json", "{}").await.unwrap();
    check_problem(answer, 422, ErrorCode::Invalid).await;
    assert_eq!(operator.count("requests").await, 0);
}

#[tokio::test]
async fn c13_without_consent_nothing_is_stored() {
    let operator = Operator::start().await;
    let silent = Reported { consent: None, ..purchase("T-1", &[email("ada")]) };
    let other = Reported { consent: granted(Scope::Behaviour), ..silent.clone() };
    let answer = operator.rows("/v1/conversions", &[silent.clone(), other]).await;
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    check_problem(answer, 403, ErrorCode::NoConsent).await;
    let page: Value = operator.get(&place).send().await.unwrap().json().await.unwrap();
    assert_eq!(page["reasons"]["no_consent"], 2);
    for table in ["facts", "taken", "subjects", "identifiers", "statements"] {
        assert_eq!(operator.count(table).await, 0, "{table}");
    }
    // Said once, it holds for rows that say nothing.
    let said = json!([{"event_timestamp": ago(7_200), "user_identifiers": [email("ada")],
        "consent": {"conversion": "granted"}}]);
    assert_eq!(operator.take("/v1/statements", &said).await.status.stored, 1);
    assert_eq!(operator.conversions(&[silent]).await.status.stored, 1);
}

#[tokio::test]
async fn validation_alone_stores_nothing() {
    let operator = Operator::start().await;
    let bad = Reported { currency: None, ..purchase("T-2", &[email("ada")]) };
    let body = json!({"events": [purchase("T-1", &[email("ada")]), bad], "validate_only": true});
    let answer = operator.post("/v1/conversions").json(&body).send().await.unwrap();
    let reply: Value = answer.json().await.unwrap();
    assert_eq!((&reply["stored"], &reply["refused"]), (&json!(1), &json!(1)));
    assert_eq!((&reply["request_id"], &reply["validate_only"]), (&Value::Null, &json!(true)));
    for table in
        ["facts", "taken", "subjects", "identifiers", "statements", "requests", "quarantine"]
    {
        assert_eq!(operator.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn behaviour_comes_as_cloudevents() {
    let operator = Operator::start().await;
    let event = |id: &str| {
        json!({"specversion": "1.0", "id": id, "source": "https://shop.example", "type": "page_view",
            "time": ago(60), "subject": "ESP-1", "traceparent": "00-x",
            "data": {"user_identifiers": [user("C-17")], "consent": {"behaviour": "granted"}}})
    };
    let mut old = event("e-3");
    old["specversion"] = "0.3".into();
    let mut timeless = event("e-4");
    timeless.as_object_mut().unwrap().remove("time");
    let mut odd = event("e-5");
    odd["canary"] = 1.into();
    let batch = json!([event("e-1"), event("e-2"), event("e-1"), old, timeless, odd]);
    let reply = operator.behaviour(&batch).await;
    let reasons = BTreeMap::from([
        (Reason::Malformed, 1),
        (Reason::UnknownField, 1),
        (Reason::MissingField, 1),
    ]);
    // The repetition has another time: it is another body.
    assert_eq!(reply.status.stored, 2);
    assert!(reasons.iter().all(|(reason, n)| reply.status.reasons.get(reason) == Some(n)));
    let single = serde_json::to_vec(&event("e-9")).unwrap();
    let request =
        operator.post("/v1/behaviour").header(CONTENT_TYPE, "application/cloudevents+json");
    assert_eq!(request.body(single).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(operator.count("facts").await, 3);
}

#[tokio::test]
async fn values_are_adjusted_and_conversions_taken_back() {
    let operator = Operator::start().await;
    let item = |item: &str| CartItem {
        item: item.into(),
        category: None,
        quantity: Some(2.0),
        unit_price: None,
    };
    let row =
        Reported { cart_items: vec![item("a"), item("b")], ..purchase("T-1", &[email("ada")]) };
    operator.conversions(&[row]).await;
    let adjust = |seconds: i64, value: f64| {
        json!({"transaction_id": "T-1", "adjustment_timestamp": ago(seconds),
            "conversion_value": value, "currency": "EUR"})
    };
    let (late, newer) = (adjust(600, 10.0), adjust(300, 15.0));
    let path = "/v1/conversions/adjust";
    let reply = operator.take(path, &[late.clone(), newer.clone(), newer.clone(), late]).await;
    assert_eq!(counts(&reply), (2, 1, no(Reason::Superseded)));
    let mut dollars = adjust(100, 15.0);
    dollars["currency"] = "USD".into();
    let mut unknown = adjust(100, 15.0);
    unknown["transaction_id"] = "T-9".into();
    let mut same_time = newer;
    same_time["conversion_value"] = 16.0.into();
    let reply = operator.take(path, &[dollars, unknown, same_time]).await;
    let reasons = BTreeMap::from([
        (Reason::OtherCurrency, 1),
        (Reason::UnknownTransaction, 1),
        (Reason::Conflict, 1),
    ]);
    assert_eq!(counts(&reply), (0, 0, reasons));

    let path = "/v1/conversions/retract";
    let retract = json!([{"transaction_id": "T-1"}]);
    assert_eq!(counts(&operator.take(path, &retract).await), (1, 0, BTreeMap::new()));
    assert_eq!(counts(&operator.take(path, &retract).await), (0, 1, BTreeMap::new()));
    let reply = operator.take("/v1/conversions/adjust", &[adjust(1, 1.0)]).await;
    assert_eq!(counts(&reply), (0, 0, no(Reason::Retracted)));
    // The purchase and its two items, two adjustments, and what takes the three back.
    assert_eq!(operator.count("facts").await, 8);
}

#[tokio::test]
async fn other_sources_have_the_same_shape_and_their_own_consent() {
    let operator = Operator::start().await;
    let row = |source: Option<Scope>, scope: Scope| Reported {
        source,
        consent: granted(scope),
        ..purchase("L-1", &[UserIdentifier::LoyaltyId("4711".into())])
    };
    let rows = [
        row(Some(Scope::Loyalty), Scope::Loyalty),
        row(Some(Scope::ThirdParty), Scope::ThirdParty),
        row(Some(Scope::Conversion), Scope::Conversion),
        row(None, Scope::Loyalty),
        Reported {
            transaction_id: Some("L-2".into()),
            ..row(Some(Scope::ThirdParty), Scope::Loyalty)
        },
    ];
    let reply = operator.take("/v1/transactions", &rows).await;
    assert_eq!(reply.status.stored, 3, "what was said about third parties still holds");
    assert_eq!(reply.status.reasons.get(&Reason::WrongSource), Some(&1));
    assert_eq!(reply.status.reasons.get(&Reason::MissingField), Some(&1));

    let band = |name: &str, item: &str| Reported {
        event_timestamp: ago(60),
        event_name: name.into(),
        item: Some(item.into()),
        user_identifiers: vec![user("C-17")],
        consent: granted(Scope::Demographics),
        ..Reported::default()
    };
    let same = band("age_band", "25-34");
    let reply =
        operator.take("/v1/demographics", &[same.clone(), same, band("age_band", "34")]).await;
    assert_eq!(counts(&reply), (1, 1, no(Reason::NotBanded)));
}

#[tokio::test]
async fn only_a_key_for_replays_says_since_when_something_is_known() {
    let operator = Operator::with(&[KeyScope::Ingest]).await;
    let path = "/v1/conversions?known_at=event";
    let answer = operator.rows(path, &[purchase("T-1", &[email("ada")])]).await;
    check_problem(answer, 403, ErrorCode::Forbidden).await;

    let operator = Operator::start().await;
    let old = Reported {
        event_timestamp: "2000-11-20T00:00:00Z".into(),
        ..purchase("T-1", &[email("ada")])
    };
    let reply = operator.conversions(std::slice::from_ref(&old)).await;
    assert_eq!(counts(&reply), (0, 0, no(Reason::TooOld)));
    assert_eq!(operator.take(path, &[old]).await.status.stored, 1);
    let known: i64 = sqlx::query_scalar("SELECT known_unix_ms FROM facts")
        .fetch_one(&mut operator.server.database().await)
        .await
        .unwrap();
    assert_eq!(known, 974_678_400_000);
}

#[tokio::test]
async fn a_no_deletes_and_is_heard_in_a_bad_row() {
    let operator = Operator::start().await;
    operator
        .conversions(&[purchase("T-1", &[email("ada")]), purchase("T-2", &[email("bob")])])
        .await;
    let no = Reported {
        consent: denied(Scope::Conversion),
        currency: Some("canary".into()),
        event_timestamp: ago(60),
        ..purchase("T-3", &[email("ada")])
    };
    let reply = operator.conversions(&[no]).await;
    assert_eq!(reply.status.reasons, BTreeMap::from([(Reason::UnknownCurrency, 1)]));
    assert_eq!((operator.count("facts").await, operator.count("taken").await), (1, 1));
    assert_eq!(operator.server.audited("withdrawal").await, ["no to conversion; deleted 1 facts"]);
}

#[tokio::test]
async fn c14_a_no_is_heard_in_what_cannot_be_read() {
    let operator = Operator::start().await;
    for (name, forms) in [("ada", 0), ("bob", 1), ("eve", 2), ("kim", 3)] {
        let who = user(name);
        let bought = purchase(&format!("T-{name}"), std::slice::from_ref(&who));
        assert_eq!(operator.conversions(&[bought]).await.status.stored, 1);
        let consent = denied(Scope::Conversion);
        let reply = match forms {
            0 => {
                let row = json!({"canary": 1, "user_identifiers": [who], "consent": consent});
                operator.take("/v1/conversions", &[row]).await
            }
            1 => {
                let event = json!({"specversion": "1.0", "id": "e", "source": "s", "type": "t",
                    "data": {"user_identifiers": [who], "consent": consent}});
                operator.behaviour(&json!([event])).await
            }
            2 => {
                let row = json!({"event_timestamp": "2062-01-01T00:00:00Z",
                    "user_identifiers": [who], "consent": consent});
                operator.take("/v1/statements", &[row]).await
            }
            _ => {
                let table = format!(
                    "Conversion Name,Conversion Time,Conversion Value,User ID,Consent\n\
                     store_purchase,canary,\"1,50\",{name},denied\n"
                );
                let request = operator.post("/v1/conversions/csv").header(CONTENT_TYPE, "text/csv");
                request.body(table).send().await.unwrap().json().await.unwrap()
            }
        };
        assert_eq!((reply.status.stored, reply.status.refused), (0, 1), "{name}");
        assert_eq!(operator.count("facts").await, 0, "{name}");
        // It counts from its arrival: what happens later can be agreed to.
        let later = Reported {
            event_timestamp: ago(-60),
            ..purchase(&format!("L-{name}"), std::slice::from_ref(&who))
        };
        assert_eq!(operator.conversions(&[later]).await.status.stored, 1, "{name}");
        let no = Reported { consent, event_timestamp: ago(-120), ..purchase("N", &[who]) };
        operator.rows("/v1/conversions", &[no]).await;
        assert_eq!(operator.count("facts").await, 0, "{name}");
    }
}
