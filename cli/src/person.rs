//! Whose body it is: consent as this machine keeps it, and the simulated person of a demo.

use crate::Failure;
use protocol::consent::{ConsentRecord, Modality, Purpose};
use sdk_core::consent::Gate;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

/// The notice that goes with grants made through this command.
pub const NOTICE_VERSION: &str = "attune-cli-1";

/// Everything a biosignal demo uses, but for raising prices and sharing.
pub const ON_DEVICE: [(Modality, Purpose); 6] = [
    (Modality::Eda, Purpose::Collect),
    (Modality::Hrv, Purpose::Collect),
    (Modality::Eda, Purpose::Infer),
    (Modality::Hrv, Purpose::Infer),
    (Modality::Eda, Purpose::AdaptOffer),
    (Modality::Hrv, Purpose::AdaptOffer),
];

/// What the operator's server may be told.
pub const SHARED: [(Modality, Purpose); 3] = [
    (Modality::Eda, Purpose::Share),
    (Modality::Hrv, Purpose::Share),
    (Modality::Behaviour, Purpose::Share),
];

/// What it takes to let a price rise.
pub const RAISE: [(Modality, Purpose); 2] =
    [(Modality::Eda, Purpose::RaisePrice), (Modality::Hrv, Purpose::RaisePrice)];

/// A gate for somebody new.
pub fn stranger() -> Gate {
    Gate::new(Uuid::new_v4(), Uuid::new_v4())
}

/// Wall time, Unix milliseconds.
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The file of the person who uses this machine.
#[derive(Debug, Clone, clap::Args)]
pub struct Store {
    /// The consent record of this machine's user.
    #[arg(long, env = "ATTUNE_CONSENT", default_value = "attune-data/consent.json")]
    pub store: PathBuf,
}

impl Store {
    /// The gate as stored; somebody new, who granted nothing, where there is no file.
    ///
    /// # Errors
    /// When the file cannot be read or is not a record.
    pub fn load(&self) -> Result<Gate, Failure> {
        let path = &self.store;
        if !path.exists() {
            return Ok(stranger());
        }
        let text = fs::read_to_string(path).map_err(|e| format!("cannot read {path:?}: {e}"))?;
        let record: ConsentRecord = serde_json::from_str(&text).map_err(|e| {
            format!("{path:?} is not a consent record ({e}): move it away and grant again")
        })?;
        let gate = Gate::new(record.person, record.device);
        gate.tick(unix_ms());
        gate.resume(record)?;
        Ok(gate)
    }

    /// Writes the record in force, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, record: &ConsentRecord) -> Result<(), Failure> {
        let failed = |e| format!("cannot write {:?}: {e}", self.store);
        if let Some(folder) = self.store.parent().filter(|f| *f != Path::new("")) {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let fresh = self.store.with_extension("new");
        fs::write(&fresh, serde_json::to_vec_pretty(record)?).map_err(failed)?;
        fs::rename(&fresh, &self.store).map_err(failed)?;
        Ok(())
    }
}
