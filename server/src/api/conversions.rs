//! `/v1/conversions` and the other endpoints of operators' rows in the same shape.

use super::{
    ApiError,
    intake::{RowsQuery, Sender, answer, begin, of_type, rows_of},
    run_to_end,
};
use crate::{
    app::App,
    intake::{self, Fault, Frame, Rows},
};
use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::HeaderMap,
    response::Response,
};
use protocol::{
    intake::{
        Adjustment, Ingest, IntakeReply, MAX_INTAKE_BYTES, Reported, Retraction, Scope, Statement,
    },
    problem::Problem,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(post_conversions))
        .routes(routes!(adjust))
        .routes(routes!(retract))
        .routes(routes!(post_transactions))
        .routes(routes!(post_demographics))
        .routes(routes!(post_statements))
        .layer(DefaultBodyLimit::max(MAX_INTAKE_BYTES))
}

const TRANSACTIONS: &[Scope] = &[Scope::Loyalty, Scope::ThirdParty];
const ADJUSTABLE: &[Scope] = &[Scope::Conversion, Scope::Loyalty, Scope::ThirdParty];

/// Report conversions
///
/// Shaped after `events.ingest` of Google's Data Manager API; its names in camelCase are taken
/// beside ours. Rows stand and fall alone: good ones are stored, bad ones are named with a reason,
/// none is changed. A `transaction_id` that comes again with the same row changes nothing; with
/// another row it is refused as `conflict`. A row needs `consent.conversion`, in itself, in the
/// request, or in what was said before; the newest statement counts, in whatever order they arrive.
/// Needs the scope `ingest`.
#[utoipa::path(post, path = "/v1/conversions", tag = "intake",
    security(("api_key" = ["ingest"])), params(RowsQuery),
    request_body(content = Ingest<Reported>, example = json!({
        "destination": {"reference": "stores-eu"},
        "events": [{
            "transaction_id": "T-1", "event_timestamp": "2026-11-20T17:04:05+01:00",
            "event_name": "store_purchase", "conversion_value": 199.9, "currency": "EUR",
            "user_identifiers": [
                {"email_address":
                    "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"},
                {"loyalty_id": "4711"}
            ],
            "cart_items": [{"item": "ESP-1", "category": "coffee", "quantity": 1.0}],
            "consent": {"conversion": "granted", "loyalty": "granted"}
        }],
        "validate_only": false, "encoding": "hex"
    })),
    responses(
        (status = 200, description = "How many rows were stored, and which were not",
            body = IntakeReply),
        (status = 403, description = "No row has consent, and none was stored; or the key lacks the \
            scope", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A query or destination that cannot be", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_conversions(
    State(app): State<App>,
    sender: Sender,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, ApiError> {
    take(app, sender, &headers, body, "conversions", &[Scope::Conversion], reported).await
}

/// Change the value of conversions
///
/// The newest `adjustment_timestamp` counts. What the conversion was worth before stays known for
/// the time before the adjustment arrived. Needs the scope `ingest`.
#[utoipa::path(post, path = "/v1/conversions/adjust", tag = "intake",
    security(("api_key" = ["ingest"])), params(RowsQuery),
    request_body(content = Ingest<Adjustment>, example = json!({
        "destination": {"reference": "stores-eu"},
        "events": [{"transaction_id": "T-1", "adjustment_timestamp": "2026-11-21T09:00:00Z",
            "conversion_value": 149.9, "currency": "EUR"}]
    })),
    responses(
        (status = 200, description = "How many were changed, and which were not",
            body = IntakeReply),
        (status = 403, description = "No row has consent, and none was stored; or the key lacks the \
            scope", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A query or destination that cannot be", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn adjust(
    State(app): State<App>,
    sender: Sender,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, ApiError> {
    let rows = |frame: &Frame, rows: &[&RawValue]| {
        let checked = |row| read(row).and_then(|row| intake::adjustment(frame, row));
        Rows::Changes(rows.iter().copied().map(checked).collect())
    };
    take(app, sender, &headers, body, "adjustments", ADJUSTABLE, rows).await
}

/// Take conversions back
///
/// They count no more from now on; that they were believed before stays known. Needs the scope
/// `ingest`.
#[utoipa::path(post, path = "/v1/conversions/retract", tag = "intake",
    security(("api_key" = ["ingest"])), params(RowsQuery),
    request_body(content = Ingest<Retraction>, example = json!({
        "destination": {"reference": "stores-eu"}, "events": [{"transaction_id": "T-1"}]
    })),
    responses(
        (status = 200, description = "How many were taken back, and which were not",
            body = IntakeReply),
        (status = 403, description = "No row has consent, and none was stored; or the key lacks the \
            scope", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A query or destination that cannot be", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn retract(
    State(app): State<App>,
    sender: Sender,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, ApiError> {
    let rows = |frame: &Frame, rows: &[&RawValue]| {
        let checked = |row| read(row).and_then(|row| intake::retraction(frame, row));
        Rows::Changes(rows.iter().copied().map(checked).collect())
    };
    take(app, sender, &headers, body, "retractions", ADJUSTABLE, rows).await
}

/// Report loyalty and third-party transactions
///
/// As conversions, each row with its `source`: `loyalty` or `third_party`, which is the consent
/// scope that it needs. Needs the scope `ingest`.
#[utoipa::path(post, path = "/v1/transactions", tag = "intake",
    security(("api_key" = ["ingest"])), params(RowsQuery),
    request_body(content = Ingest<Reported>, example = json!({
        "events": [{"source": "loyalty", "transaction_id": "L-1",
            "event_timestamp": "2026-11-20T17:04:05+01:00", "event_name": "points_earned",
            "number": 12.0, "user_identifiers": [{"loyalty_id": "4711"}],
            "consent": {"loyalty": "granted"}}]
    })),
    responses(
        (status = 200, description = "How many rows were stored, and which were not",
            body = IntakeReply),
        (status = 403, description = "No row has consent, and none was stored; or the key lacks the \
            scope", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A query or destination that cannot be", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_transactions(
    State(app): State<App>,
    sender: Sender,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, ApiError> {
    take(app, sender, &headers, body, "transactions", TRANSACTIONS, reported).await
}

/// Report banded attributes
///
/// `event_name` is the attribute (`age_band`, `income_band`, `household_band`, `education_band`,
/// `gender`, `place`), `item` the band's label (`25-34`), `number` its place in the order of bands.
/// A band of age takes in 5 years or more, one of income 5,000 of the currency or more; narrower ones
/// are refused. Needs the scope `ingest`.
#[utoipa::path(post, path = "/v1/demographics", tag = "intake",
    security(("api_key" = ["ingest"])), params(RowsQuery),
    request_body(content = Ingest<Reported>, example = json!({
        "events": [{"event_timestamp": "2026-11-20T17:04:05+01:00", "event_name": "age_band",
            "item": "25-34", "number": 2.0, "user_identifiers": [{"user_id": "C-17"}],
            "consent": {"demographics": "granted"}}]
    })),
    responses(
        (status = 200, description = "How many rows were stored, and which were not",
            body = IntakeReply),
        (status = 403, description = "No row has consent, and none was stored; or the key lacks the \
            scope", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A query or destination that cannot be", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_demographics(
    State(app): State<App>,
    sender: Sender,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, ApiError> {
    take(app, sender, &headers, body, "demographics", &[Scope::Demographics], reported).await
}

/// Report what people said about their data
///
/// A No deletes what is stored of the scope up to its time, and what happened before it is not
/// taken any more, however late it comes and whatever was agreed to since. A Yes counts for what
/// happens after the last No. Needs the scope `ingest`.
#[utoipa::path(post, path = "/v1/statements", tag = "intake",
    security(("api_key" = ["ingest"])), params(RowsQuery),
    request_body(content = Ingest<Statement>, example = json!({
        "events": [{"event_timestamp": "2026-11-20T17:04:05+01:00",
            "user_identifiers": [{"user_id": "C-17"}], "consent": {"behaviour": "denied"}}]
    })),
    responses(
        (status = 200, description = "How many statements count, and which were not understood",
            body = IntakeReply),
        (status = 403, description = "No row has consent, and none was stored; or the key lacks the \
            scope", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A query or destination that cannot be", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_statements(
    State(app): State<App>,
    sender: Sender,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, ApiError> {
    let rows = |frame: &Frame, rows: &[&RawValue]| {
        let checked = |row| {
            let said = read(row).and_then(|said| intake::statement(frame, &said));
            said.map_err(|fault| intake::refused(frame, row, fault))
        };
        Rows::Said(rows.iter().copied().map(checked).collect())
    };
    take(app, sender, &headers, body, "statements", &Scope::ALL, rows).await
}

/// Rows in the common shape.
pub(super) fn reported(frame: &Frame, rows: &[&RawValue]) -> Rows {
    Rows::Reported(
        rows.iter()
            .map(|row| match read::<Reported>(row) {
                Ok(row) => intake::row(frame, row),
                Err(fault) => Err(intake::refused(frame, row, fault)),
            })
            .collect(),
    )
}

pub(super) fn read<'a, T: Deserialize<'a>>(row: &'a RawValue) -> Result<T, Fault> {
    serde_json::from_str(row.get()).map_err(|error| Fault::of_json(&error))
}

/// A whole JSON request: read, checked before the transaction, taken.
pub(super) async fn take(
    app: App,
    sender: Sender,
    headers: &HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
    kind: &'static str,
    scopes: &'static [Scope],
    check: impl FnOnce(&Frame, &[&RawValue]) -> Rows + Send,
) -> Result<Response, ApiError> {
    of_type(headers, "application/json")?;
    let body = super::intake::whole(body)?;
    let (rows, validate_only) = {
        let request = rows_of(&body)?;
        let frame = Frame {
            destination: super::intake::destination(request.destination.reference)?,
            encoding: request.encoding,
            consent: request.consent,
            scopes,
            known: sender.known,
            received_unix_ms: sender.received_unix_ms,
        };
        (check(&frame, &request.events), request.validate_only)
    };
    let mut request = begin(&app, kind, validate_only, sender);
    run_to_end(async move {
        request.take(rows).await?;
        Ok(answer(&app, request))
    })
    .await
}
