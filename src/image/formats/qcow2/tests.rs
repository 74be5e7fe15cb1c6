use super::*;
use crate::image::test_support::{
    convert, copy_again, disk, fuzz_fields, open, patched, refusal, refusal_text,
};

/// Returns a disk of 1 KiB in clusters of 512 bytes: header, refcount table at 512, its block
/// at 1024, L1 at 1536, L2 at 2048, one cluster at 2560 of two.
fn qcow2() -> Vec<u8> {
    let location = |at: u64| at.to_be_bytes();
    patched(
        &[0; 3072],
        &[
            (0, b"QFI\xfb"),
            (7, &[3]),
            (23, &[9]),
            (24, &location(1024)),
            (39, &[1]),
            (40, &location(1536)),
            (48, &location(512)),
            (59, &[1]),
            (103, &[104]),
            (512, &location(1024)),
            (1536, &location(2048 + (1 << 63))),
            (2048, &location(2560 + (1 << 63))),
        ],
    )
}

fn refused(changes: &[(usize, &[u8])]) -> String {
    refusal(&patched(&qcow2(), changes))
}

#[test]
fn a_qcow2_reports_version_compression_and_snapshots() {
    let uncompressed = open(&qcow2()).unwrap();
    assert_eq!(uncompressed.describe(), "qcow2, 1.0 KiB disk");
    assert_eq!(uncompressed.boot.bios, Some(false));
    let newer = patched(&qcow2(), &[(63, &[2]), (79, &[24]), (104, &[1])]);
    assert_eq!(
        open(&newer).unwrap().content,
        Content::Qcow2 {
            version: 3,
            zstd: true,
            extended_l2: true,
            snapshots: 2
        }
    );
}

#[test]
fn a_qcow2_header_is_read_from_a_pipe() {
    let image = crate::image::Image::from_head(&qcow2()[..600], None).unwrap();
    assert_eq!(image.describe(), "qcow2, 1.0 KiB disk");
    assert_eq!(image.boot, crate::image::Boot::default());
}

#[test]
fn a_compressed_first_cluster_is_inspected() {
    let disk = patched(&[7; 512], &[(446, &[0; 64]), (510, &[0x55, 0xaa])]);
    for zstd in [false, true] {
        let boot = open(&packed(zstd, &disk)).unwrap().boot;
        assert_eq!(boot.bios, Some(true));
    }
}

/// Returns the disk with its first cluster compressed.
fn packed(zstd: bool, disk: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let data = if zstd {
        ruzstd::encoding::compress_to_vec(disk, ruzstd::encoding::CompressionLevel::Fastest)
    } else {
        let mut encoder = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::best());
        encoder.write_all(disk).unwrap();
        encoder.finish().unwrap()
    };
    let entry = (2560 + COMPRESSED).to_be_bytes();
    let marks: &[(usize, &[u8])] = if zstd {
        &[(79, &[8]), (104, &[1])]
    } else {
        &[]
    };
    let image = patched(&qcow2(), &[(103, &[112]), (2048, &entry), (2560, &data)]);
    patched(&image, marks)
}

#[test]
fn the_disk_inside_is_read_where_its_clusters_lie() {
    let uncompressed = patched(&qcow2(), &[(2560, &[5; 512])]);
    let bytes = patched(&[0; 1024], &[(0, &[5; 512])]);
    assert_eq!(disk(&uncompressed), (bytes.clone(), vec![(0, 512)]));
    for zstd in [false, true] {
        assert_eq!(
            disk(&packed(zstd, &[5; 512])),
            (bytes.clone(), vec![(0, 512)])
        );
    }
    // Marked as zeros, not allocated, no table.
    for change in [(2055, 1), (2054, 0), (1542, 0)] {
        let none = patched(&uncompressed, &[(change.0, &[change.1])]);
        assert_eq!(disk(&none), (vec![0; 1024], vec![]), "{change:?}");
    }
}

#[test]
fn the_last_cluster_may_end_with_the_file() {
    let uncompressed = patched(&qcow2(), &[(2560, &[5; 512])]);
    let bytes = patched(&[0; 1024], &[(0, &[5; 100])]);
    assert_eq!(disk(&uncompressed[..2660]), (bytes, vec![(0, 512)]));
}

