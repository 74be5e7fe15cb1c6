//! The kernels of a Linux system, and where each has the drivers that a cloud's machine needs:
//! built in, in the initramfs, or as a module on the disk.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::Architecture;
use super::initramfs::{self, ReadFailure};
use super::root_fs::{Observed, RootFs};

/// Drivers of the devices of the clouds' virtual machines: virtio, NVMe, Amazon's network, Xen.
pub const DRIVERS: [&str; 8] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "nvme",
    "ena",
    "xen_blkfront",
    "xen_netfront",
];

/// The place of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    Builtin,
    /// Loaded before the root file system is mounted.
    Initramfs,
    /// Only on the root file system.
    Module,
    Absent,
    /// A module that may also be in the initramfs, which cannot be read.
    Unknown,
}

/// One kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The name of its directory in `/lib/modules`: "6.1.0-50-cloud-amd64".
    pub version: String,
    /// `None` where its modules cannot be read.
    pub drivers: Option<BTreeMap<&'static str, Driver>>,
}

impl Kernel {
    /// Returns "6.1" of "6.1.0-50-cloud-amd64".
    pub fn series(&self) -> String {
        let numbers: Vec<_> = self.version.splitn(3, '.').take(2).collect();
        let digits =
            |text: &&str| -> String { text.chars().take_while(char::is_ascii_digit).collect() };
        numbers.iter().map(digits).collect::<Vec<_>>().join(".")
    }
}

/// Returns the kernels, the newest first; drivers are determined only for the newest.
pub(super) fn find(root_fs: &RootFs) -> Observed<Vec<Kernel>> {
    let modules = root_fs.list("/lib/modules");
    let modules = modules.or_else(|| root_fs.list("/usr/lib/modules"));
    let boot = root_fs.names("/boot");
    let Observed::Present(modules) = modules else {
        return modules.map(|_| vec![]);
    };
    let mut versions: Vec<_> = modules
        .into_iter()
        .filter(|entry| entry.is_directory)
        .map(|entry| entry.name)
        .collect();
    // A removed kernel may leave modules that were built for it.
    let booted = |version: &String| boot.iter().any(|name| name.ends_with(version.as_str()));
    if versions.iter().any(booted) {
        versions.retain(booted);
    }
    versions.sort_by(|a, b| compare(b, a));
    let kernels = versions
        .into_iter()
        .enumerate()
        .map(|(rank, version)| Kernel {
            drivers: if rank == 0 {
                drivers(root_fs, &boot, &version)
            } else {
                None
            },
            version,
        });
    match kernels.collect::<Vec<_>>() {
        none if none.is_empty() => Observed::Absent,
        kernels => Observed::Present(kernels),
    }
}

fn drivers(
    root_fs: &RootFs,
    boot: &[String],
    version: &str,
) -> Option<BTreeMap<&'static str, Driver>> {
    let names = |file: &str| -> Option<BTreeSet<String>> {
        let path = format!("lib/modules/{version}/{file}");
        let text = root_fs.text(&format!("/{path}"));
        let text = text.or_else(|| root_fs.text(&format!("/usr/{path}")));
        let Observed::Present(text) = text else {
            return None;
        };
        let path = |line: &str| initramfs::module_name(line.split(':').next().unwrap_or_default());
        Some(text.lines().filter_map(path).collect())
    };
    let builtin = names("modules.builtin")?;
    let modules = names("modules.dep").unwrap_or_default();
    let early = initramfs_modules(root_fs, boot, version);
    let offset = |name: &'static str| {
        let in_early = early.as_ref().map(|early| early.contains(name));
        let offset = if builtin.contains(name) {
            Driver::Builtin
        } else if in_early == Some(true) {
            Driver::Initramfs
        } else if !modules.contains(name) {
            Driver::Absent
        // An unreadable initramfs may contain the module.
        } else if in_early.is_none() {
            Driver::Unknown
        } else {
            Driver::Module
        };
        (name, offset)
    };
    Some(DRIVERS.into_iter().map(offset).collect())
}

