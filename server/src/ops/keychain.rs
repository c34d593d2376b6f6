//! Operators' keys in a server's database, for the command line; the server may run meanwhile, and sees
//! within seconds what was changed.

use super::keys::{self, KeyError, KeyInfo, NewKey, Token};
use crate::store::{Location, Store};
use uuid::Uuid;

/// The keys of a data folder.
///
/// # Examples
/// ```
/// use server::keys::{Keychain, NewKey};
/// use server::scope::Scope;
/// use std::path::Path;
///
/// # async fn example(now_unix_ms: i64) -> Result<(), server::keys::KeyError> {
/// let keys = Keychain::open(Path::new("attune-data")).await?;
/// let scopes = [Scope::Ingest, Scope::Predict].into_iter().collect();
/// let new = NewKey { name: "till".into(), scopes, expires_unix_ms: None };
/// let (token, info) = keys.create(new, now_unix_ms).await?;
/// println!("{} is shown this once: {}", info.name, token.reveal());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Keychain(Store);

impl Keychain {
    /// Opens a database, making it if there is none.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub async fn open(at: impl Into<Location>) -> Result<Self, KeyError> {
        Ok(Self(Store::open(at).await?))
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyError`]; no key was made then.
    pub async fn create(
        &self,
        new: NewKey,
        now_unix_ms: i64,
    ) -> Result<(Token, KeyInfo), KeyError> {
        keys::create(&self.0, new, now_unix_ms).await
    }

    /// Every key that was made, the ended ones too, in the order of their making.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub async fn list(&self, now_unix_ms: i64) -> Result<Vec<KeyInfo>, KeyError> {
        Ok(keys::list(&self.0, now_unix_ms).await?)
    }

    /// Makes a key that takes over from another, which goes on for `overlap_ms`.
    ///
    /// # Errors
    /// [`KeyError`]; nothing has changed then.
    pub async fn rotate(
        &self,
        old: Uuid,
        overlap_ms: i64,
        now_unix_ms: i64,
    ) -> Result<(Token, KeyInfo), KeyError> {
        keys::rotate(&self.0, old, overlap_ms, now_unix_ms).await
    }

    /// Ends a key now.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn revoke(&self, id: Uuid, now_unix_ms: i64) -> Result<(), KeyError> {
        keys::revoke(&self.0, id, now_unix_ms).await
    }

    /// Closes the database.
    pub async fn close(self) {
        self.0.close().await;
    }
}
