//! ImportImage and ImportSnapshot: what AWS refuses at once, and the calls that look after
//! a task.

use std::time::Instant;

use super::disks::inspect;
use super::model::{Phase, Region, Source, Tags, Task, new_id, tags_for};
use super::script::ImportScript;
use super::{Call, document};
use crate::fault::ApiError;
use crate::query::{Answer, Query};

/// `User cancelled`, as a cancelled task says.
const CANCELLED: &str = "User cancelled";

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameter", message)
}

fn invalid_value(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterValue", message)
}

impl Call<'_> {
    pub(super) fn import_image(&self) -> Answer {
        let query = self.query;
        check_image_request(query)?;
        let tags = tags_for(query, &["import-image-task"], "import-image-task")?;
        let containers = query.structs("DiskContainer");
        if containers.is_empty() {
            return Err(ApiError::new(
                400,
                "MissingParameter",
                "No disk containers were specified.",
            ));
        }
        self.start(
            "ImportImage",
            "import-ami",
            &containers,
            tags,
            self.world.ec2.script(ImportScript::default),
        )
    }

    pub(super) fn import_snapshot(&self) -> Answer {
        check_encryption(self.query)?;
        let tags = tags_for(
            self.query,
            &["import-snapshot-task"],
            "import-snapshot-task",
        )?;
        let container = self.query.inner("DiskContainer");
        if container
            .get("Format")
            .is_some_and(|format| format.eq_ignore_ascii_case("ova"))
        {
            return Err(invalid(
                "The disk container format OVA is not supported for snapshot imports",
            ));
        }
        let script = self.world.ec2.script(ImportScript::snapshot);
        self.start("ImportSnapshot", "import-snap", &[container], tags, script)
    }

    fn start(
        &self,
        action: &str,
        prefix: &str,
        containers: &[Query],
        tags: Tags,
        script: ImportScript,
    ) -> Answer {
        let (mut sources, mut objection) = (Vec::new(), None);
        for container in containers {
            let mut source = self.source(container)?;
            match inspect(&source.content, &source.format) {
                Ok(disks) => source.disks = disks,
                Err(reason) => objection = objection.or(Some(reason)),
            }
            sources.push(source);
        }
        self.region(|region| {
            if let Some(id) = find_by_token(region, self.query)? {
                let task = region
                    .tasks
                    .get(&id)
                    .expect("tokens name tasks of the region");
                return Ok(document(action, |xml| task.write(xml)));
            }
            let task = Task {
                id: new_id(prefix),
                request: self.query.clone(),
                tags,
                sources,
                rejection: objection,
                script,
                phase: Phase::Active(0),
                since: Instant::now(),
            };
            record_token(region, self.query, &task.id);
            let answer = document(action, |xml| task.write(xml));
            region.tasks.insert(task.id.clone(), task);
            Ok(answer)
        })
    }

    /// The checks that AWS makes before it answers: role, bucket, object.
    fn source(&self, container: &Query) -> Result<Source, ApiError> {
        let (bucket, key) = location(container)?;
        let role = self.query.get("RoleName").unwrap_or("vmimport");
        if !self.world.iam.serves_import(role, &bucket, &key) {
            return Err(invalid(format!(
                "The service role {role} provided does not exist or does not have sufficient permissions"
            )));
        }
        let place = self.world.buckets.region_of(&bucket);
        let place =
            place.ok_or_else(|| invalid(format!("The given S3 bucket {bucket} does not exist")))?;
        if place != self.region {
            return Err(invalid("The given S3 bucket is not local to the region"));
        }
        let content = self.world.buckets.content(&bucket, &key);
        let text = || format!("User does not have access to the S3 object.({bucket}/{key})");
        let content = content.ok_or_else(|| invalid(text()))?;
        if content.size() == 0 {
            return Err(invalid("disk-image-size=0 has an invalid format"));
        }
        let format = container.required("Format")?.to_uppercase();
        if !["OVA", "VHD", "VHDX", "VMDK", "RAW"].contains(&format.as_str()) {
            return Err(invalid_value(format!("Invalid disk image format {format}")));
        }
        Ok(Source {
            bucket,
            key,
            format,
            description: container.get_owned("Description"),
            device: container.get_owned("DeviceName"),
            content,
            disks: Vec::new(),
        })
    }

    pub(super) fn describe_import_tasks(&self, action: &str) -> Answer {
        let (prefix, set) = match action {
            "DescribeImportImageTasks" => ("import-ami", "importImageTaskSet"),
            _ => ("import-snap", "importSnapshotTaskSet"),
        };
        let requested = self.query.list("ImportTaskId");
        let states = self.query.structs("Filters").into_iter();
        let states: Vec<_> = states.flat_map(|filter| filter.list("Value")).collect();
        self.region(|region| {
            for id in &requested {
                check_task_exists(region, id, prefix)?;
            }
            let ids: Vec<_> = region
                .tasks
                .keys()
                .filter(|id| id.starts_with(prefix))
                .cloned()
                .collect();
            let meant = |id: &&String| requested.is_empty() || requested.contains(id);
            let ids: Vec<_> = ids.iter().filter(meant).collect();
            let answer = document(action, |xml| {
                let tasks = ids.iter().filter_map(|id| region.tasks.get(*id));
                let tasks = tasks.filter(|task| {
                    states.is_empty() || states.iter().any(|s| s == task.phase.status())
                });
                xml.items(set, tasks, |xml, task| {
                    xml.optional("bootMode", task.request.get("BootMode"));
                    task.write(xml);
                });
            });
            for id in ids {
                self.advance(region, id);
            }
            Ok(answer)
        })
    }

    pub(super) fn cancel_import_task(&self) -> Answer {
        let id = self.query.required("ImportTaskId")?;
        self.region(|region| {
            check_task_exists(region, id, "import-")?;
            let task = region.tasks.get_mut(id).expect("known just above");
            let before = task.phase.status();
            match task.phase {
                Phase::Active(_) => {
                    let reason = self.query.get("CancelReason").unwrap_or(CANCELLED);
                    task.phase = Phase::Deleting(reason.to_owned());
                }
                Phase::Completed(..) => {
                    let text = format!("The import task {id} is completed and cannot be cancelled");
                    return Err(ApiError::new(400, "IncorrectState", text));
                }
                Phase::Deleting(_) | Phase::Deleted(_) => {}
            }
            Ok(document("CancelImportTask", |xml| {
                xml.text("importTaskId", id).text("previousState", before);
                xml.text("state", task.phase.status());
            }))
        })
    }
}

