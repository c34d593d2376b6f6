//! A person's page and the links of messages, as a browser without scripts uses them.

use crate::support::{HOUR_MS, Running, Shopping, now_unix_ms};
use reqwest::{Response, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;
use server::orders::{life::Proposal, pass::Passes, signing::Action};
use uuid::Uuid;

const ADA: Uuid = Uuid::from_u128(0xada);
const BOB: Uuid = Uuid::from_u128(0xb0b);

async fn text(response: Response, status: StatusCode) -> String {
    let found = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    text
}

async fn read(server: &Running, path: &str, status: u16) -> String {
    let answer = server.get(path).send().await.unwrap();
    text(answer, StatusCode::from_u16(status).unwrap()).await
}

async fn send(server: &Running, path: &str, form: &str) -> Response {
    let request = server.client.post(format!("{}{path}", server.url));
    let kind = "application/x-www-form-urlencoded";
    request.header(CONTENT_TYPE, kind).body(form.to_owned()).send().await.unwrap()
}

/// Sends a form that is taken, and gives the page that it leads to.
async fn taken(server: &Running, path: &str, form: &str) -> String {
    let answer = send(server, path, form).await;
    let to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
    text(answer, StatusCode::SEE_OTHER).await;
    read(server, &to.unwrap(), 200).await
}

async fn refused(server: &Running, path: &str, form: &str, status: u16) -> String {
    let answer = send(server, path, form).await;
    text(answer, StatusCode::from_u16(status).unwrap()).await
}

/// The hidden fields of an order's form for an act, as the page has them.
fn form(page: &str, order: Uuid, act: &str) -> String {
    let mut forms = page.split("<form").filter(|form| form.contains(&format!("/orders/{order}\"")));
    let named = format!("name=\"act\" value=\"{act}\"");
    let form =
        forms.find(|form| form.contains(&named)).unwrap_or_else(|| panic!("no {act}: {page}"));
    let value = |part: &str, name: &str| {
        part.split_once(&format!("{name}=\""))
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(value, _)| value.to_owned())
    };
    let inputs = form.split("<input").skip(1).filter(|input| input.contains("type=\"hidden\""));
    let fields = inputs.map(|input| {
        format!("{}={}", value(input, "name").unwrap(), value(input, "value").unwrap())
    });
    fields.collect::<Vec<_>>().join("&")
}

fn approval(proposal: &Proposal, command: Uuid) -> String {
    let (seen, total) = (proposal.quote.id(), proposal.quote.total_minor());
    format!("act=approve&command={command}&seen={seen}&total_minor={total}")
}

fn orders(page: &str, order: Uuid) -> String {
    format!("{page}/orders/{order}")
}

#[tokio::test]
async fn the_four_answers_by_plain_forms_and_a_second_tap() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    let mut made = Vec::new();
    for title in ["Coffee", "Tea", "Milk", "Soap"] {
        made.push(shopping.propose(ADA, title, 0).await.order);
    }
    let home = shopping.page(ADA);
    let page = read(server, &home, 200).await;
    for said in ["2 × Coffee", "25.80 EUR", "you buy this about every 12 days", "93 % sure"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let approve = form(&page, made[0], "approve");
    for _ in 0..2 {
        let after = taken(server, &orders(&home, made[0]), &approve).await;
        assert!(after.contains("Thank you. It is ordered"), "{after}");
        assert!(after.contains("Take it back"), "{after}");
    }
    let order = shopping.order(made[0]).await;
    assert_eq!(order["status"], "approved");
    let approvals = order["events"].as_array().unwrap().iter();
    let approvals = approvals.filter(|event| event["what"]["type"] == "approved").count();
    assert_eq!(approvals, 1, "a second tap is the same tap");

    let after = taken(server, &orders(&home, made[1]), &form(&page, made[1], "cancel")).await;
    assert!(after.contains("Cancelled. Nothing is bought."), "{after}");
    assert_eq!(shopping.order(made[1]).await["status"], "cancelled");

    let after = taken(server, &orders(&home, made[2]), &form(&page, made[2], "delay")).await;
    assert!(after.contains("Put off. We will ask again."), "{after}");
    assert_eq!(shopping.order(made[2]).await["status"], "delayed");

    let five = format!("{}&quantity=5", form(&page, made[3], "modify"));
    let after = taken(server, &orders(&home, made[3]), &five).await;
    assert!(after.contains("5 × Soap") && after.contains("64.50 EUR"), "{after}");
    // What was shown before cannot be bought any more.
    let old = form(&page, made[3], "approve");
    let after = refused(server, &orders(&home, made[3]), &old, 409).await;
    assert!(after.contains("It now comes to 64.50 EUR"), "{after}");
    // Nor can somebody else's order be answered, or one that is none.
    shopping.propose(BOB, "Rice", 0).await;
    let elsewhere = shopping.page(BOB);
    let cancel = format!("act=cancel&command={}", Uuid::now_v7());
    refused(server, &orders(&elsewhere, made[3]), &cancel, 410).await;
    refused(server, &orders(&home, Uuid::now_v7()), &cancel, 410).await;
    refused(server, &format!("{home}/orders/x"), &cancel, 410).await;
    let after = refused(server, &orders(&home, made[3]), "act=approve", 422).await;
    assert!(after.contains("Something was missing"), "{after}");
}

