//! A server full of made-up people, for measurements, and a year that passes in minutes: not part of
//! what it offers.

use crate::{
    OrdersConfig, OrdersReport,
    conversion::{Conversion, ConversionConfig, registry::TrainingReport, sweep::Plan},
    delivery::DeliveryConfig,
    features::Features,
    ops::metrics::Scoring,
    orders::{
        desk::{Desk, NotAsked},
        life::Proposal,
        person::{Suggestion, Wishes},
        service::Orders,
        wording::Wording,
    },
    store::{Location, Store, StoreError, Subject, Writing},
};
use models::{
    booster::{Forest, Leaf, Objective, Split, Tree},
    calibration::Calibrator,
    confidence::{Judged, Moved},
    conversion::{ColdStart, KindModel, Lineage, Parts, Predictor},
    profile::{Definitions, Fact, Profile, Source},
    reorder::{
        self, Bundle, Categories, CategoryCounts, Consumption, LogLinear, Parts as NeedParts,
        ReorderModel, Scale,
    },
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

/// Sets the clock of every server in this process, from where it goes on: for a year that passes in
/// minutes.
pub fn set_clock(unix_ms: i64) {
    crate::app::set_clock(unix_ms);
}

/// Has a server do what its orders want, without waiting for its own rounds.
#[derive(Debug, Clone)]
pub struct Attendant(pub(crate) crate::app::App);

impl Attendant {
    /// Does what orders want until none wants anything now.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn attend(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let never = CancellationToken::new();
        Ok(self.0.orders.attend_all(&self.0.store, &never).await?)
    }
}

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
    let definitions = Definitions::standard()?;
    let width = definitions.features().len();
    let forest = forest(&mut dice(1), width, (300, 31), 20_000.0)?;
    let predictor = Predictor::new(Parts {
        format: Predictor::FORMAT,
        features: definitions.inputs(),
        definitions: definitions.digest(),
        horizon_days: 7,
        kinds: vec!["store_purchase".into(), "service_request".into()],
        currency: Currency::EUR,
        forest,
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

/// Categories that made-up people buy.
const CATEGORIES: u64 = 40;

/// Fills a fresh database with people who buy some of these categories, about every one to four
/// weeks, for a year.
///
/// # Errors
/// Whatever the database says.
pub async fn add_shoppers(folder: &Path, count: u64) -> Result<(), Box<dyn Error>> {
    let store = Store::open(folder).await?;
    let definitions = Definitions::standard()?;
    for first in (0..count).step_by(PAGE as usize) {
        let people = first..(first + PAGE).min(count);
        let empty: Vec<_> =
            people.clone().map(|number| (id(number), Profile::new(&definitions))).collect();
        store.add_profiles(&empty, NOW_UNIX_MS - DAY_MS).await?;
        let made: Vec<_> = people.map(|number| (id(number), shopper(number))).collect();
        let mut writing = store.begin().await?;
        writing.put_consumption(&made).await?;
        writing.commit().await?;
    }
    store.close().await;
    Ok(())
}

/// Everybody buys something once more, and everybody's needs are looked at; gives how many people
/// that were, and the seconds of either.
///
/// # Errors
/// Whatever the database says; a model that cannot be read.
pub async fn shop_and_look(
    folder: &Path,
    bundle: &[u8],
) -> Result<(u64, f64, f64), Box<dyn Error>> {
    let store = Store::open(folder).await?;
    let begun = std::time::Instant::now();
    let mut ahead = Some(tokio::spawn(shop(store.clone(), Uuid::nil())));
    while let Some(page) = ahead.take() {
        let (bought, last) = page.await??;
        // The next page is changed while this one is written.
        ahead = last.map(|last| tokio::spawn(shop(store.clone(), last)));
        let mut writing = store.begin().await?;
        writing.put_consumption(&bought).await?;
        writing.commit().await?;
    }
    let update_s = begun.elapsed().as_secs_f64();
    let definitions = Definitions::standard()?;
    let features = Features::load(&store, definitions.clone()).await?;
    let (config, delivery) = (OrdersConfig::default(), DeliveryConfig::default());
    let follow = Arc::new(features);
    let orders = Orders::load(&store, config, &delivery, &definitions, follow, &[7; 32]).await?;
    let orders = Arc::new(orders);
    orders.register(&store, bundle, OrdersReport::default(), NOW_UNIX_MS).await?;
    let stop = CancellationToken::new();
    let begun = std::time::Instant::now();
    let looked = orders.look(&store, NOW_UNIX_MS + DAY_MS, &stop).await?;
    let look_s = begun.elapsed().as_secs_f64();
    store.close().await;
    Ok((looked.people, update_s, look_s))
}

type Shopped = (Vec<(Uuid, Consumption)>, Option<Uuid>);

/// What some people buy, with one purchase more.
async fn shop(store: Store, after: Uuid) -> Result<Shopped, StoreError> {
    let (page, last) = store.consumption_after(after, PAGE as u32).await?;
    let change = move || {
        let changed = page.into_iter().map(|closed| {
            let mut consumption: Consumption = closed.open()?;
            let number = closed.person.as_u64_pair().1;
            consumption.apply(&purchase(number, number % CATEGORIES, NOW_UNIX_MS), 0);
            Ok((closed.person, consumption))
        });
        changed.collect::<Result<Vec<_>, StoreError>>()
    };
    let changed = tokio::task::spawn_blocking(change).await.unwrap_or(Err(StoreError::Sealed))?;
    Ok((changed, last))
}

/// The file of a model of needs of the usual size: what it says means nothing, but takes as long as
/// what a fitted one says.
///
/// # Errors
/// Never in practice: all its parts are fixed.
pub fn needs_model() -> Result<Vec<u8>, Box<dyn Error>> {
    needs_model_of((220, 160), Calibrator::IDENTITY)
}

/// The same with so many trees that tell whether and when, and a calibration.
pub(crate) fn needs_model_of(
    (whether, when): (u64, u64),
    calibrator: Calibrator,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let die = &mut dice(3);
    let classifier = forest(die, reorder::FEATURES, (whether, 9), 5_000.0)?;
    let hazard = forest(die, reorder::FEATURES + reorder::AHEAD, (when, 9), 5_000.0)?;
    let crossed: Vec<usize> = (0..25).collect();
    let scale = Scale::new(vec![0.5; reorder::FEATURES], vec![1.0; reorder::FEATURES], crossed)?;
    let weights = vec![0.001; scale.width()];
    let parts = NeedParts { classifier, regression: LogLinear::new(scale, weights)?, hazard };
    let mut counts = CategoryCounts::default();
    counts.add(&[reorder::Purchase { day: 0, quantity: 1 }], 30, 14);
    let categories = Categories { overall: counts.category(&counts), named: BTreeMap::new() };
    let model = ReorderModel::new(14, parts, 0.5, calibrator, categories)?;
    let cut: Vec<Judged> =
        (0..1_000).map(|n| Judged { probability: 0.95, came: n % 20 != 0 }).collect();
    let bundle = Bundle::new(model, 0, Moved::between(&cut, &cut), &cut)?;
    Ok(bundle.to_json()?)
}

fn shopper(number: u64) -> Consumption {
    let mut die = dice(number);
    let mut consumption = Consumption::default();
    for _ in 0..3 + die(6) {
        let (category, every) = (die(CATEGORIES), 7 + die(21) as i64);
        let mut day = 365 - die(28) as i64;
        while day > 0 {
            let at = NOW_UNIX_MS - DAY_MS - day * DAY_MS;
            consumption.apply(&purchase(number, category, at), 0);
            day -= every + die(5) as i64;
        }
    }
    consumption
}

fn purchase(number: u64, category: u64, at_unix_ms: i64) -> Fact {
    Fact {
        source: Source::Conversion,
        name: "store_purchase".to_owned(),
        at_unix_ms,
        known_unix_ms: at_unix_ms,
        count: 1,
        value: Some(Money { minor: 299, currency: Currency::EUR }),
        number: Some(1.0),
        item: Some(format!("item-{category}-{}", number % 3)),
        category: Some(format!("category-{category}")),
    }
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

/// So many trees with so many inner nodes each. Leaves are within 500 divided by `scale`.
fn forest(
    die: &mut impl FnMut(u64) -> u64,
    width: usize,
    (rounds, inner): (u64, i32),
    scale: f64,
) -> Result<Forest, Box<dyn Error>> {
    let below = |node: i32| if node < inner { node } else { inner - 1 - node };
    let mut trees = Vec::new();
    for _ in 0..rounds {
        let splits = (0..inner)
            .map(|node| Split {
                feature: die(width as u64) as u32,
                threshold: die(20) as f32,
                missing_left: die(2) == 0,
                left: below(2 * node + 1),
                right: below(2 * node + 2),
            })
            .collect();
        let leaf = |_| Leaf { value: (die(1_000) as f64 - 500.0) / scale, count: 10 };
        trees.push(Tree { splits, leaves: (0..=inner).map(leaf).collect() });
    }
    Ok(Forest::new(Objective::Binary, width, vec![-1.0], trees)?)
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
