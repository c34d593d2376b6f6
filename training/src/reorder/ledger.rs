//! Purchases by customer and category, from a file.

use super::Pair;
use crate::customer_base::day_number;
use jiff::civil::Date;
use models::reorder::{Bought as Own, Purchases};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Read},
};
use thiserror::Error;

/// Most bytes of a file, unpacked: some thirty million purchases.
const MAX_BYTES: u64 = 1 << 31;
/// Names of each column, the first that the header has counts.
const CUSTOMER: [&str; 2] = ["customer", "customer_id"];
const DATE: [&str; 2] = ["date", "transaction_dt"];
const CATEGORY: [&str; 4] = ["category", "product_subclass", "item", "product_id"];
const QUANTITY: [&str; 1] = ["quantity"];
/// Ta-Feng calls units so; elsewhere it is money.
const UNITS_OF_TAFENG: [&str; 1] = ["amount"];

/// Why a file is no list of purchases.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Of CSV: quotes, widths, encoding.
    #[error("{0}; expected CSV with columns customer,date,category,quantity")]
    Csv(#[from] csv::Error),
    /// Of reading or unpacking.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// Of a zip archive.
    #[error("the archive cannot be read: {0}; pack one CSV file into it")]
    Zip(#[from] zip::result::ZipError),
    /// Too much to hold.
    #[error("it holds more than {MAX_BYTES} bytes unpacked: take a sample of its customers")]
    Large,
    /// A column is missing in the header.
    #[error("line 1 names no column `{0}`: the header must be {1}")]
    Column(&'static str, &'static str),
    /// A line does not say who bought what when.
    #[error("line {line}: {problem}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing there.
    #[error("there are no purchases in it")]
    Empty,
}

/// One customer's purchases.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    /// As the file calls them.
    pub id: String,
    /// Each category ever bought, as its place in [`Ledger::categories`], ascending.
    pub categories: Vec<(usize, Own)>,
    /// Days of any purchase; their quantity is the number of categories bought.
    pub visits: Purchases,
    /// The first day on which an order brought anything. A file knows of no orders.
    pub served_from: Option<i32>,
}

/// All purchases of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Ledger {
    /// By id.
    pub customers: Vec<Customer>,
    /// Names, ascending.
    pub categories: Vec<String>,
    /// The first day with a purchase, since 1970-01-01.
    pub first_day: i32,
    /// The last one: what came later is not known.
    pub last_day: i32,
}

impl Ledger {
    /// Reads CSV, plain, gzipped or as the first file of a zip archive.
    ///
    /// The header names `customer`, `date` (YYYY-MM-DD or MM/DD/YYYY), `category` or `item`, and may
    /// name `quantity` (else 1 a line); or it is Ta-Feng's, of which the product subclass is the
    /// category. Lines without a quantity above zero are returns, and left out.
    ///
    /// # Errors
    /// [`LedgerError`], with the line.
    pub fn read(from: impl Read) -> Result<Self, LedgerError> {
        let text = unpack(from)?;
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_slice());
        let header = reader.headers()?.clone();
        let expected = "customer,date,category,quantity";
        let need = |names: &[&'static str]| {
            find(&header, names).ok_or(LedgerError::Column(names[0], expected))
        };
        let (customer, date, category) = (need(&CUSTOMER)?, need(&DATE)?, need(&CATEGORY)?);
        let of_tafeng = || find(&header, &DATE[1..]).and(find(&header, &UNITS_OF_TAFENG));
        let quantity = find(&header, &QUANTITY).or_else(of_tafeng);

        let mut lines = Lines::default();
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record)? {
            let line = record.position().map_or(0, csv::Position::line);
            let field = |column: usize| record.get(column).unwrap_or_default();
            let fails = |problem: String| LedgerError::Line { line, problem };
            let day = day_of(field(date))
                .ok_or_else(|| fails(format!("{:?} is no date such as 2001-02-15", field(date))))?;
            let units = match quantity.map(field) {
                None => 1.0,
                Some(text) => text
                    .parse()
                    .ok()
                    .filter(|units: &f64| units.is_finite())
                    .ok_or_else(|| fails(format!("the quantity {text:?} is no number")))?,
            };
            if field(customer).is_empty() || field(category).is_empty() {
                return Err(fails("no customer, or no category".to_owned()));
            }
            lines.add(field(customer), field(category), day, units);
        }
        lines.done()
    }

    /// Of customers, by id, and the names of categories, ascending.
    pub(super) fn of(
        customers: Vec<Customer>,
        categories: Vec<String>,
    ) -> Result<Self, LedgerError> {
        let days = || {
            let all = customers.iter().map(|customer| customer.visits.all());
            all.flat_map(|visits| [visits.first(), visits.last()]).flatten().map(|visit| visit.day)
        };
        let (Some(first_day), Some(last_day)) = (days().min(), days().max()) else {
            return Err(LedgerError::Empty);
        };
        Ok(Self { customers, categories, first_day, last_day })
    }

    /// A customer's purchases of a category, by its place among theirs.
    #[must_use]
    pub fn bought(&self, pair: Pair) -> &Own {
        &self.customers[pair.customer].categories[pair.slot].1
    }
}

