//! Why a file cannot be imported, before the file's name is known: containers
//! inside an OVA speak the same words as files of their own. `Image::open` adds
//! the path and makes the user's `Error` of it.

use std::fmt;
use std::io;
use std::path::Path;

use super::{Content, Image, Source, named};
use crate::error::Error;
use crate::shell::{Command, is_visible, quote, quote_path};

/// The result of looking into a container.
pub(super) type Sight<T> = Result<T, Trouble>;

/// What stands between the file and an import.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The file itself is the matter.
    Unfit { cause: String, remedy: Remedy },
    /// It is not what a disk image is; its name may say that it is one.
    Strange { cause: String, remedy: Remedy },
    /// It could not be read.
    Unread(io::Error),
}

/// What helps.
#[derive(Clone, Debug)]
pub(super) enum Remedy {
    /// The copy is damaged, the original may be sound.
    CopyAgain,
    /// qemu-img understands what no cloud takes; raw is what every cloud takes.
    Convert,
    /// The OVA packed again, of these of its files in this order.
    Repack(Vec<String>),
    /// The disk in this file of the OVA, on its own.
    TakeOut(String),
    /// Anything else, in full.
    Say(String),
}

/// What does not keep the image from being imported, before the file's name is known.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    text: String,
    remedy: Option<Remedy>,
}

/// The same for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub text: String,
    /// What helps.
    pub remedy: Option<String>,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Unread(error)
    }
}

impl Trouble {
    pub(super) fn unfit(cause: impl Into<String>, remedy: Remedy) -> Self {
        Self::Unfit {
            cause: cause.into(),
            remedy,
        }
    }

    /// A structure with impossible values: nothing but a new copy helps.
    pub(super) fn damaged(container: &str, how: impl fmt::Display) -> Self {
        Self::unfit(
            format!("the {container} is damaged: {how}"),
            Remedy::CopyAgain,
        )
    }

    /// Names the member of an OVA that is meant.
    pub(super) fn inside(self, member: &str) -> Self {
        match self {
            Self::Unfit { cause, remedy } => Self::Unfit {
                cause: format!("{member} in the OVA: {cause}"),
                remedy: match remedy {
                    Remedy::Convert => export_as_stream(),
                    other => other,
                },
            },
            other => other,
        }
    }

    /// The user's error for the file at `path`.
    pub(super) fn at(self, path: &Path) -> Error {
        self.keeps_from_being("imported", path)
    }

    /// The same where something else than an import is meant.
    pub(super) fn keeps_from_being(self, done: &str, path: &Path) -> Error {
        let name = shown(path);
        match self {
            Self::Unfit { cause, remedy } => Error::refused(format!("{name} cannot be {done}"))
                .because_of(cause)
                .hint(remedy.sentence(path)),
            Self::Strange { cause, remedy } => {
                let cause = match named::ending(path) {
                    Some(ending) => format!("{cause}, though its name ends in .{ending}"),
                    None => cause,
                };
                Self::Unfit { cause, remedy }.keeps_from_being(done, path)
            }
            Self::Unread(error) => Error::failed(format!("{name} cannot be read")).because(error),
        }
    }
}

impl Notice {
    pub(super) fn new(text: impl Into<String>, remedy: Option<Remedy>) -> Self {
        let text = text.into();
        Self { text, remedy }
    }

