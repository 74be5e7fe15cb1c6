//! Credentials that can't be used: each cause has its own remedy.

use std::fs;

use imgimport_sandbox::Fault;

use crate::support::{Cmd, TestEnv};

const COMMAND: &str = "aws --bucket importbucket --dry-run -q disk.raw";

/// A stage with these profiles, and no other credentials.
async fn stage(config: &str) -> TestEnv {
    let stage = TestEnv::new().await;
    stage.disk(2);
    fs::create_dir(stage.path(".aws")).unwrap();
    stage.file(".aws/config", config);
    stage
}

fn without_keys(run: Cmd<'_>) -> Cmd<'_> {
    run.without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
}

/// What is said where this profile is used.
async fn with(stage: &TestEnv, profile: &str, code: i32, says: &str) {
    let run = without_keys(stage.imgimport(&format!("{COMMAND} --profile {profile}")));
    run.output().await.code(code).stdout("").stderr(says);
}

#[tokio::test]
async fn an_unknown_profile_is_said_before_anything_else() {
    let config = "[default]\n[profile prod]\nregion = eu-west-1\n";
    let stage = stage(config).await;
    let credentials = "[backup]\naws_access_key_id = a\naws_secret_access_key = b\n";
    stage.file(".aws/credentials", credentials);
    for run in [
        stage.imgimport(&format!("{COMMAND} --profile prdo")),
        // Keys of the environment come before its profile.
        without_keys(stage.imgimport(COMMAND)).env("AWS_PROFILE", "prdo"),
    ] {
        run.without("AWS_REGION")
            .output()
            .await
            .code(2)
            .stdout("")
            .stderr(
                "
            error: there is no profile \"prdo\"
              hint: did you mean \"prod\"? The profiles are: backup, default, prod
            ",
            );
    }
    let run = stage.imgimport(&format!("{COMMAND} --profile x"));
    run.output().await.code(2).stderr(
        "
        error: there is no profile \"x\"
          hint: the profiles are: backup, default, prod
        ",
    );
    fs::remove_dir_all(stage.path(".aws")).unwrap();
    let run = stage.program([
        "aws",
        "--bucket",
        "importbucket",
        "--profile",
        "my ci",
        "disk.raw",
    ]);
    run.output().await.code(2).stderr(
        "
        error: there is no profile \"my ci\"
          hint: create it: aws configure --profile 'my ci'
        ",
    );
    assert!(stage.cloud.requests_so_far().is_empty());
}

#[tokio::test]
async fn a_sign_in_that_is_over_is_renewed_by_its_own_command() {
    let sso = "sso_session = corp\nsso_account_id = 123456789012\nsso_role_name = images\n";
    let config = format!(
        "[default]\n{sso}[profile dev]\n{sso}[profile role]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = dev\n\
         [sso-session corp]\nsso_region = eu-central-1\nsso_start_url = https://corp.awsapps.com/start\n\
         [profile old]\nsso_region = eu-central-1\nsso_start_url = https://corp.awsapps.com/start\nsso_account_id = 123456789012\nsso_role_name = images\n\
         [profile console]\nlogin_session = arn:aws:iam::123456789012:user/a\n"
    );
    let stage = stage(&config).await;
    let said = |profile: &str, cause: &str, hint: &str| {
        format!(
            "
            error: AWS does not accept the caller
              cause: the sign-in of the profile \"{profile}\" can't be used: {cause}
              hint: sign in: {hint}
            "
        )
    };
    let missing = "failed to load the cached SSO token";
    let hint = "aws sso login --profile dev";
    with(&stage, "dev", 1, &said("dev", missing, hint)).await;
    let cache = ".aws/sso/cache";
    fs::create_dir_all(stage.path(cache)).unwrap();
    let token = r#"{"accessToken": "hush-hush", "expiresAt": "2020-01-01T00:00:00Z", "region": "eu-central-1", "startUrl": "https://corp.awsapps.com/start"}"#;
    let digest = <sha1::Sha1 as sha1::Digest>::digest(b"corp");
    let name = hex::encode(digest);
    stage.file(&format!("{cache}/{name}.json"), token);
    let over = "the SSO token has expired and cannot be refreshed";
    with(&stage, "dev", 1, &said("dev", over, hint)).await;
    with(&stage, "role", 1, &said("dev", over, hint)).await;
    let run = without_keys(stage.imgimport(COMMAND)).output().await;
    run.code(1).stderr(&said("default", over, "aws sso login"));
    with(
        &stage,
        "console",
        2,
        "
        error: the profile \"console\" can't be used
          cause: it signs in with aws login (login_session), which is not supported
          hint: get the credentials from the AWS CLI, and leave --profile out: eval \"$(aws configure export-credentials --profile console --format env)\"
        ",
    )
    .await;
}

#[tokio::test]
async fn a_program_that_fails_is_named_without_what_it_has_written() {
    let config = "[profile ci]\ncredential_process = /bin/sh -c 'echo wJalrXUtnFEMI >&2; exit 3' --password hush\n\
        [profile gone]\ncredential_process = /no/such-program --password hush\n\
        [profile odd]\ncredential_process = echo wJalrXUtnFEMI\n";
    let stage = stage(config).await;
    for (profile, why) in [
        ("ci", "/bin/sh ended with exit status 3"),
        ("gone", "/no/such-program was not found"),
        ("odd", "echo prints something else"),
    ] {
        let said = format!(
            "
            error: AWS does not accept the caller
              cause: the credential_process of the profile \"{profile}\" gives no credentials: {why}
              hint: run the profile's credential_process by hand: it must print JSON with Version 1, AccessKeyId and SecretAccessKey
            "
        );
        with(&stage, profile, 1, &said).await;
    }
}

#[tokio::test]
async fn a_role_that_wants_mfa_says_how_to_go_on() {
    let stage = stage("").await;
    let key = stage.cloud.key();
    let config = format!(
        "[profile admin]\nrole_arn = arn:aws:iam::123456789012:role/admin\nsource_profile = me\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n\
         [profile me]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        key.access_key, key.secret_key
    );
    stage.file(".aws/config", config);
    with(
        &stage,
        "admin",
        1,
        "
        error: AWS does not accept the caller
          cause: the role was not assumed: User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/admin (AccessDenied, request ID)
          hint: the profile \"admin\" wants MFA (mfa_serial), which is not supported: get the credentials from the AWS CLI, and leave --profile out: eval \"$(aws configure export-credentials --profile admin --format env)\"
        ",
    )
    .await;
}

#[tokio::test]
async fn a_profile_that_leads_nowhere_says_so() {
    let role = "role_arn = arn:aws:iam::123456789012:role/r\n";
    let config = format!(
        "[profile a]\n{role}source_profile = gone\n[profile b]\n{role}source_profile = c\n[profile c]\n{role}source_profile = b\n\
         [profile d]\n{role}[profile e]\nregion = eu-west-1\n[profile f]\n{role}web_identity_token_file = /no/token\n\
         [profile g]\n{role}credential_source = Ec2InstanceMetadata\n"
    );
    let stage = stage(&config).await;
    with(
        &stage,
        "a",
        2,
        "
        error: the profile \"a\" can't be used
          cause: its source_profile \"gone\" does not exist
          hint: the profiles are: a, b, c, d, e, f, g
        ",
    )
    .await;
    with(
        &stage,
        "b",
        2,
        "
        error: the profile \"b\" can't be used
          cause: its source_profile leads back to itself
        ",
    )
    .await;
    with(
        &stage,
        "d",
        2,
        "
        error: the profile \"d\" can't be used
          cause: it has role_arn, and nothing says who assumes that role
          hint: name the profile of the caller in its source_profile
        ",
    )
    .await;
    with(
        &stage,
        "e",
        1,
        "
        error: AWS does not accept the caller
          cause: the profile \"e\" has no credentials
          hint: add an access key to it: aws configure --profile e
        ",
    )
    .await;
    with(
        &stage,
        "f",
        1,
        "
        error: AWS does not accept the caller
          cause: the web identity token in /no/token can't be read: No such file or directory (os error 2)
          hint: name the file with the token in AWS_WEB_IDENTITY_TOKEN_FILE, or in web_identity_token_file of the profile
        ",
    )
    .await;
    let run = without_keys(stage.imgimport(&format!("{COMMAND} --profile g")));
    let ended = run.output().await;
    let hint = "  hint: run this on an EC2 instance that has a role, or name another --profile\n";
    assert!(ended.code(1).stderr.ends_with(hint), "{}", ended.stderr);
}

#[tokio::test]
async fn the_surroundings_say_what_they_lack() {
    let stage = stage("").await;
    let run = without_keys(stage.imgimport(COMMAND));
    let run = run
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/token")
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r");
    run.output().await.code(1).stderr(
        "
        error: AWS does not accept the caller
          cause: the web identity token in /no/token can't be read: No such file or directory (os error 2)
          hint: name the file with the token in AWS_WEB_IDENTITY_TOKEN_FILE, or in web_identity_token_file of the profile
        ",
    );
    let run = without_keys(stage.imgimport(COMMAND));
    let run = run.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/");
    let ended = run.output().await;
    let hint = "  hint: correct AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\n";
    assert!(ended.code(1).stderr.ends_with(hint), "{}", ended.stderr);
}

/// HEAD has no body: the same question as a list has one.
#[tokio::test]
async fn a_bare_refusal_of_the_bucket_is_asked_for_its_reason() {
    for (code, message, hint) in [
        (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
            "check the access key and the secret key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the profile",
        ),
        (
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
            "check the access key and the secret key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the profile",
        ),
        (
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            "set this machine's clock",
        ),
    ] {
        let stage = stage("").await;
        let says = format!(
            "
            error: the bucket importbucket can't be used
              cause: {} ({code}, request ID)
              hint: {hint}
            ",
            message.trim_end_matches('.')
        );
        for operation in ["s3:HeadBucket", "s3:ListObjectsV2"] {
            let fault = Fault::on(operation).always();
            stage.cloud.fault(fault.answer(403, code, message));
        }
        let ended = stage.imgimport(COMMAND).output().await;
        ended.code(1).stdout("").stderr(&says);
    }
}
