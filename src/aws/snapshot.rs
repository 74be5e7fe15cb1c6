//! From a finished snapshot to an AMI: the steps that the roads share which register
//! their image. The snapshot and the image are on the undo list apart, so that an image
//! that fails does not cost the snapshot.

use aws_sdk_ec2::types::Image;

use super::{Run, ami, error, register, unconfirmed};
use crate::error::{Kind, Result};
use crate::import::undo;
use crate::import::undo::Entry;

impl Run<'_> {
    /// The snapshot is there and nobody else's.
    pub(super) fn hold_snapshot(&mut self, snapshot: &str) {
        let (clients, id) = (self.clients.clone(), snapshot.to_owned());
        let journal = self.journal.clone();
        let entry = self.cleanup.reusable(
            format!("the snapshot {snapshot}"),
            ami::snapshot_removal(&self.job, snapshot),
            async move || {
                journal
                    .forgetting(&id, ami::delete_snapshot(&clients, &id))
                    .await
            },
        );
        if let Some(earlier) = self.held.snapshot.replace(entry) {
            self.cleanup.disarm(earlier);
        }
    }

    /// RegisterImage, and the wait until the image is available. An image that an earlier
    /// run has registered from this snapshot is taken as it is.
    pub(super) async fn register(&mut self, snapshot: &str) -> Result<Image> {
        let image = match self.journal.entry().image {
            Some(image) => image,
            None => self.start_registering(snapshot).await?,
        };
        let entry = self.hold_registered(&image);
        match self.available(&image, "pending").await {
            Ok(image) => Ok(image),
            Err(error) => {
                // A question that failed is not an image that failed.
                let failed = error.kind() == Kind::Failed;
                if failed && ami::is_lost(&self.clients, &image).await {
                    self.cleanup.spoil(entry);
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
        let known = self.journal.entry().registering;
        self.journal.note(|entry| {
            (entry.registering, entry.name) = (true, Some(name.clone()));
        });
        self.hold_possible_image(snapshot, &name);
        let started =
            self.session
                .finish_soon(register::register(&self.job, &self.clients, snapshot));
        let registered = match started.await {
            Ok(registered) => registered,
            Err(error) => {
                // Refused is not registered, unless an earlier run has asked.
                if !known && !error::may_be_done(&error) {
                    if let Some(entry) = self.held.image.take() {
                        self.cleanup.disarm(entry);
                    }
                    self.journal.note(|entry| entry.registering = false);
                }
                return Err(error);
            }
        };
        self.registered = registered.now;
        let image = registered.image;
        self.journal.note(|entry| {
            (entry.image, entry.registering) = (Some(image.clone()), false);
        });
        Ok(image)
    }

    /// An image whose answer is not known yet, on the undo list in the image's place.
    pub(super) fn hold_possible_image(&mut self, snapshot: &str, name: &str) {
        let (clients, snapshot, named) =
            (self.clients.clone(), snapshot.to_owned(), name.to_owned());
        let (cli, region) = (&self.job.cli, &self.job.region);
        let entry = self.cleanup.reusable(
            undo::unconfirmed::image(name, region),
            unconfirmed::removal(cli, name, region),
            async move || unconfirmed::remove_registered(&clients, &named, &snapshot).await,
        );
        if let Some(earlier) = self.held.image.replace(entry) {
            self.cleanup.disarm(earlier);
        }
    }

    pub(super) fn hold_registered(&mut self, image: &str) -> Entry {
        let (clients, id) = (self.clients.clone(), image.to_owned());
        let journal = self.journal.clone();
        let remove = self.job.cli.words("ec2 deregister-image");
        let remove = remove.option("--image-id", image);
        let entry = self.cleanup.reusable(
            format!("the image {image}"),
            remove.option("--region", &self.job.region),
            async move || {
                journal
                    .forgetting(&id, ami::deregister_alone(&clients, &id))
                    .await
            },
        );
        if let Some(earlier) = self.held.image.replace(entry) {
            self.cleanup.disarm(earlier);
        }
        entry
    }
}
