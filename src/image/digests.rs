//! Verifies a file against its own checksums: an OVA's members against the digests of its
//! manifest, a compressed file against its checksums. This detects a damaged download before
//! the upload.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::byte_view::ByteView;
use super::comparison::different;
use super::error::ImageResult;
use super::formats::archive;
use super::formats::ova::Names;
use super::ova_manifest::{Comparison, MAX_SIZE, Manifest};
use super::stream::verify;
use super::{Content, Image, ImageSource, regular_file};
use crate::error::Result;

impl Image {
    /// Reads the whole file if that is needed to verify it. Rejects an OVA with a member that
    /// does not match its digest in the manifest, and a compressed file that is damaged or
    /// truncated, or whose content is. A pipe cannot be read twice: it is verified while it is
    /// sent.
    pub fn verify(&mut self) -> Result<()> {
        let ImageSource::File(path) = self.source.clone() else {
            return Ok(());
        };
        if self.has_manifest() {
            let (file, about) = regular_file(&path)?;
            return verify_ova(&file, about.len()).map_err(|error| error.into_error(&path));
        }
        if self.is_compressed() {
            let (file, _) = regular_file(&path)?;
            let inner = verify(&self.content, file, self.options);
            let inner = inner.map_err(|error| error.into_error(&path))?;
            self.set_inner(Some(inner));
        }
        Ok(())
    }

    /// Reports whether the whole file must be read to verify it.
    pub fn needs_full_read(&self) -> bool {
        self.has_manifest() || self.is_compressed()
    }

    fn has_manifest(&self) -> bool {
        matches!(self.content, Content::Ova { manifest: true })
    }

    /// Reports whether some cloud accepts the file compressed.
    fn is_compressed(&self) -> bool {
        matches!(self.content, Content::Gzip | Content::Bzip2)
    }
}

fn verify_ova(mut file: &File, size: u64) -> ImageResult<()> {
    let view = ByteView::new(file, size);
    let members = archive::members(&view)?;
    let names = Names::new(&members);
    let Some(listing) = names.manifest() else {
        return Ok(());
    };
    let text = view.read_up_to(listing.offset, listing.size.min(MAX_SIZE))?;
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
