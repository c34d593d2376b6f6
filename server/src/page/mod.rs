//! A person's own page, `/me/{pass}`: what waits for their answer, what became of the rest, what they
//! wish, what is known of them, and their end here. And the links of messages, `/o/{link}`.
//!
//! ```text
//!  address -> Visitor (whose pass?) -> GET: orders, suggestions, wishes -> one page
//!                                      POST: a form -> Desk::hear, Desk::wish -> 303, or the page
//!                                            again with what was wrong
//! ```
//!
//! Everything works by plain forms. The page's script sends the same forms and puts the answer in
//! place, and looks anew when the stream says so.
//!
//! **Invariant.** No GET changes anything: programs that look through mail open every link. The
//! address is the key to the page, so it is in no log line and no other address.

mod fault;
mod form;
mod language;
mod link;
mod speak;
pub(crate) mod stream;
mod view;
mod words;

use crate::{
    api::ApiError,
    app::{App, unix_ms},
    orders::{
        life::{Actor, Answer, Command},
        person::{Suggestion, Wishes},
    },
    privacy,
    store::{self, Action, Entry, StoredOrder, person_hash},
};
use axum::{
    extract::{FromRequestParts, RawPathParams, RawQuery, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use fault::{PageFault, html};
use form::Form;
use protocol::{digest::Digest, log, offer::Currency, problem::Problem};
use serde::Deserialize;
use speak::Tongue;
use std::future::Future;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use view::{Card, Chosen, ForgetPage, MessagePage, Note, Page, Past, Settings, Tip};

/// The page's own files, beside those of the live page.
pub(crate) const CSS: &str = include_str!("../../assets/me.css");
/// See [`CSS`].
pub(crate) const SCRIPT: &str = include_str!("../../assets/me.js");
/// What answers are said to come from.
const CHANNEL: &str = "page";
/// Orders that are looked at for what waits: the newest.
const MOST_LOOKED_AT: u32 = 100;
/// Past orders shown at once.
const PAST_SHOWN: usize = 10;
/// Of a digest: two states of one page are not mixed up.
const STATE_BYTES: usize = 8;
/// Search engines keep their hands off.
const ROBOTS: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow"));

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(page))
        .routes(routes!(answer))
        .routes(routes!(wish))
        .routes(routes!(news))
        .routes(routes!(known))
        .routes(routes!(before_forgetting, forget))
        .merge(link::router())
        .layer(SetResponseHeaderLayer::overriding(ROBOTS.0, ROBOTS.1))
}

/// Whose page it is: whoever has the address.
#[derive(Debug, Clone)]
struct Visitor {
    person: Uuid,
    pass: String,
    /// `None` if they never said.
    wishes: Option<Wishes>,
    tongue: Tongue,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let pass = path_value(parts, app, "pass").await.unwrap_or_default();
        let preferred = language::preferred(&parts.headers);
        let visitor = async {
            let person = app.orders.passes.verify(&pass, unix_ms()).map_err(PageFault::Pass)?;
            let person = app.store.root_of(person).await?.ok_or(PageFault::Gone)?;
            let wishes: Option<Wishes> = app.store.wishes(person).await?;
            let tongue = tongue(wishes.as_ref(), preferred);
            Ok(Self { person, pass, wishes, tongue })
        };
        visitor.await.map_err(|fault: PageFault| fault.page(preferred))
    }
}

/// By the person's wish, or before any by the browser's.
fn tongue(wishes: Option<&Wishes>, preferred: crate::orders::person::Language) -> Tongue {
    match wishes {
        Some(wishes) => Tongue { language: wishes.language, zone: wishes.zone.clone() },
        None => Tongue { language: preferred, zone: Wishes::default().zone },
    }
}

