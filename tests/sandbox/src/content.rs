//! Bytes that clients sent, kept on disk: an object is the row of its parts' files, so
//! that neither a large upload nor its completion costs memory or a second copy. Runs of
//! zeros become holes. The files go when the last object, task or snapshot lets go.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};

const CHUNK: usize = 256 * 1024;

#[derive(Clone, Debug, Default)]
pub struct Content {
    pieces: Vec<Piece>,
    size: u64,
}

#[derive(Clone, Debug)]
struct Piece {
    file: Arc<TempPath>,
    size: u64,
}

impl Content {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All of it in memory, for comparisons in tests.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Its first bytes, so many at most.
    pub fn start(&self, len: u64) -> io::Result<Vec<u8>> {
        self.read_at(0, len.min(self.size()))
    }

    /// Writes all of it to a file, with holes for zeros.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let (file, mut at) = (File::create(path)?, 0);
        for chunk in self.reader().chunks(self.size) {
            let chunk = chunk?;
            if chunk.iter().any(|byte| *byte != 0) {
                write_all_at(&file, &chunk, at)?;
            }
            at += chunk.len() as u64;
        }
        file.set_len(self.size)
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader {
            content: self.clone(),
            position: 0,
            open: None,
        }
    }

    /// Up to `len` bytes from `offset`; fewer at the end.
    pub(crate) fn read_at(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut reader = self.reader();
        reader.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        reader.take(len).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn join<'a>(contents: impl Iterator<Item = &'a Content>) -> Self {
        let pieces: Vec<_> = contents
            .flat_map(|content| content.pieces.clone())
            .collect();
        let size = pieces.iter().map(|piece| piece.size).sum();
        Self { pieces, size }
    }
}

/// A part being received.
pub(crate) struct Draft {
    file: NamedTempFile,
    size: u64,
}

impl Draft {
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let file = NamedTempFile::new_in(dir)?;
        Ok(Self { file, size: 0 })
    }

    pub(crate) fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if chunk.iter().any(|byte| *byte != 0) {
            write_all_at(self.file.as_file(), chunk, self.size)?;
        }
        self.size += chunk.len() as u64;
        Ok(())
    }

    /// Some bytes of it, in whatever order they come.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        write_all_at(self.file.as_file(), bytes, offset)
    }

    /// What was written at positions, with holes up to this size.
    pub(crate) fn finish_at(mut self, size: u64) -> io::Result<Content> {
        self.size = size;
        self.finish()
    }

    pub(crate) fn finish(self) -> io::Result<Content> {
        self.file.as_file().set_len(self.size)?;
        let piece = Piece {
            file: Arc::new(self.file.into_temp_path()),
            size: self.size,
        };
        Ok(Content {
            size: piece.size,
            pieces: vec![piece],
        })
    }
}

/// Reads the pieces as one file.
pub(crate) struct Reader {
    content: Content,
    position: u64,
    open: Option<(usize, File)>,
}

impl Reader {
    /// The piece at the position, with the offset inside it.
    fn piece(&self) -> Option<(usize, u64)> {
        let mut offset = self.position;
        for (index, piece) in self.content.pieces.iter().enumerate() {
            if offset < piece.size {
                return Some((index, offset));
            }
            offset -= piece.size;
        }
        None
    }

    fn file(&mut self, index: usize) -> io::Result<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != index) {
            let file = File::open(&*self.content.pieces[index].file)?;
            self.open = Some((index, file));
        }
        let (_, file) = self.open.as_ref().expect("opened just above");
        Ok(file)
    }

    pub(crate) fn chunks(self, len: u64) -> impl Iterator<Item = io::Result<Bytes>> + Send + Sync {
        let mut rest = self.take(len);
        std::iter::from_fn(move || {
            let mut chunk = vec![0; CHUNK];
            match rest.read(&mut chunk) {
                Ok(0) => None,
                Ok(read) => {
                    chunk.truncate(read);
                    Some(Ok(chunk.into()))
                }
                Err(err) => Some(Err(err)),
            }
        })
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((index, offset)) = self.piece() else {
            return Ok(0);
        };
        let read = read_at(self.file(index)?, buffer, offset)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.content.size.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let at = offset + done as u64;
        done += std::os::windows::fs::FileExt::seek_write(file, &bytes[done..], at)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(dir: &Path, chunks: &[&[u8]]) -> Content {
        let mut draft = Draft::new(dir).unwrap();
        for chunk in chunks {
            draft.write(chunk).unwrap();
        }
        draft.finish().unwrap()
    }

    #[test]
    fn parts_read_as_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let parts = [
            content(dir.path(), &[b"ab", &[0; 3]]),
            content(dir.path(), &[b"cd"]),
        ];
        let whole = Content::join(parts.iter());
        assert_eq!(whole.bytes().unwrap(), b"ab\0\0\0cd");
        assert_eq!(whole.read_at(4, 2).unwrap(), b"\0c");
    }

    #[test]
    fn files_go_with_the_last_owner() {
        let dir = tempfile::tempdir().unwrap();
        let part = content(dir.path(), &[b"ab"]);
        let whole = Content::join([&part].into_iter());
        drop(part);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        drop(whole);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
