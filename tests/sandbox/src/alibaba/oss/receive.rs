//! Takes a body in: writes it to disk, computes MD5 and CRC64, verifies Content-MD5.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use http_body_util::BodyExt;
use md5::{Digest, Md5};

use super::buckets::{Object, ObjectOptions, Oss};
use super::{Failure, OssRequest, internal};
use crate::alibaba::moment;
use crate::content::{Content, Draft};
use crate::serve::Body;

/// CRC-64/XZ, which OSS calls ECMA.
pub(super) const CRC64: CrcAlgorithm = CrcAlgorithm::Crc64Xz;

pub(super) struct ReceivedBody {
    pub(super) content: Content,
    /// MD5 in upper-case hex, as OSS's ETags are
    pub(super) etag: String,
    pub(super) crc64: u64,
}

struct BodyReceiver {
    draft: Draft,
    md5: Md5,
    crc64: Crc,
}

impl BodyReceiver {
    fn new(oss: &Oss) -> Result<Self, Failure> {
        Ok(Self {
            draft: Draft::new(oss.dir.path()).map_err(|err| internal(&err))?,
            md5: Md5::new(),
            crc64: Crc::new(CRC64),
        })
    }

    fn update(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.md5.update(chunk);
        self.crc64.update(chunk);
        self.draft.write(chunk).map_err(|err| internal(&err))
    }

    fn finish(self, claimed_md5: Option<&str>) -> Result<ReceivedBody, Failure> {
        let md5 = self.md5.finalize();
        if let Some(claim) = claimed_md5
            && BASE64_STANDARD.decode(claim).ok().as_deref() != Some(md5.as_slice())
        {
            let text = "The Content-MD5 you specified did not match what we received.";
            return Err(Failure::new(400, "InvalidDigest", text).with("Content-MD5", claim));
        }
        Ok(ReceivedBody {
            content: self.draft.finish().map_err(|err| internal(&err))?,
            etag: hex::encode_upper(md5),
            crc64: self.crc64.finalize(),
        })
    }
}

impl Oss {
    /// Reads the body to its end; nothing is kept unless all of it is as claimed.
    pub(super) async fn receive(
        &self,
        ask: &OssRequest<'_>,
        body: &mut Body,
    ) -> Result<ReceivedBody, Failure> {
        let length = ask
            .header("content-length")
            .and_then(|length| length.parse::<u64>().ok());
        let missing = || {
            Failure::new(
                411,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            )
        };
        let length = length.ok_or_else(missing)?;
        let mut intake = BodyReceiver::new(self)?;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| incomplete())?;
            if let Some(chunk) = frame.data_ref() {
                intake.update(chunk)?;
            }
        }
        let received = intake.finish(ask.header("content-md5"))?;
        if received.content.size() == length {
            Ok(received)
        } else {
            Err(incomplete())
        }
    }

    /// An object made without a request.
    pub(super) fn object_of(&self, bytes: &[u8]) -> anyhow::Result<Object> {
        let broken = |failure: Failure| anyhow::anyhow!("{failure:?}");
        let mut intake = BodyReceiver::new(self).map_err(broken)?;
        intake.update(bytes).map_err(broken)?;
        Ok(Object::new(
            intake.finish(None).map_err(broken)?,
            ObjectOptions::default(),
        ))
    }
}

fn incomplete() -> Failure {
    let text =
        "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    Failure::new(400, "IncompleteBody", text)
}

impl Object {
    pub(super) fn new(received: ReceivedBody, options: ObjectOptions) -> Self {
        Self {
            content: received.content,
            etag: received.etag,
            crc64: received.crc64,
            modified: moment::now(),
            kind: "Normal",
            options,
        }
    }
}
