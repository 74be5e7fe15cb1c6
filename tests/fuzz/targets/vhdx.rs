//! VHDX: its parts lie MiB apart, so the input bends a sound disk of three blocks:
//! header, region table, metadata table, items and block table in turn, each byte
//! added to what is there. The checksums are right.
#![no_main]

use crc_fast::CrcAlgorithm::Crc32Iscsi;
use imgimport_fuzz::{Disk, look, seal_crc};
use libfuzzer_sys::fuzz_target;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const BAT: u128 = 0x2dc2_7766_f623_4200_9d64_115e_9bfd_4a08;
const METADATA: u128 = 0x8b7c_a206_4790_4b9a_b8fe_575f_050f_886e;
const ITEMS: [(u128, u64); 3] = [
    (0xcaa1_6737_fa36_4d43_b3b6_33f0_aa44_e76b, MIB),
    (0x2fa5_4224_cd1b_4876_b211_5dbe_d83b_f4b8, 3 * MIB),
    (0x8141_bf1d_a96f_4709_ba47_f233_a8fa_ab5f, 512),
];

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    let mut input = bytes.iter();
    let mut bend = |part: &mut [u8]| {
        for (byte, by) in part.iter_mut().zip(&mut input) {
            *byte = byte.wrapping_add(*by);
        }
    };
    let mut header = part(4 << 10, &[(0, b"head"), (66, &[1])]);
    bend(&mut header[4..80]);
    seal_crc(Crc32Iscsi, &mut header, 4);
    let mut regions = part(64 << 10, &[(0, b"regi"), (8, &[2])]);
    row(&mut regions[16..], BAT, 2 * MIB, 1 << 20);
    row(&mut regions[48..], METADATA, MIB, 1 << 20);
    bend(&mut regions[4..112]);
    seal_crc(Crc32Iscsi, &mut regions, 4);
    let mut metadata = part(128, &[(0, b"metadata"), (10, &[3])]);
    for (item, at) in ITEMS.iter().zip(1..) {
        let place = 32 * at;
        metadata[place..place + 16].copy_from_slice(&guid(item.0));
        metadata[place + 18] = u8::try_from(at).unwrap_or(0);
        metadata[place + 20] = 8;
    }
    bend(&mut metadata[8..]);
    let mut disk = Disk::of(b"vhdxfile")
        .with(64 * KIB, &header)
        .with(192 * KIB, &regions)
        .with(MIB, &metadata);
    for (item, at) in ITEMS.iter().zip(1..) {
        let mut value = item.1.to_le_bytes();
        bend(&mut value);
        disk = disk.with(MIB + at * 64 * KIB, &value);
    }
    let mut table = part(512, &[]);
    for (entry, block) in table.chunks_mut(8).zip([3, 0, 4]) {
        entry.copy_from_slice(&(block * MIB + 6).to_le_bytes());
    }
    bend(&mut table);
    disk.with(2 * MIB, &table).of_size(8 * MIB).look();
});

fn part(len: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut part = vec![0; len];
    for (at, field) in fields {
        part[*at..at + field.len()].copy_from_slice(field);
    }
    part
}

/// An entry of the region table.
fn row(bytes: &mut [u8], id: u128, at: u64, len: u32) {
    bytes[..16].copy_from_slice(&guid(id));
    bytes[16..24].copy_from_slice(&at.to_le_bytes());
    bytes[24..28].copy_from_slice(&len.to_le_bytes());
}

/// A GUID as it lies in a file: the first three fields are little-endian.
fn guid(id: u128) -> [u8; 16] {
    let mut bytes = id.to_be_bytes();
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}
