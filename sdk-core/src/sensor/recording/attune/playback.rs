//! Records through the drivers that read the live device: the same samples, to the bit.

use super::{Event, HeaderError, Reader, Record};
use crate::sensor::{
    DeviceProfile, Driver, Sample, StreamStats,
    recording::{Format, MAX_FINDINGS, Marker, Opened},
};
use std::collections::BTreeMap;

/// Names of profiles in a file. A name is never reused for another layout.
const PROFILES: [(DeviceProfile, &str); 2] =
    [(DeviceProfile::HeartRate, "heart-rate"), (DeviceProfile::Eda, "attune-eda")];

/// How a profile is called in a recording.
#[must_use]
pub fn profile_id(profile: DeviceProfile) -> &'static str {
    PROFILES.iter().find(|(known, _)| *known == profile).map_or("", |(_, id)| id)
}

fn driver(id: &str) -> Option<Driver> {
    PROFILES.iter().find(|(_, known)| *known == id).map(|(profile, _)| Driver::new(*profile))
}

/// The drivers of a session, told what they were told then.
#[derive(Debug, Default)]
pub struct Playback {
    drivers: BTreeMap<u16, Driver>,
    rejected: u64,
    unplayable: u64,
}

impl Playback {
    /// Takes one record; gives the samples that it gave live.
    pub fn take(&mut self, record: &Record<'_>) -> Vec<Sample> {
        match record.event {
            Event::Device { device, profile } => match driver(profile) {
                Some(driver) => drop(self.drivers.insert(device, driver)),
                None => self.unplayable += 1,
            },
            Event::Notification { device, bytes, .. } => {
                let Some(driver) = self.drivers.get_mut(&device) else {
                    self.unplayable += 1;
                    return Vec::new();
                };
                match driver.handle(record.at, bytes) {
                    Ok(samples) => return samples,
                    Err(_) => self.rejected += 1,
                }
            }
            Event::Link { device, up: true } => self.tell(device, Driver::reconnected),
            Event::Battery { device, percent } => self.tell(device, |d| d.battery(percent)),
            Event::Interrupted { device } => self.tell(device, Driver::interrupted),
            _ => {}
        }
        Vec::new()
    }

    /// What the driver of a device counted; `None` for a device that is not there.
    #[must_use]
    pub fn stats(&self, device: u16) -> Option<StreamStats> {
        self.drivers.get(&device).map(Driver::stats)
    }

    /// Notifications that a driver refused, as it did live.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Records of devices whose profile this build does not know.
    #[must_use]
    pub fn unplayable(&self) -> u64 {
        self.unplayable
    }

    fn tell(&mut self, device: u16, what: impl FnOnce(&mut Driver)) {
        match self.drivers.get_mut(&device) {
            Some(driver) => what(driver),
            None => self.unplayable += 1,
        }
    }
}

/// Plays a whole file.
///
/// # Errors
/// [`HeaderError`] when it is not a recording.
pub fn play(file: &[u8]) -> Result<Opened, HeaderError> {
    let mut reader = Reader::new(file)?;
    let (mut playback, mut samples, mut markers) = (Playback::default(), Vec::new(), Vec::new());
    let mut start_unix_s = 0.0;
    for record in reader.by_ref() {
        match record.event {
            Event::Started { unix_ms } => start_unix_s = unix_ms as f64 / 1e3,
            Event::Marker { label } => {
                markers.push(Marker { label: label.to_owned(), at: record.at });
            }
            _ => samples.extend(playback.take(&record)),
        }
    }
    let mut findings: Vec<String> =
        reader.damage().iter().take(MAX_FINDINGS).map(ToString::to_string).collect();
    let unread = reader.unknown() + playback.unplayable();
    if unread > 0 {
        findings.push(format!("{unread} records need a later build of Attune and were left out"));
    }
    let lost: u64 = reader.damage().iter().map(|damage| u64::from(damage.frames)).sum();
    let rejected = lost + unread + playback.rejected();
    Ok(Opened::new(Format::Attune, start_unix_s, samples, markers, rejected, findings))
}
