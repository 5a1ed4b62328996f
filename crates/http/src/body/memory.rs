//! Memory of request bodies: what the bodies of all requests hold together is bounded, and taken before it is filled.
//!
//! Nothing waits for memory here: a request that waited would keep what it already holds, and so would all others.

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tollbook_kit::fault::{Code, Fault};

/// Memory that the bodies of all requests may hold together.
const ALL_BODIES_BYTES: usize = 512 * 1024 * 1024;
/// Memory is counted in units of this many bytes.
const UNIT: usize = 64 * 1024;

/// The memory that all bodies share.
#[derive(Debug, Clone)]
pub(crate) struct BodyMemory(Arc<Semaphore>);

impl Default for BodyMemory {
    fn default() -> Self {
        Self::of(ALL_BODIES_BYTES)
    }
}

impl BodyMemory {
    /// So many bytes, rounded down to whole units.
    pub(crate) fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// Bytes that nobody holds.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.0.available_permits() * UNIT
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Fault> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        self.0.clone().try_acquire_many_owned(units).map_err(|_| {
            Fault::new(Code::Unavailable, "too many large bodies at once; send it again later")
                .with_retry_after(Duration::from_secs(1))
        })
    }
}

/// A body as it grows. All room that it has is counted, also while it moves to a larger one.
pub(crate) struct GrowingBody {
    memory: BodyMemory,
    bytes: Vec<u8>,
    held: Option<OwnedSemaphorePermit>,
    bound: usize,
    beside: usize,
}

impl GrowingBody {
    /// An empty body that may grow up to `bound` bytes.
    pub(crate) fn new(memory: &BodyMemory, bound: usize) -> Self {
        Self { memory: memory.clone(), bytes: Vec::new(), held: None, bound, beside: 0 }
    }

    /// Counts for each byte of room another `times` that others hold because of it, until the body is finished.
    pub(crate) fn with_as_much_beside(mut self, times: usize) -> Self {
        self.beside = times;
        self
    }

    /// Makes room for `bytes` in all, at most for the bound.
    ///
    /// # Errors
    /// `unavailable` when the memory of all bodies is used up.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Fault> {
        let room = bytes.min(self.bound).next_multiple_of(UNIT);
        if room <= self.bytes.capacity() {
            return Ok(());
        }
        let held = self.memory.take(room * (1 + self.beside))?;
        let mut larger = Vec::with_capacity(room);
        larger.extend_from_slice(&self.bytes);
        self.bytes = larger;
        self.held = Some(held);
        Ok(())
    }

    /// Adds a piece; `false` when it does not fit within the bound.
    ///
    /// # Errors
    /// `unavailable` when the memory of all bodies is used up.
    pub(crate) fn append(&mut self, piece: &[u8]) -> Result<bool, Fault> {
        let length = self.bytes.len() + piece.len();
        if length > self.bound {
            return Ok(false);
        }
        if length > self.bytes.capacity() {
            self.reserve(length.max(self.bytes.capacity() * 2))?;
        }
        self.bytes.extend_from_slice(piece);
        Ok(true)
    }

    /// The most bytes that it may have.
    pub(crate) fn bound(&self) -> usize {
        self.bound
    }

    /// The body, for as long as it is held.
    pub(crate) fn finish(self) -> HeldBody {
        let mut held = self.held;
        let room = self.bytes.capacity().div_ceil(UNIT);
        // What was held beside it is gone.
        let surplus = held.as_ref().map_or(0, |held| held.num_permits().saturating_sub(room));
        drop(held.as_mut().and_then(|held| held.split(surplus)));
        HeldBody { bytes: self.bytes.into(), _held: held }
    }
}

/// A body at rest. Its memory counts as held until this is dropped; its bytes must not be kept for longer.
pub(crate) struct HeldBody {
    /// The bytes.
    pub(crate) bytes: Bytes,
    _held: Option<OwnedSemaphorePermit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_counted_before_it_is_filled_and_given_back() {
        let memory = BodyMemory::of(16 * UNIT);
        let mut body = GrowingBody::new(&memory, 100 * UNIT);
        body.reserve(4 * UNIT).unwrap();
        assert_eq!(memory.free(), 12 * UNIT, "announced room counts at once");
        assert!(body.append(&vec![1; 5 * UNIT]).unwrap());
        assert_eq!(memory.free(), 8 * UNIT, "grown to twice its room");
        assert!(body.append(&vec![1; 3 * UNIT]).unwrap());
        assert_eq!(body.append(&[1]).unwrap_err().code(), Code::Unavailable, "16 more, beside the 8 it has");
        let held = body.finish();
        assert_eq!((held.bytes.len(), memory.free()), (8 * UNIT, 8 * UNIT));
        drop(held);
        assert_eq!(memory.free(), 16 * UNIT);
    }

    #[test]
    fn what_others_hold_because_of_it_counts_until_the_end() {
        let memory = BodyMemory::of(16 * UNIT);
        let mut body = GrowingBody::new(&memory, 8 * UNIT).with_as_much_beside(1);
        assert!(body.append(&vec![1; 2 * UNIT]).unwrap());
        assert_eq!(memory.free(), 12 * UNIT);
        assert!(!body.append(&vec![1; 7 * UNIT]).unwrap(), "over the bound");
        let held = body.finish();
        assert_eq!(memory.free(), 14 * UNIT);
        drop(held);
        assert_eq!(memory.free(), 16 * UNIT);
    }
}
