//! Printed commands: whatever files, keys and members of archives are called, a shell
//! makes of each one exactly the calls that are meant.

use std::fs;

use imgimport_sandbox::shells::{self, Call, HOSTILE};
use imgimport_sandbox::{CustomImageScript, Fault, SPACES_REGION, alibaba, sample};

use crate::support::{Cmd, TestEnv, commands};

/// A key of an object that a shell would read much into.
const KEY: &str = "-k/it's $(touch pwned) `touch pwned` \"a\";&|<>*?[a]~!!\\#%/Ünïcödé.raw";

fn call(words: &[&str]) -> Call {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

async fn three_clouds() -> TestEnv {
    let stage = TestEnv::new().await;
    let cloud = &stage.cloud;
    cloud.oss().create_bucket("packer", alibaba::REGION);
    cloud.ram().put_import_role();
    let spaces = cloud.spaces();
    spaces.create_bucket_with_acls("space", SPACES_REGION);
    cloud
        .digitalocean()
        .import_script(CustomImageScript::quick());
    stage
}

const CLOUDS: [&str; 3] = [
    "aws --bucket importbucket",
    "alicloud --bucket packer --image-name web",
    "digitalocean --space space --spaces-region nyc3 --image-name web --image-region nyc3",
];

fn program<'a>(stage: &'a TestEnv, cloud: &'a str, more: &[&'a str]) -> Cmd<'a> {
    let words: Vec<_> = cloud.split(' ').chain(more.iter().copied()).collect();
    let variables = stage.cloud.digitalocean_environment();
    let run = stage.program(words).on_alibaba();
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

/// The value of the variable that names an endpoint of the stage.
fn endpoint(stage: &TestEnv, name: &str) -> String {
    let variables = stage.cloud.digitalocean_environment();
    let found = variables.iter().find(|(known, _)| known == name);
    found.unwrap().1.clone()
}

#[tokio::test]
async fn the_removal_of_an_object_is_one_call_whatever_its_key_is() {
    let stage = three_clouds().await;
    stage.disk(2);
    let key = format!("--key={KEY}");
    for operation in ["s3:DeleteObject", "oss:DeleteObject"] {
        let fault = Fault::on(operation).always();
        stage
            .cloud
            .fault(fault.answer(403, "AccessDenied", "not you"));
    }
    let run = program(&stage, CLOUDS[0], &["-q", &key, "disk.raw"])
        .output()
        .await;
    let url = format!("s3://importbucket/{KEY}");
    commands::are(
        &run.code(0).stderr,
        &[vec![call(&["aws", "s3", "rm", &url])]],
    );
    let run = program(&stage, CLOUDS[1], &["-q", &key, "disk.raw"])
        .output()
        .await;
    let url = format!("oss://packer/{KEY}");
    let remove = call(&["aliyun", "oss", "rm", &url, "--region", "cn-beijing"]);
    commands::are(&run.code(0).stderr, &[vec![remove]]);
}

#[tokio::test]
async fn what_an_import_that_goes_on_reads_is_removed_by_one_call() {
    let stage = three_clouds().await;
    stage.disk(2);
    let option = format!("--key={KEY}");
    let more = ["--no-wait", &option, "disk.raw"];
    let run = program(&stage, CLOUDS[0], &more).output().await;
    let url = format!("s3://importbucket/{KEY}");
    let remove = call(&["aws", "s3", "rm", &url]);
    commands::are(&run.code(0).stderr, &[vec![remove]]);
    let run = program(&stage, CLOUDS[1], &more).output().await;
    let url = format!("oss://packer/{KEY}");
    let remove = call(&["aliyun", "oss", "rm", &url, "--region", "cn-beijing"]);
    commands::are(&run.code(0).stderr, &[vec![remove]]);
    let run = program(&stage, CLOUDS[2], &more).output().await;
    run.code(0);
    let object = stage.cloud.spaces().objects().pop().unwrap();
    let (url, spaces) = (
        format!("s3://space/{}", object.key),
        endpoint(&stage, "SPACES_ENDPOINT_URL"),
    );
    let remove = call(&["aws", "s3", "rm", &url, "--endpoint-url", &spaces]);
    commands::are(&run.stderr_raw, &[vec![remove]]);
}

