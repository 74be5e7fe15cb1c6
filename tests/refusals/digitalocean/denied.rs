//! A token with chosen scopes, and a Spaces key with chosen rights, lack one.

use imgimport_sandbox::{Fault, TransferScript};

use super::super::{Told, each};
use super::{imgimport, stage};

/// A token with chosen scopes lacks one.
#[tokio::test]
async fn digitalocean_denies_a_call() {
    let image =
        "the image 157000001 in nyc3; remove it with: doctl compute image delete 157000001 --force";
    let transfer = "warning: 157000001 did not come to ams3: the transfer to ams3 could not be started: Not you (forbidden, request ID)\n";
    let object = "s3://import-bucket/imgimport-1767225600-RANDOM.raw.gz; remove it with: aws s3 rm s3://import-bucket/imgimport-1767225600-RANDOM.raw.gz --endpoint-url http://HOST";
    let import = "the import 157000001, which goes on; remove it with: doctl compute image delete 157000001 --force";
    let public = object.replace(';', ", which everybody who knows its address can read;");
    let rows: [(_, _, _, _, &[&str]); 3] = [
        (
            "do:CreateImage",
            "",
            "the import could not be started",
            "image:create, and tag:create for new tags",
            &[object],
        ),
        (
            "do:GetImage",
            "",
            "the import's state could not be asked",
            "image:read",
            &[import, &public],
        ),
        (
            "do:TransferImage",
            transfer,
            "the image 157000001 could not be transferred to ams3",
            "image:update",
            &[image],
        ),
    ];
    each(rows, async |(operation, warning, what, scope, left)| {
        let env = stage().await;
        env.cloud.digitalocean().transfer_script(TransferScript::default());
        let denied = Fault::on(operation).always();
        env.cloud.fault(denied.answer(403, "forbidden", "Not you."));
        let more = if warning.is_empty() { "" } else { "--image-region ams3" };
        let command = format!("digitalocean --space import-bucket --spaces-region nyc3 --image-name web --image-region nyc3 {more} -q disk.raw");
        let before = if warning.is_empty() { "" } else { "the transfer to ams3 could not be started: " };
        let run = imgimport(&env, &command).output().await;
        let told = Told {
            what,
            cause: &format!("{before}Not you (forbidden, request ID)"),
            left,
            hint: &format!("give the token the scope {scope}"),
        };
        run.code(1).stdout("").stderr(&format!("{warning}{}", told.whole()));
    })
    .await;
}

/// The Space's key may write and not delete: the object stays, for everybody who knows its
/// address.
#[tokio::test]
async fn spaces_denies_to_delete_the_object() {
    let env = stage().await;
    let denied = Fault::on("spaces:DeleteObject").always();
    env.cloud
        .fault(denied.answer(403, "AccessDenied", "Not you."));
    let command = "digitalocean --space import-bucket --spaces-region nyc3 --image-name web --image-region nyc3 --key k.raw.gz -q disk.raw";
    let run = imgimport(&env, command).output().await;
    run.code(0).stdout("157000001").stderr(
        "warning: s3://import-bucket/k-RANDOM.raw.gz could not be deleted: Not you (AccessDenied, request ID); next time, give the Spaces key read and write access to import-bucket; delete it with: aws s3 rm s3://import-bucket/k-RANDOM.raw.gz --endpoint-url http://HOST",
    );
}
