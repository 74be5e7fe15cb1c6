//! The road of ImportSnapshot and RegisterImage: what it carries, which images take it,
//! and how it ends when something goes wrong.

use std::os::unix::fs::FileExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use imgimport_sandbox::{CopyScript, Fault, Gate, ImportScript, sample};

use crate::support::{Ended, Stage};

const COMMAND: &str = "aws --bucket importbucket --method import-snapshot --tag team=a -q disk.raw";

/// Exactly one image and its snapshot, and nothing else anywhere.
#[track_caller]
fn nothing_but_the_image(stage: &Stage, run: &Ended) {
    let (images, snapshots) = (stage.cloud.ec2().images(), stage.cloud.ec2().snapshots());
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(images[0].id, run.raw);
    assert_eq!(images[0].tags["team"], "a");
    assert_eq!(images[0].snapshot_ids.len(), 1);
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    assert_eq!(snapshots[0].id, images[0].snapshot_ids[0]);
    assert_eq!(snapshots[0].tags["team"], "a");
    assert!(stage.cloud.s3().objects().is_empty());
    assert!(stage.cloud.s3().uploads().is_empty());
    assert!(stage.journal().is_empty(), "{:?}", stage.journal());
}

#[track_caller]
fn nothing_at_all(stage: &Stage) {
    assert!(stage.cloud.ec2().images().is_empty());
    assert!(stage.cloud.ec2().snapshots().is_empty());
    let tasks = stage.cloud.ec2().import_tasks();
    assert!(
        tasks.iter().all(|task| task.status != "active"),
        "{tasks:?}"
    );
    assert!(stage.cloud.s3().objects().is_empty());
    assert!(stage.cloud.s3().uploads().is_empty());
    assert!(stage.journal().is_empty(), "{:?}", stage.journal());
}

#[tokio::test]
async fn a_raw_disk_becomes_a_snapshot_and_that_an_ami() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    let run = stage.imgimport("aws --bucket importbucket --method import-snapshot disk.raw");
    let run = run.ends().await;
    run.exits(0).prints("ami-ID").says(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        Uploading to s3://importbucket/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as import-snap-TASK
           2 % pending
        Imported as snap-ID
        Registering snap-ID as \"imgimport-1767225600\"
          pending
        ",
    );
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    let image = &stage.cloud.ec2().images()[0];
    assert_eq!(image.name, "imgimport-1767225600");
    assert_eq!(
        (image.architecture.as_str(), image.virtualization.as_str()),
        ("x86_64", "hvm")
    );
    assert_eq!(
        (image.ena_support, image.root_device.as_str()),
        (true, "/dev/sda1")
    );
    assert_eq!(image.volume, ("gp3".to_owned(), None));
    assert!(stage.cloud.s3().objects().is_empty());
    assert!(stage.journal().is_empty());
}

#[tokio::test]
async fn the_result_as_json_names_the_snapshot_and_the_task() {
    let stage = Stage::new().await;
    stage.disk(2);
    let run = stage.imgimport(
        "aws --bucket importbucket --method import-snapshot --ami-name web -q --output json disk.raw",
    );
    run.ends().await.exits(0).says("").prints(
        r#"{"image_id":"ami-ID","images":[{"image_id":"ami-ID","region":"eu-central-1"}],"name":"web","object":{"bucket":"importbucket","deleted":true,"key":"imgimport-1767225600.raw"},"provider":"aws","region":"eu-central-1","schema":1,"seconds":{"import":SECONDS,"total":SECONDS,"upload":SECONDS},"snapshot_ids":["snap-ID"],"source":{"format":"raw","path":"disk.raw","sha256":"0e86efe4adc30c55f679c86075133de0ef765cd6624324c049e234a6d9f006a8","size":2097152,"virtual_size":2097152},"task_id":"import-snap-TASK","uploaded_bytes":2097152}"#,
    );
}

