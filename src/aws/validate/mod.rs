//! AWS's restrictions, checked before the upload. Each rule contains its reason.

pub mod reach;

use std::collections::BTreeSet;

use super::ids;
use super::method::ImportMethod;
use super::options::Options;
use super::values::{Architecture, BootMode, LicenseType, Platform};
use crate::config::CloudOptions;
use crate::config::problems::Problems;
use crate::error::{Error, Result as Ended};
use crate::image::{Content, Image, Target, VmdkKind, action, unpacking};

/// EC2 RegisterImage and CopyImage, "Name".
const AMI_NAME_PUNCTUATION: &str = "()[] ./-'@_";
/// EC2 "Description" of an image.
const MAX_DESCRIPTION: usize = 255;
/// Tags per resource, "Tag restrictions" of the EC2 user guide.
const MAX_TAGS: usize = 50;
/// VM Import/Export, "Limitations": disks of ImportImage, and of ImportSnapshot without a
/// manifest file.
const MAX_DISK_SIZE: u64 = 8 << 40;
/// VM Import/Export, "Limitations": volumes of one image.
const MAX_DISKS: usize = 21;
/// EBS "Amazon EBS volume types": the largest volume in GiB.
const MAX_VOLUME_GIB: u32 = 65536;

/// An AMI's name: 3 to 128 letters, digits and a few signs.
pub fn ami_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || AMI_NAME_PUNCTUATION.contains(c);
    match name.chars().find(|&c| !fits(c)) {
        Some(sign) => Err(format!(
            "an AMI's name takes no {sign:?}: letters, digits, spaces and ( ) [ ] . / - ' @ _ are allowed"
        )),
        None if !(3..=128).contains(&name.len()) => Err(format!(
            "an AMI's name has 3 to 128 characters, this one {}",
            name.len()
        )),
        None => Ok(()),
    }
}

/// The nearest name that an AMI can have.
pub fn to_ami_name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || AMI_NAME_PUNCTUATION.contains(c);
    let name: String = text
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .take(128)
        .collect();
    if name.len() < 3 {
        return format!("imgimport-{name}");
    }
    name
}

/// A bucket's name ("Bucket naming rules" of the S3 user guide). Buckets that were created
/// in us-east-1 before March 2018 can have up to 255 characters, capitals and underscores.
pub fn bucket(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (3..=255).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(format!(
        "\"{name}\" cannot be the name of a bucket: 3 to 63 lowercase letters, digits, dots and hyphens"
    ))
}

/// Whether a new bucket could not have this name: one that has it is older than the rules.
pub fn is_old_bucket(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let valid = (3..=63).contains(&name.len())
        && name.chars().all(|c| fits(c) || c == '.' || c == '-')
        && name.starts_with(fits)
        && name.ends_with(fits)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err();
    !valid
}

/// An object's key: up to 1,024 bytes of UTF-8.
pub fn key(key: &str) -> Result<(), String> {
    match key.len() {
        0 => Err("the object's key is empty".to_owned()),
        1..=1024 => Ok(()),
        length => Err(format!(
            "the object's key has {length} bytes, S3 takes 1,024"
        )),
    }
}

/// A tag: key to 127 characters and not AWS's own, value to 256.
pub fn tag(key: &str, value: &str) -> Result<(), String> {
    if key.is_empty() || key.chars().count() > 127 {
        return Err(format!(
            "the tag \"{key}\" needs a key of 1 to 127 characters"
        ));
    }
    if key.to_lowercase().starts_with("aws:") {
        return Err(format!(
            "the tag \"{key}\" can't begin with aws:, that prefix is AWS's own"
        ));
    }
    if value.chars().count() > 256 {
        return Err(format!(
            "the value of the tag \"{key}\" is longer than 256 characters"
        ));
    }
    Ok(())
}

