//! Short stories of the sandbox's Alibaba Cloud, told by a client of its own over plain TCP.

mod images;
mod imports;
mod keys;
mod oss;

use http::Request;
use http::request::Parts;
use serde_json::Value;
use time::Duration;

use super::canonical::{decode_path, sha256};
use super::{ImportScript, Key, REGION, acs3, moment, oss4};
use crate::Sandbox;
use crate::stories::{Answer, send};

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
    let resource = decode_path(head.uri.path());
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
    let task_query = format!("TaskId={}", made["TaskId"].as_str().unwrap());
    let image = made["ImageId"].as_str().unwrap().to_owned();
    loop {
        let (_, task) = ecs(cloud, "DescribeTaskAttribute", &task_query).await;
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
