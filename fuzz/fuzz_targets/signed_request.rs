//! Signed requests: any headers of any request, and one signed request of which one part was
//! changed. Nothing is taken as signed by a key that did not sign exactly that.
//!
//! The input is text: the parts in the order of `PARTS`, with a zero byte between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{
    key::SigningKey,
    signing::{SignedHeaders, Target},
};
use std::sync::LazyLock;

/// Method, authority, path, query, digest, number, signature's input, signature, body.
const PARTS: usize = 9;
const BODY: &[u8] = br#"{"receipts":[]}"#;

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_seed(&[1; 32]).expect("a key"));

static SIGNED: LazyLock<[Vec<u8>; PARTS]> = LazyLock::new(|| {
    let target =
        Target { method: "POST", authority: "attune.example", path: "/v1/consents", query: "a=b" };
    let signed = SignedHeaders::sign(&KEY, &target, BODY, 42);
    let texts = [
        target.method,
        target.authority,
        target.path,
        target.query,
        &signed.content_digest,
        &signed.request_number,
        &signed.signature_input,
        &signed.signature,
    ];
    let mut parts = std::array::from_fn(|_| BODY.to_vec());
    for (part, text) in parts.iter_mut().zip(texts) {
        *part = text.into();
    }
    parts
});

fuzz_target!(|bytes: &[u8]| {
    let mut parts: [Vec<u8>; PARTS] = Default::default();
    for (part, given) in parts.iter_mut().zip(bytes.splitn(PARTS, |byte| *byte == 0)) {
        *part = given.into();
    }
    check(&parts);

    // A header holds no line's end.
    let clean = |part: &[u8]| !part.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
    for (place, part) in parts.iter().enumerate().filter(|(_, part)| clean(part)) {
        let mut changed = SIGNED.clone();
        changed[place].clone_from(part);
        check(&changed);
    }
});

fn check(parts: &[Vec<u8>; PARTS]) {
    let text = |place: usize| String::from_utf8_lossy(&parts[place]).into_owned();
    let (method, authority, path, query) = (text(0), text(1), text(2), text(3));
    let target = Target { method: &method, authority: &authority, path: &path, query: &query };
    let signed = SignedHeaders {
        content_digest: text(4),
        request_number: text(5),
        signature_input: text(6),
        signature: text(7),
    };
    if let Ok(signer) = signed.verify(&target, &parts[8])
        && signer.key == KEY.public()
    {
        assert_eq!(*parts, *SIGNED, "taken as signed");
        assert_eq!(signer.request_number, 42);
    }
}
