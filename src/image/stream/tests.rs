use std::io::{Read, Write};

use super::*;
use crate::image::formats::{vhd, vmdk};
use crate::image::partition_table::EFI_SYSTEM;
use crate::image::partitions::tests::{gpt_disk, mbr_disk};
use crate::image::{Format, HEAD};

/// Returns the result of reading these bytes as a pipe.
fn piped(bytes: &[u8], format: Option<Format>) -> Result<Vec<String>, String> {
    let head = &bytes[..bytes.len().min(HEAD)];
    let image = Image::from_head(head, format).map_err(|error| error.one_line())?;
    let mut watched = CheckedReader::new(bytes, &image, Accepts::new(|_| Ok(())));
    let verdict = watched.verdict();
    let mut copy = Vec::new();
    let read = watched.read_to_end(&mut copy);
    match verdict.refusal() {
        Some(error) => {
            assert!(read.is_err());
            Err(error.one_line())
        }
        None => {
            assert!(read.is_ok() && copy == bytes);
            let warnings = verdict.warnings();
            Ok(warnings.iter().map(ToString::to_string).collect())
        }
    }
}

fn refused(bytes: &[u8]) -> String {
    let text = piped(bytes, None).unwrap_err();
    let rest = text.strip_prefix("the image on standard input cannot be imported: ");
    rest.unwrap().to_owned()
}

/// Returns a disk with one partition up to its end, larger than what is inspected at the
/// beginning.
fn large(len: usize) -> Vec<u8> {
    let mut disk = mbr_disk(0x83);
    disk.resize(len, 7);
    let sectors = u32::try_from(len / 512).unwrap() - 8;
    disk[458..462].copy_from_slice(&sectors.to_le_bytes());
    disk
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

#[test]
fn a_disk_that_ends_early_is_refused_at_its_end() {
    let disk = large(1 << 20);
    assert_eq!(piped(&disk, None), Ok(vec![]));
    assert_eq!(
        refused(&disk[..600_000]),
        "the disk is cut short: its partition table (MBR) counts on 1048576 bytes, but only 600000 are there"
    );
    let gpt = gpt_disk(512, EFI_SYSTEM);
    assert_eq!(piped(&gpt, None), Ok(vec![]));
    assert!(
        refused(&gpt[..40_000]).starts_with("the disk is cut short: its partition table (GPT)")
    );
}

#[test]
fn a_fixed_vhd_is_recognized_at_the_end_of_a_pipe() {
    let vhd = vhd::tests::fixed_vhd(&large(1 << 20));
    assert_eq!(
        refused(&vhd),
        "its end shows that it is a fixed VHD, from its beginning it was taken for a raw disk"
    );
    assert_eq!(piped(&vhd, Some(Format::Vhd)), Ok(vec![]));
    let cut = piped(&vhd[..vhd.len() - 512], Some(Format::Vhd)).unwrap_err();
    assert!(
        cut.contains("its content is a raw disk, but the format given is vhd"),
        "{cut}"
    );
}

#[test]
fn a_vmdk_with_its_directory_at_the_end_is_looked_at_there() {
    let sound = vmdk::tests::vmware();
    assert_eq!(piped(&sound, None), Ok(vec![]));
    assert!(refused(&sound[..sound.len() - 1024]).starts_with("the VMDK is cut short"));
}

#[test]
fn a_pipe_is_refused_where_the_file_would_be() {
    let disk = large(1 << 20);
    let noise: Vec<u8> = (0..100_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
        .collect();
    for sound in [
        vmdk::tests::vmware(),
        vmdk::tests::stream(),
        disk.clone(),
        gpt_disk(512, EFI_SYSTEM),
        ova(&disk),
        noise,
    ] {
        for end in (0..=16).map(|part| sound.len() * part / 16) {
            let file = crate::image::test_support::strict(&sound[..end]).map(|_| ());
            let pipe = piped(&sound[..end], None).map(|_| ());
            assert_eq!(
                file.is_err(),
                pipe.is_err(),
                "{end} of {}: {file:?} {pipe:?}",
                sound.len()
            );
        }
    }
}

#[test]
fn the_content_of_a_compressed_stream_is_inspected_to_its_end() {
    let disk = large(1 << 20);
    assert_eq!(piped(&gzip(&disk), None), Ok(vec![]));
    assert_eq!(
        refused(&gzip(&disk[..600_000])),
        "in a gzip file: the disk is cut short: its partition table (MBR) counts on 1048576 bytes, but only 600000 are there"
    );
    let noise: Vec<u8> = large(1 << 20)
        .into_iter()
        .zip(0_u32..)
        .map(|(byte, at)| {
            if at < 512 {
                byte
            } else {
                (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]
            }
        })
        .collect();
    let compressed = gzip(&noise);
    assert!(refused(&compressed[..compressed.len() / 2]).starts_with("the gzip file is cut short"));
    let mut damaged = compressed.clone();
    let end = damaged.len();
    damaged[end - 6] ^= 1;
    assert!(
        refused(&damaged).starts_with("the gzip file is damaged behind 1048576 unpacked bytes")
    );
    let padded = [gzip(&disk), vec![0; 1024]].concat();
    assert_eq!(piped(&padded, None), Ok(vec![]));
    let twice = [gzip(&disk[..512_000]), gzip(&disk[512_000..])].concat();
    assert_eq!(piped(&twice, None), Ok(vec![]));
}

/// Returns an OVA of a disk in a fixed VHD, which is larger than what is kept.
fn ova(disk: &[u8]) -> Vec<u8> {
    let descriptor = "<Envelope><File id='f' href='a.vhd'/><Disk diskId='d' fileRef='f'/><VirtualSystem/></Envelope>";
    let vhd = vhd::tests::fixed_vhd(disk);
    let mut tar = tar::Builder::new(vec![]);
    for (name, bytes) in [
        ("a.ovf", descriptor.as_bytes()),
        ("a.vhd", &vhd),
        ("b.txt", b"b"),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn requested_ranges_of_a_pipe_are_kept() {
    let sound = ova(&large(14 << 20));
    assert_eq!(piped(&sound, None), Ok(vec![]));
    assert!(refused(&sound[..12 << 20]).starts_with("the OVA is cut short: a file in it"));
    let cut = ova(&large(14 << 20)[..13 << 20]);
    assert!(refused(&cut).contains("the disk is cut short"));
}

#[test]
fn without_checks_the_end_is_a_warning() {
    let disk = large(1 << 20);
    let compressed = gzip(&disk);
    for bytes in [&disk[..600_000], &compressed[..compressed.len() - 4]] {
        let options = OpenOptions {
            format: None,
            skip_checks: true,
        };
        let image = Image::from_head(&bytes[..bytes.len().min(HEAD)], options).unwrap();
        let mut watched = CheckedReader::new(bytes, &image, Accepts::new(|_| Ok(())));
        let verdict = watched.verdict();
        watched.read_to_end(&mut Vec::new()).unwrap();
        let warnings = verdict.warnings();
        assert!(warnings[0].text.contains("(--skip-checks)"), "{warnings:?}");
    }
}
