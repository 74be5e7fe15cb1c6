//! What every import has, whatever the cloud: an image, a name for the temporary object,
//! how to send and how to wait. Resolved once; the recipes see no option that is unset.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::problems::Problems;
use crate::config::{CloudOptions, ImportArgs, UploadArgs};
use crate::error::{Error, Result};
use crate::image::{Accepts, Format, Image, ImageSource, OpenOptions};
use crate::import::dry_run::DryRunPlan;
use crate::import::outcome;

/// How the name of an object begins that the user did not choose.
pub const DEFAULT_NAME_TEMPLATE: &str = "imgimport-{{timestamp}}";

/// The common part of a job.
#[derive(Debug)]
pub struct Job {
    /// The local image.
    pub image: Image,
    /// Whether the cloud accepts an image.
    pub accepts: Accepts,
    /// How the image is sent.
    pub upload: UploadArgs,
    /// How to wait for the cloud.
    pub wait: Wait,
    /// Keep the temporary object.
    pub skip_clean: bool,
    /// Delete the local image in the end.
    pub delete_source: bool,
    /// The image is gzipped while it is sent.
    pub gzip: bool,
    /// Check and print the plan, change nothing.
    pub dry_run: bool,
    /// Whether the result names the image's SHA-256.
    pub sha256: bool,
}

/// How to wait for the cloud.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Pause between two questions.
    pub interval: Duration,
    /// For everything after the upload.
    pub timeout: Option<Duration>,
    /// False returns with the task's id.
    pub wait: bool,
}

/// The result of opening the image that the settings name. An error about the image is reported
/// after the errors of the settings.
pub struct OpenedImage(Option<Result<Image>>);

impl OpenedImage {
    /// Opens the file, or inspects `head`, the first bytes of standard input.
    pub fn open(path: Option<&Path>, head: Option<&[u8]>, options: OpenOptions) -> Self {
        Self(match (head, path) {
            (Some(head), _) => Some(Image::from_head(head, options)),
            (None, Some(path)) => Some(Image::open(path, options)),
            (None, None) => None,
        })
    }

    /// Adds a problem if the settings name no image.
    pub fn check<P: CloudOptions>(&self, problems: &mut Problems<P>) {
        if self.0.is_none() {
            problems
                .other("no image: give its path, IMGIMPORT_IMAGE or image in the settings file");
        }
    }

    /// The file's name without its ending, for templates.
    pub fn file_stem(&self) -> String {
        match self.image().map(|image| &image.source) {
            Some(ImageSource::File(path)) => path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default(),
            _ => "stdin".to_owned(),
        }
    }

    /// The format's name and the ending of the temporary object.
    pub fn extension(&self) -> &'static str {
        self.image()
            .and_then(|image| image.format)
            .map_or("img", Format::extension)
    }

    /// The image, if it could be opened.
    pub fn image(&self) -> Option<&Image> {
        self.0.as_ref()?.as_ref().ok()
    }

    /// The image itself, once the settings are known to be right.
    pub fn finish(self) -> Result<Image> {
        self.0.unwrap_or_else(|| Err(Error::usage("no image")))
    }
}

impl From<Image> for OpenedImage {
    fn from(image: Image) -> Self {
        Self(Some(Ok(image)))
    }
}

impl Job {
    /// Puts the common part together.
    pub fn new<P: CloudOptions>(
        image: Image,
        accepts: Accepts,
        args: &ImportArgs<P>,
        skip_clean: bool,
        delete_source: bool,
        interval: Duration,
    ) -> Self {
        Self {
            image,
            accepts,
            upload: args.upload.clone(),
            wait: Wait {
                interval: args.wait.interval.map_or(interval, Into::into),
                timeout: args.wait.timeout.map(Into::into),
                wait: args.wait.wait.unwrap_or(true),
            },
            skip_clean,
            delete_source,
            gzip: false,
            dry_run: args.dry_run.unwrap_or(false),
            sha256: args.output.format == Some(crate::config::OutputFormat::Json),
        }
    }

    /// The image's path as it was given.
    pub fn path(&self) -> String {
        match &self.image.source {
            ImageSource::File(path) => path.display().to_string(),
            ImageSource::Stdin => "standard input".to_owned(),
        }
    }

    /// The image whose file `--delete-source` deletes once it is in the cloud.
    pub fn source_to_delete(&self) -> Option<Image> {
        let is_file = matches!(self.image.source, ImageSource::File(_));
        (self.delete_source && is_file).then(|| self.image.clone())
    }

    /// What a run with `--delete-source` would do in the end, for the plan.
    pub fn plan_removal(&self, plan: &mut DryRunPlan) {
        if let (true, ImageSource::File(path)) = (self.delete_source, &self.image.source) {
            plan.step(format!("delete the local file {}", path.display()));
        }
    }

    /// Whether an interrupted run leaves what the next one can go on from.
    pub fn resumes(&self) -> bool {
        self.upload.resume.unwrap_or(true) && matches!(self.image.source, ImageSource::File(_))
    }

    /// The local image for the result.
    pub fn source(&self, sha256: Option<String>) -> outcome::Source {
        outcome::Source {
            path: match &self.image.source {
                ImageSource::File(path) => path.clone(),
                ImageSource::Stdin => PathBuf::from("-"),
            },
            format: self.image.format.map(|format| format.to_string()),
            size: self.image.size,
            virtual_size: self.image.virtual_size,
            sha256,
        }
    }
}
