//! A cache of the pieces that were read last, for many readers at once, with a fixed limit in
//! bytes.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// The most pieces: a search among more would cost more than it saves.
const MAX_ENTRIES: usize = 256;

/// Pieces by their offset; the least recently used one comes first.
#[derive(Debug)]
pub(super) struct Cache {
    entries: Mutex<Vec<(u64, Arc<Vec<u8>>)>>,
    budget: usize,
}

impl Cache {
    /// Creates a cache of at most this many bytes.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            entries: Mutex::default(),
            budget,
        }
    }

    /// Returns the piece, and loads it if it is not cached. The lock is not held while it
    /// loads, so other readers do not wait, and two of them may load the same piece.
    pub(super) fn get_or_load(
        &self,
        key: u64,
        load: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Arc<Vec<u8>>> {
        if let Some(piece) = self.lookup(key) {
            return Ok(piece);
        }
        // Without the lock: other readers do not wait, and two of them may load the same piece.
        let piece = Arc::new(load()?);
        let mut pieces = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.push((key, Arc::clone(&piece)));
        let mut bytes: usize = pieces.iter().map(|(_, piece)| piece.len()).sum();
        while pieces.len() > MAX_ENTRIES || bytes > self.budget {
            bytes -= pieces.remove(0).1.len();
        }
        Ok(piece)
    }

    fn lookup(&self, key: u64) -> Option<Arc<Vec<u8>>> {
        let mut pieces = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let at = pieces.iter().rposition(|(other, _)| *other == key)?;
        // The end of the list is the most recently used piece.
        pieces[at..].rotate_left(1);
        pieces.last().map(|(_, piece)| Arc::clone(piece))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_used_entry_is_kept() {
        let cache = Cache::new(20);
        let is_cached = |key| {
            cache
                .get_or_load(key, || Err(io::Error::other("made")))
                .is_ok()
        };
        for key in [1, 2, 1, 3] {
            let piece = cache.get_or_load(key, || Ok(vec![0; 10])).unwrap();
            assert_eq!(piece.len(), 10);
        }
        assert!(is_cached(1) && is_cached(3) && !is_cached(2));
        assert!(is_cached(3), "a failure leaves nothing behind");
    }

    #[test]
    fn an_entry_larger_than_the_budget_is_not_kept() {
        let cache = Cache::new(20);
        assert_eq!(cache.get_or_load(1, || Ok(vec![0; 30])).unwrap().len(), 30);
        assert!(
            cache
                .get_or_load(1, || Err(io::Error::other("made")))
                .is_err()
        );
    }
}
