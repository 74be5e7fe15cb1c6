//! What is in an OVA: descriptor, manifest and disk, in an archive that is sound.
//! The input is these three, each up to a zero byte but the last.
#![no_main]

use imgimport_fuzz::look;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |&byte| byte == 0);
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["a.ovf", "a.mf", "disk1.vmdk"] {
        let Some(part) = parts.next() else { break };
        let mut header = tar::Header::new_ustar();
        header.set_size(part.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, part).expect("memory");
    }
    look(&tar.into_inner().expect("memory"));
});
