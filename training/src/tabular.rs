//! Labelled rows from a CSV file, as the numbers a booster takes.
//!
//! A column whose every value is a number stays one. Any other is categorical, and becomes a column
//! of 0 and 1 for each of its values ("one-hot"; two values need one column): that adds no order
//! which the values do not have, and needs no labels, so nothing of them leaks into the encoding.

use crate::boosting::{FitError, Matrix};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};
use thiserror::Error;

/// Most values of a categorical column: more are texts or identities, which do not recur.
pub const MAX_CATEGORIES: usize = 256;

/// What stands in files for a missing value, beside nothing at all; in small letters.
const MISSING: [&str; 6] = ["", "na", "n/a", "nan", "null", "none"];
/// Texts of labels, in small letters.
const YES: [&str; 4] = ["1", "true", "yes", "t"];
const NO: [&str; 4] = ["0", "false", "no", "f"];
/// Names of months begin so, in small letters.
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// How to read a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The column to predict.
    pub label: String,
    /// Columns that are not looked at: identities, and what is only known afterwards.
    pub drop: Vec<String>,
    /// Between the values of a line.
    pub delimiter: u8,
    /// Put rows into the order of this column, which is then no feature: it only tells the time.
    pub order: Option<String>,
}

impl Options {
    /// Commas, nothing dropped, rows in the order of the file.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned(), drop: Vec::new(), delimiter: b',', order: None }
    }
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum TableError {
    /// It is not CSV.
    #[error("{0}; give CSV with a header, every line as wide as it, and the right --delimiter")]
    Csv(#[from] csv::Error),
    /// A column that was named is not there.
    #[error("there is no column {name}; there are {}", .columns.join(", "))]
    NoColumn {
        /// Which.
        name: String,
        /// Those of the header.
        columns: Vec<String>,
    },
    /// Two columns have one name.
    #[error("two columns are called {0}: rename one")]
    TwoColumns(String),
    /// A label is neither yes nor no.
    #[error("line {line}: the label {value:?} is neither of 1, true, yes nor of 0, false, no")]
    Label {
        /// Which, from 1.
        line: u64,
        /// What stands there.
        value: String,
    },
    /// A column is neither numbers nor categories.
    #[error(
        "column {column}: {value:?} in line {line} is no number, and there are over \
         {MAX_CATEGORIES} different values: correct the line, or leave the column out with --drop"
    )]
    Values {
        /// Which.
        column: String,
        /// The first line, from 1, that holds no number.
        line: u64,
        /// What stands there.
        value: String,
    },
    /// A number that single precision cannot hold.
    #[error("line {line}, column {column}: {value} is too large to compute with")]
    TooLarge {
        /// Which, from 1.
        line: u64,
        /// Which column.
        column: String,
        /// What stands there.
        value: String,
    },
    /// The order of two rows cannot be told.
    #[error(
        "line {line}, column {column}: {value:?} gives no place in time; --order takes numbers, \
         names of months, or dates like 2026-11-22"
    )]
    Order {
        /// Which, from 1.
        line: u64,
        /// Which column.
        column: String,
        /// What stands there.
        value: String,
    },
    /// No line after the header, or no column beside the label.
    #[error("the file holds no {0} to learn from")]
    Nothing(&'static str),
    /// The file of folds and the rows do not fit together.
    #[error("folds, line {line}: {what}; give `row,fold` for each row once, rows from 0")]
    Folds {
        /// Which, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The rows are too many, or too wide.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// Labelled rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Names of the encoded columns; a category's is `column=value`.
    pub names: Vec<String>,
    /// The encoded rows.
    pub rows: Matrix,
    /// One label a row: 1 for yes, 0 for no.
    pub labels: Vec<f32>,
}

impl Table {
    /// Reads CSV with a header.
    ///
    /// # Errors
    /// [`TableError`] says what is wrong, in which line, and what to do.
    pub fn read(source: impl Read, options: &Options) -> Result<Self, TableError> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(options.delimiter)
            .trim(csv::Trim::All)
            .from_reader(source);
        let header: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let mut seen = BTreeSet::new();
        if let Some(twice) = header.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(TableError::TwoColumns(twice.clone()));
        }
        let place = |name: &String| {
            header
                .iter()
                .position(|other| other == name)
                .ok_or_else(|| TableError::NoColumn { name: name.clone(), columns: header.clone() })
        };
        let label = place(&options.label)?;
        let order = options.order.as_ref().map(place).transpose()?;
        let dropped = options.drop.iter().map(place).collect::<Result<BTreeSet<_>, _>>()?;

        let (mut lines, mut labels, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let mut columns: Vec<Column> = header.iter().map(|name| Column::new(name)).collect();
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record)? {
            let line = record.position().map_or(0, csv::Position::line);
            lines.push(line);
            labels.push(yes_or_no(line, &record[label])?);
            for (index, column) in columns.iter_mut().enumerate() {
                if Some(index) == order {
                    times.push(time(line, &column.name, &record[index])?);
                } else if index != label && !dropped.contains(&index) {
                    column.push(line, &record[index])?;
                }
            }
        }
        if lines.is_empty() {
            return Err(TableError::Nothing("line after its header"));
        }
        let encoded: Vec<(String, Vec<f32>)> =
            columns.into_iter().filter(|c| !c.codes.is_empty()).flat_map(Column::encode).collect();
        if encoded.is_empty() {
            return Err(TableError::Nothing("column beside the label"));
        }
        let mut turns: Vec<usize> = (0..lines.len()).collect();
        if order.is_some() {
            turns.sort_by(|a, b| times[*a].total_cmp(&times[*b]));
        }
        let values = turns.iter().flat_map(|row| encoded.iter().map(|(_, column)| column[*row]));
        Ok(Self {
            rows: Matrix::new(values.collect(), encoded.len())?,
            labels: turns.iter().map(|row| labels[*row]).collect(),
            names: encoded.into_iter().map(|(name, _)| name).collect(),
        })
    }
}

