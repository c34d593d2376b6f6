//! Any bytes as a model of needs, and as what somebody buys: refused, or used without harm.
#![no_main]

use libfuzzer_sys::fuzz_target;
use models::{
    confidence::{Adaptive, Wanted},
    reorder::{Bundle, Consumption, needs},
};

fuzz_target!(|parts: (&[u8], &[u8], i32)| {
    let (file, bought, day) = parts;
    let consumption = serde_json::from_slice::<Consumption>(bought).unwrap_or_default();
    for (_, own) in consumption.categories() {
        let _ = (own.ranked(), own.profile(day), own.at_own_pace(day));
    }
    if let Ok(bundle) = Bundle::from_json(file) {
        let wanted = Wanted::default();
        let _ = bundle.level(&Adaptive::new(&wanted), &wanted);
        for need in needs(bundle.model(), &consumption, day, 1, 0.0) {
            assert!((0.0..=1.0).contains(&need.probability));
        }
    }
});
