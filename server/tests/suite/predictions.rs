//! Predictions over the wire: models come in by training, people are scored, forecasts are checked.

use crate::support::{Operator, Running, config, key, no_limits};
use models::{
    booster::{Forest, Leaf, Objective, Split, Tree},
    calibration::Calibrator,
    conversion::{ColdStart, KindModel, Lineage, Parts, Predictor},
    profile::Definitions,
};
use protocol::offer::Currency;
use serde_json::{Value, json};
use server::{Config, ConversionConfig, TrainingConfig, scope::Scope};
use tempfile::TempDir;
use uuid::Uuid;

const DAY_MS: i64 = 86_400_000;
/// 2026-06-01, a Monday.
const MONDAY_MS: i64 = 1_780_272_000_000;

/// A training that always gives the same model: frequent buyers buy again.
struct Trainer {
    folder: TempDir,
}

impl Trainer {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// What the next training gives.
    fn gives(&self, often: f64, report: &Value) {
        let path = |name: &str| self.folder.path().join(name);
        std::fs::write(path("model"), predictor(often).to_json().unwrap()).unwrap();
        std::fs::write(path("report"), report.to_string()).unwrap();
    }

    fn command(&self) -> Vec<String> {
        let folder = self.folder.path().display();
        let script = format!(
            "while [ $# -gt 0 ]; do [ \"$1\" = --out ] && cp {folder}/model \"$2\"; shift; done; \
             echo words before; cat {folder}/report"
        );
        ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
    }
}

fn predictor(often: f64) -> Predictor {
    let definitions = Definitions::standard().unwrap();
    let column = definitions.column("conversions_30d").unwrap();
    let split =
        Split { feature: column as u32, threshold: 1.5, missing_left: true, left: -1, right: -2 };
    let leaves = vec![Leaf { value: -1.0, count: 50 }, Leaf { value: often, count: 50 }];
    let tree = Tree { splits: vec![split], leaves };
    let width = definitions.features().len();
    Predictor::new(Parts {
        format: Predictor::FORMAT,
        features: definitions.inputs(),
        definitions: definitions.digest(),
        horizon_days: 7,
        kinds: vec!["store_purchase".into()],
        currency: Currency::EUR,
        forest: Forest::new(Objective::Binary, width, vec![0.0], vec![tree]).unwrap(),
        calibration: Calibrator::IDENTITY,
        kind: KindModel::Shares(vec![1.0]),
        value: None,
        cold_start: ColdStart {
            base: None,
            calibration: Calibrator::IDENTITY,
            until_weeks: 0.0,
            newcomers: None,
        },
        lineage: Lineage {
            from_unix_ms: 0,
            until_unix_ms: 0,
            fitted_rows: 0,
            calibrated_rows: 0,
            judged_rows: 0,
            seed: 1,
            scores: Default::default(),
        },
    })
    .unwrap()
}

/// A comparison of a thousand people with a mean gain, of which there is no doubt.
fn gain(mean: f64) -> Value {
    json!({"count": 1_000, "sum": 1_000.0 * mean, "sum_of_squares": 1_000.0 * mean * mean})
}

struct Shop {
    operator: Operator,
    trainer: Trainer,
}

impl Shop {
    async fn open() -> Self {
        let trainer = Trainer::new();
        let folder = TempDir::new().unwrap();
        let key = key(folder.path(), &Scope::ALL).await;
        let training = TrainingConfig {
            every_days: 0,
            drift_percent: 0,
            calibration_percent: 0,
            command: trainer.command(),
            ..TrainingConfig::default()
        };
        let conversion = ConversionConfig {
            score_changes: false,
            sweep_hours: 0,
            late_days: 0,
            training,
            ..ConversionConfig::default()
        };
        let config = Config { conversion, limits: no_limits(), ..config(folder.path()) };
        let server = Running::start_with(folder, config).await;
        Self { operator: Operator { server, key }, trainer }
    }

