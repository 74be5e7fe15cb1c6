//! How far the AMI is to reach: other regions with keys of their own, the public, how
//! many years, a parameter of Systems Manager. What can't be is said before a byte is sent.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::super::options::Options;
use crate::config::problems::Problems;

/// Systems Manager PutParameter, "Name": characters and levels of a hierarchy.
const PARAMETER_NAME: usize = 1011;
const PARAMETER_LEVELS: usize = 15;

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
    let mut ours = keys.filter(|(of, _)| of == region);
    ours.next().map(|(_, key)| key.as_str())
}

/// The copies that were asked for, each region once and none in vain.
pub fn copies(options: &Options, region: Option<&str>, problems: &mut Problems<Options>) {
    let regions = options.copy_to_regions.as_deref().unwrap_or_default();
    let mut seen = BTreeSet::new();
    for one in regions {
        let why = if Some(one.as_str()) == region {
            format!("{one} is the import's own region")
        } else if seen.insert(one) {
            continue;
        } else {
            format!("{one} is named twice")
        };
        problems.wrong("copy_to_regions", why);
    }
    let mut keys = BTreeSet::new();
    for (of, key) in options.copy_kms_keys.iter().flatten() {
        let why = if !regions.contains(of) {
            format!("there is no copy in {of} for a key: add --copy-to {of}")
        } else if !keys.insert(of) {
            format!("{of} has two keys")
        } else if let Some(home) = home(key).filter(|home| home != of) {
            format!("the key for {of} lies in {home}; a copy takes a key of its own region")
        } else {
            continue;
        };
        problems.wrong("copy_kms_keys", why);
    }
    shared_and_encrypted(options, regions, problems);
}

/// The region in a key's ARN, `arn:aws:kms:REGION:ACCOUNT:key/ID`.
fn home(key: &str) -> Option<&str> {
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
        problems.wrong("copy_kms_keys", format!(
            "a copy encrypted with the account's own EBS key can't be shared: add --copy-kms-key {region}=KEY"
        ));
    }
    problems.expect(
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
    let moment = options.deprecate_at?.resolve(now, is_public(options));
    moment
        .map_err(|why| problems.wrong("deprecate_at", why))
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
    let why = match name.len() {
        0 => "the parameter's name is empty",
        PARAMETER_NAME.. => "the parameter's name is longer than 1,010 characters",
        _ if levels.iter().any(|level| level.is_empty()) => {
            "the parameter's name has an empty level"
        }
        _ if levels.len() > PARAMETER_LEVELS => "the parameter's name has more than 15 levels",
        _ if levels.len() > 1 && !name.starts_with('/') => {
            "the name of a parameter with levels begins with /"
        }
        _ if ["aws", "ssm"]
            .iter()
            .any(|own| levels[0].to_lowercase().starts_with(own)) =>
        {
            "a parameter's name can't begin with aws or ssm, these are AWS's own"
        }
        _ => return Ok(()),
    };
    Err(format!("{why}: \"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_names_are_those_of_systems_manager() {
        for name in ["/my/ami/web-1", "web", "/a", "/a/b.c_d"] {
            assert_eq!(parameter_name(name), Ok(()));
        }
        let deep = "/a".repeat(PARAMETER_LEVELS + 1);
        let long = format!("/{}", "a".repeat(PARAMETER_NAME));
        for name in [
            "", "/", "a/b", "/a//b", "/a/", "aws-x", "/aws/x", "/SSM/x", "/a b", "/a:b", "/ä",
            &deep, &long,
        ] {
            assert!(parameter_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_keys_region_is_in_its_arn_alone() {
        assert_eq!(home("arn:aws:kms:eu-west-1:1:key/2"), Some("eu-west-1"));
        assert_eq!(home("arn:"), None);
        assert_eq!(home("alias/images"), None);
    }
}
