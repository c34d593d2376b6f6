//! The clock of one device stream against session time: offset, drift, uncertainty.
//!
//! A packet cannot arrive before it was measured, and delay only ever adds: seen over time, the
//! differences `arrival - stream time` lie above a line whose height is the offset and whose slope
//! is the drift. Its slope is taken from the lower convex hull of the differences (L. Zhang, Z.
//! Liu, C. H. Xia, "Clock Synchronization Algorithms for Network Measurements", INFOCOM 2002,
//! section III), and then it is pushed up against them from below. Where that paper takes the one
//! edge of the hull over the mean of the times, here it is the chord of the hull over the middle
//! half of them: several edges are quieter than one.
//!
//! Chosen by measuring two streams of one body, 100 ppm apart, with delays of 0 to 15 ms, bursts
//! and a 30-ms connection interval: largest disagreement after minute 10. Over 100 bodies this
//! chord 4.3 ms, the edge over the mean 6.8 ms (15-minute window). In a prototype over 8 to 12 bodies, with the edge
//! at 4.9 ms: least squares through the hull's corners 8.2 ms, the minimum filter of NTP (RFC 5905,
//! section 10) 13.3 ms, a 5-minute window 15.7 ms; a Kalman filter with a one-sided gate was the
//! best in the median and lost a stream by 300 ms after bursts.

use super::Nanos;
use std::{collections::VecDeque, time::Duration};

/// Packets of so long share one point: the earliest of them.
const BIN: Duration = Duration::from_secs(4);
/// Largest drift that is believed, as a ratio: the worst sleep clock accuracy of Bluetooth, 500
/// ppm (Core Specification 5.4, vol. 6, part B, section 4.2.2).
const LARGEST_DRIFT: f64 = 500e-6;
/// Seconds of data that weigh as much as the belief that there is no drift: over a minute, 6 ms of
/// roughness look like 100 ppm, as much as a quartz is off.
const PRIOR_SPAN_S: f64 = 60.0;
/// Most seconds that a drift learnt before a reset counts for.
const REMEMBERED_SPAN_S: f64 = 300.0;
/// How much earlier or later than the line is no delay but another timeline.
const STEP_NS: f64 = 250e6;
/// The same as a multiple of the uncertainty, for streams whose delays are rough.
const STEP_UNCERTAINTIES: f64 = 4.0;
/// Only packets that stay late for so long are another timeline.
const STEP_AFTER: Duration = Duration::from_secs(30);
/// The slope is that of the hull's chord without this share of the times at either end.
const CHORD_SHARE: f64 = 0.25;
/// Delay that a first packet may have: some Bluetooth connection intervals.
const FIRST_DELAY_NS: f64 = 100e6;
/// Most nanoseconds that the line sinks in a second of stream, unless a packet proves it too high.
const SINK_NS_PER_S: f64 = 0.1e9;
const NS_PER_S: f64 = 1e9;

/// Maps the timeline of one device stream onto session time.
///
/// - A mapped time is never later than the arrival of the packet it came with.
/// - The newest sample of a packet is never mapped before the newest sample of the packet before
///   it. Samples of one packet keep the device's own spacing: the oldest of them reaches back into
///   the packet before by at most the delay which this packet proves that one to have had, or by a
///   tenth of the packet's length.
/// - A link that was down leaves the line as it was. When the timeline itself changed (packets
///   that are early by more than 250 ms, or all late by that for 30 s), it begins anew by itself.
/// - What cannot be seen: a delay that every packet has. It shifts the stream by as much.
///
/// # Examples
/// ```
/// use sdk_core::clock::{Nanos, StreamClock};
///
/// let mut clock = StreamClock::default();
/// clock.observe(Nanos::from_millis(0), Nanos::from_millis(1_020));
/// clock.observe(Nanos::from_millis(250), Nanos::from_millis(1_255));
/// assert_eq!(clock.to_session(Nanos::from_millis(250)), Some(Nanos::from_millis(1_255)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct StreamClock {
    /// The earliest packet of each bin, in order of arrival; at most `WINDOW / BIN + 1`.
    points: VecDeque<Point>,
    /// Numbers are kept relative to the first packet.
    origin: Option<Origin>,
    line: Line,
    /// What was known of the drift before the points.
    prior: Drift,
    packets: u64,
    late_since: Option<Nanos>,
}

