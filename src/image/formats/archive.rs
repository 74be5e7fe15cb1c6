//! The members of a tar archive and their offsets (POSIX ustar, with the base-256 and PAX sizes
//! that writers use over 8 GiB, GNU's long names, and the form of Unix V7). Content is never
//! read here; `ova` interprets the members.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};

use tar::EntryType;

use super::super::byte_view::{ByteView, Structure};
use super::super::error::{Fix, ImageError, ImageResult};

/// The most members: an OVA has a handful, an archive of more is another kind.
pub(in crate::image) const MAX_MEMBERS: usize = 1000;
/// Bytes of tar headers, with their extensions, that one inspection may read.
pub(in crate::image) const MAX_HEADERS: u64 = 8 << 20;

/// A file in the archive.
#[derive(Debug)]
pub(in crate::image) struct Member {
    pub(in crate::image) name: String,
    /// Offset of its content in the archive.
    pub(in crate::image) offset: u64,
    pub(in crate::image) size: u64,
    /// Its content is contiguous; not so for links and GNU's sparse files.
    pub(in crate::image) is_complete: bool,
}

/// Reports whether the bytes begin with the header of an archive: by the signature of POSIX, or
/// by the checksum, which is all that the form of Unix V7 has.
pub(in crate::image) fn has_magic(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else {
        return false;
    };
    header[257..262] == *b"ustar" || is_v7(header)
}

/// Verifies POSIX's "ustar Interchange Format", chksum: the sum of all bytes, its own as
/// spaces.
fn is_v7(header: &[u8]) -> bool {
    let field = String::from_utf8_lossy(&header[148..156]);
    let field = field.trim_matches(['\0', ' ']);
    let bytes = header.iter().enumerate();
    let sum = bytes.map(|(at, &byte)| match at {
        148..156 => u64::from(b' '),
        _ => u64::from(byte),
    });
    header[0] > b' ' && u64::from_str_radix(field, 8) == Ok(sum.sum())
}

impl Member {
    pub(in crate::image) fn new<R: Read>(entry: &tar::Entry<'_, R>) -> Self {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        Self {
            name: name.strip_prefix("./").unwrap_or(&name).to_owned(),
            offset: entry.raw_file_position(),
            size: entry.size(),
            is_complete: entry.header().entry_type().is_file(),
        }
    }

    /// Reports whether its name has this extension, in any case.
    pub(in crate::image) fn ends_with(&self, extension: &str) -> bool {
        let from = self.name.len().saturating_sub(extension.len());
        let end = self.name.get(from..);
        end.is_some_and(|end| end.eq_ignore_ascii_case(extension))
    }
}

/// Returns the members, as far as a pipe shows them.
pub(in crate::image) fn members(view: &ByteView) -> ImageResult<Vec<Member>> {
    let mut archive = tar::Archive::new(Headers {
        view,
        at: 0,
        left: MAX_HEADERS,
    });
    let mut members: Vec<Member> = Vec::new();
    let mut names = HashSet::new();
    for entry in archive.entries_with_seek()? {
        let member = match entry {
            Ok(entry) if is_named(entry.header().entry_type()) => Member::new(&entry),
            Ok(_) => continue,
            // The head of a pipe may end anywhere; the members after it are not available.
            Err(_) if view.len().is_none() => break,
            Err(error) if error.raw_os_error().is_some() => return Err(error.into()),
            Err(error) => return Err(ImageError::damaged("OVA", error)),
        };
        let end = member.offset.saturating_add(member.size);
        view.require_len(Structure("OVA", "a file in it"), end)?;
        if !names.insert(member.name.clone()) {
            let how = format_args!("it has two files named {}", member.name);
            return Err(ImageError::damaged("OVA", how));
        }
        members.push(member);
        if members.len() > MAX_MEMBERS {
            let cause = format!("the archive has more than {MAX_MEMBERS} files, which no OVA has");
            let remedy = "pack only the descriptor and the disks that it names";
            return Err(ImageError::unusable(cause, Fix::custom(remedy)));
        }
    }
    Ok(members)
}

/// Reports whether it is a file, or a link to one.
fn is_named(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::Regular
            | EntryType::Continuous
            | EntryType::Link
            | EntryType::Symlink
            | EntryType::GNUSparse
    )
}

/// A reader for tar with a budget, so that a header's extension of gigabytes is an error and
/// not an allocation.
struct Headers<'a> {
    view: &'a ByteView<'a>,
    at: u64,
    left: u64,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("its headers never end"));
        }
        let wanted = self.left.min(buffer.len() as u64);
        let bytes = self.view.read_up_to(self.at, wanted)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        self.left -= bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(_) => None,
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
