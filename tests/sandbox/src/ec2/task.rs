//! How an import task goes: a phase a poll, the image or snapshot at its end, and what
//! Describe shows of it meanwhile.

use std::time::Instant;

use super::Call;
use super::disks::Disk;
use super::model::{Image, Kms, Phase, Region, Snapshot, Source, Task, write_tags};
use crate::xml::Xml;

impl Call<'_> {
    /// What a poll brings about.
    pub(super) fn advance(&self, region: &mut Region, id: &str) {
        let Some(task) = region.tasks.get_mut(id) else {
            return;
        };
        match task.phase.clone() {
            Phase::Active(step) => {
                if let Some(phase) = self.after_step(task, step) {
                    task.since = Instant::now();
                    task.phase = phase;
                }
            }
            Phase::Deleting(reason) => task.phase = Phase::Deleted(reason),
            Phase::Deleted(_) | Phase::Completed(..) => return,
        }
        if task.phase == Phase::Active(task.script.steps.len()) {
            finish(region, id);
        }
    }

    fn after_step(&self, task: &Task, step: usize) -> Option<Phase> {
        let current = task.script.steps.get(step)?;
        let held = current.gate.as_ref().is_some_and(|gate| !gate.arrive());
        if held
            || task
                .script
                .pace
                .is_some_and(|pace| task.since.elapsed() < pace)
        {
            return None;
        }
        let name = current.message.as_deref().unwrap_or_default();
        let reads = [
            "pending",
            "validating",
            "validated",
            "converting",
            "downloading/converting",
        ];
        let gone = |source: &&Source| {
            self.world
                .buckets
                .content(&source.bucket, &source.key)
                .is_none()
        };
        if reads.contains(&name) && task.sources.iter().any(|source| gone(&source)) {
            let reason = "We do not have access to the given resource. Reason 404 Not Found";
            return Some(Phase::Deleting(format!(
                "ClientError: Disk validation failed [{reason}]"
            )));
        }
        let last = step + 1 == task.script.steps.len();
        match (&task.rejection, &task.script.failure) {
            (Some(reason), _) if name == "validating" || last => {
                Some(Phase::Deleting(reason.clone()))
            }
            (_, Some(reason)) if last => Some(Phase::Deleting(reason.clone())),
            _ => Some(Phase::Active(step + 1)),
        }
    }
}

/// The task has made what it was asked for.
pub(super) fn finish(region: &mut Region, id: &str) {
    let phase = complete(region, id);
    region
        .tasks
        .get_mut(id)
        .expect("a task of the region")
        .phase = phase;
}

/// The snapshots of a finished task and, for an image import, the AMI over them.
fn complete(region: &mut Region, id: &str) -> Phase {
    let task = region
        .tasks
        .get(id)
        .expect("called with a task of the region");
    let kms = Kms {
        encrypted: task.request.flag("Encrypted"),
        key_id: task.request.get_owned("KmsKeyId"),
    };
    let mut snapshots = Vec::new();
    for source in &task.sources {
        for disk in &source.disks {
            let text = format!("Created by AWS-VMImport service for {id}");
            let mut snapshot = Snapshot::new(text, disk.virtual_size, Some(source.content.clone()));
            snapshot.kms = kms.clone();
            snapshots.push(snapshot);
        }
    }
    let ids: Vec<_> = snapshots
        .iter()
        .map(|snapshot| snapshot.id.clone())
        .collect();
    let image = id.starts_with("import-ami").then(|| image(task, &ids));
    region
        .snapshots
        .extend(snapshots.into_iter().map(|s| (s.id.clone(), s)));
    let made = image
        .as_ref()
        .map_or_else(|| ids[0].clone(), |image| image.id.clone());
    region
        .images
        .extend(image.map(|image| (image.id.clone(), image)));
    Phase::Completed(made, ids)
}

