//! What an operator can choose about orders.

use super::{
    life::Rules,
    shop::WebhookConfig,
    threshold::{Costs, CostsFault},
};
use models::confidence::{Wanted, WantedError};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use thiserror::Error;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// In one such tested threshold of a hundred, the cut that it was found on was lucky.
const DOUBT: f64 = 0.1;

/// Settings that cannot be.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum OrdersConfigError {
    /// The times do not hold together.
    #[error("orders: {0}")]
    Rules(&'static str),
    /// The costs of asking cannot be.
    #[error("orders.cancel_cost_percent, orders.floor_percent, orders.ceiling_percent: {0}")]
    Costs(#[from] CostsFault),
    /// No share.
    #[error("orders.wrong_percent: {0}")]
    Wanted(#[from] WantedError),
}

/// How orders are proposed, and how long they wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersConfig {
    /// Where people reach this server, `https://orders.example.com`: messages have links to it. Without it
    /// they say to look in the app.
    pub public_url: Option<String>,
    /// A folder of templates that replace those of Attune, file by file.
    pub wording_dir: Option<PathBuf>,
    /// Hours between looks at everybody's needs; 0: only when asked.
    pub sweep_hours: u32,
    /// At most so many of a hundred proposals shall be wrong. Where the data cannot support it,
    /// there are suggestions only.
    pub wrong_percent: u8,
    /// What a cancelled proposal costs, in percent of what an approved one is worth.
    pub cancel_cost_percent: u32,
    /// Nobody is asked where the model is less sure.
    pub floor_percent: u8,
    /// Everybody who agreed is asked where the model is this sure.
    pub ceiling_percent: u8,
    /// What is less sure is not shown as a suggestion either.
    pub suggestion_percent: u8,
    /// Nothing is asked for before it is more likely than not needed within so many days: as long as
    /// an answer and a delivery take.
    pub lead_days: u16,
    /// Days that a category is left alone after the person cancelled an order of it or let it
    /// expire.
    pub rest_days: u16,
    /// Hours that a quote waits for an answer; then the order is cancelled.
    pub answer_hours: u32,
    /// Hours after which the person is reminded, ascending; at most so many reminders an order.
    pub reminder_hours: Vec<u32>,
    /// Minutes in which an approval can be taken back.
    pub grace_minutes: u32,
    /// Days that an order can be put off by.
    pub delay_days: u16,
    /// Days that the link to a person's page works for.
    pub page_days: u16,
    /// Of how many people a sweep keeps forecasts to check.
    pub checked_people: u32,
    /// Days that late purchases are waited for after the horizon.
    pub late_days: u16,
    /// Who sells; without, nothing is ever bought.
    pub shop: Option<WebhookConfig>,
    /// How models are trained.
    pub training: OrdersTrainingConfig,
}

/// How models of needs are trained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersTrainingConfig {
    /// Days between trainings; 0: only when asked.
    pub every_days: u16,
    /// How many days ahead needs are foretold.
    pub horizon_days: u16,
    /// The command that trains; empty: this program's own.
    pub command: Vec<String>,
    /// After how many minutes a training is given up.
    pub limit_minutes: u16,
}

impl Default for OrdersTrainingConfig {
    fn default() -> Self {
        Self { every_days: 7, horizon_days: 14, command: Vec::new(), limit_minutes: 120 }
    }
}

impl Default for OrdersConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            wording_dir: None,
            sweep_hours: 24,
            wrong_percent: 10,
            // 7 to 3, as `Costs::default`.
            cancel_cost_percent: 233,
            floor_percent: 30,
            ceiling_percent: 99,
            suggestion_percent: 30,
            lead_days: 3,
            rest_days: 7,
            answer_hours: 48,
            reminder_hours: vec![24],
            grace_minutes: 30,
            delay_days: 90,
            page_days: 30,
            checked_people: 20_000,
            late_days: 1,
            shop: None,
            training: OrdersTrainingConfig::default(),
        }
    }
}

impl OrdersConfig {
    /// The times that orders live by.
    ///
    /// # Errors
    /// [`OrdersConfigError::Rules`].
    pub fn rules(&self) -> Result<Rules, OrdersConfigError> {
        let hours = |hours: u32| i64::from(hours) * HOUR_MS;
        let rules = Rules {
            answer_ms: hours(self.answer_hours),
            reminders_ms: self.reminder_hours.iter().map(|after| hours(*after)).collect(),
            grace_ms: i64::from(self.grace_minutes) * MINUTE_MS,
            most_delay_ms: i64::from(self.delay_days) * DAY_MS,
            ..Rules::default()
        };
        rules.validate().map_err(OrdersConfigError::Rules)?;
        Ok(rules)
    }

    /// What asking costs.
    ///
    /// # Errors
    /// [`OrdersConfigError::Costs`].
    pub fn costs(&self) -> Result<Costs, OrdersConfigError> {
        let share = |percent: u32| f64::from(percent) / 100.0;
        let costs = Costs {
            cancel_to_approval: share(self.cancel_cost_percent),
            floor: share(self.floor_percent.into()),
            ceiling: share(self.ceiling_percent.into()),
        };
        costs.validate()?;
        Ok(costs)
    }

    /// How many proposals may be wrong.
    ///
    /// # Errors
    /// [`OrdersConfigError::Wanted`].
    pub fn wanted(&self) -> Result<Wanted, OrdersConfigError> {
        let wrong = f64::from(self.wrong_percent) / 100.0;
        Ok(Wanted::new(wrong, DOUBT, Wanted::default().least_rows())?)
    }

    /// How long the link to a page works, milliseconds.
    #[must_use]
    pub fn page_ms(&self) -> i64 {
        i64::from(self.page_days) * DAY_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_what_cannot_be_is_named() {
        let config = OrdersConfig::default();
        assert_eq!(config.rules(), Ok(Rules::default()));
        assert!((config.costs().unwrap().cancel_to_approval - 7.0 / 3.0).abs() < 0.01);
        assert_eq!(config.wanted(), Ok(Wanted::default()));
        let said = |config: OrdersConfig| {
            let rules = config.rules().map(|_| ());
            let faults = [rules, config.costs().map(|_| ()), config.wanted().map(|_| ())];
            faults.into_iter().find_map(Result::err).map(|fault| fault.to_string())
        };
        let wrong = OrdersConfig { wrong_percent: 0, ..OrdersConfig::default() };
        assert!(said(wrong).unwrap().starts_with("orders.wrong_percent"));
        let floor = OrdersConfig { floor_percent: 101, ..OrdersConfig::default() };
        assert!(said(floor).unwrap().contains("orders.floor_percent"));
        let late = OrdersConfig { reminder_hours: vec![49], ..OrdersConfig::default() };
        assert!(said(late).unwrap().contains("reminders_ms"));
    }
}
