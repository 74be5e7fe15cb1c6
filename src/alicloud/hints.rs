//! Alibaba Cloud's known codes and reasons, each with its hint.

use crate::image::Image;
use crate::net::service_error::{ErrorClass, ServiceError};
use crate::net::{hints, network_error, permission};
use crate::shell::Command;

/// Nobody can do more, and much has passed by then.
const RETRY_LATER: &str = "wait some minutes, and run the same command again";
const RETRY_NOW: &str = "run the same command again: what was sent is still there";
const EXPIRED_KEY: &str = "get a new temporary key; this one is over";
const CHECK_KEYS: &str = "check the access key and the secret key: ALICLOUD_ACCESS_KEY, ALICLOUD_SECRET_KEY, or the profile";
const CONVERT_TO_RAW: &str = "convert the image: {raw}";
const ATTACH_POLICY: &str = "let the import's role read the bucket: {attach}";
const CHOOSE_SIZE: &str = "choose a --system-size of at least the disk's size and at most 2048 GiB";
const LIMIT_UPLOAD: &str = "wait some minutes, and run the same command again; --limit-rate and --concurrency make it gentler";
const OMIT_DETECTION: &str = "leave --detection-strategy out";

/// Beginnings of codes that any action may answer ("Public error codes"), and what helps.
const COMMON_ERROR_CODES: &[(&str, &str)] = &[
    ("InvalidAccessKeyId", CHECK_KEYS),
    ("SignatureDoesNotMatch", CHECK_KEYS),
    ("IncompleteSignature", CHECK_KEYS),
    ("InvalidTimeStamp", "set this machine's clock"),
    (
        "InvalidSecurityToken",
        "the security token belongs to another key: give all three of one set",
    ),
    (
        "InvalidRegionId",
        "check the region's name; the regions are listed with: aliyun ecs DescribeRegions",
    ),
    (
        "Account.Arrearage",
        "pay the account's open bills, and run the same command again",
    ),
    ("SignatureNonceUsed", RETRY_LATER),
    ("Throttling", "wait a minute and run the same command again"),
    ("ServiceUnavailable", RETRY_LATER),
    ("InternalError", RETRY_LATER),
];

