//! The options of an import to AWS. Names of the keys are those of Packer's amazon-import,
//! names of the flags are the short ones; nothing is validated here.

use std::path::PathBuf;

use merge::Merge;
use serde::Deserialize;

use super::deprecation::DeprecateAt;
use super::values::{
    Architecture, BootMode, ImdsSupport, LicenseType, Method, Platform, REGIONS, S3Encryption,
    TpmSupport, VolumeType,
};
use crate::config::{Suggest, deserialize, negated, switch};
use crate::image::Format;
use crate::secret::Secret;

/// The table `[aws]`, the flags and the variables of `imgimport aws`.
#[derive(Clone, Debug, Default, clap::Args, Deserialize, Merge)]
#[serde(default, deny_unknown_fields)]
#[merge(strategy = merge::option::overwrite_none)]
#[command(next_help_heading = "Amazon Web Services")]
pub struct Options {
    /// Region of the import, where the bucket must lie [default: the profile's]
    #[arg(long, value_name = "REGION", value_parser = Suggest(REGIONS), hide_possible_values = true)]
    #[serde(deserialize_with = "deserialize::region")]
    pub region: Option<String>,

    /// Bucket that holds the image while it is imported; it must exist [default: none, for --method ebs-direct]
    #[arg(
        id = "s3_bucket_name",
        long = "bucket",
        visible_alias = "s3-bucket-name",
        value_name = "BUCKET"
    )]
    #[serde(alias = "bucket")]
    pub s3_bucket_name: Option<String>,

    /// Account that owns the bucket; requests are refused where another one does [default: the caller's]
    #[arg(long, value_name = "ACCOUNT")]
    pub bucket_owner: Option<String>,

    /// Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]
    #[arg(
        id = "s3_key_name",
        long = "key",
        visible_alias = "s3-key-name",
        value_name = "KEY"
    )]
    #[serde(alias = "key")]
    pub s3_key_name: Option<String>,

    /// Format of the image [default: detected]
    #[arg(long, value_name = "FMT", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub format: Option<Format>,

    /// Keep the temporary object
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub skip_clean: Option<bool>,

    /// Delete the local image after a successful import
    #[arg(id = "keep_input_artifact", long = "delete-source", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = negated)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub keep_input_artifact: Option<bool>,

    /// How the image becomes an AMI [default: auto]
    #[arg(long, value_name = "METHOD", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub method: Option<Method>,

    /// Name of the AMI [default: the import task's id, or one with the time in it]
    #[arg(long, value_name = "NAME")]
    pub ami_name: Option<String>,

    /// Description of the AMI
    #[arg(long, value_name = "TEXT")]
    pub ami_description: Option<String>,

    /// Tag on the AMI and its snapshots (can be repeated)
    #[arg(id = "tags", long = "tag", value_name = "K=V", value_parser = tag, action = clap::ArgAction::Append)]
    #[serde(alias = "tag", deserialize_with = "deserialize::pairs")]
    pub tags: Option<Vec<(String, String)>>,

    /// Account that may launch the AMI (can be repeated)
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    #[serde(deserialize_with = "deserialize::list")]
    pub ami_users: Option<Vec<String>>,

    /// Group that may launch the AMI; AWS knows only `all` (can be repeated)
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    #[serde(deserialize_with = "deserialize::list")]
    pub ami_groups: Option<Vec<String>>,

    /// Organization that may launch the AMI (can be repeated)
    #[arg(long, value_name = "ARN", value_delimiter = ',')]
    #[serde(deserialize_with = "deserialize::list")]
    pub ami_org_arns: Option<Vec<String>>,

    /// Organizational unit that may launch the AMI (can be repeated)
    #[arg(long, value_name = "ARN", value_delimiter = ',')]
    #[serde(deserialize_with = "deserialize::list")]
    pub ami_ou_arns: Option<Vec<String>>,

    /// Let everybody launch the AMI, as `--ami-groups all` does
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub public: Option<bool>,

    /// Let the accounts make volumes of the AMI's snapshots, too [default: true]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub share_snapshots: Option<bool>,

    /// When the AMI is deprecated: a moment such as 2030-01-01T00:00:00Z, or a time from now such as 90d or 2y
    #[arg(long, value_name = "TIME")]
    #[serde(deserialize_with = "deserialize::value")]
    pub deprecate_at: Option<DeprecateAt>,

    /// Region to copy the AMI to (can be repeated)
    #[arg(
        id = "copy_to_regions",
        long = "copy-to",
        value_name = "REGION",
        value_delimiter = ',',
        value_parser = Suggest(REGIONS),
        hide_possible_values = true
    )]
    #[serde(alias = "copy_to", deserialize_with = "deserialize::regions")]
    pub copy_to_regions: Option<Vec<String>>,

    /// KMS key of a region, for the copy there (can be repeated) [default: the region's EBS key]
    #[arg(id = "copy_kms_keys", long = "copy-kms-key", value_name = "REGION=KEY", value_parser = regional_key, action = clap::ArgAction::Append)]
    #[serde(alias = "copy_kms_key", deserialize_with = "deserialize::pairs")]
    pub copy_kms_keys: Option<Vec<(String, String)>>,

    /// Parameter of Systems Manager that is to hold the AMI's id, in each region the id there
    #[arg(long, value_name = "NAME")]
    pub ssm_parameter: Option<String>,

    /// Encrypt the AMI's snapshots
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub ami_encrypt: Option<bool>,

    /// KMS key for the AMI's snapshots [default: the account's EBS key]
    #[arg(long, value_name = "KEY")]
    pub ami_kms_key: Option<String>,

    /// Encryption of the temporary object
    #[arg(long, value_name = "KIND", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub s3_encryption: Option<S3Encryption>,

    /// KMS key for the temporary object, with --s3-encryption aws:kms
    #[arg(long, value_name = "KEY")]
    pub s3_encryption_key: Option<String>,

    /// Whose licence the system runs under
    #[arg(long, value_name = "TYPE", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub license_type: Option<LicenseType>,

    /// Service role of the import [default: vmimport]
    #[arg(long, value_name = "ROLE")]
    pub role_name: Option<String>,

    /// Create or repair the service role where it is missing or wrong
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub create_role: Option<bool>,

    /// Processor architecture of the system [default: x86_64]
    #[arg(long, value_name = "ARCH", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub architecture: Option<Architecture>,

    /// How the system boots [default: AWS looks]
    #[arg(long, value_name = "MODE", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub boot_mode: Option<BootMode>,

    /// Family of the operating system [default: AWS looks]
    #[arg(long, value_name = "OS", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub platform: Option<Platform>,

    /// v2.0 makes every instance of the AMI require IMDSv2
    #[arg(long, value_name = "VERSION", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub imds_support: Option<ImdsSupport>,

    /// Trusted Platform Module of the AMI's instances
    #[arg(long, value_name = "VERSION", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub tpm_support: Option<TpmSupport>,

    /// File with the UEFI variables, as `aws ec2 get-instance-uefi-data` prints them
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub uefi_data: Option<PathBuf>,

    /// Kind of the root volume [default: gp3, where AWS does not choose]
    #[arg(long, value_name = "TYPE", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub volume_type: Option<VolumeType>,

    /// Size of the root volume in GiB [default: what the image needs]
    #[arg(long, value_name = "GIB")]
    #[serde(deserialize_with = "deserialize::value")]
    pub volume_size: Option<u32>,

    /// Name of the root device [default: /dev/sda1]
    #[arg(long, value_name = "DEVICE")]
    pub root_device_name: Option<String>,

    /// Profile of the AWS configuration files
    #[arg(long, value_name = "NAME", help_heading = "AWS account")]
    pub profile: Option<String>,

    /// Access key; from `AWS_ACCESS_KEY_ID` or the file, never a flag.
    #[arg(skip)]
    pub access_key: Option<Secret>,

    /// Secret key; from `AWS_SECRET_ACCESS_KEY` or the file, never a flag.
    #[arg(skip)]
    pub secret_key: Option<Secret>,

    /// Session token; from `AWS_SESSION_TOKEN` or the file, never a flag.
    #[arg(skip)]
    pub token: Option<Secret>,

    /// Credentials file to read instead of ~/.aws/credentials
    #[arg(long, value_name = "FILE", help_heading = "AWS account", value_hint = clap::ValueHint::FilePath)]
    pub shared_credentials_file: Option<PathBuf>,

    /// Role to assume for the whole run
    #[arg(long, value_name = "ARN", help_heading = "AWS account")]
    pub assume_role_arn: Option<String>,

    /// External id that the role's trust policy asks for
    #[arg(long, value_name = "ID", help_heading = "AWS account")]
    pub external_id: Option<String>,

    /// Name of the assumed role's session [default: imgimport]
    #[arg(long, value_name = "NAME", help_heading = "AWS account")]
    pub session_name: Option<String>,

    /// The same and more as a table; a flag or a variable wins over its entry.
    #[arg(skip)]
    pub assume_role: Option<AssumeRole>,

    /// Endpoint for every service, such as a gateway's
    #[arg(long, value_name = "URL", help_heading = "AWS account")]
    pub endpoint_url: Option<String>,

    /// Endpoint for EC2 alone, Packer's name.
    #[arg(skip)]
    pub custom_endpoint_ec2: Option<String>,

    /// `AWS_ENDPOINT_URL_S3`; the file has no such key.
    #[arg(skip)]
    #[serde(skip)]
    pub endpoint_url_s3: Option<String>,
    /// `AWS_ENDPOINT_URL_EC2`.
    #[arg(skip)]
    #[serde(skip)]
    pub endpoint_url_ec2: Option<String>,
    /// `AWS_ENDPOINT_URL_EBS`.
    #[arg(skip)]
    #[serde(skip)]
    pub endpoint_url_ebs: Option<String>,
    /// `AWS_ENDPOINT_URL_SSM`.
    #[arg(skip)]
    #[serde(skip)]
    pub endpoint_url_ssm: Option<String>,
    /// `AWS_ENDPOINT_URL_SERVICE_QUOTAS`.
    #[arg(skip)]
    #[serde(skip)]
    pub endpoint_url_service_quotas: Option<String>,
    /// `AWS_ENDPOINT_URL_STS`.
    #[arg(skip)]
    #[serde(skip)]
    pub endpoint_url_sts: Option<String>,
    /// `AWS_ENDPOINT_URL_IAM`.
    #[arg(skip)]
    #[serde(skip)]
    pub endpoint_url_iam: Option<String>,

    /// How often a request that AWS could not answer is sent again [default: 3]
    #[arg(long, value_name = "N", help_heading = "AWS account")]
    #[serde(deserialize_with = "deserialize::value")]
    pub max_retries: Option<u32>,

    /// Don't ask STS who the caller is.
    #[arg(skip)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub skip_credential_validation: Option<bool>,

    /// Don't ask the instance metadata service for credentials.
    #[arg(skip)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub skip_metadata_api_check: Option<bool>,

    /// Packer's way to say `[wait]`.
    #[arg(skip)]
    pub aws_polling: Option<Polling>,

    /// A key of Packer's with no counterpart here, known so that the refusal can say why.
    #[arg(skip)]
    pub mfa_code: Option<toml::Value>,
    /// As above.
    #[arg(skip)]
    pub vault_aws_engine: Option<toml::Value>,
    /// As above.
    #[arg(skip)]
    pub insecure_skip_tls_verify: Option<toml::Value>,
    /// As above.
    #[arg(skip)]
    pub decode_authorization_messages: Option<toml::Value>,
}

