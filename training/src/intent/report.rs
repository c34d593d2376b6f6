//! What a training run found, as JSON and as a model card.

use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Everything that was measured about a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The model's id.
    pub model_id: String,
    /// What it was trained on.
    pub data: DataReport,
    /// On people, held out by subject. `None` without real recordings.
    pub arousal: Option<ArousalReport>,
    /// On simulated people the model has not seen. `None` without simulated sessions.
    pub intent: Option<IntentReport>,
}

/// Sizes of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataReport {
    /// People with recordings.
    pub real_subjects: usize,
    /// Their hours of usable features.
    pub real_hours: f64,
    /// Simulated people trained on.
    pub simulated_training: usize,
    /// Simulated people that help the networks of the folds.
    pub simulated_judging: usize,
    /// Simulated people used for calibration only.
    pub simulated_calibration: usize,
    /// Simulated people used for scores only.
    pub simulated_test: usize,
    /// Hours of usable features of all simulated people.
    pub simulated_hours: f64,
    /// Epochs.
    pub epochs: usize,
    /// Units of the recurrent state.
    pub hidden: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// Stress against calm on people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArousalReport {
    /// Subjects with windows of both kinds.
    pub subjects: usize,
    /// 60-s windows, step 30 s, state empty at each begin.
    pub windows: usize,
    /// Labelled windows with too little data to answer.
    pub abstained: usize,
    /// Mean over subjects.
    pub balanced_accuracy: f64,
    /// Mean over subjects.
    pub auc: f64,
    /// Expected calibration error of the raw sigmoid.
    pub ece_raw: f64,
    /// The same after scale and bias fitted on the other folds.
    pub ece_calibrated: f64,
    /// Each subject.
    pub per_subject: Vec<SubjectScore>,
    /// The same procedure on labels moved in time: what is not about the person.
    pub nulls: Vec<NullScore>,
}

/// One subject's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubjectScore {
    /// Who.
    pub subject: String,
    /// Their windows.
    pub windows: usize,
    /// Mean of sensitivity and specificity.
    pub balanced_accuracy: f64,
    /// Area under the ROC curve.
    pub auc: f64,
}

/// Scores on labels moved in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NullScore {
    /// By how much, minutes.
    pub shift_min: f64,
    /// Mean over subjects.
    pub balanced_accuracy: f64,
    /// Mean over subjects.
    pub auc: f64,
}

/// Intent on simulated people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntentReport {
    /// Test people.
    pub people: usize,
    /// Answers, one a second.
    pub answers: usize,
    /// Share of right answers.
    pub accuracy: f64,
    /// Mean recall.
    pub balanced_accuracy: f64,
    /// Rows: truth; columns: answer; order of `IntentClass::ALL`.
    pub confusion: [[usize; 4]; 4],
    /// Expected calibration error of the raw softmax.
    pub ece_raw: f64,
    /// The same, calibrated on other simulated people.
    pub ece_calibrated: f64,
    /// State onsets in the test sessions.
    pub onsets: usize,
    /// Onsets after which the state was ever answered before the next.
    pub detected: usize,
    /// From onset to the first right answer, of those detected.
    pub delay_median_s: f64,
    /// The same, 90th percentile.
    pub delay_p90_s: f64,
}

impl Report {
    /// The model card, Markdown.
    #[must_use]
    pub fn model_card(&self) -> String {
        let mut card = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_card(&mut card);
        card
    }

