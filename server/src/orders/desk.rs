//! The desk: orders between the database, the shop and the people. What somebody wants is decided by
//! [`life`](super::life) in a turn of the writer; what an order wants is done here, and said to it.
//!
//! ```text
//!  command -> (shop: what does it cost now?) -> turn: read, decide, store, learn -> answer
//!  due     -> Tick                                wanted -> ask, remind, requote, fulfil -> command
//! ```
//!
//! **Invariant.** Nothing is sent and nobody is asked inside a turn: a slow shop holds nobody up. A
//! crash between doing and saying so does it again, under the same key and the same message id.

use super::{
    life::{
        Act, Actor, Answer, Command, Current, Event, Facts, Order, Proposal, Status, Want, Wanted,
        What, Withdrawn,
    },
    person::{WishFault, Wishes, WishesChange},
    purchase,
    shop::Shop,
    wording::{Asking, Wording},
};
use crate::{
    delivery::{Accepted, Address, Channel, ChannelKind, DeliveryError, InApp, Message},
    intake::Follow,
    store::{Marks, Store, StoreError, StoredOrder, Writing},
};
use protocol::{log, offer::Currency};
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

/// How many orders one round looks at.
const MOST_AT_ONCE: u32 = 200;
/// When what could not be done is tried again, milliseconds.
const AGAIN_MS: i64 = 60_000;

/// Names that connectors are written down by.
const SHOP: &str = "shop";

/// What came of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// What whoever sent it is told.
    pub answer: Answer,
    /// The order as it is now.
    pub order: StoredOrder,
}

/// Why somebody is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAsked {
    /// They did not agree to be, or paused.
    Wishes,
    /// The proposal was not sure enough for them.
    Unsure,
    /// An order over one of its articles waits already.
    Waiting,
    /// The proposal cannot be.
    Proposal,
}

/// The desk of a server; clones share it.
#[derive(Debug, Clone)]
pub struct Desk {
    shop: Option<Arc<dyn Shop>>,
    channels: BTreeMap<ChannelKind, Arc<dyn Channel>>,
    in_app: InApp,
    wording: Arc<Wording>,
    follow: Option<Arc<dyn Follow>>,
}

impl Desk {
    /// With the ways that the operator set up. Without a shop a price stays as it was proposed, and
    /// nothing is ever fulfilled.
    #[must_use]
    pub fn new(
        shop: Option<Arc<dyn Shop>>,
        channels: impl IntoIterator<Item = Arc<dyn Channel>>,
        wording: Wording,
    ) -> Self {
        let channels = channels.into_iter().map(|channel| (channel.kind(), channel)).collect();
        Self { shop, channels, in_app: InApp::default(), wording: Arc::new(wording), follow: None }
    }

    /// What is bought is a purchase like any other: it is stored as one, and followed.
    #[must_use]
    pub(crate) fn recording(self, follow: Arc<dyn Follow>) -> Self {
        Self { follow: Some(follow), ..self }
    }

    /// Who sells, if anybody does.
    pub(crate) fn shop(&self) -> Option<&dyn Shop> {
        self.shop.as_deref()
    }

    /// The ways that are set up beside the page.
    #[must_use]
    pub fn ways(&self) -> Vec<ChannelKind> {
        self.channels.keys().copied().collect()
    }

    /// The streams of everybody's pages.
    #[must_use]
    pub const fn in_app(&self) -> &InApp {
        &self.in_app
    }