/// A part of the path, by its name.
async fn path_value(parts: &mut Parts, app: &App, name: &str) -> Option<String> {
    let values = RawPathParams::from_request_parts(parts, app).await.ok()?;
    values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

impl Visitor {
    fn home(&self) -> String {
        format!("/me/{}", self.pass)
    }

    /// An order, if it is theirs.
    async fn order(&self, app: &App, id: Uuid) -> Result<StoredOrder, PageFault> {
        let stored = app.store.order(id).await?.ok_or(PageFault::Gone)?;
        let root = app.store.root_of(stored.order.person()).await?;
        if root == Some(self.person) { Ok(stored) } else { Err(PageFault::Gone) }
    }
}

/// Runs to its end even if the browser hangs up: what is stored and what is said must not part.
async fn run_to_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, PageFault>> + Send + 'static,
) -> Result<T, PageFault> {
    let lost = Err(PageFault::Api(ApiError::Internal("a task of the server")));
    tokio::spawn(work).await.unwrap_or(lost)
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
struct Show {
    status: StatusCode,
    /// The order that the person just answered, and what came of it.
    noted: Option<(StoredOrder, Note)>,
    /// The group of settings that they just changed, and what came of it.
    said: Option<(String, Note)>,
    /// Past orders made before this, Unix milliseconds.
    before: Option<i64>,
}

impl Show {
    const fn plain(status: StatusCode) -> Self {
        Self { status, noted: None, said: None, before: None }
    }
}

async fn render(app: &App, visitor: &Visitor, show: Show) -> Result<Response, PageFault> {
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

/// What a form of an order says.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the form to the document; it is read by hand")]
struct OrderForm {
    /// The id of the command, made with the form: a second tap is the same command.
    command: Uuid,
    /// approve, modify, delay or cancel.
    act: String,
    /// Of an approval: the quote that was shown.
    seen: Option<Uuid>,
    /// Of an approval: the total that was shown, minor units.
    total_minor: Option<i64>,
    /// Of a delay: until when, Unix milliseconds.
    until: Option<i64>,
    /// Of a delay, instead: until which day, `2026-12-01`.
    day: Option<String>,
    /// Of a change: articles, each beside its quantity.
    sku: Option<Vec<String>>,
    /// Of a change: pieces.
    quantity: Option<Vec<u32>>,
}

/// Answer an order on the page
#[utoipa::path(post, path = "/me/{pass}/orders/{order}", tag = "pages", security(()),
    params(("pass" = String, Path, description = "The pass of a person"),
        ("order" = String, Path, description = "The id of an order of theirs")),
    request_body(content = OrderForm, content_type = "application/x-www-form-urlencoded",
        example = "command=01997a10-5c00-7000-8000-00000000000c&act=cancel"),
    responses(
        (status = 303, description = "Taken: to the page, which says what came of it"),
        (status = 404, description = "Not a pass of this server", body = str,
            content_type = "text/html"),
        (status = 409, description = "Not taken: the page with the order as it is, and why",
            body = str, content_type = "text/html"),
        (status = 410, description = "No longer there", body = str, content_type = "text/html"),
        (status = 422, description = "Something is missing in the form: the page again", body = str,
            content_type = "text/html"),
    ))]
async fn answer(State(app): State<App>, visitor: Visitor, request: Request) -> Response {
    let language = visitor.tongue.language;
    run_to_end(async move {
        let (mut parts, body) = request.into_parts();
        let id = path_value(&mut parts, &app, "order").await;
        let id = id.and_then(|id| Uuid::parse_str(&id).ok()).ok_or(PageFault::Gone)?;
        let form = Form::read(Request::from_parts(parts, body), &app).await?;
        let stored = visitor.order(&app, id).await?;
        let (command, act) = match form.command(&visitor.tongue) {
            Ok(said) => said,
            Err(text) => {
                let note = Note { text: text.to_owned(), taken: false };
                let mut show = Show::plain(StatusCode::UNPROCESSABLE_ENTITY);
                show.noted = Some((stored, note));
                return render(&app, &visitor, show).await;
            }
        };
        let by = Actor::Person { channel: CHANNEL.to_owned() };
        let command = Command { id: command, by, act };
        let heard = app.orders.desk.hear(&app.store, id, &command, unix_ms()).await?;
        app.orders.wake.notify_one();
        let heard = heard.ok_or(PageFault::Gone)?;
        if let Answer::Refused { .. } = heard.answer {
            let note = Note::of(&heard.answer, &visitor.tongue);
            let mut show = Show::plain(StatusCode::CONFLICT);
            show.noted = Some((heard.order, note));
            return render(&app, &visitor, show).await;
        }
        let place = format!("{}?heard={id}~{}#o-{id}", visitor.home(), command.id);
        Ok(Redirect::to(&place).into_response())
    })
    .await
    .unwrap_or_else(|fault| fault.page(language))
}

/// What a form of the settings says.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the form to the document; it is read by hand")]
struct WishesForm {
    /// asked, reach, language, limits or feel. The other fields are of this group.
    group: String,
    /// Of asked: agree, stop, pause or resume. Of feel: reset.
    #[serde(rename = "do")]
    wanted: Option<String>,
    /// in_app, email or sms.
    channel: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    /// en or de.
    language: Option<String>,
    zone: Option<String>,
    /// eager, balanced or careful.
    feel: Option<String>,
}

/// Say on the page what one wishes
#[utoipa::path(post, path = "/me/{pass}/wishes", tag = "pages", security(()),
    params(("pass" = String, Path, description = "The pass of a person")),
    request_body(content = WishesForm, content_type = "application/x-www-form-urlencoded",
        example = "group=asked&do=pause"),
    responses(
        (status = 303, description = "Kept: to the page"),
        (status = 404, description = "Not a pass of this server", body = str,
            content_type = "text/html"),
        (status = 410, description = "No longer there", body = str, content_type = "text/html"),
        (status = 422, description = "Wishes that cannot be: the page again", body = str,
            content_type = "text/html"),
    ))]