    fn write_card(&self, out: &mut String) -> std::fmt::Result {
        let d = &self.data;
        writeln!(out, "# Model card: {}\n", self.model_id)?;
        writeln!(
            out,
            "A recurrent network (GRU, {} units) that reads features of skin conductance and heart \
             rate variability once a second and gives (a) a state of mind toward the offer on \
             screen and (b) physiological arousal. Written by `attune train intent`; the same data, \
             version and seed ({}) give the same bytes. {} epochs.\n",
            d.hidden, d.seed, d.epochs
        )?;
        writeln!(out, "## Trained on\n")?;
        writeln!(
            out,
            "- **Arousal**: {} people wearing an Empatica E4 through laboratory stress (Stroop, \
             interview, hyperventilation) and calm, {:.1} h of usable features after 5 minutes of \
             calibration each (Stress-Predict, Iqbal et al. 2022, *Sensors* 22:8135, MIT). The \
             simulator's stressed against neutral counts too, at a low weight.",
            d.real_subjects, d.real_hours
        )?;
        writeln!(
            out,
            "- **Intent**: {} simulated people; {} more for calibration, {} more for the scores \
             below; {:.1} h in all. Their baseline is learned in the 10 to 60 s of rest with which \
             each session begins. The networks that are judged on real people below had {} of \
             them.\n",
            d.simulated_training,
            d.simulated_calibration,
            d.simulated_test,
            d.simulated_hours,
            d.simulated_judging
        )?;
        if let Some(arousal) = &self.arousal {
            arousal.write_card(out)?;
        }
        if let Some(intent) = &self.intent {
            intent.write_card(out)?;
        }
        writeln!(
            out,
            "## What it cannot know\n\n\
             - Neutral, interested, hesitant and stressed were learned from a simulator. How it \
             maps a state to the body is **our assumption**: no published study measures what \
             interest or hesitation before an offer does to skin and heart. Scores on simulated \
             people show that the pipeline works, never that it reads people.\n\
             - It has seen no purchase, no refusal and no price: nothing ties its classes to \
             outcomes.\n\
             - Arousal has no sign. Joy, effort, heat, movement, coffee and speech raise it as \
             stress does.\n\
             - The real people are few, healthy, seated, and followed one protocol in one order. \
             On people unlike them the scores are unknown.\n\
             - The arousal probability carries the share of stress in that protocol, not that of \
             daily life.\n\
             - It must not decide anything about health, work or credit."
        )
    }
}

impl ArousalReport {
    fn write_card(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "## Arousal, on people held out by subject\n\n\
             {} subjects, {} windows of 60 s (step 30 s, empty state at each begin, first 5 \
             minutes calibrate), {} windows abstained. The shipped network is trained on all of \
             these people by the same procedure; the scores are of the folds' networks.\n\n\
             | labels | balanced accuracy | mean subject AUC |\n|---|---|---|",
            self.subjects, self.windows, self.abstained
        )?;
        writeln!(out, "| as they are | {:.3} | {:.3} |", self.balanced_accuracy, self.auc)?;
        for null in &self.nulls {
            writeln!(
                out,
                "| moved by {:.0} min (null) | {:.3} | {:.3} |",
                null.shift_min, null.balanced_accuracy, null.auc
            )?;
        }
        writeln!(
            out,
            "\nExpected calibration error {:.3} raw, {:.3} after scale and bias fitted on the \
             other folds.\n",
            self.ece_raw, self.ece_calibrated
        )
    }
}

impl IntentReport {
    fn write_card(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "## Intent, on {} simulated people not trained on\n\n\
             {} answers, one a second: accuracy {:.3}, balanced accuracy {:.3} (chance .25). \
             Expected calibration error {:.3} raw, {:.3} calibrated. After a change of state the \
             first right answer comes after {:.0} s (median; 90 % within {:.0} s); {} of {} changes \
             are noticed before the next.\n\n\
             | truth \\ answer | neutral | interested | hesitant | stressed |\n|---|---|---|---|---|",
            self.people,
            self.answers,
            self.accuracy,
            self.balanced_accuracy,
            self.ece_raw,
            self.ece_calibrated,
            self.delay_median_s,
            self.delay_p90_s,
            self.detected,
            self.onsets
        )?;
        for (class, row) in protocol::intent::IntentClass::ALL.iter().zip(self.confusion) {
            let [a, b, c, d] = row;
            writeln!(out, "| {} | {a} | {b} | {c} | {d} |", class.name())?;
        }
        writeln!(out)
    }
}
