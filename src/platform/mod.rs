//! The functions that differ between operating systems: reading a file at any offset, its holes
//! and its identity, signals, and the console.

use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};

mod memory;
pub use memory::address_space;

mod sockets;
pub use sockets::unsent_bytes;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;

/// The identity of a file on this machine, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// The device; on Windows the volume's serial number.
    pub device: u64,
    /// The inode; on Windows the index of the file.
    pub inode: u64,
}

/// The kind of a path that is not a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    windows,
    expect(dead_code, reason = "Windows shows only directories to be none")
)]
pub enum NotRegularFile {
    Directory,
    /// A pipe, or a device that is read like one.
    Pipe,
    /// A whole disk.
    BlockDevice,
    Socket,
}

/// A request to end the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, or SIGHUP; on Windows a console that is closed, or the end of the session.
    Terminate,
}

/// Fills the buffer from this offset; an early end is an error.
pub fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_at(file, buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes these bytes there, for tests.
#[cfg(test)]
pub fn write_all_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}
