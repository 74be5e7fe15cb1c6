//! What goes wrong, and what a person is told.

use std::fs;

use imgimport_sandbox::{Fault, ImportScript};

use crate::support::TestEnv;

#[tokio::test]
async fn a_missing_bucket_is_reported_before_the_upload() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.imgimport("aws --bucket nobucket -q disk.raw")
        .output()
        .await
        .code(1)
        .stdout("")
        .stderr(
            "
        error: the bucket nobucket can't be used
          cause: there is no such bucket
          hint: create it: aws s3 mb s3://nobucket --region eu-central-1
        ",
        );
}

#[tokio::test]
async fn a_bucket_in_another_region_is_reported_before_the_upload() {
    let env = TestEnv::new().await;
    env.cloud.s3().create_bucket("far-away", "us-west-2");
    env.disk(2);
    env.imgimport("aws --bucket far-away -q disk.raw").output().await.code(1).stdout("").stderr(
        "
        error: the bucket far-away can't be used
          cause: it lies in us-west-2, the import in eu-central-1; EC2 reads only from the region's own buckets
          hint: name a bucket in eu-central-1, or import into us-west-2 with --region us-west-2
        ",
    );
}

#[tokio::test]
async fn a_taken_name_is_reported_before_the_upload() {
    let env = TestEnv::new().await;
    env.cloud.ec2().register_image("eu-central-1", "web");
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket --ami-name web -q disk.raw")
        .output()
        .await;
    run.code(1).stdout("").stderr(
        "
        error: the AMI's name \"web\" is taken
          cause: ami-ID in eu-central-1 has it
          hint: choose another --ami-name, such as one with {{timestamp}}, or deregister that image
        ",
    );
    assert!(env.cloud.requests("s3:CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_wrong_secret_is_reported_with_awss_message() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport("aws --bucket importbucket -q disk.raw");
    let run = run
        .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIwrong")
        .output()
        .await;
    run.code(1).stdout("").stderr(
        "
        error: AWS does not accept the caller
          cause: The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details (SignatureDoesNotMatch, request ID)
          hint: check the access key and the secret key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the profile
        ",
    );
}

#[tokio::test]
async fn missing_credentials_are_reported_with_the_variables() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport("aws --bucket importbucket -q disk.raw");
    let run = run
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .output()
        .await;
    run.code(1).stdout("").stderr(
        "
        error: AWS does not accept the caller
          cause: no credentials were found
          hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile
        ",
    );
}

#[tokio::test]
async fn a_missing_role_is_reported_with_the_commands() {
    let env = TestEnv::new().await;
    env.cloud.iam().remove_role("vmimport");
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(1).stdout("");
    assert!(
        run.stderr
            .starts_with("error: the service role vmimport does not exist\n  hint: create it with --create-role, or with:\n")
    );
    assert!(
        run.stderr
            .contains("aws iam create-role --role-name vmimport --assume-role-policy-document '{")
    );
    assert!(
        run.stderr.contains("arn:aws:s3:::importbucket/*"),
        "{}",
        run.stderr
    );
    assert!(env.cloud.requests("s3:CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_role_without_trust_is_reported_before_the_upload() {
    let env = TestEnv::new().await;
    env.cloud
        .iam()
        .put_role("vmimport", r#"{"Statement":[]}"#, r#"{"Statement":[]}"#);
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(1);
    assert!(run.stderr.starts_with(
        "error: the service role vmimport can't be used\n  cause: its trust policy does not let vmie.amazonaws.com assume it; its policies do not allow s3:GetBucketLocation, "
    ));
}

#[tokio::test]
async fn a_denied_get_role_does_not_stop_the_import() {
    let env = TestEnv::new().await;
    env.cloud.fault(
        Fault::on("iam:GetRole")
            .always()
            .answer(403, "AccessDenied", "not you"),
    );
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(0).stdout("ami-ID").stderr("");
}

#[tokio::test]
async fn a_failed_import_is_reported_with_awss_message_and_keeps_the_object() {
    let env = TestEnv::new().await;
    let reason = "ClientError: Disk validation failed [No valid partitions. Not a valid volume.]";
    env.cloud.import_script(ImportScript::quick().fail(reason));
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(1).stdout("").stderr(
        "
        error: the import import-ami-TASK failed
          cause: ClientError: Disk validation failed [No valid partitions. Not a valid volume.]
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: give a disk with a partition table and a root that is not encrypted; --method import-snapshot takes any
        ",
    );
    env.cloud.import_script(ImportScript::quick());
    let run = env
        .imgimport("aws --bucket importbucket disk.raw")
        .output()
        .await;
    run.code(0).stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, bucket importbucket and role vmimport in eu-central-1
        s3://importbucket/imgimport-1767225600.raw is there from an earlier run
        Importing as import-ami-TASK
           2 % pending
        Imported as ami-ID
        ",
    );
    assert_eq!(
        env.cloud.requests("s3:UploadPart").len(),
        1,
        "nothing travelled twice"
    );
}

#[tokio::test]
async fn a_failure_is_printed_as_json_on_stdout() {
    let env = TestEnv::new().await;
    env.cloud
        .import_script(ImportScript::quick().fail("ServerError: an internal error"));
    env.disk(2);
    let run = env.imgimport("aws --bucket importbucket --output json --no-resume -q disk.raw");
    run.output().await.code(1).stdout(
        r#"{"error":{"cause":"ServerError: an internal error","hint":"run the same command again: what was sent is still there","kind":"failed","left_behind":[],"message":"the import import-ami-TASK failed"},"schema":1}"#,
    );
    assert!(
        env.cloud.s3().objects().is_empty(),
        "--no-resume leaves nothing"
    );
}

#[tokio::test]
async fn a_passed_deadline_keeps_the_task_and_its_object() {
    let env = TestEnv::new().await;
    let gate = imgimport_sandbox::Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket --timeout 300ms -q disk.raw")
        .output()
        .await;
    run.code(4).stdout("").stderr(
        "
        error: the deadline passed while the cloud is still working
          left behind: the import task import-ami-TASK; remove it with: aws ec2 cancel-import-task --import-task-id import-ami-TASK --region eu-central-1
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: the same command goes on from there
        ",
    );
    assert_eq!(env.cloud.ec2().import_tasks()[0].status, "active");
    assert_eq!(env.cloud.s3().objects().len(), 1);
}

#[tokio::test]
async fn an_object_that_cannot_be_deleted_is_a_warning_since_the_image_exists() {
    let env = TestEnv::new().await;
    env.cloud
        .fault(
            Fault::on("s3:DeleteObject")
                .always()
                .answer(403, "AccessDenied", "Access Denied"),
        );
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(0).stdout("ami-ID").stderr(
        "
        warning: s3://importbucket/imgimport-1767225600.raw could not be deleted: Access Denied (AccessDenied, request ID); next time, allow the caller s3:DeleteObject: {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:DeleteObject\",\"Resource\":\"arn:aws:s3:::importbucket/imgimport-1767225600.raw\"}]}; delete it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw
        ",
    );
}

#[tokio::test]
async fn a_part_that_fails_twice_is_sent_a_third_time() {
    let env = TestEnv::new().await;
    env.cloud.fault(Fault::on("s3:UploadPart").times(2).answer(
        503,
        "SlowDown",
        "Please reduce your request rate.",
    ));
    let disk = env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(0);
    assert_eq!(env.cloud.requests("s3:UploadPart").len(), 3);
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_part_is_no_end() {
    let env = TestEnv::new().await;
    env.cloud.fault(
        Fault::on("s3:UploadPart")
            .with("partNumber", "2")
            .cut_after(100_000),
    );
    let disk = env.disk(12);
    let run = env
        .imgimport("aws --bucket importbucket --part-size 5MiB -q disk.raw")
        .output()
        .await;
    run.code(0);
    assert_eq!(
        env.cloud.requests("s3:UploadPart").len(),
        4,
        "three parts, one of them twice"
    );
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn a_refused_part_ends_the_upload_at_once() {
    let env = TestEnv::new().await;
    env.cloud.fault(Fault::on("s3:UploadPart").always().answer(
        403,
        "AccessDenied",
        "Access Denied",
    ));
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(1).stdout("").stderr(
        "
        error: part 1 of 1 could not be sent
          cause: Access Denied (AccessDenied, request ID)
          hint: allow the caller s3:PutObject and s3:ListMultipartUploadParts: {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:PutObject\",\"s3:ListMultipartUploadParts\"],\"Resource\":\"arn:aws:s3:::importbucket/imgimport-1767225600.raw\"}]}
        ",
    );
    assert_eq!(
        env.cloud.requests("s3:UploadPart").len(),
        1,
        "403 is never tried again"
    );
    assert!(
        env.cloud.s3().uploads().is_empty(),
        "an upload without parts is of no use"
    );
}

#[tokio::test]
async fn a_complete_that_answers_200_with_an_error_inside_is_not_believed() {
    let env = TestEnv::new().await;
    let fault = Fault::on("s3:CompleteMultipartUpload");
    env.cloud.fault(fault.error_inside_200(
        "InternalError",
        "We encountered an internal error. Please try again.",
    ));
    let disk = env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(0);
    assert_eq!(env.cloud.requests("s3:CompleteMultipartUpload").len(), 2);
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
}

/// Nothing leaves this machine: the proxy, which is nobody, lies on it.
#[tokio::test]
async fn an_unreachable_proxy_is_reported_with_its_variable() {
    let env = TestEnv::new().await;
    env.disk(2);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut run = env.imgimport("aws --bucket importbucket --max-retries 0 -q disk.raw");
    for service in ["S3", "EC2", "EBS", "IAM", "SERVICE_QUOTAS", "SSM", "STS"] {
        run = run.without(&format!("AWS_ENDPOINT_URL_{service}"));
    }
    let run = run.env("HTTPS_PROXY", &proxy).output().await;
    run.code(1).stdout("").stderr(
        "
        error: the bucket importbucket can't be used
          cause: the proxy that HTTPS_PROXY names can't be reached: Connection refused (os error 111)
          hint: correct the proxy's address, or name the hosts that need none in NO_PROXY
        ",
    );
}

#[tokio::test]
async fn a_local_endpoint_bypasses_the_proxy() {
    let env = TestEnv::new().await;
    env.disk(2);
    let nobody = "http://127.0.0.1:9";
    let run = env.imgimport("aws --bucket importbucket -q disk.raw");
    let run = run.env("HTTP_PROXY", nobody).env("ALL_PROXY", nobody);
    run.output().await.code(0).stdout("ami-ID").stderr("");
}

#[tokio::test]
async fn an_unreachable_network_is_reported_with_a_hint() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport("aws --bucket importbucket --max-retries 0 -q disk.raw");
    let run = run
        .env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        .output()
        .await;
    run.code(1).stdout("").stderr(
        "
        error: the bucket importbucket can't be used
          cause: Connection refused (os error 111)
          hint: check the network, the region's name and the endpoint
        ",
    );
}

#[tokio::test]
async fn no_secret_is_ever_printed() {
    let env = TestEnv::new().await;
    env.disk(2);
    let secret = env.cloud.key().secret_key.clone();
    for command in [
        "aws --bucket importbucket -vv disk.raw",
        "aws --bucket nobucket -vv disk.raw",
    ] {
        let run = env
            .imgimport(command)
            .env("AWS_SESSION_TOKEN", "TokenThatIsSecret")
            .output()
            .await;
        for word in [
            secret.as_str(),
            "TokenThatIsSecret",
            "Signature=",
            "authorization",
        ] {
            assert!(
                !run.stderr.contains(word) && !run.stdout.contains(word),
                "{word} in:\n{}",
                run.stderr
            );
        }
    }
}

#[tokio::test]
async fn an_unwritable_journal_is_reported_once() {
    let env = TestEnv::new().await;
    env.disk(2);
    let gate = env.cloud.hold(Fault::on("ec2:ImportImage"));
    let running = env.imgimport("aws --bucket importbucket --ami-name web-1 -q disk.raw");
    let running = running.start();
    gate.reached().await;
    fs::remove_dir_all(env.path("state")).unwrap();
    gate.release();
    running
        .output()
        .await
        .code(0)
        .stdout("ami-ID")
        .stderr("warning: the journal can't be written: No such file or directory (os error 2)");
}

#[tokio::test]
async fn a_denied_assume_role_is_reported_with_the_permission() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport(
        "aws --bucket importbucket --assume-role-arn arn:aws:iam::123456789012:role/nobodys -q disk.raw",
    );
    run.output().await.code(1).stdout("").stderr(
        "
        error: AWS does not accept the caller
          cause: the role was not assumed: User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/nobodys (AccessDenied, request ID)
          hint: name the caller in the role's trust policy, and allow the caller sts:AssumeRole: {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Resource\":\"arn:aws:iam::123456789012:role/nobodys\"}]}
        ",
    );
}

#[tokio::test]
async fn an_empty_error_response_is_reported_with_its_status() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.cloud
        .fault(Fault::on("ec2:DescribeImages").answer_bare(407));
    let run = env.imgimport("aws --bucket importbucket --ami-name web -q disk.raw");
    run.output().await.code(1).stdout("").stderr(
        "
        error: the AMI's name can't be looked up
          cause: AWS answered with HTTP status 407 and gave no reason
        ",
    );
}

#[tokio::test]
async fn a_dry_run_finds_the_permission_that_is_missing() {
    let env = TestEnv::new().await;
    env.disk(2);
    let text = "You are not authorized to perform this operation";
    let fault = Fault::on("ec2:CopyImage");
    env.cloud
        .fault(fault.answer(403, "UnauthorizedOperation", text));
    let run = env.imgimport("aws --bucket importbucket --ami-name web --dry-run -q disk.raw");
    run.output().await.code(1).stdout("").stderr(
        r#"
        error: ec2:CopyImage would be refused
          cause: You are not authorized to perform this operation (UnauthorizedOperation, request ID)
          hint: allow the caller ec2:CopyImage: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:CopyImage","Resource":"*"}]}
        "#,
    );
    assert!(env.cloud.ec2().import_tasks().is_empty());
}
