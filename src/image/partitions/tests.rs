use super::*;
use crate::image::test_support::{
    blocks, copy_again, fuzz_fields, open, patched, refusal, refusal_text,
};

const LARGE: &str = "make the disk again with sectors of 512 bytes: systemd-repart --sector-size=512, logical_block_size=512 in QEMU, or New-VHD -LogicalSectorSizeBytes 512";

/// Returns a disk of 64 KiB with one MBR partition of this type up to its end.
pub(in crate::image) fn mbr_disk(kind: u8) -> Vec<u8> {
    let entry = [0x80, 0, 0, 0, kind, 0, 0, 0, 8, 0, 0, 0, 120, 0, 0, 0];
    patched(&vec![0; 64 << 10], &[(446, &entry), (510, &[0x55, 0xaa])])
}

/// Returns a disk of 64 KiB with one GPT partition of this type, at sector 40 and 8 sectors
/// long.
pub(in crate::image) fn gpt_disk(sector: usize, kind: [u8; 16]) -> Vec<u8> {
    gpt_of(sector, 2, kind)
}

/// Returns the same disk with its entries at another sector.
pub(in crate::image) fn gpt_of(sector: usize, entries: usize, kind: [u8; 16]) -> Vec<u8> {
    let mut header = vec![0; 92];
    let last = (64 << 10) / sector as u64 - 1;
    header[..8].copy_from_slice(b"EFI PART");
    header[12..16].copy_from_slice(&92_u32.to_le_bytes());
    header[32..40].copy_from_slice(&last.to_le_bytes());
    header[72..80].copy_from_slice(&(entries as u64).to_le_bytes());
    header[80..84].copy_from_slice(&128_u32.to_le_bytes());
    header[84..88].copy_from_slice(&128_u32.to_le_bytes());
    let sum = u32::try_from(partition_table::header_checksum(&header)).unwrap();
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    let entry = [kind, [7; 16]].concat();
    let (first, end) = (40_u64.to_le_bytes(), 47_u64.to_le_bytes());
    patched(
        &vec![0; 64 << 10],
        &[
            (446, &mbr_entry(TYPE_PROTECTIVE, 1, u32::MAX)),
            (510, &[0x55, 0xaa]),
            (sector, &header),
            (entries * sector, &entry),
            (entries * sector + 32, &first),
            (entries * sector + 40, &end),
        ],
    )
}

/// Returns an entry of a table: type, first sector, sectors.
fn mbr_entry(kind: u8, start: u32, sectors: u32) -> Vec<u8> {
    let head = [0, 0, 0, 0, kind, 0, 0, 0];
    [&head, &start.to_le_bytes()[..], &sectors.to_le_bytes()].concat()
}

fn partitions(disk: &[u8]) -> Partitions {
    blocks(disk).partitions().unwrap()
}

/// Returns number, first sector and sectors of each partition.
fn parts(disk: &[u8]) -> Vec<(u32, u64, u64)> {
    let found = partitions(disk).list.unwrap();
    let uncompressed = |part: Partition| (part.number, part.start / 512, part.size / 512);
    found.into_iter().map(uncompressed).collect()
}

/// Returns an MBR of these entries, each in its slot, with tables after it.
fn divided(slots: &[(usize, Vec<u8>)], more: &[(usize, &[u8])]) -> Vec<u8> {
    let mut disk = patched(&vec![0; 64 << 10], &[(510, &[0x55, 0xaa])]);
    for (slot, entry) in slots {
        disk = patched(&disk, &[(446 + 16 * (slot - 1), entry)]);
    }
    patched(&disk, more)
}

