//! OSS's codes.

use imgimport_sandbox::Fault;

use super::super::{Told, each};
use super::stage;

const COMMAND: &str = "alicloud --bucket packer --image-name web --max-retries 0 -q disk.raw";
const KEYS: &str = "check the access key and the secret key: ALICLOUD_ACCESS_KEY, ALICLOUD_SECRET_KEY, or the profile";
const LATER: &str = "wait some minutes, and run the same command again";
const SLOWER: &str = "wait some minutes, and run the same command again; --limit-rate and --concurrency make it gentler";
const OVER: &str = "get a new temporary key; this one is over";
const TOKEN: &str = "the security token belongs to another key: give all three of one set";

/// OSS's codes, as an upload meets them.
#[tokio::test]
async fn what_oss_answers_to_an_upload_comes_with_its_remedy() {
    let public = "this account's buckets in mainland China take no data over the public endpoint: say --oss-endpoint https://oss-cn-beijing-internal.aliyuncs.com on an ECS instance of the region, --oss-endpoint https://oss-accelerate.aliyuncs.com where the bucket has transfer acceleration, or --oss-cname with --oss-endpoint https://<a domain bound to the bucket>";
    let rows = [
        (400, "PublicEndpointForbidden", "0048-00000401", public),
        (
            403,
            "SecondLevelDomainForbidden",
            "0016-00000101",
            "leave --oss-path-style out: OSS takes the bucket in the host's name alone",
        ),
        (403, "InvalidAccessKeyId", "0002-00000902", KEYS),
        (403, "SignatureDoesNotMatch", "0002-00000040", KEYS),
        (403, "InvalidSecurityToken", "0002-00000006", TOKEN),
        (403, "SecurityTokenExpired", "0002-00000007", OVER),
        (
            403,
            "RequestTimeTooSkewed",
            "0002-00000504",
            "set this machine's clock",
        ),
        (
            403,
            "UserDisable",
            "0016-00000101",
            "pay the account's open bills, or enable OSS for it, and run the same command again",
        ),
        (
            404,
            "NoSuchBucket",
            "0015-00000101",
            "run the same command again: a bucket that does not exist is made",
        ),
        (
            409,
            "FileAlreadyExists",
            "0026-00000067",
            "choose another --key",
        ),
        (
            400,
            "EntityTooSmall",
            "0042-00000208",
            "give a larger --part-size; OSS takes none below 100 KiB",
        ),
        (503, "QpsLimitExceeded", "0016-00000101", SLOWER),
        (
            503,
            "UploadTrafficRateLimitExceeded",
            "0016-00000101",
            SLOWER,
        ),
        (503, "SlowDown", "0016-00000101", SLOWER),
        (503, "ServiceUnavailable", "0016-00000101", LATER),
        (500, "InternalError", "0016-00000101", LATER),
        (400, "InvalidArgument", "0016-00000101", ""),
        (418, "NobodyHasSeenIt", "0016-00000101", ""),
    ];
    each(rows, async |(status, code, ec, hint)| {
        let env = stage().await;
        let refusal = Fault::on("oss:InitiateMultipartUpload").always();
        env.cloud
            .fault(refusal.answer(status, code, "In OSS's words."));
        let run = env.alicloud(COMMAND).output().await;
        let told = Told {
            what: "the upload could not be started",
            cause: &format!("In OSS's words [EC {ec}] ({code}, request ID)"),
            left: &[],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// OSS's codes where the bucket has to be made.
#[tokio::test]
async fn what_keeps_a_bucket_from_being_made_comes_with_its_remedy() {
    let rows = [
        (
            409,
            "BucketAlreadyExists",
            "0015-00000104",
            "another account has a bucket of that name: choose another --bucket",
        ),
        (
            400,
            "TooManyBuckets",
            "0016-00000101",
            "delete buckets, or name one that exists",
        ),
        (
            400,
            "InvalidBucketName",
            "0015-00000001",
            "choose another --bucket: 3 to 63 small letters, digits and '-'",
        ),
        (
            418,
            "NobodyHasSeenIt",
            "0016-00000101",
            "name a bucket that exists with --bucket",
        ),
    ];
    each(rows, async |(status, code, ec, hint)| {
        let env = stage().await;
        let refusal = Fault::on("oss:PutBucket").always();
        env.cloud
            .fault(refusal.answer(status, code, "In OSS's words."));
        let command = COMMAND.replace("packer", "another");
        let run = env.alicloud(&command).output().await;
        let told = Told {
            what: "the bucket another could not be created",
            cause: &format!("In OSS's words [EC {ec}] ({code}, request ID)"),
            left: &[],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}
