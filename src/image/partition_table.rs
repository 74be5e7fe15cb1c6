//! The structures that divide a disk, as stored in its sectors: the entries of an MBR and the
//! header of a GPT. `partitions` reads them from a disk.

use crc_fast::CrcAlgorithm::Crc32IsoHdlc;

use super::byte_view::Fields;

/// UEFI 2.10, table 5.7: C12A7328-F81F-11D2-BA4B-00A0C93EC93B.
pub(super) const EFI_SYSTEM: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];
/// GRUB's BIOS boot partition: 21686148-6449-6E6F-744E-656564454649, "Hah!IdontNeedEFI".
pub(super) const BIOS_BOOT: [u8; 16] = *b"Hah!IdontNeedEFI";

/// MBR partition types: EFI system partition, and the protective one of a GPT.
pub(super) const TYPE_EFI: u8 = 0xef;
pub(super) const TYPE_PROTECTIVE: u8 = 0xee;

/// The kind of a disk's partition table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartitionTable {
    Mbr,
    Gpt,
    /// There is no table: a blank disk or a bare file system.
    None,
    /// The table could not be read.
    #[default]
    Unknown,
}

/// An entry of an MBR, or of the table before a logical partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MbrEntry {
    /// Its index among the four, counted from 1.
    pub(super) slot: u32,
    pub(super) kind: u8,
    pub(super) start: u64,
    pub(super) sectors: u64,
}

impl MbrEntry {
    /// Returns the used entries of an MBR; none if one of the four is not a valid entry,
    /// because the boot sector of a bare FAT or NTFS has the same 55 AA.
    pub(super) fn all(mbr: Fields) -> Vec<Self> {
        let plausible = |at: usize| {
            let (status, kind) = (mbr.u8(at), mbr.u8(at + 4));
            let used = mbr.le32(at + 8) != 0 && mbr.le32(at + 12) != 0;
            matches!(status, 0 | 0x80) && (kind == 0 || used)
        };
        if (446..510).step_by(16).all(plausible) {
            Self::in_use(mbr)
        } else {
            vec![]
        }
    }

    /// Returns the used entries of a sector that is a table.
    pub(super) fn in_use(sector: Fields) -> Vec<Self> {
        let entries = (446..510).step_by(16).zip(1..);
        let entries = entries.map(|(at, slot)| Self {
            slot,
            kind: sector.u8(at + 4),
            start: sector.le32(at + 8).into(),
            sectors: sector.le32(at + 12).into(),
        });
        let used = |entry: &Self| entry.kind != 0 && entry.sectors != 0;
        entries.filter(used).collect()
    }
}

/// Reports whether a GPT counts: firmware and Linux look for one only after an entry of the
/// protective type that begins at sector 1 (UEFI 2.10, 5.2.3). The other entries of a hybrid
/// MBR do not matter.
pub(super) fn is_protective(mbr: Fields) -> bool {
    let protects = |entry: &MbrEntry| entry.kind == TYPE_PROTECTIVE && entry.start == 1;
    MbrEntry::in_use(mbr).iter().any(protects)
}

/// The header of a GPT (UEFI 2.10, 5.3.2).
pub(super) struct Gpt {
    /// Sector size in bytes.
    pub(super) sector: u64,
    /// The sector of the backup header.
    pub(super) backup: u64,
    /// The first sector of the entries.
    pub(super) entries: u64,
    pub(super) count: u64,
    /// Size of an entry in bytes.
    pub(super) width: u64,
}

impl Gpt {
    /// Parses the header in this sector, which is the second one of the disk.
    pub(super) fn read(sector: &[u8]) -> Option<Self> {
        let fields = Fields(sector);
        let len = usize::try_from(fields.le32(12)).ok()?;
        let sound = fields.bytes(0, 8) == b"EFI PART"
            && (92..=sector.len()).contains(&len)
            && header_checksum(fields.bytes(0, len)) == u64::from(fields.le32(16));
        sound.then(|| Self {
            sector: sector.len() as u64,
            backup: fields.le64(32),
            entries: fields.le64(72),
            count: fields.le32(80).into(),
            width: fields.le32(84).into(),
        })
    }
}

/// Returns the CRC-32 of the header with its own field as zero.
pub(super) fn header_checksum(header: &[u8]) -> u64 {
    let mut bytes = header.to_vec();
    if let Some(field) = bytes.get_mut(16..20) {
        field.fill(0);
    }
    crc_fast::checksum(Crc32IsoHdlc, &bytes)
}
