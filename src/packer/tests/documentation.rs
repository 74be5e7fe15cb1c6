use super::becomes;

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
