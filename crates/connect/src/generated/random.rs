//! A fast reproducible sequence and the distributions drawn from it. Never for keys.

/// Xorshift64* seeded through SplitMix64, so that near seeds give unlike sequences.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self { state: (z ^ (z >> 31)) | 1 }
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `bound`, evenly.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// One of these, evenly.
    pub(super) fn pick<'p>(&mut self, from: &[&'p str]) -> &'p str {
        from[self.below(from.len() as u64) as usize]
    }

    /// Between 0 and 1, never 0.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }

    /// A position below `count`, the first ones far more often: as in Zipf's law, the logarithm is spread evenly. Half
    /// of the draws are even, because most callers call once.
    pub(super) fn skewed(&mut self, count: usize) -> usize {
        if self.next() >> 63 == 0 {
            return self.below(count as u64) as usize;
        }
        let position = (self.unit() * (count as f64).ln()).exp() as usize;
        position.saturating_sub(1).min(count - 1)
    }

    /// A length with this mean, exponentially spread: short ones are common.
    pub(super) fn spread(&mut self, mean: u32) -> i64 {
        (-self.unit().ln() * f64::from(mean)) as i64
    }

    /// An id of version 8 that carries `start_ms`.
    pub(super) fn id(&mut self, start_ms: i64) -> [u8; 16] {
        let mut id = [0u8; 16];
        id[..6].copy_from_slice(&start_ms.to_be_bytes()[2..]);
        id[6..8].copy_from_slice(&self.next().to_be_bytes()[..2]);
        id[8..].copy_from_slice(&self.next().to_be_bytes());
        id[6] = 0x80 | (id[6] & 0x0F);
        id[8] = 0x80 | (id[8] & 0x3F);
        id
    }
}
