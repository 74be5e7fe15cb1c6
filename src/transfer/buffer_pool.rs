//! Part buffers that are used again. A fresh buffer costs a page fault for every 4 KiB,
//! measured as half the CPU time of an upload, and a limited number of buffers keeps a slow
//! service from filling the memory.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::units;

/// Memory that must stay free for requests when a part buffer is allocated, in bytes.
const IDLE_BYTES: usize = 16 << 20;

/// The buffers of one upload.
pub struct Pool {
    size: usize,
    state: Mutex<PoolState>,
    returned: Condvar,
}

struct PoolState {
    max: usize,
    idle: Vec<Vec<u8>>,
    leased: usize,
    allocated: usize,
    closed: bool,
}

/// The right to hold one part in memory. It ends when the part is done, even if a cancelled
/// connection still holds the bytes for a while: waiting for that connection could take
/// forever.
pub struct Lease(Arc<Pool>);

impl Pool {
    /// Creates a pool of at most `max` parts in memory, of up to `size` bytes each.
    pub fn new(size: usize, max: usize) -> Arc<Self> {
        let state = PoolState {
            max,
            idle: Vec::new(),
            leased: 0,
            allocated: 0,
            closed: false,
        };
        Arc::new(Self {
            size,
            state: Mutex::new(state),
            returned: Condvar::new(),
        })
    }

    /// Returns a buffer of the pool's size, which contains old bytes. Blocks until one is free;
    /// returns `None` after [`Pool::close`]. When the memory is used up, the pool allocates
    /// fewer buffers; it is an error only if not even one can be allocated.
    pub fn take(self: &Arc<Self>) -> Result<Option<(Vec<u8>, Lease)>> {
        let mut state = self.lock();
        loop {
            while state.leased >= state.max && !state.closed {
                state = self
                    .returned
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.closed {
                return Ok(None);
            }
            let idle = state.idle.pop();
            let made = idle.is_none();
            if let Some(buffer) = idle.or_else(|| zeros(self.size)) {
                state.allocated += usize::from(made);
                state.leased += 1;
                return Ok(Some((buffer, Lease(Arc::clone(self)))));
            }
            // No part is in flight, so no memory will be returned.
            if state.leased == 0 {
                return Err(too_large(self.size));
            }
            tracing::debug!("memory ends: {} parts at once", state.leased);
            // The memory is used up: continue with as many parts as fit.
            state.max = state.leased;
        }
    }

    /// Raises the number of parts that may be in memory.
    pub(super) fn raise_max(&self, max: usize) {
        self.lock().max = max;
        self.returned.notify_one();
    }

    /// Ends the pool and wakes the reader: no more parts are needed.
    pub fn close(&self) {
        self.lock().closed = true;
        self.returned.notify_all();
    }

    /// Returns how many buffers were ever allocated.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.lock().allocated
    }

    fn return_buffer(&self, buffer: Vec<u8>) {
        let mut state = self.lock();
        if state.idle.len() < state.max && !state.closed {
            state.idle.push(buffer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Allocates `size` zeros, if enough memory is left for everything else.
fn zeros(size: usize) -> Option<Vec<u8>> {
    let mut probe = Vec::<u8>::new();
    probe
        .try_reserve_exact(size.checked_add(IDLE_BYTES)?)
        .ok()?;
    // Only a test that this much is left besides the buffer.
    drop(probe);
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(size).ok()?;
    buffer.resize(size, 0);
    Some(buffer)
}

fn too_large(size: usize) -> Error {
    let size = units::bytes(size as u64);
    Error::failed(format!("there is no memory for a part of {size}"))
        .hint("raise the limit of memory, or give a smaller --part-size")
}

impl Lease {
    /// Returns the first `len` bytes of the buffer as shared bytes. The buffer returns to the
    /// pool when the last reference is dropped.
    pub fn share(&self, buffer: Vec<u8>, len: usize) -> Bytes {
        Bytes::from_owner(SharedBuffer {
            buffer,
            len,
            pool: Arc::clone(&self.0),
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The lease, not the buffer, is counted: a cancelled connection may hold the bytes for
        // long.
        self.0.lock().leased -= 1;
        self.0.returned.notify_one();
    }
}

struct SharedBuffer {
    buffer: Vec<u8>,
    len: usize,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for SharedBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for SharedBuffer {
    fn drop(&mut self) {
        self.pool.return_buffer(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reference_returns_the_buffer() {
        let pool = Pool::new(16, 2);
        for _ in 0..10 {
            let (mut buffer, lease) = pool.take().expect("memory").expect("open");
            buffer[..4].copy_from_slice(b"part");
            let bytes = lease.share(buffer, 4);
            let frame = bytes.slice(1..3);
            drop((bytes, lease));
            assert_eq!(&frame[..], b"ar");
        }
        assert_eq!(pool.allocated(), 1);
    }

    #[test]
    fn a_stuck_connection_holds_one_buffer() {
        let pool = Pool::new(16, 1);
        let (buffer, lease) = pool.take().expect("memory").expect("open");
        let stuck = lease.share(buffer, 16);
        drop(lease);
        let _next = pool.take().expect("memory").expect("open");
        assert_eq!((pool.allocated(), stuck.len()), (2, 16));
    }

    #[test]
    fn more_may_be_allowed_while_the_reader_waits() {
        let pool = Pool::new(16, 1);
        let (_buffer, _lease) = pool.take().expect("memory").expect("open");
        let waiting = std::thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.take().expect("memory").is_some()
        });
        pool.raise_max(2);
        assert!(waiting.join().expect("no panic"));
    }

    #[test]
    fn a_waiting_reader_wakes_on_return_and_on_close() {
        let pool = Pool::new(16, 1);
        let (_buffer, lease) = pool.take().expect("memory").expect("open");
        let waiting = std::thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                let second = pool.take().expect("memory");
                (second.is_some(), pool.take().expect("memory").is_some())
            }
        });
        drop(lease);
        pool.close();
        assert!(!waiting.join().expect("no panic").1);
    }

    #[test]
    fn a_part_that_memory_does_not_hold_is_an_error() {
        let pool = Pool::new(usize::MAX / 4, 2);
        let error = pool.take().err().expect("so much memory is not there");
        let text = error.to_string();
        assert!(text.contains("there is no memory for a part of"), "{text}");
        assert_eq!(pool.allocated(), 0);
    }
}
