//! Alibaba Cloud: what was asked for without an answer that was written down is found again,
//! by the run that follows and by `jobs --clean`; nothing is made twice or stays unnamed.

use imgimport_sandbox::alibaba::{CopyScript, ImportScript, REGION};
use imgimport_sandbox::{Fault, Gate};

use crate::support::{Ended, Stage};

const COMMAND: &str = "alicloud --bucket packer --image-name web -q disk.raw";

/// A bucket, a role, imports that go through in two polls, a disk of 2 MiB.
async fn stage() -> (Stage, Vec<u8>) {
    let stage = Stage::new().await;
    stage.cloud.ecs().import_script(ImportScript::quick());
    stage.cloud.ecs().copy_script(CopyScript::creating(1));
    stage.cloud.ram().set_delay(0);
    stage.cloud.oss().create_bucket("packer", REGION);
    stage.cloud.ram().put_import_role();
    let disk = stage.disk(2);
    (stage, disk)
}

/// Kills the command once this request is processed, before its answer comes.
async fn killed_at(stage: &Stage, command: &str, request: &str) {
    let answer = stage.cloud.hold_answer(Fault::on(request));
    let running = stage.alicloud(command).start();
    answer.reached().await;
    running.kill().await;
    answer.release();
    stage.cloud.clear_faults();
}

async fn jobs(stage: &Stage) -> String {
    let run = stage.alicloud("jobs").ends().await;
    run.exits(0);
    run.stdout
}

async fn clean(stage: &Stage) -> Ended {
    stage.alicloud("jobs --clean").ends().await
}

fn images(stage: &Stage) -> Vec<(String, String)> {
    let images = stage.cloud.ecs().images().into_iter();
    images.map(|image| (image.region, image.name)).collect()
}

fn at(region: &str, name: &str) -> (String, String) {
    (region.to_owned(), name.to_owned())
}

#[tokio::test]
async fn an_import_is_found_by_its_token_although_it_is_asked_for_with_other_tags_now() {
    let (stage, disk) = stage().await;
    let command = format!("{COMMAND} --tag team=a");
    killed_at(&stage, &command, "ecs:ImportImage").await;
    let run = stage
        .alicloud(&format!("{COMMAND} --tag team=b"))
        .ends()
        .await;
    run.exits(0).prints("m-ID").says("");
    assert_eq!(stage.cloud.requests("ecs:ImportImage").len(), 1);
    assert_eq!(images(&stage), [at(REGION, "web")]);
    assert_eq!(stage.cloud.ecs().images()[0].tags["team"], "b");
    assert_eq!(stage.cloud.ecs().arrived(&run.raw), Some(disk));
    assert_eq!(stage.cloud.requests("oss:UploadPart").len(), 1);
}

#[tokio::test]
async fn an_import_with_all_the_tags_that_ecs_takes_is_found_by_its_name() {
    let (stage, _) = stage().await;
    let tags: Vec<_> = (1..=20).map(|n| format!("--tag k{n}=v")).collect();
    let command = format!("{COMMAND} {}", tags.join(" "));
    killed_at(&stage, &command, "ecs:ImportImage").await;
    let run = stage.alicloud(&command).ends().await;
    run.exits(0).prints("m-ID").says("");
    assert_eq!(stage.cloud.requests("ecs:ImportImage").len(), 1);
    assert_eq!(images(&stage), [at(REGION, "web")]);
}

#[tokio::test]
async fn an_import_whose_token_ecs_has_forgotten_is_found_before_it_is_asked_for_again() {
    let (stage, _) = stage().await;
    let refusal = Fault::on("ecs:ImportImage").nth(2).always();
    let words = "The specified Image name has already been used.";
    stage
        .cloud
        .fault(refusal.answer(400, "InvalidImageName.Duplicated", words));
    let lost = Fault::on("ecs:ImportImage").cut_answer();
    stage.cloud.fault(lost);
    stage
        .alicloud(COMMAND)
        .ends()
        .await
        .exits(0)
        .prints("m-ID")
        .says("");
    assert_eq!(stage.cloud.ecs().tasks().len(), 1);
}

