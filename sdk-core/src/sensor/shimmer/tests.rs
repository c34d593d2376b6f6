use super::*;
use proptest::prelude::*;
use protocol::shimmer::{Inquiry, ack};

/// A device at 64 Hz that writes a packet as it samples.
struct Rig {
    driver: ShimmerDriver,
    set_up: Inquiry,
    ticks: u64,
    arrived: Nanos,
}

impl Rig {
    fn new() -> Self {
        let set_up = Inquiry::gsr_only(SAMPLING_TICKS).unwrap();
        let arrived = Nanos::from_millis(1_000);
        let mut rig = Self { driver: ShimmerDriver::default(), set_up, ticks: 9_000, arrived };
        rig.connect();
        rig
    }

    fn connect(&mut self) {
        let mut hello = ack();
        hello.extend(self.set_up.encode());
        hello.extend(ack());
        assert_eq!(self.feed(&hello), []);
    }

    fn feed(&mut self, bytes: &[u8]) -> Vec<Sample> {
        self.driver.handle(self.arrived, gatt::SHIMMER_FROM_DEVICE, bytes).unwrap()
    }

    fn pass(&mut self, samples: u64) {
        let ticks = samples * u64::from(SAMPLING_TICKS);
        self.ticks += ticks;
        self.arrived = self.arrived + stream_time(ticks).since(Nanos::ZERO);
    }

    fn packet(&mut self, microsiemens: f64) -> Vec<u8> {
        self.pass(1);
        let ticks = (self.ticks % WRAP_TICKS) as u32;
        let gsr = Some(Conductance::to_raw(microsiemens));
        self.set_up.encode_packet(Packet { ticks, gsr })
    }

    fn run(&mut self, count: usize) -> Vec<Sample> {
        (0..count)
            .flat_map(|_| {
                let bytes = self.packet(4.0);
                self.feed(&bytes)
            })
            .collect()
    }
}

#[test]
fn samples_are_stamped_by_the_device() {
    let mut rig = Rig::new();
    let samples = rig.run(200);
    assert_eq!(samples.len(), 199, "the last waits for its successor");
    assert!(!samples[0].contiguous && samples[1..].iter().all(|s| s.contiguous));
    assert_eq!(samples[0].stream_at, stream_time(9_000 + 512));
    for pair in samples.windows(2) {
        assert_eq!(pair[1].stream_at.since(pair[0].stream_at).as_nanos(), 15_625_000);
    }
    let sample = samples.last().unwrap();
    assert!((sample.value - 4.0).abs() < 0.01 && sample.quality == Quality::Good);
    // Seen when the next one arrived, taken one interval before.
    assert_eq!(sample.at, rig.arrived - stream_time(512).since(Nanos::ZERO));
}

#[test]
fn gaps_are_exact() {
    let mut rig = Rig::new();
    rig.run(50);
    // Forty whole packets, and what the framer had of the one before.
    rig.pass(40);
    let after = rig.run(20);
    let stats = rig.driver.stats();
    assert_eq!((stats.lost, stats.lost_samples), (41, 41));
    assert_eq!(after.iter().filter(|s| !s.contiguous).count(), 1);
    assert_eq!(stats.samples + stats.lost_samples + 1, 50 + 40 + 20, "one waits");
}

#[test]
fn bytes_lost_in_the_middle_lose_samples_and_nothing_else() {
    let mut rig = Rig::new();
    rig.run(10);
    let mut bytes: Vec<u8> = (0..40).flat_map(|_| rig.packet(4.0)).collect();
    bytes.drain(100..117);
    let samples = rig.feed(&bytes);
    assert!(samples.iter().all(|s| (s.value - 4.0).abs() < 0.01));
    let stats = rig.driver.stats();
    assert_eq!(stats.samples + stats.lost_samples + 1, 50);
    assert!((3..=5).contains(&stats.lost), "{}", stats.lost);
}

#[test]
fn long_outages_wrap_the_clock() {
    let mut rig = Rig::new();
    rig.run(20);
    rig.driver.reconnected();
    rig.pass(64 * 1_300); // 1,300 s: the clock wraps twice
    rig.connect();
    rig.run(20);
    let stats = rig.driver.stats();
    assert_eq!((stats.lost, stats.clock_resets), (64 * 1_300 + 1, 0));
}

#[test]
fn a_restarted_clock_is_not_a_loss() {
    let mut rig = Rig::new();
    let before = rig.run(3_000).pop().unwrap();
    rig.driver.reconnected();
    rig.pass(64 * 60);
    rig.ticks = 100;
    rig.connect();
    let after = rig.run(20);
    assert!(after[0].stream_at > before.stream_at && !after[0].contiguous);
    let stats = rig.driver.stats();
    assert_eq!((stats.clock_resets, stats.lost), (1, 0));
}

#[test]
fn what_was_measured_without_consent_is_not_lost() {
    let mut rig = Rig::new();
    rig.run(20);
    rig.driver.interrupted();
    rig.pass(64 * 60);
    rig.connect();
    assert!(!rig.run(20)[0].contiguous);
    assert_eq!(rig.driver.stats().lost, 0);
}

#[test]
fn open_electrodes_are_off_body() {
    let mut rig = Rig::new();
    let mut read = |microsiemens: f64| {
        let bytes: Vec<u8> = (0..5).flat_map(|_| rig.packet(microsiemens)).collect();
        let last = rig.feed(&bytes).pop().unwrap();
        (last.quality, rig.driver.status().contact)
    };
    assert_eq!(read(5.0), (Quality::Good, Some(true)));
    assert_eq!(read(0.0), (Quality::OffBody, Some(false)));
    assert_eq!(read(1_000.0), (Quality::Saturated, Some(true)));
}

#[test]
fn a_stream_without_skin_conductance_is_refused() {
    let mut rig = Rig::new();
    rig.set_up = Inquiry::new(SAMPLING_TICKS, 0, &[0]).unwrap();
    rig.connect();
    let bytes: Vec<u8> = (0..5).flat_map(|_| rig.packet(5.0)).collect();
    let read = rig.driver.handle(rig.arrived, gatt::SHIMMER_FROM_DEVICE, &bytes);
    assert_eq!(read, Err(DriverError::NoGsr));
}

proptest! {
    #[test]
    fn anything_keeps_the_accounts_and_the_order(
        steps in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..20), 0u64..3, 0u64..100_000, any::<bool>()), 0..60),
    ) {
        let mut rig = Rig::new();
        let mut last = Nanos::ZERO;
        for (noise, packets, wait, whole) in &steps {
            rig.pass(*wait);
            let mut bytes: Vec<u8> = if *whole { Vec::new() } else { noise.clone() };
            (0..*packets).for_each(|_| bytes.extend(rig.packet(3.0)));
            let samples = rig.driver.handle(rig.arrived, gatt::SHIMMER_FROM_DEVICE, &bytes);
            for sample in samples.unwrap_or_default() {
                prop_assert!(sample.stream_at >= last);
                last = sample.stream_at;
            }
        }
        let s = rig.driver.stats();
        prop_assert_eq!(s.accepted + s.rejected, 1 + steps.len() as u64);
    }
}
