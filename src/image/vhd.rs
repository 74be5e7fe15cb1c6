//! VHD, "Virtual Hard Disk Image Format Specification" 1.0 of Microsoft, 2006.
//! A fixed VHD is a raw disk with a footer behind it, so only its last sector
//! tells; a dynamic one begins with a copy of that footer. Integers are big-endian.

mod blocks;

use super::content::{Content, VhdKind};
use super::probe::{Found, GUEST_HEAD, Start, at_most};
use super::refusal::{Remedy, Sight, Trouble};
use super::window::{Fields, Structure, Window};

pub(super) use blocks::layout;

const COOKIE: &[u8] = b"conectix";
const FOOTER: u64 = 512;
/// "Hard Disk Footer Format": created before Virtual PC 2004, one byte is missing.
const OLD_FOOTER: u64 = 511;
/// "Dynamic Disk Header Format".
const HEADER: u64 = 1024;
const SECTOR: u64 = 512;
/// QEMU vpc.c, VHD_MAX_SECTORS: 2040 GiB; with the smallest usual block, 512 KiB,
/// its table has 4 Mi entries. A table ten times as large is no table.
const MAX_ENTRIES: u64 = 40 << 20;
const UNALLOCATED: u32 = u32::MAX;

/// The fields of a footer that matter here.
struct Footer {
    /// 512 bytes, with the missing byte of the old form as zero.
    bytes: Vec<u8>,
    /// Its length in the file.
    len: u64,
}

impl Footer {
    fn read(window: &Window) -> Sight<Self> {
        let footer = match trailer(window)? {
            Some(footer) => footer,
            None if window.len().is_none() => first(window)?,
            None => return Err(no_footer()),
        };
        if is_sound(footer.fields(), 64) {
            return Ok(footer);
        }
        Err(Trouble::damaged(
            "VHD",
            "the checksum of its footer is wrong",
        ))
    }

    /// "Disk Type".
    fn kind(&self) -> u32 {
        self.fields().be32(60)
    }

    fn fields(&self) -> Fields<'_> {
        Fields(&self.bytes)
    }

    /// "Current Size": what the creator shows to the guest. QEMU takes the geometry
    /// instead for some creators, the clouds are not known to.
    fn virtual_size(&self) -> u64 {
        self.fields().be64(48)
    }
}

pub(super) fn is_here(window: &Window, head: &[u8]) -> Sight<bool> {
    Ok(head.starts_with(COOKIE) || trailer(window)?.is_some())
}

pub(super) fn look(window: &Window) -> Sight<Found> {
    let footer = Footer::read(window)?;
    match footer.kind() {
        2 => fixed(window, &footer),
        3 => dynamic(window, &footer),
        4 => Err(Trouble::unfit(
            "the VHD is a differencing disk, it holds only what changed since its parent",
            Remedy::say("merge it into its parent first, in Hyper-V Manager or with Merge-VHD"),
        )),
        other => Err(Trouble::damaged(
            "VHD",
            format_args!("it claims to be of disk type {other}, which does not exist"),
        )),
    }
}

/// The footer at the end of the file.
fn trailer(window: &Window) -> Sight<Option<Footer>> {
    for len in [FOOTER, OLD_FOOTER] {
        let at = window.len().and_then(|end| end.checked_sub(len));
        let Some(at) = at else { continue };
        let bytes = window.get(at, len)?;
        if let Some(mut bytes) = bytes.filter(|bytes| bytes.starts_with(COOKIE)) {
            bytes.resize(512, 0);
            return Ok(Some(Footer { bytes, len }));
        }
    }
    Ok(None)
}

/// The copy at the start, all that a pipe shows.
fn first(window: &Window) -> Sight<Footer> {
    let mut bytes = window.up_to(0, FOOTER)?;
    bytes.resize(512, 0);
    Ok(Footer { bytes, len: FOOTER })
}

fn no_footer() -> Trouble {
    Trouble::unfit(
        "the VHD is cut short: the footer that belongs at its end is missing",
        Remedy::CopyAgain,
    )
}

fn fixed(window: &Window, footer: &Footer) -> Sight<Found> {
    let virtual_size = footer.virtual_size();
    let there = window.len().map(|len| len - footer.len);
    if let Some(there) = there.filter(|&there| there != virtual_size) {
        return Err(Trouble::damaged(
            "VHD",
            format_args!(
                "its footer promises a disk of {virtual_size} bytes, before the footer are {there}"
            ),
        ));
    }
    let content = Content::Vhd {
        kind: VhdKind::Fixed,
        table_size: None,
    };
    let head = window.up_to(0, GUEST_HEAD.min(virtual_size))?;
    Found::disk(content, virtual_size, Some(&head))
}

