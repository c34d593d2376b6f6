//! A model's answers beside what came.

use super::{Fitted, Ledger, Outcome, Pair, Recipe, ReorderFitError, Snapshot, fit};
use crate::metrics::Metrics;
use models::{
    confidence::{Adaptive, Level, Realised, Wanted},
    reorder::Purchase,
};
use serde::Serialize;

/// Steps of [`evaluate`] with the default recipe, at most.
pub const STEPS: usize = 25;

/// How a forecast at the end of a day fared. Shares and probabilities are 0 to 1; what is undefined,
/// for want of rows, is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Pairs of customer and category that were judged.
    pub rows: usize,
    /// Of these bought again in time.
    pub came: usize,
    /// The horizon that was asked for.
    pub horizon_days: i32,
    /// The horizon that was judged: shorter where the purchases end before. The model is fitted
    /// for the same.
    pub observed_days: i32,
    /// Area under the ROC curve of "needed within the horizon".
    pub auc: Option<f64>,
    /// Mean negative log-likelihood, nats.
    pub log_loss: Option<f64>,
    /// Expected calibration error over 10 bins of equal width.
    pub ece10: Option<f64>,
    /// Mean absolute error of the day of the next purchase, of those that came.
    pub days_mae: Option<f64>,
    /// Of the same, always saying the median of the newest completed cut.
    pub days_mae_of_constant: Option<f64>,
    /// As `days_mae`, where the probability is at least 0.7.
    pub days_mae_at_p70: Option<f64>,
    /// As `days_mae_of_constant`, there.
    pub days_mae_of_constant_at_p70: Option<f64>,
    /// Mean absolute error of the units, of those that came.
    pub quantity_mae: Option<f64>,
    /// Share of them foretold exactly.
    pub quantity_exact: Option<f64>,
    /// Mean absolute error of always saying 1.
    pub quantity_mae_of_one: Option<f64>,
    /// Of saying what was bought last.
    pub quantity_mae_of_last: Option<f64>,
    /// Of saying the person's own median.
    pub quantity_mae_of_median: Option<f64>,
    /// Share of the rows with a probability of at least 0.7.
    pub coverage_at_p70: Option<f64>,
    /// Share of these that came.
    pub precision_at_p70: Option<f64>,
    /// Share of the rows with a probability of at least 0.8.
    pub coverage_at_p80: Option<f64>,
    /// Share of these that came.
    pub precision_at_p80: Option<f64>,
    /// What the wanted wrong share does here.
    pub level: JudgedLevel,
    /// How the model was made.
    pub made: Made,
}

/// The level, decided before anything that is judged was known, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgedLevel {
    /// As decided.
    #[serde(flatten)]
    pub decided: Level,
    /// The same in words.
    pub says: String,
    /// What came of its proposals.
    pub realised: Realised,
    /// Share of the proposals that were wrong; none without proposals.
    pub wrong_share: Option<f64>,
    /// Share of the rows that were proposed.
    pub coverage: Option<f64>,
}

/// How a model was made. Days are counted from the first purchase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Made {
    /// Fewest days of purchase of the rows it was made of: the fewest among those judged.
    pub least_purchases: usize,
    /// The cuts it was fitted to.
    pub fitted_to: Vec<i32>,
    /// The cut it was calibrated on, and the weight of the regression chosen.
    pub calibrated_on: i32,
    /// Weight of the regression beside the classifier in the probability.
    pub regression_share: f64,
}

/// What was said of one row, and what came.
struct Row {
    probability: f64,
    days: u32,
    quantity: u32,
    last: u32,
    own_median: u32,
    outcome: Option<Outcome>,
}

/// Fits a model to what was known at the end of `day`, days since 1970-01-01, and holds it against
/// what came after: of `pairs`, or of all that had a purchase by then. `step` is called after each
/// of [`STEPS`] steps at most.
///
/// # Errors
/// [`ReorderFitError`]: too little is known before, or nothing after.
pub fn evaluate(
    ledger: &Ledger,
    pairs: Option<&[Pair]>,
    day: i32,
    horizon_days: i32,
    recipe: &Recipe,
    wanted: &Wanted,
    mut step: impl FnMut(),
) -> Result<Report, ReorderFitError> {
    let known_days = ledger.last_day.saturating_sub(day);
    if known_days <= 0 {
        return Err(ReorderFitError::NothingAfter { days: known_days.saturating_neg() });
    }
    let observed_days = horizon_days.min(known_days);
    let snapshot = Snapshot::at(ledger, day, observed_days);
    let pairs: Vec<Pair> = match pairs {
        // Those without any purchase before are no rows: nobody would propose them.
        Some(given) => given
            .iter()
            .filter(|pair| !ledger.bought(**pair).all().until(day).is_empty())
            .copied()
            .collect(),
        None => snapshot.pairs(1),
    };
    let fewest = pairs.iter().map(|pair| ledger.bought(*pair).all().until(day).len()).min();
    let Some(least) = fewest else {
        return Err(ReorderFitError::NoRows {
            day: day.saturating_sub(ledger.first_day),
            least: 1,
        });
    };
    let fitted = fit(ledger, day, observed_days, least, recipe, &mut step)?;
    let mut rows = Vec::with_capacity(pairs.len());
    snapshot.each(&pairs, |pair, subject| {
        let when = fitted.model.when(subject);
        rows.push(Row {
            probability: when.within(observed_days as u32),
            days: when.median_within(observed_days as u32),
            quantity: fitted.model.amount(subject).median(),
            last: subject.bought.last().map_or(1, |purchase| purchase.quantity),
            own_median: median(subject.bought),
            outcome: snapshot.outcome(pair, observed_days),
        });
    });
    step();
    Ok(report(&rows, &fitted, ledger, (horizon_days, observed_days), least, wanted))
}

