//! A stream that is compressed with gzip while it is read, on all processors at once. The
//! output is the same in every run, whatever the number of threads, so that an interrupted
//! upload can match its parts. It is one gzip member (RFC 1952) of blocks that each end on a
//! byte boundary; every decompressor reads it, also those that stop after the first member.

use std::io::{self, Read};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use bytes::Bytes;
use crc_fast::CrcAlgorithm::Crc32IsoHdlc;
use flate2::{Compress, Compression, FlushCompress};
use sha2::{Digest, Sha256};

/// Bytes that are compressed independently. The window of deflate is 32 KiB, so that
/// independent blocks of this size cost some per mille.
const BLOCK: usize = 1 << 20;

/// The compression level. Measured on a Debian 12 disk: a third less work than level 6 for 3 %
/// more bytes, while level 1 produces 30 % more. Two cores then compress half a gigabit per
/// second.
const LEVEL: u32 = 3;

/// The header of the member: magic, deflate, no name, no time, no level, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// An empty final block of fixed Huffman codes (RFC 1951, 3.2.3).
const FINAL_BLOCK: [u8; 2] = [3, 0];

/// The bytes that deflate adds to an incompressible block, rounded up: five for each stored 64
/// KiB, and the flush.
const MAX_BLOCK_OVERHEAD: u64 = 256;

/// Returns the largest compressed size of `size` bytes.
pub fn max_compressed_size(size: u64) -> u64 {
    size + size.div_ceil(BLOCK as u64) * MAX_BLOCK_OVERHEAD + 32
}

/// Size and SHA-256 of the input, available once all of it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct UncompressedInfo {
    /// Bytes before compression.
    pub size: u64,
    /// SHA-256 in hex, if it was requested.
    pub sha256: Option<String>,
}

/// The progress of the compression: bytes of the input, and bytes of the output.
#[derive(Debug, Default)]
pub struct GzipProgress {
    input_bytes: AtomicU64,
    output_bytes: AtomicU64,
}

impl GzipProgress {
    /// Estimates the compressed size of `size` bytes from the ratio so far.
    pub fn estimate(&self, size: u64) -> Option<u64> {
        let (input, output) = (
            self.input_bytes.load(Relaxed),
            self.output_bytes.load(Relaxed),
        );
        let all = u128::from(output) * u128::from(size);
        u64::try_from(all.checked_div(input.into())?).ok()
    }

    fn add(&self, block: &Block) {
        self.output_bytes
            .fetch_add(block.bytes.len() as u64, Relaxed);
        self.input_bytes.fetch_add(block.size, Relaxed);
    }
}

/// A reader of the compressed bytes.
pub struct GzipReader {
    blocks: Receiver<io::Result<Receiver<Block>>>,
    current: Bytes,
    crc: u64,
    size: u64,
    finished: bool,
    input_info: Arc<OnceLock<UncompressedInfo>>,
    progress: Arc<GzipProgress>,
}

/// A compressed block with the CRC and the size of its input.
#[derive(Clone)]
struct Block {
    bytes: Bytes,
    crc: u64,
    size: u64,
}

/// A block to compress, and the channel for the result.
type BlockJob = (Vec<u8>, SyncSender<Block>);

impl GzipReader {
    /// Creates a reader that reads `input` on a separate thread. It buffers two blocks per
    /// processor.
    pub fn new(input: impl Read + Send + 'static, sha256: bool) -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_threads(input, sha256, threads)
    }

    fn with_threads(
        input: impl Read + Send + 'static,
        sha256: bool,
        threads: usize,
    ) -> io::Result<Self> {
        let (work, worked) = channel::<BlockJob>();
        let worked = Arc::new(Mutex::new(worked));
        for _ in 0..threads {
            let worked = Arc::clone(&worked);
            spawn("gzip", move || compress_all(&worked))?;
        }
        // Bounded, so that a slow upload keeps the reader from filling the memory.
        let (sender, blocks) = sync_channel(2 * threads);
        let info = Arc::<OnceLock<UncompressedInfo>>::default();
        let reader = InputReader {
            input,
            hash: sha256.then(Sha256::new),
            work,
            blocks: sender,
        };
        let learnt = Arc::clone(&info);
        spawn("image", move || reader.run(&learnt))?;
        Ok(Self {
            blocks,
            current: Bytes::from_static(&HEADER),
            crc: crc_fast::checksum(Crc32IsoHdlc, &[]),
            size: 0,
            finished: false,
            input_info: info,
            progress: Arc::default(),
        })
    }

