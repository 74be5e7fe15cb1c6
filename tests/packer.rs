//! Coming from Packer: a template becomes settings, and the settings import.

use std::fs;

use crate::support::TestEnv;

const TEMPLATE: &str = r#"
variable "bucket" {
  default = "importbucket"
}

locals {
  stamp = regex_replace(timestamp(), "[- TZ:]", "")
}

build {
  post-processors {
    post-processor "artifice" {
      files = ["disk.raw"]
    }
    post-processor "amazon-import" {
      access_key     = "AKIAIOSFODNN7EXAMPLE"
      secret_key     = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
      region         = "eu-central-1"
      s3_bucket_name = var.bucket
      ami_name       = "web-${local.stamp}"
      mfa_code       = "123456"
    }
  }
}
"#;

#[tokio::test]
async fn a_template_becomes_settings_and_the_settings_import_its_image() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    env.file("disk.pkr.hcl", TEMPLATE);
    let run = env.imgimport("from-packer disk.pkr.hcl").output().await;
    run.code(0)
        .stdout(
            r#"
            # disk.pkr.hcl as settings of imgimport
            image = "disk.raw"

            [aws] # amazon-import, line 15
            # access_key: set AWS_ACCESS_KEY_ID
            # secret_key: set AWS_SECRET_ACCESS_KEY
            region = "eu-central-1"
            s3_bucket_name = "importbucket" # the variable bucket's default
            ami_name = 'web-{{isotime "20060102150405"}}'
            # mfa_code: Packer's mfa_code is not supported: give the credentials of a session that has passed MFA, such as a profile's with mfa_serial cached by the AWS CLI
            "#,
        )
        .stderr(
            "warning: disk.pkr.hcl:21: mfa_code is not carried over: Packer's mfa_code is not supported: give the credentials of a session that has passed MFA, such as a profile's with mfa_serial cached by the AWS CLI",
        );
    env.file("imgimport.toml", &run.stdout_raw);
    let run = env.imgimport("aws -q").output().await;
    run.code(0).stdout("ami-ID").stderr("");
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
    assert_eq!(env.cloud.ec2().images()[0].name, "web-20260101000000");
}

#[tokio::test]
async fn a_template_can_come_through_a_pipe() {
    let env = TestEnv::new().await;
    let path = env.file(
        "block.json",
        r#"{"type": "digitalocean-import", "api_token": "{{user `token`}}", "space_name": "s"}"#,
    );
    let run = env.imgimport("from-packer -").stdin(&path).output().await;
    run.code(0).stderr("").stdout(
        r#"
        # standard input as settings of imgimport
        # image: the file that the build makes

        [digitalocean] # digitalocean-import, line 1
        # api_token: set DIGITALOCEAN_TOKEN
        space_name = "s"
        "#,
    );
}

#[tokio::test]
async fn a_syntax_error_is_one_sentence() {
    let env = TestEnv::new().await;
    env.file("broken.pkr.hcl", "build {\n  secret_key = \"hunter2\n}\n");
    env.file("other.json", r#"{"builders": []}"#);
    env.file("image.json", [0xff, 0xfe, 0x00]);
    let run = env.imgimport("from-packer broken.pkr.hcl").output().await;
    run.code(2).stdout("");
    assert!(
        run.stderr
            .starts_with("error: could not read the Packer template broken.pkr.hcl:2\n  cause: "),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    for (name, said) in [
        (
            "other.json",
            "error: other.json has nothing to carry over\n  cause: it has no post-processor amazon-import, alicloud-import or digitalocean-import",
        ),
        (
            "image.json",
            "error: could not read the Packer template image.json\n  cause: it is not UTF-8 text",
        ),
        (
            "none.json",
            "error: could not read the Packer template none.json\n  cause: No such file or directory (os error 2)",
        ),
    ] {
        let run = env.imgimport(&format!("from-packer {name}")).output().await;
        run.code(2).stdout("").stderr(said);
    }
}

#[tokio::test]
async fn two_imports_of_one_cloud_become_jobs_that_run() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    env.file("other.raw", &disk);
    let template = r#"{"post-processors": [
        [{"type": "artifice", "files": ["disk.raw"]},
         {"type": "amazon-import", "name": "one", "s3_bucket_name": "importbucket", "ami_name": "one"}],
        [{"type": "artifice", "files": ["other.raw"]},
         {"type": "amazon-import", "name": "two", "s3_bucket_name": "importbucket", "ami_name": "two"}]
    ]}"#;
    env.file("two.json", template);
    let run = env.imgimport("from-packer two.json").output().await;
    run.code(0).stderr("");
    fs::write(env.path("jobs.toml"), &run.stdout_raw).unwrap();
    let run = env
        .imgimport("run jobs.toml -q --parallel 1")
        .output()
        .await;
    run.code(0).stdout("one\tami-ID\ntwo\tami-ID").stderr("");
}

