//! Each channel against a peer that speaks the protocol for real, over a socket.

use super::*;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
};

fn message(to: Address) -> Message {
    Message {
        id: Uuid::from_u128(7),
        to,
        subject: "Kaffee läuft aus\r\nBcc: eve@example.com".to_owned(),
        text: "You buy coffee about every 12 days.\n.\nSay yes: https://attune.example/a"
            .to_owned(),
        html: Some("<p>You buy <b>coffee</b> about every 12 days.</p>".to_owned()),
    }
}

fn email(to: &str) -> Message {
    message(Address::Email(to.parse().unwrap()))
}

/// aiosmtpd, a mail server that is not ours.
struct Peer {
    process: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl Peer {
    /// `None` where it is not installed.
    fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/delivery/tests/smtp_peer.py");
        let mut python = Command::new("/usr/bin/python3");
        let python = python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = python.stderr(Stdio::null()).spawn().ok()?;
        let mut lines = BufReader::new(process.stdout.take()?);
        let mut port = String::new();
        lines.read_line(&mut port).ok()?;
        let Ok(port) = port.trim().parse() else {
            println!("skipped: no python3-aiosmtpd: run `cargo xtask setup`");
            let _ = process.wait();
            return None;
        };
        Some(Self { process, lines, port })
    }

    fn config(&self, user: &str) -> SmtpConfig {
        let url = format!("smtp://{user}127.0.0.1:{}", self.port);
        SmtpConfig { url, from: "Attune <orders@shop.example>".to_owned() }
    }

