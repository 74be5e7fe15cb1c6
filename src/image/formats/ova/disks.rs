//! The disks of an OVA: what a member contains, and disks without one.

use super::super::archive::Member;
use super::super::ovf::DiskRef;
use super::super::{qcow2, vdi, vhd, vhdx, vmdk};
use crate::image::Disk;
use crate::image::byte_view::ByteView;
use crate::image::content::{Content, VmdkKind};
use crate::image::error::{Fix, ImageError, ImageResult};
use crate::image::found::{Detection, compressed_format};

/// Returns a disk that the descriptor describes without a file.
pub(super) fn blank_disk(disk: &DiskRef) -> Disk {
    Disk {
        name: disk.id.clone(),
        offset: None,
        size: Some(0),
        virtual_size: disk.capacity,
        content: None,
    }
}

/// Detects only what importers of OVAs read; an OVA in an OVA is never followed. Returns `None`
/// where a pipe does not provide enough yet: a fixed VHD is detected by its end.
pub(super) fn detect_disk(part: &ByteView, member: &Member) -> ImageResult<Option<Detection>> {
    let head = part.read_up_to(0, 512)?;
    let found = if vhd::has_footer(part, &head)? {
        vhd::parse(part)?
    } else if vmdk::has_magic(&head) {
        vmdk::parse(part)?
    // The head of a pipe may end before the footer of a fixed VHD.
    } else if part.len().is_none() && compressed_format(&head).is_none() {
        return Ok(None);
    } else {
        let compressed = compressed_format(&head);
        let cause = match &compressed {
            Some(content) => format!("it is {}, not a disk", content.label()),
            None => "it is neither a VMDK nor a VHD".into(),
        };
        let content = compressed.or_else(|| other_disk(part, &head));
        let remedy = Fix::ExtractMember(member.name.clone(), content);
        return Err(ImageError::unusable(cause, remedy));
    };
    match &found.content {
        Content::Vmdk {
            kind: VmdkKind::MonolithicSparse,
        } => Err(ImageError::unusable(
            "the VMDK is not stream-optimized, as a disk in an OVA must be",
            Fix::ExtractMember(member.name.clone(), Some(found.content)),
        )),
        _ => Ok(Some(found)),
    }
}

/// Returns the content of a file that is a disk in another form than importers of OVAs read.
/// `None` where that is not known: its own bytes are not treated as a disk.
fn other_disk(part: &ByteView, head: &[u8]) -> Option<Content> {
    let found = match head {
        [b'v', b'h', b'd', b'x', b'f', b'i', b'l', b'e', ..] => vhdx::parse(part),
        [b'Q', b'F', b'I', 0xfb, ..] => qcow2::parse(part),
        head if vdi::has_magic(head) => vdi::parse(part),
        _ => return None,
    };
    found.ok().map(|found| found.content)
}
