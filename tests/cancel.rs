//! Ctrl-C, SIGTERM and worse, at each stage; and the run that goes on.

use imgimport_sandbox::{CopyScript, Fault, Gate, ImportScript};

use crate::support::Stage;

const COMMAND: &str = "aws --bucket importbucket --part-size 5MiB --concurrency 2 -q disk.raw";

#[tokio::test]
async fn the_first_ctrl_c_while_uploading_keeps_what_was_sent() {
    let stage = Stage::new().await;
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    let disk = stage.disk(22);
    let running = stage.imgimport(COMMAND).start();
    gate.reached().await;
    stage.cloud.succeeded("s3:UploadPart", 2).await;
    running.signal("INT");
    let run = running.ends().await;
    run.exits(130).prints("");
    assert!(
        run.stderr
            .contains("parts of s3://importbucket/imgimport-1767225600.raw"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr
            .contains("hint: the same command goes on from there"),
        "{}",
        run.stderr
    );
    assert_eq!(stage.cloud.s3().uploads().len(), 1, "the parts are kept");

    // The gate stays shut, so that nothing of the first run lands afterwards.
    let before = stage.cloud.s3().uploads()[0].parts.len();
    stage.cloud.clear_faults();
    let sent = stage.cloud.requests("s3:UploadPart").len();
    let run = stage.imgimport(COMMAND).ends().await;
    run.exits(0);
    let again = stage.cloud.requests("s3:UploadPart").len() - sent;
    assert!(again <= 5 - before, "nothing travels twice: {again}");
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    assert!(stage.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn the_second_ctrl_c_removes_everything() {
    let stage = Stage::new().await;
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    stage.disk(22);
    let mut running = stage.imgimport(&COMMAND.replace("-q ", "")).start();
    gate.reached().await;
    stage.cloud.succeeded("s3:UploadPart", 2).await;
    running.signal("INT");
    running.says("Ctrl-C once more").await;
    running.signal("INT");
    let run = running.ends().await;
    run.exits(130).prints("");
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
    assert!(stage.cloud.s3().uploads().is_empty(), "the parts are gone");
    assert!(stage.journal().is_empty(), "and so is the journal");
}

#[tokio::test]
async fn without_resume_the_first_ctrl_c_removes_everything() {
    let stage = Stage::new().await;
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    stage.disk(22);
    let running = stage.imgimport(&format!("{COMMAND} --no-resume")).start();
    gate.reached().await;
    running.signal("INT");
    running
        .ends()
        .await
        .exits(130)
        .prints("")
        .says("error: stopped");
    assert!(stage.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn sigterm_stops_like_ctrl_c_and_says_so_in_the_exit_code() {
    let stage = Stage::new().await;
    let gate = stage.cloud.hold(Fault::on("sts:GetCallerIdentity"));
    stage.disk(2);
    let running = stage.imgimport(COMMAND).start();
    gate.reached().await;
    running.signal("TERM");
    running
        .ends()
        .await
        .exits(143)
        .prints("")
        .says("error: stopped");
}

#[tokio::test]
async fn ctrl_c_while_importing_leaves_the_task_and_the_next_run_attaches() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    stage.disk(2);
    let running = stage.imgimport(COMMAND).start();
    gate.reached().await;
    running.signal("INT");
    let run = running.ends().await;
    run.exits(130).prints("").says(
        "
        error: stopped
          left behind: the import task import-ami-TASK; remove it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: the same command goes on from there
        ",
    );
    gate.release();
    stage
        .imgimport(COMMAND)
        .ends()
        .await
        .exits(0)
        .prints("ami-ID")
        .says("");
    assert_eq!(stage.cloud.ec2().import_tasks().len(), 1);
    assert!(stage.cloud.s3().objects().is_empty());
}

#[tokio::test]
async fn ctrl_c_twice_while_importing_cancels_the_task_before_the_object_goes() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    stage.disk(2);
    let mut running = stage.imgimport(&COMMAND.replace("-q ", "")).start();
    gate.reached().await;
    running.signal("INT");
    running.says("Ctrl-C once more").await;
    running.signal("INT");
    let run = running.ends().await;
    run.exits(130).prints("");
    assert_eq!(stage.cloud.ec2().import_tasks()[0].status, "deleted");
    assert!(stage.cloud.s3().objects().is_empty());
    let order: Vec<_> = stage
        .cloud
        .journal()
        .into_iter()
        .map(|entry| entry.operation)
        .collect();
    let cancelled = order
        .iter()
        .position(|operation| operation == "ec2:CancelImportTask");
    let removed = order
        .iter()
        .position(|operation| operation == "s3:DeleteObject");
    assert!(cancelled < removed, "{order:?}");
}

#[tokio::test]
async fn who_may_not_cancel_the_import_is_told_the_permission() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    let denied = Fault::on("ec2:CancelImportTask").always();
    let denied = denied.answer(403, "UnauthorizedOperation", "Not you.");
    stage.cloud.fault(denied);
    stage.disk(2);
    let running = stage.imgimport(&format!("{COMMAND} --no-resume")).start();
    gate.reached().await;
    running.signal("INT");
    let run = running.ends().await;
    run.exits(130).prints("").says(
        r#"
        error: stopped
          left behind: the import task import-ami-TASK (it could not be removed: Not you (UnauthorizedOperation, request ID); allow the caller ec2:CancelImportTask: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:CancelImportTask","Resource":"*"}]}); remove it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
        "#,
    );
    assert_eq!(stage.cloud.s3().objects().len(), 1, "the task reads it");
}

#[tokio::test]
async fn ctrl_c_while_naming_leaves_the_image_and_the_next_run_names_it() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage
        .cloud
        .ec2()
        .copy_script(CopyScript::default().hold(&gate));
    stage.disk(2);
    let command = "aws --bucket importbucket --ami-name web -q disk.raw";
    let running = stage.imgimport(command).start();
    gate.reached().await;
    running.signal("INT");
    running.ends().await.exits(130).prints("");
    gate.release();
    stage
        .imgimport(command)
        .ends()
        .await
        .exits(0)
        .prints("ami-ID")
        .says("");
    let images = stage.cloud.ec2().images();
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(images[0].name, "web");
    assert_eq!(stage.cloud.requests("ec2:CopyImage").len(), 1);
}

#[tokio::test]
async fn one_more_signal_leaves_at_once_and_names_what_stays() {
    let stage = Stage::new().await;
    let (import, cancel) = (
        Gate::new(),
        stage.cloud.hold(Fault::on("ec2:CancelImportTask").always()),
    );
    stage
        .cloud
        .import_script(ImportScript::quick().hold(&import));
    stage.disk(2);
    let mut running = stage.imgimport(&COMMAND.replace("-q ", "")).start();
    import.reached().await;
    running.signal("INT");
    running.says("Ctrl-C once more").await;
    running.signal("INT");
    cancel.reached().await;
    running.signal("INT");
    running.ends().await.exits(130).prints("").says(
        "
          Removing the import task import-ami-TASK
        error: stopped
          left behind: the import task import-ami-TASK; remove it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: the same command goes on from there
        ",
    );
}

#[tokio::test]
async fn three_signals_in_a_row_while_parts_are_on_their_way_name_what_stays() {
    for road in [
        "--bucket importbucket --part-size 5MiB",
        "--method ebs-direct",
    ] {
        let stage = Stage::new().await;
        let held = Fault::on("s3:UploadPart").with("partNumber", "3").always();
        let gate = stage.cloud.hold(held);
        let held = Fault::on("ebs:PutSnapshotBlock").nth(3).always();
        let blocks = stage.cloud.hold(held);
        stage.disk(22);
        let running = stage
            .imgimport(&format!(
                "aws {road} --concurrency 2 --ami-name web -q disk.raw"
            ))
            .start();
        tokio::select! {
            () = gate.reached() => stage.cloud.succeeded("s3:UploadPart", 2).await,
            () = blocks.reached() => {}
        }
        for _ in 0..3 {
            running.signal("INT");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let run = running.ends().await;
        run.exits(130).prints("");
        assert!(run.stderr.contains("  left behind: "), "{}", run.stderr);
        assert!(
            run.stderr.contains("; remove it with: aws "),
            "{}",
            run.stderr
        );
    }
}

#[tokio::test]
async fn a_terminal_that_is_closed_stops_the_run_and_keeps_what_was_sent() {
    let stage = Stage::new().await;
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    stage.disk(22);
    let running = stage.imgimport(COMMAND).start();
    gate.reached().await;
    stage.cloud.succeeded("s3:UploadPart", 2).await;
    running.signal("HUP");
    let run = running.ends().await;
    run.exits(143).prints("");
    assert!(
        run.stderr
            .contains("parts of s3://importbucket/imgimport-1767225600.raw"),
        "{}",
        run.stderr
    );
    let shut = format!("{COMMAND} --no-resume");
    stage.cloud.clear_faults();
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "4").always());
    let before = stage.cloud.s3().uploads().len();
    let running = stage.imgimport(&shut).start();
    gate.reached().await;
    running.signal("HUP");
    running
        .ends()
        .await
        .exits(143)
        .prints("")
        .says("error: stopped");
    assert_eq!(
        stage.cloud.s3().uploads().len(),
        before,
        "nothing more stays"
    );
}

#[tokio::test]
async fn under_nohup_a_closed_terminal_is_not_heard() {
    let stage = Stage::new().await;
    let gate = stage.cloud.hold(Fault::on("sts:GetCallerIdentity"));
    stage.disk(2);
    let running = stage
        .shell(&format!("trap '' HUP; exec imgimport {COMMAND}"))
        .start();
    gate.reached().await;
    running.signal("HUP");
    gate.release();
    running.ends().await.exits(0).prints("ami-ID");
}

#[tokio::test]
async fn killed_in_the_middle_and_run_again_nothing_acknowledged_travels_twice() {
    let stage = Stage::new().await;
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "4").always());
    let disk = stage.disk(22);
    let command = "aws --bucket importbucket --part-size 5MiB --concurrency 1 -q disk.raw";
    let running = stage.imgimport(command).start();
    gate.reached().await;
    running.kill().await;
    gate.release();
    stage.cloud.clear_faults();
    let kept = stage.cloud.s3().uploads()[0].parts.len();
    assert!(kept >= 3, "{kept}");
    let sent = stage.cloud.requests("s3:UploadPart").len();
    let run = stage.imgimport(command).ends().await;
    run.exits(0);
    assert!(stage.cloud.requests("s3:UploadPart").len() - sent <= 2);
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
}

