//! VMDK, after VMware's "Virtual Disk Format 5.0" and QEMU's block/vmdk.c. Of the sparse files
//! it reads the stream-optimized ones in both layouts: VMware's with the grain directory at the
//! end and qemu-img's with it at the start. Integers are little-endian, offsets are counted in
//! sectors of 512 bytes.

mod blocks;

use super::super::byte_view::{ByteView, Fields, Structure, TABLE_BUDGET, is_zero};
use super::super::content::{Content, VmdkKind};
use super::super::error::{Fix, ImageError, ImageResult};
use super::super::found::{Detection, at_most};

pub(in crate::image) use blocks::layout;

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
/// Bytes at the end that are searched for the footer: one sector of zeros follows it, and some
/// writers pad further.
const TAIL: u64 = 64 << 10;

/// QEMU vmdk.c: the largest grain directory and grain table; in the specification, a grain is a
/// power of two of at least 8 sectors.
const MAX_DIRECTORY: u64 = 32 << 20;
const MAX_TABLE_ENTRIES: u64 = 512;
const MAX_GRAIN: u64 = 256 << 10;
/// The largest descriptor, which is read as text; 20 sectors are usual.
const MAX_DESCRIPTOR: u64 = 1 << 20;

pub(in crate::image) fn has_magic(head: &[u8]) -> bool {
    let text = head.get(..DESCRIPTOR.len());
    head.starts_with(SPARSE)
        || head.starts_with(ESX_SPARSE)
        || head.starts_with(&SE_SPARSE)
        || text.is_some_and(|text| text.eq_ignore_ascii_case(DESCRIPTOR))
}

pub(in crate::image) fn parse(view: &ByteView) -> ImageResult<Detection> {
    let head = view.read_up_to(0, HEADER)?;
    if head.starts_with(SPARSE) {
        return parse_sparse(view);
    }
    let (name, remedy) = if head.starts_with(ESX_SPARSE) {
        ("a sparse disk of ESX".into(), Fix::Convert("vmdk"))
    } else if head.starts_with(&SE_SPARSE) {
        let name = "a space-efficient sparse disk of ESX";
        (name.into(), import_by_descriptor())
    } else {
        let start = view.read_up_to(0, TAIL)?;
        let descriptor = Descriptor::parse(&start);
        descriptor.check_self_contained()?;
        (descriptor.extent_file(), Fix::Convert("vmdk"))
    };
    Err(ImageError::unusable(format!("the VMDK is {name}"), remedy))
}

fn import_by_descriptor() -> Fix {
    Fix::custom(
        "convert the whole disk first, by its descriptor file: qemu-img convert -f vmdk -O raw DESCRIPTOR.vmdk disk.raw",
    )
}

fn parse_sparse(view: &ByteView) -> ImageResult<Detection> {
    let header = Header::read(view, 0)?;
    let descriptor = header.descriptor(view)?;
    descriptor.check_self_contained()?;
    let kind = header.kind(&descriptor)?;
    let content = Content::Vmdk { kind };
    let virtual_size = header.capacity.saturating_mul(SECTOR);
    if header.ends_the_file() && view.len().is_none() {
        return Ok(Detection {
            virtual_size: Some(virtual_size),
            ..Detection::opaque(content)
        });
    }
    header.with_grain_directory(view)?.check(view)?;
    Ok(Detection::disk(content, virtual_size))
}

/// Reads the copy of the header that has the offset of the grain directory.
fn footer(view: &ByteView) -> ImageResult<Header> {
    let len = view.len().unwrap_or_default() / SECTOR * SECTOR;
    let from = len.saturating_sub(TAIL);
    let tail = view.read_up_to(from, TAIL)?;
    let sectors: Vec<_> = tail.chunks_exact(512).collect();
    let end = sectors.iter().rposition(|sector| !is_zero(sector));
    let location = end.filter(|&at| {
        let marked = |marker: &&[u8]| Fields(marker).le32(12) == FOOTER_MARKER;
        sectors[at].starts_with(SPARSE)
            && at + 1 < sectors.len()
            && at
                .checked_sub(1)
                .and_then(|at| sectors.get(at))
                .is_some_and(marked)
    });
    match location {
        Some(at) => Header::read(view, from + at as u64 * SECTOR),
        None => Err(ImageError::unusable(
            "the VMDK is cut short: the footer and the end-of-stream marker at its end are missing",
            Fix::CopyAgain,
        )),
    }
}

#[derive(Debug)]
struct Header {
    flags: u32,
    /// In sectors, like all that follow except the number of the table's entries.
    capacity: u64,
    grain: u64,
    descriptor_at: u64,
    descriptor_len: u64,
    table_entries: u64,
    directory: u64,
    compression: u16,
}

