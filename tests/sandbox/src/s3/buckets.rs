//! What the buckets hold, and the doors tests use to look into them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use s3s::dto::{Checksum, ChecksumType, ETag, Metadata, Timestamp};
use s3s::{S3Result, s3_error};
use tempfile::TempDir;

use super::multipart::PAGE;
use crate::content::{Content, Draft};
use crate::keys::ACCOUNT;

pub(crate) struct Bucket {
    pub(crate) region: String,
    pub(crate) owner: String,
    /// Other accounts may use it, too
    pub(super) shared: bool,
    /// False since April 2023: "Bucket owner enforced"
    pub(super) acls: bool,
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) uploads: BTreeMap<String, Upload>,
}

/// What a client asks for when it creates an object.
#[derive(Clone, Debug, Default)]
pub(super) struct ObjectOptions {
    pub(super) public: bool,
    pub(super) content_type: Option<String>,
    pub(super) metadata: Option<Metadata>,
    pub(super) encryption: Option<String>,
    pub(super) kms_key_id: Option<String>,
    pub(super) bucket_key: Option<bool>,
    pub(super) storage_class: Option<String>,
}

#[derive(Clone)]
pub(super) struct Object {
    pub(super) content: Content,
    pub(super) etag: String,
    pub(super) sums: Checksum,
    pub(super) modified: Timestamp,
    pub(super) options: ObjectOptions,
}

pub(super) struct Upload {
    pub(super) key: String,
    pub(super) algorithm: Option<&'static str>,
    pub(super) kind: ChecksumType,
    pub(super) initiated: Timestamp,
    pub(super) options: ObjectOptions,
    pub(super) parts: BTreeMap<i32, Part>,
}

#[derive(Clone)]
pub(super) struct Part {
    pub(super) content: Content,
    pub(super) md5: [u8; 16],
    pub(super) sums: Checksum,
    pub(super) modified: Timestamp,
}

impl Part {
    pub(super) fn etag(&self) -> String {
        hex::encode(self.md5)
    }
}

/// An object as tests see it.
#[derive(Clone, Debug)]
pub struct ObjectView {
    pub bucket: String,
    pub key: String,
    pub size: u64,
    pub etag: String,
    pub public: bool,
    pub content_type: Option<String>,
    /// `AES256`, `aws:kms`
    pub encryption: Option<String>,
    pub kms_key_id: Option<String>,
    pub crc64nvme: Option<String>,
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
    pub number: i32,
    pub size: u64,
    pub etag: String,
}

/// The buckets of S3, or the Spaces of DigitalOcean.
#[derive(Clone)]
pub struct Buckets {
    state: Arc<Mutex<BTreeMap<String, Bucket>>>,
    pub(super) dir: Arc<TempDir>,
    /// Parts in one page of a listing.
    pub(super) page_size: Arc<AtomicI32>,
    /// Checksums are verified, but not shown.
    pub(super) hides_checksums: Arc<AtomicBool>,
}

