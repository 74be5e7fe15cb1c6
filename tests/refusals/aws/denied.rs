//! Every call of the roads to an AMI, denied in the services' own words.

use imgimport_sandbox::Fault;

use super::super::{IAM, Told, allow, each};
use super::stage;

const PARTS: &str = "1 part of s3://importbucket/imgimport-1767225600.raw (2.0 MiB); remove it with: aws s3api abort-multipart-upload --bucket importbucket --key imgimport-1767225600.raw --upload-id UPLOAD";
const OBJECT: &str = "s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw";
const TASK: &str = "the import task import-ami-TASK; remove it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1";
const SNAPSHOT_TASK: &str = "the import task import-snap-TASK; remove it with: aws ec2 cancel-import-task --import-task-id import-snap-TASK --region eu-central-1";
const IMAGE: &str = "the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-central-1";
const FILLED: &str = "the snapshot snap-ID with 4 blocks; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1";
const SNAPSHOT: &str = "the snapshot snap-ID; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1";
/// EC2's sentence for a caller who may not even learn what was missing.
const UNAUTHORIZED: &str = "You are not authorized to perform this operation";

/// A call that is denied from the n-th time on, what could not be done, the permission, and
/// what is left.
type Row = (
    &'static str,
    (&'static str, usize),
    &'static str,
    &'static str,
    &'static [&'static str],
);

const CALLS: &[Row] = &[
    (
        "--ami-name web",
        ("ec2:DescribeImages", 1),
        "the AMI's name can't be looked up",
        "ec2:DescribeImages",
        &[],
    ),
    (
        "",
        ("ec2:DescribeImportImageTasks", 1),
        "the import's state could not be asked",
        "ec2:DescribeImportImageTasks",
        &[TASK, OBJECT],
    ),
    (
        "--method import-snapshot",
        ("ec2:DescribeImportSnapshotTasks", 1),
        "the import's state could not be asked",
        "ec2:DescribeImportSnapshotTasks",
        &[SNAPSHOT_TASK, OBJECT],
    ),
    (
        "",
        ("ec2:DescribeImages", 1),
        "the state of ami-ID could not be asked",
        "ec2:DescribeImages",
        &[IMAGE],
    ),
    (
        "--ami-name web",
        ("ec2:CopyImage", 1),
        "ami-ID could not be named \"web\"",
        "ec2:CopyImage",
        &[IMAGE],
    ),
    (
        "--tag a=b",
        ("ec2:CreateTags", 1),
        "ami-ID could not be tagged",
        "ec2:CreateTags",
        &[IMAGE],
    ),
    (
        "--ami-description text",
        ("ec2:ModifyImageAttribute", 1),
        "the description of ami-ID could not be set",
        "ec2:ModifyImageAttribute",
        &[IMAGE],
    ),
    (
        "--imds-support v2.0",
        ("ec2:ModifyImageAttribute", 1),
        "the IMDS support of ami-ID could not be set",
        "ec2:ModifyImageAttribute",
        &[IMAGE],
    ),
    (
        "--ami-users 210987654321",
        ("ec2:ModifyImageAttribute", 1),
        "the launch permissions of ami-ID could not be set",
        "ec2:ModifyImageAttribute",
        &[IMAGE],
    ),
    (
        "--ami-users 210987654321",
        ("ec2:ModifySnapshotAttribute", 1),
        "snap-ID could not be shared",
        "ec2:ModifySnapshotAttribute",
        &[IMAGE],
    ),
    (
        "--deprecate-at 2030-01-01T00:00:00Z",
        ("ec2:EnableImageDeprecation", 1),
        "the deprecation of ami-ID could not be set",
        "ec2:EnableImageDeprecation",
        &[IMAGE],
    ),
    (
        "--method import-snapshot",
        ("ec2:RegisterImage", 1),
        "snap-ID could not be registered as \"imgimport-1767225600\"",
        "ec2:RegisterImage",
        &[SNAPSHOT],
    ),
    (
        "--method ebs-direct --ami-name web",
        ("ec2:DescribeSnapshots", 1),
        "the state of snap-ID could not be asked",
        "ec2:DescribeSnapshots",
        &[FILLED],
    ),
    (
        "--method ebs-direct --ami-name web",
        ("ec2:RegisterImage", 1),
        "snap-ID could not be registered as \"web\"",
        "ec2:RegisterImage",
        &[SNAPSHOT],
    ),
    (
        "--tag a=b --ami-users 210987654321",
        ("ec2:CreateTags", 1),
        "ami-ID could not be tagged",
        "ec2:CreateTags",
        &[IMAGE],
    ),
    (
        "--ami-name web",
        ("ec2:DescribeImages", 2),
        "the state of ami-ID could not be asked",
        "ec2:DescribeImages",
        &[IMAGE, IMAGE],
    ),
    (
        "--method import-snapshot --ami-name web",
        ("ec2:DescribeImages", 2),
        "the state of ami-ID could not be asked",
        "ec2:DescribeImages",
        &[
            "the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --region eu-central-1",
            SNAPSHOT,
        ],
    ),
];

