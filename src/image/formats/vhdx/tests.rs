use super::*;
use crate::image::test_support::{
    convert, copy_again, data, disk, fuzz_checksummed, open, patched, refusal, refusal_text,
    unreadable,
};

const M: usize = 1 << 20;

/// Returns the bytes with their CRC-32C.
fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let sum = u32::try_from(crc_fast::checksum(Crc32Iscsi, bytes)).unwrap();
    patched(bytes, &[(4, &sum.to_le_bytes())])
}

fn header(sequence: u8, log: u8) -> Vec<u8> {
    with_checksum(&patched(
        &[0; 4096],
        &[(0, b"head"), (8, &[sequence]), (48, &[log]), (66, &[1])],
    ))
}

fn regions(bat: Guid, metadata: Guid, bat_len: u32) -> Vec<u8> {
    let bat_len = bat_len.to_le_bytes();
    with_checksum(&patched(
        &vec![0; 64 << 10],
        &[
            (0, b"regi"),
            (8, &[2]),
            (16, &bat),
            (32, &(2 * MIB).to_le_bytes()),
            (40, &bat_len),
            (48, &metadata),
            (64, &MIB.to_le_bytes()),
            (72, &(1_u32 << 20).to_le_bytes()),
        ],
    ))
}

/// Returns a disk of 3 MiB in blocks of 1 MiB, of which the first is stored: metadata at 1 MiB,
/// table at 2 MiB, the block at 3 MiB.
fn vhdx() -> Vec<u8> {
    let item = |guid: Guid, at: u8| [&guid[..], &[0, 0, at, 0, 8, 0, 0, 0], &[0; 8]].concat();
    patched(
        &vec![0; 4 * M],
        &[
            (0, b"vhdxfile"),
            (64 << 10, &header(1, 0)),
            (128 << 10, &header(2, 0)),
            (192 << 10, &regions(BAT, METADATA, 4096)),
            (M, b"metadata"),
            (M + 10, &[3]),
            (M + 32, &item(FILE_PARAMETERS, 1)),
            (M + 64, &item(DISK_SIZE, 2)),
            (M + 96, &item(SECTOR_SIZE, 3)),
            (M + (1 << 16), &MIB.to_le_bytes()),
            (M + (2 << 16), &(3 * MIB).to_le_bytes()),
            (M + (3 << 16), &512_u64.to_le_bytes()),
            (2 * M, &(3 * MIB + 6).to_le_bytes()),
        ],
    )
}

fn refused(changes: &[(usize, &[u8])]) -> String {
    refusal(&patched(&vhdx(), changes))
}

#[test]
fn guid_bytes_match_the_specification() {
    assert_eq!(BAT[..8], [0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42]);
    assert_eq!(BAT[8..], [0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08]);
}

#[test]
fn a_vhdx_tells_its_kind_and_size() {
    let image = open(&vhdx()).unwrap();
    assert_eq!(image.describe(), "dynamic VHDX, 3.0 MiB disk");
    assert_eq!(image.boot.bios, Some(false));
    let fixed = patched(&vhdx(), &[(M + (1 << 16) + 4, &[1])]);
    assert_eq!(open(&fixed).unwrap().label(), "a fixed VHDX");
}

#[test]
fn the_disk_inside_is_read_where_its_blocks_lie() {
    let location = |state: u64| (3 * MIB + state).to_le_bytes();
    let vhdx = patched(&vhdx(), &[(3 * M, &vec![1; M]), (2 * M + 16, &location(6))]);
    let both = patched(&vec![0; 3 * M], &[(0, &vec![1; M]), (2 * M, &vec![1; M])]);
    assert_eq!(disk(&vhdx), (both, vec![(0, MIB), (2 * MIB, 3 * MIB)]));
    for nowhere in [0, 1, 2, 3, 5] {
        let none = patched(&vhdx, &[(2 * M, &location(nowhere))]);
        assert_eq!(disk(&none).1, [(2 * MIB, 3 * MIB)]);
    }
    assert_eq!(
        unreadable(&patched(&vhdx, &[(2 * M, &location(7))])),
        "the container is damaged: a block lies in a parent it does not have"
    );
}

#[test]
fn the_entry_of_a_sector_bitmap_is_no_block() {
    // After 4096 blocks of 1 MiB.
    let size = (4098 * MIB).to_le_bytes();
    let at = 2 * M + 4096 * 8;
    let vhdx = patched(
        &vhdx(),
        &[
            (192 << 10, &regions(BAT, METADATA, 1 << 20)),
            (M + (2 << 16), &size),
            (at, &(3 * MIB + 6).to_le_bytes()),
            (at + 8, &(3 * MIB + 6).to_le_bytes()),
        ],
    );
    assert_eq!(data(&vhdx), [(0, MIB), (4096 * MIB, 4097 * MIB)]);
}

#[test]
fn a_vhdx_on_a_pipe_has_only_its_format() {
    let image = crate::image::Image::from_head(&vhdx()[..64 << 10], None).unwrap();
    assert_eq!(image.describe(), "VHDX");
}

#[test]
fn one_sound_copy_of_header_and_regions_is_enough() {
    let second = regions(BAT, METADATA, 4096);
    let image = patched(
        &vhdx(),
        &[(64 << 10, &[0]), (192 << 10, &[0]), (256 << 10, &second)],
    );
    assert!(open(&image).is_ok());
}

#[test]
fn an_open_log_is_refused() {
    assert_eq!(
        refused(&[(128 << 10, &header(2, 7))]),
        refusal_text(
            "the VHDX was not closed properly, its log holds changes that are not in the disk yet",
            "open and close it once, as with Mount-VHD and Dismount-VHD, or with: qemu-img check -f vhdx -r all disk.img"
        )
    );
    assert!(open(&patched(&vhdx(), &[(64 << 10, &header(1, 7))])).is_ok());
}

