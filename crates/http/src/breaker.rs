//! What an answer tells its connection, so that an answer broken off never looks whole. Resetting is the listener's work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Tells a connection how far an answer is whose end must be told from a breaking off. While such an answer is under
/// way, whatever ends the connection resets it: a failure, an impatient stop, and also the death of the process, as the
/// reset is set on the socket before the first byte. HTTP/1.0 has no other way to tell a broken answer from one that is
/// whole, and proxies still speak it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker(Arc<AtomicU8>);

/// No such answer is under way.
const AT_REST: u8 = 0;
/// It has begun.
const UNDER_WAY: u8 = 1;
/// Its last byte was handed over, but may not be written yet.
const HANDED_OVER: u8 = 2;
/// The connection is given up.
const BROKEN: u8 = 3;

impl Breaker {
    /// An answer begins. If its end is never told, the connection is reset.
    pub(crate) fn begin_answer(&self) {
        self.0.store(UNDER_WAY, Ordering::Release);
    }

    /// The answer was handed over to its last byte.
    pub(crate) fn end_answer(&self) {
        self.advance(UNDER_WAY, HANDED_OVER);
    }

    /// The connection is given up: it is reset, whatever was under way.
    pub(crate) fn break_connection(&self) {
        self.0.store(BROKEN, Ordering::Release);
    }

    /// Everything handed over has been written. Was it the end of an answer?
    pub(crate) fn written(&self) -> bool {
        self.advance(HANDED_OVER, AT_REST)
    }

    /// May the connection end in peace?
    pub(crate) fn at_rest(&self) -> bool {
        self.0.load(Ordering::Acquire) == AT_REST
    }

    fn advance(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
