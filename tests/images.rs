//! Images that AWS would refuse after an hour are refused before a byte is sent.

use imgimport_sandbox::sample;

use crate::support::Stage;

const COMMAND: &str = "aws --bucket importbucket -q";

#[tokio::test]
async fn an_empty_file() {
    let stage = Stage::new().await;
    stage.file("disk.raw", "");
    let run = stage.imgimport(&format!("{COMMAND} disk.raw")).ends().await;
    run.exits(3).prints("").says("");
    assert!(stage.cloud.journal().is_empty(), "nobody was asked anything");
}

#[tokio::test]
async fn a_file_shorter_than_its_headers_claim() {
    let stage = Stage::new().await;
    let mut vhd = sample::vhd(&sample::raw(4 << 20));
    vhd.drain(1 << 20..2 << 20);
    stage.file("disk.vhd", vhd);
    stage.imgimport(&format!("{COMMAND} disk.vhd")).ends().await.exits(3).prints("").says("");
}

#[tokio::test]
async fn a_format_that_contradicts_the_content() {
    let stage = Stage::new().await;
    stage.file("disk.raw", sample::vmdk(&sample::raw(2 << 20)));
    let run = stage.imgimport(&format!("{COMMAND} --format raw disk.raw")).ends().await;
    run.exits(3).prints("").says("");
}

#[tokio::test]
async fn a_format_that_aws_does_not_take() {
    let stage = Stage::new().await;
    let mut qcow2 = vec![0; 256 << 10];
    qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
    stage.file("disk.qcow2", qcow2);
    let run = stage.imgimport(&format!("{COMMAND} disk.qcow2")).ends().await;
    run.exits(3).prints("").says("");
}

#[tokio::test]
async fn a_file_that_is_not_there() {
    let stage = Stage::new().await;
    let run = stage.imgimport(&format!("{COMMAND} nothing.raw")).ends().await;
    run.exits(2).prints("").says("");
}

#[tokio::test]
async fn a_file_whose_name_lies_is_known_by_its_content() {
    let stage = Stage::new().await;
    stage.file("disk.img", sample::vhd(&sample::raw(2 << 20)));
    stage.imgimport(&format!("{COMMAND} disk.img")).ends().await.exits(0);
    assert_eq!(stage.cloud.ec2().import_tasks()[0].format, "VHD");
}
