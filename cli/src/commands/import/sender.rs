//! Batches over HTTP: again when the server is busy, for a while.

use super::rows::{Batch, Row};
use crate::Failure;
use protocol::{
    intake::{
        BehaviourData, CLOUDEVENTS_BATCH, CloudEvent, Consent, ConsentStatus, Destination,
        Encoding, Ingest, IntakeReply, Reason, Reported, RequestStatus, RowError, Scope, Statement,
    },
    problem::{ErrorCode, Problem},
};
use reqwest::{
    Client, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// How often a batch is sent before it is given up.
const ATTEMPTS: u32 = 8;
/// The first pause; each after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where rows go.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: String,
    /// Where statements go.
    pub(super) statements: String,
    pub(super) key: String,
    pub(super) behaviour: bool,
    pub(super) destination: String,
    /// What the people of all rows said, for rows that do not say it.
    pub(super) consent: Option<Consent>,
    pub(super) encoding: Encoding,
    pub(super) validate_only: bool,
    pub(super) known_at: Option<String>,
}

/// Sends batches.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    target: Target,
}

impl Sender {
    pub(super) fn new(target: Target) -> Result<Self, Failure> {
        if target.behaviour && target.validate_only {
            return Err(
                "--validate-only is not for behaviour: its requests have no such flag".into()
            );
        }
        // A second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { client, target })
    }

    /// Sends a batch; gives the counts, and the rows that were not taken, by their places in it.
    pub(super) async fn send(
        &self,
        batch: Batch,
    ) -> Result<(RequestStatus, Vec<RowError>), Failure> {
        let mut places = Vec::with_capacity(batch.rows.len());
        let mut status =
            RequestStatus { validate_only: self.target.validate_only, ..RequestStatus::default() };
        let (mut rows, mut errors): (Vec<Box<RawValue>>, _) = (Vec::new(), Vec::new());
        let mut said = Vec::new();
        for (row, place) in batch.rows.into_iter().zip(1..) {
            let raw = match row {
                Row::Reported(row) if self.target.behaviour => raw(&self.cloud_event(*row)),
                Row::Reported(row) => raw(&*row),
                Row::Raw(raw) => Ok(raw),
                Row::Bad(error, no) => {
                    said.extend(no.and_then(|row| no_of(*row)));
                    status.rows += 1;
                    status.refuse(error.reason);
                    errors.push(RowError { row: place, ..error });
                    continue;
                }
            };
            rows.push(raw?);
            places.push(place);
        }
        self.say(said).await?;
        if rows.is_empty() {
            return Ok((status, errors));
        }
        let count = rows.len() as u64;
        let body = if self.target.behaviour {
            serde_json::to_vec(&rows)?
        } else {
            serde_json::to_vec(&Ingest {
                destination: Destination { reference: self.target.destination.clone() },
                events: rows,
                consent: self.target.consent,
                validate_only: self.target.validate_only,
                encoding: self.target.encoding,
            })?
        };
        match self.post(&self.target.url, body).await? {
            Some(reply) => {
                status.add(&reply.status);
                let place = |error: RowError| {
                    let sent = usize::try_from(error.row).ok()?.checked_sub(1)?;
                    Some(RowError { row: *places.get(sent)?, ..error })
                };
                errors.extend(reply.errors.into_iter().filter_map(place));
            }
            None => {
                status.rows += count;
                let detail = "nothing says that the person agreed: give --consent, or a column";
                for place in places {
                    status.refuse(Reason::NoConsent);
                    let (reason, detail) = (Reason::NoConsent, detail.to_owned());
                    errors.push(RowError { row: place, reason, detail });
                }
            }
        }
        errors.sort_by_key(|error| error.row);
        Ok((status, errors))
    }

    /// A No in a row that cannot be sent is said all the same.
    async fn say(&self, said: Vec<Statement>) -> Result<(), Failure> {
        if said.is_empty() || self.target.validate_only {
            return Ok(());
        }
        let body = serde_json::to_vec(&Ingest {
            destination: Destination::default(),
            events: said,
            consent: None,
            validate_only: false,
            encoding: self.target.encoding,
        })?;
        self.post(&self.target.statements, body).await.map(|_| ())
    }

