//! What the image itself says, in DigitalOcean's words, where the user said nothing.

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

pub fn adopt(options: &mut Options, guest: &Guest) -> Vec<String> {
    let os = guest.system.as_ref().and_then(|system| system.os.here());
    let known = os.and_then(|os| DISTRIBUTIONS.iter().find(|(id, _)| *id == os.id));
    match (&options.image_distribution, known) {
        (None, Some((_, name))) => {
            options.image_distribution = Some((*name).to_owned());
            vec![format!("distribution {name}")]
        }
        _ => vec![],
    }
}

/// What was said and is not so.
pub fn doubts(options: &Options, guest: &Guest) -> Vec<String> {
    let os = guest.system.as_ref().and_then(|system| system.os.here());
    let known = os.and_then(|os| DISTRIBUTIONS.iter().find(|(id, _)| *id == os.id));
    let said = options.image_distribution.as_deref();
    let names = |said: &str| DISTRIBUTIONS.iter().any(|(_, name)| *name == said);
    match (said, known) {
        (Some(said), Some((_, name))) if said != *name && names(said) => {
            vec![format!(
                "--distribution is {said}, but the image holds {name}"
            )]
        }
        _ => vec![],
    }
}
