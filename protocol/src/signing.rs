//! Signed requests: HTTP Message Signatures (RFC 9421) in one fixed profile.
//!
//! A device signs method, authority, path with query, the digest of the body (RFC 9530) and a
//! request number that only ever grows. The server keeps the highest number it accepted of each
//! device; a request that repeats an older one is refused. Unlike a time window this needs neither
//! a correct clock on the device nor a list of nonces on the server.

use crate::{
    digest::Digest,
    key::{PublicKey, Signature},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use thiserror::Error;

/// Carries the digest of the body (RFC 9530).
pub const CONTENT_DIGEST: &str = "content-digest";
/// Carries the request number, decimal.
pub const REQUEST_NUMBER: &str = "attune-request";
/// Says what is signed (RFC 9421, section 4.1).
pub const SIGNATURE_INPUT: &str = "signature-input";
/// Carries the signature (RFC 9421, section 4.2).
pub const SIGNATURE: &str = "signature";

/// The components that are signed, in this order.
const COMPONENTS: &str =
    r#"("@method" "@authority" "@path" "@query" "content-digest" "attune-request")"#;
const LABEL: &str = "attune";

/// What a signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// Host and port, as in the `Host` header, in lower case.
    pub authority: &'a str,
    /// The path, as sent.
    pub path: &'a str,
    /// The query, without its question mark; empty where there is none.
    pub query: &'a str,
}

/// The headers that a signed request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    /// [`CONTENT_DIGEST`].
    pub content_digest: String,
    /// [`REQUEST_NUMBER`].
    pub request_number: String,
    /// [`SIGNATURE_INPUT`].
    pub signature_input: String,
    /// [`SIGNATURE`].
    pub signature: String,
}

/// Who signed a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signer {
    /// The device's key.
    pub key: PublicKey,
    /// The number of the request: to be greater than that of any request accepted before.
    pub request_number: u64,
}

/// Why a request is not taken as signed. The messages carry no value of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SigningError {
    /// The digest is not that of the body.
    #[error("{CONTENT_DIGEST} is not the SHA-256 of the body, written sha-256=:BASE64:")]
    Body,
    /// No number, or none of at most 2^63 - 1.
    #[error("{REQUEST_NUMBER} must be a decimal number from 1 to 9223372036854775807")]
    Number,
    /// Not the profile of this module.
    #[error("{SIGNATURE_INPUT} must be {LABEL}={COMPONENTS};keyid=\"HEX\";alg=\"ed25519\"")]
    Input,
    /// The signature does not hold.
    #[error("the {SIGNATURE} does not hold for this request and key")]
    Signature,
}

fn parameters(key: &PublicKey) -> String {
    format!("{COMPONENTS};keyid=\"{key}\";alg=\"ed25519\"")
}

fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64.encode(Digest::of(body).0))
}

/// The signature base (RFC 9421, section 2.5).
fn base(target: &Target<'_>, content_digest: &str, number: &str, parameters: &str) -> String {
    let Target { method, authority, path, query } = target;
    format!(
        "\"@method\": {method}\n\"@authority\": {authority}\n\"@path\": {path}\n\
         \"@query\": ?{query}\n\"content-digest\": {content_digest}\n\
         \"attune-request\": {number}\n\"@signature-params\": {parameters}"
    )
}

impl SignedHeaders {
    /// Signs a request.
    #[must_use]
    pub fn sign(
        key: &crate::key::SigningKey,
        target: &Target<'_>,
        body: &[u8],
        request_number: u64,
    ) -> Self {
        let parameters = parameters(&key.public());
        let (content_digest, number) = (content_digest(body), request_number.to_string());
        let signature = key.sign(base(target, &content_digest, &number, &parameters).as_bytes());
        Self {
            content_digest,
            request_number: number,
            signature_input: format!("{LABEL}={parameters}"),
            signature: format!("{LABEL}=:{}:", BASE64.encode(signature.0)),
        }
    }

