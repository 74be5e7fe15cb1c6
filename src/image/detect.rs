//! Detects the container by its content, in the order in which no signature of one can occur
//! inside another: the trailer of a VHD first, a raw disk last. The file's name is ignored
//! here.

use super::byte_view::ByteView;
use super::content::Content;
use super::error::{Fix, ImageError, ImageResult};
use super::formats::{ova, qcow2, raw, vdi, vhd, vhdx, vmdk};
use super::found::{Detection, compressed_format};
use super::unsupported;

/// Offset of the signature of ISO 9660: sector 16 of 2048 bytes, after the type byte.
const ISO_MARK: u64 = 32769;

/// Detects the content, and rejects what no cloud accepts.
pub(super) fn detect(view: &ByteView) -> ImageResult<Detection> {
    if view.read_up_to(0, 1)?.is_empty() {
        return Err(ImageError::unusable("it is empty", Fix::CopyAgain));
    }
    let head = view.read_up_to(0, 512)?;
    if vhd::has_footer(view, &head)? {
        return vhd::parse(view);
    }
    match head.as_slice() {
        [b'v', b'h', b'd', b'x', b'f', b'i', b'l', b'e', ..] => vhdx::parse(view),
        [b'Q', b'F', b'I', 0xfb, ..] => qcow2::parse(view),
        head if vmdk::has_magic(head) => vmdk::parse(view),
        head if vdi::has_magic(head) => vdi::parse(view),
        head if ova::has_magic(head) => ova::parse(view),
        head => detect_uncompressed(view, head),
    }
}

/// Detects content that has no structure to check here.
fn detect_uncompressed(view: &ByteView, head: &[u8]) -> ImageResult<Detection> {
    if let Some(content) = compressed_format(head) {
        return Ok(Detection::opaque(content));
    }
    match view.read(ISO_MARK, 5)? {
        Some(mark) if mark == b"CD001" => return Ok(Detection::opaque(Content::Iso)),
        _ => unsupported::check_supported(view)?,
    }
    raw::parse(view)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::image::Content;
    use crate::image::test_support::{open, patched};

    #[test]
    fn compressed_files_and_iso_images_are_detected_by_magic() {
        let marks: [(&[u8], Content); 5] = [
            (b"\x1f\x8b\x08", Content::Gzip),
            (b"BZh9", Content::Bzip2),
            (b"\xfd7zXZ\0", Content::Xz),
            (b"\x28\xb5\x2f\xfd", Content::Zstd),
            (b"PK\x03\x04", Content::Zip),
        ];
        for (mark, content) in marks {
            let image = open(mark).unwrap();
            assert_eq!(
                (&image.content, image.format, image.virtual_size),
                (&content, None, None)
            );
        }
        let disc = patched(&vec![0; 40000], &[(32769, b"CD001")]);
        assert_eq!(open(&disc).unwrap().describe(), "ISO image, 39.1 KiB");
    }

    #[test]
    fn a_mark_in_the_wrong_place_is_no_mark() {
        let disk = patched(
            &vec![0; 40000],
            &[(32768, b"CD001"), (600, b"conectix"), (256, b"ustar")],
        );
        assert_eq!(open(&disk).unwrap().content, Content::Raw);
    }
}
