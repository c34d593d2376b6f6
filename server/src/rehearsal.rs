//! A server full of made-up people, for measurements: not part of what it offers.

use crate::{
    conversion::{Conversion, ConversionConfig, registry::TrainingReport, sweep::Plan},
    features::Features,
    ops::metrics::Scoring,
    orders::{
        desk::{Desk, NotAsked},
        life::Proposal,
        person::{Suggestion, Wishes},
        wording::Wording,
    },
    store::{Location, Store, StoreError, Subject, Writing},
};
use models::{
    booster::{Forest, Leaf, Objective, Split, Tree},
    calibration::Calibrator,
    conversion::{ColdStart, KindModel, Lineage, Parts, Predictor},
    profile::{Definitions, Fact, Profile, Source},
};
use protocol::offer::{Currency, Money};
use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const DAY_MS: i64 = 86_400_000;
/// When the rehearsal takes place: 2026-01-01.
pub const NOW_UNIX_MS: i64 = 1_767_225_600_000;
/// People stored in one transaction.
const PAGE: u64 = 5_000;

/// Fills a fresh database with people who have a year of purchases and a month of visits.
///
/// # Errors
/// Whatever the database says.
pub async fn add_people(folder: &Path, count: u64) -> Result<(), Box<dyn Error>> {
    let store = Store::open(folder).await?;
    let definitions = Definitions::standard()?;
    for first in (0..count).step_by(PAGE as usize) {
        let people = first..(first + PAGE).min(count);
        let made: Vec<_> =
            people.map(|number| (id(number), profile(&definitions, number))).collect();
        store.add_profiles(&made, NOW_UNIX_MS - DAY_MS).await?;
    }
    store.close().await;
    Ok(())
}

/// Makes proposals to people, each at its time, beside a server that may run on the same data. Who is
/// not known yet is made, and who never said anything agrees.
///
/// # Errors
/// Whatever the database says; a proposal that is not asked.
pub async fn propose(
    at: impl Into<Location>,
    proposals: Vec<(Proposal, i64)>,
) -> Result<(), Box<dyn Error>> {
    let store = Store::open(at.into()).await?;
    let desk = Desk::new(None, [], Wording::new(None, None)?);
    for (proposal, at_unix_ms) in proposals {
        let person = proposal.person;
        let mut turn = known(&store, person, at_unix_ms).await?;
        if turn.wishes::<Wishes>(person).await?.is_none() {
            let agreed = Wishes { agreed_unix_ms: Some(at_unix_ms), ..Wishes::default() };
            turn.put_wishes(person, &agreed, at_unix_ms).await?;
        }
        turn.commit().await?;
        let proposed = desk.propose(&store, proposal, at_unix_ms).await?;
        proposed.map_err(|why: NotAsked| format!("not asked: {why:?}"))?;
    }
    store.close().await;
    Ok(())
}

/// A turn in which a person is known.
async fn known(store: &Store, person: Uuid, at_unix_ms: i64) -> Result<Writing, StoreError> {
    let mut turn = store.begin().await?;
    if store.root_of(person).await?.is_none() {
        let made = Subject { person, root: person, first_seen_unix_ms: at_unix_ms };
        turn.put_subjects(&[made]).await?;
    }
    Ok(turn)
}

/// Keeps what may be needed by somebody, who is made if they are not known yet.
///
/// # Errors
/// Whatever the database says.
pub async fn suggest(
    at: impl Into<Location>,
    person: Uuid,
    suggestions: &[Suggestion],
    at_unix_ms: i64,
) -> Result<(), Box<dyn Error>> {
    let store = Store::open(at.into()).await?;
    let mut turn = known(&store, person, at_unix_ms).await?;
    turn.put_suggestions(person, &suggestions, at_unix_ms).await?;
    turn.commit().await?;
    store.close().await;
    Ok(())
}

