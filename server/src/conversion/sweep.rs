//! Scoring everybody, and whoever is due, in pages: reading, computing and writing go on at the
//! same time, and never more than a few pages are in memory, however many people there are.

use super::{
    Conversion, Crossing,
    sample::Sample,
    score::{Scores, Scoring, Spoken},
};
use crate::{
    app::unix_ms,
    store::{Closed, Job, Saying, Store, StoreError, Stored},
    work::{DAY_MS, LEASE_MS},
};
use futures::{StreamExt, stream};
use protocol::log::LogSafe;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::HashMap,
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

/// People read, and scored, at once.
const PAGE: u32 = 10_000;
/// People scored by one thread in one go.
const PIECE: usize = 2_500;
/// How often a sweep says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Changed people scored at once: few, so that they need not wait for each other.
const DUE_PAGE: u32 = 2_000;

/// What a sweep came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Swept {
    /// The time that the predictions hold for, Unix milliseconds.
    pub(crate) as_of_unix_ms: i64,
    /// The model that serves; absent if none does, and then nothing was predicted.
    pub(crate) model: Option<String>,
    /// People looked at.
    pub(crate) people: u64,
    /// People predicted.
    pub(crate) predicted: u64,
    /// People left out, for their profile is still to be made anew or cannot be read. Of who was
    /// not known at the time nothing is said either.
    pub(crate) left_out: u64,
    /// Forecasts kept to be checked, of all models together.
    pub(crate) forecasts: u64,
    /// People who came to the crossing.
    pub(crate) crossings: u64,
    /// Earlier forecasts that were checked first.
    pub(crate) checked: u64,
    /// How long it took, seconds.
    pub(crate) seconds: f64,
}

/// Why people were not scored.
#[derive(Debug, Error)]
pub(crate) enum SweepError {
    #[error("the server shut down before everybody was scored")]
    Stopped,
    #[error("another server took the sweep over")]
    Lost,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LogSafe for SweepError {}

/// A sweep to be done.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) as_of_unix_ms: i64,
    /// Whether that time was asked for, rather than being now.
    pub(crate) dated: bool,
    /// Where to say how far it is. Whoever loses the job stops.
    pub(crate) job: Option<&'a Job>,
    pub(crate) stop: &'a CancellationToken,
}

impl Plan<'_> {
    async fn tell(&self, store: &Store, swept: &Swept) -> Result<(), SweepError> {
        let Some(job) = self.job else { return Ok(()) };
        let until = unix_ms().saturating_add(LEASE_MS);
        let kept = store.renew_job(job, until, Some(&json!(swept))).await?;
        if kept { Ok(()) } else { Err(SweepError::Lost) }
    }
}

impl Conversion {
    /// Scores everybody as of a time.
    ///
    /// # Errors
    /// [`SweepError`]; what was scored until then stays.
    pub(crate) async fn sweep(&self, store: &Store, plan: &Plan<'_>) -> Result<Swept, SweepError> {
        let serving = self.registry.serving();
        let as_of_unix_ms = plan.as_of_unix_ms;
        let model = serving.champion.as_ref().map(|model| model.id().to_owned());
        let mut swept = Swept { as_of_unix_ms, model, ..Swept::default() };
        if serving.all().next().is_none() {
            return Ok(swept);
        }
        let people = store.profile_count().await?;
        let wanted = u64::from(self.config.checked_people);
        let scoring = Arc::new(Scoring {
            sample: Some(Sample::new(wanted, people, as_of_unix_ms)),
            dated: plan.dated,
            ..self.scoring(as_of_unix_ms)
        });
        let mut told = Instant::now();
        let mut pages = scored(store.clone(), Arc::clone(&scoring));
        loop {
            let page = tokio::select! {
                () = plan.stop.cancelled() => return Err(SweepError::Stopped),
                page = pages.recv() => page,
            };
            let Some(page) = page else { return Ok(swept) };
            let (people, mut scores) = page?;
            swept.people += people;
            let later = mem::take(&mut scores.later);
            self.put(store, &scoring, scores, &mut swept).await?;
            if !later.is_empty() {
                let scores = self.as_then(store, &scoring, &later).await?;
                self.put(store, &scoring, scores, &mut swept).await?;
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                plan.tell(store, &swept).await?;
            }
        }
    }

    /// Scores whoever is due, until nobody is. Gives how many were looked at.
    ///
    /// # Errors
    /// [`SweepError`]; who was scored until then is settled.
    pub(crate) async fn score_due(
        &self,
        store: &Store,
        now_unix_ms: i64,
        stop: &CancellationToken,
    ) -> Result<u64, SweepError> {
        let mut looked_at = 0;
        while self.registry.serving().champion.is_some() {
            if stop.is_cancelled() {
                return Err(SweepError::Stopped);
            }
            let (people, versions) = store.profiles_due(now_unix_ms, DUE_PAGE).await?;
            if versions.is_empty() {
                break;
            }
            looked_at += versions.len() as u64;
            let scoring = Arc::new(self.scoring(now_unix_ms));
            let scores = computed(Arc::clone(&scoring), people).await?;
            self.put(store, &scoring, scores, &mut Swept::default()).await?;
            // Time alone changes people too: without sweeps they come due again by themselves.
            let due = if self.config.sweep_hours > 0 { i64::MAX } else { now_unix_ms + DAY_MS };
            let mut writing = store.begin().await?;
            writing.settle(&versions, due).await?;
            writing.commit().await?;
        }
        Ok(looked_at)
    }

