//! Compares the members of an OVA with the digests of its manifest while the archive is read
//! once.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::error::{ImageError, ImageNotice, ImageResult};
use super::formats::archive::{MAX_HEADERS, MAX_MEMBERS, Member};
use super::formats::ova::Names;
use super::ova_manifest::{Comparison, Digests, MAX_SIZE, Manifest};

/// Creates the error for a member whose digest differs from its line.
pub(super) fn different(member: &Member, listing: &Member) -> ImageError {
    let (name, listing) = (&member.name, &listing.name);
    let how = format_args!("{name} does not have the digest in {listing}");
    ImageError::damaged("OVA", how)
}

/// Compares the members of an OVA with its manifest while the archive is read once. Errors in
/// the archive itself are reported by the inspection.
pub(super) fn of_passing(archive: impl Read) -> ImageResult<Vec<ImageNotice>> {
    let left = Rc::new(Cell::new(MAX_HEADERS));
    let mut archive = tar::Archive::new(Bounded {
        reader: archive,
        left: Rc::clone(&left),
    });
    let (mut members, mut manifest) = (vec![], None);
    // Digests of the members before the manifest.
    let mut early: Vec<(usize, Digests)> = vec![];
    let entries = archive.entries().into_iter().flatten();
    for entry in entries.map_while(Result::ok) {
        let mut entry = entry;
        members.push(Member::new(&entry));
        let (at, names) = (members.len() - 1, Names::new(&members));
        let member = &members[at];
        left.set(u64::MAX);
        if names
            .manifest()
            .is_some_and(|listing| listing.offset == member.offset)
        {
            let mut text = vec![];
            entry.by_ref().take(MAX_SIZE).read_to_end(&mut text)?;
            manifest = Some((Manifest::parse(&text), at));
        } else if let Some((manifest, listing)) = &manifest {
            let compared = manifest.compare(&names.all(member), &mut entry);
            if compared.ok() == Some(Comparison::Different) {
                return Err(different(member, &members[*listing]));
            }
        } else if member.is_complete
            && let Ok(digests) = Digests::of(&mut entry)
        {
            early.push((at, digests));
        }
        if io::copy(&mut entry, &mut io::sink()).is_err() || members.len() > MAX_MEMBERS {
            break;
        }
        left.set(MAX_HEADERS);
    }
    // The stream must be read to its end all the same: its other readers get the bytes through
    // this one.
    let Some((manifest, listing)) = manifest else {
        return Ok(vec![]);
    };
    let names = Names::new(&members);
    let mut notices = vec![];
    for (at, digests) in &early {
        let member = &members[*at];
        match manifest.compare_digests(&names.all(member), digests) {
            Some(Comparison::Different) => return Err(different(member, &members[listing])),
            Some(_) => {}
            None => {
                let (name, listing) = (&member.name, &members[listing].name);
                let text = format!(
                    "{name} was not compared: the manifest {listing} comes behind it on standard input"
                );
                notices.push(ImageNotice::new(text, None));
            }
        }
    }
    Ok(notices)
}

/// A reader with a budget, so that the extension of a header is never read without limit.
struct Bounded<R> {
    reader: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other("its headers never end"));
        }
        let count = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.reader.read(&mut buffer[..count])?;
        self.left.set(left.saturating_sub(read as u64));
        Ok(read)
    }
}
