//! The project's folder, and other programs started in it.

use serde::Deserialize;
use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
};
use thiserror::Error;

/// Why a task did not do what it was asked.
#[derive(Debug, Error)]
pub enum TaskError {
    /// No project around.
    #[error("no project here: run cargo xtask inside a checkout")]
    Nowhere,
    /// A program is not there.
    #[error("cannot start {program}: {source}; install it or put it on the PATH")]
    Start {
        /// Its name.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program said no.
    #[error("`{line}` failed ({status}); what is wrong stands above")]
    Failed {
        /// Program and arguments.
        line: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A file cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A check found something; the text says what, where and what to do.
    #[error("{0}")]
    Found(String),
    /// A later release brings it.
    #[error("nothing to run yet: a later release brings {0}")]
    Later(&'static str),
}

/// Where the project is.
#[derive(Debug)]
pub struct Project {
    /// The folder of the workspace.
    pub root: PathBuf,
}

/// Set by `cargo run` for this program only. Handed on, they would make build scripts that watch
/// them run again each time.
const OWN_VARIABLES: [&str; 6] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_BIN_EXE_",
];

impl Project {
    /// The checkout this program was started in.
    ///
    /// # Errors
    /// [`TaskError::Nowhere`] outside a checkout.
    pub fn find() -> Result<Self, TaskError> {
        let start = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let start = start.or_else(|| env::current_dir().ok()).ok_or(TaskError::Nowhere)?;
        let root = start.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
        root.map(|root| Self { root: root.to_owned() }).ok_or(TaskError::Nowhere)
    }

    /// A program, to be started in the project's folder.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            let own = |prefix: &&str| name.to_string_lossy().starts_with(*prefix);
            if OWN_VARIABLES.iter().any(own) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Cargo, the one that runs us.
    pub fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut cargo = self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(arguments);
        cargo
    }

    /// Where cargo builds to.
    ///
    /// # Errors
    /// When cargo cannot say.
    pub fn target_directory(&self) -> Result<PathBuf, TaskError> {
        #[derive(Deserialize)]
        struct Metadata {
            target_directory: PathBuf,
        }
        let text = output(&mut self.cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: Metadata = serde_json::from_str(&text).map_err(|error| {
            TaskError::Found(format!("cargo metadata is not as expected: {error}"))
        })?;
        Ok(metadata.target_directory)
    }

    /// Reads a file by its path from the root.
    ///
    /// # Errors
    /// [`TaskError::File`] names it.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<String, TaskError> {
        read(&self.root.join(path))
    }

    /// `attune train intent` as the model in the repository is trained.
    ///
    /// # Errors
    /// When the recordings are not on this machine.
    pub fn training_arguments(&self) -> Result<Vec<PathBuf>, TaskError> {
        let data = env::var_os("ATTUNE_DATA")
            .map_or_else(|| self.root.join("../shared/data"), PathBuf::from)
            .join("stress_predict");
        let labels = data.join("labels.csv");
        if !labels.is_file() {
            return Err(TaskError::Found(format!(
                "no labelled recordings in {}: set ATTUNE_DATA to the folder that holds \
                 stress_predict",
                data.display()
            )));
        }
        let bundle = self.root.join("models/bundles/intent");
        let flags = ["--recordings", "--labels", "--out"].map(PathBuf::from);
        let values = [data.join("Raw_data"), labels, bundle];
        Ok(flags.into_iter().zip(values).flat_map(|(flag, value)| [flag, value]).collect())
    }
}

/// Reads a file.
///
/// # Errors
/// [`TaskError::File`] names it.
pub fn read(path: &Path) -> Result<String, TaskError> {
    std::fs::read_to_string(path)
        .map_err(|source| TaskError::File { path: path.to_owned(), source })
}

/// Runs a program to a good end.
///
/// # Errors
/// When it cannot be started or does not exit with 0.
pub fn succeed(command: &mut Command) -> Result<(), TaskError> {
    let status = command.status().map_err(|source| start_error(command, source))?;
    if status.success() { Ok(()) } else { Err(TaskError::Failed { line: line(command), status }) }
}

/// Runs a program to a good end and gives what it wrote to stdout; stderr goes through.
///
/// # Errors
/// When it cannot be started or does not exit with 0.
pub fn output(command: &mut Command) -> Result<String, TaskError> {
    let run = command.stderr(Stdio::inherit()).output();
    let output = run.map_err(|source| start_error(command, source))?;
    if !output.status.success() {
        return Err(TaskError::Failed { line: line(command), status: output.status });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program and passes its exit code on.
///
/// # Errors
/// When it cannot be started.
pub fn exit_code(command: &mut Command) -> Result<ExitCode, TaskError> {
    let status = command.status().map_err(|source| start_error(command, source))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Whether a program is there: it can say its version.
pub fn is_there(command: &mut Command) -> bool {
    let quiet = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The error of a program that did not start.
pub fn start_error(command: &Command, source: io::Error) -> TaskError {
    TaskError::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
