//! Multipart uploads: parts, their listing, and what Complete refuses.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/completemultipartupload>

use std::collections::BTreeMap;

use http::Response;
use http_body_util::BodyExt;
use md5::{Digest, Md5};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::buckets::{Bucket, Object, ObjectOptions, Oss, Part, Upload};
use super::objects::write_sums;
use super::receive::CRC64;
use super::{Answer, Failure, OssRequest, answers};
use crate::alibaba::canonical::encode;
use crate::alibaba::moment;
use crate::content::Content;
use crate::serve::Body;

const MIN_PART: u64 = 100 * 1024;
const MAX_PARTS: u32 = 10_000;
const PAGE: usize = 1000;

/// A part as Complete lists it.
type Listed = (u32, String);

impl Oss {
    pub(super) fn initiate(&self, ask: &OssRequest<'_>) -> Answer {
        let options = ObjectOptions::from_headers(ask);
        let upload_id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
        self.with_bucket(ask.bucket, |bucket| {
            bucket.check_new(ask.key, &options)?;
            let upload = Upload {
                key: ask.key.to_owned(),
                initiated: moment::now(),
                options,
                parts: BTreeMap::new(),
            };
            bucket.uploads.insert(upload_id.clone(), upload);
            Ok(answers::document("InitiateMultipartUploadResult", |xml| {
                xml.text("Bucket", ask.bucket)
                    .text("Key", ask.encoded_key(ask.key));
                xml.text("UploadId", &upload_id)
                    .optional("EncodingType", ask.encoding());
            }))
        })
    }

    pub(super) async fn upload_part(&self, ask: &OssRequest<'_>, body: &mut Body) -> Answer {
        let number = ask.number("partNumber", 0)?;
        if !(1..=MAX_PARTS).contains(&number) {
            let text = "Part number must be an integer between 1 and 10000, inclusive.";
            return Err(
                Failure::new(400, "InvalidArgument", text).with("ArgumentName", "partNumber")
            );
        }
        self.with_bucket(ask.bucket, |bucket| upload(bucket, ask).map(|_| ()))?;
        let received = self.receive(ask, body).await?;
        let mut response = answers::empty(200);
        write_sums(&mut response, &received.etag, received.crc64);
        let part = Part {
            content: received.content,
            etag: received.etag,
            crc64: received.crc64,
            modified: moment::now(),
        };
        self.with_bucket(ask.bucket, |bucket| {
            upload(bucket, ask)?.parts.insert(number, part);
            Ok(response)
        })
    }

    pub(super) fn list_parts(&self, ask: &OssRequest<'_>) -> Answer {
        let marker: u32 = ask.number("part-number-marker", 0)?;
        let page = ask.number("max-parts", PAGE)?.min(PAGE);
        self.with_bucket(ask.bucket, |bucket| {
            let upload = upload(bucket, ask)?;
            let mut parts: Vec<_> = upload.parts.range(marker.saturating_add(1)..).collect();
            let is_truncated = parts.len() > page;
            parts.truncate(page);
            let last = parts.last().map(|(number, _)| **number);
            Ok(answers::document("ListPartsResult", |xml| {
                xml.text("Bucket", ask.bucket)
                    .text("Key", ask.encoded_key(ask.key));
                xml.optional("UploadId", ask.parameter("uploadId"));
                xml.optional("EncodingType", ask.encoding())
                    .text("StorageClass", "Standard");
                xml.text("PartNumberMarker", marker)
                    .optional("NextPartNumberMarker", last);
                xml.text("MaxParts", page).text("IsTruncated", is_truncated);
                for (number, part) in parts {
                    xml.element("Part", |xml| {
                        xml.text("PartNumber", number);
                        xml.text("LastModified", moment::extended(part.modified));
                        xml.text("ETag", format!("\"{}\"", part.etag));
                        xml.text("HashCrc64ecma", part.crc64)
                            .text("Size", part.content.size());
                    });
                }
            }))
        })
    }

