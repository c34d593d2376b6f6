//! SMS through any provider that takes one HTTP request a message: what the request looks like is a
//! setting.

use super::{Accepted, Address, Channel, ChannelKind, DeliveryError, Message, PATIENCE};
use async_trait::async_trait;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// How the fields are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmsFormat {
    /// As one JSON object.
    #[default]
    Json,
    /// As a form (`application/x-www-form-urlencoded`).
    Form,
}

/// Where text messages go out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmsConfig {
    /// The provider's address, https.
    pub url: String,
    /// The header `Authorization`, as the provider wants it.
    #[serde(default)]
    pub authorization: Option<String>,
    /// How the fields are written.
    #[serde(default)]
    pub format: SmsFormat,
    /// What is sent, each `name=value`; in values `{to}`, `{text}` and `{id}` are filled in.
    pub fields: Vec<String>,
    /// The field of the answer, JSON, that names the message there.
    #[serde(default)]
    pub reference: Option<String>,
}

impl fmt::Debug for SmsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmsConfig")
    }
}

/// A provider.
pub struct Sms {
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    /// Names and values.
    fields: Vec<(String, String)>,
    config: SmsConfig,
}

impl fmt::Debug for Sms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sms")
    }
}

const SMS: &str = ChannelKind::Sms.name();

impl Sms {
    /// Looks at the settings.
    ///
    /// # Errors
    /// [`DeliveryError::Settings`] says what is wrong with them.
    pub fn new(config: &SmsConfig) -> Result<Self, DeliveryError> {
        let wrong = |what: &str| DeliveryError::Settings(format!("delivery.sms: {what}"));
        let url: Url = config.url.parse().map_err(|_| wrong("url is none: https://host/path"))?;
        let near = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && near) {
            return Err(wrong("url must begin with https://"));
        }
        let parts = |field: &String| {
            let (name, value) = field.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        let fields: Option<Vec<_>> = config.fields.iter().map(parts).collect();
        let fields = fields.ok_or_else(|| wrong("fields: write name=value"))?;
        let holds = |place: &str| fields.iter().any(|(_, value)| value.contains(place));
        if !holds("{to}") || !holds("{text}") {
            return Err(wrong("fields must have {to} and {text} in them"));
        }
        let authorization = match &config.authorization {
            None => None,
            Some(text) => {
                let value = HeaderValue::from_str(text);
                let mut value = value.map_err(|_| wrong("authorization is no header value"))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        // The only provider of the lock file; somebody may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A number must not follow a redirection to elsewhere.
        let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none()).build();
        let client = client.map_err(|_| wrong("no HTTP client can be made"))?;
        Ok(Self { client, url, authorization, fields, config: config.clone() })
    }

    fn fields(&self, to: &str, message: &Message) -> Vec<(&str, String)> {
        let id = message.id.to_string();
        let filled =
            |value: &String| fill(value, &[("{to}", to), ("{text}", &message.text), ("{id}", &id)]);
        self.fields.iter().map(|(name, value)| (name.as_str(), filled(value))).collect()
    }
}

/// Fills places in, each once: what is filled in is not looked at again.
fn fill(mut template: &str, places: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    while !template.is_empty() {
        let next = places
            .iter()
            .filter_map(|(place, value)| template.find(place).map(|at| (at, *place, *value)))
            .min_by_key(|(at, ..)| *at);
        let Some((at, place, value)) = next else { break };
        text.push_str(&template[..at]);
        text.push_str(value);
        template = &template[at + place.len()..];
    }
    text.push_str(template);
    text
}

/// Most bytes of an answer that are looked at.
const MOST_ANSWER_BYTES: usize = 64 * 1024;

async fn beginning(mut answer: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < MOST_ANSWER_BYTES
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

#[async_trait]
impl Channel for Sms {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Sms
    }

    async fn send(&self, message: &Message) -> Result<Accepted, DeliveryError> {
        let Address::Phone(to) = &message.to else { return Err(DeliveryError::Address(SMS)) };
        let unreachable =
            |why: &str| DeliveryError::Unreachable { channel: SMS, why: why.to_owned() };
        let fields = self.fields(to.as_str(), message);
        let (kind, body) = match self.config.format {
            SmsFormat::Json => {
                let object =
                    fields.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
                ("application/json", Value::Object(object.collect()).to_string())
            }
            SmsFormat::Form => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                ("application/x-www-form-urlencoded", form.extend_pairs(fields).finish())
            }
        };
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, kind).body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = request.send().await.map_err(|error| {
            let why =
                if error.is_timeout() { "it did not answer in time" } else { "no connection" };
            unreachable(why)
        })?;
        match answer.status() {
            status if status.is_success() => {
                // That it was taken counts, whatever else is said.
                let said: Value =
                    serde_json::from_slice(&beginning(answer).await).unwrap_or_default();
                let field = self.config.reference.as_ref().and_then(|name| said.get(name));
                let reference = field.map(|field| match field.as_str() {
                    Some(text) => text.to_owned(),
                    None => field.to_string(),
                });
                Ok(Accepted { reference: reference.map(|text| text.chars().take(200).collect()) })
            }
            status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
                Err(unreachable(&format!("HTTP {}", status.as_u16())))
            }
            status if status.is_server_error() => {
                Err(unreachable(&format!("HTTP {}", status.as_u16())))
            }
            status => Err(DeliveryError::Refused { channel: SMS, status: status.as_u16() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_filled_in_is_not_a_place() {
        let places = [("{to}", "{text}"), ("{text}", "{to}{id}"), ("{id}", "7")];
        assert_eq!(fill("a{to}b{text}{id}{other}", &places), "a{text}b{to}{id}7{other}");
        assert_eq!(fill("", &places), "");
    }

    #[test]
    fn settings_that_would_send_numbers_in_the_clear_are_refused() {
        let config = |url: &str, text: &str| SmsConfig {
            url: url.to_owned(),
            authorization: None,
            format: SmsFormat::Json,
            fields: vec!["to={to}".into(), format!("body={text}")],
            reference: None,
        };
        assert!(Sms::new(&config("https://sms.example/send", "{text}")).is_ok());
        assert!(Sms::new(&config("http://127.0.0.1:9/send", "{text}")).is_ok());
        for (url, text) in [
            ("http://sms.example/send", "{text}"),
            ("ftp://sms.example", "{text}"),
            ("", "{text}"),
            ("https://sms.example/send", "hello"),
        ] {
            assert!(
                matches!(Sms::new(&config(url, text)), Err(DeliveryError::Settings(_))),
                "{url}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_template_is_filled(template in "(\\{to\\}|\\{id\\}|[a{}t])*", value in ".{0,8}") {
            let filled = fill(&template, &[("{to}", &value), ("{id}", &value)]);
            let places = template.matches("{to}").count() + template.matches("{id}").count();
            prop_assert_eq!(filled.len(), template.len() - places * 4 + places * value.len());
        }
    }
}
