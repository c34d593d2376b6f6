//! Work in the background: started here, so that the end of the server waits for all of it, though
//! not for ever.

use protocol::log;
use std::{future::Future, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The server's background work; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Cancelled when the server ends.
    pub(crate) const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs work that may be dropped at any of its awaits.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(self.stop.clone().run_until_cancelled_owned(work));
    }

    /// Runs work that ends by itself when the token that it is given is cancelled.
    pub(crate) fn spawn_with<F: Future<Output = ()> + Send + 'static>(
        &self,
        work: impl FnOnce(CancellationToken) -> F,
    ) {
        self.tracker.spawn(work(self.stop.clone()));
    }

    /// How much is under way.
    pub(crate) fn under_way(&self) -> usize {
        self.tracker.len()
    }

    /// Asks everything to end and waits for it, for `bound` at most; whether all of it did.
    pub(crate) async fn finish(&self, bound: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        let ended = tokio::time::timeout(bound, self.tracker.wait()).await.is_ok();
        if !ended {
            log!(warn, "background work did not end in time", tasks = self.tracker.len());
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    #[tokio::test]
    async fn the_end_waits_for_what_finishes_and_not_for_what_does_not() {
        let tasks = Tasks::default();
        tasks.spawn(std::future::pending());
        let finished = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&finished);
        tasks.spawn_with(|stop| async move {
            stop.cancelled().await;
            tokio::task::yield_now().await;
            flag.store(true, Ordering::Relaxed);
        });
        assert!(tasks.finish(Duration::from_secs(60)).await);
        assert!(finished.load(Ordering::Relaxed));

        let stuck = Tasks::default();
        stuck.spawn_with(|_| std::future::pending());
        assert!(!stuck.finish(Duration::from_millis(1)).await);
    }
}
