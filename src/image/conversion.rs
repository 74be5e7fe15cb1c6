//! The commands that convert an image into one that a cloud accepts: qemu-img with the detected
//! format, because its own guess can be wrong, and the programs that decompress.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Content, Disk, Image, ImageSource};
use crate::shell::{Command, is_visible};

/// Extensions of compressed files, and the command that decompresses them in place.
const UNPACKERS: [(Content, &str, &str); 4] = [
    (Content::Gzip, "gz", "gzip -dk"),
    (Content::Bzip2, "bz2", "bzip2 -dk"),
    (Content::Xz, "xz", "xz -dk"),
    (Content::Zstd, "zst", "zstd -d"),
];

/// Placeholder for a file without a name: an image on standard input.
const NAMELESS: &str = "IMAGE";

/// The driver and options that qemu-img opens an image with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    /// By the name of the format, as in `qemu-img convert -f`.
    Named(&'static str),
    /// A VHD by the size in its footer. By default qemu-img ends the disks of Virtual PC where
    /// their geometry ends.
    SizedVhd,
}

/// The format that qemu-img writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Raw,
    Qcow2,
    /// A qcow2 with clusters compressed by zlib, which every importer reads.
    CompressedQcow2,
    StreamOptimized,
}

impl Target {
    fn words(self) -> &'static str {
        match self {
            Self::Raw => "-O raw",
            Self::Qcow2 => "-O qcow2",
            Self::CompressedQcow2 => "-O qcow2 -c",
            Self::StreamOptimized => "-O vmdk -o subformat=streamOptimized",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 | Self::CompressedQcow2 => "qcow2",
            Self::StreamOptimized => "vmdk",
        }
    }
}

impl Driver {
    /// Returns how qemu-img opens the disk; `None` for an archive or a compressed file.
    fn of(content: &Content) -> Option<Self> {
        Some(Self::Named(match content {
            Content::Raw | Content::Iso => "raw",
            // By default qemu-img would end the disk at its geometry.
            Content::Vhd { by_geometry, .. } if *by_geometry => return Some(Self::SizedVhd),
            Content::Vhd { .. } => "vpc",
            Content::Vhdx { .. } => "vhdx",
            Content::Vmdk { .. } => "vmdk",
            Content::Qcow2 { .. } => "qcow2",
            Content::Vdi => "vdi",
            Content::Ova { .. }
            | Content::Gzip
            | Content::Bzip2
            | Content::Xz
            | Content::Zstd
            | Content::Zip => return None,
        }))
    }
}

/// Returns the command that converts the file into an image beside it.
pub(super) fn convert(driver: Driver, path: &Path, target: Target) -> Command {
    let command = Command::new("qemu-img convert");
    let is_nameless = path == Path::new("-");
    let from = if is_nameless {
        Path::new(NAMELESS)
    } else {
        path
    };
    let command = match driver {
        Driver::Named(name) => command
            .words("-f")
            .words(name)
            .words(target.words())
            .file(from),
        Driver::SizedVhd => command
            .words("--image-opts")
            .words(target.words())
            .image_options("driver=vpc,force_size_calc=current_size", from),
    };
    let extension = target.extension();
    let mut to = path.with_extension(extension);
    if is_nameless {
        to = Path::new("disk").with_extension(extension);
    } else if to == path {
        // Never over the original file.
        to = path.with_extension(format!("new.{extension}"));
    }
    command.file(&to)
}

/// Returns the command that repairs an image of this format in place.
pub(super) fn repair(format: &'static str, path: &Path) -> Command {
    let command = Command::new("qemu-img check -f").words(format);
    command.words("-r all").file(named(path))
}

