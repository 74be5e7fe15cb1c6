//! The calls on buckets: who may enter, and what is told of them.

use http::Response;
use http_body_util::BodyExt;

use super::buckets::{Bucket, Oss};
use super::{Answer, Failure, OssRequest, answers};
use crate::alibaba::keys::ACCOUNT;
use crate::alibaba::moment;
use crate::serve::Body;
use crate::xml::Xml;

/// Buckets an account may have in a region.
const MAX_BUCKETS: usize = 100;

impl Oss {
    pub(super) fn check_access(&self, name: &str, region: &str) -> Result<(), Failure> {
        self.with_bucket(name, |bucket| {
            if bucket.is_foreign {
                let text = "You have no right to access this object because of bucket acl.";
                return Err(Failure::new(403, "AccessDenied", text));
            }
            if bucket.region != region {
                let text = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
                let endpoint = format!("oss-{}.aliyuncs.com", bucket.region);
                return Err(Failure::new(403, "AccessDenied", text)
                    .ec("0003-00001403")
                    .with("Endpoint", &endpoint)
                    .with("Bucket", name));
            }
            Ok(())
        })
    }

    pub(super) async fn put_bucket(&self, ask: &OssRequest<'_>, body: &mut Body) -> Answer {
        let _configuration = body.collect().await;
        if !is_bucket_name(ask.bucket) {
            let text = "The specified bucket is not valid.";
            return Err(Failure::new(400, "InvalidBucketName", text).with("BucketName", ask.bucket));
        }
        let mut all = self.all();
        let here = |bucket: &&Bucket| bucket.region == ask.region && !bucket.is_foreign;
        if all.values().filter(here).count() >= MAX_BUCKETS {
            let text = "You have attempted to create more buckets than allowed.";
            return Err(Failure::new(400, "TooManyBuckets", text));
        }
        let bucket = all
            .entry(ask.bucket.to_owned())
            .or_insert_with(|| Bucket::new(&ask.region));
        if bucket.is_foreign || bucket.region != ask.region {
            let text = "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
            return Err(
                Failure::new(409, "BucketAlreadyExists", text).with("BucketName", ask.bucket)
            );
        }
        ask.header("x-oss-acl")
            .unwrap_or("private")
            .clone_into(&mut bucket.acl);
        let mut response = answers::empty(200);
        answers::set_header(&mut response, "location", &format!("/{}", ask.bucket));
        Ok(response)
    }

    pub(super) fn delete_bucket(&self, ask: &OssRequest<'_>) -> Answer {
        self.with_bucket(ask.bucket, |bucket| {
            if bucket.objects.is_empty() && bucket.uploads.is_empty() {
                return Ok(());
            }
            let text = "The bucket has objects. Please delete them first.";
            Err(Failure::new(409, "BucketNotEmpty", text).with("BucketName", ask.bucket))
        })?;
        self.all().remove(ask.bucket);
        Ok(answers::empty(204))
    }

    pub(super) fn list_buckets(&self, ask: &OssRequest<'_>) -> Response<Body> {
        let prefix = ask.parameter("prefix").unwrap_or_default();
        let marker = ask.parameter("marker").unwrap_or_default();
        let limit: usize = ask.number("max-keys", 100).unwrap_or(100).min(1000);
        let all = self.all();
        let meant = |(name, bucket): &(&String, &Bucket)| {
            name.starts_with(prefix) && name.as_str() > marker && !bucket.is_foreign
        };
        let mut found: Vec<_> = all.iter().filter(meant).collect();
        let is_truncated = found.len() > limit;
        found.truncate(limit);
        answers::document("ListAllMyBucketsResult", |xml| {
            xml.text("Prefix", prefix)
                .text("Marker", marker)
                .text("MaxKeys", limit);
            xml.text("IsTruncated", is_truncated);
            let last = found.last().filter(|_| is_truncated);
            xml.optional("NextMarker", last.map(|(name, _)| name));
            write_owner(xml);
            xml.list("Buckets", "Bucket", found, |xml, (name, bucket)| {
                bucket.write(xml, name);
            });
        })
    }

    pub(super) fn bucket_info(&self, ask: &OssRequest<'_>) -> Answer {
        self.with_bucket(ask.bucket, |bucket| {
            Ok(answers::document("BucketInfo", |xml| {
                xml.element("Bucket", |xml| {
                    bucket.write(xml, ask.bucket);
                    write_owner(xml);
                    xml.element("AccessControlList", |xml| {
                        xml.text("Grant", &bucket.acl);
                    });
                    xml.text("DataRedundancyType", "LRS");
                    xml.element("ServerSideEncryptionRule", |xml| {
                        let algorithm = if bucket.is_encrypted {
                            "AES256"
                        } else {
                            "None"
                        };
                        xml.text("SSEAlgorithm", algorithm);
                    });
                });
            }))
        })
    }

    pub(super) fn bucket_location(&self, ask: &OssRequest<'_>) -> Answer {
        self.with_bucket(ask.bucket, |bucket| {
            let text = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint>oss-{}</LocationConstraint>",
                bucket.region
            );
            let mut response = Response::new(Body::from(text));
            answers::set_header(&mut response, "content-type", "application/xml");
            Ok(response)
        })
    }

    pub(super) fn bucket_acl(&self, ask: &OssRequest<'_>) -> Answer {
        self.with_bucket(ask.bucket, |bucket| {
            Ok(answers::document("AccessControlPolicy", |xml| {
                write_owner(xml);
                xml.element("AccessControlList", |xml| {
                    xml.text("Grant", &bucket.acl);
                });
            }))
        })
    }
}

fn is_bucket_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn write_owner(xml: &mut Xml) {
    xml.element("Owner", |xml| {
        xml.text("ID", ACCOUNT).text("DisplayName", ACCOUNT);
    });
}

impl Bucket {
    fn write(&self, xml: &mut Xml, name: &str) {
        let region = &self.region;
        xml.text("Name", name).text("Region", region);
        xml.text("Location", format!("oss-{region}"));
        xml.text("CreationDate", moment::extended(self.created));
        xml.text("ExtranetEndpoint", format!("oss-{region}.aliyuncs.com"));
        xml.text(
            "IntranetEndpoint",
            format!("oss-{region}-internal.aliyuncs.com"),
        );
        xml.text("StorageClass", "Standard");
    }
}
