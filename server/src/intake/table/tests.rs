use super::*;
use proptest::prelude::*;
use protocol::intake::{Consent, ConsentStatus, Scope, UserIdentifier};

fn all(layout: Layout, bytes: &[u8]) -> Result<Vec<TableRow>, TableError> {
    let mut table = Table::new(layout);
    let mut rows = Vec::new();
    for part in bytes.chunks(7) {
        table.push(part);
        while let Some(row) = table.next_row()? {
            rows.push(row);
        }
    }
    table.end();
    while let Some(row) = table.next_row()? {
        rows.push(row);
    }
    Ok(rows)
}

fn classic(bytes: &[u8]) -> Result<Vec<TableRow>, TableError> {
    all(Layout::classic(Scope::Conversion), bytes)
}

const CLASSIC: &str = "Parameters:TimeZone=+0100,,,,,,\n\
    Google Click ID,Conversion Name,Conversion Time,Conversion Value,Conversion Currency,Order ID,Email\n\
    abc,store_purchase,11/20/2026 17:04:05,19.90,EUR,T-1,5e88\n\
    ,store_purchase,2026-11-20T16:04:05Z,,,T-2,5e88\n";

#[test]
fn the_classic_file_explains_itself() {
    for text in [
        CLASSIC.to_owned(),
        CLASSIC.replace('\n', "\r\n"),
        format!("\u{feff}{CLASSIC}"),
        CLASSIC.replace(',', ";"),
        CLASSIC.trim_end().to_owned(),
    ] {
        let rows = classic(text.as_bytes()).unwrap();
        assert_eq!(rows.len(), 2, "{text}");
        let (first, second) = (rows[0].row.clone().unwrap(), rows[1].row.clone().unwrap());
        assert_eq!(first.event_timestamp, "2026-11-20T16:04:05Z");
        assert_eq!(second.event_timestamp, first.event_timestamp);
        assert_eq!((first.conversion_value, second.conversion_value), (Some(19.9), None));
        assert_eq!(first.transaction_id.as_deref(), Some("T-1"));
        assert_eq!(first.ad_identifiers.unwrap().gclid.as_deref(), Some("abc"));
        assert_eq!(second.ad_identifiers, None);
        assert_eq!(first.user_identifiers, [UserIdentifier::EmailAddress("5e88".into())]);
        assert_eq!(rows[1].end as usize, text.len());
    }
}

fn check_row(line: &[u8], expected: Reason) {
    let mut text = CLASSIC.replace("Parameters:TimeZone=+0100,,,,,,\n", "").into_bytes();
    text.extend_from_slice(line);
    text.extend_from_slice(b"\n,store_purchase,2026-11-20T16:04:05Z,,,T-9,5e88\n");
    let rows = classic(&text).unwrap();
    assert_eq!(rows.len(), 4, "{}", String::from_utf8_lossy(line));
    let fault = rows[2].row.clone().unwrap_err();
    assert_eq!(fault.reason, expected, "{fault:?}");
    assert!(!fault.detail.contains("canary"));
    assert!(rows[3].row.is_ok(), "the next row is not touched");
}

#[test]
fn rows_that_cannot_be_are_named() {
    check_row(b"a,b,c", Reason::FieldCount);
    check_row(b"a,b,2026-11-20T16:04:05Z,1,EUR,T-1,h,canary", Reason::FieldCount);
    check_row(b",b,2026-11-20 16:04:05,1,EUR,T-1,h", Reason::MissingZone);
    check_row(b",b,canary,1,EUR,T-1,h", Reason::BadTime);
    check_row(b",b,,1,EUR,T-1,h", Reason::MissingField);
    check_row(b",b,2026-11-20T16:04:05Z,\"1,234.50\",EUR,T-1,h", Reason::NotANumber);
    check_row(b",b,2026-11-20T16:04:05Z,NaN,EUR,T-1,h", Reason::NotANumber);
    check_row(b",b,2026-11-20T16:04:05Z,1e999,EUR,T-1,h", Reason::NotANumber);
    check_row(b",b\xe4,2026-11-20T16:04:05Z,1,EUR,T-1,h", Reason::BadEncoding);
}

