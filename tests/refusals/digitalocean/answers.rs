//! The API's statuses, the reasons of imports that fail, and Spaces' codes.

use imgimport_sandbox::{CustomImageScript, Fault};

use super::super::{Told, each};
use super::{imgimport, stage};

const COMMAND: &str = "digitalocean --space import-bucket --spaces-region nyc3 --image-name web --image-region nyc3 --http-retry-max 0 -q disk.raw";
const TROUBLE: &str =
    "run the same command again; https://status.digitalocean.com tells of troubles";

/// The object that the next run imports; nobody else can read it.
const OBJECT: &str = "s3://import-bucket/imgimport-1767225600-RANDOM.raw.gz; remove it with: aws s3 rm s3://import-bucket/imgimport-1767225600-RANDOM.raw.gz --endpoint-url http://HOST";

/// What a hint says that knows nothing better, where something stays.
const AGAIN: &str = "the same command goes on from there";

const ACCOUNT: &str = "DigitalOcean does not accept the caller";
const CREATE: &str = "the import could not be started";
const TOKEN: &str =
    "check the token: DIGITALOCEAN_TOKEN, api_token in [digitalocean], or doctl auth init";
const REQUESTS: &str =
    "wait some minutes, and run the same command again: the account has used up its requests";
const ANSWERS: &[(&str, &str, u16, &str, &str, &str)] = &[
    (
        "do:GetAccount",
        ACCOUNT,
        401,
        "unauthorized",
        "Unable to authenticate you",
        TOKEN,
    ),
    (
        "do:CreateImage",
        CREATE,
        401,
        "unauthorized",
        "Unable to authenticate you",
        TOKEN,
    ),
    (
        "do:CreateImage",
        CREATE,
        403,
        "forbidden",
        "You are not authorized to perform this operation",
        "give the token the scope image:create, and tag:create for new tags",
    ),
    (
        "do:CreateImage",
        CREATE,
        404,
        "not_found",
        "The resource you requested could not be found",
        "",
    ),
    (
        "do:CreateImage",
        CREATE,
        422,
        "unprocessable_entity",
        "Region is not available",
        "",
    ),
    (
        "do:CreateImage",
        CREATE,
        429,
        "too_many_requests",
        "API rate limit exceeded",
        REQUESTS,
    ),
    (
        "do:CreateImage",
        CREATE,
        500,
        "server_error",
        "Unexpected server-side error",
        TROUBLE,
    ),
    (
        "do:CreateImage",
        CREATE,
        418,
        "nobody_has_seen_it",
        "I am a teapot",
        "",
    ),
];

/// "Response codes" of the API reference, as the first and the deciding request meet them.
#[tokio::test]
async fn what_the_api_answers_comes_with_its_remedy() {
    each(
        ANSWERS,
        async |&(operation, what, status, code, text, hint)| {
            let env = stage().await;
            let refusal = Fault::on(operation).always();
            env.cloud.fault(refusal.answer(status, code, text));
            let run = imgimport(&env, COMMAND).output().await;
            let sent = operation == "do:CreateImage";
            let told = Told {
                what,
                cause: &format!("{text} ({code}, request ID)"),
                left: if sent { &[OBJECT] } else { &[] },
                hint: if sent && hint.is_empty() { AGAIN } else { hint },
            };
            run.code(1).stdout("").stderr(&told.whole());
            let objects = env.cloud.spaces().objects();
            assert!(
                objects.iter().all(|object| !object.public),
                "nothing public stays"
            );
        },
    )
    .await;
}