impl Buckets {
    pub(crate) fn new() -> std::io::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("imgimport-sandbox-")
            .tempdir()?;
        Ok(Self {
            state: Arc::default(),
            dir: Arc::new(dir),
            page_size: Arc::new(AtomicI32::new(PAGE)),
            hides_checksums: Arc::default(),
        })
    }

    /// A bucket of the caller's account; ACLs are disabled, as AWS has it by default.
    pub fn create_bucket(&self, name: &str, region: &str) {
        self.add(name, region, ACCOUNT, false);
    }

    /// A bucket that takes ACLs: a Space, or an old bucket.
    pub fn create_bucket_with_acls(&self, name: &str, region: &str) {
        self.add(name, region, ACCOUNT, true);
    }

    /// A bucket of somebody else: every request is denied.
    pub fn create_foreign_bucket(&self, name: &str, region: &str) {
        self.add(name, region, "999999999999", false);
    }

    /// A bucket of another account that lets everybody in.
    pub fn create_shared_bucket(&self, name: &str, region: &str, owner: &str) {
        self.add(name, region, owner, false);
        if let Some(bucket) = self.all().get_mut(name) {
            bucket.shared = true;
        }
    }

    /// Makes the bucket another account's, which lets everybody in.
    pub fn give_bucket(&self, name: &str, owner: &str) {
        if let Some(bucket) = self.all().get_mut(name) {
            (bucket.owner, bucket.shared) = (owner.to_owned(), true);
        }
    }

    pub(super) fn add(&self, name: &str, region: &str, owner: &str, acls: bool) {
        let bucket = Bucket {
            region: region.to_owned(),
            owner: owner.to_owned(),
            shared: false,
            acls,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
        };
        self.all().entry(name.to_owned()).or_insert(bucket);
    }

    pub fn buckets(&self) -> Vec<String> {
        self.all().keys().cloned().collect()
    }

    /// All objects of all buckets, by bucket and key.
    pub fn objects(&self) -> Vec<ObjectView> {
        let all = self.all();
        let of = |(name, bucket): (&String, &Bucket)| -> Vec<_> {
            let views = bucket
                .objects
                .iter()
                .map(|(key, object)| object.view(name, key));
            views.collect()
        };
        all.iter().flat_map(of).collect()
    }

    /// An object's bytes; none when it does not exist.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let content = self.content(bucket, key)?;
        Some(content.bytes().expect("the sandbox can read its own files"))
    }

    pub(crate) fn content(&self, bucket: &str, key: &str) -> Option<Content> {
        let all = self.all();
        let object = all.get(bucket)?.objects.get(key)?;
        Some(object.content.clone())
    }

    pub(crate) fn region_of(&self, bucket: &str) -> Option<String> {
        Some(self.all().get(bucket)?.region.clone())
    }

    /// Puts an object there without a request.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let mut draft = Draft::new(self.dir.path())?;
        draft.write(bytes)?;
        let object = Object {
            content: draft.finish()?,
            etag: hex::encode(<md5::Md5 as md5::Digest>::digest(bytes)),
            sums: Checksum::default(),
            modified: now(),
            options: ObjectOptions::default(),
        };
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
            let views = bucket
                .uploads
                .iter()
                .map(|(id, upload)| upload.view(name, id));
            views.collect()
        };
        all.iter().flat_map(of).collect()
    }

    /// From now on a page of a listing has this many parts instead of a thousand.
    pub fn set_page_size(&self, parts: i32) {
        self.page_size.store(parts, Ordering::Relaxed);
    }

    /// From now on nobody is shown a checksum, as services do that only resemble S3.
    pub fn hide_checksums(&self) {
        self.hides_checksums.store(true, Ordering::Relaxed);
    }

    /// Ends every unfinished upload, as the rule `AbortIncompleteMultipartUpload` does.
    pub fn expire_uploads(&self) {
        for bucket in self.all().values_mut() {
            bucket.uploads.clear();
        }
    }

    /// Where the bytes lie.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) fn remove_files(&self) {
        let _already_gone = std::fs::remove_dir_all(self.dir.path());
    }

    pub(super) fn with<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Bucket) -> S3Result<T>,
    ) -> S3Result<T> {
        let mut all = self.all();
        let bucket = all.get_mut(name);
        work(bucket.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?)
    }

    pub(super) fn names(&self) -> BTreeSet<String> {
        self.all().keys().cloned().collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.state
            .lock()
            .expect("nothing panics with the buckets in hand")
    }
}

impl Object {
    fn view(&self, bucket: &str, key: &str) -> ObjectView {
        ObjectView {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            size: self.content.size(),
            etag: self.etag.clone(),
            public: self.options.public,
            content_type: self.options.content_type.clone(),
            encryption: self.options.encryption.clone(),
            kms_key_id: self.options.kms_key_id.clone(),
            crc64nvme: self.sums.checksum_crc64nvme.clone(),
        }
    }
}

impl Upload {
    fn view(&self, bucket: &str, upload_id: &str) -> UploadView {
        let part = |(number, part): (&i32, &Part)| PartView {
            number: *number,
            size: part.content.size(),
            etag: part.etag(),
        };
        UploadView {
            bucket: bucket.to_owned(),
            key: self.key.clone(),
            upload_id: upload_id.to_owned(),
            parts: self.parts.iter().map(part).collect(),
        }
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}

pub(super) fn strong_etag(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}
