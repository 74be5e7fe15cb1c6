//! Inspects a local disk image before the upload: container, disks, sizes, how it boots, and
//! whether it is complete. `detect` distinguishes the containers, each of which has its own
//! file in `formats`; `partitions` reads the disk inside. Whether one cloud accepts the image
//! is decided by that cloud's recipe.

mod boot;
mod byte_view;
mod cache;
mod comparison;
mod compressed;
mod content;
mod conversion;
mod decompress;
mod detect;
mod digests;
mod disk_reader;
mod error;
mod file_name;
mod firmware;
mod found;
mod inspect;
mod layout;
mod magic;
mod ova_manifest;
mod partition_table;
mod partitions;
mod pipe_bytes;
mod recognized;
mod stream;
mod unsupported;
mod volume_kind;

use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::platform;
use crate::platform::{FileId, NotRegularFile};

pub use boot::Boot;
pub use content::{Content, Format, VhdKind, VmdkKind};
pub use conversion::{Target, action, conversion, unpacked, unpacking};
pub use disk_reader::DiskReader;
pub use error::Warning;
pub use firmware::Firmware;
pub use inspect::OpenOptions;
pub use partition_table::PartitionTable;
pub use partitions::{Partition, Role};
pub use stream::{Accepts, CheckedReader, Verdict};
pub use volume_kind::VolumeKind;

use byte_view::ByteView;
use error::{Fix, ImageError, display_path};
use found::Detection;
use inspect::Inspection;

/// Bytes of standard input that are inspected: descriptors and partition tables are in the
/// first 32 KiB, the signature of an ISO image at 32 KiB, the last signature of a file system
/// after 128 KiB.
pub const HEAD: usize = 256 << 10;

/// The source of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    File(PathBuf),
    Stdin,
}

/// A disk image that some cloud may accept.
#[derive(Clone, Debug)]
pub struct Image {
    pub source: ImageSource,
    /// The detected content.
    pub content: Content,
    /// The format for `--format`; `None` for VDI, ISO and compressed files.
    pub format: Option<Format>,
    /// Bytes to send; `None` for a pipe.
    pub size: Option<u64>,
    /// Size of the disk in bytes as the guest sees it, for an OVA the sum; `None` when unknown.
    pub virtual_size: Option<u64>,
    /// The disks of an OVA in the order of its descriptor; otherwise the one disk.
    pub disks: Vec<Disk>,
    /// The boot methods of the first disk, as far as they could be detected.
    pub boot: Boot,
    pub modified: Option<SystemTime>,
    /// The identity of the file; `None` for a pipe.
    pub identity: Option<FileId>,
    /// The bytes that `open` read from standard input; they precede the rest of it.
    pub head: Vec<u8>,
    /// Problems that do not prevent an import.
    pub warnings: Vec<Warning>,
    /// The content of a compressed file, as far as it could be read.
    pub inner: Option<Box<Image>>,
    /// The user's settings for the image.
    pub options: OpenOptions,
    /// The disk in its container begins with zeros, and is empty.
    pub is_blank: bool,
}

/// Waits for the first bytes of standard input and returns them, at most [`HEAD`].
pub fn read_head() -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    io::stdin()
        .lock()
        .take(HEAD as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

/// One disk of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The member's name in an OVA, otherwise the file's.
    pub name: String,
    /// Offset of the disk in the file; `None` where a pipe does not provide it yet.
    pub offset: Option<u64>,
    /// Size in the file in bytes; 0 for a blank disk that an OVA only describes.
    pub size: Option<u64>,
    /// Size in bytes as the guest sees it.
    pub virtual_size: Option<u64>,
    /// `None` where it could not be detected.
    pub content: Option<Content>,
}

impl Image {
    /// Inspects the file, or the head of standard input for `-`.
    pub fn open(path: &Path, options: impl Into<OpenOptions>) -> Result<Self> {
        let options = options.into();
        if path == Path::new("-") {
            let head = read_head().map_err(|error| ImageError::from(error).into_error(path))?;
            return Self::from_head(&head, options);
        }
        let (file, about) = regular_file(path)?;
        let subject = Inspection {
            source: ImageSource::File(path.into()),
            view: ByteView::new(&file, about.len()),
            size: Some(about.len()),
            available: about.len(),
            open: &|| Ok(Box::new(file.try_clone()?)),
        };
        let mut image = subject
            .inspect(options)
            .map_err(|error| error.into_error(path))?;
        image.modified = about.modified().ok();
        image.identity = Some(platform::file_id(&file).map_err(|error| unreadable(path, error))?);
        Ok(image)
    }

