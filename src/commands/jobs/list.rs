//! The list of the jobs in the journal: what each has in the cloud, and what that costs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::OutputFormat;
use crate::import::journal::{JournalEntry, ObjectLocation, StoredJob};
use crate::import::undo::unconfirmed;
use crate::progress::one_line;
use crate::units;

/// What is paid for parts and objects that lie there: nobody's list price is ours to know.
const STORAGE_COST: &str = "billed as storage until it is removed";
/// <https://www.digitalocean.com/pricing>, "Custom images".
const IMAGE_COST: &str = "about 0.06 USD a month for each GB";
/// AMIs and ECS images cost what their snapshots cost.
const SNAPSHOT_COST: &str = "its snapshots are billed as storage";

/// What an entry has in the cloud, and what that costs.
fn resources(entry: &JournalEntry) -> Vec<(String, Option<&'static str>)> {
    let Some(location) = entry.object_location() else {
        return Vec::new();
    };
    let url = object_url(&location);
    let mut resources = Vec::new();
    if entry.created_bucket {
        resources.push((
            format!("bucket {}, which the run creates", location.bucket),
            None,
        ));
    }
    if let Some(role) = &entry.created_role {
        resources.push((format!("role {role}, which stays for later imports"), None));
    }
    if entry.beginning {
        resources.push((unconfirmed::upload(&url), None));
    }
    if entry.upload.is_some() {
        let acknowledged = match (entry.acknowledged, entry.size) {
            (Some(acknowledged), Some(size)) => {
                format!(", {} of {}", units::bytes(acknowledged), units::bytes(size))
            }
            (Some(acknowledged), None) => format!(", {}", units::bytes(acknowledged)),
            (None, _) => String::new(),
        };
        resources.push((format!("parts of {url}{acknowledged}"), Some(STORAGE_COST)));
    }
    let object = match (entry.uploaded, &entry.completing) {
        (true, _) => Some(url),
        (false, Some(_)) => Some(unconfirmed::object(&url)),
        (false, None) => None,
    };
    resources.extend(object.map(|object| {
        let object = if entry.public {
            format!("{object}, {}", unconfirmed::PUBLICLY_READABLE)
        } else {
            object
        };
        (object, Some(STORAGE_COST))
    }));
    let image_costs = match location.cloud.as_str() {
        "digitalocean" => IMAGE_COST,
        _ => SNAPSHOT_COST,
    };
    match (&entry.task, &entry.image) {
        (Some(task), _) if location.cloud == "digitalocean" => {
            resources.push((format!("import {task}"), Some(image_costs)));
        }
        (Some(task), None) if entry.snapshot.is_none() => {
            resources.push((format!("import task {task}"), None));
        }
        _ => {}
    }
    for snapshot in entry.pending_snapshot.iter().chain(&entry.snapshot) {
        resources.push((format!("snapshot {snapshot}"), Some(STORAGE_COST)));
    }
    for image in entry
        .image
        .iter()
        .chain(&entry.named_image)
        .chain(entry.copies.values())
    {
        resources.push((format!("image {image}"), Some(image_costs)));
    }
    for (snapshot, of) in &entry.snapshots {
        let what = format!("snapshot {snapshot} of {}, once that is deleted", of.image);
        resources.push((what, Some(STORAGE_COST)));
    }
    resources.extend(
        unconfirmed_resources(entry, &location)
            .into_iter()
            .map(|what| (what, None)),
    );
    resources
}

/// What was asked of the cloud without an answer that was written down.
fn unconfirmed_resources(entry: &JournalEntry, location: &ObjectLocation) -> Vec<String> {
    let (region, mut resources) = (&location.region, Vec::new());
    if entry.has_unconfirmed_request() {
        resources.push(match &entry.snapshot_request {
            Some(_) => unconfirmed::snapshot(region),
            None => unconfirmed::import(&object_url(location)),
        });
    }
    let name = entry.name.as_deref().unwrap_or_default();
    if entry.is_registering() || entry.is_naming() {
        resources.push(unconfirmed::image(name, region));
    }
    for (region, request) in entry.unconfirmed_copies() {
        let name = request.name.as_deref().unwrap_or_default();
        resources.push(unconfirmed::image(name, region));
    }
    resources
}

