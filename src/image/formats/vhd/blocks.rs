//! Where the blocks of a VHD lie. The bitmaps in front of them matter to differencing
//! disks alone: QEMU and Hyper-V leave them unread in a dynamic one.

use std::io;

use super::{Footer, Map, SECTOR, UNALLOCATED, no_footer};
use crate::image::byte_view::Window;
use crate::image::error::Sight;
use crate::image::layout::{Extent, Layout, Plain, Source, Table, Unit};

/// The size of the disk, and where its parts lie.
pub(in crate::image) fn layout(window: &Window) -> Sight<(u64, Box<dyn Layout>)> {
    let footer = Footer::read(window)?;
    let size = footer.virtual_size();
    if footer.kind() == 2 {
        return Ok((size, Box::new(Plain)));
    }
    let map = Map::find(window, &footer)?.ok_or_else(no_footer)?;
    Ok((size, Box::new(map)))
}

impl Layout for Map {
    fn extent(&self, file: &Source, at: u64) -> io::Result<Extent> {
        let table = Table {
            at: self.at,
            entries: self.entries,
            width: 4,
        };
        let entry = (table, at / self.block);
        file.units(entry, (self.block, at), |entry| {
            Ok(match entry.be32(0) {
                UNALLOCATED => Unit::Zeros,
                sector => Unit::At(u64::from(sector) * SECTOR + self.bitmap()),
            })
        })
    }
}