#[tokio::test]
async fn a_second_run_of_the_same_job_says_so_and_stops() {
    let stage = Stage::new().await;
    let gate = stage.cloud.hold(Fault::on("s3:UploadPart"));
    stage.disk(2);
    let running = stage.imgimport(COMMAND).start();
    gate.reached().await;
    stage
        .imgimport(COMMAND)
        .ends()
        .await
        .exits(1)
        .prints("")
        .says(
            "
        error: another run of this job is under way
          hint: wait for it, or give this run another key or another name for the image
        ",
        );
    gate.release();
    running.ends().await.exits(0);
}

#[tokio::test]
async fn a_source_that_changed_is_sent_anew_and_its_old_parts_go() {
    let stage = Stage::new().await;
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    stage.disk(22);
    let running = stage.imgimport(COMMAND).start();
    gate.reached().await;
    stage.cloud.succeeded("s3:UploadPart", 2).await;
    running.kill().await;
    gate.release();
    stage.cloud.clear_faults();
    let old = stage.cloud.s3().uploads()[0].upload_id.clone();
    let disk = stage.disk(17);
    let run = stage.imgimport(COMMAND).ends().await;
    run.exits(0);
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    assert_eq!(
        stage.cloud.requests("s3:AbortMultipartUpload")[0].get("uploadId"),
        old
    );
}

