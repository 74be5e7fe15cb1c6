//! Where `-v` writes: whole lines that pass above the bars, and stay JSON among JSON. What
//! a room without a handle warns of becomes a warning like any other.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use super::Progress;
use super::event::Event;

/// Makes one writer for each line of the log.
#[derive(Clone, Debug)]
pub struct Log(Progress);

/// One line on its way; it goes out as a whole when it is dropped.
#[derive(Debug)]
pub struct Line(Progress, Vec<u8>);

impl Log {
    pub(super) fn new(progress: Progress) -> Self {
        Self(progress)
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(self.0.clone(), Vec::new())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.1);
        let text = text.trim_end();
        let stripped = console::strip_ansi_codes(text);
        if let Some(warning) = stripped.trim_start().strip_prefix("WARN ") {
            self.0.warn(warning);
        } else if self.0.is_json() {
            self.0.emit(&Event::Log {
                message: text.trim_start(),
            });
        } else if !text.is_empty() {
            self.0.write_raw(text);
        }
    }
}
