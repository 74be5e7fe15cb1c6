//! The road of ImportSnapshot and RegisterImage: what it carries, which images take it,
//! and how it ends when something goes wrong.

use std::os::unix::fs::FileExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use imgimport_sandbox::{CopyScript, Fault, Gate, ImportScript, sample};

use crate::support::{Output, TestEnv};

const COMMAND: &str = "aws --bucket importbucket --method import-snapshot --tag team=a -q disk.raw";

/// Exactly one image and its snapshot, and nothing else anywhere.
#[track_caller]
fn assert_only_the_image(env: &TestEnv, run: &Output) {
    let (images, snapshots) = (env.cloud.ec2().images(), env.cloud.ec2().snapshots());
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(images[0].id, run.stdout_raw);
    assert_eq!(images[0].tags["team"], "a");
    assert_eq!(images[0].snapshot_ids.len(), 1);
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    assert_eq!(snapshots[0].id, images[0].snapshot_ids[0]);
    assert_eq!(snapshots[0].tags["team"], "a");
    assert!(env.cloud.s3().objects().is_empty());
    assert!(env.cloud.s3().uploads().is_empty());
    assert!(env.journal().is_empty(), "{:?}", env.journal());
}

#[track_caller]
fn assert_nothing_left(env: &TestEnv) {
    assert!(env.cloud.ec2().images().is_empty());
    assert!(env.cloud.ec2().snapshots().is_empty());
    let tasks = env.cloud.ec2().import_tasks();
    assert!(
        tasks.iter().all(|task| task.status != "active"),
        "{tasks:?}"
    );
    assert!(env.cloud.s3().objects().is_empty());
    assert!(env.cloud.s3().uploads().is_empty());
    assert!(env.journal().is_empty(), "{:?}", env.journal());
}

#[tokio::test]
async fn a_raw_disk_becomes_a_snapshot_and_that_an_ami() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    let run = env.imgimport("aws --bucket importbucket --method import-snapshot disk.raw");
    let run = run.output().await;
    run.code(0).stdout("ami-ID").stderr(
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
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    let image = &env.cloud.ec2().images()[0];
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
    assert!(env.cloud.s3().objects().is_empty());
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn the_result_as_json_names_the_snapshot_and_the_task() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(
        "aws --bucket importbucket --method import-snapshot --ami-name web -q --output json disk.raw",
    );
    run.output().await.code(0).stderr("").stdout(
        r#"{"image_id":"ami-ID","images":[{"image_id":"ami-ID","region":"eu-central-1"}],"name":"web","object":{"bucket":"importbucket","deleted":true,"key":"imgimport-1767225600.raw"},"provider":"aws","region":"eu-central-1","schema":1,"seconds":{"import":SECONDS,"total":SECONDS,"upload":SECONDS},"snapshot_ids":["snap-ID"],"source":{"format":"raw","path":"disk.raw","sha256":"0e86efe4adc30c55f679c86075133de0ef765cd6624324c049e234a6d9f006a8","size":2097152,"virtual_size":2097152},"task_id":"import-snap-TASK","uploaded_bytes":2097152}"#,
    );
}

