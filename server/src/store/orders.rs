//! Orders: their events, sealed, and beside each order what has to be found without opening it.
//!
//! Events are only ever added, under the number that follows those that are there; all writing goes
//! through the one writer, so whoever read an order in a turn decides on what it is.

use super::{
    Store, StoreError, Writing, bytes, id_of,
    predictions::ProfileRow,
    seal::{PersonKey, Sealed, person_hash},
    sql::{MOST_ROWS, list},
    whole,
};
use crate::orders::life::{Event, Order};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{AnyConnection, AssertSqlSafe};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// An order as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredOrder {
    /// What its events made.
    pub order: Order,
    /// All of them, in their order.
    pub events: Vec<Event>,
    /// When it was made, Unix milliseconds.
    pub made_unix_ms: i64,
}

/// What is found without opening an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// From when on its total counts against limits, Unix milliseconds; `None` if it does not.
    pub approved_unix_ms: Option<i64>,
    /// When what is wanted for it is to be tried, Unix milliseconds; `None` if nothing is.
    pub wanted_unix_ms: Option<i64>,
}

/// What was not sure enough to be asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSuggestions<T> {
    /// When it was made, Unix milliseconds.
    pub made_unix_ms: i64,
    /// What it says.
    pub body: T,
}

type WishesRow = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);
type EventRow = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);

/// Every node of the group that `$1` is in.
const GROUP: &str =
    "(SELECT person FROM subjects WHERE root = (SELECT root FROM subjects WHERE person = $1))";

impl Writing {
    /// An order, as this turn sees it; `None` if there is none, or if its person was erased.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Order`] if its events do not make one.
    pub async fn order(&mut self, id: Uuid) -> Result<Option<StoredOrder>, StoreError> {
        let rows = event_rows(&mut self.transaction, &[id]).await?;
        let Some((_, _, person, ..)) = rows.first() else { return Ok(None) };
        let Some(key) = self.keys.find(&person_hash(id_of(person)?)).await? else {
            return Ok(None);
        };
        let mut orders = open(rows, |_| Some(key.clone()))?;
        Ok(orders.pop())
    }