fn object_url(location: &ObjectLocation) -> String {
    let scheme = if location.cloud == "alicloud" {
        "oss"
    } else {
        "s3"
    };
    format!("{scheme}://{}/{}", location.bucket, location.key)
}

fn age(entry: &JournalEntry, now: Timestamp) -> Option<Duration> {
    let started_at = Timestamp::from_second(entry.started_at?).ok()?;
    Duration::try_from(now.duration_since(started_at)).ok()
}

/// What `imgimport jobs` prints; in text, nothing for nothing.
pub fn render(jobs: &[StoredJob], now: Timestamp, format: OutputFormat) -> String {
    match format {
        OutputFormat::Text => {
            let jobs: Vec<_> = jobs
                .iter()
                .map(|shelved| describe_job(shelved, now))
                .collect();
            jobs.join("\n")
        }
        OutputFormat::Json => {
            let jobs: Vec<_> = jobs.iter().map(|shelved| to_json(shelved, now)).collect();
            json!({"schema": 1, "jobs": jobs}).to_string()
        }
    }
}

/// `1a2b3c4d  aws eu-central-1  disk.raw  begun 3 h ago`, and a line for each thing.
fn describe_job(job: &StoredJob, now: Timestamp) -> String {
    let entry = &job.entry;
    let mut head = vec![job.short_id().to_owned()];
    if let Some(location) = entry.object_location() {
        head.push(format!("{} {}", location.cloud, location.region));
    }
    head.extend(entry.path.clone());
    if let Some(age) = age(entry, now) {
        head.push(format!("begun {} ago", format_age(age)));
    }
    if job.running {
        head.push("running now".to_owned());
    }
    let mut resources = resources(entry);
    if resources.is_empty() {
        resources.push(("nothing in the cloud yet".to_owned(), None));
    }
    // Names are anybody's: none of them may begin a line, or speak to the terminal.
    let head: Vec<_> = head.iter().map(|field| one_line(field)).collect();
    let lines = resources.into_iter().map(|(what, costs)| match costs {
        Some(costs) => format!("\n  {}: {costs}", one_line(&what)),
        None => format!("\n  {}", one_line(&what)),
    });
    std::iter::once(head.join("  ")).chain(lines).collect()
}

/// Days and hours are as fine as anybody wants to know an age.
fn format_age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..3600 => units::seconds(Duration::from_secs(seconds)),
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn to_json(job: &StoredJob, now: Timestamp) -> Value {
    let entry = &job.entry;
    let location = entry.object_location();
    let location = location.as_ref();
    let images: Vec<_> = entry
        .image
        .iter()
        .chain(&entry.named_image)
        .chain(entry.copies.values())
        .collect();
    let costs: Vec<_> = resources(entry)
        .into_iter()
        .map(|(what, costs)| json!({"what": what, "costs": costs}))
        .collect();
    json!({
        "id": job.id,
        "running": job.running,
        "provider": location.map(|place| &place.cloud),
        "region": location.map(|place| &place.region),
        "source": {"path": entry.path, "size": entry.size},
        "object": location.map(|place| json!({
            "bucket": place.bucket, "key": place.key, "complete": entry.uploaded,
        })),
        "upload_id": entry.upload,
        "acknowledged_bytes": entry.acknowledged,
        "task_id": entry.task,
        "snapshot_id": entry.snapshot.as_ref().or(entry.pending_snapshot.as_ref()),
        "image_ids": images,
        "age_seconds": age(entry, now).map(|age| age.as_secs()),
        "left": costs,
    })
}
