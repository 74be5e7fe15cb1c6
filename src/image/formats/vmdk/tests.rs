use std::io::Write as _;

use super::*;
use crate::image::test_support::{
    convert, copy_again, disk, fuzz_fields, open, patched, refusal, refusal_text, unreadable,
};

const STREAM: u32 = 0x3_0001;

fn header(flags: u32, directory: u64) -> Vec<u8> {
    let compression = u8::from(flags & COMPRESSED_WITH_MARKERS != 0);
    patched(
        &[0; 512],
        &[
            (0, SPARSE),
            (4, &[3]),
            (8, &flags.to_le_bytes()),
            (12, &16_u64.to_le_bytes()),
            (20, &8_u64.to_le_bytes()),
            (28, &[1]),
            (36, &[1]),
            (45, &[2]),
            (56, &directory.to_le_bytes()),
            (64, &[8]),
            (73, b"\n \r\n"),
            (77, &[compression]),
        ],
    )
}

fn descriptor(kind: &str, parent: &str) -> Vec<u8> {
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID={parent}\ncreateType=\"{kind}\"\nRW 16 SPARSE \"x.vmdk\"\n"
    );
    let mut sector = text.into_bytes();
    sector.resize(512, 0);
    sector
}

fn sector(words: &[u32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.resize(512, 0);
    bytes
}

/// Returns a grain of 4 KiB with boot code in its first sector, deflated.
fn grain() -> Vec<u8> {
    let disk = patched(&[0; 4096], &[(0, &[7; 440]), (510, &[0x55, 0xaa])]);
    let mut encoder = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(&disk).unwrap();
    let data = encoder.finish().unwrap();
    let len = u32::try_from(data.len()).unwrap();
    let mut grain = [&[0; 8][..], &len.to_le_bytes(), &data].concat();
    grain.resize(512, 0);
    grain
}

/// Returns a disk of 8 KiB as ovftool writes it: header, descriptor, the grain at sector 2,
/// marker, table at 4 of 4 sectors, marker, directory at 9, marker, footer, end.
pub(in crate::image) fn vmware() -> Vec<u8> {
    let table = [sector(&[2]), vec![0; 3 * 512]].concat();
    [
        header(STREAM, DIRECTORY_AT_END),
        descriptor("streamOptimized", "ffffffff"),
        grain(),
        sector(&[4, 0, 0, 1]),
        table,
        sector(&[1, 0, 0, 2]),
        sector(&[4]),
        sector(&[1, 0, 0, 3]),
        header(STREAM, 9),
        vec![0; 512],
    ]
    .concat()
}

/// Returns a disk as qemu-img writes it: the directory at sector 2, table at 3, grain at 7.
fn qemu(flags: u32, kind: &str, parent: &str) -> Vec<u8> {
    let table = [sector(&[7]), vec![0; 3 * 512]].concat();
    let data = if flags & COMPRESSED_WITH_MARKERS == 0 {
        vec![0; 4096]
    } else {
        grain()
    };
    [
        header(flags, 2),
        descriptor(kind, parent),
        sector(&[3]),
        table,
        data,
    ]
    .concat()
}

pub(in crate::image) fn stream() -> Vec<u8> {
    qemu(STREAM | 2, "streamOptimized", "ffffffff")
}

pub(in crate::image) fn sparse() -> Vec<u8> {
    qemu(3, "monolithicSparse", "ffffffff")
}

fn refused(changes: &[(usize, &[u8])]) -> String {
    refusal(&patched(&stream(), changes))
}

#[test]
fn both_layouts_of_a_stream_are_accepted() {
    for vmdk in [vmware(), stream()] {
        let image = open(&vmdk).unwrap();
        assert_eq!(image.describe(), "stream-optimized VMDK, 8.0 KiB disk");
        assert_eq!(image.boot.bios, Some(true));
    }
    let padded = [vmware(), vec![0; 4096]].concat();
    assert!(open(&padded).is_ok());
}

#[test]
fn the_disk_inside_is_read_where_its_grains_lie() {
    let bytes = patched(&[0; 8192], &[(0, &[7; 440]), (510, &[0x55, 0xaa])]);
    assert_eq!(disk(&vmware()), (bytes.clone(), vec![(0, 4096)]));
    assert_eq!(disk(&stream()), (bytes, vec![(0, 4096)]));
    let uncompressed = patched(&sparse(), &[(3584, &[5; 4096])]);
    let bytes = patched(&[0; 8192], &[(0, &[5; 4096])]);
    assert_eq!(disk(&uncompressed), (bytes, vec![(0, 4096)]));
    for (at, nowhere) in [(1536, 1), (1536, 0), (1024, 0)] {
        let none = patched(&uncompressed, &[(at, &[nowhere])]);
        assert_eq!(disk(&none), (vec![0; 8192], vec![]));
    }
}

#[test]
fn damaged_grains_are_errors() {
    let damaged = |how: &str| format!("the container is damaged: {how}");
    assert_eq!(
        unreadable(&patched(&stream(), &[(3596, &[0])])),
        damaged(
            "compressed data can't be read (deflate decompression error: incorrect header check)"
        )
    );
    assert_eq!(
        unreadable(&patched(&stream(), &[(3592, &[9, 0])])),
        damaged("compressed data is too short")
    );
}

#[test]
fn a_monolithic_sparse_disk_is_distinguished() {
    let image = open(&sparse()).unwrap();
    assert_eq!(
        image.content,
        Content::Vmdk {
            kind: VmdkKind::MonolithicSparse
        }
    );
}

#[test]
fn a_vmdk_header_is_read_from_a_pipe() {
    let image = crate::image::Image::from_head(&vmware()[..1024], None).unwrap();
    assert_eq!(image.describe(), "stream-optimized VMDK, 8.0 KiB disk");
}

#[test]
fn unsupported_vmdk_kinds_are_rejected() {
    let only = |name: &str| {
        convert(
            "vmdk",
            &format!(
                "the VMDK is only the descriptor{name}, the disk itself lies in other files beside it"
            ),
        )
    };
    for (kind, what) in [
        ("monolithicFlat", " of a flat disk (monolithicFlat)"),
        ("vmfs", " of a flat disk (vmfs)"),
        (
            "twoGbMaxExtentSparse",
            " of a split disk (twoGbMaxExtentSparse)",
        ),
        ("seSparse", " of a sparse disk (seSparse)"),
        ("custom", ""),
    ] {
        assert_eq!(refusal(&descriptor(kind, "ffffffff")), only(what));
    }
    let spaced = [b"# Disk Descriptor File\n", &[0; 512][..]].concat();
    assert_eq!(refusal(&spaced), only(""));
    assert_eq!(
        refusal(&patched(&[0; 512], &[(0, ESX_SPARSE)])),
        convert("vmdk", "the VMDK is a sparse disk of ESX")
    );
    assert_eq!(
        refusal(&patched(&[0; 512], &[(0, &SE_SPARSE)])),
        refusal_text(
            "the VMDK is a space-efficient sparse disk of ESX",
            "convert the whole disk first, by its descriptor file: qemu-img convert -f vmdk -O raw DESCRIPTOR.vmdk disk.raw"
        )
    );
    assert_eq!(
        refusal(&qemu(3, "vmfsSparse", "ffffffff")),
        convert(
            "vmdk",
            "the VMDK is of the type \"vmfsSparse\", which no cloud takes"
        )
    );
    assert_eq!(
        refusal(&patched(&sparse(), &[(10, &[1])])),
        convert(
            "vmdk",
            "the VMDK compresses its grains without marking them, which no cloud takes"
        )
    );
    assert_eq!(
        refusal(&patched(&sparse(), &[(512, &[0; 512])])),
        refusal_text(
            "the VMDK is one piece of a split disk, which its descriptor file puts together",
            "convert the whole disk first, by its descriptor file: qemu-img convert -f vmdk -O raw DESCRIPTOR.vmdk disk.raw"
        )
    );
}

#[test]
fn a_snapshot_is_refused_in_a_file_and_in_a_descriptor() {
    let message = refusal_text(
        "the VMDK is a snapshot, it holds only what changed since its parent disk",
        "delete the snapshots of the virtual machine, or export it, so that one whole disk remains",
    );
    assert_eq!(refusal(&qemu(3, "monolithicSparse", "12345678")), message);
    assert_eq!(refusal(&descriptor("monolithicFlat", "12345678")), message);
}

#[test]
fn damage_is_refused() {
    let damaged = |how: &str| copy_again(&format!("the VMDK is damaged: {how}"));
    assert_eq!(
        refused(&[(75, b"\n")]),
        damaged("its line ends were changed on the way, as by a transfer in text mode")
    );
    assert_eq!(
        refused(&[(20, &[9])]),
        damaged("it claims grains of 9 sectors")
    );
    assert_eq!(
        refused(&[(45, &[0])]),
        damaged("it claims grain tables without entries")
    );
    assert_eq!(
        refused(&[(46, &[1])]),
        damaged("a grain table would have 66048 entries, at most 512 are possible")
    );
    assert_eq!(
        refused(&[(18, &[1])]),
        damaged("its grain directory would have 274877906948 bytes, at most 33554432 are possible")
    );
    assert_eq!(
        refused(&[(39, &[1])]),
        damaged("its descriptor would have 8589935104 bytes, at most 1048576 are possible")
    );
}

#[test]
fn a_vmdk_with_grains_beyond_the_end_is_rejected() {
    let cut = |name: &str, end: usize, len: usize| {
        copy_again(&format!(
            "the VMDK is cut short: {name} reaches to byte {end}, but only {len} bytes are there"
        ))
    };
    let vmdk = stream();
    assert_eq!(refusal(&vmdk[..500]), cut("its header", 512, 500));
    assert_eq!(refusal(&vmdk[..1000]), cut("its descriptor", 1024, 1000));
    assert_eq!(
        refusal(&vmdk[..1025]),
        cut("its grain directory", 1028, 1025)
    );
    assert_eq!(refusal(&vmdk[..1600]), cut("a grain table", 3584, 1600));
    assert_eq!(
        refusal(&vmdk[..3600]),
        cut("a grain of its data", 4096, 3600)
    );
    let marker = patched(&vmdk, &[(3592, &[0, 4])]);
    assert_eq!(refusal(&marker), cut("a grain of its data", 4620, 4096));
}

#[test]
fn headers_that_differ_are_refused() {
    assert_eq!(
        refusal(&patched(&vmware(), &[(12, &[17])])),
        copy_again("the VMDK is damaged: the header at its start is not the one at its end")
    );
}

#[test]
fn tables_that_lie_on_each_other_are_refused() {
    let many = [sector(&[3; 128]), vec![0; 8 * 512]].concat();
    let vmdk = [
        patched(&header(3, 2), &[(12, &(128 * 4096_u64).to_le_bytes())]),
        descriptor("monolithicSparse", "ffffffff"),
        many,
    ]
    .concat();
    assert_eq!(
        refusal(&vmdk),
        copy_again("the VMDK is damaged: its grain tables lie on each other")
    );
}

#[test]
fn a_stream_without_its_end_is_refused() {
    let message = copy_again(
        "the VMDK is cut short: the footer and the end-of-stream marker at its end are missing",
    );
    let vmdk = vmware();
    for missing in [1, 512, 1024, 1536, 2048] {
        assert_eq!(refusal(&vmdk[..vmdk.len() - missing]), message);
    }
}

#[test]
fn no_vmdk_makes_it_panic() {
    fuzz_fields(&vmware(), 80);
    fuzz_fields(&stream(), 4096);
    fuzz_fields(&sparse(), 4096);
}
