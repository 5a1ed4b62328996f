//! Memory of request bodies: what the bodies of all requests hold together is bounded, and taken before it is filled.
//! No credential gets more than a share of it, so that slow senders do not shut out others.
//!
//! Nothing waits for memory here: a request that waited would keep what it already holds, and so would all others.

use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollbook_kit::fault::{Code, Fault};
use uuid::Uuid;

/// Memory that the bodies of all requests may hold together.
const ALL_BODIES_BYTES: usize = 512 * 1024 * 1024;
/// The requests of one credential may hold this part of it together.
const SHARES: usize = 4;
/// Memory is counted in units of this many bytes.
const UNIT: usize = 64 * 1024;

/// The memory that all bodies share.
#[derive(Debug, Clone)]
pub(crate) struct BodyMemory(Arc<Mutex<Ledger>>);

/// Who holds how many units.
#[derive(Debug)]
struct Ledger {
    free: usize,
    share: usize,
    holders: HashMap<Uuid, usize>,
}

impl Default for BodyMemory {
    fn default() -> Self {
        Self::of(ALL_BODIES_BYTES)
    }
}

impl BodyMemory {
    /// So many bytes, rounded down to whole units.
    pub(crate) fn of(bytes: usize) -> Self {
        let free = bytes / UNIT;
        Self(Arc::new(Mutex::new(Ledger { free, share: free / SHARES, holders: HashMap::new() })))
    }

    /// What one request of this holder takes of it.
    pub(crate) fn account(&self, holder: Uuid) -> Arc<Account> {
        Arc::new(Account { memory: self.clone(), holder, own: AtomicUsize::new(0) })
    }

    /// Bytes that nobody holds.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.ledger().free * UNIT
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the bodies of one request hold.
#[derive(Debug)]
pub(crate) struct Account {
    memory: BodyMemory,
    holder: Uuid,
    /// Units; changed only under the ledger's lock.
    own: AtomicUsize,
}

impl Account {
    fn take(self: &Arc<Self>, bytes: usize) -> Result<Hold, Fault> {
        let units = bytes.div_ceil(UNIT);
        let mut ledger = self.memory.ledger();
        let held = ledger.holders.get(&self.holder).copied().unwrap_or(0);
        // A lone request may need more than a share to unpack its body. It gets it: there is nobody to wait for.
        let alone = held == self.own.load(Ordering::Relaxed);
        if !alone && held + units > ledger.share {
            let text = "this credential has too many large bodies under way; send it again later";
            return Err(Fault::new(Code::RateLimited, text).with_retry_after(Duration::from_secs(1)));
        }
        if units > ledger.free {
            let text = "too many large bodies at once; send it again later";
            return Err(Fault::new(Code::Unavailable, text).with_retry_after(Duration::from_secs(1)));
        }
        ledger.free -= units;
        *ledger.holders.entry(self.holder).or_insert(0) += units;
        self.own.fetch_add(units, Ordering::Relaxed);
        Ok(Hold { account: self.clone(), units })
    }

    fn give_back(&self, units: usize) {
        let mut ledger = self.memory.ledger();
        ledger.free += units;
        self.own.fetch_sub(units, Ordering::Relaxed);
        if let Some(held) = ledger.holders.get_mut(&self.holder) {
            *held -= units;
            if *held == 0 {
                ledger.holders.remove(&self.holder);
            }
        }
    }
}

/// Units held until this is dropped.
struct Hold {
    account: Arc<Account>,
    units: usize,
}

impl Hold {
    /// Gives back what is above so many units.
    fn shrink_to(&mut self, units: usize) {
        let surplus = self.units.saturating_sub(units);
        self.units -= surplus;
        self.account.give_back(surplus);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.account.give_back(self.units);
    }
}

/// A body as it grows. All room that it has is counted, also while it moves to a larger one.
pub(crate) struct GrowingBody {
    account: Arc<Account>,
    bytes: Vec<u8>,
    held: Option<Hold>,
    bound: usize,
    beside: usize,
}

impl GrowingBody {
    /// An empty body that may grow up to `bound` bytes.
    pub(crate) fn new(account: &Arc<Account>, bound: usize) -> Self {
        Self { account: account.clone(), bytes: Vec::new(), held: None, bound, beside: 0 }
    }

    /// Counts for each byte of room another `times` that others hold because of it, until the body is finished.
    pub(crate) fn with_as_much_beside(mut self, times: usize) -> Self {
        self.beside = times;
        self
    }

    /// Makes room for `bytes` in all, at most for the bound.
    ///
    /// # Errors
    /// `unavailable` when the memory of all bodies is used up, `rate_limited` when the holder's share is.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Fault> {
        let room = bytes.min(self.bound).next_multiple_of(UNIT);
        if room <= self.bytes.capacity() {
            return Ok(());
        }
        let held = self.account.take(room * (1 + self.beside))?;
        let mut larger = Vec::with_capacity(room);
        larger.extend_from_slice(&self.bytes);
        self.bytes = larger;
        self.held = Some(held);
        Ok(())
    }

    /// Adds a piece; `false` when it does not fit within the bound.
    ///
    /// # Errors
    /// As [`GrowingBody::reserve`].
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
        if let Some(held) = &mut held {
            // What was held beside it is gone.
            held.shrink_to(self.bytes.capacity().div_ceil(UNIT));
        }
        HeldBody { bytes: self.bytes.into(), _held: held }
    }
}

/// A body at rest. Its memory counts as held until this is dropped; its bytes must not be kept for longer.
pub(crate) struct HeldBody {
    /// The bytes.
    pub(crate) bytes: Bytes,
    _held: Option<Hold>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(memory: &BodyMemory) -> Arc<Account> {
        memory.account(Uuid::nil())
    }

    #[test]
    fn room_is_counted_before_it_is_filled_and_given_back() {
        let memory = BodyMemory::of(16 * UNIT);
        let mut body = GrowingBody::new(&account(&memory), 100 * UNIT);
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
        let mut body = GrowingBody::new(&account(&memory), 8 * UNIT).with_as_much_beside(1);
        assert!(body.append(&vec![1; 2 * UNIT]).unwrap());
        assert_eq!(memory.free(), 12 * UNIT);
        assert!(!body.append(&vec![1; 7 * UNIT]).unwrap(), "over the bound");
        let held = body.finish();
        assert_eq!(memory.free(), 14 * UNIT);
        drop(held);
        assert_eq!(memory.free(), 16 * UNIT);
    }

    #[test]
    fn the_requests_of_a_holder_get_a_share_together_and_a_lone_one_what_it_needs() {
        let memory = BodyMemory::of(16 * UNIT);
        let reserve = |account: &Arc<Account>, units: usize| {
            let mut body = GrowingBody::new(account, 100 * UNIT);
            body.reserve(units * UNIT).map(|()| body)
        };
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = reserve(&memory.account(one), 3).unwrap();
        let second = memory.account(one);
        let small = reserve(&second, 1).unwrap();
        assert_eq!(reserve(&second, 1).map(drop).unwrap_err().code(), Code::RateLimited);
        let stranger = reserve(&memory.account(other), 4).unwrap();
        drop(first);
        let grown = reserve(&second, 7).expect("it is alone now");
        assert_eq!(reserve(&memory.account(one), 1).map(drop).unwrap_err().code(), Code::RateLimited);
        assert_eq!(reserve(&second, 5).map(drop).unwrap_err().code(), Code::Unavailable);
        drop((small, stranger, grown));
        assert_eq!(memory.free(), 16 * UNIT);
        assert!(memory.ledger().holders.is_empty(), "who holds nothing is forgotten");
    }
}
