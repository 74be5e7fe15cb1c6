//! The EBS direct APIs: what each call sends, and what its response means for the next step.
//!
//! Timeouts. A block has only a connect timeout: the engine cancels the call when no byte has
//! moved for a while. The SDK's own retries and its stalled-stream protection are off for
//! blocks, because two nested loops would multiply their retries. The body of a block is not
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
use bytes::Bytes;

use super::checksums::BlockChecksum;
use crate::aws::consistency::CONSISTENCY;
use crate::aws::error::ServiceError;
use crate::import::journal::SnapshotRequest;
use crate::net::retry::wait_while;
use crate::net::sdk_http::connect_timeout_only;
use crate::store::{self, ByteGate, ErrorClass, PartBody};

const NOT_FOUND_CODE: &str = "ResourceNotFoundException";

/// A snapshot that takes blocks.
#[derive(Clone, Debug)]
pub struct StartedSnapshot {
    pub snapshot: String,
    /// Bytes of a block.
    pub block_size: usize,
    pub encrypted: bool,
}

/// Why a call brought nothing, and what sort of failure that is.
#[derive(Clone, Debug)]
pub struct EbsError {
    pub error: ServiceError,
    pub class: ErrorClass,
}

impl EbsError {
    /// The service knows no such snapshot, or not everywhere yet.
    pub fn is_unknown(&self) -> bool {
        self.error.code() == NOT_FOUND_CODE
    }
}

/// The service. Clones share credentials and connections.
#[derive(Clone)]
pub struct EbsClient(Arc<Mutex<ClientPair>>);

#[derive(Clone)]
struct ClientPair {
    control: Client,
    data: Client,
    /// The number of times that the credentials were requested again.
    renewals: u32,
}

impl ClientPair {
    /// The same, with credentials yet to be fetched.
    fn renewed(&self) -> Self {
        let cache = IdentityCache::lazy().build();
        let fresh = |client: &Client| {
            let config = client.config().to_builder();
            Client::from_conf(config.identity_cache(cache.clone()).build())
        };
        Self {
            control: fresh(&self.control),
            data: fresh(&self.data),
            renewals: self.renewals + 1,
        }
    }
}

impl EbsClient {
    /// Through this client's credentials, region and endpoint.
    pub fn new(client: &Client) -> Self {
        let blocks = client
            .config()
            .to_builder()
            .timeout_config(connect_timeout_only())
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Self(Arc::new(Mutex::new(ClientPair {
            control: client.clone(),
            data: Client::from_conf(blocks.build()),
            renewals: 0,
        })))
    }

