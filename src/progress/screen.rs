//! Progress on a terminal: lines that stay, and below them the current stages with their bars.
//! A stage is one line that ends in its result; when a message has to be printed before that,
//! the heading is printed above it and the result below.
//!
//! Indicatif draws the lines and keeps them in order. One thread has all of them drawn at once:
//! with a steady tick for each, which indicatif offers, each bar would be a write
//! (`several_bars_are_one_write` in `tests.rs`).

use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};

use super::bar::{self, Bar};
use super::event::MIN_REPORTED_TIME;
use super::scope::{Heading, Layout, Read, Scope, prefixed};
use super::terminal::Terminal;
use super::{Clock, Style, columns, lock};
use crate::platform;
use crate::units;

/// Between two drawings.
const TICK: Duration = Duration::from_millis(100);

/// The terminal.
pub(super) struct Screen(Arc<Mutex<Inner>>);

struct Inner {
    terminal: Terminal,
    multi: MultiProgress,
    style: Style,
    clock: Clock,
    scopes: Vec<Scope>,
    next: u64,
    /// Another job of the shell has the terminal.
    is_suspended: bool,
    closed: bool,
}

impl Screen {
    pub(super) fn new(terminal: Box<dyn TermLike>, style: Style, clock: Clock) -> Self {
        // Indicatif styles a terminal of this kind as it would standard output; nothing else
        // here leaves the choice to `console`.
        console::set_colors_enabled(style.is_enabled());
        let terminal = Terminal::new(terminal);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        Self(Arc::new(Mutex::new(Inner {
            terminal,
            multi: MultiProgress::with_draw_target(target),
            style,
            clock,
            scopes: Vec::new(),
            next: 0,
            is_suspended: false,
            closed: false,
        })))
    }

    /// Draws ten times a second, also when nothing else happens. If the thread can't be
    /// started, the lines change only with the stages.
    pub(super) fn start(self) -> Self {
        let screen = Arc::downgrade(&self.0);
        lock(&self.0).tick();
        let ticker = move || {
            while let Some(screen) = screen.upgrade() {
                lock(&screen).tick();
                drop(screen);
                thread::sleep(TICK);
            }
        };
        drop(
            thread::Builder::new()
                .name("progress".to_owned())
                .spawn(ticker),
        );
        print_panics_above(&self.0);
        self
    }

    /// A further run of stages, below the one that it belongs to.
    pub(super) fn enter(&self, parent: Option<u64>, name: &str) -> u64 {
        lock(&self.0).enter(parent, name)
    }

    /// Its last stage is over.
    pub(super) fn leave(&self, scope: u64) {
        let mut inner = lock(&self.0);
        inner.end(scope);
        inner.remove_scope(scope);
        inner.draw();
    }

    /// A stage begins, and the one before it is over.
    pub(super) fn stage(&self, scope: u64, text: &str) {
        let mut inner = lock(&self.0);
        inner.end(scope);
        let since = (inner.clock)();
        let text = text.to_owned();
        if let Some(scope) = inner.scope(scope) {
            scope.heading = Some(Heading {
                text,
                since,
                is_printed: false,
            });
        }
        inner.draw();
    }

    /// Whole lines that stay.
    pub(super) fn print(&self, scope: u64, text: &str) {
        lock(&self.0).print(scope, text);
    }

    /// The same, left to the terminal to break.
    pub(super) fn print_raw(&self, scope: u64, text: &str) {
        lock(&self.0).print_line(scope, text);
    }

    /// Ends a stage with its result, or with a sentence if its heading has been printed.
    pub(super) fn result(&self, scope: u64, result: &str, sentence: &str) {
        let mut inner = lock(&self.0);
        match inner.take_heading(scope) {
            Some(heading) if !heading.is_printed => {
                inner.finish_heading(scope, &heading.text, result);
            }
            _ => inner.print(scope, sentence),
        }
    }

    /// Prints a sentence instead of the heading of the stage.
    pub(super) fn replace(&self, scope: u64, sentence: &str) {
        let mut inner = lock(&self.0);
        inner.take_heading(scope);
        inner.print(scope, sentence);
    }

