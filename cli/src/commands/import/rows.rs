//! Rows out of a file, a batch at a time, in constant memory.

use crate::Failure;
use protocol::intake::{Reason, Reported, RowError};
use serde_json::value::RawValue;
use server::table::{Layout, Table};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Longest line of JSON.
const MOST_LINE_BYTES: u64 = 1 << 20;

/// What the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A header and fields between delimiters.
    Table,
    /// A JSON object a line.
    Lines,
}

/// A row to be sent.
#[derive(Debug)]
pub(super) enum Row {
    /// Out of a table.
    Reported(Box<Reported>),
    /// As it stands in the file.
    Raw(Box<RawValue>),
    /// Not sent: it cannot be read here. Of a table, what was said in it nevertheless.
    Bad(RowError, Option<Box<Reported>>),
}

/// Rows, and where in the file they end.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    pub(super) end: u64,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }
}

/// A file as it is read.
#[derive(Debug)]
pub(super) struct Rows {
    path: PathBuf,
    file: BufReader<File>,
    size: u64,
    format: Format,
    table: Table,
    ended: bool,
    offset: u64,
}

impl Rows {
    pub(super) fn open(path: &Path, format: Format, layout: Layout) -> Result<Self, Failure> {
        let failed = |error| format!("cannot read {}: {error}", path.display());
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let file = BufReader::with_capacity(CHUNK_BYTES, file);
        let table = Table::new(layout);
        Ok(Self { path: path.to_owned(), file, size, format, table, ended: false, offset: 0 })
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Goes on after the row that ended there.
    pub(super) fn go_on(&mut self, offset: u64, number: u64) -> Result<(), Failure> {
        if self.format == Format::Table && offset > 0 {
            // Only the header is wanted: what comes with it is read again.
            while !self.table.has_header() && !self.ended {
                self.fill()?;
                self.table.next_row().map_err(|error| self.wrong(&error))?;
            }
            self.table.resume(offset, number);
        }
        self.file.seek(SeekFrom::Start(offset)).map_err(|error| self.wrong(&error))?;
        (self.offset, self.ended) = (offset, false);
        Ok(())
    }

    /// The next rows; none at the end.
    pub(super) fn next_batch(&mut self, most: usize) -> Result<Batch, Failure> {
        let mut batch = Batch { rows: Vec::with_capacity(most), end: self.offset };
        while batch.rows.len() < most {
            let next = match self.format {
                Format::Table => self.next_of_table()?,
                Format::Lines => self.next_line()?,
            };
            let Some((row, end)) = next else { break };
            batch.rows.push(row);
            (batch.end, self.offset) = (end, end);
        }
        Ok(batch)
    }

    fn next_of_table(&mut self) -> Result<Option<(Row, u64)>, Failure> {
        loop {
            let next = self.table.next_row().map_err(|error| self.wrong(&error))?;
            if let Some(found) = next {
                let row = match found.row {
                    Ok(reported) => Row::Reported(Box::new(reported)),
                    Err(fault) => bad(fault.reason, &fault.detail, found.said),
                };
                return Ok(Some((row, found.end)));
            }
            if self.ended {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Failure> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = self.file.read(&mut chunk).map_err(|error| self.wrong(&error))?;
        self.table.push(&chunk[..read]);
        if read == 0 {
            self.table.end();
            self.ended = true;
        }
        Ok(())
    }

    fn next_line(&mut self) -> Result<Option<(Row, u64)>, Failure> {
        let mut end = self.offset;
        loop {
            let mut line = Vec::new();
            let read = (&mut self.file).take(MOST_LINE_BYTES).read_until(b'\n', &mut line);
            let read = read.map_err(|error| self.wrong(&error))? as u64;
            if read == 0 {
                return Ok(None);
            }
            end += read;
            let whole = line.last() == Some(&b'\n');
            if read == MOST_LINE_BYTES && !whole {
                return Err(
                    self.wrong(&"a line is longer than a megabyte: is it JSON, a row a line?")
                );
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let row = match (serde_json::from_slice::<Box<RawValue>>(&line), whole) {
                (Ok(raw), _) => Row::Raw(raw),
                (Err(_), false) => {
                    bad(Reason::HalfWritten, "the file ends in the middle of the row", None)
                }
                (Err(_), true) if std::str::from_utf8(&line).is_err() => {
                    bad(Reason::BadEncoding, "the line is not UTF-8", None)
                }
                (Err(error), true) => {
                    let detail = format!("column {}: not JSON", error.column());
                    bad(Reason::Malformed, &detail, None)
                }
            };
            return Ok(Some((row, end)));
        }
    }

    fn wrong(&self, error: &dyn std::fmt::Display) -> Failure {
        format!("{}: {error}", self.path.display()).into()
    }
}

/// Its place is filled in with the batch.
fn bad(reason: Reason, detail: &str, said: Option<Box<Reported>>) -> Row {
    Row::Bad(RowError { row: 0, reason, detail: detail.to_owned() }, said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::intake::Scope;

    fn open(folder: &tempfile::TempDir, name: &str, text: &str, format: Format) -> Rows {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Rows::open(&path, format, Layout::classic(Scope::Conversion)).unwrap()
    }

    fn ends(rows: &mut Rows, most: usize) -> Vec<(u64, u64)> {
        let mut ends = Vec::new();
        loop {
            let batch = rows.next_batch(most).unwrap();
            if batch.is_empty() {
                return ends;
            }
            ends.push((batch.len(), batch.end));
        }
    }

    #[test]
    fn every_batch_ends_where_the_next_begins() {
        let folder = tempfile::TempDir::new().unwrap();
        let header = "Conversion Name,Conversion Time,Order ID\n";
        let lines: Vec<String> =
            (0..25).map(|n| format!("b,2026-11-20T16:04:05Z,T-{n}\n")).collect();
        let table = format!("{header}{}", lines.concat());
        let json = "{\"a\": 1}\n\nx\n{\"b\": 2";
        for (name, text, format, count) in
            [("a.csv", table.as_str(), Format::Table, 25), ("a.jsonl", json, Format::Lines, 3)]
        {
            let all = ends(&mut open(&folder, name, text, format), 10);
            assert_eq!(all.iter().map(|(count, _)| count).sum::<u64>(), count, "{name}");
            assert_eq!(all.last().map(|(_, end)| *end), Some(text.len() as u64), "{name}");
            let mut first = open(&folder, name, text, format);
            let batch = first.next_batch(2).unwrap();
            let mut rest = open(&folder, name, text, format);
            rest.go_on(batch.end, 2).unwrap();
            let rest = ends(&mut rest, 100);
            assert_eq!(rest, [(count - 2, text.len() as u64)], "{name}");
        }
    }
}