/// Returns the command that converts this image, or the disk in it if it is an archive or
/// compressed. `None` where a name is missing or must not be part of a command.
pub fn conversion(image: &Image, target: Target) -> Option<Command> {
    let path = path(image);
    if let Some(driver) = Driver::of(&image.content) {
        return Some(convert(driver, path, target));
    }
    if let Content::Ova { .. } = image.content {
        let (unpack, disk) = unpacking(image)?;
        let driver = Driver::of(disk.content.as_ref()?)?;
        return Some(unpack.then(&convert(driver, Path::new(&disk.name), target)));
    }
    let (unpack, unpacked) = decompression(&image.content, path)?;
    let driver = Driver::of(&image.inner.as_ref()?.content)?;
    Some(unpack.then(&convert(driver, &unpacked, target)))
}

/// Returns the action that converts the image to this format, with its command where there is
/// one.
pub fn action(image: &Image, target: Target) -> String {
    // Without a command: a name is missing, or must not be part of one.
    let by_hand = || "unpack it, and convert its disk with qemu-img".to_owned();
    match &image.content {
        Content::Iso => "install the system on a disk, and import that".to_owned(),
        Content::Ova { .. } => conversion(image, target).map_or_else(by_hand, |command| {
            format!("take its disk out and convert it: {command}")
        }),
        content if Driver::of(content).is_none() => decompressed(image),
        _ => conversion(image, target)
            .map_or_else(by_hand, |command| format!("convert it: {command}")),
    }
}

/// Returns the action that decompresses a file and converts its content to this format.
pub fn unpacked(image: &Image, target: Target) -> String {
    match conversion(image, target) {
        Some(command) => format!("unpack it and convert its disk: {command}"),
        None => decompressed(image),
    }
}

/// Returns the action that decompresses a file, with its command where there is one.
fn decompressed(image: &Image) -> String {
    match decompression(&image.content, path(image)) {
        Some((command, _)) => format!("unpack it: {command}"),
        None => "unpack it, and import what lies in it".to_owned(),
    }
}

/// Returns the command that extracts the first disk of an OVA, and the disk. `None` for
/// standard input, and where the name of the disk must not be part of a command.
pub fn unpacking(image: &Image) -> Option<(Command, &Disk)> {
    let (ImageSource::File(archive), Some(disk)) = (&image.source, image.disks.first()) else {
        return None;
    };
    Some((extraction(archive, &[&disk.name])?, disk))
}

/// Returns the command that extracts these members of an archive into the current directory.
fn extraction(archive: &Path, members: &[&str]) -> Option<Command> {
    let command = Command::new("tar -xf").file(named(archive));
    with_members(command.words("--"), members)
}

/// Returns the commands that pack these members of an archive again, in this order.
pub(super) fn repacking(archive: &Path, members: &[&str]) -> Option<Command> {
    let target = if archive == Path::new("-") {
        PathBuf::from("new.ova")
    } else {
        archive.with_extension("new.ova")
    };
    let unpack = Command::new("tar -xf").file(named(archive));
    let unpack = with_members(unpack.words("-C unpacked --"), members)?;
    let pack = Command::new("tar --format=ustar -cf").file(&target);
    let pack = with_members(pack.words("-C unpacked --"), members)?;
    Some(Command::new("mkdir unpacked").then(&unpack).then(&pack))
}

/// Returns the command that extracts a member of an archive and converts it to a raw disk.
/// `content` is its detected content; what qemu-img cannot read is only extracted.
pub(super) fn taking_out(
    archive: &Path,
    member: &str,
    content: Option<&Content>,
) -> Option<Command> {
    let unpack = extraction(archive, &[member])?;
    let path = Path::new(member);
    // A member may be compressed as a whole: then it is only decompressed.
    if let Some((decompress, _)) = content.and_then(|content| decompression(content, path)) {
        return Some(unpack.then(&decompress));
    }
    Some(match content.and_then(Driver::of) {
        Some(driver) => unpack.then(&convert(driver, path, Target::Raw)),
        None => unpack,
    })
}

/// Returns the command that decompresses a file in place, and the path of its output. The
/// programs require the usual extension of the name.
fn decompression(content: &Content, path: &Path) -> Option<(Command, PathBuf)> {
    let file = named(path);
    if *content == Content::Zip {
        let unpacked = path.with_extension("");
        return Some((Command::new("unzip").file(file), unpacked));
    }
    let mut unpackers = UNPACKERS.iter();
    let (_, ending, words) = unpackers.find(|(packed, ..)| packed == content)?;
    // The programs reject a file without the usual extension.
    let fits = path == Path::new("-") || path.extension() == Some(OsStr::new(ending));
    fits.then(|| (Command::new(words).file(file), path.with_extension("")))
}

