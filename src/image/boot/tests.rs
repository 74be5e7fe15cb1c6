use super::*;
use crate::image::partition_table::{BIOS_BOOT, EFI_SYSTEM};
use crate::image::partitions::tests::{gpt_disk, mbr_disk};
use crate::image::test_support::{open, patched};

/// Returns how the disk boots: table, UEFI, BIOS.
fn detect_boot(disk: &[u8]) -> (PartitionTable, Option<bool>, Option<bool>) {
    let boot = open(disk).unwrap().boot;
    (boot.table, boot.efi, boot.bios)
}

/// Returns GRUB's boot sector, which loads this sector next.
fn grub(sector: u64) -> Vec<u8> {
    patched(
        &[0; 440],
        &[
            (0, &[0xeb, 0x63]),
            (GRUB_SECTOR, &sector.to_le_bytes()),
            (0x180, b"GRUB \0"),
        ],
    )
}

#[test]
fn an_mbr_with_boot_code_boots_by_bios() {
    let disk = patched(&mbr_disk(0x83), &[(0, &[0xeb, 0x63])]);
    assert_eq!(
        detect_boot(&disk),
        (PartitionTable::Mbr, Some(false), Some(true))
    );
    assert_eq!(
        open(&disk).unwrap().boot.only_firmware(),
        Some(Firmware::Bios)
    );
}

#[test]
fn an_efi_system_partition_is_found_in_both_tables() {
    for disk in [mbr_disk(0xef), gpt_disk(512, EFI_SYSTEM)] {
        let boot = open(&disk).unwrap().boot;
        assert_eq!((boot.efi, boot.bios), (Some(true), Some(false)));
        assert_eq!(boot.only_firmware(), Some(Firmware::Efi));
    }
}

#[test]
fn a_bios_boot_partition_is_for_bios_when_a_loader_is_in_it_and_code_in_front() {
    let partition = gpt_disk(512, BIOS_BOOT);
    let loader = (40 * 512, &[0x52][..]);
    let code = grub(40);
    let bios = |changes: &[(usize, &[u8])]| detect_boot(&patched(&partition, changes)).2;
    assert_eq!(bios(&[]), Some(false), "neither");
    assert_eq!(bios(&[loader]), Some(false), "nothing starts it");
    assert_eq!(bios(&[(0, &code)]), Some(false), "nothing to go on with");
    assert_eq!(bios(&[(0, &code), loader]), Some(true));
    // Code that names no sector, of GRUB or another program.
    assert_eq!(bios(&[(0, b"\xebGRUB")]), Some(false));
    assert_eq!(bios(&[(0, b"\xebGRUB"), loader]), Some(true));
    assert_eq!(bios(&[(0, &[0xeb]), loader]), Some(true));
    assert_eq!(bios(&[(0, &[0xeb])]), Some(false));
}

#[test]
fn code_in_front_of_a_gpt_is_no_proof_without_a_second_part() {
    let disk = gpt_disk(512, EFI_SYSTEM);
    let bios = |changes: &[(usize, &[u8])]| detect_boot(&patched(&disk, changes)).2;
    assert_eq!(bios(&[(0, &[0x33, 0xc0])]), None);
    // syslinux starts from a partition with the attribute "legacy BIOS bootable".
    assert_eq!(bios(&[(0, &[0x33, 0xc0]), (1024 + 48, &[4])]), Some(true));
    assert_eq!(bios(&[(0, &grub(100))]), Some(false));
    assert_eq!(bios(&[(0, &grub(100)), (100 * 512, &[1])]), Some(true));
}

#[test]
fn grub_on_an_mbr_disk_needs_its_second_part_too() {
    let disk = patched(&mbr_disk(0x83), &[(0, &grub(1))]);
    assert_eq!(detect_boot(&disk).2, Some(false));
    assert_eq!(
        detect_boot(&patched(&disk, &[(512, &[0x52])])).2,
        Some(true)
    );
}
