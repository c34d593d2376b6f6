use super::*;
use proptest::prelude::*;

fn model(kind: Kind, parameters: [f64; 4]) -> CustomerBase {
    CustomerBase::new(kind, parameters).unwrap()
}

fn history(repeats: u32, recency_weeks: f64, age_weeks: f64) -> RepeatHistory {
    RepeatHistory { repeats, recency_weeks, age_weeks }
}

fn close(found: f64, expected: f64, what: &str) {
    let error = (found - expected).abs() / expected.abs().max(1e-9);
    assert!(error < 1e-8, "{what}: {found} instead of {expected}");
}

/// Figures of 39 weeks: log-likelihood, P(alive), E(Y), P(Y > 0), P(Y = 1), P(Y = 3), median.
/// Computed with the closed forms and hyp2f1 of SciPy 1.17.
fn check(base: CustomerBase, h: RepeatHistory, expected: [f64; 6], median: u32) {
    let [likelihood, alive, purchases, some, one, three] = expected;
    let what = format!("{base:?} {h:?}");
    let counts = base.count_probabilities(&h, 39.0, 3);
    assert_eq!(counts.len(), 4);
    close(base.log_likelihood(&h), likelihood, &what);
    close(base.probability_alive(&h), alive, &what);
    close(base.expected_purchases(&h, 39.0), purchases, &what);
    close(base.probability_of_purchase(&h, 39.0), some, &what);
    close(counts[0], 1.0 - some, &what);
    close(counts[1], one, &what);
    close(counts[3], three, &what);
    assert_eq!(base.median_purchases(&h, 39.0), median, "{what}");
}

const PARETO_1: [f64; 4] = [0.9, 3.0, 1.0, 20.0];

const BG: CustomerBase =
    CustomerBase { kind: Kind::BgNbd, parameters: [0.243, 4.414, 0.793, 2.426] };
const MBG: CustomerBase =
    CustomerBase { kind: Kind::MbgNbd, parameters: [0.525, 6.183, 0.891, 1.614] };
const PARETO: CustomerBase =
    CustomerBase { kind: Kind::ParetoNbd, parameters: [0.553, 10.578, 0.606, 11.669] };

#[test]
fn as_the_closed_forms_say() {
    let pareto_1 = model(Kind::ParetoNbd, PARETO_1);
    check(
        BG,
        history(0, 0.0, 30.0),
        [-0.4990447626, 1.0, 0.2393816323, 0.1681550722, 0.1223539703, 0.009662844507],
        0,
    );
    check(
        BG,
        history(2, 30.43, 38.86),
        [-9.458606307, 0.7265785701, 1.226028175, 0.5546271379, 0.2393189374, 0.080850056],
        1,
    );
    check(
        BG,
        history(26, 35.0, 38.0),
        [-42.31079137, 0.8345612262, 15.5188631, 0.8345611953, 0.02265026399, 0.0200927997],
        17,
    );
    check(
        BG,
        history(3, 5.0, 38.0),
        [-9.633806246, 0.04061338148, 0.09917798792, 0.03571238453, 0.01119664979, 0.006071301739],
        0,
    );
    check(
        MBG,
        history(0, 0.0, 30.0),
        [-0.4934369188, 0.4174047964, 0.1996308432, 0.1330834162, 0.09157815969, 0.009128637211],
        0,
    );
    check(
        MBG,
        history(2, 30.43, 38.86),
        [-9.485551315, 0.7062022651, 1.262960623, 0.5599940908, 0.2342240564, 0.08386394775],
        1,
    );
    check(
        MBG,
        history(26, 35.0, 38.0),
        [-42.74318549, 0.8275896868, 14.61126589, 0.8275896442, 0.02499229039, 0.0220492998],
        16,
    );
    check(
        MBG,
        history(3, 5.0, 38.0),
        [-9.584732416, 0.03921650897, 0.09793872532, 0.03500079029, 0.01080703913, 0.005989881121],
        0,
    );
    check(
        PARETO,
        history(0, 0.0, 30.0),
        [-0.4854988473, 0.3572527481, 0.153074515, 0.09272111186, 0.05800891668, 0.008137881978],
        0,
    );
    check(
        PARETO,
        history(2, 30.43, 38.86),
        [-9.554283245, 0.8691675592, 1.455123193, 0.5919372764, 0.2192874979, 0.0956553463],
        1,
    );
    check(
        PARETO,
        history(26, 35.0, 38.0),
        [-43.26097375, 0.9080343006, 16.04952995, 0.8881933581, 0.01873232065, 0.01682305161],
        17,
    );
    check(
        PARETO,
        history(3, 5.0, 38.0),
        [-9.80139611, 0.06180298249, 0.1461675977, 0.04835007305, 0.01309346473, 0.008503788061],
        0,
    );
    check(
        pareto_1,
        history(0, 0.0, 30.0),
        [-1.32065816, 0.1731255341, 0.1361270409, 0.06925392356, 0.03643965444, 0.007995769927],
        0,
    );
    check(
        pareto_1,
        history(2, 30.43, 38.86),
        [-10.17121549, 0.8085371716, 1.676116435, 0.5850339522, 0.1808305537, 0.09743956432],
        1,
    );
    check(
        pareto_1,
        history(26, 35.0, 38.0),
        [-38.93754328, 0.8472910783, 16.58129801, 0.8253746668, 0.0208007873, 0.01881563914],
        18,
    );
    check(
        pareto_1,
        history(3, 5.0, 38.0),
        [
            -8.173586214,
            0.00836164237,
            0.02372410333,
            0.006714801214,
            0.001512483744,
            0.001115684916,
        ],
        0,
    );
}

