//! Tests of the inspection on disks that other tools created. Where a tool is not installed its
//! tests print that and pass, unless the variable IMGIMPORT_TOOLS is "required".

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;

const MIB: u64 = 1 << 20;
const NOT_UNMOUNTED: &str = "the ext4 file system of partition 1 was not unmounted and its journal can't be read: it is read as it lies on the disk, without what was written last";

/// Reports whether the tool is installed; prints a line if not.
#[allow(clippy::print_stderr)]
fn installed(tool: &str, package: &str) -> bool {
    let dirs = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    let here = dirs.iter().any(|dir| Path::new(dir).join(tool).exists());
    let required = std::env::var("IMGIMPORT_TOOLS").is_ok_and(|value| value == "required");
    assert!(here || !required, "{tool} is missing: install {package}");
    if !here {
        eprintln!("{tool} is missing, its test is passed over: install {package}");
    }
    here
}

fn run(tool: &str, args: &[&str], input: &str) {
    let mut child = Command::new(tool)
        .args(args)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut to, input.as_bytes()).unwrap();
    drop(to);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {stderr}");
}

/// Files in a directory, from which a file system is created.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn with(self, path: &str, content: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn dir(self, path: &str) -> Self {
        fs::create_dir_all(self.0.path().join(path)).unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> Self {
        symlink(target, self.0.path().join(path)).unwrap();
        self
    }

    /// Returns the bytes of a file system of these files.
    fn ext(&self, size: u64, more: &[&str]) -> Vec<u8> {
        let folder = TempDir::new().unwrap();
        let path = self.made(&folder, size, more);
        fs::read(path).unwrap()
    }

    fn made(&self, folder: &TempDir, size: u64, more: &[&str]) -> PathBuf {
        let path = folder.path().join("fs");
        fs::File::create(&path).unwrap().set_len(size).unwrap();
        let from = self.0.path().display().to_string();
        let last = ["-d", &from, path.to_str().unwrap()];
        run("mke2fs", &[&["-q", "-F"], more, &last].concat(), "");
        path
    }
}

/// Returns a small system whose name is "Test 1".
fn system(fstab: &str) -> Root {
    Root::new()
        .with("etc/os-release", "PRETTY_NAME=\"Test 1\"\nID=test\n")
        .with("etc/fstab", fstab)
        .dir("usr")
        .dir("boot")
        .dir("var")
}

/// Writes a disk of these partitions, each at the next MiB.
fn disk(parts: &[&[u8]]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut mbr = [0; 512];
    mbr[440..444].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
    let mut at = MIB;
    for (slot, part) in parts.iter().enumerate() {
        let size = (part.len() as u64).next_multiple_of(MIB);
        let entry = &mut mbr[446 + 16 * slot..][..16];
        entry[4] = 0x83;
        entry[8..12].copy_from_slice(&u32::try_from(at / 512).unwrap().to_le_bytes());
        entry[12..].copy_from_slice(&u32::try_from(size / 512).unwrap().to_le_bytes());
        file.as_file().write_all_at(part, at).unwrap();
        at += size;
    }
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    file.as_file().write_all_at(&mbr, 0).unwrap();
    file.as_file().set_len(at).unwrap();
    file
}

fn inspect(path: &Path) -> Guest {
    Guest::inspect(&Image::open(path, None).unwrap())
}

fn inspect_disk(parts: &[&[u8]]) -> Guest {
    inspect(disk(parts).path())
}

/// Returns a partition of a MiB with nothing but this signature.
fn marked(marks: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    for (at, mark) in marks {
        bytes[*at..at + mark.len()].copy_from_slice(mark);
    }
    bytes
}

