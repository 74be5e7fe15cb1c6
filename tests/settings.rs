//! Three layers: flags over environment over TOML, and what is said when they are wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use imgimport_sandbox::Fault;

use crate::support::Stage;

/// The key that the import was asked to read, given these three layers.
async fn key(flag: Option<&str>, variable: Option<&str>, file: Option<&str>) -> String {
    let stage = Stage::new().await;
    stage.disk(2);
    if let Some(key) = file {
        stage.file(
            "imgimport.toml",
            format!("[aws]\ns3_key_name = \"{key}\"\n"),
        );
    }
    let flag = flag.map(|key| format!("--key={key}")).unwrap_or_default();
    let mut run = stage.imgimport(&format!("aws --bucket importbucket -q {flag} disk.raw"));
    if let Some(key) = variable {
        run = run.env("IMGIMPORT_AWS_KEY", key);
    }
    run.ends().await.exits(0);
    stage.cloud.ec2().import_tasks()[0].key.clone()
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
        let stage = Stage::new().await;
        stage.disk(2);
        stage.file("imgimport.toml", "[aws]\nskip_clean = \"true\"\n");
        let run = stage.imgimport(&format!("aws --bucket importbucket -q {flag} disk.raw"));
        run.env("IMGIMPORT_SKIP_CLEAN", variable)
            .ends()
            .await
            .exits(0);
        assert_eq!(stage.cloud.s3().objects().len(), kept, "{flag} {variable}");
    }
}

#[tokio::test]
async fn a_switch_in_the_file_is_written_as_it_is_in_a_variable() {
    for on in ["true", "\"TRUE\"", "1", "\"1\"", "\"yes\""] {
        let stage = Stage::new().await;
        stage.disk(2);
        stage.file("imgimport.toml", format!("[aws]\nskip_clean = {on}\n"));
        let run = stage.imgimport("aws --bucket importbucket -q disk.raw");
        run.ends().await.exits(0).says("");
        assert_eq!(stage.cloud.s3().objects().len(), 1, "{on}");
    }
}

#[tokio::test]
async fn a_block_of_packers_is_carried_over_key_by_key() {
    let stage = Stage::new().await;
    stage.disk(2);
    let key = stage.cloud.key();
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
    let file = stage.file("packer.toml", settings);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let run = stage.imgimport("aws --config packer.toml -q --poll-interval 10ms");
    let run = run
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .without("AWS_REGION");
    run.ends().await.exits(0).prints("ami-ID").says("");
    let images = stage.cloud.ec2().images();
    assert_eq!(images[0].name, "packer");
    assert_eq!(
        images[0].tags["Description"],
        "packer amazon-import 1767225600"
    );
    assert_eq!(images[0].launch_permissions.len(), 2);
    assert_eq!(stage.cloud.ec2().import_tasks()[0].key, "packer-1767225600");
}

#[tokio::test]
async fn keys_of_the_environment_win_over_keys_of_the_file_as_a_pair() {
    let stage = Stage::new().await;
    stage.disk(2);
    stage.file(
        "imgimport.toml",
        "[aws]\naccess_key = \"AKIAWRONG\"\nsecret_key = \"wrong\"\ntoken = \"wrong\"\n",
    );
    let run = stage
        .imgimport("aws --bucket importbucket -q disk.raw")
        .ends()
        .await;
    run.exits(0).says(
        "warning: imgimport.toml holds a secret and others can read it: chmod 600 imgimport.toml",
    );
}

