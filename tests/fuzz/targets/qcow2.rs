//! qcow2 of both versions, with compressed clusters of both kinds.
#![no_main]

use imgimport_fuzz::{look, marked};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    look(&marked(bytes, 0, b"QFI\xfb"));
});
