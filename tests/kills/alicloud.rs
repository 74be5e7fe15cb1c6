//! The way to an ECS image and its copy, in an account in which nobody has imported anything.

use std::collections::BTreeMap;

use imgimport_sandbox::alibaba::{CopyScript, ImageView, ImportScript};

use super::{Recipe, Thing, interrupt};
use crate::support::TestEnv;

/// The tag by which the program finds its images again: another one in each run.
const TOKEN: &str = "imgimport:token";

const IMAGE: Recipe = Recipe {
    name: "alicloud",
    args: "alicloud --bucket packer --part-size 1MiB --concurrency 1 --image-name web --image-description text --image-family web --tag team=a --share-account 1111222233334444 --copy-to cn-hangzhou disk.raw",
    megabytes: 2,
    prepare: |env| {
        env.cloud.ecs().import_script(ImportScript::quick());
        env.cloud.ecs().copy_script(CopyScript::creating(1));
        env.cloud.ram().set_delay(0);
    },
    environment: |run| run.on_alibaba(),
    changes: |operation| {
        let call = operation.split_once(':').map_or("", |(_, call)| call);
        !["Get", "Head", "List", "Describe"]
            .iter()
            .any(|verb| call.starts_with(verb))
    },
    things,
    disks,
    parts: &[("oss:UploadPart", &["partNumber"])],
    known: &[],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_to_ecs_survives_at_every_request() {
    interrupt(IMAGE, |_| true).await;
}

/// The role is not among them: it stays, for the imports to come.
fn things(env: &TestEnv) -> Vec<Thing> {
    let (oss, ecs) = (env.cloud.oss(), env.cloud.ecs());
    let mut things = Vec::new();
    let mut thing = |what: String, names: Vec<String>| things.push(Thing { what, names });
    for bucket in oss.buckets() {
        let names = ["bucket packer, which the run creates", "the bucket packer;"];
        thing(
            format!("bucket {bucket}"),
            names.map(str::to_owned).to_vec(),
        );
    }
    for upload in oss.uploads() {
        let url = format!("oss://{}/{}", upload.bucket, upload.key);
        let sent = match upload.parts.len() {
            0 => "no parts",
            _ => "parts",
        };
        thing(
            format!("an upload with {sent}"),
            vec![
                format!("parts of {url}"),
                format!("part of {url}"),
                format!("an upload of {url} that may have started"),
            ],
        );
    }
    for object in oss.objects() {
        let url = format!("oss://{}/{}", object.bucket, object.key);
        let names = [":", ",", ";", "\n"].map(|end| format!("  {url}{end}"));
        let mut names = names.to_vec();
        names.push(format!("left behind: {url};"));
        names.push(format!("{url}, which may be complete"));
        thing("an object".to_owned(), names);
    }
    let images = ecs.images();
    for snapshot in ecs.snapshots() {
        let region = &snapshot.region;
        let of = images
            .iter()
            .find(|image| image.snapshots.contains(&snapshot.id));
        let mut names = vec![snapshot.id.clone()];
        names.extend(of.map(image_names).unwrap_or_default());
        let tags = &snapshot.tags;
        thing(format!("a snapshot in {region}, {tags:?}"), names);
    }
    for image in &images {
        let mut tags = image.tags.clone();
        tags.remove(TOKEN);
        let (region, name, status) = (&image.region, &image.name, image.status);
        let (text, shared) = (image.get("Description"), &image.shares);
        thing(
            format!("image {name} in {region}, {status}, {text:?}, {tags:?}, {shared:?}"),
            image_names(image),
        );
    }
    things
}

fn image_names(image: &ImageView) -> Vec<String> {
    let (name, region) = (&image.name, &image.region);
    vec![
        image.id.clone(),
        "an import of oss://packer/".to_owned(),
        format!("an image \"{name}\" in {region} that may have been made"),
    ]
}

fn disks(env: &TestEnv) -> BTreeMap<String, Vec<u8>> {
    let ecs = env.cloud.ecs();
    let images = ecs.images().into_iter();
    images
        .map(|image| {
            let disk = ecs
                .imported_bytes(&image.id)
                .expect("an image of something");
            (image.id, disk)
        })
        .collect()
}
