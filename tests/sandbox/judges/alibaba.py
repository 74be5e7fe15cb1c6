#!/usr/bin/env python3
"""Judges the sandbox's Alibaba Cloud with Alibaba's official SDKs.

They must be able to upload (multipart, ListParts, their own CRC64 check on), to create the
role and to import; a wrong secret must be refused everywhere. Not part of CI. To run:

    python3 -m venv judge && judge/bin/pip install alibabacloud-oss-v2 \\
        alibabacloud-ecs20140526 alibabacloud-ram20150501 alibabacloud_sts20150401
    cargo build -p imgimport-sandbox
    judge/bin/python tests/sandbox/judges/alibaba.py target/debug/imgimport-sandbox

The argument is the sandbox's program (with its arguments), which is started and ended here.
"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

import alibabacloud_oss_v2 as oss
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_sts20150401 import models as sts_models
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.models import Config

BUCKET, ROLE, POLICY = "judge", "AliyunECSImageImportDefaultRole", "AliyunECSImageImportRolePolicy"
TRUST = json.dumps({
    "Statement": [{"Action": "sts:AssumeRole", "Effect": "Allow",
                   "Principal": {"Service": ["ecs.aliyuncs.com"]}}],
    "Version": "1",
})
STATES = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated"


def started(command):
    """The running sandbox and the variables it prints, up to its last line."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    variables = {}
    for line in process.stdout:
        if line.startswith("#"):
            break
        name, value = line.removeprefix("export ").strip().split("=", 1)
        variables[name] = value
    return process, variables


class Cloud:
    """The official clients, all with one key."""

    def __init__(self, variables, secret=None, key=None, token=None, oss_endpoint=None):
        self.region = variables["ALICLOUD_REGION"]
        self.key = key or variables["ALICLOUD_ACCESS_KEY"]
        self.secret = secret or variables["ALICLOUD_SECRET_KEY"]
        self.token = token
        endpoint = oss_endpoint or variables["ALICLOUD_OSS_ENDPOINT"]
        self.oss = oss.Client(oss.config.Config(
            region=self.region, endpoint=endpoint, retry_max_attempts=1,
            use_path_style=oss_endpoint is None,
            credentials_provider=oss.credentials.StaticCredentialsProvider(self.key, self.secret, token)))
        self.ecs = Ecs(self.config(variables["ALICLOUD_ECS_ENDPOINT"]))
        self.ram = Ram(self.config(variables["ALICLOUD_RAM_ENDPOINT"]))
        self.sts = Sts(self.config(variables["ALICLOUD_STS_ENDPOINT"]))

    def config(self, endpoint):
        return Config(access_key_id=self.key, access_key_secret=self.secret, security_token=self.token,
                      protocol="http", endpoint=endpoint.removeprefix("http://"), region_id=self.region)


def refused(call, *codes):
    """The error's code, which must be one of these."""
    try:
        call()
    except Exception as error:  # each SDK has its own kinds
        error = getattr(error, "unwrap", lambda: error)()
        code = getattr(error, "code", None)
        assert code in codes, f"{codes} expected, not {code}: {error}"
        return error
    raise AssertionError(f"{codes} expected, but it was accepted")


def upload(cloud):
    """Three parts by hand, with everything the SDK compares."""
    client, key = cloud.oss, "dir/a +b 镜像.raw"
    client.put_bucket(oss.PutBucketRequest(bucket=BUCKET, acl="private"))
    assert client.is_bucket_exist(BUCKET) and not client.is_bucket_exist("no-such-bucket")
    info = client.get_bucket_info(oss.GetBucketInfoRequest(bucket=BUCKET)).bucket_info
    assert info.location == f"oss-{cloud.region}" and info.acl == "private", info
    location = client.get_bucket_location(oss.GetBucketLocationRequest(bucket=BUCKET))
    assert location.location == f"oss-{cloud.region}"
    names = [bucket.name for bucket in client.list_buckets(oss.ListBucketsRequest(prefix="jud")).buckets]
    assert names == [BUCKET], names
    pieces = [bytes([number]) * (200 << 10) for number in (1, 2)] + [b"end" + bytes(509)]
    begun = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=BUCKET, key=key))
    assert begun.key == key, begun.key
    where = {"bucket": BUCKET, "key": key, "upload_id": begun.upload_id}
    parts = []
    for number, piece in enumerate(pieces, 1):
        sent = client.upload_part(oss.UploadPartRequest(part_number=number, body=piece, **where))
        assert sent.etag == f'"{hashlib.md5(piece).hexdigest().upper()}"', sent.etag
        parts.append(oss.UploadPart(part_number=number, etag=sent.etag))
    pages = list(client.list_parts_paginator(limit=2).iter_page(oss.ListPartsRequest(**where)))
    assert [[part.part_number for part in page.parts] for page in pages] == [[1, 2], [3]]
    assert [part.size for page in pages for part in page.parts] == [len(piece) for piece in pieces]
    uploads = client.list_multipart_uploads(oss.ListMultipartUploadsRequest(bucket=BUCKET, prefix="dir/a +"))
    assert [(one.key, one.upload_id) for one in uploads.uploads] == [(key, begun.upload_id)], uploads
    done = client.complete_multipart_upload(oss.CompleteMultipartUploadRequest(
        complete_multipart_upload=oss.CompleteMultipartUpload(parts=parts), **where))
    head = client.head_object(oss.HeadObjectRequest(bucket=BUCKET, key=key))
    assert head.hash_crc64 == done.hash_crc64 and head.object_type == "Multipart"
    got = client.get_object(oss.GetObjectRequest(bucket=BUCKET, key=key)).body.content
    assert got == b"".join(pieces)
    refused(lambda: client.upload_part(oss.UploadPartRequest(part_number=1, body=b"x", **where)), "NoSuchUpload")
    refused(lambda: client.head_object(oss.HeadObjectRequest(bucket=BUCKET, key="none")), "NoSuchKey")
    return key


