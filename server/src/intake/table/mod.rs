//! Rows out of tables: CSV files of spreadsheets, tills and advertising platforms.
//!
//! Sans-I/O and in constant memory: bytes are pushed in, rows come out, with the place in the file
//! that each ends at. The classic file of click conversions is understood by its own header; any
//! other by a [`Layout`].

mod columns;
mod layout;
mod record;

pub use layout::{Field, Layout, LayoutError};
pub use record::MOST_RECORD_BYTES;

use super::{Fault, time};
use columns::Columns;
use jiff::tz::TimeZone;
use protocol::intake::{Reason, Reported};
use record::{Piece, Records};
use thiserror::Error;

/// How the bytes of a table are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, with or without a byte order mark.
    #[default]
    Utf8,
    /// ISO 8859-1: every byte is a character.
    Latin1,
}

/// Why a table as a whole cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TableError {
    /// Two bytes a character.
    #[error("the file is UTF-16: save it as \"CSV UTF-8\"")]
    Utf16,
    /// The header is not what was said.
    #[error("the header is not {0}: save the file as UTF-8, or name its encoding")]
    Charset(&'static str),
    /// No header.
    #[error("the file has no header: its first line must name the columns")]
    NoHeader,
    /// A line of parameters that cannot be.
    #[error("the line \"Parameters:\" must name a time zone, like TimeZone=+0100 or Europe/Berlin")]
    Parameters,
    /// A column that means nothing.
    #[error(
        "column {0} of the header is none that is known: leave it out, or say in a mapping file \
         what it is"
    )]
    UnknownColumn(usize),
    /// Two columns for one field.
    #[error("two columns of the header stand for {0}: leave one out")]
    Twice(&'static str),
    /// A column that must be there.
    #[error("no column of the header stands for {0}: add it, or say in a mapping file what does")]
    NoColumn(String),
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// Its place among the rows, from 1; the header is none.
    pub number: u64,
    /// How many bytes of the file lie before its end.
    pub end: u64,
    /// What it says.
    pub row: Result<Reported, Fault>,
    /// Of a row that cannot be read: who, when and what they said alone, as far as that can be. The
    /// time is empty where it cannot. `None` where nobody can tell which field is which.
    pub said: Option<Box<Reported>>,
}

/// A table as it comes in.
#[derive(Debug)]
pub struct Table {
    layout: Layout,
    records: Records,
    zone: Option<TimeZone>,
    columns: Option<Columns>,
    number: u64,
    begun: bool,
    ended: bool,
}

impl Table {
    /// A table of which nothing has come.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        let (zone, delimiter) = (layout.zone.clone(), layout.delimiter);
        let records = Records::new(delimiter);
        Self { layout, records, zone, columns: None, number: 0, begun: false, ended: false }
    }

    /// Takes the bytes that follow.
    pub fn push(&mut self, bytes: &[u8]) {
        self.records.push(bytes);
    }

    /// Says that no more will come.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether the header has been read.
    #[must_use]
    pub const fn has_header(&self) -> bool {
        self.columns.is_some()
    }

    /// Goes on at a place that a row ended at before: the header has been read, what was pushed
    /// after it is forgotten.
    pub fn resume(&mut self, end: u64, number: u64) {
        self.records.jump(end);
        self.number = number;
    }

    /// The next row; `None` if more has to come first, or after the last.
    ///
    /// # Errors
    /// [`TableError`] when this is no table that can be read; no row comes after it.
    pub fn next_row(&mut self) -> Result<Option<TableRow>, TableError> {
        if !self.begin()? {
            return Ok(None);
        }
        loop {
            let Some(piece) = self.records.next(self.ended) else {
                return match (&self.columns, self.ended) {
                    (None, true) => Err(TableError::NoHeader),
                    _ => Ok(None),
                };
            };
            if piece.is_blank() {
                continue;
            }
            let Some(columns) = &self.columns else {
                let fields = text(&piece, self.layout.charset)
                    .map_err(|_| TableError::Charset(self.layout.charset.name()))?;
                if let Some(zone) = parameters(&fields)? {
                    self.zone = Some(zone);
                    continue;
                }
                self.columns = Some(Columns::new(&fields, &self.layout)?);
                continue;
            };
            self.number += 1;
            let end = piece.end;
            let (zone, number) = (self.zone.as_ref(), self.number);
            let row = read(&piece, columns, &self.layout, zone, number);
            let said = match &row {
                Ok(_) => None,
                Err(_) => said(&piece, columns, &self.layout, zone, number).map(Box::new),
            };
            return Ok(Some(TableRow { number, end, row, said }));
        }
    }

    /// Looks at the first line; whether it is there. Part of it would not do: which delimiter is
    /// the most frequent depends on all of it.
    fn begin(&mut self) -> Result<bool, TableError> {
        /// Of a text with two bytes a character every other byte is zero near its beginning.
        const LOOKED_AT: usize = 64;
        if self.begun {
            return Ok(true);
        }
        /// However the bytes come, as much of a line is looked at.
        const LONGEST_LINE: usize = MOST_RECORD_BYTES - BYTE_ORDER_MARK.len();
        const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
        let first = self.records.peek();
        let line_is_there = first.contains(&b'\n') || first.len() >= MOST_RECORD_BYTES;
        if !line_is_there && !self.ended {
            return Ok(false);
        }
        let looked_at = &first[..first.len().min(LOOKED_AT)];
        if looked_at.starts_with(&[0xff, 0xfe])
            || looked_at.starts_with(&[0xfe, 0xff])
            || looked_at.contains(&0)
        {
            return Err(TableError::Utf16);
        }
        if looked_at.starts_with(&BYTE_ORDER_MARK) {
            self.records.skip(BYTE_ORDER_MARK.len());
        }
        if self.layout.delimiter.is_none() {
            let line = self.records.peek();
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = &line[..line.len().min(LONGEST_LINE)];
            let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
            let best = [b',', b';', b'\t'].into_iter().max_by_key(|d| (count(*d), *d == b','));
            self.records.set_delimiter(best.unwrap_or(b','));
        }
        self.begun = true;
        Ok(true)
    }
}

