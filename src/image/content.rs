//! The content of an image, in more detail than the six formats: the clouds differ in what they
//! accept. Which cloud accepts what is defined elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A format that a cloud's import accepts by name, as `--format` and settings spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The bytes of the disk as the guest sees them
    Raw,
    /// Microsoft Virtual PC, Azure
    Vhd,
    /// Archive of a virtual machine: OVF and disks
    Ova,
    /// VMware
    Vmdk,
    /// Microsoft Hyper-V
    Vhdx,
    /// QEMU
    Qcow2,
}

impl Format {
    /// Returns the file extension, without the dot; also the value of `--format`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Vhd => "vhd",
            Self::Ova => "ova",
            Self::Vmdk => "vmdk",
            Self::Vhdx => "vhdx",
            Self::Qcow2 => "qcow2",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.extension())
    }
}

/// The content of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Anything without a known signature: the disk itself.
    Raw,
    /// VHD 1.0.
    Vhd {
        kind: VhdKind,
        /// Dynamic: table entries × block size in bytes. Alibaba's import requires it to be
        /// equal to the virtual size (`InvalidVHDImage.IncorrectSize`).
        table_size: Option<u64>,
        /// qemu-img uses the disk's geometry as its size, and that size differs.
        by_geometry: bool,
    },
    /// A tar archive whose first member is an OVF descriptor.
    Ova {
        /// The archive contains a manifest with digests.
        manifest: bool,
    },
    /// VMware Virtual Disk Format.
    Vmdk {
        kind: VmdkKind,
    },
    /// MS-VHDX; on a pipe only its signature is available.
    Vhdx {
        kind: Option<VhdKind>,
        /// Logical sector size in bytes, 512 or 4096.
        sector_size: Option<u32>,
    },
    /// QEMU copy-on-write, version 2 or 3.
    Qcow2 {
        version: u32,
        /// Clusters compressed with zstd: old importers fail.
        zstd: bool,
        /// Subclusters: old importers fail.
        extended_l2: bool,
        /// Internal snapshots; an import uses only the current state.
        snapshots: u32,
    },
    /// VirtualBox.
    Vdi,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Zip,
    /// A CD or DVD, ISO 9660.
    Iso,
}

/// The layout of the disk in a VHD or VHDX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VhdKind {
    Fixed,
    Dynamic,
}

/// The layout of the disk in a VMDK. Descriptors of flat and split disks and the sparse files
/// of ESX are rejected by `Image::open`: no cloud accepts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmdkKind {
    /// Compressed grains in order; exported by ovftool, VirtualBox and qemu-img.
    StreamOptimized,
    /// One growing file, the default of VMware Workstation and qemu-img.
    MonolithicSparse,
}

impl Content {
    /// Returns the format for `--format`; `None` for content that is none of the six.
    pub fn format(&self) -> Option<Format> {
        match self {
            Self::Raw => Some(Format::Raw),
            Self::Vhd { .. } => Some(Format::Vhd),
            Self::Ova { .. } => Some(Format::Ova),
            Self::Vmdk { .. } => Some(Format::Vmdk),
            Self::Vhdx { .. } => Some(Format::Vhdx),
            Self::Qcow2 { .. } => Some(Format::Qcow2),
            _ => None,
        }
    }

    /// Returns the name in a sentence, without article: "stream-optimized VMDK".
    pub fn name(&self) -> &'static str {
        match self {
            Self::Raw => "raw disk",
            Self::Vhd { kind, .. } => kind.names().0,
            Self::Ova { .. } => "OVA",
            Self::Vmdk { kind } => kind.name(),
            Self::Vhdx { kind, .. } => kind.map_or("VHDX", |kind| kind.names().1),
            Self::Qcow2 { .. } => "qcow2",
            Self::Vdi => "VDI",
            Self::Gzip => "gzip file",
            Self::Bzip2 => "bzip2 file",
            Self::Xz => "xz file",
            Self::Zstd => "zstd file",
            Self::Zip => "zip archive",
            Self::Iso => "ISO image",
        }
    }

    /// Returns the name with its article: "an OVA", "a stream-optimized VMDK".
    pub fn label(&self) -> String {
        let article = match self {
            Self::Ova { .. } | Self::Xz | Self::Iso => "an",
            _ => "a",
        };
        format!("{article} {}", self.name())
    }

    /// Reports whether both are the same container, whatever is known of its details.
    pub(super) fn is_same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Reports whether it is one file compressed as a whole.
    pub fn is_compressed_file(&self) -> bool {
        matches!(self, Self::Gzip | Self::Bzip2 | Self::Xz | Self::Zstd)
    }
}

impl VhdKind {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Fixed => ("fixed VHD", "fixed VHDX"),
            Self::Dynamic => ("dynamic VHD", "dynamic VHDX"),
        }
    }
}

impl VmdkKind {
    fn name(self) -> &'static str {
        match self {
            Self::StreamOptimized => "stream-optimized VMDK",
            Self::MonolithicSparse => "monolithic sparse VMDK",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn flag_settings_and_display_spell_a_format_the_same() {
        for format in Format::value_variants() {
            let flag = format.to_possible_value().unwrap();
            assert_eq!(flag.get_name(), format.to_string());
            let setting = serde_json::to_value(format).unwrap();
            assert_eq!(setting, format.extension());
        }
    }

    #[test]
    fn labels_read_well_in_a_sentence() {
        let stream = Content::Vmdk {
            kind: VmdkKind::StreamOptimized,
        };
        assert_eq!(stream.label(), "a stream-optimized VMDK");
        assert_eq!(Content::Ova { manifest: true }.label(), "an OVA");
        assert_eq!(Content::Xz.label(), "an xz file");
        assert!(Content::Xz.is_compressed_file() && !Content::Zip.is_compressed_file());
    }
}