#[test]
fn logical_partitions_are_counted_from_five() {
    let (five, next) = (mbr_entry(0x83, 1, 4), mbr_entry(0x05, 20, 20));
    let (six, back) = (mbr_entry(0x82, 2, 3), mbr_entry(0x05, 1, 20));
    let disk = divided(
        &[(1, mbr_entry(0x83, 2, 8)), (2, mbr_entry(0x05, 16, 100))],
        &[
            (16 * 512 + 446, &[five, next].concat()),
            (16 * 512 + 510, &[0x55, 0xaa]),
            (36 * 512 + 446, &[six, back].concat()),
            (36 * 512 + 510, &[0x55, 0xaa]),
        ],
    );
    assert_eq!(parts(&disk), [(1, 2, 8), (5, 17, 4), (6, 38, 3)]);
}

#[test]
fn a_partition_has_the_number_of_its_slot() {
    let disk = divided(
        &[
            (2, mbr_entry(0x83, 2, 8)),
            (3, mbr_entry(0x0f, 16, 100)),
            (4, mbr_entry(0x83, 120, 8)),
        ],
        &[
            (440, &0xdead_beef_u32.to_le_bytes()),
            // The first entry of a table may be free, too.
            (16 * 512 + 462, &mbr_entry(0x83, 1, 4)),
            (16 * 512 + 510, &[0x55, 0xaa]),
        ],
    );
    assert_eq!(parts(&disk), [(2, 2, 8), (4, 120, 8), (5, 17, 4)]);
    let uuids: Vec<_> = partitions(&disk).list.unwrap();
    let uuids: Vec<_> = uuids.iter().map(|part| part.uuid.as_str()).collect();
    assert_eq!(uuids, ["deadbeef-02", "deadbeef-04", "deadbeef-05"]);
}

#[test]
fn a_gpt_names_its_partitions() {
    let disk = gpt_disk(512, EFI_SYSTEM);
    let unique: Vec<u8> = (0..16).collect();
    let label: Vec<u8> = "boot é".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let disk = patched(&disk, &[(1040, &unique), (1080, &label)]);
    assert_eq!(parts(&disk), [(1, 40, 8)]);
    let found = &partitions(&disk).list.unwrap()[0];
    assert_eq!(found.role, Role::EfiSystem);
    assert_eq!(found.uuid, "03020100-0504-0706-0809-0a0b0c0d0e0f");
    assert_eq!(found.label, "boot é");
}

#[test]
fn the_entries_of_a_gpt_may_lie_anywhere() {
    let disk = gpt_of(512, 90, EFI_SYSTEM);
    assert_eq!(parts(&disk), [(1, 40, 8)]);
    let boot = open(&disk).unwrap().boot;
    assert_eq!((boot.efi, boot.bios), (Some(true), Some(false)));
}

#[test]
fn a_gpt_needs_a_protective_mbr() {
    let gpt = gpt_disk(512, EFI_SYSTEM);
    // A hybrid MBR: the protective entry is one of several, and need not be the first.
    let hybrid = patched(
        &gpt,
        &[(
            446,
            &[
                mbr_entry(0x83, 50, 8),
                mbr_entry(TYPE_PROTECTIVE, 1, 39),
                mbr_entry(0x0c, 40, 8),
            ]
            .concat(),
        )],
    );
    assert_eq!(partitions(&hybrid).table, PartitionTable::Gpt);
    assert_eq!(parts(&hybrid), [(1, 40, 8)]);
    // The GPT that an MBR was written over does not count any more.
    let stale = patched(&gpt, &[(446, &mbr_entry(0x83, 50, 8))]);
    assert_eq!(partitions(&stale).table, PartitionTable::Mbr);
    assert_eq!(parts(&stale), [(1, 50, 8)]);
    let elsewhere = patched(
        &gpt,
        &[(
            446,
            &[mbr_entry(TYPE_PROTECTIVE, 2, 39), mbr_entry(0x83, 50, 8)].concat(),
        )],
    );
    assert_eq!(partitions(&elsewhere).table, PartitionTable::Mbr);
    assert_eq!(parts(&elsewhere), [(2, 50, 8)]);
    let none = patched(&gpt, &[(510, &[0, 0])]);
    assert_eq!(partitions(&none).table, PartitionTable::None);
}

