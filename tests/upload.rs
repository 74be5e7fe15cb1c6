//! Uploads that are broken off, lied to, throttled and refused: what travels again, what
//! stays, and what is said.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use imgimport_sandbox::alibaba::REGION;
use imgimport_sandbox::{Fault, Gate, ImportScript, UploadView};
use serde_json::{Value, json};

use crate::support::{BUCKET, Cmd, Output, RunningCmd, TestEnv};

/// A disk of 22 MiB is five parts, one on its way at a time.
const COMMAND: &str =
    "aws --bucket importbucket --key k --part-size 5MiB --concurrency 1 -q disk.raw";

const OTHER: &str =
    "aws --bucket importbucket --key other --part-size 5MiB --concurrency 1 -q disk.raw";

const ON_OSS: &str = "alicloud --bucket packer --key k.raw --image-name web --part-size 100KiB --concurrency 1 -q disk.raw";

/// A bucket in OSS, a role, imports that go through in two polls.
async fn oss() -> TestEnv {
    let env = TestEnv::new().await;
    env.cloud.oss().create_bucket("packer", REGION);
    env.cloud.ram().put_import_role();
    env.cloud.ram().set_delay(0);
    let quick = imgimport_sandbox::alibaba::ImportScript::quick();
    env.cloud.ecs().import_script(quick);
    env
}

/// Numbers of the parts that came since the first `skip` of them.
fn sent_parts(env: &TestEnv, operation: &str, skip: usize) -> Vec<u32> {
    let requests = env.cloud.requests(operation).into_iter().skip(skip);
    let mut numbers: Vec<_> = requests
        .map(|request| request.get("partNumber").parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Kills the program once exactly the parts before `part` are acknowledged. The gate stays
/// shut, so that nothing of the dead program lands afterwards.
async fn killed_at(env: &TestEnv, run: Cmd<'_>, operation: &str, part: u32) {
    let held = Fault::on(operation).with("partNumber", &part.to_string());
    let gate = env.cloud.hold(held);
    let running = run.start();
    reached(&gate).await;
    running.kill().await;
    env.cloud.clear_faults();
}

/// Longer than any story takes; a program that ends before the gate fails its story.
async fn reached(gate: &Gate) {
    let reached = tokio::time::timeout(Duration::from_secs(60), gate.reached()).await;
    reached.expect("the gate is reached");
}

/// Rewrites what the journal knows.
fn edit_journal(env: &TestEnv, change: impl FnOnce(&mut Value)) {
    let paths = env.journal();
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
fn assert_imported(env: &TestEnv, run: &Output, disk: Vec<u8>) {
    run.code(0).stdout("ami-ID");
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert!(env.cloud.s3().objects().is_empty());
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_rerun_after_a_kill_sends_no_acknowledged_part_again() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    killed_at(&env, env.imgimport(COMMAND), "s3:UploadPart", 4).await;
    assert_eq!(sent_parts(&env, "s3:UploadPart", 0), [1, 2, 3, 4]);
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, disk);
    assert_eq!(sent_parts(&env, "s3:UploadPart", 4), [4, 5]);
    assert!(env.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn without_listed_checksums_the_parts_are_verified_by_etag() {
    let env = TestEnv::new().await;
    let mut disk = env.disk(22);
    env.cloud.s3().hide_checksums();
    killed_at(&env, env.imgimport(COMMAND), "s3:UploadPart", 4).await;
    let gate = env.cloud.hold(Fault::on("ec2:ImportImage"));
    let running = env.imgimport(COMMAND).start();
    reached(&gate).await;
    running.kill().await;
    env.cloud.clear_faults();
    assert_eq!(sent_parts(&env, "s3:UploadPart", 4), [4, 5]);

    let elsewhere = env.path("elsewhere").display().to_string();
    let again = env
        .imgimport(COMMAND)
        .env("XDG_STATE_HOME", &elsewhere)
        .output()
        .await;
    again.code(0);
    assert_eq!(
        env.cloud.ec2().imported_bytes(&again.stdout_raw),
        Some(disk.clone())
    );
    assert_eq!(sent_parts(&env, "s3:UploadPart", 6), [0_u32; 0]);

    killed_at(&env, env.imgimport(OTHER), "s3:UploadPart", 4).await;
    disk[(5 << 20) + 7] ^= 1;
    env.file("disk.raw", &disk);
    let run = env.imgimport(OTHER).env("XDG_STATE_HOME", &elsewhere);
    let run = run.output().await;
    run.code(0);
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(sent_parts(&env, "s3:UploadPart", 10), [2, 4, 5]);
}

#[tokio::test]
async fn a_lost_answer_to_the_end_is_found_out_by_the_parts_tags() {
    let env = TestEnv::new().await;
    let disk = env.disk(12);
    env.cloud.s3().hide_checksums();
    let lost = Fault::on("s3:CompleteMultipartUpload").cut_answer();
    env.cloud.fault(lost);
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, disk);
}

#[tokio::test]
async fn parts_of_every_list_page_are_not_sent_again() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    killed_at(&env, env.imgimport(COMMAND), "s3:UploadPart", 5).await;
    env.cloud.s3().set_page_size(2);
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, disk);
    assert_eq!(sent_parts(&env, "s3:UploadPart", 5), [5]);
    assert_eq!(env.cloud.requests("s3:ListParts").len(), 2);
}

#[tokio::test]
async fn another_machine_goes_on_with_the_parts_of_the_same_key() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    killed_at(&env, env.imgimport(COMMAND), "s3:UploadPart", 4).await;
    let elsewhere = env.path("elsewhere").display().to_string();
    let run = env
        .imgimport(&COMMAND.replace(" -q", ""))
        .env("XDG_STATE_HOME", &elsewhere);
    let run = run.output().await;
    run.code(0).stdout("ami-ID");
    assert!(
        run.stderr
            .contains("an unfinished upload of this key is there: it is gone on with"),
        "{}",
        run.stderr
    );
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(sent_parts(&env, "s3:UploadPart", 4), [4, 5]);
    assert!(env.cloud.s3().uploads().is_empty());
}

