//! `/v1/orders` and what people wish of them: for the operator's own apps, on behalf of a person.

use super::{
    ApiError,
    extract::{JsonBody, OrderId, Person},
    operator::{Allowed, scope},
    run_to_end,
};
use crate::{
    app::{App, unix_ms},
    delivery::{Address, ChannelKind},
    orders::{
        life::{Act, Actor, Answer, Command, Status},
        person::{Language, Limit, Suggestion, Wishes, WishesChange},
        threshold::Feel,
    },
    page::stream,
    store::StoredOrder,
};
use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::IntoResponse,
};
use protocol::problem::{ErrorCode, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Orders of an answer: the newest.
const MOST_ORDERS: u32 = 100;
/// Orders of a page at most.
const MOST_PAGE: u32 = 1_000;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(orders))
        .routes(routes!(all_orders))
        .routes(routes!(order))
        .routes(routes!(answer))
        .routes(routes!(wishes, wish))
        .routes(routes!(suggestions))
        .routes(routes!(page))
        .routes(routes!(news))
}

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderView {
    /// Its id, which is also its idempotency key at the shop.
    id: Uuid,
    /// Whose it is.
    person: Uuid,
    /// proposed, notified, modified, delayed, approved, fulfilling, fulfilled, failed, cancelled or
    /// expired.
    status: &'static str,
    /// When it was made, Unix milliseconds.
    made_unix_ms: i64,
    /// When it came to where it stands, Unix milliseconds.
    changed_unix_ms: i64,
    /// When it ends by itself, Unix milliseconds; absent where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_unix_ms: Option<i64>,
    /// Until when an approval can be taken back, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    begins_unix_ms: Option<i64>,
    /// What it is about: id, currency, lines, extra_minor, total_minor.
    #[schema(value_type = Object)]
    quote: Value,
    /// Why it was proposed: model_id, confidence, threshold, reasons, inputs_digest.
    #[schema(value_type = Object)]
    why: Value,
    /// Everything that happened to it: at_unix_ms, by, command, what.
    #[schema(value_type = Vec<Object>)]
    events: Value,
}

impl OrderView {
    fn of(stored: &StoredOrder) -> Result<Self, ApiError> {
        let order = &stored.order;
        let json = |value: Result<Value, serde_json::Error>| {
            value.map_err(|_| ApiError::Internal("an order that was just read"))
        };
        Ok(Self {
            id: order.id(),
            person: order.person(),
            status: order.status().name(),
            made_unix_ms: stored.made_unix_ms,
            changed_unix_ms: order.changed().1,
            expires_unix_ms: order.expires(),
            begins_unix_ms: order.begins(),
            quote: json(serde_json::to_value(order.quote()))?,
            why: json(serde_json::to_value(order.why()))?,
            events: json(serde_json::to_value(&stored.events))?,
        })
    }

    fn example() -> Value {
        json!({
            "id": "01997a10-5c00-7000-8000-00000000000a",
            "person": "01997a10-5c00-7000-8000-000000000001",
            "status": "notified", "made_unix_ms": 1_795_000_000_000_i64,
            "changed_unix_ms": 1_795_000_001_000_i64, "expires_unix_ms": 1_795_172_800_000_i64,
            "quote": {
                "id": "01997a10-5c00-7000-8000-00000000000b", "currency": "EUR",
                "lines": [
                    {"sku": "c-1", "title": "Coffee, 1 kg", "quantity": 2, "unit_minor": 1_290}
                ],
                "extra_minor": 0, "total_minor": 2_580,
            },
            "why": {
                "model_id": "7d6a2f9c01b4e583", "confidence": 0.93, "threshold": 0.9,
                "reasons": ["you buy this about every 12 days, 2 at a time; last 11 days ago"],
                "inputs_digest": "9f".repeat(32),
            },
            "events": [],
        })
    }
}

/// Orders of a person.
#[derive(Debug, Serialize, ToSchema)]
struct Orders {
    /// The newest first, at most 100.
    orders: Vec<OrderView>,
}

/// Orders of everybody.
#[derive(Debug, Serialize, ToSchema)]
struct OrdersPage {
    /// In the order in which they were made.
    orders: Vec<OrderView>,
    /// Where to go on: the next `after`. Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Uuid>,
}

/// Which page of the orders.
#[derive(Debug, PartialEq)]
struct Which {
    status: Option<Status>,
    after: Uuid,
    limit: u32,
}

