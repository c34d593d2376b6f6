//! What an answer of the server means, before anybody looks at whom it was for.

use super::retry_after;
use protocol::problem::{ErrorCode, Problem};
use std::time::{Duration, SystemTime};

/// An answer to a request, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The header `Date`.
    pub date: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meaning {
    /// Success: the body says the rest.
    Good(Vec<u8>),
    /// Our server refused the request.
    Refused(Problem),
    /// No server of ours said anything final: keep everything, ask again; it may name the wait.
    Later(Option<Duration>),
}

impl Meaning {
    pub(super) fn of(answer: Option<Answer>, wall: SystemTime) -> Self {
        let Some(answer) = answer else { return Self::Later(None) };
        let wait = retry_after::wait(answer.retry_after.as_deref(), answer.date.as_deref(), wall);
        let status = answer.status;
        match status {
            200..=299 => Self::Good(answer.body),
            408 | 429 | 500..=599 => Self::Later(wait),
            _ => match serde_json::from_slice::<Problem>(&answer.body) {
                Ok(problem) if problem.code.status() == status => Self::Refused(problem),
                // A proxy on the way has its own limit.
                _ if status == ErrorCode::TooLarge.status() => Self::Refused(too_large()),
                // Not our server's answer, a captive portal's perhaps.
                _ => Self::Later(wait),
            },
        }
    }
}

fn too_large() -> Problem {
    Problem {
        status: ErrorCode::TooLarge.status(),
        code: ErrorCode::TooLarge,
        title: "too large".into(),
        detail: "larger than what stands before the server lets through".into(),
        last_request: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expected: Option<ErrorCode>) {
        let answer = Answer { status, body: body.into(), ..Answer::default() };
        match (Meaning::of(Some(answer), SystemTime::UNIX_EPOCH), expected) {
            (Meaning::Refused(problem), Some(code)) => assert_eq!(problem.code, code),
            (Meaning::Later(None), None) => {}
            (meaning, expected) => panic!("{status} {body}: {meaning:?}, not {expected:?}"),
        }
    }

    #[test]
    fn s3_only_our_servers_problems_are_final() {
        let problem = |code: &str| {
            format!(r#"{{"status":1,"code":"{code}","title":"","detail":"","last_request":7}}"#)
        };
        check(410, &problem("erased"), Some(ErrorCode::Erased));
        check(401, &problem("replayed"), Some(ErrorCode::Replayed));
        check(413, "<html>", Some(ErrorCode::TooLarge));
        check(410, "<html>gone</html>", None);
        check(302, "", None);
        check(404, &problem("erased"), None);
        check(503, &problem("erased"), None);
        check(511, "<html>log in</html>", None);
        assert_eq!(Meaning::of(None, SystemTime::UNIX_EPOCH), Meaning::Later(None));
    }
}
