//! To the app and the page of a person: whoever looks there hears of it at once. Who looks later
//! finds it, because what a message is about is stored; the message itself is not.

use super::{Accepted, Address, Channel, ChannelKind, DeliveryError, Message};
use async_trait::async_trait;
use tokio::sync::broadcast;
use uuid::Uuid;

/// Notices that wait for a slow listener; who is slower is told to look anew.
const WAITING: usize = 1_024;

/// That there is something new for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose: the root of a group.
    pub person: Uuid,
    /// The message's id.
    pub message: Uuid,
    /// Its one line.
    pub subject: String,
}

/// The streams of everybody; clones are the same.
#[derive(Debug, Clone)]
pub struct InApp {
    notices: broadcast::Sender<Notice>,
    changes: broadcast::Sender<Uuid>,
}

impl Default for InApp {
    fn default() -> Self {
        Self { notices: broadcast::channel(WAITING).0, changes: broadcast::channel(WAITING).0 }
    }
}

impl InApp {
    /// Hears of everything from now on, of everybody: filter by person.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Hears of whom something changed, from now on: of messages, and of all that is not worth one,
    /// such as an answer on another device.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.changes.subscribe()
    }

    /// Says that something changed for a person.
    pub fn changed(&self, person: Uuid) {
        // Nobody looks: they will find it.
        let _ = self.changes.send(person);
    }
}

#[async_trait]
impl Channel for InApp {
    fn kind(&self) -> ChannelKind {
        ChannelKind::InApp
    }

    async fn send(&self, message: &Message) -> Result<Accepted, DeliveryError> {
        let Address::Person(person) = message.to else {
            return Err(DeliveryError::Address("in_app"));
        };
        let notice = Notice { person, message: message.id, subject: message.subject.clone() };
        // Nobody looks: they will find it.
        let _ = self.notices.send(notice);
        self.changed(person);
        Ok(Accepted::default())
    }
}