#[tokio::test]
async fn ec2_denies_a_call() {
    each(
        CALLS,
        async |&(wish, (operation, nth), what, action, left)| {
            let env = stage().await;
            let denied = Fault::on(operation).nth(nth).always();
            env.cloud
                .fault(denied.answer(403, "UnauthorizedOperation", UNAUTHORIZED));
            let command = format!("aws --bucket importbucket {wish} -q disk.raw");
            let run = env.imgimport(&command).output().await;
            let told = Told {
                what,
                cause: &format!("{UNAUTHORIZED} (UnauthorizedOperation, request ID)"),
                left,
                hint: &allow(IAM, &[action], "*"),
            };
            run.code(1).stdout("").stderr(&told.whole());
        },
    )
    .await;
}

/// S3 names neither the action nor, to a HEAD, anything else.
#[tokio::test]
async fn s3_denies_a_call() {
    let object = "arn:aws:s3:::importbucket/imgimport-1767225600.raw";
    let writing = allow(
        IAM,
        &["s3:PutObject", "s3:ListMultipartUploadParts"],
        object,
    );
    let listing = allow(IAM, &["s3:ListBucket"], "arn:aws:s3:::importbucket");
    let bucket = format!("the bucket may be another account's; or {listing}");
    let key = "arn:aws:kms:eu-central-1:123456789012:key/k";
    let data_key = format!(
        "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: kms:GenerateDataKey on resource: {key} because no identity-based policy allows the kms:GenerateDataKey action"
    );
    let rows = [
        (
            "s3:HeadBucket",
            "",
            "the bucket importbucket can't be used",
            "Access Denied (AccessDenied, request ID)".to_owned(),
            &bucket,
        ),
        (
            "s3:CreateMultipartUpload",
            "Access Denied",
            "the upload could not be started",
            "Access Denied (AccessDenied, request ID)".to_owned(),
            &writing,
        ),
        (
            "s3:UploadPart",
            "Access Denied",
            "part 1 of 1 could not be sent",
            "Access Denied (AccessDenied, request ID)".to_owned(),
            &writing,
        ),
        (
            "s3:CompleteMultipartUpload",
            "Access Denied",
            "the object could not be made of its 1 part",
            "Access Denied (AccessDenied, request ID)".to_owned(),
            &writing,
        ),
        (
            "s3:CreateMultipartUpload",
            &data_key,
            "the upload could not be started",
            format!("{data_key} (AccessDenied, request ID)"),
            &allow(IAM, &["kms:GenerateDataKey"], key),
        ),
    ];
    each(rows, async |(operation, text, what, cause, hint)| {
        let env = stage().await;
        let denied = Fault::on(operation).always();
        env.cloud.fault(denied.answer(403, "AccessDenied", text));
        if operation == "s3:HeadBucket" {
            // The same permission; its refusal has a body.
            let denied = Fault::on("s3:ListObjectsV2").always();
            let denied = denied.answer(403, "AccessDenied", "Access Denied");
            env.cloud.fault(denied);
        }
        let run = env
            .imgimport("aws --bucket importbucket -q disk.raw")
            .output()
            .await;
        let told = Told {
            what,
            cause: &cause,
            left: if operation == "s3:CompleteMultipartUpload" {
                &[PARTS]
            } else {
                &[]
            },
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

#[tokio::test]
async fn the_ebs_direct_apis_deny_a_call() {
    let policy = r#"the policy for the blocks of a snapshot is: {"Statement":[{"Action":["ebs:StartSnapshot","ebs:PutSnapshotBlock","ebs:CompleteSnapshot"],"Effect":"Allow","Resource":"arn:aws:ec2:eu-central-1::snapshot/*"}],"Version":"2012-10-17"}"#;
    let rows: [(_, _, &[&str]); 3] = [
        (
            "ebs:StartSnapshot",
            "the snapshot could not be started",
            &[],
        ),
        ("ebs:PutSnapshotBlock", "block 0 could not be sent", &[]),
        (
            "ebs:CompleteSnapshot",
            "snap-ID could not be completed",
            &[FILLED],
        ),
    ];
    each(rows, async |(operation, what, left)| {
        let env = stage().await;
        let denied = Fault::on(operation).always();
        env.cloud
            .fault(denied.answer(403, "AccessDeniedException", "Not you."));
        let run =
            env.imgimport("aws --method ebs-direct --ami-name web --concurrency 1 -q disk.raw");
        let told = Told {
            what,
            cause: "Not you (AccessDeniedException, request ID)",
            left,
            hint: &format!("allow the caller {operation}; {policy}"),
        };
        run.output().await.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// Copies and the parameter: the AMI at home is there all the same.
#[tokio::test]
async fn the_last_steps_of_an_ami_are_denied() {
    let copied = allow(IAM, &["ec2:CopyImage"], "*");
    let parameter = r#"allow the caller ssm:PutParameter and ec2:DescribeImages: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:PutParameter","Resource":"arn:aws:ssm:eu-central-1:*:parameter/golden/web"},{"Effect":"Allow","Action":"ec2:DescribeImages","Resource":"*"}]}"#;
    let rows = [
        (
            "--copy-to us-east-1",
            "ec2:CopyImage",
            "UnauthorizedOperation",
            "ami-ID could not be copied to us-east-1",
            "us-east-1: the copy of ami-ID could not be started: ",
            copied.as_str(),
        ),
        (
            "--ssm-parameter /golden/web",
            "ssm:PutParameter",
            "AccessDeniedException",
            "the parameter /golden/web in eu-central-1 can't be written",
            "",
            parameter,
        ),
    ];
    each(rows, async |(wish, operation, code, what, before, hint)| {
        let env = stage().await;
        let denied = Fault::on(operation).always();
        env.cloud.fault(denied.answer(403, code, "Not you."));
        let command = format!("aws --bucket importbucket {wish} -q disk.raw");
        let run = env.imgimport(&command).output().await;
        let told = Told {
            what,
            cause: &format!("{before}Not you ({code}, request ID)"),
            left: &[IMAGE],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// The image is there, so that a warning has to do.
#[tokio::test]
async fn what_can_not_be_removed_afterwards_is_a_warning_with_the_permission() {
    let deleting = allow(
        IAM,
        &["s3:DeleteObject"],
        "arn:aws:s3:::importbucket/imgimport-1767225600.raw",
    );
    let images = allow(IAM, &["ec2:DeregisterImage", "ec2:DeleteSnapshot"], "*");
    let first = "aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-central-1";
    let rows = [
        (
            "s3:DeleteObject",
            "AccessDenied",
            format!(
                "warning: s3://importbucket/imgimport-1767225600.raw could not be deleted: Not you (AccessDenied, request ID); next time, {deleting}; delete it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw"
            ),
        ),
        (
            "ec2:DeregisterImage",
            "UnauthorizedOperation",
            format!(
                "warning: ami-ID, the image before it had its name, could not be removed: Not you (UnauthorizedOperation, request ID); next time, {images}; remove it with: {first}"
            ),
        ),
        (
            "ec2:DeregisterImage",
            "InternalError",
            format!(
                "warning: ami-ID, the image before it had its name, could not be removed: Not you (InternalError, request ID); remove it with: {first}"
            ),
        ),
    ];
    each(rows, async |(operation, code, warning)| {
        let env = stage().await;
        let denied = Fault::on(operation).always();
        env.cloud.fault(denied.answer(403, code, "Not you."));
        let command = "aws --bucket importbucket --ami-name web --max-retries 0 -q disk.raw";
        let run = env.imgimport(command).output().await;
        run.code(0).stdout("ami-ID").stderr(&warning);
    })
    .await;
}
