//! Real Fourier transforms of the lengths used over and over, planned once.

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use std::sync::{Arc, LazyLock};

/// The length of Welch's segments and of the padded coherence window.
pub(super) const USUAL: usize = 256;

static USUAL_PLAN: LazyLock<Arc<dyn RealToComplex<f64>>> =
    LazyLock::new(|| RealFftPlanner::new().plan_fft_forward(USUAL));

/// A transform and its working memory.
pub(super) struct Fourier {
    plan: Arc<dyn RealToComplex<f64>>,
    /// What is transformed next; garbage after.
    pub(super) input: Vec<f64>,
    output: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Fourier {
    pub(super) fn of_length(n: usize) -> Self {
        let plan = if n == USUAL {
            Arc::clone(&USUAL_PLAN)
        } else {
            RealFftPlanner::new().plan_fft_forward(n)
        };
        let (input, output) = (plan.make_input_vec(), plan.make_output_vec());
        let scratch = plan.make_scratch_vec();
        Self { plan, input, output, scratch }
    }

    /// Squared magnitudes of the transform of `input`, `n / 2 + 1` of them.
    pub(super) fn power(&mut self) -> impl Iterator<Item = f64> + '_ {
        let done =
            self.plan.process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch);
        // It fails on buffers of a wrong length only, and these are the plan's own.
        debug_assert!(done.is_ok(), "{done:?}");
        self.output.iter().map(Complex::norm_sqr)
    }
}
