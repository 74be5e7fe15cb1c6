//! Imports to AWS without a bucket: a snapshot written block by block.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use imgimport_sandbox::{Fault, Gate, sample};
use sha2::{Digest, Sha256};

use crate::support::{Ended, Stage};

const COMMAND: &str = "aws --method ebs-direct --ami-name web disk.raw";
/// One block at a time, in order.
const SLOWLY: &str = "aws --method ebs-direct --ami-name web --concurrency 1 -q disk.raw";
const BLOCK: usize = 512 << 10;
const PUT: &str = "ebs:PutSnapshotBlock";

/// Indexes of the blocks that came since the first `skip` of them, whatever the answer.
fn sent(stage: &Stage, skip: usize) -> Vec<u32> {
    let requests = stage.cloud.requests(PUT).into_iter().skip(skip);
    let mut indexes: Vec<_> = requests
        .map(|request| request.get("blockIndex").parse().expect("a number"))
        .collect();
    indexes.sort_unstable();
    indexes
}

/// The one snapshot that there is.
#[track_caller]
fn snapshot(stage: &Stage) -> String {
    let snapshots = stage.cloud.ec2().snapshots();
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    snapshots[0].id.clone()
}

/// The program ended well: an image of one snapshot that holds these bytes, and no trace besides.
#[track_caller]
fn arrived_whole(stage: &Stage, run: &Ended, disk: &[u8]) {
    run.exits(0).prints("ami-ID");
    let (images, snapshot) = (stage.cloud.ec2().images(), snapshot(stage));
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(images[0].id, run.raw);
    assert_eq!(images[0].snapshot_ids, [snapshot.as_str()]);
    let bytes = stage.cloud.ec2().snapshot_bytes(&snapshot, disk.len());
    assert!(bytes.as_deref() == Some(disk), "the bytes are the disk's");
    assert!(stage.journal().is_empty(), "{:?}", stage.journal());
}

/// Longer than any story takes; a program that ends before the gate fails its story.
async fn reached(gate: &Gate) {
    let reached = tokio::time::timeout(Duration::from_secs(60), gate.reached()).await;
    reached.expect("the gate is reached");
}

/// Holds the block of this index.
fn held_at(stage: &Stage, index: u32) -> Gate {
    let block = Fault::on(PUT).with("blockIndex", &index.to_string());
    stage.cloud.hold(block.always())
}

/// Kills the program once exactly the blocks before `index` are acknowledged.
async fn killed_at(stage: &Stage, index: u32) {
    let gate = held_at(stage, index);
    let running = stage.imgimport(SLOWLY).start();
    reached(&gate).await;
    running.kill().await;
    stage.cloud.clear_faults();
}

/// Nothing is left of anything.
#[track_caller]
fn nothing_is_left(stage: &Stage, run: &Ended) {
    let (snapshots, images) = (stage.cloud.ec2().snapshots(), stage.cloud.ec2().images());
    assert!(snapshots.is_empty(), "{snapshots:?}\n{}", run.stderr);
    assert!(images.is_empty(), "{images:?}\n{}", run.stderr);
    assert!(stage.journal().is_empty(), "{:?}", stage.journal());
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
}

