//! Bodies of made-up calls, as many and as large as a test needs, the same for the same seed.

use crate::service::{Service, wait_for};
use std::time::Duration;

/// Bound of one round of compaction.
const PATIENCE: Duration = Duration::from_secs(60);
/// Letters of texts that no codec makes smaller; so many that short ones hardly ever repeat.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Bytes of such text that are made once and then cut into pieces; codecs do not look that far back.
const POOL_BYTES: usize = 1 << 20;

/// A small generator (SplitMix64): good enough to be irregular, and the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Makes bodies.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    random: Random,
    pool: String,
    at: usize,
}

impl Load {
    /// The load of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let pool = (0..POOL_BYTES).map(|_| char::from(LETTERS[random.below(64) as usize])).collect();
        Self { random, pool, at: 0 }
    }

    /// A body of `rows` records with the keys `{name}-0`, `{name}-1`, …, each with `bulk` bytes that cannot be packed.
    pub(crate) fn ndjson(&mut self, name: &str, rows: usize, bulk: usize, day: &str) -> String {
        let mut body = String::with_capacity(rows * (bulk + 300));
        for row in 0..rows {
            let ms = self.random.below(86_400_000);
            let (seconds, thousandths) = (ms / 1000, ms % 1000);
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let direction = ["inbound", "outbound", "internal"][self.random.below(3) as usize];
            let result = ["answered", "no-answer", "busy"][self.random.below(3) as usize];
            let duration = if result == "answered" { self.random.below(600) } else { 0 };
            let (calling, called) = (100 + self.random.below(40), self.random.below(100));
            body.push_str(&format!(
                "{{\"pbx_alias\":\"load\",\"account_code\":\"{name}\",\"source_key\":\"{name}-{row}\",\
                 \"start_at\":\"{day}T{hour:02}:{minute:02}:{second:02}.{thousandths:03}Z\",\
                 \"duration_s\":{duration},\"direction\":\"{direction}\",\"result\":\"{result}\",\
                 \"calling_party\":\"{calling}\",\"called_party\":\"+4930231250{called:02}\""
            ));
            if bulk > 0 {
                body.push_str(",\"extra\":{\"bulk\":\"");
                self.push_bulk(bulk, &mut body);
                body.push_str("\"}");
            }
            body.push_str("}\n");
        }
        body
    }

    fn push_bulk(&mut self, mut bytes: usize, body: &mut String) {
        while bytes > 0 {
            let end = self.pool.len().min(self.at + bytes);
            body.push_str(&self.pool[self.at..end]);
            bytes -= end - self.at;
            self.at = end % self.pool.len();
        }
    }
}

/// Sends so much bulk that a compaction is due, and waits until one is done. The 450 records are of the source `load`
/// and the day 2026-11-10.
#[track_caller]
pub(crate) fn compact(service: &Service) {
    let seen = service.logged().matches("compacted").count();
    let body = Load::new(1).ndjson("filler", 450, 24_000, "2026-11-10");
    let answer = service.post_ndjson(body).expect(200).json();
    assert_eq!(answer["accepted"], 450, "{answer}");
    let done = wait_for(PATIENCE, || (service.logged().matches("compacted").count() > seen).then_some(()));
    assert!(done.is_some(), "no compaction came");
}
