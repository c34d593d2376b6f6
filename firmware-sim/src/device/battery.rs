//! The battery: a level that falls, announced whenever its percentage changes.

use crate::spec::BatterySpec;

#[derive(Debug)]
pub(super) struct Battery {
    /// Level at `since_ns`.
    percent: f64,
    since_ns: u64,
    drain_percent_per_ns: f64,
    announced: u8,
    /// The level was set and that is not yet announced.
    was_set: bool,
}

const NANOS_PER_HOUR: f64 = 3.6e12;

impl Battery {
    pub(super) fn new(spec: BatterySpec) -> Self {
        Self {
            percent: spec.percent,
            since_ns: 0,
            drain_percent_per_ns: spec.drain_percent_per_hour / NANOS_PER_HOUR,
            announced: spec.percent.round() as u8,
            was_set: false,
        }
    }

    /// Whole percent at `now_ns`.
    pub(super) fn percent(&self, now_ns: u64) -> u8 {
        let passed = now_ns.saturating_sub(self.since_ns) as f64;
        (self.percent - self.drain_percent_per_ns * passed).round().clamp(0.0, 100.0) as u8
    }

    pub(super) fn set(&mut self, percent: u8, now_ns: u64) {
        (self.percent, self.since_ns, self.was_set) = (f64::from(percent), now_ns, true);
    }

    /// When the level is to be announced next.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        if self.was_set {
            return Some(self.since_ns);
        }
        if self.announced == 0 || self.drain_percent_per_ns <= 0.0 {
            return None;
        }
        let above_next = self.percent - (f64::from(self.announced) - 0.5);
        let passed = (above_next / self.drain_percent_per_ns).ceil() as u64;
        Some(self.since_ns.saturating_add(passed))
    }

    /// The level to announce now, whole percent.
    pub(super) fn announce(&mut self) -> u8 {
        self.announced = if std::mem::take(&mut self.was_set) {
            self.percent.round() as u8
        } else {
            self.announced.saturating_sub(1)
        };
        self.announced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_percent_is_announced_once_on_the_way_down() {
        let spec = BatterySpec { percent: 3.0, drain_percent_per_hour: 60.0 };
        let mut battery = Battery::new(spec);
        let mut levels = Vec::new();
        while let Some(due_ns) = battery.next_due_ns() {
            levels.push((due_ns / 1_000_000_000, battery.announce()));
        }
        assert_eq!(levels, [(30, 2), (90, 1), (150, 0)]);
    }

    #[test]
    fn a_set_level_is_due_at_once() {
        let mut battery = Battery::new(BatterySpec { percent: 80.0, drain_percent_per_hour: 0.0 });
        assert_eq!(battery.next_due_ns(), None);
        battery.set(5, 77);
        assert_eq!(battery.next_due_ns(), Some(77));
        assert_eq!((battery.announce(), battery.next_due_ns(), battery.percent(99)), (5, None, 5));
    }
}
