//! Operators' keys and the page's sign-in, as their holders meet them.

use crate::support::{
    Device, Running, check_problem, config, key, key_until, no_limits, now_unix_ms,
};
use protocol::problem::ErrorCode;
use reqwest::{
    Response, StatusCode,
    header::{COOKIE, HOST, LOCATION, RETRY_AFTER, SET_COOKIE},
};
use serde_json::{Value, json};
use server::{Config, LimitsConfig, Rate, keys::Keychain, scope::Scope};
use tempfile::TempDir;

async fn with_key(scopes: &[Scope]) -> (Running, String) {
    let folder = TempDir::new().unwrap();
    let key = key(folder.path(), scopes).await;
    (Running::start_in(folder).await, key)
}

async fn list(server: &Running, key: &str) -> Response {
    server.get("/v1/keys").bearer_auth(key).send().await.unwrap()
}

#[tokio::test]
async fn a_key_is_made_shown_once_replaced_and_ended_over_the_wire() {
    let (server, admin) = with_key(&[Scope::Admin]).await;
    let url = format!("{}/v1/keys", server.url);
    let asked = json!({"name": "page", "scopes": ["admin", "live"]});
    let made = server.client.post(&url).bearer_auth(&admin).json(&asked).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: Value = made.json().await.unwrap();
    let (first, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert_eq!(made["scopes"], json!(["live", "admin"]));
    assert_eq!(list(&server, first).await.status(), StatusCode::OK);

    let rotate = format!("{url}/{id}/rotate");
    let overlap = json!({"overlap_ms": 60_000});
    let request = server.client.post(&rotate).bearer_auth(&admin).json(&overlap);
    let rotated: Value = request.send().await.unwrap().json().await.unwrap();
    let second = rotated["key"].as_str().unwrap();
    assert_eq!(rotated["replaces"], id);
    for key in [first, second] {
        assert_eq!(list(&server, key).await.status(), StatusCode::OK, "both hold for a while");
    }
    // Without an overlap the old key ends at once.
    let at_once = format!("{url}/{}/rotate", rotated["id"].as_str().unwrap());
    let request = server.client.post(&at_once).bearer_auth(&admin).json(&json!({"overlap_ms": 0}));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::CREATED);
    check_problem(list(&server, second).await, 401, ErrorCode::Unauthenticated).await;
    let again = server.client.post(&at_once).bearer_auth(&admin).json(&json!({})).send().await;
    check_problem(again.unwrap(), 409, ErrorCode::Conflict).await;

    let gone = server.client.delete(format!("{url}/{id}")).bearer_auth(&admin).send().await;
    assert_eq!(gone.unwrap().status(), StatusCode::NO_CONTENT);
    let problem = check_problem(list(&server, first).await, 401, ErrorCode::Unauthenticated).await;
    assert!(problem.detail.contains("revoked"), "{}", problem.detail);

    let text = list(&server, &admin).await.text().await.unwrap();
    assert!(!text.contains(first) && !text.contains(second), "no secret is listed");
    let keys: Value = serde_json::from_str(&text).unwrap();
    let states: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|k| &k["state"]).collect();
    assert_eq!(states, ["active", "revoked", "expired", "active"]);
    assert!(keys["keys"][0]["last_used_unix_ms"].as_i64().unwrap() > 0);
    for (action, lines) in [("key_created", 2), ("key_rotated", 2), ("key_revoked", 1)] {
        assert_eq!(server.audited(action).await.len(), lines, "{action}");
    }
    assert_eq!(server.audited("bad_key").await, ["refused 1 requests"]);
}

