//! What unfinished runs have left: seen, and removed in the cloud without the command
//! lines that made it.

use std::fs;

use imgimport_sandbox::alibaba::{ImportScript as EcsScript, REGION};
use imgimport_sandbox::{CopyScript, CustomImageScript, Fault, Gate, ImportScript, SPACES_REGION};
use regex::Regex;
use serde_json::Value;

use crate::support::{Ended, Run, Stage};

/// `imgimport jobs ARGS` in the environment of all three clouds.
fn jobs<'a>(stage: &'a Stage, args: &str) -> Run<'a> {
    everywhere(stage, &format!("jobs {args}"))
}

fn everywhere<'a>(stage: &'a Stage, args: &str) -> Run<'a> {
    let variables = stage.cloud.digitalocean_environment();
    let run = stage.alicloud(args);
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

/// The names of the journal's entries differ from directory to directory, and after a stop
/// the part in flight may land.
fn unnamed(text: &str) -> String {
    let name = Regex::new(r"(?-u:\b)[0-9a-f]{8}(?-u:\b)").unwrap();
    let sent = Regex::new(r"(10|15)\.0 MiB of").unwrap();
    sent.replace(&name.replace_all(text, "ID"), "SENT of")
        .into_owned()
}

/// The name of the only entry, as it is shown.
fn only(listed: &Ended) -> String {
    listed.raw.split_whitespace().next().unwrap().to_owned()
}

/// Two of five parts are there when Ctrl-C comes.
async fn half_an_upload(stage: &Stage, args: &str) {
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    stage.disk(22);
    let running = stage
        .imgimport(&format!("aws --part-size 5MiB --concurrency 2 -q {args}"))
        .start();
    gate.reached().await;
    stage.cloud.succeeded("s3:UploadPart", 2).await;
    running.signal("INT");
    running.ends().await.exits(130);
    gate.release();
    stage.cloud.clear_faults();
}

#[tokio::test]
async fn an_unfinished_upload_is_listed_and_removed() {
    let stage = Stage::new().await;
    half_an_upload(&stage, "--bucket importbucket disk.raw").await;
    let listed = jobs(&stage, "")
        .env("SOURCE_DATE_EPOCH", "1767236400")
        .ends()
        .await;
    listed.exits(0).says("");
    assert_eq!(
        unnamed(&listed.stdout).trim(),
        "ID  aws eu-central-1  disk.raw  begun 3 h ago\n  parts of s3://importbucket/imgimport-1767225600.raw, SENT of 22.0 MiB: billed as storage until it is removed"
    );
    let cleaned = jobs(&stage, "--clean").ends().await;
    cleaned.exits(0);
    assert_eq!(
        cleaned.stderr.trim_end(),
        "  Removing the parts of s3://importbucket/imgimport-1767225600.raw"
    );
    assert_eq!(cleaned.raw, only(&listed));
    assert!(stage.cloud.s3().uploads().is_empty());
    assert!(stage.journal().is_empty());
    let empty = jobs(&stage, "").ends().await;
    empty.exits(0).prints("");
    assert_eq!(empty.stderr, "  the journal has no unfinished jobs\n");
}

#[tokio::test]
async fn an_import_that_runs_is_cancelled_before_its_object_goes() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    stage.disk(2);
    stage
        .imgimport("aws --bucket importbucket --no-wait -q disk.raw")
        .ends()
        .await
        .exits(0);
    let listed = jobs(&stage, "--output json").ends().await;
    let said: Value = serde_json::from_str(&listed.raw).unwrap();
    let job = &said["jobs"][0];
    let task = stage.cloud.ec2().import_tasks()[0].id.clone();
    assert_eq!(job["task_id"], task.as_str());
    assert_eq!(job["object"]["complete"], true);
    assert_eq!(job["running"], false);
    assert_eq!(job["source"]["path"], "disk.raw");
    let id = &job["id"].as_str().unwrap()[..8];
    let cleaned = jobs(&stage, &format!("--clean {id}")).ends().await;
    cleaned.exits(0);
    assert_eq!(
        cleaned.stderr.trim_end(),
        "  Removing the import task import-ami-TASK\n  Removing s3://importbucket/imgimport-1767225600.raw"
    );
    let order: Vec<_> = stage
        .cloud
        .journal()
        .into_iter()
        .map(|entry| entry.operation)
        .collect();
    let at = |name: &str| {
        order
            .iter()
            .position(|operation| operation == name)
            .unwrap()
    };
    assert!(
        at("ec2:CancelImportTask") < at("s3:DeleteObject"),
        "{order:?}"
    );
    assert!(stage.cloud.s3().objects().is_empty());
    assert!(stage.journal().is_empty());
}

