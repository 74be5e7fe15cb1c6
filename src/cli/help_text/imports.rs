//! The pages of the three imports.

use super::{IMPORT_STATUS, JOURNAL, Page, SETTINGS};

const OUTPUT: &str = "Standard output has the image's id and nothing else: with --no-wait the import task's id, \
    with --output json one object. Everything else goes to standard error.";

pub const AWS: Page = Page {
    command: "aws",
    description: "Looks into the image, sends it to a bucket of S3 in parts, lets EC2 import it, names, tags and \
        shares the AMI, and deletes the temporary object. A run that was stopped is continued by the same \
        command.\n\n\
        Beforehand there must be a bucket in the region of the import, and the service role vmimport, which \
        --create-role makes. Without a bucket the disk is written through the EBS direct APIs, which needs \
        neither; --method says more.\n\n\
        Credentials come from where the AWS CLI takes them: the environment, profiles, SSO, web identity, a \
        credential process, the roles of containers and instances.",
    output: OUTPUT,
    exit_status: IMPORT_STATUS,
    environment: &[
        (
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
            "credentials; no flag takes them, since a command line is readable by every user of the machine",
        ),
        (
            "AWS_ENDPOINT_URL_S3, _EC2, _EBS, _IAM, _SERVICE_QUOTAS, _SSM, _STS",
            "the endpoint of one service",
        ),
    ],
    files: &[
        SETTINGS,
        JOURNAL,
        (
            "~/.aws/config, ~/.aws/credentials",
            "regions, profiles and credentials, as for the AWS CLI",
        ),
    ],
    examples: &[
        (
            "Import an image and keep its AMI's id:",
            "AMI=$(imgimport aws --bucket importbucket disk.ova)",
        ),
        (
            "See what would be done, without changing anything:",
            "imgimport aws --bucket importbucket --dry-run disk.ova",
        ),
        (
            "The first import of an account, service role included:",
            "imgimport aws --bucket importbucket --create-role disk.ova",
        ),
        (
            "Without bucket and service role:",
            "imgimport aws --method ebs-direct --ami-name web disk.qcow2",
        ),
        (
            "For arm64, which ImportImage does not take, with a name and a tag:",
            "imgimport aws --bucket importbucket --architecture arm64 \\\n    --ami-name web-arm --tag team=web disk.raw",
        ),
        (
            "Copy the AMI to two regions and share it with an account:",
            "imgimport aws --bucket importbucket --ami-name web \\\n    --copy-to eu-west-1 --copy-to us-east-1 \\\n    --ami-users 111122223333 disk.ova",
        ),
        (
            "From a pipe:",
            "gzip -dc disk.raw.gz | imgimport aws --bucket importbucket -",
        ),
        (
            "In a pipeline, with a deadline and a result to parse:",
            "imgimport aws --bucket importbucket --timeout 2h --output json disk.ova",
        ),
    ],
};

pub const ALICLOUD: Page = Page {
    command: "alicloud",
    description: "Looks into the image, sends it to a bucket of OSS in parts, lets ECS import it, tags, shares and \
        copies the image, and deletes the temporary object. A run that was stopped is continued by the same \
        command.\n\n\
        The bucket and the RAM role of the import are made where they are missing.\n\n\
        Credentials come from the environment, the settings file, the profiles of the Alibaba Cloud CLI, OIDC \
        in pipelines, or the RAM role of the instance.",
    output: OUTPUT,
    exit_status: IMPORT_STATUS,
    environment: &[
        (
            "ALICLOUD_ACCESS_KEY, ALICLOUD_SECRET_KEY, ALICLOUD_SECURITY_TOKEN",
            "credentials; no flag takes them, since a command line is readable by every user of the machine",
        ),
        (
            "ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET, ALIBABA_CLOUD_SECURITY_TOKEN",
            "the same under the names of Alibaba Cloud's own tools",
        ),
        (
            "ALIBABA_CLOUD_ROLE_ARN, ALIBABA_CLOUD_OIDC_PROVIDER_ARN, ALIBABA_CLOUD_OIDC_TOKEN_FILE",
            "the role that an OIDC token is exchanged for",
        ),
    ],
    files: &[
        SETTINGS,
        JOURNAL,
        (
            "~/.aliyun/config.json",
            "profiles and credentials, as for the Alibaba Cloud CLI",
        ),
    ],
    examples: &[
        (
            "Import an image and keep its id:",
            "ID=$(imgimport alicloud --region cn-beijing --bucket packer disk.qcow2)",
        ),
        (
            "See what would be done, without changing anything:",
            "imgimport alicloud --region cn-beijing --bucket packer --dry-run disk.raw",
        ),
        (
            "Name the image and say what is in it:",
            "imgimport alicloud --region cn-beijing --bucket packer \\\n    --image-name web --os-type linux --platform Debian \\\n    --system-size 40 disk.raw",
        ),
        (
            "Replace the image of that name, once the new one is available:",
            "imgimport alicloud --region cn-beijing --bucket packer \\\n    --image-name web --force-delete disk.qcow2",
        ),
        (
            "Share the image with an account and copy it to a region:",
            "imgimport alicloud --region cn-beijing --bucket packer \\\n    --image-name web --share-account 1234567890123456 \\\n    --copy-to cn-shanghai disk.qcow2",
        ),
    ],
};

pub const DIGITALOCEAN: Page = Page {
    command: "digitalocean",
    description: "Looks into the image, sends it to a Space in parts, lets DigitalOcean fetch it from there, tags the \
        image, transfers it to further regions, and deletes the temporary object. A run that was stopped is \
        continued by the same command.\n\n\
        The Space must exist. Two kinds of credentials are needed: a token for the API and a key for the Space.",
    output: OUTPUT,
    exit_status: IMPORT_STATUS,
    environment: &[
        (
            "DIGITALOCEAN_TOKEN, DIGITALOCEAN_ACCESS_TOKEN, DIGITALOCEAN_API_TOKEN",
            "API token; no flag takes it, since a command line is readable by every user of the machine",
        ),
        (
            "SPACES_ACCESS_KEY_ID, SPACES_SECRET_ACCESS_KEY",
            "key of the Space; also DIGITALOCEAN_SPACES_ACCESS_KEY, DIGITALOCEAN_SPACES_SECRET_KEY",
        ),
    ],
    files: &[
        SETTINGS,
        JOURNAL,
        (
            "~/.config/doctl/config.yaml",
            "doctl's configuration, whose token is taken where no other is given",
        ),
    ],
    examples: &[
        (
            "Import an image and keep its id:",
            "ID=$(imgimport digitalocean --space import-bucket --spaces-region nyc3 \\\n    --image-name web --image-region nyc3 disk.raw)",
        ),
        (
            "See what would be done, without changing anything:",
            "imgimport digitalocean --space import-bucket --spaces-region nyc3 \\\n    --image-name web --image-region nyc3 --dry-run disk.raw",
        ),
        (
            "For two regions, with a distribution and tags:",
            "imgimport digitalocean --space import-bucket --spaces-region nyc3 \\\n    --image-name web --image-region nyc3 --image-region nyc2 \\\n    --distribution Debian --tag web --tag custom disk.qcow2",
        ),
    ],
};
