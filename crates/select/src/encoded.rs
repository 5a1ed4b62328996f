//! What workers hand to the writer of a file: encoded records, in any order.

use tollbook_columns::encode::gzip::DeflatedBlock;
use tollbook_columns::parquet_file::EncodedRowGroup;
use tollbook_model::merkle::Hash;

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
    /// What comes next is of another stretch of time.
    StretchEnd,
}
