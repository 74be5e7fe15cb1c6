//! Alibaba Cloud: who asks, where, and what a service may say. Each cause of a failure has
//! its own hint.

use std::fs;

use imgimport_sandbox::Fault;
use imgimport_sandbox::alibaba::{ACCOUNT, CopyScript, ImportScript, REGION};

use crate::support::{Cmd, TestEnv};

const COMMAND: &str = "alicloud --bucket packer --image-name web -q disk.raw";

/// A bucket, a role, imports that go through in two polls, a disk of 2 MiB.
async fn test_env() -> TestEnv {
    let env = TestEnv::new().await;
    env.cloud.ecs().import_script(ImportScript::quick());
    env.cloud.ecs().copy_script(CopyScript::creating(1));
    env.cloud.ram().set_delay(0);
    env.cloud.oss().create_bucket("packer", REGION);
    env.cloud.ram().put_import_role();
    env.disk(2);
    env
}

fn without_keys(run: Cmd<'_>) -> Cmd<'_> {
    run.without("ALICLOUD_ACCESS_KEY")
        .without("ALICLOUD_SECRET_KEY")
}

/// The aliyun CLI's configuration.
fn profiles(env: &TestEnv, config: &str) {
    fs::create_dir_all(env.path(".aliyun")).unwrap();
    env.file(".aliyun/config.json", config);
}

#[tokio::test]
async fn a_platform_that_the_documentation_does_not_have_is_a_warning() {
    let env = test_env().await;
    let run = env.program([
        "alicloud",
        "--bucket=packer",
        "--image-name=web",
        "--platform=Windows Server 2025",
        "-q",
        "disk.raw",
    ]);
    let run = run.on_alibaba().output().await;
    run.code(0).stdout("m-ID").stderr(
        "warning: the platform \"Windows Server 2025\" is not in the documentation of ImportImage, which may refuse it",
    );
    let asked = &env.cloud.requests("ecs:ImportImage")[0];
    let said = (asked.get("Platform"), asked.get("OSType"));
    assert_eq!(said, ("Windows Server 2025", "windows"));
}

#[tokio::test]
async fn empty_lists_and_texts_of_packers_are_as_if_they_were_not_there() {
    let env = test_env().await;
    env.file(
        "packer.toml",
        r#"
        [alicloud]
        image_copy_regions = ["cn-hangzhou"]
        image_copy_names = []
        image_encrypted = true
        kms_key_copy_ids = []
        image_share_account = []
        image_unshare_account = []
        image_version = ""
        image_disk_mappings = []
        "#,
    );
    let run = env.alicloud(&format!("{COMMAND} --config packer.toml"));
    run.output().await.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().images()[1].name, "web");
}

#[tokio::test]
async fn an_image_being_copied_by_another_job_is_retried() {
    for (code, status) in [
        ("OperationDenied.ImageCopying", 403),
        ("OperationDenied.ImageCopyConflict", 400),
        ("InvalidOperation.Conflict", 409),
    ] {
        let env = test_env().await;
        let busy = Fault::on("ecs:CopyImage").times(2);
        env.cloud
            .fault(busy.answer(status, code, "The image is being copied."));
        let run = env.alicloud(&format!("{COMMAND} --copy-to cn-hangzhou"));
        run.output().await.code(0).stdout("m-ID").stderr("");
        assert_eq!(env.cloud.ecs().images().len(), 2, "{code}");
    }
}

#[tokio::test]
async fn a_long_copy_is_polled_at_the_poll_interval() {
    let env = test_env().await;
    let busy = Fault::on("ecs:CopyImage").times(3);
    env.cloud.fault(busy.answer(
        403,
        "OperationDenied.ImageCopying",
        "The image is being copied.",
    ));
    let run = env.alicloud(&format!("{COMMAND} --copy-to cn-hangzhou --max-retries 0"));
    run.output().await.code(0).stdout("m-ID").stderr(
        "warning: m-ID could not be copied to cn-hangzhou: The image is being copied (OperationDenied.ImageCopying, request ID); asking on for up to 15 min",
    );
    assert_eq!(env.cloud.ecs().images().len(), 2);
}

