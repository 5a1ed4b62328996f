//! The ports: small object-safe traits through which rooms use what they must not see.

mod connector;
mod data_plane;
mod intake;
mod journal;
mod manifest;
mod sources;
mod tenants;
mod tokens;

pub use connector::{Connector, ConnectorRegistry, RejectedRow, RowReport, SourceBody};
pub use data_plane::{DataPlane, ExportRows, ExportStream, GivenRow};
pub use intake::{Committed, Intake, RecordSink};
pub use journal::{AppendedBatch, BatchContent, Journal, NewBatch};
pub use manifest::{
    DoomedObject, Manifest, ManifestBatch, ManifestPart, NewPart, Replacement, Rollup, RowGroup, Snapshot,
    SnapshotScope,
};
pub use sources::Sources;
pub use tenants::Tenants;
pub use tokens::{TokenHolder, Tokens};
