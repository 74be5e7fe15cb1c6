//! Detects an image only by its signature, for a user who skips the checks: its structure is
//! not inspected.

use super::byte_view::ByteView;
use super::content::{Content, Format, VhdKind, VmdkKind};
use super::error::ImageResult;
use super::formats::{ova, vdi, vhd, vmdk};
use super::found::{Detection, compressed_format};

/// Returns the content by the format that the user set, or by the first bytes.
pub(super) fn detect_by_magic(view: &ByteView, explicit: Option<Format>) -> ImageResult<Detection> {
    let content = match explicit {
        Some(format) => content_of_format(format),
        None => content_by_magic(view)?,
    };
    let size = view.len().filter(|_| content == Content::Raw);
    Ok(Detection {
        virtual_size: size,
        disks: matches!(content, Content::Ova { .. }).then(Vec::new),
        ..Detection::opaque(content)
    })
}

fn content_of_format(format: Format) -> Content {
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

fn content_by_magic(view: &ByteView) -> ImageResult<Content> {
    let head = view.read_up_to(0, 512)?;
    Ok(if vhd::has_footer(view, &head)? {
        content_of_format(Format::Vhd)
    } else if head.starts_with(b"vhdxfile") {
        content_of_format(Format::Vhdx)
    } else if head.starts_with(b"QFI\xfb") {
        content_of_format(Format::Qcow2)
    } else if vmdk::has_magic(&head) {
        content_of_format(Format::Vmdk)
    } else if vdi::has_magic(&head) {
        Content::Vdi
    } else if ova::has_magic(&head) {
        content_of_format(Format::Ova)
    } else {
        compressed_format(&head).unwrap_or(Content::Raw)
    })
}
