//! A dated replay: what happened to a shop's customers is told to a running server week by week, as
//! if it were happening; at each week's end the server trains and predicts, and what it says is held
//! against the week that follows.
//!
//! The data are the Ta-Feng grocery transactions, November 2000 to February 2001 (Hsu, Wu and Tsai,
//! "Mining and Summarizing Customer Purchase Behaviors", 2004): `data/tafeng`.

use futures::{StreamExt, stream};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use protocol::intake::{CLOUDEVENTS_BATCH, MAX_CART_ITEMS};
use reqwest::{Client, Method, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use server::{
    Outcome, Quality,
    keys::{Keychain, NewKey},
    scope::Scope,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// How far ahead the server predicts.
const HORIZON_DAYS: i64 = 7;
/// When shops are open, for a transaction of which only the day is known.
const NOON_MS: i64 = DAY_MS / 2;
/// Rows in a request.
const ROWS: usize = 500;
/// Requests at once.
const AT_ONCE: usize = 8;
/// What the prices are in: New Taiwan dollars.
const CURRENCY: &str = "TWD";
/// How long a training or a sweep may take here.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What one customer bought on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct Basket {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Whose.
    pub customer: String,
    /// Which of their receipts of that day: a long one is reported as several.
    pub receipt: usize,
    /// All of it, whole units of the currency.
    pub value: f64,
    /// Product, its class, and how many.
    pub items: Vec<(String, String, f64)>,
}

/// The archive of the transactions, where this machine has it; says so where it has not.
#[must_use]
pub fn tafeng() -> Option<PathBuf> {
    let path = crate::data::folder().join("tafeng/ta_feng.csv.zip");
    if !path.exists() {
        println!("skipped: no data at {}", path.display());
        return None;
    }
    Some(path)
}

/// The baskets in the archive, in the order of their days; of a share of the customers, 1 in so many.
#[must_use]
pub fn baskets(archive: &Path, one_in: u64) -> Vec<Basket> {
    let mut archive = zip::ZipArchive::new(File::open(archive).unwrap()).unwrap();
    let lines = BufReader::new(archive.by_index(0).unwrap()).lines();
    let mut found: BTreeMap<(i64, String, usize), Basket> = BTreeMap::new();
    for line in lines.skip(1) {
        let line = line.unwrap();
        let cells: Vec<&str> = line.split(',').map(|cell| cell.trim_matches('"')).collect();
        let [date, customer, _, _, class, product, amount, _, price] = cells[..] else {
            panic!("a row of {} cells: {line}", cells.len());
        };
        let number: u64 = customer.parse().unwrap();
        if !number.is_multiple_of(one_in) {
            continue;
        }
        let mut key = (day_of(date), customer.to_owned(), 0);
        while found.get(&key).is_some_and(|basket| basket.items.len() >= MAX_CART_ITEMS) {
            key.2 += 1;
        }
        let basket = found.entry(key).or_insert_with_key(|(day, customer, receipt)| Basket {
            day: *day,
            customer: customer.clone(),
            receipt: *receipt,
            value: 0.0,
            items: Vec::new(),
        });
        basket.value += price.parse::<f64>().unwrap();
        basket.items.push((product.to_owned(), class.to_owned(), amount.parse().unwrap()));
    }
    found.into_values().collect()
}

/// Days since 1970-01-01 of a date as month/day/year.
fn day_of(date: &str) -> i64 {
    let date = Date::strptime("%m/%d/%Y", date).unwrap();
    date.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp().as_second() * 1_000 / DAY_MS
}

/// A time as RFC 3339.
fn rfc3339(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).unwrap().to_string()
}

/// How the server is started and what is replayed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program and its first arguments, to which `serve`'s and `train`'s are added.
    pub attune: Vec<String>,
    /// Weeks before the first prediction.
    pub first_week: usize,
    /// The last week that is predicted, counted from the beginning; all, if beyond.
    pub last_week: usize,
    /// Which of the facts' columns the model gets: the standard features, if absent.
    pub feature_definitions: Option<PathBuf>,
    /// Whether what nobody could know is told as well.
    pub planted: Planted,
}

/// A wish, dated the eve of a week's end, of everybody who buys in the week that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// None.
    Nothing,
    /// Known once it was wished: it gives the future away.
    Open,
    /// Stored with the rest, but known only when the week that follows is over.
    Hidden,
}

