//! The person's page in a browser: `cargo xtask ci page`, or `cargo test -p server --test browser`.
//! The server and its people are made here; what is done and looked at stands in `page/check.mjs`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use serde_json::{Value, json};
use server::{
    orders::{
        life::{Proposal, Rules},
        person::{Held, Suggestion},
        signing::{Action, Link},
    },
    rehearsal,
};
use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
};
use support::{HOUR_MS, Shopping, now_unix_ms, proposal};
use tokio::process::Command;
use uuid::Uuid;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/check.mjs");
const BROWSERS: [&str; 3] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/// How long what expires in front of the browser waits: long enough to open it before, milliseconds.
const SOON_MS: i64 = 40_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What the script needs; `None`, and why, where it is not there.
fn tools() -> Result<(PathBuf, &'static str), &'static str> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let packages = cache.map(|cache| cache.join("attune/browser")).unwrap_or_default();
    if !packages.join("node_modules/playwright-core").is_dir() {
        return Err("skipped: no playwright-core (cargo xtask setup installs it)");
    }
    let browser = BROWSERS.into_iter().find(|path| Path::new(path).is_file());
    Ok((packages, browser.ok_or("skipped: no Chromium (cargo xtask setup installs it)")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn people_use_their_page() {
    let (packages, chromium) = match tools() {
        Ok(tools) => tools,
        Err(missing) => {
            // Not through the test harness, which would swallow it.
            let _ = writeln!(std::io::stderr(), "{missing}");
            return;
        }
    };
    let shopping = Shopping::start().await;
    let mut people = serde_json::Map::new();
    for size in ["phone", "desktop"] {
        people.insert(size.to_owned(), cast(&shopping).await);
    }
    let plan = json!({ "url": shopping.server.url, "people": people, "soon_ms": SOON_MS });
    let mut script = Command::new("node");
    script.arg(SCRIPT).env("PLAN", plan.to_string());
    let status = script.env("PACKAGES", packages).env("CHROMIUM", chromium).status().await.unwrap();
    assert!(status.success(), "what is wrong stands above");
}

/// The people of one size of screen, by what they are for.
async fn cast(shopping: &Shopping) -> Value {
    let at = shopping.server.location();
    let now = now_unix_ms();
    let [home, double, plain, shared, newcomer, link, late, keyboard] =
        [(); 8].map(|()| Uuid::now_v7());
    let mut made: Vec<(Proposal, i64)> = Vec::new();
    // Two that nobody answered, then four that wait, the newest on top.
    for (title, days) in [("Rice", 40), ("Oats", 16)] {
        made.push((proposal(home, &[(title, 1)]), now - days * DAY_MS));
    }
    for (after, title) in (0..).zip(["Soap", "Milk", "Tea", "Coffee"]) {
        made.push((proposal(home, &[(title, 2)]), now + after));
    }
    made.push((proposal(home, &[("Cat food, 12 × 85 g", 2), ("Cat litter, 10 l", 1)]), now - 5));
    for person in [double, plain, shared, keyboard] {
        made.push((proposal(person, &[("Coffee", 2)]), now));
    }
    let message = proposal(link, &[("Coffee", 2)]);
    made.push((message.clone(), now));
    let soon = Rules { answer_ms: SOON_MS, reminders_ms: Vec::new(), ..Rules::default() };
    made.push((Proposal { rules: soon, ..proposal(late, &[("Coffee", 2)]) }, now_unix_ms()));
    rehearsal::propose(at.clone(), made).await.unwrap();
    rehearsal::suggest(at.clone(), home, &suggestions(), now).await.unwrap();
    rehearsal::suggest(at, newcomer, &suggestions()[..1], now).await.unwrap();
    let approve = Action::Approve { total_minor: message.quote.total_minor() };
    let old = Link {
        order: message.order,
        quote: message.quote.id(),
        action: approve,
        expires_unix_ms: now - 1,
        nonce: Uuid::now_v7(),
    };
    json!({
        "home": shopping.page(home), "double": shopping.page(double),
        "plain": shopping.page(plain), "shared": shopping.page(shared),
        "newcomer": shopping.page(newcomer), "late": shopping.page(late),
        "keyboard": shopping.page(keyboard), "link": shopping.link(&message, approve),
        "expired": format!("/o/{}", shopping.signer.sign(&old)),
    })
}

fn suggestions() -> Vec<Suggestion> {
    let one = |category: &str, because, confidence, days: u32| Suggestion {
        category: category.to_owned(),
        skus: vec![category.to_lowercase()],
        quantity: 1,
        confidence,
        threshold: Some(0.77),
        window_days: (Some(days), Some(days + 9)),
        because,
        reasons: vec![format!("you buy this about every {} days", 3 * days)],
        model_id: "7d6a2f9c01b4e583".to_owned(),
    };
    vec![one("Washing powder", Held::Unsure, 0.61, 8), one("Honey", Held::Asked, 0.83, 4)]
}
