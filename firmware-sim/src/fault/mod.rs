//! What goes wrong, when, and the exact count of what did.

mod counts;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use counts::{Injected, SampleCounts, Samples, Signal};

/// A way in which things go wrong.
///
/// "Measurements" are notifications of any sensor; battery levels and answers to commands are left
/// alone. Faults of the air act on measurements that would otherwise be sent: while nobody is
/// subscribed they wait. A fault that a device has no sensor for does nothing to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The link is lost; the device can be connected again at once.
    LinkDrop,
    /// The link is lost and the device cannot be connected for a while.
    OutOfRange {
        /// How long, in seconds.
        for_s: f64,
    },
    /// The Bluetooth adapter is off for a while; every link is lost.
    AdapterOff {
        /// How long, in seconds.
        for_s: f64,
    },
    /// The next measurements are lost in the air: the sequence goes on.
    Lose {
        /// How many.
        count: u32,
    },
    /// Each of the next measurements arrives twice. Not a byte stream's (Shimmer).
    Duplicate {
        /// How many.
        count: u32,
    },
    /// The next two measurements of one stream arrive in the wrong order, both when the second is
    /// due. Not a byte stream's (Shimmer).
    Reorder,
    /// The next measurement arrives, but not as it should be.
    OddPayload {
        /// What is odd about it.
        form: OddForm,
    },
    /// The device clock starts again at zero with the next measurement. Not where a device sends
    /// no clock: heart rate, HealthyPi.
    ClockReset,
    /// The device comes off the skin.
    ContactLoss {
        /// How long, in seconds.
        for_s: f64,
    },
    /// The battery drops to a level.
    LowBattery {
        /// To what, percent.
        percent: u8,
    },
    /// EDA samples read full scale. EDA only.
    Saturated {
        /// How long, in seconds.
        for_s: f64,
    },
    /// EDA samples hold no reading though the contact is good; a device that cannot say so sends
    /// zero. EDA only.
    NoReading {
        /// How long, in seconds.
        for_s: f64,
    },
    /// The next beats carry the shortest and the longest interval the payload can (0 and 64 s), in
    /// turn. Heart rate and pulse intervals only.
    AbsurdRr {
        /// How many.
        count: u32,
    },
}

/// How a payload is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OddForm {
    /// Its last byte is missing. A parser rejects it.
    Truncated,
    /// Random bytes that no parser accepts.
    Garbage,
    /// No bytes. A parser rejects it.
    Empty,
    /// Reserved flag bits are set, where the payload has any. A parser reads it as if they were
    /// not.
    ReservedFlags,
}

/// One line of a [`FaultScript`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, in seconds of the session.
    pub at_s: f64,
    /// The name of the device. For the adapter: any device.
    pub device: String,
    /// What happens.
    pub kind: FaultKind,
}

/// Faults with their times.
///
/// # Examples
/// ```
/// use firmware_sim::fault::{FaultKind, FaultScript};
/// let script = FaultScript::parse(
///     "[[fault]]
///      at_s = 5
///      device = 'Attune Strap'
///      kind.lose.count = 3
///
///      [[fault]]
///      at_s = 9
///      device = 'Attune Strap'
///      kind = 'link_drop'",
/// ).unwrap();
/// assert_eq!(script.faults[0].kind, FaultKind::Lose { count: 3 });
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultScript {
    /// In any order.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
}

/// Why a fault script cannot be played.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FaultError {
    /// Not the expected TOML.
    #[error(
        "the fault script cannot be read: {0}\nwrite [[fault]] with at_s, device and kind, e.g. kind.lose.count = 3"
    )]
    Toml(Box<toml::de::Error>),
    /// No such device.
    #[error("fault {number} is for device \"{device}\", there are only: {known}")]
    Device {
        /// Which fault, from 1.
        number: usize,
        /// Whom it names.
        device: String,
        /// Who is there.
        known: String,
    },
    /// A value out of its range.
    #[error("fault {number}: {field} is {found}, it must be {allowed}")]
    Value {
        /// Which fault, from 1.
        number: usize,
        /// The field.
        field: &'static str,
        /// What it says.
        found: f64,
        /// What it may say.
        allowed: &'static str,
    },
}

/// Times and lengths in a fault script are within ten days.
const MAX_SECONDS: f64 = 864_000.0;

