//! Which kernel modules an initramfs carries: archives in the format newc of cpio, one
//! after the other, the first ones plain (microcode), the last one compressed.
//! <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};

use flate2::read::GzDecoder;
use lz4_flex::frame::FrameDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

/// Unpacked bytes that are looked at.
const MOST: u64 = 1 << 30;
/// KiB that an xz stream may ask for.
const XZ_MEMORY: u32 = 128 << 10;
/// Bytes of a window that a zstd stream may ask for.
const ZSTD_WINDOW: u64 = 128 << 20;
/// PATH_MAX of Linux.
const LONGEST_NAME: u64 = 4096;
const TRAILER: &[u8] = b"TRAILER!!!";

/// The names of its modules, such as `virtio_blk`; None where it can't be read.
pub(super) fn modules(file: impl Read + 'static) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut packed = BufReader::new(file);
    loop {
        skip_zeros(&mut packed).ok()?;
        if packed.fill_buf().ok()?.starts_with(b"07070") {
            archive(&mut packed, &mut found).ok()?;
            continue;
        }
        let Some(unpacked) = unpack(packed)? else {
            return Some(found);
        };
        let mut unpacked = BufReader::new(unpacked.take(MOST));
        archive(&mut unpacked, &mut found).ok()?;
        return Some(found);
    }
}

/// Behind the plain archives; an empty rest is none.
fn unpack(mut packed: BufReader<impl Read + 'static>) -> Option<Option<Box<dyn Read>>> {
    let mark = packed.fill_buf().ok()?;
    Some(Some(match mark {
        [] => return Some(None),
        [0x1f, 0x8b, ..] => Box::new(GzDecoder::new(packed)),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            Box::new(XzReader::new_mem_limit(packed, false, XZ_MEMORY))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(StreamingDecoder::new_with_max_window_size(packed, ZSTD_WINDOW).ok()?)
        }
        // The kernel knows the legacy frame alone.
        [0x02, 0x21, 0x4c, 0x18, ..] => Box::new(FrameDecoder::new(packed)),
        _ => return None,
    }))
}

/// Zeros fill up between archives.
fn skip_zeros(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let there = file.fill_buf()?;
        let zeros = there.iter().take_while(|&&byte| byte == 0).count();
        let all = zeros == there.len();
        if there.is_empty() {
            return Ok(());
        }
        file.consume(zeros);
        if !all {
            return Ok(());
        }
    }
}

/// One archive up to its trailer.
fn archive(file: &mut impl BufRead, found: &mut BTreeSet<String>) -> io::Result<()> {
    loop {
        let mut header = [0; 110];
        file.read_exact(&mut header)?;
        if !header.starts_with(b"070701") && !header.starts_with(b"070702") {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (size, length) = (field(&header, 54)?, field(&header, 94)?);
        if !(1..=LONGEST_NAME).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // Names and contents end on multiples of four.
        let padded = (110 + length).next_multiple_of(4) - 110;
        let mut name = vec![0; usize::try_from(padded).map_err(io::Error::other)?];
        file.read_exact(&mut name)?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        if name == TRAILER {
            return Ok(());
        }
        found.extend(module(&String::from_utf8_lossy(name)));
        skip(file, size.next_multiple_of(4))?;
    }
}

/// Eight hexadecimal digits.
fn field(header: &[u8; 110], at: usize) -> io::Result<u64> {
    let digits = std::str::from_utf8(&header[at..at + 8]).map_err(io::Error::other)?;
    u64::from_str_radix(digits, 16).map_err(io::Error::other)
}

fn skip(file: &mut impl BufRead, count: u64) -> io::Result<()> {
    match io::copy(&mut file.take(count), &mut io::sink())? {
        skipped if skipped == count => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The module's name in a path such as `kernel/drivers/block/virtio_blk.ko.xz`; the
/// kernel does not tell a hyphen from an underscore there.
pub(super) fn module(path: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or_default();
    let (name, packed) = file.split_once(".ko")?;
    matches!(packed, "" | ".xz" | ".zst" | ".gz").then(|| name.replace('-', "_"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    fn cpio(names: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = vec![];
        for (name, bytes) in names.iter().chain([&("TRAILER!!!", &[][..])]) {
            let (length, size) = (name.len() + 1, bytes.len());
            let zeros = "00000000";
            write!(
                out,
                "070701{zeros}{zeros}{zeros}{zeros}{zeros}{zeros}{size:08x}"
            )
            .unwrap();
            write!(out, "{zeros}{zeros}{zeros}{zeros}{length:08x}{zeros}").unwrap();
            out.extend(name.bytes().chain([0]));
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend(*bytes);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut file = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        file.write_all(bytes).unwrap();
        file.finish().unwrap()
    }

    fn seen(bytes: Vec<u8>) -> Option<Vec<String>> {
        modules(Cursor::new(bytes)).map(|names| names.into_iter().collect())
    }

    #[test]
    fn modules_are_seen_behind_microcode_and_compression() {
        let early = cpio(&[("kernel/x86/microcode/x.bin", b"12345")]);
        let main = cpio(&[
            (
                "usr/lib/modules/6.1/kernel/drivers/block/virtio_blk.ko.xz",
                b"x",
            ),
            (
                "usr/lib/modules/6.1/kernel/drivers/nvme/host/nvme-core.ko",
                b"yy",
            ),
            ("etc/foo.kong", b""),
        ]);
        let both = [early.clone(), vec![0; 700], gzip(&main)].concat();
        let names = ["nvme_core", "virtio_blk"].map(str::to_owned).to_vec();
        assert_eq!(seen(both), Some(names.clone()));
        assert_eq!(seen([early, main].concat()), Some(names));
    }

    #[test]
    fn what_is_no_archive_is_not_seen() {
        assert_eq!(seen(b"\x89LZO".to_vec()), None);
        assert_eq!(seen(b"\x28\xb5\x2f\xfd\xff\xff\xff\xff".to_vec()), None);
        let mut long = cpio(&[("a", b"")]);
        long[94..102].copy_from_slice(b"ffffffff");
        assert_eq!(seen(long), None);
        assert_eq!(seen(cpio(&[("a.ko", b"1")])[..112].to_vec()), None);
    }
}
