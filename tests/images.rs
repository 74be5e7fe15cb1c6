//! Images that AWS would refuse after an hour are refused before a byte is sent.

use std::io::{Read, Write};

use imgimport_sandbox::{SPACES_REGION, alibaba, sample};

use crate::support::{Ended, Stage};

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
          hint: convert it: qemu-img convert -f qcow2 -O raw disk.qcow2 disk.raw
        ",
    );
}

/// Bytes without any meaning.
fn noise(size: usize) -> Vec<u8> {
    let mut disk = sample::raw(size);
    disk[440..512].fill(0x5a);
    disk
}

#[tokio::test]
async fn a_page_that_was_downloaded_in_place_of_the_image() {
    let stage = Stage::new().await;
    let page = format!(
        "<!DOCTYPE html><html>{}</html>",
        "<p>404 Not Found</p>".repeat(60)
    );
    stage.file("disk.qcow2", page);
    let error = "
        error: disk.qcow2 cannot be imported
          cause: it is a web page (HTML), which no cloud takes, though its name ends in .qcow2
          hint: it is a page, maybe of an error or a log-in: download the image again
        ";
    let run = stage.imgimport(&format!("{COMMAND} disk.qcow2"));
    run.ends().await.exits(3).prints("").says(error);
    let run = stage.imgimport("check disk.qcow2");
    run.ends().await.exits(3).prints("").says(error);
    assert!(
        stage.cloud.journal().is_empty(),
        "nobody was asked anything"
    );
}

#[tokio::test]
async fn bytes_that_are_not_recognized_need_the_format() {
    let stage = Stage::new().await;
    stage.file("disk.img", noise(2 << 20));
    let error = "
        error: disk.img cannot be imported
          cause: it is not recognized: it has no partition table, boot code or file system, and no mark of an image format
          hint: name the image file itself, or add --format raw if its bytes are a disk
        ";
    let run = stage.imgimport(&format!("{COMMAND} disk.img"));
    run.ends().await.exits(3).prints("").says(error);
    assert!(
        stage.cloud.journal().is_empty(),
        "nobody was asked anything"
    );
    let run = stage.imgimport(&format!("{COMMAND} --format raw disk.img"));
    run.ends().await.exits(0).prints("ami-ID").says("");
    let run = stage.imgimport(&format!("{COMMAND} --skip-checks --no-resume disk.img"));
    run.ends().await.exits(0).prints("ami-ID").says(
        "warning: the image is imported all the same (--skip-checks): it is not recognized: it has no partition table, boot code or file system, and no mark of an image format",
    );
}

#[tokio::test]
async fn the_disk_in_a_container_is_asked_the_same() {
    let stage = Stage::new().await;
    let mut disc = vec![0; 2 << 20];
    disc[32769..32774].copy_from_slice(b"CD001");
    stage.file("disc.vmdk", sample::vmdk(&disc));
    stage.file("noise.vhd", sample::vhd(&noise(2 << 20)));
    let run = stage.imgimport(&format!("{COMMAND} disc.vmdk"));
    run.ends().await.exits(3).prints("").says(
        "
        error: disc.vmdk cannot be imported
          cause: a stream-optimized VMDK holds an ISO image, not a disk
          hint: install the system on a disk, and import that
        ",
    );
    let run = stage.imgimport(&format!("{COMMAND} noise.vhd"));
    run.ends().await.exits(3).prints("").says(
        "
        error: noise.vhd cannot be imported
          cause: the disk in a fixed VHD is not recognized: it has no partition table, boot code or file system
          hint: import a disk with a system on it, or add --skip-checks
        ",
    );
}

#[tokio::test]
async fn a_name_that_names_another_format_is_told() {
    let stage = Stage::new().await;
    stage.file("disk.qcow2", sample::raw(2 << 20));
    let run = stage.imgimport(&format!("{COMMAND} disk.qcow2"));
    run.ends()
        .await
        .exits(0)
        .prints("ami-ID")
        .says("warning: its name ends in .qcow2, but its content is a raw disk");
}

#[tokio::test]
async fn a_disk_of_virtual_pc_is_converted_with_its_own_size() {
    let stage = Stage::new().await;
    let mut vhd = sample::vhd(&sample::raw(2 << 20));
    let footer = vhd.len() - 512;
    vhd[footer + 28..footer + 32].copy_from_slice(b"vpc ");
    vhd[footer + 56..footer + 60].copy_from_slice(&[0, 60, 4, 17]);
    vhd[footer + 64..footer + 68].fill(0);
    let sum: u32 = vhd[footer..].iter().map(|&byte| u32::from(byte)).sum();
    vhd[footer + 64..footer + 68].copy_from_slice(&(!sum).to_be_bytes());
    stage.file("disk.vhd", vhd);
    let run = stage.imgimport("check --for digitalocean --output json disk.vhd");
    let run = run.ends().await;
    run.exits(3);
    assert!(run.raw.contains(
        "convert it: qemu-img convert --image-opts -O qcow2 driver=vpc,force_size_calc=current_size,file.filename=disk.vhd disk.qcow2"
    ), "{}", run.raw);
}

