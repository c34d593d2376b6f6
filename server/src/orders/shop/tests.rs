//! Against a service that checks signatures, over a socket.

use super::*;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response as Answer},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

const SECRET: &[u8] = b"a secret of at least 24 bytes";
const NOW_UNIX_S: i64 = 1_795_305_600;

fn config(address: SocketAddr) -> WebhookConfig {
    let secret = format!("{SECRET_PREFIX}{}", STANDARD.encode(SECRET));
    WebhookConfig { url: format!("http://{address}/shop/"), secret }
}

/// What was asked: path, id and body.
type Asked = Arc<Mutex<Vec<(String, String, String)>>>;

/// A service that gives the same answer to everything that is signed.
async fn service(status: u16, answer: &'static str) -> (Webhook, Asked) {
    let asked = Asked::default();
    let heard = Arc::clone(&asked);
    let handler = async move |uri: Uri, headers: HeaderMap, body: Bytes| -> Answer {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let body = String::from_utf8(body.to_vec()).unwrap();
        let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
        assert_eq!(at, NOW_UNIX_S.to_string());
        let signature = header("webhook-signature");
        let mac = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
        hmac::verify(&key, format!("{id}.{at}.{body}").as_bytes(), &mac).unwrap();
        heard.lock().unwrap().push((uri.path().to_owned(), id, body));
        (StatusCode::from_u16(status).unwrap(), answer).into_response()
    };
    let router = Router::new().fallback(handler);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (Webhook::new(&config(address), || NOW_UNIX_S).unwrap(), asked)
}

fn coffee() -> Wanted {
    Wanted { sku: "c-1".to_owned(), quantity: 2 }
}

fn quote() -> Quote {
    let title = "Coffee".to_owned();
    let line = Line { sku: "c-1".to_owned(), title, quantity: 2, unit_minor: 1_290 };
    Quote::new(Uuid::from_u128(1), Currency::EUR, vec![line], 390).unwrap()
}

const OFFER: &str = r#"{"lines": [{"sku": "c-1", "title": "Coffee", "quantity": 2,
    "unit_minor": 1290}], "extra_minor": 390}"#;

#[tokio::test]
async fn a_price_comes_signed_for_and_whole() {
    let (shop, asked) = service(200, OFFER).await;
    let current = shop.quote(&[coffee()], Currency::EUR).await.unwrap();
    let Current::Quoted { quote } = current else { panic!("{current:?}") };
    assert_eq!((quote.total_minor(), quote.lines().len()), (2_970, 1));
    let asked = asked.lock().unwrap();
    assert_eq!(asked[0].0, "/shop/quote");
    let body: serde_json::Value = serde_json::from_str(&asked[0].2).unwrap();
    assert_eq!(body, json!({"currency": "EUR", "lines": [{"sku": "c-1", "quantity": 2}]}));
}

#[tokio::test]
async fn a_shop_that_has_nothing_or_says_nonsense_gives_no_price() {
    let (shop, _) = service(200, r#"{"lines": []}"#).await;
    assert_eq!(shop.quote(&[coffee()], Currency::EUR).await, Ok(Current::Nothing));
    for (status, answer) in [
        (200, ""),
        (200, "[]"),
        (200, r#"{"lines": [{"sku": "", "title": "x", "quantity": 1, "unit_minor": 1}]}"#),
        (200, r#"{"lines": [{"sku": "a", "title": "x", "quantity": 1, "unit_minor": -1}]}"#),
        (404, OFFER),
        (500, OFFER),
    ] {
        let (shop, _) = service(status, answer).await;
        let error = shop.quote(&[coffee()], Currency::EUR).await.unwrap_err();
        assert!(matches!(error, ShopError::Unavailable(_)), "{answer}");
    }
}

#[tokio::test]
async fn an_order_is_taken_under_its_own_key_in_every_attempt() {
    let (shop, asked) = service(201, r#"{"reference": "A-17"}"#).await;
    let key = Uuid::from_u128(9);
    for attempt in [1, 2] {
        let act = shop.take(key, attempt, &quote()).await;
        assert_eq!(act, Act::Accepted { reference: "A-17".to_owned() });
    }
    for (path, id, body) in asked.lock().unwrap().iter() {
        assert_eq!((path.as_str(), id.as_str()), ("/shop/orders", key.to_string().as_str()));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["quote"]["total_minor"], 2_970);
    }
}

#[tokio::test]
async fn what_the_shop_says_decides_whether_it_is_asked_again() {
    for (status, answer, retry, unknown) in [
        (200, "", true, true),
        (409, "", false, false),
        (422, "no", false, false),
        (429, "", true, false),
        (302, "", false, false),
        (500, "", true, true),
    ] {
        let (shop, asked) = service(status, answer).await;
        let act = shop.take(Uuid::from_u128(9), 3, &quote()).await;
        let Act::NotTaken { attempt: 3, retry: r, unknown: u, .. } = act else {
            panic!("{status}: {act:?}")
        };
        assert_eq!((r, u), (retry, unknown), "{status}");
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let gone = Webhook::new(&config(address), || NOW_UNIX_S).unwrap();
    let act = gone.take(Uuid::from_u128(9), 1, &quote()).await;
    assert!(matches!(act, Act::NotTaken { retry: true, unknown: false, .. }), "{act:?}");
}

#[test]
fn settings_that_cannot_be_trusted_are_refused() {
    let good = config(([127, 0, 0, 1], 1).into());
    assert!(Webhook::new(&good, || 0).is_ok());
    for url in ["http://shop.example", "", "shop", "ftp://shop.example"] {
        let config = WebhookConfig { url: url.to_owned(), ..good.clone() };
        assert!(Webhook::new(&config, || 0).is_err(), "{url}");
    }
    for secret in ["", "whsec_", "whsec_AAAA", "a secret of at least 24 bytes"] {
        let config = WebhookConfig { secret: secret.to_owned(), ..good.clone() };
        assert!(Webhook::new(&config, || 0).is_err(), "{secret}");
    }
    assert_eq!(format!("{good:?}"), "WebhookConfig");
}
