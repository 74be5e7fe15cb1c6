//! VMDK, after VMware's "Virtual Disk Format 5.0" and QEMU's block/vmdk.c. Of the
//! sparse files the stream-optimized ones in both layouts: VMware's with the grain
//! directory at the end and qemu-img's with it at the start. Integers are
//! little-endian, places are counted in sectors of 512 bytes.

mod blocks;

use super::content::{Content, VmdkKind};
use super::probe::{Found, GUEST_HEAD, at_most, is_zero};
use super::refusal::{Remedy, Sight, Trouble};
use super::unpack::Codec;
use super::window::{Fields, Structure, TABLE_BUDGET, Window, size};

pub(super) use blocks::layout;

const SPARSE: &[u8] = b"KDMV";
const ESX_SPARSE: &[u8] = b"COWD";
/// libvmdk: the constant header of a space-efficient sparse disk.
const SE_SPARSE: [u8; 8] = 0xcafe_babe_u64.to_le_bytes();
/// Some writers leave a space before "File".
const DESCRIPTOR: &[u8] = b"# Disk Descriptor";

const SECTOR: u64 = 512;
/// "Hosted Sparse Extent Header".
const HEADER: u64 = 512;
const COMPRESSED: u32 = 0x1_0000;
const COMPRESSED_WITH_MARKERS: u32 = 0x3_0000;
const DIRECTORY_AT_END: u64 = u64::MAX;
/// "Markers": a footer is announced by type 3.
const FOOTER_MARKER: u32 = 3;
/// Behind the footer comes one sector of zeros; some writers pad further.
const TAIL: u64 = 64 << 10;

/// QEMU vmdk.c: the largest grain directory and grain table; the grain of the
/// specification is a power of two of at least 8 sectors.
const MAX_DIRECTORY: u64 = 32 << 20;
const MAX_TABLE_ENTRIES: u64 = 512;
const MAX_GRAIN: u64 = 256 << 10;
/// 20 sectors are usual; a descriptor is read as text.
const MAX_DESCRIPTOR: u64 = 1 << 20;

pub(super) fn is_here(head: &[u8]) -> bool {
    let text = head.get(..DESCRIPTOR.len());
    head.starts_with(SPARSE)
        || head.starts_with(ESX_SPARSE)
        || head.starts_with(&SE_SPARSE)
        || text.is_some_and(|text| text.eq_ignore_ascii_case(DESCRIPTOR))
}

pub(super) fn look(window: &Window) -> Sight<Found> {
    let head = window.up_to(0, HEADER)?;
    if head.starts_with(SPARSE) {
        return sparse(window);
    }
    let (what, remedy) = if head.starts_with(ESX_SPARSE) {
        ("a sparse disk of ESX".into(), Remedy::Convert)
    } else if head.starts_with(&SE_SPARSE) {
        let what = "a space-efficient sparse disk of ESX";
        (what.into(), by_descriptor())
    } else {
        let start = window.up_to(0, TAIL)?;
        let descriptor = Descriptor::parse(&start);
        descriptor.alone()?;
        (descriptor.only(), Remedy::Convert)
    };
    Err(Trouble::unfit(format!("the VMDK is {what}"), remedy))
}

fn by_descriptor() -> Remedy {
    Remedy::say(
        "convert the whole disk first, by its descriptor file: qemu-img convert -O raw DESCRIPTOR.vmdk disk.raw",
    )
}

fn sparse(window: &Window) -> Sight<Found> {
    let header = Header::read(window, 0)?;
    let descriptor = header.descriptor(window)?;
    descriptor.alone()?;
    let kind = header.kind(&descriptor)?;
    let content = Content::Vmdk { kind };
    let virtual_size = header.capacity.saturating_mul(SECTOR);
    if header.ends_the_file() && window.len().is_none() {
        return Ok(Found {
            virtual_size: Some(virtual_size),
            ..Found::opaque(content)
        });
    }
    let head = header.located(window)?.check(window)?;
    Found::disk(content, virtual_size, head.as_deref())
}