#[tokio::test]
async fn a_disk_becomes_an_ami_without_a_bucket_and_without_a_role() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    let run = stage.imgimport(&format!("{COMMAND} --tag team=a --ami-description it"));
    let run = run.ends().await;
    run.says(
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
    arrived_whole(&stage, &run, &disk);
    let snapshot = &stage.cloud.ec2().snapshots()[0];
    assert_eq!((snapshot.volume_size, snapshot.encrypted), (1, false));
    assert_eq!(snapshot.tags["team"], "a");
    assert_eq!(snapshot.description, "it");
    assert_eq!(stage.cloud.ec2().written_blocks(&snapshot.id), [0, 1, 2, 3]);
    let others = stage.cloud.journal();
    let others = others.iter().map(|entry| entry.operation.as_str());
    let strange = |name: &&str| name.starts_with("s3:") || name.starts_with("iam:");
    assert_eq!(others.filter(strange).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn the_result_as_json_has_the_snapshot_and_no_object() {
    let stage = Stage::new().await;
    stage.disk(2);
    let run = stage.imgimport(&format!("{COMMAND} -q --output json"));
    let run = run.ends().await;
    let result: serde_json::Value = serde_json::from_str(&run.raw).unwrap();
    assert_eq!(result["object"], serde_json::Value::Null);
    assert_eq!(result["task_id"], serde_json::Value::Null);
    assert_eq!(
        result["snapshot_ids"],
        serde_json::json!([snapshot(&stage)])
    );
    assert_eq!(result["uploaded_bytes"], 2 << 20);
}

#[tokio::test]
async fn without_a_bucket_this_is_the_road_and_it_says_why() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    let run = stage.imgimport("aws --ami-name web disk.raw").ends().await;
    assert!(
        run.stderr
            .contains("Taking the road ebs-direct: no bucket was named"),
        "{}",
        run.stderr
    );
    arrived_whole(&stage, &run, &disk);
}

/// 32 MiB and a bit: data in a hole, at a block's border, zeros that were written, a short end.
fn sparse(stage: &Stage) -> Vec<u8> {
    let file = File::create(stage.path("disk.raw")).unwrap();
    file.set_len((32 << 20) + 1024).unwrap();
    file.write_all_at(&sample::raw(2 << 20)[..512], 0).unwrap();
    file.write_all_at(&[7; 2], 5 * BLOCK as u64 - 1).unwrap();
    file.write_all_at(&vec![0; 4 * BLOCK], 20 * BLOCK as u64)
        .unwrap();
    file.write_all_at(&[9; 1024], 32 << 20).unwrap();
    fs::read(stage.path("disk.raw")).unwrap()
}

#[tokio::test]
async fn of_a_sparse_disk_only_the_blocks_that_hold_something_travel() {
    let stage = Stage::new().await;
    let disk = sparse(&stage);
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, 0), [0, 4, 5, 64]);
    assert!(
        run.stderr.contains("Uploaded 2.0 MiB in TIME"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn with_default_encryption_zeros_travel_too() {
    let stage = Stage::new().await;
    stage.cloud.ec2().set_encryption_by_default(true);
    let disk = sparse(&stage);
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, 0), (0..=64).collect::<Vec<_>>());
    assert!(stage.cloud.ec2().snapshots()[0].encrypted);
}

#[tokio::test]
async fn an_encrypted_snapshot_has_the_key_that_was_asked_for_and_all_of_the_zeros() {
    let stage = Stage::new().await;
    let disk = sparse(&stage);
    let key = "arn:aws:kms:eu-central-1:123456789012:key/k1";
    let run = stage.imgimport(&format!("{COMMAND} --ami-encrypt --ami-kms-key {key}"));
    let run = run.ends().await;
    arrived_whole(&stage, &run, &disk);
    let snapshot = &stage.cloud.ec2().snapshots()[0];
    assert_eq!(snapshot.kms_key_id.as_deref(), Some(key));
    assert_eq!(sent(&stage, 0).len(), 65);

    let run = stage.imgimport(&format!("{COMMAND} --ami-encrypt --ami-kms-key alias/mine"));
    run.ends().await.exits(2).says(
        "
        error: a snapshot that is written block by block takes the ARN of a key: arn:aws:kms:REGION:ACCOUNT:key/ID (--ami-kms-key, IMGIMPORT_AWS_AMI_KMS_KEY or ami_kms_key in [aws])
        ",
    );
}

#[tokio::test]
async fn who_may_not_ask_for_the_default_encryption_sends_the_zeros() {
    let stage = Stage::new().await;
    let denied = Fault::on("ec2:GetEbsEncryptionByDefault").answer(
        403,
        "UnauthorizedOperation",
        "You are not authorized",
    );
    stage.cloud.fault(denied);
    let disk = sparse(&stage);
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, 0).len(), 65);
    assert!(
        run.stderr
            .contains("ec2:GetEbsEncryptionByDefault was not answered"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_service_that_asks_to_slow_down_gets_fewer_blocks_at_once() {
    let stage = Stage::new().await;
    let disk = stage.disk(8);
    let throttled = Fault::on(PUT).times(6).answer(
        400,
        "RequestThrottledException RESOURCE_LEVEL_THROTTLE",
        "Rate exceeded",
    );
    stage.cloud.fault(throttled);
    let run = stage.imgimport(&format!("{COMMAND} --concurrency 8"));
    let run = run.ends().await;
    arrived_whole(&stage, &run, &disk);
    assert!(
        run.stderr
            .contains("the service asks to slow down: 4 blocks at once for now"),
        "{}",
        run.stderr
    );
    assert_eq!(sent(&stage, 0).len(), 16 + 6);
}

#[tokio::test]
async fn a_block_that_arrives_garbled_is_sent_again() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    stage
        .cloud
        .fault(Fault::on(PUT).with("blockIndex", "2").answer(
            400,
            "ValidationException INVALID_BLOCK",
            "The checksum does not match the block's data.",
        ));
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, 0), [0, 1, 2, 2, 3]);
    assert!(
        run.stderr.contains(
            "block 2, try 1: The checksum does not match the block's data (ValidationException, request ID); again in TIME"
        ),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_snapshot_that_is_not_known_everywhere_yet_is_waited_for() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    stage.cloud.fault(Fault::on(PUT).times(6).answer(
        404,
        "ResourceNotFoundException SNAPSHOT_NOT_FOUND",
        "The snapshot does not exist.",
    ));
    let run = stage.imgimport(COMMAND).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, 0).len(), 4 + 6);
}

