//! qcow2, versions 2 and 3, after QEMU's docs/interop/qcow2.rst. Checks that it is complete and
//! needs no other file; snapshots and compression are facts for the recipes. Integers are
//! big-endian.

mod blocks;

use super::super::byte_view::{ByteView, Fields, Structure, TABLE_BUDGET};
use super::super::content::Content;
use super::super::decompress::Codec;
use super::super::error::{Fix, ImageError, ImageResult};
use super::super::found::{Detection, at_most};

pub(in crate::image) use blocks::layout;

/// "Header": version 3 has 104 bytes, the compression type follows.
const HEADER: u64 = 112;
/// QEMU qcow2.h: QCOW_MAX_L1_SIZE and QCOW_MAX_REFTABLE_SIZE, in bytes.
const MAX_L1: u64 = 32 << 20;
const MAX_REFCOUNTS: u64 = 8 << 20;
/// "L1 table entry", "L2 table entry": bits 9-55 are an offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
/// "Incompatible features".
const DIRTY: u64 = 1;
const CORRUPT: u64 = 2;
const EXTERNAL_DATA: u64 = 4;
const COMPRESSION_TYPE: u64 = 8;
const EXTENDED_L2: u64 = 16;
const KNOWN: u64 = 31;

/// The fields of the header that are used.
#[derive(Debug)]
struct Header {
    version: u32,
    cluster_bits: u32,
    virtual_size: u64,
    l1_entries: u64,
    l1: u64,
    refcounts: u64,
    refcount_clusters: u64,
    snapshots: u32,
    features: u64,
    zstd: bool,
}

pub(in crate::image) fn parse(view: &ByteView) -> ImageResult<Detection> {
    let header = Header::read(view)?;
    header.check_tables(view)?;
    let content = Content::Qcow2 {
        version: header.version,
        zstd: header.zstd,
        extended_l2: header.features & EXTENDED_L2 != 0,
        snapshots: header.snapshots,
    };
    Ok(Detection::disk(content, header.virtual_size))
}

fn features(fields: Fields) -> u64 {
    if fields.be32(4) < 3 {
        0
    } else {
        fields.be64(72)
    }
}

fn check_self_contained(fields: Fields) -> ImageResult<()> {
    let features = features(fields);
    let version = fields.be32(4);
    let refused = |cause: &str, remedy: Fix| Err(ImageError::unusable(cause, remedy));
    let repair = || Fix::Repair("repair it first, on a copy", "qcow2");
    if !matches!(version, 2 | 3) {
        let cause = format!("the qcow2 is of version {version}, the clouds take 2 and 3");
        let format = if version == 1 { "qcow" } else { "qcow2" };
        return refused(&cause, Fix::Convert(format));
    }
    if fields.be64(8) != 0 {
        let cause = "the qcow2 has a backing file, it holds only what changed since";
        return refused(cause, Fix::Convert("qcow2"));
    }
    if features & EXTERNAL_DATA != 0 {
        let cause = "the qcow2 keeps its data in another file";
        return refused(cause, Fix::Convert("qcow2"));
    }
    if fields.be32(32) != 0 {
        let remedy = "decrypt it first, with qemu-img and its --object secret";
        return refused("the qcow2 is encrypted", Fix::custom(remedy));
    }
    if features & CORRUPT != 0 {
        return refused("the qcow2 is marked as corrupt", repair());
    }
    if features & DIRTY != 0 {
        return refused("the qcow2 was not closed properly", repair());
    }
    let packing = fields.u8(104);
    if features & !KNOWN != 0 || (features & COMPRESSION_TYPE != 0 && packing > 1) {
        let cause = "the qcow2 uses features that are newer than any importer";
        return refused(cause, Fix::Convert("qcow2"));
    }
    Ok(())
}

impl Header {
    fn read(view: &ByteView) -> ImageResult<Self> {
        view.require_len(Structure("qcow2", "its header"), 72)?;
        let bytes = view.read_up_to(0, HEADER)?;
        check_self_contained(Fields(&bytes))?;
        Self::parse(Fields(&bytes))
    }

    fn parse(fields: Fields) -> ImageResult<Self> {
        let cluster_bits = fields.be32(20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(ImageError::damaged(
                "qcow2",
                format_args!("it claims clusters of 2^{cluster_bits} bytes"),
            ));
        }
        let l1_bytes = u64::from(fields.be32(36)) * 8;
        let refcount_clusters = u64::from(fields.be32(56));
        let header = Self {
            version: fields.be32(4),
            cluster_bits,
            virtual_size: fields.be64(24),
            l1_entries: at_most(
                Structure("qcow2", "its L1 table"),
                "bytes",
                l1_bytes,
                MAX_L1,
            )? / 8,
            l1: fields.be64(40),
            refcounts: fields.be64(48),
            refcount_clusters,
            snapshots: fields.be32(60),
            features: features(fields),
            zstd: features(fields) & COMPRESSION_TYPE != 0 && fields.u8(104) == 1,
        };
        header.validated()
    }

