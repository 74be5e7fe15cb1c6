//! Packer's `amazon-import`, as `from-packer` reads it.

use crate::import::cloud::PackerImport;

pub const PACKER: PackerImport = PackerImport {
    post_processor: "amazon-import",
    extensions: None,
    secrets: &[
        ("access_key", "AWS_ACCESS_KEY_ID"),
        ("secret_key", "AWS_SECRET_ACCESS_KEY"),
        ("token", "AWS_SESSION_TOKEN"),
    ],
    added_line: method,
};

/// Returns the method that Packer's import has, where no bucket is left to choose it: without
/// a bucket the import would use the EBS direct APIs.
fn method(lines: &[String]) -> Option<&'static str> {
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    if has("s3_bucket_name = ") || has("method = ") {
        return None;
    }
    let registered = ["architecture = \"arm64\"", "boot_mode = \"uefi-preferred\""];
    Some(if registered.into_iter().any(has) {
        "method = \"import-snapshot\" # needs s3_bucket_name"
    } else {
        "method = \"import-image\" # needs s3_bucket_name"
    })
}
