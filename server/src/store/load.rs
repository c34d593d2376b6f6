//! How busy the writer is: for the metrics.

use prometheus_client::{
    metrics::{
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::time::Instant;

/// Requests that share one commit: 1, 2, 4 .. 512.
const GROUP_BUCKETS: (f64, f64, u16) = (1.0, 2.0, 10);
/// From a millisecond to eight seconds: a slow disk under load.
const SECONDS_BUCKETS: (f64, f64, u16) = (0.001, 2.0, 14);

/// The writer's load; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    waiting: Gauge,
    wait_seconds: Histogram,
    group: Histogram,
}

impl Default for Load {
    fn default() -> Self {
        let buckets =
            |(start, factor, length)| Histogram::new(exponential_buckets(start, factor, length));
        Self {
            waiting: Gauge::default(),
            wait_seconds: buckets(SECONDS_BUCKETS),
            group: buckets(GROUP_BUCKETS),
        }
    }
}

impl Load {
    /// Counts one who waits for the writer, until the value is dropped.
    pub(crate) fn wait(&self) -> Waiting {
        self.waiting.inc();
        Waiting { load: self.clone(), since: Instant::now() }
    }

    /// Counts a commit that made the work of so many durable.
    pub(crate) fn committed(&self, members: usize) {
        self.group.observe(members as f64);
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "writer_queue",
            "Requests that wait for the writer",
            self.waiting.clone(),
        );
        registry.register(
            "writer_wait_seconds",
            "How long requests waited for the writer",
            self.wait_seconds.clone(),
        );
        registry.register(
            "commit_group",
            "Requests made durable by one commit",
            self.group.clone(),
        );
    }
}

/// One who waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    load: Load,
    since: Instant,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.load.waiting.dec();
        self.load.wait_seconds.observe(self.since.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_counted_until_they_do_not() {
        let load = Load::default();
        let (first, second) = (load.wait(), load.wait());
        assert_eq!(load.waiting.get(), 2);
        drop((first, second));
        assert_eq!(load.waiting.get(), 0);
    }
}
