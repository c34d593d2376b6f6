//! Forms, as browsers send them.

use super::{
    fault::PageFault,
    speak::Tongue,
    view::{FEELS, PERIODS},
};
use crate::{
    api::{ApiError, extract::whole_body},
    app::App,
    delivery::ChannelKind,
    orders::{
        life::{Act, MAX_LINES, Wanted},
        person::{Language, Limit, WishesChange},
    },
};
use axum::extract::Request;
use jiff::{civil::Date, tz::TimeZone};
use protocol::offer::Currency;
use uuid::Uuid;

/// The hour at which a day begins for asking again.
const MORNING: i8 = 8;
/// Most digits of an amount: more could not be a limit.
const MOST_DIGITS: usize = 15;

/// The fields of a form, in their order.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ApiError`] where it is too long or broken off.
    pub(super) async fn read(request: Request, app: &App) -> Result<Self, ApiError> {
        Ok(Self::of(&whole_body(request, app).await?))
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// The command that a form of an order makes: its id, and what it wants.
    ///
    /// # Errors
    /// What is missing, for the person.
    pub(super) fn command(&self, tongue: &Tongue) -> Result<(Uuid, Act), &'static str> {
        let w = tongue.words();
        let number = |name| self.get(name).and_then(|text| text.parse::<i64>().ok());
        let id = |name| self.get(name).and_then(|text| Uuid::parse_str(text).ok());
        let act = match self.get("act") {
            Some("approve") => id("seen")
                .zip(number("total_minor"))
                .map(|(seen, total_minor)| Act::Approve { seen, total_minor }),
            Some("cancel") => Some(Act::Cancel),
            Some("delay") => {
                let day = || morning(self.get("day")?, &tongue.zone);
                number("until").or_else(day).map(|until_unix_ms| Act::Delay { until_unix_ms })
            }
            Some("modify") => {
                let lines = self.wanted().ok_or(w.fault_form)?;
                if lines.is_empty() {
                    return Err(w.fault_no_goods);
                }
                Some(Act::Modify { lines })
            }
            _ => None,
        };
        id("command").zip(act).ok_or(w.fault_form)
    }

    /// Articles with at least one piece; `None` where that cannot be read.
    fn wanted(&self) -> Option<Vec<Wanted>> {
        let (skus, pieces) = (self.all("sku"), self.all("quantity"));
        let mut wanted = Vec::new();
        for (sku, pieces) in skus.zip(pieces).take(MAX_LINES) {
            let quantity = if pieces.is_empty() { 0 } else { pieces.parse().ok()? };
            if quantity > 0 {
                wanted.push(Wanted { sku: sku.to_owned(), quantity });
            }
        }
        Some(wanted)
    }

    /// The change that a form of the settings makes, and which group it is of.
    ///
    /// # Errors
    /// The group and what to say in it; [`PageFault::Form`] for what is no form of the page.
    pub(super) fn change(
        &self,
        tongue: &Tongue,
    ) -> Result<(String, Result<WishesChange, &'static str>), PageFault> {
        let none = WishesChange::default();
        let text = |name| Some(self.get(name)?.to_owned());
        let group = self.get("group").unwrap_or_default();
        let change = match group {
            "asked" => match self.get("do") {
                Some("agree") => WishesChange { agreed: Some(true), paused: Some(false), ..none },
                Some("stop") => WishesChange { agreed: Some(false), ..none },
                Some("pause") => WishesChange { paused: Some(true), ..none },
                Some("resume") => WishesChange { paused: Some(false), ..none },
                _ => return Err(PageFault::Form),
            },
            "reach" => WishesChange {
                channel: match self.get("channel") {
                    Some("email") => Some(ChannelKind::Email),
                    Some("sms") => Some(ChannelKind::Sms),
                    Some("in_app") => Some(ChannelKind::InApp),
                    _ => return Err(PageFault::Form),
                },
                email: text("email"),
                phone: text("phone"),
                ..none
            },
            "language" => WishesChange {
                language: match self.get("language") {
                    Some("en") => Some(Language::English),
                    Some("de") => Some(Language::German),
                    _ => return Err(PageFault::Form),
                },
                zone: text("zone"),
                ..none
            },
            "limits" => match self.limits() {
                Some(limits) => WishesChange { limits: Some(limits), ..none },
                None => return Ok((group.to_owned(), Err(tongue.words().fault_money))),
            },
            "feel" => match (self.get("do"), self.get("feel")) {
                (Some("reset"), _) => WishesChange { reset: true, ..none },
                (_, Some(feel)) => {
                    let known = FEELS.iter().find(|(_, name)| *name == feel);
                    let feel = known.ok_or(PageFault::Form)?.0;
                    WishesChange { feel: Some(feel), ..none }
                }
                _ => return Err(PageFault::Form),
            },
            _ => return Err(PageFault::Form),
        };
        Ok((group.to_owned(), Ok(change)))
    }

    /// All limits that are not empty; `None` where an amount is none.
    fn limits(&self) -> Option<Vec<Limit>> {
        let mut limits = Vec::new();
        for (name, amount) in &self.0 {
            let Some(name) = name.strip_prefix("limit.") else { continue };
            if amount.trim().is_empty() {
                continue;
            }
            let (period, currency) = name.split_once('.')?;
            let period = PERIODS.iter().find(|(_, known)| *known == period)?.0;
            let currency = Currency::try_from(currency.to_owned()).ok()?;
            let most_minor = minor(amount, currency)?;
            limits.push(Limit { period, currency, most_minor });
        }
        Some(limits)
    }
}

