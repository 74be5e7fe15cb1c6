//! The settings file of the current directory, which came with whatever was unpacked there: it
//! does not decide where secrets go, whose credentials are used, what is deleted and what
//! everybody may see, unless the user names it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use crate::support::{Cmd, TestEnv};

const FOUND: &str = "imgimport.toml";

/// In the environment of all three clouds.
fn with_all_clouds<'a>(env: &'a TestEnv, args: &str) -> Cmd<'a> {
    let variables = env.cloud.digitalocean_environment();
    let run = env.alicloud(args);
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

fn assert_no_requests(env: &TestEnv) {
    let asked = env.cloud.requests_so_far();
    assert!(asked.is_empty(), "{asked:?}");
}

const SENT: &str = "where secrets are sent";
const WHOSE: &str = "whose credentials are used";
const DELETED: &str = "that the local image is deleted";
const PUBLIC: &str = "that everybody may launch the AMI";

/// Command, table, line of the file, reason.
#[rustfmt::skip]
const REFUSED: [(&str, &str, &str, &str); 21] = [
    ("aws", "aws", "endpoint_url = 'https://evil.example'", SENT),
    ("aws", "aws", "custom_endpoint_ec2 = 'HTTP://evil.example'", SENT),
    ("aws", "aws", "shared_credentials_file = 'keys'", WHOSE),
    ("aws", "aws", "profile = 'prod'", WHOSE),
    ("aws", "aws", "assume_role_arn = 'arn:aws:iam::123456789012:role/r'", WHOSE),
    ("aws", "aws", "assume_role = {role_arn = 'r'}", WHOSE),
    ("aws", "aws", "keep_input_artifact = 'false'", DELETED),
    ("aws", "aws", "ami_groups = ['all']", PUBLIC),
    ("aws", "aws", "public = 'yes'", PUBLIC),
    ("alicloud", "alicloud", "ecs_endpoint = 'https://127.0.0.1.evil.example'", SENT),
    ("alicloud", "alicloud", "custom_endpoint_ecs = 'evil.example'", SENT),
    ("alicloud", "alicloud", "sts_endpoint = 'https://127.0.0.1@evil.example'", SENT),
    ("alicloud", "alicloud", "ram_role_arn = 'acs:ram::1:role/r'", WHOSE),
    ("alicloud", "alicloud", "profile = 'prod'", WHOSE),
    ("alicloud", "alicloud", "keep_input_artifact = 0", DELETED),
    ("digitalocean", "digitalocean", "api_url = 'https://evil.example'", SENT),
    ("digitalocean", "digitalocean", "spaces_endpoint = 'https://{{.Region}}.evil.example'", SENT),
    ("digitalocean", "digitalocean", "object_access = 'PUBLIC-READ'", "that everybody may read the object"),
    ("digitalocean", "digitalocean", "skip_clean = true", "that a public object stays"),
    ("jobs", "digitalocean", "api_url = 'https://evil.example'", SENT),
    ("check", "aws", "profile = 'prod'", WHOSE),
];

#[tokio::test]
async fn a_discovered_file_cannot_set_user_only_settings() {
    let env = TestEnv::new().await;
    env.disk(2);
    for (command, table, line, reason) in REFUSED {
        let key = line.split(' ').next().unwrap();
        env.file(FOUND, format!("[{table}]\n{line}\n"));
        let run = with_all_clouds(&env, &format!("{command} --output json"))
            .output()
            .await;
        run.code(2).stderr(&format!(
            "
            error: the settings file imgimport.toml can't be used
              cause: it was found here and not named, so it can't decide this: {key} in [{table}] says {reason}
              hint: if you trust this file: --config imgimport.toml
            "
        ));
        assert!(run.stdout.contains("\"kind\":\"usage\""), "{}", run.stdout);
    }
    assert_no_requests(&env);
}

#[tokio::test]
async fn the_same_file_counts_once_it_is_named() {
    let env = TestEnv::new().await;
    env.disk(2);
    let settings = "image = 'disk.raw'\n[aws]\nbucket = 'importbucket'\npublic = true\nkeep_input_artifact = false\n";
    env.file(FOUND, settings);
    let run = env.imgimport("aws").output().await;
    assert!(
        run.code(2).stderr.contains(
            "keep_input_artifact in [aws] says that the local image is deleted; public in [aws]"
        ),
        "{}",
        run.stderr
    );
    let run = env.imgimport("aws -q").env("IMGIMPORT_CONFIG", FOUND);
    run.output().await.code(0).stdout("ami-ID").stderr("");
    assert_eq!(env.cloud.ec2().images()[0].launch_permissions.len(), 1);
    assert!(!env.path("disk.raw").exists());
}

