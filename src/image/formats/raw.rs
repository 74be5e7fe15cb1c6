//! A raw disk: the bytes as the guest sees them. Everything without another signature is one,
//! so this also rejects files that are not a disk.

use super::super::byte_view::ByteView;
use super::super::content::Content;
use super::super::error::{Fix, ImageError, ImageResult};
use super::super::found::Detection;

/// The smallest disk in bytes: one sector.
const SECTOR: u64 = 512;

pub(in crate::image) fn parse(view: &ByteView) -> ImageResult<Detection> {
    match view.len() {
        Some(len) if len < SECTOR => Err(ImageError::unusable(
            format!("it is no disk image: {len} bytes are less than a sector"),
            Fix::custom("name the image file itself"),
        )),
        len => Ok(Detection {
            virtual_size: len,
            ..Detection::opaque(Content::Raw)
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::image::test_support::{open, refusal, refusal_text};

    #[test]
    fn less_than_a_sector_is_no_disk() {
        assert_eq!(
            refusal(&[1; 5]),
            refusal_text(
                "it is no disk image: 5 bytes are less than a sector",
                "name the image file itself"
            )
        );
    }

    #[test]
    fn a_disk_is_as_large_as_its_file() {
        let image = open(&[0; 1536]).unwrap();
        assert_eq!(image.virtual_size, Some(1536));
        assert_eq!(image.describe(), "raw disk, 1.5 KiB disk");
    }
}