def manage(cloud):
    """The SDK's own upload manager, which checks CRC64 over all parts; then the rest."""
    client = cloud.oss
    with tempfile.NamedTemporaryFile(suffix=".raw") as file:
        file.write(os.urandom(3 << 20))
        file.flush()
        request = oss.PutObjectRequest(bucket=BUCKET, key="managed.raw")
        client.uploader(part_size=1 << 20, parallel_num=3).upload_file(request, filepath=file.name)
        whole = open(file.name, "rb").read()
    assert client.get_object(oss.GetObjectRequest(bucket=BUCKET, key="managed.raw")).body.content == whole
    begun = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=BUCKET, key="k"))
    client.abort_multipart_upload(oss.AbortMultipartUploadRequest(
        bucket=BUCKET, key="k", upload_id=begun.upload_id))
    url = client.presign(oss.GetObjectRequest(bucket=BUCKET, key="managed.raw")).url
    assert urllib.request.urlopen(url).read() == whole
    client.delete_object(oss.DeleteObjectRequest(bucket=BUCKET, key="managed.raw"))
    assert not client.is_object_exist(BUCKET, "managed.raw")
    forbid = oss.PutObjectRequest(bucket=BUCKET, key="once", body=b"1", forbid_overwrite=True)
    client.put_object(forbid)
    refused(lambda: client.put_object(oss.PutObjectRequest(
        bucket=BUCKET, key="once", body=b"2", forbid_overwrite=True)), "FileAlreadyExists")


def by_host(variables):
    """The same, with the bucket in the host name."""
    port = variables["ALICLOUD_OSS_ENDPOINT"].rsplit(":", 1)[1]
    look_up = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **named: look_up(
        "127.0.0.1" if str(host).endswith("localhost") else host, *rest, **named)
    client = Cloud(variables, oss_endpoint=f"http://oss-cn-beijing.localhost:{port}").oss
    client.put_object(oss.PutObjectRequest(bucket=BUCKET, key="by/host", body=b"hosted"))
    assert client.get_object(oss.GetObjectRequest(bucket=BUCKET, key="by/host")).body.content == b"hosted"
    socket.getaddrinfo = look_up


def import_request(cloud, key, **more):
    mapping = ecs_models.ImportImageRequestDiskDeviceMapping(
        ossbucket=BUCKET, ossobject=key, format="RAW", disk_image_size=5)
    return ecs_models.ImportImageRequest(
        region_id=cloud.region, image_name="judge_镜像", description="a description", ostype="linux",
        architecture="x86_64", platform="Others Linux", boot_mode="BIOS", disk_device_mapping=[mapping],
        tag=[ecs_models.ImportImageRequestTag(key="made by", value="a judge/中")],
        features=ecs_models.ImportImageRequestFeatures(nvme_support="supported"), **more)


def create_role(cloud):
    client = cloud.ram
    refused(lambda: client.get_role(ram_models.GetRoleRequest(role_name=ROLE)), "EntityNotExist.Role")
    made = client.create_role(ram_models.CreateRoleRequest(
        role_name=ROLE, assume_role_policy_document=TRUST, description="for imports")).body.role
    assert made.role_name == ROLE and made.arn.endswith(f"role/{ROLE.lower()}"), made
    attach = ram_models.AttachPolicyToRoleRequest(policy_type="System", policy_name=POLICY, role_name=ROLE)
    client.attach_policy_to_role(attach)
    refused(lambda: client.attach_policy_to_role(attach), "EntityAlreadyExists.Role.Policy")
    client.update_role(ram_models.UpdateRoleRequest(role_name=ROLE, new_assume_role_policy_document=TRUST))
    listed = client.list_policies_for_role(ram_models.ListPoliciesForRoleRequest(role_name=ROLE))
    assert [policy.policy_name for policy in listed.body.policies.policy] == [POLICY]
    got = client.get_role(ram_models.GetRoleRequest(role_name=ROLE)).body.role
    assert got.assume_role_policy_document == TRUST


