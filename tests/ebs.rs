//! Imports to AWS without a bucket: a snapshot written block by block.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use imgimport_sandbox::{Fault, Gate, sample};
use sha2::{Digest, Sha256};

use crate::support::{Output, TestEnv};

const COMMAND: &str = "aws --method ebs-direct --ami-name web disk.raw";
/// One block at a time, in order.
const SLOWLY: &str = "aws --method ebs-direct --ami-name web --concurrency 1 -q disk.raw";
const BLOCK: usize = 512 << 10;
const PUT: &str = "ebs:PutSnapshotBlock";

/// Indexes of the blocks that came since the first `skip` of them, whatever the answer.
fn sent_blocks(env: &TestEnv, skip: usize) -> Vec<u32> {
    let requests = env.cloud.requests(PUT).into_iter().skip(skip);
    let mut indexes: Vec<_> = requests
        .map(|request| request.get("blockIndex").parse().expect("a number"))
        .collect();
    indexes.sort_unstable();
    indexes
}

/// The one snapshot that there is.
#[track_caller]
fn snapshot(env: &TestEnv) -> String {
    let snapshots = env.cloud.ec2().snapshots();
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    snapshots[0].id.clone()
}

/// The program ended well: an image of one snapshot that holds these bytes, and no trace besides.
#[track_caller]
fn assert_imported(env: &TestEnv, run: &Output, disk: &[u8]) {
    run.code(0).stdout("ami-ID");
    let (images, snapshot) = (env.cloud.ec2().images(), snapshot(env));
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(images[0].id, run.stdout_raw);
    assert_eq!(images[0].snapshot_ids, [snapshot.as_str()]);
    let bytes = env.cloud.ec2().snapshot_bytes(&snapshot, disk.len());
    assert!(bytes.as_deref() == Some(disk), "the bytes are the disk's");
    assert!(env.journal().is_empty(), "{:?}", env.journal());
}

/// Longer than any story takes; a program that ends before the gate fails its story.
async fn wait_until_reached(gate: &Gate) {
    let reached = tokio::time::timeout(Duration::from_secs(60), gate.reached()).await;
    reached.expect("the gate is reached");
}

/// Holds the block of this index.
fn hold_block(env: &TestEnv, index: u32) -> Gate {
    let block = Fault::on(PUT).with("blockIndex", &index.to_string());
    env.cloud.hold(block.always())
}

/// Kills the program once exactly the blocks before `index` are acknowledged.
async fn kill_at(env: &TestEnv, index: u32) {
    let gate = hold_block(env, index);
    let running = env.imgimport(SLOWLY).start();
    wait_until_reached(&gate).await;
    running.kill().await;
    env.cloud.clear_faults();
}

/// Nothing is left of anything.
#[track_caller]
fn assert_nothing_left(env: &TestEnv, run: &Output) {
    let (snapshots, images) = (env.cloud.ec2().snapshots(), env.cloud.ec2().images());
    assert!(snapshots.is_empty(), "{snapshots:?}\n{}", run.stderr);
    assert!(images.is_empty(), "{images:?}\n{}", run.stderr);
    assert!(env.journal().is_empty(), "{:?}", env.journal());
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
}

#[tokio::test]
async fn a_disk_becomes_an_ami_without_a_bucket_and_without_a_role() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    let run = env.imgimport(&format!("{COMMAND} --tag team=a --ami-description it"));
    let run = run.output().await;
    run.stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account in eu-central-1
        Writing to snap-ID
          25 % (512.0 KiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
         100 % pending
        Imported as snap-ID
        Registering snap-ID as \"web\"
          pending
        ",
    );
    assert_imported(&env, &run, &disk);
    let snapshot = &env.cloud.ec2().snapshots()[0];
    assert_eq!((snapshot.volume_size, snapshot.encrypted), (1, false));
    assert_eq!(snapshot.tags["team"], "a");
    assert_eq!(snapshot.description, "it");
    assert_eq!(env.cloud.ec2().written_blocks(&snapshot.id), [0, 1, 2, 3]);
    let others = env.cloud.requests_so_far();
    let others = others.iter().map(|entry| entry.operation.as_str());
    let strange = |name: &&str| name.starts_with("s3:") || name.starts_with("iam:");
    assert_eq!(others.filter(strange).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn the_result_as_json_has_the_snapshot_and_no_object() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(&format!("{COMMAND} -q --output json"));
    let run = run.output().await;
    let result: serde_json::Value = serde_json::from_str(&run.stdout_raw).unwrap();
    assert_eq!(result["object"], serde_json::Value::Null);
    assert_eq!(result["task_id"], serde_json::Value::Null);
    assert_eq!(result["snapshot_ids"], serde_json::json!([snapshot(&env)]));
    assert_eq!(result["uploaded_bytes"], 2 << 20);
}

