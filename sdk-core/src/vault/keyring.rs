//! The keyring of the operating system: Secret Service on Linux, Keychain on macOS, Credential
//! Manager on Windows.

use super::keystore::{KeyStore, KeyStoreError, Secret};
use keyring_core::{CredentialStore, Entry, Error};
use std::sync::Arc;

/// Keeps secrets in the keyring of the person who is logged in. Asking it may show them a dialogue
/// and wait for it.
#[derive(Debug)]
pub struct OsKeyring {
    /// Whose secrets these are, as the keyring shows it.
    service: String,
    store: Arc<CredentialStore>,
}

impl OsKeyring {
    /// Connects to the keyring. `service` tells apps and vaults apart: use a name of your own, such
    /// as `com.example.app`.
    ///
    /// # Errors
    /// [`KeyStoreError::Unavailable`] when this system has no keyring, or none that answers.
    pub fn connect(service: &str) -> Result<Self, KeyStoreError> {
        let store = platform().map_err(|error| unavailable("open", &error))?;
        Ok(Self { service: service.to_owned(), store })
    }

    fn entry(&self, name: &str, doing: &str) -> Result<Entry, KeyStoreError> {
        let entry = self.store.build(&self.service, name, None);
        entry.map_err(|error| unavailable(doing, &error))
    }
}

#[cfg(target_os = "linux")]
fn platform() -> Result<Arc<CredentialStore>, Error> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn platform() -> Result<Arc<CredentialStore>, Error> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn platform() -> Result<Arc<CredentialStore>, Error> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn platform() -> Result<Arc<CredentialStore>, Error> {
    Err(Error::NotSupportedByStore("this system has none that Attune knows".to_owned()))
}

impl KeyStore for OsKeyring {
    fn load(&self, name: &str) -> Result<Option<Secret>, KeyStoreError> {
        match self.entry(name, "load")?.get_secret() {
            Ok(secret) => Ok(Some(Secret::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(unavailable("load", &error)),
        }
    }

    fn store(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        let stored = self.entry(name, "store")?.set_secret(secret);
        stored.map_err(|error| unavailable("store", &error))
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        match self.entry(name, "delete")?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(unavailable("delete", &error)),
        }
    }
}

/// What the keyring answered. Errors that carry what was stored are told without it.
fn unavailable(doing: &str, error: &Error) -> KeyStoreError {
    let detail = match error {
        Error::BadEncoding(_) | Error::BadDataFormat(..) => "it holds something else".to_owned(),
        Error::Ambiguous(_) => "it holds several secrets of one name".to_owned(),
        error => error.to_string(),
    };
    KeyStoreError::Unavailable { doing: format!("{doing} a secret"), detail }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{Lifetime, Vault, tests::check_key_store};
    use std::{
        env,
        process::{Command, Stdio},
    };

    const INSIDE: &str = "ATTUNE_TEST_SECRET_SERVICE";
    /// Starts a Secret Service with an empty passphrase on the bus of this session, then the test.
    const SCRIPT: &str = r#"printf '\n' |
        gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1 ||
        { echo "skipped: no secret service"; exit 0; }
        exec "$@""#;

    /// Runs itself in a D-Bus session of its own that has a Secret Service.
    #[test]
    fn c10_the_secret_service_keeps_and_destroys() {
        if env::var_os(INSIDE).is_some() {
            return against_the_service();
        }
        let home = tempfile::tempdir().unwrap();
        let test = "vault::keyring::tests::c10_the_secret_service_keeps_and_destroys";
        let output = Command::new("dbus-run-session")
            .args(["--", "sh", "-c", SCRIPT, "sh"])
            .arg(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(INSIDE, "1")
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .stdin(Stdio::null())
            .output();
        let Ok(output) = output else {
            eprintln!("skipped: no secret service");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("skipped: no secret service") {
            eprintln!("skipped: no secret service");
            return;
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}\n{errors}");
    }

    fn against_the_service() {
        let service = "attune.test";
        check_key_store(&OsKeyring::connect(service).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let keys = Arc::new(OsKeyring::connect(service).unwrap());
            Vault::open(folder.path(), keys).unwrap()
        };
        let (mut log, _) = open().log("outbox", Lifetime::Data).unwrap();
        log.append(&[b"kept"]).unwrap();
        drop(log);
        let vault = open();
        assert_eq!(vault.log("outbox", Lifetime::Data).unwrap().1.frames.len(), 1);
        vault.shred().unwrap();
        assert!(OsKeyring::connect(service).unwrap().load("data").unwrap().is_none());
        assert!(OsKeyring::connect("another.app").unwrap().load("identity").unwrap().is_none());
    }
}
