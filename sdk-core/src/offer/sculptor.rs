//! The policy: three rules, applied slowly, bounded, and explained.
//!
//! | state of mind | rule | price | content |
//! |---|---|---|---|
//! | interested | premium | list, or a little above where granted | premium features, an add-on |
//! | hesitant or stressed | reassure | below list | value, guarantees |
//! | neutral | suggest | list | related products |
//!
//! An offer never flickers: probabilities are smoothed, a rule is entered at a higher probability
//! than it is left (hysteresis), must win for a while (dwell) and a revision stands for a while
//! (hold). Prices are always taken from the list price, so that changes never add up.

use super::plan::OfferPlan;
use crate::{
    clock::Nanos,
    consent::{self, Permit, Refused},
};
use protocol::{
    intent::{Abstention, IntentClass, IntentEstimate},
    offer::{Offer, OfferRevision, Rule},
};
use serde::Serialize;
use std::time::Duration;

/// How slowly the policy moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tempo {
    /// Time constant of the smoothing of probabilities.
    pub smoothing: Duration,
    /// Smoothed probability at which a rule may be entered.
    pub enter: f32,
    /// Smoothed probability under which the rule in force is left.
    pub leave: f32,
    /// How long a new rule must win before it is applied.
    pub dwell: Duration,
    /// How long a revision stands at least.
    pub hold: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            smoothing: Duration::from_millis(1_500),
            enter: 0.55,
            leave: 0.40,
            dwell: Duration::from_millis(800),
            hold: Duration::from_secs(4),
        }
    }
}

/// What the person allows the policy to do with this estimate.
#[derive(Debug, Clone, Default)]
pub struct Authority {
    /// Permits to adapt, one for each modality behind the estimate; empty = none.
    pub adapt: Vec<Permit<consent::AdaptOffer>>,
    /// Permits to raise a price, one for each modality behind the estimate; empty = none.
    pub raise: Vec<Permit<consent::RaisePrice>>,
}

impl Authority {
    fn may_adapt(&self) -> Result<bool, Refused> {
        self.adapt.iter().try_for_each(Permit::check)?;
        Ok(!self.adapt.is_empty())
    }

    fn may_raise(&self) -> bool {
        !self.raise.is_empty() && self.raise.iter().all(|permit| permit.check().is_ok())
    }
}

/// Where the estimate came from, as each revision records it.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    /// The model.
    pub model_id: &'a str,
    /// SHA-256 over its inputs, hexadecimal.
    pub inputs_digest: &'a str,
}

/// Why the offer stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "hold", content = "because", rename_all = "snake_case")]
pub enum Hold {
    /// The model gave no estimate.
    Abstained(Abstention),
    /// No consent to adapt.
    NotPermitted,
    /// No state of mind is likely enough.
    Unsure,
    /// A new rule is ahead, not yet for long enough.
    Dwelling,
    /// The last revision has not stood for long enough.
    Settling,
    /// The rule in force still fits.
    Fits,
}

/// What a step led to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The offer stays.
    Hold(Hold),
    /// The offer changes.
    Revise(Box<OfferRevision>),
}

/// The end of one step of the loop.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// Counts steps from 1.
    pub step: u64,
    /// Session time.
    pub at: Nanos,
    /// What it was decided on.
    pub estimate: IntentEstimate,
    /// What was decided.
    pub action: Action,
}

/// The policy's state.
#[derive(Debug)]
pub struct Sculptor {
    plan: OfferPlan,
    tempo: Tempo,
    smoothed: Option<(Nanos, [f32; 3])>,
    leading: Option<(Rule, Nanos)>,
    in_force: Option<InForce>,
    offer: Offer,
    revisions: u32,
}

#[derive(Debug, Clone, Copy)]
struct InForce {
    rule: Rule,
    since: Nanos,
    raised: bool,
}

const RULES: [Rule; 3] = [Rule::Suggest, Rule::Premium, Rule::Reassure];

impl Sculptor {
    /// Starts with the offer as listed.
    #[must_use]
    pub fn new(plan: OfferPlan, tempo: Tempo) -> Self {
        let offer = plan.offer.clone();
        Self { plan, tempo, smoothed: None, leading: None, in_force: None, offer, revisions: 0 }
    }

