//! `/v1/models`: which model predicts, where it comes from, how good it was.

use super::{
    ApiError,
    extract::ModelId,
    operator::{Allowed, scope},
    run_to_end,
};
use crate::{
    app::{App, unix_ms},
    conversion::model::ModelError,
    conversion::registry::{Check, Decided, KIND, Record, RegistryError, record_of},
    conversion::rule::Evidence,
    store::{ModelRow, ModelState},
};
use axum::{Json, extract::State};
use protocol::problem::{ErrorCode, Problem};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(models))
        .routes(routes!(model))
        .routes(routes!(performance))
        .routes(routes!(promote))
        .routes(routes!(retire))
}

/// A model in a list.
#[derive(Debug, Serialize, ToSchema)]
struct ModelLine {
    /// The head of the digest of its content.
    id: String,
    /// What it is for.
    state: ModelState,
    /// When it was registered, Unix milliseconds.
    created_unix_ms: i64,
    /// Why it is what it is; absent before the first decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Every model.
#[derive(Debug, Serialize, ToSchema)]
struct Models {
    /// Newest first.
    models: Vec<ModelLine>,
}

/// A model: where it comes from and what became of it.
#[derive(Debug, Serialize, ToSchema)]
struct ModelView {
    /// The head of the digest of its content.
    id: String,
    /// What it is for.
    state: ModelState,
    /// When it was registered, Unix milliseconds.
    created_unix_ms: i64,
    /// How far ahead it looks, milliseconds.
    horizon_ms: i64,
    /// What it was fitted on and how: data window, features, seed, scores.
    lineage: Value,
    /// What it was judged by.
    evidence: Evidence,
    /// The model that the evidence compares it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<String>,
    /// Every change of what it is for, oldest first.
    decisions: Vec<Decided>,
}

/// How a model did in service.
#[derive(Debug, Serialize, ToSchema)]
struct Performance {
    /// The model.
    id: String,
    /// Its forecasts whose time has passed, time by time, oldest first.
    checks: Vec<Check>,
}

/// Every model
#[utoipa::path(get, path = "/v1/models", tag = "models", security(("api_key" = ["models"])),
    responses((status = 200, description = "Newest first", body = Models,
        example = json!({"models": [example_line()]}))))]
async fn models(
    State(app): State<App>,
    _: Allowed<scope::Models>,
) -> Result<Json<Models>, ApiError> {
    let rows = app.store.models(KIND).await?;
    Ok(Json(Models { models: rows.iter().map(line_of).collect() }))
}