#[tokio::test]
async fn a_finished_import_that_nobody_has_noted_is_named_and_cancelled() {
    let (stage, _) = stage().await;
    let script = ImportScript::quick().hold(&Gate::new());
    stage.cloud.ecs().import_script(script);
    killed_at(&stage, COMMAND, "ecs:ImportImage").await;
    let named = jobs(&stage).await;
    assert!(named.contains("import"), "{named}");
    assert!(named.contains("that may have started"), "{named}");
    clean(&stage).await.exits(0);
    assert_eq!(stage.cloud.ecs().tasks()[0].status, "Cancelled");
    assert!(images(&stage).is_empty());
    assert!(stage.cloud.oss().objects().is_empty());
    assert!(stage.journal().is_empty());
}

#[tokio::test]
async fn a_copy_is_found_by_its_token() {
    let (stage, _) = stage().await;
    let command = format!("{COMMAND} --copy-to cn-hangzhou");
    killed_at(&stage, &command, "ecs:CopyImage").await;
    stage
        .alicloud(&command)
        .ends()
        .await
        .exits(0)
        .prints("m-ID")
        .says("");
    assert_eq!(stage.cloud.requests("ecs:CopyImage").len(), 1);
    assert_eq!(
        images(&stage),
        [at(REGION, "web"), at("cn-hangzhou", "web")]
    );
}

#[tokio::test]
async fn a_copy_that_nobody_has_noted_goes_with_the_job() {
    let (stage, _) = stage().await;
    let command = format!("{COMMAND} --copy-to cn-hangzhou");
    killed_at(&stage, &command, "ecs:CopyImage").await;
    let named = jobs(&stage).await;
    assert!(
        named.contains("cn-hangzhou that may have been made"),
        "{named}"
    );
    clean(&stage).await.exits(0);
    assert!(images(&stage).is_empty(), "{:?}", images(&stage));
    assert!(stage.cloud.ecs().snapshots().is_empty());
}

#[tokio::test]
async fn an_earlier_copy_goes_too_when_a_run_that_has_not_come_to_it_is_given_up() {
    let (stage, _) = stage().await;
    let command = format!("{COMMAND} --copy-to cn-hangzhou --tag a=b");
    let hold = Fault::on("ecs:TagResources").nth(3).always();
    let gate = stage.cloud.hold(hold);
    let running = stage.alicloud(&command).start();
    gate.reached().await;
    running.kill().await;
    stage.cloud.clear_faults();
    let hold = stage.cloud.hold(Fault::on("ecs:DescribeImages").always());
    let mut running = stage.alicloud(&command.replace("-q ", "")).start();
    hold.reached().await;
    running.signal("INT");
    running.says("Ctrl-C once more").await;
    stage.cloud.clear_faults();
    hold.release();
    running.signal("INT");
    let run = running.ends().await;
    run.exits(130);
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
    assert!(images(&stage).is_empty(), "{:?}", images(&stage));
    assert!(stage.cloud.ecs().snapshots().is_empty());
    assert!(stage.journal().is_empty());
}

/// An image "web" with a snapshot, and the command that replaces both.
async fn replaced() -> (Stage, String) {
    let (stage, _) = stage().await;
    stage.alicloud(COMMAND).ends().await.exits(0);
    assert_eq!(stage.cloud.ecs().snapshots().len(), 1);
    let command = format!("{COMMAND} --force-delete --force-delete-snapshots");
    (stage, command)
}

