//! Images that AWS would refuse after an hour are refused before a byte is sent.

use std::io::{Read, Write};

use imgimport_sandbox::{SPACES_REGION, alibaba, sample};

use crate::support::{Output, TestEnv};

const COMMAND: &str = "aws --bucket importbucket -q";

#[tokio::test]
async fn an_empty_file() {
    let env = TestEnv::new().await;
    env.file("disk.raw", "");
    let run = env.imgimport(&format!("{COMMAND} disk.raw")).output().await;
    run.code(3).stdout("").stderr(
        "
        error: disk.raw cannot be imported
          cause: it is empty
          hint: copy, download or export it again
        ",
    );
    assert!(
        env.cloud.requests_so_far().is_empty(),
        "nobody was asked anything"
    );
}

#[tokio::test]
async fn a_file_shorter_than_its_headers_claim() {
    let env = TestEnv::new().await;
    let mut vhd = sample::vhd(&sample::raw(4 << 20));
    vhd.drain(1 << 20..2 << 20);
    env.file("disk.vhd", vhd);
    env.imgimport(&format!("{COMMAND} disk.vhd")).output().await.code(3).stdout("").stderr(
        "
        error: disk.vhd cannot be imported
          cause: the VHD is damaged: its footer promises a disk of 4194304 bytes, before the footer are 3145728
          hint: copy, download or export it again
        ",
    );
}

#[tokio::test]
async fn a_format_that_contradicts_the_content() {
    let env = TestEnv::new().await;
    env.file("disk.raw", sample::vmdk(&sample::raw(2 << 20)));
    let run = env
        .imgimport(&format!("{COMMAND} --format raw disk.raw"))
        .output()
        .await;
    run.code(3).stdout("").stderr(
        "
        error: disk.raw cannot be imported
          cause: its content is a stream-optimized VMDK, but the format given is raw
          hint: leave --format out, or say --format vmdk
        ",
    );
}

#[tokio::test]
async fn a_format_that_aws_does_not_take() {
    let env = TestEnv::new().await;
    env.file("disk.qcow2", sample::qcow2(2 << 20));
    let run = env
        .imgimport(&format!("{COMMAND} disk.qcow2"))
        .output()
        .await;
    run.code(3).stdout("").stderr(
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
    let env = TestEnv::new().await;
    let page = format!(
        "<!DOCTYPE html><html>{}</html>",
        "<p>404 Not Found</p>".repeat(60)
    );
    env.file("disk.qcow2", page);
    let error = "
        error: disk.qcow2 cannot be imported
          cause: it is a web page (HTML), which no cloud takes, though its name ends in .qcow2
          hint: it is a page, maybe of an error or a log-in: download the image again
        ";
    let run = env.imgimport(&format!("{COMMAND} disk.qcow2"));
    run.output().await.code(3).stdout("").stderr(error);
    let run = env.imgimport("check disk.qcow2");
    run.output().await.code(3).stdout("").stderr(error);
    assert!(
        env.cloud.requests_so_far().is_empty(),
        "nobody was asked anything"
    );
}

#[tokio::test]
async fn bytes_that_are_not_recognized_need_the_format() {
    let env = TestEnv::new().await;
    env.file("disk.img", noise(2 << 20));
    let error = "
        error: disk.img cannot be imported
          cause: it is not recognized: it has no partition table, boot code or file system, and no mark of an image format
          hint: name the image file itself, or add --format raw if its bytes are a disk
        ";
    let run = env.imgimport(&format!("{COMMAND} disk.img"));
    run.output().await.code(3).stdout("").stderr(error);
    assert!(
        env.cloud.requests_so_far().is_empty(),
        "nobody was asked anything"
    );
    let run = env.imgimport(&format!("{COMMAND} --format raw disk.img"));
    run.output().await.code(0).stdout("ami-ID").stderr("");
    let run = env.imgimport(&format!("{COMMAND} --skip-checks --no-resume disk.img"));
    run.output().await.code(0).stdout("ami-ID").stderr(
        "warning: the image is imported all the same (--skip-checks): it is not recognized: it has no partition table, boot code or file system, and no mark of an image format",
    );
}

#[tokio::test]
async fn the_disk_in_a_container_is_checked_like_a_raw_disk() {
    let env = TestEnv::new().await;
    let mut disc = vec![0; 2 << 20];
    disc[32769..32774].copy_from_slice(b"CD001");
    env.file("disc.vmdk", sample::vmdk(&disc));
    env.file("noise.vhd", sample::vhd(&noise(2 << 20)));
    let run = env.imgimport(&format!("{COMMAND} disc.vmdk"));
    run.output().await.code(3).stdout("").stderr(
        "
        error: disc.vmdk cannot be imported
          cause: a stream-optimized VMDK holds an ISO image, not a disk
          hint: install the system on a disk, and import that
        ",
    );
    let run = env.imgimport(&format!("{COMMAND} noise.vhd"));
    run.output().await.code(3).stdout("").stderr(
        "
        error: noise.vhd cannot be imported
          cause: the disk in a fixed VHD is not recognized: it has no partition table, boot code or file system
          hint: import a disk with a system on it, or add --skip-checks
        ",
    );
}

#[tokio::test]
async fn a_file_name_with_another_formats_extension_is_a_warning() {
    let env = TestEnv::new().await;
    env.file("disk.qcow2", sample::raw(2 << 20));
    let run = env.imgimport(&format!("{COMMAND} disk.qcow2"));
    run.output()
        .await
        .code(0)
        .stdout("ami-ID")
        .stderr("warning: its name ends in .qcow2, but its content is a raw disk");
}

#[tokio::test]
async fn a_disk_of_virtual_pc_is_converted_with_its_own_size() {
    let env = TestEnv::new().await;
    let mut vhd = sample::vhd(&sample::raw(2 << 20));
    let footer = vhd.len() - 512;
    vhd[footer + 28..footer + 32].copy_from_slice(b"vpc ");
    vhd[footer + 56..footer + 60].copy_from_slice(&[0, 60, 4, 17]);
    vhd[footer + 64..footer + 68].fill(0);
    let sum: u32 = vhd[footer..].iter().map(|&byte| u32::from(byte)).sum();
    vhd[footer + 64..footer + 68].copy_from_slice(&(!sum).to_be_bytes());
    env.file("disk.vhd", vhd);
    let run = env.imgimport("check --for digitalocean --output json disk.vhd");
    let run = run.output().await;
    run.code(3);
    assert!(run.stdout_raw.contains(
        "convert it: qemu-img convert --image-opts -O qcow2 driver=vpc,force_size_calc=current_size,file.filename=disk.vhd disk.qcow2"
    ), "{}", run.stdout_raw);
}

/// An import of the first bytes of a file through a pipe.
async fn import_cut_pipe(env: &TestEnv, command: &str, bytes: u64, file: &str) -> Output {
    let script = format!("head -c {bytes} {file} | imgimport {command} -q -");
    let variables = env.cloud.digitalocean_environment();
    let run = env.shell(&script).on_alibaba();
    let run = variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value));
    run.output().await
}

