//! Reports whether the first bytes of a disk are recognized: a partition table, boot code or a
//! file system. An unrecognized disk is never treated as one that a machine could start from.

use super::byte_view::{is_zero, size};
use super::error::{Fix, ImageError, ImageResult};
use super::partition_table::PartitionTable;
use super::partitions::Partitions;
use super::volume_kind::VolumeKind;
use super::{Content, DiskReader, unsupported};

/// Bytes that are inspected; the last signature of a file system is after 128 KiB.
pub(super) const HEAD: u64 = 256 << 10;
/// Bytes that are read at once: of a pipe, only the first bytes can be read.
const STEP: u64 = 4 << 10;
/// Bytes of a boot sector that can contain code.
const CODE: usize = 440;

/// Signatures of file systems and partition tables that are not inspected further.
const OTHER_MAGIC: [(usize, &[u8]); 9] = [
    (3, b"EXFAT   "),
    (1024, b"H+"),
    (1024, b"HX"),
    (32, b"NXSB"),
    (65588, b"ReIsEr"),
    // Apple's partition map, BSD's disk label on a bare disk, Sun's label.
    (512, b"PM\0\0"),
    (512, &[0x57, 0x45, 0x56, 0x82]),
    (64, &[0x57, 0x45, 0x56, 0x82]),
    (508, &[0xda, 0xbe]),
];

const MISSING: &str = "no partition table, boot code or file system";

/// Rejects a disk that is not recognized; returns whether one in a container is blank. `named`:
/// the user set the format.
pub(super) fn check(
    content: &Content,
    disk: &DiskReader,
    partitions: &Partitions,
    is_explicit: bool,
) -> ImageResult<bool> {
    let head = head(disk);
    let label = content.label();
    // For a raw file `unsupported` was checked by the detection.
    if *content != Content::Raw
        && let Some(unsupported) = unsupported::identify_nested(&head)
    {
        let cause = format!("{label} holds {}, not a disk", unsupported.name);
        return Err(ImageError::unusable(cause, unsupported.fix));
    }
    let filling = volume_kind(&head);
    // A partition table is enough, whatever its partitions contain.
    if head.is_empty() || is_explicit || partitions.table != PartitionTable::None {
        return Ok(false);
    }
    if let Some(encrypted) = filling.filter(|filling| filling.is_encrypted()) {
        return Err(ImageError::unusable(
            format!(
                "it is one encrypted volume ({}) without a partition table, no machine starts from it",
                encrypted.name()
            ),
            Fix::custom(
                "install the system without encryption, and let the cloud encrypt the disk",
            ),
        ));
    }
    if filling.is_some() || is_known(&head) {
        return Ok(false);
    }
    match (content, is_zero(&head)) {
        (Content::Raw, true) => Err(ImageError::NotADiskImage {
            cause: format!("it is blank: it begins with zeros, and has {MISSING}"),
            fix: import_as_raw(),
        }),
        (Content::Raw, false) => Err(ImageError::NotADiskImage {
            cause: format!(
                "it is not recognized: it has {MISSING}, and no mark of an image format"
            ),
            fix: import_as_raw(),
        }),
        (_, true) => Ok(true),
        (_, false) => Err(ImageError::unusable(
            format!("the disk in {label} is not recognized: it has {MISSING}"),
            Fix::custom("import a disk with a system on it, or add --skip-checks"),
        )),
    }
}

fn import_as_raw() -> Fix {
    Fix::custom("name the image file itself, or add --format raw if its bytes are a disk")
}

/// Returns the first bytes, as far as they can be read.
fn head(disk: &DiskReader) -> Vec<u8> {
    let mut head = vec![0; size(HEAD.min(disk.size()))];
    if disk.read_at(&mut head, 0).is_ok() {
        return head;
    }
    let mut at = 0;
    // A pipe provides fewer bytes: read piece by piece up to the first missing one.
    for piece in head.chunks_mut(size(STEP)) {
        if disk.read_at(piece, at as u64).is_err() {
            break;
        }
        at += piece.len();
    }
    head.truncate(at);
    head
}

