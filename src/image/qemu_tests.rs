//! Compares the readers with other tools: qemu-img creates every format from one raw disk,
//! sfdisk creates partition tables. Where the tools are not installed the tests print that and
//! pass, unless the variable IMGIMPORT_TOOLS is "required".

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{DiskReader, Image, PartitionTable};

const MIB: u64 = 1 << 20;

/// Format, subformat or other options, and flags of `qemu-img convert`.
const VARIANTS: [(&str, &str, &str); 20] = [
    ("vpc", "subformat=fixed", ""),
    ("vpc", "subformat=fixed,force_size=on", ""),
    ("vpc", "subformat=dynamic", ""),
    ("vpc", "subformat=dynamic,force_size=on", ""),
    ("vhdx", "subformat=fixed", ""),
    ("vhdx", "subformat=fixed,block_state_zero=off", ""),
    ("vhdx", "subformat=dynamic", ""),
    ("vhdx", "subformat=dynamic,block_size=1048576", ""),
    ("vmdk", "subformat=streamOptimized", ""),
    ("vmdk", "subformat=monolithicSparse", ""),
    ("vmdk", "subformat=monolithicSparse,zeroed_grain=on", ""),
    ("qcow2", "compat=0.10", ""),
    ("qcow2", "compat=1.1", ""),
    ("qcow2", "cluster_size=512", ""),
    ("qcow2", "cluster_size=2M", ""),
    ("qcow2", "preallocation=full", ""),
    ("qcow2", "compat=0.10", "-c"),
    ("qcow2", "compression_type=zstd", "-c"),
    ("qcow2", "compression_type=zlib,cluster_size=4k", "-c"),
    ("vdi", "", ""),
];

/// Reports whether the tool is installed; prints a line if not.
#[allow(clippy::print_stderr)]
fn installed(tool: &str) -> bool {
    let run = Command::new(tool).arg("--version").output();
    let required = std::env::var("IMGIMPORT_TOOLS").is_ok_and(|value| value == "required");
    assert!(run.is_ok() || !required, "{tool} is required but not here");
    if run.is_err() {
        eprintln!("{tool} is not installed: nothing is compared with it");
    }
    run.is_ok()
}

fn run(tool: &str, arguments: &[&str], files: &[&Path]) -> Vec<u8> {
    let output = Command::new(tool).args(arguments).args(files).output();
    let output = output.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?}: {stderr}");
    output.stdout
}

/// Writes a disk with data in its first and last sector, across the boundaries of blocks and in
/// single sectors, of compressible and incompressible bytes.
fn disk(path: &Path, size: u64) {
    let file = File::create(path).unwrap();
    file.set_len(size).unwrap();
    let mut state = 1_u64;
    let mut noise = |len: usize| -> Vec<u8> {
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_le_bytes()[7]
        };
        std::iter::repeat_with(next).take(len).collect()
    };
    let places = [
        (0, noise(510)),
        (510, vec![0x55, 0xaa]),
        (65_536 - 512, vec![7; 1024]),
        (2 * MIB - 1536, noise(70_000)),
        (3 * MIB + 4096, vec![0xaa; 200_000]),
        (5 * MIB + 512, noise(512)),
        (6 * MIB, noise(300_000)),
        (size - 512, noise(512)),
    ];
    for (at, bytes) in places {
        file.write_all_at(&bytes, at).unwrap();
    }
}

fn virtual_size(format: &str, path: &Path) -> u64 {
    let info = run(
        "qemu-img",
        &["info", "--output=json", "-f", format],
        &[path],
    );
    let info: Value = serde_json::from_slice(&info).unwrap();
    info["virtual-size"].as_u64().unwrap()
}

/// Reads the whole disk, in pieces that match no block size.
fn all(blocks: &DiskReader) -> Vec<u8> {
    let mut bytes = vec![0xcc; usize::try_from(blocks.size()).unwrap()];
    let mut at = 0;
    for piece in bytes.chunks_mut(100_001) {
        blocks.read_at(piece, at).unwrap();
        at += piece.len() as u64;
    }
    bytes
}

