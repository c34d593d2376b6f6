//! The screen at every size and in every state of consent, on a terminal in memory.

use super::{super::Board, draw_at};
use crate::view::board::DeviceRow;
use protocol::{
    consent::ConsentState,
    intent::{Abstention, IntentEstimate},
    offer::{BundleItem, DeliveryOption, Offer, OfferRevision, Rule},
};
use ratatui::{Terminal, backend::TestBackend, style::Color};
use sdk_core::{
    offer::{Hold, OfferPlan},
    runtime::LinkState,
    sensor::{DeviceProfile, DeviceStatus, StreamStats},
    sync::{OutboxStats, SyncStats},
};
use std::{
    f64::consts::TAU,
    sync::Arc,
    time::{Duration, Instant},
};

const STATES: [ConsentState; 3] =
    [ConsentState::Given, ConsentState::Paused, ConsentState::Withdrawn];

fn listed() -> Offer {
    let plan = include_str!("../../../assets/demo-offer.toml");
    OfferPlan::from_toml(plan).unwrap().offer
}

fn empty() -> Board {
    let devices = [DeviceProfile::Eda, DeviceProfile::HeartRate];
    let mut board = Board::new(
        "simulated body 7".into(),
        "http://127.0.0.1:8080".into(),
        &devices,
        listed(),
        None,
    );
    board.ends = Some(board.begun + Duration::from_secs(60));
    board
}

/// A session in its 33rd second, in the middle of things.
fn filled() -> Board {
    let mut board = empty();
    let stats = StreamStats { accepted: 1_640, lost: 2, ..StreamStats::default() };
    let status = |battery| DeviceStatus { battery_percent: Some(battery), contact: Some(true) };
    board.devices = vec![
        DeviceRow {
            profile: DeviceProfile::Eda,
            link: LinkState::Connected,
            status: status(87),
            stats,
        },
        DeviceRow {
            profile: DeviceProfile::HeartRate,
            link: LinkState::Waiting("the adapter is off".into()),
            status: status(64),
            stats: StreamStats { accepted: 41, ..StreamStats::default() },
        },
    ];
    let response = |since: f64| match since {
        s if s < 0.0 => 0.0,
        s => 1.4 * ((-s / 4.0).exp() - (-s / 0.75).exp()),
    };
    board.eda_microsiemens = (0..360)
        .map(|k| f64::from(k) / 8.0)
        .map(|t| 4.0 - 0.006 * t + response(t - 9.0) + response(t - 21.0) + response(t - 24.0))
        .collect();
    board.heart_rate_bpm = (0..70)
        .map(f64::from)
        .map(|k| 72.0 + 4.0 * (TAU * k / 5.0).sin() + 6.0 / (1.0 + (30.0 - k).exp()))
        .collect();
    board.features =
        [4.312, -0.021, 2.87, 0.208, 0.911, 4.0, 0.352, 77.4, 2.3, 38.2, 46.7, 12.5, f64::NAN];
    board.coverage = [1.0, 0.74];
    board.estimate = Some(IntentEstimate {
        at_ms: 32_900,
        probabilities: [0.11, 0.08, 0.64, 0.17],
        arousal: 0.62,
        abstained: None,
    });
    board.hold = Some(Hold::Settling);
    let premium = Offer {
        features: vec!["Brushed steel edition".into(), "Double boiler".into()],
        bundle: vec![BundleItem {
            sku: "g".into(),
            title: "Burr grinder".into(),
            price_minor: 4900,
        }],
        ..listed()
    };
    revise(
        &mut board,
        12_400,
        Rule::Premium,
        premium,
        &[
            "added feature: Brushed steel edition",
            "added feature: Double boiler",
            "added add-on: Burr grinder",
        ],
    );
    let reassure = Offer {
        price: listed().price.change_permille(-100),
        guarantees: vec!["30 days to change your mind".into(), "3-year guarantee".into()],
        delivery: vec![
            DeliveryOption { title: "Free standard delivery".into(), price_minor: 0, days: 3 },
            DeliveryOption { title: "Pick up in store".into(), price_minor: 0, days: 1 },
        ],
        ..listed()
    };
    revise(
        &mut board,
        31_200,
        Rule::Reassure,
        reassure,
        &[
            "price 249.00 EUR -> 224.10 EUR",
            "removed add-on: Burr grinder",
            "added guarantee: 30 days to change your mind",
            "added guarantee: 3-year guarantee",
        ],
    );
    for k in 0..100u64 {
        board.meter.written(0, k, board.begun);
        board.meter.decided(0, k as u16, board.begun + Duration::from_micros(4_000 + 140 * k));
    }
    board.compute = Duration::from_micros(212);
    board.steps = 1_588;
    let outbox = OutboxStats { acknowledged: 118, pending: 3, ..OutboxStats::default() };
    board.sync = Some(SyncStats { outbox, ..SyncStats::default() });
    board
}

fn revise(board: &mut Board, at_ms: u64, rule: Rule, offer: Offer, changes: &[&str]) {
    let reason = match rule {
        Rule::Premium => "You seem interested: premium options are shown. The price is unchanged.",
        Rule::Reassure => {
            "You seem to hesitate: the price is lower, and what you get for it comes first."
        }
        _ => "Your signals are no longer used: the offer is as listed.",
    };
    let reference_price = listed().price;
    let disclosure = (offer.price != reference_price).then(|| {
        format!(
            "This price was set by an automated decision using signals of your body. The list \
             price is {reference_price}."
        )
    });
    board.offer = offer.clone();
    board.revisions.push_front(Arc::new(OfferRevision {
        revision: board.revisions.len() as u32 + 1,
        at_ms,
        rule,
        offer,
        changes: changes.iter().map(ToString::to_string).collect(),
        reason: reason.into(),
        reference_price,
        disclosure,
        model_id: "intent".into(),
        inputs_digest: "00".into(),
        propensity: 1.0,
    }));
}

