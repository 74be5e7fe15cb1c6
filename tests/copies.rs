//! What happens once the AMI is there: copies in other regions, who may use it, for how
//! long, and where its id is published.

use std::collections::BTreeMap;
use std::fs;

use imgimport_sandbox::{CopyScript, Fault, Gate, ImageView, Permission};
use serde_json::Value;

use crate::support::TestEnv;

const COMMAND: &str =
    "aws --bucket importbucket -q --ami-name web --copy-to eu-west-1 --copy-to us-east-1 disk.raw";

/// The images of the account, by region; each region has one.
fn images(env: &TestEnv) -> BTreeMap<String, ImageView> {
    let images = env.cloud.ec2().images();
    let count = images.len();
    let by_region: BTreeMap<_, _> = images
        .into_iter()
        .map(|image| (image.region.clone(), image))
        .collect();
    assert_eq!(by_region.len(), count, "one image a region: {by_region:?}");
    by_region
}

fn regions(env: &TestEnv) -> Vec<String> {
    images(env).into_keys().collect()
}

fn granted(kind: &'static str, value: &str) -> Permission {
    let value = value.to_owned();
    Permission { kind, value }
}

#[tokio::test]
async fn the_ami_is_copied_and_its_home_region_id_printed() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    let run = env.imgimport("aws --bucket importbucket --copy-to eu-west-1 disk.raw");
    let run = run.output().await;
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
        Copying it to eu-west-1
          copying to eu-west-1
        Copied to eu-west-1 as ami-ID
        ",
    );
    let images = images(&env);
    assert_eq!(images["eu-central-1"].id, run.stdout_raw);
    let copy = &images["eu-west-1"];
    assert_eq!(copy.source.as_deref(), Some(run.stdout_raw.as_str()));
    assert_eq!(
        copy.name, images["eu-central-1"].name,
        "without a name it has the task's"
    );
    assert_eq!(env.cloud.ec2().imported_bytes(&copy.id), Some(disk));
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn every_region_has_the_name_the_tags_and_the_permissions_of_the_first() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.program([
        "aws",
        "--bucket=importbucket",
        "--ami-name=web-1",
        "--ami-description=the web",
        "--tag=team=a",
        "--ami-users=111122223333",
        "--ami-org-arns=arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
        "--imds-support=v2.0",
        "--copy-to=eu-west-1,us-east-1",
        "--output=json",
        "-q",
        "disk.raw",
    ]);
    run.output().await.code(0).stderr("").stdout(
        r#"{"image_id":"ami-ID","images":[{"image_id":"ami-ID","region":"eu-central-1"},{"image_id":"ami-ID","region":"eu-west-1"},{"image_id":"ami-ID","region":"us-east-1"}],"name":"web-1","object":{"bucket":"importbucket","deleted":true,"key":"imgimport-1767225600.raw"},"provider":"aws","region":"eu-central-1","schema":1,"seconds":{"import":SECONDS,"total":SECONDS,"upload":SECONDS},"snapshot_ids":["snap-ID"],"source":{"format":"raw","path":"disk.raw","sha256":"0e86efe4adc30c55f679c86075133de0ef765cd6624324c049e234a6d9f006a8","size":2097152,"virtual_size":2097152},"task_id":"import-ami-TASK","uploaded_bytes":2097152}"#,
    );
    assert_eq!(regions(&env), ["eu-central-1", "eu-west-1", "us-east-1"]);
    for (region, image) in images(&env) {
        assert_eq!(image.name, "web-1", "{region}");
        assert_eq!(image.description.as_deref(), Some("the web"), "{region}");
        assert_eq!(image.imds_support.as_deref(), Some("v2.0"), "{region}");
        assert_eq!(image.tags["team"], "a", "{region}");
        let organization = "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5";
        assert_eq!(
            image.launch_permissions,
            [
                granted("userId", "111122223333"),
                granted("organizationArn", organization)
            ],
            "{region}"
        );
    }
    let snapshots = env.cloud.ec2().snapshots();
    assert_eq!(snapshots.len(), 3, "{snapshots:?}");
    for snapshot in snapshots {
        assert_eq!(snapshot.tags["team"], "a", "{}", snapshot.region);
        assert_eq!(snapshot.permissions, [granted("userId", "111122223333")]);
    }
    let copies = env.cloud.requests("ec2:CopyImage");
    assert!(
        copies
            .iter()
            .all(|copy| copy.get("TagSpecification.2.Tag.1.Key") == "team"),
        "the tags travel with the call"
    );
}