    /// Adds a bar below those of the scope.
    pub(super) fn add(&self, scope: u64, read: Read) -> u64 {
        let mut inner = lock(&self.0);
        inner.next += 1;
        let id = inner.next;
        if let Some(at) = inner.scopes.iter().position(|other| other.id == scope) {
            let bar = inner
                .multi
                .insert(inner.lines_before(at + 1), bar::hidden());
            inner.scopes[at].bars.push((id, read, Bar::new(bar)));
        }
        inner.draw();
        id
    }

    /// Removes a bar; the next output redraws the bars.
    pub(super) fn remove(&self, bar: u64) {
        let inner = &mut *lock(&self.0);
        for scope in &mut inner.scopes {
            for (_, _, bar) in scope.bars.extract_if(.., |(id, _, _)| *id == bar) {
                inner.multi.remove(bar.progress_bar());
            }
        }
    }

    /// A whole line of a stage's weight. The stage before it is over.
    pub(super) fn info(&self, scope: u64, text: &str) {
        let mut inner = lock(&self.0);
        inner.end(scope);
        inner.info(scope, text);
    }

    /// Prints the heading of a stage that has failed. No result follows.
    pub(super) fn fail_stage(&self, scope: u64) {
        let mut inner = lock(&self.0);
        inner.announce(scope);
        inner.take_heading(scope);
    }

    /// Removes the lines while `write` writes to the terminal.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        let mut inner = lock(&self.0);
        inner.terminal.redraw(false);
        let written = write();
        inner.draw();
        written
    }

    /// The same while the program is stopped. Another job may have the terminal after that.
    pub(super) fn suspend_for_stop(&self, stop: impl FnOnce()) {
        let mut inner = lock(&self.0);
        inner.terminal.redraw(false);
        stop();
        inner.tick();
    }

    /// Removes the lines for good.
    pub(super) fn close(&self) {
        let mut inner = lock(&self.0);
        for scope in inner.ids() {
            inner.end(scope);
        }
        inner.closed = true;
        inner.draw();
    }

    #[cfg(test)]
    pub(super) fn draw(&self) {
        lock(&self.0).draw();
    }
}

impl Inner {
    fn ids(&self) -> Vec<u64> {
        self.scopes.iter().map(|scope| scope.id).collect()
    }

    fn scope(&mut self, id: u64) -> Option<&mut Scope> {
        self.scopes.iter_mut().find(|scope| scope.id == id)
    }

    fn enter(&mut self, parent: Option<u64>, name: &str) -> u64 {
        self.next += 1;
        let at = self
            .scopes
            .iter()
            .position(|scope| Some(scope.id) == parent);
        let mut parents = at.map_or(Vec::new(), |at| self.scopes[at].parents.clone());
        parents.extend(parent);
        let after =
            |scope: &Scope| parent.is_some_and(|id| scope.parents.contains(&id) || scope.id == id);
        let end = self
            .scopes
            .iter()
            .rposition(after)
            .map_or(self.scopes.len(), |last| last + 1);
        let scope = Scope {
            id: self.next,
            parents,
            name: name.to_owned(),
            heading: None,
            line: self.multi.insert(self.lines_before(end), bar::hidden()),
            bars: Vec::new(),
        };
        self.scopes.insert(end, scope);
        self.next
    }

    /// Lines of indicatif above the scope at `at`.
    fn lines_before(&self, at: usize) -> usize {
        let lines = self.scopes[..at].iter().map(|scope| 1 + scope.bars.len());
        lines.sum()
    }

    fn remove_scope(&mut self, id: u64) {
        for scope in self.scopes.extract_if(.., |scope| scope.id == id) {
            self.multi.remove(&scope.line);
            for (_, _, bar) in &scope.bars {
                self.multi.remove(bar.progress_bar());
            }
        }
    }

    fn take_heading(&mut self, scope: u64) -> Option<Heading> {
        self.scope(scope)?.heading.take()
    }

    /// Ends a stage that has no result but its time.
    fn end(&mut self, scope: u64) {
        let Some(heading) = self
            .take_heading(scope)
            .filter(|heading| !heading.is_printed)
        else {
            return;
        };
        let took = (self.clock)().duration_since(heading.since);
        // No line is broken at such a space.
        let took = if took >= MIN_REPORTED_TIME && !thread::panicking() {
            format!(" … {}", units::seconds(took)).replace(' ', "\u{a0}")
        } else {
            String::new()
        };
        let text = heading.text + &took;
        self.info(scope, &text);
    }