#[tokio::test]
async fn everything_that_was_asked_for_is_in_the_registered_image() {
    let stage = Stage::new().await;
    stage.disk(2);
    let data = STANDARD.encode(b"AMZNUEFI with keys of ours");
    stage.file(
        "vars.json",
        format!(r#"{{"InstanceId": "i-1", "UefiData": "{data}"}}"#),
    );
    let run = stage.program([
        "aws",
        "--bucket=importbucket",
        "--ami-name=web {{timestamp}}",
        "--ami-description=built {{isotime \"2006-01-02\"}}",
        "--ami-users=111122223333",
        "--tag=built={{timestamp}}",
        "--tag=team=a",
        "--boot-mode=uefi",
        "--tpm-support=v2.0",
        "--uefi-data=vars.json",
        "--imds-support=v2.0",
        "--volume-type=gp2",
        "--volume-size=5",
        "--root-device-name=/dev/xvda",
        "-q",
        "disk.raw",
    ]);
    let run = run.ends().await;
    run.exits(0).prints("ami-ID").says("");
    let image = &stage.cloud.ec2().images()[0];
    assert_eq!(image.name, "web 1767225600");
    assert_eq!(image.description.as_deref(), Some("built 2026-01-01"));
    assert_eq!(image.boot_mode.as_deref(), Some("uefi"));
    assert_eq!(image.tpm_support.as_deref(), Some("v2.0"));
    assert_eq!(image.uefi_data.as_deref(), Some(data.as_str()));
    assert_eq!(image.imds_support.as_deref(), Some("v2.0"));
    assert_eq!(image.volume, ("gp2".to_owned(), Some(5)));
    assert_eq!(image.root_device, "/dev/xvda");
    assert_eq!(image.tags["built"], "1767225600");
    assert_eq!(image.launch_permissions.len(), 1);
    let task = &stage.cloud.ec2().import_tasks()[0];
    assert_eq!(task.tags["built"], "1767225600");
    let changed = stage.cloud.requests("ec2:ModifyImageAttribute");
    assert_eq!(
        changed.len(),
        1,
        "the registration carries the rest: {changed:?}"
    );
    let tagged = stage.cloud.requests("ec2:CreateTags");
    assert_eq!(tagged.len(), 1);
    assert!(
        tagged[0].get("ResourceId.1").starts_with("snap-"),
        "the snapshot alone"
    );
    nothing_but_the_image(&stage, &run);
}

#[tokio::test]
async fn what_import_image_does_not_take_goes_the_other_road_and_says_so() {
    let data = STANDARD.encode(b"AMZNUEFI and so on");
    let wishes = [
        (
            "--architecture=arm64",
            "ImportImage takes no arm64",
            Some("uefi"),
        ),
        (
            "--boot-mode=uefi-preferred",
            "ImportImage takes no uefi-preferred",
            Some("uefi-preferred"),
        ),
        (
            "--boot-mode=uefi --tpm-support=v2.0",
            "ImportImage takes no TPM support",
            Some("uefi"),
        ),
        (
            "--boot-mode=uefi --uefi-data=vars",
            "ImportImage takes no UEFI data",
            Some("uefi"),
        ),
        (
            "--volume-type=standard",
            "ImportImage takes no volume type",
            None,
        ),
        ("--volume-size=1", "ImportImage takes no volume size", None),
        (
            "--root-device-name=/dev/xvda",
            "ImportImage takes no root device name",
            None,
        ),
    ];
    join_all(wishes.map(async |(wish, why, boot)| {
        let stage = Stage::new().await;
        stage.disk(2);
        stage.file("vars", &data);
        let run = stage.imgimport(&format!("aws --bucket importbucket {wish} disk.raw"));
        let run = run.ends().await;
        run.exits(0).prints("ami-ID").says(&format!(
            "
            disk.raw: raw disk, 2.0 MiB disk
            Checking the account, bucket importbucket and role vmimport in eu-central-1
            Taking the road import-snapshot: {why}
            Uploading to s3://importbucket/imgimport-1767225600.raw
             100 % (2.0 MiB of 2.0 MiB)
            Uploaded 2.0 MiB in TIME
            Importing as import-snap-TASK
               2 % pending
            Imported as snap-ID
            Registering snap-ID as \"imgimport-1767225600\"
              pending
            "
        ));
        let image = &stage.cloud.ec2().images()[0];
        assert_eq!(image.boot_mode.as_deref(), boot, "{wish}");
        let arm = wish.contains("arm64");
        assert_eq!(image.architecture, if arm { "arm64" } else { "x86_64" });
    }))
    .await;
}

#[tokio::test]
async fn wishes_that_contradict_each_other_are_said_with_what_to_do() {
    let stage = Stage::new().await;
    stage.disk(2);
    stage.file("vars", STANDARD.encode(b"AMZNUEFI and so on"));
    stage.file("notes", "remember the milk");
    let cases = [
        (
            "--method import-image --architecture arm64",
            "error: EC2's ImportImage takes no arm64: say --method import-snapshot (--architecture, IMGIMPORT_AWS_ARCHITECTURE or architecture in [aws])",
        ),
        (
            "--method import-image --volume-size 8",
            "error: EC2's ImportImage takes no volume size: say --method import-snapshot (--volume-size, IMGIMPORT_AWS_VOLUME_SIZE or volume_size in [aws])",
        ),
        (
            "--method import-snapshot --license-type BYOL",
            "error: EC2's RegisterImage takes no licence type: say --method import-image (--license-type, IMGIMPORT_AWS_LICENSE_TYPE or license_type in [aws])",
        ),
        (
            "--architecture arm64 --platform windows",
            "error: EC2's RegisterImage takes no Windows systems, and ImportImage takes no arm64: leave one of the two out (--platform, IMGIMPORT_AWS_PLATFORM or platform in [aws])",
        ),
        (
            "--architecture arm64 --boot-mode legacy-bios",
            "error: an arm64 system starts with UEFI alone: say uefi, or leave the boot mode out (--boot-mode, IMGIMPORT_AWS_BOOT_MODE or boot_mode in [aws])",
        ),
        (
            "--tpm-support v2.0",
            "error: TPM support needs a system that always starts with UEFI: add --boot-mode uefi (--tpm-support, IMGIMPORT_AWS_TPM_SUPPORT or tpm_support in [aws])",
        ),
        (
            "--uefi-data vars",
            "error: UEFI data says nothing to a system that does not start with UEFI: add --boot-mode uefi (--uefi-data, IMGIMPORT_AWS_UEFI_DATA or uefi_data in [aws])",
        ),
        (
            "--uefi-data notes --boot-mode uefi",
            "error: notes has no UEFI data: write it with get-instance-uefi-data of the AWS CLI, or with uefivars -o aws (--uefi-data, IMGIMPORT_AWS_UEFI_DATA or uefi_data in [aws])",
        ),
        (
            "--root-device-name sda",
            "error: \"sda\" is no device of EC2's: write /dev/sda1 or /dev/xvda (--root-device-name, IMGIMPORT_AWS_ROOT_DEVICE_NAME or root_device_name in [aws])",
        ),
        (
            "--volume-size 0",
            "error: a volume has 1 to 65536 GiB (--volume-size, IMGIMPORT_AWS_VOLUME_SIZE or volume_size in [aws])",
        ),
    ];
    for (wish, error) in cases {
        let run = stage.imgimport(&format!("aws --bucket importbucket {wish} disk.raw"));
        run.ends().await.exits(2).prints("").says(error);
    }
    assert!(stage.cloud.journal().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_volume_that_cannot_hold_the_image_is_refused_before_anything_is_sent() {
    let stage = Stage::new().await;
    let disk = std::fs::File::create(stage.path("disk.raw")).unwrap();
    disk.set_len((3 << 30) + 1).unwrap();
    disk.write_all_at(&sample::raw(2 << 20)[..512], 0).unwrap();
    let run = stage.imgimport("aws --bucket importbucket --volume-size 3 disk.raw");
    run.ends().await.exits(2).prints("").says(
        "
        error: a volume of 3 GiB is too small for the image, which has 3.0 GiB
          hint: say --volume-size 4 or more, or leave it out
        ",
    );
}

#[tokio::test]
async fn every_format_of_one_disk_is_imported_as_what_it_is() {
    let raw = sample::raw(2 << 20);
    let disks = [
        ("disk.vhd", sample::vhd(&raw), "VHD"),
        ("disk.vmdk", sample::vmdk(&raw), "VMDK"),
    ];
    for (name, bytes, format) in disks {
        let stage = Stage::new().await;
        stage.file(name, &bytes);
        let run = stage.imgimport(&format!(
            "aws --bucket importbucket --method import-snapshot -q {name}"
        ));
        run.ends().await.exits(0).prints("ami-ID").says("");
        let request = &stage.cloud.requests("ec2:ImportSnapshot")[0];
        assert_eq!(request.get("DiskContainer.Format"), format);
    }
}

#[tokio::test]
async fn an_ova_is_no_disk_and_the_remedy_is_said() {
    let stage = Stage::new().await;
    stage.file("disk.ova", sample::ova("disk", &sample::raw(2 << 20)));
    let run = stage.imgimport("aws --bucket importbucket --architecture arm64 disk.ova");
    run.ends().await.exits(3).prints("").says(
        "
        error: AWS can't import an OVA
          cause: EC2's ImportSnapshot takes no OVA, it takes one disk
          hint: say --method import-image, or unpack its disk and import that: tar -xf disk.ova -- disk.vmdk
        ",
    );
}

#[tokio::test]
async fn nobody_waits_and_the_next_run_registers_the_image() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    stage.disk(2);
    let command = "aws --bucket importbucket --architecture arm64 --tag team=a";
    let run = stage.imgimport(&format!("{command} --no-wait disk.raw"));
    run.ends().await.exits(0).prints("import-snap-TASK").says(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        Taking the road import-snapshot: ImportImage takes no arm64
        Uploading to s3://importbucket/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as import-snap-TASK
          s3://importbucket/imgimport-1767225600.raw is read by import-snap-TASK; the same command without --no-wait registers the image and removes it
        ",
    );
    gate.release();
    let run = stage.imgimport(&format!("{command} disk.raw")).ends().await;
    run.exits(0).prints("ami-ID").says(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        Taking the road import-snapshot: ImportImage takes no arm64
        An earlier run has started import-snap-TASK
        Imported as snap-ID
        Registering snap-ID as \"imgimport-1767225600\"
          pending
        ",
    );
    assert_eq!(stage.cloud.requests("ec2:ImportSnapshot").len(), 1);
    assert_eq!(stage.cloud.requests("s3:UploadPart").len(), 1);
    nothing_but_the_image(&stage, &run);
}

#[tokio::test]
async fn a_dry_run_of_this_road_says_the_name_that_the_image_would_have() {
    let stage = Stage::new().await;
    stage.disk(2);
    let run = stage.imgimport(
        "aws --bucket importbucket --key in/web.raw --architecture arm64 --dry-run disk.raw",
    );
    run.ends().await.exits(0).prints("").says(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        Taking the road import-snapshot: ImportImage takes no arm64
        The caller is arn:aws:iam::123456789012:user/sandbox
        The caller may ec2:ImportSnapshot and ec2:RegisterImage
        0 of 20 imports are running in eu-central-1
        Not verified: s3:PutObject, s3:DeleteObject and iam:PassRole
        Would send 2.0 MiB to s3://importbucket/in/web.raw, in one part
        Would import it into eu-central-1 as the AMI \"web-1767225600\", registered from its snapshot
        Would remove s3://importbucket/in/web.raw afterwards
        ",
    );
    assert!(stage.cloud.ec2().images().is_empty());
}

#[tokio::test]
async fn an_encrypted_snapshot_is_imported_with_its_key_and_registered_without() {
    let stage = Stage::new().await;
    stage.disk(2);
    let run = stage.imgimport(&format!(
        "{COMMAND} --ami-encrypt --ami-kms-key alias/images"
    ));
    let run = run.ends().await;
    run.exits(0).says("");
    let request = &stage.cloud.ec2().import_tasks()[0].request;
    assert_eq!(
        (request["Encrypted"].as_str(), request["KmsKeyId"].as_str()),
        ("true", "alias/images")
    );
    assert!(stage.cloud.ec2().snapshots()[0].encrypted);
    nothing_but_the_image(&stage, &run);
}

#[tokio::test]
async fn lost_answers_make_nothing_twice() {
    for operation in ["ec2:ImportSnapshot", "ec2:RegisterImage"] {
        let stage = Stage::new().await;
        stage.disk(2);
        stage.cloud.fault(Fault::on(operation).cut_answer());
        let run = stage.imgimport(COMMAND).ends().await;
        run.exits(0).prints("ami-ID").says("");
        assert_eq!(stage.cloud.requests(operation).len(), 2, "{operation}");
        assert_eq!(stage.cloud.ec2().import_tasks().len(), 1);
        nothing_but_the_image(&stage, &run);
    }
}

#[tokio::test]
async fn throttling_passes() {
    let operations = [
        "ec2:ImportSnapshot",
        "ec2:DescribeImportSnapshotTasks",
        "ec2:RegisterImage",
        "ec2:DescribeImages",
        "ec2:CreateTags",
    ];
    join_all(operations.map(async |operation| {
        let stage = Stage::new().await;
        stage.disk(2);
        let busy = Fault::on(operation).times(2);
        stage
            .cloud
            .fault(busy.answer(503, "RequestLimitExceeded", "Request limit exceeded."));
        let run = stage.imgimport(COMMAND).ends().await;
        run.exits(0).prints("ami-ID").says("");
        nothing_but_the_image(&stage, &run);
    }))
    .await;
}

#[tokio::test]
async fn an_import_that_fails_leaves_what_was_sent_and_says_why() {
    let stage = Stage::new().await;
    let reason = "ClientError: Disk validation failed [Unsupported VMDK File Format]";
    stage
        .cloud
        .import_script(ImportScript::quick().fail(reason));
    stage.disk(2);
    stage.imgimport(COMMAND).ends().await.exits(1).prints("").says(
        "
        error: the import import-snap-TASK failed
          cause: ClientError: Disk validation failed [Unsupported VMDK File Format]
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: make the VMDK stream-optimized: qemu-img convert -f raw -O vmdk -o subformat=streamOptimized disk.raw disk.vmdk
        ",
    );
    stage.cloud.import_script(ImportScript::quick());
    let run = stage.imgimport(COMMAND).ends().await;
    run.exits(0).says("");
    assert_eq!(stage.cloud.requests("s3:UploadPart").len(), 1);
    nothing_but_the_image(&stage, &run);
}

#[tokio::test]
async fn a_refused_registration_leaves_the_snapshot_for_the_next_run() {
    let stage = Stage::new().await;
    let denied = Fault::on("ec2:RegisterImage");
    let text = "You are not authorized to perform this operation.";
    stage
        .cloud
        .fault(denied.answer(403, "UnauthorizedOperation", text));
    stage.disk(2);
    stage.imgimport(COMMAND).ends().await.exits(1).prints("").says(
        "
        error: snap-ID could not be registered as \"imgimport-1767225600\"
          cause: You are not authorized to perform this operation (UnauthorizedOperation, request ID)
          left behind: the snapshot snap-ID; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1
          hint: allow the caller ec2:RegisterImage: {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"ec2:RegisterImage\",\"Resource\":\"*\"}]}
        ",
    );
    assert!(
        stage.cloud.s3().objects().is_empty(),
        "nobody needs the object any more"
    );
    let run = stage.imgimport(&COMMAND.replace("-q ", "")).ends().await;
    run.exits(0).prints("ami-ID").says(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        An earlier run has imported snap-ID
        Registering snap-ID as \"imgimport-1767225600\"
          pending
        ",
    );
    assert_eq!(stage.cloud.ec2().import_tasks().len(), 1);
    nothing_but_the_image(&stage, &run);
}

#[tokio::test]
async fn an_image_that_fails_goes_and_its_snapshot_is_registered_again() {
    let stage = Stage::new().await;
    stage
        .cloud
        .ec2()
        .copy_script(CopyScript::default().fail("the snapshot can't be read"));
    stage.disk(2);
    stage.imgimport(COMMAND).ends().await.exits(1).prints("").says(
        "
        error: ami-ID is failed
          cause: the snapshot can't be read
          left behind: the snapshot snap-ID; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1
          hint: the same command goes on from there
        ",
    );
    assert!(stage.cloud.ec2().images().is_empty());
    stage.cloud.ec2().copy_script(CopyScript::default());
    let run = stage.imgimport(COMMAND).ends().await;
    run.exits(0).says("");
    assert_eq!(stage.cloud.ec2().import_tasks().len(), 1);
    nothing_but_the_image(&stage, &run);
}

#[tokio::test]
async fn a_name_that_somebody_took_meanwhile_costs_no_second_import() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    stage.disk(2);
    let command = format!("{COMMAND} --ami-name web");
    let running = stage.imgimport(&command).start();
    gate.reached().await;
    stage.cloud.ec2().register_image("eu-central-1", "web");
    gate.release();
    running.ends().await.exits(1).prints("").says(
        "
        error: snap-ID could not be registered as \"web\"
          cause: AMI name web is already in use by AMI ami-ID (InvalidAMIName.Duplicate, request ID)
          left behind: the snapshot snap-ID; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1
          hint: deregister that image and run the same command again, or choose another --ami-name
        ",
    );
}

#[tokio::test]
async fn a_name_that_is_taken_is_said_before_the_upload_even_if_we_chose_it() {
    let stage = Stage::new().await;
    stage
        .cloud
        .ec2()
        .register_image("eu-central-1", "imgimport-1767225600");
    stage.disk(2);
    stage
        .imgimport(COMMAND)
        .ends()
        .await
        .exits(1)
        .prints("")
        .says(
            "
        error: the AMI's name \"imgimport-1767225600\" is taken
          cause: ami-ID in eu-central-1 has it
          hint: choose another --ami-name, such as one with {{timestamp}}, or deregister that image
        ",
        );
    assert!(stage.cloud.requests("s3:CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn another_wish_is_another_image_and_what_is_there_stays_and_is_named() {
    let stage = Stage::new().await;
    let gate = stage.cloud.hold(Fault::on("ec2:CreateTags"));
    stage.disk(2);
    let running = stage
        .imgimport(&format!("{COMMAND} --ami-name web-{{{{uuid}}}}"))
        .start();
    gate.reached().await;
    running.kill().await;
    gate.release();
    let run = stage.imgimport(&format!(
        "{COMMAND} --ami-name web-{{{{uuid}}}} --volume-size 9"
    ));
    run.ends().await.exits(0).prints("ami-ID").says(
        "
        warning: snap-ID, which an earlier run has imported, stays: this run was asked for another one
        warning: ami-ID, which an earlier run has imported, stays: this run was asked for another one
        ",
    );
    assert_eq!(stage.cloud.ec2().images().len(), 2);
}

#[tokio::test]
async fn a_deadline_that_passes_leaves_the_task_and_the_next_run_attaches() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    stage.disk(2);
    let run = stage
        .imgimport(&format!("{COMMAND} --timeout 300ms"))
        .ends()
        .await;
    run.exits(4).prints("").says(
        "
        error: the deadline passed while the cloud is still working
          left behind: the import task import-snap-TASK; remove it with: aws ec2 cancel-import-task --import-task-id import-snap-TASK --region eu-central-1
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: the same command goes on from there
        ",
    );
    gate.release();
    let run = stage.imgimport(COMMAND).ends().await;
    run.exits(0).says("");
    nothing_but_the_image(&stage, &run);
}

/// Where a run can be ended: the n-th request of this kind has done its work, and its
/// answer is not heard.
const STEPS: [(&str, usize); 7] = [
    ("s3:CompleteMultipartUpload", 1),
    ("ec2:ImportSnapshot", 1),
    ("ec2:DescribeImportSnapshotTasks", 1),
    ("s3:DeleteObject", 1),
    ("ec2:RegisterImage", 1),
    ("ec2:DescribeImages", 2),
    ("ec2:CreateTags", 1),
];

#[tokio::test]
async fn killed_at_any_step_and_run_again_there_is_one_image() {
    join_all(STEPS.map(async |(operation, number)| {
        let stage = Stage::new().await;
        let gate = stage.cloud.hold_answer(Fault::on(operation).nth(number));
        stage.disk(12);
        let command = format!("{COMMAND} --part-size 5MiB");
        let running = stage.imgimport(&command).start();
        gate.reached().await;
        running.kill().await;
        gate.release();
        let run = stage.imgimport(&command).ends().await;
        run.exits(0).prints("ami-ID").says("");
        assert_eq!(stage.cloud.ec2().import_tasks().len(), 1, "{operation}");
        assert_eq!(
            stage.cloud.requests("s3:UploadPart").len(),
            3,
            "{operation}"
        );
        nothing_but_the_image(&stage, &run);
    }))
    .await;
}

#[tokio::test]
async fn stopped_at_any_step_everything_that_stays_is_named_and_the_next_run_goes_on() {
    join_all(STEPS[1..].iter().map(async |(operation, number)| {
        let stage = Stage::new().await;
        let gate = stage.cloud.hold_answer(Fault::on(operation).nth(*number));
        stage.disk(2);
        let running = stage.imgimport(COMMAND).start();
        gate.reached().await;
        running.signal("INT");
        let run = running.ends().await;
        run.exits(130).prints("");
        for image in stage.cloud.ec2().images() {
            let named = run.stderr.contains("the image ami-ID")
                || run.stderr.contains("that may have been made");
            assert!(named, "{operation}: {image:?}\n{}", run.stderr);
        }
        for snapshot in stage.cloud.ec2().snapshots() {
            let named = run.stderr.contains("the snapshot snap-ID")
                || run.stderr.contains("the import task import-snap-TASK");
            assert!(named, "{operation}: {snapshot:?}\n{}", run.stderr);
        }
        for object in stage.cloud.s3().objects() {
            assert!(
                run.stderr.contains("s3://importbucket/"),
                "{operation}: {object:?}\n{}",
                run.stderr
            );
        }
        let tasks = stage.cloud.ec2().import_tasks();
        if tasks[0].status == "active" {
            assert!(
                run.stderr.contains("the import task ")
                    || run.stderr.contains("an import of s3://"),
                "{operation}\n{}",
                run.stderr
            );
        }
        gate.release();
        let run = stage.imgimport(COMMAND).ends().await;
        run.exits(0).prints("ami-ID").says("");
        assert_eq!(stage.cloud.ec2().import_tasks().len(), 1, "{operation}");
        nothing_but_the_image(&stage, &run);
    }))
    .await;
}

#[tokio::test]
async fn without_resume_a_stop_at_any_step_leaves_nothing() {
    join_all(STEPS[1..].iter().map(async |(operation, number)| {
        let stage = Stage::new().await;
        let gate = stage.cloud.hold_answer(Fault::on(operation).nth(*number));
        stage.disk(2);
        let running = stage.imgimport(&format!("{COMMAND} --no-resume")).start();
        gate.reached().await;
        running.signal("INT");
        running
            .ends()
            .await
            .exits(130)
            .prints("")
            .says("error: stopped");
        nothing_at_all(&stage);
    }))
    .await;
}

#[tokio::test]
async fn ctrl_c_twice_takes_the_image_before_its_snapshot() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage
        .cloud
        .ec2()
        .copy_script(CopyScript::default().hold(&gate));
    stage.disk(2);
    let mut running = stage.imgimport(&COMMAND.replace("-q ", "")).start();
    gate.reached().await;
    running.signal("INT");
    running.says("Ctrl-C once more").await;
    running.signal("INT");
    let run = running.ends().await;
    run.exits(130).prints("").says(
        "
          Removing the image ami-ID
          Removing the snapshot snap-ID
        error: stopped
        ",
    );
    nothing_at_all(&stage);
}

#[tokio::test]
async fn a_task_that_was_quicker_than_its_cancelling_leaves_no_snapshot() {
    let stage = Stage::new().await;
    let gate = stage.cloud.hold(Fault::on("ec2:CancelImportTask"));
    let import = Gate::new();
    stage
        .cloud
        .import_script(ImportScript::quick().hold(&import));
    stage.disk(2);
    let running = stage.imgimport(&format!("{COMMAND} --no-resume")).start();
    import.reached().await;
    running.signal("INT");
    gate.reached().await;
    import.release();
    let task = stage.cloud.ec2().import_tasks()[0].id.clone();
    stage.cloud.ec2().finish(&task);
    assert_eq!(stage.cloud.ec2().snapshots().len(), 1);
    gate.release();
    running
        .ends()
        .await
        .exits(130)
        .prints("")
        .says("error: stopped");
    nothing_at_all(&stage);
}
