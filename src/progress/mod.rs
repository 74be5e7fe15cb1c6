//! Progress on standard error: bars on a terminal, lines in a pipe, JSON for programs, or
//! nothing. Progress, notes, warnings and errors are written here and nowhere else; the result
//! on standard output is written by `outcome`.

mod bar;
mod columns;
mod event;
mod log;
mod output_rate;
mod scope;
mod screen;
mod state;
mod style;
mod task;
mod terminal;
mod upload;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bar::Status;
pub use columns::one_line;
use console::Term;
use event::Event;
pub use log::Log;
use output_rate::OutputRate;
use screen::Screen;
use style::Style;
pub use task::TaskProgress;
pub use upload::UploadProgress;

use crate::error::Error;
use crate::platform;
use crate::secret::mask;

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
    renderer: Renderer,
    quiet: bool,
    style: Style,
    out: Mutex<Box<dyn Write + Send>>,
    clock: Clock,
}

/// One of several jobs at the same time, or all there is.
struct Scope {
    shared: Arc<Shared>,
    id: u64,
    name: String,
}

/// A bar on the terminal, which is removed when this is dropped.
struct BarHandle {
    shared: Arc<Shared>,
    id: u64,
}

enum Renderer {
    Bars(Screen),
    Plain,
    Json,
}

/// Between two looks at the clock, where lines stay.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

impl Progress {
    /// Progress in this mode; with `quiet` only warnings and errors are shown.
    pub fn new(mode: Mode, quiet: bool) -> Self {
        let (paint, clock): (_, Clock) = (Style::for_stderr(), Arc::new(Instant::now));
        let renderer = match mode {
            Mode::Json => Renderer::Json,
            Mode::Auto | Mode::Bar if !quiet && style::can_draw() => {
                let terminal = Box::new(Term::buffered_stderr());
                Renderer::Bars(Screen::new(terminal, paint, Arc::clone(&clock)).start())
            }
            _ => Renderer::Plain,
        };
        let quiet = quiet || mode == Mode::None;
        Self::with(renderer, quiet, paint, Box::new(io::stderr()), clock)
    }

    fn with(
        renderer: Renderer,
        quiet: bool,
        style: Style,
        out: Box<dyn Write + Send>,
        clock: Clock,
    ) -> Self {
        let shared = Arc::new(Shared {
            renderer,
            quiet,
            style,
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
        match &self.shared.renderer {
            Renderer::Bars(screen) => screen.stage(self.scope.id, &event::heading(text)),
            Renderer::Plain | Renderer::Json => self.emit(&Event::Stage { message: text }),
        }
    }

    /// A line of a stage's weight on something that is so: "disk.ova: OVA with one VMDK".
    pub fn info(&self, text: &str) {
        match &self.shared.renderer {
            Renderer::Bars(screen) => screen.info(self.scope.id, &event::heading(text)),
            Renderer::Plain | Renderer::Json => self.emit(&Event::Stage { message: text }),
        }
    }

    /// Something worth knowing, less than a stage.
    pub fn note(&self, text: &str) {
        self.emit(&Event::Note { message: text });
    }

    /// Something the user should act on; shown in every mode.
    pub fn warn(&self, text: &str) {
        self.emit(&Event::Warning { message: text });
    }

    /// Shows an upload: bytes that the service has acknowledged.
    pub fn upload(&self, total: Option<u64>) -> UploadProgress {
        UploadProgress::new(self, total, None)
    }

    /// The same where the whole can only be guessed from what has gone so far.
    pub fn upload_with_estimate(
        &self,
        estimate: impl Fn() -> Option<u64> + Send + 'static,
    ) -> UploadProgress {
        UploadProgress::new(self, None, Some(Box::new(estimate)))
    }

    /// Shows the cloud's own progress.
    pub fn import(&self) -> TaskProgress {
        TaskProgress::new(self)
    }

    /// Writes to another stream that may be the same terminal, while bars are shown.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.shared.renderer {
            Renderer::Bars(screen) => screen.suspend(write),
            Renderer::Plain | Renderer::Json => write(),
        }
    }

    /// Whether a program reads this: it gets every event.
    fn is_json(&self) -> bool {
        matches!(self.shared.renderer, Renderer::Json)
    }

    /// Takes the bars away before `main` prints the end, however the run came to it.
    pub fn close(&self) {
        if let Renderer::Bars(screen) = &self.shared.renderer {
            screen.close();
        }
    }

    /// Removes the bars while Ctrl-Z stops the program, and draws them again after `fg`.
    pub fn handle_ctrl_z(&self) {
        let Renderer::Bars(_) = &self.shared.renderer else {
            return;
        };
        let progress = self.clone();
        platform::on_ctrl_z(move || {
            if let Renderer::Bars(screen) = &progress.shared.renderer {
                screen.suspend_for_stop(platform::stop);
            }
        });
    }