#[tokio::test]
async fn wrong_requests_about_keys_say_what_is_wrong() {
    let (server, admin) = with_key(&[Scope::Admin]).await;
    let url = format!("{}/v1/keys", server.url);
    for (body, status) in [
        (json!({"name": "", "scopes": ["live"]}), 422),
        (json!({"name": "a", "scopes": []}), 422),
        (json!({"name": "a", "scopes": ["live"], "expires_unix_ms": 5}), 422),
        (json!({"name": "a", "scopes": ["root"]}), 400),
        (json!({"name": "a", "scopes": ["live"], "secret": 1}), 400),
        (json!([]), 400),
    ] {
        let refused =
            server.client.post(&url).bearer_auth(&admin).json(&body).send().await.unwrap();
        let code = if status == 422 { ErrorCode::Invalid } else { ErrorCode::Malformed };
        check_problem(refused, status, code).await;
    }
    let unknown = uuid::Uuid::nil();
    let gone = server.client.delete(format!("{url}/{unknown}")).bearer_auth(&admin).send().await;
    check_problem(gone.unwrap(), 404, ErrorCode::NotFound).await;
    let odd = server.client.delete(format!("{url}/x")).bearer_auth(&admin).send().await;
    check_problem(odd.unwrap(), 422, ErrorCode::Invalid).await;
}

#[tokio::test]
async fn a_key_made_by_the_command_line_holds_at_once_and_a_use_costs_no_write() {
    let (server, admin) = with_key(&[Scope::Admin]).await;
    let before = server.rows().await;
    for _ in 0..20 {
        assert_eq!(
            list(&server, &key(server.folder.path(), &[Scope::Admin]).await).await.status(),
            200
        );
    }
    assert_eq!(server.rows().await["api_keys"], before["api_keys"] + 20);
    if !crate::support::embedded() {
        // PostgreSQL does not say whether anything was written.
        return;
    }
    let mut watcher = server.database().await;
    let data_version = "PRAGMA data_version";
    let first: i64 = sqlx::query_scalar(data_version).fetch_one(&mut watcher).await.unwrap();
    for _ in 0..20 {
        let page = server.get("/").bearer_auth(&admin).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::FORBIDDEN);
    }
    let last: i64 = sqlx::query_scalar(data_version).fetch_one(&mut watcher).await.unwrap();
    assert_eq!(first, last, "nothing was written");
}

