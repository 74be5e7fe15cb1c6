//! A look at an image while its bytes pass by, for what only the end of a pipe shows: that
//! it is whole, and what it is. The bytes that the look asks for are kept, first ones, last
//! ones and those of tables; at the end it is repeated with the length that there was.

mod aside;

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::byte_view::Window;
use super::error::{Notice, Remedy, Sight, Trouble};
use super::inspect::{Said, Subject, of_head, within};
use super::pipe_bytes::Passed;
use super::{Content, HEAD, Image, Source, Warning, comparison, compressed};
use crate::error::{Error, Kind, Result};
use aside::Aside;

/// Bytes that pass by at once.
const STEP: usize = 128 << 10;
/// Looks at what passes by.
pub(super) struct Watch(Way);

enum Way {
    /// A disk, or a container of disks.
    Plain(Box<Plain>),
    /// A compressed stream, unpacked as it comes.
    Packed(Box<Image>, Aside<Image>),
}

struct Plain {
    image: Image,
    passed: Arc<Passed>,
    /// Compares the members of an OVA with its manifest.
    comparing: Option<Aside<Vec<Notice>>>,
    /// Whether its end may show that it is something else than its beginning did.
    may_differ: bool,
}

/// What the end has shown.
pub(super) struct Whole {
    /// The image, with its size.
    pub(super) image: Image,
    /// Warnings that the beginning did not give.
    pub(super) warnings: Vec<Warning>,
}

impl Watch {
    /// Begins with what the first bytes have shown.
    pub(super) fn new(image: &Image) -> Self {
        let unpacking = image.content.is_compressed_file().then(|| {
            let (content, said) = (image.content.clone(), image.said);
            Aside::begin(move |pieces| verify(&content, pieces, said))
        });
        match unpacking.flatten() {
            Some(unpacking) => Self(Way::Packed(Box::new(image.clone()), unpacking)),
            None => Self::plain(image, false),
        }
    }

    /// The same for what lies in a compressed stream: nobody has relied on its beginning.
    pub(super) fn within(image: &Image) -> Self {
        Self::plain(image, true)
    }

    fn plain(image: &Image, may_differ: bool) -> Self {
        let is_ova = matches!(image.content, Content::Ova { .. });
        Self(Way::Plain(Box::new(Plain {
            image: image.clone(),
            passed: Arc::default(),
            comparing: is_ova
                .then(|| Aside::begin(comparison::of_passing))
                .flatten(),
            may_differ,
        })))
    }

    /// The next bytes.
    pub(super) fn see(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(STEP) {
            match &mut self.0 {
                Way::Plain(plain) => plain.see(piece),
                Way::Packed(_, unpacking) => unpacking.see(piece),
            }
        }
    }

    /// There are no more bytes: refuses what is not whole, or not what it seemed to be.
    pub(super) fn end(self) -> Sight<Whole> {
        match self.0 {
            Way::Plain(plain) => plain.end(),
            Way::Packed(mut image, unpacking) => {
                let inner = unpacking.end()?;
                let known = image.inner.take().map_or(vec![], |inner| inner.warnings);
                let warnings = inner.warnings.iter();
                let warnings = warnings.filter(|warning| !known.contains(warning));
                let warnings = warnings.cloned().collect();
                image.holds(Some(inner));
                let image = *image;
                Ok(Whole { image, warnings })
            }
        }
    }
}

/// Reads a compressed stream to its end: its checksums and lengths must be right, and what
/// lies in it is looked at as a whole. Returns that, with its size.
pub(super) fn verify(content: &Content, packed: impl Read + Send, said: Said) -> Sight<Image> {
    let unpacked = compressed::unpacked(content, packed)
        .map_err(|error| compressed::broken(content, 0, &error))?;
    let Some(mut unpacked) = unpacked else {
        return Err(Trouble::unfit("it can't be unpacked", Remedy::CopyAgain));
    };
    let mut block = vec![0; HEAD];
    let mut end = compressed::fill(&mut *unpacked, &mut block);
    let mut watch: Option<Watch> = None;
    let mut size = 0;
    loop {
        size += end.len as u64;
        if let Some(Err(error)) = &end.reason {
            if !compressed::is_padding(content, size, error) {
                return Err(compressed::broken(content, size, error));
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
                let mut first = Watch::within(&image);
                first.see(bytes);
                watch = Some(first);
            }
        }
        if end.reason.is_some() {
            break;
        }
        end = compressed::fill(&mut *unpacked, &mut block);
    }
    let watch = watch.ok_or_else(|| Trouble::unfit("it is empty", Remedy::CopyAgain))?;
    let whole = watch.end().map_err(|trouble| within(content, trouble))?;
    let mut inner = whole.image;
    (inner.size, inner.head) = (Some(size), vec![]);
    if inner.content == Content::Raw {
        inner.virtual_size = Some(size);
    }
    Ok(inner)
}

