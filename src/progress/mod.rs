//! One handle, four faces: bars on a terminal, lines in a pipe, JSON for programs, or
//! nothing. The only place that writes progress, notes and warnings to standard error.
//! The result on standard output is `outcome`'s; the final error is `main`'s.

mod bar;
mod event;
mod failure;
mod log;
mod pace;
mod transfer;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bar::Bars;
use event::Event;
use indicatif::ProgressBar;
pub use log::Log;
pub use transfer::{Remote, Transfer};

/// What progress looks like on standard error.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Mode {
    /// Bars on a terminal, lines elsewhere
    Auto,
    /// Bars; lines where there is no terminal to draw them on
    Bar,
    /// A line at each stage and about every 10 % or 30 s
    Plain,
    /// The same pace, one JSON object a line
    Json,
    /// Warnings alone
    None,
}

/// The handle; clones share one screen.
#[derive(Clone)]
pub struct Progress(Arc<Shared>);

struct Shared {
    face: Arc<Face>,
    quiet: bool,
    out: Arc<Mutex<Box<dyn Write + Send>>>,
    clock: Clock,
    /// The job that all of this is about, where there are several.
    job: Option<String>,
}

enum Face {
    Bars(Bars),
    Plain,
    Json,
}

/// Between two looks at the clock, where lines stay.
const BEAT: Duration = Duration::from_secs(1);

type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

impl Progress {
    /// The face that the mode asks for; `quiet` leaves warnings alone.
    pub fn new(mode: Mode, quiet: bool) -> Self {
        let face = match mode {
            Mode::Json => Face::Json,
            Mode::Auto | Mode::Bar if !quiet && can_draw() => {
                Face::Bars(Bars::new(colours_wanted()))
            }
            _ => Face::Plain,
        };
        Self::with(
            face,
            quiet || mode == Mode::None,
            Box::new(io::stderr()),
            Arc::new(Instant::now),
        )
    }

    fn with(face: Face, quiet: bool, out: Box<dyn Write + Send>, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            face: Arc::new(face),
            quiet,
            out: Arc::new(Mutex::new(out)),
            clock,
            job: None,
        }))
    }

    /// The same screen for one of several jobs: every line begins with its name.
    pub fn named(&self, job: &str) -> Self {
        Self(Arc::new(Shared {
            face: Arc::clone(&self.0.face),
            quiet: self.0.quiet,
            out: Arc::clone(&self.0.out),
            clock: Arc::clone(&self.0.clock),
            job: Some(job.to_owned()),
        }))
    }

    /// A new chapter: "Uploading to s3://b/k".
    pub fn stage(&self, text: &str) {
        self.0.say(&Event::Stage { message: text });
    }

    /// Something worth knowing, less than a stage.
    pub fn note(&self, text: &str) {
        self.0.say(&Event::Note { message: text });
    }

    /// Something the user should act on; said in every mode.
    pub fn warn(&self, text: &str) {
        self.0.say(&Event::Warning { message: text });
    }

    /// Shows an upload: bytes that the service has acknowledged.
    pub fn upload(&self, total: Option<u64>) -> Transfer {
        Transfer::new(&self.0, total)
    }

    /// Shows the cloud's own progress.
    pub fn import(&self) -> Remote {
        Remote::new(&self.0)
    }

    /// Writes to another stream that may be the same terminal, while bars are shown.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &*self.0.face {
            Face::Bars(bars) => {
                let _still = guard(&self.0.out);
                bars.aside(write)
            }
            Face::Plain | Face::Json => write(),
        }
    }

    /// Takes the bars away before `main` prints the end, however the run came to it.
    pub fn close(&self) {
        if let Face::Bars(bars) = &*self.0.face {
            let _still = guard(&self.0.out);
            bars.close();
        }
    }

    /// Where `-v` writes, so that log lines and bars do not tear each other.
    pub fn log_writer(&self) -> Log {
        Log::new(self.clone())
    }

    /// Whether the log may be coloured.
    pub fn colours(&self) -> bool {
        matches!(&*self.0.face, Face::Bars(bars) if bars.colours())
    }
}

impl Shared {
    fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Whether anything is shown between two stages.
    fn repeats(&self) -> bool {
        !self.quiet && !matches!(*self.face, Face::Bars(_))
    }

    /// A line at the foot of the terminal, where there is one.
    fn add_bar(
        &self,
        draw: impl Fn(usize) -> String + Clone + Send + Sync + 'static,
    ) -> Option<ProgressBar> {
        let Face::Bars(bars) = &*self.face else {
            return None;
        };
        let job = self
            .job
            .clone()
            .map(|job| format!("{job}:"))
            .unwrap_or_default();
        let named = move |width: usize| {
            let room = width.saturating_sub(job.chars().count());
            format!("{job}{}", draw(room))
        };
        let _still = guard(&self.out);
        Some(bars.add(named))
    }

    fn remove_bar(&self, bar: Option<ProgressBar>) {
        if let (Face::Bars(bars), Some(bar)) = (&*self.face, bar) {
            let _still = guard(&self.out);
            bars.remove(&bar);
        }
    }

    /// Calls `tell` every second until the sender is dropped: half a minute of silence is
    /// worth a line even when nobody calls.
    fn beat(&self, tell: impl Fn() + Send + 'static) -> Option<Sender<()>> {
        let (stop, stopped) = mpsc::channel();
        let heart = move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                tell();
            }
        };
        let thread = self.repeats().then(|| {
            thread::Builder::new()
                .name("progress".to_owned())
                .spawn(heart)
        });
        thread.map(|_| stop)
    }

    fn say(&self, event: &Event) {
        if self.quiet && !event.is_urgent() {
            return;
        }
        let text = match &*self.face {
            Face::Bars(bars) => event.line(bars.colours()),
            Face::Plain => event.line(false),
            Face::Json => event.json(),
        };
        self.write(&self.signed(text));
    }

    /// With the job's name: before every line, or as the key of an object.
    fn signed(&self, text: String) -> String {
        let Some(job) = &self.job else {
            return text;
        };
        if !matches!(*self.face, Face::Json) {
            let lines: Vec<_> = text.lines().map(|line| format!("{job}: {line}")).collect();
            return lines.join("\n");
        }
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(mut object) => {
                object["job"] = job.as_str().into();
                object.to_string()
            }
            Err(_) => text,
        }
    }

    /// One or more whole lines. Nobody is left to tell when standard error is closed.
    fn write(&self, text: &str) {
        let mut out = guard(&self.out);
        if !matches!(&*self.face, Face::Bars(bars) if bars.above(text)) {
            let _ = out
                .write_all(format!("{text}\n").as_bytes())
                .and_then(|()| out.flush());
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("quiet", &self.0.quiet)
            .finish_non_exhaustive()
    }
}

/// A panic elsewhere is no reason to panic here.
fn guard<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bars need a terminal that moves its cursor; anywhere else they would be noise in a file.
fn can_draw() -> bool {
    io::stderr().is_terminal()
        && env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// <https://no-color.org>: set and not empty.
fn colours_wanted() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
