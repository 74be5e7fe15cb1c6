//! The service role: missing, wrong, created, repaired, seen only after a while.

use imgimport_sandbox::{Fault, RoleView};
use serde_json::Value;

use crate::support::TestEnv;

const COMMAND: &str = "aws --bucket importbucket --create-role -q disk.raw";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"vmie.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:Externalid":"vmimport"}}}]}"#;
const CHANGES: [&str; 5] = [
    "iam:CreateRole",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:AttachRolePolicy",
    "iam:DeleteRole",
];

impl TestEnv {
    async fn without_role() -> Self {
        let env = Self::new().await;
        env.cloud.iam().remove_role("vmimport");
        env.cloud.iam().set_delay(0);
        env.disk(2);
        env
    }

    fn role(&self) -> RoleView {
        self.cloud.iam().role("vmimport").expect("there is a role")
    }

    #[track_caller]
    fn assert_no_role_requests(&self) {
        for change in CHANGES {
            assert!(self.cloud.requests(change).is_empty(), "{change}");
        }
    }
}

/// The document after this flag of a command to paste.
#[track_caller]
fn pasted_argument(text: &str, command: &str, flag: &str) -> String {
    let line = text.lines().find(|line| line.contains(command));
    let line = line.unwrap_or_else(|| panic!("no {command} in:\n{text}"));
    let (_, rest) = line.split_once(&format!("{flag} '")).expect("the flag");
    rest.trim_end_matches('\'').to_owned()
}

