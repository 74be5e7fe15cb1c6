//! Small disks to try things on: a disk that looks as if it booted, raw, as a
//! stream-optimized VMDK and as an OVA around that, written as VMware's tools write them.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha2::{Digest, Sha256};

const SECTOR: usize = 512;
/// VMware Virtual Disk Format, "Stream-optimized": 64 KiB.
const GRAIN: usize = 128 * SECTOR;
/// Sectors before the first grain.
const OVERHEAD: usize = 128;
/// Entries of a grain table.
const TABLE: usize = 512;

/// Writes a sample of the format that the path's ending names; raw where it names none.
pub fn write(path: &Path, size: usize) -> std::io::Result<()> {
    let disk = raw(size);
    let bytes = match path.extension().and_then(|ending| ending.to_str()) {
        Some("ova") => ova("disk", &disk),
        Some("vmdk") => vmdk(&disk),
        Some("vhd") => vhd(&disk),
        Some("qcow2") => qcow2(size as u64),
        _ => disk,
    };
    fs::write(path, bytes)
}

/// A disk with one active Linux partition, full of bytes that do not compress. `size` is
/// in bytes and becomes whole megabytes.
pub fn raw(size: usize) -> Vec<u8> {
    let size = size.next_multiple_of(1 << 20).max(2 << 20);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut disk: Vec<u8> = (0..size / 8).flat_map(|_| noise()).collect();
    let sectors = u32::try_from(size / SECTOR).unwrap_or(u32::MAX);
    let mut entry = [
        0x80, 0, 2, 0, 0x83, 0xFE, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    entry[8..12].copy_from_slice(&2048_u32.to_le_bytes());
    entry[12..16].copy_from_slice(&(sectors - 2048).to_le_bytes());
    disk[440..SECTOR].fill(0);
    disk[446..462].copy_from_slice(&entry);
    disk[510..SECTOR].copy_from_slice(&[0x55, 0xAA]);
    disk
}

/// The disk as a fixed VHD: its bytes and a footer (VHD 1.0, "Hard Disk Footer Format").
pub fn vhd(disk: &[u8]) -> Vec<u8> {
    let size = (disk.len() as u64).to_be_bytes();
    let mut footer = vec![0; SECTOR];
    footer[..8].copy_from_slice(b"conectix");
    footer[11] = 2;
    footer[13] = 1;
    footer[16..24].fill(0xFF);
    footer[28..32].copy_from_slice(b"win ");
    footer[36..40].copy_from_slice(b"Wi2k");
    footer[40..48].copy_from_slice(&size);
    footer[48..56].copy_from_slice(&size);
    footer[56..60].copy_from_slice(&[0xFF, 0xFF, 16, 255]);
    footer[63] = 2;
    let sum: u32 = footer.iter().map(|&byte| u32::from(byte)).sum();
    footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
    [disk, &footer].concat()
}

/// An empty qcow2 of so many bytes: header, reference counts, an L1 table without entries.
pub fn qcow2(size: u64) -> Vec<u8> {
    const CLUSTER: usize = 64 << 10;
    let mut image = vec![0; 4 * CLUSTER];
    image[..4].copy_from_slice(b"QFI\xfb");
    let words: [(usize, u32); 4] = [(4, 2), (20, 16), (36, 1), (56, 1)];
    for (at, word) in words {
        image[at..at + 4].copy_from_slice(&word.to_be_bytes());
    }
    let places = [
        (24, size),
        (40, 3 * CLUSTER as u64),
        (48, CLUSTER as u64),
        (CLUSTER, 2 * CLUSTER as u64),
    ];
    for (at, place) in places {
        image[at..at + 8].copy_from_slice(&place.to_be_bytes());
    }
    for cluster in 0..4 {
        image[2 * CLUSTER + 2 * cluster + 1] = 1;
    }
    image
}

/// The disk as a stream-optimized VMDK with its grain directory at the end.
pub fn vmdk(disk: &[u8]) -> Vec<u8> {
    let mut out = vec![0; OVERHEAD * SECTOR];
    let descriptor = descriptor(disk.len() / SECTOR);
    out[SECTOR..SECTOR + descriptor.len()].copy_from_slice(descriptor.as_bytes());
    let mut tables = Vec::new();
    for table in disk.chunks(GRAIN * TABLE) {
        let first = tables.len() * TABLE;
        let mut entries = vec![0_u32; TABLE];
        for (index, grain) in table.chunks(GRAIN).enumerate() {
            if grain.iter().any(|&byte| byte != 0) {
                entries[index] = sector(&out);
                put_grain(&mut out, (first + index) * GRAIN / SECTOR, grain);
            }
        }
        tables.push(entries);
    }
    let directory: Vec<u32> = tables
        .iter()
        .map(|table| put_table(&mut out, 1, table))
        .collect();
    let directory = put_table(&mut out, 2, &directory);
    put_marker(&mut out, 1, 3);
    out.extend(header(disk.len() / SECTOR, directory.into()));
    out.extend([0; SECTOR]);
    out[..SECTOR].copy_from_slice(&header(disk.len() / SECTOR, u64::MAX));
    out
}

fn sector(out: &[u8]) -> u32 {
    u32::try_from(out.len() / SECTOR).unwrap_or(u32::MAX)
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(SECTOR), 0);
}