#[tokio::test]
async fn a_block_that_is_taken_and_never_answered_is_sent_again() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    stage
        .cloud
        .fault(Fault::on(PUT).with("blockIndex", "1").stall());
    stage
        .cloud
        .fault(Fault::on(PUT).with("blockIndex", "2").cut_after(1 << 16));
    let run = stage.imgimport(&format!("{COMMAND} --stall-timeout 300ms"));
    let run = run.ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, 0), [0, 1, 1, 2, 2, 3]);
}

#[tokio::test]
async fn who_may_not_start_a_snapshot_learns_it_at_once() {
    let stage = Stage::new().await;
    stage.disk(2);
    let denied = Fault::on("ebs:StartSnapshot").always().answer(
        403,
        "AccessDeniedException UNAUTHORIZED_ACCOUNT",
        "User is not authorized to perform: ebs:StartSnapshot",
    );
    stage.cloud.fault(denied);
    let run = stage.imgimport(&format!("{COMMAND} -q")).ends().await;
    run.exits(1).prints("").says(
        "
        error: the snapshot could not be started
          cause: User is not authorized to perform: ebs:StartSnapshot (AccessDeniedException, request ID)
          hint: allow the caller ebs:StartSnapshot; the policy for the blocks of a snapshot is: {\"Statement\":[{\"Action\":[\"ebs:StartSnapshot\",\"ebs:PutSnapshotBlock\",\"ebs:CompleteSnapshot\"],\"Effect\":\"Allow\",\"Resource\":\"arn:aws:ec2:eu-central-1::snapshot/*\"}],\"Version\":\"2012-10-17\"}
        ",
    );
    assert_eq!(stage.cloud.requests("ebs:StartSnapshot").len(), 1);
    nothing_is_left(&stage, &run);
}

#[tokio::test]
async fn who_may_not_write_blocks_leaves_no_snapshot() {
    let stage = Stage::new().await;
    stage.disk(2);
    stage.cloud.fault(Fault::on(PUT).always().answer(
        403,
        "AccessDeniedException",
        "User is not authorized to perform: ebs:PutSnapshotBlock",
    ));
    let run = stage.imgimport(SLOWLY).ends().await;
    run.exits(1);
    assert!(
        run.stderr
            .contains("hint: allow the caller ebs:PutSnapshotBlock"),
        "{}",
        run.stderr
    );
    assert_eq!(sent(&stage, 0), [0], "a refusal is not asked for twice");
    nothing_is_left(&stage, &run);
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_does_not_travel_again() {
    let stage = Stage::new().await;
    let disk = stage.disk(4);
    killed_at(&stage, 5).await;
    let before = sent(&stage, 0).len();
    let first = snapshot(&stage);
    let run = stage.imgimport(SLOWLY).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, before), [5, 6, 7]);
    assert_eq!(snapshot(&stage), first);
}

#[tokio::test]
async fn a_snapshot_that_timed_out_meanwhile_is_deleted_and_all_is_sent_anew() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    killed_at(&stage, 2).await;
    let (before, first) = (sent(&stage, 0).len(), snapshot(&stage));
    stage.cloud.ec2().time_out_snapshots();
    let run = stage.imgimport(SLOWLY).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, before), [0, 1, 2, 3]);
    assert_ne!(snapshot(&stage), first);
}

#[tokio::test]
async fn a_snapshot_that_times_out_under_the_run_is_begun_anew_once() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    let gate = held_at(&stage, 2);
    let running = stage.imgimport(&SLOWLY.replace("-q ", "")).start();
    reached(&gate).await;
    stage.cloud.ec2().time_out_snapshots();
    gate.release();
    let run = running.ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, 0), [0, 0, 1, 1, 2, 2, 3]);
    assert!(
        run.stderr.contains("snap-ID takes no more blocks")
            && run.stderr.contains("all of it is sent anew"),
        "{}",
        run.stderr
    );
}