/// Returns an NTFS with the boot code that Windows writes into every one; `None` without
/// mkntfs.
fn ntfs(label: &str) -> Option<Vec<u8>> {
    if !installed("mkntfs", "ntfs-3g") {
        return None;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(2 * MIB).unwrap();
    let path = file.path().to_str().unwrap();
    run("mkntfs", &["-q", "-F", "-L", label, path], "");
    let mut bytes = fs::read(file.path()).unwrap();
    bytes[390..407].copy_from_slice(b"BOOTMGR is missin");
    Some(bytes)
}

/// Returns it with two of its own directories renamed to those of Windows.
fn with_windows(mut bytes: Vec<u8>, directory: &str, inside: &str) -> Vec<u8> {
    let utf16 =
        |name: &str| -> Vec<u8> { name.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for (from, to) in [("$Extend", directory), ("$Reparse", inside)] {
        let (from, to) = (utf16(from), utf16(to));
        let places = bytes.windows(from.len()).enumerate();
        let places = places.filter(|(_, there)| *there == from);
        let places: Vec<_> = places.map(|(at, _)| at).collect();
        assert_eq!(
            places.len(),
            2,
            "the file's own name and its parent's index"
        );
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(&to);
        }
    }
    bytes
}

#[test]
fn a_disk_with_an_ntfs_partition_is_not_windows_for_that() {
    let Some(data) = ntfs("data") else { return };
    for (name, other) in [
        ("xfs", marked(&[(0, b"XFSB")])),
        ("btrfs", marked(&[(65600, b"_BHRfS_M")])),
        ("lvm", marked(&[(512, b"LABELONE")])),
        ("luks", marked(&[(0, b"LUKS\xba\xbe")])),
        ("swap", marked(&[(4086, b"SWAPSPACE2")])),
    ] {
        assert_eq!(inspect_disk(&[&other, &data]).family, None, "{name}");
        // Even where it cannot be read.
        let damaged = [&data[..512], &vec![0xff; 1 << 20]].concat();
        assert_eq!(inspect_disk(&[&other, &damaged]).family, None, "{name}");
    }
    assert_eq!(inspect_disk(&[&data]).family, None, "nothing but data");
}

#[test]
fn windows_is_recognized_by_its_directory() {
    let Some(empty) = ntfs("C") else { return };
    let xfs = marked(&[(0, b"XFSB")]);
    for (directory, inside) in [
        ("Windows", "System32"),
        ("WINDOWS", "system32"),
        ("windows", "SYSTEM32"),
    ] {
        let windows = with_windows(empty.clone(), directory, inside);
        let guest = inspect_disk(&[&windows]);
        assert_eq!(guest.family, Some(OsFamily::Windows), "{directory}");
        assert_eq!(guest.name().as_deref(), Some("Windows"));
        assert_eq!(
            inspect_disk(&[&xfs, &windows]).family,
            Some(OsFamily::Windows)
        );
    }
    let other = with_windows(empty, "Winners", "System32");
    assert_eq!(inspect_disk(&[&other]).family, None);
}

#[test]
fn a_windows_boot_loader_counts_without_another_system() {
    let sector = b"\xeb\x52\x90NTFS    ";
    let unreadable = marked(&[(0, sector), (390, b"BOOTMGR is missing")]);
    assert_eq!(inspect_disk(&[&unreadable]).family, Some(OsFamily::Windows));
    let locked = marked(&[(0, b"\xeb\x58\x90-FVE-FS-"), (82, b"FAT32   ")]);
    let guest = inspect_disk(&[&locked]);
    assert_eq!(guest.family, Some(OsFamily::Windows));
    assert_eq!(guest.volumes[0].content, Some(VolumeKind::BitLocker));
    let xfs = marked(&[(0, b"XFSB")]);
    assert_eq!(inspect_disk(&[&xfs, &locked, &unreadable]).family, None);
}

#[test]
fn no_ntfs_makes_the_look_fail() {
    let Some(empty) = ntfs("C") else { return };
    let sound = with_windows(empty, "Windows", "System32");
    let file = disk(&[&sound]);
    let write = |at: usize, byte: u8| {
        file.as_file()
            .write_all_at(&[byte], MIB + at as u64)
            .unwrap();
    };
    assert_eq!(inspect(file.path()).family, Some(OsFamily::Windows));
    // Only at used bytes: the boot sector, file records, indexes, upcase table.
    let used: Vec<_> = (0..sound.len()).filter(|&at| sound[at] != 0).collect();
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for round in 0..1000 {
        let mut changed = vec![];
        for _ in 0..=round % 6 {
            // Half of them in the boot sector or near the first file records.
            let near = next(2) == 0;
            let at = used[next(if near {
                used.len().min(2000)
            } else {
                used.len()
            })];
            write(at, u8::try_from(next(256)).unwrap());
            changed.push(at);
        }
        let guest = inspect(file.path());
        let late = |problem: &String| problem.contains("too long") || problem.contains("damaged");
        assert!(!guest.problems.iter().any(late), "{:?}", guest.problems);
        for at in changed {
            write(at, sound[at]);
        }
    }
    assert_eq!(inspect(file.path()).family, Some(OsFamily::Windows));
}

/// Leaves a transaction in the journal, like a machine that is switched off.
fn dirty(path: &Path, open: &str) {
    let script = format!("{open}\njw -b 700 {}\njc\n", path.display());
    // The written content does not matter; the source only has to be readable.
    let source = path.with_extension("block");
    fs::write(&source, [7; 4096]).unwrap();
    let script = script.replace(path.to_str().unwrap(), source.to_str().unwrap());
    run(
        "debugfs",
        &["-w", "-f", "-", path.to_str().unwrap()],
        &script,
    );
    let superblock = fs::read(path).unwrap();
    assert_eq!(superblock[1024 + 0x60] & 4, 4, "it needs a recovery");
}

#[test]
fn a_file_system_that_was_not_unmounted_is_read_all_the_same() {
    if !installed("mke2fs", "e2fsprogs") || !installed("debugfs", "e2fsprogs") {
        return;
    }
    let root = system("UUID=1 / ext4 defaults 0 1\n");
    let forms: [(&[&str], &str); 12] = [
        (&["-t", "ext3"], "jo"),
        (&["-t", "ext3", "-b", "1024"], "jo"),
        (&["-t", "ext3", "-I", "128"], "jo"),
        (&["-t", "ext4", "-O", "^metadata_csum,^64bit"], "jo"),
        (
            &["-t", "ext4", "-O", "^metadata_csum,^64bit,uninit_bg"],
            "jo",
        ),
        (&["-t", "ext4", "-I", "128"], "jo"),
        (&["-t", "ext4", "-O", "^64bit"], "jo"),
        (&["-t", "ext4", "-O", "^metadata_csum"], "jo"),
        (&["-t", "ext4", "-O", "mmp"], "jo"),
        (&["-t", "ext4", "-O", "ea_inode"], "jo"),
        (&["-t", "ext4"], "jo"),
        (&["-t", "ext4"], "jo -c -v 3"),
    ];
    let mut without = 0;
    for (options, open) in forms {
        let folder = TempDir::new().unwrap();
        let path = root.made(&folder, 32 * MIB, options);
        dirty(&path, open);
        let guest = inspect_disk(&[&fs::read(&path).unwrap()]);
        assert_eq!(
            guest.name().as_deref(),
            Some("Test 1"),
            "{options:?} {open}"
        );
        assert!(guest.system.is_some_and(|system| system.free.is_some()));
        match guest.problems.as_slice() {
            [] => {}
            [trouble] if trouble == NOT_UNMOUNTED => without += 1,
            other => panic!("{options:?}: {other:?}"),
        }
    }
    assert!(without >= 8, "the journal was left out {without} times");
}

#[test]
fn a_superblock_that_is_wrong_is_not_made_right() {
    if !installed("mke2fs", "e2fsprogs") || !installed("debugfs", "e2fsprogs") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = system("").made(&folder, 32 * MIB, &["-t", "ext4", "-O", "^64bit"]);
    dirty(&path, "jo");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1024 + 0x68] ^= 1;
    let guest = inspect_disk(&[&bytes]);
    assert_eq!(guest.system.map(|_| ()), None);
    assert_eq!(guest.problems.len(), 1, "{:?}", guest.problems);
    // A superblock that requires more memory than its partition has blocks is rejected, too.
    let mut bytes = fs::read(&path).unwrap();
    bytes[1024 + 4..1024 + 8].fill(0xff);
    assert_eq!(
        inspect_disk(&[&bytes]).problems,
        [
            "the ext4 file system of partition 1 can't be read: it claims to be larger than its partition"
        ]
    );
}

