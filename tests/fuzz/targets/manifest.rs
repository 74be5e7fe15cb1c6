//! The manifest of an OVA around it.
#![no_main]

use imgimport_fuzz::look;
use libfuzzer_sys::fuzz_target;

const OVF: &[u8] =
    b"<Envelope><File id='f' href='b'/><Disk diskId='d' fileRef='f'/><VirtualSystem/></Envelope>";

fuzz_target!(|bytes: &[u8]| {
    let mut tar = tar::Builder::new(vec![]);
    for (name, content) in [
        ("a.ovf", OVF),
        ("a.mf", bytes),
        ("b", &bytes[..bytes.len().min(512)]),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        if tar.append_data(&mut header, name, content).is_err() {
            return;
        }
    }
    if let Ok(tar) = tar.into_inner() {
        look(&tar);
    }
});