#[tokio::test]
async fn an_image_without_its_name_is_deregistered() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage
        .cloud
        .ec2()
        .copy_script(CopyScript::pending(1).hold(&gate));
    stage.disk(2);
    let running = stage
        .imgimport("aws --bucket importbucket --ami-name web -q disk.raw")
        .start();
    stage.cloud.succeeded("ec2:CopyImage", 1).await;
    running.signal("INT");
    running.ends().await.exits(130);
    gate.release();
    let listed = jobs(&stage, "").ends().await;
    listed.exits(0);
    assert!(
        listed
            .stdout
            .contains("\n  image ami-ID: its snapshots are billed as storage"),
        "{}",
        listed.stdout
    );
    jobs(&stage, "--clean -q").ends().await.exits(0).says("");
    assert!(stage.cloud.ec2().images().is_empty());
    assert!(stage.journal().is_empty());
}

#[tokio::test]
async fn a_job_that_a_process_is_at_work_on_is_left_alone() {
    let stage = Stage::new().await;
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    stage.disk(22);
    let running = stage
        .imgimport("aws --bucket importbucket --part-size 5MiB --concurrency 2 -q disk.raw")
        .start();
    gate.reached().await;
    let listed = jobs(&stage, "").ends().await;
    assert!(
        listed.stdout.contains("  running now\n"),
        "{}",
        listed.stdout
    );
    let id = only(&listed);
    let cleaned = jobs(&stage, "--clean").ends().await;
    cleaned.exits(0).prints("");
    assert_eq!(
        cleaned.stderr.trim(),
        format!("{id} is left alone: a process is at work on it")
    );
    let named = jobs(&stage, &format!("--clean {id}")).ends().await;
    named.exits(1).prints("").says(&format!(
        "
        error: the job {id} is left alone
          cause: a process is at work on it
          hint: stop that process first; a second Ctrl-C there removes everything
        "
    ));
    gate.release();
    stage.cloud.clear_faults();
    running.ends().await.exits(0).prints("ami-ID");
}

