//! What follows from what was stored: profiles, and who is to be scored again.

use crate::store::{StoreError, Writing};
use futures::future::BoxFuture;
use models::profile::Fact;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};
use uuid::Uuid;

/// What a transaction changed about people, by the roots of their groups at its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// Facts that were stored, in the order in which they are known; of nobody in `rebuild`.
    pub facts: BTreeMap<Uuid, Vec<Fact>>,
    /// Groups whose facts are not only more than before: deleted, joined or taken apart. Holds all
    /// of `forgotten`.
    pub rebuild: BTreeSet<Uuid>,
    /// Groups of whom less is known than before, by their will: what models said of them goes.
    pub forgotten: BTreeSet<Uuid>,
    /// Roots of groups that are no more: part of another now.
    pub gone: BTreeSet<Uuid>,
}

/// Keeps what is told from facts up to date, in the transaction that changes them.
pub trait Follow: Debug + Send + Sync {
    /// Takes changes in; they are durable together with what it writes, or not at all.
    fn follow<'a>(
        &'a self,
        writing: &'a mut Writing,
        effects: &'a Effects,
        now_unix_ms: i64,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}
