//! What the blocks' room tells, shown; and a refusal, with the policy that would have helped.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::{Run, partition};
use super::writer;
use super::writer::Trouble;
use crate::error::Error;
use crate::progress::Transfer;
use crate::transfer::Moved;
use crate::units;

/// "Permissions to use the EBS direct APIs with encryption" of the EBS user guide.
const KEY: &str = "; an encrypted one needs its KMS key, too: kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext, kms:ReEncrypt*";

impl Run<'_> {
    /// A refusal, with the smallest policy that would have helped.
    pub(super) fn refused(&self, what: &str, trouble: Trouble, action: &str) -> Error {
        if trouble.fault.is_denied() {
            let policy = writing(&self.job.region);
            let key = self.job.encryption.as_ref().map_or("", |_| KEY);
            return Error::failed(what).because(trouble.fault).hint(format!(
                "allow the caller {action}; the policy for the blocks of a snapshot is: {policy}{key}"
            ));
        }
        trouble.fault.fails(what, action)
    }
}

/// Permission to write snapshots and nothing else.
fn writing(region: &str) -> String {
    let partition = partition::of(region);
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"],
            "Resource": format!("arn:{partition}:ec2:{region}::snapshot/*"),
        }],
    })
    .to_string()
}

/// What the room tells, shown.
pub(super) struct Shown(Mutex<Option<Transfer>>);

impl Shown {
    pub(super) fn new(transfer: Transfer) -> Self {
        Self(Mutex::new(Some(transfer)))
    }

    fn with(&self, show: impl FnOnce(&Transfer)) {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.as_ref().map(show);
    }

    /// All blocks are there.
    pub(super) fn finish(&self) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.take().into_iter().for_each(Transfer::finish);
    }
}

impl writer::Observer for Shown {
    fn acknowledged(&self, bytes: u64) {
        self.with(|transfer| transfer.acknowledged(bytes));
    }

    fn moved(&self, moved: Moved) {
        self.with(|transfer| transfer.moved(moved.bytes, moved.unanswered));
    }

    fn resumed(&self, bytes: u64) {
        self.with(|transfer| transfer.resumed(bytes));
    }

    fn skipped(&self, bytes: u64) {
        self.with(|transfer| transfer.skipped(bytes));
    }

    fn retrying(&self, index: u32, attempt: u32, pause: Duration, why: &str) {
        let pause = units::pause(pause);
        let text = format!("block {index}, try {attempt}: {why}; again in {pause}");
        self.with(|transfer| transfer.note(&text));
    }

    fn narrowed(&self, blocks: usize) {
        let text = format!("the service asks to slow down: {blocks} blocks at once for now");
        self.with(|transfer| transfer.note(&text));
    }
}
