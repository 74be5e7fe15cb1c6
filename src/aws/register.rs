//! RegisterImage: creates an AMI from a finished snapshot, with its own name and all options of
//! such an image. EC2's own defaults, i386 and paravirtual, are never used. The call has no
//! client token; the name, which only one image can have, shows whether an earlier request
//! succeeded.

use std::time::Duration;

use aws_sdk_ec2::operation::register_image::builders::RegisterImageFluentBuilder;
use aws_sdk_ec2::types::{
    ArchitectureValues, BlockDeviceMapping, BootModeValues, EbsBlockDevice, Filter,
    ImdsSupportValues, ResourceType, TpmSupportValues, VolumeType,
};
use sha2::{Digest, Sha256};

use super::client::Clients;
use super::consistency::{CONSISTENCY, is_unknown};
use super::error::ServiceError;
use super::job::Job;
use super::tags::tags;
use super::values::{Architecture, BootMode, flag_value};
use crate::error::Result;
use crate::net::retry::{RetryPolicy, wait_while};

/// Retries after which an image of this name is not the one that this run registered.
const FIND: RetryPolicy = RetryPolicy::new(3, Duration::from_secs(1), Duration::from_secs(4));

/// Everything of the image that can't be changed once it is registered.
pub fn fingerprint(job: &Job) -> String {
    let options = &job.register;
    format!(
        "{:?} {:?} {:?} {:?} {:?} {} {:?}",
        job.architecture,
        job.boot_mode,
        options.tpm_support,
        options.volume_type,
        options.volume_size,
        options.root_device,
        options
            .uefi_data
            .as_ref()
            .map(|data| hex::encode(Sha256::digest(data))),
    )
}

/// A registered image.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Its id.
    pub image: String,
    /// Whether this very request has made it, with all that it carries.
    pub created: bool,
}

/// Registers the image. If an earlier request succeeded without a response, the image is found
/// by its name and snapshot.
pub async fn register(job: &Job, clients: &Clients, snapshot: &str) -> Result<Registered> {
    let name = job.image_name();
    let what = || format!("{snapshot} could not be registered as \"{name}\"");
    let request = || async {
        let answer = build_request(job, clients, snapshot).send().await;
        let id = answer.map_err(ServiceError::from)?.image_id;
        id.ok_or_else(|| ServiceError::invalid_response("AWS gave no image id"))
    };
    let is_retryable = |fault: &ServiceError| is_unknown(fault) || fault.is_invalid_response();
    match wait_while(CONSISTENCY, request, is_retryable).await {
        Ok(image) => Ok(Registered {
            image,
            created: true,
        }),
        Err(fault) if fault.code() == "InvalidAMIName.Duplicate" => {
            match find_with_retry(clients, &name, snapshot).await {
                Some(image) => Ok(Registered { image, created: false }),
                None => Err(fault.into_error(what(), "ec2:RegisterImage").hint(
                    "deregister that image and run the same command again, or choose another --ami-name",
                )),
            }
        }
        Err(fault) => Err(fault.into_error(what(), "ec2:RegisterImage")),
    }
}

/// Whether the caller may; registers nothing.
pub async fn dry_run(job: &Job, clients: &Clients, snapshot: &str) -> Result<(), ServiceError> {
    let request = build_request(job, clients, snapshot).dry_run(true);
    Ok(request.send().await.map(drop)?)
}

fn build_request(job: &Job, clients: &Clients, snapshot: &str) -> RegisterImageFluentBuilder {
    let options = &job.register;
    // The volume is encrypted as its snapshot is; EC2 refuses to be told so.
    let volume = EbsBlockDevice::builder()
        .snapshot_id(snapshot)
        .volume_type(VolumeType::from(flag_value(&options.volume_type).as_str()))
        .set_volume_size(options.volume_size)
        .delete_on_termination(true)
        .build();
    let root = BlockDeviceMapping::builder()
        .device_name(&options.root_device)
        .ebs(volume)
        .build();
    let tpm = options.tpm_support.as_ref().map(flag_value);
    let imds = job.imds_support.as_ref().map(flag_value);
    clients
        .ec2
        .register_image()
        .name(job.image_name())
        .set_description(job.description.clone())
        .architecture(ArchitectureValues::from(
            flag_value(&job.architecture).as_str(),
        ))
        .virtualization_type("hvm")
        .ena_support(true)
        .root_device_name(&options.root_device)
        .block_device_mappings(root)
        .set_boot_mode(boot_mode(job))
        .set_tpm_support(tpm.as_deref().map(TpmSupportValues::from))
        .set_uefi_data(options.uefi_data.clone())
        .set_imds_support(imds.as_deref().map(ImdsSupportValues::from))
        .set_tag_specifications(tags(job, ResourceType::Image).map(|tags| vec![tags]))
}

/// EC2's arm64 instances start with UEFI alone.
fn boot_mode(job: &Job) -> Option<BootModeValues> {
    let arm = job.architecture == Architecture::Arm64;
    let mode = job.boot_mode.or(arm.then_some(BootMode::Uefi));
    mode.map(BootModeValues::from)
}

/// The image that has the name and the snapshot, if there is one.
pub async fn find(
    clients: &Clients,
    name: &str,
    snapshot: &str,
) -> Result<Option<String>, ServiceError> {
    let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let answer = clients
        .ec2
        .describe_images()
        .owners("self")
        .filters(filter("name", name))
        .filters(filter("block-device-mapping.snapshot-id", snapshot))
        .include_disabled(true)
        .send()
        .await?;
    let mut images = answer.images.unwrap_or_default().into_iter();
    Ok(images.find_map(|image| image.image_id))
}

/// A new image is found only after a moment.
async fn find_with_retry(clients: &Clients, name: &str, snapshot: &str) -> Option<String> {
    let find_image = || async {
        let image = find(clients, name, snapshot).await?;
        image.ok_or_else(|| anyhow::anyhow!("EC2 knows no such image"))
    };
    wait_while(FIND, find_image, |_| true).await.ok()
}
