//! Tests of the requests and the parsed responses, against recorded responses on loopback.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig,
};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Answers requests in turn, each on a connection of its own, and keeps them.
struct TestService {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl TestService {
    async fn answering(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&requests);
        tokio::spawn(async move {
            for answer in answers {
                let (mut connection, _) = listener.accept().await.expect("a client");
                let request = read_request(&mut connection).await;
                recorded.lock().expect("no panic").push(request);
                connection
                    .write_all(answer.as_bytes())
                    .await
                    .expect("written");
            }
        });
        Self { url, requests }
    }

    fn store(&self, dialect: Dialect) -> S3 {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("AK", "SK", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(&self.url)
            .force_path_style(true)
            .build();
        let object = S3Object {
            bucket: "bucket".into(),
            key: "dir/disk.ova".into(),
            dialect,
            encryption: None,
            public_read: dialect == Dialect::Spaces,
            owner: None,
            sign_payload: must_sign_payload(Some(&self.url)),
        };
        S3::new(&Client::from_conf(config), object)
    }

    fn request(&self, at: usize) -> String {
        self.requests.lock().expect("no panic")[at].clone()
    }
}

/// Head and body, header names as the client wrote them.
async fn read_request(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut length = None;
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let content_length = || {
                head.lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            };
            if body.len() >= *length.get_or_insert_with(|| content_length().unwrap_or(0)) {
                return text;
            }
        }
        if connection.read_buf(&mut bytes).await.expect("read") == 0 {
            return text;
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\nx-amz-request-id: R1\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

fn error(status: &str, code: &str) -> String {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Because.</Message></Error>"
    );
    answer(status, "", &body)
}

fn part(checksum: Checksum) -> Part {
    let bytes = Bytes::from_static(b"123456789");
    Part {
        number: 7,
        digest: checksum.of(&bytes),
        bytes,
        gate: None,
    }
}

fn id() -> UploadId {
    UploadId("U1".into())
}

fn sent(checksum: Checksum) -> (SentPart, ExpectedObject) {
    let digest = checksum.of(b"123456789");
    let part = SentPart {
        number: 1,
        size: 9,
        etag: "\"e1\"".into(),
        digest,
    };
    (
        part,
        ExpectedObject {
            size: 9,
            digest: checksum.combine([(digest, 9)]),
        },
    )
}

#[tokio::test]
async fn an_aws_part_has_only_its_crc() {
    let service = TestService::answering(vec![answer("200 OK", "etag: \"e7\"\r\n", "")]).await;
    let sent = service
        .store(Dialect::Aws)
        .upload_part(&id(), part(Checksum::Crc64Nvme))
        .await
        .expect("sent");
    assert_eq!(
        (sent.number, sent.size, sent.etag.as_str()),
        (7, 9, "\"e7\"")
    );
    let request = service.request(0);
    assert!(
        request.starts_with("PUT /bucket/dir/disk.ova?x-id=UploadPart&partNumber=7&uploadId=U1 "),
        "{request}"
    );
    assert!(
        request.contains("x-amz-checksum-crc64nvme: rosUhgp5mIg=\r\n"),
        "{request}"
    );
    assert!(
        request.contains("x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"),
        "{request}"
    );
    assert!(
        request.contains("content-length: 9\r\n") && request.ends_with("\r\n\r\n123456789"),
        "{request}"
    );
    for unwanted in ["trailer", "chunked", "crc32", "content-md5"] {
        assert!(!request.contains(unwanted), "{unwanted} in {request}");
    }
}

#[tokio::test]
async fn a_part_for_spaces_carries_its_md5_and_no_checksum_of_aws() {
    let service = TestService::answering(vec![answer("200 OK", "etag: \"e7\"\r\n", "")]).await;
    service
        .store(Dialect::Spaces)
        .upload_part(&id(), part(Checksum::Md5))
        .await
        .expect("sent");
    let request = service.request(0);
    assert!(
        request.contains("content-md5: JfnnlDI7RTiF9RgfG2JNCw==\r\n"),
        "{request}"
    );
    assert!(
        !request.contains("x-amz-checksum") && !request.contains("x-amz-sdk-checksum"),
        "{request}"
    );
}

/// What a client's timeouts leave out comes from the client that it was made from.
#[test]
fn a_part_may_take_as_long_as_it_needs_whatever_the_client_allows() {
    let second = Duration::from_secs(1);
    let hasty = TimeoutConfig::builder()
        .connect_timeout(second)
        .read_timeout(second)
        .operation_attempt_timeout(second)
        .operation_timeout(second);
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .timeout_config(hasty.build());
    let object = S3Object {
        bucket: "bucket".into(),
        key: "key".into(),
        dialect: Dialect::Aws,
        encryption: None,
        public_read: false,
        owner: None,
        sign_payload: false,
    };
    let clients = S3::new(&Client::from_conf(config.build()), object).clients();
    let parts = clients.parts.config().timeout_config();
    assert_eq!(parts, Some(&connect_timeout_only()));
    let small = clients.small.config().timeout_config().expect("timeouts");
    assert_eq!(small.operation_attempt_timeout(), Some(ATTEMPT_TIMEOUT));
    assert_eq!(small.read_timeout(), None);
}

#[tokio::test]
async fn a_payload_is_signed_where_it_must_be() {
    let service = TestService::answering(vec![answer("200 OK", "etag: \"e7\"\r\n", "")]).await;
    let mut store = service.store(Dialect::Aws);
    store.object.sign_payload = true;
    store
        .upload_part(&id(), part(Checksum::Crc64Nvme))
        .await
        .expect("sent");
    let sha256 = "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225";
    assert!(
        service
            .request(0)
            .contains(&format!("x-amz-content-sha256: {sha256}\r\n")),
        "{}",
        service.request(0)
    );
}

#[test]
fn a_payload_is_signed_over_plain_http_to_another_machine() {
    for (endpoint, signed) in [
        (None, false),
        (Some("https://s3.example.org"), false),
        (Some("http://127.0.0.1:9000"), false),
        (Some("http://[::1]:9000"), false),
        (Some("http://localhost:9000"), false),
        (Some("http://10.0.0.7:9000"), true),
        (Some("http://ceph.example.org"), true),
    ] {
        assert_eq!(must_sign_payload(endpoint), signed, "{endpoint:?}");
    }
}

#[tokio::test]
async fn beginning_names_the_checksum_on_aws_and_the_acl_on_spaces() {
    let id =
        "<InitiateMultipartUploadResult><UploadId>U1</UploadId></InitiateMultipartUploadResult>";
    let service =
        TestService::answering(vec![answer("200 OK", "", id), answer("200 OK", "", id)]).await;
    assert_eq!(
        service
            .store(Dialect::Aws)
            .create_upload()
            .await
            .expect("begun"),
        self::id()
    );
    let aws = service.request(0);
    assert!(
        aws.contains("x-amz-checksum-algorithm: CRC64NVME\r\n"),
        "{aws}"
    );
    assert!(
        aws.contains("x-amz-checksum-type: FULL_OBJECT\r\n") && !aws.contains("x-amz-acl"),
        "{aws}"
    );
    service
        .store(Dialect::Spaces)
        .create_upload()
        .await
        .expect("begun");
    let spaces = service.request(1);
    assert!(
        spaces.contains("x-amz-acl: public-read\r\n") && !spaces.contains("checksum"),
        "{spaces}"
    );
}

#[tokio::test]
async fn an_error_has_the_services_code_and_message() {
    let slow = answer(
        "503 Slow Down",
        "retry-after: 7\r\n",
        "<Error><Code>SlowDown</Code><Message>Less.</Message></Error>",
    );
    let answers = vec![
        error("403 Forbidden", "AccessDenied"),
        slow,
        answer("502 Bad Gateway", "", "<html>"),
    ];
    let service = TestService::answering(answers).await;
    let store = service.store(Dialect::Aws);
    let mut failures = Vec::new();
    for _ in 0..3 {
        failures.push(
            store
                .upload_part(&id(), part(Checksum::Crc64Nvme))
                .await
                .expect_err("refused"),
        );
    }
    assert_eq!(
        failures[0].to_string(),
        "Because (AccessDenied, request R1)"
    );
    assert_eq!(failures[0].class(), ErrorClass::Denied);
    assert_eq!(
        failures[1].class(),
        ErrorClass::Throttled {
            retry_after: Some(Duration::from_secs(7))
        }
    );
    assert_eq!(
        (failures[2].class(), failures[2].status()),
        (ErrorClass::Transient, Some(502))
    );
}

#[tokio::test]
async fn a_refused_connection_is_retryable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let store = TestService {
        url,
        requests: Arc::default(),
    }
    .store(Dialect::Aws);
    let failure = store
        .upload_part(&id(), part(Checksum::Crc64Nvme))
        .await
        .expect_err("nobody");
    assert!(failure.class().is_retryable());
    assert!(
        failure.to_string().contains("Connection refused"),
        "{failure}"
    );
}

