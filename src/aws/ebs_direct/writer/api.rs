//! The EBS direct APIs: what each call sends, and what its answer means for the next step.
//!
//! Timeouts. A block has a connect timeout and no other: the engine drops the call when
//! no byte has moved for a while. The SDK's own retries and its stalled-stream
//! protection are off for blocks, lest two loops multiply. The body of a block is not
//! part of the signature, its checksum is (`v4-unsigned-body` in the service's model).

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ebs::Client;
use aws_sdk_ebs::config::{IdentityCache, StalledStreamProtectionConfig, retry::RetryConfig};
use aws_sdk_ebs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ebs::operation::RequestId;
use aws_sdk_ebs::operation::put_snapshot_block::PutSnapshotBlockError;
use aws_sdk_ebs::primitives::{ByteStream, SdkBody};
use aws_sdk_ebs::types::{
    ChecksumAggregationMethod, ChecksumAlgorithm, Tag, ValidationExceptionReason,
};
use backon::Retryable;
use bytes::Bytes;

use super::checksums::Sum;
use crate::aws::consistency::consistency_backoff;
use crate::aws::error::Fault;
use crate::import::journal::SnapshotRequest;
use crate::net::sdk_http::connect_timeout_only;
use crate::store::{self, Body, Class, Tap};

const UNKNOWN: &str = "ResourceNotFoundException";

/// A snapshot that takes blocks.
#[derive(Clone, Debug)]
pub struct Started {
    pub snapshot: String,
    /// Bytes of a block.
    pub block_size: usize,
    pub encrypted: bool,
}

/// Why a call brought nothing, and what sort of failure that is.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub fault: Fault,
    pub class: Class,
}

impl Trouble {
    /// The service knows no such snapshot, or not everywhere yet.
    pub fn is_unknown(&self) -> bool {
        self.fault.code() == UNKNOWN
    }
}

/// The service. Clones share credentials and connections.
#[derive(Clone)]
pub struct Direct(Arc<Mutex<Clients>>);

#[derive(Clone)]
struct Clients {
    small: Client,
    blocks: Client,
    /// How often the credentials were asked for anew.
    renewals: u32,
}

impl Clients {
    /// The same, with credentials yet to be fetched.
    fn renewed(&self) -> Self {
        let cache = IdentityCache::lazy().build();
        let fresh = |client: &Client| {
            let config = client.config().to_builder();
            Client::from_conf(config.identity_cache(cache.clone()).build())
        };
        Self {
            small: fresh(&self.small),
            blocks: fresh(&self.blocks),
            renewals: self.renewals + 1,
        }
    }
}

impl Direct {
    /// Through this client's credentials, region and endpoint.
    pub fn new(client: &Client) -> Self {
        let blocks = client
            .config()
            .to_builder()
            .timeout_config(connect_timeout_only())
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Self(Arc::new(Mutex::new(Clients {
            small: client.clone(),
            blocks: Client::from_conf(blocks.build()),
            renewals: 0,
        })))
    }

