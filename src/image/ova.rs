//! OVA: a tar of one OVF descriptor, maybe a manifest, and the disks it names
//! (DSP0243, "Distribution as a Single File"). Checks that the archive is whole and
//! its disks are what AWS, the only cloud that takes OVAs, can read. The digests
//! of the disks are left to `check`: that would read everything.

use super::archive::{self, Member};
use super::boot::Firmware;
use super::content::{Content, VmdkKind};
use super::ovf::{DiskRef, FileRef};
use super::probe::Found;
use super::refusal::{Remedy, Sight, Trouble, export_as_stream};
use super::window::Window;
use super::{Disk, manifest::Manifest, ovf};

/// Descriptors have some ten KiB, manifests some hundred bytes.
const MAX_TEXT: u64 = 4 << 20;

pub(super) fn is_here(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

pub(super) fn look(window: &Window) -> Sight<Found> {
    let members = archive::members(window)?;
    let Some(first) = members.first().filter(|first| first.ends_with(".ovf")) else {
        return Err(Trouble::unfit(
            "it is a tar archive, but no OVA: its first member is no OVF descriptor",
            Remedy::say(
                "export the virtual machine as OVA, or unpack the archive and import the disk in it",
            ),
        ));
    };
    let archive = Archive {
        window,
        members: &members,
    };
    let Some(xml) = archive.text(first)? else {
        let unseen = Found::opaque(Content::Ova { manifest: false });
        return Ok(Found {
            disks: Some(vec![]),
            ..unseen
        });
    };
    let descriptor = ovf::Descriptor::parse(&xml).map_err(|error| {
        Trouble::damaged(
            "OVA",
            format_args!("its descriptor {} cannot be read: {error}", first.name),
        )
    })?;
    one_machine(&descriptor)?;
    archive.found(&descriptor, &xml)
}

fn one_machine(descriptor: &ovf::Descriptor) -> Sight<()> {
    match descriptor.systems {
        1 => Ok(()),
        0 => Err(Trouble::unfit(
            "the OVA describes no virtual machine",
            export_as_stream(),
        )),
        many => Err(Trouble::unfit(
            format!("the OVA describes {many} virtual machines, an image is made of one"),
            Remedy::say("export each virtual machine on its own"),
        )),
    }
}

/// The archive with its members' names.
struct Archive<'a> {
    window: &'a Window<'a>,
    members: &'a [Member],
}