fn volume_kind(head: &[u8]) -> Option<VolumeKind> {
    VolumeKind::detect(|buffer, at| {
        let at = size(at);
        let available = at
            .checked_add(buffer.len())
            .and_then(|end| head.get(at..end));
        available.is_some_and(|available| {
            buffer.copy_from_slice(available);
            true
        })
    })
}

/// Reports whether the bytes are boot code or have another known signature.
fn is_known(head: &[u8]) -> bool {
    // A signature without code starts nothing.
    let boots = head.get(510..512) == Some(&[0x55, 0xaa]) && !is_zero(&head[..CODE]);
    let marked =
        |(at, mark): &(usize, &[u8])| head.get(*at..).is_some_and(|rest| rest.starts_with(mark));
    boots || OTHER_MAGIC.iter().any(marked)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::image::Format;
    use crate::image::formats::vhd;
    use crate::image::partitions::tests::mbr_disk;
    use crate::image::test_support::{open, open_as, patched, refusal, refusal_text, warnings};

    const RAW: &str = "name the image file itself, or add --format raw if its bytes are a disk";

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let bytes = std::iter::from_fn(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some(state.to_be_bytes()[0])
        });
        bytes.take(len).collect()
    }

    #[test]
    fn unrecognized_bytes_need_an_explicit_format() {
        let noise = noise(8192);
        assert_eq!(
            refusal(&noise),
            refusal_text(
                "it is not recognized: it has no partition table, boot code or file system, and no mark of an image format",
                RAW
            )
        );
        assert_eq!(
            refusal(&[0; 8192]),
            refusal_text(
                "it is blank: it begins with zeros, and has no partition table, boot code or file system",
                RAW
            )
        );
        assert!(open_as(&noise, Format::Raw).is_ok() && open_as(&[0; 8192], Format::Raw).is_ok());
        let marked = patched(&[0; 8192], &[(510, &[0x55, 0xaa])]);
        assert!(refusal(&marked).starts_with("it is not recognized"));
    }

    #[test]
    fn a_table_boot_code_or_a_file_system_is_enough() {
        let zeros = vec![0; 140_000];
        for marks in [
            &[(0, &[0xfa, 0x31][..]), (510, &[0x55, 0xaa])][..],
            &[(1080, &[0x53, 0xef])],
            &[(65600, b"_BHRfS_M")],
            &[(0, b"XFSB")],
            &[(512, b"PM\0\0")],
        ] {
            assert!(open(&patched(&zeros, marks)).is_ok(), "{marks:?}");
        }
        assert!(open(&mbr_disk(0x83)).is_ok());
    }

    #[test]
    fn the_disk_in_a_container_must_be_recognized_too() {
        let vhd = |disk: &[u8]| vhd::tests::fixed_vhd(disk);
        assert_eq!(
            refusal(&vhd(&noise(8192))),
            refusal_text(
                "the disk in a fixed VHD is not recognized: it has no partition table, boot code or file system",
                "import a disk with a system on it, or add --skip-checks"
            )
        );
        assert!(open(&vhd(&[0; 8192])).unwrap().is_blank);
        assert!(warnings(&vhd(&[0; 8192])).is_empty());
        let iso = patched(&vec![0; 40960], &[(32769, b"CD001"), (510, &[0x55, 0xaa])]);
        assert_eq!(
            refusal(&vhd(&iso)),
            refusal_text(
                "a fixed VHD holds an ISO image, not a disk",
                "install the system on a disk, and import that"
            )
        );
        let qcow2 = patched(&[0; 8192], &[(0, b"QFI\xfb")]);
        assert!(refusal(&vhd(&qcow2)).starts_with("a fixed VHD holds a qcow2, not a disk"));
        let page = [b"<html>".to_vec(), vec![b' '; 8186]].concat();
        assert!(
            refusal(&vhd(&page)).starts_with("a fixed VHD holds a web page (HTML), not a disk")
        );
    }

    #[test]
    fn a_disk_with_only_an_encrypted_volume_cannot_boot() {
        let luks = patched(&[0; 8192], &[(0, b"LUKS\xba\xbe")]);
        assert!(
            refusal(&luks)
                .starts_with("it is one encrypted volume (LUKS) without a partition table")
        );
        assert!(open_as(&luks, Format::Raw).is_ok());
    }
}
