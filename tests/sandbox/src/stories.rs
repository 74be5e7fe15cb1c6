//! Short stories of the sandbox itself, told by a client of its own over plain TCP.

use http::Request;
use http::request::Parts;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Fault, Gate, ImportScript, Key, Outcome, REGION, Sandbox, clock, sigv4};

const BUCKET: &str = "importbucket";

/// Status and text; status 0 when the connection ended without an answer.
pub(crate) type Answer = (u16, String);

pub(crate) async fn send(endpoint: &str, head: &Parts, body: &[u8]) -> Answer {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut lines = vec![format!("{} {} HTTP/1.1", head.method, head.uri)];
    for (name, value) in &head.headers {
        lines.push(format!("{name}: {}", value.to_str().unwrap()));
    }
    lines.push(format!("content-length: {}", body.len()));
    lines.push("connection: close\r\n\r\n".to_owned());
    let text = lines.join("\r\n");
    let mut answer = Vec::new();
    let _cut = stream.write_all(&[text.as_bytes(), body].concat()).await;
    let _cut = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), answer)
}

async fn signed(
    endpoint: &str,
    service: &str,
    key: &Key,
    line: &str,
    extra: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let timestamp = clock::compact();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in extra {
        request = request.header(*name, *value);
    }
    let request = request.header("host", endpoint.trim_start_matches("http://"));
    let request = request.header("x-amz-content-sha256", hex::encode(Sha256::digest(body)));
    let request = request.header("x-amz-date", &timestamp);
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let value = sigv4::sign(&head, body, &timestamp, key, [REGION, service]);
    head.headers.insert("authorization", value.parse().unwrap());
    send(endpoint, &head, body).await
}

async fn s3(cloud: &Sandbox, line: &str, body: &[u8]) -> Answer {
    s3_with(cloud, line, &[], body).await
}

async fn s3_with(cloud: &Sandbox, line: &str, extra: &[(&str, &str)], body: &[u8]) -> Answer {
    signed(cloud.s3_endpoint(), "s3", cloud.key(), line, extra, body).await
}

async fn ec2(cloud: &Sandbox, form: &str) -> Answer {
    signed(
        cloud.ec2_endpoint(),
        "ec2",
        cloud.key(),
        "POST /",
        &[],
        form.as_bytes(),
    )
    .await
}

async fn iam(cloud: &Sandbox, form: &str) -> Answer {
    signed(
        cloud.iam_endpoint(),
        "iam",
        cloud.key(),
        "POST /",
        &[],
        form.as_bytes(),
    )
    .await
}

async fn anonymous(cloud: &Sandbox, path: &str) -> Answer {
    let host = cloud.s3_endpoint().trim_start_matches("http://");
    let request = Request::get(path).header("host", host).body(()).unwrap();
    send(cloud.s3_endpoint(), &request.into_parts().0, b"").await
}

async fn start() -> Sandbox {
    let cloud = Sandbox::start().await.unwrap();
    cloud.s3().create_bucket(BUCKET, REGION);
    cloud.iam().put_import_role("vmimport", BUCKET);
    cloud.s3().put(BUCKET, "disk.raw", b"a small disk").unwrap();
    cloud
}

const IMPORT: &str = "Action=ImportImage&DiskContainer.1.Format=RAW\
    &DiskContainer.1.UserBucket.S3Bucket=importbucket&DiskContainer.1.UserBucket.S3Key=disk.raw";

pub(crate) fn element_text<'a>(document: &'a str, element: &str) -> &'a str {
    let (_, rest) = document
        .split_once(&format!("<{element}>"))
        .unwrap_or_default();
    rest.split_once('<').unwrap_or_default().0
}

/// Polls a new import to its end: its last answer.
async fn import(cloud: &Sandbox) -> String {
    let (status, started) = ec2(cloud, IMPORT).await;
    assert_eq!(status, 200, "{started}");
    let id = element_text(&started, "importTaskId").to_owned();
    let form = format!("Action=DescribeImportImageTasks&ImportTaskId.1={id}");
    loop {
        let (_, answer) = ec2(cloud, &form).await;
        if ["completed", "deleted"].contains(&element_text(&answer, "status")) {
            return answer;
        }
    }
}

#[tokio::test]
async fn the_second_part_is_throttled_twice() {
    let cloud = start().await;
    let when = Fault::on("s3:PutObject").nth(2).times(2);
    cloud.fault(
        when.answer(503, "SlowDown", "Reduce your request rate.")
            .retry_after(7),
    );
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let (status, text) = s3(&cloud, "PUT /importbucket/k", b"bytes").await;
        assert_eq!(status == 503, text.contains("retry-after: 7"));
        assert_eq!(status == 503, text.contains("<Code>SlowDown</Code>"));
        statuses.push(status);
    }
    assert_eq!(statuses, [200, 503, 503, 200]);
    let journal = cloud.requests("s3:PutObject");
    assert_eq!(journal[1].status(), Some(503));
    assert_eq!(journal[1].get("key"), "k");
}

