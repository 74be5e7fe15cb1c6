//! Files that no cloud takes and that would pass as raw disks: their bytes are not
//! what a guest sees. Known by their marks alone.

use super::refusal::{Remedy, Sight, Trouble};
use super::window::Window;

/// Marks at the start, after QEMU's block drivers and file(1), and what they mean.
/// qemu-img reads the first three.
const DISKS: [(&[u8], &str); 3] = [
    (b"QED\0", "a QED image"),
    (b"WithoutFreeSpace", "a disk of Parallels"),
    (b"WithouFreSpacExt", "a disk of Parallels"),
];
const ARCHIVES: [(&[u8], &str); 4] = [
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x04\x22\x4d\x18", "an LZ4 file"),
    (b"LZIP", "an lzip file"),
];
/// An Apple disk image ends in a block of 512 bytes that begins so.
const APPLE: &[u8] = b"koly\0\0\0\x04";

pub(super) fn refuse(window: &Window, head: &[u8]) -> Sight<()> {
    let named = |marks: &[(&[u8], &'static str)]| {
        let known = marks.iter().find(|(mark, _)| head.starts_with(mark));
        known.map(|(_, name)| *name)
    };
    let trailer = window.len().and_then(|len| len.checked_sub(512));
    let trailer = trailer.map(|at| window.up_to(at, 8)).transpose()?;
    let (name, remedy) = if let Some(name) = named(&DISKS) {
        (name, Remedy::Convert)
    } else if let Some(name) = named(&ARCHIVES) {
        let remedy = "unpack it and import the disk image in it";
        (name, Remedy::say(remedy))
    } else if trailer.is_some_and(|trailer| trailer == APPLE) {
        ("a disk image of macOS", Remedy::Convert)
    } else {
        return Ok(());
    };
    Err(Trouble::unfit(
        format!("it is {name}, which no cloud takes"),
        remedy,
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::image::stage::{because, convert, open, refusal, with};

    #[test]
    fn other_disk_images_are_named_and_not_taken_for_raw_disks() {
        let disk = [0; 4096];
        let refused = |at, mark: &[u8]| refusal(&with(&disk, &[(at, mark)]));
        let qed = convert("it is a QED image, which no cloud takes");
        assert_eq!(refused(0, b"QED\0"), qed);
        let parallels = convert("it is a disk of Parallels, which no cloud takes");
        assert_eq!(refused(0, b"WithoutFreeSpace"), parallels);
        assert_eq!(refused(0, b"WithouFreSpacExt"), parallels);
        let apple = convert("it is a disk image of macOS, which no cloud takes");
        assert_eq!(refused(4096 - 512, b"koly\0\0\0\x04"), apple);
        assert!(open(&with(&disk, &[(512, b"QED\0")])).is_ok());
    }

    #[test]
    fn archives_are_named_and_not_taken_for_raw_disks() {
        let marks: [(&[u8], &str); 4] = [
            (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
            (b"Rar!\x1a\x07\x01", "a RAR archive"),
            (b"\x04\x22\x4d\x18", "an LZ4 file"),
            (b"LZIP\x01", "an lzip file"),
        ];
        for (mark, name) in marks {
            assert_eq!(
                refusal(&with(&[0; 4096], &[(0, mark)])),
                because(
                    &format!("it is {name}, which no cloud takes"),
                    "unpack it and import the disk image in it"
                )
            );
        }
    }
}
