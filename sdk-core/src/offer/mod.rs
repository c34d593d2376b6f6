//! From an intent estimate to what the person sees: a policy with guardrails.
//!
//! [`OfferPlan`] is what the shop allows, written by people and checked before use.
//! [`Sculptor`] is the state machine that applies the three rules of the house to it, slowly
//! enough that an offer never flickers, and explains every step.

mod plan;
mod sculptor;

pub use plan::{OfferPlan, PlanError, Premium, Reassure, Suggest};
pub use sculptor::{Action, Authority, Decision, Hold, Provenance, Sculptor, Tempo};
