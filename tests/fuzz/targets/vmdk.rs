//! VMDK: sparse files in every layout, descriptors, and what ESX writes.
#![no_main]

use imgimport_fuzz::{look, marked};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    look(&marked(&marked(bytes, 0, b"KDMV"), 73, b"\n \r\n"));
    look(&[b"# Disk DescriptorFile\n", bytes].concat());
});
