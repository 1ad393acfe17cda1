//! What comes from arguments and standard input, as bytes.

use crate::failure::Failure;
use bytes::Bytes;
use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::os::unix::ffi::OsStringExt;

/// The bytes of an argument; `-` or none: all of standard input, at most `most` bytes.
pub(crate) async fn argument_or_stdin(
    argument: Option<OsString>,
    what: &str,
    most: usize,
) -> Result<Bytes, Failure> {
    match argument {
        Some(text) if text != "-" => Ok(Bytes::from(text.into_vec())),
        _ => stdin(what, most).await,
    }
}

/// As [`argument_or_stdin`], for text; `@file` is read from the file.
pub(crate) async fn text(argument: String, what: &str, most: usize) -> Result<String, Failure> {
    let bytes = match argument.strip_prefix('@') {
        Some(file) => tokio::fs::read(file)
            .await
            .map_err(|error| Failure::usage(format!("cannot read {what} `{file}`: {error}")))?
            .into(),
        None if argument == "-" => stdin(what, most).await?,
        None => return Ok(argument),
    };
    String::from_utf8(bytes.into())
        .map_err(|_| Failure::usage(format!("{what} is not valid UTF-8; nothing was sent")))
}

async fn stdin(what: &str, most: usize) -> Result<Bytes, Failure> {
    if std::io::stdin().is_terminal() {
        eprintln!("reading {what} from the terminal; end it with Ctrl-D");
    }
    // One byte more than allowed tells that there is too much, without reading all of it.
    let limit = most as u64 + 1;
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = reading.await.map_err(Failure::new)??;
    if bytes.len() > most {
        let message = format!("{what} has more than the {most} bytes allowed; nothing was sent");
        return Err(Failure::new(message));
    }
    Ok(bytes.into())
}
