//! Detects the distribution of a Linux system: from os-release(5), or from the files of older
//! systems, each with its own format.

use super::root_fs::{Observed, RootFs};

/// The content of os-release(5), or of the file that older systems have in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Os {
    /// "debian".
    pub id: String,
    /// "Debian GNU/Linux".
    pub name: String,
    /// "12"; empty on a rolling release.
    pub version: String,
    /// "Debian GNU/Linux 12 (bookworm)".
    pub pretty: String,
}

/// Files with one line such as "CentOS release 6.10 (Final)". A distribution that is built from
/// another one keeps that one's file, so its own file comes first.
const LINES: [&str; 11] = [
    "/etc/oracle-release",
    "/etc/enterprise-release",
    "/etc/centos-release",
    "/etc/almalinux-release",
    "/etc/rocky-release",
    "/etc/sl-release",
    "/etc/fedora-release",
    "/etc/system-release",
    "/etc/redhat-release",
    "/etc/gentoo-release",
    "/etc/SuSE-release",
];

/// The beginning of a name, and the ID that os-release has for it.
const IDS: [(&str, &str); 17] = [
    ("almalinux", "almalinux"),
    ("amazon linux", "amzn"),
    ("centos", "centos"),
    ("cloudlinux", "cloudlinux"),
    ("debian", "debian"),
    ("enterprise linux", "ol"),
    ("fedora", "fedora"),
    ("gentoo", "gentoo"),
    ("opensuse", "opensuse"),
    ("oracle", "ol"),
    ("red hat", "rhel"),
    ("rocky", "rocky"),
    ("scientific", "scientific"),
    ("slackware", "slackware"),
    ("suse", "sles"),
    ("ubuntu", "ubuntu"),
    ("xenserver", "xenenterprise"),
];

/// Returns the distribution that the system's own file names.
pub(super) fn find(root_fs: &RootFs) -> Observed<Os> {
    let os_release = root_fs.text("/etc/os-release");
    let os_release = os_release.or_else(|| root_fs.text("/usr/lib/os-release"));
    let keys = ["NAME", "VERSION_ID", "ID", "PRETTY_NAME"];
    match os_release.map(|text| parse_assignments(&text, keys)) {
        Observed::Absent => legacy_release(root_fs),
        // os-release exists but cannot be read; it would be more exact.
        Observed::Unknown => match legacy_release(root_fs) {
            Observed::Absent => Observed::Unknown,
            found => found,
        },
        found @ Observed::Present(_) => found,
    }
}

/// Returns the distribution from the files that preceded os-release.
fn legacy_release(root_fs: &RootFs) -> Observed<Os> {
    let mut found = Observed::Absent;
    for path in LINES {
        found = found.or_else(|| flatten(root_fs.text(path).map(|text| parse_line(&text))));
    }
    let lsb = || {
        let keys = [
            "DISTRIB_ID",
            "DISTRIB_RELEASE",
            "DISTRIB_ID",
            "DISTRIB_DESCRIPTION",
        ];
        root_fs
            .text("/etc/lsb-release")
            .map(|text| parse_assignments(&text, keys))
    };
    let debian = || {
        let version = root_fs.text("/etc/debian_version");
        version.map(|text| new("Debian", text.trim()))
    };
    let slackware = || {
        let text = root_fs.text("/etc/slackware-version");
        flatten(text.map(|text| {
            let text = text.trim().to_owned();
            let (name, version) = text.rsplit_once(' ')?;
            Some(new(name, version))
        }))
    };
    let alpine = || {
        let version = root_fs.text("/etc/alpine-release");
        version.map(|text| Os {
            id: "alpine".to_owned(),
            ..new("Alpine Linux", text.trim())
        })
    };
    found
        .or_else(lsb)
        .or_else(slackware)
        .or_else(alpine)
        .or_else(debian)
}

/// Returns `Absent` for a file without a name in it.
fn flatten(observed: Observed<Option<Os>>) -> Observed<Os> {
    match observed {
        Observed::Present(Some(os)) => Observed::Present(os),
        Observed::Present(None) | Observed::Absent => Observed::Absent,
        Observed::Unknown => Observed::Unknown,
    }
}

