//! Uploads that are broken off, lied to, throttled and refused: what travels again, what
//! stays, and what is said.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use imgimport_sandbox::alibaba::REGION;
use imgimport_sandbox::{Fault, Gate, ImportScript, UploadView};
use serde_json::{Value, json};

use crate::support::{BUCKET, Ended, Run, Running, Stage};

/// A disk of 22 MiB is five parts, one on its way at a time.
const COMMAND: &str =
    "aws --bucket importbucket --key k --part-size 5MiB --concurrency 1 -q disk.raw";

const OTHER: &str =
    "aws --bucket importbucket --key other --part-size 5MiB --concurrency 1 -q disk.raw";

const ON_OSS: &str = "alicloud --bucket packer --key k.raw --image-name web --part-size 100KiB --concurrency 1 -q disk.raw";

/// A bucket in OSS, a role, imports that go through in two polls.
async fn oss() -> Stage {
    let stage = Stage::new().await;
    stage.cloud.oss().create_bucket("packer", REGION);
    stage.cloud.ram().put_import_role();
    stage.cloud.ram().set_delay(0);
    let quick = imgimport_sandbox::alibaba::ImportScript::quick();
    stage.cloud.ecs().import_script(quick);
    stage
}

/// Numbers of the parts that came since the first `skip` of them.
fn parts(stage: &Stage, operation: &str, skip: usize) -> Vec<u32> {
    let requests = stage.cloud.requests(operation).into_iter().skip(skip);
    let mut numbers: Vec<_> = requests
        .map(|request| request.get("partNumber").parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Kills the program once exactly the parts before `part` are acknowledged. The gate stays
/// shut, so that nothing of the dead program lands afterwards.
async fn killed_at(stage: &Stage, run: Run<'_>, operation: &str, part: u32) {
    let held = Fault::on(operation).with("partNumber", &part.to_string());
    let gate = stage.cloud.hold(held);
    let running = run.start();
    reached(&gate).await;
    running.kill().await;
    stage.cloud.clear_faults();
}

/// Longer than any story takes; a program that ends before the gate fails its story.
async fn reached(gate: &Gate) {
    let reached = tokio::time::timeout(Duration::from_secs(60), gate.reached()).await;
    reached.expect("the gate is reached");
}

/// Rewrites what the journal knows.
fn journal(stage: &Stage, change: impl FnOnce(&mut Value)) {
    let paths = stage.journal();
    let path = paths
        .iter()
        .find(|path| path.extension() == Some("json".as_ref()));
    let path = path.expect("a journal");
    let mut entry = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut entry);
    fs::write(path, serde_json::to_vec(&entry).unwrap()).unwrap();
}

/// The program ended well, with all bytes where they belong and nothing else left.
#[track_caller]
fn arrived_whole(stage: &Stage, run: &Ended, disk: Vec<u8>) {
    run.exits(0).prints("ami-ID");
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    assert!(stage.cloud.s3().objects().is_empty());
    assert!(stage.journal().is_empty());
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_does_not_travel_again() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 4).await;
    assert_eq!(parts(&stage, "s3:UploadPart", 0), [1, 2, 3, 4]);
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, disk);
    assert_eq!(parts(&stage, "s3:UploadPart", 4), [4, 5]);
    assert!(stage.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn where_no_checksum_is_shown_the_parts_tags_prove_what_is_there() {
    let stage = Stage::new().await;
    let mut disk = stage.disk(22);
    stage.cloud.s3().show_no_checksums();
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 4).await;
    let gate = stage.cloud.hold(Fault::on("ec2:ImportImage"));
    let running = stage.imgimport(COMMAND).start();
    reached(&gate).await;
    running.kill().await;
    stage.cloud.clear_faults();
    assert_eq!(parts(&stage, "s3:UploadPart", 4), [4, 5]);

    let elsewhere = stage.path("elsewhere").display().to_string();
    let again = stage
        .imgimport(COMMAND)
        .env("XDG_STATE_HOME", &elsewhere)
        .ends()
        .await;
    again.exits(0);
    assert_eq!(stage.cloud.ec2().arrived(&again.raw), Some(disk.clone()));
    assert_eq!(parts(&stage, "s3:UploadPart", 6), [0_u32; 0]);

    killed_at(&stage, stage.imgimport(OTHER), "s3:UploadPart", 4).await;
    disk[(5 << 20) + 7] ^= 1;
    stage.file("disk.raw", &disk);
    let run = stage.imgimport(OTHER).env("XDG_STATE_HOME", &elsewhere);
    let run = run.ends().await;
    run.exits(0);
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    assert_eq!(parts(&stage, "s3:UploadPart", 10), [2, 4, 5]);
}

