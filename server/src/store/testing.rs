//! A store of each kind, for the store's own tests.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../tests/support/postgres.rs"]
mod postgres;

use super::{DatabaseUrl, Location, Store};
use postgres::Postgres;
pub(super) use postgres::{Kind, trixie};
use tempfile::TempDir;
use uuid::Uuid;

/// An empty store.
pub(super) struct Rig {
    pub(super) store: Store,
    _folder: TempDir,
}

/// Where an empty database is. SQLite, if of no kind; `None` if it cannot be had.
pub(super) fn place(kind: Option<Kind>) -> Option<(Location, TempDir)> {
    let folder = TempDir::new().unwrap();
    let database = match kind {
        None => None,
        Some(kind) => {
            let name = format!("unit_{}", Uuid::now_v7().simple());
            Some(DatabaseUrl(Postgres::shared(kind)?.database(&name)))
        }
    };
    Some((Location { folder: folder.path().to_owned(), database }, folder))
}

impl Rig {
    pub(super) async fn new(kind: Option<Kind>) -> Option<Self> {
        let (location, _folder) = place(kind)?;
        let store = Store::open_as_server(&location).await.unwrap();
        Some(Self { store, _folder })
    }
}

/// Makes tests `name::sqlite`, `name::postgres` and `name::timescale` of each `async fn name(Rig)`.
macro_rules! on_each {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use crate::store::testing::{Kind, Rig};

            #[tokio::test]
            async fn sqlite() {
                let rig = Rig::new(None).await;
                super::$test(rig.expect("SQLite is always there")).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(rig) = Rig::new(Some(Kind::Plain)).await {
                    super::$test(rig).await;
                }
            }

            #[tokio::test]
            async fn timescale() {
                if let Some(rig) = Rig::new(Some(Kind::Timescale)).await {
                    super::$test(rig).await;
                }
            }
        }
    )+};
}
pub(super) use on_each;
