//! A look at an image while its bytes pass by, for what only the end of a pipe shows: that
//! it is whole, and what it is. The bytes that the look asks for are kept, first ones, last
//! ones and those of tables; at the end it is repeated with the length that there was.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::look::Subject;
use super::refusal::{Remedy, Sight, Trouble};
use super::window::{ReadAt, Window, size};
use super::{Image, Source, Warning, packed};
use crate::error::{Error, Kind};

/// First bytes that are kept.
const FIRST: u64 = 4 << 20;
/// Last bytes that are kept: those of a footer, and of what has just passed by.
const LAST: u64 = 4 << 20;
/// Bytes after which what has come is looked at: it may ask for what came right behind it.
const PAUSE: u64 = 1 << 20;
/// Bytes of tables that are kept, in so many pieces.
const KEPT: u64 = 64 << 20;
const PIECES: usize = 10_000;
/// Bytes that pass by at once.
const STEP: usize = 128 << 10;
/// Pieces of a compressed stream that wait to be unpacked.
const WAITING: usize = 16;

/// Looks at what passes by.
pub struct Watch(Way);

enum Way {
    /// A disk, or a container of disks.
    Plain(Box<Plain>),
    /// A compressed stream, unpacked on a thread of its own.
    Packed(Unpacking),
}

struct Plain {
    image: Image,
    passed: Arc<Passed>,
}

struct Unpacking {
    pieces: SyncSender<Vec<u8>>,
    thread: JoinHandle<Sight<Image>>,
}

impl Watch {
    /// Begins with what the first bytes have shown.
    pub fn new(image: &Image) -> Self {
        let is_packed = image.content.is_compressed_file();
        let unpacking = is_packed.then(|| Unpacking::begin(image)).flatten();
        Self(match unpacking {
            Some(unpacking) => Way::Packed(unpacking),
            None => Way::Plain(Box::new(Plain {
                image: image.clone(),
                passed: Arc::default(),
            })),
        })
    }

    /// The next bytes.
    pub fn see(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(STEP) {
            match &mut self.0 {
                Way::Plain(plain) => plain.see(piece),
                // An unpacker that is gone has met an error, which `end` tells.
                Way::Packed(unpacking) => drop(unpacking.pieces.send(piece.to_vec())),
            }
        }
    }

    /// There are no more bytes: refuses what is not whole, or not what it seemed to be.
    /// Returns the warnings of the look that are new.
    pub(super) fn end(self) -> Sight<Vec<Warning>> {
        match self.0 {
            Way::Plain(plain) => plain.end(),
            Way::Packed(Unpacking { pieces, thread }) => {
                drop(pieces);
                let gone = |_| Err(io::Error::other("the unpacking broke off").into());
                thread.join().unwrap_or_else(gone).map(|_| vec![])
            }
        }
    }
}

impl Unpacking {
    fn begin(image: &Image) -> Option<Self> {
        let (pieces, received) = sync_channel(WAITING);
        let (content, said) = (image.content.clone(), image.said);
        let reader = Pieces {
            received: Mutex::new(received),
            now: io::Cursor::default(),
        };
        let work = move || packed::verify(&content, reader, said);
        let thread = thread::Builder::new().name("unpacking".to_owned());
        let thread = thread.spawn(work).ok()?;
        Some(Self { pieces, thread })
    }
}

/// What was sent to the unpacker.
struct Pieces {
    received: Mutex<std::sync::mpsc::Receiver<Vec<u8>>>,
    now: io::Cursor<Vec<u8>>,
}

impl io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.now.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let next = self
                .received
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner);
            match next.recv() {
                Ok(piece) => self.now = io::Cursor::new(piece),
                Err(_) => return Ok(0),
            }
        }
    }
}

impl Plain {
    fn see(&mut self, piece: &[u8]) {
        let passed = &self.passed;
        if passed.take(piece) {
            // What it finds does not matter yet, what it asks for does.
            let seen = passed.lock().len;
            let _ = self.look(&Window::all(passed, seen).incomplete(), None);
        }
    }

    fn look(&self, window: &Window<'_>, size: Option<u64>) -> Sight<Image> {
        let subject = Subject {
            source: Source::Stdin,
            window: *window,
            size,
            there: self.passed.lock().len,
            open: &|| Ok(Box::new(Arc::clone(&self.passed))),
        };
        subject.look(self.image.said)
    }

    fn end(self) -> Sight<Vec<Warning>> {
        let (len, is_all) = {
            let state = self.passed.lock();
            (state.len, !state.overflowed)
        };
        if !is_all {
            // With tables missing, nothing could be said of what they point to.
            return Ok(vec![]);
        }
        let image = self.look(&Window::all(&self.passed, len), Some(len))?;
        if !image.content.is_like(&self.image.content) {
            let remedy = match image.content.format() {
                Some(format) => format!("say --format {format}"),
                None => "give it as a file".to_owned(),
            };
            return Err(Trouble::unfit(
                format!(
                    "its end shows that it is {}, from its beginning it was taken for {}",
                    image.label(),
                    self.image.label()
                ),
                Remedy::say(remedy),
            ));
        }
        let known = |warning: &Warning| !self.image.warnings.contains(warning);
        Ok(image.warnings.into_iter().filter(known).collect())
    }
}

