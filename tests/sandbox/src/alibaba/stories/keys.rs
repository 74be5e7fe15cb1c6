//! Tokens, nonces and dates.

use http::Request;
use time::Duration;

use super::{host, json, oss_as, parts, rpc_head, start, sts};
use crate::Fault;
use crate::alibaba::canonical::{encode, encode_path};
use crate::alibaba::{ACCOUNT, Key};
use crate::stories::{Answer, element_text, send};

#[tokio::test]
async fn tokens_work_until_they_expire() {
    let cloud = start().await;
    cloud.ram().put_assumable_role("guest");
    let arn = encode(&format!("acs:ram::{ACCOUNT}:role/guest"));
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
        (status, element_text(&text, "Code")),
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
    assert_eq!(element_text(&text, "Code"), "InvalidAccessKeyId");
}

#[tokio::test]
async fn oidc_needs_no_signature() {
    let cloud = start().await;
    cloud.ram().put_assumable_role("ci");
    let arn = encode(&format!("acs:ram::{ACCOUNT}:role/ci"));
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
