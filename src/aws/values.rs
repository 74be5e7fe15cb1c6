//! AWS's values for the properties of an image, as flags and keys spell them. `wire` is the
//! value in a request, where it differs from the flag's.

use aws_sdk_ec2::types::BootModeValues;
use clap::ValueEnum;

/// Regions of AWS, for a shell to complete: botocore's list in November 2026.
pub const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// How the image becomes an AMI.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Method {
    /// The best way for the image
    #[default]
    Auto,
    /// EC2 ImportImage, which makes drivers and network fit for EC2
    ImportImage,
    /// EC2 ImportSnapshot and RegisterImage, which leave the system as it is
    ImportSnapshot,
    /// A snapshot written block by block and RegisterImage: no bucket, no service role
    EbsDirect,
}

/// The processor that the system is built for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Architecture {
    /// 32-bit x86
    #[value(name = "i386")]
    I386,
    /// 64-bit x86
    #[default]
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit ARM
    #[value(name = "arm64")]
    Arm64,
}

/// How the system starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum BootMode {
    /// From the master boot record
    #[value(name = "legacy-bios")]
    LegacyBios,
    /// From the EFI system partition
    #[value(name = "uefi")]
    Uefi,
    /// Whichever the instance type has
    #[value(name = "uefi-preferred")]
    UefiPreferred,
}

impl From<BootMode> for BootModeValues {
    fn from(mode: BootMode) -> Self {
        match mode {
            BootMode::LegacyBios => Self::LegacyBios,
            BootMode::Uefi => Self::Uefi,
            BootMode::UefiPreferred => Self::UefiPreferred,
        }
    }
}

/// The family of the operating system.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Platform {
    /// Linux
    Linux,
    /// Microsoft Windows
    Windows,
}

impl Platform {
    /// EC2 capitalises it.
    pub fn api_value(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Windows => "Windows",
        }
    }
}

/// Whose licence the system runs under.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LicenseType {
    /// Amazon's; the instance's price covers it
    #[value(name = "AWS")]
    Aws,
    /// The user's own
    #[value(name = "BYOL")]
    Byol,
}

/// How S3 encrypts the temporary object.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum S3Encryption {
    /// With a key of S3's
    #[value(name = "AES256")]
    Aes256,
    /// With a key of the Key Management Service
    #[value(name = "aws:kms")]
    AwsKms,
}

/// The instance metadata service that the image's instances insist on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ImdsSupport {
    /// IMDSv2 alone
    #[value(name = "v2.0")]
    V2_0,
}

/// The Trusted Platform Module that the image's instances have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum TpmSupport {
    /// NitroTPM
    #[value(name = "v2.0")]
    V2_0,
}

/// The kind of the root volume; those that can boot and need no IOPS told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum VolumeType {
    /// General purpose SSD
    #[default]
    #[value(name = "gp3")]
    Gp3,
    /// General purpose SSD of the generation before
    #[value(name = "gp2")]
    Gp2,
    /// Magnetic disk
    #[value(name = "standard")]
    Standard,
}

/// The flag's own word.
pub fn flag_value(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}
