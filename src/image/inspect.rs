//! The steps of an inspection: detect the content, compare it with the format that the user
//! set, read the disks' partition tables. With `--skip-checks` a rejection becomes a warning.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::boot::Boot;
use super::byte_view::{ByteView, ReadAt, size};
use super::disk_reader::first_disk;
use super::error::{Fix, ImageError, ImageNotice, ImageResult};
use super::found::Detection;
use super::{Content, DiskReader, Format, HEAD, Image, ImageSource, VhdKind};
use super::{compressed, detect, file_name, layout, magic, recognized};

/// The user's settings for the image.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// The format, which the content must not contradict.
    pub format: Option<Format>,
    /// Turns rejections into warnings, except where there is nothing to send.
    pub skip_checks: bool,
}

impl From<Option<Format>> for OpenOptions {
    fn from(format: Option<Format>) -> Self {
        let skip_checks = false;
        Self {
            format,
            skip_checks,
        }
    }
}

impl OpenOptions {
    /// Turns a rejection into a warning if the checks are skipped.
    fn downgrade(
        self,
        result: ImageResult<Option<ImageNotice>>,
    ) -> ImageResult<Option<ImageNotice>> {
        match result {
            Err(ImageError::Unusable { cause, .. } | ImageError::NotADiskImage { cause, .. })
                if self.skip_checks =>
            {
                let text = format!("the image is imported all the same (--skip-checks): {cause}");
                Ok(Some(ImageNotice::new(text, None)))
            }
            result => result,
        }
    }
}

/// The bytes to inspect.
pub(super) struct Inspection<'a> {
    pub(super) source: ImageSource,
    pub(super) view: ByteView<'a>,
    /// Size of the file in bytes; `None` for a pipe.
    pub(super) size: Option<u64>,
    /// Bytes that can be read.
    pub(super) available: u64,
    /// Opens the same bytes for a disk reader.
    pub(super) open: &'a dyn Fn() -> io::Result<Box<dyn ReadAt + Send + Sync>>,
}

impl Inspection<'_> {
    pub(super) fn inspect(&self, options: OpenOptions) -> ImageResult<Image> {
        let found = detect::detect(&self.view);
        let found = found.and_then(|found| check_format(found, options.format, &self.view));
        let image = found.and_then(|found| {
            let mut image = self.to_image(found, options);
            image.inspect_disk(self.available, self.open)?;
            if image.content.is_compressed_file() {
                let compressed = SequentialReader::new((self.open)()?, self.available);
                image.set_inner(inspect_compressed(&image.content, compressed, options)?);
            }
            Ok(image)
        });
        let refusal = match image {
            Ok(image) => return Ok(image),
            // Nothing could be sent.
            Err(trouble) if self.view.read_up_to(0, 1)?.is_empty() => return Err(trouble),
            Err(trouble) => options.downgrade(Err(trouble))?,
        };
        let mut found = magic::detect_by_magic(&self.view, options.format)?;
        found.warnings.extend(refusal);
        let mut image = self.to_image(found, options);
        // Errors are ignored: the image was rejected already, and shows only what can be read.
        let _ = image.inspect_disk(self.available, self.open);
        Ok(image)
    }

    fn to_image(&self, mut found: Detection, options: OpenOptions) -> Image {
        if let ImageSource::File(path) = &self.source
            && let Some(ending) = file_name::contradicts(path, &found.content)
        {
            let label = found.content.label();
            let text = format!("its name ends in .{ending}, but its content is {label}");
            found.warnings.push(ImageNotice::new(text, None));
        }
        let mut image = Image::from_detection(found, self.source.clone(), self.size);
        image.options = options;
        image
    }
}

/// Returns the image in a compressed file, as far as its first bytes show it; `None` where they
/// cannot be decompressed.
fn inspect_compressed(
    content: &Content,
    compressed: impl Read + Send,
    options: OpenOptions,
) -> ImageResult<Option<Image>> {
    let mut head = vec![0; HEAD];
    let Ok(Some(mut unpacked)) = compressed::decompressed(content, compressed) else {
        return Ok(None);
    };
    let end = compressed::fill(&mut *unpacked, &mut head);
    head.truncate(end.len);
    if head.is_empty() {
        return Ok(None);
    }
    let expected = end.reason.is_some_and(|reason| reason.is_ok());
    inspect_head(content, head, expected, options).map(Some)
}

/// Inspects the first decompressed bytes; `whole` if there are no others.
pub(super) fn inspect_head(
    content: &Content,
    head: Vec<u8>,
    is_complete: bool,
    options: OpenOptions,
) -> ImageResult<Image> {
    let shared: Arc<[u8]> = head.clone().into();
    let bytes: &[u8] = &shared;
    let view = if is_complete {
        ByteView::new(&bytes, bytes.len() as u64)
    } else {
        ByteView::of_head(&bytes)
    };
    let subject = Inspection {
        source: ImageSource::Stdin,
        view,
        size: is_complete.then_some(bytes.len() as u64),
        available: bytes.len() as u64,
        open: &|| Ok(Box::new(Arc::clone(&shared))),
    };
    let inner = OpenOptions {
        format: None,
        ..options
    };
    let image = subject.inspect(inner);
    let mut image = image.map_err(|error| in_compressed(content, error))?;
    image.head = head;
    Ok(image)
}

