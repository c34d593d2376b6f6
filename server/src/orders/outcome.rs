//! What came of what was foretold: from this the level is kept, and operators see how often
//! proposals were wrong.

use super::{
    life::Status,
    model::ServingError,
    need::Said,
    person::{Held, Wishes},
    service::Orders,
};
use crate::store::{Store, StoreError};
use models::{
    confidence::Realised,
    reorder::{Bought, Consumption, Use, left_alone},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

const DAY_MS: i64 = 86_400_000;
/// People read at once.
const PAGE: u32 = 5_000;
/// Bins of equal width of the probabilities.
const BINS: usize = 10;

/// What came of the needs that were foretold at one time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// The day they were foretold on, since 1970-01-01.
    pub(crate) day: i32,
    /// The day from which all of it is known.
    pub(crate) known_on: i32,
    /// The model.
    pub(crate) model: String,
    /// From which probability on orders were proposed; absent: suggestions only.
    pub(crate) level: Option<f64>,
    /// Of those of the sample whom nobody asked: how many were foretold in each tenth of the
    /// probabilities, the sum of these probabilities, and how many came.
    pub(crate) bins: [Bin; BINS],
    /// Of the same: what would have come of proposing everything from the level on, whoever was
    /// willing to be asked.
    pub(crate) at_level: Realised,
    /// Of what would have been proposed, had the lot not said no: this alone tells what of the
    /// proposals was needed.
    pub(crate) left_alone: Realised,
    /// Of everything that was proposed. What was approved and got counts as needed.
    pub(crate) proposed: Realised,
}

/// Foretellings of about the same probability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Bin {
    /// How many.
    pub(crate) count: u64,
    /// The sum of their probabilities.
    pub(crate) probability: f64,
    /// How many came.
    pub(crate) came: u64,
}

impl Check {
    fn add(&mut self, said: &Said, came: impl Fn(&str) -> Came) {
        self.model.clone_from(&said.model);
        self.level = said.level;
        for need in &said.needs {
            let probability = need.probability.clamp(0.0, 1.0);
            let Came { came, by_itself } = came(&need.category);
            let one = |proposals: bool| Realised {
                predictions: 1,
                proposals: proposals.into(),
                wrong: (proposals && !came).into(),
            };
            self.proposed.add(&one(need.held.is_none()));
            if !by_itself {
                continue;
            }
            self.left_alone.add(&one(need.held == Some(Held::Lot)));
            if said.sampled {
                let place = ((probability * BINS as f64) as usize).min(BINS - 1);
                let bin = &mut self.bins[place];
                bin.count += 1;
                bin.probability += probability;
                bin.came += u64::from(came);
                self.at_level.add(&one(said.level.is_some_and(|level| probability >= level)));
            }
        }
    }
}

impl Orders {
    /// Checks what was foretold so long ago that all of it is known by `now`. Gives how many times
    /// of foretelling there were.
    ///
    /// # Errors
    /// [`ServingError`]; what was checked until then stays so.
    pub(crate) async fn mature(
        &self,
        store: &Store,
        now_unix_ms: i64,
    ) -> Result<u64, ServingError> {
        let horizon_days = i32::from(self.config.training.horizon_days);
        let wait_days = horizon_days.saturating_add(i32::from(self.config.late_days));
        let up_to = now_unix_ms.saturating_sub(i64::from(wait_days) * DAY_MS);
        let times = store.needs_to_check(up_to).await?;
        for made_unix_ms in &times {
            let day = self.day_of(*made_unix_ms);
            let known_on = day.saturating_add(wait_days);
            let mut check = Check { day, known_on, ..Check::default() };
            let mut after = Uuid::nil();
            loop {
                let (page, last) = store.needs_at::<Said>(*made_unix_ms, after, PAGE).await?;
                let people: Vec<Uuid> = page.iter().map(|(person, _)| *person).collect();
                let bought = store.consumption_of_many(&people).await?;
                for (person, said) in &page {
                    let consumption = bought.get(person);
                    check.add(said, |category| {
                        came(person, consumption, category, day, horizon_days)
                    });
                }
                let Some(last) = last else { break };
                after = last;
            }
            let mut turn = store.begin().await?;
            turn.put_need_check(*made_unix_ms, &check, now_unix_ms).await?;
            turn.commit().await?;
        }
        if !times.is_empty() {
            self.refresh(store, now_unix_ms).await?;
        }
        Ok(times.len() as u64)
    }
}

/// What came of a need.
#[derive(Debug, Clone, Copy)]
struct Came {
    /// Whether the category was bought within the horizon. What somebody approved and got is bought,
    /// too.
    came: bool,
    /// Whether nobody asked for it meanwhile.
    by_itself: bool,
}

/// What came of a category by the end of `horizon_days` days after `day`.
fn came(
    person: &Uuid,
    consumption: Option<&Consumption>,
    category: &str,
    day: i32,
    horizon_days: i32,
) -> Came {
    let end = day.saturating_add(horizon_days);
    let Some(consumption) = consumption else { return Came { came: false, by_itself: true } };
    let own = consumption.category(category).map(Use::bought);
    let next = own.and_then(|own| own.all().next_after(day));
    let last = own.and_then(|own| own.all().until(day).last().copied());
    let is_drawn = |own: &Bought| {
        let drawn = last.is_some_and(|last| left_alone(&person.to_string(), category, last.day));
        drawn && !own.is_served_after(day)
    };
    Came {
        came: next.is_some_and(|next| next.day <= end),
        by_itself: consumption.served_from().is_none_or(|from| from > end)
            || own.is_some_and(is_drawn),
    }
}

/// Orders of some days, by how they ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Ends {
    /// How many were proposed.
    pub(crate) proposed: u64,
    /// Approved and taken by the shop.
    pub(crate) fulfilled: u64,
    /// Said no to.
    pub(crate) cancelled: u64,
    /// Not answered in time.
    pub(crate) expired: u64,
    /// Not to be had.
    pub(crate) failed: u64,
    /// Not ended yet.
    pub(crate) open: u64,
}

impl Ends {
    /// Adds orders of a status.
    pub(crate) fn add(&mut self, status: &str, count: u64) {
        self.proposed += count;
        let of = |status: Status| status.name();
        let counted = match status {
            name if name == of(Status::Fulfilled) => &mut self.fulfilled,
            name if name == of(Status::Cancelled) => &mut self.cancelled,
            name if name == of(Status::Expired) => &mut self.expired,
            name if name == of(Status::Failed) => &mut self.failed,
            _ => &mut self.open,
        };
        *counted += count;
    }
}

impl Orders {
    /// How sure the model must be for each person who agreed to be asked, in no order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn thresholds(&self, store: &Store) -> Result<Vec<f64>, StoreError> {
        let (mut found, mut after) = (Vec::new(), Uuid::nil());
        loop {
            let (page, last) = store.wishes_after::<Wishes>(after, PAGE).await?;
            let asked = page.iter().filter(|wishes| wishes.agreed_unix_ms.is_some());
            found.extend(asked.map(|wishes| wishes.threshold.probability(&self.costs)));
            let Some(last) = last else { return Ok(found) };
            after = last;
        }
    }
}
