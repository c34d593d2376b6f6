//! When an event happened, by the server's clock (S6).

use crate::store::EventTimes;
use protocol::event::{Event, SentAt};

/// Dates an event of a batch that was sent at `sent_at` and received at `received_unix_ms`.
///
/// An event of the session under way is dated by the session clock, which nobody can set: received
/// time minus what passed between the event and the sending. Any other is dated by the wall clock,
/// corrected by its error at the sending. Both count the transit as part of the error.
pub(super) fn times(event: &Event, sent_at: &SentAt, received_unix_ms: i64) -> EventTimes {
    let corrected_unix_ms = if event.session == sent_at.session {
        // An event after its own sending cannot be: it counts as sent at once.
        let passed = sent_at.session_ms.saturating_sub(event.at_session_ms);
        received_unix_ms.saturating_sub(i64::try_from(passed).unwrap_or(i64::MAX))
    } else {
        event.at_unix_ms.saturating_add(received_unix_ms.saturating_sub(sent_at.unix_ms))
    };
    EventTimes { corrected_unix_ms, received_unix_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::event::EventBody;
    use uuid::Uuid;

    const RECEIVED_MS: i64 = 1_800_000_000_000;
    const SESSION: Uuid = Uuid::from_u128(1);

    fn event(session: Uuid, at_unix_ms: i64, at_session_ms: u64) -> Event {
        Event {
            id: Uuid::nil(),
            sequence: 1,
            device: Uuid::nil(),
            person: Uuid::nil(),
            session,
            consent_record: Uuid::nil(),
            consent_epoch: 1,
            modalities: vec![],
            at_unix_ms,
            at_session_ms,
            body: EventBody::SessionEnded { samples_lost: 0 },
        }
    }

    fn check(event: &Event, sent_unix_ms: i64, sent_session_ms: u64, expected: i64) {
        let sent_at =
            SentAt { unix_ms: sent_unix_ms, session: SESSION, session_ms: sent_session_ms };
        assert_eq!(times(event, &sent_at, RECEIVED_MS).corrected_unix_ms, expected);
    }

    #[test]
    fn s6_events_are_dated_by_the_servers_clock() {
        // The wall clock was set between event and sending: the session clock does not care.
        check(&event(SESSION, 77, 4_000), 999_999, 10_000, RECEIVED_MS - 6_000);
        check(&event(SESSION, 77, 10_001), 999_999, 10_000, RECEIVED_MS);
        // Of an earlier session: the wall clock was an hour slow.
        let slow = RECEIVED_MS - 3_600_000;
        check(&event(Uuid::nil(), slow - 500, 4_000), slow, 10_000, RECEIVED_MS - 500);
    }

    proptest! {
        #[test]
        fn s6_any_clock_gives_a_time(unix in any::<i64>(), sent in any::<i64>(),
            at in any::<u64>(), sent_at in any::<u64>(), same in any::<bool>())
        {
            let session = if same { SESSION } else { Uuid::nil() };
            let sent_at = SentAt { unix_ms: sent, session: SESSION, session_ms: sent_at };
            let times = times(&event(session, unix, at), &sent_at, RECEIVED_MS);
            prop_assert!(!same || times.corrected_unix_ms <= RECEIVED_MS);
        }
    }
}