#[tokio::test]
async fn all_options_reach_the_registered_image() {
    let env = TestEnv::new().await;
    env.disk(2);
    let data = STANDARD.encode(b"AMZNUEFI with keys of ours");
    env.file(
        "vars.json",
        format!(r#"{{"InstanceId": "i-1", "UefiData": "{data}"}}"#),
    );
    let run = env.program([
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
    let run = run.output().await;
    run.code(0).stdout("ami-ID").stderr("");
    let image = &env.cloud.ec2().images()[0];
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
    let task = &env.cloud.ec2().import_tasks()[0];
    assert_eq!(task.tags["built"], "1767225600");
    let changed = env.cloud.requests("ec2:ModifyImageAttribute");
    assert_eq!(
        changed.len(),
        1,
        "the registration carries the rest: {changed:?}"
    );
    let tagged = env.cloud.requests("ec2:CreateTags");
    assert_eq!(tagged.len(), 1);
    assert!(
        tagged[0].get("ResourceId.1").starts_with("snap-"),
        "the snapshot alone"
    );
    assert_only_the_image(&env, &run);
}

#[tokio::test]
async fn a_format_that_import_image_rejects_is_imported_by_snapshot_with_a_notice() {
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
        let env = TestEnv::new().await;
        env.disk(2);
        env.file("vars", &data);
        let run = env.imgimport(&format!("aws --bucket importbucket {wish} disk.raw"));
        let run = run.output().await;
        run.code(0).stdout("ami-ID").stderr(&format!(
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
        let image = &env.cloud.ec2().images()[0];
        assert_eq!(image.boot_mode.as_deref(), boot, "{wish}");
        let arm = wish.contains("arm64");
        assert_eq!(image.architecture, if arm { "arm64" } else { "x86_64" });
    }))
    .await;
}

#[tokio::test]
async fn contradicting_settings_are_reported_with_a_hint() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.file("vars", STANDARD.encode(b"AMZNUEFI and so on"));
    env.file("notes", "remember the milk");
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
        let run = env.imgimport(&format!("aws --bucket importbucket {wish} disk.raw"));
        run.output().await.code(2).stdout("").stderr(error);
    }
    assert!(env.cloud.requests_so_far().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_volume_that_cannot_hold_the_image_is_refused_before_anything_is_sent() {
    let env = TestEnv::new().await;
    let disk = std::fs::File::create(env.path("disk.raw")).unwrap();
    disk.set_len((3 << 30) + 1).unwrap();
    disk.write_all_at(&sample::raw(2 << 20)[..512], 0).unwrap();
    let run = env.imgimport("aws --bucket importbucket --volume-size 3 disk.raw");
    run.output().await.code(2).stdout("").stderr(
        "
        error: a volume of 3 GiB is too small for the image, which has 3.0 GiB
          hint: say --volume-size 4 or more, or leave it out
        ",
    );
}

#[tokio::test]
async fn every_single_disk_format_is_imported_as_itself() {
    let raw = sample::raw(2 << 20);
    let disks = [
        ("disk.vhd", sample::vhd(&raw), "VHD"),
        ("disk.vmdk", sample::vmdk(&raw), "VMDK"),
    ];
    for (name, bytes, format) in disks {
        let env = TestEnv::new().await;
        env.file(name, &bytes);
        let run = env.imgimport(&format!(
            "aws --bucket importbucket --method import-snapshot -q {name}"
        ));
        run.output().await.code(0).stdout("ami-ID").stderr("");
        let request = &env.cloud.requests("ec2:ImportSnapshot")[0];
        assert_eq!(request.get("DiskContainer.Format"), format);
    }
}

#[tokio::test]
async fn an_ova_is_rejected_with_a_fix() {
    let env = TestEnv::new().await;
    env.file("disk.ova", sample::ova("disk", &sample::raw(2 << 20)));
    let run = env.imgimport("aws --bucket importbucket --architecture arm64 disk.ova");
    run.output().await.code(3).stdout("").stderr(
        "
        error: AWS can't import an OVA
          cause: EC2's ImportSnapshot takes no OVA, it takes one disk
          hint: say --method import-image, or unpack its disk and import that: tar -xf disk.ova -- disk.vmdk
        ",
    );
}

#[tokio::test]
async fn a_rerun_after_no_wait_registers_the_image() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    let command = "aws --bucket importbucket --architecture arm64 --tag team=a";
    let run = env.imgimport(&format!("{command} --no-wait disk.raw"));
    run.output().await.code(0).stdout("import-snap-TASK").stderr(
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
    let run = env.imgimport(&format!("{command} disk.raw")).output().await;
    run.code(0).stdout("ami-ID").stderr(
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
    assert_eq!(env.cloud.requests("ec2:ImportSnapshot").len(), 1);
    assert_eq!(env.cloud.requests("s3:UploadPart").len(), 1);
    assert_only_the_image(&env, &run);
}

#[tokio::test]
async fn a_dry_run_prints_the_image_name() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(
        "aws --bucket importbucket --key in/web.raw --architecture arm64 --dry-run disk.raw",
    );
    run.output().await.code(0).stdout("").stderr(
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
    assert!(env.cloud.ec2().images().is_empty());
}

#[tokio::test]
async fn an_encrypted_snapshot_is_imported_with_its_key_and_registered_without() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(&format!(
        "{COMMAND} --ami-encrypt --ami-kms-key alias/images"
    ));
    let run = run.output().await;
    run.code(0).stderr("");
    let request = &env.cloud.ec2().import_tasks()[0].request;
    assert_eq!(
        (request["Encrypted"].as_str(), request["KmsKeyId"].as_str()),
        ("true", "alias/images")
    );
    assert!(env.cloud.ec2().snapshots()[0].encrypted);
    assert_only_the_image(&env, &run);
}

#[tokio::test]
async fn lost_responses_create_nothing_twice() {
    for operation in ["ec2:ImportSnapshot", "ec2:RegisterImage"] {
        let env = TestEnv::new().await;
        env.disk(2);
        env.cloud.fault(Fault::on(operation).cut_answer());
        let run = env.imgimport(COMMAND).output().await;
        run.code(0).stdout("ami-ID").stderr("");
        assert_eq!(env.cloud.requests(operation).len(), 2, "{operation}");
        assert_eq!(env.cloud.ec2().import_tasks().len(), 1);
        assert_only_the_image(&env, &run);
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
        let env = TestEnv::new().await;
        env.disk(2);
        let busy = Fault::on(operation).times(2);
        env.cloud
            .fault(busy.answer(503, "RequestLimitExceeded", "Request limit exceeded."));
        let run = env.imgimport(COMMAND).output().await;
        run.code(0).stdout("ami-ID").stderr("");
        assert_only_the_image(&env, &run);
    }))
    .await;
}