    fn clients(&self) -> Clients {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Credentials that the service calls expired are not used again: the SDK would keep
    /// them until the end that they were said to have.
    fn failed(&self, used: &Clients, trouble: Trouble) -> Trouble {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.class == Class::Expired && held.renewals == used.renewals {
            *held = held.renewed();
        }
        trouble
    }

    /// StartSnapshot, again if the answer can't be read. The token makes a repeated request the
    /// same one.
    pub async fn start(&self, wish: &SnapshotRequest, token: &str) -> Result<Started, Trouble> {
        let request = || self.start_once(wish, token);
        let again = |trouble: &Trouble| trouble.fault.is_unreadable();
        request.retry(consistency_backoff()).when(again).await
    }

    async fn start_once(&self, wish: &SnapshotRequest, token: &str) -> Result<Started, Trouble> {
        let tags = wish.tags.iter();
        let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
        let tags: Vec<_> = tags.collect();
        let clients = self.clients();
        let answer = clients
            .small
            .start_snapshot()
            .volume_size(wish.volume_size)
            .set_description(wish.description.clone())
            .set_tags((!tags.is_empty()).then_some(tags))
            .client_token(token)
            .set_encrypted(wish.encrypted.then_some(true))
            .set_kms_key_arn(wish.kms_key.clone())
            .timeout(wish.timeout)
            .send()
            .await
            .map_err(|error| self.failed(&clients, judged(error)))?;
        let unreadable = || Trouble {
            fault: Fault::unreadable("AWS gave no snapshot id"),
            class: Class::Transient,
        };
        let block_size = answer
            .block_size
            .and_then(|size| usize::try_from(size).ok());
        Ok(Started {
            snapshot: answer.snapshot_id.ok_or_else(unreadable)?,
            block_size: block_size.filter(|size| *size > 0).ok_or_else(unreadable)?,
            encrypted: answer.kms_key_arn.is_some(),
        })
    }

    /// PutSnapshotBlock, once. Dropping the future gives the connection up.
    pub async fn put(
        &self,
        snapshot: &str,
        index: u32,
        sum: &Sum,
        bytes: Bytes,
        tap: Arc<dyn Tap>,
    ) -> Result<(), Trouble> {
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        let body = SdkBody::from_body_1_x(Body::new(bytes, Some(tap)));
        let clients = self.clients();
        let call = clients
            .blocks
            .put_snapshot_block()
            .snapshot_id(snapshot)
            .block_index(i32::try_from(index).unwrap_or(i32::MAX))
            .block_data(ByteStream::new(body))
            .data_length(length)
            .checksum(sum.base64())
            .checksum_algorithm(ChecksumAlgorithm::ChecksumAlgorithmSha256);
        call.send()
            .await
            .map(drop)
            .map_err(|error| self.failed(&clients, block_refused(error)))
    }

    /// CompleteSnapshot, once: of a lost answer the caller must know.
    pub async fn complete(&self, snapshot: &str, blocks: usize, sum: &str) -> Result<(), Trouble> {
        let clients = self.clients();
        let call = clients
            .small
            .complete_snapshot()
            .snapshot_id(snapshot)
            .changed_blocks_count(i32::try_from(blocks).unwrap_or(i32::MAX))
            .checksum(sum)
            .checksum_algorithm(ChecksumAlgorithm::ChecksumAlgorithmSha256)
            .checksum_aggregation_method(ChecksumAggregationMethod::ChecksumAggregationLinear);
        let once = aws_sdk_ebs::config::Builder::new().retry_config(RetryConfig::disabled());
        call.customize()
            .config_override(once)
            .send()
            .await
            .map(drop)
            .map_err(|error| self.failed(&clients, judged(error)))
    }
}

/// By the table of all services, and by what is this one's own: too fast is a 400 here.
fn judged<E>(error: SdkError<E>) -> Trouble
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    SdkError<E>: RequestId,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let garbage = matches!(error, SdkError::ResponseError(_));
    let fault = Fault::from(error);
    let code = (!fault.code().is_empty()).then(|| fault.code().to_owned());
    let class = match (fault.code(), status) {
        (UNKNOWN, _) => Class::Gone,
        ("ConcurrentLimitExceededException", _) => Class::Throttled { retry_after: None },
        (_, Some(status)) if !garbage => store::Error::answered(status, code, "").class(),
        _ if garbage || fault.is_passing() => Class::Transient,
        _ => Class::Final,
    };
    Trouble { fault, class }
}

/// A block's refusals have a reason beside the code.
fn block_refused(error: SdkError<PutSnapshotBlockError>) -> Trouble {
    let reason = match error.as_service_error() {
        Some(PutSnapshotBlockError::ValidationException(refused)) => refused.reason().cloned(),
        _ => None,
    };
    let trouble = judged(error);
    let of_checksum = || trouble.fault.message().to_lowercase().contains("checksum");
    let class = match reason {
        Some(
            ValidationExceptionReason::WriteRequestTimeout
            | ValidationExceptionReason::InvalidSnapshotId,
        ) => Class::Gone,
        Some(ValidationExceptionReason::InvalidBlock) => Class::Garbled,
        Some(_) if of_checksum() => Class::Garbled,
        // Two tries of one block met; the later one settles it.
        Some(ValidationExceptionReason::ConflictingBlockUpdate) => Class::Transient,
        _ => trouble.class,
    };
    Trouble { class, ..trouble }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_ebs::config::{BehaviorVersion, timeout::TimeoutConfig};

    use super::*;

    /// What a client's timeouts leave out comes from the client that it was made from.
    #[test]
    fn a_block_may_take_as_long_as_it_needs_whatever_the_client_allows() {
        let second = Duration::from_secs(1);
        let hasty = TimeoutConfig::builder()
            .read_timeout(second)
            .operation_attempt_timeout(second)
            .operation_timeout(second);
        let config = aws_sdk_ebs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .timeout_config(hasty.build());
        let clients = Direct::new(&Client::from_conf(config.build())).clients();
        let blocks = clients.blocks.config().timeout_config();
        assert_eq!(blocks, Some(&connect_timeout_only()));
    }
}
