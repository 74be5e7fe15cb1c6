//! Three layers: flags over environment over TOML, and what is said when they are wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use imgimport_sandbox::Fault;

use crate::support::TestEnv;

/// The key that the import was asked to read, given these three layers.
async fn key(flag: Option<&str>, variable: Option<&str>, file: Option<&str>) -> String {
    let env = TestEnv::new().await;
    env.disk(2);
    if let Some(key) = file {
        env.file(
            "imgimport.toml",
            format!("[aws]\ns3_key_name = \"{key}\"\n"),
        );
    }
    let flag = flag.map(|key| format!("--key={key}")).unwrap_or_default();
    let mut run = env.imgimport(&format!("aws --bucket importbucket -q {flag} disk.raw"));
    if let Some(key) = variable {
        run = run.env("IMGIMPORT_AWS_KEY", key);
    }
    run.output().await.code(0);
    env.cloud.ec2().import_tasks()[0].key.clone()
}

#[tokio::test]
async fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    assert_eq!(
        key(Some("flag"), Some("variable"), Some("file")).await,
        "flag"
    );
    assert_eq!(key(Some("flag"), None, Some("file")).await, "flag");
    assert_eq!(key(None, Some("variable"), Some("file")).await, "variable");
    assert_eq!(key(None, None, Some("file")).await, "file");
    assert_eq!(
        key(None, Some(""), Some("file")).await,
        "file",
        "an empty variable is unset"
    );
    assert_eq!(key(None, None, None).await, "imgimport-1767225600.raw");
}

#[tokio::test]
async fn a_switch_that_is_on_in_the_file_is_turned_off_by_a_variable_or_a_flag() {
    for (flag, variable, kept) in [
        ("", "", 1),
        ("--skip-clean=false", "", 0),
        ("", "false", 0),
        ("--skip-clean", "false", 1),
    ] {
        let env = TestEnv::new().await;
        env.disk(2);
        env.file("imgimport.toml", "[aws]\nskip_clean = \"true\"\n");
        let run = env.imgimport(&format!("aws --bucket importbucket -q {flag} disk.raw"));
        run.env("IMGIMPORT_SKIP_CLEAN", variable)
            .output()
            .await
            .code(0);
        assert_eq!(env.cloud.s3().objects().len(), kept, "{flag} {variable}");
    }
}

#[tokio::test]
async fn a_switch_in_the_file_is_written_as_it_is_in_a_variable() {
    for on in ["true", "\"TRUE\"", "1", "\"1\"", "\"yes\""] {
        let env = TestEnv::new().await;
        env.disk(2);
        env.file("imgimport.toml", format!("[aws]\nskip_clean = {on}\n"));
        let run = env.imgimport("aws --bucket importbucket -q disk.raw");
        run.output().await.code(0).stderr("");
        assert_eq!(env.cloud.s3().objects().len(), 1, "{on}");
    }
}

#[tokio::test]
async fn a_block_of_packers_is_carried_over_key_by_key() {
    let env = TestEnv::new().await;
    env.disk(2);
    let key = env.cloud.key();
    let settings = format!(
        r#"
        image = "disk.raw"

        [aws]
        access_key = "{}"
        secret_key = "{}"
        region = "eu-central-1"
        s3_bucket_name = "importbucket"
        s3_key_name = "packer-{{{{timestamp}}}}"
        ami_name = "packer"
        ami_users = "111122223333,444455556666"
        license_type = "byol"
        keep_input_artifact = true
        format = "raw"
        max_retries = "3"

        [aws.tags]
        Description = "packer amazon-import {{{{timestamp}}}}"

        [aws.aws_polling]
        delay_seconds = 1
        max_attempts = 50
        "#,
        key.access_key, key.secret_key
    );
    let file = env.file("packer.toml", settings);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let run = env.imgimport("aws --config packer.toml -q --poll-interval 10ms");
    let run = run
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .without("AWS_REGION");
    run.output().await.code(0).stdout("ami-ID").stderr("");
    let images = env.cloud.ec2().images();
    assert_eq!(images[0].name, "packer");
    assert_eq!(
        images[0].tags["Description"],
        "packer amazon-import 1767225600"
    );
    assert_eq!(images[0].launch_permissions.len(), 2);
    assert_eq!(env.cloud.ec2().import_tasks()[0].key, "packer-1767225600");
}

