//! Candidates and models, whole.

use super::*;
use crate::booster::{Forest, Leaf, Objective, Split, Tree};
use proptest::prelude::*;

fn people() -> Vec<History> {
    vec![
        History::new(10, [(1, vec![0, 1]), (4, vec![0]), (8, vec![0, 2])]),
        History::new(10, [(2, vec![0, 3]), (6, vec![3])]),
        History::new(10, [(3, vec![1, 4])]),
        History::new(10, []),
    ]
}

fn population() -> Population {
    Population::new(5, 1, people()).unwrap()
}

fn feature(candidates: &Candidates, item: u32, name: &str) -> f32 {
    let row = candidates.items.iter().position(|own| *own == item).unwrap();
    let column = FEATURES.iter().position(|own| *own == name).unwrap();
    candidates.features[row * FEATURES.len() + column]
}

#[test]
fn features_by_hand() {
    let population = population();
    let found = Finder::new(&population).candidates(&people()[0], Some(0));
    assert_eq!(found.items, [0, 1, 2, 3, 4]);
    let check = |item, name, expected: f32| {
        let value = feature(&found, item, name);
        let same = (value - expected).abs() < 1e-5 || value.is_nan() && expected.is_nan();
        assert!(same, "{name} of {item} is {value}, not {expected}");
    };
    check(0, "count", 3.0);
    check(0, "since", 0.0);
    check(0, "fade_90", 1.0 + 0.9 + 0.81);
    check(0, "share", 1.0);
    check(0, "own_rate", 1.0);
    check(1, "own_rate", 1.0 / 3.0);
    check(1, "since", 2.0);
    check(1, "days_since", 9.0);
    check(1, "due", f32::NAN);
    check(0, "days_due", 2.0 / 3.5);
    check(3, "since", f32::NAN);
    check(3, "count", 0.0);
    check(3, "baskets", 3.0);
    check(3, "basket_size", 5.0 / 3.0);
    check(3, "person_repeats", 2.0 / 3.0);
    check(3, "person_days_gap", 3.5);
    check(0, "tifu_rank", 0.0);
    // Item 3 is what the neighbours have most of: in both baskets of one of them.
    check(0, "ens", 1.0 + 0.3 * 0.63 / 1.63 + 0.6);
    assert!(found.features.iter().all(|value| !value.is_infinite()));
}

#[test]
fn methods_by_hand() {
    let population = population();
    let history = &people()[0];
    let found = Finder::new(&population).candidates(history, Some(0));
    let ranked = |method: Method| -> Vec<u32> {
        let mut scores = Vec::new();
        method.scores(history, &found, &mut scores);
        found.ranked(&scores).into_iter().map(|at| found.items[at]).collect()
    };
    // Items 1 and 2 were bought once, 2 lately.
    assert_eq!(ranked(Method::Recency)[..3], [0, 2, 1]);
    assert_eq!(ranked(Method::Tifu)[0], 0);
    // The neighbours' mean of item 3: one of two neighbours has it, in two baskets.
    let weights = [0.9 * 0.7_f64.powi(6) / 2.0, 0.7_f64.powi(5) / 2.0];
    assert!((found.tifu[3] - 0.3 * (weights[0] + weights[1]) / 2.0).abs() < 1e-6);
}

#[test]
fn nobodys_history_gets_the_favourites() {
    let model = Model::new(Method::Ens, population(), None).unwrap();
    let mut finder = Finder::new(model.population());
    let next = model.next(&mut finder, &History::default(), None, 2);
    let favourites: Vec<u32> = next.iter().map(|ranked| ranked.item).collect();
    assert_eq!(favourites, model.population().popular[..2]);
    assert_eq!(next[0].probability, None);
}

fn forest(features: usize) -> Forest {
    let split = Split { feature: 1, threshold: 0.5, missing_left: false, left: -1, right: -2 };
    let leaf = |value| Leaf { value, count: 1 };
    let tree = Tree { splits: vec![split], leaves: vec![leaf(1.0), leaf(-1.0)] };
    Forest::new(Objective::Binary, features, vec![-2.0], vec![tree]).unwrap()
}

#[test]
fn a_model_is_one_file() {
    let reranker = Reranker::new(forest(FEATURES.len())).unwrap();
    let model = Model::new(Method::Rerank, population(), Some(reranker)).unwrap();
    let text = model.to_json().unwrap();
    let again = Model::from_json(&text).unwrap();
    assert_eq!(again, model);
    assert_eq!(again.to_json().unwrap(), text);
    let mut finder = Finder::new(again.population());
    let next = again.next(&mut finder, &people()[0], Some(0), 2);
    // The last basket's items; of equal scores the more popular first.
    assert_eq!((next[0].item, next[1].item), (0, 2));
    assert!((next[0].probability.unwrap() - 1.0 / (1.0 + f64::exp(1.0))).abs() < 1e-12);
}

#[test]
fn what_is_no_model_is_told() {
    assert!(matches!(Reranker::new(forest(3)), Err(ModelError::Features { found: 3 })));
    let missing = Model::new(Method::Rerank, population(), None);
    assert!(matches!(missing, Err(ModelError::Forest)));
    let missing = Model::new(Method::Recurrent, population(), None);
    assert!(matches!(missing, Err(ModelError::Networks)));
    let hostile = r#"{"method": "ens", "population": {"items": 0, "least_baskets": 0, "people": []},
                      "forest": null, "networks": "6174"}"#;
    assert!(Model::from_json(hostile).unwrap_err().to_string().contains("recurrent model"));
    assert!(Model::from_json(&hostile.replace("\"6174\"", "null")).is_ok());
    assert!(Model::from_json("{}").unwrap_err().to_string().contains("no model of baskets"));
    assert!("nothing".parse::<Method>().unwrap_err().contains("recency"));
    assert!(Method::ALL.into_iter().all(|method| method.name().parse() == Ok(method)));
}

fn histories() -> impl Strategy<Value = Vec<History>> {
    let basket = (any::<i32>(), prop::collection::vec(0_u32..30, 0..6));
    let history = (any::<i32>(), prop::collection::vec(basket, 0..12));
    prop::collection::vec(history.prop_map(|(now, baskets)| History::new(now, baskets)), 1..12)
}

proptest! {
    #[test]
    fn any_histories_have_candidates(
        mut people in histories(), least in 0_usize..4, own in prop::option::of(0_u32..20),
    ) {
        let asked = people.remove(0);
        // The person may know items that the population does not, never the other way round.
        let items = people.iter().flat_map(|p| p.baskets()).flat_map(|b| &b.items).max();
        let items = items.map_or(0, |item| *item as usize + 1);
        let population = Population::new(items, least, people.clone()).unwrap();
        let mut finder = Finder::new(&population);
        let found = finder.candidates(&asked, own);
        prop_assert_eq!(found.features.len(), found.items.len() * FEATURES.len());
        prop_assert!(found.features.iter().all(|value| !value.is_infinite()));
        prop_assert!(found.items.iter().all(|item| (*item as usize) < items));
        for scores in [&found.tifu, &found.recency, &found.ens] {
            prop_assert!(scores.iter().all(|score| score.is_finite()));
            prop_assert_eq!(found.ranked(scores).len(), found.items.len());
        }
        // What was asked before leaves nothing behind.
        for other in &people {
            finder.candidates(other, None);
        }
        prop_assert_eq!(finder.candidates(&asked, own).features.len(), found.features.len());
        prop_assert_eq!(finder.candidates(&asked, own).ens, found.ens);
    }
}
