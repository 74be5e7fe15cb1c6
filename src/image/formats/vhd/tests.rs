use sha2::{Digest, Sha256};

use super::*;
use crate::image::test_support::{
    copy_again, disk, fuzz_checksummed, fuzz_fields, open, patched, refusal, refusal_text,
};

/// Returns a footer as qemu-img writes it with `force_size`, for a disk of this type.
fn footer(size: u64, geometry: [u8; 4], kind: u8) -> Vec<u8> {
    let data = if kind == 2 {
        [0xff; 8]
    } else {
        512_u64.to_be_bytes()
    };
    let uuid: Vec<u8> = (0..16).collect();
    with_checksum(
        &patched(
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

/// Returns the bytes with their checksum at this offset.
fn with_checksum(bytes: &[u8], at: usize) -> Vec<u8> {
    patched(bytes, &[(at, &checksum(bytes, at).to_be_bytes())])
}

pub(in crate::image) fn fixed_vhd(disk: &[u8]) -> Vec<u8> {
    [disk, &footer(disk.len() as u64, [0, 0, 0, 0], 2)].concat()
}

fn header(entries: u32, block: u32) -> Vec<u8> {
    with_checksum(
        &patched(
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

/// Returns a disk of 8 KiB in two blocks, of which the first is stored: footer, header, table
/// at 1536, bitmap at 2048, data at 2560, footer at 6656.
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
fn the_footer_example_of_the_specification_is_parsed() {
    let bytes = footer(16 << 20, [0x01, 0xe1, 0x04, 0x11], 2);
    assert_eq!(checksum(&bytes, 64), 0xffff_f05a);
    let digest = hex::encode(Sha256::digest(&bytes));
    assert_eq!(
        digest,
        "6f910816dfc4b111b38cee1588f84cc300738726a98de621255283012eddafc3"
    );
    let large = footer(10 << 30, [0x51, 0x45, 0x10, 0x3f], 2);
    assert_eq!(checksum(&large, 64), 0xffff_ef6a);
}

#[test]
fn a_fixed_vhd_is_recognized_only_by_its_last_sector() {
    let image = open(&fixed_vhd(&[0; 4096])).unwrap();
    assert_eq!(image.describe(), "fixed VHD, 4.0 KiB disk");
    assert_eq!((image.size, image.virtual_size), (Some(4608), Some(4096)));
}

#[test]
fn a_511_byte_footer_is_accepted() {
    let vhd = fixed_vhd(&[0; 4096]);
    assert_eq!(open(&vhd[..4607]).unwrap().label(), "a fixed VHD");
}

#[test]
fn a_dynamic_vhd_tells_its_table_and_the_disk_inside() {
    let image = open(&dynamic_vhd()).unwrap();
    let content = Content::Vhd {
        kind: VhdKind::Dynamic,
        table_size: Some(8192),
        by_geometry: false,
    };
    assert_eq!((image.content, image.virtual_size), (content, Some(8192)));
    assert_eq!(image.boot.bios, Some(false));
}

#[test]
fn the_disk_inside_is_read_where_its_blocks_lie() {
    let bytes = patched(&[0; 8192], &[(512, &[0xff; 4096 - 512])]);
    assert_eq!(disk(&dynamic_vhd()), (bytes, vec![(0, 4096)]));
    let fixed = patched(&[0; 4096], &[(4095, &[1])]);
    assert_eq!(disk(&fixed_vhd(&fixed)), (fixed, vec![(0, 4096)]));
}

#[test]
fn a_vhd_footer_copy_is_read_from_a_pipe() {
    let image = crate::image::Image::from_head(&dynamic_vhd()[..600], None).unwrap();
    assert_eq!(image.describe(), "dynamic VHD, 8.0 KiB disk");
}

#[test]
fn a_wrong_checksum_of_the_footer_is_refused() {
    let vhd = patched(&fixed_vhd(&[0; 4096]), &[(4096 + 100, &[1])]);
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
        refusal_text(
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
    let vhd = patched(&dynamic_vhd(), &[(90, &[1])]);
    assert_eq!(
        refusal(&vhd),
        copy_again(
            "the VHD is damaged: the copy of its footer at the start is not identical to the footer at the end"
        )
    );
}

#[test]
fn a_wrong_checksum_of_the_header_is_refused() {
    let vhd = patched(&dynamic_vhd(), &[(512 + 64, &[1])]);
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
fn a_vhd_with_blocks_beyond_the_end_is_rejected() {
    let refused = |at: u64, entries| {
        let footer = with_checksum(
            &patched(&footer(8192, [0; 4], 3), &[(16, &at.to_be_bytes())]),
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
    let vhd = patched(&dynamic_vhd(), &[(1536, &5_u32.to_be_bytes())]);
    assert_eq!(
        refusal(&vhd),
        copy_again(
            "the VHD is cut short: a block of its data reaches to byte 7680, but only 7168 bytes are there"
        )
    );
}

#[test]
fn no_vhd_makes_it_panic() {
    fuzz_fields(&dynamic_vhd(), 1600);
    fuzz_fields(&fixed_vhd(&[0; 512]), 1024);
    fuzz_checksummed(&dynamic_vhd(), &[0..100, 512..600, 1536..1544], |vhd| {
        let footer = with_checksum(&vhd[..512], 64);
        let header = with_checksum(&vhd[512..1536], 36);
        let end = vhd.len() - 512;
        vhd[..512].copy_from_slice(&footer);
        vhd[512..1536].copy_from_slice(&header);
        vhd[end..].copy_from_slice(&footer);
    });
}