#[tokio::test]
async fn a_failed_import_keeps_the_object_and_prints_the_reason() {
    let env = TestEnv::new().await;
    let reason = "ClientError: Disk validation failed [Unsupported VMDK File Format]";
    env.cloud.import_script(ImportScript::quick().fail(reason));
    env.disk(2);
    env.imgimport(COMMAND).output().await.code(1).stdout("").stderr(
        "
        error: the import import-snap-TASK failed
          cause: ClientError: Disk validation failed [Unsupported VMDK File Format]
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: make the VMDK stream-optimized: qemu-img convert -f raw -O vmdk -o subformat=streamOptimized disk.raw disk.vmdk
        ",
    );
    env.cloud.import_script(ImportScript::quick());
    let run = env.imgimport(COMMAND).output().await;
    run.code(0).stderr("");
    assert_eq!(env.cloud.requests("s3:UploadPart").len(), 1);
    assert_only_the_image(&env, &run);
}

#[tokio::test]
async fn a_refused_registration_leaves_the_snapshot_for_the_next_run() {
    let env = TestEnv::new().await;
    let denied = Fault::on("ec2:RegisterImage");
    let text = "You are not authorized to perform this operation.";
    env.cloud
        .fault(denied.answer(403, "UnauthorizedOperation", text));
    env.disk(2);
    env.imgimport(COMMAND).output().await.code(1).stdout("").stderr(
        "
        error: snap-ID could not be registered as \"imgimport-1767225600\"
          cause: You are not authorized to perform this operation (UnauthorizedOperation, request ID)
          left behind: the snapshot snap-ID; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1
          hint: allow the caller ec2:RegisterImage: {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"ec2:RegisterImage\",\"Resource\":\"*\"}]}
        ",
    );
    assert!(
        env.cloud.s3().objects().is_empty(),
        "nobody needs the object any more"
    );
    let run = env.imgimport(&COMMAND.replace("-q ", "")).output().await;
    run.code(0).stdout("ami-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        An earlier run has imported snap-ID
        Registering snap-ID as \"imgimport-1767225600\"
          pending
        ",
    );
    assert_eq!(env.cloud.ec2().import_tasks().len(), 1);
    assert_only_the_image(&env, &run);
}

#[tokio::test]
async fn an_image_that_fails_goes_and_its_snapshot_is_registered_again() {
    let env = TestEnv::new().await;
    env.cloud
        .ec2()
        .copy_script(CopyScript::default().fail("the snapshot can't be read"));
    env.disk(2);
    env.imgimport(COMMAND).output().await.code(1).stdout("").stderr(
        "
        error: ami-ID is failed
          cause: the snapshot can't be read
          left behind: the snapshot snap-ID; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1
          hint: the same command goes on from there
        ",
    );
    assert!(env.cloud.ec2().images().is_empty());
    env.cloud.ec2().copy_script(CopyScript::default());
    let run = env.imgimport(COMMAND).output().await;
    run.code(0).stderr("");
    assert_eq!(env.cloud.ec2().import_tasks().len(), 1);
    assert_only_the_image(&env, &run);
}

#[tokio::test]
async fn a_name_taken_during_the_import_needs_no_second_import() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    let command = format!("{COMMAND} --ami-name web");
    let running = env.imgimport(&command).start();
    gate.reached().await;
    env.cloud.ec2().register_image("eu-central-1", "web");
    gate.release();
    running.output().await.code(1).stdout("").stderr(
        "
        error: snap-ID could not be registered as \"web\"
          cause: AMI name web is already in use by AMI ami-ID (InvalidAMIName.Duplicate, request ID)
          left behind: the snapshot snap-ID; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1
          hint: deregister that image and run the same command again, or choose another --ami-name
        ",
    );
}