/// How one week's predictions fared.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Week {
    /// The end of the week, the time of the predictions: RFC 3339.
    pub as_of: String,
    /// People predicted: who had been seen before.
    pub people: usize,
    /// Who serves.
    pub model: String,
    /// What the training came to: the state that its model got.
    pub trained: Value,
    /// The server's predictions.
    pub served: Quality,
    /// The same of the rule of thumb "buys this week who bought last week", as shares known by
    /// then.
    pub naive: Quality,
    /// How long the training took, seconds.
    pub training_s: f64,
    /// How long the sweep took, seconds.
    pub sweep_s: f64,
}

/// What a replay came to.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// Baskets told to the server.
    pub baskets: usize,
    /// Customers.
    pub customers: usize,
    /// Week by week.
    pub weeks: Vec<Week>,
    /// All weeks' predictions together.
    pub all: Quality,
    /// The same by the rule of thumb.
    pub naive: Quality,
    /// The whole replay, seconds.
    pub seconds: f64,
}

/// Replays baskets.
///
/// # Panics
/// When the server does not do what it is asked.
pub async fn replay(plan: &Plan, baskets: &[Basket]) -> Report {
    let begun = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(plan, folder.path()).await;
    let first_day = baskets[0].day;
    let last_day = baskets[baskets.len() - 1].day;
    let mut people: HashMap<Uuid, String> = HashMap::new();
    let (mut weeks, mut all, mut by_rule) = (Vec::new(), Vec::new(), Vec::new());
    let mut told = 0;
    for week in 1..=plan.last_week {
        // The end of the week, in the night.
        let end_day = first_day + 7 * week as i64;
        if end_day + HORIZON_DAYS - 1 > last_day {
            break;
        }
        let until = baskets.partition_point(|basket| basket.day < end_day);
        server.tell(&baskets[told..until]).await;
        told = until;
        server.plant(plan.planted, baskets, until, end_day).await;
        if week < plan.first_week {
            continue;
        }
        let as_of = rfc3339(end_day * DAY_MS);
        let clock = Instant::now();
        let trained = server.work("/v1/trainings", &as_of).await;
        let training_s = clock.elapsed().as_secs_f64();
        let clock = Instant::now();
        let swept = server.work("/v1/sweeps", &as_of).await;
        let sweep_s = clock.elapsed().as_secs_f64();
        server.recognise(&baskets[..until], &mut people).await;
        let said = server.predictions().await;
        let follows = &baskets[until..];
        let next: BTreeSet<&str> = buyers(follows, end_day, end_day + HORIZON_DAYS);
        let outcomes: Vec<Outcome> = said
            .iter()
            .map(|(person, probability)| Outcome {
                probability: *probability,
                happened: next.contains(people[person].as_str()),
            })
            .collect();
        let thumb = naive(baskets, until, end_day, &said, &people);
        if let (Some(served), Some(naive)) = (Quality::of(&outcomes), Quality::of(&thumb)) {
            all.extend(outcomes);
            by_rule.extend(thumb);
            weeks.push(Week {
                as_of,
                people: said.len(),
                model: swept["model"].as_str().unwrap_or_default().to_owned(),
                trained,
                served,
                naive,
                training_s,
                sweep_s,
            });
        }
    }
    let customers: BTreeSet<&str> = baskets.iter().map(|b| b.customer.as_str()).collect();
    Report {
        baskets: told,
        customers: customers.len(),
        weeks,
        all: Quality::of(&all).expect("nothing was predicted: the server trained no model"),
        naive: Quality::of(&by_rule).unwrap(),
        seconds: begun.elapsed().as_secs_f64(),
    }
}

/// Who bought within days.
fn buyers(baskets: &[Basket], from: i64, to: i64) -> BTreeSet<&str> {
    let within = baskets.iter().filter(|basket| (from..to).contains(&basket.day));
    within.map(|basket| basket.customer.as_str()).collect()
}

