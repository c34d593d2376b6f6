//! Real Fourier transforms of the lengths used over and over, planned once.

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use std::sync::{Arc, LazyLock};

/// The length of Welch's segments and of the padded coherence window.
pub(super) const USUAL: usize = 256;

/// The length of the grid beats are spread over for Lomb's spectrum.
pub(super) const GRID: usize = 4096;

type Plan = Arc<dyn RealToComplex<f64>>;

static USUAL_PLAN: LazyLock<Plan> = LazyLock::new(|| planned(USUAL));
static GRID_PLAN: LazyLock<Plan> = LazyLock::new(|| planned(GRID));

fn planned(n: usize) -> Plan {
    RealFftPlanner::new().plan_fft_forward(n)
}

/// A transform and its working memory.
pub(super) struct Fourier {
    plan: Plan,
    /// What is transformed next; garbage after.
    pub(super) input: Vec<f64>,
    output: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Fourier {
    pub(super) fn of_length(n: usize) -> Self {
        let plan = match n {
            USUAL => Arc::clone(&USUAL_PLAN),
            GRID => Arc::clone(&GRID_PLAN),
            other => planned(other),
        };
        let (input, output) = (plan.make_input_vec(), plan.make_output_vec());
        let scratch = plan.make_scratch_vec();
        Self { plan, input, output, scratch }
    }

    /// The transform of `input`, `n / 2 + 1` values: sums of `input[m] exp(-2 pi i k m / n)`.
    pub(super) fn transform(&mut self) -> &[Complex<f64>] {
        let done =
            self.plan.process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch);
        // It fails on buffers of a wrong length only, and these are the plan's own.
        debug_assert!(done.is_ok(), "{done:?}");
        &self.output
    }

    /// Squared magnitudes of it.
    pub(super) fn power(&mut self) -> impl Iterator<Item = f64> + '_ {
        self.transform().iter().map(Complex::norm_sqr)
    }
}