#[tokio::test]
async fn a_taken_generated_name_is_reported_before_the_upload() {
    let env = TestEnv::new().await;
    env.cloud
        .ec2()
        .register_image("eu-central-1", "imgimport-1767225600");
    env.disk(2);
    env.imgimport(COMMAND)
        .output()
        .await
        .code(1)
        .stdout("")
        .stderr(
            "
        error: the AMI's name \"imgimport-1767225600\" is taken
          cause: ami-ID in eu-central-1 has it
          hint: choose another --ami-name, such as one with {{timestamp}}, or deregister that image
        ",
        );
    assert!(env.cloud.requests("s3:CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_rerun_with_other_settings_keeps_and_names_the_first_image() {
    let env = TestEnv::new().await;
    let gate = env.cloud.hold(Fault::on("ec2:CreateTags"));
    env.disk(2);
    let running = env
        .imgimport(&format!("{COMMAND} --ami-name web-{{{{uuid}}}}"))
        .start();
    gate.reached().await;
    running.kill().await;
    gate.release();
    let run = env.imgimport(&format!(
        "{COMMAND} --ami-name web-{{{{uuid}}}} --volume-size 9"
    ));
    run.output().await.code(0).stdout("ami-ID").stderr(
        "
        warning: snap-ID, which an earlier run has imported, stays: this run was asked for another one
        warning: ami-ID, which an earlier run has imported, stays: this run was asked for another one
        ",
    );
    assert_eq!(env.cloud.ec2().images().len(), 2);
}

#[tokio::test]
async fn a_deadline_that_passes_leaves_the_task_and_the_next_run_attaches() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    let run = env
        .imgimport(&format!("{COMMAND} --timeout 300ms"))
        .output()
        .await;
    run.code(4).stdout("").stderr(
        "
        error: the deadline passed while the cloud is still working
          left behind: the import task import-snap-TASK; remove it with: aws ec2 cancel-import-task --import-task-id import-snap-TASK --region eu-central-1
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: the same command goes on from there
        ",
    );
    gate.release();
    let run = env.imgimport(COMMAND).output().await;
    run.code(0).stderr("");
    assert_only_the_image(&env, &run);
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
        let env = TestEnv::new().await;
        let gate = env.cloud.hold_answer(Fault::on(operation).nth(number));
        env.disk(12);
        let command = format!("{COMMAND} --part-size 5MiB");
        let running = env.imgimport(&command).start();
        gate.reached().await;
        running.kill().await;
        gate.release();
        let run = env.imgimport(&command).output().await;
        run.code(0).stdout("ami-ID").stderr("");
        assert_eq!(env.cloud.ec2().import_tasks().len(), 1, "{operation}");
        assert_eq!(env.cloud.requests("s3:UploadPart").len(), 3, "{operation}");
        assert_only_the_image(&env, &run);
    }))
    .await;
}