/// Appends members of an archive, unless one of their names must not be part of a command.
fn with_members(command: Command, members: &[&str]) -> Option<Command> {
    let all = members.iter().all(|member| is_plain(member));
    all.then(|| {
        members
            .iter()
            .fold(command, |command, member| command.arg(member))
    })
}

/// Reports whether a name from an archive may be part of a command: it has no folder, is not an
/// option, not a name pattern (which the tar of BSD and macOS would match against members) and
/// has only visible characters.
fn is_plain(name: &str) -> bool {
    !name.contains(['/', '\\', '*', '?', '['])
        && !name.starts_with('-')
        && name.chars().all(is_visible)
}

fn path(image: &Image) -> &Path {
    match &image.source {
        ImageSource::File(path) => path,
        ImageSource::Stdin => Path::new("-"),
    }
}

/// Returns the path, or its placeholder.
fn named(path: &Path) -> &Path {
    if path == Path::new("-") {
        Path::new(NAMELESS)
    } else {
        path
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use imgimport_sandbox::shells::{self, Call};

    use super::*;
    use crate::image::{Format, VhdKind, VmdkKind};

    const TARGETS: [Target; 4] = [
        Target::Raw,
        Target::Qcow2,
        Target::CompressedQcow2,
        Target::StreamOptimized,
    ];

    fn image(name: &str, content: Content) -> Image {
        let mut image = Image::from_head(&[0; 512], Some(Format::Raw)).unwrap();
        (image.content, image.source) = (content, ImageSource::File(name.into()));
        image
    }

    fn vhd(by_geometry: bool) -> Content {
        Content::Vhd {
            kind: VhdKind::Dynamic,
            table_size: None,
            by_geometry,
        }
    }

    /// Returns every format, with qemu-img's name for it.
    fn formats() -> Vec<(Content, &'static str)> {
        let (kind, sector_size) = (None, None);
        vec![
            (Content::Raw, "raw"),
            (vhd(false), "vpc"),
            (Content::Vhdx { kind, sector_size }, "vhdx"),
            (
                Content::Vmdk {
                    kind: VmdkKind::MonolithicSparse,
                },
                "vmdk",
            ),
            (
                Content::Qcow2 {
                    version: 3,
                    zstd: false,
                    extended_l2: false,
                    snapshots: 0,
                },
                "qcow2",
            ),
            (Content::Vdi, "vdi"),
            (Content::Iso, "raw"),
        ]
    }

    /// Returns the name as an argument that every program treats as a file.
    fn argument(name: &str) -> String {
        let first = name.split('/').next().unwrap();
        let prefix = if first.starts_with('-') || first.contains(':') {
            "./"
        } else {
            ""
        };
        format!("{prefix}{name}")
    }

    fn call(words: &[&str]) -> Call {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    /// Returns the qemu-img call that reads `name` as `format`.
    fn converting(name: &str, format: &str, target: Target) -> Call {
        let extension = target.extension();
        let mut to = Path::new(name).with_extension(extension);
        if to == Path::new(name) {
            to = Path::new(name).with_extension(format!("new.{extension}"));
        }
        let mut words = vec!["qemu-img", "convert", "-f", format];
        words.extend(target.words().split(' '));
        let (from, to) = (argument(name), argument(to.to_str().unwrap()));
        words.extend([from.as_str(), &to]);
        call(&words)
    }

    #[test]
    fn each_format_is_named_to_qemu_img() {
        for (content, format) in formats() {
            for target in TARGETS {
                let line = conversion(&image("a b.img", content.clone()), target).unwrap();
                let expected = [converting("a b.img", format, target)];
                assert_eq!(shells::calls("sh", &line.to_string()), expected);
            }
        }
    }

    #[test]
    fn every_shell_runs_a_conversion_whatever_the_file_is_called() {
        for name in shells::HOSTILE {
            let line = conversion(&image(name, Content::Vdi), Target::Raw).unwrap();
            shells::all_make(&line.to_string(), &[converting(name, "vdi", Target::Raw)]);
            let line = conversion(&image(name, vhd(true)), Target::Raw).unwrap();
            let [from, to] = [name.to_owned(), name.to_owned()].map(|name| argument(&name));
            let to = Path::new(&to).with_extension("raw");
            let from = from.replace(',', ",,");
            let options = format!("driver=vpc,force_size_calc=current_size,file.filename={from}");
            let words = ["qemu-img", "convert", "--image-opts", "-O", "raw"];
            let words = [&words[..], &[options.as_str(), to.to_str().unwrap()]].concat();
            shells::all_make(&line.to_string(), &[call(&words)]);
        }
    }

    /// Returns an OVA with a disk of this name.
    fn ova(disk: &str) -> Image {
        let mut image = image("-the vm;.ova", Content::Ova { manifest: false });
        image.disks[0].name = disk.to_owned();
        let kind = VmdkKind::StreamOptimized;
        image.disks[0].content = Some(Content::Vmdk { kind });
        image
    }

    #[test]
    fn a_member_of_an_archive_is_an_argument_or_not_printed() {
        for name in shells::HOSTILE {
            let may_stand = is_plain(name);
            let line = conversion(&ova(name), Target::Qcow2);
            assert_eq!(line.is_some(), may_stand, "{name}");
            let Some(line) = line else { continue };
            let unpack = call(&["tar", "-xf", "./-the vm;.ova", "--", name]);
            let convert = converting(name, "vmdk", Target::Qcow2);
            shells::all_make(&line.to_string(), &[unpack, convert]);
            let line = repacking(Path::new("b.ova"), &["a.ovf", name]).unwrap();
            let unpack = ["tar", "-xf", "b.ova", "-C", "unpacked", "--", "a.ovf", name];
            let pack = ["tar", "--format=ustar", "-cf", "b.new.ova"];
            let pack = [&pack[..], &["-C", "unpacked", "--", "a.ovf", name]].concat();
            let expected = [call(&["mkdir", "unpacked"]), call(&unpack), call(&pack)];
            shells::all_make(&line.to_string(), &expected);
        }
        for name in ["../a", "a/b", "/etc/passwd", "-x", "a\nb", "a\u{202e}b"] {
            assert_eq!(conversion(&ova(name), Target::Raw), None, "{name}");
            assert_eq!(repacking(Path::new("b.ova"), &["a.ovf", name]), None);
            assert_eq!(taking_out(Path::new("b.ova"), name, None), None);
        }
    }

    #[test]
    fn a_compressed_file_is_unpacked_before_its_disk_is_converted() {
        for name in shells::HOSTILE {
            for (content, ending, words) in UNPACKERS.iter().take(3) {
                let packed = format!("{name}.{ending}");
                let mut image = image(&packed, content.clone());
                image.inner = Some(Box::new(self::image("-", vhd(false))));
                let line = conversion(&image, Target::Qcow2).unwrap().to_string();
                let mut unpack: Vec<_> = words.split(' ').collect();
                let file = argument(&packed);
                unpack.push(&file);
                let convert = converting(name, "vpc", Target::Qcow2);
                assert_eq!(shells::calls("sh", &line), [call(&unpack), convert]);
            }
        }
        let other = image("disk.img", Content::Xz);
        assert_eq!(conversion(&other, Target::Raw), None);
        assert_eq!(
            action(&other, Target::Raw),
            "unpack it, and import what lies in it"
        );
    }

    #[test]
    fn a_file_without_a_name_has_one_to_fill_in() {
        let mut image = image("-", Content::Vdi);
        image.source = ImageSource::Stdin;
        let line = conversion(&image, Target::Raw).unwrap().to_string();
        assert_eq!(line, "qemu-img convert -f vdi -O raw IMAGE disk.raw");
    }
}
