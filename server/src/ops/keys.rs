//! Operators' keys: how one reads, how it is made, replaced and ended.
//!
//! A key is `attune_<id>_<secret>`: its id in clear, 32 hexadecimal digits, and 32 random bytes in
//! base64url without padding. Only the SHA-256 of the whole is kept, so that whoever reads the
//! database cannot use what stands there; the secret has 256 random bits, so that a fast hash is
//! enough.

pub use super::keychain::Keychain;

use super::scope::{Scope, Scopes};
use crate::store::{Action, Actor, ApiKeyRow, Entry, Store, StoreError};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::digest::Digest;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;
use utoipa::ToSchema;
use uuid::Uuid;

const PREFIX: &str = "attune_";
/// Hexadecimal digits of an id.
const ID_LENGTH: usize = 32;
const SECRET_BYTES: usize = 32;
/// Longest name of a key, characters.
pub const MAX_NAME: usize = 100;
/// How long the old key of a rotation goes on, if nothing else is asked for: a day.
pub const DEFAULT_OVERLAP_MS: i64 = 24 * 60 * 60 * 1_000;
/// Longest overlap: 90 days. Two keys for longer are two keys.
pub const MAX_OVERLAP_MS: i64 = 90 * 24 * 60 * 60 * 1_000;

/// Why a key was not made, replaced or ended.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The name cannot be used.
    #[error("a key's name has 1 to {MAX_NAME} characters, and no control characters among them")]
    Name,
    /// It could do nothing.
    #[error("a key needs a scope: name one at least")]
    NoScope,
    /// It would have ended already.
    #[error("the key would end before it begins: name a time in the future")]
    Past,
    /// The overlap cannot be used.
    #[error("the overlap of a rotation is 0 to 90 days")]
    Overlap,
    /// No such key.
    #[error("there is no key {0}: see the list of keys")]
    Unknown(Uuid),
    /// The key has ended.
    #[error("the key {0} has ended already: make a new one")]
    Ended(Uuid),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key as it is handed over: once. Prints only its id.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: Uuid,
    text: String,
}

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// [`StoreError::Random`] when the operating system gave no random numbers.
    pub fn make() -> Result<Self, StoreError> {
        let mut secret = [0; SECRET_BYTES];
        SystemRandom::new().fill(&mut secret).map_err(|_| StoreError::Random)?;
        let id = Uuid::now_v7();
        let text = format!("{PREFIX}{}_{}", id.simple(), URL_SAFE_NO_PAD.encode(secret));
        Ok(Self { id, text })
    }

    /// Reads a key; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.strip_prefix(PREFIX)?.split_at_checked(ID_LENGTH)?;
        let secret = URL_SAFE_NO_PAD.decode(rest.strip_prefix('_')?).ok()?;
        let plain = id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let id = Uuid::try_parse(id).ok()?;
        (plain && secret.len() == SECRET_BYTES).then(|| Self { id, text: text.to_owned() })
    }

    /// The id that stands in it.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// The whole key: for its holder alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.id)
    }
}

/// Whether a key can be used at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It can.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyInfo {
    /// Stands in the key, in clear.
    pub id: Uuid,
    /// What its maker calls it.
    pub name: String,
    /// What it may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Scopes,
    /// Whether it can be used now.
    pub state: KeyState,
    /// When it was made, Unix milliseconds.
    pub created_unix_ms: i64,
    /// From when on it is refused.
    pub expires_unix_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_unix_ms: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_unix_ms: Option<i64>,
    /// The key that it took over from.
    pub replaces: Option<Uuid>,
}

impl ApiKeyRow {
    /// Whether it can be used at a time.
    #[must_use]
    pub fn state(&self, now_unix_ms: i64) -> KeyState {
        if self.revoked_unix_ms.is_some() {
            KeyState::Revoked
        } else if self.expires_unix_ms.is_some_and(|end| end <= now_unix_ms) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }

    fn info(self, now_unix_ms: i64) -> KeyInfo {
        KeyInfo {
            id: self.id,
            scopes: Scopes::parse(&self.scopes),
            state: self.state(now_unix_ms),
            name: self.name,
            created_unix_ms: self.created_unix_ms,
            expires_unix_ms: self.expires_unix_ms,
            revoked_unix_ms: self.revoked_unix_ms,
            last_used_unix_ms: self.last_used_unix_ms,
            replaces: self.replaces,
        }
    }
}

/// What a new key is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What its maker calls it: 1 to [`MAX_NAME`] characters.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// From when on it is refused, Unix milliseconds; never, if `None`.
    pub expires_unix_ms: Option<i64>,
}

