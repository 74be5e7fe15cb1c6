//! DigitalOcean: a disk becomes a custom image, in one region or several; and whatever
//! happens, nothing public stays.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use imgimport_sandbox::{CustomImageScript, Fault, Gate, SPACES_REGION, TransferScript};
use sha2::{Digest, Sha256};

use crate::support::{Cmd, RunningCmd, TestEnv};

const SPACE: &str = "import-bucket";

/// What every story gives.
const NAMES: &str =
    "digitalocean --space import-bucket --spaces-region nyc3 --image-name web --image-region nyc3";

/// Requests are tried again at once.
const SOON: &str = "--http-retry-wait-min 0.01 --http-retry-wait-max 0.01";

async fn test_env() -> TestEnv {
    let env = TestEnv::new().await;
    let cloud = &env.cloud;
    cloud.spaces().create_bucket_with_acls(SPACE, SPACES_REGION);
    cloud
        .digitalocean()
        .import_script(CustomImageScript::quick());
    env
}

/// In the environment of the sandbox's DigitalOcean.
fn imgimport<'a>(env: &'a TestEnv, args: &str) -> Cmd<'a> {
    environment(env, env.imgimport(args))
}

fn environment<'a>(env: &TestEnv, run: Cmd<'a>) -> Cmd<'a> {
    let variables = env.cloud.digitalocean_environment();
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

fn imported_bytes(env: &TestEnv, id: &str) -> Vec<u8> {
    let content = env.cloud.digitalocean().arrived(id.parse().unwrap());
    content.unwrap().bytes().unwrap()
}

/// Nothing is in the Space, and nothing unfinished.
fn assert_nothing_public(env: &TestEnv) {
    assert!(env.cloud.spaces().objects().is_empty(), "no object stays");
}

fn assert_nothing_left(env: &TestEnv) {
    assert_nothing_public(env);
    assert!(env.cloud.spaces().uploads().is_empty(), "no parts stay");
    assert!(
        env.cloud.digitalocean().images().is_empty(),
        "no image stays"
    );
    assert_eq!(env.cloud.digitalocean().tags(), [""; 0], "no tag stays");
    assert!(env.journal().is_empty(), "no journal stays");
}

/// All that is there is the one image.
fn assert_only_one_image(env: &TestEnv) {
    assert_only_images(env, 1);
}

fn assert_only_images(env: &TestEnv, count: usize) {
    assert_nothing_public(env);
    assert!(env.cloud.spaces().uploads().is_empty(), "no parts stay");
    let cloud = env.cloud.digitalocean();
    let names: Vec<_> = cloud.images().into_iter().map(|image| image.name).collect();
    assert_eq!(names, vec!["web"; count]);
    assert_eq!(cloud.tags(), [""; 0], "no tag stays");
    assert!(env.journal().is_empty(), "no journal stays");
}

/// Twelve megabytes that do not compress, then a lot of nothing.
fn write_sparse_disk(env: &TestEnv) -> Vec<u8> {
    let mut disk = env.disk(12);
    disk.resize(64 << 20, 0);
    env.file("disk.raw", &disk);
    disk
}

#[tokio::test]
async fn a_raw_disk_becomes_an_image_in_two_regions() {
    let env = test_env().await;
    let disk = write_sparse_disk(&env);
    let args =
        format!("{NAMES} --image-region nyc2 --tag custom --tag packer --key disk.raw.gz disk.raw");
    let run = imgimport(&env, &args).output().await;
    run.code(0).stdout("157000001").stderr(
        "
        disk.raw: raw disk, 64.0 MiB disk
        Checking the account, Space import-bucket in nyc3 and regions nyc3, nyc2
        Uploading to s3://import-bucket/disk-RANDOM.raw.gz
        Uploaded 12.1 MiB in TIME
          The image's 64.0 MiB were sent as 12.1 MiB
        Importing as 157000001
          new
        Imported as 157000001
          transfer to nyc2: in-progress
        Transferred 157000001 to nyc2
        ",
    );
    let images = env.cloud.digitalocean().images();
    assert_eq!(images[0].name, "web");
    assert_eq!(images[0].regions, ["nyc3", "nyc2"]);
    assert_eq!(images[0].tags, ["custom", "packer"]);
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    assert_nothing_public(&env);
    let asked: Vec<_> = env
        .cloud
        .requests_so_far()
        .into_iter()
        .map(|entry| entry.operation)
        .collect();
    let head = asked.iter().position(|name| name == "spaces:HeadObject");
    assert!(head < asked.iter().position(|name| name == "spaces:GetObject"));
}

