//! What a dry run finds out, and the plan that programs read.

use imgimport_sandbox::{CustomImageScript, Fault, Gate, ImportScript};
use serde_json::{Value, json};

use crate::support::{Cmd, TestEnv};

const AWS: &str = "aws --bucket importbucket --dry-run --output json -q disk.raw";

async fn stage() -> TestEnv {
    let env = TestEnv::new().await;
    env.disk(2);
    env
}

/// The plan in the object on standard output, which is otherwise that of a run that made nothing.
async fn plan(run: Cmd<'_>) -> Value {
    let ended = run.output().await;
    ended.code(0).stderr("");
    let mut object: Value = serde_json::from_str(&ended.stdout.replace("SECONDS", "0")).unwrap();
    let plan = object.as_object_mut().unwrap().remove("plan").unwrap();
    for made in [
        "image_id",
        "task_id",
        "object",
        "snapshot_ids",
        "uploaded_bytes",
    ] {
        assert_eq!(object[made], Value::Null, "{made}");
    }
    assert_eq!(object["images"], json!([]));
    plan
}

/// Somebody else's import, which goes on until the gate is released.
async fn an_import_is_running(env: &TestEnv) -> Gate {
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    let run = env.imgimport("aws --bucket importbucket --no-wait -q disk.raw");
    run.output().await.code(0).stderr("");
    gate
}

#[tokio::test]
async fn a_program_reads_the_plan_of_an_import_to_aws() {
    let env = stage().await;
    let command = format!("{AWS} --ami-name web --copy-to eu-west-1 --tag team=web");
    assert_eq!(
        plan(env.imgimport(&command)).await,
        json!({
            "caller": "arn:aws:iam::123456789012:user/sandbox",
            "method": "import-image",
            "allowed": ["ec2:ImportImage", "ec2:CopyImage", "ec2:CreateTags"],
            "quotas": [{"name": "imports are running in eu-central-1", "used": 0, "limit": 20}],
            "not_verified": ["s3:PutObject", "s3:DeleteObject", "iam:PassRole"],
            "upload": {
                "url": "s3://importbucket/imgimport-1767225600.raw", "bytes": 2_097_152,
                "gzip": false, "parts": 1, "part_size": 8_388_608, "concurrency": 8,
            },
            "steps": [
                "send 2.0 MiB to s3://importbucket/imgimport-1767225600.raw, in one part",
                "import it into eu-central-1 as the AMI \"web\"",
                "copy it to eu-west-1",
                "tag it and its snapshots with team=web",
                "remove s3://importbucket/imgimport-1767225600.raw afterwards",
            ],
        })
    );
}

