//! The links of messages: opening one shows the order and what the link would do, the button does
//! it. So a program that looks through mail changes nothing, and a person needs no login.

use super::{
    fault::{PageFault, html},
    language, run_to_end,
    speak::Tongue,
    view::{Card, LinkPage, Note},
    visitor::{path_value, tongue},
    words::fill,
};
use crate::{
    app::{App, unix_ms},
    orders::{
        life::Answer,
        person::Wishes,
        signing::{Action, Link},
    },
    store::StoredOrder,
};
use axum::{
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(look, act))
}

/// Whoever opened a link that holds.
#[derive(Debug, Clone)]
struct Opened {
    text: String,
    link: Link,
    stored: StoredOrder,
    tongue: Tongue,
    /// By which way messages reach the person now.
    channel: &'static str,
}

impl FromRequestParts<App> for Opened {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let text = path_value(parts, app, "link").await.unwrap_or_default();
        let preferred = language::preferred(&parts.headers);
        let opened = async {
            let link = app.orders.signer.verify(&text, unix_ms()).map_err(PageFault::Link)?;
            let stored = app.store.order(link.order).await?.ok_or(PageFault::Gone)?;
            let wishes: Option<Wishes> = app.store.wishes(stored.order.person()).await?;
            let channel = wishes.as_ref().map_or("email", |wishes| wishes.channel.name());
            let tongue = tongue(wishes.as_ref(), preferred);
            Ok(Self { text, link, stored, tongue, channel })
        };
        opened.await.map_err(|fault: PageFault| fault.page(preferred))
    }
}

/// What a link of a message would do
///
/// Shows the order as it is. Changes nothing, however often it is opened.
#[utoipa::path(get, path = "/o/{link}", tag = "pages", security(()),
    params(("link" = String, Path, description = "A signed link")),
    responses(
        (status = 200, description = "The order, and a button", body = str,
            content_type = "text/html"),
        (status = 404, description = "Not a link of this server", body = str,
            content_type = "text/html"),
        (status = 410, description = "Its time is over, or the order is no longer there",
            body = str, content_type = "text/html"),
    ))]
async fn look(opened: Opened) -> Response {
    let note = opened.stored.order.answer(opened.link.nonce);
    let note = note.map(|answer| Note::of(answer, &opened.tongue));
    show(StatusCode::OK, &opened, note)
}

/// Do what a link says
///
/// Once: its nonce is the id of the command that it makes.
#[utoipa::path(post, path = "/o/{link}", tag = "pages", security(()),
    params(("link" = String, Path, description = "A signed link")),
    responses(
        (status = 303, description = "Done: to the link, which says so; or to the person's page"),
        (status = 404, description = "Not a link of this server", body = str,
            content_type = "text/html"),
        (status = 409, description = "Not taken: the order as it is, and why", body = str,
            content_type = "text/html"),
        (status = 410, description = "Its time is over, or the order is no longer there",
            body = str, content_type = "text/html"),
    ))]
async fn act(State(app): State<App>, mut opened: Opened) -> Response {
    let language = opened.tongue.language;
    run_to_end(async move {
        let (id, now) = (opened.link.order, unix_ms());
        let Some(command) = opened.link.command(opened.channel) else {
            let until = now.saturating_add(app.orders.config.page_ms());
            let pass = app.orders.passes.make(opened.stored.order.person(), until);
            return Ok(Redirect::to(&format!("/me/{pass}#o-{id}")).into_response());
        };
        let heard = app.orders.desk.hear(&app.store, id, &command, now).await?;
        app.orders.wake.notify_one();
        let heard = heard.ok_or(PageFault::Gone)?;
        if let Answer::Taken { .. } = heard.answer {
            return Ok(Redirect::to(&format!("/o/{}", opened.text)).into_response());
        }
        let note = Note::of(&heard.answer, &opened.tongue);
        opened.stored = heard.order;
        Ok(show(StatusCode::CONFLICT, &opened, Some(note)))
    })
    .await
    .unwrap_or_else(|fault| fault.page(language))
}

fn show(status: StatusCode, opened: &Opened, note: Option<Note>) -> Response {
    let Opened { text, link, stored, tongue, .. } = opened;
    let (order, w) = (&stored.order, tongue.words());
    let done = note.is_some();
    let refused = note.as_ref().is_some_and(|note| !note.taken);
    let mut card = Card::of(stored, tongue, note, unix_ms());
    // An approval can be taken back by the cancel of the same message.
    let answerable = match link.action {
        Action::Modify => order.ended().is_none(),
        Action::Cancel => card.asks || card.undo,
        Action::Approve { .. } | Action::Delay { .. } => card.asks,
    };
    let superseded = card.asks
        && matches!(link.action, Action::Approve { total_minor }
            if link.quote != order.quote().id() || total_minor != order.quote().total_minor());
    if superseded && !done {
        card.note = Some(Note { text: w.link_changed.to_owned(), taken: false });
    }
    let (question, label) = match link.action {
        Action::Approve { .. } => (w.link_approve, format!("{} · {}", w.approve, card.total)),
        Action::Cancel => (w.link_cancel, w.cancel.to_owned()),
        Action::Delay { until_unix_ms } => {
            let day = tongue.day(until_unix_ms);
            (w.link_delay, fill(w.link_delay_do, &[("day", &day)]))
        }
        Action::Modify => (w.link_modify, w.link_modify_do.to_owned()),
    };
    let (heading, button) = if refused {
        // The same link would be refused the same.
        (w.link_refused, None)
    } else if done {
        (w.link_done, None)
    } else if !answerable {
        (w.link_over, None)
    } else if superseded {
        (w.link_changed_title, None)
    } else {
        (question, Some(label))
    };
    let quiet = matches!(link.action, Action::Cancel);
    html(status, &LinkPage { w, link: text, heading, card, button, quiet })
}
