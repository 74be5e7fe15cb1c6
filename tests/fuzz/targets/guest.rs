//! A sound little system, Linux or Windows, bent at the places that the input names: five
//! bytes each, four for where and one for what. The look keeps panics of the file systems' readers to
//! itself, so those of our own code are told apart here.
#![no_main]

use std::sync::LazyLock;

use imgimport_fuzz::Disk;
use libfuzzer_sys::fuzz_target;

/// Made by seeds.sh.
static SOUND: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    std::panic::set_hook(Box::new(|panic| {
        let ours = |file: &str| file.contains("src/guest") || file.contains("src/image");
        if panic.location().is_some_and(|at| ours(at.file())) {
            eprintln!("{panic}");
            std::process::abort();
        }
    }));
    ["guest.raw", "windows.raw"].map(|name| std::fs::read(name).expect("seeds.sh has made it"))
});

fuzz_target!(|bytes: &[u8]| {
    let mut disk = SOUND[bytes.len() % 2].clone();
    for place in bytes.chunks_exact(5) {
        let at = u32::from_le_bytes([place[0], place[1], place[2], place[3]]);
        let at = at as usize % disk.len();
        disk[at] = place[4];
    }
    Disk::of(&disk).inside();
});
