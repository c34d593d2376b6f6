use super::*;
use protocol::intake::ConsentStatus;

const RECEIVED_MS: i64 = 1_795_190_645_000;
const HEX: &str = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";

fn frame(scopes: &'static [Scope]) -> Frame {
    Frame {
        destination: "d".into(),
        encoding: Encoding::Hex,
        consent: None,
        scopes,
        known: Known::Arrival,
        received_unix_ms: RECEIVED_MS,
    }
}

fn good() -> Reported {
    Reported {
        transaction_id: Some("T-1".into()),
        event_timestamp: "2026-11-20T16:00:00Z".into(),
        event_name: "store_purchase".into(),
        conversion_value: Some(19.9),
        currency: Some("EUR".into()),
        user_identifiers: vec![UserIdentifier::EmailAddress(HEX.into())],
        ..Reported::default()
    }
}

/// A good row after one change.
fn check(change: impl FnOnce(&mut Reported), expected: Option<Reason>) {
    let mut row = good();
    change(&mut row);
    let found = super::row(&frame(&[Scope::Conversion]), row.clone());
    let found = found.err().map(|refused| {
        assert!(!refused.fault.detail.contains("canary"));
        refused.fault.reason
    });
    assert_eq!(found, expected, "{row:?}");
}

#[test]
fn every_field_is_looked_at() {
    check(|_| {}, None);
    check(|row| row.transaction_id = None, Some(Reason::MissingField));
    check(|row| row.transaction_id = Some(" ".into()), Some(Reason::MissingField));
    check(|row| row.transaction_id = Some("canary\n".into()), Some(Reason::BadText));
    check(|row| row.transaction_id = Some("x".repeat(513)), Some(Reason::BadText));
    check(|row| row.event_timestamp = "2026-11-20T16:00:00".into(), Some(Reason::MissingZone));
    check(|row| row.event_timestamp = "2027-11-20T16:00:00Z".into(), Some(Reason::InFuture));
    check(|row| row.event_timestamp = "1999-11-20T16:00:00Z".into(), Some(Reason::TooOld));
    check(|row| row.event_timestamp = "canary".into(), Some(Reason::BadTime));
    check(|row| row.event_name = String::new(), Some(Reason::MissingField));
    check(|row| row.currency = None, Some(Reason::MissingCurrency));
    check(|row| row.currency = Some("EURO".into()), Some(Reason::UnknownCurrency));
    check(|row| row.currency = Some("ZZZ".into()), Some(Reason::UnknownCurrency));
    check(|row| row.currency = Some("eur".into()), Some(Reason::UnknownCurrency));
    check(|row| row.conversion_value = Some(-0.01), Some(Reason::NegativeValue));
    check(|row| row.conversion_value = Some(f64::NAN), Some(Reason::NotANumber));
    check(|row| row.conversion_value = Some(f64::INFINITY), Some(Reason::NotANumber));
    check(|row| row.conversion_value = Some(1e11), Some(Reason::AbsurdValue));
    check(|row| row.conversion_value = Some(0.001), Some(Reason::TooPrecise));
    check(|row| row.conversion_value = Some(0.1 + 0.2), None);
    check(|row| row.conversion_value = None, None);
    check(|row| row.number = Some(-1.0), Some(Reason::NegativeValue));
    check(|row| row.number = Some(f64::NAN), Some(Reason::NotANumber));
    check(|row| row.number = Some(1e13), Some(Reason::AbsurdValue));
    check(|row| row.source = Some(Scope::Loyalty), Some(Reason::WrongSource));
    let item = || CartItem { item: "a".into(), category: None, quantity: None, unit_price: None };
    check(|row| row.cart_items = vec![item(); 100], None);
    check(|row| row.cart_items = vec![item(); 101], Some(Reason::TooManyItems));
    let bad = || CartItem { unit_price: Some(-1.0), ..item() };
    check(|row| row.cart_items = vec![bad()], Some(Reason::NegativeValue));
}

#[test]
fn identifiers_are_hashes_or_numbers() {
    use UserIdentifier::{ClickId, DevicePseudonym, EmailAddress, LoyaltyId, PhoneNumber, UserId};
    let with = |identifier: UserIdentifier, expected| {
        check(|row| row.user_identifiers = vec![identifier], expected);
    };
    check(|row| row.user_identifiers.clear(), Some(Reason::NoIdentifier));
    with(EmailAddress(HEX.to_uppercase()), None);
    with(EmailAddress(HEX[1..].into()), Some(Reason::WrongHash));
    with(EmailAddress("canary".into()), Some(Reason::WrongHash));
    with(EmailAddress("canary@example.com".into()), Some(Reason::NotHashed));
    with(PhoneNumber("+49 30 901820".into()), Some(Reason::NotHashed));
    with(PhoneNumber(String::new()), Some(Reason::WrongHash));
    with(LoyaltyId("4711".into()), None);
    with(UserId(" ".into()), Some(Reason::NoIdentifier));
    with(UserId("canary\0".into()), Some(Reason::BadText));
    with(ClickId("x".repeat(513)), Some(Reason::BadText));
    with(DevicePseudonym("canary".into()), Some(Reason::BadPseudonym));
    with(DevicePseudonym(Uuid::nil().to_string()), None);
    let many = |count: usize| (0..count).map(|n| UserId(n.to_string())).collect();
    check(|row| row.user_identifiers = many(10), None);
    check(|row| row.user_identifiers = many(11), Some(Reason::TooManyIdentifiers));
    let devices = [1, 2].map(|n| DevicePseudonym(Uuid::from_u128(n).to_string()));
    check(|row| row.user_identifiers = devices.to_vec(), Some(Reason::TooManyIdentifiers));
}

