//! What is judged is never learned from; and the bars on Ta-Feng.

use super::*;
use models::basket::{Candidates, History, Method, Scorer};
use serde_json::{Value, json};
use std::{env, fmt::Write, fs::File, io::Cursor, path::Path};

/// Users who mostly buy again what they bought, each with a few things of their own.
fn histories() -> serde_json::Map<String, Value> {
    let user = |user: usize| {
        let own = |turn: usize| vec![user % 7, 7 + (user * turn) % 11, 18 + (user + turn) % 5];
        let baskets: Vec<Vec<usize>> = (0..4 + user % 4).map(own).collect();
        (user.to_string(), padded(&baskets))
    };
    (0..120).map(user).collect()
}

fn padded(baskets: &[Vec<usize>]) -> Value {
    let mut all = vec![json!([-1])];
    all.extend(baskets.iter().map(|basket| json!(basket)));
    all.push(json!([-1]));
    Value::Array(all)
}

/// Users 0 to 99 are for training, the others for testing.
const TRAIN: usize = 100;

fn judged(
    histories: &serde_json::Map<String, Value>,
    future_of_train: impl Fn(usize) -> Value,
) -> Report {
    // What test users buy next nobody has bought so often before: item 22.
    let next = |user: usize| (user.to_string(), padded(&[vec![user % 7, 22]]));
    let mut futures: serde_json::Map<String, Value> = (TRAIN..120).map(next).collect();
    futures.extend((0..TRAIN).map(|user| (user.to_string(), future_of_train(user))));
    let keyset = json!({
        "item_num": 23,
        "train": (0..TRAIN).collect::<Vec<_>>(),
        "test": (TRAIN..120).collect::<Vec<_>>(),
    });
    let text = |value: &Value| value.to_string().into_bytes();
    let files = Published::read(
        &text(&json!(histories))[..],
        &text(&json!(futures))[..],
        &text(&keyset)[..],
    );
    evaluate(&Data::Published(files.unwrap()), Choice::All(Field::Quick), &mut || ()).unwrap()
}

#[test]
fn another_users_future_is_not_learned_from() {
    let without = judged(&histories(), |user| padded(&[vec![user % 7]]));
    let planted = judged(&histories(), |_| padded(&[vec![22]]));
    let absent = judged(&histories(), |_| json!("no baskets at all"));
    // Equal to the bit: the report holds the figures themselves.
    assert_eq!(without, planted);
    assert_eq!(without, absent);

    // Whoever sees it cannot miss it: as part of histories the same baskets change the figures.
    let mut seen = histories();
    for user in 0..TRAIN {
        let baskets = seen[&user.to_string()].as_array_mut().unwrap();
        let last = baskets.len() - 1;
        baskets.insert(last, json!([22]));
    }
    let seen = judged(&seen, |user| padded(&[vec![user % 7]]));
    let recall = |report: &Report, method: Method| {
        let found = report.methods.iter().find(|scores| scores.method == method.name());
        found.unwrap().recall10
    };
    assert!(recall(&seen, Method::Rerank) > recall(&without, Method::Rerank));
}

#[test]
fn what_comes_after_the_cut_is_not_learned_from() {
    let mut text = "customer,date,item\n".to_owned();
    let mut buy = |user: usize, day: usize, item: usize| {
        let _ = writeln!(text, "{user},1970-{:02}-{:02},{item}", 1 + day / 28, 1 + day % 28);
    };
    for user in 0..80_usize {
        for turn in 0..16 {
            let day = turn * 6 + user % 5;
            buy(user, day, user % 4);
            buy(user, day, 4 + (user + turn) % 6);
        }
    }
    let data = |text: &str| {
        let purchases = Purchases::read(Cursor::new(text)).unwrap();
        Data::Dated(Dated::new(purchases, Some(79), Some(14)))
    };
    let judged = |data: &Data| evaluate(data, Choice::All(Field::Quick), &mut || ()).unwrap();
    let without = judged(&data(&text));
    // People who are not judged, because new, buy one thing only after the cut.
    let mut planted = text.clone();
    for user in 1_000..1_100 {
        let _ = writeln!(planted, "{user},1970-03-27,3");
    }
    assert_eq!(judged(&data(&planted)), without);
    assert!(without.shipped.recall10 > 0.5, "{without:?}");
}

