//! Short stories of the sandbox's Alibaba Cloud, told by a client of its own over plain TCP.

use http::Request;
use http::request::Parts;
use serde_json::Value;
use time::Duration;

use super::canonical::{encode, encode_path, sha256};
use super::{CopyScript, ImportScript, Key, REGION, acs3, moment, oss4};
use crate::stories::{Answer, inside, send};
use crate::{Fault, Gate, Sandbox};

const BUCKET: &str = "importbucket";

fn host(endpoint: &str) -> &str {
    endpoint.trim_start_matches("http://")
}

fn parts(request: http::request::Builder) -> Parts {
    request.body(()).unwrap().into_parts().0
}

/// A signed request to OSS: `PUT /importbucket/key?query`, and more headers.
async fn oss_as(
    cloud: &Sandbox,
    key: &Key,
    line: &str,
    more: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let (method, target) = line.split_once(' ').unwrap();
    let date = moment::compact(moment::now());
    let request = Request::builder().method(method).uri(target);
    let request = request.header("host", host(cloud.oss_endpoint()));
    let request = request.header("x-oss-content-sha256", "UNSIGNED-PAYLOAD");
    let mut request = request.header("x-oss-date", date);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    if let Some(token) = &key.security_token {
        request = request.header("x-oss-security-token", token);
    }
    let mut head = parts(request);
    let resource = super::canonical::decode_path(head.uri.path());
    let resource = match resource.matches('/').count() {
        1 if resource.len() > 1 => resource + "/",
        _ => resource,
    };
    let value = oss4::authorization(&head, &resource, key, REGION);
    head.headers.insert("authorization", value.parse().unwrap());
    send(cloud.oss_endpoint(), &head, body).await
}

async fn oss(cloud: &Sandbox, line: &str, body: &[u8]) -> Answer {
    oss_as(cloud, cloud.alibaba_key(), line, &[], body).await
}

/// The head of an RPC request, signed at a moment with a nonce.
fn rpc_head(
    endpoint: &str,
    key: &Key,
    call: (&str, &str),
    query: &str,
    nonce: &str,
    age: Duration,
) -> Parts {
    let (version, action) = call;
    let request = Request::post(format!("/?{query}"))
        .header("host", host(endpoint))
        .header("x-acs-action", action)
        .header("x-acs-content-sha256", sha256(b""))
        .header("x-acs-date", moment::extended(moment::now() - age))
        .header("x-acs-signature-nonce", nonce)
        .header("x-acs-version", version);
    let mut head = parts(match &key.security_token {
        Some(token) => request.header("x-acs-security-token", token),
        None => request,
    });
    let value = acs3::authorization(&head, key);
    head.headers.insert("authorization", value.parse().unwrap());
    head
}

async fn rpc(endpoint: &str, key: &Key, call: (&str, &str), query: &str) -> (u16, Value) {
    let nonce = uuid::Uuid::new_v4().to_string();
    let head = rpc_head(endpoint, key, call, query, &nonce, Duration::ZERO);
    json(send(endpoint, &head, b"").await)
}

fn json((status, text): Answer) -> (u16, Value) {
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
    (
        status,
        serde_json::from_str(body.unwrap_or_default()).unwrap_or_default(),
    )
}

async fn ecs(cloud: &Sandbox, action: &str, query: &str) -> (u16, Value) {
    let query = format!("RegionId={REGION}&{query}");
    rpc(
        cloud.ecs_endpoint(),
        cloud.alibaba_key(),
        ("2014-05-26", action),
        &query,
    )
    .await
}

async fn ram(cloud: &Sandbox, action: &str, query: &str) -> (u16, Value) {
    rpc(
        cloud.ram_endpoint(),
        cloud.alibaba_key(),
        ("2015-05-01", action),
        query,
    )
    .await
}

async fn sts(cloud: &Sandbox, key: &Key, action: &str, query: &str) -> (u16, Value) {
    rpc(
        cloud.alibaba_sts_endpoint(),
        key,
        ("2015-04-01", action),
        query,
    )
    .await
}

async fn start() -> Sandbox {
    let cloud = Sandbox::start().await.unwrap();
    cloud.oss().create_bucket(BUCKET, REGION);
    cloud.ram().put_import_role();
    cloud
        .oss()
        .put(BUCKET, "disk.raw", b"a small disk")
        .unwrap();
    cloud
}

