//! A file read for one reader: a chunk at a time, when it is asked for. Between two chunks nothing is held, not even an
//! open object: readers may be many and slow. So a file that is erased also ends for those who are reading it.

use crate::blob::Blobs;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, try_unfold};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use tollbook_columns::parquet_file::ByteSource;
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_model::export_job::ExportPart;
use tollbook_model::ports::CHUNK_BYTES;

/// What is still to be read of a file.
pub(super) struct Reading {
    blobs: Arc<dyn Blobs>,
    pieces: VecDeque<Piece>,
}

/// What is wanted of one part; never nothing.
struct Piece {
    path: String,
    part_bytes: u64,
    wanted: Range<u64>,
}

impl Reading {
    /// The bytes `range` of the file that `parts` make. Nothing is opened yet.
    pub(super) fn new(
        blobs: Arc<dyn Blobs>,
        parts: Vec<ExportPart>,
        range: Range<u64>,
    ) -> Result<Self, Fault> {
        let mut pieces = VecDeque::new();
        let mut start = 0;
        for part in parts {
            let end = start + part.bytes;
            let wanted = range.start.max(start)..range.end.min(end);
            if !wanted.is_empty() {
                let path = part.path.ok_or_else(|| Fault::internal("a part with bytes has no object"))?;
                let wanted = wanted.start - start..wanted.end - start;
                pieces.push_back(Piece { path, part_bytes: part.bytes, wanted });
            }
            start = end;
        }
        if range.start > range.end || range.end > start {
            return Err(Fault::internal("a range that does not lie inside its file was asked for"));
        }
        Ok(Self { blobs, pieces })
    }

    /// Is what comes next there? Blocks.
    pub(super) fn check(&self) -> Result<(), Fault> {
        self.pieces.front().map_or(Ok(()), |piece| self.open(piece).map(drop))
    }

    fn open(&self, piece: &Piece) -> Result<Arc<dyn ByteSource>, Fault> {
        let Some(source) = self.blobs.find(&piece.path)? else {
            return Err(Fault::new(Code::Gone, "the file was removed; order it again"));
        };
        if source.size() == piece.part_bytes {
            return Ok(source);
        }
        Err(Fault::internal("a part of an export is of another size").with_context(&piece.path))
    }

    /// The chunks; a thread is taken for each only while it is read.
    pub(super) fn chunks(self) -> BoxStream<'static, Result<Bytes, Fault>> {
        try_unfold(self, |mut reading| async move {
            let read = move || Ok(reading.next_chunk()?.map(|chunk| (chunk, reading)));
            tokio::task::spawn_blocking(read).await.fault("waiting for a part to be read")?
        })
        .boxed()
    }

    fn next_chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        let Some(mut piece) = self.pieces.pop_front() else { return Ok(None) };
        let source = self.open(&piece)?;
        let from = piece.wanted.start;
        let take = (piece.wanted.end - from).min(CHUNK_BYTES as u64);
        let length = usize::try_from(take).fault("measuring a chunk")?;
        let chunk = source.read_at(from, length).map_err(|error| {
            Fault::internal("reading a part of an export").with_context(&piece.path).with_source(error)
        })?;
        piece.wanted.start += take;
        if !piece.wanted.is_empty() {
            self.pieces.push_front(piece);
        }
        Ok(Some(chunk))
    }
}