impl Charset {
    const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Latin1 => "Latin-1",
        }
    }
}

/// `Parameters:TimeZone=+0100`, which stands above the header.
fn parameters(fields: &[String]) -> Result<Option<TimeZone>, TableError> {
    let Some(first) = fields.first().and_then(|first| first.trim().strip_prefix("Parameters:"))
    else {
        return Ok(None);
    };
    let all = std::iter::once(first).chain(fields[1..].iter().map(String::as_str));
    let mut zones = all.filter_map(|one| {
        let (name, value) = one.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timezone").then_some(value.trim())
    });
    let zone = zones.next().and_then(layout::zone_of);
    zone.map(Some).ok_or(TableError::Parameters)
}

fn text(piece: &Piece, charset: Charset) -> Result<Vec<String>, Fault> {
    let texts = piece.fields.iter().map(|field| decoded(field, charset));
    texts.collect::<Option<_>>().ok_or_else(|| {
        let detail = "the row is not UTF-8: save the file as UTF-8, or name its encoding";
        Fault::new(Reason::BadEncoding, detail)
    })
}

fn decoded(field: &[u8], charset: Charset) -> Option<String> {
    match charset {
        Charset::Utf8 => std::str::from_utf8(field).map(str::to_owned).ok(),
        Charset::Latin1 => Some(field.iter().map(|byte| char::from(*byte)).collect()),
    }
}

fn read(
    piece: &Piece,
    columns: &Columns,
    layout: &Layout,
    zone: Option<&TimeZone>,
    number: u64,
) -> Result<Reported, Fault> {
    if piece.too_long {
        let detail =
            format!("a row has at most {MOST_RECORD_BYTES} bytes: a quotation mark is not closed");
        return Err(Fault::new(Reason::Malformed, detail));
    }
    let (found, named) = (piece.fields.len(), columns.count());
    if piece.cut || (piece.last && found < named) {
        let detail = "the file ends in the middle of the row: write it again";
        return Err(Fault::new(Reason::HalfWritten, detail));
    }
    if found != named {
        let detail = format!("the row has {found} fields, the header names {named}");
        return Err(Fault::new(Reason::FieldCount, detail));
    }
    let fields = text(piece, layout.charset)?;
    let mut row = columns.row(&fields, layout, number)?;
    row.event_timestamp = time(&row.event_timestamp, layout, zone)?;
    Ok(row)
}

/// What was said in a row that cannot be read; `None` where its fields are not those of the header,
/// or the last of them is cut off.
fn said(
    piece: &Piece,
    columns: &Columns,
    layout: &Layout,
    zone: Option<&TimeZone>,
    number: u64,
) -> Option<Reported> {
    if piece.too_long || piece.cut || piece.fields.len() != columns.count() {
        return None;
    }
    let decode = |field: &Vec<u8>| decoded(field, layout.charset).unwrap_or_default();
    let fields: Vec<String> = piece.fields.iter().map(decode).collect();
    let mut said = columns.said(&fields, layout, number);
    said.event_timestamp = time(&said.event_timestamp, layout, zone).unwrap_or_default();
    Some(said)
}

/// A time in RFC 3339.
fn time(text: &str, layout: &Layout, zone: Option<&TimeZone>) -> Result<String, Fault> {
    let at = match &layout.time_format {
        Some(format) => layout::read_as(text, format, zone)?,
        None => time::read_local("event_timestamp", text, zone)?,
    };
    let at = jiff::Timestamp::from_millisecond(at)
        .map_err(|_| Fault::new(Reason::BadTime, "event_timestamp is no time"))?;
    Ok(at.to_string())
}

#[cfg(test)]
mod tests;
