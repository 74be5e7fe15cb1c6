//! Takes connections for a service and sends every request past the desk first. A new
//! service implements [`Service`]; journal, faults and gates come with that.

use std::future::{Future, pending};
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::desk::{Detail, RequestLog};
use crate::fault::{Action, ApiError};

pub(crate) use s3s::Body;

/// More than this is read by the service alone, so that large parts take no memory.
const READ_AHEAD: u64 = 64 << 20;

pub(crate) trait Service: Send + Sync + 'static {
    /// The operation's name is in the body, which is then read before the desk.
    const NAMED_IN_BODY: bool;

    /// The operation (`ec2:ImportImage`) and what the journal should know of it.
    fn describe(&self, head: &Parts, body: &Bytes) -> (String, Detail);

    fn call(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;

    /// An error in the service's own words.
    fn refuse(&self, refusal: &ApiError) -> Response<Body>;
}

/// The connection ends here without an answer.
#[derive(Debug)]
struct ConnectionCut;

impl std::fmt::Display for ConnectionCut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for ConnectionCut {}

/// Binds a loopback port, serves there until the runtime ends, and returns the endpoint.
pub(crate) async fn open<S: Service>(
    service: Arc<S>,
    log: Arc<RequestLog>,
) -> anyhow::Result<String> {
    open_at(0, service, log).await
}

pub(crate) async fn open_at<S: Service>(
    port: u16,
    service: Arc<S>,
    log: Arc<RequestLog>,
) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("port {port} of the loopback interface is not free"))?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(accept(listener, service, log));
    Ok(endpoint)
}

async fn accept<S: Service>(listener: TcpListener, service: Arc<S>, log: Arc<RequestLog>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (service, desk) = (Arc::clone(&service), Arc::clone(&log));
        let answer =
            service_fn(move |request| answer(Arc::clone(&service), Arc::clone(&desk), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(async move {
            let _cut_or_closed = connection.await;
        });
    }
}

async fn answer<S: Service>(
    service: Arc<S>,
    log: Arc<RequestLog>,
    request: Request<Incoming>,
) -> Result<Response<Body>, ConnectionCut> {
    let (head, body) = request.into_parts();
    let mut body = Body::from(body);
    if S::NAMED_IN_BODY {
        body = Body::from(body.collect().await.map_err(|_| ConnectionCut)?.to_bytes());
    }
    let (operation, detail) = service.describe(&head, &body.bytes().unwrap_or_default());
    let (visit, actions) = log.record(operation, detail);
    for action in &actions {
        if let Some(refusal) = before_call(action, &mut body).await? {
            let response = error_response(&*service, refusal);
            visit.responded(response.status().as_u16());
            return Ok(response);
        }
    }
    // Refused before it is read, a body breaks the client's pipe, and the refusal goes unheard.
    if body
        .size_hint()
        .upper()
        .is_some_and(|size| size <= READ_AHEAD)
    {
        body = Body::from(body.collect().await.map_err(|_| ConnectionCut)?.to_bytes());
    }
    let mut response = service.call(Request::from_parts(head, body)).await;
    for action in &actions {
        after_call(action, &mut response).await?;
    }
    // Somebody else's answer acknowledges nothing.
    if !actions
        .iter()
        .any(|action| matches!(action, Action::Replace(..)))
    {
        visit.responded(response.status().as_u16());
    }
    Ok(response)
}

/// What a fault does before the work; a refusal takes the work's place.
async fn before_call<'a>(
    action: &'a Action,
    body: &mut Body,
) -> Result<Option<&'a ApiError>, ConnectionCut> {
    match action {
        Action::Hold(gate) => gate.pass().await,
        Action::Answer(refusal) => {
            drain(body, u64::MAX).await;
            return Ok(Some(refusal));
        }
        Action::CutAfter(bytes) => {
            drain(body, *bytes).await;
            return Err(ConnectionCut);
        }
        Action::Stall => {
            drain(body, u64::MAX).await;
            pending::<()>().await;
        }
        Action::CutAnswer | Action::HoldAnswer(_) | Action::Replace(..) => {}
    }
    Ok(None)
}

async fn after_call(action: &Action, response: &mut Response<Body>) -> Result<(), ConnectionCut> {
    match action {
        Action::CutAnswer => Err(ConnectionCut),
        Action::HoldAnswer(gate) => {
            gate.pass().await;
            Ok(())
        }
        Action::Replace(status, body) => {
            *response = Response::new(Body::from(body.clone()));
            *response.status_mut() = StatusCode::from_u16(*status).unwrap_or_default();
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn drain(body: &mut Body, limit: u64) {
    let mut taken = 0;
    while taken < limit {
        match body.frame().await {
            Some(Ok(frame)) => taken += frame.data_ref().map_or(0, |data| data.len() as u64),
            _ => return,
        }
    }
}

fn error_response<S: Service>(service: &S, refusal: &ApiError) -> Response<Body> {
    if refusal.code.is_empty() {
        let mut bare = Response::new(Body::empty());
        *bare.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or_default();
        return bare;
    }
    let mut response = service.refuse(refusal);
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
