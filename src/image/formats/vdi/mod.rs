//! VDI, VirtualBox's own format, after QEMU's block/vdi.c and VirtualBox's
//! VDICore.h. Integers are little-endian.

mod blocks;

use super::super::byte_view::{ByteView, Fields, Structure, is_zero};
use super::super::content::Content;
use super::super::error::{Fix, ImageError, ImageResult};
use super::super::found::{Detection, at_most};

pub(in crate::image) use blocks::layout;

/// VDI_IMAGE_SIGNATURE, after 64 bytes of text.
const SIGNATURE: u32 = 0xbeda_107f;
const HEADER: u64 = 512;
const SECTOR: u64 = 512;
/// QEMU vdi.c, VDI_BLOCKS_IN_IMAGE_MAX: there the table fits into 2 GiB; here 64 TiB in blocks
/// of 1 MiB are enough.
const MAX_BLOCKS: u64 = 64 << 20;
const MAX_BLOCK: u64 = 1 << 30;
/// Entries at and above these mean "not allocated" and "discarded", both zeros.
const DISCARDED: u32 = 0xffff_fffe;

pub(in crate::image) fn has_magic(head: &[u8]) -> bool {
    Fields(head).le32(64) == SIGNATURE
}

pub(in crate::image) fn parse(view: &ByteView) -> ImageResult<Detection> {
    let header = view.require(Structure("VDI", "its header"), 0, HEADER)?;
    let Some(header) = header else {
        return Ok(Detection::opaque(Content::Vdi));
    };
    let fields = Fields(&header);
    let version = fields.le32(68);
    if version >> 16 != 1 {
        return Err(ImageError::unusable(
            format!("the VDI is of version {}, only 1 is known", version >> 16),
            Fix::Convert("vdi"),
        ));
    }
    check_self_contained(fields)?;
    let map = BlockMap::read(fields)?;
    map.check(view)?;
    Ok(Detection::disk(Content::Vdi, disk_size(fields)))
}

fn disk_size(fields: Fields) -> u64 {
    fields.le64(368)
}

/// Rejects types 3 (undo) and 4 (differencing), and images that are linked to another one.
fn check_self_contained(fields: Fields) -> ImageResult<()> {
    let linked = !is_zero(fields.bytes(424, 32));
    if matches!(fields.le32(76), 1 | 2) && !linked {
        return Ok(());
    }
    Err(ImageError::unusable(
        "the VDI is a differencing disk, it holds only what changed since its parent",
        Fix::custom("make a whole disk of it first: VBoxManage clonemedium disk OLD.vdi NEW.vdi"),
    ))
}

#[derive(Debug)]
struct BlockMap {
    at: u64,
    data: u64,
    blocks: u64,
    block: u64,
    /// Bytes of a block in the file: the data and what its creator put before it.
    stride: u64,
    extra: u64,
    /// Type 2: every block was allocated at creation.
    fixed: bool,
}

impl BlockMap {
    fn read(fields: Fields) -> ImageResult<Self> {
        let block = fields.le32(376).into();
        let block = at_most(Structure("VDI", "a block"), "bytes", block, MAX_BLOCK)?;
        let blocks = at_most(
            Structure("VDI", "its block table"),
            "entries",
            fields.le32(384).into(),
            MAX_BLOCKS,
        )?;
        let before = Structure("VDI", "what lies before a block");
        let extra = at_most(before, "bytes", fields.le32(380).into(), MAX_BLOCK)?;
        if block < SECTOR {
            let how = format_args!("it claims blocks of {block} bytes");
            return Err(ImageError::damaged("VDI", how));
        }
        if blocks.saturating_mul(block) < disk_size(fields) {
            return Err(ImageError::damaged(
                "VDI",
                format_args!("{blocks} blocks of {block} bytes do not make its disk"),
            ));
        }
        Ok(Self {
            at: fields.le32(340).into(),
            data: fields.le32(344).into(),
            blocks,
            block,
            stride: block + extra,
            extra,
            fixed: fields.le32(76) == 2,
        })
    }

