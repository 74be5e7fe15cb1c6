use super::{accepted, becomes, translate};

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
# s3_bucket_name: it uses the function upper, which this program does not evaluate: write its value, or set IMGIMPORT_AWS_BUCKET
# s3_key_name: it uses the function lower, which this program does not evaluate: write its value, or set IMGIMPORT_AWS_KEY
ami_name = 'web-{{isotime "20060102150405"}}'
ami_users = ["111122223333", "444455556666"]
format = "raw"
boot_mode = "uefi"
keep_input_artifact = true
# mfa_code: Packer's mfa_code is not supported: give the credentials of a session that has passed MFA, such as a profile's with mfa_serial cached by the AWS CLI
# ami_description: it uses source.name, which only Packer knows: write its value, or set IMGIMPORT_AWS_AMI_DESCRIPTION
# only: imgimport imports each table that it reads: keep those that you want
# tags.Secret: it depends on the variable password, which is secret: write its value
# tags.Build: it uses {{.BuildName}}, which only a running build knows: write its value
method = "import-image" # needs s3_bucket_name

[aws.tags]
Team = '{{env "PKR_VAR_team"}}' # needs PKR_VAR_team
"Built on" = '{{isotime "%d %b %Y"}}'

[aws.aws_polling]
delay_seconds = 30
max_attempts = 100"#,
        &[
            "disk.pkr.hcl:30: compress is not carried over: do what it does before imgimport runs",
            "disk.pkr.hcl:56: manifest is not carried over: do what it does after imgimport runs",
            "disk.pkr.hcl:34: s3_bucket_name is not carried over: it uses the function upper, which this program does not evaluate: write its value, or set IMGIMPORT_AWS_BUCKET",
            "disk.pkr.hcl:35: s3_key_name is not carried over: it uses the function lower, which this program does not evaluate: write its value, or set IMGIMPORT_AWS_KEY",
            "disk.pkr.hcl:42: mfa_code is not carried over: Packer's mfa_code is not supported: give the credentials of a session that has passed MFA, such as a profile's with mfa_serial cached by the AWS CLI",
            "disk.pkr.hcl:43: ami_description is not carried over: it uses source.name, which only Packer knows: write its value, or set IMGIMPORT_AWS_AMI_DESCRIPTION",
            "disk.pkr.hcl:44: only is not carried over: imgimport imports each table that it reads: keep those that you want",
            "disk.pkr.hcl:46: tags.Team needs PKR_VAR_team in the environment",
            "disk.pkr.hcl:47: tags.Secret is not carried over: it depends on the variable password, which is secret: write its value",
            "disk.pkr.hcl:49: tags.Build is not carried over: it uses {{.BuildName}}, which only a running build knows: write its value",
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
      "ami_name": "web {{isotime}} {{user `build`}}",
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
        "s3_key_name": "{{isotime | clean_resource_name}}.ova",
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
# s3_bucket_name: it depends on the variable bucket, which has no value here (--var bucket=VALUE gives it one): write its value, or set IMGIMPORT_AWS_BUCKET
ami_name = 'web {{isotime}} {{env "BUILD_NUMBER"}}' # needs BUILD_NUMBER
# ami_description: it depends on the variable key, which is secret: write its value, or set IMGIMPORT_AWS_AMI_DESCRIPTION
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
# s3_key_name: it changes {{isotime}}, and this program evaluates only {{isotime}} by itself: write its value, or set IMGIMPORT_AWS_KEY
# tags.Name: it uses {{upper}}, which this program does not evaluate: write its value

[job.aws.tags]
"a.b" = '{{"{{"}}'"#,
        &[
            "disks.json:18: s3_bucket_name is not carried over: it depends on the variable bucket, which has no value here (--var bucket=VALUE gives it one): write its value, or set IMGIMPORT_AWS_BUCKET",
            "disks.json:20: ami_description is not carried over: it depends on the variable key, which is secret: write its value, or set IMGIMPORT_AWS_AMI_DESCRIPTION",
            "disks.json:24: instance_type is not carried over: an import has no use for it: leave it out",
            "disks.json:32: s3_key_name is not carried over: it changes {{isotime}}, and this program evaluates only {{isotime}} by itself: write its value, or set IMGIMPORT_AWS_KEY",
            "disks.json:33: tags.Name is not carried over: it uses {{upper}}, which this program does not evaluate: write its value",
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