#[test]
fn a_qcow2_with_external_data_is_rejected() {
    assert_eq!(
        refused(&[(7, &[1])]),
        convert("qcow", "the qcow2 is of version 1, the clouds take 2 and 3")
    );
    assert_eq!(
        refused(&[(15, &[1])]),
        convert(
            "qcow2",
            "the qcow2 has a backing file, it holds only what changed since"
        )
    );
    assert_eq!(
        refused(&[(79, &[4])]),
        convert("qcow2", "the qcow2 keeps its data in another file")
    );
    assert_eq!(
        refused(&[(72, &[1])]),
        convert(
            "qcow2",
            "the qcow2 uses features that are newer than any importer"
        )
    );
    assert_eq!(
        refused(&[(79, &[8]), (104, &[2])]),
        convert(
            "qcow2",
            "the qcow2 uses features that are newer than any importer"
        )
    );
    assert_eq!(
        refused(&[(35, &[2])]),
        refusal_text(
            "the qcow2 is encrypted",
            "decrypt it first, with qemu-img and its --object secret"
        )
    );
}

#[test]
fn a_qcow2_that_needs_repair_is_rejected() {
    let hint = "repair it first, on a copy: qemu-img check -f qcow2 -r all disk.img";
    assert_eq!(
        refused(&[(79, &[2])]),
        refusal_text("the qcow2 is marked as corrupt", hint)
    );
    assert_eq!(
        refused(&[(79, &[1])]),
        refusal_text("the qcow2 was not closed properly", hint)
    );
}

#[test]
fn tables_that_cannot_be_are_refused() {
    assert_eq!(
        refused(&[(23, &[8])]),
        copy_again("the qcow2 is damaged: it claims clusters of 2^8 bytes")
    );
    assert_eq!(
        refused(&[(36, &[1])]),
        copy_again(
            "the qcow2 is damaged: its L1 table would have 134217736 bytes, at most 33554432 are possible"
        )
    );
    assert_eq!(
        refused(&[(56, &[1])]),
        copy_again(
            "the qcow2 is damaged: its refcount table would have 8589935104 bytes, at most 8388608 are possible"
        )
    );
    assert_eq!(
        refused(&[(28, &[1])]),
        copy_again("the qcow2 is damaged: its L1 table has 1 entries, the disk needs 513")
    );
}

#[test]
fn tables_that_lie_on_each_other_are_refused() {
    let table = 2048_u64.to_be_bytes().repeat(7);
    let image = patched(&qcow2(), &[(39, &[7]), (1536, &table)]);
    assert_eq!(
        refusal(&image),
        copy_again("the qcow2 is damaged: its L2 tables lie on each other")
    );
}

#[test]
fn a_qcow2_with_tables_beyond_the_end_is_rejected() {
    let cut = |name: &str, end: u64| {
        copy_again(&format!(
            "the qcow2 is cut short: {name} reaches to byte {end}, but only 3072 bytes are there"
        ))
    };
    let far: &[u8] = &[0x10, 0];
    assert_eq!(refused(&[(46, far)]), cut("its L1 table", 4104));
    assert_eq!(refused(&[(54, far)]), cut("its refcount table", 4608));
    assert_eq!(refused(&[(518, far)]), cut("a refcount block", 4608));
    assert_eq!(refused(&[(1542, far)]), cut("an L2 table", 4608));
    assert_eq!(refused(&[(2054, far)]), cut("a cluster of its data", 4097));
    assert_eq!(
        refused(&[(2048, &[0x40]), (2054, far)]),
        cut("a cluster of its data", 4097)
    );
    assert_eq!(
        refusal(&qcow2()[..71]),
        copy_again(
            "the qcow2 is cut short: its header reaches to byte 72, but only 71 bytes are there"
        )
    );
}

#[test]
fn no_qcow2_makes_it_panic() {
    fuzz_fields(&qcow2(), 112);
    fuzz_fields(&packed(false, &[7; 512]), 3072);
    fuzz_fields(&packed(true, &[7; 512]), 3072);
}
