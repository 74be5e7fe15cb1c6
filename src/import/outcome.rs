//! The result and its two faces: the id alone, or one JSON object.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::OutputFormat;

/// What a successful run leaves, as scripts read it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The sub-command.
    pub provider: &'static str,
    /// The image in the import region; none under `--no-wait`.
    pub image_id: Option<String>,
    /// The image's name.
    pub name: Option<String>,
    /// The import region.
    pub region: String,
    /// Every region that has the image now, the import region first, with the image's id there.
    pub images: Vec<(String, String)>,
    /// The snapshots behind the image in the import region.
    pub snapshot_ids: Option<Vec<String>>,
    /// The cloud's import task.
    pub task_id: Option<String>,
    /// The temporary object.
    pub object: Option<Object>,
    /// The local image.
    pub source: Source,
    /// Bytes that travelled in this run.
    pub uploaded_bytes: Option<u64>,
    /// How long each stage took.
    pub seconds: Seconds,
    /// What a real run would do; there under `--dry-run` alone.
    pub plan: Option<Value>,
}

/// The temporary object and whether it is gone.
#[derive(Clone, Debug)]
pub struct Object {
    /// The bucket, in the provider's own words bucket or Space.
    pub bucket: String,
    /// The name in the bucket.
    pub key: String,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// The local image as it was sent.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The path as it was given.
    pub path: PathBuf,
    /// What the content is.
    pub format: Option<String>,
    /// Bytes of the file.
    pub size: Option<u64>,
    /// Bytes of the disk as the guest sees it.
    pub virtual_size: Option<u64>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: Option<String>,
}

/// How long each stage took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seconds {
    /// Sending the image.
    pub upload: Option<Duration>,
    /// The cloud's work.
    pub import: Option<Duration>,
    /// The whole run.
    pub total: Duration,
}

impl Outcome {
    /// The id of the image, or of the import task that nobody waits for.
    pub fn id(&self) -> Option<&str> {
        self.image_id.as_deref().or(self.task_id.as_deref())
    }

    /// What goes to standard output.
    pub fn render(&self, format: OutputFormat) -> String {
        match format {
            OutputFormat::Text => self.id().unwrap_or_default().to_owned(),
            OutputFormat::Json => self.to_json().to_string(),
        }
    }

    /// The object that `--output json` prints.
    pub fn to_json(&self) -> Value {
        let images: Vec<_> = self
            .images
            .iter()
            .map(|(region, image)| json!({"region": region, "image_id": image}))
            .collect();
        let mut object = json!({
            "schema": 1,
            "provider": self.provider,
            "image_id": self.image_id,
            "name": self.name,
            "region": self.region,
            "images": images,
            "snapshot_ids": self.snapshot_ids,
            "task_id": self.task_id,
            "object": self.object.as_ref().map(|object| json!({
                "bucket": object.bucket, "key": object.key, "deleted": object.deleted,
            })),
            "source": {
                "path": self.source.path.to_string_lossy(),
                "format": self.source.format,
                "size": self.source.size,
                "virtual_size": self.source.virtual_size,
                "sha256": self.source.sha256,
            },
            "uploaded_bytes": self.uploaded_bytes,
            "seconds": {
                "upload": self.seconds.upload.map(rounded),
                "import": self.seconds.import.map(rounded),
                "total": rounded(self.seconds.total),
            },
        });
        if let Some(plan) = &self.plan {
            object["plan"] = plan.clone();
        }
        object
    }
}

/// Milliseconds are as fine as anybody compares.
fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