    /// The offer on screen.
    #[must_use]
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The rule in force, once one was applied.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        self.in_force.map(|f| f.rule)
    }

    /// One step: looks at an estimate and holds or revises.
    ///
    /// # Errors
    /// [`Refused`] when a permit no longer holds: ask the gate anew.
    pub fn step(
        &mut self,
        at: Nanos,
        estimate: &IntentEstimate,
        authority: &Authority,
        provenance: Provenance<'_>,
    ) -> Result<Action, Refused> {
        if !authority.may_adapt()? {
            return Ok(Action::Hold(Hold::NotPermitted));
        }
        if let Some(reason) = estimate.abstained {
            self.leading = None;
            return Ok(Action::Hold(Hold::Abstained(reason)));
        }
        let smoothed = self.smooth(at, estimate);
        let raised = authority.may_raise();
        let rule = match self.candidate(smoothed) {
            Ok(rule) => rule,
            Err(hold) => {
                self.leading = None;
                return Ok(Action::Hold(hold));
            }
        };
        let leading_since = match self.leading {
            Some((leader, since)) if leader == rule => since,
            _ => at,
        };
        self.leading = Some((rule, leading_since));
        if at.since(leading_since) < self.tempo.dwell {
            return Ok(Action::Hold(Hold::Dwelling));
        }
        if self.in_force.is_some_and(|f| at.since(f.since) < self.tempo.hold) {
            return Ok(Action::Hold(Hold::Settling));
        }
        Ok(self.apply(rule, at, raised, provenance))
    }

    /// Goes back to the offer as listed: consent ended. `None` where it is on screen already.
    pub fn restore(&mut self, at: Nanos) -> Option<OfferRevision> {
        self.smoothed = None;
        self.leading = None;
        self.in_force = None;
        if self.offer == self.plan.offer {
            return None;
        }
        let none = Provenance { model_id: "", inputs_digest: "" };
        Some(self.revise(Rule::Restore, self.plan.offer.clone(), at, none))
    }

    /// Smooths class probabilities into rule probabilities, by the time that passed.
    fn smooth(&mut self, at: Nanos, estimate: &IntentEstimate) -> [f32; 3] {
        let p = |class: IntentClass| estimate.probabilities[class as usize];
        let now = [
            p(IntentClass::Neutral),
            p(IntentClass::Interested),
            p(IntentClass::Hesitant) + p(IntentClass::Stressed),
        ];
        let smoothed = match self.smoothed {
            None => now,
            Some((before, old)) => {
                let tau_s = self.tempo.smoothing.as_secs_f32().max(f32::EPSILON);
                let keep = (-at.since(before).as_secs_f32() / tau_s).exp();
                std::array::from_fn(|i| old[i] * keep + now[i] * (1.0 - keep))
            }
        };
        self.smoothed = Some((at, smoothed));
        smoothed
    }

    /// The rule that should be in force, if it is another than the one that is.
    fn candidate(&self, smoothed: [f32; 3]) -> Result<Rule, Hold> {
        let mut best = (RULES[0], smoothed[0]);
        for (rule, p) in RULES.into_iter().zip(smoothed) {
            if p > best.1 {
                best = (rule, p);
            }
        }
        if let Some(current) = self.in_force {
            let own = RULES.iter().position(|r| *r == current.rule).map_or(0.0, |i| smoothed[i]);
            if best.0 == current.rule || own >= self.tempo.leave {
                return Err(Hold::Fits);
            }
        }
        if best.1 < self.tempo.enter { Err(Hold::Unsure) } else { Ok(best.0) }
    }

    fn apply(
        &mut self,
        rule: Rule,
        at: Nanos,
        may_raise: bool,
        provenance: Provenance<'_>,
    ) -> Action {
        let raised = rule == Rule::Premium && may_raise && self.plan.premium.increase_permille > 0;
        let offer = self.sculpt(rule, raised);
        self.in_force = Some(InForce { rule, since: at, raised });
        self.leading = None;
        if offer == self.offer {
            return Action::Hold(Hold::Fits);
        }
        Action::Revise(Box::new(self.revise(rule, offer, at, provenance)))
    }

    /// The offer a rule leads to, always from the list.
    fn sculpt(&self, rule: Rule, raised: bool) -> Offer {
        let mut offer = self.plan.offer.clone();
        let list = offer.price;
        match rule {
            Rule::Restore => {}
            Rule::Suggest => prepend(&mut offer.related, &self.plan.suggest.related),
            Rule::Premium => {
                let plan = &self.plan.premium;
                if raised {
                    offer.price = list.change_permille(plan.increase_permille.cast_signed());
                }
                prepend(&mut offer.features, &plan.features);
                offer.bundle.extend(plan.bundle.iter().cloned());
                prepend(&mut offer.delivery, &plan.delivery);
            }
            Rule::Reassure => {
                let plan = &self.plan.reassure;
                offer.price = list.change_permille(-plan.decrease_permille.cast_signed());
                prepend(&mut offer.features, &plan.value);
                prepend(&mut offer.guarantees, &plan.guarantees);
                prepend(&mut offer.delivery, &plan.delivery);
            }
        }
        offer
    }

    fn revise(
        &mut self,
        rule: Rule,
        offer: Offer,
        at: Nanos,
        provenance: Provenance<'_>,
    ) -> OfferRevision {
        self.revisions += 1;
        let reference_price = self.plan.offer.price;
        let revision = OfferRevision {
            revision: self.revisions,
            at_ms: at.as_millis(),
            rule,
            changes: changes(&self.offer, &offer),
            reason: self.reason(rule).to_owned(),
            reference_price,
            disclosure: (offer.price != reference_price).then(|| {
                format!(
                    "This price was set by an automated decision using signals of your body. \
                     The list price is {reference_price}."
                )
            }),
            model_id: provenance.model_id.to_owned(),
            inputs_digest: provenance.inputs_digest.to_owned(),
            propensity: 1.0,
            offer: offer.clone(),
        };
        self.offer = offer;
        revision
    }

    fn reason(&self, rule: Rule) -> &'static str {
        let raised = self.in_force.is_some_and(|f| f.raised);
        match rule {
            Rule::Premium if raised => {
                "You seem interested, and agreed that the price may rise: premium options are shown."
            }
            Rule::Premium => {
                "You seem interested: premium options are shown. The price is unchanged."
            }
            Rule::Reassure => {
                "You seem to hesitate: the price is lower, and what you get for it comes first."
            }
            Rule::Suggest => "You seem at ease: the offer stays, related products are suggested.",
            Rule::Restore => "Your signals are no longer used: the offer is as listed.",
        }
    }
}

