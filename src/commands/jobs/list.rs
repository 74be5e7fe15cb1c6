//! The list of the jobs in the journal: what each has in the cloud, and what that costs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::import::journal::{Entry, Shelved, Whereabouts};
use crate::import::outcome::Format;
use crate::import::undo::unconfirmed;
use crate::progress::one_line;
use crate::units;

/// What is paid for parts and objects that lie there: nobody's list price is ours to know.
const STORAGE: &str = "billed as storage until it is removed";
/// <https://www.digitalocean.com/pricing>, "Custom images".
const IMAGE: &str = "about 0.06 USD a month for each GB";
/// AMIs and ECS images cost what their snapshots cost.
const SNAPSHOTS: &str = "its snapshots are billed as storage";

/// What an entry has in the cloud, and what that costs.
fn things(entry: &Entry) -> Vec<(String, Option<&'static str>)> {
    let Some(place) = entry.place() else {
        return Vec::new();
    };
    let url = url(&place);
    let mut things = Vec::new();
    if entry.created_bucket {
        things.push((
            format!("bucket {}, which the run creates", place.bucket),
            None,
        ));
    }
    if let Some(role) = &entry.created_role {
        things.push((format!("role {role}, which stays for later imports"), None));
    }
    if entry.beginning {
        things.push((unconfirmed::upload(&url), None));
    }
    if entry.upload.is_some() {
        let sent = match (entry.acknowledged, entry.size) {
            (Some(sent), Some(size)) => {
                format!(", {} of {}", units::bytes(sent), units::bytes(size))
            }
            (Some(sent), None) => format!(", {}", units::bytes(sent)),
            (None, _) => String::new(),
        };
        things.push((format!("parts of {url}{sent}"), Some(STORAGE)));
    }
    let object = match (entry.sent, &entry.completing) {
        (true, _) => Some(url),
        (false, Some(_)) => Some(unconfirmed::object(&url)),
        (false, None) => None,
    };
    things.extend(object.map(|object| {
        let object = if entry.public {
            format!("{object}, {}", unconfirmed::READABLE)
        } else {
            object
        };
        (object, Some(STORAGE))
    }));
    let image_costs = match place.cloud.as_str() {
        "digitalocean" => IMAGE,
        _ => SNAPSHOTS,
    };
    match (&entry.task, &entry.image) {
        (Some(task), _) if place.cloud == "digitalocean" => {
            things.push((format!("import {task}"), Some(image_costs)));
        }
        (Some(task), None) if entry.snapshot.is_none() => {
            things.push((format!("import task {task}"), None));
        }
        _ => {}
    }
    for snapshot in entry.filling.iter().chain(&entry.snapshot) {
        things.push((format!("snapshot {snapshot}"), Some(STORAGE)));
    }
    for image in entry
        .image
        .iter()
        .chain(&entry.copy)
        .chain(entry.copies.values())
    {
        things.push((format!("image {image}"), Some(image_costs)));
    }
    for (snapshot, of) in &entry.snapshots {
        let what = format!("snapshot {snapshot} of {}, once that is deleted", of.image);
        things.push((what, Some(STORAGE)));
    }
    things.extend(possible(entry, &place).into_iter().map(|what| (what, None)));
    things
}

/// What was asked of the cloud without an answer that was written down.
fn possible(entry: &Entry, place: &Whereabouts) -> Vec<String> {
    let (region, mut things) = (&place.region, Vec::new());
    if entry.is_unheard() {
        things.push(match &entry.snapshot_request {
            Some(_) => unconfirmed::snapshot(region),
            None => unconfirmed::import(&url(place)),
        });
    }
    let name = entry.name.as_deref().unwrap_or_default();
    if entry.is_registering() || entry.is_naming() {
        things.push(unconfirmed::image(name, region));
    }
    for (region, asked) in entry.copies_unheard() {
        let name = asked.name.as_deref().unwrap_or_default();
        things.push(unconfirmed::image(name, region));
    }
    things
}

fn url(place: &Whereabouts) -> String {
    let scheme = if place.cloud == "alicloud" {
        "oss"
    } else {
        "s3"
    };
    format!("{scheme}://{}/{}", place.bucket, place.key)
}

fn age(entry: &Entry, now: Timestamp) -> Option<Duration> {
    let began = Timestamp::from_second(entry.clock?).ok()?;
    Duration::try_from(now.duration_since(began)).ok()
}

/// What `imgimport jobs` prints; in text, nothing for nothing.
pub fn list(shelf: &[Shelved], now: Timestamp, format: Format) -> String {
    match format {
        Format::Text => {
            let jobs: Vec<_> = shelf
                .iter()
                .map(|shelved| paragraph(shelved, now))
                .collect();
            jobs.join("\n")
        }
        Format::Json => {
            let jobs: Vec<_> = shelf.iter().map(|shelved| object(shelved, now)).collect();
            json!({"schema": 1, "jobs": jobs}).to_string()
        }
    }
}

/// `1a2b3c4d  aws eu-central-1  disk.raw  begun 3 h ago`, and a line for each thing.
fn paragraph(shelved: &Shelved, now: Timestamp) -> String {
    let entry = &shelved.entry;
    let mut head = vec![shelved.short().to_owned()];
    if let Some(place) = entry.place() {
        head.push(format!("{} {}", place.cloud, place.region));
    }
    head.extend(entry.path.clone());
    if let Some(age) = age(entry, now) {
        head.push(format!("begun {} ago", whole(age)));
    }
    if shelved.running {
        head.push("running now".to_owned());
    }
    let mut things = things(entry);
    if things.is_empty() {
        things.push(("nothing in the cloud yet".to_owned(), None));
    }
    // Names are anybody's: none of them may begin a line, or speak to the terminal.
    let head: Vec<_> = head.iter().map(|word| one_line(word)).collect();
    let things = things.into_iter().map(|(what, costs)| match costs {
        Some(costs) => format!("\n  {}: {costs}", one_line(&what)),
        None => format!("\n  {}", one_line(&what)),
    });
    std::iter::once(head.join("  ")).chain(things).collect()
}

/// Days and hours are as fine as anybody wants to know an age.
fn whole(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..3600 => units::seconds(Duration::from_secs(seconds)),
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn object(shelved: &Shelved, now: Timestamp) -> Value {
    let entry = &shelved.entry;
    let place = entry.place();
    let place = place.as_ref();
    let images: Vec<_> = entry
        .image
        .iter()
        .chain(&entry.copy)
        .chain(entry.copies.values())
        .collect();
    let costs: Vec<_> = things(entry)
        .into_iter()
        .map(|(what, costs)| json!({"what": what, "costs": costs}))
        .collect();
    json!({
        "id": shelved.id,
        "running": shelved.running,
        "provider": place.map(|place| &place.cloud),
        "region": place.map(|place| &place.region),
        "source": {"path": entry.path, "size": entry.size},
        "object": place.map(|place| json!({
            "bucket": place.bucket, "key": place.key, "complete": entry.sent,
        })),
        "upload_id": entry.upload,
        "acknowledged_bytes": entry.acknowledged,
        "task_id": entry.task,
        "snapshot_id": entry.snapshot.as_ref().or(entry.filling.as_ref()),
        "image_ids": images,
        "age_seconds": age(entry, now).map(|age| age.as_secs()),
        "left": costs,
    })
}
