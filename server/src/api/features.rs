//! `/v1/features`: what is computed about people, and their values, now or at any time before.

use super::{
    ApiError,
    extract::{JsonBody, Person},
    operator::{Allowed, scope},
};
use crate::{
    app::{App, unix_ms},
    features::{DriftReport, Known},
    ops::scope::Scope,
};
use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderValue, header},
    response::Response,
};
use models::profile::{Aggregation, Definitions, Entity, Feature, Source};
use protocol::problem::{ErrorCode, Problem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Most people of one request.
const MOST_PEOPLE: usize = 1_000;
/// Most names of one request: as many as there can be.
const MOST_NAMES: usize = models::profile::MOST_FEATURES;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(drift))
        .routes(routes!(online))
        .routes(routes!(of_person))
}

/// A feature, and how it is doing.
#[derive(Debug, Serialize, ToSchema)]
struct Described {
    /// Its name.
    name: String,
    /// What it is about.
    #[schema(value_type = String, examples("person"))]
    entity: Entity,
    /// Which facts it is told from; null if from the time alone.
    #[schema(value_type = Option<String>, examples("conversion"))]
    source: Option<Source>,
    /// Which names of that source; all, if empty.
    names: Vec<String>,
    /// How.
    #[schema(value_type = String, examples("count"))]
    aggregation: Aggregation,
    /// Over how many days, today included; null: all time.
    window_days: Option<u16>,
    /// After how many days a fact counts half.
    half_life_days: Option<f64>,
    /// How many of the next days' weekdays count.
    ahead_days: Option<u8>,
    /// After how many days without a new fact the value is missing; null: never. Values are brought
    /// up to date in the very transaction that stores a fact.
    fresh_days: Option<u16>,
    /// What it may be used for.
    purpose: String,
    /// What it says about a person.
    says: String,
    /// What its absence says.
    missing: String,
    /// The share of people who have a value.
    coverage: f64,
}

impl Described {
    fn of(feature: &Feature, coverage: f64) -> Self {
        let feature = feature.clone();
        Self {
            name: feature.name,
            entity: feature.entity,
            source: feature.source,
            names: feature.names,
            aggregation: feature.aggregation,
            window_days: feature.window_days,
            half_life_days: feature.half_life_days,
            ahead_days: feature.ahead_days,
            fresh_days: feature.fresh_days,
            purpose: feature.purpose,
            says: feature.says,
            missing: feature.missing,
            coverage,
        }
    }
}

/// All features.
#[derive(Debug, Serialize, ToSchema)]
struct FeatureList {
    /// Names this very set of definitions.
    #[schema(value_type = String)]
    definitions: protocol::digest::Digest,
    /// The currency whose values count; null: any, at face value.
    currency: Option<protocol::offer::Currency>,
    /// As of when the coverage was counted, Unix milliseconds.
    at_unix_ms: i64,
    /// Over how many people: all, or some thousands.
    people: usize,
    /// In the order of a model's inputs.
    features: Vec<Described>,
}

/// What is computed about people
///
/// Every feature with its definition, what it says in plain words, and the share of people who have
/// a value.
#[utoipa::path(get, path = "/v1/features", tag = "features",
    security(("api_key" = ["features"])),
    responses((status = 200, description = "The definitions in force", body = FeatureList,
        example = json!({
            "definitions": "9b6c327891a81e73b8b46900d7125b5d839b5143f21946617a3f0b8bdac94a09",
            "currency": "EUR", "at_unix_ms": 1_795_305_600_000_i64, "people": 5000,
            "features": [{
                "name": "conversions_30d", "entity": "person", "source": "conversion",
                "names": [], "aggregation": "count", "window_days": 30, "half_life_days": null,
                "ahead_days": null, "fresh_days": null, "purpose": "conversion",
                "says": "bought {times} in the last 30 days", "missing": "not known",
                "coverage": 1.0,
            }],
        }))))]
