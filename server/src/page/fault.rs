//! What a person is told where their page cannot be shown.

use super::{view::MessagePage, words::words};
use crate::{
    api::ApiError,
    orders::{pass::PassFault, person::Language, signing::LinkFault},
    store::StoreError,
};
use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};

/// Why there is no page.
#[derive(Debug)]
pub(super) enum PageFault {
    /// The pass is none, or too old.
    Pass(PassFault),
    /// The link is none, or too old.
    Link(LinkFault),
    /// Nobody, or nothing of theirs, is there.
    Gone,
    /// What was sent is no form of the page.
    Form,
    /// Something else failed.
    Api(ApiError),
}

impl From<ApiError> for PageFault {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<StoreError> for PageFault {
    fn from(error: StoreError) -> Self {
        Self::Api(error.into())
    }
}

impl PageFault {
    /// The page that says so.
    pub(super) fn page(self, language: Language) -> Response {
        let w = words(language);
        let (status, title, text) = match self {
            Self::Pass(PassFault::Forged) | Self::Link(LinkFault::Forged) => {
                (StatusCode::NOT_FOUND, w.forged_title, w.forged_text)
            }
            Self::Pass(PassFault::Expired) => (StatusCode::GONE, w.expired_title, w.expired_text),
            Self::Link(LinkFault::Expired { .. }) => {
                (StatusCode::GONE, w.expired_title, w.link_expired_text)
            }
            Self::Gone => (StatusCode::GONE, w.gone_title, w.gone_text),
            Self::Form => (StatusCode::UNPROCESSABLE_ENTITY, w.failed_title, w.fault_form),
            Self::Api(error) => {
                // Written to the log on the way; the person needs other words.
                let status = error.into_response().status();
                (status, w.failed_title, w.failed_text)
            }
        };
        html(status, &MessagePage { w, title, text })
    }
}

/// A template as an answer.
pub(super) fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(_) => ApiError::Internal("rendering the page").into_response(),
    }
}
