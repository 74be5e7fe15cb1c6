//! The look at an image in its order: what the bytes are, whether that is what the user
//! says, what lies on its disks. A refusal becomes a warning for a user who wants no checks.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::boot::Boot;
use super::byte_view::{ReadAt, Window, size};
use super::disk_reader::first_disk;
use super::error::{Notice, Remedy, Sight, Trouble};
use super::found::Found;
use super::{Blocks, Content, Format, HEAD, Image, Source, VhdKind};
use super::{compressed, detect, file_name, layout, magic, recognized};

/// What the user says of the image.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    /// The format, which the content must not contradict.
    pub format: Option<Format>,
    /// Refusals become warnings, except where there is nothing that could be sent.
    pub skip_checks: bool,
}

impl From<Option<Format>> for Said {
    fn from(format: Option<Format>) -> Self {
        let skip_checks = false;
        Self {
            format,
            skip_checks,
        }
    }
}

impl Said {
    /// A refusal as a warning, for a user who wants no checks.
    fn lifted(self, result: Sight<Option<Notice>>) -> Sight<Option<Notice>> {
        match result {
            Err(Trouble::Unfit { cause, .. } | Trouble::Strange { cause, .. })
                if self.skip_checks =>
            {
                let text = format!("the image is imported all the same (--skip-checks): {cause}");
                Ok(Some(Notice::new(text, None)))
            }
            result => result,
        }
    }
}

/// What is looked at.
pub(super) struct Subject<'a> {
    pub(super) source: Source,
    pub(super) window: Window<'a>,
    /// Bytes of the file; None for a pipe.
    pub(super) size: Option<u64>,
    /// Bytes that can be read.
    pub(super) there: u64,
    /// Gives the same bytes to a reader of a disk.
    pub(super) open: &'a dyn Fn() -> io::Result<Box<dyn ReadAt + Send + Sync>>,
}

impl Subject<'_> {
    pub(super) fn look(&self, said: Said) -> Sight<Image> {
        let found = detect::look(&self.window);
        let found = found.and_then(|found| agrees(found, said.format, &self.window));
        let image = found.and_then(|found| {
            let mut image = self.image(found, said);
            image.look_inside(self.there, self.open)?;
            if image.content.is_compressed_file() {
                let packed = Sequence::of((self.open)()?, self.there);
                image.holds(look_compressed(&image.content, packed, said)?);
            }
            Ok(image)
        });
        let refusal = match image {
            Ok(image) => return Ok(image),
            // There is nothing that could be sent.
            Err(trouble) if self.window.up_to(0, 1)?.is_empty() => return Err(trouble),
            Err(trouble) => said.lifted(Err(trouble))?,
        };
        let mut found = magic::found(&self.window, said.format)?;
        found.warnings.extend(refusal);
        let mut image = self.image(found, said);
        // As far as it can be seen: that is what was refused.
        let _ = image.look_inside(self.there, self.open);
        Ok(image)
    }

    fn image(&self, mut found: Found, said: Said) -> Image {
        if let Source::File(path) = &self.source
            && let Some(ending) = file_name::contradicts(path, &found.content)
        {
            let label = found.content.label();
            let text = format!("its name ends in .{ending}, but its content is {label}");
            found.warnings.push(Notice::new(text, None));
        }
        let mut image = Image::found(found, self.source.clone(), self.size);
        image.said = said;
        image
    }
}

/// The image in a compressed file, as far as its first bytes show it; None where they can't
/// be unpacked.
fn look_compressed(
    content: &Content,
    packed: impl Read + Send,
    said: Said,
) -> Sight<Option<Image>> {
    let mut head = vec![0; HEAD];
    let Ok(Some(mut unpacked)) = compressed::unpacked(content, packed) else {
        return Ok(None);
    };
    let end = compressed::fill(&mut *unpacked, &mut head);
    head.truncate(end.len);
    if head.is_empty() {
        return Ok(None);
    }
    let whole = end.reason.is_some_and(|reason| reason.is_ok());
    of_head(content, head, whole, said).map(Some)
}

/// The image that these first bytes of the unpacked ones show; `whole` if there are no others.
pub(super) fn of_head(content: &Content, head: Vec<u8>, whole: bool, said: Said) -> Sight<Image> {
    let shared: Arc<[u8]> = head.clone().into();
    let bytes: &[u8] = &shared;
    let window = if whole {
        Window::all(&bytes, bytes.len() as u64)
    } else {
        Window::head(&bytes)
    };
    let subject = Subject {
        source: Source::Stdin,
        window,
        size: whole.then_some(bytes.len() as u64),
        there: bytes.len() as u64,
        open: &|| Ok(Box::new(Arc::clone(&shared))),
    };
    let inner = Said {
        format: None,
        ..said
    };
    let image = subject.look(inner);
    let mut image = image.map_err(|trouble| within(content, trouble))?;
    image.head = head;
    Ok(image)
}