    fn validated(self) -> ImageResult<Self> {
        let table = self.refcount_clusters << self.cluster_bits;
        at_most(
            Structure("qcow2", "its refcount table"),
            "bytes",
            table,
            MAX_REFCOUNTS,
        )?;
        let per_l2 = self.l2_entries() << self.cluster_bits;
        let needed = self.virtual_size.div_ceil(per_l2);
        if self.l1_entries >= needed {
            return Ok(self);
        }
        Err(ImageError::damaged(
            "qcow2",
            format_args!(
                "its L1 table has {} entries, the disk needs {needed}",
                self.l1_entries
            ),
        ))
    }

    fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Returns the entry size in bytes: "Extended L2 entries" have 16.
    fn entry_width(&self) -> u64 {
        if self.features & EXTENDED_L2 == 0 {
            8
        } else {
            16
        }
    }

    fn l2_entries(&self) -> u64 {
        self.cluster() / self.entry_width()
    }

    /// Checks that both tables and everything they point to are in the file.
    fn check_tables(&self, view: &ByteView) -> ImageResult<()> {
        let counts = self.refcount_clusters << self.cluster_bits;
        let end = self.refcounts.saturating_add(counts);
        view.require_len(Structure("qcow2", "its refcount table"), end)?;
        let block = Structure("qcow2", "a refcount block");
        view.for_each_entry(self.refcounts, counts / 8, 8, |_, entry| {
            match entry.be64(0) & !0x1ff {
                0 => Ok(()),
                at => view.require_len(block, at.saturating_add(self.cluster())),
            }
        })?;
        let end = self.l1.saturating_add(self.l1_entries * 8);
        view.require_len(Structure("qcow2", "its L1 table"), end)?;
        let mut tables = Vec::new();
        view.for_each_entry(self.l1, self.l1_entries, 8, |_, entry| {
            let at = entry.be64(0) & OFFSET;
            if at != 0 {
                view.require_len(Structure("qcow2", "an L2 table"), at + self.cluster())?;
                tables.push(at);
            }
            Ok(())
        })?;
        // In a hostile small file all tables may be the same one, and would be read without
        // end.
        let bytes = tables.len() as u64 * self.cluster();
        if view.len().is_some_and(|len| bytes > len) {
            return Err(ImageError::damaged(
                "qcow2",
                "its L2 tables lie on each other",
            ));
        }
        self.check_clusters(view, tables)
    }

    /// Checks the clusters of the L2 tables that are last in the file: they point to what a
    /// truncation removes.
    fn check_clusters(&self, view: &ByteView, mut tables: Vec<u64>) -> ImageResult<()> {
        tables.sort_unstable();
        let budget = TABLE_BUDGET >> self.cluster_bits;
        let latest = tables.into_iter().rev().zip(0..budget);
        for (table, _) in latest {
            view.for_each_entry(table, self.l2_entries(), self.entry_width(), |_, entry| {
                let data = Structure("qcow2", "a cluster of its data");
                view.require_len(data, self.last_needed(entry.be64(0)))
            })?;
        }
        Ok(())
    }

    /// Returns the end of what must be in the file for this entry: QEMU omits the rest of a
    /// last cluster, so its first byte is enough.
    fn last_needed(&self, entry: u64) -> u64 {
        if entry & COMPRESSED != 0 {
            let (at, sectors) = self.compressed(entry);
            return (at & !511) + sectors * 512 + 1;
        }
        // Bit 0: reads as zeros, even if it is allocated.
        match entry & OFFSET {
            at if at == 0 || entry & 1 != 0 => 0,
            at => at + 1,
        }
    }

    /// Parses a "Compressed Clusters Descriptor": the offset, and the sectors after the first.
    fn compressed(&self, entry: u64) -> (u64, u64) {
        let bits = 62 - (self.cluster_bits - 8);
        let sectors = (entry & (COMPRESSED - 1)) >> bits;
        (entry & ((1 << bits) - 1), sectors)
    }

    fn codec(&self) -> Codec {
        if self.zstd {
            Codec::Zstd
        } else {
            Codec::Deflate
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
