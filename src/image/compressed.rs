//! Decompresses a file that is compressed as a whole, with limits on the memory, and reports
//! why a stream cannot be decompressed to its end.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use super::Content;
use super::error::{Fix, ImageError};

/// The most memory that a zstd stream may require, in bytes.
const ZSTD_WINDOW: u64 = 128 << 20;
/// The most memory that an xz stream may require, in KiB.
const XZ_MEMORY: u32 = 256 << 10;
/// Bytes that are read at a time.
const BLOCK: usize = 256 << 10;

/// Returns a reader of the decompressed bytes; `None` for content that is not compressed.
pub(super) fn decompressed<'a>(
    content: &Content,
    compressed: impl Read + Send + 'a,
) -> io::Result<Option<Box<dyn Read + 'a>>> {
    let compressed = BufReader::with_capacity(BLOCK, compressed);
    Ok(Some(match content {
        Content::Gzip => Box::new(MultiGzDecoder::new(compressed)),
        Content::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(compressed)),
        Content::Xz => Box::new(XzReader::new_mem_limit(compressed, true, XZ_MEMORY)),
        Content::Zstd => Box::new(
            StreamingDecoder::new_with_max_window_size(compressed, ZSTD_WINDOW)
                .map_err(|error| io::Error::other(error.to_string()))?,
        ),
        _ => return Ok(None),
    }))
}

/// The number of bytes in a filled buffer, and the reason that it ended there: the end of the
/// stream, or an error.
pub(super) struct ReadEnd {
    pub(super) len: usize,
    pub(super) reason: Option<io::Result<()>>,
}

/// Fills the buffer with as many bytes as there are.
pub(super) fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> ReadEnd {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => {
                let reason = Some(Ok(()));
                return ReadEnd { len, reason };
            }
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let reason = Some(Err(error));
                return ReadEnd { len, reason };
            }
        }
    }
    ReadEnd { len, reason: None }
}

/// Reports whether the stream has ended, and what follows is not a stream: gzip(1) ignores
/// that, too.
pub(super) fn is_trailing_padding(content: &Content, size: u64, error: &io::Error) -> bool {
    *content == Content::Gzip
        && size > 0
        && error.kind() == io::ErrorKind::InvalidInput
        && error.to_string() == "invalid gzip header"
}

/// Creates the error for a stream that cannot be decompressed to its end.
pub(super) fn damaged(content: &Content, size: u64, error: &io::Error) -> ImageError {
    let name = content.name();
    let cause = if error.kind() == io::ErrorKind::UnexpectedEof {
        format!("the {name} is cut short: its stream breaks off after {size} unpacked bytes")
    } else {
        format!("the {name} is damaged behind {size} unpacked bytes: {error}")
    };
    ImageError::unusable(cause, Fix::CopyAgain)
}