    fn clients(&self) -> ClientPair {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Credentials that the service calls expired are not used again: the SDK would keep
    /// them until the end that they were said to have.
    fn failed(&self, used: &ClientPair, error: EbsError) -> EbsError {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if error.class == ErrorClass::ExpiredCredentials && clients.renewals == used.renewals {
            *clients = clients.renewed();
        }
        error
    }

    /// StartSnapshot, again if the answer can't be read. The token makes a repeated request the
    /// same one.
    pub async fn start(
        &self,
        spec: &SnapshotRequest,
        token: &str,
    ) -> Result<StartedSnapshot, EbsError> {
        let request = || self.start_once(spec, token);
        let is_retryable = |error: &EbsError| error.error.is_invalid_response();
        wait_while(CONSISTENCY, request, is_retryable).await
    }

    async fn start_once(
        &self,
        spec: &SnapshotRequest,
        token: &str,
    ) -> Result<StartedSnapshot, EbsError> {
        let tags = spec.tags.iter();
        let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
        let tags: Vec<_> = tags.collect();
        let clients = self.clients();
        let answer = clients
            .control
            .start_snapshot()
            .volume_size(spec.volume_size)
            .set_description(spec.description.clone())
            .set_tags((!tags.is_empty()).then_some(tags))
            .client_token(token)
            .set_encrypted(spec.encrypted.then_some(true))
            .set_kms_key_arn(spec.kms_key.clone())
            .timeout(spec.timeout)
            .send()
            .await
            .map_err(|error| self.failed(&clients, classify(error)))?;
        let unreadable = || EbsError {
            error: ServiceError::invalid_response("AWS gave no snapshot id"),
            class: ErrorClass::Transient,
        };
        let block_size = answer
            .block_size
            .and_then(|size| usize::try_from(size).ok());
        Ok(StartedSnapshot {
            snapshot: answer.snapshot_id.ok_or_else(unreadable)?,
            block_size: block_size.filter(|size| *size > 0).ok_or_else(unreadable)?,
            encrypted: answer.kms_key_arn.is_some(),
        })
    }

    /// PutSnapshotBlock, once. Dropping the future gives the connection up.
    pub async fn put_block(
        &self,
        snapshot: &str,
        index: u32,
        checksum: &BlockChecksum,
        bytes: Bytes,
        gate: Arc<dyn ByteGate>,
    ) -> Result<(), EbsError> {
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        let body = SdkBody::from_body_1_x(PartBody::new(bytes, Some(gate)));
        let clients = self.clients();
        let call = clients
            .data
            .put_snapshot_block()
            .snapshot_id(snapshot)
            .block_index(i32::try_from(index).unwrap_or(i32::MAX))
            .block_data(ByteStream::new(body))
            .data_length(length)
            .checksum(checksum.base64())
            .checksum_algorithm(ChecksumAlgorithm::ChecksumAlgorithmSha256);
        call.send()
            .await
            .map(drop)
            .map_err(|error| self.failed(&clients, classify_block(error)))
    }

    /// CompleteSnapshot, once: of a lost answer the caller must know.
    pub async fn complete(
        &self,
        snapshot: &str,
        blocks: usize,
        checksum: &str,
    ) -> Result<(), EbsError> {
        let clients = self.clients();
        let call = clients
            .control
            .complete_snapshot()
            .snapshot_id(snapshot)
            .changed_blocks_count(i32::try_from(blocks).unwrap_or(i32::MAX))
            .checksum(checksum)
            .checksum_algorithm(ChecksumAlgorithm::ChecksumAlgorithmSha256)
            .checksum_aggregation_method(ChecksumAggregationMethod::ChecksumAggregationLinear);
        let no_retry = aws_sdk_ebs::config::Builder::new().retry_config(RetryConfig::disabled());
        call.customize()
            .config_override(no_retry)
            .send()
            .await
            .map(drop)
            .map_err(|error| self.failed(&clients, classify(error)))
    }
}

/// By the table of all services, and by what is this one's own: too fast is a 400 here.
fn classify<E>(error: SdkError<E>) -> EbsError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    SdkError<E>: RequestId,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let garbage = matches!(error, SdkError::ResponseError(_));
    let fault = ServiceError::from(error);
    let code = (!fault.code().is_empty()).then(|| fault.code().to_owned());
    let class = match (fault.code(), status) {
        (NOT_FOUND_CODE, _) => ErrorClass::NoSuchUpload,
        ("ConcurrentLimitExceededException", _) => ErrorClass::Throttled { retry_after: None },
        (_, Some(status)) if !garbage => store::Error::response(status, code, "").class(),
        _ if garbage || fault.is_transient() => ErrorClass::Transient,
        _ => ErrorClass::Permanent,
    };
    EbsError {
        error: fault,
        class,
    }
}

/// A block's refusals have a reason beside the code.
fn classify_block(error: SdkError<PutSnapshotBlockError>) -> EbsError {
    let reason = match error.as_service_error() {
        Some(PutSnapshotBlockError::ValidationException(refused)) => refused.reason().cloned(),
        _ => None,
    };
    let error = classify(error);
    let of_checksum = || error.error.message().to_lowercase().contains("checksum");
    let class = match reason {
        Some(
            ValidationExceptionReason::WriteRequestTimeout
            | ValidationExceptionReason::InvalidSnapshotId,
        ) => ErrorClass::NoSuchUpload,
        Some(ValidationExceptionReason::InvalidBlock) => ErrorClass::ChecksumMismatch,
        Some(_) if of_checksum() => ErrorClass::ChecksumMismatch,
        // Two tries of one block met; the later one settles it.
        Some(ValidationExceptionReason::ConflictingBlockUpdate) => ErrorClass::Transient,
        _ => error.class,
    };
    EbsError { class, ..error }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_ebs::config::{BehaviorVersion, timeout::TimeoutConfig};

    use super::*;

    /// What a client's timeouts leave out comes from the client that it was made from.
    #[test]
    fn block_upload_ignores_client_timeout() {
        let second = Duration::from_secs(1);
        let hasty = TimeoutConfig::builder()
            .read_timeout(second)
            .operation_attempt_timeout(second)
            .operation_timeout(second);
        let config = aws_sdk_ebs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .timeout_config(hasty.build());
        let clients = EbsClient::new(&Client::from_conf(config.build())).clients();
        let blocks = clients.data.config().timeout_config();
        assert_eq!(blocks, Some(&connect_timeout_only()));
    }
}
