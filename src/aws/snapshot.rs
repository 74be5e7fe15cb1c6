//! Creates an AMI from a finished snapshot: the steps of all methods that register their image.
//! The snapshot and the image are separate on the undo list, so that a failed image does not
//! remove the snapshot.

use aws_sdk_ec2::types::Image;

use super::{AwsImport, ami, error, register, unconfirmed};
use crate::error::{Kind, Result};
use crate::import::undo;
use crate::import::undo::Handle;

impl AwsImport<'_> {
    /// The snapshot is there and nobody else's.
    pub(super) fn track_snapshot(&mut self, snapshot: &str) {
        let (clients, id) = (self.clients.clone(), snapshot.to_owned());
        let journal = self.journal.clone();
        let entry = self.cleanup.push_resumable(
            format!("the snapshot {snapshot}"),
            ami::delete_snapshot_command(&self.job, snapshot),
            async move || {
                journal
                    .removing(&id, ami::delete_snapshot(&clients, &id))
                    .await
            },
        );
        if let Some(earlier) = self.handles.snapshot.replace(entry) {
            self.cleanup.remove(earlier);
        }
    }

    /// RegisterImage, and the wait until the image is available. An image that an earlier
    /// run has registered from this snapshot is taken as it is.
    pub(super) async fn register(&mut self, snapshot: &str) -> Result<Image> {
        let image = match self.journal.entry().image {
            Some(image) => image,
            None => self.start_registering(snapshot).await?,
        };
        let entry = self.track_registered(&image);
        match self.wait_available(&image, "pending").await {
            Ok(image) => Ok(image),
            Err(error) => {
                // A question that failed is not an image that failed.
                let failed = error.kind() == Kind::Failed;
                if failed && ami::has_failed(&self.clients, &image).await {
                    self.cleanup.make_disposable(entry);
                }
                Err(error)
            }
        }
    }

    async fn start_registering(&mut self, snapshot: &str) -> Result<String> {
        self.session.check()?;
        let name = self.job.image_name();
        self.session
            .progress
            .stage(&format!("Registering {snapshot} as \"{name}\""));
        let was_registering = self.journal.entry().registering;
        self.journal.update(|entry| {
            (entry.registering, entry.name) = (true, Some(name.clone()));
        });
        self.track_possible_image(snapshot, &name);
        let started =
            self.session
                .with_stop_grace(register::register(&self.job, &self.clients, snapshot));
        let registered = match started.await {
            Ok(registered) => registered,
            Err(error) => {
                // Refused is not registered, unless an earlier run has asked.
                if !was_registering && !error::may_have_been_executed(&error) {
                    if let Some(entry) = self.handles.image.take() {
                        self.cleanup.remove(entry);
                    }
                    self.journal.update(|entry| entry.registering = false);
                }
                return Err(error);
            }
        };
        self.registered = registered.created;
        let image = registered.image;
        self.journal.update(|entry| {
            (entry.image, entry.registering) = (Some(image.clone()), false);
        });
        Ok(image)
    }

    /// An image whose answer is not known yet, on the undo list in the image's place.
    pub(super) fn track_possible_image(&mut self, snapshot: &str, name: &str) {
        let (clients, snapshot, named) =
            (self.clients.clone(), snapshot.to_owned(), name.to_owned());
        let (cli, region) = (&self.job.cli, &self.job.region);
        let entry = self.cleanup.push_resumable(
            undo::unconfirmed::image(name, region),
            unconfirmed::find_and_remove_commands(cli, name, region),
            async move || unconfirmed::remove_registered(&clients, &named, &snapshot).await,
        );
        if let Some(earlier) = self.handles.image.replace(entry) {
            self.cleanup.remove(earlier);
        }
    }

    pub(super) fn track_registered(&mut self, image: &str) -> Handle {
        let (clients, id) = (self.clients.clone(), image.to_owned());
        let journal = self.journal.clone();
        let remove = self.job.cli.words("ec2 deregister-image");
        let remove = remove.option("--image-id", image);
        let entry = self.cleanup.push_resumable(
            format!("the image {image}"),
            remove.option("--region", &self.job.region),
            async move || {
                journal
                    .removing(&id, ami::deregister_only(&clients, &id))
                    .await
            },
        );
        if let Some(earlier) = self.handles.image.replace(entry) {
            self.cleanup.remove(earlier);
        }
        entry
    }
}
