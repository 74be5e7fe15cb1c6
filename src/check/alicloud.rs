//! What Alibaba Cloud makes of an image.

use super::finding::{Finding, Rule};
use super::linux;
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
    found.extend(linux::encryption(guest, Rule("encryption", EXAMINED)));
    found.extend(linux::file_system(
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
    found.extend(linux::drivers(
        guest,
        &["virtio_pci", "virtio_blk"],
        &["virtio_net"],
        Rule("virtio", IMPORT),
    ));
    found.extend(linux::drivers(
        guest,
        &["nvme"],
        &[],
        Rule("nvme", EXAMINED),
    ));
    found.push(linux::devices(system, Rule("devices", EXAMINED)));
    found.push(linux::network(system, Rule("network", EXAMINED)));
    found.push(linux::ssh(system, Rule("ssh", GUIDE)));
    found.push(linux::cloud_init(
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
    linux::starts(guest, rule)
}
