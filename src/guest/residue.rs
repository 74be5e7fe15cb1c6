//! Finds the leftovers of the system's setup: passwords, keys, histories, logs. Contents are
//! never stored: a password's hash or a key must not be in the facts.

use super::root_fs::{DirEntry, Observed, RootFs};

/// A file's name, and its size in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftoverFile {
    pub path: String,
    pub size: u64,
}

/// Everything that was left behind.
#[derive(Clone, Debug, Default)]
pub struct Residue {
    /// Root, then the users in the order of /etc/passwd.
    pub users: Observed<Vec<User>>,
    /// The files directly in /var/log.
    pub logs: Observed<Vec<LeftoverFile>>,
    /// The name of the firewall that is enabled.
    pub firewall: Observed<&'static str>,
    /// DigitalOcean's agent.
    pub agent: Observed<()>,
    pub host_keys: Observed<Vec<LeftoverFile>>,
    /// Data that cloud-init stores of earlier machines.
    pub instances: Observed<Vec<LeftoverFile>>,
    /// A machine ID that is set already.
    pub machine_id: Observed<()>,
    /// Files in /tmp and /var/tmp.
    pub temporary: Observed<Vec<LeftoverFile>>,
    pub random_seed: Observed<()>,
}

/// An account that a person may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub home: String,
    pub password: Password,
    /// The files in `.ssh`.
    pub ssh: Observed<Vec<LeftoverFile>>,
    /// Size of `.bash_history` in bytes.
    pub history: Observed<u64>,
}

/// The password field of an account in /etc/shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Password {
    /// `!`, `!!` or `*`.
    None,
    /// No password is required.
    Empty,
    /// A locked password: `!` before something.
    Locked,
    Set,
    Unknown,
}

/// The most users of /etc/passwd that are inspected.
const MAX_USERS: usize = 500;
/// The smallest UID of a person's account (login.defs, UID_MIN).
const FIRST_USER_ID: u32 = 1000;

pub(super) fn find(root_fs: &RootFs) -> Residue {
    Residue {
        users: users(root_fs),
        logs: logs(root_fs),
        firewall: firewall(root_fs),
        agent: root_fs.metadata_at("/opt/digitalocean").map(|_| ()),
        host_keys: root_fs.list("/etc/ssh").map(|all| {
            leftover_files("/etc/ssh", all, |name| {
                name.starts_with("ssh_host_") && name.contains("key")
            })
        }),
        instances: root_fs
            .list("/var/lib/cloud/instances")
            .map(|all| leftover_files("/var/lib/cloud/instances", all, |_| true)),
        machine_id: machine_id(root_fs),
        temporary: temporary(root_fs),
        random_seed: root_fs
            .metadata_at("/var/lib/systemd/random-seed")
            .map(|_| ()),
    }
}

fn leftover_files(
    dir: &str,
    all: Vec<DirEntry>,
    wanted: impl Fn(&str) -> bool,
) -> Vec<LeftoverFile> {
    let all = all.into_iter().filter(|entry| wanted(&entry.name));
    all.map(|entry| LeftoverFile {
        path: format!("{dir}/{}", entry.name),
        size: entry.size,
    })
    .collect()
}

fn users(root_fs: &RootFs) -> Observed<Vec<User>> {
    let shadow = root_fs.text("/etc/shadow");
    root_fs.text("/etc/passwd").map(|passwd| {
        let fields = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let accounts = fields.filter_map(|fields| {
            Some((
                *fields.first()?,
                fields.get(2)?.parse::<u32>().ok()?,
                *fields.get(5)?,
            ))
        });
        let wanted = |&(name, uid, _): &(&str, u32, &str)| {
            name == "root" || uid >= FIRST_USER_ID && name != "nobody"
        };
        accounts
            .filter(wanted)
            .take(MAX_USERS)
            .map(|(name, _, home)| user(root_fs, name, home, &shadow))
            .collect()
    })
}

