//! Whose body it is: consent as this machine keeps it, and the simulated person of a demo.

use crate::Failure;
use protocol::consent::{Modality, Notice, Purpose};
use sdk_core::{
    consent::{Gate, Ledger},
    store::{LocalStore, StoreError},
    vault::{KeyStore, OsKeyring, PassphraseFile, Secret},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// For use on one's own machine.
const OWN_NOTICE: &str = include_str!("../assets/notice.toml");
/// For the demo's shop.
const DEMO_NOTICE: &str = include_str!("../assets/notice-demo.toml");

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

/// The notice of the demo's shop.
///
/// # Errors
/// None: a test reads the text.
pub fn demo_notice() -> Result<Notice, Failure> {
    parse(DEMO_NOTICE, "the notice of the demo")
}

/// Wall time, Unix milliseconds.
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Where the person who uses this machine keeps their consent.
#[derive(Debug, Clone, clap::Args)]
pub struct Store {
    /// The folder of this machine's user: consent, and what is kept under it. Its keys are in the
    /// system's keyring, or, with ATTUNE_PASSPHRASE, in a file sealed by that.
    #[arg(long, env = "ATTUNE_STORE", value_name = "FOLDER", default_value = "attune-data/device")]
    pub store: PathBuf,
    /// What the person is told, in TOML [default: Attune's own, for one's own machine].
    #[arg(long, value_name = "FILE")]
    pub notice: Option<PathBuf>,
}

/// The person who uses this machine.
#[derive(Debug)]
pub struct Person {
    /// What is kept.
    pub store: LocalStore,
    /// What the person is told.
    pub notice: Notice,
}

impl Person {
    /// What may run.
    pub fn gate(&self) -> &Gate {
        self.store.gate()
    }

    /// What was agreed to.
    pub fn ledger(&self) -> &Arc<Ledger> {
        self.store.ledger()
    }
}

/// Seals the keys in a file where there is no keyring, as on a kiosk or in a container.
const PASSPHRASE: &str = "ATTUNE_PASSPHRASE";
/// That file, in the folder.
const KEYS: &str = "keys";

type How = fn(&Path, Arc<dyn KeyStore>, &Notice) -> Result<LocalStore, StoreError>;

impl Store {
    /// Opens what is kept. Somebody new, who granted nothing, where there is nothing.
    ///
    /// # Errors
    /// When it cannot be opened or the ledger does not hold, another program has it open, or
    /// nobody may be measured under the notice.
    pub fn open(&self) -> Result<Person, Failure> {
        self.open_as(LocalStore::open)
    }

    /// Begins a new ledger, and keeps the old one as evidence. What was kept is destroyed.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn begin_anew(&self) -> Result<Person, Failure> {
        self.open_as(LocalStore::begin_anew)
    }

    fn open_as(&self, how: How) -> Result<Person, Failure> {
        let notice = self.notice()?;
        let store = how(&self.store, self.keys()?, &notice)?;
        for remark in store.remarks() {
            eprintln!("attune: {remark}");
        }
        store.gate().tick(unix_ms());
        Ok(Person { store, notice })
    }

    /// The key store: a file where a passphrase is given, else the system's keyring.
    fn keys(&self) -> Result<Arc<dyn KeyStore>, Failure> {
        let file = self.store.join(KEYS);
        if let Some(passphrase) = env::var_os(PASSPHRASE) {
            let passphrase = Secret::new(passphrase.into_encoded_bytes());
            fs::create_dir_all(&self.store)
                .map_err(|error| format!("cannot make {}: {error}", self.store.display()))?;
            return Ok(Arc::new(PassphraseFile::new(&file, passphrase)));
        }
        if file.exists() {
            let file = file.display();
            return Err(format!("the keys are in {file}: set {PASSPHRASE} to open it").into());
        }
        // Each folder has keys of its own.
        let folder = std::path::absolute(&self.store)?;
        let keyring = OsKeyring::connect(&format!("attune {}", folder.display()));
        let keyring = keyring.map_err(|error| {
            format!(
                "{error}. On a machine without a keyring, set {PASSPHRASE} to keep the keys in a \
                 file sealed by it"
            )
        })?;
        Ok(Arc::new(keyring))
    }

    /// The notice in force.
    ///
    /// # Errors
    /// When it cannot be read, or nobody may be measured under it.
    pub fn notice(&self) -> Result<Notice, Failure> {
        let notice = match &self.notice {
            Some(path) => parse(&read(path)?, &path.display().to_string())?,
            None => parse(OWN_NOTICE, "Attune's own notice")?,
        };
        notice.checked()?;
        Ok(notice)
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error| format!("cannot read the notice {}: {error}", path.display());
    Ok(fs::read_to_string(path).map_err(failed)?)
}

fn parse(text: &str, name: &str) -> Result<Notice, Failure> {
    let wrong = |error| format!("{name} is not a notice: {error}");
    Ok(toml::from_str(text).map_err(wrong)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn c11_the_notices_that_come_with_the_command_can_be_used() {
        let own = parse(OWN_NOTICE, "own").unwrap();
        for notice in [own, demo_notice().unwrap()] {
            notice.checked().unwrap();
            for purpose in Purpose::ALL {
                assert!(notice.retention.iter().any(|r| r.purpose == purpose), "{purpose:?}");
            }
        }
    }

    #[test]
    fn c11_what_is_wrong_with_a_notice_is_said() {
        let check = |text: &str, expected: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("notice.toml");
            fs::write(&path, text).unwrap();
            let store = Store { store: folder.path().into(), notice: Some(path) };
            let error = store.notice().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("version = 3", "notice.toml is not a notice");
        check(&OWN_NOTICE.replace("authority =", "autority ="), "autority");
        check(&OWN_NOTICE.replace("\"personal\"", "\"workplace\""), "prohibited");
        let store = Store { store: "x".into(), notice: Some("/nowhere/notice.toml".into()) };
        let error = store.notice().unwrap_err().to_string();
        assert!(error.starts_with("cannot read the notice /nowhere/notice.toml"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_a_notice(text in ".{0,200}") {
            prop_assert!(parse(&text, "text").is_err());
        }
    }
}
