//! VHD: footer, the same at the start, header and table, with right checksums.
#![no_main]

use imgimport_fuzz::{look, seal_vhd};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    let mut vhd = bytes.to_vec();
    if vhd.len() >= 1536 {
        vhd[..8].copy_from_slice(b"conectix");
        vhd[16..24].copy_from_slice(&512_u64.to_be_bytes());
        vhd[512..520].copy_from_slice(b"cxsparse");
        seal_vhd(&mut vhd[..512], 64);
        seal_vhd(&mut vhd[512..1536], 36);
    }
    let footer = vhd.get(..512).unwrap_or_default().to_vec();
    vhd.extend(footer);
    look(&vhd);
});
