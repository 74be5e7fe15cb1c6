//! EC2: imports of images and snapshots, and what is done with them afterwards. The
//! state is per region; the region is the one the request is signed for.

mod attributes;
mod disks;
mod images;
mod import;
mod lifecycle;
mod model;
mod regions;
mod register;
mod script;
mod snapshots;
mod task;
mod view;
mod wire;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt;

pub use self::model::Permission;
pub use self::script::{CopyScript, ImportScript};
pub use self::view::{ImageView, SnapshotView, TaskView};
pub(crate) use self::writing::{BLOCK_SIZE, SnapshotSpec};

use self::model::{Image, Region, Snapshot};
use crate::content::Content;
use crate::desk::Detail;
use crate::fault::ApiError;
use crate::keys::Keyring;
use crate::query::{self, Answer, Query};
use crate::roles::Iam;
use crate::s3::Buckets;
use crate::serve::{Body, Service};
use crate::sigv4::{self, SignatureError};
use crate::xml::{Xml, document as xml_document};

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// Images, snapshots and import tasks of all regions.
#[derive(Clone)]
pub struct Ec2 {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    regions: BTreeMap<String, Region>,
    script: Option<ImportScript>,
    pace: Option<Duration>,
    copies: CopyScript,
    /// Regions whose copies go another way
    copies_in: BTreeMap<String, CopyScript>,
    encryption_by_default: bool,
    /// Regions with "Block public access for AMIs"
    blocked: BTreeSet<String>,
}

impl Ec2 {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::default(),
        }
    }

    pub fn images(&self) -> Vec<ImageView> {
        self.views(|name, region| {
            region
                .images
                .values()
                .map(|image| image.view(name))
                .collect()
        })
    }

    pub fn snapshots(&self) -> Vec<SnapshotView> {
        self.views(|name, region| {
            region
                .snapshots
                .values()
                .map(|snapshot| snapshot.view(name))
                .collect()
        })
    }

    pub fn import_tasks(&self) -> Vec<TaskView> {
        self.views(|name, region| region.tasks.values().map(|task| task.view(name)).collect())
    }

    /// An available image of this name, as somebody made it before; its id.
    pub fn register_image(&self, region: &str, name: &str) -> String {
        let mut image = Image::new(name);
        let snapshot = Snapshot::new(format!("Made for {}", image.id), 1 << 30, None);
        image
            .mappings
            .push(("/dev/sda1".to_owned(), snapshot.id.clone()));
        let id = image.id.clone();
        let mut state = self.state();
        let region = state.regions.entry(region.to_owned()).or_default();
        region.snapshots.insert(snapshot.id.clone(), snapshot);
        region.images.insert(id.clone(), image);
        id
    }

    /// Somebody takes an image away.
    pub fn remove_image(&self, region: &str, id: &str) {
        let mut state = self.state();
        if let Some(region) = state.regions.get_mut(region) {
            region.images.remove(id);
        }
    }

    /// The object's bytes from which an image, or a copy of it, was imported.
    pub fn imported_bytes(&self, image_id: &str) -> Option<Vec<u8>> {
        let content = self.imported_content(image_id)?;
        Some(content.bytes().expect("the sandbox can read its own files"))
    }

    pub fn imported_content(&self, image_id: &str) -> Option<Content> {
        let state = self.state();
        let mut regions = state.regions.values();
        regions.find_map(|region| region.images.get(image_id)?.content.clone())
    }

    /// The task is done, whatever its script says.
    pub fn finish_task(&self, task: &str) {
        let mut state = self.state();
        for region in state.regions.values_mut() {
            if region.tasks.contains_key(task) {
                task::finish(region, task);
            }
        }
    }

    pub fn import_script(&self, script: ImportScript) {
        self.state().script = Some(script);
    }

    /// A phase of an import takes at least this long, for people who watch.
    pub fn set_import_pace(&self, pace: Duration) {
        self.state().pace = Some(pace);
    }

    pub fn copy_script(&self, script: CopyScript) {
        self.state().copies = script;
    }

    /// How the copies into one region go.
    pub fn copy_script_in(&self, region: &str, script: CopyScript) {
        self.state().copies_in.insert(region.to_owned(), script);
    }

    pub fn set_encryption_by_default(&self, on: bool) {
        self.state().encryption_by_default = on;
    }

    /// "Block public access for AMIs": sharing with everybody is then refused.
    pub fn set_block_public_access(&self, region: &str, on: bool) {
        let blocked = &mut self.state().blocked;
        if on {
            blocked.insert(region.to_owned());
        } else {
            blocked.remove(region);
        }
    }

    /// The script that was set, or the way of this kind of import.
    fn script(&self, usual: fn() -> ImportScript) -> ImportScript {
        let state = self.state();
        let mut script = state.script.clone().unwrap_or_else(usual);
        script.pace = script.pace.or(state.pace);
        script
    }

    fn views<T>(&self, of: impl Fn(&str, &Region) -> Vec<T>) -> Vec<T> {
        let state = self.state();
        state
            .regions
            .iter()
            .flat_map(|(name, region)| of(name, region))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics with the images in hand")
    }
}

/// The EC2 service, and the services an import looks at.
pub(crate) struct Ec2Service {
    pub(crate) ec2: Ec2,
    pub(crate) iam: Iam,
    pub(crate) buckets: Buckets,
    pub(crate) keys: Keyring,
}

/// One request, with the world around it.
struct Call<'a> {
    world: &'a Ec2Service,
    region: &'a str,
    query: &'a Query,
}

