//! The rises of a wave: from each local minimum to the local maximum after it.

/// One rise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rise {
    /// Number of the sample at the bottom.
    pub(crate) from: usize,
    /// Number of the sample at the top.
    pub(crate) to: usize,
    /// The value at the top, above 0. A second wave (dicrotic, T) may rise as far as the first,
    /// but from a dip and hardly above the mean, which the filters put at 0.
    pub(crate) height: f64,
}

/// Finds them, each as soon as the wave falls again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rises {
    /// The last value, with its number.
    last: Option<(usize, f64)>,
    /// Where the wave began to rise, if it rises.
    bottom: Option<usize>,
}

impl Rises {
    pub(crate) fn push(&mut self, number: usize, value: f64) -> Option<Rise> {
        let (to, height) = self.last.replace((number, value))?;
        if value > height {
            self.bottom.get_or_insert(to);
            return None;
        }
        let from = self.bottom.take()?;
        (height > 0.0).then_some(Rise { from, to, height })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_end_where_the_wave_falls_or_rests() {
        let mut rises = Rises::default();
        let wave = [0.0, 0.0, 1.0, 3.0, 3.0, 2.0, 2.5, 1.0, -4.0, -2.0, -3.0];
        let found: Vec<Rise> =
            wave.iter().enumerate().filter_map(|(i, &x)| rises.push(i, x)).collect();
        let rise = |from, to, height| Rise { from, to, height };
        assert_eq!(found, [rise(1, 3, 3.0), rise(5, 6, 2.5)], "below 0 is none");
    }
}