/// An account: 12 digits.
pub fn account(id: &str) -> Result<(), String> {
    if ids::is_account(id) {
        Ok(())
    } else {
        Err(format!(
            "\"{id}\" is not an account: an account has 12 digits"
        ))
    }
}

/// A role's name, IAM CreateRole.
pub fn role_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let valid = (1..=64).contains(&name.len()) && name.chars().all(fits);
    if valid {
        Ok(())
    } else {
        Err(format!(
            "\"{name}\" can't be a role's name: give the name, not the ARN"
        ))
    }
}

/// The rules that look at one option alone.
pub fn each_option(options: &Options, problems: &mut Problems<Options>) {
    check(
        problems,
        "s3_bucket_name",
        options.s3_bucket_name.iter(),
        |name| bucket(name),
    );
    let owner = options.bucket_owner.iter();
    check(problems, "bucket_owner", owner, |id| account(id));
    check(problems, "role_name", options.role_name.iter(), |name| {
        role_name(name)
    });
    check(
        problems,
        "ami_users",
        options.ami_users.iter().flatten(),
        |id| account(id),
    );
    check(
        problems,
        "ami_groups",
        options.ami_groups.iter().flatten(),
        |group| {
            if group == "all" {
                Ok(())
            } else {
                Err(format!("AWS knows no group \"{group}\", only all"))
            }
        },
    );
    for (id, arns) in [
        ("ami_org_arns", &options.ami_org_arns),
        ("ami_ou_arns", &options.ami_ou_arns),
    ] {
        check(problems, id, arns.iter().flatten(), |arn| {
            let valid = arn.starts_with("arn:aws") && arn.contains(":organizations::");
            if valid {
                Ok(())
            } else {
                Err(format!(
                    "\"{arn}\" is not the ARN of an organization or a unit of one"
                ))
            }
        });
    }
    problems.addresses(options);
}

/// The tags as they will be sent: CreateTags comes after the import, when it is late for an
/// error.
pub fn tags(tags: &[(String, String)], problems: &mut Problems<Options>) {
    check(problems, "tags", tags.iter(), |(key, value)| {
        tag(key, value)
    });
    let mut keys = BTreeSet::new();
    for (key, _) in tags {
        problems.require(
            keys.insert(key),
            "tags",
            format!("the tag key \"{key}\" is given twice"),
        );
    }
    problems.require(
        tags.len() <= MAX_TAGS,
        "tags",
        format!("AWS accepts {MAX_TAGS} tags, not {}", tags.len()),
    );
}

/// An AMI's description: up to 255 characters of ASCII. EC2 answers others with
/// "Character sets beyond ASCII are not supported", after the import.
pub fn description(text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if length > MAX_DESCRIPTION {
        return Err(format!(
            "the description has {length} characters, AWS accepts {MAX_DESCRIPTION}"
        ));
    }
    match text.chars().find(|c| !matches!(c, ' '..='~')) {
        Some(c) => Err(format!(
            "the description has the character {c:?}, AWS accepts printable ASCII"
        )),
        None => Ok(()),
    }
}

fn check<P: CloudOptions, T>(
    problems: &mut Problems<P>,
    id: &str,
    values: impl Iterator<Item = T>,
    rule: impl Fn(T) -> Result<(), String>,
) {
    for reason in values.filter_map(|value| rule(value).err()) {
        problems.invalid(id, reason);
    }
}

