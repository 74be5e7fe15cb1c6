//! The system that the program runs on, where systems differ: reading a file at any
//! position, its holes and its identity, what may ask the program to end, and the console.

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

/// Which file of this machine it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// The device; on Windows the volume's serial number.
    pub device: u64,
    /// The inode; on Windows the index of the file.
    pub inode: u64,
}

/// What a path leads to that is no file.
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

/// What asks a program to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, or SIGHUP; on Windows a console that is closed, or the end of the session.
    Terminate,
}

/// All of these bytes, or an error.
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

/// For tests: these bytes there.
#[cfg(test)]
pub fn write_all_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}
