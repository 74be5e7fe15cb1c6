//! Imports to Alibaba Cloud: as people ask for them, what goes wrong, and who stops them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use imgimport_sandbox::alibaba::{CopyScript, ImportScript, Key, REGION};
use imgimport_sandbox::{Fault, Gate, sample};

use crate::support::{Cmd, TestEnv};

const ROLE: &str = "AliyunECSImageImportDefaultRole";
const COMMAND: &str = "alicloud --bucket packer --image-name web -q disk.raw";
/// Five parts of a disk of 22 MiB.
const PARTS: &str =
    "alicloud --bucket packer --image-name web --part-size 5MiB --concurrency 2 -q disk.raw";

/// A bucket, a role, imports that go through in two polls, a disk of 2 MiB.
async fn test_env() -> (TestEnv, Vec<u8>) {
    let env = empty_account().await;
    env.cloud.oss().create_bucket("packer", REGION);
    env.cloud.ram().put_import_role();
    let disk = env.disk(2);
    (env, disk)
}

/// An account in which nobody has imported anything: no bucket, no role.
async fn empty_account() -> TestEnv {
    let env = TestEnv::new().await;
    env.cloud.ecs().import_script(ImportScript::quick());
    env.cloud.ecs().copy_script(CopyScript::creating(1));
    env.cloud.ram().set_delay(0);
    env
}

/// The sample has one entry in its table of tables, which is good for 512 MiB.
fn qcow2_of_3_gib() -> Vec<u8> {
    let mut image = sample::qcow2(3 << 30);
    image[36..40].copy_from_slice(&6_u32.to_be_bytes());
    image
}

/// Everything that was asked, in order.
fn operations(env: &TestEnv) -> Vec<String> {
    let entries = env.cloud.requests_so_far().into_iter();
    entries.map(|entry| entry.operation).collect()
}

fn names(env: &TestEnv) -> Vec<String> {
    let images = env.cloud.ecs().images().into_iter();
    images.map(|image| image.name).collect()
}

fn with_key<'a>(run: Cmd<'a>, key: &Key) -> Cmd<'a> {
    run.env("ALICLOUD_ACCESS_KEY", &key.access_key)
        .env("ALICLOUD_SECRET_KEY", &key.secret_key)
        .env(
            "SECURITY_TOKEN",
            key.security_token.as_deref().unwrap_or_default(),
        )
}

#[tokio::test]
async fn a_raw_disk_is_imported_and_its_image_id_printed() {
    let (env, disk) = test_env().await;
    let run = env
        .alicloud("alicloud --bucket packer --region cn-beijing --image-name web disk.raw")
        .output()
        .await;
    run.code(0).stdout("m-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        Uploading to oss://packer/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as t-ID
        Imported as m-ID
        ",
    );
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    assert!(
        env.cloud.oss().objects().is_empty(),
        "the temporary object is deleted"
    );
    assert!(
        env.journal().is_empty(),
        "no journal is left of a finished job"
    );
}

#[tokio::test]
async fn a_block_of_packers_is_carried_over_and_makes_bucket_and_role_on_the_way() {
    let env = empty_account().await;
    let disk = env.disk(2);
    let key = env.cloud.alibaba_key();
    let settings = format!(
        r#"
        image = "disk.raw"

        [alicloud]
        access_key = "{}"
        secret_key = "{}"
        region = "cn-beijing"
        image_name = "packer_import"
        image_os_type = "linux"
        image_platform = "CentOS"
        image_architecture = "x86_64"
        image_system_size = "40"
        oss_bucket_name = "packer"
        format = "raw"
        skip_region_validation = true

        [alicloud.tags]
        built = "{{{{timestamp}}}}"
        "#,
        key.access_key, key.secret_key
    );
    let file = env.file("packer.toml", settings);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let run = env
        .alicloud("alicloud --config packer.toml")
        .without("ALICLOUD_ACCESS_KEY")
        .without("ALICLOUD_SECRET_KEY")
        .without("ALICLOUD_REGION")
        .output()
        .await;
    run.code(0).stdout("m-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        Created the bucket packer in cn-beijing
        Created the role AliyunECSImageImportDefaultRole
        Uploading to oss://packer/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as t-ID
        Imported as m-ID
        ",
    );
    let image = env.cloud.ecs().image(&run.stdout_raw).unwrap();
    assert_eq!((image.name.as_str(), image.size), ("packer_import", 40));
    let facts = ["OSType", "Platform", "Architecture", "BootMode"];
    let facts = facts.map(|name| image.get(name));
    assert_eq!(facts, ["linux", "CentOS", "x86_64", "BIOS"]);
    assert_eq!(image.tags["built"], "1767225600");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(env.cloud.oss().acl("packer").as_deref(), Some("private"));
    assert_eq!(env.cloud.oss().region_of("packer").as_deref(), Some(REGION));
    let role = env.cloud.ram().role(ROLE).unwrap();
    assert_eq!(role.policies, ["System:AliyunECSImageImportRolePolicy"]);
}

#[tokio::test]
async fn all_options_reach_the_image() {
    let (env, _) = test_env().await;
    env.file("disk.vhd", sample::vhd(&sample::raw(2 << 20)));
    env.cloud.ram().put_role(
        "importer",
        &env.cloud.ram().role(ROLE).unwrap().trust,
        &["System:AliyunECSImageImportRolePolicy"],
    );
    let run = env.program([
        "alicloud",
        "--oss-bucket-name=packer",
        "--oss-key-name=in/{{file_stem}}.{{format}}",
        "--image-name=web-{{timestamp}}",
        "--image-description=built {{isotime \"2006-01-02\"}}",
        "--image-os-type=windows",
        "--image-platform=windows server 2022",
        "--image-architecture=x86_64",
        "--image-system-size=50",
        "--boot-mode=uefi",
        "--license-type=byol",
        "--detection-strategy=standard",
        "--role-name=importer",
        "--resource-group-id=rg-1",
        "--image-family=web",
        "--tag=built={{timestamp}}",
        "--skip-clean",
        "-q",
        "disk.vhd",
    ]);
    let run = run.on_alibaba().output().await;
    run.code(0).stdout("m-ID").stderr("");
    let asked = &env.cloud.requests("ecs:ImportImage")[0];
    let format = asked.get("DiskDeviceMapping.1.Format");
    assert_eq!((format, asked.get("RoleName")), ("VHD", "importer"));
    let image = env.cloud.ecs().image(&run.stdout_raw).unwrap();
    assert_eq!((image.name.as_str(), image.size), ("web-1767225600", 50));
    for (fact, value) in [
        ("Description", "built 2026-01-01"),
        ("OSType", "windows"),
        ("Platform", "Windows Server 2022"),
        ("Architecture", "x86_64"),
        ("BootMode", "UEFI"),
        ("LicenseType", "BYOL"),
        ("DetectionStrategy", "Standard"),
        ("ResourceGroupId", "rg-1"),
        ("ImageFamily", "web"),
    ] {
        assert_eq!(image.get(fact), value, "{fact}");
    }
    assert_eq!(image.tags["built"], "1767225600");
    assert_eq!(env.cloud.ecs().snapshots()[0].tags["built"], "1767225600");
    let objects = env.cloud.oss().objects();
    assert_eq!(objects[0].key, "in/disk.vhd", "--skip-clean keeps it");
}

#[tokio::test]
async fn the_result_as_json_has_every_key_even_those_that_do_not_apply() {
    let (env, _) = test_env().await;
    let run = env
        .alicloud(&format!("{COMMAND} --output json"))
        .output()
        .await;
    run.code(0).stderr("").stdout(
        r#"{"image_id":"m-ID","images":[{"image_id":"m-ID","region":"cn-beijing"}],"name":"web","object":{"bucket":"packer","deleted":true,"key":"imgimport-1767225600.raw"},"provider":"alicloud","region":"cn-beijing","schema":1,"seconds":{"import":SECONDS,"total":SECONDS,"upload":SECONDS},"snapshot_ids":["s-ID"],"source":{"format":"raw","path":"disk.raw","sha256":"0e86efe4adc30c55f679c86075133de0ef765cd6624324c049e234a6d9f006a8","size":2097152,"virtual_size":2097152},"task_id":"t-ID","uploaded_bytes":2097152}"#,
    );
}

