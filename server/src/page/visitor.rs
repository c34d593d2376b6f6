//! Whose page it is, in which language they are spoken to.

use super::{fault::PageFault, language, speak::Tongue};
use crate::{
    app::{App, unix_ms},
    orders::person::{Language, Wishes},
    store::StoredOrder,
};
use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
    response::Response,
};
use uuid::Uuid;

/// Whose page it is: whoever has the address.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) person: Uuid,
    pub(super) pass: String,
    /// `None` if they never said.
    pub(super) wishes: Option<Wishes>,
    pub(super) tongue: Tongue,
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
pub(super) fn tongue(wishes: Option<&Wishes>, preferred: Language) -> Tongue {
    match wishes {
        Some(wishes) => Tongue { language: wishes.language, zone: wishes.zone.clone() },
        None => Tongue { language: preferred, zone: Wishes::default().zone },
    }
}

/// A part of the path, by its name.
pub(super) async fn path_value(parts: &mut Parts, app: &App, name: &str) -> Option<String> {
    let values = RawPathParams::from_request_parts(parts, app).await.ok()?;
    values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

impl Visitor {
    pub(super) fn home(&self) -> String {
        format!("/me/{}", self.pass)
    }

    /// An order, if it is theirs.
    pub(super) async fn order(&self, app: &App, id: Uuid) -> Result<StoredOrder, PageFault> {
        let stored = app.store.order(id).await?.ok_or(PageFault::Gone)?;
        let root = app.store.root_of(stored.order.person()).await?;
        if root == Some(self.person) { Ok(stored) } else { Err(PageFault::Gone) }
    }
}
