//! What an export's file turns out to be, added up while its bytes leave: size and records of every file, hashes of those
//! that are proved.

use crate::pipeline::Outlet;
use bytes::Bytes;
use futures::channel::oneshot;
use sha2::{Digest, Sha256};
use tollbook_kit::fault::Fault;
use tollbook_model::export::{ExportedFile, Proof};
use tollbook_model::format::ExportFormat;
use tollbook_model::merkle::{Hash, MerkleTree};

/// Adds up one file.
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

    /// The next bytes of the file, handed on.
    ///
    /// # Errors
    /// As [`Outlet::send`].
    pub(crate) fn send(&mut self, bytes: impl Into<Bytes>, outlet: &Outlet) -> Result<(), Fault> {
        let bytes = bytes.into();
        self.bytes += bytes.len() as u64;
        if let Some(digest) = &mut self.sha256 {
            digest.update(&bytes);
        }
        outlet.send(bytes)
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

    /// Tells what the file is, now that it is whole. That nobody listens is no fault.
    ///
    /// # Errors
    /// `internal` when leaves are missing.
    pub(crate) fn tell(self, told: oneshot::Sender<ExportedFile>) -> Result<(), Fault> {
        if self.tree.as_ref().is_some_and(|tree| tree.leaves() != self.rows) {
            return Err(Fault::internal("records and leaves of an export differ in number"));
        }
        let _not_wanted = told.send(ExportedFile {
            bytes: self.bytes,
            rows: self.rows,
            sha256: self.sha256.map(|digest| digest.finalize().into()),
            merkle_root: self.tree.map(|tree| tree.root()),
        });
        Ok(())
    }
}
