//! Scores that a biosignal model can be believed by.
//!
//! Every score is of people the network has not seen. Windows begin from an empty state, so that
//! nothing is read off elapsed time; beside each score stand those of networks trained and judged
//! the same way on labels moved by 10 to 30 minutes, which is what a clock can earn.

use super::{
    report::{ArousalReport, IntentReport, NullScore, SubjectScore},
    sequence::{Moment, Sequence},
    statistics::{balanced_accuracy, ece, mean, roc_auc},
};
use models::{IntentModel, ModelError, Platt, Step};
use protocol::intent::IntentClass;

/// Windows of the published comparison, seconds.
const WINDOW_S: f64 = 60.0;
const WINDOW_STEP_S: f64 = 30.0;
/// A window with less than three quarters of its moments is not judged: the model abstained.
const LEAST_MOMENTS: usize = 45;

/// One judged window of a real session.
#[derive(Debug, Clone)]
pub(super) struct Scored {
    pub(super) subject: String,
    pub(super) stressed: bool,
    pub(super) logit: f32,
}

/// Scores every labelled 60-s window of `sequences` after calibration, each from an empty state.
/// Returns the windows, and how many had too few moments.
pub(super) fn windows(
    model: &IntentModel,
    sequences: &[&Sequence],
    calibrated_s: f64,
) -> Result<(Vec<Scored>, usize), ModelError> {
    let mut scored = Vec::new();
    let mut abstained = 0;
    for sequence in sequences {
        let end_s = sequence.moments.last().map_or(0.0, |m| m.at_s);
        let mut start_s = calibrated_s;
        while start_s + WINDOW_S <= end_s {
            let within = start_s..start_s + WINDOW_S;
            start_s += WINDOW_STEP_S;
            let moments: Vec<&Moment> =
                sequence.moments.iter().filter(|m| within.contains(&m.at_s)).collect();
            let Some(stressed) = common_label(&moments) else { continue };
            if moments.len() < LEAST_MOMENTS {
                abstained += 1;
                continue;
            }
            let Some(step) = answers(model, &moments)?.pop() else { continue };
            let subject = sequence.subject.clone();
            scored.push(Scored { subject, stressed, logit: step.arousal_logit });
        }
    }
    Ok((scored, abstained))
}

/// The label all moments share.
fn common_label(moments: &[&Moment]) -> Option<bool> {
    let first = moments.first()?.label?.arousal?;
    let shared = |m: &&Moment| m.label.and_then(|l| l.arousal) == Some(first);
    moments.iter().all(shared).then_some(first)
}

/// The provisional answer at each moment, from an empty state on.
fn answers(model: &IntentModel, moments: &[&Moment]) -> Result<Vec<Step>, ModelError> {
    let scalings = &model.manifest().features;
    let mut state = model.zero_state();
    moments
        .iter()
        .map(|moment| {
            state = model.step(&moment.committed.inputs(scalings), &state)?.state;
            model.step(&moment.provisional.inputs(scalings), &state)
        })
        .collect()
}

/// The least squares of log loss: `scale` and `bias` of Platt's sigmoid by Newton's method.
pub(super) fn platt(scored: &[Scored]) -> Platt {
    /// Newton's method converges in a handful of rounds here.
    const ROUNDS: usize = 30;
    let (mut scale, mut bias) = (1.0f64, 0.0f64);
    for _ in 0..ROUNDS {
        // The tiny prior keeps the curvature positive when the data say nothing.
        let (mut gs, mut gb, mut ss, mut sb, mut bb) = (0.0, 0.0, 1e-6, 0.0, 1e-6);
        for w in scored {
            let z = f64::from(w.logit);
            let p = 1.0 / (1.0 + (-(scale * z + bias)).exp());
            let (error, curve) = (p - f64::from(u8::from(w.stressed)), p * (1.0 - p));
            gs += error * z;
            gb += error;
            ss += curve * z * z;
            sb += curve * z;
            bb += curve;
        }
        let determinant = ss * bb - sb * sb;
        let step = ((bb * gs - sb * gb) / determinant, (ss * gb - sb * gs) / determinant);
        if !(step.0.is_finite() && step.1.is_finite()) {
            break;
        }
        scale -= step.0.clamp(-1.0, 1.0);
        bias -= step.1.clamp(-1.0, 1.0);
    }
    Platt { scale: scale as f32, bias: bias as f32 }
}

/// Sums up the windows of all folds. Each fold's probabilities are calibrated on the others.
pub(super) fn arousal_report(
    folds: &[Vec<Scored>],
    abstained: usize,
    nulls: Vec<NullScore>,
) -> ArousalReport {
    let all: Vec<&Scored> = folds.iter().flatten().collect();
    let raw: Vec<(f32, bool)> = all
        .iter()
        .map(|w| (Platt { scale: 1.0, bias: 0.0 }.probability(w.logit), w.stressed))
        .collect();
    let calibrated: Vec<(f32, bool)> = (0..folds.len())
        .flat_map(|held_out| {
            let others: Vec<Scored> = folds
                .iter()
                .enumerate()
                .filter(|(fold, _)| *fold != held_out)
                .flat_map(|(_, windows)| windows.clone())
                .collect();
            let fitted = platt(&others);
            folds[held_out].iter().map(move |w| (fitted.probability(w.logit), w.stressed))
        })
        .collect();
    let per_subject = subjects(folds);
    ArousalReport {
        subjects: per_subject.len(),
        windows: all.len(),
        abstained,
        balanced_accuracy: mean(per_subject.iter().map(|s| s.balanced_accuracy)),
        auc: mean(per_subject.iter().map(|s| s.auc)),
        ece_raw: ece(&raw),
        ece_calibrated: ece(&calibrated),
        per_subject,
        nulls,
    }
}

