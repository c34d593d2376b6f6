//! Wearables on a private D-Bus, real btleplug, a real server.

use firmware_sim::{
    bus::PrivateBus,
    fake_bluez::{FakeBluez, SimulatedDevice},
    fault::FaultScript,
    physiology::Beat,
    source::{Source, Tape},
    spec::DeviceSpec,
};
use protocol::consent::{Modality, Notice, Purpose};
use sdk_core::{
    intent::Calibration,
    offer::{OfferPlan, Tempo},
    runtime::{PipelineConfig, Session, SessionConfig, SessionTap, Update},
    sensor::{
        BtleplugTransport, DeviceProfile,
        recording::{
            Recording,
            attune::{Tap, Writer},
        },
    },
    store::LocalStore,
    sync::SyncConfig,
    vault::{KeyStore, PassphraseFile, Secret},
};
use std::{
    env, fs,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::broadcast, time::timeout};

/// The simulated wristband and strap, in the order of [`DEVICES`].
pub const BAND: &str = "Attune Wristband";
/// The simulated strap.
pub const STRAP: &str = "Attune Strap";
/// The devices of a session.
pub const DEVICES: [DeviceProfile; 2] = [DeviceProfile::Eda, DeviceProfile::HeartRate];

/// Longest any test waits for something that should happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

const BUS: &str = "ATTUNE_TEST_BUS";