#[tokio::test]
async fn keys_of_the_environment_win_over_keys_of_the_file_as_a_pair() {
    let env = TestEnv::new().await;
    env.disk(2);
    env.file(
        "imgimport.toml",
        "[aws]\naccess_key = \"AKIAWRONG\"\nsecret_key = \"wrong\"\ntoken = \"wrong\"\n",
    );
    let run = env
        .imgimport("aws --bucket importbucket -q disk.raw")
        .output()
        .await;
    run.code(0).stderr(
        "warning: imgimport.toml holds a secret and others can read it: chmod 600 imgimport.toml",
    );
}

#[tokio::test]
async fn all_missing_and_invalid_settings_are_reported_at_once() {
    let env = TestEnv::new().await;
    let run = env.program([
        "aws",
        "--method=import-image",
        "--ami-name=a",
        "--ami-users=12",
        "--tag=aws:x=y",
        "--architecture=i386",
        "--ami-kms-key=k",
        "--key={{stamp}}",
    ]);
    run.without("AWS_REGION")
        .output()
        .await
        .code(2)
        .stdout("")
        .stderr(
            "
        error: 9 settings are missing or wrong
          - no image: give its path, IMGIMPORT_IMAGE or image in the settings file
          - the region is missing: give --region, AWS_REGION or region in [aws]
          - the bucket is missing: give --bucket, IMGIMPORT_AWS_BUCKET or s3_bucket_name in [aws]
          - \"12\" is not an account: an account has 12 digits (--ami-users, IMGIMPORT_AWS_AMI_USERS or ami_users in [aws])
          - a KMS key for the AMI says nothing unless the AMI is encrypted: add --ami-encrypt (--ami-kms-key, IMGIMPORT_AWS_AMI_KMS_KEY or ami_kms_key in [aws])
          - EC2 imports no 32-bit systems any more (--architecture, IMGIMPORT_AWS_ARCHITECTURE or architecture in [aws])
          - {{stamp}} is not known: write {{timestamp}}, {{isotime}}, {{uuid}}, {{env}}, {{file_stem}}, {{format}} (--key, IMGIMPORT_AWS_KEY or s3_key_name in [aws])
          - an AMI's name has 3 to 128 characters, this one 1 (--ami-name, IMGIMPORT_AWS_AMI_NAME or ami_name in [aws])
          - the tag \"aws:x\" can't begin with aws:, that prefix is AWS's own (--tag, IMGIMPORT_AWS_TAG or tags in [aws])
        ",
        );
}

#[tokio::test]
async fn an_unknown_key_is_reported_with_its_line_and_the_nearest_name() {
    let env = TestEnv::new().await;
    env.file(
        "imgimport.toml",
        "image = \"disk.raw\"\n\n[aws]\nregion = \"eu-central-1\"\ns3_buket_name = \"b\"\n",
    );
    env.imgimport("aws")
        .output()
        .await
        .code(2)
        .stdout("")
        .stderr(
            "
        error: the settings file imgimport.toml can't be used
          cause: unknown key `s3_buket_name`; did you mean `s3_bucket_name`?
             --> imgimport.toml:5:1
              |
            5 | s3_buket_name = …
              | ^^^^^^^^^^^^^
        ",
        );
}

