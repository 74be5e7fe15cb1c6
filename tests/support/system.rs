//! Small systems on small disks: files in a directory, which `mkfs.ext4 -d` makes a file
//! system of. Where the tools are missing a story says so and tells nothing.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// Where the partitions begin.
const FIRST_PARTITION: u64 = MIB;
const EFI: u64 = 2 * MIB;
const BOOT: u64 = 4 * MIB;
const ROOT: &str = "11111111-2222-3333-4444-555555555555";

/// A system that every cloud and the Marketplace take, until a story changes it.
pub struct TestSystem {
    files: TempDir,
    size: u64,
    code: bool,
    loader: Option<&'static str>,
    kind: u8,
    boot: bool,
}

impl TestSystem {
    /// Debian 12 for BIOS, cleaned up; None where there is no mkfs.ext4.
    pub fn debian() -> Option<Self> {
        find_tool("mkfs.ext4", "e2fsprogs")?;
        let system = Self {
            files: TempDir::new().unwrap(),
            size: 400 * MIB,
            code: true,
            loader: None,
            kind: 0x83,
            boot: false,
        };
        let version = "6.1.0-50-cloud-amd64";
        let modules = format!("lib/modules/{version}");
        let builtin = [
            "block/virtio_blk",
            "net/virtio_net",
            "virtio/virtio_pci",
            "scsi/virtio_scsi",
            "nvme/host/nvme",
        ];
        let builtin = builtin
            .map(|name| format!("kernel/drivers/{name}.ko\n"))
            .concat();
        Some(
            system
                .with("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n")
                .with("etc/fstab", "UUID=11111111-2222-3333-4444-555555555555 / ext4 defaults 0 1\n")
                .with("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n")
                .with("etc/shadow", "root:*:19000:0:99999:7:::\n")
                .with("etc/machine-id", "")
                .with("etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n")
                .with("etc/ufw/ufw.conf", "ENABLED=yes\n")
                .with("etc/cloud/cloud.cfg", "users:\n - default\n")
                .with("etc/systemd/system/multi-user.target.wants/ssh.service", "")
                .with("usr/bin/cloud-init", "#!/usr/bin/python3\n")
                .with("usr/sbin/sshd", "")
                .with("sbin/init", elf(62))
                .with(&format!("boot/vmlinuz-{version}"), "")
                .with(&format!("{modules}/modules.builtin"), &builtin)
                .with(&format!("{modules}/modules.dep"), "kernel/drivers/net/ethernet/amazon/ena/ena.ko:\n")
                .with("var/log/README", "")
                .with("root/.profile", ""),
        )
    }

