//! The models there are: which one serves, which forecast beside it, and why.
//!
//! Every change of state is one transaction with its line in the audit log, numbers included.

use super::{
    measure::{Paired, Quality},
    model::{Model, ModelError},
    rule::{self, Evidence, Verdict},
};
use crate::store::{Action, Actor, Entry, ModelRow, ModelState, Store, StoreError, Writing};
use models::{calibration::OnlinePlatt, profile::Reference};
use protocol::{digest::Digest, log, log::LogSafe};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::{Arc, PoisonError, RwLock};
use thiserror::Error;
use tokio::sync::{Mutex, MutexGuard};
use utoipa::ToSchema;

/// The kind of models that are registered here.
pub(crate) const KIND: &str = "conversion";
/// The newest checks of a model that are kept: a year of daily ones.
const MOST_CHECKS: usize = 400;
/// The newest decisions about a model that are kept.
const MOST_DECISIONS: usize = 50;

/// What training says of a model, on its standard output.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// What it was fitted on and how: data window, features, seed, scores.
    pub lineage: Value,
    /// How it did on the newest complete slice.
    pub evidence: Evidence,
    /// The id of the model that it was compared with there.
    #[serde(default)]
    pub against: Option<String>,
}

/// What is known of a registered model.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) training: Value,
    /// How far ahead it looks, milliseconds.
    pub(crate) horizon_ms: i64,
    pub(crate) evidence: Evidence,
    /// The champion that `evidence` compares it with.
    pub(crate) against: Option<String>,
    pub(crate) decisions: Vec<Decided>,
    pub(crate) checks: Vec<Check>,
    /// Learns from what happened after forecasts.
    pub(crate) online: OnlinePlatt,
}

impl Record {
    /// The people that it learned from, if training kept a reference of them.
    pub(crate) fn reference(&self) -> Option<Reference> {
        let kept = self.training.get("reference")?;
        Reference::deserialize(kept).ok().filter(Reference::is_sound)
    }
}

/// A change of what a model is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Decided {
    /// When, Unix milliseconds.
    pub(crate) at_unix_ms: i64,
    /// What it is for since then.
    pub(crate) state: ModelState,
    /// Why, with the numbers.
    #[schema(examples(
        "better than the champion on the newest complete slice: log-loss lower by \
        0.00410 +- 0.00121 nats on 18211 people"
    ))]
    pub(crate) reason: String,
}

/// Forecasts of a model whose time has passed, held against what happened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Check {
    /// When the forecasts were made, Unix milliseconds.
    pub(crate) as_of_unix_ms: i64,
    /// As they were served, or would have been.
    pub(crate) served: Quality,
    /// As the model said them, before what was learnt in service was applied.
    pub(crate) raw: Quality,
    /// Gain over the champion of the time on the same people, for a challenger.
    pub(crate) over_champion: Option<Paired>,
}

/// Why the registry did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum RegistryError {
    #[error("no model has this id: see /v1/models")]
    Unknown,
    #[error("{0}")]
    State(&'static str),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Messages name ids of models and states, nothing of people.
impl LogSafe for RegistryError {}

/// The models at work.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    pub(crate) champion: Option<Arc<Model>>,
    pub(crate) challengers: Vec<Arc<Model>>,
}

impl Serving {
    /// The champion, then the challengers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.champion.iter().chain(&self.challengers)
    }
}

/// The right to change models: what is read under it is still so when it is written back.
pub(crate) type Changing<'a> = MutexGuard<'a, ()>;

/// The registry of a running server.
#[derive(Debug)]
pub(crate) struct Registry {
    serving: RwLock<Arc<Serving>>,
    /// Of the feature definitions that models must have been trained on.
    definitions: Digest,
    /// One change at a time.
    changing: Mutex<()>,
    most_challengers: usize,
}