fn user(root_fs: &RootFs, name: &str, home: &str, shadow: &Observed<String>) -> User {
    let home = home.trim_end_matches('/');
    let ssh = format!("{home}/.ssh");
    User {
        password: password(name, shadow),
        ssh: root_fs
            .list(&ssh)
            .map(|all| leftover_files(&ssh, all, is_file_name)),
        history: root_fs
            .metadata_at(&format!("{home}/.bash_history"))
            .map(|about| about.size),
        name: name.to_owned(),
        home: home.to_owned(),
    }
}

/// Reports whether a shell's `*` matches the name.
fn is_file_name(name: &str) -> bool {
    !name.starts_with('.')
}

/// Returns the password of an account; one that is not in /etc/shadow has none.
fn password(name: &str, shadow: &Observed<String>) -> Password {
    let text = match shadow {
        Observed::Present(text) => text,
        Observed::Absent => return Password::None,
        Observed::Unknown => return Password::Unknown,
    };
    let field = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    match field.map(|rest| rest.split(':').next().unwrap_or_default()) {
        None | Some("!" | "!!" | "*") => Password::None,
        Some("") => Password::Empty,
        Some(field) if field.starts_with(['!', '*']) => Password::Locked,
        Some(_) => Password::Set,
    }
}

/// csf's log daemon writes two irrelevant lines repeatedly.
const LFD: &str = "lfd.log";
const LFD_LINES: [&str; 2] = [
    "/var/log/messages has been reset",
    " Watching /var/log/messages",
];

fn logs(root_fs: &RootFs) -> Observed<Vec<LeftoverFile>> {
    root_fs.list("/var/log").map(|all| {
        let mut logs = leftover_files("/var/log", all, |_| true);
        for log in logs.iter_mut().filter(|log| log.path.ends_with(LFD)) {
            if let Observed::Present(text) = root_fs.text(&log.path) {
                let of_interest = |line: &&str| !LFD_LINES.iter().any(|known| line.contains(known));
                let bytes = text
                    .lines()
                    .filter(of_interest)
                    .map(|line| line.len() as u64 + 1);
                log.size = bytes.sum();
            }
        }
        logs
    })
}

/// Returns the firewall that is enabled at boot.
fn firewall(root_fs: &RootFs) -> Observed<&'static str> {
    let ufw = root_fs.text("/etc/ufw/ufw.conf").map(|text| {
        text.lines()
            .any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes"))
    });
    if ufw == Observed::Present(true) {
        return Observed::Present("ufw");
    }
    for (name, unit) in [
        ("firewalld", "firewalld.service"),
        ("csf", "csf.service"),
        ("nftables", "nftables.service"),
    ] {
        match root_fs.is_enabled(&[unit]) {
            Some(true) => return Observed::Present(name),
            Some(false) => {}
            None => return Observed::Unknown,
        }
    }
    Observed::Absent
}

/// Reads the machine ID. systemd, "First boot semantics": it is empty or `uninitialized` until
/// the first boot.
fn machine_id(root_fs: &RootFs) -> Observed<()> {
    match root_fs.text("/etc/machine-id") {
        Observed::Present(text) if matches!(text.trim(), "" | "uninitialized") => Observed::Absent,
        id => id.map(|_| ()),
    }
}

fn temporary(root_fs: &RootFs) -> Observed<Vec<LeftoverFile>> {
    let mut found = vec![];
    for dir in ["/tmp", "/var/tmp"] {
        match root_fs.list(dir) {
            Observed::Present(all) => found.extend(leftover_files(dir, all, is_file_name)),
            Observed::Absent => {}
            Observed::Unknown => return Observed::Unknown,
        }
    }
    Observed::Present(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_state_is_read_from_the_shadow_field() {
        let text = "root:$y$j9T$x:19000:0::::\nadmin:!:1::\nold:!$6$x:1::\nopen::1::\nsvc:*:1::\nel:!!:1::\n";
        let shadow = Observed::Present(text.to_owned());
        for (name, expected) in [
            ("root", Password::Set),
            ("admin", Password::None),
            ("old", Password::Locked),
            ("open", Password::Empty),
            ("svc", Password::None),
            ("el", Password::None),
            ("ghost", Password::None),
        ] {
            assert_eq!(password(name, &shadow), expected, "{name}");
        }
        assert_eq!(password("root", &Observed::Unknown), Password::Unknown);
    }
}