#[tokio::test]
async fn parts_are_listed_page_by_page() {
    let page = |more: bool, number: u32, checksum: &str| {
        let body = format!(
            "<ListPartsResult><IsTruncated>{more}</IsTruncated><NextPartNumberMarker>{number}</NextPartNumberMarker>\
             <Part><PartNumber>{number}</PartNumber><ETag>&quot;e{number}&quot;</ETag><Size>9</Size>{checksum}</Part></ListPartsResult>"
        );
        answer("200 OK", "", &body)
    };
    let crc = "<ChecksumCRC64NVME>rosUhgp5mIg=</ChecksumCRC64NVME>";
    let service = TestService::answering(vec![
        page(true, 1, crc),
        page(false, 2, ""),
        error("404 Not Found", "NoSuchUpload"),
    ])
    .await;
    let store = service.store(Dialect::Aws);
    let parts = store
        .list_parts(&id())
        .await
        .expect("listed")
        .expect("known");
    let digest = Some(Digest::Crc64Nvme(0xAE8B_1486_0A79_9888));
    assert_eq!(
        parts[0],
        ListedPart {
            number: 1,
            size: 9,
            etag: "\"e1\"".into(),
            digest
        }
    );
    assert_eq!(
        parts[1],
        ListedPart {
            number: 2,
            size: 9,
            etag: "\"e2\"".into(),
            digest: None
        }
    );
    assert!(
        service.request(1).contains("part-number-marker=1"),
        "{}",
        service.request(1)
    );
    assert_eq!(store.list_parts(&id()).await.expect("answered"), None);
}

