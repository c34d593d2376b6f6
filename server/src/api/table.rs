//! `/v1/conversions/csv`: a table of conversions, of any size, in constant memory.

use super::{
    ApiError,
    intake::{Sender, answer, begin, essence},
};
use crate::{
    app::{App, unix_ms},
    intake::{
        self, Frame, Refused, Request, Row, Rows,
        table::{Layout, Table, TableError, TableRow},
    },
};
use axum::{
    body::Body,
    extract::{DefaultBodyLimit, Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::Response,
};
use futures::StreamExt;
use protocol::{
    intake::{Consent, ConsentStatus, Encoding, IntakeReply, RequestState, RequestStatus, Scope},
    problem::{ErrorCode, Problem},
};
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The path, which the limit on a request's time leaves alone.
pub(super) const PATH: &str = "/v1/conversions/csv";
/// Rows of one transaction.
const BATCH_ROWS: usize = 500;
/// How long the sender may be silent.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(post_table)).layer(DefaultBodyLimit::disable())
}

/// The query of a table.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TableQuery {
    /// The operator's data set: transaction ids are unique in it.
    #[serde(default)]
    #[param(default = "")]
    destination: String,
    /// What people said about conversions, for rows that have no column `consent`.
    consent: Option<ConsentStatus>,
    /// Checks everything and stores nothing.
    #[serde(default)]
    #[param(default = false)]
    validate_only: bool,
    /// How hashes are written.
    #[serde(default)]
    encoding: Encoding,
    /// As with the other endpoints; needs the scope `backfill`.
    #[serde(rename = "known_at")]
    _known_at: Option<String>,
}

/// Report conversions as a table
///
/// The classic file of click conversions: a header (`Google Click ID, Conversion Name, Conversion
/// Time, Conversion Value, Conversion Currency, Order ID, Email, Phone Number, User ID, Loyalty ID,
/// Item, Category, Number, Consent`, in any order), above it `Parameters:TimeZone=+0100` where times
/// have no zone. UTF-8, any size: rows are stored while the file comes in, in batches of 500, and
/// the counts are under `/v1/requests` meanwhile. A file that breaks off keeps the rows before; send
/// it again, and they are recognised. Needs the scope `ingest`.
#[utoipa::path(post, path = "/v1/conversions/csv", tag = "intake",
    security(("api_key" = ["ingest"])), params(TableQuery),
    request_body(content = String, content_type = "text/csv", example = "Google Click ID,\
Conversion Name,Conversion Time,Conversion Value,Conversion Currency,Order ID,Consent\n\
abc,store_purchase,2026-11-20 17:04:05+01:00,19.90,EUR,T-1,granted\n"),
    responses(
        (status = 200, description = "How many rows were stored, and which were not",
            body = IntakeReply),
        (status = 403, description = "No row has consent, and none was stored; or the key lacks the \
            scope", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A query that cannot be, or no table that can be read",
            body = Problem, content_type = "application/problem+json"),
    ))]
async fn post_table(
    State(app): State<App>,
    sender: Sender,
    query: Result<Query<TableQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if !essence(&headers).is_some_and(|essence| essence.eq_ignore_ascii_case("text/csv")) {
        let detail = "send the header content-type: text/csv";
        return Err(ApiError::refused(ErrorCode::Malformed, detail));
    }
    let Ok(Query(query)) = query else {
        let detail = "the query takes destination, consent, validate_only, encoding and known_at; \
             see /openapi.json";
        return Err(ApiError::refused(ErrorCode::Invalid, detail));
    };
    let frame = Frame {
        destination: super::intake::destination(query.destination)?,
        encoding: query.encoding,
        consent: query.consent.map(|status| Consent::only(Scope::Conversion, status)),
        scopes: &[Scope::Conversion],
        known: sender.known,
        received_unix_ms: sender.received_unix_ms,
    };
    let mut taking = Taking {
        table: Table::new(Layout::classic(Scope::Conversion)),
        rows: Vec::with_capacity(BATCH_ROWS),
        frame,
        request: begin(&app, "conversions_csv", query.validate_only, sender),
    };
    match taking.all(body).await {
        Ok(()) => Ok(answer(&app, taking.request)),
        Err(error) => Err(taking.broken(error).await),
    }
}

/// A table on its way into the store.
struct Taking {
    table: Table,
    /// Less than a batch.
    rows: Vec<TableRow>,
    frame: Frame,
    request: Request,
}

impl Taking {
    async fn all(&mut self, body: Body) -> Result<(), ApiError> {
        let mut bytes = body.into_data_stream();
        loop {
            let failed = match tokio::time::timeout(SILENCE, bytes.next()).await {
                Ok(Some(Ok(bytes))) => {
                    self.table.push(&bytes);
                    self.read().await?;
                    continue;
                }
                Ok(None) => {
                    self.table.end();
                    self.read().await?;
                    return self.take(RequestState::Done).await;
                }
                Ok(Some(Err(_))) => {
                    let detail = "the table broke off: send it again, what was taken is recognised";
                    ApiError::refused(ErrorCode::Malformed, detail)
                }
                Err(_) => ApiError::Timeout(SILENCE.as_millis()),
            };
            // Rows that came whole are kept.
            if !self.rows.is_empty() {
                self.take(RequestState::Broken).await?;
            }
            return Err(failed);
        }
    }

    /// Takes the rows that are there; the last, less than a batch, stay.
    async fn read(&mut self) -> Result<(), ApiError> {
        while let Some(row) = self.table.next_row().map_err(|error| unreadable(&error))? {
            self.rows.push(row);
            if self.rows.len() == BATCH_ROWS {
                self.take(RequestState::Running).await?;
            }
        }
        Ok(())
    }

    /// A batch arrives when it is taken: a long table must not be known before it was there.
    async fn take(&mut self, state: RequestState) -> Result<(), ApiError> {
        self.frame.received_unix_ms = unix_ms();
        let frame = &self.frame;
        let checked = self.rows.drain(..).map(|row| check(frame, row)).collect();
        let now = frame.received_unix_ms;
        Ok(self.request.take_part(Rows::Reported(checked), now, state).await?)
    }

    /// Ends the request where it is, and says how much was taken.
    async fn broken(mut self, error: ApiError) -> ApiError {
        self.request.break_off().await;
        let RequestStatus { rows, stored, validate_only, .. } = *self.request.status();
        if rows == 0 || validate_only {
            return error;
        }
        ApiError::Partly { error: Box::new(error), request: self.request.id(), rows, stored }
    }
}

fn check(frame: &Frame, row: TableRow) -> Result<Row, Box<Refused>> {
    match row.row {
        Ok(reported) => intake::row(frame, reported),
        Err(fault) => {
            let denial = row.said.and_then(|said| intake::denial(frame, &said));
            Err(Box::new(Refused { fault, denial }))
        }
    }
}

/// The names of columns are the sender's: the message gives their places.
fn unreadable(error: &TableError) -> ApiError {
    ApiError::refused(ErrorCode::Invalid, error.to_string())
}
