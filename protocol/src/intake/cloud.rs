//! Behaviour as CloudEvents 1.0 in JSON, single or as a batch.
//!
//! Source: CloudEvents specification 1.0.2, sections 3 (attributes) and the JSON event format,
//! sections 2 to 4.

use super::{Consent, UserIdentifier};
use serde::{Deserialize, Serialize, de::IgnoredAny};

/// The media type of one event.
pub const CLOUDEVENTS: &str = "application/cloudevents+json";
/// The media type of a batch: an array of events.
pub const CLOUDEVENTS_BATCH: &str = "application/cloudevents-batch+json";

/// One thing a person did in an app or on a page.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CloudEvent {
    /// 1.0.
    #[cfg_attr(feature = "openapi", schema(examples("1.0")))]
    pub specversion: String,
    /// Unique for the source: by both a repetition is recognised.
    pub id: String,
    /// Who reports it: a URI reference.
    #[cfg_attr(feature = "openapi", schema(examples("https://shop.example/web")))]
    pub source: String,
    /// What it was: `page_view`, `search`, `add_to_cart`, ...
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(examples("page_view")))]
    pub kind: String,
    /// When: RFC 3339 with a zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(examples("2026-11-20T17:04:05Z")))]
    pub time: Option<String>,
    /// What it was about, by the operator's own code: the item, if `data` names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `application/json`, or left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
    /// Not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataschema: Option<String>,
    /// Who, what and how much.
    pub data: BehaviourData,
    /// An extension for tracing; not read.
    #[serde(default, skip_serializing)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub traceparent: Option<IgnoredAny>,
    /// An extension for tracing; not read.
    #[serde(default, skip_serializing)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub tracestate: Option<IgnoredAny>,
    /// An extension for brokers; not read.
    #[serde(default, skip_serializing)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub partitionkey: Option<IgnoredAny>,
    /// An extension for order; not read.
    #[serde(default, skip_serializing)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub sequence: Option<IgnoredAny>,
}

/// The part of the event that is ours.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BehaviourData {
    /// By what the person is recognised.
    #[serde(alias = "userIdentifiers")]
    pub user_identifiers: Vec<UserIdentifier>,
    /// What the person had said by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// Of what: the operator's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Of which category: the operator's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How many, how much, how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// What it was worth, in whole units of the currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// ISO 4217 code; needed with a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}
