//! C9: no event has a place for samples.

use protocol::event::EventBody;
use sdk_core::sensor::Sample;

fn pack(samples: Vec<Sample>) -> EventBody {
    EventBody::Features { values: samples, coverage: 1.0 }
}

fn main() {}
