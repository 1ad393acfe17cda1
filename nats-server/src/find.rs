//! Where the `nats-server` binary is.

use std::path::{Path, PathBuf};
use std::process::Command;

const OLDEST: (u32, u32) = (2, 11);

/// No usable binary, and what was looked at.
#[derive(Debug, thiserror::Error)]
#[error("no nats-server {}.{} or newer was found ({looked}); install one, name it in NATS_SERVER_BIN, or run `make nats`", OLDEST.0, OLDEST.1)]
pub struct NotFound {
    looked: String,
}

/// Finds a server of version 2.11 or newer: `NATS_SERVER_BIN`, then `PATH`, then a `.tools`
/// folder here or further up.
///
/// # Errors
/// [`NotFound`] with what was looked at.
pub fn find() -> Result<PathBuf, NotFound> {
    let mut looked = Vec::new();
    for candidate in candidates() {
        match version(&candidate) {
            Some(version) if version >= OLDEST => return Ok(candidate),
            Some((major, minor)) => {
                looked.push(format!("`{}` is {major}.{minor}", candidate.display()));
            }
            None if candidate.exists() => {
                looked.push(format!("`{}` does not run", candidate.display()));
            }
            None => {}
        }
    }
    if looked.is_empty() {
        looked.push("nothing on PATH or in .tools".to_owned());
    }
    Err(NotFound { looked: looked.join(", ") })
}

fn candidates() -> Vec<PathBuf> {
    let named = std::env::var_os("NATS_SERVER_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    let here = std::env::current_dir().unwrap_or_default();
    let tools = here.ancestors().flat_map(|folder| below(&folder.join(".tools"), 4));
    named.into_iter().chain(on_path).chain(tools).collect()
}

fn below(folder: &Path, depth: u8) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth > 0 {
            found.extend(below(&path, depth - 1));
        } else if path.file_name().is_some_and(|name| name == "nats-server") {
            found.push(path);
        }
    }
    found
}

fn version(binary: &Path) -> Option<(u32, u32)> {
    let output = Command::new(binary).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let numbers = text.rsplit('v').next()?;
    let mut parts = numbers.split('.').map(|part| part.trim().parse().ok());
    Some((parts.next()??, parts.next()??))
}