    pub(super) fn list_uploads(&self, ask: &OssRequest<'_>) -> Answer {
        let parameter = |name: &str| ask.parameter(name).unwrap_or_default();
        let (prefix, after) = (
            parameter("prefix"),
            (parameter("key-marker"), parameter("upload-id-marker")),
        );
        let page = ask.number("max-uploads", PAGE)?.min(PAGE);
        self.with_bucket(ask.bucket, |bucket| {
            let mut found: Vec<_> = bucket.uploads.iter().collect();
            found.sort_by_key(|(id, upload)| (&upload.key, *id));
            found.retain(|(id, upload)| {
                upload.key.starts_with(prefix) && is_after(&upload.key, id, after)
            });
            let is_truncated = found.len() > page;
            found.truncate(page);
            Ok(answers::document("ListMultipartUploadsResult", |xml| {
                xml.text("Bucket", ask.bucket)
                    .optional("EncodingType", ask.encoding());
                xml.text("KeyMarker", ask.encoded_key(after.0))
                    .text("UploadIdMarker", after.1);
                let last = found.last();
                xml.optional(
                    "NextKeyMarker",
                    last.map(|(_, upload)| ask.encoded_key(&upload.key)),
                );
                xml.optional("NextUploadIdMarker", last.map(|(id, _)| id));
                xml.text("Prefix", ask.encoded_key(prefix))
                    .text("MaxUploads", page);
                xml.text("IsTruncated", is_truncated);
                for (id, upload) in found {
                    xml.element("Upload", |xml| {
                        xml.text("Key", ask.encoded_key(&upload.key))
                            .text("UploadId", id);
                        xml.text("StorageClass", "Standard");
                        xml.text("Initiated", moment::extended(upload.initiated));
                    });
                }
            }))
        })
    }

    pub(super) async fn complete(&self, ask: &OssRequest<'_>, body: &mut Body) -> Answer {
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let body = body.map_err(|_| malformed())?;
        let all = ask
            .header("x-oss-complete-all")
            .is_some_and(|value| value.eq_ignore_ascii_case("yes"));
        if all && !body.is_empty() {
            let text = "The body must be empty with x-oss-complete-all.";
            return Err(Failure::new(400, "InvalidArgument", text));
        }
        self.with_bucket(ask.bucket, |bucket| {
            let upload = upload(bucket, ask)?;
            let parts = if all {
                upload.parts.values().cloned().collect()
            } else {
                selected_parts(upload, &parse_parts(&String::from_utf8_lossy(&body))?)?
            };
            check_sizes(&parts)?;
            let mut options = upload.options.clone();
            options.forbid_overwrite |= ask.flag("x-oss-forbid-overwrite");
            bucket.check_new(ask.key, &options)?;
            let object = completed_object(&parts, options);
            let response = completed_response(ask, &object);
            bucket
                .uploads
                .remove(ask.parameter("uploadId").unwrap_or_default());
            bucket.objects.insert(ask.key.to_owned(), object);
            Ok(response)
        })
    }

    pub(super) fn abort(&self, ask: &OssRequest<'_>) -> Answer {
        self.with_bucket(ask.bucket, |bucket| {
            upload(bucket, ask)?;
            bucket
                .uploads
                .remove(ask.parameter("uploadId").unwrap_or_default());
            Ok(answers::empty(204))
        })
    }
}

impl OssRequest<'_> {
    fn encoding(&self) -> Option<&str> {
        self.parameter("encoding-type")
            .filter(|kind| *kind == "url")
    }

    /// A key as the answer shows it: encoded when the request asked for that.
    fn encoded_key(&self, key: &str) -> String {
        match self.encoding() {
            Some(_) => encode(key),
            None => key.to_owned(),
        }
    }
}

fn is_after(key: &str, id: &str, (marker, id_marker): (&str, &str)) -> bool {
    key > marker || (key == marker && !id_marker.is_empty() && id > id_marker)
}

fn upload<'b>(bucket: &'b mut Bucket, ask: &OssRequest<'_>) -> Result<&'b mut Upload, Failure> {
    let id = ask.parameter("uploadId").unwrap_or_default();
    let found = bucket
        .uploads
        .get_mut(id)
        .filter(|upload| upload.key == ask.key);
    let text = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    found.ok_or_else(|| Failure::new(404, "NoSuchUpload", text).with("UploadId", id))
}

fn malformed() -> Failure {
    let text = "The XML you provided was not well-formed or did not validate against our published schema.";
    Failure::new(400, "MalformedXML", text)
}

