//! The way to a custom image, with a name that the program chose and with one that it was
//! given.

use std::collections::BTreeMap;

use imgimport_sandbox::{CustomImageScript, CustomImageView, SPACES_REGION};

use super::{Recipe, TWO_S3_PARTS, Thing, interrupt};
use crate::support::TestEnv;

const SPACE: &str = "import-bucket";

const IMAGE: Recipe = Recipe {
    name: "custom-image",
    args: "digitalocean --space import-bucket --spaces-region nyc3 --part-size 5MiB --concurrency 1 --http-retry-wait-min 0.01 --http-retry-wait-max 0.1 --image-name web --image-description text --tag team --image-region nyc3 --image-region ams3 --image-region nyc2 disk.raw",
    megabytes: TWO_S3_PARTS,
    prepare: |_| (),
    environment: |run| {
        let cloud = run.cloud();
        // A Space that is there stays as it is.
        cloud.spaces().create_bucket_with_acls(SPACE, SPACES_REGION);
        let images = cloud.digitalocean();
        images.import_script(CustomImageScript::quick());
        let variables = cloud.digitalocean_environment();
        variables
            .iter()
            .fold(run, |run, (name, value)| run.env(name, value))
    },
    changes: |operation| {
        let call = operation.split_once(':').map_or("", |(_, call)| call);
        !["Get", "Head", "List"]
            .iter()
            .any(|verb| call.starts_with(verb))
    },
    things,
    disks,
    parts: &[("spaces:UploadPart", &["partNumber"])],
    known: &[],
};

/// Under a key that runs on other machines have, too.
const GIVEN: Recipe = Recipe {
    name: "given-key",
    args: "digitalocean --space import-bucket --spaces-region nyc3 --key disk.raw.gz --part-size 5MiB --concurrency 1 --http-retry-wait-min 0.01 --http-retry-wait-max 0.1 --image-name web --image-region nyc3 disk.raw",
    ..IMAGE
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_custom_image_survives_at_every_request() {
    interrupt(IMAGE, |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_custom_image_under_a_given_key_survives_where_something_is_made() {
    let made = [
        "spaces:CreateMultipartUpload",
        "spaces:CompleteMultipartUpload",
        "do:CreateImage",
    ];
    interrupt(GIVEN, |operation| made.contains(&operation)).await;
}

fn things(env: &TestEnv) -> Vec<Thing> {
    let (spaces, account) = (env.cloud.spaces(), env.cloud.digitalocean());
    let mut things = Vec::new();
    let mut thing = |what: String, names: Vec<String>| things.push(Thing { what, names });
    for upload in spaces.uploads() {
        let url = format!("s3://{}/{}", upload.bucket, upload.key);
        let names = vec![
            format!("parts of {url}"),
            format!("part of {url}"),
            format!("an upload of {url} that may have started"),
        ];
        thing("an upload".to_owned(), names);
    }
    for object in spaces.objects() {
        let url = format!("s3://{}/{}", object.bucket, object.key);
        let readable = "which everybody who knows its address can read";
        let names = if object.public {
            vec![
                format!("{url}, {readable}"),
                format!("{url}, which may be complete, {readable}"),
            ]
        } else {
            let ends = [":", ",", ";"].map(|end| format!("{url}{end}"));
            ends.to_vec()
        };
        thing("an object".to_owned(), names);
    }
    for image in alive(env) {
        let (name, text) = (&image.name, &image.description);
        let (regions, tags) = (&image.regions, &image.tags);
        let tags: Vec<_> = tags.iter().filter(|tag| !is_own(tag)).collect();
        let (_, key) = image.url.rsplit_once('/').unwrap_or_default();
        let names = vec![
            image.id.to_string(),
            format!("an import of s3://{SPACE}/{key} that may have started"),
        ];
        thing(
            format!("image {name} in {regions:?}, {text:?}, {tags:?}"),
            names,
        );
    }
    for tag in account.tags().into_iter().filter(|tag| is_own(tag)) {
        let names = ["import ", "an import of ", "the image "].map(str::to_owned);
        thing(format!("the tag {}", &tag[..10]), names.to_vec());
    }
    things
}

/// A tag by which the program finds its image.
fn is_own(tag: &str) -> bool {
    tag.starts_with("imgimport-")
}

/// Without those whose import has failed.
fn alive(env: &TestEnv) -> Vec<CustomImageView> {
    let mut images = env.cloud.digitalocean().images();
    images.retain(|image| image.status != "deleted");
    images
}

fn disks(env: &TestEnv) -> BTreeMap<String, Vec<u8>> {
    let account = env.cloud.digitalocean();
    let images = alive(env).into_iter();
    images
        .map(|image| {
            let content = account.arrived(image.id).expect("an image of something");
            let disk = content.bytes().expect("a disk that can be read");
            (image.id.to_string(), disk)
        })
        .collect()
}