#[tokio::test]
async fn a_discovered_file_is_reported() {
    let env = TestEnv::new().await;
    env.disk(2);
    let settings = "image = 'disk.raw'\n[aws]\nbucket = 'importbucket'\nkeep_input_artifact = true\npublic = false\nami_groups = []\n";
    env.file(FOUND, settings);
    let found = env.imgimport("aws --dry-run").output().await;
    let named = env.imgimport("aws --dry-run --config imgimport.toml");
    let named = named.output().await;
    named.code(0);
    found
        .code(0)
        .stderr(&format!("Settings from imgimport.toml\n{}", named.stderr));
    let quiet = env.imgimport("aws --dry-run -q").output().await;
    quiet.code(0).stderr("");
    let run = env.imgimport("jobs").output().await;
    run.code(0).stderr(
        "
        Settings from imgimport.toml
          the journal has no unfinished jobs
    ",
    );
    let run = env.imgimport("check").output().await;
    run.stderr("Settings from imgimport.toml");
    let object = env
        .imgimport("aws --dry-run --progress json")
        .output()
        .await;
    assert!(
        object
            .code(0)
            .stderr
            .starts_with("{\"event\":\"stage\",\"message\":\"Settings from imgimport.toml\"}\n"),
        "{}",
        object.stderr
    );
}

#[tokio::test]
async fn secrets_are_not_sent_to_endpoints_of_a_discovered_file() {
    let env = TestEnv::new().await;
    env.disk(2);
    let digitalocean =
        "digitalocean --space s --spaces-region nyc3 --image-name w --image-region nyc3 disk.raw";
    for (command, variable, table, key) in [
        (
            "aws --bucket importbucket disk.raw",
            "AWS_ENDPOINT_URL",
            "aws",
            "endpoint_url",
        ),
        (
            "aws --bucket importbucket disk.raw",
            "AWS_ENDPOINT_URL",
            "aws",
            "custom_endpoint_ec2",
        ),
        (
            "alicloud --bucket packer disk.raw",
            "ALICLOUD_OSS_ENDPOINT",
            "alicloud",
            "oss_endpoint",
        ),
        (
            digitalocean,
            "DIGITALOCEAN_API_URL",
            "digitalocean",
            "api_url",
        ),
        (
            digitalocean,
            "SPACES_ENDPOINT_URL",
            "digitalocean",
            "spaces_endpoint",
        ),
    ] {
        env.file(FOUND, format!("[{table}]\n{key} = 'http://127.0.0.1:1'\n"));
        let run = with_all_clouds(&env, command)
            .without(variable)
            .output()
            .await;
        run.code(2).stdout("").stderr(&format!(
            "
            error: the settings file imgimport.toml can't be used
              cause: it was found here and not named, and {key} in [{table}] would get secrets that it does not hold itself
              hint: if you trust this file: --config imgimport.toml
            "
        ));
    }
    assert_no_requests(&env);
}