#[tokio::test]
async fn open_uploads_are_those_of_exactly_this_key() {
    let upload = |key: &str, id: &str, day: u32| {
        format!(
            "<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>2026-11-{day:02}T00:00:00.000Z</Initiated></Upload>"
        )
    };
    let uploads = [
        upload("dir/disk.ova", "old", 1),
        upload("dir/disk.ova.bak", "other", 2),
        upload("dir/disk.ova", "new", 3),
    ];
    let body = format!(
        "<ListMultipartUploadsResult>{}</ListMultipartUploadsResult>",
        uploads.concat()
    );
    let service = TestService::answering(vec![answer("200 OK", "", &body)]).await;
    let open = service
        .store(Dialect::Aws)
        .open_uploads()
        .await
        .expect("listed");
    assert_eq!(open, [UploadId("new".into()), UploadId("old".into())]);
}

#[tokio::test]
async fn an_error_inside_a_200_is_an_error() {
    let service = TestService::answering(vec![
        error("200 OK", "InternalError"),
        error("404 Not Found", "NoSuchKey"),
    ])
    .await;
    let (part, expected) = sent(Checksum::Crc64Nvme);
    let failure = service
        .store(Dialect::Aws)
        .complete(&id(), &[part], &expected)
        .await
        .expect_err("not done");
    assert_eq!(
        (failure.code(), failure.class()),
        (Some("InternalError"), ErrorClass::Transient)
    );
    let request = service.request(0);
    assert!(
        request.contains("x-amz-checksum-crc64nvme: rosUhgp5mIg=\r\n"),
        "{request}"
    );
    assert!(request.contains("x-amz-mp-object-size: 9\r\n"), "{request}");
}

