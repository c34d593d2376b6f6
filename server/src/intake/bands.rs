//! Demographics come in bands, so that nobody is told apart by them.

use super::Fault;
use protocol::intake::Reason;

/// Least width of an age band, years.
const LEAST_YEARS: u32 = 5;
/// Least width of an income band, whole units of its currency: wide enough that a band is not a
/// salary, narrow enough for what surveys ask by.
const LEAST_INCOME: u32 = 5_000;
/// Attributes that are taken; of those that are ranges of a number, the least width.
const ATTRIBUTES: [(&str, Option<u32>); 6] = [
    ("age_band", Some(LEAST_YEARS)),
    ("income_band", Some(LEAST_INCOME)),
    ("household_band", None),
    ("education_band", None),
    ("gender", None),
    ("place", None),
];
/// Most bands of one attribute.
const MOST_BANDS: f64 = 99.0;

/// Checks a banded attribute: its name is known, `item` is the band's label (`25-34`, `65+`,
/// `<25`), `number` its place in the order of bands, from 0.
///
/// # Errors
/// [`Fault`]: `not_banded`, or `missing_field` without a label.
pub(super) fn check(name: &str, label: Option<&str>, place: Option<f64>) -> Result<(), Fault> {
    let not_banded = |detail: &'static str| Err(Fault::new(Reason::NotBanded, detail));
    let Some((_, least)) = ATTRIBUTES.iter().find(|(known, _)| *known == name) else {
        return not_banded(
            "event_name is no banded attribute: take age_band, income_band, household_band, \
             education_band, gender or place",
        );
    };
    let Some(label) = label else {
        let detail = "item is missing: send the band's label, such as 25-34";
        return Err(Fault::new(Reason::MissingField, detail));
    };
    if place.is_some_and(|place| place.fract() != 0.0 || place > MOST_BANDS) {
        return not_banded("number must be the place of the band in the order of bands, 0 to 99");
    }
    let Some(least) = *least else { return Ok(()) };
    match width(label) {
        None => not_banded("item is no range: write it like 25-34, 65+ or <25"),
        Some(width) if width < least => not_banded(
            "item is too narrow a band: take bands of 5 years of age, or 5000 of income, or more",
        ),
        Some(_) => Ok(()),
    }
}

/// How many whole numbers a range takes in; open ones any number.
fn width(label: &str) -> Option<u32> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let label = label.trim();
    if let Some(least) = label.strip_suffix('+') {
        return number(least).map(|_| u32::MAX);
    }
    if let Some(most) = label.strip_prefix('<') {
        return number(most);
    }
    let (least, most) = label.split_once(['-', '\u{2013}'])?;
    let (least, most) = (number(least)?, number(most)?);
    most.checked_sub(least).map(|width| width.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_bands_are_taken() {
        let banded = |name, label, place| check(name, label, place).map_err(|fault| fault.reason);
        for (name, label) in [
            ("age_band", "25-34"),
            ("age_band", "65+"),
            ("age_band", "<25"),
            ("income_band", "20000-24999"),
            ("income_band", "<5000"),
            ("income_band", "100000+"),
            ("gender", "female"),
            ("place", "berlin-mitte"),
        ] {
            assert_eq!(banded(name, Some(label), Some(3.0)), Ok(()), "{name} {label}");
        }
        for (name, label) in [
            ("age", "34"),
            ("age_band", "34"),
            ("age_band", "34-34"),
            ("age_band", "34-30"),
            ("age_band", "<3"),
            ("income_band", "54321-54321"),
            ("income_band", "20000-24998"),
            ("income_band", "<4999"),
            ("income_band", "54321"),
            ("birthday", "1990-01-01"),
        ] {
            assert_eq!(banded(name, Some(label), None), Err(Reason::NotBanded), "{name} {label}");
        }
        assert_eq!(banded("age_band", Some("25-34"), Some(0.5)), Err(Reason::NotBanded));
        assert_eq!(banded("age_band", None, None), Err(Reason::MissingField));
    }

    proptest! {
        #[test]
        fn any_label_is_banded_or_not(label in any::<String>(), digits in "[0-9<+-]{0,24}") {
            let _ = (width(&label), width(&digits));
        }
    }
}