impl FromRequestParts<App> for Which {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Which {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let invalid = |what: &str| ApiError::refused(ErrorCode::Invalid, what);
        let mut which = Self { status: None, after: Uuid::nil(), limit: MOST_ORDERS };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "status" => {
                    let found = Status::ALL.into_iter().find(|status| status.name() == value);
                    which.status = Some(found.ok_or_else(|| invalid("there is no such status"))?);
                }
                "after" => {
                    let after = Uuid::parse_str(&value);
                    which.after = after.map_err(|_| invalid("after is the id of an order"))?;
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|n| (1..=MOST_PAGE).contains(n));
                    which.limit =
                        limit.ok_or_else(|| invalid("limit is a whole number from 1 to 1000"))?;
                }
                _ => return Err(invalid("it takes status, after and limit, no others")),
            }
        }
        Ok(which)
    }
}

/// What somebody wants of an order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderCommand {
    /// Made by whoever sends it, once for each wish: sent again, it gets the same answer.
    id: Uuid,
    /// In whose name.
    by: By,
    /// `{"act": "approve", "seen": QUOTE, "total_minor": 2580}`, `{"act": "modify", "lines":
    /// [{"sku": "c-1", "quantity": 1}]}`, `{"act": "delay", "until_unix_ms": 1795600000000}` or
    /// `{"act": "cancel"}`.
    #[schema(value_type = Object)]
    act: Act,
}

/// In whose name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    /// The person's, who answered in the operator's app.
    Person,
    /// The operator's own, who may only cancel.
    Operator,
}

/// What a command came to.
#[derive(Debug, Serialize, ToSchema)]
struct Heard {
    /// Where the order stood after it. An approval that found a dearer price or fewer goods leaves it
    /// `modified`: the person is asked again.
    status: &'static str,
    /// The order as it is now.
    order: OrderView,
}

/// What a person wishes of orders.
#[derive(Debug, Serialize, ToSchema)]
struct WishesView {
    /// Since when they agree to be asked, Unix milliseconds; absent: they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreed_unix_ms: Option<i64>,
    /// Whether they want to be left alone for now.
    paused: bool,
    /// How they want to hear of it.
    channel: ChannelKind,
    /// Whether messages go there, or to the page because the address is missing.
    reached: bool,
    /// In which language.
    language: Language,
    /// Their time zone.
    zone: String,
    /// What orders may come to.
    limits: Vec<Limit>,
    /// How they want to be asked.
    feel: Feel,
    /// How sure the model must be, and why: habit, answers, cancels, threshold, beginning.
    #[schema(value_type = Object)]
    threshold: Value,
}

/// What may be needed and was not asked for.
#[derive(Debug, Serialize, ToSchema)]
struct Suggestions {
    /// When it was looked at, Unix milliseconds; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    made_unix_ms: Option<i64>,
    /// The likeliest first.
    suggestions: Vec<Suggestion>,
}

/// Where a person's page is.
#[derive(Debug, Serialize, ToSchema)]
struct Page {
    /// Its path at this server. Give it to the person only: whoever has it can answer for them.
    path: String,
    /// The same with the address by which people reach the server, where that is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Until when it works, Unix milliseconds.
    expires_unix_ms: i64,
}