/// An import of the first bytes of a file through a pipe.
async fn cut(stage: &Stage, command: &str, bytes: u64, file: &str) -> Ended {
    let script = format!("head -c {bytes} {file} | imgimport {command} -q -");
    let variables = stage.cloud.digitalocean_environment();
    let run = stage.shell(&script).on_alibaba();
    let run = variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value));
    run.ends().await
}

const CLOUDS: [&str; 3] = [
    "aws --bucket importbucket",
    "alicloud --bucket packer --image-name web",
    "digitalocean --space space --spaces-region nyc3 --image-name web --image-region nyc3",
];

async fn three_clouds() -> Stage {
    let stage = Stage::new().await;
    let cloud = &stage.cloud;
    cloud.oss().create_bucket("packer", alibaba::REGION);
    cloud.ram().put_import_role();
    cloud
        .spaces()
        .create_bucket_with_acls("space", SPACES_REGION);
    stage
}

#[tokio::test]
async fn a_pipe_that_ends_early_becomes_no_image_in_any_cloud() {
    let stage = three_clouds().await;
    stage.disk(4);
    for command in CLOUDS {
        let run = cut(&stage, command, 3_000_000, "disk.raw").await;
        run.exits(3).prints("").says(
            "
            error: the image on standard input cannot be imported
              cause: the disk is cut short: its partition table (MBR) counts on 4194304 bytes, but only 3000000 are there
              hint: copy, download or export it again
            ",
        );
    }
    for call in ["ec2:ImportImage", "ecs:ImportImage", "do:CreateImage"] {
        assert!(stage.cloud.requests(call).is_empty(), "{call}");
    }
    assert!(
        stage
            .cloud
            .requests("s3:CompleteMultipartUpload")
            .is_empty()
    );
}

#[tokio::test]
async fn a_fixed_vhd_on_a_pipe_shows_at_its_end() {
    let stage = Stage::new().await;
    stage.file("disk.vhd", sample::vhd(&sample::raw(2 << 20)));
    let all = 4 << 20;
    let run = cut(&stage, CLOUDS[0], all, "disk.vhd").await;
    run.exits(3).prints("").says(
        "
        error: the image on standard input cannot be imported
          cause: its end shows that it is a fixed VHD, from its beginning it was taken for a raw disk
          hint: say --format vhd
        ",
    );
    assert!(stage.cloud.ec2().import_tasks().is_empty());
    let command = format!("{} --format vhd", CLOUDS[0]);
    let run = cut(&stage, &command, all, "disk.vhd").await;
    run.exits(0).prints("ami-ID").says("");
    assert_eq!(stage.cloud.ec2().import_tasks()[0].format, "VHD");
}

#[tokio::test]
async fn an_ova_on_a_pipe_is_looked_at_to_its_end() {
    let stage = Stage::new().await;
    let ova = sample::ova("vm", &sample::raw(4 << 20));
    let whole = ova.len() as u64;
    stage.file("vm.ova", ova);
    let run = cut(&stage, CLOUDS[0], whole - 900_000, "vm.ova").await;
    run.exits(3).prints("");
    assert!(
        run.stderr
            .contains("the OVA is cut short: a file in it reaches to byte"),
        "{}",
        run.stderr
    );
    assert!(stage.cloud.ec2().import_tasks().is_empty());
    cut(&stage, CLOUDS[0], whole, "vm.ova")
        .await
        .exits(0)
        .prints("ami-ID");
}

/// The bytes in a gzip file.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