/// doctl's token is the user's own, too.
#[tokio::test]
async fn doctls_token_does_not_go_there_either() {
    let env = TestEnv::new().await;
    env.disk(2);
    fs::create_dir_all(env.path(".config/doctl")).unwrap();
    env.file(".config/doctl/config.yaml", "access-token: dop_v1_first\n");
    env.file(FOUND, "[digitalocean]\napi_url = 'http://127.0.0.1:1'\n");
    let run = with_all_clouds(&env, "digitalocean disk.raw")
        .without("DIGITALOCEAN_TOKEN")
        .without("DIGITALOCEAN_API_URL");
    let run = run.output().await;
    assert!(
        run.code(2)
            .stderr
            .contains("api_url in [digitalocean] would get secrets"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_file_that_was_found_may_have_an_address_here_and_the_secrets_for_it() {
    let env = TestEnv::new().await;
    env.disk(2);
    let (key, here) = (env.cloud.key(), &env.cloud);
    let settings = format!(
        "[aws]\naccess_key = '{}'\nsecret_key = '{}'\ncustom_endpoint_ec2 = '{}'\n",
        key.access_key,
        key.secret_key,
        here.ec2_endpoint()
    );
    let file = env.file(FOUND, settings);
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    let run = env.imgimport("aws --bucket importbucket -q disk.raw");
    let run = run
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .without("AWS_ENDPOINT_URL_EC2");
    run.output().await.code(0).stdout("ami-ID").stderr("");
}

#[tokio::test]
async fn a_file_that_was_found_belongs_to_the_user() {
    let env = TestEnv::new().await;
    env.disk(2);
    let path = env.file(FOUND, "image = 'disk.raw'\n");
    for (mode, code) in [(0o666, 2), (0o646, 2), (0o602, 2), (0o644, 0), (0o600, 0)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let run = env
            .imgimport("aws --bucket importbucket --dry-run -q")
            .output()
            .await;
        run.code(code);
        if code == 2 {
            run.stderr(
                "
                error: the settings file imgimport.toml can't be used
                  cause: others can write it
                  hint: if you trust this file: --config imgimport.toml
                ",
            );
        }
    }
    // Only root can give a file away.
    if chown(&path, Some(12345), None).is_err() {
        return;
    }
    let run = env.imgimport("aws --bucket importbucket --dry-run -q");
    run.output().await.code(2).stderr(
        "
        error: the settings file imgimport.toml can't be used
          cause: it belongs to another user (id 12345)
          hint: if you trust this file: --config imgimport.toml
        ",
    );
    // As git has it, under sudo the files of the caller are the user's own.
    let run = env.imgimport("aws --bucket importbucket --dry-run -q");
    run.env("SUDO_UID", "12345").output().await.code(0);
    let run = env.imgimport("aws --bucket importbucket --dry-run -q --config imgimport.toml");
    run.output().await.code(0).stderr("");
    // A link of the user's own leads to it.
    fs::rename(&path, env.path("elsewhere.toml")).unwrap();
    symlink("elsewhere.toml", &path).unwrap();
    let run = env.imgimport("aws --bucket importbucket --dry-run -q");
    run.output().await.code(2);
}

#[tokio::test]
async fn a_template_cannot_read_a_secret_variable() {
    let env = TestEnv::new().await;
    env.disk(2);
    for (name, value) in [
        ("AWS_SECRET_ACCESS_KEY", None),
        ("my_Token", Some("x")),
        ("DB_PASSWORD", Some("x")),
        ("BUILD", Some(env.cloud.key().secret_key.as_str())),
    ] {
        let option = format!("--ami-name={{{{env \"{name}\"}}}}");
        let run = env.program(["aws", "--bucket=importbucket", &option, "disk.raw"]);
        let run = match value {
            Some(value) => run.env(name, value),
            None => run,
        };
        run.output().await.code(2).stdout("").stderr(&format!(
            "error: {{{{env \"{name}\"}}}} is refused: the variable {name} may hold a secret, and names and descriptions are not secret; put what is needed into another variable (--ami-name, IMGIMPORT_AWS_AMI_NAME or ami_name in [aws])"
        ));
    }
    assert_no_requests(&env);
    let run = env.program([
        "aws",
        "--bucket=importbucket",
        "-q",
        "--ami-name={{env \"BUILD\"}}",
        "disk.raw",
    ]);
    run.env("BUILD", " web-17\n").output().await.code(0);
    assert_eq!(env.cloud.ec2().images()[0].name, "web-17");
}

/// A run that was stopped leaves an entry, and somebody else's hand is in it.
#[tokio::test]
async fn an_entry_of_the_journal_is_checked_before_it_is_obeyed() {
    let env = TestEnv::new().await;
    fs::create_dir_all(env.path("state/imgimport")).unwrap();
    let entry = |region: &str, bucket: &str, name: &str, url: &str| {
        format!(
            r#"{{"object": "aws {region} {bucket} k.raw", "upload": "u", "account": {{"{name}": "{url}"}}}}"#
        )
    };
    let clean = async |entry: &str| {
        env.file("state/imgimport/0123456789abcdef.json", entry);
        env.imgimport("jobs --clean").output().await
    };
    let run = clean(&entry(
        "eu-central-1",
        "importbucket",
        "endpoint_url_s3",
        "https://evil.example",
    ))
    .await;
    run.code(1).stdout("").stderr(
        "
        error: the job 01234567 could not be removed
          cause: its endpoint is not used: the journal has https://evil.example as endpoint_url_s3, which neither AWS_ENDPOINT_URL_S3 nor the settings file has
          hint: if it is right, run this again with this before it: AWS_ENDPOINT_URL_S3=https://evil.example
        ",
    );
    for (region, bucket) in [("evil.example/", "b-1"), ("eu-central-1", "x@evil")] {
        let run = clean(&entry(region, bucket, "profile", "p")).await;
        run.code(1);
    }
    assert_no_requests(&env);
}

#[tokio::test]
async fn a_symlinked_or_foreign_journal_is_not_used() {
    let env = TestEnv::new().await;
    env.disk(2);
    fs::create_dir_all(env.path("state")).unwrap();
    fs::create_dir_all(env.path("elsewhere")).unwrap();
    symlink(env.path("elsewhere"), env.path("state/imgimport")).unwrap();
    let run = env.imgimport("jobs").output().await;
    run.code(1).stdout("").stderr(
        "
        error: the journal can't be read
          cause: $DIR/state/imgimport is not used: it is a link
          hint: keep it in a directory of your own, and name that in XDG_STATE_HOME
        ",
    );
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(0).stderr(
        "warning: this run can't be continued: $DIR/state/imgimport is not used: it is a link",
    );
    assert!(
        fs::read_dir(env.path("elsewhere"))
            .unwrap()
            .next()
            .is_none()
    );

    fs::remove_file(env.path("state/imgimport")).unwrap();
    fs::create_dir_all(env.path("state/imgimport")).unwrap();
    let entry = r#"{"object": "aws eu-central-1 importbucket k.raw", "upload": "u"}"#;
    env.file("entry.json", entry);
    symlink(
        "../../entry.json",
        env.path("state/imgimport/0123456789abcdef.json"),
    )
    .unwrap();
    let run = env.imgimport("jobs").output().await;
    run.code(0).stdout("");
    if chown(env.path("state/imgimport"), Some(12345), None).is_ok() {
        let run = env.imgimport("jobs").output().await;
        assert!(
            run.code(1)
                .stderr
                .contains("it belongs to another user (id 12345)"),
            "{}",
            run.stderr
        );
    }
}