async fn list(
    State(app): State<App>,
    _: Allowed<scope::Features>,
) -> Result<Json<FeatureList>, ApiError> {
    let population = app.features.population(&app.store, unix_ms()).await?;
    let definitions = app.features.definitions();
    let covered = definitions.features().iter().zip(population.coverage());
    Ok(Json(FeatureList {
        definitions: definitions.digest(),
        currency: definitions.currency(),
        at_unix_ms: population.at_unix_ms,
        people: population.people,
        features: covered.map(|(feature, coverage)| Described::of(feature, coverage)).collect(),
    }))
}

/// Drift since a model learned.
#[derive(Debug, Serialize, ToSchema)]
struct ModelDrift {
    /// The model that serves.
    model: String,
    /// How far the present population is from the one it learned from.
    #[serde(flatten)]
    report: DriftReport,
}

/// How far people are from those that the model learned from
///
/// The population stability index of every feature that the serving model's training kept a
/// reference of: sum over tenths of the reference, and the missing, of (a - e) ln(a / e). Below 0.1
/// nothing has changed; above 0.25 much has.
#[utoipa::path(get, path = "/v1/features/drift", tag = "features",
    security(("api_key" = ["features"])),
    responses(
        (status = 200, description = "Feature by feature, the greatest drift first",
            body = ModelDrift, example = json!({
                "model": "5d839b51", "at_unix_ms": 1_795_305_600_000_i64, "people": 5000,
                "psi": 0.031, "drift": "stable", "features": [{"name": "conversions_30d",
                    "psi": 0.031, "drift": "stable", "missing_then": 0.0, "missing_now": 0.0}],
            })),
        (status = 404, description = "No model serves, or its training kept no reference",
            body = Problem, content_type = "application/problem+json"),
    ))]
async fn drift(
    State(app): State<App>,
    _: Allowed<scope::Features>,
) -> Result<Json<ModelDrift>, ApiError> {
    let none = || {
        let detail = "no model serves whose training kept a reference: train one";
        ApiError::refused(ErrorCode::NotFound, detail)
    };
    let (model, record) = app.conversion.champion(&app.store).await?.ok_or_else(none)?;
    let reference = record.reference().ok_or_else(none)?;
    let report = app.features.drift(&app.store, &reference, unix_ms()).await?;
    Ok(Json(ModelDrift { model, report }))
}

/// Whose features, and which.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OnlineRequest {
    /// The people: any pseudonym of each.
    #[schema(min_items = 1, max_items = 1000)]
    people: Vec<Uuid>,
    /// Names of features; all, if absent.
    #[serde(default)]
    #[schema(max_items = 256)]
    features: Vec<String>,
    /// As of when, RFC 3339 with a zone; now, if absent. Takes a key with the scope `backfill`.
    #[serde(default)]
    as_of: Option<String>,
}

/// The features of people.
#[derive(Debug, Serialize, ToSchema)]
struct OnlineReply<'a> {
    /// As of when, Unix milliseconds.
    at_unix_ms: i64,
    /// The names of the values, in their order.
    features: Vec<&'a str>,
    /// In the order asked for.
    people: Vec<OnlinePerson>,
}

/// The features of one person.
#[derive(Debug, Serialize, ToSchema)]
struct OnlinePerson {
    /// As asked for.
    person: Uuid,
    /// Whether anything is known of them.
    known: bool,
    /// Null: missing.
    values: Vec<Option<f32>>,
    /// Since when what a value follows from is known: age of its newest fact, milliseconds. Null:
    /// no fact, or told from the time or the place.
    age_ms: Vec<Option<i64>>,
}