    /// The warning for the file at `path`.
    pub(super) fn at(self, path: &Path) -> Warning {
        Warning {
            text: self.text,
            remedy: self.remedy.map(|remedy| remedy.sentence(path)),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remedy {
            Some(remedy) => write!(f, "{}; {remedy}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl Remedy {
    pub(super) fn say(sentence: impl Into<String>) -> Self {
        Self::Say(sentence.into())
    }

    fn sentence(&self, path: &Path) -> String {
        match self {
            Self::CopyAgain => "copy, download or export it again".into(),
            Self::Convert => convert(path),
            Self::Repack(files) => repack(path, files),
            Self::TakeOut(file) => take_out(path, file),
            Self::Say(sentence) => sentence.clone(),
        }
    }
}

/// Every importer of OVAs takes stream-optimized VMDKs in them.
pub(super) fn export_as_stream() -> Remedy {
    Remedy::say("export the virtual machine again, with stream-optimized VMDK disks")
}

/// The name of the file as messages show it.
pub(super) fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        "the image on standard input".into()
    } else {
        path.display().to_string()
    }
}

/// Unpacks the files and packs them in this order.
fn repack(path: &Path, files: &[String]) -> String {
    if !files.iter().all(|file| is_plain(file)) {
        return "unpack it, and pack it again with tar --format=ustar, the descriptor first".into();
    }
    let (archive, target) = archives(path);
    let files: Vec<_> = files.iter().map(|file| quote(file)).collect();
    let files = files.join(" ");
    format!(
        "pack it again: mkdir unpacked && tar -xf {archive} -C unpacked -- {files} && tar --format=ustar -cf {target} -C unpacked -- {files}"
    )
}

/// Unpacks a disk and makes a raw one of it.
fn take_out(path: &Path, file: &str) -> String {
    if !is_plain(file) {
        return "unpack the disk, convert it with qemu-img convert -O raw, and import that".into();
    }
    let (archive, _) = archives(path);
    let (convert, file) = (qemu_img("-O raw", Path::new(file), "raw"), quote(file));
    format!("import the disk on its own: tar -xf {archive} -- {file} && {convert}")
}

/// Returns the command that unpacks the first disk of an OVA, and the disk's file. `None`
/// for standard input, and where the name of the disk must not stand in a command.
pub fn unpacking(image: &Image) -> Option<(Command, &Path)> {
    let (Source::File(archive), Some(disk)) = (&image.source, image.disks.first()) else {
        return None;
    };
    is_plain(&disk.name).then(|| {
        let unpack = Command::new("tar -xf").file(archive).words("--");
        (unpack.arg(&disk.name), Path::new(&disk.name))
    })
}

/// The archive and one beside it.
fn archives(path: &Path) -> (String, String) {
    if path == Path::new("-") {
        return ("IMAGE".into(), "new.ova".into());
    }
    (
        quote_path(path),
        quote_path(&path.with_extension("new.ova")),
    )
}

/// Whether a name from an archive may stand in a command: it leads into no folder, is no
/// option and shows no other characters than it has.
fn is_plain(name: &str) -> bool {
    !name.contains(['/', '\\']) && !name.starts_with('-') && name.chars().all(is_visible)
}

fn convert(path: &Path) -> String {
    format!("convert it first: {}", qemu_img("-O raw", path, "raw"))
}

/// The command that makes a disk of another format of the image, beside it.
pub fn conversion(image: &Image, format: &str, extension: &str) -> String {
    let path = match &image.source {
        Source::File(path) => path.as_path(),
        Source::Stdin => Path::new("-"),
    };
    if let Content::Vhd {
        by_geometry: true, ..
    } = image.content
    {
        return by_size(format, path, extension);
    }
    // qemu-img takes a fixed VHD for a raw disk unless it is told.
    let from = match image.content {
        Content::Vhd { .. } => "-f vpc ",
        _ => "",
    };
    qemu_img(&format!("{from}-O {format}"), path, extension)
}

/// Virtual PC's disks end where their geometry does, for qemu-img; their own size counts.
fn by_size(format: &str, path: &Path, extension: &str) -> String {
    let (from, to) = from_to(path, extension);
    let name = if path == Path::new("-") {
        from
    } else {
        // qemu-img's options are separated by commas; two are one.
        path.display().to_string().replace(',', ",,")
    };
    let disk = format!("driver=vpc,force_size_calc=current_size,file.filename={name}");
    format!(
        "qemu-img convert --image-opts -O {format} {} {to}",
        quote(&disk)
    )
}

fn qemu_img(options: &str, path: &Path, extension: &str) -> String {
    let (from, to) = from_to(path, extension);
    format!("qemu-img convert {options} {from} {to}")
}

/// The image and a file beside it, as a shell takes them.
fn from_to(path: &Path, extension: &str) -> (String, String) {
    let mut target = path.with_extension(extension);
    if target == path {
        target = path.with_extension(format!("new.{extension}"));
    }
    if path == Path::new("-") {
        ("IMAGE".to_owned(), format!("disk.{extension}"))
    } else {
        (quote_path(path), quote_path(&target))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_can_be_pasted_into_a_shell() {
        let hint = |path: &str| Remedy::Convert.sentence(Path::new(path));
        assert_eq!(
            hint("a/disk.vdi"),
            "convert it first: qemu-img convert -O raw a/disk.vdi a/disk.raw"
        );
        assert_eq!(
            hint("it's.vmdk"),
            r"convert it first: qemu-img convert -O raw 'it'\''s.vmdk' 'it'\''s.raw'"
        );
        assert_eq!(
            hint("disk.raw"),
            "convert it first: qemu-img convert -O raw disk.raw disk.new.raw"
        );
        assert_eq!(
            hint("-x.vdi"),
            "convert it first: qemu-img convert -O raw ./-x.vdi ./-x.raw"
        );
        assert_eq!(
            hint("-"),
            "convert it first: qemu-img convert -O raw IMAGE disk.raw"
        );
    }

    #[test]
    fn a_disk_of_virtual_pc_keeps_its_size() {
        let said = Some(crate::image::Format::Raw);
        let mut image = Image::from_head(&[0; 512], said).unwrap();
        image.content = Content::Vhd {
            kind: crate::image::VhdKind::Dynamic,
            table_size: None,
            by_geometry: true,
        };
        image.source = Source::File("a, b.vhd".into());
        assert_eq!(
            conversion(&image, "raw", "raw"),
            "qemu-img convert --image-opts -O raw 'driver=vpc,force_size_calc=current_size,file.filename=a,, b.vhd' 'a, b.raw'"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_refusal() {
        let error = Trouble::from(io::Error::other("bad sector"))
            .inside("disk1.vmdk")
            .at(Path::new("x.ova"));
        assert_eq!(
            error.to_string(),
            "error: x.ova cannot be read\n  cause: bad sector"
        );
        assert_eq!(error.kind().exit_code(), 1);
    }
}