#[test]
fn base64_is_the_same_hash() {
    let mut theirs = frame(&[Scope::Conversion]);
    theirs.encoding = Encoding::Base64;
    let Digest(bytes) = HEX.parse().unwrap();
    let mut row = good();
    row.user_identifiers = vec![UserIdentifier::EmailAddress(STANDARD.encode(bytes))];
    let base64 = super::row(&theirs, row).unwrap();
    let hex = super::row(&frame(&[Scope::Conversion]), good()).unwrap();
    assert_eq!(base64.said.who, hex.said.who);
}

#[test]
fn a_no_of_a_bad_row_still_counts() {
    let mut row = good();
    row.consent = Some(Consent::only(Scope::Conversion, ConsentStatus::Denied));
    row.currency = Some("canary".into());
    let refused = super::row(&frame(&[Scope::Conversion]), row.clone()).unwrap_err();
    assert_eq!(refused.fault.reason, Reason::UnknownCurrency);
    assert!(refused.denial.is_some());
    row.event_timestamp = "canary".into();
    let refused = super::row(&frame(&[Scope::Conversion]), row.clone()).unwrap_err();
    assert_eq!(refused.denial.map(|said| said.at_unix_ms), Some(RECEIVED_MS));
    row.user_identifiers.clear();
    assert_eq!(super::row(&frame(&[Scope::Conversion]), row).unwrap_err().denial, None);
}

#[test]
fn a_replay_knows_nothing_of_the_future() {
    const LATER: &str = "2062-01-01T00:00:00Z";
    let frame = Frame { known: Known::Event, ..frame(&[Scope::Conversion]) };
    let told = |at: &str| {
        let row = super::row(&frame, Reported { event_timestamp: at.into(), ..good() });
        row.map(|row| row.known_unix_ms).map_err(|refused| refused.fault.reason)
    };
    assert_eq!(told("2000-11-20T00:00:00Z"), Ok(974_678_400_000));
    assert_eq!(told(LATER), Err(Reason::InFuture));
    // Clocks go wrong by minutes: it is known since it came.
    assert_eq!(told("2026-11-20T16:05:05Z"), Ok(RECEIVED_MS));
    let said = |at: &str| {
        let consent = Consent::only(Scope::Conversion, ConsentStatus::Granted);
        let user_identifiers = good().user_identifiers;
        let yes = Statement { event_timestamp: at.into(), user_identifiers, consent };
        statement(&frame, &yes).map(|said| said.at_unix_ms).map_err(|fault| fault.reason)
    };
    assert_eq!(said(LATER), Err(Reason::InFuture));
    assert_eq!(said("2000-11-20T00:00:00Z"), Ok(974_678_400_000));
}

#[test]
fn c14_a_no_counts_from_its_arrival_at_the_latest_and_without_the_yes_beside_it() {
    let mut row = good();
    row.event_timestamp = "2062-01-01T00:00:00Z".into();
    row.consent = Some(Consent {
        loyalty: Some(ConsentStatus::Granted),
        ..Consent::only(Scope::Conversion, ConsentStatus::Denied)
    });
    // One identifier is none: the No is that of the other.
    row.user_identifiers.push(UserIdentifier::EmailAddress("canary".into()));
    let denial = super::row(&frame(&[Scope::Conversion]), row).unwrap_err().denial.unwrap();
    assert_eq!(denial.at_unix_ms, RECEIVED_MS);
    assert_eq!(denial.consent, Consent::only(Scope::Conversion, ConsentStatus::Denied));
    assert_eq!(denial.who.identifiers.len(), 1);
}

#[test]
fn money_is_exact() {
    let check = |value, code, minor| assert_eq!(money(value, Some(code)).unwrap().minor, minor);
    check(19.99, "EUR", 1_999);
    check(0.29, "EUR", 29);
    check(1_000.0, "JPY", 1_000);
    check(1.234, "KWD", 1_234);
    check(9_999_999_999.99, "USD", 999_999_999_999);
}

proptest::proptest! {
    #[test]
    fn any_row_is_taken_or_named(
        texts in proptest::collection::vec(proptest::prelude::any::<String>(), 6),
        value in proptest::prelude::any::<f64>(), number in proptest::prelude::any::<f64>(),
    ) {
        let row = Reported {
            transaction_id: Some(texts[0].clone()),
            event_timestamp: texts[1].clone(),
            event_name: texts[2].clone(),
            conversion_value: Some(value),
            currency: Some(texts[3].clone()),
            user_identifiers: vec![
                UserIdentifier::EmailAddress(texts[4].clone()),
                UserIdentifier::DevicePseudonym(texts[5].clone()),
            ],
            number: Some(number),
            ..Reported::default()
        };
        for scopes in [&[Scope::Conversion][..], &[Scope::Demographics]] {
            let _ = super::row(&frame(scopes), row.clone());
        }
        let mut row = good();
        (row.conversion_value, row.number) = (Some(value), Some(number));
        let _ = super::row(&frame(&[Scope::Conversion]), row);
    }

    #[test]
    fn every_cent_comes_back(minor in 0i64..1_000_000_000_000) {
        let value = minor as f64 / 100.0;
        proptest::prop_assert_eq!(money(value, Some("EUR")).map(|money| money.minor), Ok(minor));
    }
}