/// Makes a key.
///
/// # Errors
/// [`KeyError`]; no key was made then.
pub(crate) async fn create(
    store: &Store,
    new: NewKey,
    now_unix_ms: i64,
) -> Result<(Token, KeyInfo), KeyError> {
    let named = (1..=MAX_NAME).contains(&new.name.chars().count());
    if !named || new.name.chars().any(char::is_control) {
        return Err(KeyError::Name);
    }
    if new.scopes.is_empty() {
        return Err(KeyError::NoScope);
    }
    if new.expires_unix_ms.is_some_and(|end| end <= now_unix_ms) {
        return Err(KeyError::Past);
    }
    let token = Token::make()?;
    let row = row_of(&token, new, None, now_unix_ms);
    let mut writing = store.begin().await?;
    writing.put_api_key(&row).await?;
    let entry = entry(Action::KeyCreated, format!("key {} with {}", row.id, row.scopes));
    writing.audit(&entry, now_unix_ms).await?;
    writing.commit().await?;
    Ok((token, row.info(now_unix_ms)))
}

/// Every key that was made, the ended ones too.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn list(store: &Store, now_unix_ms: i64) -> Result<Vec<KeyInfo>, StoreError> {
    let rows = store.api_keys().await?;
    Ok(rows.into_iter().map(|row| row.info(now_unix_ms)).collect())
}

/// Makes a key that takes over from another: same name, same scopes, and as long a life. The old
/// one goes on for `overlap_ms`, so that its holders have the time to change.
///
/// # Errors
/// [`KeyError`]; nothing has changed then.
pub(crate) async fn rotate(
    store: &Store,
    old: Uuid,
    overlap_ms: i64,
    now_unix_ms: i64,
) -> Result<(Token, KeyInfo), KeyError> {
    if !(0..=MAX_OVERLAP_MS).contains(&overlap_ms) {
        return Err(KeyError::Overlap);
    }
    let token = Token::make()?;
    // Read inside the turn, so that of two rotations at once the second sees the first.
    let mut writing = store.begin().await?;
    let found = writing.api_key(old).await?.ok_or(KeyError::Unknown(old))?;
    if found.state(now_unix_ms) != KeyState::Active {
        return Err(KeyError::Ended(old));
    }
    let life_ms = found.expires_unix_ms.map(|end| end.saturating_sub(found.created_unix_ms));
    let new = NewKey {
        name: found.name,
        scopes: Scopes::parse(&found.scopes),
        expires_unix_ms: life_ms.map(|life| now_unix_ms.saturating_add(life)),
    };
    let row = row_of(&token, new, Some(old), now_unix_ms);
    writing.put_api_key(&row).await?;
    writing.end_api_key(old, now_unix_ms.saturating_add(overlap_ms)).await?;
    let entry = entry(Action::KeyRotated, format!("key {} took over from {old}", row.id));
    writing.audit(&entry, now_unix_ms).await?;
    writing.commit().await?;
    Ok((token, row.info(now_unix_ms)))
}

/// Ends a key now. One that was revoked before stays so.
///
/// # Errors
/// [`KeyError::Unknown`], [`KeyError::Store`].
pub(crate) async fn revoke(store: &Store, id: Uuid, now_unix_ms: i64) -> Result<(), KeyError> {
    let mut writing = store.begin().await?;
    if writing.api_key(id).await?.is_none() {
        return Err(KeyError::Unknown(id));
    }
    if writing.revoke_api_key(id, now_unix_ms).await? {
        let entry = entry(Action::KeyRevoked, format!("key {id}"));
        writing.audit(&entry, now_unix_ms).await?;
    }
    writing.commit().await?;
    Ok(())
}

fn row_of(token: &Token, new: NewKey, replaces: Option<Uuid>, now_unix_ms: i64) -> ApiKeyRow {
    ApiKeyRow {
        id: token.id(),
        name: new.name,
        hash: token.hash(),
        scopes: new.scopes.to_string(),
        created_unix_ms: now_unix_ms,
        expires_unix_ms: new.expires_unix_ms,
        revoked_unix_ms: None,
        last_used_unix_ms: None,
        replaces,
    }
}

