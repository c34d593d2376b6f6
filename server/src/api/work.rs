//! `/v1/sweeps` and `/v1/trainings`: work that is asked for, and how far it is.

use super::{
    ApiError,
    extract::{JobId, JsonBody},
    operator::{Allowed, scope},
    run_to_end,
};
use crate::{
    app::{App, unix_ms},
    conversion::work::{SWEEP, TRAINING},
    orders::work as orders,
    store::Job,
    work::{SweepOrder, TrainingOrder},
};
use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;
use protocol::problem::{ErrorCode, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(start_sweep))
        .routes(routes!(sweep))
        .routes(routes!(start_training))
        .routes(routes!(training))
        .routes(routes!(start_order_sweep))
        .routes(routes!(order_sweep))
        .routes(routes!(start_order_training))
        .routes(routes!(order_training))
}

/// What is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WorkRequest {
    /// As of when: RFC 3339 with a zone, not in the future. Now, if absent; anything else takes a
    /// key with the scope `backfill` too.
    #[schema(value_type = Option<String>, format = DateTime)]
    as_of: Option<String>,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WorkState {
    /// Nobody is at it yet, or it failed and is tried again.
    Waiting,
    /// Somebody is at it.
    Running,
    /// It is done.
    Done,
    /// It was given up.
    Failed,
}

/// Work that was asked for.
#[derive(Debug, Serialize, ToSchema)]
struct Work {
    /// Its id.
    id: Uuid,
    /// How far it is.
    state: WorkState,
    /// How often it was begun.
    attempts: u32,
    /// When it ended, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_unix_ms: Option<i64>,
    /// What came of it up to now: of a sweep its counts, of a training the model and what it is
    /// for; `error`, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
}

