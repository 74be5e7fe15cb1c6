//! Alibaba Cloud's restrictions, checked before the upload. Each rule contains its reason. The
//! numbers are those of ECS "ImportImage", "CopyImage" and "TagResources", OSS "Limits".

pub mod image;

use super::options::Options;
use super::values::{Architecture, BootMode, OsType};
use crate::config::problems::Problems;
use crate::net::endpoint::is_loopback;

/// Tags of one resource.
pub const MAX_TAGS: usize = 20;

/// What ImportImage calls the systems that it knows.
const LINUX_PLATFORMS: [&str; 20] = [
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
const WINDOWS_PLATFORMS: [&str; 7] = [
    "Windows Server 2022",
    "Windows Server 2019",
    "Windows Server 2016",
    "Windows Server 2012",
    "Windows Server 2008",
    "Windows Server 2003",
    "Other Windows",
];

/// An image's name: 2 to 128 letters, Chinese ones included, digits and a few signs.
pub fn image_name(name: &str) -> Result<(), String> {
    let letter = |c: char| c.is_ascii_alphabetic() || is_chinese(c);
    let fits = |c: char| letter(c) || c.is_ascii_digit() || ".:_-".contains(c);
    let length = name.chars().count();
    if !(2..=128).contains(&length) {
        return Err(format!(
            "an image's name has 2 to 128 characters, this one {length}"
        ));
    }
    if !name.starts_with(letter) {
        return Err("an image's name begins with a letter".to_owned());
    }
    if let Some(sign) = name.chars().find(|&c| !fits(c)) {
        return Err(format!(
            "an image's name takes no {sign:?}: letters, digits and . : _ - are allowed"
        ));
    }
    check_prefix("an image's name", name)
}

/// CJK ideographs, as far as names are written in them.
fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// Prefixes that Alibaba Cloud keeps to itself.
fn check_prefix(what: &str, text: &str) -> Result<(), String> {
    let lower = text.to_lowercase();
    match ["aliyun", "acs:"]
        .iter()
        .find(|start| lower.starts_with(**start))
    {
        Some(start) => Err(format!(
            "{what} can't begin with {start}, that is Alibaba Cloud's own"
        )),
        None => check_no_url(what, text),
    }
}

fn check_no_url(what: &str, text: &str) -> Result<(), String> {
    let lower = text.to_lowercase();
    if lower.contains("http://") || lower.contains("https://") {
        return Err(format!("{what} can't hold http:// or https://"));
    }
    Ok(())
}

/// A description: 2 to 256 characters, no address at its head.
pub fn description(text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if !(2..=256).contains(&length) {
        return Err(format!(
            "a description has 2 to 256 characters, this one {length}"
        ));
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err("a description can't begin with http:// or https://".to_owned());
    }
    Ok(())
}

/// A bucket's name, OSS "Bucket naming conventions".
pub fn bucket(name: &str) -> Result<(), String> {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let valid = (3..=63).contains(&name.len())
        && name.chars().all(|c| edge(c) || c == '-')
        && name.starts_with(edge)
        && name.ends_with(edge);
    if valid {
        return Ok(());
    }
    Err(format!(
        "\"{name}\" can't be a bucket's name: 3 to 63 lower-case letters, digits and hyphens"
    ))
}

/// An object's key; ImportImage looks at its suffix (`UnsupportedSuffix.OSSObject`).
pub fn key(key: &str, extension: &str) -> Result<(), String> {
    if !(1..=1023).contains(&key.len()) {
        return Err(format!(
            "the object's key has {} bytes, OSS takes 1 to 1,023",
            key.len()
        ));
    }
    if key.starts_with(['/', '\\']) {
        return Err("the object's key can't begin with / or \\".to_owned());
    }
    if key
        .split('/')
        .any(|component| component == "." || component == "..")
    {
        return Err("the object's key can't hold . or .. as a directory".to_owned());
    }
    let suffix = format!(".{extension}");
    if !key.to_lowercase().ends_with(&suffix) {
        return Err(format!(
            "the object's key must end in {suffix}, ImportImage looks at that"
        ));
    }
    Ok(())
}

/// A tag: key to 128 characters and not Alibaba Cloud's own, value to 128.
pub fn tag(key: &str, value: &str) -> Result<(), String> {
    let what = format!("the tag \"{key}\"");
    if key.is_empty() || key.chars().count() > 128 {
        return Err(format!("{what} needs a key of 1 to 128 characters"));
    }
    if value.chars().count() > 128 {
        return Err(format!("the value of {what} is longer than 128 characters"));
    }
    check_prefix(&what, key)?;
    check_no_url(&format!("the value of {what}"), value)
}

/// ImportImage's spelling of a system's name, where its documentation has it.
pub fn platform(name: &str) -> Option<&'static str> {
    let mut all = LINUX_PLATFORMS.into_iter().chain(WINDOWS_PLATFORMS);
    all.find(|platform| platform.eq_ignore_ascii_case(name))
}

