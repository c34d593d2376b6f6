//! Which model serves: a rule over numbers, without a database and without a clock.
//!
//! A new model is compared event by event, on people of a time that neither model was fitted on:
//! first on the newest slice whose outcomes were complete when it was trained, later on what both
//! said in service before it happened. The second kind of evidence cannot be fooled by anything
//! that was known late, so it overrules the first.

use super::measure::Paired;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How sure a difference must be: the one-sided 95 % point of the normal distribution. With
/// hundreds of people the mean of paired differences is normal for every practical purpose.
pub const Z_SURE: f64 = 1.645;
/// Fewer events than this say nothing: the normal bound needs some hundreds.
pub const LEAST_EVENTS: u64 = 200;

/// What is known of a challenger. Gains are the challenger's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Over always saying the share of conversions known at training time, on the slice.
    pub over_base: Paired,
    /// Over the champion on the same slice; absent if there was none.
    pub over_champion: Option<Paired>,
    /// Over the champion in service: forecasts of both whose time has passed.
    pub in_service: Option<Paired>,
}

/// What to do with a challenger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ModelVerdict)]
pub enum Verdict {
    /// It serves from now on.
    Promote,
    /// It goes on forecasting beside the champion.
    Wait,
    /// It is not to be used.
    Reject,
}

/// A verdict and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What to do.
    pub verdict: Verdict,
    /// Why, in words with the numbers.
    pub reason: String,
}

/// How a comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Better,
    Unclear,
    Worse,
}

/// Judges a challenger, beside a champion or without one.
#[must_use]
pub fn judge(evidence: &Evidence, champion: bool) -> Decision {
    let decided = |verdict, what: &str, paired: &Paired| Decision {
        verdict,
        reason: format!("{what}: {}", figures(paired)),
    };
    let base = &evidence.over_base;
    match sign(base) {
        Sign::Better => {}
        Sign::Worse | Sign::Unclear if base.count < LEAST_EVENTS => {
            let few = format!("too few people to judge by, {LEAST_EVENTS} are needed");
            return decided(Verdict::Reject, &few, base);
        }
        _ => return decided(Verdict::Reject, "no better than the base rate", base),
    }
    if !champion {
        return decided(Verdict::Promote, "the first model, better than the base rate", base);
    }
    if let Some(service) = &evidence.in_service {
        match sign(service) {
            Sign::Better => {
                return decided(Verdict::Promote, "better than the champion in service", service);
            }
            Sign::Worse => {
                return decided(Verdict::Reject, "worse than the champion in service", service);
            }
            Sign::Unclear => {}
        }
    }
    match &evidence.over_champion {
        None => decided(Verdict::Wait, "not compared with the champion yet", base),
        Some(slice) => match sign(slice) {
            Sign::Better => decided(
                Verdict::Promote,
                "better than the champion on the newest complete slice",
                slice,
            ),
            Sign::Unclear => {
                decided(Verdict::Wait, "as good as the champion, as far as can be told", slice)
            }
            Sign::Worse => decided(
                Verdict::Reject,
                "worse than the champion on the newest complete slice",
                slice,
            ),
        },
    }
}

fn sign(paired: &Paired) -> Sign {
    let (mean, bound) = (paired.mean(), Z_SURE * paired.standard_error());
    if paired.count < LEAST_EVENTS {
        Sign::Unclear
    } else if mean - bound > 0.0 {
        Sign::Better
    } else if mean + bound < 0.0 {
        Sign::Worse
    } else {
        Sign::Unclear
    }
}

