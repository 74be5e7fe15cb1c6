//! How the options of an import stand in its help: under which headings, in which order,
//! and which of them are on the short page that `-h` shows.

use clap::{Arg, Command};

/// Options under one heading, by their long names.
pub struct Group {
    heading: &'static str,
    /// On both pages, the required ones first.
    short: &'static [&'static str],
    /// On the long page alone.
    long: &'static [&'static str],
}

const fn group(
    heading: &'static str,
    short: &'static [&'static str],
    long: &'static [&'static str],
) -> Group {
    Group {
        heading,
        short,
        long,
    }
}

/// What all imports have.
const SHARED: [Group; 3] = [
    group(
        "Upload",
        &[],
        &[
            "limit-rate",
            "concurrency",
            "part-size",
            "stall-timeout",
            "no-resume",
        ],
    ),
    group("Wait", &["timeout", "no-wait"], &["poll-interval"]),
    group(
        "Output",
        &["dry-run", "output"],
        &["progress", "skip-checks"],
    ),
];

const AWS: &[Group] = &[
    group(
        "Import",
        &["bucket", "region", "method", "create-role"],
        &[
            "bucket-owner",
            "role-name",
            "format",
            "key",
            "s3-encryption",
            "s3-encryption-key",
            "skip-clean",
            "delete-source",
        ],
    ),
    group(
        "AMI",
        &["ami-name", "tag"],
        &[
            "ami-description",
            "ami-encrypt",
            "ami-kms-key",
            "imds-support",
            "tpm-support",
            "uefi-data",
            "volume-type",
            "volume-size",
            "root-device-name",
        ],
    ),
    group(
        "Shares and copies",
        &["ami-users", "copy-to"],
        &[
            "ami-groups",
            "ami-org-arns",
            "ami-ou-arns",
            "public",
            "share-snapshots",
            "copy-kms-key",
            "deprecate-at",
            "ssm-parameter",
        ],
    ),
    group(
        "System in the image",
        &["architecture"],
        &["boot-mode", "platform", "license-type"],
    ),
    group(
        "AWS account",
        &["profile"],
        &[
            "shared-credentials-file",
            "assume-role-arn",
            "external-id",
            "session-name",
            "endpoint-url",
            "max-retries",
        ],
    ),
];

const ALICLOUD: &[Group] = &[
    group(
        "Import",
        &["bucket", "region"],
        &[
            "role-name",
            "format",
            "key",
            "skip-clean",
            "delete-source",
            "detection-strategy",
        ],
    ),
    group(
        "Image",
        &["image-name", "tag", "force-delete"],
        &[
            "force-delete-snapshots",
            "image-description",
            "image-family",
            "resource-group-id",
            "system-size",
        ],
    ),
    group(
        "System in the image",
        &["platform", "architecture"],
        &["os-type", "boot-mode", "license-type"],
    ),
    group(
        "Shares and copies",
        &["share-account", "copy-to"],
        &[
            "copy-name",
            "encrypt-copies",
            "kms-key-id",
            "kms-key-copy-id",
        ],
    ),
    group(
        "Alibaba Cloud account",
        &["profile"],
        &[
            "shared-credentials-file",
            "ram-role-name",
            "ram-role-arn",
            "ram-session-name",
            "oss-endpoint",
            "oss-path-style",
            "oss-cname",
            "ecs-endpoint",
            "ram-endpoint",
            "sts-endpoint",
            "max-retries",
        ],
    ),
];

const DIGITALOCEAN: &[Group] = &[
    group(
        "Import",
        &["space", "spaces-region"],
        &[
            "format",
            "compression",
            "key",
            "object-access",
            "skip-clean",
            "delete-source",
        ],
    ),
    group(
        "Image",
        &[
            "image-name",
            "image-region",
            "image-description",
            "distribution",
            "tag",
        ],
        &[],
    ),
    group(
        "DigitalOcean API",
        &[],
        &[
            "api-url",
            "spaces-endpoint",
            "http-retry-max",
            "http-retry-wait-min",
            "http-retry-wait-max",
        ],
    ),
];

/// The groups of a sub-command; none of what is no import.
fn groups_of(command: &str) -> Option<impl Iterator<Item = &'static Group>> {
    let cloud_groups = match command {
        "aws" => AWS,
        "alicloud" => ALICLOUD,
        "digitalocean" => DIGITALOCEAN,
        _ => return None,
    };
    Some(cloud_groups.iter().chain(&SHARED))
}

/// Puts every option into its group.
pub fn with_groups(command: Command) -> Command {
    let Some(groups) = groups_of(command.get_name()) else {
        return command;
    };
    let groups: Vec<_> = groups.collect();
    command.mut_args(|option| in_group(option, &groups))
}

fn in_group(option: Arg, groups: &[&Group]) -> Arg {
    let long = option.get_long().unwrap_or_default();
    let position = groups.iter().find_map(|group| {
        let mut names = group.short.iter().chain(group.long);
        let at = names.position(|name| *name == long)?;
        Some((group.heading, at, at >= group.short.len()))
    });
    match position {
        Some((heading, at, is_rare)) => option
            .help_heading(heading)
            .display_order(at)
            .hide_short_help(is_rare),
        None => option,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_import_option_is_in_exactly_one_group() {
        let command = crate::cli::command();
        for cloud in ["aws", "alicloud", "digitalocean"] {
            let command = command.find_subcommand(cloud).unwrap();
            let options = command.get_opts().filter_map(Arg::get_long);
            let mut names: Vec<_> = options.collect();
            let groups = groups_of(cloud).unwrap();
            let mut grouped: Vec<_> = groups
                .flat_map(|group| group.short.iter().chain(group.long).copied())
                .collect();
            names.sort_unstable();
            grouped.sort_unstable();
            assert_eq!(
                grouped, names,
                "{cloud}: help_groups.rs, and the options of the command"
            );
        }
    }
}
