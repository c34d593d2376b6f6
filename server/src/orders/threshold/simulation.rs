//! The rule beside the usual one, on people whose truth is known.
//!
//! Each is offered two hundred proposals. Regret is what was lost against somebody who knows the
//! person and keeps to the same bounds: an approval is worth 1 and a cancel costs 7/3, in
//! expectation, so that chance in the answers does not count.

use super::{Costs, Threshold};

const STEPS: usize = 200;
const SEEDS: u64 = 100;

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, figure 17): the same numbers everywhere.
struct Chance(u64);

impl Chance {
    /// Evenly in 0..1.
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// N(0, 1), by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.even()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.even()).cos()
    }
}

#[derive(Debug, Clone, Copy)]
enum Person {
    Cancels,
    Approves,
    Biased(f64),
    Drifts(f64, f64),
}

const PEOPLE: [Person; 9] = [
    Person::Cancels,
    Person::Approves,
    Person::Biased(-2.0),
    Person::Biased(-1.0),
    Person::Biased(0.0),
    Person::Biased(1.0),
    Person::Biased(2.0),
    Person::Drifts(1.5, -1.5),
    Person::Drifts(-1.5, 1.5),
];

impl Person {
    fn approves(self, probability: f64, step: usize) -> f64 {
        let biased = |offset: f64| sigmoid((probability / (1.0 - probability)).ln() + offset);
        match self {
            Self::Cancels => 0.0,
            Self::Approves => 1.0,
            Self::Biased(offset) => biased(offset),
            Self::Drifts(before, after) => biased(if step < STEPS / 2 { before } else { after }),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// What a threshold is learnt by.
trait Rule {
    fn threshold(&self) -> f64;
    fn learn(&mut self, probability: f64, approved: bool);
    fn pass(&mut self) {}
}

impl Rule for Threshold {
    fn threshold(&self) -> f64 {
        self.probability(&Costs::default())
    }

    fn learn(&mut self, probability: f64, approved: bool) {
        Self::learn(self, probability, approved);
    }

    fn pass(&mut self) {
        Self::pass(self, 1);
    }
}

/// Up by a step after a cancel, down by a step after an approval, within the same bounds.
struct Naive {
    at: f64,
    up: f64,
    down: f64,
}

impl Naive {
    fn new(up: f64, down: f64) -> Self {
        Self { at: 0.70, up, down }
    }
}

impl Rule for Naive {
    fn threshold(&self) -> f64 {
        self.at
    }

    fn learn(&mut self, _: f64, approved: bool) {
        let Costs { floor, ceiling, .. } = Costs::default();
        let step = if approved { -self.down } else { self.up };
        self.at = (self.at + step).clamp(floor, ceiling);
    }
}

/// Where the probabilities of proposals come from.
#[derive(Debug, Clone, Copy)]
enum Source {
    Even(f64, f64),
    LogitNormal(f64, f64),
}

impl Source {
    fn draw(self, chance: &mut Chance) -> f64 {
        match self {
            Self::Even(low, high) => low + (high - low) * chance.even(),
            Self::LogitNormal(mean, deviation) => sigmoid(mean + deviation * chance.normal()),
        }
    }
}

/// Regret and how often the person was asked.
fn live(person: Person, rule: &mut dyn Rule, source: Source, seed: u64) -> (f64, u32) {
    // The proposals are the same for every rule; the answers have their own chance.
    let (mut proposals, mut answers) = (Chance(seed), Chance(!seed));
    let Costs { cancel_to_approval: cost, floor, ceiling } = Costs::default();
    let (mut regret, mut asked) = (0.0, 0);
    for step in 0..STEPS {
        let probability = source.draw(&mut proposals);
        let yes = person.approves(probability, step);
        let approved = answers.even() < yes;
        let worth = yes - (1.0 - yes) * cost;
        let asks = probability >= rule.threshold();
        let right = probability >= ceiling || (probability >= floor && worth >= 0.0);
        if asks != right {
            regret += worth.abs();
        }
        if asks {
            asked += 1;
            rule.learn(probability, approved);
        } else {
            rule.pass();
        }
    }
    (regret, asked)
}

/// Means over seeds.
fn judge(make: &dyn Fn() -> Box<dyn Rule>, person: Person, source: Source) -> (f64, f64) {
    let (mut regret, mut asked) = (0.0, 0.0);
    for seed in 0..SEEDS {
        let (lost, times) = live(person, &mut *make(), source, seed.wrapping_mul(7_919));
        regret += lost / SEEDS as f64;
        asked += f64::from(times) / SEEDS as f64;
    }
    (regret, asked)
}

#[test]
fn regret_is_at_most_half_of_that_of_steps() {
    type Make = Box<dyn Fn() -> Box<dyn Rule>>;
    let rules: [(&str, Make); 4] = [
        ("learnt", Box::new(|| Box::new(Threshold::default()))),
        ("+-.05", Box::new(|| Box::new(Naive::new(0.05, 0.05)))),
        ("+-.02", Box::new(|| Box::new(Naive::new(0.02, 0.02)))),
        ("+.07-.03", Box::new(|| Box::new(Naive::new(0.07, 0.03)))),
    ];
    let sources =
        [Source::Even(0.3, 0.95), Source::Even(0.05, 0.95), Source::LogitNormal(0.5, 1.2)];
    for source in sources {
        println!("{source:?}: regret in {STEPS} steps (times asked), means of {SEEDS} seeds");
        let mut means = [0.0; 4];
        for person in PEOPLE {
            let mut row = format!("{:20}", format!("{person:?}"));
            for ((_, make), mean) in rules.iter().zip(&mut means) {
                let (regret, asked) = judge(make, person, source);
                row += &format!("{regret:10.1} ({asked:5.1})");
                *mean += regret / PEOPLE.len() as f64;
            }
            println!("{row}");
        }
        let mut row = format!("{:20}", "mean");
        for ((name, _), mean) in rules.iter().zip(&means) {
            row += &format!("{mean:10.1} {name:>7}");
        }
        println!("{row}");
        assert!(2.0 * means[0] <= means[1], "{source:?}: {means:?}");
    }
}

#[test]
fn who_always_cancels_is_asked_less_than_five_times() {
    let make: &dyn Fn() -> Box<dyn Rule> = &|| Box::new(Threshold::default());
    for source in [Source::Even(0.3, 0.95), Source::Even(0.05, 0.95), Source::LogitNormal(0.5, 1.2)]
    {
        let (_, asked) = judge(make, Person::Cancels, source);
        assert!(asked < 5.0, "{source:?}: {asked}");
    }
}

#[test]
fn who_drifts_is_followed() {
    let mut threshold = Threshold::default();
    for step in 0..STEPS {
        let approved = step < STEPS / 2;
        if 0.9 >= threshold.threshold() {
            threshold.learn(0.9, approved);
        }
        if step == STEPS / 2 - 1 {
            assert!(threshold.threshold() < 0.4, "{}", threshold.threshold());
        }
    }
    assert!(threshold.threshold() > 0.9, "{}", threshold.threshold());
}
