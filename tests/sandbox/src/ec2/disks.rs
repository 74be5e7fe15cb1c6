//! Looks into the imported object: is it the format the request says? The reasons are
//! those of AWS's troubleshooting page for VM Import.
//! <https://docs.aws.amazon.com/vm-import/latest/userguide/vmimport-troubleshooting.html>

use std::collections::BTreeMap;
use std::io::{self, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::content::Content;

/// A disk found in the object.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) format: &'static str,
    /// Bytes it has in the object
    pub(super) size: u64,
    /// Bytes the machine sees
    pub(super) virtual_size: u64,
}

type Verdict<T> = Result<T, String>;

/// Part of an object: the whole, or a member of an OVA.
#[derive(Clone)]
struct View<'a> {
    content: &'a Content,
    offset: u64,
    size: u64,
}

impl View<'_> {
    fn read(&self, offset: u64, len: u64) -> Vec<u8> {
        let len = len.min(self.size.saturating_sub(offset));
        let bytes = self.content.read_at(self.offset + offset, len);
        bytes.expect("the sandbox can read its own files")
    }

    fn starts_with(&self, magic: &[u8]) -> bool {
        self.has(0, magic)
    }

    fn has(&self, offset: u64, magic: &[u8]) -> bool {
        self.read(offset, magic.len() as u64) == magic
    }

    fn footer(&self) -> Vec<u8> {
        self.read(self.size.saturating_sub(512), 512)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Raw,
    Vhd,
    Vhdx,
    Vmdk,
    Tar,
    /// A VMDK that is not one sparse file
    OldVmdk,
    Other,
}

fn kind(view: &View<'_>) -> Kind {
    let other: [&[u8]; 6] = [
        b"QFI\xfb",
        b"\x1f\x8b",
        b"BZh",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"PK\x03\x04",
    ];
    if other.iter().any(|magic| view.starts_with(magic)) || view.has(64, &[0x7f, 0x10, 0xda, 0xbe])
    {
        return Kind::Other;
    }
    let old_vmdk = view.starts_with(b"COWD") || view.starts_with(b"# Disk DescriptorFile");
    let known = [
        (Kind::OldVmdk, old_vmdk),
        (Kind::Vhdx, view.starts_with(b"vhdxfile")),
        (Kind::Vmdk, view.starts_with(b"KDMV")),
        (Kind::Tar, view.has(257, b"ustar")),
        (
            Kind::Vhd,
            view.starts_with(b"conectix") || view.footer().starts_with(b"conectix"),
        ),
        (Kind::Other, view.has(32769, b"CD001")),
    ];
    known
        .iter()
        .find(|(_, is)| *is)
        .map_or(Kind::Raw, |(kind, _)| *kind)
}

fn invalid(reason: &str) -> String {
    format!("ClientError: Disk validation failed [{reason}]")
}

const NOT_AS_SAID: &str = "Unsupported specified file format";

/// The disks of an object, or the StatusMessage with which AWS refuses it.
pub(super) fn inspect(content: &Content, format: &str) -> Verdict<Vec<Disk>> {
    let view = View {
        content,
        offset: 0,
        size: content.size(),
    };
    match (format, kind(&view)) {
        ("OVA", Kind::Tar) => ova(&view),
        ("OVA", _) => Err(invalid("Unsupported OVA format")),
        ("VMDK", Kind::Vmdk) => Ok(vec![vmdk(&view)?]),
        ("VMDK", Kind::OldVmdk) => Err(invalid("Unsupported VMDK File Format")),
        ("VHD", Kind::Vhd) => Ok(vec![vhd(&view)?]),
        ("VHDX", Kind::Vhdx) => Ok(vec![raw_disk("VHDX", &view)]),
        ("RAW", Kind::Raw) => Ok(vec![raw_disk("RAW", &view)]),
        _ => Err(invalid(NOT_AS_SAID)),
    }
}

