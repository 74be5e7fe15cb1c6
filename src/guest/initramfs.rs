//! Finds the kernel modules of an initramfs: archives in the format newc of cpio, one after the
//! other, the first ones uncompressed (microcode), the last one compressed.
//! <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use lz4_flex::frame::FrameDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

/// The most bytes that are read, compressed and decompressed.
const MAX_READ: u64 = 1 << 30;
/// The longest time that this may take.
const MAX_TIME: Duration = Duration::from_secs(10);
/// The most memory that an xz stream may require, in KiB.
const XZ_MEMORY: u32 = 128 << 10;
/// The largest window that a zstd stream may require, in bytes.
const ZSTD_WINDOW: u64 = 128 << 20;
/// PATH_MAX of Linux.
const MAX_NAME: u64 = 4096;
const TRAILER: &[u8] = b"TRAILER!!!";

/// The reason that an initramfs was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadFailure {
    /// It is damaged, or of another format.
    Unknown,
    TooLarge,
    TooLong,
}

/// Returns which of these modules, such as `virtio_blk`, it contains. Stores no other name,
/// because an archive may have millions.
pub(super) fn modules(
    file: impl Read + 'static,
    wanted: &[&'static str],
) -> Result<BTreeSet<&'static str>, ReadFailure> {
    modules_within(file, wanted, MAX_READ, MAX_TIME)
}

fn modules_within(
    file: impl Read + 'static,
    wanted: &[&'static str],
    max_bytes: u64,
    max_time: Duration,
) -> Result<BTreeSet<&'static str>, ReadFailure> {
    let over = Rc::new(Cell::new(None));
    let budget = Budget {
        left: max_bytes,
        deadline: Instant::now() + max_time,
        exhausted: Rc::clone(&over),
    };
    let mut search = Search {
        wanted,
        found: BTreeSet::new(),
    };
    match search.read_all(file, &budget) {
        Some(()) => Ok(search.found),
        None => Err(over.get().unwrap_or(ReadFailure::Unknown)),
    }
}

/// The limits of a reader.
#[derive(Clone)]
struct Budget {
    left: u64,
    deadline: Instant,
    /// The limit that was reached.
    exhausted: Rc<Cell<Option<ReadFailure>>>,
}

impl Budget {
    fn limit<R: Read>(&self, inner: R) -> Limited<R> {
        let budget = self.clone();
        Limited { inner, budget }
    }
}

struct Limited<R> {
    inner: R,
    budget: Budget,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Budget {
            left,
            deadline: until,
            exhausted: over,
        } = &mut self.budget;
        let used_up = if *left == 0 {
            Some(ReadFailure::TooLarge)
        } else {
            (Instant::now() > *until).then_some(ReadFailure::TooLong)
        };
        if used_up.is_some() {
            // The decompressors replace the error by their own: remember the cause here.
            over.set(used_up);
            return Err(io::Error::other("too much"));
        }
        let room = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.inner.read(&mut buffer[..room])?;
        *left = left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// The modules to search for, and those that were found.
struct Search<'a> {
    wanted: &'a [&'static str],
    found: BTreeSet<&'static str>,
}

impl Search<'_> {
    /// Reads the uncompressed archives, and the compressed one after them; returns `None` where
    /// that cannot be read.
    fn read_all(&mut self, file: impl Read + 'static, budget: &Budget) -> Option<()> {
        let mut packed = BufReader::new(budget.limit(file));
        loop {
            // The rest need not be decompressed once every module was found.
            if self.is_done() {
                return Some(());
            }
            skip_zeros(&mut packed).ok()?;
            if packed.fill_buf().ok()?.starts_with(b"07070") {
                self.read_archive(&mut packed).ok()?;
            } else if packed.fill_buf().ok()?.is_empty() {
                return Some(());
            } else {
                let mut unpacked = BufReader::new(budget.limit(decompress(packed)?));
                // Nothing follows the compressed archive.
                return self.read_archive(&mut unpacked).ok();
            }
        }
    }

    fn is_done(&self) -> bool {
        self.found.len() == self.wanted.len()
    }

    /// Reads one archive up to its trailer, or until everything was found.
    fn read_archive(&mut self, file: &mut impl BufRead) -> io::Result<()> {
        while !self.is_done() {
            let mut header = [0; 110];
            file.read_exact(&mut header)?;
            if !header.starts_with(b"070701") && !header.starts_with(b"070702") {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let (size, length) = (field(&header, 54)?, field(&header, 94)?);
            // The length is hostile, and the name is read into memory.
            if !(1..=MAX_NAME).contains(&length) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            // Names and contents are padded to multiples of four.
            let padded = (110 + length).next_multiple_of(4) - 110;
            let mut name = vec![0; usize::try_from(padded).map_err(io::Error::other)?];
            file.read_exact(&mut name)?;
            let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
            if name == TRAILER {
                return Ok(());
            }
            let module = std::str::from_utf8(name).ok().and_then(module_name);
            let known = |module: &String| self.wanted.iter().find(|known| *known == module);
            self.found.extend(module.as_ref().and_then(known));
            skip(file, size.next_multiple_of(4))?;
        }
        Ok(())
    }
}

