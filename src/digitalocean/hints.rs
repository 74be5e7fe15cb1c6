//! DigitalOcean's known reasons and Spaces' known refusals, each with what helps
//! (`apis.md` C2).

use crate::image::Image;
use crate::net::hints;

/// Words in the reason for which an import failed, in small letters.
const REASONS: &[(&str, &str)] = &[
    (
        "decompress",
        "say --compression none, or unpack the file and compress it again with gzip",
    ),
    // "We don't support the compression format of your image. …" (hashicorp/packer#7848)
    (
        "compression format",
        "unpack the file, and compress it again with gzip or not at all",
    ),
    ("format", "convert it: {qcow2}"),
    ("extension", "end the --key in the format's own suffix"),
    ("too large", LARGE),
    ("size", LARGE),
    ("download", FETCH),
    ("url", FETCH),
    ("head request", FETCH),
];

const LARGE: &str = "a custom image may have less than 100 GB, unpacked: shrink the disk";
const FETCH: &str =
    "run the same command again; DigitalOcean must be able to read the object at its address";

/// Codes of Spaces, and what helps.
const SPACES: &[(&str, &str)] = &[
    ("InvalidAccessKeyId", KEYS),
    ("SignatureDoesNotMatch", KEYS),
    (
        "AccessDenied",
        "the Space may be another account's; or give the Spaces key read and write access to it",
    ),
    ("PermanentRedirect", REGION),
    ("NoSuchBucket", REGION),
    ("RequestTimeTooSkewed", "set this machine's clock"),
    // "Spaces Limits": 1,500 requests a second.
    (
        "SlowDown",
        "wait some minutes, and run the same command again; --limit-rate and --concurrency make it gentler",
    ),
    ("InternalError", TROUBLE),
    ("ServiceUnavailable", TROUBLE),
];

const KEYS: &str = "check the Spaces key: SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY, which are not the API token";
const REGION: &str = "name the Space's own region with --spaces-region";

pub const TROUBLE: &str =
    "run the same command again; https://status.digitalocean.com tells of troubles";

/// All of it.
#[cfg(test)]
pub const ALL: &[&[(&str, &str)]] = &[REASONS, SPACES];

/// What helps against the reason for which an import failed.
pub fn reason(reason: &str, image: &Image) -> Option<String> {
    let reason = reason.to_lowercase();
    let (_, help) = REASONS.iter().find(|(text, _)| reason.contains(text))?;
    Some(hints::filled(help, image, &[]))
}

/// What helps against a refusal of Spaces.
pub fn spaces(code: &str) -> Option<&'static str> {
    let known = SPACES.iter().find(|(known, _)| *known == code);
    known.map(|(_, help)| *help)
}
