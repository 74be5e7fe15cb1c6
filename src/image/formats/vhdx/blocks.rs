//! Maps the blocks of a VHDX.

use std::io;

use super::{FULLY_PRESENT, MIB, Metadata, PARTIALLY_PRESENT};
use crate::image::byte_view::{ByteView, Fields, Structure, invalid_data};
use crate::image::error::ImageResult;
use crate::image::layout::{DiskFile, Extent, Layout, MappedUnit, MappingTable};

/// Returns the size of the disk, and its layout.
pub(in crate::image) fn layout(view: &ByteView) -> ImageResult<(u64, Box<dyn Layout>)> {
    let start = view.require(Structure("VHDX", "its header section"), 0, MIB)?;
    let (disk, bat) = Metadata::locate(view, Fields(&start.unwrap_or_default()))?;
    let table = MappingTable {
        at: bat.at,
        entries: disk.entries(),
        width: 8,
    };
    Ok((disk.size, Box::new(BlockTable { disk, table })))
}

#[derive(Debug)]
struct BlockTable {
    disk: Metadata,
    table: MappingTable,
}

impl Layout for BlockTable {
    fn extent(&self, file: &DiskFile, at: u64) -> io::Result<Extent> {
        let index = at / self.disk.block;
        let (ratio, chunk) = (self.disk.ratio(), index / self.disk.ratio());
        // Contiguous blocks end before the entry of a sector bitmap.
        let table = MappingTable {
            entries: self.table.entries.min((chunk + 1) * (ratio + 1) - 1),
            ..self.table
        };
        file.units((table, index + chunk), (self.disk.block, at), |entry| {
            let entry = entry.le64(0);
            match entry & 7 {
                FULLY_PRESENT => Ok(MappedUnit::At(entry & !(MIB - 1))),
                PARTIALLY_PRESENT => Err(invalid_data("a block lies in a parent it does not have")),
                // Not present, undefined, zero, unmapped.
                _ => Ok(MappedUnit::Zeros),
            }
        })
    }

    fn is_fully_allocated(&self) -> bool {
        self.disk.fixed
    }
}
