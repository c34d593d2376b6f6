//! C14 and S8: withdrawal beats late data in whatever order things arrive, and however often.

use crate::support::{Device, config, consents, database, share, signed_headers};
use axum::{Router, body::Body, http::Request};
use proptest::prelude::*;
use protocol::{
    consent::{ConsentState, Modality, Receipt},
    event::Event,
    signing::Target,
};
use server::Server;
use std::collections::BTreeSet;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const AUTHORITY: &str = "attune.example";

/// What a device sends.
#[derive(Debug, Clone)]
enum Parcel {
    Receipts(Vec<Receipt>),
    Events(Vec<Event>),
}

/// Ids of what is stored: events, what repeats are recognised by, receipts by digest with whether
/// they are linked.
type Stored = (BTreeSet<Vec<u8>>, BTreeSet<Vec<u8>>, BTreeSet<(Vec<u8>, bool)>);

async fn send(router: &Router, device: &Device, parcel: &Parcel) -> u16 {
    let (path, body) = match parcel {
        Parcel::Receipts(receipts) => {
            ("/v1/consents", serde_json::to_vec(&consents(receipts)).unwrap())
        }
        Parcel::Events(events) => {
            ("/v1/events", serde_json::to_vec(&device.batch(events)).unwrap())
        }
    };
    let target = Target { method: "POST", authority: AUTHORITY, path, query: "" };
    let request = Request::post(path).header("host", AUTHORITY);
    let request = signed_headers(device.sign(&target, &body))
        .into_iter()
        .fold(request, |request, (name, value)| request.header(name, value));
    let request = request.header("content-type", "application/json").body(Body::from(body));
    router.clone().oneshot(request.unwrap()).await.unwrap().status().as_u16()
}

async fn stored(folder: &TempDir) -> Stored {
    let mut database = database(folder.path()).await;
    let events: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT id FROM events").fetch_all(&mut database).await.unwrap();
    let received: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT id FROM received").fetch_all(&mut database).await.unwrap();
    let receipts: Vec<(Vec<u8>, i64)> = sqlx::query_as("SELECT digest, linked FROM receipts")
        .fetch_all(&mut database)
        .await
        .unwrap();
    let receipts = receipts.into_iter().map(|(digest, linked)| (digest, linked == 1)).collect();
    (events.into_iter().collect(), received.into_iter().collect(), receipts)
}

/// A life of a device: epochs, some of them withdrawals, events under the others.
fn life(device: &mut Device, withdrawals: &[bool]) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    for withdrawn in withdrawals {
        let state = if *withdrawn { ConsentState::Withdrawn } else { ConsentState::Given };
        let grants = if *withdrawn { vec![] } else { vec![share(Modality::Eda)] };
        let receipt = device.append(device.next_record(state, grants));
        parcels.push(Parcel::Receipts(vec![receipt]));
        if !withdrawn {
            parcels.push(Parcel::Events(vec![device.eda(), device.eda()]));
            parcels.push(Parcel::Events(vec![device.eda()]));
        }
    }
    parcels
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn c14_s8_every_order_of_arrival_ends_in_the_same_rows(
        withdrawals in proptest::collection::vec(any::<bool>(), 2..7),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
        seed in any::<[u8; 32]>(),
    ) {
        let runtime = Runtime::new().unwrap();
        let mut device = Device::of_seed(seed);
        let parcels = life(&mut device, &withdrawals);
        let last_withdrawal = device.chain.iter()
            .filter(|receipt| receipt.record.state == ConsentState::Withdrawn)
            .map(|receipt| receipt.record.epoch)
            .max()
            .unwrap_or(0);
        let allowed: BTreeSet<Vec<u8>> = parcels.iter()
            .flat_map(|parcel| match parcel {
                Parcel::Events(events) => events.clone(),
                Parcel::Receipts(_) => vec![],
            })
            .filter(|event| event.consent_epoch > last_withdrawal)
            // The record in force must permit it, too.
            .filter(|_| !withdrawals.last().copied().unwrap_or(false))
            .map(|event| event.id.as_bytes().to_vec())
            .collect();
        runtime.block_on(async {
            let folder = TempDir::new().unwrap();
            let server = Server::bind(config(folder.path())).await.unwrap();
            let router = server.router();
            let mut withdrawn = 0;
            for index in order {
                let parcel = index.get(&parcels);
                send(&router, &device, parcel).await;
                if let Parcel::Receipts(receipts) = parcel {
                    let record = &receipts[0].record;
                    if record.state == ConsentState::Withdrawn {
                        withdrawn = withdrawn.max(record.epoch);
                    }
                }
                // At no moment is there anything that a withdrawal that arrived has ended.
                let late: i64 = sqlx::query_scalar(
                    "SELECT (SELECT count(*) FROM events WHERE consent_epoch <= $1)
                         + (SELECT count(*) FROM received WHERE consent_epoch <= $1)",
                )
                .bind(withdrawn as i64)
                .fetch_one(&mut database(folder.path()).await)
                .await
                .unwrap();
                prop_assert_eq!(late, 0);
            }
            // At least once: what was refused for want of what comes before it comes again.
            for parcel in parcels.iter().filter(|p| matches!(p, Parcel::Receipts(_))) {
                prop_assert_eq!(send(&router, &device, parcel).await, 200);
            }
            for parcel in &parcels {
                send(&router, &device, parcel).await;
            }
            let (events, received, receipts) = stored(&folder).await;
            prop_assert_eq!(&events, &allowed);
            prop_assert_eq!(&received, &allowed);
            let chain: BTreeSet<_> = device.chain.iter()
                .map(|receipt| (receipt.digest().unwrap().0.to_vec(), true))
                .collect();
            prop_assert_eq!(receipts, chain);
            Ok(())
        })?;
    }
}

#[test]
fn s8_a_repeated_grant_does_not_revive() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = TempDir::new().unwrap();
        let router = Server::bind(config(folder.path())).await.unwrap().router();
        let mut device = Device::new();
        let given = device.give(&[Modality::Eda]);
        let event = device.eda();
        let withdrawn = device.withdraw();
        for (parcel, expected) in [
            (Parcel::Receipts(vec![given.clone()]), 200),
            (Parcel::Events(vec![event.clone()]), 200),
            (Parcel::Receipts(vec![withdrawn]), 200),
            (Parcel::Receipts(vec![given]), 200),
            (Parcel::Events(vec![event]), 403),
        ] {
            assert_eq!(send(&router, &device, &parcel).await, expected, "{parcel:?}");
        }
        let (events, received, _) = stored(&folder).await;
        assert!(events.is_empty() && received.is_empty());
    });
}
