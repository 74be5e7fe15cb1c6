//! What somebody left behind who set the system up: passwords, keys, histories, logs.
//! Contents are never kept: a password's hash or a key has no business here.

use super::root_fs::{Entry, Look, Tree};

/// A name and how many bytes it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub path: String,
    pub size: u64,
}

/// Everything that is left behind.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// Root, then the users in the order of /etc/passwd.
    pub users: Look<Vec<User>>,
    /// What lies in /var/log itself.
    pub logs: Look<Vec<Left>>,
    /// Whether a firewall is on; its name.
    pub firewall: Look<&'static str>,
    /// DigitalOcean's agent.
    pub agent: Look<()>,
    pub host_keys: Look<Vec<Left>>,
    /// What cloud-init keeps of earlier machines.
    pub instances: Look<Vec<Left>>,
    /// Whether the machine has an id already.
    pub machine_id: Look<()>,
    /// In /tmp and /var/tmp.
    pub temporary: Look<Vec<Left>>,
    pub random_seed: Look<()>,
}

/// An account that a person may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub home: String,
    pub password: Password,
    /// The files in `.ssh`.
    pub ssh: Look<Vec<Left>>,
    /// Bytes of `.bash_history`.
    pub history: Look<u64>,
}

/// What /etc/shadow says of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Password {
    /// `!`, `!!` or `*`.
    None,
    /// No password is asked for.
    Empty,
    /// A password that is locked: `!` before something.
    Locked,
    Set,
    Unseen,
}

/// /etc/passwd has a line of so many users at most that are looked at.
const USERS: usize = 500;
/// The least uid of a person's account (login.defs, UID_MIN).
const PERSONS: u32 = 1000;

pub(super) fn find(tree: &Tree) -> Traces {
    Traces {
        users: users(tree),
        logs: logs(tree),
        firewall: firewall(tree),
        agent: tree.at("/opt/digitalocean").map(|_| ()),
        host_keys: tree.list("/etc/ssh").map(|all| {
            left("/etc/ssh", all, |name| {
                name.starts_with("ssh_host_") && name.contains("key")
            })
        }),
        instances: tree
            .list("/var/lib/cloud/instances")
            .map(|all| left("/var/lib/cloud/instances", all, |_| true)),
        machine_id: machine_id(tree),
        temporary: temporary(tree),
        random_seed: tree.at("/var/lib/systemd/random-seed").map(|_| ()),
    }
}

fn left(dir: &str, all: Vec<Entry>, wanted: impl Fn(&str) -> bool) -> Vec<Left> {
    let all = all.into_iter().filter(|entry| wanted(&entry.name));
    all.map(|entry| Left {
        path: format!("{dir}/{}", entry.name),
        size: entry.size,
    })
    .collect()
}

fn users(tree: &Tree) -> Look<Vec<User>> {
    let shadow = tree.text("/etc/shadow");
    tree.text("/etc/passwd").map(|passwd| {
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
            name == "root" || uid >= PERSONS && name != "nobody"
        };
        accounts
            .filter(wanted)
            .take(USERS)
            .map(|(name, _, home)| user(tree, name, home, &shadow))
            .collect()
    })
}

fn user(tree: &Tree, name: &str, home: &str, shadow: &Look<String>) -> User {
    let home = home.trim_end_matches('/');
    let ssh = format!("{home}/.ssh");
    User {
        password: password(name, shadow),
        ssh: tree.list(&ssh).map(|all| left(&ssh, all, is_plain)),
        history: tree
            .at(&format!("{home}/.bash_history"))
            .map(|about| about.size),
        name: name.to_owned(),
        home: home.to_owned(),
    }
}

/// What a shell's `*` means.
fn is_plain(name: &str) -> bool {
    !name.starts_with('.')
}

/// An account that is not in /etc/shadow has no password.
fn password(name: &str, shadow: &Look<String>) -> Password {
    let text = match shadow {
        Look::Here(text) => text,
        Look::Absent => return Password::None,
        Look::Unseen => return Password::Unseen,
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

/// csf's log daemon writes two lines of no interest, over and over.
const LFD: &str = "lfd.log";
const LFD_LINES: [&str; 2] = [
    "/var/log/messages has been reset",
    " Watching /var/log/messages",
];

fn logs(tree: &Tree) -> Look<Vec<Left>> {
    tree.list("/var/log").map(|all| {
        let mut logs = left("/var/log", all, |_| true);
        for log in logs.iter_mut().filter(|log| log.path.ends_with(LFD)) {
            if let Look::Here(text) = tree.text(&log.path) {
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

/// A firewall that is on when the system has started.
fn firewall(tree: &Tree) -> Look<&'static str> {
    let ufw = tree.text("/etc/ufw/ufw.conf").map(|text| {
        text.lines()
            .any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes"))
    });
    if ufw == Look::Here(true) {
        return Look::Here("ufw");
    }
    for (name, unit) in [
        ("firewalld", "firewalld.service"),
        ("csf", "csf.service"),
        ("nftables", "nftables.service"),
    ] {
        match tree.enabled(&[unit]) {
            Some(true) => return Look::Here(name),
            Some(false) => {}
            None => return Look::Unseen,
        }
    }
    Look::Absent
}

/// systemd, "First boot semantics": empty or `uninitialized` until the first start.
fn machine_id(tree: &Tree) -> Look<()> {
    match tree.text("/etc/machine-id") {
        Look::Here(text) if matches!(text.trim(), "" | "uninitialized") => Look::Absent,
        id => id.map(|_| ()),
    }
}

fn temporary(tree: &Tree) -> Look<Vec<Left>> {
    let mut found = vec![];
    for dir in ["/tmp", "/var/tmp"] {
        match tree.list(dir) {
            Look::Here(all) => found.extend(left(dir, all, is_plain)),
            Look::Absent => {}
            Look::Unseen => return Look::Unseen,
        }
    }
    Look::Here(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_judged_by_its_field_in_shadow() {
        let text = "root:$y$j9T$x:19000:0::::\nadmin:!:1::\nold:!$6$x:1::\nopen::1::\nsvc:*:1::\nel:!!:1::\n";
        let shadow = Look::Here(text.to_owned());
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
        assert_eq!(password("root", &Look::Unseen), Password::Unseen);
    }
}
