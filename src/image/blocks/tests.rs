use std::io::Write;
use std::os::unix::fs::FileExt;

use super::*;

#[test]
fn of_a_sparse_disk_only_the_data_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(64 << 20).unwrap();
    file.as_file().write_all_at(&[7; 4096], 32 << 20).unwrap();
    file.as_file().flush().unwrap();
    let image = Image::open(file.path(), None).unwrap();
    let blocks = Blocks::open(&image).unwrap();
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
