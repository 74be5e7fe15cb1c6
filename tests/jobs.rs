//! What unfinished runs have left: seen, and removed in the cloud without the command
//! lines that made it.

use std::fs;

use imgimport_sandbox::alibaba::{ImportScript as EcsScript, REGION};
use imgimport_sandbox::{CopyScript, CustomImageScript, Fault, Gate, ImportScript, SPACES_REGION};
use regex::Regex;
use serde_json::Value;

use crate::support::{Cmd, Output, TestEnv};

/// `imgimport jobs ARGS` in the environment of all three clouds.
fn jobs<'a>(env: &'a TestEnv, args: &str) -> Cmd<'a> {
    with_all_clouds(env, &format!("jobs {args}"))
}

fn with_all_clouds<'a>(env: &'a TestEnv, args: &str) -> Cmd<'a> {
    let variables = env.cloud.digitalocean_environment();
    let run = env.alicloud(args);
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

/// The names of the journal's entries differ from directory to directory, and after a stop
/// the part in flight may land.
fn without_ids(text: &str) -> String {
    let name = Regex::new(r"(?-u:\b)[0-9a-f]{8}(?-u:\b)").unwrap();
    let sent = Regex::new(r"(10|15)\.0 MiB of").unwrap();
    sent.replace(&name.replace_all(text, "ID"), "SENT of")
        .into_owned()
}

/// The name of the only entry, as it is shown.
fn only_job_id(listed: &Output) -> String {
    listed
        .stdout_raw
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned()
}

/// Two of five parts are there when Ctrl-C comes.
async fn half_an_upload(env: &TestEnv, args: &str) {
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    env.disk(22);
    let running = env
        .imgimport(&format!("aws --part-size 5MiB --concurrency 2 -q {args}"))
        .start();
    gate.reached().await;
    env.cloud.wait_for_successes("s3:UploadPart", 2).await;
    running.signal("INT");
    running.output().await.code(130);
    gate.release();
    env.cloud.clear_faults();
}

#[tokio::test]
async fn an_unfinished_upload_is_listed_and_removed() {
    let env = TestEnv::new().await;
    half_an_upload(&env, "--bucket importbucket disk.raw").await;
    let listed = jobs(&env, "")
        .env("SOURCE_DATE_EPOCH", "1767236400")
        .output()
        .await;
    listed.code(0).stderr("");
    assert_eq!(
        without_ids(&listed.stdout).trim(),
        "ID  aws eu-central-1  disk.raw  begun 3 h ago\n  parts of s3://importbucket/imgimport-1767225600.raw, SENT of 22.0 MiB: billed as storage until it is removed"
    );
    let cleaned = jobs(&env, "--clean").output().await;
    cleaned.code(0);
    assert_eq!(
        cleaned.stderr.trim_end(),
        "  Removing the parts of s3://importbucket/imgimport-1767225600.raw"
    );
    assert_eq!(cleaned.stdout_raw, only_job_id(&listed));
    assert!(env.cloud.s3().uploads().is_empty());
    assert!(env.journal().is_empty());
    let empty = jobs(&env, "").output().await;
    empty.code(0).stdout("");
    assert_eq!(empty.stderr, "  the journal has no unfinished jobs\n");
}

#[tokio::test]
async fn an_import_that_runs_is_cancelled_before_its_object_goes() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    env.imgimport("aws --bucket importbucket --no-wait -q disk.raw")
        .output()
        .await
        .code(0);
    let listed = jobs(&env, "--output json").output().await;
    let said: Value = serde_json::from_str(&listed.stdout_raw).unwrap();
    let job = &said["jobs"][0];
    let task = env.cloud.ec2().import_tasks()[0].id.clone();
    assert_eq!(job["task_id"], task.as_str());
    assert_eq!(job["object"]["complete"], true);
    assert_eq!(job["running"], false);
    assert_eq!(job["source"]["path"], "disk.raw");
    let id = &job["id"].as_str().unwrap()[..8];
    let cleaned = jobs(&env, &format!("--clean {id}")).output().await;
    cleaned.code(0);
    assert_eq!(
        cleaned.stderr.trim_end(),
        "  Removing the import task import-ami-TASK\n  Removing s3://importbucket/imgimport-1767225600.raw"
    );
    let order: Vec<_> = env
        .cloud
        .requests_so_far()
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
    assert!(env.cloud.s3().objects().is_empty());
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn an_image_without_its_name_is_deregistered() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud
        .ec2()
        .copy_script(CopyScript::pending(1).hold(&gate));
    env.disk(2);
    let running = env
        .imgimport("aws --bucket importbucket --ami-name web -q disk.raw")
        .start();
    env.cloud.wait_for_successes("ec2:CopyImage", 1).await;
    running.signal("INT");
    running.output().await.code(130);
    gate.release();
    let listed = jobs(&env, "").output().await;
    listed.code(0);
    assert!(
        listed
            .stdout
            .contains("\n  image ami-ID: its snapshots are billed as storage"),
        "{}",
        listed.stdout
    );
    jobs(&env, "--clean -q").output().await.code(0).stderr("");
    assert!(env.cloud.ec2().images().is_empty());
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_running_job_is_not_cleaned() {
    let env = TestEnv::new().await;
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    env.disk(22);
    let running = env
        .imgimport("aws --bucket importbucket --part-size 5MiB --concurrency 2 -q disk.raw")
        .start();
    gate.reached().await;
    let listed = jobs(&env, "").output().await;
    assert!(
        listed.stdout.contains("  running now\n"),
        "{}",
        listed.stdout
    );
    let id = only_job_id(&listed);
    let cleaned = jobs(&env, "--clean").output().await;
    cleaned.code(0).stdout("");
    assert_eq!(
        cleaned.stderr.trim(),
        format!("{id} is left alone: a process is at work on it")
    );
    let named = jobs(&env, &format!("--clean {id}")).output().await;
    named.code(1).stdout("").stderr(&format!(
        "
        error: the job {id} is left alone
          cause: a process is at work on it
          hint: stop that process first; a second Ctrl-C there removes everything
        "
    ));
    gate.release();
    env.cloud.clear_faults();
    running.output().await.code(0).stdout("ami-ID");
}

