//! Maps the blocks of a VDI.

use std::io;

use super::{BlockMap, DISCARDED, HEADER, disk_size};
use crate::image::byte_view::{ByteView, Fields, Structure};
use crate::image::error::ImageResult;
use crate::image::layout::{DiskFile, Extent, Layout, MappedUnit, MappingTable};

/// Returns the size of the disk, and its layout.
pub(in crate::image) fn layout(view: &ByteView) -> ImageResult<(u64, Box<dyn Layout>)> {
    let header = view.require(Structure("VDI", "its header"), 0, HEADER)?;
    let header = header.unwrap_or_default();
    let map = BlockMap::read(Fields(&header))?;
    Ok((disk_size(Fields(&header)), Box::new(map)))
}

impl Layout for BlockMap {
    fn extent(&self, file: &DiskFile, at: u64) -> io::Result<Extent> {
        let table = MappingTable {
            at: self.at,
            entries: self.blocks,
            width: 4,
        };
        let entry = (table, at / self.block);
        file.units(entry, (self.block, at), |entry| {
            Ok(match entry.le32(0) {
                DISCARDED.. => MappedUnit::Zeros,
                block => MappedUnit::At(self.data + u64::from(block) * self.stride + self.extra),
            })
        })
    }

    fn is_fully_allocated(&self) -> bool {
        self.fixed
    }
}
