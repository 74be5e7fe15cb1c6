//! Imports to AWS as people ask for them.

use imgimport_sandbox::{CopyScript, Fault, Gate, ImportScript, Permission, REGION, sample};

use crate::support::{BUCKET, TestEnv};

#[tokio::test]
async fn a_raw_disk_is_imported_and_its_ami_id_printed() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket disk.raw")
        .output()
        .await;
    run.code(0).stdout("ami-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        Uploading to s3://importbucket/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as import-ami-TASK
           2 % pending
        Imported as ami-ID
        ",
    );
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert!(
        env.cloud.s3().objects().is_empty(),
        "the temporary object is deleted"
    );
    assert!(
        env.journal().is_empty(),
        "no journal is left of a finished job"
    );
}

#[tokio::test]
async fn an_ova_is_imported_under_its_ami_name() {
    let env = TestEnv::new().await;
    let ova = sample::ova("disk", &sample::raw(2 << 20));
    env.file("disk.ova", &ova);
    let run = env.imgimport("aws --bucket importbucket --ami-name web-1 --tag team=a disk.ova");
    let run = run.output().await;
    run.code(0).stdout("ami-ID").stderr(
        "
        disk.ova: OVA with one stream-optimized VMDK, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        Uploading to s3://importbucket/imgimport-1767225600.ova
         100 % (2.2 MiB of 2.2 MiB)
        Uploaded 2.2 MiB in TIME
        Importing as import-ami-TASK
           2 % pending
        Imported as ami-ID
        Naming it \"web-1\" as ami-ID
          copying
        ",
    );
    let images = env.cloud.ec2().images();
    assert_eq!(
        images.len(),
        1,
        "the image before it had its name is gone: {images:?}"
    );
    assert_eq!(
        (images[0].id.as_str(), images[0].name.as_str()),
        (run.stdout_raw.as_str(), "web-1")
    );
    assert_eq!(images[0].tags["team"], "a");
    let snapshots = env.cloud.ec2().snapshots();
    assert_eq!(
        snapshots.len(),
        1,
        "its snapshots are gone, too: {snapshots:?}"
    );
    assert_eq!(snapshots[0].tags["team"], "a");
}

#[tokio::test]
async fn all_options_reach_the_ami() {
    let env = TestEnv::new().await;
    env.file("disk.vhd", sample::vhd(&sample::raw(2 << 20)));
    let run = env.program([
        "aws",
        "--bucket=importbucket",
        "--key=in/{{file_stem}}.{{format}}",
        "--ami-description=built {{isotime \"2006-01-02\"}}",
        "--ami-users=111122223333,444455556666",
        "--ami-org-arns=arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
        "--tag=built={{timestamp}}",
        "--boot-mode=uefi",
        "--platform=linux",
        "--license-type=BYOL",
        "--imds-support=v2.0",
        "--s3-encryption=AES256",
        "--skip-clean",
        "disk.vhd",
    ]);
    let run = run.output().await;
    run.code(0).stdout("ami-ID");
    let task = &env.cloud.ec2().import_tasks()[0];
    assert_eq!(
        (task.format.as_str(), task.key.as_str()),
        ("VHD", "in/disk.vhd")
    );
    let asked = [
        "BootMode",
        "Platform",
        "LicenseType",
        "RoleName",
        "Architecture",
    ];
    let asked = asked.map(|name| task.request[name].as_str());
    assert_eq!(asked, ["uefi", "Linux", "BYOL", "vmimport", "x86_64"]);
    assert_eq!(task.tags["built"], "1767225600");
    let image = &env.cloud.ec2().images()[0];
    assert_eq!(image.description.as_deref(), Some("built 2026-01-01"));
    assert_eq!(image.imds_support.as_deref(), Some("v2.0"));
    assert_eq!(image.tags["built"], "1767225600");
    assert_eq!(
        image.launch_permissions.len(),
        3,
        "{:?}",
        image.launch_permissions
    );
    let snapshot = &env.cloud.ec2().snapshots()[0];
    let shared = |id: &str| Permission {
        kind: "userId",
        value: id.to_owned(),
    };
    assert_eq!(
        snapshot.permissions,
        [shared("111122223333"), shared("444455556666")]
    );
    let object = &env.cloud.s3().objects()[0];
    assert_eq!(
        (object.key.as_str(), object.encryption.as_deref()),
        ("in/disk.vhd", Some("AES256"))
    );
}

