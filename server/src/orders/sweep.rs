//! Looking at everybody's needs, in pages: what is sure enough is asked for, the rest is kept with the
//! reason why not.

use super::{
    model::ServingError,
    need::{Candidate, Telling, Told},
    person::{Suggestion, Wishes},
    service::Orders,
};
use crate::{
    conversion::Sample,
    store::{Closed, Foretold, Location, Store, StoreError},
};
use futures::{StreamExt, TryStreamExt, stream};
use models::reorder::Consumption;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc, thread};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

/// People read, and told of, at once.
const PAGE: u32 = 10_000;
/// People told of by one thread in one go.
const PIECE: usize = 1_250;
/// People asked at once: each waits for the shop.
const ASKED_AT_ONCE: usize = 16;

/// What a look at everybody came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Looked {
    /// The time it holds for, Unix milliseconds.
    pub(crate) as_of_unix_ms: i64,
    /// The model; absent if there is none, and then nothing was told.
    pub(crate) model: Option<String>,
    /// How sure orders had to be, in words.
    pub(crate) level: Option<String>,
    /// People looked at.
    pub(crate) people: u64,
    /// Orders that were proposed.
    pub(crate) proposed: u64,
    /// Needs that were kept as suggestions.
    pub(crate) suggested: u64,
    /// Earlier times of foretelling that were checked first.
    pub(crate) checked: u64,
    /// How long it took, seconds.
    pub(crate) seconds: f64,
}