/// The combinations that AWS refuses, some of them only after an hour.
pub fn combinations(options: &Options, problems: &mut Problems<Options>) {
    let encrypt = options.ami_encrypt == Some(true);
    let public = reach::is_public(options);
    let shared = options.ami_users.is_some()
        || options.ami_org_arns.is_some()
        || options.ami_ou_arns.is_some();
    problems.require(
        encrypt || options.ami_kms_key.is_none(),
        "ami_kms_key",
        "a KMS key for the AMI says nothing unless the AMI is encrypted: add --ami-encrypt",
    );
    problems.require(
        !(encrypt && public),
        "ami_groups",
        "an encrypted AMI can't be public",
    );
    problems.require(
        !(encrypt && shared && options.ami_kms_key.is_none()),
        "ami_kms_key",
        "an AMI encrypted with the account's own EBS key can't be shared: name a KMS key that the others may use",
    );
    problems.require(
        options.s3_encryption_key.is_none()
            || options.s3_encryption == Some(super::values::S3Encryption::AwsKms),
        "s3_encryption_key",
        "a KMS key for the object needs --s3-encryption aws:kms",
    );
    architecture_and_boot(options, problems);
    register_image_options(options, problems);
}

/// Systems that EC2 does not run, or not so.
fn architecture_and_boot(options: &Options, problems: &mut Problems<Options>) {
    problems.require(
        options.architecture != Some(Architecture::I386),
        "architecture",
        "EC2 imports no 32-bit systems any more",
    );
    let arm = options.architecture == Some(Architecture::Arm64);
    problems.require(
        !(arm && options.boot_mode == Some(BootMode::LegacyBios)),
        "boot_mode",
        "an arm64 system starts with UEFI alone: say uefi, or leave the boot mode out",
    );
    problems.require(
        !(options.platform == Some(Platform::Linux)
            && options.license_type == Some(LicenseType::Aws)),
        "license_type",
        "AWS sells no licence for Linux: leave the license type out, or say BYOL",
    );
}

/// What RegisterImage takes, and what it takes together.
fn register_image_options(options: &Options, problems: &mut Problems<Options>) {
    let arm = options.architecture == Some(Architecture::Arm64);
    let uefi = match options.boot_mode {
        Some(mode) => mode != BootMode::LegacyBios,
        None => arm,
    };
    problems.require(
        options.uefi_data.is_none() || uefi,
        "uefi_data",
        "UEFI data says nothing to a system that does not start with UEFI: add --boot-mode uefi",
    );
    let always = uefi && options.boot_mode != Some(BootMode::UefiPreferred);
    problems.require(
        options.tpm_support.is_none() || always,
        "tpm_support",
        "TPM support needs a system that always starts with UEFI: add --boot-mode uefi",
    );
    let size = options.volume_size;
    problems.require(
        size.is_none_or(|size| (1..=MAX_VOLUME_GIB).contains(&size)),
        "volume_size",
        format!("a volume has 1 to {MAX_VOLUME_GIB} GiB"),
    );
    check(
        problems,
        "root_device_name",
        options.root_device_name.iter(),
        |name| device_name(name),
    );
}

/// "Device names for volumes" of the EC2 user guide.
fn device_name(name: &str) -> Result<(), String> {
    let suffix = ["/dev/sd", "/dev/xvd"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    let valid = suffix.is_some_and(|rest| {
        let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        (1..=2).contains(&letters.len()) && letters.bytes().all(|b| b.is_ascii_lowercase())
    });
    if valid {
        Ok(())
    } else {
        Err(format!(
            "\"{name}\" is no device of EC2's: write /dev/sda1 or /dev/xvda"
        ))
    }
}

/// A volume that is smaller than its image can't hold it.
pub fn volume(volume_size: Option<i32>, image: Option<u64>) -> Ended<()> {
    let (Some(size), Some(image)) = (volume_size, image) else {
        return Ok(());
    };
    let least = image.div_ceil(1 << 30);
    if u64::try_from(size).is_ok_and(|size| size >= least) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "a volume of {size} GiB is too small for the image, which has {}",
        crate::units::bytes(image)
    ))
    .hint(format!(
        "say --volume-size {least} or more, or leave it out"
    )))
}