#[tokio::test]
async fn all_that_is_missing_or_wrong_is_said_at_once() {
    let stage = Stage::new().await;
    let run = stage.program([
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
        .ends()
        .await
        .exits(2)
        .prints("")
        .says(
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
async fn an_unknown_key_is_shown_with_its_line_and_the_nearest_name() {
    let stage = Stage::new().await;
    stage.file(
        "imgimport.toml",
        "image = \"disk.raw\"\n\n[aws]\nregion = \"eu-central-1\"\ns3_buket_name = \"b\"\n",
    );
    stage
        .imgimport("aws")
        .ends()
        .await
        .exits(2)
        .prints("")
        .says(
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
    let stage = Stage::new().await;
    stage.file("imgimport.toml", "[uplaod]\nconcurrency = 4\n");
    stage
        .imgimport("aws")
        .ends()
        .await
        .exits(2)
        .prints("")
        .says(
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
async fn a_value_of_the_wrong_kind_is_shown_with_its_line() {
    let stage = Stage::new().await;
    stage.file("imgimport.toml", "[wait]\ntimeout = \"soon\"\n");
    stage
        .imgimport("aws")
        .ends()
        .await
        .exits(2)
        .prints("")
        .says(
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
async fn a_broken_file_never_shows_the_secret_in_the_broken_line() {
    let stage = Stage::new().await;
    for line in [
        "secret_key = \"hush",
        "secert_kee = \"hush\"",
        "secret_key = [\"hush\"]",
        "secret_key = hush",
    ] {
        stage.file("imgimport.toml", format!("[aws]\n{line}\n"));
        let run = stage.imgimport("aws").ends().await;
        run.exits(2);
        assert!(!run.stderr.contains("hush"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_file_that_is_named_must_be_there() {
    let stage = Stage::new().await;
    stage
        .imgimport("aws --config nowhere.toml")
        .ends()
        .await
        .exits(2)
        .prints("")
        .says(
            "
        error: the settings file nowhere.toml can't be used
          cause: No such file or directory (os error 2)
        ",
        );
}

#[tokio::test]
async fn a_wrong_variable_is_named() {
    let stage = Stage::new().await;
    stage.imgimport("aws").env("IMGIMPORT_PART_SIZE", "big").ends().await.exits(2).prints("").says(
        "
        error: the variable IMGIMPORT_PART_SIZE is wrong
          cause: invalid value 'big' for '--part-size <SIZE>': \"big\" is not a size: write it like 5MiB or 1GB
        ",
    );
}

#[tokio::test]
async fn all_wrong_variables_are_named_at_once() {
    let stage = Stage::new().await;
    let run = stage.imgimport("aws").env("IMGIMPORT_PART_SIZE", "big");
    run.env("IMGIMPORT_TIMEOUT", "90").ends().await.exits(2).prints("").says(
        "
        error: 2 variables are wrong
          - IMGIMPORT_PART_SIZE: invalid value 'big' for '--part-size <SIZE>': \"big\" is not a size: write it like 5MiB or 1GB
          - IMGIMPORT_TIMEOUT: invalid value '90' for '--timeout <DUR>': \"90\" has no unit: write 90s for seconds or 90m for minutes
        ",
    );
}

#[tokio::test]
async fn a_broken_template_is_reported_once() {
    let stage = Stage::new().await;
    let disk = stage.disk(2).len();
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
        let run = stage.alicloud(&format!("{command} disk.raw"));
        let run = run
            .env(&format!("IMGIMPORT_{option}"), "{{nope}}")
            .ends()
            .await;
        let flag = option
            .split_once('_')
            .unwrap()
            .1
            .to_lowercase()
            .replace('_', "-");
        run.exits(2).prints("").says(&format!(
            "
        error: {{{{nope}}}} is not known: write {{{{timestamp}}}}, {{{{isotime}}}}, {{{{uuid}}}}, {{{{env}}}}, {{{{file_stem}}}}, {{{{format}}}} (--{flag}, IMGIMPORT_{option} or {table})
        "
        ));
    }
}

#[tokio::test]
async fn letters_that_changed_places_are_put_back() {
    let stage = Stage::new().await;
    stage
        .imgimport("asw disk.raw")
        .ends()
        .await
        .exits(2)
        .prints("")
        .says(
            "
        error: unrecognized subcommand 'asw'

          tip: a similar subcommand exists: 'aws'

        Usage: imgimport [OPTIONS] <COMMAND>

        For more information, try '--help'.
        ",
        );
    let run = stage.imgimport("docker disk.raw").ends().await;
    assert!(!run.exits(2).stderr.contains("tip:"), "{}", run.stderr);
}

#[tokio::test]
async fn wrong_usage_is_an_object_for_who_asked_for_json() {
    let stage = Stage::new().await;
    let object = r#"{"error":{"cause":null,"hint":"--help shows what there is","kind":"usage","left_behind":[],"message":"invalid value 'x' for '--part-size <SIZE>': \"x\" is not a size: write it like 5MiB or 1GB"},"schema":1}"#;
    let run = stage.imgimport("aws --part-size x --output json disk.raw");
    run.ends().await.exits(2).prints(object);
    let run = stage.imgimport("aws --part-size x disk.raw");
    run.env("IMGIMPORT_OUTPUT", "json")
        .ends()
        .await
        .exits(2)
        .prints(object);
    let run = stage.imgimport("asw --output json").ends().await;
    run.exits(2).prints(
        r#"{"error":{"cause":null,"hint":"a similar subcommand exists: 'aws'","kind":"usage","left_behind":[],"message":"unrecognized subcommand 'asw'"},"schema":1}"#,
    );
    let run = stage.imgimport("aws --config nowhere.toml disk.raw");
    run.env("IMGIMPORT_OUTPUT", "json").ends().await.exits(2).prints(
        r#"{"error":{"cause":"No such file or directory (os error 2)","hint":null,"kind":"usage","left_behind":[],"message":"the settings file nowhere.toml can't be used"},"schema":1}"#,
    );
    let help = stage.imgimport("aws --output json --help").ends().await;
    assert!(
        help.exits(0).stdout.starts_with("Import into Amazon"),
        "{}",
        help.stdout
    );
}

#[tokio::test]
async fn a_profile_is_found_in_the_files_of_the_aws_cli() {
    let stage = Stage::new().await;
    stage.disk(2);
    has_the_profile_build(&stage);
    let run = stage
        .imgimport("aws --profile build --bucket importbucket -q disk.raw")
        .without("AWS_REGION");
    run.env("AWS_ACCESS_KEY_ID", "AKIAWRONG")
        .ends()
        .await
        .exits(0)
        .prints("ami-ID")
        .says("");
}

/// Whoever pastes a command would otherwise ask another account.
#[tokio::test]
async fn the_commands_to_paste_name_the_profile_of_the_command_line() {
    let stage = Stage::new().await;
    stage.disk(2);
    has_the_profile_build(&stage);
    let fault = Fault::on("ec2:ImportImage").always();
    stage
        .cloud
        .fault(fault.answer(400, "InvalidParameter", "No."));
    let run = stage
        .imgimport("aws --profile build --bucket importbucket -q disk.raw")
        .without("AWS_REGION");
    let run = run.ends().await;
    run.exits(1).prints("").says(
        "
        error: the import could not be started
          cause: No (InvalidParameter, request ID)
          left behind: s3://importbucket/imgimport-1767225600.raw; remove it with: aws --profile build s3 rm s3://importbucket/imgimport-1767225600.raw
          hint: the same command goes on from there
        ",
    );
    // A shell in which AWS_PROFILE says so says it to the AWS CLI, too.
    let run = stage.imgimport("aws --bucket importbucket -q disk.raw");
    let run = run.env("AWS_PROFILE", "build").without("AWS_REGION");
    let run = run.ends().await;
    assert!(
        run.exits(1)
            .stderr
            .contains("remove it with: aws s3 rm s3://"),
        "{}",
        run.stderr
    );
}

/// The sandbox's key in a profile of that name.
fn has_the_profile_build(stage: &Stage) {
    let key = stage.cloud.key();
    fs::create_dir_all(stage.path(".aws")).unwrap();
    let text = format!(
        "[profile build]\naws_access_key_id = {}\naws_secret_access_key = {}\nregion = eu-central-1\n",
        key.access_key, key.secret_key
    );
    stage.file(".aws/config", text);
}

#[tokio::test]
async fn a_part_size_that_cannot_be_is_said_before_anybody_is_asked() {
    let stage = Stage::new().await;
    stage.disk(2);
    let run = stage.imgimport("aws --bucket importbucket --part-size 1MiB -q disk.raw");
    let run = run.ends().await;
    run.exits(2).prints("");
    assert!(stage.cloud.journal().is_empty(), "{}", run.stderr);
}

#[tokio::test]
async fn quiet_has_a_variable_too() {
    let stage = Stage::new().await;
    stage.disk(2);
    let run = stage.imgimport("aws --bucket importbucket disk.raw");
    run.env("IMGIMPORT_QUIET", "1")
        .ends()
        .await
        .exits(0)
        .prints("ami-ID")
        .says("");
}
