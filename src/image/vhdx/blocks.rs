//! Where the blocks of a VHDX lie.

use std::io;

use super::{FULLY_PRESENT, MIB, Metadata, PARTIALLY_PRESENT};
use crate::image::layout::{Extent, Layout, Place, Source, Table, broken};
use crate::image::refusal::Sight;
use crate::image::window::{Fields, Structure, Window};

/// The size of the disk, and where its parts lie.
pub(in crate::image) fn layout(window: &Window) -> Sight<(u64, Box<dyn Layout>)> {
    let start = window.need(Structure("VHDX", "its header section"), 0, MIB)?;
    let (disk, bat) = Metadata::find(window, Fields(&start.unwrap_or_default()))?;
    let table = Table {
        at: bat.at,
        entries: disk.entries(),
        width: 8,
    };
    Ok((disk.size, Box::new(Blocks { disk, table })))
}

#[derive(Debug)]
struct Blocks {
    disk: Metadata,
    table: Table,
}

impl Layout for Blocks {
    fn extent(&self, file: &Source, at: u64) -> io::Result<Extent> {
        let (index, within) = (at / self.disk.block, at % self.disk.block);
        let index = index + index / self.disk.ratio();
        let entry = file.entry(self.table, index, |entry| entry.le64(0))?;
        let place = match entry & 7 {
            FULLY_PRESENT => Place::At((entry & !(MIB - 1)).saturating_add(within)),
            PARTIALLY_PRESENT => return Err(broken("a block lies in a parent it does not have")),
            // not present, undefined, zero, unmapped
            _ => Place::Zeros,
        };
        let end = at - within + self.disk.block;
        Ok(Extent { end, place })
    }

    fn in_full(&self) -> bool {
        self.disk.fixed
    }
}
