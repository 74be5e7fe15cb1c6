//! Alibaba Cloud's OSS in its own words: addresses, requests, the CRC that every answer
//! is compared with. What answers mean is read in `answers`, the bucket itself is looked
//! after in `bucket`. Keys, their renewal and the signature are the [`Signer`]'s.

mod bucket;
mod parse;
mod url;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Checksum, Class, Digest, Error, Head, Limits, ListedPart, Part, Result, SentPart, Store,
    UploadId, Whole, is_the_object,
};
use crate::net::http::{ANSWER, Answer, Call, Http, Method, Payload, is_last_page};
use crate::net::retry::Patience;
pub use bucket::Bucket;
use parse::{Begun, Parts, Uploads, crc, failure, read};
pub use url::{Addressing, Place};

/// OSS "Limits": 10,000 parts of 100 KB to 5 GB; 48.8 TB.
pub const LIMITS: Limits = Limits {
    min_part: 100 << 10,
    max_part: 5 << 30,
    max_parts: 10_000,
    max_object: 10_000 * (5 << 30),
    at_once: 32,
};

/// Completing thousands of parts takes OSS a while.
const FINISH: Duration = Duration::from_mins(15);

/// Names and values, of a query or of headers.
pub type Pairs = Vec<(String, String)>;

/// A request before it is signed.
pub struct Unsigned<'a> {
    /// The verb.
    pub method: &'a str,
    /// `/bucket/key`, whatever the address: what the signature is about.
    pub path: &'a str,
    /// All parameters.
    pub query: &'a [(String, String)],
    /// What is sent; names in lower case.
    pub headers: &'a [(String, String)],
}

/// Knows the caller's key.
pub trait Signer: Send + Sync + 'static {
    /// The headers that make it a signed request.
    fn sign<'a>(
        &'a self,
        request: &'a Unsigned<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<Pairs>> + Send + 'a>>;

    /// The service calls the key expired: the next signature needs another one.
    fn expired(&self);
}

/// An object in OSS.
#[derive(Clone)]
pub struct Oss {
    http: Http,
    signer: Arc<dyn Signer>,
    place: Place,
    patience: Patience,
}

/// One request about the bucket or the object.
struct Ask<'a> {
    method: Method,
    key: &'a str,
    query: &'a [(&'a str, &'a str)],
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
    timeout: Duration,
}

impl<'a> Ask<'a> {
    fn about(method: Method, key: &'a str, query: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            method,
            key,
            query,
            headers: &[],
            body: "",
            timeout: ANSWER,
        }
    }
}