#[derive(Debug, Clone, Copy)]
struct Origin {
    stream: Nanos,
    delta_ns: i128,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    arrived: Nanos,
    x_s: f64,
    y_ns: f64,
}

/// `y = height + slope * x`.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    height_ns: f64,
    slope_ns_per_s: f64,
    /// Mean distance of the points above the line.
    roughness_ns: f64,
    /// The latest stream time it was fitted at.
    x_s: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Drift {
    ratio: f64,
    span_s: f64,
}

impl StreamClock {
    /// Packets older than this are forgotten. Long, because a connection interval and a sampling
    /// interval beat: at 50 ppm the smallest delay comes by every 200 s only.
    pub const WINDOW: Duration = Duration::from_secs(1_200);

    /// Learns from one arrival: `stream` is the device's time of the newest sample in the packet.
    pub fn observe(&mut self, stream: Nanos, arrived: Nanos) {
        let delta_ns = i128::from(arrived.0) - i128::from(stream.0);
        let Some(origin) = self.origin else { return self.begin(stream, arrived) };
        let x_s = (i128::from(stream.0) - i128::from(origin.stream.0)) as f64 / NS_PER_S;
        let y_ns = (delta_ns - origin.delta_ns) as f64;
        let point = Point { arrived, x_s, y_ns };
        let above_ns = y_ns - self.line.at(x_s);
        let step_ns = STEP_NS.max(STEP_UNCERTAINTIES * self.line.roughness_ns);
        // Hostile or restarted: the hull needs times in order.
        let backwards = self.points.back().is_some_and(|last| x_s < last.x_s);
        if backwards || above_ns < -step_ns {
            self.reset();
            return self.begin(stream, arrived);
        }
        self.packets += 1;
        self.late_since = (above_ns > step_ns).then(|| self.late_since.unwrap_or(arrived));
        if let Some(since) = self.late_since
            && arrived.since(since) > STEP_AFTER
        {
            self.points.retain(|p| p.arrived >= since);
            self.late_since = None;
        }
        if self.keep(point) {
            self.fit(point);
        }
    }

    /// Begins anew: the device clock restarted, or the timeline was broken. The drift is kept as
    /// what is believed at first, since it is the same quartz.
    pub fn reset(&mut self) {
        if self.origin.is_none() {
            return;
        }
        let prior =
            Drift { span_s: self.trusted_span_s().min(REMEMBERED_SPAN_S), ratio: self.ratio() };
        *self = Self { prior, ..Self::default() };
    }

    /// Session time of a moment on the stream's timeline; `None` before the first arrival.
    #[must_use]
    pub fn to_session(&self, stream: Nanos) -> Option<Nanos> {
        let origin = self.origin?;
        let x_s = (i128::from(stream.0) - i128::from(origin.stream.0)) as f64 / NS_PER_S;
        let offset = origin.delta_ns + self.line.at(x_s).round() as i128;
        let at = i128::from(stream.0) + offset;
        Some(Nanos(u64::try_from(at.max(0)).unwrap_or(u64::MAX)))
    }

    /// How far a mapped time can be off: the mean height of the packets' delays over the line, and
    /// at the start what the delay of the few packets seen may be.
    #[must_use]
    pub fn uncertainty(&self) -> Option<Duration> {
        self.origin?;
        let first_ns = FIRST_DELAY_NS / self.packets.max(1) as f64;
        Some(Duration::from_nanos(self.line.roughness_ns.max(first_ns).round() as u64))
    }

    /// How much slower the device clock runs than session time, in parts per million; `None`
    /// before the first arrival. Negative: the device is fast.
    #[must_use]
    pub fn drift_ppm(&self) -> Option<f64> {
        self.origin.map(|_| self.ratio() * 1e6)
    }

    fn begin(&mut self, stream: Nanos, arrived: Nanos) {
        let delta_ns = i128::from(arrived.0) - i128::from(stream.0);
        self.origin = Some(Origin { stream, delta_ns });
        self.packets = 1;
        self.line = Line { slope_ns_per_s: self.prior.ratio * NS_PER_S, ..Line::default() };
        self.points.push_back(Point { arrived, x_s: 0.0, y_ns: 0.0 });
    }

