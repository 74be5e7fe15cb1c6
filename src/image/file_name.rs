//! Finds the content that a file's name suggests, if it suggests one.

use std::path::Path;

use super::{Content, Format};

/// Extensions that suggest a content; `.img` and `.raw` are used for everything.
const EXTENSIONS: [&str; 12] = [
    "qcow2", "vhd", "vhdx", "vmdk", "ova", "vdi", "iso", "gz", "bz2", "xz", "zst", "zip",
];

/// Returns the extension, if it suggests a content.
pub(super) fn extension(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    EXTENSIONS.into_iter().find(|known| *known == ending)
}

/// Returns the extension if it suggests another content than this.
pub(super) fn contradicts(path: &Path, content: &Content) -> Option<&'static str> {
    let ending = extension(path)?;
    let named = match content {
        Content::Vdi => "vdi",
        Content::Iso => "iso",
        Content::Gzip => "gz",
        Content::Bzip2 => "bz2",
        Content::Xz => "xz",
        Content::Zstd => "zst",
        Content::Zip => "zip",
        content => content.format().map_or("", Format::extension),
    };
    (ending != named).then_some(ending)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_names_another_content_contradicts() {
        let contradicts = |name: &str| contradicts(Path::new(name), &Content::Raw);
        assert_eq!(contradicts("disk.QCOW2"), Some("qcow2"));
        assert_eq!(contradicts("disk.raw.gz"), Some("gz"));
        for silent in ["disk.raw", "disk.img", "disk", "disk.dd", "debian-12.7"] {
            assert_eq!(contradicts(silent), None);
        }
        let zip = super::contradicts(Path::new("disk.zip"), &Content::Zip);
        assert_eq!(zip, None);
    }
}
