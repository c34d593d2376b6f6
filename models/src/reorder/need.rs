//! What one person needs soon, of everything they buy.

use super::{Consumption, Person, ReorderModel, Subject, Use, When};

/// A category that a person may need.
#[derive(Debug, Clone, PartialEq)]
pub struct Need<'a> {
    /// Its name.
    pub category: &'a str,
    /// What is bought of it.
    pub own: &'a Use,
    /// The probability that it is needed within the model's horizon, calibrated.
    pub probability: f64,
    /// The same for any number of days.
    pub when: When,
    /// Units that are usually bought: the median of the posterior.
    pub quantity: u32,
}

/// What a person needs within the model's horizon with at least a probability, as known at the end
/// of `day`, the likeliest first. `least_purchases` days of purchase it takes to say anything.
#[must_use]
pub fn needs<'a>(
    model: &ReorderModel,
    consumption: &'a Consumption,
    day: i32,
    least_purchases: usize,
    least_probability: f64,
) -> Vec<Need<'a>> {
    let visits = consumption.visits(day);
    if visits.is_empty() {
        return Vec::new();
    }
    let categories = model.categories();
    let owned = consumption.categories().filter(|(_, own)| !own.purchases().until(day).is_empty());
    let person = Person::at(&visits, owned.count(), &categories.overall.weekday_shares, day);
    let mut needs = Vec::new();
    for (name, own) in consumption.categories() {
        let bought = own.purchases().until(day);
        if bought.len() < least_purchases.max(1) {
            continue;
        }
        let category = categories.get(name);
        let subject = Subject { bought, person: &person, category, day };
        let probability = model.probability(&subject);
        if probability >= least_probability {
            // The hazards take five times as long, and are asked for few.
            let when = model.when(&subject);
            let quantity = category.amounts.updated(bought).median();
            needs.push(Need { category: name, own, probability, when, quantity });
        }
    }
    needs.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.category.cmp(b.category)));
    needs
}
