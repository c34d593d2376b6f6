//! C12: a signal value does not format into a log line.

use sdk_core::sensor::Sample;

fn tell(sample: &Sample) {
    protocol::log!(info, "a sample", value = sample.value);
}

fn main() {}