/// The copy of the header that knows where the grain directory lies.
fn footer(window: &Window) -> Sight<Header> {
    let len = window.len().unwrap_or_default() / SECTOR * SECTOR;
    let from = len.saturating_sub(TAIL);
    let tail = window.up_to(from, TAIL)?;
    let sectors: Vec<_> = tail.chunks_exact(512).collect();
    let end = sectors.iter().rposition(|sector| !is_zero(sector));
    let place = end.filter(|&at| {
        let marked = |marker: &&[u8]| Fields(marker).le32(12) == FOOTER_MARKER;
        sectors[at].starts_with(SPARSE)
            && at + 1 < sectors.len()
            && at
                .checked_sub(1)
                .and_then(|at| sectors.get(at))
                .is_some_and(marked)
    });
    match place {
        Some(at) => Header::read(window, from + at as u64 * SECTOR),
        None => Err(Trouble::unfit(
            "the VMDK is cut short: the footer and the end-of-stream marker at its end are missing",
            Remedy::CopyAgain,
        )),
    }
}

#[derive(Debug)]
struct Header {
    flags: u32,
    /// In sectors, as all that follow but the table's entries.
    capacity: u64,
    grain: u64,
    descriptor_at: u64,
    descriptor_len: u64,
    table_entries: u64,
    directory: u64,
    compression: u16,
}

impl Header {
    fn read(window: &Window, at: u64) -> Sight<Self> {
        let bytes = window.need(Structure("VMDK", "its header"), at, HEADER)?;
        let bytes = bytes.unwrap_or_else(|| vec![0; 512]);
        let fields = Fields(&bytes);
        if fields.bytes(73, 4) != b"\n \r\n" {
            return Err(Trouble::damaged(
                "VMDK",
                "its line ends were changed on the way, as by a transfer in text mode",
            ));
        }
        let header = Self {
            flags: fields.le32(8),
            capacity: fields.le64(12),
            grain: fields.le64(20),
            descriptor_at: fields.le64(28),
            descriptor_len: fields.le64(36),
            table_entries: fields.le32(44).into(),
            directory: fields.le64(56),
            compression: fields.le16(77),
        };
        header.possible()
    }

    fn possible(self) -> Sight<Self> {
        if !self.grain.is_power_of_two() || !(8..=MAX_GRAIN).contains(&self.grain) {
            return Err(Trouble::damaged(
                "VMDK",
                format_args!("it claims grains of {} sectors", self.grain),
            ));
        }
        if self.table_entries == 0 {
            return Err(Trouble::damaged(
                "VMDK",
                "it claims grain tables without entries",
            ));
        }
        at_most(
            Structure("VMDK", "a grain table"),
            "entries",
            self.table_entries,
            MAX_TABLE_ENTRIES,
        )?;
        at_most(
            Structure("VMDK", "its grain directory"),
            "bytes",
            self.tables() * 4,
            MAX_DIRECTORY,
        )?;
        Ok(self)
    }

    fn is_stream(&self) -> bool {
        self.flags & COMPRESSED_WITH_MARKERS == COMPRESSED_WITH_MARKERS && self.compression == 1
    }

    /// Whether a second header at the end knows where the grain directory lies.
    fn ends_the_file(&self) -> bool {
        self.is_stream() && self.directory == DIRECTORY_AT_END
    }

    /// The header that knows where the grain directory lies.
    fn located(self, window: &Window) -> Sight<Self> {
        if !self.ends_the_file() {
            return Ok(self);
        }
        let footer = footer(window)?;
        let shape = |header: &Self| (header.capacity, header.grain, header.is_stream());
        if shape(&footer) == shape(&self) {
            return Ok(footer);
        }
        let how = "the header at its start is not the one at its end";
        Err(Trouble::damaged("VMDK", how))
    }

    fn kind(&self, descriptor: &Descriptor) -> Sight<VmdkKind> {
        let said = descriptor.create_type.as_deref();
        match said {
            _ if self.flags & COMPRESSED_WITH_MARKERS == COMPRESSED => Err(Trouble::unfit(
                "the VMDK compresses its grains without marking them, which no cloud takes",
                Remedy::Convert,
            )),
            Some("streamOptimized") | None if self.is_stream() => Ok(VmdkKind::StreamOptimized),
            Some("monolithicSparse") if !self.is_stream() => Ok(VmdkKind::MonolithicSparse),
            None => Err(Trouble::unfit(
                "the VMDK is one piece of a split disk, which its descriptor file puts together",
                by_descriptor(),
            )),
            Some(other) => Err(Trouble::unfit(
                format!("the VMDK is of the type {other:?}, which no cloud takes"),
                Remedy::Convert,
            )),
        }
    }

