//! `/v1/requests`: how a request went, and which of its rows were not taken.

use super::{
    ApiError,
    operator::{Allowed, scope},
};
use crate::app::App;
use axum::{
    Json,
    extract::{Path, Query, State},
};
use protocol::{
    intake::QuarantinePage,
    problem::{ErrorCode, Problem},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Rows of a page, unless the query says otherwise, and at most.
const PAGE_ROWS: u32 = 100;
const MOST_PAGE_ROWS: u32 = 1_000;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_request))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// The row after which the page begins; 0 for the first.
    #[serde(default)]
    #[param(default = 0, maximum = 9_223_372_036_854_775_807_u64)]
    after: u64,
    /// Rows of the page.
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// How a request went
///
/// Counts by reason, and a page of the rows that were not taken: their place in the request, why,
/// and what to do. What stood in them stays with whoever sent them. Needs the scope `ingest`.
#[utoipa::path(get, path = "/v1/requests/{id}", tag = "intake",
    security(("api_key" = ["ingest"])),
    params(("id" = Uuid, Path, description = "The request_id of the answer"), PageQuery),
    responses(
        (status = 200, description = "Counts, and a page of rows", body = QuarantinePage),
        (status = 404, description = "No such request", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID, or a query that cannot be", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn get_request(
    State(app): State<App>,
    _: Allowed<scope::Ingest>,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<QuarantinePage>, ApiError> {
    let invalid = |detail: &str| ApiError::refused(ErrorCode::Invalid, detail);
    let id = id.ok().and_then(|Path(id)| Uuid::parse_str(&id).ok());
    let request_id = id.ok_or_else(|| invalid("the path takes a UUID: /v1/requests/{id}"))?;
    let Ok(Query(PageQuery { after, limit })) = query else {
        return Err(invalid("the query takes after and limit, whole numbers"));
    };
    let limit = limit.unwrap_or(PAGE_ROWS);
    if !(1..=MOST_PAGE_ROWS).contains(&limit) || i64::try_from(after).is_err() {
        return Err(invalid("limit must be 1 to 1000, after at most 2^63-1"));
    }
    let Some(stored) = app.store.request(request_id).await? else {
        let detail = "no request is known under this id: those of validate_only are not kept";
        return Err(ApiError::refused(ErrorCode::NotFound, detail));
    };
    let mut errors = app.store.quarantine(request_id, after, limit + 1).await?;
    let more = errors.len() > limit as usize;
    errors.truncate(limit as usize);
    let next_after = errors.last().filter(|_| more).map(|error| error.row);
    Ok(Json(QuarantinePage {
        request_id,
        kind: stored.kind,
        received_unix_ms: stored.received_unix_ms,
        status: stored.status,
        errors,
        next_after,
    }))
}
