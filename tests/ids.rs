//! Ids of a wrong form, in a service's answer or in the journal, are repeated in no command,
//! no request and no result.

use imgimport_sandbox::{Fault, ImportScript};

use crate::support::{Output, TestEnv};

const HOSTILE: &str = "1;reboot";

/// Nothing that a person pastes has the id.
#[track_caller]
fn is_unused(stage: &TestEnv, ended: &Output) {
    assert!(!ended.stdout.contains(HOSTILE), "{}", ended.stdout);
    for line in ended.stderr.lines().filter(|line| line.contains(HOSTILE)) {
        assert!(line.starts_with("  cause: "), "{line}");
    }
    for path in stage.journal() {
        let entry = std::fs::read_to_string(path).unwrap();
        assert!(!entry.contains(HOSTILE), "{entry}");
    }
    let asked = format!("{:?}", stage.cloud.requests_so_far());
    assert!(!asked.contains(HOSTILE), "{asked}");
}

#[tokio::test]
async fn an_image_whose_id_is_a_command_is_given_up_and_removed() {
    let stage = TestEnv::new().await;
    stage.disk(2);
    let body = "<R><imageId>ami-1;reboot</imageId></R>";
    let fault = Fault::on("ec2:RegisterImage").always();
    stage.cloud.fault(fault.replace_answer(200, body));
    let command = "aws --bucket importbucket --method import-snapshot --no-resume -q disk.raw";
    let ended = stage.imgimport(command).output().await;
    let cause = "cause: the answer has an id that AWS does not give: \"ami-1;reboot\"";
    ended.code(1).stdout("");
    assert!(ended.stderr.contains(cause), "{}", ended.stderr);
    is_unused(&stage, &ended);
    assert!(stage.cloud.s3().objects().is_empty());
    assert!(stage.cloud.ec2().images().is_empty());
    assert!(stage.cloud.ec2().snapshots().is_empty());
}

#[tokio::test]
async fn an_answer_with_such_an_id_is_asked_for_again() {
    for (options, operation, body) in [
        (
            "--bucket importbucket",
            "ec2:ImportImage",
            "<R><importTaskId>import-ami-1;reboot</importTaskId></R>",
        ),
        (
            "--bucket importbucket --ami-name web",
            "ec2:CopyImage",
            "<R><imageId>ami-1;reboot</imageId></R>",
        ),
        (
            "--bucket importbucket --method import-snapshot",
            "ec2:RegisterImage",
            "<R><imageId>ami-1;reboot</imageId></R>",
        ),
        (
            "--method ebs-direct",
            "ebs:StartSnapshot",
            r#"{"SnapshotId":"snap-1;reboot","BlockSize":524288,"VolumeSize":1}"#,
        ),
    ] {
        let stage = TestEnv::new().await;
        stage.disk(2);
        let fault = Fault::on(operation).replace_answer(200, body);
        stage.cloud.fault(fault);
        let run = stage.imgimport(&format!("aws {options} -q disk.raw"));
        let ended = run.output().await;
        ended.code(0).stdout("ami-ID");
        is_unused(&stage, &ended);
    }
}

#[tokio::test]
async fn an_account_that_is_none_is_not_the_caller() {
    let stage = TestEnv::new().await;
    stage.disk(2);
    let body = "<R><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/a</Arn><Account>1;reboot</Account></GetCallerIdentityResult></R>";
    let fault = Fault::on("sts:GetCallerIdentity").always();
    stage.cloud.fault(fault.replace_answer(200, body));
    let run = stage.imgimport("aws --bucket importbucket --dry-run -q disk.raw");
    is_unused(&stage, &run.output().await);
}

#[tokio::test]
async fn a_journal_with_such_an_id_is_not_obeyed() {
    let stage = TestEnv::new().await;
    let gate = imgimport_sandbox::Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    stage.disk(2);
    let command = "aws --bucket importbucket --no-wait -q disk.raw";
    stage.imgimport(command).output().await.code(0);
    let path = stage.journal().remove(0);
    let entry = std::fs::read_to_string(&path).unwrap();
    let task = stage.cloud.ec2().import_tasks()[0].id.clone();
    std::fs::write(&path, entry.replace(&task, "import-ami-1;reboot")).unwrap();
    for command in [command, "jobs --clean"] {
        let ended = stage.imgimport(command).output().await;
        ended.code(1).stdout("");
        let cause = "\"import-ami-1;reboot\" is no id of this cloud";
        assert!(ended.stderr.contains(cause), "{}", ended.stderr);
    }
    gate.release();
}
