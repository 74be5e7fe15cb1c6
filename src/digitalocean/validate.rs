//! What DigitalOcean takes, checked before a byte is sent. Each rule says why.
//! <https://docs.digitalocean.com/products/custom-images/details/limits/>

use std::ops::RangeInclusive;
use std::path::Path;

use super::options::{Compression, Options};
use crate::config::problems::Problems;
use crate::image::{Content, Image, Source, Table, Target, action, unpacked};
use crate::units;

/// API reference, POST /v2/images: "smaller than 100 GB after being decompressed".
const TOO_LARGE: u64 = 100_000_000_000;
/// API reference, tags: letters, numbers, colons, dashes, underscores.
const TAG_LENGTH: usize = 255;
/// API reference, `distribution`; any other becomes Unknown.
const DISTRIBUTIONS: [&str; 13] = [
    "Arch Linux",
    "CentOS",
    "CoreOS",
    "Debian",
    "Fedora",
    "Fedora Atomic",
    "FreeBSD",
    "Gentoo",
    "openSUSE",
    "RancherOS",
    "Rocky Linux",
    "Ubuntu",
    "Unknown",
];

/// Seconds between two tries of a request.
pub const PAUSES: RangeInclusive<f64> = 0.0..=3600.0;

const TAKES: &str = "DigitalOcean takes RAW, qcow2, VHDX, VDI and VMDK, as they are or compressed with gzip or bzip2";

/// The rules that look at one option alone.
pub fn single(options: &Options, problems: &mut Problems<Options>) {
    if let Some(Err(why)) = options.space_name.as_deref().map(space) {
        problems.wrong("space_name", why);
    }
    if let Some(Err(why)) = options.spaces_region.as_deref().map(slug) {
        problems.wrong("spaces_region", why);
    }
    for region in options.image_regions.iter().flatten() {
        if let Err(why) = slug(region) {
            problems.wrong("image_regions", why);
        }
    }
    for (id, seconds) in [
        ("http_retry_wait_min", options.http_retry_wait_min),
        ("http_retry_wait_max", options.http_retry_wait_max),
    ] {
        let well = seconds.is_none_or(|seconds| PAUSES.contains(&seconds));
        problems.expect(well, id, "a pause has 0 to 3600 seconds");
    }
}

/// A Space's name, "Spaces limits": it becomes part of a host name.
fn space(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let well = (3..=63).contains(&name.len())
        && name.chars().all(fits)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if well {
        Ok(())
    } else {
        Err(format!(
            "\"{name}\" can't be a Space's name: 3 to 63 lower-case letters, digits and hyphens"
        ))
    }
}

/// A region's name. Which regions there are is asked, not known.
fn slug(region: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !region.is_empty() && region.chars().all(fits) {
        Ok(())
    } else {
        Err(format!("\"{region}\" can't be a region, such as nyc3"))
    }
}

/// A tag as it will be sent.
pub fn tag(tag: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_".contains(c);
    match tag.chars().find(|&c| !fits(c)) {
        Some(sign) => Err(format!(
            "the tag \"{tag}\" has {sign:?}: letters, digits, colons, dashes and underscores are allowed"
        )),
        None if tag.is_empty() || tag.len() > TAG_LENGTH => {
            Err(format!("a tag has 1 to {TAG_LENGTH} characters"))
        }
        None => Ok(()),
    }
}

/// An object's key: up to 1,024 bytes of UTF-8.
pub fn key(key: &str) -> Result<(), String> {
    match key.len() {
        0 => Err("the object's key is empty".to_owned()),
        1..=1024 if key.starts_with('/') => Err("the object's key begins with /".to_owned()),
        1..=1024 => Ok(()),
        length => Err(format!(
            "the object's key has {length} bytes, Spaces takes 1,024"
        )),
    }
}

/// The distribution as DigitalOcean writes it, and whether it knows it.
pub fn distribution(said: &str) -> (String, bool) {
    match DISTRIBUTIONS
        .iter()
        .find(|known| known.eq_ignore_ascii_case(said))
    {
        Some(known) => ((*known).to_owned(), true),
        None => (said.to_owned(), false),
    }
}

/// Whether the image is gzipped while it is sent.
pub fn is_gzipped(image: &Image, compression: Compression) -> bool {
    match compression {
        Compression::Auto => image.content == Content::Raw,
        Compression::Gzip => !image.content.is_compressed_file(),
        Compression::None => false,
    }
}

/// The ending of what is sent: DigitalOcean looks at it (docs.digitalocean.com, "Custom Images").
pub fn ending(image: &Image, gzipped: bool) -> String {
    let plain = match &image.content {
        Content::Gzip => format!("{}.gz", inside(image)),
        Content::Bzip2 => format!("{}.bz2", inside(image)),
        content => word(content).to_owned(),
    };
    if gzipped {
        format!("{plain}.gz")
    } else {
        plain
    }
}

