//! The board as HTML.

use super::{
    board::{Board, Ended, Session},
    text,
};
use crate::{app::unix_ms, consent::shared_modalities, counters::Refused};
use askama::Template;
use protocol::{
    consent::{ConsentRecord, ConsentState, Modality},
    event::OutcomeKind,
    feature::FEATURES,
    intent::{Abstention, IntentClass, IntentEstimate},
    offer::Rule,
};

pub(super) const CSS: &str = include_str!("../../assets/live.css");
pub(super) const SCRIPT: &str = include_str!("../../assets/live.js");
pub(super) const ICON: &str = include_str!("../../assets/icon.svg");

/// The ids of the panels, in the order of [`Panels`].
pub(super) const PANELS: [&str; 5] = ["totals", "sessions", "revisions", "outcomes", "consents"];

/// The panels' HTML, in the order of [`PANELS`].
pub(super) type Panels = [String; PANELS.len()];

/// The whole page around its panels.
pub(super) fn page(panels: &Panels) -> askama::Result<String> {
    let [totals, sessions, revisions, outcomes, consents] = panels;
    Page { totals, sessions, revisions, outcomes, consents }.render()
}

/// The sign-in form around a problem.
pub(super) fn sign_in(problem: Option<&str>) -> askama::Result<String> {
    SignInPage { problem }.render()
}

