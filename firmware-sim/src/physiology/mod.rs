//! A seeded body: physiology, not noise.
//!
//! Heart beats come from integral pulse frequency modulation and skin conductance from a tonic
//! level with biexponential responses, both steered by a [`Script`] of states with known onsets,
//! so that what an intent model should find is known. Electrocardiogram, pulse wave and
//! acceleration follow from the same beats and the same seed.
//!
//! **What is assumed.** The mechanisms and their resting values follow the literature named beside
//! each number. That a shopper who is "interested" or "hesitant" looks like [`Effect`] says is an
//! assumption of this simulator: no published study measures it. Accuracy on simulated sessions
//! shows that a pipeline works, never that it reads people.

mod body;
mod cycle;
mod ecg;
mod effect;
mod heart;
mod motion;
mod person;
mod ppg;
mod rng;
mod script;
mod skin;

pub use body::{Body, Session, session};
pub use ecg::Ecg;
pub use effect::Effect;
pub use heart::{Beat, Heart};
pub use motion::{Motion, Movement};
pub use person::Person;
pub use ppg::Ppg;
pub use script::{Script, ScriptError, Segment, Span, Spans, State};
pub use skin::Skin;
