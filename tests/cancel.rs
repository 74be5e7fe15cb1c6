//! Ctrl-C, SIGTERM and worse, at each stage; and the run that goes on.

use imgimport_sandbox::{CopyScript, Fault, Gate, ImportScript};

use crate::support::TestEnv;

const COMMAND: &str = "aws --bucket importbucket --part-size 5MiB --concurrency 2 -q disk.raw";

#[tokio::test]
async fn the_first_ctrl_c_while_uploading_keeps_the_parts() {
    let env = TestEnv::new().await;
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    let disk = env.disk(22);
    let running = env.imgimport(COMMAND).start();
    gate.reached().await;
    env.cloud.wait_for_successes("s3:UploadPart", 2).await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
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
    assert_eq!(env.cloud.s3().uploads().len(), 1, "the parts are kept");

    // The gate stays shut, so that nothing of the first run lands afterwards.
    let before = env.cloud.s3().uploads()[0].parts.len();
    env.cloud.clear_faults();
    let sent = env.cloud.requests("s3:UploadPart").len();
    let run = env.imgimport(COMMAND).output().await;
    run.code(0);
    let again = env.cloud.requests("s3:UploadPart").len() - sent;
    assert!(again <= 5 - before, "nothing travels twice: {again}");
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert!(env.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn the_second_ctrl_c_removes_everything() {
    let env = TestEnv::new().await;
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    env.disk(22);
    let mut running = env.imgimport(&COMMAND.replace("-q ", "")).start();
    gate.reached().await;
    env.cloud.wait_for_successes("s3:UploadPart", 2).await;
    running.signal("INT");
    running.wait_for_stderr("Ctrl-C once more").await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
    assert!(env.cloud.s3().uploads().is_empty(), "the parts are gone");
    assert!(env.journal().is_empty(), "and so is the journal");
}

#[tokio::test]
async fn without_resume_the_first_ctrl_c_removes_everything() {
    let env = TestEnv::new().await;
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    env.disk(22);
    let running = env.imgimport(&format!("{COMMAND} --no-resume")).start();
    gate.reached().await;
    running.signal("INT");
    running
        .output()
        .await
        .code(130)
        .stdout("")
        .stderr("error: stopped");
    assert!(env.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn sigterm_stops_like_ctrl_c_with_its_own_exit_code() {
    let env = TestEnv::new().await;
    let gate = env.cloud.hold(Fault::on("sts:GetCallerIdentity"));
    env.disk(2);
    let running = env.imgimport(COMMAND).start();
    gate.reached().await;
    running.signal("TERM");
    running
        .output()
        .await
        .code(143)
        .stdout("")
        .stderr("error: stopped");
}

#[tokio::test]
async fn ctrl_c_while_importing_leaves_the_task_and_the_next_run_attaches() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    let running = env.imgimport(COMMAND).start();
    gate.reached().await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("").stderr(
        "
        error: stopped
          left behind: the import task import-ami-TASK; remove it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: the same command goes on from there
        ",
    );
    gate.release();
    env.imgimport(COMMAND)
        .output()
        .await
        .code(0)
        .stdout("ami-ID")
        .stderr("");
    assert_eq!(env.cloud.ec2().import_tasks().len(), 1);
    assert!(env.cloud.s3().objects().is_empty());
}

#[tokio::test]
async fn ctrl_c_twice_while_importing_cancels_the_task_before_the_object_goes() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    let mut running = env.imgimport(&COMMAND.replace("-q ", "")).start();
    gate.reached().await;
    running.signal("INT");
    running.wait_for_stderr("Ctrl-C once more").await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    assert_eq!(env.cloud.ec2().import_tasks()[0].status, "deleted");
    assert!(env.cloud.s3().objects().is_empty());
    let order: Vec<_> = env
        .cloud
        .requests_so_far()
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
async fn a_denied_cancel_is_reported_with_the_permission() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    let denied = Fault::on("ec2:CancelImportTask").always();
    let denied = denied.answer(403, "UnauthorizedOperation", "Not you.");
    env.cloud.fault(denied);
    env.disk(2);
    let running = env.imgimport(&format!("{COMMAND} --no-resume")).start();
    gate.reached().await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("").stderr(
        r#"
        error: stopped
          left behind: the import task import-ami-TASK (it could not be removed: Not you (UnauthorizedOperation, request ID); allow the caller ec2:CancelImportTask: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:CancelImportTask","Resource":"*"}]}); remove it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
        "#,
    );
    assert_eq!(env.cloud.s3().objects().len(), 1, "the task reads it");
}

#[tokio::test]
async fn ctrl_c_while_naming_leaves_the_image_and_the_next_run_names_it() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud
        .ec2()
        .copy_script(CopyScript::default().hold(&gate));
    env.disk(2);
    let command = "aws --bucket importbucket --ami-name web -q disk.raw";
    let running = env.imgimport(command).start();
    gate.reached().await;
    running.signal("INT");
    running.output().await.code(130).stdout("");
    gate.release();
    env.imgimport(command)
        .output()
        .await
        .code(0)
        .stdout("ami-ID")
        .stderr("");
    let images = env.cloud.ec2().images();
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(images[0].name, "web");
    assert_eq!(env.cloud.requests("ec2:CopyImage").len(), 1);
}

#[tokio::test]
async fn a_third_signal_exits_at_once_and_names_the_leftovers() {
    let env = TestEnv::new().await;
    let (import, cancel) = (
        Gate::new(),
        env.cloud.hold(Fault::on("ec2:CancelImportTask").always()),
    );
    env.cloud.import_script(ImportScript::quick().hold(&import));
    env.disk(2);
    let mut running = env.imgimport(&COMMAND.replace("-q ", "")).start();
    import.reached().await;
    running.signal("INT");
    running.wait_for_stderr("Ctrl-C once more").await;
    running.signal("INT");
    cancel.reached().await;
    running.signal("INT");
    running.output().await.code(130).stdout("").stderr(
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
async fn three_signals_in_a_row_name_the_leftovers() {
    for road in [
        "--bucket importbucket --part-size 5MiB",
        "--method ebs-direct",
    ] {
        let env = TestEnv::new().await;
        let held = Fault::on("s3:UploadPart").with("partNumber", "3").always();
        let gate = env.cloud.hold(held);
        let held = Fault::on("ebs:PutSnapshotBlock").nth(3).always();
        let blocks = env.cloud.hold(held);
        env.disk(22);
        let running = env
            .imgimport(&format!(
                "aws {road} --concurrency 2 --ami-name web -q disk.raw"
            ))
            .start();
        tokio::select! {
            () = gate.reached() => env.cloud.wait_for_successes("s3:UploadPart", 2).await,
            () = blocks.reached() => {}
        }
        for _ in 0..3 {
            running.signal("INT");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let run = running.output().await;
        run.code(130).stdout("");
        assert!(run.stderr.contains("  left behind: "), "{}", run.stderr);
        assert!(
            run.stderr.contains("; remove it with: aws "),
            "{}",
            run.stderr
        );
    }
}

#[tokio::test]
async fn a_closed_terminal_stops_the_run_and_keeps_the_parts() {
    let env = TestEnv::new().await;
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    env.disk(22);
    let running = env.imgimport(COMMAND).start();
    gate.reached().await;
    env.cloud.wait_for_successes("s3:UploadPart", 2).await;
    running.signal("HUP");
    let run = running.output().await;
    run.code(143).stdout("");
    assert!(
        run.stderr
            .contains("parts of s3://importbucket/imgimport-1767225600.raw"),
        "{}",
        run.stderr
    );
    let shut = format!("{COMMAND} --no-resume");
    env.cloud.clear_faults();
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "4").always());
    let before = env.cloud.s3().uploads().len();
    let running = env.imgimport(&shut).start();
    gate.reached().await;
    running.signal("HUP");
    running
        .output()
        .await
        .code(143)
        .stdout("")
        .stderr("error: stopped");
    assert_eq!(env.cloud.s3().uploads().len(), before, "nothing more stays");
}

#[tokio::test]
async fn sighup_is_ignored_under_nohup() {
    let env = TestEnv::new().await;
    let gate = env.cloud.hold(Fault::on("sts:GetCallerIdentity"));
    env.disk(2);
    let running = env
        .shell(&format!("trap '' HUP; exec imgimport {COMMAND}"))
        .start();
    gate.reached().await;
    running.signal("HUP");
    gate.release();
    running.output().await.code(0).stdout("ami-ID");
}

#[tokio::test]
async fn a_rerun_after_a_kill_sends_no_acknowledged_part_again() {
    let env = TestEnv::new().await;
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "4").always());
    let disk = env.disk(22);
    let command = "aws --bucket importbucket --part-size 5MiB --concurrency 1 -q disk.raw";
    let running = env.imgimport(command).start();
    gate.reached().await;
    running.kill().await;
    gate.release();
    env.cloud.clear_faults();
    let kept = env.cloud.s3().uploads()[0].parts.len();
    assert!(kept >= 3, "{kept}");
    let sent = env.cloud.requests("s3:UploadPart").len();
    let run = env.imgimport(command).output().await;
    run.code(0);
    assert!(env.cloud.requests("s3:UploadPart").len() - sent <= 2);
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn a_second_run_of_the_same_job_stops_with_an_error() {
    let env = TestEnv::new().await;
    let gate = env.cloud.hold(Fault::on("s3:UploadPart"));
    env.disk(2);
    let running = env.imgimport(COMMAND).start();
    gate.reached().await;
    env.imgimport(COMMAND)
        .output()
        .await
        .code(1)
        .stdout("")
        .stderr(
            "
        error: another run of this job is under way
          hint: wait for it, or give this run another key or another name for the image
        ",
        );
    gate.release();
    running.output().await.code(0);
}

#[tokio::test]
async fn a_changed_source_is_sent_again_and_its_old_parts_are_deleted() {
    let env = TestEnv::new().await;
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    env.disk(22);
    let running = env.imgimport(COMMAND).start();
    gate.reached().await;
    env.cloud.wait_for_successes("s3:UploadPart", 2).await;
    running.kill().await;
    gate.release();
    env.cloud.clear_faults();
    let old = env.cloud.s3().uploads()[0].upload_id.clone();
    let disk = env.disk(17);
    let run = env.imgimport(COMMAND).output().await;
    run.code(0);
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(
        env.cloud.requests("s3:AbortMultipartUpload")[0].get("uploadId"),
        old
    );
}

#[tokio::test]
async fn a_run_that_cannot_start_names_the_previous_leftovers() {
    let env = TestEnv::new().await;
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    env.disk(22);
    let running = env.imgimport(COMMAND).start();
    gate.reached().await;
    env.cloud.wait_for_successes("s3:UploadPart", 2).await;
    running.kill().await;
    gate.release();
    env.cloud.clear_faults();

    let fault = Fault::on("sts:GetCallerIdentity");
    let fault = fault.answer(403, "InvalidClientTokenId", "not today");
    env.cloud.fault(fault);
    env.imgimport(COMMAND).output().await.code(1).stderr(
        "
        error: AWS does not accept the caller
          cause: not today (InvalidClientTokenId, request ID)
          left behind: the parts of s3://importbucket/imgimport-1767225600.raw that an earlier run has sent; remove it with: aws s3api abort-multipart-upload --bucket importbucket --key imgimport-1767225600.raw --upload-id UPLOAD
          hint: check the access key and the secret key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the profile
        ",
    );
    let sent = env.cloud.requests("s3:UploadPart").len();
    env.imgimport(COMMAND).output().await.code(0);
    assert!(env.cloud.requests("s3:UploadPart").len() - sent <= 3);
}

#[tokio::test]
async fn another_import_is_not_robbed_of_the_object_that_it_reads() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    env.imgimport("aws --bucket importbucket --key k --no-wait -q disk.raw")
        .output()
        .await
        .code(0);
    let run = env
        .imgimport("aws --bucket importbucket --key k --boot-mode uefi -q disk.raw")
        .output()
        .await;
    run.code(1).stderr(
        "
        error: s3://importbucket/k is still read by an earlier import, import-ami-TASK
          cause: that import was of another image, or was asked for differently
          left behind: the import task import-ami-TASK; remove it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1
          left behind: s3://importbucket/k; remove it with: aws s3 rm s3://importbucket/k
          hint: wait for it, give this one another --key, or cancel it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1
        ",
    );
    assert_eq!(env.cloud.s3().objects().len(), 1);
}

#[tokio::test]
async fn two_images_in_the_same_second_do_not_meet_under_one_name() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    let (one, two) = (env.disk(2), imgimport_sandbox::sample::raw(3 << 20));
    env.file("other.raw", &two);
    env.imgimport("aws --bucket importbucket --no-wait -q disk.raw")
        .output()
        .await
        .code(0);
    env.imgimport("aws --bucket importbucket --no-wait -q other.raw")
        .output()
        .await
        .code(0);
    gate.release();
    for (name, bytes) in [("disk.raw", one), ("other.raw", two)] {
        let run = env
            .imgimport(&format!("aws --bucket importbucket -q {name}"))
            .output()
            .await;
        run.code(0);
        assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(bytes));
    }
}