#[test]
fn cuts_go_back_in_time() {
    let text = "customer,date,item\n".to_owned()
        + &(0..60)
            .map(|day| format!("7,1970-{:02}-{:02},a\n", 1 + day / 28, 1 + day % 28))
            .collect::<String>();
    let dated = Dated::new(Purchases::read(Cursor::new(text)).unwrap(), None, Some(10));
    let data = Data::Dated(dated);
    let last_day = |back| {
        let cut = data.cut(back);
        (cut.people[0].now() - 1, cut.asked.len())
    };
    // The file ends on day 61 (two days of February do not exist in it).
    let (newest, asked) = last_day(0);
    assert_eq!(asked, 1);
    assert_eq!(last_day(1), (newest - 11, 1));
    assert_eq!(last_day(2), (newest - 22, 1));
    assert_eq!(last_day(9), (newest - 99, 0));
}

#[test]
fn nobody_to_judge_by_is_told() {
    let purchases = Purchases::read(Cursor::new("customer,date,item\n1,1970-01-01,a\n")).unwrap();
    let data = Data::Dated(Dated::new(purchases, None, None));
    let error = evaluate(&data, Choice::Auto(Field::Quick), &mut || ()).unwrap_err();
    assert!(matches!(error, BasketError::Nobody), "{error}");
}

#[test]
fn without_more_history_what_needs_no_training_is_taken() {
    let history = json!({"1": [[-1],[4],[-1]]}).to_string();
    let keyset = br#"{"test": ["1"]}"#;
    let files = Published::read(history.as_bytes(), history.as_bytes(), &keyset[..]).unwrap();
    let data = Data::Published(files);
    let found = evaluate(&data, Choice::Auto(Field::Quick), &mut || ()).unwrap();
    assert_eq!((found.shipped.method.as_str(), found.shipped.recall10), ("ens", 1.0));
    let error = evaluate(&data, Choice::One(Method::Rerank), &mut || ()).unwrap_err();
    assert!(error.to_string().contains("--method ens"), "{error}");
}

/// What everybody buys at present.
struct Favourites;

impl Scorer for Favourites {
    fn name(&self) -> &str {
        "favourites"
    }

    fn scores(&self, _: &History, candidates: &Candidates, out: &mut Vec<f64>) {
        out.clear();
        out.extend(candidates.places.iter().map(|place| -f64::from(*place)));
    }
}

/// Ta-Feng's purchases, where this machine has them, of one in so many customers.
fn tafeng(one_in: u64) -> Option<Data> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = env::var_os("ATTUNE_DATA").map_or(beside, Into::into);
    let path = data.join("tafeng/ta_feng.csv.zip");
    let Ok(file) = File::open(&path) else {
        println!("skipped: no data (no {}; set ATTUNE_DATA)", path.display());
        return None;
    };
    let mut purchases = Purchases::read(file).unwrap();
    purchases.customers.retain(|customer| {
        customer.id.parse::<u64>().is_ok_and(|number| number.is_multiple_of(one_in))
    });
    Some(Data::Dated(Dated::new(purchases, None, None)))
}

#[test]
fn habits_say_more_than_fashion() {
    let Some(data) = tafeng(16) else { return };
    let cut = data.cut(0);
    let found = judge_cut(&cut, &[&Favourites, &Method::Tifu, &Method::Ens], &mut || ()).unwrap();
    assert!(found[0].users > 300, "{found:?}");
    assert!(found[1].recall10 > found[0].recall10, "{found:?}");
    assert!(found[2].recall10 > found[0].recall10, "{found:?}");
}

#[test]
#[ignore = "minutes long: the figures of the book"]
fn the_bars_on_ta_feng() {
    let Some(data) = tafeng(1) else { return };
    let report = evaluate(&data, Choice::All(Field::Recurrent), &mut || ()).unwrap();
    println!("{}", serde_json::to_string_pretty(&report).unwrap());
    let [tifu, _, ens, ..] = &report.methods[..] else { panic!("{report:?}") };
    assert_eq!(report.shipped.users, 7_141);
    assert!((tifu.recall10 - 0.1304).abs() <= 0.003 && (tifu.ndcg10 - 0.11).abs() <= 0.003);
    assert!(ens.recall10 >= 0.142 && ens.ndcg10 >= 0.119);
    assert!(report.shipped.recall10 >= 0.155 && report.shipped.ndcg10 >= 0.13);
}
