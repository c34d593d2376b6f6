//! How large what people install is.

use crate::project::{Project, TaskError, succeed};
use serde_json::json;
use std::{env, path::Path};

/// Builds in release mode and measures: the library that apps link, and the command.
///
/// The library has no functions for apps yet, so the linker leaves most of the runtime out: its
/// figure is a floor, not a promise.
///
/// # Errors
/// When something does not build.
pub fn run(project: &Project, json: bool) -> Result<(), TaskError> {
    succeed(&mut project.cargo(["build", "--release", "--package", "sdk-ffi"]))?;
    succeed(&mut project.cargo(["build", "--release", "--package", "attune"]))?;
    let folder = project.target_directory()?.join("release");
    let library = format!("{}sdk_ffi{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let cdylib_bytes = bytes(&folder.join(library))?;
    let attune_bytes = bytes(&folder.join(format!("attune{}", env::consts::EXE_SUFFIX)))?;
    if json {
        let line = json!({
            "bench": "size", "cdylib_bytes": cdylib_bytes, "attune_bytes": attune_bytes,
            "cdylib_has_surface": false,
        });
        println!("{line}");
    } else {
        println!("sdk-ffi library {:>10} (no functions for apps yet)", megabytes(cdylib_bytes));
        println!("attune          {:>10}", megabytes(attune_bytes));
    }
    Ok(())
}

fn bytes(path: &Path) -> Result<u64, TaskError> {
    let metadata = std::fs::metadata(path);
    metadata
        .map(|file| file.len())
        .map_err(|source| TaskError::File { path: path.to_owned(), source })
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn megabytes_are_decimal() {
        assert_eq!(megabytes(4_800_000), "4.80 MB");
    }
}
