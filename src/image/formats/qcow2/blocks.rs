//! Maps the clusters of a qcow2.

use std::io;

use super::{COMPRESSED, EXTENDED_L2, Header, OFFSET};
use crate::image::byte_view::ByteView;
use crate::image::error::{Fix, ImageError, ImageResult};
use crate::image::layout::{
    CompressedUnit, DiskFile, Extent, ExtentData, Layout, MappedUnit, MappingTable,
};

/// Bit 0 of an L2 entry: reads as zeros, even if it is allocated.
const ZERO: u64 = 1;

/// Returns the size of the disk, and its layout.
pub(in crate::image) fn layout(view: &ByteView) -> ImageResult<(u64, Box<dyn Layout>)> {
    let header = Header::read(view)?;
    if header.features & EXTENDED_L2 != 0 {
        let cause = "the qcow2 has extended L2 entries, which can't be looked into";
        return Err(ImageError::unusable(cause, Fix::Convert("qcow2")));
    }
    Ok((header.virtual_size, Box::new(header)))
}

impl Layout for Header {
    fn extent(&self, file: &DiskFile, at: u64) -> io::Result<Extent> {
        let cluster = self.cluster();
        let span = cluster * self.l2_entries();
        let l1 = MappingTable {
            at: self.l1,
            entries: self.l1_entries,
            width: 8,
        };
        let l2 = file.entry(l1, at / span, |entry| entry.be64(0) & OFFSET)?;
        if l2 == 0 {
            let end = (at / span + 1) * span;
            return Ok(Extent {
                end,
                data: ExtentData::Zeros,
            });
        }
        let l2 = MappingTable {
            at: l2,
            entries: self.l2_entries(),
            width: 8,
        };
        let entry = (l2, at % span / cluster);
        file.units(entry, (cluster, at), |entry| {
            let entry = entry.be64(0);
            Ok(match entry & OFFSET {
                _ if entry & COMPRESSED != 0 => MappedUnit::Compressed(self.packed(file, entry)),
                0 => MappedUnit::Zeros,
                _ if entry & ZERO != 0 => MappedUnit::Zeros,
                at => MappedUnit::At(at),
            })
        })
    }
}

impl Header {
    /// Returns the compressed unit of an entry. The last sector of the data may be missing at
    /// the end of the file.
    fn packed(&self, file: &DiskFile, entry: u64) -> CompressedUnit {
        let (at, sectors) = self.compressed(entry);
        let len = (sectors + 1) * 512 - (at & 511);
        CompressedUnit {
            codec: self.codec(),
            at,
            len: Some(len.min(file.len().saturating_sub(at))),
        }
    }
}
