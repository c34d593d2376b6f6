//! Virtual time: whatever comes next, the network, the server and the devices' days.

use super::{
    cloud::Cloud,
    delivery::{Arrival, Parcel},
    device::{Change, Device},
    journal::{Counts, Journal},
    judge,
    weather::Weather,
};
use fastrand::Rng;
use protocol::signing::REQUEST_NUMBER;
use sdk_core::{
    clock::Nanos,
    sync::{Answer, Client},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

/// After this a device gives a request up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How long after the storm everything has to have arrived: the longest `Retry-After` that is
/// honoured, the longest grant, and many waits of a minute.
const PATIENCE: Duration = Duration::from_secs(3 * 60 * 60);
/// Polls at one moment that lead nowhere before a client counts as spinning.
const MOST_IDLE_POLLS: u32 = 8;

/// What a run is like.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub devices: usize,
    /// How long the storm lasts.
    pub storm: Duration,
    /// A device's disk loses what it said it has: the judge must notice.
    pub disk_lies: bool,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        Self { seed, devices: 3, storm: Duration::from_secs(12 * 60), disk_lies: false }
    }
}

/// What lies ahead.
pub enum Happening {
    Arrives(Parcel),
    Answered { device: usize, request: u64, answer: Option<Answer> },
    TimesOut { device: usize, request: u64 },
    Acts(usize),
    Told { device: usize, life: u32, change: Change },
    Starts(usize),
    Parts,
    Heals(usize),
    ServerStops,
    ServerStarts,
}

/// Which ways are cut for a device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cut {
    pub requests: bool,
    pub answers: bool,
}

/// A run.
pub struct Simulation {
    pub now: Nanos,
    calm: bool,
    pub dice: Rng,
    pub weather: Weather,
    ahead: BTreeMap<(Nanos, u64), Happening>,
    made: u64,
    requests: u64,
    idle_polls: u32,
    pub devices: Vec<Device>,
    pub cuts: Vec<Cut>,
    starting: BTreeSet<usize>,
    pub cloud: Cloud,
    pub journal: Journal,
    /// By device: the greatest number that the server has taken, that has arrived.
    pub accepted: Vec<u64>,
    pub arrived: Vec<u64>,
    /// By device: the last that the server said to a request that it took.
    pub said: Vec<Option<Answer>>,
    /// Requests of which a copy has reached the server.
    pub delivered: BTreeSet<u64>,
    pub arrivals: HashMap<Uuid, Arrival>,
}

/// Plays one seed to its end and judges it; gives its counts and the hash of its log.
pub async fn play(plan: Plan) -> (Counts, u64) {
    let mut simulation = Simulation::new(plan).await;
    simulation.storm(plan).await;
    simulation.settle().await;
    judge::judge(&mut simulation).await;
    simulation.last_words().await;
    let minutes = simulation.now.as_millis() / 60_000;
    simulation.journal.counts.virtual_minutes = minutes;
    let forgot = simulation.devices.iter().map(|device| device.forgot_drops).sum();
    simulation.journal.counts.forgot_drops = forgot;
    (simulation.journal.counts, simulation.journal.hash())
}

