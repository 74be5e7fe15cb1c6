//! The OVF descriptor inside an OVA (DSP0243 1.1 and 2.1, and its predecessor 0.9): files,
//! disks in boot order, machines and the firmware that they request. Ignores the namespaces of
//! names, because real writers differ in them; `ova` checks the archive against it.

mod attributes;
mod hardware;
mod text;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use attributes::Attributes;
use hardware::Hardware;

/// Deeper than any valid descriptor; nesting is only counted, without recursion.
const MAX_DEPTH: usize = 64;
/// The most files and disks of one descriptor; AWS imports 21 volumes.
pub(in crate::image) const MAX_ENTRIES: usize = 1000;

/// The facts of a descriptor that an import needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::image) struct Descriptor {
    pub(in crate::image) files: Vec<FileRef>,
    /// The disks; the one that the machine starts from is the first.
    pub(in crate::image) disks: Vec<DiskRef>,
    /// Number of virtual machines.
    pub(in crate::image) systems: usize,
    pub(in crate::image) efi: bool,
}

/// `References/File`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::image) struct FileRef {
    pub(in crate::image) id: String,
    /// A URI, relative to the descriptor.
    pub(in crate::image) href: String,
    pub(in crate::image) size: Option<u64>,
    pub(in crate::image) compression: Option<String>,
    pub(in crate::image) chunked: bool,
}

/// `DiskSection/Disk`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::image) struct DiskRef {
    pub(in crate::image) id: String,
    /// `None` for a blank disk.
    pub(in crate::image) file: Option<String>,
    /// In bytes; `None` where it is not a plain number.
    pub(in crate::image) capacity: Option<u64>,
    pub(in crate::image) parent: bool,
}

impl Descriptor {
    /// Parses the XML in any encoding that it declares; the error is a sentence that describes
    /// the problem.
    pub(in crate::image) fn parse(xml: &[u8]) -> Result<Self, String> {
        let xml = text::decode(xml)?;
        let mut reader = Reader::from_str(&xml);
        let (mut descriptor, mut hardware) = (Self::default(), Hardware::default());
        let mut depth = 0_usize;
        let mut envelope = false;
        loop {
            let event = reader.read_event().map_err(|error| error.to_string())?;
            match &event {
                Event::Start(element) => {
                    depth += 1;
                    envelope |= depth == 1 && element.local_name().as_ref() == "Envelope";
                    descriptor.handle_element(element)?;
                    hardware.start(element.local_name().as_ref());
                }
                Event::Empty(element) => descriptor.handle_element(element)?,
                Event::Text(text) => hardware.text(&text.xml10_content()),
                Event::CData(text) => hardware.text(&text.xml10_content()),
                Event::End(element) => {
                    depth = depth.saturating_sub(1);
                    hardware.end(element.local_name().as_ref());
                }
                Event::Eof => break,
                _ => {}
            }
            if depth > MAX_DEPTH {
                return Err("its elements are nested too deeply".into());
            }
        }
        hardware.sort_by_boot_order(&mut descriptor.disks);
        match (envelope, depth) {
            (true, 0) => Ok(descriptor),
            (true, _) => Err("it ends in the middle".into()),
            (false, _) => Err("it has no Envelope".into()),
        }
    }

