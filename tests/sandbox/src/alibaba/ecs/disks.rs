//! Looks into the imported object: is it the format the request says, and how large is the
//! disk in it? Each reason comes with the code the task tells.
//! <https://www.alibabacloud.com/help/en/ecs/user-guide/import-a-custom-image>

use crate::content::Content;

/// A disk found in an object.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) format: &'static str,
    /// Bytes the machine sees
    pub(super) virtual_size: u64,
}

pub(super) type Reason = (String, String);

fn reason(code: &str, text: &str) -> Reason {
    (code.to_owned(), text.to_owned())
}

/// What the first and last bytes say.
fn format(content: &Content) -> Option<&'static str> {
    let has = |offset: u64, magic: &[u8]| read(content, offset, magic.len() as u64) == magic;
    let others: [&[u8]; 9] = [
        b"vhdxfile",
        b"COWD",
        b"# Disk DescriptorFile",
        b"\x1f\x8b",
        b"BZh",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"PK\x03\x04",
        b"<<< ",
    ];
    let is_other =
        others.iter().any(|magic| has(0, magic)) || has(257, b"ustar") || has(32769, b"CD001");
    match () {
        () if is_other => None,
        () if has(0, b"QFI\xfb") => Some("QCOW2"),
        () if has(0, b"KDMV") => Some("VMDK"),
        () if has(0, b"conectix") || footer(content).starts_with(b"conectix") => Some("VHD"),
        () => Some("RAW"),
    }
}

/// The disk in the object; an empty format means that ECS finds it out.
pub(super) fn inspect(content: &Content, declared: &str) -> Result<Disk, Reason> {
    let found = format(content);
    let found = found
        .filter(|found| declared.is_empty() || *found == declared)
        .ok_or_else(|| {
            let text = format!("The file is not an image of the format {declared}.");
            reason("InvalidImageFormat.Mismatch", &text)
        })?;
    let virtual_size = match found {
        "VHD" => vhd(content)?,
        "QCOW2" => qcow2(content)?,
        "VMDK" => little_endian(&read(content, 12, 8)).saturating_mul(512),
        _ => content.size(),
    };
    Ok(Disk {
        format: found,
        virtual_size,
    })
}

fn read(content: &Content, offset: u64, len: u64) -> Vec<u8> {
    let len = len.min(content.size().saturating_sub(offset));
    content
        .read_at(offset, len)
        .expect("the sandbox can read its own files")
}

fn footer(content: &Content) -> Vec<u8> {
    read(content, content.size().saturating_sub(512), 512)
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn broken(text: &str) -> Reason {
    reason("InvalidImageFormat.Broken", text)
}

fn vhd(content: &Content) -> Result<u64, Reason> {
    const FIXED: u64 = 2;
    const DYNAMIC: u64 = 3;
    let footer = footer(content);
    if footer.len() < 512 || !footer.starts_with(b"conectix") || !checksum_holds(&footer, 64) {
        return Err(broken("The VHD has no valid footer."));
    }
    let size = big_endian(&footer[48..56]);
    match big_endian(&footer[60..64]) {
        FIXED if size + 512 == content.size() => Ok(size),
        DYNAMIC if read(content, 0, 512) == footer => dynamic(content, size),
        _ => Err(broken(
            "The VHD is neither a whole fixed nor a whole dynamic disk.",
        )),
    }
}

/// `InvalidVHDImage.IncorrectSize`: the size must be MaxTableEntries × BlockSize.
fn dynamic(content: &Content, size: u64) -> Result<u64, Reason> {
    let header = read(content, 512, 1024);
    if header.len() < 1024 || !header.starts_with(b"cxsparse") || !checksum_holds(&header, 36) {
        return Err(broken("The VHD has no valid dynamic header."));
    }
    let (entries, block) = (big_endian(&header[28..32]), big_endian(&header[32..36]));
    if entries * block == size {
        return Ok(size);
    }
    let text = format!(
        "The size of the VHD, {size}, is not MaxTableEntries ({entries}) × BlockSize ({block})."
    );
    Err(reason("InvalidVHDImage.IncorrectSize", &text))
}

/// The ones' complement of the sum of all bytes, the field itself left out.
fn checksum_holds(bytes: &[u8], field: usize) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let stated = big_endian(&bytes[field..field + 4]);
    u64::from(!(sum(&bytes[..field]) + sum(&bytes[field + 4..]))) == stated
}

fn qcow2(content: &Content) -> Result<u64, Reason> {
    let header = read(content, 0, 104);
    if header.len() < 72 {
        return Err(broken("The QCOW2 header is cut."));
    }
    let field = |offset: usize, len: usize| big_endian(&header[offset..offset + len]);
    if field(8, 8) != 0 {
        return Err(broken("The QCOW2 image has a backing file."));
    }
    if field(32, 4) != 0 {
        return Err(broken("The QCOW2 image is encrypted."));
    }
    Ok(field(24, 8))
}