    /// Begins an order, if its person may be asked now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn propose(
        &self,
        store: &Store,
        proposal: Proposal,
        now_unix_ms: i64,
    ) -> Result<Result<Uuid, NotAsked>, StoreError> {
        let (id, person) = (proposal.order, proposal.person);
        let mut turn = store.begin().await?;
        let wishes: Wishes = turn.wishes(person).await?.unwrap_or_default();
        if !wishes.may_ask() {
            return Ok(Err(NotAsked::Wishes));
        }
        let wanted = |sku: &str| proposal.quote.lines().iter().any(|line| line.sku == sku);
        let open = turn.open_orders(person).await?;
        if open.iter().flat_map(|one| one.order.quote().lines()).any(|line| wanted(&line.sku)) {
            return Ok(Err(NotAsked::Waiting));
        }
        let begun = Order::propose(Uuid::now_v7(), Actor::Timer, proposal, now_unix_ms);
        let Ok((order, event)) = begun else { return Ok(Err(NotAsked::Proposal)) };
        let events = [event];
        turn.put_order(&order, &events, marks(&order, &events, now_unix_ms)).await?;
        turn.commit().await?;
        Ok(Ok(id))
    }

    /// Hears what somebody wants of an order; `None` if there is none of that id.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was changed.
    pub async fn hear(
        &self,
        store: &Store,
        id: Uuid,
        command: &Command,
        now_unix_ms: i64,
    ) -> Result<Option<Heard>, StoreError> {
        let current = self.current(store, id, command).await?;
        let mut turn = store.begin().await?;
        let Some(stored) = turn.order(id).await? else { return Ok(None) };
        let known = stored.events.len();
        let heard = decide(&mut turn, stored, command, current, now_unix_ms).await?;
        if let Some(follow) = &self.follow
            && matches!(command.act, Act::Accepted { .. })
            && heard.order.order.status() == Status::Fulfilled
        {
            purchase::record(&mut turn, &**follow, &heard.order.order, now_unix_ms).await?;
        }
        turn.commit().await?;
        if heard.order.events.len() > known {
            self.in_app.changed(heard.order.order.person());
        }
        Ok(Some(heard))
    }

    /// Makes a change to what somebody wishes. Who no longer wants to be asked has no order left that
    /// waits, by the same transaction.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was changed. The fault of a change that cannot be is in the answer.
    pub async fn wish(
        &self,
        store: &Store,
        person: Uuid,
        change: &WishesChange,
        by: &Actor,
        now_unix_ms: i64,
    ) -> Result<Result<Wishes, WishFault>, StoreError> {
        let mut turn = store.begin().await?;
        let mut wishes: Wishes = turn.wishes(person).await?.unwrap_or_default();
        if let Err(fault) = wishes.change(change, now_unix_ms) {
            return Ok(Err(fault));
        }
        turn.put_wishes(person, &wishes, now_unix_ms).await?;
        let because = match wishes.agreed_unix_ms {
            None => Some(Withdrawn::Consent),
            Some(_) => wishes.paused.then_some(Withdrawn::Paused),
        };
        if let Some(because) = because {
            end_all_in(&mut turn, person, because, by, now_unix_ms).await?;
        }
        turn.commit().await?;
        self.in_app.changed(person);
        Ok(Ok(wishes))
    }

    /// Ends all orders of a person that wait, by one transaction; gives how many there were.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was changed.
    pub async fn end_all(
        &self,
        store: &Store,
        person: Uuid,
        because: Withdrawn,
        by: &Actor,
        now_unix_ms: i64,
    ) -> Result<usize, StoreError> {
        let mut turn = store.begin().await?;
        let ended = end_all_in(&mut turn, person, because, by, now_unix_ms).await?;
        turn.commit().await?;
        self.in_app.changed(person);
        Ok(ended)
    }

    /// Looks at the time, and does what orders want; gives how many it looked at. The next round
    /// goes on where this one ended.
    ///
    /// # Errors
    /// [`StoreError`]; what one order could not get is tried again later, and stops no other.
    pub async fn round(&self, store: &Store, now_unix_ms: i64) -> Result<usize, StoreError> {
        let due = store.orders_due(now_unix_ms, MOST_AT_ONCE).await?;
        for id in &due {
            let tick = Command { id: Uuid::now_v7(), by: Actor::Timer, act: Act::Tick };
            self.hear(store, *id, &tick, now_unix_ms).await?;
        }
        let wanted = store.orders_wanted(now_unix_ms, MOST_AT_ONCE).await?;
        for id in &wanted {
            self.serve(store, *id, now_unix_ms).await?;
        }
        Ok(due.len() + wanted.len())
    }

    /// Does what an order wants.
    async fn serve(&self, store: &Store, id: Uuid, now_unix_ms: i64) -> Result<(), StoreError> {
        let Some(stored) = store.order(id).await? else { return Ok(()) };
        let done = match stored.order.wants() {
            None => return Ok(()),
            Some(Want::Ask { quote }) => self.tell(store, &stored, quote, None).await?,
            Some(Want::Remind { quote, number }) => {
                self.tell(store, &stored, quote, Some(number)).await?
            }
            Some(Want::Requote) => Some((Actor::Timer, Act::Requote)),
            Some(Want::Fulfil { key, attempt }) => match &self.shop {
                Some(shop) => {
                    let act = shop.take(key, attempt, stored.order.quote()).await;
                    Some((Actor::Connector { name: SHOP.to_owned() }, act))
                }
                None => None,
            },
        };
        if let Some((by, act)) = done {
            let command = Command { id: Uuid::now_v7(), by, act };
            let heard = self.hear(store, id, &command, now_unix_ms).await?;
            let taken = heard.is_none_or(|heard| matches!(heard.answer, Answer::Taken { .. }));
            if taken {
                return Ok(());
            }
        }
        let mut turn = store.begin().await?;
        turn.put_off_want(id, now_unix_ms.saturating_add(AGAIN_MS)).await?;
        turn.commit().await
    }

    /// Tells a person of a quote; `None` if it has to be tried again.
    async fn tell(
        &self,
        store: &Store,
        stored: &StoredOrder,
        quote: Uuid,
        reminder: Option<u8>,
    ) -> Result<Option<(Actor, Act)>, StoreError> {
        let person = stored.order.person();
        let wishes: Wishes = store.wishes(person).await?.unwrap_or_default();
        let asking = Asking { order: &stored.order, wishes: &wishes, reminder };
        let mut message = match self.wording.message(&asking) {
            Ok(message) => message,
            Err(error) => {
                log!(error, "a message about an order could not be worded", error);
                return Ok(None);
            }
        };
        let mut sent = self.send(&message).await;
        if let Err(error) = sent.clone()
            && !error.is_transient()
        {
            // Whatever is wrong with the address, the person finds it where they look anyway.
            log!(warn, "a message about an order was refused: it is shown on the page", error);
            message.to = Address::Person(person);
            sent = self.send(&message).await;
        }
        match sent {
            Ok(kind) => {
                let by = Actor::Connector { name: kind.name().to_owned() };
                Ok(Some((by, Act::Told { quote, reminder })))
            }
            Err(error) => {
                log!(warn, "a message about an order did not go out; tried again later", error);
                Ok(None)
            }
        }
    }

    async fn send(&self, message: &Message) -> Result<ChannelKind, DeliveryError> {
        let kind = message.to.kind();
        let Accepted { .. } = match self.channels.get(&kind) {
            Some(channel) => channel.send(message).await?,
            None if kind == ChannelKind::InApp => self.in_app.send(message).await?,
            None => return Err(DeliveryError::Address(kind.name())),
        };
        Ok(kind)
    }

    /// What the shop says now to the goods that a command is about; `None` if it need not be asked,
    /// or gave no price.
    async fn current(
        &self,
        store: &Store,
        id: Uuid,
        command: &Command,
    ) -> Result<Option<Current>, StoreError> {
        let Some(shop) = &self.shop else { return Ok(None) };
        if !matches!(command.act, Act::Approve { .. } | Act::Modify { .. } | Act::Requote) {
            return Ok(None);
        }
        let Some(stored) = store.order(id).await? else { return Ok(None) };
        let waits = matches!(
            stored.order.status(),
            Status::Proposed | Status::Notified | Status::Modified | Status::Delayed
        );
        // Who taps twice costs the shop nothing.
        if !waits || stored.order.answer(command.id).is_some() {
            return Ok(None);
        }
        let quote = stored.order.quote();
        let goods: Vec<Wanted> = match &command.act {
            Act::Modify { lines } => lines.clone(),
            _ => quote
                .lines()
                .iter()
                .map(|line| Wanted { sku: line.sku.clone(), quantity: line.quantity })
                .collect(),
        };
        match shop.quote(&goods, quote.currency()).await {
            Ok(current) => Ok(Some(current)),
            Err(error) => {
                log!(warn, "the shop gave no price for an order", error);
                Ok(None)
            }
        }
    }
}

