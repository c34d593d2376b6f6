//! Dated purchases from a file: CSV, or an archive with one CSV in it.

use jiff::civil::Date;
use models::basket::MAX_ITEMS;
use std::{
    collections::{BTreeMap, HashMap},
    io::{Read, Seek, SeekFrom},
};
use thiserror::Error;
use zip::{ZipArchive, result::ZipError};

/// What is read of a CSV at most, bytes: some ten million lines.
const MAX_BYTES: u64 = 1 << 30;
/// How an archive begins (PKWARE's APPNOTE, section 4.3.7).
const ARCHIVE: [u8; 4] = *b"PK\x03\x04";
/// What columns are called, ours first, then those of Ta-Feng.
const CUSTOMER: &[&str] = &["customer", "customer_id"];
const DATE: &[&str] = &["date", "transaction_dt"];
const ITEM: &[&str] = &["item", "product_id"];
const QUANTITY: &[&str] = &["quantity", "amount"];

/// Why a file is no list of purchases.
#[derive(Debug, Error)]
pub enum PurchasesError {
    /// Of reading, or of CSV: quotes, widths, encoding.
    #[error("{0}; expected CSV with columns customer,date,item and, if known, quantity")]
    Csv(#[from] csv::Error),
    /// Of reading.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// Of the archive.
    #[error("this archive cannot be read: {0}; give one with a single CSV in it, or the CSV")]
    Archive(#[from] ZipError),
    /// More than is read at once.
    #[error("more than {MAX_BYTES} bytes are too many: take a sample of its customers")]
    Long,
    /// A column is missing in the header.
    #[error("line 1 names no column `{0}`: the header must be customer,date,item[,quantity]")]
    Column(&'static str),
    /// A line does not say who bought what when.
    #[error("line {line}, customer `{customer}`: {problem}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// Whose it is.
        customer: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing there.
    #[error("there are no purchases in it")]
    Empty,
}

/// What one customer bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// As the file calls them.
    pub id: String,
    /// Days since 1970-01-01, ascending, and the items bought on each, ascending, each once.
    pub baskets: Vec<(i32, Vec<u32>)>,
}

/// All purchases of a file: a basket is all that a customer bought on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchases {
    /// By id.
    pub customers: Vec<Customer>,
    /// What the file calls each item, by number.
    pub items: Vec<String>,
    /// Lines with a quantity of zero or below: goods given back are no purchase.
    pub returns: usize,
}

impl Purchases {
    /// Reads CSV with a header that names `customer`, `date` (YYYY-MM-DD or month/day/year), `item`
    /// and, where it is known, `quantity`; or Ta-Feng's columns; or an archive (zip) of one such.
    ///
    /// # Errors
    /// [`PurchasesError`], with line and customer.
    pub fn read(mut from: impl Read + Seek) -> Result<Self, PurchasesError> {
        let mut begin = Vec::new();
        from.by_ref().take(ARCHIVE.len() as u64).read_to_end(&mut begin)?;
        from.seek(SeekFrom::Start(0))?;
        if begin != ARCHIVE {
            return Lines::default().read(from);
        }
        let mut archive = ZipArchive::new(from)?;
        let file = archive.by_index(0)?;
        if file.size() > MAX_BYTES {
            return Err(PurchasesError::Long);
        }
        Lines::default().read(file)
    }

    /// The last day of a purchase, since 1970-01-01.
    #[must_use]
    pub fn last_day(&self) -> Option<i32> {
        self.customers.iter().filter_map(|c| c.baskets.last()).map(|(day, _)| *day).max()
    }
}

#[derive(Default)]
struct Lines {
    baskets: BTreeMap<String, BTreeMap<i32, Vec<u32>>>,
    items: HashMap<String, u32>,
    days: HashMap<String, Option<i32>>,
    returns: usize,
}

impl Lines {
    fn read(mut self, from: impl Read) -> Result<Purchases, PurchasesError> {
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(from.take(MAX_BYTES));
        let header = reader.headers()?.clone();
        let column = |names: &[&'static str]| {
            header.iter().position(|column| {
                let column = column.trim_start_matches('\u{feff}').trim_matches('"');
                names.iter().any(|name| column.eq_ignore_ascii_case(name))
            })
        };
        let need = |names: &[&'static str]| column(names).ok_or(PurchasesError::Column(names[0]));
        let (customer, date, item) = (need(CUSTOMER)?, need(DATE)?, need(ITEM)?);
        let quantity = column(QUANTITY);
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record)? {
            let field = |column: usize| record.get(column).unwrap_or_default();
            let bought = [field(customer), field(date), field(item)];
            self.add(bought, quantity.map(field)).map_err(|problem| PurchasesError::Line {
                line: record.position().map_or(0, csv::Position::line),
                customer: field(customer).to_owned(),
                problem,
            })?;
        }
        if reader.position().byte() >= MAX_BYTES {
            return Err(PurchasesError::Long);
        }
        self.done()
    }

