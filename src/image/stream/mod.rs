//! Inspects an image while its bytes are read once, for what only the end of a pipe shows: its
//! format, and whether it is complete. The bytes that the inspection requests are kept: the
//! first, the last and those of tables; at the end it is repeated with the actual length.

mod aside;

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::byte_view::ByteView;
use super::error::{Fix, ImageError, ImageNotice, ImageResult};
use super::inspect::{Inspection, OpenOptions, in_compressed, inspect_head};
use super::pipe_bytes::PipeBytes;
use super::{Content, HEAD, Image, ImageSource, Warning, comparison, compressed};
use crate::error::{Error, Kind, Result};
use aside::Aside;

/// Bytes that are read at once.
const STEP: usize = 128 << 10;
/// Inspects a stream while it is read.
pub(super) struct StreamCheck(CheckKind);

enum CheckKind {
    /// A disk, or a container of disks.
    Plain(Box<PlainCheck>),
    /// A compressed stream, decompressed while it is read.
    Compressed(Box<Image>, Aside<Image>),
}

struct PlainCheck {
    image: Image,
    passed: Arc<PipeBytes>,
    /// Compares the members of an OVA with its manifest.
    comparing: Option<Aside<Vec<ImageNotice>>>,
    /// The end may show another format than the beginning.
    may_differ: bool,
}

/// The result at the end of a stream.
pub(super) struct Whole {
    /// The image, with its size.
    pub(super) image: Image,
    /// Warnings that the beginning did not produce.
    pub(super) warnings: Vec<Warning>,
}

impl StreamCheck {
    /// Starts with the image that the first bytes have shown.
    pub(super) fn new(image: &Image) -> Self {
        let unpacking = image.content.is_compressed_file().then(|| {
            let (content, options) = (image.content.clone(), image.options);
            Aside::begin(move |pieces| verify(&content, pieces, options))
        });
        match unpacking.flatten() {
            Some(unpacking) => Self(CheckKind::Compressed(Box::new(image.clone()), unpacking)),
            None => Self::plain(image, false),
        }
    }

    /// Starts the inspection of the content of a compressed stream, whose format may still
    /// differ: nothing depends on its beginning.
    pub(super) fn within(image: &Image) -> Self {
        Self::plain(image, true)
    }

    fn plain(image: &Image, may_differ: bool) -> Self {
        let is_ova = matches!(image.content, Content::Ova { .. });
        Self(CheckKind::Plain(Box::new(PlainCheck {
            image: image.clone(),
            passed: Arc::default(),
            comparing: is_ova
                .then(|| Aside::begin(comparison::of_passing))
                .flatten(),
            may_differ,
        })))
    }

    /// Adds the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(STEP) {
            match &mut self.0 {
                CheckKind::Plain(plain) => plain.update(piece),
                CheckKind::Compressed(_, unpacking) => unpacking.see(piece),
            }
        }
    }

    /// Ends the stream: rejects an image that is incomplete, or of another format than its
    /// beginning.
    pub(super) fn finish(self) -> ImageResult<Whole> {
        match self.0 {
            CheckKind::Plain(plain) => plain.finish(),
            CheckKind::Compressed(mut image, unpacking) => {
                let inner = unpacking.end()?;
                // Warnings about the beginning were printed already.
                let known = image.inner.take().map_or(vec![], |inner| inner.warnings);
                let warnings = inner.warnings.iter();
                let warnings = warnings.filter(|warning| !known.contains(warning));
                let warnings = warnings.cloned().collect();
                image.set_inner(Some(inner));
                let image = *image;
                Ok(Whole { image, warnings })
            }
        }
    }
}

/// Reads a compressed stream to its end, verifies its checksums and lengths, and inspects its
/// whole content. Returns the content's image, with its size.
pub(super) fn verify(
    content: &Content,
    compressed: impl Read + Send,
    options: OpenOptions,
) -> ImageResult<Image> {
    let unpacked = compressed::decompressed(content, compressed)
        .map_err(|error| compressed::damaged(content, 0, &error))?;
    let Some(mut unpacked) = unpacked else {
        return Err(ImageError::unusable("it can't be unpacked", Fix::CopyAgain));
    };
    let mut block = vec![0; HEAD];
    let mut end = compressed::fill(&mut *unpacked, &mut block);
    let mut watch: Option<StreamCheck> = None;
    let mut size = 0;
    loop {
        size += end.len as u64;
        if let Some(Err(error)) = &end.reason {
            if !compressed::is_trailing_padding(content, size, error) {
                return Err(compressed::damaged(content, size, error));
            }
            end.reason = Some(Ok(()));
        }
        let bytes = &block[..end.len];
        match &mut watch {
            Some(watch) => watch.update(bytes),
            // An empty stream is valid gzip, but cannot be an image.
            None if size == 0 => {
                let cause = format!("there is nothing in {}", content.label());
                return Err(ImageError::unusable(cause, Fix::CopyAgain));
            }
            None => {
                let image = inspect_head(content, bytes.to_vec(), end.reason.is_some(), options)?;
                let mut first = StreamCheck::within(&image);
                first.update(bytes);
                watch = Some(first);
            }
        }
        if end.reason.is_some() {
            break;
        }
        end = compressed::fill(&mut *unpacked, &mut block);
    }
    let watch = watch.ok_or_else(|| ImageError::unusable("it is empty", Fix::CopyAgain))?;
    let whole = watch
        .finish()
        .map_err(|error| in_compressed(content, error))?;
    let mut inner = whole.image;
    // The head is only for standard input, whose bytes are still to be sent.
    (inner.size, inner.head) = (Some(size), vec![]);
    if inner.content == Content::Raw {
        inner.virtual_size = Some(size);
    }
    Ok(inner)
}