#[tokio::test]
async fn a_run_that_cannot_even_begin_still_names_what_an_earlier_one_left() {
    let stage = Stage::new().await;
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    stage.disk(22);
    let running = stage.imgimport(COMMAND).start();
    gate.reached().await;
    stage.cloud.succeeded("s3:UploadPart", 2).await;
    running.kill().await;
    gate.release();
    stage.cloud.clear_faults();

    let fault = Fault::on("sts:GetCallerIdentity");
    let fault = fault.answer(403, "InvalidClientTokenId", "not today");
    stage.cloud.fault(fault);
    stage.imgimport(COMMAND).ends().await.exits(1).says(
        "
        error: AWS does not accept the caller
          cause: not today (InvalidClientTokenId, request ID)
          left behind: the parts of s3://importbucket/imgimport-1767225600.raw that an earlier run has sent; remove it with: aws s3api abort-multipart-upload --bucket importbucket --key imgimport-1767225600.raw --upload-id UPLOAD
          hint: check the access key and the secret key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the profile
        ",
    );
    let sent = stage.cloud.requests("s3:UploadPart").len();
    stage.imgimport(COMMAND).ends().await.exits(0);
    assert!(stage.cloud.requests("s3:UploadPart").len() - sent <= 3);
}

#[tokio::test]
async fn another_import_is_not_robbed_of_the_object_that_it_reads() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    stage.disk(2);
    stage
        .imgimport("aws --bucket importbucket --key k --no-wait -q disk.raw")
        .ends()
        .await
        .exits(0);
    let run = stage
        .imgimport("aws --bucket importbucket --key k --boot-mode uefi -q disk.raw")
        .ends()
        .await;
    run.exits(1).says(
        "
        error: s3://importbucket/k is still read by an earlier import, import-ami-TASK
          cause: that import was of another image, or was asked for differently
          left behind: the import task import-ami-TASK; remove it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1
          left behind: s3://importbucket/k; remove it with: aws s3 rm s3://importbucket/k
          hint: wait for it, give this one another --key, or cancel it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1
        ",
    );
    assert_eq!(stage.cloud.s3().objects().len(), 1);
}

