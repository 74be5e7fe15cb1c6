//! A part as a request body: sent in frames, without a copy, so that a stall can be detected
//! and the rate limited.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// Large enough that a frame costs nothing (one `writev` takes several), small enough
/// that a rate is smooth and a slow line shows that it moves.
const FRAME_SIZE: usize = 256 << 10;

/// Asked before each frame goes to the connection.
pub trait ByteGate: Send + Sync {
    /// The connection can take up to `bytes` more: how many it may have, and from when on.
    fn acquire(&self, bytes: usize) -> (usize, Instant);
}

/// A part on its way out. Knows its exact length, so nothing is sent chunked.
pub struct PartBody {
    rest: Bytes,
    gate: Option<Arc<dyn ByteGate>>,
    waiting: Option<(usize, Pin<Box<Sleep>>)>,
}

impl PartBody {
    /// All of `bytes`, as `tap` allows it.
    pub fn new(bytes: Bytes, gate: Option<Arc<dyn ByteGate>>) -> Self {
        Self {
            rest: bytes,
            gate,
            waiting: None,
        }
    }

    /// How many bytes may go now; waits for the tap.
    fn poll_acquire(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        let want = self.rest.len().min(FRAME_SIZE);
        let Some(gate) = &self.gate else {
            return Poll::Ready(want);
        };
        if self.waiting.is_none() {
            let (share, from) = gate.acquire(want);
            let share = share.clamp(1, want);
            if from <= Instant::now() {
                return Poll::Ready(share);
            }
            self.waiting = Some((share, Box::pin(sleep_until(from))));
        }
        if let Some((share, sleep)) = &mut self.waiting {
            ready!(sleep.as_mut().poll(context));
            let share = *share;
            self.waiting = None;
            return Poll::Ready(share);
        }
        Poll::Ready(want)
    }
}

impl http_body::Body for PartBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = self.get_mut();
        if body.rest.is_empty() {
            return Poll::Ready(None);
        }
        let share = ready!(body.poll_acquire(context));
        Poll::Ready(Some(Ok(Frame::data(body.rest.split_to(share)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