/// Whether a platform is a Windows, be it one that the documentation has or a newer one.
pub fn is_windows(platform: &str) -> bool {
    platform.to_ascii_lowercase().contains("windows")
}

/// What to say of a platform that the documentation does not have. ECS learns new systems,
/// so that it is for ECS to refuse it.
pub fn unknown_platform_warning(name: &str) -> String {
    let all = LINUX_PLATFORMS.into_iter().chain(WINDOWS_PLATFORMS);
    let likeness =
        |platform: &str| strsim::jaro_winkler(&platform.to_lowercase(), &name.to_lowercase());
    let nearest = all.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    // Of a Windows, the year is what counts.
    let nearest = nearest.filter(|platform| likeness(platform) > 0.8 && !is_windows(name));
    let nearest = nearest.map_or_else(String::new, |platform| {
        format!("; did you mean \"{platform}\"?")
    });
    format!(
        "the platform \"{name}\" is not in the documentation of ImportImage, which may refuse it{nearest}"
    )
}

/// The rules that look at one option alone.
pub fn each_option(options: &Options, problems: &mut Problems<Options>) {
    let mut note = |id: &str, result: Result<(), String>| {
        if let Err(reason) = result {
            problems.invalid(id, reason);
        }
    };
    if let Some(name) = &options.oss_bucket_name {
        note("oss_bucket_name", bucket(name));
    }
    for (name, value) in options.tags.iter().flatten() {
        note("tags", tag(name, value));
    }
    for account in options.image_share_account.iter().flatten() {
        let valid = !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit());
        let reason = || format!("\"{account}\" is not an account: its id is a number");
        note(
            "image_share_account",
            valid.then_some(()).ok_or_else(reason),
        );
    }
    for name in options.image_copy_names.iter().flatten() {
        note("image_copy_names", image_name(name));
    }
    problems.addresses(options);
    let tags = options.tags.as_ref().map_or(0, Vec::len);
    let too_many = format!("{tags} tags are too many, Alibaba Cloud takes {MAX_TAGS}");
    problems.require(tags <= MAX_TAGS, "tags", too_many);
}

/// The combinations that Alibaba Cloud refuses, some of them only after the upload.
pub fn combinations(options: &Options, region: Option<&str>, problems: &mut Problems<Options>) {
    copies(options, region, problems);
    let architecture = options.image_architecture.unwrap_or_default();
    problems.require(
        architecture != Architecture::Arm64 || options.boot_mode != Some(BootMode::Bios),
        "boot_mode",
        "an arm64 system boots with UEFI",
    );
    let windows = options.image_os_type.map(|os| os == OsType::Windows);
    if let (Some(windows), Some(name)) = (windows, &options.image_platform) {
        // Of a name that the documentation does not have the family may be open.
        let is_documented = platform(name).is_some() || is_windows(name);
        problems.require(
            !is_documented || windows == is_windows(name),
            "image_os_type",
            format!("the platform \"{name}\" is of another family than the OS type"),
        );
    }
    problems.require(
        options.image_force_delete == Some(true)
            || options.image_force_delete_snapshots != Some(true),
        "image_force_delete_snapshots",
        "snapshots of a replaced image are deleted only with --force-delete",
    );
    problems.require(
        options.oss_cname != Some(true) || options.oss_endpoint.is_some(),
        "oss_cname",
        "a domain bound to the bucket must be named: add --oss-endpoint",
    );
    problems.require(
        !(options.oss_cname == Some(true) && options.oss_path_style == Some(true)),
        "oss_path_style",
        "a domain bound to the bucket has no bucket in its path",
    );
    let near = options.oss_endpoint.as_deref().is_some_and(is_loopback);
    problems.require(
        options.oss_path_style != Some(true) || near,
        "oss_path_style",
        "OSS takes no bucket in the path (SecondLevelDomainForbidden), only a loopback endpoint does",
    );
}