/// Why people were not looked at.
#[derive(Debug, Error)]
pub(crate) enum LookError {
    #[error("the server shut down before everybody was looked at")]
    Stopped,
    #[error(transparent)]
    Serving(#[from] ServingError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl protocol::log::LogSafe for LookError {}

impl Orders {
    /// Looks at everybody's needs.
    ///
    /// # Errors
    /// [`LookError`]; what was asked and kept until then stays.
    pub(crate) async fn look(
        self: &Arc<Self>,
        store: &Store,
        now_unix_ms: i64,
        stop: &CancellationToken,
    ) -> Result<Looked, LookError> {
        let checked = self.mature(store, now_unix_ms).await?;
        let mut looked = Looked { as_of_unix_ms: now_unix_ms, checked, ..Looked::default() };
        let Some(serving) = self.serving() else { return Ok(looked) };
        looked.model = Some(serving.bundle.id().to_owned());
        looked.level = Some(serving.level.to_string());
        let people = store.consumption_count().await?;
        let telling = Arc::new(Telling {
            bundle: Arc::clone(&serving.bundle),
            level: serving.level,
            costs: self.costs,
            as_of_unix_ms: now_unix_ms,
            day: self.day_of(now_unix_ms),
            floor: f64::from(self.config.suggestion_percent) / 100.0,
            lead_days: self.config.lead_days.into(),
            sample: Sample::new(self.config.checked_people.into(), people, now_unix_ms),
        });
        let mut ahead = Some(tokio::spawn(read(store.clone(), Uuid::nil())));
        let mut behind: Option<JoinHandle<Result<(), StoreError>>> = None;
        while let Some(page) = ahead.take() {
            let (page, wishes, last) = page.await.unwrap_or(Err(StoreError::Sealed))?;
            if stop.is_cancelled() {
                written(behind).await?;
                return Err(LookError::Stopped);
            }
            // The next page is read, and the one before written, while this one is worked at.
            ahead = last.map(|last| tokio::spawn(read(store.clone(), last)));
            looked.people += page.len() as u64;
            let told = told(&telling, page, wishes).await?;
            written(behind.take()).await?;
            let found = self.settle(store, &telling, told, &mut looked).await?;
            behind = Some(tokio::spawn(write(store.clone(), found, now_unix_ms)));
        }
        written(behind).await?;
        Ok(looked)
    }

    /// Asks for what is to be asked for; gives what is to be kept.
    async fn settle(
        self: &Arc<Self>,
        store: &Store,
        telling: &Arc<Telling>,
        pieces: Vec<Piece>,
        looked: &mut Looked,
    ) -> Result<Piece, StoreError> {
        let now_unix_ms = telling.as_of_unix_ms;
        let mut found = Piece::default();
        for piece in pieces {
            found.shown.extend(piece.shown);
            found.kept.extend(piece.kept);
            found.without.extend(piece.without);
            found.rest.extend(piece.rest);
            looked.suggested += piece.suggested;
        }
        let rest = std::mem::take(&mut found.rest);
        let asked = stream::iter(rest).map(|told| self.ask_all(store, told, now_unix_ms));
        let mut asked = asked.buffer_unordered(ASKED_AT_ONCE);
        while let Some((told, asked)) = asked.try_next().await? {
            looked.proposed += asked.len() as u64;
            looked.suggested += told.suggestions.len() as u64;
            if told.suggestions.is_empty() {
                found.without.push(told.closed.person);
            }
            let (one, said) = telling.seal(&told, &asked)?;
            found.shown.extend(one);
            found.kept.extend(said);
        }
        Ok(found)
    }

    /// Asks a person for all that is to be asked for. What was not asked joins the suggestions.
    async fn ask_all(
        self: &Arc<Self>,
        store: &Store,
        mut told: Told,
        now_unix_ms: i64,
    ) -> Result<(Told, Vec<Suggestion>), StoreError> {
        let person = told.closed.person;
        let mut asked = Vec::new();
        for candidate in std::mem::take(&mut told.candidates) {
            let begun = self.ask(store, person, &candidate, now_unix_ms).await?;
            let Candidate { suggestion, .. } = candidate;
            match begun {
                Ok(_) => asked.push(suggestion),
                Err(because) => told.suggestions.push(Suggestion { because, ..suggestion }),
            }
        }
        if told.passed && asked.is_empty() {
            let mut turn = store.begin().await?;
            let mut wishes: Wishes = turn.wishes(person).await?.unwrap_or_default();
            wishes.threshold.pass(1);
            turn.put_wishes(person, &wishes, now_unix_ms).await?;
            turn.commit().await?;
        }
        Ok((told, asked))
    }
}

/// What everybody buys, from a database that a server may be using; in the order of people.
///
/// # Errors
/// [`StoreError`].
pub async fn consumption(location: Location) -> Result<Vec<(Uuid, Consumption)>, StoreError> {
    let store = Store::open(location).await?;
    let (mut all, mut after) = (Vec::new(), Uuid::nil());
    loop {
        let (page, last) = store.consumption_after(after, PAGE).await?;
        for closed in page {
            all.push((closed.person, closed.open()?));
        }
        let Some(last) = last else { break };
        after = last;
    }
    store.close().await;
    Ok(all)
}

/// What was told of some people.
#[derive(Default)]
struct Piece {
    shown: Vec<Foretold>,
    kept: Vec<Foretold>,
    /// Who is shown nothing.
    without: Vec<Uuid>,
    /// Of whom something is to be asked, or remembered that it was not.
    rest: Vec<Told>,
    suggested: u64,
}

type Page = (Vec<Closed>, HashMap<Uuid, Wishes>, Option<Uuid>);

/// The next people, and what they wish.
async fn read(store: Store, after: Uuid) -> Result<Page, StoreError> {
    let (page, last) = store.consumption_after(after, PAGE).await?;
    let people: Vec<Uuid> = page.iter().map(|closed| closed.person).collect();
    let wishes = store.wishes_of(&people).await?;
    Ok((page, wishes, last))
}

/// Keeps what was told.
async fn write(store: Store, found: Piece, now_unix_ms: i64) -> Result<(), StoreError> {
    let mut turn = store.begin().await?;
    turn.put_all_suggestions(&found.shown, now_unix_ms).await?;
    turn.put_needs(&found.kept, now_unix_ms).await?;
    turn.drop_suggestions(&found.without).await?;
    turn.commit().await
}

/// Waits for it.
async fn written(behind: Option<JoinHandle<Result<(), StoreError>>>) -> Result<(), StoreError> {
    match behind {
        Some(behind) => behind.await.unwrap_or(Err(StoreError::Sealed)),
        None => Ok(()),
    }
}

/// On threads of their own: requests are answered meanwhile.
async fn told(
    telling: &Arc<Telling>,
    mut page: Vec<Closed>,
    wishes: HashMap<Uuid, Wishes>,
) -> Result<Vec<Piece>, StoreError> {
    let wishes = Arc::new(wishes);
    let mut pieces = Vec::new();
    while !page.is_empty() {
        let rest = page.split_off(PIECE.min(page.len()));
        pieces.push(page);
        page = rest;
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    stream::iter(pieces)
        .map(|people| {
            let (telling, wishes) = (Arc::clone(telling), Arc::clone(&wishes));
            let work = tokio::task::spawn_blocking(move || piece(&telling, people, &wishes));
            async { work.await.unwrap_or(Err(StoreError::Sealed)) }
        })
        .buffered(cores)
        .try_collect()
        .await
}

fn piece(
    telling: &Telling,
    people: Vec<Closed>,
    wishes: &HashMap<Uuid, Wishes>,
) -> Result<Piece, StoreError> {
    let mut piece = Piece::default();
    for told in telling.tell(people, wishes) {
        if !told.candidates.is_empty() || told.passed {
            piece.rest.push(told);
            continue;
        }
        piece.suggested += told.suggestions.len() as u64;
        if told.suggestions.is_empty() {
            piece.without.push(told.closed.person);
        }
        let (shown, kept) = telling.seal(&told, &[])?;
        piece.shown.extend(shown);
        piece.kept.extend(kept);
    }
    Ok(piece)
}

#[cfg(test)]
mod tests;
