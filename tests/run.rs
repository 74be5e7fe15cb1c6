//! Many images, many clouds: a file of jobs, run some at a time.

use imgimport_sandbox::alibaba::{ImportScript as EcsScript, REGION};
use imgimport_sandbox::{CustomImageScript, Fault, Gate, ImportScript, SPACES_REGION, sample};
use serde_json::Value;

use crate::support::{Run, Stage};

/// `imgimport run ARGS` in the environment of all three clouds.
fn run<'a>(stage: &'a Stage, args: &str) -> Run<'a> {
    let run = stage.alicloud(&format!("run {args}"));
    let variables = stage.cloud.digitalocean_environment();
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

/// What each line of standard output says, by the job's name.
fn results(stdout: &str) -> Vec<Value> {
    let mut results: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    results.sort_by_key(|result| result["job"].to_string());
    results
}

fn two_disks(stage: &Stage) -> (Vec<u8>, Vec<u8>) {
    let (one, two) = (stage.disk(2), sample::raw(3 << 20));
    stage.file("other.raw", &two);
    (one, two)
}

#[tokio::test]
async fn one_file_imports_into_three_clouds() {
    let stage = Stage::new().await;
    stage.cloud.oss().create_bucket("packer", REGION);
    stage.cloud.ram().put_import_role();
    stage.cloud.ecs().import_script(EcsScript::quick());
    stage
        .cloud
        .spaces()
        .create_bucket_with_acls("space", SPACES_REGION);
    let digitalocean = stage.cloud.digitalocean();
    digitalocean.import_script(CustomImageScript::quick());
    stage.disk(2);
    stage.file(
        "jobs.toml",
        r#"
        image = "disk.raw"

        [aws]
        s3_bucket_name = "importbucket"

        [[job]]
        name = "web"
        provider = "aws"

        [[job]]
        alicloud = { oss_bucket_name = "packer", image_name = "web" }

        [[job]]
        [job.digitalocean]
        space_name = "space"
        spaces_region = "nyc3"
        image_name = "web"
        image_regions = "nyc3"
        "#,
    );
    let run = run(&stage, "jobs.toml --output json --progress none")
        .ends()
        .await;
    run.exits(0).says("");
    let results = results(&run.raw);
    let said: Vec<_> = results
        .iter()
        .map(|result| {
            (
                result["job"].as_str().unwrap(),
                result["provider"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("alicloud-2", "alicloud"),
            ("digitalocean-3", "digitalocean"),
            ("web", "aws")
        ]
    );
    for result in &results {
        assert_eq!(result["schema"], 1);
        assert!(result["image_id"].is_string(), "{result}");
        assert!(
            result["source"]["sha256"].is_string(),
            "as a single run says it"
        );
    }
}

#[tokio::test]
async fn each_line_in_a_pipe_begins_with_the_name_of_its_job() {
    let stage = Stage::new().await;
    stage.disk(2);
    stage.file(
        "jobs.toml",
        "[[job]]\nname = \"web\"\nimage = \"disk.raw\"\naws = { bucket = \"importbucket\" }\n",
    );
    run(&stage, "jobs.toml")
        .ends()
        .await
        .exits(0)
        .prints("web\tami-ID")
        .says(
            "
        web: disk.raw: raw disk, 2.0 MiB disk
        web: Checking the account, bucket importbucket and role vmimport in eu-central-1
        web: Uploading to s3://importbucket/imgimport-1767225600.raw
        web:  100 % (2.0 MiB of 2.0 MiB)
        web: Uploaded 2.0 MiB in TIME
        web: Importing as import-ami-TASK
        web:    2 % pending
        web: Imported as ami-ID
        ",
        );
}

#[tokio::test]
async fn two_jobs_of_one_second_do_not_meet_under_one_name() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    let (one, two) = two_disks(&stage);
    stage.file(
        "jobs.toml",
        r#"
        aws = { bucket = "importbucket" }
        job = [
          { name = "one", provider = "aws", image = "disk.raw" },
          { name = "two", provider = "aws", image = "other.raw" },
        ]
        "#,
    );
    let running = run(&stage, "jobs.toml -q --output json").start();
    // Both at the same time.
    stage.cloud.succeeded("ec2:ImportImage", 2).await;
    gate.release();
    let run = running.ends().await;
    run.exits(0);
    let results = results(&run.raw);
    for (result, bytes) in results.iter().zip([one, two]) {
        let id = result["image_id"].as_str().unwrap();
        assert_eq!(stage.cloud.ec2().arrived(id), Some(bytes));
    }
    assert!(stage.cloud.s3().objects().is_empty());
}

#[tokio::test]
async fn no_more_jobs_run_at_the_same_time_than_was_said() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    two_disks(&stage);
    stage.file(
        "jobs.toml",
        r#"
        parallel = 1
        aws = { bucket = "importbucket" }
        job = [
          { name = "one", provider = "aws", image = "disk.raw" },
          { name = "two", provider = "aws", image = "other.raw" },
        ]
        "#,
    );
    let running = run(&stage, "jobs.toml -q").start();
    stage
        .cloud
        .succeeded("ec2:DescribeImportImageTasks", 5)
        .await;
    assert_eq!(stage.cloud.requests("ec2:ImportImage").len(), 1);
    gate.release();
    running
        .ends()
        .await
        .exits(0)
        .prints("one\tami-ID\ntwo\tami-ID");
}

