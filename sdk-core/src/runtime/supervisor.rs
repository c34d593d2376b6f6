//! Keeps one device linked for as long as consent allows, and not a moment longer.

use crate::{
    consent::{Collect, Gate, Permit, Refused},
    sensor::{DeviceProfile, Link, LinkError, Notification, Selector, SessionClock, Transport},
    sync::Backoff,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

/// Waits between tries to reconnect: a session in progress wants its sensor back soon.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_millis(1_500);

/// A link that held for this long was a good one: after its loss the waits begin anew. One that
/// falls at once again and again is tried less and less often.
const STEADY: Duration = Duration::from_secs(5);

/// Where a link stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Not permitted: nothing is looked for, nothing is connected.
    Closed,
    /// Looking for the device.
    Searching,
    /// Subscribed.
    Connected,
    /// The last try failed for this reason; the next one follows.
    Waiting(String),
}

/// What a supervisor passes on.
#[derive(Debug)]
pub(super) enum Inbound {
    Up { device: usize, battery_percent: Option<u8> },
    Notification { device: usize, notification: Notification },
    Overflowed { count: u64 },
    State { device: usize, state: LinkState },
}

pub(super) struct Supervisor {
    pub(super) device: usize,
    pub(super) profile: DeviceProfile,
    pub(super) selector: Selector,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: SessionClock,
    pub(super) gate: Gate,
    /// Moves with every change of consent; closed when the session ends.
    pub(super) epoch: watch::Receiver<u64>,
    pub(super) inbound: mpsc::Sender<Inbound>,
    pub(super) state: watch::Sender<LinkState>,
}

/// Why a link was left.
enum Left {
    Lost,
    Silent(Duration),
    ConsentEnded,
    SessionEnded,
}

impl Supervisor {
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            self.epoch.mark_unchanged();
            let Ok(permit) = self.gate.permit::<Collect>(self.profile.modality()) else {
                self.tell(LinkState::Closed).await;
                if self.epoch.changed().await.is_err() {
                    return;
                }
                backoff.reset();
                continue;
            };
            self.tell(LinkState::Searching).await;
            let wait = match self.transport.open(&self.selector, &permit, self.clock).await {
                Ok(link) => {
                    let begun = Instant::now();
                    match self.stream(link, permit).await {
                        Left::SessionEnded => break,
                        Left::Silent(silence) => {
                            let reason = format!("silent for {} s", silence.as_secs());
                            self.tell(LinkState::Waiting(reason)).await;
                        }
                        Left::Lost | Left::ConsentEnded => {}
                    }
                    if begun.elapsed() >= STEADY {
                        backoff.reset();
                    }
                    backoff.next(fastrand::f64())
                }
                Err(LinkError::Refused(_)) => continue,
                Err(error) => {
                    self.tell(LinkState::Waiting(error.to_string())).await;
                    backoff.next(fastrand::f64())
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = self.epoch.changed() => if changed.is_err() { break },
            }
        }
        self.tell(LinkState::Closed).await;
    }

    async fn stream(&mut self, mut link: Box<dyn Link>, mut permit: Permit<Collect>) -> Left {
        let battery_percent = link.battery().await;
        let silence = self.profile.silence();
        let mut heard = Instant::now();
        let mut overflowed = 0;
        let up = Inbound::Up { device: self.device, battery_percent };
        let _ = self.inbound.send(up).await;
        self.tell(LinkState::Connected).await;
        let left = loop {
            tokio::select! {
                biased;
                changed = self.epoch.changed() => {
                    if changed.is_err() {
                        break Left::SessionEnded;
                    }
                    match self.gate.permit(self.profile.modality()) {
                        Ok(renewed) => permit = renewed,
                        Err(_) => break Left::ConsentEnded,
                    }
                }
                notification = link.next() => {
                    let Some(notification) = notification else { break Left::Lost };
                    heard = Instant::now();
                    match permit.check() {
                        Ok(()) => {}
                        Err(Refused::Expired) => break Left::ConsentEnded,
                        // The change of consent is about to be seen above.
                        Err(_) => continue,
                    }
                    self.count(link.overflowed(), &mut overflowed).await;
                    let device = self.device;
                    let passed = Inbound::Notification { device, notification };
                    if self.inbound.send(passed).await.is_err() {
                        break Left::SessionEnded;
                    }
                }
                () = tokio::time::sleep_until(heard + silence.unwrap_or_default()),
                    if silence.is_some() => break Left::Silent(silence.unwrap_or_default()),
            }
        };
        self.count(link.overflowed(), &mut overflowed).await;
        link.close().await;
        left
    }

    /// Passes on how many notifications the link has dropped since it was last asked.
    async fn count(&self, now: u64, before: &mut u64) {
        if now > *before {
            let count = now - std::mem::replace(before, now);
            let _ = self.inbound.send(Inbound::Overflowed { count }).await;
        }
    }

    async fn tell(&self, state: LinkState) {
        if *self.state.borrow() != state {
            self.state.send_replace(state.clone());
            let _ = self.inbound.send(Inbound::State { device: self.device, state }).await;
        }
    }
}

#[cfg(test)]
mod tests;
