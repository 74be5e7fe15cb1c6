//! ImportImage: the name, the role, the bucket and the object are looked at before ECS
//! answers; the image itself only while the task runs.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use super::check::{self, refused};
use super::disks::{Reason, inspect};
use super::model::{CreatedImage, Image, Mapping, Phase, Source, Status, Task, new_id};
use super::{EcsProduct, State, find_by_token, record_token};
use crate::alibaba::moment;
use crate::alibaba::rpc::{Answer, Call};
use crate::fault::ApiError;
use crate::query::Query;

const ROLE: &str = "AliyunECSImageImportDefaultRole";
pub(super) const GIB: u64 = 1 << 30;

/// The parameters an image keeps, with what the service takes when they are left out.
const FIELDS: &[(&str, &str)] = &[
    ("Architecture", "x86_64"),
    ("BootMode", "BIOS"),
    ("Description", ""),
    ("DetectionStrategy", ""),
    ("Features.ImdsSupport", "v1"),
    ("Features.NvmeSupport", "unsupported"),
    ("LicenseType", "Auto"),
    ("OSType", "linux"),
    ("Platform", "Others Linux"),
    ("ResourceGroupId", ""),
    ("RoleName", ROLE),
];

impl EcsProduct {
    pub(super) fn import_image(&self, call: &Call<'_>, region: &str) -> Answer {
        check::import(call)?;
        let tags = check::tags(call.query)?;
        let mut state = self.ecs.state();
        if let Some(made) = find_by_token(state.region(region), call.query)? {
            return Ok(answer(region, &made));
        }
        check_name(&mut state, region, call.get("ImageName"))?;
        let (sources, objection) = self.sources(call, region)?;
        dry_run(call, "DRYRUN.SUCCESS")?;
        let mut image = image(call, &sources);
        image.tags = tags;
        let task = Task {
            id: new_id("t"),
            image: image.id.clone(),
            sources,
            rejection: objection,
            script: state.script.clone(),
            phase: Phase::Processing(0),
            since: Instant::now(),
            created: moment::extended(moment::now()),
            finished: None,
        };
        let made = CreatedImage {
            image: image.id.clone(),
            task: Some(task.id.clone()),
        };
        let place = state.region(region);
        record_token(place, call.query, made.clone());
        place.images.insert(image.id.clone(), image);
        place.tasks.insert(task.id.clone(), task);
        Ok(answer(region, &made))
    }

    fn sources(
        &self,
        call: &Call<'_>,
        region: &str,
    ) -> Result<(Vec<Source>, Option<Reason>), ApiError> {
        let (mut sources, mut objection) = (Vec::new(), None);
        for mapping in call.query.structs("DiskDeviceMapping") {
            let mut source = self.source(call, &mapping, region)?;
            let format = mapping.get("Format").unwrap_or_default().to_uppercase();
            match inspect(&source.content, &format).and_then(|disk| source.check_size(disk)) {
                Ok(disk) => source.disk = Some(disk),
                Err(reason) => objection = objection.or(Some(reason)),
            }
            sources.push(source);
        }
        Ok((sources, objection))
    }

    /// The service reads with its role, so the role comes first.
    fn source(&self, call: &Call<'_>, mapping: &Query, region: &str) -> Result<Source, ApiError> {
        let named = |name: &str| mapping.get_owned(name).unwrap_or_default();
        let (bucket, key) = (named("OSSBucket"), named("OSSObject"));
        let role = call.get("RoleName").unwrap_or(ROLE);
        if !self.ram.serves_import(role, &bucket, &key) {
            let text = "ECS service have no right to access your OSS, please attach a role to ECS service.";
            return Err(ApiError::new(403, "NoSetRoletoECSServiceAcount", text));
        }
        self.check_bucket(&bucket, region)?;
        let missing = || {
            refused(
                "InvalidOSSObject.NotFound",
                "The specified OSS object does not exist.",
            )
        };
        let content = self.oss.content(&bucket, &key).ok_or_else(missing)?;
        if content.size() == 0 {
            let text = "The specified OSS object has no bytes.";
            return Err(refused("InvalidOSSObject.Size", text));
        }
        let size = mapping.get("DiskImageSize").or(mapping.get("DiskImSize"));
        Ok(Source {
            size: size.and_then(|size| size.parse().ok()),
            bucket,
            key,
            content,
            disk: None,
        })
    }

