//! Whose the bucket is: every request on it names the account that must own it.

use imgimport_sandbox::Fault;

use crate::support::TestEnv;

const THEIRS: &str = "999999999999";

/// A bucket of another account that lets the caller in.
async fn stage() -> TestEnv {
    let stage = TestEnv::new().await;
    stage.disk(2);
    let region = imgimport_sandbox::REGION;
    stage
        .cloud
        .s3()
        .create_shared_bucket("shared", region, THEIRS);
    stage.cloud.iam().put_import_role("vmimport", "shared");
    stage
}

#[tokio::test]
async fn a_bucket_that_somebody_else_made_under_the_name_gets_no_image() {
    let stage = stage().await;
    let run = stage.imgimport("aws --bucket shared -q disk.raw");
    run.output().await.code(1).stdout("").stderr(
        "
        error: the bucket shared can't be used
          cause: it is not owned by the caller's account 123456789012
          hint: if it is the right bucket, name the account that owns it: --bucket-owner ACCOUNT
        ",
    );
    assert!(stage.cloud.requests("s3:CreateMultipartUpload").is_empty());
    let run = stage.imgimport("aws --bucket shared --bucket-owner 111111111111 -q disk.raw");
    run.output().await.code(1).stdout("").stderr(
        "
        error: the bucket shared can't be used
          cause: it is not owned by the account 111111111111
          hint: correct --bucket-owner, or leave it out where the bucket is the caller's own
        ",
    );
}

#[tokio::test]
async fn a_bucket_of_another_account_is_used_once_its_owner_is_named() {
    let stage = stage().await;
    let run = stage.imgimport("aws --bucket shared --bucket-owner 999999999999 -q disk.raw");
    run.output().await.code(0).stdout("ami-ID").stderr("");
    assert!(stage.cloud.s3().objects().is_empty());
}

#[tokio::test]
async fn every_request_on_the_bucket_names_its_owner() {
    let stage = stage().await;
    for (bucket, options, owner) in [
        ("importbucket", "", "123456789012"),
        ("shared", "--bucket-owner 999999999999", THEIRS),
    ] {
        stage.cloud.iam().put_import_role("vmimport", bucket);
        let gate = stage.cloud.hold(Fault::on("ec2:ImportImage"));
        let command = format!("aws --bucket {bucket} {options} -q disk.raw");
        let running = stage.imgimport(&command).start();
        gate.reached().await;
        // Between two requests the bucket becomes somebody else's.
        stage.cloud.s3().give_bucket(bucket, "111111111111");
        gate.release();
        let ended = running.output().await;
        ended.code(0);
        let refused = "could not be deleted: Access Denied (AccessDenied, request ID)";
        assert!(ended.stderr.contains(refused), "{}", ended.stderr);
        stage.cloud.s3().give_bucket(bucket, owner);
    }
}

#[tokio::test]
async fn the_owner_is_known_to_who_has_only_the_journal() {
    let stage = stage().await;
    stage
        .cloud
        .iam()
        .put_import_role("vmimport", "importbucket");
    let gate = stage.cloud.hold(Fault::on("s3:CompleteMultipartUpload"));
    let running = stage
        .imgimport("aws --bucket importbucket -q disk.raw")
        .start();
    gate.reached().await;
    running.kill().await;
    stage.cloud.clear_faults();
    stage.cloud.s3().give_bucket("importbucket", "111111111111");
    let ended = stage.imgimport("jobs --clean").output().await;
    assert_ne!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(stage.cloud.s3().uploads().len(), 1);
    stage.cloud.s3().give_bucket("importbucket", "123456789012");
    stage.imgimport("jobs --clean").output().await.code(0);
    assert!(stage.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn an_owner_that_is_no_account_is_refused() {
    let stage = stage().await;
    let run = stage.imgimport("aws --bucket shared --bucket-owner me -q disk.raw");
    run.output().await.code(2).stdout("").stderr(
        r#"error: "me" is not an account: an account has 12 digits (--bucket-owner, IMGIMPORT_AWS_BUCKET_OWNER or bucket_owner in [aws])"#,
    );
}
