//! What a person may have at any time: everything that is known of them, and their end here.

use super::{
    fault::html,
    form::Form,
    run_to_end,
    view::{ForgetPage, MessagePage},
    visitor::Visitor,
};
use crate::{
    app::{App, unix_ms},
    privacy,
    store::{self, Action, Entry, person_hash},
};
use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(known)).routes(routes!(before_forgetting, forget))
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
        app.erased(&people, removed).await?;
        let page = MessagePage { w, title: w.forgotten_title, text: w.forgotten_text };
        Ok(html(StatusCode::OK, &page))
    })
    .await
    .unwrap_or_else(|fault| fault.page(language))
}
