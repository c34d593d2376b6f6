//! A person's own page, `/me/{pass}`: what waits for their answer, what became of the rest, what they
//! wish, what is known of them, and their end here. And the links of messages, `/o/{link}`.
//!
//! ```text
//!  address -> Visitor (whose pass?) -> GET: orders, suggestions, wishes -> one page
//!                                      POST: a form -> Desk::hear, Desk::wish -> 303, or the page
//!                                            again with what was wrong
//! ```
//!
//! Everything works by plain forms. The page's script sends the same forms and puts the answer in
//! place, and looks anew when the stream says so.
//!
//! **Invariant.** No GET changes anything: programs that look through mail open every link. The
//! address is the key to the page, so it is in no log line and no other address.

mod answer;
mod fault;
mod form;
mod home;
mod language;
mod link;
mod rights;
mod speak;
pub(crate) mod stream;
mod view;
mod visitor;
mod words;

use crate::{api::ApiError, app::App};
use axum::http::{HeaderName, HeaderValue};
use fault::PageFault;
use std::future::Future;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;

/// The page's own files, beside those of the live page.
pub(crate) const CSS: &str = include_str!("../../assets/me.css");
/// See [`CSS`].
pub(crate) const SCRIPT: &str = include_str!("../../assets/me.js");
/// What answers are said to come from.
const CHANNEL: &str = "page";
/// Search engines keep their hands off.
const ROBOTS: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow"));

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(home::router())
        .merge(answer::router())
        .merge(rights::router())
        .merge(link::router())
        .layer(SetResponseHeaderLayer::overriding(ROBOTS.0, ROBOTS.1))
}

/// Runs to its end even if the browser hangs up: what is stored and what is said must not part.
async fn run_to_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, PageFault>> + Send + 'static,
) -> Result<T, PageFault> {
    let lost = Err(PageFault::Api(ApiError::Internal("a task of the server")));
    tokio::spawn(work).await.unwrap_or(lost)
}