#[tokio::test]
async fn a_lost_answer_to_the_end_is_found_out_by_the_parts_tags() {
    let stage = Stage::new().await;
    let disk = stage.disk(12);
    stage.cloud.s3().show_no_checksums();
    let lost = Fault::on("s3:CompleteMultipartUpload").cut_answer();
    stage.cloud.fault(lost);
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, disk);
}

#[tokio::test]
async fn the_parts_of_every_page_of_the_list_do_not_travel_again() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 5).await;
    stage.cloud.s3().list_in_pages_of(2);
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, disk);
    assert_eq!(parts(&stage, "s3:UploadPart", 5), [5]);
    assert_eq!(stage.cloud.requests("s3:ListParts").len(), 2);
}

#[tokio::test]
async fn another_machine_goes_on_with_the_parts_of_the_same_key() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 4).await;
    let elsewhere = stage.path("elsewhere").display().to_string();
    let run = stage
        .imgimport(&COMMAND.replace(" -q", ""))
        .env("XDG_STATE_HOME", &elsewhere);
    let run = run.ends().await;
    run.exits(0).prints("ami-ID");
    assert!(
        run.stderr
            .contains("an unfinished upload of this key is there: it is gone on with"),
        "{}",
        run.stderr
    );
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    assert_eq!(parts(&stage, "s3:UploadPart", 4), [4, 5]);
    assert!(stage.cloud.s3().uploads().is_empty());
}

/// Two machines with the same key: each sends the last part, and the second has the upload
/// of the first.
async fn both_at_the_last_part<'a>(stage: &'a Stage) -> [(Running<'a>, Gate); 2] {
    let last = || Fault::on("s3:UploadPart").with("partNumber", "5");
    let (first, second) = (stage.cloud.hold(last()), stage.cloud.hold(last().nth(2)));
    let run = stage.imgimport(COMMAND).start();
    reached(&first).await;
    let elsewhere = stage.path("elsewhere").display().to_string();
    let other = stage.imgimport(&COMMAND.replace(" -q", ""));
    let other = other.env("XDG_STATE_HOME", &elsewhere).start();
    reached(&second).await;
    [(run, first), (other, second)]
}

#[tokio::test]
async fn an_upload_that_another_machine_completes_is_not_sent_again() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    let [(first, one), (mut second, other)] = both_at_the_last_part(&stage).await;
    let import = stage.cloud.hold(Fault::on("ec2:ImportImage"));
    // Each import is over before the object goes.
    let removal = stage.cloud.hold(Fault::on("s3:DeleteObject").times(2));
    one.release();
    reached(&import).await;
    other.release();
    let text = second
        .says("s3://importbucket/k is there from an earlier run")
        .await;
    assert!(
        text.contains("another run has completed or aborted the upload to s3://importbucket/k"),
        "{text}"
    );
    import.release();
    removal.reached_by(2).await;
    removal.release();
    let (first, second) = tokio::join!(first.ends(), second.ends());
    for run in [first, second] {
        arrived_whole(&stage, &run, disk.clone());
    }
    assert_eq!(parts(&stage, "s3:UploadPart", 0), [1, 2, 3, 4, 5, 5]);
}

