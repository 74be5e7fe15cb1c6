use std::io::Write;

use super::*;
use crate::image::Format;
use crate::platform;

/// On Windows holes are not detected.
#[cfg(unix)]
#[test]
fn of_a_sparse_disk_only_the_data_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(64 << 20).unwrap();
    platform::write_all_at(file.as_file(), &[7; 4096], 32 << 20).unwrap();
    file.as_file().flush().unwrap();
    let image = Image::open(file.path(), Some(Format::Raw)).unwrap();
    let blocks = DiskReader::open(&image).unwrap();
    assert_eq!(blocks.size(), 64 << 20);
    let data = blocks.data(0).unwrap().unwrap();
    assert!(data.contains(&(32 << 20)) && data.end - data.start < 1 << 20);
    assert_eq!(blocks.data(data.end).unwrap(), None);
    assert_eq!(blocks.allocated().unwrap(), data.end - data.start);
    let mut bytes = [0; 2];
    blocks.read_at(&mut bytes, (32 << 20) - 1).unwrap();
    assert_eq!(bytes, [0, 7]);
    assert!(blocks.read_at(&mut bytes, (64 << 20) - 1).is_err());
}

#[test]
fn many_read_the_same_compressed_disk_at_once() {
    let sound = vmdk::tests::vmware();
    let file = tempfile::NamedTempFile::new().unwrap();
    platform::write_all_at(file.as_file(), &sound, 0).unwrap();
    let blocks = DiskReader::open(&Image::open(file.path(), None).unwrap()).unwrap();
    std::thread::scope(|scope| {
        for start in 0..8 {
            let blocks = &blocks;
            scope.spawn(move || {
                for at in (start..8192).step_by(8) {
                    let mut byte = [0xcc];
                    blocks.read_at(&mut byte, at).unwrap();
                    let expected = match at {
                        ..440 => 7,
                        510 => 0x55,
                        511 => 0xaa,
                        _ => 0,
                    };
                    assert_eq!(byte, [expected], "{at}");
                }
            });
        }
    });
}

#[test]
fn a_file_that_changed_since_it_was_looked_at_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(4096).unwrap();
    let image = Image::open(file.path(), Some(Format::Raw)).unwrap();
    file.as_file().set_len(8192).unwrap();
    let error = DiskReader::open(&image).unwrap_err().to_string();
    let cause = " cannot be looked into\n  cause: it changed while it was looked at\n  hint: start again when nothing writes to it any more";
    assert!(error.ends_with(cause), "{error}");
}

#[test]
fn a_file_that_is_no_disk_is_rejected() {
    let file = tempfile::NamedTempFile::new().unwrap();
    platform::write_all_at(file.as_file(), b"\x1f\x8b\x08 and more", 0).unwrap();
    let image = Image::open(file.path(), None).unwrap();
    let error = DiskReader::open(&image).unwrap_err().to_string();
    let cause = " cannot be looked into\n  cause: the disk inside a gzip file can't be read in place\n  hint: unpack it first";
    assert!(error.ends_with(cause), "{error}");
}
