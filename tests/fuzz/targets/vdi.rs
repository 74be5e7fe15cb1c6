//! VDI.
#![no_main]

use imgimport_fuzz::{look, marked};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    look(&marked(bytes, 64, &0xbeda_107f_u32.to_le_bytes()));
});
