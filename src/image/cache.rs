//! The pieces that were read last, for many readers at once: so many bytes of them
//! and no more, whatever the file says.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// A search among more pieces would cost more than it saves.
const MOST: usize = 256;

/// Pieces by where they begin; the least recently used first.
#[derive(Debug)]
pub(super) struct Cache {
    pieces: Mutex<Vec<(u64, Arc<Vec<u8>>)>>,
    budget: usize,
}

impl Cache {
    /// A cache of this many bytes.
    pub(super) fn of(budget: usize) -> Self {
        Self {
            pieces: Mutex::default(),
            budget,
        }
    }

    /// The piece, made anew where it is not here. Others are not kept waiting
    /// meanwhile: two may make the same one.
    pub(super) fn get(
        &self,
        key: u64,
        make: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Arc<Vec<u8>>> {
        if let Some(piece) = self.known(key) {
            return Ok(piece);
        }
        let piece = Arc::new(make()?);
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.push((key, Arc::clone(&piece)));
        let mut bytes: usize = pieces.iter().map(|(_, piece)| piece.len()).sum();
        while pieces.len() > MOST || bytes > self.budget {
            bytes -= pieces.remove(0).1.len();
        }
        Ok(piece)
    }

    fn known(&self, key: u64) -> Option<Arc<Vec<u8>>> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let at = pieces.iter().rposition(|(other, _)| *other == key)?;
        pieces[at..].rotate_left(1);
        pieces.last().map(|(_, piece)| Arc::clone(piece))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let cache = Cache::of(20);
        let known = |key| cache.get(key, || Err(io::Error::other("made"))).is_ok();
        for key in [1, 2, 1, 3] {
            let piece = cache.get(key, || Ok(vec![0; 10])).unwrap();
            assert_eq!(piece.len(), 10);
        }
        assert!(known(1) && known(3) && !known(2));
        assert!(known(3), "a failure leaves nothing behind");
    }

    #[test]
    fn what_is_larger_than_all_of_it_is_not_kept() {
        let cache = Cache::of(20);
        assert_eq!(cache.get(1, || Ok(vec![0; 30])).unwrap().len(), 30);
        assert!(cache.get(1, || Err(io::Error::other("made"))).is_err());
    }
}