    /// Inspects the first bytes of a pipe, at most [`HEAD`]; they are stored in `head`.
    pub fn from_head(head: &[u8], options: impl Into<OpenOptions>) -> Result<Self> {
        let shared: Arc<[u8]> = head.into();
        let subject = Inspection {
            source: ImageSource::Stdin,
            view: ByteView::of_head(&head),
            size: None,
            available: head.len() as u64,
            open: &|| Ok(Box::new(Arc::clone(&shared))),
        };
        let image = subject.inspect(options.into());
        let mut image = image.map_err(|error| error.into_error(Path::new("-")))?;
        image.head = head.to_vec();
        Ok(image)
    }

    fn from_detection(found: Detection, source: ImageSource, size: Option<u64>) -> Self {
        let path = match &source {
            ImageSource::File(path) => path.as_path(),
            ImageSource::Stdin => Path::new("-"),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let warnings = found.warnings.into_iter();
        let warnings = warnings.map(|notice| notice.at(path)).collect();
        let disks = found.disks.unwrap_or_else(|| {
            vec![Disk {
                name: name.clone().into_owned(),
                offset: Some(0),
                size,
                virtual_size: found.virtual_size,
                content: Some(found.content.clone()),
            }]
        });
        Self {
            format: found.content.format(),
            content: found.content,
            warnings,
            source,
            size,
            virtual_size: found.virtual_size,
            disks,
            boot: Boot {
                firmware: found.firmware,
                ..Boot::default()
            },
            modified: None,
            identity: None,
            head: Vec::new(),
            inner: None,
            options: OpenOptions::default(),
            is_blank: false,
        }
    }

    /// Returns the content with its article: "a stream-optimized VMDK".
    pub fn label(&self) -> String {
        self.content.label()
    }

    /// Returns one line for the progress output: "OVA with one stream-optimized VMDK, 1.3 GiB
    /// disk".
    pub fn describe(&self) -> String {
        let inside = match self.content {
            Content::Ova { .. } => self.describe_disks(),
            _ => String::new(),
        };
        let size = match (self.virtual_size, self.size) {
            (Some(bytes), _) if self.disks.len() > 1 => format!(", {} in all", binary_size(bytes)),
            (Some(bytes), _) => format!(", {} disk", binary_size(bytes)),
            (None, Some(bytes)) => format!(", {}", binary_size(bytes)),
            (None, None) => String::new(),
        };
        format!("{}{inside}{size}", self.content.name())
    }

    fn describe_disks(&self) -> String {
        let names: Vec<_> = self.disks.iter().map(Disk::kind).collect();
        match names.as_slice() {
            [] => String::new(),
            [one] => format!(" with one {one}"),
            [first, rest @ ..] if rest.iter().all(|name| name == first) => {
                format!(" with {} {first}s", names.len())
            }
            _ => format!(" with {} disks", names.len()),
        }
    }

    /// Reports whether the path still leads to the file that was inspected, by its metadata.
    pub fn is_unchanged_at(&self, path: &Path) -> io::Result<bool> {
        // Open only a regular file: opening a pipe could block.
        Ok(fs::metadata(path)?.is_file() && self.is_unchanged(&File::open(path)?)?)
    }

    /// Reports whether the file is unchanged since it was inspected.
    pub fn is_unchanged(&self, file: &File) -> io::Result<bool> {
        let now = file.metadata()?;
        Ok(self.size == Some(now.len())
            && self.modified == now.modified().ok()
            && self.identity == Some(platform::file_id(file)?))
    }
}

impl Disk {
    fn kind(&self) -> &'static str {
        match (&self.content, self.size) {
            (Some(content), _) => content.name(),
            (None, Some(0)) => "blank disk",
            (None, _) => "disk",
        }
    }
}

/// Opens a regular file; a pipe or device is never opened, because that may block.
fn regular_file(path: &Path) -> Result<(File, Metadata)> {
    let about = fs::metadata(path).map_err(|error| unreadable(path, error))?;
    if let Some(error) = not_a_file(path, about.file_type()) {
        return Err(error);
    }
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let about = file.metadata().map_err(|error| unreadable(path, error))?;
    Ok((file, about))
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let name = display_path(path);
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::usage(format!("there is no file {name}"))
        }
        _ => Error::failed(format!("{name} cannot be read")).with_source(error),
    }
}

