//! Maps the grains of a sparse VMDK.

use std::io;

use super::{Header, SECTOR};
use crate::image::byte_view::ByteView;
use crate::image::decompress::Codec;
use crate::image::error::{Fix, ImageError, ImageResult};
use crate::image::layout::{
    CompressedUnit, DiskFile, Extent, ExtentData, Layout, MappedUnit, MappingTable,
};

/// The largest compressed grain, which is decompressed in memory; every known writer uses 64
/// KiB.
const MAX_PACKED_GRAIN: u64 = 8 << 20;

/// Returns the size of the disk, and its layout.
pub(in crate::image) fn layout(view: &ByteView) -> ImageResult<(u64, Box<dyn Layout>)> {
    let header = Header::read(view, 0)?.with_grain_directory(view)?;
    let size = header.capacity.saturating_mul(SECTOR);
    let grain = header.grain * SECTOR;
    if header.is_stream() && grain > MAX_PACKED_GRAIN {
        let cause =
            format!("the VMDK packs {grain} bytes together, which is too much to look into");
        return Err(ImageError::unusable(cause, Fix::Convert("vmdk")));
    }
    Ok((size, Box::new(header)))
}

impl Layout for Header {
    fn extent(&self, file: &DiskFile, at: u64) -> io::Result<Extent> {
        let grain = self.grain * SECTOR;
        let span = grain * self.table_entries;
        let directory = MappingTable {
            at: self.directory.saturating_mul(SECTOR),
            entries: self.tables(),
            width: 4,
        };
        let table = file.entry(directory, at / span, |entry| entry.le32(0))?;
        if table == 0 {
            let end = (at / span + 1) * span;
            return Ok(Extent {
                end,
                data: ExtentData::Zeros,
            });
        }
        let table = MappingTable {
            at: u64::from(table) * SECTOR,
            entries: self.table_entries,
            width: 4,
        };
        let entry = (table, at % span / grain);
        file.units(entry, (grain, at), |entry| {
            Ok(match u64::from(entry.le32(0)) * SECTOR {
                // 1 is a grain of zeros ("Grain Tables").
                0 | SECTOR => MappedUnit::Zeros,
                at if self.is_stream() => MappedUnit::Compressed(CompressedUnit {
                    codec: Codec::Zlib,
                    at,
                    len: None,
                }),
                at => MappedUnit::At(at),
            })
        })
    }
}
