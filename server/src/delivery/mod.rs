//! Telling people something by the channel that they prefer. What to say and when is decided
//! elsewhere; here is how it gets there.
//!
//! ```text
//!  orders -> Message -> Channel: e-mail (SMTP) | SMS (HTTP) | in the app (a stream)
//! ```
//!
//! A message may arrive twice, when a relay took it and the answer was lost: it has an id, by which
//! whoever receives it can tell.
//!
//! **Invariant.** No address and no text of a message is in a log line or an error.

mod address;
mod config;
mod in_app;
mod sms;
mod smtp;
#[cfg(test)]
mod tests;

pub use address::{Address, AddressError, Email, Phone};
pub use config::DeliveryConfig;
pub use in_app::{InApp, Notice};
pub use sms::{Sms, SmsConfig, SmsFormat};
pub use smtp::{Smtp, SmtpConfig};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use thiserror::Error;
use uuid::Uuid;

/// How long the other side may take for each step.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something to tell one person.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Names it for good: sent again, it is the same.
    pub id: Uuid,
    /// To where.
    pub to: Address,
    /// One line; not shown by SMS.
    pub subject: String,
    /// Plain text, complete by itself.
    pub text: String,
    /// The same as HTML, for e-mail.
    pub html: Option<String>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("id", &self.id).finish_non_exhaustive()
    }
}

/// By which way.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// E-mail.
    Email,
    /// A text message to a phone.
    Sms,
    /// Where the person looks anyway: the app and the page.
    InApp,
}

impl ChannelKind {
    /// As it is called in settings and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::InApp => "in_app",
        }
    }
}

/// That the other side took a message, and what it calls it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Its name for it, if it said one.
    pub reference: Option<String>,
}

/// Why a message did not go out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeliveryError {
    /// It cannot be sent by this channel at all.
    #[error("the address is not one of this channel ({0}): ask the person for another")]
    Address(&'static str),
    /// The other side said no: asking again gives the same.
    #[error("the {channel} provider refused the message ({status}): see its documentation")]
    Refused {
        /// Which channel.
        channel: &'static str,
        /// Its code.
        status: u16,
    },
    /// The other side did not answer, or asked to come back: worth another attempt.
    #[error("the {channel} provider cannot be reached ({why}): it is tried again")]
    Unreachable {
        /// Which channel.
        channel: &'static str,
        /// What happened, without a word of the message.
        why: String,
    },
    /// The settings do not do.
    #[error("{0}")]
    Settings(String),
}

impl DeliveryError {
    /// Whether another attempt may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl protocol::log::LogSafe for DeliveryError {}

/// A way to people.
#[async_trait]
pub trait Channel: fmt::Debug + Send + Sync {
    /// Which it is.
    fn kind(&self) -> ChannelKind;

    /// Hands a message over.
    ///
    /// # Errors
    /// [`DeliveryError`]; [`DeliveryError::is_transient`] tells whether to try again.
    async fn send(&self, message: &Message) -> Result<Accepted, DeliveryError>;
}
