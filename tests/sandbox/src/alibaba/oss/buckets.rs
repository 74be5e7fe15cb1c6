//! What the buckets hold, and the doors tests use to look into them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tempfile::TempDir;
use time::OffsetDateTime;

use super::Failure;
use crate::alibaba::moment;
use crate::content::Content;

pub(super) struct Bucket {
    pub(super) region: String,
    pub(super) is_foreign: bool,
    pub(super) is_encrypted: bool,
    pub(super) acl: String,
    pub(super) created: OffsetDateTime,
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) uploads: BTreeMap<String, Upload>,
}

#[derive(Clone)]
pub(super) struct Object {
    pub(super) content: Content,
    pub(super) etag: String,
    pub(super) crc64: u64,
    pub(super) modified: OffsetDateTime,
    /// `Normal`, `Multipart`
    pub(super) kind: &'static str,
    pub(super) options: ObjectOptions,
}

/// What a client asks for when it creates an object.
#[derive(Clone, Debug, Default)]
pub(super) struct ObjectOptions {
    pub(super) content_type: Option<String>,
    pub(super) acl: Option<String>,
    pub(super) storage_class: Option<String>,
    pub(super) encryption: Option<String>,
    /// `x-oss-meta-*`, in lower case
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) forbid_overwrite: bool,
}

pub(super) struct Upload {
    pub(super) key: String,
    pub(super) initiated: OffsetDateTime,
    pub(super) options: ObjectOptions,
    pub(super) parts: BTreeMap<u32, Part>,
}

#[derive(Clone)]
pub(super) struct Part {
    pub(super) content: Content,
    pub(super) etag: String,
    pub(super) crc64: u64,
    pub(super) modified: OffsetDateTime,
}

/// An object as tests see it.
#[derive(Clone, Debug)]
pub struct ObjectView {
    pub bucket: String,
    pub key: String,
    pub size: u64,
    pub etag: String,
    pub crc64: u64,
    pub content_type: Option<String>,
    pub acl: Option<String>,
    pub encryption: Option<String>,
}

/// An unfinished multipart upload as tests see it.
#[derive(Clone, Debug)]
pub struct UploadView {
    pub bucket: String,
    pub key: String,
    pub upload_id: String,
    pub parts: Vec<PartView>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartView {
    pub number: u32,
    pub size: u64,
    pub etag: String,
    pub crc64: u64,
}

/// The buckets of OSS.
#[derive(Clone)]
pub struct Oss {
    state: Arc<Mutex<BTreeMap<String, Bucket>>>,
    pub(super) dir: Arc<TempDir>,
}

impl Oss {
    pub(crate) fn new() -> std::io::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("imgimport-sandbox-")
            .tempdir()?;
        Ok(Self {
            state: Arc::default(),
            dir: Arc::new(dir),
        })
    }

    /// A private bucket of the caller's account.
    pub fn create_bucket(&self, name: &str, region: &str) {
        self.all()
            .entry(name.to_owned())
            .or_insert_with(|| Bucket::new(region));
    }

    /// A bucket of somebody else: every request is denied.
    pub fn create_foreign_bucket(&self, name: &str, region: &str) {
        let bucket = Bucket {
            is_foreign: true,
            ..Bucket::new(region)
        };
        self.all().insert(name.to_owned(), bucket);
    }

    /// Server-side encryption by default, which imports do not take.
    pub fn encrypt_bucket(&self, name: &str) {
        if let Some(bucket) = self.all().get_mut(name) {
            bucket.is_encrypted = true;
        }
    }

    /// The names of all buckets.
    pub fn buckets(&self) -> Vec<String> {
        self.all().keys().cloned().collect()
    }

    /// `private`, `public-read`
    pub fn acl(&self, bucket: &str) -> Option<String> {
        Some(self.all().get(bucket)?.acl.clone())
    }

    pub fn region_of(&self, bucket: &str) -> Option<String> {
        Some(self.all().get(bucket)?.region.clone())
    }

    /// All objects of all buckets, by bucket and key.
    pub fn objects(&self) -> Vec<ObjectView> {
        let all = self.all();
        let of = |(name, bucket): (&String, &Bucket)| -> Vec<_> {
            let objects = bucket.objects.iter();
            objects
                .map(|(key, object)| object.view(name, key))
                .collect()
        };
        all.iter().flat_map(of).collect()
    }

    /// An object's bytes; none when it does not exist.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let content = self.content(bucket, key)?;
        Some(content.bytes().expect("the sandbox can read its own files"))
    }

    pub fn content(&self, bucket: &str, key: &str) -> Option<Content> {
        Some(self.all().get(bucket)?.objects.get(key)?.content.clone())
    }

    /// Puts an object there without a request.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let object = self.object_of(bytes)?;
        let mut all = self.all();
        let bucket = all
            .get_mut(bucket)
            .ok_or_else(|| anyhow::anyhow!("no bucket {bucket}"))?;
        bucket.objects.insert(key.to_owned(), object);
        Ok(())
    }

    /// Removes an object without a request, as a lifecycle rule would.
    pub fn remove(&self, bucket: &str, key: &str) {
        if let Some(bucket) = self.all().get_mut(bucket) {
            bucket.objects.remove(key);
        }
    }

    /// Unfinished multipart uploads with the parts they hold.
    pub fn uploads(&self) -> Vec<UploadView> {
        let all = self.all();
        let of = |(name, bucket): (&String, &Bucket)| -> Vec<_> {
            let uploads = bucket.uploads.iter();
            uploads.map(|(id, upload)| upload.view(name, id)).collect()
        };
        all.iter().flat_map(of).collect()
    }

    /// Ends every unfinished upload, as a lifecycle rule does.
    pub fn expire_uploads(&self) {
        for bucket in self.all().values_mut() {
            bucket.uploads.clear();
        }
    }

    pub(crate) fn is_encrypted(&self, bucket: &str) -> bool {
        self.all()
            .get(bucket)
            .is_some_and(|bucket| bucket.is_encrypted)
    }

    pub(crate) fn remove_files(&self) {
        let _already_gone = std::fs::remove_dir_all(self.dir.path());
    }

    pub(super) fn with_bucket<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Bucket) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        work(self.all().get_mut(name).ok_or_else(|| no_bucket(name))?)
    }

    pub(super) fn all(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.state
            .lock()
            .expect("nothing panics with the buckets in hand")
    }
}

fn no_bucket(name: &str) -> Failure {
    let text = "The specified bucket does not exist.";
    Failure::new(404, "NoSuchBucket", text).with("BucketName", name)
}

impl Bucket {
    pub(super) fn new(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            is_foreign: false,
            is_encrypted: false,
            acl: "private".to_owned(),
            created: moment::now(),
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
        }
    }
}

impl Object {
    fn view(&self, bucket: &str, key: &str) -> ObjectView {
        ObjectView {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            size: self.content.size(),
            etag: self.etag.clone(),
            crc64: self.crc64,
            content_type: self.options.content_type.clone(),
            acl: self.options.acl.clone(),
            encryption: self.options.encryption.clone(),
        }
    }
}

impl Upload {
    fn view(&self, bucket: &str, upload_id: &str) -> UploadView {
        let part = |(number, part): (&u32, &Part)| PartView {
            number: *number,
            size: part.content.size(),
            etag: part.etag.clone(),
            crc64: part.crc64,
        };
        UploadView {
            bucket: bucket.to_owned(),
            key: self.key.clone(),
            upload_id: upload_id.to_owned(),
            parts: self.parts.iter().map(part).collect(),
        }
    }
}
