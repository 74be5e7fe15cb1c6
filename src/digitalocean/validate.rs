//! DigitalOcean's restrictions, checked before the upload. Each rule contains its reason.
//! <https://docs.digitalocean.com/products/custom-images/details/limits/>

use std::ops::RangeInclusive;
use std::path::Path;

use super::options::{Compression, Options};
use crate::config::problems::Problems;
use crate::image::{Content, Image, ImageSource, PartitionTable, Target, action, unpacked};
use crate::units;

/// API reference, POST /v2/images: "smaller than 100 GB after being decompressed".
const MAX_SIZE: u64 = 100_000_000_000;
/// API reference, tags: letters, numbers, colons, dashes, underscores.
const MAX_TAG_LENGTH: usize = 255;
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
pub const RETRY_DELAY_SECONDS: RangeInclusive<f64> = 0.0..=3600.0;

const ACCEPTED_FORMATS: &str = "DigitalOcean takes RAW, qcow2, VHDX, VDI and VMDK, as they are or compressed with gzip or bzip2";

/// The rules that look at one option alone.
pub fn each_option(options: &Options, problems: &mut Problems<Options>) {
    if let Some(Err(reason)) = options.space_name.as_deref().map(space_name) {
        problems.invalid("space_name", reason);
    }
    if let Some(Err(reason)) = options.spaces_region.as_deref().map(region_slug) {
        problems.invalid("spaces_region", reason);
    }
    for region in options.image_regions.iter().flatten() {
        if let Err(reason) = region_slug(region) {
            problems.invalid("image_regions", reason);
        }
    }
    for (id, seconds) in [
        ("http_retry_wait_min", options.http_retry_wait_min),
        ("http_retry_wait_max", options.http_retry_wait_max),
    ] {
        let valid = seconds.is_none_or(|seconds| RETRY_DELAY_SECONDS.contains(&seconds));
        problems.require(valid, id, "a pause has 0 to 3600 seconds");
    }
}

/// A Space's name, "Spaces limits": it becomes part of a host name.
fn space_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let valid = (3..=63).contains(&name.len())
        && name.chars().all(fits)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if valid {
        Ok(())
    } else {
        Err(format!(
            "\"{name}\" can't be a Space's name: 3 to 63 lower-case letters, digits and hyphens"
        ))
    }
}

/// A region's name. Which regions there are is asked, not known.
fn region_slug(region: &str) -> Result<(), String> {
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
        None if tag.is_empty() || tag.len() > MAX_TAG_LENGTH => {
            Err(format!("a tag has 1 to {MAX_TAG_LENGTH} characters"))
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
pub fn distribution(explicit: &str) -> (String, bool) {
    match DISTRIBUTIONS
        .iter()
        .find(|documented| documented.eq_ignore_ascii_case(explicit))
    {
        Some(documented) => ((*documented).to_owned(), true),
        None => (explicit.to_owned(), false),
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
pub fn extension(image: &Image, gzipped: bool) -> String {
    let extension = match &image.content {
        Content::Gzip => format!("{}.gz", inner_extension(image)),
        Content::Bzip2 => format!("{}.bz2", inner_extension(image)),
        content => format_word(content).to_owned(),
    };
    if gzipped {
        format!("{extension}.gz")
    } else {
        extension
    }
}

/// The ending of what lies in a compressed file; of one whose beginning does not show it,
/// what the name says.
fn inner_extension(image: &Image) -> String {
    if let Some(inner) = &image.inner {
        return format_word(&inner.content).to_owned();
    }
    let ImageSource::File(path) = &image.source else {
        return "img".to_owned();
    };
    let inner = path.file_stem().map(Path::new).and_then(Path::extension);
    let inner = inner.map(|inner| inner.to_string_lossy().to_lowercase());
    let extensions = ["raw", "img", "qcow2", "vhdx", "vdi", "vmdk"];
    inner
        .filter(|inner| extensions.contains(&inner.as_str()))
        .unwrap_or_else(|| "img".to_owned())
}

fn format_word(content: &Content) -> &'static str {
    match content.format() {
        Some(format) => format.extension(),
        None if *content == Content::Vdi => "vdi",
        None => "img",
    }
}

/// A disk without partitions does not start.
pub fn boot_warning(image: &Image) -> Option<String> {
    (image.content == Content::Raw && image.boot.table == PartitionTable::None).then(|| {
        "the disk has no partition table: DigitalOcean wants a system with an MBR or a GPT"
            .to_owned()
    })
}

/// Whether DigitalOcean takes such an image; the reason and the remedy when it does not.
pub fn accepts(image: &Image) -> Result<(), (String, String)> {
    if let Some(inner) = &image.inner
        && (check_content(inner, image).is_err() || inner.content.is_compressed_file())
    {
        let name = image.content.name();
        let reason = format!("{ACCEPTED_FORMATS}; in the {name} is {}", inner.label());
        return Err((reason, unpacked(image, Target::Qcow2)));
    }
    check_content(image, image)?;
    let size = image.virtual_size.or(image.size).unwrap_or_default();
    if size >= MAX_SIZE {
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

fn check_content(image: &Image, file: &Image) -> Result<(), (String, String)> {
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
        | Content::Iso => Err((ACCEPTED_FORMATS.to_owned(), action(file, Target::Qcow2))),
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
    fn extension_matches_the_upload() {
        let raw = image(&disk());
        assert_eq!(extension(&raw, true), "raw.gz");
        assert_eq!(extension(&raw, false), "raw");
        assert_eq!(extension(&image(&gzip(&disk())), false), "raw.gz");
        assert_eq!(extension(&image(b"BZh9"), false), "img.bz2");
    }

    #[test]
    fn a_raw_disk_is_gzipped_and_a_gzip_file_is_not_gzipped_again() {
        let (raw, packed) = (image(&disk()), image(&gzip(&disk())));
        assert!(is_gzipped(&raw, Compression::Auto));
        assert!(!is_gzipped(&raw, Compression::None));
        assert!(!is_gzipped(&packed, Compression::Gzip));
    }

    #[test]
    fn unsupported_images_get_a_conversion_hint() {
        let (reason, remedy) = accepts(&image(b"\xfd7zXZ\0")).unwrap_err();
        assert_eq!(
            (reason.as_str(), remedy.as_str()),
            (ACCEPTED_FORMATS, "unpack it: xz -dk IMAGE")
        );
        let (reason, _) = accepts(&image(&gzip(b"\xfd7zXZ\0"))).unwrap_err();
        assert!(
            reason.ends_with("in the gzip file is an xz file"),
            "{reason}"
        );
        assert!(accepts(&image(b"BZh9")).is_ok());
    }

    #[test]
    fn rejects_invalid_names() {
        assert!(space_name("import-bucket").is_ok() && space_name("Import").is_err());
        assert!(region_slug("atl1").is_ok() && region_slug("nyc 3").is_err());
        assert!(tag("env:prod_1-a").is_ok() && tag("a b").is_err() && tag("").is_err());
        assert!(key("a/b").is_ok() && key("").is_err() && key("/a").is_err());
        assert_eq!(
            distribution("rocky linux"),
            ("Rocky Linux".to_owned(), true)
        );
        assert_eq!(distribution("Alpine"), ("Alpine".to_owned(), false));
    }
}
