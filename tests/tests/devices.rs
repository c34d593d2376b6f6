//! Each vendor's device with its real driver over a real D-Bus: what the body does arrives, what
//! goes wrong is counted, what was started is stopped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use firmware_sim::{
    fake_bluez::SimEvent,
    fault::FaultKind,
    physiology::{Beat, Heart, Person, Script, Skin},
};
use sdk_core::{
    runtime::Update,
    sensor::{DeviceProfile, Quality, Sample, Signal},
};
use tests::{
    accounts::Books,
    rig::{on_private_bus, wait_for},
    soak,
};

const SEED: u64 = 21;

/// A device stays away long enough that its driver is told first, short enough for a test.
const AWAY_S: f64 = 2.0;

/// Waits for so many samples of a signal; gives all samples meanwhile.
async fn collect(books: &mut Books, signal: Signal, count: usize) -> Vec<Sample> {
    let mut all = Vec::new();
    wait_for(&mut books.updates, "enough samples", |update| {
        if let Update::Samples(samples) = update {
            all.extend_from_slice(samples);
        }
        (of(&all, signal).count() >= count).then_some(())
    })
    .await;
    all
}

fn of(samples: &[Sample], signal: Signal) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(move |sample| sample.signal == signal)
}

fn values(samples: &[Sample], signal: Signal) -> Vec<f64> {
    of(samples, signal).map(|sample| sample.value).collect()
}

fn beats() -> Vec<Beat> {
    Heart::new(SEED, &Script::demo()).take(120).collect()
}

/// The life of one device: it streams, things go wrong, it goes away and comes back, it is closed.
/// `count` samples of `signal` are some seconds of it, and what `sane` looks at. As many samples as
/// `unconfirmed` may be given up at the end of a stream.
fn through_its_life(
    test: &str,
    profile: DeviceProfile,
    signal: Signal,
    count: usize,
    sane: fn(&[Sample]),
    unconfirmed: u64,
) {
    on_private_bus(test, async |bus| {
        let wearable = soak::wearable(profile, SEED);
        let name = wearable.spec.name.clone();
        let mut books = Books::open(&bus, vec![wearable]).await;
        let clean = collect(&mut books, signal, count).await;
        sane(&clean);
        assert!(of(&clean, signal).skip(1).all(|sample| sample.contiguous), "a gap in {signal:?}");
        for kind in soak::faults(profile) {
            books.inject(0, kind).await;
            books.connected(0).await;
            collect(&mut books, signal, count / 4).await;
        }
        collect(&mut books, signal, count / 2).await;
        let account = books.balance(0, AWAY_S).await;
        println!("{account:?}, {} uncounted", account.uncounted());
        assert!(account.missing > 0 && account.connects == 2, "{account:?}");
        account.check(unconfirmed);

        books.connected(0).await;
        collect(&mut books, signal, count / 4).await;
        let writes = |log: &[SimEvent]| {
            let accepted =
                |event: &&SimEvent| matches!(event, SimEvent::Written { accepted: true, .. });
            log.iter().filter(accepted).count()
        };
        let before = writes(&books.rig.bluez.log());
        let selector = profile.selector(None);
        assert_eq!(before, 3 * selector.hello.len(), "a hello for each connection");
        assert_eq!(books.rig.bluez.started(&name).is_empty(), selector.hello.is_empty());
        books.session.stop().await.unwrap();
        let stops = writes(&books.rig.bluez.log()) - before;
        assert_eq!(stops, selector.goodbye.len(), "what was started is stopped");
        assert!(books.rig.bluez.started(&name).is_empty(), "{name} still streams");
    });
}

/// Times of R waves, by the plainest rule: the highest sample above 0.7 of the body's R. T and the
/// wander of the baseline do not reach that.
fn r_waves(samples: &[Sample]) -> Vec<f64> {
    let least = 700.0 * Person::from_seed(SEED).r_wave_millivolts;
    let ecg: Vec<&Sample> = of(samples, Signal::Ecg).collect();
    let groups = ecg.chunk_by(|a, b| (a.value > least) == (b.value > least));
    let peak = |group: &[&Sample]| {
        let highest = group.iter().max_by(|a, b| a.value.total_cmp(&b.value)).unwrap();
        highest.stream_at.as_secs_f64()
    };
    groups.filter(|group| group[0].value > least).map(peak).collect()
}

