//! OVA: a tar of one OVF descriptor, maybe a manifest, and the disks it names (DSP0243,
//! "Distribution as a Single File"). Rejects what AWS, the only cloud that accepts OVAs, cannot
//! read; a deviation from the standard that real exporters produce is a warning. The digests of
//! the disks are verified by `Image::verify`, because that reads everything.

mod disks;
mod names;

use std::collections::{HashMap, HashSet};

use super::super::Disk;
use super::super::byte_view::ByteView;
use super::super::content::Content;
use super::super::error::{Fix, ImageError, ImageNotice, ImageResult, export_as_stream};
use super::super::firmware::Firmware;
use super::super::found::Detection;
use super::super::ova_manifest::{Comparison, Manifest};
use super::archive::{self, Member};
use super::ovf::{self, DiskRef, FileRef};
use disks::{blank_disk, detect_disk};
pub(in crate::image) use names::Names;

/// The most files that are inspected: the tables of each may take a tenth of a second, and AWS
/// imports 21 volumes.
const MAX_INSPECTED: usize = 32;

/// The largest descriptor; usual ones have some ten KiB.
const MAX_TEXT: u64 = 4 << 20;

/// Reports whether the bytes begin with the header of a tar archive.
pub(in crate::image) fn has_magic(head: &[u8]) -> bool {
    archive::has_magic(head)
}

pub(in crate::image) fn parse(view: &ByteView) -> ImageResult<Detection> {
    let members = archive::members(view)?;
    let names = Names::new(&members);
    let Some(descriptor) = names.descriptor() else {
        return Err(ImageError::unusable(
            "it is a tar archive, but no OVA: it has no OVF descriptor",
            Fix::custom(
                "export the virtual machine as OVA, or unpack the archive and import the disk in it",
            ),
        ));
    };
    let mut archive = Archive {
        view,
        names: &names,
        warnings: vec![],
        inspected: HashMap::new(),
        has_more: false,
    };
    let Some(xml) = archive.text(descriptor)? else {
        let unseen = Detection::opaque(Content::Ova { manifest: false });
        return Ok(Detection {
            disks: Some(vec![]),
            ..unseen
        });
    };
    let parsed = ovf::Descriptor::parse(&xml).map_err(|error| {
        ImageError::unusable(
            format!(
                "the descriptor {} of the OVA can't be read: {error}",
                descriptor.name
            ),
            Fix::CopyAgain,
        )
    })?;
    check_single_machine(&parsed)?;
    archive.check_order(descriptor)?;
    archive.into_detection(&parsed, descriptor, &xml)
}

fn check_single_machine(descriptor: &ovf::Descriptor) -> ImageResult<()> {
    match descriptor.systems {
        1 => Ok(()),
        0 => Err(ImageError::unusable(
            "the OVA describes no virtual machine",
            export_as_stream(),
        )),
        many => Err(ImageError::unusable(
            format!("the OVA describes {many} virtual machines, an image is made of one"),
            Fix::custom("export each virtual machine on its own"),
        )),
    }
}

/// The archive during the inspection.
struct Archive<'a> {
    view: &'a ByteView<'a>,
    names: &'a Names<'a>,
    warnings: Vec<ImageNotice>,
    /// The inspected disks, by the offset of their file.
    inspected: HashMap<u64, MemberContent>,
    /// There are more disks than are inspected.
    has_more: bool,
}

/// The content of a file.
#[derive(Clone, Debug)]
struct MemberContent {
    content: Option<Content>,
    virtual_size: Option<u64>,
}

