//! Validates where the AMI will be available: other regions with their own keys, the public, a
//! number of years, a parameter of Systems Manager. What is impossible is reported before the
//! upload.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::super::options::Options;
use crate::config::problems::Problems;

/// Systems Manager PutParameter, "Name": characters and levels of a hierarchy.
const MAX_PARAMETER_NAME: usize = 1011;
const MAX_PARAMETER_LEVELS: usize = 15;

/// Whether everybody may launch the AMI, in either way to say so.
pub fn is_public(options: &Options) -> bool {
    groups(options).iter().any(|group| group == "all")
}

/// The groups that may launch the AMI.
pub fn groups(options: &Options) -> Vec<String> {
    let mut groups = options.ami_groups.clone().unwrap_or_default();
    if options.public == Some(true) && !groups.iter().any(|group| group == "all") {
        groups.push("all".to_owned());
    }
    groups
}

/// The KMS key that was named for the copy in this region.
pub fn copy_key<'a>(options: &'a Options, region: &str) -> Option<&'a str> {
    let keys = options.copy_kms_keys.iter().flatten();
    let mut regional = keys.filter(|(of, _)| of == region);
    regional.next().map(|(_, key)| key.as_str())
}

/// The copies that were asked for, each region once and none in vain.
pub fn copies(options: &Options, region: Option<&str>, problems: &mut Problems<Options>) {
    let regions = options.copy_to_regions.as_deref().unwrap_or_default();
    let mut unique = BTreeSet::new();
    for copy_region in regions {
        let reason = if Some(copy_region.as_str()) == region {
            format!("{copy_region} is the import's own region")
        } else if unique.insert(copy_region) {
            continue;
        } else {
            format!("{copy_region} is named twice")
        };
        problems.invalid("copy_to_regions", reason);
    }
    let mut keys = BTreeSet::new();
    for (of, key) in options.copy_kms_keys.iter().flatten() {
        let reason = if !regions.contains(of) {
            format!("there is no copy in {of} for a key: add --copy-to {of}")
        } else if !keys.insert(of) {
            format!("{of} has two keys")
        } else if let Some(key_region) = key_region(key).filter(|home| home != of) {
            format!("the key for {of} lies in {key_region}; a copy takes a key of its own region")
        } else {
            continue;
        };
        problems.invalid("copy_kms_keys", reason);
    }
    shared_and_encrypted(options, regions, problems);
}

/// The region in a key's ARN, `arn:aws:kms:REGION:ACCOUNT:key/ID`.
fn key_region(key: &str) -> Option<&str> {
    key.strip_prefix("arn:")?.split(':').nth(2)
}

/// What nobody else could launch.
fn shared_and_encrypted(options: &Options, regions: &[String], problems: &mut Problems<Options>) {
    let everywhere = options.ami_encrypt == Some(true);
    let shared = options.ami_users.is_some()
        || options.ami_org_arns.is_some()
        || options.ami_ou_arns.is_some();
    let keyless = regions
        .iter()
        .filter(|region| copy_key(options, region).is_none());
    for region in keyless.filter(|_| everywhere && shared) {
        problems.invalid("copy_kms_keys", format!(
            "a copy encrypted with the account's own EBS key can't be shared: add --copy-kms-key {region}=KEY"
        ));
    }
    problems.require(
        options.copy_kms_keys.is_none() || !is_public(options),
        "copy_kms_keys",
        "an encrypted copy can't be public",
    );
}

/// The moment at which the AMI is deprecated.
pub fn deprecation(
    options: &Options,
    now: Timestamp,
    problems: &mut Problems<Options>,
) -> Option<Timestamp> {
    let timestamp = options.deprecate_at?.resolve(now, is_public(options));
    timestamp
        .map_err(|why| problems.invalid("deprecate_at", why))
        .ok()
}

/// A parameter's name: a path of letters, digits and `. - _`, not in AWS's own trees.
pub fn parameter_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if let Some(sign) = name.chars().find(|&c| !fits(c)) {
        return Err(format!(
            "a parameter's name takes no {sign:?}: letters, digits and . - _ / are allowed, and so is {{{{isotime \"20060102-1504\"}}}}"
        ));
    }
    let levels: Vec<_> = name.trim_start_matches('/').split('/').collect();
    let reason = match name.len() {
        0 => "the parameter's name is empty",
        MAX_PARAMETER_NAME.. => "the parameter's name is longer than 1,010 characters",
        _ if levels.iter().any(|level| level.is_empty()) => {
            "the parameter's name has an empty level"
        }
        _ if levels.len() > MAX_PARAMETER_LEVELS => "the parameter's name has more than 15 levels",
        _ if levels.len() > 1 && !name.starts_with('/') => {
            "the name of a parameter with levels begins with /"
        }
        _ if ["aws", "ssm"]
            .iter()
            .any(|reserved| levels[0].to_lowercase().starts_with(reserved)) =>
        {
            "a parameter's name can't begin with aws or ssm, these are AWS's own"
        }
        _ => return Ok(()),
    };
    Err(format!("{reason}: \"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_names_follow_systems_manager_rules() {
        for name in ["/my/ami/web-1", "web", "/a", "/a/b.c_d"] {
            assert_eq!(parameter_name(name), Ok(()));
        }
        let deep = "/a".repeat(MAX_PARAMETER_LEVELS + 1);
        let long = format!("/{}", "a".repeat(MAX_PARAMETER_NAME));
        for name in [
            "", "/", "a/b", "/a//b", "/a/", "aws-x", "/aws/x", "/SSM/x", "/a b", "/a:b", "/ä",
            &deep, &long,
        ] {
            assert!(parameter_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn key_region_only_from_arn() {
        assert_eq!(
            key_region("arn:aws:kms:eu-west-1:1:key/2"),
            Some("eu-west-1")
        );
        assert_eq!(key_region("arn:"), None);
        assert_eq!(key_region("alias/images"), None);
    }
}