    fn descriptor(&self, window: &Window) -> Sight<Descriptor> {
        let sectors = self.descriptor_len;
        let len = sectors.saturating_mul(SECTOR);
        at_most(
            Structure("VMDK", "its descriptor"),
            "bytes",
            len,
            MAX_DESCRIPTOR,
        )?;
        let at = self.descriptor_at.saturating_mul(SECTOR);
        let place = Structure("VMDK", "its descriptor");
        let text = window.need(place, at, len)?.unwrap_or_default();
        Ok(Descriptor::parse(&text))
    }

    /// Grain tables, which the directory counts.
    fn tables(&self) -> u64 {
        self.capacity.div_ceil(self.table_entries * self.grain)
    }

    /// The directory, the tables and the last grain must lie in the file. Gives the
    /// first bytes of the guest's disk where they are seen.
    fn check(&self, window: &Window) -> Sight<Option<Vec<u8>>> {
        let at = self.directory.saturating_mul(SECTOR);
        let directory = Structure("VMDK", "its grain directory");
        window.holds(directory, at.saturating_add(self.tables() * 4))?;
        let mut tables = Vec::new();
        let mut first = None;
        window.walk(at, self.tables(), 4, |index, entry| {
            let table = u64::from(entry.le32(0)) * SECTOR;
            if table != 0 {
                let end = table + self.table_entries * 4;
                window.holds(Structure("VMDK", "a grain table"), end)?;
                tables.push(table);
            }
            if index == 0 {
                first = Some(table);
            }
            Ok(())
        })?;
        let bytes = tables.len() as u64 * self.table_entries * 4;
        if window.len().is_some_and(|len| bytes > len) {
            let how = "its grain tables lie on each other";
            return Err(Trouble::damaged("VMDK", how));
        }
        self.last_grain(window, tables)?;
        match first {
            Some(table) => self.first_grain(window, table),
            None => Ok(None),
        }
    }

    /// What a cut takes is what lies last; the tables that lie last point there.
    fn last_grain(&self, window: &Window, mut tables: Vec<u64>) -> Sight<()> {
        tables.sort_unstable();
        let budget = TABLE_BUDGET / (self.table_entries * 4);
        let mut last = 0;
        for (table, _) in tables.into_iter().rev().zip(0..budget) {
            window.walk(table, self.table_entries, 4, |_, entry| {
                last = last.max(u64::from(entry.le32(0)) * SECTOR);
                Ok(())
            })?;
        }
        // 0 is no grain, sector 1 a grain of zeros ("Grain Tables")
        if last <= SECTOR {
            return Ok(());
        }
        let grain = Structure("VMDK", "a grain of its data");
        window.holds(grain, last.saturating_add(SECTOR))?;
        if !self.is_stream() {
            return Ok(());
        }
        match window.get(last, 12)? {
            Some(marker) => {
                let len = u64::from(Fields(&marker).le32(8));
                window.holds(grain, last + 12 + len)
            }
            None => Ok(()),
        }
    }

    fn first_grain(&self, window: &Window, table: u64) -> Sight<Option<Vec<u8>>> {
        let entry = match table {
            0 => Some(vec![0; 4]),
            table => window.get(table, 4)?,
        };
        let Some(entry) = entry else { return Ok(None) };
        let at = u64::from(Fields(&entry).le32(0)) * SECTOR;
        let len = self.grain * SECTOR;
        match at {
            0 | SECTOR => Ok(Some(vec![0; 512])),
            at if self.is_stream() => {
                let marker = window.up_to(at, 12 + len * 2)?;
                let data = marker.get(12..).unwrap_or_default();
                let head = Codec::Zlib.unpack(data, size(GUEST_HEAD.min(len)));
                // a damaged grain shows nothing: a look is no proof of content
                Ok(head.ok())
            }
            at => Ok(Some(window.up_to(at, len.min(GUEST_HEAD))?)),
        }
    }
}

/// "The Disk Descriptor File": lines of `key=value`, in a file of its own or inside.
#[derive(Debug, Default)]
struct Descriptor {
    create_type: Option<String>,
    parent: bool,
}