    /// Checks that every block is in the file.
    fn check(&self, view: &ByteView) -> ImageResult<()> {
        view.require_len(
            Structure("VDI", "its block table"),
            self.at + self.blocks * 4,
        )?;
        view.for_each_entry(self.at, self.blocks, 4, |_, entry| {
            let location = entry.le32(0);
            if location >= DISCARDED {
                return Ok(());
            }
            let start = self.data + u64::from(location) * self.stride;
            view.require_len(Structure("VDI", "a block of its data"), start + self.stride)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::test_support::{
        convert, copy_again, disk, fuzz_fields, open, patched, refusal, refusal_text,
    };

    const MIB: u32 = 1 << 20;

    /// Returns a disk of 2 MiB in two blocks, of which the first is stored, with data at 1024.
    fn vdi() -> Vec<u8> {
        let head = patched(
            &[0; 1024],
            &[
                (0, b"<<< Oracle VM VirtualBox Disk Image >>>\n"),
                (64, &SIGNATURE.to_le_bytes()),
                (68, &[1, 0, 1, 0]),
                (76, &[1]),
                (340, &512_u32.to_le_bytes()),
                (344, &1024_u32.to_le_bytes()),
                (368, &u64::from(2 * MIB).to_le_bytes()),
                (376, &MIB.to_le_bytes()),
                (384, &[2]),
                (512, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
            ],
        );
        [head, vec![0; MIB as usize]].concat()
    }

    fn refused(changes: &[(usize, &[u8])]) -> String {
        refusal(&patched(&vdi(), changes))
    }

    #[test]
    fn a_vdi_is_recognized_without_an_import_format() {
        let image = open(&vdi()).unwrap();
        assert_eq!((image.format, image.virtual_size), (None, Some(2 << 20)));
        assert_eq!(image.describe(), "VDI, 2.0 MiB disk");
    }

    #[test]
    fn the_disk_inside_is_read_where_its_blocks_lie() {
        const M: usize = MIB as usize;
        // Each block with 512 bytes of its creator's in front, the second one first.
        let blocks = [vec![9; 512], vec![1; M], vec![9; 512], vec![2; M]].concat();
        let head = patched(
            &vdi()[..1024],
            &[(381, &[2]), (512, &[1, 0, 0, 0, 0, 0, 0, 0])],
        );
        let vdi = [head, blocks].concat();
        let bytes = [vec![2; M], vec![1; M]].concat();
        assert_eq!(disk(&vdi), (bytes, vec![(0, 2 << 20)]));
        let none = patched(&vdi, &[(512, &[0xfe, 0xff, 0xff, 0xff])]);
        assert_eq!(disk(&none).1, [(1 << 20, 2 << 20)]);
    }

    #[test]
    fn another_version_is_refused() {
        assert_eq!(
            refused(&[(70, &[7])]),
            convert("vdi", "the VDI is of version 7, only 1 is known")
        );
    }

    #[test]
    fn a_differencing_vdi_is_refused() {
        let message = refusal_text(
            "the VDI is a differencing disk, it holds only what changed since its parent",
            "make a whole disk of it first: VBoxManage clonemedium disk OLD.vdi NEW.vdi",
        );
        assert_eq!(refused(&[(76, &[4])]), message);
        assert_eq!(refused(&[(440, &[1])]), message);
    }

    #[test]
    fn tables_and_blocks_that_cannot_be_are_refused() {
        assert_eq!(
            refused(&[(376, &[0xff; 4])]),
            copy_again(
                "the VDI is damaged: a block would have 4294967295 bytes, at most 1073741824 are possible"
            )
        );
        assert_eq!(
            refused(&[(384, &[0xff; 4])]),
            copy_again(
                "the VDI is damaged: its block table would have 4294967295 entries, at most 67108864 are possible"
            )
        );
        assert_eq!(
            refused(&[(380, &[0xff; 4]), (512, &[0xfd, 0xff, 0xff, 0xff])]),
            copy_again(
                "the VDI is damaged: what lies before a block would have 4294967295 bytes, at most 1073741824 are possible"
            )
        );
        assert_eq!(
            refused(&[(376, &[0; 4])]),
            copy_again("the VDI is damaged: it claims blocks of 0 bytes")
        );
        assert_eq!(
            refused(&[(384, &[1])]),
            copy_again("the VDI is damaged: 1 blocks of 1048576 bytes do not make its disk")
        );
    }

    #[test]
    fn a_vdi_with_blocks_beyond_the_end_is_rejected() {
        assert_eq!(
            refusal(&vdi()[..500]),
            copy_again(
                "the VDI is cut short: its header reaches to byte 512, but only 500 bytes are there"
            )
        );
        assert_eq!(
            refused(&[(340, &[0xff; 4])]),
            copy_again(
                "the VDI is cut short: its block table reaches to byte 4294967303, but only 1049600 bytes are there"
            )
        );
        assert_eq!(
            refused(&[(516, &[1, 0, 0, 0])]),
            copy_again(
                "the VDI is cut short: a block of its data reaches to byte 2098176, but only 1049600 bytes are there"
            )
        );
    }

    #[test]
    fn no_vdi_makes_it_panic() {
        fuzz_fields(&vdi()[..4096], 520);
        fuzz_fields(&vdi(), 520);
    }
}