/// Two machines with the same key: each sends the last part, and the second has the upload
/// of the first.
async fn both_at_the_last_part(env: &TestEnv) -> [(RunningCmd<'_>, Gate); 2] {
    let last = || Fault::on("s3:UploadPart").with("partNumber", "5");
    let (first, second) = (env.cloud.hold(last()), env.cloud.hold(last().nth(2)));
    let run = env.imgimport(COMMAND).start();
    reached(&first).await;
    let elsewhere = env.path("elsewhere").display().to_string();
    let other = env.imgimport(&COMMAND.replace(" -q", ""));
    let other = other.env("XDG_STATE_HOME", &elsewhere).start();
    reached(&second).await;
    [(run, first), (other, second)]
}

#[tokio::test]
async fn an_upload_that_another_machine_completes_is_not_sent_again() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    let [(first, one), (mut second, other)] = both_at_the_last_part(&env).await;
    let import = env.cloud.hold(Fault::on("ec2:ImportImage"));
    // Each import is over before the object goes.
    let removal = env.cloud.hold(Fault::on("s3:DeleteObject").times(2));
    one.release();
    reached(&import).await;
    other.release();
    let text = second
        .wait_for_stderr("s3://importbucket/k is there from an earlier run")
        .await;
    assert!(
        text.contains("another run has completed or aborted the upload to s3://importbucket/k"),
        "{text}"
    );
    import.release();
    removal.reached_by(2).await;
    removal.release();
    let (first, second) = tokio::join!(first.output(), second.output());
    for run in [first, second] {
        assert_imported(&env, &run, disk.clone());
    }
    assert_eq!(sent_parts(&env, "s3:UploadPart", 0), [1, 2, 3, 4, 5, 5]);
}