#[tokio::test]
async fn an_object_that_another_machine_has_imported_and_removed_is_sent_again() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    let [(first, one), (second, other)] = both_at_the_last_part(&stage).await;
    one.release();
    arrived_whole(&stage, &first.ends().await, disk.clone());
    other.release();
    arrived_whole(&stage, &second.ends().await, disk);
    assert_eq!(parts(&stage, "s3:UploadPart", 6), [1, 2, 3, 4, 5]);
    assert!(stage.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn another_machine_finds_the_finished_object_of_the_same_key() {
    let stage = Stage::new().await;
    let disk = stage.disk(12);
    let gate = stage.cloud.hold(Fault::on("ec2:ImportImage"));
    let running = stage.imgimport(COMMAND).start();
    reached(&gate).await;
    running.kill().await;
    stage.cloud.clear_faults();
    let elsewhere = stage.path("elsewhere").display().to_string();
    let run = stage.imgimport(COMMAND);
    let run = run.env("XDG_STATE_HOME", &elsewhere).ends().await;
    run.exits(0).prints("ami-ID");
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    assert_eq!(parts(&stage, "s3:UploadPart", 3), [0_u32; 0]);
}

#[tokio::test]
async fn what_another_machine_began_of_another_image_is_not_believed() {
    let stage = Stage::new().await;
    stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 4).await;
    let mut disk = stage.disk(22);
    disk[(5 << 20) + 7] ^= 1;
    stage.file("disk.raw", &disk);
    let elsewhere = stage.path("elsewhere").display().to_string();
    let run = stage.imgimport(COMMAND);
    let run = run.env("XDG_STATE_HOME", &elsewhere).ends().await;
    run.exits(0).prints("ami-ID");
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    assert_eq!(parts(&stage, "s3:UploadPart", 4), [2, 4, 5]);
}

#[tokio::test]
async fn of_more_than_a_thousand_parts_in_oss_those_that_are_there_do_not_travel_again() {
    let stage = oss().await;
    let disk = stage.disk(110);
    killed_at(&stage, stage.alicloud(ON_OSS), "oss:UploadPart", 1050).await;
    let sent = stage.cloud.requests("oss:UploadPart").len();
    assert_eq!(sent, 1050);
    let run = stage.alicloud(ON_OSS).ends().await;
    run.exits(0);
    assert_eq!(
        parts(&stage, "oss:UploadPart", sent),
        (1050..=1127).collect::<Vec<_>>()
    );
    assert_eq!(stage.cloud.requests("oss:ListParts").len(), 2, "two pages");
    assert_eq!(stage.cloud.ecs().arrived(&run.raw), Some(disk));
    assert!(stage.cloud.oss().uploads().is_empty());
}

#[tokio::test]
async fn a_kill_after_the_object_was_made_does_not_send_it_again() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    let gate = stage
        .cloud
        .hold_answer(Fault::on("s3:CompleteMultipartUpload"));
    let running = stage.imgimport(COMMAND).start();
    reached(&gate).await;
    running.kill().await;
    assert_eq!(stage.cloud.s3().objects().len(), 1);
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, disk);
    assert_eq!(parts(&stage, "s3:UploadPart", 5), [0_u32; 0]);
}

#[tokio::test]
async fn a_kill_after_the_object_was_made_in_oss_does_not_send_it_again() {
    let stage = oss().await;
    let disk = stage.disk(2);
    let gate = stage
        .cloud
        .hold_answer(Fault::on("oss:CompleteMultipartUpload"));
    let running = stage.alicloud(ON_OSS).start();
    reached(&gate).await;
    running.kill().await;
    let run = stage.alicloud(ON_OSS).ends().await;
    run.exits(0);
    assert_eq!(stage.cloud.ecs().arrived(&run.raw), Some(disk));
    assert_eq!(parts(&stage, "oss:UploadPart", 21), [0_u32; 0]);
}

