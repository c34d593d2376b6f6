//! A transport made of channels, for tests.

#![allow(clippy::unwrap_used, reason = "only tests use it")]

use crate::{
    consent::{Collect, Permit},
    sensor::{Link, LinkError, Notification, Selector, SessionClock, Transport},
};
use async_trait::async_trait;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};
use tokio::{sync::mpsc, time::Instant};

/// What the next tries to open come to, last one first, and what was asked.
#[derive(Default)]
pub(super) struct Air {
    /// Notifications of each link; an error is a failed try.
    pub(super) tries: Mutex<Vec<Result<mpsc::Receiver<Notification>, LinkError>>>,
    pub(super) opened: Mutex<Vec<(Selector, Instant)>>,
    pub(super) closed: AtomicU64,
    pub(super) dropped: AtomicU64,
}

impl Air {
    /// Tries that come one after the other.
    pub(super) fn new(
        mut tries: Vec<Result<mpsc::Receiver<Notification>, LinkError>>,
    ) -> Arc<Self> {
        tries.reverse();
        Arc::new(Self { tries: Mutex::new(tries), ..Self::default() })
    }
}

pub(super) struct Fake(pub(super) Arc<Air>);

#[async_trait]
impl Transport for Fake {
    async fn open(
        &self,
        selector: &Selector,
        _: &Permit<Collect>,
        _: SessionClock,
    ) -> Result<Box<dyn Link>, LinkError> {
        self.0.opened.lock().unwrap().push((selector.clone(), Instant::now()));
        let next = self.0.tries.lock().unwrap().pop();
        match next {
            Some(Ok(queue)) => Ok(Box::new(FakeLink { queue, air: Arc::clone(&self.0) })),
            Some(Err(error)) => Err(error),
            None => std::future::pending().await,
        }
    }
}

struct FakeLink {
    queue: mpsc::Receiver<Notification>,
    air: Arc<Air>,
}

#[async_trait]
impl Link for FakeLink {
    async fn next(&mut self) -> Option<Notification> {
        self.queue.recv().await
    }

    async fn battery(&mut self) -> Option<u8> {
        Some(80)
    }

    fn overflowed(&self) -> u64 {
        self.air.dropped.load(Ordering::Relaxed)
    }

    async fn close(self: Box<Self>) {
        self.air.closed.fetch_add(1, Ordering::Relaxed);
    }
}
