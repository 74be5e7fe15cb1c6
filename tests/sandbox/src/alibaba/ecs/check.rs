//! What ECS refuses of an import's or a copy's parameters before it looks at anything.
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-importimage>

use std::collections::BTreeMap;

use super::model::Tags;
use crate::alibaba::rpc::{Call, require};
use crate::fault::ApiError;
use crate::query::Query;

pub(super) const MAX_DISK: u64 = 2048;
const MAX_DISKS: usize = 17;
const MAX_TAGS: usize = 20;

const LINUX: &[&str] = &[
    "Aliyun",
    "Anolis",
    "CentOS",
    "Ubuntu",
    "CoreOS",
    "SUSE",
    "Debian",
    "OpenSUSE",
    "FreeBSD",
    "RedHat",
    "Kylin",
    "UOS",
    "Fedora",
    "Fedora CoreOS",
    "CentOS Stream",
    "AlmaLinux",
    "Rocky Linux",
    "Gentoo",
    "Customized Linux",
    "Others Linux",
];

const WINDOWS: &[&str] = &[
    // ECS takes new releases before its documentation has them.
    "Windows Server 2025",
    "Windows Server 2022",
    "Windows Server 2019",
    "Windows Server 2016",
    "Windows Server 2012",
    "Windows Server 2008",
    "Windows Server 2003",
    "Other Windows",
];

const ARCHITECTURES: &[&str] = &["i386", "x86_64", "arm64"];

pub(super) fn refused(code: &str, text: impl Into<String>) -> ApiError {
    ApiError::new(400, code, text)
}

fn one_of(call: &Call<'_>, name: &str, values: &[&str], code: &str) -> Result<(), ApiError> {
    match call.get(name) {
        Some(value) if !values.contains(&value) => {
            let text = format!("The specified {name} {value} is not valid.");
            Err(refused(code, text))
        }
        _ => Ok(()),
    }
}

pub(super) fn import(call: &Call<'_>) -> Result<(), ApiError> {
    call.require("RegionId")?;
    name(call.get("ImageName"))?;
    description(call.get("Description"))?;
    one_of(
        call,
        "Architecture",
        ARCHITECTURES,
        "InvalidArchitecture.Malformed",
    )?;
    one_of(
        call,
        "OSType",
        &["linux", "windows"],
        "InvalidOSType.Malformed",
    )?;
    let platforms = [LINUX, WINDOWS].concat();
    one_of(call, "Platform", &platforms, "InvalidPlatform.Malformed")?;
    one_of(
        call,
        "BootMode",
        &["BIOS", "UEFI"],
        "InvalidBootMode.Malformed",
    )?;
    let licenses = &["Auto", "Aliyun", "BYOL"];
    one_of(
        call,
        "LicenseType",
        licenses,
        "InvalidLicenseType.NotSupported",
    )?;
    one_of(
        call,
        "DetectionStrategy",
        &["Standard"],
        "InvalidParameter.DetectionStrategy",
    )?;
    let nvme = &["supported", "unsupported"];
    one_of(
        call,
        "Features.NvmeSupport",
        nvme,
        "InvalidParameter.NvmeSupport",
    )?;
    one_of(
        call,
        "Features.ImdsSupport",
        &["v1", "v2"],
        "InvalidParameter.ImdsSupport",
    )?;
    combinations(call)?;
    token(call.query)?;
    resource_group(call.query)?;
    mappings(call.query)
}

fn combinations(call: &Call<'_>) -> Result<(), ApiError> {
    let platform = call.get("Platform").unwrap_or("Others Linux");
    let windows = call.get("OSType") == Some("windows");
    if call.get("Platform").is_some() && windows != WINDOWS.contains(&platform) {
        let text = format!("The specified Platform {platform} does not belong to the OSType.");
        return Err(refused("InvalidPlatform.Malformed", text));
    }
    if ["RedHat", "SUSE"].contains(&platform) && call.get("LicenseType") == Some("Aliyun") {
        let text = "The specified platform only supports the license type BYOL.";
        return Err(refused("InvalidLicenseType.BYOLOnly", text));
    }
    if call.get("Architecture") == Some("arm64") && call.get("BootMode") == Some("BIOS") {
        let text = "The specified BootMode is not supported by the architecture arm64.";
        return Err(refused("InvalidBootMode.NotSupport", text));
    }
    Ok(())
}

/// 2–128 characters, a letter first, Chinese ones included.
pub(super) fn name(name: Option<&str>) -> Result<(), ApiError> {
    let Some(name) = name else {
        return Ok(());
    };
    let length = (2..=128).contains(&name.chars().count());
    let begins = name.starts_with(char::is_alphabetic);
    let letters = name
        .chars()
        .all(|letter| letter.is_alphanumeric() || ".:_-".contains(letter));
    if length && begins && letters && !is_reserved(name) {
        return Ok(());
    }
    let text = "The specified Image name is wrongly formed.";
    Err(refused("InvalidImageName.Malformed", text))
}

fn is_reserved(text: &str) -> bool {
    let forbidden = ["acs:", "aliyun", "http://", "https://"];
    let text = text.to_lowercase();
    forbidden.iter().any(|start| text.starts_with(start))
}

