//! What the ports promise, written once against the traits.

pub(crate) mod concurrency;
pub(crate) mod journal;
pub(crate) mod manifest;
pub(crate) mod sources;
pub(crate) mod swaps;
pub(crate) mod tenants;
pub(crate) mod tokens;

use bytes::Bytes;
use std::any::Any;
use std::sync::Arc;
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{
    BatchContent, Journal, Manifest, ManifestPart, NewBatch, NewPart, Replacement, Rollup, RowGroup,
    Snapshot, SnapshotScope, Sources, Tenants, Tokens,
};
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

/// An implementation's ports over one empty database.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) manifest: Arc<dyn Manifest>,
    pub(crate) sources: Arc<dyn Sources>,
    pub(crate) tenants: Arc<dyn Tenants>,
    pub(crate) tokens: Arc<dyn Tokens>,
    /// What must live as long as the database, such as its folder.
    pub(crate) _keep: Arc<dyn Any + Send + Sync>,
}

/// Makes one test of every promise for the implementation that `fresh()` opens.
macro_rules! conformance {
    ($fresh:path) => {
        conformance!(@ $fresh, journal: [
            sequences_are_gapless_per_tenant_and_dataset, contents_come_back_in_the_order_asked,
            a_known_batch_id_is_refused_and_nothing_is_kept, impossible_batches_change_nothing,
        ]);
        conformance!(@ $fresh, manifest: [
            an_empty_database_shows_nothing, batches_are_seen_within_their_times, parts_are_seen_within_their_days,
            parts_come_back_whole, scopes_are_those_with_something_live, scopes_do_not_see_each_other,
        ]);
        conformance!(@ $fresh, swaps: [
            a_swap_dooms_and_publishes, a_swap_of_what_is_not_live_changes_nothing,
            doomed_things_are_listed_oldest_first, forgotten_things_are_gone_and_live_ones_stay,
            rollups_live_and_go_with_their_part,
        ]);
        conformance!(@ $fresh, concurrency: [
            many_writers_leave_no_gap, one_of_two_swaps_wins, every_snapshot_sees_each_record_once,
        ]);
        conformance!(@ $fresh, sources: [
            a_source_keeps_its_id_and_counts_its_changes, sources_are_listed_by_name_within_their_tenant,
            the_latest_sign_of_life_stays,
        ]);
        conformance!(@ $fresh, tenants: [
            tenants_come_back_with_their_keys, a_change_replaces_policy_and_keys, a_tenant_without_key_is_refused,
        ]);
        conformance!(@ $fresh, tokens: [
            a_token_is_found_by_its_hash_alone, a_token_can_replace_all_others_of_its_name,
        ]);
    };
    (@ $fresh:path, $topic:ident: [$($promise:ident),+ $(,)?]) => {
        mod $topic {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    crate::conformance::$topic::$promise($fresh().await).await;
                }
            )+
        }
    };
}
pub(crate) use conformance;

pub(crate) const DAY_MS: i64 = 86_400_000;

pub(crate) fn tenant(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

pub(crate) fn scope(name: &str) -> SnapshotScope {
    SnapshotScope { tenant: tenant(name), dataset: Dataset::Cdr }
}

/// An id that tests can count with.
pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// An inline batch of tenant `acme` whose records all lie at `time_ms`.
pub(crate) fn batch(number: u128, rows: u64, time_ms: i64) -> NewBatch {
    NewBatch {
        id: id(number),
        tenant: tenant("acme"),
        dataset: Dataset::Cdr,
        rows,
        revisions: 0,
        unsettled: false,
        time_ms: (time_ms, time_ms),
        bytes: 3,
        received_at_ms: time_ms + 5,
        content: BatchContent::Inline(Bytes::from(format!("batch {number}"))),
    }
}

/// A part of day `day` with two row groups.
pub(crate) fn part(number: u128, day: i32, rows: u64) -> ManifestPart {
    ManifestPart {
        id: id(number),
        path: format!("lake/cdr/tenant=acme/{number}.parquet"),
        day,
        rows,
        bytes: rows * 40,
        sequences: (1, rows),
        unsettled: false,
        layout: 1,
        row_groups: vec![
            RowGroup { rows: rows / 2, bytes: rows * 20, ids: (number.to_be_bytes(), [0x7F; 16]) },
            RowGroup { rows: rows - rows / 2, bytes: rows * 20, ids: ([0x80; 16], [0xFE; 16]) },
        ],
    }
}

pub(crate) fn rollup(hour: i64, calls: u64) -> Rollup {
    Rollup {
        hour,
        pbx_alias: String::from("pbx-1"),
        direction: String::from("inbound"),
        calls,
        results: [calls, 0, 0, 0],
        duration_s: calls * 60,
        max_duration_s: 60,
    }
}

pub(crate) fn swap(batches: &[Uuid], old_parts: &[Uuid], new_parts: Vec<NewPart>, at_ms: i64) -> Replacement {
    Replacement {
        scope: scope("acme"),
        batches: batches.to_vec(),
        old_parts: old_parts.to_vec(),
        new_parts,
        at_ms,
    }
}

/// A part to publish that has no hourly counts.
pub(crate) fn bare(part: ManifestPart) -> NewPart {
    NewPart { part, rollups: Vec::new() }
}

impl Ports {
    /// All that is visible of tenant `acme`.
    pub(crate) async fn everything(&self) -> Snapshot {
        self.manifest.snapshot(&scope("acme"), TimeRange::all()).await.unwrap()
    }
}