    /// `None` if no row had consent.
    async fn post(&self, url: &str, body: Vec<u8>) -> Result<Option<IntakeReply>, Failure> {
        let events = self.target.behaviour && url == self.target.url;
        let kind = if events { CLOUDEVENTS_BATCH } else { "application/json" };
        let mut pause = FIRST_PAUSE;
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let request = self.client.post(url).bearer_auth(&self.target.key);
            let request = request.header(CONTENT_TYPE, kind).body(body.clone());
            let request = match &self.target.known_at {
                Some(known_at) => request.query(&[("known_at", known_at)]),
                None => request,
            };
            let wait = match request.send().await {
                Err(error) => {
                    said = format!("{error}");
                    None
                }
                Ok(answer) if answer.status() == StatusCode::OK => {
                    return Ok(Some(answer.json().await?));
                }
                Ok(answer) => {
                    let (status, headers) = (answer.status(), answer.headers().clone());
                    let text = answer.text().await.unwrap_or_default();
                    let problem = serde_json::from_str::<Problem>(&text).ok();
                    if problem.as_ref().is_some_and(|p| p.code == ErrorCode::NoConsent) {
                        return Ok(None);
                    }
                    said = problem.map_or_else(|| status.to_string(), |problem| problem.detail);
                    let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
                    if !later.contains(&status) {
                        return Err(format!("{url}: {said}").into());
                    }
                    let seconds = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok());
                    seconds.and_then(|text| text.parse().ok()).map(Duration::from_secs)
                }
            };
            tokio::time::sleep(wait.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause *= 2;
        }
        Err(format!("{url}: {said}; run the same command with --resume later").into())
    }

    fn cloud_event(&self, row: Reported) -> CloudEvent {
        let source = match self.target.destination.as_str() {
            "" => "attune-import".to_owned(),
            name => name.to_owned(),
        };
        let clicks = row.ad_identifiers.into_iter().flat_map(|ad| [ad.gclid, ad.gbraid, ad.wbraid]);
        let clicks = clicks.flatten().map(protocol::intake::UserIdentifier::ClickId);
        CloudEvent {
            specversion: "1.0".to_owned(),
            id: row.transaction_id.unwrap_or_default(),
            source,
            kind: row.event_name,
            time: Some(row.event_timestamp),
            subject: None,
            datacontenttype: None,
            dataschema: None,
            data: BehaviourData {
                user_identifiers: row.user_identifiers.into_iter().chain(clicks).collect(),
                consent: row.consent,
                item: row.item,
                category: row.category,
                number: row.number,
                value: row.conversion_value,
                currency: row.currency,
            },
            traceparent: None,
            tracestate: None,
            partitionkey: None,
            sequence: None,
        }
    }
}

/// What was denied in a row that cannot be read; `None` if nothing was, or nobody knows by whom.
fn no_of(row: Reported) -> Option<Statement> {
    let consent = row.consent?;
    let denied = Scope::ALL.iter().any(|&one| consent.about(one) == Some(ConsentStatus::Denied));
    let Reported { event_timestamp, user_identifiers, .. } = row;
    (denied && !user_identifiers.is_empty()).then_some(Statement {
        event_timestamp,
        user_identifiers,
        consent,
    })
}

fn raw(row: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    Ok(serde_json::value::to_raw_value(row)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::intake::UserIdentifier;
    use server::table::{Layout, Table};

    #[test]
    fn c14_a_no_in_a_row_of_a_table_that_cannot_be_read_is_said() {
        let said = |line: &str| {
            let header = "Conversion Name,Conversion Time,Conversion Value,User ID,Consent\n";
            let mut table = Table::new(Layout::classic(Scope::Conversion));
            table.push(format!("{header}{line}\n").as_bytes());
            table.end();
            let row = table.next_row().unwrap().unwrap();
            assert!(row.row.is_err(), "{line}");
            no_of(*row.said.unwrap())
        };
        let no = Statement {
            event_timestamp: "2026-11-20T16:04:05Z".to_owned(),
            user_identifiers: vec![UserIdentifier::UserId("C-17".to_owned())],
            consent: Consent::only(Scope::Conversion, ConsentStatus::Denied),
        };
        assert_eq!(said("b,2026-11-20T16:04:05Z,\"1,50\",C-17,denied"), Some(no));
        assert_eq!(said("b,2026-11-20T16:04:05Z,\"1,50\",C-17,granted"), None);
        assert_eq!(said("b,2026-11-20T16:04:05Z,\"1,50\",,denied"), None);
    }
}
