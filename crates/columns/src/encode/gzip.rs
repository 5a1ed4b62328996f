//! One gzip member made of blocks that are deflated independently, so that several workers can share the work.
//!
//! Every block ends in a sync flush, that is on a byte boundary and without the final mark; the member's checksum
//! is combined from those of the blocks. Who deflates which block, and in which order they come out, is not
//! decided here.

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};
use tollbook_kit::fault::{Fault, ResultExt};

/// How far back deflate can refer, in bytes: more of a preceding block is of no use.
pub const WINDOW: usize = 32 * 1024;

/// How hard to look for repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(u32);

impl Level {
    /// The level for call records.
    pub const EXPORT: Self = Self(6);

    /// The level of that number, 1 (fast) to 9 (small).
    pub fn new(level: u32) -> Option<Self> {
        (1..=9).contains(&level).then_some(Self(level))
    }
}

/// The ten bytes that begin a member: deflate, no name, no time, unknown system.
pub fn header() -> [u8; 10] {
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]
}

/// A deflated block, ready to stand anywhere in a member after the bytes it was told precede it.
#[derive(Debug)]
pub struct DeflatedBlock {
    /// The deflated bytes.
    pub bytes: Vec<u8>,
    checksum: Hasher,
}

/// Deflates blocks; one for each worker, because its tables are dear to make.
pub struct Deflater {
    compress: Compress,
}

impl Deflater {
    /// A deflater of that level.
    pub fn new(level: Level) -> Self {
        Self { compress: Compress::new(Compression::new(level.0), false) }
    }

    /// Deflates `data`. `preceding` is what stands in the member right before it, of which the last [`WINDOW`]
    /// bytes are used; it may be cut short or empty, which only costs size.
    ///
    /// # Errors
    /// An internal fault of the compressor.
    pub fn deflate(&mut self, preceding: &[u8], data: &[u8]) -> Result<DeflatedBlock, Fault> {
        self.compress.reset();
        let window = &preceding[preceding.len().saturating_sub(WINDOW)..];
        if !window.is_empty() {
            self.compress.set_dictionary(window).fault("handing the preceding bytes to the compressor")?;
        }
        let mut bytes = Vec::with_capacity(data.len() / 2 + 1024);
        let mut consumed = 0;
        loop {
            let before = self.compress.total_in();
            let status = self.compress.compress_vec(&data[consumed..], &mut bytes, FlushCompress::Sync);
            consumed += usize::try_from(self.compress.total_in() - before).fault("counting deflated bytes")?;
            let room_left = bytes.len() < bytes.capacity();
            match status.fault("deflating a block")? {
                // All is flushed once everything was taken and the compressor did not stop for want of room.
                Status::Ok | Status::BufError if consumed == data.len() && room_left => break,
                Status::Ok | Status::BufError if !room_left => bytes.reserve(bytes.capacity() / 2),
                Status::Ok => {}
                Status::BufError | Status::StreamEnd => {
                    return Err(Fault::internal("the compressor stopped in the middle of a block"));
                }
            }
        }
        let mut checksum = Hasher::new();
        checksum.update(data);
        Ok(DeflatedBlock { bytes, checksum })
    }
}

/// What has to be known of the blocks written so far to end the member.
#[derive(Debug, Clone, Default)]
pub struct Member {
    checksum: Hasher,
    length: u64,
}

impl Member {
    /// A member without blocks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the next block of the member; its bytes are written by the caller.
    pub fn append(&mut self, block: &DeflatedBlock, length: u64) {
        self.checksum.combine(&block.checksum);
        self.length += length;
    }

    /// The bytes that end the member: a final empty block, CRC-32, length modulo 2^32.
    pub fn trailer(&self) -> Vec<u8> {
        let mut bytes = vec![0x03, 0x00];
        bytes.extend_from_slice(&self.checksum.clone().finalize().to_le_bytes());
        bytes.extend_from_slice(&(self.length as u32).to_le_bytes());
        bytes
    }
}
