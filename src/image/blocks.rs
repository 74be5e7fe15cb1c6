//! The first disk of an image as the guest sees it: bytes at positions, decoded in
//! place, and where there is nothing but zeros.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, seek};

use super::{Content, Image, Source};
use crate::error::{Error, Result};

/// A disk that can be read at any position, by many at once.
#[derive(Debug)]
pub struct Blocks {
    file: File,
    size: u64,
}

impl Blocks {
    /// Opens the first disk of the image.
    pub fn open(image: &Image) -> Result<Self> {
        let Source::File(path) = &image.source else {
            return Err(Error::refused(
                "standard input can't be read at any position",
            ));
        };
        if image.content != Content::Raw {
            return Err(Error::refused(format!(
                "the disk inside {} can't be read here",
                image.label()
            )));
        }
        let unreadable =
            |error| Error::failed(format!("{} can't be read", path.display())).because(error);
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        Ok(Self { file, size })
    }

    /// Bytes of the disk.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills the buffer from this position on; what lies past the end is an error.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// The next range at or after `from` that may hold data; all before it are zeros.
    pub fn data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        if from >= self.size {
            return Ok(None);
        }
        let start = match seek(&self.file, SeekFrom::Data(from)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => return Ok(None),
            // A file system without holes.
            Err(_) => return Ok(Some(from..self.size)),
        };
        let end = seek(&self.file, SeekFrom::Hole(start))?;
        Ok((start < self.size).then(|| start..end.min(self.size)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn of_a_sparse_disk_only_the_data_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(64 << 20).unwrap();
        file.as_file().write_all_at(&[7; 4096], 32 << 20).unwrap();
        file.as_file().flush().unwrap();
        let image = Image::open(file.path(), None).unwrap();
        let blocks = Blocks::open(&image).unwrap();
        assert_eq!(blocks.size(), 64 << 20);
        let data = blocks.data(0).unwrap().unwrap();
        assert!(data.contains(&(32 << 20)) && data.end - data.start < 1 << 20);
        assert_eq!(blocks.data(data.end).unwrap(), None);
        let mut bytes = [0; 2];
        blocks.read_at(&mut bytes, (32 << 20) - 1).unwrap();
        assert_eq!(bytes, [0, 7]);
        assert!(blocks.read_at(&mut bytes, (64 << 20) - 1).is_err());
    }
}