fn check_image_request(query: &Query) -> Result<(), ApiError> {
    let allowed: [(&str, &[&str], &str); 5] = [
        ("Architecture", &["x86_64"], "is not supported for imports"),
        (
            "BootMode",
            &["legacy-bios", "uefi"],
            "is not supported for imports",
        ),
        (
            "LicenseType",
            &["AWS", "BYOL"],
            "is not a valid license type",
        ),
        ("Platform", &["Windows", "Linux"], "is not a valid platform"),
        ("Hypervisor", &["xen"], "is not a valid hypervisor"),
    ];
    for (name, values, complaint) in allowed {
        if let Some(value) = query.get(name)
            && !values.contains(&value)
        {
            return Err(invalid_value(format!(
                "The value '{value}' of {name} {complaint}."
            )));
        }
    }
    if query.get("LicenseType").is_some() && query.get("UsageOperation").is_some() {
        let text = "The parameters LicenseType and UsageOperation cannot be used together";
        return Err(ApiError::new(400, "InvalidParameterCombination", text));
    }
    if query.get("LicenseType") == Some("AWS") && query.get("Platform") == Some("Linux") {
        return Err(invalid("The license type AWS is not valid for Linux"));
    }
    check_encryption(query)
}

pub(super) fn check_encryption(query: &Query) -> Result<(), ApiError> {
    if query.get("KmsKeyId").is_some() && !query.flag("Encrypted") {
        let text = "The parameter KmsKeyId requires the parameter Encrypted to be set.";
        return Err(ApiError::new(400, "InvalidParameterDependency", text));
    }
    Ok(())
}

/// The bucket and key, by name or in an `s3://` url.
fn location(container: &Query) -> Result<(String, String), ApiError> {
    if let Some(url) = container.get("Url") {
        let place = url
            .strip_prefix("s3://")
            .and_then(|rest| rest.split_once('/'));
        let (bucket, key) =
            place.ok_or_else(|| invalid(format!("Invalid S3 source location {url}")))?;
        return Ok((bucket.to_owned(), key.to_owned()));
    }
    let bucket = container.required("UserBucket.S3Bucket")?;
    Ok((
        bucket.to_owned(),
        container.required("UserBucket.S3Key")?.to_owned(),
    ))
}

/// The id an earlier request with the same token made.
pub(super) fn find_by_token(region: &Region, query: &Query) -> Result<Option<String>, ApiError> {
    let Some((request, id)) = query
        .get("ClientToken")
        .and_then(|token| region.client_tokens.get(token))
    else {
        return Ok(None);
    };
    if request != query {
        let text = "The client token has already been used with other parameters.";
        return Err(ApiError::new(400, "IdempotentParameterMismatch", text));
    }
    Ok(Some(id.clone()))
}

pub(super) fn record_token(region: &mut Region, query: &Query, id: &str) {
    if let Some(token) = query.get("ClientToken") {
        let made = (query.clone(), id.to_owned());
        region.client_tokens.insert(token.to_owned(), made);
    }
}

fn check_task_exists(region: &Region, id: &str, prefix: &str) -> Result<(), ApiError> {
    if !id.starts_with(prefix) {
        let text = format!("Invalid id: \"{id}\" (expecting \"{prefix}-...\")");
        return Err(ApiError::new(
            400,
            "InvalidConversionTaskId.Malformed",
            text,
        ));
    }
    if !region.tasks.contains_key(id) {
        let text = format!("The import task ID '{id}' does not exist");
        return Err(ApiError::new(400, "InvalidConversionTaskId", text));
    }
    Ok(())
}
