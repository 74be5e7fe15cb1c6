//! Where the blocks of a VDI lie.

use std::io;

use super::{DISCARDED, HEADER, Map, disk_size};
use crate::image::byte_view::{Fields, Structure, Window};
use crate::image::error::Sight;
use crate::image::layout::{Extent, Layout, Source, Table, Unit};

/// The size of the disk, and where its parts lie.
pub(in crate::image) fn layout(window: &Window) -> Sight<(u64, Box<dyn Layout>)> {
    let header = window.need(Structure("VDI", "its header"), 0, HEADER)?;
    let header = header.unwrap_or_default();
    let map = Map::read(Fields(&header))?;
    Ok((disk_size(Fields(&header)), Box::new(map)))
}

impl Layout for Map {
    fn extent(&self, file: &Source, at: u64) -> io::Result<Extent> {
        let table = Table {
            at: self.at,
            entries: self.blocks,
            width: 4,
        };
        let entry = (table, at / self.block);
        file.units(entry, (self.block, at), |entry| {
            Ok(match entry.le32(0) {
                DISCARDED.. => Unit::Zeros,
                block => Unit::At(self.data + u64::from(block) * self.stride + self.extra),
            })
        })
    }

    fn in_full(&self) -> bool {
        self.fixed
    }
}