#[test]
fn one_time_buyers_are_surely_there_by_bg_nbd_alone() {
    let once = history(0, 0.0, 38.0);
    assert_eq!(BG.probability_alive(&once), 1.0);
    assert!(MBG.probability_alive(&once) < 0.9 && PARETO.probability_alive(&once) < 0.9);
}

#[test]
fn a_of_one_and_s_of_one_are_no_exceptions() {
    let h = history(2, 30.43, 38.86);
    for (kind, parameters) in [(Kind::BgNbd, [0.3, 4.0, 1.0, 2.0]), (Kind::ParetoNbd, PARETO_1)] {
        let at = |third: f64| {
            let [r, alpha, _, fourth] = parameters;
            model(kind, [r, alpha, third, fourth]).expected_purchases(&h, 39.0)
        };
        let (below, exact, above) = (at(1.0 - 1e-4), at(1.0), at(1.0 + 1e-4));
        assert!(
            (f64::midpoint(below, above) / exact - 1.0).abs() < 1e-7,
            "{below} {exact} {above}"
        );
    }
}

#[test]
fn parameters_travel_by_name() {
    let text = serde_json::to_string(&PARETO).unwrap();
    assert_eq!(serde_json::from_str::<CustomerBase>(&text).unwrap(), PARETO);
    for (bad, says) in [
        (text.replace("0.606", "-1.0"), "parameter s of pareto_nbd is -1"),
        (text.replace("\"s\"", "\"a\""), "has the parameters"),
        (text.replace("pareto_nbd", "weibull"), "unknown variant"),
    ] {
        let error = serde_json::from_str::<CustomerBase>(&bad).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(CustomerBase::new(Kind::BgNbd, [1.0, f64::NAN, 1.0, 1.0]).is_err());
}

#[test]
fn a_correction_moves_log_odds() {
    let h = history(3, 2.0, 5.0);
    let nothing = Correction::default();
    assert!((nothing.apply(0.3, &h, 10.0) - 0.3).abs() < 1e-12);
    let frequency = Correction { frequency: 1.0, ..nothing };
    // Odds times 1 + repeats.
    assert!((frequency.apply(0.5, &h, 10.0) - 0.8).abs() < 1e-12);
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), -10.0..500.0, Just(f64::NAN), Just(f64::INFINITY), Just(0.0)]
}

fn any_history() -> impl Strategy<Value = RepeatHistory> {
    (prop_oneof![any::<u32>(), 0u32..50], any_number(), any_number()).prop_map(
        |(repeats, recency_weeks, age_weeks)| RepeatHistory { repeats, recency_weeks, age_weeks },
    )
}

fn any_model() -> impl Strategy<Value = CustomerBase> {
    let (least, most) = CustomerBase::PARAMETER_RANGE;
    let exponent = least.ln()..most.ln();
    (0usize..3, prop::array::uniform4(exponent)).prop_map(move |(kind, logs)| {
        model(Kind::ALL[kind], logs.map(|l| l.exp().clamp(least, most)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_answer_is_a_number(base in any_model(), h in any_history(), weeks in any_number()) {
        let share = 0.0..=1.0;
        prop_assert!(base.log_likelihood(&h).is_finite(), "{}", base.log_likelihood(&h));
        prop_assert!(share.contains(&base.probability_alive(&h)));
        prop_assert!(share.contains(&base.probability_of_purchase(&h, weeks)));
        let expected = base.expected_purchases(&h, weeks);
        prop_assert!(expected.is_finite() && expected >= 0.0, "{}", expected);
        prop_assert!(base.median_purchases(&h, weeks) <= MOST_COUNT);
        for p in base.count_probabilities(&h, weeks, 5) {
            prop_assert!((0.0..=1.0 + 1e-9).contains(&p), "{}", p);
        }
        let corrected = Correction { slope: weeks, monetary: 1.0, ..Correction::default() };
        prop_assert!(share.contains(&corrected.apply(expected, &h, weeks)));
    }

    #[test]
    fn counts_add_up(
        kind in 0usize..3,
        parameters in prop::array::uniform4(0.2..15.0f64),
        repeats in 0u32..12,
        recency in 1.0..20.0f64,
        silence in 0.0..20.0f64,
        weeks in 0.1..40.0f64,
    ) {
        let base = model(Kind::ALL[kind], parameters);
        let h = history(repeats, recency, recency + silence);
        let counts = base.count_probabilities(&h, weeks, 900);
        let total: f64 = counts.iter().sum();
        let mean: f64 = counts.iter().enumerate().map(|(k, p)| k as f64 * p).sum();
        let expected = base.expected_purchases(&h, weeks);
        prop_assert!((total - 1.0).abs() < 1e-6, "{}", total);
        prop_assert!((mean / expected - 1.0).abs() < 1e-3, "{} {}", mean, expected);
        let some = base.probability_of_purchase(&h, weeks);
        prop_assert!((1.0 - counts[0] - some).abs() < 1e-9);
    }

    #[test]
    fn histories_are_at_least_plausible(h in any_history()) {
        let h = h.plausible();
        prop_assert!(0.0 <= h.recency_weeks && h.recency_weeks <= h.age_weeks);
        prop_assert_eq!(h, h.plausible());
    }
}
