//! Standard output: written whole, or an error. A result that nobody could read is not
//! lost: the error names it.

use std::io::{self, ErrorKind, Write};

use crate::error::Error;
use crate::progress::Progress;
use crate::secret::mask;

/// Writes the text and a newline to standard output, secrets masked.
pub fn write(text: &str, progress: &Progress) -> io::Result<()> {
    let text = mask(text);
    progress.suspend(|| {
        let mut out = io::stdout();
        writeln!(out, "{text}").and_then(|()| out.flush())
    })
}

/// Writes a report. A reader that stops reading it, such as `head`, has read enough.
pub fn write_report(text: &str, progress: &Progress) -> Result<(), Error> {
    match write(text, progress) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::failed("could not write the report to standard output").with_source(error))
        }
        _ => Ok(()),
    }
}

/// The error for a result that could not be written. `id` is what a script would have read:
/// the id of an image or of an import task.
pub fn write_error(id: Option<&str>, error: io::Error) -> Error {
    match id {
        Some(id) => Error::failed(format!(
            "could not write the result {id} to standard output"
        ))
        .with_source(error)
        .hint(format!("the import itself succeeded: note {id}")),
        None => Error::failed("could not write the result to standard output").with_source(error),
    }
}
