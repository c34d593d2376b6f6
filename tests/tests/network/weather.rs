//! What the network does to requests and answers.

use fastrand::Rng;
use sdk_core::sync::{Answer, Outgoing};
use std::time::Duration;

/// The longest that a copy of a request can be on its way.
pub const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);
/// Most that an ordinary way takes, and a bad one.
const ORDINARY_MS: f64 = 1_500.0;
const SLOW_MS: f64 = 45_000.0;
/// A proxy lets through at least this much: more than any single receipt or event has.
const LEAST_PROXY_BYTES: usize = 4_000;

/// The weather of a run.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    loss: f64,
    duplicate: f64,
    slow: f64,
    meddling: f64,
    /// A proxy refuses more than this.
    proxy_bytes: usize,
}

/// What somebody on the way answers in the server's place.
pub struct Meddled {
    pub by: &'static str,
    pub answer: Option<Answer>,
}

impl Weather {
    /// The same network on a good day; its proxy stays what it is.
    pub const fn calm(self) -> Self {
        Self { loss: 0.0, duplicate: 0.0, slow: 0.0, meddling: 0.0, ..self }
    }

    pub fn of(dice: &mut Rng) -> Self {
        let mut one = |of: &[f64]| of[dice.usize(..of.len())];
        Self {
            loss: one(&[0.0, 0.05, 0.2, 0.4]),
            duplicate: one(&[0.05, 0.2, 0.5]),
            slow: one(&[0.0, 0.05, 0.2]),
            meddling: one(&[0.0, 0.05, 0.2]),
            proxy_bytes: one(&[LEAST_PROXY_BYTES as f64, 12_000.0, 1e9]) as usize,
        }
    }

    pub fn loses(&self, dice: &mut Rng) -> bool {
        dice.f64() < self.loss
    }

    pub fn duplicates(&self, dice: &mut Rng) -> bool {
        dice.f64() < self.duplicate
    }

    /// How long one way takes.
    pub fn delay(&self, dice: &mut Rng) -> Duration {
        let most = if dice.f64() < self.slow { SLOW_MS } else { ORDINARY_MS };
        Duration::from_micros((most * 1_000.0 * dice.f64().powi(3)) as u64 + 2_000)
    }

    /// How late a second copy comes: mostly soon, sometimes when everybody has forgotten it.
    pub fn late(&self, dice: &mut Rng) -> Duration {
        match dice.u8(..10) {
            0 => LONGEST_DELAY.mul_f64(dice.f64()),
            1..4 => Duration::from_secs(60).mul_f64(dice.f64()),
            _ => self.delay(dice),
        }
    }

    /// Somebody on the way answers a request, which then never reaches the server; perhaps with
    /// what the server said to another one before.
    pub fn intercepts(
        &self,
        outgoing: &Outgoing,
        before: Option<&Answer>,
        dice: &mut Rng,
    ) -> Option<Meddled> {
        if outgoing.body.len() > self.proxy_bytes {
            return Some(Meddled { by: "proxy: 413", answer: Some(page(413)) });
        }
        if dice.f64() >= self.meddling {
            return None;
        }
        let (by, answer) = match dice.u8(..5) {
            0 => ("portal: 200", Some(page(200))),
            1 => ("proxy: 502", Some(page(502))),
            2 => {
                let retry_after = Some(dice.u32(1..2_000).to_string());
                ("proxy: 503", Some(Answer { retry_after, ..page(503) }))
            }
            3 => ("cache: an old answer", before.cloned()),
            _ => ("reset", None),
        };
        Some(Meddled { by, answer })
    }

    /// Somebody on the way spoils the server's answer.
    pub fn spoils(&self, answer: &Answer, dice: &mut Rng) -> Option<Meddled> {
        if dice.f64() >= self.meddling {
            return None;
        }
        let (by, answer) = match dice.u8(..3) {
            0 => ("answer breaks off", None),
            1 => {
                let body = answer.body[..dice.usize(..=answer.body.len() / 2)].to_vec();
                ("answer cut short", Some(Answer { body, ..answer.clone() }))
            }
            _ => ("proxy: 504", Some(page(504))),
        };
        Some(Meddled { by, answer })
    }
}

fn page(status: u16) -> Answer {
    let body = b"<html><body>Welcome to our network</body></html>".to_vec();
    Answer { status, body, ..Answer::default() }
}
