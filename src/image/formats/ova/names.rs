//! Finds the members of an OVA by their names: the descriptor, the manifest, and the files that
//! the descriptor refers to. References are URIs relative to the descriptor (DSP0243,
//! "References section"; RFC 3986).

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use super::{ImageNotice, Member};
use crate::image::ova_manifest::{Comparison, Manifest};

/// The members of the archive.
pub(in crate::image) struct Names<'a> {
    members: &'a [Member],
    by_path: HashMap<String, usize>,
    descriptor: Option<usize>,
}

impl<'a> Names<'a> {
    pub(in crate::image) fn new(members: &'a [Member]) -> Self {
        let paths = members.iter().map(|member| normalize(&member.name));
        Self {
            members,
            by_path: paths.zip(0..).collect(),
            descriptor: members
                .iter()
                .position(|member| member.ends_with(".ovf") && !is_sidecar(member)),
        }
    }

    pub(in crate::image) fn descriptor(&self) -> Option<&'a Member> {
        self.members.get(self.descriptor?)
    }

    /// Returns the first file that counts.
    pub(in crate::image) fn first(&self) -> Option<&'a Member> {
        self.members.iter().find(|member| !is_sidecar(member))
    }

    /// Returns a file that an archiver has added.
    pub(in crate::image) fn sidecar(&self) -> Option<&'a Member> {
        self.members.iter().find(|member| is_sidecar(member))
    }

    pub(in crate::image) fn manifest(&self) -> Option<&'a Member> {
        self.members
            .iter()
            .find(|member| member.ends_with(".mf") && !is_sidecar(member))
    }

    /// Returns the folder of the descriptor, with the slash at its end.
    fn folder(&self) -> &'a str {
        let name = self.descriptor().map_or("", |member| member.name.as_str());
        name.rfind('/').map_or("", |slash| &name[..=slash])
    }

    /// Returns the member that a reference of the descriptor means.
    pub(in crate::image) fn find(&self, href: &str) -> Option<&'a Member> {
        let href = href.strip_prefix("file:").unwrap_or(href);
        let decoded = percent_decode_str(href).decode_utf8_lossy();
        let folder = self.folder();
        // Some writers do not encode a percent sign, some write the path in the archive.
        let paths = [href, &decoded].into_iter();
        let mut found =
            paths.flat_map(|path| [normalize(&format!("{folder}{path}")), normalize(path)]);
        let at = found.find_map(|path| self.by_path.get(&path))?;
        self.members.get(*at)
    }

    /// Returns the names that a manifest may use for a member: its path, its path relative to
    /// the descriptor, only its name.
    pub(in crate::image) fn all(&self, member: &'a Member) -> [&'a str; 3] {
        let name = member.name.as_str();
        let relative = name.strip_prefix(self.folder()).unwrap_or(name);
        [name, relative, name.rsplit('/').next().unwrap_or(name)]
    }

    /// Returns all members in the order that DSP0243 requires.
    pub(in crate::image) fn in_order(&self, descriptor: &Member) -> Vec<String> {
        let others = self.members.iter().filter(|member| {
            member.offset != descriptor.offset && !is_sidecar(member) && member.is_complete
        });
        let others = others.map(|member| member.name.clone());
        std::iter::once(descriptor.name.clone())
            .chain(others)
            .collect()
    }

    /// Returns the files that the manifest does not cover.
    pub(in crate::image) fn unverified_files(
        &self,
        manifest: &Manifest,
        file: &Member,
        listed: &[&'a Member],
    ) -> Vec<ImageNotice> {
        let (mut missing, mut unknown) = (vec![], vec![]);
        for member in listed {
            match manifest.unverified(&self.all(member)) {
                Some(Comparison::Unknown(algorithm)) => unknown.push((&member.name, algorithm)),
                Some(_) => missing.push(member.name.as_str()),
                None => {}
            }
        }
        let mut warnings = vec![];
        let name = &file.name;
        if !missing.is_empty() {
            let files = list_names(&missing);
            let (were, them) = match missing.as_slice() {
                [_] => ("was", "it"),
                _ => ("were", "them"),
            };
            let text =
                format!("{files} {were} not compared: the manifest {name} does not list {them}");
            warnings.push(ImageNotice::new(text, None));
        }
        if let Some((first, algorithm)) = unknown.first() {
            let text = format!(
                "{first} was not compared: its digest in {name} is of the unknown algorithm {algorithm}"
            );
            warnings.push(ImageNotice::new(text, None));
        }
        if manifest.unread_lines > 0 {
            let lines = match manifest.unread_lines {
                1 => "1 line".to_owned(),
                many => format!("{many} lines"),
            };
            let text = format!("{lines} of the manifest {name} can't be read");
            warnings.push(ImageNotice::new(text, None));
        }
        warnings
    }
}

/// Returns some of the names, and how many more there are.
fn list_names(names: &[&str]) -> String {
    match names {
        [first, second, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second} and {} more", rest.len())
        }
        names => names.join(" and "),
    }
}

/// Reports whether it is a file that macOS's archiver adds for each real one, or its folder of
/// them.
fn is_sidecar(member: &Member) -> bool {
    let mut parts = member.name.split('/');
    parts.any(|part| part == "__MACOSX" || part.starts_with("._") || part == ".DS_Store")
}

/// Reports whether a reference leads out of the archive.
pub(in crate::image) fn is_elsewhere(href: &str) -> bool {
    href.contains("://") && !href.starts_with("file:")
}

/// Normalizes a path: `./a//b/../c` is `a/c`.
fn normalize(path: &str) -> String {
    let mut parts = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn member(name: &str, offset: u64) -> Member {
        Member {
            name: name.to_owned(),
            offset,
            size: 1,
            is_complete: true,
        }
    }

    #[test]
    fn references_are_uris_relative_to_the_descriptor() {
        let members: Vec<_> = ["vm/a.ovf", "vm/my disk.vmdk", "100%25.vmdk", "vm/d/b.vmdk"]
            .iter()
            .zip(0..)
            .map(|(name, at)| member(name, at))
            .collect();
        let names = Names::new(&members);
        let find = |href: &str| names.find(href).map(|member| member.name.as_str());
        assert_eq!(find("my%20disk.vmdk"), Some("vm/my disk.vmdk"));
        assert_eq!(find("my disk.vmdk"), Some("vm/my disk.vmdk"));
        assert_eq!(find("./my%20disk.vmdk"), Some("vm/my disk.vmdk"));
        assert_eq!(find("file:my%20disk.vmdk"), Some("vm/my disk.vmdk"));
        assert_eq!(find("d/../d//b.vmdk"), Some("vm/d/b.vmdk"));
        assert_eq!(find("../100%25.vmdk"), Some("100%25.vmdk"));
        assert_eq!(find("vm/my disk.vmdk"), Some("vm/my disk.vmdk"));
        assert_eq!(find("other.vmdk"), None);
        assert_eq!(
            names.all(&members[3]),
            ["vm/d/b.vmdk", "d/b.vmdk", "b.vmdk"]
        );
    }

    #[test]
    fn the_files_of_an_archiver_are_not_the_machines() {
        let members = [
            member("._a.ovf", 0),
            member("a.ovf", 1),
            member("._a.mf", 2),
        ];
        let names = Names::new(&members);
        assert_eq!(names.descriptor().unwrap().offset, 1);
        assert_eq!(names.first().unwrap().offset, 1);
        assert_eq!(names.sidecar().unwrap().offset, 0);
        assert!(names.manifest().is_none());
        assert_eq!(names.in_order(&members[1]), ["a.ovf"]);
    }
}
