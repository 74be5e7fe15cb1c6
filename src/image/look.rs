//! The look at an image in its order: what the bytes are, whether that is what the user
//! says, what lies on its disks. A refusal becomes a warning for a user who wants no checks.

use std::io;

use super::blocks::first_disk;
use super::boot::Boot;
use super::probe::{self, Found};
use super::refusal::{Notice, Remedy, Sight, Trouble};
use super::window::{ReadAt, Window};
use super::{Blocks, Content, Format, Image, Source, VhdKind, layout, mark};

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
        let found = probe::look(&self.window);
        let found = found.and_then(|found| agrees(found, said.format, &self.window));
        let image = found.and_then(|found| {
            let mut image = self.image(found);
            image.look_inside(self.there, self.open)?;
            Ok(image)
        });
        match image {
            Err(Trouble::Unfit { cause, .. })
                if said.skip_checks && !self.window.up_to(0, 1)?.is_empty() =>
            {
                let text = format!("the image is imported all the same (--skip-checks): {cause}");
                let mut found = mark::found(&self.window, said.format)?;
                found.warnings.push(Notice::new(text, None));
                let mut image = self.image(found);
                // As far as it can be seen: that is what was refused.
                let _ = image.look_inside(self.there, self.open);
                Ok(image)
            }
            image => image,
        }
    }

    fn image(&self, found: Found) -> Image {
        Image::found(found, self.source.clone(), self.size)
    }
}

impl Image {
    /// Looks at the partition tables of its disks, which lie in `len` bytes that `open`
    /// gives: refuses disks that no cloud can use, and sees how the first one boots. What
    /// can't be decoded here shows nothing.
    pub(super) fn look_inside(
        &mut self,
        len: u64,
        open: &dyn Fn() -> io::Result<Box<dyn ReadAt + Send + Sync>>,
    ) -> Sight<()> {
        let first = first_disk(self).ok().map(|(_, start, _)| start);
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
            partitions
                .fit(disk.virtual_size)
                .map_err(|trouble| match self.content {
                    Content::Ova { .. } => trouble.inside(&disk.name),
                    _ => trouble,
                })?;
            if first == Some(start) {
                seen = Some(Boot::of(&blocks, &partitions));
            }
        }
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