    /// Somebody buys something on a day, counted from the Monday.
    async fn buys(&self, purchases: &[(u32, i64)]) {
        let rows: Vec<Value> = purchases
            .iter()
            .map(|(person, day)| {
                let at = jiff::Timestamp::from_millisecond(MONDAY_MS + day * DAY_MS).unwrap();
                json!({
                    "transaction_id": format!("{person}-{day}"), "event_name": "store_purchase",
                    "event_timestamp": at.to_string(), "conversion_value": 10.0, "currency": "EUR",
                    "user_identifiers": [{"user_id": person.to_string()}],
                    "consent": {"conversion": "granted"},
                })
            })
            .collect();
        for some in rows.chunks(500) {
            let reply = self.operator.take("/v1/conversions?known_at=event", &some).await;
            assert_eq!(reply.status.stored, some.len() as u64, "{reply:?}");
        }
    }

    async fn person(&self, person: u32) -> Uuid {
        let body = json!({"user_identifiers": [{"user_id": person.to_string()}]});
        let answer = self.operator.post("/v1/people/resolve").json(&body).send().await.unwrap();
        let found: Value = answer.json().await.unwrap();
        found["people"][0]["person"].as_str().unwrap().parse().unwrap()
    }

    async fn ask(&self, path: &str, status: u16) -> Value {
        let answer = self.operator.get(path).send().await.unwrap();
        let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(found, status, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn order(&self, path: &str, body: &Value, status: u16) -> Value {
        let answer = self.operator.post(path).json(body).send().await.unwrap();
        let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(found, status, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Has work done as of a day; gives what came of it.
    async fn work(&self, path: &str, day: i64) -> Value {
        let at = jiff::Timestamp::from_millisecond(MONDAY_MS + day * DAY_MS).unwrap();
        let job = self.order(path, &json!({"as_of": at.to_string()}), 202).await;
        let path = format!("{path}/{}", job["id"].as_str().unwrap());
        loop {
            let job = self.ask(&path, 200).await;
            if job["state"] == "done" {
                return job["result"].clone();
            }
            assert!(job["result"]["error"].is_null(), "{job}");
            tokio::task::yield_now().await;
        }
    }
}

/// 300 people: the first 100 bought four times in the weeks before the Monday, the others once.
fn purchases() -> Vec<(u32, i64)> {
    let once = (0..300).map(|person| (person, -20));
    let often = (0..100).flat_map(|person| [-15, -10, -5].map(|day| (person, day)));
    once.chain(often).collect()
}

#[tokio::test]
async fn from_facts_to_predictions_and_back_to_what_happened() {
    let shop = Shop::open().await;
    shop.buys(&purchases()).await;
    let (often, seldom) = (shop.person(7).await, shop.person(200).await);
    let of = |person: Uuid| format!("/v1/people/{person}/prediction");
    let no_model = shop.ask(&of(often), 409).await;
    assert!(no_model["detail"].as_str().unwrap().contains("no model serves yet"));
    shop.ask(&of(Uuid::from_u128(1)), 404).await;

    shop.trainer.gives(1.0, &json!({"lineage": {}, "evidence": {"over_base": gain(0.02)}}));
    let trained = shop.work("/v1/trainings", 0).await;
    assert_eq!(trained["state"], "champion");
    let first = trained["model"].as_str().unwrap().to_owned();
    let swept = shop.work("/v1/sweeps", 0).await;
    assert_eq!((&swept["people"], &swept["predicted"]), (&json!(300), &json!(300)));
    assert_eq!((&swept["forecasts"], &swept["model"]), (&json!(300), &json!(first)));

    let page = shop.ask("/v1/predictions?min_probability=0.5", 200).await;
    assert_eq!(page["predictions"].as_array().unwrap().len(), 100);
    let (mut seen, mut after) = (0, Uuid::nil().to_string());
    loop {
        let page = shop.ask(&format!("/v1/predictions?limit=70&after={after}"), 200).await;
        seen += page["predictions"].as_array().unwrap().len();
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut after);
    }
    assert_eq!(seen, 300);

    // C18: automatic, by whom, why, and what to do about it.
    let answer = shop.ask(&of(often), 200).await;
    let probability = answer["probability"].as_f64().unwrap();
    assert!((probability - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-9, "{answer}");
    assert_eq!((&answer["model"], &answer["horizon_days"]), (&json!(first), &json!(7)));
    assert_eq!(answer["scored_unix_ms"], MONDAY_MS);
    assert_eq!(answer["reasons"][0]["feature"], "conversions_30d");
    assert_eq!(answer["reasons"][0]["words"], "bought 4 times in the last 30 days");
    assert!(answer["automatic"]["notice"].as_str().unwrap().contains(&first));
    assert!(answer["automatic"]["contest"].as_str().unwrap().contains("human"));
    assert!(shop.ask(&of(seldom), 200).await["probability"].as_f64().unwrap() < 0.3);

    // The week after: 60 of those who bought often buy, and 20 of the others.
    let week: Vec<(u32, i64)> = (0..60).chain(100..120).map(|person| (person, 3)).collect();
    shop.buys(&week).await;
    let swept = shop.work("/v1/sweeps", 7).await;
    assert_eq!(swept["checked"], 300);
    let performance = shop.ask(&format!("/v1/models/{first}/performance"), 200).await;
    let served = &performance["checks"][0]["served"];
    assert_eq!((&served["predictions"], &served["rate"]), (&json!(300), &json!(80.0 / 300.0)));
    // 100 x 60 + ... of 80 x 220 pairs in order, ties half.
    let auc = (60.0 * 180.0 + 0.5 * (60.0 * 40.0 + 20.0 * 180.0)) / (80.0 * 220.0);
    assert!((served["auc"].as_f64().unwrap() - auc).abs() < 1e-9, "{served}");
    assert_eq!(shop.work("/v1/sweeps", 8).await["checked"], 0, "each forecast once");
}

#[tokio::test]
async fn what_became_known_later_is_not_used() {
    let shop = Shop::open().await;
    shop.buys(&purchases()).await;
    shop.trainer.gives(1.0, &json!({"lineage": {}, "evidence": {"over_base": gain(0.02)}}));
    shop.work("/v1/trainings", 0).await;
    let predictions = async || {
        let swept = shop.work("/v1/sweeps", 0).await;
        assert_eq!(swept["predicted"], 300);
        shop.ask("/v1/predictions", 200).await
    };
    let before = predictions().await;
    // Would give everybody a high probability, if it were looked at.
    let later: Vec<(u32, i64)> =
        (0..400).flat_map(|person| [1, 2, 3, 4].map(|day| (person, day))).collect();
    shop.buys(&later).await;
    assert_eq!(predictions().await, before);
    // That it matters as soon as it may be known: everybody, and the hundred new ones.
    let swept = shop.work("/v1/sweeps", 5).await;
    assert_eq!(swept["predicted"], 400);
    let high = shop.ask("/v1/predictions?min_probability=0.5", 200).await;
    assert_eq!(high["predictions"].as_array().unwrap().len(), 400);
}

#[tokio::test]
async fn models_come_and_go_by_the_rule_and_by_hand_and_it_is_written_down() {
    let shop = Shop::open().await;
    shop.buys(&purchases()).await;
    let evidence = |champion: Option<f64>| json!({"over_base": gain(0.02), "over_champion": champion.map(gain)});
    let train = async |often: f64, report: Value| {
        shop.trainer.gives(often, &report);
        let trained = shop.work("/v1/trainings", 0).await;
        (trained["model"].as_str().unwrap().to_owned(), trained["state"].clone())
    };
    let none = json!({"lineage": {"seed": 1}, "evidence": {"over_base": gain(-0.01)}});
    assert_eq!(train(0.1, none).await.1, "rejected");
    let (first, state) = train(1.0, json!({"lineage": {}, "evidence": evidence(None)})).await;
    assert_eq!(state, "champion");
    let against = |gain| json!({"lineage": {}, "evidence": evidence(Some(gain)), "against": first});
    assert_eq!(train(1.1, against(-0.01)).await.1, "rejected");
    let (second, state) = train(1.2, against(0.0)).await;
    assert_eq!(state, "challenger");
    let (third, state) = train(1.3, against(0.01)).await;
    assert_eq!(state, "champion");
    // The same file again is the same model.
    assert_eq!(train(1.3, against(0.01)).await, (third.clone(), json!("champion")));

    let state = async |id: &str| shop.ask(&format!("/v1/models/{id}"), 200).await["state"].clone();
    assert_eq!(state(&first).await, "challenger", "it may come back");
    shop.order(&format!("/v1/models/{second}/promote"), &json!({}), 200).await;
    shop.order(&format!("/v1/models/{second}/promote"), &json!({}), 409).await;
    assert_eq!(
        (state(&second).await, state(&third).await),
        (json!("champion"), json!("challenger"))
    );
    shop.order(&format!("/v1/models/{second}/retire"), &json!({}), 200).await;
    shop.order(&format!("/v1/models/{second}/retire"), &json!({}), 409).await;
    shop.order("/v1/models/none/promote", &json!({}), 404).await;
    assert_eq!(shop.ask("/v1/models", 200).await["models"].as_array().unwrap().len(), 5);

    let audited = shop.operator.server.audited("model").await;
    let told = |what: &str, id: &str| {
        audited.iter().any(|line| line.starts_with(&format!("{what} {id}: ")))
    };
    assert!(told("promoted", &first) && told("promoted", &third) && told("promoted", &second));
    assert!(told("challenger", &second) && told("retired", &second));
    assert!(audited.iter().any(|line| line.contains("log-loss lower by 0.02000")), "{audited:?}");
}

#[tokio::test]
async fn another_time_than_now_takes_backfill_and_is_not_the_future() {
    let shop = Shop::open().await;
    shop.order("/v1/sweeps", &json!({"as_of": "2999-01-01T00:00:00Z"}), 422).await;
    shop.order("/v1/sweeps", &json!({"as_of": "2026-01-01T00:00:00"}), 422).await;
    shop.order("/v1/sweeps", &json!({"until": "2026-01-01T00:00:00Z"}), 400).await;
    shop.ask(&format!("/v1/sweeps/{}", Uuid::from_u128(1)), 404).await;
    let operator = Operator::with(&[Scope::Predict, Scope::Models]).await;
    for path in ["/v1/sweeps", "/v1/trainings"] {
        let body = json!({"as_of": "2026-01-01T00:00:00Z"});
        let refused = operator.post(path).json(&body).send().await.unwrap();
        assert_eq!(refused.status(), 403);
    }
}

#[tokio::test]
async fn c14_what_models_said_goes_with_what_it_was_told_from() {
    let shop = Shop::open().await;
    shop.buys(&purchases()).await;
    shop.trainer.gives(1.0, &json!({"lineage": {}, "evidence": {"over_base": gain(0.02)}}));
    shop.work("/v1/trainings", 0).await;
    shop.work("/v1/sweeps", 0).await;
    let at = jiff::Timestamp::from_millisecond(MONDAY_MS - 10 * DAY_MS).unwrap().to_string();
    let no = json!({"events": [{
        "transaction_id": "no", "event_name": "store_purchase", "event_timestamp": at,
        "user_identifiers": [{"user_id": "7"}], "consent": {"conversion": "denied"},
    }]});
    let person = shop.person(7).await;
    shop.operator.post("/v1/conversions?known_at=event").json(&no).send().await.unwrap();
    let page = shop.ask("/v1/predictions?limit=1000", 200).await;
    let said = page["predictions"].as_array().unwrap();
    assert_eq!(said.len(), 299);
    assert!(said.iter().all(|one| one["person"] != json!(person)));
    let rows = shop.operator.server.rows().await;
    assert_eq!((rows["predictions"], rows["forecasts"], rows["profiles"]), (299, 299, 300));
}
