//! Images: describe, copy, register, deregister.

use super::import::{check_encryption, find_by_token, record_token};
use super::model::{Image, Kms, Region, Snapshot, tags_for, write_tags};
use super::script::CopyScript;
use super::{Call, document};
use crate::fault::ApiError;
use crate::keys::ACCOUNT;
use crate::query::{Answer, Query};
use crate::xml::Xml;

pub(super) fn no_image(id: &str) -> ApiError {
    if id
        .strip_prefix("ami-")
        .is_none_or(|rest| !rest.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        let text = format!("Invalid id: \"{id}\" (expecting \"ami-...\")");
        return ApiError::new(400, "InvalidAMIID.Malformed", text);
    }
    ApiError::new(
        400,
        "InvalidAMIID.NotFound",
        format!("The image id '[{id}]' does not exist"),
    )
}

pub(super) fn invalid_value(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterValue", message)
}

/// AMI names: 3-128 of letters, digits and `( ) [ ] space . / - ' @ _`.
fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
        let text = "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, \
                    '(', ')', '.', '-', '/' and '_'";
        return Err(ApiError::new(400, "InvalidAMIName.Malformed", text));
    }
    Ok(())
}

impl Call<'_> {
    pub(super) fn describe_images(&self) -> Answer {
        let (ids, filters) = (self.query.list("ImageId"), self.query.structs("Filter"));
        let owners = self.query.list("Owner");
        self.region(|region| {
            if let Some(id) = ids.iter().find(|id| !region.images.contains_key(*id)) {
                return Err(no_image(id));
            }
            let mut found = Vec::new();
            for image in region.images.values_mut() {
                let owned = owners.is_empty()
                    || owners
                        .iter()
                        .any(|owner| owner == "self" || owner == ACCOUNT);
                let named = ids.is_empty() || ids.contains(&image.id);
                if named && owned && matches_filters(&filters, |name| image.field(name))? {
                    found.push(image.id.clone());
                }
            }
            let answer = document("DescribeImages", |xml| {
                let images = found.iter().filter_map(|id| region.images.get(id));
                xml.items("imagesSet", images, |xml, image| image.write(xml, region));
            });
            for id in &found {
                region.images.entry(id.clone()).and_modify(Image::poll);
            }
            Ok(answer)
        })
    }

    pub(super) fn copy_image(&self) -> Answer {
        let query = self.query;
        let (name, source) = (query.required("Name")?, query.required("SourceImageId")?);
        let from = query.required("SourceRegion")?;
        check_name(name)?;
        check_encryption(query)?;
        if let Some(id) = self.region(|region| find_by_token(region, query))? {
            return Ok(image_id_document("CopyImage", &id));
        }
        let (mut image, mut snapshots) =
            self.named_region(from, |region| copy_of(region, source, query))?;
        image.pending = Some(self.copy_script());
        if let (Some(pending), Some(reason)) = (&mut image.pending, self.foreign_key()) {
            *pending = pending.clone().fail(&reason);
        }
        image
            .tags
            .extend(tags_for(query, &["image", "snapshot"], "image")?);
        let tags = tags_for(query, &["image", "snapshot"], "snapshot")?;
        let by_default = self.world.ec2.state().encryption_by_default;
        for snapshot in &mut snapshots {
            snapshot.description = format!(
                "Copied for DestinationAmi {} from SourceAmi {source}",
                image.id
            );
            snapshot.tags.clone_from(&tags);
            snapshot.kms.encrypted |= by_default;
            if from != self.region && !query.flag("Encrypted") {
                // The copy of an encrypted snapshot has the default key of its region.
                snapshot.kms.key_id = None;
            }
        }
        self.region(|region| {
            let answer = image_id_document("CopyImage", &image.id);
            record_token(region, query, &image.id);
            region
                .snapshots
                .extend(snapshots.into_iter().map(|s| (s.id.clone(), s)));
            region.images.insert(image.id.clone(), image);
            Ok(answer)
        })
    }

    fn copy_script(&self) -> CopyScript {
        let state = self.world.ec2.state();
        let script = state.copies_in.get(self.region).unwrap_or(&state.copies);
        script.clone()
    }

    /// A key of another region is noticed only when the copy is made.
    fn foreign_key(&self) -> Option<String> {
        let key = self.query.get("KmsKeyId")?;
        let home = key.strip_prefix("arn:aws:kms:")?.split(':').next()?;
        (home != self.region).then(|| format!("Given key ID is not accessible: {key}"))
    }

    pub(super) fn register_image(&self) -> Answer {
        let query = self.query;
        let name = query.required("Name")?;
        check_name(name)?;
        let tags = tags_for(query, &["image"], "image")?;
        let pending = self.world.ec2.state().copies.clone();
        self.region(|region| {
            if let Some(taken) = region.images.values().find(|image| image.name == name) {
                let text = format!("AMI name {name} is already in use by AMI {}", taken.id);
                return Err(ApiError::new(400, "InvalidAMIName.Duplicate", text));
            }
            let mut image = super::register::register(query, region)?;
            image.tags = tags;
            image.pending = Some(pending);
            let answer = image_id_document("RegisterImage", &image.id);
            region.images.insert(image.id.clone(), image);
            Ok(answer)
        })
    }

    pub(super) fn deregister_image(&self) -> Answer {
        let id = self.query.required("ImageId")?;
        let with_snapshots = self.query.flag("DeleteAssociatedSnapshots");
        self.region(|region| {
            let image = region.images.remove(id).ok_or_else(|| no_image(id))?;
            let associated = image.mappings.iter().filter(|_| with_snapshots);
            let results: Vec<_> = associated
                .map(|(_, id)| (id, remove_snapshot(region, id)))
                .collect();
            Ok(document("DeregisterImage", |xml| {
                xml.text("return", true);
                if with_snapshots {
                    xml.items("deleteSnapshotResultSet", results, |xml, (id, code)| {
                        xml.text("snapshotId", id).text("returnCode", code);
                    });
                }
            }))
        })
    }
}

