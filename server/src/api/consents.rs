//! `/v1/consents`: what people agreed to, in chains that their devices signed.

use super::{
    ApiError, examples,
    extract::PersonDevice,
    run_to_end,
    signed::{Signed, SignedBody},
};
use crate::{
    app::{App, unix_ms},
    ingest,
    store::{Action, person_hash},
};
use axum::{Json, extract::State};
use protocol::{
    consent::{ConsentBatch, ConsentReply, Head, Receipt},
    key::PublicKey,
    problem::Problem,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(post_consents))
        .routes(routes!(get_consent))
        .routes(routes!(get_server_key))
}

/// The receipt in force.
#[derive(Debug, Serialize, ToSchema)]
struct ConsentInForce {
    /// The receipt with the highest epoch.
    receipt: Receipt,
    /// The server's signature under it.
    head: Head,
}

/// The server's key.
#[derive(Debug, Serialize, ToSchema)]
struct ServerKey {
    /// Signs chain heads (Ed25519).
    key: PublicKey,
}

/// Report consent receipts
///
/// Send receipts in the order of their chain, before anything made under them, all of one person
/// and the signing device. A receipt that the server has is recognised. One that leaves a gap or
/// contradicts the chain is refused with 409, which says from which epoch to send. A withdrawal
/// that is properly signed always takes effect, whatever became of the rest of the request: what
/// was made under its epoch or a lower one is deleted, and nothing made under them is stored any
/// more. The answer is the server's signature under the receipt in force.
#[utoipa::path(post, path = "/v1/consents", tag = "consent",
    request_body(content = ConsentBatch, example = json!(examples::consents())),
    security(("device_signature" = [])),
    responses(
        (status = 200, description = "All are stored, now or before", body = ConsentReply,
            example = json!(examples::consents_taken())),
        (status = "4XX", description = "Refused: 400 malformed, 401 not signed by the device, or \
            an old request number, 403 the pseudonym belongs to another device, 409 a gap or a \
            fork, 410 the person was erased, 413 too large, 422 invalid or changed",
            body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Not now", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_consents(
    State(app): State<App>,
    SignedBody { signer, body }: SignedBody<ConsentBatch>,
) -> Result<Json<ConsentReply>, ApiError> {
    run_to_end(async move {
        let now = unix_ms();
        let taken =
            ingest::take_consents(&app.store, &*app.follow, &app.key, &signer, &body, now).await;
        let mut taken = app.or_refuse(taken, now).await?;
        app.live.consent(&taken);
        let Some(refused) = taken.refused.take() else {
            return Ok(Json(ConsentReply { head: taken.head }));
        };
        let about = body.receipts.first().map(|receipt| person_hash(receipt.record.person));
        if refused.fork {
            app.guard.note(&app.store, Action::Fork, about, now).await;
        }
        let error = ApiError::refused(refused.code, refused.detail);
        app.refused(&error, None, now).await;
        Err(error)
    })
    .await
}

/// The consent receipt in force
#[utoipa::path(get, path = "/v1/consents/{person}/{device}", tag = "consent",
    security(("device_signature" = [])),
    params(("person" = uuid::Uuid, Path, description = "The person's pseudonym"),
        ("device" = uuid::Uuid, Path, description = "The device, which signs the request")),
    responses(
        (status = 200, description = "The newest receipt and the server's signature under it",
            body = ConsentInForce, example = json!(examples::in_force())),
        (status = "4XX", description = "401 not signed by the device, 404 none is known, 410 the \
            person was erased, 422 not two UUIDs", body = Problem,
            content_type = "application/problem+json"),
        (status = "5XX", description = "Not now", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn get_consent(
    State(app): State<App>,
    PersonDevice { person, device }: PersonDevice,
    Signed(signer): Signed,
) -> Result<Json<ConsentInForce>, ApiError> {
    run_to_end(async move {
        let (now, chain) = (unix_ms(), (person, device));
        let found = ingest::consent_in_force(&app.store, &app.key, &signer, chain, now).await;
        let (receipt, head) = app.or_refuse(found, now).await?;
        Ok(Json(ConsentInForce { receipt, head }))
    })
    .await
}

/// The key that the server signs chain heads with
#[utoipa::path(get, path = "/v1/server-key", tag = "consent", security(()),
    responses((status = 200, description = "Ed25519, hexadecimal", body = ServerKey,
        example = json!(examples::server_key()))))]
async fn get_server_key(State(app): State<App>) -> Json<ServerKey> {
    Json(ServerKey { key: app.key.public() })
}