#[tokio::test]
async fn without_a_bucket_ebs_direct_is_chosen_with_a_reason() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    let run = env.imgimport("aws --ami-name web disk.raw").output().await;
    assert!(
        run.stderr
            .contains("Taking the road ebs-direct: no bucket was named"),
        "{}",
        run.stderr
    );
    assert_imported(&env, &run, &disk);
}

/// 32 MiB and a bit: data in a hole, at a block's border, zeros that were written, a short end.
fn write_sparse_disk(env: &TestEnv) -> Vec<u8> {
    let file = File::create(env.path("disk.raw")).unwrap();
    file.set_len((32 << 20) + 1024).unwrap();
    file.write_all_at(&sample::raw(2 << 20)[..512], 0).unwrap();
    file.write_all_at(&[7; 2], 5 * BLOCK as u64 - 1).unwrap();
    file.write_all_at(&vec![0; 4 * BLOCK], 20 * BLOCK as u64)
        .unwrap();
    file.write_all_at(&[9; 1024], 32 << 20).unwrap();
    fs::read(env.path("disk.raw")).unwrap()
}

#[tokio::test]
async fn only_non_zero_blocks_of_a_sparse_disk_are_sent() {
    let env = TestEnv::new().await;
    let disk = write_sparse_disk(&env);
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, 0), [0, 4, 5, 64]);
    assert!(
        run.stderr.contains("Uploaded 2.0 MiB in TIME"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn with_default_encryption_zero_blocks_are_sent() {
    let env = TestEnv::new().await;
    env.cloud.ec2().set_encryption_by_default(true);
    let disk = write_sparse_disk(&env);
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, 0), (0..=64).collect::<Vec<_>>());
    assert!(env.cloud.ec2().snapshots()[0].encrypted);
}

#[tokio::test]
async fn an_encrypted_snapshot_has_its_kms_key_and_all_zero_blocks() {
    let env = TestEnv::new().await;
    let disk = write_sparse_disk(&env);
    let key = "arn:aws:kms:eu-central-1:123456789012:key/k1";
    let run = env.imgimport(&format!("{COMMAND} --ami-encrypt --ami-kms-key {key}"));
    let run = run.output().await;
    assert_imported(&env, &run, &disk);
    let snapshot = &env.cloud.ec2().snapshots()[0];
    assert_eq!(snapshot.kms_key_id.as_deref(), Some(key));
    assert_eq!(sent_blocks(&env, 0).len(), 65);

    let run = env.imgimport(&format!("{COMMAND} --ami-encrypt --ami-kms-key alias/mine"));
    run.output().await.code(2).stderr(
        "
        error: a snapshot that is written block by block takes the ARN of a key: arn:aws:kms:REGION:ACCOUNT:key/ID (--ami-kms-key, IMGIMPORT_AWS_AMI_KMS_KEY or ami_kms_key in [aws])
        ",
    );
}

#[tokio::test]
async fn a_denied_default_encryption_read_sends_zero_blocks() {
    let env = TestEnv::new().await;
    let denied = Fault::on("ec2:GetEbsEncryptionByDefault").answer(
        403,
        "UnauthorizedOperation",
        "You are not authorized",
    );
    env.cloud.fault(denied);
    let disk = write_sparse_disk(&env);
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, 0).len(), 65);
    assert!(
        run.stderr
            .contains("ec2:GetEbsEncryptionByDefault was not answered"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn throttling_reduces_the_blocks_in_flight() {
    let env = TestEnv::new().await;
    let disk = env.disk(8);
    let throttled = Fault::on(PUT).times(6).answer(
        400,
        "RequestThrottledException RESOURCE_LEVEL_THROTTLE",
        "Rate exceeded",
    );
    env.cloud.fault(throttled);
    let run = env.imgimport(&format!("{COMMAND} --concurrency 8"));
    let run = run.output().await;
    assert_imported(&env, &run, &disk);
    assert!(
        run.stderr
            .contains("the service asks to slow down: 4 blocks at once for now"),
        "{}",
        run.stderr
    );
    assert_eq!(sent_blocks(&env, 0).len(), 16 + 6);
}

#[tokio::test]
async fn a_block_with_a_checksum_mismatch_is_sent_again() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    env.cloud
        .fault(Fault::on(PUT).with("blockIndex", "2").answer(
            400,
            "ValidationException INVALID_BLOCK",
            "The checksum does not match the block's data.",
        ));
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, 0), [0, 1, 2, 2, 3]);
    assert!(
        run.stderr.contains(
            "block 2, try 1: The checksum does not match the block's data (ValidationException, request ID); again in TIME"
        ),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_snapshot_that_is_not_visible_yet_is_retried() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    env.cloud.fault(Fault::on(PUT).times(6).answer(
        404,
        "ResourceNotFoundException SNAPSHOT_NOT_FOUND",
        "The snapshot does not exist.",
    ));
    let run = env.imgimport(COMMAND).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, 0).len(), 4 + 6);
}

