//! ImportImage's codes, those of every action, and why imports fail.

use imgimport_sandbox::Fault;
use imgimport_sandbox::alibaba::ImportScript;

use super::super::{RAM, Told, allow, each};
use super::stage;

const COMMAND: &str = "alicloud --bucket packer --image-name web --max-retries 0 -q disk.raw";
const OBJECT: &str = "oss://packer/imgimport-1767225600.raw; remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing";
const KEYS: &str = "check the access key and the secret key: ALICLOUD_ACCESS_KEY, ALICLOUD_SECRET_KEY, or the profile";
const AGAIN: &str = "run the same command again: what was sent is still there";
const MINUTE: &str = "wait a minute and run the same command again";
const LATER: &str = "wait some minutes, and run the same command again";
const RAW: &str = "convert the image: qemu-img convert -f raw -O raw disk.raw disk.new.raw";
const READ: &str = "let the import's role read the bucket: aliyun ram AttachPolicyToRole --PolicyType System --PolicyName AliyunECSImageImportRolePolicy --RoleName AliyunECSImageImportDefaultRole";
const SIZE: &str = "choose a --system-size of at least the disk's size and at most 2048 GiB";
const GOES_ON: &str = "the same command goes on from there";
const OVER: &str = "get a new temporary key; this one is over";
const TOKEN: &str = "the security token belongs to another key: give all three of one set";

const NAME: &str =
    "choose another --image-name: 2 to 128 letters, digits, '.', ':', '_' and '-', a letter first";
const RAW_ELSEWHERE: &str = "the region does not take this format; convert the image: qemu-img convert -f raw -O raw disk.raw disk.new.raw";
const ARCHITECTURE: &str = "choose another --architecture, one that goes with the --platform";
const LICENSE: &str = "choose another --license-type, such as BYOL";
const BOOT: &str = "choose another --boot-mode; an arm64 image needs UEFI";
const REGIONS: &str =
    "check the region's name; the regions are listed with: aliyun ecs DescribeRegions";
const DETECTION: &str = "leave --detection-strategy out";
const REFUSED: &[(u16, &str, &str)] = &[
    (400, "MissingParameter", GOES_ON),
    (400, "InvalidImageName.Malformed", NAME),
    (
        400,
        "InvalidImageName.Duplicated",
        "choose another --image-name, or say --force-delete",
    ),
    (
        400,
        "InvalidDescription.Malformed",
        "choose another --image-description: 2 to 256 characters, no address first",
    ),
    (
        400,
        "UnsupportedSuffix.OSSObject",
        "give the object a --key that ends in the format's own suffix",
    ),
    (
        400,
        "InvalidOSSObject.Malformed",
        "choose another --key, without a slash first",
    ),
    (
        400,
        "InvalidOSSObject.Size",
        "the image is empty: check the file disk.raw",
    ),
    (
        400,
        "InvalidOSSObject.NotFound",
        "run the same command again: the object is sent anew",
    ),
    (
        400,
        "InvalidOSSObject.NeedRestore",
        "name another --bucket, one of the storage class Standard; one that does not exist is made",
    ),
    (
        400,
        "InvalidOSSBucket.Malformed",
        "choose another --bucket: 3 to 63 small letters, digits and '-'",
    ),
    (
        400,
        "InvalidOSSBucket.NotFound",
        "run the same command again: a bucket that does not exist is made",
    ),
    (
        400,
        "InvalidOSSBucket.NotMatched",
        "name a bucket in cn-beijing, the import's region; one that does not exist is made",
    ),
    (
        400,
        "InvalidOSSBucket.FlowLimit",
        "wait until the bucket's traffic is below its limit, and run the same command again",
    ),
    (400, "InvalidArchitecture.Malformed", ARCHITECTURE),
    (
        400,
        "InvalidPlatform.Malformed",
        "choose another --platform: Others Linux fits any Linux",
    ),
    (
        400,
        "InvalidOSType.Malformed",
        "say --os-type linux or --os-type windows",
    ),
    (400, "InvalidImageSize", SIZE),
    (400, "InvalidDataDiskSize", SIZE),
    (400, "InvalidImageFormat.Malformed", RAW),
    (400, "InvalidImageFormat.RegionNotSupported", RAW_ELSEWHERE),
    (400, "InvalidRegionId.NotFound", REGIONS),
    (
        400,
        "InvalidRegion.NotSupport",
        "choose another --region: this one takes no imports",
    ),
    (400, "InvalidLicenseType.NotSupported", LICENSE),
    (400, "InvalidLicenseType.BYOLOnly", LICENSE),
    (400, "InvalidBootMode.Malformed", BOOT),
    (400, "InvalidBootMode.NotSupport", BOOT),
    (400, "InvalidParameter.DetectionStrategy", DETECTION),
    (
        400,
        "InvalidClientToken.Malformed",
        "say --no-resume: that run has a token of its own",
    ),
    (
        400,
        "Account.Arrearage",
        "pay the account's open bills, and run the same command again",
    ),
    (
        403,
        "InvalidOperation.CloudBoxImageImportRoleRequired",
        "a CloudBox needs a role of its own: choose another --region",
    ),
    (403, "InvalidOSS.NotAuthorized", READ),
    (
        403,
        "ImageIsImporting",
        "wait until the other import of that object has ended, or choose another --key",
    ),
    (
        403,
        "QuotaExceed.Image",
        "delete images that nobody needs, or ask for a higher quota",
    ),
    (403, "ImportImageFailed", AGAIN),
    (
        403,
        "UserNotInTheWhiteList",
        "this format is a preview that Alibaba Cloud opens on request; convert the image: qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2",
    ),
    (403, "InvalidBlockSize.NotSupport", RAW),
    (403, "InvalidVHDImage.IncorrectSize", RAW),
    (
        403,
        "InvalidOSSBucket.EncryptUnsupported",
        "name another --bucket, one that does not encrypt; one that does not exist is made",
    ),
    (403, "InvalidArchitecture.PlatformUnsupported", ARCHITECTURE),
    (403, "ImageCheckUnsupported.WindowsImage", DETECTION),
    (
        403,
        "TagKey.Duplication",
        "give every --tag a key of its own",
    ),
    (
        404,
        "InvalidResourceGroup.NotFound",
        "check --resource-group-id; the groups are listed with: aliyun resourcemanager ListResourceGroups",
    ),
    (400, "Throttling", MINUTE),
    (400, "Throttling.User", MINUTE),
    (400, "Throttling.Api", MINUTE),
    (503, "ServiceUnavailable", LATER),
    (500, "InternalError", LATER),
    (418, "NobodyHasSeenIt", GOES_ON),
];

