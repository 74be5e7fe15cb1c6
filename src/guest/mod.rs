//! Inspects the system on a disk, in place and read-only: how it boots, what it is, what it
//! contains. It provides only facts; each cloud decides what they mean. A disk that cannot be
//! read provides fewer facts, never an error.

mod cloud_init;
mod disk;
mod esp;
mod ext;
mod files;
mod guard;
mod initramfs;
mod json;
mod kernel;
mod mismatch;
mod mounts;
mod network;
mod ntfs;
mod release;
mod residue;
mod root_fs;
mod system;
mod volume;
mod windows;

use crate::image::{Boot, DiskReader, Image, Partition, PartitionTable, Role};

pub use crate::image::VolumeKind;
pub use kernel::{Driver, Kernel};
pub use release::Os;
pub use residue::{LeftoverFile, Password, User};
pub use root_fs::Observed;
pub use system::System;
pub use volume::Volume;

use disk::{DiskSlice, GuestDisk};
use guard::catch_panic;

/// The processor that the system is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    X86_64,
    Arm64,
    I386,
    Other,
}

impl Architecture {
    /// Returns the name that the clouds use.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
            Self::I386 => "i386",
            Self::Other => "another processor",
        }
    }
}

/// The family of the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OsFamily {
    Linux,
    Windows,
}

/// The facts of an inspected disk.
#[derive(Clone, Debug, Default)]
pub struct Guest {
    pub table: PartitionTable,
    pub volumes: Vec<Volume>,
    /// It boots by BIOS; `None` where that is not certain.
    pub bios: Option<bool>,
    /// It boots by UEFI; `None` where that is not certain.
    pub uefi: Option<bool>,
    /// Boot loaders in the EFI system partition; `None` where there is none or it cannot be
    /// read.
    pub loaders: Option<Vec<String>>,
    pub architecture: Option<Architecture>,
    pub family: Option<OsFamily>,
    /// `None` where no readable root file system was found.
    pub system: Option<System>,
    /// The files of a Windows were found.
    pub has_windows_files: bool,
    /// Parts that could not be read, each with the reason.
    pub problems: Vec<String>,
}

impl Guest {
    /// Inspects the first disk of the image.
    pub fn inspect(image: &Image) -> Self {
        let blocks = match DiskReader::open(image) {
            Ok(blocks) => blocks,
            Err(error) => return Self::from_header(image, error.one_line()),
        };
        let boot = image.boot;
        catch_panic(move || inspect_disk(blocks, boot)).unwrap_or_else(Self::with_problem)
    }

    /// Returns the facts of only the first bytes.
    fn from_header(image: &Image, reason: String) -> Self {
        Self {
            table: image.boot.table,
            bios: image.boot.bios,
            uefi: image.boot.efi,
            ..Self::with_problem(reason)
        }
    }

    /// Returns the bytes of the first disk that may be non-zero.
    pub fn allocated(image: &Image) -> Option<u64> {
        let blocks = DiskReader::open(image).ok()?;
        catch_panic(move || blocks.allocated().ok()).ok().flatten()
    }

    fn with_problem(problem: impl Into<String>) -> Self {
        Self {
            problems: vec![problem.into()],
            ..Self::default()
        }
    }

    /// Reports whether there is the fallback loader of the processor, which firmware starts
    /// from a new disk.
    pub fn has_fallback_loader(&self) -> Option<bool> {
        let loaders = self.loaders.as_ref()?;
        Some(
            loaders
                .iter()
                .any(|path| esp::fallback_loader(path).is_some()),
        )
    }

    /// Returns a file system or container that cannot be read here, and may contain the system.
    pub fn hidden_volume(&self) -> Option<VolumeKind> {
        let fillings = self.volumes.iter().filter_map(|volume| volume.content);
        fillings.into_iter().find(|content| content.hides_files())
    }

    /// Returns a volume that is encrypted as a whole.
    pub fn encrypted(&self) -> Option<VolumeKind> {
        let fillings = self.volumes.iter().filter_map(|volume| volume.content);
        fillings.into_iter().find(|content| content.is_encrypted())
    }

    /// Reports whether files of the system can be read.
    pub fn is_readable(&self) -> bool {
        self.system.is_some() || self.has_windows_files
    }

    /// Returns the newest kernel.
    pub fn kernel(&self) -> Option<&Kernel> {
        self.system.as_ref()?.kernels.present()?.first()
    }

