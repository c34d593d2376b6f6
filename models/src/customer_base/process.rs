//! What is asked of a customer who is there now.

/// Purchases from now on, given that the customer is there. Times are in weeks, not negative.
pub(super) trait Process {
    /// The expected number of purchases.
    fn expected(&self, weeks: f64) -> f64;

    /// The probability of no purchase.
    fn none(&self, weeks: f64) -> f64;

    /// Tells the probabilities of 0, 1, 2, ... purchases, as long as `each` answers true.
    fn counts(&self, weeks: f64, each: &mut dyn FnMut(f64) -> bool);
}
