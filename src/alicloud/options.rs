//! The options of an import to Alibaba Cloud. Names of the keys are those of Packer's
//! alicloud-import, names of the flags are the short ones; nothing is validated here.

use std::path::PathBuf;

use merge::Merge;
use serde::Deserialize;

use super::values::{Architecture, BootMode, Detection, LicenseType, OsType, REGIONS};
use crate::config::{Suggest, deserialize, negated, switch};
use crate::image::Format;
use crate::secret::Secret;

/// The table `[alicloud]`, the flags and the variables of `imgimport alicloud`.
#[derive(Clone, Debug, Default, clap::Args, Deserialize, Merge)]
#[serde(default, deny_unknown_fields)]
#[merge(strategy = merge::option::overwrite_none)]
#[command(next_help_heading = "Alibaba Cloud")]
pub struct Options {
    /// Region of the import, such as cn-beijing; the bucket must lie there [required]
    #[arg(long, value_name = "REGION", value_parser = Suggest(REGIONS), hide_possible_values = true)]
    #[serde(deserialize_with = "deserialize::region")]
    pub region: Option<String>,

    /// Bucket that holds the image while it is imported; made (private) if it does not exist [required]
    #[arg(
        id = "oss_bucket_name",
        long = "bucket",
        visible_alias = "oss-bucket-name",
        value_name = "BUCKET"
    )]
    #[serde(alias = "bucket")]
    pub oss_bucket_name: Option<String>,

    /// Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]
    #[arg(
        id = "oss_key_name",
        long = "key",
        visible_alias = "oss-key-name",
        value_name = "KEY"
    )]
    #[serde(alias = "key")]
    pub oss_key_name: Option<String>,

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

    /// Name of the image [default: imgimport-{{timestamp}}]
    #[arg(long, value_name = "NAME")]
    pub image_name: Option<String>,

    /// Description of the image
    #[arg(long, value_name = "TEXT")]
    pub image_description: Option<String>,

    /// Family of the operating system [default: linux]
    #[arg(
        id = "image_os_type",
        long = "os-type",
        visible_alias = "image-os-type",
        value_name = "OS",
        ignore_case = true
    )]
    #[serde(alias = "os_type", deserialize_with = "deserialize::choice")]
    pub image_os_type: Option<OsType>,

    /// Distribution or release, such as Ubuntu or "Windows Server 2022" [default: Others Linux]
    #[arg(
        id = "image_platform",
        long = "platform",
        visible_alias = "image-platform",
        value_name = "NAME"
    )]
    #[serde(alias = "platform")]
    pub image_platform: Option<String>,

    /// Processor architecture of the system [default: x86_64]
    #[arg(
        id = "image_architecture",
        long = "architecture",
        visible_alias = "image-architecture",
        value_name = "ARCH",
        ignore_case = true
    )]
    #[serde(alias = "architecture", deserialize_with = "deserialize::choice")]
    pub image_architecture: Option<Architecture>,

    /// Size of the system disk in GiB [default: what the image needs]
    #[arg(
        id = "image_system_size",
        long = "system-size",
        visible_alias = "image-system-size",
        value_name = "GIB"
    )]
    #[serde(alias = "system_size", deserialize_with = "deserialize::value")]
    pub image_system_size: Option<u32>,

    /// Replace an image of that name, once the new one is available
    #[arg(id = "image_force_delete", long = "force-delete", visible_alias = "image-force-delete", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    #[serde(alias = "force_delete", deserialize_with = "deserialize::switch")]
    pub image_force_delete: Option<bool>,

    /// Delete the replaced image's snapshots, too
    #[arg(id = "image_force_delete_snapshots", long = "force-delete-snapshots", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    #[serde(
        alias = "force_delete_snapshots",
        deserialize_with = "deserialize::switch"
    )]
    pub image_force_delete_snapshots: Option<bool>,

    /// How the system boots [default: BIOS, UEFI where the disk has nothing else]
    #[arg(long, value_name = "MODE", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub boot_mode: Option<BootMode>,

    /// Whose licence the system runs under
    #[arg(long, value_name = "TYPE", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub license_type: Option<LicenseType>,

    /// RAM role of the import [default: AliyunECSImageImportDefaultRole]
    #[arg(long, value_name = "ROLE")]
    pub role_name: Option<String>,

    /// Resource group of the image [default: the account's default group]
    #[arg(long, value_name = "ID")]
    pub resource_group_id: Option<String>,

    /// Image family, whose newest image can be asked for by the family's name
    #[arg(id = "target_image_family", long = "image-family", value_name = "NAME")]
    #[serde(alias = "image_family")]
    pub target_image_family: Option<String>,

    /// Let Alibaba Cloud examine the imported image
    #[arg(long, value_name = "STRATEGY", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub detection_strategy: Option<Detection>,

    /// Tag on the image, its copies and their snapshots (can be repeated)
    #[arg(id = "tags", long = "tag", value_name = "K=V", value_parser = tag, action = clap::ArgAction::Append)]
    #[serde(alias = "tag", deserialize_with = "deserialize::pairs")]
    pub tags: Option<Vec<(String, String)>>,

    /// Account that may use the image and its copies (can be repeated)
    #[arg(
        id = "image_share_account",
        long = "share-account",
        visible_alias = "image-share-account",
        value_name = "ACCOUNT",
        value_delimiter = ','
    )]
    #[serde(alias = "share_account", deserialize_with = "deserialize::list")]
    pub image_share_account: Option<Vec<String>>,

    /// Region to copy the image to (can be repeated)
    #[arg(
        id = "image_copy_regions",
        long = "copy-to",
        visible_alias = "image-copy-regions",
        value_name = "REGION",
        value_delimiter = ',',
        value_parser = Suggest(REGIONS),
        hide_possible_values = true
    )]
    #[serde(alias = "copy_to", deserialize_with = "deserialize::regions")]
    pub image_copy_regions: Option<Vec<String>>,

    /// Name of the copy, one for each region [default: the image's name] (can be repeated)
    #[arg(
        id = "image_copy_names",
        long = "copy-name",
        visible_alias = "image-copy-names",
        value_name = "NAME",
        value_delimiter = ','
    )]
    #[serde(alias = "copy_name", deserialize_with = "deserialize::list")]
    pub image_copy_names: Option<Vec<String>>,

    /// Encrypt the copies
    #[arg(id = "image_encrypted", long = "encrypt-copies", visible_alias = "image-encrypted", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    #[serde(alias = "encrypt_copies", deserialize_with = "deserialize::switch")]
    pub image_encrypted: Option<bool>,

    /// KMS key for the encrypted copies [default: ECS's service key]
    #[arg(long, value_name = "KEY")]
    pub kms_key_id: Option<String>,

    /// KMS key, one for each region of a copy (can be repeated)
    #[arg(
        id = "kms_key_copy_ids",
        long = "kms-key-copy-id",
        value_name = "KEY",
        value_delimiter = ','
    )]
    #[serde(alias = "kms_key_copy_id", deserialize_with = "deserialize::list")]
    pub kms_key_copy_ids: Option<Vec<String>>,

    /// Profile of the aliyun CLI's configuration
    #[arg(long, value_name = "NAME", help_heading = "Alibaba Cloud account")]
    pub profile: Option<String>,

    /// Access key; from `ALICLOUD_ACCESS_KEY` or the file, never a flag.
    #[arg(skip)]
    pub access_key: Option<Secret>,

    /// Secret key; from `ALICLOUD_SECRET_KEY` or the file, never a flag.
    #[arg(skip)]
    pub secret_key: Option<Secret>,

    /// Security token; from `SECURITY_TOKEN` or the file, never a flag.
    #[arg(skip)]
    pub security_token: Option<Secret>,

    /// Configuration to read instead of ~/.aliyun/config.json
    #[arg(long, value_name = "FILE", help_heading = "Alibaba Cloud account", value_hint = clap::ValueHint::FilePath)]
    pub shared_credentials_file: Option<PathBuf>,

    /// RAM role of the ECS instance that this runs on
    #[arg(long, value_name = "ROLE", help_heading = "Alibaba Cloud account")]
    pub ram_role_name: Option<String>,

    /// Role to assume for the whole run
    #[arg(long, value_name = "ARN", help_heading = "Alibaba Cloud account")]
    pub ram_role_arn: Option<String>,

    /// Name of the assumed role's session [default: imgimport]
    #[arg(long, value_name = "NAME", help_heading = "Alibaba Cloud account")]
    pub ram_session_name: Option<String>,

    /// Endpoint of ECS, a URL or a host
    #[arg(long, value_name = "URL", help_heading = "Alibaba Cloud account")]
    #[serde(alias = "custom_endpoint_ecs")]
    pub ecs_endpoint: Option<String>,

    /// Endpoint of OSS, a URL or a host: internal, accelerated or a custom domain
    #[arg(long, value_name = "URL", help_heading = "Alibaba Cloud account")]
    pub oss_endpoint: Option<String>,

    /// Endpoint of RAM, a URL or a host
    #[arg(long, value_name = "URL", help_heading = "Alibaba Cloud account")]
    pub ram_endpoint: Option<String>,

    /// Endpoint of STS, a URL or a host
    #[arg(long, value_name = "URL", help_heading = "Alibaba Cloud account")]
    pub sts_endpoint: Option<String>,

    /// Put the bucket into the path instead of the host's name
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch, help_heading = "Alibaba Cloud account")]
    #[serde(deserialize_with = "deserialize::switch")]
    pub oss_path_style: Option<bool>,

    /// The OSS endpoint is a domain bound to the bucket
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch, help_heading = "Alibaba Cloud account")]
    #[serde(deserialize_with = "deserialize::switch")]
    pub oss_cname: Option<bool>,

    /// How often a request that Alibaba Cloud could not answer is sent again [default: 12]
    #[arg(long, value_name = "N", help_heading = "Alibaba Cloud account")]
    #[serde(deserialize_with = "deserialize::value")]
    pub max_retries: Option<u32>,

    /// Packer's switch; regions are Alibaba Cloud's to know, so there is nothing to skip.
    #[arg(skip)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub skip_region_validation: Option<bool>,

    /// Packer's, for its builder's source image; an import has none.
    #[arg(skip)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub skip_image_validation: Option<bool>,

    /// Packer's, with no counterpart here; so are those that follow.
    #[arg(skip)]
    pub image_version: Option<toml::Value>,
    #[arg(skip)]
    pub image_unshare_account: Option<toml::Value>,
    #[arg(skip)]
    pub image_force_delete_instances: Option<toml::Value>,
    #[arg(skip)]
    pub image_ignore_data_disks: Option<toml::Value>,
    #[arg(skip)]
    pub system_disk_mapping: Option<toml::Value>,
    #[arg(skip)]
    pub image_disk_mappings: Option<toml::Value>,
    #[arg(skip)]
    pub wait_copying_image_ready_timeout: Option<toml::Value>,
    #[arg(skip)]
    pub wait_snapshot_ready_timeout: Option<toml::Value>,
}

/// `K=V` as the flag and the variable write it.
fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write a tag as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
