//! What one person needs soon, of everything they buy.

use super::{Consumption, Person, Purchase, ReorderModel, Subject, Use, When, visits};
use std::borrow::Cow;

/// A category that a person may need.
#[derive(Debug, Clone, PartialEq)]
pub struct Need<'a> {
    /// Its name.
    pub category: &'a str,
    /// What is bought of it.
    pub own: &'a Use,
    /// The probability that it is needed within the model's horizon, calibrated.
    pub probability: f64,
    /// The same for any number of days, where it is as likely needed as not, or something is in
    /// stock: of what is less likely no day is told.
    pub when: Option<When>,
    /// Units that are usually bought: the median of the posterior.
    pub quantity: u32,
}

/// As likely as not.
const LIKELY: f64 = 0.5;

/// What a person needs within the model's horizon with at least a probability, as known at the end
/// of `day`, the likeliest first. What orders brought counts as in [`super::Bought::at_own_pace`].
/// `least_purchases` days of purchase it takes to say anything.
#[must_use]
pub fn needs<'a>(
    model: &ReorderModel,
    consumption: &'a Consumption,
    day: i32,
    least_purchases: usize,
    least_probability: f64,
) -> Vec<Need<'a>> {
    let paced: Vec<(&str, &Use, Cow<'_, [Purchase]>)> = consumption
        .categories()
        .map(|(name, own)| (name, own, own.at_own_pace(day)))
        .filter(|(.., bought)| !bought.is_empty())
        .collect();
    if paced.is_empty() {
        return Vec::new();
    }
    let visits = visits(paced.iter().map(|(.., bought)| &**bought), day);
    let categories = model.categories();
    let usual = &categories.overall.weekday_shares;
    let person = Person::at(&visits, paced.len(), usual, day);
    let mut needs = Vec::new();
    for (name, own, bought) in &paced {
        if bought.len() < least_purchases.max(1) {
            continue;
        }
        let category = categories.get(name);
        let horizon_days = model.horizon_days();
        // What orders brought may last beyond the day: the need is that of when it is used up.
        let used_up = bought.last().map_or(day, |last| last.day.max(day));
        let stocked_days = used_up.saturating_sub(day).unsigned_abs();
        if stocked_days >= horizon_days {
            continue;
        }
        let subject = Subject { bought, person: &person, category, day: used_up };
        let mut probability = model.probability(&subject);
        if probability < least_probability {
            continue;
        }
        // The hazards take five times as long, and are asked for few.
        let when = (probability >= LIKELY || stocked_days > 0)
            .then(|| model.when(&subject).later(stocked_days));
        if let (Some(when), 1..) = (&when, stocked_days) {
            probability = when.within(horizon_days);
        }
        if probability >= least_probability {
            let quantity = category.amounts.updated(bought).median();
            needs.push(Need { category: name, own, probability, when, quantity });
        }
    }
    needs.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.category.cmp(b.category)));
    needs
}
