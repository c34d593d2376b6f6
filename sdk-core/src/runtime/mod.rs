//! Wires the modules: the only one that knows them all.
//!
//! [`Pipeline`] is the whole edge path without I/O, from samples to decisions; a replay drives it
//! with the times of a recording. `Session` (feature `runtime`) drives the same pipeline live:
//! it keeps the links of the devices, the timers and the outbox, and carries consent to all of
//! them.

mod body;
#[cfg(feature = "runtime")]
mod event_loop;
#[cfg(all(test, feature = "runtime"))]
mod fake;
mod pace;
mod pipeline;
mod replay;
#[cfg(feature = "runtime")]
mod session;
#[cfg(feature = "runtime")]
mod supervisor;
#[cfg(feature = "runtime")]
mod update;

pub use body::Derived;
pub use pace::Pace;
pub use pipeline::{Pipeline, PipelineConfig};
pub use replay::{Replayed, replay};
#[cfg(feature = "runtime")]
pub use session::{
    Closed, MAX_MARKER_BYTES, Session, SessionConfig, SessionError, SessionTap, Summary,
};
#[cfg(feature = "runtime")]
pub use supervisor::LinkState;
#[cfg(feature = "runtime")]
pub use update::{Consumed, DeviceState, Update};