/// Score everybody
///
/// Earlier forecasts whose time has passed are checked first. The work goes on in the background.
#[utoipa::path(post, path = "/v1/sweeps", tag = "predictions",
    security(("api_key" = ["predict"])),
    request_body(content = WorkRequest, example = json!({"as_of": null})),
    responses(
        (status = 202, description = "It was taken on", body = Work,
            example = json!(example_waiting())),
        (status = 403, description = "Another time than now takes the scope `backfill`",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "One waits or runs already", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "No time, or one in the future", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn start_sweep(
    State(app): State<App>,
    allowed: Allowed<scope::Predict>,
    JsonBody(asked): JsonBody<WorkRequest>,
) -> Result<(StatusCode, Json<Work>), ApiError> {
    let order = SweepOrder { as_of_unix_ms: as_of(&asked, allowed.backfill)? };
    run_to_end(async move { start(&app, SWEEP, &order).await }).await
}

/// How far a sweep is
#[utoipa::path(get, path = "/v1/sweeps/{job}", tag = "predictions",
    security(("api_key" = ["predict"])),
    params(("job" = Uuid, Path, description = "The id of the sweep")),
    responses(
        (status = 200, description = "How far it is", body = Work, example = json!(example_swept())),
        (status = 404, description = "There is no such sweep", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn sweep(
    State(app): State<App>,
    _: Allowed<scope::Predict>,
    JobId(id): JobId,
) -> Result<Json<Work>, ApiError> {
    find(&app, SWEEP, id).await
}

/// Train a model
///
/// As a process of its own, in the background. What comes of it is registered, and serves if the
/// rule lets it.
#[utoipa::path(post, path = "/v1/trainings", tag = "models", security(("api_key" = ["models"])),
    request_body(content = WorkRequest, example = json!({"as_of": null})),
    responses(
        (status = 202, description = "It was taken on", body = Work,
            example = json!(example_waiting())),
        (status = 403, description = "Another time than now takes the scope `backfill`",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "One waits or runs already", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "No time, or one in the future", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn start_training(
    State(app): State<App>,
    allowed: Allowed<scope::Models>,
    JsonBody(asked): JsonBody<WorkRequest>,
) -> Result<(StatusCode, Json<Work>), ApiError> {
    let as_of_unix_ms = as_of(&asked, allowed.backfill)?;
    let order = TrainingOrder { as_of_unix_ms, cause: "operator".to_owned() };
    run_to_end(async move { start(&app, TRAINING, &order).await }).await
}

/// How far a training is
#[utoipa::path(get, path = "/v1/trainings/{job}", tag = "models",
    security(("api_key" = ["models"])),
    params(("job" = Uuid, Path, description = "The id of the training")),
    responses(
        (status = 200, description = "How far it is", body = Work,
            example = json!(example_trained())),
        (status = 404, description = "There is no such training", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn training(
    State(app): State<App>,
    _: Allowed<scope::Models>,
    JobId(id): JobId,
) -> Result<Json<Work>, ApiError> {
    find(&app, TRAINING, id).await
}

/// Look at everybody's needs
///
/// What was foretold long enough ago is checked first. What is sure enough is proposed to its person;
/// the rest is kept as suggestions, with the reason. The work goes on in the background.
#[utoipa::path(post, path = "/v1/order-sweeps", tag = "orders",
    security(("api_key" = ["orders"])),
    responses(
        (status = 202, description = "It was taken on", body = Work,
            example = json!(example_waiting())),
        (status = 409, description = "One waits or runs already", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn start_order_sweep(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
) -> Result<(StatusCode, Json<Work>), ApiError> {
    run_to_end(async move { start(&app, orders::LOOK, &SweepOrder::default()).await }).await
}

/// How far a look at everybody's needs is
#[utoipa::path(get, path = "/v1/order-sweeps/{job}", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("job" = Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "How far it is", body = Work, example = json!({
            "id": "01997a10-5c00-7000-8000-000000000004", "state": "done", "attempts": 1,
            "done_unix_ms": 1_795_000_000_000_i64,
            "result": {
                "as_of_unix_ms": 1_794_999_960_000_i64, "model": "7d6a2f9c01b4e583",
                "level": "proposes from 91 % on: of 412 such predictions of the newest completed \
                    cut 6.3 % were wrong, at most 10 % are wanted",
                "people": 10_000, "proposed": 120, "suggested": 31_200, "checked": 1,
                "seconds": 1.4,
            },
        })),
        (status = 404, description = "There is none of this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn order_sweep(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    JobId(id): JobId,
) -> Result<Json<Work>, ApiError> {
    find(&app, orders::LOOK, id).await
}

/// Train a model of needs
///
/// As a process of its own, in the background. What comes of it serves.
#[utoipa::path(post, path = "/v1/order-trainings", tag = "models",
    security(("api_key" = ["models"])),
    responses(
        (status = 202, description = "It was taken on", body = Work,
            example = json!(example_waiting())),
        (status = 409, description = "One waits or runs already", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn start_order_training(
    State(app): State<App>,
    _: Allowed<scope::Models>,
) -> Result<(StatusCode, Json<Work>), ApiError> {
    let order = TrainingOrder { as_of_unix_ms: None, cause: "operator".to_owned() };
    run_to_end(async move { start(&app, orders::TRAINING, &order).await }).await
}

/// How far a training of needs is
#[utoipa::path(get, path = "/v1/order-trainings/{job}", tag = "models",
    security(("api_key" = ["models"])),
    params(("job" = Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "How far it is", body = Work, example = json!({
            "id": "01997a10-5c00-7000-8000-000000000005", "state": "done", "attempts": 1,
            "done_unix_ms": 1_795_000_000_000_i64,
            "result": {"model": "7d6a2f9c01b4e583", "level": "suggestions only: ..."},
        })),
        (status = 404, description = "There is none of this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn order_training(
    State(app): State<App>,
    _: Allowed<scope::Models>,
    JobId(id): JobId,
) -> Result<Json<Work>, ApiError> {
    find(&app, orders::TRAINING, id).await
}

/// The time asked for, if another than now may be.
fn as_of(asked: &WorkRequest, backfill: bool) -> Result<Option<i64>, ApiError> {
    let Some(text) = &asked.as_of else { return Ok(None) };
    if !backfill {
        return Err(ApiError::Forbidden(crate::ops::scope::Scope::Backfill));
    }
    let invalid = |detail| ApiError::refused(ErrorCode::Invalid, detail);
    let time: Timestamp = text
        .parse()
        .map_err(|_| invalid("as_of is a time with a zone, like 2026-11-20T17:04:05Z"))?;
    let unix_ms_asked = time.as_millisecond();
    if unix_ms_asked > unix_ms() {
        return Err(invalid("as_of lies in the future"));
    }
    Ok(Some(unix_ms_asked))
}

async fn start(
    app: &App,
    kind: &str,
    order: &impl Serialize,
) -> Result<(StatusCode, Json<Work>), ApiError> {
    let busy = || {
        let detail = format!("another {kind} waits or runs: ask again when it is done");
        ApiError::refused(ErrorCode::Conflict, detail)
    };
    let id = app.store.add_job(kind, order, unix_ms(), false).await?.ok_or_else(busy)?;
    app.conversion.wake.all();
    app.orders.wake_all();
    let job = app.store.job(id).await?.ok_or(ApiError::Internal("a job that was just added"))?;
    Ok((StatusCode::ACCEPTED, Json(view(job))))
}

async fn find(app: &App, kind: &str, id: Uuid) -> Result<Json<Work>, ApiError> {
    let job = app.store.job(id).await?.filter(|job| job.kind == kind);
    let unknown = || ApiError::refused(ErrorCode::NotFound, format!("there is no {kind} {id}"));
    Ok(Json(view(job.ok_or_else(unknown)?)))
}

fn view(job: Job) -> Work {
    let failed = job.result.as_ref().is_some_and(|result| result.get("error").is_some());
    let state = match job.done_unix_ms {
        Some(_) if failed => WorkState::Failed,
        Some(_) => WorkState::Done,
        None if job.leased_until_unix_ms > unix_ms() => WorkState::Running,
        None => WorkState::Waiting,
    };
    let Job { id, attempts, done_unix_ms, result, .. } = job;
    Work { id, state, attempts, done_unix_ms, result }
}

fn example_waiting() -> Value {
    json!({"id": "01997a10-5c00-7000-8000-000000000002", "state": "waiting", "attempts": 0})
}

fn example_swept() -> Value {
    json!({
        "id": "01997a10-5c00-7000-8000-000000000002", "state": "done", "attempts": 1,
        "done_unix_ms": 1_795_000_000_000_i64,
        "result": {
            "as_of_unix_ms": 1_794_999_960_000_i64, "model": "7d6a2f9c01b4e583",
            "people": 1_000_000, "predicted": 999_998, "left_out": 2, "forecasts": 10_021,
            "crossings": 312, "checked": 9_987, "seconds": 38.2,
        },
    })
}

fn example_trained() -> Value {
    json!({
        "id": "01997a10-5c00-7000-8000-000000000003", "state": "done", "attempts": 1,
        "done_unix_ms": 1_795_000_000_000_i64,
        "result": {"model": "7d6a2f9c01b4e583", "state": "champion"},
    })
}
