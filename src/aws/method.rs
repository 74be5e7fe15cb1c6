//! The methods to create an AMI, and the choice for this import. ImportImage inspects the
//! system and prepares it for EC2; the others use the disk unchanged and register an image from
//! its snapshot, which supports more options.

use super::options::Options;
use super::values::{Architecture, BootMode, Method, Platform};
use crate::config::problems::Problems;

/// The calls that make an AMI of the image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ImportMethod {
    /// S3, ImportImage.
    ImportImage,
    /// S3, ImportSnapshot, RegisterImage.
    ImportSnapshot,
    /// The blocks of a snapshot without a bucket, RegisterImage.
    EbsDirect,
}

impl ImportMethod {
    /// The word of `--method`.
    pub fn flag_value(self) -> &'static str {
        match self {
            Self::ImportImage => "import-image",
            Self::ImportSnapshot => "import-snapshot",
            Self::EbsDirect => "ebs-direct",
        }
    }

    /// How the ids of its import tasks begin.
    pub fn task_prefix(self) -> &'static str {
        match self {
            Self::ImportImage => "import-ami",
            Self::ImportSnapshot | Self::EbsDirect => "import-snap",
        }
    }

    /// Whether the image comes from RegisterImage, with its name.
    pub fn registers(self) -> bool {
        self != Self::ImportImage
    }
}

/// A road, and why it was taken when nobody named it.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The road.
    pub method: ImportMethod,
    /// What only this road can do.
    pub reason: Option<String>,
}

/// What was asked for that not every road can do: the option and its name in a sentence.
type LimitedOption = (&'static str, &'static str);

/// Chooses the road; what exists on another one only is a problem.
pub fn choose_method(options: &Options, problems: &mut Problems<Options>) -> Choice {
    let (registered, imported) = (only_registered(options), only_imported(options));
    let (method, reason) = match options.method.unwrap_or_default() {
        Method::ImportImage => (ImportMethod::ImportImage, None),
        Method::ImportSnapshot => (ImportMethod::ImportSnapshot, None),
        Method::EbsDirect => (ImportMethod::EbsDirect, None),
        Method::Auto => automatic_method(options, &registered),
    };
    let named = options.method.unwrap_or_default() != Method::Auto;
    let (unsupported, remedy) = match method {
        ImportMethod::ImportImage => (&registered, "say --method import-snapshot"),
        ImportMethod::ImportSnapshot | ImportMethod::EbsDirect if named => {
            (&imported, "say --method import-image")
        }
        ImportMethod::ImportSnapshot => (&imported, "leave one of the two out"),
        ImportMethod::EbsDirect => (&imported, "name a --bucket"),
    };
    for (option, name) in unsupported {
        let call = if method.registers() {
            "RegisterImage"
        } else {
            "ImportImage"
        };
        let because = reason.as_ref().filter(|_| !named);
        let because = because.map_or_else(String::new, |reason| format!(", and {reason}"));
        problems.invalid(
            option,
            format!("EC2's {call} takes no {name}{because}: {remedy}"),
        );
    }
    Choice { method, reason }
}

fn automatic_method(
    options: &Options,
    registered: &[LimitedOption],
) -> (ImportMethod, Option<String>) {
    if options.s3_bucket_name.is_none() {
        return (
            ImportMethod::EbsDirect,
            Some("no bucket was named".to_owned()),
        );
    }
    match registered.first() {
        Some((_, what)) => (
            ImportMethod::ImportSnapshot,
            Some(format!("ImportImage takes no {what}")),
        ),
        None => (ImportMethod::ImportImage, None),
    }
}

/// What RegisterImage carries and ImportImage does not.
fn only_registered(options: &Options) -> Vec<LimitedOption> {
    let candidates = [
        (
            options.architecture == Some(Architecture::Arm64),
            ("architecture", "arm64"),
        ),
        (
            options.boot_mode == Some(BootMode::UefiPreferred),
            ("boot_mode", "uefi-preferred"),
        ),
        (
            options.tpm_support.is_some(),
            ("tpm_support", "TPM support"),
        ),
        (options.uefi_data.is_some(), ("uefi_data", "UEFI data")),
        (
            options.volume_type.is_some(),
            ("volume_type", "volume type"),
        ),
        (
            options.volume_size.is_some(),
            ("volume_size", "volume size"),
        ),
        (
            options.root_device_name.is_some(),
            ("root_device_name", "root device name"),
        ),
    ];
    requested(candidates)
}

/// What ImportImage does and RegisterImage does not.
fn only_imported(options: &Options) -> Vec<LimitedOption> {
    let candidates = [
        (
            options.license_type.is_some(),
            ("license_type", "licence type"),
        ),
        (
            options.platform == Some(Platform::Windows),
            ("platform", "Windows systems"),
        ),
    ];
    requested(candidates)
}

fn requested<const N: usize>(options: [(bool, LimitedOption); N]) -> Vec<LimitedOption> {
    let requested = options
        .into_iter()
        .filter(|(is_requested, _)| *is_requested);
    requested.map(|(_, option)| option).collect()
}
