//! Checks that ImportImage accepts the image, and derives what the image determines: the size
//! of the system disk, and how the system boots. Rules for options are in `rules`.

use super::super::values::{Architecture, BootMode};
use crate::image::{Content, Firmware, Image, Target, action};
use crate::units;

/// GiB of a disk (ECS "ImportImage", DiskImageSize).
const DISK_SIZE_GIB: std::ops::RangeInclusive<u64> = 1..=2048;
const GIB: u64 = 1 << 30;

/// The system disk's size in GiB: what was said, or what the image needs; `None` leaves it to ECS.
pub fn system_size(explicit: Option<u32>, image: &Image) -> Result<Option<u64>, String> {
    let needed = image.virtual_size.map(|bytes| bytes.div_ceil(GIB).max(1));
    let Some(explicit) = explicit.map(u64::from) else {
        return Ok(needed);
    };
    if !DISK_SIZE_GIB.contains(&explicit) {
        return Err(format!("a system disk has 1 to 2048 GiB, not {explicit}"));
    }
    match (needed, image.virtual_size) {
        (Some(needed), Some(bytes)) if explicit < needed => Err(format!(
            "a system disk of {explicit} GiB is smaller than the image's disk of {}: say {needed} or more",
            units::bytes(bytes)
        )),
        _ => Ok(Some(explicit)),
    }
}

/// How the system starts: as was said; otherwise as it can.
pub fn boot_mode(
    explicit: Option<BootMode>,
    architecture: Architecture,
    image: &Image,
) -> BootMode {
    explicit.unwrap_or(match (architecture, image.boot.only_firmware()) {
        (Architecture::Arm64, _) | (_, Some(Firmware::Efi)) => BootMode::Uefi,
        _ => BootMode::Bios,
    })
}

/// Whether ImportImage takes such an image: a warning, or the reason and the remedy.
pub fn accepts(image: &Image) -> Result<Option<String>, (String, String)> {
    let to_raw = || action(image, Target::Raw);
    let warning = match image.content {
        Content::Vhd { table_size, .. } => {
            if table_size.is_some_and(|size| Some(size) != image.virtual_size) {
                let reason = "its block table covers more than its disk, which Alibaba Cloud refuses (InvalidVHDImage.IncorrectSize)";
                return Err((reason.to_owned(), to_raw()));
            }
            None
        }
        Content::Qcow2 { extended_l2, zstd, .. } if extended_l2 || zstd => {
            let what = if zstd { "zstd compression" } else { "extended L2 entries" };
            let reason = format!("Alibaba Cloud takes no qcow2 with {what}");
            return Err((reason, action(image, Target::CompressedQcow2)));
        }
        Content::Raw | Content::Qcow2 { .. } => None,
        Content::Vmdk { .. } => Some(
            "VMDK is a preview that Alibaba Cloud opens on request; raw and qcow2 are taken from everybody".to_owned(),
        ),
        _ => {
            let reason = "Alibaba Cloud takes RAW, VHD, QCOW2 and VMDK".to_owned();
            return Err((reason, action(image, Target::Qcow2)));
        }
    };
    let largest = *DISK_SIZE_GIB.end() * GIB;
    match image.virtual_size {
        Some(bytes) if bytes > largest => Err((
            format!(
                "Alibaba Cloud imports disks of up to 2 TiB, this one has {}",
                units::bytes(bytes)
            ),
            "use a smaller disk".to_owned(),
        )),
        _ => Ok(warning),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Format, VhdKind};

    fn image(content: Content, size: u64) -> Image {
        let mut image = Image::from_head(&[0; 4096], Some(Format::Raw)).expect("a raw disk");
        image.format = content.format();
        (image.content, image.virtual_size) = (content, Some(size));
        image
    }

    #[test]
    fn system_size_covers_the_image() {
        let disk = image(Content::Raw, GIB + 1);
        assert_eq!(system_size(None, &disk), Ok(Some(2)));
        assert_eq!(system_size(Some(40), &disk), Ok(Some(40)));
        assert!(system_size(Some(1), &disk).is_err());
        assert!(system_size(Some(2049), &disk).is_err());
        assert!(system_size(Some(0), &disk).is_err());
    }

    #[test]
    fn accepts_importable_images() {
        let dynamic = |table| Content::Vhd {
            kind: VhdKind::Dynamic,
            table_size: Some(table),
            by_geometry: false,
        };
        let qcow2 = |zstd, extended_l2| Content::Qcow2 {
            version: 3,
            zstd,
            extended_l2,
            snapshots: 0,
        };
        assert_eq!(accepts(&image(Content::Raw, GIB)), Ok(None));
        assert_eq!(accepts(&image(dynamic(GIB), GIB)), Ok(None));
        assert_eq!(accepts(&image(qcow2(false, false), GIB)), Ok(None));
        for refused in [
            dynamic(2 * GIB),
            qcow2(true, false),
            qcow2(false, true),
            Content::Vdi,
            Content::Gzip,
        ] {
            assert!(
                accepts(&image(refused.clone(), GIB)).is_err(),
                "{refused:?}"
            );
        }
        assert!(accepts(&image(Content::Raw, 2049 * GIB)).is_err());
    }
}
