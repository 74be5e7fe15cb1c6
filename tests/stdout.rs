//! Standard output that can't be written: the id is in the error, and the exit code is 1.

use std::path::Path;

use imgimport_sandbox::sample;

use crate::support::{Run, Stage};

/// A disk without free space.
const FULL: &str = "/dev/full";

async fn full(run: Run<'_>, code: i32, stderr: &str) {
    let ended = run.stdout(Path::new(FULL)).ends().await;
    ended.exits(code).says(stderr);
}

#[tokio::test]
async fn the_id_of_an_image_is_in_the_error() {
    let stage = Stage::new().await;
    stage.disk(2);
    full(
        stage.imgimport("aws --bucket importbucket -q disk.raw"),
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
    let stage = Stage::new().await;
    stage.disk(2);
    full(
        stage.imgimport("aws --bucket importbucket --no-wait --output json -q disk.raw"),
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
async fn a_reader_that_is_gone_has_not_read_the_id() {
    let stage = Stage::new().await;
    stage.disk(2);
    let script = "imgimport aws --bucket importbucket -q disk.raw || echo $? > code";
    let run = stage.shell(&format!("({script}) | true")).ends().await;
    run.exits(0).prints("").says(
        "
        error: could not write the result ami-ID to standard output
          cause: Broken pipe (os error 32)
          hint: the import itself succeeded: note ami-ID
        ",
    );
    let code = std::fs::read_to_string(stage.path("code")).unwrap();
    assert_eq!(code.trim(), "1");
}

#[tokio::test]
async fn a_job_of_a_file_fails_and_the_next_run_prints_its_id() {
    let stage = Stage::new().await;
    stage.disk(2);
    stage.file(
        "jobs.toml",
        "[[job]]\nname = \"web\"\nimage = \"disk.raw\"\n[job.aws]\ns3_bucket_name = \"importbucket\"\n",
    );
    full(
        stage.imgimport("run -q jobs.toml"),
        1,
        "
        web: error: could not write the result ami-ID to standard output
        web:   cause: No space left on device (os error 28)
        web:   hint: the import itself succeeded: note ami-ID
        ",
    )
    .await;
    let again = stage.imgimport("run -q jobs.toml").ends().await;
    again.exits(0).prints("web\tami-ID").says("");
}

#[tokio::test]
async fn a_report_that_is_not_written_is_an_error() {
    let stage = Stage::new().await;
    stage.file("disk.raw", sample::raw(2 << 20));
    let error = "
        error: could not write the report to standard output
          cause: No space left on device (os error 28)
        ";
    full(stage.imgimport("check disk.raw"), 1, error).await;
    full(stage.imgimport("check --output json disk.raw"), 1, error).await;
    let error = "
        error: could not write the help to standard output
          cause: No space left on device (os error 28)
        ";
    full(stage.imgimport("--help"), 1, error).await;
    full(stage.imgimport("aws --version"), 1, error).await;
}

#[tokio::test]
async fn an_error_keeps_its_own_exit_code() {
    let stage = Stage::new().await;
    full(
        stage.imgimport("aws --bucket importbucket --output json -q no.raw"),
        2,
        "error: there is no file no.raw",
    )
    .await;
}
