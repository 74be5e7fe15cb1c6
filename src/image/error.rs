//! The errors and warnings of an inspection, before the file's name is known: containers inside
//! an OVA use the same ones as separate files. `Image::open` adds the path and creates the
//! user's `Error`.

use std::fmt;
use std::io;
use std::path::Path;

use super::conversion::{self, Driver, Target};
use super::{Content, file_name};
use crate::error::Error;

/// The result of inspecting a container.
pub(super) type ImageResult<T> = Result<T, ImageError>;

/// The reason that a file cannot be imported.
#[derive(Debug)]
pub(super) enum ImageError {
    /// The content of the file is the reason.
    Unusable { cause: String, fix: Fix },
    /// The content is not that of a disk image, though the name may be.
    NotADiskImage { cause: String, fix: Fix },
    /// Reading the file failed.
    Io(io::Error),
}

/// The remedy.
#[derive(Clone, Debug)]
pub(super) enum Fix {
    /// The copy is damaged, the original may be intact.
    CopyAgain,
    /// qemu-img reads it as this format and converts it to raw, which every cloud accepts.
    Convert(&'static str),
    /// qemu-img repairs it: the action, and the format.
    Repair(&'static str, &'static str),
    /// The OVA packed again, from these of its files in this order.
    Repack(Vec<String>),
    /// The disk in this file of the OVA, extracted; with its content, where that is known.
    ExtractMember(String, Option<Content>),
    /// Anything else, as a complete sentence.
    Custom(String),
}

/// A warning about an image that can be imported, before the file's name is known.
#[derive(Clone, Debug)]
pub(super) struct ImageNotice {
    text: String,
    fix: Option<Fix>,
}

/// A warning for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub text: String,
    /// The remedy.
    pub fix: Option<String>,
}

impl From<io::Error> for ImageError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl ImageError {
    pub(super) fn unusable(cause: impl Into<String>, fix: Fix) -> Self {
        Self::Unusable {
            cause: cause.into(),
            fix,
        }
    }

    /// Creates the error for a structure with impossible values: only a new copy helps.
    pub(super) fn damaged(container: &str, how: impl fmt::Display) -> Self {
        Self::unusable(format!("the {container} is damaged: {how}"), Fix::CopyAgain)
    }

    /// Adds the name of the OVA's member with the problem.
    pub(super) fn in_member(self, member: &str) -> Self {
        match self {
            Self::Unusable { cause, fix: remedy } => Self::Unusable {
                cause: format!("{member} in the OVA: {cause}"),
                fix: match remedy {
                    Fix::Convert(_) | Fix::Repair(..) => export_as_stream(),
                    other => other,
                },
            },
            other => other,
        }
    }

    /// Returns the user's error for the file at `path`.
    pub(super) fn into_error(self, path: &Path) -> Error {
        self.into_error_for("imported", path)
    }

    /// Returns the user's error for another operation than an import.
    pub(super) fn into_error_for(self, done: &str, path: &Path) -> Error {
        let name = display_path(path);
        match self {
            Self::Unusable { cause, fix: remedy } => {
                Error::refused(format!("{name} cannot be {done}"))
                    .with_cause(cause)
                    .hint(remedy.sentence(path))
            }
            Self::NotADiskImage { cause, fix: remedy } => {
                let cause = match file_name::extension(path) {
                    Some(ending) => format!("{cause}, though its name ends in .{ending}"),
                    None => cause,
                };
                Self::Unusable { cause, fix: remedy }.into_error_for(done, path)
            }
            Self::Io(error) => Error::failed(format!("{name} cannot be read")).with_source(error),
        }
    }
}

impl ImageNotice {
    pub(super) fn new(text: impl Into<String>, fix: Option<Fix>) -> Self {
        let text = text.into();
        Self { text, fix }
    }

    /// Returns the warning for the file at `path`.
    pub(super) fn at(self, path: &Path) -> Warning {
        Warning {
            text: self.text,
            fix: self.fix.map(|remedy| remedy.sentence(path)),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fix {
            Some(remedy) => write!(f, "{}; {remedy}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl Fix {
    pub(super) fn custom(sentence: impl Into<String>) -> Self {
        Self::Custom(sentence.into())
    }

    fn sentence(&self, path: &Path) -> String {
        match self {
            Self::CopyAgain => "copy, download or export it again".into(),
            Self::Convert(format) => {
                let command = conversion::convert(Driver::Named(format), path, Target::Raw);
                format!("convert it first: {command}")
            }
            Self::Repair(action, format) => {
                format!("{action}: {}", conversion::repair(format, path))
            }
            Self::Repack(files) => repack(path, files),
            Self::ExtractMember(file, content) => extract_member(path, file, content.as_ref()),
            Self::Custom(sentence) => sentence.clone(),
        }
    }
}

/// Returns the remedy to export the disk again: every importer of OVAs accepts stream-optimized
/// VMDKs.
pub(super) fn export_as_stream() -> Fix {
    Fix::custom("export the virtual machine again, with stream-optimized VMDK disks")
}

/// Returns the name of the file as messages show it.
pub(super) fn display_path(path: &Path) -> String {
    if path == Path::new("-") {
        "the image on standard input".into()
    } else {
        path.display().to_string()
    }
}

/// Returns the action that extracts the files and packs them in this order.
fn repack(path: &Path, files: &[String]) -> String {
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    match conversion::repacking(path, &files) {
        Some(command) => format!("pack it again: {command}"),
        None => {
            "unpack it, and pack it again in the ustar format of tar, the descriptor first".into()
        }
    }
}

/// Returns the action that extracts a disk and converts it to raw.
fn extract_member(path: &Path, file: &str, content: Option<&Content>) -> String {
    match conversion::taking_out(path, file, content) {
        Some(command) => format!("import the disk on its own: {command}"),
        None => "unpack the disk, convert it to raw with qemu-img, and import that".into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_can_be_pasted_into_a_shell() {
        let hint = |path: &str| Fix::Convert("vdi").sentence(Path::new(path));
        assert_eq!(
            hint("a/disk.vdi"),
            "convert it first: qemu-img convert -f vdi -O raw a/disk.vdi a/disk.raw"
        );
        assert_eq!(
            hint("it's.vmdk"),
            r"convert it first: qemu-img convert -f vdi -O raw 'it'\''s.vmdk' 'it'\''s.raw'"
        );
        assert_eq!(
            hint("disk.raw"),
            "convert it first: qemu-img convert -f vdi -O raw disk.raw disk.new.raw"
        );
        assert_eq!(
            hint("-x.vdi"),
            "convert it first: qemu-img convert -f vdi -O raw ./-x.vdi ./-x.raw"
        );
        assert_eq!(
            hint("-"),
            "convert it first: qemu-img convert -f vdi -O raw IMAGE disk.raw"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_refusal() {
        let error = ImageError::from(io::Error::other("bad sector"))
            .in_member("disk1.vmdk")
            .into_error(Path::new("x.ova"));
        assert_eq!(
            error.to_string(),
            "error: x.ova cannot be read\n  cause: bad sector"
        );
        assert_eq!(error.kind().exit_code(), 1);
    }
}