#[tokio::test]
async fn control_characters_of_a_service_do_not_reach_the_terminal() {
    let env = test_env().await;
    let refusal = Fault::on("ecs:ImportImage").always();
    env.cloud
        .fault(refusal.answer(400, "Inva\u{1b}lid", "Not\u{7} you\u{1b}[2J\u{9b}31m, sir"));
    let run = env.alicloud(COMMAND).output().await;
    run.code(1).stdout("").stderr(
        "
        error: the import could not be started
          cause: Not  you [2J 31m, sir (Inva lid, request ID)
          left behind: oss://packer/imgimport-1767225600.raw; remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing
          hint: the same command goes on from there
        ",
    );
    let env = test_env().await;
    let refusal = Fault::on("oss:InitiateMultipartUpload").always();
    env.cloud
        .fault(refusal.answer(400, "Invalid", "Not\u{7f}you"));
    let run = env.alicloud(COMMAND).output().await;
    run.code(1);
    assert!(run.stderr.contains("cause: Not you [EC"), "{}", run.stderr);
}

#[tokio::test]
async fn a_temporary_key_of_a_profile_that_is_over_comes_with_the_command_that_renews_it() {
    let env = test_env().await;
    let session = env.cloud.alibaba_session();
    env.cloud.expire_alibaba_sessions();
    let token = session.security_token.unwrap();
    let config = format!(
        r#"{{"profiles": [{{"name": "my ci", "mode": "StsToken", "access_key_id": "{}",
        "access_key_secret": "{}", "sts_token": "{token}", "region_id": "cn-beijing"}}]}}"#,
        session.access_key, session.secret_key
    );
    profiles(&env, &config);
    let run = without_keys(env.alicloud(COMMAND)).env("ALICLOUD_PROFILE", "my ci");
    run.output().await.code(1).stdout("").stderr(
        "
        error: the image's name can't be looked up in cn-beijing
          cause: Specified SecurityToken is expired (InvalidSecurityToken.Expired, request ID)
          hint: get a new temporary key; this one is over: aliyun configure --mode StsToken --profile 'my ci'
        ",
    );
}

#[tokio::test]
async fn a_missing_profile_is_reported_with_the_existing_ones() {
    let env = test_env().await;
    let config = r#"{"current": "prod", "profiles": [{"name": "default"}, {"name": "ci"}]}"#;
    profiles(&env, config);
    let hint = "the profiles are: default, ci";
    let run = without_keys(env.alicloud(&format!("{COMMAND} --profile dev")));
    let run = run.without("ALICLOUD_REGION").output().await;
    run.code(2).stdout("").stderr(&format!(
        "error: there is no profile \"dev\"\n  hint: {hint}"
    ));
    // The file's own choice is looked up, too.
    let run = without_keys(env.alicloud(COMMAND)).output().await;
    run.code(2).stdout("").stderr(&format!(
        "error: there is no profile \"prod\"\n  hint: {hint}"
    ));
    assert!(env.cloud.requests_so_far().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_disabled_access_key_is_no_key_that_is_over_and_no_missing_permission() {
    for code in ["InvalidAccessKeyId.Inactive", "Forbidden.AccessKeyDisabled"] {
        let env = test_env().await;
        let disabled = Fault::on("ecs:*").always();
        env.cloud
            .fault(disabled.answer(403, code, "Specified access key is disabled."));
        env.alicloud(COMMAND)
            .output()
            .await
            .code(1)
            .stdout("")
            .stderr(&format!(
                "
        error: the image's name can't be looked up in cn-beijing
          cause: Specified access key is disabled ({code}, request ID)
          hint: enable the access key in the RAM console, or use another one
        "
            ));
    }
}

#[tokio::test]
async fn an_unreachable_metadata_service_is_reported_with_its_request() {
    let env = test_env().await;
    let nowhere = "http://127.0.0.1:9";
    let run = |args: &str| {
        without_keys(env.alicloud(args))
            .without("ALIBABA_CLOUD_ECS_METADATA_DISABLED")
            .env("ALIBABA_CLOUD_ECS_METADATA_ENDPOINT", nowhere)
    };
    let ended = run(&format!("{COMMAND} --ram-role-name builder"))
        .output()
        .await;
    ended.code(1);
    for words in [
        "cause: the ECS metadata service has no keys for the role builder: ",
        "hint: run this on an ECS instance that has the RAM role builder, or set ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY",
    ] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    let ended = run(COMMAND).output().await;
    ended.code(1);
    for words in [
        "cause: no credentials are set, and the ECS metadata service does not help: ",
        "hint: set ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY, or name a profile with --profile",
    ] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_denied_assume_role_names_the_role() {
    let env = test_env().await;
    let role = format!("acs:ram::{ACCOUNT}:role/builder");
    for (code, hint) in [
        (
            "NoPermission",
            format!(
                r#"allow the caller sts:AssumeRole: {{"Version":"1","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"{role}"}}]}}; and let the role's trust policy name the caller"#
            ),
        ),
        (
            "EntityNotExist.Role",
            format!("check the role's ARN: {role}"),
        ),
    ] {
        env.cloud.clear_faults();
        let refusal = Fault::on("sts:AssumeRole").always();
        env.cloud
            .fault(refusal.answer(403, code, "In STS's words."));
        let run = env.alicloud(&format!("{COMMAND} --ram-role-arn {role}"));
        run.output().await.code(1).stdout("").stderr(&format!(
            "error: the image's name can't be looked up in cn-beijing\n  cause: In STS's words ({code}, request ID)\n  hint: {hint}"
        ));
    }
}