#[tokio::test]
async fn an_empty_etag_at_the_end_is_no_failure() {
    let done = "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>";
    let service = TestService::answering(vec![answer("200 OK", "", done)]).await;
    let (part, expected) = sent(Checksum::Md5);
    service
        .store(Dialect::Spaces)
        .complete(&id(), &[part], &expected)
        .await
        .expect("done");
    assert!(
        !service.request(0).to_lowercase().contains("checksum"),
        "{}",
        service.request(0)
    );
}

#[tokio::test]
async fn a_lost_complete_response_is_resolved_by_the_object() {
    let head = |length: u32, checksum: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n{checksum}content-length: {length}\r\n\r\n"
        )
    };
    let crc = "x-amz-checksum-crc64nvme: rosUhgp5mIg=\r\n";
    // The multipart tag of one part "123456789": MD5 of its MD5.
    let tag = "etag: \"5927c5d64d94a5786f90003aa26d0159-1\"\r\n";
    for (flavour, checksum, answer, done) in [
        (Dialect::Aws, Checksum::Crc64Nvme, head(9, crc), true),
        (Dialect::Aws, Checksum::Crc64Nvme, head(8, crc), false),
        (Dialect::Aws, Checksum::Crc64Nvme, head(9, ""), false),
        (
            Dialect::Aws,
            Checksum::Crc64Nvme,
            head(9, "x-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\n"),
            false,
        ),
        (Dialect::Spaces, Checksum::Md5, head(9, tag), true),
        (
            Dialect::Spaces,
            Checksum::Md5,
            head(9, "etag: \"00000000000000000000000000000000-1\"\r\n"),
            false,
        ),
    ] {
        let service =
            TestService::answering(vec![error("404 Not Found", "NoSuchUpload"), answer.clone()])
                .await;
        let (part, expected) = sent(checksum);
        let finished = service
            .store(flavour)
            .complete(&id(), &[part], &expected)
            .await;
        assert_eq!(finished.is_ok(), done, "{answer}");
    }
}

/// Tells when the last holder of the bytes lets go.
struct TrackedBytes(Vec<u8>, Option<tokio::sync::oneshot::Sender<()>>);

impl AsRef<[u8]> for TrackedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for TrackedBytes {
    fn drop(&mut self) {
        let _ = self.1.take().map(|tell| tell.send(()));
    }
}

#[tokio::test]
async fn a_cancelled_part_does_not_continue() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let store = TestService {
        url,
        requests: Arc::default(),
    }
    .store(Dialect::Aws);
    let (dropped_sender, let_go) = tokio::sync::oneshot::channel();
    // More than the socket's buffers take, so that the connection is stuck in the middle.
    let bytes = Bytes::from_owner(TrackedBytes(vec![0; 32 << 20], Some(dropped_sender)));
    let part = Part {
        number: 1,
        digest: Checksum::Crc64Nvme.of(b""),
        bytes,
        gate: None,
    };
    let upload = id();
    let mut connection = tokio::select! {
        sent = store.upload_part(&upload, part) => panic!("sent: {sent:?}"),
        connection = async {
            let (mut connection, _) = listener.accept().await.expect("a client");
            connection.read_exact(&mut vec![0; 100_000]).await.expect("the beginning");
            connection
        } => connection,
    };
    let mut rest = Vec::new();
    drop(connection.read_to_end(&mut rest).await);
    assert!(
        rest.len() < 24 << 20,
        "{} bytes came although nobody wanted them sent",
        rest.len()
    );
    let_go.await.expect("told");
}
