//! The result of detecting a container, and what the detection of every format uses.

use super::Disk;
use super::byte_view::Structure;
use super::content::Content;
use super::error::{ImageError, ImageNotice, ImageResult};
use super::firmware::Firmware;

/// The result of detecting a container.
pub(super) struct Detection {
    pub(super) content: Content,
    /// Size of the disk in bytes as the guest sees it.
    pub(super) virtual_size: Option<u64>,
    /// The members of an OVA.
    pub(super) disks: Option<Vec<Disk>>,
    /// The firmware that an OVA requests.
    pub(super) firmware: Option<Firmware>,
    /// Problems that do not prevent an import.
    pub(super) warnings: Vec<ImageNotice>,
}

impl Detection {
    /// Creates the result for a container of one disk.
    pub(super) fn disk(content: Content, virtual_size: u64) -> Self {
        Self {
            virtual_size: Some(virtual_size),
            ..Self::opaque(content)
        }
    }

    /// Creates the result for content that is not inspected further.
    pub(super) fn opaque(content: Content) -> Self {
        Self {
            content,
            virtual_size: None,
            disks: None,
            firmware: None,
            warnings: vec![],
        }
    }
}

/// Detects a file that is compressed as a whole.
pub(super) fn compressed_format(head: &[u8]) -> Option<Content> {
    match head {
        // RFC 1952: the method after the signature is always 8, deflate
        [0x1f, 0x8b, 8, ..] => Some(Content::Gzip),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Content::Bzip2),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Content::Xz),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Content::Zstd),
        [b'P', b'K', 3, 4, ..] => Some(Content::Zip),
        _ => None,
    }
}

/// Returns a count from the file, or an error if it is above the limit: no valid file exceeds
/// it.
pub(super) fn at_most(of: Structure, unit: &str, value: u64, limit: u64) -> ImageResult<u64> {
    if value <= limit {
        return Ok(value);
    }
    let Structure(container, name) = of;
    Err(ImageError::damaged(
        container,
        format_args!("{name} would have {value} {unit}, at most {limit} are possible"),
    ))
}
