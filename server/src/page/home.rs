//! The page itself: what waits, what became of the rest, and that something changed.

use super::{
    fault::{PageFault, html},
    form::Form,
    speak::Tongue,
    stream,
    view::{Card, Chosen, Note, Page, Past, Settings, Tip},
    visitor::Visitor,
};
use crate::{
    api::ApiError,
    app::{App, unix_ms},
    orders::person::{Suggestion, Wishes},
    store::StoredOrder,
};
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use protocol::{digest::Digest, offer::Currency, problem::Problem};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Orders that are looked at for what waits: the newest.
const MOST_LOOKED_AT: u32 = 100;
/// Past orders shown at once.
const PAST_SHOWN: usize = 10;
/// Of a digest: two states of one page are not mixed up.
const STATE_BYTES: usize = 8;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(page)).routes(routes!(news))
}

/// A person's page
///
/// What waits for an answer first. The address is given out by `POST
/// /v1/people/{person}/order-page`, and is the key to the page.
#[utoipa::path(get, path = "/me/{pass}", tag = "pages", security(()),
    params(("pass" = String, Path, description = "The pass of a person")),
    responses(
        (status = 200, description = "The page", body = str, content_type = "text/html"),
        (status = 404, description = "Not a pass of this server", body = str,
            content_type = "text/html"),
        (status = 410, description = "Its time is over, or the person was erased", body = str,
            content_type = "text/html"),
    ))]
async fn page(State(app): State<App>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let language = visitor.tongue.language;
    let shown = async {
        let query = Form::of(query.unwrap_or_default().as_bytes());
        let mut show = Show::plain(StatusCode::OK);
        show.before = query.get("before").and_then(|before| before.parse().ok());
        if let Some(group) = query.get("saved") {
            let text = visitor.tongue.words().saved.to_owned();
            show.said = Some((group.to_owned(), Note { text, taken: true }));
        }
        if let Some((order, command)) = query.get("heard").and_then(heard)
            && let Ok(stored) = visitor.order(&app, order).await
            && let Some(answer) = stored.order.answer(command)
        {
            let note = Note::of(answer, &visitor.tongue);
            show.noted = Some((stored, note));
        }
        render(&app, &visitor, show).await
    };
    shown.await.unwrap_or_else(|fault| fault.page(language))
}

/// The order and the command that an answer was about.
fn heard(text: &str) -> Option<(Uuid, Uuid)> {
    let (order, command) = text.split_once('~')?;
    Some((Uuid::parse_str(order).ok()?, Uuid::parse_str(command).ok()?))
}

/// How the page is shown this time.
pub(super) struct Show {
    status: StatusCode,
    /// The order that the person just answered, and what came of it.
    pub(super) noted: Option<(StoredOrder, Note)>,
    /// The group of settings that they just changed, and what came of it.
    pub(super) said: Option<(String, Note)>,
    /// Past orders made before this, Unix milliseconds.
    before: Option<i64>,
}

impl Show {
    pub(super) const fn plain(status: StatusCode) -> Self {
        Self { status, noted: None, said: None, before: None }
    }
}

pub(super) async fn render(
    app: &App,
    visitor: &Visitor,
    show: Show,
) -> Result<Response, PageFault> {
    let Visitor { person, pass, wishes, tongue } = visitor;
    let now = unix_ms();
    let newest = app.store.orders_of(*person, i64::MAX, MOST_LOOKED_AT).await?;
    let mut waiting = Vec::new();
    let mut under_way = Vec::new();
    for stored in newest.iter().filter(|stored| stored.order.ended().is_none()) {
        let note = show.noted.as_ref().filter(|(noted, _)| noted.order.id() == stored.order.id());
        let card = Card::of(stored, tongue, note.map(|(_, note)| note.clone()), now);
        if card.asks { waiting.push(card) } else { under_way.push(card) }
    }
    if let Some((stored, note)) = &show.noted
        && stored.order.ended().is_some()
    {
        waiting.insert(0, Card::of(stored, tongue, Some(note.clone()), now));
    }
    let (past, older) = past(app, *person, tongue, &newest, show.before).await?;
    let tips = app.store.suggestions_of::<Vec<Suggestion>>(*person).await?;
    let tips = tips.map(|tips| tips.body).unwrap_or_default();
    let none = Wishes::default();
    let chosen = wishes.as_ref().unwrap_or(&none);
    let of_orders = newest.first().map(|stored| stored.order.quote().currency());
    let of_limits = chosen.limits.first().map(|limit| limit.currency);
    let settings = Settings::of(
        Chosen {
            wishes: chosen,
            explanation: chosen.threshold.explain(&app.orders.costs),
            channels: app.orders.desk.ways(),
            currency: of_limits.or(of_orders).unwrap_or(Currency::EUR),
            said: show.said,
        },
        tongue,
    );
    let page = Page {
        w: tongue.words(),
        pass,
        state: state(&newest),
        waiting,
        under_way,
        tips: tips.iter().map(|tip| Tip::of(tip, tongue)).collect(),
        past,
        older,
        paged: show.before.is_some(),
        settings,
    };
    Ok(html(show.status, &page))
}

/// Tells one state of a person's orders from another, so that a page need not be shown anew for what
/// it did itself.
fn state(orders: &[StoredOrder]) -> String {
    let one = |stored: &StoredOrder| (stored.order.id(), stored.order.events());
    let told: Vec<u8> = orders
        .iter()
        .map(one)
        .flat_map(|(id, events)| [&id.as_bytes()[..], &events.to_be_bytes()].concat())
        .collect();
    Digest::of(&told).0.iter().take(STATE_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// Some past orders, and before which time there are more.
async fn past(
    app: &App,
    person: Uuid,
    tongue: &Tongue,
    newest: &[StoredOrder],
    before: Option<i64>,
) -> Result<(Vec<Past>, Option<i64>), PageFault> {
    let paged;
    let orders = match before {
        None => newest,
        Some(before) => {
            paged = app.store.orders_of(person, before, MOST_LOOKED_AT).await?;
            &paged
        }
    };
    let mut ended = orders.iter().filter(|stored| stored.order.ended().is_some());
    let shown: Vec<&StoredOrder> = ended.by_ref().take(PAST_SHOWN).collect();
    let more = ended.next().is_some() || orders.len() as u64 == u64::from(MOST_LOOKED_AT);
    let last = shown.last().copied().or(orders.last());
    let older = last.filter(|_| more).map(|last| last.made_unix_ms);
    Ok((shown.iter().filter_map(|stored| Past::of(&stored.order, tongue)).collect(), older))
}

/// That something changed on the page
///
/// Server-sent events named `anew`: look again. They say nothing else. A stream ends after ten
/// minutes: ask for another.
#[utoipa::path(get, path = "/me/{pass}/stream", tag = "pages", security(()),
    params(("pass" = String, Path, description = "The pass of a person")),
    responses(
        (status = 200, description = "Notices", body = str, content_type = "text/event-stream"),
        (status = 404, description = "Not a pass of this server", body = str,
            content_type = "text/html"),
        (status = 410, description = "No longer there", body = str, content_type = "text/html"),
        (status = 503, description = "Too many streams", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn news(State(app): State<App>, visitor: Visitor) -> Result<impl IntoResponse, ApiError> {
    stream::of(&app, visitor.person).await
}