const IMPORT: &str = "ImageName=packer_import&DiskDeviceMapping.1.Format=RAW\
    &DiskDeviceMapping.1.OSSBucket=importbucket&DiskDeviceMapping.1.OSSObject=disk.raw\
    &DiskDeviceMapping.1.DiskImageSize=40";

/// Polls a new import to the end of its task: image id and the task's last answer.
async fn import(cloud: &Sandbox, query: &str) -> (String, Value) {
    let (status, made) = ecs(cloud, "ImportImage", query).await;
    assert_eq!(status, 200, "{made}");
    let asked = format!("TaskId={}", made["TaskId"].as_str().unwrap());
    let image = made["ImageId"].as_str().unwrap().to_owned();
    loop {
        let (_, task) = ecs(cloud, "DescribeTaskAttribute", &asked).await;
        if task["TaskStatus"] != "Processing" {
            return (image, task);
        }
    }
}

/// An image that is there at once, from an import.
async fn imported(cloud: &Sandbox) -> String {
    cloud.ecs().import_script(ImportScript::quick());
    import(cloud, IMPORT).await.0
}

async fn refused(cloud: &Sandbox, query: &str) -> String {
    let (status, answer) = ecs(cloud, "ImportImage", query).await;
    assert!(status >= 400, "{answer}");
    answer["Code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn parts_become_an_object() {
    let cloud = start().await;
    let (_, begun) = oss(&cloud, "POST /importbucket/a%20%2B%E4%B8%AD?uploads", b"").await;
    let id = inside(&begun, "UploadId");
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
            inside(&page, "IsTruncated"),
            inside(&page, "NextPartNumberMarker")
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
    let target = format!("/importbucket/k?uploadId={}", inside(&begun, "UploadId"));
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
        assert_eq!((status, inside(&text, "Code")), (400, code));
    }
    assert_eq!(cloud.oss().uploads()[0].parts.len(), 2);
    assert_eq!(oss(&cloud, &format!("DELETE {target}"), b"").await.0, 204);
    assert_eq!(cloud.oss().uploads().len(), 0);
}

#[tokio::test]
async fn a_wrong_secret_gets_osss_real_words() {
    let cloud = start().await;
    let key = Key {
        secret_key: "wrong".to_owned(),
        ..cloud.alibaba_key().clone()
    };
    let (status, text) = oss_as(&cloud, &key, "GET /importbucket/disk.raw", &[], b"").await;
    assert_eq!(
        (status, inside(&text, "Code")),
        (403, "SignatureDoesNotMatch")
    );
    assert_eq!(inside(&text, "EC"), "0002-00000040");
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
            .journal()
            .iter()
            .any(|entry| format!("{entry:?}").contains("OSS4-HMAC"))
    );
}

#[tokio::test]
async fn what_is_sent_must_be_what_was_claimed() {
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
    assert_eq!((status, inside(&text, "Code")), (400, "InvalidDigest"));
    let once = [("x-oss-forbid-overwrite", "true")];
    let (status, text) = oss_as(
        &cloud,
        cloud.alibaba_key(),
        "PUT /importbucket/disk.raw",
        &once,
        b"b",
    )
    .await;
    assert_eq!((status, inside(&text, "Code")), (409, "FileAlreadyExists"));
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
        assert_eq!((got, inside(&text, "Code")), (status, code), "{line}");
    }
    let (_, text) = oss(&cloud, "GET /elsewhere?bucketInfo", b"").await;
    assert_eq!(inside(&text, "Endpoint"), "oss-us-west-1.aliyuncs.com");
}