#[tokio::test]
async fn an_object_that_lies_there_with_other_bytes_is_not_taken_for_the_finished_one() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 4).await;
    stage.cloud.s3().expire_uploads();
    let other = vec![7; disk.len()];
    stage.cloud.s3().put(BUCKET, "k", &other).unwrap();
    let run = stage.imgimport(&COMMAND.replace(" -q", "")).ends().await;
    arrived_whole(&stage, &run, disk);
    assert!(
        run.stderr
            .contains("the parts of the earlier run are gone: all of it is sent"),
        "{}",
        run.stderr
    );
    assert_eq!(parts(&stage, "s3:UploadPart", 4), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_journal_that_names_the_upload_of_another_key_is_not_believed() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 3).await;
    let other = COMMAND.replace("--key k", "--key other");
    let home = stage.path("elsewhere").display().to_string();
    let elsewhere = stage.imgimport(&other).env("XDG_STATE_HOME", &home);
    killed_at(&stage, elsewhere, "s3:UploadPart", 4).await;
    let uploads = stage.cloud.s3().uploads();
    let foreign = uploads.iter().find(|upload| upload.key == "other").unwrap();
    journal(&stage, |entry| entry["upload"] = json!(foreign.upload_id));
    let run = stage.imgimport(COMMAND).ends().await;
    run.exits(0);
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    assert_eq!(parts(&stage, "s3:UploadPart", 7), [1, 2, 3, 4, 5]);
    let kept = stage.cloud.s3().uploads();
    let kept = kept.iter().find(|upload| upload.key == "other");
    assert_eq!(kept.map(|upload| upload.parts.len()), Some(3));
}

#[tokio::test]
async fn another_encryption_is_another_upload() {
    let stage = Stage::new().await;
    stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 3).await;
    let encrypted = COMMAND.replace("-q", "-q --s3-encryption AES256");
    let sent = parts(&stage, "s3:UploadPart", 0).len();
    stage.imgimport(&encrypted).ends().await.exits(0).says("");
    assert_eq!(parts(&stage, "s3:UploadPart", sent), [1, 2, 3, 4, 5]);
    let begun = stage.cloud.requests("s3:CreateMultipartUpload");
    assert_eq!(begun[1].get("x-amz-server-side-encryption"), "AES256");
    let left = stage.imgimport("jobs").ends().await;
    assert!(
        left.stdout.contains("parts of s3://importbucket/k"),
        "{}",
        left.stdout
    );
}

#[tokio::test]
async fn a_journal_of_nonsense_is_none() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 3).await;
    for path in stage.journal() {
        fs::write(path, "{\"upload\": 17, nonsense").unwrap();
    }
    let run = stage.imgimport(COMMAND).ends().await;
    run.says("");
    arrived_whole(&stage, &run, disk);
}

#[tokio::test]
async fn a_journal_that_calls_an_object_sent_which_is_not_there_is_not_believed() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 3).await;
    journal(&stage, |entry| {
        (entry["sent"], entry["upload"]) = (json!(true), Value::Null);
    });
    stage.cloud.s3().expire_uploads();
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, disk);
    assert_eq!(parts(&stage, "s3:UploadPart", 3), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_journal_that_names_a_task_that_does_not_exist_is_not_believed() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    let disk = stage.disk(22);
    let running = stage.imgimport(COMMAND).start();
    reached(&gate).await;
    running.kill().await;
    gate.release();
    journal(&stage, |entry| {
        entry["task"] = json!("import-ami-0123456789abcdef0");
    });
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, disk);
    assert_eq!(parts(&stage, "s3:UploadPart", 5), [0_u32; 0], "it was sent");
}