#[tokio::test]
async fn the_page_is_open_to_this_machine_until_the_first_key() {
    let server = Running::start().await;
    let page = || server.get("/");
    assert_eq!(page().send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.get("/live").send().await.unwrap().status(), StatusCode::OK);
    // A proxy in front, and a page of elsewhere whose name leads here.
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=192.0.2.1"),
        ("via", "1.1 proxy"),
    ] {
        let refused = page().header(name, value).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{name}");
    }
    let rebound = page().header(HOST, "rebound.example").send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::UNAUTHORIZED);

    let (_, id) = key_until(server.folder.path(), &[Scope::Ingest], None).await;
    let form = page().send().await.unwrap();
    assert_eq!(form.status(), StatusCode::UNAUTHORIZED);
    assert!(form.text().await.unwrap().contains("action=\"/sign-in\""));
    let refused = server.get("/live").send().await.unwrap();
    check_problem(refused, 401, ErrorCode::Unauthenticated).await;
    // Closed for good, though no key is left.
    let keys = Keychain::open(server.location()).await.unwrap();
    keys.revoke(id, now_unix_ms()).await.unwrap();
    keys.close().await;
    assert_eq!(page().send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_sign_in_is_a_cookie_that_ends_with_its_key() {
    let folder = TempDir::new().unwrap();
    let admin = key(folder.path(), &[Scope::Admin]).await;
    let (live, id) = key_until(folder.path(), &[Scope::Live], None).await;
    let server = Running::start_in(folder).await;
    let browser = &server.client;
    let sign_in = |key: &str, site: &'static str| {
        let form = format!("key={key}%0D%0A");
        let request = browser.post(format!("{}/sign-in", server.url)).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("sec-fetch-site", site).send()
    };
    for wrong in [admin.as_str(), "attune_x", ""] {
        let refused = sign_in(wrong, "same-origin").await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert!(refused.headers().get(SET_COOKIE).is_none());
        let html = refused.text().await.unwrap();
        assert!(html.contains("role=\"alert\"") && !html.contains(&admin), "{html}");
    }
    check_problem(sign_in(&live, "cross-site").await.unwrap(), 403, ErrorCode::Forbidden).await;

    let signed_in = sign_in(&live, "same-origin").await.unwrap();
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    assert_eq!(signed_in.headers()[LOCATION], "/");
    let set = signed_in.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains(&live), "the cookie is not the key");
    let cookie = set.split(';').next().unwrap().to_owned();
    let page = |path: &str| server.get(path).header(COOKIE, &cookie).send();
    assert_eq!(page("/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(page("/live").await.unwrap().status(), StatusCode::OK);
    // A cookie is for the page alone.
    assert_eq!(page("/v1/keys").await.unwrap().status(), StatusCode::UNAUTHORIZED);

    let url = format!("{}/v1/keys/{id}", server.url);
    let revoked = server.client.delete(url).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    assert_eq!(page("/").await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn signing_out_ends_the_cookie() {
    let (server, live) = with_key(&[Scope::Live]).await;
    let browser = &server.client;
    let request = browser.post(format!("{}/sign-in", server.url)).body(format!("key={live}"));
    // Behind a proxy that speaks TLS.
    let signed_in = request.header("x-forwarded-proto", "https").send().await.unwrap();
    let set = signed_in.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(set.ends_with("; Secure"), "{set}");
    let cookie = set.split(';').next().unwrap();
    let out = browser.post(format!("{}/sign-out", server.url)).header(COOKIE, cookie).send().await;
    assert!(out.unwrap().headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    let page = server.get("/").header(COOKIE, cookie).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
}

/// A server that lets two through and then none for a long time.
async fn narrow(limit: impl FnOnce(&mut LimitsConfig, Rate)) -> (Running, String, String) {
    let folder = TempDir::new().unwrap();
    let keys = [key(folder.path(), &Scope::ALL).await, key(folder.path(), &Scope::ALL).await];
    let mut limits = no_limits();
    limit(&mut limits, Rate { per_second: 1, burst: 2 });
    let config = Config { limits, ..config(folder.path()) };
    let [first, second] = keys;
    (Running::start_with(folder, config).await, first, second)
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let (server, first, second) = narrow(|limits, rate| limits.key = rate).await;
    let answer = list(&server, &first).await;
    assert_eq!(answer.headers()["ratelimit-policy"], "\"key\";q=2;w=2");
    assert_eq!(answer.headers()["ratelimit"], "\"key\";r=1;t=1");
    let mut refused = None;
    // At one a second, a dozen at once are too many however slow this machine is.
    for _ in 0..12 {
        let answer = list(&server, &first).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("refused");
    assert!(
        (1..=2).contains(&refused.headers()[RETRY_AFTER].to_str().unwrap().parse::<u8>().unwrap())
    );
    assert!(refused.headers()["ratelimit"].to_str().unwrap().starts_with("\"key\";r=0;t="));
    check_problem(refused, 429, ErrorCode::TooManyRequests).await;
    assert_eq!(list(&server, &second).await.status(), StatusCode::OK);
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_leaves_keys_and_devices_alone() {
    let (server, key, _) = narrow(|limits, rate| limits.address = rate).await;
    assert_eq!(list(&server, &key).await.status(), StatusCode::OK);
    let guess = format!("attune_{}_{}", "0".repeat(32), "A".repeat(43));
    let mut slowed = false;
    for _ in 0..12 {
        slowed |= list(&server, &guess).await.status() == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(slowed);
    assert_eq!(list(&server, &key).await.status(), StatusCode::OK);
    let device = Device::new();
    let unknown = format!("/v1/people/{}/export", device.person);
    let answer = server.ask(&device, reqwest::Method::GET, &unknown, vec![]).await;
    check_problem(answer, 404, ErrorCode::NotFound).await;
}

#[tokio::test]
async fn devices_of_one_address_share_their_own_limit() {
    let (server, key, _) = narrow(|limits, rate| limits.device = rate).await;
    let device = Device::new();
    let path = format!("/v1/people/{}/export", device.person);
    let mut slowed = false;
    for _ in 0..12 {
        let answer = server.ask(&device, reqwest::Method::GET, &path, vec![]).await;
        slowed |= answer.status() == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(slowed);
    assert_eq!(list(&server, &key).await.status(), StatusCode::OK);
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
}
