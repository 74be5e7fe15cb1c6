//! Alibaba Cloud's values for the properties of an image, as flags, keys and requests spell
//! them.

use clap::ValueEnum;

/// The role that ImportImage looks for when no other is given.
pub const DEFAULT_ROLE: &str = "AliyunECSImageImportDefaultRole";

/// Regions of ECS, for a shell to complete.
pub const REGIONS: &[&str] = &[
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-southeast-1",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "cn-beijing",
    "cn-chengdu",
    "cn-fuzhou",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-heyuan",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-nanjing",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shenzhen",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "eu-central-1",
    "eu-west-1",
    "me-central-1",
    "me-east-1",
    "na-south-1",
    "us-east-1",
    "us-west-1",
];

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

/// The family of the operating system.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum OsType {
    /// Linux and everything that is not Windows
    #[default]
    Linux,
    /// Microsoft Windows
    Windows,
}

/// How the system starts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum BootMode {
    /// From the master boot record
    #[default]
    #[value(name = "BIOS")]
    Bios,
    /// From the EFI system partition
    #[value(name = "UEFI")]
    Uefi,
}

/// Whose licence the system runs under.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LicenseType {
    /// Alibaba Cloud looks
    #[value(name = "Auto")]
    Auto,
    /// Alibaba Cloud's; the instance's price covers it
    #[value(name = "Aliyun")]
    Aliyun,
    /// The user's own
    #[value(name = "BYOL")]
    Byol,
}

/// Whether Alibaba Cloud examines the imported image.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Detection {
    /// Image check; never holds the import up
    #[value(name = "Standard")]
    Standard,
}

/// The flag's own word, which is the request's too.
pub fn flag_value(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}
