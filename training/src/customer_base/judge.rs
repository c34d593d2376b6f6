//! A model's forecast beside what came.

use super::{
    FitError, Outcome, Pick, Point, Transactions,
    fit::fit,
    pick::{HORIZON_DAYS, histories, outcomes, weeks},
};
use crate::metrics::auc;
use models::customer_base::{Correction, CustomerBase, Kind, RepeatHistory};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a forecast from one day to another fared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The model that was picked.
    pub model: Kind,
    /// Its parameters by name, per week, fitted on everything up to the first day.
    pub parameters: BTreeMap<&'static str, f64>,
    /// Mean absolute error of a customer's purchases, of the point prediction that was picked.
    pub mae: f64,
    /// Area under the ROC curve of "buys within 30 days"; `None` where all or nobody did, or the
    /// forecast ends before.
    pub buy30_auc: Option<f64>,
    /// Expected purchases of all customers.
    pub total_predicted: f64,
    /// Their purchases.
    pub total_actual: u32,
    /// Customers known on the first day.
    pub customers: usize,
    /// The days that were forecast.
    pub holdout_days: i32,
    /// Mean absolute error of the expectation.
    pub mae_of_mean: f64,
    /// How the model was picked, on nothing after the first day.
    pub pick: Pick,
    /// Each model as it is, in the order of [`Kind::ALL`].
    pub models: Vec<Judgement>,
    /// Purchases since the first day, week by week.
    pub weeks: Vec<Week>,
}

/// How one model fared, uncorrected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The model.
    pub model: Kind,
    /// Its parameters by name, per week.
    pub parameters: BTreeMap<&'static str, f64>,
    /// Of what it was fitted on.
    pub log_likelihood: f64,
    /// Mean absolute error of the expectation.
    pub mae_of_mean: f64,
    /// Mean absolute error of the median.
    pub mae_of_median: f64,
    /// Area under the ROC curve of "buys within 30 days".
    pub buy30_auc: Option<f64>,
    /// Expected purchases of all customers.
    pub total_predicted: f64,
}

/// Purchases of all customers from the first day of the forecast to the end of a week.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Week {
    /// Days since the forecast.
    pub days: i32,
    /// As they came.
    pub actual: u32,
    /// As they were expected.
    pub predicted: f64,
}

/// Forecasts at the end of the day `from` what is bought until the end of the day `until`, by the
/// model that is picked on what was known then. Days are since 1970-01-01.
///
/// # Errors
/// [`FitError`]: too few repeats before.
pub fn judge(transactions: &Transactions, from: i32, until: i32) -> Result<Report, FitError> {
    let known = histories(transactions, from);
    let mut fitted = Vec::new();
    for kind in Kind::ALL {
        fitted.push(fit(kind, &known)?);
    }
    let pick = Pick::on(transactions, from)?;

    let holdout = Holdout::new(transactions, from, until);
    let models: Vec<Judgement> = fitted
        .iter()
        .map(|fitted| Judgement {
            model: fitted.model.kind(),
            parameters: named(&fitted.model),
            log_likelihood: fitted.log_likelihood,
            mae_of_mean: holdout.mae(&fitted.model, Point::Mean),
            mae_of_median: holdout.mae(&fitted.model, Point::Median),
            buy30_auc: holdout.auc(&fitted.model, None),
            total_predicted: holdout.expected(&fitted.model, holdout.days),
        })
        .collect();
    let model = fitted[pick.kind as usize].model;
    let own = &models[pick.kind as usize];
    let mae = match pick.point {
        Point::Mean => own.mae_of_mean,
        Point::Median => own.mae_of_median,
    };
    Ok(Report {
        model: pick.kind,
        parameters: named(&model),
        mae,
        buy30_auc: holdout.auc(&model, pick.correction.as_ref()),
        total_predicted: own.total_predicted,
        total_actual: holdout.bought(holdout.days),
        customers: known.len(),
        holdout_days: holdout.days,
        mae_of_mean: own.mae_of_mean,
        weeks: holdout.weeks(&model),
        pick,
        models,
    })
}

fn named(model: &CustomerBase) -> BTreeMap<&'static str, f64> {
    model.kind().parameter_names().into_iter().zip(model.parameters()).collect()
}

/// What came after, and who was known before.
struct Holdout<'a> {
    transactions: &'a Transactions,
    from: i32,
    days: i32,
    known: Vec<(&'a super::Customer, RepeatHistory)>,
}

