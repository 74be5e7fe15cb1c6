//! The three ways to an AMI.

use std::collections::BTreeMap;
use std::fs;

use super::{Recipe, TWO_S3_PARTS, Thing, interrupt};
use crate::support::TestEnv;

const IMAGE: Recipe = Recipe {
    name: "import-image",
    args: "aws --bucket importbucket --part-size 5MiB --concurrency 1 --ami-name web --ami-description text --tag team=a --ami-users 111122223333 --copy-to eu-west-1 disk.raw",
    megabytes: TWO_S3_PARTS,
    prepare: |_| (),
    environment: |run| run,
    changes: |operation| {
        let call = operation.split_once(':').map_or("", |(_, call)| call);
        !["Get", "Head", "List", "Describe"]
            .iter()
            .any(|verb| call.starts_with(verb))
    },
    things,
    disks,
    parts: &[
        ("s3:UploadPart", &["partNumber"]),
        ("ebs:PutSnapshotBlock", &["blockIndex"]),
    ],
    known: &[],
};

/// The way through a snapshot.
const SNAPSHOT: Recipe = Recipe {
    name: "import-snapshot",
    args: "aws --method import-snapshot --bucket importbucket --part-size 5MiB --concurrency 1 --ami-name web --ami-description text --tag team=a --ami-users 111122223333 --copy-to eu-west-1 disk.raw",
    ..IMAGE
};

/// The way without a bucket.
const BLOCKS: Recipe = Recipe {
    name: "ebs-direct",
    args: "aws --method ebs-direct --concurrency 1 --ami-name web --ami-description text --tag team=a --ami-users 111122223333 --copy-to eu-west-1 disk.raw",
    // Four blocks.
    megabytes: 2,
    ..IMAGE
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_an_image_survives_at_every_request() {
    interrupt(IMAGE, |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_a_snapshot_survives_at_every_request() {
    let own = ["ec2:ImportSnapshot", "ec2:RegisterImage"];
    interrupt(SNAPSHOT, |operation| own.contains(&operation)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_in_blocks_survives_at_every_request() {
    interrupt(BLOCKS, |operation| operation.starts_with("ebs:")).await;
}

fn things(env: &TestEnv) -> Vec<Thing> {
    let (s3, ec2) = (env.cloud.s3(), env.cloud.ec2());
    let mut things = Vec::new();
    let mut thing = |what: String, names: Vec<String>| things.push(Thing { what, names });
    for upload in s3.uploads() {
        let url = format!("s3://{}/{}", upload.bucket, upload.key);
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
    for object in s3.objects() {
        let url = format!("s3://{}/{}", object.bucket, object.key);
        let names = [":", ",", ";", "\n"].map(|end| format!("  {url}{end}"));
        let mut names = names.to_vec();
        names.push(format!("left behind: {url};"));
        names.push(format!("{url}, which may be complete"));
        thing("an object".to_owned(), names);
    }
    for task in ec2.import_tasks() {
        if matches!(task.status, "active" | "deleting") {
            let url = format!("s3://{}/{}", task.bucket, task.key);
            let unknown = format!("an import of {url} that may have started");
            thing("an import task".to_owned(), vec![task.id, unknown]);
        }
    }
    let images = ec2.images();
    for snapshot in ec2.snapshots() {
        let region = &snapshot.region;
        let of = images
            .iter()
            .find(|image| image.snapshot_ids.contains(&snapshot.id));
        let mut names = vec![
            snapshot.id.clone(),
            format!("a snapshot in {region} that may have been started"),
        ];
        names.extend(of.map(image_names).unwrap_or_default());
        let (tags, shared) = (&snapshot.tags, &snapshot.permissions);
        thing(
            format!("a snapshot in {region}, {tags:?}, {shared:?}"),
            names,
        );
    }
    for image in &images {
        let name = match image.name.as_str() {
            name if name.starts_with("import-ami-") => "import-ami-TASK",
            name => name,
        };
        let (region, status, tags) = (&image.region, image.state, &image.tags);
        let (about, shared) = (&image.description, &image.launch_permissions);
        thing(
            format!("image {name} in {region}, {status}, {about:?}, {tags:?}, {shared:?}"),
            image_names(image),
        );
    }
    things
}

fn image_names(image: &imgimport_sandbox::ImageView) -> Vec<String> {
    let (name, region) = (&image.name, &image.region);
    vec![
        image.id.clone(),
        format!("an image \"{name}\" in {region} that may have been made"),
    ]
}

fn disks(env: &TestEnv) -> BTreeMap<String, Vec<u8>> {
    let ec2 = env.cloud.ec2();
    let disk = fs::metadata(env.path("disk.raw")).expect("a disk");
    let images = ec2.images().into_iter();
    images
        .map(|image| {
            let content = ec2.imported_content(&image.id);
            let content = content.expect("an image of something");
            let start = content.start(disk.len());
            (image.id, start.expect("the sandbox reads its own files"))
        })
        .collect()
}
