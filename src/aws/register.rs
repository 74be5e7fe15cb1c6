//! RegisterImage: a finished snapshot becomes an AMI under its own name, with everything
//! that such an image can carry. EC2's own defaults, i386 and paravirtual, are never
//! left to it. The call has no token; the name, which only one image can have, tells
//! whether an earlier request got through.

use aws_sdk_ec2::operation::register_image::builders::RegisterImageFluentBuilder;
use aws_sdk_ec2::types::{
    ArchitectureValues, BlockDeviceMapping, BootModeValues, EbsBlockDevice, Filter,
    ImdsSupportValues, ResourceType, TpmSupportValues, VolumeType,
};
use backon::{ExponentialBuilder, Retryable};
use sha2::{Digest, Sha256};

use super::client::Clients;
use super::consistency::{consistency_backoff, is_unknown};
use super::error::Fault;
use super::job::Job;
use super::tags::tags;
use super::values::{Architecture, BootMode, word};
use crate::error::Result;

/// Questions after which an image that EC2 says is there is not ours.
const LOOKS: usize = 3;

/// Everything of the image that can't be changed once it is registered.
pub fn request(job: &Job) -> String {
    let wish = &job.register;
    format!(
        "{:?} {:?} {:?} {:?} {:?} {} {:?}",
        job.architecture,
        job.boot_mode,
        wish.tpm_support,
        wish.volume_type,
        wish.volume_size,
        wish.root_device,
        wish.uefi_data
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
    pub now: bool,
}

/// Registers the image. A request that got through unheard is known by the image that has
/// the name and the snapshot.
pub async fn register(job: &Job, clients: &Clients, snapshot: &str) -> Result<Registered> {
    let name = job.image_name();
    let what = || format!("{snapshot} could not be registered as \"{name}\"");
    let request = || async {
        let answer = request_for(job, clients, snapshot).send().await;
        let id = answer.map_err(Fault::from)?.image_id;
        id.ok_or_else(|| Fault::unreadable("AWS gave no image id"))
    };
    let again = |fault: &Fault| is_unknown(fault) || fault.is_unreadable();
    match request.retry(consistency_backoff()).when(again).await {
        Ok(image) => Ok(Registered { image, now: true }),
        Err(fault) if fault.code() == "InvalidAMIName.Duplicate" => {
            match find_patiently(clients, &name, snapshot).await {
                Some(image) => Ok(Registered { image, now: false }),
                None => Err(fault.fails(what(), "ec2:RegisterImage").hint(
                    "deregister that image and run the same command again, or choose another --ami-name",
                )),
            }
        }
        Err(fault) => Err(fault.fails(what(), "ec2:RegisterImage")),
    }
}

/// Whether the caller may; registers nothing.
pub async fn rehearse(job: &Job, clients: &Clients, snapshot: &str) -> Result<(), Fault> {
    let request = request_for(job, clients, snapshot).dry_run(true);
    Ok(request.send().await.map(drop)?)
}

fn request_for(job: &Job, clients: &Clients, snapshot: &str) -> RegisterImageFluentBuilder {
    let wish = &job.register;
    // The volume is encrypted as its snapshot is; EC2 refuses to be told so.
    let volume = EbsBlockDevice::builder()
        .snapshot_id(snapshot)
        .volume_type(VolumeType::from(word(&wish.volume_type).as_str()))
        .set_volume_size(wish.volume_size)
        .delete_on_termination(true)
        .build();
    let root = BlockDeviceMapping::builder()
        .device_name(&wish.root_device)
        .ebs(volume)
        .build();
    let tpm = wish.tpm_support.as_ref().map(word);
    let imds = job.imds_support.as_ref().map(word);
    clients
        .ec2
        .register_image()
        .name(job.image_name())
        .set_description(job.description.clone())
        .architecture(ArchitectureValues::from(word(&job.architecture).as_str()))
        .virtualization_type("hvm")
        .ena_support(true)
        .root_device_name(&wish.root_device)
        .block_device_mappings(root)
        .set_boot_mode(starts(job))
        .set_tpm_support(tpm.as_deref().map(TpmSupportValues::from))
        .set_uefi_data(wish.uefi_data.clone())
        .set_imds_support(imds.as_deref().map(ImdsSupportValues::from))
        .set_tag_specifications(tags(job, ResourceType::Image).map(|tags| vec![tags]))
}

/// EC2's arm64 instances start with UEFI alone.
fn starts(job: &Job) -> Option<BootModeValues> {
    let arm = job.architecture == Architecture::Arm64;
    let mode = job.boot_mode.or(arm.then_some(BootMode::Uefi));
    mode.map(BootModeValues::from)
}

/// The image that has the name and the snapshot, if there is one.
pub async fn find(clients: &Clients, name: &str, snapshot: &str) -> Result<Option<String>, Fault> {
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
async fn find_patiently(clients: &Clients, name: &str, snapshot: &str) -> Option<String> {
    let look = || async {
        let image = find(clients, name, snapshot).await?;
        image.ok_or_else(|| anyhow::anyhow!("EC2 knows no such image"))
    };
    let pauses = ExponentialBuilder::default().with_max_times(LOOKS);
    look.retry(pauses).await.ok()
}