#[tokio::test]
async fn a_lost_answer_has_done_its_work() {
    let cloud = start().await;
    cloud.fault(Fault::on("s3:PutObject").cut_answer());
    assert_eq!(
        s3(&cloud, "PUT /importbucket/k", b"bytes").await,
        (0, String::new())
    );
    assert_eq!(cloud.s3().object(BUCKET, "k").unwrap(), b"bytes");
    assert_eq!(cloud.requests("s3:PutObject")[0].outcome, Outcome::Cut);
}

#[tokio::test]
async fn a_connection_cut_in_the_body_leaves_nothing() {
    let cloud = start().await;
    cloud.fault(Fault::on("s3:PutObject").cut_after(100));
    let (status, _) = s3(&cloud, "PUT /importbucket/k", &vec![7; 1 << 20]).await;
    assert_eq!(status, 0);
    assert_eq!(cloud.s3().object(BUCKET, "k"), None);
    let (status, _) = s3(&cloud, "PUT /importbucket/k", &vec![7; 1 << 20]).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_held_request_waits_for_its_gate() {
    let cloud = start().await;
    let gate = cloud.hold(Fault::on("s3:HeadBucket"));
    let asking = s3(&cloud, "HEAD /importbucket", b"");
    let letting = async {
        gate.reached().await;
        assert_eq!(cloud.requests_so_far()[0].outcome, Outcome::Pending);
        gate.release();
    };
    let ((status, _), ()) = tokio::join!(asking, letting);
    assert_eq!(status, 200);
    cloud.wait_for_requests("s3:HeadBucket", 1).await;
}

#[tokio::test]
async fn a_client_that_disconnects_from_a_stalled_request_is_logged_as_cut() {
    let cloud = start().await;
    cloud.fault(Fault::on("ec2:*").always().stall());
    tokio::select! {
        _ = ec2(&cloud, IMPORT) => panic!("a stalled request is never answered"),
        () = cloud.wait_for_arrivals("ec2:ImportImage", 1) => {}
    }
    cloud.wait_for_cuts("ec2:ImportImage", 1).await;
}

#[tokio::test]
async fn an_error_may_come_inside_200() {
    let cloud = start().await;
    let when = Fault::on("s3:CompleteMultipartUpload");
    cloud.fault(when.error_inside_200("InternalError", "We encountered an internal error."));
    let (status, text) = s3(&cloud, "POST /importbucket/k?uploadId=u", b"").await;
    assert_eq!(
        (status, element_text(&text, "Code")),
        (200, "InternalError")
    );
}

#[tokio::test]
async fn an_imported_image_has_the_uploaded_bytes() {
    let cloud = start().await;
    let done = import(&cloud).await;
    let ami = element_text(&done, "imageId");
    assert_eq!(cloud.ec2().imported_bytes(ami).unwrap(), b"a small disk");
    assert_eq!(
        cloud.ec2().images()[0].name,
        element_text(&done, "importTaskId")
    );
    assert_eq!(cloud.ec2().snapshots().len(), 1);
    assert_eq!(cloud.requests("ec2:ImportImage")[0].get("region"), REGION);
}

#[tokio::test]
async fn an_object_deleted_too_early_fails_the_import() {
    let cloud = start().await;
    let gate = Gate::new();
    cloud.import_script(ImportScript::default().hold_at("converting", &gate));
    let deleting = async {
        gate.reached().await;
        cloud.s3().remove(BUCKET, "disk.raw");
        gate.release();
    };
    let (done, ()) = tokio::join!(import(&cloud), deleting);
    assert!(
        element_text(&done, "statusMessage").contains("404 Not Found"),
        "{done}"
    );
    assert_eq!(cloud.ec2().images().len(), 0);
}

#[tokio::test]
async fn an_import_fails_with_the_clouds_reason() {
    let cloud = start().await;
    let reason = "ClientError: Unsupported kernel version 5.19";
    cloud.import_script(ImportScript::quick().fail(reason));
    let done = import(&cloud).await;
    assert_eq!(
        (
            element_text(&done, "status"),
            element_text(&done, "statusMessage")
        ),
        ("deleted", reason)
    );
}

#[tokio::test]
async fn a_new_role_is_not_visible_at_once() {
    let cloud = start().await;
    let role = cloud.iam().role("vmimport").unwrap();
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let (trust, policy) = (encoded(&role.trust), encoded(&role.policies["vmimport"]));
    cloud.iam().remove_role("vmimport");
    assert!(
        ec2(&cloud, IMPORT)
            .await
            .1
            .contains("does not exist or does not have sufficient")
    );
    iam(
        &cloud,
        &format!("Action=CreateRole&RoleName=vmimport&AssumeRolePolicyDocument={trust}"),
    )
    .await;
    iam(
        &cloud,
        &format!("Action=PutRolePolicy&RoleName=vmimport&PolicyName=p&PolicyDocument={policy}"),
    )
    .await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ec2(&cloud, IMPORT).await.0);
    }
    assert_eq!(statuses, [400, 400, 200]);
}