/// Runs a scenario in a process of its own with a private system bus: the D-Bus library reads the
/// bus's address once a process, so that tests could not have one each otherwise.
///
/// `test` is the test's own full name; the process runs just that.
///
/// # Panics
/// When the scenario fails; its output is in the message.
pub fn on_private_bus<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(String) -> F) {
    if let Ok(address) = env::var(BUS) {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(scenario(address));
        return;
    }
    let bus = PrivateBus::start().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .env(BUS, bus.address())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{test} in its own process:\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Wearables that are being simulated.
#[derive(Debug)]
pub struct Rig {
    /// The Bluetooth daemon.
    pub bluez: FakeBluez,
    /// The adapter, through real btleplug.
    pub transport: Arc<BtleplugTransport>,
}

impl Rig {
    /// Serves devices on the bus.
    ///
    /// # Panics
    /// When they cannot be served.
    pub async fn start(bus_address: &str, devices: Vec<SimulatedDevice>) -> Self {
        let bluez = FakeBluez::start(bus_address, devices, &FaultScript::default()).await.unwrap();
        let transport = Arc::new(BtleplugTransport::new(None).await.unwrap());
        Self { bluez, transport }
    }

    /// Starts a session on the rig.
    ///
    /// # Panics
    /// When it cannot start.
    #[must_use]
    pub fn session(&self, store: &LocalStore, sync: Option<SyncConfig>) -> Session {
        self.session_of(DEVICES.map(|profile| (profile, None)).to_vec(), store, sync)
    }

    /// Starts a session with these devices, by address where one of several is meant.
    ///
    /// # Panics
    /// When it cannot start.
    #[must_use]
    pub fn session_of(
        &self,
        devices: Vec<(DeviceProfile, Option<String>)>,
        store: &LocalStore,
        sync: Option<SyncConfig>,
    ) -> Session {
        session(&self.transport, devices, store, sync)
    }

    /// Starts a session that is recorded to a file.
    ///
    /// # Panics
    /// When it cannot start or the file cannot be written.
    #[must_use]
    pub fn recorded(&self, devices: &[DeviceProfile], store: &LocalStore, file: &Path) -> Session {
        let sink = Box::new(fs::File::create_new(file).unwrap());
        let tap: SessionTap = Tap::new(Writer::new(sink as _, unix_ms()).unwrap());
        let devices = devices.iter().map(|profile| (*profile, None)).collect();
        let config = session_config(devices, store, None);
        let transport = Arc::<BtleplugTransport>::clone(&self.transport);
        Session::start_recorded(config, transport, store.gate().clone(), tap).unwrap()
    }
}

/// Starts a session on an adapter.
///
/// # Panics
/// When it cannot start.
#[must_use]
pub fn session(
    transport: &Arc<BtleplugTransport>,
    devices: Vec<(DeviceProfile, Option<String>)>,
    store: &LocalStore,
    sync: Option<SyncConfig>,
) -> Session {
    let config = session_config(devices, store, sync);
    let transport = Arc::<BtleplugTransport>::clone(transport);
    Session::start(config, transport, store.gate().clone()).unwrap()
}

fn session_config(
    devices: Vec<(DeviceProfile, Option<String>)>,
    store: &LocalStore,
    sync: Option<SyncConfig>,
) -> SessionConfig {
    let report_every = Duration::from_millis(500);
    let sync = sync.map(|config| store.sync(config).unwrap());
    SessionConfig { pipeline: pipeline(), devices, report_every, sync }
}

/// Wristband and strap on one simulated body.
#[must_use]
pub fn simulated(seed: u64) -> Vec<SimulatedDevice> {
    let mut specs = [DeviceSpec::wristband(), DeviceSpec::strap()];
    specs.iter_mut().for_each(|spec| spec.seed = seed);
    specs.map(SimulatedDevice::from).to_vec()
}

/// Wristband and strap that play a recording.
#[must_use]
pub fn playing(recording: &Recording) -> Vec<SimulatedDevice> {
    let source = Source::tape(Tape {
        eda_hz: recording.eda_hz,
        eda_microsiemens: recording.eda_microsiemens.clone(),
        beats: recording.beats.iter().map(|b| Beat { at_s: b.at_s, rr_s: b.rr_s }).collect(),
    });
    let specs = [DeviceSpec::wristband(), DeviceSpec::strap()];
    specs.map(|spec| SimulatedDevice { spec, source: source.clone() }).to_vec()
}

/// The edge path of the demo.
///
/// # Panics
/// When plan or model in the repository are damaged.
#[must_use]
pub fn pipeline() -> PipelineConfig {
    PipelineConfig {
        plan: OfferPlan::from_toml(include_str!("../../cli/assets/demo-offer.toml")).unwrap(),
        tempo: Tempo::default(),
        // The simulated body rests for its first 10 s.
        calibration: Calibration { longest: Duration::from_secs(9), ..Calibration::default() },
        model: Arc::new(models::bundled::intent().unwrap()),
    }
}

/// The notice of the tests.
///
/// # Panics
/// When the protocol asks for more than stands here.
#[must_use]
pub fn notice() -> Notice {
    toml::from_str(include_str!("../../cli/assets/notice-demo.toml")).unwrap()
}

/// A store in memory, with everything but raising prices granted.
///
/// # Panics
/// When the notice cannot be used.
#[must_use]
pub fn granted() -> LocalStore {
    agree(silent())
}

/// A store in memory that permits nothing.
///
/// # Panics
/// When the notice cannot be used.
#[must_use]
pub fn silent() -> LocalStore {
    LocalStore::in_memory(&notice()).unwrap()
}

/// A store in a folder, as far as it was granted before.
///
/// # Panics
/// When it cannot be opened.
#[must_use]
pub fn store_in(folder: &Path, keys: Arc<dyn KeyStore>) -> LocalStore {
    LocalStore::open(folder, keys, &notice()).unwrap()
}

/// A store in a folder, with everything but raising prices granted.
///
/// # Panics
/// When it cannot be opened.
#[must_use]
pub fn granted_in(folder: &Path, keys: Arc<dyn KeyStore>) -> LocalStore {
    agree(store_in(folder, keys))
}

fn agree(store: LocalStore) -> LocalStore {
    store.gate().grant(&uses(), None, unix_ms()).unwrap();
    store.gate().acknowledge(unix_ms()).unwrap();
    store
}

/// A key store in a folder that a test may open again and again: its passphrase is cheap.
///
/// # Panics
/// When the passphrase cannot be that cheap.
#[must_use]
pub fn passphrase_keys(folder: &Path) -> Arc<dyn KeyStore> {
    fs::create_dir_all(folder).unwrap();
    let passphrase = Secret::new(b"of a test".to_vec());
    let file = PassphraseFile::new(&folder.join("keys"), passphrase);
    Arc::new(file.with_iterations(1_000).unwrap())
}

/// Everything but raising prices.
#[must_use]
pub fn uses() -> Vec<(Modality, Purpose)> {
    let biosignals = [Purpose::Collect, Purpose::Infer, Purpose::AdaptOffer, Purpose::Share];
    let both = biosignals.iter().flat_map(|p| [(Modality::Eda, *p), (Modality::Hrv, *p)]);
    both.chain([(Modality::Behaviour, Purpose::Share)]).collect()
}

/// Wall time, Unix milliseconds.
///
/// # Panics
/// Before 1970.
#[must_use]
pub fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A server on a free port, with its data in `folder`, and where to send to.
///
/// # Panics
/// When it cannot be served.
pub async fn server(folder: &Path) -> (server::Monitor, SyncConfig) {
    let config = server::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: folder.join("server"),
        ..server::Config::default()
    };
    let server = server::Server::bind(config).await.unwrap();
    let monitor = server.monitor();
    let sync = SyncConfig { gather: Duration::from_millis(100), ..SyncConfig::to(&server.url()) };
    tokio::spawn(server.run_until(std::future::pending()));
    (monitor, sync)
}

/// Waits for an update that `pick` accepts.
///
/// # Panics
/// When none comes within [`PATIENCE`].
pub async fn wait_for<T>(
    updates: &mut broadcast::Receiver<Update>,
    what: &str,
    mut pick: impl FnMut(&Update) -> Option<T>,
) -> T {
    let found = timeout(PATIENCE, async {
        loop {
            match updates.recv().await {
                Ok(update) => {
                    if let Some(found) = pick(&update) {
                        return found;
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => panic!("the session ended"),
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what} did not happen within {PATIENCE:?}"))
}

/// Waits for samples of one modality; gives the first.
pub async fn samples(
    updates: &mut broadcast::Receiver<Update>,
    modality: Modality,
) -> sdk_core::sensor::Sample {
    wait_for(updates, "a sample", |update| match update {
        Update::Samples(samples) => samples.iter().find(|s| s.modality == modality).copied(),
        _ => None,
    })
    .await
}
