//! What DigitalOcean's Marketplace image check, version 1.8.1, would say of the system,
//! and what its clean-up script would have removed. Where the script does not do what it
//! means to, the meaning counts: it looks at every user, at every home.

use std::path::Path;

use crate::guest::{LeftoverFile, Observed, Os, Password, System, User};
use crate::import::finding::{Finding, Level, Rule};
use crate::shell::Command;

/// Version of the script whose rules these are.
pub const VERSION: &str = "1.8.1";
const CHECK: &str =
    "https://github.com/digitalocean/marketplace-partners/blob/master/scripts/99-img-check.sh";
const CLEANUP: &str =
    "https://github.com/digitalocean/marketplace-partners/blob/master/scripts/90-cleanup.sh";

/// Bytes of a log, of keys, of known hosts that count as none.
const MAX_EMPTY_FILE: u64 = 50;
/// Bytes of a shell's history that count as none.
const MAX_EMPTY_HISTORY: u64 = 200;
/// Accounts of no person, to the script.
const SYSTEM_ACCOUNTS: [&str; 3] = ["nobody", "centos", "nfsnobody"];

/// Everything that the two scripts look at, in their order.
pub fn check_guest(system: &System) -> Vec<Finding> {
    let mut found = check_os(&system.os);
    found.push(check_cloud_init(system));
    found.push(check_firewall(system));
    found.push(
        Rule("updates", CHECK)
            .unknown("pending security updates can't be known without starting the system"),
    );
    found.extend(check_logs(&system.residue.logs));
    found.extend(check_users(&system.residue.users));
    found.push(check_agent(&system.residue.agent));
    found.extend(check_leftovers(system));
    found
}

/// Where no files can be read, nothing can be said.
pub fn unreadable() -> Vec<Finding> {
    vec![
        Rule("system", CHECK)
            .unknown("its files can't be read here: run the script in the system itself"),
    ]
}

