//! From records to the bytes of each format: what workers do. How their results become a file is in `file_writer`.

use crate::BATCH_ROWS;
use crate::encoded::Encoded;
use crate::file_writer::{FileWriter, Order};
use crate::rows::HandOver;
use crate::tally::Tally;
use crate::text_rows::TextRows;
use arrow_array::RecordBatch;
use arrow_buffer::BooleanBuffer;
use std::sync::Arc;
use tollbook_columns::encode::gzip::{Deflater, Level, Member};
use tollbook_columns::encode::{ProvedRecords, RecordProof};
use tollbook_columns::parquet_file::{ExportAssembly, PartFile, RowChoice};
use tollbook_kit::fault::Fault;
use tollbook_model::export::{ExportRequest, Proof};
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
    /// No work: what comes next is of another stretch of time.
    StretchEnd,
}

/// In which pieces records are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pieces {
    /// Rows that go into one piece of work.
    pub(crate) rows_at_once: usize,
    /// What is taken undecoded.
    pub(crate) takes_over: HandOver,
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
    Text(Arc<TextRows>),
    Gzip(Arc<TextRows>),
    Parquet(Box<ExportAssembly>),
}

impl Output {
    pub(crate) fn new(request: &ExportRequest) -> Result<Self, Fault> {
        let form = match TextRows::of(request)? {
            Some(rows) if request.format == ExportFormat::CsvGz => Form::Gzip(Arc::new(rows)),
            Some(rows) => Form::Text(Arc::new(rows)),
            None => {
                let key_values = [
                    ("tollbook.schema_id", request.schema_id.clone()),
                    ("tollbook.export_id", request.id.to_string()),
                ];
                let selection = &request.selection;
                let schema = Schema::of(selection.dataset);
                Form::Parquet(Box::new(ExportAssembly::new(&schema, &selection.columns, &key_values)?))
            }
        };
        Ok(Self { form, format: request.format, proof: request.proof.clone() })
    }

    /// A piece of work is a row group for Parquet, a batch for the others. Parquet does not take a few records at a time:
    /// its row groups would be small.
    pub(crate) fn pieces(&self) -> Pieces {
        match self.form {
            Form::Text(_) | Form::Gzip(_) => Pieces { rows_at_once: 1, takes_over: HandOver::Few },
            Form::Parquet(_) => Pieces { rows_at_once: 32 * 1024, takes_over: HandOver::Whole },
        }
    }

    /// Results that may wait beside those in the workers' hands. A row group's are some 10 MiB, a batch's 1 or 2.
    pub(crate) fn results_ahead(&self) -> usize {
        match self.form {
            Form::Text(_) | Form::Gzip(_) => 2,
            Form::Parquet(_) => 0,
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

    /// The file that is made of the results.
    pub(crate) fn file(self) -> FileWriter {
        let order = match self.form {
            Form::Text(encoder) => Order::Text(encoder),
            Form::Gzip(encoder) => Order::Gzip { encoder, member: Member::new() },
            Form::Parquet(assembly) => Order::Parquet(assembly),
        };
        FileWriter::new(order, Tally::new(self.format, &self.proof))
    }
}

/// The part of an output that runs on many threads.
pub(crate) enum Worker {
    Text(Arc<TextRows>, Option<RecordProof>),
    Gzip(Arc<TextRows>),
    Parquet(Box<ExportAssembly>),
}

impl Encoded {
    /// Records inside.
    pub(crate) fn rows(&self) -> u64 {
        match self {
            Self::Text { rows, .. } | Self::Block { rows, .. } => *rows,
            Self::RowGroup(group) => group.rows,
            Self::StretchEnd => 0,
        }
    }
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
            (_, Job::StretchEnd) => Ok(Encoded::StretchEnd),
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

fn render(encoder: &TextRows, batches: &[RecordBatch], first: bool) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        encoder.encode(batch, first && at == 0, &mut text)?;
    }
    Ok(text)
}