fn remove_snapshot(region: &mut Region, id: &str) -> &'static str {
    if region.users_of(id).next().is_some() {
        return "skipped";
    }
    match region.snapshots.remove(id) {
        Some(_) => "success",
        None => "client-error",
    }
}

impl Region {
    /// The images that need this snapshot.
    pub(super) fn users_of(&self, snapshot: &str) -> impl Iterator<Item = &Image> {
        let uses = move |image: &&Image| image.mappings.iter().any(|(_, id)| id == snapshot);
        self.images.values().filter(uses)
    }
}

fn image_id_document(action: &str, id: &str) -> String {
    document(action, |xml| {
        xml.text("imageId", id);
    })
}

/// A new image like the source's, with new snapshots. Launch permissions are never copied.
fn copy_of(
    region: &mut Region,
    source: &str,
    query: &Query,
) -> Result<(Image, Vec<Snapshot>), ApiError> {
    let original = region.images.get(source).ok_or_else(|| no_image(source))?;
    if original.state() != "available" {
        let text = format!(
            "The image {source} is not available; it is {}",
            original.state()
        );
        return Err(ApiError::new(400, "InvalidAMIID.Unavailable", text));
    }
    let mut image = Image::new(query.required("Name")?);
    image.description = query.get_owned("Description");
    image.source = Some(source.to_owned());
    image.architecture.clone_from(&original.architecture);
    image.boot_mode.clone_from(&original.boot_mode);
    image.platform.clone_from(&original.platform);
    image.imds_support.clone_from(&original.imds_support);
    image.tpm_support.clone_from(&original.tpm_support);
    image.root_device.clone_from(&original.root_device);
    image.volume.clone_from(&original.volume);
    image.uefi_data.clone_from(&original.uefi_data);
    image.content.clone_from(&original.content);
    if query.flag("CopyImageTags") {
        image.tags.clone_from(&original.tags);
    }
    let mut snapshots = Vec::new();
    for (device, id) in &original.mappings {
        let Some(old) = region.snapshots.get(id) else {
            let text = format!("The snapshot {id} of {source} does not exist");
            return Err(ApiError::new(400, "InvalidRequest", text));
        };
        let mut snapshot = Snapshot::new(String::new(), old.volume_size << 30, old.content.clone());
        snapshot.kms = if query.flag("Encrypted") {
            Kms {
                encrypted: true,
                key_id: query.get_owned("KmsKeyId"),
            }
        } else {
            old.kms.clone()
        };
        image.mappings.push((device.clone(), snapshot.id.clone()));
        snapshots.push(snapshot);
    }
    Ok((image, snapshots))
}