fn check_os(os: &Observed<Os>) -> Vec<Finding> {
    let rule = Rule("os", CHECK);
    let os = match os {
        Observed::Present(os) => os,
        Observed::Absent => {
            return vec![rule.refused(
                "it does not say which system it is",
                "use a system that the Marketplace takes",
            )];
        }
        Observed::Unknown => return vec![rule.unknown("which system it is can't be seen")],
    };
    match versions(&os.name) {
        None => vec![rule.refused(
            format!("the Marketplace takes no {}", os.name),
            "use Ubuntu, Debian, CentOS, Rocky Linux, AlmaLinux or CloudLinux",
        )],
        Some(versions)
            if versions
                .iter()
                .any(|pattern| matches_version(pattern, &os.version)) =>
        {
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

fn matches_version(pattern: &str, version: &str) -> bool {
    pattern == version || pattern.ends_with('.') && version.starts_with(pattern)
}

fn check_cloud_init(system: &System) -> Finding {
    let rule = Rule("cloud-init", CHECK);
    match &system.cloud_init {
        Observed::Present(_) => rule.ok("cloud-init is installed"),
        Observed::Absent => rule.refused("cloud-init is not installed", "install cloud-init"),
        Observed::Unknown => rule.unknown("whether cloud-init is installed can't be seen"),
    }
}

fn check_firewall(system: &System) -> Finding {
    let rule = Rule("firewall", CHECK);
    match system.residue.firewall {
        Observed::Present(name) => rule.ok(name),
        Observed::Absent => rule.warning("no firewall is turned on", "turn one on, such as ufw"),
        Observed::Unknown => rule.unknown("whether a firewall is turned on can't be seen"),
    }
}

/// How to remove a file of the image, on the machine that it was made of.
fn removal_hint(path: &str) -> String {
    format!("remove it: {}", Command::new("rm").file(Path::new(path)))
}

fn check_logs(logs: &Observed<Vec<LeftoverFile>>) -> Vec<Finding> {
    let rule = Rule("logs", CHECK);
    let Observed::Present(logs) = logs else {
        return vec![rule.unknown("/var/log can't be seen")];
    };
    let archives = logs.iter().filter(|log| is_archive(&log.path));
    let archives = archives
        .map(|log| rule.warning(format!("log archive {}", log.path), removal_hint(&log.path)));
    let full = logs.iter().filter(|log| {
        matches!(log.path.rsplit_once('.'), Some((_, "log"))) && log.size > MAX_EMPTY_FILE
    });
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

fn check_users(users: &Observed<Vec<User>>) -> Vec<Finding> {
    let Observed::Present(users) = users else {
        return vec![Rule("users", CHECK).unknown("the users can't be seen")];
    };
    let persons = users
        .iter()
        .filter(|user| !SYSTEM_ACCOUNTS.contains(&user.name.as_str()));
    let found: Vec<_> = persons
        .flat_map(|user| {
            [check_password(user)]
                .into_iter()
                .chain(check_keys(user))
                .chain([check_history(user)])
        })
        .collect();
    let (passed, failed): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|finding| finding.level == Level::Ok);
    // One line a matter where all is well, however many users there are.
    let rules = ["passwords", "keys", "histories"];
    let passed_rules = rules
        .iter()
        .filter(|rule| failed.iter().all(|finding| finding.rule != **rule));
    let passed_rules = passed_rules
        .filter_map(|rule| passed.iter().find(|finding| finding.rule == *rule).cloned());
    failed.iter().cloned().chain(passed_rules).collect()
}

fn check_password(user: &User) -> Finding {
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
        Password::Unknown => rule.unknown(format!(
            "whether the user {} has a password can't be seen",
            user.name
        )),
    }
}

fn check_keys(user: &User) -> Vec<Finding> {
    let rule = Rule("keys", CHECK);
    let files = match &user.ssh {
        Observed::Present(files) => files,
        Observed::Absent => return vec![rule.ok("no keys")],
        Observed::Unknown => {
            return vec![rule.unknown(format!("{}/.ssh can't be seen", user.home))];
        }
    };
    let found: Vec<_> = files
        .iter()
        .filter_map(|file| check_key_file(file, rule))
        .collect();
    if found.is_empty() {
        vec![rule.ok("no keys")]
    } else {
        found
    }
}

fn check_key_file(file: &LeftoverFile, rule: Rule) -> Option<Finding> {
    let (path, name) = (&file.path, file.path.rsplit('/').next().unwrap_or_default());
    let remove = removal_hint(path);
    match (name, file.size) {
        ("authorized_keys", size) => (size > MAX_EMPTY_FILE)
            .then(|| rule.refused(format!("{path} lets somebody in"), remove)),
        ("known_hosts", size) => {
            (size > MAX_EMPTY_FILE).then(|| rule.warning(format!("{path} names hosts"), remove))
        }
        ("id_rsa", 0) => Some(rule.warning(format!("{path} is an empty private key"), remove)),
        ("id_rsa", _) => Some(rule.refused(format!("{path} is a private key"), remove)),
        _ => Some(rule.warning(format!("{path} lies among the keys"), remove)),
    }
}

fn check_history(user: &User) -> Finding {
    let rule = Rule("histories", CHECK);
    match user.history {
        Observed::Present(size) if size >= MAX_EMPTY_HISTORY => {
            let path = format!("{}/.bash_history", user.home);
            rule.refused(
                format!("{path} has {}", crate::units::bytes(size)),
                removal_hint(&path),
            )
        }
        Observed::Unknown => rule.unknown(format!("{} can't be seen", user.home)),
        _ => rule.ok("no shell histories"),
    }
}

fn check_agent(agent: &Observed<()>) -> Finding {
    let rule = Rule("agent", CHECK);
    match agent {
        Observed::Present(()) => rule.refused(
            "/opt/digitalocean is there, DigitalOcean's agent",
            "remove it: apt-get purge do-agent, or yum remove do-agent",
        ),
        Observed::Absent => rule.ok("no agent"),
        Observed::Unknown => rule.unknown("/opt can't be seen"),
    }
}

/// What the clean-up script removes, and every machine made of the image would share.
fn check_leftovers(system: &System) -> Vec<Finding> {
    let traces = &system.residue;
    let list =
        |rule: &'static str, files: &Observed<Vec<LeftoverFile>>, why: &str, remedy: &str| {
            let rule = Rule(rule, CLEANUP);
            match files {
                Observed::Present(files) if !files.is_empty() => {
                    rule.warning(format!("{} {why}", summarize(files)), remedy)
                }
                Observed::Unknown => rule.unknown("can't be seen"),
                _ => rule.ok("none"),
            }
        };
    let single = |rule: &'static str, file: &Observed<()>, why: &str, remedy: &str| {
        let rule = Rule(rule, CLEANUP);
        match file {
            Observed::Present(()) => rule.warning(why, remedy),
            Observed::Absent => rule.ok("none"),
            Observed::Unknown => rule.unknown("can't be seen"),
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
fn summarize(files: &[LeftoverFile]) -> String {
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
    fn recognizes_log_archives_by_name() {
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
    fn versions_match_the_script() {
        for (name, version, accepted) in [
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
                versions
                    .iter()
                    .any(|pattern| matches_version(pattern, version)),
                accepted,
                "{name} {version}"
            );
        }
    }
}
