//! The reading side: one thread that reads the disk in order, fills buffers with the blocks to
//! send, and hashes them while they are in the processor's cache. Ranges without data are not
//! read.

use std::io;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::checksums::BlockChecksum;
use crate::error::{Error, Result};
use crate::image;
use crate::transfer::{Lease, Pool};

/// Looked at in one go; the compiler makes a few vector instructions of it.
const STRIDE: usize = 128;

/// A disk cut into blocks.
#[derive(Clone, Debug)]
pub struct BlockReader {
    blocks: Arc<image::DiskReader>,
    block_size: usize,
    /// Blocks of zeros need not travel: what was never written reads as zeros.
    sparse: bool,
}

/// A block that was read. The bytes go before the lease: the next read then finds the buffer.
pub struct Block {
    pub index: u32,
    pub bytes: Bytes,
    pub checksum: BlockChecksum,
    _lease: Lease,
}

/// What the reader has to tell.
pub enum ReadItem {
    /// A block that has to travel.
    Block(Block),
    /// One that has not.
    Zeros,
}

impl BlockReader {
    /// Cuts the disk. Indexes travel as signed 32-bit numbers.
    pub fn new(blocks: Arc<image::DiskReader>, block_size: usize, sparse: bool) -> Result<Self> {
        let disk = Self {
            blocks,
            block_size,
            sparse,
        };
        if block_size == 0 || disk.count() > i32::MAX.unsigned_abs().into() {
            let cuts = format!("its {} bytes in blocks of {block_size}", disk.blocks.size());
            return Err(Error::failed("the disk can't be cut into blocks").with_cause(cuts));
        }
        Ok(disk)
    }

    fn count(&self) -> u64 {
        self.blocks.size().div_ceil(self.block_size.max(1) as u64)
    }

    /// Bytes of the blocks that may have to travel; of those that hold zeros it is not
    /// known before they are read.
    pub fn bytes(&self) -> Result<u64> {
        let mut count = 0;
        self.for_each(|_, hole| {
            count += u64::from(!(hole && self.sparse));
            Ok(true)
        })?;
        Ok(count * self.block_size as u64)
    }

    /// Every block in order, and whether it lies in a hole; until the answer is no.
    fn for_each(&self, mut visit: impl FnMut(u32, bool) -> Result<bool>) -> Result<()> {
        let size = self.block_size as u64;
        let mut next = 0;
        while next < self.count() {
            let data = self.blocks.data(next * size);
            let data = data.map_err(|error| read_error(next * size, error))?;
            // The end of one range and the start of the next may lie in one block.
            let (start, end) = data.map_or((self.count(), self.count()), |range| {
                (range.start / size, range.end.div_ceil(size))
            });
            let (start, end) = (start.max(next), end.min(self.count()));
            let holes = if self.sparse { start } else { next };
            for index in holes..end.max(start) {
                let index32 = u32::try_from(index).unwrap_or(u32::MAX);
                if !visit(index32, index < start)? {
                    return Ok(());
                }
            }
            next = end.max(start).max(next + 1);
        }
        Ok(())
    }

    /// Fills the buffer; what lies past the disk's end are zeros.
    fn fill(&self, index: u32, buffer: &mut [u8]) -> Result<()> {
        let offset = u64::from(index) * self.block_size as u64;
        let remaining = usize::try_from(self.blocks.size() - offset).unwrap_or(usize::MAX);
        let (inside, outside) = buffer.split_at_mut(remaining.min(self.block_size));
        outside.fill(0);
        self.blocks
            .read_at(inside, offset)
            .map_err(|error| read_error(offset, error))
    }

    /// The same block once more.
    pub fn reread(&self, index: u32) -> Result<(BlockChecksum, Bytes)> {
        let mut buffer = vec![0; self.block_size];
        self.fill(index, &mut buffer)?;
        Ok((BlockChecksum::compute(&buffer), Bytes::from(buffer)))
    }

    /// Starts reading, into the buffers of this pool.
    pub fn read(self, pool: Arc<Pool>, buffers: usize) -> Result<mpsc::Receiver<Result<ReadItem>>> {
        let (sender, receiver) = mpsc::channel(buffers);
        let read = move || {
            if let Err(error) = self.send(&pool, &sender) {
                // Nobody listens any more when this fails, and nobody needs to.
                drop(sender.blocking_send(Err(error)));
            }
        };
        let spawned = thread::Builder::new().name("read".to_owned()).spawn(read);
        spawned.map_err(|error| Error::failed("the image can't be read").with_source(error))?;
        Ok(receiver)
    }

