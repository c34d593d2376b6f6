//! C2: queueing takes what only a gate gives.

use protocol::consent::ConsentRecord;
use sdk_core::{
    consent::{Infer, Permit},
    sync::Sharing,
};

fn share(record: ConsentRecord, permits: Vec<Permit<Infer>>) -> Sharing {
    Sharing { record, permits }
}

fn main() {}
