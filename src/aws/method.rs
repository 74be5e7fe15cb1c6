//! The roads to an AMI and which of them this import takes. ImportImage looks into the
//! system and makes it fit for EC2; the others take the disk as it is and register an
//! image from its snapshot, which can carry more.

use super::options::Options;
use super::values::{Architecture, BootMode, Method, Platform};
use crate::config::problems::Problems;

/// The calls that make an AMI of the image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Road {
    /// S3, ImportImage.
    ImportImage,
    /// S3, ImportSnapshot, RegisterImage.
    ImportSnapshot,
    /// The blocks of a snapshot without a bucket, RegisterImage.
    EbsDirect,
}

impl Road {
    /// The word of `--method`.
    pub fn word(self) -> &'static str {
        match self {
            Self::ImportImage => "import-image",
            Self::ImportSnapshot => "import-snapshot",
            Self::EbsDirect => "ebs-direct",
        }
    }

    /// How the ids of its import tasks begin.
    pub fn task(self) -> &'static str {
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
    pub road: Road,
    /// What only this road can do.
    pub why: Option<String>,
}

/// What was asked for that not every road can do: the option and its name in a sentence.
type Wish = (&'static str, &'static str);

/// Chooses the road; what exists on another one only is a problem.
pub fn choose(options: &Options, problems: &mut Problems<Options>) -> Choice {
    let (registered, imported) = (only_registered(options), only_imported(options));
    let (road, why) = match options.method.unwrap_or_default() {
        Method::ImportImage => (Road::ImportImage, None),
        Method::ImportSnapshot => (Road::ImportSnapshot, None),
        Method::EbsDirect => (Road::EbsDirect, None),
        Method::Auto => wanted(options, &registered),
    };
    let named = options.method.unwrap_or_default() != Method::Auto;
    let (strange, remedy) = match road {
        Road::ImportImage => (&registered, "say --method import-snapshot"),
        Road::ImportSnapshot | Road::EbsDirect if named => (&imported, "say --method import-image"),
        Road::ImportSnapshot => (&imported, "leave one of the two out"),
        Road::EbsDirect => (&imported, "name a --bucket"),
    };
    for (option, what) in strange {
        let call = if road.registers() {
            "RegisterImage"
        } else {
            "ImportImage"
        };
        let because = why.as_ref().filter(|_| !named);
        let because = because.map_or_else(String::new, |why| format!(", and {why}"));
        problems.wrong(
            option,
            format!("EC2's {call} takes no {what}{because}: {remedy}"),
        );
    }
    Choice { road, why }
}

fn wanted(options: &Options, registered: &[Wish]) -> (Road, Option<String>) {
    if options.s3_bucket_name.is_none() {
        return (Road::EbsDirect, Some("no bucket was named".to_owned()));
    }
    match registered.first() {
        Some((_, what)) => (
            Road::ImportSnapshot,
            Some(format!("ImportImage takes no {what}")),
        ),
        None => (Road::ImportImage, None),
    }
}

/// What RegisterImage carries and ImportImage does not.
fn only_registered(options: &Options) -> Vec<Wish> {
    let wishes = [
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
    said(wishes)
}

/// What ImportImage does and RegisterImage does not.
fn only_imported(options: &Options) -> Vec<Wish> {
    let wishes = [
        (
            options.license_type.is_some(),
            ("license_type", "licence type"),
        ),
        (
            options.platform == Some(Platform::Windows),
            ("platform", "Windows systems"),
        ),
    ];
    said(wishes)
}

fn said<const N: usize>(wishes: [(bool, Wish); N]) -> Vec<Wish> {
    let said = wishes.into_iter().filter(|(said, _)| *said);
    said.map(|(_, wish)| wish).collect()
}
