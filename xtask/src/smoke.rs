//! The demo, run for a moment and judged by its last line.

use crate::project::{Project, TaskError, start_error, succeed};
use serde_json::Value;
use std::{
    env,
    io::Read,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

/// How long the demo plays, seconds: enough for the model to calibrate and the offer to change.
const PLAYED_S: &str = "30";
/// After this it hangs: it should end by itself after [`PLAYED_S`] and a moment.
const PATIENCE: Duration = Duration::from_secs(120);
/// What must have happened at least once.
const MUST_HAPPEN: [&str; 6] =
    ["notifications", "samples", "features", "intents", "offer_revisions", "events_synced"];

/// Builds the command, runs the demo and looks at what it says it did.
///
/// # Errors
/// When it does not build, hangs, fails, loses something, or leaves a part of the loop out.
pub fn run(project: &Project) -> Result<String, TaskError> {
    succeed(&mut project.cargo(["build", "--package", "attune"]))?;
    let folder = project.target_directory()?.join("debug");
    let binary = folder.join(format!("attune{}", env::consts::EXE_SUFFIX));
    let mut demo = project.command(binary);
    demo.args(["demo", "--for", PLAYED_S, "--json"]).stdin(Stdio::null());
    let written = finish_within(&mut demo, PATIENCE)?;
    let last = written.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    judge(last).map_err(|problem| {
        TaskError::Found(format!("attune demo ended well, but {problem}; its last line: {last}"))
    })
}

/// Runs a program, gives its stdout; ends it when it takes longer than `patience`.
fn finish_within(command: &mut Command, patience: Duration) -> Result<String, TaskError> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|source| start_error(command, source))?;
    let (sender, receiver) = mpsc::channel();
    let stdout = child.stdout.take();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut bytes));
        // Nobody listens any more once patience has run out.
        let _ = sender.send(read.map(|_| bytes));
    });
    let received = receiver.recv_timeout(patience);
    if matches!(received, Err(RecvTimeoutError::Timeout)) {
        end(&mut child);
        let seconds = patience.as_secs();
        return Err(TaskError::Found(format!(
            "attune demo was still running after {seconds} s and was ended"
        )));
    }
    let status = child.wait().map_err(|source| start_error(command, source))?;
    if !status.success() {
        return Err(TaskError::Failed { line: "attune demo".to_owned(), status });
    }
    let bytes = received.ok().and_then(Result::ok).unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn end(child: &mut Child) {
    // Both fail only when the child ended by itself in this very moment.
    let _ = child.kill();
    let _ = child.wait();
}

/// One line for the table, or what is wrong with a summary.
fn judge(line: &str) -> Result<String, String> {
    let summary: Value =
        serde_json::from_str(line).map_err(|error| format!("wrote no summary ({error})"))?;
    if summary["type"] != "summary" {
        return Err("its last line is not a summary".to_owned());
    }
    let count = |name: &str| {
        summary[name].as_u64().ok_or_else(|| format!("the summary has no count {name:?}"))
    };
    for name in MUST_HAPPEN {
        if count(name)? == 0 {
            return Err(format!("{name} is 0"));
        }
    }
    match count("lost")? {
        0 => Ok(format!(
            "{} notifications, {} revisions, 0 lost",
            count("notifications")?,
            count("offer_revisions")?
        )),
        lost => Err(format!("{lost} notifications were lost")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn summary() -> Value {
        json!({
            "type": "summary", "notifications": 900, "samples": 1000, "lost": 0, "features": 800,
            "intents": 700, "offer_revisions": 2, "events_synced": 40,
        })
    }

    fn check(change: impl FnOnce(&mut Value), expected: &str) {
        let mut value = summary();
        change(&mut value);
        let (Ok(said) | Err(said)) = judge(&value.to_string());
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn every_part_of_the_loop_must_have_run() {
        check(|_| (), "900 notifications, 2 revisions, 0 lost");
        check(|v| v["lost"] = json!(3), "3 notifications were lost");
        check(|v| v["events_synced"] = json!(0), "events_synced is 0");
        check(|v| v["intents"] = Value::Null, "no count \"intents\"");
        check(|v| v["type"] = json!("decision"), "not a summary");
        assert!(judge("bye").is_err_and(|said| said.contains("wrote no summary")));
    }

    #[test]
    fn a_program_that_fails_or_hangs_is_an_error() {
        let Ok(project) = Project::find() else { return };
        let mut fails = project.cargo(["no-such-command"]);
        assert!(finish_within(fails.stderr(Stdio::null()), PATIENCE).is_err());
        let mut works = project.cargo(["--version"]);
        assert!(finish_within(&mut works, PATIENCE).is_ok_and(|text| text.contains("cargo")));
        let mut hangs = project.command("rustc");
        hangs.arg("-").stdin(Stdio::piped()); // waits for a program that nobody writes
        let ended = finish_within(&mut hangs, Duration::ZERO).map_err(|error| error.to_string());
        assert!(ended.is_err_and(|said| said.contains("was ended")));
    }
}