#[tokio::test]
async fn a_failing_job_does_not_stop_the_others_and_the_worst_end_counts() {
    let stage = Stage::new().await;
    stage.disk(2);
    stage.file(
        "text.txt",
        "not an image, but long enough to be looked at".repeat(40),
    );
    stage.file(
        "jobs.toml",
        r#"
        aws = { bucket = "importbucket" }
        [[job]]
        name = "nowhere"
        image = "disk.raw"
        aws = { bucket = "nosuchbucket" }
        [[job]]
        name = "good"
        image = "disk.raw"
        provider = "aws"
        [[job]]
        name = "wrong"
        image = "disk.raw"
        aws = { ami_name = "a*" }
        "#,
    );
    let run = run(&stage, "jobs.toml -q --parallel 1 --output json")
        .ends()
        .await;
    run.exits(1);
    let results = results(&run.raw);
    assert!(results[0]["image_id"].is_string(), "{}", results[0]);
    assert_eq!(results[1]["job"], "nowhere");
    assert_eq!(results[1]["error"]["kind"], "failed");
    assert_eq!(results[2]["error"]["kind"], "usage");
    assert!(run.stderr.contains("nowhere: error: "), "{}", run.stderr);
    assert!(run.stderr.contains("wrong: error: "), "{}", run.stderr);
}

#[tokio::test]
async fn a_deadline_alone_is_exit_code_4_and_the_same_command_goes_on() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    stage.disk(2);
    stage.file(
        "jobs.toml",
        "wait = { timeout = \"50ms\" }\n[[job]]\nname = \"web\"\nimage = \"disk.raw\"\naws = { bucket = \"importbucket\" }\n",
    );
    run(&stage, "jobs.toml -q").ends().await.exits(4).prints("");
    gate.release();
    run(&stage, "jobs.toml -q")
        .env("IMGIMPORT_TIMEOUT", "1h")
        .ends()
        .await
        .exits(0)
        .prints("web\tami-ID");
    assert_eq!(
        stage.cloud.requests("ec2:ImportImage").len(),
        1,
        "attached to"
    );
    assert_eq!(
        stage.cloud.requests("s3:CreateMultipartUpload").len()
            + stage.cloud.requests("s3:PutObject").len(),
        1
    );
}

#[tokio::test]
async fn ctrl_c_stops_all_and_names_what_stays_of_each() {
    let stage = Stage::new().await;
    let gate = stage
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    let disk = stage.disk(22);
    stage.file("other.raw", &disk);
    stage.file(
        "jobs.toml",
        r#"
        aws = { bucket = "importbucket" }
        upload = { part_size = "5MiB", concurrency = 2 }
        job = [
          { name = "one", provider = "aws", image = "disk.raw", aws = { key = "one" } },
          { name = "two", provider = "aws", image = "other.raw", aws = { key = "two" } },
          { name = "three", provider = "aws", image = "other.raw", aws = { key = "three" } },
        ]
        "#,
    );
    let running = run(&stage, "jobs.toml -q").start();
    gate.reached_by(2).await;
    stage.cloud.succeeded("s3:UploadPart", 4).await;
    running.signal("INT");
    let ended = running.ends().await;
    ended.exits(130).prints("");
    for said in [
        "one: error: stopped\n",
        "two: error: stopped\n",
        "three: error: stopped before it began\n",
        "one:   hint: the same command goes on from there",
    ] {
        assert!(
            format!("{}\n", ended.stderr).contains(said),
            "{said}\n{}",
            ended.stderr
        );
    }
    for name in ["one", "two"] {
        let said = format!("{name}:   left behind: ");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(&format!("s3://importbucket/{name}")),
            "{}",
            ended.stderr
        );
    }
    gate.release();
    stage.cloud.clear_faults();
    run(&stage, "jobs.toml -q").ends().await.exits(0);
    assert_eq!(stage.cloud.ec2().images().len(), 3);
}