impl Descriptor {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        let text = String::from_utf8_lossy(&bytes[..end]);
        let mut descriptor = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "createtype" => descriptor.create_type = Some(value.into()),
                "parentcid" => descriptor.parent = !value.eq_ignore_ascii_case("ffffffff"),
                _ => {}
            }
        }
        descriptor
    }

    /// What a descriptor in a file of its own is: "only a descriptor, ...".
    fn only(&self) -> String {
        let kind = self.create_type.as_deref().unwrap_or_default();
        let how = match kind {
            "monolithicFlat" | "vmfs" | "fullDevice" | "partitionedDevice" => "flat",
            "twoGbMaxExtentSparse" | "twoGbMaxExtentFlat" => "split",
            _ if kind.to_ascii_lowercase().contains("sparse") => "sparse",
            _ => "",
        };
        let of = match how {
            "" => String::new(),
            how => format!(" of a {how} disk ({kind})"),
        };
        format!("only the descriptor{of}, the disk itself lies in other files beside it")
    }

    fn alone(&self) -> Sight<()> {
        if !self.parent {
            return Ok(());
        }
        Err(Trouble::unfit(
            "the VMDK is a snapshot, it holds only what changed since its parent disk",
            Remedy::say(
                "delete the snapshots of the virtual machine, or export it, so that one whole disk remains",
            ),
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::image::stage::{
        because, bend, convert, copy_again, disk, open, refusal, unreadable, with,
    };

    const STREAM: u32 = 0x3_0001;

    fn header(flags: u32, directory: u64) -> Vec<u8> {
        let compression = u8::from(flags & COMPRESSED_WITH_MARKERS != 0);
        with(
            &[0; 512],
            &[
                (0, SPARSE),
                (4, &[3]),
                (8, &flags.to_le_bytes()),
                (12, &16_u64.to_le_bytes()),
                (20, &8_u64.to_le_bytes()),
                (28, &[1]),
                (36, &[1]),
                (45, &[2]),
                (56, &directory.to_le_bytes()),
                (64, &[8]),
                (73, b"\n \r\n"),
                (77, &[compression]),
            ],
        )
    }

    fn descriptor(kind: &str, parent: &str) -> Vec<u8> {
        let text = format!(
            "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID={parent}\ncreateType=\"{kind}\"\nRW 16 SPARSE \"x.vmdk\"\n"
        );
        let mut sector = text.into_bytes();
        sector.resize(512, 0);
        sector
    }

    fn sector(words: &[u32]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(512, 0);
        bytes
    }

    /// A grain of 4 KiB with boot code in its first sector, deflated.
    fn grain() -> Vec<u8> {
        let disk = with(&[0; 4096], &[(0, &[7; 440]), (510, &[0x55, 0xaa])]);
        let mut encoder = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::best());
        encoder.write_all(&disk).unwrap();
        let data = encoder.finish().unwrap();
        let len = u32::try_from(data.len()).unwrap();
        let mut grain = [&[0; 8][..], &len.to_le_bytes(), &data].concat();
        grain.resize(512, 0);
        grain
    }

    /// As ovftool writes it, a disk of 8 KiB: header, descriptor, the grain at sector
    /// 2, marker, table at 4 of 4 sectors, marker, directory at 9, marker, footer, end.
    pub(in crate::image) fn vmware() -> Vec<u8> {
        let table = [sector(&[2]), vec![0; 3 * 512]].concat();
        [
            header(STREAM, DIRECTORY_AT_END),
            descriptor("streamOptimized", "ffffffff"),
            grain(),
            sector(&[4, 0, 0, 1]),
            table,
            sector(&[1, 0, 0, 2]),
            sector(&[4]),
            sector(&[1, 0, 0, 3]),
            header(STREAM, 9),
            vec![0; 512],
        ]
        .concat()
    }

    /// As qemu-img writes it: the directory at sector 2, table at 3, grain at 7.
    fn qemu(flags: u32, kind: &str, parent: &str) -> Vec<u8> {
        let table = [sector(&[7]), vec![0; 3 * 512]].concat();
        let data = if flags & COMPRESSED_WITH_MARKERS == 0 {
            vec![0; 4096]
        } else {
            grain()
        };
        [
            header(flags, 2),
            descriptor(kind, parent),
            sector(&[3]),
            table,
            data,
        ]
        .concat()
    }

    pub(in crate::image) fn stream() -> Vec<u8> {
        qemu(STREAM | 2, "streamOptimized", "ffffffff")
    }

    pub(in crate::image) fn sparse() -> Vec<u8> {
        qemu(3, "monolithicSparse", "ffffffff")
    }

    fn refused(changes: &[(usize, &[u8])]) -> String {
        refusal(&with(&stream(), changes))
    }

    #[test]
    fn both_layouts_of_a_stream_are_taken() {
        for vmdk in [vmware(), stream()] {
            let image = open(&vmdk).unwrap();
            assert_eq!(image.describe(), "stream-optimized VMDK, 8.0 KiB disk");
            assert_eq!(image.boot.bios, Some(true));
        }
        let padded = [vmware(), vec![0; 4096]].concat();
        assert!(open(&padded).is_ok());
    }

    #[test]
    fn the_disk_inside_is_read_where_its_grains_lie() {
        let bytes = with(&[0; 8192], &[(0, &[7; 440]), (510, &[0x55, 0xaa])]);
        assert_eq!(disk(&vmware()), (bytes.clone(), vec![(0, 4096)]));
        assert_eq!(disk(&stream()), (bytes, vec![(0, 4096)]));
        let plain = with(&sparse(), &[(3584, &[5; 4096])]);
        let bytes = with(&[0; 8192], &[(0, &[5; 4096])]);
        assert_eq!(disk(&plain), (bytes, vec![(0, 4096)]));
        for (at, nowhere) in [(1536, 1), (1536, 0), (1024, 0)] {
            let none = with(&plain, &[(at, &[nowhere])]);
            assert_eq!(disk(&none), (vec![0; 8192], vec![]));
        }
    }

    #[test]
    fn damaged_grains_are_errors() {
        let damaged = |how: &str| format!("the container is damaged: {how}");
        assert_eq!(
            unreadable(&with(&stream(), &[(3596, &[0])])),
            damaged(
                "compressed data can't be read (deflate decompression error: incorrect header check)"
            )
        );
        assert_eq!(
            unreadable(&with(&stream(), &[(3592, &[9, 0])])),
            damaged("compressed data is too short")
        );
    }

    #[test]
    fn a_monolithic_sparse_disk_is_told_apart() {
        let image = open(&sparse()).unwrap();
        assert_eq!(
            image.content,
            Content::Vmdk {
                kind: VmdkKind::MonolithicSparse
            }
        );
    }

    #[test]
    fn a_pipe_shows_the_header() {
        let image = crate::image::Image::from_head(&vmware()[..1024], None).unwrap();
        assert_eq!(image.describe(), "stream-optimized VMDK, 8.0 KiB disk");
    }

    #[test]
    fn what_no_cloud_takes_is_refused() {
        let only = |what: &str| {
            convert(&format!(
                "the VMDK is only the descriptor{what}, the disk itself lies in other files beside it"
            ))
        };
        for (kind, what) in [
            ("monolithicFlat", " of a flat disk (monolithicFlat)"),
            ("vmfs", " of a flat disk (vmfs)"),
            (
                "twoGbMaxExtentSparse",
                " of a split disk (twoGbMaxExtentSparse)",
            ),
            ("seSparse", " of a sparse disk (seSparse)"),
            ("custom", ""),
        ] {
            assert_eq!(refusal(&descriptor(kind, "ffffffff")), only(what));
        }
        let spaced = [b"# Disk Descriptor File\n", &[0; 512][..]].concat();
        assert_eq!(refusal(&spaced), only(""));
        assert_eq!(
            refusal(&with(&[0; 512], &[(0, ESX_SPARSE)])),
            convert("the VMDK is a sparse disk of ESX")
        );
        assert_eq!(
            refusal(&with(&[0; 512], &[(0, &SE_SPARSE)])),
            because(
                "the VMDK is a space-efficient sparse disk of ESX",
                "convert the whole disk first, by its descriptor file: qemu-img convert -O raw DESCRIPTOR.vmdk disk.raw"
            )
        );
        assert_eq!(
            refusal(&qemu(3, "vmfsSparse", "ffffffff")),
            convert("the VMDK is of the type \"vmfsSparse\", which no cloud takes")
        );
        assert_eq!(
            refusal(&with(&sparse(), &[(10, &[1])])),
            convert("the VMDK compresses its grains without marking them, which no cloud takes")
        );
        assert_eq!(
            refusal(&with(&sparse(), &[(512, &[0; 512])])),
            because(
                "the VMDK is one piece of a split disk, which its descriptor file puts together",
                "convert the whole disk first, by its descriptor file: qemu-img convert -O raw DESCRIPTOR.vmdk disk.raw"
            )
        );
    }

    #[test]
    fn a_snapshot_is_refused_in_a_file_and_in_a_descriptor() {
        let message = because(
            "the VMDK is a snapshot, it holds only what changed since its parent disk",
            "delete the snapshots of the virtual machine, or export it, so that one whole disk remains",
        );
        assert_eq!(refusal(&qemu(3, "monolithicSparse", "12345678")), message);
        assert_eq!(refusal(&descriptor("monolithicFlat", "12345678")), message);
    }

    #[test]
    fn damage_is_refused() {
        let damaged = |how: &str| copy_again(&format!("the VMDK is damaged: {how}"));
        assert_eq!(
            refused(&[(75, b"\n")]),
            damaged("its line ends were changed on the way, as by a transfer in text mode")
        );
        assert_eq!(
            refused(&[(20, &[9])]),
            damaged("it claims grains of 9 sectors")
        );
        assert_eq!(
            refused(&[(45, &[0])]),
            damaged("it claims grain tables without entries")
        );
        assert_eq!(
            refused(&[(46, &[1])]),
            damaged("a grain table would have 66048 entries, at most 512 are possible")
        );
        assert_eq!(
            refused(&[(18, &[1])]),
            damaged(
                "its grain directory would have 274877906948 bytes, at most 33554432 are possible"
            )
        );
        assert_eq!(
            refused(&[(39, &[1])]),
            damaged("its descriptor would have 8589935104 bytes, at most 1048576 are possible")
        );
    }

    #[test]
    fn what_lies_beyond_the_end_is_refused() {
        let cut = |what: &str, end: usize, len: usize| {
            copy_again(&format!(
                "the VMDK is cut short: {what} reaches to byte {end}, but only {len} bytes are there"
            ))
        };
        let vmdk = stream();
        assert_eq!(refusal(&vmdk[..500]), cut("its header", 512, 500));
        assert_eq!(refusal(&vmdk[..1000]), cut("its descriptor", 1024, 1000));
        assert_eq!(
            refusal(&vmdk[..1025]),
            cut("its grain directory", 1028, 1025)
        );
        assert_eq!(refusal(&vmdk[..1600]), cut("a grain table", 3584, 1600));
        assert_eq!(
            refusal(&vmdk[..3600]),
            cut("a grain of its data", 4096, 3600)
        );
        let marker = with(&vmdk, &[(3592, &[0, 4])]);
        assert_eq!(refusal(&marker), cut("a grain of its data", 4620, 4096));
    }

    #[test]
    fn headers_that_differ_are_refused() {
        assert_eq!(
            refusal(&with(&vmware(), &[(12, &[17])])),
            copy_again("the VMDK is damaged: the header at its start is not the one at its end")
        );
    }

    #[test]
    fn tables_that_lie_on_each_other_are_refused() {
        let many = [sector(&[3; 128]), vec![0; 8 * 512]].concat();
        let vmdk = [
            with(&header(3, 2), &[(12, &(128 * 4096_u64).to_le_bytes())]),
            descriptor("monolithicSparse", "ffffffff"),
            many,
        ]
        .concat();
        assert_eq!(
            refusal(&vmdk),
            copy_again("the VMDK is damaged: its grain tables lie on each other")
        );
    }

    #[test]
    fn a_stream_without_its_end_is_refused() {
        let message = copy_again(
            "the VMDK is cut short: the footer and the end-of-stream marker at its end are missing",
        );
        let vmdk = vmware();
        for missing in [1, 512, 1024, 1536, 2048] {
            assert_eq!(refusal(&vmdk[..vmdk.len() - missing]), message);
        }
    }

    #[test]
    fn no_vmdk_makes_it_panic() {
        bend(&vmware(), 80);
        bend(&stream(), 4096);
        bend(&sparse(), 4096);
    }
}