#[tokio::test]
async fn two_images_in_the_same_second_do_not_meet_under_one_name() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    let (one, two) = (stage.disk(2), imgimport_sandbox::sample::raw(3 << 20));
    stage.file("other.raw", &two);
    stage
        .imgimport("aws --bucket importbucket --no-wait -q disk.raw")
        .ends()
        .await
        .exits(0);
    stage
        .imgimport("aws --bucket importbucket --no-wait -q other.raw")
        .ends()
        .await
        .exits(0);
    gate.release();
    for (name, bytes) in [("disk.raw", one), ("other.raw", two)] {
        let run = stage
            .imgimport(&format!("aws --bucket importbucket -q {name}"))
            .ends()
            .await;
        run.exits(0);
        assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(bytes));
    }
}

#[tokio::test]
async fn an_object_that_another_import_reads_is_not_taken() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    stage.disk(2);
    stage.file("other.raw", imgimport_sandbox::sample::raw(3 << 20));
    stage
        .imgimport("aws --bucket importbucket --key k --no-wait -q disk.raw")
        .ends()
        .await
        .exits(0);
    stage
        .imgimport("aws --bucket importbucket --key k -q other.raw")
        .ends()
        .await
        .exits(1)
        .says(
            "
        error: the object k is in use by another run
          cause: its import has not ended, as far as the journal knows
          hint: finish that run with its own command, or give this one another --key
        ",
        );
}

#[tokio::test]
async fn an_import_whose_answer_nobody_heard_is_cancelled_before_its_object_goes() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    let answer = stage.cloud.hold_answer(Fault::on("ec2:ImportImage"));
    stage.disk(2);
    let running = stage.imgimport(&format!("{COMMAND} --no-resume")).start();
    answer.reached().await;
    running.signal("INT");
    running
        .ends()
        .await
        .exits(130)
        .prints("")
        .says("error: stopped");
    assert_eq!(stage.cloud.ec2().import_tasks()[0].status, "deleted");
    assert!(stage.cloud.s3().objects().is_empty());
}

#[tokio::test]
async fn ctrl_c_is_heard_while_standard_input_says_nothing() {
    let stage = Stage::new().await;
    let fifo = stage.path("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let open = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo)
        .unwrap();
    let running = stage
        .imgimport("aws --bucket importbucket -v -")
        .stdin(&fifo)
        .start();
    running.started().await;
    running.signal("INT");
    running.ends().await.exits(130).prints("");
    drop(open);
}