#[tokio::test]
async fn each_copy_is_encrypted_with_the_key_of_its_region() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.program([
        "aws",
        "--bucket=importbucket",
        "--ami-encrypt",
        "--ami-kms-key=alias/here",
        "--copy-to=eu-west-1",
        "--copy-to=us-east-1",
        "--copy-kms-key=us-east-1=arn:aws:kms:us-east-1:123456789012:key/there",
        "-q",
        "disk.raw",
    ]);
    run.output().await.code(0);
    let snapshots = env.cloud.ec2().snapshots();
    let keys: Vec<_> = snapshots
        .iter()
        .map(|one| {
            (
                one.region.as_str(),
                one.encrypted,
                one.kms_key_id.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        keys,
        [
            ("eu-central-1", true, Some("alias/here")),
            ("eu-west-1", true, None),
            (
                "us-east-1",
                true,
                Some("arn:aws:kms:us-east-1:123456789012:key/there")
            ),
        ]
    );
}

#[tokio::test]
async fn a_key_encrypts_one_copy_of_a_plain_ami() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(
        "aws --bucket importbucket -q --copy-to eu-west-1,us-east-1 --copy-kms-key eu-west-1=alias/there disk.raw",
    );
    run.output().await.code(0);
    let snapshots = env.cloud.ec2().snapshots();
    let encrypted: Vec<_> = snapshots.iter().filter(|one| one.encrypted).collect();
    assert_eq!(encrypted.len(), 1);
    assert_eq!(encrypted[0].region, "eu-west-1");
    assert_eq!(encrypted[0].kms_key_id.as_deref(), Some("alias/there"));
}