/// The parts of a `CompleteMultipartUpload` document, in its order.
fn parse_parts(text: &str) -> Result<Vec<Listed>, Failure> {
    let mut reader = Reader::from_str(text);
    let (mut listed, mut element) = (Vec::new(), String::new());
    let (mut number, mut etag) = (String::new(), String::new());
    loop {
        match reader.read_event().map_err(|_| malformed())? {
            Event::Start(start) => start.local_name().as_ref().clone_into(&mut element),
            Event::Text(text) if element == "PartNumber" => number.push_str(text.trim()),
            Event::Text(text) if element == "ETag" => etag.push_str(text.trim()),
            Event::End(end) if end.local_name().as_ref() == "Part" => {
                let number = std::mem::take(&mut number)
                    .parse()
                    .map_err(|_| malformed())?;
                listed.push((number, std::mem::take(&mut etag).replace('"', "")));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if listed.is_empty() {
        Err(malformed())
    } else {
        Ok(listed)
    }
}

fn selected_parts(upload: &Upload, listed: &[Listed]) -> Result<Vec<Part>, Failure> {
    if !listed.is_sorted_by(|(before, _), (after, _)| before < after) {
        let text = "The list of parts was not in ascending order. The parts list must be specified in order by part number.";
        return Err(Failure::new(400, "InvalidPartOrder", text));
    }
    let found = |(number, etag): &Listed| {
        let part = upload
            .parts
            .get(number)
            .filter(|part| part.etag.eq_ignore_ascii_case(etag));
        let text = "One or more of the specified parts could not be found or the specified entity tag might not have matched the part's entity tag.";
        let missing =
            || Failure::new(400, "InvalidPart", text).with("PartNumber", &number.to_string());
        part.cloned().ok_or_else(missing)
    };
    listed.iter().map(found).collect()
}

fn check_sizes(parts: &[Part]) -> Result<(), Failure> {
    let Some((_, rest)) = parts.split_last() else {
        return Err(malformed());
    };
    if let Some(small) = rest.iter().find(|part| part.content.size() < MIN_PART) {
        let text = "Your proposed upload smaller than the minimum allowed size.";
        return Err(Failure::new(400, "EntityTooSmall", text)
            .with("MinSizeAllowed", &MIN_PART.to_string())
            .with("ProposedSize", &small.content.size().to_string()));
    }
    Ok(())
}

/// The object of these parts; its CRC64 is that of the whole.
fn completed_object(parts: &[Part], options: ObjectOptions) -> Object {
    let mut md5 = Md5::new();
    let mut crc64 = 0;
    for part in parts {
        md5.update(&part.etag);
        crc64 = crc_fast::checksum_combine(CRC64, crc64, part.crc64, part.content.size());
    }
    Object {
        content: Content::join(parts.iter().map(|part| &part.content)),
        etag: format!("{}-{}", hex::encode_upper(md5.finalize()), parts.len()),
        crc64,
        modified: moment::now(),
        kind: "Multipart",
        options,
    }
}

fn completed_response(ask: &OssRequest<'_>, object: &Object) -> Response<Body> {
    let mut response = answers::document("CompleteMultipartUploadResult", |xml| {
        let host = ask.header("host").unwrap_or_default();
        xml.optional("EncodingType", ask.encoding());
        xml.text("Location", format!("http://{host}{}", ask.head.uri.path()));
        xml.text("Bucket", ask.bucket)
            .text("Key", ask.encoded_key(ask.key));
        xml.text("ETag", format!("\"{}\"", object.etag));
    });
    write_sums(&mut response, &object.etag, object.crc64);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_list_of_parts() {
        let text = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;A&quot;</ETag></Part>\
            <Part><PartNumber>2</PartNumber><ETag>\"B\"</ETag></Part></CompleteMultipartUpload>";
        let expected = [(1, "A".to_owned()), (2, "B".to_owned())];
        assert_eq!(parse_parts(text).unwrap(), expected);
        assert!(parse_parts("<Complete").is_err());
    }

    #[test]
    fn the_check_value_of_crc_64_xz() {
        let [first, second] =
            [b"1234".as_slice(), b"56789"].map(|text| crc_fast::checksum(CRC64, text));
        assert_eq!(
            crc_fast::checksum_combine(CRC64, first, second, 5),
            11_051_210_869_376_104_954
        );
        assert_eq!(crc_fast::checksum_combine(CRC64, 0, first, 4), first);
    }
}
