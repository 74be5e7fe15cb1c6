//! Clouds that know only what an import needs: gateways, local clouds, networks with a few
//! services. A question that nobody can answer stops no import; a clear no does.

use imgimport_sandbox::alibaba::{self, REGION};
use imgimport_sandbox::{CustomImageScript, Fault, SPACES_REGION};

use crate::support::TestEnv;

const DROPLET: &str = "digitalocean --space import-bucket --spaces-region nyc3 --image-name web --image-region nyc3 --compression none -q disk.raw";

/// Nobody knows these questions, whichever way that is said.
fn block_endpoints(env: &TestEnv, operations: &[&str]) {
    for operation in operations {
        let (status, code) = match operation.len() % 3 {
            0 => (404, ""),
            1 => (501, "NotImplemented"),
            _ => (405, ""),
        };
        let fault = Fault::on(operation).always();
        env.cloud.fault(fault.answer(status, code, ""));
    }
}

#[tokio::test]
async fn an_unsupported_sts_and_iam_do_not_stop_an_aws_import() {
    let refusals = [
        (404, ""),
        (403, ""),
        (403, "AccessDenied"),
        (400, "InvalidAction"),
        (501, "NotImplemented"),
    ];
    for (status, code) in refusals {
        let env = TestEnv::new().await;
        let disk = env.disk(2);
        for operation in ["sts:*", "iam:*"] {
            let fault = Fault::on(operation).always();
            env.cloud.fault(fault.answer(status, code, ""));
        }
        let run = env
            .imgimport("aws --bucket importbucket --max-retries 0 disk.raw")
            .output()
            .await;
        run.code(0).stdout("ami-ID");
        let told = "\n  AWS did not say who the caller is: ";
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    }
}

#[tokio::test]
async fn a_local_ec2_needs_no_sts_and_no_iam_beside_it() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env
        .imgimport("aws --bucket importbucket disk.raw")
        .without("AWS_ENDPOINT_URL_STS")
        .without("AWS_ENDPOINT_URL_IAM")
        .output()
        .await;
    run.code(0).stdout("ami-ID");
    assert!(!run.stderr.contains("did not say"), "{}", run.stderr);
    assert!(env.cloud.requests("sts:GetCallerIdentity").is_empty());
}

#[tokio::test]
async fn an_unreadable_bucket_fails_at_the_upload() {
    let env = TestEnv::new().await;
    env.disk(2);
    block_endpoints(&env, &["s3:HeadBucket"]);
    let run = env.imgimport("aws --bucket importbucket -q disk.raw");
    run.output().await.code(0).stdout("ami-ID").stderr("");
}

/// Who does not know DryRun would start the import that it is asked about.
#[tokio::test]
async fn an_ec2_without_dry_run_gets_no_dry_run_requests() {
    let env = TestEnv::new().await;
    env.disk(2);
    block_endpoints(&env, &["ec2:DescribeImages"]);
    let run = env.imgimport("aws --bucket importbucket --dry-run disk.raw");
    let run = run.output().await;
    run.code(0).stdout("");
    let told = "Not verified: quotas and what the caller may, for this EC2 knows no DryRun\n";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert!(env.cloud.requests("ec2:ImportImage").is_empty());
}

#[tokio::test]
async fn an_alibaba_with_only_the_import_is_enough() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    env.cloud.oss().create_bucket("packer", REGION);
    env.cloud.ram().put_import_role();
    env.cloud.ram().set_delay(0);
    let quick = alibaba::ImportScript::quick();
    env.cloud.ecs().import_script(quick);
    block_endpoints(
        &env,
        &[
            "oss:GetBucketInfo",
            "oss:GetBucketLocation",
            "ram:GetRole",
            "ecs:DescribeTaskAttribute",
        ],
    );
    let run = env
        .alicloud("alicloud --bucket packer --region cn-beijing --image-name web -q disk.raw")
        .output()
        .await;
    run.code(0).stdout("m-ID").stderr("");
    assert_eq!(env.cloud.ecs().imported_bytes(&run.stdout_raw), Some(disk));
}

async fn digitalocean() -> TestEnv {
    let env = TestEnv::new().await;
    let cloud = &env.cloud;
    let (spaces, images) = (cloud.spaces(), cloud.digitalocean());
    spaces.create_bucket_with_acls("import-bucket", SPACES_REGION);
    images.import_script(CustomImageScript::quick());
    env
}

#[tokio::test]
async fn a_digitalocean_with_only_the_import_is_enough() {
    let env = digitalocean().await;
    env.disk(2);
    block_endpoints(
        &env,
        &[
            "do:GetAccount",
            "do:ListRegions",
            "do:ListImages",
            "s3:HeadBucket",
        ],
    );
    let run = env.imgimport(DROPLET);
    let variables = env.cloud.digitalocean_environment();
    let run = variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value));
    let run = run.output().await;
    run.code(0).stdout("157000001");
    let told = "warning: the regions could not be asked for, so they are not checked: ";
    assert!(run.stderr.starts_with(told), "{}", run.stderr);
    assert!(env.cloud.spaces().objects().is_empty());
}

#[tokio::test]
async fn a_busy_digitalocean_without_a_new_image_is_retried() {
    let env = digitalocean().await;
    env.disk(2);
    let busy = Fault::on("do:CreateImage").answer(503, "service_unavailable", "busy");
    env.cloud.fault(busy);
    let command = DROPLET.replace(
        "-q",
        "-q --http-retry-wait-min 0.01 --http-retry-wait-max 0.02",
    );
    let run = env.imgimport(&command);
    let variables = env.cloud.digitalocean_environment();
    let run = variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value));
    run.output().await.code(0).stdout("157000001").stderr("");
    assert_eq!(env.cloud.requests("do:CreateImage").len(), 2);
    assert_eq!(env.cloud.digitalocean().images().len(), 1);
}

#[tokio::test]
async fn ebs_direct_works_without_the_default_encryption_read() {
    let env = TestEnv::new().await;
    env.disk(2);
    block_endpoints(&env, &["ec2:GetEbsEncryptionByDefault"]);
    let run = env.imgimport("aws --method ebs-direct --ami-name web -q disk.raw");
    run.output().await.code(0).stdout("ami-ID");
}