/// `status: deleted`, with the reason in `error_message`.
#[tokio::test]
async fn the_reason_of_a_failed_import_comes_with_its_remedy() {
    let gzip = "say --compression none, or unpack the file and compress it again with gzip";
    let convert = "convert it: qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2";
    let large = "a custom image may have less than 100 GB, unpacked: shrink the disk";
    let fetch =
        "run the same command again; DigitalOcean must be able to read the object at its address";
    let rows = [
        (
            "We had a problem decompressing your file. Please verify your file",
            gzip,
        ),
        (
            "We don't support the compression format of your image. Please try again with a supported format (gzip, bzip2) or an uncompressed image file",
            "unpack the file, and compress it again with gzip or not at all",
        ),
        ("We don't support the iso format", convert),
        (
            "We don't support the file extension of your image",
            "end the --key in the format's own suffix",
        ),
        ("Your image is too large", large),
        ("The size of your image is above the limit", large),
        ("We could not download your image", fetch),
        ("The URL of your image could not be reached", fetch),
        ("The server did not answer a HEAD request", fetch),
        ("Something that nobody has seen yet", ""),
        (" ", ""),
    ];
    each(rows, async |(reason, hint)| {
        let env = stage().await;
        let script = CustomImageScript::quick().fail(reason);
        env.cloud.digitalocean().import_script(script);
        let run = imgimport(&env, COMMAND).output().await;
        let told = Told {
            what: "the import 157000001 failed",
            cause: if reason == " " {
                "DigitalOcean gave no reason"
            } else {
                reason
            },
            left: &[],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
        assert!(
            env.cloud.spaces().objects().is_empty(),
            "nothing public stays"
        );
    })
    .await;
}

/// The image that somebody else has deleted meanwhile.
#[tokio::test]
async fn an_image_that_is_gone_is_said() {
    let env = stage().await;
    let gone = Fault::on("do:GetImage").always();
    let text = "The resource you requested could not be found.";
    env.cloud.fault(gone.answer(404, "not_found", text));
    let told = Told {
        what: "the import 157000001 failed",
        cause: "The resource you requested could not be found (not_found, request ID)",
        left: &[OBJECT],
        hint: "somebody may have deleted the image",
    };
    let run = imgimport(&env, COMMAND).output().await;
    run.code(1).stdout("").stderr(&told.whole());
}

/// Spaces' codes, where the Space is looked at and where the upload begins.
#[tokio::test]
async fn what_spaces_answers_comes_with_its_remedy() {
    let keys = "check the Spaces key: SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY, which are not the API token";
    let access =
        "the Space may be another account's; or give the Spaces key read and write access to it";
    let region = "name the Space's own region with --spaces-region";
    let slower = "wait some minutes, and run the same command again; --limit-rate and --concurrency make it gentler";
    let rows = [
        (403, "InvalidAccessKeyId", keys),
        (403, "SignatureDoesNotMatch", keys),
        (403, "AccessDenied", access),
        (301, "PermanentRedirect", region),
        (404, "NoSuchBucket", region),
        (403, "RequestTimeTooSkewed", "set this machine's clock"),
        (503, "SlowDown", slower),
        (500, "InternalError", TROUBLE),
        (503, "ServiceUnavailable", TROUBLE),
        (501, "NotImplemented", ""),
    ];
    // A Spaces that does not know the question is not asked it: the upload will say.
    let looked_at = |row: (u16, &'static str, &'static str)| {
        let early = ("the Space import-bucket can't be used", true, row);
        let late = ("the upload could not be started", false, row);
        let rows = [Some(early).filter(|_| row.0 != 501), Some(late)];
        rows.into_iter().flatten()
    };
    each(
        rows.into_iter().flat_map(looked_at),
        async |(what, early, (status, code, hint))| {
            let env = stage().await;
            let operations: &[_] = if early {
                &["spaces:HeadBucket", "spaces:ListMultipartUploads"]
            } else {
                &["spaces:CreateMultipartUpload"]
            };
            for operation in operations {
                // A HEAD has no body, and says nothing but "no"; 404 would say enough.
                let status = if early && status == 404 { 403 } else { status };
                let refusal = Fault::on(operation).always();
                env.cloud
                    .fault(refusal.answer(status, code, "In Spaces' words."));
            }
            let run = imgimport(&env, COMMAND).output().await;
            let told = Told {
                what,
                cause: &format!("In Spaces' words ({code}, request ID)"),
                left: &[],
                hint,
            };
            run.code(1).stdout("").stderr(&told.whole());
        },
    )
    .await;
}
