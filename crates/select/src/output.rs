//! From records to the bytes of each format: what workers do, and what the emitter does with their results.

use crate::BATCH_ROWS;
use crate::pipeline::{Emitter, Outlet};
use crate::rows::HandOver;
use crate::tally::Tally;
use arrow_array::RecordBatch;
use arrow_buffer::BooleanBuffer;
use bytes::Bytes;
use futures::channel::oneshot;
use std::sync::Arc;
use tollbook_columns::encode::gzip::{self, DeflatedBlock, Deflater, Level, Member};
use tollbook_columns::encode::{ProvedRecords, RecordProof, TextEncoder, TextFormat};
use tollbook_columns::parquet_file::{EncodedRowGroup, ExportAssembly, PartFile, Piece, RowChoice};
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::export::{ExportRequest, ExportedFile, Proof};
use tollbook_model::format::ExportFormat;
use tollbook_model::merkle::Hash;
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
    pub(crate) fn read(self) -> Result<Self, Fault> {
        match self {
            Self::Few { part, row_group, mask, columns, first } => {
                let rows = part.read(row_group, &columns, BATCH_ROWS, RowChoice::Mask(mask))?;
                Ok(Self::Records { batches: rows.collect::<Result<_, _>>()?, first })
            }
            other => Ok(other),
        }
    }
}

/// The output of one export: its form, and how it is proved.
pub(crate) struct Output {
    form: Form,
    format: ExportFormat,
    proof: Proof,
}

/// The encoder of one export, shared by its workers.
enum Form {
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
        let form = match request.format {
            ExportFormat::Csv => Form::Text(text(csv)),
            ExportFormat::CsvGz => Form::Gzip(text(csv)),
            ExportFormat::Ndjson => Form::Text(text(TextFormat::Ndjson)),
            ExportFormat::Json => Form::Text(text(TextFormat::Json)),
            ExportFormat::Parquet => {
                let key_values = [
                    ("tollbook.schema_id", request.schema_id.clone()),
                    ("tollbook.export_id", request.id.to_string()),
                ];
                Form::Parquet(Box::new(ExportAssembly::new(&schema, &selection.columns, &key_values)?))
            }
        };
        Ok(Self { form, format: request.format, proof: request.proof.clone() })
    }

    /// Rows that go into one piece of work: a row group for Parquet, a batch for the others.
    pub(crate) fn rows_at_once(&self) -> usize {
        match self.form {
            Form::Text(_) | Form::Gzip(_) => 1,
            Form::Parquet(_) => 32 * 1024,
        }
    }

    /// Results that may wait beside those in the workers' hands. A row group's are some 10 MiB, a batch's 1 or 2.
    pub(crate) fn results_ahead(&self) -> usize {
        match self.form {
            Form::Text(_) | Form::Gzip(_) => 2,
            Form::Parquet(_) => 0,
        }
    }

    /// What its workers take undecoded. Parquet does not take a few records at a time: its row groups would be small.
    pub(crate) fn takes_over(&self) -> HandOver {
        match self.form {
            Form::Text(_) | Form::Gzip(_) => HandOver::Few,
            Form::Parquet(_) => HandOver::Whole,
        }
    }

    /// What each worker does.
    pub(crate) fn worker(&self) -> Worker {
        match &self.form {
            Form::Text(encoder) => Worker::Text(Arc::clone(encoder), self.record_proof()),
            Form::Gzip(encoder) => Worker::Gzip(Arc::clone(encoder)),
            Form::Parquet(assembly) => Worker::Parquet(Box::new(assembly.encoder())),
        }
    }

    /// Only records of JSON are proved one by one.
    fn record_proof(&self) -> Option<RecordProof> {
        match &self.proof {
            Proof::Digests if self.format.is_json() => Some(RecordProof::new(None)),
            Proof::Signatures(key) if self.format.is_json() => Some(RecordProof::new(Some(Arc::clone(key)))),
            _ => None,
        }
    }

    /// What the emitter does with the results; it tells what the file is when it is whole.
    pub(crate) fn writer(self, told: oneshot::Sender<ExportedFile>) -> Writer {
        let order = match self.form {
            Form::Text(encoder) => Order::Text(encoder),
            Form::Gzip(encoder) => Order::Gzip { encoder, member: Member::new() },
            Form::Parquet(assembly) => Order::Parquet(assembly),
        };
        Writer { order, tally: Tally::new(self.format, &self.proof), told }
    }
}

/// The part of an output that runs on many threads.
pub(crate) enum Worker {
    Text(Arc<TextEncoder>, Option<RecordProof>),
    Gzip(Arc<TextEncoder>),
    Parquet(Box<ExportAssembly>),
}

