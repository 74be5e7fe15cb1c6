//! The service role: missing, wrong, created, repaired, seen only after a while.

use imgimport_sandbox::{Fault, RoleView};
use serde_json::Value;

use crate::support::Stage;

const COMMAND: &str = "aws --bucket importbucket --create-role -q disk.raw";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"vmie.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:Externalid":"vmimport"}}}]}"#;
const CHANGES: [&str; 5] = [
    "iam:CreateRole",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:AttachRolePolicy",
    "iam:DeleteRole",
];

impl Stage {
    async fn without_role() -> Self {
        let stage = Self::new().await;
        stage.cloud.iam().remove_role("vmimport");
        stage.cloud.iam().set_delay(0);
        stage.disk(2);
        stage
    }

    fn role(&self) -> RoleView {
        self.cloud.iam().role("vmimport").expect("there is a role")
    }

    #[track_caller]
    fn nobody_touched_a_role(&self) {
        for change in CHANGES {
            assert!(self.cloud.requests(change).is_empty(), "{change}");
        }
    }
}

/// The document after this flag of a command to paste.
#[track_caller]
fn pasted(text: &str, command: &str, flag: &str) -> String {
    let line = text.lines().find(|line| line.contains(command));
    let line = line.unwrap_or_else(|| panic!("no {command} in:\n{text}"));
    let (_, rest) = line.split_once(&format!("{flag} '")).expect("the flag");
    rest.trim_end_matches('\'').to_owned()
}

