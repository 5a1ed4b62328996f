//! From records to the bytes of each format: what workers do, and what the emitter does with their results.

use crate::BATCH_ROWS;
use crate::pipeline::{Emitter, Outlet};
use crate::rows::HandOver;
use arrow_array::RecordBatch;
use arrow_buffer::BooleanBuffer;
use bytes::Bytes;
use std::sync::Arc;
use tollbook_columns::encode::gzip::{self, DeflatedBlock, Deflater, Level, Member};
use tollbook_columns::encode::{TextEncoder, TextFormat};
use tollbook_columns::parquet_file::{EncodedRowGroup, ExportAssembly, PartFile, Piece, RowChoice};
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::export::ExportRequest;
use tollbook_model::format::ExportFormat;
use tollbook_model::schema::Schema;

/// A piece of work.
pub(crate) enum Job {
    /// Records to encode; `first` when none were before them in the file.
    Records {
        /// Batches of the output's columns, none of them empty.
        batches: Vec<RecordBatch>,
        /// Are they the file's first?
        first: bool,
    },
    /// A row group to copy.
    Whole(PartFile, usize),
    /// Records to be read first: those of a row group that a mask marks, of these stored columns.
    Few {
        /// The part.
        part: PartFile,
        /// Its row group.
        row_group: usize,
        /// One bit per record.
        mask: BooleanBuffer,
        /// Columns of the output.
        columns: Arc<[usize]>,
        /// Are they the file's first?
        first: bool,
    },
}

impl Job {
    /// Reads what is still to be read.
    fn read(self) -> Result<Self, Fault> {
        match self {
            Self::Few { part, row_group, mask, columns, first } => {
                let rows = part.read(row_group, &columns, BATCH_ROWS, RowChoice::Mask(mask))?;
                Ok(Self::Records { batches: rows.collect::<Result<_, _>>()?, first })
            }
            other => Ok(other),
        }
    }
}

/// The encoder of one export, shared by its workers.
pub(crate) enum Output {
    Text(Arc<TextEncoder>),
    Gzip(Arc<TextEncoder>),
    Parquet(Box<ExportAssembly>),
}

impl Output {
    pub(crate) fn new(request: &ExportRequest) -> Result<Self, Fault> {
        let selection = &request.selection;
        let schema = Schema::of(selection.dataset);
        let text = |format| {
            Arc::new(TextEncoder::new(format, schema, &selection.columns, selection.timezone.clone()))
        };
        let csv = TextFormat::Csv { formula_guard: request.formula_guard };
        Ok(match request.format {
            ExportFormat::Csv => Self::Text(text(csv)),
            ExportFormat::CsvGz => Self::Gzip(text(csv)),
            ExportFormat::Ndjson => Self::Text(text(TextFormat::Ndjson)),
            ExportFormat::Json => Self::Text(text(TextFormat::Json)),
            ExportFormat::Parquet => {
                let key_values = [
                    ("tollbook.schema_id", request.schema_id.clone()),
                    ("tollbook.export_id", request.id.to_string()),
                ];
                Self::Parquet(Box::new(ExportAssembly::new(&schema, &selection.columns, &key_values)?))
            }
        })
    }

    /// Rows that go into one piece of work: a row group for Parquet, a batch for the others.
    pub(crate) fn rows_at_once(&self) -> usize {
        match self {
            Self::Text(_) | Self::Gzip(_) => 1,
            Self::Parquet(_) => 32 * 1024,
        }
    }

    /// Results that may wait beside those in the workers' hands. A row group's are some 10 MiB, a batch's 1 or 2.
    pub(crate) fn results_ahead(&self) -> usize {
        match self {
            Self::Text(_) | Self::Gzip(_) => 2,
            Self::Parquet(_) => 0,
        }
    }

    /// What its workers take undecoded. Parquet does not take a few records at a time: its row groups would be small.
    pub(crate) fn takes_over(&self) -> HandOver {
        match self {
            Self::Text(_) | Self::Gzip(_) => HandOver::Few,
            Self::Parquet(_) => HandOver::Whole,
        }
    }

    /// What a worker does, and what the emitter does with it.
    pub(crate) fn split(self) -> (Worker, Writer) {
        match self {
            Self::Text(encoder) => {
                (Worker::Text(Arc::clone(&encoder)), Writer::Text { encoder, empty: true })
            }
            Self::Gzip(encoder) => {
                (Worker::Gzip(Arc::clone(&encoder)), Writer::Gzip { encoder, member: Member::new() })
            }
            Self::Parquet(assembly) => {
                (Worker::Parquet(Box::new(assembly.encoder())), Writer::Parquet(assembly))
            }
        }
    }
}