#[tokio::test]
async fn an_encrypted_image_is_imported_and_named_with_its_key() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(
        "aws --bucket importbucket --ami-name sealed --ami-encrypt --ami-kms-key alias/images disk.raw",
    );
    run.output().await.code(0);
    let task = &env.cloud.ec2().import_tasks()[0];
    assert_eq!(
        (
            task.request["Encrypted"].as_str(),
            task.request["KmsKeyId"].as_str()
        ),
        ("true", "alias/images")
    );
    let snapshots = env.cloud.ec2().snapshots();
    assert!(
        snapshots.iter().all(|snapshot| snapshot.encrypted),
        "{snapshots:?}"
    );
}

#[tokio::test]
async fn the_result_as_json_has_every_key_even_those_that_do_not_apply() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket -q --output json disk.raw")
        .output()
        .await;
    run.code(0).stderr("").stdout(
        r#"{"image_id":"ami-ID","images":[{"image_id":"ami-ID","region":"eu-central-1"}],"name":"import-ami-TASK","object":{"bucket":"importbucket","deleted":true,"key":"imgimport-1767225600.raw"},"provider":"aws","region":"eu-central-1","schema":1,"seconds":{"import":SECONDS,"total":SECONDS,"upload":SECONDS},"snapshot_ids":["snap-ID"],"source":{"format":"raw","path":"disk.raw","sha256":"0e86efe4adc30c55f679c86075133de0ef765cd6624324c049e234a6d9f006a8","size":2097152,"virtual_size":2097152},"task_id":"import-ami-TASK","uploaded_bytes":2097152}"#,
    );
}

#[tokio::test]
async fn a_rerun_after_no_wait_attaches_to_the_task() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket --no-wait disk.raw")
        .output()
        .await;
    run.code(0).stdout("import-ami-TASK").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        Uploading to s3://importbucket/imgimport-1767225600.raw
         100 % (2.0 MiB of 2.0 MiB)
        Uploaded 2.0 MiB in TIME
        Importing as import-ami-TASK
          s3://importbucket/imgimport-1767225600.raw is read by import-ami-TASK; remove it afterwards with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
        ",
    );
    assert_eq!(env.cloud.s3().objects().len(), 1, "the task reads it");

    gate.release();
    let run = env
        .imgimport("aws --bucket importbucket disk.raw")
        .output()
        .await;
    run.code(0).stdout("ami-ID").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        An earlier run has started import-ami-TASK
        Imported as ami-ID
        ",
    );
    assert_eq!(
        env.cloud.ec2().import_tasks().len(),
        1,
        "one import was started"
    );
    assert_eq!(
        env.cloud.requests("s3:UploadPart").len(),
        1,
        "nothing travelled twice"
    );
    assert!(env.cloud.s3().objects().is_empty());
}

#[tokio::test]
async fn a_dry_run_sends_only_reads() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport("aws --bucket importbucket --ami-name web --dry-run disk.raw");
    run.output().await.code(0).stdout("").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        The caller is arn:aws:iam::123456789012:user/sandbox
        The caller may ec2:ImportImage and ec2:CopyImage
        0 of 20 imports are running in eu-central-1
        Not verified: s3:PutObject, s3:DeleteObject and iam:PassRole
        Would send 2.0 MiB to s3://importbucket/imgimport-1767225600.raw, in one part
        Would import it into eu-central-1 as the AMI \"web\"
        Would remove s3://importbucket/imgimport-1767225600.raw afterwards
        ",
    );
    let mut asked: Vec<_> = env
        .cloud
        .requests_so_far()
        .into_iter()
        .map(|entry| entry.operation)
        .collect();
    asked.sort();
    assert_eq!(
        asked,
        [
            "ec2:CopyImage",
            "ec2:DescribeImages",
            "ec2:DescribeImages",
            "ec2:DescribeImportImageTasks",
            "ec2:DescribeImportSnapshotTasks",
            "ec2:ImportImage",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListRolePolicies",
            "s3:HeadBucket",
            "servicequotas:GetAWSDefaultServiceQuota",
            "servicequotas:GetServiceQuota",
            "sts:GetCallerIdentity"
        ]
    );
}