/// What `from-packer` prints for a template of this name, and the notes.
async fn translated(env: &TestEnv, arguments: &str) -> (toml::Table, String) {
    let run = env
        .imgimport(&format!("from-packer {arguments}"))
        .output()
        .await;
    run.code(0);
    (
        toml::from_str(&run.stdout_raw).expect("settings"),
        run.stderr.clone(),
    )
}

const UNKNOWN: &str = r#"
variable "stage" { type = string }
variable "labels" { type = map(string) }
variable "owner" { default = env("OWNER") }
variable "account" { type = string }

source "null" "disk" {}

build {
  sources = ["source.null.disk"]
  post-processor "amazon-import" {
    region              = "eu-central-1"
    s3_bucket_name      = "importbucket"
    ami_groups          = var.stage != "dev" ? ["all"] : []
    ami_users           = [for id in split(",", var.account) : id]
    keep_input_artifact = var.stage == "dev"
    skip_clean          = !(var.stage == "dev")
    license_type        = var.owner == "" ? "BYOL" : "AWS"
    ami_name            = "web-${split(".", var.stage)[0]}"
    ami_description     = "web%{ if var.stage == "dev" } (not for production)%{ endif }"
    role_name           = lookup({ dev = "a" }, var.stage, "b")
    tags                = merge({ team = "web" }, var.labels)
  }
  post-processor "digitalocean-import" {
    spaces_region     = "nyc3"
    space_name        = "s"
    image_name        = "web-${var.stage}"
    image_description = "of ${var.owner}"
    image_regions     = ["nyc3"]
    image_tags        = concat(["base"], [upper(var.stage)])
  }
}
"#;

#[tokio::test]
async fn a_value_computed_from_an_unknown_variable_is_omitted_and_named() {
    let env = TestEnv::new().await;
    env.file("disk.pkr.hcl", UNKNOWN);
    let run = env.imgimport("from-packer disk.pkr.hcl").output().await;
    run.code(0)
        .stdout(
            r#"
            # disk.pkr.hcl as settings of imgimport
            # image: the file that the build makes

            [aws] # amazon-import, line 11
            region = "eu-central-1"
            s3_bucket_name = "importbucket"
            # ami_groups: it depends on the variable stage, which has no value here (--var stage=VALUE gives it one): write its value, or set IMGIMPORT_AWS_AMI_GROUPS
            # ami_users: it uses for, which this program does not evaluate: write its value, or set IMGIMPORT_AWS_AMI_USERS
            # keep_input_artifact: it depends on the variable stage, which has no value here (--var stage=VALUE gives it one): write its value
            # skip_clean: it depends on the variable stage, which has no value here (--var stage=VALUE gives it one): write its value, or set IMGIMPORT_AWS_SKIP_CLEAN
            # license_type: it depends on the variable owner, which is read from OWNER (--var owner=VALUE sets it): write its value, or set IMGIMPORT_AWS_LICENSE_TYPE
            # ami_name: it uses the function split, which this program does not evaluate: write its value, or set IMGIMPORT_AWS_AMI_NAME
            # ami_description: it uses %{ }, which this program does not evaluate: write its value, or set IMGIMPORT_AWS_AMI_DESCRIPTION
            # role_name: it uses the function lookup, which this program does not evaluate: write its value, or set IMGIMPORT_AWS_ROLE_NAME
            # tags: it uses the function merge, which this program does not evaluate: write its value, or set IMGIMPORT_AWS_TAG

            [digitalocean] # digitalocean-import, line 24
            spaces_region = "nyc3"
            space_name = "s"
            image_name = 'web-{{env "PKR_VAR_stage"}}' # needs PKR_VAR_stage
            image_description = 'of {{env "OWNER"}}' # needs OWNER
            image_regions = ["nyc3"]
            # image_tags: it uses the function concat, which this program does not evaluate: write its value, or set IMGIMPORT_DIGITALOCEAN_TAG
            "#,
        );
    for (line, text) in [
        (14, "ami_groups is not carried over: it depends on"),
        (16, "keep_input_artifact is not carried over: it depends on"),
        (
            30,
            "image_tags is not carried over: it uses the function concat",
        ),
    ] {
        let note = format!("warning: disk.pkr.hcl:{line}: {text}");
        assert!(run.stderr.contains(&note), "{}", run.stderr);
    }
    let known =
        "disk.pkr.hcl --var stage=dev --var owner=me --var account=1,2 --var labels={a=\"b\"}";
    let (settings, notes) = translated(&env, known).await;
    let aws = settings["aws"].as_table().expect("a table");
    assert_eq!(aws.get("ami_groups"), None);
    assert_eq!(aws["keep_input_artifact"].as_bool(), Some(true));
    assert_eq!(aws["license_type"].as_str(), Some("AWS"));
    assert!(!notes.contains("ami_groups"), "{notes}");
    for (key, function) in [
        ("ami_name", "split"),
        ("role_name", "lookup"),
        ("tags", "merge"),
    ] {
        assert_eq!(aws.get(key), None);
        let note = format!("{key} is not carried over: it uses the function {function}");
        assert!(notes.contains(&note), "{notes}");
    }
}

