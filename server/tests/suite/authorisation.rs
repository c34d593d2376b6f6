//! Every endpoint against every key: the table is the server's own document, so that an endpoint
//! that says nothing about who may ask fails here.

use crate::support::{
    Device, Running, config, key, key_until, no_limits, now_unix_ms, signed_headers,
};
use protocol::{
    problem::{ErrorCode, Problem},
    signing::Target,
};
use reqwest::{Method, RequestBuilder, StatusCode, header::WWW_AUTHENTICATE};
use serde_json::Value;
use server::{Config, keys::Keychain, scope::Scope};
use std::{fs, path::Path};
use tempfile::TempDir;
use uuid::Uuid;

/// Who asks.
#[derive(Debug, Clone)]
enum Caller {
    Nobody,
    /// A key that holds.
    Key(Scope, String),
    /// A key that does not, and why.
    Ended(#[expect(dead_code, reason = "it is printed")] &'static str, String),
    Device,
}

/// Who may ask, as the document says.
#[derive(Debug, PartialEq)]
enum Decision {
    Anybody,
    Scope(Scope),
    Device,
}

/// One endpoint of the document.
struct Endpoint {
    method: Method,
    path: String,
    decision: Decision,
    bodied: Option<String>,
}

fn endpoints(document: &Value) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            let body = operation["requestBody"]["content"].as_object();
            endpoints.push(Endpoint {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                decision: decision(&name, &operation["security"]),
                bodied: body.map(|kinds| kinds.keys().next().unwrap().clone()),
            });
        }
    }
    endpoints
}

fn decision(name: &str, security: &Value) -> Decision {
    let ways = security.as_array();
    let ways = ways.unwrap_or_else(|| panic!("{name} does not say who may ask: security(...)"));
    let ways: Vec<_> = ways.iter().map(|way| way.as_object().unwrap()).collect();
    let by = |scheme: &str| ways.iter().find_map(|way| way.get(scheme));
    if let Some(scopes) = by("api_key") {
        let [scope] = scopes.as_array().unwrap().as_slice() else {
            panic!("{name} takes a key without naming exactly one scope");
        };
        return Decision::Scope(scope.as_str().unwrap().parse().unwrap());
    }
    if by("device_signature").is_some() {
        return Decision::Device;
    }
    assert!(ways.iter().any(|way| way.is_empty()), "{name} requires a scheme nobody knows");
    Decision::Anybody
}

/// A request that nothing but the caller can be wrong with before its path and body are looked at.
fn request(
    server: &Running,
    endpoint: &Endpoint,
    caller: &Caller,
    device: &Device,
) -> RequestBuilder {
    let id = Uuid::now_v7().to_string();
    // Devices sign for themselves.
    let own = device.device.to_string();
    let parts = endpoint.path.split('/').map(|part| match part {
        "{device}" => own.as_str(),
        value if value.starts_with('{') => id.as_str(),
        fixed => fixed,
    });
    let path = parts.collect::<Vec<_>>().join("/");
    let mut request =
        server.client.request(endpoint.method.clone(), format!("{}{path}", server.url));
    // Not of this machine: the page and the metrics make a difference.
    request = request.header("x-forwarded-for", "192.0.2.1");
    if let Some(kind) = &endpoint.bodied {
        request = request.header("content-type", kind).body("{}");
    }
    match caller {
        Caller::Nobody => request,
        Caller::Key(_, key) | Caller::Ended(_, key) => request.bearer_auth(key),
        Caller::Device => {
            let method = endpoint.method.as_str();
            let target = Target { method, authority: server.authority(), path: &path, query: "" };
            let body = if endpoint.bodied.is_some() { "{}" } else { "" };
            let signed = device.sign(&target, body.as_bytes());
            let headers = signed_headers(signed).into_iter();
            headers.fold(request, |request, (name, value)| request.header(name, value))
        }
    }
}

async fn ended_keys(folder: &Path) -> Vec<Caller> {
    let (expired, _) = key_until(folder, &Scope::ALL, Some(now_unix_ms() - 1)).await;
    let (revoked, id) = key_until(folder, &Scope::ALL, None).await;
    let keys = Keychain::open(crate::support::location(folder)).await.unwrap();
    keys.revoke(id, now_unix_ms()).await.unwrap();
    keys.close().await;
    let (valid, _) = key_until(folder, &Scope::ALL, None).await;
    let mut forged = valid.clone();
    let last = if forged.pop() == Some('A') { 'E' } else { 'A' };
    forged.push(last);
    let elsewhere = TempDir::new().unwrap();
    let (other, _) = key_until(elsewhere.path(), &Scope::ALL, None).await;
    [
        ("expired", expired),
        ("revoked", revoked),
        ("forged", forged),
        ("another server's", other),
        ("no key", "attune_".to_owned()),
    ]
    .map(|(why, key)| Caller::Ended(why, key))
    .into()
}