fn put_grain(out: &mut Vec<u8>, lba: usize, grain: &[u8]) {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(grain).expect("writing to memory");
    let packed = packed.finish().expect("writing to memory");
    out.extend((lba as u64).to_le_bytes());
    out.extend(
        u32::try_from(packed.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    out.extend(packed);
    pad(out);
}

/// A metadata marker: sectors that follow, no size, what they are.
fn put_marker(out: &mut Vec<u8>, sectors: usize, kind: u32) {
    out.extend((sectors as u64).to_le_bytes());
    out.extend([0; 4]);
    out.extend(kind.to_le_bytes());
    pad(out);
}

/// Returns the sector of the table.
fn put_table(out: &mut Vec<u8>, kind: u32, entries: &[u32]) -> u32 {
    put_marker(out, (entries.len() * 4).div_ceil(SECTOR), kind);
    let at = sector(out);
    out.extend(entries.iter().flat_map(|entry| entry.to_le_bytes()));
    pad(out);
    at
}

fn header(capacity: usize, directory: u64) -> Vec<u8> {
    let mut header = vec![0; SECTOR];
    header[..4].copy_from_slice(b"KDMV");
    header[4..8].copy_from_slice(&3_u32.to_le_bytes());
    header[8..12].copy_from_slice(&0x0003_0001_u32.to_le_bytes());
    header[12..20].copy_from_slice(&(capacity as u64).to_le_bytes());
    header[20..28].copy_from_slice(&((GRAIN / SECTOR) as u64).to_le_bytes());
    header[28] = 1;
    header[36] = 20;
    header[44..48].copy_from_slice(&512_u32.to_le_bytes());
    header[56..64].copy_from_slice(&directory.to_le_bytes());
    header[64..72].copy_from_slice(&(OVERHEAD as u64).to_le_bytes());
    header[73..77].copy_from_slice(b"\n \r\n");
    header[77] = 1;
    header
}

fn descriptor(sectors: usize) -> String {
    let cylinders = sectors / (255 * 63);
    format!(
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n\
         RW {sectors} SPARSE \"disk.vmdk\"\n\nddb.adapterType = \"lsilogic\"\nddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\nddb.virtualHWVersion = \"10\"\n"
    )
}

/// An OVA as ovftool lays it out: descriptor, manifest, disk.
pub fn ova(name: &str, disk: &[u8]) -> Vec<u8> {
    let vmdk = vmdk(disk);
    let ovf = ovf(name, vmdk.len(), disk.len());
    let manifest = format!(
        "SHA256({name}.ovf)= {}\nSHA256({name}.vmdk)= {}\n",
        hex::encode(Sha256::digest(ovf.as_bytes())),
        hex::encode(Sha256::digest(&vmdk))
    );
    let mut archive = tar::Builder::new(Vec::new());
    let members = [
        ("ovf", ovf.as_bytes()),
        ("mf", manifest.as_bytes()),
        ("vmdk", vmdk.as_slice()),
    ];
    for (ending, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, format!("{name}.{ending}"), bytes)
            .expect("writing to memory");
    }
    archive.into_inner().expect("writing to memory")
}

fn ovf(name: &str, file: usize, capacity: usize) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
  <References><File ovf:id="file1" ovf:href="{name}.vmdk" ovf:size="{file}"/></References>
  <DiskSection><Info>Disks</Info><Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="{capacity}" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <VirtualSystem ovf:id="{name}"><Info>A machine</Info><Name>{name}</Name>
    <VirtualHardwareSection><Info>Hardware</Info>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ElementName>Disk</rasd:ElementName><rasd:ResourceType>17</rasd:ResourceType><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#
    )
}
