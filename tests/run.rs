//! Many images, many clouds: a file of jobs, run some at a time.

use imgimport_sandbox::alibaba::{ImportScript as EcsScript, REGION};
use imgimport_sandbox::{CustomImageScript, Fault, Gate, ImportScript, SPACES_REGION, sample};
use serde_json::Value;

use crate::support::{Cmd, TestEnv};

/// `imgimport run ARGS` in the environment of all three clouds.
fn run<'a>(env: &'a TestEnv, args: &str) -> Cmd<'a> {
    let run = env.alicloud(&format!("run {args}"));
    let variables = env.cloud.digitalocean_environment();
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

fn two_disks(env: &TestEnv) -> (Vec<u8>, Vec<u8>) {
    let (one, two) = (env.disk(2), sample::raw(3 << 20));
    env.file("other.raw", &two);
    (one, two)
}

#[tokio::test]
async fn one_file_imports_into_three_clouds() {
    let env = TestEnv::new().await;
    env.cloud.oss().create_bucket("packer", REGION);
    env.cloud.ram().put_import_role();
    env.cloud.ecs().import_script(EcsScript::quick());
    env.cloud
        .spaces()
        .create_bucket_with_acls("space", SPACES_REGION);
    let digitalocean = env.cloud.digitalocean();
    digitalocean.import_script(CustomImageScript::quick());
    env.disk(2);
    env.file(
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
    let run = run(&env, "jobs.toml --output json --progress none")
        .output()
        .await;
    run.code(0).stderr("");
    let results = results(&run.stdout_raw);
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
    let env = TestEnv::new().await;
    env.disk(2);
    env.file(
        "jobs.toml",
        "[[job]]\nname = \"web\"\nimage = \"disk.raw\"\naws = { bucket = \"importbucket\" }\n",
    );
    run(&env, "jobs.toml")
        .output()
        .await
        .code(0)
        .stdout("web\tami-ID")
        .stderr(
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
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    let (one, two) = two_disks(&env);
    env.file(
        "jobs.toml",
        r#"
        aws = { bucket = "importbucket" }
        job = [
          { name = "one", provider = "aws", image = "disk.raw" },
          { name = "two", provider = "aws", image = "other.raw" },
        ]
        "#,
    );
    let running = run(&env, "jobs.toml -q --output json").start();
    // Both at the same time.
    env.cloud.wait_for_successes("ec2:ImportImage", 2).await;
    gate.release();
    let run = running.output().await;
    run.code(0);
    let results = results(&run.stdout_raw);
    for (result, bytes) in results.iter().zip([one, two]) {
        let id = result["image_id"].as_str().unwrap();
        assert_eq!(env.cloud.ec2().imported_bytes(id), Some(bytes));
    }
    assert!(env.cloud.s3().objects().is_empty());
}

#[tokio::test]
async fn no_more_than_max_jobs_run_at_once() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    two_disks(&env);
    env.file(
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
    let running = run(&env, "jobs.toml -q").start();
    env.cloud
        .wait_for_successes("ec2:DescribeImportImageTasks", 5)
        .await;
    assert_eq!(env.cloud.requests("ec2:ImportImage").len(), 1);
    gate.release();
    running
        .output()
        .await
        .code(0)
        .stdout("one\tami-ID\ntwo\tami-ID");
}

#[tokio::test]
async fn a_failing_job_does_not_stop_the_others_and_the_worst_end_counts() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.file(
        "text.txt",
        "not an image, but long enough to be looked at".repeat(40),
    );
    env.file(
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
    let run = run(&env, "jobs.toml -q --parallel 1 --output json")
        .output()
        .await;
    run.code(1);
    let results = results(&run.stdout_raw);
    assert!(results[0]["image_id"].is_string(), "{}", results[0]);
    assert_eq!(results[1]["job"], "nowhere");
    assert_eq!(results[1]["error"]["kind"], "failed");
    assert_eq!(results[2]["error"]["kind"], "usage");
    assert!(run.stderr.contains("nowhere: error: "), "{}", run.stderr);
    assert!(run.stderr.contains("wrong: error: "), "{}", run.stderr);
}

#[tokio::test]
async fn a_passed_deadline_exits_with_4_and_the_rerun_continues() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    env.disk(2);
    env.file(
        "jobs.toml",
        "wait = { timeout = \"50ms\" }\n[[job]]\nname = \"web\"\nimage = \"disk.raw\"\naws = { bucket = \"importbucket\" }\n",
    );
    run(&env, "jobs.toml -q").output().await.code(4).stdout("");
    gate.release();
    run(&env, "jobs.toml -q")
        .env("IMGIMPORT_TIMEOUT", "1h")
        .output()
        .await
        .code(0)
        .stdout("web\tami-ID");
    assert_eq!(
        env.cloud.requests("ec2:ImportImage").len(),
        1,
        "attached to"
    );
    assert_eq!(
        env.cloud.requests("s3:CreateMultipartUpload").len()
            + env.cloud.requests("s3:PutObject").len(),
        1
    );
}

#[tokio::test]
async fn ctrl_c_stops_all_jobs_and_names_the_leftovers_of_each() {
    let env = TestEnv::new().await;
    let gate = env
        .cloud
        .hold(Fault::on("s3:UploadPart").with("partNumber", "3").always());
    let disk = env.disk(22);
    env.file("other.raw", &disk);
    env.file(
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
    let running = run(&env, "jobs.toml -q").start();
    gate.reached_by(2).await;
    env.cloud.wait_for_successes("s3:UploadPart", 4).await;
    running.signal("INT");
    let ended = running.output().await;
    ended.code(130).stdout("");
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
    env.cloud.clear_faults();
    run(&env, "jobs.toml -q").output().await.code(0);
    assert_eq!(env.cloud.ec2().images().len(), 3);
}

#[tokio::test]
async fn invalid_jobs_are_reported_at_once_before_any_starts() {
    let env = TestEnv::new().await;
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
        env.file("jobs.toml", jobs);
        let ended = run(&env, "jobs.toml").output().await;
        ended.code(2).stdout("");
        ended.stderr(said);
    }
    assert!(env.cloud.requests_so_far().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn an_entry_overrides_the_environment_and_the_environment_the_defaults() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.file(
        "jobs.toml",
        r#"
        image = "disk.raw"
        aws = { bucket = "nosuchbucket", key = "common", ami_description = "common" }
        job = [{ aws = { bucket = "importbucket" } }]
        "#,
    );
    run(&env, "jobs.toml -q")
        .env("IMGIMPORT_AWS_BUCKET", "anotherbucket")
        .env("IMGIMPORT_AWS_KEY", "variable")
        .output()
        .await
        .code(0)
        .stdout("aws-1\tami-ID");
    assert_eq!(env.cloud.ec2().import_tasks()[0].key, "variable");
}

#[tokio::test]
async fn a_rerun_imports_only_the_jobs_without_an_image() {
    let env = TestEnv::new().await;
    two_disks(&env);
    env.file(
        "jobs.toml",
        r#"
        aws = { bucket = "importbucket" }
        job = [
          { name = "one", provider = "aws", image = "disk.raw" },
          { name = "two", provider = "aws", image = "missing.raw" },
        ]
        "#,
    );
    let first = run(&env, "jobs.toml -q").output().await;
    first.code(2).stdout("one\tami-ID");
    std::fs::rename(env.path("other.raw"), env.path("missing.raw")).unwrap();
    let second = run(&env, "jobs.toml --parallel 1").output().await;
    second.code(0).stdout("one\tami-ID\ntwo\tami-ID");
    assert!(
        second.stdout_raw.starts_with(&first.stdout_raw),
        "the same image is named again"
    );
    assert!(
        second
            .stderr
            .starts_with("one: An earlier run of this file has imported it\ntwo: "),
        "{}",
        second.stderr
    );
    assert_eq!(env.cloud.requests("ec2:ImportImage").len(), 2);
    assert!(env.journal().is_empty(), "all of it is done");
    run(&env, "jobs.toml -q").output().await.code(0);
    assert_eq!(
        env.cloud.requests("ec2:ImportImage").len(),
        4,
        "another run is another import"
    );
}

#[tokio::test]
async fn an_image_that_changed_is_imported_again() {
    let env = TestEnv::new().await;
    two_disks(&env);
    env.file(
        "jobs.toml",
        r#"
        aws = { bucket = "importbucket" }
        job = [
          { name = "one", provider = "aws", image = "disk.raw" },
          { name = "two", provider = "aws", image = "missing.raw" },
        ]
        "#,
    );
    run(&env, "jobs.toml -q").output().await.code(2);
    env.file("disk.raw", sample::raw(4 << 20));
    run(&env, "jobs.toml -q").output().await.code(2);
    assert_eq!(env.cloud.requests("ec2:ImportImage").len(), 2);
}

#[tokio::test]
async fn without_a_journal_two_jobs_do_not_meet_under_one_name_either() {
    let env = TestEnv::new().await;
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    let (one, two) = two_disks(&env);
    env.file(
        "jobs.toml",
        r#"
        aws = { bucket = "importbucket" }
        job = [
          { name = "one", provider = "aws", image = "disk.raw" },
          { name = "two", provider = "aws", image = "other.raw" },
        ]
        "#,
    );
    env.file("file", "no directory");
    let nowhere = env.path("file/state");
    let running = run(&env, "jobs.toml -q --output json")
        .env("XDG_STATE_HOME", nowhere.to_str().unwrap())
        .start();
    env.cloud.wait_for_successes("ec2:ImportImage", 2).await;
    gate.release();
    let run = running.output().await;
    run.code(0);
    for (result, bytes) in results(&run.stdout_raw).iter().zip([one, two]) {
        let id = result["image_id"].as_str().unwrap();
        assert_eq!(env.cloud.ec2().imported_bytes(id), Some(bytes));
    }
}

#[tokio::test]
async fn a_second_settings_file_is_not_passed_over_in_silence() {
    let env = TestEnv::new().await;
    run(&env, "jobs.toml --config other.toml")
        .output()
        .await
        .code(2)
        .stdout("")
        .stderr("error: run reads the file that it is given, and no other: leave --config out");
}
