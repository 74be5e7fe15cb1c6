//! The README's policies, held against what the program can ask of each cloud: the calls
//! that its sources name, and those that the sandbox's OSS has heard.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use imgimport_sandbox::Fault;
use imgimport_sandbox::alibaba::ImportScript;
use regex::Regex;

use super::home;
use crate::support::{RunningCmd, TestEnv};

/// What RAM calls the permission, where it is not the operation's own name ("OSS action
/// classification").
const OSS: &[(&str, &str)] = &[
    ("InitiateMultipartUpload", "PutObject"),
    ("UploadPart", "PutObject"),
    ("CompleteMultipartUpload", "PutObject"),
    ("HeadObject", "GetObject"),
];

/// What is done with a client of the SDK and asks for nothing.
const OURS: [&str; 4] = ["config", "clone", "build", "as_ref"];

/// Asked for by nobody's own call: EC2 and ECS demand it of whoever starts an import.
const PASSED: [&str; 2] = ["iam:PassRole", "ram:PassRole"];

/// All Rust below a directory.
fn sources(dir: &Path) -> String {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                fs::read_to_string(path).unwrap()
            }
        })
        .collect()
}

/// A part of the README.
fn section(heading: &str) -> String {
    let readme = fs::read_to_string(home("README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The actions that a text names, of these services.
fn granted(text: &str, services: &str) -> BTreeSet<String> {
    let action = Regex::new(&format!(r"(?-u:\b)(?:{services}):[A-Z][A-Za-z]+")).unwrap();
    action
        .find_iter(text)
        .map(|found| found.as_str().to_owned())
        .filter(|action| !PASSED.contains(&action.as_str()))
        .collect()
}

/// `describe_images` is DescribeImages.
fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

#[test]
fn aws_is_asked_for_what_the_readmes_policies_allow() {
    let call = Regex::new(r"(?-u:\b)(ec2|iam|ssm)\s*\.([a-z0-9_]+)\(\)").unwrap();
    let text = sources(&home("src/aws"));
    let mut can: BTreeSet<_> = call
        .captures_iter(&text)
        .filter(|found| !OURS.contains(&&found[2]))
        .map(|found| format!("{}:{}", &found[1], camel(&found[2])))
        .collect();
    let direct =
        Regex::new(r"\.(start_snapshot|put_snapshot_block|complete_snapshot)\(\)").unwrap();
    can.extend(
        direct
            .captures_iter(&text)
            .map(|found| format!("ebs:{}", camel(&found[1]))),
    );
    assert_eq!(
        can,
        granted(&section("Amazon Web Services"), "ec2|iam|ssm|ebs")
    );
}

/// Holds the third part, so that two are there when the signal comes.
async fn stopped_with_two_parts<'a>(env: &'a TestEnv, args: &str) -> RunningCmd<'a> {
    let hold = Fault::on("oss:UploadPart").with("partNumber", "3").always();
    let gate = env.cloud.hold(hold);
    let sent = env.cloud.requests("oss:UploadPart").len();
    let running = env.alicloud(args).start();
    gate.reached().await;
    env.cloud
        .wait_for_successes("oss:UploadPart", sent + 2)
        .await;
    running.signal("INT");
    running
}

/// What OSS hears of a bucket that is made, an upload that is stopped and goes on without
/// its journal, one that is given up, and a bucket that may not be described.
async fn oss() -> BTreeSet<String> {
    let env = TestEnv::new().await;
    env.cloud.ecs().import_script(ImportScript::quick());
    env.cloud.ram().set_delay(0);
    env.disk(22);
    let args = "alicloud --bucket packer --key web.raw --part-size 5MiB --concurrency 2 disk.raw";
    let mut running = stopped_with_two_parts(&env, args).await;
    running.wait_for_stderr("Ctrl-C once more").await;
    running.signal("INT");
    running.output().await.code(130);
    env.cloud.clear_faults();
    let running = stopped_with_two_parts(&env, args).await;
    running.output().await.code(130);
    env.cloud.clear_faults();
    env.cloud.fault(
        Fault::on("oss:GetBucketInfo")
            .always()
            .answer(403, "AccessDenied", "no"),
    );
    let elsewhere = env.path("elsewhere");
    let again = env
        .alicloud(args)
        .env("XDG_STATE_HOME", elsewhere.to_str().unwrap());
    again.output().await.code(0);
    let heard = env
        .cloud
        .requests_so_far()
        .into_iter()
        .map(|entry| entry.operation);
    heard
        .filter(|operation| operation.starts_with("oss:"))
        .collect()
}

fn permission(operation: &str) -> String {
    let call = operation.trim_start_matches("oss:");
    let other = OSS.iter().find(|(known, _)| *known == call);
    format!("oss:{}", other.map_or(call, |(_, action)| action))
}

#[tokio::test]
async fn alibaba_is_asked_for_what_the_readmes_policy_allows() {
    let call = Regex::new(r#"\.(ecs|ram)(?:_in|_at)?\(\s*(?:[a-z_]+,\s*)?"([A-Za-z]+)""#).unwrap();
    let text = sources(&home("src/alicloud"));
    let calls = call.captures_iter(&text);
    let mut can: BTreeSet<_> = calls
        .map(|found| format!("{}:{}", &found[1], &found[2]))
        .collect();
    can.extend(oss().await.iter().map(|operation| permission(operation)));
    let section = section("Alibaba Cloud");
    let policy = section.split("```json").nth(1).unwrap();
    let policy = policy.split("```").next().unwrap();
    assert_eq!(can, granted(policy, "ecs|oss|ram"));
}

#[test]
fn the_readmes_policies_are_documents_that_a_console_takes() {
    let readme = fs::read_to_string(home("README.md")).unwrap();
    let blocks = readme.split("```json\n").skip(1);
    let policies: Vec<serde_json::Value> = blocks
        .filter_map(|rest| rest.split("```").next())
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let versions: Vec<_> = policies
        .iter()
        .map(|policy| policy["Version"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["2012-10-17", "2012-10-17", "1"]);
    for policy in &policies {
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            assert!(statement["Action"].is_array() && statement["Resource"].is_string());
        }
    }
}