#[test]
fn a_damaged_gpt_is_unknown_and_a_bare_file_system_has_no_table() {
    let damaged = patched(&gpt_disk(512, EFI_SYSTEM), &[(540, &[1])]);
    assert_eq!(open(&damaged).unwrap().boot.table, PartitionTable::Unknown);
    let text = b"Remove disks or other media.\xff";
    let fat = patched(&mbr_disk(0), &[(0, &[0xeb, 0x3c, 0x90]), (440, text)]);
    let boot = open(&fat).unwrap().boot;
    assert_eq!((boot.table, boot.bios), (PartitionTable::None, Some(true)));
}

#[test]
fn a_disk_cut_before_its_backup_gpt_is_refused() {
    assert_eq!(
        refusal(&gpt_disk(512, EFI_SYSTEM)[..65000]),
        refusal_text(
            "the disk is cut short: its partition table (GPT) counts on 65536 bytes, but only 65000 are there",
            "copy, download or export it again; if it was shrunk on purpose, write the second copy of its GPT again, with sgdisk --move-second-header, or add --skip-checks"
        )
    );
    assert_eq!(
        refusal(&gpt_disk(512, EFI_SYSTEM)[..22000]),
        copy_again(
            "the disk is cut short: its partition table (GPT) counts on 65536 bytes, but only 22000 are there"
        )
    );
}

#[test]
fn a_disk_cut_inside_its_mbr_partition_is_refused() {
    assert_eq!(
        refusal(&mbr_disk(0x83)[..60000]),
        copy_again(
            "the disk is cut short: its partition table (MBR) counts on 65536 bytes, but only 60000 are there"
        )
    );
}

#[test]
fn a_gpt_for_larger_sectors_is_refused() {
    assert_eq!(
        refusal(&gpt_disk(4096, EFI_SYSTEM)),
        refusal_text(
            "its partition table (GPT) is made for sectors of 4096 bytes, the disks of AWS, Alibaba Cloud and DigitalOcean have sectors of 512: nothing finds a partition there",
            LARGE
        )
    );
}

#[test]
fn an_mbr_for_larger_sectors_is_refused() {
    let ext = |start: usize| (start + 1080, &[0x53, 0xef][..]);
    let disk = divided(&[(1, mbr_entry(0x83, 8, 4))], &[ext(8 * 4096)]);
    assert_eq!(
        refusal(&disk),
        refusal_text(
            "its partition table (MBR) is made for sectors of 4096 bytes, the disks of AWS, Alibaba Cloud and DigitalOcean have sectors of 512: nothing finds a partition there",
            LARGE
        )
    );
    // A file system where sectors of 512 bytes put it, or none at all, does not indicate larger
    // sectors.
    for places in [&[ext(8 * 512), ext(8 * 4096)][..], &[ext(8 * 512)], &[]] {
        let disk = divided(&[(1, mbr_entry(0x83, 8, 4))], places);
        assert_eq!(partitions(&disk).sector_size, 512);
    }
}

#[test]
fn a_partition_outside_the_disk_is_listed() {
    let disk = gpt_disk(512, BIOS_BOOT);
    let disk = patched(&disk, &[(1064, &u64::MAX.to_le_bytes())]);
    assert_eq!(partitions(&disk).list.unwrap()[0].size, u64::MAX);
    assert_eq!(parts(&[7; 4096]), []);
}

#[test]
fn no_table_makes_it_panic() {
    fuzz_fields(&gpt_disk(512, EFI_SYSTEM), 1200);
    fuzz_fields(&mbr_disk(0x83), 512);
    let next = mbr_entry(0x05, 20, 20);
    let disk = divided(
        &[(1, mbr_entry(0x05, 16, 100))],
        &[
            (16 * 512 + 462, &next),
            (16 * 512 + 510, &[0x55, 0xaa]),
            (36 * 512 + 510, &[0x55, 0xaa]),
        ],
    );
    fuzz_fields(&disk, 9000);
}
