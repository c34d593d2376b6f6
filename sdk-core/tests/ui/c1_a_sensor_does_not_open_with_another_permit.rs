//! C1: no sensor opens but with a permit to collect.

use sdk_core::{
    consent::{Infer, Permit},
    sensor::{Selector, SessionClock, Transport},
};

async fn open(
    transport: &dyn Transport,
    selector: &Selector,
    permit: &Permit<Infer>,
    clock: SessionClock,
) {
    let _ = transport.open(selector, permit, clock).await;
}

fn main() {}
