//! What `--dry-run` comes to: who asks, what the cloud has confirmed, what nobody could be
//! asked, and what a real run would do. Each thing is told as it is found, and kept for the
//! object on standard output.

use serde::Serialize;
use serde_json::Value;

use crate::progress::Progress;
use crate::units::{bytes, join_with_and};

/// The plan, as far as it is known.
#[derive(Debug)]
pub struct DryRunPlan {
    progress: Progress,
    details: PlanDetails,
}

#[derive(Debug, Default, Serialize)]
struct PlanDetails {
    caller: Option<String>,
    method: Option<&'static str>,
    allowed: Vec<String>,
    quotas: Vec<Quota>,
    not_verified: Vec<String>,
    upload: Option<PlannedUpload>,
    steps: Vec<String>,
}

/// How much of what an account may have at once is taken.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Quota {
    /// What is counted: "imports at once in eu-central-1".
    pub name: String,
    /// How many there are now.
    pub used: u64,
    /// How many there may be.
    pub limit: u64,
}

/// How the image would travel.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PlannedUpload {
    /// `s3://bucket/key`.
    pub url: String,
    /// Bytes of the image; none of standard input.
    pub bytes: Option<u64>,
    /// Whether it is gzipped on the way, so that fewer travel.
    pub gzip: bool,
    /// Parts; none where the end is not known.
    pub parts: Option<u64>,
    /// Bytes of each part but the last.
    pub part_size: u64,
    /// Parts in flight at first.
    pub concurrency: usize,
}

impl DryRunPlan {
    /// A plan that is told here.
    pub fn new(progress: &Progress) -> Self {
        Self {
            progress: progress.clone(),
            details: PlanDetails::default(),
        }
    }

    /// Who asks, in the cloud's own words.
    pub fn caller(&mut self, caller: impl Into<String>) {
        let caller = caller.into();
        self.progress.info(&format!("The caller is {caller}"));
        self.details.caller = Some(caller);
    }

    /// The method of the import, where there are several.
    pub fn method(&mut self, method: &'static str) {
        self.details.method = Some(method);
    }

    /// Permissions that the cloud has confirmed.
    pub fn allowed(&mut self, permissions: &[&str]) {
        if permissions.is_empty() {
            return;
        }
        let text = format!("The caller may {}", join_with_and(permissions));
        self.progress.info(&text);
        let permissions = permissions.iter().map(|&one| one.to_owned());
        self.details.allowed.extend(permissions);
    }

    /// A quota as it stands; one that is used up is a warning, since it may pass.
    pub fn quota(&mut self, quota: Quota) {
        let Quota { name, used, limit } = &quota;
        let text = format!("{used} of {limit} {name}");
        if used < limit {
            self.progress.info(&text);
        } else {
            let text = format!("{text}: this one would be refused until one of them has ended");
            self.progress.warn(&text);
        }
        self.details.quotas.push(quota);
    }

    /// What nobody could be asked without doing it.
    pub fn not_verified(&mut self, items: &[&str]) {
        let text = format!("Not verified: {}", join_with_and(items));
        self.progress.info(&text);
        let things = items.iter().map(|&one| one.to_owned());
        self.details.not_verified.extend(things);
    }

    /// The upload, which is a step, too.
    pub fn upload(&mut self, upload: PlannedUpload) {
        self.step(upload.describe());
        self.details.upload = Some(upload);
    }

    /// What a real run would do: "import it into eu-central-1".
    pub fn step(&mut self, step: impl Into<String>) {
        let step = step.into();
        self.progress.info(&format!("Would {step}"));
        self.details.steps.push(step);
    }

    /// The object under `plan` in the result.
    pub fn to_json(&self) -> Value {
        // Texts and numbers alone.
        serde_json::to_value(&self.details).unwrap_or_default()
    }
}

impl PlannedUpload {
    fn describe(&self) -> String {
        let size = self
            .bytes
            .map_or_else(|| "standard input".to_owned(), bytes);
        let gzipped = if self.gzip { ", gzipped," } else { "" };
        format!(
            "send {size}{gzipped} to {}, {}",
            self.url,
            self.describe_parts()
        )
    }

    fn describe_parts(&self) -> String {
        let (size, at_once) = (bytes(self.part_size), self.concurrency);
        match self.parts {
            Some(1) => "in one part".to_owned(),
            Some(parts) => format!("in {parts} parts of {size}, {at_once} at once"),
            None => format!("in parts of {size}, {at_once} at once"),
        }
    }
}
