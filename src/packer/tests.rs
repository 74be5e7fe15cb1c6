#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::files::Files;
use super::{Given, Translation};
use crate::error::{Kind, Result};

/// A template in one file.
fn translate(name: &str, template: &str) -> Result<Translation> {
    translate_with(name, template, &[])
}

/// A template in one file, with values of variables as `--var` gives them.
fn translate_with(name: &str, template: &str, values: &[(&str, &str)]) -> Result<Translation> {
    let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    let files = Files {
        name: name.to_owned(),
        folder: Some(".".to_owned()),
        templates: vec![(name.to_owned(), template.to_owned())],
        variables: Vec::new(),
    };
    let given = Given {
        environment: Vec::new(),
        arguments: values.iter().map(own).collect(),
    };
    super::translate(&files, &given)
}

/// The settings, without their first line, and the notes.
#[track_caller]
fn becomes(name: &str, template: &str, expected: &str, notes: &[&str]) {
    let translation = translate(name, template).unwrap();
    let (_, settings) = translation.toml.split_once('\n').unwrap();
    assert_eq!(settings.trim(), expected.trim());
    assert_eq!(translation.notes, notes);
    accepted(&translation.toml);
}

/// Our own reader takes what was written.
#[track_caller]
fn accepted(settings: &str) {
    let read = toml::from_str::<crate::settings::File>(settings);
    assert!(read.is_ok(), "{}\n{settings}", read.unwrap_err());
}

#[test]
fn amazons_basic_example() {
    becomes(
        "example.json",
        r#"{
  "type": "amazon-import",
  "access_key": "YOUR KEY HERE",
  "secret_key": "YOUR SECRET KEY HERE",
  "region": "us-east-1",
  "s3_bucket_name": "importbucket",
  "license_type": "BYOL",
  "tags": {
    "Description": "packer amazon-import {{timestamp}}"
  }
}"#,
        r#"
# image: the file that the build makes

[aws] # amazon-import, line 1
# access_key: set AWS_ACCESS_KEY_ID
# secret_key: set AWS_SECRET_ACCESS_KEY
region = "us-east-1"
s3_bucket_name = "importbucket"
license_type = "BYOL"

[aws.tags]
Description = "packer amazon-import {{timestamp}}""#,
        &[],
    );
}

#[test]
fn amazons_vmware_example_in_which_an_artifice_names_the_image() {
    becomes(
        "vmware.json",
        r#""post-processors" : [
     [
        {
          "type": "shell-local",
          "inline": [ "/usr/bin/ovftool <packer-output-directory>/<vmware-name>.vmx <packer-output-directory>/<vmware-name>.ova" ]
        },
        {
           "files": [
             "<packer-output-directory>/<vmware-name>.ova"
           ],
           "type": "artifice"
        },
        {
          "type": "amazon-import",
          "access_key": "YOUR KEY HERE",
          "secret_key": "YOUR SECRET KEY HERE",
          "region": "us-east-1",
          "s3_bucket_name": "importbucket",
          "license_type": "BYOL",
          "tags": {
            "Description": "packer amazon-import {{timestamp}}"
          }
       }
    ]
  ]
"#,
        r#"
image = "<packer-output-directory>/<vmware-name>.ova"

[aws] # amazon-import, line 13
# access_key: set AWS_ACCESS_KEY_ID
# secret_key: set AWS_SECRET_ACCESS_KEY
region = "us-east-1"
s3_bucket_name = "importbucket"
license_type = "BYOL"

[aws.tags]
Description = "packer amazon-import {{timestamp}}""#,
        &["vmware.json:3: shell-local is not carried over: do what it does before imgimport runs"],
    );
}

#[test]
fn alibabas_example() {
    becomes(
        "alicloud.json",
        r#""post-processors":[
    {
      "access_key":"{{user `access_key`}}",
      "secret_key":"{{user `secret_key`}}",
      "type":"alicloud-import",
      "oss_bucket_name": "packer",
      "image_name": "packer_import",
      "image_os_type": "linux",
      "image_platform": "CentOS",
      "image_architecture": "x86_64",
      "image_system_size": "40",
      "region":"cn-beijing"
    }
  ]"#,
        r#"
# image: the file that the build makes

[alicloud] # alicloud-import, line 2
# access_key: set ALICLOUD_ACCESS_KEY
# secret_key: set ALICLOUD_SECRET_KEY
oss_bucket_name = "packer"
image_name = "packer_import"
image_os_type = "linux"
image_platform = "CentOS"
image_architecture = "x86_64"
image_system_size = "40"
region = "cn-beijing""#,
        &[],
    );
}