pub(super) fn description(text: Option<&str>) -> Result<(), ApiError> {
    let wrong = |text: &str| {
        !(2..=256).contains(&text.chars().count())
            || text.starts_with("http://")
            || text.starts_with("https://")
    };
    if text.is_some_and(wrong) {
        let text = "The specified description is wrongly formed.";
        return Err(refused("InvalidDescription.Malformed", text));
    }
    Ok(())
}

fn token(query: &Query) -> Result<(), ApiError> {
    let wrong = |token: &str| token.len() > 64 || !token.is_ascii();
    if query.get("ClientToken").is_some_and(wrong) {
        let text = "The specified parameter clientToken is not valid.";
        return Err(refused("InvalidClientToken.Malformed", text));
    }
    Ok(())
}

/// Any group of the right shape is there.
pub(super) fn resource_group(query: &Query) -> Result<(), ApiError> {
    let wrong = |group: &str| !group.starts_with("rg-");
    if query.get("ResourceGroupId").is_some_and(wrong) {
        let text = "The ResourceGroup provided does not exist in our records.";
        return Err(ApiError::new(404, "InvalidResourceGroup.NotFound", text));
    }
    Ok(())
}

fn mappings(query: &Query) -> Result<(), ApiError> {
    let mappings = query.structs("DiskDeviceMapping");
    if !(1..=MAX_DISKS).contains(&mappings.len()) {
        let text =
            "The input parameter DiskDeviceMapping is mandatory for processing this request.";
        return Err(refused("MissingParameter", text));
    }
    for (number, mapping) in mappings.iter().enumerate() {
        format(mapping)?;
        bucket(require(mapping, "OSSBucket")?)?;
        key(require(mapping, "OSSObject")?)?;
        let code = ["InvalidImageSize", "InvalidDataDiskSize"][usize::from(number > 0)];
        size(mapping, code)?;
    }
    Ok(())
}

fn format(mapping: &Query) -> Result<(), ApiError> {
    let known = ["RAW", "VHD", "QCOW2", "VMDK"];
    match mapping.get("Format") {
        Some(format) if !known.contains(&format.to_uppercase().as_str()) => {
            let text = format!("The specified Image Format {format} is wrongly formed.");
            Err(refused("InvalidImageFormat.Malformed", text))
        }
        _ => Ok(()),
    }
}

fn bucket(name: &str) -> Result<(), ApiError> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (3..=63).contains(&name.len()) && name.bytes().all(letter) {
        return Ok(());
    }
    let text = "The specified OSS bucket is wrongly formed.";
    Err(refused("InvalidOSSBucket.Malformed", text))
}

fn key(key: &str) -> Result<(), ApiError> {
    if key.starts_with(['/', '\\']) || key.len() > 1023 {
        let text = "The specified OSS object is wrongly formed.";
        return Err(refused("InvalidOSSObject.Malformed", text));
    }
    let suffixes = [".raw", ".vhd", ".qcow2", ".vmdk"];
    let lower = key.to_lowercase();
    if suffixes.iter().any(|suffix| lower.ends_with(suffix)) {
        return Ok(());
    }
    let text = "The specified suffix of OSS object is not supported.";
    Err(refused("UnsupportedSuffix.OSSObject", text))
}

fn size(mapping: &Query, code: &str) -> Result<(), ApiError> {
    let size = mapping.get("DiskImageSize").or(mapping.get("DiskImSize"));
    let fits = |size: &str| {
        size.parse()
            .is_ok_and(|size| (1..=MAX_DISK).contains(&size))
    };
    if size.is_none_or(fits) {
        return Ok(());
    }
    let text = format!("The specified disk size should be in the range of 1 to {MAX_DISK} GB.");
    Err(refused(code, text))
}

pub(super) fn tags(query: &Query) -> Result<Tags, ApiError> {
    let given = query.structs("Tag");
    if given.len() > MAX_TAGS {
        let text = "The tags exceed the limit of 20.";
        return Err(refused("NumberExceed.Tags", text));
    }
    let mut tags = BTreeMap::new();
    for tag in given {
        let key = tag.get("Key").or(tag.get("key")).unwrap_or_default();
        let value = tag.get("Value").or(tag.get("value")).unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 || is_reserved(key) {
            return Err(refused(
                "InvalidTagKey.Malformed",
                "The specified Tag.N.Key is not valid.",
            ));
        }
        if value.chars().count() > 128 || value.contains("http://") || value.contains("https://") {
            return Err(refused(
                "InvalidTagValue.Malformed",
                "The specified Tag.N.Value is not valid.",
            ));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            let text = "The specified tag key is duplicated.";
            return Err(ApiError::new(403, "TagKey.Duplication", text));
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for good in ["ab", "packer_import", "镜像-1", "a.b:c-d_e"] {
            assert!(name(Some(good)).is_ok(), "{good}");
        }
        for bad in [
            "a",
            "1a",
            "a b",
            "aliyun-x",
            "acs:x",
            "http://x",
            &"x".repeat(129),
        ] {
            assert_eq!(
                name(Some(bad)).unwrap_err().code,
                "InvalidImageName.Malformed",
                "{bad}"
            );
        }
    }
}
