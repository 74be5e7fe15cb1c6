//! What lies in a file that is compressed as a whole: looked at by its first bytes, and read
//! to its end where the stream's own checksums and the size of what lies in it count.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use super::look::{Said, Subject};
use super::refusal::{Remedy, Sight, Trouble};
use super::stream::Watch;
use super::window::Window;
use super::{Content, HEAD, Image, Source};

/// The most memory that a stream of zstd may ask for.
const ZSTD_WINDOW: u64 = 128 << 20;
/// The most memory that a stream of xz may ask for, in KiB.
const XZ_MEMORY: u32 = 256 << 10;
/// Read at a time.
const BLOCK: usize = 256 << 10;

/// The unpacked bytes; None for what is no stream.
fn unpacked<'a>(
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

/// The image in a compressed file, as far as its first bytes show it; None where they can't
/// be unpacked.
pub(super) fn look(
    content: &Content,
    packed: impl Read + Send,
    said: Said,
) -> Sight<Option<Image>> {
    let mut head = vec![0; HEAD];
    let Ok(Some(mut unpacked)) = unpacked(content, packed) else {
        return Ok(None);
    };
    let end = fill(&mut *unpacked, &mut head);
    head.truncate(end.len);
    if head.is_empty() {
        return Ok(None);
    }
    let whole = end.reason.is_some_and(|reason| reason.is_ok());
    of_head(content, head, whole, said).map(Some)
}

/// The image that these first bytes of the unpacked ones show; `whole` if there are no others.
fn of_head(content: &Content, head: Vec<u8>, whole: bool, said: Said) -> Sight<Image> {
    let shared: Arc<[u8]> = head.clone().into();
    let bytes: &[u8] = &shared;
    let window = if whole {
        Window::all(&bytes, bytes.len() as u64)
    } else {
        Window::head(&bytes)
    };
    let subject = Subject {
        source: Source::Stdin,
        window,
        size: whole.then_some(bytes.len() as u64),
        there: bytes.len() as u64,
        open: &|| Ok(Box::new(Arc::clone(&shared))),
    };
    let inner = Said {
        format: None,
        ..said
    };
    let image = subject.look(inner);
    let mut image = image.map_err(|trouble| within(content, trouble))?;
    image.head = head;
    Ok(image)
}

/// How far a buffer was filled, and why no further: at the end of the stream, by an error.
struct End {
    len: usize,
    reason: Option<io::Result<()>>,
}

/// As many bytes as there are.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> End {
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

/// Says that the trouble is with what lies in the file.
fn within(content: &Content, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Unfit { cause, remedy } | Trouble::Strange { cause, remedy } => Trouble::Unfit {
            cause: format!("in {}: {cause}", content.label()),
            remedy: match remedy {
                Remedy::Convert | Remedy::TakeOut(_) | Remedy::Repack(_) => {
                    Remedy::say("unpack it, and import what lies in it")
                }
                other => other,
            },
        },
        Trouble::Unread(error) => Trouble::Unread(error),
    }
}

/// Reads a compressed stream to its end: its checksums and lengths must be right, and what
/// lies in it is looked at as a whole. Returns that, with its size.
pub(super) fn verify(content: &Content, packed: impl Read + Send, said: Said) -> Sight<Image> {
    let unpacked = unpacked(content, packed).map_err(|error| broken(content, 0, &error))?;
    let Some(mut unpacked) = unpacked else {
        return Err(Trouble::unfit("it can't be unpacked", Remedy::CopyAgain));
    };
    let mut block = vec![0; HEAD];
    let mut end = fill(&mut *unpacked, &mut block);
    let mut inner: Option<Image> = None;
    let mut watch: Option<Watch> = None;
    let mut size = 0;
    loop {
        size += end.len as u64;
        if let Some(Err(error)) = &end.reason {
            if !is_padding(content, size, error) {
                return Err(broken(content, size, error));
            }
            end.reason = Some(Ok(()));
        }
        let bytes = &block[..end.len];
        match &mut watch {
            Some(watch) => watch.see(bytes),
            None if size == 0 => {
                let cause = format!("there is nothing in {}", content.label());
                return Err(Trouble::unfit(cause, Remedy::CopyAgain));
            }
            None => {
                let image = of_head(content, bytes.to_vec(), end.reason.is_some(), said)?;
                let mut first = Watch::new(&image);
                first.see(bytes);
                (inner, watch) = (Some(image), Some(first));
            }
        }
        if end.reason.is_some() {
            break;
        }
        end = fill(&mut *unpacked, &mut block);
    }
    let ended = watch.map_or(Ok(vec![]), Watch::end);
    ended.map_err(|trouble| within(content, trouble))?;
    let mut inner = inner.ok_or_else(|| Trouble::unfit("it is empty", Remedy::CopyAgain))?;
    (inner.size, inner.head) = (Some(size), vec![]);
    if inner.content == Content::Raw {
        inner.virtual_size = Some(size);
    }
    Ok(inner)
}

/// Whether the stream has ended, and what follows is none: gzip(1) passes over that, too.
fn is_padding(content: &Content, size: u64, error: &io::Error) -> bool {
    *content == Content::Gzip
        && size > 0
        && error.kind() == io::ErrorKind::InvalidInput
        && error.to_string() == "invalid gzip header"
}

/// A stream that can't be unpacked to its end.
fn broken(content: &Content, size: u64, error: &io::Error) -> Trouble {
    let name = content.name();
    let cause = if error.kind() == io::ErrorKind::UnexpectedEof {
        format!("the {name} is cut short: its stream breaks off after {size} unpacked bytes")
    } else {
        format!("the {name} is damaged behind {size} unpacked bytes: {error}")
    };
    Trouble::unfit(cause, Remedy::CopyAgain)
}