impl Plain {
    fn see(&mut self, piece: &[u8]) {
        if let Some(comparing) = &self.comparing {
            comparing.see(piece);
        }
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

    fn end(self) -> Sight<Whole> {
        let (len, is_all) = {
            let state = self.passed.lock();
            (state.len, !state.overflowed)
        };
        if !is_all {
            return Ok(self.unchecked(len));
        }
        let mut image = self.look(&Window::all(&self.passed, len), Some(len))?;
        if !self.may_differ && !image.content.is_like(&self.image.content) {
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
        if let Some(comparing) = self.comparing {
            let notices = comparing.end()?;
            let warnings = notices.into_iter().map(|notice| notice.at(Path::new("-")));
            image.warnings.extend(warnings);
        }
        let known = |warning: &&Warning| !self.image.warnings.contains(warning);
        let warnings = image.warnings.iter().filter(known).cloned().collect();
        Ok(Whole { image, warnings })
    }

    /// With tables missing, nothing can be said of what they point to.
    fn unchecked(self, len: u64) -> Whole {
        let text = "whether the image is whole was not checked: its tables are larger than what is kept of standard input";
        let warning = Notice::new(text, Some(Remedy::say("give the file itself")));
        let warnings = vec![warning.at(Path::new("-"))];
        let mut image = self.image;
        image.size = Some(len);
        image.warnings.extend(warnings.iter().cloned());
        Whole { image, warnings }
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
    accepts: Accepts,
    verdict: Arc<Verdict>,
}

/// Whether the cloud accepts an image; asked again where only the end of a pipe shows all of it.
#[derive(Clone)]
pub struct Accepts(Arc<Rule>);

type Rule = dyn Fn(&Image) -> Result<()> + Send + Sync;

impl Accepts {
    pub fn new(accepts: impl Fn(&Image) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(accepts))
    }

    /// The cloud's refusal as an error.
    pub fn check(&self, image: &Image) -> Result<()> {
        (self.0)(image)
    }
}

impl fmt::Debug for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accepts")
    }
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
    pub fn new(reader: R, image: &Image, accepts: Accepts) -> Self {
        Self {
            reader,
            watch: Some(Watch::new(image)),
            refused: None,
            skip_checks: image.said.skip_checks,
            accepts,
            verdict: Arc::default(),
        }
    }

    /// To be asked at the end.
    pub fn verdict(&self) -> Arc<Verdict> {
        Arc::clone(&self.verdict)
    }
}

impl<R> Watched<R> {
    /// Looks at the end, and asks the cloud's rules.
    fn conclude(&mut self, watch: Watch) {
        let whole = watch.end().map_err(|trouble| trouble.at(Path::new("-")));
        let whole = whole.and_then(|whole| {
            self.accepts.check(&whole.image)?;
            Ok(whole.warnings)
        });
        match whole {
            Ok(warnings) => self.verdict.lock().1 = warnings,
            Err(error) if self.skip_checks && error.kind() == Kind::Refused => {
                let (why, remedy) = (error.brief(), None);
                let text = format!("it is imported all the same (--skip-checks): {why}");
                self.verdict.lock().1 = vec![Warning { text, remedy }];
            }
            Err(error) => {
                self.refused = Some(error.brief());
                self.verdict.lock().0 = Some(error);
            }
        }
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
        if let Some(watch) = self.watch.take() {
            self.conclude(watch);
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
