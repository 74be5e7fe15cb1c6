//! What lies in a gzip file, which is packed here, with one byte of it changed.
#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use imgimport_fuzz::look;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    let written = file.write_all(bytes);
    let Ok(mut packed) = written.and_then(|()| file.finish()) else {
        return;
    };
    look(&packed);
    let at = bytes.first().map_or(0, |byte| usize::from(*byte)) % packed.len();
    packed[at] ^= 1;
    look(&packed);
});
