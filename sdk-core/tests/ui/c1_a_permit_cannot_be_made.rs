//! C1: only the gate makes permits.

use protocol::consent::Modality;
use sdk_core::consent::{Epoch, Infer, Permit};

fn forge() -> Permit<Infer> {
    Permit::new(Modality::Eda, Epoch(1), None, Default::default())
}

fn main() {}
