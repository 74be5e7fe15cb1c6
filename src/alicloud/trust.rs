//! Which keys of `[alicloud]` hold or receive secrets, and which settings files may set them.

use super::options::Options;
use crate::config::trust::{DELETES_SOURCE, SELECTS_CREDENTIALS, Trust, TrustTable};
use crate::net::endpoint::with_scheme;

/// The variables of the secrets.
pub const SECRETS: &[(&str, &[&str])] = &[
    (
        "access_key",
        &[
            "IMGIMPORT_ALICLOUD_ACCESS_KEY",
            "ALICLOUD_ACCESS_KEY",
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
        ],
    ),
    (
        "secret_key",
        &[
            "IMGIMPORT_ALICLOUD_SECRET_KEY",
            "ALICLOUD_SECRET_KEY",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        ],
    ),
    (
        "security_token",
        &[
            "IMGIMPORT_ALICLOUD_SECURITY_TOKEN",
            "SECURITY_TOKEN",
            "ALICLOUD_SECURITY_TOKEN",
            "ALIBABA_CLOUD_SECURITY_TOKEN",
        ],
    ),
];

/// The domain of all of Alibaba Cloud's services.
pub const DOMAINS: &[&str] = &["aliyuncs.com"];

/// The decision on each key.
pub const TRUST: &TrustTable = &[
    (
        Trust::Any,
        &[
            "access_key",
            "architecture",
            "boot_mode",
            "bucket",
            "copy_name",
            "copy_to",
            "detection_strategy",
            "encrypt_copies",
            "force_delete",
            "force_delete_snapshots",
            "format",
            "image_architecture",
            "image_copy_names",
            "image_copy_regions",
            "image_description",
            "image_disk_mappings",
            "image_encrypted",
            "image_family",
            "image_force_delete",
            "image_force_delete_instances",
            "image_force_delete_snapshots",
            "image_ignore_data_disks",
            "image_name",
            "image_os_type",
            "image_platform",
            "image_share_account",
            "image_system_size",
            "image_unshare_account",
            "image_version",
            "key",
            "kms_key_copy_id",
            "kms_key_copy_ids",
            "kms_key_id",
            "license_type",
            "max_retries",
            "os_type",
            "oss_bucket_name",
            "oss_cname",
            "oss_key_name",
            "oss_path_style",
            "platform",
            "ram_session_name",
            "region",
            "resource_group_id",
            "role_name",
            "secret_key",
            "security_token",
            "share_account",
            "skip_clean",
            "skip_image_validation",
            "skip_region_validation",
            "system_disk_mapping",
            "system_size",
            "tag",
            "tags",
            "target_image_family",
            "wait_copying_image_ready_timeout",
            "wait_snapshot_ready_timeout",
        ],
    ),
    (
        SELECTS_CREDENTIALS,
        &[
            "profile",
            "ram_role_arn",
            "ram_role_name",
            "shared_credentials_file",
        ],
    ),
    (
        Trust::Address,
        &[
            "custom_endpoint_ecs",
            "ecs_endpoint",
            "oss_endpoint",
            "ram_endpoint",
            "sts_endpoint",
        ],
    ),
    (DELETES_SOURCE, &["keep_input_artifact"]),
];

/// Where tokens are sent, and what is signed with the keys.
pub fn addresses(options: &Options) -> Vec<(&'static str, String)> {
    let all = [
        ("ecs_endpoint", &options.ecs_endpoint),
        ("oss_endpoint", &options.oss_endpoint),
        ("ram_endpoint", &options.ram_endpoint),
        ("sts_endpoint", &options.sts_endpoint),
    ];
    let set = all.into_iter();
    set.filter_map(|(id, url)| Some((id, with_scheme(url.as_deref()?))))
        .collect()
}
