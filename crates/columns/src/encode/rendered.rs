//! Short byte strings that are written very often: kept with room behind them, so that the usual one is copied as a
//! block of fixed size, which is much quicker than asking for its exact length.

/// Size of the block that is copied at once. A copy may touch this many bytes past the end of what it writes.
const BLOCK: usize = 32;
/// Bytes that a buffer must have beyond everything that is written into it.
pub(super) const SLACK: usize = 2 * BLOCK;

/// Copies `source[from..from + len]` to `out[at..]` and returns the position after. Whatever lies behind may be
/// copied along; the next write covers it.
#[inline(always)]
pub(super) fn put(out: &mut [u8], at: usize, source: &[u8], from: usize, len: usize) -> usize {
    if from + SLACK > source.len() || len > SLACK {
        return put_exactly(out, at, &source[from..from + len]);
    }
    out[at..at + BLOCK].copy_from_slice(&source[from..from + BLOCK]);
    if len > BLOCK {
        out[at + BLOCK..at + SLACK].copy_from_slice(&source[from + BLOCK..from + SLACK]);
    }
    at + len
}

#[inline(never)]
fn put_exactly(out: &mut [u8], at: usize, source: &[u8]) -> usize {
    out[at..at + source.len()].copy_from_slice(source);
    at + source.len()
}

/// Rendered texts, one behind the other.
pub(super) struct Rendered {
    bytes: Vec<u8>,
    /// Text `n` is `bytes[bounds[n]..bounds[n + 1]]`.
    bounds: Vec<usize>,
}

impl Rendered {
    /// No texts yet, with room for `texts`.
    pub(super) fn with_capacity(texts: usize) -> Self {
        let mut bounds = Vec::with_capacity(texts + 1);
        bounds.push(0);
        Self { bytes: Vec::with_capacity(texts * BLOCK + SLACK), bounds }
    }

    /// Adds a text: what `write` appends.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.bounds.push(self.bytes.len());
    }

    /// Makes the room behind the last text. To be called when all are added.
    pub(super) fn finish(mut self) -> Self {
        self.bytes.resize(self.bytes.len() + SLACK, 0);
        self
    }

    /// How many there are.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Length of text `n`.
    #[inline(always)]
    pub(super) fn len(&self, n: usize) -> usize {
        self.bounds[n + 1] - self.bounds[n]
    }

    /// Length of texts `from..to` in all.
    pub(super) fn len_of(&self, from: usize, to: usize) -> usize {
        self.bounds[to] - self.bounds[from]
    }

    /// Length of the longest text.
    pub(super) fn longest(&self) -> usize {
        self.bounds.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }

    /// Writes text `n`.
    #[inline(always)]
    pub(super) fn put(&self, out: &mut [u8], at: usize, n: usize) -> usize {
        put(out, at, &self.bytes, self.bounds[n], self.len(n))
    }
}

/// One text that stands in every record.
#[derive(Clone)]
pub(super) struct Fixed {
    padded: Vec<u8>,
    len: usize,
}

impl Fixed {
    /// Takes the text.
    pub(super) fn new(text: &[u8]) -> Self {
        let mut padded = text.to_vec();
        padded.resize(text.len() + SLACK, 0);
        Self { padded, len: text.len() }
    }

    /// The text.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.padded[..self.len]
    }

    /// Its length.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes it.
    #[inline(always)]
    pub(super) fn put(&self, out: &mut [u8], at: usize) -> usize {
        put(out, at, &self.padded, 0, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_arrive_whole() {
        let text: Vec<u8> = (0..200).collect();
        let mut rendered = Rendered::with_capacity(0);
        for len in 0..200 {
            rendered.push(|out| out.extend_from_slice(&text[..len]));
        }
        let rendered = rendered.finish();
        for len in 0..200 {
            let mut out = vec![0xEE; 3 + len + SLACK];
            assert_eq!(rendered.put(&mut out, 3, len), 3 + len);
            assert_eq!(&out[3..3 + len], &text[..len]);
            assert_eq!(Fixed::new(&text[..len]).put(&mut out, 1), 1 + len);
            assert_eq!(&out[1..1 + len], &text[..len]);
        }
        assert_eq!(rendered.longest(), 199);
    }

    #[test]
    fn a_source_without_room_behind_it_is_copied_exactly() {
        let mut out = [0; 4 + SLACK];
        assert_eq!(put(&mut out, 0, b"xyabcd", 2, 4), 4);
        assert_eq!(&out[..4], b"abcd");
    }
}