impl Registry {
    /// With the models that the database says are at work.
    pub(crate) async fn load(
        store: &Store,
        definitions: Digest,
        most_challengers: u8,
    ) -> Result<Self, RegistryError> {
        let registry = Self {
            serving: RwLock::default(),
            definitions,
            changing: Mutex::default(),
            most_challengers: most_challengers.into(),
        };
        registry.refresh(store).await?;
        Ok(registry)
    }

    /// The models at work now.
    pub(crate) fn serving(&self) -> Arc<Serving> {
        Arc::clone(&self.serving.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until nobody else changes models.
    pub(crate) async fn changing(&self) -> Changing<'_> {
        self.changing.lock().await
    }

    /// Takes in a model that training made, and decides what it is for. Gives its id.
    pub(crate) async fn register(
        &self,
        store: &Store,
        bundle: &[u8],
        report: TrainingReport,
        now_unix_ms: i64,
    ) -> Result<String, RegistryError> {
        let model = Model::read(bundle, self.definitions)?;
        let _one = self.changing().await;
        let TrainingReport { lineage, evidence, against } = report;
        let record = Record {
            training: lineage,
            horizon_ms: model.horizon_ms(),
            evidence,
            against,
            ..Record::default()
        };
        let row = ModelRow {
            id: model.id().to_owned(),
            state: ModelState::Challenger,
            created_unix_ms: now_unix_ms,
            lineage: serde_json::to_value(&record).map_err(StoreError::from)?,
        };
        let mut writing = store.begin().await?;
        if !writing.put_model(KIND, &row, bundle).await? {
            // The same facts and the same seed give the same model.
            writing.rollback().await?;
            return Ok(row.id);
        }
        note(&mut writing, format!("registered {}", row.id), Actor::Server, now_unix_ms).await?;
        writing.commit().await?;
        self.judge(store, &row.id, now_unix_ms).await?;
        self.refresh(store).await?;
        Ok(row.id)
    }

    /// Decides anew about every challenger, oldest first: evidence has come in.
    pub(crate) async fn reconsider(
        &self,
        store: &Store,
        now_unix_ms: i64,
    ) -> Result<(), RegistryError> {
        let _one = self.changing().await;
        for row in store.models(KIND).await?.iter().rev() {
            // One that cannot be used must not come to serve: nobody would be scored.
            let usable = self.serving().all().any(|model| model.id() == row.id);
            if row.state == ModelState::Challenger && usable {
                self.judge(store, &row.id, now_unix_ms).await?;
            }
        }
        self.refresh(store).await
    }

    /// Makes a model the champion, whatever the rule says.
    pub(crate) async fn promote(
        &self,
        store: &Store,
        id: &str,
        now_unix_ms: i64,
    ) -> Result<(), RegistryError> {
        let _one = self.changing().await;
        let models = Models::read(store).await?;
        let state = models.find(id).ok_or(RegistryError::Unknown)?.row.state;
        if state == ModelState::Champion {
            return Err(RegistryError::State("this model serves already"));
        }
        let bundle = store.bundle(id).await?.ok_or(RegistryError::Unknown)?;
        if bundle.is_empty() {
            let ended = "this model was out of service for so long that its content has ended \
                         (retention.job_days): train anew";
            return Err(RegistryError::State(ended));
        }
        // In service it would be skipped, and nobody would be scored.
        Model::read(&bundle, self.definitions)?;
        self.make_champion(store, models, id, "by the operator", Actor::Operator, now_unix_ms)
            .await?;
        self.refresh(store).await
    }

    /// Takes a model out of service. Without a champion nothing is predicted.
    pub(crate) async fn retire(
        &self,
        store: &Store,
        id: &str,
        now_unix_ms: i64,
    ) -> Result<(), RegistryError> {
        let _one = self.changing().await;
        let mut models = Models::read(store).await?;
        let known = models.find(id).ok_or(RegistryError::Unknown)?;
        if !matches!(known.row.state, ModelState::Champion | ModelState::Challenger) {
            return Err(RegistryError::State("this model is not at work: nothing to retire"));
        }
        let mut writing = store.begin().await?;
        models.change(id, ModelState::Retired, "by the operator", now_unix_ms);
        let told = format!("retired {id}: by the operator");
        note(&mut writing, told, Actor::Operator, now_unix_ms).await?;
        models.write(&mut writing).await?;
        writing.commit().await?;
        self.refresh(store).await
    }

    /// Notes what forecasts came to, in a transaction of the caller's, who read the row while
    /// nobody else could change it.
    pub(crate) async fn checked(
        &self,
        _: &Changing<'_>,
        writing: &mut Writing,
        row: &ModelRow,
        check: Check,
        champion: Option<&str>,
        online: OnlinePlatt,
    ) -> Result<(), RegistryError> {
        let mut record = record_of(row);
        if let (Some(gain), Some(champion)) = (check.over_champion, champion) {
            if record.against.as_deref() != Some(champion) {
                record.against = Some(champion.to_owned());
                record.evidence.over_champion = None;
                record.evidence.in_service = None;
            }
            let before = record.evidence.in_service.unwrap_or_default();
            record.evidence.in_service = Some(before.and(gain));
        }
        record.online = online;
        record.checks.push(check);
        let old = record.checks.len().saturating_sub(MOST_CHECKS);
        record.checks.drain(..old);
        let lineage = serde_json::to_value(&record).map_err(StoreError::from)?;
        Ok(writing.change_model(&row.id, row.state, &lineage).await?)
    }

    /// Serves what the database says from now on.
    pub(crate) async fn refresh(&self, store: &Store) -> Result<(), RegistryError> {
        let mut serving = Serving::default();
        let known = self.serving();
        for row in store.models(KIND).await? {
            let at_work = matches!(row.state, ModelState::Champion | ModelState::Challenger);
            if !at_work {
                continue;
            }
            let online = record_of(&row).online;
            let model = match known.all().find(|model| model.id() == row.id) {
                Some(model) => model.with_online(online),
                None => {
                    let bundle = store.bundle(&row.id).await?.ok_or(RegistryError::Unknown)?;
                    match Model::read(&bundle, self.definitions) {
                        Ok(model) => model.with_online(online),
                        Err(error) => {
                            // The operator has changed the definitions, or runs an older server.
                            log!(warn, "a model at work cannot be used", error);
                            continue;
                        }
                    }
                }
            };
            match row.state {
                ModelState::Champion => serving.champion = Some(Arc::new(model)),
                _ => serving.challengers.push(Arc::new(model)),
            }
        }
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(serving);
        Ok(())
    }

    async fn judge(&self, store: &Store, id: &str, now: i64) -> Result<(), RegistryError> {
        let mut models = Models::read(store).await?;
        let champion = models.champion().map(|champion| champion.row.id.clone());
        let challenger = models.find(id).ok_or(RegistryError::Unknown)?;
        let mut evidence = challenger.record.evidence;
        if challenger.record.against != champion {
            // It was compared with one that no longer serves.
            (evidence.over_champion, evidence.in_service) = (None, None);
        }
        let decision = rule::judge(&evidence, champion.is_some());
        let state = match decision.verdict {
            Verdict::Promote => {
                let (actor, reason) = (Actor::Server, &decision.reason);
                return self.make_champion(store, models, id, reason, actor, now).await;
            }
            Verdict::Wait if challenger.last_reason() == Some(&decision.reason) => return Ok(()),
            Verdict::Wait => ModelState::Challenger,
            Verdict::Reject => ModelState::Rejected,
        };
        let mut writing = store.begin().await?;
        let told = format!("{} {id}: {}", state.name(), decision.reason);
        note(&mut writing, told, Actor::Server, now).await?;
        models.change(id, state, &decision.reason, now);
        self.thin_out(&mut models, &mut writing, now).await?;
        models.write(&mut writing).await?;
        Ok(writing.commit().await?)
    }

    /// The one that served goes on forecasting: should it turn out the better one, it comes back.
    async fn make_champion(
        &self,
        store: &Store,
        mut models: Models,
        id: &str,
        reason: &str,
        actor: Actor,
        now: i64,
    ) -> Result<(), RegistryError> {
        let mut writing = store.begin().await?;
        note(&mut writing, format!("promoted {id}: {reason}"), actor, now).await?;
        if let Some(served) = models.champion().map(|champion| champion.row.id.clone()) {
            let reason = format!("{id} serves in its place");
            models.change(&served, ModelState::Challenger, &reason, now);
        }
        models.change(id, ModelState::Champion, reason, now);
        self.thin_out(&mut models, &mut writing, now).await?;
        models.write(&mut writing).await?;
        Ok(writing.commit().await?)
    }

    /// Retires the challengers that have been waiting longest, beyond as many as may forecast.
    async fn thin_out(
        &self,
        models: &mut Models,
        writing: &mut Writing,
        now: i64,
    ) -> Result<(), RegistryError> {
        for id in models.surplus(self.most_challengers) {
            let reason = format!("newer ones forecast: {} at a time", self.most_challengers);
            note(writing, format!("retired {id}: {reason}"), Actor::Server, now).await?;
            models.change(&id, ModelState::Retired, &reason, now);
        }
        Ok(())
    }
}

/// Every model with what is known of it, newest first, to be changed and written back.
#[derive(Debug)]
struct Models(Vec<Known>);

#[derive(Debug)]
struct Known {
    row: ModelRow,
    record: Record,
    changed: bool,
}

impl Known {
    fn last_reason(&self) -> Option<&String> {
        self.record.decisions.last().map(|decided| &decided.reason)
    }

