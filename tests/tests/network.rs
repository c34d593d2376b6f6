//! A deterministic simulation of a bad network: real clients with real ledgers against the real
//! server, in virtual time, from a seed.
//!
//! Requests and answers are lost, repeated, delayed beyond later ones and answered by somebody
//! else; the network parts, in one direction or both; devices die at any write and come back;
//! their wall clocks jump by days; the server stops and starts. Meanwhile people grant, pause and
//! withdraw. What must hold at any moment is checked with every request, what must hold in the end
//! when the network has healed.
//!
//! The server reads the system's clock, which a test cannot set: its own wall clock does not jump
//! here. Its times are judged as differences, which virtual time has as well.
//!
//! `ATTUNE_NETWORK_SEEDS` plays more seeds, `ATTUNE_NETWORK_FIRST` others; one that fails is
//! printed with its last events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and helpers of tests"
)]

#[path = "network/cloud.rs"]
mod cloud;
#[path = "network/day.rs"]
mod day;
#[path = "network/delivery.rs"]
mod delivery;
#[path = "network/device.rs"]
mod device;
#[path = "network/disk.rs"]
mod disk;
#[path = "network/journal.rs"]
mod journal;
#[path = "network/judge.rs"]
mod judge;
#[path = "network/simulation.rs"]
mod simulation;
#[path = "network/weather.rs"]
mod weather;

use journal::Counts;
use simulation::{Plan, play};
use std::{
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Seeds of every run of the tests.
const SEEDS: u64 = 60;

fn run(plan: Plan) -> (Counts, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(play(plan))
}

#[test]
fn s1_s2_s3_s4_s5_s6_s8_c2_c5_c8_c14_a_bad_network_loses_doubles_and_leaks_nothing() {
    let seeds = env::var("ATTUNE_NETWORK_SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    let first: u64 = env::var("ATTUNE_NETWORK_FIRST").map_or(0, |text| text.parse().unwrap());
    let (next, total) = (AtomicU64::new(first), Mutex::new(Counts::default()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        break;
                    }
                    let (counts, _) = run(Plan::of(seed));
                    *total.lock().unwrap() += counts;
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    println!("{total:#?}");
    assert_eq!(total.seeds, seeds);
    // What was never tried proves nothing.
    for (tried, what) in [
        (total.stored, "stored"),
        (total.withdrawn, "withdrawn"),
        (total.dead_letters, "dead letters"),
        (total.dropped, "dropped"),
        (total.no_longer_shared, "no longer shared"),
        (total.replays_refused, "replays"),
        (total.reordered, "reordered"),
        (total.timeouts, "timeouts"),
        (total.partitions, "partitions"),
        (total.device_kills, "kills"),
        (total.server_restarts, "server restarts"),
    ] {
        assert!(tried > 0, "{what}: never tried");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let plan = Plan::of(7);
    assert_eq!(run(plan), run(plan));
    assert_ne!(run(plan).1, run(Plan::of(8)).1);
}

#[test]
#[should_panic(expected = "events are lost")]
fn s1_a_disk_that_lies_is_found() {
    for seed in 0..8 {
        run(Plan { disk_lies: true, ..Plan::of(seed) });
    }
}
