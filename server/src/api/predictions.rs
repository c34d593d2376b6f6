//! `/v1/people/{person}/prediction` and `/v1/predictions`: what is expected of people, and why.

use super::{
    ApiError,
    extract::Person,
    operator::{Allowed, scope},
};
use crate::{
    app::{App, unix_ms},
    conversion::answer::{Answer, Brief},
};
use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use protocol::problem::{ErrorCode, Problem};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Predictions in an answer, if nothing else is asked for, and at most.
const DEFAULT_LIMIT: u32 = 1_000;
const MOST_LIMIT: u32 = 10_000;
/// Predictions looked at for one answer: so long it takes at most, however few of them are wanted.
const MOST_LOOKED_AT: u32 = 20_000;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(prediction)).routes(routes!(predictions))
}

/// Predictions of many people.
#[derive(Debug, Serialize, ToSchema)]
struct Predictions {
    /// In the order of the people's ids.
    predictions: Vec<Brief>,
    /// Where to go on: the next `after`. Absent at the end; a page may have fewer predictions than
    /// its limit, or none, and still not be the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Uuid>,
}

/// What is expected of a person
///
/// The probability of a conversion within the horizon, its type and value, and the reasons in plain
/// words. The answer says that it was made automatically, by which model, how fresh it is, and how
/// the person can have a human look at it. Any id of a person does: those that are linked have one
/// prediction.
#[utoipa::path(get, path = "/v1/people/{person}/prediction", tag = "predictions",
    security(("api_key" = ["predict"])),
    params(("person" = Uuid, Path, description = "An id of the person")),
    responses(
        (status = 200, description = "What is expected", body = Answer,
            example = json!(Answer::example())),
        (status = 404, description = "Nobody is known by this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "No model serves yet, and why", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn prediction(
    State(app): State<App>,
    _: Allowed<scope::Predict>,
    Person(person): Person,
) -> Result<Json<Answer>, ApiError> {
    let unknown = || ApiError::refused(ErrorCode::NotFound, "nobody is known by this id");
    let root = app.store.root_of(person).await?.ok_or_else(unknown)?;
    let answer = app.conversion.answer(&app.store, root, unix_ms()).await?;
    answer.map(Json).ok_or_else(no_model)
}

/// Everybody's predictions, page by page
///
/// As they were stored when the people were last scored, without reasons.
#[utoipa::path(get, path = "/v1/predictions", tag = "predictions",
    security(("api_key" = ["predict"])),
    params(
        ("min_probability" = Option<f64>, Query, minimum = 0.0, maximum = 1.0,
            description = "Only those that are at least as probable"),
        ("after" = Option<Uuid>, Query, description = "Where to go on: `next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000,
            description = "Predictions in a page; 1000, if absent"),
    ),
    responses(
        (status = 200, description = "A page", body = Predictions,
            example = json!({"predictions": [Brief::example()], "next": Brief::example().person})),
        (status = 422, description = "A parameter is outside its range", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn predictions(
    State(app): State<App>,
    _: Allowed<scope::Predict>,
    page: Page,
) -> Result<Json<Predictions>, ApiError> {
    let (mut found, mut after, mut looked_at) = (Vec::new(), page.after, 0);
    while found.len() < page.limit as usize && looked_at < MOST_LOOKED_AT {
        let most = (page.limit - found.len() as u32).max(DEFAULT_LIMIT);
        let briefs = app.conversion.briefs(&app.store, after, most).await?;
        let Some(last) = briefs.last else {
            return Ok(Json(Predictions { predictions: found, next: None }));
        };
        looked_at += most;
        let wanted = |brief: &Brief| brief.probability >= page.min_probability;
        let room = page.limit as usize - found.len();
        let mut wanted = briefs.briefs.into_iter().filter(wanted);
        found.extend(wanted.by_ref().take(room));
        // What did not fit begins the next page.
        after = match (wanted.next(), found.last()) {
            (Some(_), Some(taken)) => taken.person,
            _ => last,
        };
    }
    Ok(Json(Predictions { predictions: found, next: Some(after) }))
}

fn no_model() -> ApiError {
    let detail = "no model serves yet: it takes facts of some weeks and a training, see \
                  /v1/trainings and /v1/models";
    ApiError::refused(ErrorCode::Conflict, detail)
}

/// Which page of the predictions.
#[derive(Debug, PartialEq)]
struct Page {
    min_probability: f64,
    after: Uuid,
    limit: u32,
}

impl FromRequestParts<App> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Page {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let invalid = |what: &str| ApiError::refused(ErrorCode::Invalid, what);
        let mut page = Self { min_probability: 0.0, after: Uuid::nil(), limit: DEFAULT_LIMIT };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "min_probability" => {
                    let share = value.parse().ok().filter(|p| (0.0..=1.0).contains(p));
                    page.min_probability =
                        share.ok_or_else(|| invalid("min_probability is a number from 0 to 1"))?;
                }
                "after" => {
                    let after = Uuid::parse_str(&value);
                    page.after = after.map_err(|_| invalid("after is a UUID: `next` of a page"))?;
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|n| (1..=MOST_LIMIT).contains(n));
                    page.limit =
                        limit.ok_or_else(|| invalid("limit is a whole number from 1 to 10000"))?;
                }
                _ => return Err(invalid("it takes min_probability, after and limit, no others")),
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(query: &str, expected: Option<(f64, u128, u32)>) {
        let found = Page::parse(query).ok();
        let page = expected.map(|(min_probability, after, limit)| Page {
            min_probability,
            after: Uuid::from_u128(after),
            limit,
        });
        assert_eq!(found, page, "{query}");
    }

    #[test]
    fn a_page_is_what_the_query_says_or_is_refused() {
        check("", Some((0.0, 0, 1_000)));
        let query = "min_probability=0.5&limit=7&after=00000000-0000-0000-0000-00000000000a";
        check(query, Some((0.5, 10, 7)));
        for bad in [
            "min_probability=2",
            "min_probability=NaN",
            "limit=0",
            "limit=10001",
            "after=x",
            "limit=-1",
            "page=2",
            "min_probability=",
        ] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn no_query_breaks_it(query: String) {
            let _ = Page::parse(&query);
        }
    }
}
