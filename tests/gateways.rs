//! Clouds that know only what an import needs: gateways, local clouds, networks with a few
//! services. A question that nobody can answer stops no import; a clear no does.

use imgimport_sandbox::alibaba::{self, REGION};
use imgimport_sandbox::{CustomImageScript, Fault, SPACES_REGION};

use crate::support::Stage;

const DROPLET: &str = "digitalocean --space import-bucket --spaces-region nyc3 --image-name web --image-region nyc3 --compression none -q disk.raw";

/// Nobody knows these questions, whichever way that is said.
fn deaf(stage: &Stage, operations: &[&str]) {
    for operation in operations {
        let (status, code) = match operation.len() % 3 {
            0 => (404, ""),
            1 => (501, "NotImplemented"),
            _ => (405, ""),
        };
        let fault = Fault::on(operation).always();
        stage.cloud.fault(fault.answer(status, code, ""));
    }
}

#[tokio::test]
async fn an_sts_and_an_iam_that_know_nothing_stop_no_import_to_aws() {
    let refusals = [
        (404, ""),
        (403, ""),
        (403, "AccessDenied"),
        (400, "InvalidAction"),
        (501, "NotImplemented"),
    ];
    for (status, code) in refusals {
        let stage = Stage::new().await;
        let disk = stage.disk(2);
        for operation in ["sts:*", "iam:*"] {
            let fault = Fault::on(operation).always();
            stage.cloud.fault(fault.answer(status, code, ""));
        }
        let run = stage
            .imgimport("aws --bucket importbucket --max-retries 0 disk.raw")
            .ends()
            .await;
        run.exits(0).prints("ami-ID");
        let told = "\n  AWS did not say who the caller is: ";
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    }
}

#[tokio::test]
async fn a_local_ec2_needs_no_sts_and_no_iam_beside_it() {
    let stage = Stage::new().await;
    stage.disk(2);
    let run = stage
        .imgimport("aws --bucket importbucket disk.raw")
        .without("AWS_ENDPOINT_URL_STS")
        .without("AWS_ENDPOINT_URL_IAM")
        .ends()
        .await;
    run.exits(0).prints("ami-ID");
    assert!(!run.stderr.contains("did not say"), "{}", run.stderr);
    assert!(stage.cloud.requests("sts:GetCallerIdentity").is_empty());
}

#[tokio::test]
async fn a_bucket_that_cannot_be_asked_about_shows_itself_in_the_upload() {
    let stage = Stage::new().await;
    stage.disk(2);
    deaf(&stage, &["s3:HeadBucket"]);
    let run = stage.imgimport("aws --bucket importbucket -q disk.raw");
    run.ends().await.exits(0).prints("ami-ID").says("");
}

/// Who does not know DryRun would start the import that it is asked about.
#[tokio::test]
async fn a_dry_run_asks_nothing_of_an_ec2_without_dry_run() {
    let stage = Stage::new().await;
    stage.disk(2);
    deaf(&stage, &["ec2:DescribeImages"]);
    let run = stage.imgimport("aws --bucket importbucket --dry-run disk.raw");
    let run = run.ends().await;
    run.exits(0).prints("");
    let told = "Not verified: quotas and what the caller may, for this EC2 knows no DryRun\n";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert!(stage.cloud.requests("ec2:ImportImage").is_empty());
}

#[tokio::test]
async fn an_alibaba_that_knows_only_the_import_is_enough() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    stage.cloud.oss().create_bucket("packer", REGION);
    stage.cloud.ram().put_import_role();
    stage.cloud.ram().set_delay(0);
    let quick = alibaba::ImportScript::quick();
    stage.cloud.ecs().import_script(quick);
    deaf(
        &stage,
        &[
            "oss:GetBucketInfo",
            "oss:GetBucketLocation",
            "ram:GetRole",
            "ecs:DescribeTaskAttribute",
        ],
    );
    let run = stage
        .alicloud("alicloud --bucket packer --region cn-beijing --image-name web -q disk.raw")
        .ends()
        .await;
    run.exits(0).prints("m-ID").says("");
    assert_eq!(stage.cloud.ecs().arrived(&run.raw), Some(disk));
}

async fn digitalocean() -> Stage {
    let stage = Stage::new().await;
    let cloud = &stage.cloud;
    let (spaces, images) = (cloud.spaces(), cloud.digitalocean());
    spaces.create_bucket_with_acls("import-bucket", SPACES_REGION);
    images.import_script(CustomImageScript::quick());
    stage
}

#[tokio::test]
async fn a_digitalocean_that_knows_only_the_import_is_enough() {
    let stage = digitalocean().await;
    stage.disk(2);
    deaf(
        &stage,
        &[
            "do:GetAccount",
            "do:ListRegions",
            "do:ListImages",
            "s3:HeadBucket",
        ],
    );
    let run = stage.imgimport(DROPLET);
    let variables = stage.cloud.digitalocean_environment();
    let run = variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value));
    let run = run.ends().await;
    run.exits(0).prints("157000001");
    let told = "warning: the regions could not be asked for, so they are not checked: ";
    assert!(run.stderr.starts_with(told), "{}", run.stderr);
    assert!(stage.cloud.spaces().objects().is_empty());
}

#[tokio::test]
async fn a_busy_digitalocean_that_made_nothing_is_asked_again() {
    let stage = digitalocean().await;
    stage.disk(2);
    let busy = Fault::on("do:CreateImage").answer(503, "service_unavailable", "busy");
    stage.cloud.fault(busy);
    let command = DROPLET.replace(
        "-q",
        "-q --http-retry-wait-min 0.01 --http-retry-wait-max 0.02",
    );
    let run = stage.imgimport(&command);
    let variables = stage.cloud.digitalocean_environment();
    let run = variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value));
    run.ends().await.exits(0).prints("157000001").says("");
    assert_eq!(stage.cloud.requests("do:CreateImage").len(), 2);
    assert_eq!(stage.cloud.digitalocean().images().len(), 1);
}

#[tokio::test]
async fn where_nobody_says_whether_snapshots_are_encrypted_the_road_by_blocks_goes_on() {
    let stage = Stage::new().await;
    stage.disk(2);
    deaf(&stage, &["ec2:GetEbsEncryptionByDefault"]);
    let run = stage.imgimport("aws --method ebs-direct --ami-name web -q disk.raw");
    run.ends().await.exits(0).prints("ami-ID");
}