#[tokio::test]
async fn an_object_that_another_machine_has_imported_and_removed_is_sent_again() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    let [(first, one), (second, other)] = both_at_the_last_part(&env).await;
    one.release();
    assert_imported(&env, &first.output().await, disk.clone());
    other.release();
    assert_imported(&env, &second.output().await, disk);
    assert_eq!(sent_parts(&env, "s3:UploadPart", 6), [1, 2, 3, 4, 5]);
    assert!(env.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn another_machine_finds_the_finished_object_of_the_same_key() {
    let env = TestEnv::new().await;
    let disk = env.disk(12);
    let gate = env.cloud.hold(Fault::on("ec2:ImportImage"));
    let running = env.imgimport(COMMAND).start();
    reached(&gate).await;
    running.kill().await;
    env.cloud.clear_faults();
    let elsewhere = env.path("elsewhere").display().to_string();
    let run = env.imgimport(COMMAND);
    let run = run.env("XDG_STATE_HOME", &elsewhere).output().await;
    run.code(0).stdout("ami-ID");
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(sent_parts(&env, "s3:UploadPart", 3), [0_u32; 0]);
}

#[tokio::test]
async fn an_upload_of_another_image_is_not_resumed() {
    let env = TestEnv::new().await;
    env.disk(22);
    killed_at(&env, env.imgimport(COMMAND), "s3:UploadPart", 4).await;
    let mut disk = env.disk(22);
    disk[(5 << 20) + 7] ^= 1;
    env.file("disk.raw", &disk);
    let elsewhere = env.path("elsewhere").display().to_string();
    let run = env.imgimport(COMMAND);
    let run = run.env("XDG_STATE_HOME", &elsewhere).output().await;
    run.code(0).stdout("ami-ID");
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(sent_parts(&env, "s3:UploadPart", 4), [2, 4, 5]);
}

#[tokio::test]
async fn more_than_1000_parts_in_oss_are_not_sent_again() {
    let env = oss().await;
    let disk = env.disk(110);
    killed_at(&env, env.alicloud(ON_OSS), "oss:UploadPart", 1050).await;
    let sent = env.cloud.requests("oss:UploadPart").len();
    assert_eq!(sent, 1050);
    let run = env.alicloud(ON_OSS).output().await;
    run.code(0);
    assert_eq!(
        sent_parts(&env, "oss:UploadPart", sent),
        (1050..=1127).collect::<Vec<_>>()
    );
    assert_eq!(env.cloud.requests("oss:ListParts").len(), 2, "two pages");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    assert!(env.cloud.oss().uploads().is_empty());
}

#[tokio::test]
async fn a_kill_after_the_object_was_made_does_not_send_it_again() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    let gate = env
        .cloud
        .hold_answer(Fault::on("s3:CompleteMultipartUpload"));
    let running = env.imgimport(COMMAND).start();
    reached(&gate).await;
    running.kill().await;
    assert_eq!(env.cloud.s3().objects().len(), 1);
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, disk);
    assert_eq!(sent_parts(&env, "s3:UploadPart", 5), [0_u32; 0]);
}

#[tokio::test]
async fn a_kill_after_the_object_was_made_in_oss_does_not_send_it_again() {
    let env = oss().await;
    let disk = env.disk(2);
    let gate = env
        .cloud
        .hold_answer(Fault::on("oss:CompleteMultipartUpload"));
    let running = env.alicloud(ON_OSS).start();
    reached(&gate).await;
    running.kill().await;
    let run = env.alicloud(ON_OSS).output().await;
    run.code(0);
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(sent_parts(&env, "oss:UploadPart", 21), [0_u32; 0]);
}

#[tokio::test]
async fn an_object_with_other_bytes_is_not_taken_as_finished() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    killed_at(&env, env.imgimport(COMMAND), "s3:UploadPart", 4).await;
    env.cloud.s3().expire_uploads();
    let other = vec![7; disk.len()];
    env.cloud.s3().put(BUCKET, "k", &other).unwrap();
    let run = env.imgimport(&COMMAND.replace(" -q", "")).output().await;
    assert_imported(&env, &run, disk);
    assert!(
        run.stderr
            .contains("the parts of the earlier run are gone: all of it is sent"),
        "{}",
        run.stderr
    );
    assert_eq!(sent_parts(&env, "s3:UploadPart", 4), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_journal_that_names_the_upload_of_another_key_is_not_believed() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    killed_at(&env, env.imgimport(COMMAND), "s3:UploadPart", 3).await;
    let other = COMMAND.replace("--key k", "--key other");
    let home = env.path("elsewhere").display().to_string();
    let elsewhere = env.imgimport(&other).env("XDG_STATE_HOME", &home);
    killed_at(&env, elsewhere, "s3:UploadPart", 4).await;
    let uploads = env.cloud.s3().uploads();
    let foreign = uploads.iter().find(|upload| upload.key == "other").unwrap();
    edit_journal(&env, |entry| entry["upload"] = json!(foreign.upload_id));
    let run = env.imgimport(COMMAND).output().await;
    run.code(0);
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(sent_parts(&env, "s3:UploadPart", 7), [1, 2, 3, 4, 5]);
    let kept = env.cloud.s3().uploads();
    let kept = kept.iter().find(|upload| upload.key == "other");
    assert_eq!(kept.map(|upload| upload.parts.len()), Some(3));
}

