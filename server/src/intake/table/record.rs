//! Bytes to records (RFC 4180): fields between delimiters, quoted where they hold one, lines ended
//! by LF or CRLF.

/// Longest record. A quotation mark that is never closed must not swallow the file, or the memory.
pub const MOST_RECORD_BYTES: usize = 64 << 10;

/// A record, as it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) fields: Vec<Vec<u8>>,
    /// How many bytes of the file lie before its end.
    pub(super) end: u64,
    /// The file ends inside quotation marks.
    pub(super) cut: bool,
    /// The file ends without the end of a line.
    pub(super) last: bool,
    /// It was longer than records are; the next line is looked at by itself.
    pub(super) too_long: bool,
}

impl Piece {
    pub(super) fn is_blank(&self) -> bool {
        !self.too_long
            && self.fields.iter().all(|field| field.trim_ascii().is_empty())
            && self.fields.len() == 1
    }
}

/// Where the reader stands in a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    FieldStart,
    Bare,
    Quoted,
    /// After a quotation mark in a quoted field: its end, or half of an escaped one.
    Quote,
}

/// Records as they come in.
#[derive(Debug, Default)]
pub(super) struct Records {
    buffer: Vec<u8>,
    /// Where the record begins in the buffer, and up to where it was looked at.
    start: usize,
    scanned: usize,
    state: State,
    /// The place of the buffer's first byte in the file.
    offset: u64,
    delimiter: u8,
}

impl Records {
    pub(super) fn new(delimiter: Option<u8>) -> Self {
        Self { delimiter: delimiter.unwrap_or(b','), ..Self::default() }
    }

    pub(super) const fn set_delimiter(&mut self, delimiter: u8) {
        self.delimiter = delimiter;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.offset += self.start as u64;
        self.scanned -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// What has come and is not part of a record yet.
    pub(super) fn peek(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.buffer.len());
        self.scanned = self.start;
    }

    pub(super) fn jump(&mut self, offset: u64) {
        let delimiter = self.delimiter;
        *self = Self { offset, delimiter, ..Self::default() };
    }

    /// The next record; `None` if more has to come first.
    pub(super) fn next(&mut self, ended: bool) -> Option<Piece> {
        while let Some(&byte) = self.buffer.get(self.scanned) {
            self.scanned += 1;
            let line_ends = byte == b'\n' && self.state != State::Quoted;
            if line_ends {
                let piece = self.piece(self.scanned - 1, false, false);
                self.begin_record(self.scanned);
                return Some(piece);
            }
            if self.scanned - self.start > MOST_RECORD_BYTES {
                return Some(self.too_long());
            }
            self.state = match (self.state, byte) {
                (State::FieldStart, b'"') => State::Quoted,
                (State::Quoted, b'"') => State::Quote,
                (State::Quote, b'"') | (State::Quoted, _) => State::Quoted,
                (_, byte) if byte == self.delimiter => State::FieldStart,
                _ => State::Bare,
            };
        }
        if !ended || self.start >= self.buffer.len() {
            return None;
        }
        let piece = self.piece(self.buffer.len(), self.state == State::Quoted, true);
        self.begin_record(self.buffer.len());
        Some(piece)
    }

    fn begin_record(&mut self, start: usize) {
        (self.start, self.scanned, self.state) = (start, start, State::FieldStart);
    }

    /// Gives the first line up, and looks at the next by itself.
    fn too_long(&mut self) -> Piece {
        let record = &self.buffer[self.start..self.scanned];
        let line = record.iter().position(|byte| *byte == b'\n').map_or(record.len(), |at| at + 1);
        let next = self.start + line;
        self.begin_record(next);
        let end = self.offset + next as u64;
        Piece { fields: vec![], end, cut: false, last: false, too_long: true }
    }

    fn piece(&self, to: usize, cut: bool, last: bool) -> Piece {
        let record = &self.buffer[self.start..to];
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        let end = self.offset + to as u64 + u64::from(!last);
        let fields = split(record, self.delimiter);
        Piece { fields, end, cut, last, too_long: false }
    }
}

fn split(record: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
    let (mut fields, mut field, mut state) = (Vec::new(), Vec::new(), State::FieldStart);
    for &byte in record {
        state = match (state, byte) {
            (State::FieldStart, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::Quote,
            (State::Quote, b'"') | (State::Quoted, _) => {
                field.push(byte);
                State::Quoted
            }
            (_, byte) if byte == delimiter => {
                fields.push(std::mem::take(&mut field));
                State::FieldStart
            }
            _ => {
                field.push(byte);
                State::Bare
            }
        };
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8], chunk: usize) -> Vec<Piece> {
        let mut records = Records::new(None);
        let mut pieces = Vec::new();
        for part in bytes.chunks(chunk.max(1)) {
            records.push(part);
            pieces.extend(std::iter::from_fn(|| records.next(false)));
        }
        pieces.extend(std::iter::from_fn(|| records.next(true)));
        pieces
    }

    fn check(text: &str, expected: &[&[&str]]) {
        let found: Vec<Vec<String>> = all(text.as_bytes(), 3)
            .into_iter()
            .map(|piece| {
                piece.fields.into_iter().map(|field| String::from_utf8(field).unwrap()).collect()
            })
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn records_are_those_of_the_standard() {
        check("a,b\r\nc,d\n", &[&["a", "b"], &["c", "d"]]);
        check("a,\"b,\"\"c\"\"\nd\"\ne,", &[&["a", "b,\"c\"\nd"], &["e", ""]]);
        check("5\" pipe,x\n", &[&["5\" pipe", "x"]]);
        check("", &[]);
    }

    #[test]
    fn an_open_quotation_mark_costs_a_line_and_not_the_file() {
        let mut text = b"a,\"b\n".to_vec();
        for _ in 0..20_000 {
            text.extend_from_slice(b"c,d,e\n");
        }
        let pieces = all(&text, 4_096);
        assert_eq!(pieces.iter().filter(|piece| piece.too_long).count(), 1);
        assert_eq!(pieces.iter().filter(|piece| piece.fields.len() == 3).count(), 20_000);
        let at_the_end = all(b"a,b\nc,\"d\n", 4);
        assert!(at_the_end[1].cut && !at_the_end[0].cut);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_the_same_records(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            chunk in 1usize..9,
        ) {
            let whole = all(&bytes, bytes.len());
            prop_assert_eq!(&all(&bytes, chunk), &whole);
            // Going on after any record gives the rest.
            for (place, piece) in whole.iter().enumerate() {
                let mut records = Records::new(None);
                records.jump(piece.end);
                records.push(&bytes[piece.end as usize..]);
                let rest: Vec<_> = std::iter::from_fn(|| records.next(true)).collect();
                prop_assert_eq!(&rest[..], &whole[place + 1..]);
            }
        }

        #[test]
        fn what_is_written_is_read(
            rows in proptest::collection::vec(proptest::collection::vec(".*", 2..4), 1..6)
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(vec![]);
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let found: Vec<Vec<Vec<u8>>> = all(&bytes, 5).into_iter().map(|p| p.fields).collect();
            let expected: Vec<Vec<Vec<u8>>> = rows
                .iter()
                .map(|row| row.iter().map(|field| field.clone().into_bytes()).collect())
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
