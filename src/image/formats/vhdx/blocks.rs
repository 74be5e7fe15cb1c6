//! Where the blocks of a VHDX lie.

use std::io;

use super::{FULLY_PRESENT, MIB, Metadata, PARTIALLY_PRESENT};
use crate::image::byte_view::{Fields, Structure, Window, broken};
use crate::image::error::Sight;
use crate::image::layout::{Extent, Layout, Source, Table, Unit};

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
        let index = at / self.disk.block;
        let (ratio, chunk) = (self.disk.ratio(), index / self.disk.ratio());
        // what belongs together ends before the entry of a sector bitmap
        let table = Table {
            entries: self.table.entries.min((chunk + 1) * (ratio + 1) - 1),
            ..self.table
        };
        file.units((table, index + chunk), (self.disk.block, at), |entry| {
            let entry = entry.le64(0);
            match entry & 7 {
                FULLY_PRESENT => Ok(Unit::At(entry & !(MIB - 1))),
                PARTIALLY_PRESENT => Err(broken("a block lies in a parent it does not have")),
                // not present, undefined, zero, unmapped
                _ => Ok(Unit::Zeros),
            }
        })
    }

    fn in_full(&self) -> bool {
        self.disk.fixed
    }
}