#[tokio::test]
async fn what_could_not_be_removed_stays_in_the_journal_and_is_named() {
    let stage = Stage::new().await;
    half_an_upload(&stage, "--bucket importbucket disk.raw").await;
    let denied = Fault::on("s3:AbortMultipartUpload").always();
    stage
        .cloud
        .fault(denied.answer(403, "AccessDenied", "Access Denied"));
    let cleaned = jobs(&stage, "--clean --output json").ends().await;
    cleaned.exits(1);
    let said: Value = serde_json::from_str(&cleaned.raw).unwrap();
    assert_eq!(said["cleaned"], Value::Array(Vec::new()));
    let left = said["left"][0]["left_behind"][0].as_str().unwrap();
    let (what, remove) = left.split_once("; remove it with: ").unwrap();
    assert!(what.starts_with("the parts of s3://importbucket/imgimport-1767225600.raw (it could not be removed: Access Denied (AccessDenied, request "), "{left}");
    assert!(
        what.contains("; allow the caller s3:AbortMultipartUpload and s3:DeleteObject: {"),
        "{left}"
    );
    assert!(remove.starts_with("imgimport jobs --clean "), "{left}");
    stage.cloud.clear_faults();
    jobs(&stage, "--clean -q").ends().await.exits(0);
    assert!(stage.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn the_journal_has_no_secret_and_says_which_profile_asks() {
    let stage = Stage::new().await;
    let key = stage.cloud.key();
    fs::create_dir(stage.path(".aws")).unwrap();
    let profile = format!(
        "[work]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        key.access_key, key.secret_key
    );
    stage.file(".aws/credentials", profile);
    half_an_upload(&stage, "--bucket importbucket --profile work disk.raw").await;
    let text = fs::read_to_string(
        stage
            .journal()
            .iter()
            .find(|path| path.extension().unwrap() == "json")
            .unwrap(),
    )
    .unwrap();
    assert!(text.contains("\"profile\":\"work\""), "{text}");
    assert!(
        !text.contains(&key.secret_key) && !text.contains(&key.access_key),
        "{text}"
    );
    jobs(&stage, "--clean -q")
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .without("AWS_REGION")
        .ends()
        .await
        .exits(0);
    assert!(stage.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn leftovers_of_alibaba_cloud_go_too() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.oss().create_bucket("packer", REGION);
    stage.cloud.ram().put_import_role();
    stage
        .cloud
        .ecs()
        .import_script(EcsScript::quick().hold(&gate));
    stage.disk(2);
    stage
        .alicloud("alicloud --bucket packer --image-name web --no-wait -q disk.raw")
        .ends()
        .await
        .exits(0);
    let listed = jobs(&stage, "").ends().await;
    assert!(
        listed
            .stdout
            .contains("  oss://packer/imgimport-1767225600.raw: billed as storage"),
        "{}",
        listed.stdout
    );
    jobs(&stage, "--clean -q").ends().await.exits(0).says("");
    assert!(stage.cloud.oss().objects().is_empty());
    assert!(stage.cloud.ecs().images().is_empty());
    assert!(stage.journal().is_empty());
}

#[tokio::test]
async fn leftovers_of_digitalocean_go_too() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage
        .cloud
        .spaces()
        .create_bucket_with_acls("space", SPACES_REGION);
    stage
        .cloud
        .digitalocean()
        .import_script(CustomImageScript::quick().hold(&gate));
    stage.disk(2);
    everywhere(&stage, "digitalocean --space space --spaces-region nyc3 --image-name web --image-region nyc3 --no-wait -q disk.raw")
        .ends()
        .await
        .exits(0);
    let listed = jobs(&stage, "").ends().await;
    assert!(
        listed
            .stdout
            .contains(": about 0.06 USD a month for each GB"),
        "{}",
        listed.stdout
    );
    jobs(&stage, "--clean -q").ends().await.exits(0).says("");
    assert!(stage.cloud.spaces().objects().is_empty());
    assert!(stage.cloud.digitalocean().images().is_empty());
    assert!(stage.journal().is_empty());
}

#[tokio::test]
async fn a_job_that_is_not_there_is_wrong_usage() {
    let stage = Stage::new().await;
    jobs(&stage, "--clean 12345678")
        .ends()
        .await
        .exits(2)
        .prints("")
        .says(
            "
        error: the journal has no job 12345678
          hint: see what it has with: imgimport jobs
        ",
        );
    let run = jobs(&stage, "12345678").ends().await;
    run.exits(2).prints("");
    assert!(run.stderr.contains("--clean"), "{}", run.stderr);
}

#[tokio::test]
async fn torn_and_foreign_files_in_the_journal_do_no_harm() {
    let stage = Stage::new().await;
    fs::create_dir_all(stage.path("state/imgimport")).unwrap();
    for (name, bytes) in [
        ("torn.json", &b"{\"upload\": \"abc"[..]),
        ("foreign.json", b"\xff\xfe\x00"),
        (
            "odd.json",
            b"{\"object\": \"moon sea bucket key with blanks\", \"upload\": \"u\"}",
        ),
        ("short.json", b"{\"object\": \"aws\", \"upload\": \"u\"}"),
        ("notes.txt", b"mine"),
    ] {
        stage.file(&format!("state/imgimport/{name}"), bytes);
    }
    let listed = jobs(&stage, "").ends().await;
    listed.exits(0).says("").prints(
        "
        foreign
          nothing in the cloud yet
        odd  moon sea
          parts of s3://bucket/key with blanks: billed as storage until it is removed
        short
          nothing in the cloud yet
        torn
          nothing in the cloud yet
        ",
    );
    let cleaned = jobs(&stage, "--clean").ends().await;
    cleaned.exits(1).prints("foreign\nshort\ntorn").says(
        "
        error: the job odd could not be removed
          cause: the cloud moon is not known here
        ",
    );
    assert!(stage.path("state/imgimport/notes.txt").exists());
}

#[tokio::test]
async fn an_import_that_nobody_heard_of_is_found_by_its_object() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    let answer = stage.cloud.hold_answer(Fault::on("ec2:ImportImage"));
    stage.disk(2);
    let running = stage
        .imgimport("aws --bucket importbucket -q disk.raw")
        .start();
    answer.reached().await;
    running.kill().await;
    answer.release();
    let listed = jobs(&stage, "").ends().await;
    assert!(
        listed.stdout.contains(
            "\n  an import of s3://importbucket/imgimport-1767225600.raw that may have started\n"
        ),
        "{}",
        listed.stdout
    );
    let cleaned = jobs(&stage, "--clean").ends().await;
    cleaned.exits(0);
    assert_eq!(
        cleaned.stderr.trim_end(),
        "  Removing an import of s3://importbucket/imgimport-1767225600.raw that may have started\n  Removing s3://importbucket/imgimport-1767225600.raw"
    );
    assert!(stage.cloud.s3().objects().is_empty());
}

#[tokio::test]
async fn killed_before_the_result_was_printed_the_next_run_prints_it() {
    let stage = Stage::new().await;
    stage.disk(2);
    let command = "aws --bucket importbucket --ami-name web --tag team=a -q disk.raw";
    let (running, _pipe) = stage.imgimport(command).unread();
    stage.cloud.succeeded("ec2:CreateTags", 1).await;
    running.kill().await;
    assert!(!stage.journal().is_empty(), "the result is still owed");
    let run = stage.imgimport(command).ends().await;
    run.exits(0).says("");
    let images = stage.cloud.ec2().images();
    assert_eq!(images.len(), 1);
    assert_eq!(run.raw, images[0].id);
    assert_eq!(stage.cloud.requests("ec2:ImportImage").len(), 1);
    assert!(stage.journal().is_empty());
}

#[tokio::test]
async fn a_source_is_deleted_only_once_the_result_was_printed() {
    let stage = Stage::new().await;
    stage.disk(2);
    let command = "aws --bucket importbucket --tag team=a --delete-source -q disk.raw";
    let (running, _pipe) = stage.imgimport(command).unread();
    stage.cloud.succeeded("ec2:CreateTags", 1).await;
    running.kill().await;
    assert!(stage.path("disk.raw").exists());
    stage.imgimport(command).ends().await.exits(0).says("");
    assert!(!stage.path("disk.raw").exists());
    assert_eq!(stage.cloud.ec2().images().len(), 1);
}

#[tokio::test]
async fn the_name_of_a_file_is_on_one_line_and_controls_no_terminal() {
    let stage = Stage::new().await;
    let name = "disk\n  image ami-0\u{1b}[31m.raw";
    stage.file(name, imgimport_sandbox::sample::raw(2 << 20));
    let answer = stage.cloud.hold_answer(Fault::on("ec2:ImportImage"));
    let running = stage.program(["aws", "--bucket=importbucket", "-q", name]);
    let running = running.start();
    answer.reached().await;
    running.kill().await;
    let listed = jobs(&stage, "").ends().await;
    assert_eq!(listed.raw.lines().count(), 3, "{:?}", listed.raw);
    assert!(!listed.raw.contains('\u{1b}'), "{:?}", listed.raw);
    let listed = jobs(&stage, "--output json").ends().await;
    let said: Value = serde_json::from_str(&listed.raw).unwrap();
    assert_eq!(said["jobs"][0]["source"]["path"], name);
}