const DIGITALOCEAN: &str = r#"
# api_token: set DIGITALOCEAN_TOKEN
# spaces_key: set SPACES_ACCESS_KEY_ID
# spaces_secret: set SPACES_SECRET_ACCESS_KEY
spaces_region = "nyc3"
space_name = "import-bucket"
image_name = "ubuntu-18.10-minimal-amd64"
image_description = "Packer import {{timestamp}}"
image_regions = ["nyc3", "nyc2"]
image_tags = ["custom", "packer"]"#;

#[test]
fn digitaloceans_examples_in_both_languages() {
    let head =
        "# image: the file that the build makes\n\n[digitalocean] # digitalocean-import, line 1";
    let expected = format!("{head}{DIGITALOCEAN}");
    becomes(
        "example.json",
        r#"{
  "type": "digitalocean-import",
  "api_token": "{{user `token`}}",
  "spaces_key": "{{user `key`}}",
  "spaces_secret": "{{user `secret`}}",
  "spaces_region": "nyc3",
  "space_name": "import-bucket",
  "image_name": "ubuntu-18.10-minimal-amd64",
  "image_description": "Packer import {{timestamp}}",
  "image_regions": ["nyc3", "nyc2"],
  "image_tags": ["custom", "packer"]
}"#,
        &expected,
        &[],
    );
    becomes(
        "example.pkr.hcl",
        r#"post-processor "digitalocean-import" {
  api_token         = "{{user `token`}}"
  spaces_key        = "{{user `key`}}"
  spaces_secret     = "{{user `secret`}}"
  spaces_region     = "nyc3"
  space_name        = "import-bucket"
  image_name        = "ubuntu-18.10-minimal-amd64"
  image_description = "Packer import {{timestamp}}"
  image_regions     = ["nyc3", "nyc2"]
  image_tags        = ["custom", "packer"]
}
"#,
        &expected,
        &[],
    );
}