impl Header {
    fn read(view: &ByteView, at: u64) -> ImageResult<Self> {
        let bytes = view.require(Structure("VMDK", "its header"), at, HEADER)?;
        let bytes = bytes.unwrap_or_else(|| vec![0; 512]);
        let fields = Fields(&bytes);
        if fields.bytes(73, 4) != b"\n \r\n" {
            return Err(ImageError::damaged(
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
        header.validated()
    }

    fn validated(self) -> ImageResult<Self> {
        if !self.grain.is_power_of_two() || !(8..=MAX_GRAIN).contains(&self.grain) {
            return Err(ImageError::damaged(
                "VMDK",
                format_args!("it claims grains of {} sectors", self.grain),
            ));
        }
        if self.table_entries == 0 {
            return Err(ImageError::damaged(
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

    /// Reports whether a second header at the end has the offset of the grain directory.
    fn ends_the_file(&self) -> bool {
        self.is_stream() && self.directory == DIRECTORY_AT_END
    }

    /// Returns the header that has the offset of the grain directory.
    fn with_grain_directory(self, view: &ByteView) -> ImageResult<Self> {
        if !self.ends_the_file() {
            return Ok(self);
        }
        let footer = footer(view)?;
        let shape = |header: &Self| (header.capacity, header.grain, header.is_stream());
        if shape(&footer) == shape(&self) {
            return Ok(footer);
        }
        let how = "the header at its start is not the one at its end";
        Err(ImageError::damaged("VMDK", how))
    }

    fn kind(&self, descriptor: &Descriptor) -> ImageResult<VmdkKind> {
        let create_type = descriptor.create_type.as_deref();
        match create_type {
            _ if self.flags & COMPRESSED_WITH_MARKERS == COMPRESSED => Err(ImageError::unusable(
                "the VMDK compresses its grains without marking them, which no cloud takes",
                Fix::Convert("vmdk"),
            )),
            Some("streamOptimized") | None if self.is_stream() => Ok(VmdkKind::StreamOptimized),
            Some("monolithicSparse") if !self.is_stream() => Ok(VmdkKind::MonolithicSparse),
            None => Err(ImageError::unusable(
                "the VMDK is one piece of a split disk, which its descriptor file puts together",
                import_by_descriptor(),
            )),
            Some(other) => Err(ImageError::unusable(
                format!("the VMDK is of the type {other:?}, which no cloud takes"),
                Fix::Convert("vmdk"),
            )),
        }
    }

    fn descriptor(&self, view: &ByteView) -> ImageResult<Descriptor> {
        let sectors = self.descriptor_len;
        let len = sectors.saturating_mul(SECTOR);
        at_most(
            Structure("VMDK", "its descriptor"),
            "bytes",
            len,
            MAX_DESCRIPTOR,
        )?;
        let at = self.descriptor_at.saturating_mul(SECTOR);
        let location = Structure("VMDK", "its descriptor");
        let text = view.require(location, at, len)?.unwrap_or_default();
        Ok(Descriptor::parse(&text))
    }

    /// Returns the number of grain tables in the directory.
    fn tables(&self) -> u64 {
        self.capacity.div_ceil(self.table_entries * self.grain)
    }

    /// Checks that the directory, the tables and the last grain are in the file.
    fn check(&self, view: &ByteView) -> ImageResult<()> {
        let at = self.directory.saturating_mul(SECTOR);
        let directory = Structure("VMDK", "its grain directory");
        view.require_len(directory, at.saturating_add(self.tables() * 4))?;
        let mut tables = Vec::new();
        view.for_each_entry(at, self.tables(), 4, |_, entry| {
            let table = u64::from(entry.le32(0)) * SECTOR;
            if table != 0 {
                let end = table + self.table_entries * 4;
                view.require_len(Structure("VMDK", "a grain table"), end)?;
                tables.push(table);
            }
            Ok(())
        })?;
        let bytes = tables.len() as u64 * self.table_entries * 4;
        if view.len().is_some_and(|len| bytes > len) {
            let how = "its grain tables lie on each other";
            return Err(ImageError::damaged("VMDK", how));
        }
        self.last_grain(view, tables)
    }

    /// Checks the last grain: a truncation removes what is last in the file, and the tables
    /// that are last point there.
    fn last_grain(&self, view: &ByteView, mut tables: Vec<u64>) -> ImageResult<()> {
        tables.sort_unstable();
        let budget = TABLE_BUDGET / (self.table_entries * 4);
        let mut last = 0;
        for (table, _) in tables.into_iter().rev().zip(0..budget) {
            view.for_each_entry(table, self.table_entries, 4, |_, entry| {
                last = last.max(u64::from(entry.le32(0)) * SECTOR);
                Ok(())
            })?;
        }
        // 0 is no grain, sector 1 a grain of zeros ("Grain Tables").
        if last <= SECTOR {
            return Ok(());
        }
        let grain = Structure("VMDK", "a grain of its data");
        view.require_len(grain, last.saturating_add(SECTOR))?;
        if !self.is_stream() {
            return Ok(());
        }
        match view.read(last, 12)? {
            Some(marker) => {
                let len = u64::from(Fields(&marker).le32(8));
                view.require_len(grain, last + 12 + len)
            }
            None => Ok(()),
        }
    }
}

/// "The Disk Descriptor File": lines of `key=value`, in a separate file or embedded.
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

    /// Returns a description of a descriptor in a separate file: "only a descriptor, ...".
    fn extent_file(&self) -> String {
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

    fn check_self_contained(&self) -> ImageResult<()> {
        if !self.parent {
            return Ok(());
        }
        Err(ImageError::unusable(
            "the VMDK is a snapshot, it holds only what changed since its parent disk",
            Fix::custom(
                "delete the snapshots of the virtual machine, or export it, so that one whole disk remains",
            ),
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(in crate::image) mod tests;
