//! `/v1/people/resolve`, `/v1/people/link` and `/v1/people/{person}/split`: who is who.

use super::{
    ApiError,
    extract::{JsonBody, Person},
    operator::{Allowed, scope},
    run_to_end,
};
use crate::{
    app::{App, unix_ms},
    intake::{self, IdentityError},
};
use axum::{Json, extract::State};
use protocol::{
    intake::{Encoding, Reason, UserIdentifier},
    problem::{ErrorCode, Problem},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(resolve)).routes(routes!(link)).routes(routes!(split))
}

/// By what people are asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Identifiers {
    /// All that is known of them.
    #[serde(alias = "userIdentifiers")]
    user_identifiers: Vec<UserIdentifier>,
    /// How hashes are written.
    #[serde(default)]
    encoding: Encoding,
}

/// One person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"person": "0199a7c4-0e1b-7c33-8f4e-2a9d5b6c7d8e",
    "nodes": ["0199a7c4-0e1b-7c33-8f4e-2a9d5b6c7d8e", "0199b001-5a2c-7d41-9c3f-6b8e0a1d2c3f"]}))]
struct PersonFound {
    /// Under this pseudonym predictions and features are asked for; any of `nodes` will do.
    person: Uuid,
    /// Every pseudonym of the person, the oldest first.
    nodes: Vec<Uuid>,
}

/// The people that identifiers lead to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"people": [
    {"person": "0199a7c4-0e1b-7c33-8f4e-2a9d5b6c7d8e",
        "nodes": ["0199a7c4-0e1b-7c33-8f4e-2a9d5b6c7d8e"]}
]}))]
struct PeopleFound {
    /// One, unless nothing has linked the identifiers yet.
    people: Vec<PersonFound>,
}

/// Two people who were thought to be one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "taken_out": {"person": "0199b001-5a2c-7d41-9c3f-6b8e0a1d2c3f",
        "nodes": ["0199b001-5a2c-7d41-9c3f-6b8e0a1d2c3f"]},
    "left_behind": {"person": "0199a7c4-0e1b-7c33-8f4e-2a9d5b6c7d8e",
        "nodes": ["0199a7c4-0e1b-7c33-8f4e-2a9d5b6c7d8e"]}
}))]
struct PeopleSplit {
    /// Who was taken out.
    taken_out: PersonFound,
    /// The others.
    left_behind: PersonFound,
}

/// Look people up
///
/// By hashed contact details, numbers or the pseudonym of a device; nothing is stored. Needs the
/// scope `identity`.
#[utoipa::path(post, path = "/v1/people/resolve", tag = "identity",
    security(("api_key" = ["identity"])),
    request_body(content = Identifiers, example = json!({
        "user_identifiers": [{"loyalty_id": "4711"}]
    })),
    responses(
        (status = 200, description = "Whom the identifiers lead to", body = PeopleFound),
        (status = 404, description = "To nobody", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not identifiers", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn resolve(
    State(app): State<App>,
    _: Allowed<scope::Identity>,
    JsonBody(asked): JsonBody<Identifiers>,
) -> Result<Json<PeopleFound>, ApiError> {
    let who = who(&asked)?;
    let people = intake::resolve(&app.store, &who).await.map_err(refused)?;
    Ok(Json(PeopleFound { people: people.into_iter().map(found).collect() }))
}

/// Link what is known apart
///
/// Makes one person of all that the identifiers lead to; identifiers that lead nowhere lead there
/// from now on. A device's pseudonym is linked only while the device's consent receipt permits
/// sharing behaviour with the operator. What somebody refused under one identifier is deleted under
/// all. Needs the scope `identity`.
#[utoipa::path(post, path = "/v1/people/link", tag = "identity",
    security(("api_key" = ["identity"])),
    request_body(content = Identifiers, example = json!({
        "user_identifiers": [{"loyalty_id": "4711"}, {"user_id": "C-17"}]
    })),
    responses(
        (status = 200, description = "The one person", body = PersonFound),
        (status = 403, description = "The device's consent receipt does not permit it, or the key \
            lacks the scope", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Nobody is known by these", body = Problem,
            content_type = "application/problem+json"),
        (status = 410, description = "The person was erased", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not identifiers, or shared by too many", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn link(
    State(app): State<App>,
    _: Allowed<scope::Identity>,
    JsonBody(asked): JsonBody<Identifiers>,
) -> Result<Json<PersonFound>, ApiError> {
    let who = who(&asked)?;
    run_to_end(async move {
        let linked = intake::link(&app.store, &*app.follow, &who, unix_ms()).await;
        Ok(Json(found(linked.map_err(refused)?)))
    })
    .await
}

/// Take a person apart
///
/// The pseudonym in the path becomes a person of its own, with what was reported under it. A row
/// that names identifiers of both links them again. Needs the scope `identity`.
#[utoipa::path(post, path = "/v1/people/{person}/split", tag = "identity",
    security(("api_key" = ["identity"])),
    params(("person" = Uuid, Path, description = "One of the person's pseudonyms")),
    responses(
        (status = 200, description = "Both", body = PeopleSplit),
        (status = 404, description = "Nobody is known by this pseudonym", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "It is linked to no other", body = Problem,
            content_type = "application/problem+json"),
        (status = 410, description = "The person was erased", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn split(
    State(app): State<App>,
    _: Allowed<scope::Identity>,
    Person(person): Person,
) -> Result<Json<PeopleSplit>, ApiError> {
    run_to_end(async move {
        let split = intake::split(&app.store, &*app.follow, person, unix_ms()).await;
        let (taken_out, left_behind) = split.map_err(refused)?;
        let (taken_out, left_behind) = (found(taken_out), found(left_behind));
        Ok(Json(PeopleSplit { taken_out, left_behind }))
    })
    .await
}

fn who(asked: &Identifiers) -> Result<intake::Who, ApiError> {
    intake::identifiers(asked.user_identifiers.iter(), asked.encoding)
        .map_err(|fault| ApiError::refused(ErrorCode::Invalid, fault.detail))
}

fn found(person: intake::Person) -> PersonFound {
    PersonFound { person: person.root, nodes: person.nodes }
}

fn refused(error: IdentityError) -> ApiError {
    let code = match &error {
        IdentityError::Unknown => ErrorCode::NotFound,
        IdentityError::Erased => ErrorCode::Erased,
        IdentityError::Alone => ErrorCode::Conflict,
        IdentityError::Fault(fault) if fault.reason == Reason::NoConsent => ErrorCode::NoConsent,
        IdentityError::Fault(_) => ErrorCode::Invalid,
        IdentityError::Store(_) => ErrorCode::Unavailable,
    };
    match error {
        IdentityError::Store(error) => ApiError::Store(error),
        error => ApiError::refused(code, error.to_string()),
    }
}
