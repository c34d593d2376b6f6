//! Any bytes as what a Polar sensor sends and is sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::polar_pmd::{
    Frame,
    control::{Command, Features, Message},
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = Frame::parse(bytes) {
        assert!(Frame::parse(&frame.encode()).is_ok());
    }
    if let Ok(command) = Command::parse(bytes) {
        assert_eq!(Command::parse(&command.encode()).as_ref(), Ok(&command));
    }
    let _ = Message::parse(bytes);
    let _ = Features::parse(bytes);
});
