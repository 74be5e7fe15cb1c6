//! Looks into the system on a disk, in place and read-only: how it starts, what it is,
//! what it carries. Facts alone; what they mean to a cloud is said in `verdict`'s words by
//! the cloud. A disk that can't be read makes fewer facts, never an error.

mod cloud_init;
mod disk;
mod doubts;
mod esp;
mod initramfs;
mod json;
mod kernel;
mod network;
mod system;
mod traces;
mod tree;
mod volume;

use std::panic;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ext4_view::Ext4;

use crate::image::{Blocks, Boot, Image, Partition, Role, Table};

pub use crate::image::Filling;
pub use kernel::{Driver, Kernel};
pub use system::{Os, System};
pub use traces::{Left, Password, User};
pub use tree::Look;
pub use volume::Volume;

use disk::{Disk, Slice};
use tree::Tree;

/// A look that runs in circles is left alone after this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// The name of the thread that looks.
const THREAD: &str = "guest";
/// Enough for whatever the file systems' readers do by recursion.
const STACK: usize = 16 << 20;
/// Directories of a system that may lie on a file system of their own.
const OWN: [&str; 9] = [
    "/boot", "/etc", "/home", "/opt", "/root", "/tmp", "/usr", "/var", "/srv",
];

/// The processor that the system is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    X86_64,
    Arm64,
    I386,
    Other,
}

impl Architecture {
    /// As the clouds write it.
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
pub enum Family {
    Linux,
    Windows,
}

/// What a look into the disk showed.
#[derive(Clone, Debug, Default)]
pub struct Guest {
    pub table: Table,
    pub volumes: Vec<Volume>,
    /// Whether it starts by BIOS; None where that is not certain.
    pub bios: Option<bool>,
    /// Whether it starts by UEFI; None where that is not certain.
    pub uefi: Option<bool>,
    /// Boot loaders in the EFI system partition; None where there is none or it can't be read.
    pub loaders: Option<Vec<String>>,
    pub architecture: Option<Architecture>,
    pub family: Option<Family>,
    /// None where no root file system was found that can be read.
    pub system: Option<System>,
    /// What could not be read, and why.
    pub troubles: Vec<String>,
}

impl Guest {
    /// Looks into the first disk of the image.
    pub fn look(image: &Image) -> Self {
        let blocks = match Blocks::open(image) {
            Ok(blocks) => blocks,
            Err(error) => return Self::outside(image, error.brief()),
        };
        let boot = image.boot;
        guarded(move || look(blocks, boot)).unwrap_or_else(Self::trouble)
    }

    /// What the first bytes alone show.
    fn outside(image: &Image, why: String) -> Self {
        Self {
            table: image.boot.table,
            bios: image.boot.bios,
            uefi: image.boot.efi,
            ..Self::trouble(why)
        }
    }

    /// Bytes of the first disk that may be other than zero.
    pub fn allocated(image: &Image) -> Option<u64> {
        let blocks = Blocks::open(image).ok()?;
        guarded(move || blocks.allocated().ok()).ok().flatten()
    }

    fn trouble(what: impl Into<String>) -> Self {
        Self {
            troubles: vec![what.into()],
            ..Self::default()
        }
    }

    /// The processor's fallback loader, which firmware starts from a fresh disk.
    pub fn has_fallback_loader(&self) -> Option<bool> {
        let loaders = self.loaders.as_ref()?;
        Some(loaders.iter().any(|path| esp::fallback(path).is_some()))
    }

    /// A file system or container that can't be read here, and may hold the system.
    pub fn hidden(&self) -> Option<Filling> {
        let fillings = self.volumes.iter().filter_map(|volume| volume.content);
        fillings.into_iter().find(|content| content.hides_files())
    }

    /// The newest kernel.
    pub fn kernel(&self) -> Option<&Kernel> {
        self.system.as_ref()?.kernels.here()?.first()
    }

    /// What it is: "Debian GNU/Linux 12 (bookworm)"; None where that was not seen.
    pub fn name(&self) -> Option<String> {
        let os = self.system.as_ref().and_then(|system| system.os.here());
        match (os, self.family) {
            (Some(os), _) => Some(os.pretty.clone()),
            (None, Some(Family::Windows)) => Some("Windows".to_owned()),
            (None, Some(Family::Linux)) => Some("Linux".to_owned()),
            (None, None) => None,
        }
    }
}

/// Bytes from outside go through readers that others wrote: one that panics, or never
/// comes back, makes a look that showed nothing.
fn guarded<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, &'static str> {
    silence();
    let (tell, told) = mpsc::channel();
    let watched = move || {
        let seen = panic::catch_unwind(panic::AssertUnwindSafe(look));
        let _gone = tell.send(seen.ok());
    };
    let thread = thread::Builder::new()
        .name(THREAD.to_owned())
        .stack_size(STACK);
    if thread.spawn(watched).is_err() {
        return Err("there is no thread to look into the disk with");
    }
    match told.recv_timeout(PATIENCE) {
        Ok(seen) => seen.ok_or("its file systems are damaged"),
        Err(_) => Err("looking into the disk takes too long"),
    }
}

/// A panic on the thread that looks is no news for the user.
fn silence() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(THREAD) {
                before(info);
            }
        }));
    });
}