    /// How people are scored now.
    pub(super) fn scoring(&self, as_of_unix_ms: i64) -> Scoring {
        Scoring {
            definitions: Arc::clone(self.features.definitions()),
            places: self.features.places(),
            serving: self.registry.serving(),
            as_of_unix_ms,
            dated: false,
            sample: None,
            crossing: f64::from(self.config.crossing_percent) / 100.0,
        }
    }

    /// Scores people by what was known of them then: from their facts, for a profile only goes
    /// forward.
    async fn as_then(
        &self,
        store: &Store,
        scoring: &Scoring,
        people: &[Closed],
    ) -> Result<Scores, SweepError> {
        let mut then = Vec::with_capacity(people.len());
        for closed in people {
            let known = self.features.known(store, closed.person, scoring.as_of_unix_ms).await?;
            then.extend(known.map(|known| (closed, known.profile)));
        }
        Ok(scoring.say(then.iter().map(|(closed, profile)| (*closed, &**profile)))?)
    }

    /// Stores what was said, then tells who came to the crossing.
    async fn put(
        &self,
        store: &Store,
        scoring: &Scoring,
        scores: Scores,
        swept: &mut Swept,
    ) -> Result<(), SweepError> {
        let Some(champion) = &scoring.serving.champion else { return Ok(()) };
        let as_of_unix_ms = scoring.as_of_unix_ms;
        // Only who is high now can have come there: the others' old predictions are not needed.
        let high: Vec<Uuid> = scores.high.iter().map(|(person, _)| *person).collect();
        let before: HashMap<Uuid, Spoken> = store
            .predictions_of(&high)
            .await?
            .into_iter()
            .map(|Stored { person, body, .. }| (person, body))
            .collect();
        let mut writing = store.begin().await?;
        let by = Saying { model: champion.id(), as_of_unix_ms };
        writing.put_predictions(by, &scores.predictions, scoring.dated).await?;
        for (model, forecasts) in scoring.serving.all().zip(&scores.forecasts) {
            let by = Saying { model: model.id(), as_of_unix_ms };
            writing.put_forecasts(by, forecasts).await?;
            swept.forecasts += forecasts.len() as u64;
        }
        writing.commit().await?;
        swept.predicted += scores.predictions.len() as u64;
        swept.left_out += scores.left_out;
        for (person, probability) in scores.high {
            let earlier = before.get(&person).map(|spoken| spoken.probability);
            if earlier.is_some_and(|earlier| earlier >= scoring.crossing) {
                continue;
            }
            swept.crossings += 1;
            if !scoring.dated {
                let model = champion.id().into();
                // Nobody listens where nothing is delivered.
                let _ = self.crossings.send(Crossing { person, probability, model, as_of_unix_ms });
            }
        }
        Ok(())
    }
}

type Piece = Result<(u64, Scores), SweepError>;

/// Everybody, read and scored ahead of whoever takes the results.
fn scored(store: Store, scoring: Arc<Scoring>) -> mpsc::Receiver<Piece> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (give, take) = mpsc::channel(cores);
    let people = people(store, cores);
    let mut pieces = stream::unfold(people, async |mut from| Some((from.recv().await?, from)))
        .map(move |piece| {
            let scoring = Arc::clone(&scoring);
            async move {
                let piece = piece?;
                Ok((piece.len() as u64, computed(scoring, piece).await?))
            }
        })
        .buffered(cores)
        .boxed();
    tokio::spawn(async move {
        while let Some(piece) = pieces.next().await {
            if give.send(piece).await.is_err() {
                return;
            }
        }
    });
    take
}

/// Everybody, read ahead of whoever takes them.
fn people(store: Store, ahead: usize) -> mpsc::Receiver<Result<Vec<Closed>, StoreError>> {
    let (give, take) = mpsc::channel(ahead);
    tokio::spawn(async move {
        let mut after = Uuid::nil();
        loop {
            let (mut page, last) = match store.profiles_after(after, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    // Who takes the error ends, or has ended.
                    let _ = give.send(Err(error)).await;
                    return;
                }
            };
            while !page.is_empty() {
                let rest = page.split_off(PIECE.min(page.len()));
                if give.send(Ok(page)).await.is_err() {
                    return;
                }
                page = rest;
            }
            let Some(last) = last else { return };
            after = last;
        }
    });
    take
}

/// On a thread of its own: requests are answered meanwhile.
async fn computed(scoring: Arc<Scoring>, people: Vec<Closed>) -> Result<Scores, StoreError> {
    let computing = tokio::task::spawn_blocking(move || scoring.score(people));
    computing.await.unwrap_or(Err(StoreError::Sealed))
}
