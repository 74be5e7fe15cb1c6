//! Raw disks and their partition tables, with a GPT whose checksum is right.
#![no_main]

use crc_fast::CrcAlgorithm::Crc32IsoHdlc;
use imgimport_fuzz::{look, seal_crc};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    let mut disk = bytes.to_vec();
    if disk.len() >= 1024 {
        disk[512..520].copy_from_slice(b"EFI PART");
        disk[524..528].copy_from_slice(&92_u32.to_le_bytes());
        seal_crc(Crc32IsoHdlc, &mut disk[512..604], 16);
        look(&disk);
    }
});
