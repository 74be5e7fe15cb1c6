//! Test helpers: bytes in memory are inspected as a file named disk.img or as a pipe, and
//! inputs are changed at random to find panics.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::byte_view::{ByteView, ReadAt, size};
use super::disk_reader::first_disk;
use super::inspect::Inspection;
use super::{
    DiskReader, Format, HEAD, Image, ImageSource, OpenOptions, Result, Warning, detect, layout,
};

/// Inspects these bytes as a file, whatever is on its disk.
pub(super) fn open(bytes: &[u8]) -> Result<Image> {
    let strict = open_bytes(bytes, None);
    let Ok(mut image) = (match strict {
        Ok(image) => return Ok(image),
        Err(_) => unchecked(bytes),
    }) else {
        return strict;
    };
    let lifted = |warning: &Warning| warning.text.contains("(--skip-checks)");
    let unknown = |warning: &Warning| {
        let text = &warning.text;
        !lifted(warning) || text.contains("not recognized") || text.contains("it is blank")
    };
    if !image.warnings.iter().all(unknown) {
        return strict;
    }
    image.warnings.retain(|warning| !lifted(warning));
    Ok(image)
}

pub(super) fn open_as(bytes: &[u8], format: Format) -> Result<Image> {
    open_bytes(bytes, Some(format))
}

/// Inspects these bytes as a user's file, with all checks.
pub(super) fn strict(bytes: &[u8]) -> Result<Image> {
    open_bytes(bytes, None)
}

/// Inspects these bytes without checks.
pub(super) fn unchecked(bytes: &[u8]) -> Result<Image> {
    let (format, skip_checks) = (None, true);
    open_bytes(
        bytes,
        OpenOptions {
            format,
            skip_checks,
        },
    )
}

/// Returns the warnings of an inspection, each as one line.
pub(super) fn warnings(bytes: &[u8]) -> Vec<String> {
    let image = open(bytes).unwrap();
    image.warnings.iter().map(ToString::to_string).collect()
}

/// Returns the message of the rejection, without its first line, which is always the same.
pub(super) fn refusal(bytes: &[u8]) -> String {
    let error = open_bytes(bytes, None).unwrap_err();
    assert_eq!(error.kind().exit_code(), 3);
    let text = error.to_string();
    let rest = text.strip_prefix("error: disk.img cannot be imported\n  cause: ");
    rest.unwrap().to_owned()
}

/// Returns the bytes with some of them replaced.
pub(super) fn patched(bytes: &[u8], changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, change) in changes {
        bytes[*at..at + change.len()].copy_from_slice(change);
    }
    bytes
}

/// Returns cause and hint in the form of `refusal`.
pub(super) fn refusal_text(cause: &str, hint: &str) -> String {
    format!("{cause}\n  hint: {hint}")
}

/// Returns the message for a damaged or truncated file.
pub(super) fn copy_again(cause: &str) -> String {
    refusal_text(cause, "copy, download or export it again")
}

/// Returns the message for a file that qemu-img converts, by this format.
pub(super) fn convert(format: &str, cause: &str) -> String {
    refusal_text(
        cause,
        &format!("convert it first: qemu-img convert -f {format} -O raw disk.img disk.raw"),
    )
}

fn open_bytes(bytes: &[u8], options: impl Into<OpenOptions>) -> Result<Image> {
    let path = Path::new("disk.img");
    let shared: Arc<[u8]> = bytes.into();
    let subject = Inspection {
        source: ImageSource::File(path.into()),
        view: ByteView::new(&bytes, bytes.len() as u64),
        size: Some(bytes.len() as u64),
        available: bytes.len() as u64,
        open: &|| Ok(Box::new(Arc::clone(&shared))),
    };
    let image = subject.inspect(options.into());
    image.map_err(|error| error.into_error(path))
}

/// Returns the disk inside these bytes, and its ranges that may contain data.
pub(super) fn disk(bytes: &[u8]) -> (Vec<u8>, Vec<(u64, u64)>) {
    let blocks = blocks(bytes);
    let mut disk = vec![0xcc; size(blocks.size())];
    blocks.read_at(&mut disk, 0).unwrap();
    (disk, data(bytes))
}

/// Returns the ranges of the disk inside that may contain data.
pub(super) fn data(bytes: &[u8]) -> Vec<(u64, u64)> {
    let blocks = blocks(bytes);
    let (mut ranges, mut at) = (vec![], 0);
    while let Some(range) = blocks.data(at).unwrap() {
        at = range.end;
        ranges.push((range.start, range.end));
    }
    ranges
}

/// Returns the error of reading the first byte of the disk inside.
pub(super) fn unreadable(bytes: &[u8]) -> String {
    let error = blocks(bytes).read_at(&mut [0], 0).unwrap_err();
    error.to_string()
}