    fn send(&self, pool: &Arc<Pool>, sender: &mpsc::Sender<Result<ReadItem>>) -> Result<()> {
        let mut spare = None;
        self.for_each(|index, hole| {
            if hole && self.sparse {
                return Ok(true);
            }
            let leased = spare
                .take()
                .map_or_else(|| pool.take(), |leased| Ok(Some(leased)));
            let Some((mut buffer, lease)) = leased? else {
                return Ok(false);
            };
            if hole {
                buffer.fill(0);
            } else {
                self.fill(index, &mut buffer)?;
            }
            if self.sparse && is_zero(&buffer) {
                spare = Some((buffer, lease));
                return Ok(sender.blocking_send(Ok(ReadItem::Zeros)).is_ok());
            }
            let block = Block {
                index,
                checksum: BlockChecksum::compute(&buffer),
                bytes: lease.share(buffer, self.block_size),
                _lease: lease,
            };
            Ok(sender.blocking_send(Ok(ReadItem::Block(block))).is_ok())
        })
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(STRIDE)
        .all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}

fn read_error(offset: u64, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return crate::transfer::source_changed(format!("it ended near byte {offset}"));
    }
    Error::failed(format!("byte {offset} of the disk can't be read")).with_source(error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::{Format, Image};
    use crate::platform;

    const SIZE: usize = 4096;

    fn disk(file: &tempfile::NamedTempFile, sparse: bool) -> BlockReader {
        let image = Image::open(file.path(), Some(Format::Raw)).unwrap();
        BlockReader::new(
            Arc::new(image::DiskReader::open(&image).unwrap()),
            SIZE,
            sparse,
        )
        .unwrap()
    }

    /// Index and bytes of all blocks that travel, and how many did not.
    fn read(disk: &BlockReader) -> (Vec<(u32, Vec<u8>)>, usize) {
        let mut receiver = disk.clone().read(Pool::new(SIZE, 3), 3).unwrap();
        let (mut sent, mut zeros) = (Vec::new(), 0);
        while let Some(read) = receiver.blocking_recv() {
            match read.unwrap() {
                ReadItem::Block(block) => {
                    assert_eq!(block.checksum, BlockChecksum::compute(&block.bytes));
                    sent.push((block.index, block.bytes.to_vec()));
                }
                ReadItem::Zeros => zeros += 1,
            }
        }
        (sent, zeros)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever lies where on the disk, the blocks that travel, laid over zeros, are the disk.
        #[test]
        fn blocks_over_zeros_are_the_disk(
            size in 1_usize..64 * SIZE,
            writes in proptest::collection::vec((0_usize..64 * SIZE, 1_usize..2 * SIZE, 0_u8..3), 0..8),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            let size = size.next_multiple_of(512);
            file.as_file().set_len(size as u64).unwrap();
            for (at, len, byte) in writes {
                let len = len.min(size.saturating_sub(at));
                platform::write_all_at(file.as_file(), &vec![byte; len], at as u64).unwrap();
            }
            let mut bytes = std::fs::read(file.path()).unwrap();
            bytes.resize(size.next_multiple_of(SIZE), 0);
            let blocks: Vec<_> = (0..).zip(bytes.chunks(SIZE).map(<[u8]>::to_vec)).collect();
            let data: Vec<_> = blocks.iter().filter(|(_, block)| block.iter().any(|byte| *byte != 0)).cloned().collect();
            let sparse = disk(&file, true);
            let (sent, zeros) = read(&sparse);
            prop_assert_eq!(&sent, &data);
            prop_assert_eq!(sparse.bytes().unwrap(), ((sent.len() + zeros) * SIZE) as u64);
            let dense = disk(&file, false);
            prop_assert_eq!(dense.bytes().unwrap(), bytes.len() as u64);
            prop_assert_eq!(read(&dense).0, blocks);
        }
    }

    #[test]
    fn shrinking_disk_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        platform::write_all_at(file.as_file(), &[1; 2 * SIZE], 0).unwrap();
        let disk = disk(&file, true);
        file.as_file().set_len(SIZE as u64).unwrap();
        assert!(disk.reread(0).is_ok());
        assert!(disk.reread(1).unwrap_err().one_line().contains("changed"));
    }
}
