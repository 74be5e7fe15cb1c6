//! What Alibaba Cloud makes of an image.

use super::common;
use super::finding::{Finding, Rule};
use crate::alicloud;
use crate::guest::{Architecture, Filling, Guest};
use crate::image::Image;

const IMPORT: &str =
    "https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-importimage";
const GUIDE: &str = "https://www.alibabacloud.com/help/en/ecs/user-guide/import-a-custom-image";
const EXAMINED: &str = "https://www.alibabacloud.com/help/en/ecs/user-guide/overview-18";

const KNOWN: [Filling; 2] = [Filling::Ext, Filling::Xfs];

pub fn form(image: &Image) -> Vec<Finding> {
    let rule = Rule("format and size", GUIDE);
    vec![match alicloud::accepts(image) {
        Ok(None) => rule.ok(image.label()),
        Ok(Some(warning)) => rule.warning(warning, ""),
        Err((reason, remedy)) => rule.refused(reason, remedy),
    }]
}

pub fn inside(guest: &Guest) -> Vec<Finding> {
    let mut found = vec![];
    found.extend(common::encryption(guest, Rule("encryption", EXAMINED)));
    found.extend(common::file_system(
        guest,
        &KNOWN,
        Rule("file system", GUIDE),
    ));
    if guest.family.is_none() {
        return found;
    }
    found.push(architecture(guest));
    found.push(boot(guest));
    let Some(system) = &guest.system else {
        return found;
    };
    found.extend(common::drivers(
        guest,
        &["virtio_pci", "virtio_blk"],
        &["virtio_net"],
        Rule("virtio", IMPORT),
    ));
    found.extend(common::drivers(
        guest,
        &["nvme"],
        &[],
        Rule("nvme", EXAMINED),
    ));
    found.push(common::devices(system, Rule("devices", EXAMINED)));
    found.push(common::network(system, Rule("network", EXAMINED)));
    found.push(common::ssh(system, Rule("ssh", GUIDE)));
    found.push(common::cloud_init(
        system,
        "AliYun",
        Rule("cloud-init", GUIDE),
    ));
    found
}

fn architecture(guest: &Guest) -> Finding {
    let rule = Rule("processor", IMPORT);
    match guest.architecture {
        Some(Architecture::Other) => rule.refused(
            "ECS has no machines for its processor",
            "install it for x86_64 or arm64",
        ),
        Some(known) => rule.ok(known.name()),
        None => rule.unseen("its processor could not be seen"),
    }
}

fn boot(guest: &Guest) -> Finding {
    let rule = Rule("boot mode", IMPORT);
    if guest.architecture == Some(Architecture::Arm64) && guest.uefi == Some(false) {
        return rule.warning(
            "an arm64 system starts by UEFI, and there is no boot loader for it",
            "install one in an EFI system partition",
        );
    }
    common::starts(guest, rule)
}
