//! Finds the root file system, and the others that fstab mounts over it.

use super::files::FileSystem;
use super::root_fs::RootFs;
use super::system;
use super::{Guest, Volume, ext};
use crate::guest::disk::DiskSlice;
use crate::image::{Partition, VolumeKind};

/// Directories of a system that may be separate file systems.
const SEPARATE_MOUNTS: [&str; 9] = [
    "/boot", "/etc", "/home", "/opt", "/root", "/tmp", "/usr", "/var", "/srv",
];

/// A readable file system, and the index of its volume.
type Readable = (usize, Box<dyn FileSystem>);

/// Returns the files under the root file system; `None` where no readable one was found. Marks
/// the volumes that are mounted.
pub(super) fn mount_root(
    guest: &mut Guest,
    slices: impl Fn(&Volume) -> DiskSlice,
) -> Option<RootFs> {
    let mut systems = readable_volumes(guest, slices);
    let is_root = |files: &dyn FileSystem| {
        let has = |path: &str| files.metadata(path).is_ok();
        has("/etc") && (has("/usr") || has("/bin"))
    };
    let found = systems.iter().position(|(_, files)| is_root(&**files))?;
    let (at, root) = systems.swap_remove(found);
    guest.volumes[at].mounted = Some("/".to_owned());
    let mut tree = RootFs::new(root);
    for mount in system::fstab(&tree).present().into_iter().flatten() {
        let own = SEPARATE_MOUNTS
            .iter()
            .any(|dir| mount.point == *dir || mount.point.starts_with(&format!("{dir}/")));
        let lies = mount.device.contains('=') || mount.device.starts_with("/dev/");
        if !own || !lies || mount.point.starts_with("/boot/efi") {
            continue;
        }
        let available = systems.iter().position(|(at, files)| {
            is_device(&mount.device, &**files, &guest.volumes[*at].partition)
        });
        let files = available.map(|available| systems.swap_remove(available));
        if let Some((at, _)) = &files {
            guest.volumes[*at].mounted = Some(mount.point.clone());
        }
        tree.mount(&mount.point, files.map(|(_, files)| files));
    }
    Some(tree)
}

/// Returns the readable file systems, and notes why others cannot be read.
fn readable_volumes(guest: &mut Guest, slices: impl Fn(&Volume) -> DiskSlice) -> Vec<Readable> {
    let mut systems: Vec<Readable> = vec![];
    for (at, volume) in guest.volumes.iter().enumerate() {
        if volume.content != Some(VolumeKind::Ext) {
            continue;
        }
        let name = match volume.partition.number {
            0 => "the ext4 file system".to_owned(),
            number => format!("the ext4 file system of partition {number}"),
        };
        match ext::open(&slices(volume)) {
            Ok((files, journal_left_out)) => {
                if journal_left_out {
                    guest.problems.push(format!(
                        "{name} was not unmounted and its journal can't be read: it is read as it lies on the disk, without what was written last"
                    ));
                }
                systems.push((at, Box::new(files)));
            }
            Err(error) => guest
                .problems
                .push(format!("{name} can't be read: {error}")),
        }
    }
    systems
}

/// Reports whether fstab means this file system.
fn is_device(device: &str, files: &dyn FileSystem, partition: &Partition) -> bool {
    let by_path = || device.strip_prefix("/dev/disk/by-")?.split_once('/');
    let Some((key, value)) = device.split_once('=').or_else(by_path) else {
        let digits = device.rsplit(|c: char| !c.is_ascii_digit()).next();
        let number = digits.and_then(|digits| digits.parse().ok());
        return system::is_by_position(device) && number == Some(partition.number);
    };
    // fstab and udev write a space like this.
    let value = value.trim_matches('"').replace("\\040", " ");
    let value = value.replace("\\x20", " ");
    match key.to_ascii_lowercase().as_str() {
        "uuid" => value.eq_ignore_ascii_case(&files.uuid()),
        "label" => value == files.label(),
        "partuuid" => value.eq_ignore_ascii_case(&partition.uuid),
        "partlabel" => !value.is_empty() && value == partition.label,
        _ => false,
    }
}
