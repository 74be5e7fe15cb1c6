//! What DigitalOcean's Marketplace image check, version 1.8.1, would say of the system,
//! and what its clean-up script would have removed. Where the script does not do what it
//! means to, the meaning counts: it looks at every user, at every home.

use std::path::Path;

use super::finding::{Finding, Rule};
use crate::guest::{Left, Look, Os, Password, System, User};
use crate::shell::Command;

/// Version of the script whose rules these are.
pub const VERSION: &str = "1.8.1";
const CHECK: &str =
    "https://github.com/digitalocean/marketplace-partners/blob/master/scripts/99-img-check.sh";
const CLEANUP: &str =
    "https://github.com/digitalocean/marketplace-partners/blob/master/scripts/90-cleanup.sh";

/// Bytes of a log, of keys, of known hosts that count as none.
const LITTLE: u64 = 50;
/// Bytes of a shell's history that count as none.
const SHORT: u64 = 200;
/// Accounts of no person, to the script.
const NOBODIES: [&str; 3] = ["nobody", "centos", "nfsnobody"];

/// Everything that the two scripts look at, in their order.
pub fn inside(system: &System) -> Vec<Finding> {
    let mut found = os(&system.os);
    found.push(cloud_init(system));
    found.push(firewall(system));
    found.push(
        Rule("updates", CHECK)
            .unseen("pending security updates can't be known without starting the system"),
    );
    found.extend(logs(&system.traces.logs));
    found.extend(users(&system.traces.users));
    found.push(agent(&system.traces.agent));
    found.extend(leftovers(system));
    found
}

/// Where no files can be read, nothing can be said.
pub fn blind() -> Vec<Finding> {
    vec![
        Rule("system", CHECK)
            .unseen("its files can't be read here: run the script in the system itself"),
    ]
}

fn os(os: &Look<Os>) -> Vec<Finding> {
    let rule = Rule("os", CHECK);
    let os = match os {
        Look::Here(os) => os,
        Look::Absent => {
            return vec![rule.refused(
                "it does not say which system it is",
                "use a system that the Marketplace takes",
            )];
        }
        Look::Unseen => return vec![rule.unseen("which system it is can't be seen")],
    };
    match versions(&os.name) {
        None => vec![rule.refused(
            format!("the Marketplace takes no {}", os.name),
            "use Ubuntu, Debian, CentOS, Rocky Linux, AlmaLinux or CloudLinux",
        )],
        Some(versions) if versions.iter().any(|known| fits(known, &os.version)) => {
            vec![rule.ok(format!("{} {}", os.name, os.version))]
        }
        Some(versions) => vec![rule.refused(
            format!(
                "the Marketplace takes no version {} of {}",
                os.version, os.name
            ),
            format!("use one of {}", versions.join(", ")),
        )],
    }
}

/// The versions of a system that are taken; with a dot at the end, all that begin so.
fn versions(name: &str) -> Option<&'static [&'static str]> {
    match name {
        "Ubuntu" => Some(&["16.04", "18.04", "20.04", "22.04", "22.10", "24.04"]),
        "CentOS Linux" => Some(&["6", "7", "8"]),
        "CentOS Stream" => Some(&["8", "9"]),
        "Rocky Linux" => Some(&["8.", "9."]),
        "AlmaLinux" | "CloudLinux" => Some(&["8", "8.", "9", "9."]),
        name if name.starts_with("Debian") => Some(&["9", "10", "11", "12", "13"]),
        _ => None,
    }
}

fn fits(known: &str, version: &str) -> bool {
    known == version || known.ends_with('.') && version.starts_with(known)
}

fn cloud_init(system: &System) -> Finding {
    let rule = Rule("cloud-init", CHECK);
    match &system.cloud_init {
        Look::Here(_) => rule.ok("cloud-init is installed"),
        Look::Absent => rule.refused("cloud-init is not installed", "install cloud-init"),
        Look::Unseen => rule.unseen("whether cloud-init is installed can't be seen"),
    }
}

fn firewall(system: &System) -> Finding {
    let rule = Rule("firewall", CHECK);
    match system.traces.firewall {
        Look::Here(name) => rule.ok(name),
        Look::Absent => rule.warning("no firewall is turned on", "turn one on, such as ufw"),
        Look::Unseen => rule.unseen("whether a firewall is turned on can't be seen"),
    }
}

