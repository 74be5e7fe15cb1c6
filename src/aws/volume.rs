//! EC2's descriptions of snapshots and their encryption.

use aws_sdk_ec2::types::{Snapshot, SnapshotState};

use super::client::Clients;
use super::consistency::is_unknown;
use super::error::ServiceError;
use crate::error::{Error, Result};
use crate::import::poll::{Poll, PollError};

const PERMISSION: &str = "ec2:DescribeSnapshots";

/// How far a snapshot is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It takes blocks, or is being made of them.
    Pending { encrypted: bool },
    /// It is there.
    Completed { encrypted: bool },
    /// It has failed, or is not known any more.
    Unusable,
}

async fn describe(clients: &Clients, snapshot: &str) -> Result<Option<Snapshot>, ServiceError> {
    let call = clients.ec2.describe_snapshots().snapshot_ids(snapshot);
    match call.send().await.map_err(ServiceError::from) {
        Ok(answer) => Ok(answer.snapshots.and_then(|found| found.into_iter().next())),
        Err(fault) if is_unknown(&fault) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// How far the snapshot is.
pub async fn state(clients: &Clients, snapshot: &str) -> Result<State> {
    let what = || format!("the state of {snapshot} could not be asked");
    let found = describe(clients, snapshot).await;
    let found = found.map_err(|fault| fault.into_error(what(), PERMISSION))?;
    let Some(found) = found else {
        return Ok(State::Unusable);
    };
    let encrypted = found.encrypted.unwrap_or(true);
    Ok(match found.state.as_ref().map(SnapshotState::as_str) {
        Some("completed") => State::Completed { encrypted },
        None | Some("pending") => State::Pending { encrypted },
        Some(_) => State::Unusable,
    })
}

/// One question to a snapshot that is being completed. That it has failed is an answer, too.
pub async fn poll(clients: &Clients, snapshot: &str) -> Result<Poll<Result<()>>, PollError> {
    let failed = || format!("the state of {snapshot} could not be asked");
    let found = match describe(clients, snapshot).await {
        Ok(found) => found,
        Err(fault) if fault.is_transient() => {
            return Err(PollError::Transient(fault.into_error(failed(), PERMISSION)));
        }
        Err(fault) => return Err(PollError::Permanent(fault.into_error(failed(), PERMISSION))),
    };
    let Some(found) = found else {
        let error = Error::failed(format!("{snapshot} is gone"));
        let error = error.with_cause("EC2 knows no such snapshot");
        return Ok(Poll::Done(Err(error)));
    };
    Ok(match found.state.as_ref().map(SnapshotState::as_str) {
        Some("completed") => Poll::Done(Ok(())),
        None | Some("pending") => Poll::Pending {
            percent: found
                .progress
                .and_then(|text| text.trim_end_matches('%').parse().ok()),
            message: "pending".to_owned(),
        },
        Some(_) => {
            let reason = found.state_message.filter(|text| !text.is_empty());
            let reason = reason.unwrap_or_else(|| "AWS gave no reason".to_owned());
            let failed = Error::failed(format!("{snapshot} could not be completed"));
            Poll::Done(Err(failed.with_cause(reason)))
        }
    })
}

/// Whether the account encrypts all that is new; none where nobody says it.
pub async fn encrypted_by_default(clients: &Clients) -> Result<Option<bool>> {
    let answer = clients.ec2.get_ebs_encryption_by_default().send().await;
    match answer.map_err(ServiceError::from) {
        Ok(answer) => Ok(Some(answer.ebs_encryption_by_default.unwrap_or(true))),
        Err(fault) if fault.is_inconclusive() => Ok(None),
        Err(fault) => Err(fault.into_error(
            "the account's default encryption could not be asked",
            "ec2:GetEbsEncryptionByDefault",
        )),
    }
}
