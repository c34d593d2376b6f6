//! The air between device and client: what happens to a notification on its way.

use std::collections::VecDeque;

use protocol::gatt;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Notification;
use crate::fault::{Injected, OddForm};

#[derive(Debug)]
pub(super) struct Air {
    pub(super) lose: u64,
    pub(super) duplicate: u64,
    pub(super) reorder: u64,
    pub(super) odd: VecDeque<OddForm>,
    /// The first of two that change places.
    pub(super) held: Option<Notification>,
    rng: ChaCha8Rng,
}

/// Length of a garbage payload: what the smallest ATT MTU leaves.
const GARBAGE_BYTES: usize = 20;
/// No EDA version, and as heart-rate flags "nothing but the rate": the rest is then too long for
/// either parser.
const GARBAGE_FIRST_BYTE: u8 = 0;
/// Reserved bits of the flags byte: Heart Rate Measurement b5-b7, EDA Measurement b4-b7.
const HEART_RATE_RESERVED: u8 = 0b1110_0000;
const EDA_RESERVED: u8 = 0b1111_0000;
/// Where the flags are: in heart rate first, in EDA after the version.
const HEART_RATE_FLAGS_AT: usize = 0;
const EDA_FLAGS_AT: usize = 1;

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

    /// What arrives when `notification` is sent, in order. A notification suffers at most one kind
    /// of fault; loss comes first.
    pub(super) fn carry(
        &mut self,
        notification: Notification,
        counts: &mut Injected,
    ) -> Vec<Notification> {
        if self.lose > 0 {
            self.lose -= 1;
            counts.lost += 1;
            return Vec::new();
        }
        if let Some(mut held) = self.held.take() {
            held.due_ns = notification.due_ns;
            counts.reordered += 1;
            return vec![notification, held];
        }
        if self.reorder > 0 {
            self.reorder -= 1;
            self.held = Some(notification);
            return Vec::new();
        }
        if self.duplicate > 0 {
            self.duplicate -= 1;
            counts.duplicated += 1;
            return vec![notification.clone(), notification];
        }
        match self.odd.pop_front() {
            Some(form) => vec![self.spoil(notification, form, counts)],
            None => vec![notification],
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
                let (at, reserved) = if notification.characteristic == gatt::EDA_MEASUREMENT {
                    (EDA_FLAGS_AT, EDA_RESERVED)
                } else {
                    (HEART_RATE_FLAGS_AT, HEART_RATE_RESERVED)
                };
                if let Some(flags) = bytes.get_mut(at) {
                    *flags |= reserved;
                }
                counts.reserved_flags += 1;
                return notification;
            }
        }
        counts.odd_payloads += 1;
        notification
    }
}
