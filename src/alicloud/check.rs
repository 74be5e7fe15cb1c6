//! What Alibaba Cloud makes of an image.

use super::validate::image::accepts;
use crate::guest::{Architecture, Guest, VolumeKind};
use crate::image::Image;
use crate::import::finding::{Finding, Rule};
use crate::import::guest_rules;

const IMPORT: &str =
    "https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-importimage";
const GUIDE: &str = "https://www.alibabacloud.com/help/en/ecs/user-guide/import-a-custom-image";
const IMAGE_CHECK: &str = "https://www.alibabacloud.com/help/en/ecs/user-guide/overview-18";

const FILE_SYSTEMS: [VolumeKind; 2] = [VolumeKind::Ext, VolumeKind::Xfs];

pub fn check_format(image: &Image) -> Vec<Finding> {
    let rule = Rule("format and size", GUIDE);
    vec![match accepts(image) {
        Ok(None) => rule.ok(image.label()),
        Ok(Some(warning)) => rule.warning(warning, ""),
        Err((reason, remedy)) => rule.refused(reason, remedy),
    }]
}

pub fn check_guest(guest: &Guest) -> Vec<Finding> {
    let mut found = vec![];
    found.extend(guest_rules::encryption(
        guest,
        Rule("encryption", IMAGE_CHECK),
    ));
    found.extend(guest_rules::check_file_system(
        guest,
        &FILE_SYSTEMS,
        Rule("file system", GUIDE),
    ));
    if guest.family.is_none() {
        return found;
    }
    found.push(check_architecture(guest));
    found.push(check_boot(guest));
    let Some(system) = &guest.system else {
        return found;
    };
    found.extend(guest_rules::check_drivers(
        guest,
        &["virtio_pci", "virtio_blk"],
        &["virtio_net"],
        Rule("virtio", IMPORT),
    ));
    found.extend(guest_rules::check_drivers(
        guest,
        &["nvme"],
        &[],
        Rule("nvme", IMAGE_CHECK),
    ));
    found.push(guest_rules::check_devices(
        system,
        Rule("devices", IMAGE_CHECK),
    ));
    found.push(guest_rules::check_network(
        system,
        Rule("network", IMAGE_CHECK),
    ));
    found.push(guest_rules::check_ssh(system, Rule("ssh", GUIDE)));
    found.push(guest_rules::check_cloud_init(
        system,
        "AliYun",
        Rule("cloud-init", GUIDE),
    ));
    found
}

fn check_architecture(guest: &Guest) -> Finding {
    let rule = Rule("processor", IMPORT);
    match guest.architecture {
        Some(Architecture::Other) => rule.refused(
            "ECS has no machines for its processor",
            "install it for x86_64 or arm64",
        ),
        Some(architecture) => rule.ok(architecture.name()),
        None => rule.unknown("its processor could not be seen"),
    }
}

fn check_boot(guest: &Guest) -> Finding {
    let rule = Rule("boot mode", IMPORT);
    if guest.architecture == Some(Architecture::Arm64) && guest.uefi == Some(false) {
        return rule.warning(
            "an arm64 system starts by UEFI, and there is no boot loader for it",
            "install one in an EFI system partition",
        );
    }
    guest_rules::check_boot(guest, rule)
}
