//! One handle, four faces: bars on a terminal, lines in a pipe, JSON for programs, or
//! nothing. The only place that writes progress, notes and warnings to standard error.
//! The result on standard output is `outcome`'s; the final error is `main`'s.

mod bar;
mod columns;
mod event;
mod failure;
mod job_control;
mod log;
mod output_rate;
mod scope;
mod screen;
mod state;
mod status_area;
mod style;
mod task;
mod upload;
mod virtual_terminal;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub use columns::one_line;
use console::Term;
use event::Event;
pub use log::Log;
use output_rate::Rhythm;
use screen::Screen;
use style::Paint;
pub use task::Remote;
pub use upload::Transfer;

use crate::secret::masked;

/// What progress looks like on standard error.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Mode {
    /// Bars on a terminal, lines elsewhere
    Auto,
    /// Bars; lines where there is no terminal to draw them on
    Bar,
    /// A line at each stage and about every 10 % or 30 s, 10 s apart at least
    Plain,
    /// One JSON object a line, about every percent, 1 s apart at least
    Json,
    /// Warnings alone
    None,
}

/// The handle; clones share one screen.
#[derive(Clone)]
pub struct Progress {
    shared: Arc<Shared>,
    scope: Arc<Scope>,
}

struct Shared {
    face: Face,
    quiet: bool,
    paint: Paint,
    out: Mutex<Box<dyn Write + Send>>,
    clock: Clock,
}

/// One of several jobs at the same time, or all there is.
struct Scope {
    shared: Arc<Shared>,
    id: u64,
    name: String,
}

/// A line at the foot of the terminal, there until this is dropped.
struct Bar {
    shared: Arc<Shared>,
    id: u64,
}

enum Face {
    Bars(Screen),
    Plain,
    Json,
}

/// Between two looks at the clock, where lines stay.
const BEAT: Duration = Duration::from_secs(1);

type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

impl Progress {
    /// The face that the mode asks for; `quiet` leaves warnings alone.
    pub fn new(mode: Mode, quiet: bool) -> Self {
        let (paint, clock): (_, Clock) = (Paint::of_standard_error(), Arc::new(Instant::now));
        let face = match mode {
            Mode::Json => Face::Json,
            Mode::Auto | Mode::Bar if !quiet && style::can_draw() => {
                let terminal = Box::new(Term::buffered_stderr());
                Face::Bars(Screen::new(terminal, paint, Arc::clone(&clock)).lives())
            }
            _ => Face::Plain,
        };
        let quiet = quiet || mode == Mode::None;
        Self::with(face, quiet, paint, Box::new(io::stderr()), clock)
    }

    fn with(
        face: Face,
        quiet: bool,
        paint: Paint,
        out: Box<dyn Write + Send>,
        clock: Clock,
    ) -> Self {
        let shared = Arc::new(Shared {
            face,
            quiet,
            paint,
            out: Mutex::new(out),
            clock,
        });
        let scope = Scope::new(&shared, None, String::new());
        Self { shared, scope }
    }

    /// The same screen for one of several jobs at the same time: every line begins with its
    /// name. Its last stage is over when the handle and its clones are dropped.
    #[must_use]
    pub fn named(&self, job: &str) -> Self {
        let name = match self.scope.name.as_str() {
            "" => one_line(job),
            outer => format!("{outer} {}", one_line(job)),
        };
        Self {
            shared: Arc::clone(&self.shared),
            scope: Scope::new(&self.shared, Some(self.scope.id), name),
        }
    }

    /// Something is begun, and takes as long as until the next stage, or until what is
    /// shown of it is finished: "Uploading to s3://b/k".
    pub fn stage(&self, text: &str) {
        match &self.shared.face {
            Face::Bars(screen) => screen.stage(self.scope.id, &event::heading(text)),
            Face::Plain | Face::Json => self.say(&Event::Stage { message: text }),
        }
    }

    /// A line of a stage's weight on something that is so: "disk.ova: OVA with one VMDK".
    pub fn fact(&self, text: &str) {
        match &self.shared.face {
            Face::Bars(screen) => screen.fact(self.scope.id, &event::heading(text)),
            Face::Plain | Face::Json => self.say(&Event::Stage { message: text }),
        }
    }

    /// Something worth knowing, less than a stage.
    pub fn note(&self, text: &str) {
        self.say(&Event::Note { message: text });
    }