    /// Returns the size and the SHA-256 of the input, which are set at the end.
    pub fn input_info(&self) -> Arc<OnceLock<UncompressedInfo>> {
        Arc::clone(&self.input_info)
    }

    /// Returns the progress, which can be read at any time.
    pub fn progress(&self) -> Arc<GzipProgress> {
        Arc::clone(&self.progress)
    }

    /// Returns the next block of the stream; `None` after its end.
    fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        if self.finished {
            return Ok(None);
        }
        if let Ok(block) = self.blocks.recv() {
            let broken = |_| io::Error::other("the compression broke off");
            let block = block?.recv().map_err(broken)?;
            self.crc = crc_fast::checksum_combine(Crc32IsoHdlc, self.crc, block.crc, block.size);
            self.size += block.size;
            self.progress.add(&block);
            return Ok(Some(block.bytes));
        }
        // The channel closes at the end, but also when the reader thread panics: only the size
        // tells the two apart.
        if self
            .input_info
            .get()
            .is_none_or(|input| input.size != self.size)
        {
            return Err(io::Error::other("the compression broke off"));
        }
        self.finished = true;
        Ok(Some(trailer(self.crc, self.size)))
    }
}

impl Read for GzipReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.next_block()? {
                Some(bytes) => self.current = bytes,
                None => return Ok(0),
            }
        }
        let piece = self.current.split_to(buffer.len().min(self.current.len()));
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// Returns the end of the member: checksum, and the size modulo 2^32.
#[expect(clippy::cast_possible_truncation, reason = "as RFC 1952 has it")]
fn trailer(crc: u64, size: u64) -> Bytes {
    let (crc, size) = ((crc as u32).to_le_bytes(), (size as u32).to_le_bytes());
    [&FINAL_BLOCK[..], &crc, &size].concat().into()
}

/// The thread that reads the input and distributes its blocks.
struct InputReader<R> {
    input: R,
    hash: Option<Sha256>,
    work: Sender<BlockJob>,
    blocks: SyncSender<io::Result<Receiver<Block>>>,
}

impl<R: Read> InputReader<R> {
    fn run(mut self, info: &OnceLock<UncompressedInfo>) {
        match self.read_all() {
            Ok(Some(size)) => {
                let sha256 = self.hash.map(|hash| hex::encode(hash.finalize()));
                let _first = info.set(UncompressedInfo { size, sha256 });
            }
            Ok(None) => {}
            // This fails only when the `GzipReader` is gone, and then the error is not needed.
            Err(error) => drop(self.blocks.send(Err(error))),
        }
    }

    /// Reads all bytes and returns their number; `None` when the `GzipReader` is gone.
    fn read_all(&mut self) -> io::Result<Option<u64>> {
        let zeros = zeros();
        let (mut size, mut buffer) = (0, vec![0; BLOCK]);
        loop {
            let len = fill(&mut self.input, &mut buffer)?;
            if len == 0 {
                return Ok(Some(size));
            }
            size += len as u64;
            if let Some(hash) = &mut self.hash {
                hash.update(&buffer[..len]);
            }
            // The channels are queued in the order of the input, whichever block is compressed
            // first.
            let (done, block) = sync_channel(1);
            // A sparse disk is mostly zeros, which need no processor.
            if len == BLOCK && is_zero(&buffer) {
                drop(done.send(zeros.clone()));
            } else {
                buffer.truncate(len);
                let full = std::mem::replace(&mut buffer, vec![0; BLOCK]);
                if self.work.send((full, done)).is_err() {
                    return Err(io::Error::other("the compression broke off"));
                }
            }
            if self.blocks.send(Ok(block)).is_err() {
                return Ok(None);
            }
        }
    }
}

/// Reads as many bytes as there are, up to the buffer's length.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match input.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// Reports whether all bytes are zero. Comparing with one static page keeps that page in the
/// cache.
fn is_zero(bytes: &[u8]) -> bool {
    const PAGE: [u8; 4096] = [0; 4096];
    bytes
        .chunks(PAGE.len())
        .all(|page| page == &PAGE[..page.len()])
}

/// Returns the compressed block of zeros. A disk is mostly empty, so it is compressed only
/// once.
fn zeros() -> Block {
    block(&mut deflate(), &vec![0; BLOCK])
}

fn deflate() -> Compress {
    Compress::new(Compression::new(LEVEL), false)
}