#[tokio::test]
async fn another_encryption_is_another_upload() {
    let env = TestEnv::new().await;
    env.disk(22);
    killed_at(&env, env.imgimport(COMMAND), "s3:UploadPart", 3).await;
    let encrypted = COMMAND.replace("-q", "-q --s3-encryption AES256");
    let sent = sent_parts(&env, "s3:UploadPart", 0).len();
    env.imgimport(&encrypted).output().await.code(0).stderr("");
    assert_eq!(sent_parts(&env, "s3:UploadPart", sent), [1, 2, 3, 4, 5]);
    let begun = env.cloud.requests("s3:CreateMultipartUpload");
    assert_eq!(begun[1].get("x-amz-server-side-encryption"), "AES256");
    let left = env.imgimport("jobs").output().await;
    assert!(
        left.stdout.contains("parts of s3://importbucket/k"),
        "{}",
        left.stdout
    );
}

#[tokio::test]
async fn a_journal_of_nonsense_is_none() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    killed_at(&env, env.imgimport(COMMAND), "s3:UploadPart", 3).await;
    for path in env.journal() {
        fs::write(path, "{\"upload\": 17, nonsense").unwrap();
    }
    let run = env.imgimport(COMMAND).output().await;
    run.stderr("");
    assert_imported(&env, &run, disk);
}

#[tokio::test]
async fn a_journal_that_calls_an_object_sent_which_is_not_there_is_not_believed() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    killed_at(&env, env.imgimport(COMMAND), "s3:UploadPart", 3).await;
    edit_journal(&env, |entry| {
        (entry["sent"], entry["upload"]) = (json!(true), Value::Null);
    });
    env.cloud.s3().expire_uploads();
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, disk);
    assert_eq!(sent_parts(&env, "s3:UploadPart", 3), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_journal_that_names_a_task_that_does_not_exist_is_not_believed() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    let disk = env.disk(22);
    let running = env.imgimport(COMMAND).start();
    reached(&gate).await;
    running.kill().await;
    gate.release();
    edit_journal(&env, |entry| {
        entry["task"] = json!("import-ami-0123456789abcdef0");
    });
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, disk);
    assert_eq!(
        sent_parts(&env, "s3:UploadPart", 5),
        [0_u32; 0],
        "it was sent"
    );
}