async fn wish(State(app): State<App>, visitor: Visitor, request: Request) -> Response {
    let language = visitor.tongue.language;
    run_to_end(async move {
        let form = Form::read(request, &app).await?;
        let (group, change) = form.change(&visitor.tongue)?;
        let wished = match change {
            Err(text) => Err(text),
            Ok(mut change) => {
                if visitor.wishes.is_none() {
                    // The first wish is also one for the language it was said in, and the browser
                    // may know the zone.
                    change.language = change.language.or(Some(visitor.tongue.language));
                    let zone =
                        form.get("zone").filter(|zone| jiff::tz::TimeZone::get(zone).is_ok());
                    change.zone = change.zone.or(zone.map(str::to_owned));
                }
                let by = Actor::Person { channel: CHANNEL.to_owned() };
                let (desk, now) = (&app.orders.desk, unix_ms());
                let wished = desk.wish(&app.store, visitor.person, &change, &by, now).await?;
                app.orders.wake.notify_one();
                wished.map(drop).map_err(|fault| visitor.tongue.wish_fault(&fault))
            }
        };
        if let Err(text) = wished {
            let mut show = Show::plain(StatusCode::UNPROCESSABLE_ENTITY);
            show.said = Some((group, Note { text: text.to_owned(), taken: false }));
            return render(&app, &visitor, show).await;
        }
        let place = format!("{}?saved={group}#{group}", visitor.home());
        Ok(Redirect::to(&place).into_response())
    })
    .await
    .unwrap_or_else(|fault| fault.page(language))
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

/// Everything that is known of the person
///
/// The same as `GET /v1/people/{person}/export`.
#[utoipa::path(get, path = "/me/{pass}/data", tag = "pages", security(()),
    params(("pass" = String, Path, description = "The pass of a person")),
    responses(
        (status = 200, description = "A file: person, exported_unix_ms, tables, heads",
            body = Value, example = json!({
                "person": "01997a10-5c00-7000-8000-000000000001",
                "exported_unix_ms": 1_795_000_000_000_i64, "tables": {}, "heads": [],
            })),
        (status = 404, description = "Not a pass of this server", body = str,
            content_type = "text/html"),
        (status = 410, description = "No longer there", body = str, content_type = "text/html"),
    ))]
async fn known(State(app): State<App>, visitor: Visitor) -> Response {
    let language = visitor.tongue.language;
    run_to_end(async move {
        let (person, now) = (visitor.person, unix_ms());
        let entry = Entry {
            actor: store::Actor::Device,
            action: Action::Export,
            about: Some(person_hash(person)),
            result: "exported".to_owned(),
        };
        app.store.audit(&entry, now).await?;
        let document = privacy::document(&app.store, &app.key, person, now).await?;
        let name = [(header::CONTENT_DISPOSITION, "attachment; filename=\"attune.json\"")];
        Ok((name, axum::Json(document)).into_response())
    })
    .await
    .unwrap_or_else(|fault| fault.page(language))
}

/// The question before a person is forgotten
#[utoipa::path(get, path = "/me/{pass}/forget", tag = "pages", security(()),
    params(("pass" = String, Path, description = "The pass of a person")),
    responses(
        (status = 200, description = "The question", body = str, content_type = "text/html"),
        (status = 404, description = "Not a pass of this server", body = str,
            content_type = "text/html"),
        (status = 410, description = "No longer there", body = str, content_type = "text/html"),
    ))]
async fn before_forgetting(visitor: Visitor) -> Response {
    let w = visitor.tongue.words();
    html(StatusCode::OK, &ForgetPage { w, pass: &visitor.pass, untold: false })
}

/// What the form of the question says.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the form to the document; it is read by hand")]
struct ForgetForm {
    /// `yes`.
    sure: String,
}

/// Forget the person
///
/// As `DELETE /v1/people/{person}` does: every row of theirs, and the key that they are sealed with.
#[utoipa::path(post, path = "/me/{pass}/forget", tag = "pages", security(()),
    params(("pass" = String, Path, description = "The pass of a person")),
    request_body(content = ForgetForm, content_type = "application/x-www-form-urlencoded",
        example = "sure=yes"),
    responses(
        (status = 200, description = "Forgotten", body = str, content_type = "text/html"),
        (status = 404, description = "Not a pass of this server", body = str,
            content_type = "text/html"),
        (status = 410, description = "No longer there", body = str, content_type = "text/html"),
        (status = 422, description = "Not said to be sure: the question again", body = str,
            content_type = "text/html"),
    ))]
async fn forget(State(app): State<App>, visitor: Visitor, request: Request) -> Response {
    let language = visitor.tongue.language;
    run_to_end(async move {
        let w = visitor.tongue.words();
        let form = Form::read(request, &app).await?;
        if form.get("sure") != Some("yes") {
            let again = ForgetPage { w, pass: &visitor.pass, untold: true };
            return Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &again));
        }
        let writing = app.store.begin().await?;
        let erasing = writing.erase(visitor.person, store::Actor::Device, unix_ms()).await?;
        let people = erasing.people().to_vec();
        let removed = erasing.commit().await?;
        app.live.erased(&people, removed);
        app.orders.desk.in_app().changed(visitor.person);
        if !app.store.checkpoint().await? {
            log!(warn, "a reader kept the write-ahead log from being emptied after an erasure");
        }
        let page = MessagePage { w, title: w.forgotten_title, text: w.forgotten_text };
        Ok(html(StatusCode::OK, &page))
    })
    .await
    .unwrap_or_else(|fault| fault.page(language))
}
