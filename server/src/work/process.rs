//! Training as a process of its own: the server carries no training stack, and what training costs
//! in memory and time is not taken from requests.
//!
//! The process runs at low priority, ends with the server, and what it says is bounded.

use protocol::log::LogSafe;
use std::{
    env, io,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

/// The most that is kept of what a process says: the end of it. A report lists every feature that
/// the model was fitted on.
const MOST_SAID_BYTES: usize = 1024 * 1024;
/// The same of what it says on its standard error.
const MOST_LOGGED_BYTES: usize = 64 * 1024;
/// The same in an error message: its end tells why.
const MOST_QUOTED_CHARS: usize = 400;
/// By how much a training process steps behind requests (`nice`, 0 to 19).
#[cfg(unix)]
const NICENESS: &str = "10";

/// Why training gave nothing.
#[derive(Debug, Error)]
pub(crate) enum ProcessError {
    #[error("cannot start {program}: {source}; see training.command in the settings")]
    Start { program: String, source: io::Error },
    #[error("training ended with {status}: {said}")]
    Failed { status: ExitStatus, said: String },
    #[error("training took longer than {0} minutes: see training.limit_minutes")]
    TooLong(u64),
    #[error("the server shut down before training ended")]
    Stopped,
    #[error("the training process was lost: {0}")]
    Lost(#[from] io::Error),
}

/// What a training process says is about files and figures; it logs by the same rules (C12).
impl LogSafe for ProcessError {}

/// The command of a training process: the one given, or this executable's own for a kind of model.
///
/// # Errors
/// [`ProcessError::Start`] if this executable cannot be named.
pub(crate) fn command(given: &[String], kind: &str) -> Result<Vec<String>, ProcessError> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let failed = |source| ProcessError::Start { program: "this executable".into(), source };
    let this = env::current_exe().map_err(failed)?;
    let words = ["train", kind, "--json"].map(str::to_owned);
    Ok([this.to_string_lossy().into_owned()].into_iter().chain(words).collect())
}

/// Runs a command to its end; gives what it said last on its standard output.
///
/// # Errors
/// [`ProcessError`]; the process is gone by then, whatever happened.
pub(crate) async fn run(
    command: &[String],
    arguments: &[(&str, String)],
    environment: &[(&str, String)],
    limit: Duration,
    stop: &CancellationToken,
) -> Result<Vec<u8>, ProcessError> {
    let mut child = start(command, arguments, environment)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ending = async {
        let (out, err) = tokio::join!(end_of(out, MOST_SAID_BYTES), end_of(err, MOST_LOGGED_BYTES));
        Ok::<_, io::Error>((child.wait().await?, out?, err?))
    };
    let (status, out, err) = tokio::select! {
        ended = tokio::time::timeout(limit, ending) => match ended {
            Ok(ended) => ended?,
            Err(_) => return Err(ProcessError::TooLong(limit.as_secs() / 60)),
        },
        // Dropping the child kills it.
        () = stop.cancelled() => return Err(ProcessError::Stopped),
    };
    if status.success() {
        return Ok(out);
    }
    let text = String::from_utf8_lossy(&err);
    let skipped = text.trim().chars().count().saturating_sub(MOST_QUOTED_CHARS);
    Err(ProcessError::Failed { status, said: text.trim().chars().skip(skipped).collect() })
}

fn start(
    command: &[String],
    arguments: &[(&str, String)],
    environment: &[(&str, String)],
) -> Result<Child, ProcessError> {
    let spawned = |program: &str, before: &[&str], words: &[String]| {
        let mut process = Command::new(program);
        process.args(before).args(words);
        for (name, value) in arguments {
            process.arg(name).arg(value);
        }
        process.envs(environment.iter().map(|(name, value)| (name, value)));
        process.kill_on_drop(true).stdin(Stdio::null());
        process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    };
    let (program, words) = command.split_first().map_or(("", &[][..]), |(p, w)| (p.as_str(), w));
    #[cfg(unix)]
    // `nice` becomes the program: the process that is killed is the one that trains.
    if let Ok(child) = spawned("nice", &["-n", NICENESS, program], words) {
        return Ok(child);
    }
    let failed = |source| ProcessError::Start { program: program.to_owned(), source };
    spawned(program, &[], words).map_err(failed)
}

/// The last bytes of a stream; what was before is read and dropped, so that the process never waits.
async fn end_of(stream: Option<impl AsyncRead + Unpin>, most: usize) -> io::Result<Vec<u8>> {
    let Some(mut stream) = stream else { return Ok(Vec::new()) };
    let (mut kept, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).await?;
        kept.extend_from_slice(&chunk[..read]);
        // Not at every read: each time moves all that is kept.
        if read == 0 || kept.len() > 2 * most {
            kept.drain(..kept.len().saturating_sub(most));
        }
        if read == 0 {
            return Ok(kept);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn shell(script: &str, limit: Duration) -> Result<Vec<u8>, ProcessError> {
        let command = ["sh", "-c", script, "sh"].map(str::to_owned);
        let arguments = [("--seed", "7".to_owned())];
        let stop = CancellationToken::new();
        run(&command, &arguments, &[], limit, &stop).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn what_it_says_is_bounded_and_never_blocks_it() {
        let loud = "head -c 5000000 /dev/zero; head -c 1000000 /dev/zero >&2; echo the report";
        let said = shell(loud, LONG).await.unwrap();
        assert_eq!(said.len(), MOST_SAID_BYTES);
        assert!(said.ends_with(b"the report\n"), "its end is kept");
        assert_eq!(shell("echo $1$2", LONG).await.unwrap(), b"--seed7\n");
    }

    #[tokio::test]
    async fn a_failure_says_why() {
        let failed = shell("head -c 100000 /dev/zero >&2; echo no facts >&2; exit 3", LONG).await;
        let message = failed.unwrap_err().to_string();
        assert!(message.ends_with("no facts") && message.contains("exit status: 3"), "{message}");
        let nothing = ["/nonexistent/attune".to_owned()];
        let stop = CancellationToken::new();
        let failed = run(&nothing, &[], &[], LONG, &stop).await;
        assert!(failed.unwrap_err().to_string().contains("/nonexistent/attune"));
    }

    #[tokio::test]
    async fn it_ends_with_the_server_and_at_its_limit() {
        let late = shell("exec sleep 600", Duration::from_millis(50)).await;
        assert!(matches!(late, Err(ProcessError::TooLong(0))));
        let stop = CancellationToken::new();
        stop.cancel();
        let words = ["sleep", "600"].map(str::to_owned);
        let stopped = run(&words, &[], &[], LONG, &stop).await;
        assert!(matches!(stopped, Err(ProcessError::Stopped)));
    }
}