#[tokio::test]
async fn a_missing_role_is_created_and_waited_for() {
    let stage = Stage::without_role().await;
    stage.cloud.iam().set_delay(2);
    let run = stage.imgimport("aws --bucket importbucket --create-role disk.raw");
    run.ends().await.exits(0).prints("ami-ID").says(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        Creating the service role vmimport
        Uploading to s3://importbucket/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
          VM Import does not know the service role vmimport yet, trying again for up to 2 min
        Importing as import-ami-TASK
           2 % pending
        Imported as ami-ID
        ",
    );
    let role = stage.role();
    assert_eq!(role.trust, TRUST);
    let names: Vec<_> = role.policies.keys().collect();
    assert_eq!(names, ["imgimport-importbucket"]);
    let policy = &role.policies["imgimport-importbucket"];
    assert!(
        policy
            .contains(r#""Resource":["arn:aws:s3:::importbucket","arn:aws:s3:::importbucket/*"]"#),
        "{policy}"
    );
    assert_eq!(stage.cloud.requests("ec2:ImportImage").len(), 3);
}

#[tokio::test]
async fn the_other_road_waits_for_a_new_role_just_so() {
    let stage = Stage::without_role().await;
    stage.cloud.iam().set_delay(1);
    let run = stage.imgimport(&format!("{COMMAND} --method import-snapshot"));
    run.ends().await.exits(0).prints("ami-ID").says("");
    assert_eq!(stage.cloud.requests("ec2:ImportSnapshot").len(), 2);
    assert_eq!(stage.cloud.ec2().import_tasks().len(), 1);
}

#[tokio::test]
async fn a_role_that_is_right_is_not_touched() {
    let stage = Stage::new().await;
    stage.disk(2);
    stage.imgimport(COMMAND).ends().await.exits(0).says("");
    stage.nobody_touched_a_role();
}

#[tokio::test]
async fn an_administrators_role_is_right_too() {
    let stage = Stage::new().await;
    stage
        .cloud
        .iam()
        .put_role("vmimport", TRUST, r#"{"Statement":[]}"#);
    stage.cloud.iam().attach_administrator("vmimport");
    stage.disk(2);
    stage.imgimport(COMMAND).ends().await.exits(0).says("");
    stage.nobody_touched_a_role();
}

#[tokio::test]
async fn a_role_for_another_bucket_gets_this_one_as_well() {
    let stage = Stage::without_role().await;
    stage.cloud.iam().put_import_role("vmimport", "otherbucket");
    let before = stage.role();
    let run = stage.imgimport(&COMMAND.replace("-q ", "")).ends().await;
    run.exits(0);
    assert!(
        run.stderr.contains(
            "\nRepairing the service role vmimport: its policies do not allow s3:GetBucketLocation, s3:GetObject, s3:ListBucket for the bucket importbucket\n"
        ),
        "{}",
        run.stderr
    );
    let after = stage.role();
    assert_eq!(
        after.policies["vmimport"], before.policies["vmimport"],
        "what others put there stays"
    );
    assert_eq!(after.policies.len(), 2);
    assert!(
        stage
            .cloud
            .requests("iam:UpdateAssumeRolePolicy")
            .is_empty()
    );
}

#[tokio::test]
async fn a_role_that_trusts_others_trusts_vm_import_as_well() {
    let stage = Stage::without_role().await;
    stage
        .cloud
        .iam()
        .put_import_role("vmimport", "importbucket");
    let policy = stage.role().policies["vmimport"].clone();
    let others = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}"#;
    stage.cloud.iam().put_role("vmimport", others, &policy);
    let run = stage.imgimport(&COMMAND.replace("-q ", "")).ends().await;
    run.exits(0);
    let line = "\nRepairing the service role vmimport: its trust policy does not let vmie.amazonaws.com assume it\n";
    assert!(run.stderr.contains(line), "{}", run.stderr);
    let trust: Value = serde_json::from_str(&stage.role().trust).unwrap();
    let services: Vec<_> = trust["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["Principal"]["Service"])
        .collect();
    assert_eq!(services, ["ec2.amazonaws.com", "vmie.amazonaws.com"]);
    assert!(
        stage.cloud.requests("iam:PutRolePolicy").is_empty(),
        "the permissions were right"
    );
}

#[tokio::test]
async fn a_key_is_opened_to_the_role() {
    let stage = Stage::new().await;
    stage.cloud.iam().set_delay(0);
    stage.disk(2);
    let command = format!("{COMMAND} --ami-encrypt --ami-kms-key alias/images");
    stage.imgimport(&command).ends().await.exits(0);
    let policy = &stage.role().policies["imgimport-kms-alias-images"];
    let policy: Value = serde_json::from_str(policy).unwrap();
    let statement = &policy["Statement"][0];
    assert_eq!(
        statement["Condition"]["ForAnyValue:StringEquals"]["kms:ResourceAliases"],
        "alias/images"
    );
    assert!(
        statement["Action"]
            .as_array()
            .unwrap()
            .contains(&"kms:Decrypt".into())
    );

    let changes = stage.cloud.requests("iam:PutRolePolicy").len();
    stage.imgimport(&command).ends().await.exits(0);
    assert_eq!(
        stage.cloud.requests("iam:PutRolePolicy").len(),
        changes,
        "once is enough"
    );
}

#[tokio::test]
async fn a_key_that_the_role_says_nothing_of_is_not_complained_about() {
    let stage = Stage::new().await;
    stage.disk(2);
    let run = stage.imgimport(
        "aws --bucket importbucket --ami-encrypt --ami-kms-key alias/images -q disk.raw",
    );
    run.ends().await.exits(0).says("");
    stage.nobody_touched_a_role();
}

#[tokio::test]
async fn a_denial_is_nobodys_to_take_away() {
    let stage = Stage::new().await;
    let denial = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:Get*","Resource":"*"}]}"#;
    stage.cloud.iam().put_role("vmimport", TRUST, denial);
    stage.disk(2);
    stage
        .imgimport(COMMAND)
        .ends()
        .await
        .exits(1)
        .prints("")
        .says(
            "
        error: the service role vmimport can't be used
          cause: its policies deny s3:GetBucketLocation, s3:GetObject for the bucket importbucket
          hint: take the denial away, or name another role with --role-name
        ",
        );
    stage.nobody_touched_a_role();
}

#[tokio::test]
async fn what_a_missing_role_needs_can_be_pasted() {
    let stage = Stage::without_role().await;
    let command = "aws --bucket importbucket -q disk.raw";
    let run = stage.imgimport(command).ends().await;
    run.exits(1).prints("");
    assert!(stage.cloud.requests("s3:CreateMultipartUpload").is_empty());
    let trust = pasted(
        &run.stderr,
        "aws iam create-role",
        "--assume-role-policy-document",
    );
    let policy = pasted(&run.stderr, "aws iam put-role-policy", "--policy-document");
    stage.cloud.iam().put_role("vmimport", &trust, &policy);
    stage.imgimport(command).ends().await.exits(0).says("");
}

#[tokio::test]
async fn what_a_wrong_role_needs_can_be_pasted() {
    let stage = Stage::without_role().await;
    stage
        .cloud
        .iam()
        .put_role("vmimport", r#"{"Statement":[]}"#, r#"{"Statement":[]}"#);
    let command = "aws --bucket importbucket -q disk.raw";
    let run = stage.imgimport(command).ends().await;
    run.exits(1).prints("");
    assert!(
        run.stderr.starts_with(
            "error: the service role vmimport can't be used\n  cause: its trust policy does not let vmie.amazonaws.com assume it; its policies do not allow s3:GetBucketLocation, s3:GetObject, s3:ListBucket, ec2:ModifySnapshotAttribute, ec2:CopySnapshot, ec2:RegisterImage, ec2:DescribeImages for the bucket importbucket\n  hint: repair it with --create-role, or with:\n"
        ),
        "{}",
        run.stderr
    );
    let trust = pasted(
        &run.stderr,
        "update-assume-role-policy",
        "--policy-document",
    );
    let policy = pasted(&run.stderr, "aws iam put-role-policy", "--policy-document");
    stage.cloud.iam().put_role("vmimport", &trust, &policy);
    stage.imgimport(command).ends().await.exits(0).says("");
    stage.nobody_touched_a_role();
}

#[tokio::test]
async fn a_caller_who_may_not_look_leaves_the_role_alone() {
    for hidden in ["iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy"] {
        let stage = Stage::new().await;
        let hide = Fault::on(hidden).always();
        stage
            .cloud
            .fault(hide.answer(403, "AccessDenied", "not you"));
        stage.disk(2);
        stage.imgimport(COMMAND).ends().await.exits(0).prints("ami-ID").says(
            "
            warning: the service role vmimport can't be looked at, so it is left as it is: not you (AccessDenied, request ID)
            ",
        );
        stage
            .imgimport("aws --bucket importbucket -q disk.raw")
            .ends()
            .await
            .exits(0)
            .says("");
        stage.nobody_touched_a_role();
    }
}

#[tokio::test]
async fn a_caller_who_may_not_create_roles_is_told_what_an_administrator_can_do() {
    let stage = Stage::without_role().await;
    stage
        .cloud
        .fault(Fault::on("iam:CreateRole").answer(403, "AccessDenied", "not you"));
    let run = stage.imgimport(COMMAND).ends().await;
    run.exits(1).prints("");
    assert!(
        run.stderr.starts_with(
            "error: the service role vmimport could not be created\n  cause: not you (AccessDenied, request ID)\n  hint: allow the caller iam:CreateRole and iam:PutRolePolicy, or let an administrator run:\n"
        ),
        "{}",
        run.stderr
    );
    let trust = pasted(
        &run.stderr,
        "aws iam create-role",
        "--assume-role-policy-document",
    );
    assert_eq!(trust, TRUST);
    assert!(stage.cloud.requests("s3:CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_role_that_is_only_half_made_is_named_and_finished_by_the_next_run() {
    let stage = Stage::without_role().await;
    stage
        .cloud
        .fault(Fault::on("iam:PutRolePolicy").answer(403, "AccessDenied", "not you"));
    let run = stage.imgimport(COMMAND).ends().await;
    run.exits(1).prints("");
    assert!(
        run.stderr.contains(
            "left behind: the service role vmimport, which has no permissions yet; remove it with: aws iam delete-role --role-name vmimport\n"
        ),
        "{}",
        run.stderr
    );
    stage.imgimport(COMMAND).ends().await.exits(0).says("");
    assert_eq!(stage.cloud.requests("iam:CreateRole").len(), 1);
    assert_eq!(stage.role().policies.len(), 1);
}

#[tokio::test]
async fn another_run_that_creates_the_role_at_the_same_time_is_no_trouble() {
    let stage = Stage::without_role().await;
    let gate = stage.cloud.hold(Fault::on("iam:CreateRole"));
    let running = stage.imgimport(COMMAND).start();
    gate.reached().await;
    stage
        .cloud
        .iam()
        .put_role("vmimport", TRUST, r#"{"Statement":[]}"#);
    gate.release();
    running.ends().await.exits(0).says("");
}

#[tokio::test]
async fn a_dry_run_creates_and_repairs_nothing() {
    let stage = Stage::without_role().await;
    let command = "aws --bucket importbucket --create-role --dry-run disk.raw";
    let run = stage.imgimport(command).ends().await;
    run.exits(0).prints("").says(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        The caller is arn:aws:iam::123456789012:user/sandbox
        Would create the service role vmimport
        The caller may ec2:ImportImage
        0 of 20 imports are running in eu-central-1
        Not verified: s3:PutObject, s3:DeleteObject and iam:PassRole
        Would send 2.0 MiB to s3://importbucket/imgimport-1767225600.raw, in one part
        Would import it into eu-central-1 as an AMI named after its task
        Would remove s3://importbucket/imgimport-1767225600.raw afterwards
        ",
    );
    stage.cloud.iam().put_import_role("vmimport", "otherbucket");
    let run = stage.imgimport(command).ends().await;
    run.exits(0).prints("").says(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        The caller is arn:aws:iam::123456789012:user/sandbox
        Would repair the service role vmimport: its policies do not allow s3:GetBucketLocation, s3:GetObject, s3:ListBucket for the bucket importbucket
        The caller may ec2:ImportImage
        0 of 20 imports are running in eu-central-1
        Not verified: s3:PutObject, s3:DeleteObject and iam:PassRole
        Would send 2.0 MiB to s3://importbucket/imgimport-1767225600.raw, in one part
        Would import it into eu-central-1 as an AMI named after its task
        Would remove s3://importbucket/imgimport-1767225600.raw afterwards
        ",
    );
    stage.nobody_touched_a_role();
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_said_before_any_role_is_made() {
    let stage = Stage::without_role().await;
    let command = COMMAND.replace("importbucket", "nobucket");
    let run = stage.imgimport(&command).ends().await;
    run.exits(1);
    assert!(
        run.stderr
            .starts_with("error: the bucket nobucket can't be used\n"),
        "{}",
        run.stderr
    );
    stage.nobody_touched_a_role();
}

#[tokio::test]
async fn a_role_that_aws_refuses_all_the_same_is_told_with_its_documents() {
    let stage = Stage::new().await;
    let text =
        "The service role vmimport provided does not exist or does not have sufficient permissions";
    stage
        .cloud
        .fault(Fault::on("ec2:ImportImage").answer(400, "InvalidParameter", text));
    stage.disk(2);
    let run = stage
        .imgimport("aws --bucket importbucket -q disk.raw")
        .ends()
        .await;
    run.exits(1).prints("");
    assert!(
        run.stderr.starts_with(
            "error: VM Import can't use the service role vmimport\n  cause: The service role vmimport provided does not exist or does not have sufficient permissions (InvalidParameter, request ID)\n  left behind: s3://importbucket/imgimport-1767225600.raw; "
        ),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr
            .contains("\n  hint: let --create-role look after it, or compare it with:\n"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn ctrl_c_is_heard_while_a_new_role_becomes_known() {
    let stage = Stage::without_role().await;
    stage.cloud.iam().set_delay(1000);
    let running = stage.imgimport(&format!("{COMMAND} --no-resume")).start();
    stage.cloud.seen("ec2:ImportImage", 1).await;
    running.signal("INT");
    let run = running.ends().await;
    run.exits(130).prints("").says("error: stopped");
    assert!(stage.cloud.ec2().import_tasks().is_empty());
    assert!(stage.cloud.s3().objects().is_empty());
}