#[tokio::test]
async fn the_snapshots_of_a_replaced_image_go_although_the_image_is_gone_already() {
    let (stage, command) = replaced().await;
    let old = stage.cloud.ecs().snapshots()[0].id.clone();
    killed_at(&stage, &command, "ecs:DeleteImage").await;
    let named = jobs(&stage).await;
    assert!(named.contains("snapshot s-ID of m-ID"), "{named}");
    stage
        .alicloud(&command)
        .ends()
        .await
        .exits(0)
        .prints("m-ID")
        .says("");
    assert_eq!(images(&stage), [at(REGION, "web")]);
    let snapshots = stage.cloud.ecs().snapshots();
    assert!(snapshots.len() == 1 && snapshots[0].id != old);
    assert_eq!(stage.cloud.ecs().tasks().len(), 2);
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
            let (stage, command) = replaced().await;
            let old = stage.cloud.ecs().images()[0].id.clone();
            let gate = if processed {
                stage.cloud.hold_answer(Fault::on(request))
            } else {
                stage.cloud.hold(Fault::on(request))
            };
            let running = stage.alicloud(&command).start();
            gate.reached().await;
            running.kill().await;
            stage.cloud.clear_faults();
            let run = stage.alicloud(&command).ends().await;
            run.exits(0).prints("m-ID").says("");
            let case = format!("{request}, {processed}");
            assert_eq!(images(&stage), [at(REGION, "web")], "{case}");
            assert_ne!(run.raw, old, "{case}");
            assert_eq!(stage.cloud.ecs().snapshots().len(), 1, "{case}");
            assert_eq!(stage.cloud.ecs().tasks().len(), 2, "{case}");
            assert!(stage.journal().is_empty(), "{case}");
        }
    }
}

#[tokio::test]
async fn an_image_that_has_replaced_another_is_not_cleaned_away() {
    let (stage, command) = replaced().await;
    killed_at(&stage, &command, "ecs:DeleteImage").await;
    let cleaned = clean(&stage).await;
    cleaned.exits(1).prints("");
    assert!(
        cleaned
            .stderr
            .contains("m-ID, which it replaces, is deleted already; the same command finishes it"),
        "{}",
        cleaned.stderr
    );
    assert_eq!(images(&stage).len(), 1, "one of the two stays");
    stage
        .alicloud(&command)
        .ends()
        .await
        .exits(0)
        .prints("m-ID")
        .says("");
    assert_eq!(images(&stage), [at(REGION, "web")]);
}

#[tokio::test]
async fn an_image_that_has_not_been_deleted_yet_keeps_its_snapshots() {
    let (stage, command) = replaced().await;
    let gate = stage.cloud.hold(Fault::on("ecs:DeleteImage"));
    let running = stage.alicloud(&command).start();
    gate.reached().await;
    running.kill().await;
    stage.cloud.clear_faults();
    clean(&stage).await.exits(0);
    assert_eq!(images(&stage), [at(REGION, "web")], "the old one");
    assert_eq!(stage.cloud.ecs().snapshots().len(), 1);
}

#[tokio::test]
async fn a_bucket_that_a_run_has_created_is_named_and_goes_unless_it_is_used() {
    for used in [false, true] {
        let stage = Stage::new().await;
        stage.cloud.ram().put_import_role();
        stage.disk(2);
        killed_at(&stage, COMMAND, "oss:PutBucket").await;
        assert_eq!(stage.cloud.oss().buckets().len(), 1);
        let named = jobs(&stage).await;
        assert!(
            named.contains("bucket packer, which the run creates"),
            "{named}"
        );
        if used {
            let other = "alicloud --bucket packer --key other.raw --image-name other --skip-clean -q disk.raw";
            stage.cloud.ecs().import_script(ImportScript::quick());
            stage.alicloud(other).ends().await.exits(0);
        }
        clean(&stage).await.exits(0);
        assert_eq!(stage.cloud.oss().buckets().len(), usize::from(used));
        assert!(stage.journal().is_empty());
    }
}