fn dynamic(window: &Window, footer: &Footer) -> Sight<Found> {
    same_twice(window, footer)?;
    let Some(map) = Map::find(window, footer)? else {
        return dynamic_disk(footer, None, None);
    };
    let first = map.check(window, footer)?;
    let table_size = map.entries.saturating_mul(map.block);
    let head = first.head(window, map.block)?;
    dynamic_disk(footer, Some(table_size), head.as_deref())
}

fn dynamic_disk(footer: &Footer, table_size: Option<u64>, head: Option<&[u8]>) -> Sight<Found> {
    let content = Content::Vhd {
        kind: VhdKind::Dynamic,
        table_size,
    };
    Found::disk(content, footer.virtual_size(), head)
}

/// "Hard Disk Footer Format": the copy at the start repeats the footer.
fn same_twice(window: &Window, footer: &Footer) -> Sight<()> {
    let copy = window.up_to(0, footer.len)?;
    if copy == footer.bytes[..copy.len()] {
        return Ok(());
    }
    Err(Trouble::damaged(
        "VHD",
        "the copy of its footer at the start is not identical to the footer at the end",
    ))
}

/// The block allocation table (BAT).
#[derive(Debug)]
struct Map {
    at: u64,
    entries: u64,
    block: u64,
}

impl Map {
    /// None where a pipe does not show the header yet.
    fn find(window: &Window, footer: &Footer) -> Sight<Option<Self>> {
        let at = footer.fields().be64(16);
        let header = window.need(Structure("VHD", "its header"), at, HEADER)?;
        let map = |header: Vec<u8>| Self::read(Fields(&header), footer);
        header.map(map).transpose()
    }

    fn read(header: Fields, footer: &Footer) -> Sight<Self> {
        if header.bytes(0, 8) != b"cxsparse" || !is_sound(header, 36) {
            return Err(Trouble::damaged(
                "VHD",
                "the checksum of its dynamic disk header is wrong",
            ));
        }
        let map = Self {
            at: header.be64(16),
            entries: at_most(
                Structure("VHD", "its block table"),
                "entries",
                header.be32(28).into(),
                MAX_ENTRIES,
            )?,
            block: header.be32(32).into(),
        };
        if !map.block.is_power_of_two() || map.block < SECTOR {
            return Err(Trouble::damaged(
                "VHD",
                format_args!("it claims blocks of {} bytes", map.block),
            ));
        }
        let blocks = footer.virtual_size().div_ceil(map.block);
        if map.entries < blocks {
            return Err(Trouble::damaged(
                "VHD",
                format_args!(
                    "its block table has {} entries, the disk {blocks} blocks",
                    map.entries
                ),
            ));
        }
        Ok(map)
    }

    /// Bytes of the bitmap before the data of a block.
    fn bitmap(&self) -> u64 {
        (self.block / SECTOR).div_ceil(8).next_multiple_of(SECTOR)
    }

    /// Every block must lie before the footer. Gives the place of the first one's data.
    fn check(&self, window: &Window, footer: &Footer) -> Sight<Start> {
        let table = Structure("VHD", "its block table");
        window.holds(table, self.at.saturating_add(self.entries * 4))?;
        let bitmap = self.bitmap();
        let mut first = Start::Unseen;
        window.walk(self.at, self.entries, 4, |index, entry| {
            let sector = entry.be32(0);
            if index == 0 {
                first = Start::Blank;
            }
            if sector == UNALLOCATED {
                return Ok(());
            }
            let data = u64::from(sector) * SECTOR + bitmap;
            let block = Structure("VHD", "a block of its data");
            window.holds(block, data + self.block + footer.len)?;
            if index == 0 {
                first = Start::At(data);
            }
            Ok(())
        })?;
        Ok(first)
    }
}

/// "Checksum": the ones' complement of the sum of all bytes but its own four.
fn is_sound(fields: Fields, at: usize) -> bool {
    checksum(fields.0, at) == fields.be32(at)
}

