//! Standard output that can't be written: the id is in the error, and the exit code is 1.

use std::path::Path;

use imgimport_sandbox::sample;

use crate::support::{Cmd, TestEnv};

/// A disk without free space.
const FULL: &str = "/dev/full";

async fn full(run: Cmd<'_>, code: i32, stderr: &str) {
    let ended = run.stdout(Path::new(FULL)).output().await;
    ended.code(code).stderr(stderr);
}

#[tokio::test]
async fn the_id_of_an_image_is_in_the_error() {
    let env = TestEnv::new().await;
    env.disk(2);
    full(
        env.imgimport("aws --bucket importbucket -q disk.raw"),
        1,
        "
        error: could not write the result ami-ID to standard output
          cause: No space left on device (os error 28)
          hint: the import itself succeeded: note ami-ID
        ",
    )
    .await;
}

#[tokio::test]
async fn so_is_the_id_of_a_task_and_json_makes_no_difference() {
    let env = TestEnv::new().await;
    env.disk(2);
    full(
        env.imgimport("aws --bucket importbucket --no-wait --output json -q disk.raw"),
        1,
        "
        error: could not write the result import-ami-TASK to standard output
          cause: No space left on device (os error 28)
          hint: the import itself succeeded: note import-ami-TASK
        ",
    )
    .await;
}

#[tokio::test]
async fn a_closed_stdout_is_an_error() {
    let env = TestEnv::new().await;
    env.disk(2);
    let script = "imgimport aws --bucket importbucket -q disk.raw || echo $? > code";
    let run = env.shell(&format!("({script}) | true")).output().await;
    run.code(0).stdout("").stderr(
        "
        error: could not write the result ami-ID to standard output
          cause: Broken pipe (os error 32)
          hint: the import itself succeeded: note ami-ID
        ",
    );
    let code = std::fs::read_to_string(env.path("code")).unwrap();
    assert_eq!(code.trim(), "1");
}

#[tokio::test]
async fn a_job_of_a_file_fails_and_the_next_run_prints_its_id() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.file(
        "jobs.toml",
        "[[job]]\nname = \"web\"\nimage = \"disk.raw\"\n[job.aws]\ns3_bucket_name = \"importbucket\"\n",
    );
    full(
        env.imgimport("run -q jobs.toml"),
        1,
        "
        web: error: could not write the result ami-ID to standard output
        web:   cause: No space left on device (os error 28)
        web:   hint: the import itself succeeded: note ami-ID
        ",
    )
    .await;
    let again = env.imgimport("run -q jobs.toml").output().await;
    again.code(0).stdout("web\tami-ID").stderr("");
}

#[tokio::test]
async fn a_report_that_is_not_written_is_an_error() {
    let env = TestEnv::new().await;
    env.file("disk.raw", sample::raw(2 << 20));
    let error = "
        error: could not write the report to standard output
          cause: No space left on device (os error 28)
        ";
    full(env.imgimport("check disk.raw"), 1, error).await;
    full(env.imgimport("check --output json disk.raw"), 1, error).await;
    let error = "
        error: could not write the help to standard output
          cause: No space left on device (os error 28)
        ";
    full(env.imgimport("--help"), 1, error).await;
    full(env.imgimport("aws --version"), 1, error).await;
}

#[tokio::test]
async fn an_error_keeps_its_own_exit_code() {
    let env = TestEnv::new().await;
    full(
        env.imgimport("aws --bucket importbucket --output json -q no.raw"),
        2,
        "error: there is no file no.raw",
    )
    .await;
}