/// A model and its lineage
#[utoipa::path(get, path = "/v1/models/{model}", tag = "models",
    security(("api_key" = ["models"])),
    params(("model" = String, Path, description = "The id of a model")),
    responses(
        (status = 200, description = "Where it comes from", body = ModelView,
            example = json!(example_view())),
        (status = 404, description = "No model has this id", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn model(
    State(app): State<App>,
    _: Allowed<scope::Models>,
    ModelId(id): ModelId,
) -> Result<Json<ModelView>, ApiError> {
    Ok(Json(view_of(&app, &id).await?))
}

/// How good a model was in service
///
/// Forecasts of a sample of people are kept until their time has passed, and are then held against
/// what happened: area under the curve, logarithmic loss beside that of the base rate, Brier score
/// and calibration error, time by time.
#[utoipa::path(get, path = "/v1/models/{model}/performance", tag = "models",
    security(("api_key" = ["models"])),
    params(("model" = String, Path, description = "The id of a model")),
    responses(
        (status = 200, description = "Time by time", body = Performance,
            example = json!(example_performance())),
        (status = 404, description = "No model has this id", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn performance(
    State(app): State<App>,
    _: Allowed<scope::Models>,
    ModelId(id): ModelId,
) -> Result<Json<Performance>, ApiError> {
    let row = app.store.model(KIND, &id).await?.ok_or(RegistryError::Unknown)?;
    let Record { checks, .. } = record_of(&row);
    Ok(Json(Performance { id: row.id, checks }))
}

/// Let a model serve
///
/// Whatever the rule says. The one that served goes on forecasting beside it.
#[utoipa::path(post, path = "/v1/models/{model}/promote", tag = "models",
    security(("api_key" = ["models"])),
    params(("model" = String, Path, description = "The id of a model")),
    responses(
        (status = 200, description = "It serves", body = ModelView,
            example = json!(example_view())),
        (status = 404, description = "No model has this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "It serves already, its content has ended, or it was trained on \
            other feature definitions than the server's", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn promote(
    State(app): State<App>,
    _: Allowed<scope::Models>,
    ModelId(id): ModelId,
) -> Result<Json<ModelView>, ApiError> {
    run_to_end(async move {
        app.conversion.registry.promote(&app.store, &id, unix_ms()).await?;
        Ok(Json(view_of(&app, &id).await?))
    })
    .await
}

/// Take a model out of service
///
/// Without a champion nothing is predicted.
#[utoipa::path(post, path = "/v1/models/{model}/retire", tag = "models",
    security(("api_key" = ["models"])),
    params(("model" = String, Path, description = "The id of a model")),
    responses(
        (status = 200, description = "It does not serve any more", body = ModelView,
            example = json!(example_view())),
        (status = 404, description = "No model has this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "It is not at work", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn retire(
    State(app): State<App>,
    _: Allowed<scope::Models>,
    ModelId(id): ModelId,
) -> Result<Json<ModelView>, ApiError> {
    run_to_end(async move {
        app.conversion.registry.retire(&app.store, &id, unix_ms()).await?;
        Ok(Json(view_of(&app, &id).await?))
    })
    .await
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        let code = match error {
            RegistryError::Store(error) => return Self::Store(error),
            RegistryError::Unknown => ErrorCode::NotFound,
            RegistryError::State(_) | RegistryError::Model(ModelError::Definitions) => {
                ErrorCode::Conflict
            }
            RegistryError::Model(_) => ErrorCode::Internal,
        };
        Self::refused(code, error.to_string())
    }
}

fn line_of(row: &ModelRow) -> ModelLine {
    let ModelRow { id, state, created_unix_ms, .. } = row;
    let reason = record_of(row).decisions.pop().map(|decided| decided.reason);
    ModelLine { id: id.clone(), state: *state, created_unix_ms: *created_unix_ms, reason }
}

async fn view_of(app: &App, id: &str) -> Result<ModelView, ApiError> {
    let row = app.store.model(KIND, id).await?.ok_or(RegistryError::Unknown)?;
    let Record { training, horizon_ms, evidence, against, decisions, .. } = record_of(&row);
    let ModelRow { id, state, created_unix_ms, .. } = row;
    Ok(ModelView {
        id,
        state,
        created_unix_ms,
        horizon_ms,
        lineage: training,
        evidence,
        against,
        decisions,
    })
}

const EXAMPLE_REASON: &str = "the first model, better than the base rate: log-loss lower by \
    0.04120 +- 0.00310 nats on 18211 people";

fn example_line() -> Value {
    json!({
        "id": "7d6a2f9c01b4e583", "state": "champion", "created_unix_ms": 1_795_000_000_000_i64,
        "reason": EXAMPLE_REASON,
    })
}

fn example_view() -> Value {
    json!({
        "id": "7d6a2f9c01b4e583", "state": "champion", "created_unix_ms": 1_795_000_000_000_i64,
        "horizon_ms": 604_800_000, "lineage": {"seed": 1, "rows": 181_020},
        "evidence": {
            "over_base": {"count": 18_211, "sum": 750.3, "sum_of_squares": 1_201.9},
            "over_champion": null, "in_service": null,
        },
        "decisions": [{
            "at_unix_ms": 1_795_000_000_000_i64, "state": "champion", "reason": EXAMPLE_REASON,
        }],
    })
}

fn example_performance() -> Value {
    let quality = json!({
        "predictions": 10_000, "rate": 0.213, "mean_probability": 0.209, "auc": 0.781,
        "log_loss": 0.432, "base_log_loss": 0.518, "brier": 0.139, "ece10": 0.011,
    });
    json!({
        "id": "7d6a2f9c01b4e583",
        "checks": [{
            "as_of_unix_ms": 1_795_000_000_000_i64, "served": quality, "raw": quality,
            "over_champion": null,
        }],
    })
}
