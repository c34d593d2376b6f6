//! C14 for what operators report: rows and statements in any order of arrival, split into any
//! requests, end in the same rows.

use crate::support::{Operator, ago, purchase, user};
use proptest::prelude::*;
use protocol::intake::{Consent, ConsentStatus, Reported, Scope};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::runtime::Runtime;

/// What is sent: seconds ago, and Yes, No or nothing with a row, or by itself.
#[derive(Debug, Clone)]
struct Parcel {
    ago: i64,
    says: Option<ConsentStatus>,
    alone: bool,
}

fn parcels() -> impl Strategy<Value = Vec<Parcel>> {
    let says = prop_oneof![
        3 => Just(Some(ConsentStatus::Granted)),
        2 => Just(Some(ConsentStatus::Denied)),
    ];
    proptest::collection::vec((says, any::<bool>()), 1..8).prop_map(|said| {
        let count = said.len() as i64;
        let parcel = |(place, (says, alone)): (usize, (Option<ConsentStatus>, bool))| Parcel {
            ago: 1_000 + 10 * (count - place as i64),
            says,
            alone,
        };
        said.into_iter().enumerate().map(parcel).collect()
    })
}

/// Rows with a Yes of their own, later than every No.
fn expected(parcels: &[Parcel]) -> BTreeSet<i64> {
    let denied = parcels.iter().filter(|p| p.says == Some(ConsentStatus::Denied));
    let last_no = denied.map(|parcel| parcel.ago).min().unwrap_or(i64::MAX);
    let rows = parcels.iter().filter(|p| !p.alone && p.says == Some(ConsentStatus::Granted));
    rows.map(|parcel| parcel.ago).filter(|ago| *ago < last_no).collect()
}

/// In one order, in requests of these sizes.
async fn arrive(operator: &Operator, who: &str, parcels: &[Parcel], order: &[usize], size: usize) {
    let at = |parcel: &Parcel| {
        let base = jiff::Timestamp::from_millisecond(1_795_000_000_000).unwrap();
        (base - jiff::SignedDuration::from_secs(parcel.ago)).to_string()
    };
    for chunk in order.chunks(size) {
        let (mut rows, mut statements): (Vec<Reported>, Vec<Value>) = (vec![], vec![]);
        for &place in chunk {
            let parcel = &parcels[place];
            let consent = parcel.says.map(|says| Consent::only(Scope::Conversion, says));
            if parcel.alone {
                statements.push(json!({"event_timestamp": at(parcel),
                    "user_identifiers": [user(who)], "consent": consent}));
            } else {
                rows.push(Reported {
                    event_timestamp: at(parcel),
                    consent,
                    ..purchase(&format!("{who}-{}", parcel.ago), &[user(who)])
                });
            }
        }
        if !rows.is_empty() {
            operator.rows("/v1/conversions?known_at=event", &rows).await;
        }
        if !statements.is_empty() {
            operator.take("/v1/statements?known_at=event", &statements).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn c14_every_order_of_arrival_ends_in_the_same_rows(
        parcels in parcels(),
        orders in proptest::collection::vec(
            (any::<prop::sample::Index>(), any::<u64>(), 1usize..9), 4),
    ) {
        let expected = expected(&parcels);
        Runtime::new().unwrap().block_on(async {
            let operator = Operator::start().await;
            for (number, (_, seed, size)) in orders.iter().enumerate() {
                let mut order: Vec<usize> = (0..parcels.len()).collect();
                // A permutation that follows from the seed.
                let mut seed = *seed;
                for place in (1..order.len()).rev() {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    order.swap(place, (seed >> 33) as usize % (place + 1));
                }
                let who = format!("u{number}");
                arrive(&operator, &who, &parcels, &order, *size).await;
                // Again, in the order of what happened: nothing may come back, nothing may go.
                arrive(&operator, &who, &parcels, &(0..parcels.len()).collect::<Vec<_>>(), 3).await;
            }
            let mut database = operator.server.database().await;
            let stored: Vec<(Vec<u8>, i64)> = sqlx::query_as("SELECT person, at_unix_ms FROM facts")
                .fetch_all(&mut database)
                .await
                .unwrap();
            let people: BTreeSet<_> = stored.iter().map(|(person, _)| person.clone()).collect();
            assert_eq!(people.len(), if expected.is_empty() { 0 } else { orders.len() });
            for person in people {
                let times: BTreeSet<i64> = stored
                    .iter()
                    .filter(|(other, _)| *other == person)
                    .map(|(_, at)| (1_795_000_000_000 - at) / 1_000)
                    .collect();
                assert_eq!(times, expected);
            }
        });
    }
}

#[tokio::test]
async fn c14_a_yes_after_a_no_does_not_bring_back_what_was_before() {
    let operator = Operator::start().await;
    let says = |seconds: i64, says: &str| {
        json!([{"event_timestamp": ago(seconds), "user_identifiers": [user("u")],
            "consent": {"conversion": says}}])
    };
    operator.take("/v1/statements", &says(100, "granted")).await;
    operator.take("/v1/statements", &says(200, "denied")).await;
    let silent = |id: &str, seconds: i64| Reported {
        event_timestamp: ago(seconds),
        consent: None,
        ..purchase(id, &[user("u")])
    };
    let reply = operator.conversions(&[silent("T-1", 300), silent("T-2", 50)]).await;
    assert_eq!((reply.status.stored, reply.status.refused), (1, 1));
}
