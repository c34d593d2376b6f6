//! Files that belong to this person alone, and that are whole or not there.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// A file or folder, what was tried with it, and what the system said.
#[derive(Debug, Error)]
#[error("{} cannot be {doing}: {source}; {}", .path.display(), advice(.source.kind()))]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// What was tried: "created", "read", ...
    pub doing: &'static str,
    /// What the system said.
    pub source: io::Error,
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "free some space, then try again"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "choose a folder this app may write to"
        }
        _ => "check the path and the disk, then try again",
    }
}

/// For `map_err`: names the path and what was tried with it.
pub(super) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError { path: path.to_owned(), doing, source }
}

/// Makes a folder that only its owner may enter, unless it is there.
pub(super) fn private_folder(path: &Path) -> Result<(), FileError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(failed("made", path))
}

/// Makes a file that only its owner may read; never opens one that is there.
pub(super) fn create(path: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(failed("created", path))
}

/// Makes the names in a folder durable. Only Unix lets a folder be synced, and only there a name
/// can be lost after the file's content was synced.
pub(super) fn sync_folder(path: &Path) -> Result<(), FileError> {
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(failed("synced", path))?;
    }
    Ok(())
}

/// Deletes a file; no error when it is not there.
pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("deleted", path)(error)),
        _ => Ok(()),
    }
}

/// Replaces the content of a file, whole or not at all.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let fresh = path.with_extension("new");
    remove(&fresh)?;
    let written = create(&fresh).and_then(|mut file| {
        file.write_all(content).map_err(failed("written", &fresh))?;
        file.sync_all().map_err(failed("written through", &fresh))?;
        fs::rename(&fresh, path).map_err(failed("replaced", path))
    });
    if written.is_err() {
        // The error that is told is the one of the writing; the next try removes the file too.
        let _ = remove(&fresh);
    }
    written?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => sync_folder(folder),
        _ => sync_folder(Path::new(".")),
    }
}