    fn add(
        &mut self,
        [customer, date, item]: [&str; 3],
        quantity: Option<&str>,
    ) -> Result<(), String> {
        if customer.is_empty() || item.is_empty() {
            return Err("customer and item must not be empty".to_owned());
        }
        let day = match self.days.get(date) {
            Some(day) => *day,
            None => *self.days.entry(date.to_owned()).or_insert_with(|| day_of(date)),
        };
        let day =
            day.ok_or_else(|| format!("`{date}` is no date: write YYYY-MM-DD, or month/day/year"))?;
        if let Some(quantity) = quantity {
            let number = quantity.parse::<f64>().ok().filter(|number| number.is_finite());
            let number = number.ok_or_else(|| format!("the quantity `{quantity}` is no number"))?;
            if number <= 0.0 {
                self.returns += 1;
                return Ok(());
            }
        }
        let next = self.items.len();
        let item = match self.items.get(item) {
            Some(number) => *number,
            None if next >= MAX_ITEMS => return Err(format!("more than {MAX_ITEMS} items")),
            None => *self.items.entry(item.to_owned()).or_insert(next as u32),
        };
        if !self.baskets.contains_key(customer) {
            self.baskets.insert(customer.to_owned(), BTreeMap::new());
        }
        if let Some(baskets) = self.baskets.get_mut(customer) {
            baskets.entry(day).or_default().push(item);
        }
        Ok(())
    }

    /// Items get their numbers by name: the order of lines does not matter.
    fn done(self) -> Result<Purchases, PurchasesError> {
        if self.baskets.is_empty() {
            return Err(PurchasesError::Empty);
        }
        let mut names: Vec<(String, u32)> = self.items.into_iter().collect();
        names.sort_unstable();
        let mut numbers = vec![0; names.len()];
        (0..).zip(&names).for_each(|(number, (_, old))| numbers[*old as usize] = number);
        let basket = |(day, items): (i32, Vec<u32>)| {
            let mut items: Vec<u32> = items.iter().map(|old| numbers[*old as usize]).collect();
            items.sort_unstable();
            items.dedup();
            (day, items)
        };
        let customers = self.baskets.into_iter().map(|(id, baskets)| Customer {
            id,
            baskets: baskets.into_iter().map(basket).collect(),
        });
        Ok(Purchases {
            customers: customers.collect(),
            items: names.into_iter().map(|(name, _)| name).collect(),
            returns: self.returns,
        })
    }
}

/// Days since 1970-01-01.
fn day_of(text: &str) -> Option<i32> {
    let date: Date = text.parse().ok().or_else(|| Date::strptime("%m/%d/%Y", text).ok())?;
    Some(crate::customer_base::day_number(date))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn read(text: &str) -> Result<Purchases, PurchasesError> {
        Purchases::read(Cursor::new(text))
    }

    #[test]
    fn a_basket_is_a_day() {
        let found = read(
            "\u{feff}\"CUSTOMER_ID\",\"TRANSACTION_DT\",\"PRODUCT_ID\",\"AMOUNT\"\n\
             b,1/2/1970,milk,1\nb,1970-01-02,bread,2\na,1/3/1970,milk,1\nb,1/2/1970,milk,1\n\
             a,1/3/1970,tea,-1\n",
        )
        .unwrap();
        assert_eq!(found.items, ["bread", "milk"]);
        assert_eq!(found.returns, 1);
        assert_eq!(found.customers[0].baskets, [(2, vec![1])]);
        assert_eq!(found.customers[1].baskets, [(1, vec![0, 1])]);
        assert_eq!(found.last_day(), Some(2));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("customer,date\n", "no column `item`");
        check("customer,date,item\n", "no purchases");
        check("customer,date,item\n7,today,milk\n", "line 2, customer `7`: `today` is no date");
        check("customer,date,item,quantity\n7,1970-01-02,milk,x\n", "`x` is no number");
        check("customer,date,item\n7,1970-01-02,\n", "must not be empty");
        check("PK\u{3}\u{4}", "archive cannot be read");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Purchases::read(Cursor::new(bytes));
        }
    }
}
