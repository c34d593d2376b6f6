//! Who asks, and whether they may: operators' keys, and how often anybody may ask.
//!
//! [`identify`] looks at every request once, before its handler; handlers say what they need:
//!
//! ```ignore
//! async fn sweep(State(app): State<App>, _: Allowed<scope::Predict>) -> ...
//! ```

pub(crate) use crate::ops::scope;

use super::ApiError;
use crate::{
    app::{App, unix_ms},
    ops::{
        keys::Token,
        limits::Quota,
        ring::{Holder, Invalid},
        scope::{Scope, ScopeName},
    },
    store::Action,
};
use axum::{
    extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Version, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    collections::HashSet,
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// draft-ietf-httpapi-ratelimit-headers-10.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What proxies add: a request with one of them did not begin on this machine. So do headers that
/// begin with [`X_FORWARDED`].
const FORWARDED: [&str; 3] = ["forwarded", "via", "x-real-ip"];
const X_FORWARDED: &str = "x-forwarded-";

/// A request whose key has the scope. 401 without a key that holds, 403 without the scope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed<S> {
    /// Whether the key may also say what time it is.
    pub(crate) backfill: bool,
    scope: PhantomData<S>,
}

impl<S: ScopeName> FromRequestParts<App> for Allowed<S> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let holder = holder(parts, app, S::SCOPE).await?;
        let backfill = holder.may(Scope::Backfill);
        Ok(Self { backfill, scope: PhantomData })
    }
}

/// The key of a request, if it has the scope. Refusals are counted.
pub(crate) async fn holder(parts: &Parts, app: &App, scope: Scope) -> Result<Holder, ApiError> {
    let error = match parts.extensions.get::<Caller>() {
        Some(Caller::Key(holder)) if holder.may(scope) => return Ok(holder.clone()),
        Some(Caller::Key(_)) => ApiError::Forbidden(scope),
        Some(Caller::Invalid(why)) => {
            app.guard.note(&app.store, Action::BadKey, None, unix_ms()).await;
            ApiError::Key(Some(*why))
        }
        Some(Caller::Nobody) | None => ApiError::Key(None),
    };
    app.refused(&error, None, unix_ms()).await;
    Err(error)
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// No key was shown.
    Nobody,
    /// One that does not hold.
    Invalid(Invalid),
    /// One that does.
    Key(Holder),
}

/// A request that began on the server's own machine: over loopback, under a name of loopback, and
/// through no proxy. A page of elsewhere that makes a browser here ask for it names its own host.
///
/// A proxy that says nothing of itself cannot be told from this machine, but for one thing: some
/// speak HTTP/1.0 unless told otherwise, which nobody else does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local(pub(crate) bool);

impl FromRequestParts<App> for Local {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let near = peer(&parts.extensions).is_some_and(|address| address.is_loopback());
        let direct = parts.version >= Version::HTTP_11 && !parts.headers.keys().any(is_of_proxies);
        let host = parts.uri.authority().map(axum::http::uri::Authority::as_str);
        let host = host.or_else(|| parts.headers.get(header::HOST)?.to_str().ok());
        Ok(Self(near && direct && host.is_some_and(names_loopback)))
    }
}

fn is_of_proxies(header: &HeaderName) -> bool {
    FORWARDED.contains(&header.as_str()) || header.as_str().starts_with(X_FORWARDED)
}

fn names_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn peer(extensions: &axum::http::Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

/// The app, and which routes devices sign.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) app: App,
    pub(super) signed: Arc<HashSet<String>>,
}

/// Finds out who asks and takes one from their bucket. Keys that hold have one each; all else is
/// counted by address, what devices sign apart from the rest.
pub(super) async fn identify(
    State(Gate { app, signed }): State<Gate>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = peer(request.extensions());
    let route = request.extensions().get::<MatchedPath>();
    let of_devices = route.is_some_and(|route| signed.contains(route.as_str()));
    let ops = &app.ops;
    let (table, rate, policy) = if of_devices {
        (&ops.devices, ops.limits.device, "device")
    } else {
        (&ops.visitors, ops.limits.address, "address")
    };
    let now_ns = ops.ticker.now_ns();
    let token = match bearer(request.headers()) {
        Bearer::Token(token) => token,
        other => {
            let caller = match other {
                Bearer::None => Caller::Nobody,
                _ => Caller::Invalid(Invalid::Unknown),
            };
            let quota = peer.map(|peer| table.bucket(peer).take(rate, now_ns));
            return go_on(request, next, caller, quota, policy).await;
        }
    };
    // Guessing must not cost the database more than the address may ask.
    if !ops.ring.has(token.id())
        && let Some(peer) = peer
        && let quota = table.bucket(peer).look(rate, now_ns)
        && quota.retry_in.is_some()
    {
        return refuse(quota, policy);
    }
    match ops.ring.check(&app.store, &token, unix_ms()).await {
        Err(error) => ApiError::Store(error).into_response(),
        Ok(Err(why)) => {
            let quota = peer.map(|peer| table.bucket(peer).take(rate, now_ns));
            go_on(request, next, Caller::Invalid(why), quota, policy).await
        }
        Ok(Ok(holder)) => {
            let quota = holder.bucket.take(ops.limits.key, now_ns);
            request.extensions_mut().insert(holder.id);
            go_on(request, next, Caller::Key(holder), Some(quota), "key").await
        }
    }
}

async fn go_on(
    mut request: Request,
    next: Next,
    caller: Caller,
    quota: Option<Quota>,
    policy: &'static str,
) -> Response {
    if let Some(quota) = quota.filter(|quota| quota.retry_in.is_some()) {
        return refuse(quota, policy);
    }
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if let Some(quota) = quota {
        tell(response.headers_mut(), quota, policy);
    }
    response
}

fn refuse(quota: Quota, policy: &'static str) -> Response {
    let mut response = ApiError::TooMany(quota).into_response();
    tell(response.headers_mut(), quota, policy);
    response
}

/// Says what is left, where there is a limit.
fn tell(headers: &mut HeaderMap, quota: Quota, policy: &'static str) {
    let Quota { rate, remaining, full_in, .. } = quota;
    if rate.per_second == 0 {
        return;
    }
    let policy_text = format!("\"{policy}\";q={};w={}", rate.burst.max(1), rate.window_s());
    let full_s = full_in.as_millis().div_ceil(1_000);
    let limit_text = format!("\"{policy}\";r={remaining};t={full_s}");
    for (name, text) in [(RATE_LIMIT_POLICY, policy_text), (RATE_LIMIT, limit_text)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

enum Bearer {
    None,
    Unreadable,
    Token(Token),
}

/// `Authorization: Bearer KEY`. A header that comes twice could be read in two ways.
fn bearer(headers: &HeaderMap) -> Bearer {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Bearer::None };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let key = text.and_then(|text| text.split_once(' '));
    let key = key.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = key.and_then(|(_, key)| Token::parse(key.trim_matches(' ')));
    token.map_or(Bearer::Unreadable, Bearer::Token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_these_names_and_no_other() {
        for name in ["localhost", "LOCALHOST:80", "127.0.0.1", "127.9.9.9:1", "[::1]:80", "[::1]"] {
            assert!(names_loopback(name), "{name}");
        }
        for name in ["", "localhost.evil.example", "10.0.0.1:80", "[::2]", "127.0.0.1.nip.io:80"] {
            assert!(!names_loopback(name), "{name}");
        }
    }
}
