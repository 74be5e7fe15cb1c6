//! Images that AWS would refuse after an hour are refused before a byte is sent.

use imgimport_sandbox::sample;

use crate::support::Stage;

const COMMAND: &str = "aws --bucket importbucket -q";

#[tokio::test]
async fn an_empty_file() {
    let stage = Stage::new().await;
    stage.file("disk.raw", "");
    let run = stage.imgimport(&format!("{COMMAND} disk.raw")).ends().await;
    run.exits(3).prints("").says(
        "
        error: disk.raw cannot be imported
          cause: it is empty
          hint: copy, download or export it again
        ",
    );
    assert!(
        stage.cloud.journal().is_empty(),
        "nobody was asked anything"
    );
}

#[tokio::test]
async fn a_file_shorter_than_its_headers_claim() {
    let stage = Stage::new().await;
    let mut vhd = sample::vhd(&sample::raw(4 << 20));
    vhd.drain(1 << 20..2 << 20);
    stage.file("disk.vhd", vhd);
    stage.imgimport(&format!("{COMMAND} disk.vhd")).ends().await.exits(3).prints("").says(
        "
        error: disk.vhd cannot be imported
          cause: the VHD is damaged: its footer promises a disk of 4194304 bytes, before the footer are 3145728
          hint: copy, download or export it again
        ",
    );
}

#[tokio::test]
async fn a_format_that_contradicts_the_content() {
    let stage = Stage::new().await;
    stage.file("disk.raw", sample::vmdk(&sample::raw(2 << 20)));
    let run = stage
        .imgimport(&format!("{COMMAND} --format raw disk.raw"))
        .ends()
        .await;
    run.exits(3).prints("").says(
        "
        error: disk.raw cannot be imported
          cause: its content is a stream-optimized VMDK, but the format given is raw
          hint: leave --format out, or say --format vmdk
        ",
    );
}

#[tokio::test]
async fn a_format_that_aws_does_not_take() {
    let stage = Stage::new().await;
    stage.file("disk.qcow2", sample::qcow2(2 << 20));
    let run = stage
        .imgimport(&format!("{COMMAND} disk.qcow2"))
        .ends()
        .await;
    run.exits(3).prints("").says(
        "
        error: AWS can't import a qcow2
          cause: AWS takes OVA, RAW, VHD, VHDX and stream-optimized VMDK
          hint: convert it: qemu-img convert -O raw disk.qcow2 disk.raw
        ",
    );
}

#[tokio::test]
async fn a_file_that_is_not_there() {
    let stage = Stage::new().await;
    let run = stage
        .imgimport(&format!("{COMMAND} nothing.raw"))
        .ends()
        .await;
    run.exits(2)
        .prints("")
        .says("error: there is no file nothing.raw");
}

#[tokio::test]
async fn a_file_whose_name_lies_is_known_by_its_content() {
    let stage = Stage::new().await;
    stage.file("disk.img", sample::vhd(&sample::raw(2 << 20)));
    stage
        .imgimport(&format!("{COMMAND} disk.img"))
        .ends()
        .await
        .exits(0);
    assert_eq!(stage.cloud.ec2().import_tasks()[0].format, "VHD");
}