/// Reads which customers and categories to judge: CSV with columns `customer,category` as the
/// ledger names them, or `u,p`, their places from 0 among all of its customers and categories in
/// ascending order. Other columns are not looked at. Given are the pairs in the order of the file.
///
/// # Errors
/// [`LedgerError`]: no such columns, or a line whose pair the ledger does not hold.
pub fn read_pairs(from: impl Read, ledger: &Ledger) -> Result<Vec<Pair>, LedgerError> {
    let text = unpack(from)?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_slice());
    let header = reader.headers()?.clone();
    let named = find(&header, &["customer"]).zip(find(&header, &["category"]));
    let placed = find(&header, &["u"]).zip(find(&header, &["p"]));
    let (customer, category) =
        named.or(placed).ok_or(LedgerError::Column("customer", "customer,category or u,p"))?;
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let (who, what) =
            (record.get(customer).unwrap_or_default(), record.get(category).unwrap_or_default());
        let places = if named.is_some() {
            let by_id = ledger.customers.binary_search_by(|c| c.id.as_str().cmp(who)).ok();
            by_id.zip(ledger.categories.binary_search_by(|c| c.as_str().cmp(what)).ok())
        } else {
            who.parse().ok().zip(what.parse().ok())
        };
        let pair = places.and_then(|(customer, category): (usize, usize)| {
            let own = &ledger.customers.get(customer)?.categories;
            let slot = own.binary_search_by_key(&category, |(place, _)| *place).ok()?;
            Some(Pair { customer, slot })
        });
        let problem = || format!("customer {who:?} never bought category {what:?}");
        pairs.push(pair.ok_or_else(|| LedgerError::Line { line, problem: problem() })?);
    }
    Ok(pairs)
}

fn find(header: &csv::StringRecord, names: &[&str]) -> Option<usize> {
    let has = |name: &&str| {
        header.iter().position(|column| {
            column.trim_start_matches('\u{feff}').trim_matches('"').eq_ignore_ascii_case(name)
        })
    };
    names.iter().find_map(has)
}

/// Days since 1970-01-01.
fn day_of(text: &str) -> Option<i32> {
    let date: Option<Date> = text.parse().ok();
    Some(day_number(date.or_else(|| Date::strptime("%m/%d/%Y", text).ok())?))
}

/// The bytes of a file, unpacked if it is gzipped or a zip archive.
fn unpack(mut from: impl Read) -> Result<Vec<u8>, LedgerError> {
    let mut bytes = Vec::new();
    from.by_ref().take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    let mut text = Vec::new();
    if bytes.starts_with(b"PK\x03\x04") {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes))?;
        archive.by_index(0)?.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    } else if bytes.starts_with(b"\x1f\x8b") {
        let unpacked = flate2::read::MultiGzDecoder::new(bytes.as_slice());
        unpacked.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    } else {
        text = bytes;
    }
    if text.len() as u64 > MAX_BYTES {
        return Err(LedgerError::Large);
    }
    Ok(text)
}

/// A customer's purchases while lines are read: category, then days with units.
type Bought = BTreeMap<String, Vec<(i32, f64)>>;

#[derive(Default)]
struct Lines {
    by_customer: BTreeMap<String, Bought>,
}

impl Lines {
    fn add(&mut self, customer: &str, category: &str, day: i32, units: f64) {
        if units <= 0.0 {
            return;
        }
        // Names are copied when they are new, not on every line.
        if !self.by_customer.contains_key(customer) {
            self.by_customer.insert(customer.to_owned(), Bought::new());
        }
        let Some(own) = self.by_customer.get_mut(customer) else { return };
        match own.get_mut(category) {
            Some(days) => days.push((day, units)),
            None => drop(own.insert(category.to_owned(), vec![(day, units)])),
        }
    }

    fn done(self) -> Result<Ledger, LedgerError> {
        let names: BTreeSet<&str> =
            self.by_customer.values().flat_map(|own| own.keys().map(String::as_str)).collect();
        let categories: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let customers = self.by_customer.into_iter();
        let customers = customers.map(|(id, own)| Customer::new(id, own, &categories)).collect();
        Ledger::of(customers, categories)
    }
}

impl Customer {
    fn new(id: String, own: Bought, names: &[String]) -> Self {
        let place = |name: &String| names.partition_point(|other| other < name);
        let of = |(name, days): (String, Vec<_>)| (place(&name), Own::from(Purchases::new(days)));
        Self::with(id, own.into_iter().map(of).collect())
    }

    /// From what they bought of each category, by its place.
    pub(super) fn with(id: String, categories: Vec<(usize, Own)>) -> Self {
        let all = categories.iter().flat_map(|(_, own)| own.all().all());
        let visits = Purchases::new(all.map(|purchase| (purchase.day, 1.0)));
        let served_from = categories.iter().filter_map(|(_, own)| own.served_from()).min();
        Self { id, categories, visits, served_from }
    }
}