#[tokio::test]
async fn a_packer_block_imports_the_same_image() {
    let env = test_env().await;
    let disk = env.disk(2);
    let key = env.cloud.spaces_key();
    let settings = format!(
        "image = \"disk.raw\"\n\n[digitalocean]\n\
         api_token = \"{}\"\nspaces_key = \"{}\"\nspaces_secret = \"{}\"\n\
         spaces_region = \"nyc3\"\nspace_name = \"import-bucket\"\n\
         image_name = \"ubuntu-18.10-minimal-amd64\"\n\
         image_description = \"Packer import {{{{timestamp}}}}\"\n\
         image_regions = [\"nyc3\", \"nyc2\"]\nimage_tags = [\"custom\", \"packer\"]\n\
         image_distribution = \"Ubuntu\"\nspace_object_name = \"disk-{{{{timestamp}}}}.raw.gz\"\n\
         timeout = \"20m\"\nskip_clean = \"false\"\nkeep_input_artifact = true\n\
         http_retry_max = 5\nhttp_retry_wait_min = 1.0\nhttp_retry_wait_max = \"30\"\n",
        env.cloud.digitalocean().token(),
        key.access_key,
        key.secret_key,
    );
    let path = env.file("imgimport.toml", settings);
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let run = imgimport(&env, "digitalocean -q")
        .without("DIGITALOCEAN_TOKEN")
        .without("SPACES_ACCESS_KEY_ID")
        .without("SPACES_SECRET_ACCESS_KEY");
    let run = run.output().await;
    run.code(0).stderr("");
    let image = &env.cloud.digitalocean().images()[0];
    assert_eq!(image.description, "Packer import 1767225600");
    assert_eq!(image.distribution, "Ubuntu");
    assert_eq!(image.regions, ["nyc3", "nyc2"]);
    assert!(image.url.contains("/disk-1767225600-"));
    assert!(image.url.ends_with(".raw.gz"));
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
}

#[tokio::test]
async fn names_with_spaces_and_quotes_arrive_as_they_are() {
    let env = test_env().await;
    let disk = env.disk(2);
    let words = [
        "digitalocean",
        "-q",
        "--space",
        SPACE,
        "--spaces-region",
        "nyc3",
        "--image-name",
        "it's \"web\" ü",
        "--image-region",
        "nyc3",
        "--key",
        "my dir/it's \"web\" ü+1.raw.gz",
        "disk.raw",
    ];
    let run = environment(&env, env.program(words)).output().await;
    run.code(0).stderr("");
    assert_eq!(env.cloud.digitalocean().images()[0].name, "it's \"web\" ü");
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    assert_nothing_public(&env);
}

#[tokio::test]
async fn the_objects_name_cannot_be_guessed_and_has_the_true_ending() {
    let env = test_env().await;
    env.disk(2);
    let endings = [("auto", "raw.gz"), ("none", "raw")];
    for (number, (how, ending)) in endings.into_iter().enumerate() {
        let args = format!("{NAMES} -q --compression {how} disk.raw");
        imgimport(&env, &args).output().await.code(0);
        let image = &env.cloud.digitalocean().images()[number];
        let (_, name) = image.url.rsplit_once('/').unwrap();
        let random = name.strip_prefix("imgimport-1767225600-").unwrap();
        let (random, rest) = random.split_once('.').unwrap();
        assert!(
            random.len() == 32 && random.bytes().all(|digit| digit.is_ascii_hexdigit()),
            "{name}"
        );
        assert_eq!(rest, ending);
    }
}

#[tokio::test]
async fn json_names_all_regions_and_the_files_digest() {
    let env = test_env().await;
    let disk = env.disk(2);
    let args = format!("{NAMES} -q --image-region ams3 --image-region nyc2 --output json disk.raw");
    let run = imgimport(&env, &args).output().await;
    run.code(0).stderr("");
    let out: serde_json::Value = serde_json::from_str(&run.stdout_raw).unwrap();
    let regions: Vec<_> = out["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| &image["region"])
        .collect();
    assert_eq!(regions, ["nyc3", "ams3", "nyc2"]);
    assert_eq!(out["image_id"], "157000001");
    assert_eq!(out["object"]["deleted"], true);
    assert_eq!(out["source"]["sha256"], hex::encode(Sha256::digest(&disk)));
}

#[tokio::test]
async fn a_gzipped_disk_goes_as_it_is() {
    let env = test_env().await;
    let disk = env.disk(2);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&disk).unwrap();
    env.file("disk.raw.gz", packed.finish().unwrap());
    let run = imgimport(&env, &format!("{NAMES} -q disk.raw.gz"))
        .output()
        .await;
    run.code(0).stderr("");
    assert!(
        env.cloud.digitalocean().images()[0]
            .url
            .ends_with(".raw.gz")
    );
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
}

#[tokio::test]
async fn standard_input_is_gzipped_too() {
    let env = test_env().await;
    let disk = env.disk(2);
    let run = imgimport(&env, &format!("{NAMES} -q -")).stdin(&env.path("disk.raw"));
    let run = run.output().await;
    run.code(0).stderr("");
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    assert_nothing_public(&env);
}