/// Orders of a person
#[utoipa::path(get, path = "/v1/people/{person}/orders", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("person" = Uuid, Path, description = "An id of the person")),
    responses(
        (status = 200, description = "The newest first", body = Orders,
            example = json!({"orders": [OrderView::example()]})),
        (status = 404, description = "Nobody is known by this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn orders(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    Person(person): Person,
) -> Result<Json<Orders>, ApiError> {
    let root = root(&app, person).await?;
    let orders = app.store.orders_of(root, i64::MAX, MOST_ORDERS).await?;
    let orders = orders.iter().map(OrderView::of).collect::<Result<_, _>>()?;
    Ok(Json(Orders { orders }))
}

/// Everybody's orders, page by page
///
/// In the order in which they were made.
#[utoipa::path(get, path = "/v1/orders", tag = "orders",
    security(("api_key" = ["orders"])),
    params(
        ("status" = Option<String>, Query, description = "Only those that stand so: proposed, \
            notified, modified, delayed, approved, fulfilling, fulfilled, failed, cancelled or \
            expired"),
        ("after" = Option<Uuid>, Query, description = "Where to go on: `next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1_000,
            description = "Orders in a page; 100, if absent"),
    ),
    responses(
        (status = 200, description = "A page", body = OrdersPage, example = json!({
            "orders": [OrderView::example()], "next": "01997a10-5c00-7000-8000-00000000000a",
        })),
        (status = 422, description = "A parameter is outside its range", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn all_orders(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    which: Which,
) -> Result<Json<OrdersPage>, ApiError> {
    let Which { status, after, limit } = which;
    let found = app.store.orders_after(after, status.map(Status::name), limit).await?;
    let next = (found.len() == limit as usize).then(|| found.last().map(|one| one.order.id()));
    let orders = found.iter().map(OrderView::of).collect::<Result<_, _>>()?;
    Ok(Json(OrdersPage { orders, next: next.flatten() }))
}

/// An order
#[utoipa::path(get, path = "/v1/orders/{order}", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("order" = Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "As it is now", body = OrderView,
            example = json!(OrderView::example())),
        (status = 404, description = "There is no such order", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn order(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    OrderId(id): OrderId,
) -> Result<Json<OrderView>, ApiError> {
    let stored = app.store.order(id).await?.ok_or_else(no_order)?;
    Ok(Json(OrderView::of(&stored)?))
}

/// Answer an order
///
/// In the person's name they approve, modify, delay or cancel; the operator may only cancel. The
/// same id gets the same answer, however often it is sent.
#[utoipa::path(post, path = "/v1/orders/{order}/commands", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("order" = Uuid, Path, description = "Its id")),
    request_body(content = OrderCommand, example = json!({
        "id": "01997a10-5c00-7000-8000-00000000000c", "by": "person", "act": {"act": "cancel"},
    })),
    responses(
        (status = 200, description = "It was taken", body = Heard,
            example = json!({"status": "cancelled", "order": OrderView::example()})),
        (status = 404, description = "There is no such order", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "It was not taken, and why: the order has ended, was answered, \
            has changed since, or would exceed a limit", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID, or nothing that may be wanted of an order",
            body = Problem, content_type = "application/problem+json"),
    ))]
async fn answer(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    OrderId(order): OrderId,
    JsonBody(asked): JsonBody<OrderCommand>,
) -> Result<Json<Heard>, ApiError> {
    let by = match (asked.by, &asked.act) {
        (
            By::Person,
            Act::Approve { .. } | Act::Modify { .. } | Act::Delay { .. } | Act::Cancel,
        ) => Actor::Person { channel: "app".to_owned() },
        (By::Operator, Act::Cancel) => Actor::Operator { name: "api".to_owned() },
        _ => {
            let detail = "act is approve, modify, delay or cancel in the person's name, and cancel \
                          in the operator's";
            return Err(ApiError::refused(ErrorCode::Invalid, detail));
        }
    };
    let command = Command { id: asked.id, by, act: asked.act };
    run_to_end(async move {
        let heard = app.orders.desk.hear(&app.store, order, &command, unix_ms()).await?;
        app.orders.wake.notify_one();
        let heard = heard.ok_or_else(no_order)?;
        match heard.answer {
            Answer::Taken { status } => {
                Ok(Json(Heard { status: status.name(), order: OrderView::of(&heard.order)? }))
            }
            Answer::Refused { refusal } => {
                Err(ApiError::refused(ErrorCode::Conflict, refusal.to_string()))
            }
        }
    })
    .await
}

/// What a person wishes of orders
#[utoipa::path(get, path = "/v1/people/{person}/order-wishes", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("person" = Uuid, Path, description = "An id of the person")),
    responses(
        (status = 200, description = "Addresses are not told", body = WishesView,
            example = json!(example_wishes())),
        (status = 404, description = "Nobody is known by this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn wishes(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    Person(person): Person,
) -> Result<Json<WishesView>, ApiError> {
    let root = root(&app, person).await?;
    let wishes = app.store.wishes(root).await?.unwrap_or_default();
    Ok(Json(view(&app, root, wishes)?))
}

/// Change what a person wishes of orders
///
/// What is absent stays. Who no longer agrees, or pauses, has no order left that waits. Say only
/// what the person said: without `agreed` nobody is ever asked.
#[utoipa::path(patch, path = "/v1/people/{person}/order-wishes", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("person" = Uuid, Path, description = "An id of the person")),
    request_body(content = WishesChange, example = json!({
        "agreed": true, "channel": "email", "email": "ada@example.com", "zone": "Europe/Berlin",
        "language": "de", "limits": [{"period": "month", "currency": "EUR", "most_minor": 20_000}],
    })),
    responses(
        (status = 200, description = "As it is now", body = WishesView,
            example = json!(example_wishes())),
        (status = 404, description = "Nobody is known by this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID, or wishes that cannot be", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn wish(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    Person(person): Person,
    JsonBody(change): JsonBody<WishesChange>,
) -> Result<Json<WishesView>, ApiError> {
    run_to_end(async move {
        let root = root(&app, person).await?;
        let by = Actor::Person { channel: "app".to_owned() };
        let wished = app.orders.desk.wish(&app.store, root, &change, &by, unix_ms()).await?;
        let fault = |fault: crate::orders::person::WishFault| {
            ApiError::refused(ErrorCode::Invalid, fault.to_string())
        };
        Ok(Json(view(&app, root, wished.map_err(fault)?)?))
    })
    .await
}

/// What may be needed and was not asked for
///
/// With the reason why it was not: nothing of it is ordered.
#[utoipa::path(get, path = "/v1/people/{person}/order-suggestions", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("person" = Uuid, Path, description = "An id of the person")),
    responses(
        (status = 200, description = "The likeliest first", body = Suggestions, example = json!({
            "made_unix_ms": 1_795_000_000_000_i64,
            "suggestions": [{
                "category": "coffee", "skus": ["c-1"], "quantity": 2, "confidence": 0.61,
                "threshold": 0.9, "window_days": [2, 21], "because": "unsure",
                "reasons": ["you buy this about every 12 days, 2 at a time; last 5 days ago"],
                "model_id": "7d6a2f9c01b4e583",
            }],
        })),
        (status = 404, description = "Nobody is known by this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn suggestions(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    Person(person): Person,
) -> Result<Json<Suggestions>, ApiError> {
    let root = root(&app, person).await?;
    let stored = app.store.suggestions_of::<Vec<Suggestion>>(root).await?;
    Ok(Json(match stored {
        Some(stored) => {
            Suggestions { made_unix_ms: Some(stored.made_unix_ms), suggestions: stored.body }
        }
        None => Suggestions { made_unix_ms: None, suggestions: Vec::new() },
    }))
}

/// Give out the address of a person's page
///
/// There they see and answer their orders, and say what they wish.
#[utoipa::path(post, path = "/v1/people/{person}/order-page", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("person" = Uuid, Path, description = "An id of the person")),
    responses(
        (status = 200, description = "Its address", body = Page, example = json!({
            "path": "/me/AZl6EFwAcACAAAAAAAAAAQ", "expires_unix_ms": 1_797_592_000_000_i64,
        })),
        (status = 404, description = "Nobody is known by this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn page(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    Person(person): Person,
) -> Result<Json<Page>, ApiError> {
    let root = root(&app, person).await?;
    let expires_unix_ms = unix_ms().saturating_add(app.orders.config.page_ms());
    let path = format!("/me/{}", app.orders.passes.make(root, expires_unix_ms));
    let base = app.orders.config.public_url.as_deref();
    let url = base.map(|base| format!("{}{path}", base.trim_end_matches('/')));
    Ok(Json(Page { path, url, expires_unix_ms }))
}

/// That something changed of a person's orders
///
/// Server-sent events named `anew`: ask again. They say nothing else. A stream ends after ten
/// minutes: ask for another, with a key that still holds.
#[utoipa::path(get, path = "/v1/people/{person}/orders/stream", tag = "orders",
    security(("api_key" = ["orders"])),
    params(("person" = Uuid, Path, description = "An id of the person")),
    responses(
        (status = 200, description = "Notices", body = str, content_type = "text/event-stream"),
        (status = 404, description = "Nobody is known by this id", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Too many streams", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn news(
    State(app): State<App>,
    _: Allowed<scope::Orders>,
    Person(person): Person,
) -> Result<impl IntoResponse, ApiError> {
    let root = root(&app, person).await?;
    stream::of(&app, root).await
}

fn view(app: &App, person: Uuid, wishes: Wishes) -> Result<WishesView, ApiError> {
    let threshold = serde_json::to_value(wishes.threshold.explain(&app.orders.costs));
    let to_page = matches!(wishes.address(person), Address::Person(_));
    Ok(WishesView {
        agreed_unix_ms: wishes.agreed_unix_ms,
        paused: wishes.paused,
        channel: wishes.channel,
        reached: wishes.channel == ChannelKind::InApp || !to_page,
        language: wishes.language,
        zone: wishes.zone,
        limits: wishes.limits,
        feel: wishes.threshold.feel,
        threshold: threshold.map_err(|_| ApiError::Internal("an explanation"))?,
    })
}

fn example_wishes() -> Value {
    json!({
        "agreed_unix_ms": 1_795_000_000_000_i64, "paused": false, "channel": "email",
        "reached": true, "language": "de", "zone": "Europe/Berlin",
        "limits": [{"period": "month", "currency": "EUR", "most_minor": 20_000}],
        "feel": "balanced",
        "threshold": {
            "habit": "unknown", "answers": 0, "cancels": 0, "threshold": 0.77, "beginning": 0.77,
        },
    })
}

async fn root(app: &App, person: Uuid) -> Result<Uuid, ApiError> {
    let unknown = || ApiError::refused(ErrorCode::NotFound, "nobody is known by this id");
    app.store.root_of(person).await?.ok_or_else(unknown)
}

fn no_order() -> ApiError {
    ApiError::refused(ErrorCode::NotFound, "there is no such order")
}