impl FaultScript {
    /// Reads a fault script from TOML.
    ///
    /// # Errors
    /// [`FaultError`] says where.
    pub fn parse(text: &str) -> Result<Self, FaultError> {
        let script: Self =
            toml::from_str(text).map_err(|error| FaultError::Toml(Box::new(error)))?;
        for (index, fault) in script.faults.iter().enumerate() {
            fault.check(index + 1)?;
        }
        Ok(script)
    }

    /// The faults of one device, earliest first.
    #[must_use]
    pub fn of_device(&self, name: &str) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            self.faults.iter().filter(|fault| fault.device == name).cloned().collect();
        faults.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        faults
    }

    /// Whether every value is in its range and every device is one of `names`.
    ///
    /// # Errors
    /// [`FaultError`] for the first that is not.
    pub fn check(&self, names: &[&str]) -> Result<(), FaultError> {
        for (index, fault) in self.faults.iter().enumerate() {
            fault.check(index + 1)?;
            if !names.contains(&fault.device.as_str()) {
                let (number, device) = (index + 1, fault.device.clone());
                return Err(FaultError::Device { number, device, known: names.join(", ") });
            }
        }
        Ok(())
    }
}

impl Fault {
    fn check(&self, number: usize) -> Result<(), FaultError> {
        let seconds = |field, found: f64| {
            if (0.0..=MAX_SECONDS).contains(&found) {
                return Ok(());
            }
            Err(FaultError::Value { number, field, found, allowed: "0 to 864000 s" })
        };
        seconds("at_s", self.at_s)?;
        match self.kind {
            FaultKind::OutOfRange { for_s }
            | FaultKind::AdapterOff { for_s }
            | FaultKind::ContactLoss { for_s }
            | FaultKind::Saturated { for_s }
            | FaultKind::NoReading { for_s } => seconds("for_s", for_s),
            FaultKind::LowBattery { percent } if percent > 100 => Err(FaultError::Value {
                number,
                field: "percent",
                found: f64::from(percent),
                allowed: "0 to 100",
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_error(text: &str, says: &str) {
        let message = FaultScript::parse(text)
            .and_then(|script| script.check(&["band", "strap"]))
            .unwrap_err()
            .to_string();
        assert!(message.contains(says), "{message}");
    }

    fn fault(rest: &str) -> String {
        format!("[[fault]]\ndevice = 'band'\n{rest}")
    }

    #[test]
    fn errors_say_what_and_where() {
        check_error("[[faults]]", "unknown field `faults`");
        check_error(&fault("kind = 'link_drop'"), "missing field `at_s`");
        check_error(&fault("at_s = 1\nkind = 'earthquake'"), "unknown variant `earthquake`");
        check_error(&fault("at_s = 1\nkind.lose.number = 3"), "unexpected keys in table: number");
        check_error(&fault("at_s = -1\nkind = 'reorder'"), "fault 1: at_s is -1");
        check_error(&fault("at_s = 1\nkind.contact_loss.for_s = nan"), "fault 1: for_s is NaN");
        check_error(&fault("at_s = 1\nkind.low_battery.percent = 101"), "percent is 101");
        check_error(
            "[[fault]]\nat_s = 1\ndevice = 'ring'\nkind = 'reorder'",
            "fault 1 is for device \"ring\", there are only: band, strap",
        );
    }

    #[test]
    fn every_kind_can_be_written() {
        let kinds = [
            "kind = 'link_drop'",
            "kind.out_of_range.for_s = 2",
            "kind.adapter_off.for_s = 2",
            "kind.lose.count = 2",
            "kind.duplicate.count = 2",
            "kind = 'reorder'",
            "kind.odd_payload.form = 'garbage'",
            "kind.odd_payload.form = 'reserved_flags'",
            "kind = 'clock_reset'",
            "kind.contact_loss.for_s = 2",
            "kind.low_battery.percent = 5",
            "kind.saturated.for_s = 2",
            "kind.no_reading.for_s = 2",
            "kind.absurd_rr.count = 2",
        ];
        for kind in kinds {
            let script = FaultScript::parse(&fault(&format!("at_s = 1\n{kind}"))).unwrap();
            let text = toml::to_string(&script).unwrap();
            assert_eq!(FaultScript::parse(&text), Ok(script), "{kind}");
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in "\\PC*") {
            let _ = FaultScript::parse(&text);
        }
    }
}
