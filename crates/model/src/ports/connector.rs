//! Connectors: what turns the bytes of one kind of source into call records.

use crate::ports::RecordSink;
use crate::source::Source;
use crate::tenant::Tenant;
use serde_json::{Map, Value};
use tollbook_kit::fault::Fault;

/// Rows of one body: how many there were and which were refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowReport {
    /// Rows seen, good and bad.
    pub rows: u64,
    /// Rows refused in all.
    pub rejected: u64,
    /// Reasons of the first refused rows, at most [`RowReport::MOST_REASONS`].
    pub reasons: Vec<RejectedRow>,
}

/// One refused row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// Line of the body, from 1; for a JSON array the position of the element, from 1.
    pub line: u64,
    /// Why, without repeating the row.
    pub reason: String,
}

impl RowReport {
    /// Reasons kept per body.
    pub const MOST_REASONS: usize = 1000;

    /// Counts a refused row and keeps its reason while there is room.
    pub fn reject(&mut self, line: u64, reason: impl Into<String>) {
        self.rejected += 1;
        if self.reasons.len() < Self::MOST_REASONS {
            self.reasons.push(RejectedRow { line, reason: reason.into() });
        }
    }
}

/// A body as a source sent it, unpacked.
#[derive(Debug, Clone, Copy)]
pub struct SourceBody<'b> {
    /// The bytes.
    pub bytes: &'b [u8],
    /// `Content-Type` as sent; connectors know whether it can be trusted.
    pub content_type: Option<&'b str>,
    /// Query parameters of the request, decoded, in order.
    pub query: &'b [(String, String)],
    /// When it arrived, in milliseconds.
    pub received_at_ms: i64,
}

/// A kind of source. Registered once; without state of its own.
pub trait Connector: Send + Sync {
    /// Its name in configurations.
    fn kind(&self) -> &'static str;

    /// Checks settings and completes them with defaults.
    ///
    /// # Errors
    /// `invalid`, naming every setting that is unknown, missing or wrong.
    fn check(&self, settings: &Map<String, Value>) -> Result<Map<String, Value>, Fault>;

    /// Reads a body into `sink`, reporting bad rows instead of failing.
    ///
    /// # Errors
    /// `invalid` when the body as a whole cannot be read.
    fn read(
        &self,
        source: &Source,
        tenant: &Tenant,
        body: &SourceBody<'_>,
        sink: &mut dyn RecordSink,
    ) -> Result<RowReport, Fault>;
}

/// All kinds of sources that this build knows.
pub trait ConnectorRegistry: Send + Sync {
    /// The connector of that kind.
    fn connector(&self, kind: &str) -> Option<&dyn Connector>;
    /// The kinds, sorted.
    fn kinds(&self) -> Vec<&'static str>;
}