#[tokio::test]
async fn a_file_that_grows_while_it_is_read_is_no_object() {
    let env = TestEnv::new().await;
    env.disk(22);
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3"));
    let running = env.imgimport(COMMAND).start();
    reached(&gate).await;
    let mut file = OpenOptions::new()
        .append(true)
        .open(env.path("disk.raw"))
        .unwrap();
    file.write_all(b"more").unwrap();
    gate.release();
    running.output().await.code(1).stdout("").stderr(
        "
        error: the image changed while it was read
          cause: it had 23068672 bytes and has 23068676
          left behind: 5 parts of s3://importbucket/k (22.0 MiB); remove it with: aws s3api abort-multipart-upload --bucket importbucket --key k --upload-id UPLOAD
          hint: stop what writes to it, or make a copy, and run the command again
        ",
    );
    assert!(env.cloud.s3().objects().is_empty());
    assert!(env.cloud.requests("s3:CompleteMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_file_that_is_written_to_while_it_is_read_is_no_object() {
    let env = TestEnv::new().await;
    env.disk(22);
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3"));
    let running = env.imgimport(COMMAND).start();
    reached(&gate).await;
    let file = OpenOptions::new()
        .write(true)
        .open(env.path("disk.raw"))
        .unwrap();
    file.write_all_at(b"other", 0).unwrap();
    gate.release();
    running.output().await.code(1).stdout("").stderr(
        "
        error: the image changed while it was read
          cause: somebody wrote to it
          left behind: 5 parts of s3://importbucket/k (22.0 MiB); remove it with: aws s3api abort-multipart-upload --bucket importbucket --key k --upload-id UPLOAD
          hint: stop what writes to it, or make a copy, and run the command again
        ",
    );
    assert!(env.cloud.s3().objects().is_empty());

    let disk = fs::read(env.path("disk.raw")).unwrap();
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, disk);
}

#[tokio::test]
async fn a_storm_of_slow_down_narrows_the_window_and_passes() {
    let env = TestEnv::new().await;
    let disk = env.disk(42);
    env.cloud
        .fault(Fault::on("s3:UploadPart").nth(2).times(8).answer(
            503,
            "SlowDown",
            "Please reduce your request rate.",
        ));
    let command = "aws --bucket importbucket --part-size 5MiB --concurrency 4 disk.raw";
    let run = env.imgimport(command).output().await;
    assert_imported(&env, &run, disk);
    for told in [
        "the service asks to slow down: 2 parts at once for now",
        "Please reduce your request rate (SlowDown, request ID); again in TIME",
    ] {
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    assert_eq!(env.cloud.requests("s3:UploadPart").len(), 9 + 8);
}

#[tokio::test]
async fn credentials_that_expire_on_the_way_are_renewed() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    env.cloud.iam().put_role(
        "builder",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    );
    let command = format!("{COMMAND} --assume-role-arn arn:aws:iam::123456789012:role/builder");
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3"));
    let running = env.imgimport(&command).start();
    reached(&gate).await;
    let roles = env.cloud.requests("sts:AssumeRole").len();
    env.cloud.expire_sessions();
    gate.release();
    // The upload is all of it: EC2's client still has the credentials of the beginning.
    let ended = running.output().await;
    let sent = env.cloud.requests("s3:UploadPart");
    let refused = sent.iter().filter(|part| !part.succeeded()).count();
    assert!(refused > 0 && sent.len() - refused == 5, "{}", ended.stderr);
    assert_eq!(env.cloud.requests("sts:AssumeRole").len(), roles + 1);
    let run = match ended.code {
        Some(0) => ended,
        _ => env.imgimport(&command).output().await,
    };
    assert_imported(&env, &run, disk);
    assert_eq!(env.cloud.requests("s3:UploadPart").len(), sent.len());
}

#[tokio::test]
async fn a_refused_part_ends_the_upload_at_once() {
    let env = TestEnv::new().await;
    env.disk(22);
    env.cloud.fault(
        Fault::on("s3:UploadPart")
            .nth(3)
            .answer(403, "AccessDenied", "Access Denied"),
    );
    let run = env.imgimport(COMMAND).output().await;
    run.code(1).stdout("").stderr(
        "
        error: part 3 of 5 could not be sent
          cause: Access Denied (AccessDenied, request ID)
          left behind: 2 parts of s3://importbucket/k (10.0 MiB); remove it with: aws s3api abort-multipart-upload --bucket importbucket --key k --upload-id UPLOAD
          hint: allow the caller s3:PutObject and s3:ListMultipartUploadParts: {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:PutObject\",\"s3:ListMultipartUploadParts\"],\"Resource\":\"arn:aws:s3:::importbucket/k\"}]}
        ",
    );
    assert_eq!(sent_parts(&env, "s3:UploadPart", 0), [1, 2, 3]);
}

#[tokio::test]
async fn a_connection_that_ends_in_the_middle_of_a_part_is_replaced() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    env.cloud.fault(
        Fault::on("s3:UploadPart")
            .with("partNumber", "2")
            .times(2)
            .cut_after(1 << 20),
    );
    env.cloud.fault(
        Fault::on("s3:UploadPart")
            .with("partNumber", "4")
            .cut_answer(),
    );
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, disk);
    assert_eq!(
        sent_parts(&env, "s3:UploadPart", 0),
        [1, 2, 2, 2, 3, 4, 4, 5]
    );
}

#[tokio::test]
async fn a_stalled_part_is_sent_again_with_a_notice() {
    let env = TestEnv::new().await;
    let disk = env.disk(12);
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "2"));
    let command = COMMAND.replace(" -q", " --stall-timeout 500ms");
    let run = env.imgimport(&command).output().await;
    gate.release();
    run.code(0).stdout("ami-ID");
    assert!(
        run.stderr
            .contains("  part 2, try 1: no byte moved for 0.5 s; again in "),
        "{}",
        run.stderr
    );
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(sent_parts(&env, "s3:UploadPart", 0), [1, 2, 2, 3]);
}