#[tokio::test]
async fn an_object_of_another_import_is_not_reused() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    env.file("other.raw", imgimport_sandbox::sample::raw(3 << 20));
    env.imgimport("aws --bucket importbucket --key k --no-wait -q disk.raw")
        .output()
        .await
        .code(0);
    env.imgimport("aws --bucket importbucket --key k -q other.raw")
        .output()
        .await
        .code(1)
        .stderr(
            "
        error: the object k is in use by another run
          cause: its import has not ended, as far as the journal knows
          hint: finish that run with its own command, or give this one another --key
        ",
        );
}

#[tokio::test]
async fn an_import_with_a_lost_response_is_cancelled_before_its_object_is_deleted() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    let answer = env.cloud.hold_answer(Fault::on("ec2:ImportImage"));
    env.disk(2);
    let running = env.imgimport(&format!("{COMMAND} --no-resume")).start();
    answer.reached().await;
    running.signal("INT");
    running
        .output()
        .await
        .code(130)
        .stdout("")
        .stderr("error: stopped");
    assert_eq!(env.cloud.ec2().import_tasks()[0].status, "deleted");
    assert!(env.cloud.s3().objects().is_empty());
}

#[tokio::test]
async fn ctrl_c_stops_a_run_that_waits_for_stdin() {
    let env = TestEnv::new().await;
    let fifo = env.path("pipe");
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
    let running = env
        .imgimport("aws --bucket importbucket -v -")
        .stdin(&fifo)
        .start();
    running.wait_until_listening().await;
    running.signal("INT");
    running.output().await.code(130).stdout("");
    drop(open);
}
