//! What a person is told before they agree.

use crate::{canonical::canonical_bytes, consent::Purpose, digest::Digest};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Names one notice for good: a text that changes has another digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NoticeRef {
    /// The version, as its author counts.
    pub version: String,
    /// The language it was shown in, BCP 47.
    pub language: String,
    /// SHA-256 over the canonical bytes of the [`Notice`].
    pub sha256: Digest,
}

/// Where the measuring takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// A shop, a kiosk, an app that sells.
    Retail,
    /// The person's own use.
    Personal,
    /// A study with its own ethics approval.
    Research,
    /// Employees. Refused: EU AI Act, article 5(1)(f).
    Workplace,
    /// Pupils and students. Refused: EU AI Act, article 5(1)(f).
    Education,
}

/// Who decides what the data is used for (GDPR, article 4(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    /// Their name.
    pub name: String,
    /// Postal address.
    pub address: String,
    /// Where a person can write to: a mail address or a URL.
    pub contact: String,
}

/// Who receives what is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipients {
    /// The operator behind [`Recipient::Operator`](super::Recipient::Operator).
    pub operator: String,
    /// Whom the operator passes it on to; empty = nobody.
    #[serde(default)]
    pub third_parties: Vec<String>,
}

/// How long something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// What it is kept for.
    pub purpose: Purpose,
    /// For how many days at most.
    pub days: u32,
}

/// The notice of a shop, in one language (GDPR, articles 13 and 14; ISO/IEC TS 27560).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The version, as its author counts.
    pub version: String,
    /// BCP 47.
    pub language: String,
    /// The text as shown.
    pub text: String,
    /// Where the measuring takes place.
    pub setting: Setting,
    /// Who decides.
    pub controllers: Vec<Controller>,
    /// Who receives what is shared.
    pub recipients: Recipients,
    /// Where the data is stored.
    pub storage_locations: Vec<String>,
    /// How long, purpose by purpose.
    pub retention: Vec<Retention>,
    /// Whose law applies, ISO 3166.
    pub jurisdiction: String,
    /// How the person takes consent back.
    pub withdrawal_method: String,
    /// The rights the person has.
    pub privacy_rights: Vec<String>,
    /// The supervisory authority to complain to.
    pub authority: String,
}

/// Why a notice cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoticeError {
    /// Inferring emotions or intentions is forbidden there.
    #[error(
        "the notice is for {}: inferring emotions at work and in education is prohibited \
         (EU AI Act, article 5(1)(f)); Attune does not run there", .0.name()
    )]
    Prohibited(Setting),
    /// A mandatory text is missing.
    #[error("the notice's {0} is empty: a person must be told (GDPR, article 13)")]
    Missing(&'static str),
}

impl Setting {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retail => "retail",
            Self::Personal => "personal",
            Self::Research => "research",
            Self::Workplace => "workplace",
            Self::Education => "education",
        }
    }
}

impl Notice {
    /// Names the notice, if a person may be measured under it.
    ///
    /// # Errors
    /// [`NoticeError`]: the setting is prohibited, or something mandatory is missing.
    pub fn checked(&self) -> Result<NoticeRef, NoticeError> {
        if let Setting::Workplace | Setting::Education = self.setting {
            return Err(NoticeError::Prohibited(self.setting));
        }
        let texts = [
            ("version", &self.version),
            ("language", &self.language),
            ("text", &self.text),
            ("recipients.operator", &self.recipients.operator),
            ("jurisdiction", &self.jurisdiction),
            ("withdrawal_method", &self.withdrawal_method),
            ("authority", &self.authority),
        ];
        if let Some((name, _)) = texts.iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(NoticeError::Missing(name));
        }
        let lists = [
            ("controllers", self.controllers.is_empty()),
            ("storage_locations", self.storage_locations.is_empty()),
            ("retention", self.retention.is_empty()),
            ("privacy_rights", self.privacy_rights.is_empty()),
        ];
        if let Some((name, _)) = lists.iter().find(|(_, empty)| *empty) {
            return Err(NoticeError::Missing(name));
        }
        // A notice holds texts and whole numbers: it always has canonical bytes.
        let bytes = canonical_bytes(self).map_err(|_| NoticeError::Missing("canonical form"))?;
        let (version, language) = (self.version.clone(), self.language.clone());
        Ok(NoticeRef { version, language, sha256: Digest::of(&bytes) })
    }
}

impl NoticeRef {
    /// Names no notice: of a gate that was told of none, which infers nothing.
    #[must_use]
    pub const fn unknown() -> Self {
        Self { version: String::new(), language: String::new(), sha256: Digest::NONE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(setting: Setting) -> Notice {
        Notice {
            version: "1".into(),
            language: "en".into(),
            text: "We measure your skin conductance.".into(),
            setting,
            controllers: vec![Controller {
                name: "Shop".into(),
                address: "Main Street 1".into(),
                contact: "privacy@shop.example".into(),
            }],
            recipients: Recipients { operator: "Shop".into(), third_parties: vec![] },
            storage_locations: vec!["the person's device".into()],
            retention: vec![Retention { purpose: Purpose::Share, days: 30 }],
            jurisdiction: "DE".into(),
            withdrawal_method: "Press Stop.".into(),
            privacy_rights: vec!["access".into()],
            authority: "The data protection authority of Hesse".into(),
        }
    }

    #[test]
    fn c11_work_and_education_are_refused() {
        for setting in [Setting::Workplace, Setting::Education] {
            assert_eq!(notice(setting).checked(), Err(NoticeError::Prohibited(setting)));
        }
        for setting in [Setting::Retail, Setting::Personal, Setting::Research] {
            assert!(notice(setting).checked().is_ok());
        }
    }

    #[test]
    fn a_changed_notice_is_another_notice() {
        let first = notice(Setting::Retail);
        let mut changed = first.clone();
        changed.text.push('!');
        let (first, changed) = (first.checked().unwrap(), changed.checked().unwrap());
        assert_eq!(first.version, changed.version);
        assert_ne!(first.sha256, changed.sha256);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut silent = notice(Setting::Retail);
        silent.authority = " ".into();
        let error = silent.checked().unwrap_err();
        assert_eq!(error, NoticeError::Missing("authority"));
    }
}