fn owned(pairs: &[(&str, &str)]) -> Pairs {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

impl Oss {
    /// The object `place`.
    pub fn new(http: Http, signer: Arc<dyn Signer>, place: Place, patience: Patience) -> Self {
        Self {
            http,
            signer,
            place,
            patience,
        }
    }

    /// Signs and sends, once.
    async fn send(
        &self,
        ask: &Ask<'_>,
        body: Payload,
        timeout: Option<Duration>,
    ) -> Result<Answer> {
        let (query, mut headers) = (owned(ask.query), owned(ask.headers));
        let path = format!("/{}/{}", self.place.bucket, ask.key);
        let signature = self
            .signer
            .sign(&Unsigned {
                method: ask.method.as_str(),
                path: &path,
                query: &query,
                headers: &headers,
            })
            .await?;
        headers.extend(signature);
        let call = Call {
            service: "oss",
            method: ask.method.clone(),
            url: self.place.url(ask.key, &query),
            headers,
            body,
            timeout,
            secret: false,
            direct: false,
        };
        let answer = self.http.send(call).await;
        let answer = answer.map_err(|silence| Error::unanswered(silence.to_string()))?;
        if answer.is_success() {
            return Ok(answer);
        }
        let error = failure(&answer);
        if error.class() == Class::Expired {
            self.signer.expired();
        }
        Err(error)
    }

    /// A small request, tried again while that may help.
    async fn ask(&self, ask: Ask<'_>) -> Result<Answer> {
        self.ask_for(ask, Ok).await
    }

    /// The same, until the answer can be read, too.
    async fn ask_for<T>(&self, ask: Ask<'_>, read: impl Fn(Answer) -> Result<T>) -> Result<T> {
        let mut pauses = self.patience.pauses();
        let mut renewed = false;
        loop {
            let body = match ask.body {
                "" => Payload::Empty,
                text => Payload::Document(text.to_owned().into()),
            };
            let sent = self.send(&ask, body, Some(ask.timeout)).await;
            let error = match sent.and_then(&read) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = error.class().is_worth_a_retry() && error.class() != Class::Garbled;
            if !again || (error.class() == Class::Expired && renewed) {
                return Err(error);
            }
            renewed |= error.class() == Class::Expired;
            let asked = match error.class() {
                Class::Throttled { retry_after } => retry_after,
                _ => None,
            };
            let Some(pause) = pauses.next(asked) else {
                return Err(error);
            };
            tracing::debug!("oss: {error}; again in {pause:?}");
            tokio::time::sleep(pause).await;
        }
    }

    async fn complete(&self, upload: &UploadId, parts: &[SentPart], whole: &Whole) -> Result<()> {
        let list = parse::complete(parts)?;
        let query = [("uploadId", upload.0.as_str())];
        let answer = self
            .ask(Ask {
                headers: &[("content-type", "application/xml")],
                body: &list,
                timeout: FINISH,
                ..Ask::about(Method::POST, &self.place.key, &query)
            })
            .await?;
        let (there, here) = (crc(&answer), whole.digest);
        if there.is_none() || here.is_none() || there == here {
            return Ok(());
        }
        // An object of other bytes than the image's is nothing to import.
        let gone = if self.remove().await.is_ok() {
            "; it was deleted"
        } else {
            ""
        };
        Err(Error::other(format!(
            "the object that OSS made has another CRC-64 than the image{gone}"
        ))
        .request(answer.request_id()))
    }

    async fn page<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        query: &[(&str, &str)],
    ) -> Result<T> {
        self.ask_for(Ask::about(Method::GET, key, query), |answer| read(&answer))
            .await
    }
}