impl PlainCheck {
    fn update(&mut self, piece: &[u8]) {
        if let Some(comparing) = &self.comparing {
            comparing.see(piece);
        }
        let passed = &self.passed;
        if passed.take(piece) {
            // Only the requests of this inspection matter; its result may still change.
            let received = passed.lock().len;
            let _ = self.inspect(&ByteView::new(passed, received).incomplete(), None);
        }
    }

    fn inspect(&self, view: &ByteView<'_>, size: Option<u64>) -> ImageResult<Image> {
        let subject = Inspection {
            source: ImageSource::Stdin,
            view: *view,
            size,
            available: self.passed.lock().len,
            open: &|| Ok(Box::new(Arc::clone(&self.passed))),
        };
        subject.inspect(self.image.options)
    }

    fn finish(self) -> ImageResult<Whole> {
        let (len, is_all) = {
            let state = self.passed.lock();
            (state.len, !state.overflowed)
        };
        // Without its tables a container cannot be inspected again.
        if !is_all {
            return Ok(self.unchecked(len));
        }
        let mut image = self.inspect(&ByteView::new(&self.passed, len), Some(len))?;
        if !self.may_differ && !image.content.is_same_kind(&self.image.content) {
            let remedy = match image.content.format() {
                Some(format) => format!("say --format {format}"),
                None => "give it as a file".to_owned(),
            };
            return Err(ImageError::unusable(
                format!(
                    "its end shows that it is {}, from its beginning it was taken for {}",
                    image.label(),
                    self.image.label()
                ),
                Fix::custom(remedy),
            ));
        }
        if let Some(comparing) = self.comparing {
            let notices = comparing.end()?;
            let warnings = notices.into_iter().map(|notice| notice.at(Path::new("-")));
            image.warnings.extend(warnings);
        }
        let is_new = |warning: &&Warning| !self.image.warnings.contains(warning);
        let warnings = image.warnings.iter().filter(is_new).cloned().collect();
        Ok(Whole { image, warnings })
    }

    /// Returns the image without a verdict: tables are missing, and with them everything that
    /// they point to.
    fn unchecked(self, len: u64) -> Whole {
        let text = "whether the image is whole was not checked: its tables are larger than what is kept of standard input";
        let warning = ImageNotice::new(text, Some(Fix::custom("give the file itself")));
        let warnings = vec![warning.at(Path::new("-"))];
        let mut image = self.image;
        image.size = Some(len);
        image.warnings.extend(warnings.iter().cloned());
        Whole { image, warnings }
    }
}

/// A reader that inspects its bytes. A rejection ends it with an error.
pub struct CheckedReader<R> {
    reader: R,
    /// `None` after the end.
    check: Option<StreamCheck>,
    /// The reason of the rejection.
    refusal: Option<String>,
    skip_checks: bool,
    accepts: Accepts,
    verdict: Arc<Verdict>,
}

/// Decides whether the cloud accepts an image; called again where only the end of a pipe shows
/// the whole image.
#[derive(Clone)]
pub struct Accepts(Arc<Rule>);

type Rule = dyn Fn(&Image) -> Result<()> + Send + Sync;

impl Accepts {
    pub fn new(accepts: impl Fn(&Image) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(accepts))
    }

    /// Returns the cloud's rejection as an error.
    pub fn check(&self, image: &Image) -> Result<()> {
        (self.0)(image)
    }
}

impl fmt::Debug for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accepts")
    }
}

/// The result at the end of a stream.
#[derive(Debug, Default)]
pub struct Verdict(Mutex<(Option<Error>, Vec<Warning>)>);

impl Verdict {
    /// Returns the rejection, if there is one.
    pub fn refusal(&self) -> Option<Error> {
        self.lock().0.take()
    }

    /// Returns the warnings that the beginning did not produce.
    pub fn warnings(&self) -> Vec<Warning> {
        std::mem::take(&mut self.lock().1)
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Error>, Vec<Warning>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Read> CheckedReader<R> {
    /// Creates a reader that inspects all bytes of `reader`, which begin with the image's own
    /// head.
    pub fn new(reader: R, image: &Image, accepts: Accepts) -> Self {
        Self {
            reader,
            check: Some(StreamCheck::new(image)),
            refusal: None,
            skip_checks: image.options.skip_checks,
            accepts,
            verdict: Arc::default(),
        }
    }

    /// Returns the verdict, which is set at the end.
    pub fn verdict(&self) -> Arc<Verdict> {
        Arc::clone(&self.verdict)
    }
}

impl<R> CheckedReader<R> {
    /// Inspects the end, and applies the cloud's rules.
    fn conclude(&mut self, watch: StreamCheck) {
        let whole = watch
            .finish()
            .map_err(|trouble| trouble.into_error(Path::new("-")));
        let whole = whole.and_then(|whole| {
            self.accepts.check(&whole.image)?;
            Ok(whole.warnings)
        });
        match whole {
            Ok(warnings) => self.verdict.lock().1 = warnings,
            Err(error) if self.skip_checks && error.kind() == Kind::Refused => {
                let (reason, fix) = (error.one_line(), None);
                let text = format!("it is imported all the same (--skip-checks): {reason}");
                self.verdict.lock().1 = vec![Warning { text, fix }];
            }
            Err(error) => {
                self.refusal = Some(error.one_line());
                self.verdict.lock().0 = Some(error);
            }
        }
    }
}

impl<R: Read> Read for CheckedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if read > 0 {
            if let Some(watch) = &mut self.check {
                watch.update(&buffer[..read]);
            }
            return Ok(read);
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(watch) = self.check.take() {
            self.conclude(watch);
        }
        match &self.refusal {
            Some(why) => Err(io::Error::other(why.clone())),
            None => Ok(0),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