    fn taken(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Asked politely, it would wait for connections that are kept.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn e_mail_arrives_whole_with_text_and_html_and_no_second_header() {
    let Some(mut peer) = Peer::start() else { return };
    let smtp = Smtp::new(&peer.config("attune:let%20me%20in@")).unwrap();
    let accepted = smtp.send(&email("ada@example.com")).await.unwrap();
    let reference = accepted.reference.unwrap();
    assert_eq!(reference, "<00000000-0000-0000-0000-000000000007@shop.example>");
    let taken = peer.taken();
    assert_eq!(taken["from"], "orders@shop.example");
    assert_eq!(taken["to"], json!(["ada@example.com"]));
    assert_eq!(taken["signed_in"], true);
    let text = taken["text"].as_str().unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Message-ID: {reference}")), "{head}");
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    assert!(head.contains("multipart/alternative"), "{head}");
    assert!(body.contains("text/plain") && body.contains("text/html"), "{body}");
    // A line with one dot does not end it.
    assert!(body.contains("\r\n.\r\nSay yes: https://attune.example/a"), "{body}");
    // The connection is used again.
    smtp.send(&email("bob@example.com")).await.unwrap();
    assert_eq!(peer.taken()["to"], json!(["bob@example.com"]));
}

#[tokio::test]
async fn what_a_relay_says_decides_whether_it_is_tried_again_and_is_not_repeated() {
    let Some(peer) = Peer::start() else { return };
    let smtp = Smtp::new(&peer.config("")).unwrap();
    let refused = smtp.send(&email("nobody@example.com")).await.unwrap_err();
    assert_eq!(refused, DeliveryError::Refused { channel: "email", status: 550 });
    let later = smtp.send(&email("later@example.com")).await.unwrap_err();
    assert!(later.is_transient());
    let wrong = Smtp::new(&peer.config("attune:wrong@")).unwrap();
    let wrong = wrong.send(&email("ada@example.com")).await.unwrap_err();
    assert_eq!(wrong, DeliveryError::Refused { channel: "email", status: 535 });
    let port = peer.port;
    drop(peer);
    let gone = smtp.send(&email("ada@example.com")).await.unwrap_err();
    assert!(gone.is_transient(), "{gone:?}");
    for error in [refused, later, wrong, gone] {
        let said = format!("{error} {error:?}");
        assert!(!said.contains("example.com") && !said.contains(&port.to_string()), "{said}");
    }
    let phone = message(Address::Phone("+491701234567".parse().unwrap()));
    assert_eq!(smtp.send(&phone).await, Err(DeliveryError::Address("email")));
}

#[tokio::test]
async fn a_relay_without_a_certificate_that_holds_gets_nothing() {
    let Some(mut peer) = Peer::start() else { return };
    // It offers no STARTTLS, and speaks no TLS at all.
    for url in [
        format!("smtp://127.0.0.1:{}?tls=required", peer.port),
        format!("smtps://127.0.0.1:{}", peer.port),
    ] {
        let smtp = Smtp::new(&SmtpConfig { url, ..peer.config("") }).unwrap();
        assert!(smtp.send(&email("ada@example.com")).await.unwrap_err().is_transient());
    }
    let plain = Smtp::new(&peer.config("")).unwrap();
    plain.send(&email("bob@example.com")).await.unwrap();
    assert_eq!(peer.taken()["to"], json!(["bob@example.com"]), "the first that it took");
    for url in ["smtp://mail.example", "smtp://mail.example?tls=opportunistic", "mail", ""] {
        let config = SmtpConfig { url: url.to_owned(), ..peer.config("") };
        assert!(matches!(Smtp::new(&config), Err(DeliveryError::Settings(_))), "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_falls_silent_is_waited_for_no_longer_than_said() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", silent.local_addr().unwrap());
    let smtp = Smtp::new(&SmtpConfig { url, from: "orders@shop.example".to_owned() }).unwrap();
    let error = smtp.send(&email("ada@example.com")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

/// What an SMS provider was asked: content type, authorization, body.
type Asked = Arc<Mutex<Vec<(String, String, String)>>>;

async fn provider(status: u16, answer: &'static str) -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let handler = move |State(asked): State<Asked>, headers: HeaderMap, body: Bytes| async move {
        let header =
            |name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let body = String::from_utf8(body.to_vec()).unwrap();
        asked.lock().unwrap().push((header("content-type"), header("authorization"), body));
        (axum::http::StatusCode::from_u16(status).unwrap(), [("location", "/send")], answer)
    };
    let router = Router::new().fallback(handler).with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

fn sms(address: SocketAddr, format: SmsFormat) -> Sms {
    let fields = ["To={to}", "Body={text}", "Key={id}", "From=Attune"];
    Sms::new(&SmsConfig {
        url: format!("http://{address}/send"),
        authorization: Some("Bearer secret".to_owned()),
        format,
        fields: fields.map(str::to_owned).to_vec(),
        reference: Some("sid".to_owned()),
    })
    .unwrap()
}

fn text_message() -> Message {
    message(Address::Phone("+491701234567".parse().unwrap()))
}

#[tokio::test]
async fn a_text_message_is_what_the_provider_wants() {
    let (address, asked) = provider(201, r#"{"sid": "SM1"}"#).await;
    let accepted = sms(address, SmsFormat::Json).send(&text_message()).await.unwrap();
    assert_eq!(accepted.reference.as_deref(), Some("SM1"));
    sms(address, SmsFormat::Form).send(&text_message()).await.unwrap();
    let asked = asked.lock().unwrap();
    let [(json_type, bearer, json_body), (form_type, _, form_body)] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!((json_type.as_str(), bearer.as_str()), ("application/json", "Bearer secret"));
    let body: Value = serde_json::from_str(json_body).unwrap();
    assert_eq!(body["To"], "+491701234567");
    assert_eq!(body["Body"], text_message().text);
    assert_eq!(body["Key"], "00000000-0000-0000-0000-000000000007");
    assert_eq!(form_type, "application/x-www-form-urlencoded");
    assert!(form_body.contains("To=%2B491701234567&") || form_body.ends_with("To=%2B491701234567"));
}

#[tokio::test]
async fn what_a_provider_says_decides_whether_it_is_tried_again() {
    for (status, transient) in [
        (400, false),
        (401, false),
        (307, false),
        (429, true),
        (408, true),
        (500, true),
        (503, true),
    ] {
        let (address, asked) = provider(status, "no: +491701234567").await;
        let error = sms(address, SmsFormat::Json).send(&text_message()).await.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{status}");
        assert!(!error.to_string().contains("4917"), "{error}");
        assert_eq!(asked.lock().unwrap().len(), 1, "a redirection is not followed");
    }
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let error = sms(address, SmsFormat::Json).send(&text_message()).await.unwrap_err();
    assert!(error.is_transient());
    let email = email("ada@example.com");
    assert_eq!(
        sms(address, SmsFormat::Json).send(&email).await,
        Err(DeliveryError::Address("sms"))
    );
}

#[tokio::test]
async fn who_looks_hears_of_it_and_nobody_has_to() {
    let in_app = InApp::default();
    let person = Uuid::from_u128(1);
    in_app.send(&message(Address::Person(person))).await.unwrap();
    let mut listener = in_app.clone().listen();
    in_app.send(&message(Address::Person(person))).await.unwrap();
    let notice = listener.recv().await.unwrap();
    assert_eq!((notice.person, notice.message), (person, Uuid::from_u128(7)));
    assert!(listener.try_recv().is_err(), "only what came since");
    assert!(in_app.send(&email("ada@example.com")).await.is_err());
}