#[tokio::test]
async fn a_role_that_a_run_has_created_is_named_and_stays_with_the_next_step() {
    let stage = Stage::new().await;
    stage.cloud.oss().create_bucket("packer", REGION);
    stage.disk(2);
    killed_at(&stage, COMMAND, "ram:CreateRole").await;
    let named = jobs(&stage).await;
    let role = "AliyunECSImageImportDefaultRole";
    assert!(
        named.contains(&format!("role {role}, which stays")),
        "{named}"
    );
    let cleaned = clean(&stage).await;
    cleaned.exits(0);
    let step = format!("aliyun ram DeleteRole --RoleName {role}");
    assert!(cleaned.stderr.contains(&step), "{}", cleaned.stderr);
    assert!(stage.cloud.ram().role(role).is_some());
}

/// A 200 that is not the service's, with an id that is a command, and one that is cut.
#[tokio::test]
async fn an_answer_that_is_not_ecs_s_is_asked_for_again() {
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
            let (stage, disk) = stage().await;
            let odd = Fault::on(operation).replace_answer(200, body);
            stage.cloud.fault(odd);
            let run = stage.alicloud(&format!("{COMMAND} --tag a=b --copy-to cn-hangzhou"));
            let run = run.ends().await;
            run.exits(0).prints("m-ID").says("");
            let case = format!("{operation}: {body}");
            assert_eq!(
                images(&stage),
                [at(REGION, "web"), at("cn-hangzhou", "web")],
                "{case}"
            );
            assert_eq!(stage.cloud.ecs().tasks().len(), 1, "{case}");
            assert_eq!(stage.cloud.ecs().arrived(&run.raw), Some(disk), "{case}");
        }
    }
}

/// The same of OSS: a list that is none is no reason to send anything again.
#[tokio::test]
async fn an_answer_that_is_not_oss_s_does_not_begin_the_upload_anew() {
    let command =
        "alicloud --bucket packer --image-name web --part-size 5MiB --concurrency 1 -q disk.raw";
    for operation in ["oss:GetBucketInfo", "oss:ListParts", "oss:HeadObject"] {
        for body in ["", "<html>Sign in</html>"] {
            let (stage, _) = stage().await;
            let disk = stage.disk(12);
            // ListParts comes after a kill in the upload, HeadObject after one behind it.
            let request = if operation == "oss:HeadObject" {
                "oss:CompleteMultipartUpload"
            } else {
                "oss:UploadPart"
            };
            let gate = stage.cloud.hold(Fault::on(request).with("partNumber", "3"));
            let complete = stage
                .cloud
                .hold_answer(Fault::on("oss:CompleteMultipartUpload"));
            let running = stage.alicloud(command).start();
            if request == "oss:UploadPart" {
                gate.reached().await;
            } else {
                complete.reached().await;
            }
            running.kill().await;
            stage.cloud.clear_faults();
            complete.release();
            stage
                .cloud
                .fault(Fault::on(operation).replace_answer(200, body));
            let sent = stage.cloud.requests("oss:UploadPart").len();
            let run = stage.alicloud(command).ends().await;
            run.exits(0).prints("m-ID").says("");
            let again = stage.cloud.requests("oss:UploadPart").len() - sent;
            let missing = usize::from(request == "oss:UploadPart");
            assert_eq!(again, missing, "{operation}: {body}");
            assert_eq!(stage.cloud.ecs().arrived(&run.raw), Some(disk));
        }
    }
}

#[tokio::test]
async fn one_odd_refusal_of_a_poll_starts_no_second_import() {
    for operation in ["ecs:DescribeImages", "ecs:DescribeTaskAttribute"] {
        let (stage, _) = stage().await;
        let gate = Gate::new();
        let script = ImportScript::quick().hold(&gate);
        stage.cloud.ecs().import_script(script);
        let running = stage.alicloud(COMMAND).start();
        gate.reached().await;
        let odd = Fault::on(operation).times(2);
        stage
            .cloud
            .fault(odd.answer(403, "Forbidden.RAM", "Not now."));
        gate.release();
        running.ends().await.exits(0).prints("m-ID").says("");
        assert_eq!(stage.cloud.ecs().tasks().len(), 1, "{operation}");
    }
}
