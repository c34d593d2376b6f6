//! The files of public next-basket benchmarks (Li et al., "A Next Basket Recommendation Reality
//! Check", TOIS 2023): histories and futures as `{user: [[-1], [item, ..], .., [-1]]}`, and which
//! users are for testing.

use models::basket::MAX_ITEMS;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Read,
};
use thiserror::Error;

/// What stands in for a basket at both ends.
const PADDING: [i64; 1] = [-1];

/// Why files are no benchmark.
#[derive(Debug, Error)]
pub enum PublishedError {
    /// Of reading.
    #[error("{file}: cannot be read: {problem}")]
    Read {
        /// Which of the three.
        file: &'static str,
        /// What the system says.
        problem: std::io::Error,
    },
    /// No JSON, or of another form.
    #[error("{file}: {problem}; expected {expected}")]
    Form {
        /// Which of the three.
        file: &'static str,
        /// What the parser says.
        problem: serde_json::Error,
        /// What should stand there.
        expected: &'static str,
    },
    /// One user's baskets are none.
    #[error("{file}, user `{user}`: {problem}; expected [[-1],[item,..],..,[-1]]")]
    User {
        /// Which of the three.
        file: &'static str,
        /// Whose.
        user: String,
        /// What is wrong.
        problem: String,
    },
    /// A user id that is none.
    #[error("the key set, test user {0}: a user is named by a string or a whole number")]
    Id(String),
    /// Nobody to judge by.
    #[error("none of the {0} test users of the key set has a basket in the future file")]
    Nobody(usize),
    /// Too many.
    #[error("the histories have more than {MAX_ITEMS} items: leave out those seldom bought")]
    Items,
}

/// What the files say: everybody's history, and what the test users bought next. Nobody else's
/// future is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// Items of the histories are the numbers below; items of futures that no history has follow.
    pub items: usize,
    /// By user id: baskets in the order of time, none empty.
    pub histories: Vec<Vec<Vec<u32>>>,
    /// Test users: whose of the histories, and their next basket, ascending.
    pub test: Vec<(u32, Vec<u32>)>,
    /// Test users without a next basket: they are not judged.
    pub skipped: usize,
    /// Test users without a history: they get what everybody buys.
    pub unknown: usize,
}

type Raw = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
struct KeySet {
    test: Vec<Value>,
}

impl Published {
    /// Reads the three files. Users may be missing in any of them, baskets may be empty, ids of
    /// users may be strings or numbers, futures may hold items that no history has.
    ///
    /// # Errors
    /// [`PublishedError`] names the file and the user.
    pub fn read(
        history: impl Read,
        future: impl Read,
        keyset: impl Read,
    ) -> Result<Self, PublishedError> {
        const HISTORY: &str = "the history";
        const FUTURE: &str = "the future";
        const KEYSET: &str = "the key set";
        const BASKETS: &str = "{\"user\": [[-1],[item,..],..,[-1]], ..}";
        let histories: Raw = parse(HISTORY, BASKETS, history)?;
        let futures: Raw = parse(FUTURE, BASKETS, future)?;
        let expected = "{\"item_num\":.., \"train\":[..], \"val\":[..], \"test\":[..]}";
        let keyset: KeySet = parse(KEYSET, expected, keyset)?;

        let mut named: BTreeMap<String, Vec<Vec<i64>>> = BTreeMap::new();
        for (user, raw) in &histories {
            named.insert(user.clone(), baskets(HISTORY, user, raw)?);
        }
        let test: BTreeSet<String> = keyset.test.iter().map(id).collect::<Result<_, _>>()?;
        let mut next: Vec<(&str, Vec<i64>)> = Vec::new();
        let (mut skipped, mut unknown) = (0, 0);
        for user in &test {
            let future = futures.get(user).map(|raw| baskets(FUTURE, user, raw)).transpose()?;
            let Some(basket) = future.into_iter().flatten().next() else {
                skipped += 1;
                continue;
            };
            if !named.contains_key(user) {
                named.insert(user.clone(), Vec::new());
                unknown += 1;
            }
            next.push((user, basket));
        }
        if next.is_empty() {
            return Err(PublishedError::Nobody(test.len()));
        }
        let ids: BTreeSet<i64> = named.values().flatten().flatten().copied().collect();
        if ids.len() > MAX_ITEMS {
            return Err(PublishedError::Items);
        }
        let items = ids.len();
        let mut numbers: HashMap<i64, u32> = ids.into_iter().zip(0..).collect();
        let mut number = |id: &i64| {
            let free = numbers.len() as u32;
            *numbers.entry(*id).or_insert(free)
        };
        let places: HashMap<&str, u32> = named.keys().map(String::as_str).zip(0..).collect();
        let mut basket = |ids: &Vec<i64>| {
            let mut items: Vec<u32> = ids.iter().map(&mut number).collect();
            items.sort_unstable();
            items.dedup();
            items
        };
        let test = next.iter().map(|(user, ids)| (places[user], basket(ids))).collect();
        let histories =
            named.values().map(|history| history.iter().map(&mut basket).collect()).collect();
        Ok(Self { items, histories, test, skipped, unknown })
    }
}

