//! A look at an image while its bytes pass by, for what only the end of a pipe shows: that
//! it is whole, and what it is. The bytes that the look asks for are kept, first ones, last
//! ones and those of tables; at the end it is repeated with the length that there was.

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::look::{Said, Subject, of_head, within};
use super::passed::Passed;
use super::refusal::{Remedy, Sight, Trouble};
use super::window::Window;
use super::{Content, HEAD, Image, Source, Warning, packed};
use crate::error::{Error, Kind};

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
        let work = move || verify(&content, reader, said);
        let thread = thread::Builder::new().name("unpacking".to_owned());
        let thread = thread.spawn(work).ok()?;
        Some(Self { pieces, thread })
    }
}

/// Reads a compressed stream to its end: its checksums and lengths must be right, and what
/// lies in it is looked at as a whole. Returns that, with its size.
pub(super) fn verify(content: &Content, packed: impl Read + Send, said: Said) -> Sight<Image> {
    let unpacked =
        packed::unpacked(content, packed).map_err(|error| packed::broken(content, 0, &error))?;
    let Some(mut unpacked) = unpacked else {
        return Err(Trouble::unfit("it can't be unpacked", Remedy::CopyAgain));
    };
    let mut block = vec![0; HEAD];
    let mut end = packed::fill(&mut *unpacked, &mut block);
    let mut inner: Option<Image> = None;
    let mut watch: Option<Watch> = None;
    let mut size = 0;
    loop {
        size += end.len as u64;
        if let Some(Err(error)) = &end.reason {
            if !packed::is_padding(content, size, error) {
                return Err(packed::broken(content, size, error));
            }
            end.reason = Some(Ok(()));
        }
        let bytes = &block[..end.len];
        match &mut watch {
            Some(watch) => watch.see(bytes),
            None if size == 0 => {
                let cause = format!("there is nothing in {}", content.label());
                return Err(Trouble::unfit(cause, Remedy::CopyAgain));
            }
            None => {
                let image = of_head(content, bytes.to_vec(), end.reason.is_some(), said)?;
                let mut first = Watch::new(&image);
                first.see(bytes);
                (inner, watch) = (Some(image), Some(first));
            }
        }
        if end.reason.is_some() {
            break;
        }
        end = packed::fill(&mut *unpacked, &mut block);
    }
    let ended = watch.map_or(Ok(vec![]), Watch::end);
    ended.map_err(|trouble| within(content, trouble))?;
    let mut inner = inner.ok_or_else(|| Trouble::unfit("it is empty", Remedy::CopyAgain))?;
    (inner.size, inner.head) = (Some(size), vec![]);
    if inner.content == Content::Raw {
        inner.virtual_size = Some(size);
    }
    Ok(inner)
}

/// What was sent to the unpacker.
struct Pieces {
    received: Mutex<std::sync::mpsc::Receiver<Vec<u8>>>,
    now: io::Cursor<Vec<u8>>,
}

impl Read for Pieces {
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

impl<R: Read> Watched<R> {
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

impl<R: Read> Read for Watched<R> {
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