impl<'a> Holdout<'a> {
    fn new(transactions: &'a Transactions, from: i32, until: i32) -> Self {
        let customers = transactions.customers.iter();
        let known = customers.filter_map(|c| Some((c, c.history(from)?))).collect();
        Self { transactions, from, days: until.saturating_sub(from).max(0), known }
    }

    fn mae(&self, model: &CustomerBase, point: Point) -> f64 {
        let until = self.from.saturating_add(self.days);
        let errors = self.known.iter().map(|(customer, history)| {
            let came = f64::from(customer.bought(self.from, until));
            (point.of(model, history, self.days) - came).abs()
        });
        errors.sum::<f64>() / self.known.len().max(1) as f64
    }

    fn auc(&self, model: &CustomerBase, correction: Option<&Correction>) -> Option<f64> {
        if self.days < HORIZON_DAYS {
            return None;
        }
        let correction = correction.copied().unwrap_or_default();
        let scored = outcomes(self.transactions, model, self.from);
        let score = |o: &Outcome| correction.apply(o.probability, &o.history, o.spent);
        let scores: Vec<f64> = scored.iter().map(score).collect();
        let labels: Vec<f32> = scored.iter().map(|o| f32::from(u8::from(o.bought))).collect();
        Some(auc(&scores, &labels)).filter(|area| area.is_finite())
    }

    fn expected(&self, model: &CustomerBase, days: i32) -> f64 {
        self.known.iter().map(|(_, h)| model.expected_purchases(h, weeks(days))).sum()
    }

    fn bought(&self, days: i32) -> u32 {
        let until = self.from.saturating_add(days);
        self.known.iter().map(|(customer, _)| customer.bought(self.from, until)).sum()
    }

    fn weeks(&self, model: &CustomerBase) -> Vec<Week> {
        /// Ten years of weeks are enough for any picture.
        const MOST: usize = 520;
        let ends = (0..=self.days).step_by(7).take(MOST);
        ends.map(|days| Week {
            days,
            actual: self.bought(days),
            predicted: self.expected(model, days),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs::File, path::PathBuf};

    /// The CDNOW sample of Fader & Hardie, in `$ATTUNE_DATA` or `../shared/data`.
    fn cdnow() -> Option<Transactions> {
        let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let folder = env::var_os("ATTUNE_DATA").map_or_else(beside, PathBuf::from);
        let file = File::open(folder.join("cdnow/CDNOW_sample.txt")).ok();
        if file.is_none() {
            eprintln!("skipped: no data");
        }
        Some(Transactions::read(file?).unwrap())
    }

    fn day(text: &str) -> i32 {
        super::super::day_number(text.parse().unwrap())
    }

    #[test]
    fn cdnow_as_published_and_better() {
        let Some(transactions) = cdnow() else { return };
        let (from, until) = (day("1997-09-30"), day("1998-06-30"));
        let report = judge(&transactions, from, until).unwrap();
        println!("{}", serde_json::to_string_pretty(&report).unwrap());
        assert_eq!((report.customers, report.total_actual), (2_357, 1_882));

        // Fader, Hardie & Lee 2005, table 2; Batislam et al. 2007; Fader & Hardie's note of 2005.
        let rounded = |kind: Kind, digits: [i32; 4]| {
            let parameters = &report.models[kind as usize].parameters;
            let mut digits = digits.into_iter();
            kind.parameter_names().map(|name| {
                let scale = 10f64.powi(digits.next().unwrap());
                (parameters[name] * scale).round() / scale
            })
        };
        assert_eq!(rounded(Kind::BgNbd, [3; 4]), [0.243, 4.414, 0.793, 2.426]);
        assert_eq!(rounded(Kind::MbgNbd, [2; 4]), [0.52, 6.18, 0.89, 1.61]);
        assert_eq!(rounded(Kind::ParetoNbd, [2; 4]), [0.55, 10.58, 0.61, 11.67]);
        assert!((report.models[0].log_likelihood + 9_582.4).abs() < 0.05);

        assert!(report.mae <= 0.7545, "{}", report.mae);
        assert!(report.buy30_auc.unwrap() >= 0.808, "{:?}", report.buy30_auc);
    }

    #[test]
    fn the_pick_does_not_look_ahead() {
        let Some(mut transactions) = cdnow() else { return };
        let from = day("1997-09-30");
        let pick = Pick::on(&transactions, from).unwrap();
        for customer in &mut transactions.customers {
            customer.purchases.retain(|(day, _)| *day <= from);
        }
        transactions.customers.retain(|c| !c.purchases.is_empty());
        assert_eq!(Pick::on(&transactions, from).unwrap(), pick);
    }
}