    /// Writes the error with its cause, what is left behind and the hint, in every mode and
    /// with `--quiet`.
    pub fn error(&self, error: &Error) {
        let text = match &self.shared.renderer {
            Renderer::Json => event::error_json(error, &self.scope.name),
            Renderer::Bars(_) | Renderer::Plain => event::error_line(error, self.shared.style),
        };
        if let Renderer::Bars(screen) = &self.shared.renderer {
            screen.fail_stage(self.scope.id);
        }
        self.write(&text);
    }

    /// Where `-v` writes, so that log lines and bars do not tear each other.
    pub fn log_writer(&self) -> Log {
        Log::new(self.clone())
    }

    /// Whether the log may be coloured.
    pub fn uses_color(&self) -> bool {
        self.shared.style.is_enabled() && !self.is_json()
    }

    fn emit(&self, event: &Event) {
        if self.shared.quiet && !event.is_urgent() {
            return;
        }
        match (&self.shared.renderer, event) {
            (Renderer::Bars(screen), Event::Uploaded { .. }) => {
                let sentence = event.line(self.shared.style);
                screen.result(self.scope.id, &event.result(), &sentence);
            }
            (Renderer::Bars(screen), Event::Imported { .. }) => {
                let sentence = event.line(self.shared.style);
                screen.replace(self.scope.id, &mask(&sentence));
            }
            (Renderer::Bars(_) | Renderer::Plain, _) => self.write(&event.line(self.shared.style)),
            (Renderer::Json, _) => self.write(&event.json(&self.scope.name)),
        }
    }

    /// One or more whole lines, broken between words where there is a terminal.
    fn write(&self, text: &str) {
        match &self.shared.renderer {
            Renderer::Bars(screen) => screen.print(self.scope.id, &mask(text)),
            Renderer::Plain | Renderer::Json => self.write_raw(text),
        }
    }

    /// Errors are ignored: a closed standard error leaves nowhere to report them.
    fn write_raw(&self, text: &str) {
        let text = mask(text);
        let text = match &self.shared.renderer {
            Renderer::Bars(screen) => return screen.print_raw(self.scope.id, &text),
            Renderer::Plain => scope::prefixed(&self.scope.name, &text),
            Renderer::Json => text.into_owned(),
        };
        let mut out = lock(&self.shared.out);
        let _ = out
            .write_all(format!("{text}\n").as_bytes())
            .and_then(|()| out.flush());
    }

    /// Adds a bar, if there is a terminal for it.
    fn add_bar(&self, read: impl Fn(Instant) -> Status + Send + 'static) -> Option<BarHandle> {
        let Renderer::Bars(screen) = &self.shared.renderer else {
            return None;
        };
        Some(BarHandle {
            shared: Arc::clone(&self.shared),
            id: screen.add(self.scope.id, Box::new(read)),
        })
    }
}

impl Shared {
    fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Whether anything is shown between two stages.
    fn repeats_status(&self) -> bool {
        !self.quiet && !matches!(self.renderer, Renderer::Bars(_))
    }

    fn output_rate(&self) -> OutputRate {
        match self.renderer {
            Renderer::Json => OutputRate::JSON,
            Renderer::Bars(_) | Renderer::Plain => OutputRate::LINES,
        }
    }

    /// Calls `tell` every second until the sender is dropped: half a minute of silence is
    /// worth a line even when nobody calls.
    fn start_heartbeat(&self, emit: impl Fn() + Send + 'static) -> Option<Sender<()>> {
        let (stop, stopped) = mpsc::channel();
        let heart = move || {
            while stopped.recv_timeout(HEARTBEAT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                emit();
            }
        };
        let thread = self.repeats_status().then(|| {
            thread::Builder::new()
                .name("progress".to_owned())
                .spawn(heart)
        });
        thread.map(|_| stop)
    }
}

impl Scope {
    fn new(shared: &Arc<Shared>, parent: Option<u64>, name: String) -> Arc<Self> {
        let id = match &shared.renderer {
            Renderer::Bars(screen) => screen.enter(parent, &name),
            Renderer::Plain | Renderer::Json => 0,
        };
        let shared = Arc::clone(shared);
        Arc::new(Self { shared, id, name })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let Renderer::Bars(screen) = &self.shared.renderer {
            screen.leave(self.id);
        }
    }
}

impl Drop for BarHandle {
    fn drop(&mut self) {
        if let Renderer::Bars(screen) = &self.shared.renderer {
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
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
