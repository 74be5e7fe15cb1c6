//! Maps the blocks of a VHD. The bitmaps in front of them matter only to differencing disks:
//! QEMU and Hyper-V do not read them in a dynamic one.

use std::io;

use super::{BlockTable, Footer, SECTOR, UNALLOCATED, no_footer};
use crate::image::byte_view::ByteView;
use crate::image::error::ImageResult;
use crate::image::layout::{DiskFile, Extent, Layout, MappedUnit, MappingTable, RawLayout};

/// Returns the size of the disk, and its layout.
pub(in crate::image) fn layout(view: &ByteView) -> ImageResult<(u64, Box<dyn Layout>)> {
    let footer = Footer::read(view)?;
    let size = footer.virtual_size();
    if footer.kind() == 2 {
        return Ok((size, Box::new(RawLayout)));
    }
    let map = BlockTable::read(view, &footer)?.ok_or_else(no_footer)?;
    Ok((size, Box::new(map)))
}

impl Layout for BlockTable {
    fn extent(&self, file: &DiskFile, at: u64) -> io::Result<Extent> {
        let table = MappingTable {
            at: self.at,
            entries: self.entries,
            width: 4,
        };
        let entry = (table, at / self.block);
        file.units(entry, (self.block, at), |entry| {
            Ok(match entry.be32(0) {
                UNALLOCATED => MappedUnit::Zeros,
                sector => MappedUnit::At(u64::from(sector) * SECTOR + self.bitmap()),
            })
        })
    }
}