#[tokio::test]
async fn running_imports_are_compared_with_the_quota() {
    let env = stage().await;
    let gate = an_import_is_running(&env).await;
    env.cloud.quotas().set_imports(35);
    let plan = plan(env.imgimport(&format!("{AWS} --key other.raw"))).await;
    let quota = json!({"name": "imports are running in eu-central-1", "used": 1, "limit": 35});
    assert_eq!(plan["quotas"], json!([quota]));
    gate.release();
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_a_warning() {
    let env = stage().await;
    let gate = an_import_is_running(&env).await;
    env.cloud.quotas().set_imports(1);
    let run = env.imgimport("aws --bucket importbucket --key other.raw --dry-run -q disk.raw");
    run.output().await.code(0).stdout("").stderr(
        "
        warning: 1 of 1 imports are running in eu-central-1: this one would be refused until one of them has ended
        ",
    );
    gate.release();
}

#[tokio::test]
async fn a_denied_quota_read_is_reported_as_not_verified() {
    for call in [
        "servicequotas:GetServiceQuota",
        "ec2:DescribeImportSnapshotTasks",
    ] {
        let env = stage().await;
        let fault = Fault::on(call).always();
        env.cloud
            .fault(fault.answer(400, "AccessDeniedException", "not you"));
        let plan = plan(env.imgimport(AWS)).await;
        assert_eq!(plan["quotas"], json!([]));
        let open = ["s3:PutObject", "s3:DeleteObject", "iam:PassRole", "quotas"];
        assert_eq!(plan["not_verified"], json!(open));
    }
}

#[tokio::test]
async fn a_custom_ec2_endpoint_gets_no_quota_request() {
    let env = stage().await;
    let run = env
        .imgimport(AWS)
        .without("AWS_ENDPOINT_URL_SERVICE_QUOTAS");
    assert_eq!(plan(run).await["quotas"], json!([]));
    assert!(
        env.cloud
            .requests("servicequotas:GetServiceQuota")
            .is_empty()
    );
}

#[tokio::test]
async fn a_program_reads_the_plan_of_an_import_to_alibaba_cloud() {
    let env = stage().await;
    let command = "alicloud --bucket packer --image-name web --dry-run --output json -q disk.raw";
    assert_eq!(
        plan(env.alicloud(command)).await,
        json!({
            "caller": "acs:ram::1234567890123456:user/sandbox",
            "method": null,
            "allowed": [],
            "quotas": [],
            "not_verified":
                ["oss:PutObject", "oss:DeleteObject", "ecs:ImportImage", "ram:PassRole", "quotas"],
            "upload": {
                "url": "oss://packer/imgimport-1767225600.raw", "bytes": 2_097_152,
                "gzip": false, "parts": 1, "part_size": 8_388_608, "concurrency": 8,
            },
            "steps": [
                "create the bucket packer in cn-beijing",
                "create the role AliyunECSImageImportDefaultRole",
                "send 2.0 MiB to oss://packer/imgimport-1767225600.raw, in one part",
                "import it into cn-beijing as the image \"web\"",
                "remove oss://packer/imgimport-1767225600.raw afterwards",
            ],
        })
    );
}

#[tokio::test]
async fn a_program_reads_the_plan_of_an_import_to_digitalocean() {
    let env = stage().await;
    let cloud = &env.cloud;
    cloud
        .spaces()
        .create_bucket_with_acls("import-bucket", "nyc3");
    cloud
        .digitalocean()
        .import_script(CustomImageScript::quick());
    let command = "digitalocean --space import-bucket --spaces-region nyc3 --image-name web --image-region nyc3 --image-region fra1 --key web --dry-run --output json -q disk.raw";
    let variables = cloud.digitalocean_environment();
    let run = variables
        .iter()
        .fold(env.imgimport(command), |run, (name, value)| {
            run.env(name, value)
        });
    assert_eq!(
        plan(run).await,
        json!({
            "caller": "sammy@example.com",
            "method": null,
            "allowed": [],
            "quotas": [],
            "not_verified": ["the token's image:create", "write access to the Space", "quotas"],
            "upload": {
                "url": "s3://import-bucket/web", "bytes": 2_097_152,
                "gzip": true, "parts": null, "part_size": 8_388_608, "concurrency": 8,
            },
            "steps": [
                "send 2.0 MiB, gzipped, to s3://import-bucket/web, in parts of 8.0 MiB, 8 at once",
                "make s3://import-bucket/web public: everybody who knows its address can read it until the import has ended",
                "import it into nyc3 as the image \"web\"",
                "transfer it to fra1",
                "remove s3://import-bucket/web afterwards",
            ],
        })
    );
}

#[tokio::test]
async fn the_plan_names_public_shared_and_deleted_resources() {
    let env = stage().await;
    let open = format!("{AWS} --public --ami-users 111122223333 --delete-source");
    let steps = plan(env.imgimport(&open)).await["steps"].take();
    let steps: Vec<_> = steps.as_array().unwrap().iter().skip(2).collect();
    assert_eq!(
        steps,
        [
            "make it public: every AWS account can launch it",
            "share it with 111122223333",
            "remove s3://importbucket/imgimport-1767225600.raw afterwards",
            "delete the local file disk.raw",
        ]
    );
    let shared = "alicloud --bucket packer --image-name web --dry-run --output json -q disk.raw \
                  --share-account 1234567890123456 --delete-source";
    let steps = plan(env.alicloud(shared)).await["steps"].take();
    let steps: Vec<_> = steps.as_array().unwrap().iter().rev().collect();
    assert_eq!(steps[0], "delete the local file disk.raw");
    assert_eq!(steps[2], "share it with 1234567890123456");
}