/// Beginnings of ImportImage's own codes ("ImportImage", "Error codes"), and what helps.
const IMPORT_ERROR_CODES: &[(&str, &str)] = &[
    (
        "InvalidOSSBucket.NotMatched",
        "name a bucket in {region}, the import's region; one that does not exist is made",
    ),
    (
        "InvalidOSSBucket.EncryptUnsupported",
        "name another --bucket, one that does not encrypt; one that does not exist is made",
    ),
    (
        "InvalidOSSObject.NeedRestore",
        "name another --bucket, one of the storage class Standard; one that does not exist is made",
    ),
    (
        "InvalidOSSBucket.FlowLimit",
        "wait until the bucket's traffic is below its limit, and run the same command again",
    ),
    (
        "UnsupportedSuffix.OSSObject",
        "give the object a --key that ends in the format's own suffix",
    ),
    (
        "InvalidImageName.Duplicated",
        "choose another --image-name, or say --force-delete",
    ),
    ("InvalidVHDImage.IncorrectSize", CONVERT_TO_RAW),
    (
        "ImageIsImporting",
        "wait until the other import of that object has ended, or choose another --key",
    ),
    (
        "QuotaExceed.Image",
        "delete images that nobody needs, or ask for a higher quota",
    ),
    (
        "UserNotInTheWhiteList",
        "this format is a preview that Alibaba Cloud opens on request; convert the image: {qcow2}",
    ),
    (
        "InvalidImageFormat.RegionNotSupported",
        "the region does not take this format; convert the image: {raw}",
    ),
    ("InvalidImageFormat", CONVERT_TO_RAW),
    (
        "InvalidResourceGroup",
        "check --resource-group-id; the groups are listed with: aliyun resourcemanager ListResourceGroups",
    ),
    (
        "InvalidImageName.Malformed",
        "choose another --image-name: 2 to 128 letters, digits, '.', ':', '_' and '-', a letter first",
    ),
    (
        "InvalidDescription.Malformed",
        "choose another --image-description: 2 to 256 characters, no address first",
    ),
    (
        "InvalidOSSObject.Malformed",
        "choose another --key, without a slash first",
    ),
    (
        "InvalidOSSObject.Size",
        "the image is empty: check the file {file}",
    ),
    (
        "InvalidOSSObject.NotFound",
        "run the same command again: the object is sent anew",
    ),
    (
        "InvalidOSSBucket.Malformed",
        "choose another --bucket: 3 to 63 small letters, digits and '-'",
    ),
    (
        "InvalidOSSBucket.NotFound",
        "run the same command again: a bucket that does not exist is made",
    ),
    (
        "InvalidArchitecture",
        "choose another --architecture, one that goes with the --platform",
    ),
    (
        "InvalidPlatform",
        "choose another --platform: Others Linux fits any Linux",
    ),
    ("InvalidOSType", "say --os-type linux or --os-type windows"),
    ("InvalidImageSize", CHOOSE_SIZE),
    ("InvalidDataDiskSize", CHOOSE_SIZE),
    (
        "InvalidRegion.NotSupport",
        "choose another --region: this one takes no imports",
    ),
    (
        "InvalidLicenseType",
        "choose another --license-type, such as BYOL",
    ),
    (
        "InvalidBootMode",
        "choose another --boot-mode; an arm64 image needs UEFI",
    ),
    ("InvalidParameter.DetectionStrategy", OMIT_DETECTION),
    ("ImageCheckUnsupported", OMIT_DETECTION),
    (
        "InvalidClientToken",
        "say --no-resume: that run has a token of its own",
    ),
    (
        "InvalidOperation.CloudBoxImageImportRoleRequired",
        "a CloudBox needs a role of its own: choose another --region",
    ),
    ("InvalidOSS.NotAuthorized", ATTACH_POLICY),
    ("ImportImageFailed", RETRY_NOW),
    ("InvalidBlockSize", CONVERT_TO_RAW),
    ("TagKey.Duplication", "give every --tag a key of its own"),
];

/// Why an import failed (ECS "Notes for importing images") and what helps.
const IMPORT_FAILURES: &[(&str, &str)] = &[
    ("IncorrectSize", CONVERT_TO_RAW),
    (
        "Format",
        "say the image's own --format, or convert it: {raw}",
    ),
    ("NotAuthorized", ATTACH_POLICY),
    (
        "NoSuchKey",
        "run the same command again: the object is sent anew",
    ),
];

/// OSS's codes ("Error codes" of OSS) and what helps.
const OSS_ERROR_CODES: &[(&str, &str)] = &[
    ("InvalidAccessKeyId", CHECK_KEYS),
    ("SignatureDoesNotMatch", CHECK_KEYS),
    ("SecurityTokenExpired", EXPIRED_KEY),
    (
        "InvalidSecurityToken",
        "the security token belongs to another key: give all three of one set",
    ),
    ("RequestTimeTooSkewed", "set this machine's clock"),
    (
        "BucketAlreadyExists",
        "another account has a bucket of that name: choose another --bucket",
    ),
    ("TooManyBuckets", "delete buckets, or name one that exists"),
    (
        "InvalidBucketName",
        "choose another --bucket: 3 to 63 small letters, digits and '-'",
    ),
    (
        "NoSuchBucket",
        "run the same command again: a bucket that does not exist is made",
    ),
    (
        "UserDisable",
        "pay the account's open bills, or enable OSS for it, and run the same command again",
    ),
    (
        "SecondLevelDomainForbidden",
        "leave --oss-path-style out: OSS takes the bucket in the host's name alone",
    ),
    ("FileAlreadyExists", "choose another --key"),
    (
        "EntityTooSmall",
        "give a larger --part-size; OSS takes none below 100 KiB",
    ),
    ("QpsLimitExceeded", LIMIT_UPLOAD),
    ("TrafficRateLimitExceeded", LIMIT_UPLOAD),
    ("SlowDown", LIMIT_UPLOAD),
    ("ServiceUnavailable", RETRY_LATER),
    ("InternalError", RETRY_LATER),
];