#[tokio::test]
async fn a_qcow2_goes_as_it_is_and_its_disk_gets_the_size_that_it_needs() {
    let (env, _) = test_env().await;
    let qcow2 = qcow2_of_3_gib();
    env.file("disk.img", &qcow2);
    let run = env.alicloud("alicloud --bucket packer -q disk.img");
    let run = run.output().await;
    run.code(0).stdout("m-ID").stderr("");
    let asked = &env.cloud.requests("ecs:ImportImage")[0];
    let said = ["Format", "DiskImageSize", "OSSObject"];
    let said = said.map(|name| asked.get(&format!("DiskDeviceMapping.1.{name}")));
    assert_eq!(said, ["QCOW2", "3", "imgimport-1767225600.qcow2"]);
    assert_eq!(names(&env), ["imgimport-1767225600"]);
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(qcow2));
}

#[tokio::test]
async fn standard_input_is_sent_as_it_comes() {
    let (env, _) = test_env().await;
    let disk = env.disk(12);
    let run = env.alicloud("alicloud --bucket packer -q -");
    let run = run.stdin(&env.path("disk.raw")).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn a_key_with_spaces_a_plus_and_chinese_letters_and_a_chinese_name_arrive() {
    let (env, disk) = test_env().await;
    let run = env.program([
        "alicloud",
        "--bucket=packer",
        "--key=镜像 1/a+b & 50%~(x)'!*.raw",
        "--image-name=镜像-1.2",
        "--image-description=描述 + more",
        "--tag=用途=网站 前端",
        "disk.raw",
    ]);
    let run = run.on_alibaba().output().await;
    run.code(0).stdout("m-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        Uploading to oss://packer/镜像 1/a+b & 50%~(x)'!*.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as t-ID
        Imported as m-ID
        ",
    );
    let image = env.cloud.ecs().image(&run.stdout_raw).unwrap();
    let said = (image.name.as_str(), image.get("Description"));
    assert_eq!(said, ("镜像-1.2", "描述 + more"));
    assert_eq!(image.tags["用途"], "网站 前端");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    assert!(env.cloud.oss().objects().is_empty());
}

#[tokio::test]
async fn more_than_ten_accounts_may_all_use_the_image() {
    let (env, _) = test_env().await;
    let accounts: Vec<_> = (1..=12).map(|n| format!("{n:016}")).collect();
    let run = env.alicloud(&format!("{COMMAND} --share-account {}", accounts.join(",")));
    let run = run.output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(
        env.cloud.ecs().image(&run.stdout_raw).unwrap().shares,
        accounts
    );
}

#[tokio::test]
async fn copies_arrive_in_two_regions_with_tags_and_shares() {
    let (env, disk) = test_env().await;
    let run = env.alicloud(
        "alicloud --bucket packer --image-name web --copy-to cn-hangzhou --copy-to cn-shanghai \
         --copy-name web-south,web-east --tag team=a --share-account 1111222233334444 disk.raw",
    );
    let run = run.output().await;
    run.code(0).stdout("m-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        Uploading to oss://packer/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as t-ID
        Imported as m-ID
        Shared m-ID with 1111222233334444
        Copying it to cn-hangzhou as m-ID
           0 % Creating
        Copying it to cn-shanghai as m-ID
           0 % Creating
        ",
    );
    let images = env.cloud.ecs().images();
    let named: Vec<_> = images
        .iter()
        .map(|one| (one.region.as_str(), one.name.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            (REGION, "web"),
            ("cn-hangzhou", "web-south"),
            ("cn-shanghai", "web-east")
        ]
    );
    for image in &images {
        assert_eq!(image.tags["team"], "a", "{image:?}");
        assert_eq!(image.shares, ["1111222233334444"], "{image:?}");
        assert_eq!(
            env.cloud.ecs().imported_bytes(&image.id).as_ref(),
            Some(&disk)
        );
    }
    let snapshots = env.cloud.ecs().snapshots();
    assert_eq!(snapshots.len(), 3);
    assert!(snapshots.iter().all(|one| one.tags["team"] == "a"));
}

#[tokio::test]
async fn copies_are_encrypted_with_their_key() {
    let (env, _) = test_env().await;
    let command = format!("{COMMAND} --copy-to cn-hangzhou --encrypt-copies --kms-key-id k-1");
    let run = env.alicloud(&command).output().await;
    run.code(0).stdout("m-ID").stderr("");
    let images = env.cloud.ecs().images();
    assert!(!images[0].encrypted && images[1].encrypted, "{images:?}");
    assert_eq!(images[1].get("KMSKeyId"), "k-1");
}

#[tokio::test]
async fn a_replaced_image_goes_only_after_the_new_one_is_available() {
    let (env, disk) = test_env().await;
    let old = env.cloud.ecs().register_image(REGION, "web");
    let gate = Gate::new();
    let script = ImportScript::quick().hold(&gate);
    env.cloud.ecs().import_script(script);
    let running = env
        .alicloud("alicloud --bucket packer --image-name web --force-delete disk.raw")
        .start();
    gate.reached_by(2).await;
    assert!(env.cloud.ecs().image(&old).is_some(), "the old one stays");
    assert!(env.cloud.requests("ecs:DeleteImage").is_empty());
    gate.release();
    let run = running.output().await;
    run.code(0).stdout("m-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        Uploading to oss://packer/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as t-ID
           0 % Processing
        Imported as m-ID
        Naming m-ID \"web\"
        ",
    );
    assert_eq!(names(&env), ["web"]);
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn a_failed_import_keeps_the_image_that_it_would_replace() {
    let (env, _) = test_env().await;
    let old = env.cloud.ecs().register_image(REGION, "web");
    let script = ImportScript::quick().fail("The system disk has no root.");
    env.cloud.ecs().import_script(script);
    let run = env.alicloud(&format!("{COMMAND} --force-delete"));
    run.output().await.code(1).stdout("");
    let images = env.cloud.ecs().images();
    assert_eq!(images.len(), 1, "the ruin is removed: {images:?}");
    assert_eq!(images[0].id, old);
}

#[tokio::test]
async fn a_dry_run_sends_only_reads() {
    let env = empty_account().await;
    env.disk(2);
    let run = env.alicloud(
        "alicloud --bucket packer --image-name web --copy-to cn-hangzhou --dry-run disk.raw",
    );
    run.output().await.code(0).stdout("").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        The caller is acs:ram::1234567890123456:user/sandbox
        Not verified: oss:PutObject, oss:DeleteObject, ecs:ImportImage, ram:PassRole and quotas
        Would create the bucket packer in cn-beijing
        Would create the role AliyunECSImageImportDefaultRole
        Would send 2.0 MiB to oss://packer/imgimport-1767225600.raw, in one part
        Would import it into cn-beijing as the image \"web\"
        Would copy it to cn-hangzhou as \"web\"
        Would remove oss://packer/imgimport-1767225600.raw afterwards
        ",
    );
    let mut asked = operations(&env);
    asked.sort();
    assert_eq!(
        asked,
        [
            "ecs:DescribeImages",
            "ecs:DescribeImages",
            "oss:GetBucketInfo",
            "ram:GetRole",
            "sts:GetCallerIdentity"
        ]
    );
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_rerun_after_no_wait_attaches_to_the_task() {
    let (env, _) = test_env().await;
    let gate = Gate::new();
    let script = ImportScript::quick().hold(&gate);
    env.cloud.ecs().import_script(script);
    let command = "alicloud --bucket packer --image-name web disk.raw";
    let run = env.alicloud(&format!("{command} --no-wait")).output().await;
    run.code(0).stdout("t-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        Uploading to oss://packer/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as t-ID
          oss://packer/imgimport-1767225600.raw is read by t-ID; remove it afterwards with: aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing
        ",
    );
    assert_eq!(env.cloud.oss().objects().len(), 1, "the task reads it");

    gate.release();
    let run = env.alicloud(command).output().await;
    run.code(0).stdout("m-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        An earlier run has started t-ID
        Imported as m-ID
        ",
    );
    assert_eq!(env.cloud.ecs().tasks().len(), 1, "one import was started");
    let parts = env.cloud.requests("oss:UploadPart").len();
    assert_eq!(parts, 1, "nothing travelled twice");
    assert!(env.cloud.oss().objects().is_empty());
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_lost_answer_never_starts_a_second_import() {
    let (env, _) = test_env().await;
    let fault = Fault::on("ecs:ImportImage").cut_answer();
    env.cloud.fault(fault);
    let run = env.alicloud(COMMAND).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.requests("ecs:ImportImage").len(), 2);
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
}

#[tokio::test]
async fn killed_before_the_answer_came_the_next_run_starts_no_second_import() {
    let (env, _) = test_env().await;
    let gate = env.cloud.hold_answer(Fault::on("ecs:ImportImage"));
    let running = env.alicloud(COMMAND).start();
    gate.reached().await;
    running.kill().await;
    gate.release();
    let run = env.alicloud(COMMAND).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
    assert_eq!(env.cloud.requests("oss:UploadPart").len(), 1);
}

#[tokio::test]
async fn a_rerun_after_a_kill_reuses_the_generated_name() {
    let (env, _) = test_env().await;
    let gate = env.cloud.hold_answer(Fault::on("ecs:ImportImage"));
    let command = "alicloud --bucket packer --tag built={{timestamp}} -q disk.raw";
    let running = env.alicloud(command).start();
    gate.reached().await;
    running.kill().await;
    gate.release();
    let later = env.alicloud(command);
    let later = later.env("SOURCE_DATE_EPOCH", "1767225601").output().await;
    later.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
}

#[tokio::test]
async fn throttled_by_ecs_and_oss_it_gets_through_and_never_repeats_a_nonce() {
    let (env, disk) = test_env().await;
    let ecs = |operation: &str| {
        let words = "Request was denied due to user flow control.";
        Fault::on(operation).answer(400, "Throttling.User", words)
    };
    for operation in [
        "ecs:DescribeImages",
        "ecs:ImportImage",
        "ecs:DescribeTaskAttribute",
    ] {
        env.cloud.fault(ecs(operation));
    }
    for operation in [
        "oss:InitiateMultipartUpload",
        "oss:UploadPart",
        "oss:CompleteMultipartUpload",
    ] {
        let fault = Fault::on(operation);
        env.cloud
            .fault(fault.answer(503, "QpsLimitExceeded", "Please slow down."));
    }
    let run = env.alicloud(COMMAND).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
    let journal = env.cloud.requests_so_far().into_iter();
    let mut nonces: Vec<_> = journal
        .filter_map(|entry| entry.detail.get("x-acs-signature-nonce").cloned())
        .collect();
    let all = nonces.len();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), all);
}

