//! The stage for this room's tests: bytes in memory are looked at as a file named
//! disk.img or as a pipe, and inputs are bent until something should break.

use std::path::Path;

use proptest::prelude::*;

use super::probe;
use super::window::Window;
use super::{Format, Image, Result, Source, agrees};

/// Looks at these bytes as a file.
pub(super) fn open(bytes: &[u8]) -> Result<Image> {
    seen(bytes, None)
}

pub(super) fn said(bytes: &[u8], format: Format) -> Result<Image> {
    seen(bytes, Some(format))
}

/// The whole message of the refusal, without its first line, which is always the same.
pub(super) fn refusal(bytes: &[u8]) -> String {
    let error = open(bytes).unwrap_err();
    assert_eq!(error.kind().exit_code(), 3);
    let text = error.to_string();
    let rest = text.strip_prefix("error: disk.img cannot be imported\n  cause: ");
    rest.unwrap().to_owned()
}

/// The bytes with some of them replaced.
pub(super) fn with(bytes: &[u8], changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, change) in changes {
        bytes[*at..at + change.len()].copy_from_slice(change);
    }
    bytes
}

/// Cause and hint as `refusal` gives them.
pub(super) fn because(cause: &str, hint: &str) -> String {
    format!("{cause}\n  hint: {hint}")
}

/// The message of a damaged or cut file.
pub(super) fn copy_again(cause: &str) -> String {
    because(cause, "copy, download or export it again")
}

pub(super) fn convert(cause: &str) -> String {
    because(
        cause,
        "convert it first: qemu-img convert -O raw disk.img disk.raw",
    )
}

fn seen(bytes: &[u8], said: Option<Format>) -> Result<Image> {
    let path = Path::new("disk.img");
    let window = Window::all(&bytes, bytes.len() as u64);
    let found = probe::look(&window)
        .and_then(|found| agrees(found, said, &window))
        .map_err(|trouble| trouble.at(path))?;
    let size = Some(bytes.len() as u64);
    Ok(Image::found(found, Source::File(path.into()), size))
}

/// Looks at the bytes in every way; what comes out does not matter, that it does.
fn look_at(bytes: &[u8]) {
    let _ = open(bytes).map(|image| image.describe());
    let _ = Image::from_head(bytes, None).map(|image| image.describe());
}

/// Bends a sound image: bytes changed, fields filled, its end cut off or padded.
/// A panic, an overflow or an allocation without bounds fails the test.
pub(super) fn bend(sound: &[u8], fields: usize) {
    bend_and_seal(sound, fields, <[u8]>::to_vec);
}

/// The same, but `seal` makes the checksums right again, so that what they guard is
/// looked at too.
pub(super) fn bend_and_seal(sound: &[u8], fields: usize, seal: impl Fn(&[u8]) -> Vec<u8>) {
    let len = sound.len();
    let field = prop_oneof![
        any::<u64>().prop_map(|value| value.to_be_bytes().to_vec()),
        any::<u8>().prop_map(|byte| vec![byte]),
        Just(vec![0xff; 8]),
        Just(vec![0; 8]),
        (0..63_u32).prop_map(|bit| (1_u64 << bit).to_le_bytes().to_vec()),
        (0..63_u32).prop_map(|bit| (1_u64 << bit).to_be_bytes().to_vec()),
    ];
    let place = prop_oneof![3 => 0..fields.min(len), 1 => 0..len];
    let changes = prop::collection::vec((place, field), 0..5);
    let end = prop_oneof![2 => Just(len), 1 => 0..len];
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(changes in changes, end in end)| {
        let mut bytes = sound.to_vec();
        for (at, field) in changes {
            let to = len.min(at + field.len());
            bytes[at..to].copy_from_slice(&field[..to - at]);
        }
        look_at(&seal(&bytes)[..end]);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        look_at(&bytes);
    }

    #[test]
    fn random_bytes_behind_any_mark_never_make_it_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 1600..5000),
        mark in 0..9_usize,
    ) {
        let marks: [(usize, &[u8]); 9] = [
            (0, b"conectix"), (0, b"vhdxfile"), (0, b"QFI\xfb"), (0, b"KDMV"), (0, b"COWD"),
            (0, b"# Disk DescriptorFile"), (64, b"\x7f\x10\xda\xbe"), (257, b"ustar\0"),
            (512, b"EFI PART"),
        ];
        let (at, mark) = marks[mark];
        bytes[at..at + mark.len()].copy_from_slice(mark);
        look_at(&bytes);
    }
}