    /// Keeps the point if it is the earliest of its bin; tells whether anything changed.
    fn keep(&mut self, point: Point) -> bool {
        let bin = |p: &Point| p.arrived.0 / BIN.as_nanos() as u64;
        let before = self.points.len();
        self.points.retain(|p| point.arrived.since(p.arrived) <= Self::WINDOW);
        let slope = self.line.slope_ns_per_s;
        match self.points.back_mut().filter(|last| bin(last) == bin(&point)) {
            // The earliest, drift aside.
            Some(last) if point.y_ns - slope * point.x_s < last.y_ns - slope * last.x_s => {
                *last = point;
            }
            Some(_) => return self.points.len() != before,
            None => self.points.push_back(point),
        }
        true
    }

    fn fit(&mut self, newest: Point) {
        let believed_s = PRIOR_SPAN_S.max(self.prior.span_s);
        let span_s = self.span_s();
        let weight = span_s * span_s / (span_s * span_s + believed_s * believed_s);
        let seen = hull_slope(&self.points).unwrap_or(0.0) / NS_PER_S;
        let seen = seen.clamp(-LARGEST_DRIFT, LARGEST_DRIFT);
        let ratio = self.prior.ratio + weight * (seen - self.prior.ratio);
        let slope_ns_per_s = ratio * NS_PER_S;
        let above = |p: &Point| p.y_ns - slope_ns_per_s * p.x_s;
        let lowest = self.points.iter().map(above).fold(f64::INFINITY, f64::min);
        let mean = self.points.iter().map(above).sum::<f64>() / self.points.len().max(1) as f64;
        // Sinks slowly, unless this packet proves the line too high.
        let passed_s = (newest.x_s - self.line.x_s).max(0.0);
        let sunk = self.line.at(newest.x_s) - SINK_NS_PER_S * passed_s;
        let height = lowest + slope_ns_per_s * newest.x_s;
        let height = height.max(sunk.min(newest.y_ns));
        self.line = Line {
            height_ns: height - slope_ns_per_s * newest.x_s,
            slope_ns_per_s,
            roughness_ns: mean - lowest,
            x_s: newest.x_s,
        };
    }

    fn ratio(&self) -> f64 {
        self.line.slope_ns_per_s / NS_PER_S
    }

    fn span_s(&self) -> f64 {
        match (self.points.front(), self.points.back()) {
            (Some(first), Some(last)) => last.x_s - first.x_s,
            _ => 0.0,
        }
    }

    fn trusted_span_s(&self) -> f64 {
        self.span_s().max(self.prior.span_s)
    }
}

impl Line {
    fn at(&self, x_s: f64) -> f64 {
        self.height_ns + self.slope_ns_per_s * x_s
    }
}

