//! The part that all targets share: it writes the bytes to a file in memory, inspects them as
//! a file and as a pipe, and reads at several places of the disk inside. The results do not
//! matter; a target fails on a panic, a hang or unbounded memory.

#![allow(dead_code)]

#[path = "../../../src/error.rs"]
mod error;
#[path = "../../../src/guest/mod.rs"]
mod guest;
#[path = "../../../src/image/mod.rs"]
mod image;
#[path = "../../../src/platform/mod.rs"]
mod platform;
#[path = "../../../src/shell.rs"]
mod shell;

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crc_fast::CrcAlgorithm;
use rustix::fs::{MemfdFlags, memfd_create};

use image::{Accepts, CheckedReader, DiskReader, HEAD, Image};

/// A file in memory, with holes where nothing was written.
pub struct Disk(File);

impl Disk {
    pub fn new() -> Self {
        let file = memfd_create("disk", MemfdFlags::CLOEXEC).expect("a file in memory");
        Self(file.into())
    }

    /// A file of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::new().with(0, bytes)
    }

    #[must_use]
    pub fn with(self, at: u64, bytes: &[u8]) -> Self {
        self.0.write_all_at(bytes, at).expect("room in memory");
        self
    }

    #[must_use]
    pub fn of_size(self, len: u64) -> Self {
        self.0.set_len(len).expect("room in memory");
        self
    }

    /// Looks into the system on it.
    pub fn inside(&self) {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        if let Ok(image) = Image::open(&path, None) {
            let _ = guest::Guest::inspect(&image).to_json();
        }
    }

    /// Looks at it in every way.
    pub fn look(&self) {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        let Ok(mut image) = Image::open(&path, None) else {
            return;
        };
        image.describe();
        let _ = image.verify();
        let Ok(blocks) = DiskReader::open(&image) else {
            return;
        };
        let _ = blocks.allocated();
        let size = blocks.size();
        let mut buffer = [0; 5000];
        for at in [0, 4000, size / 2, size.saturating_sub(5000)] {
            let _ = blocks.read_at(&mut buffer, at);
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes as a file and as a pipe, which is read to its end.
pub fn look(bytes: &[u8]) {
    let head = &bytes[..bytes.len().min(HEAD)];
    if let Ok(image) = Image::from_head(head, None) {
        image.describe();
        let _ = CheckedReader::new(bytes, &image, Accepts::new(|_| Ok(()))).read_to_end(&mut Vec::new());
    }
    Disk::of(bytes).look();
}

/// The bytes behind this mark, if they are as long.
pub fn marked(bytes: &[u8], at: usize, mark: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(place) = bytes.get_mut(at..at + mark.len()) {
        place.copy_from_slice(mark);
    }
    bytes
}

/// The checksum of a VHD: the ones' complement of the sum of all other bytes.
pub fn seal_vhd(bytes: &mut [u8], at: usize) {
    bytes[at..at + 4].fill(0);
    let sum = bytes
        .iter()
        .fold(0, |sum: u32, &byte| sum.wrapping_add(byte.into()));
    bytes[at..at + 4].copy_from_slice(&(!sum).to_be_bytes());
}

/// A CRC of four bytes at this place.
pub fn seal_crc(algorithm: CrcAlgorithm, bytes: &mut [u8], at: usize) {
    bytes[at..at + 4].fill(0);
    let sum = crc_fast::checksum(algorithm, bytes).to_le_bytes();
    bytes[at..at + 4].copy_from_slice(&sum[..4]);
}