#[tokio::test]
async fn tokens_work_until_they_expire() {
    let cloud = start().await;
    cloud.ram().put_assumable_role("guest");
    let arn = encode(&format!("acs:ram::{}:role/guest", super::ACCOUNT));
    let query = format!("RoleArn={arn}&RoleSessionName=story");
    let (_, answer) = sts(&cloud, cloud.alibaba_key(), "AssumeRole", &query).await;
    let field = |name: &str| answer["Credentials"][name].as_str().unwrap().to_owned();
    let key = Key {
        access_key: field("AccessKeyId"),
        secret_key: field("AccessKeySecret"),
        security_token: Some(field("SecurityToken")),
        ..cloud.alibaba_key().clone()
    };
    let (_, me) = sts(&cloud, &key, "GetCallerIdentity", "").await;
    assert_eq!(me["IdentityType"], "AssumedRoleUser");
    assert_eq!(
        oss_as(&cloud, &key, "GET /importbucket?bucketInfo", &[], b"")
            .await
            .0,
        200
    );
    cloud.expire_alibaba_sessions();
    let (status, text) = oss_as(&cloud, &key, "GET /importbucket?bucketInfo", &[], b"").await;
    assert_eq!(
        (status, inside(&text, "Code")),
        (403, "SecurityTokenExpired")
    );
    let (status, answer) = sts(&cloud, &key, "GetCallerIdentity", "").await;
    assert_eq!(
        (status, &answer["Code"]),
        (400, &"InvalidSecurityToken.Expired".into())
    );
    let bare = Key {
        security_token: None,
        ..key
    };
    let (_, text) = oss_as(&cloud, &bare, "GET /importbucket?bucketInfo", &[], b"").await;
    assert_eq!(inside(&text, "Code"), "InvalidAccessKeyId");
}

#[tokio::test]
async fn oidc_needs_no_signature() {
    let cloud = start().await;
    cloud.ram().put_assumable_role("ci");
    let arn = encode(&format!("acs:ram::{}:role/ci", super::ACCOUNT));
    let form = format!("RoleArn={arn}&OIDCProviderArn=any&OIDCToken=jwt&RoleSessionName=story");
    let query = "/?Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON&Timestamp=2026-01-01T00%3A00%3A00Z";
    let request = Request::post(query)
        .header("host", host(cloud.alibaba_sts_endpoint()))
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = send(
        cloud.alibaba_sts_endpoint(),
        &parts(request),
        form.as_bytes(),
    )
    .await;
    let (status, answer) = json(answer);
    assert_eq!(status, 200, "{answer}");
    assert!(answer["Credentials"]["SecurityToken"].is_string());
    let entry = &cloud.requests("sts:AssumeRoleWithOIDC")[0];
    assert_eq!(
        (entry.get("RoleSessionName"), entry.get("OIDCToken")),
        ("story", "")
    );
}

#[tokio::test]
async fn a_nonce_and_a_date_serve_once() {
    let cloud = start().await;
    let (endpoint, key) = (cloud.ecs_endpoint(), cloud.alibaba_key());
    let call = ("2014-05-26", "DescribeRegions");
    let head = rpc_head(endpoint, key, call, "", "once", Duration::ZERO);
    assert_eq!(send(endpoint, &head, b"").await.0, 200);
    let (status, answer) = json(send(endpoint, &head, b"").await);
    assert_eq!(
        (status, &answer["Code"]),
        (400, &"SignatureNonceUsed".into())
    );
    let old = rpc_head(endpoint, key, call, "", "old", Duration::minutes(16));
    let (_, answer) = json(send(endpoint, &old, b"").await);
    assert_eq!(answer["Code"], "InvalidTimeStamp.Expired");
}

#[tokio::test]
async fn a_throttled_request_uses_its_nonce_up() {
    let cloud = start().await;
    cloud.fault(Fault::on("ecs:DescribeRegions").answer(
        400,
        "Throttling.User",
        "Request was denied.",
    ));
    let endpoint = cloud.ecs_endpoint();
    let call = ("2014-05-26", "DescribeRegions");
    let head = rpc_head(
        endpoint,
        cloud.alibaba_key(),
        call,
        "",
        "once",
        Duration::ZERO,
    );
    let (status, answer) = json(send(endpoint, &head, b"").await);
    assert_eq!((status, &answer["Code"]), (400, &"Throttling.User".into()));
    let (_, answer) = json(send(endpoint, &head, b"").await);
    assert_eq!(answer["Code"], "SignatureNonceUsed");
}

