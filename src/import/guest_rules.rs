//! The rules on the system in an image that several clouds have. The caller names the page
//! that the cloud's own rule comes from.

use crate::guest::{Driver, Guest, Observed, System, VolumeKind};
use crate::import::finding::{Finding, Rule};

/// Whether anything starts it.
pub fn check_boot(guest: &Guest, rule: Rule) -> Finding {
    match (guest.bios, guest.uefi) {
        (Some(false), Some(false)) => rule.warning(
            "nothing on the disk starts a machine: no boot code, no EFI system partition with a boot loader",
            "install a boot loader, such as GRUB, on the disk itself",
        ),
        _ => match boot_firmware(guest) {
            Some(firmware) => rule.ok(firmware),
            None => rule.unknown("how it starts could not be seen"),
        },
    }
}

/// "BIOS and UEFI".
pub fn boot_firmware(guest: &Guest) -> Option<&'static str> {
    match (guest.bios, guest.uefi) {
        (Some(true), Some(true)) => Some("BIOS and UEFI"),
        (Some(true), _) => Some("BIOS"),
        (_, Some(true)) => Some("UEFI"),
        _ => None,
    }
}

/// What helps where BitLocker has encrypted a volume.
pub const BITLOCKER: &str = "turn BitLocker off in Windows first: manage-bde -off C:";

/// Whether a new machine can read the system: nobody is there to unlock an encrypted volume. A
/// volume beside a system that can be read is a warning.
pub fn encryption(guest: &Guest, rule: Rule) -> Option<Finding> {
    let encrypted = guest.encrypted()?;
    let name = encrypted.name();
    let remedy = if encrypted == VolumeKind::BitLocker {
        BITLOCKER
    } else {
        "install the system without encryption; if it unlocks itself, add --skip-checks"
    };
    Some(if guest.is_readable() {
        rule.warning(
            format!("a partition is encrypted ({name}), a new machine has nobody to unlock it"),
            remedy,
        )
    } else {
        rule.refused(
            format!("the system is encrypted ({name}), a new machine has nobody to unlock it"),
            remedy,
        )
    })
}

/// Whether the root file system is of a kind that the cloud knows.
pub fn check_file_system(guest: &Guest, supported: &[VolumeKind], rule: Rule) -> Option<Finding> {
    let root = guest
        .volumes
        .iter()
        .find(|volume| volume.mounted.as_deref() == Some("/"));
    if root.is_some() {
        return Some(rule.ok("ext4"));
    }
    let hidden = guest.hidden_volume()?;
    if hidden.is_container() || supported.contains(&hidden) {
        return Some(rule.unknown(format!(
            "a partition holds {}, which can't be read here",
            hidden.name()
        )));
    }
    let names: Vec<_> = supported.iter().map(|filling| filling.name()).collect();
    Some(rule.warning(
        format!("the system lies on {}", hidden.name()),
        format!("install it on one of {}", names.join(", ")),
    ))
}

/// Drivers without which the machine finds no disk, and those without which it finds no network.
pub fn check_drivers(
    guest: &Guest,
    disk: &[&'static str],
    network: &[&'static str],
    rule: Rule,
) -> Option<Finding> {
    let kernel = guest.kernel()?;
    let Some(drivers) = &kernel.drivers else {
        return Some(rule.unknown(format!(
            "the drivers of the kernel {} can't be seen",
            kernel.version
        )));
    };
    let driver_location = |name: &&&str| drivers.get(**name).copied().unwrap_or(Driver::Absent);
    let late = |name: &&&str| matches!(driver_location(name), Driver::Absent | Driver::Module);
    let missing: Vec<_> = disk
        .iter()
        .filter(late)
        .chain(
            network
                .iter()
                .filter(|name| driver_location(name) == Driver::Absent),
        )
        .copied()
        .collect();
    if !missing.is_empty() {
        return Some(rule.warning(
            format!(
                "the kernel {} has no {} where it is needed to start",
                kernel.version,
                missing.join(", ")
            ),
            "install the distribution's own kernel and write its initramfs anew with these drivers",
        ));
    }
    if disk
        .iter()
        .any(|name| driver_location(&name) == Driver::Unknown)
    {
        return Some(
            rule.unknown("the initramfs can't be read: whether it has the disk's drivers is open"),
        );
    }
    let all: Vec<_> = disk.iter().chain(network).copied().collect();
    Some(rule.ok(all.join(", ")))
}

/// Devices by name differ between machines.
pub fn check_devices(system: &System, rule: Rule) -> Finding {
    let named = system.unstable_devices();
    if !named.is_empty() {
        return rule.warning(
            format!(
                "fstab or the boot loader names {}, which another machine calls otherwise",
                named.join(", ")
            ),
            "name file systems by UUID= or LABEL=",
        );
    }
    match &system.fstab {
        Observed::Present(_) => rule.ok("by UUID or label"),
        Observed::Absent => rule.warning(
            "there is no /etc/fstab",
            "write one that mounts / by its UUID",
        ),
        Observed::Unknown => rule.unknown("/etc/fstab can't be seen"),
    }
}

/// Addresses come by DHCP, to a card whose name is not known before.
pub fn check_network(system: &System, rule: Rule) -> Finding {
    let Observed::Present(network) = &system.network else {
        return rule.unknown("the set-up of the network can't be seen");
    };
    match network.dhcp {
        _ if !network.interfaces.is_empty() => rule.warning(
            format!(
                "the network is set up for {}, which another machine calls otherwise",
                network.interfaces.join(", ")
            ),
            "set it up for any interface, or start the kernel with net.ifnames=0 and set up eth0",
        ),
        Some(by) => rule.ok(format!("DHCP by {by}")),
        None if network.is_fixed => {
            rule.warning("the network has a fixed address", "set it up by DHCP")
        }
        None => rule.warning(
            "nothing was found that asks for an address by DHCP",
            "set the network up by DHCP",
        ),
    }
}

/// The only way in.
pub fn check_ssh(system: &System, rule: Rule) -> Finding {
    match system.sshd {
        Observed::Present(Some(false)) => rule.warning(
            "the SSH server is not started with the system",
            "enable it: systemctl enable ssh",
        ),
        Observed::Present(_) => rule.ok("SSH server"),
        Observed::Absent => rule.warning("there is no SSH server", "install openssh-server"),
        Observed::Unknown => rule.unknown("whether there is an SSH server can't be seen"),
    }
}

/// cloud-init, and that it looks where this cloud has its data.
pub fn check_cloud_init(system: &System, source: &'static str, rule: Rule) -> Finding {
    let found =
        match &system.cloud_init {
            Observed::Present(found) => found,
            Observed::Absent => return rule.warning(
                "there is no cloud-init: keys, names and passwords are not set in a new machine",
                "install cloud-init",
            ),
            Observed::Unknown => return rule.unknown("whether there is cloud-init can't be seen"),
        };
    if found.disabled {
        return rule.warning(
            "cloud-init is turned off",
            "remove /etc/cloud/cloud-init.disabled",
        );
    }
    match &found.data_sources {
        Some(list) if !list.iter().any(|name| name == source) => rule.warning(
            format!("cloud-init's datasource_list has no {source}"),
            format!("add {source} to datasource_list in /etc/cloud/cloud.cfg.d"),
        ),
        _ => rule.ok(found
            .version
            .as_deref()
            .map_or("cloud-init".to_owned(), |version| {
                format!("cloud-init {version}")
            })),
    }
}
