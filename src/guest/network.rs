//! The network configuration: whether the system uses DHCP, and which interfaces it configures
//! by name.

use super::root_fs::{Observed, RootFs};

/// The network configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The program that uses DHCP: "ifupdown"; `None` where none was found.
    pub dhcp: Option<&'static str>,
    /// Interfaces that are configured by a name with a slot or port in it, such as `enp0s3`: on
    /// another machine the name differs.
    pub interfaces: Vec<String>,
    /// There is a static address.
    pub is_fixed: bool,
}

pub(super) fn find(root_fs: &RootFs) -> Observed<Network> {
    if root_fs.exists("/etc") != Some(true) {
        return Observed::Unknown;
    }
    let mut network = Network::default();
    for (who, dir, ending, asks) in [
        (
            "netplan",
            "/etc/netplan",
            ".yaml",
            is_netplan as fn(&str) -> bool,
        ),
        ("ifupdown", "/etc/network", "interfaces", is_ifupdown),
        ("ifupdown", "/etc/network/interfaces.d", "", is_ifupdown),
        (
            "systemd-networkd",
            "/etc/systemd/network",
            ".network",
            is_networkd,
        ),
        (
            "systemd-networkd",
            "/usr/lib/systemd/network",
            "ethernet.network",
            is_networkd,
        ),
        ("ifcfg", "/etc/sysconfig/network-scripts", "", is_ifcfg),
        ("ifcfg", "/etc/sysconfig/network", "", is_ifcfg),
        (
            "NetworkManager",
            "/etc/NetworkManager/system-connections",
            ".nmconnection",
            is_keyfile,
        ),
    ] {
        for name in root_fs
            .names(dir)
            .into_iter()
            .filter(|name| name.ends_with(ending))
        {
            let ifcfg = who == "ifcfg";
            if ifcfg && (!name.starts_with("ifcfg-") || name == "ifcfg-lo") {
                continue;
            }
            let Observed::Present(text) = root_fs.text(&format!("{dir}/{name}")) else {
                continue;
            };
            if asks(&text) {
                network.dhcp = network.dhcp.or(Some(who));
            }
            network.is_fixed |= is_fixed(&text);
            let own = ifcfg.then(|| name.trim_start_matches("ifcfg-"));
            network.interfaces.extend(
                own.into_iter()
                    .chain(words(&text))
                    .filter(|word| is_slot_name(word))
                    .map(str::to_owned),
            );
        }
    }
    network.interfaces.sort();
    network.interfaces.dedup();
    if network.dhcp.is_none() {
        network.dhcp = dhcp_by_default(root_fs);
    }
    Observed::Present(network)
}

/// Returns the program that uses DHCP by default: cloud-init writes such a configuration, and
/// NetworkManager does so on every interface without one.
fn dhcp_by_default(root_fs: &RootFs) -> Option<&'static str> {
    let here = |names: &[&str]| root_fs.program(names).is_present() == Some(true);
    if here(&["cloud-init"]) && !dhcp_disabled(root_fs) {
        Some("cloud-init")
    } else if here(&["NetworkManager"])
        && root_fs
            .names("/etc/NetworkManager/system-connections")
            .is_empty()
    {
        Some("NetworkManager")
    } else {
        None
    }
}

/// Reports whether there is `network: {config: disabled}`, which installers leave behind.
fn dhcp_disabled(root_fs: &RootFs) -> bool {
    let dir = "/etc/cloud/cloud.cfg.d";
    root_fs.names(dir).iter().any(|name| {
        let text = root_fs
            .text(&format!("{dir}/{name}"))
            .present()
            .cloned()
            .unwrap_or_default();
        let plain: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        let plain: String = plain.chars().filter(|c| !c.is_whitespace()).collect();
        plain.contains("network:{config:disabled}") || plain.contains("network:config:disabled")
    })
}

/// Returns the lines of a configuration without its comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let plain = |line: &&str| !line.is_empty() && !line.starts_with(['#', ';']);
    text.lines().map(str::trim).filter(plain)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    lines(text).flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '*')))
}

fn is_netplan(text: &str) -> bool {
    lines(text).any(|line| {
        matches!(
            line.replace(' ', "").as_str(),
            "dhcp4:true" | "dhcp4:yes" | "dhcp4:on"
        )
    })
}

fn is_ifupdown(text: &str) -> bool {
    lines(text).any(|line| line.starts_with("iface") && line.ends_with("inet dhcp"))
}

fn is_networkd(text: &str) -> bool {
    let asks = |line: &str| {
        matches!(
            line.replace(' ', "").to_lowercase().as_str(),
            "dhcp=yes" | "dhcp=true" | "dhcp=ipv4" | "dhcp=both"
        )
    };
    lines(text).any(asks)
}

fn is_ifcfg(text: &str) -> bool {
    lines(text).any(|line| {
        line.replace(['"', '\''], "")
            .eq_ignore_ascii_case("BOOTPROTO=dhcp")
    })
}

fn is_keyfile(text: &str) -> bool {
    lines(text).any(|line| line == "method=auto")
}

/// Reports whether there is a static address, in any of these languages.
fn is_fixed(text: &str) -> bool {
    lines(text).any(|line| {
        let line = line.to_lowercase();
        let address = line.starts_with("address")
            || line.starts_with("ipaddr")
            || line.starts_with("addresses:");
        address && !line.contains("127.0.0.1") || line.ends_with("inet static")
    })
}

/// Reports whether it is one of systemd's names for the place of a card: `enp0s3`, `ens33`,
/// `eno1`, `enx…`.
fn is_slot_name(word: &str) -> bool {
    let rest = ["enp", "ens", "eno", "enx", "enP"]
        .iter()
        .find_map(|start| word.strip_prefix(start));
    rest.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_hexdigit())
            && rest.len() <= 12
            && rest.chars().any(|c| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dhcp_configuration_is_recognized() {
        assert!(is_netplan(
            "network:\n  ethernets:\n    eth0:\n      dhcp4: true\n"
        ));
        assert!(!is_netplan("#      dhcp4: true\n      dhcp4: false\n"));
        assert!(is_ifupdown("auto eth0\niface eth0 inet dhcp\n"));
        assert!(is_networkd("[Match]\nName=en*\n[Network]\nDHCP=ipv4\n"));
        assert!(is_ifcfg("DEVICE=eth0\nBOOTPROTO=\"dhcp\"\n"));
        assert!(is_keyfile("[ipv4]\nmethod=auto\n"));
        assert!(is_fixed("iface eth0 inet static\n") && is_fixed("IPADDR=10.0.0.1\n"));
        assert!(!is_fixed("iface lo inet loopback\n"));
    }

    #[test]
    fn slot_interface_names_are_recognized() {
        for name in ["enp0s3", "ens33", "eno1", "enx00163e012345"] {
            assert!(is_slot_name(name), "{name}");
        }
        for name in ["eth0", "en*", "ens*", "ensure", "enabled", "lo", "enp"] {
            assert!(!is_slot_name(name), "{name}");
        }
    }
}