#[tokio::test]
async fn a_file_that_grows_while_it_is_read_is_no_object() {
    let stage = Stage::new().await;
    stage.disk(22);
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3"));
    let running = stage.imgimport(COMMAND).start();
    reached(&gate).await;
    let mut file = OpenOptions::new()
        .append(true)
        .open(stage.path("disk.raw"))
        .unwrap();
    file.write_all(b"more").unwrap();
    gate.release();
    running.ends().await.exits(1).prints("").says(
        "
        error: the image changed while it was read
          cause: it had 23068672 bytes and has 23068676
          left behind: 5 parts of s3://importbucket/k (22.0 MiB); remove it with: aws s3api abort-multipart-upload --bucket importbucket --key k --upload-id UPLOAD
          hint: stop what writes to it, or make a copy, and run the command again
        ",
    );
    assert!(stage.cloud.s3().objects().is_empty());
    assert!(
        stage
            .cloud
            .requests("s3:CompleteMultipartUpload")
            .is_empty()
    );
}

#[tokio::test]
async fn a_file_that_is_written_to_while_it_is_read_is_no_object() {
    let stage = Stage::new().await;
    stage.disk(22);
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3"));
    let running = stage.imgimport(COMMAND).start();
    reached(&gate).await;
    let file = OpenOptions::new()
        .write(true)
        .open(stage.path("disk.raw"))
        .unwrap();
    file.write_all_at(b"other", 0).unwrap();
    gate.release();
    running.ends().await.exits(1).prints("").says(
        "
        error: the image changed while it was read
          cause: somebody wrote to it
          left behind: 5 parts of s3://importbucket/k (22.0 MiB); remove it with: aws s3api abort-multipart-upload --bucket importbucket --key k --upload-id UPLOAD
          hint: stop what writes to it, or make a copy, and run the command again
        ",
    );
    assert!(stage.cloud.s3().objects().is_empty());

    let disk = fs::read(stage.path("disk.raw")).unwrap();
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, disk);
}

#[tokio::test]
async fn a_storm_of_slow_down_narrows_the_window_and_passes() {
    let stage = Stage::new().await;
    let disk = stage.disk(42);
    stage
        .cloud
        .fault(Fault::on("s3:UploadPart").nth(2).times(8).answer(
            503,
            "SlowDown",
            "Please reduce your request rate.",
        ));
    let command = "aws --bucket importbucket --part-size 5MiB --concurrency 4 disk.raw";
    let run = stage.imgimport(command).ends().await;
    arrived_whole(&stage, &run, disk);
    for told in [
        "the service asks to slow down: 2 parts at once for now",
        "Please reduce your request rate (SlowDown, request ID); again in TIME",
    ] {
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    assert_eq!(stage.cloud.requests("s3:UploadPart").len(), 9 + 8);
}

#[tokio::test]
async fn credentials_that_expire_on_the_way_are_renewed() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    stage.cloud.iam().put_role(
        "builder",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    );
    let command = format!("{COMMAND} --assume-role-arn arn:aws:iam::123456789012:role/builder");
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3"));
    let running = stage.imgimport(&command).start();
    reached(&gate).await;
    let roles = stage.cloud.requests("sts:AssumeRole").len();
    stage.cloud.expire_sessions();
    gate.release();
    // The upload is all of it: EC2's client still has the credentials of the beginning.
    let ended = running.ends().await;
    let sent = stage.cloud.requests("s3:UploadPart");
    let refused = sent.iter().filter(|part| !part.succeeded()).count();
    assert!(refused > 0 && sent.len() - refused == 5, "{}", ended.stderr);
    assert_eq!(stage.cloud.requests("sts:AssumeRole").len(), roles + 1);
    let run = match ended.code {
        Some(0) => ended,
        _ => stage.imgimport(&command).ends().await,
    };
    arrived_whole(&stage, &run, disk);
    assert_eq!(stage.cloud.requests("s3:UploadPart").len(), sent.len());
}