/// What is read of a row that cannot be: the time, and how many identifiers, of a No.
fn check_no(line: &[u8], expected: Option<(&str, usize)>) {
    let mut text =
        b"Conversion Name,Conversion Time,Conversion Value,Order ID,Email,User ID,Consent\n"
            .to_vec();
    text.extend_from_slice(line);
    let row = classic(&text).unwrap().remove(0);
    assert!(row.row.is_err(), "{}", String::from_utf8_lossy(line));
    let no = Some(Consent::only(Scope::Conversion, ConsentStatus::Denied));
    let said = row.said.filter(|said| said.consent == no);
    let said = said.map(|said| (said.event_timestamp.clone(), said.user_identifiers.len()));
    let expected = expected.map(|(time, who)| (time.to_owned(), who));
    assert_eq!(said, expected, "{}", String::from_utf8_lossy(line));
}

#[test]
fn c14_a_no_is_read_of_a_row_that_cannot_be() {
    const TIME: &str = "2026-11-20T16:04:05Z";
    check_no(b"b,2026-11-20T16:04:05Z,\"1,50\",T-1,5e88,u,denied\n", Some((TIME, 2)));
    check_no(b"b,canary,1.50,T-1,5e88,,no\n", Some(("", 1)));
    check_no(b"b,,1.50,T-1,,u,denied\n", Some(("", 1)));
    check_no(b"k\xe4ufe,2026-11-20T16:04:05Z,1.50,T-1,\xe4,u,denied\n", Some((TIME, 1)));
    check_no(b"b,canary,1.50,T-1,5e88,u,granted\n", None);
    // Which field is which, nobody can tell; the last may be cut off.
    check_no(b"b,2026-11-20T16:04:05Z,1,50,T-1,5e88,u,denied\n", None);
    check_no(b"b,2026-11-20T16:04:05Z,x,T-1,5e8", None);
}

#[test]
fn a_file_that_ends_in_a_row_says_so() {
    for cut in ["abc,store_purchase,2026-11-20T16:0", "abc,\"store_purchase,2026"] {
        let rows = classic(format!("{CLASSIC}{cut}").as_bytes()).unwrap();
        assert_eq!(rows[2].row.clone().unwrap_err().reason, Reason::HalfWritten, "{cut}");
    }
}

#[test]
fn files_that_are_none_are_refused_as_a_whole() {
    let utf16: Vec<u8> = CLASSIC.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16.clone()).collect();
    for bytes in [utf16, marked] {
        assert_eq!(classic(&bytes), Err(TableError::Utf16));
    }
    assert_eq!(classic(b""), Err(TableError::NoHeader));
    assert_eq!(classic(b"\n\n"), Err(TableError::NoHeader));
    let unknown = b"Conversion Name,Conversion Time,Canary\n".as_slice();
    assert_eq!(classic(unknown), Err(TableError::UnknownColumn(3)));
    let twice = b"Conversion Name,Conversion Time,Order ID,Transaction ID\n".as_slice();
    assert_eq!(classic(twice), Err(TableError::Twice("transaction_id")));
    let without = b"Conversion Name,Order ID\n".as_slice();
    assert_eq!(classic(without), Err(TableError::NoColumn("event_timestamp".into())));
    let zone = b"Parameters:TimeZone=Mars\nConversion Name,Conversion Time\n".as_slice();
    assert_eq!(classic(zone), Err(TableError::Parameters));
    let latin = b"Conversion Name,Conversion Time,\xe4\n".as_slice();
    assert_eq!(classic(latin), Err(TableError::Charset("UTF-8")));
}