impl Simulation {
    async fn new(plan: Plan) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let base_unix_ms = i64::try_from(since.as_millis()).unwrap();
        let mut dice = Rng::with_seed(plan.seed);
        let weather = Weather::of(&mut dice);
        let mut journal = Journal::new(plan.seed);
        journal.note(Nanos::ZERO, format_args!("{weather:?}"));
        let device = |number| Device::new(plan.seed, number, base_unix_ms);
        Self {
            now: Nanos::ZERO,
            calm: false,
            dice,
            weather,
            ahead: BTreeMap::new(),
            made: 0,
            requests: 0,
            idle_polls: 0,
            devices: (0..plan.devices).map(device).collect(),
            cuts: vec![Cut::default(); plan.devices],
            starting: BTreeSet::new(),
            cloud: Cloud::start().await,
            journal,
            accepted: vec![0; plan.devices],
            arrived: vec![0; plan.devices],
            said: vec![None; plan.devices],
            delivered: BTreeSet::new(),
            arrivals: HashMap::new(),
        }
    }

    async fn storm(&mut self, plan: Plan) {
        for device in 0..self.devices.len() {
            self.told(device, Change::Other, true);
            let soon = self.some_time(6);
            self.ahead(soon, Happening::Acts(device));
        }
        let (first, second) = (self.some_time(120), self.some_time(300));
        self.ahead(first, Happening::Parts);
        self.ahead(second, Happening::ServerStops);
        let end = Nanos::ZERO + plan.storm;
        self.run(end, |_| false).await;
        if plan.disk_lies {
            self.devices[0].lie();
        }
    }

    /// The network heals, the server is up, nobody dies; what is on its way still arrives.
    async fn settle(&mut self) {
        self.calm = true;
        self.weather = self.weather.calm();
        self.cuts.fill(Cut::default());
        self.journal.note(self.now, "the storm is over");
        if !self.cloud.is_up() {
            self.cloud.restart().await;
        }
        for device in &mut self.devices {
            device.calm();
            if device.life.is_none() {
                device.start(self.now);
            }
            device.end_pause(self.now);
        }
        self.starting.clear();
        self.drain().await;
    }

    /// After all that, a new grant works, and the server hears of every drop.
    async fn last_words(&mut self) {
        for device in &mut self.devices {
            let change = device.grant_everything(self.now);
            device.told(self.now, change);
            device.queue_last(self.now);
        }
        self.drain().await;
        judge::last_words(self).await;
    }

    async fn drain(&mut self) {
        let end = self.now + PATIENCE;
        self.run(end, |simulation| {
            let idle = simulation.devices.iter().all(|d| {
                d.life.as_ref().is_some_and(|life| life.client.is_done()) && d.waits_for.is_none()
            });
            let parcel =
                |h: &Happening| matches!(h, Happening::Arrives(_) | Happening::Told { .. });
            idle && !simulation.ahead.values().any(parcel)
        })
        .await;
        for device in &self.devices {
            let client = device.life.as_ref().map(|life| &life.client);
            let stats = client.map(Client::stats);
            let done = client.is_some_and(Client::is_done);
            assert!(done, "S3: device {} is not done: {stats:?}", device.number);
        }
        assert!(self.now < end, "something is still on its way");
    }

    /// Lets happen what is due before `end`, one thing after the other.
    async fn run(&mut self, end: Nanos, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let due = self.devices.iter().filter_map(|d| Some((d.due()?.max(self.now), d.number)));
            let due = due.min();
            let next = self.ahead.first_key_value().map(|(key, _)| *key);
            match (due, next) {
                (Some((at, device)), next) if next.is_none_or(|(time, _)| at < time) => {
                    if at >= end {
                        break;
                    }
                    self.idle_polls = if at > self.now { 0 } else { self.idle_polls + 1 };
                    assert!(self.idle_polls < MOST_IDLE_POLLS, "device {device} spins");
                    self.now = at;
                    self.poll(device);
                }
                (_, Some((at, _))) if at < end => {
                    let Some((_, happening)) = self.ahead.pop_first() else { break };
                    self.now = at.max(self.now);
                    self.idle_polls = 0;
                    self.happen(happening).await;
                }
                _ => break,
            }
            self.bury();
        }
        if !done(self) {
            self.now = end;
        }
    }

    /// Who died comes back after a while.
    fn bury(&mut self) {
        for number in 0..self.devices.len() {
            if self.devices[number].has_died() && self.starting.insert(number) {
                self.journal.counts.device_kills += 1;
                self.journal.note(self.now, format_args!("{number}: is dead"));
                let after = self.some_time(60);
                self.ahead(after, Happening::Starts(number));
            }
        }
    }

    fn poll(&mut self, number: usize) {
        let device = &mut self.devices[number];
        let Some(outgoing) = device.poll(self.now) else { return };
        self.idle_polls = 0;
        self.requests += 1;
        self.journal.counts.requests += 1;
        device.waits_for = Some(self.requests);
        let header = outgoing.headers.iter().find(|(name, _)| *name == REQUEST_NUMBER);
        let parcel = Parcel {
            device: number,
            life: device.lives,
            request: self.requests,
            number: header.unwrap().1.parse().unwrap(),
            sent: self.now,
            offset_ms: device.offset_ms,
            outgoing: Rc::new(outgoing),
        };
        let (path, bytes) = (parcel.outgoing.path, parcel.outgoing.body.len());
        let request = self.requests;
        self.journal.note(self.now, format_args!("{number}: #{request} {path} {bytes} bytes"));
        self.ahead(REQUEST_TIMEOUT, Happening::TimesOut { device: number, request });
        if self.weather.duplicates(&mut self.dice) {
            self.journal.counts.duplicates += 1;
            let late = self.weather.late(&mut self.dice);
            self.ahead(late, Happening::Arrives(parcel.clone()));
        }
        if self.weather.loses(&mut self.dice) {
            self.journal.counts.lost_requests += 1;
            self.journal.note(self.now, format_args!("#{request} is lost"));
        } else {
            let delay = self.weather.delay(&mut self.dice);
            self.ahead(delay, Happening::Arrives(parcel));
        }
    }

    async fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives(parcel) => self.arrives(parcel).await,
            Happening::Answered { device, request, answer } => {
                self.answered(device, request, answer);
            }
            Happening::TimesOut { device, request } => {
                if self.devices[device].waits_for == Some(request) {
                    self.journal.counts.timeouts += 1;
                    self.answered(device, request, None);
                }
            }
            Happening::Acts(number) if !self.calm => {
                let device = &mut self.devices[number];
                let offset_ms = device.offset_ms;
                let step = device.act(self.now, &mut self.dice);
                self.journal.counts.clock_jumps += u64::from(device.offset_ms != offset_ms);
                self.journal.note(self.now, format_args!("{number}: {}", step.what));
                if let Some(change) = step.told {
                    self.told(number, change, false);
                }
                let next = self.some_time(6);
                self.ahead(next, Happening::Acts(number));
            }
            Happening::Told { device, life, change } => {
                if self.devices[device].lives == life {
                    self.devices[device].told(self.now, change);
                }
            }
            Happening::Starts(number) => {
                if self.starting.remove(&number) {
                    self.journal.note(self.now, format_args!("{number}: starts"));
                    self.devices[number].start(self.now);
                }
            }
            Happening::Parts if !self.calm => {
                let device = self.dice.usize(..self.devices.len());
                let (requests, answers) =
                    [(true, true), (true, false), (false, true)][self.dice.usize(..3)];
                self.cuts[device] = Cut { requests, answers };
                self.journal.counts.partitions += 1;
                self.journal.note(self.now, format_args!("{device}: {:?}", self.cuts[device]));
                let (end, next) = (self.some_time(90), self.some_time(120));
                self.ahead(end, Happening::Heals(device));
                self.ahead(next, Happening::Parts);
            }
            Happening::Heals(device) => self.cuts[device] = Cut::default(),
            Happening::ServerStops if !self.calm => {
                let in_order = self.dice.bool();
                self.journal.counts.server_restarts += 1;
                self.journal.note(self.now, format_args!("the server stops, in order: {in_order}"));
                self.cloud.stop(in_order).await;
                let up = self.some_time(30);
                self.ahead(up, Happening::ServerStarts);
            }
            Happening::ServerStarts if !self.cloud.is_up() => {
                self.cloud.restart().await;
                let next = self.some_time(300);
                self.ahead(next, Happening::ServerStops);
            }
            Happening::Acts(_)
            | Happening::Parts
            | Happening::ServerStops
            | Happening::ServerStarts => {}
        }
    }

    /// A change of consent reaches the client: at once, or a moment after the gate knows.
    fn told(&mut self, device: usize, change: Change, at_once: bool) {
        match change {
            Change::Withdrawn => self.journal.counts.withdrawals += 1,
            Change::Other => self.journal.counts.consent_changes += 1,
        }
        if at_once || self.dice.bool() {
            self.devices[device].told(self.now, change);
            return;
        }
        let life = self.devices[device].lives;
        let after = Duration::from_millis(self.dice.u64(..500));
        self.ahead(after, Happening::Told { device, life, change });
    }

    fn answered(&mut self, number: usize, request: u64, answer: Option<Answer>) {
        let device = &mut self.devices[number];
        if device.waits_for != Some(request) {
            return;
        }
        let status = answer.as_ref().map(|answer| answer.status);
        device.answer(self.now, answer, self.dice.f64());
        let letters = device.dead.len();
        self.journal.note(
            self.now,
            format_args!("{number}: #{request} answered {status:?}, {letters} dead letters"),
        );
    }

    /// A time of about so many seconds, of any length up to twice that.
    fn some_time(&mut self, seconds: u64) -> Duration {
        Duration::from_millis(self.dice.u64(1..seconds * 2_000))
    }

    /// Something will happen.
    pub fn ahead(&mut self, after: Duration, happening: Happening) {
        self.made += 1;
        self.ahead.insert((self.now + after, self.made), happening);
    }
}
