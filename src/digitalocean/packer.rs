//! Packer's `digitalocean-import`, as `from-packer` reads it.

use crate::import::cloud::PackerImport;

pub const PACKER: PackerImport = PackerImport {
    post_processor: "digitalocean-import",
    extensions: Some(&[
        "raw", "img", "qcow2", "vhdx", "vdi", "vmdk", "tar.bz2", "tar.xz", "tar.gz",
    ]),
    secrets: &[
        ("api_token", "DIGITALOCEAN_TOKEN"),
        ("spaces_key", "SPACES_ACCESS_KEY_ID"),
        ("spaces_secret", "SPACES_SECRET_ACCESS_KEY"),
    ],
    added_line: |_| None,
};
