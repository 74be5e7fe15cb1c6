//! Uploads, buckets, and what OSS refuses.

use super::{BUCKET, oss, oss_as, rpc, start};
use crate::alibaba::{Key, REGION};
use crate::stories::element_text;

#[tokio::test]
async fn parts_become_an_object() {
    let cloud = start().await;
    let (_, begun) = oss(&cloud, "POST /importbucket/a%20%2B%E4%B8%AD?uploads", b"").await;
    let id = element_text(&begun, "UploadId");
    let target = format!("/importbucket/a%20%2B%E4%B8%AD?uploadId={id}");
    let (big, small) = (vec![7; 100 * 1024], b"end");
    for (number, body) in [(1, big.as_slice()), (2, small)] {
        let (status, text) = oss(&cloud, &format!("PUT {target}&partNumber={number}"), body).await;
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Xz, body);
        assert!(
            status == 200 && text.contains(&format!("x-oss-hash-crc64ecma: {crc}\r\n")),
            "{text}"
        );
    }
    let (_, page) = oss(&cloud, &format!("GET {target}&max-parts=1"), b"").await;
    assert_eq!(
        (
            element_text(&page, "IsTruncated"),
            element_text(&page, "NextPartNumberMarker")
        ),
        ("true", "1")
    );
    let all = [("x-oss-complete-all", "yes")];
    let (status, done) = oss_as(
        &cloud,
        cloud.alibaba_key(),
        &format!("POST {target}"),
        &all,
        b"",
    )
    .await;
    assert_eq!(status, 200, "{done}");
    let whole = [big, small.to_vec()].concat();
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Xz, &whole);
    assert!(
        done.contains(&format!("x-oss-hash-crc64ecma: {crc}\r\n")),
        "{done}"
    );
    assert_eq!(cloud.oss().object(BUCKET, "a +中").unwrap(), whole);
    assert_eq!(oss(&cloud, &format!("POST {target}"), b"").await.0, 404);
    assert_eq!(cloud.requests("oss:UploadPart")[1].get("partNumber"), "2");
}

#[tokio::test]
async fn small_and_unordered_and_unknown_parts_are_refused() {
    let cloud = start().await;
    let (_, begun) = oss(&cloud, "POST /importbucket/k?uploads", b"").await;
    let target = format!(
        "/importbucket/k?uploadId={}",
        element_text(&begun, "UploadId")
    );
    for number in [1, 2] {
        oss(
            &cloud,
            &format!("PUT {target}&partNumber={number}"),
            b"small",
        )
        .await;
    }
    let etag = hex::encode(<md5::Md5 as md5::Digest>::digest(b"small"));
    let part = |number: u32, etag: &str| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>\"{etag}\"</ETag></Part>")
    };
    for (list, code) in [
        (part(1, &etag) + &part(2, &etag), "EntityTooSmall"),
        (part(2, &etag) + &part(1, &etag), "InvalidPartOrder"),
        (part(3, &etag), "InvalidPart"),
        (part(1, "00"), "InvalidPart"),
        (String::new(), "MalformedXML"),
    ] {
        let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        let (status, text) = oss(&cloud, &format!("POST {target}"), body.as_bytes()).await;
        assert_eq!((status, element_text(&text, "Code")), (400, code));
    }
    assert_eq!(cloud.oss().uploads()[0].parts.len(), 2);
    assert_eq!(oss(&cloud, &format!("DELETE {target}"), b"").await.0, 204);
    assert_eq!(cloud.oss().uploads().len(), 0);
}

#[tokio::test]
async fn a_wrong_secret_gets_osss_error() {
    let cloud = start().await;
    let key = Key {
        secret_key: "wrong".to_owned(),
        ..cloud.alibaba_key().clone()
    };
    let (status, text) = oss_as(&cloud, &key, "GET /importbucket/disk.raw", &[], b"").await;
    assert_eq!(
        (status, element_text(&text, "Code")),
        (403, "SignatureDoesNotMatch")
    );
    assert_eq!(element_text(&text, "EC"), "0002-00000040");
    let (status, text) = oss_as(&cloud, &key, "HEAD /importbucket/disk.raw", &[], b"").await;
    assert!(status == 403 && text.contains("x-oss-err: "), "{text}");
    let (status, answer) = rpc(
        cloud.ecs_endpoint(),
        &key,
        ("2014-05-26", "DescribeRegions"),
        "",
    )
    .await;
    assert_eq!(
        (status, &answer["Code"]),
        (400, &"SignatureDoesNotMatch".into())
    );
    assert!(
        !cloud
            .requests_so_far()
            .iter()
            .any(|entry| format!("{entry:?}").contains("OSS4-HMAC"))
    );
}

#[tokio::test]
async fn a_body_that_differs_from_its_checksum_is_rejected() {
    let cloud = start().await;
    let wrong = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    let (status, text) = oss_as(
        &cloud,
        cloud.alibaba_key(),
        "PUT /importbucket/k",
        &wrong,
        b"bytes",
    )
    .await;
    assert_eq!(
        (status, element_text(&text, "Code")),
        (400, "InvalidDigest")
    );
    let once = [("x-oss-forbid-overwrite", "true")];
    let (status, text) = oss_as(
        &cloud,
        cloud.alibaba_key(),
        "PUT /importbucket/disk.raw",
        &once,
        b"b",
    )
    .await;
    assert_eq!(
        (status, element_text(&text, "Code")),
        (409, "FileAlreadyExists")
    );
    assert_eq!(cloud.oss().object(BUCKET, "k"), None);
}

#[tokio::test]
async fn a_bucket_is_made_where_the_request_is_signed_for() {
    let cloud = start().await;
    assert_eq!(oss(&cloud, "PUT /another", b"").await.0, 200);
    assert_eq!(cloud.oss().region_of("another").as_deref(), Some(REGION));
    cloud.oss().create_foreign_bucket("theirs", REGION);
    cloud.oss().create_bucket("elsewhere", "us-west-1");
    for (line, status, code) in [
        ("PUT /theirs", 409, "BucketAlreadyExists"),
        ("GET /theirs?bucketInfo", 403, "AccessDenied"),
        ("GET /elsewhere?bucketInfo", 403, "AccessDenied"),
        ("GET /nowhere?bucketInfo", 404, "NoSuchBucket"),
        ("PUT /Bad_Name", 400, "InvalidBucketName"),
    ] {
        let (got, text) = oss(&cloud, line, b"").await;
        assert_eq!((got, element_text(&text, "Code")), (status, code), "{line}");
    }
    let (_, text) = oss(&cloud, "GET /elsewhere?bucketInfo", b"").await;
    assert_eq!(
        element_text(&text, "Endpoint"),
        "oss-us-west-1.aliyuncs.com"
    );
}