/// The file of a model of the usual size: 300 trees of 32 leaves over the standard features. What
/// it says means nothing, but takes as long as what a fitted one says.
///
/// # Errors
/// Never in practice: all its parts are fixed.
pub fn model() -> Result<Vec<u8>, Box<dyn Error>> {
    /// Inner nodes of a complete tree of five levels.
    const INNER: i32 = 31;
    let definitions = Definitions::standard()?;
    let width = definitions.features().len();
    let mut die = dice(1);
    let below = |node: i32| if node < INNER { node } else { INNER - 1 - node };
    let trees = (0..300).map(|_| Tree {
        splits: (0..INNER)
            .map(|node| Split {
                feature: die(width as u64) as u32,
                threshold: die(20) as f32,
                missing_left: die(2) == 0,
                left: below(2 * node + 1),
                right: below(2 * node + 2),
            })
            .collect(),
        leaves: (0..=INNER)
            .map(|_| Leaf { value: (die(1_000) as f64 - 500.0) / 20_000.0, count: 10 })
            .collect(),
    });
    let predictor = Predictor::new(Parts {
        format: Predictor::FORMAT,
        features: definitions.inputs(),
        definitions: definitions.digest(),
        horizon_days: 7,
        kinds: vec!["store_purchase".into(), "service_request".into()],
        currency: Currency::EUR,
        forest: Forest::new(Objective::Binary, width, vec![-1.0], trees.collect())?,
        calibration: Calibrator::IDENTITY,
        kind: KindModel::Shares(vec![0.5, 0.5]),
        value: None,
        cold_start: ColdStart {
            base: None,
            calibration: Calibrator::IDENTITY,
            until_weeks: 0.0,
            newcomers: None,
        },
        lineage: Lineage {
            from_unix_ms: 0,
            until_unix_ms: 0,
            fitted_rows: 0,
            calibrated_rows: 0,
            judged_rows: 0,
            seed: 1,
            scores: BTreeMap::new(),
        },
    })?;
    Ok(predictor.to_json()?)
}

/// Sweeps everybody with a model; gives how many people were predicted, and the seconds.
///
/// # Errors
/// Whatever the database says; a model that cannot be read.
pub async fn sweep(folder: &Path, bundle: &[u8]) -> Result<(u64, f64), Box<dyn Error>> {
    let store = Store::open(folder).await?;
    let features = Arc::new(Features::load(&store, Definitions::standard()?).await?);
    let conversion =
        Conversion::load(&store, ConversionConfig::default(), features, Scoring::default()).await?;
    let id = conversion.registry.register(&store, bundle, TrainingReport::default(), 0).await?;
    if conversion.registry.serving().champion.is_none() {
        conversion.registry.promote(&store, &id, 0).await?;
    }
    let stop = CancellationToken::new();
    let plan = Plan { as_of_unix_ms: NOW_UNIX_MS, dated: false, job: None, stop: &stop };
    let begun = std::time::Instant::now();
    let swept = conversion.sweep(&store, &plan).await?;
    let seconds = begun.elapsed().as_secs_f64();
    store.close().await;
    Ok((swept.predicted, seconds))
}

fn id(number: u64) -> Uuid {
    // Spread like the ids of devices, which are hashes; nobody's is all zeros.
    let number = number + 1;
    Uuid::from_u64_pair(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number)
}

fn profile(definitions: &Definitions, number: u64) -> Profile {
    let mut die = dice(number);
    let mut facts: Vec<Fact> = Vec::new();
    for _ in 0..2 + die(16) {
        let minor = 500 + die(10_000) as i64;
        facts.push(Fact {
            source: Source::Conversion,
            name: ["store_purchase", "service_request"][die(2) as usize].to_owned(),
            at_unix_ms: NOW_UNIX_MS - DAY_MS - die(365) as i64 * DAY_MS,
            known_unix_ms: 0,
            count: 1,
            value: Some(Money { minor, currency: Currency::EUR }),
            number: Some(1.0),
            item: Some(format!("item-{}", die(5_000))),
            category: Some(format!("category-{}", die(50))),
        });
    }
    for _ in 0..die(12) {
        facts.push(Fact {
            source: Source::Behaviour,
            name: "page_view".to_owned(),
            at_unix_ms: NOW_UNIX_MS - DAY_MS - die(30) as i64 * DAY_MS,
            known_unix_ms: 0,
            count: 1,
            value: None,
            number: None,
            item: Some(format!("item-{}", die(5_000))),
            category: None,
        });
    }
    facts.iter_mut().for_each(|fact| fact.known_unix_ms = fact.at_unix_ms);
    facts.sort_by_key(|fact| fact.known_unix_ms);
    let mut profile = Profile::new(definitions);
    facts.iter().for_each(|fact| profile.apply(definitions, fact));
    profile
}

/// Throws of dice with so many sides, the same for the same seed: xorshift64 (Marsaglia 2003).
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) % sides
    }
}