#[tokio::test]
async fn a_region_that_fails_is_named_and_the_same_command_goes_on_with_it() {
    let env = TestEnv::new().await;
    env.disk(2);
    let failing = CopyScript::default().fail("Given key ID is not accessible");
    env.cloud.ec2().copy_script_in("us-east-1", failing);
    let run = env.imgimport(COMMAND).output().await;
    run.code(1).stdout("").stderr(
        "
        error: ami-ID could not be copied to us-east-1
          cause: us-east-1: ami-ID is failed: Given key ID is not accessible
          left behind: the copy ami-ID in eu-west-1; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-west-1
          left behind: the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-central-1
          hint: the same command goes on from there
        ",
    );
    let first = images(&env);
    assert_eq!(
        regions(&env),
        ["eu-central-1", "eu-west-1"],
        "what has failed is removed"
    );
    assert_eq!(env.cloud.ec2().snapshots().len(), 2, "with its snapshot");

    env.cloud
        .ec2()
        .copy_script_in("us-east-1", CopyScript::default());
    env.imgimport(COMMAND)
        .output()
        .await
        .code(0)
        .stdout("ami-ID")
        .stderr("");
    let second = images(&env);
    assert_eq!(regions(&env), ["eu-central-1", "eu-west-1", "us-east-1"]);
    assert_eq!(second["eu-west-1"].id, first["eu-west-1"].id);
    assert_eq!(second["eu-central-1"].id, first["eu-central-1"].id);
    assert_eq!(
        env.cloud.ec2().import_tasks().len(),
        1,
        "it was imported once"
    );
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_failure_as_json_has_the_images_that_are_there() {
    let env = TestEnv::new().await;
    env.disk(2);
    let fault = Fault::on("ec2:CopyImage")
        .with("region", "us-east-1")
        .always();
    let reason = "You have exceeded your quota of public and private images.";
    env.cloud
        .fault(fault.answer(400, "ResourceLimitExceeded", reason));
    let run = env.imgimport(&format!("{COMMAND} --output json"));
    run.output().await.code(1).stderr(
        "
        error: ami-ID could not be copied to us-east-1
          cause: us-east-1: the copy of ami-ID could not be started: You have exceeded your quota of public and private images (ResourceLimitExceeded, request ID)
          left behind: the copy ami-ID in eu-west-1; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-west-1
          left behind: the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-central-1
          hint: the same command goes on from there
        ",
    )
    .stdout(
        r#"{"error":{"cause":"us-east-1: the copy of ami-ID could not be started: You have exceeded your quota of public and private images (ResourceLimitExceeded, request ID)","hint":"the same command goes on from there","kind":"failed","left_behind":["the copy ami-ID in eu-west-1; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-west-1","the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-central-1"],"message":"ami-ID could not be copied to us-east-1"},"images":[{"image_id":"ami-ID","region":"eu-central-1"},{"image_id":"ami-ID","region":"eu-west-1"}],"schema":1}"#,
    );
}

#[tokio::test]
async fn without_resume_a_failed_region_removes_everything() {
    let env = TestEnv::new().await;
    env.disk(2);
    let failing = CopyScript::default().fail("no");
    env.cloud.ec2().copy_script_in("us-east-1", failing);
    let run = env
        .imgimport(&format!("{COMMAND} --no-resume"))
        .output()
        .await;
    run.code(1).stdout("").stderr(
        "
        error: ami-ID could not be copied to us-east-1
          cause: us-east-1: ami-ID is failed: no
        ",
    );
    assert!(regions(&env).is_empty());
    assert!(env.cloud.ec2().snapshots().is_empty());
}

#[tokio::test]
async fn killed_while_copying_and_run_again_makes_no_second_copy() {
    let env = TestEnv::new().await;
    env.disk(2);
    let answer = Fault::on("ec2:CopyImage").with("region", "us-east-1");
    let (unheard, pending) = (env.cloud.hold_answer(answer), Gate::new());
    let held = CopyScript::default().hold(&pending);
    env.cloud.ec2().copy_script_in("eu-west-1", held);
    let running = env.imgimport(COMMAND).start();
    unheard.reached().await;
    pending.reached().await;
    running.kill().await;
    assert_eq!(env.cloud.requests("ec2:CopyImage").len(), 3);

    unheard.release();
    pending.release();
    env.imgimport(COMMAND)
        .output()
        .await
        .code(0)
        .stdout("ami-ID")
        .stderr("");
    assert_eq!(regions(&env), ["eu-central-1", "eu-west-1", "us-east-1"]);
    assert_eq!(env.cloud.ec2().snapshots().len(), 3);
    let asked = env.cloud.requests("ec2:CopyImage");
    assert_eq!(
        asked.len(),
        4,
        "only the answer that nobody heard is asked for again"
    );
    assert_eq!(asked[3].get("region"), "us-east-1");
}

#[tokio::test]
async fn a_copy_in_the_journal_of_an_older_version_is_found() {
    let env = TestEnv::new().await;
    env.disk(2);
    let unheard = Fault::on("ec2:CopyImage").with("region", "us-east-1");
    let unheard = env.cloud.hold_answer(unheard);
    let running = env.imgimport(COMMAND).start();
    unheard.reached().await;
    running.kill().await;
    unheard.release();
    // Such a journal has neither the copy's name nor what is copied.
    let path = env.journal().into_iter();
    let path = path
        .into_iter()
        .find(|path| path.extension() == Some("json".as_ref()));
    let path = path.expect("a journal");
    let mut entry: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let asked = entry["copy_requests"]["us-east-1"].as_object_mut().unwrap();
    assert!(asked.remove("name").is_some() && asked.remove("source").is_some());
    fs::write(path, serde_json::to_vec(&entry).unwrap()).unwrap();

    let jobs = env.imgimport("jobs").output().await;
    jobs.code(0);
    assert!(jobs.stdout.contains("us-east-1"), "{}", jobs.stdout);
    let run = env.imgimport(COMMAND).output().await;
    run.code(0).stdout("ami-ID").stderr("");
    assert_eq!(regions(&env), ["eu-central-1", "eu-west-1", "us-east-1"]);
    assert_eq!(env.cloud.ec2().snapshots().len(), 3);
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_lost_answer_never_makes_a_second_copy() {
    let env = TestEnv::new().await;
    env.disk(2);
    let copy = Fault::on("ec2:CopyImage").with("region", "eu-west-1");
    env.cloud.fault(copy.cut_answer());
    env.imgimport(COMMAND).output().await.code(0);
    assert_eq!(env.cloud.requests("ec2:CopyImage").len(), 4);
    assert_eq!(regions(&env), ["eu-central-1", "eu-west-1", "us-east-1"]);
}

#[tokio::test]
async fn ctrl_c_while_copying_names_every_copy_and_the_next_run_waits_for_them() {
    let env = TestEnv::new().await;
    env.disk(2);
    let gate = Gate::new();
    for region in ["eu-west-1", "us-east-1"] {
        let held = CopyScript::default().hold(&gate);
        env.cloud.ec2().copy_script_in(region, held);
    }
    let running = env.imgimport(COMMAND).start();
    env.cloud.wait_for_successes("ec2:CopyImage", 3).await;
    gate.reached_by(2).await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    for region in ["eu-west-1", "us-east-1"] {
        let named = format!("in {region}; remove it with: aws ec2 deregister-image");
        assert!(run.stderr.contains(&named), "{}", run.stderr);
    }

    gate.release();
    env.imgimport(COMMAND)
        .output()
        .await
        .code(0)
        .stdout("ami-ID")
        .stderr("");
    assert_eq!(env.cloud.requests("ec2:CopyImage").len(), 3);
    assert_eq!(regions(&env), ["eu-central-1", "eu-west-1", "us-east-1"]);
}

#[tokio::test]
async fn ctrl_c_twice_while_copying_removes_everything_in_every_region() {
    let env = TestEnv::new().await;
    env.disk(2);
    let gate = Gate::new();
    let held = CopyScript::default().hold(&gate);
    env.cloud.ec2().copy_script_in("us-east-1", held);
    let mut running = env.imgimport(&COMMAND.replace("-q ", "")).start();
    env.cloud.wait_for_successes("ec2:CopyImage", 3).await;
    gate.reached().await;
    running.signal("INT");
    running.wait_for_stderr("Ctrl-C once more").await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
    assert!(regions(&env).is_empty());
    assert!(env.cloud.ec2().snapshots().is_empty());
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_copy_of_a_removed_region_is_kept_and_named() {
    let env = TestEnv::new().await;
    env.disk(2);
    let failing = CopyScript::default().fail("no");
    env.cloud.ec2().copy_script_in("us-east-1", failing);
    env.imgimport(COMMAND).output().await.code(1);
    let run = env.imgimport("aws --bucket importbucket -q --ami-name web disk.raw");
    run.output().await.code(0).stdout("ami-ID").stderr(
        "warning: ami-ID, which an earlier run has copied to eu-west-1, stays: this run was not asked for it",
    );
    assert_eq!(regions(&env), ["eu-central-1", "eu-west-1"]);
}

#[tokio::test]
async fn a_copy_with_another_request_is_not_reused() {
    let env = TestEnv::new().await;
    env.disk(2);
    let failing = CopyScript::default().fail("no");
    env.cloud.ec2().copy_script_in("us-east-1", failing);
    env.imgimport(COMMAND).output().await.code(1);
    env.cloud
        .ec2()
        .copy_script_in("us-east-1", CopyScript::default());
    let run = env.imgimport(&format!("{COMMAND} --copy-kms-key eu-west-1=alias/x"));
    let run = run.output().await;
    run.code(1).stdout("");
    let cause = "cause: eu-west-1: ami-ID is in the way of the copy to eu-west-1: an earlier run was asked for it differently";
    assert!(run.stderr.contains(cause), "{}", run.stderr);
    assert_eq!(regions(&env), ["eu-central-1", "eu-west-1", "us-east-1"]);
}

#[tokio::test]
async fn an_unknown_region_is_reported_before_the_upload() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport("aws --bucket importbucket -q --copy-to eu-wets-1 disk.raw");
    run.output().await.code(1).stdout("").stderr(
        "
        error: the AMI can't be copied to eu-wets-1
          cause: there is no such region
          hint: did you mean eu-west-1?
        ",
    );
    assert!(env.cloud.requests("s3:CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_disabled_region_is_reported_before_the_upload() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport("aws --bucket importbucket -q --copy-to ap-east-1 disk.raw");
    run.output().await.code(1).stdout("").stderr(
        "
        error: the AMI can't be copied to ap-east-1
          cause: the region is not enabled for the account
          hint: enable it: aws account enable-region --region-name ap-east-1
        ",
    );
    assert!(env.cloud.requests("s3:CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_name_taken_in_another_region_is_reported_before_the_upload() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud.ec2().register_image("us-east-1", "web");
    env.imgimport(COMMAND)
        .output()
        .await
        .code(1)
        .stdout("")
        .stderr(
            "
        error: the AMI's name \"web\" is taken
          cause: ami-ID in us-east-1 has it
          hint: choose another --ami-name, such as one with {{timestamp}}, or deregister that image
        ",
        );
    assert!(env.cloud.requests("s3:CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn invalid_copy_settings_are_reported_at_once_without_a_request() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(
        "aws --bucket importbucket --copy-to eu-central-1,us-east-1,us-east-1 --copy-kms-key eu-west-1=k --copy-kms-key us-east-1=arn:aws:kms:eu-west-1:1:key/k --public --deprecate-at 3y --ssm-parameter aws/x disk.raw",
    );
    run.output().await.code(2).stdout("").stderr(
        "
        error: 7 settings are missing or wrong
          - eu-central-1 is the import's own region (--copy-to, IMGIMPORT_AWS_COPY_TO or copy_to_regions in [aws])
          - us-east-1 is named twice (--copy-to, IMGIMPORT_AWS_COPY_TO or copy_to_regions in [aws])
          - there is no copy in eu-west-1 for a key: add --copy-to eu-west-1 (--copy-kms-key, IMGIMPORT_AWS_COPY_KMS_KEY or copy_kms_keys in [aws])
          - the key for us-east-1 lies in eu-west-1; a copy takes a key of its own region (--copy-kms-key, IMGIMPORT_AWS_COPY_KMS_KEY or copy_kms_keys in [aws])
          - an encrypted copy can't be public (--copy-kms-key, IMGIMPORT_AWS_COPY_KMS_KEY or copy_kms_keys in [aws])
          - a public AMI is deprecated within 2 years at most (--deprecate-at, IMGIMPORT_AWS_DEPRECATE_AT or deprecate_at in [aws])
          - the name of a parameter with levels begins with /: \"aws/x\" (--ssm-parameter, IMGIMPORT_AWS_SSM_PARAMETER or ssm_parameter in [aws])
        ",
    );
    assert!(env.cloud.requests_so_far().is_empty());
}

#[tokio::test]
async fn a_shared_copy_needs_a_key_that_the_others_may_use() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(
        "aws --bucket importbucket --ami-encrypt --ami-kms-key k --ami-users 111122223333 --copy-to eu-west-1 disk.raw",
    );
    run.output().await.code(2).stderr(
        "error: a copy encrypted with the account's own EBS key can't be shared: add --copy-kms-key eu-west-1=KEY (--copy-kms-key, IMGIMPORT_AWS_COPY_KMS_KEY or copy_kms_keys in [aws])",
    );
}

#[tokio::test]
async fn a_public_ami_is_public_in_every_region() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.imgimport(&format!("{COMMAND} --public"))
        .output()
        .await
        .code(0);
    for image in images(&env).values() {
        assert_eq!(image.launch_permissions, [granted("group", "all")]);
    }
    let snapshots = env.cloud.ec2().snapshots();
    assert!(snapshots.iter().all(|one| one.permissions.is_empty()));
}

#[tokio::test]
async fn an_account_that_blocks_public_amis_is_explained_before_the_upload() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud.ec2().set_block_public_access("us-east-1", true);
    env.imgimport(&format!("{COMMAND} --public")).output().await.code(1).stdout("").stderr(
        "
        error: the AMI can't be public in us-east-1
          cause: the account blocks public access to AMIs in us-east-1
          hint: lift the block, which may take 10 minutes: aws ec2 disable-image-block-public-access --region us-east-1
        ",
    );
    assert!(env.cloud.requests("s3:CreateMultipartUpload").is_empty());
    env.imgimport(COMMAND).output().await.code(0);
}

#[tokio::test]
async fn an_unreadable_public_access_block_is_reported_when_it_applies() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud
        .ec2()
        .set_block_public_access("eu-central-1", true);
    let ask = Fault::on("ec2:GetImageBlockPublicAccessState").always();
    env.cloud
        .fault(ask.answer(403, "UnauthorizedOperation", "no"));
    let run = env.imgimport("aws --bucket importbucket -q --public --output json disk.raw");
    let run = run.output().await;
    run.code(1);
    let hint = r#""hint":"lift the block, which may take 10 minutes: aws ec2 disable-image-block-public-access --region eu-central-1""#;
    assert!(run.stdout.contains(hint), "{}", run.stdout);
    assert!(
        run.stdout
            .contains("block public access is enabled for this account")
    );
}

#[tokio::test]
async fn an_account_that_encrypts_every_snapshot_has_no_public_amis() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud.ec2().set_encryption_by_default(true);
    let run = env.imgimport("aws --bucket importbucket -q --public disk.raw");
    run.output().await.code(1).stdout("").stderr(
        "
        error: the AMI can't be public in eu-central-1
          cause: the account encrypts every new snapshot in eu-central-1, and an encrypted AMI can't be public
          hint: switch that off: aws ec2 disable-ebs-encryption-by-default --region eu-central-1
        ",
    );
    let run = env.imgimport("aws --bucket importbucket -q --public --ami-encrypt disk.raw");
    run.output().await.code(2).stderr(
        "error: an encrypted AMI can't be public (--ami-groups, IMGIMPORT_AWS_AMI_GROUPS or ami_groups in [aws])",
    );
}

#[tokio::test]
async fn snapshots_are_kept_private_on_request() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(&format!(
        "{COMMAND} --ami-users 111122223333 --share-snapshots=false"
    ));
    run.output().await.code(0);
    let shared = [granted("userId", "111122223333")];
    for image in images(&env).values() {
        assert_eq!(image.launch_permissions, shared);
    }
    let snapshots = env.cloud.ec2().snapshots();
    assert!(
        snapshots.iter().all(|one| one.permissions.is_empty()),
        "{snapshots:?}"
    );
}

#[tokio::test]
async fn the_ami_is_deprecated_at_that_moment_in_every_region() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(&format!(
        "{COMMAND} --deprecate-at 2030-01-01T01:02:03+01:00"
    ));
    run.output().await.code(0);
    for image in images(&env).values() {
        assert_eq!(image.deprecated.as_deref(), Some("2030-01-01T00:02:00Z"));
    }
}