    /// Since when it is what it is.
    fn since(&self) -> i64 {
        let decided = self.record.decisions.last();
        decided.map_or(self.row.created_unix_ms, |decided| decided.at_unix_ms)
    }
}

impl Models {
    async fn read(store: &Store) -> Result<Self, StoreError> {
        let known = |row: ModelRow| Known { record: record_of(&row), row, changed: false };
        Ok(Self(store.models(KIND).await?.into_iter().map(known).collect()))
    }

    fn find(&self, id: &str) -> Option<&Known> {
        self.0.iter().find(|known| known.row.id == id)
    }

    fn champion(&self) -> Option<&Known> {
        self.0.iter().find(|known| known.row.state == ModelState::Champion)
    }

    fn surplus(&self, most: usize) -> Vec<String> {
        let challenges = |known: &&Known| known.row.state == ModelState::Challenger;
        let mut challengers: Vec<&Known> = self.0.iter().filter(challenges).collect();
        challengers.sort_by_key(|known| std::cmp::Reverse(known.since()));
        challengers.iter().skip(most).map(|known| known.row.id.clone()).collect()
    }

    fn change(&mut self, id: &str, state: ModelState, reason: &str, at_unix_ms: i64) {
        let Some(known) = self.0.iter_mut().find(|known| known.row.id == id) else { return };
        known.row.state = state;
        known.changed = true;
        let decisions = &mut known.record.decisions;
        decisions.push(Decided { at_unix_ms, state, reason: reason.to_owned() });
        let old = decisions.len().saturating_sub(MOST_DECISIONS);
        decisions.drain(..old);
    }

    async fn write(&self, writing: &mut Writing) -> Result<(), StoreError> {
        for known in self.0.iter().filter(|known| known.changed) {
            let lineage = serde_json::to_value(&known.record)?;
            writing.change_model(&known.row.id, known.row.state, &lineage).await?;
        }
        Ok(())
    }
}

/// A record that an older version wrote in another way counts as empty: the model itself is whole.
pub(crate) fn record_of(row: &ModelRow) -> Record {
    serde_json::from_value(row.lineage.clone()).unwrap_or_default()
}

async fn note(
    writing: &mut Writing,
    result: String,
    actor: Actor,
    at_unix_ms: i64,
) -> Result<(), StoreError> {
    writing.audit(&Entry { actor, action: Action::Model, about: None, result }, at_unix_ms).await
}
