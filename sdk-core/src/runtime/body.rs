//! From the samples of all devices to the features of one body.

use crate::{
    clock::Nanos,
    sensor::{Quality, Sample, Signal},
    signal::{BeatStream, EdaFeatures, FeatureVector, HrvFeatures},
};
use protocol::consent::Modality;
use std::time::Duration;

/// A device that gave nothing good for so long makes room for the next of its modality.
const MAKES_ROOM: Duration = Duration::from_secs(10);

/// What some samples led to.
#[derive(Debug, Default)]
pub struct Derived {
    /// RR intervals found in an ECG or a PPG, oldest first.
    pub beats: Vec<Sample>,
    /// Features.
    pub features: Vec<FeatureVector>,
}

/// The features of one body, whatever number of devices sits on it.
///
/// Two devices that measure the same are two accounts of one heart or one skin: features come from
/// one of them, the one that was there first, until it falls silent.
#[derive(Debug)]
pub(super) struct Body {
    eda: EdaFeatures,
    hrv: HrvFeatures,
    ecg: BeatStream,
    ppg: BeatStream,
    /// Of EDA and HRV: which device gives it, and when it last gave something good.
    leads: [Option<(usize, Nanos)>; 2],
}

impl Body {
    pub(super) fn new() -> Self {
        Self {
            eda: EdaFeatures::new(),
            hrv: HrvFeatures::new(),
            ecg: BeatStream::new(Signal::Ecg),
            ppg: BeatStream::new(Signal::Ppg),
            leads: [None; 2],
        }
    }

    /// Takes the next sample of a device.
    pub(super) fn take(&mut self, device: usize, sample: &Sample, derived: &mut Derived) {
        if !self.leads(device, sample) {
            return;
        }
        match sample.signal {
            Signal::SkinConductance => derived.features.extend(self.eda.push(sample)),
            Signal::RrInterval => derived.features.extend(self.hrv.push(sample)),
            Signal::Ecg | Signal::Ppg => {
                let found = match sample.signal {
                    Signal::Ecg => self.ecg.push(sample),
                    _ => self.ppg.push(sample),
                };
                derived.features.extend(found.iter().filter_map(|beat| self.hrv.push(beat)));
                derived.beats.extend(found);
            }
            // On the wrist it tells which skin conductance is movement.
            Signal::Acceleration if sample.modality == Modality::Eda => {
                derived.features.extend(self.eda.push(sample));
            }
            Signal::Acceleration => {}
        }
    }

    /// Whether features come from this device. Movement alone makes no device the first.
    fn leads(&mut self, device: usize, sample: &Sample) -> bool {
        let lead = &mut self.leads[usize::from(sample.modality != Modality::Eda)];
        let good = sample.quality == Quality::Good && sample.signal != Signal::Acceleration;
        match lead {
            Some((leader, last)) if *leader == device => {
                if good {
                    *last = sample.at;
                }
                true
            }
            Some((_, last)) if sample.at.since(*last) < MAKES_ROOM => false,
            _ if good => {
                // Another device, another timeline: what was gathered does not go on.
                let fresh = Self::new();
                let changed = lead.replace((device, sample.at)).is_some();
                match sample.modality {
                    _ if !changed => {}
                    Modality::Eda => self.eda = fresh.eda,
                    _ => (self.hrv, self.ecg, self.ppg) = (fresh.hrv, fresh.ecg, fresh.ppg),
                }
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(at_s: f64, quality: Quality) -> Sample {
        let at = Nanos::from_secs_f64(at_s);
        let (modality, signal) = (Modality::Hrv, Signal::RrInterval);
        Sample { modality, signal, stream_at: at, at, value: 800.0, quality, contiguous: true }
    }

    fn vectors(body: &mut Body, device: usize, sample: Sample) -> usize {
        let mut derived = Derived::default();
        body.take(device, &sample, &mut derived);
        derived.features.len()
    }

    #[test]
    fn one_of_two_devices_leads_until_it_falls_silent() {
        let mut body = Body::new();
        assert_eq!(vectors(&mut body, 1, beat(0.8, Quality::Good)), 1);
        assert_eq!(vectors(&mut body, 0, beat(1.0, Quality::Good)), 0, "the second adds nothing");
        assert_eq!(vectors(&mut body, 1, beat(2.4, Quality::OffBody)), 1);
        assert_eq!(vectors(&mut body, 0, beat(9.0, Quality::Good)), 0);
        assert_eq!(vectors(&mut body, 0, beat(10.9, Quality::Artefact)), 0);
        assert_eq!(vectors(&mut body, 0, beat(11.0, Quality::Good)), 1, "silent for 10 s");
        assert_eq!(vectors(&mut body, 1, beat(11.1, Quality::Good)), 0);
    }

    #[test]
    fn a_pulse_wave_becomes_beats_and_features() {
        let mut body = Body::new();
        let mut derived = Derived::default();
        for k in 0..64 * 30u64 {
            let at = Nanos(k * 15_625_000);
            let value = (at.as_secs_f64() / 0.8 * std::f64::consts::TAU).sin();
            let wave = Sample {
                signal: Signal::Ppg,
                stream_at: at,
                at,
                value,
                ..beat(0.0, Quality::Good)
            };
            body.take(0, &wave, &mut derived);
        }
        assert!(derived.beats.len() > 30, "{}", derived.beats.len());
        assert_eq!(derived.beats.len(), derived.features.len());
    }
}