impl Store for Oss {
    fn checksum(&self) -> Checksum {
        Checksum::Crc64Ecma
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn patience(&self) -> Patience {
        self.patience
    }

    async fn begin(&self) -> Result<UploadId> {
        let ask = Ask {
            headers: &[("content-type", "application/octet-stream")],
            ..Ask::about(Method::POST, &self.place.key, &[("uploads", "")])
        };
        let answer = self.send(&ask, Payload::Empty, Some(ask.timeout)).await?;
        let upload = UploadId::read(read::<Begun>(&answer)?.upload_id);
        upload.ok_or_else(|| Error::answered(200, None, "the answer names no upload"))
    }

    async fn put(&self, upload: &UploadId, part: Part) -> Result<SentPart> {
        let number = part.number.to_string();
        let query = [
            ("partNumber", number.as_str()),
            ("uploadId", upload.0.as_str()),
        ];
        let ask = Ask::about(Method::PUT, &self.place.key, &query);
        // The engine watches the bytes: how long they may take follows from the line.
        let body = Payload::Part(reqwest::Body::wrap(part.body()));
        let answer = self.send(&ask, body, None).await?;
        if crc(&answer).is_some_and(|there| there != part.digest) {
            let what = "the bytes that arrived have another CRC-64 than those that were sent";
            return Err(Error::other(what)
                .request(answer.request_id())
                .class_is(Class::Garbled));
        }
        let etag = answer
            .header("etag")
            .ok_or_else(|| Error::answered(200, None, "the answer carries no ETag"))?;
        Ok(SentPart {
            number: part.number,
            size: part.bytes.len() as u64,
            etag: etag.to_owned(),
            digest: part.digest,
        })
    }

    async fn list(&self, upload: &UploadId) -> Result<Option<Vec<ListedPart>>> {
        let (mut parts, mut marker) = (Vec::new(), "0".to_owned());
        for number in 1.. {
            let query = [
                ("max-parts", "1000"),
                ("part-number-marker", marker.as_str()),
                ("uploadId", upload.0.as_str()),
            ];
            let page: Parts = match self.page(&self.place.key, &query).await {
                Ok(page) => page,
                Err(error) if error.class() == Class::Gone => return Ok(None),
                Err(error) => return Err(error),
            };
            parts.extend(page.parts.into_iter().map(ListedPart::from));
            match page.next {
                Some(next) if page.truncated && next != marker && !is_last_page(number) => {
                    marker = next;
                }
                _ => break,
            }
        }
        parts.sort_by_key(|part| part.number);
        Ok(Some(parts))
    }

    /// Newest first.
    async fn open_uploads(&self) -> Result<Vec<UploadId>> {
        let (mut uploads, mut markers) = (Vec::new(), (String::new(), String::new()));
        for number in 1.. {
            let mut query = vec![("uploads", ""), ("prefix", self.place.key.as_str())];
            if !markers.0.is_empty() {
                query.push(("key-marker", &markers.0));
                query.push(("upload-id-marker", &markers.1));
            }
            let page: Uploads = self.page("", &query).await?;
            let own = page.uploads.into_iter();
            uploads.extend(own.filter(|upload| upload.key == self.place.key));
            let next = (page.next_key, page.next_upload);
            if !page.truncated || next == markers || is_last_page(number) {
                break;
            }
            markers = next;
        }
        uploads.sort_by(|a, b| b.initiated.cmp(&a.initiated));
        Ok(uploads
            .into_iter()
            .filter_map(|upload| UploadId::read(upload.upload_id))
            .collect())
    }

    async fn finish(&self, upload: &UploadId, parts: &[SentPart], whole: &Whole) -> Result<()> {
        let Err(error) = self.complete(upload, parts, whole).await else {
            return Ok(());
        };
        // An earlier try may have been done although its answer was lost.
        let unsure = matches!(error.class(), Class::Gone | Class::Transient);
        match self.head().await {
            Ok(Some(head)) if unsure && is_the_object(&head, parts, whole) => Ok(()),
            _ => Err(error),
        }
    }

    async fn abort(&self, upload: &UploadId) -> Result<()> {
        let query = [("uploadId", upload.0.as_str())];
        match self
            .ask(Ask::about(Method::DELETE, &self.place.key, &query))
            .await
        {
            Err(error) if error.class() != Class::Gone => Err(error),
            _ => Ok(()),
        }
    }

    async fn head(&self) -> Result<Option<Head>> {
        // OSS's own answer names the request; a page of somebody in between is no object.
        let own = |answer: Answer| match answer.request_id() {
            Some(_) => Ok(answer),
            None => Err(Error::other("the answer is not OSS's").class_is(Class::Transient)),
        };
        match self
            .ask_for(Ask::about(Method::HEAD, &self.place.key, &[]), own)
            .await
        {
            Ok(answer) => Ok(Some(Head {
                size: answer
                    .header("content-length")
                    .and_then(|length| length.parse().ok())
                    .unwrap_or_default(),
                digest: crc(&answer),
                etag: answer
                    .header("etag")
                    .map(|etag| etag.trim_matches('"').to_owned()),
            })),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn remove(&self) -> Result<()> {
        match self
            .ask(Ask::about(Method::DELETE, &self.place.key, &[]))
            .await
        {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }
}

/// The digest of an answer: decimal, of the part or of the whole.
impl From<parse::ListedPart> for ListedPart {
    fn from(part: parse::ListedPart) -> Self {
        let crc = part.crc.map(Digest::Crc64Ecma);
        Self {
            number: part.number,
            size: part.size,
            digest: crc.or_else(|| Digest::from_etag(&part.etag)),
            etag: part.etag,
        }
    }
}
