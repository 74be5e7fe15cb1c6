//! Alibaba Cloud: what was asked for without an answer that was written down is found again,
//! by the run that follows and by `jobs --clean`; nothing is made twice or stays unnamed.

use imgimport_sandbox::alibaba::{CopyScript, ImportScript, REGION};
use imgimport_sandbox::{Fault, Gate};

use crate::support::{Output, TestEnv};

const COMMAND: &str = "alicloud --bucket packer --image-name web -q disk.raw";

/// A bucket, a role, imports that go through in two polls, a disk of 2 MiB.
async fn test_env() -> (TestEnv, Vec<u8>) {
    let env = TestEnv::new().await;
    env.cloud.ecs().import_script(ImportScript::quick());
    env.cloud.ecs().copy_script(CopyScript::creating(1));
    env.cloud.ram().set_delay(0);
    env.cloud.oss().create_bucket("packer", REGION);
    env.cloud.ram().put_import_role();
    let disk = env.disk(2);
    (env, disk)
}

/// Kills the command once this request is processed, before its answer comes.
async fn kill_at(env: &TestEnv, command: &str, request: &str) {
    let answer = env.cloud.hold_answer(Fault::on(request));
    let running = env.alicloud(command).start();
    answer.reached().await;
    running.kill().await;
    answer.release();
    env.cloud.clear_faults();
}

async fn jobs(env: &TestEnv) -> String {
    let run = env.alicloud("jobs").output().await;
    run.code(0);
    run.stdout
}

async fn clean(env: &TestEnv) -> Output {
    env.alicloud("jobs --clean").output().await
}

fn images(env: &TestEnv) -> Vec<(String, String)> {
    let images = env.cloud.ecs().images().into_iter();
    images.map(|image| (image.region, image.name)).collect()
}

fn at(region: &str, name: &str) -> (String, String) {
    (region.to_owned(), name.to_owned())
}

#[tokio::test]
async fn an_import_is_found_by_its_client_token_despite_other_tags() {
    let (env, disk) = test_env().await;
    let command = format!("{COMMAND} --tag team=a");
    kill_at(&env, &command, "ecs:ImportImage").await;
    let run = env
        .alicloud(&format!("{COMMAND} --tag team=b"))
        .output()
        .await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.requests("ecs:ImportImage").len(), 1);
    assert_eq!(images(&env), [at(REGION, "web")]);
    assert_eq!(env.cloud.ecs().images()[0].tags["team"], "b");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(env.cloud.requests("oss:UploadPart").len(), 1);
}

#[tokio::test]
async fn an_import_with_the_maximum_of_tags_is_found_by_its_name() {
    let (env, _) = test_env().await;
    let tags: Vec<_> = (1..=20).map(|n| format!("--tag k{n}=v")).collect();
    let command = format!("{COMMAND} {}", tags.join(" "));
    kill_at(&env, &command, "ecs:ImportImage").await;
    let run = env.alicloud(&command).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.requests("ecs:ImportImage").len(), 1);
    assert_eq!(images(&env), [at(REGION, "web")]);
}

#[tokio::test]
async fn an_import_with_an_expired_token_is_found_before_a_new_request() {
    let (env, _) = test_env().await;
    let refusal = Fault::on("ecs:ImportImage").nth(2).always();
    let words = "The specified Image name has already been used.";
    env.cloud
        .fault(refusal.answer(400, "InvalidImageName.Duplicated", words));
    let lost = Fault::on("ecs:ImportImage").cut_answer();
    env.cloud.fault(lost);
    env.alicloud(COMMAND)
        .output()
        .await
        .code(0)
        .stdout("m-ID")
        .stderr("");
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
}

