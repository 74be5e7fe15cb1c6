//! Looks at what was fetched: is it an image that DigitalOcean takes, is it what its name
//! says, and how large is the disk. The sentences are the service's where one is known.
//! <https://docs.digitalocean.com/products/custom-images/details/limits/>

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::content::{Content, Draft};

const LIMIT: u64 = 100_000_000_000;
const CHUNK: usize = 256 * 1024;

const PACKED: &str =
    "We had a problem decompressing your file. Please make sure it is a valid gzip or bzip2 file.";
const FORMAT: &str =
    "We don't support the format of your image. Please use raw, qcow2, vhdx, vdi, or vmdk.";
const LARGE: &str = "Your image is larger than 100 GB.";

/// What arrived, unpacked, and the bytes of its disk.
pub(super) struct CheckedImage {
    pub(super) content: Content,
    pub(super) disk: u64,
}

/// The image, or the `error_message`.
pub(super) fn check_image(
    fetched: Content,
    name: &str,
    dir: &Path,
) -> Result<CheckedImage, String> {
    let head = head(&fetched);
    let (plain, packing) = split(name);
    let packed = if head.starts_with(b"\x1f\x8b") {
        "gz"
    } else if head.starts_with(b"BZh") {
        "bz2"
    } else {
        ""
    };
    // A name without any ending is not held against it.
    if !(plain.is_empty() && packing.is_empty()) && packing != packed {
        return Err(PACKED.to_owned());
    }
    let content = match packed {
        "gz" => unpack(&fetched, dir).map_err(|_| PACKED.to_owned())?,
        // Nothing here unpacks it; its mark must do.
        "bz2" => {
            return Ok(CheckedImage {
                disk: fetched.size(),
                content: fetched,
            });
        }
        _ => fetched,
    };
    let (format, disk) = format(&content).ok_or(FORMAT)?;
    let said = if plain == "img" { "raw" } else { plain };
    if !said.is_empty() && said != format {
        return Err(FORMAT.to_owned());
    }
    if disk >= LIMIT {
        return Err(LARGE.to_owned());
    }
    Ok(CheckedImage { content, disk })
}

/// The endings of an object's name: of the image, of its compression.
fn split(name: &str) -> (&str, &str) {
    let (stem, packing) = match name.rsplit_once('.') {
        Some((stem, ending @ ("gz" | "bz2"))) => (stem, ending),
        _ => (name, ""),
    };
    let known = ["raw", "img", "qcow2", "vhdx", "vdi", "vmdk"];
    let plain = stem.rsplit_once('.').map_or("", |(_, ending)| ending);
    (
        known
            .into_iter()
            .find(|known| *known == plain)
            .unwrap_or_default(),
        packing,
    )
}

fn head(content: &Content) -> Vec<u8> {
    content
        .read_at(0, 512)
        .expect("the sandbox can read its own files")
}

fn unpack(content: &Content, dir: &Path) -> std::io::Result<Content> {
    let mut unpacked =
        MultiGzDecoder::new(std::io::BufReader::with_capacity(CHUNK, content.reader()));
    let (mut draft, mut chunk, mut size) = (Draft::new(dir)?, vec![0; CHUNK], 0);
    loop {
        let read = unpacked.read(&mut chunk)?;
        size += read as u64;
        if read == 0 || size > LIMIT {
            return draft.finish();
        }
        draft.write(&chunk[..read])?;
    }
}

/// The format and the bytes of the disk. A raw disk is known by its MBR alone.
fn format(content: &Content) -> Option<(&'static str, u64)> {
    let head = head(content);
    let tail = content
        .read_at(content.size().saturating_sub(512), 512)
        .unwrap_or_default();
    let number = |at: usize| Some(u64::from_be_bytes(head.get(at..at + 8)?.try_into().ok()?));
    match head.as_slice() {
        [b'Q', b'F', b'I', 0xfb, ..] => Some(("qcow2", number(24)?)),
        _ if head.starts_with(b"vhdxfile") => Some(("vhdx", content.size())),
        _ if head.starts_with(b"KDMV") => Some(("vmdk", content.size())),
        _ if head.get(64..68) == Some(&[0x7f, 0x10, 0xda, 0xbe]) => Some(("vdi", content.size())),
        _ if head.starts_with(b"conectix") || tail.starts_with(b"conectix") => None,
        _ if head.get(510..512) == Some(&[0x55, 0xaa]) => Some(("raw", content.size())),
        _ => None,
    }
}