    /// Returns the name of the system, "Debian GNU/Linux 12 (bookworm)"; `None` where it could
    /// not be determined.
    pub fn name(&self) -> Option<String> {
        let os = self.system.as_ref().and_then(|system| system.os.present());
        match (os, self.family) {
            (Some(os), _) => Some(os.pretty.clone()),
            (None, Some(OsFamily::Windows)) => Some("Windows".to_owned()),
            (None, Some(OsFamily::Linux)) => Some("Linux".to_owned()),
            (None, None) => None,
        }
    }
}

fn inspect_disk(blocks: DiskReader, boot: Boot) -> Guest {
    let size = blocks.size();
    let partitions = blocks.partitions();
    let disk = GuestDisk::new(blocks);
    let mut guest = Guest {
        table: boot.table,
        bios: boot.bios,
        ..Guest::default()
    };
    let found = match partitions.map(|partitions| partitions.list) {
        Ok(Some(found)) => found,
        Ok(None) => {
            guest
                .problems
                .push("the partition table can't be read".to_owned());
            return guest;
        }
        Err(error) => {
            guest
                .problems
                .push(format!("the partition table can't be read: {error}"));
            return guest;
        }
    };
    // Only partitions that are on the disk can be read; a truncated disk is reported by
    // `image`.
    let lies_on_it = |part: &Partition| {
        let end = part.start.checked_add(part.size);
        part.size > 0 && end.is_some_and(|end| end <= size)
    };
    let mut found: Vec<_> = found.into_iter().filter(lies_on_it).collect();
    if found.is_empty() {
        // A file system may be written to the disk without a table.
        found.push(whole_disk(size));
    }
    for partition in found {
        let slice = disk.slice(partition.start, partition.size);
        guest.volumes.push(Volume {
            content: VolumeKind::detect(|buffer, at| slice.read_at(buffer, at).is_ok()),
            partition,
            mounted: None,
        });
    }
    let slices = |volume: &Volume| disk.slice(volume.partition.start, volume.partition.size);
    detect_boot(&mut guest, slices);
    read_files(&mut guest, slices);
    if let Some(reason) = disk.exhausted() {
        guest.problems.push(format!(
            "what is not named was not looked at, for the budget of the look is used up: {reason}"
        ));
    }
    // Only PCs have a BIOS.
    let pc = |known| matches!(known, Architecture::X86_64 | Architecture::I386);
    if guest.architecture.is_some_and(|known| !pc(known)) {
        guest.bios = Some(false);
    }
    guest
}

/// Returns a disk without a table as one volume.
fn whole_disk(size: u64) -> Partition {
    Partition {
        number: 0,
        start: 0,
        size,
        role: Role::Other,
        uuid: String::new(),
        label: String::new(),
        legacy_bootable: false,
    }
}

/// Detects how the disk boots.
fn detect_boot(guest: &mut Guest, slices: impl Fn(&Volume) -> DiskSlice) {
    let esp = guest
        .volumes
        .iter()
        .find(|volume| volume.partition.role == Role::EfiSystem);
    match esp.map(|esp| esp::loaders(slices(esp))) {
        Some(Some(loaders)) => {
            guest.uefi = Some(!loaders.is_empty());
            guest.architecture = esp::architecture(&loaders);
            guest.loaders = Some(loaders);
        }
        Some(None) => guest
            .problems
            .push("the EFI system partition can't be read".to_owned()),
        // An unreadable table may contain an EFI system partition: the answer stays unknown.
        None if guest.table == PartitionTable::Unknown => {}
        None => guest.uefi = Some(false),
    }
}

/// Reads the facts from the system's own files.
fn read_files(guest: &mut Guest, slices: impl Fn(&Volume) -> DiskSlice) {
    if let Some(tree) = mounts::mount_root(guest, &slices) {
        guest.family = Some(OsFamily::Linux);
        // The installed programs are better evidence than a boot loader.
        guest.architecture = kernel::architecture(&tree).or(guest.architecture);
        guest.system = Some(System::inspect(&tree));
        guest.problems.extend(tree.notes());
    } else if let Some(proof) = windows::look(guest, slices) {
        guest.family = Some(OsFamily::Windows);
        guest.has_windows_files = proof == windows::Proof::Files;
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