    fn check_bucket(&self, bucket: &str, region: &str) -> Result<(), ApiError> {
        let place = self.oss.region_of(bucket);
        let missing = || {
            refused(
                "InvalidOSSBucket.NotFound",
                "The specified OSS bucket does not exist.",
            )
        };
        if place.ok_or_else(missing)? != region {
            let text = "The specified OSS bucket is not in the region of the import.";
            return Err(refused("InvalidOSSBucket.NotMatched", text));
        }
        if self.oss.is_encrypted(bucket) {
            let text = "The specified OSS bucket is encrypted, which is not supported.";
            return Err(ApiError::new(
                403,
                "InvalidOSSBucket.EncryptUnsupported",
                text,
            ));
        }
        Ok(())
    }
}

impl Source {
    fn check_size(&self, disk: super::disks::Disk) -> Result<super::disks::Disk, Reason> {
        let needed = disk.virtual_size.div_ceil(GIB);
        if self.size.is_none_or(|size| size >= needed) && needed <= check::MAX_DISK {
            return Ok(disk);
        }
        let text = format!("The disk has {needed} GiB, more than DiskImageSize allows.");
        Err(("InvalidImageSize".to_owned(), text))
    }
}

fn answer(region: &str, made: &CreatedImage) -> Value {
    json!({"ImageId": made.image, "TaskId": made.task, "RegionId": region})
}

pub(super) fn check_name(
    state: &mut State,
    region: &str,
    name: Option<&str>,
) -> Result<(), ApiError> {
    let mut images = state.region(region).images.values();
    if images.any(|image| Some(image.name.as_str()) == name) {
        let text = "The specified Image name has already been used.";
        return Err(refused("InvalidImageName.Duplicated", text));
    }
    Ok(())
}

/// A dry run that would succeed is told as an error, by one of two codes.
pub(super) fn dry_run(call: &Call<'_>, code: &str) -> Result<(), ApiError> {
    if call.query.flag("DryRun") {
        let text = "Request validation has been passed with DryRun flag set.";
        return Err(refused(code, text));
    }
    Ok(())
}

fn image(call: &Call<'_>, sources: &[Source]) -> Image {
    let mut image = Image::new(call.get("ImageName"));
    let fact = |(name, default): &(&'static str, &str)| {
        let value = call
            .query
            .get_owned(name)
            .unwrap_or_else(|| (*default).to_owned());
        (*name, value)
    };
    image.fields = FIELDS.iter().map(fact).collect::<BTreeMap<_, _>>();
    if call.get("Architecture") == Some("arm64") {
        image.fields.insert("BootMode", "UEFI".to_owned());
    }
    image.status = Status::Waiting;
    image.progress = 0;
    let mappings = sources
        .iter()
        .zip(call.query.structs("DiskDeviceMapping"))
        .enumerate();
    image.mappings = mappings
        .map(|(number, (source, asked))| mapping(number, source, &asked))
        .collect();
    image.size = image.mappings.first().map_or(0, |mapping| mapping.size);
    image
}

fn mapping(number: usize, source: &Source, request: &Query) -> Mapping {
    let letter = char::from(b'a' + u8::try_from(number).unwrap_or(25));
    let found = source.disk.as_ref();
    let needed = found.map_or(1, |disk| disk.virtual_size.div_ceil(GIB).max(1));
    let format = request
        .get_owned("Format")
        .or(found.map(|disk| disk.format.to_owned()));
    Mapping {
        device: format!("/dev/xvd{letter}"),
        kind: if number == 0 { "system" } else { "data" },
        format: format.unwrap_or_default(),
        size: source.size.unwrap_or(needed),
        snapshot: None,
        bucket: source.bucket.clone(),
        key: source.key.clone(),
    }
}