#[tokio::test]
async fn an_unknown_table_is_an_error_too() {
    let env = TestEnv::new().await;
    env.file("imgimport.toml", "[uplaod]\nconcurrency = 4\n");
    env.imgimport("aws")
        .output()
        .await
        .code(2)
        .stdout("")
        .stderr(
            "
            error: the settings file imgimport.toml can't be used
              cause: unknown key `uplaod`; did you mean `upload`?
                 --> imgimport.toml:1:2
                  |
                1 | [uplaod]
                  |  ^^^^^^
            ",
        );
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_reported_with_its_line() {
    let env = TestEnv::new().await;
    env.file("imgimport.toml", "[wait]\ntimeout = \"soon\"\n");
    env.imgimport("aws")
        .output()
        .await
        .code(2)
        .stdout("")
        .stderr(
            "
        error: the settings file imgimport.toml can't be used
          cause: \"soon\" is not a duration: write it like 300ms, 90s or 2h30m
             --> imgimport.toml:2:11
              |
            2 | timeout = \"soon\"
              |           ^^^^^^
        ",
        );
}

#[tokio::test]
async fn a_syntax_error_never_prints_the_secret_in_its_line() {
    let env = TestEnv::new().await;
    for line in [
        "secret_key = \"hush",
        "secert_kee = \"hush\"",
        "secret_key = [\"hush\"]",
        "secret_key = hush",
    ] {
        env.file("imgimport.toml", format!("[aws]\n{line}\n"));
        let run = env.imgimport("aws").output().await;
        run.code(2);
        assert!(!run.stderr.contains("hush"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_file_that_is_named_must_be_there() {
    let env = TestEnv::new().await;
    env.imgimport("aws --config nowhere.toml")
        .output()
        .await
        .code(2)
        .stdout("")
        .stderr(
            "
        error: the settings file nowhere.toml can't be used
          cause: No such file or directory (os error 2)
        ",
        );
}

#[tokio::test]
async fn a_wrong_variable_is_named() {
    let env = TestEnv::new().await;
    env.imgimport("aws").env("IMGIMPORT_PART_SIZE", "big").output().await.code(2).stdout("").stderr(
        "
        error: the variable IMGIMPORT_PART_SIZE is wrong
          cause: invalid value 'big' for '--part-size <SIZE>': \"big\" is not a size: write it like 5MiB or 1GB
        ",
    );
}

#[tokio::test]
async fn all_wrong_variables_are_named_at_once() {
    let env = TestEnv::new().await;
    let run = env.imgimport("aws").env("IMGIMPORT_PART_SIZE", "big");
    run.env("IMGIMPORT_TIMEOUT", "90").output().await.code(2).stdout("").stderr(
        "
        error: 2 variables are wrong
          - IMGIMPORT_PART_SIZE: invalid value 'big' for '--part-size <SIZE>': \"big\" is not a size: write it like 5MiB or 1GB
          - IMGIMPORT_TIMEOUT: invalid value '90' for '--timeout <DUR>': \"90\" has no unit: write 90s for seconds or 90m for minutes
        ",
    );
}

#[tokio::test]
async fn a_broken_template_is_reported_once() {
    let env = TestEnv::new().await;
    let disk = env.disk(2).len();
    assert!(disk > 0);
    for (command, option, table) in [
        (
            "aws --bucket importbucket",
            "AWS_AMI_NAME",
            "ami_name in [aws]",
        ),
        (
            "alicloud --bucket importbucket --region cn-beijing",
            "ALICLOUD_IMAGE_NAME",
            "image_name in [alicloud]",
        ),
    ] {
        let run = env.alicloud(&format!("{command} disk.raw"));
        let run = run
            .env(&format!("IMGIMPORT_{option}"), "{{nope}}")
            .output()
            .await;
        let flag = option
            .split_once('_')
            .unwrap()
            .1
            .to_lowercase()
            .replace('_', "-");
        run.code(2).stdout("").stderr(&format!(
            "
        error: {{{{nope}}}} is not known: write {{{{timestamp}}}}, {{{{isotime}}}}, {{{{uuid}}}}, {{{{env}}}}, {{{{file_stem}}}}, {{{{format}}}} (--{flag}, IMGIMPORT_{option} or {table})
        "
        ));
    }
}

#[tokio::test]
async fn letters_that_changed_places_are_put_back() {
    let env = TestEnv::new().await;
    env.imgimport("asw disk.raw")
        .output()
        .await
        .code(2)
        .stdout("")
        .stderr(
            "
        error: unrecognized subcommand 'asw'

          tip: a similar subcommand exists: 'aws'

        Usage: imgimport [OPTIONS] <COMMAND>

        For more information, try '--help'.
        ",
        );
    let run = env.imgimport("docker disk.raw").output().await;
    assert!(!run.code(2).stderr.contains("tip:"), "{}", run.stderr);
}

#[tokio::test]
async fn a_usage_error_is_json_with_output_json() {
    let env = TestEnv::new().await;
    let object = r#"{"error":{"cause":null,"hint":"--help shows what there is","kind":"usage","left_behind":[],"message":"invalid value 'x' for '--part-size <SIZE>': \"x\" is not a size: write it like 5MiB or 1GB"},"schema":1}"#;
    let run = env.imgimport("aws --part-size x --output json disk.raw");
    run.output().await.code(2).stdout(object);
    let run = env.imgimport("aws --part-size x disk.raw");
    run.env("IMGIMPORT_OUTPUT", "json")
        .output()
        .await
        .code(2)
        .stdout(object);
    let run = env.imgimport("asw --output json").output().await;
    run.code(2).stdout(
        r#"{"error":{"cause":null,"hint":"a similar subcommand exists: 'aws'","kind":"usage","left_behind":[],"message":"unrecognized subcommand 'asw'"},"schema":1}"#,
    );
    let run = env.imgimport("aws --config nowhere.toml disk.raw");
    run.env("IMGIMPORT_OUTPUT", "json").output().await.code(2).stdout(
        r#"{"error":{"cause":"No such file or directory (os error 2)","hint":null,"kind":"usage","left_behind":[],"message":"the settings file nowhere.toml can't be used"},"schema":1}"#,
    );
    let help = env.imgimport("aws --output json --help").output().await;
    assert!(
        help.code(0).stdout.starts_with("Import into Amazon"),
        "{}",
        help.stdout
    );
}

#[tokio::test]
async fn a_profile_is_found_in_the_files_of_the_aws_cli() {
    let env = TestEnv::new().await;
    env.disk(2);
    assert_profile_build(&env);
    let run = env
        .imgimport("aws --profile build --bucket importbucket -q disk.raw")
        .without("AWS_REGION");
    run.env("AWS_ACCESS_KEY_ID", "AKIAWRONG")
        .output()
        .await
        .code(0)
        .stdout("ami-ID")
        .stderr("");
}

/// Whoever pastes a command would otherwise ask another account.
#[tokio::test]
async fn the_commands_to_paste_name_the_profile_of_the_command_line() {
    let env = TestEnv::new().await;
    env.disk(2);
    assert_profile_build(&env);
    let fault = Fault::on("ec2:ImportImage").always();
    env.cloud
        .fault(fault.answer(400, "InvalidParameter", "No."));
    let run = env
        .imgimport("aws --profile build --bucket importbucket -q disk.raw")
        .without("AWS_REGION");
    let run = run.output().await;
    run.code(1).stdout("").stderr(
        "
        error: the import could not be started
          cause: No (InvalidParameter, request ID)
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws --profile build s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: the same command goes on from there
        ",
    );
    // A shell in which AWS_PROFILE says so says it to the AWS CLI, too.
    let run = env.imgimport("aws --bucket importbucket -q disk.raw");
    let run = run.env("AWS_PROFILE", "build").without("AWS_REGION");
    let run = run.output().await;
    assert!(
        run.code(1)
            .stderr
            .contains("remove it with: aws s3 rm s3://"),
        "{}",
        run.stderr
    );
}

/// The sandbox's key in a profile of that name.
fn assert_profile_build(env: &TestEnv) {
    let key = env.cloud.key();
    fs::create_dir_all(env.path(".aws")).unwrap();
    let text = format!(
        "[profile build]\naws_access_key_id = {}\naws_secret_access_key = {}\nregion = eu-central-1\n",
        key.access_key, key.secret_key
    );
    env.file(".aws/config", text);
}

#[tokio::test]
async fn an_invalid_part_size_is_reported_before_any_request() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport("aws --bucket importbucket --part-size 1MiB -q disk.raw");
    let run = run.output().await;
    run.code(2).stdout("");
    assert!(env.cloud.requests_so_far().is_empty(), "{}", run.stderr);
}

#[tokio::test]
async fn quiet_has_a_variable_too() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport("aws --bucket importbucket disk.raw");
    run.env("IMGIMPORT_QUIET", "1")
        .output()
        .await
        .code(0)
        .stdout("ami-ID")
        .stderr("");
}
