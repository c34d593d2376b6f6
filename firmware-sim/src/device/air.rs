//! The air between device and client: what happens to a notification on its way.

use std::collections::VecDeque;

use protocol::gatt;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::{
    Notification,
    channel::{Fate, Part},
};
use crate::fault::{Injected, OddForm};

#[derive(Debug)]
pub(super) struct Air {
    pub(super) lose: u64,
    pub(super) duplicate: u64,
    pub(super) reorder: u64,
    pub(super) odd: VecDeque<OddForm>,
    /// The first of two that change places.
    pub(super) held: Option<Flight>,
    rng: ChaCha8Rng,
}

/// A measurement on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) notification: Notification,
    pub(super) part: Part,
    /// It is a piece of a stream of bytes, which is neither doubled nor disordered.
    pub(super) byte_stream: bool,
}

/// What came of a flight.
#[derive(Debug, Default)]
pub(super) struct Landing {
    /// What arrives, in order.
    pub(super) arriving: Vec<Notification>,
    /// Samples whose fate is now known.
    pub(super) settled: Vec<(Part, Fate)>,
}

/// Length of a garbage payload: no whole number of samples of any format.
const GARBAGE_BYTES: usize = 18;
/// No EDA version, as heart-rate flags "nothing but the rate", as PMD measurement ECG: the rest is
/// then of a wrong length for each parser.
const GARBAGE_FIRST_BYTE: u8 = 0;
/// Reserved bits of the flags byte: Heart Rate Measurement b5-b7, EDA Measurement b4-b7, PMD frame
/// b6-b7.
const HEART_RATE_RESERVED: u8 = 0b1110_0000;
const EDA_RESERVED: u8 = 0b1111_0000;
const PMD_RESERVED: u8 = 0b1100_0000;
/// Where the flags are: in heart rate and PMD first, in EDA after the version.
const HEART_RATE_FLAGS_AT: usize = 0;
const EDA_FLAGS_AT: usize = 1;
const PMD_FLAGS_AT: usize = 0;

impl Air {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            lose: 0,
            duplicate: 0,
            reorder: 0,
            odd: VecDeque::new(),
            held: None,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// What comes of a measurement that is sent. It suffers at most one kind of fault; loss comes
    /// first.
    pub(super) fn carry(&mut self, flight: Flight, counts: &mut Injected) -> Landing {
        let Flight { notification, part, byte_stream } = flight;
        if self.lose > 0 {
            self.lose -= 1;
            counts.lost += 1;
            return Landing { arriving: Vec::new(), settled: vec![(part, Fate::Lost)] };
        }
        let overtakes = |held: &mut Flight| held.part.signal == part.signal;
        if let Some(mut held) = self.held.take_if(overtakes) {
            held.notification.due_ns = notification.due_ns;
            counts.reordered += 1;
            return Landing {
                arriving: vec![notification, held.notification],
                settled: vec![(part, Fate::Sent), (held.part, Fate::Sent)],
            };
        }
        if self.reorder > 0 && self.held.is_none() && !byte_stream {
            self.reorder -= 1;
            self.held = Some(Flight { notification, part, byte_stream });
            return Landing::default();
        }
        if self.duplicate > 0 && !byte_stream {
            self.duplicate -= 1;
            counts.duplicated += 1;
            return Landing {
                arriving: vec![notification.clone(), notification],
                settled: vec![(part, Fate::Sent)],
            };
        }
        match self.odd.pop_front() {
            None => Landing { arriving: vec![notification], settled: vec![(part, Fate::Sent)] },
            Some(form) => {
                let settled = settled(form, part, byte_stream);
                Landing { arriving: vec![self.spoil(notification, form, counts)], settled }
            }
        }
    }

    fn spoil(
        &mut self,
        mut notification: Notification,
        form: OddForm,
        counts: &mut Injected,
    ) -> Notification {
        let bytes = &mut notification.bytes;
        match form {
            OddForm::Truncated => {
                bytes.pop();
            }
            OddForm::Empty => bytes.clear(),
            OddForm::Garbage => {
                bytes.resize(GARBAGE_BYTES, 0);
                self.rng.fill_bytes(bytes);
                bytes[0] = GARBAGE_FIRST_BYTE;
            }
            OddForm::ReservedFlags => {
                if let Some((at, reserved)) = reserved_flags(notification.characteristic)
                    && let Some(flags) = bytes.get_mut(at)
                {
                    *flags |= reserved;
                    counts.reserved_flags += 1;
                }
                return notification;
            }
        }
        counts.odd_payloads += 1;
        notification
    }
}

/// Where a payload has flags, and which of them are reserved.
fn reserved_flags(characteristic: Uuid) -> Option<(usize, u8)> {
    match characteristic {
        gatt::EDA_MEASUREMENT => Some((EDA_FLAGS_AT, EDA_RESERVED)),
        gatt::HEART_RATE_MEASUREMENT => Some((HEART_RATE_FLAGS_AT, HEART_RATE_RESERVED)),
        gatt::PMD_DATA => Some((PMD_FLAGS_AT, PMD_RESERVED)),
        _ => None,
    }
}

/// What becomes of the samples of an odd payload. Of a stream of bytes that lacks one byte, only
/// the last sample is damaged.
fn settled(form: OddForm, part: Part, byte_stream: bool) -> Vec<(Part, Fate)> {
    match form {
        OddForm::ReservedFlags => vec![(part, Fate::Sent)],
        OddForm::Truncated if byte_stream && !part.samples.is_empty() => {
            let last = part.samples.end - 1;
            let before = Part { samples: part.samples.start..last, whole: true, ..part.clone() };
            vec![(before, Fate::Sent), (Part { samples: last..last + 1, ..part }, Fate::Spoiled)]
        }
        OddForm::Truncated | OddForm::Garbage | OddForm::Empty => vec![(part, Fate::Spoiled)],
    }
}