const CLOUDS: [&str; 3] = [
    "aws --bucket importbucket",
    "alicloud --bucket packer --image-name web",
    "digitalocean --space space --spaces-region nyc3 --image-name web --image-region nyc3",
];

async fn three_clouds() -> TestEnv {
    let env = TestEnv::new().await;
    let cloud = &env.cloud;
    cloud.oss().create_bucket("packer", alibaba::REGION);
    cloud.ram().put_import_role();
    cloud
        .spaces()
        .create_bucket_with_acls("space", SPACES_REGION);
    env
}

#[tokio::test]
async fn a_pipe_that_ends_early_becomes_no_image_in_any_cloud() {
    let env = three_clouds().await;
    env.disk(4);
    for command in CLOUDS {
        let run = import_cut_pipe(&env, command, 3_000_000, "disk.raw").await;
        run.code(3).stdout("").stderr(
            "
            error: the image on standard input cannot be imported
              cause: the disk is cut short: its partition table (MBR) counts on 4194304 bytes, but only 3000000 are there
              hint: copy, download or export it again
            ",
        );
    }
    for call in ["ec2:ImportImage", "ecs:ImportImage", "do:CreateImage"] {
        assert!(env.cloud.requests(call).is_empty(), "{call}");
    }
    assert!(env.cloud.requests("s3:CompleteMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_fixed_vhd_on_a_pipe_is_recognized_at_its_end() {
    let env = TestEnv::new().await;
    env.file("disk.vhd", sample::vhd(&sample::raw(2 << 20)));
    let all = 4 << 20;
    let run = import_cut_pipe(&env, CLOUDS[0], all, "disk.vhd").await;
    run.code(3).stdout("").stderr(
        "
        error: the image on standard input cannot be imported
          cause: its end shows that it is a fixed VHD, from its beginning it was taken for a raw disk
          hint: say --format vhd
        ",
    );
    assert!(env.cloud.ec2().import_tasks().is_empty());
    let command = format!("{} --format vhd", CLOUDS[0]);
    let run = import_cut_pipe(&env, &command, all, "disk.vhd").await;
    run.code(0).stdout("ami-ID").stderr("");
    assert_eq!(env.cloud.ec2().import_tasks()[0].format, "VHD");
}

#[tokio::test]
async fn an_ova_on_a_pipe_is_looked_at_to_its_end() {
    let env = TestEnv::new().await;
    let ova = sample::ova("vm", &sample::raw(4 << 20));
    let whole = ova.len() as u64;
    env.file("vm.ova", ova);
    let run = import_cut_pipe(&env, CLOUDS[0], whole - 900_000, "vm.ova").await;
    run.code(3).stdout("");
    assert!(
        run.stderr
            .contains("the OVA is cut short: a file in it reaches to byte"),
        "{}",
        run.stderr
    );
    assert!(env.cloud.ec2().import_tasks().is_empty());
    import_cut_pipe(&env, CLOUDS[0], whole, "vm.ova")
        .await
        .code(0)
        .stdout("ami-ID");
}

/// The bytes in a gzip file.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

#[tokio::test]
async fn the_content_of_a_compressed_file_is_checked_before_the_upload() {
    let env = three_clouds().await;
    let whole = gzip(&sample::raw(4 << 20));
    env.file("cut.raw.gz", &whole[..whole.len() / 10]);
    let mut broken = whole.clone();
    let end = broken.len();
    broken[end - 5] ^= 1;
    env.file("broken.raw.gz", broken);
    env.file("short.raw.gz", gzip(&sample::raw(4 << 20)[..3_000_000]));
    env.file(
        "text.gz",
        gzip("root:x:0:0:root:/root:/bin/bash\n".repeat(50).as_bytes()),
    );
    env.file(
        "page.gz",
        gzip("<html><body>Not found</body></html>".repeat(50).as_bytes()),
    );
    let mut encrypted = sample::qcow2(2 << 20);
    encrypted[35] = 2;
    env.file("encrypted.qcow2.gz", gzip(&encrypted));
    let mut large = sample::qcow2(200_000_000_000);
    large[36..40].copy_from_slice(&400_u32.to_be_bytes());
    env.file("large.qcow2.gz", gzip(&large));
    env.file("vm.ova.gz", gzip(&sample::ova("vm", &sample::raw(2 << 20))));
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
        let run = env.imgimport(&format!("{digitalocean} -q {file}"));
        let variables = env.cloud.digitalocean_environment();
        let run = variables
            .iter()
            .fold(run, |run, (name, value)| run.env(name, value));
        let run = run.output().await;
        run.code(3).stdout("");
        assert!(run.stderr.contains(cause), "{file}: {}", run.stderr);
        let check = env
            .imgimport(&format!("check --for digitalocean {file}"))
            .output()
            .await;
        check.code(3);
        // A page wraps its lines.
        let said = format!("{}{}", check.stdout, check.stderr);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(cause), "{file}: {said}");
    }
    assert!(env.cloud.requests("spaces:PutObject").is_empty());
    assert!(
        env.cloud
            .requests("spaces:CreateMultipartUpload")
            .is_empty()
    );
}