/// Reads which fold each of `rows` rows belongs to: lines `row,fold`, in any order.
///
/// # Errors
/// [`TableError::Folds`] with the line; [`TableError::Csv`].
pub fn read_folds(source: impl Read, rows: usize) -> Result<Vec<u32>, TableError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
    let mut folds = vec![None; rows];
    let mut record = csv::StringRecord::new();
    let mut line = 1;
    while reader.read_record(&mut record)? {
        line = record.position().map_or(0, csv::Position::line);
        let bad = |what: String| TableError::Folds { line, what };
        let (Some(row), Some(fold)) = (record.get(0), record.get(1)) else {
            return Err(bad("two values are wanted".to_owned()));
        };
        let fold: u32 = fold.parse().map_err(|_| bad(format!("{fold:?} is no fold")))?;
        let index: usize = row.parse().map_err(|_| bad(format!("{row:?} is no row")))?;
        match folds.get_mut(index) {
            None => return Err(bad(format!("row {index} is not among the {rows} rows"))),
            Some(Some(_)) => return Err(bad(format!("row {index} stands here again"))),
            Some(free) => *free = Some(fold),
        }
    }
    let missing = folds.iter().position(Option::is_none);
    let what = |row| TableError::Folds { line, what: format!("row {row} has no fold") };
    missing.map_or_else(|| Ok(folds.into_iter().flatten().collect()), |row| Err(what(row)))
}

/// A column while it is read: what it means is known at its end.
struct Column {
    name: String,
    /// Index of each row's text in `texts`.
    codes: Vec<u32>,
    /// Each different text, with its code.
    texts: BTreeMap<String, u32>,
    /// While all are numbers, their values; afterwards empty.
    numbers: Vec<f32>,
    /// The first that is none.
    first_text: Option<(u64, String)>,
}