/// Whether intervals are a run of the body's, each to within `tolerance_s`.
fn are_the_bodys(intervals: &[f64], tolerance_s: f64) -> bool {
    let body: Vec<f64> = beats().iter().map(|beat| beat.rr_s).collect();
    let fits = |run: &[f64]| run.iter().zip(intervals).all(|(a, b)| (a - b).abs() <= tolerance_s);
    intervals.len() >= 4 && body.windows(intervals.len()).any(fits)
}

fn in_the_bodys_range(samples: &[Sample]) {
    let mut skin = Skin::new(SEED, &Script::demo());
    let body: Vec<f64> = (0..4 * 60).map(|k| skin.microsiemens_at(f64::from(k) / 4.0)).collect();
    let (low, high) = body.iter().fold((f64::MAX, 0.0_f64), |(l, h), v| (l.min(*v), h.max(*v)));
    for sample in of(samples, Signal::SkinConductance) {
        assert_eq!(sample.quality, Quality::Good);
        assert!((low - 0.02..=high + 0.02).contains(&sample.value), "{sample:?} of {low}..{high}");
    }
}

fn at_rest(samples: &[Sample]) {
    let g = values(samples, Signal::Acceleration);
    assert!(g.len() > 20 && g.iter().all(|g| (0.95..1.05).contains(g)), "{g:?}");
}

#[test]
fn polar_ecg_is_the_bodys_and_every_loss_is_counted() {
    let sane = |samples: &[Sample]| {
        at_rest(samples);
        let r_waves = r_waves(samples);
        let intervals: Vec<f64> = r_waves.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(are_the_bodys(&intervals, 1.5 / 130.0), "{intervals:?}");
        let highest = values(samples, Signal::Ecg).into_iter().fold(f64::MIN, f64::max);
        let r_wave = 1000.0 * Person::from_seed(SEED).r_wave_millivolts;
        assert!((highest / r_wave - 1.0).abs() < 0.3, "{highest} of {r_wave} microvolts");
    };
    let name = "polar_ecg_is_the_bodys_and_every_loss_is_counted";
    through_its_life(name, DeviceProfile::PolarEcg, Signal::Ecg, 130 * 7, sane, 0);
}

#[test]
fn polar_pulse_intervals_are_the_bodys_and_none_is_forgotten() {
    let sane = |samples: &[Sample]| {
        let seconds: Vec<f64> =
            values(samples, Signal::RrInterval).iter().map(|ms| ms / 1e3).collect();
        assert!(are_the_bodys(&seconds, 0.002), "{seconds:?}");
    };
    let name = "polar_pulse_intervals_are_the_bodys_and_none_is_forgotten";
    through_its_life(name, DeviceProfile::PolarPpi, Signal::RrInterval, 9, sane, 0);
}

#[test]
fn polar_ppg_pulses_with_the_body_and_every_loss_is_counted() {
    let sane = |samples: &[Sample]| {
        at_rest(samples);
        // What the blood takes, turned back into what the sensor sees.
        let light: Vec<f64> = values(samples, Signal::Ppg).iter().map(|taken| -taken).collect();
        let (low, high) =
            light.iter().fold((f64::MAX, 0.0_f64), |(l, h), v| (l.min(*v), h.max(*v)));
        let depth = (high - low) / high;
        assert!(low > 250_000.0 && (0.01..0.05).contains(&depth), "{low} to {high} counts");
        // Dips into the lowest third: one for each beat, the reflected wave does not reach it.
        let third = low + (high - low) / 3.0;
        let dips = light.windows(2).filter(|w| w[0] >= third && w[1] < third).count();
        let expected = light.len() as f64 / 55.0 / beats()[5].rr_s;
        assert!((dips as f64 - expected).abs() <= 2.0, "{dips} dips, about {expected} beats");
    };
    let name = "polar_ppg_pulses_with_the_body_and_every_loss_is_counted";
    through_its_life(name, DeviceProfile::PolarPpg, Signal::Ppg, 55 * 7, sane, 0);
}