#[tokio::test]
async fn a_block_with_a_lost_response_is_sent_again() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    env.cloud
        .fault(Fault::on(PUT).with("blockIndex", "1").stall());
    env.cloud
        .fault(Fault::on(PUT).with("blockIndex", "2").cut_after(1 << 16));
    let run = env.imgimport(&format!("{COMMAND} --stall-timeout 300ms"));
    let run = run.output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, 0), [0, 1, 1, 2, 2, 3]);
}

#[tokio::test]
async fn a_denied_start_snapshot_stops_at_once() {
    let env = TestEnv::new().await;
    env.disk(2);
    let denied = Fault::on("ebs:StartSnapshot").always().answer(
        403,
        "AccessDeniedException UNAUTHORIZED_ACCOUNT",
        "User is not authorized to perform: ebs:StartSnapshot",
    );
    env.cloud.fault(denied);
    let run = env.imgimport(&format!("{COMMAND} -q")).output().await;
    run.code(1).stdout("").stderr(
        "
        error: the snapshot could not be started
          cause: User is not authorized to perform: ebs:StartSnapshot (AccessDeniedException, request ID)
          hint: allow the caller ebs:StartSnapshot; the policy for the blocks of a snapshot is: {\"Statement\":[{\"Action\":[\"ebs:StartSnapshot\",\"ebs:PutSnapshotBlock\",\"ebs:CompleteSnapshot\"],\"Effect\":\"Allow\",\"Resource\":\"arn:aws:ec2:eu-central-1::snapshot/*\"}],\"Version\":\"2012-10-17\"}
        ",
    );
    assert_eq!(env.cloud.requests("ebs:StartSnapshot").len(), 1);
    assert_nothing_left(&env, &run);
}

#[tokio::test]
async fn a_denied_put_snapshot_block_leaves_no_snapshot() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud.fault(Fault::on(PUT).always().answer(
        403,
        "AccessDeniedException",
        "User is not authorized to perform: ebs:PutSnapshotBlock",
    ));
    let run = env.imgimport(SLOWLY).output().await;
    run.code(1);
    assert!(
        run.stderr
            .contains("hint: allow the caller ebs:PutSnapshotBlock"),
        "{}",
        run.stderr
    );
    assert_eq!(
        sent_blocks(&env, 0),
        [0],
        "a refusal is not asked for twice"
    );
    assert_nothing_left(&env, &run);
}

#[tokio::test]
async fn a_rerun_after_a_kill_sends_no_acknowledged_block_again() {
    let env = TestEnv::new().await;
    let disk = env.disk(4);
    kill_at(&env, 5).await;
    let before = sent_blocks(&env, 0).len();
    let first = snapshot(&env);
    let run = env.imgimport(SLOWLY).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, before), [5, 6, 7]);
    assert_eq!(snapshot(&env), first);
}

#[tokio::test]
async fn a_snapshot_that_timed_out_between_runs_is_deleted_and_written_again() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    kill_at(&env, 2).await;
    let (before, first) = (sent_blocks(&env, 0).len(), snapshot(&env));
    env.cloud.ec2().time_out_snapshots();
    let run = env.imgimport(SLOWLY).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, before), [0, 1, 2, 3]);
    assert_ne!(snapshot(&env), first);
}

#[tokio::test]
async fn a_snapshot_that_times_out_during_the_run_is_restarted_once() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    let gate = hold_block(&env, 2);
    let running = env.imgimport(&SLOWLY.replace("-q ", "")).start();
    wait_until_reached(&gate).await;
    env.cloud.ec2().time_out_snapshots();
    gate.release();
    let run = running.output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, 0), [0, 0, 1, 1, 2, 2, 3]);
    assert!(
        run.stderr.contains("snap-ID takes no more blocks")
            && run.stderr.contains("all of it is sent anew"),
        "{}",
        run.stderr
    );
}

/// The list of blocks beside the journal.
fn block_log(env: &TestEnv) -> std::path::PathBuf {
    let paths = env.journal();
    let list = paths
        .iter()
        .find(|path| path.extension() == Some("blocks".as_ref()));
    list.expect("a list of blocks").clone()
}