/// The AMI is named after its task: ImportImage has no name parameter.
fn image(task: &Task, snapshots: &[String]) -> Image {
    let mut image = Image::new(&task.id);
    image.description = Some(format!("AWS-VMImport service: Linux - task {}", task.id));
    image.boot_mode = Some(
        task.request
            .get_owned("BootMode")
            .unwrap_or_else(|| "legacy-bios".to_owned()),
    );
    image.platform = task
        .request
        .get_owned("Platform")
        .filter(|platform| platform == "Windows");
    let device = |number: usize| match number {
        0 => "/dev/sda1".to_owned(),
        _ => format!(
            "/dev/xvd{}",
            char::from(b'a' + u8::try_from(number).unwrap_or(25))
        ),
    };
    let mappings = snapshots.iter().enumerate();
    image.mappings = mappings
        .map(|(number, id)| (device(number), id.clone()))
        .collect();
    image.content = task.sources.first().map(|source| source.content.clone());
    image
}

impl Task {
    pub(super) fn write(&self, xml: &mut Xml) {
        let request = &self.request;
        xml.text("importTaskId", &self.id)
            .optional("description", request.get("Description"));
        if self.id.starts_with("import-snap") {
            xml.element("snapshotTaskDetail", |xml| {
                self.write_progress(xml);
                self.each_disk(|source, disk, _| write_disk(xml, source, disk));
            });
            return write_tags(xml, &self.tags);
        }
        for (name, parameter) in [
            ("encrypted", "Encrypted"),
            ("kmsKeyId", "KmsKeyId"),
            ("licenseType", "LicenseType"),
            ("usageOperation", "UsageOperation"),
            ("platform", "Platform"),
            ("hypervisor", "Hypervisor"),
        ] {
            xml.optional(name, request.get(parameter));
        }
        let validated = !matches!(self.phase, Phase::Active(0 | 1));
        xml.optional("architecture", validated.then_some("x86_64"));
        self.write_progress(xml);
        xml.element("snapshotDetailSet", |xml| {
            self.each_disk(|source, disk, number| {
                xml.element("item", |xml| {
                    write_disk(xml, source, disk);
                    self.write_snapshot(xml, number);
                });
            });
        });
        write_tags(xml, &self.tags);
    }

    /// Before validation AWS knows of a container only what the request said.
    fn each_disk(&self, mut write: impl FnMut(&Source, Option<&Disk>, usize)) {
        let early = matches!(self.phase, Phase::Active(0 | 1));
        let mut number = 0;
        for source in &self.sources {
            if early || source.disks.is_empty() {
                write(source, None, number);
            }
            for disk in source.disks.iter().filter(|_| !early) {
                write(source, Some(disk), number);
                number += 1;
            }
        }
    }

    fn write_snapshot(&self, xml: &mut Xml, number: usize) {
        if let Phase::Completed(_, snapshots) = &self.phase {
            xml.optional("snapshotId", snapshots.get(number))
                .text("status", "completed");
        }
    }

    fn write_progress(&self, xml: &mut Xml) {
        xml.text("status", self.phase.status());
        match &self.phase {
            Phase::Active(step) => {
                let step = self.script.steps.get(*step);
                xml.optional("statusMessage", step.and_then(|step| step.message.as_ref()));
                xml.optional("progress", step.and_then(|step| step.progress));
            }
            Phase::Deleting(reason) | Phase::Deleted(reason) => {
                xml.text("statusMessage", reason);
            }
            Phase::Completed(id, _) => {
                let name = if id.starts_with("ami") {
                    "imageId"
                } else {
                    "snapshotId"
                };
                xml.text(name, id);
            }
        }
    }
}

fn write_disk(xml: &mut Xml, source: &Source, disk: Option<&Disk>) {
    xml.optional("description", source.description.as_ref());
    xml.optional("deviceName", source.device.as_ref());
    xml.text(
        "format",
        disk.map_or(source.format.as_str(), |disk| disk.format),
    );
    xml.optional("diskImageSize", disk.map(|disk| format!("{}.0", disk.size)));
    xml.element("userBucket", |xml| {
        xml.text("s3Bucket", &source.bucket)
            .text("s3Key", &source.key);
    });
}