#[test]
fn a_differencing_vhdx_is_refused() {
    assert_eq!(
        refused(&[(M + (1 << 16) + 4, &[2])]),
        refusal_text(
            "the VHDX is a differencing disk, it holds only what changed since its parent",
            "merge it into its parent first, in Hyper-V Manager or with Merge-VHD"
        )
    );
}

#[test]
fn an_unknown_required_region_is_rejected() {
    let mut table = regions(BAT, METADATA, 4096);
    let third = [&[9; 16][..], &[0; 12], &[1, 0, 0, 0]].concat();
    table = with_checksum(&patched(&table, &[(4, &[0; 4]), (8, &[3]), (80, &third)]));
    assert_eq!(
        refused(&[(192 << 10, &table)]),
        convert(
            "vhdx",
            "the VHDX needs features that are newer than any importer"
        )
    );
}

#[test]
fn damage_is_refused() {
    let damaged = |how: &str| copy_again(&format!("the VHDX is damaged: {how}"));
    assert_eq!(
        refused(&[(64 << 10, &[0]), (128 << 10, &[0])]),
        damaged("the checksums of both its headers are wrong")
    );
    assert_eq!(
        refused(&[(192 << 10, &[0])]),
        damaged("the checksums of both its region tables are wrong")
    );
    assert_eq!(
        refused(&[(192 << 10, &regions(METADATA, METADATA, 0))]),
        damaged("it has no block table region")
    );
    assert_eq!(
        refused(&[(192 << 10, &regions(BAT, BAT, 0))]),
        damaged("it has no metadata region")
    );
    assert_eq!(
        refused(&[(M, &[0])]),
        damaged("its metadata has no signature")
    );
    assert_eq!(
        refused(&[(M + 64, &[0])]),
        damaged("its metadata does not say the size of the disk")
    );
    assert_eq!(
        refused(&[(M + (2 << 16), &[0xff; 8])]),
        damaged(
            "its disk would have 18446744073709551615 bytes, at most 70368744177664 are possible"
        )
    );
    assert_eq!(
        refused(&[(M + (3 << 16), &[1])]),
        damaged("it claims blocks of 1048576 bytes and sectors of 513")
    );
    assert_eq!(
        refused(&[(192 << 10, &regions(BAT, METADATA, 16))]),
        damaged("its block table has 2 entries, the disk needs 3")
    );
}

#[test]
fn a_vhdx_with_blocks_beyond_the_end_is_rejected() {
    let cut = |name: &str, end: usize, len: usize| {
        copy_again(&format!(
            "the VHDX is cut short: {name} reaches to byte {end}, but only {len} bytes are there"
        ))
    };
    let image = vhdx();
    assert_eq!(refusal(&image[..600]), cut("its header section", M, 600));
    assert_eq!(refusal(&image[..M]), cut("its metadata", M + (64 << 10), M));
    assert_eq!(
        refusal(&image[..2 * M]),
        cut("its block table", 2 * M + 4096, 2 * M)
    );
    assert_eq!(
        refusal(&image[..4 * M - 1]),
        cut("a block of its data", 4 * M, 4 * M - 1)
    );
}

#[test]
fn no_vhdx_makes_it_panic() {
    let reseal = |bytes: &mut [u8]| {
        for part in [128 << 10..132 << 10, 192 << 10..256 << 10] {
            bytes[part.start + 4..part.start + 8].fill(0);
            let sealed = with_checksum(&bytes[part.clone()]);
            bytes[part].copy_from_slice(&sealed);
        }
    };
    let items = [1, 2, 3].map(|item| M + (item << 16)..M + (item << 16) + 8);
    let tables = [192 << 10..(192 << 10) + 80, M..M + 128, 2 * M..2 * M + 24];
    let header = 128 << 10..(128 << 10) + 80;
    let fields = [&[header][..], &tables, &items].concat();
    fuzz_checksummed(&vhdx(), &fields, reseal);
}

#[test]
fn a_disk_of_larger_sectors_is_refused_when_its_table_is_made_for_them() {
    let sectors = (M + (3 << 16), &4096_u64.to_le_bytes()[..]);
    let gpt = crate::image::partitions::tests::gpt_disk(4096, [1; 16]);
    let hint = "make the disk again with sectors of 512 bytes: systemd-repart --sector-size=512, logical_block_size=512 in QEMU, or New-VHD -LogicalSectorSizeBytes 512";
    let made_for = |table: &str| {
        refusal_text(
            &format!(
                "its partition table ({table}) is made for sectors of 4096 bytes, the disks of AWS, Alibaba Cloud and DigitalOcean have sectors of 512: nothing finds a partition there"
            ),
            hint,
        )
    };
    assert_eq!(refused(&[sectors, (3 * M, &gpt)]), made_for("GPT"));
    // An MBR does not store the sector size, the container does.
    let entry = [0x80, 0, 0, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 120, 0, 0, 0];
    let mbr: [(usize, &[u8]); 2] = [(3 * M + 446, &entry), (3 * M + 510, &[0x55, 0xaa])];
    assert_eq!(refused(&[sectors, mbr[0], mbr[1]]), made_for("MBR"));
    let usual = patched(&vhdx(), &mbr);
    assert_eq!(
        open(&usual).unwrap().boot.table,
        crate::image::PartitionTable::Mbr
    );
    // A table for 512 is found by every cloud, whatever Hyper-V shows.
    let gpt = crate::image::partitions::tests::gpt_disk(512, [1; 16]);
    let found = open(&patched(&vhdx(), &[sectors, (3 * M, &gpt)])).unwrap();
    assert_eq!(found.boot.table, crate::image::PartitionTable::Gpt);
}
