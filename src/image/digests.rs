//! An OVA against its manifest: every member's digest, in one pass over the file. What a
//! download has broken shows here, before it is sent.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::archive;
use super::manifest::{Comparison, LARGEST, Manifest};
use super::ova::Names;
use super::refusal::{Sight, Trouble};
use super::window::Window;
use super::{Content, Image, Source, regular_file};
use crate::error::Result;

impl Image {
    /// Refuses an OVA of which a member does not have the digest in the manifest. Without
    /// one there is nothing to compare, and a pipe can't be read twice.
    pub fn verify(&self) -> Result<()> {
        let (Source::File(path), true) = (&self.source, self.has_manifest()) else {
            return Ok(());
        };
        let (file, about) = regular_file(path)?;
        compare(&file, about.len()).map_err(|trouble| trouble.at(path))
    }

    /// Whether there is anything to compare.
    pub fn has_manifest(&self) -> bool {
        matches!(self.content, Content::Ova { manifest: true })
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
            let (name, listing) = (&member.name, &listing.name);
            let how = format_args!("{name} does not have the digest in {listing}");
            return Err(Trouble::damaged("OVA", how));
        }
    }
    Ok(())
}
