//! Tables and circumstances over a real socket.

use crate::support::{Operator, ago, check_problem, counts, now_unix_ms};
use protocol::{
    intake::{IntakeReply, Reason, RequestState, RequestStatus},
    problem::ErrorCode,
};
use reqwest::{Body, StatusCode, header::CONTENT_TYPE};
use serde_json::json;
use std::collections::BTreeMap;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

const HEADER: &str = "Google Click ID,Conversion Name,Conversion Time,Conversion Value,\
    Conversion Currency,Order ID,Consent\n";
const PATH: &str = "/v1/conversions/csv";

async fn send(operator: &Operator, path: &str, body: impl Into<Body>) -> reqwest::Response {
    operator.post(path).header(CONTENT_TYPE, "text/csv").body(body).send().await.unwrap()
}

#[tokio::test]
async fn a_table_is_stored_row_by_row() {
    let operator = Operator::start().await;
    let mut table = HEADER.to_owned();
    for n in 0..1_200 {
        let (time, currency) = (ago(60 + n), if n % 100 == 7 { "ZZZ" } else { "EUR" });
        table += &format!("click-{n},store_purchase,{time},19.90,{currency},T-{n},granted\n");
    }
    table += "click,store_purchase,2026-11-20T1";
    let answer = send(&operator, PATH, table.clone()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let reply: IntakeReply = answer.json().await.unwrap();
    let reasons = BTreeMap::from([(Reason::UnknownCurrency, 12), (Reason::HalfWritten, 1)]);
    assert_eq!(counts(&reply), (1_188, 0, reasons.clone()));
    let page = operator.request(reply.request_id.unwrap(), "").await;
    assert_eq!((page.status, page.errors[0].row), (reply.status, 8));
    let again: IntakeReply = send(&operator, PATH, table).await.json().await.unwrap();
    assert_eq!(counts(&again), (0, 1_188, reasons));
    assert_eq!(operator.count("facts").await, 1_188);
}

#[tokio::test]
async fn what_is_no_table_is_a_problem() {
    let operator = Operator::start().await;
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for body in [utf16, b"".to_vec(), b"canary,canary\n".to_vec()] {
        let problem =
            check_problem(send(&operator, PATH, body).await, 422, ErrorCode::Invalid).await;
        assert!(!problem.detail.contains("canary"));
    }
    let answer = operator.post(PATH).body("x").send().await.unwrap();
    check_problem(answer, 400, ErrorCode::Malformed).await;
    let answer = send(&operator, "/v1/conversions/csv?canary=1", HEADER).await;
    check_problem(answer, 422, ErrorCode::Invalid).await;
    let silent = format!("{HEADER}c,store_purchase,{},1,EUR,T-1,\n", ago(60));
    check_problem(send(&operator, PATH, silent.clone()).await, 403, ErrorCode::NoConsent).await;
    let said = send(&operator, "/v1/conversions/csv?consent=granted", silent).await;
    assert_eq!(said.json::<IntakeReply>().await.unwrap().status.stored, 1);
}

/// A table that is sent in pieces.
struct Pieces(TcpStream);

impl Pieces {
    async fn open(operator: &Operator) -> Self {
        let (authority, key) = (operator.server.authority(), &operator.key);
        let mut stream = TcpStream::connect(authority).await.unwrap();
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {key}\r\n\
             content-type: text/csv\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    async fn send(&mut self, text: &str) {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.0.write_all(chunk.as_bytes()).await.unwrap();
    }

    /// Ends it, properly or not; gives the answer.
    async fn end(mut self, with: &str) -> String {
        self.0.write_all(with.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn lines(range: std::ops::Range<i64>) -> String {
    let line = |n| format!("click-{n},store_purchase,{},19.90,EUR,T-{n},granted\n", ago(9_000 - n));
    range.map(line).collect()
}

/// Waits until the only request is as expected; gives its id.
async fn until(operator: &Operator, expected: impl Fn(&RequestStatus) -> bool) -> Uuid {
    let mut database = operator.server.database().await;
    loop {
        let found: Option<(Vec<u8>, String)> = sqlx::query_as("SELECT id, status FROM requests")
            .fetch_optional(&mut database)
            .await
            .unwrap();
        if let Some((id, status)) = found
            && expected(&serde_json::from_str(&status).unwrap())
        {
            return Uuid::from_slice(&id).unwrap();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_long_table_is_not_known_before_it_came() {
    let operator = Operator::start().await;
    let mut pieces = Pieces::open(&operator).await;
    pieces.send(&format!("{HEADER}{}", lines(0..500))).await;
    until(&operator, |status| status.rows == 500).await;
    let between = now_unix_ms();
    pieces.send(&lines(500..1_000)).await;
    assert!(pieces.end("0\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    let known: Vec<i64> = sqlx::query_scalar("SELECT known_unix_ms FROM facts ORDER BY at_unix_ms")
        .fetch_all(&mut operator.server.database().await)
        .await
        .unwrap();
    assert!(known[..500].iter().all(|known| *known <= between));
    assert!(known[500..].iter().all(|known| *known >= between));
}

#[tokio::test]
async fn a_table_that_breaks_off_says_how_far_it_came() {
    let operator = Operator::start().await;
    let mut pieces = Pieces::open(&operator).await;
    pieces.send(&format!("{HEADER}{}click,store_pur", lines(0..700))).await;
    let answer = pieces.end("this is no chunk\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("the first 700 rows were taken, 700 of them stored"), "{answer}");
    let id = until(&operator, |status| status.state == RequestState::Broken).await;
    assert!(answer.contains(&format!("location: /v1/requests/{id}")), "{answer}");
    let page = operator.request(id, "").await;
    assert_eq!((page.status.rows, page.status.stored), (700, 700));
}

#[tokio::test]
async fn a_request_does_not_run_for_ever() {
    let operator = Operator::start().await;
    let mut pieces = Pieces::open(&operator).await;
    pieces.send(&format!("{HEADER}{}", lines(0..500))).await;
    let id = until(&operator, |status| status.rows == 500).await;
    drop(pieces);
    until(&operator, |status| status.state == RequestState::Broken).await;
    // As a crash would have left it.
    sqlx::query("UPDATE requests SET status = replace(status, 'broken', 'running')")
        .execute(&mut operator.server.database().await)
        .await
        .unwrap();
    let Operator { server, key } = operator;
    let operator = Operator { server: server.restart().await, key };
    let status = operator.request(id, "").await.status;
    assert_eq!((status.state, status.rows, status.stored), (RequestState::Broken, 500, 500));
}

#[tokio::test]
async fn circumstances_are_about_places() {
    let operator = Operator::start().await;
    let row = |number: f64, seconds: i64| {
        json!({"place": "berlin", "name": "rain_mm", "event_timestamp": ago(seconds),
            "number": number})
    };
    let (now, forecast, far) = (row(1.5, 60), row(-2.0, -86_400), row(0.0, -400 * 86_400));
    let path = "/v1/context?known_at=event";
    let reply = operator.take(path, &[now.clone(), forecast.clone(), far, now.clone()]).await;
    let in_future = BTreeMap::from([(Reason::InFuture, 1)]);
    assert_eq!(counts(&reply), (2, 1, in_future), "nothing is known before it is told");
    // Told again, by now or as of then, it is no news; another number is.
    for path in [path, "/v1/context", "/v1/context"] {
        let reply = operator.take(path, &[now.clone(), forecast.clone()]).await;
        assert_eq!(counts(&reply), (0, 2, BTreeMap::new()), "{path}");
    }
    let mut news = forecast.clone();
    news["number"] = 1.0.into();
    for (row, expected) in [(&news, (1, 0)), (&news, (0, 1)), (&forecast, (1, 0))] {
        let reply = operator.take("/v1/context", &[row]).await;
        assert_eq!((reply.status.stored, reply.status.duplicates), expected);
    }
    assert_eq!(operator.count("circumstances").await, 4);
    let mut other = now;
    other["number"] = 9.0.into();
    let reply = operator.take(path, &[other]).await;
    assert_eq!(counts(&reply), (0, 0, BTreeMap::from([(Reason::Conflict, 1)])));
    let far = row(0.0, -400 * 86_400);
    let reply = operator.take("/v1/context", &[far]).await;
    assert_eq!(counts(&reply), (0, 0, BTreeMap::from([(Reason::InFuture, 1)])));
}
