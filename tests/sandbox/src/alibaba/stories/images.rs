//! What is done with an image once it is there, or before.

use super::{IMPORT, ecs, imported, rpc, start};
use crate::alibaba::{CopyScript, REGION};

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
    let accounts = (1..=12).map(|n| format!("AddAccount.{n}={n:016}"));
    let accounts = accounts.collect::<Vec<_>>().join("&");
    let query = format!("ImageId={id}&{accounts}");
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
        cloud
            .ecs()
            .imported_bytes(copies[1].as_str().unwrap())
            .unwrap(),
        b"a small disk"
    );
    let copy = cloud.ecs().image(copies[1].as_str().unwrap()).unwrap();
    assert_eq!(
        (copy.region.as_str(), copy.snapshots.len()),
        ("cn-shanghai", 1)
    );
    assert_eq!(copy.copied_from, Some((REGION.to_owned(), id)));
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