fn new(name: &str, version: &str) -> Os {
    Os {
        id: id_from_name(name),
        name: name.to_owned(),
        version: version.to_owned(),
        pretty: format!("{name} {version}").trim().to_owned(),
    }
}

fn id_from_name(name: &str) -> String {
    let lower = name.to_lowercase();
    let known = IDS.iter().find(|(start, _)| lower.starts_with(start));
    let first = || lower.split_whitespace().next().unwrap_or("linux");
    known.map_or_else(first, |(_, id)| id).to_owned()
}

/// Parses "CentOS Linux release 7.9.2009 (Core)", "SUSE Linux Enterprise Server 11 (x86_64)".
fn parse_line(text: &str) -> Option<Os> {
    let pretty = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let (name, rest) = match pretty.split_once(" release ") {
        Some(parts) => parts,
        None => pretty.find(|c: char| c.is_ascii_digit()).map_or_else(
            || (pretty.split(" (").next().unwrap_or(pretty), ""),
            |at| pretty.split_at(at),
        ),
    };
    let version = rest.split_whitespace().next().unwrap_or_default();
    Some(Os {
        pretty: pretty.to_owned(),
        ..new(name.trim(), version)
    })
}

/// Parses assignments of a shell; the keys are those of name, version, ID and the full name.
fn parse_assignments(text: &str, [name, version, id, pretty]: [&str; 4]) -> Os {
    let value = |key: &str| {
        let assigned = |line: &str| {
            line.trim()
                .strip_prefix(key)?
                .strip_prefix('=')
                .map(str::to_owned)
        };
        let raw = text.lines().filter_map(assigned).next_back();
        let raw = raw.unwrap_or_default();
        raw.trim_matches(['"', '\'']).replace('\\', "")
    };
    let or = |value: String, other: &str| {
        if value.is_empty() {
            other.to_owned()
        } else {
            value
        }
    };
    let (name, version) = (or(value(name), "Linux"), value(version));
    Os {
        id: or(value(id), "linux").to_lowercase(),
        pretty: or(value(pretty), format!("{name} {version}").trim()),
        name,
        version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_as_a_shell_would() {
        let keys = ["NAME", "VERSION_ID", "ID", "PRETTY_NAME"];
        let os = parse_assignments(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=debian\n",
            keys,
        );
        assert_eq!((os.id.as_str(), os.version.as_str()), ("debian", "12"));
        assert_eq!(os.pretty, "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(parse_assignments("", keys).pretty, "Linux");
    }

    #[test]
    fn an_older_system_has_the_name_that_its_file_has() {
        for (text, id, name, version) in [
            (
                "CentOS release 6.10 (Final)\nKernel \\r\n",
                "centos",
                "CentOS",
                "6.10",
            ),
            (
                "CentOS Linux release 7.9.2009 (Core)",
                "centos",
                "CentOS Linux",
                "7.9.2009",
            ),
            (
                "Red Hat Enterprise Linux Server release 5.11 (Tikanga)",
                "rhel",
                "Red Hat Enterprise Linux Server",
                "5.11",
            ),
            (
                "Scientific Linux release 6.10 (Carbon)",
                "scientific",
                "Scientific Linux",
                "6.10",
            ),
            ("Fedora release 14 (Laughlin)", "fedora", "Fedora", "14"),
            (
                "Oracle Linux Server release 6.9",
                "ol",
                "Oracle Linux Server",
                "6.9",
            ),
            (
                "XenServer release 7.6.0 (xenenterprise)",
                "xenenterprise",
                "XenServer",
                "7.6.0",
            ),
            ("MontaVista release 9", "montavista", "MontaVista", "9"),
            (
                "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\n",
                "sles",
                "SUSE Linux Enterprise Server",
                "11",
            ),
            ("Something else (now)", "something", "Something else", ""),
        ] {
            let os = parse_line(text);
            let os = os.unwrap_or_default();
            let parsed = (os.id.as_str(), os.name.as_str(), os.version.as_str());
            assert_eq!(parsed, (id, name, version));
            assert_eq!(Some(os.pretty.as_str()), text.lines().next());
        }
        assert_eq!(parse_line(" \n\n"), None);
    }
}
