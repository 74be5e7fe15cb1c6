//! Which distribution a Linux system is: os-release(5), or what older systems have in its
//! place, each in its own words.

use super::root_fs::{Look, Tree};

/// os-release(5), or what older systems have in its place.
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

/// One line such as "CentOS release 6.10 (Final)"; what is built from another distribution
/// keeps that one's file, so its own come first.
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

/// How a name begins and the ID that os-release has for it.
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

/// The distribution as the system's own file names it.
pub(super) fn find(tree: &Tree) -> Look<Os> {
    let os_release = tree.text("/etc/os-release");
    let os_release = os_release.or_else(|| tree.text("/usr/lib/os-release"));
    let keys = ["NAME", "VERSION_ID", "ID", "PRETTY_NAME"];
    match os_release.map(|text| assigned(&text, keys)) {
        Look::Absent => older(tree),
        // It may say more, but lies where it can't be read.
        Look::Unseen => match older(tree) {
            Look::Absent => Look::Unseen,
            found => found,
        },
        found @ Look::Here(_) => found,
    }
}

/// What systems had before there was os-release.
fn older(tree: &Tree) -> Look<Os> {
    let mut found = Look::Absent;
    for path in LINES {
        found = found.or_else(|| said(tree.text(path).map(|text| line(&text))));
    }
    let lsb = || {
        let keys = [
            "DISTRIB_ID",
            "DISTRIB_RELEASE",
            "DISTRIB_ID",
            "DISTRIB_DESCRIPTION",
        ];
        tree.text("/etc/lsb-release")
            .map(|text| assigned(&text, keys))
    };
    let debian = || {
        let version = tree.text("/etc/debian_version");
        version.map(|text| named("Debian", text.trim()))
    };
    let slackware = || {
        let text = tree.text("/etc/slackware-version");
        said(text.map(|text| {
            let text = text.trim().to_owned();
            let (name, version) = text.rsplit_once(' ')?;
            Some(named(name, version))
        }))
    };
    let alpine = || {
        let version = tree.text("/etc/alpine-release");
        version.map(|text| Os {
            id: "alpine".to_owned(),
            ..named("Alpine Linux", text.trim())
        })
    };
    found
        .or_else(lsb)
        .or_else(slackware)
        .or_else(alpine)
        .or_else(debian)
}

/// A file without a name in it says nothing.
fn said(found: Look<Option<Os>>) -> Look<Os> {
    match found {
        Look::Here(Some(os)) => Look::Here(os),
        Look::Here(None) | Look::Absent => Look::Absent,
        Look::Unseen => Look::Unseen,
    }
}

fn named(name: &str, version: &str) -> Os {
    Os {
        id: id(name),
        name: name.to_owned(),
        version: version.to_owned(),
        pretty: format!("{name} {version}").trim().to_owned(),
    }
}

fn id(name: &str) -> String {
    let lower = name.to_lowercase();
    let known = IDS.iter().find(|(start, _)| lower.starts_with(start));
    let first = || lower.split_whitespace().next().unwrap_or("linux");
    known.map_or_else(first, |(_, id)| id).to_owned()
}

/// "CentOS Linux release 7.9.2009 (Core)", "SUSE Linux Enterprise Server 11 (x86_64)".
fn line(text: &str) -> Option<Os> {
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
        ..named(name.trim(), version)
    })
}

/// Assignments as a shell writes them; the keys of name, version, id and the whole.
fn assigned(text: &str, [name, version, id, pretty]: [&str; 4]) -> Os {
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
        let os = assigned(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=debian\n",
            keys,
        );
        assert_eq!((os.id.as_str(), os.version.as_str()), ("debian", "12"));
        assert_eq!(os.pretty, "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(assigned("", keys).pretty, "Linux");
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
            let os = line(text);
            let os = os.unwrap_or_default();
            let seen = (os.id.as_str(), os.name.as_str(), os.version.as_str());
            assert_eq!(seen, (id, name, version));
            assert_eq!(Some(os.pretty.as_str()), text.lines().next());
        }
        assert_eq!(line(" \n\n"), None);
    }
}