/// All tables of hints.
#[cfg(test)]
pub const ALL_HINTS: &[&[(&str, &str)]] = &[
    OSS_ERROR_CODES,
    IMPORT_FAILURES,
    COMMON_ERROR_CODES,
    IMPORT_ERROR_CODES,
];

/// Reports whether the code says that the access key is disabled.
pub fn is_disabled(code: &str) -> bool {
    matches!(
        code,
        "InvalidAccessKeyId.Inactive" | "Forbidden.AccessKeyDisabled"
    )
}

/// What the placeholders of a hint stand for.
pub struct HintContext<'a> {
    /// The image that is imported.
    pub image: &'a Image,
    /// The region of the import.
    pub region: &'a str,
    /// The name of the role that reads the bucket.
    pub role_name: &'a str,
    /// The command that lets the role read the bucket.
    pub attach: String,
}

impl HintContext<'_> {
    fn fill(&self, hint: &str) -> String {
        let placeholders = [
            ("attach", self.attach.as_str()),
            ("role", self.role_name),
            ("region", self.region),
        ];
        hints::fill_placeholders(hint, self.image, &placeholders)
    }
}

fn find_hint<'a>(table: &[(&str, &'a str)], matches: impl Fn(&str) -> bool) -> Option<&'a str> {
    let entry = table.iter().find(|(text, _)| matches(text));
    entry.map(|(_, help)| *help)
}

/// Returns what helps against a request to the API that failed. `action` is the permission that
/// it needs.
pub fn hint(error: &ServiceError, action: &str) -> Option<String> {
    if let Some(hint) = error.hint() {
        return Some(hint.to_owned());
    }
    let code = error.code().unwrap_or_default();
    let hint = match error.class() {
        ErrorClass::Denied => return Some(permission::allow(permission::RAM, action)),
        ErrorClass::ExpiredCredentials => EXPIRED_KEY,
        ErrorClass::NoCredentials => {
            "set ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY, or name a profile with --profile"
        }
        ErrorClass::NoResponse { .. } => {
            let usually = "check the network, the region's name and the endpoint";
            network_error::hint(error.message(), usually)
        }
        _ if is_disabled(code) => "enable the access key in the RAM console, or use another one",
        _ => find_hint(COMMON_ERROR_CODES, |start| code.starts_with(start))?,
    };
    Some(hint.to_owned())
}

/// Returns what helps against expired credentials of this profile of the aliyun CLI.
pub fn expired_profile_hint(profile: &str) -> String {
    let configure = Command::new("aliyun configure --mode StsToken");
    format!("{EXPIRED_KEY}: {}", configure.option("--profile", profile))
}

/// Returns what helps where a request was denied that names the permission it needs.
pub fn missing_permission_hint(error: &ServiceError) -> Option<String> {
    let needs = error.requires().filter(|_| error.is_denied())?;
    Some(permission::allow(permission::RAM, needs))
}

/// What helps where ImportImage refuses with this code.
pub fn import_error_hint(code: &str, context: &HintContext<'_>) -> Option<String> {
    find_hint(IMPORT_ERROR_CODES, |start| code.starts_with(start)).map(|help| context.fill(help))
}

/// What helps against the reason for which an import failed.
pub fn import_failure_hint(reason: &str, context: &HintContext<'_>) -> Option<String> {
    find_hint(IMPORT_FAILURES, |text| reason.contains(text)).map(|help| context.fill(help))
}

/// What helps against OSS's refusal, by the code in it.
pub fn oss_hint(refusal: &str) -> Option<&'static str> {
    find_hint(OSS_ERROR_CODES, |code| refusal.contains(code))
}