/// The part of an output that runs on many threads.
pub(crate) enum Worker {
    Text(Arc<TextEncoder>),
    Gzip(Arc<TextEncoder>),
    Parquet(Box<ExportAssembly>),
}

/// The result of one piece of work.
pub(crate) enum Encoded {
    Text(Vec<u8>),
    Block(DeflatedBlock),
    RowGroup(EncodedRowGroup),
}

impl Worker {
    pub(crate) fn encode(&self, job: Job) -> Result<Encoded, Fault> {
        match (self, job.read()?) {
            (Self::Text(encoder), Job::Records { batches, first }) => {
                Ok(Encoded::Text(render(encoder, &batches, first)?))
            }
            (Self::Gzip(encoder), Job::Records { batches, first }) => {
                let text = render(encoder, &batches, first)?;
                Ok(Encoded::Block(Deflater::new(Level::EXPORT).deflate(&[], &text)?))
            }
            (Self::Parquet(assembly), Job::Records { batches, .. }) => {
                Ok(Encoded::RowGroup(assembly.encode(&batches)?))
            }
            (Self::Parquet(assembly), Job::Whole(part, row_group)) => {
                match assembly.copy(&part, row_group)? {
                    Some(copied) => Ok(Encoded::RowGroup(copied)),
                    None => Err(Fault::internal("a row group that lacks a column was handed over whole")),
                }
            }
            (_, Job::Few { .. }) => Err(Fault::internal("records were not read")),
            (Self::Text(_) | Self::Gzip(_), Job::Whole(..)) => {
                Err(Fault::internal("a row group was handed over to a text format"))
            }
        }
    }
}

fn render(encoder: &TextEncoder, batches: &[RecordBatch], first: bool) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        encoder.encode(batch, first && at == 0, &mut text)?;
    }
    Ok(text)
}

/// The part of an output that keeps the file's order.
pub(crate) enum Writer {
    Text { encoder: Arc<TextEncoder>, empty: bool },
    Gzip { encoder: Arc<TextEncoder>, member: Member },
    Parquet(Box<ExportAssembly>),
}

/// Largest stretch of a stored file held in memory while it is copied.
const COPY_BYTES: u64 = 256 * 1024;

impl Emitter for Writer {
    type Result = Encoded;

    fn open(&mut self, outlet: &Outlet) -> Result<(), Fault> {
        match self {
            Self::Text { encoder, .. } => outlet.send(encoder.header()),
            Self::Gzip { encoder, member } => {
                let block = Deflater::new(Level::EXPORT).deflate(&[], &encoder.header())?;
                member.append(&block);
                let mut opening = gzip::header().to_vec();
                opening.extend_from_slice(&block.bytes);
                outlet.send(opening)
            }
            Self::Parquet(assembly) => outlet.send(assembly.opening()),
        }
    }

    fn emit(&mut self, result: Encoded, outlet: &Outlet) -> Result<(), Fault> {
        match (self, result) {
            (Self::Text { empty, .. }, Encoded::Text(text)) => {
                *empty = false;
                outlet.send(text)
            }
            (Self::Gzip { member, .. }, Encoded::Block(block)) => {
                member.append(&block);
                outlet.send(block.bytes)
            }
            (Self::Parquet(assembly), Encoded::RowGroup(group)) => {
                assembly.place(&group)?;
                group.pieces.into_iter().try_for_each(|piece| send_piece(piece, outlet))
            }
            _ => Err(Fault::internal("a result of another format")),
        }
    }

    fn close(self, outlet: &Outlet) -> Result<(), Fault> {
        match self {
            Self::Text { encoder, empty } => outlet.send(encoder.footer(empty)),
            Self::Gzip { member, .. } => outlet.send(member.trailer()),
            Self::Parquet(assembly) => outlet.send(assembly.closing()?),
        }
    }
}

fn send_piece(piece: Piece, outlet: &Outlet) -> Result<(), Fault> {
    match piece {
        Piece::Bytes(bytes) => outlet.send(bytes),
        Piece::Range { source, offset, length } => {
            let mut at = 0;
            while at < length {
                let take = COPY_BYTES.min(length - at);
                let take_bytes = usize::try_from(take).fault("a piece beyond the address space")?;
                let bytes: Bytes =
                    source.bytes().read_at(offset + at, take_bytes).fault("copying a column chunk")?;
                outlet.send(bytes)?;
                at += take;
            }
            Ok(())
        }
    }
}
