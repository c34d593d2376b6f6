//! Wearables without hardware: bodies, the devices that measure them, and the air between device
//! and app.
//!
//! The real drivers talk to what this crate plays, over the real transport, in every test run.
//!
//! * [`physiology`]: a seeded body: heart beats and skin conductance under a script of states, and
//!   the ECG, pulse wave and movement that go with them.
//! * [`source`]: what a device measures: such a body, or a recording.
//! * [`spec`], [`device`]: a wearable of one of six kinds with its clock, schedule, commands and
//!   battery, without I/O.
//! * [`fault`]: what goes wrong and when, and the exact count of what did.
//! * [`bus`], [`fake_bluez`]: the devices behind a Bluetooth daemon on a private D-Bus.
//! * [`mod@file`]: the same bodies as folders of recordings.
//!
//! **Invariant.** Nothing but [`fake_bluez`] knows the time of day, opens a socket or spawns a
//! task; nothing here knows what a driver does with the bytes. Same seed, same bytes.

pub mod bus;
pub mod device;
pub mod fake_bluez;
pub mod fault;
pub mod file;
pub mod physiology;
pub mod source;
pub mod spec;