/// Every panel.
pub(super) fn panels(board: &Board) -> askama::Result<Panels> {
    let counters = &board.counters;
    Ok([
        TotalsPanel {
            events: counters.events,
            outcomes: counters.outcomes,
            consents: counters.consents,
            duplicates: counters.duplicates,
            dropped: counters.dropped,
            refused: counters.refused,
        }
        .render()?,
        SessionsPanel { sessions: board.sessions.iter().map(session).collect() }.render()?,
        RevisionsPanel { revisions: board.revisions.iter().map(revision).collect() }.render()?,
        OutcomesPanel { outcomes: board.outcomes.iter().map(outcome).collect() }.render()?,
        ConsentsPanel { consents: board.consents.iter().map(consent).collect() }.render()?,
    ])
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    totals: &'a str,
    sessions: &'a str,
    revisions: &'a str,
    outcomes: &'a str,
    consents: &'a str,
}

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage<'a> {
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "totals.html")]
struct TotalsPanel {
    events: u64,
    outcomes: u64,
    consents: u64,
    duplicates: u64,
    dropped: u64,
    refused: Refused,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPanel {
    sessions: Vec<SessionView>,
}

struct SessionView {
    id: String,
    person: String,
    device: String,
    sdk_version: Option<String>,
    time: String,
    lost: Option<u64>,
    intent: Option<IntentView>,
    groups: Vec<GroupView>,
}

struct IntentView {
    bars: Vec<BarView>,
    arousal: String,
    abstained: Option<&'static str>,
    at: String,
}

struct BarView {
    name: &'static str,
    percent: String,
    /// 0..=100, in SVG units.
    width: String,
    top: bool,
}

struct GroupView {
    name: &'static str,
    coverage: Option<String>,
    features: Vec<FeatureView>,
}

struct FeatureView {
    label: String,
    source: &'static str,
    window: String,
    value: String,
    unit: String,
    corners: String,
    end: (String, String),
    /// Lowest and highest value on the line.
    range: String,
}

#[derive(Template)]
#[template(path = "revisions.html")]
struct RevisionsPanel {
    revisions: Vec<RevisionView>,
}

struct RevisionView {
    number: u32,
    session: String,
    at: String,
    rule: &'static str,
    rule_label: &'static str,
    title: String,
    price: String,
    reference: String,
    change: String,
    reason: String,
    changes: Vec<String>,
    disclosure: Option<String>,
}

#[derive(Template)]
#[template(path = "outcomes.html")]
struct OutcomesPanel {
    outcomes: Vec<OutcomeView>,
}

struct OutcomeView {
    kind: &'static str,
    label: &'static str,
    sku: String,
    revision: u32,
    paid: Option<String>,
    session: String,
    at: String,
}

#[derive(Template)]
#[template(path = "consents.html")]
struct ConsentsPanel {
    consents: Vec<ConsentView>,
}

struct ConsentView {
    person: String,
    device: String,
    state: &'static str,
    label: &'static str,
    epoch: u64,
    notice: String,
    shared: Vec<&'static str>,
    at: String,
}

fn session(session: &Session) -> SessionView {
    let modalities = [Modality::Eda, Modality::Hrv, Modality::Face, Modality::Gaze];
    let group = |modality| {
        let features = features(session, modality);
        (!features.is_empty()).then(|| GroupView {
            name: modality_label(modality),
            coverage: session.coverage.get(&modality).map(|share| text::percent(*share)),
            features,
        })
    };
    SessionView {
        id: text::short_id(session.id),
        person: text::short_id(session.person),
        device: text::short_id(session.device),
        sdk_version: session.sdk_version.clone(),
        time: text::minutes(session.last_at_ms),
        lost: session.ended,
        intent: session.intent.as_ref().map(intent),
        groups: modalities.into_iter().filter_map(group).collect(),
    }
}

fn features(session: &Session, modality: Modality) -> Vec<FeatureView> {
    let of_modality =
        FEATURES.iter().enumerate().filter(move |(_, spec)| spec.modality == modality);
    of_modality
        .filter_map(|(index, spec)| {
            let series = session.features.get(&index)?;
            let places = text::spark(series.values());
            let (x, y) = places.last()?;
            let least = series.values().fold(f64::INFINITY, f64::min);
            let most = series.values().fold(f64::NEG_INFINITY, f64::max);
            Some(FeatureView {
                label: text::feature_label(spec),
                source: spec.source,
                window: format!("{} s", spec.window_s),
                value: text::number(series.last()?),
                unit: text::unit(spec),
                corners: text::corners(&places),
                end: (format!("{x:.1}"), format!("{y:.1}")),
                range: format!("{} to {}", text::number(least), text::number(most)),
            })
        })
        .collect()
}

fn intent(estimate: &IntentEstimate) -> IntentView {
    let (top, _) = estimate.top();
    let sure = estimate.abstained.is_none();
    let bar = |(class, p): (IntentClass, f32)| BarView {
        name: class.name(),
        percent: text::percent(p.into()),
        width: format!("{:.1}", 100.0 * p.clamp(0.0, 1.0)),
        top: sure && class == top,
    };
    IntentView {
        bars: IntentClass::ALL.into_iter().zip(estimate.probabilities).map(bar).collect(),
        arousal: text::percent(estimate.arousal.into()),
        abstained: estimate.abstained.map(|reason| match reason {
            Abstention::NoData => "no data yet",
            Abstention::Calibrating => "still learning the resting level",
            Abstention::PoorQuality => "too little real data",
            Abstention::Stale => "the newest feature is too old",
        }),
        at: text::minutes(estimate.at_ms),
    }
}

fn revision(shown: &super::board::Revision) -> RevisionView {
    let revision = &shown.revision;
    RevisionView {
        number: revision.revision,
        session: text::short_id(shown.session),
        at: text::minutes(revision.at_ms),
        rule: revision.rule.id(),
        rule_label: match revision.rule {
            Rule::Premium => "Premium",
            Rule::Reassure => "Reassure",
            Rule::Suggest => "Suggest",
            Rule::Restore => "Restore",
        },
        title: revision.offer.title.clone(),
        price: revision.offer.price.to_string(),
        reference: revision.reference_price.to_string(),
        change: text::price_change(revision.offer.price, revision.reference_price),
        reason: revision.reason.clone(),
        changes: revision.changes.clone(),
        disclosure: revision.disclosure.clone(),
    }
}

fn outcome(shown: &Ended) -> OutcomeView {
    let outcome = &shown.outcome;
    let (kind, label) = match outcome.kind {
        OutcomeKind::Purchased => ("purchased", "Purchased"),
        OutcomeKind::Declined => ("declined", "Declined"),
        OutcomeKind::Abandoned => ("abandoned", "Abandoned"),
    };
    OutcomeView {
        kind,
        label,
        sku: outcome.sku.clone(),
        revision: outcome.revision,
        paid: outcome.paid.map(|money| money.to_string()),
        session: text::short_id(shown.session),
        at: text::time_of_day(shown.at_unix_ms),
    }
}

fn consent(record: &ConsentRecord) -> ConsentView {
    let (state, label) = match record.state {
        ConsentState::Given => ("given", "Given"),
        ConsentState::Paused => ("paused", "Paused"),
        ConsentState::Withdrawn => ("withdrawn", "Withdrawn"),
    };
    let shared = shared_modalities(record, unix_ms());
    ConsentView {
        person: text::short_id(record.person),
        device: text::short_id(record.device),
        state,
        label,
        epoch: record.epoch,
        notice: record.notice.version.clone(),
        shared: shared.into_iter().map(modality_label).collect(),
        at: text::time_of_day(record.at_unix_ms),
    }
}

const fn modality_label(modality: Modality) -> &'static str {
    match modality {
        Modality::Eda => "Skin conductance",
        Modality::Hrv => "Heart rate",
        Modality::Face => "Face",
        Modality::Gaze => "Gaze",
        Modality::Behaviour => "Behaviour",
    }
}