/// The features of people, now
///
/// Up to 1,000 people at once. Values are those of the facts that are stored: what was acknowledged
/// counts.
#[utoipa::path(post, path = "/v1/features/online", tag = "features",
    security(("api_key" = ["features"])),
    request_body(content = OnlineRequest, example = json!({
        "people": ["01997a10-5c00-7000-8000-000000000001"],
        "features": ["conversions_30d", "days_since_conversion"],
    })),
    responses(
        (status = 200, description = "Person by person", body = OnlineReply, example = json!({
            "at_unix_ms": 1_795_305_600_000_i64,
            "features": ["conversions_30d", "days_since_conversion"],
            "people": [{"person": "01997a10-5c00-7000-8000-000000000001", "known": true,
                "values": [2.0, 4.0], "age_ms": [345_600_000, 345_600_000]}],
        })),
        (status = 422, description = "No person, or more than 1,000; a name that no feature has; \
            a time that is none, or of the future", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn online(
    State(app): State<App>,
    allowed: Allowed<scope::Features>,
    JsonBody(asked): JsonBody<OnlineRequest>,
) -> Result<Response, ApiError> {
    let at_unix_ms = time_asked(asked.as_of.as_deref(), allowed.backfill)?;
    if !(1..=MOST_PEOPLE).contains(&asked.people.len()) {
        let detail = format!("people takes 1 to {MOST_PEOPLE} UUIDs");
        return Err(ApiError::refused(ErrorCode::Invalid, detail));
    }
    let definitions = app.features.definitions();
    let names = asked.features.iter().map(String::as_str);
    let columns = columns_of(definitions, names)?;
    let known = app.features.known_many(&app.store, &asked.people, at_unix_ms).await?;
    let mut row = Vec::new();
    let people = asked.people.iter().map(|person| {
        let (values, age_ms) = match known.get(person) {
            Some(one) => values_of(&app, one, at_unix_ms, &columns, &mut row),
            None => (vec![None; columns.len()], vec![None; columns.len()]),
        };
        OnlinePerson { person: *person, known: known.contains_key(person), values, age_ms }
    });
    let reply = OnlineReply {
        at_unix_ms,
        people: people.collect(),
        features: columns.iter().map(|column| name_of(definitions, *column)).collect(),
    };
    json_response(&reply)
}

/// Which of a person's features, and as of when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PersonQuery {
    /// As of when, RFC 3339 with a zone; now, if absent. Takes a key with the scope `backfill`.
    #[param(example = "2026-11-20T17:04:05Z")]
    as_of: Option<String>,
    /// Names of features, a comma between; all, if absent.
    #[param(example = "conversions_30d,days_since_conversion")]
    features: Option<String>,
}

/// A value and its age.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FeatureValue)]
struct Value {
    /// Null: missing.
    value: Option<f32>,
    /// Age of the newest fact behind it, milliseconds. Null: none, or told from the time or place.
    age_ms: Option<i64>,
}

/// A person's features.
#[derive(Debug, Serialize, ToSchema)]
struct PersonFeatures<'a> {
    /// As asked for.
    person: Uuid,
    /// As of when, Unix milliseconds: only what was known then counts.
    at_unix_ms: i64,
    /// Names the set of definitions.
    #[schema(value_type = String)]
    definitions: protocol::digest::Digest,
    /// By name.
    features: BTreeMap<&'a str, Value>,
}

/// A person's features
///
/// Now, or as they were at a time: of what was known then.
#[utoipa::path(get, path = "/v1/people/{person}/features", tag = "features",
    security(("api_key" = ["features"])),
    params(("person" = Uuid, Path, description = "Any pseudonym of the person"), PersonQuery),
    responses(
        (status = 200, description = "By name", body = PersonFeatures, example = json!({
            "person": "01997a10-5c00-7000-8000-000000000001",
            "at_unix_ms": 1_795_305_600_000_i64,
            "definitions": "9b6c327891a81e73b8b46900d7125b5d839b5143f21946617a3f0b8bdac94a09",
            "features": {"conversions_30d": {"value": 2.0, "age_ms": 345_600_000}},
        })),
        (status = 404, description = "Nothing is known of the person, or was at that time",
            body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID; a name that no feature has; a time that is \
            none, or of the future", body = Problem, content_type = "application/problem+json"),
    ))]