const VERSION: &str = "6.1.0-9-amd64";

/// Returns the content of a merged /usr, with these directories in front.
fn usr() -> Root {
    Root::new()
        .with("lib/os-release", "PRETTY_NAME=\"Test 2\"\nID=test\n")
        .with(
            &format!("lib/modules/{VERSION}/modules.builtin"),
            "kernel/drivers/nvme/host/nvme.ko\n",
        )
        .with("bin/bash", "\x7fELF")
        .with("sbin/sshd", "")
        .with("bin/cloud-init", "")
}

/// Returns the root of a merged system whose own directories are empty.
fn merged(fstab: &str) -> Root {
    Root::new()
        .with("etc/fstab", fstab)
        .dir("usr")
        .dir("boot")
        .dir("var")
        .link("lib", "usr/lib")
        .link("bin", "/usr/bin")
        .link("sbin", "usr/./bin/../sbin")
        .link("etc/os-release", "../usr/lib/os-release")
}

#[test]
fn a_system_is_put_together_from_all_its_partitions() {
    if !installed("mke2fs", "e2fsprogs") {
        return;
    }
    let usr = usr();
    let uuid = "22222222-2222-3333-4444-555555555555";
    let usr = usr.ext(8 * MIB, &["-t", "ext4", "-U", uuid, "-L", "my usr"]);
    let boot = Root::new().with(&format!("vmlinuz-{VERSION}"), "");
    let boot = boot.ext(4 * MIB, &["-t", "ext2"]);
    let var = Root::new().with("log/dpkg.log", "12345");
    let var = var.ext(4 * MIB, &["-t", "ext4", "-L", "var"]);
    for device in [
        format!("UUID=\"{}\"", uuid.to_uppercase()),
        "LABEL=my\\040usr".to_owned(),
        "PARTUUID=DEADBEEF-03".to_owned(),
        "/dev/vda3".to_owned(),
        "/dev/disk/by-label/my\\x20usr".to_owned(),
        format!("/dev/disk/by-uuid/{uuid}"),
    ] {
        let fstab = format!(
            "PARTUUID=deadbeef-01 / ext4 defaults 0 1\n{device} /usr ext4 defaults 0 2\n/dev/sda2 /boot ext2 defaults 0 2\nLABEL=var /var ext4 defaults 0 2\n"
        );
        let root = merged(&fstab).ext(8 * MIB, &["-t", "ext4"]);
        let guest = inspect_disk(&[&root, &boot, &usr, &var]);
        let mounted = guest.volumes.iter().map(|volume| volume.mounted.as_deref());
        let expected = [Some("/"), Some("/boot"), Some("/usr"), Some("/var")];
        assert_eq!(mounted.collect::<Vec<_>>(), expected, "{device}");
        assert_eq!(guest.name().as_deref(), Some("Test 2"), "{device}");
        let kernel = guest.kernel().unwrap();
        assert_eq!(kernel.version, VERSION);
        let drivers = kernel.drivers.as_ref().unwrap();
        assert_eq!(drivers["nvme"], Driver::Builtin);
        let system = guest.system.unwrap();
        assert_eq!(system.sshd.is_present(), Some(true));
        assert_eq!(system.cloud_init.is_present(), Some(true));
        let logs = system.residue.logs.present().unwrap();
        assert_eq!(logs[0].path, "/var/log/dpkg.log");
    }
}

