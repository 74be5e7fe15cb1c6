//! Coming from Packer: a template becomes settings, and the settings import.

use std::fs;

use crate::support::Stage;

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
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    stage.file("disk.pkr.hcl", TEMPLATE);
    let run = stage.imgimport("from-packer disk.pkr.hcl").ends().await;
    run.exits(0)
        .prints(
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
        .says(
            "warning: disk.pkr.hcl:21: mfa_code is not carried over: Packer's mfa_code is not supported: give the credentials of a session that has passed MFA, such as a profile's with mfa_serial cached by the AWS CLI",
        );
    stage.file("imgimport.toml", &run.raw);
    let run = stage.imgimport("aws -q").ends().await;
    run.exits(0).prints("ami-ID").says("");
    assert_eq!(stage.cloud.ec2().arrived(&run.raw), Some(disk));
    assert_eq!(stage.cloud.ec2().images()[0].name, "web-20260101000000");
}

#[tokio::test]
async fn a_template_can_come_through_a_pipe() {
    let stage = Stage::new().await;
    let path = stage.file(
        "block.json",
        r#"{"type": "digitalocean-import", "api_token": "{{user `token`}}", "space_name": "s"}"#,
    );
    let run = stage.imgimport("from-packer -").stdin(&path).ends().await;
    run.exits(0).says("").prints(
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
async fn what_cannot_be_read_is_one_sentence() {
    let stage = Stage::new().await;
    stage.file("broken.pkr.hcl", "build {\n  secret_key = \"hunter2\n}\n");
    stage.file("other.json", r#"{"builders": []}"#);
    stage.file("image.json", [0xff, 0xfe, 0x00]);
    let run = stage.imgimport("from-packer broken.pkr.hcl").ends().await;
    run.exits(2).prints("");
    assert!(
        run.stderr
            .starts_with("error: the Packer template broken.pkr.hcl:2 can't be read\n  cause: "),
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
            "error: the Packer template image.json can't be read\n  cause: it is not a text",
        ),
        (
            "none.json",
            "error: the Packer template none.json can't be read\n  cause: No such file or directory (os error 2)",
        ),
    ] {
        let run = stage.imgimport(&format!("from-packer {name}")).ends().await;
        run.exits(2).prints("").says(said);
    }
}

#[tokio::test]
async fn two_imports_of_one_cloud_become_jobs_that_run() {
    let stage = Stage::new().await;
    let disk = stage.disk(2);
    stage.file("other.raw", &disk);
    let template = r#"{"post-processors": [
        [{"type": "artifice", "files": ["disk.raw"]},
         {"type": "amazon-import", "name": "one", "s3_bucket_name": "importbucket", "ami_name": "one"}],
        [{"type": "artifice", "files": ["other.raw"]},
         {"type": "amazon-import", "name": "two", "s3_bucket_name": "importbucket", "ami_name": "two"}]
    ]}"#;
    stage.file("two.json", template);
    let run = stage.imgimport("from-packer two.json").ends().await;
    run.exits(0).says("");
    fs::write(stage.path("jobs.toml"), &run.raw).unwrap();
    let run = stage
        .imgimport("run jobs.toml -q --parallel 1")
        .ends()
        .await;
    run.exits(0).prints("one\tami-ID\ntwo\tami-ID").says("");
}