impl Archive<'_> {
    fn warn(&mut self, text: impl Into<String>, remedy: Option<Fix>) {
        self.warnings.push(ImageNotice::new(text, remedy));
    }

    /// Reads a small member; returns `None` where a pipe does not provide all of it.
    fn text(&self, member: &Member) -> ImageResult<Option<Vec<u8>>> {
        if member.size > MAX_TEXT {
            let (name, size) = (&member.name, member.size);
            let cause = format!("{name} in the OVA has {size} bytes, which is no text");
            return Err(ImageError::unusable(cause, Fix::CopyAgain));
        }
        Ok(self.view.read(member.offset, member.size)?)
    }

    /// Checks that the descriptor comes first (DSP0243); otherwise AWS returns "Unsupported OVA
    /// format".
    fn check_order(&mut self, descriptor: &Member) -> ImageResult<()> {
        let repack = || Fix::Repack(self.names.in_order(descriptor));
        match self.names.first() {
            Some(first) if first.offset != descriptor.offset => Err(ImageError::unusable(
                format!(
                    "the descriptor {} is not the first file of the OVA, which AWS does not take",
                    descriptor.name
                ),
                repack(),
            )),
            _ => {
                if let Some(stray) = self.names.sidecar() {
                    let text = format!("{} does not belong in an OVA", stray.name);
                    let remedy = Some(repack());
                    self.warn(text, remedy);
                }
                Ok(())
            }
        }
    }

    fn into_detection(
        mut self,
        descriptor: &ovf::Descriptor,
        file: &Member,
        xml: &[u8],
    ) -> ImageResult<Detection> {
        let manifest = self.check_manifest(descriptor, file, xml)?;
        let used = descriptor
            .disks
            .iter()
            .filter_map(|disk| disk.file.as_deref());
        let used: HashSet<_> = used.collect();
        let mut files = HashMap::new();
        for listed in &descriptor.files {
            self.check_file(listed, used.contains(listed.id.as_str()))?;
            files.entry(listed.id.as_str()).or_insert(listed);
        }
        let disks = descriptor.disks.iter();
        let disks: Vec<_> = disks
            .map(|disk| self.inspect_disk(&files, disk))
            .collect::<ImageResult<_>>()?;
        match disks.first() {
            None => {
                return Err(ImageError::unusable(
                    "the OVA has no disk",
                    export_as_stream(),
                ));
            }
            Some(disk) if disk.size == Some(0) => {
                return Err(ImageError::unusable(
                    "the OVA has only blank disks, no file with the data of one",
                    Fix::custom("export the virtual machine again, with its disks"),
                ));
            }
            Some(_) => {}
        }
        let sizes = disks.iter().map(|disk| disk.virtual_size);
        let sum = sizes.reduce(|sum, size| sum?.checked_add(size?)).flatten();
        Ok(Detection {
            virtual_size: sum,
            disks: Some(disks),
            firmware: descriptor.efi.then_some(Firmware::Efi),
            warnings: self.warnings,
            ..Detection::opaque(Content::Ova { manifest })
        })
    }

    /// Reports whether there is a manifest. A descriptor that does not match its digest is
    /// rejected; files that the manifest does not cover are a warning.
    fn check_manifest(
        &mut self,
        descriptor: &ovf::Descriptor,
        file: &Member,
        xml: &[u8],
    ) -> ImageResult<bool> {
        let Some(member) = self.names.manifest() else {
            return Ok(false);
        };
        let Some(text) = self.text(member)? else {
            return Ok(true);
        };
        let manifest = Manifest::parse(&text);
        let compared = manifest.compare(&self.names.all(file), &mut &xml[..])?;
        if compared == Comparison::Different {
            return Err(ImageError::unusable(
                format!(
                    "the OVA was changed after its export: {} does not have the digest in {}",
                    file.name, member.name
                ),
                Fix::custom(
                    "export it again, or pack it again without the manifest if the change is meant",
                ),
            ));
        }
        let disks = descriptor
            .files
            .iter()
            .filter_map(|listed| self.names.find(&listed.href));
        let listed: Vec<&Member> = std::iter::once(file).chain(disks).collect();
        let warnings = self.names.unverified_files(&manifest, member, &listed);
        self.warnings.extend(warnings);
        Ok(true)
    }

    /// Checks that the file is in the archive and in a form that AWS reads: neither chunked nor
    /// compressed (VM Import: "OVA with chunked disk files is not supported"). A file that is
    /// not a disk, such as an ISO image in a drive, is not checked.
    fn check_file(&mut self, file: &FileRef, is_disk: bool) -> ImageResult<()> {
        let href = &file.href;
        let member = self.names.find(href);
        if !is_disk {
            // A pipe shows only the first members.
            if member.is_none() && self.view.len().is_some() {
                let text = format!("the descriptor of the OVA names {href}, which is not inside");
                self.warn(text, None);
            }
            return Ok(());
        }
        // DSP0243: the first chunk of a file has its name and nine zeros.
        let chunk = self.names.find(&format!("{href}.000000000"));
        if file.chunked || chunk.is_some() {
            let cause = format!("the OVA keeps {href} in chunks, which no cloud takes");
            return Err(ImageError::unusable(
                cause,
                Fix::custom("export it again without chunks"),
            ));
        }
        if let Some(how) = &file.compression {
            let cause = format!("the OVA keeps {href} compressed with {how}, which no cloud takes");
            return Err(ImageError::unusable(
                cause,
                Fix::custom("export it again without compression of the files"),
            ));
        }
        let Some(member) = member else {
            return if names::is_elsewhere(href) {
                Err(ImageError::unusable(
                    format!("the disk of the OVA lies elsewhere, at {href}"),
                    Fix::custom("export the virtual machine again, with its disks inside the OVA"),
                ))
            } else if self.view.len().is_none() {
                Ok(())
            } else {
                Err(ImageError::unusable(
                    format!("the OVA does not hold {href}, the file of a disk"),
                    Fix::CopyAgain,
                ))
            };
        };
        if !member.is_complete {
            return Err(ImageError::unusable(
                format!("{href} in the OVA is no plain file, but a link or sparse"),
                Fix::custom(
                    "pack the OVA again, with plain files only, as tar does with --dereference",
                ),
            ));
        }
        if let Some(declared) = file.size.filter(|said| member.size < *said) {
            let text = format!(
                "{href} in the OVA has {} bytes, its descriptor says {declared}",
                member.size
            );
            self.warn(text, None);
        }
        Ok(())
    }

    fn inspect_disk(
        &mut self,
        files: &HashMap<&str, &FileRef>,
        disk: &DiskRef,
    ) -> ImageResult<Disk> {
        if disk.parent {
            let cause = format!(
                "the disk {} of the OVA holds only what changed since its parent",
                disk.id
            );
            return Err(ImageError::unusable(cause, export_as_stream()));
        }
        let Some(id) = &disk.file else {
            return Ok(blank_disk(disk));
        };
        let file = files.get(id.as_str()).ok_or_else(|| {
            ImageError::unusable(
                format!(
                    "the disk {} of the OVA is in a file {id:?} that its descriptor does not have",
                    disk.id
                ),
                Fix::CopyAgain,
            )
        })?;
        let Some(member) = self.names.find(&file.href) else {
            return Ok(Disk {
                name: file.href.clone(),
                size: file.size.filter(|size| *size > 0),
                ..blank_disk(disk)
            });
        };
        let member_content = self.inspect_member(member)?;
        Ok(Disk {
            name: member.name.clone(),
            offset: Some(member.offset),
            size: Some(member.size),
            virtual_size: member_content.virtual_size.or(disk.capacity),
            content: member_content.content,
        })
    }

    /// Inspects a file once, however many disks refer to it.
    fn inspect_member(&mut self, member: &Member) -> ImageResult<MemberContent> {
        if let Some(member_content) = self.inspected.get(&member.offset) {
            return Ok(member_content.clone());
        }
        if self.inspected.len() == MAX_INSPECTED {
            if !std::mem::replace(&mut self.has_more, true) {
                let text = format!("only {MAX_INSPECTED} disks of the OVA were looked into");
                self.warn(text, None);
            }
            let (content, virtual_size) = (None, None);
            return Ok(MemberContent {
                content,
                virtual_size,
            });
        }
        let part = self.view.subview(member.offset, member.size);
        let found = detect_disk(&part, member).map_err(|error| error.in_member(&member.name))?;
        let member_content = MemberContent {
            virtual_size: found.as_ref().and_then(|found| found.virtual_size),
            content: found.map(|found| found.content),
        };
        self.inspected.insert(member.offset, member_content.clone());
        Ok(member_content)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
