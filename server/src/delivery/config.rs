//! What an operator can choose about the ways to people.

use super::{Channel, DeliveryError, Sms, SmsConfig, Smtp, SmtpConfig};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The ways that are set up. The app and the page always are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryConfig {
    /// E-mail.
    pub email: Option<SmtpConfig>,
    /// Text messages.
    pub sms: Option<SmsConfig>,
}

impl DeliveryConfig {
    /// Looks at the settings; connects with the first message.
    ///
    /// # Errors
    /// [`DeliveryError::Settings`] names the setting that does not do.
    pub fn channels(&self) -> Result<Vec<Arc<dyn Channel>>, DeliveryError> {
        let mut channels: Vec<Arc<dyn Channel>> = Vec::new();
        if let Some(email) = &self.email {
            channels.push(Arc::new(Smtp::new(email)?));
        }
        if let Some(sms) = &self.sms {
            channels.push(Arc::new(Sms::new(sms)?));
        }
        Ok(channels)
    }
}