/// Returns the bytes outside of `data`, and how many bytes it covers.
fn without_data(blocks: &DiskReader, mut bytes: Vec<u8>) -> (Vec<u8>, u64) {
    let (mut at, mut named) = (0, 0);
    while let Some(range) = blocks.data(at).unwrap() {
        assert!(range.start >= at && range.end > range.start && range.end <= blocks.size());
        let location = |at: u64| usize::try_from(at).unwrap();
        bytes[location(range.start)..location(range.end)].fill(0);
        named += range.end - range.start;
        at = range.end;
    }
    (bytes, named)
}

/// Asserts that the disk read from the container is the raw disk, with zeros where it is
/// larger.
fn same(path: &Path, format: &str, raw: &[u8], name: &str) {
    let image = Image::open(path, None).unwrap();
    let blocks = DiskReader::open(&image).unwrap();
    let size = virtual_size(format, path);
    assert_eq!(
        (blocks.size(), image.virtual_size),
        (size, Some(size)),
        "{name}"
    );
    let bytes = all(&blocks);
    let (disk, beyond) = bytes.split_at(raw.len());
    assert!(disk == raw, "{name}: other bytes than the raw disk");
    assert!(beyond.iter().all(|&byte| byte == 0), "{name}: padding");
    let (rest, named) = without_data(&blocks, bytes);
    assert!(
        rest.iter().all(|&byte| byte == 0),
        "{name}: data is left out"
    );
    assert_eq!(blocks.allocated().unwrap(), named, "{name}");
    // A fixed one has all its blocks; those of a VHDX have 8 MiB.
    let holes = !name.contains("fixed") && !name.contains("full") && raw.len() > 32 << 20;
    assert!(!holes || named < size, "{name}: no hole in {named} bytes");
}

fn convert(folder: &Path, raw: &Path, (format, options, flags): (&str, &str, &str)) -> PathBuf {
    let target = folder.join("converted");
    let _ = fs::remove_file(&target);
    let mut arguments = vec!["convert", "-f", "raw", "-O", format];
    if !options.is_empty() {
        arguments.extend(["-o", options]);
    }
    arguments.extend(flags.split_whitespace());
    run("qemu-img", &arguments, &[raw, &target]);
    target
}

#[test]
fn every_format_of_qemu_img_reads_as_the_raw_disk_it_was_made_of() {
    if !installed("qemu-img") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("disk.raw");
    for size in [12 * MIB + 3 * 512, 33 * MIB] {
        disk(&raw, size);
        let bytes = fs::read(&raw).unwrap();
        same(&raw, "raw", &bytes, "raw");
        for variant in VARIANTS {
            let target = convert(folder.path(), &raw, variant);
            same(
                &target,
                variant.0,
                &bytes,
                &format!("{variant:?} of {size}"),
            );
        }
    }
}

#[test]
fn a_disk_of_zeros_names_no_data_in_any_format() {
    if !installed("qemu-img") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("disk.raw");
    File::create(&raw).unwrap().set_len(4 * MIB).unwrap();
    for variant in VARIANTS {
        let target = convert(folder.path(), &raw, variant);
        let blocks = DiskReader::open(&Image::open(&target, None).unwrap()).unwrap();
        assert!(all(&blocks).iter().all(|&byte| byte == 0), "{variant:?}");
        let allocated = blocks.allocated().unwrap();
        // the footer of a fixed VHD shares its page with the end of the disk
        assert!(
            allocated < 64 << 10 || variant.1.contains("full"),
            "{variant:?}: {allocated}"
        );
    }
}

/// Divides a disk according to this script of sfdisk.
fn divided(path: &Path, script: &str) {
    File::create(path).unwrap().set_len(16 * MIB).unwrap();
    let mut sfdisk = Command::new("sfdisk")
        .arg("--quiet")
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = sfdisk.stdin.take().unwrap();
    input.write_all(script.as_bytes()).unwrap();
    drop(input);
    assert!(sfdisk.wait().unwrap().success(), "{script}");
}

