//! Packer's `alicloud-import`, as `from-packer` reads it.

use crate::import::cloud::PackerImport;

pub const PACKER: PackerImport = PackerImport {
    post_processor: "alicloud-import",
    extensions: Some(&["vhd", "raw"]),
    secrets: &[
        ("access_key", "ALICLOUD_ACCESS_KEY"),
        ("secret_key", "ALICLOUD_SECRET_KEY"),
        ("security_token", "SECURITY_TOKEN"),
    ],
    added_line: |_| None,
};