#[tokio::test]
async fn stopped_at_any_step_everything_that_stays_is_named_and_the_next_run_goes_on() {
    join_all(STEPS[1..].iter().map(async |(operation, number)| {
        let env = TestEnv::new().await;
        let gate = env.cloud.hold_answer(Fault::on(operation).nth(*number));
        env.disk(2);
        let running = env.imgimport(COMMAND).start();
        gate.reached().await;
        running.signal("INT");
        let run = running.output().await;
        run.code(130).stdout("");
        for image in env.cloud.ec2().images() {
            let named = run.stderr.contains("the image ami-ID")
                || run.stderr.contains("that may have been made");
            assert!(named, "{operation}: {image:?}\n{}", run.stderr);
        }
        for snapshot in env.cloud.ec2().snapshots() {
            let named = run.stderr.contains("the snapshot snap-ID")
                || run.stderr.contains("the import task import-snap-TASK");
            assert!(named, "{operation}: {snapshot:?}\n{}", run.stderr);
        }
        for object in env.cloud.s3().objects() {
            assert!(
                run.stderr.contains("s3://importbucket/"),
                "{operation}: {object:?}\n{}",
                run.stderr
            );
        }
        let tasks = env.cloud.ec2().import_tasks();
        if tasks[0].status == "active" {
            assert!(
                run.stderr.contains("the import task ")
                    || run.stderr.contains("an import of s3://"),
                "{operation}\n{}",
                run.stderr
            );
        }
        gate.release();
        let run = env.imgimport(COMMAND).output().await;
        run.code(0).stdout("ami-ID").stderr("");
        assert_eq!(env.cloud.ec2().import_tasks().len(), 1, "{operation}");
        assert_only_the_image(&env, &run);
    }))
    .await;
}

#[tokio::test]
async fn without_resume_a_stop_at_any_step_leaves_nothing() {
    join_all(STEPS[1..].iter().map(async |(operation, number)| {
        let env = TestEnv::new().await;
        let gate = env.cloud.hold_answer(Fault::on(operation).nth(*number));
        env.disk(2);
        let running = env.imgimport(&format!("{COMMAND} --no-resume")).start();
        gate.reached().await;
        running.signal("INT");
        running
            .output()
            .await
            .code(130)
            .stdout("")
            .stderr("error: stopped");
        assert_nothing_left(&env);
    }))
    .await;
}

#[tokio::test]
async fn ctrl_c_twice_deregisters_the_image_before_its_snapshot_is_deleted() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud
        .ec2()
        .copy_script(CopyScript::default().hold(&gate));
    env.disk(2);
    let mut running = env.imgimport(&COMMAND.replace("-q ", "")).start();
    gate.reached().await;
    running.signal("INT");
    running.wait_for_stderr("Ctrl-C once more").await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("").stderr(
        "
          Removing the image ami-ID
          Removing the snapshot snap-ID
        error: stopped
        ",
    );
    assert_nothing_left(&env);
}

#[tokio::test]
async fn a_task_that_was_quicker_than_its_cancelling_leaves_no_snapshot() {
    let env = TestEnv::new().await;
    let gate = env.cloud.hold(Fault::on("ec2:CancelImportTask"));
    let import = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&import));
    env.disk(2);
    let running = env.imgimport(&format!("{COMMAND} --no-resume")).start();
    import.reached().await;
    running.signal("INT");
    gate.reached().await;
    import.release();
    let task = env.cloud.ec2().import_tasks()[0].id.clone();
    env.cloud.ec2().finish_task(&task);
    assert_eq!(env.cloud.ec2().snapshots().len(), 1);
    gate.release();
    running
        .output()
        .await
        .code(130)
        .stdout("")
        .stderr("error: stopped");
    assert_nothing_left(&env);
}