/// Returns the modules in the kernel's initramfs: under the name that Debian, Red Hat or SUSE
/// uses for it, or the only one in the directory.
fn initramfs_modules(
    root_fs: &RootFs,
    boot: &[String],
    version: &str,
) -> Option<BTreeSet<&'static str>> {
    let paths = [
        format!("initrd.img-{version}"),
        format!("initramfs-{version}.img"),
        format!("initrd-{version}"),
    ];
    let all = || {
        boot.iter()
            .filter(|name| name.starts_with("initrd") || name.starts_with("initramfs"))
    };
    let name = paths.iter().find(|name| boot.contains(name)).or_else(|| {
        let plain: Vec<_> = all()
            // These are not started by default.
            .filter(|name| !name.contains("fallback") && !name.contains("rescue"))
            .collect();
        match plain.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    })?;
    let Observed::Present(file) = root_fs.open(&format!("/boot/{name}")) else {
        return None;
    };
    let reason = match initramfs::modules(file, &DRIVERS) {
        Ok(found) => return Some(found),
        Err(ReadFailure::Unknown) => return None,
        Err(ReadFailure::TooLarge) => "it unpacks to more than 1 GiB",
        Err(ReadFailure::TooLong) => "it takes too long",
    };
    root_fs.note(format!("/boot/{name} was not read to its end: {reason}"));
    None
}

/// Compares versions by their numbers: 6.1.0-9 before 6.1.0-10.
fn compare(a: &str, b: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        let runs = text
            .split(|c: char| !c.is_ascii_digit())
            .filter(|run| !run.is_empty());
        runs.map(|run| run.parse().unwrap_or(u64::MAX)).collect()
    };
    numbers(a).cmp(&numbers(b)).then_with(|| a.cmp(b))
}

/// Returns the processor: that of the programs, or of the kernel's own file.
pub(super) fn architecture(root_fs: &RootFs) -> Option<Architecture> {
    let programs = ["/sbin/init", "/bin/sh", "/usr/bin/bash", "/bin/busybox"];
    let elf = programs
        .iter()
        .find_map(|path| elf_architecture(root_fs.bytes(path, 20).present()?));
    elf.or_else(|| {
        let mut kernels = root_fs
            .names("/boot")
            .into_iter()
            .filter(|name| name.starts_with("vmlinu"));
        kernels.find_map(|name| {
            kernel_architecture(root_fs.bytes(&format!("/boot/{name}"), 1024).present()?)
        })
    })
}

/// Returns the processor of an ELF file, `e_machine`.
fn elf_architecture(head: &[u8]) -> Option<Architecture> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    match *head.get(18..20)? {
        [62, 0] => Some(Architecture::X86_64),
        [183, 0] => Some(Architecture::Arm64),
        [3, 0] => Some(Architecture::I386),
        _ => Some(Architecture::Other),
    }
}

/// Returns the processor of a kernel by Linux's boot protocols: x86 with XLF_KERNEL_64 in
/// `xloadflags`, arm64's Image.
fn kernel_architecture(head: &[u8]) -> Option<Architecture> {
    if head.get(0x202..0x206) == Some(b"HdrS") {
        let wide = head.get(0x236).is_some_and(|flags| flags & 1 == 1);
        return Some(if wide {
            Architecture::X86_64
        } else {
            Architecture::I386
        });
    }
    (head.get(56..60) == Some(b"ARM\x64")).then_some(Architecture::Arm64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_is_the_one_with_the_larger_number() {
        let mut versions = ["6.1.0-9-amd64", "6.1.0-10-amd64", "5.10.0-30-amd64"];
        versions.sort_by(|a, b| compare(b, a));
        assert_eq!(
            versions,
            ["6.1.0-10-amd64", "6.1.0-9-amd64", "5.10.0-30-amd64"]
        );
    }

    #[test]
    fn a_series_is_two_numbers() {
        for (version, series) in [
            ("6.1.0-50-cloud-amd64", "6.1"),
            ("5.14.0-427.el9.x86_64", "5.14"),
            ("6.12-rc1", "6.12"),
            ("x", ""),
        ] {
            let kernel = Kernel {
                version: version.to_owned(),
                drivers: None,
            };
            assert_eq!(kernel.series(), series);
        }
    }

    #[test]
    fn the_processor_is_in_the_heads_of_programs_and_kernels() {
        let mut head = b"\x7fELF".to_vec();
        head.resize(20, 0);
        head[18] = 183;
        assert_eq!(elf_architecture(&head), Some(Architecture::Arm64));
        assert_eq!(elf_architecture(b"#!/bin/sh"), None);
        let mut kernel = vec![0; 1024];
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        assert_eq!(kernel_architecture(&kernel), Some(Architecture::I386));
        kernel[0x236] = 0x3f;
        assert_eq!(kernel_architecture(&kernel), Some(Architecture::X86_64));
    }
}