#[tokio::test]
async fn a_dearer_price_and_a_limit_are_told_beside_the_order() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    let proposal = shopping.propose(ADA, "Coffee", 0).await;
    let home = shopping.page(ADA);
    shopping.asks(1_400);
    let path = orders(&home, proposal.order);
    let after = taken(server, &path, &approval(&proposal, Uuid::now_v7())).await;
    assert!(after.contains("The shop now wants more") && after.contains("28.00 EUR"), "{after}");
    let wishes = format!("{home}/wishes");
    let after = taken(server, &wishes, "group=limits&limit.month.EUR=20&limit.day.EUR=").await;
    assert!(after.contains("20.00 EUR a month"), "{after}");
    let page = read(server, &home, 200).await;
    let after = refused(server, &path, &form(&page, proposal.order, "approve"), 409).await;
    assert!(after.contains("8.00 EUR more than your limit of 20.00 EUR a month"), "{after}");
    assert!(after.contains("In a week"), "it still waits: {after}");
}

#[tokio::test]
async fn who_answers_too_late_buys_nothing() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    let proposal = shopping.propose(ADA, "Coffee", 50 * HOUR_MS).await;
    let home = shopping.page(ADA);
    let path = orders(&home, proposal.order);
    let after = refused(server, &path, &approval(&proposal, Uuid::now_v7()), 409).await;
    assert!(after.contains("The time was over, and nothing was bought"), "{after}");
    let page = read(server, &home, 200).await;
    assert!(page.contains("No answer in time, nothing bought"), "{page}");
}

#[tokio::test]
async fn of_two_devices_one_is_heard_and_the_other_is_told() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    let proposal = shopping.propose(ADA, "Kaffee", 0).await;
    let home = shopping.page(ADA);
    taken(server, &format!("{home}/wishes"), "group=language&language=de&zone=Europe/Berlin").await;
    let path = orders(&home, proposal.order);
    let [one, other] = [1, 2].map(|number| approval(&proposal, Uuid::from_u128(number)));
    let (one, other) = tokio::join!(send(server, &path, &one), send(server, &path, &other));
    let (first, second) =
        if one.status() == StatusCode::CONFLICT { (other, one) } else { (one, other) };
    text(first, StatusCode::SEE_OTHER).await;
    let told = text(second, StatusCode::CONFLICT).await;
    assert!(told.contains("Das war schon beantwortet, am "), "{told}");
    assert!(told.contains("auf dieser Seite. Sie können es noch zurücknehmen."), "{told}");
    assert!(told.contains("lang=\"de\"") && told.contains("25,80 EUR"), "{told}");
}

