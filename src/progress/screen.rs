//! The face on a terminal: what is over stands above as whole lines, what is under way
//! lives at the foot. A stage is one line that ends with its result; when something has
//! to be said meanwhile, its heading goes ahead and the result follows.

use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use indicatif::TermLike;

use super::event::WORTH_A_WORD;
use super::scope::{Draw, Heading, Scope, prefixed};
use super::status_area::Foot;
use super::{Clock, Paint, columns, guard};
use crate::platform;
use crate::units;

/// Between two drawings.
const TICK: Duration = Duration::from_millis(100);

/// The terminal.
pub(super) struct Screen(Arc<Mutex<Inner>>);

struct Inner {
    foot: Foot,
    paint: Paint,
    clock: Clock,
    scopes: Vec<Scope>,
    next: u64,
    /// The terminal is another job's for the time being.
    away: bool,
    closed: bool,
}

impl Screen {
    pub(super) fn new(terminal: Box<dyn TermLike>, paint: Paint, clock: Clock) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            foot: Foot::new(terminal),
            paint,
            clock,
            scopes: Vec::new(),
            next: 0,
            away: false,
            closed: false,
        })))
    }

    /// Draws ten times a second, so that it lives even when nothing comes back. Without
    /// the thread the lines stay as they were last said.
    pub(super) fn lives(self) -> Self {
        let screen = Arc::downgrade(&self.0);
        guard(&self.0).look();
        let heart = move || {
            while let Some(screen) = screen.upgrade() {
                guard(&screen).look();
                drop(screen);
                thread::sleep(TICK);
            }
        };
        drop(
            thread::Builder::new()
                .name("progress".to_owned())
                .spawn(heart),
        );
        panics_pass_above(&self.0);
        self
    }

    /// A further run of stages, below the one that it belongs to.
    pub(super) fn enter(&self, parent: Option<u64>, name: &str) -> u64 {
        guard(&self.0).enter(parent, name)
    }

    /// Its last stage is over.
    pub(super) fn leave(&self, scope: u64) {
        let mut inner = guard(&self.0);
        inner.end(scope);
        inner.scopes.retain(|known| known.id != scope);
        inner.draw();
    }

    /// A stage begins, and the one before it is over.
    pub(super) fn stage(&self, scope: u64, text: &str) {
        let mut inner = guard(&self.0);
        inner.end(scope);
        let since = (inner.clock)();
        let text = text.to_owned();
        if let Some(scope) = inner.scope(scope) {
            scope.heading = Some(Heading {
                text,
                since,
                said: false,
            });
        }
        inner.draw();
    }

    /// Whole lines that stay.
    pub(super) fn print(&self, scope: u64, text: &str) {
        guard(&self.0).print(scope, text);
    }

    /// The same, left to the terminal to break.
    pub(super) fn print_as_it_is(&self, scope: u64, text: &str) {
        guard(&self.0).say(scope, text);
    }

    /// The stage has come to this; the sentence is for when its heading has gone ahead.
    pub(super) fn result(&self, scope: u64, result: &str, sentence: &str) {
        let mut inner = guard(&self.0);
        match inner.take_heading(scope) {
            Some(heading) if !heading.said => inner.finished(scope, &heading.text, result),
            _ => inner.print(scope, sentence),
        }
    }

    /// The sentence says all that the heading did.
    pub(super) fn instead(&self, scope: u64, sentence: &str) {
        let mut inner = guard(&self.0);
        inner.take_heading(scope);
        inner.print(scope, sentence);
    }

    /// A line at the foot, until it is removed.
    pub(super) fn add(&self, scope: u64, draw: Draw) -> u64 {
        let mut inner = guard(&self.0);
        inner.next += 1;
        let id = inner.next;
        if let Some(scope) = inner.scope(scope) {
            scope.bars.push((id, draw));
        }
        inner.draw();
        id
    }

    /// What is said next draws the foot anew.
    pub(super) fn remove(&self, bar: u64) {
        for scope in &mut guard(&self.0).scopes {
            scope.bars.retain(|(id, _)| *id != bar);
        }
    }

    /// A whole line of a stage's weight. The stage before it is over.
    pub(super) fn fact(&self, scope: u64, text: &str) {
        let mut inner = guard(&self.0);
        inner.end(scope);
        inner.fact(scope, text);
    }

    /// The stage has failed: its heading goes ahead, and no result follows.
    pub(super) fn break_off(&self, scope: u64) {
        let mut inner = guard(&self.0);
        inner.announce(scope);
        inner.take_heading(scope);
    }

    /// The foot goes while something else is written.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        let mut inner = guard(&self.0);
        inner.foot.draw(Vec::new());
        let written = write();
        inner.draw();
        written
    }

    /// The same, after which the terminal may be another job's.
    pub(super) fn rest(&self, stop: impl FnOnce()) {
        let mut inner = guard(&self.0);
        inner.foot.draw(Vec::new());
        stop();
        inner.look();
    }

    /// The foot goes for good.
    pub(super) fn close(&self) {
        let mut inner = guard(&self.0);
        for scope in inner.ids() {
            inner.end(scope);
        }
        inner.closed = true;
        inner.draw();
    }

    #[cfg(test)]
    pub(super) fn draw(&self) {
        guard(&self.0).draw();
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
        let Some(heading) = self.take_heading(scope).filter(|heading| !heading.said) else {
            return;
        };
        let took = (self.clock)().duration_since(heading.since);
        // No line is broken at such a space.
        let took = if took >= WORTH_A_WORD && !thread::panicking() {
            format!(" … {}", units::seconds(took)).replace(' ', "\u{a0}")
        } else {
            String::new()
        };
        let text = heading.text + &took;
        self.fact(scope, &text);
    }

    fn fact(&mut self, scope: u64, text: &str) {
        let text = self.wrapped(scope, text).replace('\u{a0}', " ");
        self.say(scope, &text);
    }

    /// The one line of a stage; the result stands below where it does not fit.
    fn finished(&mut self, scope: u64, heading: &str, result: &str) {
        let text = self.wrapped(scope, heading);
        let last = text.rsplit('\n').next().unwrap_or_default();
        let fits = columns::width(last) + 3 + columns::width(result) <= self.room(scope);
        let rest = if fits {
            format!(" … {result}")
        } else {
            self.wrapped(scope, &format!("\n  {result}"))
        };
        self.say(scope, &format!("{text}{rest}"));
    }

    /// Says the heading now: something that belongs below it is about to be said.
    fn announce(&mut self, id: u64) {
        let Some(scope) = self.scope(id) else { return };
        let name = scope.name.clone();
        if let Some(heading) = scope.heading.as_mut().filter(|heading| !heading.said) {
            heading.said = true;
            let text = heading.text.clone();
            let text = self.wrapped(id, &text);
            self.above(&prefixed(&name, &text));
        }
    }

    fn print(&mut self, scope: u64, text: &str) {
        let text = self.wrapped(scope, text);
        self.say(scope, &text);
    }

    /// Below the headings that it belongs to.
    fn say(&mut self, id: u64, text: &str) {
        let parents = self.scope(id).map(|scope| scope.parents.clone());
        let parents = parents.unwrap_or_default();
        parents
            .into_iter()
            .chain([id])
            .for_each(|id| self.announce(id));
        self.above(&prefixed(self.name(id), text));
    }

    fn name(&self, id: u64) -> &str {
        let scope = self.scopes.iter().find(|scope| scope.id == id);
        scope.map_or("", |scope| &scope.name)
    }

    /// Columns that the name leaves.
    fn room(&self, scope: u64) -> usize {
        let name = columns::width(&prefixed(self.name(scope), " ")) - 1;
        self.foot.columns().saturating_sub(name)
    }

    fn wrapped(&self, scope: u64, text: &str) -> String {
        columns::wrap(text, self.room(scope))
    }

    fn above(&mut self, text: &str) {
        let lines = self.lines();
        self.foot.above(text, lines);
    }

    /// Draws, unless nobody would see it where it belongs.
    fn look(&mut self) {
        self.away = platform::is_in_background();
        self.draw();
    }

    fn draw(&mut self) {
        let lines = self.lines();
        self.foot.draw(lines);
    }

    /// The foot as it is now.
    fn lines(&self) -> Vec<String> {
        if self.closed || self.away {
            return Vec::new();
        }
        let (now, columns) = ((self.clock)(), self.foot.columns());
        let alive = self.scopes.iter().filter(|scope| scope.is_alive());
        let names = alive.map(|scope| columns::width(&scope.name)).max();
        let names = names.unwrap_or(0).min(columns / 3);
        let lines = self.scopes.iter().flat_map(|scope| {
            let busy = self
                .scopes
                .iter()
                .any(|child| child.parents.contains(&scope.id) && child.is_alive());
            scope.lines(now, columns, names, busy, self.paint)
        });
        lines.collect()
    }
}

/// A panic is told above the lines, which would otherwise stand in its way.
fn panics_pass_above(screen: &Arc<Mutex<Inner>>) {
    let screen: Weak<Mutex<Inner>> = Arc::downgrade(screen);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let screen = screen.upgrade();
        // Who panics may hold the screen.
        let held = screen.as_ref().and_then(|screen| screen.try_lock().ok());
        if let Some(mut inner) = held {
            inner.foot.draw(Vec::new());
            before(info);
        } else {
            before(info);
        }
    }));
}