#[tokio::test]
async fn what_is_wrong_with_the_jobs_is_said_at_once_before_any_begins() {
    let stage = Stage::new().await;
    for (jobs, said) in [
        (
            "",
            "error: the file has no jobs\n  hint: write an entry [[job]] for each import: see imgimport run --help",
        ),
        (
            "[[job]]\nname = \"a\"\n",
            "error: job 1 (\"a\"): it names no cloud: write provider = \"aws\", or a table such as [job.aws]",
        ),
        (
            "[[job]]\naws = {}\n[[job]]\nname = \"aws-1\"\nprovider = \"aws\"\n[[job]]\naws = {}\nalicloud = {}\n[[job]]\nname = \"\"\naws = {}\n[[job]]\nimage = \"-\"\naws = {}\n",
            "
            error: 4 jobs are wrong
              - job 2 (\"aws-1\"): another job has that name
              - job 3: it is about several clouds: write a job for each
              - job 4 (\"\"): a job's name is one line, and not empty
              - job 5: standard input can't be shared out among jobs: give the path of a file
            ",
        ),
        (
            "[[job]]\naws = { buckt = \"b\" }\n",
            "
            error: the settings file jobs.toml can't be used
              cause: unknown key `buckt`; did you mean `bucket`?
                 --> jobs.toml:2:9
                  |
                2 | aws = { buckt = \"b\" }
                  |         ^^^^^
            ",
        ),
    ] {
        stage.file("jobs.toml", jobs);
        let ended = run(&stage, "jobs.toml").ends().await;
        ended.exits(2).prints("");
        ended.says(said);
    }
    assert!(stage.cloud.journal().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn an_entry_wins_over_the_environment_and_that_over_what_all_have_in_common() {
    let stage = Stage::new().await;
    stage.disk(2);
    stage.file(
        "jobs.toml",
        r#"
        image = "disk.raw"
        aws = { bucket = "nosuchbucket", key = "common", ami_description = "common" }
        job = [{ aws = { bucket = "importbucket" } }]
        "#,
    );
    run(&stage, "jobs.toml -q")
        .env("IMGIMPORT_AWS_BUCKET", "anotherbucket")
        .env("IMGIMPORT_AWS_KEY", "variable")
        .ends()
        .await
        .exits(0)
        .prints("aws-1\tami-ID");
    assert_eq!(stage.cloud.ec2().import_tasks()[0].key, "variable");
}

#[tokio::test]
async fn a_file_that_is_run_again_imports_only_what_has_no_image_yet() {
    let stage = Stage::new().await;
    two_disks(&stage);
    stage.file(
        "jobs.toml",
        r#"
        aws = { bucket = "importbucket" }
        job = [
          { name = "one", provider = "aws", image = "disk.raw" },
          { name = "two", provider = "aws", image = "missing.raw" },
        ]
        "#,
    );
    let first = run(&stage, "jobs.toml -q").ends().await;
    first.exits(2).prints("one\tami-ID");
    std::fs::rename(stage.path("other.raw"), stage.path("missing.raw")).unwrap();
    let second = run(&stage, "jobs.toml --parallel 1").ends().await;
    second.exits(0).prints("one\tami-ID\ntwo\tami-ID");
    assert!(
        second.raw.starts_with(&first.raw),
        "the same image is named again"
    );
    assert!(
        second
            .stderr
            .starts_with("one: An earlier run of this file has imported it\ntwo: "),
        "{}",
        second.stderr
    );
    assert_eq!(stage.cloud.requests("ec2:ImportImage").len(), 2);
    assert!(stage.journal().is_empty(), "all of it is done");
    run(&stage, "jobs.toml -q").ends().await.exits(0);
    assert_eq!(
        stage.cloud.requests("ec2:ImportImage").len(),
        4,
        "another run is another import"
    );
}

#[tokio::test]
async fn an_image_that_changed_is_imported_again() {
    let stage = Stage::new().await;
    two_disks(&stage);
    stage.file(
        "jobs.toml",
        r#"
        aws = { bucket = "importbucket" }
        job = [
          { name = "one", provider = "aws", image = "disk.raw" },
          { name = "two", provider = "aws", image = "missing.raw" },
        ]
        "#,
    );
    run(&stage, "jobs.toml -q").ends().await.exits(2);
    stage.file("disk.raw", sample::raw(4 << 20));
    run(&stage, "jobs.toml -q").ends().await.exits(2);
    assert_eq!(stage.cloud.requests("ec2:ImportImage").len(), 2);
}

#[tokio::test]
async fn without_a_journal_two_jobs_do_not_meet_under_one_name_either() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.cloud.import_script(ImportScript::quick().hold(&gate));
    let (one, two) = two_disks(&stage);
    stage.file(
        "jobs.toml",
        r#"
        aws = { bucket = "importbucket" }
        job = [
          { name = "one", provider = "aws", image = "disk.raw" },
          { name = "two", provider = "aws", image = "other.raw" },
        ]
        "#,
    );
    stage.file("file", "no directory");
    let nowhere = stage.path("file/state");
    let running = run(&stage, "jobs.toml -q --output json")
        .env("XDG_STATE_HOME", nowhere.to_str().unwrap())
        .start();
    stage.cloud.succeeded("ec2:ImportImage", 2).await;
    gate.release();
    let run = running.ends().await;
    run.exits(0);
    for (result, bytes) in results(&run.raw).iter().zip([one, two]) {
        let id = result["image_id"].as_str().unwrap();
        assert_eq!(stage.cloud.ec2().arrived(id), Some(bytes));
    }
}

#[tokio::test]
async fn a_second_settings_file_is_not_passed_over_in_silence() {
    let stage = Stage::new().await;
    run(&stage, "jobs.toml --config other.toml")
        .ends()
        .await
        .exits(2)
        .prints("")
        .says("error: run reads the file that it is given, and no other: leave --config out");
}