impl Service for Ec2Service {
    const NAMED_IN_BODY: bool = true;

    fn describe(&self, head: &Parts, body: &Bytes) -> (String, Detail) {
        let query = Query::parse(body);
        (format!("ec2:{}", query.action()), query.detail(head))
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        match self.perform(&head, &body.unwrap_or_default()) {
            Ok(document) => query::respond(200, document, &query::request_id()),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        let id = query::request_id();
        let text = xml_document("Response", None, |xml| {
            xml.element("Errors", |xml| {
                xml.element("Error", |xml| {
                    xml.text("Code", &refusal.code)
                        .text("Message", &refusal.message);
                });
            });
            xml.text("RequestID", &id);
        });
        query::respond(refusal.status, text, &id)
    }
}

fn signature_error(error: &SignatureError) -> ApiError {
    match error {
        SignatureError::Missing => ApiError::new(
            400,
            "MissingParameter",
            "The request must contain a signature",
        ),
        SignatureError::Stale | SignatureError::ExpiredToken => {
            ApiError::new(400, "RequestExpired", "Request has expired.")
        }
        SignatureError::Malformed(text) => ApiError::new(401, "AuthFailure", text.as_str()),
        SignatureError::UnknownKey | SignatureError::Mismatch | SignatureError::WrongToken => {
            let text = "AWS was not able to validate the provided access credentials";
            ApiError::new(401, "AuthFailure", text)
        }
    }
}

impl Ec2Service {
    fn perform(&self, head: &Parts, body: &Bytes) -> Answer {
        let caller = sigv4::verify(head, body, "ec2", &self.keys)
            .map_err(|forgery| signature_error(&forgery))?;
        let query = Query::parse(body);
        query.check_names(wire::parameters_of(query.action())?)?;
        regions::check_enabled(&caller.region)?;
        self.authorize(&caller.key.arn, query.action())?;
        let call = Call {
            world: self,
            region: &caller.region,
            query: &query,
        };
        call.perform()
    }

    fn authorize(&self, arn: &str, action: &str) -> Result<(), ApiError> {
        if self.iam.user_may(arn, &format!("ec2:{action}"), "*") {
            return Ok(());
        }
        let text = format!(
            "You are not authorized to perform this operation. User: {arn} is not authorized to \
             perform: ec2:{action} because no identity-based policy allows the ec2:{action} action"
        );
        Err(ApiError::new(403, "UnauthorizedOperation", text))
    }
}

/// Descriptions of images, snapshots and tasks have up to 255 characters of ASCII.
fn ascii_description(query: &Query) -> Result<(), ApiError> {
    let given = ["Description", "Description.Value"].map(|name| query.get(name));
    for text in given.into_iter().flatten() {
        if !text.is_ascii() {
            let text = format!(
                "Value ({text}) for parameter description is invalid. \
                 Character sets beyond ASCII are not supported."
            );
            return Err(ApiError::new(400, "InvalidParameterValue", text));
        }
        if text.len() > 255 {
            let text = "Description must be at most 255 characters";
            return Err(ApiError::new(400, "InvalidParameterValue", text));
        }
    }
    Ok(())
}

impl Call<'_> {
    fn perform(&self) -> Answer {
        let action = self.query.action();
        ascii_description(self.query)?;
        dry_run(self.query)?;
        match action {
            "ImportImage" => self.import_image(),
            "ImportSnapshot" => self.import_snapshot(),
            "CancelImportTask" => self.cancel_import_task(),
            "CopyImage" => self.copy_image(),
            "RegisterImage" => self.register_image(),
            "DeregisterImage" => self.deregister_image(),
            "DescribeImages" => self.describe_images(),
            "DescribeSnapshots" => self.describe_snapshots(),
            "DeleteSnapshot" => self.delete_snapshot(),
            "CreateTags" => self.create_tags(),
            "ModifyImageAttribute" => self.modify_image_attribute(),
            "DescribeImageAttribute" => self.describe_image_attribute(),
            "ModifySnapshotAttribute" => self.modify_snapshot_attribute(),
            "DescribeSnapshotAttribute" => self.describe_snapshot_attribute(),
            "DescribeRegions" => self.describe_regions(),
            "GetEbsEncryptionByDefault" => Ok(self.encryption_by_default()),
            "GetImageBlockPublicAccessState" => Ok(self.block_public_access_state()),
            "EnableImageDeprecation" => self.enable_image_deprecation(),
            _ => self.describe_import_tasks(action),
        }
    }

    fn region<T>(
        &self,
        work: impl FnOnce(&mut Region) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        self.named_region(self.region, work)
    }

    fn named_region<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Region) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        work(
            self.world
                .ec2
                .state()
                .regions
                .entry(name.to_owned())
                .or_default(),
        )
    }
}

fn document(action: &str, write: impl FnOnce(&mut Xml)) -> String {
    xml_document(&format!("{action}Response"), Some(NAMESPACE), |xml| {
        xml.text("requestId", query::request_id());
        write(xml);
    })
}

/// The answer of the actions that only do.
fn success_document(action: &str) -> String {
    document(action, |xml| {
        xml.text("return", true);
    })
}

fn dry_run(query: &Query) -> Result<(), ApiError> {
    if query.flag("DryRun") {
        let text = "Request would have succeeded, but DryRun flag is set.";
        return Err(ApiError::new(412, "DryRunOperation", text));
    }
    Ok(())
}
