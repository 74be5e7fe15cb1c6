//! What lies in a partition, by the mark that each file system or container leaves.

use super::disk::Slice;
use crate::image::{Partition, Role};

/// A partition and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The partition; of a disk without a table, all of it, with the number 0.
    pub partition: Partition,
    /// None where no mark is known.
    pub content: Option<Filling>,
    /// Where the system mounts it, as far as that is seen.
    pub mounted: Option<String>,
}

/// What a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    Ext,
    Fat,
    Ntfs,
    Xfs,
    Btrfs,
    F2fs,
    Jfs,
    Zfs,
    Ufs,
    Squashfs,
    Swap,
    Lvm,
    Luks,
    Raid,
}

impl Filling {
    /// Offset, mark and what leaves it there; the outer ones first.
    const MARKS: [(u64, &'static [u8], Self); 18] = [
        (0, b"LUKS\xba\xbe", Self::Luks),
        (512, b"LABELONE", Self::Lvm),
        (0, b"LABELONE", Self::Lvm),
        (4096, &[0xfc, 0x4e, 0x2b, 0xa9], Self::Raid),
        (1080, &[0x53, 0xef], Self::Ext),
        (0, b"XFSB", Self::Xfs),
        (65600, b"_BHRfS_M", Self::Btrfs),
        (4086, b"SWAPSPACE2", Self::Swap),
        (3, b"NTFS    ", Self::Ntfs),
        (82, b"FAT32   ", Self::Fat),
        (54, b"FAT16   ", Self::Fat),
        (54, b"FAT12   ", Self::Fat),
        (54, b"FAT     ", Self::Fat),
        (1024, &[0x10, 0x20, 0xf5, 0xf2], Self::F2fs),
        (32768, b"JFS1", Self::Jfs),
        (66908, &[0x19, 0x01, 0x54, 0x19], Self::Ufs),
        (0, b"hsqs", Self::Squashfs),
        // The first uberblock, where a pool's label has 128 KiB before it.
        (131_072, &[0x0c, 0xb1, 0xba, 0x00], Self::Zfs),
    ];

    /// What the bytes show.
    pub(super) fn of(slice: &Slice) -> Option<Self> {
        let marked = |(at, mark, _): &(u64, &[u8], Self)| {
            let mut there = vec![0; mark.len()];
            slice.read_at(&mut there, *at).is_ok() && there == *mark
        };
        Self::MARKS
            .iter()
            .find(|mark| marked(mark))
            .map(|mark| mark.2)
    }

    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext => "ext4",
            Self::Fat => "FAT",
            Self::Ntfs => "NTFS",
            Self::Xfs => "XFS",
            Self::Btrfs => "Btrfs",
            Self::F2fs => "F2FS",
            Self::Jfs => "JFS",
            Self::Zfs => "ZFS",
            Self::Ufs => "UFS",
            Self::Squashfs => "SquashFS",
            Self::Swap => "swap",
            Self::Lvm => "LVM",
            Self::Luks => "LUKS",
            Self::Raid => "RAID",
        }
    }

    /// Whether a Linux system may have its files there, and not here to be read.
    pub fn hides_files(self) -> bool {
        !matches!(self, Self::Ext | Self::Fat | Self::Ntfs | Self::Swap)
    }
}

impl Volume {
    /// In a list: "EFI system (FAT)".
    pub fn name(&self) -> String {
        let content = self.content.map(Filling::name);
        match (self.partition.role, &self.mounted, content) {
            (Role::BiosBoot, _, _) => "BIOS boot".to_owned(),
            (Role::EfiSystem, _, Some(content)) => format!("EFI system ({content})"),
            (Role::EfiSystem, _, None) => "EFI system".to_owned(),
            (Role::Other, Some(place), Some(content)) => format!("{place} ({content})"),
            (Role::Other, None, Some(content)) => content.to_owned(),
            (Role::Other, _, None) => "unknown".to_owned(),
        }
    }
}