/// The bytes that have passed by, of which some are kept.
#[derive(Debug, Default)]
struct Passed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    len: u64,
    first: Vec<u8>,
    last: VecDeque<u8>,
    /// Bytes of tables, by their place.
    kept: BTreeMap<u64, Vec<u8>>,
    bytes: u64,
    /// What was asked for and has not passed by: its place and its end.
    wanted: BTreeMap<u64, u64>,
    /// Where the next look is due.
    due: Option<u64>,
    overflowed: bool,
}

impl Passed {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next bytes; returns whether it is time for another look.
    fn take(&self, piece: &[u8]) -> bool {
        let mut state = self.lock();
        let begins = state.len == 0;
        let room = size(FIRST).saturating_sub(state.first.len());
        let first = &piece[..piece.len().min(room)];
        state.first.extend_from_slice(first);
        state.last.extend(piece);
        let excess = state.last.len().saturating_sub(size(LAST));
        state.last.drain(..excess);
        state.len += piece.len() as u64;
        let len = state.len;
        let wanted = std::mem::take(&mut state.wanted);
        let (come, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(_, end)| *end <= len);
        state.wanted = wanted.into_iter().collect();
        if !come.is_empty() {
            state.due.get_or_insert(len + PAUSE);
        }
        for (from, end) in come {
            state.keep(from, size(end - from));
        }
        let is_due = begins || state.due.is_some_and(|due| due <= len);
        if is_due {
            state.due = None;
        }
        is_due
    }
}

impl State {
    /// These bytes, if they are among the first or were kept.
    fn held(&self, from: u64, count: usize) -> Option<Vec<u8>> {
        let end = from.checked_add(count as u64)?;
        if end <= self.first.len() as u64 {
            return Some(self.first[size(from)..size(end)].to_vec());
        }
        let (at, bytes) = self.kept.range(..=from).next_back()?;
        let there = bytes.get(size(from - at)..)?;
        there.get(..count).map(<[u8]>::to_vec)
    }

    /// These bytes, if they have just passed by.
    fn recent(&self, from: u64, count: usize) -> Option<Vec<u8>> {
        let end = from.checked_add(count as u64)?;
        let last = self.len - self.last.len() as u64;
        if from < last || end > self.len {
            return None;
        }
        let range = size(from - last)..size(end - last);
        Some(self.last.range(range).copied().collect())
    }

    /// Keeps these bytes for the next look, or notes that they are waited for.
    fn keep(&mut self, from: u64, count: usize) -> Option<Vec<u8>> {
        let end = from.checked_add(count as u64)?;
        if end > self.len {
            if self.wanted.len() < PIECES {
                let wanted = self.wanted.entry(from).or_insert(end);
                *wanted = end.max(*wanted);
            } else {
                self.overflowed = true;
            }
            return None;
        }
        if let Some(held) = self.held(from, count) {
            return Some(held);
        }
        let found = self.recent(from, count)?;
        if self.bytes + count as u64 > KEPT || self.kept.len() >= PIECES {
            self.overflowed = true;
        } else {
            self.bytes += count as u64;
            self.kept.insert(from, found.clone());
        }
        Some(found)
    }
}

impl ReadAt for Arc<Passed> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self.lock().keep(offset, buffer.len()) {
            Some(bytes) => {
                buffer.copy_from_slice(&bytes);
                Ok(())
            }
            None => Err(io::Error::other("these bytes have passed by")),
        }
    }

    fn has(&self, offset: u64, count: u64) -> bool {
        self.lock().keep(offset, size(count)).is_some()
    }
}

/// A reader whose bytes are looked at. What the look refuses ends it with an error.
pub struct Watched<R> {
    reader: R,
    /// None once the end was seen.
    watch: Option<Watch>,
    /// What the end was refused for.
    refused: Option<String>,
    skip_checks: bool,
    verdict: Arc<Verdict>,
}

/// What the end of a stream has shown.
#[derive(Debug, Default)]
pub struct Verdict(Mutex<(Option<Error>, Vec<Warning>)>);

impl Verdict {
    /// The refusal, if there is one.
    pub fn refusal(&self) -> Option<Error> {
        self.lock().0.take()
    }

    /// What did not show at the beginning.
    pub fn warnings(&self) -> Vec<Warning> {
        std::mem::take(&mut self.lock().1)
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Error>, Vec<Warning>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: io::Read> Watched<R> {
    /// Looks at all that `reader` gives, which begins with the image's own head.
    pub fn new(reader: R, image: &Image) -> Self {
        Self {
            reader,
            watch: Some(Watch::new(image)),
            refused: None,
            skip_checks: image.said.skip_checks,
            verdict: Arc::default(),
        }
    }

    /// To be asked at the end.
    pub fn verdict(&self) -> Arc<Verdict> {
        Arc::clone(&self.verdict)
    }
}

impl<R: io::Read> io::Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if read > 0 {
            if let Some(watch) = &mut self.watch {
                watch.see(&buffer[..read]);
            }
            return Ok(read);
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.watch.take().map(Watch::end) {
            Some(Err(trouble)) => {
                let error = trouble.at(Path::new("-"));
                if self.skip_checks && error.kind() == Kind::Refused {
                    let (why, remedy) = (error.brief(), None);
                    let text = format!("it is imported all the same (--skip-checks): {why}");
                    self.verdict.lock().1 = vec![Warning { text, remedy }];
                    return Ok(0);
                }
                self.refused = Some(error.brief());
                self.verdict.lock().0 = Some(error);
            }
            Some(Ok(warnings)) => self.verdict.lock().1 = warnings,
            None => {}
        }
        match &self.refused {
            Some(why) => Err(io::Error::other(why.clone())),
            None => Ok(0),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