#[test]
fn healthypi_gsr_is_the_bodys_and_none_is_forgotten() {
    let name = "healthypi_gsr_is_the_bodys_and_none_is_forgotten";
    let profile = DeviceProfile::HealthyPiGsr;
    through_its_life(name, profile, Signal::SkinConductance, 32 * 5, in_the_bodys_range, 0);
}

#[test]
fn shimmer_gsr_is_the_bodys_and_every_loss_is_counted() {
    let name = "shimmer_gsr_is_the_bodys_and_every_loss_is_counted";
    let profile = DeviceProfile::ShimmerGsr;
    // A packet is believed when the next one follows it: the last of a stream never is.
    through_its_life(name, profile, Signal::SkinConductance, 64 * 5, in_the_bodys_range, 1);
}

#[test]
fn healthypi_ecg_in_the_wrong_place_is_mostly_refused() {
    on_private_bus("healthypi_ecg_in_the_wrong_place_is_mostly_refused", async |bus| {
        let mut watch = soak::wearable(DeviceProfile::HealthyPiGsr, SEED);
        watch.spec.eda.mixes_in_ecg = true;
        let name = watch.spec.name.clone();
        let mut books = Books::open(&bus, vec![watch]).await;
        collect(&mut books, Signal::SkinConductance, 32 * 12).await;
        let account = books.balance(0, AWAY_S).await;
        let stats = books.session.summary().await.unwrap().streams[0];
        let stray = books.rig.bluez.injected(&name).unwrap().samples.ecg.sent / 8;
        println!(
            "{} of {stray} notifications of ECG refused, {account:?}, {stats:?}",
            stats.rejected
        );
        // 93 of 100 when this was written: what is left looks like skin, and is early by chance.
        assert!(stats.rejected * 10 >= stray * 8, "{stats:?}");
        books.session.stop().await.unwrap();
    });
}

#[test]
fn off_the_skin_is_a_state_of_every_device_that_knows() {
    on_private_bus("off_the_skin_is_a_state_of_every_device_that_knows", async |bus| {
        use DeviceProfile::{Eda, PolarEcg, PolarPpg, ShimmerGsr};
        let wearables = [Eda, PolarEcg, PolarPpg, ShimmerGsr];
        let wearables = wearables.map(|profile| soak::wearable(profile, SEED));
        let mut books = Books::open(&bus, wearables.to_vec()).await;
        for contact in [false, true] {
            let mut waiting = [true; 4];
            for device in 0..waiting.len() {
                // Long enough for a strap to miss a beat.
                let off = FaultKind::ContactLoss { for_s: 3.0 };
                if !contact {
                    books.inject(device, off).await;
                }
            }
            wait_for(&mut books.updates, "contact lost, then found", |update| {
                if let Update::Device { device, status, .. } = update {
                    waiting[*device] &= status.contact != Some(contact);
                }
                (!waiting.contains(&true)).then_some(())
            })
            .await;
        }
        books.session.stop().await.unwrap();
    });
}

#[test]
fn all_at_once_and_nothing_is_lost_uncounted() {
    const SECONDS: f64 = 20.0;
    on_private_bus("all_at_once_and_nothing_is_lost_uncounted", async |bus| {
        let report = soak::soak(&bus, SECONDS).await;
        println!("{:#}", report.json());
        assert!(report.faults as f64 > SECONDS, "{} faults", report.faults);
        assert_eq!(report.dropped, 0);
        for account in &report.devices {
            account.check(u64::from(account.profile == DeviceProfile::ShimmerGsr));
            assert!(account.missing > 0 && account.received > 0, "{account:?}");
        }
    });
}