/// Whether all filters are met; `*` and `?` are wildcards in AWS, of which `*` is kept.
pub(super) fn matches_filters(
    filters: &[Query],
    field: impl Fn(&str) -> Option<Vec<String>>,
) -> Result<bool, ApiError> {
    for filter in filters {
        let name = filter.required("Name")?;
        let values =
            field(name).ok_or_else(|| invalid_value(format!("The filter '{name}' is invalid")))?;
        let wanted = filter.list("Value");
        let meets = |pattern: &String| values.iter().any(|value| matches_wildcard(pattern, value));
        if !wanted.iter().any(meets) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn matches_wildcard(pattern: &str, value: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == value,
        Some((head, tail)) => value.strip_prefix(head).is_some_and(|rest| {
            let mut starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            starts.any(|at| matches_wildcard(tail, &rest[at..]))
        }),
    }
}

impl Image {
    /// The values of a filter's field; none when there is no such filter.
    fn field(&self, name: &str) -> Option<Vec<String>> {
        let tag = |key: &str| self.tags.get(key).into_iter().cloned().collect();
        Some(match name {
            "name" => vec![self.name.clone()],
            "image-id" => vec![self.id.clone()],
            "state" => vec![self.state().to_owned()],
            "architecture" => vec![self.architecture.clone()],
            "owner-id" => vec![ACCOUNT.to_owned()],
            "is-public" => vec![self.is_public().to_string()],
            "tag-key" => self.tags.keys().cloned().collect(),
            "block-device-mapping.snapshot-id" => {
                self.mappings.iter().map(|(_, id)| id.clone()).collect()
            }
            _ => tag(name.strip_prefix("tag:")?),
        })
    }

    fn write(&self, xml: &mut Xml, region: &Region) {
        xml.text("imageId", &self.id)
            .text("imageLocation", format!("{ACCOUNT}/{}", self.name));
        xml.text("imageState", self.state())
            .text("imageOwnerId", ACCOUNT);
        xml.text("creationDate", &self.created)
            .text("isPublic", self.is_public());
        xml.text("architecture", &self.architecture)
            .text("imageType", "machine");
        xml.text("name", &self.name)
            .optional("description", self.description.as_ref());
        xml.optional(
            "platform",
            self.platform
                .as_ref()
                .map(|platform| platform.to_lowercase()),
        );
        xml.optional("bootMode", self.boot_mode.as_ref());
        xml.optional("imdsSupport", self.imds_support.as_ref());
        xml.optional("tpmSupport", self.tpm_support.as_ref());
        xml.text("rootDeviceType", "ebs")
            .text("rootDeviceName", &self.root_device);
        xml.text("virtualizationType", &self.virtualization)
            .text("hypervisor", "xen");
        xml.text("enaSupport", self.ena_support);
        xml.optional("sourceImageId", self.source.as_ref());
        xml.optional("deprecationTime", self.deprecated.as_ref());
        if let Some(reason) = &self.failure {
            xml.element("stateReason", |xml| {
                xml.text("code", "Client.InternalError")
                    .text("message", reason);
            });
        }
        // What a copy or an import consists of is known once it is there.
        let known = self.state() == "available" || self.is_registered();
        let mappings = self.mappings.iter().filter(|_| known);
        xml.items("blockDeviceMapping", mappings, |xml, (device, id)| {
            xml.text("deviceName", device);
            let volume = (*device == self.root_device).then_some(&self.volume);
            xml.element("ebs", |xml| {
                write_volume(xml, id, region.snapshots.get(id), volume);
            });
        });
        write_tags(xml, &self.tags);
    }
}

fn write_volume(
    xml: &mut Xml,
    id: &str,
    snapshot: Option<&Snapshot>,
    volume: Option<&(String, Option<u64>)>,
) {
    let (kind, size) = volume.map_or(("gp2", None), |(kind, size)| (kind.as_str(), *size));
    xml.text("snapshotId", id).text("volumeType", kind);
    xml.text("deleteOnTermination", true);
    xml.optional(
        "volumeSize",
        size.or(snapshot.map(|snapshot| snapshot.volume_size)),
    );
    xml.optional("encrypted", snapshot.map(|snapshot| snapshot.kms.encrypted));
}