#[tokio::test]
async fn the_past_is_no_time_to_deprecate_an_ami() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run =
        env.imgimport("aws --bucket importbucket --deprecate-at 2020-01-01T00:00:00Z disk.raw");
    run.output().await.code(2).stderr(
        "error: 2020-01-01T00:00:00Z has passed: an AMI is deprecated in the future (--deprecate-at, IMGIMPORT_AWS_DEPRECATE_AT or deprecate_at in [aws])",
    );
}

#[tokio::test]
async fn the_id_of_each_region_is_published_there() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud
        .ssm()
        .set("us-east-1", "/my/ami/2026", "ami-0123456789abcdef0");
    let run = env.program([
        "aws",
        "--bucket=importbucket",
        "--copy-to=us-east-1",
        "--ssm-parameter=/my/ami/{{isotime \"2006\"}}",
        "disk.raw",
    ]);
    let run = run.output().await;
    run.code(0).stdout("ami-ID");
    assert!(
        run.stderr
            .ends_with("Published as /my/ami/2026 in eu-central-1 and us-east-1\n"),
        "{}",
        run.stderr
    );
    for (region, image) in images(&env) {
        let parameter = env.cloud.ssm().get(&region, "/my/ami/2026").unwrap();
        assert_eq!(
            (parameter.value, parameter.data_type.as_str()),
            (image.id, "aws:ec2:image")
        );
    }
    assert_eq!(
        env.cloud
            .ssm()
            .get("us-east-1", "/my/ami/2026")
            .unwrap()
            .version,
        2
    );
}

