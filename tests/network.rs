//! The way to the clouds: proxies and the authorities of certificates that the environment
//! names, in all clouds.

use imgimport_sandbox::SPACES_REGION;

use crate::support::{AUTHORITY, BUCKET, Cmd, TestEnv, tls};

const AWS: &str = "aws --bucket importbucket --dry-run -q disk.raw";
const ALICLOUD: &str = "alicloud --bucket packer --dry-run -q disk.raw";
const DIGITALOCEAN: &str = "digitalocean --space importbucket --spaces-region nyc3 --image-name web --image-region nyc3 --dry-run -q disk.raw";

/// A stage on which a dry run succeeds in all three clouds.
async fn stage() -> TestEnv {
    let stage = TestEnv::new().await;
    stage.cloud.ram().set_delay(0);
    let spaces = stage.cloud.spaces();
    spaces.create_bucket_with_acls(BUCKET, SPACES_REGION);
    stage.disk(2);
    stage
}

/// In the environment of all three clouds.
fn everywhere<'a>(stage: &'a TestEnv, args: &str) -> Cmd<'a> {
    let variables = stage.cloud.digitalocean_environment();
    let run = stage.alicloud(args);
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

/// The same, through TLS.
fn encrypted<'a>(stage: &'a TestEnv, args: &str) -> Cmd<'a> {
    let cloud = &stage.cloud;
    let all = [
        cloud.environment(),
        cloud.alibaba_environment(),
        cloud.digitalocean_environment(),
    ];
    let endpoints = all.into_iter().flatten();
    let endpoints = endpoints.filter(|(_, value)| value.starts_with("http://"));
    endpoints.fold(everywhere(stage, args), |run, (name, value)| {
        run.env(&name, &tls(&value))
    })
}

#[tokio::test]
async fn a_proxy_that_cannot_be_read_is_refused() {
    let stage = stage().await;
    for command in [AWS, ALICLOUD, DIGITALOCEAN] {
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"] {
            for (value, why) in [
                (
                    "ftp://proxy.example",
                    "ftp: is not the address of an HTTP proxy: write http://HOST:PORT",
                ),
                (
                    "socks5://127.0.0.1:9",
                    "socks5: is not the address of an HTTP proxy: write http://HOST:PORT",
                ),
                (
                    "http://proxy.example:99999",
                    "it is no address: write http://HOST:PORT",
                ),
                (
                    "http://me:hush hush@proxy.example",
                    "it is no address: write http://HOST:PORT",
                ),
                (
                    "http://me:hu#sh@proxy.example",
                    "it is no address: write http://HOST:PORT",
                ),
                (
                    "http://me:1/sh@proxy.example",
                    "a user or a password in it has a special character: write its code, such as %2F for /",
                ),
                ("http://", "it is no address: write http://HOST:PORT"),
            ] {
                let run = everywhere(&stage, command).env(name, value).output().await;
                run.code(2).stdout("").stderr(&format!(
                    "
                    error: the variable {name} is wrong
                      cause: {why}
                    "
                ));
            }
        }
        let run = everywhere(&stage, command).env("HTTPS_PROXY", "http://127.0.0.1:9");
        let run = run.env("NO_PROXY", "localhost,10.0.0.0/33").output().await;
        run.code(2).stdout("").stderr(
            "
            error: the variable NO_PROXY is wrong
              cause: \"10.0.0.0/33\" is no network: write hosts, domains and networks with commas between them
            ",
        );
    }
    assert!(stage.cloud.requests_so_far().is_empty());
}