#[tokio::test]
async fn a_failed_removal_is_named_and_stays_in_the_journal() {
    let env = TestEnv::new().await;
    half_an_upload(&env, "--bucket importbucket disk.raw").await;
    let denied = Fault::on("s3:AbortMultipartUpload").always();
    env.cloud
        .fault(denied.answer(403, "AccessDenied", "Access Denied"));
    let cleaned = jobs(&env, "--clean --output json").output().await;
    cleaned.code(1);
    let said: Value = serde_json::from_str(&cleaned.stdout_raw).unwrap();
    assert_eq!(said["cleaned"], Value::Array(Vec::new()));
    let left = said["left"][0]["left_behind"][0].as_str().unwrap();
    let (what, remove) = left.split_once("; remove it with: ").unwrap();
    assert!(what.starts_with("the parts of s3://importbucket/imgimport-1767225600.raw (it could not be removed: Access Denied (AccessDenied, request "), "{left}");
    assert!(
        what.contains("; allow the caller s3:AbortMultipartUpload and s3:DeleteObject: {"),
        "{left}"
    );
    assert!(remove.starts_with("imgimport jobs --clean "), "{left}");
    env.cloud.clear_faults();
    jobs(&env, "--clean -q").output().await.code(0);
    assert!(env.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn the_journal_has_the_profile_and_no_secret() {
    let env = TestEnv::new().await;
    let key = env.cloud.key();
    fs::create_dir(env.path(".aws")).unwrap();
    let profile = format!(
        "[work]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        key.access_key, key.secret_key
    );
    env.file(".aws/credentials", profile);
    half_an_upload(&env, "--bucket importbucket --profile work disk.raw").await;
    let text = fs::read_to_string(
        env.journal()
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
    jobs(&env, "--clean -q")
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .without("AWS_REGION")
        .output()
        .await
        .code(0);
    assert!(env.cloud.s3().uploads().is_empty());
}

#[tokio::test]
async fn leftovers_of_alibaba_cloud_go_too() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.oss().create_bucket("packer", REGION);
    env.cloud.ram().put_import_role();
    env.cloud
        .ecs()
        .import_script(EcsScript::quick().hold(&gate));
    env.disk(2);
    env.alicloud("alicloud --bucket packer --image-name web --no-wait -q disk.raw")
        .output()
        .await
        .code(0);
    let listed = jobs(&env, "").output().await;
    assert!(
        listed
            .stdout
            .contains("  oss://packer/imgimport-1767225600.raw: billed as storage"),
        "{}",
        listed.stdout
    );
    jobs(&env, "--clean -q").output().await.code(0).stderr("");
    assert!(env.cloud.oss().objects().is_empty());
    assert!(env.cloud.ecs().images().is_empty());
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn leftovers_of_digitalocean_go_too() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud
        .spaces()
        .create_bucket_with_acls("space", SPACES_REGION);
    env.cloud
        .digitalocean()
        .import_script(CustomImageScript::quick().hold(&gate));
    env.disk(2);
    with_all_clouds(&env, "digitalocean --space space --spaces-region nyc3 --image-name web --image-region nyc3 --no-wait -q disk.raw")
        .output()
        .await
        .code(0);
    let listed = jobs(&env, "").output().await;
    assert!(
        listed
            .stdout
            .contains(": about 0.06 USD a month for each GB"),
        "{}",
        listed.stdout
    );
    jobs(&env, "--clean -q").output().await.code(0).stderr("");
    assert!(env.cloud.spaces().objects().is_empty());
    assert!(env.cloud.digitalocean().images().is_empty());
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_job_that_is_not_there_is_wrong_usage() {
    let env = TestEnv::new().await;
    jobs(&env, "--clean 12345678")
        .output()
        .await
        .code(2)
        .stdout("")
        .stderr(
            "
        error: the journal has no job 12345678
          hint: see what it has with: imgimport jobs
        ",
        );
    let run = jobs(&env, "12345678").output().await;
    run.code(2).stdout("");
    assert!(run.stderr.contains("--clean"), "{}", run.stderr);
}

#[tokio::test]
async fn torn_and_foreign_files_in_the_journal_do_no_harm() {
    let env = TestEnv::new().await;
    fs::create_dir_all(env.path("state/imgimport")).unwrap();
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
        env.file(&format!("state/imgimport/{name}"), bytes);
    }
    let listed = jobs(&env, "").output().await;
    listed.code(0).stderr("").stdout(
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
    let cleaned = jobs(&env, "--clean").output().await;
    cleaned.code(1).stdout("foreign\nshort\ntorn").stderr(
        "
        error: the job odd could not be removed
          cause: the cloud moon is not known here
        ",
    );
    assert!(env.path("state/imgimport/notes.txt").exists());
}

#[tokio::test]
async fn an_import_with_a_lost_response_is_found_by_its_object() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    let answer = env.cloud.hold_answer(Fault::on("ec2:ImportImage"));
    env.disk(2);
    let running = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .start();
    answer.reached().await;
    running.kill().await;
    answer.release();
    let listed = jobs(&env, "").output().await;
    assert!(
        listed.stdout.contains(
            "\n  an import of s3://importbucket/imgimport-1767225600.raw that may have started\n"
        ),
        "{}",
        listed.stdout
    );
    let cleaned = jobs(&env, "--clean").output().await;
    cleaned.code(0);
    assert_eq!(
        cleaned.stderr.trim_end(),
        "  Removing an import of s3://importbucket/imgimport-1767225600.raw that may have started\n  Removing s3://importbucket/imgimport-1767225600.raw"
    );
    assert!(env.cloud.s3().objects().is_empty());
}

#[tokio::test]
async fn killed_before_the_result_was_printed_the_next_run_prints_it() {
    let env = TestEnv::new().await;
    env.disk(2);
    let command = "aws --bucket importbucket --ami-name web --tag team=a -q disk.raw";
    let (running, _pipe) = env.imgimport(command).start_with_full_stdout();
    env.cloud.wait_for_successes("ec2:CreateTags", 1).await;
    running.kill().await;
    assert!(!env.journal().is_empty(), "the result is still owed");
    let run = env.imgimport(command).output().await;
    run.code(0).stderr("");
    let images = env.cloud.ec2().images();
    assert_eq!(images.len(), 1);
    assert_eq!(run.stdout_raw, images[0].id);
    assert_eq!(env.cloud.requests("ec2:ImportImage").len(), 1);
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_source_is_deleted_only_once_the_result_was_printed() {
    let env = TestEnv::new().await;
    env.disk(2);
    let command = "aws --bucket importbucket --tag team=a --delete-source -q disk.raw";
    let (running, _pipe) = env.imgimport(command).start_with_full_stdout();
    env.cloud.wait_for_successes("ec2:CreateTags", 1).await;
    running.kill().await;
    assert!(env.path("disk.raw").exists());
    env.imgimport(command).output().await.code(0).stderr("");
    assert!(!env.path("disk.raw").exists());
    assert_eq!(env.cloud.ec2().images().len(), 1);
}

#[tokio::test]
async fn the_name_of_a_file_is_on_one_line_and_controls_no_terminal() {
    let env = TestEnv::new().await;
    let name = "disk\n  image ami-0\u{1b}[31m.raw";
    env.file(name, imgimport_sandbox::sample::raw(2 << 20));
    let answer = env.cloud.hold_answer(Fault::on("ec2:ImportImage"));
    let running = env.program(["aws", "--bucket=importbucket", "-q", name]);
    let running = running.start();
    answer.reached().await;
    running.kill().await;
    let listed = jobs(&env, "").output().await;
    assert_eq!(
        listed.stdout_raw.lines().count(),
        3,
        "{:?}",
        listed.stdout_raw
    );
    assert!(
        !listed.stdout_raw.contains('\u{1b}'),
        "{:?}",
        listed.stdout_raw
    );
    let listed = jobs(&env, "--output json").output().await;
    let said: Value = serde_json::from_str(&listed.stdout_raw).unwrap();
    assert_eq!(said["jobs"][0]["source"]["path"], name);
}