fn copies(options: &Options, region: Option<&str>, problems: &mut Problems<Options>) {
    let regions = options.image_copy_regions.as_deref().unwrap_or_default();
    let mut unique = std::collections::BTreeSet::new();
    for copy_region in regions {
        problems.require(
            Some(copy_region.as_str()) != region,
            "image_copy_regions",
            format!("{copy_region} is the import's own region"),
        );
        problems.require(
            unique.insert(copy_region),
            "image_copy_regions",
            format!("{copy_region} is named twice"),
        );
    }
    for (id, list) in [
        ("image_copy_names", &options.image_copy_names),
        ("kms_key_copy_ids", &options.kms_key_copy_ids),
    ] {
        // An empty list is one that was not given.
        let list = list.as_ref().filter(|list| !list.is_empty());
        let count = list.map_or(regions.len(), Vec::len);
        let reason = format!(
            "{count} of {} regions are given: one for each, or none",
            regions.len()
        );
        problems.require(count == regions.len(), id, reason);
    }
    let encrypt = options.image_encrypted == Some(true);
    problems.require(
        !encrypt || !regions.is_empty(),
        "image_encrypted",
        "ImportImage can't encrypt, CopyImage can: name a region with --copy-to",
    );
    let is_set = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let keys = options.kms_key_id.is_some() || is_set(&options.kms_key_copy_ids);
    problems.require(
        encrypt || !keys,
        "kms_key_id",
        "a KMS key says nothing unless the copies are encrypted: add --encrypt-copies",
    );
    problems.require(
        options.kms_key_id.is_none() || !is_set(&options.kms_key_copy_ids),
        "kms_key_id",
        "give one KMS key for all copies, or one for each, not both",
    );
    problems.require(
        !encrypt || keys || !is_set(&options.image_share_account),
        "kms_key_id",
        "copies encrypted with ECS's service key can't be shared: name a KMS key",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images() {
        for name in ["packer_import", "ab", "镜像-1", "A:b.c_d-9", "m镜"] {
            assert_eq!(image_name(name), Ok(()), "{name}");
        }
        let long = "a".repeat(129);
        for name in [
            "a", "1a", "_a", "a b", "Aliyun-x", "acs:x", "a/b", "", &long, "é1",
        ] {
            assert!(image_name(name).is_err(), "{name}");
        }
        assert!(image_name(&"镜".repeat(128)).is_ok());
    }

    #[test]
    fn keys_end_in_the_formats_suffix() {
        assert_eq!(key("dir/a b+镜.raw", "raw"), Ok(()));
        assert_eq!(key("DISK.RAW", "raw"), Ok(()));
        for wrong in ["a.img", "/a.raw", "", "a/../b.raw"] {
            assert!(key(wrong, "raw").is_err(), "{wrong}");
        }
    }

    #[test]
    fn platforms_are_known_in_either_case() {
        assert_eq!(platform("centos"), Some("CentOS"));
        assert_eq!(platform("Windows Server 2022"), Some("Windows Server 2022"));
        assert_eq!(platform("Windows Server 2025"), None);
        assert!(unknown_platform_warning("Ubunto").ends_with("did you mean \"Ubuntu\"?"));
        assert!(unknown_platform_warning("Haiku").ends_with("may refuse it"));
    }
}