/// Ends all orders of a person that wait, in the turn of who ends their reason.
///
/// # Errors
/// [`StoreError`]; the turn is to be dropped then.
pub async fn end_all_in(
    turn: &mut Writing,
    person: Uuid,
    because: Withdrawn,
    by: &Actor,
    now_unix_ms: i64,
) -> Result<usize, StoreError> {
    let open = turn.open_orders(person).await?;
    let count = open.len();
    for stored in open {
        let act = Act::Withdraw { because };
        let command = Command { id: Uuid::now_v7(), by: by.clone(), act };
        decide(turn, stored, &command, None, now_unix_ms).await?;
    }
    Ok(count)
}

/// Decides on a command, stores what follows and learns from it.
async fn decide(
    turn: &mut Writing,
    stored: StoredOrder,
    command: &Command,
    current: Option<Current>,
    now_unix_ms: i64,
) -> Result<Heard, StoreError> {
    let StoredOrder { order: before, mut events, made_unix_ms } = stored;
    let person = before.person();
    let mut facts = Facts { current, ..Facts::default() };
    if matches!(command.act, Act::Approve { .. }) {
        let wishes: Wishes = turn.wishes(person).await?.unwrap_or_default();
        let spent = spent_beside(turn, &wishes, &before, now_unix_ms).await?;
        facts.allowances = wishes.allowances(&spent, now_unix_ms);
    }
    let decision = before.decide(command, now_unix_ms, &facts);
    let mut order = before.clone();
    for event in &decision.events {
        let applied = order.apply(event);
        applied.map_err(|fault| StoreError::order(before.id(), events.len(), fault))?;
    }
    let new = events.len();
    events.extend(decision.events);
    turn.put_order(&order, &events[new..], marks(&order, &events, now_unix_ms)).await?;
    if before.ended().is_none()
        && let Some(approved) = order.lesson()
    {
        let mut wishes: Wishes = turn.wishes(person).await?.unwrap_or_default();
        wishes.threshold.learn(order.why().confidence, approved);
        turn.put_wishes(person, &wishes, now_unix_ms).await?;
    }
    Ok(Heard { answer: decision.answer, order: StoredOrder { order, events, made_unix_ms } })
}

/// What the person's other orders count against their limits: when, in which money, how much.
async fn spent_beside(
    turn: &mut Writing,
    wishes: &Wishes,
    order: &Order,
    now_unix_ms: i64,
) -> Result<Vec<(i64, Currency, i64)>, StoreError> {
    let since = wishes.counted_from(now_unix_ms);
    let others = turn.orders_spent_since(order.person(), since).await?;
    let others = others.into_iter().filter(|other| other.order.id() != order.id());
    Ok(others
        .filter_map(|other| {
            let at = approved(&other.order, &other.events)?;
            Some((at, other.order.quote().currency(), other.order.spent_minor()))
        })
        .collect())
}

fn marks(order: &Order, events: &[Event], now_unix_ms: i64) -> Marks {
    Marks {
        approved_unix_ms: approved(order, events),
        wanted_unix_ms: order.wants().map(|_| now_unix_ms),
    }
}

/// Since when the total of an order counts against limits.
fn approved(order: &Order, events: &[Event]) -> Option<i64> {
    let is_approval = |event: &&Event| matches!(event.what, What::Approved { .. });
    let approved = events.iter().rev().find(is_approval)?;
    (order.spent_minor() > 0).then_some(approved.at_unix_ms)
}

#[cfg(test)]
mod tests;
