//! Signed requests: who sent this, over which bytes.
//!
//! The body is read within its bound, then the signature is checked over the raw bytes, and only
//! then is anything parsed. Whether the request's number is new is checked with the effect, in one
//! transaction.

use super::{
    ApiError,
    extract::{is_json, whole_body},
};
use crate::app::{App, unix_ms};
use axum::{
    body::Bytes,
    extract::{FromRequest, OriginalUri, Request},
    http::{HeaderMap, Uri, header},
};
use protocol::{
    problem::ErrorCode,
    signing::{
        CONTENT_DIGEST, REQUEST_NUMBER, SIGNATURE, SIGNATURE_INPUT, SignedHeaders, Signer, Target,
    },
};
use serde::de::DeserializeOwned;

/// A signed JSON body of at most [`MAX_BODY_BYTES`]. Refusals are counted.
#[derive(Debug)]
pub(crate) struct SignedBody<T> {
    pub(crate) signer: Signer,
    pub(crate) body: T,
}

/// A signed request without a body. Refusals are counted.
#[derive(Debug)]
pub(crate) struct Signed(pub(crate) Signer);

impl<T: DeserializeOwned + Send> FromRequest<App> for SignedBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let read = async {
            // A page of another origin can post text and forms unasked, but not this media type.
            if !is_json(request.headers()) {
                let detail = "send the header content-type: application/json";
                return Err(ApiError::refused(ErrorCode::Malformed, detail));
            }
            let (signer, bytes) = verified(request, app).await?;
            let body = serde_json::from_slice(&bytes).map_err(|error| {
                let detail = format!("the body: {error}; see /openapi.json");
                ApiError::refused(ErrorCode::Malformed, detail)
            })?;
            Ok(Self { signer, body })
        };
        counted(app, read.await).await
    }
}

impl FromRequest<App> for Signed {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let read = verified(request, app).await;
        counted(app, read.map(|(signer, _)| Self(signer))).await
    }
}

/// Counts a refusal; writes down that somebody tries signatures.
async fn counted<T>(app: &App, read: Result<T, ApiError>) -> Result<T, ApiError> {
    match read {
        Ok(value) => Ok(value),
        Err(error) => {
            app.refused(&error, None, unix_ms()).await;
            Err(error)
        }
    }
}

async fn verified(request: Request, app: &App) -> Result<(Signer, Bytes), ApiError> {
    let method = request.method().clone();
    let uri = match request.extensions().get::<OriginalUri>() {
        Some(OriginalUri(original)) => original.clone(),
        None => request.uri().clone(),
    };
    let authority = authority(&uri, request.headers());
    let signed = signed_headers(request.headers());
    let bytes = whole_body(request, app).await?;
    let Some(signed) = signed else {
        let detail = format!(
            "the request is not signed: send {CONTENT_DIGEST}, {REQUEST_NUMBER}, \
             {SIGNATURE_INPUT} and {SIGNATURE}, one of each; see /openapi.json"
        );
        return Err(ApiError::refused(ErrorCode::Unauthenticated, detail));
    };
    if !app.authorities.is_empty() && !app.authorities.contains(&authority) {
        let detail = "the request is addressed to another server than this one";
        return Err(ApiError::refused(ErrorCode::Unauthenticated, detail));
    }
    let target = Target {
        method: method.as_str(),
        authority: &authority,
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
    };
    let signer = signed
        .verify(&target, &bytes)
        .map_err(|error| ApiError::refused(ErrorCode::Unauthenticated, error.to_string()))?;
    Ok((signer, bytes))
}

/// `:authority` (HTTP/2, or a request in absolute form), else the `Host` header; in lower case.
fn authority(uri: &Uri, headers: &HeaderMap) -> String {
    let host = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority().map(axum::http::uri::Authority::as_str).or_else(host);
    authority.unwrap_or_default().to_ascii_lowercase()
}

/// A header that comes twice could be read in two ways: it counts as none.
fn signed_headers(headers: &HeaderMap) -> Option<SignedHeaders> {
    let only = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then(|| value.to_owned())
    };
    Some(SignedHeaders {
        content_digest: only(CONTENT_DIGEST)?,
        request_number: only(REQUEST_NUMBER)?,
        signature_input: only(SIGNATURE_INPUT)?,
        signature: only(SIGNATURE)?,
    })
}
