//! qcow2, versions 2 and 3, after QEMU's docs/interop/qcow2.rst. Checks that it
//! stands alone and is whole; snapshots and compression are facts for the recipes.
//! Integers are big-endian.

mod blocks;

use super::content::Content;
use super::probe::{Found, GUEST_HEAD, at_most};
use super::refusal::{Remedy, Sight, Trouble};
use super::unpack::Codec;
use super::window::{Fields, Structure, TABLE_BUDGET, Window, size};

pub(super) use blocks::layout;

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

/// The header's fields that matter here.
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

pub(super) fn look(window: &Window) -> Sight<Found> {
    let header = Header::find(window)?;
    let table = header.tables(window)?;
    let head = header.first_bytes(window, table)?;
    let content = Content::Qcow2 {
        version: header.version,
        zstd: header.zstd,
        extended_l2: header.features & EXTENDED_L2 != 0,
        snapshots: header.snapshots,
    };
    Found::disk(content, header.virtual_size, head.as_deref())
}

fn features(fields: Fields) -> u64 {
    if fields.be32(4) < 3 {
        0
    } else {
        fields.be64(72)
    }
}

fn stands_alone(fields: Fields) -> Sight<()> {
    let features = features(fields);
    let version = fields.be32(4);
    let refused = |cause: &str, remedy: Remedy| Err(Trouble::unfit(cause, remedy));
    let repair = || Remedy::say("repair it first, on a copy: qemu-img check -r all");
    if !matches!(version, 2 | 3) {
        let cause = format!("the qcow2 is of version {version}, the clouds take 2 and 3");
        return refused(&cause, Remedy::Convert);
    }
    if fields.be64(8) != 0 {
        let cause = "the qcow2 has a backing file, it holds only what changed since";
        return refused(cause, Remedy::Convert);
    }
    if features & EXTERNAL_DATA != 0 {
        let cause = "the qcow2 keeps its data in another file";
        return refused(cause, Remedy::Convert);
    }
    if fields.be32(32) != 0 {
        let remedy = "decrypt it first, with qemu-img convert and its --object secret";
        return refused("the qcow2 is encrypted", Remedy::say(remedy));
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
        return refused(cause, Remedy::Convert);
    }
    Ok(())
}

impl Header {
    fn find(window: &Window) -> Sight<Self> {
        window.holds(Structure("qcow2", "its header"), 72)?;
        let bytes = window.up_to(0, HEADER)?;
        stands_alone(Fields(&bytes))?;
        Self::read(Fields(&bytes))
    }

