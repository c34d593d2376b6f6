//! The year, day by day: what is bought is reported in the evening, the server looks at everybody's
//! needs, and answers come when they come.

use super::{
    Args,
    report::{Count, Day, Manners, Told},
    shop::{self, Sold},
};
use crate::Failure;
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use server::{
    Config, DeliveryConfig, LimitsConfig, OrdersConfig, OrdersTrainingConfig, Rate, Server,
    WebhookConfig,
    keys::{Keychain, NewKey},
    rehearsal::{self, Attendant},
    scope::Scope,
};
use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use training::people::{Answer, Asked, Bought, CATALOGUE, Manner, People, Settings, find};
use uuid::Uuid;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// When the day's purchases are reported, and when needs are looked at: hours of the day.
const REPORTED_HOUR: i64 = 22;
const LOOKED_HOUR: i64 = 23;
/// Purchases of a request, and requests at once.
const ROWS: usize = 500;
const AT_ONCE: usize = 8;
/// Days before the first training: it takes two horizons, three weeks and one to calibrate on.
const FIRST_WEEKS_DAYS: u32 = 28;
/// How long a training or a look at everybody may take.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// How long people take to answer anew what they have changed, minutes.
const AGAIN_MINUTES: i64 = 30;
/// What signs requests to the shop: nobody else is there.
const SECRET: &str = "whsec_c2ltdWxhdGVkIHNob3BzIGhhdmUgbm8gc2VjcmV0cyE=";

/// What is known of an order here.
#[derive(Debug, Clone)]
struct Known {
    person: u32,
    category: usize,
    sku: usize,
    quantity: u32,
    /// Place of the day it was proposed on.
    day: usize,
}

/// Something that somebody will do about an order.
#[derive(Debug, Clone)]
enum Deed {
    /// Look at it again: it was put off, or changed.
    Look,
    /// Say something.
    Say { command: Uuid, act: Value, taps: u8 },
}

struct Year<'a> {
    args: &'a Args,
    client: Client,
    url: String,
    key: String,
    attendant: Attendant,
    people: People,
    /// The server's ids of those who agree, and back.
    ids: HashMap<u32, Uuid>,
    who: HashMap<Uuid, u32>,
    orders: HashMap<Uuid, Known>,
    /// What will be done, by when, Unix milliseconds.
    deeds: BTreeMap<i64, Vec<(Uuid, Deed)>>,
    sold: mpsc::UnboundedReceiver<Sold>,
    days: Vec<Day>,
    /// By the manner of people.
    proposals: BTreeMap<String, Count>,
    /// The newest order that was seen.
    newest: Uuid,
}

