//! Partition tables of a disk as the guest sees it: MBR and GPT, whether it can
//! boot by BIOS or EFI, and whether the disk was cut before its last partition.
//! File systems are left to the `guest` room.

use crc_fast::CrcAlgorithm::Crc32IsoHdlc;

use super::probe::is_zero;
use super::refusal::{Remedy, Sight, Trouble};
use super::window::{Fields, size};

/// UEFI 2.10, 5.3.3: entries of 128 × 2^n bytes; more than these many bytes of
/// entries are not looked at.
const MAX_ENTRIES: u64 = 32 << 10;

/// UEFI 2.10, table 5.7: C12A7328-F81F-11D2-BA4B-00A0C93EC93B.
pub(super) const EFI_SYSTEM: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];
/// GRUB's BIOS boot partition: 21686148-6449-6E6F-744E-656564454649, "Hah!IdontNeedEFI".
pub(super) const BIOS_BOOT: [u8; 16] = *b"Hah!IdontNeedEFI";

/// MBR partition types: EFI system partition, and the protective one of a GPT.
pub(super) const TYPE_EFI: u8 = 0xef;
pub(super) const TYPE_PROTECTIVE: u8 = 0xee;

/// How a disk is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Table {
    Mbr,
    Gpt,
    /// It was looked for and is not there: a blank disk or a bare file system.
    None,
    /// It could not be seen.
    #[default]
    Unknown,
}

/// What starts a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    Bios,
    Efi,
}

/// What is seen of how a disk boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    pub table: Table,
    /// An EFI system partition; None when it could not be seen.
    pub efi: Option<bool>,
    /// Boot code in the MBR or a BIOS boot partition; None when it could not be seen.
    pub bios: Option<bool>,
    /// What the OVF asks for.
    pub firmware: Option<Firmware>,
}

impl Boot {
    /// The firmware to start it with, if there is only one: what the OVF asks for,
    /// or the only one that the disk is prepared for.
    pub fn only(self) -> Option<Firmware> {
        match (self.firmware, self.efi, self.bios) {
            (Some(asked), _, _) => Some(asked),
            (None, Some(true), Some(false)) => Some(Firmware::Efi),
            (None, Some(false), Some(true)) => Some(Firmware::Bios),
            _ => None,
        }
    }
}

/// Looks at the first bytes of a disk of this many bytes, if that is known.
pub(super) fn look(head: &[u8], disk: Option<u64>) -> Sight<Boot> {
    let Some(mbr) = head.get(..512).map(Fields) else {
        return Ok(Boot::default());
    };
    let marked = mbr.bytes(510, 2) == [0x55, 0xaa];
    let code = marked && !is_zero(mbr.bytes(0, 440));
    if let Some(gpt) = Gpt::find(head) {
        gpt.fits(disk)?;
        return Ok(gpt.boot(head, code));
    }
    let parts = if marked { Part::all(mbr) } else { vec![] };
    for part in &parts {
        part.fits(disk)?;
    }
    let any = |kind| parts.iter().any(|part| part.kind == kind);
    Ok(Boot {
        table: match parts.as_slice() {
            [] => Table::None,
            _ if any(TYPE_PROTECTIVE) => Table::Unknown,
            _ => Table::Mbr,
        },
        efi: (!any(TYPE_PROTECTIVE)).then(|| any(TYPE_EFI)),
        bios: Some(code),
        firmware: None,
    })
}

/// An entry of the MBR.
pub(super) struct Part {
    pub(super) kind: u8,
    pub(super) start: u64,
    pub(super) sectors: u64,
}

impl Part {
    /// The used entries; none if one of the four cannot be an entry, for the boot
    /// sector of a bare FAT or NTFS carries the same 55 AA.
    pub(super) fn all(mbr: Fields) -> Vec<Self> {
        let entries: Vec<_> = (446..510).step_by(16).collect();
        let plausible = |&at: &usize| {
            let (status, kind) = (mbr.u8(at), mbr.u8(at + 4));
            let used = mbr.le32(at + 8) != 0 && mbr.le32(at + 12) != 0;
            matches!(status, 0 | 0x80) && (kind == 0 || used)
        };
        if !entries.iter().all(plausible) {
            return vec![];
        }
        let part = |at: usize| Self {
            kind: mbr.u8(at + 4),
            start: mbr.le32(at + 8).into(),
            sectors: mbr.le32(at + 12).into(),
        };
        let used = entries.into_iter().map(part);
        used.filter(|part| part.kind != 0).collect()
    }

    /// The protective entry may claim more than there is (UEFI 2.10, 5.2.3).
    fn fits(&self, disk: Option<u64>) -> Sight<()> {
        if self.kind == TYPE_PROTECTIVE {
            return Ok(());
        }
        reaches((self.start + self.sectors) * 512, disk, "MBR")
    }
}

/// The header of a GPT (UEFI 2.10, 5.3.2).
pub(super) struct Gpt {
    pub(super) sector: u64,
    backup: u64,
    pub(super) entries: u64,
    pub(super) count: u64,
    pub(super) width: u64,
}

impl Gpt {
    pub(super) fn find(head: &[u8]) -> Option<Self> {
        [512, 4096].into_iter().find_map(|sector| {
            let bytes = head.get(sector..sector * 2)?;
            let fields = Fields(bytes);
            let len = usize::try_from(fields.le32(12)).ok()?;
            let sound = fields.bytes(0, 8) == b"EFI PART"
                && (92..=sector).contains(&len)
                && header_checksum(fields.bytes(0, len)) == u64::from(fields.le32(16));
            sound.then(|| Self {
                sector: sector as u64,
                backup: fields.le64(32),
                entries: fields.le64(72),
                count: fields.le32(80).into(),
                width: fields.le32(84).into(),
            })
        })
    }

