//! Fitting: two forests on earlier cuts, calibrated on the newest completed one, which they were not
//! fitted to; then fitted again with it.

use super::{Ledger, Pair, Snapshot};
use crate::{
    boosting::{self, FitError, Matrix, Settings},
    calibrate::Method,
    metrics::Metrics,
};
use models::{
    booster::{Forest, ForestError, Objective},
    calibration::Calibrator,
    confidence::{Judged, Moved},
    reorder::{AHEAD, FEATURES, MAX_DAYS, ReorderError, ReorderModel, Scored, ahead, features},
};
use thiserror::Error;

/// Days of history below which a cut teaches little.
const LEAST_HISTORY_DAYS: i32 = 21;
/// Most pairs a forest is fitted to: a gigabyte of numbers, while it grows. Of more, a share is
/// drawn.
const MOST_PAIRS: usize = 500_000;
/// Weights of the hazards beside the classifier that are tried.
const HAZARD_SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// How models are fitted. The default was chosen on Ta-Feng, by cuts whose labels were complete
/// before its test day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// Cuts that are fitted to, at most; the newest completed one, for calibration, comes on top.
    pub cuts: usize,
    /// Days between cuts.
    pub stride_days: i32,
    /// Of the classifier.
    pub classifier: Settings,
    /// Of the hazards.
    pub hazard: Settings,
    /// Of the days without a purchase, one in so many is fitted to; the hazards' log-odds are
    /// corrected by as much.
    pub one_quiet_day_in: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        // Small trees of many rows, drawn towards zero: weeks differ from each other by more than
        // finer trees would tell.
        let settings = Settings {
            rounds: 220,
            leaves: 10,
            learning_rate: 0.04,
            least_rows: 400,
            row_share: 0.6,
            feature_share: 0.4,
            shrinkage: 50.0,
            seed: 1,
            ..Settings::new(Objective::Binary)
        };
        let hazard = Settings { rounds: 160, learning_rate: 0.08, shrinkage: 20.0, ..settings };
        Self { cuts: 8, stride_days: 7, classifier: settings, hazard, one_quiet_day_in: 8 }
    }
}

/// Why there is no model.
#[derive(Debug, Error)]
pub enum ReorderFitError {
    /// Nothing can be said so far ahead, or nothing at all.
    #[error("a horizon of {0} days: 1 to {MAX_DAYS} are possible")]
    Horizon(i32),
    /// Labels are not there yet.
    #[error(
        "no purchase is known after the cutoff, so nothing can be judged: the last is {days} days \
         before it; choose an earlier cutoff"
    )]
    NothingAfter {
        /// From the last purchase to the cutoff.
        days: i32,
    },
    /// Not enough was known by then.
    #[error(
        "{days} days are known up to the cutoff: {needed} are needed, so that what was learned by \
         one day can be calibrated on a later one; choose a later cutoff or a shorter horizon"
    )]
    TooEarly {
        /// From the first purchase to the cutoff.
        days: i32,
        /// At least.
        needed: i32,
    },
    /// Nobody to learn from or to judge.
    #[error("on day {day} since the first purchase, nobody had bought anything {least} times")]
    NoRows {
        /// Which cut.
        day: i32,
        /// Purchases that were asked for.
        least: usize,
    },
    /// Of fitting a forest.
    #[error(transparent)]
    Boosting(#[from] FitError),
    /// What was fitted is no forest.
    #[error(transparent)]
    Forest(#[from] ForestError),
    /// What was fitted is no model.
    #[error(transparent)]
    Model(#[from] ReorderError),
}

/// A model, and what it was calibrated on.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// Ready to run.
    pub model: ReorderModel,
    /// Days that the forests were fitted to in the end, newest first.
    pub cuts: Vec<i32>,
    /// The newest completed cut: the calibration's.
    pub calibrated_on: i32,
    /// What the model says of that cut, and what came.
    pub newest: Vec<Judged>,
    /// How far that cut is from the one before, by the calibration of the one before.
    pub moved: Moved,
    /// Median days to the next purchase among those that came, on the newest cut.
    pub usual_days: u32,
}

/// Fits a model for the end of `day`: nothing after it is looked at. It tells of pairs with at least
/// `least_purchases` days of purchase, and of the next `horizon_days`. Forests are fitted twice: to
/// cuts before the newest completed one, which they are then calibrated on, and with that
/// calibration once more, the newest cut included. `step` is called after each of twice
/// [`Recipe::cuts`] + 6 steps at most.
///
/// # Errors
/// [`ReorderFitError`]: too little is known by then.
pub fn fit(
    ledger: &Ledger,
    day: i32,
    horizon_days: i32,
    least_purchases: usize,
    recipe: &Recipe,
    mut step: impl FnMut(),
) -> Result<Fitted, ReorderFitError> {
    if !(1..=MAX_DAYS as i32).contains(&horizon_days) {
        return Err(ReorderFitError::Horizon(horizon_days));
    }
    // Whole strides back, so that all cuts and the day itself fall on one weekday.
    let stride = recipe.stride_days.clamp(1, MAX_DAYS as i32);
    let back = (horizon_days + stride - 1) / stride * stride;
    let newest = day.saturating_sub(back);
    let earliest = ledger.first_day.saturating_add(LEAST_HISTORY_DAYS);
    let cuts: Vec<i32> = (1..=i32::try_from(recipe.cuts).unwrap_or(i32::MAX))
        .map_while(|cut| newest.checked_sub(cut.checked_mul(stride)?))
        .take_while(|cut| *cut >= earliest)
        .collect();
    let Some(&before) = cuts.first() else {
        let days = day.saturating_sub(ledger.first_day);
        let needed = LEAST_HISTORY_DAYS.saturating_add(back).saturating_add(stride);
        return Err(ReorderFitError::TooEarly { days, needed });
    };

    let task = Task { ledger, horizon_days, least_purchases, recipe };
    let forests = task.forests(&cuts, &mut step)?;
    let known = Snapshot::at(ledger, day, horizon_days).into_categories();
    let model = |forests, share, calibrator, categories| {
        ReorderModel::new(horizon_days as u32, forests, share, calibrator, categories)
    };
    let raw = model(forests, 0.0, Calibrator::IDENTITY, known.clone())?;
    let seen = Seen::of(&raw, ledger, newest, least_purchases)?;
    step();
    let earlier = Seen::of(&raw, ledger, before, least_purchases)?;
    step();
    let (share, calibrator) = seen.best();
    let then = Method::Platt.fit(&earlier.scores(share), &earlier.labels);
    let moved = Moved::between(&seen.judged(share, &then), &earlier.judged(share, &then));
    let judged = seen.judged(share, &calibrator);

    // Calibrated apart from the newest cut, the forests then learn of it, too.
    let cuts: Vec<i32> = [newest].into_iter().chain(cuts).take(recipe.cuts).collect();
    let forests = task.forests(&cuts, &mut step)?;
    Ok(Fitted {
        model: model(forests, share, calibrator, known)?,
        calibrated_on: newest,
        moved,
        newest: judged,
        usual_days: seen.usual_days,
        cuts,
    })
}

/// What is to be learned.
struct Task<'a> {
    ledger: &'a Ledger,
    horizon_days: i32,
    least_purchases: usize,
    recipe: &'a Recipe,
}

