//! The server's OpenAPI document held against a running server: schemathesis asks whatever the
//! document allows, and what it does not. No answer may be a failure of the server, none may be
//! undocumented.

use crate::project::{Project, TaskError, start_error, succeed};
use serde_json::Value;
use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const REQUIREMENTS: &str = "tests/contract/requirements.txt";
const HOOKS: &str = "tests/contract/hooks.py";
/// How long it asks, seconds.
const ASKED_S: &str = "90";
/// The same requests each time.
const SEED: &str = "20261122";
/// What is held against every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,unsupported_method,\
    allow_header_conformance,ignored_auth";
/// Streams do not end by themselves.
const LEFT_OUT: [&str; 3] = ["/live", "/me/{pass}/stream", "/v1/people/{person}/orders/stream"];
const SCOPES: &str = "ingest,backfill,predict,features,orders,identity,models,live,admin";

/// Builds the command, runs the server with a key of every scope, and asks.
///
/// # Errors
/// When something does not start, or an answer is not as documented.
pub fn run(project: &Project) -> Result<String, TaskError> {
    let Some(python) = python(project)? else {
        return Ok("skipped: needs Python 3.11 with venv and pip".to_owned());
    };
    succeed(&mut project.cargo(["build", "--package", "attune"]))?;
    let folder = project.target_directory()?.join("debug");
    let binary = folder.join(format!("attune{}", env::consts::EXE_SUFFIX));
    let data = folder.join("contract-data");
    if data.exists() {
        fs::remove_dir_all(&data)
            .map_err(|source| TaskError::File { path: data.clone(), source })?;
    }
    let key = key(project, &binary, &data)?;
    let server = Server::start(project, &binary, &data)?;
    let mut ask = project.command(python);
    ask.args(["-m", "schemathesis.cli", "run"])
        .arg(format!("{}/openapi.json", server.url))
        .args(LEFT_OUT.iter().flat_map(|path| ["--exclude-path", path]))
        .args(["--checks", CHECKS, "--phases"])
        .args(["examples,coverage,fuzzing", "--max-time", ASKED_S, "--seed", SEED])
        .args(["--suppress-health-check", "all", "--continue-on-failure", "--no-shrink"])
        .args(["--request-timeout", "10", "--header", &format!("Authorization: Bearer {key}")])
        .env("SCHEMATHESIS_HOOKS", project.root.join(HOOKS))
        .stdin(Stdio::null());
    succeed(&mut ask)?;
    Ok(format!("every answer as documented, asked for {ASKED_S} s"))
}

/// A server that is ended when it is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(project: &Project, binary: &Path, data: &Path) -> Result<Self, TaskError> {
        let mut serve = project.command(binary);
        serve.args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        // It is to answer, not to tell us to wait.
        for bucket in ["KEY", "ADDRESS", "DEVICE"] {
            serve.env(format!("ATTUNE_SERVER__LIMITS__{bucket}__PER_SECOND"), "0");
        }
        serve.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = serve.spawn().map_err(|source| start_error(&serve, source))?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            // What cannot be read is no address: below.
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        let mut server = Self { process, url: String::new() };
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        match said["url"].as_str() {
            Some(url) => url.clone_into(&mut server.url),
            None => {
                return Err(TaskError::Found(format!("attune serve said {line:?}, no address")));
            }
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it ended by itself in this very moment.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn key(project: &Project, binary: &Path, data: &Path) -> Result<String, TaskError> {
    let mut make = project.command(binary);
    make.args(["keys", "--data"]).arg(data);
    make.args(["create", "--name", "contract", "--scope", SCOPES]);
    let made = make.output().map_err(|source| start_error(&make, source))?;
    match made.status.success() {
        true => Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned()),
        false => Err(TaskError::Found(String::from_utf8_lossy(&made.stderr).into_owned())),
    }
}

/// The interpreter of the virtual environment, which is made anew when the requirements change;
/// `None` where there is no Python to make it with.
fn python(project: &Project) -> Result<Option<PathBuf>, TaskError> {
    let wanted = project.read(REQUIREMENTS)?;
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let Some(folder) = cache.map(|cache| cache.join("attune/contract")) else { return Ok(None) };
    let (python, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if fs::read_to_string(&stamp).ok().as_deref() == Some(wanted.as_str()) {
        return Ok(Some(python));
    }
    let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status();
    if !made.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let list = project.root.join(REQUIREMENTS);
    let mut install = project.command(&python);
    succeed(install.args(["-m", "pip", "install", "--quiet", "-r"]).arg(list))?;
    fs::write(&stamp, wanted).map_err(|source| TaskError::File { path: stamp, source })?;
    Ok(Some(python))
}
