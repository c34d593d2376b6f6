//! The short form of the crash campaign; `cargo xtask bench crash` is the long one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{env, process::Command};
use tests::{
    crash::{self, Plan},
    postgres::{Kind, Postgres},
};

fn check(name: &str, database: Option<String>) {
    let plan = Plan { client_kills: 60, server_kills: 12, seed: 1, database };
    let outcome = crash::campaign(&plan, || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([name, "--exact", "--nocapture"]);
        command
    });
    println!("{}", outcome.line());
    assert!(outcome.acknowledged > 100 && outcome.withdrawals > 0, "{outcome:?}");
    assert_eq!((outcome.lost, outcome.doubled, outcome.after_withdrawal), (0, 0, 0), "{outcome:?}");
}

#[test]
fn c4_c14_s1_s2_s5_s8_kills_lose_nothing_and_what_was_withdrawn_stays_away() {
    crash::play_a_part();
    check("c4_c14_s1_s2_s5_s8_kills_lose_nothing_and_what_was_withdrawn_stays_away", None);
}

#[test]
fn c4_c14_s1_s2_s5_s8_kills_lose_nothing_on_postgres() {
    crash::play_a_part();
    if let Some(postgres) = Postgres::shared(Kind::Plain) {
        let database = Some(postgres.database("crash"));
        check("c4_c14_s1_s2_s5_s8_kills_lose_nothing_on_postgres", database);
    }
}