#[tokio::test]
async fn what_was_uploaded_arrives() {
    let cloud = start().await;
    let (id, task) = import(&cloud, IMPORT).await;
    assert_eq!(
        (&task["TaskStatus"], &task["SuccessCount"]),
        (&"Finished".into(), &1.into())
    );
    assert_eq!(cloud.ecs().image(&id).unwrap().status, "Creating");
    let asked = format!("ImageId={id}&Status=Available%2CCreating");
    let mut states = Vec::new();
    for _ in 0..2 {
        let (_, answer) = ecs(&cloud, "DescribeImages", &asked).await;
        states.push(
            answer["Images"]["Image"][0]["Status"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(states, ["Creating", "Available"]);
    assert_eq!(cloud.ecs().arrived(&id).unwrap(), b"a small disk");
    let image = cloud.ecs().image(&id).unwrap();
    assert_eq!(
        (image.name.as_str(), image.size, image.get("OSType")),
        ("packer_import", 40, "linux")
    );
    assert_eq!(
        (image.snapshots.len(), cloud.ecs().snapshots().len()),
        (1, 1)
    );
}

#[tokio::test]
async fn an_import_fails_with_its_reason() {
    let cloud = start().await;
    cloud
        .ecs()
        .import_script(ImportScript::default().fail("The system disk has no root."));
    let (id, task) = import(&cloud, IMPORT).await;
    let told = &task["OperationProgressSet"]["OperationProgress"][0];
    assert_eq!(
        (&task["TaskStatus"], &told["ErrorCode"]),
        (&"Failed".into(), &"ImportImageFailed".into())
    );
    assert_eq!(told["ErrorMsg"], "The system disk has no root.");
    assert_eq!(cloud.ecs().image(&id).unwrap().status, "CreateFailed");
    let (_, hidden) = ecs(&cloud, "DescribeImages", &format!("ImageId={id}")).await;
    assert_eq!(hidden["TotalCount"], 0);
}

#[tokio::test]
async fn wrong_bytes_fail_the_import() {
    let cloud = start().await;
    let mut qcow2 = b"QFI\xfb\0\0\0\x03".to_vec();
    qcow2.resize(104, 0);
    qcow2[24..32].copy_from_slice(&(41_u64 << 30).to_be_bytes());
    cloud.oss().put(BUCKET, "disk.qcow2", &qcow2).unwrap();
    let as_qcow2 = IMPORT.replace("disk.raw", "disk.qcow2");
    for (query, code) in [
        (
            IMPORT.replace("Format=RAW", "Format=VHD"),
            "InvalidImageFormat.Mismatch",
        ),
        (as_qcow2.clone(), "InvalidImageFormat.Mismatch"),
        (
            as_qcow2.replace("Format=RAW", "Format=QCOW2"),
            "InvalidImageSize",
        ),
    ] {
        let (id, task) = import(&cloud, &query).await;
        let told = &task["OperationProgressSet"]["OperationProgress"][0];
        assert_eq!(told["ErrorCode"], code);
        ecs(&cloud, "DeleteImage", &format!("ImageId={id}")).await;
    }
    let fits = as_qcow2
        .replace("Format=RAW", "Format=")
        .replace("=40", "=41");
    assert_eq!(import(&cloud, &fits).await.1["TaskStatus"], "Finished");
}

#[tokio::test]
async fn an_object_deleted_too_early_fails_the_import() {
    let cloud = start().await;
    let gate = Gate::new();
    cloud
        .ecs()
        .import_script(ImportScript::default().hold(&gate));
    let deleting = async {
        gate.reached().await;
        assert_eq!(
            oss(&cloud, "DELETE /importbucket/disk.raw", b"").await.0,
            204
        );
        gate.release();
    };
    let ((_, task), ()) = tokio::join!(import(&cloud, IMPORT), deleting);
    assert_eq!(task["TaskStatus"], "Failed");
}

#[tokio::test]
async fn the_role_is_asked_for_and_not_seen_at_once() {
    let cloud = start().await;
    cloud.ram().remove_role("AliyunECSImageImportDefaultRole");
    assert_eq!(refused(&cloud, IMPORT).await, "NoSetRoletoECSServiceAcount");
    let trust = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;
    let role = "RoleName=AliyunECSImageImportDefaultRole";
    let create = format!("{role}&AssumeRolePolicyDocument={}", encode(trust));
    let attach = format!("{role}&PolicyType=System&PolicyName=AliyunECSImageImportRolePolicy");
    assert_eq!(
        ram(&cloud, "GetRole", role).await.1["Code"],
        "EntityNotExist.Role"
    );
    assert_eq!(ram(&cloud, "CreateRole", &create).await.0, 200);
    assert_eq!(ram(&cloud, "AttachPolicyToRole", &attach).await.0, 200);
    let again = ram(&cloud, "AttachPolicyToRole", &attach).await.1;
    assert_eq!(again["Code"], "EntityAlreadyExists.Role.Policy");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ecs(&cloud, "ImportImage", IMPORT).await.0);
    }
    assert_eq!(statuses, [403, 403, 200]);
}

#[tokio::test]
async fn a_role_that_trusts_another_does_not_serve() {
    let cloud = start().await;
    let name = "AliyunECSImageImportDefaultRole";
    let good = cloud.ram().role(name).unwrap();
    let wrong = good.trust.replace("ecs.aliyuncs.com", "fc.aliyuncs.com");
    cloud
        .ram()
        .put_role(name, &wrong, &["System:AliyunECSImageImportRolePolicy"]);
    assert_eq!(refused(&cloud, IMPORT).await, "NoSetRoletoECSServiceAcount");
    let tight = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:Get*","Resource":["acs:oss:*:*:importbucket","acs:oss:*:*:importbucket/*"]}]}"#;
    cloud.ram().put_policy("tight", tight);
    cloud.ram().put_role(name, &good.trust, &["Custom:tight"]);
    assert_eq!(ecs(&cloud, "ImportImage", IMPORT).await.0, 200);
    cloud.ram().forbid("ram:*");
    let (status, answer) = ram(&cloud, "GetRole", &format!("RoleName={name}")).await;
    assert_eq!((status, &answer["Code"]), (403, &"NoPermission".into()));
}

#[tokio::test]
async fn imports_are_refused_by_the_rules() {
    let cloud = start().await;
    cloud.oss().create_bucket("elsewhere", "us-west-1");
    cloud.oss().put("elsewhere", "disk.raw", b"x").unwrap();
    cloud.oss().put(BUCKET, "empty.raw", b"").unwrap();
    cloud.ecs().register_image(REGION, "taken");
    for (from, to, code) in [
        (
            "ImageName=packer_import",
            "ImageName=taken",
            "InvalidImageName.Duplicated",
        ),
        (
            "ImageName=packer_import",
            "ImageName=1st",
            "InvalidImageName.Malformed",
        ),
        ("disk.raw", "disk.img", "UnsupportedSuffix.OSSObject"),
        ("disk.raw", "none.raw", "InvalidOSSObject.NotFound"),
        ("disk.raw", "empty.raw", "InvalidOSSObject.Size"),
        ("disk.raw", "/disk.raw", "InvalidOSSObject.Malformed"),
        ("importbucket", "elsewhere", "InvalidOSSBucket.NotMatched"),
        ("importbucket", "nowhere", "InvalidOSSBucket.NotFound"),
        ("Format=RAW", "Format=OVA", "InvalidImageFormat.Malformed"),
        ("=40", "=2049", "InvalidImageSize"),
        ("=40", "=40&Platform=BeOS", "InvalidPlatform.Malformed"),
        ("=40", "=40&DryRun=true", "DRYRUN.SUCCESS"),
        ("=40", "=40&ImageNames=x", "UnknownParameter"),
    ] {
        assert_eq!(refused(&cloud, &IMPORT.replace(from, to)).await, code);
    }
    cloud.oss().encrypt_bucket(BUCKET);
    assert_eq!(
        refused(&cloud, IMPORT).await,
        "InvalidOSSBucket.EncryptUnsupported"
    );
}

#[tokio::test]
async fn a_client_token_starts_one_import() {
    let cloud = start().await;
    let query = format!("{IMPORT}&ClientToken=once");
    let first = ecs(&cloud, "ImportImage", &query).await.1;
    let second = ecs(&cloud, "ImportImage", &query).await.1;
    assert_eq!(
        (&first["TaskId"], &first["ImageId"]),
        (&second["TaskId"], &second["ImageId"])
    );
    assert_eq!(cloud.ecs().tasks().len(), 1);
    let other = query.replace("packer_import", "another");
    assert_eq!(refused(&cloud, &other).await, "IdempotentParameterMismatch");
}

#[tokio::test]
async fn a_running_task_is_cancelled_with_its_image() {
    let cloud = start().await;
    let (_, made) = ecs(&cloud, "ImportImage", IMPORT).await;
    let image = format!("ImageId={}", made["ImageId"].as_str().unwrap());
    assert_eq!(
        ecs(&cloud, "DeleteImage", &image).await.1["Code"],
        "ImageIsImporting"
    );
    let task = format!("TaskId={}", made["TaskId"].as_str().unwrap());
    assert_eq!(ecs(&cloud, "CancelTask", &task).await.0, 200);
    assert_eq!(cloud.ecs().images().len(), 0);
    assert_eq!(
        ecs(&cloud, "CancelTask", &task).await.1["Code"],
        "IncorrectTaskStatus"
    );
}

#[tokio::test]
async fn accounts_beyond_the_tenth_are_dropped() {
    let cloud = start().await;
    let id = imported(&cloud).await;
    let accounts: String = (1..=12)
        .map(|n| format!("&AddAccount.{n}={n:016}"))
        .collect();
    let query = format!("ImageId={id}{accounts}");
    assert_eq!(
        ecs(&cloud, "ModifyImageSharePermission", &query).await.0,
        200
    );
    assert_eq!(cloud.ecs().image(&id).unwrap().shares.len(), 10);
}

#[tokio::test]
async fn copies_of_a_region_go_one_after_the_other() {
    let cloud = start().await;
    let id = imported(&cloud).await;
    cloud.ecs().copy_script(CopyScript::creating(1));
    let mut copies = Vec::new();
    for target in ["cn-hangzhou", "cn-shanghai"] {
        let query =
            format!("ImageId={id}&DestinationRegionId={target}&DestinationImageName=copied");
        copies.push(ecs(&cloud, "CopyImage", &query).await.1["ImageId"].clone());
    }
    let second = format!(
        "RegionId=cn-shanghai&Status=ALL&ImageId={}",
        copies[1].as_str().unwrap()
    );
    let call = ("2014-05-26", "DescribeImages");
    for states in [["Available", "Creating"], ["Available", "Available"]] {
        rpc(cloud.ecs_endpoint(), cloud.alibaba_key(), call, &second).await;
        let now = copies
            .iter()
            .map(|id| cloud.ecs().image(id.as_str().unwrap()).unwrap().status);
        assert_eq!(now.collect::<Vec<_>>(), states);
    }
    assert_eq!(
        cloud.ecs().arrived(copies[1].as_str().unwrap()).unwrap(),
        b"a small disk"
    );
}

#[tokio::test]
async fn snapshots_outlive_their_image() {
    let cloud = start().await;
    let id = imported(&cloud).await;
    let snapshot = cloud.ecs().image(&id).unwrap().snapshots[0].clone();
    let delete = format!("SnapshotId={snapshot}");
    let call = ("2014-05-26", "DeleteSnapshot");
    let (endpoint, key) = (cloud.ecs_endpoint(), cloud.alibaba_key());
    assert_eq!(
        rpc(endpoint, key, call, &delete).await.1["Code"],
        "SnapshotCreatedImage"
    );
    assert_eq!(
        ecs(&cloud, "DeleteImage", &format!("ImageId={id}")).await.0,
        200
    );
    assert_eq!(cloud.ecs().snapshots().len(), 1);
    assert_eq!(rpc(endpoint, key, call, &delete).await.0, 200);
    assert_eq!(cloud.ecs().snapshots().len(), 0);
}

#[tokio::test]
async fn the_machines_role_has_keys() {
    let cloud = start().await;
    let at = cloud.alibaba_metadata_endpoint();
    let get = |path: &str, token: Option<&str>| {
        let request = Request::get(encode_path(path)).header("host", host(at));
        parts(match token {
            Some(token) => request.header("x-aliyun-ecs-metadata-token", token),
            None => request,
        })
    };
    let path = "/latest/meta-data/ram/security-credentials/";
    assert_eq!(send(at, &get(path, None), b"").await.0, 403);
    let request = Request::put("/latest/api/token").header("host", host(at));
    let ask = parts(request.header("x-aliyun-ecs-metadata-token-ttl-seconds", "60"));
    let body = |(_, text): Answer| text.split_once("\r\n\r\n").unwrap().1.to_owned();
    let token = body(send(at, &ask, b"").await);
    let role = body(send(at, &get(path, Some(&token)), b"").await);
    let (_, keys) = json(send(at, &get(&(path.to_owned() + &role), Some(&token)), b"").await);
    let field = |name: &str| keys[name].as_str().unwrap().to_owned();
    let key = Key {
        access_key: field("AccessKeyId"),
        secret_key: field("AccessKeySecret"),
        security_token: Some(field("SecurityToken")),
        ..cloud.alibaba_key().clone()
    };
    assert_eq!(sts(&cloud, &key, "GetCallerIdentity", "").await.0, 200);
}