#[tokio::test]
async fn a_parameter_that_cannot_be_written_leaves_the_images_and_is_written_by_the_next_run() {
    let env = TestEnv::new().await;
    env.disk(2);
    let command = format!("{COMMAND} --ssm-parameter /web");
    let denied = "User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: ssm:PutParameter";
    let put = Fault::on("ssm:PutParameter").with("region", "us-east-1");
    env.cloud
        .fault(put.answer(400, "AccessDeniedException", denied));
    let run = env.imgimport(&command).output().await;
    run.code(1).stdout("").stderr(
        "
        error: the parameter /web in us-east-1 can't be written
          cause: User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: ssm:PutParameter (AccessDeniedException, request ID)
          left behind: the parameter /web in eu-west-1; remove it with: aws ssm delete-parameter --name /web --region eu-west-1
          left behind: the parameter /web in eu-central-1; remove it with: aws ssm delete-parameter --name /web --region eu-central-1
          left behind: the copy ami-ID in eu-west-1; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-west-1
          left behind: the copy ami-ID in us-east-1; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region us-east-1
          left behind: the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-central-1
          hint: allow the caller ssm:PutParameter: {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"ssm:PutParameter\",\"Resource\":\"arn:aws:ssm:us-east-1:*:parameter/web\"}]}
        ",
    );
    env.imgimport(&command).output().await.code(0).stderr("");
    for (region, image) in images(&env) {
        assert_eq!(
            env.cloud.ssm().get(&region, "/web").unwrap().value,
            image.id
        );
    }
    assert_eq!(
        env.cloud.requests("ssm:PutParameter").len(),
        4,
        "what is right is not written again"
    );
}

#[tokio::test]
async fn without_resume_a_parameter_is_restored() {
    let env = TestEnv::new().await;
    env.disk(2);
    let before = env.cloud.ec2().register_image("eu-central-1", "before");
    env.cloud.ssm().set("eu-central-1", "/web", &before);
    let put = Fault::on("ssm:PutParameter").with("region", "us-east-1");
    env.cloud
        .fault(put.answer(400, "ParameterLimitExceeded", "too many"));
    let run = env.imgimport(&format!("{COMMAND} --no-resume --ssm-parameter /web"));
    run.output().await.code(1).stdout("").stderr(
        "
        error: the parameter /web in us-east-1 can't be written
          cause: too many (ParameterLimitExceeded, request ID)
        ",
    );
    let puts = env.cloud.requests("ssm:PutParameter");
    assert_eq!(puts.last().unwrap().get("Value"), before);
    assert_eq!(env.cloud.ssm().get("eu-west-1", "/web"), None);
    assert_eq!(regions(&env), ["eu-central-1"], "the image of before alone");
}

#[tokio::test]
async fn the_plan_has_regions_and_parameter() {
    let env = TestEnv::new().await;
    env.disk(2);
    let command = COMMAND.replace("-q ", "--dry-run --ssm-parameter /web ");
    env.imgimport(&command)
        .output()
        .await
        .code(0)
        .stdout("")
        .stderr(
            "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        The caller is arn:aws:iam::123456789012:user/sandbox
        The caller may ec2:ImportImage and ec2:CopyImage
        0 of 20 imports are running in eu-central-1
        Not verified: s3:PutObject, s3:DeleteObject, iam:PassRole and ssm:PutParameter
        Would send 2.0 MiB to s3://importbucket/imgimport-1767225600.raw, in one part
        Would import it into eu-central-1 as the AMI \"web\"
        Would copy it to eu-west-1 and us-east-1
        Would publish its id as /web
        Would remove s3://importbucket/imgimport-1767225600.raw afterwards
        ",
        );
}

#[tokio::test]
async fn the_policy_of_the_readme_is_enough_and_no_more_than_enough() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let policy = readme
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let policy = policy.unwrap();
    let command = format!(
        "{COMMAND} --ami-users 111122223333 --public --deprecate-at 1y --ssm-parameter /web"
    );

    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud.iam().put_user_policy(policy);
    env.imgimport(&command).output().await.code(0).stderr("");

    for action in [
        "ec2:CopyImage",
        "ec2:EnableImageDeprecation",
        "ssm:PutParameter",
    ] {
        let env = TestEnv::new().await;
        env.disk(2);
        let less = policy.replace(&format!("\"{action}\""), "\"ec2:Nothing\"");
        env.cloud.iam().put_user_policy(&less);
        let run = env.imgimport(&command).output().await;
        run.code(1);
        let hint = format!("hint: allow the caller {action}");
        assert!(run.stderr.contains(&hint), "{}", run.stderr);
    }
}

