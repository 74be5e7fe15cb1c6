//! Which keys of `[digitalocean]` hold or receive secrets, and which settings files may set
//! them.

use super::options::Options;
use crate::config::trust::{DELETES_SOURCE, Trust, TrustTable, is_on};

/// The variables of the secrets.
pub const SECRETS: &[(&str, &[&str])] = &[
    (
        "api_token",
        &[
            "IMGIMPORT_DIGITALOCEAN_API_TOKEN",
            "DIGITALOCEAN_TOKEN",
            "DIGITALOCEAN_ACCESS_TOKEN",
            "DIGITALOCEAN_API_TOKEN",
        ],
    ),
    (
        "spaces_key",
        &[
            "IMGIMPORT_DIGITALOCEAN_SPACES_KEY",
            "DIGITALOCEAN_SPACES_ACCESS_KEY",
            "SPACES_ACCESS_KEY_ID",
        ],
    ),
    (
        "spaces_secret",
        &[
            "IMGIMPORT_DIGITALOCEAN_SPACES_SECRET",
            "DIGITALOCEAN_SPACES_SECRET_KEY",
            "SPACES_SECRET_ACCESS_KEY",
        ],
    ),
];

/// The domains of the API and of Spaces.
pub const DOMAINS: &[&str] = &["digitalocean.com", "digitaloceanspaces.com"];

/// The decision on each key.
pub const TRUST: &TrustTable = &[
    (
        Trust::Any,
        &[
            "api_token",
            "bucket",
            "compression",
            "distribution",
            "format",
            "http_retry_max",
            "http_retry_wait_max",
            "http_retry_wait_min",
            "image_description",
            "image_distribution",
            "image_name",
            "image_region",
            "image_regions",
            "image_tags",
            "key",
            "space",
            "space_name",
            "space_object_name",
            "spaces_key",
            "spaces_region",
            "spaces_secret",
            "tag",
            "tags",
            "timeout",
        ],
    ),
    (Trust::Address, &["api_url", "spaces_endpoint"]),
    (DELETES_SOURCE, &["keep_input_artifact"]),
    (
        Trust::Except(is_public, "that everybody may read the object"),
        &["object_access"],
    ),
    (
        Trust::Except(is_on, "that a public object stays"),
        &["skip_clean"],
    ),
];

fn is_public(text: &str) -> bool {
    !text.eq_ignore_ascii_case("presigned")
}

/// Where the token and the key of the Space are sent.
pub fn addresses(options: &Options) -> Vec<(&'static str, String)> {
    let all = [
        ("api_url", &options.api_url),
        ("spaces_endpoint", &options.spaces_endpoint),
    ];
    let set = all.into_iter();
    set.filter_map(|(id, url)| Some((id, url.clone()?)))
        .collect()
}