/// Compresses blocks until the channel of jobs closes.
fn compress_all(work: &Mutex<Receiver<BlockJob>>) {
    let mut deflate = deflate();
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((plain, done)) = next else { return };
        // The send fails when the upload has ended and the result is not needed.
        drop(done.send(block(&mut deflate, &plain)));
    }
}

/// Deflates a block independently of all others, up to a byte boundary.
fn block(deflate: &mut Compress, input: &[u8]) -> Block {
    deflate.reset();
    let mut bytes = Vec::with_capacity(BLOCK / 2);
    loop {
        let at = usize::try_from(deflate.total_in()).unwrap_or(input.len());
        // Deflate fails only without memory or on calls in the wrong order; neither happens
        // here.
        let _status = deflate.compress_vec(&input[at..], &mut bytes, FlushCompress::Sync);
        // Free space in the output means that all of it was written (zlib.h, deflate).
        if bytes.len() < bytes.capacity() {
            break;
        }
        bytes.reserve(BLOCK / 4);
    }
    bytes.shrink_to_fit();
    Block {
        bytes: bytes.into(),
        crc: crc_fast::checksum(Crc32IsoHdlc, input),
        size: input.len() as u64,
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;

    fn gzipped(input: &[u8], threads: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let input = io::Cursor::new(input.to_vec());
        GzipReader::with_threads(input, false, threads)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    /// Returns noise that cannot be compressed.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let step = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        (0..len).map(step).collect()
    }

    fn disk() -> Vec<u8> {
        let mut disk = noise(2 * BLOCK + 5);
        disk.extend(vec![0; 5 * BLOCK]);
        disk.extend(b"the end".repeat(1000));
        disk
    }

    #[test]
    fn output_decompresses_to_the_input() {
        for input in [
            Vec::new(),
            b"x".to_vec(),
            vec![0; BLOCK],
            noise(BLOCK + 1),
            disk(),
        ] {
            let (output, mut back) = (gzipped(&input, 2), Vec::new());
            // This decoder stops after the first member: there must be only one.
            GzDecoder::new(&output[..]).read_to_end(&mut back).unwrap();
            assert!(back == input, "{} bytes", input.len());
            assert!(output.len() as u64 <= max_compressed_size(input.len() as u64));
        }
    }

    #[test]
    fn threads_do_not_change_a_byte() {
        assert!(gzipped(&disk(), 1) == gzipped(&disk(), 7));
    }

    #[test]
    fn empty_blocks_cost_a_thousandth() {
        assert!(gzipped(&vec![0; 64 * BLOCK], 2).len() < 70_000);
    }

    #[test]
    fn input_size_and_digest_are_reported() {
        let mut gzip = GzipReader::new(io::Cursor::new(b"abc"), true).unwrap();
        let input = gzip.input_info();
        io::copy(&mut gzip, &mut io::sink()).unwrap();
        let input = input.get().unwrap();
        assert_eq!(input.size, 3);
        assert!(input.sha256.as_ref().unwrap().starts_with("ba7816bf"));
    }

    #[test]
    fn the_compressed_size_is_estimated() {
        let input = noise(4 * BLOCK);
        let mut gzip = GzipReader::new(io::Cursor::new(input), false).unwrap();
        let share = gzip.progress();
        assert_eq!(share.estimate(4 << 20), None);
        gzip.read_exact(&mut vec![0; BLOCK]).unwrap();
        let estimate = share.estimate(4 << 20).unwrap();
        assert!(estimate.abs_diff(4 << 20) < 10_000, "{estimate}");
        let all = HEADER.len() as u64 + estimate + 10;
        let rest = io::copy(&mut gzip, &mut io::sink()).unwrap() + BLOCK as u64;
        assert!(rest.abs_diff(all) < 10_000, "{rest} {all}");
    }

    #[test]
    fn an_unreadable_byte_ends_it() {
        struct Bad;
        impl Read for Bad {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("bad sector"))
            }
        }
        let input = io::Cursor::new(noise(3 * BLOCK)).chain(Bad);
        let mut gzip = GzipReader::new(input, false).unwrap();
        let error = io::copy(&mut gzip, &mut io::sink()).unwrap_err();
        assert_eq!(error.to_string(), "bad sector");
    }

    #[test]
    fn a_dropped_reader_stops_the_threads() {
        drop(GzipReader::new(io::repeat(7), false).unwrap());
    }
}