/// Whether the road takes such an image; the reason and the remedy when it does not.
pub fn accepts(image: &Image, method: ImportMethod) -> Result<(), (String, String)> {
    if method == ImportMethod::EbsDirect {
        return accepts_blocks(image);
    }
    match &image.content {
        Content::Ova { .. } if method == ImportMethod::ImportSnapshot => {
            return Err(unpack_hint(image));
        }
        Content::Raw
        | Content::Vhd { .. }
        | Content::Vhdx { .. }
        | Content::Ova { .. }
        | Content::Vmdk {
            kind: VmdkKind::StreamOptimized,
        } => {}
        Content::Vmdk { .. } => {
            let reason = "AWS takes only stream-optimized VMDKs".to_owned();
            return Err((reason, action(image, Target::StreamOptimized)));
        }
        _ => {
            return Err((
                "AWS takes OVA, RAW, VHD, VHDX and stream-optimized VMDK".to_owned(),
                action(image, Target::Raw),
            ));
        }
    }
    if image
        .disks
        .iter()
        .filter_map(|disk| disk.content.as_ref())
        .any(|content| !is_importable_disk(content))
    {
        let reason = "AWS takes OVAs with stream-optimized VMDKs or VHDs only".to_owned();
        return Err((
            reason,
            "export the machine again, with its disks stream-optimized".to_owned(),
        ));
    }
    if let Some(disk) = image
        .disks
        .iter()
        .find(|disk| disk.virtual_size.is_some_and(|size| size > MAX_DISK_SIZE))
    {
        let size = disk.virtual_size.unwrap_or_default();
        return Err((
            format!(
                "AWS imports disks of up to 8 TiB, this one has {}",
                crate::units::bytes(size)
            ),
            "use a smaller disk".to_owned(),
        ));
    }
    if image.disks.len() > MAX_DISKS {
        return Err((
            format!(
                "AWS imports up to {MAX_DISKS} disks, this image has {}",
                image.disks.len()
            ),
            "leave disks out".to_owned(),
        ));
    }
    Ok(())
}

/// Whatever can be decoded is written block by block: one disk, no larger than a volume.
fn accepts_blocks(image: &Image) -> Result<(), (String, String)> {
    if image.disks.len() > 1 {
        let disks = image.disks.len();
        return Err((
            format!("a snapshot is made of one disk, this image has {disks}"),
            "say --method import-image and name a --bucket".to_owned(),
        ));
    }
    let size = image.virtual_size.unwrap_or_default();
    if size.div_ceil(1 << 30) > MAX_VOLUME_GIB.into() {
        let size = crate::units::bytes(size);
        return Err((
            format!("a volume has up to 64 TiB, this disk {size}"),
            "use a smaller disk".to_owned(),
        ));
    }
    Ok(())
}

/// StartSnapshot takes neither a key's id nor an alias.
pub fn block_key(options: &Options, problems: &mut Problems<Options>) {
    let is_key =
        |key: &String| key.starts_with("arn:aws") && key.contains(":kms:") && key.contains(":key/");
    problems.require(
        options.ami_kms_key.as_ref().is_none_or(is_key),
        "ami_kms_key",
        "a snapshot that is written block by block takes the ARN of a key: arn:aws:kms:REGION:ACCOUNT:key/ID",
    );
}

/// A snapshot is made of one disk.
fn unpack_hint(image: &Image) -> (String, String) {
    let reason = "EC2's ImportSnapshot takes no OVA, it takes one disk".to_owned();
    let remedy = match unpacking(image) {
        Some((unpack, _)) => {
            format!("say --method import-image, or unpack its disk and import that: {unpack}")
        }
        None => "say --method import-image, or unpack its disk and import that".to_owned(),
    };
    (reason, remedy)
}

/// Whether a disk of an image is one that ImportImage takes.
fn is_importable_disk(content: &Content) -> bool {
    let stream = Content::Vmdk {
        kind: VmdkKind::StreamOptimized,
    };
    *content == stream
        || matches!(
            content,
            Content::Raw | Content::Vhd { .. } | Content::Vhdx { .. }
        )
}