/// How to remove a file of the image, on the machine that it was made of.
fn remove_it(path: &str) -> String {
    format!("remove it: {}", Command::new("rm").file(Path::new(path)))
}

fn logs(logs: &Look<Vec<Left>>) -> Vec<Finding> {
    let rule = Rule("logs", CHECK);
    let Look::Here(logs) = logs else {
        return vec![rule.unseen("/var/log can't be seen")];
    };
    let archives = logs.iter().filter(|log| is_archive(&log.path));
    let archives =
        archives.map(|log| rule.warning(format!("log archive {}", log.path), remove_it(&log.path)));
    let full = logs
        .iter()
        .filter(|log| matches!(log.path.rsplit_once('.'), Some((_, "log"))) && log.size > LITTLE);
    let full = full.filter(|log| log.path != "/var/log/cpanel-install.log");
    let full = full.map(|log| {
        let size = crate::units::bytes(log.size);
        rule.warning(
            format!("{} has {size}", log.path),
            format!(
                "empty it: {}",
                Command::new("truncate -s 0").file(Path::new(&log.path))
            ),
        )
    });
    let found: Vec<_> = archives.chain(full).collect();
    if found.is_empty() {
        vec![rule.ok("no archives, no full logs")]
    } else {
        found
    }
}

/// `messages-20260101` or `syslog.1`. The script's `*-????????` also hits `cloud-init.log`,
/// which is not what it means.
fn is_archive(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let ends = |mark, count| {
        name.rsplit_once(mark)
            .is_some_and(|(_, end)| digits(end, count))
    };
    !name.starts_with('.') && (ends('-', 8) || ends('.', 1))
}

fn users(users: &Look<Vec<User>>) -> Vec<Finding> {
    let Look::Here(users) = users else {
        return vec![Rule("users", CHECK).unseen("the users can't be seen")];
    };
    let persons = users
        .iter()
        .filter(|user| !NOBODIES.contains(&user.name.as_str()));
    let found: Vec<_> = persons
        .flat_map(|user| {
            [password(user)]
                .into_iter()
                .chain(keys(user))
                .chain([history(user)])
        })
        .collect();
    let (well, ill): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|finding| finding.level == super::finding::Level::Ok);
    // One line a matter where all is well, however many users there are.
    let rules = ["passwords", "keys", "histories"];
    let fine = rules
        .iter()
        .filter(|rule| ill.iter().all(|finding| finding.rule != **rule));
    let fine = fine.filter_map(|rule| well.iter().find(|finding| finding.rule == *rule).cloned());
    ill.iter().cloned().chain(fine).collect()
}

fn password(user: &User) -> Finding {
    let rule = Rule("passwords", CHECK);
    let lock = Command::new("usermod -p '!'").operand(&user.name);
    let lock = format!("lock it: {lock}");
    match user.password {
        Password::None => rule.ok("no passwords"),
        Password::Set => rule.refused(format!("the user {} has a password", user.name), lock),
        Password::Empty => rule.refused(
            format!("the user {} has an empty password", user.name),
            lock,
        ),
        Password::Locked => rule.refused(
            format!(
                "the user {} has a locked password, which the script counts as set",
                user.name
            ),
            lock,
        ),
        Password::Unseen => rule.unseen(format!(
            "whether the user {} has a password can't be seen",
            user.name
        )),
    }
}

fn keys(user: &User) -> Vec<Finding> {
    let rule = Rule("keys", CHECK);
    let files = match &user.ssh {
        Look::Here(files) => files,
        Look::Absent => return vec![rule.ok("no keys")],
        Look::Unseen => return vec![rule.unseen(format!("{}/.ssh can't be seen", user.home))],
    };
    let found: Vec<_> = files.iter().filter_map(|file| key(file, rule)).collect();
    if found.is_empty() {
        vec![rule.ok("no keys")]
    } else {
        found
    }
}

fn key(file: &Left, rule: Rule) -> Option<Finding> {
    let (path, name) = (&file.path, file.path.rsplit('/').next().unwrap_or_default());
    let remove = remove_it(path);
    match (name, file.size) {
        ("authorized_keys", size) => {
            (size > LITTLE).then(|| rule.refused(format!("{path} lets somebody in"), remove))
        }
        ("known_hosts", size) => {
            (size > LITTLE).then(|| rule.warning(format!("{path} names hosts"), remove))
        }
        ("id_rsa", 0) => Some(rule.warning(format!("{path} is an empty private key"), remove)),
        ("id_rsa", _) => Some(rule.refused(format!("{path} is a private key"), remove)),
        _ => Some(rule.warning(format!("{path} lies among the keys"), remove)),
    }
}