impl Task<'_> {
    /// The classifier and the hazards of some cuts.
    fn forests(
        &self,
        cuts: &[i32],
        step: &mut impl FnMut(),
    ) -> Result<(Forest, Forest), ReorderFitError> {
        let recipe = self.recipe;
        let mut rows =
            Rows::new(self.ledger, cuts, self.horizon_days, self.least_purchases, recipe);
        for cut in cuts {
            rows.add(*cut)?;
            step();
        }
        let Rows { pairs, pair_labels, days, day_labels, .. } = rows;
        let pairs = Matrix::new(pairs, FEATURES)?;
        let classifier = boosting::fit(&pairs, &pair_labels, &recipe.classifier)?;
        step();
        let days = Matrix::new(days, FEATURES + AHEAD)?;
        let sampled = boosting::fit(&days, &day_labels, &recipe.hazard)?;
        step();
        Ok((classifier, undo_sampling(&sampled, recipe.one_quiet_day_in)?))
    }
}

/// Takes back what leaving out quiet days did to the odds of a purchase: all of its log-odds rose by
/// the same (King and Zeng, "Logistic regression in rare events data", 2001, section 4.1).
fn undo_sampling(sampled: &Forest, one_in: u64) -> Result<Forest, ForestError> {
    let raised = (one_in.max(1) as f64).ln();
    let base = sampled.base().iter().map(|base| base - raised).collect();
    Forest::new(Objective::Binary, sampled.features(), base, sampled.trees().to_vec())
}

/// Rows of both forests.
struct Rows<'a> {
    ledger: &'a Ledger,
    horizon_days: i32,
    least_purchases: usize,
    one_quiet_day_in: u64,
    /// Of the pairs, one in so many is taken.
    one_pair_in: u64,
    pairs: Vec<f32>,
    pair_labels: Vec<f32>,
    days: Vec<f32>,
    day_labels: Vec<f32>,
}