#[tokio::test]
async fn a_lost_answer_never_starts_a_second_import() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud.fault(Fault::on("ec2:ImportImage").cut_answer());
    env.imgimport("aws --bucket importbucket disk.raw")
        .output()
        .await
        .code(0)
        .stdout("ami-ID");
    assert_eq!(env.cloud.requests("ec2:ImportImage").len(), 2);
    assert_eq!(env.cloud.ec2().import_tasks().len(), 1);
}

#[tokio::test]
async fn a_task_without_a_status_message_is_polled() {
    let env = TestEnv::new().await;
    env.cloud
        .import_script(ImportScript::quick().without_messages().without_messages());
    env.disk(2);
    env.imgimport("aws --bucket importbucket disk.raw")
        .output()
        .await
        .code(0)
        .stdout("ami-ID");
}

#[tokio::test]
async fn a_failed_rename_keeps_the_imported_image_for_the_next_run() {
    let env = TestEnv::new().await;
    env.cloud
        .ec2()
        .copy_script(CopyScript::default().fail("the key is not accessible"));
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket --ami-name web -q disk.raw")
        .output()
        .await;
    run.code(1).stdout("").stderr(
        "
        error: ami-ID is failed
          cause: the key is not accessible
          left behind: the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-central-1
          hint: the same command goes on from there
        ",
    );
    let images = env.cloud.ec2().images();
    assert_eq!(
        images.len(),
        1,
        "the copy that failed is removed: {images:?}"
    );
    assert!(
        env.cloud.s3().objects().is_empty(),
        "nobody needs the object any more"
    );

    env.cloud.ec2().copy_script(CopyScript::default());
    let run = env
        .imgimport("aws --bucket importbucket --ami-name web -q disk.raw")
        .output()
        .await;
    run.code(0).stdout("ami-ID").stderr("");
    assert_eq!(
        env.cloud.ec2().import_tasks().len(),
        1,
        "the image was imported once"
    );
    assert_eq!(env.cloud.ec2().images().len(), 1);
}

#[tokio::test]
async fn the_source_is_deleted_only_on_request_after_success() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud
        .fault(Fault::on("ec2:ImportImage").answer(400, "InvalidParameter", "no"));
    let command = "aws --bucket importbucket --delete-source -q disk.raw";
    env.imgimport(command).output().await.code(1);
    assert!(env.path("disk.raw").exists());
    env.imgimport(command).output().await.code(0);
    assert!(!env.path("disk.raw").exists());
}

#[tokio::test]
async fn a_file_that_replaced_the_image_is_not_deleted() {
    let env = TestEnv::new().await;
    env.disk(2);
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    let running = env
        .imgimport("aws --bucket importbucket --delete-source -q disk.raw")
        .start();
    gate.reached().await;
    std::fs::rename(env.file("new.raw", "another"), env.path("disk.raw")).unwrap();
    gate.release();
    running
        .output()
        .await
        .code(0)
        .stderr("warning: disk.raw was not deleted: it changed after it was sent");
    assert_eq!(std::fs::read(env.path("disk.raw")).unwrap(), b"another");
}

#[tokio::test]
async fn an_old_bucket_is_used_with_a_warning() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud.s3().create_bucket("My_Old_Bucket", REGION);
    env.cloud.iam().put_import_role("vmimport", "My_Old_Bucket");
    let run = env.imgimport("aws --bucket My_Old_Bucket -q disk.raw");
    run.output().await.code(0).stderr(
        "warning: no new bucket can be named My_Old_Bucket: only buckets that were created in us-east-1 before March 2018 have such names",
    );
}