/// Returns a reader of the data after the uncompressed archives.
fn decompress(mut packed: BufReader<impl Read + 'static>) -> Option<Box<dyn Read>> {
    let mark = packed.fill_buf().ok()?;
    Some(match mark {
        [0x1f, 0x8b, ..] => Box::new(GzDecoder::new(packed)),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            Box::new(XzReader::new_mem_limit(packed, false, XZ_MEMORY))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(StreamingDecoder::new_with_max_window_size(packed, ZSTD_WINDOW).ok()?)
        }
        // The kernel supports only the legacy frame.
        [0x02, 0x21, 0x4c, 0x18, ..] => Box::new(FrameDecoder::new(packed)),
        _ => return None,
    })
}

/// Skips the zeros between archives.
fn skip_zeros(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let available = file.fill_buf()?;
        let zeros = available.iter().take_while(|&&byte| byte == 0).count();
        let all = zeros == available.len();
        if available.is_empty() {
            return Ok(());
        }
        file.consume(zeros);
        if !all {
            return Ok(());
        }
    }
}

/// Parses eight hexadecimal digits.
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

/// Returns the module's name in a path such as `kernel/drivers/block/virtio_blk.ko.xz`; the
/// kernel treats hyphen and underscore as equal there.
pub(super) fn module_name(path: &str) -> Option<String> {
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

    const WANTED: [&str; 3] = ["virtio_blk", "nvme_core", "ena"];

    fn find_modules(bytes: Vec<u8>) -> Option<Vec<&'static str>> {
        let found = modules(Cursor::new(bytes), &WANTED).ok()?;
        Some(found.into_iter().collect())
    }

    #[test]
    fn modules_are_found_behind_microcode_and_compression() {
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
        let names = vec!["nvme_core", "virtio_blk"];
        assert_eq!(find_modules(both), Some(names.clone()));
        assert_eq!(find_modules([early, main].concat()), Some(names));
    }

    #[test]
    fn a_file_that_is_no_archive_is_unknown() {
        assert_eq!(find_modules(b"\x89LZO".to_vec()), None);
        assert_eq!(
            find_modules(b"\x28\xb5\x2f\xfd\xff\xff\xff\xff".to_vec()),
            None
        );
        let mut long = cpio(&[("a", b"")]);
        long[94..102].copy_from_slice(b"ffffffff");
        assert_eq!(find_modules(long), None);
        assert_eq!(find_modules(cpio(&[("a.ko", b"1")])[..112].to_vec()), None);
    }

    #[test]
    fn an_archive_of_millions_of_names_is_not_kept_in_memory() {
        let names: Vec<_> = (0..20_000).map(|n| format!("m{n}.ko")).collect();
        let mut files: Vec<_> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        files.push(("ena.ko", b""));
        let archive = cpio(&files);
        let found = modules(Cursor::new(archive.clone()), &WANTED).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["ena"]);
        for bytes in [archive.clone(), gzip(&archive)] {
            let long = |max| modules_within(Cursor::new(bytes.clone()), &WANTED, max, MAX_TIME);
            assert_eq!(long(100_000), Err(ReadFailure::TooLarge));
            let late = modules_within(
                Cursor::new(bytes.clone()),
                &WANTED,
                MAX_READ,
                Duration::ZERO,
            );
            assert_eq!(late, Err(ReadFailure::TooLong));
        }
    }

    #[test]
    fn an_endless_archive_is_cut_off() {
        // Zeros between archives, and a file of zeros in one.
        assert_eq!(
            modules_within(io::repeat(0), &WANTED, 1 << 20, MAX_TIME),
            Err(ReadFailure::TooLarge)
        );
        let mut large = cpio(&[("a", b"")]);
        large[54..62].copy_from_slice(b"ffffffff");
        let endless = Cursor::new(large[..112].to_vec()).chain(io::repeat(0));
        assert_eq!(
            modules_within(endless, &WANTED, 1 << 20, MAX_TIME),
            Err(ReadFailure::TooLarge)
        );
    }

    #[test]
    fn reading_stops_when_all_modules_are_found() {
        let archive = cpio(&[
            ("a/virtio-blk.ko", b""),
            ("nvme-core.ko.xz", b""),
            ("ena.ko", b""),
        ]);
        let endless = Cursor::new(archive).chain(io::repeat(7));
        let found = modules_within(endless, &WANTED, MAX_READ, MAX_TIME).unwrap();
        assert_eq!(found.len(), 3);
    }
}
