//! Asking for what is needed: not twice, and only for what the shop has at its price of today.

use super::{
    life::{Current, Line, Proposal, Quote, Status, Wanted, Why},
    need::{Candidate, Said},
    person::Held,
    service::Orders,
};
use crate::store::{Store, StoreError, StoredOrder};
use protocol::log;
use uuid::Uuid;

const DAY_MS: i64 = 86_400_000;
/// Orders of a person that are looked back at.
const LOOKED_BACK: u32 = 50;

impl Orders {
    /// Begins an order for a candidate, or says why not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn ask(
        &self,
        store: &Store,
        person: Uuid,
        candidate: &Candidate,
        now_unix_ms: i64,
    ) -> Result<Result<Uuid, Held>, StoreError> {
        let category = &candidate.suggestion.category;
        let earlier = store.orders_of(person, i64::MAX, LOOKED_BACK).await?;
        let rests_ms = i64::from(self.config.rest_days) * DAY_MS;
        let rests = |stored: &StoredOrder| {
            let order = &stored.order;
            let lately = now_unix_ms.saturating_sub(order.changed().1) < rests_ms;
            let waits = !order.status().is_end();
            let fulfilled = order.status() == Status::Fulfilled;
            &order.why().category == category && (waits || (lately && !fulfilled))
        };
        if earlier.iter().any(rests) {
            return Ok(Err(Held::Asked));
        }
        if candidate.left_alone {
            // Counted as often as it would have been asked for.
            let since = now_unix_ms.saturating_sub(rests_ms);
            let before = store.needs_of::<Said>(person, since).await?;
            let drawn = |said: &Said| {
                said.needs
                    .iter()
                    .any(|one| &one.category == category && one.held == Some(Held::Lot))
            };
            return Ok(Err(if before.iter().any(drawn) { Held::Asked } else { Held::Lot }));
        }
        let Some(quote) = self.quoted(candidate).await else { return Ok(Err(Held::Shop)) };
        let suggestion = &candidate.suggestion;
        let proposal = Proposal {
            order: Uuid::now_v7(),
            person,
            quote,
            why: Why {
                model_id: suggestion.model_id.clone(),
                category: category.clone(),
                confidence: suggestion.confidence,
                threshold: candidate.threshold,
                reasons: suggestion.reasons.clone(),
                inputs_digest: candidate.inputs_digest.clone(),
            },
            rules: self.rules.clone(),
        };
        let begun = self.desk.propose(store, proposal, now_unix_ms).await?;
        Ok(begun.map_err(|why| match why {
            super::desk::NotAsked::Wishes => Held::Wishes,
            super::desk::NotAsked::Unsure => Held::Unsure,
            super::desk::NotAsked::Waiting => Held::Asked,
            super::desk::NotAsked::Proposal => Held::Shop,
        }))
    }

    /// The price of the likeliest article that is to be had; `None` if none is.
    async fn quoted(&self, candidate: &Candidate) -> Option<Quote> {
        let quantity = candidate.suggestion.quantity.max(1);
        let priced = |(sku, unit): &(String, Option<protocol::offer::Money>)| {
            let unit = (*unit)?;
            let line =
                Line { sku: sku.clone(), title: sku.clone(), quantity, unit_minor: unit.minor };
            Quote::new(Uuid::now_v7(), unit.currency, vec![line], 0).ok()
        };
        let Some(shop) = self.desk.shop() else {
            return candidate.articles.iter().find_map(priced);
        };
        let currency = candidate.articles.iter().find_map(|(_, unit)| Some((*unit)?.currency));
        let currency = currency.unwrap_or(protocol::offer::Currency::EUR);
        for (sku, _) in &candidate.articles {
            let wanted = [Wanted { sku: sku.clone(), quantity }];
            match shop.quote(&wanted, currency).await {
                Ok(Current::Quoted { quote }) => return Some(quote),
                Ok(Current::Nothing) => {}
                Err(error) => {
                    log!(warn, "the shop gave no price for what is needed", error);
                    return None;
                }
            }
        }
        None
    }
}