#[tokio::test]
async fn settings_that_ec2_rejects_are_reported_before_the_upload() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env
        .program([
            "aws",
            "--bucket",
            "importbucket",
            "--ami-name",
            "web",
            "--ami-description",
            "web \u{2014} one",
            "--tag",
            "team=a",
            "--tag",
            "team=b",
            "disk.raw",
        ])
        .output()
        .await;
    run.code(2);
    assert!(
        run.stderr
            .contains("the description has the character '\u{2014}', AWS accepts printable ASCII")
    );
    assert!(run.stderr.contains("the tag key \"team\" is given twice"));
    assert!(env.cloud.requests_so_far().is_empty());
}

#[tokio::test]
async fn a_body_without_end_is_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut line, _)) = listener.accept().await {
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let _ = line.read(&mut [0; 4096]).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
                let _ = line.write_all(head.as_bytes()).await;
                while line.write_all(&[b' '; 4096]).await.is_ok() {}
            });
        }
    });
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket --max-retries 0 -q disk.raw")
        .env("AWS_ENDPOINT_URL_EC2", &format!("http://{address}"))
        .output()
        .await;
    run.code(1);
    assert!(
        run.stderr.contains("length limit exceeded"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn standard_input_is_sent_as_it_comes() {
    let env = TestEnv::new().await;
    let disk = env.disk(12);
    let run = env
        .imgimport("aws --bucket importbucket -q -")
        .stdin(&env.path("disk.raw"));
    let run = run.output().await;
    run.code(0).stdout("ami-ID").stderr("");
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn a_role_is_assumed_with_its_external_id() {
    let env = TestEnv::new().await;
    env.disk(2);
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"abc"}}}]}"#;
    env.cloud.iam().put_role(
        "builder",
        trust,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    );
    let run = env.program([
        "aws",
        &format!("--bucket={BUCKET}"),
        "--assume-role-arn=arn:aws:iam::123456789012:role/builder",
        "--external-id=abc",
        "-q",
        "disk.raw",
    ]);
    run.output().await.code(0).stdout("ami-ID").stderr("");
    assert_eq!(
        env.cloud.requests("sts:AssumeRole")[0].get("ExternalId"),
        "abc"
    );
}

#[tokio::test]
async fn an_ami_that_has_its_name_is_found_again_when_the_rest_has_failed() {
    let env = TestEnv::new().await;
    env.disk(2);
    let fault = Fault::on("ec2:ModifyImageAttribute").answer(400, "IncorrectState", "not now");
    env.cloud.fault(fault);
    let command = "aws --bucket importbucket --ami-name web --ami-description a -q disk.raw";
    let run = env.imgimport(command).output().await;
    run.code(1).stdout("").stderr(
        "
        error: the description of ami-ID could not be set
          cause: not now (IncorrectState, request ID)
          left behind: the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-central-1
          hint: the same command goes on from there
        ",
    );
    env.imgimport(command).output().await.code(0).stderr("");
    assert_eq!(env.cloud.ec2().import_tasks().len(), 1);
    assert_eq!(env.cloud.ec2().images().len(), 1);
}

#[tokio::test]
async fn a_profile_names_the_endpoint_of_services_that_have_none_of_their_own() {
    let env = TestEnv::new().await;
    env.disk(2);
    let (endpoint, key) = (env.cloud.sts_endpoint(), env.cloud.key());
    let (access, secret) = (&key.access_key, &key.secret_key);
    let profile = format!(
        "[profile images]\nendpoint_url = {endpoint}\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n"
    );
    env.file("config", profile);
    let run = env.imgimport("aws --bucket importbucket --profile images -q disk.raw");
    let run = run
        .env("AWS_CONFIG_FILE", env.path("config").to_str().unwrap())
        .without("AWS_ENDPOINT_URL_STS");
    run.output().await.code(0).stdout("ami-ID").stderr("");
    assert_eq!(env.cloud.requests("sts:GetCallerIdentity").len(), 1);
}