    /// Something the user should act on; said in every mode.
    pub fn warn(&self, text: &str) {
        self.say(&Event::Warning { message: text });
    }

    /// Shows an upload: bytes that the service has acknowledged.
    pub fn upload(&self, total: Option<u64>) -> Transfer {
        Transfer::new(self, total, None)
    }

    /// The same where the whole can only be guessed from what has gone so far.
    pub fn upload_of_about(&self, guess: impl Fn() -> Option<u64> + Send + 'static) -> Transfer {
        Transfer::new(self, None, Some(Box::new(guess)))
    }

    /// Shows the cloud's own progress.
    pub fn import(&self) -> Remote {
        Remote::new(self)
    }

    /// Writes to another stream that may be the same terminal, while bars are shown.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.shared.face {
            Face::Bars(screen) => screen.aside(write),
            Face::Plain | Face::Json => write(),
        }
    }

    /// A program is told everything.
    fn is_for_programs(&self) -> bool {
        matches!(self.shared.face, Face::Json)
    }

    /// Takes the bars away before `main` prints the end, however the run came to it.
    pub fn close(&self) {
        if let Face::Bars(screen) = &self.shared.face {
            screen.close();
        }
    }

    /// Where `-v` writes, so that log lines and bars do not tear each other.
    pub fn log_writer(&self) -> Log {
        Log::new(self.clone())
    }

    /// Whether the log may be coloured.
    pub fn colours(&self) -> bool {
        self.shared.paint.is_on() && !self.is_for_programs()
    }

    fn say(&self, event: &Event) {
        if self.shared.quiet && !event.is_urgent() {
            return;
        }
        match (&self.shared.face, event) {
            (Face::Bars(screen), Event::Uploaded { .. }) => {
                let sentence = event.line(self.shared.paint);
                screen.result(self.scope.id, &event.result(), &sentence);
            }
            (Face::Bars(screen), Event::Imported { .. }) => {
                let sentence = event.line(self.shared.paint);
                screen.instead(self.scope.id, &masked(&sentence));
            }
            (Face::Bars(_) | Face::Plain, _) => self.write(&event.line(self.shared.paint)),
            (Face::Json, _) => self.write(&event.json(&self.scope.name)),
        }
    }

    /// One or more whole lines, broken between words where there is a terminal.
    fn write(&self, text: &str) {
        match &self.shared.face {
            Face::Bars(screen) => screen.print(self.scope.id, &masked(text)),
            Face::Plain | Face::Json => self.write_as_it_is(text),
        }
    }

    /// Nobody is left to tell when standard error is closed.
    fn write_as_it_is(&self, text: &str) {
        let text = masked(text);
        let text = match &self.shared.face {
            Face::Bars(screen) => return screen.print_as_it_is(self.scope.id, &text),
            Face::Plain => scope::prefixed(&self.scope.name, &text),
            Face::Json => text.into_owned(),
        };
        let mut out = guard(&self.shared.out);
        let _ = out
            .write_all(format!("{text}\n").as_bytes())
            .and_then(|()| out.flush());
    }

    /// A line at the foot of the terminal, where there is one.
    fn add_bar(&self, draw: impl Fn(Instant, usize) -> String + Send + 'static) -> Option<Bar> {
        let Face::Bars(screen) = &self.shared.face else {
            return None;
        };
        Some(Bar {
            shared: Arc::clone(&self.shared),
            id: screen.add(self.scope.id, Box::new(draw)),
        })
    }
}

impl Shared {
    fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Whether anything is shown between two stages.
    fn repeats(&self) -> bool {
        !self.quiet && !matches!(self.face, Face::Bars(_))
    }

    fn rhythm(&self) -> Rhythm {
        match self.face {
            Face::Json => Rhythm::JSON,
            Face::Bars(_) | Face::Plain => Rhythm::LINES,
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
}

impl Scope {
    fn new(shared: &Arc<Shared>, parent: Option<u64>, name: String) -> Arc<Self> {
        let id = match &shared.face {
            Face::Bars(screen) => screen.enter(parent, &name),
            Face::Plain | Face::Json => 0,
        };
        let shared = Arc::clone(shared);
        Arc::new(Self { shared, id, name })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let Face::Bars(screen) = &self.shared.face {
            screen.leave(self.id);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Face::Bars(screen) = &self.shared.face {
            screen.remove(self.id);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("name", &self.scope.name)
            .finish_non_exhaustive()
    }
}

/// A panic elsewhere is no reason to panic here.
fn guard<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