#[tokio::test]
async fn a_block_log_with_too_many_blocks_fails_at_complete() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    kill_at(&env, 2).await;
    let mut list = OpenOptions::new()
        .append(true)
        .open(block_log(&env))
        .unwrap();
    list.write_all(&3_u32.to_le_bytes()).unwrap();
    list.write_all(&Sha256::digest(&disk[3 * BLOCK..])).unwrap();
    let before = sent_blocks(&env, 0).len();
    let run = env.imgimport(SLOWLY).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, before), [0, 1, 2, 2, 3]);
}

#[tokio::test]
async fn a_block_that_differs_from_the_log_is_sent_again() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    kill_at(&env, 3).await;
    let list = block_log(&env);
    let mut bytes = fs::read(&list).unwrap();
    let end = bytes.len();
    bytes[end - 1] ^= 1;
    fs::write(&list, bytes).unwrap();
    let before = sent_blocks(&env, 0).len();
    let run = env.imgimport(SLOWLY).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, before), [2, 3]);
}

#[tokio::test]
async fn a_block_that_rots_in_the_service_is_found_by_the_checksum_of_the_whole() {
    let env = TestEnv::new().await;
    env.disk(2);
    let gate = env.cloud.hold(Fault::on("ebs:CompleteSnapshot"));
    let running = env.imgimport(&format!("{COMMAND} -q")).start();
    wait_until_reached(&gate).await;
    env.cloud.ec2().corrupt_block(&snapshot(&env), 1);
    gate.release();
    let run = running.output().await;
    run.code(1).stdout("").stderr(
        "
        error: snap-ID could not be completed
          cause: The aggregated checksum does not match.
        ",
    );
    assert_nothing_left(&env, &run);
}

#[tokio::test]
async fn a_lost_response_is_retried() {
    for lost in ["ebs:StartSnapshot", PUT, "ebs:CompleteSnapshot"] {
        let env = TestEnv::new().await;
        let disk = env.disk(2);
        env.cloud.fault(Fault::on(lost).cut_answer());
        let run = env.imgimport(COMMAND).output().await;
        assert_imported(&env, &run, &disk);
    }
}

#[tokio::test]
async fn a_failure_at_any_step_leaves_nothing_unnamed() {
    let steps = [
        "ec2:GetEbsEncryptionByDefault",
        "ebs:StartSnapshot",
        PUT,
        "ebs:CompleteSnapshot",
        "ec2:DescribeSnapshots",
        "ec2:RegisterImage",
        "ec2:CreateTags",
    ];
    for step in steps {
        let env = TestEnv::new().await;
        env.disk(2);
        let refusal = Fault::on(step).answer(400, "InvalidParameterValue", "No.");
        env.cloud.fault(refusal);
        let run = env.imgimport(&format!("{COMMAND} --no-resume --tag a=b"));
        let run = run.output().await;
        run.code(1).stdout("");
        assert!(run.stderr.contains("cause: No"), "{step}: {}", run.stderr);
        assert_nothing_left(&env, &run);
    }
}

#[tokio::test]
async fn a_failure_at_any_step_is_resumed() {
    for step in [
        PUT,
        "ebs:CompleteSnapshot",
        "ec2:DescribeSnapshots",
        "ec2:RegisterImage",
    ] {
        let env = TestEnv::new().await;
        let disk = env.disk(2);
        let nth = if step == PUT { 3 } else { 1 };
        let denied = Fault::on(step).nth(nth);
        let denied = denied.answer(403, "AccessDeniedException", "Not allowed");
        env.cloud.fault(denied);
        let run = env.imgimport(SLOWLY).output().await;
        run.code(1).stdout("");
        assert!(
            run.stderr
                .contains("aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1"),
            "{step}: {}",
            run.stderr
        );
        let before = sent_blocks(&env, 0).len();
        let run = env.imgimport(SLOWLY).output().await;
        assert_imported(&env, &run, &disk);
        let again: &[u32] = if step == PUT { &[2, 3] } else { &[] };
        assert_eq!(sent_blocks(&env, before), again, "{step}");
    }
}

#[tokio::test]
async fn ctrl_c_keeps_the_snapshot_and_names_it_and_the_next_run_goes_on() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    let gate = hold_block(&env, 2);
    let running = env.imgimport(SLOWLY).start();
    wait_until_reached(&gate).await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("").stderr(
        "
        error: stopped
          left behind: the snapshot snap-ID with 2 blocks; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1
          hint: the same command goes on from there
        ",
    );
    gate.release();
    env.cloud.clear_faults();
    let before = sent_blocks(&env, 0).len();
    let run = env.imgimport(SLOWLY).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, before), [2, 3]);
}