fn report(
    rows: &[Row],
    fitted: &Fitted,
    ledger: &Ledger,
    (horizon_days, observed_days): (i32, i32),
    least_purchases: usize,
    wanted: &Wanted,
) -> Report {
    let probabilities: Vec<f64> = rows.iter().map(|row| row.probability).collect();
    let labels: Vec<f32> =
        rows.iter().map(|row| f32::from(u8::from(row.outcome.is_some()))).collect();
    let metrics = Metrics::of(&probabilities, &labels);
    let at = |least: f64| {
        let sure = || rows.iter().filter(move |row| row.probability >= least);
        let coverage = mean(rows.iter().map(|row| f64::from(u8::from(row.probability >= least))));
        (coverage, mean(sure().map(|row| f64::from(u8::from(row.outcome.is_some())))))
    };
    let ((coverage_at_p70, precision_at_p70), (coverage_at_p80, precision_at_p80)) =
        (at(0.7), at(0.8));
    let days = |least: f64, said: &dyn Fn(&Row) -> u32| {
        let came = rows.iter().filter(|row| row.probability >= least);
        mean(came.filter_map(|row| Some(f64::from(said(row).abs_diff(row.outcome?.days)))))
    };
    let units = |said: &dyn Fn(&Row) -> u32| {
        let came = rows.iter();
        mean(came.filter_map(|row| Some(f64::from(said(row).abs_diff(row.outcome?.quantity)))))
    };
    let exact = rows
        .iter()
        .filter_map(|row| Some(f64::from(u8::from(row.quantity == row.outcome?.quantity))));

    let decided = Level::decide(&fitted.newest, &fitted.moved, &Adaptive::new(wanted), wanted);
    let mut realised = Realised { predictions: rows.len() as u64, ..Realised::default() };
    for row in rows.iter().filter(|row| decided.proposes(row.probability)) {
        realised.proposals += 1;
        realised.wrong += u64::from(row.outcome.is_none());
    }
    let since_first = |day: i32| day.saturating_sub(ledger.first_day);
    Report {
        rows: rows.len(),
        came: rows.iter().filter(|row| row.outcome.is_some()).count(),
        horizon_days,
        observed_days,
        auc: defined(metrics.auc),
        log_loss: defined(metrics.log_loss),
        ece10: defined(metrics.ece10),
        days_mae: days(0.0, &|row| row.days),
        days_mae_of_constant: days(0.0, &|_| fitted.usual_days),
        days_mae_at_p70: days(0.7, &|row| row.days),
        days_mae_of_constant_at_p70: days(0.7, &|_| fitted.usual_days),
        quantity_mae: units(&|row| row.quantity),
        quantity_exact: mean(exact),
        quantity_mae_of_one: units(&|_| 1),
        quantity_mae_of_last: units(&|row| row.last),
        quantity_mae_of_median: units(&|row| row.own_median),
        coverage_at_p70,
        precision_at_p70,
        coverage_at_p80,
        precision_at_p80,
        level: JudgedLevel {
            says: decided.to_string(),
            decided,
            wrong_share: realised.wrong_share(),
            coverage: realised.coverage(),
            realised,
        },
        made: Made {
            least_purchases,
            fitted_to: fitted.cuts.iter().map(|cut| since_first(*cut)).collect(),
            calibrated_on: since_first(fitted.calibrated_on),
            regression_share: fitted.model.regression_share(),
        },
    }
}

/// The person's own median quantity, the upper of two middle ones.
fn median(bought: &[Purchase]) -> u32 {
    let mut quantities: Vec<u32> = bought.iter().map(|purchase| purchase.quantity).collect();
    quantities.sort_unstable();
    quantities.get(quantities.len() / 2).copied().unwrap_or(1)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    defined(sum / count)
}

fn defined(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
