//! S3, and Spaces: the s3s crate reads the requests, checks their signatures and writes
//! XML; this room keeps buckets, objects and multipart uploads and refuses what S3 refuses.

mod access;
mod assemble;
mod buckets;
mod multipart;
mod names;
mod objects;
mod sums;

use std::fmt::Write;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::response;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, BucketLocationConstraint,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateBucketInput,
    CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput,
    DeleteObjectOutput, GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput,
    GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, PutObjectAclInput, PutObjectAclOutput, PutObjectInput,
    PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::validation::NameValidation;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

pub use self::buckets::{Buckets, ObjectView, PartView, UploadView};

use crate::desk::Detail;
use crate::fault::ApiError;
use crate::keys::{ACCOUNT, Keyring};
use crate::serve::{Body, Service};
use crate::xml;

/// The S3 protocol over some buckets.
pub(crate) struct Storage {
    /// `s3` or `spaces`: how its operations are called in the journal
    name: &'static str,
    protocol: S3Service,
}

impl Storage {
    pub(crate) fn new(name: &'static str, buckets: &Buckets, keys: &Keyring) -> Self {
        let doorkeeper = || access::AccessCheck {
            keys: keys.clone(),
            buckets: buckets.clone(),
        };
        let mut protocol = S3ServiceBuilder::new(S3Backend(buckets.clone()));
        protocol.set_validation(LegacyBucketNames);
        protocol.set_auth(doorkeeper());
        protocol.set_access(doorkeeper());
        let protocol = protocol.build();
        Self { name, protocol }
    }
}

impl Service for Storage {
    const NAMED_IN_BODY: bool = false;

    fn describe(&self, head: &Parts, _body: &Bytes) -> (String, Detail) {
        (
            format!("{}:{}", self.name, names::operation(head)),
            names::detail(head),
        )
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        let answer = self.protocol.call(request).await;
        let Ok(answer) = answer else {
            return self.refuse(&ApiError::new(
                500,
                "InternalError",
                "We encountered an internal error.",
            ));
        };
        let (head, body) = answer.into_parts();
        if head.status.as_u16() < 300 {
            return with_request_id(head, body);
        }
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        complete_error(head, &body.unwrap_or_default())
    }

    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        let document = xml::document("Error", None, |x| {
            x.text("Code", &refusal.code)
                .text("Message", &refusal.message);
        });
        let (mut head, ()) = Response::new(()).into_parts();
        head.status =
            StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        complete_error(head, document.as_bytes())
    }
}

/// S3's error documents name the request; s3s leaves that, and the right region, to us.
fn complete_error(mut head: response::Parts, body: &[u8]) -> Response<Body> {
    let mut document = String::from_utf8_lossy(body).into_owned();
    let request_id = request_id();
    if let Some(end) = document.rfind("</Error>") {
        let mut more = String::new();
        let region = head
            .headers
            .get(access::REGION_HEADER)
            .and_then(|value| value.to_str().ok());
        if let Some(region) = region.filter(|_| document.contains("AuthorizationHeaderMalformed")) {
            let _infallible = write!(more, "<Region>{region}</Region>");
        }
        let _infallible = write!(
            more,
            "<RequestId>{request_id}</RequestId><HostId>{HOST_ID}</HostId>"
        );
        document.insert_str(end, &more);
        head.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    }
    head.headers.insert(CONTENT_LENGTH, document.len().into());
    set_request_id(&mut head, &request_id);
    Response::from_parts(head, Body::from(document))
}

const HOST_ID: &str = "c2FuZGJveA==";

fn request_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..16].to_uppercase()
}

fn with_request_id(mut head: response::Parts, body: Body) -> Response<Body> {
    set_request_id(&mut head, &request_id());
    Response::from_parts(head, body)
}

fn set_request_id(head: &mut response::Parts, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        head.headers.insert("x-amz-request-id", value);
    }
    head.headers
        .insert("x-amz-id-2", HeaderValue::from_static(HOST_ID));
}

/// The s3s service; what it does to objects and uploads is told in their own files.
struct S3Backend(Buckets);

type Answer<T> = S3Result<S3Response<T>>;

#[async_trait]
impl S3 for S3Backend {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let signed = req
            .region
            .as_ref()
            .map_or("us-east-1", |region| region.as_str());
        let requested = req
            .input
            .create_bucket_configuration
            .and_then(|c| c.location_constraint);
        let region = requested
            .as_ref()
            .map_or("us-east-1", BucketLocationConstraint::as_str);
        if signed != region {
            return Err(s3_error!(
                IllegalLocationConstraintException,
                "The {region} location constraint is incompatible for the region specific endpoint this request was sent to."
            ));
        }
        if self.0.names().contains(&req.input.bucket) {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ));
        }
        self.0.add(&req.input.bucket, region, ACCOUNT, false);
        let location = Some(format!("/{}", req.input.bucket));
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.0.with(&req.input.bucket, |bucket| {
            Ok(S3Response::new(HeadBucketOutput {
                bucket_region: Some(bucket.region.clone()),
                ..HeadBucketOutput::default()
            }))
        })
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        self.0.with(&req.input.bucket, |bucket| {
            let region = Some(bucket.region.clone()).filter(|region| region != "us-east-1");
            let location_constraint = region.map(BucketLocationConstraint::from);
            Ok(S3Response::new(GetBucketLocationOutput {
                location_constraint,
            }))
        })
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        self.0.put_object(req).await.map(S3Response::new)
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        self.0.get_object(&req.input)
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        self.0.head_object(&req.input).map(S3Response::new)
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        self.0.delete_object(&req.input)
    }

    async fn put_object_acl(
        &self,
        req: S3Request<PutObjectAclInput>,
    ) -> Answer<PutObjectAclOutput> {
        self.0.put_object_acl(&req.input).map(S3Response::new)
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> Answer<ListObjectsV2Output> {
        self.0.list_objects(req.input).map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        self.0
            .create_multipart_upload(req.input)
            .map(S3Response::new)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        self.0.upload_part(req).await.map(S3Response::new)
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        self.0.list_parts(req.input).map(S3Response::new)
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        self.0
            .list_multipart_uploads(req.input)
            .map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        self.0
            .complete_multipart_upload(&req.input)
            .map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let AbortMultipartUploadInput {
            bucket,
            key,
            upload_id,
            ..
        } = req.input;
        self.0.abort_multipart_upload(&bucket, &key, &upload_id)?;
        Ok(S3Response::with_status(
            AbortMultipartUploadOutput::default(),
            StatusCode::NO_CONTENT,
        ))
    }
}

/// The names that buckets of us-east-1 could have before March 2018; newer ones are a part.
struct LegacyBucketNames;

impl NameValidation for LegacyBucketNames {
    fn validate_bucket_name(&self, name: &str) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        (3..=255).contains(&name.len()) && name.chars().all(fits)
    }
}