#[tokio::test]
async fn every_wish_is_a_variable_and_a_key_of_the_file_too() {
    let env = TestEnv::new().await;
    env.disk(2);
    let settings = r#"
        image = "disk.raw"

        [aws]
        s3_bucket_name = "importbucket"
        copy_to_regions = ["eu-west-1"]
        ami_users = ["111122223333"]
        share_snapshots = false
        deprecate_at = "2030-01-01T00:00:00Z"
        ssm_parameter = "/file"

        [aws.copy_kms_keys]
        eu-west-1 = "alias/file"
    "#;
    env.file("imgimport.toml", settings);
    env.imgimport("aws -q").output().await.code(0).stderr("");
    let seen = |region: &str| images(&env)[region].clone();
    assert_eq!(
        seen("eu-west-1").deprecated.as_deref(),
        Some("2030-01-01T00:00:00Z")
    );
    let snapshots = env.cloud.ec2().snapshots();
    assert_eq!(snapshots[1].kms_key_id.as_deref(), Some("alias/file"));
    assert!(snapshots[1].permissions.is_empty());
    assert!(env.cloud.ssm().get("eu-west-1", "/file").is_some());

    let env = TestEnv::new().await;
    env.disk(2);
    env.file("imgimport.toml", settings);
    let run = env
        .imgimport("aws -q")
        .env("IMGIMPORT_AWS_COPY_TO", "us-east-1,us-west-2")
        .env(
            "IMGIMPORT_AWS_COPY_KMS_KEY",
            "us-east-1=alias/a,us-west-2=alias/b",
        )
        .env("IMGIMPORT_AWS_SHARE_SNAPSHOTS", "true")
        .env("IMGIMPORT_AWS_DEPRECATE_AT", "2031-01-01T00:00:00Z")
        .env("IMGIMPORT_AWS_SSM_PARAMETER", "/variable");
    run.output().await.code(0).stderr("");
    let images = images(&env);
    assert_eq!(
        images["us-west-2"].deprecated.as_deref(),
        Some("2031-01-01T00:00:00Z")
    );
    let snapshots = env.cloud.ec2().snapshots();
    let keys: Vec<_> = snapshots
        .iter()
        .map(|one| one.kms_key_id.as_deref())
        .collect();
    assert_eq!(keys, [None, Some("alias/a"), Some("alias/b")]);
    assert!(snapshots.iter().all(|one| one.permissions.len() == 1));
    assert!(env.cloud.ssm().get("us-west-2", "/variable").is_some());
    assert!(env.cloud.ssm().get("us-west-2", "/file").is_none());

    let env = TestEnv::new().await;
    env.disk(2);
    env.file(
        "imgimport.toml",
        "[aws]\ns3_bucket_name = \"importbucket\"\npublic = true\n",
    );
    let command = "aws --config imgimport.toml -q disk.raw";
    env.imgimport(command).output().await.code(0);
    let run = env.imgimport(command).env("IMGIMPORT_AWS_PUBLIC", "false");
    run.output().await.code(0);
    let images = env.cloud.ec2().images();
    let public: Vec<_> = images
        .iter()
        .filter(|one| !one.launch_permissions.is_empty())
        .collect();
    assert_eq!((images.len(), public.len()), (2, 1));
}

