//! Tables of conversions: in pieces they are what they are as a whole, and after any row the rest
//! follows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::intake::Scope;
use server::table::{Layout, Table, TableError, TableRow};

fn read(table: &mut Table, bytes: &[u8], piece: usize) -> Result<Vec<TableRow>, TableError> {
    let mut rows = Vec::new();
    for part in bytes.chunks(piece) {
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

fuzz_target!(|bytes: &[u8]| {
    let fresh = || Table::new(Layout::classic(Scope::Conversion));
    let whole = read(&mut fresh(), bytes, bytes.len().max(1));
    assert_eq!(read(&mut fresh(), bytes, 7), whole);
    let Ok(rows) = whole else { return };
    if let Some(first) = rows.first() {
        let mut table = fresh();
        table.push(bytes);
        let _ = table.next_row();
        table.resume(first.end, first.number);
        let rest = read(&mut table, &bytes[first.end as usize..], 7);
        assert_eq!(rest.as_deref(), Ok(&rows[1..]));
    }
});