/// The table `[aws.assume_role]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssumeRole {
    /// The role.
    pub role_arn: Option<String>,
    /// The external id that its trust policy asks for.
    pub external_id: Option<String>,
    /// The name of the session.
    pub session_name: Option<String>,
    /// How long a session lasts, in seconds; it is renewed when it ends.
    #[serde(deserialize_with = "deserialize::value")]
    pub duration_seconds: Option<u32>,
    /// A policy that narrows the session.
    pub policy: Option<String>,
    /// Managed policies that narrow the session.
    #[serde(deserialize_with = "deserialize::list")]
    pub policy_arns: Option<Vec<String>>,
    /// Tags of the session.
    #[serde(deserialize_with = "deserialize::pairs")]
    pub tags: Option<Vec<(String, String)>>,
    /// Packer's, with no counterpart here.
    pub transitive_tag_keys: Option<toml::Value>,
}

/// The table `[aws.aws_polling]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Polling {
    /// Questions before the wait is given up.
    #[serde(deserialize_with = "deserialize::value")]
    pub max_attempts: Option<u32>,
    /// Seconds between two questions.
    #[serde(deserialize_with = "deserialize::value")]
    pub delay_seconds: Option<u32>,
}

/// `K=V` as the flag and the variable write it.
fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write a tag as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// `REGION=KEY` as the flag and the variable write it.
fn regional_key(text: &str) -> Result<(String, String), String> {
    let (region, key) = text
        .split_once('=')
        .ok_or("write a region's key as REGION=KEY")?;
    Ok((region.to_owned(), key.to_owned()))
}