fn parse<T: serde::de::DeserializeOwned>(
    file: &'static str,
    expected: &'static str,
    mut from: impl Read,
) -> Result<T, PublishedError> {
    let mut text = String::new();
    from.read_to_string(&mut text).map_err(|problem| PublishedError::Read { file, problem })?;
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text).map_err(|problem| PublishedError::Form { file, problem, expected })
}

/// A user's baskets without padding and without empty ones.
fn baskets(
    file: &'static str,
    user: &str,
    raw: &RawValue,
) -> Result<Vec<Vec<i64>>, PublishedError> {
    let wrong = |problem: String| PublishedError::User { file, user: user.to_owned(), problem };
    let mut all: Vec<Vec<i64>> =
        serde_json::from_str(raw.get()).map_err(|problem| wrong(problem.to_string()))?;
    all.retain(|basket| *basket != PADDING && !basket.is_empty());
    let negative = all.iter().flatten().find(|item| **item < 0);
    if let Some(item) = negative {
        return Err(wrong(format!("there is no item {item}")));
    }
    Ok(all)
}

/// A user's id as the other files have it.
fn id(value: &Value) -> Result<String, PublishedError> {
    match value {
        Value::String(id) => Ok(id.clone()),
        Value::Number(id) if !id.is_f64() => Ok(id.to_string()),
        other => Err(PublishedError::Id(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HISTORY: &str = r#"{"1": [[-1],[7,5],[5],[-1]], "2": [[-1],[9],[-1]], "3": [[-1],[-1]]}"#;
    const FUTURE: &str = r#"{"1": [[-1],[5,8],[-1]], "2": [[-1],[1],[-1]], "9": [[-1],[5],[-1]]}"#;

    fn read(history: &str, future: &str, keyset: &str) -> Result<Published, PublishedError> {
        Published::read(history.as_bytes(), future.as_bytes(), keyset.as_bytes())
    }

    #[test]
    fn users_may_be_missing() {
        let found = read(HISTORY, FUTURE, r#"{"item_num": 3, "test": [1, "9", "3", "77"]}"#);
        let found = found.unwrap();
        assert_eq!(found.items, 3);
        assert_eq!(found.histories, [vec![vec![0, 1], vec![0]], vec![vec![2]], vec![], vec![]]);
        // Item 8 is in no history: it has a number beyond.
        assert_eq!(found.test, [(0, vec![0, 3]), (3, vec![0])]);
        assert_eq!((found.skipped, found.unknown), (2, 1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |history, future, keyset, expected: &str| {
            let error = read(history, future, keyset).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let keys = r#"{"test": [1]}"#;
        check("{", FUTURE, keys, "the history: EOF");
        check(r#"{"4": [[1], 2]}"#, FUTURE, keys, "the history, user `4`: invalid type");
        check(r#"{"4": [[-1],[3,-2],[-1]]}"#, FUTURE, keys, "user `4`: there is no item -2");
        check(HISTORY, r#"{"1": 3}"#, keys, "the future, user `1`");
        check(HISTORY, FUTURE, r#"{"train": []}"#, "missing field `test`");
        check(HISTORY, FUTURE, r#"{"test": [1.5]}"#, "test user 1.5");
        check(HISTORY, FUTURE, r#"{"test": ["x", "y"]}"#, "none of the 2 test users");
    }

    #[test]
    fn only_test_users_have_a_future() {
        let broken = r#"{"1": [[-1],[5],[-1]], "2": "nobody looks at this"}"#;
        assert_eq!(read(HISTORY, broken, r#"{"test": [1], "train": [2]}"#).unwrap().test.len(), 1);
    }

    proptest! {
        #[test]
        fn any_baskets_are_read_or_refused(
            baskets in prop::collection::vec(prop::collection::vec(-1_i64..9, 0..4), 0..6),
            bytes in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let text = serde_json::json!({"1": baskets}).to_string();
            let _ = read(&text, &text, r#"{"test": ["1"]}"#);
            let _ = Published::read(&bytes[..], text.as_bytes(), &b"{\"test\": [1]}"[..]);
        }
    }
}