    fn handle_element(&mut self, element: &BytesStart) -> Result<(), String> {
        match element.local_name().as_ref() {
            "File" => {
                self.files.push(file(&Attributes::parse(element)?));
                check_count(self.files.len(), "files")?;
            }
            "Disk" => {
                self.disks.push(disk(&Attributes::parse(element)?));
                check_count(self.disks.len(), "disks")?;
            }
            "VirtualSystem" => self.systems += 1,
            // OVF 0.9: <Content xsi:type="ovf:VirtualSystem_Type"/>
            "Content" => {
                let content = Attributes::parse(element)?;
                let kind = content.get("type").unwrap_or_default();
                self.systems += usize::from(kind.ends_with("VirtualSystem_Type"));
            }
            // VMware: <vmw:Config vmw:key="firmware" vmw:value="efi"/>
            "Config" => {
                let config = Attributes::parse(element)?;
                let value = config.get("value").unwrap_or_default();
                self.efi |=
                    config.get("key") == Some("firmware") && value.eq_ignore_ascii_case("efi");
            }
            // VirtualBox: <Firmware type="EFI"/>, also EFI32, EFI64
            "Firmware" => {
                let firmware = Attributes::parse(element)?;
                self.efi |= firmware
                    .get("type")
                    .is_some_and(|kind| kind.starts_with("EFI"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Rejects a descriptor with more entries: no import could use it, and it would take long.
fn check_count(count: usize, name: &str) -> Result<(), String> {
    if count > MAX_ENTRIES {
        return Err(format!("it names more than {MAX_ENTRIES} {name}"));
    }
    Ok(())
}

fn file(attributes: &Attributes) -> FileRef {
    FileRef {
        id: attributes.get_owned("id").unwrap_or_default(),
        href: attributes.get_owned("href").unwrap_or_default(),
        size: attributes
            .get("size")
            .and_then(|size| size.trim().parse().ok()),
        compression: attributes
            .get_owned("compression")
            .filter(|how| how != "identity" && !how.is_empty()),
        chunked: attributes.get("chunkSize").is_some(),
    }
}

fn disk(attributes: &Attributes) -> DiskRef {
    let unit = attributes.get("capacityAllocationUnits").unwrap_or("byte");
    let capacity = attributes
        .get("capacity")
        .and_then(|text| text.trim().parse::<u64>().ok());
    DiskRef {
        id: attributes.get_owned("diskId").unwrap_or_default(),
        file: attributes.get_owned("fileRef").filter(|id| !id.is_empty()),
        capacity: capacity.and_then(|count| count.checked_mul(unit_size(unit)?)),
        parent: attributes.get("parentRef").is_some_and(|id| !id.is_empty()),
    }
}

/// Returns the bytes of a unit of DSP0004, annex C "Programmatic Units": `byte * 2^30`; and of
/// the words of OVF 0.9.
fn unit_size(unit: &str) -> Option<u64> {
    let unit: String = unit.split_whitespace().collect();
    let factor = match unit.to_ascii_lowercase().as_str() {
        "byte" | "bytes" => return Some(1),
        "kilobytes" => return Some(1 << 10),
        "megabytes" => return Some(1 << 20),
        "gigabytes" => return Some(1 << 30),
        other => other.strip_prefix("byte*")?.to_owned(),
    };
    match factor.split_once('^') {
        Some((base, power)) => base.parse::<u64>().ok()?.checked_pow(power.parse().ok()?),
        None => factor.parse().ok(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &str) -> Descriptor {
        Descriptor::parse(format!("<Envelope>{body}</Envelope>").as_bytes()).unwrap()
    }

    fn parse_error(xml: &str) -> String {
        Descriptor::parse(xml.as_bytes()).unwrap_err()
    }

    #[test]
    fn files_and_disks_are_read_whatever_the_prefix() {
        for (open, prefix) in [("<Envelope>", ""), ("<x:Envelope xmlns:x='u'>", "x:")] {
            let close = open.replace(" xmlns:x='u'", "").replace('<', "</");
            let xml = format!(
                "\u{feff}{open}<{prefix}File {prefix}id='f' {prefix}href='a &amp; b.vmdk' {prefix}size='7'/>\
                 <{prefix}Disk {prefix}diskId='d' {prefix}fileRef='f' {prefix}capacity='3' {prefix}capacityAllocationUnits='byte * 2^30'/>{close}"
            );
            let descriptor = Descriptor::parse(xml.as_bytes()).unwrap();
            let file = &descriptor.files[0];
            assert_eq!((file.href.as_str(), file.size), ("a & b.vmdk", Some(7)));
            let disk = &descriptor.disks[0];
            assert_eq!(
                (disk.file.as_deref(), disk.capacity),
                (Some("f"), Some(3 << 30))
            );
        }
    }

    #[test]
    fn capacity_units_of_all_versions_are_parsed() {
        let capacity = |capacity: &str, unit: &str| {
            parse(&format!(
                "<Disk capacity='{capacity}' capacityAllocationUnits='{unit}'/>"
            ))
            .disks[0]
                .capacity
        };
        assert_eq!(capacity("5", "byte"), Some(5));
        assert_eq!(capacity("5", "byte*2^10"), Some(5 << 10));
        assert_eq!(capacity("5", "byte * 10^9"), Some(5_000_000_000));
        assert_eq!(capacity("5", "MegaBytes"), Some(5 << 20));
        assert_eq!(capacity("5", "byte * 2^99"), None);
        assert_eq!(capacity("${disk.size}", "byte"), None);
        assert_eq!(parse("<Disk capacity='5'/>").disks[0].capacity, Some(5));
    }

    #[test]
    fn machines_are_counted_and_their_firmware_is_read() {
        let one = parse("<VirtualSystem><Config key='firmware' value='efi'/></VirtualSystem>");
        assert_eq!((one.systems, one.efi), (1, true));
        let box_ =
            parse("<VirtualSystem><Hardware><Firmware type='EFI'/></Hardware></VirtualSystem>");
        assert!(box_.efi);
        let two = parse(
            "<VirtualSystemCollection><VirtualSystem/><VirtualSystem/></VirtualSystemCollection>",
        );
        assert_eq!((two.systems, two.efi), (2, false));
    }

    #[test]
    fn an_invalid_descriptor_has_a_reason() {
        assert_eq!(parse_error("<Machine/>"), "it has no Envelope");
        assert_eq!(parse_error("<Envelope><File>"), "it ends in the middle");
        assert_eq!(
            parse_error(&format!("<Envelope>{}", "<a>".repeat(70))),
            "its elements are nested too deeply"
        );
        assert!(Descriptor::parse(b"<Envelope><File id=\"&bomb;\"/></Envelope>").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_makes_it_panic(text in "(<Envelope>)?(<|>|/|'|\"|=|&|;|!|\\[|-|\\?| |Disk|File|capacity|Envelope|[a-z]|\\PC){0,60}") {
            let _ = Descriptor::parse(text.as_bytes());
        }
    }
}
