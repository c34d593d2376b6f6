//! `/v1/behaviour`: what people do in apps and on pages, as CloudEvents.

use super::{
    ApiError,
    conversions::read,
    intake::{RowsQuery, Sender, answer, begin, essence, few_enough, malformed, whole},
    run_to_end,
};
use crate::{
    app::App,
    intake::{self, Frame, Refused, Row, Rows},
};
use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::HeaderMap,
    response::Response,
};
use protocol::{
    intake::{
        CLOUDEVENTS, CLOUDEVENTS_BATCH, CloudEvent, Encoding, IntakeReply, MAX_INTAKE_BYTES, Scope,
    },
    problem::{ErrorCode, Problem},
};
use serde_json::value::RawValue;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(post_behaviour))
        .layer(DefaultBodyLimit::max(MAX_INTAKE_BYTES))
}

/// Report behaviour
///
/// CloudEvents 1.0 in JSON: an array as `application/cloudevents-batch+json`, one event as
/// `application/cloudevents+json`. `source` and `id` together recognise a repetition. Hashes are
/// hexadecimal. A row needs `consent.behaviour`; of a person whose device reports here, too, the
/// consent receipt of the device must permit sharing behaviour with the operator. Needs the scope
/// `ingest`.
#[utoipa::path(post, path = "/v1/behaviour", tag = "intake",
    security(("api_key" = ["ingest"])), params(RowsQuery),
    request_body(
        content((Vec<CloudEvent> = "application/cloudevents-batch+json", example = json!([{
            "specversion": "1.0", "id": "e-1", "source": "https://shop.example/web",
            "type": "page_view", "time": "2026-11-20T17:04:05Z", "subject": "ESP-1",
            "data": {"user_identifiers": [{"user_id": "C-17"}], "category": "coffee",
                "consent": {"behaviour": "granted"}}
        }])), (CloudEvent = "application/cloudevents+json", example = json!({
            "specversion": "1.0", "id": "e-1", "source": "https://shop.example/web",
            "type": "page_view", "time": "2026-11-20T17:04:05Z", "subject": "ESP-1",
            "data": {"user_identifiers": [{"user_id": "C-17"}], "category": "coffee",
                "consent": {"behaviour": "granted"}}
        })))),
    responses(
        (status = 200, description = "How many events were stored, and which were not",
            body = IntakeReply),
        (status = 403, description = "No row has consent, and none was stored; or the key lacks the \
            scope", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A query or destination that cannot be", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_behaviour(
    State(app): State<App>,
    sender: Sender,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let essence = essence(&headers).map(str::to_ascii_lowercase);
    let body = whole(body)?;
    let rows = {
        let events: Vec<&RawValue> = match essence.as_deref() {
            Some(CLOUDEVENTS_BATCH) => serde_json::from_slice(&body),
            Some(CLOUDEVENTS) => serde_json::from_slice(&body).map(|event| vec![event]),
            _ => {
                let detail =
                    format!("send the header content-type: {CLOUDEVENTS_BATCH} or {CLOUDEVENTS}");
                return Err(ApiError::refused(ErrorCode::Malformed, detail));
            }
        }
        .map_err(|error| malformed(&error))?;
        few_enough(events.len())?;
        let mut frame = Frame {
            destination: String::new(),
            encoding: Encoding::Hex,
            consent: None,
            scopes: &[Scope::Behaviour],
            known: sender.known,
            received_unix_ms: sender.received_unix_ms,
        };
        let checked = events.into_iter().map(|event| check(&mut frame, event));
        Rows::Reported(checked.collect())
    };
    let mut request = begin(&app, "behaviour", false, sender);
    run_to_end(async move {
        request.take(rows).await?;
        Ok(answer(&app, request))
    })
    .await
}

fn check(frame: &mut Frame, raw: &RawValue) -> Result<Row, Box<Refused>> {
    match read(raw).and_then(intake::cloud_event) {
        Ok((source, reported)) => {
            frame.destination = source;
            intake::row(frame, reported)
        }
        Err(fault) => Err(intake::refused(frame, raw, fault)),
    }
}