/// The share of last week's buyers who bought again, and that of the others, from the two weeks
/// before.
fn naive(
    baskets: &[Basket],
    until: usize,
    end_day: i64,
    said: &BTreeMap<Uuid, f64>,
    people: &HashMap<Uuid, String>,
) -> Vec<Outcome> {
    let past = &baskets[..until];
    let newest = buyers(past, end_day - 7, end_day);
    let before = buyers(past, end_day - 14, end_day - 7);
    let seen = buyers(past, i64::MIN, end_day - 7);
    let share = |of: &dyn Fn(&&&str) -> bool| {
        let group: Vec<_> = seen.iter().filter(of).collect();
        let again = group.iter().filter(|customer| newest.contains(**customer)).count();
        again as f64 / group.len().max(1) as f64
    };
    let again = share(&|customer| before.contains(**customer));
    let others = share(&|customer| !before.contains(**customer));
    let next = buyers(&baskets[until..], end_day, end_day + HORIZON_DAYS);
    let outcomes = said.keys().map(|person| {
        let customer = people[person].as_str();
        let probability = if newest.contains(customer) { again } else { others };
        Outcome { probability, happened: next.contains(customer) }
    });
    outcomes.collect()
}

/// A server process, and a key for everything.
struct Running {
    child: Child,
    url: String,
    key: String,
    client: Client,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    async fn start(plan: &Plan, folder: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = folder.join("data");
        let keys = Keychain::open(&data).await.unwrap();
        let scopes = Scope::ALL.into_iter().collect();
        let new = NewKey { name: "replay".to_owned(), scopes, expires_unix_ms: None };
        let (token, _) = keys.create(new, 0).await.unwrap();
        keys.close().await;
        let settings = folder.join("settings.toml");
        let train: Vec<String> =
            plan.attune.iter().cloned().chain(["train", "conversion"].map(String::from)).collect();
        let definitions = plan.feature_definitions.as_ref().map_or(String::new(), |path| {
            format!("feature_definitions = {:?}\n", path.display().to_string())
        });
        // Nothing but what is asked for happens: dates are the replay's, not the clock's.
        std::fs::write(
            &settings,
            format!(
                "listen = \"127.0.0.1:0\"\ndata_dir = {:?}\n{definitions}\
                 [limits]\nkey = {{ per_second = 100000, burst = 100000 }}\n\
                 [conversion]\nscore_changes = false\nsweep_hours = 0\nlate_days = 0\n\
                 [conversion.training]\nevery_days = 0\ndrift_percent = 0\n\
                 calibration_percent = 0\ncommand = {:?}\n",
                data.display().to_string(),
                train.iter().chain([&"--json".to_owned()]).collect::<Vec<_>>(),
            ),
        )
        .unwrap();
        let (program, words) = plan.attune.split_first().unwrap();
        let mut child = Command::new(program)
            .args(words)
            .args(["serve", "--json", "--config"])
            .arg(&settings)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the server ended before it listened").unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        // What it says later must not fill the pipe.
        thread::spawn(move || lines.for_each(drop));
        let url = ready["url"].as_str().unwrap().to_owned();
        Self { child, url, key: token.reveal().to_owned(), client: Client::new() }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Reports baskets as offline conversions, each known since it happened.
    async fn tell(&self, baskets: &[Basket]) {
        for some in baskets.chunks(ROWS) {
            let events: Vec<Value> = some.iter().map(event).collect();
            let body = json!({"destination": {"reference": "tafeng"}, "events": events});
            let path = "/v1/conversions?known_at=event";
            let (status, reply) = self.ask(Method::POST, path, Some(&body)).await;
            assert_eq!(status, StatusCode::OK, "{reply}");
            assert_eq!(reply["stored"], some.len(), "{reply}");
        }
    }

    /// Reports the wishes before a week, of customers who have been seen.
    async fn plant(&self, planted: Planted, baskets: &[Basket], until: usize, end_day: i64) {
        let eve = (end_day - 1) * DAY_MS + NOON_MS;
        let known_at = match planted {
            Planted::Nothing => return,
            Planted::Open => "event".to_owned(),
            Planted::Hidden => rfc3339((end_day + HORIZON_DAYS) * DAY_MS + NOON_MS),
        };
        let seen = buyers(&baskets[..until], i64::MIN, end_day);
        let next = buyers(&baskets[until..], end_day, end_day + HORIZON_DAYS);
        let buyers: Vec<_> = seen.intersection(&next).collect();
        for some in buyers.chunks(ROWS) {
            let events: Vec<Value> = some.iter().map(|customer| wish(customer, eve)).collect();
            let path = format!("{}/v1/behaviour?known_at={known_at}", self.url);
            let request = self.client.post(path).bearer_auth(&self.key);
            let request = request.header(CONTENT_TYPE, CLOUDEVENTS_BATCH);
            let answer = request.body(serde_json::to_vec(&events).unwrap()).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            assert_eq!(answer["stored"], some.len(), "{answer}");
        }
    }

    /// Has work done as of a time, and gives what came of it.
    async fn work(&self, path: &str, as_of: &str) -> Value {
        let (status, job) = self.ask(Method::POST, path, Some(&json!({"as_of": as_of}))).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{job}");
        let path = format!("{path}/{}", job["id"].as_str().unwrap());
        let begun = Instant::now();
        loop {
            let (status, job) = self.ask(Method::GET, &path, None).await;
            assert_eq!(status, StatusCode::OK, "{job}");
            match job["state"].as_str().unwrap() {
                "done" => return job["result"].clone(),
                // The first weeks are too short to learn from: that is an answer as well.
                "failed" => return job["result"].clone(),
                "waiting" if job["result"]["error"].is_string() => return job["result"].clone(),
                _ => assert!(begun.elapsed() < PATIENCE, "{job}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Which id the server gave to which customer.
    async fn recognise(&self, baskets: &[Basket], people: &mut HashMap<Uuid, String>) {
        let known: BTreeSet<&str> = people.values().map(String::as_str).collect();
        let all: BTreeSet<&str> = baskets.iter().map(|basket| basket.customer.as_str()).collect();
        let found = stream::iter(all.difference(&known).map(|customer| async move {
            let body = json!({"user_identifiers": [{"user_id": customer}]});
            let (status, reply) = self.ask(Method::POST, "/v1/people/resolve", Some(&body)).await;
            assert_eq!(status, StatusCode::OK, "{reply}");
            let person = reply["people"][0]["person"].as_str().unwrap();
            (person.parse().unwrap(), (*customer).to_owned())
        }));
        let found: Vec<(Uuid, String)> = found.buffer_unordered(AT_ONCE).collect().await;
        people.extend(found);
    }

    /// Everybody's prediction.
    async fn predictions(&self) -> BTreeMap<Uuid, f64> {
        let (mut all, mut after) = (BTreeMap::new(), Uuid::nil());
        loop {
            let path = format!("/v1/predictions?limit=10000&after={after}");
            let (status, page) = self.ask(Method::GET, &path, None).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            for one in page["predictions"].as_array().unwrap() {
                let person = one["person"].as_str().unwrap().parse().unwrap();
                all.insert(person, one["probability"].as_f64().unwrap());
            }
            let Some(next) = page["next"].as_str() else { return all };
            after = next.parse().unwrap();
        }
    }
}

/// A basket as an offline conversion.
fn event(basket: &Basket) -> Value {
    let Basket { day, customer, receipt, value, items } = basket;
    let items: Vec<Value> = items
        .iter()
        .map(|(item, category, quantity)| {
            json!({"item": item, "category": category, "quantity": quantity})
        })
        .collect();
    json!({
        "transaction_id": format!("{customer}-{day}-{receipt}"),
        "event_timestamp": rfc3339(day * DAY_MS + NOON_MS),
        "event_name": "store_purchase",
        "conversion_value": value,
        "currency": CURRENCY,
        "user_identifiers": [{"user_id": customer}],
        "cart_items": items,
        "consent": {"conversion": "granted"},
    })
}

/// A wish for something.
fn wish(customer: &str, unix_ms: i64) -> Value {
    json!({
        "specversion": "1.0", "id": format!("{customer}-{unix_ms}"), "type": "wish",
        "source": "https://shop.example", "time": rfc3339(unix_ms),
        "data": {"user_identifiers": [{"user_id": customer}], "consent": {"behaviour": "granted"}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        assert_eq!(day_of("1/1/1970"), 0);
        assert_eq!(day_of("2/28/2001"), 11_381);
        assert_eq!(rfc3339(11_381 * DAY_MS + NOON_MS), "2001-02-28T12:00:00Z");
        assert_eq!(rfc3339(day_of("2/29/2000") * DAY_MS), "2000-02-29T00:00:00Z");
    }
}