/// "ImportImage", "Error codes"; `DRYRUN.SUCCESS` is never asked for.
#[tokio::test]
async fn a_refused_import_comes_with_its_remedy() {
    each(REFUSED, async |&(status, code, hint)| {
        let env = stage().await;
        let refusal = Fault::on("ecs:ImportImage").always();
        env.cloud
            .fault(refusal.answer(status, code, "In ECS's words."));
        let run = env.alicloud(COMMAND).output().await;
        let told = Told {
            what: "the import could not be started",
            cause: &format!("In ECS's words ({code}, request ID)"),
            left: &[OBJECT],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// A role that ECS does not see is made or waited for, however ECS spells its code.
#[tokio::test]
async fn a_role_that_ecs_does_not_see_yet_is_waited_for() {
    let codes = [
        "NoSetRoletoECSServiceAcount",
        "NoSetRoletoECSServiceAccount",
    ];
    each(codes, async |code| {
        let env = stage().await;
        let refusal = Fault::on("ecs:ImportImage");
        env.cloud.fault(refusal.answer(403, code, "Not yet."));
        let run = env.alicloud(COMMAND).output().await;
        run.code(0).stdout("m-ID").stderr("");
        assert_eq!(env.cloud.ecs().tasks().len(), 1);
    })
    .await;
}

/// "Public error codes", as the first request meets them.
#[tokio::test]
async fn what_any_action_may_answer_comes_with_its_remedy() {
    let policy = allow(RAM, &["ecs:DescribeImages"], "*");
    let rows = [
        (400, "SignatureDoesNotMatch", KEYS),
        (400, "IncompleteSignature", KEYS),
        (404, "InvalidAccessKeyId.NotFound", KEYS),
        (400, "InvalidTimeStamp.Expired", "set this machine's clock"),
        (400, "InvalidSecurityToken.Expired", OVER),
        (400, "InvalidSecurityToken.Malformed", TOKEN),
        (400, "InvalidSecurityToken.MismatchWithAccessKey", TOKEN),
        (403, "Forbidden.RAM", &policy),
        (403, "NoPermission", &policy),
        (
            404,
            "InvalidRegionId.NotFound",
            "check the region's name; the regions are listed with: aliyun ecs DescribeRegions",
        ),
        (400, "SignatureNonceUsed", LATER),
        (400, "Throttling", MINUTE),
        (400, "Throttling.User", MINUTE),
        (503, "ServiceUnavailable", LATER),
        (500, "InternalError", LATER),
        (418, "NobodyHasSeenIt", ""),
    ];
    each(rows, async |(status, code, hint)| {
        let env = stage().await;
        let refusal = Fault::on("ecs:DescribeImages").always();
        env.cloud
            .fault(refusal.answer(status, code, "In ECS's words."));
        let run = env.alicloud(COMMAND).output().await;
        let told = Told {
            what: "the image's name can't be looked up in cn-beijing",
            cause: &format!("In ECS's words ({code}, request ID)"),
            left: &[],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// Why an import failed, as the task tells it.
#[tokio::test]
async fn the_reason_of_a_failed_import_comes_with_its_remedy() {
    let rows = [
        (
            "InvalidVHDImage.IncorrectSize",
            "The size of the VHD is incorrect",
            RAW,
        ),
        (
            "InvalidImageFormat",
            "The file is no disk",
            "say the image's own --format, or convert it: qemu-img convert -f raw -O raw disk.raw disk.new.raw",
        ),
        ("InvalidOSS.NotAuthorized", "The role may not read", READ),
        (
            "NoSuchKey",
            "The specified key does not exist",
            "run the same command again: the object is sent anew",
        ),
        ("ImportImageFailed", "The system disk has no root", GOES_ON),
    ];
    each(rows, async |(code, text, hint)| {
        let env = stage().await;
        let script = ImportScript::quick().fail_with(code, text);
        env.cloud.ecs().import_script(script);
        let run = env.alicloud(COMMAND).output().await;
        let told = Told {
            what: "the import t-ID failed",
            cause: &format!("{text} ({code})"),
            left: &[OBJECT],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}