    fn read(fields: Fields) -> Sight<Self> {
        let cluster_bits = fields.be32(20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(Trouble::damaged(
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
        header.consistent()
    }

    fn consistent(self) -> Sight<Self> {
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
        Err(Trouble::damaged(
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

    /// "Extended L2 entries" have 16 bytes.
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

    /// Both tables and all they point to must lie in the file. Gives the place of
    /// the first L2 table.
    fn tables(&self, window: &Window) -> Sight<Option<u64>> {
        let counts = self.refcount_clusters << self.cluster_bits;
        let end = self.refcounts.saturating_add(counts);
        window.holds(Structure("qcow2", "its refcount table"), end)?;
        let block = Structure("qcow2", "a refcount block");
        window.walk(self.refcounts, counts / 8, 8, |_, entry| {
            match entry.be64(0) & !0x1ff {
                0 => Ok(()),
                at => window.holds(block, at.saturating_add(self.cluster())),
            }
        })?;
        let end = self.l1.saturating_add(self.l1_entries * 8);
        window.holds(Structure("qcow2", "its L1 table"), end)?;
        let mut tables = Vec::new();
        let mut first = None;
        window.walk(self.l1, self.l1_entries, 8, |index, entry| {
            let at = entry.be64(0) & OFFSET;
            if at != 0 {
                window.holds(Structure("qcow2", "an L2 table"), at + self.cluster())?;
                tables.push(at);
            }
            if index == 0 {
                first = Some(at);
            }
            Ok(())
        })?;
        // a small file whose tables are all the same one would be read without end
        let bytes = tables.len() as u64 * self.cluster();
        if window.len().is_some_and(|len| bytes > len) {
            return Err(Trouble::damaged("qcow2", "its L2 tables lie on each other"));
        }
        self.clusters(window, tables)?;
        Ok(first)
    }

    /// The clusters of the L2 tables that lie last: what a cut takes, they point to.
    fn clusters(&self, window: &Window, mut tables: Vec<u64>) -> Sight<()> {
        tables.sort_unstable();
        let budget = TABLE_BUDGET >> self.cluster_bits;
        let latest = tables.into_iter().rev().zip(0..budget);
        for (table, _) in latest {
            window.walk(table, self.l2_entries(), self.entry_width(), |_, entry| {
                let data = Structure("qcow2", "a cluster of its data");
                window.holds(data, self.last_needed(entry.be64(0)))
            })?;
        }
        Ok(())
    }

    /// The end of what must be in the file for this entry: QEMU leaves out the rest
    /// of a last cluster, so its first byte must do.
    fn last_needed(&self, entry: u64) -> u64 {
        if entry & COMPRESSED != 0 {
            let (at, sectors) = self.compressed(entry);
            return (at & !511) + sectors * 512 + 1;
        }
        // bit 0: reads as zeros, whatever was allocated
        match entry & OFFSET {
            at if at == 0 || entry & 1 != 0 => 0,
            at => at + 1,
        }
    }

    /// "Compressed Clusters Descriptor": the offset, and the sectors after the first.
    fn compressed(&self, entry: u64) -> (u64, u64) {
        let bits = 62 - (self.cluster_bits - 8);
        let sectors = (entry & (COMPRESSED - 1)) >> bits;
        (entry & ((1 << bits) - 1), sectors)
    }

    /// The start of the guest's disk, where it is stored plainly or deflated.
    fn first_bytes(&self, window: &Window, table: Option<u64>) -> Sight<Option<Vec<u8>>> {
        let entry = match table {
            None => None,
            Some(0) => Some(vec![0; 16]),
            Some(table) => window.get(table, self.entry_width())?,
        };
        let Some(entry) = entry else { return Ok(None) };
        let (entry, subclusters) = (Fields(&entry).be64(0), Fields(&entry).be64(8));
        let part_of_it =
            self.features & EXTENDED_L2 != 0 && subclusters & 0xffff_ffff != 0xffff_ffff;
        if entry & COMPRESSED != 0 {
            return self.unpacked(window, entry);
        }
        let zero = self.features & EXTENDED_L2 == 0 && entry & 1 != 0;
        match entry & OFFSET {
            _ if zero => Ok(Some(vec![0; 512])),
            0 => Ok(Some(vec![0; 512])),
            _ if part_of_it => Ok(None),
            at => Ok(Some(window.up_to(at, GUEST_HEAD.min(self.cluster()))?)),
        }
    }

    /// A damaged cluster shows nothing: a look is no proof of content.
    fn unpacked(&self, window: &Window, entry: u64) -> Sight<Option<Vec<u8>>> {
        let (at, sectors) = self.compressed(entry);
        let bytes = (sectors + 1) * 512 - (at & 511);
        let input = window.up_to(at, bytes)?;
        let head = self
            .codec()
            .unpack(&input, size(GUEST_HEAD.min(self.cluster())));
        Ok(head.ok())
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
mod tests {
    use super::*;
    use crate::image::stage::{because, bend, convert, copy_again, disk, open, refusal, with};

    /// A disk of 1 KiB in clusters of 512 bytes: header, refcount table at 512, its
    /// block at 1024, L1 at 1536, L2 at 2048, one cluster at 2560 of two.
    fn qcow2() -> Vec<u8> {
        let place = |at: u64| at.to_be_bytes();
        with(
            &[0; 3072],
            &[
                (0, b"QFI\xfb"),
                (7, &[3]),
                (23, &[9]),
                (24, &place(1024)),
                (39, &[1]),
                (40, &place(1536)),
                (48, &place(512)),
                (59, &[1]),
                (103, &[104]),
                (512, &place(1024)),
                (1536, &place(2048 + (1 << 63))),
                (2048, &place(2560 + (1 << 63))),
            ],
        )
    }

    fn refused(changes: &[(usize, &[u8])]) -> String {
        refusal(&with(&qcow2(), changes))
    }

    #[test]
    fn a_qcow2_tells_what_importers_differ_in() {
        let plain = open(&qcow2()).unwrap();
        assert_eq!(plain.describe(), "qcow2, 1.0 KiB disk");
        assert_eq!(plain.boot.bios, Some(false));
        let newer = with(&qcow2(), &[(63, &[2]), (79, &[24]), (104, &[1])]);
        assert_eq!(
            open(&newer).unwrap().content,
            Content::Qcow2 {
                version: 3,
                zstd: true,
                extended_l2: true,
                snapshots: 2
            }
        );
    }

    #[test]
    fn a_pipe_shows_the_header() {
        let image = crate::image::Image::from_head(&qcow2()[..600], None).unwrap();
        assert_eq!(image.describe(), "qcow2, 1.0 KiB disk");
        assert_eq!(image.boot, crate::image::Boot::default());
    }

    #[test]
    fn a_compressed_cluster_shows_the_disk() {
        let disk = with(&[7; 512], &[(446, &[0; 64]), (510, &[0x55, 0xaa])]);
        for zstd in [false, true] {
            let boot = open(&packed(zstd, &disk)).unwrap().boot;
            assert_eq!(boot.bios, Some(true));
        }
    }

    /// The first cluster compressed so.
    fn packed(zstd: bool, disk: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let data = if zstd {
            ruzstd::encoding::compress_to_vec(disk, ruzstd::encoding::CompressionLevel::Fastest)
        } else {
            let mut encoder =
                flate2::write::DeflateEncoder::new(vec![], flate2::Compression::best());
            encoder.write_all(disk).unwrap();
            encoder.finish().unwrap()
        };
        let entry = (2560 + COMPRESSED).to_be_bytes();
        let marks: &[(usize, &[u8])] = if zstd {
            &[(79, &[8]), (104, &[1])]
        } else {
            &[]
        };
        let image = with(&qcow2(), &[(103, &[112]), (2048, &entry), (2560, &data)]);
        with(&image, marks)
    }

    #[test]
    fn the_disk_inside_is_read_where_its_clusters_lie() {
        let plain = with(&qcow2(), &[(2560, &[5; 512])]);
        let bytes = with(&[0; 1024], &[(0, &[5; 512])]);
        assert_eq!(disk(&plain), (bytes.clone(), vec![(0, 512)]));
        for zstd in [false, true] {
            assert_eq!(
                disk(&packed(zstd, &[5; 512])),
                (bytes.clone(), vec![(0, 512)])
            );
        }
        // marked as zeros, not allocated, no table
        for change in [(2055, 1), (2054, 0), (1542, 0)] {
            let none = with(&plain, &[(change.0, &[change.1])]);
            assert_eq!(disk(&none), (vec![0; 1024], vec![]), "{change:?}");
        }
    }

    #[test]
    fn the_last_cluster_may_end_with_the_file() {
        let plain = with(&qcow2(), &[(2560, &[5; 512])]);
        let bytes = with(&[0; 1024], &[(0, &[5; 100])]);
        assert_eq!(disk(&plain[..2660]), (bytes, vec![(0, 512)]));
    }

    #[test]
    fn what_does_not_stand_alone_is_refused() {
        assert_eq!(
            refused(&[(7, &[1])]),
            convert("the qcow2 is of version 1, the clouds take 2 and 3")
        );
        assert_eq!(
            refused(&[(15, &[1])]),
            convert("the qcow2 has a backing file, it holds only what changed since")
        );
        assert_eq!(
            refused(&[(79, &[4])]),
            convert("the qcow2 keeps its data in another file")
        );
        assert_eq!(
            refused(&[(72, &[1])]),
            convert("the qcow2 uses features that are newer than any importer")
        );
        assert_eq!(
            refused(&[(79, &[8]), (104, &[2])]),
            convert("the qcow2 uses features that are newer than any importer")
        );
        assert_eq!(
            refused(&[(35, &[2])]),
            because(
                "the qcow2 is encrypted",
                "decrypt it first, with qemu-img convert and its --object secret"
            )
        );
    }

    #[test]
    fn what_needs_repair_is_refused() {
        let hint = "repair it first, on a copy: qemu-img check -r all";
        assert_eq!(
            refused(&[(79, &[2])]),
            because("the qcow2 is marked as corrupt", hint)
        );
        assert_eq!(
            refused(&[(79, &[1])]),
            because("the qcow2 was not closed properly", hint)
        );
    }

    #[test]
    fn tables_that_cannot_be_are_refused() {
        assert_eq!(
            refused(&[(23, &[8])]),
            copy_again("the qcow2 is damaged: it claims clusters of 2^8 bytes")
        );
        assert_eq!(
            refused(&[(36, &[1])]),
            copy_again(
                "the qcow2 is damaged: its L1 table would have 134217736 bytes, at most 33554432 are possible"
            )
        );
        assert_eq!(
            refused(&[(56, &[1])]),
            copy_again(
                "the qcow2 is damaged: its refcount table would have 8589935104 bytes, at most 8388608 are possible"
            )
        );
        assert_eq!(
            refused(&[(28, &[1])]),
            copy_again("the qcow2 is damaged: its L1 table has 1 entries, the disk needs 513")
        );
    }

    #[test]
    fn tables_that_lie_on_each_other_are_refused() {
        let table = 2048_u64.to_be_bytes().repeat(7);
        let image = with(&qcow2(), &[(39, &[7]), (1536, &table)]);
        assert_eq!(
            refusal(&image),
            copy_again("the qcow2 is damaged: its L2 tables lie on each other")
        );
    }

    #[test]
    fn what_lies_beyond_the_end_is_refused() {
        let cut = |what: &str, end: u64| {
            copy_again(&format!(
                "the qcow2 is cut short: {what} reaches to byte {end}, but only 3072 bytes are there"
            ))
        };
        let far: &[u8] = &[0x10, 0];
        assert_eq!(refused(&[(46, far)]), cut("its L1 table", 4104));
        assert_eq!(refused(&[(54, far)]), cut("its refcount table", 4608));
        assert_eq!(refused(&[(518, far)]), cut("a refcount block", 4608));
        assert_eq!(refused(&[(1542, far)]), cut("an L2 table", 4608));
        assert_eq!(refused(&[(2054, far)]), cut("a cluster of its data", 4097));
        assert_eq!(
            refused(&[(2048, &[0x40]), (2054, far)]),
            cut("a cluster of its data", 4097)
        );
        assert_eq!(
            refusal(&qcow2()[..71]),
            copy_again(
                "the qcow2 is cut short: its header reaches to byte 72, but only 71 bytes are there"
            )
        );
    }

    #[test]
    fn no_qcow2_makes_it_panic() {
        bend(&qcow2(), 112);
        bend(&packed(false, &[7; 512]), 3072);
        bend(&packed(true, &[7; 512]), 3072);
    }
}
