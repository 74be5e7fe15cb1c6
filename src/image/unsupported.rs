//! Files that are not a disk, detected by their signatures, so that none of them is treated as
//! a raw disk, neither as a separate file nor where a container should contain a disk.

use super::byte_view::ByteView;
use super::error::{Fix, ImageError, ImageResult};
use super::formats::{archive, vdi, vmdk};
use super::found;

/// Bytes from the start that contain the signatures; that of an ISO image is after 32 KiB.
pub(super) const HEAD: u64 = 34 << 10;
/// Offset of the signature of ISO 9660: sector 16 of 2048 bytes, after the type byte.
const ISO: usize = 32769;
/// Linux, "The Linux/x86 Boot Protocol": offset of the header's signature in a kernel.
const KERNEL: usize = 514;
/// The first bytes of the last 512-byte block of an Apple disk image.
const APPLE: &[u8] = b"koly\0\0\0\x04";
/// Bytes that decide whether a file is text.
const TEXT: usize = 512;

/// A file of another kind.
pub(super) struct UnsupportedFormat {
    /// The name with its article: "a QED image".
    pub(super) name: &'static str,
    pub(super) fix: Fix,
}

impl UnsupportedFormat {
    fn new(name: &'static str, fix: FixKind) -> Self {
        let fix = match fix {
            Convert(format) => Fix::Convert(format),
            Unpack => Fix::custom("unpack it and import the disk image in it"),
            Other => Fix::custom("name the image file itself"),
            Say(sentence) => Fix::custom(sentence),
        };
        Self { name, fix }
    }
}

