//! Alibaba Cloud: imports, the bucket and the object, and the permissions.

mod denied;
mod imports;
mod oss;

use imgimport_sandbox::alibaba::{CopyScript, ImportScript, REGION};

use crate::support::TestEnv;

/// A bucket, a role, imports that go through in two polls, a disk of 2 MiB.
async fn stage() -> TestEnv {
    let env = TestEnv::new().await;
    env.cloud.ecs().import_script(ImportScript::quick());
    env.cloud.ecs().copy_script(CopyScript::creating(1));
    env.cloud.oss().create_bucket("packer", REGION);
    env.cloud.ram().put_import_role();
    env.disk(2);
    env
}
