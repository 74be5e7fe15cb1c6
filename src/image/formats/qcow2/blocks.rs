//! Where the clusters of a qcow2 lie.

use std::io;

use super::{COMPRESSED, EXTENDED_L2, Header, OFFSET};
use crate::image::byte_view::Window;
use crate::image::error::{Remedy, Sight, Trouble};
use crate::image::layout::{Extent, Layout, Packed, Place, Source, Table, Unit};

/// Bit 0 of an L2 entry: reads as zeros, whatever was allocated.
const ZERO: u64 = 1;

/// The size of the disk, and where its parts lie.
pub(in crate::image) fn layout(window: &Window) -> Sight<(u64, Box<dyn Layout>)> {
    let header = Header::find(window)?;
    if header.features & EXTENDED_L2 != 0 {
        let cause = "the qcow2 has extended L2 entries, which can't be looked into";
        return Err(Trouble::unfit(cause, Remedy::Convert("qcow2")));
    }
    Ok((header.virtual_size, Box::new(header)))
}

impl Layout for Header {
    fn extent(&self, file: &Source, at: u64) -> io::Result<Extent> {
        let cluster = self.cluster();
        let span = cluster * self.l2_entries();
        let l1 = Table {
            at: self.l1,
            entries: self.l1_entries,
            width: 8,
        };
        let l2 = file.entry(l1, at / span, |entry| entry.be64(0) & OFFSET)?;
        if l2 == 0 {
            let end = (at / span + 1) * span;
            return Ok(Extent {
                end,
                place: Place::Zeros,
            });
        }
        let l2 = Table {
            at: l2,
            entries: self.l2_entries(),
            width: 8,
        };
        let entry = (l2, at % span / cluster);
        file.units(entry, (cluster, at), |entry| {
            let entry = entry.be64(0);
            Ok(match entry & OFFSET {
                _ if entry & COMPRESSED != 0 => Unit::Packed(self.packed(file, entry)),
                0 => Unit::Zeros,
                _ if entry & ZERO != 0 => Unit::Zeros,
                at => Unit::At(at),
            })
        })
    }
}

impl Header {
    /// The last sector of the data may be missing at the end of the file.
    fn packed(&self, file: &Source, entry: u64) -> Packed {
        let (at, sectors) = self.compressed(entry);
        let len = (sectors + 1) * 512 - (at & 511);
        Packed {
            codec: self.codec(),
            at,
            len: Some(len.min(file.len().saturating_sub(at))),
        }
    }
}
