//! The facts of a Linux system from its files.

use super::cloud_init::{self, CloudInit};
use super::kernel::{self, Kernel};
use super::network::{self, Network};
use super::release::{self, Os};
use super::residue;
use super::residue::Residue;
use super::root_fs::{Observed, RootFs};

/// The facts from the root file system.
#[derive(Clone, Debug, Default)]
pub struct System {
    pub os: Observed<Os>,
    /// The kernels, the newest first.
    pub kernels: Observed<Vec<Kernel>>,
    pub cloud_init: Observed<CloudInit>,
    /// The devices that fstab mounts.
    pub fstab: Observed<Vec<Mount>>,
    /// The `root=` values of the boot loader's own configuration.
    pub root_devices: Vec<String>,
    /// An SSH server, and whether it is enabled; `None` where that is unknown.
    pub sshd: Observed<Option<bool>>,
    pub network: Observed<Network>,
    /// Free bytes on the root file system.
    pub free: Option<u64>,
    pub residue: Residue,
}

/// A line of fstab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// As it is written: `UUID=…`, `/dev/sda1`.
    pub device: String,
    /// `/`, `none` for swap.
    pub point: String,
}

impl System {
    pub(super) fn inspect(root_fs: &RootFs) -> Self {
        Self {
            os: release::find(root_fs),
            kernels: kernel::find(root_fs),
            cloud_init: cloud_init::find(root_fs),
            fstab: fstab(root_fs),
            root_devices: root_devices(root_fs),
            sshd: sshd(root_fs),
            network: network::find(root_fs),
            free: root_fs.free(),
            residue: residue::find(root_fs),
        }
    }

    /// Returns the devices that are named by their position; their names differ on another
    /// machine.
    pub fn unstable_devices(&self) -> Vec<&str> {
        let fstab = self.fstab.present().into_iter().flatten();
        let mounts = fstab.map(|mount| mount.device.as_str());
        let all = mounts.chain(self.root_devices.iter().map(String::as_str));
        let mut named: Vec<_> = all.filter(|device| is_by_position(device)).collect();
        named.sort_unstable();
        named.dedup();
        named
    }
}

/// Reports whether it is `/dev/sda1`, `/dev/vda`, `/dev/nvme0n1p2`; not `/dev/disk/by-…`,
/// `/dev/mapper/…`.
pub(super) fn is_by_position(device: &str) -> bool {
    let name = device.strip_prefix("/dev/").unwrap_or_default();
    let disk = |start: &str| {
        name.strip_prefix(start)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    !name.contains('/')
        && ["sd", "vd", "xvd", "hd", "nvme"]
            .iter()
            .any(|start| disk(start))
}

pub(super) fn fstab(root_fs: &RootFs) -> Observed<Vec<Mount>> {
    root_fs.text("/etc/fstab").map(|text| {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'));
        let words = lines.map(|line| line.split_whitespace());
        words
            .filter_map(|mut words| {
                Some(Mount {
                    device: words.next()?.to_owned(),
                    point: words.next()?.to_owned(),
                })
            })
            .collect()
    })
}

/// Returns the root devices of GRUB's menu, under any of its names.
fn root_devices(root_fs: &RootFs) -> Vec<String> {
    let menus = [
        "/boot/grub/grub.cfg",
        "/boot/grub2/grub.cfg",
        "/boot/grub/menu.lst",
        "/boot/extlinux.conf",
    ];
    let texts = menus
        .iter()
        .filter_map(|path| root_fs.text(path).present().cloned());
    let mut found = vec![];
    for text in texts {
        let kernels = text.lines().map(str::trim_start).filter(|line| {
            line.starts_with("linux") || line.starts_with("kernel") || line.starts_with("append")
        });
        let roots = kernels
            .flat_map(str::split_whitespace)
            .filter_map(|word| word.strip_prefix("root="));
        found.extend(roots.map(str::to_owned));
    }
    found.sort();
    found.dedup();
    found
}

fn sshd(root_fs: &RootFs) -> Observed<Option<bool>> {
    let units = [
        "ssh.service",
        "sshd.service",
        "ssh.socket",
        "sshd.socket",
        "dropbear.service",
    ];
    let runlevels = || {
        let dirs = ["/etc/rc3.d", "/etc/rc2.d", "/etc/runlevels/default"];
        dirs.iter()
            .flat_map(|dir| root_fs.names(dir))
            .any(|name| name.starts_with('S') && name.ends_with("ssh") || name == "sshd")
    };
    root_fs
        .program(&["sshd", "dropbear"])
        .map(|_| root_fs.is_enabled(&units).map(|on| on || runlevels()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_other_machines_name_otherwise() {
        for device in [
            "/dev/sda1",
            "/dev/vda",
            "/dev/nvme0n1p2",
            "/dev/xvda1",
            "/dev/hda1",
        ] {
            assert!(is_by_position(device), "{device}");
        }
        for device in [
            "UUID=1-2",
            "/dev/disk/by-uuid/x",
            "/dev/mapper/vg-root",
            "/dev/sd",
            "tmpfs",
            "LABEL=root",
        ] {
            assert!(!is_by_position(device), "{device}");
        }
    }
}