#[tokio::test]
async fn a_refused_part_ends_the_upload_at_once() {
    let stage = Stage::new().await;
    stage.disk(22);
    stage.cloud.fault(Fault::on("s3:UploadPart").nth(3).answer(
        403,
        "AccessDenied",
        "Access Denied",
    ));
    let run = stage.imgimport(COMMAND).ends().await;
    run.exits(1).prints("").says(
        "
        error: part 3 of 5 could not be sent
          cause: Access Denied (AccessDenied, request ID)
          left behind: 2 parts of s3://importbucket/k (10.0 MiB); remove it with: aws s3api abort-multipart-upload --bucket importbucket --key k --upload-id UPLOAD
          hint: allow the caller s3:PutObject and s3:ListMultipartUploadParts: {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:PutObject\",\"s3:ListMultipartUploadParts\"],\"Resource\":\"arn:aws:s3:::importbucket/k\"}]}
        ",
    );
    assert_eq!(parts(&stage, "s3:UploadPart", 0), [1, 2, 3]);
}

#[tokio::test]
async fn a_connection_that_ends_in_the_middle_of_a_part_is_replaced() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    stage.cloud.fault(
        Fault::on("s3:UploadPart")
            .with("partNumber", "2")
            .times(2)
            .cut_after(1 << 20),
    );
    stage.cloud.fault(
        Fault::on("s3:UploadPart")
            .with("partNumber", "4")
            .cut_answer(),
    );
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, disk);
    assert_eq!(parts(&stage, "s3:UploadPart", 0), [1, 2, 2, 2, 3, 4, 4, 5]);
}

#[tokio::test]
async fn a_part_of_which_no_byte_moves_is_sent_again_and_that_is_said() {
    let stage = Stage::new().await;
    let disk = stage.disk(12);
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "2"));
    let command = COMMAND.replace(" -q", " --stall-timeout 500ms");
    let run = stage.imgimport(&command).ends().await;
    gate.release();
    run.exits(0).prints("ami-ID");
    assert!(
        run.stderr
            .contains("  part 2, try 1: no byte moved for 0.5 s; again in "),
        "{}",
        run.stderr
    );
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    assert_eq!(parts(&stage, "s3:UploadPart", 0), [1, 2, 2, 3]);
}

#[tokio::test]
async fn without_resume_nothing_is_left_whatever_the_end() {
    let ends = [
        ("s3:UploadPart", 3),
        ("s3:CompleteMultipartUpload", 1),
        ("ec2:ImportImage", 1),
    ];
    for (operation, nth) in ends {
        let stage = Stage::new().await;
        stage.disk(22);
        let refusal = Fault::on(operation).nth(nth).always();
        stage
            .cloud
            .fault(refusal.answer(403, "AccessDenied", "Access Denied"));
        let run = stage.imgimport(&format!("{COMMAND} --no-resume")).ends();
        let run = run.await;
        run.exits(1).prints("");
        assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
        nothing_is_left(&stage);
    }
    let stage = Stage::new().await;
    stage.disk(22);
    let fails = ImportScript::quick().fail("ClientError: Unknown OS");
    stage.cloud.import_script(fails);
    let run = stage.imgimport(&format!("{COMMAND} --no-resume")).ends();
    run.await.exits(1).prints("");
    nothing_is_left(&stage);
    for signal in ["INT", "TERM"] {
        for operation in ["s3:UploadPart", "s3:CompleteMultipartUpload"] {
            let stage = Stage::new().await;
            stage.disk(22);
            let gate = stage.cloud.hold(Fault::on(operation));
            let running = stage.imgimport(&format!("{COMMAND} --no-resume")).start();
            reached(&gate).await;
            running.signal(signal);
            running.ends().await.prints("").says("error: stopped");
            nothing_is_left(&stage);
        }
    }
}

#[track_caller]
fn nothing_is_left(stage: &Stage) {
    assert!(stage.cloud.s3().uploads().is_empty());
    assert!(stage.cloud.s3().objects().is_empty());
    assert!(stage.journal().is_empty());
    let tasks = stage.cloud.ec2().import_tasks();
    assert!(
        tasks.iter().all(|task| task.status == "deleted"),
        "{tasks:?}"
    );
}