fn raw_disk(format: &'static str, view: &View<'_>) -> Disk {
    Disk {
        format,
        size: view.size,
        virtual_size: view.size,
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Stream-optimized alone: compressed grains and markers, and the descriptor says so.
fn vmdk(view: &View<'_>) -> Verdict<Disk> {
    const COMPRESSED_WITH_MARKERS: u64 = 0x30000;
    let unsupported = || invalid("Unsupported VMDK File Format");
    let header = view.read(0, 512);
    if header.len() < 512 {
        return Err(unsupported());
    }
    let number = |offset: usize, len: usize| little_endian(&header[offset..offset + len]);
    let (start, length) = (
        number(28, 8).saturating_mul(512),
        number(36, 8).saturating_mul(512),
    );
    let descriptor = String::from_utf8_lossy(&view.read(start, length.min(1 << 20))).into_owned();
    let flags = number(8, 4) & COMPRESSED_WITH_MARKERS == COMPRESSED_WITH_MARKERS;
    if !flags || number(77, 2) != 1 || !descriptor.contains(r#"createType="streamOptimized""#) {
        return Err(unsupported());
    }
    Ok(Disk {
        format: "VMDK",
        size: view.size,
        virtual_size: number(12, 8) * 512,
    })
}

fn vhd(view: &View<'_>) -> Verdict<Disk> {
    const FIXED: u64 = 2;
    const DYNAMIC: u64 = 3;
    let footer = view.footer();
    if footer.len() < 512 || !footer.starts_with(b"conectix") || !checksum_holds(&footer) {
        return Err(invalid("Footers not identical"));
    }
    let virtual_size = big_endian(&footer[48..56]);
    match big_endian(&footer[60..64]) {
        FIXED if virtual_size + 512 == view.size => {}
        DYNAMIC if view.read(0, 512) == footer && view.has(512, b"cxsparse") => {}
        FIXED => return Err(invalid(NOT_AS_SAID)),
        _ => return Err(invalid("Footers not identical")),
    }
    Ok(Disk {
        format: "VHD",
        size: view.size,
        virtual_size,
    })
}

fn checksum_holds(footer: &[u8]) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let stated = big_endian(&footer[64..68]);
    u64::from(!(sum(&footer[..64]) + sum(&footer[68..]))) == stated
}

/// What the OVF says of its files.
#[derive(Default)]
struct Envelope {
    files: BTreeMap<String, File>,
    /// The files the disks are in, in order
    disks: Vec<String>,
}

struct File {
    href: String,
    size: Option<u64>,
    chunked: bool,
    compressed: bool,
}

fn ova(view: &View<'_>) -> Verdict<Vec<Disk>> {
    let unsupported = |_| invalid("Unsupported OVA format");
    let members = members(view).map_err(unsupported)?;
    let ovf = members
        .first()
        .filter(|(name, _)| name.to_lowercase().ends_with(".ovf"));
    let (_, ovf) = ovf.ok_or_else(|| invalid("Unsupported OVA format"))?;
    let text = ovf.read(0, ovf.size);
    let envelope = Envelope::parse(&String::from_utf8_lossy(&text));
    let envelope =
        envelope.ok_or_else(|| invalid("OVF file parsing error: not well-formed XML"))?;
    let members: BTreeMap<_, _> = members.into_iter().collect();
    let disks: Verdict<Vec<_>> = envelope
        .disks
        .iter()
        .map(|id| envelope.disk(id, &members))
        .collect();
    let disks = disks?;
    if disks.is_empty() {
        return Err(invalid("OVF file parsing error: no disks"));
    }
    Ok(disks)
}

fn members<'a>(view: &View<'a>) -> io::Result<Vec<(String, View<'a>)>> {
    let mut archive = tar::Archive::new(view.content.reader());
    let mut members = Vec::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let member = View {
            content: view.content,
            offset: entry.raw_file_position(),
            size: entry.size(),
        };
        members.push((entry.path()?.to_string_lossy().into_owned(), member));
    }
    check_complete(view, &members)?;
    Ok(members)
}

/// Seeking past the end does not fail, so a cut archive is found here.
fn check_complete(view: &View<'_>, members: &[(String, View<'_>)]) -> io::Result<()> {
    let end = members
        .iter()
        .map(|(_, member)| member.offset + member.size)
        .max();
    if end.is_none_or(|end| end > view.size) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut last = [0; 1];
    view.content.reader().read_exact(&mut last)
}

impl Envelope {
    fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader::from_str(text);
        let mut envelope = Self::default();
        let mut seen_root = false;
        loop {
            match reader.read_event().ok()? {
                Event::Start(element) | Event::Empty(element) => {
                    seen_root = true;
                    envelope.handle_element(&element);
                }
                Event::Eof => return seen_root.then_some(envelope),
                _ => {}
            }
        }
    }

    fn handle_element(&mut self, element: &BytesStart<'_>) {
        let attribute = |name: &str| {
            let mut attributes = element.attributes().filter_map(Result::ok);
            let found = attributes.find(|a| a.key.local_name().as_ref() == name)?;
            Some(quick_xml::escape::unescape(&found.value).ok()?.into_owned())
        };
        match element.local_name().as_ref() {
            "File" => {
                let file = File {
                    href: attribute("href").unwrap_or_default(),
                    size: attribute("size").and_then(|size| size.parse().ok()),
                    chunked: attribute("chunkSize").is_some(),
                    compressed: attribute("compression").is_some_and(|c| c != "identity"),
                };
                self.files.insert(attribute("id").unwrap_or_default(), file);
            }
            "Disk" => self.disks.extend(attribute("fileRef")),
            _ => {}
        }
    }

    fn disk(&self, id: &str, members: &BTreeMap<String, View<'_>>) -> Verdict<Disk> {
        let parsing = |text: String| invalid(&format!("OVF file parsing error: {text}"));
        let file = self
            .files
            .get(id)
            .ok_or_else(|| parsing(format!("no file {id}")))?;
        if file.chunked {
            return Err(parsing(
                "OVA with chunked disk files is not supported".to_owned(),
            ));
        }
        if file.compressed {
            return Err(parsing(
                "OVA with compressed disk files is not supported".to_owned(),
            ));
        }
        let member = members.get(&file.href);
        let member = member.ok_or_else(|| parsing(format!("{} is missing", file.href)))?;
        if file.size.is_some_and(|size| size != member.size) {
            return Err(parsing(format!("the size of {} differs", file.href)));
        }
        match kind(member) {
            Kind::Vmdk => vmdk(member),
            Kind::Vhd => vhd(member),
            _ => Err(invalid("Unsupported VMDK File Format")),
        }
    }
}