#[test]
fn a_mapping_file_explains_any_other() {
    let map = r#"
        time_zone = "Asia/Taipei"
        time_format = "%m/%d/%Y"
        [columns]
        event_timestamp = "DT"
        user_id = "CUSTOMER"
        item = "PRODUCT"
        number = "AMOUNT"
        conversion_value = "PRICE"
        transaction_id = ["CUSTOMER", "DT", "@row"]
        [constants]
        event_name = "store_purchase"
        currency = "TWD"
        consent = "granted"
    "#;
    let layout = Layout::from_toml(map, Scope::Conversion).unwrap();
    let text = "DT,CUSTOMER,AGE,PRODUCT,AMOUNT,PRICE\n11/1/2000,1104905,45-49,P1,2,30\n";
    let rows = all(layout.clone(), text.as_bytes()).unwrap();
    let row = rows[0].row.clone().unwrap();
    assert_eq!(row.event_timestamp, "2000-10-31T16:00:00Z");
    assert_eq!(row.transaction_id.as_deref(), Some("1104905|11/1/2000|1"));
    assert_eq!(row.consent, Some(Consent::only(Scope::Conversion, ConsentStatus::Granted)));
    assert_eq!((row.number, row.conversion_value), (Some(2.0), Some(30.0)));
    let lacking = all(layout, b"DT,CUSTOMER\n");
    assert_eq!(lacking, Err(TableError::NoColumn("PRICE".into())));
    for bad in
        ["", "[columns]\nwhat = \"A\"", "time_zone = \"Mars\"\n[columns]", "x = 1\n[columns]"]
    {
        assert!(Layout::from_toml(bad, Scope::Conversion).is_err(), "{bad}");
    }
}

#[test]
fn plain_contact_details_are_hashed_where_they_are() {
    let layout = Layout { hash: true, ..Layout::classic(Scope::Conversion) };
    let text = "Conversion Name,Conversion Time,Email,Phone\n\
        b,2026-11-20T16:04:05Z, Ada@Example.com ,+49 30 901820\n\
        b,2026-11-20T16:04:05Z,,030 901820\n";
    let rows = all(layout, text.as_bytes()).unwrap();
    let hash = |text: &str| protocol::digest::Digest::of(text.as_bytes()).to_string();
    let expected = [
        UserIdentifier::EmailAddress(hash("ada@example.com")),
        UserIdentifier::PhoneNumber(hash("+4930901820")),
    ];
    assert_eq!(rows[0].row.clone().unwrap().user_identifiers, expected);
    assert_eq!(rows[1].row.clone().unwrap_err().reason, Reason::WrongHash);
}

#[test]
fn latin_1_is_read_if_it_is_named() {
    let layout = Layout { charset: Charset::Latin1, ..Layout::classic(Scope::Conversion) };
    let rows = all(layout, b"Conversion Name,Conversion Time\nk\xe4ufe,2026-11-20T16:04:05Z\n");
    assert_eq!(rows.unwrap()[0].row.clone().unwrap().event_name, "k\u{e4}ufe");
}

#[test]
fn it_goes_on_where_it_stopped() {
    let rows = classic(CLASSIC.as_bytes()).unwrap();
    let mut table = Table::new(Layout::classic(Scope::Conversion));
    table.push(CLASSIC.as_bytes());
    table.next_row().unwrap();
    table.resume(rows[0].end, rows[0].number);
    table.push(&CLASSIC.as_bytes()[rows[0].end as usize..]);
    table.end();
    assert_eq!(table.next_row().unwrap().as_ref(), Some(&rows[1]));
}

/// Found by fuzzing: the first piece had commas, the line had more semicolons.
#[test]
fn the_delimiter_is_told_from_the_whole_line_however_it_comes() {
    let text = format!("Google Click ID,Conversion Name{}x;{}\n", ",".repeat(40), ";".repeat(60));
    let mut whole = Table::new(Layout::classic(Scope::Conversion));
    whole.push(text.as_bytes());
    whole.end();
    assert_eq!(whole.next_row().map(|_| ()), classic(text.as_bytes()).map(|_| ()));
    let one_line = "a,".repeat(MOST_RECORD_BYTES);
    assert!(classic(one_line.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_rows_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        tail in proptest::collection::vec(
            prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), any::<u8>()], 0..300),
    ) {
        let _ = classic(&bytes);
        let mut text = CLASSIC.as_bytes().to_vec();
        text.extend_from_slice(&tail);
        let _ = classic(&text);
    }
}
