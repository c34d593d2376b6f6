//! C1: the purposes are those of the protocol.

use protocol::consent::Purpose;
use sdk_core::consent::Scope;

struct Anything;

impl Scope for Anything {
    const PURPOSE: Purpose = Purpose::Share;
}

fn main() {}
