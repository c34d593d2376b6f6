//! Evenly sampled signals in frames: a Polar's ECG, PPG and acceleration, a HealthyPi's skin
//! conductance.

use std::f64::consts::TAU;

use protocol::{
    healthypi,
    polar_pmd::{AccelerationLayout, Frame, Samples},
};

use super::{channel::Piece, clock::DeviceClock, conditions::Conditions, grid::Grid, pmd};
use crate::{
    fault::Injected,
    physiology::{Ecg, Motion, Ppg},
    source::{Beats, Conductance},
};

#[derive(Debug)]
pub(super) struct FrameStream {
    clock: DeviceClock,
    grid: Grid,
    signal: Wave,
    /// The recording is over.
    ended: bool,
}

/// What is sampled.
#[derive(Debug)]
pub(super) enum Wave {
    Ecg(Box<Ecg<Beats>>),
    Ppg(Box<Ppg<Beats>>),
    /// What one count is, in milli-g, where frames are compressed.
    Acceleration(Box<Motion>, Option<f64>),
    Gsr(Conductance),
    /// ECG that a HealthyPi sends where skin conductance belongs.
    StrayEcg(Box<Ecg<Beats>>),
}

/// Light that the three LEDs of an optical sensor give back, in counts. Assumption.
const LED_COUNTS: [f64; 3] = [312_000.0, 298_000.0, 305_000.0];
/// Ambient light under the sensor, in counts; off the skin much more.
const AMBIENT_COUNTS: f64 = 4_200.0;
const AMBIENT_OFF_SKIN_COUNTS: f64 = 900_000.0;
/// Share of the light of an LED that comes back from no skin.
const LIGHT_OFF_SKIN: f64 = 0.05;
/// What an open electrode picks up: the mains.
const MAINS_HZ: f64 = 50.0;
const MAINS_MICROVOLTS: f64 = 2_000.0;
const MICROVOLTS_PER_MILLIVOLT: f64 = 1_000.0;
/// What a count of a HealthyPi's ECG is: 1 V in 17 bits and a sign at a gain of 20 (data sheet of
/// its converter, MAX30001).
const STRAY_MICROVOLTS_PER_COUNT: f64 = 1e6 / 131_072.0 / 20.0;

impl FrameStream {
    /// A stream of `signal` with a sample every `step / per_second` device seconds.
    pub(super) fn new(
        clock: DeviceClock,
        (step, per_second): (u64, u64),
        batch: u64,
        signal: Wave,
    ) -> Self {
        Self { clock, grid: Grid::new(clock, step, per_second, batch), signal, ended: false }
    }

    pub(super) fn next_due_ns(&self) -> Option<u64> {
        (!self.ended).then(|| self.grid.due_ns())
    }

    /// A frame begins with the first sample from `now_ns` on; gives how many are passed over.
    pub(super) fn begin(&mut self, now_ns: u64) -> u64 {
        self.grid.begin(now_ns)
    }

    /// Sets samples a second and samples a frame; the next frame begins with the first sample from
    /// `now_ns` on.
    pub(super) fn set_rate(&mut self, hz: u64, batch: u64, now_ns: u64) {
        self.grid = Grid::new(self.clock, 1, hz, batch);
        self.grid.begin(now_ns);
    }

    /// What is due, and on to the next; `None` when the recording is over.
    pub(super) fn take(&mut self, now: &Conditions, counts: &mut Injected) -> Option<Piece> {
        let first = self.grid.sample;
        let times = (first..first + self.grid.batch).map(|sample| self.grid.true_ns(sample));
        let (taken, bytes) = match &mut self.signal {
            Wave::Gsr(skin) => {
                let samples: Vec<i32> =
                    times.map_while(|at_ns| gsr(skin, at_ns, now, counts)).collect();
                (samples.len(), healthypi::encode(&samples))
            }
            Wave::StrayEcg(ecg) => {
                let samples: Vec<i32> = times.map_while(|at_ns| stray_ecg(ecg, at_ns)).collect();
                (samples.len(), healthypi::encode(&samples))
            }
            signal => {
                let samples = signal.polar(times, now);
                let last = first + (samples.len() as u64).saturating_sub(1);
                let timestamp_ns = pmd::timestamp_ns(now.shown_ns(self.grid.device_ns(last)));
                (samples.len(), Frame { timestamp_ns, samples }.encode())
            }
        };
        let taken = taken as u64;
        self.ended = taken < self.grid.batch;
        self.grid.sample = first + taken;
        (taken > 0).then(|| Piece::whole(bytes, first..first + taken))
    }
}

