//! Ten minutes of every kind of wearable at once, at full rate, through real D-Bus, with something
//! going wrong all the time: `cargo xtask bench soak`. One JSON object: what each device measured,
//! what arrived, what the drivers counted as missing, and the difference, which must be 0 but for the
//! last packet of the Shimmer.
//!
//! `ATTUNE_SOAK_SECONDS` sets another length.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement")]

use firmware_sim::bus::PrivateBus;
use std::{
    env,
    process::{Command, ExitCode},
};

const BUS: &str = "ATTUNE_BENCH_BUS";
const SECONDS: f64 = 600.0;
/// A Shimmer's packet is believed once the next one confirms it: the last one of all never is.
const UNCONFIRMED: u64 = 1;

fn main() -> ExitCode {
    let Ok(bus_address) = env::var(BUS) else {
        // The D-Bus library reads the address once: the work is done in a child that has it.
        let bus = PrivateBus::start().unwrap();
        let mut child = Command::new(env::current_exe().unwrap());
        let child = child.env(BUS, bus.address()).env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        let ok = child.status().unwrap().success();
        return if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    let seconds = env::var("ATTUNE_SOAK_SECONDS").ok().and_then(|s| s.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    let report = runtime.block_on(tests::soak::soak(&bus_address, seconds.unwrap_or(SECONDS)));
    let mut line = report.json();
    line["bench"] = "soak".into();
    println!("{line}");
    if report.uncounted() <= UNCONFIRMED { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