/// The files of an OVA.
fn unpack_ova(ova: &[u8]) -> Vec<(String, Vec<u8>)> {
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
fn pack_ova(files: &[(String, Vec<u8>)]) -> Vec<u8> {
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
async fn an_ova_with_an_incomplete_manifest_is_imported_with_a_warning() {
    let env = TestEnv::new().await;
    let mut files = unpack_ova(&sample::ova("vm", &sample::raw(2 << 20)));
    let manifest = String::from_utf8(files[1].1.clone()).unwrap();
    let (_, rest) = manifest.split_once('\n').unwrap();
    files[1].1 = rest.replace("SHA256", "SHA2-256").into_bytes();
    env.file("vm.ova", pack_ova(&files));
    let run = env.imgimport(&format!("{COMMAND} vm.ova")).output().await;
    run.code(0)
        .stdout("ami-ID")
        .stderr("warning: vm.ovf was not compared: the manifest vm.mf does not list it");
    files[1].1 = rest.replace("SHA256", "SHA384").into_bytes();
    env.file("wrong.ova", pack_ova(&files));
    let run = env.imgimport(&format!("{COMMAND} wrong.ova"));
    run.output().await.code(3).stdout("").stderr(
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
    let env = TestEnv::new().await;
    let mut files = unpack_ova(&sample::ova("my vm", &sample::raw(2 << 20)));
    files.reverse();
    env.file("my vm.ova", pack_ova(&files));
    let import = |file| env.program(["aws", "--bucket", "importbucket", "-q", file]);
    let run = import("my vm.ova");
    let run = run.output().await;
    run.code(3).stdout("");
    let (_, command) = run.stderr.split_once("hint: pack it again: ").unwrap();
    env.shell(command).output().await.code(0);
    let run = import("my vm.new.ova");
    run.output().await.code(0).stdout("ami-ID").stderr("");
}

#[tokio::test]
async fn a_file_that_is_not_there() {
    let env = TestEnv::new().await;
    let run = env
        .imgimport(&format!("{COMMAND} nothing.raw"))
        .output()
        .await;
    run.code(2)
        .stdout("")
        .stderr("error: there is no file nothing.raw");
}

#[tokio::test]
async fn a_file_is_recognized_by_its_content_not_its_name() {
    let env = TestEnv::new().await;
    env.file("disk.img", sample::vhd(&sample::raw(2 << 20)));
    env.imgimport(&format!("{COMMAND} disk.img"))
        .output()
        .await
        .code(0);
    assert_eq!(env.cloud.ec2().import_tasks()[0].format, "VHD");
}