fn prepend<T: Clone + PartialEq>(list: &mut Vec<T>, first: &[T]) {
    list.retain(|item| !first.contains(item));
    list.splice(0..0, first.iter().cloned());
}

/// What a person would notice, a short sentence each.
fn changes(before: &Offer, after: &Offer) -> Vec<String> {
    let mut changes = Vec::new();
    if before.price != after.price {
        changes.push(format!("price {} -> {}", before.price, after.price));
    }
    fn compare<T: PartialEq>(
        changes: &mut Vec<String>,
        what: &str,
        (before, after): (&[T], &[T]),
        title: impl Fn(&T) -> String,
    ) {
        let added = after.iter().filter(|item| !before.contains(item));
        changes.extend(added.map(|item| format!("added {what}: {}", title(item))));
        let removed = before.iter().filter(|item| !after.contains(item));
        changes.extend(removed.map(|item| format!("removed {what}: {}", title(item))));
    }
    compare(&mut changes, "feature", (&before.features, &after.features), String::clone);
    compare(&mut changes, "add-on", (&before.bundle, &after.bundle), |i| i.title.clone());
    compare(&mut changes, "delivery", (&before.delivery, &after.delivery), |d| d.title.clone());
    compare(&mut changes, "guarantee", (&before.guarantees, &after.guarantees), String::clone);
    compare(&mut changes, "suggestion", (&before.related, &after.related), String::clone);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::Gate;
    use proptest::prelude::*;
    use protocol::consent::{Modality, Purpose};

    const PLAN: &str = r#"
        [offer]
        sku = "esp-1"
        title = "Espresso machine"
        price = { minor = 20000, currency = "EUR" }
        features = ["15 bar pump"]
        [premium]
        increase_permille = 50
        features = ["Steel finish"]
        [[premium.bundle]]
        sku = "grd-1"
        title = "Grinder"
        price_minor = 4900
        [reassure]
        decrease_permille = 100
        guarantees = ["30 days to change your mind"]
        [suggest]
        related = ["Cleaning set"]
    "#;

    const PROVENANCE: Provenance<'static> = Provenance { model_id: "m", inputs_digest: "d" };
    const NEUTRAL: [f32; 4] = [0.9, 0.04, 0.03, 0.03];
    const INTERESTED: [f32; 4] = [0.04, 0.9, 0.03, 0.03];
    const HESITANT: [f32; 4] = [0.05, 0.05, 0.5, 0.4];

    fn authority(raise: bool) -> (Gate, Authority) {
        let uses = [(Modality::Eda, Purpose::AdaptOffer), (Modality::Eda, Purpose::RaisePrice)];
        let gate = Gate::agreed_elsewhere(if raise { &uses } else { &uses[..1] });
        let authority = Authority {
            adapt: vec![gate.permit(Modality::Eda).unwrap()],
            raise: gate.permit(Modality::Eda).into_iter().collect(),
        };
        (gate, authority)
    }

    fn estimate(probabilities: [f32; 4]) -> IntentEstimate {
        IntentEstimate { at_ms: 0, probabilities, arousal: 0.5, abstained: None }
    }

    /// Runs phases of (probabilities, seconds) at 10 steps a second; gives the revisions.
    fn run(phases: &[([f32; 4], u64)], raise: bool) -> Vec<OfferRevision> {
        let (_gate, authority) = authority(raise);
        let plan = OfferPlan::from_toml(PLAN).unwrap();
        let mut sculptor = Sculptor::new(plan, Tempo::default());
        let mut at = Nanos::ZERO;
        let mut revisions = Vec::new();
        for &(p, seconds) in phases {
            for _ in 0..seconds * 10 {
                at = at + Duration::from_millis(100);
                let action = sculptor.step(at, &estimate(p), &authority, PROVENANCE).unwrap();
                if let Action::Revise(revision) = action {
                    revisions.push(*revision);
                }
            }
        }
        revisions
    }

    #[test]
    fn the_three_rules() {
        let revisions = run(&[(NEUTRAL, 10), (INTERESTED, 10), (HESITANT, 10)], false);
        let seen: Vec<_> = revisions.iter().map(|r| (r.rule, r.offer.price.minor)).collect();
        assert_eq!(
            seen,
            [(Rule::Suggest, 20_000), (Rule::Premium, 20_000), (Rule::Reassure, 18_000)]
        );
        assert_eq!(revisions[0].changes, ["added suggestion: Cleaning set"]);
        assert_eq!(revisions[1].offer.bundle[0].title, "Grinder");
        let last = &revisions[2];
        assert!(last.changes.contains(&"price 200.00 EUR -> 180.00 EUR".to_owned()));
        assert!(last.offer.bundle.is_empty(), "each rule starts from the list");
    }

    #[test]
    fn c17_prices_rise_only_with_their_own_grant_and_always_say_so() {
        assert!(run(&[(INTERESTED, 10)], false)[0].disclosure.is_none());
        let raised = &run(&[(INTERESTED, 10)], true)[0];
        assert_eq!(raised.offer.price.minor, 21_000);
        assert_eq!(raised.reference_price.minor, 20_000);
        assert!(raised.disclosure.as_ref().unwrap().contains("200.00 EUR"));
        assert!(raised.reason.contains("agreed"));
    }

    #[test]
    fn without_permit_the_offer_holds_and_a_stale_one_is_refused() {
        let mut sculptor = Sculptor::new(OfferPlan::from_toml(PLAN).unwrap(), Tempo::default());
        let none = Authority::default();
        let held = sculptor.step(Nanos::ZERO, &estimate(HESITANT), &none, PROVENANCE);
        assert_eq!(held, Ok(Action::Hold(Hold::NotPermitted)));
        let (gate, authority) = authority(true);
        gate.withdraw(0).unwrap();
        let refused = sculptor.step(Nanos::ZERO, &estimate(HESITANT), &authority, PROVENANCE);
        assert_eq!(refused, Err(Refused::Superseded));
    }

    #[test]
    fn restore_goes_back_to_the_list_once() {
        let (_gate, authority) = authority(false);
        let mut sculptor = Sculptor::new(OfferPlan::from_toml(PLAN).unwrap(), Tempo::default());
        for k in 0..100 {
            let at = Nanos::from_millis(100 * k);
            sculptor.step(at, &estimate(HESITANT), &authority, PROVENANCE).unwrap();
        }
        assert_eq!(sculptor.offer().price.minor, 18_000);
        let restored = sculptor.restore(Nanos::from_millis(20_000)).unwrap();
        assert_eq!((restored.rule, restored.offer.price.minor), (Rule::Restore, 20_000));
        assert_eq!(sculptor.restore(Nanos::from_millis(20_100)), None);
    }

    proptest! {
        /// Whatever the model says, revisions are at least the hold time apart, prices stay in
        /// bounds, and none rises above list without the grant.
        #[test]
        fn never_flickers_never_leaves_the_bounds(
            phases in prop::collection::vec((0usize..5, 0u64..5), 1..40),
            raise in any::<bool>(),
        ) {
            let table = [NEUTRAL, INTERESTED, HESITANT, [0.25; 4], [0.5, 0.5, 0.0, 0.0]];
            let phases: Vec<_> = phases.into_iter().map(|(i, s)| (table[i], s)).collect();
            let revisions = run(&phases, raise);
            for pair in revisions.windows(2) {
                prop_assert!(pair[1].at_ms - pair[0].at_ms >= 4_000);
            }
            let most = if raise { 21_000 } else { 20_000 };
            prop_assert!(revisions.iter().all(|r| (18_000..=most).contains(&r.offer.price.minor)));
        }
    }
}