/// The remedy.
#[derive(Clone, Copy)]
enum FixKind {
    /// qemu-img reads it, as this format.
    Convert(&'static str),
    /// The image may be inside.
    Unpack,
    /// It is something else.
    Other,
    /// Anything else, as a complete sentence.
    Say(&'static str),
}

use FixKind::{Convert, Other, Say, Unpack};

type HasMagic = fn(&[u8]) -> bool;

/// Signature, name and remedy of what is supported as a file of its own, but not as the disk in
/// a container.
const NESTED: &[(HasMagic, &str, FixKind)] = &[
    (
        |head| has_mark(head, ISO, b"CD001"),
        "an ISO image",
        INSTALL,
    ),
    (archive::has_magic, "a tar archive", INNER),
    (|head| head.starts_with(b"QFI\xfb"), "a qcow2", INNER),
    (vmdk::has_magic, "a VMDK", INNER),
    (vdi::has_magic, "a VDI", INNER),
    (|head| head.starts_with(b"vhdxfile"), "a VHDX", INNER),
    (|head| head.starts_with(b"conectix"), "a VHD", INNER),
    (
        |head| found::compressed_format(head).is_some(),
        "a compressed file",
        INNER,
    ),
];

/// Offset, signature, name and remedy, after QEMU's block drivers and file(1).
const MARKS: &[(usize, &[u8], &str, FixKind)] = &[
    (0, b"QED\0", "a QED image", Convert("qed")),
    (
        0,
        b"WithoutFreeSpace",
        "a disk of Parallels",
        Convert("parallels"),
    ),
    (
        0,
        b"WithouFreSpacExt",
        "a disk of Parallels",
        Convert("parallels"),
    ),
    (
        0,
        b"Bochs Virtual HD Image",
        "a disk of Bochs",
        Convert("bochs"),
    ),
    (
        0,
        b"#!/bin/sh\n#V2.0 Format\n",
        "a cloop image",
        Convert("cloop"),
    ),
    (
        0,
        b"OOOM\0\0\0\x02",
        "a disk of User Mode Linux (COW)",
        EXPORT,
    ),
    (0, b"encrcdsa", "an encrypted disk image of macOS", EXPORT),
    (0, b"EVF\t\r\n\xff\0", "an EnCase image (EWF)", EVIDENCE),
    (0, b"EVF2\r\n\x81\0", "an EnCase image (EWF2)", EVIDENCE),
    (0, b"LVF\t\r\n\xff\0", "an EnCase image (EWF)", EVIDENCE),
    (0, b"AFF10\r\n\0", "a forensic image (AFF)", EVIDENCE),
    (
        0,
        b"VMA\0",
        "a backup of Proxmox (VMA)",
        Say("extract its disk: vma extract"),
    ),
    (
        0,
        b"\x3a\xff\x26\xed",
        "a sparse image of Android",
        Say("unpack it: simg2img"),
    ),
    (0, b"MSWIM\0\0\0", "a Windows image (WIM)", INSTALL),
    (0, b"hsqs", "a SquashFS file system", INSTALL),
    (0, b"sqsh", "a SquashFS file system", INSTALL),
    (0, b"partclone-image", "an image of Partclone", RESTORE),
    (0, b"\0ntfsclone-image", "an image of ntfsclone", RESTORE),
    (0, b"shdw", "a sparse disk image of macOS (ASIF)", EXPORT),
    (0, b"rqsf", "a VHD set of Hyper-V", EXPORT),
    (0, b"FsArCh_", "an archive of FSArchiver", RESTORE),
    (0, b"\xfe\xef\x01", "an image of Norton Ghost", RESTORE),
    (
        0,
        b"\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0",
        "a raw CD image",
        INSTALL,
    ),
    (0, b"\x27\x05\x19\x56", "an image of U-Boot", Other),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", Unpack),
    (0, b"Rar!\x1a\x07", "a RAR archive", Unpack),
    (0, b"PK\x05\x06", "an empty zip archive", Other),
    (0, b"PK\x07\x08", "a split zip archive", Unpack),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file", Unpack),
    (0, b"\x02\x21\x4c\x18", "an LZ4 file", Unpack),
    (0, b"LZIP", "an lzip file", Unpack),
    (0, b"\x5d\0\0", "an LZMA file", Unpack),
    (0, b"\x89LZO\0\r\n\x1a\n", "an lzop file", Unpack),
    (0, b"LRZI", "an lrzip file", Unpack),
    (0, b"\x1f\x9d", "a file of compress", Unpack),
    (0, b"\xff\x06\0\0sNaPpY", "a Snappy file", Unpack),
    (0, b"MSCF\0\0\0\0", "a cabinet archive", Unpack),
    (0, b"xar!", "a xar archive", Unpack),
    (0, b"!<arch>\n", "an ar archive or a Debian package", Unpack),
    (0, b"\xed\xab\xee\xdb", "an RPM package", Unpack),
    (0, b"070701", "a cpio archive", Unpack),
    (0, b"070702", "a cpio archive", Unpack),
    (0, b"070707", "a cpio archive", Unpack),
    (0, b"Salted__", "a file that openssl encrypted", DECRYPT),
    (
        0,
        b"age-encryption.org/",
        "a file that age encrypted",
        DECRYPT,
    ),
    (0, b"\x7fELF", "a program (ELF)", Other),
    (0, b"\xcf\xfa\xed\xfe", "a program (Mach-O)", Other),
    (0, b"\xca\xfe\xba\xbe", "a program (Mach-O or Java)", Other),
    (KERNEL, b"HdrS", "a Linux kernel", INSTALL),
    (0, b"%PDF-", "a PDF document", Other),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture", Other),
    (0, b"\xff\xd8\xff", "a JPEG picture", Other),
    (0, b"GIF8", "a GIF picture", Other),
    (0, b"SQLite format 3\0", "an SQLite database", Other),
    (
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an OLE document",
        Other,
    ),
    (4, b"ftyp", "a video", Other),
    (0, b"\xff\xfe", "a text file (UTF-16)", Other),
    (0, b"\xfe\xff", "a text file (UTF-16)", Other),
];

const EXPORT: FixKind = Say("export or convert it as a raw disk");
const EVIDENCE: FixKind =
    Say("export it as a raw disk, with ewfexport -f raw or affconvert for example");
const INSTALL: FixKind = Say("install the system on a disk, and import that");
const RESTORE: FixKind = Say("restore it to a disk, and import that");
const INNER: FixKind = Say("import the image that lies in it");
const DECRYPT: FixKind = Say("decrypt it, and import the disk image in it");

/// Rejects a file that is not a disk.
pub(super) fn check_supported(view: &ByteView) -> ImageResult<()> {
    let trailer = view.len().and_then(|len| len.checked_sub(512));
    let trailer = trailer.map(|at| view.read_up_to(at, 8)).transpose()?;
    let unsupported = if trailer.is_some_and(|trailer| trailer == APPLE) {
        Some(UnsupportedFormat::new(
            "a disk image of macOS",
            Convert("dmg"),
        ))
    } else {
        identify(&view.read_up_to(0, HEAD)?)
    };
    match unsupported {
        Some(UnsupportedFormat { name, fix }) => Err(ImageError::NotADiskImage {
            cause: format!("it is {name}, which no cloud takes"),
            fix,
        }),
        None => Ok(()),
    }
}

/// Returns the unsupported format that the first bytes have.
fn identify(head: &[u8]) -> Option<UnsupportedFormat> {
    // Boot code may begin with any bytes, so a signature of a few bytes does not count there.
    let boots = head.get(510..512) == Some(&[0x55, 0xaa]);
    let marked = |(at, mark, _, _): &&(usize, &[u8], &str, FixKind)| {
        has_mark(head, *at, mark) && (mark.len() > 3 || !boots)
    };
    let (name, fix) = match MARKS.iter().find(marked) {
        Some((_, _, name, fix)) => (*name, *fix),
        None if is_windows_program(head) => ("a program of Windows", Other),
        None => text(head)?,
    };
    Some(UnsupportedFormat::new(name, fix))
}

/// Returns what is stored where a container should contain a disk: an image format, an archive,
/// an ISO image, or any unsupported format.
pub(super) fn identify_nested(head: &[u8]) -> Option<UnsupportedFormat> {
    let marked = |(has_magic, _, _): &&(HasMagic, &str, FixKind)| has_magic(head);
    match NESTED.iter().find(marked) {
        Some((_, name, fix)) => Some(UnsupportedFormat::new(name, *fix)),
        None => identify(head),
    }
}

/// Reports whether the bytes have this signature at this offset.
fn has_mark(head: &[u8], at: usize, mark: &[u8]) -> bool {
    head.get(at..).is_some_and(|rest| rest.starts_with(mark))
}

/// Reports whether there is an MZ header that leads to a PE header.
fn is_windows_program(head: &[u8]) -> bool {
    let at = head.get(60..64).and_then(|field| field.try_into().ok());
    let at = at
        .map(u32::from_le_bytes)
        .and_then(|at| usize::try_from(at).ok());
    let rest = at.and_then(|at| head.get(at..));
    head.starts_with(b"MZ") && rest.is_some_and(|rest| rest.starts_with(b"PE\0\0"))
}

/// Returns the kind of text, if it is text: no control characters except white space.
fn text(head: &[u8]) -> Option<(&'static str, FixKind)> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let start = &head[..head.len().min(TEXT)];
    let is_text =
        |&byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x20..=0x7e | 0x80..);
    // Boot sectors and random data have other bytes among the first ones.
    if start.is_empty() || !start.iter().all(is_text) {
        return None;
    }
    let ascii = start.iter().filter(|byte| byte.is_ascii()).count();
    // Binary data may consist of bytes above 0x7f by chance.
    if ascii * 2 < start.len() {
        return None;
    }
    let text = String::from_utf8_lossy(start).trim_start().to_lowercase();
    let page = "it is a page, maybe of an error or a log-in: download the image again";
    let git = "it only stands for the file: git lfs pull";
    let ovf = "import the disk that it names, or export the virtual machine as an OVA";
    let starts = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    Some(if starts(&["<!doctype html", "<html", "<head", "<body"]) {
        ("a web page (HTML)", Say(page))
    } else if starts(&["version https://git-lfs"]) {
        ("a pointer of Git LFS", Say(git))
    } else if starts(&["<"]) && text.contains("envelope") {
        ("an OVF descriptor alone", Say(ovf))
    } else if starts(&["<"]) {
        ("an XML file", Other)
    } else if starts(&["{", "["]) {
        ("a JSON or settings file", Other)
    } else if starts(&["-----begin"]) {
        ("a key, certificate or signature", Other)
    } else if starts(&["#!"]) {
        ("a script", Other)
    } else {
        ("a text file", Other)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::image::test_support::{convert, open, patched, refusal, refusal_text};

    #[test]
    fn unsupported_disk_formats_are_rejected_by_name() {
        let disk = [0; 4096];
        let refused = |at, magic: &[u8]| refusal(&patched(&disk, &[(at, magic)]));
        let qed = convert("qed", "it is a QED image, which no cloud takes");
        assert_eq!(refused(0, b"QED\0"), qed);
        let parallels = convert(
            "parallels",
            "it is a disk of Parallels, which no cloud takes",
        );
        assert_eq!(refused(0, b"WithoutFreeSpace"), parallels);
        assert_eq!(refused(0, b"WithouFreSpacExt"), parallels);
        let bochs = convert("bochs", "it is a disk of Bochs, which no cloud takes");
        assert_eq!(refused(0, b"Bochs Virtual HD Image"), bochs);
        let apple = convert("dmg", "it is a disk image of macOS, which no cloud takes");
        assert_eq!(refused(4096 - 512, b"koly\0\0\0\x04"), apple);
        let sound = crate::image::partitions::tests::mbr_disk(0x83);
        assert!(open(&patched(&sound, &[(1024, b"QED\0")])).is_ok());
    }

    #[test]
    fn archives_are_rejected_by_name() {
        let marks: [(&[u8], &str); 6] = [
            (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
            (b"Rar!\x1a\x07\x01", "a RAR archive"),
            (b"\x04\x22\x4d\x18", "an LZ4 file"),
            (b"LZIP\x01", "an lzip file"),
            (b"MSCF\0\0\0\0", "a cabinet archive"),
            (b"070701", "a cpio archive"),
        ];
        for (mark, name) in marks {
            assert_eq!(
                refusal(&patched(&[0; 4096], &[(0, mark)])),
                refusal_text(
                    &format!("it is {name}, which no cloud takes"),
                    "unpack it and import the disk image in it"
                )
            );
        }
    }

    #[test]
    fn text_files_are_recognized_by_their_first_bytes() {
        let long = |start: &str| format!("{start}{}", "more text, and a line end\r\n".repeat(40));
        for (start, name) in [
            ("<!DOCTYPE html><html>", "a web page (HTML)"),
            ("\u{feff}\n<HTML lang=\"en\">", "a web page (HTML)"),
            (
                "<?xml version=\"1.0\"?>\n<ovf:Envelope>",
                "an OVF descriptor alone",
            ),
            ("<?xml version=\"1.0\"?><VirtualBox/>", "an XML file"),
            (
                "version https://git-lfs.github.com/spec/v1\n",
                "a pointer of Git LFS",
            ),
            (
                "-----BEGIN PGP SIGNATURE-----\n",
                "a key, certificate or signature",
            ),
            ("{\"a\": 1}", "a JSON or settings file"),
            ("#!/bin/sh\n", "a script"),
            ("J\u{fc}rgen\u{2019}s notes", "a text file"),
        ] {
            let refused = refusal(long(start).as_bytes());
            let expected = format!("it is {name}, which no cloud takes\n");
            assert!(refused.starts_with(&expected), "{start}: {refused}");
        }
    }

    #[test]
    fn programs_and_documents_are_no_disks() {
        let program = patched(&[0; 4096], &[(0, b"MZ"), (60, &[128]), (128, b"PE\0\0")]);
        assert!(refusal(&program).starts_with("it is a program of Windows,"));
        let kernel = patched(&[0; 4096], &[(0, b"MZ"), (510, b"\x55\xaa\xeb\x66HdrS")]);
        assert!(refusal(&kernel).starts_with("it is a Linux kernel,"));
        let document = patched(&[0; 4096], &[(0, b"%PDF-1.7")]);
        assert!(refusal(&document).starts_with("it is a PDF document,"));
        let evidence = patched(&[0; 8192], &[(0, b"EVF\t\r\n\xff\0\x01")]);
        assert!(refusal(&evidence).starts_with("it is an EnCase image (EWF),"));
    }
}
