//! The short form of the crash campaign; `cargo xtask bench crash` is the long one.

use std::{env, process::Command};
use tests::crash::{self, Plan};

#[test]
fn c4_c14_s1_s2_s5_s8_kills_lose_nothing_and_what_was_withdrawn_stays_away() {
    crash::play_a_part();
    let name = "c4_c14_s1_s2_s5_s8_kills_lose_nothing_and_what_was_withdrawn_stays_away";
    let outcome = crash::campaign(Plan { client_kills: 60, server_kills: 12, seed: 1 }, || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([name, "--exact", "--nocapture"]);
        command
    });
    println!("{}", outcome.line());
    assert!(outcome.acknowledged > 100 && outcome.withdrawals > 0, "{outcome:?}");
    assert_eq!((outcome.lost, outcome.doubled, outcome.after_withdrawal), (0, 0, 0), "{outcome:?}");
}
