//! Any text where people write TOML: offer plans, device descriptions, fault scripts.
#![no_main]

use firmware_sim::{fault::FaultScript, spec::DeviceSpec};
use libfuzzer_sys::fuzz_target;
use sdk_core::offer::OfferPlan;

fuzz_target!(|text: &str| {
    let _ = OfferPlan::from_toml(text);
    let _ = DeviceSpec::parse(text);
    let _ = FaultScript::parse(text);
});