fn screen(board: &Board, width: u16, height: u16, colours: bool) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let now: Instant = board.begun + Duration::from_secs(33);
    terminal.draw(|frame| draw_at(frame, board, now, colours)).unwrap();
    terminal
}

fn text(board: &Board, width: u16, height: u16) -> String {
    screen(board, width, height, true).backend().to_string()
}

fn withdrawn() -> Board {
    let mut board = filled();
    board.consent = ConsentState::Withdrawn;
    board.closed_after_ms = Some(12.4);
    revise(&mut board, 40_000, Rule::Restore, listed(), &["price 224.10 EUR -> 249.00 EUR"]);
    board
}

#[test]
fn every_size_and_state_can_be_drawn() {
    let sizes = [0, 1, 2, 3, 5, 9, 20, 23, 24, 40, 75, 76, 77, 80, 113, 140, 200, 400];
    for state in STATES {
        for mut board in [empty(), filled(), withdrawn()] {
            board.consent = state;
            for width in sizes {
                for height in sizes.into_iter().filter(|height| *height <= 80) {
                    screen(&board, width, height, width % 2 == 0);
                }
            }
        }
    }
}

#[test]
fn odd_values_can_be_drawn() {
    let mut board = filled();
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, f64::MAX, f64::MIN, 1e-300] {
        board.eda_microsiemens.push_back(odd);
        board.heart_rate_bpm.push_back(odd);
        board.features = [odd; 13];
        board.coverage = [odd as f32; 2];
        board.closed_after_ms = Some(odd);
        board.estimate.as_mut().unwrap().probabilities = [odd as f32; 4];
        text(&board, 120, 40);
    }
    board.source = "recording \u{1b}[31m/a\n/".repeat(40);
    board.offer.title = "精密咖啡机".repeat(30);
    board.offer.features = vec![String::new(); 9];
    text(&board, 80, 24);
}

#[test]
fn it_looks_as_it_should_120x40() {
    insta::assert_snapshot!(text(&filled(), 120, 40));
}

#[test]
fn it_looks_as_it_should_80x24() {
    insta::assert_snapshot!(text(&filled(), 80, 24));
}

#[test]
fn withdrawal_looks_as_it_should_80x24() {
    insta::assert_snapshot!(text(&withdrawn(), 80, 24));
}

#[test]
fn a_personalised_price_never_stands_without_its_disclosure() {
    for (width, height) in [(80, 24), (76, 20), (120, 40), (40, 15)] {
        for state in [ConsentState::Given, ConsentState::Paused] {
            let mut board = filled();
            board.consent = state;
            let shown = text(&board, width, height);
            let words = ["224.10 EUR", "automated", "signals", "body.", "EUR."];
            assert!(words.iter().all(|word| shown.contains(word)), "{width}x{height}\n{shown}");
        }
    }
}

#[test]
fn without_consent_nothing_measured_is_shown() {
    for state in [ConsentState::Paused, ConsentState::Withdrawn] {
        for (width, height) in [(40, 12), (80, 24), (120, 40), (200, 60)] {
            let mut board = filled();
            board.consent = state;
            let shown = text(&board, width, height);
            for word in ["Skin", "Heart rate", "hesitant", "arousal", "on skin", "87 %", "seem"] {
                assert!(!shown.contains(word), "{word} at {width}x{height}\n{shown}");
            }
            let name = if state == ConsentState::Paused { "PAUSED" } else { "WITHDRAWN" };
            assert!(shown.contains(name), "{shown}");
        }
    }
}

#[test]
fn what_was_inferred_before_a_withdrawal_does_not_come_back() {
    let mut board = withdrawn();
    board.consent = ConsentState::Given;
    let shown = text(&board, 200, 60);
    assert!(shown.contains("The offer is as listed."), "{shown}");
    for word in ["reassure", "premium", "seem", "no longer used"] {
        assert!(!shown.contains(word), "{word}\n{shown}");
    }
}

#[test]
fn abstention_is_told_in_plain_words() {
    for (why, words) in [
        (Abstention::NoData, "nothing has been measured"),
        (Abstention::Calibrating, "still learning"),
        (Abstention::PoorQuality, "too little of the signal"),
        (Abstention::Stale, "too old"),
    ] {
        let mut board = filled();
        board.estimate = Some(IntentEstimate::abstained(0, why));
        board.hold = Some(Hold::Abstained(why));
        let shown = text(&board, 160, 50);
        assert!(shown.contains(words), "{shown}");
        assert!(!shown.contains("hesitant"), "{shown}");
    }
}

#[test]
fn without_colours_badges_stay_visible() {
    for state in STATES {
        let mut board = filled();
        board.consent = state;
        let terminal = screen(&board, 120, 40, false);
        let cells = &terminal.backend().buffer().content;
        assert!(cells.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
        let reversed = ratatui::style::Modifier::REVERSED;
        assert!(cells.iter().any(|cell| cell.modifier.contains(reversed)));
    }
}