/// Scores of each subject that has windows of both kinds.
pub(super) fn subjects(folds: &[Vec<Scored>]) -> Vec<SubjectScore> {
    let mut names: Vec<&str> = folds.iter().flatten().map(|w| w.subject.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| {
            let own: Vec<(f32, bool)> = folds
                .iter()
                .flatten()
                .filter(|w| w.subject == name)
                .map(|w| (w.logit, w.stressed))
                .collect();
            Some(SubjectScore {
                subject: name.to_owned(),
                windows: own.len(),
                balanced_accuracy: balanced_accuracy(&own)?,
                auc: roc_auc(&own)?,
            })
        })
        .collect()
}

/// One answer on a simulated person: logits, the true class, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) logits: [f32; 4],
    pub(super) truth: usize,
    at_s: f64,
    onset_s: f64,
    person: usize,
}

/// Answers of a whole session, with the state reset in turn as the engine does.
pub(super) fn session_answers(
    model: &IntentModel,
    sequences: &[&Sequence],
) -> Result<Vec<Answer>, ModelError> {
    let horizon = model.manifest().horizon_steps;
    let mut all = Vec::new();
    for (person, sequence) in sequences.iter().enumerate() {
        let moments: Vec<&Moment> = sequence.moments.iter().collect();
        for begin in (0..moments.len()).step_by(horizon) {
            let chunk = &moments[begin..moments.len().min(begin + 2 * horizon)];
            let young = if begin == 0 { 0 } else { horizon };
            for (moment, step) in chunk.iter().zip(answers(model, chunk)?).skip(young) {
                let Some((label, class)) = moment.label.and_then(|l| Some((l, l.intent?))) else {
                    continue;
                };
                let truth = IntentClass::ALL.iter().position(|&c| c == class).unwrap_or(0);
                let (at_s, onset_s) = (moment.at_s, label.start_s);
                all.push(Answer { logits: step.intent_logits, truth, at_s, onset_s, person });
            }
        }
    }
    Ok(all)
}

/// Sums up answers on simulated people.
pub(super) fn intent_report(
    model: &IntentModel,
    people: usize,
    answers: &[Answer],
) -> IntentReport {
    let calibration = &model.manifest().calibration;
    let mut confusion = [[0usize; 4]; 4];
    let (mut raw, mut calibrated) = (Vec::new(), Vec::new());
    let mut onsets: Vec<((usize, u64), Option<f64>)> = Vec::new();
    for a in answers {
        let before = top(models::Calibration::IDENTITY.intent(a.logits));
        let after = top(calibration.intent(a.logits));
        confusion[a.truth][after.0] += 1;
        raw.push((before.1, before.0 == a.truth));
        calibrated.push((after.1, after.0 == a.truth));
        let key = (a.person, a.onset_s.to_bits());
        if onsets.last().is_none_or(|(last, _)| *last != key) {
            onsets.push((key, None));
        }
        if let Some((_, delay @ None)) = onsets.last_mut()
            && after.0 == a.truth
        {
            *delay = Some((a.at_s - a.onset_s).max(0.0));
        }
    }
    let mut delays: Vec<f64> = onsets.iter().filter_map(|(_, delay)| *delay).collect();
    delays.sort_by(f64::total_cmp);
    let quantile = |q: f64| delays.get((q * delays.len() as f64) as usize).copied().unwrap_or(0.0);
    let correct: usize = (0..4).map(|c| confusion[c][c]).sum();
    let recalls = confusion.iter().enumerate().filter_map(|(c, row)| {
        let n: usize = row.iter().sum();
        (n > 0).then(|| row[c] as f64 / n as f64)
    });
    IntentReport {
        people,
        answers: answers.len(),
        accuracy: correct as f64 / answers.len().max(1) as f64,
        balanced_accuracy: mean(recalls),
        confusion,
        ece_raw: ece(&raw),
        ece_calibrated: ece(&calibrated),
        onsets: onsets.len(),
        detected: delays.len(),
        delay_median_s: quantile(0.5),
        delay_p90_s: quantile(0.9),
    }
}

fn top(probabilities: [f32; 4]) -> (usize, f32) {
    let best = (0..4).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap_or(0);
    (best, probabilities[best])
}

/// Scale and biases of the intent softmax, by gradient descent on log loss.
pub(super) fn intent_calibration(answers: &[Answer]) -> (f32, [f32; 4]) {
    /// The loss is convex in these five numbers; this many rounds leave it flat.
    const ROUNDS: usize = 400;
    const RATE: f64 = 0.5;
    let (mut scale, mut bias) = (1.0f64, [0.0f64; 4]);
    for _ in 0..ROUNDS {
        let (mut gs, mut gb) = (0.0, [0.0; 4]);
        for a in answers {
            let z: [f64; 4] = std::array::from_fn(|i| scale * f64::from(a.logits[i]) + bias[i]);
            let most = z.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = z.iter().map(|v| (v - most).exp()).sum();
            for i in 0..4 {
                let error = (z[i] - most).exp() / sum - f64::from(u8::from(i == a.truth));
                gs += error * f64::from(a.logits[i]);
                gb[i] += error;
            }
        }
        let rate = RATE / answers.len().max(1) as f64;
        scale -= rate * gs / 4.0;
        (0..4).for_each(|i| bias[i] -= rate * gb[i]);
    }
    (scale as f32, bias.map(|b| b as f32))
}