#[tokio::test]
async fn a_folder_is_a_template_and_the_last_of_several_values_counts() {
    let env = TestEnv::new().await;
    for folder in ["template", "template/deeper.pkr.hcl"] {
        fs::create_dir(env.path(folder)).expect("a folder");
    }
    for (name, text) in [
        (
            "a.pkr.hcl",
            "variable \"name\" {\n  default = \"by-default\"\n}\n",
        ),
        (
            "b.pkr.hcl",
            "source \"qemu\" \"web\" {\n  output_directory = \"out\"\n  vm_name = \"web.raw\"\n}\nlocals {\n  name = \"web-${var.name}\"\n}\n",
        ),
        (
            "c.pkr.json",
            r#"{"build": {"sources": ["source.qemu.web"], "post-processor": {"digitalocean-import":
                {"space_name": "s", "image_name": "${local.name}", "tags": {}}}}}"#,
        ),
        ("old.json", "{ this is no template of the folder"),
        ("other.pkrvars.hcl", "name = \"not-this\"\n"),
    ] {
        env.file(&format!("template/{name}"), text);
    }
    let name = async |more: &str, environment: &[(&str, &str)]| {
        let mut run = env.imgimport(&format!("from-packer template {more}"));
        for (name, value) in environment {
            run = run.env(name, value);
        }
        let run = run.output().await;
        run.code(0).stderr("");
        let settings: toml::Table = toml::from_str(&run.stdout_raw).expect("settings");
        assert_eq!(settings["image"].as_str(), Some("out/web.raw"));
        settings["digitalocean"]["image_name"]
            .as_str()
            .map(str::to_owned)
    };
    let is = |name: &str| Some(format!("web-{name}"));
    let environment = [("PKR_VAR_name", "environment")];
    assert_eq!(name("", &[]).await, is("by-default"));
    assert_eq!(name("", &environment).await, is("environment"));
    env.file(
        "template/b.auto.pkrvars.hcl",
        "name = \"auto-b\"\nother = 5\n",
    );
    env.file("template/a.auto.pkrvars.hcl", "name = \"auto-a\"\n");
    assert_eq!(name("", &environment).await, is("auto-b"));
    env.file("template/a.auto.pkrvars.json", r#"{"name": "auto-json"}"#);
    assert_eq!(name("", &environment).await, is("auto-json"));
    env.file("one.pkrvars.hcl", "name = \"one\"\n");
    env.file("two.json", r#"{"name": "two"}"#);
    let files = "--var-file one.pkrvars.hcl --var-file two.json";
    assert_eq!(name(files, &environment).await, is("two"));
    let files = "--var-file two.json --var-file one.pkrvars.hcl";
    assert_eq!(name(files, &environment).await, is("one"));
    let arguments = format!("--var name=first --var name=last=x {files}");
    assert_eq!(name(&arguments, &environment).await, is("last=x"));
}

#[tokio::test]
async fn a_variable_with_an_unusual_name_is_set_by_an_option() {
    let env = TestEnv::new().await;
    env.file(
        "disk.pkr.hcl",
        r#"
variable "image-name" { type = string }
variable "regions" { type = list(string) }
variable "retries" { type = number }
build {
  post-processor "digitalocean-import" {
    space_name     = "s"
    image_name     = var.image-name
    image_regions  = var.regions
    http_retry_max = var.retries
  }
}
"#,
    );
    let run = env.imgimport("from-packer disk.pkr.hcl").output().await;
    run.code(0).stderr(
        "
        warning: disk.pkr.hcl:8: image_name is not carried over: it depends on the variable image-name, which has no value here (--var image-name=VALUE gives it one): write its value, or set IMGIMPORT_DIGITALOCEAN_IMAGE_NAME
        warning: disk.pkr.hcl:9: image_regions is not carried over: it depends on the variable regions, which has no value here (--var regions=VALUE gives it one): write its value, or set IMGIMPORT_DIGITALOCEAN_IMAGE_REGION
        warning: disk.pkr.hcl:10: http_retry_max is not carried over: it depends on the variable retries, which has no value here (--var retries=VALUE gives it one): write its value, or set DIGITALOCEAN_HTTP_RETRY_MAX
        ",
    );
    let run = env
        .imgimport("from-packer disk.pkr.hcl --var regions=[\"nyc3\",\"ams3\"]")
        .env("PKR_VAR_retries", "7")
        .env("PKR_VAR_image-name", "web")
        .output()
        .await;
    run.code(0).stderr("").stdout(
        r#"
        # disk.pkr.hcl as settings of imgimport
        # image: the file that the build makes

        [digitalocean] # digitalocean-import, line 6
        space_name = "s"
        image_name = "web"
        image_regions = ["nyc3", "ams3"]
        http_retry_max = 7
        "#,
    );
    for (arguments, said) in [
        (
            "--var name=web",
            "error: could not set --var name\n  cause: the template has no variable name",
        ),
        (
            "--var retries=many",
            "error: could not set the variable retries\n  cause: its value in --var does not fit its type",
        ),
        (
            "--var-file values.txt",
            "error: could not read the Packer template values.txt\n  cause: the name of a file of variables ends in .hcl or .json",
        ),
    ] {
        let run = env
            .imgimport(&format!("from-packer disk.pkr.hcl {arguments}"))
            .output()
            .await;
        run.code(2).stdout("").stderr(said);
    }
}

#[tokio::test]
async fn the_older_templates_have_variables_from_options_and_files_too() {
    let env = TestEnv::new().await;
    env.file(
        "disk.json",
        r#"{
  "variables": {"name": "web", "space": null},
  "builders": [{"type": "file", "source": "in", "target": "out/{{user `name`}}.raw"}],
  "post-processors": [{
    "type": "digitalocean-import",
    "space_name": "{{user `space`}}",
    "image_name": "{{user `name`}}-${NAME}",
    "image_tags": []
  }]
}"#,
    );
    env.file("values.json", r#"{"space": "of-the-file", "name": "file"}"#);
    let run = env
        .imgimport("from-packer disk.json --var name=db --var-file values.json")
        .output()
        .await;
    run.code(0).stderr("").stdout(
        r#"
        # disk.json as settings of imgimport
        image = "out/db.raw"

        [digitalocean] # digitalocean-import, line 4
        space_name = "of-the-file"
        image_name = "db-${NAME}"
        "#,
    );
}

#[tokio::test]
async fn hcl_as_json_is_read_like_hcl() {
    let env = TestEnv::new().await;
    env.file(
        "disk.pkr.json",
        r#"{
  "//": "a comment",
  "variable": {"bucket": {"type": "string", "default": "importbucket"}, "users": {"type": "list(string)"}},
  "locals": {"name": "web-${var.bucket}"},
  "source": {"file": {"disk": {"target": "disk.raw"}}},
  "build": {
    "sources": ["source.file.disk"],
    "post-processors": {"post-processor": [
      {"shell-local": {"inline": ["true"]}},
      {"amazon-import": {
        "s3_bucket_name": "${var.bucket}",
        "ami_name": "${local.name}-${timestamp()}",
        "ami_users": "${var.users}",
        "aws_polling": [{"delay_seconds": 5}],
        "tags": {"Name": "$${x}"}
      }}
    ]}
  }
}"#,
    );
    let run = env.imgimport("from-packer disk.pkr.json").output().await;
    run.code(0)
        .stdout(
            r#"
            # disk.pkr.json as settings of imgimport
            image = "disk.raw"

            [aws] # amazon-import, line 10
            s3_bucket_name = "importbucket" # the variable bucket's default
            ami_name = "web-importbucket-{{isotime}}" # the variable bucket's default
            # ami_users: it depends on the variable users, which has no value here (--var users=VALUE gives it one): write its value, or set IMGIMPORT_AWS_AMI_USERS

            [aws.aws_polling]
            delay_seconds = 5

            [aws.tags]
            Name = "${x}"
            "#,
        )
        .stderr(
            "
            warning: disk.pkr.json:9: shell-local is not carried over: do what it does before imgimport runs
            warning: disk.pkr.json:13: ami_users is not carried over: it depends on the variable users, which has no value here (--var users=VALUE gives it one): write its value, or set IMGIMPORT_AWS_AMI_USERS
            ",
        );
}