fn not_a_file(path: &Path, kind: FileType) -> Option<Error> {
    let (cause, remedy) = match platform::not_regular_file(kind)? {
        NotRegularFile::Directory => ("it is a directory", "name the image file in it"),
        NotRegularFile::Pipe => (
            "it is a pipe, not a file",
            "give it on standard input, with - as the image",
        ),
        NotRegularFile::BlockDevice => (
            "it is a block device, whose content may change",
            "copy it to a file first, with nothing mounted from it",
        ),
        NotRegularFile::Socket => ("it is a socket", "name a file"),
    };
    Some(ImageError::unusable(cause, Fix::custom(remedy)).into_error(path))
}

/// Returns "1.3 GiB": bytes in the largest binary unit, rounded to one decimal.
fn binary_size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let rounded = |unit: u128| (u128::from(bytes) * 10 + unit / 2) / unit;
    let sizes = (1..).map(|power| rounded(1 << (10 * power)));
    match sizes.zip(units).find(|&(tenths, _)| tenths < 10240) {
        Some((tenths, unit)) if bytes >= 1024 => {
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        _ => format!("{bytes} bytes"),
    }
}

pub mod formats;
#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod qemu_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod test_support;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn sizes_read_as_in_every_other_message() {
        assert_eq!(binary_size(1023), "1023 bytes");
        assert_eq!(binary_size(1024), "1.0 KiB");
        assert_eq!(binary_size((1 << 30) - 1), "1.0 GiB");
        assert_eq!(binary_size(1_342_177_280), "1.3 GiB");
        assert_eq!(binary_size(u64::MAX), "16.0 EiB");
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_file_is_unchanged_until_it_is_written() {
        let mut file = file(&[1; 1024]);
        let image = Image::open(file.path(), Some(Format::Raw)).unwrap();
        assert_eq!(image.size, Some(1024));
        assert_eq!(image.disks[0].virtual_size, Some(1024));
        assert!(image.is_unchanged(file.as_file()).unwrap());
        file.write_all(b"more").unwrap();
        assert!(!image.is_unchanged(file.as_file()).unwrap());
    }

    #[test]
    fn a_path_that_leads_nowhere_is_wrong_usage() {
        let error = Image::open(Path::new("no/such.ova"), None).unwrap_err();
        assert_eq!(error.to_string(), "error: there is no file no/such.ova");
        assert_eq!(error.kind().exit_code(), 2);
    }

    #[test]
    fn a_directory_is_refused() {
        let error = Image::open(Path::new("/"), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "error: / cannot be imported\n  cause: it is a directory\n  hint: name the image file in it"
        );
        assert_eq!(error.kind().exit_code(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_or_pipe_is_refused_without_opening_it() {
        let error = Image::open(Path::new("/dev/null"), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "error: /dev/null cannot be imported\n  cause: it is a pipe, not a file\n  hint: give it on standard input, with - as the image"
        );
    }

    #[test]
    fn an_empty_file_is_refused() {
        let file = file(b"");
        let error = Image::open(file.path(), None).unwrap_err().to_string();
        let name = file.path().display();
        assert_eq!(
            error,
            format!(
                "error: {name} cannot be imported\n  cause: it is empty\n  hint: copy, download or export it again"
            )
        );
    }

    #[test]
    fn an_explicit_format_must_match_the_content() {
        assert_eq!(
            test_support::open_as(&[1; 512], Format::Ova)
                .unwrap_err()
                .to_string(),
            "error: disk.img cannot be imported\n  cause: its content is a raw disk, but the format given is ova\n  hint: leave --format out, or say --format raw"
        );
        assert_eq!(
            test_support::open_as(b"\x1f\x8b\x08 and more", Format::Raw)
                .unwrap_err()
                .to_string(),
            "error: disk.img cannot be imported\n  cause: its content is a gzip file, but the format given is raw\n  hint: leave --format out"
        );
        assert!(test_support::open_as(&[1; 512], Format::Raw).is_ok());
    }

    #[test]
    fn a_pipe_is_looked_at_by_its_head_which_is_kept() {
        let image = Image::from_head(&vec![1; HEAD], Some(Format::Raw)).unwrap();
        assert_eq!((image.size, image.virtual_size), (None, None));
        assert_eq!(image.head.len(), HEAD);
        assert_eq!(image.describe(), "raw disk");
        let fixed = Image::from_head(&image.head, Some(Format::Vhd)).unwrap();
        assert_eq!(fixed.label(), "a fixed VHD");
    }

    #[test]
    fn an_empty_pipe_is_refused() {
        assert_eq!(
            Image::from_head(b"", None).unwrap_err().to_string(),
            "error: the image on standard input cannot be imported\n  cause: it is empty\n  hint: copy, download or export it again"
        );
    }
}