#[test]
fn files_on_an_unreadable_partition_are_unknown() {
    if !installed("mke2fs", "e2fsprogs") {
        return;
    }
    let xfs = marked(&[(0, b"XFSB")]);
    for device in [
        "UUID=1234",
        "/dev/mapper/vg-usr2",
        "/dev/vg/usr2",
        "/dev/md2",
    ] {
        let fstab = format!("LABEL=root / ext4 defaults 0 1\n{device} /usr xfs defaults 0 2\n");
        let root = merged(&fstab).ext(8 * MIB, &["-t", "ext4"]);
        // Another file system is in partition 2, which is not meant.
        let data = Root::new().with("x", "").ext(4 * MIB, &["-t", "ext4"]);
        let system = inspect_disk(&[&root, &data, &xfs]).system.unwrap();
        assert_eq!(system.os, Observed::Unknown, "{device}");
        assert_eq!(system.sshd, Observed::Unknown, "{device}");
        assert_eq!(system.kernels, Observed::Unknown, "{device}");
    }
}

#[test]
fn links_that_lead_nowhere_end() {
    if !installed("mke2fs", "e2fsprogs") {
        return;
    }
    let root = Root::new()
        .dir("etc")
        .dir("usr/lib")
        .link("lib", "lib2")
        .link("lib2", "/lib")
        .link("etc/os-release", "../../../usr/lib/release")
        .link("usr/lib/release", "../../etc/real")
        .with("etc/real", "PRETTY_NAME=\"Test 3\"\n")
        .link("etc/fstab", "/etc/fstab")
        .link("boot", "usr/none")
        .ext(8 * MIB, &["-t", "ext4"]);
    let guest = inspect_disk(&[&root]);
    assert_eq!(guest.name().as_deref(), Some("Test 3"));
    let system = guest.system.unwrap();
    assert_eq!(system.kernels, Observed::Absent);
    assert_eq!(system.fstab, Observed::Absent);
}

#[test]
fn an_unknown_distribution_is_named_by_its_release_file() {
    if !installed("mke2fs", "e2fsprogs") {
        return;
    }
    let base = || Root::new().dir("usr").with("etc/fstab", "");
    for (path, text, name, id) in [
        (
            "etc/redhat-release",
            "Scientific Linux release 6.10 (Carbon)\n",
            "Scientific Linux release 6.10 (Carbon)",
            "scientific",
        ),
        (
            "etc/centos-release",
            "CentOS release 6.10 (Final)\n",
            "CentOS release 6.10 (Final)",
            "centos",
        ),
        (
            "etc/lsb-release",
            "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\nDISTRIB_DESCRIPTION=\"Ubuntu 10.04.4 LTS\"\n",
            "Ubuntu 10.04.4 LTS",
            "ubuntu",
        ),
        ("etc/debian_version", "7.11\n", "Debian 7.11", "debian"),
        (
            "etc/slackware-version",
            "Slackware 14.2\n",
            "Slackware 14.2",
            "slackware",
        ),
        (
            "etc/alpine-release",
            "3.4.6\n",
            "Alpine Linux 3.4.6",
            "alpine",
        ),
    ] {
        // The release that it was built from, which is less exact.
        let root = base().with("etc/debian_version", "squeeze/sid\n");
        let root = root.with(path, text).ext(4 * MIB, &["-t", "ext4"]);
        let guest = inspect_disk(&[&root]);
        assert_eq!(guest.name().as_deref(), Some(name), "{path}");
        assert_eq!(guest.system.unwrap().os.present().unwrap().id, id);
    }
}