/// Lives through all days.
///
/// # Errors
/// What the server does not do, in its own words.
pub async fn live(args: &Args, json: bool) -> Result<Told, Failure> {
    let begun = Instant::now();
    let today = i32::try_from(Timestamp::now().as_millisecond() / DAY_MS)?;
    let first_day = today - args.days.cast_signed();
    let settings =
        Settings { people: args.people, seed: args.seed, first_day, drift: args.drift(first_day) };
    let people = People::new(&settings)?;
    let temporary = tempfile::tempdir()?;
    let folder = args.data.clone().unwrap_or_else(|| temporary.path().join("data"));
    rehearsal::set_clock(i64::from(first_day) * DAY_MS);
    let (shop, sold) = shop::open().await?;
    let keys = Keychain::open(&folder).await?;
    let scopes = Scope::ALL.into_iter().collect();
    let new = NewKey { name: "simulation".to_owned(), scopes, expires_unix_ms: None };
    let (token, _) = keys.create(new, 0).await?;
    keys.close().await;
    let server = Server::bind(config(args, folder, &format!("http://{shop}"))).await?;
    let (url, attendant) = (server.url(), server.attendant());
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run_until(stop.clone().cancelled_owned()));
    let mut year = Year {
        args,
        client: Client::new(),
        url,
        key: token.reveal().to_owned(),
        attendant,
        people,
        ids: HashMap::new(),
        who: HashMap::new(),
        orders: HashMap::new(),
        deeds: BTreeMap::new(),
        sold,
        days: Vec::new(),
        proposals: BTreeMap::new(),
        newest: Uuid::nil(),
    };
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(args.days.into()) };
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} day {pos}/{len}, {elapsed} so far, {eta} to go {msg}",
    )?);
    let mut manners = Vec::new();
    for day in 0..args.days {
        year.day(day).await?;
        if day % 28 == 27 {
            manners.push(year.manners(day).await?);
        }
        let proposed: u64 = year.days.iter().map(|day| day.proposed).sum();
        bar.set_message(format!("({proposed} orders proposed)"));
        bar.inc(1);
    }
    bar.finish_and_clear();
    year.ends().await?;
    let outcomes = year.ask(Method::GET, "/v1/order-outcomes?days=731", None).await?;
    stop.cancel();
    running.await??;
    let drift_day = settings.drift.map(|drift| (drift.day - first_day) as u32);
    Ok(Told {
        people: args.people,
        agreed: year.ids.len(),
        seed: args.seed,
        first_day,
        horizon_days: args.horizon_days,
        drift: format!("{:?}", args.drift).to_lowercase(),
        drift_day,
        days: year.days,
        manners,
        proposals: year.proposals,
        outcomes,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Nothing but what is asked for happens: the days are the simulation's.
fn config(args: &Args, data_dir: std::path::PathBuf, shop: &str) -> Config {
    let mut config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir,
        orders: OrdersConfig {
            sweep_hours: 0,
            checked_people: args.people.min(1_000),
            shop: Some(WebhookConfig { url: shop.to_owned(), secret: SECRET.to_owned() }),
            training: OrdersTrainingConfig {
                every_days: 0,
                horizon_days: args.horizon_days,
                ..OrdersTrainingConfig::default()
            },
            ..OrdersConfig::default()
        },
        delivery: DeliveryConfig::default(),
        limits: LimitsConfig { key: Rate { per_second: 0, burst: 0 }, ..LimitsConfig::default() },
        ..Config::default()
    };
    config.conversion.score_changes = false;
    config.conversion.sweep_hours = 0;
    config.conversion.training.every_days = 0;
    config.conversion.training.drift_percent = 0;
    config.conversion.training.calibration_percent = 0;
    config
}

impl Year<'_> {
    /// Lives through a day.
    async fn day(&mut self, number: u32) -> Result<(), Failure> {
        let midnight = i64::from(self.people.today() + 1) * DAY_MS;
        self.days.push(Day { day: number, ..Day::default() });
        self.answers(midnight + REPORTED_HOUR * HOUR_MS).await?;
        let bought = self.people.live_a_day();
        rehearsal::set_clock(midnight + REPORTED_HOUR * HOUR_MS);
        self.report(number, midnight, &bought).await?;
        self.agree(&bought).await?;
        rehearsal::set_clock(midnight + LOOKED_HOUR * HOUR_MS);
        self.attend().await?;
        let first = FIRST_WEEKS_DAYS + 2 * u32::from(self.args.horizon_days);
        if number >= first && (number - first).is_multiple_of(self.args.train_every) {
            self.work("/v1/order-trainings").await?;
        }
        let looked = self.work("/v1/order-sweeps").await?;
        let level = looked["level"].as_str().map(ToOwned::to_owned);
        self.attend().await?;
        if let Some(day) = self.days.last_mut() {
            day.bought = bought.len() as u64;
            day.suggested = looked["suggested"].as_u64().unwrap_or_default();
            day.level = level;
            day.look_s = looked["seconds"].as_f64().unwrap_or_default();
        }
        self.proposed(midnight + LOOKED_HOUR * HOUR_MS).await
    }

    /// Reports what was bought as conversions.
    async fn report(&self, day: u32, midnight: i64, bought: &[Bought]) -> Result<(), Failure> {
        let events: Vec<Value> = bought
            .iter()
            .enumerate()
            .filter_map(|(number, one)| {
                let category = CATALOGUE.get(one.category)?;
                let sku = category.skus.get(one.sku)?;
                let at =
                    midnight + (i64::from(one.minute) * MINUTE_MS).min(REPORTED_HOUR * HOUR_MS);
                let cents = u64::from(one.price_cents) * u64::from(one.quantity);
                Some(json!({
                    "transaction_id": format!("{day}-{number}"),
                    "event_timestamp": Timestamp::from_millisecond(at).ok()?.to_string(),
                    "event_name": "store_purchase",
                    "conversion_value": cents as f64 / 100.0,
                    "currency": "EUR",
                    "user_identifiers": [{"user_id": name(one.person)}],
                    "cart_items": [{
                        "item": sku.id, "category": category.id, "quantity": one.quantity,
                    }],
                    "consent": {"conversion": "granted"},
                }))
            })
            .collect();
        let requests = events.chunks(ROWS).map(|some| async move {
            let body = json!({"destination": {"reference": "shop"}, "events": some});
            let answer = self.ask(Method::POST, "/v1/conversions", Some(&body)).await?;
            if answer["stored"] == some.len() {
                Ok(())
            } else {
                Err(Failure::from(format!("purchases were not stored: {answer}")))
            }
        });
        stream::iter(requests).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Some of those who are new agree to be asked.
    async fn agree(&mut self, bought: &[Bought]) -> Result<(), Failure> {
        let mut new: Vec<u32> = bought.iter().map(|one| one.person).collect();
        new.sort_unstable();
        new.dedup();
        new.retain(|person| person % 100 < self.args.agreed && !self.ids.contains_key(person));
        for person in new {
            let body = json!({"user_identifiers": [{"user_id": name(person)}]});
            let found = self.ask(Method::POST, "/v1/people/resolve", Some(&body)).await?;
            let id: Uuid = serde_json::from_value(found["people"][0]["person"].clone())?;
            let path = format!("/v1/people/{id}/order-wishes");
            self.ask(Method::PATCH, &path, Some(&json!({"agreed": true}))).await?;
            self.ids.insert(person, id);
            self.who.insert(id, person);
        }
        Ok(())
    }

    /// Looks at what was proposed, and lets people make up their minds.
    async fn proposed(&mut self, now: i64) -> Result<(), Failure> {
        loop {
            let path = format!("/v1/orders?limit=1000&after={}", self.newest);
            let page = self.ask(Method::GET, &path, None).await?;
            let orders = page["orders"].as_array().cloned().unwrap_or_default();
            for order in &orders {
                let id: Uuid = serde_json::from_value(order["id"].clone())?;
                self.newest = id;
                let person: Uuid = serde_json::from_value(order["person"].clone())?;
                let (Some(person), Some(known)) = (self.who.get(&person), article(order)) else {
                    continue;
                };
                let (category, sku, quantity) = known;
                let day = self.days.len() - 1;
                let horizon = self.args.horizon_days.into();
                let needed = self.people.needs_within(*person, category, horizon);
                self.days[day].proposed += 1;
                self.days[day].wrong += u64::from(!needed);
                if let Some(manner) = self.people.manner(*person) {
                    let count = self.proposals.entry(word(manner).to_owned()).or_default();
                    count.proposed += 1;
                    count.wrong += u64::from(!needed);
                }
                let known = Known { person: *person, category, sku, quantity, day };
                self.orders.insert(id, known);
                self.decide(id, order, now);
            }
            if page.get("next").is_none() {
                return Ok(());
            }
        }
    }

    /// What its person will do about an order that asks.
    fn decide(&mut self, id: Uuid, order: &Value, now: i64) {
        let Some(Known { person, category, sku, quantity, .. }) = self.orders.get(&id).cloned()
        else {
            return;
        };
        let waits = order["expires_unix_ms"].as_i64().map_or(0, |at| (at - now) / MINUTE_MS);
        let asked = Asked {
            category,
            sku,
            quantity,
            horizon_days: self.args.horizon_days.into(),
            timeout_minutes: u32::try_from(waits).unwrap_or_default(),
        };
        let Some(reply) = self.people.answer(person, &asked) else { return };
        let at = now + i64::from(reply.minutes_later) * MINUTE_MS;
        let act = match reply.answer {
            Answer::Approve => approval(order),
            Answer::Cancel => json!({"act": "cancel"}),
            Answer::Delay { days } => {
                let until = at + i64::from(days) * DAY_MS;
                self.plan(until + 2 * HOUR_MS, id, Deed::Look);
                json!({"act": "delay", "until_unix_ms": until})
            }
            Answer::Modify { sku, quantity } => {
                self.plan(at + AGAIN_MINUTES * MINUTE_MS, id, Deed::Look);
                let sku = CATALOGUE.get(category).and_then(|one| one.skus.get(sku));
                let sku = sku.map_or("", |sku| sku.id);
                json!({"act": "modify", "lines": [{"sku": sku, "quantity": quantity}]})
            }
        };
        self.plan(at, id, Deed::Say { command: Uuid::now_v7(), act, taps: reply.taps });
    }

    /// At full hours: fewer moments, each with more to do.
    fn plan(&mut self, at: i64, order: Uuid, deed: Deed) {
        let slot = (at + HOUR_MS - 1).div_euclid(HOUR_MS) * HOUR_MS;
        self.deeds.entry(slot).or_default().push((order, deed));
    }

    /// Lets people answer up to a time.
    async fn answers(&mut self, until: i64) -> Result<(), Failure> {
        while let Some(slot) = self.deeds.first_entry().filter(|slot| *slot.key() <= until) {
            let (now, deeds) = slot.remove_entry();
            rehearsal::set_clock(now);
            self.attend().await?;
            let (looks, says): (Vec<_>, Vec<_>) =
                deeds.into_iter().partition(|(_, deed)| matches!(deed, Deed::Look));
            let answered = stream::iter(says.into_iter().map(|(id, deed)| self.say(id, deed)));
            let answered: Vec<(Uuid, Option<String>)> =
                answered.buffer_unordered(AT_ONCE).try_collect().await?;
            for (id, status) in answered {
                let Some(day) = self.orders.get(&id).map(|known| known.day) else { continue };
                let day = &mut self.days[day];
                match status.as_deref() {
                    Some("modified") => day.modified += 1,
                    Some("delayed") => day.delayed += 1,
                    None => day.refused += 1,
                    Some(_) => {}
                }
            }
            for (id, _) in looks {
                let order = self.ask(Method::GET, &format!("/v1/orders/{id}"), None).await?;
                if order["status"] == "notified" {
                    if let (Some(known), Some((_, sku, quantity))) =
                        (self.orders.get_mut(&id), article(&order))
                    {
                        (known.sku, known.quantity) = (sku, quantity);
                    }
                    self.settle(id, &order, now);
                }
            }
        }
        rehearsal::set_clock(until);
        self.attend().await
    }

    /// What was changed as its person wanted is approved; what comes back after a delay is thought
    /// about again.
    fn settle(&mut self, id: Uuid, order: &Value, now: i64) {
        let changed = order["events"].as_array().is_some_and(|events| {
            let whats = events.iter().rev().map(|event| &event["what"]);
            let mut requoted = whats.filter(|what| what["type"] == "requoted");
            requoted.next().is_some_and(|what| what["why"]["because"] == "modified")
        });
        if changed {
            let act = approval(order);
            self.plan(now + 1, id, Deed::Say { command: Uuid::now_v7(), act, taps: 1 });
        } else {
            self.decide(id, order, now);
        }
    }

    /// Sends what somebody says, as often as they tap; gives the status that followed, none if it was
    /// refused.
    async fn say(&self, id: Uuid, deed: Deed) -> Result<(Uuid, Option<String>), Failure> {
        let Deed::Say { command, act, taps } = deed else { return Ok((id, None)) };
        let body = json!({"id": command, "by": "person", "act": act});
        let path = format!("{}/v1/orders/{id}/commands", self.url);
        let tap = || async {
            let request = self.client.post(&path).bearer_auth(&self.key).json(&body);
            let answer = request.send().await?;
            let status = answer.status();
            let answer: Value = answer.json().await?;
            match status.as_u16() {
                200 => Ok(answer["status"].as_str().map(ToOwned::to_owned)),
                409 => Ok(None),
                _ => Err(Failure::from(format!("an answer was not taken: {answer}"))),
            }
        };
        let first = tap().await?;
        for _ in 1..taps {
            let again = tap().await?;
            if again.is_some() != first.is_some() {
                return Err("a second tap got another answer than the first".into());
            }
        }
        Ok((id, first))
    }

    /// The server does what orders want, and what the shop sold arrives.
    async fn attend(&mut self) -> Result<(), Failure> {
        self.attendant.attend().await.map_err(|error| error.to_string())?;
        while let Ok(Sold { order, lines }) = self.sold.try_recv() {
            let Some(Known { person, .. }) = self.orders.get(&order).cloned() else { continue };
            for (category, sku, quantity) in lines {
                self.people.deliver(person, category, sku, quantity);
            }
        }
        Ok(())
    }

    /// Has work done, and gives what came of it.
    async fn work(&self, path: &str) -> Result<Value, Failure> {
        let job = self.ask(Method::POST, path, None).await?;
        let path = format!("{path}/{}", job["id"].as_str().unwrap_or_default());
        let begun = Instant::now();
        loop {
            let job = self.ask(Method::GET, &path, None).await?;
            if job["state"] == "done" {
                return Ok(job["result"].clone());
            }
            let error = &job["result"]["error"];
            if let Some(error) = error.as_str() {
                return Err(error.to_owned().into());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{path} did not end within {PATIENCE:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How sure proposals must be for people of each manner.
    async fn manners(&self, day: u32) -> Result<Manners, Failure> {
        let mut of: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (person, id) in &self.ids {
            let path = format!("/v1/people/{id}/order-wishes");
            let wishes = self.ask(Method::GET, &path, None).await?;
            let threshold = wishes["threshold"]["threshold"].as_f64().unwrap_or_default();
            let Some(manner) = self.people.manner(*person) else { continue };
            of.entry(word(manner)).or_default().push(threshold);
        }
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let thresholds = of.into_iter().map(|(name, all)| (name.to_owned(), mean(all))).collect();
        Ok(Manners { day, thresholds })
    }

    /// How all orders ended, by the day they were proposed on.
    async fn ends(&mut self) -> Result<(), Failure> {
        let mut after = Uuid::nil();
        loop {
            let path = format!("/v1/orders?limit=1000&after={after}");
            let page = self.ask(Method::GET, &path, None).await?;
            for order in page["orders"].as_array().into_iter().flatten() {
                after = serde_json::from_value(order["id"].clone())?;
                let Some(known) = self.orders.get(&after) else { continue };
                let day = &mut self.days[known.day];
                match order["status"].as_str().unwrap_or_default() {
                    "fulfilled" => day.fulfilled += 1,
                    "cancelled" => day.cancelled += 1,
                    "expired" => day.expired += 1,
                    "failed" => day.failed += 1,
                    _ => day.open += 1,
                }
            }
            if page.get("next").is_none() {
                return Ok(());
            }
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        if status.is_success() { Ok(answer) } else { Err(format!("{path}: {answer}").into()) }
    }
}

fn name(person: u32) -> String {
    format!("person-{person}")
}

const fn word(manner: Manner) -> &'static str {
    match manner {
        Manner::Honest => "honest",
        Manner::Eager => "eager",
        Manner::Refuser => "refuser",
        Manner::Silent => "silent",
        Manner::Drifting { .. } => "drifting",
        Manner::Late => "late",
    }
}

/// The article of an order: category, article, how many.
fn article(order: &Value) -> Option<(usize, usize, u32)> {
    let line = order["quote"]["lines"].get(0)?;
    let (category, sku) = find(line["sku"].as_str()?)?;
    Some((category, sku, u32::try_from(line["quantity"].as_u64()?).ok()?))
}

/// A yes to what an order asks.
fn approval(order: &Value) -> Value {
    let quote = &order["quote"];
    json!({"act": "approve", "seen": quote["id"], "total_minor": quote["total_minor"]})
}