#[tokio::test]
async fn every_route_against_every_scope() {
    let folder = TempDir::new().unwrap();
    let mut callers = vec![Caller::Nobody, Caller::Device];
    for scope in Scope::ALL {
        callers.push(Caller::Key(scope, key(folder.path(), &[scope]).await));
    }
    callers.extend(ended_keys(folder.path()).await);
    let config = Config { limits: no_limits(), ..config(folder.path()) };
    let server = Running::start_with(folder, config).await;
    let device = Device::new();
    let document: Value = server.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    let endpoints = endpoints(&document);
    assert!(endpoints.len() >= 18, "the document has every endpoint");

    let mut checked = 0;
    for endpoint in &endpoints {
        let mut to_anybody = None;
        for caller in &callers {
            let answer = request(&server, endpoint, caller, &device).send().await.unwrap();
            let (status, challenge) =
                (answer.status(), answer.headers().get(WWW_AUTHENTICATE).cloned());
            let what = format!("{} {} by {caller:?}: {status}", endpoint.method, endpoint.path);
            let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            match (&endpoint.decision, caller) {
                (Decision::Anybody, _) => {
                    let first = *to_anybody.get_or_insert(status);
                    assert_eq!(status, first, "{what}: depends on who asks");
                }
                (Decision::Scope(scope), Caller::Key(has, _)) if scope == has => {
                    assert!(!refused, "{what}");
                }
                (Decision::Scope(scope), Caller::Key(..)) => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{what}");
                    let problem: Problem = answer.json().await.unwrap();
                    assert_eq!(problem.code, ErrorCode::Forbidden, "{what}");
                    assert!(problem.detail.contains(scope.name()), "{what}: {}", problem.detail);
                    let challenge = challenge.unwrap().to_str().unwrap().to_owned();
                    assert!(challenge.contains("insufficient_scope"), "{what}: {challenge}");
                }
                (Decision::Scope(_), _) => {
                    assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
                    let challenge = challenge.unwrap().to_str().unwrap().to_owned();
                    assert!(challenge.starts_with("Bearer"), "{what}: {challenge}");
                }
                (Decision::Device, Caller::Device) => {
                    // The signature holds: what is refused now is the request.
                    if let Ok(problem) = answer.json::<Problem>().await {
                        assert_ne!(problem.code, ErrorCode::Unauthenticated, "{what}");
                        assert_ne!(problem.code, ErrorCode::Forbidden, "{what}");
                    }
                }
                (Decision::Device, _) => assert!(
                    matches!(status.as_u16(), 400 | 401),
                    "{what}: a key must not stand in for a device"
                ),
            }
            checked += 1;
        }
    }
    assert_eq!(checked, endpoints.len() * callers.len());
}

/// What everybody needs to know of an endpoint stands in the document.
#[tokio::test]
async fn every_endpoint_says_what_it_answers_with_examples() {
    let server = Running::start().await;
    let document: Value = server.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    let example = |content: &Value, what: &str| {
        for (kind, media) in content.as_object().unwrap() {
            if kind.contains("json") {
                let named = media["schema"]["$ref"].as_str().unwrap_or_default();
                let name = named.rsplit('/').next().unwrap();
                let schema = &document["components"]["schemas"][name];
                let of = |one: &Value| !one["example"].is_null() || !one["examples"].is_null();
                let has = of(media) || of(schema);
                assert!(has, "{what} has no example for {kind}");
            }
        }
    };
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{name} has no summary");
            let answers = operation["responses"].as_object().unwrap();
            let mut needed = vec!["429", "500", "503"];
            if operation["security"].to_string().contains("api_key") {
                needed.extend(["401", "403"]);
            }
            let body = &operation["requestBody"]["content"];
            if body.is_object() {
                needed.extend(["400", "413"]);
                example(body, &name);
            }
            for status in needed {
                assert!(answers.contains_key(status), "{name} does not document {status}");
            }
            for (status, answer) in answers {
                if answer["content"].is_object() && status.starts_with('2') {
                    example(&answer["content"], &format!("{name}, {status}"));
                }
            }
        }
    }
}

/// What is not in the document is not in the table above.
#[test]
fn every_route_is_in_the_document() {
    fn check(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                check(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let lines = text.lines().filter(|line| {
                    [".route(", ".route_service(", ".nest_service("]
                        .iter()
                        .any(|call| line.contains(call))
                });
                found.extend(lines.map(|line| format!("{}: {}", path.display(), line.trim())));
            }
        }
    }
    let mut found = Vec::new();
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.is_empty(), "use routes!(...), which documents them: {found:#?}");
}