#[tokio::test]
async fn the_second_ctrl_c_or_no_resume_deletes_the_snapshot() {
    for resume in [true, false] {
        let env = TestEnv::new().await;
        env.disk(2);
        let gate = hold_block(&env, 2);
        let command = SLOWLY.replace("-q ", if resume { "" } else { "--no-resume " });
        let mut running = env.imgimport(&command).start();
        wait_until_reached(&gate).await;
        running.signal("INT");
        if resume {
            running.wait_for_stderr("Ctrl-C once more").await;
            running.signal("INT");
        }
        let run = running.output().await;
        run.code(130).stdout("");
        assert_nothing_left(&env, &run);
    }
}

#[tokio::test]
async fn a_disk_that_changes_under_the_run_makes_no_image() {
    let env = TestEnv::new().await;
    env.disk(2);
    let gate = hold_block(&env, 3);
    let running = env.imgimport(SLOWLY).start();
    wait_until_reached(&gate).await;
    let file = OpenOptions::new().write(true).open(env.path("disk.raw"));
    file.unwrap().write_all_at(b"changed", 4096).unwrap();
    gate.release();
    let run = running.output().await;
    run.code(1).stdout("").stderr(
        "
        error: the image changed while it was read
          cause: somebody wrote to it
          hint: stop what writes to it, or make a copy, and run the command again
        ",
    );
    assert_nothing_left(&env, &run);
}

#[tokio::test]
async fn a_disk_changed_between_two_runs_is_written_again() {
    let env = TestEnv::new().await;
    env.disk(2);
    kill_at(&env, 2).await;
    let mut disk = sample::raw(2 << 20);
    disk[4096] ^= 1;
    env.file("disk.raw", &disk);
    let before = sent_blocks(&env, 0).len();
    let run = env.imgimport(SLOWLY).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, before), [0, 1, 2, 3]);
}

#[tokio::test]
async fn without_waiting_the_snapshot_is_named_and_a_later_run_registers_it() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    let run = env
        .imgimport(&format!("{COMMAND} --no-wait"))
        .output()
        .await;
    run.code(0).stdout("snap-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account in eu-central-1
        Writing to snap-ID
          25 % (512.0 KiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
          snap-ID is being completed; the same command without --no-wait registers the image
        ",
    );
    assert_eq!(snapshot(&env), run.stdout_raw);
    let run = env.imgimport(&format!("{COMMAND} -q")).output().await;
    assert_imported(&env, &run, &disk);
    assert_eq!(sent_blocks(&env, 4), [0; 0]);
}

#[tokio::test]
async fn every_decodable_format_is_written_by_ebs_direct() {
    let disk = sample::raw(3 << 20);
    let images = [
        ("disk.vmdk", sample::vmdk(&disk)),
        ("disk.vhd", sample::vhd(&disk)),
        ("disk.ova", sample::ova("disk", &disk)),
    ];
    for (name, image) in images {
        let env = TestEnv::new().await;
        env.file(name, image);
        let run = env.imgimport(&COMMAND.replace("disk.raw", name));
        let run = run.output().await;
        assert_imported(&env, &run, &disk);
        assert_eq!(sent_blocks(&env, 0), [0, 1, 2, 3, 4, 5], "{name}");
    }
}

#[tokio::test]
async fn an_empty_qcow2_becomes_a_snapshot_without_blocks() {
    let env = TestEnv::new().await;
    env.file("disk.qcow2", sample::qcow2(300 << 20));
    let run = env.imgimport(&COMMAND.replace("disk.raw", "disk.qcow2"));
    let run = run.output().await;
    assert_imported(&env, &run, &[0; 4096]);
    assert_eq!(sent_blocks(&env, 0), [0; 0]);
    assert_eq!(env.cloud.ec2().snapshots()[0].volume_size, 1);
}

#[tokio::test]
async fn an_unsupported_format_is_rejected_before_any_request() {
    let env = TestEnv::new().await;
    let disk = env.file("disk.raw", sample::raw(2 << 20));
    let run = env.imgimport("aws --method ebs-direct --ami-name web -");
    run.stdin(&disk).output().await.code(3).stdout("").stderr(
        "
        error: standard input can't be read at any position
          hint: convert it to raw with qemu-img, or name a --bucket
        ",
    );
    let run = env.imgimport(&format!("{COMMAND} --concurrency 300"));
    run.output().await.code(2).stderr(
        "
        error: so many blocks can't be in flight
          hint: --concurrency takes 1 to 256
        ",
    );
    assert!(env.cloud.requests_so_far().is_empty());
}
