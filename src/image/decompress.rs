//! Decompresses the units of a disk independently: never to more bytes than a unit has,
//! whatever the input claims.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress};
use ruzstd::decoding::StreamingDecoder;

use super::byte_view::invalid_data;

/// The largest window; QEMU's default level writes streams of unknown length with 2 MiB.
const ZSTD_WINDOW: u64 = 8 << 20;

#[derive(Clone, Copy, Debug)]
pub(super) enum Codec {
    /// RFC 1951, of qcow2.
    Deflate,
    /// RFC 1950, of VMDK.
    Zlib,
    /// RFC 8878, of qcow2.
    Zstd,
}

impl Codec {
    /// Returns the bytes of a unit; fewer where the input ends early.
    pub(super) fn decompress(self, input: &[u8], unit: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Deflate => inflate(Decompress::new(false), input, unit),
            Self::Zlib => inflate(Decompress::new(true), input, unit),
            Self::Zstd => zstd(input, unit),
        }
    }
}

fn inflate(mut decoder: Decompress, input: &[u8], unit: usize) -> io::Result<Vec<u8>> {
    let mut output = Vec::with_capacity(unit);
    decoder
        .decompress_vec(input, &mut output, FlushDecompress::Sync)
        .map_err(|error| invalid_data(&format!("compressed data can't be read ({error})")))?;
    Ok(output)
}

fn zstd(input: &[u8], unit: usize) -> io::Result<Vec<u8>> {
    let unreadable = |error: &dyn std::fmt::Display| {
        invalid_data(&format!("compressed data can't be read ({error})"))
    };
    let decoder = StreamingDecoder::new_with_max_window_size(input, ZSTD_WINDOW)
        .map_err(|error| unreadable(&error))?;
    let mut output = Vec::with_capacity(unit);
    decoder
        .take(unit as u64)
        .read_to_end(&mut output)
        .map_err(|error| unreadable(&error))?;
    Ok(output)
}
