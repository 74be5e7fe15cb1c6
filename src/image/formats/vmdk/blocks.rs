//! Where the grains of a sparse VMDK lie.

use std::io;

use super::{Header, SECTOR};
use crate::image::byte_view::Window;
use crate::image::decompress::Codec;
use crate::image::error::{Remedy, Sight, Trouble};
use crate::image::layout::{Extent, Layout, Packed, Place, Source, Table, Unit};

/// Every writer known packs grains of 64 KiB; one is unpacked in memory.
const MAX_PACKED_GRAIN: u64 = 8 << 20;

/// The size of the disk, and where its parts lie.
pub(in crate::image) fn layout(window: &Window) -> Sight<(u64, Box<dyn Layout>)> {
    let header = Header::read(window, 0)?.located(window)?;
    let size = header.capacity.saturating_mul(SECTOR);
    let grain = header.grain * SECTOR;
    if header.is_stream() && grain > MAX_PACKED_GRAIN {
        let cause =
            format!("the VMDK packs {grain} bytes together, which is too much to look into");
        return Err(Trouble::unfit(cause, Remedy::Convert("vmdk")));
    }
    Ok((size, Box::new(header)))
}

impl Layout for Header {
    fn extent(&self, file: &Source, at: u64) -> io::Result<Extent> {
        let grain = self.grain * SECTOR;
        let span = grain * self.table_entries;
        let directory = Table {
            at: self.directory.saturating_mul(SECTOR),
            entries: self.tables(),
            width: 4,
        };
        let table = file.entry(directory, at / span, |entry| entry.le32(0))?;
        if table == 0 {
            let end = (at / span + 1) * span;
            return Ok(Extent {
                end,
                place: Place::Zeros,
            });
        }
        let table = Table {
            at: u64::from(table) * SECTOR,
            entries: self.table_entries,
            width: 4,
        };
        let entry = (table, at % span / grain);
        file.units(entry, (grain, at), |entry| {
            Ok(match u64::from(entry.le32(0)) * SECTOR {
                // 1 is a grain of zeros ("Grain Tables")
                0 | SECTOR => Unit::Zeros,
                at if self.is_stream() => Unit::Packed(Packed {
                    codec: Codec::Zlib,
                    at,
                    len: None,
                }),
                at => Unit::At(at),
            })
        })
    }
}