impl Wave {
    /// Samples at `times` as a Polar sends them, as far as there is a signal.
    fn polar(&mut self, times: impl Iterator<Item = u64>, now: &Conditions) -> Samples {
        match self {
            Self::Ecg(ecg) => {
                Samples::Ecg(times.map_while(|t| ecg_microvolts(ecg, t, now)).collect())
            }
            Self::Ppg(ppg) => Samples::Ppg {
                counts: times.map_while(|at_ns| ppg_counts(ppg, at_ns, now)).collect(),
                compressed: true,
            },
            Self::Acceleration(motion, milli_g) => {
                let per_count = milli_g.unwrap_or(1.0);
                let counts = times.map(|at_ns| {
                    motion.at(seconds(at_ns)).milli_g.map(|a| (a / per_count).round() as i32)
                });
                let layout = match milli_g {
                    None => AccelerationLayout::Raw16,
                    Some(_) => AccelerationLayout::CompressedMilliG,
                };
                Samples::Acceleration { counts: counts.collect(), layout }
            }
            Self::Gsr(_) | Self::StrayEcg(_) => Samples::Ecg(Vec::new()),
        }
    }
}

fn ecg_microvolts(ecg: &mut Ecg<Beats>, at_ns: u64, now: &Conditions) -> Option<i32> {
    let at_s = seconds(at_ns);
    let microvolts = ecg.millivolts_at(at_s)? * MICROVOLTS_PER_MILLIVOLT;
    let mains = MAINS_MICROVOLTS * (TAU * MAINS_HZ * at_s).sin();
    Some(if now.off_skin.contains(&at_ns) { mains } else { microvolts }.round() as i32)
}

fn ppg_counts(ppg: &mut Ppg<Beats>, at_ns: u64, now: &Conditions) -> Option<[i32; 4]> {
    let light = ppg.light_at(seconds(at_ns))?;
    let (light, ambient) = match now.off_skin.contains(&at_ns) {
        false => (light, AMBIENT_COUNTS),
        true => (LIGHT_OFF_SKIN, AMBIENT_OFF_SKIN_COUNTS),
    };
    let [a, b, c] = LED_COUNTS.map(|counts| (counts * light).round() as i32);
    Some([a, b, c, ambient.round() as i32])
}

/// A HealthyPi knows no "no reading" and no contact: it says 0.
fn gsr(skin: &mut Conductance, at_ns: u64, now: &Conditions, counts: &mut Injected) -> Option<i32> {
    let reading = skin.microsiemens_at(seconds(at_ns))?;
    if now.off_skin.contains(&at_ns) {
        return Some(0);
    }
    if now.saturated.contains(&at_ns) {
        counts.saturated_samples += 1;
        return Some(i32::MAX);
    }
    let counted = healthypi::count(reading).filter(|_| !now.no_reading.contains(&at_ns));
    counts.missing_samples += u64::from(counted.is_none());
    Some(counted.unwrap_or(0))
}

fn stray_ecg(ecg: &mut Ecg<Beats>, at_ns: u64) -> Option<i32> {
    let microvolts = ecg.millivolts_at(seconds(at_ns))? * MICROVOLTS_PER_MILLIVOLT;
    Some((microvolts / STRAY_MICROVOLTS_PER_COUNT).round() as i32)
}

pub(super) fn seconds(at_ns: u64) -> f64 {
    at_ns as f64 / 1e9
}
