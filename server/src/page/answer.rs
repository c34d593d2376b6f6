//! What a person says on the page: of an order, and of what they wish.

use super::{
    CHANNEL,
    fault::PageFault,
    form::Form,
    home::{Show, render},
    run_to_end,
    view::Note,
    visitor::{Visitor, path_value},
};
use crate::{
    app::{App, unix_ms},
    orders::life::{Actor, Answer, Command},
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(answer)).routes(routes!(wish))
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
