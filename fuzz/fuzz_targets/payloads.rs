//! Any bytes as what a device or an app sends; what can be read survives being written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{
    healthypi,
    polar_pmd::{
        Frame,
        control::{self, Features, Message},
    },
    shimmer::{self, framer::Framer},
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = Frame::parse(bytes) {
        assert_eq!(Frame::parse(&frame.encode()), Ok(frame));
    }
    if let Ok(command) = control::Command::parse(bytes) {
        assert_eq!(command.encode(), bytes);
    }
    if let Ok(message) = Message::parse(bytes) {
        assert_eq!(Message::parse(&message.encode()), Ok(message));
    }
    let _ = Features::parse(bytes);
    if let Ok(counts) = healthypi::parse(bytes) {
        assert_eq!(healthypi::encode(&counts), bytes);
    }
    if let Ok(command) = shimmer::Command::parse(bytes) {
        assert_eq!(command.encode(), bytes);
    }
    // The first byte says how the rest is cut.
    let Some((cut, stream)) = bytes.split_first() else { return };
    let whole = Framer::new().push(stream);
    let mut framer = Framer::new();
    let chunks = stream.chunks(usize::from(*cut).max(1));
    let skipped = |events: &[shimmer::framer::Event]| {
        use shimmer::framer::Event::Skipped;
        events.iter().map(|e| if let Skipped { bytes } = e { *bytes } else { 0 }).sum::<usize>()
    };
    let cut: Vec<_> = chunks.flat_map(|chunk| framer.push(chunk)).collect();
    assert_eq!(skipped(&cut), skipped(&whole));
});