    fn info(&mut self, scope: u64, text: &str) {
        let text = self.wrapped(scope, text).replace('\u{a0}', " ");
        self.print_line(scope, &text);
    }

    /// The one line of a stage; the result stands below where it does not fit.
    fn finish_heading(&mut self, scope: u64, heading: &str, result: &str) {
        let text = self.wrapped(scope, heading);
        let last = text.rsplit('\n').next().unwrap_or_default();
        let fits = columns::width(last) + 3 + columns::width(result) <= self.columns_for(scope);
        let rest = if fits {
            format!(" … {result}")
        } else {
            self.wrapped(scope, &format!("\n  {result}"))
        };
        self.print_line(scope, &format!("{text}{rest}"));
    }

    /// Prints the heading, above a message that belongs to its stage.
    fn announce(&mut self, id: u64) {
        let Some(scope) = self.scope(id) else { return };
        let name = scope.name.clone();
        if let Some(heading) = scope.heading.as_mut().filter(|heading| !heading.is_printed) {
            heading.is_printed = true;
            let text = heading.text.clone();
            let text = self.wrapped(id, &text);
            self.print_above(&prefixed(&name, &text));
        }
    }

    fn print(&mut self, scope: u64, text: &str) {
        let text = self.wrapped(scope, text);
        self.print_line(scope, &text);
    }

    /// Below the headings that it belongs to.
    fn print_line(&mut self, id: u64, text: &str) {
        let parents = self.scope(id).map(|scope| scope.parents.clone());
        let parents = parents.unwrap_or_default();
        parents
            .into_iter()
            .chain([id])
            .for_each(|id| self.announce(id));
        self.print_above(&prefixed(self.name(id), text));
    }

    fn name(&self, id: u64) -> &str {
        let scope = self.scopes.iter().find(|scope| scope.id == id);
        scope.map_or("", |scope| &scope.name)
    }

    /// Columns that the name leaves.
    fn columns_for(&self, scope: u64) -> usize {
        let name = columns::width(&prefixed(self.name(scope), " ")) - 1;
        self.columns().saturating_sub(name)
    }

    fn wrapped(&self, scope: u64, text: &str) -> String {
        columns::wrap(text, self.columns_for(scope))
    }

    fn columns(&self) -> usize {
        self.terminal.width().into()
    }

    /// Not with `MultiProgress::println`, which pads lines and breaks those that are too long.
    fn print_above(&mut self, text: &str) {
        self.terminal.queue(text);
        self.draw();
    }

    /// Draws, unless another job of the shell has the terminal.
    fn tick(&mut self) {
        self.is_suspended = platform::is_in_background();
        self.draw();
    }

    fn draw(&mut self) {
        let (now, columns) = ((self.clock)(), self.columns());
        let alive = self.scopes.iter().filter(|scope| scope.is_alive());
        let names = alive.map(|scope| columns::width(&scope.name)).max();
        let names = names.unwrap_or(0).min(columns / 3);
        for at in 0..self.scopes.len() {
            let id = self.scopes[at].id;
            let is_below = |scope: &Scope| scope.parents.contains(&id) && scope.is_alive();
            let is_busy = self.scopes.iter().any(is_below);
            self.scopes[at].draw(now, Layout { columns, names }, is_busy, self.style);
        }
        self.terminal.redraw(!self.closed && !self.is_suspended);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.terminal.redraw(false);
    }
}

/// Removes the lines before the message of a panic.
fn print_panics_above(screen: &Arc<Mutex<Inner>>) {
    let screen: Weak<Mutex<Inner>> = Arc::downgrade(screen);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let screen = screen.upgrade();
        // The thread that panics may hold the lock.
        let guard = screen.as_ref().and_then(|screen| screen.try_lock().ok());
        if let Some(inner) = guard {
            inner.terminal.redraw(false);
            before(info);
        } else {
            before(info);
        }
    }));
}
