//! What the simulation tells about itself.

use std::time::Instant;

use serde::Serialize;
use uuid::Uuid;

use crate::fault::FaultKind;

/// Something that happened. `at_ns` is nanoseconds since [`super::FakeBluez::epoch`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SimEvent {
    /// A client looks for devices, or the last one has stopped.
    Discovery {
        /// When.
        at_ns: u64,
        /// Whether anyone looks.
        on: bool,
    },
    /// The session's time line begins: sample 0 of every device.
    SessionStarted {
        /// When.
        at_ns: u64,
    },
    /// A client connected a device.
    Connected {
        /// When.
        at_ns: u64,
        /// Its name.
        device: String,
    },
    /// A device's link is gone.
    Disconnected {
        /// When.
        at_ns: u64,
        /// Its name.
        device: String,
        /// Why.
        reason: DisconnectReason,
    },
    /// A client turned notifications on.
    Subscribed {
        /// When.
        at_ns: u64,
        /// Whose.
        device: String,
        /// Which.
        characteristic: Uuid,
    },
    /// A client turned notifications off.
    Unsubscribed {
        /// When.
        at_ns: u64,
        /// Whose.
        device: String,
        /// Which.
        characteristic: Uuid,
    },
    /// A client wrote a value.
    Written {
        /// When.
        at_ns: u64,
        /// To whom.
        device: String,
        /// Which.
        characteristic: Uuid,
        /// What.
        bytes: Vec<u8>,
        /// The device took it.
        accepted: bool,
    },
    /// A value goes out to the client; told just before it does.
    Notification {
        /// When it was written.
        at_ns: u64,
        /// From whom.
        device: String,
        /// Which.
        characteristic: Uuid,
        /// See [`crate::device::Notification::sequence`].
        sequence: u64,
        /// When it was to go out.
        due_ns: u64,
        /// Its length in bytes.
        length: usize,
        /// `at_ns` as an instant.
        #[serde(skip)]
        written: Instant,
    },
    /// The adapter was switched.
    AdapterPower {
        /// When.
        at_ns: u64,
        /// To what.
        on: bool,
    },
    /// Something went wrong as planned.
    Fault {
        /// When.
        at_ns: u64,
        /// With whom.
        device: String,
        /// What.
        kind: FaultKind,
    },
}

/// Why a link is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DisconnectReason {
    /// A client, or the end of the simulation, asked for it.
    Asked,
    /// A fault of the device.
    Fault,
    /// The adapter went off.
    Adapter,
}