#[test]
fn partition_tables_match_sfdisk() {
    if !installed("sfdisk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    for script in [
        "label: dos\n,4M,L,*\n,,S\n",
        "label: dos\n,4M,U\n,,L\n",
        "label: dos\n2 : start=2048,size=4M,type=83\n4 : start=16384,size=1M,type=ef\n",
        "label: dos\n2 : start=2048,size=4M,type=5\n3 : start=12288,size=4M,type=83\n5 : size=1M,type=83\n6 : size=1M,type=83\n",
        "label: gpt\n,4M,U\n,,L\n",
        "label: gpt\ntable-length: 256\n,4M,U\n,,L\n",
        "label: gpt\n3 : size=1M,type=21686148-6449-6E6F-744E-656564454649\n7 : type=L\n",
        "label: gpt\n,,L\n",
    ] {
        divided(&path, script);
        let sfdisk: Value = serde_json::from_slice(&run("sfdisk", &["--json"], &[&path])).unwrap();
        let table = &sfdisk["partitiontable"];
        let parts = table["partitions"].as_array().unwrap();
        let efi = parts.iter().any(|part| {
            ["ef", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"].contains(&part["type"].as_str().unwrap())
        });
        let image = Image::open(&path, None).unwrap();
        let expected = if table["label"] == "gpt" {
            PartitionTable::Gpt
        } else {
            PartitionTable::Mbr
        };
        assert_eq!(image.boot.table, expected, "{script}");
        // No code was written anywhere.
        assert_eq!(
            (image.boot.efi, image.boot.bios),
            (Some(efi), Some(false)),
            "{script}"
        );
        let node = |part: &Value| {
            let node = part["node"].as_str().unwrap();
            let number = node.strip_prefix(path.to_str().unwrap()).unwrap();
            let sectors = |key: &str| part[key].as_u64().unwrap();
            (number.parse().unwrap(), sectors("start"), sectors("size"))
        };
        // A container of logical partitions is not a partition itself.
        let nodes = parts
            .iter()
            .filter(|part| part["type"] != "5" && part["type"] != "f");
        let nodes: Vec<_> = nodes.map(node).collect();
        let found = DiskReader::open(&image).unwrap().partitions().unwrap();
        let found = found.list.unwrap().into_iter();
        let found: Vec<_> = found
            .map(|part| (part.number, part.start / 512, part.size / 512))
            .collect();
        assert_eq!(found, nodes, "{script}");
    }
}

#[test]
fn a_disk_boots_the_same_in_every_container() {
    if !installed("sfdisk") || !installed("qemu-img") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("disk.raw");
    let variants = VARIANTS.into_iter().chain([
        ("qcow2", "cluster_size=512", ""),
        ("qcow2", "cluster_size=16k", ""),
        ("qcow2", "cluster_size=2M", "-c"),
    ]);
    let uefi = "label: gpt\ntable-length: 256\n,4M,U\n,,L\n";
    let bios = "label: gpt\n,1M,21686148-6449-6E6F-744E-656564454649\n,,L\n";
    for (script, efi) in [(uefi, true), (bios, false)] {
        divided(&raw, script);
        let file = File::options().write(true).open(&raw).unwrap();
        if !efi {
            file.write_all_at(b"\xeb\x63GRUB", 0).unwrap();
            file.write_all_at(&[0x52], MIB).unwrap();
        }
        for variant in variants.clone() {
            let path = convert(folder.path(), &raw, variant);
            let boot = Image::open(&path, None).unwrap().boot;
            let detected = (boot.table, boot.efi, boot.bios);
            assert_eq!(
                detected,
                (PartitionTable::Gpt, Some(efi), Some(!efi)),
                "{variant:?}"
            );
        }
    }
}