    fn fits(&self, disk: Option<u64>) -> Sight<()> {
        let sectors = self.backup.saturating_add(1);
        reaches(sectors.saturating_mul(self.sector), disk, "GPT")
    }

    fn boot(&self, head: &[u8], code: bool) -> Boot {
        let kinds = self.kinds(head);
        let any = |kind| kinds.as_ref().map(|kinds| kinds.contains(&kind));
        Boot {
            table: Table::Gpt,
            efi: any(EFI_SYSTEM),
            bios: if code { Some(true) } else { any(BIOS_BOOT) },
            firmware: None,
        }
    }

    /// The types of the partitions; None where the entries lie further back.
    fn kinds(&self, head: &[u8]) -> Option<Vec<[u8; 16]>> {
        let bytes = self.count.checked_mul(self.width)?;
        if !(128..=4096).contains(&self.width) || bytes > MAX_ENTRIES {
            return None;
        }
        let from = size(self.entries.checked_mul(self.sector)?);
        let table = head.get(from..from.checked_add(size(bytes))?)?;
        let kind = |entry: &[u8]| entry.first_chunk().copied();
        table.chunks(size(self.width)).map(kind).collect()
    }
}

/// CRC-32 over the header with its own field zero.
fn header_checksum(header: &[u8]) -> u64 {
    let mut bytes = header.to_vec();
    if let Some(field) = bytes.get_mut(16..20) {
        field.fill(0);
    }
    crc_fast::checksum(Crc32IsoHdlc, &bytes)
}

fn reaches(end: u64, disk: Option<u64>, table: &str) -> Sight<()> {
    match disk {
        Some(disk) if end > disk => Err(Trouble::unfit(
            format!(
                "the disk is cut short: its partition table ({table}) counts on {end} bytes, but only {disk} are there"
            ),
            Remedy::CopyAgain,
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::image::stage::{bend, copy_again, open, refusal, with};

    /// A disk of 64 KiB with one MBR partition of this type up to its end.
    pub(in crate::image) fn mbr_disk(kind: u8) -> Vec<u8> {
        let entry = [0x80, 0, 0, 0, kind, 0, 0, 0, 8, 0, 0, 0, 120, 0, 0, 0];
        with(&vec![0; 64 << 10], &[(446, &entry), (510, &[0x55, 0xaa])])
    }

    /// A disk of 64 KiB with one GPT partition of this type.
    pub(in crate::image) fn gpt_disk(sector: usize, kind: [u8; 16]) -> Vec<u8> {
        let mut header = vec![0; 92];
        let last = (64 << 10) / sector as u64 - 1;
        header[..8].copy_from_slice(b"EFI PART");
        header[12..16].copy_from_slice(&92_u32.to_le_bytes());
        header[32..40].copy_from_slice(&last.to_le_bytes());
        header[72..80].copy_from_slice(&2_u64.to_le_bytes());
        header[80..84].copy_from_slice(&128_u32.to_le_bytes());
        header[84..88].copy_from_slice(&128_u32.to_le_bytes());
        let sum = u32::try_from(header_checksum(&header)).unwrap();
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        let mut disk = mbr_disk(TYPE_PROTECTIVE);
        disk[458..462].fill(0xff);
        with(&disk, &[(sector, &header), (2 * sector, &kind)])
    }

    #[test]
    fn an_mbr_with_boot_code_boots_by_bios() {
        let disk = with(&mbr_disk(0x83), &[(0, &[0xeb, 0x63])]);
        let boot = open(&disk).unwrap().boot;
        assert_eq!(
            (boot.table, boot.efi, boot.bios),
            (Table::Mbr, Some(false), Some(true))
        );
        assert_eq!(boot.only(), Some(Firmware::Bios));
    }

    #[test]
    fn an_efi_system_partition_is_seen_in_both_tables_and_sector_sizes() {
        for disk in [
            mbr_disk(0xef),
            gpt_disk(512, EFI_SYSTEM),
            gpt_disk(4096, EFI_SYSTEM),
        ] {
            let boot = open(&disk).unwrap().boot;
            assert_eq!((boot.efi, boot.bios), (Some(true), Some(false)));
            assert_eq!(boot.only(), Some(Firmware::Efi));
        }
    }

    #[test]
    fn a_bios_boot_partition_is_for_bios() {
        let boot = open(&gpt_disk(512, BIOS_BOOT)).unwrap().boot;
        assert_eq!(
            (boot.table, boot.only()),
            (Table::Gpt, Some(Firmware::Bios))
        );
    }

    #[test]
    fn a_damaged_gpt_is_unknown_and_a_bare_file_system_has_no_table() {
        let damaged = with(&gpt_disk(512, EFI_SYSTEM), &[(540, &[1])]);
        assert_eq!(open(&damaged).unwrap().boot.table, Table::Unknown);
        let text = b"Remove disks or other media.\xff";
        let fat = with(&mbr_disk(0), &[(0, &[0xeb, 0x3c, 0x90]), (440, text)]);
        let boot = open(&fat).unwrap().boot;
        assert_eq!((boot.table, boot.bios), (Table::None, Some(true)));
    }

    #[test]
    fn a_disk_cut_before_its_backup_gpt_is_refused() {
        assert_eq!(
            refusal(&gpt_disk(512, EFI_SYSTEM)[..65000]),
            copy_again(
                "the disk is cut short: its partition table (GPT) counts on 65536 bytes, but only 65000 are there"
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
    fn no_table_makes_it_panic() {
        bend(&gpt_disk(512, EFI_SYSTEM), 1200);
        bend(&mbr_disk(0x83), 512);
    }
}
