//! Virtual environments of Python, for what the benches compare with.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The interpreter of the virtual environment, which is made anew when the requirements change.
pub fn python(name: &str, requirements: &str) -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let folder = cache.expect("HOME is set").join("attune").join(name);
    let (python, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if fs::read_to_string(&stamp).ok().as_deref() == Some(requirements) {
        return python;
    }
    eprintln!("installing the peers into {} (once, some minutes)", folder.display());
    let run = |command: &mut Command| {
        let status = command.stdout(Stdio::null()).status();
        let ok = status.as_ref().is_ok_and(|status| status.success());
        assert!(
            ok,
            "{command:?} failed ({status:?}): the peers need Python 3.11 with venv and pip"
        );
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    let list = folder.join("wanted.txt");
    fs::write(&list, requirements).unwrap();
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&list));
    fs::rename(list, stamp).unwrap();
    python
}
