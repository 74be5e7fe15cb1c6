//! Which keys of `[aws]` hold or receive secrets, and which settings files may set them.

use super::options::Options;
use crate::config::trust::{DELETES_SOURCE, SELECTS_CREDENTIALS, Trust, TrustTable, is_on};

/// The variables of the secrets.
pub const SECRETS: &[(&str, &[&str])] = &[
    (
        "access_key",
        &["IMGIMPORT_AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID"],
    ),
    (
        "secret_key",
        &["IMGIMPORT_AWS_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"],
    ),
    ("token", &["IMGIMPORT_AWS_TOKEN", "AWS_SESSION_TOKEN"]),
];

/// The domains of all of AWS's partitions.
pub const DOMAINS: &[&str] = &[
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "api.aws",
];

const PUBLIC_AMI: &str = "that everybody may launch the AMI";

/// The decision on each key.
pub const TRUST: &TrustTable = &[
    (
        Trust::Any,
        &[
            "access_key",
            "ami_description",
            "ami_encrypt",
            "ami_kms_key",
            "ami_name",
            "ami_org_arns",
            "ami_ou_arns",
            "ami_users",
            "architecture",
            "aws_polling",
            "boot_mode",
            "bucket",
            "bucket_owner",
            "copy_kms_key",
            "copy_kms_keys",
            "copy_to",
            "copy_to_regions",
            "create_role",
            "decode_authorization_messages",
            "deprecate_at",
            "external_id",
            "format",
            "imds_support",
            "insecure_skip_tls_verify",
            "key",
            "license_type",
            "max_retries",
            "method",
            "mfa_code",
            "platform",
            "region",
            "role_name",
            "root_device_name",
            "s3_bucket_name",
            "s3_encryption",
            "s3_encryption_key",
            "s3_key_name",
            "secret_key",
            "session_name",
            "share_snapshots",
            "skip_clean",
            "skip_credential_validation",
            "skip_metadata_api_check",
            "ssm_parameter",
            "tag",
            "tags",
            "token",
            "tpm_support",
            "uefi_data",
            "vault_aws_engine",
            "volume_size",
            "volume_type",
        ],
    ),
    (
        SELECTS_CREDENTIALS,
        &[
            "assume_role",
            "assume_role_arn",
            "profile",
            "shared_credentials_file",
        ],
    ),
    (Trust::Address, &["custom_endpoint_ec2", "endpoint_url"]),
    (DELETES_SOURCE, &["keep_input_artifact"]),
    (Trust::Named(PUBLIC_AMI), &["ami_groups"]),
    (Trust::Except(is_on, PUBLIC_AMI), &["public"]),
];

/// Where the keys are sent, or what is signed with them.
pub fn addresses(options: &Options) -> Vec<(&'static str, String)> {
    let all = [
        ("endpoint_url", &options.endpoint_url),
        ("custom_endpoint_ec2", &options.custom_endpoint_ec2),
        ("endpoint_url_s3", &options.endpoint_url_s3),
        ("endpoint_url_ec2", &options.endpoint_url_ec2),
        ("endpoint_url_ebs", &options.endpoint_url_ebs),
        ("endpoint_url_ssm", &options.endpoint_url_ssm),
        (
            "endpoint_url_service_quotas",
            &options.endpoint_url_service_quotas,
        ),
        ("endpoint_url_sts", &options.endpoint_url_sts),
        ("endpoint_url_iam", &options.endpoint_url_iam),
    ];
    let set = all.into_iter();
    set.filter_map(|(id, url)| Some((id, url.clone()?)))
        .collect()
}
