//! Alibaba Cloud's known codes and reasons, each with what helps.

/// Beginnings of codes ("ImportImage", "Public error codes") and what helps.
pub const REFUSALS: &[(&str, &str)] = &[
    ("InvalidTimeStamp", "set this machine's clock"),
    (
        "InvalidSecurityToken",
        "the security token belongs to another key: give all three of one set",
    ),
    ("InvalidRegionId", "check the region's name"),
    (
        "InvalidOSSBucket.NotMatched",
        "the bucket must lie in the import's region",
    ),
    (
        "InvalidOSSBucket.EncryptUnsupported",
        "the import takes no bucket with encryption of its own: name another --bucket",
    ),
    (
        "InvalidOSSObject.NeedRestore",
        "the bucket's storage class must be Standard",
    ),
    (
        "InvalidOSSBucket.FlowLimit",
        "wait until the bucket's traffic is below its limit",
    ),
    (
        "UnsupportedSuffix.OSSObject",
        "give the object a --key that ends in the format's own suffix",
    ),
    (
        "InvalidImageName.Duplicated",
        "choose another --image-name, or say --force-delete",
    ),
    (
        "InvalidVHDImage.IncorrectSize",
        "convert the image: qemu-img convert -O raw",
    ),
    (
        "ImageIsImporting",
        "an import of that object is under way: wait for it",
    ),
    (
        "QuotaExceed.Image",
        "delete images, or ask for a higher quota",
    ),
    ("Account.Arrearage", "the account has unpaid bills"),
    (
        "UserNotInTheWhiteList",
        "this format is a preview that Alibaba Cloud opens on request: convert the image to raw or qcow2",
    ),
    (
        "InvalidImageFormat.RegionNotSupported",
        "the region does not take this format: convert the image with qemu-img convert -O raw",
    ),
    (
        "InvalidImageFormat",
        "convert the image: qemu-img convert -O raw",
    ),
    ("InvalidResourceGroup", "check --resource-group-id"),
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
        "the image is empty: check the file",
    ),
    (
        "InvalidOSSObject.NotFound",
        "run the same command again: the object is sent anew",
    ),
    ("InvalidOSSBucket.Malformed", "check the bucket's name"),
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
    (
        "InvalidImageSize",
        "choose a --system-size of at least the disk's size and at most 2048 GiB",
    ),
    (
        "InvalidDataDiskSize",
        "choose a --system-size of at least the disk's size and at most 2048 GiB",
    ),
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
    (
        "InvalidParameter.DetectionStrategy",
        "leave --detection-strategy out",
    ),
    ("ImageCheckUnsupported", "leave --detection-strategy out"),
    ("InvalidClientToken", "run the same command again"),
    (
        "InvalidOperation.CloudBoxImageImportRoleRequired",
        "a CloudBox needs a role of its own: choose another --region",
    ),
    (
        "InvalidOSS.NotAuthorized",
        "let the import's role read the bucket",
    ),
    (
        "ImportImageFailed",
        "run the same command again: what was sent is still there",
    ),
    (
        "InvalidBlockSize",
        "convert the image: qemu-img convert -O raw",
    ),
    ("TagKey.Duplication", "give every --tag a key of its own"),
    ("Throttling", "wait a minute and run the same command again"),
    (
        "ServiceUnavailable",
        "run the same command again: what was sent is still there",
    ),
    (
        "InternalError",
        "run the same command again: what was sent is still there",
    ),
];

/// Why an import failed (ECS "Notes for importing images") and what helps.
pub const REASONS: &[(&str, &str)] = &[
    (
        "IncorrectSize",
        "convert the image: qemu-img convert -O raw",
    ),
    (
        "Format",
        "say the image's own --format, or convert it: qemu-img convert -O raw",
    ),
    ("NotAuthorized", "let the import's role read the bucket"),
    (
        "NoSuchKey",
        "run the same command again: the object is sent anew",
    ),
];

/// OSS's codes and what helps.
pub const OSS: &[(&str, &str)] = &[
    (
        "InvalidAccessKeyId",
        "check the access key and the secret key: ALICLOUD_ACCESS_KEY, ALICLOUD_SECRET_KEY, or the profile",
    ),
    (
        "SignatureDoesNotMatch",
        "check the access key and the secret key: ALICLOUD_ACCESS_KEY, ALICLOUD_SECRET_KEY, or the profile",
    ),
    (
        "SecurityTokenExpired",
        "get a new temporary key; this one is over",
    ),
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
        "UserDisable",
        "the account has unpaid bills, or OSS is not enabled for it",
    ),
];

/// All of it.
#[cfg(test)]
pub const ALL: &[&[(&str, &str)]] = &[OSS, REASONS, REFUSALS];

/// What helps against a refusal of this code.
pub fn refusal(code: &str) -> Option<&'static str> {
    let known = REFUSALS.iter().find(|(start, _)| code.starts_with(start));
    known.map(|(_, help)| *help)
}

/// What helps against the reason for which an import failed.
pub fn reason(reason: &str) -> Option<&'static str> {
    let known = REASONS.iter().find(|(text, _)| reason.contains(text));
    known.map(|(_, help)| *help)
}

/// What helps against OSS's refusal, by the code in it.
pub fn oss(refusal: &str) -> Option<&'static str> {
    let known = OSS.iter().find(|(code, _)| refusal.contains(code));
    known.map(|(_, help)| *help)
}