fn history(user: &User) -> Finding {
    let rule = Rule("histories", CHECK);
    match user.history {
        Look::Here(size) if size >= SHORT => {
            let path = format!("{}/.bash_history", user.home);
            rule.refused(
                format!("{path} has {}", crate::units::bytes(size)),
                remove_it(&path),
            )
        }
        Look::Unseen => rule.unseen(format!("{} can't be seen", user.home)),
        _ => rule.ok("no shell histories"),
    }
}

fn agent(agent: &Look<()>) -> Finding {
    let rule = Rule("agent", CHECK);
    match agent {
        Look::Here(()) => rule.refused(
            "/opt/digitalocean is there, DigitalOcean's agent",
            "remove it: apt-get purge do-agent, or yum remove do-agent",
        ),
        Look::Absent => rule.ok("no agent"),
        Look::Unseen => rule.unseen("/opt can't be seen"),
    }
}

/// What the clean-up script removes, and every machine made of the image would share.
fn leftovers(system: &System) -> Vec<Finding> {
    let traces = &system.traces;
    let list = |rule: &'static str, left: &Look<Vec<Left>>, why: &str, remedy: &str| {
        let rule = Rule(rule, CLEANUP);
        match left {
            Look::Here(files) if !files.is_empty() => {
                rule.warning(format!("{} {why}", shown(files)), remedy)
            }
            Look::Unseen => rule.unseen("can't be seen"),
            _ => rule.ok("none"),
        }
    };
    let single = |rule: &'static str, left: &Look<()>, why: &str, remedy: &str| {
        let rule = Rule(rule, CLEANUP);
        match left {
            Look::Here(()) => rule.warning(why, remedy),
            Look::Absent => rule.ok("none"),
            Look::Unseen => rule.unseen("can't be seen"),
        }
    };
    vec![
        list(
            "host keys",
            &traces.host_keys,
            "would be every machine's",
            "remove them: rm /etc/ssh/ssh_host_*",
        ),
        list(
            "instances",
            &traces.instances,
            "is cloud-init's memory of another machine",
            "remove it: cloud-init clean --logs",
        ),
        single(
            "machine id",
            &traces.machine_id,
            "/etc/machine-id would be every machine's",
            "empty it: truncate -s 0 /etc/machine-id",
        ),
        list(
            "temporary",
            &traces.temporary,
            "was left behind",
            "remove it: rm -rf /tmp/* /var/tmp/*",
        ),
        single(
            "random seed",
            &traces.random_seed,
            "/var/lib/systemd/random-seed would be every machine's",
            "remove it: rm /var/lib/systemd/random-seed",
        ),
    ]
}

/// The first, and how many more.
fn shown(files: &[Left]) -> String {
    match files {
        [] => String::new(),
        [only] => only.path.clone(),
        [first, rest @ ..] => format!("{} and {} more", first.path, rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_of_logs_are_known_by_their_names() {
        for name in ["syslog.1", "messages-20260101", "dpkg.log.2", "a-12345678"] {
            assert!(is_archive(&format!("/var/log/{name}")), "{name}");
        }
        for name in [
            "syslog",
            "dpkg.log",
            "syslog.1.gz",
            "cloud-init.log",
            "v1",
            "-1234567",
            "ä",
        ] {
            assert!(!is_archive(&format!("/var/log/{name}")), "{name}");
        }
    }

    #[test]
    fn versions_are_those_of_the_script() {
        for (name, version, taken) in [
            ("Ubuntu", "24.04", true),
            ("Ubuntu", "23.04", false),
            ("Debian GNU/Linux", "12", true),
            ("Debian GNU/Linux", "8", false),
            ("Rocky Linux", "9.4", true),
            ("Rocky Linux", "10.0", false),
            ("AlmaLinux", "8.10", true),
            ("CentOS Stream", "9", true),
            ("Fedora Linux", "43", false),
        ] {
            let versions = versions(name).unwrap_or_default();
            assert_eq!(
                versions.iter().any(|known| fits(known, version)),
                taken,
                "{name} {version}"
            );
        }
    }
}
