//! The ports: small object-safe traits through which rooms use what they must not see.

mod artifacts;
mod audit_log;
mod callbacks;
mod connector;
mod data_plane;
mod export_jobs;
mod export_manifests;
mod intake;
mod journal;
mod mail;
mod manifest;
mod notifications;
mod sessions;
mod signing_keys;
mod sources;
mod stored_bytes;
mod tenants;
mod token_issuer;
mod tokens;
mod users;

pub use artifacts::{Artifacts, CHUNK_BYTES};
pub use audit_log::{AuditHead, AuditLog, AuditScope};
pub use callbacks::{CallAnswer, CallMethod, Callbacks, OutgoingCall};
pub use connector::{Connector, ConnectorRegistry, RejectedRow, RowReport, SourceBody};
pub use data_plane::{CompletenessStream, DataPlane, ExportParts, ExportRows, ExportStream, GivenRow};
pub use export_jobs::{
    ExportJobs, IDEMPOTENCY_KEPT_MS, IdempotencyKey, JobEnd, JobFilter, LeftoverPart, Ordered, PartsOfRange,
};
pub use export_manifests::{ExportManifests, MOST_MANIFESTS, StoredManifest};
pub use intake::{Committed, Intake, RecordSink};
pub use journal::{AppendedBatch, BatchContent, Journal, NewBatch};
pub use mail::{Mail, Mailer};
pub use manifest::{
    DoomedObject, Manifest, ManifestBatch, ManifestPart, NewPart, Replacement, Rollup, RowGroup, Snapshot,
    SnapshotScope,
};
pub use notifications::{LeftOut, NewNotification, Notifications, StoredNotification};
pub use sessions::Sessions;
pub use signing_keys::{KeyPurpose, SigningKeys, StoredSigningKey};
pub use sources::Sources;
pub use stored_bytes::StoredBytes;
pub use tenants::Tenants;
pub use token_issuer::TokenIssuer;
pub use tokens::Tokens;
pub use users::{CredentialChange, Users};
