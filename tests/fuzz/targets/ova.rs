//! OVA as a tar archive of any shape; the checksum of its first header is right.
#![no_main]

use imgimport_fuzz::look;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut tar = bytes.to_vec();
    if tar.len() >= 512 {
        tar[257..263].copy_from_slice(b"ustar\0");
        tar[148..156].fill(b' ');
        let sum: u32 = tar[..512].iter().map(|&byte| u32::from(byte)).sum();
        tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    look(&tar);
});