#[test]
fn a_whole_hcl_template_with_variables_locals_and_functions() {
    becomes(
        "disk.pkr.hcl",
        r#"packer {
  required_plugins {
    amazon = { version = ">= 1.2", source = "github.com/hashicorp/amazon" }
  }
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "team" { type = string }

variable "password" {
  default   = "hunter2"
  sensitive = true
}

locals {
  stamp = regex_replace(timestamp(), "[- TZ:]", "")
  name  = "web-${local.stamp}"
}

source "qemu" "debian" {}

build {
  sources = ["source.qemu.debian"]

  post-processors {
    post-processor "compress" { output = "disk.raw" }
    post-processor "artifice" { files = ["output/disk.raw"] }
    post-processor "amazon-import" {
      region         = var.region
      s3_bucket_name = "images-${upper("x")}"
      s3_key_name    = "${lower(local.name)}.raw"
      ami_name       = local.name
      ami_users      = ["111122223333", "444455556666"]
      format         = "raw"
      boot_mode      = "uefi"
      platform       = ""
      keep_input_artifact = true
      mfa_code       = "123456"
      ami_description = "from ${source.name}"
      only           = ["qemu.debian"]
      tags = {
        Team    = var.team
        Secret  = var.password
        "Built on" = formatdate("DD MMM YYYY", timestamp())
        Build   = "{{ .BuildName }}"
      }
      aws_polling {
        delay_seconds = 30
        max_attempts  = 100
      }
    }
    post-processor "manifest" {}
  }
}
"#,
        r#"
image = "output/disk.raw"

[aws] # amazon-import, line 32
region = "eu-central-1" # the variable region's default
s3_bucket_name = "images-X"
# s3_key_name: it depends on local.name, which is known only when the import runs: write it, or set IMGIMPORT_AWS_KEY
ami_name = 'web-{{isotime "20060102150405"}}'
ami_users = ["111122223333", "444455556666"]
format = "raw"
boot_mode = "uefi"
keep_input_artifact = true
# mfa_code: Packer's mfa_code is not supported: give the credentials of a session that has passed MFA, such as a profile's with mfa_serial cached by the AWS CLI
# ami_description: it uses source, which only Packer knows: write it, or set IMGIMPORT_AWS_AMI_DESCRIPTION
# only: builds are chosen by what is run here: keep the tables that you want
# tags.Secret: it depends on the variable password, which is secret: write it
# tags.Build: it uses {{.BuildName}}, and only a running build knows it: write it

[aws.tags]
Team = '{{env "PKR_VAR_team"}}' # needs PKR_VAR_team
"Built on" = '{{isotime "%d %b %Y"}}'

[aws.aws_polling]
delay_seconds = 30
max_attempts = 100"#,
        &[
            "disk.pkr.hcl:30: compress is not carried over: do what it does before imgimport runs",
            "disk.pkr.hcl:56: manifest is not carried over: do what it does after imgimport runs",
            "disk.pkr.hcl:35: s3_key_name is not carried over: it depends on local.name, which is known only when the import runs: write it, or set IMGIMPORT_AWS_KEY",
            "disk.pkr.hcl:42: mfa_code is not carried over: Packer's mfa_code is not supported: give the credentials of a session that has passed MFA, such as a profile's with mfa_serial cached by the AWS CLI",
            "disk.pkr.hcl:43: ami_description is not carried over: it uses source, which only Packer knows: write it, or set IMGIMPORT_AWS_AMI_DESCRIPTION",
            "disk.pkr.hcl:44: only is not carried over: builds are chosen by what is run here: keep the tables that you want",
            "disk.pkr.hcl:46: tags.Team needs PKR_VAR_team in the environment",
            "disk.pkr.hcl:47: tags.Secret is not carried over: it depends on the variable password, which is secret: write it",
            "disk.pkr.hcl:49: tags.Build is not carried over: it uses {{.BuildName}}, and only a running build knows it: write it",
        ],
    );
}

#[test]
fn a_whole_json_template_with_variables_and_two_imports_of_one_cloud() {
    becomes(
        "disks.json",
        r#"{
  "variables": {
    "region": "us-east-1",
    "bucket": null,
    "build": "{{env `BUILD_NUMBER`}}",
    "key": "AKIAEXAMPLE",
    "kms": ""
  },
  "sensitive-variables": ["build_key"],
  "builders": [{"type": "qemu"}],
  "post-processors": [
    "compress",
    {
      "type": "amazon-import",
      "name": "first",
      "access_key": "{{user `key`}}",
      "region": "{{user `region`}}",
      "s3_bucket_name": "{{ user `bucket` }}",
      "ami_name": "web {{isotime | clean_resource_name}} {{user `build`}}",
      "ami_description": "by {{user `key`}}",
      "ami_kms_key": "{{user `kms`}}",
      "skip_clean": true,
      "max_retries": 5,
      "instance_type": "t2.micro"
    },
    [
      { "type": "artifice", "files": ["disk.vmdk", "disk.ova"] },
      {
        "type": "amazon-import",
        "region": "eu-central-1",
        "s3_bucket_name": "b",
        "s3_key_name": "{{build_name}}-{{strftime \"%Y\"}}.ova",
        "tags": { "Name": "{{upper `web`}}", "a.b": "{{\"{{\"}}" }
      }
    ]
  ]
}"#,
        r#"
[[job]] # amazon-import, line 13
name = "first"
image = "output-qemu/packer-qemu"

[job.aws]
# access_key: set AWS_ACCESS_KEY_ID
region = "us-east-1" # the variable region's default
# s3_bucket_name: its value is not known before the run: set IMGIMPORT_AWS_BUCKET, or give --var bucket=VALUE
ami_name = 'web {{isotime "2006-01-02T15-04-05Z"}} {{env "BUILD_NUMBER"}}' # the variable build's default, needs BUILD_NUMBER
# ami_description: it depends on the variable key, which is secret: write it, or set IMGIMPORT_AWS_AMI_DESCRIPTION
# ami_kms_key: the variable kms is empty by default
skip_clean = true
max_retries = 5
# instance_type: an import has no use for it: leave it out
method = "import-image" # needs s3_bucket_name

[[job]] # amazon-import, line 28
image = "disk.ova"

[job.aws]
region = "eu-central-1"
s3_bucket_name = "b"
# s3_key_name: it uses {{build_name}}, and only a running build knows it: write it, or set IMGIMPORT_AWS_KEY

[job.aws.tags]
Name = "WEB"
"a.b" = '{{"{{"}}'"#,
        &[
            "disks.json:18: s3_bucket_name is not carried over: its value is not known before the run: set IMGIMPORT_AWS_BUCKET, or give --var bucket=VALUE",
            "disks.json:20: ami_description is not carried over: it depends on the variable key, which is secret: write it, or set IMGIMPORT_AWS_AMI_DESCRIPTION",
            "disks.json:24: instance_type is not carried over: an import has no use for it: leave it out",
            "disks.json:32: s3_key_name is not carried over: it uses {{build_name}}, and only a running build knows it: write it, or set IMGIMPORT_AWS_KEY",
        ],
    );
}