#[tokio::test]
async fn an_unrecorded_finished_import_is_named_and_cancelled() {
    let (env, _) = test_env().await;
    let script = ImportScript::quick().hold(&Gate::new());
    env.cloud.ecs().import_script(script);
    kill_at(&env, COMMAND, "ecs:ImportImage").await;
    let named = jobs(&env).await;
    assert!(named.contains("import"), "{named}");
    assert!(named.contains("that may have started"), "{named}");
    clean(&env).await.code(0);
    assert_eq!(env.cloud.ecs().tasks()[0].status, "Cancelled");
    assert!(images(&env).is_empty());
    assert!(env.cloud.oss().objects().is_empty());
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_copy_is_found_by_its_token() {
    let (env, _) = test_env().await;
    let command = format!("{COMMAND} --copy-to cn-hangzhou");
    kill_at(&env, &command, "ecs:CopyImage").await;
    env.alicloud(&command)
        .output()
        .await
        .code(0)
        .stdout("m-ID")
        .stderr("");
    assert_eq!(env.cloud.requests("ecs:CopyImage").len(), 1);
    assert_eq!(images(&env), [at(REGION, "web"), at("cn-hangzhou", "web")]);
}

#[tokio::test]
async fn an_unrecorded_copy_is_removed_with_the_job() {
    let (env, _) = test_env().await;
    let command = format!("{COMMAND} --copy-to cn-hangzhou");
    kill_at(&env, &command, "ecs:CopyImage").await;
    let named = jobs(&env).await;
    assert!(
        named.contains("cn-hangzhou that may have been made"),
        "{named}"
    );
    clean(&env).await.code(0);
    assert!(images(&env).is_empty(), "{:?}", images(&env));
    assert!(env.cloud.ecs().snapshots().is_empty());
}

#[tokio::test]
async fn a_previous_copy_is_removed_with_the_job() {
    let (env, _) = test_env().await;
    let command = format!("{COMMAND} --copy-to cn-hangzhou --tag a=b");
    let hold = Fault::on("ecs:TagResources").nth(3).always();
    let gate = env.cloud.hold(hold);
    let running = env.alicloud(&command).start();
    gate.reached().await;
    running.kill().await;
    env.cloud.clear_faults();
    let hold = env.cloud.hold(Fault::on("ecs:DescribeImages").always());
    let mut running = env.alicloud(&command.replace("-q ", "")).start();
    hold.reached().await;
    running.signal("INT");
    running.wait_for_stderr("Ctrl-C once more").await;
    env.cloud.clear_faults();
    hold.release();
    running.signal("INT");
    let run = running.output().await;
    run.code(130);
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
    assert!(images(&env).is_empty(), "{:?}", images(&env));
    assert!(env.cloud.ecs().snapshots().is_empty());
    assert!(env.journal().is_empty());
}

/// An image "web" with a snapshot, and the command that replaces both.
async fn replaced_image() -> (TestEnv, String) {
    let (env, _) = test_env().await;
    env.alicloud(COMMAND).output().await.code(0);
    assert_eq!(env.cloud.ecs().snapshots().len(), 1);
    let command = format!("{COMMAND} --force-delete --force-delete-snapshots");
    (env, command)
}

#[tokio::test]
async fn the_snapshots_of_an_already_deleted_replaced_image_are_deleted() {
    let (env, command) = replaced_image().await;
    let old = env.cloud.ecs().snapshots()[0].id.clone();
    kill_at(&env, &command, "ecs:DeleteImage").await;
    let named = jobs(&env).await;
    assert!(named.contains("snapshot s-ID of m-ID"), "{named}");
    env.alicloud(&command)
        .output()
        .await
        .code(0)
        .stdout("m-ID")
        .stderr("");
    assert_eq!(images(&env), [at(REGION, "web")]);
    let snapshots = env.cloud.ecs().snapshots();
    assert!(snapshots.len() == 1 && snapshots[0].id != old);
    assert_eq!(env.cloud.ecs().tasks().len(), 2);
}

#[tokio::test]
async fn a_replacement_comes_to_its_end_wherever_it_was_killed() {
    for request in [
        "ecs:ImportImage",
        "ecs:DeleteImage",
        "ecs:DeleteSnapshot",
        "ecs:ModifyImageAttribute",
    ] {
        for processed in [false, true] {
            let (env, command) = replaced_image().await;
            let old = env.cloud.ecs().images()[0].id.clone();
            let gate = if processed {
                env.cloud.hold_answer(Fault::on(request))
            } else {
                env.cloud.hold(Fault::on(request))
            };
            let running = env.alicloud(&command).start();
            gate.reached().await;
            running.kill().await;
            env.cloud.clear_faults();
            let run = env.alicloud(&command).output().await;
            run.code(0).stdout("m-ID").stderr("");
            let case = format!("{request}, {processed}");
            assert_eq!(images(&env), [at(REGION, "web")], "{case}");
            assert_ne!(run.stdout_raw, old, "{case}");
            assert_eq!(env.cloud.ecs().snapshots().len(), 1, "{case}");
            assert_eq!(env.cloud.ecs().tasks().len(), 2, "{case}");
            assert!(env.journal().is_empty(), "{case}");
        }
    }
}

#[tokio::test]
async fn an_image_that_has_replaced_another_is_not_cleaned_away() {
    let (env, command) = replaced_image().await;
    kill_at(&env, &command, "ecs:DeleteImage").await;
    let cleaned = clean(&env).await;
    cleaned.code(1).stdout("");
    assert!(
        cleaned
            .stderr
            .contains("m-ID, which it replaces, is deleted already; the same command finishes it"),
        "{}",
        cleaned.stderr
    );
    assert_eq!(images(&env).len(), 1, "one of the two stays");
    env.alicloud(&command)
        .output()
        .await
        .code(0)
        .stdout("m-ID")
        .stderr("");
    assert_eq!(images(&env), [at(REGION, "web")]);
}

#[tokio::test]
async fn an_image_that_has_not_been_deleted_yet_keeps_its_snapshots() {
    let (env, command) = replaced_image().await;
    let gate = env.cloud.hold(Fault::on("ecs:DeleteImage"));
    let running = env.alicloud(&command).start();
    gate.reached().await;
    running.kill().await;
    env.cloud.clear_faults();
    clean(&env).await.code(0);
    assert_eq!(images(&env), [at(REGION, "web")], "the old one");
    assert_eq!(env.cloud.ecs().snapshots().len(), 1);
}

#[tokio::test]
async fn a_bucket_that_a_run_has_created_is_named_and_goes_unless_it_is_used() {
    for used in [false, true] {
        let env = TestEnv::new().await;
        env.cloud.ram().put_import_role();
        env.disk(2);
        kill_at(&env, COMMAND, "oss:PutBucket").await;
        assert_eq!(env.cloud.oss().buckets().len(), 1);
        let named = jobs(&env).await;
        assert!(
            named.contains("bucket packer, which the run creates"),
            "{named}"
        );
        if used {
            let other = "alicloud --bucket packer --key other.raw --image-name other --skip-clean -q disk.raw";
            env.cloud.ecs().import_script(ImportScript::quick());
            env.alicloud(other).output().await.code(0);
        }
        clean(&env).await.code(0);
        assert_eq!(env.cloud.oss().buckets().len(), usize::from(used));
        assert!(env.journal().is_empty());
    }
}

#[tokio::test]
async fn a_role_that_a_run_has_created_is_named_and_stays_with_the_next_step() {
    let env = TestEnv::new().await;
    env.cloud.oss().create_bucket("packer", REGION);
    env.disk(2);
    kill_at(&env, COMMAND, "ram:CreateRole").await;
    let named = jobs(&env).await;
    let role = "AliyunECSImageImportDefaultRole";
    assert!(
        named.contains(&format!("role {role}, which stays")),
        "{named}"
    );
    let cleaned = clean(&env).await;
    cleaned.code(0);
    let step = format!("aliyun ram DeleteRole --RoleName {role}");
    assert!(cleaned.stderr.contains(&step), "{}", cleaned.stderr);
    assert!(env.cloud.ram().role(role).is_some());
}

/// A 200 that is not the service's, with an id that is a command, and one that is cut.
#[tokio::test]
async fn a_response_that_is_not_from_ecs_is_retried() {
    for body in [
        "",
        "<html>Sign in</html>",
        "{}",
        r#"{"RequestId": "R", "ImageId": "m-$(reboot)", "TaskId": "t-1"}"#,
        r#"{"RequestId": "R", "ImageId": "m-1", "TaskId": "t-1; rm"}"#,
        r#"{"RequestId": "R", "Images": {"Image": [{"ImageId": "--m"}]}}"#,
    ] {
        for operation in [
            "ecs:DescribeImages",
            "ecs:ImportImage",
            "ecs:DescribeTaskAttribute",
            "ecs:CopyImage",
            "ecs:TagResources",
        ] {
            // TagResources says no more than that; CopyImage names an image and nothing else.
            let is_own = match operation {
                "ecs:TagResources" => body.contains("RequestId"),
                "ecs:CopyImage" => body.contains("\"m-1\""),
                _ => false,
            };
            if is_own {
                continue;
            }
            let (env, disk) = test_env().await;
            let odd = Fault::on(operation).replace_answer(200, body);
            env.cloud.fault(odd);
            let run = env.alicloud(&format!("{COMMAND} --tag a=b --copy-to cn-hangzhou"));
            let run = run.output().await;
            run.code(0).stdout("m-ID").stderr("");
            let case = format!("{operation}: {body}");
            assert_eq!(
                images(&env),
                [at(REGION, "web"), at("cn-hangzhou", "web")],
                "{case}"
            );
            assert_eq!(env.cloud.ecs().tasks().len(), 1, "{case}");
            assert_eq!(
                env.cloud.ecs().imported_bytes(&run.stdout_raw),
                Some(disk),
                "{case}"
            );
        }
    }
}

/// The same of OSS: a list that is none is no reason to send anything again.
#[tokio::test]
async fn a_response_that_is_not_from_oss_does_not_restart_the_upload() {
    let command =
        "alicloud --bucket packer --image-name web --part-size 5MiB --concurrency 1 -q disk.raw";
    for operation in ["oss:GetBucketInfo", "oss:ListParts", "oss:HeadObject"] {
        for body in ["", "<html>Sign in</html>"] {
            let (env, _) = test_env().await;
            let disk = env.disk(12);
            // ListParts comes after a kill in the upload, HeadObject after one behind it.
            let request = if operation == "oss:HeadObject" {
                "oss:CompleteMultipartUpload"
            } else {
                "oss:UploadPart"
            };
            let gate = env.cloud.hold(Fault::on(request).with("partNumber", "3"));
            let complete = env
                .cloud
                .hold_answer(Fault::on("oss:CompleteMultipartUpload"));
            let running = env.alicloud(command).start();
            if request == "oss:UploadPart" {
                gate.reached().await;
            } else {
                complete.reached().await;
            }
            running.kill().await;
            env.cloud.clear_faults();
            complete.release();
            env.cloud
                .fault(Fault::on(operation).replace_answer(200, body));
            let sent = env.cloud.requests("oss:UploadPart").len();
            let run = env.alicloud(command).output().await;
            run.code(0).stdout("m-ID").stderr("");
            let again = env.cloud.requests("oss:UploadPart").len() - sent;
            let missing = usize::from(request == "oss:UploadPart");
            assert_eq!(again, missing, "{operation}: {body}");
            assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
        }
    }
}

#[tokio::test]
async fn one_odd_refusal_of_a_poll_starts_no_second_import() {
    for operation in ["ecs:DescribeImages", "ecs:DescribeTaskAttribute"] {
        let (env, _) = test_env().await;
        let gate = Gate::new();
        let script = ImportScript::quick().hold(&gate);
        env.cloud.ecs().import_script(script);
        let running = env.alicloud(COMMAND).start();
        gate.reached().await;
        let odd = Fault::on(operation).times(2);
        env.cloud
            .fault(odd.answer(403, "Forbidden.RAM", "Not now."));
        gate.release();
        running.output().await.code(0).stdout("m-ID").stderr("");
        assert_eq!(env.cloud.ecs().tasks().len(), 1, "{operation}");
    }
}