/// Says that the trouble is with what lies in the file.
pub(super) fn within(content: &Content, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Unfit { cause, remedy } | Trouble::Strange { cause, remedy } => Trouble::Unfit {
            cause: format!("in {}: {cause}", content.label()),
            remedy: match remedy {
                Remedy::Convert(_)
                | Remedy::Repair(..)
                | Remedy::TakeOut(..)
                | Remedy::Repack(_) => Remedy::say("unpack it, and import what lies in it"),
                other => other,
            },
        },
        Trouble::Unread(error) => Trouble::Unread(error),
    }
}

/// Reads bytes one after the other.
struct Sequence {
    bytes: Box<dyn ReadAt + Send + Sync>,
    at: u64,
    len: u64,
}

impl Sequence {
    fn of(bytes: Box<dyn ReadAt + Send + Sync>, len: u64) -> Self {
        Self { bytes, at: 0, len }
    }
}

impl Read for Sequence {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(size(self.len - self.at));
        self.bytes.read_at(&mut buffer[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Image {
    /// Notes what a compressed file holds; its size is that of the disk.
    pub(super) fn holds(&mut self, inner: Option<Self>) {
        self.virtual_size = inner.as_ref().and_then(|inner| inner.virtual_size);
        self.inner = inner.map(Box::new);
    }

    /// Looks at the partition tables of its disks, which lie in `len` bytes that `open`
    /// gives: refuses disks that no cloud can use, and sees how the first one boots. What
    /// can't be decoded here shows nothing.
    pub(super) fn look_inside(
        &mut self,
        len: u64,
        open: &dyn Fn() -> io::Result<Box<dyn ReadAt + Send + Sync>>,
    ) -> Sight<()> {
        let first = first_disk(self).ok().map(|(_, start, _)| start);
        let path = match &self.source {
            Source::File(path) => path.clone(),
            Source::Stdin => Path::new("-").to_owned(),
        };
        let (mut notices, mut blank) = (vec![], false);
        let mut seen = None;
        for disk in &self.disks {
            let (Some(content), Some(start)) = (&disk.content, disk.offset) else {
                continue;
            };
            let there = len.saturating_sub(start);
            let bytes = layout::Source::new(open()?, start, disk.size.unwrap_or(there).min(there));
            let cut = disk.size.is_none_or(|size| size > there);
            let bytes = if cut { bytes.incomplete() } else { bytes };
            let Ok(blocks) = Blocks::of(content, bytes) else {
                continue;
            };
            let Ok(partitions) = blocks.partitions() else {
                continue;
            };
            let inside = |trouble: Trouble| match self.content {
                Content::Ova { .. } => trouble.inside(&disk.name),
                _ => trouble,
            };
            let fits = partitions.fit(disk.virtual_size).map_err(inside);
            notices.extend(self.said.lifted(fits.map(|()| None))?);
            if first == Some(start) {
                let named = self.said.format.is_some();
                let known = recognized::check(content, &blocks, &partitions, named);
                let lifted = known.map_err(inside).map(|is_blank| {
                    blank = is_blank;
                    None
                });
                notices.extend(self.said.lifted(lifted)?);
                seen = Some(Boot::of(&blocks, &partitions));
            }
        }
        let notices = notices.into_iter().map(|notice| notice.at(&path));
        self.warnings.extend(notices);
        self.blank = blank;
        if let Some(seen) = seen {
            let firmware = self.boot.firmware;
            self.boot = Boot { firmware, ..seen };
        }
        Ok(())
    }
}

/// The content must be what the user said. What only the end of a file shows, a
/// pipe may be: a fixed VHD looks like a raw disk until its last 512 bytes.
fn agrees(mut found: Found, said: Option<Format>, window: &Window) -> Result<Found, Trouble> {
    let Some(said) = said else { return Ok(found) };
    if found.content.format() == Some(said) {
        return Ok(found);
    }
    if (window.len(), said, &found.content) == (None, Format::Vhd, &Content::Raw) {
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
    Err(Trouble::unfit(
        format!(
            "its content is {}, but the format given is {said}",
            found.content.label()
        ),
        Remedy::say(remedy),
    ))
}
