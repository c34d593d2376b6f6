//! What an operator's key may do.
//!
//! No scope includes another: a key holds exactly what its holder asked for.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;
use utoipa::ToSchema;

/// One thing that a key may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = KeyScope)]
pub enum Scope {
    /// Send conversions, behaviour and context in.
    Ingest,
    /// Say when something became known, and what time it is: for dated replays.
    Backfill,
    /// Read predictions.
    Predict,
    /// Read features.
    Features,
    /// Read and answer orders, say what people wish of them, give out their pages.
    Orders,
    /// Link people and take them apart.
    Identity,
    /// Train, compare and promote models.
    Models,
    /// Read the live page.
    Live,
    /// Make and revoke keys, read metrics.
    Admin,
}

/// A type that names a [`Scope`], for extractors.
pub trait ScopeName: Send + Sync + 'static {
    /// The scope.
    const SCOPE: Scope;
}

macro_rules! names {
    ($($name:ident),*) => {$(
        #[doc = concat!("Names [`Scope::", stringify!($name), "`].")]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl ScopeName for $name {
            const SCOPE: Scope = Scope::$name;
        }
    )*};
}

names!(Ingest, Backfill, Predict, Features, Orders, Identity, Models, Live, Admin);

/// A text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "\"{0}\" is no scope: take ingest, backfill, predict, features, orders, identity, models, live or \
     admin"
)]
pub struct UnknownScope(pub String);

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 9] = [
        Self::Ingest,
        Self::Backfill,
        Self::Predict,
        Self::Features,
        Self::Orders,
        Self::Identity,
        Self::Models,
        Self::Live,
        Self::Admin,
    ];

    /// Its name, as keys, documents and the database have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Backfill => "backfill",
            Self::Predict => "predict",
            Self::Features => "features",
            Self::Orders => "orders",
            Self::Identity => "identity",
            Self::Models => "models",
            Self::Live => "live",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let named = Self::ALL.into_iter().find(|scope| scope.name() == text);
        named.ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// A set of scopes, in the order of [`Scope::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(u16);

impl Scopes {
    /// Whether the set has a scope.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its scopes.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | 1 << scope as u8))
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        scopes.into_iter().collect()
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().collect()
    }
}

/// Names with a space between, as the database has them.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::name).collect();
        f.write_str(&names.join(" "))
    }
}

/// Names with spaces between. A name that this version does not know gives no right.
impl Scopes {
    /// Reads what [`Display`](fmt::Display) wrote.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        text.split(' ').filter_map(|name| name.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_come_back_from_text_and_json() {
        for bits in 0..1 << Scope::ALL.len() {
            let set = Scopes(bits);
            assert_eq!(Scopes::parse(&set.to_string()), set);
            let json = serde_json::to_string(&set).unwrap();
            assert_eq!(serde_json::from_str::<Scopes>(&json).unwrap(), set);
            assert_eq!(set.iter().count(), bits.count_ones() as usize);
        }
        assert_eq!(Scopes::parse("ingest root predict").to_string(), "ingest predict");
        assert!("root".parse::<Scope>().unwrap_err().to_string().contains("backfill"));
    }
}
