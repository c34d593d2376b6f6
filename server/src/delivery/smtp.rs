//! E-mail by SMTP, through a relay of the operator's.

use super::{Accepted, Address, Channel, ChannelKind, DeliveryError, Message, PATIENCE};
use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::{Mailbox, MultiPart, SinglePart},
    transport::smtp,
};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// Where e-mail goes out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// `smtps://user:password@host` (TLS from the first byte), or `smtp://…?tls=required`
    /// (STARTTLS). Without TLS only to this machine.
    pub url: String,
    /// From whom, `Name <name@example.com>`.
    pub from: String,
}

impl fmt::Debug for SmtpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpConfig")
    }
}

/// A relay; its connections are kept and used again.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Smtp")
    }
}

const EMAIL: &str = ChannelKind::Email.name();
const SILENT: &str = "it did not answer in time";
/// How long a whole conversation with a relay may take.
const LIMIT: Duration = Duration::from_secs(30);

impl Smtp {
    /// Looks at the settings; connects with the first message.
    ///
    /// # Errors
    /// [`DeliveryError::Settings`] says what is wrong with them.
    pub fn new(config: &SmtpConfig) -> Result<Self, DeliveryError> {
        let wrong = |what: &str| DeliveryError::Settings(format!("delivery.email: {what}"));
        let url: Url = config.url.parse().map_err(|_| wrong("url is none: smtps://host"))?;
        let encrypted = url.scheme() == "smtps"
            || url.query_pairs().any(|(name, value)| name == "tls" && value == "required");
        let near = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if !encrypted && !near {
            return Err(wrong("url must begin with smtps:// or end with ?tls=required"));
        }
        // The only provider of the lock file; somebody may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&config.url);
        let transport = transport.map_err(|_| wrong("url is none that can be used"))?;
        let from = config.from.parse().map_err(|_| wrong("from: write Name <name@host>"))?;
        Ok(Self { transport: transport.timeout(Some(PATIENCE)).build(), from })
    }
}

#[async_trait]
impl Channel for Smtp {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Email
    }

    async fn send(&self, message: &Message) -> Result<Accepted, DeliveryError> {
        let Address::Email(to) = &message.to else { return Err(DeliveryError::Address(EMAIL)) };
        let reference = format!("<{}@{}>", message.id, self.from.email.domain());
        let text = SinglePart::plain(message.text.clone());
        let building = lettre::Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.envelope().clone()))
            .subject(one_line(&message.subject))
            .message_id(Some(reference.clone()));
        let built = match &message.html {
            Some(html) => {
                let html = SinglePart::html(html.clone());
                building.multipart(MultiPart::alternative().singlepart(text).singlepart(html))
            }
            None => building.singlepart(text),
        };
        let built = built.map_err(|_| DeliveryError::Address(EMAIL))?;
        // The transport's own limit is for connecting only.
        match tokio::time::timeout(LIMIT, self.transport.send(built)).await {
            Ok(Ok(_)) => Ok(Accepted { reference: Some(reference) }),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(unreachable(SILENT)),
        }
    }
}

/// A header has one.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A relay's words may repeat an address: only its code is kept.
fn failed(error: &smtp::Error) -> DeliveryError {
    let code = error.status().map(u16::from);
    match code {
        Some(status) if error.is_permanent() => DeliveryError::Refused { channel: EMAIL, status },
        Some(status) => unreachable(&format!("SMTP {status}")),
        None => {
            let why = if error.is_timeout() {
                SILENT
            } else if error.is_tls() {
                "its certificate or its TLS does not do"
            } else {
                "no connection, or it broke"
            };
            unreachable(why)
        }
    }
}

fn unreachable(why: &str) -> DeliveryError {
    DeliveryError::Unreachable { channel: EMAIL, why: why.to_owned() }
}