/// Adds to the error that it is about the content of a compressed file.
pub(super) fn in_compressed(content: &Content, error: ImageError) -> ImageError {
    match error {
        ImageError::Unusable { cause, fix: remedy }
        | ImageError::NotADiskImage { cause, fix: remedy } => ImageError::Unusable {
            cause: format!("in {}: {cause}", content.label()),
            fix: match remedy {
                Fix::Convert(_) | Fix::Repair(..) | Fix::ExtractMember(..) | Fix::Repack(_) => {
                    Fix::custom("unpack it, and import what lies in it")
                }
                other => other,
            },
        },
        ImageError::Io(error) => ImageError::Io(error),
    }
}

/// A reader of sequential bytes.
struct SequentialReader {
    bytes: Box<dyn ReadAt + Send + Sync>,
    at: u64,
    len: u64,
}

impl SequentialReader {
    fn new(bytes: Box<dyn ReadAt + Send + Sync>, len: u64) -> Self {
        Self { bytes, at: 0, len }
    }
}

impl Read for SequentialReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(size(self.len - self.at));
        self.bytes.read_at(&mut buffer[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Image {
    /// Records the content of a compressed file, whose size is that of the disk.
    pub(super) fn set_inner(&mut self, inner: Option<Self>) {
        self.virtual_size = inner.as_ref().and_then(|inner| inner.virtual_size);
        self.inner = inner.map(Box::new);
    }

    /// Reads the partition tables of the disks, which are in `len` bytes that `open` returns.
    /// Rejects disks that no cloud can use, and detects how the first one boots. A disk that
    /// cannot be decoded here provides no facts.
    pub(super) fn inspect_disk(
        &mut self,
        len: u64,
        open: &dyn Fn() -> io::Result<Box<dyn ReadAt + Send + Sync>>,
    ) -> ImageResult<()> {
        let first = first_disk(self).ok().map(|(_, start, _)| start);
        let path = match &self.source {
            ImageSource::File(path) => path.clone(),
            ImageSource::Stdin => Path::new("-").to_owned(),
        };
        let (mut notices, mut blank) = (vec![], false);
        let mut found_disk = None;
        for disk in &self.disks {
            let (Some(content), Some(start)) = (&disk.content, disk.offset) else {
                continue;
            };
            let available = len.saturating_sub(start);
            let bytes = layout::DiskFile::new(
                open()?,
                start,
                disk.size.unwrap_or(available).min(available),
            );
            // A member that is longer than what is available is inspected as the head of a
            // pipe.
            let cut = disk.size.is_none_or(|size| size > available);
            let bytes = if cut { bytes.incomplete() } else { bytes };
            let Ok(blocks) = DiskReader::new(content, bytes) else {
                continue;
            };
            let Ok(partitions) = blocks.partitions() else {
                continue;
            };
            let inside = |error: ImageError| match self.content {
                Content::Ova { .. } => error.in_member(&disk.name),
                _ => error,
            };
            // Checks every disk, not only the first: an importer of OVAs imports all of them.
            let fits = partitions.check_fit(disk.virtual_size).map_err(inside);
            notices.extend(self.options.downgrade(fits.map(|()| None))?);
            if first == Some(start) {
                let named = self.options.format.is_some();
                let known = recognized::check(content, &blocks, &partitions, named);
                let lifted = known.map_err(inside).map(|is_blank| {
                    blank = is_blank;
                    None
                });
                notices.extend(self.options.downgrade(lifted)?);
                found_disk = Some(Boot::detect(&blocks, &partitions));
            }
        }
        let notices = notices.into_iter().map(|notice| notice.at(&path));
        self.warnings.extend(notices);
        self.is_blank = blank;
        if let Some(seen) = found_disk {
            // The firmware is from the OVF, everything else from the disk.
            let firmware = self.boot.firmware;
            self.boot = Boot { firmware, ..seen };
        }
        Ok(())
    }
}

/// Returns an error if the content is not what the user set.
///
/// On a pipe, the content may also be a format that is recognized only at its end: a fixed VHD
/// looks like a raw disk until its last 512 bytes.
fn check_format(
    mut found: Detection,
    explicit: Option<Format>,
    view: &ByteView,
) -> Result<Detection, ImageError> {
    let Some(said) = explicit else {
        return Ok(found);
    };
    if found.content.format() == Some(said) {
        return Ok(found);
    }
    if (view.len(), said, &found.content) == (None, Format::Vhd, &Content::Raw) {
        found.content = Content::Vhd {
            kind: VhdKind::Fixed,
            table_size: None,
            by_geometry: false,
        };
        return Ok(found);
    }
    let remedy = match found.content.format() {
        Some(format) => format!("leave --format out, or say --format {format}"),
        None => "leave --format out".into(),
    };
    Err(ImageError::unusable(
        format!(
            "its content is {}, but the format given is {said}",
            found.content.label()
        ),
        Fix::custom(remedy),
    ))
}
