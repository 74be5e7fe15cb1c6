//! Every call of the road to an ECS image, denied in the services' own words.

use imgimport_sandbox::Fault;

use super::super::{RAM, Told, allow, each};
use super::stage;

const OSS_OBJECT: &str = "oss://packer/imgimport-1767225600.raw; remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing";
const ECS_TASK: &str = "the import task t-ID; remove it with: aliyun ecs CancelTask --TaskId t-ID --RegionId cn-beijing";
const ECS_COPY: &str = "the copy m-ID in cn-hangzhou; remove it with: aliyun ecs DeleteImage --ImageId m-ID --RegionId cn-hangzhou";
const ECS_IMAGE: &str =
    "the image m-ID; remove it with: aliyun ecs DeleteImage --ImageId m-ID --RegionId cn-beijing";

/// What was asked for, the call that is denied from the n-th time on, what could not be
/// done, the permissions, and what is left.
type Row = (
    &'static str,
    (&'static str, usize),
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const CALLS: &[Row] = &[
    (
        "",
        ("ecs:DescribeImages", 1),
        "the image's name can't be looked up in cn-beijing",
        &["ecs:DescribeImages"],
        &[],
    ),
    (
        "",
        ("ecs:DescribeImages", 2),
        "the import's state could not be asked",
        &["ecs:DescribeTaskAttribute", "ecs:DescribeImages"],
        &[ECS_TASK, OSS_OBJECT],
    ),
    (
        "--tag a=b",
        ("ecs:TagResources", 1),
        "m-ID could not be tagged",
        &["ecs:TagResources"],
        &[ECS_IMAGE],
    ),
    (
        "--image-family web",
        ("ecs:ModifyImageAttribute", 1),
        "m-ID could not be described",
        &["ecs:ModifyImageAttribute"],
        &[ECS_IMAGE],
    ),
    (
        "--share-account 1234567890123456",
        ("ecs:ModifyImageSharePermission", 1),
        "m-ID could not be shared with 1234567890123456",
        &["ecs:ModifyImageSharePermission"],
        &[ECS_IMAGE],
    ),
    (
        "--copy-to cn-hangzhou",
        ("ecs:CopyImage", 1),
        "m-ID could not be copied to cn-hangzhou",
        &["ecs:CopyImage"],
        &[ECS_IMAGE],
    ),
    (
        "--copy-to cn-hangzhou --tag a=b",
        ("ecs:TagResources", 3),
        "m-ID could not be tagged",
        &["ecs:TagResources"],
        &[ECS_COPY, ECS_IMAGE],
    ),
    (
        "--tag a=b",
        ("ecs:TagResources", 2),
        "s-ID could not be tagged",
        &["ecs:TagResources"],
        &[ECS_IMAGE],
    ),
];

#[tokio::test]
async fn ecs_denies_a_call() {
    each(
        CALLS,
        async |&(wish, (operation, nth), what, actions, left)| {
            let env = stage().await;
            let denied = Fault::on(operation).nth(nth).always();
            env.cloud
                .fault(denied.answer(403, "Forbidden.RAM", "Not you."));
            let command = format!("alicloud --bucket packer --image-name web {wish} -q disk.raw");
            let run = env.alicloud(&command).output().await;
            let told = Told {
                what,
                cause: "Not you (Forbidden.RAM, request ID)",
                left,
                hint: &allow(RAM, actions, "*"),
            };
            run.code(1).stdout("").stderr(&told.whole());
        },
    )
    .await;
}

/// The import needs the role, too.
#[tokio::test]
async fn ecs_denies_the_import() {
    let env = stage().await;
    let denied = Fault::on("ecs:ImportImage").always();
    env.cloud
        .fault(denied.answer(403, "Forbidden.RAM", "Not you."));
    let run = env.alicloud("alicloud --bucket packer --image-name web -q disk.raw");
    let told = Told {
        what: "the import could not be started",
        cause: "Not you (Forbidden.RAM, request ID)",
        left: &[OSS_OBJECT],
        hint: r#"allow the caller ecs:ImportImage and ram:PassRole: {"Version":"1","Statement":[{"Effect":"Allow","Action":"ecs:ImportImage","Resource":"*"},{"Effect":"Allow","Action":"ram:PassRole","Resource":"acs:ram:*:*:role/aliyunecsimageimportdefaultrole"}]}"#,
    };
    run.output().await.code(1).stdout("").stderr(&told.whole());
}

/// The image that has the name goes last; the new one waits for the next run.
#[tokio::test]
async fn ecs_denies_to_replace_an_image() {
    let rows = [
        (
            "ecs:DeleteImage",
            "m-ID, which has the name, could not be deleted",
            "ecs:DeleteImage",
        ),
        (
            "ecs:ModifyImageAttribute",
            "m-ID could not be named \"web\"",
            "ecs:ModifyImageAttribute",
        ),
    ];
    each(rows, async |(operation, what, action)| {
        let env = stage().await;
        let command = "alicloud --bucket packer --image-name web -q disk.raw";
        env.alicloud(command).output().await.code(0);
        let denied = Fault::on(operation).always();
        env.cloud
            .fault(denied.answer(403, "Forbidden.RAM", "Not you."));
        let run = env
            .alicloud(&format!("{command} --force-delete"))
            .output()
            .await;
        let told = Told {
            what,
            cause: "Not you (Forbidden.RAM, request ID)",
            left: &[ECS_IMAGE],
            hint: &allow(RAM, &[action], "*"),
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

#[tokio::test]
async fn oss_denies_a_call() {
    let object = "acs:oss:*:*:packer/imgimport-1767225600.raw";
    let writing = allow(RAM, &["oss:PutObject", "oss:ListParts"], object);
    let looking = allow(RAM, &["oss:GetBucketInfo"], "acs:oss:*:*:packer");
    let making = allow(RAM, &["oss:PutBucket"], "acs:oss:*:*:another");
    let rows = [
        (
            "packer",
            "oss:GetBucketInfo",
            "the bucket packer can't be used",
            format!("the bucket may be another account's; or {looking}"),
        ),
        (
            "another",
            "oss:PutBucket",
            "the bucket another could not be created",
            format!("name a bucket that exists, or {making}"),
        ),
        (
            "packer",
            "oss:InitiateMultipartUpload",
            "the upload could not be started",
            writing.clone(),
        ),
        (
            "packer",
            "oss:UploadPart",
            "part 1 of 1 could not be sent",
            writing,
        ),
    ];
    each(rows, async |(bucket, operation, what, hint)| {
        let env = stage().await;
        // Who may not even ask where it lies.
        for operation in [operation, "oss:GetBucketLocation"] {
            let denied = Fault::on(operation).always();
            let refusal = denied.answer(403, "AccessDenied", "Not you.");
            env.cloud.fault(refusal);
        }
        let command = format!("alicloud --bucket {bucket} --image-name web -q disk.raw");
        let run = env.alicloud(&command).output().await;
        let told = Told {
            what,
            cause: "Not you [EC 0003-00000001] (AccessDenied, request ID)",
            left: &[],
            hint: &hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

#[tokio::test]
async fn oss_denies_to_delete_the_object() {
    let env = stage().await;
    let denied = Fault::on("oss:DeleteObject").always();
    env.cloud
        .fault(denied.answer(403, "AccessDenied", "Not you."));
    let run = env.alicloud("alicloud --bucket packer --image-name web -q disk.raw");
    let policy = allow(
        RAM,
        &["oss:DeleteObject"],
        "acs:oss:*:*:packer/imgimport-1767225600.raw",
    );
    let remove = "aliyun oss rm oss://packer/imgimport-1767225600.raw --region cn-beijing";
    run.output().await.code(0).stdout("m-ID").stderr(&format!(
        "warning: oss://packer/imgimport-1767225600.raw could not be deleted: Not you [EC 0003-00000001] (AccessDenied, request ID); next time, {policy}; delete it with: {remove}"
    ));
}

/// What was sent is still there.
#[tokio::test]
async fn oss_denies_to_make_the_object_of_its_parts() {
    let env = stage().await;
    let denied = Fault::on("oss:CompleteMultipartUpload").always();
    env.cloud
        .fault(denied.answer(403, "AccessDenied", "Not you."));
    let run = env.alicloud("alicloud --bucket packer --image-name web -q disk.raw");
    let told = Told {
        what: "the object could not be made of its 1 part",
        cause: "Not you [EC 0003-00000001] (AccessDenied, request ID)",
        left: &[
            "1 part of oss://packer/imgimport-1767225600.raw (2.0 MiB); remove it with: aliyun oss rm oss://packer/imgimport-1767225600.raw -m --upload-id UPLOAD --region cn-beijing",
        ],
        hint: &allow(
            RAM,
            &["oss:PutObject", "oss:ListParts"],
            "acs:oss:*:*:packer/imgimport-1767225600.raw",
        ),
    };
    run.output().await.code(1).stdout("").stderr(&told.whole());
}

/// GetBucketLocation tells enough of the bucket to import from it.
#[tokio::test]
async fn who_may_ask_for_the_buckets_place_alone_imports_all_the_same() {
    let env = stage().await;
    let denied = Fault::on("oss:GetBucketInfo").always();
    env.cloud
        .fault(denied.answer(403, "AccessDenied", "Not you."));
    let run = env.alicloud("alicloud --bucket packer --image-name web -q disk.raw");
    run.output().await.code(0).stdout("m-ID").stderr("");
}

/// The role may be made by the caller, or by somebody with more rights.
#[tokio::test]
async fn ram_denies_a_call() {
    let commands = r#"let an administrator of the account run:
aliyun ram CreateRole --RoleName AliyunECSImageImportDefaultRole --AssumeRolePolicyDocument '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}'
aliyun ram AttachPolicyToRole --PolicyType System --PolicyName AliyunECSImageImportRolePolicy --RoleName AliyunECSImageImportDefaultRole
or, where the role exists:
aliyun ram UpdateRole --RoleName AliyunECSImageImportDefaultRole --NewAssumeRolePolicyDocument '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}'"#;
    let role = "AliyunECSImageImportDefaultRole";
    let missing =
        "the role AliyunECSImageImportDefaultRole does not exist and could not be created";
    let wrong = "the role AliyunECSImageImportDefaultRole can't be used and could not be repaired";
    let rows = [
        (
            "ram:CreateRole",
            missing,
            "ram:CreateRole and ram:AttachPolicyToRole",
        ),
        (
            "ram:AttachPolicyToRole",
            missing,
            "ram:CreateRole and ram:AttachPolicyToRole",
        ),
        (
            "ram:UpdateRole",
            wrong,
            "ram:UpdateRole and ram:AttachPolicyToRole",
        ),
    ];
    each(rows, async |(operation, what, actions)| {
        let env = stage().await;
        env.cloud.ram().remove_role(role);
        if operation == "ram:UpdateRole" {
            env.cloud
                .ram()
                .put_role(role, r#"{"Statement":[],"Version":"1"}"#, &[]);
        }
        let denied = Fault::on(operation).always();
        env.cloud
            .fault(denied.answer(403, "NoPermission", "Not you."));
        let run = env.alicloud("alicloud --bucket packer --image-name web -q disk.raw");
        let told = Told {
            what,
            cause: "Not you (NoPermission, request ID)",
            left: &[],
            hint: &format!("allow the caller {actions}, or {commands}"),
        };
        run.output().await.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// A role that nobody may look at is ImportImage's to judge.
#[tokio::test]
async fn who_may_not_look_imports_all_the_same() {
    each(
        [
            "ram:GetRole",
            "ram:ListPoliciesForRole",
            "ecs:DescribeTaskAttribute",
        ],
        async |operation| {
            let env = stage().await;
            let denied = Fault::on(operation).always();
            env.cloud
                .fault(denied.answer(403, "NoPermission", "Not you."));
            let run = env.alicloud("alicloud --bucket packer --image-name web -q disk.raw");
            run.output().await.code(0).stdout("m-ID").stderr("");
            assert!(
                env.cloud.requests("ram:CreateRole").is_empty(),
                "what nobody has seen is not made"
            );
        },
    )
    .await;
}