#[tokio::test]
async fn a_secure_string_parameter_is_reported_before_the_upload_and_kept() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud.ssm().set_secret("us-east-1", "/web");
    let run = env
        .imgimport(&format!(
            "{} --ssm-parameter /web",
            COMMAND.replace("-q", "-vv")
        ))
        .output()
        .await;
    run.code(1).stdout("");
    let end = "error: the parameter /web in us-east-1 can't be written\n  cause: it is a SecureString already, and an AMI's id is a plain String\n  hint: name another --ssm-parameter, or delete that one\n";
    assert!(run.stderr.ends_with(end), "{}", run.stderr);
    assert!(!run.stderr.contains("AQICAHhsecret"), "{}", run.stderr);
    assert!(env.cloud.requests("s3:CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_parameter_update_that_is_silently_dropped_is_detected() {
    let env = TestEnv::new().await;
    env.disk(2);
    let command = "aws --bucket importbucket -q --ssm-parameter /web disk.raw";
    let gate = env.cloud.hold_answer(Fault::on("ssm:PutParameter"));
    let running = env.imgimport(command).start();
    gate.reached().await;
    let image = env.cloud.ec2().images()[0].id.clone();
    env.cloud.ec2().remove_image("eu-central-1", &image);
    gate.release();
    let run = running.output().await;
    run.code(1).stdout("");
    let cause = "cause: Systems Manager took ami-ID, but after its own check the parameter does not hold it";
    assert!(run.stderr.contains(cause), "{}", run.stderr);
}

#[tokio::test]
async fn a_rerun_after_no_wait_makes_the_copies() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(&format!("{} --no-wait", COMMAND.replace("-q ", "")));
    let run = run.output().await;
    run.code(0).stdout("import-ami-TASK");
    let note = "  the same command, without --no-wait, goes on with the copies and the parameter\n";
    assert!(run.stderr.ends_with(note), "{}", run.stderr);
    env.imgimport(COMMAND)
        .output()
        .await
        .code(0)
        .stdout("ami-ID")
        .stderr("");
    assert_eq!(regions(&env), ["eu-central-1", "eu-west-1", "us-east-1"]);
}

