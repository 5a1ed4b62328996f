//! What is kept with each part of a file, and how a file is gone on with: kept parts are read once more, for the hash of
//! the whole file and to see that they are what they were.

use crate::file_writer::{FileWriter, OrderState};
use crate::tally::Tally;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use bytes::Bytes;
use crc32fast::Hasher;
use futures::channel::oneshot;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tollbook_columns::parquet_file::ByteSource;
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_kit::supervise::StopToken;
use tollbook_model::export::{ExportCounters, ExportRequest, ExportedFile};
use tollbook_model::export_job::ExportPart;
use tollbook_model::merkle::MerkleTree;
use tollbook_store::artifacts::PartStore;
use uuid::Uuid;

/// Bytes of a kept part that are held while it is read.
const READ_BYTES: u64 = 256 * 1024;

/// What is kept with a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartState {
    /// The export, and its format: a part is of no use to another.
    pub(crate) export: Uuid,
    /// The format's name.
    pub(crate) format: String,
    /// CRC-32 of the part.
    pub(crate) crc32: u32,
    /// The first moment whose records are not written yet, in milliseconds; none when the file is whole.
    pub(crate) next_ms: Option<i64>,
    /// Records up to the end of the part.
    pub(crate) rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gzip: Option<(u32, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    footer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tree: Option<TreeEdge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TreeEdge {
    leaves: u64,
    hashes: Vec<String>,
}

impl PartState {
    /// The state of a part with this checksum that ends where the file is now, which is before `next_ms`. Of Parquet the
    /// row groups from number `first_row_group` on are new.
    ///
    /// # Errors
    /// `internal` only.
    pub(crate) fn of(
        request: (Uuid, &str),
        file: &FileWriter,
        first_row_group: usize,
        crc32: u32,
        next_ms: Option<i64>,
    ) -> Result<Self, Fault> {
        let OrderState { gzip, footer } = file.state(first_row_group)?;
        let edge = |tree: &MerkleTree| TreeEdge {
            leaves: tree.leaves(),
            hashes: tree.edge().iter().map(|hash| BASE64.encode(hash)).collect(),
        };
        Ok(Self {
            export: request.0,
            format: request.1.to_owned(),
            crc32,
            next_ms,
            rows: file.tally().rows(),
            gzip,
            footer: footer.map(|footer| BASE64.encode(footer)),
            tree: file.tally().tree().map(edge),
        })
    }

    /// As it is kept.
    ///
    /// # Errors
    /// `internal` only.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        serde_json::to_vec(self).fault("writing the state of a part")
    }

    fn order(&self) -> Result<OrderState, Fault> {
        let decode = |text: &String| BASE64.decode(text).map(Bytes::from).fault("reading a kept footer");
        Ok(OrderState { gzip: self.gzip, footer: self.footer.as_ref().map(decode).transpose()? })
    }

    fn merkle_tree(&self) -> Result<Option<MerkleTree>, Fault> {
        let Some(edge) = &self.tree else { return Ok(None) };
        let hashes = edge.hashes.iter().map(|text| {
            let bytes = BASE64.decode(text).fault("reading a kept tree")?;
            bytes.try_into().map_err(|_| Fault::internal("a kept tree holds something else than hashes"))
        });
        let tree = MerkleTree::from_edge(edge.leaves, hashes.collect::<Result<_, Fault>>()?);
        tree.ok_or_else(|| Fault::internal("a kept tree lacks hashes")).map(Some)
    }
}

/// What earlier attempts made of a file: one part at least.
pub(crate) struct Kept {
    /// The parts.
    pub(crate) parts: u32,
    /// The first moment whose records are not written yet; none when the file is whole.
    pub(crate) next_ms: Option<i64>,
    /// What is added up of the file.
    pub(crate) tally: Tally,
    orders: Vec<OrderState>,
}

impl Kept {
    /// Reads the parts of this export again. Blocks; `stop` ends it.
    ///
    /// # Errors
    /// `conflict` when something is not as it was written, or is of another export.
    pub(crate) fn read(
        store: &PartStore,
        request: &ExportRequest,
        parts: &[ExportPart],
        stop: &StopToken,
    ) -> Result<Option<Self>, Fault> {
        if parts.is_empty() {
            return Ok(None);
        }
        Self::read_all(store, request, parts, stop).map(Some).map_err(damaged)
    }

    fn read_all(
        store: &PartStore,
        request: &ExportRequest,
        parts: &[ExportPart],
        stop: &StopToken,
    ) -> Result<Self, Fault> {
        let (mut bytes, mut sha256, mut orders) = (0, Sha256::new(), Vec::new());
        let mut before: Option<PartState> = None;
        for (number, part) in (0..).zip(parts) {
            let state: PartState = serde_json::from_slice(&part.state).fault("reading a kept state")?;
            let is_of_this = (state.export, state.format.as_str()) == (request.id, request.format.name());
            let follows = before.is_none_or(|before| {
                before.next_ms.is_some_and(|ms| state.next_ms.is_none_or(|next| next > ms))
            });
            if !is_of_this || !follows || part.number != number {
                return Err(Fault::internal("a kept part is not the next one of this export"));
            }
            let source = store.open(part)?.ok_or_else(|| Fault::internal("a kept part is gone"))?;
            if read_part(source.as_ref(), &mut sha256, stop)? != state.crc32 {
                return Err(Fault::internal("a kept part has other bytes than were written"));
            }
            bytes += part.bytes;
            orders.push(state.order()?);
            before = Some(state);
        }
        let last = before.ok_or_else(|| Fault::internal("no part was kept"))?;
        let tally = Tally::resumed(bytes, sha256, last.rows, last.merkle_tree()?);
        let parts = u32::try_from(parts.len()).fault("counting kept parts")?;
        Ok(Self { parts, next_ms: last.next_ms, tally, orders })
    }

    /// Tells what the file is, which is whole.
    ///
    /// # Errors
    /// `internal` only.
    pub(crate) fn tell(
        &self,
        counters: &ExportCounters,
        told: oneshot::Sender<ExportedFile>,
    ) -> Result<(), Fault> {
        let file = self.tally.clone().file()?;
        // How many were looked at is not known any more; that all were is.
        counters.expect(file.rows.max(1));
        counters.add(file.rows.max(1), file.rows);
        // That nobody listens is no fault.
        let _not_wanted = told.send(file);
        Ok(())
    }

    /// Lets `file` go on behind the parts.
    ///
    /// # Errors
    /// `conflict` when they are not of such a file.
    pub(crate) fn restore(&self, file: &mut FileWriter) -> Result<(), Fault> {
        if self.tally.tree().is_some() != file.tally().tree().is_some() {
            return Err(damaged(Fault::internal("the file was proved in another way")));
        }
        file.restore(self.tally.clone(), &self.orders).map_err(damaged)
    }
}

/// Answers the CRC-32.
fn read_part(source: &dyn ByteSource, sha256: &mut Sha256, stop: &StopToken) -> Result<u32, Fault> {
    let (mut at, mut crc32) = (0, Hasher::new());
    while at < source.size() && !stop.is_cancelled() {
        let take = READ_BYTES.min(source.size() - at);
        let length = usize::try_from(take).fault("measuring a piece of a part")?;
        let bytes = source.read_at(at, length).fault("reading a kept part")?;
        crc32.update(&bytes);
        sha256.update(&bytes);
        at += take;
    }
    Ok(crc32.finalize())
}

/// What was kept cannot be gone on with.
pub(crate) fn damaged(source: Fault) -> Fault {
    let text = "what was kept of the export is damaged; it must start over";
    Fault::new(Code::Conflict, text).with_context(source.log_text())
}
