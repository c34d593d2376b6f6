//! Learn then Test: a threshold that holds unless the cut was unusually lucky.

use super::{Judged, Realised, Wanted, ladder};
use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF};

/// What a completed cut supports.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tested {
    /// The loosest threshold that it supports; `None` where it supports none.
    pub threshold: Option<f64>,
    /// What came at that threshold and above; without one, at the first that was tested, or else
    /// at the loosest, where even there are too few.
    pub seen: Realised,
    /// How likely so few wrong ones are there, if more than the wanted share were wrong in truth.
    /// `None` where nothing was tested.
    pub p_value: Option<f64>,
}

/// Tests thresholds one after the other, from the strictest: of each it is assumed that more than
/// the wanted share is wrong, and the cut must speak against that with a p-value of the wanted doubt
/// at most. The first that it does not refute ends the search, and the one before is the answer. So
/// the whole search errs no oftener than one test (Angelopoulos, Bates, Candès, Jordan and Lei,
/// "Learn then Test: calibrating predictive algorithms to achieve risk control", 2021, section 3:
/// fixed-sequence testing; the p-value is the exact binomial tail, their losses being 0 or 1).
///
/// Thresholds that fewer than [`Wanted::least_rows`] predictions reach are passed over: that is
/// known without any label. Predictions count as independent of each other, which those of one
/// person are not quite: read the doubt as a rule, not as a law.
#[must_use]
pub fn learn_then_test(rows: &[Judged], wanted: &Wanted) -> Tested {
    let mut found = Tested { threshold: None, seen: Realised::default(), p_value: None };
    for (threshold, seen) in ladder(rows) {
        if seen.proposals < wanted.least_rows {
            found.seen = seen;
            continue;
        }
        let p_value = tail(seen.wrong, seen.proposals, wanted.wrong_share);
        if p_value > wanted.doubt {
            if found.threshold.is_none() {
                found = Tested { threshold: None, seen, p_value: Some(p_value) };
            }
            break;
        }
        found = Tested { threshold: Some(threshold), seen, p_value: Some(p_value) };
    }
    found
}

/// Probability of at most `wrong` out of `proposals` wrong, at the share `wrong_share`.
pub(super) fn tail(wrong: u64, proposals: u64, wrong_share: f64) -> f64 {
    // Only a share outside 0 to 1 is refused, and then nothing is supported.
    Binomial::new(wrong_share, proposals).map_or(1.0, |of| of.cdf(wrong))
}
