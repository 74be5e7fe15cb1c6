//! RegisterImage: an image from a snapshot, with all that the request says of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::images::invalid_value;
use super::model::{Image, Region};
use crate::fault::ApiError;
use crate::query::Query;

/// GiB
const LARGEST_VOLUME: u64 = 65536;

impl Image {
    /// Whether it was made by RegisterImage: neither imported nor copied.
    pub(super) fn is_registered(&self) -> bool {
        self.source.is_none() && !self.name.starts_with("import-ami-")
    }
}

/// RegisterImage's own defaults are i386 and paravirtual; they are kept, so that a client
/// that forgets to say otherwise is found.
pub(super) fn register(query: &Query, region: &Region) -> Result<Image, ApiError> {
    check_values(query)?;
    check_start(query)?;
    let mut image = Image::new(query.required("Name")?);
    image.description = query.get_owned("Description");
    let architecture = query.get("Architecture").unwrap_or("i386");
    architecture.clone_into(&mut image.architecture);
    let virtualization = query.get("VirtualizationType").unwrap_or("paravirtual");
    virtualization.clone_into(&mut image.virtualization);
    image.boot_mode = query.get_owned("BootMode");
    image.imds_support = query.get_owned("ImdsSupport");
    image.tpm_support = query.get_owned("TpmSupport");
    image.uefi_data = query.get_owned("UefiData");
    image.ena_support = query.flag("EnaSupport");
    query
        .required("RootDeviceName")?
        .clone_into(&mut image.root_device);
    for mapping in query.structs("BlockDeviceMapping") {
        map(&mut image, &mapping, region)?;
    }
    let rooted = |(device, _): &(String, String)| *device == image.root_device;
    if !image.mappings.iter().any(rooted) {
        let text = format!(
            "Root device {} is not in the block device mappings.",
            image.root_device
        );
        return Err(ApiError::new(400, "InvalidBlockDeviceMapping", text));
    }
    Ok(image)
}

fn map(image: &mut Image, mapping: &Query, region: &Region) -> Result<(), ApiError> {
    let (device, id) = (
        mapping.required("DeviceName")?,
        mapping.required("Ebs.SnapshotId")?,
    );
    if mapping.get("Ebs.Encrypted").is_some() {
        let text = "the encrypted flag cannot be specified since device has a snapshot specified.";
        return Err(ApiError::new(400, "InvalidParameterDependency", text));
    }
    let snapshot = region
        .snapshots
        .get(id)
        .ok_or_else(|| super::snapshots::no_snapshot(id))?;
    if snapshot.status() != "completed" {
        let text = format!("Snapshot {id} is in invalid state - {}", snapshot.status());
        return Err(ApiError::new(400, "IncorrectState", text));
    }
    let size = mapping.get("Ebs.VolumeSize").map(str::parse::<u64>);
    let size = size.transpose().ok().flatten();
    if size.is_some_and(|size| size < snapshot.volume_size) {
        let text = format!(
            "Volume of size {}GB is smaller than snapshot '{id}', expect size >= {}GB",
            size.unwrap_or_default(),
            snapshot.volume_size
        );
        return Err(ApiError::new(400, "InvalidBlockDeviceMapping", text));
    }
    if size.is_some_and(|size| size > LARGEST_VOLUME) {
        return Err(invalid_value("The volume size is invalid"));
    }
    if device == image.root_device {
        let kind = mapping.get("Ebs.VolumeType").unwrap_or("gp2");
        image.volume = (kind.to_owned(), size);
    }
    image.content = image.content.take().or_else(|| snapshot.content.clone());
    image.mappings.push((device.to_owned(), id.to_owned()));
    Ok(())
}

fn check_values(query: &Query) -> Result<(), ApiError> {
    let allowed: [(&str, &[&str]); 6] = [
        (
            "Architecture",
            &["i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"],
        ),
        ("VirtualizationType", &["hvm", "paravirtual"]),
        ("BootMode", &["legacy-bios", "uefi", "uefi-preferred"]),
        ("TpmSupport", &["v2.0"]),
        ("ImdsSupport", &["v2.0"]),
        (
            "BlockDeviceMapping.1.Ebs.VolumeType",
            &["standard", "gp2", "gp3", "io1", "io2"],
        ),
    ];
    for (name, values) in allowed {
        if let Some(value) = query.get(name)
            && !values.contains(&value)
        {
            let text = format!("Value ({value}) for parameter {name} is invalid.");
            return Err(invalid_value(text));
        }
    }
    Ok(())
}

/// How a system can start, and what that allows.
fn check_start(query: &Query) -> Result<(), ApiError> {
    let arm = query.get("Architecture") == Some("arm64");
    let mode = query.get("BootMode");
    let refuse = |text: &str| Err(ApiError::new(400, "InvalidParameterCombination", text));
    if arm && mode == Some("legacy-bios") {
        return refuse("The boot mode legacy-bios is not supported for the architecture arm64.");
    }
    if query.get("VirtualizationType") != Some("hvm") && (mode.is_some() || arm) {
        return refuse("The boot mode is supported for the virtualization type hvm only.");
    }
    if query.get("TpmSupport").is_some() && mode != Some("uefi") {
        return refuse("TPM support requires the boot mode uefi.");
    }
    let Some(data) = query.get("UefiData") else {
        return Ok(());
    };
    let store = STANDARD.decode(data).unwrap_or_default();
    if !store.starts_with(b"AMZNUEFI") || data.len() > 64_000 {
        return Err(invalid_value("The UEFI data is invalid."));
    }
    if mode.is_none_or(|mode| mode == "legacy-bios") {
        return refuse("UEFI data requires a boot mode with UEFI.");
    }
    Ok(())
}
