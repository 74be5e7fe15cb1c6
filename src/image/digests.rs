//! A file against what it says of itself: an OVA's members against the digests of its
//! manifest, a compressed file against its checksums. What a download has broken shows here,
//! before it is sent.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::byte_view::Window;
use super::comparison::different;
use super::error::Sight;
use super::formats::archive;
use super::formats::ova::Names;
use super::ova_manifest::{Comparison, LARGEST, Manifest};
use super::stream::verify;
use super::{Content, Image, Source, regular_file};
use crate::error::Result;

impl Image {
    /// Reads the file where all of it must be read: refuses an OVA of which a member does not
    /// have the digest in the manifest, and a compressed file that is damaged or cut, or whose
    /// content is. A pipe can't be read twice: it is looked at while it is sent.
    pub fn verify(&mut self) -> Result<()> {
        let Source::File(path) = self.source.clone() else {
            return Ok(());
        };
        if self.has_manifest() {
            let (file, about) = regular_file(&path)?;
            return compare(&file, about.len()).map_err(|trouble| trouble.at(&path));
        }
        if self.is_compressed() {
            let (file, _) = regular_file(&path)?;
            let inner = verify(&self.content, file, self.said);
            let inner = inner.map_err(|trouble| trouble.at(&path))?;
            self.holds(Some(inner));
        }
        Ok(())
    }

    /// Whether all of the file must be read to know that it is whole.
    pub fn is_read_whole(&self) -> bool {
        self.has_manifest() || self.is_compressed()
    }

    fn has_manifest(&self) -> bool {
        matches!(self.content, Content::Ova { manifest: true })
    }

    /// Whether a cloud takes it compressed.
    fn is_compressed(&self) -> bool {
        matches!(self.content, Content::Gzip | Content::Bzip2)
    }
}

fn compare(mut file: &File, size: u64) -> Sight<()> {
    let window = Window::all(file, size);
    let members = archive::members(&window)?;
    let names = Names::of(&members);
    let Some(listing) = names.manifest() else {
        return Ok(());
    };
    let text = window.up_to(listing.offset, listing.size.min(LARGEST))?;
    let manifest = Manifest::parse(&text);
    for member in &members {
        file.seek(SeekFrom::Start(member.offset))?;
        let content = &mut file.take(member.size);
        if manifest.compare(&names.all(member), content)? == Comparison::Different {
            return Err(different(member, listing));
        }
    }
    Ok(())
}