def import_image(cloud, key):
    """Refused without the role, unseen for a while with it, then done; the id."""
    client, request = cloud.ecs, import_request(cloud, key, client_token="judge-1")
    role_missing = ("NoSetRoletoECSServiceAcount", "NoSetRoletoECSServiceAccount")
    refused(lambda: client.import_image(request), *role_missing)
    create_role(cloud)
    refused(lambda: client.import_image(request), *role_missing)
    refused(lambda: client.import_image(request), *role_missing)
    dry = import_request(cloud, key, dry_run=True)
    refused(lambda: client.import_image(dry), "DRYRUN.SUCCESS", "DryRunOperation")
    made = client.import_image(request).body
    assert client.import_image(request).body.image_id == made.image_id, "the token makes it idempotent"
    asked = ecs_models.DescribeTaskAttributeRequest(region_id=cloud.region, task_id=made.task_id)
    seen = []
    while not seen or seen[-1] == "Processing":
        task = client.describe_task_attribute(asked).body
        seen.append(task.task_status)
    assert seen[-1] == "Finished" and task.success_count == 1 and task.failed_count == 0, task
    listed = client.describe_tasks(ecs_models.DescribeTasksRequest(
        region_id=cloud.region, task_ids=made.task_id)).body.task_set.task
    assert [one.task_status for one in listed] == ["Finished"]
    image = None
    while image is None or image.status == "Creating":
        found = client.describe_images(ecs_models.DescribeImagesRequest(
            region_id=cloud.region, image_id=made.image_id, status=STATES)).body.images.image
        image = found[0]
    assert image.status == "Available" and image.image_name == "judge_镜像", image
    assert [(tag.tag_key, tag.tag_value) for tag in image.tags.tag] == [("made by", "a judge/中")]
    return image


def look_after(cloud, image):
    """Shares, tags, names, a copy, and the end of it all."""
    client, here = cloud.ecs, {"region_id": cloud.region, "image_id": image.image_id}
    accounts = [f"{number:016}" for number in range(1, 13)]
    client.modify_image_share_permission(
        ecs_models.ModifyImageSharePermissionRequest(add_account=accounts, **here))
    shared = client.describe_image_share_permission(
        ecs_models.DescribeImageSharePermissionRequest(page_size=50, **here)).body.accounts.account
    assert [one.aliyun_id for one in shared] == accounts[:10], "entries beyond the tenth are dropped"
    client.tag_resources(ecs_models.TagResourcesRequest(
        region_id=cloud.region, resource_type="image", resource_id=[image.image_id],
        tag=[ecs_models.TagResourcesRequestTag(key="more", value="tags")]))
    client.modify_image_attribute(ecs_models.ModifyImageAttributeRequest(image_name="renamed", **here))
    copy = client.copy_image(ecs_models.CopyImageRequest(
        destination_region_id="cn-hangzhou", destination_image_name="copied", **here)).body.image_id
    status = None
    while status in (None, "Creating", "Waiting"):
        status = client.describe_images(ecs_models.DescribeImagesRequest(
            region_id="cn-hangzhou", image_id=copy, status=STATES)).body.images.image[0].status
    assert status == "Available"
    snapshot = image.disk_device_mappings.disk_device_mapping[0].snapshot_id
    found = client.describe_snapshots(ecs_models.DescribeSnapshotsRequest(
        region_id=cloud.region, snapshot_ids=json.dumps([snapshot]))).body.snapshots.snapshot
    assert [one.snapshot_id for one in found] == [snapshot]
    delete = ecs_models.DeleteSnapshotRequest(snapshot_id=snapshot)
    refused(lambda: client.delete_snapshot(delete), "SnapshotCreatedImage")
    client.delete_image(ecs_models.DeleteImageRequest(**here))
    client.delete_snapshot(delete)
    regions = client.describe_regions(ecs_models.DescribeRegionsRequest()).body.regions.region
    assert cloud.region in [region.region_id for region in regions]


