//! `cargo xtask bench crash`: the crash campaign, and how much of what was promised it lost; on
//! SQLite, and again on PostgreSQL where there is one.
//!
//! `ATTUNE_CRASH_CLIENT_KILLS` and `ATTUNE_CRASH_SERVER_KILLS` make it longer or shorter.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement")]

use std::{
    env,
    process::{Command, ExitCode},
};
use tests::{
    crash::{self, Plan},
    postgres::{Kind, Postgres},
};

fn main() -> ExitCode {
    crash::play_a_part();
    let number = |name, default| env::var(name).map_or(default, |text| text.parse().unwrap());
    let plan = Plan {
        client_kills: number("ATTUNE_CRASH_CLIENT_KILLS", 1_000),
        server_kills: number("ATTUNE_CRASH_SERVER_KILLS", 200),
        seed: number("ATTUNE_CRASH_CAMPAIGN", 1),
        database: None,
    };
    let on_postgres = Postgres::shared(Kind::Plain)
        .map(|postgres| Plan { database: Some(postgres.database("crash")), ..plan.clone() });
    let mut kept = true;
    for plan in [Some(plan), on_postgres].into_iter().flatten() {
        let outcome = crash::campaign(&plan, || Command::new(env::current_exe().unwrap()));
        println!("{}", outcome.line());
        kept &= outcome.lost + outcome.doubled + outcome.after_withdrawal == 0;
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
