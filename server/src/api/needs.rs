//! What people buy and how often, and what came of what was proposed to them.

use super::{
    ApiError,
    extract::Person,
    operator::{Allowed, scope},
};
use crate::{
    app::{App, unix_ms},
    orders::outcome::{Bin, Check, Ends},
};
use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use models::{confidence::Realised, reorder};
use protocol::problem::{ErrorCode, Problem};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Days of an answer, if nothing else is asked for, and at most.
const DEFAULT_DAYS: i64 = 90;
const MOST_DAYS: i64 = 731;
const DAY_MS: i64 = 86_400_000;
/// Thresholds are told in so many steps.
const STEPS: usize = 20;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(consumption)).routes(routes!(outcomes))
}

/// What a person buys.
#[derive(Debug, Serialize, ToSchema)]
struct ConsumptionView {
    /// By name.
    categories: Vec<CategoryView>,
}

/// What a person buys of a category.
#[derive(Debug, Serialize, ToSchema)]
struct CategoryView {
    /// Its name.
    category: String,
    /// In words.
    #[schema(examples("you buy this about every 12 days, 2 at a time; last 11 days ago"))]
    says: String,
    /// Articles, those bought most and latest first.
    articles: Vec<String>,
    /// In numbers: purchases, first_day, last_day, since_days, gap_mean_days, gap_median_days,
    /// gap_spread_days, units_per_day, typical_quantity, last_quantity, weekday_shares,
    /// month_shares, used_up_on; days are counted from 1970-01-01.
    #[schema(value_type = Object)]
    profile: Value,
}

/// What came of proposals.
#[derive(Debug, Serialize, ToSchema)]
struct Outcomes {
    /// How sure orders must be now, in words; absent while there is no model.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    /// From which probability on orders are proposed; absent: nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    /// The share of wrong proposals that is wanted at most.
    wanted_wrong_share: f64,
    /// Of all days: everything that was proposed, and what of it was neither approved and got nor
    /// bought.
    proposed: RealisedView,
    /// Of all days: what would have been proposed, had the lot not said no, and what of it was not
    /// bought. This is the honest share: who approves has it, needed or not.
    left_alone: RealisedView,
    /// Orders made since then, by how they ended.
    ends: Ends,
    /// Day by day, of those of which all is known.
    days: Vec<DayView>,
    /// How many people have a threshold of their own in each twentieth of 0..1.
    thresholds: Vec<u64>,
}

/// Proposals and what came of them.
#[derive(Debug, Serialize, ToSchema)]
struct RealisedView {
    /// How many.
    proposals: u64,
    /// Of these not needed.
    wrong: u64,
    /// The share of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong_share: Option<f64>,
}

impl From<Realised> for RealisedView {
    fn from(realised: Realised) -> Self {
        let Realised { proposals, wrong, .. } = realised;
        Self { proposals, wrong, wrong_share: realised.wrong_share() }
    }
}

/// A day on which needs were foretold.
#[derive(Debug, Serialize, ToSchema)]
struct DayView {
    /// When, Unix milliseconds.
    made_unix_ms: i64,
    /// The model.
    model: String,
    /// From which probability on orders were proposed; absent: suggestions only.
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    /// What was proposed.
    proposed: RealisedView,
    /// What was left to the lot instead.
    left_alone: RealisedView,
    /// Of the sample, of those whom nobody asked: what would have come of proposing everything from the threshold on.
    at_threshold: RealisedView,
    /// The share of the sample's needs that reach the threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<f64>,
    /// Of the sample: foretellings in each tenth of the probabilities.
    calibration: [Bin; 10],
}

