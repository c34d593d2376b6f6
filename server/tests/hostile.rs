//! Whatever comes in, the server answers, and never by failing itself.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use axum::{Router, body::Body, http::Request};
use proptest::{prelude::*, test_runner::TestCaseError};
use protocol::consent::Modality;
use serde_json::Value;
use server::Server;
use std::cell::RefCell;
use support::{Device, batch, config};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// Cases a property: each is a request against a real database.
const CASES: u32 = 96;

const POSTS: [&str; 3] = ["/v1/events", "/v1/consents", "/v1/outcomes"];

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

fn post(path: &str, body: Vec<u8>) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    request.body(body.into()).unwrap()
}

/// Bodies of every endpoint that are taken once the device's consent is, in the order of [`POSTS`].
fn valid(device: &mut Device) -> [Value; 3] {
    let events =
        [device.started(), device.eda(), device.revised(protocol::offer::Rule::Suggest, 19_990)];
    [
        serde_json::to_value(batch(&events)).unwrap(),
        serde_json::to_value(Device::new().given(&Modality::ALL)).unwrap(),
        serde_json::to_value(device.purchased()).unwrap(),
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
    let bytes = proptest::collection::vec(any::<u8>(), 0..512);
    proptest!(ProptestConfig::with_cases(CASES), |(body in bytes, at in 0..POSTS.len())| {
        let status = rig.check(post(POSTS[at], body))?;
        prop_assert_eq!(status, 400);
    });
}

#[test]
fn a_valid_body_with_an_odd_value_never_gives_500() {
    let rig = Rig::new();
    let device = Device::new();
    let consent = serde_json::to_vec(&device.given(&Modality::ALL)).unwrap();
    assert_eq!(rig.check(post(POSTS[1], consent)).unwrap(), 201);
    let device = RefCell::new(device);
    let odd = (0..POSTS.len(), any::<prop::sample::Index>(), odd_value());
    proptest!(ProptestConfig::with_cases(4 * CASES), |((at, leaf, value) in odd)| {
        let mut body = valid(&mut device.borrow_mut())[at].clone();
        let mut paths = Vec::new();
        leaves(&body, String::new(), &mut paths);
        *body.pointer_mut(leaf.get::<String>(paths.as_slice())).unwrap() = value;
        rig.check(post(POSTS[at], serde_json::to_vec(&body).unwrap()))?;
    });
    for (path, body) in POSTS.into_iter().zip(valid(&mut device.borrow_mut())) {
        let status = rig.check(post(path, serde_json::to_vec(&body).unwrap())).unwrap();
        assert!(status < 300, "{path} takes what is not odd: {status}");
    }
    // And the page can show whatever was let in.
    rig.check(Request::get("/").body(Body::empty()).unwrap()).unwrap();
}

#[test]
fn arbitrary_paths_never_give_500() {
    let rig = Rig::new();
    proptest!(ProptestConfig::with_cases(CASES), |(segments in proptest::collection::vec("[a-z0-9%.~-]{0,12}", 0..4))| {
        let paths = [format!("/{}", segments.join("/")), format!("/v1/consents/{}", segments.join("/"))];
        for path in paths {
            if let Ok(request) = Request::get(path).body(Body::empty()) {
                rig.check(request)?;
            }
        }
    });
}
