//! What an export's file turns out to be, added up while its bytes leave: size and records of every file, hashes of those
//! that are proved or kept.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tollbook_kit::fault::Fault;
use tollbook_model::export::{ExportedFile, Proof};
use tollbook_model::format::ExportFormat;
use tollbook_model::merkle::{Hash, MerkleTree};

/// Where the bytes of a file go. An error means that they do not matter any more, or cannot be kept.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Bytes) -> Result<(), Fault>;

/// Adds up one file.
#[derive(Clone)]
pub(crate) struct Tally {
    bytes: u64,
    rows: u64,
    sha256: Option<Sha256>,
    tree: Option<MerkleTree>,
}

impl Tally {
    /// An empty file of this format. Without a proof nothing is hashed.
    pub(crate) fn new(format: ExportFormat, proof: &Proof) -> Self {
        let is_proved = !matches!(proof, Proof::None);
        Self {
            bytes: 0,
            rows: 0,
            sha256: is_proved.then(Sha256::new),
            tree: (is_proved && format.is_json()).then(MerkleTree::new),
        }
    }

    /// The same, with the SHA-256 of the file whether it is proved or not.
    pub(crate) fn hashed(self) -> Self {
        Self { sha256: Some(self.sha256.unwrap_or_default()), ..self }
    }

    /// A file of which so many bytes were there before, of this hash, with so many records, of which this is the tree if
    /// they are proved.
    pub(crate) fn resumed(bytes: u64, sha256: Sha256, rows: u64, tree: Option<MerkleTree>) -> Self {
        Self { bytes, rows, sha256: Some(sha256), tree }
    }

    /// The next bytes of the file, handed on.
    ///
    /// # Errors
    /// As the sink.
    pub(crate) fn send(&mut self, bytes: impl Into<Bytes>, sink: Sink<'_>) -> Result<(), Fault> {
        let bytes = bytes.into();
        self.bytes += bytes.len() as u64;
        if let Some(digest) = &mut self.sha256 {
            digest.update(&bytes);
        }
        sink(bytes)
    }

    /// Counts the next records, of which these are the leaves, if they are proved.
    pub(crate) fn add(&mut self, rows: u64, leaves: Vec<Hash>) {
        self.rows += rows;
        if let Some(tree) = &mut self.tree {
            leaves.into_iter().for_each(|leaf| tree.push(leaf));
        }
    }

    /// How many records there were.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The tree over them, if they are proved.
    pub(crate) fn tree(&self) -> Option<&MerkleTree> {
        self.tree.as_ref()
    }

    /// What the file is, now that it is whole.
    ///
    /// # Errors
    /// `internal` when leaves are missing.
    pub(crate) fn file(self) -> Result<ExportedFile, Fault> {
        if self.tree.as_ref().is_some_and(|tree| tree.leaves() != self.rows) {
            return Err(Fault::internal("records and leaves of an export differ in number"));
        }
        Ok(ExportedFile {
            bytes: self.bytes,
            rows: self.rows,
            sha256: self.sha256.map(|digest| digest.finalize().into()),
            merkle_root: self.tree.map(|tree| tree.root()),
        })
    }
}