fn checksum(bytes: &[u8], at: usize) -> u32 {
    let own = at..at + 4;
    let others = bytes.iter().enumerate().filter(|(i, _)| !own.contains(i));
    !others.fold(0, |sum: u32, (_, &byte)| sum.wrapping_add(byte.into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::image::manifest::hex;
    use crate::image::stage::{
        because, bend, bend_and_seal, copy_again, disk, open, refusal, with,
    };

    /// A footer as qemu-img writes it with `force_size`, for a disk of this type.
    fn footer(size: u64, geometry: [u8; 4], kind: u8) -> Vec<u8> {
        let data = if kind == 2 {
            [0xff; 8]
        } else {
            512_u64.to_be_bytes()
        };
        let uuid: Vec<u8> = (0..16).collect();
        sealed(
            &with(
                &[0; 512],
                &[
                    (0, COOKIE),
                    (8, &[0, 0, 0, 2, 0, 1, 0, 0]),
                    (16, &data),
                    (28, b"qem2"),
                    (32, &[0, 5, 0, 3]),
                    (36, b"Wi2k"),
                    (40, &size.to_be_bytes()),
                    (48, &size.to_be_bytes()),
                    (56, &geometry),
                    (63, &[kind]),
                    (68, &uuid),
                ],
            ),
            64,
        )
    }

    /// With its checksum at this place.
    fn sealed(bytes: &[u8], at: usize) -> Vec<u8> {
        with(bytes, &[(at, &checksum(bytes, at).to_be_bytes())])
    }

    pub(in crate::image) fn fixed_vhd(disk: &[u8]) -> Vec<u8> {
        [disk, &footer(disk.len() as u64, [0, 0, 0, 0], 2)].concat()
    }

    fn header(entries: u32, block: u32) -> Vec<u8> {
        sealed(
            &with(
                &[0; 1024],
                &[
                    (0, b"cxsparse"),
                    (8, &[0xff; 8]),
                    (16, &1536_u64.to_be_bytes()),
                    (24, &[0, 1, 0, 0]),
                    (28, &entries.to_be_bytes()),
                    (32, &block.to_be_bytes()),
                ],
            ),
            36,
        )
    }

    /// A disk of 8 KiB in two blocks, of which the first is there: footer, header,
    /// table at 1536, bitmap at 2048, data at 2560, footer at 6656.
    fn dynamic_with(footer: &[u8], header: &[u8]) -> Vec<u8> {
        let mut table = vec![0xff; 512];
        table[..4].copy_from_slice(&4_u32.to_be_bytes());
        let mut data = vec![0xff; 512 + 4096];
        data[512..1024].fill(0);
        [footer, header, &table, &data, footer].concat()
    }

    fn dynamic_vhd() -> Vec<u8> {
        dynamic_with(&footer(8192, [0; 4], 3), &header(2, 4096))
    }

    #[test]
    fn the_footer_of_the_fact_sheet_is_made_and_understood() {
        let bytes = footer(16 << 20, [0x01, 0xe1, 0x04, 0x11], 2);
        assert_eq!(checksum(&bytes, 64), 0xffff_f05a);
        let digest = hex(&Sha256::digest(&bytes));
        assert_eq!(
            digest,
            "6f910816dfc4b111b38cee1588f84cc300738726a98de621255283012eddafc3"
        );
        let large = footer(10 << 30, [0x51, 0x45, 0x10, 0x3f], 2);
        assert_eq!(checksum(&large, 64), 0xffff_ef6a);
    }

    #[test]
    fn a_fixed_vhd_is_known_by_its_last_sector_alone() {
        let image = open(&fixed_vhd(&[0; 4096])).unwrap();
        assert_eq!(image.describe(), "fixed VHD, 4.0 KiB disk");
        assert_eq!((image.size, image.virtual_size), (Some(4608), Some(4096)));
    }

    #[test]
    fn a_footer_of_before_2004_lacks_a_byte() {
        let vhd = fixed_vhd(&[0; 4096]);
        assert_eq!(open(&vhd[..4607]).unwrap().label(), "a fixed VHD");
    }

    #[test]
    fn a_dynamic_vhd_tells_its_table_and_the_disk_inside() {
        let image = open(&dynamic_vhd()).unwrap();
        let content = Content::Vhd {
            kind: VhdKind::Dynamic,
            table_size: Some(8192),
        };
        assert_eq!((image.content, image.virtual_size), (content, Some(8192)));
        assert_eq!(image.boot.bios, Some(false));
    }

    #[test]
    fn the_disk_inside_is_read_where_its_blocks_lie() {
        let bytes = with(&[0; 8192], &[(512, &[0xff; 4096 - 512])]);
        assert_eq!(disk(&dynamic_vhd()), (bytes, vec![(0, 4096)]));
        let fixed = with(&[0; 4096], &[(4095, &[1])]);
        assert_eq!(disk(&fixed_vhd(&fixed)), (fixed, vec![(0, 4096)]));
    }

    #[test]
    fn a_pipe_shows_the_copy_of_the_footer() {
        let image = crate::image::Image::from_head(&dynamic_vhd()[..600], None).unwrap();
        assert_eq!(image.describe(), "dynamic VHD, 8.0 KiB disk");
    }

    #[test]
    fn a_wrong_checksum_of_the_footer_is_refused() {
        let vhd = with(&fixed_vhd(&[0; 4096]), &[(4096 + 100, &[1])]);
        assert_eq!(
            refusal(&vhd),
            copy_again("the VHD is damaged: the checksum of its footer is wrong")
        );
    }

    #[test]
    fn a_fixed_vhd_of_another_size_is_refused() {
        let vhd = [vec![0; 512], fixed_vhd(&[0; 4096])].concat();
        assert_eq!(
            refusal(&vhd),
            copy_again(
                "the VHD is damaged: its footer promises a disk of 4096 bytes, before the footer are 4608"
            )
        );
    }

    #[test]
    fn a_differencing_vhd_is_refused() {
        let vhd = dynamic_with(&footer(8192, [0; 4], 4), &header(2, 4096));
        assert_eq!(
            refusal(&vhd),
            because(
                "the VHD is a differencing disk, it holds only what changed since its parent",
                "merge it into its parent first, in Hyper-V Manager or with Merge-VHD"
            )
        );
    }

    #[test]
    fn an_unknown_type_is_refused() {
        let vhd = dynamic_with(&footer(8192, [0; 4], 9), &header(2, 4096));
        assert_eq!(
            refusal(&vhd),
            copy_again("the VHD is damaged: it claims to be of disk type 9, which does not exist")
        );
    }

    #[test]
    fn a_dynamic_vhd_without_its_footer_is_refused() {
        assert_eq!(
            refusal(&dynamic_vhd()[..6000]),
            copy_again("the VHD is cut short: the footer that belongs at its end is missing")
        );
    }

    #[test]
    fn footers_that_are_not_identical_are_refused() {
        let vhd = with(&dynamic_vhd(), &[(90, &[1])]);
        assert_eq!(
            refusal(&vhd),
            copy_again(
                "the VHD is damaged: the copy of its footer at the start is not identical to the footer at the end"
            )
        );
    }

    #[test]
    fn a_wrong_checksum_of_the_header_is_refused() {
        let vhd = with(&dynamic_vhd(), &[(512 + 64, &[1])]);
        assert_eq!(
            refusal(&vhd),
            copy_again("the VHD is damaged: the checksum of its dynamic disk header is wrong")
        );
    }

    #[test]
    fn tables_and_blocks_that_cannot_be_are_refused() {
        let refused = |entries, block| {
            refusal(&dynamic_with(
                &footer(8192, [0; 4], 3),
                &header(entries, block),
            ))
        };
        assert_eq!(
            refused(2, 4097),
            copy_again("the VHD is damaged: it claims blocks of 4097 bytes")
        );
        assert_eq!(
            refused(1, 4096),
            copy_again("the VHD is damaged: its block table has 1 entries, the disk 2 blocks")
        );
        assert_eq!(
            refused(u32::MAX, 4096),
            copy_again(
                "the VHD is damaged: its block table would have 4294967295 entries, at most 41943040 are possible"
            )
        );
    }

    #[test]
    fn what_lies_beyond_the_end_is_refused() {
        let refused = |at: u64, entries| {
            let footer = sealed(
                &with(&footer(8192, [0; 4], 3), &[(16, &at.to_be_bytes())]),
                64,
            );
            refusal(&dynamic_with(&footer, &header(entries, 4096)))
        };
        assert_eq!(
            refused(9999, 2),
            copy_again(
                "the VHD is cut short: its header reaches to byte 11023, but only 7168 bytes are there"
            )
        );
        assert_eq!(
            refused(512, 2000),
            copy_again(
                "the VHD is cut short: its block table reaches to byte 9536, but only 7168 bytes are there"
            )
        );
        let vhd = with(&dynamic_vhd(), &[(1536, &5_u32.to_be_bytes())]);
        assert_eq!(
            refusal(&vhd),
            copy_again(
                "the VHD is cut short: a block of its data reaches to byte 7680, but only 7168 bytes are there"
            )
        );
    }

    #[test]
    fn no_vhd_makes_it_panic() {
        bend(&dynamic_vhd(), 1600);
        bend(&fixed_vhd(&[0; 512]), 1024);
        bend_and_seal(&dynamic_vhd(), &[0..100, 512..600, 1536..1544], |vhd| {
            let footer = sealed(&vhd[..512], 64);
            let header = sealed(&vhd[512..1536], 36);
            let end = vhd.len() - 512;
            vhd[..512].copy_from_slice(&footer);
            vhd[512..1536].copy_from_slice(&header);
            vhd[end..].copy_from_slice(&footer);
        });
    }
}