fn figures(paired: &Paired) -> String {
    let bound = Z_SURE * paired.standard_error();
    format!("log-loss lower by {:.5} +- {bound:.5} nats on {} people", paired.mean(), paired.count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A comparison with a mean and a standard deviation.
    fn paired(count: u64, mean: f64, deviation: f64) -> Paired {
        let n = count as f64;
        Paired {
            count,
            sum: mean * n,
            sum_of_squares: mean * mean * n + deviation * deviation * (n - 1.0),
        }
    }

    fn check(over: [Option<Paired>; 3], champion: bool, expected: Verdict) {
        let [base, over_champion, in_service] = over;
        let evidence = Evidence { over_base: base.unwrap_or_default(), over_champion, in_service };
        let decision = judge(&evidence, champion);
        assert_eq!(decision.verdict, expected, "{}", decision.reason);
    }

    #[test]
    fn the_rule_case_by_case() {
        use Verdict::{Promote, Reject, Wait};
        let (good, unclear, bad) = (
            Some(paired(1_000, 0.02, 0.1)),
            Some(paired(1_000, 0.001, 0.1)),
            Some(paired(1_000, -0.02, 0.1)),
        );
        let few = Some(paired(LEAST_EVENTS - 1, 0.02, 0.001));
        check([good, None, None], false, Promote);
        check([unclear, None, None], false, Reject);
        check([few, None, None], false, Reject);
        check([bad, good, good], true, Reject);
        check([good, good, None], true, Promote);
        check([good, unclear, None], true, Wait);
        check([good, few, None], true, Wait);
        check([good, bad, None], true, Reject);
        check([good, None, None], true, Wait);
        // What was said in service overrules the slice, once it says anything.
        check([good, good, bad], true, Reject);
        check([good, bad, good], true, Promote);
        check([good, good, unclear], true, Promote);
        check([good, unclear, few], true, Wait);
    }

    fn any_paired() -> impl Strategy<Value = Paired> {
        (0..5_000_u64, -0.5..0.5_f64, 0.0..1.0_f64).prop_map(|(n, m, d)| paired(n, m, d))
    }

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        let maybe = || prop::option::of(any_paired());
        (any_paired(), maybe(), maybe()).prop_map(|(over_base, over_champion, in_service)| {
            Evidence { over_base, over_champion, in_service }
        })
    }

    proptest! {
        #[test]
        fn nobody_serves_who_does_not_beat_the_base_rate(
            evidence in any_evidence(), champion: bool
        ) {
            if sign(&evidence.over_base) != Sign::Better {
                prop_assert_eq!(judge(&evidence, champion).verdict, Verdict::Reject);
            }
        }

        #[test]
        fn nobody_serves_whom_service_contradicts(evidence in any_evidence()) {
            if evidence.in_service.is_some_and(|service| sign(&service) == Sign::Worse) {
                prop_assert_ne!(judge(&evidence, true).verdict, Verdict::Promote);
            }
        }

        #[test]
        fn a_champion_stays_unless_something_is_better(evidence in any_evidence()) {
            let better = [evidence.over_champion, evidence.in_service];
            let better = better.iter().flatten().any(|paired| sign(paired) == Sign::Better);
            if !better {
                prop_assert_ne!(judge(&evidence, true).verdict, Verdict::Promote);
            }
        }

        #[test]
        fn two_models_never_both_win(service in any_paired()) {
            let good = paired(1_000, 0.1, 0.1);
            let judged = |in_service| {
                let evidence =
                    Evidence { over_base: good, over_champion: None, in_service: Some(in_service) };
                judge(&evidence, true).verdict
            };
            let both = [judged(service), judged(service.reversed())];
            prop_assert_ne!(both, [Verdict::Promote; 2]);
        }

        #[test]
        fn more_gain_never_costs_a_promotion(evidence in any_evidence(), more in 0.0..0.5_f64) {
            let raised = |paired: Paired| {
                // The same spread around a higher mean.
                let (n, mean) = (paired.count as f64, paired.mean());
                let square = paired.sum_of_squares + n * (2.0 * mean * more + more * more);
                Paired { sum: paired.sum + n * more, sum_of_squares: square, ..paired }
            };
            let higher = Evidence {
                over_base: raised(evidence.over_base),
                over_champion: evidence.over_champion.map(raised),
                in_service: evidence.in_service.map(raised),
            };
            if judge(&evidence, true).verdict == Verdict::Promote {
                prop_assert_eq!(judge(&higher, true).verdict, Verdict::Promote);
            }
        }

        #[test]
        fn numbers_that_are_none_promote_nobody(
            count: u64, sum: f64, sum_of_squares: f64, champion: bool
        ) {
            let odd = Paired { count, sum, sum_of_squares };
            let nan = Paired { sum: f64::NAN, ..odd };
            for paired in [nan, Paired { sum: f64::INFINITY, ..odd }] {
                let evidence = Evidence { over_base: paired, ..Evidence::default() };
                prop_assert_eq!(judge(&evidence, champion).verdict, Verdict::Reject);
            }
            let evidence = Evidence { over_base: odd, ..Evidence::default() };
            let _ = judge(&evidence, champion);
        }
    }
}
