//! Who may read the page: a key with the scope `live`, shown as such or exchanged for a cookie by
//! the sign-in form.
//!
//! As long as no key was ever made, the page is open to the server's own machine, so that the demo
//! and a first start need no key; the first key closes it for good. A cookie is random, lives in
//! memory alone and ends with its key.

use super::view;
use crate::{
    api::{
        ApiError,
        operator::{Local, holder},
    },
    app::{App, unix_ms},
    ops::{keys::Token, ring::Invalid, scope::Scope},
    store::Action,
};
use axum::{
    body::to_bytes,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::{digest::Digest, problem::Problem};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use utoipa::ToSchema;
use uuid::Uuid;

/// The name of the cookie.
pub(crate) const COOKIE: &str = "attune_live";
/// How long a sign-in holds: a working day.
const HOLDS: Duration = Duration::from_secs(12 * 60 * 60);
/// Most sign-ins at once; one more ends the oldest.
const MOST_SESSIONS: usize = 256;
/// A key and what a browser puts around it.
const MOST_FORM_BYTES: usize = 1_024;
const SECRET_BYTES: usize = 32;

/// The sign-ins that hold.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<Digest, Session>>);

#[derive(Debug, Clone, Copy)]
struct Session {
    key: Uuid,
    began: Instant,
}

impl Sessions {
    /// A new cookie for the holder of a key.
    fn open(&self, key: Uuid) -> Option<String> {
        let mut secret = [0; SECRET_BYTES];
        SystemRandom::new().fill(&mut secret).ok()?;
        let cookie = URL_SAFE_NO_PAD.encode(secret);
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.began.elapsed() < HOLDS);
        if sessions.len() >= MOST_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.began);
            if let Some(oldest) = oldest.map(|(hash, _)| *hash) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(Digest::of(cookie.as_bytes()), Session { key, began: Instant::now() });
        Some(cookie)
    }

    /// The key behind a cookie. Looked up by its hash: the time tells nothing of it.
    fn key(&self, cookie: &str) -> Option<Uuid> {
        let session = self.lock().get(&Digest::of(cookie.as_bytes())).copied()?;
        (session.began.elapsed() < HOLDS).then_some(session.key)
    }

    fn close(&self, cookie: &str) {
        self.lock().remove(&Digest::of(cookie.as_bytes()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever may read the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer;

impl FromRequestParts<App> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        if let Some(cookie) = cookie(&parts.headers)
            && let Some(key) = app.live.sessions.key(cookie)
            && let Ok(holder) = app.ops.ring.recheck(&app.store, key, unix_ms()).await?
            && holder.may(Scope::Live)
        {
            return Ok(Self);
        }
        let Local(local) = Local::from_request_parts(parts, app).await?;
        if local && !app.ops.ring.any(&app.store).await? {
            return Ok(Self);
        }
        holder(parts, app, Scope::Live).await.map(|_| Self)
    }
}

/// The form of the sign-in.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SignIn {
    /// An operator's key with the scope live.
    #[expect(dead_code, reason = "describes the form to the document; it is read by hand")]
    key: String,
}

/// Sign in to the page
///
/// Takes a key with the scope `live` and gives a cookie that scripts cannot read, that no other
/// site can use, and that ends with the key, and after twelve hours.
#[utoipa::path(post, path = "/sign-in", tag = "live", security(()),
    request_body(content = SignIn, content_type = "application/x-www-form-urlencoded",
        example = "key=attune_..."),
    responses(
        (status = 303, description = "Signed in: on to the page"),
        (status = 401, description = "Not a key that may read the page; the form again",
            body = str, content_type = "text/html"),
        (status = 403, description = "The form of another site", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(super) async fn sign_in(
    State(app): State<App>,
    request: Request,
) -> Result<Response, ApiError> {
    same_site(request.headers())?;
    let secure = forwarded_https(request.headers());
    let body = to_bytes(request.into_body(), MOST_FORM_BYTES).await.unwrap_or_default();
    let fields = form_urlencoded::parse(&body).find(|(name, _)| name == "key");
    let token = fields.and_then(|(_, value)| Token::parse(value.trim()));
    let holder = match token {
        None => Err(Invalid::Unknown),
        Some(token) => app.ops.ring.check(&app.store, &token, unix_ms()).await?,
    };
    match holder {
        Ok(holder) if holder.may(Scope::Live) => {
            let cookie = app.live.sessions.open(holder.id);
            let cookie = cookie.ok_or(ApiError::Internal("making a cookie"))?;
            let value = set_cookie(&cookie, HOLDS.as_secs(), secure)?;
            Ok(([(header::SET_COOKIE, value)], Redirect::to("/")).into_response())
        }
        Ok(_) => Ok(form(Some("This key cannot read the page: it lacks the scope live."))),
        Err(_) => {
            app.guard.note(&app.store, Action::BadKey, None, unix_ms()).await;
            Ok(form(Some("This is no key of this server, or one that has ended.")))
        }
    }
}

/// Sign out
#[utoipa::path(post, path = "/sign-out", tag = "live", security(()),
    responses(
        (status = 303, description = "Signed out"),
        (status = 403, description = "The form of another site", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(super) async fn sign_out(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    same_site(&headers)?;
    if let Some(cookie) = cookie(&headers) {
        app.live.sessions.close(cookie);
    }
    let gone = set_cookie("", 0, forwarded_https(&headers))?;
    Ok(([(header::SET_COOKIE, gone)], Redirect::to("/")).into_response())
}

/// The sign-in form, in place of the page.
pub(super) fn form(problem: Option<&str>) -> Response {
    let page = view::sign_in(problem);
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"attune\"")];
    match page {
        Ok(page) => (StatusCode::UNAUTHORIZED, challenge, Html(page)).into_response(),
        Err(_) => ApiError::Internal("rendering the page").into_response(),
    }
}

/// Browsers say whose form they send (Fetch Metadata); who says nothing is no browser.
fn same_site(headers: &HeaderMap) -> Result<(), ApiError> {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    match site {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(ApiError::OtherSite),
    }
}

/// Whether a proxy in front speaks TLS with the browser.
fn forwarded_https(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https")
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

fn set_cookie(value: &str, seconds: u64, secure: bool) -> Result<HeaderValue, ApiError> {
    let secure = if secure { "; Secure" } else { "" };
    let text =
        format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).map_err(|_| ApiError::Internal("making a cookie"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_ins_are_bounded_and_end_when_closed() {
        let sessions = Sessions::default();
        let first = sessions.open(Uuid::nil()).unwrap();
        assert_eq!(sessions.key(&first), Some(Uuid::nil()));
        let more: Vec<_> =
            (0..MOST_SESSIONS).map(|_| sessions.open(Uuid::nil()).unwrap()).collect();
        assert_eq!(sessions.key(&first), None, "the oldest made room");
        assert_eq!(sessions.lock().len(), MOST_SESSIONS);
        sessions.close(&more[0]);
        assert_eq!(sessions.key(&more[0]), None);
        assert_eq!(sessions.key("guessed"), None);
    }
}