#[tokio::test]
async fn two_runs_to_two_keys_do_not_stand_in_each_others_way() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3"));
    let first = stage.imgimport(COMMAND).start();
    reached(&gate).await;
    let second = stage.imgimport(&COMMAND.replace("--key k", "--key second"));
    let second = second.ends().await;
    second.exits(0).prints("ami-ID");
    gate.release();
    arrived_whole(&stage, &first.ends().await, disk);
}

#[tokio::test]
async fn an_upload_whose_beginning_went_unheard_is_found_and_no_second_one_stays() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    stage
        .cloud
        .fault(Fault::on("s3:CreateMultipartUpload").cut_answer());
    let run = stage
        .imgimport("aws --bucket importbucket -q disk.raw")
        .ends()
        .await;
    arrived_whole(&stage, &run, disk);
    assert_eq!(stage.cloud.requests("s3:CreateMultipartUpload").len(), 1);
    assert!(stage.cloud.s3().uploads().is_empty(), "nothing stays open");

    let stage = oss().await;
    let disk = stage.disk(2);
    stage
        .cloud
        .fault(Fault::on("oss:InitiateMultipartUpload").cut_answer());
    let run = stage.alicloud("alicloud --bucket packer --image-name web -q disk.raw");
    let run = run.ends().await;
    run.exits(0);
    assert_eq!(stage.cloud.ecs().arrived(&run.raw), Some(disk));
    let begun = stage.cloud.requests("oss:InitiateMultipartUpload").len();
    assert_eq!(begun, 1);
    assert!(stage.cloud.oss().uploads().is_empty(), "nothing stays open");
}

#[tokio::test]
async fn who_may_not_list_uploads_begins_another_one_after_a_lost_answer() {
    let stage = Stage::new().await;
    let disk = stage.disk(22);
    stage
        .cloud
        .fault(Fault::on("s3:CreateMultipartUpload").cut_answer());
    let denied = Fault::on("s3:ListMultipartUploads").always();
    stage.cloud.fault(denied.answer(403, "AccessDenied", "no"));
    let run = stage
        .imgimport("aws --bucket importbucket -q disk.raw")
        .ends()
        .await;
    arrived_whole(&stage, &run, disk);
    assert_eq!(stage.cloud.requests("s3:CreateMultipartUpload").len(), 2);
}

#[tokio::test]
async fn a_stop_while_the_upload_begins_leaves_no_empty_one_behind() {
    let stage = Stage::new().await;
    stage.disk(22);
    let answer = stage
        .cloud
        .hold_answer(Fault::on("s3:CreateMultipartUpload"));
    let running = stage
        .imgimport("aws --bucket importbucket -q disk.raw")
        .start();
    reached(&answer).await;
    running.signal("INT");
    let run = running.ends().await;
    run.exits(130).prints("").says("error: stopped");
    assert!(stage.cloud.s3().uploads().is_empty(), "nothing stays open");
}

#[tokio::test]
async fn a_beginning_that_never_arrived_takes_no_other_runs_upload_for_its_own() {
    let stage = Stage::new().await;
    stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 4).await;
    let others = stage.cloud.s3().uploads();
    stage
        .cloud
        .fault(Fault::on("s3:CreateMultipartUpload").cut_after(0));
    let run = stage.imgimport(&format!("{COMMAND} --no-resume"));
    let run = run.ends().await;
    run.exits(0).prints("ami-ID").says("");
    assert_eq!(parts(&stage, "s3:UploadPart", 4), [1, 2, 3, 4, 5]);
    let there = stage.cloud.s3().uploads();
    let sizes = |uploads: &[UploadView]| {
        uploads
            .iter()
            .map(|one| one.parts.len())
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(&there), sizes(&others), "the other run's parts stay");
    assert_eq!(sizes(&there), [3]);
}