    /// Checks a request; whether its number is new is for the caller to see.
    ///
    /// # Errors
    /// [`SigningError`] says which header cannot be, or that the signature does not hold.
    pub fn verify(&self, target: &Target<'_>, body: &[u8]) -> Result<Signer, SigningError> {
        // A line end would move text from one line of the signature base to the next.
        let texts = [target.method, target.authority, target.path, target.query];
        if texts.iter().any(|text| text.bytes().any(|byte| byte.is_ascii_control())) {
            return Err(SigningError::Signature);
        }
        if self.content_digest != content_digest(body) {
            return Err(SigningError::Body);
        }
        let number = self.request_number.parse().ok().filter(|n| *n > 0 && *n <= i64::MAX as u64);
        let request_number = number.ok_or(SigningError::Number)?;
        let parameters = self.signature_input.strip_prefix(LABEL).and_then(|s| s.strip_prefix('='));
        let parameters = parameters.ok_or(SigningError::Input)?;
        let key = key_of(parameters).ok_or(SigningError::Input)?;
        let signature = signature_of(&self.signature).ok_or(SigningError::Signature)?;
        // As sent: a key may be written in upper case, which is another text.
        let base = base(target, &self.content_digest, &self.request_number, parameters);
        key.verify(base.as_bytes(), &signature).map_err(|_| SigningError::Signature)?;
        Ok(Signer { key, request_number })
    }
}

fn key_of(parameters: &str) -> Option<PublicKey> {
    let rest = parameters.strip_prefix(COMPONENTS)?.strip_prefix(";keyid=\"")?;
    rest.strip_suffix("\";alg=\"ed25519\"")?.parse().ok()
}

fn signature_of(header: &str) -> Option<Signature> {
    let text = header.strip_prefix(LABEL)?.strip_prefix("=:")?.strip_suffix(':')?;
    BASE64.decode(text).ok()?.try_into().ok().map(Signature)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
mod tests {
    use super::*;
    use crate::key::SigningKey;
    use proptest::prelude::*;

    const TARGET: Target<'static> =
        Target { method: "POST", authority: "attune.example", path: "/v1/events", query: "" };

    fn key() -> SigningKey {
        SigningKey::from_seed(&[7; 32]).unwrap()
    }

    #[test]
    fn a_signed_request_names_its_signer() {
        let signed = SignedHeaders::sign(&key(), &TARGET, b"{}", 42);
        insta::assert_debug_snapshot!(signed);
        let signer = Signer { key: key().public(), request_number: 42 };
        assert_eq!(signed.verify(&TARGET, b"{}"), Ok(signer));
    }

    #[test]
    fn whatever_is_changed_is_found() {
        let signed = SignedHeaders::sign(&key(), &TARGET, b"{}", 42);
        assert_eq!(signed.verify(&TARGET, b"{} "), Err(SigningError::Body));
        let targets = [
            Target { method: "DELETE", ..TARGET },
            Target { authority: "evil.example", ..TARGET },
            Target { path: "/v1/consents", ..TARGET },
            Target { query: "a=b", ..TARGET },
        ];
        for target in targets {
            assert_eq!(signed.verify(&target, b"{}"), Err(SigningError::Signature));
        }
        let renumbered = SignedHeaders { request_number: "43".into(), ..signed.clone() };
        assert_eq!(renumbered.verify(&TARGET, b"{}"), Err(SigningError::Signature));
        for number in ["", "0", "-1", "x", "9223372036854775808"] {
            let odd = SignedHeaders { request_number: number.into(), ..signed.clone() };
            assert_eq!(odd.verify(&TARGET, b"{}"), Err(SigningError::Number), "{number}");
        }
        // The same key, written otherwise than it was signed.
        let text = key().public().to_string();
        let louder = signed.signature_input.replace(&text, &text.to_uppercase());
        let louder = SignedHeaders { signature_input: louder, ..signed.clone() };
        assert_eq!(louder.verify(&TARGET, b"{}"), Err(SigningError::Signature));
        let other = SigningKey::from_seed(&[8; 32]).unwrap();
        let stolen = SignedHeaders::sign(&other, &TARGET, b"{}", 42).signature_input;
        let stolen = SignedHeaders { signature_input: stolen, ..signed };
        assert_eq!(stolen.verify(&TARGET, b"{}"), Err(SigningError::Signature));
    }

    #[test]
    fn a_line_end_cannot_move_text_between_fields() {
        let target = Target { path: "/v1/x", query: "a=b", ..TARGET };
        let signed = SignedHeaders::sign(&key(), &target, b"{}", 42);
        let moved = Target { path: "/v1/x\n\"@query\": ?a=b", query: "", ..TARGET };
        assert_eq!(signed.verify(&moved, b"{}"), Err(SigningError::Signature));
    }

    proptest! {
        #[test]
        fn any_headers_are_read(a in ".{0,80}", b in ".{0,80}", c in ".{0,80}") {
            let signed = SignedHeaders::sign(&key(), &TARGET, b"{}", 1);
            let odd = SignedHeaders {
                request_number: a, signature_input: b, signature: c, ..signed
            };
            let refused = odd.verify(&TARGET, b"{}").is_err();
            prop_assert!(refused);
        }
    }
}