#[test]
fn several_clouds_are_tables_beside_each_other() {
    let translation = translate(
        "all.pkr.hcl",
        r#"
build {
  post-processor "amazon-import" { s3_bucket_name = "a" }
  post-processor "alicloud-import" {
    oss_bucket_name = "b"
    tag {
      key = "team"
      value = "web"
    }
    tags = { stage = "test" }
    image_version = "1"
  }
  post-processor "digitalocean-import" {
    space_name = "c"
    timeout = "30m"
  }
}
"#,
    )
    .unwrap();
    assert_eq!(
        translation.toml,
        r#"# all.pkr.hcl as settings of imgimport
# image: the file that the build makes

[aws] # amazon-import, line 3
s3_bucket_name = "a"

[alicloud] # alicloud-import, line 4
oss_bucket_name = "b"
# image_version: Packer's image_version is not supported: put the version into the image's name, or into a tag

[alicloud.tags]
team = "web"
stage = "test"

[digitalocean] # digitalocean-import, line 13
space_name = "c"
timeout = "30m"
"#
    );
    accepted(&translation.toml);
}

#[test]
fn a_broken_template_is_one_sentence_with_its_line() {
    for (name, template, said) in [
        (
            "a.json",
            "{\n  \"post-processors\": [\n    {\"type\": }\n  ]\n}",
            "error: the Packer template a.json:3 can't be read\n  cause: expected value (column 14)",
        ),
        (
            "a.pkr.hcl",
            "build {\n  post-processor \"amazon-import\" {\n    secret_key = \"hunter2\n  }\n}\n",
            "error: the Packer template a.pkr.hcl:3 can't be read\n  cause: ",
        ),
        (
            "a.json",
            "{\"post-processors\": {\"type\": \"amazon-import\"}}",
            "error: the Packer template a.json:1 can't be read\n  cause: a list is expected here",
        ),
        (
            "a.json",
            "{\"post-processors\": [\n7]}",
            "error: the Packer template a.json:2 can't be read\n  cause: an object is expected here",
        ),
        (
            "a.pkr.json",
            "{\"build\": {}}",
            "error: a.pkr.json has nothing to carry over\n  cause: it has no post-processor amazon-import, alicloud-import or digitalocean-import",
        ),
        (
            "a.pkr.json",
            "{\"build\": {\n\"post-processor\": {\"amazon-import\": {\"ami_name\": \"${var.\"}}}}",
            "error: the Packer template a.pkr.json:2 can't be read\n  cause: an interpolation in this text can't be read",
        ),
        (
            "a.json",
            "{\"builders\": []}",
            "error: a.json has nothing to carry over\n  cause: it has no post-processor amazon-import, alicloud-import or digitalocean-import",
        ),
        (
            "empty",
            "",
            "error: empty has nothing to carry over\n  cause: it has no post-processor amazon-import, alicloud-import or digitalocean-import",
        ),
    ] {
        let error = translate(name, template).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        let error = error.to_string();
        assert!(error.starts_with(said), "{error}\n{said}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// What one value of an HCL template becomes.
fn value(expression: &str) -> String {
    let template =
        format!("post-processor \"amazon-import\" {{\n  ami_description = {expression}\n}}\n");
    let translation = translate("a.hcl", &template).unwrap();
    let line = translation.toml.lines().nth(4).unwrap_or_default();
    accepted(&translation.toml);
    line.replace("ami_description = ", "")
}

#[test]
fn the_time_stays_open_and_known_values_are_worked_out() {
    for (expression, said) in [
        ("timestamp()", "\"{{isotime}}\""),
        (
            r#"formatdate("YYYY-MM-DD'T'hh:mm:ssZ", timestamp())"#,
            "'{{isotime \"%Y-%m-%dT%H:%M:%SZ\"}}'",
        ),
        (
            r#"formatdate("EEE, D MMM YY", timestamp())"#,
            "'{{isotime \"%a, %-d %b %y\"}}'",
        ),
        (
            r#"legacy_isotime("20060102")"#,
            "'{{isotime \"20060102\"}}'",
        ),
        ("legacy_isotime()", "\"{{isotime}}\""),
        (r#"legacy_strftime("%Y")"#, "'{{isotime \"%Y\"}}'"),
        (
            r#"regex_replace(timestamp(), "[- TZ:]", "")"#,
            "'{{isotime \"20060102150405\"}}'",
        ),
        (r#""a-${timestamp()}-b""#, "\"a-{{isotime}}-b\""),
        (r#""a-${uuidv4()}""#, "\"a-{{uuid}}\""),
        (r#""a\"b${"c"}d""#, "'a\"bcd'"),
        (r#"format("%s-%d%%", "a", 5)"#, "\"a-5%\""),
        (
            r#"join(",", concat(["a"], split("-", "b-c")))"#,
            "\"a,b,c\"",
        ),
        (r#"join("", [for x in ["a", "b"] : upper(x)])"#, "\"AB\""),
        (r#"true ? "yes" : "no""#, "\"yes\""),
        (r#""%{ if true }yes%{ else }no%{ endif }""#, "\"yes\""),
        (r#"merge({a = "x"}, {a = "y"}).a"#, "\"y\""),
        (
            r#"trimsuffix(trimprefix(" disk.raw", " "), ".raw")"#,
            "\"disk\"",
        ),
        (r#"coalesce("", "b")"#, "\"b\""),
        (r#"env("BUILD")"#, "'{{env \"BUILD\"}}' # needs BUILD"),
        (r#""${path.root}/x""#, "\"./x\""),
        ("<<-EOT\n  two\n  lines\n  EOT", "\"\"\""),
    ] {
        assert_eq!(value(expression), said, "{expression}");
    }
}

#[test]
fn what_nobody_can_know_beforehand_is_not_claimed() {
    let place = "write it, or set IMGIMPORT_AWS_AMI_DESCRIPTION";
    let open = "gives, which is known only when the import runs";
    for (expression, why) in [
        (
            r#"replace(timestamp(), ":", "-")"#,
            format!("it uses what timestamp {open}"),
        ),
        (r#"upper(env("BUILD"))"#, format!("it uses what env {open}")),
        (
            r#"timestamp() == "" ? "a" : "b""#,
            format!("it uses what timestamp {open}"),
        ),
        (
            r#"upper("a-{{timestamp}}")"#,
            "it uses {{TIMESTAMP}}, and this program has no such function".to_owned(),
        ),
        (
            r#"formatdate("YYYY", "2020-01-01T00:00:00Z")"#,
            "it uses the function formatdate, and only the time of the run can be given to it"
                .to_owned(),
        ),
        (
            r#"legacy_strftime("%c")"#,
            "it uses the function legacy_strftime, and its layout is not understood".to_owned(),
        ),
        ("build.ID", "it uses build, which only Packer knows".to_owned()),
        (
            "local.nothing",
            "it uses local.nothing, which the template does not declare".to_owned(),
        ),
        (
            "file(\"secret.txt\")",
            "it uses the function file, which this program does not have".to_owned(),
        ),
        (
            r#"lower(["hunter2"])"#,
            "it uses the function lower with something unexpected".to_owned(),
        ),
        (
            r#"lower("GRÜN")"#,
            "it uses the function lower, and its text has letters outside ASCII".to_owned(),
        ),
        (r#""hunter2" + 1"#, "it computes with numbers".to_owned()),
        ("1 / 0", "it computes with numbers".to_owned()),
        (
            r#"join("", [for k, v in {b = "1", a = "2"} : v])"#,
            "it goes through something else than a list".to_owned(),
        ),
        (
            r#""{{build `ID`}}""#,
            "it uses {{build}}, and only a running build knows it".to_owned(),
        ),
        (
            r#""{{ open""#,
            "it has a {{ that is never closed by }}".to_owned(),
        ),
        (
            r#""{{vault `a` `b`}}""#,
            "it uses {{vault}}, and it reads a store of secrets".to_owned(),
        ),
        (
            r#""{{timestmp}}""#,
            "it uses {{timestmp}}, and this program has no such function".to_owned(),
        ),
        (
            r#""{{upper .Name}}""#,
            "it uses {{upper}}, and this program has no such function".to_owned(),
        ),
        (
            r#""{{timestamp | upper}}""#,
            "{{timestamp | upper}} changes a text that is known only when the import runs"
                .to_owned(),
        ),
        (
            r#""{{isotime `${env("LAYOUT")}`}}""#,
            "{{isotime `{{env \"LAYOUT\"}}`}} changes a text that is known only when the import runs".to_owned(),
        ),
    ] {
        assert_eq!(
            value(expression),
            format!("# ami_description: {why}: {place}"),
            "{expression}"
        );
    }
}

#[test]
fn a_builder_gives_the_image_where_its_file_is_certain() {
    let builders = [
        (
            r#"source "file" "a" { target = "out/a.raw" }"#,
            Some("out/a.raw"),
        ),
        (
            "source \"qemu\" \"a\" {\n output_directory = \"out/\"\n vm_name = \"web\"\n}",
            Some("out/web"),
        ),
        (r#"source "qemu" "a" {}"#, Some("output-a/packer-a")),
        (
            r#"source "qemu" "a" { vm_name = "web-${timestamp()}" }"#,
            None,
        ),
        (
            r#"source "qemu" "a" { output_directory = "${var.x}" }"#,
            None,
        ),
        (
            "source \"virtualbox-iso\" \"a\" {\n vm_name = \"web\"\n format = \"ova\"\n}",
            Some("output-a/web.ova"),
        ),
        (
            "source \"virtualbox-ovf\" \"a\" {\n vm_name = \"b\"\n output_filename = \"web\"\n format = \"ova\"\n}",
            Some("output-a/web.ova"),
        ),
        (r#"source "virtualbox-iso" "a" { format = "ova" }"#, None),
        (r#"source "virtualbox-iso" "a" { vm_name = "web" }"#, None),
        (
            "source \"vmware-iso\" \"a\" {\n output_directory = \"o\"\n vm_name = \"web\"\n format = \"ova\"\n}",
            Some("o/web.ova"),
        ),
        (r#"source "vmware-vmx" "a" { vm_name = "web" }"#, None),
        (r#"source "amazon-ebs" "a" {}"#, None),
    ];
    for (source, image) in builders {
        let kind = source.split('"').nth(1).unwrap();
        for (references, before, known) in [
            (format!("sources = [\"source.{kind}.a\"]"), "", true),
            (format!("sources = [source.{kind}.a]"), "", true),
            (format!("source \"source.{kind}.a\" {{}}"), "", true),
            (
                format!("sources = [\"source.{kind}.a\"]"),
                "post-processor \"shell-local\" {}",
                true,
            ),
            (
                format!("sources = [\"source.{kind}.a\"]"),
                "post-processor \"compress\" {}",
                false,
            ),
            (
                format!("sources = [\"source.{kind}.a\", \"source.file.b\"]"),
                "",
                false,
            ),
        ] {
            let template = format!(
                "variable \"x\" {{}}\nsource \"file\" \"b\" {{\n target = \"b\"\n}}\n{source}\nbuild {{\n {references}\n post-processors {{\n {before}\n post-processor \"digitalocean-import\" {{}}\n }}\n}}\n"
            );
            let translation = translate("a.pkr.hcl", &template).unwrap();
            let table: toml::Table = toml::from_str(&translation.toml).unwrap();
            let found = table.get("image").and_then(toml::Value::as_str);
            assert_eq!(found, image.filter(|_| known), "{template}");
        }
    }
}

#[test]
fn only_chooses_the_builder() {
    let translation = translate(
        "a.json",
        r#"{"builders": [{"type": "file", "target": "a.raw"}, {"type": "file", "name": "b", "target": "b.raw"}],
            "post-processors": [{"type": "digitalocean-import", "only": ["b"]}]}"#,
    );
    assert!(translation.unwrap().toml.contains("image = \"b.raw\"\n"));
}

/// The settings' value of each key, for a template that gives all of them one expression.
fn values(expression: &str, stage: Option<&str>) -> [Option<toml::Value>; 3] {
    let template = format!(
        r#"
variable "stage" {{ type = string }}
variable "known" {{ default = "dev" }}
locals {{
  through = var.stage
  within  = "a-${{var.stage}}"
  fixed   = "x-${{var.known}}"
}}
post-processor "amazon-import" {{
  ami_description     = {expression}
  ami_users           = {expression}
  keep_input_artifact = {expression}
}}
"#
    );
    let given: Vec<_> = stage.into_iter().map(|stage| ("stage", stage)).collect();
    let translation = translate_with("a.pkr.hcl", &template, &given).unwrap();
    let table: toml::Table = toml::from_str(&translation.toml).unwrap();
    ["ami_description", "ami_users", "keep_input_artifact"]
        .map(|key| table["aws"].get(key).cloned())
}

/// Expressions that use a variable without a value in every way.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "\"dev\"",
        "\"\"",
        "true",
        "false",
        "5",
        "null",
        "[]",
        "[\"dev\"]",
        "{}",
        "var.known",
        "local.fixed",
        "var.stage",
        "local.through",
        "local.within",
        "timestamp()",
        "path.root",
    ]);
    leaf.prop_map(str::to_owned)
        .prop_recursive(4, 24, 3, |inner| {
            let two = (inner.clone(), inner.clone());
            prop_oneof![
                (inner.clone(), two.clone()).prop_map(|(c, (a, b))| format!("({c} ? {a} : {b})")),
                two.clone().prop_map(|(a, b)| format!("({a} == {b})")),
                two.clone().prop_map(|(a, b)| format!("({a} != {b})")),
                two.clone().prop_map(|(a, b)| format!("({a} && !{b})")),
                two.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
                two.clone().prop_map(|(a, b)| format!("concat([{a}], {b})")),
                two.clone().prop_map(|(a, b)| format!("coalesce({a}, {b})")),
                two.clone().prop_map(|(a, b)| format!("split({a}, {b})")),
                two.clone()
                    .prop_map(|(a, b)| format!("join(\"-\", [{a}, {b}])")),
                two.clone()
                    .prop_map(|(a, b)| format!("[for x in {a} : {b}]")),
                two.clone()
                    .prop_map(|(a, b)| format!("[for x in {a} : x if x == {b}]")),
                two.clone()
                    .prop_map(|(a, b)| format!("format(\"%s-%v\", {a}, {b})")),
                two.clone()
                    .prop_map(|(a, b)| format!("\"${{{a}}}-${{{b}}}\"")),
                two.clone().prop_map(|(a, b)| format!(
                    "\"%{{ if {a} }}x${{{b}}}%{{ else }}y%{{ endif }}\""
                )),
                two.clone()
                    .prop_map(|(a, b)| format!("{{ a = {a}, dev = {b} }}.dev")),
                two.clone()
                    .prop_map(|(a, b)| format!("{{ dev = {a} }}[{b}]")),
                two.prop_map(|(a, b)| format!("merge({{ a = {a} }}, {{ a = {b} }}).a")),
                inner.clone().prop_map(|a| format!("upper({a})")),
                inner.clone().prop_map(|a| format!("length({a})")),
                inner.clone().prop_map(|a| format!("try({a}, \"dev\")")),
                inner.clone().prop_map(|a| format!("({a})[0]")),
                inner.clone().prop_map(|a| format!("({a})[*]")),
                inner.prop_map(|a| format!("\"${{{a}}}\"")),
            ]
        })
}

/// The value with the variable's in the place of what the import would read.
fn filled(value: &toml::Value, stage: &str) -> toml::Value {
    match value {
        toml::Value::String(text) => text.replace("{{env \"PKR_VAR_stage\"}}", stage).into(),
        toml::Value::Array(list) => {
            let list = list.iter().map(|value| filled(value, stage));
            list.collect::<Vec<_>>().into()
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_template_is_too_odd(text in any::<String>(), tail in "[\\[\\]{}\"`$%| a-z=\\\\\n#,:(0-9.?*-]{0,80}") {
        for name in ["a.json", "a.hcl", "a"] {
            let _ = translate(name, &text);
            let _ = translate(name, &tail);
            let _ = translate(name, &format!("post-processor \"amazon-import\" {{\n ami_name = {tail}\n}}"));
            let _ = translate(name, &format!("post-processor \"amazon-import\" {{\n ami_name = \"{{{{{tail}}}}}\"\n}}"));
            let _ = translate(name, &format!("{{\"type\": \"amazon-import\", \"ami_name\": {tail}}}"));
        }
    }

    #[test]
    fn what_is_written_is_read_again(key in ".{1,20}", text in ".{0,40}") {
        let said = serde_json::json!({"type": "amazon-import", "ami_description": text, "tags": {key.clone(): text.clone()}});
        let translation = translate("a.json", &said.to_string()).unwrap();
        accepted(&translation.toml);
        if !text.contains("{{") && !text.is_empty() {
            let table: toml::Table = toml::from_str(&translation.toml).unwrap();
            prop_assert_eq!(table["aws"]["ami_description"].as_str(), Some(text.as_str()));
            if !key.contains("{{") {
                prop_assert_eq!(table["aws"]["tags"][&key].as_str(), Some(text.as_str()));
            }
        }
    }

    #[test]
    fn no_secret_is_ever_repeated(at in 0..500_usize, sign in any::<char>()) {
        const SECRET: &str = "hunter2hunter2";
        let templates = [
            ("a.json", format!(r#"{{"variables": {{"k": "{SECRET}", "via": "{{{{user `k`}}}}", "s": "{SECRET}"}}, "sensitive-variables": ["s"],
              "post-processors": [{{"type": "amazon-import", "access_key": "{SECRET}", "secret_key": "{{{{user `via`}}}}", "token": "{SECRET}",
              "ami_name": "{{{{user `k`}}}}", "ami_description": "{{{{user `s`}}}}", "vault_aws_engine": {{"name": "{SECRET}"}}, "mfa_code": "{SECRET}"}}]}}"#)),
            ("a.hcl", format!("variable \"k\" {{\n default = \"{SECRET}\"\n sensitive = true\n}}\nlocals {{\n l = \"{SECRET}\"\n m = local.l\n}}\nlocal \"n\" {{\n expression = \"{SECRET}\"\n sensitive = true\n}}\npost-processor \"digitalocean-import\" {{\n api_token = local.m\n spaces_key = \"{SECRET}\"\n spaces_secret = var.k\n image_name = var.k\n image_description = \"a ${{local.l}}\"\n image_tags = [local.n, local.m]\n}}\n")),
        ];
        for (name, template) in templates {
            let whole = translate(name, &template).unwrap();
            prop_assert!(!format!("{whole:?}").contains(SECRET), "{}", whole.toml);
            let mut broken = template;
            let at = (0..=at.min(broken.len())).rev().find(|&at| broken.is_char_boundary(at)).unwrap_or(0);
            broken.insert(at, sign);
            // A broken name of a key is no name of a secret any more: only errors are judged.
            if let Err(error) = translate(name, &broken) {
                prop_assert!(!error.to_string().contains(SECRET), "{error}");
            }
        }
    }

    /// What is written without the variable is what is written with it, whatever it is.
    #[test]
    fn no_value_depends_on_what_is_not_known(expression in expression(), other in "[a-z.,]{0,6}") {
        let unknown = values(&expression, None);
        for stage in ["dev", "true", "x", other.as_str()] {
            let known = values(&expression, Some(stage));
            for (unknown, known) in unknown.iter().zip(known) {
                if let Some(unknown) = unknown {
                    let filled = filled(unknown, stage);
                    // An empty text is left out.
                    if filled.as_str() != Some("") {
                        prop_assert_eq!(Some(filled), known, "{} with {:?}", &expression, stage);
                    }
                }
            }
        }
    }
}