const fn entry(action: Action, result: String) -> Entry {
    Entry { actor: Actor::Operator, action, about: None, result }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::TempDir::new().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        (folder, store)
    }

    fn new(name: &str, expires_unix_ms: Option<i64>) -> NewKey {
        NewKey { name: name.into(), scopes: [Scope::Ingest].into_iter().collect(), expires_unix_ms }
    }

    #[test]
    fn a_key_reads_back_and_tells_nothing_in_print() {
        let token = Token::make().unwrap();
        assert_eq!(token.reveal().len(), PREFIX.len() + ID_LENGTH + 1 + 43);
        assert_eq!(Token::parse(token.reveal()), Some(token.clone()));
        let secret = token.reveal().get(PREFIX.len() + ID_LENGTH + 1..).unwrap();
        assert!(!format!("{token:?}").contains(secret));
        let cut = token.reveal().get(1..).unwrap();
        let upper = token.reveal().replace(&token.id().simple().to_string(), &"A".repeat(32));
        for wrong in ["", "attune_", cut, &upper, &format!("{}A", token.reveal())] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_is_not(text in "(attune_)?[0-9a-fé_-]{0,90}") {
            if let Some(token) = Token::parse(&text) {
                prop_assert_eq!(token.reveal(), text);
            }
        }
    }

    #[tokio::test]
    async fn what_is_stored_is_not_the_key() {
        let (_folder, store) = store().await;
        assert!(!store.has_api_keys().await.unwrap());
        let (token, info) = create(&store, new("till", None), 5).await.unwrap();
        assert!(store.has_api_keys().await.unwrap());
        let row = store.api_key(info.id).await.unwrap().unwrap();
        assert_eq!(row.hash, token.hash());
        assert_eq!(list(&store, 6).await.unwrap(), [info]);
    }

    #[tokio::test]
    async fn a_rotation_lets_the_old_key_go_on_for_a_while() {
        let (_folder, store) = store().await;
        let (_, old) = create(&store, new("till", Some(10 * DAY_MS)), 0).await.unwrap();
        let (_, new) = rotate(&store, old.id, DAY_MS, DAY_MS).await.unwrap();
        assert_eq!((new.name.as_str(), new.replaces), ("till", Some(old.id)));
        assert_eq!(new.expires_unix_ms, Some(11 * DAY_MS), "as long a life");
        let row = store.api_key(old.id).await.unwrap().unwrap();
        assert_eq!(row.state(2 * DAY_MS - 1), KeyState::Active);
        assert_eq!(row.state(2 * DAY_MS), KeyState::Expired);
        // A second rotation does not make its life longer, and an ended key has none.
        rotate(&store, old.id, 5 * DAY_MS, DAY_MS + 1).await.unwrap();
        let row = store.api_key(old.id).await.unwrap().unwrap();
        assert_eq!(row.expires_unix_ms, Some(2 * DAY_MS));
        let ended = rotate(&store, old.id, 0, 3 * DAY_MS).await;
        assert!(matches!(ended, Err(KeyError::Ended(id)) if id == old.id));
        let too_long = rotate(&store, new.id, MAX_OVERLAP_MS + 1, 0).await;
        assert!(matches!(too_long, Err(KeyError::Overlap)));
    }

    #[tokio::test]
    async fn of_two_rotations_at_once_one_counts() {
        let (_folder, store) = store().await;
        let (_, old) = create(&store, new("till", None), 0).await.unwrap();
        let (one, other) =
            tokio::join!(rotate(&store, old.id, 0, DAY_MS), rotate(&store, old.id, 0, DAY_MS));
        let (made, refused) = if one.is_ok() { (one, other) } else { (other, one) };
        assert!(matches!(refused, Err(KeyError::Ended(id)) if id == old.id), "{refused:?}");
        assert_eq!(made.unwrap().1.replaces, Some(old.id));
        assert_eq!(list(&store, DAY_MS).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn no_live_key_is_made_of_one_that_is_being_revoked() {
        let (_folder, store) = store().await;
        let (_, key) = create(&store, new("till", None), 0).await.unwrap();
        let (revoked, rotated) =
            tokio::join!(revoke(&store, key.id, 7), rotate(&store, key.id, DAY_MS, 7));
        revoked.unwrap();
        assert!(matches!(rotated, Err(KeyError::Ended(id)) if id == key.id), "{rotated:?}");
        assert_eq!(list(&store, 7).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_revoked_key_stays_revoked_and_is_in_the_log_once() {
        let (_folder, store) = store().await;
        let (_, key) = create(&store, new("till", None), 0).await.unwrap();
        revoke(&store, key.id, 7).await.unwrap();
        revoke(&store, key.id, 9).await.unwrap();
        let row = store.api_key(key.id).await.unwrap().unwrap();
        assert_eq!(row.revoked_unix_ms, Some(7));
        let unknown = revoke(&store, Uuid::nil(), 9).await;
        assert!(matches!(unknown, Err(KeyError::Unknown(_))));
        assert_eq!(store.verify_audit().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_key_that_could_not_be_told_or_used_is_not_made() {
        let (_folder, store) = store().await;
        let no_scope = NewKey { scopes: Scopes::default(), ..new("till", None) };
        let wrong = [new("", None), new("a\nb", None), new(&"x".repeat(101), None), no_scope];
        for key in wrong.into_iter().chain([new("till", Some(5))]) {
            assert!(create(&store, key, 5).await.is_err());
        }
        assert!(list(&store, 5).await.unwrap().is_empty());
    }
}
