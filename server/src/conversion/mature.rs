//! Holding forecasts against what happened, once their time has passed: from this models are
//! measured in service, corrected, and compared.

use super::{
    Conversion,
    measure::{Outcome, Paired, Quality},
    registry::{Check, KIND, RegistryError, record_of},
    score::Forecast,
};
use crate::{
    store::{ModelRow, Saying, Store},
    work::DAY_MS,
};
use models::{conversion::log_odds, profile::Fact};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Forecasts read at once.
const PAGE: u32 = 10_000;

/// A model's forecasts of one time, and what came of them.
struct Passed {
    row: ModelRow,
    forecasts: BTreeMap<Uuid, (Forecast, bool)>,
}

impl Conversion {
    /// Checks the forecasts whose time has passed by `now`, with what was known by then. Gives how
    /// many there were.
    ///
    /// # Errors
    /// [`RegistryError`]; what was checked until then stays so.
    pub(crate) async fn mature(
        &self,
        store: &Store,
        now_unix_ms: i64,
    ) -> Result<u64, RegistryError> {
        let models: HashMap<String, ModelRow> =
            store.models(KIND).await?.into_iter().map(|row| (row.id.clone(), row)).collect();
        let mut by_time: BTreeMap<i64, Vec<&ModelRow>> = BTreeMap::new();
        for (model, as_of_unix_ms) in store.forecast_times(now_unix_ms).await? {
            let Some(row) = models.get(&model) else { continue };
            if self.passed_at(row, as_of_unix_ms) <= now_unix_ms {
                by_time.entry(as_of_unix_ms).or_default().push(row);
            }
        }
        let mut checked = 0;
        for (as_of_unix_ms, rows) in by_time {
            let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
            checked += self.check(store, as_of_unix_ms, &ids, now_unix_ms).await?;
        }
        if checked > 0 {
            self.registry.reconsider(store, now_unix_ms).await?;
        }
        Ok(checked)
    }

    /// When what a model said can be checked: its horizon is over, and late facts are in.
    fn passed_at(&self, row: &ModelRow, as_of_unix_ms: i64) -> i64 {
        let late_ms = i64::from(self.config.late_days) * DAY_MS;
        as_of_unix_ms.saturating_add(record_of(row).horizon_ms).saturating_add(late_ms)
    }

    async fn check(
        &self,
        store: &Store,
        as_of_unix_ms: i64,
        ids: &[String],
        now_unix_ms: i64,
    ) -> Result<u64, RegistryError> {
        let mut passed = Vec::with_capacity(ids.len());
        for id in ids {
            let row = store.model(KIND, id).await?.ok_or(RegistryError::Unknown)?;
            let forecasts = self.passed(store, &row, as_of_unix_ms, now_unix_ms).await?;
            passed.push(Passed { row, forecasts });
        }
        let changing = self.registry.changing().await;
        for Passed { row, .. } in &mut passed {
            // It took a while: the operator may have promoted or retired it.
            *row = store.model(KIND, &row.id).await?.ok_or(RegistryError::Unknown)?;
        }
        let serving = self.registry.serving();
        let champion = serving.champion.as_ref().map(|model| model.id());
        let of_champion = passed.iter().find(|passed| Some(passed.row.id.as_str()) == champion);
        let mut writing = store.begin().await?;
        let mut checked = 0;
        for passed in &passed {
            let said = Saying { model: &passed.row.id, as_of_unix_ms };
            writing.drop_forecasts(said).await?;
            let rival = of_champion.filter(|champion| champion.row.id != passed.row.id);
            let Some(check) = passed.check(as_of_unix_ms, rival) else { continue };
            let mut online = record_of(&passed.row).online;
            for (forecast, happened) in passed.forecasts.values() {
                online.learn(log_odds(forecast.raw), *happened);
            }
            let row = &passed.row;
            self.registry.checked(&changing, &mut writing, row, check, champion, online).await?;
            checked += passed.forecasts.len() as u64;
        }
        writing.commit().await?;
        self.registry.refresh(store).await?;
        Ok(checked)
    }

    async fn passed(
        &self,
        store: &Store,
        row: &ModelRow,
        as_of_unix_ms: i64,
        now_unix_ms: i64,
    ) -> Result<BTreeMap<Uuid, (Forecast, bool)>, RegistryError> {
        let until = as_of_unix_ms.saturating_add(record_of(row).horizon_ms);
        let (mut all, mut after) = (BTreeMap::new(), Uuid::nil());
        loop {
            let said = Saying { model: &row.id, as_of_unix_ms };
            let page: Vec<(Uuid, Forecast)> = store.forecasts(said, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            after = *last;
            let people: Vec<Uuid> = page.iter().map(|(person, _)| *person).collect();
            let did = store.conversions(&people, as_of_unix_ms, until, now_unix_ms).await?;
            all.extend(page.into_iter().map(|(person, forecast)| {
                (person, (forecast, did.get(&person).is_some_and(|facts| converted(facts))))
            }));
        }
    }
}

impl Passed {
    /// How good the forecasts were, and by how much better than those of the champion about the
    /// same people.
    fn check(&self, as_of_unix_ms: i64, champion: Option<&Self>) -> Option<Check> {
        let outcomes = |of: fn(Forecast, bool) -> Outcome| -> Vec<Outcome> {
            self.forecasts.values().map(|(forecast, happened)| of(*forecast, *happened)).collect()
        };
        let over_champion = champion.map(|champion| {
            let mut gain = Paired::default();
            for (person, (ours, happened)) in &self.forecasts {
                if let Some((theirs, _)) = champion.forecasts.get(person) {
                    gain.hold(ours.served, theirs.served, *happened);
                }
            }
            gain
        });
        Some(Check {
            as_of_unix_ms,
            served: Quality::of(&outcomes(Forecast::served))?,
            raw: Quality::of(&outcomes(Forecast::raw))?,
            over_champion,
        })
    }
}

/// Whether a conversion is left once what was taken back is taken away.
fn converted(facts: &[Fact]) -> bool {
    facts.iter().map(|fact| i64::from(fact.count)).sum::<i64>() > 0
}