/// The list of blocks beside the journal.
fn list(stage: &Stage) -> std::path::PathBuf {
    let paths = stage.journal();
    let list = paths
        .iter()
        .find(|path| path.extension() == Some("blocks".as_ref()));
    list.expect("a list of blocks").clone()
}

#[tokio::test]
async fn a_list_that_says_too_much_is_found_out_by_the_service() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    killed_at(&stage, 2).await;
    let mut list = OpenOptions::new().append(true).open(list(&stage)).unwrap();
    list.write_all(&3_u32.to_le_bytes()).unwrap();
    list.write_all(&Sha256::digest(&disk[3 * BLOCK..])).unwrap();
    let before = sent(&stage, 0).len();
    let run = stage.imgimport(SLOWLY).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, before), [0, 1, 2, 2, 3]);
}

#[tokio::test]
async fn a_block_that_is_another_one_than_the_list_says_travels_again() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    killed_at(&stage, 3).await;
    let list = list(&stage);
    let mut bytes = fs::read(&list).unwrap();
    let end = bytes.len();
    bytes[end - 1] ^= 1;
    fs::write(&list, bytes).unwrap();
    let before = sent(&stage, 0).len();
    let run = stage.imgimport(SLOWLY).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, before), [2, 3]);
}

#[tokio::test]
async fn a_block_that_rots_in_the_service_is_found_by_the_checksum_of_the_whole() {
    let stage = Stage::new().await;
    stage.disk(2);
    let gate = stage.cloud.hold(Fault::on("ebs:CompleteSnapshot"));
    let running = stage.imgimport(&format!("{COMMAND} -q")).start();
    reached(&gate).await;
    stage.cloud.ec2().rot(&snapshot(&stage), 1);
    gate.release();
    let run = running.ends().await;
    run.exits(1).prints("").says(
        "
        error: snap-ID could not be completed
          cause: The aggregated checksum does not match.
        ",
    );
    nothing_is_left(&stage, &run);
}

#[tokio::test]
async fn a_lost_answer_costs_nothing() {
    for lost in ["ebs:StartSnapshot", PUT, "ebs:CompleteSnapshot"] {
        let stage = Stage::new().await;
        let disk = stage.disk(2);
        stage.cloud.fault(Fault::on(lost).cut_answer());
        let run = stage.imgimport(COMMAND).ends().await;
        arrived_whole(&stage, &run, &disk);
    }
}

#[tokio::test]
async fn a_failure_at_any_step_orphans_nothing() {
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
        let stage = Stage::new().await;
        stage.disk(2);
        let refusal = Fault::on(step).answer(400, "InvalidParameterValue", "No.");
        stage.cloud.fault(refusal);
        let run = stage.imgimport(&format!("{COMMAND} --no-resume --tag a=b"));
        let run = run.ends().await;
        run.exits(1).prints("");
        assert!(run.stderr.contains("cause: No"), "{step}: {}", run.stderr);
        nothing_is_left(&stage, &run);
    }
}

#[tokio::test]
async fn a_failure_at_any_step_is_gone_on_from() {
    for step in [
        PUT,
        "ebs:CompleteSnapshot",
        "ec2:DescribeSnapshots",
        "ec2:RegisterImage",
    ] {
        let stage = Stage::new().await;
        let disk = stage.disk(2);
        let nth = if step == PUT { 3 } else { 1 };
        let denied = Fault::on(step).nth(nth);
        let denied = denied.answer(403, "AccessDeniedException", "Not allowed");
        stage.cloud.fault(denied);
        let run = stage.imgimport(SLOWLY).ends().await;
        run.exits(1).prints("");
        assert!(
            run.stderr
                .contains("aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1"),
            "{step}: {}",
            run.stderr
        );
        let before = sent(&stage, 0).len();
        let run = stage.imgimport(SLOWLY).ends().await;
        arrived_whole(&stage, &run, &disk);
        let again: &[u32] = if step == PUT { &[2, 3] } else { &[] };
        assert_eq!(sent(&stage, before), again, "{step}");
    }
}

#[tokio::test]
async fn ctrl_c_keeps_the_snapshot_and_names_it_and_the_next_run_goes_on() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    let gate = held_at(&stage, 2);
    let running = stage.imgimport(SLOWLY).start();
    reached(&gate).await;
    running.signal("INT");
    let run = running.ends().await;
    run.exits(130).prints("").says(
        "
        error: stopped
          left behind: the snapshot snap-ID with 2 blocks; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1
          hint: the same command goes on from there
        ",
    );
    gate.release();
    stage.cloud.clear_faults();
    let before = sent(&stage, 0).len();
    let run = stage.imgimport(SLOWLY).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, before), [2, 3]);
}