#[tokio::test]
async fn the_parts_of_an_upload_are_removed_by_one_call_in_each_cloud() {
    let stage = three_clouds().await;
    stage.disk(12);
    let option = format!("--key={KEY}");
    let more = ["-q", &option, "--part-size", "5MiB", "disk.raw"];
    for operation in ["s3", "oss", "spaces"] {
        let operation = format!("{operation}:CompleteMultipartUpload");
        let fault = Fault::on(&operation).always();
        stage
            .cloud
            .fault(fault.answer(403, "AccessDenied", "not you"));
    }
    let run = program(&stage, CLOUDS[0], &more).output().await;
    let upload = stage.cloud.s3().uploads().pop().unwrap().upload_id;
    let abort = [
        "aws",
        "s3api",
        "abort-multipart-upload",
        "--bucket",
        "importbucket",
    ];
    let key = format!("--key={KEY}");
    let abort = [&abort[..], &[&key, "--upload-id", &upload]].concat();
    commands::are(&run.code(1).stderr_raw, &[vec![call(&abort)]]);

    let run = program(&stage, CLOUDS[1], &more).output().await;
    let upload = stage.cloud.oss().uploads().pop().unwrap().upload_id;
    let url = format!("oss://packer/{KEY}");
    let abort = ["aliyun", "oss", "rm", &url, "-m", "--upload-id", &upload];
    let abort = [&abort[..], &["--region", "cn-beijing"]].concat();
    commands::are(&run.code(1).stderr_raw, &[vec![call(&abort)]]);

    let more = [&more[..], &["--compression", "none"]].concat();
    let run = program(&stage, CLOUDS[2], &more).output().await;
    let upload = stage.cloud.spaces().uploads().pop().unwrap();
    let (id, spaces) = (&upload.upload_id, endpoint(&stage, "SPACES_ENDPOINT_URL"));
    let abort = [
        "aws",
        "s3api",
        "abort-multipart-upload",
        "--bucket",
        "space",
    ];
    let key = format!("--key={}", upload.key);
    let more = [&key, "--endpoint-url", &spaces, "--upload-id", id];
    commands::are(
        &run.code(1).stderr_raw,
        &[vec![call(&[&abort[..], &more].concat())]],
    );
}

/// The hints of the refusals of a file under this name, by all clouds and by none of them.
async fn hints(stage: &TestEnv, name: &str, bytes: &[u8]) -> String {
    stage.file(name, bytes);
    let mut said = String::new();
    for cloud in CLOUDS {
        let dashes = ["--dry-run", "-q", "--", name];
        let run = program(stage, cloud, &dashes).output().await;
        if run.code != Some(0) {
            said += &run.code(3).stderr_raw;
        }
    }
    fs::remove_file(stage.path(name)).unwrap();
    said
}

#[tokio::test]
async fn the_hint_to_convert_is_one_call_for_each_format_and_cloud_whatever_the_file_is_called() {
    let stage = three_clouds().await;
    let disk = sample::raw(2 << 20);
    let mut qed = vec![0; 4096];
    qed[..4].copy_from_slice(b"QED\0");
    let mut backed = sample::qcow2(2 << 20);
    backed[8..16].copy_from_slice(&512_u64.to_be_bytes());
    let formats = [
        (sample::qcow2(2 << 20), "qcow2", 1),
        (sample::vhd(&disk), "vpc", 1),
        (backed, "qcow2", 3),
        (qed, "qed", 3),
    ];
    for (bytes, format, count) in formats {
        // The names are the same code for every format.
        let names = if format == "vpc" {
            &HOSTILE[..]
        } else {
            &HOSTILE[..3]
        };
        for name in names.iter().copied() {
            let said = hints(&stage, name, &bytes).await;
            let printed = commands::printed(&said);
            assert_eq!(printed.len(), count, "{said}");
            for command in printed {
                let calls = shells::calls("sh", command);
                assert_eq!(calls.len(), 1, "{command}");
                let start = call(&["qemu-img", "convert", "-f", format, "-O"]);
                assert_eq!(calls[0][..5], start, "{command}");
                let file = calls[0][calls[0].len() - 2].clone();
                let file = String::from_utf8(file).unwrap();
                let file = file.strip_prefix("./").unwrap_or(&file);
                assert_eq!(file, name, "{command}");
            }
        }
    }
}

#[tokio::test]
async fn the_hint_to_take_a_disk_out_of_an_archive_is_two_calls_whatever_its_name_is() {
    let stage = three_clouds().await;
    let ova = sample::ova("it's $(touch pwned); `x`", &sample::raw(2 << 20));
    let said = hints(&stage, "-the vm&.ova", &ova).await;
    let disk = "it's $(touch pwned); `x`.vmdk";
    let target = "it's $(touch pwned); `x`.qcow2";
    let unpack = call(&["tar", "-xf", "./-the vm&.ova", "--", disk]);
    let convert = [
        "qemu-img", "convert", "-f", "vmdk", "-O", "qcow2", disk, target,
    ];
    let calls = vec![unpack, call(&convert)];
    commands::are(&said, &[calls.clone(), calls]);
}