#[tokio::test]
async fn an_omitted_bucket_keeps_the_method_and_is_required() {
    let env = TestEnv::new().await;
    env.disk(2);
    for (variable, value) in [
        (
            "variable \"bucket\" { type = string }",
            "s3_bucket_name = var.bucket",
        ),
        ("", "s3_bucket_name = lookup({}, \"b\", \"importbucket\")"),
        ("", "s3_bucket = \"importbucket\""),
    ] {
        let template = format!(
            "{variable}\npost-processor \"amazon-import\" {{\n  region = \"eu-central-1\"\n  {value}\n}}\n"
        );
        env.file("disk.pkr.hcl", template);
        let run = env.imgimport("from-packer disk.pkr.hcl").output().await;
        run.code(0);
        assert!(
            run.stderr.contains("disk.pkr.hcl:4: s3_bucket"),
            "{}",
            run.stderr
        );
        assert!(
            run.stdout_raw.contains("method = \"import-image\""),
            "{}",
            run.stdout_raw
        );
        env.file("imgimport.toml", &run.stdout_raw);
        let run = env.imgimport("aws disk.raw --dry-run").output().await;
        run.code(2).stdout("");
        assert!(run.stderr.contains("bucket"), "{}", run.stderr);
    }
    assert!(env.cloud.ec2().images().is_empty());
}

