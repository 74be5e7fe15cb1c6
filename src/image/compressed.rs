//! Unpacks a file that is compressed as a whole, with bounds on the memory that it asks for,
//! and says what keeps a stream from being unpacked to its end.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use super::Content;
use super::error::{Remedy, Trouble};

/// The most memory that a stream of zstd may ask for.
const ZSTD_WINDOW: u64 = 128 << 20;
/// The most memory that a stream of xz may ask for, in KiB.
const XZ_MEMORY: u32 = 256 << 10;
/// Read at a time.
const BLOCK: usize = 256 << 10;

/// The unpacked bytes; None for what is no stream.
pub(super) fn unpacked<'a>(
    content: &Content,
    packed: impl Read + Send + 'a,
) -> io::Result<Option<Box<dyn Read + 'a>>> {
    let packed = BufReader::with_capacity(BLOCK, packed);
    Ok(Some(match content {
        Content::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Content::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        Content::Xz => Box::new(XzReader::new_mem_limit(packed, true, XZ_MEMORY)),
        Content::Zstd => Box::new(
            StreamingDecoder::new_with_max_window_size(packed, ZSTD_WINDOW)
                .map_err(|error| io::Error::other(error.to_string()))?,
        ),
        _ => return Ok(None),
    }))
}

/// How far a buffer was filled, and why no further: at the end of the stream, by an error.
pub(super) struct End {
    pub(super) len: usize,
    pub(super) reason: Option<io::Result<()>>,
}

/// As many bytes as there are.
pub(super) fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> End {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => {
                let reason = Some(Ok(()));
                return End { len, reason };
            }
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let reason = Some(Err(error));
                return End { len, reason };
            }
        }
    }
    End { len, reason: None }
}

/// Whether the stream has ended, and what follows is none: gzip(1) passes over that, too.
pub(super) fn is_padding(content: &Content, size: u64, error: &io::Error) -> bool {
    *content == Content::Gzip
        && size > 0
        && error.kind() == io::ErrorKind::InvalidInput
        && error.to_string() == "invalid gzip header"
}

/// A stream that can't be unpacked to its end.
pub(super) fn broken(content: &Content, size: u64, error: &io::Error) -> Trouble {
    let name = content.name();
    let cause = if error.kind() == io::ErrorKind::UnexpectedEof {
        format!("the {name} is cut short: its stream breaks off after {size} unpacked bytes")
    } else {
        format!("the {name} is damaged behind {size} unpacked bytes: {error}")
    };
    Trouble::unfit(cause, Remedy::CopyAgain)
}