#[tokio::test]
async fn the_second_ctrl_c_or_no_resume_deletes_the_snapshot() {
    for resume in [true, false] {
        let stage = Stage::new().await;
        stage.disk(2);
        let gate = held_at(&stage, 2);
        let command = SLOWLY.replace("-q ", if resume { "" } else { "--no-resume " });
        let mut running = stage.imgimport(&command).start();
        reached(&gate).await;
        running.signal("INT");
        if resume {
            running.says("Ctrl-C once more").await;
            running.signal("INT");
        }
        let run = running.ends().await;
        run.exits(130).prints("");
        nothing_is_left(&stage, &run);
    }
}

#[tokio::test]
async fn a_disk_that_changes_under_the_run_makes_no_image() {
    let stage = Stage::new().await;
    stage.disk(2);
    let gate = held_at(&stage, 3);
    let running = stage.imgimport(SLOWLY).start();
    reached(&gate).await;
    let file = OpenOptions::new().write(true).open(stage.path("disk.raw"));
    file.unwrap().write_all_at(b"changed", 4096).unwrap();
    gate.release();
    let run = running.ends().await;
    run.exits(1).prints("").says(
        "
        error: the image changed while it was read
          cause: somebody wrote to it
          hint: stop what writes to it, or make a copy, and run the command again
        ",
    );
    nothing_is_left(&stage, &run);
}

#[tokio::test]
async fn a_disk_that_changed_between_two_runs_is_sent_anew() {
    let stage = Stage::new().await;
    stage.disk(2);
    killed_at(&stage, 2).await;
    let mut disk = sample::raw(2 << 20);
    disk[4096] ^= 1;
    stage.file("disk.raw", &disk);
    let before = sent(&stage, 0).len();
    let run = stage.imgimport(SLOWLY).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, before), [0, 1, 2, 3]);
}

#[tokio::test]
async fn without_waiting_the_snapshot_is_named_and_a_later_run_registers_it() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    let run = stage
        .imgimport(&format!("{COMMAND} --no-wait"))
        .ends()
        .await;
    run.exits(0).prints("snap-ID").says(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account in eu-central-1
        Writing to snap-ID
          25 % (512.0 KiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
          snap-ID is being completed; the same command without --no-wait registers the image
        ",
    );
    assert_eq!(snapshot(&stage), run.raw);
    let run = stage.imgimport(&format!("{COMMAND} -q")).ends().await;
    arrived_whole(&stage, &run, &disk);
    assert_eq!(sent(&stage, 4), [0; 0]);
}

#[tokio::test]
async fn whatever_can_be_decoded_takes_this_road() {
    let disk = sample::raw(3 << 20);
    let images = [
        ("disk.vmdk", sample::vmdk(&disk)),
        ("disk.vhd", sample::vhd(&disk)),
        ("disk.ova", sample::ova("disk", &disk)),
    ];
    for (name, image) in images {
        let stage = Stage::new().await;
        stage.file(name, image);
        let run = stage.imgimport(&COMMAND.replace("disk.raw", name));
        let run = run.ends().await;
        arrived_whole(&stage, &run, &disk);
        assert_eq!(sent(&stage, 0), [0, 1, 2, 3, 4, 5], "{name}");
    }
}

#[tokio::test]
async fn a_qcow2_that_holds_nothing_is_a_snapshot_without_blocks() {
    let stage = Stage::new().await;
    stage.file("disk.qcow2", sample::qcow2(300 << 20));
    let run = stage.imgimport(&COMMAND.replace("disk.raw", "disk.qcow2"));
    let run = run.ends().await;
    arrived_whole(&stage, &run, &[0; 4096]);
    assert_eq!(sent(&stage, 0), [0; 0]);
    assert_eq!(stage.cloud.ec2().snapshots()[0].volume_size, 1);
}

#[tokio::test]
async fn what_can_not_be_cut_into_blocks_is_refused_before_anything_is_asked() {
    let stage = Stage::new().await;
    let disk = stage.file("disk.raw", sample::raw(2 << 20));
    let run = stage.imgimport("aws --method ebs-direct --ami-name web -");
    run.stdin(&disk).ends().await.exits(3).prints("").says(
        "
        error: standard input can't be read at any position
          hint: convert it to raw with qemu-img, or name a --bucket
        ",
    );
    let run = stage.imgimport(&format!("{COMMAND} --concurrency 300"));
    run.ends().await.exits(2).says(
        "
        error: so many blocks can't be in flight
          hint: --concurrency takes 1 to 256
        ",
    );
    assert!(stage.cloud.journal().is_empty());
}
