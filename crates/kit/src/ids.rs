//! Identifiers and randomness that are handed in: real in production, seeded in tests.
//!
//! Record ids are not made here: they are derived from the record (`model::call`).

use crate::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Source of random bytes.
pub trait Randomness: Send + Sync + std::fmt::Debug {
    /// Fills `into` with bytes fit for keys and tokens (or, in tests, with a reproducible sequence).
    fn fill(&self, into: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks for randomness")]
    fn fill(&self, into: &mut [u8]) {
        // Without randomness no key and no token is safe: stopping is the only honest answer.
        getrandom::fill(into).expect("the operating system gives random bytes");
    }
}

/// A reproducible sequence for tests and generated data (SplitMix64). Never for keys.
#[derive(Debug)]
pub struct SeededRandomness {
    state: AtomicU64,
}

impl SeededRandomness {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// The next 64 bits of the sequence.
    pub fn next_u64(&self) -> u64 {
        let step = self.state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mut z = step.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Randomness for SeededRandomness {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Makes time-ordered ids (UUID version 7) for things that are ours: parts, batches, exports, requests.
#[derive(Debug, Clone)]
pub struct IdSource {
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

impl IdSource {
    /// Ids whose time part comes from `clock` and whose rest comes from `randomness`.
    pub fn new(clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { clock, randomness }
    }

    /// A new id.
    pub fn next_id(&self) -> Uuid {
        let mut rest = [0u8; 10];
        self.randomness.fill(&mut rest);
        let ms = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(ms, &rest).into_uuid()
    }
}