/// The result of one piece of work.
pub(crate) enum Encoded {
    /// Text of so many records, with their leaves if they are proved.
    Text {
        text: Vec<u8>,
        rows: u64,
        leaves: Vec<Hash>,
    },
    /// A block of so many records.
    Block {
        block: DeflatedBlock,
        rows: u64,
    },
    RowGroup(EncodedRowGroup),
}

impl Worker {
    pub(crate) fn encode(&self, job: Job) -> Result<Encoded, Fault> {
        match (self, job.read()?) {
            (Self::Text(encoder, proof), Job::Records { batches, first }) => {
                let text = render(encoder, &batches, first)?;
                let ProvedRecords { text, leaves } = match proof {
                    Some(proof) => proof.prove(text),
                    None => ProvedRecords { text, leaves: Vec::new() },
                };
                Ok(Encoded::Text { text, rows: rows_of(&batches), leaves })
            }
            (Self::Gzip(encoder), Job::Records { batches, first }) => {
                let text = render(encoder, &batches, first)?;
                let block = Deflater::new(Level::EXPORT).deflate(&[], &text)?;
                Ok(Encoded::Block { block, rows: rows_of(&batches) })
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
            (Self::Text(..) | Self::Gzip(_), Job::Whole(..)) => {
                Err(Fault::internal("a row group was handed over to a text format"))
            }
        }
    }
}

fn rows_of(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

fn render(encoder: &TextEncoder, batches: &[RecordBatch], first: bool) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        encoder.encode(batch, first && at == 0, &mut text)?;
    }
    Ok(text)
}

/// The part of an output that keeps the file's order.
pub(crate) struct Writer {
    order: Order,
    tally: Tally,
    told: oneshot::Sender<ExportedFile>,
}

enum Order {
    Text(Arc<TextEncoder>),
    Gzip { encoder: Arc<TextEncoder>, member: Member },
    Parquet(Box<ExportAssembly>),
}

/// Largest stretch of a stored file held in memory while it is copied.
const COPY_BYTES: u64 = 256 * 1024;

impl Emitter for Writer {
    type Result = Encoded;
    type Item = Bytes;

    fn open(&mut self, outlet: &Outlet) -> Result<(), Fault> {
        let Self { order, tally, .. } = self;
        match order {
            Order::Text(encoder) => tally.send(encoder.header(), outlet),
            Order::Gzip { encoder, member } => {
                let block = Deflater::new(Level::EXPORT).deflate(&[], &encoder.header())?;
                member.append(&block);
                let mut opening = gzip::header().to_vec();
                opening.extend_from_slice(&block.bytes);
                tally.send(opening, outlet)
            }
            Order::Parquet(assembly) => tally.send(assembly.opening(), outlet),
        }
    }

    fn emit(&mut self, result: Encoded, outlet: &Outlet) -> Result<(), Fault> {
        let Self { order, tally, .. } = self;
        match (order, result) {
            (Order::Text(_), Encoded::Text { text, rows, leaves }) => {
                tally.add(rows, leaves);
                tally.send(text, outlet)
            }
            (Order::Gzip { member, .. }, Encoded::Block { block, rows }) => {
                member.append(&block);
                tally.add(rows, Vec::new());
                tally.send(block.bytes, outlet)
            }
            (Order::Parquet(assembly), Encoded::RowGroup(group)) => {
                assembly.place(&group)?;
                tally.add(group.rows, Vec::new());
                group.pieces.into_iter().try_for_each(|piece| send_piece(piece, tally, outlet))
            }
            _ => Err(Fault::internal("a result of another format")),
        }
    }

    fn close(self, outlet: &Outlet) -> Result<(), Fault> {
        let Self { order, mut tally, told } = self;
        let ending: Bytes = match order {
            Order::Text(encoder) => encoder.footer(tally.rows() == 0).into(),
            Order::Gzip { member, .. } => member.trailer().into(),
            Order::Parquet(assembly) => assembly.closing()?,
        };
        tally.send(ending, outlet)?;
        tally.tell(told)
    }
}

fn send_piece(piece: Piece, tally: &mut Tally, outlet: &Outlet) -> Result<(), Fault> {
    match piece {
        Piece::Bytes(bytes) => tally.send(bytes, outlet),
        Piece::Range { source, offset, length } => {
            let mut at = 0;
            while at < length {
                let take = COPY_BYTES.min(length - at);
                let take_bytes = usize::try_from(take).fault("a piece beyond the address space")?;
                let bytes: Bytes =
                    source.bytes().read_at(offset + at, take_bytes).fault("copying a column chunk")?;
                tally.send(bytes, outlet)?;
                at += take;
            }
            Ok(())
        }
    }
}