    /// Adds events to an order, or begins it, and keeps what is found without opening it.
    ///
    /// # Errors
    /// [`StoreError`]; the turn is to be dropped then.
    pub async fn put_order(
        &mut self,
        order: &Order,
        events: &[Event],
        marks: Marks,
    ) -> Result<(), StoreError> {
        let Some(newest) = events.last() else { return Ok(()) };
        let count = whole(order.events(), "the number of an order's events")?;
        let first = count - i64::try_from(events.len()).unwrap_or(i64::MAX);
        let key = self.key(order.person()).await?;
        sqlx::query(
            "INSERT INTO orders (id, person, status, events, made_unix_ms, changed_unix_ms,
                 approved_unix_ms, due_unix_ms, wanted_unix_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE
                 SET status = excluded.status, events = excluded.events,
                     changed_unix_ms = excluded.changed_unix_ms,
                     approved_unix_ms = excluded.approved_unix_ms,
                     due_unix_ms = excluded.due_unix_ms,
                     wanted_unix_ms = excluded.wanted_unix_ms",
        )
        .bind(bytes(&order.id()))
        .bind(bytes(&order.person()))
        .bind(order.status().name())
        .bind(count)
        .bind(newest.at_unix_ms)
        .bind(newest.at_unix_ms)
        .bind(marks.approved_unix_ms)
        .bind(order.due())
        .bind(marks.wanted_unix_ms)
        .execute(&mut *self.transaction)
        .await?;
        for (number, event) in (first..).zip(events) {
            let id = Uuid::now_v7();
            let Sealed { nonce, bytes: sealed } =
                key.seal(id.as_bytes(), &serde_json::to_vec(event)?)?;
            sqlx::query(
                "INSERT INTO order_events (id, order_id, number, person, at_unix_ms, nonce, sealed)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(bytes(&id))
            .bind(bytes(&order.id()))
            .bind(number)
            .bind(bytes(&order.person()))
            .bind(event.at_unix_ms)
            .bind(&nonce[..])
            .bind(sealed)
            .execute(&mut *self.transaction)
            .await?;
        }
        Ok(())
    }

    /// Says when what is wanted for an order is to be tried again.
    ///
    /// # Errors
    /// [`StoreError`]; the turn is to be dropped then.
    pub async fn put_off_want(&mut self, id: Uuid, until_unix_ms: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE orders SET wanted_unix_ms = $2 WHERE id = $1 AND wanted_unix_ms IS NOT NULL",
        )
        .bind(bytes(&id))
        .bind(until_unix_ms)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// The orders of a person's group that count against their limits since a time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn orders_spent_since(
        &mut self,
        person: Uuid,
        since_unix_ms: i64,
    ) -> Result<Vec<StoredOrder>, StoreError> {
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT id FROM orders WHERE approved_unix_ms >= $2 AND person IN {GROUP}"
        )))
        .bind(bytes(&person))
        .bind(since_unix_ms)
        .fetch_all(&mut *self.transaction)
        .await?;
        self.orders(ids).await
    }

    /// The orders of a person's group that have not ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_orders(&mut self, person: Uuid) -> Result<Vec<StoredOrder>, StoreError> {
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT id FROM orders WHERE due_unix_ms IS NOT NULL AND person IN {GROUP}"
        )))
        .bind(bytes(&person))
        .fetch_all(&mut *self.transaction)
        .await?;
        self.orders(ids).await
    }

    async fn orders(&mut self, ids: Vec<Vec<u8>>) -> Result<Vec<StoredOrder>, StoreError> {
        let mut orders = Vec::with_capacity(ids.len());
        for id in ids {
            orders.extend(self.order(id_of(&id)?).await?);
        }
        Ok(orders)
    }

    /// What a person wishes of orders; `None` if they never said.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wishes<T: DeserializeOwned>(
        &mut self,
        person: Uuid,
    ) -> Result<Option<T>, StoreError> {
        let row = wishes_row(&mut self.transaction, person).await?;
        let Some((person, nonce, sealed)) = row else { return Ok(None) };
        let key = self.key(id_of(&person)?).await?;
        Ok(Some(key.open(&person, &nonce, &sealed)?))
    }

    /// Keeps what a person wishes, in the place of what they did.
    ///
    /// # Errors
    /// [`StoreError`]; the turn is to be dropped then.
    pub async fn put_wishes(
        &mut self,
        person: Uuid,
        wishes: &impl Serialize,
        now_unix_ms: i64,
    ) -> Result<(), StoreError> {
        let key = self.key(person).await?;
        let sealed = key.seal(person.as_bytes(), &serde_json::to_vec(wishes)?)?;
        sqlx::query(
            "INSERT INTO order_people (person, changed_unix_ms, nonce, sealed)
             VALUES ($1, $2, $3, $4) ON CONFLICT (person) DO UPDATE
                 SET changed_unix_ms = excluded.changed_unix_ms, nonce = excluded.nonce,
                     sealed = excluded.sealed",
        )
        .bind(bytes(&person))
        .bind(now_unix_ms)
        .bind(&sealed.nonce[..])
        .bind(sealed.bytes)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Keeps what was not sure enough to be asked for, in the place of what was before.
    ///
    /// # Errors
    /// [`StoreError`]; the turn is to be dropped then.
    pub async fn put_suggestions(
        &mut self,
        person: Uuid,
        body: &impl Serialize,
        now_unix_ms: i64,
    ) -> Result<(), StoreError> {
        let key = self.key(person).await?;
        let sealed = key.seal(person.as_bytes(), &serde_json::to_vec(body)?)?;
        sqlx::query(
            "INSERT INTO suggestions (person, made_unix_ms, nonce, sealed)
             VALUES ($1, $2, $3, $4) ON CONFLICT (person) DO UPDATE
                 SET made_unix_ms = excluded.made_unix_ms, nonce = excluded.nonce,
                     sealed = excluded.sealed",
        )
        .bind(bytes(&person))
        .bind(now_unix_ms)
        .bind(&sealed.nonce[..])
        .bind(sealed.bytes)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}

impl Store {
    /// An order; `None` if there is none, or if its person was erased.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn order(&self, id: Uuid) -> Result<Option<StoredOrder>, StoreError> {
        Ok(self.orders(&[id]).await?.pop())
    }

    /// The orders of a person's group, the newest first, made before a time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn orders_of(
        &self,
        person: Uuid,
        before_unix_ms: i64,
        most: u32,
    ) -> Result<Vec<StoredOrder>, StoreError> {
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT id FROM orders WHERE made_unix_ms < $2 AND person IN {GROUP}
             ORDER BY made_unix_ms DESC, id DESC LIMIT $3"
        )))
        .bind(bytes(&person))
        .bind(before_unix_ms)
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let ids = ids.iter().map(|id| id_of(id)).collect::<Result<Vec<_>, _>>()?;
        let mut orders = self.orders(&ids).await?;
        let place = |order: &StoredOrder| ids.iter().position(|id| *id == order.order.id());
        orders.sort_by_key(place);
        Ok(orders)
    }

    /// Everybody's orders in the order of their ids, after one of them, those of a status only if one
    /// is named.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn orders_after(
        &self,
        after: Uuid,
        status: Option<&str>,
        most: u32,
    ) -> Result<Vec<StoredOrder>, StoreError> {
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT id FROM orders WHERE id > $1 AND ($2 = '' OR status = $2) ORDER BY id LIMIT $3",
        )
        .bind(bytes(&after))
        .bind(status.unwrap_or_default())
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let ids = ids.iter().map(|id| id_of(id)).collect::<Result<Vec<_>, _>>()?;
        let mut orders = self.orders(&ids).await?;
        orders.sort_by_key(|order| order.order.id());
        Ok(orders)
    }

    /// Orders of which the time is to be looked at by now, the longest overdue first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn orders_due(&self, now_unix_ms: i64, most: u32) -> Result<Vec<Uuid>, StoreError> {
        self.ids(
            "SELECT id FROM orders WHERE due_unix_ms <= $1 ORDER BY due_unix_ms, id LIMIT $2",
            now_unix_ms,
            most,
        )
        .await
    }

    /// Orders for which something is to be done by now, the longest overdue first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn orders_wanted(
        &self,
        now_unix_ms: i64,
        most: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        self.ids(
            "SELECT id FROM orders WHERE wanted_unix_ms <= $1 ORDER BY wanted_unix_ms, id LIMIT $2",
            now_unix_ms,
            most,
        )
        .await
    }

    /// What a person wishes of orders; `None` if they never said, or were erased.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wishes<T: DeserializeOwned>(&self, person: Uuid) -> Result<Option<T>, StoreError> {
        let row = wishes_row(&mut *self.readers.acquire().await?, person).await?;
        let Some((person, nonce, sealed)) = row else { return Ok(None) };
        let key = self.keys.find(&person_hash(id_of(&person)?)).await?;
        key.map(|key| key.open(&person, &nonce, &sealed)).transpose()
    }

    /// What roots wish of orders; who never said, or was erased, is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wishes_of<T: DeserializeOwned>(
        &self,
        roots: &[Uuid],
    ) -> Result<HashMap<Uuid, T>, StoreError> {
        let mut found = HashMap::new();
        for some in roots.chunks(MOST_ROWS) {
            // What was said last counts: it comes last.
            let mut query = sqlx::query_as(AssertSqlSafe(format!(
                "SELECT s.root, o.person, o.nonce, o.sealed FROM subjects AS s
                 JOIN order_people AS o ON o.person = s.person WHERE s.root IN {}
                 ORDER BY o.changed_unix_ms, o.person DESC",
                list(1, some.len())
            )));
            for root in some {
                query = query.bind(bytes(root));
            }
            let rows: Vec<WishesRow> = query.fetch_all(&self.readers).await?;
            let people = rows.iter().map(|(_, person, ..)| id_of(person));
            let people = people.collect::<Result<Vec<_>, _>>()?;
            let hashes: Vec<_> = people.iter().map(|person| person_hash(*person)).collect();
            let keys = self.keys.find_all(&hashes).await?;
            for ((root, person, nonce, sealed), hash) in rows.iter().zip(&hashes) {
                let Some(key) = keys.get(hash) else { continue };
                found.insert(id_of(root)?, key.open(person, nonce, sealed)?);
            }
        }
        Ok(found)
    }

    /// Everybody's wishes in the order of their people, after one of them; with them the last that
    /// was looked at, `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wishes_after<T: DeserializeOwned>(
        &self,
        after: Uuid,
        most: u32,
    ) -> Result<(Vec<T>, Option<Uuid>), StoreError> {
        let rows: Vec<ProfileRow> = sqlx::query_as(
            "SELECT person, changed_unix_ms, nonce, sealed FROM order_people WHERE person > $1
             ORDER BY person LIMIT $2",
        )
        .bind(bytes(&after))
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let last = rows.last().map(|(person, ..)| id_of(person)).transpose()?;
        let closed = self.closed(rows).await?;
        Ok((closed.iter().map(super::Closed::open).collect::<Result<_, _>>()?, last))
    }

    /// How many orders made since a time are in each status.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn orders_by_status(
        &self,
        since_unix_ms: i64,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT status, count(*) FROM orders WHERE made_unix_ms >= $1 GROUP BY status
             ORDER BY status",
        )
        .bind(since_unix_ms)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(|(status, count)| (status, count.unsigned_abs())).collect())
    }

    /// What was not sure enough to be asked for; `None` if nothing was ever looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn suggestions_of<T: DeserializeOwned>(
        &self,
        person: Uuid,
    ) -> Result<Option<StoredSuggestions<T>>, StoreError> {
        let row: Option<ProfileRow> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT person, made_unix_ms, nonce, sealed FROM suggestions
                 WHERE person IN {GROUP} ORDER BY made_unix_ms DESC, person LIMIT 1"
        )))
        .bind(bytes(&person))
        .fetch_optional(&self.readers)
        .await?;
        let Some((person, made_unix_ms, nonce, sealed)) = row else { return Ok(None) };
        let key = self.keys.find(&person_hash(id_of(&person)?)).await?;
        let body = key.map(|key| key.open(&person, &nonce, &sealed)).transpose()?;
        Ok(body.map(|body| StoredSuggestions { made_unix_ms, body }))
    }

    async fn ids(
        &self,
        query: &'static str,
        now_unix_ms: i64,
        most: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        let query = sqlx::query_scalar(query).bind(now_unix_ms).bind(i64::from(most));
        let ids: Vec<Vec<u8>> = query.fetch_all(&self.readers).await?;
        ids.iter().map(|id| id_of(id)).collect()
    }

    async fn orders(&self, ids: &[Uuid]) -> Result<Vec<StoredOrder>, StoreError> {
        let mut orders = Vec::with_capacity(ids.len());
        for some in ids.chunks(MOST_ROWS) {
            let rows = event_rows(&mut *self.readers.acquire().await?, some).await?;
            let people: Vec<Uuid> =
                rows.iter().map(|(_, _, person, ..)| id_of(person)).collect::<Result<_, _>>()?;
            let hashes: Vec<_> = people.iter().map(|person| person_hash(*person)).collect();
            let keys = self.keys.find_all(&hashes).await?;
            orders.extend(open(rows, |person| keys.get(&person_hash(person)).cloned())?);
        }
        Ok(orders)
    }
}

