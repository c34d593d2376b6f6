//! The page that maps each promise of consent and delivery to the tests that prove it.
//!
//! A test carries the number of what it proves in its name (`c3_...`, `s5_...`, or several); a
//! promise without a test fails the check of the book.

use crate::project::{Project, TaskError};
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

/// Where the page stands.
pub const PAGE: &str = "docs/src/reference/promises.md";

/// Number and promise. The tests do not decide what is promised: this list does.
const PROMISES: [(&str, &str); 26] = [
    (
        "C1",
        "Refusal is the default, per modality, purpose and recipient. Collecting, inferring, \
         sharing and raising a price are granted apart. Without a grant no device is opened.",
    ),
    ("C2", "The grant is checked at open, sample, feature, queue and sending, by its epoch."),
    (
        "C3",
        "Withdrawal is one call. When it returns no sample is delivered; sensors are closed \
         within 200 ms at the 99th percentile.",
    ),
    (
        "C4",
        "Withdrawal purges buffers, model state, queue and retries, and destroys the key of what \
         is stored, wherever the process is killed.",
    ),
    ("C5", "A pause stops sensing, keeps the grants and survives a restart."),
    ("C6", "Setting the clock back never extends a grant."),
    (
        "C7",
        "The record has the mandatory fields of ISO/IEC TS 27560 and what the GDPR asks for \
         beyond them.",
    ),
    (
        "C8",
        "Receipts are canonical bytes in a SHA-256 chain, signed with Ed25519. Tampering is found; \
         a cut tail is found against the head that the server countersigned.",
    ),
    ("C9", "Raw signals cannot be uploaded: it does not compile, and the traffic holds none."),
    (
        "C10",
        "At rest everything is sealed by AES-256-GCM under a key per segment; no nonce is used \
         twice after a crash or a restored backup; without the platform's key nothing opens; keys \
         are zeroised.",
    ),
    (
        "C11",
        "Nothing is inferred before the notice in force is acknowledged; notices for work and \
         education are refused.",
    ),
    ("C12", "No signal value, feature or personal id is in any log line, at any level."),
    ("C13", "Without a valid proof of consent: 403, and nothing is stored or logged of it."),
    ("C14", "A withdrawal beats late data, in any order of arrival."),
    (
        "C15",
        "Export and erasure cover every table and leave a tombstone; backups are unreadable after \
         it.",
    ),
    ("C16", "What is kept ends by itself, purpose by purpose."),
    (
        "C17",
        "A biosignal never raises a price above list unless that was granted by itself; every \
         personalised price carries disclosure, rule and reference price.",
    ),
    ("C18", "Every automatic decision carries a reason in plain words."),
    (
        "S1",
        "Every item has a UUIDv7 and a sequence number, and is on disk before queueing returns.",
    ),
    (
        "S2",
        "An item leaves the queue only on a verdict of its own; what was rejected can be read by \
         the app.",
    ),
    (
        "S3",
        "Nothing is dropped for being offline. The queue is bounded in bytes, items and age; each \
         drop is counted and told to app and server.",
    ),
    ("S4", "Waits grow with full jitter; Retry-After is honoured and capped; 413 halves batches."),
    ("S5", "The server recognises repeated items and stores new ones in one transaction."),
    ("S6", "Event time, time of receipt and the correction of the device's clock are all kept."),
    ("S7", "A torn tail of a file is cut off; it never costs more than itself."),
    ("S8", "A withdrawal wins over everything on its way."),
];

/// Folders with tests.
const FOLDERS: [&str; 7] =
    ["protocol", "models", "sdk-core", "server", "cli", "firmware-sim", "tests"];

/// The page as it should be.
///
/// # Errors
/// When a source cannot be read, or a promise has no test.
pub fn page(project: &Project) -> Result<String, TaskError> {
    let mut proofs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in FOLDERS {
        collect(project, &project.root.join(folder), &mut proofs)?;
    }
    let mut page = String::from(
        "# Promises and their tests\n\n\
         What Attune promises about consent (C) and delivery (S), and the tests that hold it to \
         that. The numbers are in the tests' names.\n\n\
         | | promise | tests |\n|---|---|---|\n",
    );
    let mut unproven = Vec::new();
    for (number, promise) in PROMISES {
        match proofs.get_mut(number) {
            None => unproven.push(number),
            Some(tests) => {
                tests.sort();
                // Writing to a String does not fail.
                let _ = writeln!(page, "| **{number}** | {promise} | {} |", tests.join("<br>"));
            }
        }
    }
    if unproven.is_empty() {
        return Ok(page);
    }
    Err(TaskError::Found(format!("no test carries the number of {}", unproven.join(", "))))
}

fn collect(
    project: &Project,
    folder: &Path,
    proofs: &mut BTreeMap<String, Vec<String>>,
) -> Result<(), TaskError> {
    let failed = |source| TaskError::File { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(project, &path, proofs)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(&project.root).unwrap_or(&path).display().to_string();
            let text = project.read(&file)?;
            // A file that must not compile is a test as a whole.
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let whole = (!numbers(stem).is_empty()).then(|| stem.to_owned());
            for name in tests(&text).into_iter().chain(whole) {
                for number in numbers(&name) {
                    let proof = format!("`{name}` ({file})");
                    proofs.entry(number).or_default().push(proof);
                }
            }
        }
    }
    Ok(())
}

/// Names of the test functions in a source.
fn tests(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
        } else if let Some((_, rest)) = line.split_once("fn ")
            && std::mem::take(&mut is_test)
        {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            names.push(rest[..end.unwrap_or(rest.len())].to_owned());
        }
    }
    names
}

/// The promises that a name begins with: `c3_c4_x` proves C3 and C4.
fn numbers(name: &str) -> Vec<String> {
    let is_number = |part: &&str| {
        let digits = part.strip_prefix(['c', 's']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    name.split('_').take_while(is_number).map(str::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::{numbers, tests};

    #[test]
    fn a_name_begins_with_what_it_proves() {
        assert_eq!(numbers("c3_c14_after_c5"), ["C3", "C14"]);
        assert_eq!(numbers("s1_on_disk"), ["S1"]);
        assert!(numbers("clock_s1").is_empty() && numbers("c_x").is_empty());
    }

    #[test]
    fn only_tests_count() {
        let source = "#[test]\nfn c1_a() {}\nfn c2_b() {}\n#[tokio::test]\n#[allow(x)]\n\
                      async fn c3_c() {}";
        assert_eq!(tests(source), ["c1_a", "c3_c"]);
    }
}