/// What a person buys, and how often
///
/// Made from their purchases; this is what needs are told from.
#[utoipa::path(get, path = "/v1/people/{person}/consumption", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("person" = Uuid, Path, description = "An id of the person")),
    responses(
        (status = 200, description = "By category", body = ConsumptionView, example = json!({
            "categories": [{
                "category": "coffee", "articles": ["c-1"],
                "says": "you buy this about every 12 days, 2 at a time; last 11 days ago",
                "profile": {"purchases": 3, "since_days": 11, "gap_mean_days": 12.0},
            }],
        })),
        (status = 404, description = "Nobody is known by this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn consumption(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    Person(person): Person,
) -> Result<Json<ConsumptionView>, ApiError> {
    let unknown = || ApiError::refused(ErrorCode::NotFound, "nobody is known by this id");
    let root = app.store.root_of(person).await?.ok_or_else(unknown)?;
    let consumption = app.store.consumption(root).await?.unwrap_or_default();
    let today = app.orders.day_of(unix_ms());
    let view = |(name, own): (&str, &reorder::Use)| {
        let profile = own.profile(today)?;
        Some(CategoryView {
            category: name.to_owned(),
            says: profile.explain(reorder::Language::English),
            articles: own.ranked().into_iter().map(|(sku, _)| sku.to_owned()).collect(),
            profile: serde_json::to_value(&profile).ok()?,
        })
    };
    Ok(Json(ConsumptionView { categories: consumption.categories().filter_map(view).collect() }))
}

/// What came of what was proposed
///
/// The share of proposals that were wrong is always told: no setting can promise it.
#[utoipa::path(get, path = "/v1/order-outcomes", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("days" = Option<i64>, Query, minimum = 1, maximum = 731,
        description = "How far back, days; 90, if absent")),
    responses(
        (status = 200, description = "Numbers about nobody", body = Outcomes, example = json!({
            "level": "proposes from 91 % on: of 412 such predictions of the newest completed cut \
                6.3 % were wrong, at most 10 % are wanted",
            "threshold": 0.91, "wanted_wrong_share": 0.1,
            "proposed": {"proposals": 900, "wrong": 63, "wrong_share": 0.07},
            "left_alone": {"proposals": 50, "wrong": 4, "wrong_share": 0.08},
            "ends": {
                "proposed": 950, "fulfilled": 700, "cancelled": 90, "expired": 110,
                "failed": 0, "open": 50,
            },
            "days": [], "thresholds": vec![0; 20],
        })),
        (status = 422, description = "A parameter is outside its range", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn outcomes(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    Days(days): Days,
) -> Result<Json<Outcomes>, ApiError> {
    let since_unix_ms = unix_ms().saturating_sub(days.saturating_mul(DAY_MS));
    let serving = app.orders.serving();
    let checks = app.store.need_checks::<Check>(since_unix_ms).await?;
    let sum = |of: fn(&Check) -> &Realised| {
        let mut sum = Realised::default();
        checks.iter().for_each(|(_, check)| sum.add(of(check)));
        RealisedView::from(sum)
    };
    let (proposed, left_alone) = (sum(|check| &check.proposed), sum(|check| &check.left_alone));
    let mut ends = Ends::default();
    for (status, count) in app.store.orders_by_status(since_unix_ms).await? {
        ends.add(&status, count);
    }
    let mut thresholds = vec![0; STEPS];
    for threshold in app.orders.thresholds(&app.store).await? {
        thresholds[((threshold * STEPS as f64) as usize).min(STEPS - 1)] += 1;
    }
    Ok(Json(Outcomes {
        level: serving.as_ref().map(|serving| serving.level.to_string()),
        threshold: serving.as_ref().and_then(|serving| serving.level.threshold),
        wanted_wrong_share: app.orders.wanted.wrong_share(),
        proposed,
        left_alone,
        ends,
        days: checks.into_iter().map(|(at, check)| day(at, check)).collect(),
        thresholds,
    }))
}

fn day(made_unix_ms: i64, check: Check) -> DayView {
    DayView {
        made_unix_ms,
        threshold: check.level,
        proposed: check.proposed.into(),
        left_alone: check.left_alone.into(),
        coverage: check.at_level.coverage(),
        at_threshold: check.at_level.into(),
        calibration: check.bins,
        model: check.model,
    }
}

/// How far back.
#[derive(Debug)]
struct Days(i64);

impl FromRequestParts<App> for Days {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let invalid = || {
            let detail = format!("it takes days, 1 to {MOST_DAYS}, and no others");
            ApiError::refused(ErrorCode::Invalid, detail)
        };
        let mut days = DEFAULT_DAYS;
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let given = value.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days));
            days = given.filter(|_| name == "days").ok_or_else(invalid)?;
        }
        Ok(Self(days))
    }
}
