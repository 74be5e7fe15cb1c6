//! A line between the program and a service of the sandbox: so many bytes a second for all
//! connections together, so long a way, and what else lines do. It keeps little in its
//! buffers, so that what the program has sent has mostly arrived.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use imgimport_sandbox::Gate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Bytes carried at once.
const CHUNK: usize = 16 << 10;

/// Of what waits to leave, a router keeps about this much.
const QUEUE: Duration = Duration::from_millis(50);

/// What the line is like.
#[derive(Clone, Default)]
pub struct SlowLine {
    /// To the service, in bits.
    pub per_second: Option<u64>,
    /// From end to end and back.
    pub round_trip: Duration,
    /// Nothing moves once so many bytes have, until the gate is released.
    pub stops: Option<(u64, Gate)>,
    /// So many connections are dropped, each once so many bytes have come over it.
    pub drops: Option<(usize, u64)>,
}

impl SlowLine {
    pub fn mbit(megabits: u64) -> Self {
        Self {
            per_second: Some(megabits * 1_000_000),
            ..Self::default()
        }
    }

    /// Begins to carry, as long as the test's runtime runs; returns the endpoint to use in
    /// place of `endpoint`.
    pub fn to(self, endpoint: &str) -> String {
        let there = endpoint.trim_start_matches("http://");
        let there: SocketAddr = there.parse().expect("an address");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(64 << 10).expect("a buffer");
        socket.bind("127.0.0.1:0".parse().unwrap()).expect("a port");
        let door = socket.listen(64).expect("a port");
        let here = door.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            free_at: Mutex::new(Instant::now()),
            carried: AtomicU64::new(0),
            dropped: AtomicUsize::new(0),
            line: self,
        });
        tokio::spawn(async move {
            while let Ok((near, _)) = door.accept().await {
                tokio::spawn(Arc::clone(&shared).relay(near, there));
            }
        });
        format!("http://{here}")
    }
}

/// What all connections have in common.
struct Shared {
    line: SlowLine,
    free_at: Mutex<Instant>,
    carried: AtomicU64,
    dropped: AtomicUsize,
}

impl Shared {
    async fn relay(self: Arc<Self>, client: TcpStream, server: SocketAddr) {
        let far = TcpStream::connect(server).await.expect("the service");
        let (near_read, near_write) = client.into_split();
        let (far_read, far_write) = far.into_split();
        // Dropped, both ends are closed at once.
        let (drop_it, dropped) = watch::channel(false);
        let (up, down) = (Arc::clone(&self), self);
        let out = up.copy(near_read, far_write, Some(&drop_it));
        let back = down.copy(far_read, near_write, None);
        run_until_dropped(dropped, async { tokio::join!(out, back) }).await;
    }

    async fn copy(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        out: Option<&watch::Sender<bool>>,
    ) {
        let (send, mut sending) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let read = async move {
            let (mut buffer, mut own) = (vec![0; CHUNK], 0);
            while let Ok(read @ 1..) = from.read(&mut buffer).await {
                let mut due = Instant::now();
                if let Some(drop_it) = out {
                    own += read as u64;
                    due = self.send_time(read).await;
                    if self.is_dropped(own) {
                        drop_it.send_replace(true);
                        return;
                    }
                }
                let arrives = due + self.line.round_trip / 2;
                if send.send((arrives, buffer[..read].to_vec())).is_err() {
                    return;
                }
                sleep_until(due.checked_sub(QUEUE).unwrap_or(due)).await;
            }
        };
        let write = async move {
            while let Some((due, bytes)) = sending.recv().await {
                sleep_until(due).await;
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            let _gone = to.shutdown().await;
        };
        tokio::join!(read, write);
    }

    /// When so many bytes will have left.
    async fn send_time(&self, bytes: usize) -> Instant {
        let carried = self.carried.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if let Some((_, gate)) = self.line.stops.as_ref().filter(|(at, _)| carried > *at) {
            gate.wait().await;
        }
        let mut free_at = self.free_at.lock().unwrap();
        *free_at = (*free_at).max(Instant::now());
        if let Some(bits) = self.line.per_second {
            *free_at += Duration::from_micros(bytes as u64 * 8 * 1_000_000 / bits);
        }
        *free_at
    }

    fn is_dropped(&self, connection: u64) -> bool {
        let Some((times, _)) = self.line.drops.filter(|(_, after)| connection > *after) else {
            return false;
        };
        self.dropped.fetch_add(1, Ordering::Relaxed) < times
    }
}

async fn run_until_dropped(mut dropped: watch::Receiver<bool>, work: impl Future) {
    tokio::select! {
        _ = work => {}
        _ = dropped.wait_for(|dropped| *dropped) => {}
    }
}