#[tokio::test]
async fn opening_a_link_changes_nothing_and_its_button_does_it_once() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    let (coffee, tea) =
        (shopping.propose(ADA, "Coffee", 0).await, shopping.propose(ADA, "Tea", 0).await);
    let total_minor = coffee.quote.total_minor();
    let later = Action::Delay { until_unix_ms: now_unix_ms() + 48 * HOUR_MS };
    let approve = shopping.link(&coffee, Action::Approve { total_minor });
    let links = [Action::Approve { total_minor }, Action::Cancel, later, Action::Modify]
        .map(|action| shopping.link(&coffee, action));
    for (link, button) in links.iter().zip(["Order it", "No, thank you", "Ask me again", "Open"]) {
        for _ in 0..2 {
            let page = read(server, link, 200).await;
            assert!(page.contains(button) && page.contains("25.80 EUR"), "{page}");
        }
    }
    let commands = |order: &Value| {
        let events = order["events"].as_array().unwrap().clone();
        events.iter().filter(|event| event["by"]["actor"] == "person").count()
    };
    assert_eq!(commands(&shopping.order(coffee.order).await), 0, "nothing was done");

    let cancel = &links[1];
    for _ in 0..2 {
        let after = taken(server, cancel, "").await;
        assert!(after.contains("Answered") && after.contains("Cancelled. Nothing is bought."));
    }
    assert_eq!(commands(&shopping.order(coffee.order).await), 1);
    let over = read(server, &approve, 200).await;
    assert!(over.contains("This needs no answer any more") && !over.contains("<button"), "{over}");
    let told = refused(server, &approve, "", 409).await;
    assert!(told.contains("Nothing was bought"), "{told}");

    // Changed since the message.
    let approve = shopping.link(&tea, Action::Approve { total_minor: tea.quote.total_minor() });
    let modify = send(server, &shopping.link(&tea, Action::Modify), "").await;
    let home = modify.headers()["location"].to_str().unwrap().to_owned();
    assert!(home.starts_with("/me/"), "{home}");
    let home = home.split('#').next().unwrap();
    let page = read(server, home, 200).await;
    let five = format!("{}&quantity=5", form(&page, tea.order, "modify"));
    taken(server, &orders(home, tea.order), &five).await;
    let changed = read(server, &approve, 200).await;
    assert!(changed.contains("This order has changed") && !changed.contains("<button"));
    let told = refused(server, &approve, "", 409).await;
    assert!(told.contains("It now comes to 64.50 EUR"), "{told}");
}

#[tokio::test]
async fn forged_and_old_addresses_say_what_to_do() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    let proposal = shopping.propose(ADA, "Coffee", 0).await;
    let past = now_unix_ms() - 1;
    let old = shopping.passes.make(ADA, past);
    let forged = Passes::new(&[7; 32]).make(ADA, now_unix_ms() + HOUR_MS);
    let nobody = shopping.passes.make(BOB, now_unix_ms() + HOUR_MS);
    for (pass, status, said) in
        [(&old, 410, "too old"), (&forged, 404, "not whole"), (&nobody, 410, "Nobody is known")]
    {
        for rest in ["", "/stream", "/data", "/forget"] {
            let page = read(server, &format!("/me/{pass}{rest}"), status).await;
            assert!(page.contains(said) && !page.contains("Coffee"), "{page}");
        }
        let cancel = format!("act=cancel&command={}", Uuid::now_v7());
        let path = format!("/me/{pass}");
        refused(server, &orders(&path, proposal.order), &cancel, status).await;
        refused(server, &format!("{path}/wishes"), "group=asked&do=stop", status).await;
        refused(server, &format!("{path}/forget"), "sure=yes", status).await;
    }
    let mut link = shopping.link(&proposal, Action::Cancel);
    let last = if link.pop() == Some('A') { 'E' } else { 'A' };
    link.push(last);
    for method in ["get", "post"] {
        let answer = match method {
            "get" => server.get(&link).send().await.unwrap(),
            _ => send(server, &link, "").await,
        };
        assert!(text(answer, StatusCode::NOT_FOUND).await.contains("not whole"));
    }
    let status = shopping.order(proposal.order).await["status"].clone();
    assert!(status == "proposed" || status == "notified", "{status}");
    // In the language of whoever opened it.
    let german = server.get(&link).header("accept-language", "de-DE,de;q=0.9,en;q=0.5");
    let german = text(german.send().await.unwrap(), StatusCode::NOT_FOUND).await;
    assert!(german.contains("Diese Adresse ist nicht vollständig"), "{german}");
}

#[tokio::test]
async fn c3_pausing_and_stopping_end_what_waits() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    let home = shopping.page(ADA);
    for (wish, how) in
        [("pause", "Ended by your pause"), ("stop", "Ended: you no longer want to be asked")]
    {
        let order = shopping.propose(ADA, wish, 0).await.order;
        let after =
            taken(server, &format!("{home}/wishes"), &format!("group=asked&do={wish}")).await;
        assert!(after.contains(how) && !after.contains("class=\"primary\" aria"), "{after}");
        assert_eq!(shopping.order(order).await["status"], "cancelled");
        taken(server, &format!("{home}/wishes"), "group=asked&do=agree").await;
    }
}

