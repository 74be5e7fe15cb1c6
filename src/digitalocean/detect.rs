//! Sets DigitalOcean's options from the facts of the image, where the user did not set them.

use super::options::Options;
use crate::guest::Guest;

/// os-release's ID and DigitalOcean's distribution.
const DISTRIBUTIONS: [(&str, &str); 10] = [
    ("arch", "Arch Linux"),
    ("centos", "CentOS"),
    ("debian", "Debian"),
    ("fedora", "Fedora"),
    ("gentoo", "Gentoo"),
    ("opensuse", "openSUSE"),
    ("opensuse-leap", "openSUSE"),
    ("opensuse-tumbleweed", "openSUSE"),
    ("rocky", "Rocky Linux"),
    ("ubuntu", "Ubuntu"),
];

pub fn fill_from_image(options: &mut Options, guest: &Guest) -> Vec<String> {
    let os = guest.system.as_ref().and_then(|system| system.os.present());
    let distribution = os.and_then(|os| DISTRIBUTIONS.iter().find(|(id, _)| *id == os.id));
    match (&options.image_distribution, distribution) {
        (None, Some((_, name))) => {
            options.image_distribution = Some((*name).to_owned());
            vec![format!("distribution {name}")]
        }
        _ => vec![],
    }
}

/// What was said and is not so.
pub fn contradictions(options: &Options, guest: &Guest) -> Vec<String> {
    let os = guest.system.as_ref().and_then(|system| system.os.present());
    let distribution = os.and_then(|os| DISTRIBUTIONS.iter().find(|(id, _)| *id == os.id));
    let explicit = options.image_distribution.as_deref();
    let is_documented = |value: &str| DISTRIBUTIONS.iter().any(|(_, name)| *name == value);
    match (explicit, distribution) {
        (Some(explicit), Some((_, name))) if explicit != *name && is_documented(explicit) => {
            vec![format!(
                "--distribution is {explicit}, but the image holds {name}"
            )]
        }
        _ => vec![],
    }
}
