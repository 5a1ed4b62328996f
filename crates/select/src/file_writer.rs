//! One file of an export, put together from what workers made: keeps its order, and adds up what it turns out to be.
//!
//! Where its bytes go is not known here; in order to go on with it elsewhere, its state can be taken and restored.

use crate::encoded::Encoded;
use crate::pipeline::{Emitter, Outlet};
use crate::tally::{Sink, Tally};
use crate::text_rows::TextRows;
use bytes::Bytes;
use futures::channel::oneshot;
use std::sync::Arc;
use tollbook_columns::encode::gzip::{self, Deflater, Level, Member};
use tollbook_columns::parquet_file::{ExportAssembly, Piece};
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::export::ExportedFile;

/// Largest stretch of a stored file held in memory while it is copied.
const COPY_BYTES: u64 = 256 * 1024;

/// A file that is being written.
pub(crate) struct FileWriter {
    order: Order,
    tally: Tally,
}

/// What keeps the file's order.
pub(crate) enum Order {
    Text(Arc<TextRows>),
    Gzip { encoder: Arc<TextRows>, member: Member },
    Parquet(Box<ExportAssembly>),
}

/// What must be known of the inside of a file to go on with it, beside what its tally says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OrderState {
    /// CRC-32 and length of what a gzip member holds.
    pub(crate) gzip: Option<(u32, u64)>,
    /// Footer of the Parquet row groups since the state was taken before.
    pub(crate) footer: Option<Bytes>,
}

impl FileWriter {
    pub(crate) fn new(order: Order, tally: Tally) -> Self {
        Self { order, tally }
    }

    /// The same, with the SHA-256 of the file whether it is proved or not.
    pub(crate) fn hashed(self) -> Self {
        Self { tally: self.tally.hashed(), ..self }
    }

    /// What is added up so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many Parquet row groups there are so far.
    pub(crate) fn row_groups(&self) -> usize {
        if let Order::Parquet(assembly) = &self.order { assembly.row_groups() } else { 0 }
    }

    /// The state; of Parquet only what came from this row group on.
    ///
    /// # Errors
    /// `internal` only.
    pub(crate) fn state(&self, first_row_group: usize) -> Result<OrderState, Fault> {
        Ok(match &self.order {
            Order::Text(_) => OrderState::default(),
            Order::Gzip { member, .. } => {
                OrderState { gzip: Some(member.checksum()), ..OrderState::default() }
            }
            Order::Parquet(assembly) => {
                OrderState { footer: Some(assembly.footer_from(first_row_group)?), ..OrderState::default() }
            }
        })
    }

    /// Goes on with a file: `tally` is what was added up of it, `states` are all that were taken of it, in order.
    ///
    /// # Errors
    /// `internal` when the states are not of such a file.
    pub(crate) fn restore(&mut self, tally: Tally, states: &[OrderState]) -> Result<(), Fault> {
        let missing = || Fault::internal("a kept state lacks what its format needs");
        self.tally = tally;
        match &mut self.order {
            Order::Text(_) => {}
            Order::Gzip { member, .. } => {
                let last = states.last().and_then(|state| state.gzip).ok_or_else(missing)?;
                *member = Member::from_checksum(last);
            }
            Order::Parquet(assembly) => {
                for state in states {
                    assembly.restore(state.footer.as_ref().ok_or_else(missing)?)?;
                }
            }
        }
        Ok(())
    }

    /// What a file begins with.
    pub(crate) fn open(&mut self, sink: Sink<'_>) -> Result<(), Fault> {
        let Self { order, tally } = self;
        match order {
            Order::Text(encoder) => tally.send(encoder.header(), sink),
            Order::Gzip { encoder, member } => {
                let block = Deflater::new(Level::EXPORT).deflate(&[], &encoder.header())?;
                member.append(&block);
                let mut opening = gzip::header().to_vec();
                opening.extend_from_slice(&block.bytes);
                tally.send(opening, sink)
            }
            Order::Parquet(assembly) => tally.send(assembly.opening(), sink),
        }
    }

    /// The next records.
    pub(crate) fn append(&mut self, result: Encoded, sink: Sink<'_>) -> Result<(), Fault> {
        let Self { order, tally } = self;
        match (order, result) {
            (Order::Text(_), Encoded::Text { text, rows, leaves }) => {
                tally.add(rows, leaves);
                tally.send(text, sink)
            }
            (Order::Gzip { member, .. }, Encoded::Block { block, rows }) => {
                member.append(&block);
                tally.add(rows, Vec::new());
                tally.send(block.bytes, sink)
            }
            (Order::Parquet(assembly), Encoded::RowGroup(group)) => {
                assembly.place(&group)?;
                tally.add(group.rows, Vec::new());
                group.pieces.into_iter().try_for_each(|piece| send_piece(piece, tally, sink))
            }
            _ => Err(Fault::internal("a result of another format")),
        }
    }

    /// What a file ends with; answers what the file is.
    pub(crate) fn close(self, sink: Sink<'_>) -> Result<ExportedFile, Fault> {
        let Self { order, mut tally } = self;
        let ending: Bytes = match order {
            Order::Text(encoder) => encoder.footer(tally.rows() == 0).into(),
            Order::Gzip { member, .. } => member.trailer().into(),
            Order::Parquet(assembly) => assembly.closing()?,
        };
        tally.send(ending, sink)?;
        tally.file()
    }
}

fn send_piece(piece: Piece, tally: &mut Tally, sink: Sink<'_>) -> Result<(), Fault> {
    match piece {
        Piece::Bytes(bytes) => tally.send(bytes, sink),
        Piece::Range { source, offset, length } => {
            let mut at = 0;
            while at < length {
                let take = COPY_BYTES.min(length - at);
                let take_bytes = usize::try_from(take).fault("a piece beyond the address space")?;
                let bytes: Bytes =
                    source.bytes().read_at(offset + at, take_bytes).fault("copying a column chunk")?;
                tally.send(bytes, sink)?;
                at += take;
            }
            Ok(())
        }
    }
}

/// A file whose bytes go straight to a reader. Tells what it is when it is whole.
pub(crate) struct StreamedFile {
    file: FileWriter,
    told: oneshot::Sender<ExportedFile>,
}

impl StreamedFile {
    pub(crate) fn new(file: FileWriter, told: oneshot::Sender<ExportedFile>) -> Self {
        Self { file, told }
    }
}

impl Emitter for StreamedFile {
    type Result = Encoded;
    type Item = Bytes;

    fn open(&mut self, outlet: &Outlet) -> Result<(), Fault> {
        self.file.open(&mut |bytes| outlet.send(bytes))
    }

    fn emit(&mut self, result: Encoded, outlet: &Outlet) -> Result<(), Fault> {
        self.file.append(result, &mut |bytes| outlet.send(bytes))
    }

    fn close(self, outlet: &Outlet) -> Result<(), Fault> {
        let file = self.file.close(&mut |bytes| outlet.send(bytes))?;
        // That nobody listens is no fault.
        let _not_wanted = self.told.send(file);
        Ok(())
    }
}