#[tokio::test]
async fn a_missing_role_is_created_and_waited_for() {
    let env = TestEnv::without_role().await;
    env.cloud.iam().set_delay(2);
    let run = env.imgimport("aws --bucket importbucket --create-role disk.raw");
    run.output().await.code(0).stdout("ami-ID").stderr(
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
    let role = env.role();
    assert_eq!(role.trust, TRUST);
    let names: Vec<_> = role.policies.keys().collect();
    assert_eq!(names, ["imgimport-importbucket"]);
    let policy = &role.policies["imgimport-importbucket"];
    assert!(
        policy
            .contains(r#""Resource":["arn:aws:s3:::importbucket","arn:aws:s3:::importbucket/*"]"#),
        "{policy}"
    );
    assert_eq!(env.cloud.requests("ec2:ImportImage").len(), 3);
}

#[tokio::test]
async fn the_other_road_waits_for_a_new_role_just_so() {
    let env = TestEnv::without_role().await;
    env.cloud.iam().set_delay(1);
    let run = env.imgimport(&format!("{COMMAND} --method import-snapshot"));
    run.output().await.code(0).stdout("ami-ID").stderr("");
    assert_eq!(env.cloud.requests("ec2:ImportSnapshot").len(), 2);
    assert_eq!(env.cloud.ec2().import_tasks().len(), 1);
}

#[tokio::test]
async fn a_role_that_is_right_is_not_touched() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.imgimport(COMMAND).output().await.code(0).stderr("");
    env.assert_no_role_requests();
}

#[tokio::test]
async fn an_administrators_role_is_right_too() {
    let env = TestEnv::new().await;
    env.cloud
        .iam()
        .put_role("vmimport", TRUST, r#"{"Statement":[]}"#);
    env.cloud.iam().attach_administrator("vmimport");
    env.disk(2);
    env.imgimport(COMMAND).output().await.code(0).stderr("");
    env.assert_no_role_requests();
}

#[tokio::test]
async fn a_role_for_another_bucket_gets_this_one_as_well() {
    let env = TestEnv::without_role().await;
    env.cloud.iam().put_import_role("vmimport", "otherbucket");
    let before = env.role();
    let run = env.imgimport(&COMMAND.replace("-q ", "")).output().await;
    run.code(0);
    assert!(
        run.stderr.contains(
            "\nRepairing the service role vmimport: its policies do not allow s3:GetBucketLocation, s3:GetObject, s3:ListBucket for the bucket importbucket\n"
        ),
        "{}",
        run.stderr
    );
    let after = env.role();
    assert_eq!(
        after.policies["vmimport"], before.policies["vmimport"],
        "what others put there stays"
    );
    assert_eq!(after.policies.len(), 2);
    assert!(env.cloud.requests("iam:UpdateAssumeRolePolicy").is_empty());
}

#[tokio::test]
async fn a_role_that_trusts_others_trusts_vm_import_as_well() {
    let env = TestEnv::without_role().await;
    env.cloud.iam().put_import_role("vmimport", "importbucket");
    let policy = env.role().policies["vmimport"].clone();
    let others = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}"#;
    env.cloud.iam().put_role("vmimport", others, &policy);
    let run = env.imgimport(&COMMAND.replace("-q ", "")).output().await;
    run.code(0);
    let line = "\nRepairing the service role vmimport: its trust policy does not let vmie.amazonaws.com assume it\n";
    assert!(run.stderr.contains(line), "{}", run.stderr);
    let trust: Value = serde_json::from_str(&env.role().trust).unwrap();
    let services: Vec<_> = trust["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["Principal"]["Service"])
        .collect();
    assert_eq!(services, ["ec2.amazonaws.com", "vmie.amazonaws.com"]);
    assert!(
        env.cloud.requests("iam:PutRolePolicy").is_empty(),
        "the permissions were right"
    );
}

#[tokio::test]
async fn a_key_is_opened_to_the_role() {
    let env = TestEnv::new().await;
    env.cloud.iam().set_delay(0);
    env.disk(2);
    let command = format!("{COMMAND} --ami-encrypt --ami-kms-key alias/images");
    env.imgimport(&command).output().await.code(0);
    let policy = &env.role().policies["imgimport-kms-alias-images"];
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

    let changes = env.cloud.requests("iam:PutRolePolicy").len();
    env.imgimport(&command).output().await.code(0);
    assert_eq!(
        env.cloud.requests("iam:PutRolePolicy").len(),
        changes,
        "once is enough"
    );
}

#[tokio::test]
async fn a_kms_key_without_a_grant_in_the_role_is_accepted() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(
        "aws --bucket importbucket --ami-encrypt --ami-kms-key alias/images -q disk.raw",
    );
    run.output().await.code(0).stderr("");
    env.assert_no_role_requests();
}

#[tokio::test]
async fn a_denial_is_nobodys_to_take_away() {
    let env = TestEnv::new().await;
    let denial = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:Get*","Resource":"*"}]}"#;
    env.cloud.iam().put_role("vmimport", TRUST, denial);
    env.disk(2);
    env.imgimport(COMMAND)
        .output()
        .await
        .code(1)
        .stdout("")
        .stderr(
            "
        error: the service role vmimport can't be used
          cause: its policies deny s3:GetBucketLocation, s3:GetObject for the bucket importbucket
          hint: take the denial away, or name another role with --role-name
        ",
        );
    env.assert_no_role_requests();
}

#[tokio::test]
async fn the_commands_for_a_missing_role_can_be_pasted() {
    let env = TestEnv::without_role().await;
    let command = "aws --bucket importbucket -q disk.raw";
    let run = env.imgimport(command).output().await;
    run.code(1).stdout("");
    assert!(env.cloud.requests("s3:CreateMultipartUpload").is_empty());
    let trust = pasted_argument(
        &run.stderr,
        "aws iam create-role",
        "--assume-role-policy-document",
    );
    let policy = pasted_argument(&run.stderr, "aws iam put-role-policy", "--policy-document");
    env.cloud.iam().put_role("vmimport", &trust, &policy);
    env.imgimport(command).output().await.code(0).stderr("");
}

#[tokio::test]
async fn the_commands_for_a_wrong_role_can_be_pasted() {
    let env = TestEnv::without_role().await;
    env.cloud
        .iam()
        .put_role("vmimport", r#"{"Statement":[]}"#, r#"{"Statement":[]}"#);
    let command = "aws --bucket importbucket -q disk.raw";
    let run = env.imgimport(command).output().await;
    run.code(1).stdout("");
    assert!(
        run.stderr.starts_with(
            "error: the service role vmimport can't be used\n  cause: its trust policy does not let vmie.amazonaws.com assume it; its policies do not allow s3:GetBucketLocation, s3:GetObject, s3:ListBucket, ec2:ModifySnapshotAttribute, ec2:CopySnapshot, ec2:RegisterImage, ec2:DescribeImages for the bucket importbucket\n  hint: repair it with --create-role, or with:\n"
        ),
        "{}",
        run.stderr
    );
    let trust = pasted_argument(
        &run.stderr,
        "update-assume-role-policy",
        "--policy-document",
    );
    let policy = pasted_argument(&run.stderr, "aws iam put-role-policy", "--policy-document");
    env.cloud.iam().put_role("vmimport", &trust, &policy);
    env.imgimport(command).output().await.code(0).stderr("");
    env.assert_no_role_requests();
}

#[tokio::test]
async fn a_denied_get_role_leaves_the_role_unchanged() {
    for hidden in ["iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy"] {
        let env = TestEnv::new().await;
        let hide = Fault::on(hidden).always();
        env.cloud.fault(hide.answer(403, "AccessDenied", "not you"));
        env.disk(2);
        env.imgimport(COMMAND).output().await.code(0).stdout("ami-ID").stderr(
            "
            warning: the service role vmimport can't be looked at, so it is left as it is: not you (AccessDenied, request ID)
            ",
        );
        env.imgimport("aws --bucket importbucket -q disk.raw")
            .output()
            .await
            .code(0)
            .stderr("");
        env.assert_no_role_requests();
    }
}

#[tokio::test]
async fn a_denied_create_role_is_reported_with_the_administrators_commands() {
    let env = TestEnv::without_role().await;
    env.cloud
        .fault(Fault::on("iam:CreateRole").answer(403, "AccessDenied", "not you"));
    let run = env.imgimport(COMMAND).output().await;
    run.code(1).stdout("");
    assert!(
        run.stderr.starts_with(
            "error: the service role vmimport could not be created\n  cause: not you (AccessDenied, request ID)\n  hint: allow the caller iam:CreateRole and iam:PutRolePolicy, or let an administrator run:\n"
        ),
        "{}",
        run.stderr
    );
    let trust = pasted_argument(
        &run.stderr,
        "aws iam create-role",
        "--assume-role-policy-document",
    );
    assert_eq!(trust, TRUST);
    assert!(env.cloud.requests("s3:CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_role_that_is_only_half_made_is_named_and_finished_by_the_next_run() {
    let env = TestEnv::without_role().await;
    env.cloud
        .fault(Fault::on("iam:PutRolePolicy").answer(403, "AccessDenied", "not you"));
    let run = env.imgimport(COMMAND).output().await;
    run.code(1).stdout("");
    assert!(
        run.stderr.contains(
            "left behind: the service role vmimport, which has no permissions yet; remove it with: aws iam delete-role --role-name vmimport\n"
        ),
        "{}",
        run.stderr
    );
    env.imgimport(COMMAND).output().await.code(0).stderr("");
    assert_eq!(env.cloud.requests("iam:CreateRole").len(), 1);
    assert_eq!(env.role().policies.len(), 1);
}

#[tokio::test]
async fn another_run_that_creates_the_role_at_the_same_time_is_no_trouble() {
    let env = TestEnv::without_role().await;
    let gate = env.cloud.hold(Fault::on("iam:CreateRole"));
    let running = env.imgimport(COMMAND).start();
    gate.reached().await;
    env.cloud
        .iam()
        .put_role("vmimport", TRUST, r#"{"Statement":[]}"#);
    gate.release();
    running.output().await.code(0).stderr("");
}

#[tokio::test]
async fn a_dry_run_neither_creates_nor_repairs_a_role() {
    let env = TestEnv::without_role().await;
    let command = "aws --bucket importbucket --create-role --dry-run disk.raw";
    let run = env.imgimport(command).output().await;
    run.code(0).stdout("").stderr(
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
    env.cloud.iam().put_import_role("vmimport", "otherbucket");
    let run = env.imgimport(command).output().await;
    run.code(0).stdout("").stderr(
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
    env.assert_no_role_requests();
}

#[tokio::test]
async fn a_missing_bucket_is_reported_before_a_role_is_created() {
    let env = TestEnv::without_role().await;
    let command = COMMAND.replace("importbucket", "nobucket");
    let run = env.imgimport(&command).output().await;
    run.code(1);
    assert!(
        run.stderr
            .starts_with("error: the bucket nobucket can't be used\n"),
        "{}",
        run.stderr
    );
    env.assert_no_role_requests();
}

#[tokio::test]
async fn a_role_rejected_by_the_import_is_reported_with_its_policies() {
    let env = TestEnv::new().await;
    let text =
        "The service role vmimport provided does not exist or does not have sufficient permissions";
    env.cloud
        .fault(Fault::on("ec2:ImportImage").answer(400, "InvalidParameter", text));
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(1).stdout("");
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
async fn ctrl_c_stops_the_wait_for_a_new_role() {
    let env = TestEnv::without_role().await;
    env.cloud.iam().set_delay(1000);
    let running = env.imgimport(&format!("{COMMAND} --no-resume")).start();
    env.cloud.wait_for_requests("ec2:ImportImage", 1).await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("").stderr("error: stopped");
    assert!(env.cloud.ec2().import_tasks().is_empty());
    assert!(env.cloud.s3().objects().is_empty());
}
