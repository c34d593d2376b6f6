//! How contact details are written before they are hashed, so that all hash the same.

/// An e-mail address as it is hashed: trimmed, in lower case. `None` if it is none.
///
/// # Examples
/// ```
/// use protocol::intake::normal_email;
/// assert_eq!(normal_email(" Ada@Example.com\n").as_deref(), Some("ada@example.com"));
/// assert_eq!(normal_email("ada"), None);
/// ```
#[must_use]
pub fn normal_email(text: &str) -> Option<String> {
    let address = text.trim().to_lowercase();
    let (local, domain) = address.rsplit_once('@')?;
    let plausible = !local.is_empty()
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !address.chars().any(|c| c.is_whitespace() || c.is_control());
    plausible.then_some(address)
}

/// A phone number as it is hashed: E.164, that is `+`, country code and number, 7 to 15 digits.
/// Spaces, hyphens, dots and brackets are left out. `None` without a country code, which nobody
/// can guess.
///
/// # Examples
/// ```
/// use protocol::intake::normal_phone;
/// assert_eq!(normal_phone("+49 (30) 901-820").as_deref(), Some("+4930901820"));
/// assert_eq!(normal_phone("030 901820"), None);
/// ```
#[must_use]
pub fn normal_phone(text: &str) -> Option<String> {
    /// E.164 allows 15 digits; with fewer than 7 it is a service number, not a person's.
    const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
    let rest = text.trim().strip_prefix('+')?;
    let mut number = String::from("+");
    for c in rest.chars() {
        match c {
            '0'..='9' => number.push(c),
            ' ' | '-' | '.' | '(' | ')' | '\u{a0}' => {}
            _ => return None,
        }
    }
    let plausible = DIGITS.contains(&(number.len() - 1)) && !number.starts_with("+0");
    plausible.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_contact_detail_is_not_hashed() {
        for bad in ["", "@", "a@b", "a@.b", "a b@c.de", "a@b.", "+49"] {
            assert_eq!(normal_email(bad), None, "{bad}");
        }
        for bad in
            ["", "+", "+12", "49301234567", "+49x301234567", "+0301234567", "+1234567890123456"]
        {
            assert_eq!(normal_phone(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn normal_forms_stay_what_they_are(text in any::<String>(), digits in "[1-9][0-9]{6,14}") {
            if let Some(address) = normal_email(&text) {
                prop_assert_eq!(normal_email(&address), Some(address));
            }
            let number = format!("+{digits}");
            prop_assert_eq!(normal_phone(&number), Some(number.clone()));
            let _ = normal_phone(&text);
        }
    }
}
