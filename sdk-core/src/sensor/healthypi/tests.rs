use super::*;
use proptest::prelude::*;

const BATCH: usize = 8;
const BATCH_MS: u64 = 250;

/// A watch that sends batches of eight, each when its last sample is taken.
struct Rig {
    driver: HealthyPiDriver,
    now_ms: u64,
}

impl Rig {
    fn new() -> Self {
        Self { driver: HealthyPiDriver::default(), now_ms: 1_000 }
    }

    fn send(&mut self, counts: &[i32]) -> Result<Vec<Sample>, DriverError> {
        let arrived = Nanos::from_millis(self.now_ms);
        self.driver.handle(arrived, gatt::HEALTHYPI_GSR, &healthypi::encode(counts))
    }

    fn batch(&mut self, jitter_ms: u64) -> Vec<Sample> {
        self.now_ms += BATCH_MS;
        let late = Nanos::from_millis(self.now_ms + jitter_ms);
        let bytes = healthypi::encode(&[300; BATCH]);
        self.driver.handle(late, gatt::HEALTHYPI_GSR, &bytes).unwrap()
    }
}

#[test]
fn the_samples_are_the_timeline() {
    let mut rig = Rig::new();
    let samples: Vec<Sample> = (0..40).flat_map(|k| rig.batch(k * 37 % 90)).collect();
    assert!(samples[1..].iter().all(|s| s.contiguous));
    let last = samples.last().unwrap();
    assert_eq!((last.stream_at, last.value), (Nanos::from_millis(10_000), 3.0));
    assert_eq!(rig.driver.stats().lost, 0);
}

#[test]
fn loss_is_estimated_by_arrival() {
    let mut rig = Rig::new();
    (0..20).for_each(|_| drop(rig.batch(0)));
    rig.now_ms += 3 * BATCH_MS;
    let after: Vec<Sample> = (0..20).flat_map(|_| rig.batch(0)).collect();
    let stats = rig.driver.stats();
    assert_eq!((stats.lost, stats.lost_samples), (3, 3 * BATCH as u64));
    assert_eq!(after.iter().filter(|s| !s.contiguous).count(), 1);
    let last = after.last().unwrap();
    assert_eq!(last.stream_at, Nanos::from_millis(43 * BATCH_MS), "time went on meanwhile");
}

#[test]
fn a_measurement_that_ended_is_not_a_loss() {
    let mut rig = Rig::new();
    rig.batch(0);
    rig.now_ms += 60_000;
    assert!(!rig.batch(0)[0].contiguous);
    (0..10).for_each(|_| drop(rig.batch(0)));
    assert_eq!(rig.driver.stats().lost, 0);
}

#[test]
fn the_time_away_is_counted_however_long() {
    for away in [1, 9, 14_400] {
        let mut rig = Rig::new();
        (0..20).for_each(|k| drop(rig.batch(k % 3 * 10)));
        rig.now_ms += away * BATCH_MS;
        rig.driver.reconnected();
        let after: Vec<Sample> = (0..20).flat_map(|k| rig.batch(k % 3 * 10)).collect();
        assert_eq!(after.iter().filter(|s| !s.contiguous).count(), 1);
        let stats = rig.driver.stats();
        assert_eq!((stats.lost, stats.lost_samples), (away, away * BATCH as u64));
        assert_eq!(after.last().unwrap().stream_at, Nanos::from_millis((away + 40) * BATCH_MS));
        // Left on purpose is another matter.
        rig.driver.reconnected();
        rig.driver.interrupted();
        rig.now_ms += 60_000;
        rig.batch(0);
        assert_eq!(rig.driver.stats().lost, away);
    }
}

#[test]
fn ecg_between_is_refused() {
    // Four notifications of ECG, 128 Hz, for each of skin conductance, at any phase.
    for phase_ms in [1, 20, 40, 61] {
        let mut rig = Rig::new();
        (0..10).for_each(|_| drop(rig.batch(0)));
        let mut last = None;
        for k in 0..40 {
            for part in 0..4 {
                let beat = |n: i32| -4_000 + 900 * ((n + part + k) % 13) * ((n + part) % 7);
                let ecg: Vec<i32> = (0..BATCH as i32).map(beat).collect();
                let now_ms = rig.now_ms;
                rig.now_ms += phase_ms + 62 * part as u64;
                assert!(matches!(rig.send(&ecg), Err(DriverError::NotSkin { .. })));
                rig.now_ms = now_ms;
            }
            last = rig.batch(0).pop();
        }
        let stats = rig.driver.stats();
        assert_eq!((stats.accepted, stats.rejected), (50, 160), "{phase_ms} ms");
        assert_eq!((stats.poor_samples, stats.lost), (0, 0));
        assert_eq!(last.map(|s| s.stream_at), Some(Nanos::from_millis(50 * BATCH_MS)));
    }
}

#[test]
fn a_bad_contact_stays_in_the_stream() {
    let mut rig = Rig::new();
    (0..10).for_each(|_| drop(rig.batch(0)));
    let mut send = |counts: &[i32]| {
        rig.now_ms += BATCH_MS;
        rig.send(counts)
    };
    let open = [0, 0, 0, 0, 0, 0, 0, 9_000];
    assert!(send(&open).is_err(), "the first could be something else");
    for _ in 0..3 {
        let samples = send(&open).unwrap();
        assert!(samples.iter().all(|s| s.quality == Quality::Artefact));
    }
    let jump = send(&[300, 300, 900, 300, 300, 300, 300, 300]).unwrap();
    let poor: Vec<usize> = (0..BATCH).filter(|k| jump[*k].quality != Quality::Good).collect();
    assert_eq!(poor, [2], "6 microsiemens within 31 ms are no skin's");
}

#[test]
fn damaged_payloads_are_counted() {
    let mut rig = Rig::new();
    rig.batch(0);
    let arrived = Nanos::from_millis(rig.now_ms);
    assert!(rig.driver.handle(arrived, gatt::HEALTHYPI_GSR, &[1, 2, 3]).is_err());
    assert!(!rig.batch(0)[0].contiguous);
    assert_eq!(rig.driver.stats().rejected, 1);
}

proptest! {
    #[test]
    fn anything_keeps_the_accounts_and_the_order(
        payloads in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..40), 0u64..20_000), 0..60),
    ) {
        let mut driver = HealthyPiDriver::default();
        let (mut now_ms, mut last) = (0, Nanos::ZERO);
        for (payload, wait_ms) in &payloads {
            now_ms += wait_ms;
            let arrived = Nanos::from_millis(now_ms);
            let samples = driver.handle(arrived, gatt::HEALTHYPI_GSR, payload);
            for sample in samples.unwrap_or_default() {
                prop_assert!(sample.stream_at >= last);
                last = sample.stream_at;
            }
        }
        let s = driver.stats();
        prop_assert_eq!(s.accepted + s.rejected, payloads.len() as u64);
    }
}