pub(super) fn blocks(bytes: &[u8]) -> DiskReader {
    let image = open(bytes).unwrap();
    let (content, start, len) = first_disk(&image).unwrap();
    let truncated = TruncatedBytes {
        bytes: bytes.to_vec(),
        len: bytes.len(),
    };
    let len = len.min(bytes.len() as u64 - start);
    let file = layout::DiskFile::new(Box::new(Arc::new(truncated)), start, len);
    DiskReader::new(content, file)
        .map_err(|error| error.into_error(Path::new("disk.img")))
        .unwrap()
}

/// Cases for every format: changed bytes of a valid image, or a truncated one.
const CASES: u32 = 10_000;

/// Inspects the bytes in every way; it must return, whatever the result.
fn inspect(bytes: &[u8]) {
    let _ = Image::from_head(&bytes[..bytes.len().min(HEAD)], None).map(|image| image.describe());
}

/// Inspects them as a file, and reads at several places of the disk inside.
fn read_all_over(bytes: &Arc<TruncatedBytes>) {
    let view = ByteView::new(bytes, bytes.len as u64);
    let Ok(found) = detect::detect(&view) else {
        return;
    };
    let mut image = Image::from_detection(found, ImageSource::File("disk.img".into()), None);
    image.describe();
    let _ = image.inspect_disk(bytes.len as u64, &|| Ok(Box::new(Arc::clone(bytes))));
    let Ok((content, start, len)) = first_disk(&image) else {
        return;
    };
    let len = len.min(bytes.len as u64 - start);
    let file = layout::DiskFile::new(Box::new(Arc::clone(bytes)), start, len);
    let Ok(blocks) = DiskReader::new(content, file) else {
        return;
    };
    let _ = blocks.allocated();
    let _ = blocks.partitions();
    let size = blocks.size();
    let mut buffer = [0; 700];
    for at in [0, 300, size / 2, size.saturating_sub(700)] {
        let _ = blocks.read_at(&mut buffer, at);
    }
}

/// The bytes of a file that may be truncated.
#[derive(Debug)]
struct TruncatedBytes {
    bytes: Vec<u8>,
    len: usize,
}

impl ReadAt for Arc<TruncatedBytes> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        (&self.bytes[..self.len]).read_at(buffer, offset)
    }
}

/// Changes the first bytes of a valid image at random, and now and then others. A panic, an
/// overflow or an allocation without limit fails the test.
pub(super) fn fuzz_fields(sound: &[u8], fields: usize) {
    fuzz_checksummed(sound, std::slice::from_ref(&(0..fields)), |_| ());
}

/// Changes fields like [`fuzz_fields`], then calls `seal`, which corrects the checksums, so
/// that the fields that they protect are read, too.
pub(super) fn fuzz_checksummed(sound: &[u8], fields: &[Range<usize>], seal: impl Fn(&mut [u8])) {
    let len = sound.len();
    let field = prop_oneof![
        any::<u64>().prop_map(|value| value.to_be_bytes().to_vec()),
        any::<u8>().prop_map(|byte| vec![byte]),
        Just(vec![0xff; 8]),
        Just(vec![0; 8]),
        (0..63_u32).prop_map(|bit| (1_u64 << bit).to_le_bytes().to_vec()),
        (0..63_u32).prop_map(|bit| (1_u64 << bit).to_be_bytes().to_vec()),
    ];
    let all = fields.to_vec();
    let inside = (0..all.len(), any::<prop::sample::Index>())
        .prop_map(move |(part, at)| all[part].start + at.index(all[part].len()));
    let location = prop_oneof![3 => inside, 1 => 0..len];
    let changes = prop::collection::vec((location, field), 0..5);
    let end = prop_oneof![3 => Just(len), 1 => 0..len];
    let config = ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let again = RefCell::new(sound.to_vec());
    proptest!(config, |(changes in changes, end in end)| {
        let mut bytes = again.take();
        bytes.resize(len, 0);
        bytes.copy_from_slice(sound);
        for (at, field) in changes {
            let to = len.min(at + field.len());
            bytes[at..to].copy_from_slice(&field[..to - at]);
        }
        seal(&mut bytes);
        inspect(&bytes[..end]);
        let truncated = Arc::new(TruncatedBytes { bytes, len: end });
        read_all_over(&truncated);
        again.replace(Arc::into_inner(truncated).unwrap().bytes);
    });
}

fn look(bytes: Vec<u8>) {
    inspect(&bytes);
    let len = bytes.len();
    read_all_over(&Arc::new(TruncatedBytes { bytes, len }));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        look(bytes);
    }

    #[test]
    fn random_bytes_behind_any_mark_never_make_it_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 1600..5000),
        magic in 0..9_usize,
    ) {
        let marks: [(usize, &[u8]); 9] = [
            (0, b"conectix"), (0, b"vhdxfile"), (0, b"QFI\xfb"), (0, b"KDMV"), (0, b"COWD"),
            (0, b"# Disk DescriptorFile"), (64, b"\x7f\x10\xda\xbe"), (257, b"ustar\0"),
            (512, b"EFI PART"),
        ];
        let (at, magic) = marks[magic];
        bytes[at..at + magic.len()].copy_from_slice(magic);
        look(bytes);
    }
}
