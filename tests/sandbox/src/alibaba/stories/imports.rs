//! Imports: their role, their rules, their ends.

use super::{BUCKET, IMPORT, ecs, import, oss, ram, refused, start};
use crate::Gate;
use crate::alibaba::canonical::encode;
use crate::alibaba::{ImportScript, REGION};

#[tokio::test]
async fn an_imported_image_has_the_uploaded_bytes() {
    let cloud = start().await;
    let (id, task) = import(&cloud, IMPORT).await;
    assert_eq!(
        (&task["TaskStatus"], &task["SuccessCount"]),
        (&"Finished".into(), &1.into())
    );
    assert_eq!(cloud.ecs().image(&id).unwrap().status, "Creating");
    let query = format!("ImageId={id}&Status=Available%2CCreating");
    let mut states = Vec::new();
    for _ in 0..2 {
        let (_, answer) = ecs(&cloud, "DescribeImages", &query).await;
        states.push(
            answer["Images"]["Image"][0]["Status"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(states, ["Creating", "Available"]);
    assert_eq!(cloud.ecs().imported_bytes(&id).unwrap(), b"a small disk");
    let image = cloud.ecs().image(&id).unwrap();
    assert_eq!(
        (image.name.as_str(), image.size, image.get("OSType")),
        ("packer_import", 40, "linux")
    );
    assert_eq!(
        (image.snapshots.len(), cloud.ecs().snapshots().len()),
        (1, 1)
    );
}

#[tokio::test]
async fn an_import_fails_with_its_reason() {
    let cloud = start().await;
    cloud
        .ecs()
        .import_script(ImportScript::default().fail("The system disk has no root."));
    let (id, task) = import(&cloud, IMPORT).await;
    let told = &task["OperationProgressSet"]["OperationProgress"][0];
    assert_eq!(
        (&task["TaskStatus"], &told["ErrorCode"]),
        (&"Failed".into(), &"ImportImageFailed".into())
    );
    assert_eq!(told["ErrorMsg"], "The system disk has no root.");
    assert_eq!(cloud.ecs().image(&id).unwrap().status, "CreateFailed");
    let (_, hidden) = ecs(&cloud, "DescribeImages", &format!("ImageId={id}")).await;
    assert_eq!(hidden["TotalCount"], 0);
}

#[tokio::test]
async fn wrong_bytes_fail_the_import() {
    let cloud = start().await;
    let mut qcow2 = b"QFI\xfb\0\0\0\x03".to_vec();
    qcow2.resize(104, 0);
    qcow2[24..32].copy_from_slice(&(41_u64 << 30).to_be_bytes());
    cloud.oss().put(BUCKET, "disk.qcow2", &qcow2).unwrap();
    let as_qcow2 = IMPORT.replace("disk.raw", "disk.qcow2");
    for (query, code) in [
        (
            IMPORT.replace("Format=RAW", "Format=VHD"),
            "InvalidImageFormat.Mismatch",
        ),
        (as_qcow2.clone(), "InvalidImageFormat.Mismatch"),
        (
            as_qcow2.replace("Format=RAW", "Format=QCOW2"),
            "InvalidImageSize",
        ),
    ] {
        let (id, task) = import(&cloud, &query).await;
        let told = &task["OperationProgressSet"]["OperationProgress"][0];
        assert_eq!(told["ErrorCode"], code);
        ecs(&cloud, "DeleteImage", &format!("ImageId={id}")).await;
    }
    let fits = as_qcow2
        .replace("Format=RAW", "Format=")
        .replace("=40", "=41");
    assert_eq!(import(&cloud, &fits).await.1["TaskStatus"], "Finished");
}

#[tokio::test]
async fn an_object_deleted_too_early_fails_the_import() {
    let cloud = start().await;
    let gate = Gate::new();
    cloud
        .ecs()
        .import_script(ImportScript::default().hold(&gate));
    let deleting = async {
        gate.reached().await;
        assert_eq!(
            oss(&cloud, "DELETE /importbucket/disk.raw", b"").await.0,
            204
        );
        gate.release();
    };
    let ((_, task), ()) = tokio::join!(import(&cloud, IMPORT), deleting);
    assert_eq!(task["TaskStatus"], "Failed");
}

#[tokio::test]
async fn a_new_role_is_not_visible_at_once() {
    let cloud = start().await;
    cloud.ram().remove_role("AliyunECSImageImportDefaultRole");
    assert_eq!(refused(&cloud, IMPORT).await, "NoSetRoletoECSServiceAcount");
    let trust = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;
    let role = "RoleName=AliyunECSImageImportDefaultRole";
    let create = format!("{role}&AssumeRolePolicyDocument={}", encode(trust));
    let attach = format!("{role}&PolicyType=System&PolicyName=AliyunECSImageImportRolePolicy");
    assert_eq!(
        ram(&cloud, "GetRole", role).await.1["Code"],
        "EntityNotExist.Role"
    );
    assert_eq!(ram(&cloud, "CreateRole", &create).await.0, 200);
    assert_eq!(ram(&cloud, "AttachPolicyToRole", &attach).await.0, 200);
    let again = ram(&cloud, "AttachPolicyToRole", &attach).await.1;
    assert_eq!(again["Code"], "EntityAlreadyExists.Role.Policy");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ecs(&cloud, "ImportImage", IMPORT).await.0);
    }
    assert_eq!(statuses, [403, 403, 200]);
}

#[tokio::test]
async fn a_role_that_trusts_another_does_not_serve() {
    let cloud = start().await;
    let name = "AliyunECSImageImportDefaultRole";
    let good = cloud.ram().role(name).unwrap();
    let wrong = good.trust.replace("ecs.aliyuncs.com", "fc.aliyuncs.com");
    cloud
        .ram()
        .put_role(name, &wrong, &["System:AliyunECSImageImportRolePolicy"]);
    assert_eq!(refused(&cloud, IMPORT).await, "NoSetRoletoECSServiceAcount");
    let tight = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:Get*","Resource":["acs:oss:*:*:importbucket","acs:oss:*:*:importbucket/*"]}]}"#;
    cloud.ram().put_policy("tight", tight);
    cloud.ram().put_role(name, &good.trust, &["Custom:tight"]);
    assert_eq!(ecs(&cloud, "ImportImage", IMPORT).await.0, 200);
    cloud.ram().forbid("ram:*");
    let (status, answer) = ram(&cloud, "GetRole", &format!("RoleName={name}")).await;
    assert_eq!((status, &answer["Code"]), (403, &"NoPermission".into()));
}

#[tokio::test]
async fn imports_are_refused_by_the_rules() {
    let cloud = start().await;
    cloud.oss().create_bucket("elsewhere", "us-west-1");
    cloud.oss().put("elsewhere", "disk.raw", b"x").unwrap();
    cloud.oss().put(BUCKET, "empty.raw", b"").unwrap();
    cloud.ecs().register_image(REGION, "taken");
    for (from, to, code) in [
        (
            "ImageName=packer_import",
            "ImageName=taken",
            "InvalidImageName.Duplicated",
        ),
        (
            "ImageName=packer_import",
            "ImageName=1st",
            "InvalidImageName.Malformed",
        ),
        ("disk.raw", "disk.img", "UnsupportedSuffix.OSSObject"),
        ("disk.raw", "none.raw", "InvalidOSSObject.NotFound"),
        ("disk.raw", "empty.raw", "InvalidOSSObject.Size"),
        ("disk.raw", "/disk.raw", "InvalidOSSObject.Malformed"),
        ("importbucket", "elsewhere", "InvalidOSSBucket.NotMatched"),
        ("importbucket", "nowhere", "InvalidOSSBucket.NotFound"),
        ("Format=RAW", "Format=OVA", "InvalidImageFormat.Malformed"),
        ("=40", "=2049", "InvalidImageSize"),
        ("=40", "=40&Platform=BeOS", "InvalidPlatform.Malformed"),
        ("=40", "=40&DryRun=true", "DRYRUN.SUCCESS"),
        ("=40", "=40&ImageNames=x", "UnknownParameter"),
    ] {
        assert_eq!(refused(&cloud, &IMPORT.replace(from, to)).await, code);
    }
    cloud.oss().encrypt_bucket(BUCKET);
    assert_eq!(
        refused(&cloud, IMPORT).await,
        "InvalidOSSBucket.EncryptUnsupported"
    );
}

#[tokio::test]
async fn a_client_token_starts_one_import() {
    let cloud = start().await;
    let query = format!("{IMPORT}&ClientToken=once");
    let first = ecs(&cloud, "ImportImage", &query).await.1;
    let second = ecs(&cloud, "ImportImage", &query).await.1;
    assert_eq!(
        (&first["TaskId"], &first["ImageId"]),
        (&second["TaskId"], &second["ImageId"])
    );
    assert_eq!(cloud.ecs().tasks().len(), 1);
    let other = query.replace("packer_import", "another");
    assert_eq!(refused(&cloud, &other).await, "IdempotentParameterMismatch");
}
