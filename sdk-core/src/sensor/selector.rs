//! What a transport needs to know to bring a device up: data, no behaviour.

use std::time::Duration;
use uuid::Uuid;

/// Which device is wanted, and how its stream is started and stopped. Devices are matched by
/// service or address, never by name: a name is not unique and changes after the first connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Services by which the device is found: it advertises one of these, which need not be the
    /// one that streams (a Polar H10 advertises heart rate only). What else turns up with such a
    /// service is recognised by the characteristics it lacks.
    pub advertised: Vec<Uuid>,
    /// The device's address, where one of several is wanted; upper case, with colons. It alone
    /// decides then, whatever the device advertises.
    pub address: Option<String>,
    /// The characteristics to subscribe to (notify or indicate), in this order. The device must
    /// have each of them, and those that are written to.
    pub characteristics: Vec<Uuid>,
    /// Written in this order once everything is subscribed, after every reconnect anew.
    pub hello: Vec<Write>,
    /// Written in this order before the link is closed: a stream that nobody stops drains the
    /// battery of some devices.
    pub goodbye: Vec<Write>,
}

impl Selector {
    /// Every characteristic the device must have: those subscribed to and those written to.
    #[must_use]
    pub fn required(&self) -> Vec<Uuid> {
        let written = self.hello.iter().chain(&self.goodbye).map(|write| write.characteristic);
        let mut all: Vec<Uuid> = self.characteristics.iter().copied().chain(written).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// One value to write, with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where to.
    pub characteristic: Uuid,
    /// What.
    pub bytes: Vec<u8>,
    /// How long the device is left alone after it: some take a command only when they are done with the one
    /// before.
    pub pause: Duration,
}