#[tokio::test]
async fn a_vhd_is_refused_at_once() {
    let env = test_env().await;
    env.file("disk.vhd", imgimport_sandbox::sample::vhd(&env.disk(2)));
    let run = imgimport(&env, &format!("{NAMES} disk.vhd")).output().await;
    run.code(3).stdout("").stderr(
        "
        error: DigitalOcean can't import a fixed VHD
          cause: DigitalOcean takes RAW, qcow2, VHDX, VDI and VMDK, as they are or compressed with gzip or bzip2
          hint: convert it: qemu-img convert -f vpc -O qcow2 disk.vhd disk.qcow2
        ",
    );
    assert!(env.cloud.requests_so_far().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_failed_import_is_reported_with_the_clouds_reason_and_leaves_nothing() {
    let env = test_env().await;
    env.disk(2);
    let reason = "We had a problem decompressing your file.";
    env.cloud
        .digitalocean()
        .import_script(CustomImageScript::quick().fail(reason));
    let run = imgimport(&env, &format!("{NAMES} --key k.raw.gz disk.raw"))
        .output()
        .await;
    run.code(1).stdout("").stderr(
        "
        disk.raw: raw disk, 2.0 MiB disk
        Checking the account, Space import-bucket in nyc3 and region nyc3
        Uploading to s3://import-bucket/k-RANDOM.raw.gz
        Uploaded 2.0 MiB in TIME
          The image's 2.0 MiB were sent as 2.0 MiB
        Importing as 157000001
          new
          Removing s3://import-bucket/k-RANDOM.raw.gz
        error: the import 157000001 failed
          cause: We had a problem decompressing your file
          hint: say --compression none, or unpack the file and compress it again with gzip
        ",
    );
    assert_nothing_public(&env);
    assert!(env.journal().is_empty());
}

#[tokio::test]
async fn a_failing_region_loses_neither_the_others_nor_the_cleanup() {
    let env = test_env().await;
    env.disk(2);
    let cloud = env.cloud.digitalocean();
    cloud.transfer_script(TransferScript::default().fail("nyc2"));
    let args = format!("{NAMES} -q --image-region nyc2 --image-region ams3 disk.raw");
    let run = imgimport(&env, &args).output().await;
    run.code(1).stdout("").stderr(
        "
        warning: 157000001 did not come to nyc2: the transfer to nyc2 failed: DigitalOcean's action 157000002 ended as errored
        error: the image 157000001 could not be transferred to nyc2
          cause: the transfer to nyc2 failed: DigitalOcean's action 157000002 ended as errored
          left behind: the image 157000001 in nyc3, ams3; remove it with: doctl compute image delete 157000001 --force
          hint: the same command goes on from there
        ",
    );
    assert_nothing_public(&env);

    cloud.transfer_script(TransferScript::default());
    let run = imgimport(&env, &args).output().await;
    run.code(0).stdout("157000001");
    assert_eq!(cloud.images()[0].regions, ["nyc3", "ams3", "nyc2"]);
    assert_eq!(env.cloud.requests("do:CreateImage").len(), 1);
    let transfers = env.cloud.requests("do:TransferImage");
    let started = transfers.iter().filter(|request| request.succeeded());
    assert_eq!(started.count(), 3);
}

#[tokio::test]
async fn rate_limiting_waits_for_retry_after() {
    let env = test_env().await;
    env.disk(2);
    let busy = |operation| {
        let fault =
            Fault::on(operation).answer(429, "too_many_requests", "API rate limit exceeded.");
        env.cloud.fault(fault.retry_after(2));
    };
    busy("do:CreateImage");
    let run = imgimport(&env, &format!("{NAMES} --key k.raw.gz disk.raw"))
        .output()
        .await;
    run.code(0);
    let told =
        "DigitalOcean: API rate limit exceeded (too_many_requests, request ID); again in 2.0 s";
    assert!(
        run.stderr.replace("in TIME", "in 2.0 s").contains(told),
        "{}",
        run.stderr
    );
    assert_eq!(env.cloud.digitalocean().images().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_never_makes_a_second_image() {
    let env = test_env().await;
    env.disk(2);
    env.cloud.fault(Fault::on("do:CreateImage").cut_answer());
    imgimport(&env, &format!("{NAMES} -q disk.raw"))
        .output()
        .await
        .code(0)
        .stdout("157000001");
    assert_eq!(env.cloud.digitalocean().images().len(), 1);
    assert_eq!(env.cloud.requests("do:CreateImage").len(), 1);
}

#[tokio::test]
async fn a_token_of_doctl_is_enough() {
    let env = test_env().await;
    env.disk(2);
    let token = env.cloud.digitalocean().token();
    let file = format!("access-token: wrong\nauth-contexts:\n  work: {token}\ncontext: work\n");
    std::fs::create_dir_all(env.path(".config/doctl")).unwrap();
    env.file(".config/doctl/config.yaml", file);
    let run = imgimport(&env, &format!("{NAMES} -q disk.raw")).without("DIGITALOCEAN_TOKEN");
    run.output().await.code(0).stderr("");
    let run = imgimport(&env, &format!("{NAMES} -q disk.raw")).without("DIGITALOCEAN_TOKEN");
    let run = run.env("DIGITALOCEAN_CONTEXT", "default").output().await;
    run.code(1).stderr(
        "
        error: DigitalOcean does not accept the caller
          cause: Unable to authenticate you (unauthorized, request ID)
          hint: check the token: DIGITALOCEAN_TOKEN, api_token in [digitalocean], or doctl auth init
        ",
    );
}

#[tokio::test]
async fn wrong_keys_and_a_missing_space_are_found_before_the_upload() {
    let env = test_env().await;
    env.disk(2);
    let run = imgimport(&env, &format!("{NAMES} -q disk.raw"));
    let run = run.env("SPACES_SECRET_ACCESS_KEY", "wrong").output().await;
    run.code(1).stderr(
        "
        error: the Space import-bucket can't be used
          cause: SignatureDoesNotMatch, request ID
          hint: check the Spaces key: SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY, which are not the API token
        ",
    );
    let args = NAMES.replace(SPACE, "elsewhere");
    let run = imgimport(&env, &format!("{args} -q disk.raw"))
        .output()
        .await;
    run.code(1).stderr(
        "
        error: the Space elsewhere can't be used
          cause: there is no such Space in nyc3
          hint: name its own region with --spaces-region, or create it: aws s3 mb s3://elsewhere --endpoint-url http://HOST
        ",
    );
    assert!(
        env.cloud
            .requests("spaces:CreateMultipartUpload")
            .is_empty()
    );
}

#[tokio::test]
async fn regions_come_from_the_api() {
    let env = test_env().await;
    env.disk(2);
    env.cloud.digitalocean().add_region("atl1");
    let args = format!("{NAMES} -q --image-region atl1 disk.raw");
    imgimport(&env, &args).output().await.code(0);
    let run = imgimport(&env, &args.replace("atl1", "sfo1"))
        .output()
        .await;
    run.code(1).stderr(
        "
        error: no image can be transferred to sfo1
          cause: DigitalOcean lists no image_transfer among its features
          hint: leave --image-region sfo1 out
        ",
    );
}

#[tokio::test]
async fn ctrl_c_while_uploading_keeps_parts_and_no_object() {
    let env = test_env().await;
    let disk = env.disk(22);
    let args = format!("{NAMES} -q --part-size 5MiB --concurrency 2 disk.raw");
    let when = Fault::on("spaces:UploadPart")
        .with("partNumber", "3")
        .always();
    let gate = env.cloud.hold(when);
    let running = imgimport(&env, &args).start();
    gate.reached().await;
    env.cloud.wait_for_successes("spaces:UploadPart", 2).await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    assert!(
        run.stderr.contains("parts of s3://import-bucket/"),
        "{}",
        run.stderr
    );
    assert_nothing_public(&env);
    // The gate stays shut, so that nothing of the first run lands afterwards.
    let before = env.cloud.spaces().uploads()[0].parts.len();
    env.cloud.clear_faults();
    let sent = env.cloud.requests("spaces:UploadPart").len();
    let run = imgimport(&env, &args).output().await;
    run.code(0);
    let sent = env.cloud.requests("spaces:UploadPart").len() - sent;
    assert_eq!(
        sent,
        5 - before,
        "the same bytes come out: nothing travels twice"
    );
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    assert_nothing_public(&env);
}

/// What stays of a run that was stopped while DigitalOcean reads the object.
const STAYS: &str = "
        error: stopped
          left behind: the import 157000001, which goes on; remove it with: doctl compute image delete 157000001 --force
          left behind: s3://import-bucket/k-RANDOM.raw.gz, which everybody who knows its address can read; remove it with: aws s3 rm s3://import-bucket/k-RANDOM.raw.gz --endpoint-url http://HOST
          hint: the same command goes on from there
        ";

#[tokio::test]
async fn ctrl_c_while_importing_keeps_the_import_and_names_the_public_object() {
    let env = test_env().await;
    let disk = env.disk(2);
    let gate = Gate::new();
    let script = CustomImageScript::quick().hold(&gate);
    env.cloud.digitalocean().import_script(script);
    let args = format!("{NAMES} --key k.raw.gz -q disk.raw");
    let running = imgimport(&env, &args).start();
    gate.reached().await;
    running.signal("INT");
    running.output().await.code(130).stdout("").stderr(STAYS);

    gate.release();
    let run = imgimport(&env, &args).output().await;
    run.code(0).stdout("157000001");
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    assert_eq!(env.cloud.requests("spaces:UploadPart").len(), 1);
    assert_only_one_image(&env);
}

#[tokio::test]
async fn a_second_ctrl_c_while_importing_removes_everything() {
    let env = test_env().await;
    env.disk(2);
    let gate = Gate::new();
    let script = CustomImageScript::quick().hold(&gate);
    env.cloud.digitalocean().import_script(script);
    let args = format!("{NAMES} --key k.raw.gz disk.raw");
    let mut running = imgimport(&env, &args).start();
    gate.reached().await;
    running.signal("INT");
    running.wait_for_stderr("removes everything\n").await;
    running.signal("INT");
    running.output().await.code(130).stdout("").stderr(
        "
          Removing the import 157000001, which goes on
          Removing s3://import-bucket/k-RANDOM.raw.gz
        error: stopped
        ",
    );
    assert_nothing_left(&env);
}

#[tokio::test]
async fn a_token_without_image_delete_is_reported_with_the_scope() {
    let env = test_env().await;
    env.disk(2);
    let denied = Fault::on("do:DeleteImage").always();
    env.cloud
        .fault(denied.answer(403, "forbidden", "You are not authorized"));
    let gate = Gate::new();
    let script = CustomImageScript::quick().hold(&gate);
    env.cloud.digitalocean().import_script(script);
    let args = format!("{NAMES} --key k.raw.gz --no-resume disk.raw");
    let mut running = imgimport(&env, &args).start();
    running.wait_for_stderr("  new").await;
    running.signal("INT");
    running.output().await.code(130).stdout("").stderr(
        "
          Removing the import 157000001, which goes on
        error: stopped
          left behind: the import 157000001, which goes on (it could not be removed: You are not authorized (forbidden, request ID); give the token the scope image:delete); remove it with: doctl compute image delete 157000001 --force
          left behind: s3://import-bucket/k-RANDOM.raw.gz, which everybody who knows its address can read; remove it with: aws s3 rm s3://import-bucket/k-RANDOM.raw.gz --endpoint-url http://HOST
        ",
    );
}

#[tokio::test]
async fn ctrl_c_during_the_create_request_keeps_the_object() {
    let env = test_env().await;
    let disk = env.disk(2);
    let gate = env.cloud.hold(Fault::on("do:CreateImage").always());
    let args = format!("{NAMES} -q --key k.raw.gz disk.raw");
    let running = imgimport(&env, &args).start();
    gate.reached().await;
    running.signal("INT");
    running.output().await.code(130).stdout("").stderr(
        "
        error: stopped
          left behind: an import of s3://import-bucket/k-RANDOM.raw.gz that may have started; remove it with doctl compute image delete if this lists it: doctl compute image list-user
          left behind: s3://import-bucket/k-RANDOM.raw.gz, which everybody who knows its address can read; remove it with: aws s3 rm s3://import-bucket/k-RANDOM.raw.gz --endpoint-url http://HOST
          hint: the same command goes on from there
        ",
    );
    env.cloud.clear_faults();
    let run = imgimport(&env, &args).output().await;
    run.code(0);
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    assert_only_one_image(&env);
}

#[tokio::test]
async fn a_rejected_import_keeps_its_object_private() {
    let env = test_env().await;
    let disk = env.disk(2);
    let refused = Fault::on("do:CreateImage").answer(422, "unprocessable_entity", "Not today.");
    env.cloud.fault(refused);
    let args = format!("{NAMES} -q --key k.raw.gz disk.raw");
    let run = imgimport(&env, &args).output().await;
    run.code(1).stdout("").stderr(
        "
        error: the import could not be started
          cause: Not today (unprocessable_entity, request ID)
          left behind: s3://import-bucket/k-RANDOM.raw.gz; remove it with: aws s3 rm s3://import-bucket/k-RANDOM.raw.gz --endpoint-url http://HOST
          hint: the same command goes on from there
        ",
    );
    let objects = env.cloud.spaces().objects();
    assert!(objects.len() == 1 && !objects[0].public);
    let run = imgimport(&env, &args).output().await;
    run.code(0).stderr("");
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    assert_eq!(env.cloud.requests("spaces:UploadPart").len(), 1);
    assert_only_one_image(&env);
}

#[tokio::test]
async fn a_rejected_import_without_resume_leaves_nothing() {
    let env = test_env().await;
    env.disk(2);
    let refused = Fault::on("do:CreateImage").answer(422, "unprocessable_entity", "Not today.");
    env.cloud.fault(refused);
    let run = imgimport(&env, &format!("{NAMES} -q --no-resume disk.raw"));
    run.output().await.code(1).stderr(
        "
        error: the import could not be started
          cause: Not today (unprocessable_entity, request ID)
        ",
    );
    assert_nothing_left(&env);
}

#[tokio::test]
async fn an_object_that_cannot_be_made_private_goes() {
    let env = test_env().await;
    env.disk(2);
    let refused = Fault::on("do:CreateImage").answer(422, "unprocessable_entity", "Not today.");
    env.cloud.fault(refused);
    let denied = Fault::on("spaces:PutObjectAcl").always();
    env.cloud
        .fault(denied.answer(403, "AccessDenied", "Access Denied"));
    let run = imgimport(&env, &format!("{NAMES} -q disk.raw"));
    run.output().await.code(1).stderr(
        "
        error: the import could not be started
          cause: Not today (unprocessable_entity, request ID)
        ",
    );
    assert_nothing_left(&env);
}

#[tokio::test]
async fn one_invalid_poll_response_is_ignored() {
    let env = test_env().await;
    let disk = env.disk(2);
    for (status, body) in [(200, ""), (200, "<html>"), (403, ""), (404, "")] {
        let fault = Fault::on("do:GetImage").replace_answer(status, body);
        env.cloud.fault(fault);
        let run = imgimport(&env, &format!("{NAMES} {SOON} -q disk.raw"));
        let run = run.output().await;
        run.code(0).stderr("");
        assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    }
    assert_only_images(&env, 4);
}

#[tokio::test]
async fn polls_that_are_refused_leave_the_import_to_the_next_run() {
    let env = test_env().await;
    env.disk(2);
    let denied = Fault::on("do:GetImage").always();
    env.cloud
        .fault(denied.answer(403, "forbidden", "You are not authorized"));
    let args = format!("{NAMES} -q --key k.raw.gz disk.raw");
    let run = imgimport(&env, &args).output().await;
    run.code(1).stdout("").stderr(
        "
        error: the import's state could not be asked
          cause: You are not authorized (forbidden, request ID)
          left behind: the import 157000001, which goes on; remove it with: doctl compute image delete 157000001 --force
          left behind: s3://import-bucket/k-RANDOM.raw.gz, which everybody who knows its address can read; remove it with: aws s3 rm s3://import-bucket/k-RANDOM.raw.gz --endpoint-url http://HOST
          hint: give the token the scope image:read
        ",
    );
    env.cloud.clear_faults();
    imgimport(&env, &args)
        .output()
        .await
        .code(0)
        .stdout("157000001");
    assert_eq!(env.cloud.requests("spaces:UploadPart").len(), 1);
    assert_only_one_image(&env);
}

#[tokio::test]
async fn an_image_that_was_made_twice_is_made_once() {
    let env = test_env().await;
    env.disk(2);
    // The list does not show the first one yet.
    env.cloud.fault(Fault::on("do:CreateImage").cut_answer());
    let early = Fault::on("do:ListImages").nth(2);
    env.cloud
        .fault(early.replace_answer(200, r#"{"images":[]}"#));
    let run = imgimport(&env, &format!("{NAMES} -q disk.raw"));
    run.output().await.code(0).stdout("157000001").stderr("");
    assert_eq!(env.cloud.requests("do:CreateImage").len(), 2);
    assert_only_one_image(&env);
}

#[tokio::test]
async fn a_token_that_may_not_create_tags_is_enough() {
    let env = test_env().await;
    env.disk(2);
    let denied = Fault::on("do:CreateImage");
    env.cloud
        .fault(denied.answer(403, "forbidden", "You are not authorized"));
    env.cloud
        .fault(Fault::on("do:CreateImage").nth(2).cut_answer());
    let run = imgimport(&env, &format!("{NAMES} -q disk.raw"));
    run.output().await.code(0).stdout("157000001").stderr("");
    assert!(
        env.cloud.requests("do:CreateImage")[1]
            .get("tags")
            .contains("[]")
    );
    assert_only_one_image(&env);
}

#[tokio::test]
async fn two_machines_with_one_key_make_one_image() {
    let env = test_env().await;
    let disk = env.disk(2);
    let gate = Gate::new();
    let script = CustomImageScript::quick().hold(&gate);
    env.cloud.digitalocean().import_script(script);
    let args = format!("{NAMES} -q --key k.raw.gz disk.raw");
    let first = imgimport(&env, &args).start();
    gate.reached().await;
    let elsewhere = env.path("elsewhere").display().to_string();
    let second = imgimport(&env, &args)
        .env("XDG_STATE_HOME", &elsewhere)
        .start();
    env.cloud.wait_for_successes("do:ListImages", 5).await;
    gate.release();
    let (first, second) = tokio::join!(first.output(), second.output());
    first.code(0).stdout("157000001").stderr("");
    second.code(0).stdout("157000001").stderr("");
    assert!(imported_bytes(&env, &first.stdout_raw) == disk);
    assert_only_one_image(&env);
}

#[tokio::test]
async fn two_machines_that_begin_at_once_make_one_image() {
    let env = test_env().await;
    let disk = env.disk(2);
    // Neither has seen the other's upload.
    let both = Fault::on("spaces:CreateMultipartUpload").times(2);
    let gate = env.cloud.hold(both);
    let args = format!("{NAMES} -q --key k.raw.gz disk.raw");
    let elsewhere = env.path("elsewhere").display().to_string();
    let first = imgimport(&env, &args).start();
    let second = imgimport(&env, &args)
        .env("XDG_STATE_HOME", &elsewhere)
        .start();
    gate.reached_by(2).await;
    gate.release();
    let (first, second) = tokio::join!(first.output(), second.output());
    first.code(0).stderr("");
    second.code(0).stderr("");
    assert_eq!(first.stdout_raw, second.stdout_raw);
    assert!(imported_bytes(&env, &first.stdout_raw) == disk);
    assert_only_one_image(&env);
}

/// Two machines with the same key: each sends the last part, and the second has the upload
/// of the first.
async fn both_at_the_last_part(stage: &TestEnv) -> [(RunningCmd<'_>, Gate); 2] {
    let last = || Fault::on("spaces:UploadPart").with("partNumber", "5");
    let (first, second) = (stage.cloud.hold(last()), stage.cloud.hold(last().nth(2)));
    let args = format!("{NAMES} -q --key k.raw.gz --part-size 5MiB --concurrency 1 disk.raw");
    let run = imgimport(stage, &args).start();
    first.reached().await;
    let elsewhere = stage.path("elsewhere").display().to_string();
    let other = imgimport(stage, &args);
    let other = other.env("XDG_STATE_HOME", &elsewhere).start();
    second.reached().await;
    [(run, first), (other, second)]
}

#[tokio::test]
async fn a_machine_that_completes_its_part_late_hears_of_the_image() {
    let env = test_env().await;
    env.disk(22);
    let [(first, one), (second, other)] = both_at_the_last_part(&env).await;
    one.release();
    first.output().await.code(0).stdout("157000001");
    other.release();
    second.output().await.code(1).stdout("").stderr(
        r#"
        error: another run has made the image 157000001 "web"
          cause: it had the same key, and completed s3://import-bucket/k-RANDOM.raw.gz
          hint: use that image; the same command makes another one
        "#,
    );
    assert_only_one_image(&env);
}

#[tokio::test]
async fn a_machine_whose_object_another_one_has_imported_hears_of_the_image() {
    let env = test_env().await;
    env.disk(22);
    let [(first, one), (second, other)] = both_at_the_last_part(&env).await;
    let import = env.cloud.hold(Fault::on("do:CreateImage"));
    one.release();
    import.reached().await;
    other.release();
    second.output().await.code(0).stdout("157000001").stderr("");
    import.release();
    first.output().await.code(1).stdout("").stderr(
        r#"
        error: another run has made the image 157000001 "web"
          cause: it had the same key, and completed s3://import-bucket/k-RANDOM.raw.gz
          hint: use that image; the same command makes another one
        "#,
    );
    assert_only_one_image(&env);
}

#[tokio::test]
async fn another_machine_goes_on_with_the_parts_of_the_same_key() {
    let env = test_env().await;
    let disk = env.disk(22);
    let args = format!("{NAMES} -q --key k.raw.gz --part-size 5MiB --concurrency 1 disk.raw");
    let when = Fault::on("spaces:UploadPart").with("partNumber", "3");
    let gate = env.cloud.hold(when);
    let running = imgimport(&env, &args).start();
    gate.reached().await;
    running.kill().await;
    env.cloud.clear_faults();
    let elsewhere = env.path("elsewhere").display().to_string();
    let run = imgimport(&env, &args).env("XDG_STATE_HOME", &elsewhere);
    let run = run.output().await;
    run.code(0);
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    let parts = env.cloud.requests("spaces:UploadPart");
    let mut sent: Vec<_> = parts.iter().filter(|part| part.succeeded()).collect();
    sent.sort_by_key(|part| part.get("partNumber").to_owned());
    sent.dedup_by_key(|part| part.get("partNumber").to_owned());
    assert_eq!(sent.len(), 5);
    assert_eq!(parts.iter().filter(|part| part.succeeded()).count(), 5);
    assert_nothing_public(&env);
}

#[tokio::test]
async fn a_public_object_is_named_by_jobs_and_removed_by_clean() {
    let env = test_env().await;
    env.disk(2);
    let gate = Gate::new();
    let script = CustomImageScript::quick().hold(&gate);
    env.cloud.digitalocean().import_script(script);
    let args = format!("{NAMES} -q --key k.raw.gz --timeout 1ms disk.raw");
    imgimport(&env, &args).output().await.code(4);
    let jobs = imgimport(&env, "jobs").output().await;
    let object = "  s3://import-bucket/k-RANDOM.raw.gz, which everybody who knows its address can read: billed as storage until it is removed\n";
    assert!(jobs.stdout.contains(object), "{}", jobs.stdout);
    imgimport(&env, "jobs --clean -q")
        .output()
        .await
        .code(0)
        .stderr("");
    assert_nothing_left(&env);
}

#[tokio::test]
async fn ctrl_c_while_transferring_keeps_the_image() {
    let env = test_env().await;
    env.disk(2);
    let gate = Gate::new();
    let cloud = env.cloud.digitalocean();
    cloud.transfer_script(TransferScript::default().hold(&gate));
    let args = format!("{NAMES} -q --image-region ams3 disk.raw");
    let running = imgimport(&env, &args).start();
    gate.reached().await;
    running.signal("INT");
    let run = running.output().await;
    run.code(130).stdout("");
    assert!(
        run.stderr
            .contains("left behind: the image 157000001 in nyc3;"),
        "{}",
        run.stderr
    );
    assert_nothing_public(&env);

    gate.release();
    imgimport(&env, &args)
        .output()
        .await
        .code(0)
        .stdout("157000001");
    assert_eq!(cloud.images()[0].regions, ["nyc3", "ams3"]);
    assert_eq!(
        env.cloud.requests("do:TransferImage").len(),
        1,
        "it is attached to"
    );
}

#[tokio::test]
async fn transfers_run_side_by_side_where_they_may() {
    let env = test_env().await;
    env.disk(2);
    let gate = Gate::new();
    let cloud = env.cloud.digitalocean();
    cloud.transfer_script(TransferScript::default().concurrent().hold(&gate));
    let args = format!("{NAMES} -q --image-region ams3 --image-region nyc2 disk.raw");
    let running = imgimport(&env, &args).start();
    env.cloud.wait_for_successes("do:TransferImage", 2).await;
    gate.release();
    running
        .output()
        .await
        .code(0)
        .stdout("157000001")
        .stderr("");
    assert_eq!(cloud.images()[0].regions, ["nyc3", "ams3", "nyc2"]);
    assert_only_one_image(&env);
}

#[tokio::test]
async fn a_transfer_whose_answer_was_lost_is_found_among_the_actions() {
    let env = test_env().await;
    env.disk(2);
    let cloud = env.cloud.digitalocean();
    for fault in [
        Fault::on("do:TransferImage").cut_answer(),
        Fault::on("do:TransferImage").replace_answer(200, ""),
        Fault::on("do:TransferImage").replace_answer(500, ""),
    ] {
        env.cloud.fault(fault);
        let run = imgimport(
            &env,
            &format!("{NAMES} {SOON} -q --image-region ams3 disk.raw"),
        );
        run.output().await.code(0).stderr("");
    }
    for image in cloud.images() {
        assert_eq!(image.regions, ["nyc3", "ams3"]);
    }
    assert_eq!(env.cloud.requests("do:TransferImage").len(), 3);
}

#[tokio::test]
async fn another_event_of_the_image_is_waited_for() {
    let env = test_env().await;
    env.disk(2);
    let busy = Fault::on("do:TransferImage").times(2);
    let why = "Image already has an event in progress.";
    env.cloud
        .fault(busy.answer(422, "unprocessable_entity", why));
    let event = r#"{"actions":[{"id":7,"status":"in-progress","type":"convert"}]}"#;
    let listed = Fault::on("do:ListActions").nth(2).times(7);
    env.cloud.fault(listed.replace_answer(200, event));
    let run = imgimport(
        &env,
        &format!("{NAMES} {SOON} -q --image-region ams3 disk.raw"),
    );
    run.output().await.code(0).stderr("");
    assert_eq!(
        env.cloud.digitalocean().images()[0].regions,
        ["nyc3", "ams3"]
    );
}

#[tokio::test]
async fn the_deadline_leaves_the_import_its_object() {
    let env = test_env().await;
    let disk = env.disk(2);
    let gate = Gate::new();
    env.cloud
        .digitalocean()
        .import_script(CustomImageScript::quick().hold(&gate));
    let args = format!("{NAMES} -q --key k.raw.gz disk.raw");
    let run = imgimport(&env, &format!("{args} --timeout 300ms"))
        .output()
        .await;
    run.code(4).stdout("").stderr(
        "
        error: the deadline passed while the cloud is still working
          left behind: the import 157000001, which goes on; remove it with: doctl compute image delete 157000001 --force
          left behind: s3://import-bucket/k-RANDOM.raw.gz, which everybody who knows its address can read; remove it with: aws s3 rm s3://import-bucket/k-RANDOM.raw.gz --endpoint-url http://HOST
          hint: the same command goes on from there
        ",
    );
    assert_eq!(env.cloud.spaces().objects().len(), 1);

    gate.release();
    let run = imgimport(&env, &args).output().await;
    run.code(0).stdout("157000001");
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    assert_eq!(env.cloud.requests("spaces:CreateMultipartUpload").len(), 1);
    assert_nothing_public(&env);
}

#[tokio::test]
async fn no_wait_prints_the_import_and_a_later_run_finishes_it() {
    let env = test_env().await;
    env.disk(2);
    let args = format!("{NAMES} -q disk.raw");
    let run = imgimport(&env, &format!("{args} --no-wait")).output().await;
    run.code(0).stdout("157000001");
    assert_eq!(env.cloud.spaces().objects().len(), 1);
    let run = imgimport(&env, &args).output().await;
    run.code(0).stdout("157000001");
    assert_eq!(env.cloud.requests("do:CreateImage").len(), 1);
    assert_nothing_public(&env);
}

#[tokio::test]
async fn killed_while_importing_is_attached_to() {
    let env = test_env().await;
    env.disk(2);
    let gate = Gate::new();
    env.cloud
        .digitalocean()
        .import_script(CustomImageScript::quick().hold(&gate));
    let args = format!("{NAMES} -q disk.raw");
    let running = imgimport(&env, &args).start();
    gate.reached().await;
    running.kill().await;
    gate.release();
    imgimport(&env, &args)
        .output()
        .await
        .code(0)
        .stdout("157000001");
    assert_eq!(env.cloud.requests("do:CreateImage").len(), 1);
    assert_nothing_public(&env);
}

#[tokio::test]
async fn a_presigned_url_is_used_on_request() {
    let env = test_env().await;
    let disk = env.disk(2);
    let args = format!("{NAMES} -q --object-access presigned disk.raw");
    let run = imgimport(&env, &args).output().await;
    run.code(1).stderr(
        "
        error: the import could not be started
          cause: Your source URL is unreachable (bad_request, request ID)
          left behind: s3://import-bucket/imgimport-1767225600-RANDOM.raw.gz; remove it with: aws s3 rm s3://import-bucket/imgimport-1767225600-RANDOM.raw.gz --endpoint-url http://HOST
          hint: DigitalOcean may not take signed addresses: leave --object-access presigned out
        ",
    );
    env.cloud.digitalocean().take_signed_addresses();
    let run = imgimport(&env, &args).output().await;
    run.code(0).stderr("");
    assert!(imported_bytes(&env, &run.stdout_raw) == disk);
    assert_nothing_public(&env);
}

#[tokio::test]
async fn no_secret_is_printed_with_debug_logging() {
    let env = test_env().await;
    env.disk(2);
    env.cloud.digitalocean().take_signed_addresses();
    let run = imgimport(
        &env,
        &format!("{NAMES} -vv --object-access presigned disk.raw"),
    );
    let run = run.output().await;
    run.code(0);
    let secrets = [
        env.cloud.digitalocean().token(),
        env.cloud.spaces_key().secret_key.clone(),
    ];
    for secret in secrets {
        assert!(!run.stderr.contains(&secret), "{}", run.stderr);
    }
    assert!(run.stderr.contains("X-Amz-Signature=…"), "{}", run.stderr);
}

/// `IMGIMPORT_REAL_IMAGE=/path/to/disk.qcow2 cargo test -- --ignored a_real_image`
#[tokio::test]
#[ignore = "needs an image and qemu-img"]
async fn a_real_image_arrives_with_an_equal_disk() {
    let image = std::env::var("IMGIMPORT_REAL_IMAGE").unwrap();
    let stage = test_env().await;
    let args = format!("{NAMES} --output json {image}");
    let run = imgimport(&stage, &args).output().await;
    run.code(0);
    let out: serde_json::Value = serde_json::from_str(&run.stdout_raw).unwrap();
    let id = out["image_id"].as_str().unwrap().parse().unwrap();
    let arrived = stage.path("arrived");
    stage
        .cloud
        .digitalocean()
        .arrived(id)
        .unwrap()
        .save(&arrived)
        .unwrap();
    let compared = std::process::Command::new("qemu-img")
        .args(["compare", &image, arrived.to_str().unwrap()])
        .status();
    assert!(compared.unwrap().success());
    assert_nothing_public(&stage);
}

#[tokio::test]
async fn a_dry_run_prints_the_account_and_the_steps() {
    let stage = test_env().await;
    stage.disk(2);
    let run = imgimport(
        &stage,
        &format!("{NAMES} --compression none --dry-run disk.raw"),
    );
    let run = run.output().await;
    run.code(0).stdout("");
    assert!(
        run.stderr.contains("\nThe caller is sammy@example.com\n"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains(
            " public: everybody who knows its address can read it until the import has ended\nWould import it into nyc3 as the image \"web\"\nWould remove s3://"
        ),
        "{}",
        run.stderr
    );
    assert!(stage.cloud.spaces().objects().is_empty());
}
