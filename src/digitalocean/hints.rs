//! DigitalOcean's known reasons and Spaces' known refusals, each with what helps
//! (`apis.md` C2).

use crate::image::Image;
use crate::net::service_error::{ErrorClass, Service, ServiceError};
use crate::net::{hints, network_error};

/// Words in the reason for which an import failed, in small letters.
const IMPORT_FAILURES: &[(&str, &str)] = &[
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
    ("too large", TOO_LARGE),
    ("size", TOO_LARGE),
    ("download", MAKE_READABLE),
    ("url", MAKE_READABLE),
    ("head request", MAKE_READABLE),
];

const TOO_LARGE: &str = "a custom image may have less than 100 GB, unpacked: shrink the disk";
const MAKE_READABLE: &str =
    "run the same command again; DigitalOcean must be able to read the object at its address";

/// Codes of Spaces, and what helps.
const SPACES_ERROR_CODES: &[(&str, &str)] = &[
    ("InvalidAccessKeyId", CHECK_KEYS),
    ("SignatureDoesNotMatch", CHECK_KEYS),
    (
        "AccessDenied",
        "the Space may be another account's; or give the Spaces key read and write access to it",
    ),
    ("PermanentRedirect", NAME_REGION),
    ("NoSuchBucket", NAME_REGION),
    ("RequestTimeTooSkewed", "set this machine's clock"),
    // "Spaces Limits": 1,500 requests a second.
    (
        "SlowDown",
        "wait some minutes, and run the same command again; --limit-rate and --concurrency make it gentler",
    ),
    ("InternalError", RETRY_LATER),
    ("ServiceUnavailable", RETRY_LATER),
];

const CHECK_KEYS: &str = "check the Spaces key: SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY, which are not the API token";
const NAME_REGION: &str = "name the Space's own region with --spaces-region";

const RETRY_LATER: &str =
    "run the same command again; https://status.digitalocean.com tells of troubles";

/// All of it.
#[cfg(test)]
pub const ALL_HINTS: &[&[(&str, &str)]] = &[IMPORT_FAILURES, SPACES_ERROR_CODES];

/// What helps against the reason for which an import failed.
pub fn import_failure_hint(reason: &str, image: &Image) -> Option<String> {
    let reason = reason.to_lowercase();
    let (_, help) = IMPORT_FAILURES
        .iter()
        .find(|(text, _)| reason.contains(text))?;
    Some(hints::fill_placeholders(help, image, &[]))
}

/// What was attempted when the request failed.
pub enum HintContext<'a> {
    /// A request to the API.
    Call {
        /// The permission that the token needs.
        scope: &'a str,
    },
    /// The upload to the Space.
    Upload,
    /// The request that checks the Space before the upload.
    SpaceCheck,
    /// Removal of the object, its parts or the image.
    Removal {
        /// The Space of the object.
        space: &'a str,
    },
}

/// Returns what helps against a request that failed, in the Space or in the API.
pub fn hint(error: &ServiceError, context: &HintContext<'_>) -> Option<String> {
    match (error.service(), context) {
        (_, HintContext::Call { scope }) => api_hint(error, scope),
        (Service::Storage, HintContext::Removal { space }) => error
            .is_denied()
            .then(|| format!("give the Spaces key read and write access to {space}")),
        (Service::Api, HintContext::Removal { .. }) => {
            api_hint(error, "image:delete").filter(|_| error.is_denied())
        }
        (_, HintContext::Upload) => spaces_hint(error).map(str::to_owned),
        (_, HintContext::SpaceCheck) => {
            let usually = "check the network, the region's name and --spaces-endpoint";
            let network = || network_error::hint(error.message(), usually);
            let network = || error.status().is_none().then(network);
            spaces_hint(error).or_else(network).map(str::to_owned)
        }
    }
}

fn spaces_hint(error: &ServiceError) -> Option<&'static str> {
    let code = error.code()?;
    let entry = SPACES_ERROR_CODES
        .iter()
        .find(|(listed, _)| *listed == code);
    entry.map(|(_, help)| *help)
}

fn api_hint(error: &ServiceError, scope: &str) -> Option<String> {
    let hint = match (error.class(), error.status()) {
        (ErrorClass::Denied, _) => return Some(format!("give the token the scope {scope}")),
        (ErrorClass::NoResponse { .. }, _) => {
            network_error::hint(error.message(), "check the network and --api-url")
        }
        (ErrorClass::NoCredentials, _) => {
            "check the token: DIGITALOCEAN_TOKEN, api_token in [digitalocean], or doctl auth init"
        }
        (ErrorClass::Throttled { .. }, Some(429)) => {
            "wait some minutes, and run the same command again: the account has used up its requests"
        }
        (_, Some(500..)) => RETRY_LATER,
        _ => return None,
    };
    Some(hint.to_owned())
}