#[tokio::test]
async fn a_proxy_with_a_line_break_at_its_end_is_used() {
    let stage = stage().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!(" http://{}\n", listener.local_addr().unwrap());
    drop(listener);
    let aws = everywhere(
        &stage,
        "aws --bucket importbucket --region eu-central-1 --max-retries 0 -q disk.raw",
    );
    let aws = aws
        .without("AWS_ENDPOINT_URL_STS")
        .without("AWS_ENDPOINT_URL_S3");
    let digitalocean = everywhere(&stage, DIGITALOCEAN);
    let digitalocean = digitalocean.without("DIGITALOCEAN_API_URL");
    for (run, proxied) in [(aws, "HTTPS_PROXY"), (digitalocean, "ALL_PROXY")] {
        let ended = run.env(proxied, &proxy).output().await;
        let said = format!("the proxy that {proxied} names can't be reached");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn authorities_that_cannot_be_read_are_refused() {
    let stage = stage().await;
    stage.file("empty.pem", "nothing\n");
    stage.file(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    );
    stage.file(
        "none.pem",
        "-----BEGIN CERTIFICATE-----\nMTIz\n-----END CERTIFICATE-----\n",
    );
    std::fs::create_dir(stage.path("certs")).unwrap();
    for (name, value, why) in [
        (
            "SSL_CERT_FILE",
            "missing.pem",
            "missing.pem can't be read: No such file or directory (os error 2)",
        ),
        (
            "SSL_CERT_FILE",
            "empty.pem",
            "empty.pem holds no certificate of an authority in PEM",
        ),
        (
            "SSL_CERT_FILE",
            "none.pem",
            "none.pem holds no certificate of an authority in PEM",
        ),
        (
            "SSL_CERT_FILE",
            "broken.pem",
            "broken.pem holds a certificate that can't be read",
        ),
        (
            "SSL_CERT_FILE",
            " ",
            "it is set, and empty: name a file with certificates, or unset it",
        ),
        (
            "SSL_CERT_DIR",
            "missing",
            "missing can't be read: No such file or directory (os error 2)",
        ),
        (
            "SSL_CERT_DIR",
            "certs",
            "certs holds no certificate of an authority in PEM",
        ),
        (
            "AWS_CA_BUNDLE",
            "missing.pem",
            "missing.pem can't be read: No such file or directory (os error 2)",
        ),
        (
            "AWS_CA_BUNDLE",
            "empty.pem",
            "empty.pem holds no certificate of an authority in PEM",
        ),
    ] {
        for command in [AWS, ALICLOUD, DIGITALOCEAN] {
            let run = everywhere(&stage, command).env(name, value).output().await;
            if name == "AWS_CA_BUNDLE" && command != AWS {
                run.code(0);
                continue;
            }
            run.code(2).stdout("").stderr(&format!(
                "
                error: the variable {name} is wrong
                  cause: {why}
                "
            ));
        }
    }
    std::fs::create_dir(stage.path(".aws")).unwrap();
    stage.file(".aws/config", "[profile corp]\nca_bundle = missing.pem\n");
    let run = everywhere(&stage, AWS).env("AWS_PROFILE", "corp");
    run.output().await.code(2).stdout("").stderr(
        "
        error: the ca_bundle of the profile \"corp\" can't be used
          cause: missing.pem can't be read: No such file or directory (os error 2)
        ",
    );
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_once_it_is_named() {
    let stage = stage().await;
    stage.file("own.pem", AUTHORITY);
    std::fs::create_dir(stage.path("certs")).unwrap();
    stage.file("certs/own.pem", AUTHORITY);
    for command in [AWS, ALICLOUD, DIGITALOCEAN] {
        let run = encrypted(&stage, command);
        let ended = run.output().await;
        ended.code(1);
        let said = "hint: name a file with the certificates of the authority that signed it in SSL_CERT_FILE";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        for (name, value) in [("SSL_CERT_FILE", "own.pem"), ("SSL_CERT_DIR", "certs")] {
            let run = encrypted(&stage, command).env(name, value);
            run.output().await.code(0).stderr("");
        }
    }
    let run = encrypted(&stage, AWS).env("AWS_CA_BUNDLE", "own.pem");
    run.output().await.code(0).stderr("");
}

#[tokio::test]
async fn the_bundle_of_aws_comes_before_the_profiles_and_before_the_systems() {
    let stage = stage().await;
    stage.file("own.pem", AUTHORITY);
    stage.file("other.pem", include_str!("support/tls/other.pem"));
    std::fs::create_dir(stage.path(".aws")).unwrap();
    stage.file(
        ".aws/config",
        "[profile right]\nca_bundle = own.pem\n[profile wrong]\nca_bundle = other.pem\n",
    );
    for (profile, bundle, system, code) in [
        ("right", "", "", 0),
        ("right", "", "other.pem", 0),
        ("right", "other.pem", "own.pem", 1),
        ("wrong", "own.pem", "other.pem", 0),
        ("wrong", "", "own.pem", 1),
    ] {
        let mut run = encrypted(&stage, AWS).env("AWS_PROFILE", profile);
        for (name, value) in [("AWS_CA_BUNDLE", bundle), ("SSL_CERT_FILE", system)] {
            if !value.is_empty() {
                run = run.env(name, value);
            }
        }
        run.output().await.code(code);
    }
}
