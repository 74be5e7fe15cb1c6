//! Packer's options with no counterpart here, each with what to do instead.

use toml::Value;

use super::options::Options;

/// The options given that nothing can be made of: the key, and what to do.
pub fn unsupported(options: &Options) -> Vec<(&'static str, String)> {
    let keys = [
        (
            &options.image_version,
            "image_version",
            "put the version into the image's name, or into a tag",
        ),
        (
            &options.image_unshare_account,
            "image_unshare_account",
            "a new image is shared with nobody but image_share_account",
        ),
        (
            &options.image_force_delete_instances,
            "image_force_delete_instances",
            "no instance is ever deleted here",
        ),
        (
            &options.image_ignore_data_disks,
            "image_ignore_data_disks",
            "an import has the system disk alone",
        ),
        (
            &options.system_disk_mapping,
            "system_disk_mapping",
            "say the disk's size with image_system_size",
        ),
        (
            &options.image_disk_mappings,
            "image_disk_mappings",
            "an import has the system disk alone",
        ),
        (
            &options.wait_copying_image_ready_timeout,
            "wait_copying_image_ready_timeout",
            "set timeout in [wait]",
        ),
        (
            &options.wait_snapshot_ready_timeout,
            "wait_snapshot_ready_timeout",
            "set timeout in [wait]",
        ),
    ];
    let set = keys.into_iter().filter(|(value, ..)| {
        value.as_ref().is_some_and(|value| match value {
            Value::Boolean(value) => *value,
            Value::String(text) => !text.trim().is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Table(table) => !table.is_empty(),
            _ => true,
        })
    });
    let refused =
        set.map(|(_, key, instead)| (key, format!("Packer's {key} is not supported: {instead}")));
    refused.collect()
}
