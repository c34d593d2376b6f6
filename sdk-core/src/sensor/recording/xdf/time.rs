//! Times of a stream on the recorder's clock, as pyxdf finds them.

/// Clock offsets further than this from the line, in seconds, count by their distance only (Huber
/// 1964, "Robust Estimation of a Location Parameter"); pyxdf's `winsor_threshold`.
const HUBER_S: f64 = 1e-4;
/// Rounds of reweighting; the line stands still long before.
const ROUNDS: usize = 200;
/// The line stands still: smallest change of an offset that matters, seconds.
const STILL_S: f64 = 1e-12;
/// A jump of the clock offset by more, in seconds, is a clock that was set anew; pyxdf's
/// `clock_reset_threshold_offset_seconds`.
const RESET_S: f64 = 1.0;
/// A pause longer than this, in seconds and in samples, ends a run; pyxdf's
/// `jitter_break_threshold_seconds` and `_samples`. Its default of 500 samples would spread a lost
/// minute evenly over the rest of a 4-Hz stream.
const BREAK_S: f64 = 1.0;
const BREAK_SAMPLES: f64 = 4.0;

/// `y = mean_y + slope * (x - mean_x)`.
#[derive(Debug, Clone, Copy)]
struct Line {
    mean_x: f64,
    mean_y: f64,
    slope: f64,
}

impl Line {
    fn at(&self, x: f64) -> f64 {
        self.mean_y + self.slope * (x - self.mean_x)
    }

    /// Least squares with weights; level where there is no spread.
    fn fit(points: impl Iterator<Item = (f64, f64, f64)> + Clone) -> Self {
        let (mut weight, mut mean_x, mut mean_y) = (0.0, 0.0, 0.0);
        for (x, y, w) in points.clone() {
            weight += w;
            mean_x += w * x;
            mean_y += w * y;
        }
        let (mean_x, mean_y) = (mean_x / weight, mean_y / weight);
        let (mut sxx, mut sxy) = (0.0, 0.0);
        for (x, y, w) in points {
            sxx += w * (x - mean_x) * (x - mean_x);
            sxy += w * (x - mean_x) * (y - mean_y);
        }
        let slope = if sxx > 0.0 { sxy / sxx } else { 0.0 };
        Self { mean_x, mean_y, slope }
    }

    /// Robust against single offsets that a busy network delayed.
    fn fit_robust(points: &[(f64, f64)]) -> Self {
        let mut line = Self::fit(points.iter().map(|&(x, y)| (x, y, 1.0)));
        for _ in 0..ROUNDS {
            let weight = |x: f64, y: f64| (HUBER_S / (y - line.at(x)).abs()).min(1.0);
            let next = Self::fit(points.iter().map(|&(x, y)| (x, y, weight(x, y))));
            let moved = points.iter().map(|&(x, _)| (next.at(x) - line.at(x)).abs());
            let still = moved.fold(0.0, f64::max) < STILL_S;
            line = next;
            if still {
                break;
            }
        }
        line
    }
}

/// Adds to each time the clock offset of the stretch it belongs to.
pub(super) fn apply_offsets(times_s: &mut [f64], offsets: &[(f64, f64)]) {
    let stretches: Vec<&[(f64, f64)]> = offsets
        .chunk_by(|a, b| b.0 >= a.0 && (b.1 - a.1).abs() <= RESET_S)
        .filter(|stretch| !stretch.is_empty())
        .collect();
    let mut rest = times_s;
    for (k, stretch) in stretches.iter().enumerate() {
        let ends_s = stretch[stretch.len() - 1].0;
        let count = stretches.get(k + 1).map_or(rest.len(), |next| {
            let is_next = |t: &f64| (t - ends_s).abs() >= (t - next[0].0).abs();
            rest.iter().position(is_next).unwrap_or(rest.len())
        });
        let line = Line::fit_robust(stretch);
        let (mine, others) = rest.split_at_mut(count);
        mine.iter_mut().for_each(|t| *t += line.at(*t));
        rest = others;
    }
}

/// Puts the times of each unbroken run on a straight line.
pub(super) fn remove_jitter(times_s: &mut [f64], interval_s: f64) {
    let longest_s = BREAK_S.max(BREAK_SAMPLES * interval_s);
    for run in times_s.chunk_by_mut(|a, b| (b - a).abs() <= longest_s) {
        let points = run.iter().enumerate().map(|(k, &t)| (k as f64, t, 1.0));
        let line = Line::fit(points);
        run.iter_mut().enumerate().for_each(|(k, t)| *t = line.at(k as f64));
    }
}