#[tokio::test]
async fn a_key_that_packer_does_not_have_either_names_the_nearest() {
    let env = TestEnv::new().await;
    env.file(
        "disk.json",
        r#"{"type": "amazon-import", "s3_bucket_nam": "b", "instance_type": "t2.micro"}"#,
    );
    let run = env.imgimport("from-packer disk.json").output().await;
    run.code(0).stderr(
        "
        warning: disk.json:1: s3_bucket_nam is not carried over: there is no such key: did you mean s3_bucket_name?
        warning: disk.json:1: instance_type is not carried over: an import has no use for it: leave it out
        ",
    );
}

#[tokio::test]
async fn the_file_that_a_builder_makes_is_imported() {
    let env = TestEnv::new().await;
    let disk = env.disk(2);
    fs::create_dir(env.path("out")).expect("a folder");
    fs::rename(env.path("disk.raw"), env.path("out/web")).expect("a file");
    env.file(
        "disk.pkr.hcl",
        r#"
source "qemu" "web" {
  output_directory = "out"
  vm_name          = "web"
  format           = "raw"
}
build {
  sources = ["source.qemu.web"]
  post-processor "amazon-import" {
    region         = "eu-central-1"
    s3_bucket_name = "importbucket"
    ami_users      = []
    platform       = ""
    format         = "raw"
  }
}
"#,
    );
    let run = env.imgimport("from-packer disk.pkr.hcl").output().await;
    run.code(0).stderr("");
    env.file("imgimport.toml", &run.stdout_raw);
    let run = env.imgimport("aws -q").output().await;
    run.code(0).stdout("ami-ID").stderr("");
    assert_eq!(env.cloud.ec2().imported_bytes(&run.stdout_raw), Some(disk));
}

#[tokio::test]
async fn an_artifice_with_unknown_files_names_no_image() {
    let env = TestEnv::new().await;
    for (files, why) in [
        ("[var.file]", "it depends on the variable file"),
        (
            "[\"out/*.raw\"]",
            "its files are known only after the build",
        ),
        ("[\"a.txt\", \"b.txt\"]", "none of its files ends in .ova"),
    ] {
        let template = format!(
            "variable \"file\" {{ type = list(string) }}\nsource \"file\" \"a\" {{\n  target = \"old.raw\"\n}}\nbuild {{\n  sources = [\"source.file.a\"]\n  post-processors {{\n    post-processor \"artifice\" {{\n      files = {files}\n    }}\n    post-processor \"amazon-import\" {{\n      s3_bucket_name = \"b\"\n    }}\n  }}\n}}\n"
        );
        env.file("disk.pkr.hcl", template);
        let (settings, notes) = translated(&env, "disk.pkr.hcl").await;
        assert_eq!(settings.get("image"), None);
        let note = format!("warning: disk.pkr.hcl:8: the image is not carried over: {why}");
        assert!(notes.starts_with(&note), "{notes}");
    }
}