    /// A file, with the directories above it.
    pub fn with(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.files.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Without a file or directory.
    pub fn without(self, path: &str) -> Self {
        let path = self.files.path().join(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        self
    }

    /// For another processor: ELF's `e_machine`.
    pub fn built_for(self, machine: u8) -> Self {
        self.with("sbin/init", elf(machine))
    }

    /// A disk of so many MiB.
    pub fn with_disk_size(mut self, megabytes: u64) -> Self {
        self.size = megabytes * MIB;
        self
    }

    /// Starts by UEFI alone, with this loader; None where there are no tools for FAT.
    pub fn for_uefi(mut self, loader: &'static str) -> Option<Self> {
        find_tool("mkfs.vfat", "dosfstools")?;
        find_tool("mcopy", "mtools")?;
        (self.code, self.loader) = (false, Some(loader));
        Some(self)
    }

    /// With /boot on a partition of its own, which fstab mounts.
    pub fn with_boot_partition(mut self) -> Self {
        self.boot = true;
        self.with(
            "etc/fstab",
            format!("UUID={ROOT} / ext4 defaults 0 1\nLABEL=boot /boot ext4 defaults 0 2\n"),
        )
    }

    /// Writes the disk.
    pub fn write(&self, path: &Path) {
        let file = fs::File::create(path).unwrap();
        file.set_len(self.size).unwrap();
        let mut mbr = [0; 512];
        if self.code {
            mbr[..8].copy_from_slice(b"\xeb\x63GRUB \0");
        }
        let efi = if self.loader.is_some() { EFI } else { 0 };
        let boot = if self.boot { BOOT } else { 0 };
        let root = FIRST_PARTITION + efi + boot;
        let parts = [
            (self.kind, root, self.size - root),
            (0xef, FIRST_PARTITION, efi),
            (0x83, FIRST_PARTITION + efi, boot),
        ];
        let parts = parts.into_iter().filter(|(_, _, size)| *size > 0);
        for (at, (kind, start, size)) in parts.enumerate() {
            let entry = &mut mbr[446 + 16 * at..][..16];
            entry[4] = kind;
            entry[8..12].copy_from_slice(&u32::try_from(start / 512).unwrap().to_le_bytes());
            entry[12..].copy_from_slice(&u32::try_from(size / 512).unwrap().to_le_bytes());
        }
        mbr[510..].copy_from_slice(&[0x55, 0xaa]);
        file.write_all_at(&mbr, 0).unwrap();
        let disk = path.display().to_string();
        let files = self.files.path();
        if self.boot {
            let files = TempDir::new().unwrap();
            let from = self.files.path().join("boot");
            for entry in fs::read_dir(&from).unwrap() {
                let name = entry.unwrap().file_name();
                fs::rename(from.join(&name), files.path().join(&name)).unwrap();
            }
            ext4(
                &disk,
                files.path(),
                (FIRST_PARTITION + efi, boot),
                &["-L", "boot"],
            );
        }
        ext4(&disk, files, (root, self.size - root), &["-U", ROOT]);
        if let Some(loader) = self.loader {
            let (sector, kilobytes) = (
                (FIRST_PARTITION / 512).to_string(),
                (EFI / 1024).to_string(),
            );
            run("mkfs.vfat", &["--offset", &sector, &disk, &kilobytes]);
            let inside = format!("{disk}@@{FIRST_PARTITION}");
            let mut dir = "::".to_owned();
            let (dirs, _) = loader.rsplit_once('/').unwrap();
            for name in dirs.split('/') {
                dir = format!("{dir}/{name}");
                run("mmd", &["-i", &inside, &dir]);
            }
            let source = self.files.path().join("sbin/init").display().to_string();
            run("mcopy", &["-i", &inside, &source, &format!("::/{loader}")]);
        }
    }
}

/// Makes a file system of a directory.
fn ext4(disk: &str, files: &Path, (start, size): (u64, u64), more: &[&str]) {
    let place = format!("offset={start},lazy_itable_init=1,root_owner=0:0");
    let (files, blocks) = (files.display().to_string(), (size / 1024).to_string());
    let fixed = ["-q", "-F", "-b", "1024", "-E", &place, "-d", &files];
    let last = [disk, blocks.as_str()];
    run("mkfs.ext4", &[&fixed, more, &last].concat());
}

fn elf(machine: u8) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(64, 0);
    head[18] = machine;
    head
}

/// Where a tool is; said on standard error where it is not.
#[allow(clippy::print_stderr)]
pub fn find_tool(name: &str, package: &str) -> Option<PathBuf> {
    let dirs = [
        "/usr/sbin",
        "/sbin",
        "/usr/bin",
        "/bin",
        "/usr/local/bin",
        "/usr/local/sbin",
    ];
    let found = dirs
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        let required = std::env::var("IMGIMPORT_TOOLS").is_ok_and(|value| value == "required");
        assert!(!required, "{name} is missing: install {package}");
        eprintln!("{name} is missing, the story is not told: install {package}");
    }
    found
}

/// What runs a command as a container does, processes numbered anew; said on standard error
/// where that is not allowed. A system may well forbid it, so it is never required.
#[allow(clippy::print_stderr)]
pub fn container_command() -> Option<&'static str> {
    let command = "unshare --user --map-root-user --pid --fork --kill-child";
    let try_it = format!("{command} true");
    let output = Command::new("/bin/sh").args(["-c", &try_it]).output();
    let made = output.is_ok_and(|output| output.status.success());
    if !made {
        eprintln!("no container can be made here, the story is not told");
    }
    made.then_some(command)
}

fn run(name: &str, args: &[&str]) {
    let path = find_tool(name, "it").unwrap();
    let output = Command::new(path).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{name} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
