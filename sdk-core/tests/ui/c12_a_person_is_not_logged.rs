//! C12: nor does the id of a person.

use protocol::consent::ConsentRecord;

fn tell(record: &ConsentRecord) {
    protocol::log!(info, "consent", person = record.person);
}

fn main() {}