#[tokio::test]
async fn a_wrong_wire_name_is_found() {
    let cloud = start().await;
    let (status, text) = ec2(&cloud, "Action=ImportImage&DiskContainers.1.Format=RAW").await;
    assert_eq!(
        (status, element_text(&text, "Code")),
        (400, "UnknownParameter")
    );
}

#[tokio::test]
async fn a_bucket_elsewhere_names_its_region() {
    let cloud = start().await;
    cloud.s3().create_bucket("elsewhere", "us-west-2");
    let (status, text) = s3(&cloud, "GET /elsewhere/k", b"").await;
    assert_eq!(
        (status, element_text(&text, "Code")),
        (301, "PermanentRedirect")
    );
    assert!(text.contains("x-amz-bucket-region: us-west-2"));
}

#[tokio::test]
async fn parts_wait_until_they_are_completed() {
    let cloud = start().await;
    let (_, begun) = s3(&cloud, "POST /importbucket/k?uploads", b"").await;
    let id = element_text(&begun, "UploadId");
    let parts = [vec![1; 5 << 20], b"the end".to_vec()];
    for (number, part) in (1..).zip(&parts) {
        let line = format!("PUT /importbucket/k?partNumber={number}&uploadId={id}");
        assert_eq!(s3(&cloud, &line, part).await.0, 200);
    }
    let upload = cloud.s3().uploads().remove(0);
    assert_eq!((upload.upload_id.as_str(), upload.parts.len()), (id, 2));
    let listed = upload.parts.iter().map(|part| {
        let (number, etag) = (part.number, &part.etag);
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    });
    let listed: String = listed.collect();
    let form = format!("<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>");
    let line = format!("POST /importbucket/k?uploadId={id}");
    let short = s3_with(
        &cloud,
        &line,
        &[("x-amz-mp-object-size", "7")],
        form.as_bytes(),
    )
    .await;
    assert_eq!(
        (short.0, element_text(&short.1, "Code")),
        (400, "InvalidRequest")
    );
    assert_eq!(s3(&cloud, &line, form.as_bytes()).await.0, 200);
    assert_eq!(cloud.s3().object(BUCKET, "k").unwrap(), parts.concat());
    let again = s3(&cloud, &line, form.as_bytes()).await;
    assert_eq!(
        (again.0, element_text(&again.1, "Code")),
        (404, "NoSuchUpload")
    );
}

#[tokio::test]
async fn a_part_other_than_its_checksum_is_refused() {
    let cloud = start().await;
    let put = async |name, value| {
        let extra = [(name, value)];
        let (status, text) = s3_with(&cloud, "PUT /importbucket/k", &extra, b"123456789").await;
        (status, element_text(&text, "Code").to_owned())
    };
    let wrong = (400, "BadDigest".to_owned());
    assert_eq!(put("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=").await, wrong);
    assert_eq!(put("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==").await, wrong);
    assert_eq!(put("x-amz-checksum-crc64nvme", "rosUhgp5mIg=").await.0, 200);
}

#[tokio::test]
async fn anonymous_requests_read_public_objects() {
    let cloud = start().await;
    cloud.s3().create_bucket_with_acls("space", REGION);
    s3(&cloud, "PUT /space/k", b"for all").await;
    assert_eq!(anonymous(&cloud, "/space/k").await.0, 403);
    let public = [("x-amz-acl", "public-read")];
    assert_eq!(
        s3_with(&cloud, "PUT /space/k?acl", &public, b"").await.0,
        200
    );
    let (status, text) = anonymous(&cloud, "/space/k").await;
    assert!(status == 200 && text.ends_with("for all"), "{text}");
    let (status, text) = s3_with(&cloud, "PUT /importbucket/k", &public, b"").await;
    assert_eq!(
        (status, element_text(&text, "Code")),
        (400, "AccessControlListNotSupported")
    );
}