#[tokio::test]
async fn wishes_that_cannot_be_are_named_and_change_nothing() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    shopping.propose(ADA, "Coffee", 0).await;
    let home = shopping.page(ADA);
    let wishes = format!("{home}/wishes");
    for (form, said) in [
        ("group=reach&channel=email&email=&phone=", "Please give the address"),
        ("group=reach&channel=in_app&email=ada&phone=", "This is no e-mail address"),
        ("group=reach&channel=in_app&email=&phone=12", "This is no phone number"),
        ("group=language&language=de&zone=no/where", "This is no time zone"),
        ("group=limits&limit.day.EUR=1.000,50", "An amount is a number"),
        ("group=nothing", "Something was missing"),
    ] {
        let after = refused(server, &wishes, form, 422).await;
        assert!(after.contains(said), "{form}: {after}");
    }
    let after =
        taken(server, &wishes, "group=reach&channel=in_app&email=ada@example.com&phone=").await;
    assert!(after.contains("value=\"ada@example.com\"") && after.contains("Saved."), "{after}");
    let after = taken(server, &wishes, "group=feel&feel=careful").await;
    assert!(after.contains("You have not answered yet, so we ask when we are"), "{after}");
    assert!(after.contains("value=\"careful\" checked"), "{after}");
}

#[tokio::test]
async fn c15_who_wants_to_be_forgotten_is() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    let proposal = shopping.propose(ADA, "Coffee", 0).await;
    let home = shopping.page(ADA);
    let known: Value =
        server.get(&format!("{home}/data")).send().await.unwrap().json().await.unwrap();
    assert!(known["tables"]["order_events"].as_array().is_some_and(|rows| !rows.is_empty()));
    let question = read(server, &format!("{home}/forget"), 200).await;
    assert!(question.contains("cannot be undone"), "{question}");
    refused(server, &format!("{home}/forget"), "", 422).await;
    assert_eq!(shopping.order(proposal.order).await["id"], proposal.order.to_string());
    let gone = refused(server, &format!("{home}/forget"), "sure=yes", 200).await;
    assert!(gone.contains("You are forgotten"), "{gone}");
    let rows = server.rows().await;
    for table in ["orders", "order_events", "order_people", "subjects"] {
        assert_eq!(rows[table], 0, "{table}");
    }
    assert_eq!(server.audited("erasure").await.len(), 1);
    read(server, &home, 410).await;
    read(server, &shopping.link(&proposal, Action::Cancel), 410).await;
}

#[tokio::test]
async fn pages_are_for_their_person_alone_and_nothing_in_them_runs() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    let proposal = shopping.propose(ADA, "<script>alert(1)</script>", 0).await;
    let home = shopping.page(ADA);
    for path in [&home, &shopping.link(&proposal, Action::Cancel), &format!("{home}x")] {
        let answer = server.get(path).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-robots-tag"), "noindex, nofollow");
        assert!(header("content-security-policy").starts_with("default-src 'self';"));
        let page = answer.text().await.unwrap();
        let handler = |rest: &str| {
            let name = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
            name.starts_with('=') && name.len() < rest.len()
        };
        assert!(!page.split(" on").skip(1).any(handler), "{page}");
        assert!(!page.contains("<script>") && !page.contains("style="), "{page}");
    }
    let page = read(server, &home, 200).await;
    assert!(page.contains("&#60;script&#62;"), "{page}");
}

/// Reads a stream until it said `anew`, and gives all that came.
async fn anew(stream: &mut Response) -> String {
    let mut heard = String::new();
    while !heard.contains("\n\n") {
        let chunk = stream.chunk().await.unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    heard
}

#[tokio::test]
async fn streams_tell_a_person_of_their_own_changes_only() {
    let shopping = Shopping::start().await;
    let server = &shopping.server;
    shopping.propose(ADA, "Coffee", 0).await;
    shopping.propose(BOB, "Tea", 0).await;
    let (ada, bob) = (shopping.page(ADA), shopping.page(BOB));
    for order in ["Coffee", "Tea"] {
        // What waits to be told would be heard, too.
        let home = if order == "Coffee" { &ada } else { &bob };
        taken(server, &format!("{home}/wishes"), "group=asked&do=stop").await;
    }
    let mut page = server.get(&format!("{ada}/stream")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let app = server.get(&format!("/v1/people/{ADA}/orders/stream")).bearer_auth(&shopping.key);
    let mut app = app.send().await.unwrap();
    let wishes = |home: &str| format!("{home}/wishes");
    taken(server, &wishes(&bob), "group=feel&feel=eager").await;
    taken(server, &wishes(&ada), "group=feel&feel=eager").await;
    for stream in [&mut page, &mut app] {
        assert_eq!(anew(stream).await, "event: anew\ndata: {}\n\n");
    }
}