/// The ending of what lies in a compressed file; of one whose beginning does not show it,
/// what the name says.
fn inside(image: &Image) -> String {
    if let Some(inner) = &image.inner {
        return word(&inner.content).to_owned();
    }
    let Source::File(path) = &image.source else {
        return "img".to_owned();
    };
    let inner = path.file_stem().map(Path::new).and_then(Path::extension);
    let inner = inner.map(|inner| inner.to_string_lossy().to_lowercase());
    let known = ["raw", "img", "qcow2", "vhdx", "vdi", "vmdk"];
    inner
        .filter(|inner| known.contains(&inner.as_str()))
        .unwrap_or_else(|| "img".to_owned())
}

fn word(content: &Content) -> &'static str {
    match content.format() {
        Some(format) => format.extension(),
        None if *content == Content::Vdi => "vdi",
        None => "img",
    }
}

/// A disk without partitions does not start.
pub fn warning(image: &Image) -> Option<String> {
    (image.content == Content::Raw && image.boot.table == Table::None).then(|| {
        "the disk has no partition table: DigitalOcean wants a system with an MBR or a GPT"
            .to_owned()
    })
}

/// Whether DigitalOcean takes such an image; the reason and the remedy when it does not.
pub fn accepts(image: &Image) -> Result<(), (String, String)> {
    if let Some(inner) = &image.inner
        && (takes(inner, image).is_err() || inner.content.is_compressed_file())
    {
        let name = image.content.name();
        let reason = format!("{TAKES}; in the {name} is {}", inner.label());
        return Err((reason, unpacked(image, Target::Qcow2)));
    }
    takes(image, image)?;
    let size = image.virtual_size.or(image.size).unwrap_or_default();
    if size >= TOO_LARGE {
        return Err((
            format!(
                "DigitalOcean takes images of less than 100 GB, this one has {}",
                units::bytes(size)
            ),
            "use a smaller disk".to_owned(),
        ));
    }
    Ok(())
}

fn takes(image: &Image, file: &Image) -> Result<(), (String, String)> {
    match &image.content {
        Content::Raw
        | Content::Qcow2 { .. }
        | Content::Vhdx { .. }
        | Content::Vdi
        | Content::Vmdk { .. }
        | Content::Gzip
        | Content::Bzip2 => Ok(()),
        Content::Vhd { .. }
        | Content::Ova { .. }
        | Content::Xz
        | Content::Zstd
        | Content::Zip
        | Content::Iso => Err((TAKES.to_owned(), action(file, Target::Qcow2))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut file = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        file.write_all(bytes).unwrap();
        file.finish().unwrap()
    }

    /// A disk with boot code and nothing else.
    fn disk() -> Vec<u8> {
        let mut disk = vec![0; 1024];
        disk[0] = 0xfa;
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk
    }

    fn image(bytes: &[u8]) -> Image {
        Image::from_head(bytes, None).unwrap()
    }

    #[test]
    fn the_ending_tells_what_is_sent() {
        let raw = image(&disk());
        assert_eq!(ending(&raw, true), "raw.gz");
        assert_eq!(ending(&raw, false), "raw");
        assert_eq!(ending(&image(&gzip(&disk())), false), "raw.gz");
        assert_eq!(ending(&image(b"BZh9"), false), "img.bz2");
    }

    #[test]
    fn a_raw_disk_is_gzipped_and_a_gzip_file_is_not_gzipped_again() {
        let (raw, packed) = (image(&disk()), image(&gzip(&disk())));
        assert!(is_gzipped(&raw, Compression::Auto));
        assert!(!is_gzipped(&raw, Compression::None));
        assert!(!is_gzipped(&packed, Compression::Gzip));
    }

    #[test]
    fn what_is_not_taken_is_told_how_to_become_so() {
        let (reason, remedy) = accepts(&image(b"\xfd7zXZ\0")).unwrap_err();
        assert_eq!(
            (reason.as_str(), remedy.as_str()),
            (TAKES, "unpack it: xz -dk IMAGE")
        );
        let (reason, _) = accepts(&image(&gzip(b"\xfd7zXZ\0"))).unwrap_err();
        assert!(
            reason.ends_with("in the gzip file is an xz file"),
            "{reason}"
        );
        assert!(accepts(&image(b"BZh9")).is_ok());
    }

    #[test]
    fn names_are_checked() {
        assert!(space("import-bucket").is_ok() && space("Import").is_err());
        assert!(slug("atl1").is_ok() && slug("nyc 3").is_err());
        assert!(tag("env:prod_1-a").is_ok() && tag("a b").is_err() && tag("").is_err());
        assert!(key("a/b").is_ok() && key("").is_err() && key("/a").is_err());
        assert_eq!(
            distribution("rocky linux"),
            ("Rocky Linux".to_owned(), true)
        );
        assert_eq!(distribution("Alpine"), ("Alpine".to_owned(), false));
    }
}