impl Column {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            codes: Vec::new(),
            texts: BTreeMap::new(),
            numbers: Vec::new(),
            first_text: None,
        }
    }

    fn push(&mut self, line: u64, text: &str) -> Result<(), TableError> {
        // A number needs no code: beyond the limit the column cannot become categorical any more.
        let next = self.texts.len() as u32;
        let code = match self.texts.get(text) {
            Some(code) => *code,
            None if self.texts.len() > MAX_CATEGORIES => next,
            None => *self.texts.entry(text.to_owned()).or_insert(next),
        };
        self.codes.push(code);
        if self.first_text.is_none() {
            match number(text) {
                Some(value) if value.is_infinite() => {
                    let column = self.name.clone();
                    return Err(TableError::TooLarge { line, column, value: text.to_owned() });
                }
                Some(value) => self.numbers.push(value),
                None => self.first_text = Some((line, text.to_owned())),
            }
        }
        match &self.first_text {
            Some((line, value)) if self.texts.len() > MAX_CATEGORIES => Err(TableError::Values {
                column: self.name.clone(),
                line: *line,
                value: value.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// The columns of numbers that it becomes.
    fn encode(self) -> Vec<(String, Vec<f32>)> {
        if self.first_text.is_none() {
            return vec![(self.name, self.numbers)];
        }
        let is_missing = |text: &str| MISSING.contains(&text.to_lowercase().as_str());
        let missing: BTreeSet<u32> =
            self.texts.iter().filter(|(text, _)| is_missing(text)).map(|(_, code)| *code).collect();
        let mut named: Vec<(&String, u32)> =
            self.texts.iter().filter(|(text, _)| !is_missing(text)).map(|(t, c)| (t, *c)).collect();
        if named.len() == 2 {
            named.remove(0);
        }
        let is = |code: u32, wanted: u32| match code {
            code if missing.contains(&code) => f32::NAN,
            code => f32::from(u8::from(code == wanted)),
        };
        let column = |(text, wanted): (&String, u32)| {
            let values = self.codes.iter().map(|code| is(*code, wanted)).collect();
            (format!("{}={text}", self.name), values)
        };
        named.into_iter().map(column).collect()
    }
}

/// The number that a text is; NaN where it stands for a missing one.
fn number(text: &str) -> Option<f32> {
    if MISSING.contains(&text.to_lowercase().as_str()) {
        return Some(f32::NAN);
    }
    text.parse::<f32>().ok()
}

fn yes_or_no(line: u64, text: &str) -> Result<f32, TableError> {
    let small = text.to_lowercase();
    if YES.contains(&small.as_str()) {
        return Ok(1.0);
    }
    if NO.contains(&small.as_str()) {
        return Ok(0.0);
    }
    Err(TableError::Label { line, value: text.to_owned() })
}

/// A place in time that sorts: numbers, months by the calendar, dates by year, month and day.
fn time(line: u64, column: &str, text: &str) -> Result<f64, TableError> {
    let small = text.to_lowercase();
    let month = || MONTHS.iter().position(|month| small.starts_with(month)).map(|m| m as f64);
    let date = || {
        let mut parts = small.get(..10)?.splitn(3, '-').map(|part| part.parse::<u32>().ok());
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        // Any factors above the most days and months keep the order.
        (month <= 12 && day <= 31).then(|| f64::from(year * 12 + month) * 32.0 + f64::from(day))
    };
    let number = small.parse::<f64>().ok().filter(|number| number.is_finite());
    number.or_else(month).or_else(date).ok_or_else(|| TableError::Order {
        line,
        column: column.to_owned(),
        value: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, change: impl FnOnce(&mut Options)) -> Result<Table, TableError> {
        let mut options = Options::new("y");
        change(&mut options);
        Table::read(text.as_bytes(), &options)
    }

    fn refused(text: &str, change: impl FnOnce(&mut Options), expected: &str) {
        let error = read(text, change).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn numbers_stay_and_categories_become_columns() {
        let text =
            "a,b,c,id,y\n1,red,TRUE,x,yes\n,blue,FALSE,y,no\n3,,TRUE,z,no\n4,green,TRUE,w,1\n";
        let table = read(text, |o| o.drop = vec!["id".to_owned()]).unwrap();
        assert_eq!(table.names, ["a", "b=blue", "b=green", "b=red", "c=TRUE"]);
        assert_eq!(table.labels, [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(table.rows.row(0), [1.0, 0.0, 0.0, 1.0, 1.0]);
        assert!(table.rows.row(1)[0].is_nan());
        assert!(table.rows.row(2)[1..4].iter().all(|v| v.is_nan()));
        assert_eq!(table.rows.row(3), [4.0, 0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn rows_take_the_order_of_time() {
        let order = |o: &mut Options| o.order = Some("t".to_owned());
        let firsts = |text: &str| {
            let rows = read(text, order).unwrap().rows;
            (0..rows.rows()).map(|i| rows.row(i)[0]).collect::<Vec<_>>()
        };
        assert_eq!(firsts("t,a,y\nJune,1,0\nFeb,2,0\nJune,3,1\nMay,4,1\n"), [2.0, 4.0, 1.0, 3.0]);
        assert_eq!(firsts("t,a,y\n10,1,0\n9,2,0\n"), [2.0, 1.0]);
        assert_eq!(firsts("t,a,y\n2026-02-01,1,0\n2025-12-31T10:00,2,0\n"), [2.0, 1.0]);
        refused("t,a,y\nsoon,1,0\n", order, "line 2, column t: \"soon\"");
    }

    #[test]
    fn refusals_name_line_and_column() {
        refused("a,y\n1,0\n2,perhaps\n", |_| {}, "line 3: the label \"perhaps\"");
        refused("a,b\n1,0\n", |_| {}, "no column y; there are a, b");
        refused("a,a,y\n1,1,0\n", |_| {}, "two columns are called a");
        refused("a,y\n1,0\n2\n", |_| {}, "line: 3");
        refused("a,y\n1e99,0\n", |_| {}, "line 2, column a: 1e99");
        refused("a,y\n", |_| {}, "no line");
        refused("y\n1\n", |_| {}, "no column");
        let ids = (0..300).map(|i| format!("{i}x,{}\n", i % 2)).collect::<String>();
        refused(&format!("a,y\n1,0\n{ids}"), |_| {}, "column a: \"0x\" in line 3");
    }

    #[test]
    fn many_different_numbers_are_no_categories() {
        let lines = (0..1_000).map(|i| format!("{i}.5,{}\n", i % 2)).collect::<String>();
        let table = read(&format!("a,y\n{lines}"), |_| {}).unwrap();
        assert_eq!((table.names.len(), table.rows.row(999)[0]), (1, 999.5));
    }

    #[test]
    fn folds_cover_each_row_once() {
        let folds = |text: &str| read_folds(text.as_bytes(), 3).map_err(|e| e.to_string());
        assert_eq!(folds("row,fold\n1,7\n0,2\n2,7\n"), Ok(vec![2, 7, 7]));
        for (text, expected) in [
            ("row,fold\n0,0\n1,0\n", "row 2 has no fold"),
            ("row,fold\n0,0\n0,1\n", "line 3: row 0 stands here again"),
            ("row,fold\n3,0\n", "row 3 is not among the 3 rows"),
            ("row,fold\n0,x\n", "\"x\" is no fold"),
            ("row,fold\n-1,0\n", "\"-1\" is no row"),
            ("row\n1\n", "two values"),
        ] {
            assert!(folds(text).unwrap_err().contains(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Table::read(&bytes[..], &Options::new("y"));
            let text = [b"t,a,y\n".as_slice(), &bytes].concat();
            let ordered = Options { order: Some("t".to_owned()), ..Options::new("y") };
            if let Ok(table) = Table::read(&text[..], &ordered) {
                prop_assert_eq!(table.rows.rows(), table.labels.len());
            }
            let _ = read_folds(&bytes[..], 3);
        }
    }
}