/// When a day begins for asking again, Unix milliseconds.
fn morning(day: &str, zone: &str) -> Option<i64> {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let day: Date = day.parse().ok()?;
    let at = day.at(MORNING, 0, 0, 0).to_zoned(zone).ok()?;
    Some(at.timestamp().as_millisecond())
}

/// An amount as people write it, in minor units. One point or comma, before no more digits than the
/// currency has: nothing that could be read in two ways is read at all.
fn minor(text: &str, currency: Currency) -> Option<i64> {
    let text = text.trim();
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = currency.minor_digits();
    let all = format!("{whole}{part:0<digits$}");
    let plain = all.bytes().all(|byte| byte.is_ascii_digit());
    let fits = !whole.is_empty() && part.len() <= digits && all.len() <= MOST_DIGITS;
    (plain && fits).then(|| all.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tongue() -> Tongue {
        Tongue { language: Language::English, zone: "Europe/Berlin".to_owned() }
    }

    fn currency(code: &str) -> Currency {
        Currency::try_from(code.to_owned()).unwrap()
    }

    #[test]
    fn amounts_are_read_in_one_way_or_not_at_all() {
        let check =
            |text, code, expected| assert_eq!(minor(text, currency(code)), expected, "{text}");
        check("200", "EUR", Some(20_000));
        check(" 49,9 ", "EUR", Some(4_990));
        check("49.90", "EUR", Some(4_990));
        check("0", "EUR", Some(0));
        check("500", "JPY", Some(500));
        for wrong in ["1.000", "1.000,50", "-1", "", ".", ",5", "1e3", "x", "9999999999999999"] {
            check(wrong, "EUR", None);
        }
        check("5,0", "JPY", None);
    }

    #[test]
    fn a_form_of_an_order_makes_its_command() {
        let id = Uuid::from_u128(7);
        let command =
            |rest: &str| Form::of(format!("command={id}&{rest}").as_bytes()).command(&tongue());
        let seen = Uuid::from_u128(8);
        let approve = command(&format!("act=approve&seen={seen}&total_minor=2580"));
        assert_eq!(approve, Ok((id, Act::Approve { seen, total_minor: 2_580 })));
        assert_eq!(command("act=cancel"), Ok((id, Act::Cancel)));
        let lines = vec![Wanted { sku: "a".to_owned(), quantity: 3 }];
        let modify = command("act=modify&sku=a&quantity=3&sku=b&quantity=0&sku=c&quantity=");
        assert_eq!(modify, Ok((id, Act::Modify { lines })));
        // Eight in the morning in Berlin, in winter.
        let until_unix_ms = "2026-12-01T07:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let until_unix_ms = until_unix_ms.as_millisecond();
        assert_eq!(command("act=delay&day=2026-12-01"), Ok((id, Act::Delay { until_unix_ms })));
        assert_eq!(command("act=delay&until=5"), Ok((id, Act::Delay { until_unix_ms: 5 })));
        for wrong in ["", "act=approve", "act=delay&day=soon", "act=modify&sku=a&quantity=x"] {
            assert_eq!(command(wrong), Err(tongue().words().fault_form), "{wrong}");
        }
        assert_eq!(command("act=modify&sku=a&quantity=0"), Err(tongue().words().fault_no_goods));
    }

    #[test]
    fn a_form_of_the_settings_makes_its_change() {
        let change = |form: &str| Form::of(form.as_bytes()).change(&tongue()).map(|pair| pair.1);
        let limits = change("group=limits&limit.month.EUR=200&limit.day.EUR=").unwrap().unwrap();
        let limit = limits.limits.unwrap()[0];
        assert_eq!((limit.most_minor, limit.currency), (20_000, Currency::EUR));
        assert_eq!(
            change("group=limits&limit.day.EUR=x").unwrap(),
            Err(tongue().words().fault_money)
        );
        assert!(change("group=feel&do=reset").unwrap().unwrap().reset);
        for wrong in ["", "group=asked", "group=feel&feel=odd", "group=reach&channel=pigeon"] {
            assert!(matches!(change(wrong), Err(PageFault::Form)), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_form_or_are_not(bytes: Vec<u8>, text in "(group|act|limit.day.EUR|day|sku|quantity|=|&|[0-9.,]|approve|modify|limits){0,20}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let form = Form::of(bytes);
                let _ = form.command(&tongue());
                let _ = form.change(&tongue());
            }
        }
    }
}