fn look(blocks: Blocks, boot: Boot) -> Guest {
    let size = blocks.size();
    let partitions = blocks.partitions();
    let disk = Disk::new(blocks);
    let mut guest = Guest {
        table: boot.table,
        bios: boot.bios,
        ..Guest::default()
    };
    let found = match partitions.map(|partitions| partitions.list) {
        Ok(Some(found)) => found,
        Ok(None) => {
            guest
                .troubles
                .push("the partition table can't be read".to_owned());
            return guest;
        }
        Err(error) => {
            guest
                .troubles
                .push(format!("the partition table can't be read: {error}"));
            return guest;
        }
    };
    let lies_on_it = |part: &Partition| {
        let end = part.start.checked_add(part.size);
        part.size > 0 && end.is_some_and(|end| end <= size)
    };
    let mut found: Vec<_> = found.into_iter().filter(lies_on_it).collect();
    if found.is_empty() {
        found.push(bare(size));
    }
    for partition in found {
        let slice = disk.slice(partition.start, partition.size);
        guest.volumes.push(Volume {
            content: Filling::of(|buffer, at| slice.read_at(buffer, at).is_ok()),
            partition,
            mounted: None,
        });
    }
    let slices = |volume: &Volume| disk.slice(volume.partition.start, volume.partition.size);
    start(&mut guest, slices);
    files(&mut guest, slices);
    // Only PCs have a BIOS.
    let pc = |known| matches!(known, Architecture::X86_64 | Architecture::I386);
    if guest.architecture.is_some_and(|known| !pc(known)) {
        guest.bios = Some(false);
    }
    guest
}

/// A disk without a table, as one volume.
fn bare(size: u64) -> Partition {
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

/// How the disk starts.
fn start(guest: &mut Guest, slices: impl Fn(&Volume) -> Slice) {
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
            .troubles
            .push("the EFI system partition can't be read".to_owned()),
        None if guest.table == Table::Unknown => {}
        None => guest.uefi = Some(false),
    }
    let boot_manager = |volume: &Volume| {
        volume.content == Some(Filling::Ntfs)
            && slices(volume)
                .get::<512>(0)
                .is_some_and(|sector| sector.windows(7).any(|word| word == b"BOOTMGR"))
    };
    let loader = |path: &String| path.eq_ignore_ascii_case("EFI/Microsoft/Boot/bootmgfw.efi");
    if guest.volumes.iter().any(boot_manager) || guest.loaders.iter().flatten().any(loader) {
        guest.family = Some(Family::Windows);
    }
}

/// Finds the root file system, mounts the others over it and looks around.
fn files(guest: &mut Guest, slices: impl Fn(&Volume) -> Slice) {
    let mut systems: Vec<_> = vec![];
    for (at, volume) in guest.volumes.iter().enumerate() {
        if volume.content != Some(Filling::Ext) {
            continue;
        }
        match Ext4::load(Box::new(slices(volume))) {
            Ok(files) => systems.push((at, files)),
            Err(error) => guest.troubles.push(format!(
                "the ext4 file system of partition {} can't be read: {error}",
                volume.partition.number
            )),
        }
    }
    let is_root = |files: &Ext4| {
        let has = |path: &str| files.symlink_metadata(path).is_ok();
        has("/etc") && (has("/usr") || has("/bin"))
    };
    let Some(found) = systems.iter().position(|(_, files)| is_root(files)) else {
        return;
    };
    let (at, root) = systems.swap_remove(found);
    guest.volumes[at].mounted = Some("/".to_owned());
    let free = free(&slices(&guest.volumes[at]));
    let mut tree = Tree::new(root);
    for mount in system::fstab(&tree).here().into_iter().flatten() {
        let own = OWN
            .iter()
            .any(|dir| mount.point == *dir || mount.point.starts_with(&format!("{dir}/")));
        let lies = mount.device.contains('=') || mount.device.starts_with("/dev/");
        if !own || !lies || mount.point.starts_with("/boot/efi") {
            continue;
        }
        let there = systems
            .iter()
            .position(|(at, files)| is_device(&mount.device, files, &guest.volumes[*at].partition));
        let files = there.map(|there| systems.swap_remove(there));
        if let Some((at, _)) = &files {
            guest.volumes[*at].mounted = Some(mount.point.clone());
        }
        tree.mount(&mount.point, files.map(|(_, files)| files));
    }
    guest.family = Some(Family::Linux);
    guest.architecture = kernel::architecture(&tree).or(guest.architecture);
    guest.system = Some(System::of(&tree, free));
}

/// Whether fstab means this file system.
fn is_device(device: &str, files: &Ext4, partition: &Partition) -> bool {
    let quoted = |text: &str| text.trim_matches('"').to_lowercase();
    match device.split_once('=') {
        Some(("UUID", uuid)) => quoted(uuid) == files.uuid().to_string().to_lowercase(),
        Some(("LABEL", label)) => label.trim_matches('"') == files.label().display().to_string(),
        Some(("PARTUUID", uuid)) => quoted(uuid) == partition.uuid,
        Some(_) => false,
        None => match device.strip_prefix("/dev/disk/by-uuid/") {
            Some(uuid) => quoted(uuid) == files.uuid().to_string().to_lowercase(),
            None => {
                let digits = device.rsplit(|c: char| !c.is_ascii_digit()).next();
                digits.and_then(|digits| digits.parse().ok()) == Some(partition.number)
            }
        },
    }
}

/// Free bytes by the superblock: `s_free_blocks_count` × block size.
fn free(slice: &Slice) -> Option<u64> {
    let block = slice.get::<1024>(1024)?;
    let word = |at: usize| {
        block[at..at + 4]
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    };
    // INCOMPAT_64BIT
    let high = if word(0x60) & 0x80 != 0 {
        word(0x158)
    } else {
        0
    };
    let size = 1024_u64.checked_shl(u32::try_from(word(0x18)).ok()?)?;
    (high << 32 | word(0x0c)).checked_mul(size)
}