#[tokio::test]
async fn an_ami_that_was_registered_from_a_snapshot_is_copied_like_any_other() {
    let env = TestEnv::new().await;
    env.disk(2);
    let failing = CopyScript::default().fail("no");
    env.cloud.ec2().copy_script_in("us-east-1", failing);
    let command = format!("{COMMAND} --method import-snapshot --deprecate-at 2030-01-01T00:00:00Z");
    let run = env.imgimport(&command).output().await;
    run.code(1).stdout("").stderr(
        "
        error: ami-ID could not be copied to us-east-1
          cause: us-east-1: ami-ID is failed: no
          left behind: the copy ami-ID in eu-west-1; remove it with: aws ec2 deregister-image --image-id ami-ID --delete-associated-snapshots --region eu-west-1
          left behind: the image ami-ID; remove it with: aws ec2 deregister-image --image-id ami-ID --region eu-central-1
          left behind: the snapshot snap-ID; remove it with: aws ec2 delete-snapshot --snapshot-id snap-ID --region eu-central-1
          hint: the same command goes on from there
        ",
    );
    env.cloud
        .ec2()
        .copy_script_in("us-east-1", CopyScript::default());
    env.imgimport(&command).output().await.code(0).stderr("");
    assert_eq!(regions(&env), ["eu-central-1", "eu-west-1", "us-east-1"]);
    for image in images(&env).values() {
        assert_eq!(image.name, "web");
        assert_eq!(image.deprecated.as_deref(), Some("2030-01-01T00:00:00Z"));
    }
    assert_eq!(env.cloud.requests("ec2:ImportSnapshot").len(), 1);
    assert_eq!(env.cloud.requests("ec2:RegisterImage").len(), 1);
}

#[tokio::test]
async fn an_ami_that_was_written_without_a_bucket_is_copied_and_published_like_any_other() {
    let stage = TestEnv::new().await;
    stage.disk(2);
    let run = stage.imgimport(
        "aws --method ebs-direct -q --ami-name web --tag team=a --copy-to eu-west-1 --ssm-parameter /web disk.raw",
    );
    run.output().await.code(0).stdout("ami-ID").stderr("");
    for (region, image) in images(&stage) {
        assert_eq!(
            (image.name.as_str(), image.tags["team"].as_str()),
            ("web", "a")
        );
        let parameter = stage.cloud.ssm().get(&region, "/web").unwrap();
        assert_eq!(parameter.value, image.id);
    }
    assert_eq!(regions(&stage), ["eu-central-1", "eu-west-1"]);
}