/// Slope of the lower convex hull's chord over the middle half of the times, in ns per second.
fn hull_slope(points: &VecDeque<Point>) -> Option<f64> {
    let mut hull: Vec<Point> = Vec::with_capacity(points.len());
    for &p in points {
        while let [.., a, b] = hull[..]
            && (b.x_s - a.x_s) * (p.y_ns - a.y_ns) <= (b.y_ns - a.y_ns) * (p.x_s - a.x_s)
        {
            hull.pop();
        }
        hull.push(p);
    }
    let (first_s, last_s) = (hull.first()?.x_s, hull.last()?.x_s);
    let left_out_s = CHORD_SHARE * (last_s - first_s);
    let (left_s, right_s) = (first_s + left_out_s, last_s - left_out_s);
    let height = |x_s: f64| {
        let edge = hull.windows(2).find(|edge| edge[1].x_s >= x_s && edge[1].x_s > edge[0].x_s)?;
        let share = (x_s - edge[0].x_s) / (edge[1].x_s - edge[0].x_s);
        Some(edge[0].y_ns + share * (edge[1].y_ns - edge[0].y_ns))
    };
    let slope = (height(right_s)? - height(left_s)?) / (right_s - left_s);
    slope.is_finite().then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Nanos {
        Nanos::from_millis(ms)
    }

    #[test]
    fn offset_is_the_smallest_delay_seen() {
        let mut clock = StreamClock::default();
        assert_eq!((clock.to_session(Nanos::ZERO), clock.uncertainty()), (None, None));
        for (stream_ms, arrived_ms) in [(0, 1020), (250, 1255), (500, 1540)] {
            clock.observe(ms(stream_ms), ms(arrived_ms));
        }
        assert_eq!(clock.to_session(ms(500)), Some(ms(1505)));
        assert_eq!(clock.uncertainty(), Some(Duration::from_nanos(33_333_333)));
    }

    /// One packet every 250 ms of a device that is 50 ppm slow, 0 to 15 ms late.
    fn slow_device(clock: &mut StreamClock, packets: std::ops::Range<u64>, pause_ms: u64) -> i64 {
        let mut worst = 0;
        for k in packets {
            let stream = Nanos(250_000_000 * k);
            let truth = ms(1_000 + pause_ms) + Duration::from_nanos(stream.0 + stream.0 / 20_000);
            clock.observe(stream, truth + Duration::from_micros((k * 7919) % 15_000));
            let mapped = clock.to_session(stream).unwrap();
            worst = (mapped.0 as i64 - truth.0 as i64).abs().max(worst);
        }
        worst
    }

    #[test]
    fn drift_is_followed_and_known() {
        let mut clock = StreamClock::default();
        let start = slow_device(&mut clock, 0..240, 0);
        assert!(start < 15_000_000, "never worse than the delays: {start} ns");
        let later = slow_device(&mut clock, 240..2_400, 0);
        assert!(later < 2_000_000, "{later} ns");
        let ppm = clock.drift_ppm().unwrap();
        assert!((ppm - 50.0).abs() < 1.0, "{ppm} ppm");
    }

    #[test]
    fn a_reset_keeps_the_drift() {
        let mut clock = StreamClock::default();
        slow_device(&mut clock, 0..2_400, 0);
        clock.reset();
        assert_eq!(clock.to_session(Nanos::ZERO), None);
        slow_device(&mut clock, 2_400..2_410, 0);
        let ppm = clock.drift_ppm().unwrap();
        assert!((ppm - 50.0).abs() < 2.0, "{ppm} ppm");
    }

    #[test]
    fn a_timeline_that_paused_is_found() {
        let mut clock = StreamClock::default();
        slow_device(&mut clock, 0..1_200, 0);
        let during = slow_device(&mut clock, 1_200..1_330, 700);
        assert!(during > 690_000_000, "late packets are believed to be late: {during} ns");
        let after = slow_device(&mut clock, 1_450..2_000, 700);
        assert!(after < 3_000_000, "{after} ns");
        // And one that jumped ahead, at once.
        let ahead = slow_device(&mut clock, 2_000..2_010, 0);
        assert!(ahead < 15_000_000, "{ahead} ns");
    }

    #[test]
    fn memory_is_bounded() {
        let mut clock = StreamClock::default();
        slow_device(&mut clock, 0..40_000, 0);
        assert!(clock.points.len() <= 302, "{} points", clock.points.len());
    }

    proptest! {
        #[test]
        fn anything_keeps_the_promises(
            steps in prop::collection::vec((0..1_000_000_000u64, 0..2_000_000_000u64, 0..9u8), 1..200),
        ) {
            let mut clock = StreamClock::default();
            let (mut stream, mut arrived, mut before) = (Nanos::ZERO, Nanos::ZERO, Nanos::ZERO);
            for (stream_step, arrived_step, action) in steps {
                match action {
                    0 => clock.reset(),
                    1 => arrived.0 = arrived.0.saturating_add(1 << 50),
                    2 => stream.0 = stream.0.saturating_add(1 << 50),
                    _ => {}
                }
                stream.0 = stream.0.saturating_add(stream_step);
                arrived.0 = arrived.0.saturating_add(arrived_step);
                clock.observe(stream, arrived);
                let mapped = clock.to_session(stream).unwrap();
                prop_assert!(mapped <= arrived + Duration::from_micros(1));
                // A step of the timeline may go back; it begins anew.
                prop_assert!(mapped + Duration::from_micros(1) >= before || clock.packets == 1);
                prop_assert!(clock.drift_ppm().unwrap().abs() <= 500.0 + 1e-6);
                before = mapped;
            }
        }

        #[test]
        fn any_times_are_taken(times in prop::collection::vec((any::<u64>(), any::<u64>()), 0..60)) {
            let mut clock = StreamClock::default();
            for (stream, arrived) in times {
                clock.observe(Nanos(stream), Nanos(arrived));
                prop_assert!(clock.to_session(Nanos(stream)).is_some());
                prop_assert!(clock.drift_ppm().unwrap().is_finite());
            }
        }
    }
}
