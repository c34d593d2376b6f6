//! What a device sends, and the account of it: measurements through the air, battery levels and
//! answers past it.

use protocol::gatt;
use uuid::Uuid;

use super::{
    Device, Notification, Output, WriteError,
    air::{Flight, Landing},
    channel::{Channel, Fate, Part, Piece, Sensor, Told},
    shimmer::Effect,
};
use crate::fault::Signal;

impl Device {
    pub(super) fn measure(&mut self, index: usize, due_ns: u64) {
        let battery = self.battery.percent(due_ns);
        let Some(channel) = self.channels.get_mut(index) else { return };
        for piece in channel.take(battery, &mut self.conditions, &mut self.injected) {
            self.deliver(index, piece, due_ns);
        }
    }

    fn deliver(&mut self, index: usize, piece: Piece, due_ns: u64) {
        let Some(channel) = self.channels.get_mut(index) else { return };
        let sequence = channel.sequence;
        channel.sequence += 1;
        let Piece { bytes, samples, whole } = piece;
        let severed = channel.told == Told::Severed;
        if severed || !self.subscribed.contains(&channel.characteristic) {
            self.injected.unsent += 1;
            channel.settle(&samples, whole, Fate::Unsent, &mut self.injected);
            return;
        }
        let part = Part { signal: channel.signal, samples: samples.clone(), whole };
        let (characteristic, signal) = (channel.characteristic, Some(channel.signal));
        let byte_stream = channel.is_byte_stream();
        let notification =
            Notification { characteristic, sequence, signal, samples, due_ns, bytes };
        let flight = Flight { notification, part, byte_stream };
        let Landing { arriving, settled } = self.air.carry(flight, &mut self.injected);
        for (part, fate) in settled {
            self.settle(&part, fate);
        }
        for notification in arriving {
            self.injected.sent += 1;
            self.ready.push_back(Output::Notification(notification));
        }
    }

    fn settle(&mut self, part: &Part, fate: Fate) {
        let is_it = |channel: &&mut Channel| channel.signal == part.signal;
        if let Some(channel) = self.channels.iter_mut().find(is_it) {
            channel.settle(&part.samples, part.whole, fate, &mut self.injected);
        }
    }

    /// Pushes an answer to a command, which no fault touches.
    pub(super) fn answer(&mut self, characteristic: Uuid, bytes: Vec<u8>, now_ns: u64) {
        let sequence = self.answer_sequence;
        self.answer_sequence += 1;
        if self.subscribed.contains(&characteristic) {
            self.ready.push_back(Output::Notification(Notification {
                characteristic,
                sequence,
                signal: None,
                samples: 0..0,
                due_ns: now_ns,
                bytes,
            }));
        }
    }

    pub(super) fn write_serial(&mut self, bytes: &[u8], now_ns: u64) -> Result<(), WriteError> {
        let [Channel { sensor: Sensor::Shimmer(shimmer), told, .. }] = self.channels.as_mut_slice()
        else {
            return Err(WriteError::NotPermitted);
        };
        let (effect, pieces) = shimmer.command(bytes, *told == Told::Running);
        // Samples that the radio still held go out before the answer, on the same stream.
        for Piece { bytes, samples, whole } in pieces {
            self.answer(gatt::SHIMMER_FROM_DEVICE, bytes, now_ns);
            let listened = self.subscribed.contains(&gatt::SHIMMER_FROM_DEVICE);
            let fate = if listened { Fate::Sent } else { Fate::Unsent };
            self.settle(&Part { signal: Signal::Eda, samples, whole }, fate);
        }
        if let [channel] = self.channels.as_mut_slice() {
            match effect {
                Effect::Start => channel.start(now_ns, &mut self.injected),
                Effect::Stop if channel.told == Told::Running => channel.told = Told::Idle,
                Effect::Stop | Effect::None => {}
            }
        }
        Ok(())
    }

    pub(super) fn notify_battery(&mut self, due_ns: u64) {
        let percent = self.battery.announce();
        let sequence = self.battery_sequence;
        self.battery_sequence += 1;
        if self.subscribed.contains(&gatt::BATTERY_LEVEL) {
            self.injected.sent += 1;
            self.ready.push_back(Output::Notification(Notification {
                characteristic: gatt::BATTERY_LEVEL,
                sequence,
                signal: None,
                samples: 0..0,
                due_ns,
                bytes: vec![percent],
            }));
        }
    }

    /// A measurement held back to be reordered goes down with the link.
    pub(super) fn forget_held(&mut self) {
        if let Some(held) = self.air.held.take() {
            self.injected.lost += 1;
            self.settle(&held.part, Fate::Lost);
        }
    }
}