async fn event_rows(
    connection: &mut AnyConnection,
    orders: &[Uuid],
) -> Result<Vec<EventRow>, StoreError> {
    let mut query = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT order_id, id, person, nonce, sealed FROM order_events WHERE order_id IN {}
         ORDER BY order_id, number",
        list(1, orders.len())
    )));
    for order in orders {
        query = query.bind(bytes(order));
    }
    Ok(query.fetch_all(connection).await?)
}

async fn wishes_row(
    connection: &mut AnyConnection,
    person: Uuid,
) -> Result<Option<(Vec<u8>, Vec<u8>, Vec<u8>)>, StoreError> {
    // Of a group that was joined there may be several: what was said last counts.
    let query = format!(
        "SELECT person, nonce, sealed FROM order_people WHERE person IN {GROUP}
         ORDER BY changed_unix_ms DESC, person LIMIT 1"
    );
    let query = sqlx::query_as(AssertSqlSafe(query)).bind(bytes(&person));
    Ok(query.fetch_optional(connection).await?)
}

/// Opens events, in the order of their numbers, into orders. Those whose key is gone are left out.
fn open(
    rows: Vec<EventRow>,
    key: impl Fn(Uuid) -> Option<PersonKey>,
) -> Result<Vec<StoredOrder>, StoreError> {
    let mut events: BTreeMap<Uuid, Vec<Event>> = BTreeMap::new();
    for (order, id, person, nonce, sealed) in rows {
        let Some(key) = key(id_of(&person)?) else { continue };
        events.entry(id_of(&order)?).or_default().push(key.open(&id, &nonce, &sealed)?);
    }
    let made = |(id, events): (Uuid, Vec<Event>)| {
        let order = Order::replay(&events).map_err(|fault| StoreError::Order { id, fault })?;
        let made_unix_ms = events.first().map_or(0, |event| event.at_unix_ms);
        Ok(StoredOrder { order, events, made_unix_ms })
    };
    events.into_iter().map(made).collect()
}