#[tokio::test]
async fn what_lies_in_a_compressed_file_is_refused_before_the_upload() {
    let stage = three_clouds().await;
    let whole = gzip(&sample::raw(4 << 20));
    stage.file("cut.raw.gz", &whole[..whole.len() / 10]);
    let mut broken = whole.clone();
    let end = broken.len();
    broken[end - 5] ^= 1;
    stage.file("broken.raw.gz", broken);
    stage.file("short.raw.gz", gzip(&sample::raw(4 << 20)[..3_000_000]));
    stage.file(
        "text.gz",
        gzip("root:x:0:0:root:/root:/bin/bash\n".repeat(50).as_bytes()),
    );
    stage.file(
        "page.gz",
        gzip("<html><body>Not found</body></html>".repeat(50).as_bytes()),
    );
    let mut encrypted = sample::qcow2(2 << 20);
    encrypted[35] = 2;
    stage.file("encrypted.qcow2.gz", gzip(&encrypted));
    let mut large = sample::qcow2(200_000_000_000);
    large[36..40].copy_from_slice(&400_u32.to_be_bytes());
    stage.file("large.qcow2.gz", gzip(&large));
    stage.file("vm.ova.gz", gzip(&sample::ova("vm", &sample::raw(2 << 20))));
    let digitalocean = CLOUDS[2];
    for (file, cause) in [
        (
            "cut.raw.gz",
            "the gzip file is cut short: its stream breaks off after",
        ),
        (
            "broken.raw.gz",
            "the gzip file is damaged behind 4194304 unpacked bytes",
        ),
        (
            "short.raw.gz",
            "in a gzip file: the disk is cut short: its partition table (MBR) counts on 4194304 bytes",
        ),
        ("text.gz", "in a gzip file: it is a text file"),
        ("page.gz", "in a gzip file: it is a web page (HTML)"),
        (
            "encrypted.qcow2.gz",
            "in a gzip file: the qcow2 is encrypted",
        ),
        ("large.qcow2.gz", "less than 100 GB, this one has 186.3 GiB"),
        ("vm.ova.gz", "in the gzip file is an OVA"),
    ] {
        let run = stage.imgimport(&format!("{digitalocean} -q {file}"));
        let variables = stage.cloud.digitalocean_environment();
        let run = variables
            .iter()
            .fold(run, |run, (name, value)| run.env(name, value));
        let run = run.ends().await;
        run.exits(3).prints("");
        assert!(run.stderr.contains(cause), "{file}: {}", run.stderr);
        let check = stage
            .imgimport(&format!("check --for digitalocean {file}"))
            .ends()
            .await;
        check.exits(3);
        // A page wraps its lines.
        let said = format!("{}{}", check.stdout, check.stderr);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(cause), "{file}: {said}");
    }
    assert!(stage.cloud.requests("spaces:PutObject").is_empty());
    assert!(
        stage
            .cloud
            .requests("spaces:CreateMultipartUpload")
            .is_empty()
    );
}

/// The files of an OVA.
fn unpacked(ova: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(ova);
    let mut files = vec![];
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).unwrap();
        files.push((entry.path().unwrap().display().to_string(), bytes));
    }
    files
}

/// An OVA of these files.
fn packed(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(vec![]);
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    archive.into_inner().unwrap()
}

#[tokio::test]
async fn an_ova_whose_manifest_lacks_a_line_is_imported_with_a_warning() {
    let stage = Stage::new().await;
    let mut files = unpacked(&sample::ova("vm", &sample::raw(2 << 20)));
    let manifest = String::from_utf8(files[1].1.clone()).unwrap();
    let (_, rest) = manifest.split_once('\n').unwrap();
    files[1].1 = rest.replace("SHA256", "SHA2-256").into_bytes();
    stage.file("vm.ova", packed(&files));
    let run = stage.imgimport(&format!("{COMMAND} vm.ova")).ends().await;
    run.exits(0)
        .prints("ami-ID")
        .says("warning: vm.ovf was not compared: the manifest vm.mf does not list it");
    files[1].1 = rest.replace("SHA256", "SHA384").into_bytes();
    stage.file("wrong.ova", packed(&files));
    let run = stage.imgimport(&format!("{COMMAND} wrong.ova"));
    run.ends().await.exits(3).prints("").says(
        "
        warning: vm.ovf was not compared: the manifest vm.mf does not list it
        error: wrong.ova cannot be imported
          cause: the OVA is damaged: vm.vmdk does not have the digest in vm.mf
          hint: copy, download or export it again
        ",
    );
}

#[tokio::test]
async fn an_ova_in_another_order_is_packed_again_by_the_command_of_the_hint() {
    let stage = Stage::new().await;
    let mut files = unpacked(&sample::ova("my vm", &sample::raw(2 << 20)));
    files.reverse();
    stage.file("my vm.ova", packed(&files));
    let import = |file| stage.program(["aws", "--bucket", "importbucket", "-q", file]);
    let run = import("my vm.ova");
    let run = run.ends().await;
    run.exits(3).prints("");
    let (_, command) = run.stderr.split_once("hint: pack it again: ").unwrap();
    stage.shell(command).ends().await.exits(0);
    let run = import("my vm.new.ova");
    run.ends().await.exits(0).prints("ami-ID").says("");
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
