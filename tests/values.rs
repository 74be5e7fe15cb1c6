//! Values from outside: white space around them is removed, empty ones are unset, what can't
//! be sent is refused with its name, and no value of any variable or key makes the program
//! panic or print a secret.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use imgimport_sandbox::Fault;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use regex::Regex;

use crate::support::{BUCKET, Cmd, TestEnv};

const AWS: &str = "aws --bucket importbucket --dry-run -q disk.raw";
const ALICLOUD: &str = "alicloud --bucket packer --dry-run -q disk.raw";
const DIGITALOCEAN: &str = "digitalocean --space importbucket --spaces-region nyc3 --image-name web --image-region nyc3 --dry-run -q disk.raw";

/// A stage on which a dry run succeeds in all three clouds.
async fn stage() -> TestEnv {
    let env = TestEnv::new().await;
    env.cloud.ram().set_delay(0);
    env.cloud
        .spaces()
        .create_bucket_with_acls(BUCKET, imgimport_sandbox::SPACES_REGION);
    env.disk(2);
    env
}

/// In the environment of all three clouds.
fn with_all_clouds<'a>(env: &'a TestEnv, args: &str) -> Cmd<'a> {
    let variables = env.cloud.digitalocean_environment();
    let run = env.alicloud(args);
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

/// What the environment of the stage has under this name.
fn value(env: &TestEnv, name: &str) -> String {
    let cloud = &env.cloud;
    let all = [
        cloud.environment(),
        cloud.alibaba_environment(),
        cloud.digitalocean_environment(),
    ];
    let mut found = all.into_iter().flatten();
    found.find(|(known, _)| known == name).unwrap().1
}

const NAMES: [(&str, &str); 10] = [
    (AWS, "AWS_ACCESS_KEY_ID"),
    (AWS, "AWS_SECRET_ACCESS_KEY"),
    (AWS, "AWS_REGION"),
    (AWS, "AWS_ENDPOINT_URL_S3"),
    (ALICLOUD, "ALICLOUD_ACCESS_KEY"),
    (ALICLOUD, "ALICLOUD_SECRET_KEY"),
    (ALICLOUD, "ALICLOUD_REGION"),
    (DIGITALOCEAN, "DIGITALOCEAN_TOKEN"),
    (DIGITALOCEAN, "SPACES_ACCESS_KEY_ID"),
    (DIGITALOCEAN, "SPACES_SECRET_ACCESS_KEY"),
];

