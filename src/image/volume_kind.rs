//! Detects the content of a partition by the signature of each file system or container.

/// The content of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeKind {
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
    BitLocker,
    Raid,
}

impl VolumeKind {
    /// Offset, signature and content; the outer ones first.
    const MARKS: [(u64, &'static [u8], Self); 20] = [
        (0, b"LUKS\xba\xbe", Self::Luks),
        // The OEM name of the boot sector; the rest of it is that of an NTFS or a FAT.
        (3, b"-FVE-FS-", Self::BitLocker),
        // BitLocker To Go on FAT: 4967D63B-2E29-4AD8-8399-F6A339E3D001 after the boot code.
        (
            424,
            &[
                0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3,
                0xd0, 0x01,
            ],
            Self::BitLocker,
        ),
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

    /// Returns the content. `read` fills a buffer from an offset of the partition and returns
    /// whether it succeeded.
    pub fn detect(read: impl Fn(&mut [u8], u64) -> bool) -> Option<Self> {
        let marked = |(at, mark, _): &(u64, &[u8], Self)| {
            let mut available = vec![0; mark.len()];
            read(&mut available, *at) && available == *mark
        };
        Self::MARKS
            .iter()
            .find(|magic| marked(magic))
            .map(|magic| magic.2)
    }

    /// Returns the name in a sentence.
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
            Self::BitLocker => "BitLocker",
            Self::Raid => "RAID",
        }
    }

    /// Reports whether it is encrypted as a whole.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Luks | Self::BitLocker)
    }

    /// Reports whether it contains something else: volumes, a member of a RAID, an encrypted
    /// volume.
    pub fn is_container(self) -> bool {
        matches!(self, Self::Lvm | Self::Raid) || self.is_encrypted()
    }

    /// Reports whether a system other than Windows may have its files there.
    pub fn is_foreign_to_windows(self) -> bool {
        !matches!(self, Self::Fat | Self::Ntfs | Self::BitLocker)
    }

    /// Reports whether a system may have its files there that cannot be read here.
    pub fn hides_files(self) -> bool {
        !matches!(self, Self::Ext | Self::Fat | Self::Ntfs | Self::Swap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(marks: &[(usize, &[u8])]) -> Option<VolumeKind> {
        let mut bytes = vec![0; 140_000];
        for (at, mark) in marks {
            bytes[*at..at + mark.len()].copy_from_slice(mark);
        }
        VolumeKind::detect(|buffer, at| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let available = bytes.get(at..at + buffer.len());
            available.is_some_and(|available| {
                buffer.copy_from_slice(available);
                true
            })
        })
    }

    #[test]
    fn bitlocker_is_distinguished_from_ntfs() {
        let to_go = [
            0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3,
            0xd0, 0x01,
        ];
        let forms: [&[(usize, &[u8])]; 3] = [
            &[(0, b"\xeb\x52\x90-FVE-FS-")],
            &[
                (0, b"\xeb\x58\x90-FVE-FS-"),
                (82, b"FAT32   "),
                (160, &to_go),
            ],
            &[
                (0, b"\xeb\x58\x90MSWIN4.1"),
                (82, b"FAT32   "),
                (424, &to_go),
            ],
        ];
        for form in forms {
            assert_eq!(detect(form), Some(VolumeKind::BitLocker));
        }
        assert!(VolumeKind::BitLocker.is_encrypted() && VolumeKind::BitLocker.hides_files());
        assert_eq!(detect(&[(82, b"FAT32   ")]), Some(VolumeKind::Fat));
        assert_eq!(detect(&[(3, b"NTFS    ")]), Some(VolumeKind::Ntfs));
        assert_eq!(detect(&[]), None);
    }
}
