//! Any bytes as the stream of a Shimmer: wherever it is cut, as much of it is understood.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::shimmer::{
    Command,
    framer::{Event, Framer},
};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, stream) = input;
    let skipped = |events: &[Event]| {
        events
            .iter()
            .map(|e| if let Event::Skipped { bytes } = e { *bytes } else { 0 })
            .sum::<usize>()
    };
    let whole = Framer::new().push(stream);
    let mut framer = Framer::new();
    let pieces: Vec<Event> =
        stream.chunks(usize::from(cut).max(1)).flat_map(|chunk| framer.push(chunk)).collect();
    assert_eq!(skipped(&pieces), skipped(&whole));
    if let Ok(command) = Command::parse(stream) {
        assert_eq!(command.encode(), stream);
    }
});