async fn of_person(
    State(app): State<App>,
    allowed: Allowed<scope::Features>,
    Person(person): Person,
    query: Result<Query<PersonQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Ok(Query(query)) = query else {
        let detail = "the query takes as_of and features, each once";
        return Err(ApiError::refused(ErrorCode::Invalid, detail));
    };
    let at_unix_ms = time_asked(query.as_of.as_deref(), allowed.backfill)?;
    let definitions = app.features.definitions();
    let names = query.features.as_deref().unwrap_or_default();
    let columns = columns_of(definitions, names.split(',').filter(|name| !name.is_empty()))?;
    let Some(known) = app.features.known(&app.store, person, at_unix_ms).await? else {
        let detail = "nothing is known of this person, or was at that time";
        return Err(ApiError::refused(ErrorCode::NotFound, detail));
    };
    let (values, ages) = values_of(&app, &known, at_unix_ms, &columns, &mut Vec::new());
    let named = columns.iter().map(|column| name_of(definitions, *column));
    let values = values.into_iter().zip(ages).map(|(value, age_ms)| Value { value, age_ms });
    json_response(&PersonFeatures {
        person,
        at_unix_ms,
        definitions: definitions.digest(),
        features: named.zip(values).collect(),
    })
}

/// Now, or a time of the past where the key may say what time it is.
fn time_asked(as_of: Option<&str>, backfill: bool) -> Result<i64, ApiError> {
    let now = unix_ms();
    let Some(text) = as_of else { return Ok(now) };
    if !backfill {
        return Err(ApiError::Forbidden(Scope::Backfill));
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(at) if at.as_millisecond() <= now => Ok(at.as_millisecond()),
        _ => {
            let detail = "as_of must be a time of the past, RFC 3339 with a zone (in a query, \
                write + as %2B)";
            Err(ApiError::refused(ErrorCode::Invalid, detail))
        }
    }
}

/// The columns of names; all without names.
fn columns_of<'a>(
    definitions: &Definitions,
    names: impl Iterator<Item = &'a str>,
) -> Result<Vec<usize>, ApiError> {
    let columns: Option<Vec<usize>> =
        names.take(MOST_NAMES + 1).map(|name| definitions.column(name)).collect();
    match columns {
        Some(columns) if columns.is_empty() => Ok((0..definitions.features().len()).collect()),
        Some(columns) if columns.len() <= MOST_NAMES => Ok(columns),
        _ => {
            let detail = format!(
                "no feature has one of these names, or they are more than {MOST_NAMES}: see \
                 /v1/features"
            );
            Err(ApiError::refused(ErrorCode::Invalid, detail))
        }
    }
}

fn name_of(definitions: &Definitions, column: usize) -> &str {
    definitions.features().get(column).map_or("", |feature| feature.name.as_str())
}

/// Values and ages of the columns asked for. `row` is room to work in.
fn values_of(
    app: &App,
    known: &Known,
    at_unix_ms: i64,
    columns: &[usize],
    row: &mut Vec<f32>,
) -> (Vec<Option<f32>>, Vec<Option<i64>>) {
    app.features.values(&known.profile, at_unix_ms, row);
    let value = |column: &usize| row.get(*column).copied().filter(|value| !value.is_nan());
    let age = |column: &usize| {
        let newest = known.profile.known_unix_ms(app.features.definitions(), *column)?;
        Some(at_unix_ms.saturating_sub(newest).max(0))
    };
    (columns.iter().map(value).collect(), columns.iter().map(age).collect())
}

/// Written at once, without a value in between.
fn json_response(body: &impl Serialize) -> Result<Response, ApiError> {
    let json = serde_json::to_vec(body).map_err(|_| ApiError::Internal("writing an answer"))?;
    let mut response = Response::new(Body::from(json));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