#[tokio::test]
async fn a_value_with_a_line_break_at_its_end_is_the_value() {
    let env = stage().await;
    for (command, name) in NAMES {
        let padded = format!(" {}\r\n", value(&env, name));
        let run = with_all_clouds(&env, command)
            .env(name, &padded)
            .output()
            .await;
        run.code(0).stdout("").stderr("");
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_sent_is_refused_with_its_name() {
    let env = stage().await;
    for (command, name) in NAMES {
        let value = value(&env, name);
        for broken in [format!("{value}\n{value}"), format!("{value}ü")] {
            let run = with_all_clouds(&env, command)
                .env(name, &broken)
                .output()
                .await;
            run.code(2).stdout("");
            assert!(run.stderr.contains(name), "{name}: {}", run.stderr);
        }
    }
    let run = with_all_clouds(&env, AWS).env("AWS_SESSION_TOKEN", "to\nken");
    run.output().await.code(2).stderr(
        "
        error: the variable AWS_SESSION_TOKEN is wrong
          cause: a key or token can't have a line break in it, this one has it at character 3
        ",
    );
    let run = with_all_clouds(&env, AWS).env_bytes("AWS_ACCESS_KEY_ID", b"AKIA\xff");
    run.output().await.code(2).stderr(
        "
        error: the variable AWS_ACCESS_KEY_ID is wrong
          cause: it is not UTF-8
        ",
    );
    let asked = env.cloud.requests_so_far();
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn keys_in_the_files_of_other_programs_are_checked_too() {
    let env = stage().await;
    fs::create_dir_all(env.path(".aws")).unwrap();
    fs::create_dir_all(env.path(".aliyun")).unwrap();
    fs::create_dir_all(env.path(".config/doctl")).unwrap();
    let key = env.cloud.key();
    let profile = format!(
        "[default]\naws_access_key_id = {}ü\naws_secret_access_key = {}\n",
        key.access_key, key.secret_key
    );
    env.file(".aws/credentials", profile);
    let run = with_all_clouds(&env, AWS)
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY");
    let run = run.output().await;
    run.code(2);
    assert!(
        run.stderr.contains("cause: the credentials can't be used: a key or token can't have a character that is not ASCII in it"),
        "{}",
        run.stderr
    );
    let config = |id: &str, secret: &str, region: &str| {
        format!(
            r#"{{"current": "default", "profiles": [{{"name": "default", "mode": "AK", "access_key_id": "{id}", "access_key_secret": "{secret}", "region_id": "{region}"}}]}}"#
        )
    };
    let (id, secret) = (
        value(&env, "ALICLOUD_ACCESS_KEY"),
        value(&env, "ALICLOUD_SECRET_KEY"),
    );
    for (text, code) in [
        (
            config(
                &format!("{id}\\n"),
                &format!(" {secret}\\n"),
                "cn-beijing\\n",
            ),
            0,
        ),
        (config(&format!("{id}\\n1"), &secret, "cn-beijing"), 2),
        (config(&id, &format!("{secret}\\n1"), "cn-beijing"), 2),
        (config(&id, &secret, "cn\\nbeijing"), 2),
    ] {
        env.file(".aliyun/config.json", &text);
        let run = with_all_clouds(&env, ALICLOUD)
            .without("ALICLOUD_ACCESS_KEY")
            .without("ALICLOUD_SECRET_KEY")
            .without("ALICLOUD_REGION");
        run.output().await.code(code);
    }
    let token = env.cloud.digitalocean().token();
    for (text, code) in [(format!("{token}\\n"), 0), (format!("{token}\\n1"), 2)] {
        env.file(
            ".config/doctl/config.yaml",
            format!("access-token: \"{text}\"\n"),
        );
        let run = with_all_clouds(&env, DIGITALOCEAN).without("DIGITALOCEAN_TOKEN");
        run.output().await.code(code);
    }
}

#[tokio::test]
async fn addresses_without_encryption_are_for_this_machine() {
    let env = stage().await;
    for (command, name) in [
        (AWS, "AWS_ENDPOINT_URL"),
        (AWS, "AWS_ENDPOINT_URL_S3"),
        (AWS, "AWS_ENDPOINT_URL_EC2"),
        (AWS, "AWS_ENDPOINT_URL_STS"),
        (ALICLOUD, "ALICLOUD_OSS_ENDPOINT"),
        (DIGITALOCEAN, "DIGITALOCEAN_API_URL"),
        (DIGITALOCEAN, "SPACES_ENDPOINT_URL"),
    ] {
        for url in [
            "http://service.example",
            "HTTP://service.example",
            "hTTp://127.0.0.1@service.example",
        ] {
            let run = with_all_clouds(&env, command).env(name, url).output().await;
            run.code(2).stdout("");
            assert!(
                run.stderr.contains("is not encrypted: write https://")
                    && run.stderr.contains(name),
                "{name}: {}",
                run.stderr
            );
        }
    }
    fs::create_dir_all(env.path(".aws")).unwrap();
    env.file(
        ".aws/config",
        "[default]\nendpoint_url = HTTP://service.example\n",
    );
    with_all_clouds(&env, AWS).output().await.code(2).stderr(
        "
        error: the endpoint_url of the profile can't be used
          cause: \"HTTP://service.example\" is not encrypted: write https://
        ",
    );
    let asked = env.cloud.requests_so_far();
    assert!(asked.is_empty(), "{asked:?}");
}

/// The answer repeats the canonical request, which has the token in it.
#[tokio::test]
async fn a_session_token_that_a_service_repeats_is_masked() {
    let env = stage().await;
    let token = "IQoJb3JpZ2luX2VjEAbhush/hush+hush==";
    let encoded = "IQoJb3JpZ2luX2VjEAbhush%2Fhush%2Bhush%3D%3D";
    let message = format!(
        "The Canonical String should have been\nhost:h\nx-amz-security-token:{token}\n{encoded}\nX-Amz-Signature=0123456789abcdef0123456789abcdef"
    );
    let fault = Fault::on("sts:GetCallerIdentity").always();
    env.cloud
        .fault(fault.answer(403, "SignatureDoesNotMatch", &message));
    for more in ["", "-vv", "--output json", "--progress json -vv"] {
        let command = format!("{} --ami-name web {more}", AWS.replace(" -q", ""));
        let run = with_all_clouds(&env, &command).env("AWS_SESSION_TOKEN", token);
        let run = run.output().await;
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, Some(1), "{said}");
        assert!(said.contains("x-amz-security-token:(secret)"), "{said}");
        assert!(
            !said.contains("hush") && !said.contains("0123456789abcdef"),
            "{said}"
        );
    }
}

/// Services of the other clouds repeat what they were sent, too.
#[tokio::test]
async fn the_secrets_that_a_service_of_another_cloud_repeats_are_masked() {
    let env = stage().await;
    let token = "CAIShush/hush+hush==";
    let encoded = "CAIShush%2Fhush%2Bhush%3D%3D";
    let api = value(&env, "DIGITALOCEAN_TOKEN");
    let spaces = value(&env, "SPACES_SECRET_ACCESS_KEY");
    let secret = value(&env, "ALICLOUD_SECRET_KEY");
    let message = format!(
        "it was x-oss-security-token:{token} SecurityToken={encoded} Bearer {api} {spaces} {secret}"
    );
    for (operation, command) in [
        ("oss:GetBucketInfo", ALICLOUD),
        ("oss:ListObjects", ALICLOUD),
        ("ecs:DescribeRegions", ALICLOUD),
        ("ecs:DescribeImages", ALICLOUD),
        ("sts:GetCallerIdentity", ALICLOUD),
        ("do:GetAccount", DIGITALOCEAN),
        ("do:ListImages", DIGITALOCEAN),
        ("do:ListRegions", DIGITALOCEAN),
        ("spaces:HeadBucket", DIGITALOCEAN),
        ("spaces:ListMultipartUploads", DIGITALOCEAN),
    ] {
        let fault = Fault::on(operation).always();
        env.cloud
            .fault(fault.answer(403, "SignatureDoesNotMatch", &message));
        for more in ["--image-name web", "--image-name web -vv --output json"] {
            let command = command.replace(" -q", "").replace("--image-name web ", "");
            let run = with_all_clouds(&env, &format!("{command} {more}"));
            let run = run.env("SECURITY_TOKEN", token).output().await;
            let said = format!("{}{}", run.stdout, run.stderr_raw);
            for hidden in ["hush", &api, &spaces, &secret] {
                assert!(!said.contains(hidden), "{operation} {hidden}: {said}");
            }
        }
        env.cloud.clear_faults();
    }
}

#[tokio::test]
async fn empty_is_unset_in_all_three_layers() {
    let env = stage().await;
    let settings = r#"
        image = ""
        skip_checks = ""
        [upload]
        part_size = ""
        limit_rate = " "
        [wait]
        timeout = ""
        [output]
        format = ""
        [aws]
        region = ""
        ami_users = []
        ami_groups = [""]
        ami_org_arns = ""
        copy_to_regions = []
        boot_mode = ""
        tags = {}
        assume_role = {}
        profile = ""
        endpoint_url = ""
        [alicloud]
        image_copy_names = []
        image_system_size = ""
    "#;
    env.file("imgimport.toml", settings);
    let empty = [
        "--region",
        "",
        "--ami-name=",
        "--part-size",
        " ",
        "--boot-mode=",
        "--ami-users",
        ",",
        "--skip-clean=",
        "--tag",
        "",
        "--config",
        "",
        "--output=",
        "--timeout",
        "",
    ];
    let words = AWS.split(' ').chain(empty);
    let run = env
        .program(words)
        .env("IMGIMPORT_AWS_AMI_USERS", " , ")
        .env("IMGIMPORT_AWS_PROFILE", " ")
        .env("IMGIMPORT_CONFIG", "\n")
        .env("IMGIMPORT_TIMEOUT", "");
    run.output().await.code(0).stdout("").stderr("");
    with_all_clouds(&env, ALICLOUD)
        .output()
        .await
        .code(0)
        .stderr("");
    let run = env.program(["aws", "--bucket", "importbucket", "--dry-run", ""]);
    let run = run.output().await;
    assert!(
        run.code(2).stderr.contains("no image: give its path"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_list_in_a_variable_is_written_as_csv() {
    let env = stage().await;
    let run = env
        .imgimport("aws --bucket importbucket --ami-name web -q disk.raw")
        .env("IMGIMPORT_AWS_TAG", r#""a=1,2", b=3 ,"c=say ""hi""""#);
    run.output().await.code(0).stderr("");
    let tags = &env.cloud.ec2().images()[0].tags;
    let said = [("a", "1,2"), ("b", "3"), ("c", "say \"hi\"")];
    for (name, value) in said {
        assert_eq!(tags[name], value);
    }
    let run = env.imgimport(AWS).env("IMGIMPORT_AWS_TAG", "\"a=1,2");
    run.output().await.code(2).stderr(
        "
        error: the variable IMGIMPORT_AWS_TAG is wrong
          cause: a double quote is never closed
        ",
    );
}

#[tokio::test]
async fn a_variable_that_overrides_the_file_is_reported() {
    let env = stage().await;
    let settings = r#"
        image = "other.raw"
        [upload]
        part_size = "8MiB"
        concurrency = 2
        [wait]
        poll_interval = "1s"
        [aws]
        region = "us-east-1"
        access_key = "AKIAFILE"
        secret_key = "hush-hush-hush"
        bucket = "other-bucket"
        ami_users = ["111122223333"]
        keep_input_artifact = true
        boot_mode = "uefi"
    "#;
    let path = env.file("named.toml", settings);
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let run = env
        .imgimport("aws --config named.toml --dry-run --boot-mode legacy-bios disk.raw")
        .env("IMGIMPORT_PART_SIZE", "8192KiB")
        .env("IMGIMPORT_CONCURRENCY", "3")
        .env("IMGIMPORT_AWS_BUCKET", BUCKET)
        .env("IMGIMPORT_AWS_AMI_USERS", "444455556666,111122223333")
        .env("IMGIMPORT_AWS_DELETE_SOURCE", "true")
        .env("IMGIMPORT_AWS_BOOT_MODE", "uefi-preferred");
    let run = run.output().await;
    run.code(0);
    let lines: Vec<_> = run
        .stderr
        .lines()
        .filter(|line| line.contains("; named.toml has "))
        .collect();
    assert_eq!(
        lines,
        [
            "  concurrency 3 from IMGIMPORT_CONCURRENCY; named.toml has 2",
            "  poll_interval 10ms from IMGIMPORT_POLL_INTERVAL; named.toml has 1s",
            "  ami_users 444455556666,111122223333 from IMGIMPORT_AWS_AMI_USERS; named.toml has 111122223333",
            "  bucket importbucket from IMGIMPORT_AWS_BUCKET; named.toml has other-bucket",
            "  delete-source true from IMGIMPORT_AWS_DELETE_SOURCE; named.toml has keep_input_artifact = true",
            "  region eu-central-1 from AWS_REGION; named.toml has us-east-1",
            "  access_key from AWS_ACCESS_KEY_ID; named.toml has another",
            "  secret_key from AWS_SECRET_ACCESS_KEY; named.toml has another",
        ],
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_variable_that_overrides_the_file_is_said_by_check_too() {
    let stage = stage().await;
    stage.file("other.raw", imgimport_sandbox::sample::raw(2 << 20));
    let settings = "image = \"other.raw\"\n[output]\nformat = \"json\"\n";
    stage.file("named.toml", settings);
    let check = |args: &str| {
        let run = stage.imgimport(&format!("check --config named.toml {args}"));
        run.env("IMGIMPORT_IMAGE", "disk.raw")
            .env("IMGIMPORT_OUTPUT", "text")
    };
    let run = check("").output().await;
    let lines: Vec<_> = run.code(0).stderr.lines().collect();
    assert_eq!(
        lines,
        [
            "  image disk.raw from IMGIMPORT_IMAGE; named.toml has other.raw",
            "  output text from IMGIMPORT_OUTPUT; named.toml has json",
        ]
    );
    let run = check("--output json other.raw").output().await;
    run.code(0).stderr("");
    let same = check("").env("IMGIMPORT_IMAGE", "other.raw");
    let same = same.env("IMGIMPORT_OUTPUT", "JSON").output().await;
    same.code(0).stderr("");
}

/// What is likely to be wrong.
const ODD_VALUES: [&str; 24] = [
    "",
    " ",
    "\n",
    "x\ny",
    "ü",
    "☃",
    "-",
    "-1",
    "0",
    "99999999999999999999",
    "1e308",
    "NaN",
    "inf",
    "18446744073709551615s",
    "18446744073709551615GiB",
    "{{",
    "{{isotime \"%\"}}",
    "\"",
    ",",
    "=",
    "a=b,c",
    "../..",
    "true",
    "\u{1b}[2J\u{202e}",
];

fn bytes() -> BoxedStrategy<Vec<u8>> {
    let any = prop_oneof![
        proptest::sample::select(&ODD_VALUES[..]).prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(1..=u8::MAX, 0..40),
    ];
    any.boxed()
}

fn toml_value() -> impl Strategy<Value = String> {
    let text = bytes().prop_map(|bytes| {
        toml::Value::from(String::from_utf8_lossy(&bytes).into_owned()).to_string()
    });
    let text = text.boxed();
    let other = proptest::sample::select(
        &[
            "0",
            "-1",
            "9223372036854775807",
            "1.5",
            "nan",
            "inf",
            "true",
            "[]",
            "[[]]",
            "[1, true]",
            "{}",
            "{a = {}}",
            "2030-01-01T00:00:00Z",
            "['a', 'b']",
        ][..],
    );
    prop_oneof![
        text.clone(),
        other.prop_map(str::to_owned),
        text.clone().prop_map(|text| format!("[{text}]")),
        text.prop_map(|text| format!("{{a = {text}}}")),
    ]
}

/// Every variable that the help names, and those that the providers' own libraries read.
fn variables(command: &str) -> Vec<String> {
    let mut program = imgimport::command();
    program.build();
    let mut command = program.find_subcommand(command).unwrap().clone();
    let help = command.render_long_help().to_string();
    let name = Regex::new("[A-Z][A-Z0-9]*(_[A-Z0-9]+)+").unwrap();
    let found = name.find_iter(&help).map(|found| found.as_str().to_owned());
    let others = [
        "SOURCE_DATE_EPOCH",
        "IMGIMPORT_CONFIG",
        "IMGIMPORT_IMAGE",
        "IMGIMPORT_QUIET",
        "IMGIMPORT_VERBOSE",
        "XDG_STATE_HOME",
        "HOME",
        "AWS_CONFIG_FILE",
        "AWS_MAX_ATTEMPTS",
        "AWS_RETRY_MODE",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_EXECUTION_ENV",
        "AWS_SDK_UA_APP_ID",
        "AWS_ROLE_ARN",
        "ALIBABA_CLOUD_ECS_METADATA",
        "ALIBABA_CLOUD_ECS_METADATA_ENDPOINT",
        "ALIBABA_CLOUD_CREDENTIALS_URI",
        "DIGITALOCEAN_CONTEXT",
        "DIGITALOCEAN_CONFIG",
        "NO_COLOR",
        "COLUMNS",
        "TERM",
    ];
    found.chain(others.map(str::to_owned)).collect()
}

/// Every key that the help names, with its table.
fn keys(command: &str) -> Vec<(String, String)> {
    let mut program = imgimport::command();
    program.build();
    let mut command = program.find_subcommand(command).unwrap().clone();
    let help = command.render_long_help().to_string();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let key = Regex::new(r"\[key: \[([a-z]+)\] ([a-z0-9_]+)[],]").unwrap();
    let found = key.captures_iter(&help);
    let mut keys: Vec<_> = found
        .map(|key| (key[1].to_owned(), key[2].to_owned()))
        .collect();
    for (table, key) in [
        ("aws", "access_key"),
        ("aws", "secret_key"),
        ("aws", "token"),
        ("aws", "assume_role"),
        ("aws", "aws_polling"),
        ("aws", "custom_endpoint_ec2"),
        ("aws", "mfa_code"),
        ("alicloud", "access_key"),
        ("alicloud", "security_token"),
        ("alicloud", "image_version"),
        ("digitalocean", "api_token"),
        ("digitalocean", "spaces_key"),
        ("digitalocean", "timeout"),
    ] {
        keys.push((table.to_owned(), key.to_owned()));
    }
    keys
}

/// `IMGIMPORT_CASES` and `IMGIMPORT_SEED` try more, and others.
fn number(name: &str, default: usize) -> usize {
    let said = std::env::var(name).ok().and_then(|said| said.parse().ok());
    said.unwrap_or(default)
}

#[tokio::test]
async fn no_value_of_any_variable_or_key_makes_the_program_panic() {
    let stage = stage().await;
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("IMGIMPORT_SEED", 1).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for case in 0..number("IMGIMPORT_CASES", 48) {
        let command = [AWS, ALICLOUD, DIGITALOCEAN][case % 3];
        let name = command.split(' ').next().unwrap();
        let what;
        let run = if case % 2 == 0 {
            let choice = (proptest::sample::select(variables(name)), bytes());
            let (variable, bytes) = choice.new_tree(&mut runner).unwrap().current();
            what = format!("{variable}={:?}", OsString::from_vec(bytes.clone()));
            with_all_clouds(&stage, command).env_bytes(&variable, &bytes)
        } else {
            let choice = (proptest::sample::select(keys(name)), toml_value());
            let ((table, key), value) = choice.new_tree(&mut runner).unwrap().current();
            let settings = format!("[{table}]\n{key} = {value}\n");
            stage.file("any.toml", &settings);
            what = settings;
            with_all_clouds(&stage, &format!("{command} --config any.toml"))
        };
        let run = run.output().await;
        let is_well = run.code.is_some_and(|code| (0..=4).contains(&code));
        assert!(
            is_well,
            "{command} with {what}: {:?}: {}",
            run.code, run.stderr
        );
        for word in ["panicked", "a defect of imgimport"] {
            assert!(
                !run.stderr.contains(word),
                "{command} with {what}: {}",
                run.stderr
            );
        }
    }
}