#[tokio::test]
async fn without_resume_no_exit_leaves_anything() {
    let ends = [
        ("s3:UploadPart", 3),
        ("s3:CompleteMultipartUpload", 1),
        ("ec2:ImportImage", 1),
    ];
    for (operation, nth) in ends {
        let env = TestEnv::new().await;
        env.disk(22);
        let refusal = Fault::on(operation).nth(nth).always();
        env.cloud
            .fault(refusal.answer(403, "AccessDenied", "Access Denied"));
        let run = env.imgimport(&format!("{COMMAND} --no-resume")).output();
        let run = run.await;
        run.code(1).stdout("");
        assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
        assert_nothing_left(&env);
    }
    let env = TestEnv::new().await;
    env.disk(22);
    let fails = ImportScript::quick().fail("ClientError: Unknown OS");
    env.cloud.import_script(fails);
    let run = env.imgimport(&format!("{COMMAND} --no-resume")).output();
    run.await.code(1).stdout("");
    assert_nothing_left(&env);
    for signal in ["INT", "TERM"] {
        for operation in ["s3:UploadPart", "s3:CompleteMultipartUpload"] {
            let env = TestEnv::new().await;
            env.disk(22);
            let gate = env.cloud.hold(Fault::on(operation));
            let running = env.imgimport(&format!("{COMMAND} --no-resume")).start();
            reached(&gate).await;
            running.signal(signal);
            running.output().await.stdout("").stderr("error: stopped");
            assert_nothing_left(&env);
        }
    }
}

#[track_caller]
fn assert_nothing_left(stage: &TestEnv) {
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
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3"));
    let first = env.imgimport(COMMAND).start();
    reached(&gate).await;
    let second = env.imgimport(&COMMAND.replace("--key k", "--key second"));
    let second = second.output().await;
    second.code(0).stdout("ami-ID");
    gate.release();
    assert_imported(&env, &first.output().await, disk);
}

#[tokio::test]
async fn an_upload_with_a_lost_create_response_is_found_and_no_second_one_remains() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    env.cloud
        .fault(Fault::on("s3:CreateMultipartUpload").cut_answer());
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    assert_imported(&env, &run, disk);
    assert_eq!(env.cloud.requests("s3:CreateMultipartUpload").len(), 1);
    assert!(env.cloud.s3().uploads().is_empty(), "nothing stays open");

    let env = oss().await;
    let disk = env.disk(2);
    env.cloud
        .fault(Fault::on("oss:InitiateMultipartUpload").cut_answer());
    let run = env.alicloud("alicloud --bucket packer --image-name web -q disk.raw");
    let run = run.output().await;
    run.code(0);
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    let begun = env.cloud.requests("oss:InitiateMultipartUpload").len();
    assert_eq!(begun, 1);
    assert!(env.cloud.oss().uploads().is_empty(), "nothing stays open");
}

#[tokio::test]
async fn a_denied_list_uploads_creates_another_upload_after_a_lost_response() {
    let env = TestEnv::new().await;
    let disk = env.disk(22);
    env.cloud
        .fault(Fault::on("s3:CreateMultipartUpload").cut_answer());
    let denied = Fault::on("s3:ListMultipartUploads").always();
    env.cloud.fault(denied.answer(403, "AccessDenied", "no"));
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    assert_imported(&env, &run, disk);
    assert_eq!(env.cloud.requests("s3:CreateMultipartUpload").len(), 2);
}

#[tokio::test]
async fn a_stop_while_the_upload_begins_leaves_no_empty_one_behind() {
    let stage = TestEnv::new().await;
    stage.disk(22);
    let answer = stage
        .cloud
        .hold_answer(Fault::on("s3:CreateMultipartUpload"));
    let running = stage
        .imgimport("aws --bucket importbucket -q disk.raw")
        .start();
    reached(&answer).await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("").stderr("error: stopped");
    assert!(stage.cloud.s3().uploads().is_empty(), "nothing stays open");
}

#[tokio::test]
async fn an_unsent_create_request_does_not_claim_another_runs_upload() {
    let stage = TestEnv::new().await;
    stage.disk(22);
    killed_at(&stage, stage.imgimport(COMMAND), "s3:UploadPart", 4).await;
    let others = stage.cloud.s3().uploads();
    stage
        .cloud
        .fault(Fault::on("s3:CreateMultipartUpload").cut_after(0));
    let run = stage.imgimport(&format!("{COMMAND} --no-resume"));
    let run = run.output().await;
    run.code(0).stdout("ami-ID").stderr("");
    assert_eq!(sent_parts(&stage, "s3:UploadPart", 4), [1, 2, 3, 4, 5]);
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
