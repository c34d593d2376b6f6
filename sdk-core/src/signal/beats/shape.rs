//! Does a beat look like the beats before it?
//!
//! Template matching after Orphanidou et al. 2015, "Signal-Quality Indices for the
//! Electrocardiogram and Photoplethysmogram", IEEE JBHI 19(3):832: a beat's quality is its
//! correlation with the average beat. There the average is over a 10-s window; here it follows the
//! stream, over about as many beats.

/// Points a shape is resampled to: more than the harmonics of a beat need.
pub(crate) const POINTS: usize = 32;

/// A wave of mean 0 and length 1.
pub(crate) type Shape = [f64; POINTS];

/// How fast the average follows: over about ten beats, ten seconds of a heart at rest.
const FOLLOW: f64 = 0.1;
/// After so many beats in a row that look like none known, the known ones are out of date.
const STRANGERS: usize = 4;

/// The shapes beats usually have.
#[derive(Debug, Clone)]
pub(crate) struct Shapes {
    known: Vec<Known>,
    room: usize,
    alike: f64,
    /// The last beat that looked like none known.
    stranger: Option<Shape>,
    strangers: usize,
    judged: usize,
}

#[derive(Debug, Clone)]
struct Known {
    shape: Shape,
    seen: usize,
}

impl Shapes {
    /// At most `room` shapes; two beats are alike from the correlation `alike` on.
    pub(crate) fn new(room: usize, alike: f64) -> Self {
        let (known, stranger) = (Vec::with_capacity(room), None);
        Self { known, room, alike, stranger, strangers: 0, judged: 0 }
    }

    /// The highest correlation with a known shape, 0..=1. Learns from a `plausible` beat.
    pub(crate) fn judge(&mut self, shape: &Shape, plausible: bool) -> f64 {
        self.judged += 1;
        let correlations = self.known.iter().map(|k| correlation(&k.shape, shape)).enumerate();
        let (nearest, best) = correlations
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map_or((0, 0.0), |(i, best)| (i, best.clamp(0.0, 1.0)));
        if best >= self.alike && plausible {
            self.strangers = 0;
            if let Some(known) = self.known.get_mut(nearest) {
                known.seen = self.judged;
                for (mean, x) in known.shape.iter_mut().zip(shape) {
                    *mean += FOLLOW * (x - *mean);
                }
            }
            return best;
        }
        self.strangers += 1;
        let like_the_last = self.stranger.replace(*shape).map_or(0.0, |s| correlation(&s, shape));
        if like_the_last < self.alike || best >= self.alike {
            return best;
        }
        // Twice the same is no accident: a shape to know.
        let known = Known { shape: *shape, seen: self.judged };
        if self.known.len() < self.room {
            self.known.push(known);
            return like_the_last.min(1.0);
        }
        if self.strangers >= STRANGERS
            && let Some(oldest) = self.known.iter_mut().min_by_key(|k| k.seen)
        {
            *oldest = known;
        }
        best
    }
}

/// Mean taken off, scaled to length 1; `None` for a flat line.
pub(crate) fn normalised(mut points: Shape) -> Option<Shape> {
    let mean = points.iter().sum::<f64>() / POINTS as f64;
    points.iter_mut().for_each(|x| *x -= mean);
    let length = points.iter().map(|x| x * x).sum::<f64>().sqrt();
    (length > 0.0 && length.is_finite()).then(|| points.map(|x| x / length))
}

/// Pearson's correlation of two shapes, the first of any length, both of mean 0.
fn correlation(mean: &Shape, unit: &Shape) -> f64 {
    let length = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
    let product: f64 = mean.iter().zip(unit).map(|(a, b)| a * b).sum();
    if length > 0.0 { product / length } else { 0.0 }
}
