//! Reads a stream on a separate thread, which ends with the stream.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::image::error::ImageResult;

/// The most pieces that wait in the channel.
const WAITING: usize = 16;

/// A reader on a separate thread.
pub(super) struct Aside<T> {
    pieces: SyncSender<Vec<u8>>,
    thread: JoinHandle<ImageResult<T>>,
}

impl<T: Send + 'static> Aside<T> {
    /// Returns `None` where the system has no thread left.
    pub(super) fn begin(
        work: impl FnOnce(Pieces) -> ImageResult<T> + Send + 'static,
    ) -> Option<Self> {
        let (pieces, received) = sync_channel(WAITING);
        let reader = Pieces {
            received: Mutex::new(received),
            now: io::Cursor::default(),
        };
        let thread = thread::Builder::new().name("looking".to_owned());
        let thread = thread.spawn(move || work(reader)).ok()?;
        Some(Self { pieces, thread })
    }

    /// Passes the next bytes on. A reader that has ended met an error, which `end` returns.
    pub(super) fn see(&self, piece: &[u8]) {
        drop(self.pieces.send(piece.to_vec()));
    }

    /// Ends the stream, and returns the reader's result.
    pub(super) fn end(self) -> ImageResult<T> {
        drop(self.pieces);
        let gone = |_| Err(io::Error::other("the thread that reads the image broke off").into());
        self.thread.join().unwrap_or_else(gone)
    }
}

/// The reading end of the channel.
pub(super) struct Pieces {
    received: Mutex<Receiver<Vec<u8>>>,
    now: io::Cursor<Vec<u8>>,
}

impl io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.now.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let next = self
                .received
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner);
            match next.recv() {
                Ok(piece) => self.now = io::Cursor::new(piece),
                Err(_) => return Ok(0),
            }
        }
    }
}
