//! Tells containers apart by their content, in the order that no mark of one can
//! hide in another: the trailer of a VHD first, a raw disk last. The name of the
//! file says nothing here.

use super::byte_view::Window;
use super::content::Content;
use super::error::{Remedy, Sight, Trouble};
use super::formats::{ova, qcow2, raw, vdi, vhd, vhdx, vmdk};
use super::found::{Found, compressed};
use super::unsupported;

/// Offset of the mark of ISO 9660: sector 16 of 2048 bytes, behind the type byte.
const ISO_MARK: u64 = 32769;

/// Says what the bytes are, and refuses what no cloud can take.
pub(super) fn look(window: &Window) -> Sight<Found> {
    if window.up_to(0, 1)?.is_empty() {
        return Err(Trouble::unfit("it is empty", Remedy::CopyAgain));
    }
    let head = window.up_to(0, 512)?;
    if vhd::is_here(window, &head)? {
        return vhd::look(window);
    }
    match head.as_slice() {
        [b'v', b'h', b'd', b'x', b'f', b'i', b'l', b'e', ..] => vhdx::look(window),
        [b'Q', b'F', b'I', 0xfb, ..] => qcow2::look(window),
        head if vmdk::is_here(head) => vmdk::look(window),
        head if vdi::is_here(head) => vdi::look(window),
        head if ova::is_here(head) => ova::look(window),
        head => plain(window, head),
    }
}

/// What has no structure to check here.
fn plain(window: &Window, head: &[u8]) -> Sight<Found> {
    if let Some(content) = compressed(head) {
        return Ok(Found::opaque(content));
    }
    match window.get(ISO_MARK, 5)? {
        Some(mark) if mark == b"CD001" => return Ok(Found::opaque(Content::Iso)),
        _ => unsupported::refuse(window)?,
    }
    raw::look(window)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::image::Content;
    use crate::image::test_support::{open, with};

    #[test]
    fn compressed_files_and_discs_are_told_by_their_marks() {
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
        let disc = with(&vec![0; 40000], &[(32769, b"CD001")]);
        assert_eq!(open(&disc).unwrap().describe(), "ISO image, 39.1 KiB");
    }

    #[test]
    fn a_mark_in_the_wrong_place_is_no_mark() {
        let disk = with(
            &vec![0; 40000],
            &[(32768, b"CD001"), (600, b"conectix"), (256, b"ustar")],
        );
        assert_eq!(open(&disk).unwrap().content, Content::Raw);
    }
}
