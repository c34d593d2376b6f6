//! A seeded body: physiology, not noise.
//!
//! Heart beats come from integral pulse frequency modulation and skin conductance from a tonic
//! level with biexponential responses, both steered by a [`Script`] of states with known onsets,
//! so that what an intent model should find is known.
//!
//! **What is assumed.** The mechanisms and their resting values follow the literature named beside
//! each number. That a shopper who is "interested" or "hesitant" looks like [`Effect`] says is an
//! assumption of this simulator: no published study measures it. Accuracy on simulated sessions
//! shows that a pipeline works, never that it reads people.

mod body;
mod effect;
mod heart;
mod person;
mod rng;
mod script;
mod skin;

pub use body::{Body, Session, session};
pub use effect::Effect;
pub use heart::{Beat, Heart};
pub use person::Person;
pub use script::{Script, ScriptError, Segment, Span, Spans, State};
pub use skin::Skin;
