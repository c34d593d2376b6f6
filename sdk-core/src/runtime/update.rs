//! What a running session tells.

use super::supervisor::LinkState;
use crate::{
    clock::Nanos,
    offer::Decision,
    sensor::{DeviceProfile, DeviceStatus, DriverError, Sample, StreamStats},
};
use protocol::{
    consent::{ConsentState, Modality},
    offer::OfferRevision,
};
use std::{sync::Arc, time::Duration};

/// Something that happened in a session. Stays on the device: it holds raw samples.
#[derive(Debug, Clone)]
pub enum Update {
    /// A link came up, went down or is looked for.
    Link {
        /// Whose, in the order of the configuration.
        device: usize,
        /// What kind of device it is.
        profile: DeviceProfile,
        /// Where the link stands.
        state: LinkState,
    },
    /// A device's counters and state after a notification.
    Device {
        /// Whose.
        device: usize,
        /// What the device says about itself.
        status: DeviceStatus,
        /// What its driver counted.
        stats: StreamStats,
    },
    /// A payload could not be read; counted, the stream goes on.
    Rejected {
        /// Whose.
        device: usize,
        /// Why.
        error: DriverError,
    },
    /// Raw samples of a device, or the RR intervals found in them.
    Samples(Arc<[Sample]>),
    /// New features of one modality.
    Features {
        /// The modality.
        modality: Modality,
        /// Session time.
        at: Nanos,
        /// Time on the stream's own timeline.
        stream_at: Nanos,
        /// Share of the window that is good data, 0..=1.
        coverage: f32,
        /// In the order of the feature schema, restricted to the modality.
        values: Arc<[f64]>,
    },
    /// A step of the loop.
    Decision {
        /// What was decided.
        decision: Arc<Decision>,
        /// The notifications that were new to this step.
        consumed: Arc<[Consumed]>,
        /// When the step was done.
        done: Nanos,
        /// How long the step computed, cleaning and features of its samples included.
        compute: Duration,
    },
    /// The offer on screen changed.
    Offer(Arc<OfferRevision>),
    /// Consent changed.
    Consent(ConsentState),
    /// The app marked a moment.
    Marker {
        /// What the app calls it, at most [`MAX_MARKER_BYTES`](super::MAX_MARKER_BYTES).
        label: Arc<str>,
        /// When.
        at: Nanos,
    },
}

/// What is known about one device, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// What kind of device it is.
    pub profile: DeviceProfile,
    /// Where its link stands.
    pub link: LinkState,
    /// What it last said about itself: battery and contact.
    pub status: DeviceStatus,
    /// What its driver counted.
    pub stats: StreamStats,
}

/// One notification that a step used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumed {
    /// Whose.
    pub device: usize,
    /// Its sequence number, where the profile has one.
    pub sequence: Option<u16>,
    /// When it arrived.
    pub arrived: Nanos,
}
