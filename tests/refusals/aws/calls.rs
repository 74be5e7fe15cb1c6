//! What the services answer when they are busy, in trouble or asked by nobody they know, and
//! what becomes of an AMI that cannot be finished.

use imgimport_sandbox::{CopyScript, Fault};

use super::super::{Told, each};
use super::stage;

const KEYS: &str = "check the access key and the secret key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the profile";
const EXPIRED: &str = "get new credentials, for instance with: aws sso login";
const BUSY: &str =
    "wait some minutes, and run the same command again: the account asks too much at once";
const TROUBLE: &str =
    "run the same command again; https://health.aws.amazon.com/health/status tells of troubles";
const SNAPSHOTS: &str = "delete snapshots, or ask for a higher quota";
const TOKEN: &str = "an earlier run asked for something else with the same token: say --no-resume, which takes a new one";
/// Said wherever something stays and nothing better is known.
const GOES_ON: &str = "the same command goes on from there";

/// "Error codes for the Amazon EC2 API" that any call may answer; the first one does.
#[tokio::test]
async fn what_any_call_may_answer_comes_with_its_remedy() {
    let rows = [
        (503, "RequestLimitExceeded", BUSY),
        (400, "Throttling", BUSY),
        (400, "ThrottlingException", BUSY),
        (400, "ThrottledException", BUSY),
        (400, "RequestThrottled", BUSY),
        (400, "RequestThrottledException", BUSY),
        (400, "TooManyRequestsException", BUSY),
        (503, "EC2ThrottledException", BUSY),
        (503, "BandwidthLimitExceeded", BUSY),
        (400, "PriorRequestNotComplete", BUSY),
        (400, "ProvisionedThroughputExceededException", BUSY),
        (500, "InternalError", TROUBLE),
        (500, "InternalFailure", TROUBLE),
        (500, "ServerInternal", TROUBLE),
        (503, "ServiceUnavailable", TROUBLE),
        (503, "Unavailable", TROUBLE),
        (400, "RequestTimeout", TROUBLE),
        (400, "RequestTimeoutException", TROUBLE),
        (400, "IDPCommunicationError", TROUBLE),
        (403, "RequestTimeTooSkewed", "set this machine's clock"),
        (400, "RequestExpired", EXPIRED),
        (400, "ExpiredToken", EXPIRED),
        (400, "ExpiredTokenException", EXPIRED),
        (403, "SignatureDoesNotMatch", KEYS),
        (403, "InvalidClientTokenId", KEYS),
        (403, "InvalidAccessKeyId", KEYS),
        (401, "AuthFailure", KEYS),
        (
            401,
            "OptInRequired",
            "finish the account's sign-up, or enable the region: aws account enable-region --region-name REGION",
        ),
        (400, "IdempotentParameterMismatch", TOKEN),
        (400, "InvalidParameterValue", ""),
        (418, "NobodyHasSeenIt", ""),
    ];
    each(rows, async |(status, code, hint)| {
        let env = stage().await;
        let refusal = Fault::on("ec2:DescribeImages").always();
        env.cloud
            .fault(refusal.answer(status, code, "In AWS's words."));
        let command = "aws --bucket importbucket --ami-name web --max-retries 0 -q disk.raw";
        let run = env.imgimport(command).output().await;
        let told = Told {
            what: "the AMI's name can't be looked up",
            cause: &format!("In AWS's words ({code}, request ID)"),
            left: &[],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// S3's codes ("Error responses"), as an upload meets them.
#[tokio::test]
async fn what_s3_answers_to_an_upload_comes_with_its_remedy() {
    let key = "name another --s3-encryption-key: one that is enabled, symmetric and in the bucket's region";
    let rows = [
        (503, "SlowDown", BUSY),
        (500, "InternalError", TROUBLE),
        (503, "ServiceUnavailable", TROUBLE),
        (403, "RequestTimeTooSkewed", "set this machine's clock"),
        (400, "ExpiredToken", EXPIRED),
        (403, "InvalidAccessKeyId", KEYS),
        (403, "SignatureDoesNotMatch", KEYS),
        (400, "KMS.DisabledException", key),
        (400, "KMS.NotFoundException", key),
        (409, "OperationAborted", ""),
    ];
    each(rows, async |(status, code, hint)| {
        let env = stage().await;
        let refusal = Fault::on("s3:CreateMultipartUpload").always();
        env.cloud
            .fault(refusal.answer(status, code, "In S3's words."));
        let command = "aws --bucket importbucket --max-retries 0 -q disk.raw";
        let run = env.imgimport(command).output().await;
        let told = Told {
            what: "the upload could not be started",
            cause: &format!("In S3's words ({code}, request ID)"),
            left: &[],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// The EBS direct APIs' errors, as a snapshot's beginning meets them.
#[tokio::test]
async fn what_the_ebs_direct_apis_answer_comes_with_its_remedy() {
    let rows = [
        (402, "ServiceQuotaExceededException", SNAPSHOTS),
        (
            400,
            "PendingSnapshotLimitExceeded",
            "wait until other snapshots are complete, and run the same command again",
        ),
        (400, "SnapshotLimitExceeded", SNAPSHOTS),
        (400, "ConcurrentLimitExceededException", BUSY),
        (400, "RequestThrottledException", BUSY),
        (409, "ConflictException", TOKEN),
        (500, "InternalServerException", TROUBLE),
        (400, "ValidationException", ""),
        (404, "ResourceNotFoundException", ""),
    ];
    each(rows, async |(status, code, hint)| {
        let env = stage().await;
        let refusal = Fault::on("ebs:StartSnapshot").always();
        env
            .cloud
            .fault(refusal.answer(status, code, "In EBS's words."));
        let command = "aws --method ebs-direct --ami-name web --max-retries 0 -q disk.raw";
        let run = env.imgimport(command).output().await;
        // A trouble of the service says nothing of what it has done.
        let left = ["a snapshot in eu-central-1 that may have been started; remove it with delete-snapshot if this lists it: aws ec2 describe-snapshots --owner-ids self --filters Name=status,Values=pending --region eu-central-1"];
        let told = Told {
            what: "the snapshot could not be started",
            cause: &format!("In EBS's words ({code}, request ID)"),
            left: if status == 500 { &left } else { &[] },
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// What comes after the import: the image stays, and the next run goes on with it.
#[tokio::test]
async fn what_keeps_an_ami_from_being_finished_comes_with_its_remedy() {
    let image = "the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-central-1";
    let busy = "Too many snapshot copies in progress. The limit is 20 in this destination region";
    let words = "In EC2's words";
    let copies = "wait until other copies are complete, and run the same command again";
    let unblock = "lift the block, which may take 10 minutes: aws ec2 disable-image-block-public-access --region eu-central-1";
    let rows = [
        (
            "--ami-name web",
            "ec2:CopyImage",
            busy,
            "ResourceLimitExceeded",
            "ami-ID could not be named \"web\"",
            copies,
        ),
        (
            "--ami-name web",
            "ec2:CopyImage",
            words,
            "InvalidAMIName.Duplicate",
            "ami-ID could not be named \"web\"",
            GOES_ON,
        ),
        (
            "--tag a=b",
            "ec2:CreateTags",
            words,
            "TagLimitExceeded",
            "ami-ID could not be tagged",
            GOES_ON,
        ),
        (
            "--public",
            "ec2:ModifyImageAttribute",
            words,
            "OperationNotPermitted",
            "the launch permissions of ami-ID could not be set",
            unblock,
        ),
        (
            "--ami-users 210987654321",
            "ec2:ModifySnapshotAttribute",
            words,
            "OperationNotPermitted",
            "snap-ID could not be shared",
            GOES_ON,
        ),
        (
            "--deprecate-at 2030-01-01T00:00:00Z",
            "ec2:EnableImageDeprecation",
            words,
            "InvalidParameterValue",
            "the deprecation of ami-ID could not be set",
            GOES_ON,
        ),
    ];
    each(rows, async |(wish, operation, text, code, what, hint)| {
        let env = stage().await;
        let refusal = Fault::on(operation).always();
        env.cloud.fault(refusal.answer(400, code, text));
        let command = format!("aws --bucket importbucket {wish} -q disk.raw");
        let run = env.imgimport(&command).output().await;
        let told = Told {
            what,
            cause: &format!("{text} ({code}, request ID)"),
            left: &[image],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// A copy that fails says why in its StateReason.
#[tokio::test]
async fn a_copy_that_fails_is_told_in_ec2s_words() {
    let env = stage().await;
    let reason = "Given key ID is not accessible";
    env.cloud
        .ec2()
        .copy_script(CopyScript::pending(1).fail(reason));
    let run = env.imgimport("aws --bucket importbucket --ami-name web -q disk.raw");
    let told = Told {
        what: "ami-ID is failed",
        cause: reason,
        left: &[
            "the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-central-1",
        ],
        hint: GOES_ON,
    };
    run.output().await.code(1).stdout("").stderr(&told.whole());
}
