//! What an image is by its mark alone, for a user who wants no checks: nothing of its
//! structure is looked at.

use super::byte_view::Window;
use super::content::{Content, Format, VhdKind, VmdkKind};
use super::error::Sight;
use super::formats::{ova, vdi, vhd, vmdk};
use super::found::{Found, compressed};

/// The content by the format that the user named, or by the first bytes.
pub(super) fn found(window: &Window, said: Option<Format>) -> Sight<Found> {
    let content = match said {
        Some(format) => of_format(format),
        None => of_mark(window)?,
    };
    let size = window.len().filter(|_| content == Content::Raw);
    Ok(Found {
        virtual_size: size,
        disks: matches!(content, Content::Ova { .. }).then(Vec::new),
        ..Found::opaque(content)
    })
}

fn of_format(format: Format) -> Content {
    match format {
        Format::Raw => Content::Raw,
        Format::Vhd => Content::Vhd {
            kind: VhdKind::Fixed,
            table_size: None,
            by_geometry: false,
        },
        Format::Ova => Content::Ova { manifest: false },
        Format::Vmdk => Content::Vmdk {
            kind: VmdkKind::StreamOptimized,
        },
        Format::Vhdx => Content::Vhdx {
            kind: None,
            sector_size: None,
        },
        Format::Qcow2 => Content::Qcow2 {
            version: 3,
            zstd: false,
            extended_l2: false,
            snapshots: 0,
        },
    }
}

fn of_mark(window: &Window) -> Sight<Content> {
    let head = window.up_to(0, 512)?;
    Ok(if vhd::is_here(window, &head)? {
        of_format(Format::Vhd)
    } else if head.starts_with(b"vhdxfile") {
        of_format(Format::Vhdx)
    } else if head.starts_with(b"QFI\xfb") {
        of_format(Format::Qcow2)
    } else if vmdk::is_here(&head) {
        of_format(Format::Vmdk)
    } else if vdi::is_here(&head) {
        Content::Vdi
    } else if ova::is_here(&head) {
        of_format(Format::Ova)
    } else {
        compressed(&head).unwrap_or(Content::Raw)
    })
}