#[tokio::test]
async fn a_taken_name_is_reported_before_the_upload() {
    let (env, _) = test_env().await;
    env.cloud.ecs().register_image(REGION, "web");
    env.alicloud(COMMAND)
        .output()
        .await
        .code(1)
        .stdout("")
        .stderr(
            "
        error: the image's name \"web\" is taken
          cause: m-ID in cn-beijing has it (Available)
          hint: choose another --image-name, such as one with {{timestamp}}, or say --force-delete
        ",
        );
    assert!(env.cloud.requests("oss:InitiateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_name_that_only_holds_the_wanted_one_is_not_in_the_way() {
    let (env, _) = test_env().await;
    env.cloud.ecs().register_image(REGION, "web-2");
    env.alicloud(COMMAND).output().await.code(0).stdout("m-ID");
    assert_eq!(env.cloud.ecs().images().len(), 2);
}

#[tokio::test]
async fn a_name_taken_in_a_copy_region_is_reported_before_the_upload() {
    let (env, _) = test_env().await;
    env.cloud.ecs().register_image("cn-hangzhou", "web");
    let run = env.alicloud(&format!("{COMMAND} --copy-to cn-hangzhou"));
    let run = run.output().await;
    run.code(1).stdout("");
    assert!(
        run.stderr.contains("cause: m-ID in cn-hangzhou has it"),
        "{}",
        run.stderr
    );
    assert!(env.cloud.requests("oss:InitiateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_bucket_in_another_region_is_reported_before_the_upload() {
    let (env, _) = test_env().await;
    env.cloud.oss().create_bucket("far-away", "us-west-1");
    let command = COMMAND.replace("packer", "far-away");
    env.alicloud(&command).output().await.code(1).stdout("").stderr(
        "
        error: the bucket far-away can't be used
          cause: The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint. [oss-us-west-1.aliyuncs.com] [EC 0003-00001403] (AccessDenied, request ID)
          hint: the bucket lies in another region: name one in cn-beijing, or import into the bucket's region with --region
        ",
    );
}

#[tokio::test]
async fn a_bucket_of_another_account_is_reported_before_the_upload() {
    let (env, _) = test_env().await;
    env.cloud.oss().create_foreign_bucket("theirs", REGION);
    let command = COMMAND.replace("packer", "theirs");
    env.alicloud(&command).output().await.code(1).stdout("").stderr(
        "
        error: the bucket theirs can't be used
          cause: You have no right to access this object because of bucket acl [EC 0003-00000001] (AccessDenied, request ID)
          hint: the bucket may be another account's; or allow the caller oss:GetBucketInfo: {\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"oss:GetBucketInfo\",\"Resource\":\"acs:oss:*:*:theirs\"}]}
        ",
    );
}

#[tokio::test]
async fn a_bucket_with_encryption_is_reported_before_the_upload() {
    let (env, _) = test_env().await;
    env.cloud.oss().encrypt_bucket("packer");
    env.alicloud(COMMAND).output().await.code(1).stdout("").stderr(
        "
        error: the bucket packer can't be used
          cause: it encrypts its objects (AES256), which ImportImage does not take (InvalidOSSBucket.EncryptUnsupported)
          hint: name another --bucket; one that does not exist is made
        ",
    );
}

#[tokio::test]
async fn a_wrong_secret_is_reported_with_alibabas_message() {
    let (env, _) = test_env().await;
    let run = env.alicloud(COMMAND).env("ALICLOUD_SECRET_KEY", "wrong");
    run.output().await.code(1).stdout("").stderr(
        "
        error: the image's name can't be looked up in cn-beijing
          cause: Specified signature is not matched with our calculation (SignatureDoesNotMatch, request ID)
          hint: check the access key and the secret key: ALICLOUD_ACCESS_KEY, ALICLOUD_SECRET_KEY, or the profile
        ",
    );
}

#[tokio::test]
async fn missing_credentials_are_reported_with_the_variables() {
    let (env, _) = test_env().await;
    let run = env.alicloud(COMMAND);
    let run = run
        .without("ALICLOUD_ACCESS_KEY")
        .without("ALICLOUD_SECRET_KEY")
        .output()
        .await;
    run.code(1).stdout("").stderr(
        "
        error: the image's name can't be looked up in cn-beijing
          cause: there are no credentials
          hint: set ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY, or name a profile with --profile
        ",
    );
    assert!(env.cloud.requests_so_far().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_role_that_is_missing_is_created_and_waited_for() {
    let (env, _) = test_env().await;
    env.cloud.ram().remove_role(ROLE);
    env.cloud.ram().set_delay(1);
    let run = env
        .alicloud("alicloud --bucket packer --image-name web disk.raw")
        .output()
        .await;
    run.code(0).stdout("m-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        Created the role AliyunECSImageImportDefaultRole
        Uploading to oss://packer/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as t-ID
        Imported as m-ID
        ",
    );
    assert_eq!(env.cloud.requests("ecs:ImportImage").len(), 2);
    assert_eq!(env.cloud.requests("oss:UploadPart").len(), 1);
}

#[tokio::test]
async fn a_denied_create_role_is_reported_with_the_administrators_commands() {
    let (env, _) = test_env().await;
    env.cloud.ram().remove_role(ROLE);
    env.cloud.ram().forbid("ram:CreateRole");
    env.alicloud(COMMAND).output().await.code(1).stdout("").stderr(
        r#"
        error: the role AliyunECSImageImportDefaultRole does not exist and could not be created
          cause: You are not authorized to do this action. Resource: acs:ram:*:1234567890123456:role/AliyunECSImageImportDefaultRole Action: ram:CreateRole (NoPermission, request ID)
          hint: allow the caller ram:CreateRole and ram:AttachPolicyToRole, or let an administrator of the account run:
            aliyun ram CreateRole --RoleName AliyunECSImageImportDefaultRole --AssumeRolePolicyDocument '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}'
            aliyun ram AttachPolicyToRole --PolicyType System --PolicyName AliyunECSImageImportRolePolicy --RoleName AliyunECSImageImportDefaultRole
            or, where the role exists:
            aliyun ram UpdateRole --RoleName AliyunECSImageImportDefaultRole --NewAssumeRolePolicyDocument '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}'
        "#,
    );
    assert!(env.cloud.requests("oss:InitiateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_role_with_the_wrong_trust_is_repaired_and_keeps_its_principals() {
    let (env, _) = test_env().await;
    let trust = env.cloud.ram().role(ROLE).unwrap().trust;
    let trust = trust.replace("ecs.aliyuncs.com", "fc.aliyuncs.com");
    env.cloud.ram().put_role(ROLE, &trust, &[]);
    let run = env
        .alicloud("alicloud --bucket packer --image-name web disk.raw")
        .output()
        .await;
    run.code(0).stdout("m-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        Repaired the role AliyunECSImageImportDefaultRole
        Uploading to oss://packer/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as t-ID
        Imported as m-ID
        ",
    );
    let role = env.cloud.ram().role(ROLE).unwrap();
    let trusts = |service: &str| role.trust.contains(service);
    assert!(trusts("ecs.aliyuncs.com") && trusts("fc.aliyuncs.com"));
    assert_eq!(role.policies, ["System:AliyunECSImageImportRolePolicy"]);
}

#[tokio::test]
async fn a_denied_get_role_does_not_stop_the_import() {
    let (env, _) = test_env().await;
    env.cloud.ram().forbid("ram:*");
    let run = env.alicloud(COMMAND).output().await;
    run.code(0).stdout("m-ID").stderr("");
}

#[tokio::test]
async fn a_failed_import_is_reported_with_alibabas_message_and_keeps_the_object() {
    let (env, _) = test_env().await;
    let script = ImportScript::quick().fail("The system disk has no root.");
    env.cloud.ecs().import_script(script);
    env.alicloud(COMMAND).output().await.code(1).stdout("").stderr(
        "
        error: the import t-ID failed
          cause: The system disk has no root (ImportImageFailed)
          left behind: oss://packer/imgimport-1767225600.raw; remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing
          hint: the same command goes on from there
        ",
    );
    assert!(names(&env).is_empty(), "the failed image is removed");
    env.cloud.ecs().import_script(ImportScript::quick());
    let run = env.alicloud(&COMMAND.replace("-q ", "")).output().await;
    run.code(0).stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the name, bucket packer and role AliyunECSImageImportDefaultRole in cn-beijing
        oss://packer/imgimport-1767225600.raw is there from an earlier run
        Importing as t-ID
        Imported as m-ID
        ",
    );
    let parts = env.cloud.requests("oss:UploadPart").len();
    assert_eq!(parts, 1, "nothing travelled twice");
}

#[tokio::test]
async fn a_failed_image_ends_the_wait_without_access_to_the_task() {
    let (env, _) = test_env().await;
    let script = ImportScript::quick().fail("The system disk has no root.");
    env.cloud.ecs().import_script(script);
    let fault = Fault::on("ecs:DescribeTaskAttribute").always();
    env.cloud
        .fault(fault.answer(403, "Forbidden.RAM", "not you"));
    let run = env
        .alicloud(&format!("{COMMAND} --no-resume"))
        .output()
        .await;
    run.code(1).stdout("");
    assert!(
        run.stderr.contains("CreateFailed"),
        "it is said what is known: {}",
        run.stderr
    );
}

#[tokio::test]
async fn a_failure_is_printed_as_json_on_stdout() {
    let (env, _) = test_env().await;
    let script = ImportScript::quick().fail("The system disk has no root.");
    env.cloud.ecs().import_script(script);
    let run = env.alicloud(&format!("{COMMAND} --output json --no-resume"));
    run.output().await.code(1).stdout(
        r#"{"error":{"cause":"The system disk has no root (ImportImageFailed)","hint":null,"kind":"failed","left_behind":[],"message":"the import t-ID failed"},"schema":1}"#,
    );
    assert!(
        env.cloud.oss().objects().is_empty(),
        "--no-resume leaves nothing"
    );
    assert!(names(&env).is_empty());
}

#[tokio::test]
async fn a_passed_deadline_keeps_the_task_and_its_object() {
    let (env, _) = test_env().await;
    let gate = Gate::new();
    let script = ImportScript::quick().hold(&gate);
    env.cloud.ecs().import_script(script);
    let run = env.alicloud(&format!("{COMMAND} --timeout 300ms"));
    run.output().await.code(4).stdout("").stderr(
        "
        error: the deadline passed while the cloud is still working
          left behind: the import task t-ID; remove it with: aliyun ecs CancelTask --TaskId t-ID --RegionId cn-beijing
          left behind: oss://packer/imgimport-1767225600.raw; remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing
          hint: the same command goes on from there
        ",
    );
    assert_eq!(env.cloud.ecs().tasks()[0].status, "Processing");
    assert_eq!(env.cloud.oss().objects().len(), 1);
}

#[tokio::test]
async fn an_object_that_cannot_be_deleted_is_a_warning_since_the_image_exists() {
    let (env, _) = test_env().await;
    let fault = Fault::on("oss:DeleteObject").always();
    env.cloud
        .fault(fault.answer(403, "AccessDenied", "not you"));
    env.alicloud(COMMAND).output().await.code(0).stdout("m-ID").stderr(
        "
        warning: oss://packer/imgimport-1767225600.raw could not be deleted: not you [EC 0003-00000001] (AccessDenied, request ID); next time, allow the caller oss:DeleteObject: {\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"oss:DeleteObject\",\"Resource\":\"acs:oss:*:*:packer/imgimport-1767225600.raw\"}]}; delete it with: aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing
        ",
    );
}

#[tokio::test]
async fn a_part_that_fails_twice_is_sent_a_third_time() {
    let (env, disk) = test_env().await;
    let fault = Fault::on("oss:UploadPart").times(2);
    let words = "We encountered an internal error. Please try again.";
    env.cloud.fault(fault.answer(500, "InternalError", words));
    let run = env.alicloud(COMMAND).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.requests("oss:UploadPart").len(), 3);
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_part_is_no_end() {
    let (env, _) = test_env().await;
    let fault = Fault::on("oss:UploadPart").with("partNumber", "2");
    env.cloud.fault(fault.cut_after(100_000));
    let disk = env.disk(12);
    let run = env.alicloud(PARTS).output().await;
    run.code(0);
    let parts = env.cloud.requests("oss:UploadPart").len();
    assert_eq!(parts, 4, "three parts, one of them twice");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn a_public_endpoint_that_is_forbidden_comes_with_the_ways_around_it() {
    let (env, _) = test_env().await;
    let fault = Fault::on("oss:InitiateMultipartUpload").always();
    let words = "Using the public endpoint is forbidden.";
    env.cloud
        .fault(fault.answer(400, "PublicEndpointForbidden", words));
    env.alicloud(COMMAND).output().await.code(1).stdout("").stderr(
        "
        error: the upload could not be started
          cause: Using the public endpoint is forbidden [EC 0048-00000401] (PublicEndpointForbidden, request ID)
          hint: this account's buckets in mainland China take no data over the public endpoint: say --oss-endpoint https://oss-cn-beijing-internal.aliyuncs.com on an ECS instance of the region, --oss-endpoint https://oss-accelerate.aliyuncs.com where the bucket has transfer acceleration, or --oss-cname with --oss-endpoint https://<a domain bound to the bucket>
        ",
    );
}

#[tokio::test]
async fn a_security_token_reaches_every_service() {
    let (env, _) = test_env().await;
    env.cloud.ram().remove_role(ROLE);
    let session = env.cloud.alibaba_session();
    let run = with_key(env.alicloud(&format!("{COMMAND} --tag team=a")), &session);
    run.output().await.code(0).stdout("m-ID").stderr("");
    for service in ["oss:", "ecs:", "ram:"] {
        let mut journal = env.cloud.requests_so_far();
        journal.retain(|entry| entry.operation.starts_with(service));
        assert!(!journal.is_empty(), "{service}");
        for entry in journal {
            assert_eq!(entry.get("access-key"), session.access_key, "{entry:?}");
        }
    }
}

#[tokio::test]
async fn an_expired_security_token_is_reported_with_a_hint() {
    let (env, _) = test_env().await;
    let session = env.cloud.alibaba_session();
    env.cloud.expire_alibaba_sessions();
    let run = with_key(env.alicloud(COMMAND), &session);
    run.output().await.code(1).stdout("").stderr(
        "
        error: the image's name can't be looked up in cn-beijing
          cause: Specified SecurityToken is expired (InvalidSecurityToken.Expired, request ID)
          hint: get a new temporary key; this one is over
        ",
    );
}

#[tokio::test]
async fn keys_of_the_ecs_instance_that_expire_in_the_middle_are_renewed() {
    let (env, _) = test_env().await;
    let disk = env.disk(22);
    let hold = Fault::on("oss:UploadPart").with("partNumber", "3");
    let gate = env.cloud.hold(hold);
    let running = env
        .alicloud(PARTS)
        .without("ALICLOUD_ACCESS_KEY")
        .without("ALICLOUD_SECRET_KEY")
        .without("ALIBABA_CLOUD_ECS_METADATA_DISABLED")
        .env(
            "ALIBABA_CLOUD_ECS_METADATA_ENDPOINT",
            env.cloud.alibaba_metadata_endpoint(),
        )
        .start();
    gate.reached().await;
    env.cloud.expire_alibaba_sessions();
    gate.release();
    let run = running.output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn a_role_of_a_profile_is_assumed() {
    let (env, _) = test_env().await;
    env.cloud.ram().put_assumable_role("builder");
    let key = env.cloud.alibaba_key();
    fs::create_dir_all(env.path(".aliyun")).unwrap();
    let account = imgimport_sandbox::alibaba::ACCOUNT;
    let config = format!(
        r#"{{"current": "other", "profiles": [{{"name": "build", "mode": "RamRoleArn", "access_key_id": "{}",
        "access_key_secret": "{}", "ram_role_arn": "acs:ram::{account}:role/builder",
        "ram_session_name": "ci", "region_id": "cn-beijing"}}]}}"#,
        key.access_key, key.secret_key
    );
    env.file(".aliyun/config.json", config);
    let run = env.alicloud(&format!("{COMMAND} --profile build"));
    let run = run
        .without("ALICLOUD_ACCESS_KEY")
        .without("ALICLOUD_SECRET_KEY")
        .without("ALICLOUD_REGION");
    run.output().await.code(0).stdout("m-ID").stderr("");
    assert_eq!(
        env.cloud.requests("sts:AssumeRole")[0].get("RoleSessionName"),
        "ci"
    );

    // Whoever pastes a command would otherwise ask as another.
    let refusal = Fault::on("ecs:ImportImage").always();
    env.cloud.fault(refusal.answer(403, "Forbidden.RAM", "No."));
    let command = COMMAND.replace("web", "next");
    let run = env.alicloud(&format!("{command} --profile build"));
    let run = run
        .without("ALICLOUD_ACCESS_KEY")
        .without("ALICLOUD_SECRET_KEY");
    let run = run.output().await;
    let left = "remove it with: aliyun --profile build oss rm oss://";
    assert!(run.code(1).stderr.contains(left), "{}", run.stderr);
}

#[tokio::test]
async fn the_first_ctrl_c_while_uploading_keeps_the_parts() {
    let (env, _) = test_env().await;
    let hold = Fault::on("oss:UploadPart").with("partNumber", "3").always();
    let gate = env.cloud.hold(hold);
    let disk = env.disk(22);
    let running = env.alicloud(PARTS).start();
    gate.reached().await;
    env.cloud.wait_for_successes("oss:UploadPart", 2).await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    for words in [
        " parts of oss://packer/imgimport-1767225600.raw",
        "remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw -m --upload-id UPLOAD --region cn-beijing",
        "hint: the same command goes on from there",
    ] {
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
    // The gate stays shut, so that nothing of the first run lands afterwards.
    let kept = env.cloud.oss().uploads()[0].parts.len();
    env.cloud.clear_faults();
    let sent = env.cloud.requests("oss:UploadPart").len();
    let run = env.alicloud(PARTS).output().await;
    run.code(0);
    let again = env.cloud.requests("oss:UploadPart").len() - sent;
    assert_eq!(again, 5 - kept, "nothing travels twice");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    assert!(env.cloud.oss().uploads().is_empty());
}

#[tokio::test]
async fn the_second_ctrl_c_removes_everything_but_the_role() {
    let env = empty_account().await;
    let hold = Fault::on("oss:UploadPart").with("partNumber", "3").always();
    let gate = env.cloud.hold(hold);
    env.disk(22);
    let mut running = env.alicloud(&PARTS.replace("-q ", "")).start();
    gate.reached().await;
    env.cloud.wait_for_successes("oss:UploadPart", 2).await;
    running.signal("INT");
    running.wait_for_stderr("Ctrl-C once more").await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
    assert!(env.cloud.oss().uploads().is_empty(), "the parts are gone");
    assert!(
        env.cloud.oss().buckets().is_empty(),
        "the bucket was made for them"
    );
    assert!(env.journal().is_empty(), "and so is the journal");
}

#[tokio::test]
async fn without_resume_the_first_ctrl_c_removes_everything() {
    let (env, _) = test_env().await;
    let hold = Fault::on("oss:UploadPart").with("partNumber", "3").always();
    let gate = env.cloud.hold(hold);
    env.disk(22);
    let running = env.alicloud(&format!("{PARTS} --no-resume")).start();
    gate.reached().await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("").stderr("error: stopped");
    assert!(env.cloud.oss().uploads().is_empty());
}

#[tokio::test]
async fn ctrl_c_while_importing_leaves_the_task_and_the_next_run_attaches() {
    let (env, _) = test_env().await;
    let gate = Gate::new();
    let script = ImportScript::quick().hold(&gate);
    env.cloud.ecs().import_script(script);
    let running = env.alicloud(COMMAND).start();
    gate.reached().await;
    running.signal("INT");
    running.output().await.code(130).stdout("").stderr(
        "
        error: stopped
          left behind: the import task t-ID; remove it with: aliyun ecs CancelTask --TaskId t-ID --RegionId cn-beijing
          left behind: oss://packer/imgimport-1767225600.raw; remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing
          hint: the same command goes on from there
        ",
    );
    gate.release();
    let run = env.alicloud(COMMAND).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
    assert!(env.cloud.oss().objects().is_empty());
}

#[tokio::test]
async fn ctrl_c_twice_while_importing_cancels_the_task_before_the_object_goes() {
    let (env, _) = test_env().await;
    let gate = Gate::new();
    let script = ImportScript::quick().hold(&gate);
    env.cloud.ecs().import_script(script);
    let mut running = env.alicloud(&COMMAND.replace("-q ", "")).start();
    gate.reached().await;
    running.signal("INT");
    running.wait_for_stderr("Ctrl-C once more").await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
    assert_eq!(env.cloud.ecs().tasks()[0].status, "Cancelled");
    assert!(names(&env).is_empty(), "the half-made image is gone");
    assert!(env.cloud.oss().objects().is_empty());
    let order = operations(&env);
    let first = |wanted: &str| order.iter().position(|one| one == wanted);
    let (cancelled, removed) = (first("ecs:CancelTask"), first("oss:DeleteObject"));
    assert!(cancelled.is_some() && cancelled < removed, "{order:?}");
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_denied_cleanup_is_reported_with_the_permission() {
    for action in ["CancelTask", "DeleteImage"] {
        let (env, _) = test_env().await;
        let gate = Gate::new();
        let script = ImportScript::quick().hold(&gate);
        env.cloud.ecs().import_script(script);
        let denied = Fault::on(&format!("ecs:{action}")).always();
        env.cloud
            .fault(denied.answer(403, "Forbidden.RAM", "Not you."));
        let running = env.alicloud(&format!("{COMMAND} --no-resume")).start();
        gate.reached().await;
        running.signal("INT");
        let run = running.output().await;
        run.code(130).stdout("").stderr(&format!(
            r#"
            error: stopped
              left behind: the import task t-ID (it could not be removed: Not you (Forbidden.RAM, request ID); allow the caller ecs:{action}: {{"Version":"1","Statement":[{{"Effect":"Allow","Action":"ecs:{action}","Resource":"*"}}]}}); remove it with: aliyun ecs CancelTask --TaskId t-ID --RegionId cn-beijing
              left behind: oss://packer/imgimport-1767225600.raw; remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing
            "#
        ));
    }
}

#[tokio::test]
async fn ctrl_c_while_copying_leaves_the_copy_and_the_next_run_goes_on_with_it() {
    let (env, _) = test_env().await;
    let gate = Gate::new();
    let script = CopyScript::creating(1).hold(&gate);
    env.cloud.ecs().copy_script(script);
    let command = format!("{COMMAND} --copy-to cn-hangzhou");
    let running = env.alicloud(&command).start();
    gate.reached().await;
    running.signal("INT");
    running.output().await.code(130).stdout("").stderr(
        "
        error: stopped
          left behind: the copy m-ID in cn-hangzhou; remove it with: aliyun ecs DeleteImage --ImageId m-ID --RegionId cn-hangzhou
          left behind: the image m-ID; remove it with: aliyun ecs DeleteImage --ImageId m-ID --RegionId cn-beijing
          hint: the same command goes on from there
        ",
    );
    gate.release();
    let run = env.alicloud(&command).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
    assert_eq!(env.cloud.requests("ecs:CopyImage").len(), 1);
    assert_eq!(names(&env), ["web", "web"]);
}

#[tokio::test]
async fn a_failed_copy_is_removed_and_made_again_by_the_next_run() {
    let (env, _) = test_env().await;
    let script = CopyScript::creating(1).fail();
    env.cloud.ecs().copy_script(script);
    let command = format!("{COMMAND} --copy-to cn-hangzhou");
    env.alicloud(&command).output().await.code(1).stdout("").stderr(
        "
        error: the image m-ID in cn-hangzhou failed
          cause: it is CreateFailed; Alibaba Cloud gives no reason
          left behind: the image m-ID; remove it with: aliyun ecs DeleteImage --ImageId m-ID --RegionId cn-beijing
          hint: the same command goes on from there
        ",
    );
    assert_eq!(names(&env), ["web"], "the failed copy is gone");
    env.cloud.ecs().copy_script(CopyScript::creating(1));
    let run = env.alicloud(&command).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
    assert_eq!(names(&env), ["web", "web"]);
}

#[tokio::test]
async fn formats_that_alibaba_does_not_take_are_refused_with_the_command_that_converts() {
    let (env, _) = test_env().await;
    env.file("disk.ova", sample::ova("disk", &sample::raw(2 << 20)));
    let run = env.alicloud("alicloud --bucket packer -q disk.ova");
    run.output().await.code(3).stdout("").stderr(
        "
        error: Alibaba Cloud can't import an OVA
          cause: Alibaba Cloud takes RAW, VHD, QCOW2 and VMDK
          hint: take its disk out and convert it: tar -xf disk.ova -- disk.vmdk && qemu-img convert -f vmdk -O qcow2 disk.vmdk disk.qcow2
        ",
    );
    assert!(env.cloud.requests_so_far().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_system_disk_smaller_than_the_image_is_refused() {
    let (env, _) = test_env().await;
    env.file("disk.qcow2", qcow2_of_3_gib());
    let run = env.alicloud("alicloud --bucket packer --system-size 2 -q disk.qcow2");
    run.output().await.code(2).stdout("").stderr(
        "error: a system disk of 2 GiB is smaller than the image's disk of 3.0 GiB: say 3 or more (--system-size, IMGIMPORT_ALICLOUD_SYSTEM_SIZE or image_system_size in [alicloud])",
    );
    assert!(env.cloud.requests_so_far().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn all_missing_and_invalid_settings_are_reported_at_once() {
    let env = empty_account().await;
    env.file("imgimport.toml", "[alicloud]\nimage_version = \"1\"\n");
    let run = env.program([
        "alicloud",
        "--image-name=1",
        "--image-description=x",
        "--platform=Ubunt",
        "--os-type=windows",
        "--architecture=arm64",
        "--boot-mode=bios",
        "--share-account=me",
        "--tag=acs:x=y",
        "--key={{stamp}}",
        "--copy-to=cn-hangzhou,cn-hangzhou",
        "--kms-key-id=k",
        "--force-delete-snapshots",
        "--ecs-endpoint=http://example.com",
    ]);
    let run = run
        .on_alibaba()
        .without("ALICLOUD_REGION")
        .without("ALICLOUD_SECRET_KEY");
    run.output().await.code(2).stdout("").stderr(
        r#"
        Settings from imgimport.toml
        error: 15 settings are missing or wrong
          - no image: give its path, IMGIMPORT_IMAGE or image in the settings file
          - the region is missing: give --region, ALICLOUD_REGION or region in [alicloud]
          - the bucket is missing: give --bucket, IMGIMPORT_ALICLOUD_BUCKET or oss_bucket_name in [alicloud]
          - the access key has no secret key: set ALICLOUD_SECRET_KEY or secret_key in [alicloud]
          - Packer's image_version is not supported: put the version into the image's name, or into a tag (image_version in [alicloud])
          - the tag "acs:x" can't begin with acs:, that is Alibaba Cloud's own (--tag, IMGIMPORT_ALICLOUD_TAG or tags in [alicloud])
          - "me" is not an account: its id is a number (--share-account, IMGIMPORT_ALICLOUD_SHARE_ACCOUNT or image_share_account in [alicloud])
          - "http://example.com" is not encrypted: write https:// (--ecs-endpoint, ALICLOUD_ECS_ENDPOINT or ecs_endpoint in [alicloud])
          - cn-hangzhou is named twice (--copy-to, IMGIMPORT_ALICLOUD_COPY_TO or image_copy_regions in [alicloud])
          - a KMS key says nothing unless the copies are encrypted: add --encrypt-copies (--kms-key-id, IMGIMPORT_ALICLOUD_KMS_KEY_ID or kms_key_id in [alicloud])
          - an arm64 system boots with UEFI (--boot-mode, IMGIMPORT_ALICLOUD_BOOT_MODE or boot_mode in [alicloud])
          - snapshots of a replaced image are deleted only with --force-delete (--force-delete-snapshots, IMGIMPORT_ALICLOUD_FORCE_DELETE_SNAPSHOTS or image_force_delete_snapshots in [alicloud])
          - {{stamp}} is not known: write {{timestamp}}, {{isotime}}, {{uuid}}, {{env}}, {{file_stem}}, {{format}} (--key, IMGIMPORT_ALICLOUD_KEY or oss_key_name in [alicloud])
          - an image's name has 2 to 128 characters, this one 1 (--image-name, IMGIMPORT_ALICLOUD_IMAGE_NAME or image_name in [alicloud])
          - a description has 2 to 256 characters, this one 1 (--image-description, IMGIMPORT_ALICLOUD_IMAGE_DESCRIPTION or image_description in [alicloud])
        "#,
    );
    assert!(env.cloud.requests_so_far().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn no_secret_is_ever_printed_or_left_in_the_journal() {
    let (env, _) = test_env().await;
    let session = env.cloud.alibaba_session();
    let token = session.security_token.clone().unwrap();
    let encoded = token.replace('+', "%2B").replace('/', "%2F");
    let secret = session.secret_key.clone();
    let words = [
        secret.as_str(),
        token.as_str(),
        encoded.trim_end_matches('='),
        "Signature=",
        "authorization",
    ];
    for (command, secret) in [
        (
            "alicloud --bucket packer -vv --no-wait disk.raw",
            secret.as_str(),
        ),
        (
            "alicloud --bucket other -vv --copy-to cn-hangzhou --image-name two disk.raw",
            secret.as_str(),
        ),
        (
            "alicloud --bucket packer -vv --image-name three disk.raw",
            "WrongSecret",
        ),
    ] {
        let run = with_key(env.alicloud(command), &session);
        let run = run.env("ALICLOUD_SECRET_KEY", secret).output().await;
        for word in words {
            assert!(
                !run.stderr.contains(word) && !run.stdout.contains(word),
                "{word} in:\n{}",
                run.stderr
            );
        }
        assert!(!run.stderr.contains("WrongSecret"), "{}", run.stderr);
        assert!(run.stderr.contains("ecs: DescribeImages"), "{}", run.stderr);
    }
    let journal = env.journal();
    assert!(!journal.is_empty(), "--no-wait leaves one");
    for path in journal {
        let text = fs::read_to_string(path).unwrap();
        assert!(!words.iter().any(|word| text.contains(word)), "{text}");
    }
}

#[tokio::test]
async fn a_replaced_image_is_deleted_with_its_snapshots_on_request() {
    let (env, _) = test_env().await;
    env.alicloud(COMMAND).output().await.code(0);
    let old = env.cloud.ecs().images()[0].clone();
    let run = env.alicloud(&format!(
        "{COMMAND} --force-delete --force-delete-snapshots"
    ));
    let run = run.output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(names(&env), ["web"]);
    let snapshots = env.cloud.ecs().snapshots();
    assert_eq!(snapshots.len(), 1);
    assert_ne!(snapshots[0].id, old.snapshots[0]);
}

#[tokio::test]
async fn an_old_image_that_cannot_be_deleted_leaves_the_new_one_for_the_next_run() {
    let (env, _) = test_env().await;
    let old = env.cloud.ecs().register_image(REGION, "web");
    let command = format!("{COMMAND} --force-delete");
    let fault = Fault::on("ecs:DeleteImage");
    env.cloud
        .fault(fault.answer(403, "Forbidden.RAM", "not you"));
    env.alicloud(&command).output().await.code(1).stdout("").stderr(
        "
        error: m-ID, which has the name, could not be deleted
          cause: not you (Forbidden.RAM, request ID)
          left behind: the image m-ID; remove it with: aliyun ecs DeleteImage --ImageId m-ID --RegionId cn-beijing
          hint: allow the caller ecs:DeleteImage: {\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"ecs:DeleteImage\",\"Resource\":\"*\"}]}
        ",
    );
    assert_eq!(env.cloud.ecs().images().len(), 2, "neither is lost");
    let run = env.alicloud(&command).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(names(&env), ["web"]);
    assert_ne!(env.cloud.ecs().images()[0].id, old);
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
}

#[tokio::test]
async fn ctrl_c_while_replacing_keeps_both_and_the_next_run_goes_on() {
    let (env, _) = test_env().await;
    let old = env.cloud.ecs().register_image(REGION, "web");
    let gate = Gate::new();
    let script = ImportScript::quick().hold(&gate);
    env.cloud.ecs().import_script(script);
    let command = format!("{COMMAND} --force-delete");
    let running = env.alicloud(&command).start();
    gate.reached().await;
    running.signal("INT");
    running.output().await.code(130).stdout("");
    assert!(env.cloud.ecs().image(&old).is_some());
    gate.release();
    let run = env.alicloud(&command).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(names(&env), ["web"]);
    assert_eq!(env.cloud.ecs().images()[0].id, run.stdout_raw);
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
}

#[tokio::test]
async fn a_copy_replaces_the_image_of_its_name_too() {
    let (env, disk) = test_env().await;
    let old = env.cloud.ecs().register_image("cn-hangzhou", "web");
    let run = env.alicloud(&format!("{COMMAND} --copy-to cn-hangzhou --force-delete"));
    run.output().await.code(0).stdout("m-ID").stderr("");
    assert!(env.cloud.ecs().image(&old).is_none());
    let images = env.cloud.ecs().images();
    assert_eq!(names(&env), ["web", "web"]);
    assert_eq!(env.cloud.ecs().imported_bytes(&images[1].id), Some(disk));
}

#[tokio::test]
async fn an_import_that_is_refused_keeps_the_object_for_the_next_run() {
    let (env, _) = test_env().await;
    let words = "The maximum number of images is exceeded.";
    let fault = Fault::on("ecs:ImportImage");
    env.cloud
        .fault(fault.answer(400, "QuotaExceed.Image", words));
    env.alicloud(COMMAND).output().await.code(1).stdout("").stderr(
        "
        error: the import could not be started
          cause: The maximum number of images is exceeded (QuotaExceed.Image, request ID)
          left behind: oss://packer/imgimport-1767225600.raw; remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing
          hint: delete images that nobody needs, or ask for a higher quota
        ",
    );
    env.alicloud(COMMAND).output().await.code(0).stdout("m-ID");
    assert_eq!(env.cloud.requests("oss:UploadPart").len(), 1);
}

#[tokio::test]
async fn a_role_that_is_lost_after_the_check_is_made_while_the_object_waits() {
    let (env, _) = test_env().await;
    let gate = env.cloud.hold(Fault::on("oss:UploadPart"));
    let running = env.alicloud(COMMAND).start();
    gate.reached().await;
    env.cloud.ram().remove_role(ROLE);
    gate.release();
    running.output().await.code(0).stdout("m-ID").stderr("");
    assert!(env.cloud.ram().role(ROLE).is_some());
    assert_eq!(env.cloud.requests("oss:UploadPart").len(), 1);
}

#[tokio::test]
async fn a_refused_part_ends_the_upload_at_once() {
    let (env, _) = test_env().await;
    let fault = Fault::on("oss:UploadPart").always();
    env.cloud
        .fault(fault.answer(403, "AccessDenied", "not you"));
    env.alicloud(COMMAND).output().await.code(1).stdout("");
    let parts = env.cloud.requests("oss:UploadPart").len();
    assert_eq!(parts, 1, "403 is never tried again");
    assert!(
        env.cloud.oss().uploads().is_empty(),
        "an upload without parts is of no use"
    );
}

#[tokio::test]
async fn a_poll_that_fails_is_no_end_of_the_import() {
    let (env, _) = test_env().await;
    let gate = Gate::new();
    let script = ImportScript::quick().hold(&gate);
    env.cloud.ecs().import_script(script);
    let running = env.alicloud(COMMAND).start();
    gate.reached().await;
    for operation in ["ecs:DescribeTaskAttribute", "ecs:DescribeImages"] {
        let fault = Fault::on(operation).times(2);
        env.cloud
            .fault(fault.answer(503, "ServiceUnavailable", "later"));
    }
    gate.release();
    running.output().await.code(0).stdout("m-ID").stderr("");
}

#[tokio::test]
async fn an_object_that_vanishes_under_the_import_fails_it_with_alibabas_reason() {
    let (env, _) = test_env().await;
    let gate = Gate::new();
    let script = ImportScript::quick().hold(&gate);
    env.cloud.ecs().import_script(script);
    let running = env.alicloud(COMMAND).start();
    gate.reached().await;
    env.cloud.oss().remove("packer", "imgimport-1767225600.raw");
    gate.release();
    let run = running.output().await;
    run.code(1).stdout("");
    let reason = "cause: The OSS object imgimport-1767225600.raw does not exist any more (InvalidOSSObject.NotFound)";
    assert!(run.stderr.contains(reason), "{}", run.stderr);
}

#[tokio::test]
async fn a_third_signal_exits_at_once_and_names_the_leftovers() {
    let (env, _) = test_env().await;
    let import = Gate::new();
    let cancel = env.cloud.hold(Fault::on("ecs:CancelTask").always());
    let script = ImportScript::quick().hold(&import);
    env.cloud.ecs().import_script(script);
    let mut running = env.alicloud(&COMMAND.replace("-q ", "")).start();
    import.reached().await;
    running.signal("INT");
    running.wait_for_stderr("Ctrl-C once more").await;
    running.signal("INT");
    cancel.reached().await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    for words in [
        "left behind: the import task t-ID",
        "left behind: oss://packer/",
    ] {
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_rerun_after_a_kill_sends_no_acknowledged_part_again() {
    let (env, _) = test_env().await;
    let hold = Fault::on("oss:UploadPart").with("partNumber", "4").always();
    let gate = env.cloud.hold(hold);
    let disk = env.disk(22);
    let command = PARTS.replace("--concurrency 2", "--concurrency 1");
    let running = env.alicloud(&command).start();
    gate.reached().await;
    running.kill().await;
    gate.release();
    env.cloud.clear_faults();
    let kept = env.cloud.oss().uploads()[0].parts.len();
    assert!(kept >= 3, "{kept}");
    let sent = env.cloud.requests("oss:UploadPart").len();
    let run = env.alicloud(&command).output().await;
    run.code(0);
    assert!(env.cloud.requests("oss:UploadPart").len() - sent <= 2);
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn an_upload_removed_by_a_lifecycle_rule_is_created_again() {
    let (env, _) = test_env().await;
    let hold = Fault::on("oss:UploadPart").with("partNumber", "3").always();
    let gate = env.cloud.hold(hold);
    let disk = env.disk(22);
    let running = env.alicloud(PARTS).start();
    gate.reached().await;
    running.kill().await;
    gate.release();
    env.cloud.clear_faults();
    env.cloud.oss().expire_uploads();
    let run = env.alicloud(PARTS).output().await;
    run.code(0).stdout("m-ID");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn a_task_that_failed_without_waiting_is_created_again() {
    let (env, disk) = test_env().await;
    let script = ImportScript::quick().fail("The system disk has no root.");
    env.cloud.ecs().import_script(script);
    let run = env.alicloud(&format!("{COMMAND} --no-wait")).output().await;
    run.code(0).stdout("t-ID");
    env.cloud.ecs().import_script(ImportScript::quick());
    let run = env.alicloud(COMMAND).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(names(&env), ["web"]);
    assert_eq!(env.cloud.requests("oss:UploadPart").len(), 1);
}

/// An import reads `oss://packer/k.raw`, and nobody waits for it.
async fn detached_import() -> (TestEnv, Vec<u8>) {
    let (env, disk) = test_env().await;
    let script = ImportScript::quick().hold(&Gate::new());
    env.cloud.ecs().import_script(script);
    let run = env.alicloud(&format!("{LATER} --image-name web"));
    run.output().await.code(0).stdout("t-ID");
    (env, disk)
}

const LATER: &str = "alicloud --bucket packer --key k.raw --no-wait -q disk.raw";

#[tokio::test]
async fn another_import_is_not_robbed_of_the_object_that_it_reads() {
    let (env, disk) = detached_import().await;
    env.disk(3);
    let another = env.alicloud(&format!("{LATER} --image-name other"));
    another.output().await.code(1).stdout("").stderr(
        "
        error: the object k.raw is in use by another run
          cause: its import has not ended, as far as the journal knows
          hint: finish that run with its own command, or give this one another --key
        ",
    );
    assert!(env.cloud.oss().object("packer", "k.raw") == Some(disk));
}

#[tokio::test]
async fn a_changed_image_is_not_sent_over_the_one_that_an_import_still_reads() {
    let (env, disk) = detached_import().await;
    env.disk(3);
    let run = env.alicloud(&format!("{LATER} --image-name web --force-delete"));
    let run = run.output().await;
    run.code(1).stdout("");
    let told = "oss://packer/k.raw is still read by an earlier import, t-ID";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert!(env.cloud.oss().object("packer", "k.raw") == Some(disk));
}

#[tokio::test]
async fn another_question_about_the_same_image_does_not_rob_the_first_import() {
    let (env, disk) = detached_import().await;
    env.cloud.ecs().import_script(ImportScript::quick());
    let run = LATER.replace(
        "--no-wait",
        "--image-name web --force-delete --boot-mode uefi",
    );
    let run = env.alicloud(&run).output().await;
    run.code(1).stdout("");
    assert!(env.cloud.oss().object("packer", "k.raw") == Some(disk));
}

#[tokio::test]
async fn a_generated_name_stays_that_of_the_first_run() {
    let (env, _) = test_env().await;
    let command = "alicloud --bucket packer -q disk.raw";
    let run = env.alicloud(&format!("{command} --no-wait")).output().await;
    run.code(0).stdout("t-ID");
    let later = env.alicloud(command);
    let later = later.env("SOURCE_DATE_EPOCH", "1767225601").output().await;
    later.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().tasks().len(), 1);
    assert_eq!(env.cloud.ecs().images().len(), 1);
    assert!(env.cloud.oss().objects().is_empty());
}

#[tokio::test]
async fn an_import_with_a_lost_response_is_cancelled_before_its_object_is_deleted() {
    let (env, _) = test_env().await;
    let script = ImportScript::quick().hold(&Gate::new());
    env.cloud.ecs().import_script(script);
    let answer = env.cloud.hold_answer(Fault::on("ecs:ImportImage"));
    let running = env.alicloud(&format!("{COMMAND} --no-resume")).start();
    answer.reached().await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("").stderr("error: stopped");
    assert_eq!(env.cloud.ecs().tasks()[0].status, "Cancelled");
    assert!(env.cloud.oss().objects().is_empty());
}

#[tokio::test]
async fn ctrl_c_twice_in_a_run_that_has_attached_removes_everything() {
    let (env, _) = detached_import().await;
    let run = LATER.replace("--no-wait -q", "--image-name web");
    let mut running = env.alicloud(&run).start();
    running.wait_for_stderr("An earlier run has started").await;
    running.signal("INT");
    running.wait_for_stderr("Ctrl-C once more").await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    assert_eq!(env.cloud.ecs().tasks()[0].status, "Cancelled");
    assert!(names(&env).is_empty());
    assert!(env.cloud.oss().objects().is_empty());
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_changed_source_is_sent_again_and_its_old_parts_are_deleted() {
    let (env, _) = test_env().await;
    let hold = Fault::on("oss:UploadPart").with("partNumber", "3").always();
    let gate = env.cloud.hold(hold);
    env.disk(22);
    let running = env.alicloud(PARTS).start();
    gate.reached().await;
    env.cloud.wait_for_successes("oss:UploadPart", 2).await;
    running.kill().await;
    gate.release();
    env.cloud.clear_faults();
    let old = env.cloud.oss().uploads()[0].upload_id.clone();
    let disk = env.disk(17);
    let run = env.alicloud(PARTS).output().await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
    let aborted = env.cloud.requests("oss:AbortMultipartUpload");
    assert_eq!(aborted[0].get("uploadId"), old);
}

#[tokio::test]
async fn a_run_that_cannot_start_names_the_previous_leftovers() {
    let (env, _) = test_env().await;
    let hold = Fault::on("oss:UploadPart").with("partNumber", "3").always();
    let gate = env.cloud.hold(hold);
    env.disk(22);
    let running = env.alicloud(PARTS).start();
    gate.reached().await;
    env.cloud.wait_for_successes("oss:UploadPart", 2).await;
    running.kill().await;
    gate.release();
    env.cloud.clear_faults();
    let fault = Fault::on("ecs:DescribeImages");
    let fault = fault.answer(403, "Forbidden.RAM", "not today");
    env.cloud.fault(fault);
    env.alicloud(PARTS).output().await.code(1).stdout("").stderr(
        "
        error: the image's name can't be looked up in cn-beijing
          cause: not today (Forbidden.RAM, request ID)
          left behind: the parts of oss://packer/imgimport-1767225600.raw that an earlier run has sent; remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw -m --upload-id UPLOAD --region cn-beijing
          hint: allow the caller ecs:DescribeImages: {\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"ecs:DescribeImages\",\"Resource\":\"*\"}]}
        ",
    );
    let sent = env.cloud.requests("oss:UploadPart").len();
    env.alicloud(PARTS).output().await.code(0);
    assert!(env.cloud.requests("oss:UploadPart").len() - sent <= 3);
}

#[tokio::test]
async fn a_web_identity_is_exchanged_for_keys() {
    let (env, _) = test_env().await;
    env.cloud.ram().put_assumable_role("ci");
    let token = env.file("token", "header.claims.signature\n");
    let account = imgimport_sandbox::alibaba::ACCOUNT;
    let run = env
        .alicloud(&COMMAND.replace("-q", "-vv"))
        .without("ALICLOUD_ACCESS_KEY")
        .without("ALICLOUD_SECRET_KEY")
        .env(
            "ALIBABA_CLOUD_ROLE_ARN",
            &format!("acs:ram::{account}:role/ci"),
        )
        .env(
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
            &format!("acs:ram::{account}:oidc-provider/ci"),
        )
        .env(
            "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
            &token.display().to_string(),
        );
    let run = run.output().await;
    run.code(0).stdout("m-ID");
    assert!(!run.stderr.contains("header.claims"), "{}", run.stderr);
    assert_eq!(env.cloud.requests("sts:AssumeRoleWithOIDC").len(), 1);
}

#[tokio::test]
async fn the_variables_of_alibabas_own_tools_do_as_well() {
    let (env, _) = test_env().await;
    let key = env.cloud.alibaba_key();
    let run = env
        .alicloud(COMMAND)
        .without("ALICLOUD_ACCESS_KEY")
        .without("ALICLOUD_SECRET_KEY")
        .without("ALICLOUD_REGION")
        .env("ALIBABA_CLOUD_ACCESS_KEY_ID", &key.access_key)
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &key.secret_key)
        .env("ALIBABA_CLOUD_REGION_ID", REGION);
    run.output().await.code(0).stdout("m-ID").stderr("");
}

#[tokio::test]
async fn the_source_is_deleted_only_on_request_after_success() {
    let (env, _) = test_env().await;
    let fault = Fault::on("ecs:ImportImage");
    env.cloud.fault(fault.answer(400, "InvalidParameter", "no"));
    let command = format!("{COMMAND} --delete-source");
    env.alicloud(&command).output().await.code(1);
    assert!(env.path("disk.raw").exists());
    env.alicloud(&command).output().await.code(0);
    assert!(!env.path("disk.raw").exists());
}

#[tokio::test]
async fn a_key_without_the_formats_suffix_is_refused_before_the_upload() {
    let (env, _) = test_env().await;
    let run = env.alicloud("alicloud --bucket packer --key disk.img -q disk.raw");
    run.output().await.code(2).stdout("").stderr(
        "error: the object's key must end in .raw, ImportImage looks at that (--key, IMGIMPORT_ALICLOUD_KEY or oss_key_name in [alicloud])",
    );
    assert!(env.cloud.requests_so_far().is_empty(), "nobody was asked");
}