impl<'a> Rows<'a> {
    fn new(
        ledger: &'a Ledger,
        cuts: &[i32],
        horizon_days: i32,
        least_purchases: usize,
        recipe: &Recipe,
    ) -> Self {
        let bought = || ledger.customers.iter().flat_map(|customer| &customer.categories);
        let on = |cut: &i32| {
            let known = |own: &&(usize, _)| {
                let purchases: &models::reorder::Purchases = &own.1;
                purchases.until(*cut).len() >= least_purchases.max(1)
            };
            bought().filter(known).count()
        };
        let all: usize = cuts.iter().map(on).sum();
        Self {
            ledger,
            horizon_days,
            least_purchases,
            one_quiet_day_in: recipe.one_quiet_day_in.max(1),
            one_pair_in: all.div_ceil(MOST_PAIRS).max(1) as u64,
            pairs: Vec::new(),
            pair_labels: Vec::new(),
            days: Vec::new(),
            day_labels: Vec::new(),
        }
    }

    /// Adds what a cut teaches.
    fn add(&mut self, cut: i32) -> Result<(), ReorderFitError> {
        let snapshot = Snapshot::at(self.ledger, cut, self.horizon_days);
        let mut pairs = snapshot.pairs(self.least_purchases);
        if pairs.is_empty() {
            let day = cut.saturating_sub(self.ledger.first_day);
            return Err(ReorderFitError::NoRows { day, least: self.least_purchases });
        }
        pairs.retain(|pair| draw(*pair, cut, 0).is_multiple_of(self.one_pair_in));
        snapshot.each(&pairs, |pair, subject| {
            let outcome = snapshot.outcome(pair, self.horizon_days);
            let begin = self.pairs.len();
            let (bought, person, category) = (subject.bought, subject.person, subject.category);
            features(bought, person, category, cut, &mut self.pairs);
            self.pair_labels.push(f32::from(u8::from(outcome.is_some())));

            let came_on = outcome.map(|outcome| outcome.days as i32);
            for day in 1..=came_on.unwrap_or(self.horizon_days) {
                let came = came_on == Some(day);
                if came || draw(pair, cut, day).is_multiple_of(self.one_quiet_day_in) {
                    self.days.extend_from_slice(&self.pairs[begin..]);
                    ahead(bought, person, category, cut, day, &mut self.days);
                    self.day_labels.push(f32::from(u8::from(came)));
                }
            }
        });
        Ok(())
    }
}

/// The same number each time for the same pair, cut and day, and no pattern among them: SplitMix64
/// (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn draw(pair: Pair, cut: i32, day: i32) -> u64 {
    let mix = |mut z: u64| {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let of_pair = mix(mix(pair.customer as u64) ^ pair.slot as u64);
    mix(mix(of_pair ^ i64::from(cut) as u64) ^ i64::from(day) as u64)
}

/// What a model says of a completed cut, before calibration, and what came.
struct Seen {
    scored: Vec<Scored>,
    labels: Vec<f32>,
    usual_days: u32,
}

impl Seen {
    fn of(
        model: &ReorderModel,
        ledger: &Ledger,
        cut: i32,
        least: usize,
    ) -> Result<Self, ReorderFitError> {
        let horizon_days = model.horizon_days() as i32;
        let snapshot = Snapshot::at(ledger, cut, horizon_days);
        let pairs = snapshot.pairs(least);
        if pairs.is_empty() {
            return Err(ReorderFitError::NoRows {
                day: cut.saturating_sub(ledger.first_day),
                least,
            });
        }
        let mut seen = Self { scored: Vec::new(), labels: Vec::new(), usual_days: 0 };
        let mut days = Vec::new();
        snapshot.each(&pairs, |pair, subject| {
            let outcome = snapshot.outcome(pair, horizon_days);
            seen.scored.push(model.scored(subject));
            seen.labels.push(f32::from(u8::from(outcome.is_some())));
            days.extend(outcome.map(|outcome| outcome.days));
        });
        days.sort_unstable();
        seen.usual_days = days.get(days.len() / 2).copied().unwrap_or(model.horizon_days());
        Ok(seen)
    }

    fn scores(&self, hazard_share: f64) -> Vec<f64> {
        self.scored.iter().map(|scored| scored.mixed(hazard_share)).collect()
    }

    /// The weight of the hazards whose calibrated log-odds lose least, and that calibration.
    fn best(&self) -> (f64, Calibrator) {
        let tried = HAZARD_SHARES.map(|share| {
            let scores = self.scores(share);
            let calibrator = Method::Platt.fit(&scores, &self.labels);
            let probabilities: Vec<f64> =
                scores.iter().map(|score| calibrator.probability(*score)).collect();
            (Metrics::of(&probabilities, &self.labels).log_loss, share, calibrator)
        });
        let [first, others @ ..] = tried;
        let (_, share, calibrator) =
            others.into_iter().fold(first, |best, next| if next.0 < best.0 { next } else { best });
        (share, calibrator)
    }

    fn judged(&self, hazard_share: f64, calibrator: &Calibrator) -> Vec<Judged> {
        let scores = self.scores(hazard_share);
        let rows = scores.iter().zip(&self.labels).map(|(score, label)| Judged {
            probability: calibrator.probability(*score),
            came: *label == 1.0,
        });
        rows.collect()
    }
}