impl Archive<'_> {
    fn member(&self, name: &str) -> Option<&Member> {
        let name = name.strip_prefix("./").unwrap_or(name);
        self.members.iter().find(|member| member.name == name)
    }

    /// A small member; None where a pipe does not show all of it.
    fn text(&self, member: &Member) -> Sight<Option<Vec<u8>>> {
        if member.size > MAX_TEXT {
            return Err(Trouble::damaged(
                "OVA",
                format_args!(
                    "{} has {} bytes, which is no text",
                    member.name, member.size
                ),
            ));
        }
        Ok(self.window.get(member.offset, member.size)?)
    }

    fn found(&self, descriptor: &ovf::Descriptor, xml: &[u8]) -> Sight<Found> {
        let manifest = self.manifest(descriptor, xml)?;
        for file in &descriptor.files {
            self.complete(file)?;
        }
        let disks: Vec<_> = descriptor
            .disks
            .iter()
            .map(|disk| self.disk(descriptor, disk))
            .collect::<Sight<_>>()?;
        if disks.is_empty() {
            return Err(Trouble::unfit("the OVA has no disk", export_as_stream()));
        }
        let sizes = disks.iter().map(|disk| disk.virtual_size);
        let sum = sizes.reduce(|sum, size| sum?.checked_add(size?)).flatten();
        Ok(Found {
            virtual_size: sum,
            disks: Some(disks),
            firmware: descriptor.efi.then_some(Firmware::Efi),
            ..Found::opaque(Content::Ova { manifest })
        })
    }

    /// Whether there is a manifest; one that does not fit is refused.
    fn manifest(&self, descriptor: &ovf::Descriptor, xml: &[u8]) -> Sight<bool> {
        let Some(member) = self.members.iter().find(|member| member.ends_with(".mf")) else {
            return Ok(false);
        };
        let Some(text) = self.text(member)? else {
            return Ok(true);
        };
        let manifest = Manifest::parse(&text);
        let ovf = self.members[0].name.as_str();
        let listed = descriptor.files.iter().map(|file| file.href.as_str());
        for name in listed.chain([ovf]) {
            if !manifest.lists(name) {
                return Err(Trouble::damaged(
                    "OVA",
                    format_args!("its manifest {} does not list {name}", member.name),
                ));
            }
        }
        if manifest.contradicts(ovf, &mut &xml[..])? {
            return Err(Trouble::unfit(
                format!(
                    "the OVA was changed after its export: {ovf} does not have the digest in {}",
                    member.name
                ),
                Remedy::say(
                    "export it again, or pack it again without the manifest if the change is meant",
                ),
            ));
        }
        Ok(true)
    }

    /// The file is inside, whole, and as AWS reads it: neither chunked nor compressed
    /// (VM Import: "OVA with chunked disk files is not supported").
    fn complete(&self, file: &FileRef) -> Sight<()> {
        let href = &file.href;
        // DSP0243: the first chunk of a file has its name and nine zeros
        let chunk = self.member(&format!("{href}.000000000"));
        if file.chunked || chunk.is_some() {
            let cause = format!("the OVA keeps {href} in chunks, which no cloud takes");
            return Err(Trouble::unfit(
                cause,
                Remedy::say("export it again without chunks"),
            ));
        }
        if let Some(how) = &file.compression {
            let cause = format!("the OVA keeps {href} compressed with {how}, which no cloud takes");
            return Err(Trouble::unfit(
                cause,
                Remedy::say("export it again without compression of the files"),
            ));
        }
        let Some(member) = self.member(href) else {
            // a pipe shows only the first members
            return if self.window.len().is_none() {
                Ok(())
            } else {
                Err(Trouble::damaged(
                    "OVA",
                    format_args!("its descriptor names {href}, which is not inside"),
                ))
            };
        };
        match file.size {
            Some(said) if member.size < said => Err(Trouble::damaged(
                "OVA",
                format_args!(
                    "{href} has {} bytes, its descriptor says {said}",
                    member.size
                ),
            )),
            _ => Ok(()),
        }
    }

    fn disk(&self, descriptor: &ovf::Descriptor, disk: &DiskRef) -> Sight<Disk> {
        if disk.parent {
            let cause = format!(
                "the disk {} of the OVA holds only what changed since its parent",
                disk.id
            );
            return Err(Trouble::unfit(cause, export_as_stream()));
        }
        let Some(id) = &disk.file else {
            return Ok(blank(disk));
        };
        let file = descriptor
            .files
            .iter()
            .find(|file| &file.id == id)
            .ok_or_else(|| {
                Trouble::damaged(
                    "OVA",
                    format_args!(
                        "its disk {} is in a file {id:?} that the descriptor does not have",
                        disk.id
                    ),
                )
            })?;
        let seen = self.member(&file.href);
        let Some(member) = seen else {
            return Ok(Disk {
                name: file.href.clone(),
                size: file.size,
                ..blank(disk)
            });
        };
        let part = self.window.part(member.offset, member.size);
        let found = probe_disk(&part).map_err(|trouble| trouble.inside(&member.name))?;
        Ok(Disk {
            name: member.name.clone(),
            offset: Some(member.offset),
            size: Some(member.size),
            virtual_size: found.virtual_size.or(disk.capacity),
            content: Some(found.content),
        })
    }
}

/// A disk that the descriptor describes and no file holds.
fn blank(disk: &DiskRef) -> Disk {
    Disk {
        name: disk.id.clone(),
        offset: None,
        size: Some(0),
        virtual_size: disk.capacity,
        content: None,
    }
}

/// Only what importers of OVAs read; an OVA in an OVA is never followed.
fn probe_disk(part: &Window) -> Sight<Found> {
    let head = part.up_to(0, 512)?;
    let found = if super::vhd::is_here(part, &head)? {
        super::vhd::look(part)?
    } else if super::vmdk::is_here(&head) {
        super::vmdk::look(part)?
    } else {
        let cause = match super::probe::compressed(&head) {
            Some(content) => format!("it is {}, not a disk", content.label()),
            None => "it is neither a VMDK nor a VHD".into(),
        };
        return Err(Trouble::unfit(cause, export_as_stream()));
    };
    match found.content {
        Content::Vmdk {
            kind: VmdkKind::MonolithicSparse,
        } => Err(Trouble::unfit(
            "the VMDK is not stream-optimized, as a disk in an OVA must be",
            export_as_stream(),
        )),
        _ => Ok(found),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
