//! Latency from the simulator's write of a notification to the decision that used it.

use serde::Serialize;
use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

/// Pairs that percentiles are taken over: more than 3 minutes at 50 a second.
const LATEST: usize = 10_000;

/// Percentiles, milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LatencyMs {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Greatest.
    pub max: f64,
}

/// Pairs writes with decisions by device and sequence number.
#[derive(Debug, Default)]
pub struct Meter {
    written: HashMap<(usize, u16), Instant>,
    latencies_ms: VecDeque<f64>,
    count: usize,
}

impl Meter {
    /// A notification was written.
    pub fn written(&mut self, device: usize, sequence: u64, at: Instant) {
        // The payload carries the low 16 bits.
        self.written.insert((device, sequence as u16), at);
    }

    /// A decision that used it was done.
    pub fn decided(&mut self, device: usize, sequence: u16, done: Instant) {
        if let Some(written) = self.written.remove(&(device, sequence)) {
            self.count += 1;
            self.latencies_ms
                .push_back(done.saturating_duration_since(written).as_secs_f64() * 1e3);
            if self.latencies_ms.len() > LATEST {
                self.latencies_ms.pop_front();
            }
        }
    }

    /// How many pairs were found.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The percentiles of the latest pairs; zero before the first pair.
    #[must_use]
    pub fn percentiles(&self) -> LatencyMs {
        let mut sorted: Vec<f64> = self.latencies_ms.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |q: f64| {
            let index = (q * sorted.len() as f64).ceil() as usize;
            sorted.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        LatencyMs { p50: at(0.50), p99: at(0.99), max: at(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn pairs_by_sequence_and_takes_nearest_rank_percentiles() {
        let mut meter = Meter::default();
        let begun = Instant::now();
        for k in 0..100u64 {
            meter.written(0, 65_500 + k, begun);
            meter.decided(0, (65_500 + k) as u16, begun + Duration::from_millis(k + 1));
        }
        meter.decided(1, 3, begun);
        assert_eq!(meter.count(), 100);
        assert_eq!(meter.percentiles(), LatencyMs { p50: 50.0, p99: 99.0, max: 100.0 });
        assert_eq!(Meter::default().percentiles(), LatencyMs::default());
    }
}
