//! Every command that the manual, the help and the README show is run, as it stands there,
//! against the sandbox; what the README says that it prints is what it prints.

use std::fs;

use imgimport_sandbox::alibaba::{CopyScript, ImportScript as EcsScript};
use imgimport_sandbox::{CustomImageScript, Fault, SPACES_REGION, TransferScript, sample};
use regex::Regex;

use super::home;
use crate::support::{Cmd, TestEnv, TestSystem};

const TEMPLATE: &str =
    r#"{"post-processors": [{"type": "amazon-import", "s3_bucket_name": "importbucket"}]}"#;
const HCL: &str = r#"build {
  post-processor "amazon-import" {
    s3_bucket_name = "importbucket"
  }
}
"#;

const FOLDER: &str = r#"variable "image-name" {
  type = string
}
build {
  post-processor "amazon-import" {
    s3_bucket_name = "importbucket"
    ami_name       = var.image-name
  }
}
"#;

/// The three clouds, and every file that an example names.
async fn stage() -> TestEnv {
    let env = TestEnv::new().await;
    env.cloud.ecs().import_script(EcsScript::quick());
    env.cloud.ecs().copy_script(CopyScript::creating(1));
    env.cloud.ram().set_delay(0);
    let clouds = &env.cloud;
    clouds
        .spaces()
        .create_bucket_with_acls("import-bucket", SPACES_REGION);
    clouds
        .digitalocean()
        .import_script(CustomImageScript::quick());
    clouds
        .digitalocean()
        .transfer_script(TransferScript::default());
    for name in [
        "disk.raw",
        "disk.ova",
        "disk.qcow2",
        "web.ova",
        "db.ova",
        "web.qcow2",
    ] {
        sample::write(&env.path(name), 2 << 20).unwrap();
    }
    env.file("disk.json", TEMPLATE);
    env.file("disk.pkr.hcl", HCL);
    fs::create_dir(env.path("templates")).unwrap();
    env.file("templates/web.pkr.hcl", FOLDER);
    env.file("jobs.toml", jobs());
    // "AMZNUEFI", as EC2 writes it
    env.file("vars", "QU1aTlVFRkkgd2l0aCBrZXlzIG9mIG91cnM=");
    env.shell("gzip -k disk.raw").output().await.code(0);
    env
}

fn readme() -> String {
    fs::read_to_string(home("README.md")).unwrap()
}

fn blocks<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    let start = format!("```{kind}\n");
    let rest = text.split(start.as_str()).skip(1);
    rest.filter_map(|rest| rest.split("```").next()).collect()
}

/// The README's file of jobs.
fn jobs() -> String {
    let readme = readme();
    let files = blocks(&readme, "toml");
    let jobs = files.into_iter().find(|file| file.contains("[[job]]"));
    jobs.unwrap().to_owned()
}

/// In the environment of all three clouds.
fn everywhere<'a>(env: &TestEnv, run: Cmd<'a>) -> Cmd<'a> {
    let variables = env.cloud.digitalocean_environment();
    let run = run.on_alibaba();
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

async fn works(script: &str) {
    let env = stage().await;
    let ended = everywhere(&env, env.shell(script)).output().await;
    assert_eq!(
        ended.code,
        Some(0),
        "{script}\n{}{}",
        ended.stdout,
        ended.stderr
    );
}

#[tokio::test]
async fn every_example_of_the_manual_does_what_it_says() {
    for page in imgimport::help_text::PAGES {
        for (_, script) in page.examples {
            works(script).await;
        }
    }
}

/// The commands of the README's blocks for a shell; the sandbox's own are those of the
/// program, which it runs against itself.
fn commands() -> Vec<String> {
    let readme = readme().replace("\\\n", "");
    // What the sandbox does to the network is its own affair.
    let readme = readme.replace(" --bad-network", "");
    let lines = blocks(&readme, "sh").into_iter().flat_map(str::lines);
    let words = lines.map(|line| line.replace("cargo run -p imgimport-sandbox --", "imgimport"));
    words
        .filter(|line| line.starts_with("imgimport "))
        .collect()
}

#[tokio::test]
async fn every_command_of_the_readme_works() {
    let commands = commands();
    assert!(commands.len() >= 10, "{commands:#?}");
    for command in commands {
        let bucket = command.contains("alicloud");
        let script = if bucket {
            command.replace("1234567890", "1")
        } else {
            command
        };
        works(&script).await;
    }
}

/// The README's block that begins with this command.
fn console(command: &str) -> String {
    let readme = readme();
    let shown = blocks(&readme, "console").into_iter();
    let begin = format!("$ {command}\n");
    let mut found = shown.filter(|block| block.starts_with(&begin));
    found.next().unwrap().to_owned()
}

/// The system of the README's image is the smallest Debian that was to be had, without SSH.
#[tokio::test]
async fn the_readmes_page_of_a_look_is_what_check_prints() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system
        .without("usr/sbin/sshd")
        .without("etc/systemd/system/multi-user.target.wants/ssh.service");
    let env = stage().await;
    system.write(&env.path("debian.raw"));
    let disk = fs::read(env.path("debian.raw")).unwrap();
    env.file("disk.ova", sample::ova("debian12-disk1", &disk));
    let run = env
        .imgimport("check disk.ova")
        .env("COLUMNS", "80")
        .output()
        .await;
    run.code(0).stderr("");
    let verdict = |page: &str| page[page.find("\nAWS: ").unwrap()..].trim_end().to_owned();
    assert_eq!(
        verdict(&run.stdout),
        verdict(&console("imgimport check disk.ova"))
    );
    let fact = Regex::new(r"(?m)^  ([A-Z][A-Za-z ]+?|cloud-init)  ").unwrap();
    let facts = |page: &str| -> Vec<_> {
        let found = fact.captures_iter(page);
        found.map(|found| found[1].to_owned()).collect()
    };
    let shown = console("imgimport check disk.ova");
    assert_eq!(facts(&run.stdout), facts(&shown));
}

#[tokio::test]
async fn the_readmes_list_of_jobs_is_what_jobs_prints() {
    let env = stage().await;
    let image = sample::ova("disk", &sample::raw(22 << 20));
    env.file("disk.ova", image);
    let third = Fault::on("s3:UploadPart").with("partNumber", "3");
    let gate = env.cloud.hold(third.always());
    let args = "aws --bucket importbucket --part-size 5MiB --concurrency 2 -q disk.ova";
    let running = env.imgimport(args).start();
    gate.reached().await;
    env.cloud.wait_for_successes("s3:UploadPart", 2).await;
    running.signal("INT");
    running.output().await.code(130);
    env.cloud.clear_faults();

    let later = "1767236400";
    let run = env.imgimport("jobs").env("SOURCE_DATE_EPOCH", later);
    let listed = run.output().await;
    let id = listed.stdout_raw.split_whitespace().next().unwrap();
    let cleaned = env.imgimport(&format!("jobs --clean {id}")).output().await;
    let session = format!(
        "$ imgimport jobs\n{}$ imgimport jobs --clean {id}\n{}{}",
        listed.stdout, cleaned.stderr, cleaned.stdout
    );
    let differs = Regex::new(r"(?-u:\b)[0-9a-f]{8}(?-u:\b)|[0-9.]+ MiB").unwrap();
    let same = |text: &str| differs.replace_all(text.trim_end(), "…").into_owned();
    assert_eq!(same(&session), same(&console("imgimport jobs")));
}
