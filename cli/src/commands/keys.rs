//! `attune keys`: what programs of the operator show to the server.

use super::{Data, tokio_runtime};
use crate::{Failure, output, person};
use clap::Subcommand;
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use server::{
    keys::{DEFAULT_OVERLAP_MS, KeyInfo, KeyState, Keychain, NewKey},
    scope::{Scope, Scopes},
};
use std::{fs, path::PathBuf, process::ExitCode};
use uuid::Uuid;

const HOUR_MS: i64 = 60 * 60 * 1_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Where the key of an administrator stands: not among the arguments, which others can list.
const ADMIN_KEY: &str = "ATTUNE_ADMIN_KEY";

/// Make, list, replace and end the keys that programs of the operator show to the server.
///
/// On the server's data folder, whether the server runs or not; or over the wire with --to and a
/// key with the scope admin.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: Data,
    /// A server to ask instead; the environment variable ATTUNE_ADMIN_KEY has the key for it.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// A file with the key for --to, instead of the environment variable.
    #[arg(long, value_name = "FILE", requires = "to")]
    key_file: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key; it is shown this once.
    Create {
        /// What it is called.
        #[arg(long)]
        name: String,
        /// What it may do: ingest, backfill, predict, features, orders, identity, models,
        /// live, admin.
        #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// How long it lives [default: until it is revoked]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
    },
    /// Every key that was made, without the keys themselves, which are not kept.
    List,
    /// Make a key that takes over from another, which goes on for a while.
    Rotate {
        /// The id of the key to be replaced.
        id: Uuid,
        /// How long the old key goes on.
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        overlap: u16,
    },
    /// End a key now.
    Revoke {
        /// The id of the key.
        id: Uuid,
    },
}

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    debug_assert_eq!(DEFAULT_OVERLAP_MS, DAY_MS);
    let now = person::unix_ms();
    let runtime = tokio_runtime()?;
    runtime.block_on(async {
        let keys = Keys::open(&args).await?;
        match args.action {
            Action::Create { name, scopes, days } => {
                let expires_unix_ms = days.map(|days| now.saturating_add(i64::from(days) * DAY_MS));
                let scopes = scopes.into_iter().collect();
                let new = NewKey { name, scopes, expires_unix_ms };
                show(&keys.create(new, now).await?, json)?;
            }
            Action::Rotate { id, overlap } => {
                show(&keys.rotate(id, i64::from(overlap) * HOUR_MS, now).await?, json)?;
            }
            Action::List => {
                for key in keys.list(now).await? {
                    if json { output::line(&key)? } else { output::text(&line(&key))? }
                }
            }
            Action::Revoke { id } => {
                keys.revoke(id, now).await?;
                if json {
                    output::line(&json!({"type": "revoked", "id": id}))?;
                } else {
                    output::text(&format!("the key {id} is refused from now on"))?;
                }
            }
        }
        keys.close().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// A key as it was made, and what is kept of it.
struct Made {
    key: String,
    info: KeyInfo,
}

/// Where the keys are.
enum Keys {
    Folder(Keychain),
    Server { client: reqwest::Client, url: String, admin: String },
}

impl Keys {
    async fn open(args: &Args) -> Result<Self, Failure> {
        let Some(url) = &args.to else {
            return Ok(Self::Folder(Keychain::open(args.data.clone().location()).await?));
        };
        let admin = match &args.key_file {
            Some(path) => fs::read_to_string(path)
                .map_err(|error| format!("cannot read the key {}: {error}", path.display()))?,
            None => std::env::var(ADMIN_KEY).map_err(|_| {
                format!("set {ADMIN_KEY} to a key with the scope admin, or name a --key-file")
            })?,
        };
        // The one provider there is; somebody may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().build()?;
        let (url, admin) = (url.trim_end_matches('/').to_owned(), admin.trim().to_owned());
        Ok(Self::Server { client, url, admin })
    }

    async fn create(&self, new: NewKey, now: i64) -> Result<Made, Failure> {
        match self {
            Self::Folder(keys) => {
                let (token, info) = keys.create(new, now).await?;
                Ok(Made { key: token.reveal().to_owned(), info })
            }
            Self::Server { .. } => {
                let NewKey { name, scopes, expires_unix_ms } = new;
                let body =
                    json!({"name": name, "scopes": scopes, "expires_unix_ms": expires_unix_ms});
                self.made("", &body).await
            }
        }
    }

    async fn rotate(&self, id: Uuid, overlap_ms: i64, now: i64) -> Result<Made, Failure> {
        match self {
            Self::Folder(keys) => {
                let (token, info) = keys.rotate(id, overlap_ms, now).await?;
                Ok(Made { key: token.reveal().to_owned(), info })
            }
            Self::Server { .. } => {
                self.made(&format!("/{id}/rotate"), &json!({"overlap_ms": overlap_ms})).await
            }
        }
    }

    async fn list(&self, now: i64) -> Result<Vec<KeyInfo>, Failure> {
        match self {
            Self::Folder(keys) => Ok(keys.list(now).await?),
            Self::Server { .. } => {
                let answer: Value = self.ask(Method::GET, "", None).await?.unwrap_or_default();
                Ok(serde_json::from_value(answer["keys"].clone())?)
            }
        }
    }

    async fn revoke(&self, id: Uuid, now: i64) -> Result<(), Failure> {
        match self {
            Self::Folder(keys) => Ok(keys.revoke(id, now).await?),
            Self::Server { .. } => {
                self.ask::<Value>(Method::DELETE, &format!("/{id}"), None).await?;
                Ok(())
            }
        }
    }

    async fn close(self) {
        if let Self::Folder(keys) = self {
            keys.close().await;
        }
    }

    async fn made(&self, path: &str, body: &Value) -> Result<Made, Failure> {
        let answer: Option<Value> = self.ask(Method::POST, path, Some(body)).await?;
        let answer = answer.ok_or("the server's answer has no key: is it an Attune server?")?;
        let key = answer["key"].as_str().unwrap_or_default().to_owned();
        Ok(Made { key, info: serde_json::from_value(answer)? })
    }

    /// Asks the server; its own words, if it refuses.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<T>, Failure> {
        let Self::Server { client, url, admin } = self else { return Ok(None) };
        let mut request = client.request(method, format!("{url}/v1/keys{path}")).bearer_auth(admin);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| format!("cannot ask {url}: {error}"))?;
        let status = answer.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        if status.is_success() {
            return Ok(Some(answer.json().await?));
        }
        let problem: Value = answer.json().await.unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("is it an Attune server?");
        Err(format!("{url} refused ({status}): {detail}").into())
    }
}

fn show(made: &Made, json: bool) -> Result<(), Failure> {
    let Made { key, info } = made;
    if json {
        let mut line = serde_json::to_value(info)?;
        line["type"] = "key".into();
        line["key"] = key.as_str().into();
        return output::line(&line);
    }
    eprintln!("{}", line(info));
    eprintln!("shown this once, keep it safe; programs send it as authorization: Bearer ...");
    output::text(key)
}

fn line(key: &KeyInfo) -> String {
    let state = match key.state {
        KeyState::Active => "active",
        KeyState::Expired => "expired",
        KeyState::Revoked => "revoked",
    };
    let scopes: Scopes = key.scopes;
    let mut line = format!("{} {state:<7} {} [{scopes}]", key.id, key.name);
    if let Some(at) = key.expires_unix_ms {
        line += &format!(", ends {}", time(at));
    }
    if let Some(at) = key.last_used_unix_ms {
        line += &format!(", last used {}", time(at));
    }
    if let Some(old) = key.replaces {
        line += &format!(", took over from {old}");
    }
    line
}

fn time(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map_or_else(|_| unix_ms.to_string(), |at| at.to_string())
}
