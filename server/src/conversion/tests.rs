use super::{
    Conversion, ConversionConfig, TrainingReport,
    model::ModelError,
    registry::{KIND, Registry, RegistryError},
    sweep::Plan,
};
use crate::{
    features::Features,
    ops::metrics::Scoring,
    rehearsal::{self, NOW_UNIX_MS},
    store::{ModelRow, ModelState, Store},
};
use models::profile::Definitions;
use protocol::digest::Digest;
use serde_json::json;
use std::{pin::pin, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const DAY_MS: i64 = 86_400_000;

/// A server's predictions, without the server.
pub(super) struct Rig {
    pub(super) folder: TempDir,
    pub(super) store: Store,
    pub(super) conversion: Conversion,
}

impl Rig {
    pub(super) async fn with(config: ConversionConfig) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let conversion = load(&store, config).await;
        Self { folder, store, conversion }
    }

    /// People, and a model that serves; gives its id.
    async fn serve(&self, people: u64) -> String {
        rehearsal::add_people(self.folder.path(), people).await.unwrap();
        let (registry, bundle) = (&self.conversion.registry, rehearsal::model().unwrap());
        let report = TrainingReport::default();
        let id = registry.register(&self.store, &bundle, report, 0).await.unwrap();
        registry.promote(&self.store, &id, 0).await.unwrap();
        id
    }

    async fn state(&self, id: &str) -> ModelState {
        self.store.model(KIND, id).await.unwrap().unwrap().state
    }
}

async fn load(store: &Store, config: ConversionConfig) -> Conversion {
    let features = Features::load(store, Definitions::standard().unwrap()).await.unwrap();
    Conversion::load(store, config, Arc::new(features), Scoring::default()).await.unwrap()
}

#[tokio::test]
async fn what_the_operator_decides_during_a_check_stays() {
    let rig = Rig::with(ConversionConfig::default()).await;
    let id = rig.serve(300).await;
    let (store, stop) = (&rig.store, CancellationToken::new());
    let plan = Plan { as_of_unix_ms: NOW_UNIX_MS, dated: false, job: None, stop: &stop };
    let forecasts = rig.conversion.sweep(store, &plan).await.unwrap().forecasts;
    assert!(forecasts > 200, "{forecasts}");

    // As `retire` does it: the model is changed while its forecasts are being checked.
    let changing = rig.conversion.registry.changing().await;
    let mut writing = store.begin().await.unwrap();
    let mut checking = pin!(rig.conversion.mature(store, NOW_UNIX_MS + 30 * DAY_MS));
    let waits = tokio::time::timeout(Duration::from_millis(500), &mut checking).await;
    assert!(waits.is_err(), "one change at a time");
    let lineage = store.model(KIND, &id).await.unwrap().unwrap().lineage;
    writing.change_model(&id, ModelState::Retired, &lineage).await.unwrap();
    let retiring = async {
        writing.commit().await.unwrap();
        drop(changing);
    };
    let ((), checked) = tokio::join!(retiring, checking);
    assert_eq!(checked.unwrap(), forecasts);
    assert_eq!(rig.state(&id).await, ModelState::Retired);
    assert!(rig.conversion.registry.serving().champion.is_none());
}

#[tokio::test]
async fn a_model_of_other_definitions_is_not_made_the_champion() {
    let rig = Rig::with(ConversionConfig::default()).await;
    let first = rig.serve(1).await;
    rig.conversion.registry.retire(&rig.store, &first, 1).await.unwrap();
    // The same models after the operator has changed the definitions.
    let registry = Registry::load(&rig.store, Digest::of(b"others"), 2).await.unwrap();
    let refused = registry.promote(&rig.store, &first, 2).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Model(ModelError::Definitions)), "{refused}");
    assert_eq!(rig.state(&first).await, ModelState::Retired);
}

#[tokio::test]
async fn a_champion_that_cannot_be_used_is_not_said_to_serve() {
    let rig = Rig::with(ConversionConfig::default()).await;
    let row = ModelRow {
        id: "unreadable".to_owned(),
        state: ModelState::Champion,
        created_unix_ms: 0,
        lineage: json!({}),
    };
    let mut writing = rig.store.begin().await.unwrap();
    writing.put_model(KIND, &row, b"nothing that can be read").await.unwrap();
    writing.commit().await.unwrap();
    rig.conversion.registry.refresh(&rig.store).await.unwrap();
    assert!(rig.conversion.champion(&rig.store).await.unwrap().is_none());

    let id = rig.serve(1).await;
    let (champion, _) = rig.conversion.champion(&rig.store).await.unwrap().unwrap();
    assert_eq!(champion, id);
}