def fail(cloud):
    """The wrong format fails with a reason; a running task can be cancelled."""
    client = cloud.ecs
    cloud.oss.put_object(oss.PutObjectRequest(bucket=BUCKET, key="disk.vhd", body=b"not a VHD"))
    mapping = ecs_models.ImportImageRequestDiskDeviceMapping(
        ossbucket=BUCKET, ossobject="disk.vhd", format="VHD", disk_image_size=5)
    request = ecs_models.ImportImageRequest(region_id=cloud.region, disk_device_mapping=[mapping])
    cancelled = client.import_image(request).body
    cancel = ecs_models.CancelTaskRequest(region_id=cloud.region, task_id=cancelled.task_id)
    client.cancel_task(cancel)
    refused(lambda: client.cancel_task(cancel), "IncorrectTaskStatus")
    made = client.import_image(request).body
    asked = ecs_models.DescribeTaskAttributeRequest(region_id=cloud.region, task_id=made.task_id)
    task = client.describe_task_attribute(asked).body
    while task.task_status == "Processing":
        task = client.describe_task_attribute(asked).body
    reason = task.operation_progress_set.operation_progress[0]
    assert task.task_status == "Failed" and "VHD" in reason.error_msg, task
    image = client.describe_images(ecs_models.DescribeImagesRequest(
        region_id=cloud.region, image_id=made.image_id)).body.images.image
    assert image == [], "only available images are shown by default"


def sessions(cloud, variables):
    """Who is calling, and temporary keys that work everywhere."""
    assert cloud.sts.get_caller_identity().body.identity_type == "RAMUser"
    account = cloud.sts.get_caller_identity().body.account_id
    trust = TRUST.replace('"Service": ["ecs.aliyuncs.com"]', f'"RAM": ["acs:ram::{account}:root"]')
    cloud.ram.create_role(ram_models.CreateRoleRequest(role_name="Guest", assume_role_policy_document=trust))
    keys = cloud.sts.assume_role(sts_models.AssumeRoleRequest(
        role_arn=f"acs:ram::{account}:role/guest", role_session_name="judge", duration_seconds=900,
    )).body.credentials
    guest = Cloud(variables, keys.access_key_secret, keys.access_key_id, keys.security_token)
    assert guest.sts.get_caller_identity().body.identity_type == "AssumedRoleUser"
    assert guest.oss.is_bucket_exist(BUCKET)
    guest.ram.get_role(ram_models.GetRoleRequest(role_name="Guest"))
    guest.ecs.describe_regions(ecs_models.DescribeRegionsRequest())
    trust = TRUST.replace('"Service": ["ecs.aliyuncs.com"]', '"Federated": ["*"]')
    cloud.ram.create_role(ram_models.CreateRoleRequest(role_name="Ci", assume_role_policy_document=trust))
    token = cloud.sts.assume_role_with_oidc(sts_models.AssumeRoleWithOIDCRequest(
        role_arn=f"acs:ram::{account}:role/ci", oidcprovider_arn="any", oidctoken="a token",
        role_session_name="judge")).body.credentials
    ci = Cloud(variables, token.access_key_secret, token.access_key_id, token.security_token)
    assert "ci" in ci.sts.get_caller_identity().body.arn.lower()
    wrong = Cloud(variables, keys.access_key_secret, keys.access_key_id, "another token")
    refused(lambda: wrong.oss.put_object(oss.PutObjectRequest(bucket=BUCKET, key="k", body=b"")),
            "InvalidSecurityToken")
    refused(lambda: wrong.sts.get_caller_identity(), "InvalidSecurityToken.MismatchWithAccessKey")


def wrong_secret(variables):
    cloud = Cloud(variables, secret="not-the-secret")
    put = oss.PutObjectRequest(bucket=BUCKET, key="k", body=b"")
    error = refused(lambda: cloud.oss.put_object(put), "SignatureDoesNotMatch")
    assert error.status_code == 403 and error.ec == "0002-00000040", error
    head = refused(lambda: cloud.oss.head_object(oss.HeadObjectRequest(bucket=BUCKET, key="k")),
                   "SignatureDoesNotMatch")
    assert head.status_code == 403
    refused(lambda: cloud.ecs.describe_regions(ecs_models.DescribeRegionsRequest()), "SignatureDoesNotMatch")
    refused(lambda: cloud.ram.get_role(ram_models.GetRoleRequest(role_name=ROLE)), "SignatureDoesNotMatch")
    refused(lambda: cloud.sts.get_caller_identity(), "SignatureDoesNotMatch")


def judge(variables):
    cloud = Cloud(variables)
    key = upload(cloud)
    manage(cloud)
    by_host(variables)
    image = import_image(cloud, key)
    look_after(cloud, image)
    fail(cloud)
    sessions(cloud, variables)
    wrong_secret(variables)


def main():
    if not sys.argv[1:]:
        sys.exit(__doc__)
    process, variables = started(sys.argv[1:])
    try:
        judge(variables)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    print("Alibaba's SDKs can upload, create the role and import; a wrong secret is refused.")


if __name__ == "__main__":
    main()
