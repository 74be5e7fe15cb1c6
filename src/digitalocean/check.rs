//! What DigitalOcean makes of an image.

use super::validate::{accepts, boot_warning};
use crate::guest::{Architecture, Guest, Observed, OsFamily, System, VolumeKind};
use crate::image::Image;
use crate::import::finding::{Finding, Rule};
use crate::import::guest_rules;

const REQUIREMENTS: &str = "https://docs.digitalocean.com/products/custom-images/";
const LIMITS: &str = "https://docs.digitalocean.com/products/custom-images/details/limits/";

pub fn check_format(image: &Image) -> Vec<Finding> {
    let rule = Rule("format and size", REQUIREMENTS);
    vec![match (accepts(image), boot_warning(image)) {
        (Err((reason, remedy)), _) => rule.refused(reason, remedy),
        (Ok(()), Some(warning)) => rule.warning(warning, ""),
        (Ok(()), None) => rule.ok(image.label()),
    }]
}

pub fn check_guest(guest: &Guest) -> Vec<Finding> {
    let mut found = vec![];
    found.extend(guest_rules::encryption(
        guest,
        Rule("encryption", REQUIREMENTS),
    ));
    found.extend(guest_rules::check_file_system(
        guest,
        &[VolumeKind::Ext],
        Rule("file system", REQUIREMENTS),
    ));
    if guest.family == Some(OsFamily::Windows) {
        found.push(Rule("system", LIMITS).refused(
            "DigitalOcean takes no Windows",
            "import it into another cloud",
        ));
    }
    if guest.family != Some(OsFamily::Linux) {
        return found;
    }
    found.push(check_architecture(guest));
    found.push(guest_rules::check_boot(
        guest,
        Rule("boot mode", REQUIREMENTS),
    ));
    let Some(system) = &guest.system else {
        return found;
    };
    found.extend(guest_rules::check_drivers(
        guest,
        &["virtio_pci", "virtio_blk", "virtio_scsi"],
        &["virtio_net"],
        Rule("virtio", REQUIREMENTS),
    ));
    found.push(guest_rules::check_devices(
        system,
        Rule("devices", REQUIREMENTS),
    ));
    found.push(guest_rules::check_network(system, Rule("network", LIMITS)));
    found.push(guest_rules::check_ssh(system, Rule("ssh", REQUIREMENTS)));
    found.push(check_cloud_init(system));
    found
}

fn check_architecture(guest: &Guest) -> Finding {
    let rule = Rule("processor", REQUIREMENTS);
    match guest.architecture {
        Some(Architecture::X86_64 | Architecture::I386) => rule.ok("x86"),
        Some(other) => rule.warning(
            format!(
                "it is built for {}, Droplets have x86_64 processors",
                other.name()
            ),
            "install it for x86_64",
        ),
        None => rule.unknown("its processor could not be seen"),
    }
}

/// A Droplet's data lie on a config drive.
fn check_cloud_init(system: &System) -> Finding {
    let rule = Rule("cloud-init", REQUIREMENTS);
    let Observed::Present(found) = &system.cloud_init else {
        return guest_rules::check_cloud_init(system, "ConfigDrive", rule);
    };
    let find_module = |wanted: &str| {
        found
            .data_sources
            .iter()
            .flatten()
            .position(|name| name == wanted)
    };
    if let (Some(seed), Some(drive)) = (find_module("NoCloud"), find_module("ConfigDrive"))
        && seed < drive
    {
        return rule.warning(
            "cloud-init's datasource_list has NoCloud before ConfigDrive: a Droplet would not work properly",
            "write datasource_list: [ ConfigDrive, NoCloud, None ] into /etc/cloud/cloud.cfg.d/99-droplet.cfg",
        );
    }
    if found.version.as_deref().is_some_and(is_too_old) {
        return rule.warning("its cloud-init is older than 0.7.7", "install a newer one");
    }
    guest_rules::check_cloud_init(system, "ConfigDrive", rule)
}

/// Before 0.7.7; later versions are numbered by years.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(u32::MAX));
    let mut next = || numbers.next().unwrap_or(0);
    [next(), next(), next()] < [0, 7, 7]
}

#[cfg(test)]
mod tests {
    use super::is_too_old;

    #[test]
    fn versions_before_0_7_7_are_too_old() {
        assert!(is_too_old("0.7.6") && is_too_old("0.6"));
        assert!(!is_too_old("0.7.7") && !is_too_old("22.4.2") && !is_too_old("0.7.9"));
    }
}
