//! Purchases from a file: the CDNOW format, or CSV.

use jiff::civil::Date;
use models::customer_base::RepeatHistory;
use std::{collections::BTreeMap, io::Read};
use thiserror::Error;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

/// Why a file is no list of purchases.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Of reading, or of CSV: quotes, widths, encoding.
    #[error("{0}; expected CSV with columns customer,date,amount, or CDNOW's columns")]
    Csv(#[from] csv::Error),
    /// Of reading.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// A column is missing in the header.
    #[error("line 1 names no column `{0}`: the header must be customer,date,amount")]
    Column(&'static str),
    /// A line does not say when who bought for how much.
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

/// A customer's days of purchase.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    /// As the file calls them.
    pub id: String,
    /// Days since 1970-01-01, ascending, each once, with all that was spent on it.
    pub purchases: Vec<(i32, f64)>,
}

impl Customer {
    /// What was known of them at the end of a day; `None` before the first purchase.
    #[must_use]
    pub fn history(&self, day: i32) -> Option<RepeatHistory> {
        let times: Vec<i64> =
            self.purchases.iter().map(|(day, _)| i64::from(*day) * DAY_MS).collect();
        RepeatHistory::at(i64::from(day) * DAY_MS, &times)
    }

    /// All that was spent up to the end of a day.
    #[must_use]
    pub fn spent(&self, day: i32) -> f64 {
        self.purchases.iter().take_while(|(at, _)| *at <= day).map(|(_, amount)| amount).sum()
    }

    /// Days of purchase after the one and up to the other.
    #[must_use]
    pub fn bought(&self, after: i32, until: i32) -> u32 {
        self.purchases.iter().map(|(day, _)| u32::from(*day > after && *day <= until)).sum()
    }
}

/// All purchases of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Transactions {
    /// By id.
    pub customers: Vec<Customer>,
    /// Lines with a negative amount: goods given back are no purchase, they are left out.
    pub returns: usize,
}

impl Transactions {
    /// Reads CSV with a header that names `customer`, `date` (YYYY-MM-DD) and `amount`, or CDNOW's
    /// format: columns parted by spaces, the customer first and date (YYYYMMDD), number of CDs and
    /// amount last.
    ///
    /// # Errors
    /// [`ReadError`], with the line.
    pub fn read(mut from: impl Read) -> Result<Self, ReadError> {
        let mut text = String::new();
        from.read_to_string(&mut text)?;
        let first = text.lines().find(|line| !line.trim().is_empty()).ok_or(ReadError::Empty)?;
        let mut lines = Lines::default();
        if first.contains(',') {
            lines.csv(&text)?
        } else {
            lines.cdnow(&text)?
        }
        lines.done()
    }

    /// First day of a purchase.
    #[must_use]
    pub fn first_day(&self) -> Option<i32> {
        self.customers.iter().filter_map(|c| c.purchases.first()).map(|(day, _)| *day).min()
    }
}

/// Days since 1970-01-01.
#[must_use]
pub fn day_number(date: Date) -> i32 {
    date.duration_since(jiff::civil::date(1970, 1, 1)).as_hours().div_euclid(24) as i32
}

#[derive(Default)]
struct Lines {
    by_customer: BTreeMap<String, BTreeMap<i32, f64>>,
    returns: usize,
}

impl Lines {
    fn csv(&mut self, text: &str) -> Result<(), ReadError> {
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let header = reader.headers()?.clone();
        let column = |name: &'static str| {
            header
                .iter()
                .position(|column| column.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name))
                .ok_or(ReadError::Column(name))
        };
        let (customer, date, amount) = (column("customer")?, column("date")?, column("amount")?);
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, csv::Position::line);
            let field = |column: usize| record.get(column).unwrap_or_default();
            self.add(line, field(customer), field(date).parse().ok(), field(amount))?;
        }
        Ok(())
    }

    fn cdnow(&mut self, text: &str) -> Result<(), ReadError> {
        for (line, text) in (1..).zip(text.lines()) {
            let columns: Vec<&str> = text.split_whitespace().collect();
            match columns[..] {
                [] => {}
                [customer, date, _, amount] | [customer, _, date, _, amount] => {
                    let date = Date::strptime("%Y%m%d", date).ok();
                    self.add(line, customer, date, amount)?;
                }
                _ => {
                    let problem = format!(
                        "{} columns, expected customer, date, number and amount",
                        columns.len()
                    );
                    return Err(ReadError::Line { line, problem });
                }
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        line: u64,
        customer: &str,
        date: Option<Date>,
        amount: &str,
    ) -> Result<(), ReadError> {
        let fails = |problem: &str| ReadError::Line { line, problem: problem.to_owned() };
        let date = date.ok_or_else(|| fails("no date; YYYY-MM-DD in CSV, YYYYMMDD in CDNOW's"))?;
        let amount: Option<f64> = amount.parse().ok().filter(|amount: &f64| amount.is_finite());
        let amount = amount.ok_or_else(|| fails("the amount is no number such as 12.50"))?;
        if customer.is_empty() {
            return Err(fails("no customer"));
        }
        if amount < 0.0 {
            self.returns += 1;
            return Ok(());
        }
        let purchases = self.by_customer.entry(customer.to_owned()).or_default();
        *purchases.entry(day_number(date)).or_default() += amount;
        Ok(())
    }

    fn done(self) -> Result<Transactions, ReadError> {
        let customers: Vec<Customer> = self
            .by_customer
            .into_iter()
            .map(|(id, purchases)| Customer { id, purchases: purchases.into_iter().collect() })
            .collect();
        if customers.is_empty() {
            return Err(ReadError::Empty);
        }
        Ok(Transactions { customers, returns: self.returns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Transactions, ReadError> {
        Transactions::read(text.as_bytes())
    }

    #[test]
    fn both_formats_say_the_same() {
        let cdnow = read(" 7 0001 19970101  2   29.33\n 7 0001 19970115  1   -5.00\n").unwrap();
        let csv = read("Date,amount,customer\n1997-01-01,20.33,7\n1997-01-01,9,7\n").unwrap();
        assert_eq!(cdnow.customers, csv.customers);
        assert_eq!((cdnow.returns, csv.returns), (1, 0));
        let customer = &csv.customers[0];
        let first = day_number(jiff::civil::date(1997, 1, 1));
        assert_eq!(customer.purchases, [(first, 29.33)]);
        assert_eq!(customer.history(first - 1), None);
        assert_eq!((customer.bought(first - 1, first), customer.bought(first, first + 9)), (1, 0));
    }

    #[test]
    fn bad_files_are_told_apart() {
        for (text, says) in [
            ("", "no purchases"),
            ("customer,date,amount\n", "no purchases"),
            ("customer,day,amount\n1,1997-01-01,2\n", "no column `date`"),
            ("customer,date,amount\n1,1997-02-30,2\n", "line 2: no date"),
            ("customer,date,amount\n1,1997-01-01,NaN\n", "line 2: the amount"),
            ("customer,date,amount\n,1997-01-01,1\n", "line 2: no customer"),
            ("1 19970101 1 2\n1 2 3\n", "line 2: 3 columns"),
            ("customer,date,amount\n1,1997-01-01\n", "customer,date,amount"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
        assert!(matches!(Transactions::read(&b"\xff\xfe,"[..]), Err(ReadError::Read(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~\n\"]{0,200}|customer,date,amount\n[0-9,\n-]*") {
            if let Ok(read) = read(&text) {
                prop_assert!(read.first_day().is_some() || read.returns > 0);
            }
        }
    }
}
