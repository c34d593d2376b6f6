//! Whatever comes in, the server answers, and never by failing itself.

use crate::support::{Device, config, consents, signed_headers};
use axum::{Router, body::Body, http::Request};
use proptest::{prelude::*, test_runner::TestCaseError};
use protocol::{
    consent::Modality,
    signing::{SignedHeaders, Target},
};
use serde_json::Value;
use server::Server;
use std::cell::RefCell;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// Cases a property: each is a request against a real database.
const CASES: u32 = 96;

const POSTS: [&str; 2] = ["/v1/events", "/v1/consents"];
const AUTHORITY: &str = "attune.example";

struct Rig {
    runtime: Runtime,
    router: Router,
    _folder: TempDir,
}

impl Rig {
    fn new() -> Self {
        let (runtime, folder) = (Runtime::new().unwrap(), TempDir::new().unwrap());
        let server = runtime.block_on(Server::bind(config(folder.path()))).unwrap();
        Self { router: server.router(), runtime, _folder: folder }
    }

    /// The status, which must not be the server's fault.
    fn check(&self, request: Request<Body>) -> Result<u16, TestCaseError> {
        let answer = self.runtime.block_on(self.router.clone().oneshot(request)).unwrap();
        let status = answer.status().as_u16();
        prop_assert!(status < 500, "{}", status);
        Ok(status)
    }
}

fn signed(device: &Device, method: &str, path: &str, body: Vec<u8>) -> Request<Body> {
    let target = Target { method, authority: AUTHORITY, path, query: "" };
    with_headers(method, path, device.sign(&target, &body), body)
}

fn with_headers(method: &str, path: &str, signed: SignedHeaders, body: Vec<u8>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("host", AUTHORITY);
    let request = request.header("content-type", "application/json");
    let request = signed_headers(signed)
        .into_iter()
        .fold(request, |request, (name, value)| request.header(name, value));
    request.body(body.into()).unwrap()
}

/// Bodies of both endpoints that are taken, in the order of [`POSTS`].
fn valid(device: &mut Device) -> [Value; 2] {
    let events = [
        device.started(),
        device.eda(),
        device.revised(protocol::offer::Rule::Suggest, 19_990),
        device.purchased(),
    ];
    [
        serde_json::to_value(device.batch(&events)).unwrap(),
        serde_json::to_value(consents(&device.chain)).unwrap(),
    ]
}

/// Every path to a leaf of a value.
fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, v)| leaves(v, format!("{path}/{key}"), found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, v)| leaves(v, format!("{path}/{i}"), found));
        }
        _ => found.push(path),
    }
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(Value::from(vec![Value::Null; 3])),
    ]
}

#[test]
fn arbitrary_bytes_never_give_500() {
    let rig = Rig::new();
    let device = Device::new();
    let bytes = proptest::collection::vec(any::<u8>(), 0..512);
    proptest!(ProptestConfig::with_cases(CASES), |(body in bytes, at in 0..POSTS.len())| {
        let status = rig.check(signed(&device, "POST", POSTS[at], body))?;
        prop_assert_eq!(status, 400);
    });
}

#[test]
fn arbitrary_signatures_never_give_500() {
    let rig = Rig::new();
    let device = Device::new();
    let header = "[ -~]{0,80}";
    let person = format!("/v1/people/{}", device.person);
    let routes = [
        ("POST", POSTS[0].to_owned()),
        ("POST", POSTS[1].to_owned()),
        ("GET", format!("/v1/consents/{}/{}", device.person, device.device)),
        ("GET", format!("{person}/export")),
        ("DELETE", person),
    ];
    let odd = (header, header, header, header, 0..routes.len(), 0..5usize);
    proptest!(ProptestConfig::with_cases(2 * CASES), |((a, b, c, d, route, honest) in odd)| {
        let (method, path) = &routes[route];
        let target = Target { method, authority: AUTHORITY, path, query: "" };
        let mut headers = device.sign(&target, b"{}");
        // One header may be right; never all of them.
        if honest != 0 { headers.content_digest = a; }
        if honest != 1 { headers.request_number = b; }
        if honest != 2 { headers.signature_input = c; }
        if honest != 3 { headers.signature = d; }
        let status = rig.check(with_headers(method, path, headers, b"{}".to_vec()))?;
        prop_assert_eq!(status, 401);
    });
}

#[test]
fn a_valid_body_with_an_odd_value_never_gives_500() {
    let rig = Rig::new();
    let mut device = Device::new();
    device.give(&Modality::ALL);
    let chain = serde_json::to_vec(&consents(&device.chain)).unwrap();
    assert_eq!(rig.check(signed(&device, "POST", POSTS[1], chain)).unwrap(), 200);
    let device = RefCell::new(device);
    let odd = (0..POSTS.len(), any::<prop::sample::Index>(), odd_value());
    proptest!(ProptestConfig::with_cases(4 * CASES), |((at, leaf, value) in odd)| {
        let mut body = valid(&mut device.borrow_mut())[at].clone();
        let mut paths = Vec::new();
        leaves(&body, String::new(), &mut paths);
        *body.pointer_mut(leaf.get::<String>(paths.as_slice())).unwrap() = value;
        let body = serde_json::to_vec(&body).unwrap();
        rig.check(signed(&device.borrow(), "POST", POSTS[at], body))?;
    });
    let bodies = valid(&mut device.borrow_mut());
    for (path, body) in POSTS.into_iter().zip(bodies) {
        let body = serde_json::to_vec(&body).unwrap();
        let status = rig.check(signed(&device.borrow(), "POST", path, body)).unwrap();
        assert!(status < 300, "{path} takes what is not odd: {status}");
    }
    // And the page can show whatever was let in, and the person can have it.
    rig.check(Request::get("/").body(Body::empty()).unwrap()).unwrap();
    let path = format!("/v1/people/{}/export", device.borrow().person);
    let status = rig.check(signed(&device.borrow(), "GET", &path, vec![])).unwrap();
    assert_eq!(status, 200);
}

#[test]
fn arbitrary_paths_never_give_500() {
    let rig = Rig::new();
    let paths = proptest::collection::vec("[a-z0-9%.~-]{0,12}", 0..4);
    proptest!(ProptestConfig::with_cases(CASES), |(segments in paths)| {
        let rest = segments.join("/");
        for root in ["", "/v1/consents", "/v1/people"] {
            for method in ["GET", "DELETE"] {
                let request = Request::builder().method(method).uri(format!("{root}/{rest}"));
                if let Ok(request) = request.body(Body::empty()) {
                    rig.check(request)?;
                }
            }
        }
    });
}
