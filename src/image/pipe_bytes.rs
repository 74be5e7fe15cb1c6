//! The bytes of a pipe that were read: the first and the last ones are kept, and those of
//! tables that the inspection requested.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::byte_view::{ReadAt, size};

/// First bytes that are kept.
const HEAD_BYTES: u64 = 4 << 20;
/// Last bytes that are kept: those of a footer, and those that were just read.
const TAIL_BYTES: u64 = 4 << 20;
/// Bytes between two inspections: an inspection may request bytes right after those that it
/// reads.
const INSPECT_INTERVAL: u64 = 1 << 20;
/// The most bytes of tables that are kept, and the most pieces.
const MAX_KEPT: u64 = 64 << 20;
const MAX_PIECES: usize = 10_000;

/// The bytes that were read, of which some are kept.
#[derive(Debug, Default)]
pub(super) struct PipeBytes(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) len: u64,
    first: Vec<u8>,
    last: VecDeque<u8>,
    /// Bytes of tables, by their offset.
    kept: BTreeMap<u64, Vec<u8>>,
    bytes: u64,
    /// Requested bytes that were not read yet: their offset and their end.
    wanted: BTreeMap<u64, u64>,
    /// The offset at which the next inspection is due.
    due: Option<u64>,
    pub(super) overflowed: bool,
}

impl PipeBytes {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the next bytes; returns whether another inspection is due.
    pub(super) fn take(&self, piece: &[u8]) -> bool {
        let mut state = self.lock();
        let begins = state.len == 0;
        let room = size(HEAD_BYTES).saturating_sub(state.first.len());
        let first = &piece[..piece.len().min(room)];
        state.first.extend_from_slice(first);
        state.last.extend(piece);
        let excess = state.last.len().saturating_sub(size(TAIL_BYTES));
        state.last.drain(..excess);
        state.len += piece.len() as u64;
        let len = state.len;
        let wanted = std::mem::take(&mut state.wanted);
        let (come, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(_, end)| *end <= len);
        state.wanted = wanted.into_iter().collect();
        if !come.is_empty() {
            state.due.get_or_insert(len + INSPECT_INTERVAL);
        }
        for (from, end) in come {
            state.keep(from, size(end - from));
        }
        let is_due = begins || state.due.is_some_and(|due| due <= len);
        if is_due {
            state.due = None;
        }
        is_due
    }
}

impl State {
    /// Returns these bytes, if they are among the first or were kept.
    fn held(&self, from: u64, count: usize) -> Option<Vec<u8>> {
        let end = from.checked_add(count as u64)?;
        if end <= self.first.len() as u64 {
            return Some(self.first[size(from)..size(end)].to_vec());
        }
        let (at, bytes) = self.kept.range(..=from).next_back()?;
        let there = bytes.get(size(from - at)..)?;
        there.get(..count).map(<[u8]>::to_vec)
    }

    /// Returns these bytes, if they were just read.
    fn recent(&self, from: u64, count: usize) -> Option<Vec<u8>> {
        let end = from.checked_add(count as u64)?;
        let last = self.len - self.last.len() as u64;
        if from < last || end > self.len {
            return None;
        }
        let range = size(from - last)..size(end - last);
        Some(self.last.range(range).copied().collect())
    }

    /// Keeps these bytes for the next inspection, or records that they are requested.
    fn keep(&mut self, from: u64, count: usize) -> Option<Vec<u8>> {
        let end = from.checked_add(count as u64)?;
        if end > self.len {
            if self.wanted.len() < MAX_PIECES {
                let wanted = self.wanted.entry(from).or_insert(end);
                *wanted = end.max(*wanted);
            } else {
                self.overflowed = true;
            }
            return None;
        }
        if let Some(held) = self.held(from, count) {
            return Some(held);
        }
        let found = self.recent(from, count)?;
        if self.bytes + count as u64 > MAX_KEPT || self.kept.len() >= MAX_PIECES {
            self.overflowed = true;
        } else {
            self.bytes += count as u64;
            self.kept.insert(from, found.clone());
        }
        Some(found)
    }
}

impl ReadAt for Arc<PipeBytes> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self.lock().keep(offset, buffer.len()) {
            Some(bytes) => {
                buffer.copy_from_slice(&bytes);
                Ok(())
            }
            None => Err(io::Error::other("these bytes have passed by")),
        }
    }

    fn has(&self, offset: u64, count: u64) -> bool {
        self.lock().keep(offset, size(count)).is_some()
    }
}
