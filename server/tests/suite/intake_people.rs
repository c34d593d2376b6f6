//! Who is who over a real socket: linked by what rows name together, taken apart, erased and exported
//! as one person.

use crate::support::{
    Device, Operator, ago, check_problem, denied, email, granted, now_unix_ms, purchase, share,
    user,
};
use protocol::{
    consent::{ConsentState, Modality},
    intake::{Reason, Reported, Scope, UserIdentifier},
    problem::ErrorCode,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use server::privacy;
use uuid::Uuid;

async fn resolve(operator: &Operator, who: &[UserIdentifier]) -> Vec<Value> {
    let body = json!({"user_identifiers": who});
    let answer = operator.post("/v1/people/resolve").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json::<Value>().await.unwrap()["people"].as_array().unwrap().clone()
}

/// The one person that identifiers lead to.
async fn person(operator: &Operator, who: &[UserIdentifier]) -> Uuid {
    let people = resolve(operator, who).await;
    assert_eq!(people.len(), 1);
    people[0]["person"].as_str().unwrap().parse().unwrap()
}

fn behaviour(id: &str, who: &[UserIdentifier], seconds_ago: i64) -> Value {
    json!([{"specversion": "1.0", "id": id, "source": "s", "type": "page_view",
        "time": ago(seconds_ago), "data": {"user_identifiers": who,
        "consent": {"behaviour": "granted"}}}])
}

fn pseudonym(device: &Device) -> UserIdentifier {
    UserIdentifier::DevicePseudonym(device.person.to_string())
}

#[tokio::test]
async fn rows_that_name_two_link_them_and_a_split_takes_them_apart() {
    let operator = Operator::start().await;
    operator.conversions(&[purchase("T-1", &[email("ada")])]).await;
    operator.conversions(&[purchase("T-2", &[user("C-17")])]).await;
    let both = [email("ada"), user("C-17")];
    assert_eq!(resolve(&operator, &both).await.len(), 2);
    let (ada, c17) = (person(&operator, &both[..1]).await, person(&operator, &both[1..]).await);
    operator.conversions(&[purchase("T-3", &both)]).await;
    assert_eq!(person(&operator, &both).await, ada, "the older names both");
    assert_eq!(operator.server.audited("link").await.len(), 1);

    let split = format!("/v1/people/{c17}/split");
    let answer = operator.post(&split).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(resolve(&operator, &both).await.len(), 2);
    check_problem(operator.post(&split).send().await.unwrap(), 409, ErrorCode::Conflict).await;
    let nobody = format!("/v1/people/{}/split", Uuid::now_v7());
    check_problem(operator.post(&nobody).send().await.unwrap(), 404, ErrorCode::NotFound).await;
    assert_eq!(operator.server.audited("split").await.len(), 2);

    let link = json!({"user_identifiers": both});
    let linked = operator.post("/v1/people/link").json(&link).send().await.unwrap();
    assert_eq!(linked.json::<Value>().await.unwrap()["nodes"], json!([ada, c17]));
    // Taking out the node that names the group leaves the others their oldest.
    operator.post(&format!("/v1/people/{ada}/split")).send().await.unwrap();
    assert_eq!(person(&operator, &both[1..]).await, c17);
}

#[tokio::test]
async fn an_address_that_everybody_uses_links_nobody() {
    let operator = Operator::start().await;
    let rows: Vec<Reported> = (0..60)
        .map(|n| purchase(&format!("T-{n}"), &[email("shop"), user(&format!("{n}"))]))
        .collect();
    let reply = operator.conversions(&rows).await;
    assert_eq!(reply.status.reasons.get(&Reason::SharedIdentifier), Some(&29));
    assert_eq!(reply.status.stored, 31);
}

#[tokio::test]
async fn c13_a_device_is_linked_only_by_its_own_receipt() {
    let operator = Operator::start().await;
    let mut device = Device::new();
    let both = [user("C-17"), pseudonym(&device)];
    let unproved =
        operator.conversions(&[purchase("T-0", &[user("x")]), purchase("T-1", &both)]).await;
    assert_eq!(unproved.status.reasons.get(&Reason::NoConsent), Some(&1));
    let given = device.give(&[Modality::Eda]);
    operator.server.consent(&device, &[given]).await;
    let link = json!({"user_identifiers": [user("x"), pseudonym(&device)]});
    let refused = operator.post("/v1/people/link").json(&link).send().await.unwrap();
    check_problem(refused, 403, ErrorCode::NoConsent).await;

    let given = device.give(&[Modality::Behaviour]);
    operator.server.consent(&device, &[given]).await;
    assert_eq!(operator.conversions(&[purchase("T-1", &both)]).await.status.stored, 1);
    assert_eq!(person(&operator, &both[1..]).await, person(&operator, &both[..1]).await);
    assert_eq!(operator.behaviour(&behaviour("e-1", &both[..1], 60)).await.status.stored, 1);

    // Withdrawn on the device, it ends what operators report, and what they report late.
    let facts = operator.count("facts").await;
    let withdrawn = device.withdraw();
    operator.server.consent(&device, &[withdrawn]).await;
    assert_eq!(operator.count("facts").await, facts - 1);
    let regiven = device.give(&[Modality::Behaviour]);
    operator.server.consent(&device, &[regiven]).await;
    let late = serde_json::to_vec(&behaviour("e-2", &both[..1], 60)).unwrap();
    let kind = "application/cloudevents-batch+json";
    let request = operator.post("/v1/behaviour").header("content-type", kind).body(late);
    check_problem(request.send().await.unwrap(), 403, ErrorCode::NoConsent).await;
    let paused =
        device.append(device.next_record(ConsentState::Paused, vec![share(Modality::Behaviour)]));
    operator.server.consent(&device, &[paused]).await;
    let now = serde_json::to_vec(&behaviour("e-3", &both[..1], 0)).unwrap();
    let request = operator.post("/v1/behaviour").header("content-type", kind).body(now);
    check_problem(request.send().await.unwrap(), 403, ErrorCode::NoConsent).await;
}

#[tokio::test]
async fn c15_export_and_erasure_reach_every_pseudonym() {
    let operator = Operator::start().await;
    let mut device = Device::new();
    let given = device.give(&[Modality::Eda, Modality::Behaviour]);
    operator.server.consent(&device, &[given]).await;
    let event = device.eda();
    operator.server.events(&device, &[event]).await;
    operator.conversions(&[purchase("T-1", &[email("ada")])]).await;
    operator.conversions(&[purchase("T-2", &[user("C-17"), pseudonym(&device)])]).await;
    operator.conversions(&[purchase("T-3", &[user("C-17"), email("ada")])]).await;
    operator.conversions(&[purchase("T-9", &[email("bob")])]).await;

    let path = format!("/v1/people/{}/export", device.person);
    let export: Value =
        operator.server.ask(&device, Method::GET, &path, vec![]).await.json().await.unwrap();
    let tables = &export["tables"];
    assert_eq!(tables["subjects"].as_array().unwrap().len(), 3);
    assert_eq!(tables["facts"].as_array().unwrap().len(), 3);
    assert_eq!(tables["identifiers"].as_array().unwrap().len(), 2);
    assert_eq!(tables["events"].as_array().unwrap().len(), 1);
    assert_eq!(tables["facts"][0]["body"]["name"], "store_purchase");
    assert_eq!(export["heads"].as_array().unwrap().len(), 1);

    // Asked for by any pseudonym.
    let ada = person(&operator, &[email("ada")]).await;
    let same =
        privacy::export(operator.server.location(), ada, now_unix_ms()).await.unwrap().unwrap();
    assert_eq!(same["tables"]["facts"].as_array().unwrap().len(), 3);

    let erase = format!("/v1/people/{}", device.person);
    let erased = operator.server.ask(&device, Method::DELETE, &erase, vec![]).await;
    assert_eq!(erased.status(), StatusCode::NO_CONTENT);
    let rows = operator.server.rows().await;
    for table in ["facts", "taken", "subjects", "identifiers", "statements"] {
        assert_eq!(rows[table], 1, "bob stays in {table}");
    }
    for table in ["events", "receipts", "people", "devices"] {
        assert_eq!(rows[table], 0, "{table}");
    }
    assert_eq!(
        privacy::export(operator.server.location(), ada, now_unix_ms()).await.unwrap(),
        None
    );
    // What happened before is not taken any more; what happens after, with a new Yes, is.
    let late = operator.conversions(&[purchase("T-1", &[email("ada")])]).await;
    assert_eq!(late.status.reasons.get(&Reason::Erased), Some(&1));
    let device_again = operator.conversions(&[purchase("T-4", &[pseudonym(&device)])]).await;
    assert_eq!(device_again.status.reasons.get(&Reason::Erased), Some(&1));
    let new = Reported { event_timestamp: ago(-1), ..purchase("T-5", &[email("ada")]) };
    assert_eq!(operator.conversions(&[new]).await.status.stored, 1);
    assert_eq!(operator.server.audited("erasure").await.len(), 3);
    privacy::verify_audit(operator.server.location()).await.unwrap();
}

#[tokio::test]
async fn c14_a_no_under_one_identifier_is_heard_under_all() {
    let operator = Operator::start().await;
    operator.conversions(&[purchase("T-1", &[email("ada")])]).await;
    let no = Reported {
        consent: denied(Scope::Conversion),
        event_timestamp: ago(60),
        ..purchase("T-2", &[user("C-17")])
    };
    operator.rows("/v1/conversions", &[no]).await;
    assert_eq!(operator.count("facts").await, 1, "nobody knows yet that they are one");
    let link = Reported {
        consent: granted(Scope::Conversion),
        event_timestamp: ago(0),
        ..purchase("T-3", &[user("C-17"), email("ada")])
    };
    assert_eq!(operator.conversions(&[link]).await.status.stored, 1);
    assert_eq!(operator.count("facts").await, 1, "what was before the No is deleted");
    let late = operator.rows("/v1/conversions", &[purchase("T-4", &[email("ada")])]).await;
    check_problem(late, 403, ErrorCode::NoConsent).await;
}

#[tokio::test]
async fn what_leads_to_nobody_says_so() {
    let operator = Operator::start().await;
    for path in ["/v1/people/resolve", "/v1/people/link"] {
        let ask = |who: Value| operator.post(path).json(&json!({"user_identifiers": who})).send();
        let nobody = ask(json!([user("C-17")])).await.unwrap();
        check_problem(nobody, 404, ErrorCode::NotFound).await;
        for bad in [json!([]), json!([{"email_address": "ada@example.com"}])] {
            check_problem(ask(bad).await.unwrap(), 422, ErrorCode::Invalid).await;
        }
    }
}

#[tokio::test]
async fn c14_a_no_stays_with_whom_it_was_said_of_when_a_person_is_taken_apart() {
    let operator = Operator::start().await;
    let both = [user("C-17"), email("ada")];
    operator.conversions(&[purchase("T-1", &both[..1]), purchase("T-2", &both[1..])]).await;
    operator.conversions(&[purchase("T-3", &both)]).await;
    let no = Reported {
        consent: denied(Scope::Conversion),
        event_timestamp: ago(1_800),
        ..purchase("T-4", &both[1..])
    };
    let refused = operator.rows("/v1/conversions", &[no]).await;
    check_problem(refused, 403, ErrorCode::NoConsent).await;
    assert_eq!(operator.count("facts").await, 0);

    let whole = resolve(&operator, &both).await;
    let mut nodes: Vec<Uuid> = serde_json::from_value(whole[0]["nodes"].clone()).unwrap();
    let second = nodes.pop().unwrap();
    operator.post(&format!("/v1/people/{second}/split")).send().await.unwrap();
    // It was said with the address, so it holds for who has it.
    let late = operator.rows("/v1/conversions", &[purchase("T-2", &both[1..])]).await;
    check_problem(late, 403, ErrorCode::NoConsent).await;
}

#[tokio::test]
async fn c15_neither_a_no_nor_a_link_brings_an_erased_person_back() {
    let mut operator = Operator::start().await;
    operator.conversions(&[purchase("T-1", &[email("ada")])]).await;
    operator.conversions(&[purchase("T-2", &[user("C-17")])]).await;
    let ada = person(&operator, &[email("ada")]).await;
    operator.server.shut_down().await;
    privacy::erase(operator.server.location(), ada, now_unix_ms()).await.unwrap().unwrap();
    operator.server = operator.server.restart_after_stop().await;
    let before = operator.server.rows().await;
    let no = Reported { consent: denied(Scope::Conversion), ..purchase("T-1", &[email("ada")]) };
    operator.conversions(&[no]).await;
    let link = json!({"user_identifiers": [user("C-17"), email("ada")]});
    let refused = operator.post("/v1/people/link").json(&link).send().await.unwrap();
    assert!(refused.status().is_client_error(), "{}", refused.status());
    let after = operator.server.rows().await;
    for table in ["subjects", "identifiers", "statements"] {
        assert_eq!(after[table], before[table], "{table}");
    }
}
