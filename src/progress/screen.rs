//! The face on a terminal: what is over stands above as whole lines, what is under way
//! lives at the foot. A stage is one line that ends with its result; when something has
//! to be said meanwhile, its heading goes ahead and the result follows.

use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use indicatif::TermLike;

use super::event::MIN_REPORTED_TIME;
use super::scope::{Heading, Render, Scope, prefixed};
use super::status_area::StatusArea;
use super::{Clock, Style, columns, lock};
use crate::platform;
use crate::units;

/// Between two drawings.
const TICK: Duration = Duration::from_millis(100);

/// The terminal.
pub(super) struct Screen(Arc<Mutex<Inner>>);

struct Inner {
    status_area: StatusArea,
    style: Style,
    clock: Clock,
    scopes: Vec<Scope>,
    next: u64,
    /// The terminal is another job's for the time being.
    is_suspended: bool,
    closed: bool,
}

impl Screen {
    pub(super) fn new(terminal: Box<dyn TermLike>, style: Style, clock: Clock) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            status_area: StatusArea::new(terminal),
            style,
            clock,
            scopes: Vec::new(),
            next: 0,
            is_suspended: false,
            closed: false,
        })))
    }

    /// Draws ten times a second, so that it lives even when nothing comes back. Without
    /// the thread the lines stay as they were last said.
    pub(super) fn start(self) -> Self {
        let screen = Arc::downgrade(&self.0);
        lock(&self.0).check_size();
        let heart = move || {
            while let Some(screen) = screen.upgrade() {
                lock(&screen).check_size();
                drop(screen);
                thread::sleep(TICK);
            }
        };
        drop(
            thread::Builder::new()
                .name("progress".to_owned())
                .spawn(heart),
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
        inner.scopes.retain(|other| other.id != scope);
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

    /// The stage has come to this; the sentence is for when its heading has gone ahead.
    pub(super) fn result(&self, scope: u64, result: &str, sentence: &str) {
        let mut inner = lock(&self.0);
        match inner.take_heading(scope) {
            Some(heading) if !heading.is_printed => {
                inner.finish_heading(scope, &heading.text, result)
            }
            _ => inner.print(scope, sentence),
        }
    }

    /// The sentence says all that the heading did.
    pub(super) fn replace(&self, scope: u64, sentence: &str) {
        let mut inner = lock(&self.0);
        inner.take_heading(scope);
        inner.print(scope, sentence);
    }

    /// A line at the foot, until it is removed.
    pub(super) fn add(&self, scope: u64, render: Render) -> u64 {
        let mut inner = lock(&self.0);
        inner.next += 1;
        let id = inner.next;
        if let Some(scope) = inner.scope(scope) {
            scope.bars.push((id, render));
        }
        inner.draw();
        id
    }

    /// Removes a bar; the next output redraws the bars.
    pub(super) fn remove(&self, bar: u64) {
        for scope in &mut lock(&self.0).scopes {
            scope.bars.retain(|(id, _)| *id != bar);
        }
    }

    /// A whole line of a stage's weight. The stage before it is over.
    pub(super) fn info(&self, scope: u64, text: &str) {
        let mut inner = lock(&self.0);
        inner.end(scope);
        inner.info(scope, text);
    }

    /// The stage has failed: its heading goes ahead, and no result follows.
    pub(super) fn fail_stage(&self, scope: u64) {
        let mut inner = lock(&self.0);
        inner.announce(scope);
        inner.take_heading(scope);
    }

    /// The foot goes while something else is written.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        let mut inner = lock(&self.0);
        inner.status_area.draw(Vec::new());
        let written = write();
        inner.draw();
        written
    }

    /// The same, after which the terminal may be another job's.
    pub(super) fn suspend_for_stop(&self, stop: impl FnOnce()) {
        let mut inner = lock(&self.0);
        inner.status_area.draw(Vec::new());
        stop();
        inner.check_size();
    }

    /// The foot goes for good.
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
            bars: Vec::new(),
        };
        self.scopes.insert(end, scope);
        self.next
    }

    fn take_heading(&mut self, scope: u64) -> Option<Heading> {
        self.scope(scope)?.heading.take()
    }

    /// The stage is over, and has nothing to tell but its time.
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

    /// Says the heading now: something that belongs below it is about to be said.
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
        self.status_area.columns().saturating_sub(name)
    }

    fn wrapped(&self, scope: u64, text: &str) -> String {
        columns::wrap(text, self.columns_for(scope))
    }

    fn print_above(&mut self, text: &str) {
        let lines = self.lines();
        self.status_area.print_above(text, lines);
    }

    /// Draws, unless nobody would see it where it belongs.
    fn check_size(&mut self) {
        self.is_suspended = platform::is_in_background();
        self.draw();
    }

    fn draw(&mut self) {
        let lines = self.lines();
        self.status_area.draw(lines);
    }

    /// The foot as it is now.
    fn lines(&self) -> Vec<String> {
        if self.closed || self.is_suspended {
            return Vec::new();
        }
        let (now, columns) = ((self.clock)(), self.status_area.columns());
        let alive = self.scopes.iter().filter(|scope| scope.is_alive());
        let names = alive.map(|scope| columns::width(&scope.name)).max();
        let names = names.unwrap_or(0).min(columns / 3);
        let lines = self.scopes.iter().flat_map(|scope| {
            let busy = self
                .scopes
                .iter()
                .any(|child| child.parents.contains(&scope.id) && child.is_alive());
            scope.lines(now, columns, names, busy, self.style)
        });
        lines.collect()
    }
}

/// A panic is told above the lines, which would otherwise stand in its way.
fn print_panics_above(screen: &Arc<Mutex<Inner>>) {
    let screen: Weak<Mutex<Inner>> = Arc::downgrade(screen);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let screen = screen.upgrade();
        // Who panics may hold the screen.
        let guard = screen.as_ref().and_then(|screen| screen.try_lock().ok());
        if let Some(mut inner) = guard {
            inner.status_area.draw(Vec::new());
            before(info);
        } else {
            before(info);
        }
    }));
}
